//! Snapshots: all tables as they were at a signature (ledger format, section 13).
//!
//! ```text
//! entry     as a transaction's, version 1, flags 0, type 1; its IV has view 0 and the snapshot bit
//! receipt   of the transaction whose claims digest is that of the entry: canonical JSON to the end of the file
//! ```

use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use crate::cursor::put_vec;
use crate::entry::{begin, seal, snapshot_iv};
use crate::frontier::Frontier;
use crate::hash::Digest;
use crate::id::{Seqno, TxId};
use crate::secret::{LedgerSecret, SecretError};
use crate::write_set::is_public;

/// The table that names each snapshot's digest, under [`SINGLE_KEY`](crate::SINGLE_KEY).
pub const SNAPSHOT_EVIDENCE_MAP: &str = "public:ccf.internal.snapshot_evidence";

/// Row of [`SNAPSHOT_EVIDENCE_MAP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvidence {
    /// Digest of the snapshot's entry.
    pub hash: Digest,
    /// The signature it was taken at.
    pub version: Seqno,
}

/// Where a walk may begin in place of the first transaction, from a verified snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotStart {
    /// The signature the snapshot was taken at.
    pub id: TxId,
    /// The root that this signature signs.
    pub signed_root: Digest,
    /// Digest of the snapshot's entry.
    pub digest: Digest,
    /// The tree over everything up to there.
    pub(crate) frontier: Frontier,
    /// Rows of the tables that the rules on signatures read.
    rows: Vec<(String, Vec<u8>, Vec<u8>)>,
}

impl SnapshotStart {
    pub(crate) const fn new(
        id: TxId,
        signed_root: Digest,
        digest: Digest,
        frontier: Frontier,
        rows: Vec<(String, Vec<u8>, Vec<u8>)>,
    ) -> Self {
        Self {
            id,
            signed_root,
            digest,
            frontier,
            rows,
        }
    }

    pub(crate) fn rows<E>(
        &self,
        mut each: impl FnMut(&str, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows
            .iter()
            .try_for_each(|(table, key, value)| each(table, key, value))
    }
}

/// A row: key, value, position of the last write.
pub type SnapshotRow<'a> = (&'a [u8], &'a [u8], Seqno);

/// One table.
#[derive(Clone, Debug)]
pub struct SnapshotMap<'a> {
    /// Its name.
    pub name: &'a str,
    /// Position of the last write to it.
    pub version: Seqno,
    /// Its rows.
    pub rows: Vec<SnapshotRow<'a>>,
}

/// What a snapshot is of.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPoint<'a> {
    /// Position of a signature.
    pub seqno: Seqno,
    /// Merkle leaf of that signature.
    pub leaf: Digest,
    /// The first position of each view, from view 1.
    pub view_history: &'a [Seqno],
}

/// Encodes the entry of a snapshot. Every table that was ever written belongs in it, also empty ones. The digest of the
/// bytes is what the evidence transaction names and claims.
///
/// # Errors
/// [`SecretError::Internal`] when the cipher fails.
pub fn encode_snapshot(
    point: SnapshotPoint<'_>,
    mut maps: Vec<SnapshotMap<'_>>,
    secret: &LedgerSecret,
) -> Result<Vec<u8>, SecretError> {
    maps.sort_by_key(|map| map.name);
    let mut bytes = begin(1);
    bytes.extend_from_slice(&point.seqno.0.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    put_vec(&mut bytes, point.leaf.as_ref());
    let history: Vec<u8> = point
        .view_history
        .iter()
        .flat_map(|first| first.0.to_le_bytes())
        .collect();
    put_vec(&mut bytes, &history);
    put_sections(&maps, true, &mut bytes);
    let private_at = bytes.len();
    put_sections(&maps, false, &mut bytes);
    seal(&mut bytes, private_at, snapshot_iv(point.seqno), 0, secret)?;
    Ok(bytes)
}

fn put_sections(maps: &[SnapshotMap<'_>], public: bool, out: &mut Vec<u8>) {
    for map in maps.iter().filter(|map| is_public(map.name) == public) {
        put_vec(out, map.name.as_bytes());
        out.extend_from_slice(&map.version.0.to_le_bytes());
        let rows = in_order(&map.rows);
        let length: usize = rows.iter().map(|(_, row)| encoded_length(row)).sum();
        // A service's tables are most of its memory: rows go to their place at once.
        out.reserve(8 + length);
        out.extend_from_slice(&(length as u64).to_le_bytes());
        for (_, (key, value, version)) in rows {
            put_vec(out, key);
            put_padding(out, 8 + key.len());
            out.extend_from_slice(&(8 + value.len() as u64).to_le_bytes());
            out.extend_from_slice(&version.0.to_le_bytes());
            out.extend_from_slice(value);
            put_padding(out, value.len());
        }
    }
}

/// Rows are in the order of a number. Of equal ones any order is valid; here it is that of the keys.
fn in_order<'m, 'a>(rows: &'m [SnapshotRow<'a>]) -> Vec<(u32, &'m SnapshotRow<'a>)> {
    // The number is made once for each row: sorting looks at it many times.
    let mut rows: Vec<_> = rows.iter().map(|row| (key_order(row.0), row)).collect();
    rows.sort_unstable_by(|(a, (one, ..)), (b, (other, ..))| a.cmp(b).then_with(|| one.cmp(other)));
    rows
}

/// Length of a row with its paddings.
const fn encoded_length((key, value, _): &SnapshotRow<'_>) -> usize {
    (8 + key.len()).next_multiple_of(8) + 16 + value.len().next_multiple_of(8)
}

/// After so many bytes, to a multiple of eight.
fn put_padding(out: &mut Vec<u8>, length: usize) {
    out.resize(out.len() + length.next_multiple_of(8) - length, 0);
}

/// The place of a row among the others.
fn key_order(key: &[u8]) -> u32 {
    let mut hasher = SipHasher24::new_with_keys(0x7720_796f_726c_694b, 0x2165_7265_6820_7361);
    hasher.write(key);
    // The low half, on purpose.
    (hasher.finish() & u64::from(u32::MAX)) as u32
}

/// [`key_order`], for tests against known answers.
#[doc(hidden)]
pub fn snapshot_key_order(key: &[u8]) -> u32 {
    key_order(key)
}
