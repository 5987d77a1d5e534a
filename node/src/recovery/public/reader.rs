//! The walk through the files of a ledger.

#[cfg(test)]
mod tests;

use std::ops::Range;

use ccf_rs::Seqno;
use ledger::{
    COSE_SIGNATURES_MAP, ChunkBuilder, ChunkName, CoseRootSignature, Digest, Entry, Frontier,
    HISTORICAL_SECRET_MAP, LocatedFault, MerkleTree, PendingSignature, PublicKey, SIGNATURES_MAP,
    SINGLE_KEY, SignatureRow, Snapshot, Stretch, TREE_MAP, Trust, TxId, Walk, layout_fault,
};

use super::super::RecoveryError;
use super::super::checkpoint::Expected;
use super::super::crew::ScannedChunk;
use super::super::directory::{Found, LedgerSource};
use super::super::settle::{Settlement, Tail};
use super::super::snapshot::SnapshotFile;
use super::views::Views;
use super::{PublicLedger, SERVICE_INFO, SnapshotBase};
use crate::pipeline::{Chunk, ChunkEntries, ChunkFile};
use crate::store::StateBuilder;

const PREVIOUS_IDENTITY: &str = "public:ccf.gov.service.previous_service_identity";

/// The walk through the files.
pub(super) struct Reader {
    pub(super) walk: Walk,
    /// Id of the key that must sign at the end.
    identity: String,
    builder: StateBuilder,
    views: Views,
    secret_rows: Vec<(ledger::Seqno, Vec<u8>)>,
    identities: Vec<String>,
    last: Option<(TxId, Digest)>,
    pub(super) chunks: Vec<(Found, Option<ChunkEntries>)>,
    snapshot: Option<SnapshotBase>,
    expected: Expected,
}

/// Why a chunk that a writer may have been interrupted in was not read to its end.
pub(super) struct Interrupted {
    /// Offset behind the last verified signature.
    kept: usize,
    reason: String,
}

impl Reader {
    pub(super) fn new(identity: &PublicKey, source: &LedgerSource) -> Self {
        Self {
            walk: Walk::new(Trust {
                service: Some(identity.clone()),
                ..Trust::default()
            }),
            builder: StateBuilder::default(),
            views: Views::default(),
            secret_rows: Vec::new(),
            identities: Vec::new(),
            last: None,
            chunks: Vec::new(),
            identity: identity.id(),
            snapshot: None,
            expected: Expected::new(&source.checkpoints),
        }
    }

    /// Goes on behind a snapshot that the service vouches for.
    pub(super) fn from_snapshot(
        identity: &PublicKey,
        source: &LedgerSource,
        snapshot: &Snapshot<'_>,
        file: &SnapshotFile,
    ) -> Result<Self, RecoveryError> {
        let trust = Trust {
            service: Some(identity.clone()),
            ..Trust::default()
        };
        let mut reader = Self {
            walk: Walk::from_snapshot(trust, &snapshot.start())?,
            ..Self::new(identity, source)
        };
        for map in &snapshot.maps {
            reader.builder.load(map);
        }
        let at = Seqno(snapshot.id.seqno.0);
        reader.builder.advance(at);
        reader.views = Views::at(&snapshot.view_history, at);
        let rows = snapshot
            .maps
            .iter()
            .find(|map| map.name == HISTORICAL_SECRET_MAP);
        let rows = rows.into_iter().flat_map(|map| &map.rows);
        reader.secret_rows = rows
            .map(|(_, row, version)| (*version, row.to_vec()))
            .collect();
        for table in [PREVIOUS_IDENTITY, SERVICE_INFO] {
            let row = reader.builder.value(table, &SINGLE_KEY);
            let certificate = row.and_then(|row| {
                let text = serde_json::from_slice::<String>(row).ok();
                text.or_else(|| certificate_of(row))
            });
            reader.identities.extend(certificate);
        }
        reader.last = Some((snapshot.id, snapshot.leaf));
        reader.snapshot = Some(SnapshotBase {
            id: snapshot.id,
            path: file.path.clone(),
            digest: snapshot.digest,
            edge: Frontier::of(snapshot.tree()),
        });
        Ok(reader)
    }

    /// A chunk begins where the ledger so far ends, or before it.
    pub(super) fn follows(&self, found: &Found) -> Result<(), RecoveryError> {
        let want = self.walk.next_seqno();
        if found.name.first <= want {
            return Ok(());
        }
        Err(RecoveryError::Gap {
            got: found.name.first,
            want,
            path: found.path(),
        })
    }

