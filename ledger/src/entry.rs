//! Entries: one transaction each (ledger format, sections 3 to 5 and 8).
//!
//! ```text
//! offset  size  field
//! 0       1     version = 1
//! 1       1     flags: 0x01 chunk after, 0x02 chunk before
//! 2       6     size: number of bytes that follow this 8-byte header
//! 8       16    AES-GCM tag
//! 24      12    AES-GCM IV: u64 seqno || u32 view (bit 31: snapshot)
//! 36      8     u64 length P of the public domain
//! 44      P     public domain
//! 44+P    rest  private domain ciphertext
//!
//! public domain: u8 type, u64 seqno, claims digest (types 2, 4), commit evidence digest
//!                (types 3, 4), u64 reserved, map sections
//! ```
//!
//! Integers are little-endian. Every entry is sealed, also one with an empty private domain:
//! the tag then authenticates the public domain.

use std::ops::Deref;

use crate::cursor::{Cursor, ReadError};
use crate::hash::Digest;
use crate::id::{Seqno, TxId, View};
use crate::secret::{CommitEvidence, LedgerSecret, SecretError};
use crate::write_set::{MapSection, SectionError, WriteSet, parse_sections};

/// Flag on a signature entry: the chunk ends after it.
pub const FLAG_CHUNK_AFTER: u8 = 0x01;
/// Flag: a new chunk begins with this entry.
pub const FLAG_CHUNK_BEFORE: u8 = 0x02;

const VERSION: u8 = 1;
const HEADER: usize = 8;
const SEALED_HEADER: usize = 16 + 12 + 8;
const SNAPSHOT_BIT: u32 = 1 << 31;

/// An entry as written, and what the Merkle tree and receipts need of it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The bytes for the chunk.
    pub bytes: Vec<u8>,
    /// Its leaf.
    pub leaf: Digest,
    /// `H` of the bytes.
    pub write_set_digest: Digest,
    /// The text that proves commitment; publish it only after commit.
    pub commit_evidence: CommitEvidence,
}

/// How an entry of some version is laid out (its first public byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// 0: write set only, CCF 1.x.
    WriteSet,
    /// 1: snapshot, in snapshot files only.
    Snapshot,
    /// 2: with claims.
    WithClaims,
    /// 3: with commit evidence, early 2.x.
    WithCommitEvidence,
    /// 4: with both; the only type written today.
    WithBoth,
}

impl EntryType {
    fn of(byte: u8) -> Result<Self, EntryError> {
        Ok(match byte {
            0 => Self::WriteSet,
            1 => Self::Snapshot,
            2 => Self::WithClaims,
            3 => Self::WithCommitEvidence,
            4 => Self::WithBoth,
            got => return Err(EntryError::Type { got }),
        })
    }

    const fn has_claims(self) -> bool {
        matches!(self, Self::WithClaims | Self::WithBoth)
    }

    const fn has_commit_evidence(self) -> bool {
        matches!(self, Self::WithCommitEvidence | Self::WithBoth)
    }
}

/// An entry as read. Borrows the chunk.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its fixed fields.
    head: EntryHead<'a>,
    /// Public map sections in file order.
    pub sections: Vec<MapSection<'a>>,
}

impl<'a> Deref for Entry<'a> {
    type Target = EntryHead<'a>;

    fn deref(&self) -> &Self::Target {
        &self.head
    }
}

/// The fixed fields of an entry. Its map sections are not looked at.
#[derive(Clone, Debug)]
pub struct EntryHead<'a> {
    /// All bytes, header included: what is hashed.
    pub bytes: &'a [u8],
    /// Flags.
    pub flags: u8,
    /// Position according to the IV.
    pub iv_seqno: Seqno,
    /// View, which only the IV tells.
    pub view: View,
    /// Whether the IV has the snapshot bit.
    pub snapshot_iv: bool,
    /// Layout.
    pub entry_type: EntryType,
    /// Position according to the public domain.
    pub seqno: Seqno,
    /// Claims digest, where the type has one.
    pub claims_digest: Option<Digest>,
    /// Commit evidence digest, where the type has one.
    pub commit_evidence_digest: Option<Digest>,
    /// Reserved field: 0 in new entries, a conflict version in 1.x.
    pub reserved: u64,
    /// The bytes of the public map sections.
    pub(crate) public_sections: &'a [u8],
    tag: [u8; 16],
    iv: [u8; 12],
    public_domain: &'a [u8],
    private_domain: &'a [u8],
    /// Claims and evidence of an entry that has both, to be hashed from where they stand.
    pub(crate) claims_and_evidence: Option<&'a [u8; 64]>,
}

