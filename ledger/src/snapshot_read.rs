//! Reading a snapshot file and verifying it (ledger format, sections 13.3 and 13.4).
//!
//! ```text
//! public domain:  u8 1, u64 S, u64 0, vec leaf hash of S, vec view history (u64 per view), public map sections
//! map section:    vec name, u64 version, vec body
//! body:           for each key: vec key, padding to 8; u64 8 + value length, u64 version, value, padding to 8
//! ```

use crate::cursor::{Cursor, ReadError};
use crate::entry::{EntryError, EntryHead, EntryType};
use crate::frontier::Frontier;
use crate::hash::Digest;
use crate::id::{Seqno, TxId};
use crate::key::PublicKey;
use crate::merkle::{MerkleTree, TREE_MAP};
use crate::receipt::UnverifiedReceipt;
use crate::secret::{LedgerSecret, SecretError};
use crate::signature::{SIGNATURES_MAP, SignatureRow};
use crate::snapshot::{SnapshotMap, SnapshotRow, SnapshotStart};
use crate::verify::FOLLOWED_BY_SNAPSHOTS;
use crate::write_set::{SINGLE_KEY, is_public};

/// A snapshot whose receipt leads to a service. Borrows the file.
pub struct Snapshot<'a> {
    /// The signature it was taken at.
    pub id: TxId,
    /// Digest of its entry, as the evidence in the ledger names it.
    pub digest: Digest,
    /// The first position of each view, from view 1.
    pub view_history: Vec<Seqno>,
    /// The public tables, by name.
    pub maps: Vec<SnapshotMap<'a>>,
    /// The root that the signature signs.
    pub signed_root: Digest,
    /// Leaf of the signature.
    pub leaf: Digest,
    tree: MerkleTree,
    head: EntryHead<'a>,
}

/// A file that is no snapshot, or one that nothing vouches for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A field runs past the end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Not what a snapshot has.
    #[error("{what}: got {got}, want {want}")]
    Form {
        /// The field.
        what: &'static str,
        /// What stands there.
        got: String,
        /// What should.
        want: String,
    },
    /// The receipt is not one.
    #[error("receipt: {reason}")]
    Receipt {
        /// Why.
        reason: String,
    },
    /// The private tables.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl<'a> Snapshot<'a> {
    /// Reads a file and verifies that the service with this key vouches for all of it. Dates are not looked at.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn verify(file: &'a [u8], service: &PublicKey) -> Result<Self, SnapshotError> {
        let (entry, receipt) = entry_and_receipt(file)?;
        let digest = Digest::of(entry);
        verify_receipt(receipt, digest, service)?;
        Self::read_entry(entry, digest)
    }

    /// Reads a file that was verified before, as its digest shows. Its receipt is not looked at.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn read(file: &'a [u8]) -> Result<Self, SnapshotError> {
        let (entry, _) = entry_and_receipt(file)?;
        Self::read_entry(entry, Digest::of(entry))
    }

    fn read_entry(entry: &'a [u8], digest: Digest) -> Result<Self, SnapshotError> {
        let head = head(entry)?;
        let mut cursor = Cursor::new(head.public_sections);
        let leaf = cursor.vec()?;
        let leaf = <[u8; 32]>::try_from(leaf)
            .map(Digest)
            .map_err(|_| form("leaf", format!("{} bytes", leaf.len()), "32 bytes"))?;
        let history = cursor.vec()?;
        let (words, cut) = history.as_chunks::<8>();
        if !cut.is_empty() {
            return Err(form("view history", history.len(), "a multiple of 8 bytes"));
        }
        let view_history = words
            .iter()
            .map(|w| Seqno(u64::from_le_bytes(*w)))
            .collect();
        let maps = snapshot_maps(cursor.rest(), true)?;
        let row: SignatureRow = serde_json::from_slice(single(&maps, SIGNATURES_MAP)?)
            .map_err(|e| form(SIGNATURES_MAP, e, "a signature row"))?;
        if row.seqno != head.seqno {
            return Err(form("position of the signature", row.seqno, head.seqno));
        }
        let mut tree = MerkleTree::deserialise(single(&maps, TREE_MAP)?)
            .map_err(|e| form(TREE_MAP, e, "a tree"))?;
        if (tree.last().next(), tree.root()) != (head.seqno, row.root) {
            return Err(form("tree", tree.root(), row.root));
        }
        tree.append(leaf);
        Ok(Self {
            id: TxId {
                view: row.view,
                seqno: head.seqno,
            },
            digest,
            view_history,
            maps,
            signed_root: row.root,
            leaf,
            tree,
            head,
        })
    }

    /// The tree over everything up to and with the signature.
    #[must_use]
    pub const fn tree(&self) -> &MerkleTree {
        &self.tree
    }

    /// Where a walk through the ledger goes on.
    #[must_use]
    pub fn start(&self) -> SnapshotStart {
        let followed = self
            .maps
            .iter()
            .filter(|map| FOLLOWED_BY_SNAPSHOTS.contains(&map.name));
        let rows = followed.flat_map(|map| {
            let rows = map.rows.iter();
            rows.map(|(key, value, _)| (map.name.to_owned(), key.to_vec(), value.to_vec()))
        });
        SnapshotStart::new(
            self.id,
            self.signed_root,
            self.digest,
            Frontier::of(&self.tree),
            rows.collect(),
        )
    }

    /// Checks the tag and decrypts the private tables: to be read with [`snapshot_maps`].
    ///
    /// # Errors
    /// [`SnapshotError::Secret`] when the secret is another.
    pub fn open(&self, secret: &LedgerSecret) -> Result<Vec<u8>, SnapshotError> {
        Ok(self.head.open(secret)?)
    }
}