    /// Walks a committed chunk, all of which must hold, and applies it. Its signatures are left to others.
    pub(super) fn committed(
        &mut self,
        found: &Found,
        scanned: &ScannedChunk,
        pending: &mut Vec<PendingSignature>,
    ) -> Result<(), RecoveryError> {
        self.follows(found)?;
        let damaged = |fault| RecoveryError::Damaged { fault };
        let name = &found.name;
        self.walk.begin_chunk(name).map_err(damaged)?;
        let mut known = ChunkEntries::default();
        for (piece, stretch) in &scanned.pieces {
            self.walk
                .stretch(name, piece.offset, piece.bytes(), stretch, pending)
                .map_err(damaged)?;
            self.apply(piece.offset, piece.bytes(), &mut known);
        }
        match &scanned.end {
            Ok(end) => self
                .walk
                .end_chunk(name, end.offset, end.finished, end.torn)
                .map_err(damaged)?,
            Err((offset, error)) => return Err(damaged(layout_fault(name, *offset, error))),
        }
        self.chunks.push((found.clone(), Some(known)));
        Ok(())
    }

    /// A chunk that a writer may have been interrupted in. Its header is not believed: entries count as far as they are
    /// whole and a signature covers them. Returns what stands behind.
    pub(super) fn uncommitted(
        &mut self,
        found: &Found,
        bytes: &[u8],
        limit: Option<&Interrupted>,
        settlement: &mut Settlement,
    ) -> Result<Option<Tail>, Interrupted> {
        let most = limit.map_or(bytes.len(), |limit| limit.kept);
        let signed = signed_parts(bytes.get(..most).unwrap_or(bytes));
        let mut known = ChunkEntries::default();
        let mut kept = signed.first().map_or(header_length(), |part| part.start);
        for part in &signed {
            let entries = bytes.get(part.clone()).unwrap_or_default();
            if let Err(fault) = self.signed_part(found, part.start, entries) {
                let reason = fault.to_string();
                return Err(Interrupted { kept, reason });
            }
            self.apply(part.start as u64, entries, &mut known);
            kept = part.end;
        }
        let builder = builder_of(found.name.first, &known);
        let behind = bytes.get(kept..).unwrap_or_default();
        let (table, _) = builder.finish();
        let tail = (limit.is_some() || !table.starts_with(behind)).then(|| Tail {
            file: found.name.to_string(),
            offset: kept as u64,
            bytes: behind.to_vec(),
            reason: limit.map_or_else(
                || "no signature covers it".to_owned(),
                |limit| limit.reason.clone(),
            ),
        });
        if builder.is_empty() {
            settlement.ignore.push(found.name);
        } else {
            let _ = self.walk.end_chunk(
                &ChunkName {
                    last: None,
                    ..found.name
                },
                kept as u64,
                false,
                0,
            );
            settlement.finish.push((found.name, builder));
            self.chunks.push((found.clone(), Some(known)));
        }
        Ok(tail)
    }

    /// Entries up to and with a signature, which is verified.
    fn signed_part(
        &mut self,
        found: &Found,
        offset: usize,
        entries: &[u8],
    ) -> Result<(), Box<LocatedFault>> {
        let name = ChunkName {
            last: None,
            ..found.name
        };
        if offset == header_length() {
            self.walk.begin_chunk(&name)?;
        }
        let stretch = Stretch::scan(entries, None);
        let mut pending = Vec::new();
        self.walk
            .stretch(&name, offset as u64, entries, &stretch, &mut pending)?;
        pending.into_iter().try_for_each(PendingSignature::verify)
    }

    /// Applies entries that the walk has passed.
    fn apply(&mut self, offset: u64, bytes: &[u8], known: &mut ChunkEntries) {
        let mut at = 0;
        while let Some(entry) = bytes.get(at..).and_then(|rest| Entry::parse(rest).ok()) {
            let length = entry.bytes.len();
            known.note(offset + at as u64, &entry);
            self.entry(&entry);
            at += length;
        }
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        let seqno = Seqno(entry.seqno.0);
        self.builder.apply(seqno, &entry.sections);
        for section in &entry.sections {
            match section.name {
                SIGNATURES_MAP => {
                    self.views.signed(entry.id());
                    self.last = Some((entry.id(), entry.leaf()));
                    let row = section.value(&SINGLE_KEY).filter(|_| self.expected.any());
                    if let Some(row) = row.and_then(|row| serde_json::from_slice(row).ok()) {
                        let SignatureRow { root, .. } = row;
                        self.expected.signed(entry.id(), root);
                    }
                }
                HISTORICAL_SECRET_MAP => {
                    let row = section.value(&SINGLE_KEY);
                    self.secret_rows
                        .extend(row.map(|row| (entry.seqno, row.to_vec())));
                }
                SERVICE_INFO => {
                    let certificate = section.value(&SINGLE_KEY).and_then(certificate_of);
                    let known = self.identities.last() == certificate.as_ref();
                    self.identities.extend(certificate.filter(|_| !known));
                }
                _ => {}
            }
        }
    }