/// Bytes that are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A field runs past the end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another version.
    #[error("entry version {got}, want {VERSION}")]
    Version {
        /// The version byte.
        got: u8,
    },
    /// A flag nobody has defined.
    #[error("entry flags {got:#04x}, want bits 0x01 and 0x02 only")]
    Flags {
        /// The flags byte.
        got: u8,
    },
    /// An entry type nobody has defined.
    #[error("entry type {got}, want 0 to 4")]
    Type {
        /// The type byte.
        got: u8,
    },
    /// The map sections of the public or the private domain.
    #[error(transparent)]
    Section(#[from] SectionError),
}

/// Encodes a transaction (type 4). A transaction without writes makes no entry: do not call
/// this for one.
///
/// # Errors
/// [`SecretError::View`] for a view of 2^31 or more, [`SecretError::Internal`] when the cipher fails.
pub fn encode<B: AsRef<[u8]> + Ord>(
    id: TxId,
    flags: u8,
    claims_digest: Digest,
    write_set: &WriteSet<B>,
    secret: &LedgerSecret,
) -> Result<Encoded, SecretError> {
    let commit_evidence = secret.commit_evidence(id);
    let evidence_digest = commit_evidence.digest();
    let mut bytes = begin(4);
    bytes.reserve(81 + write_set.encoded_size());
    bytes.extend_from_slice(&id.seqno.0.to_le_bytes());
    bytes.extend_from_slice(claims_digest.as_ref());
    bytes.extend_from_slice(evidence_digest.as_ref());
    bytes.extend_from_slice(&[0; 8]);
    write_set.encode_sections(true, &mut bytes);
    let private_at = bytes.len();
    write_set.encode_sections(false, &mut bytes);

    seal(&mut bytes, private_at, iv(id)?, flags, secret)?;

    let write_set_digest = Digest::of(&bytes);
    let leaf = Digest::of_three(&write_set_digest, &evidence_digest, &claims_digest);
    Ok(Encoded {
        bytes,
        leaf,
        write_set_digest,
        commit_evidence,
    })
}

/// Encodes an entry again from what was read of it and the private map sections it decrypts to: the same bytes, if the
/// writer sorted as CCF does. For conformance; new entries are made by [`encode`].
///
/// # Errors
/// [`SecretError::View`], [`SecretError::Internal`].
pub fn encode_again(
    entry: &Entry<'_>,
    private: &[MapSection<'_>],
    secret: &LedgerSecret,
) -> Result<Vec<u8>, SecretError> {
    let mut set: WriteSet<&[u8]> = WriteSet::new();
    set.extend_sections(&entry.sections);
    set.extend_sections(private);
    let mut bytes = begin(entry.entry_type as u8);
    bytes.extend_from_slice(&entry.seqno.0.to_le_bytes());
    for digest in [entry.claims_digest, entry.commit_evidence_digest] {
        bytes.extend_from_slice(digest.as_ref().map_or(&[], AsRef::as_ref));
    }
    bytes.extend_from_slice(&entry.reserved.to_le_bytes());
    set.encode_sections(true, &mut bytes);
    let private_at = bytes.len();
    set.encode_sections(false, &mut bytes);
    seal(&mut bytes, private_at, iv(entry.id())?, entry.flags, secret)?;
    Ok(bytes)
}

/// The start of an entry: room for what [`seal`] fills in, and its type.
pub(crate) fn begin(entry_type: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + SEALED_HEADER];
    bytes.push(entry_type);
    bytes
}

/// Encrypts the private domain, which begins at `private_at`, and writes the headers.
pub(crate) fn seal(
    bytes: &mut [u8],
    private_at: usize,
    iv: [u8; 12],
    flags: u8,
    secret: &LedgerSecret,
) -> Result<(), SecretError> {
    let (clear, private) = bytes.split_at_mut(private_at);
    let (head, public) = clear.split_at_mut(HEADER + SEALED_HEADER);
    let tag = secret.seal_in_place(iv, public, private)?;
    let size = (SEALED_HEADER + public.len() + private.len()) as u64;
    let mut header = size.to_le_bytes();
    // The size takes six bytes; a version and a flag byte stand before it.
    header.rotate_right(2);
    header[0] = VERSION;
    header[1] = flags;
    let fields = [&header[..], &tag, &iv, &(public.len() as u64).to_le_bytes()].concat();
    head.copy_from_slice(&fields);
    Ok(())
}