/// Checks that a file is the snapshot with this digest, which was verified before, and its tag, and decrypts the private
/// tables: to be read with [`snapshot_maps`]. The public ones are not looked at.
///
/// # Errors
/// [`SnapshotError::Form`] when the file is another, [`SnapshotError::Secret`] when the secret is.
pub fn open_snapshot(
    file: &[u8],
    digest: Digest,
    secret: &LedgerSecret,
) -> Result<Vec<u8>, SnapshotError> {
    let (entry, _) = entry_and_receipt(file)?;
    let got = Digest::of(entry);
    if got != digest {
        return Err(form("digest", got, digest));
    }
    Ok(head(entry)?.open(secret)?)
}

/// What stands in front of the tables.
fn head(entry: &[u8]) -> Result<EntryHead<'_>, SnapshotError> {
    let head = EntryHead::parse(entry)?;
    if head.entry_type != EntryType::Snapshot || !head.snapshot_iv {
        return Err(form(
            "entry",
            format!("{:?}", head.entry_type),
            "a snapshot",
        ));
    }
    if head.iv_seqno != head.seqno {
        return Err(form("initialisation vector", head.iv_seqno, head.seqno));
    }
    Ok(head)
}

fn entry_and_receipt(file: &[u8]) -> Result<(&[u8], &[u8]), SnapshotError> {
    let length = crate::entry::Entry::length(file)?;
    Ok(file.split_at_checked(length).unwrap_or((file, &[])))
}

/// Reads the map sections of the public or the decrypted private domain of a snapshot, to the end.
///
/// # Errors
/// [`SnapshotError`].
pub fn snapshot_maps(bytes: &[u8], public: bool) -> Result<Vec<SnapshotMap<'_>>, SnapshotError> {
    let mut cursor = Cursor::new(bytes);
    let mut maps: Vec<SnapshotMap<'_>> = Vec::new();
    let mut names = std::collections::HashSet::new();
    while !cursor.is_empty() {
        let name = cursor.name()?;
        if is_public(name) != public {
            return Err(form("map", name, "one of the other domain"));
        }
        if !names.insert(name) {
            return Err(form("map", name, "each once"));
        }
        let version = Seqno(cursor.u64()?);
        let rows = rows(cursor.vec()?)?;
        maps.push(SnapshotMap {
            name,
            version,
            rows,
        });
    }
    Ok(maps)
}

fn rows(body: &[u8]) -> Result<Vec<SnapshotRow<'_>>, SnapshotError> {
    let mut cursor = Cursor::new(body);
    let mut rows = Vec::new();
    let mut at = 0;
    while !cursor.is_empty() {
        let key = cursor.vec()?;
        at += 8 + key.len();
        at = skip_padding(&mut cursor, at)?;
        let length = cursor.u64()?;
        let version = cursor.u64()?;
        let value = length
            .checked_sub(8)
            .ok_or_else(|| form("length of a value", length, "at least 8"))?;
        let value = cursor.take(value)?;
        at += 16 + value.len();
        at = skip_padding(&mut cursor, at)?;
        // Old snapshots note a removed key with a negative position.
        if version & (1 << 63) == 0 {
            rows.push((key, value, Seqno(version)));
        }
    }
    Ok(rows)
}

fn skip_padding(cursor: &mut Cursor<'_>, at: usize) -> Result<usize, ReadError> {
    let end = at.next_multiple_of(8);
    cursor.take((end - at) as u64)?;
    Ok(end)
}

fn single<'m>(maps: &'m [SnapshotMap<'_>], name: &'static str) -> Result<&'m [u8], SnapshotError> {
    maps.iter()
        .find(|map| map.name == name)
        .and_then(|map| map.rows.iter().find(|(key, ..)| *key == SINGLE_KEY))
        .map(|(_, value, _)| *value)
        .ok_or_else(|| form(name, "no row", "a row"))
}

/// The receipt is of a transaction that claims this digest, and leads to the service.
fn verify_receipt(
    receipt: &[u8],
    digest: Digest,
    service: &PublicKey,
) -> Result<(), SnapshotError> {
    let wrong = |reason: String| SnapshotError::Receipt { reason };
    let receipt = serde_json::from_slice(receipt).map_err(|e| wrong(e.to_string()))?;
    let receipt = UnverifiedReceipt::from_json(&receipt)
        .and_then(|receipt| receipt.verify_with_key(service))
        .map_err(|e| wrong(e.to_string()))?;
    match receipt.claims_digest {
        Some(claims) if claims == digest => Ok(()),
        Some(claims) => Err(form("claims digest", claims, digest)),
        None => Err(form("claims digest", "absent", digest)),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "takes whatever is shown")]
fn form(what: &'static str, got: impl ToString, want: impl ToString) -> SnapshotError {
    SnapshotError::Form {
        what,
        got: got.to_string(),
        want: want.to_string(),
    }
}