    pub(super) fn finish(
        self,
        source: &LedgerSource,
        settlement: Settlement,
        tail: Option<Tail>,
    ) -> Result<PublicLedger, RecoveryError> {
        let report = self.walk.finish()?;
        if !report.pinned {
            // An earlier identity cannot vouch for what was written after it.
            return Err(RecoveryError::Identity {
                got: report.service_identity.unwrap_or_default(),
                want: self.identity,
            });
        }
        let bad = |table, reason: String| RecoveryError::Table { table, reason };
        let (last, leaf) = self
            .last
            .ok_or_else(|| bad(SIGNATURES_MAP, "no signature".to_owned()))?;
        // Members and the constitution are taken from these tables, whatever file they came in.
        let read = ledger::Seqno(self.builder.seqno().0);
        if report.unsigned_tail > 0 || read != last.seqno {
            let want = report.verified_until.map_or(last.seqno, |last| last.seqno);
            return Err(RecoveryError::Unsigned { got: read, want });
        }
        let mut tree = self
            .builder
            .value(TREE_MAP, &SINGLE_KEY)
            .ok_or_else(|| bad(TREE_MAP, "no row".to_owned()))
            .and_then(|row| {
                MerkleTree::deserialise(row).map_err(|e| bad(TREE_MAP, e.to_string()))
            })?;
        tree.append(leaf);
        tree.flush(last.seqno);
        let cose_claims = match self.builder.value(COSE_SIGNATURES_MAP, &SINGLE_KEY) {
            None => (String::new(), String::new()),
            Some(row) => {
                let signature = CoseRootSignature::from_row(row)
                    .map_err(|e| bad(COSE_SIGNATURES_MAP, e.to_string()))?;
                (
                    signature.issuer.unwrap_or_default(),
                    signature.subject.unwrap_or_default(),
                )
            }
        };
        let rollbacks = self.expected.missing(last, &self.identities);
        let disk = &source.disk;
        let chunks = self.chunks.into_iter().map(|(found, entries)| Chunk {
            first: found.name.first,
            file: ChunkFile::Closed(disk.clone(), found.path()),
            verified: entries.is_some(),
            entries,
        });
        let mut ledger = PublicLedger {
            state: self.builder.finish(),
            last,
            tree,
            signed_root: Digest::ZERO,
            views: self.views.firsts(),
            secret_rows: self.secret_rows,
            identities: self.identities,
            cose_claims,
            tail,
            rollbacks,
            snapshot: self.snapshot,
            source: source.clone(),
            chunks: chunks.collect(),
            settlement,
        };
        ledger.signed_root = ledger.row::<SignatureRow>(SIGNATURES_MAP)?.root;
        if ledger.status()? == "Opening" {
            return Err(RecoveryError::NeverOpened);
        }
        Ok(ledger)
    }
}

/// Where the entries of a chunk begin.
fn header_length() -> usize {
    ChunkBuilder::open_header().len()
}

/// The ranges of a chunk that end with a signature entry each, as far as whole entries stand in it.
fn signed_parts(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (header_length(), header_length());
    while let Some(entry) = bytes.get(at..).and_then(|rest| Entry::parse(rest).ok()) {
        at += entry.bytes.len();
        if entry.section(SIGNATURES_MAP).is_some() {
            parts.push(start..at);
            start = at;
        }
    }
    parts
}

/// What finishes a chunk of these entries.
fn builder_of(first: ledger::Seqno, entries: &ChunkEntries) -> ChunkBuilder {
    let mut builder = ChunkBuilder::new(first);
    let ends = entries.offsets.iter().skip(1).copied().map(u64::from);
    for end in ends.chain((!entries.offsets.is_empty()).then_some(entries.end)) {
        let length = usize::try_from(end - builder.size()).unwrap_or(usize::MAX);
        // Entries that were read from a file of less than 4 GiB fit.
        let _ = builder.push(length);
    }
    builder
}

fn certificate_of(row: &[u8]) -> Option<String> {
    let info: serde_json::Value = serde_json::from_slice(row).ok()?;
    Some(info.get("cert")?.as_str()?.to_owned())
}