/// The IV of a snapshot: view 0 and the snapshot bit.
pub(crate) fn snapshot_iv(seqno: Seqno) -> [u8; 12] {
    let mut iv = [0; 12];
    let (position, term) = iv.split_at_mut(8);
    position.copy_from_slice(&seqno.0.to_le_bytes());
    term.copy_from_slice(&SNAPSHOT_BIT.to_le_bytes());
    iv
}

impl<'a> Entry<'a> {
    /// Number of bytes of the entry that `bytes` begin with, from its header alone.
    ///
    /// # Errors
    /// [`EntryError::Read`] when the header or the entry is cut short.
    #[inline]
    pub fn length(bytes: &[u8]) -> Result<usize, EntryError> {
        let mut cursor = Cursor::new(bytes);
        let [_, _, size @ ..] = cursor.array::<8>()?;
        let [a, b, c, d, e, f] = size;
        let taken = cursor.take(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))?;
        Ok(HEADER + taken.len())
    }

    /// Reads the entry that `bytes` begin with.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EntryError> {
        let head = EntryHead::parse(bytes)?;
        // A snapshot's map sections have another form.
        let sections = if head.entry_type == EntryType::Snapshot {
            Vec::new()
        } else {
            parse_sections(head.public_sections, true)?
        };
        Ok(Self { head, sections })
    }

    /// The section of a public map.
    #[must_use]
    pub fn section(&self, map: &str) -> Option<&MapSection<'a>> {
        self.sections.iter().find(|section| section.name == map)
    }
}

impl<'a> EntryHead<'a> {
    /// Reads the fixed fields of the entry that `bytes` begin with.
    ///
    /// # Errors
    /// See [`EntryError`].
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EntryError> {
        let length = Entry::length(bytes)?;
        let bytes = bytes.get(..length).unwrap_or(bytes);
        let mut cursor = Cursor::new(bytes);
        let [version, flags, ..] = cursor.array::<HEADER>()?;
        if version != VERSION {
            return Err(EntryError::Version { got: version });
        }
        if flags & !(FLAG_CHUNK_AFTER | FLAG_CHUNK_BEFORE) != 0 {
            return Err(EntryError::Flags { got: flags });
        }
        let tag = cursor.array()?;
        let iv: [u8; 12] = cursor.array()?;
        let ([a, b, c, d, e, f, g, h, term @ ..], public_domain) = (iv, cursor.vec()?);
        let iv_seqno = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let term = u32::from_le_bytes(term);
        let private_domain = cursor.rest();

        let mut public = Cursor::new(public_domain);
        let entry_type = EntryType::of(public.u8()?)?;
        let seqno = Seqno(public.u64()?);
        let digests = public.rest().first_chunk();
        let claims_digest = entry_type
            .has_claims()
            .then(|| public.array())
            .transpose()?;
        let evidence = entry_type.has_commit_evidence();
        let commit_evidence_digest = evidence.then(|| public.array()).transpose()?;
        let reserved = public.u64()?;
        Ok(Self {
            bytes,
            flags,
            iv_seqno: Seqno(iv_seqno),
            view: View(u64::from(term & !SNAPSHOT_BIT)),
            snapshot_iv: term & SNAPSHOT_BIT != 0,
            entry_type,
            seqno,
            claims_digest: claims_digest.map(Digest),
            commit_evidence_digest: commit_evidence_digest.map(Digest),
            reserved,
            public_sections: public.rest(),
            tag,
            iv,
            public_domain,
            private_domain,
            claims_and_evidence: digests.filter(|_| entry_type == EntryType::WithBoth),
        })
    }

    /// Its transaction id.
    #[must_use]
    pub fn id(&self) -> TxId {
        TxId {
            view: self.view,
            seqno: self.seqno,
        }
    }

    /// `H` of all bytes.
    #[must_use]
    pub fn write_set_digest(&self) -> Digest {
        Digest::of(self.bytes)
    }

    /// Its leaf in the Merkle tree (section 8).
    #[must_use]
    pub fn leaf(&self) -> Digest {
        let digest = self.write_set_digest();
        match (&self.commit_evidence_digest, &self.claims_digest) {
            (Some(evidence), Some(claims)) => Digest::of_three(&digest, evidence, claims),
            (Some(other), None) | (None, Some(other)) => Digest::of_pair(&digest, other),
            (None, None) => digest,
        }
    }

    /// Whether there is a private domain.
    #[must_use]
    pub const fn has_private_domain(&self) -> bool {
        !self.private_domain.is_empty()
    }

    /// Checks the tag and decrypts the private domain: plain map sections, to be read with
    /// [`parse_sections`].
    ///
    /// # Errors
    /// [`SecretError::Tag`] when the secret is another or a byte was altered.
    pub fn open(&self, secret: &LedgerSecret) -> Result<Vec<u8>, SecretError> {
        let mut plain = self.private_domain.to_vec();
        secret.open_in_place(self.iv, self.public_domain, &self.tag, &mut plain)?;
        Ok(plain)
    }
}

fn iv(id: TxId) -> Result<[u8; 12], SecretError> {
    // The top bit marks snapshots.
    let view = u32::try_from(id.view.0)
        .ok()
        .filter(|view| view & SNAPSHOT_BIT == 0);
    let view = view.ok_or(SecretError::View { got: id.view })?;
    let mut iv = [0; 12];
    let (seqno, term) = iv.split_at_mut(8);
    seqno.copy_from_slice(&id.seqno.0.to_le_bytes());
    term.copy_from_slice(&view.to_le_bytes());
    Ok(iv)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    fn sample() -> (Encoded, LedgerSecret) {
        let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
        let mut set: WriteSet = WriteSet::new();
        set.put("public:a", "k", "v");
        set.remove("public:a", "gone");
        set.put("records", "k", "hidden");
        let encoded = encode(
            TxId::new(2, 7),
            FLAG_CHUNK_AFTER,
            Digest([3; 32]),
            &set,
            &secret,
        )
        .unwrap();
        (encoded, secret)
    }

    #[test]
    fn what_is_written_is_read() {
        let (encoded, secret) = sample();
        let entry = Entry::parse(&encoded.bytes).unwrap();
        assert_eq!(entry.bytes.len(), encoded.bytes.len());
        assert_eq!(
            (entry.id(), entry.iv_seqno, entry.flags),
            (TxId::new(2, 7), Seqno(7), FLAG_CHUNK_AFTER)
        );
        assert_eq!(
            (entry.leaf(), entry.write_set_digest()),
            (encoded.leaf, encoded.write_set_digest)
        );
        assert_eq!(entry.claims_digest, Some(Digest([3; 32])));
        assert_eq!(
            entry.commit_evidence_digest,
            Some(encoded.commit_evidence.digest())
        );
        assert_eq!(
            entry.section("public:a").unwrap().value(b"k"),
            Some(b"v".as_slice())
        );
        assert!(
            !encoded.bytes.windows(6).any(|window| window == b"hidden"),
            "private data is not in the clear"
        );
        let plain = entry.open(&secret).unwrap();
        assert_eq!(
            parse_sections(&plain, false).unwrap()[0].value(b"k"),
            Some(b"hidden".as_slice())
        );
    }

    #[test]
    fn every_byte_behind_the_header_is_authenticated() {
        let (encoded, secret) = sample();
        for at in 8..encoded.bytes.len() {
            let mut bytes = encoded.bytes.clone();
            bytes[at] ^= 1;
            let opened = Entry::parse(&bytes).map(|entry| entry.open(&secret).is_ok());
            assert_ne!(opened, Ok(true), "byte {at}");
        }
    }

    #[test]
    fn a_view_without_room_in_the_iv_is_refused() {
        let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
        let set: WriteSet = WriteSet::new();
        let of_view = |view| encode(TxId::new(view, 1), 0, Digest::ZERO, &set, &secret).map(|_| ());
        assert_eq!(of_view((1 << 31) - 1), Ok(()));
        for view in [1 << 31, 1 << 32, u64::MAX] {
            assert_eq!(of_view(view), Err(SecretError::View { got: View(view) }));
        }
    }

    #[test]
    fn cut_or_foreign_bytes_are_errors() {
        let (encoded, _) = sample();
        for length in 0..encoded.bytes.len() {
            assert!(
                Entry::parse(&encoded.bytes[..length]).is_err(),
                "{length} bytes"
            );
        }
        for (at, value) in [(0, 2), (1, 4), (44, 9)] {
            let mut bytes = encoded.bytes.clone();
            bytes[at] = value;
            assert!(Entry::parse(&bytes).is_err(), "byte {at} = {value}");
        }
    }
}
