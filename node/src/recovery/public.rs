//! The public part of a ledger, checked and replayed.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ccf_rs::Seqno;
use ledger::{
    COSE_SIGNATURES_MAP, ChunkBuilder, ChunkName, CoseRootSignature, Digest, Entry, Frontier,
    HISTORICAL_SECRET_MAP, LocatedFault, MerkleTree, PendingSignature, PublicKey, SIGNATURES_MAP,
    SINGLE_KEY, SignatureRow, Snapshot, Stretch, TREE_MAP, Trust, TxId, Walk, layout_fault,
};
use serde::de::DeserializeOwned;

use super::PrivateBase;
use super::RecoveryError;
use super::checkpoint::{Expected, Rollback};
use super::crew::{self, ScannedChunk};
use super::directory::{Chunks, Found, LedgerSource, io};
use super::settle::{self, Settlement, Tail};
use super::snapshot::{self, SnapshotFile};
use crate::pipeline::{Chunk, ChunkEntries, ChunkFile, read_file, without_suffix};
use crate::store::{State, StateBuilder};

const PREVIOUS_IDENTITY: &str = "public:ccf.gov.service.previous_service_identity";
const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// A ledger up to its last signature.
pub struct PublicLedger {
    /// The public tables.
    pub state: State,
    /// The last signature: everything up to it is verified.
    pub last: TxId,
    /// The Merkle tree over everything up to and with the last signature.
    pub tree: MerkleTree,
    /// The root that the last signature signs: over everything before it.
    pub signed_root: Digest,
    /// First position of each view, from view 1 on.
    pub views: Vec<Seqno>,
    /// Rows of the table of wrapped earlier ledger secrets with their positions, oldest first.
    pub secret_rows: Vec<(Seqno, Vec<u8>)>,
    /// Certificates of the service's identities, PEM, oldest first.
    pub identities: Vec<String>,
    /// `iss` and `sub` of the last COSE signature.
    pub cose_claims: (String, String),
    /// What stands behind the last signature.
    pub tail: Option<Tail>,
    /// Checkpoints that this ledger does not hold.
    pub rollbacks: Vec<Rollback>,
    /// The snapshot that the reading began at.
    pub snapshot: Option<SnapshotBase>,
    source: LedgerSource,
    chunks: Vec<Chunk>,
    settlement: Settlement,
}

/// A snapshot that a ledger was read from.
#[derive(Clone)]
pub struct SnapshotBase {
    /// The signature it was taken at.
    pub id: TxId,
    /// The file.
    pub path: PathBuf,
    /// Digest of its entry.
    pub digest: Digest,
    /// The Merkle tree over everything up to there.
    pub edge: Frontier,
}

impl SnapshotBase {
    /// Where the private tables begin.
    pub fn private(&self, source: &LedgerSource) -> PrivateBase {
        PrivateBase {
            file: ChunkFile::Closed(Arc::clone(&source.disk), self.path.clone()),
            digest: self.digest,
            edge: self.edge.clone(),
        }
    }
}

/// The walk through the files.
struct Reader {
    walk: Walk,
    /// Id of the key that must sign at the end.
    identity: String,
    builder: StateBuilder,
    views: Views,
    secret_rows: Vec<(Seqno, Vec<u8>)>,
    identities: Vec<String>,
    last: Option<(TxId, Digest)>,
    chunks: Vec<(Found, Option<ChunkEntries>)>,
    snapshot: Option<SnapshotBase>,
    expected: Expected,
}

/// Why a chunk that a writer may have been interrupted in was not read to its end.
struct Interrupted {
    /// Offset behind the last verified signature.
    kept: usize,
    reason: String,
}

/// View history as signatures tell it (ledger format, section 13.3).
#[derive(Default)]
struct Views {
    firsts: Vec<Seqno>,
    last_signature: u64,
}

impl PublicLedger {
    /// Reads a ledger whose service has this identity. Changes nothing on disk.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub fn read(source: &LedgerSource, identity: &PublicKey) -> Result<Self, RecoveryError> {
        let recovery = source.recovery_names()?;
        if !recovery.is_empty() {
            // A recovery that came to its end and was stopped while its files were renamed is the ledger.
            let whole = read(source, &source.chunks(true)?, identity);
            if let Ok(mut whole) = whole
                && whole.status().is_ok_and(|status| status == "Open")
            {
                whole.settlement.unsuffix = recovery;
                return Ok(whole);
            }
        }
        let mut ledger = read(source, &source.chunks(false)?, identity)?;
        ledger.settlement.ignore.extend(recovery);
        Ok(ledger)
    }

    /// Status in `service.info`.
    fn status(&self) -> Result<String, RecoveryError> {
        let info: serde_json::Value = self.row(SERVICE_INFO)?;
        let status = info.get("status").and_then(serde_json::Value::as_str);
        Ok(status.unwrap_or_default().to_owned())
    }

    /// The row of a table with one row.
    ///
    /// # Errors
    /// [`RecoveryError::Table`] when it is missing or of another form.
    pub fn row<T: DeserializeOwned>(&self, table: &'static str) -> Result<T, RecoveryError> {
        let bad = |reason: String| RecoveryError::Table { table, reason };
        let row = self.state.value(table, &SINGLE_KEY);
        let row = row.ok_or_else(|| bad("no row".to_owned()))?;
        serde_json::from_slice(row).map_err(|e| bad(e.to_string()))
    }

    /// Makes the directory what the recovered service goes on from: what stands behind the last signature is set aside, the
    /// chunk before it finished. A power cut in the middle leaves a directory that can be read and settled again.
    ///
    /// # Errors
    /// [`RecoveryError::Io`].
    pub fn settle(&mut self) -> Result<(), RecoveryError> {
        settle::settle(&self.source, &self.settlement)?;
        let chunks = std::mem::take(&mut self.chunks);
        self.chunks = chunks
            .into_iter()
            .map(|chunk| self.settlement.renamed(&self.source, chunk))
            .collect();
        self.settlement = Settlement::default();
        Ok(())
    }

    /// The chunks, for looking back. They have their last names once [`Self::settle`] has run.
    pub fn take_chunks(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.chunks)
    }
}

/// Reads these chunks, from the newest snapshot on that the service vouches for and that a chunk follows, or else from the
/// first transaction.
fn read(
    source: &LedgerSource,
    chunks: &Chunks,
    identity: &PublicKey,
) -> Result<PublicLedger, RecoveryError> {
    // What is behind a checkpoint is read, so that it can be seen to be there.
    let kept = source.checkpoints.iter().map(|kept| kept.txid.seqno).min();
    for (at, path) in snapshot::candidates(source)? {
        if kept.is_some_and(|kept| at >= kept) || !chunks.continue_behind(at) {
            continue;
        }
        let file = snapshot::load(source, path)?;
        let Some(snapshot) = file.verified(identity) else {
            continue;
        };
        return read_whole(source, chunks, &|| {
            Reader::from_snapshot(identity, source, &snapshot, &file)
        });
    }
    if chunks.ledger.is_empty() {
        let path = source.directory.clone();
        return Err(RecoveryError::Empty { path });
    }
    read_whole(source, chunks, &|| Ok(Reader::new(identity, source)))
}

/// A chunk with a signature that does not hold is read again without it: what was seen behind it leaves no trace.
fn read_whole(
    source: &LedgerSource,
    chunks: &Chunks,
    begin: &dyn Fn() -> Result<Reader, RecoveryError>,
) -> Result<PublicLedger, RecoveryError> {
    let mut limit = None;
    loop {
        match read_until(source, chunks, begin()?, limit.as_ref())? {
            Ok(ledger) => return Ok(ledger),
            Err(interrupted) => limit = Some(interrupted),
        }
    }
}

/// Reads these chunks, the uncommitted one among them that `limit` is of to there.
fn read_until(
    source: &LedgerSource,
    chunks: &Chunks,
    mut reader: Reader,
    limit: Option<&Interrupted>,
) -> Result<Result<PublicLedger, Interrupted>, RecoveryError> {
    let mut settlement = Settlement {
        ignore: chunks.superseded.iter().map(|found| found.name).collect(),
        ..Settlement::default()
    };
    let behind = reader.walk.next_seqno();
    let before = chunks
        .ledger
        .iter()
        .take_while(|found| found.name.first < behind)
        .count();
    let (before, later) = chunks.ledger.split_at_checked(before).unwrap_or_default();
    // The snapshot stands for them. They are looked into when something of them is asked for.
    reader
        .chunks
        .extend(before.iter().map(|found| (found.clone(), None)));
    let committed: Vec<Found> = later
        .iter()
        .take_while(|found| found.name.committed)
        .cloned()
        .collect();
    crew::walk(source, &committed, |found, scanned, pending| {
        reader.committed(found, scanned, pending)
    })?;
    let mut tail = None;
    let mut rest = later.iter().skip(committed.len());
    for found in rest.by_ref() {
        reader.follows(found)?;
        if found.name.committed {
            // Behind one that is not committed: a node of several may have left it so.
            let only = [found.clone()];
            crew::walk(source, &only, |found, scanned, pending| {
                reader.committed(found, scanned, pending)
            })?;
            continue;
        }
        let bytes = read_file(source.disk.as_ref(), &found.path()).map_err(io(&found.path()))?;
        match reader.uncommitted(found, &bytes, limit, &mut settlement) {
            Ok(found) => tail = found,
            Err(interrupted) => return Ok(Err(interrupted)),
        }
        if tail.is_some() {
            break;
        }
    }
    for found in rest {
        // Behind a tail there is nothing; a committed chunk there was acknowledged.
        if found.name.committed {
            reader.follows(found)?;
        }
        settlement.ignore.push(found.name);
    }
    reader.finish(source, settlement, tail).map(Ok)
}

impl Reader {
    fn new(identity: &PublicKey, source: &LedgerSource) -> Self {
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
    fn from_snapshot(
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
        reader.views = Views {
            firsts: snapshot
                .view_history
                .iter()
                .map(|first| Seqno(first.0))
                .collect(),
            last_signature: at.0,
        };
        let rows = snapshot
            .maps
            .iter()
            .find(|map| map.name == HISTORICAL_SECRET_MAP);
        let rows = rows.into_iter().flat_map(|map| &map.rows);
        reader.secret_rows = rows
            .map(|(_, row, version)| (Seqno(version.0), row.to_vec()))
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
    fn follows(&self, found: &Found) -> Result<(), RecoveryError> {
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
    fn committed(
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
    fn uncommitted(
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
                        .extend(row.map(|row| (seqno, row.to_vec())));
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

    fn finish(
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
            views: self.views.firsts,
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

impl Views {
    fn signed(&mut self, id: TxId) {
        let view = usize::try_from(id.view.0).unwrap_or(usize::MAX);
        let first = Seqno(self.last_signature + 1);
        // A view is below 2^31, and a ledger that jumps over many was verified up to here.
        while self.firsts.len() < view.min(MAX_VIEWS) {
            self.firsts.push(first);
        }
        self.last_signature = id.seqno.0;
    }
}

/// More views than any service goes through: an election each second for a year.
const MAX_VIEWS: usize = 1 << 25;

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

impl Settlement {
    /// The chunk under the name that it has once this is done.
    fn renamed(&self, source: &LedgerSource, chunk: Chunk) -> Chunk {
        let finished = self
            .finish
            .iter()
            .find(|(name, _)| name.first == chunk.first)
            .map(|(name, builder)| ChunkName {
                recovery: name.recovery,
                ..ChunkName::committed(builder.first(), builder.last())
            });
        let old = self
            .unsuffix
            .iter()
            .find(|name| name.first == chunk.first)
            .copied();
        let Some(name) = finished.or(old) else {
            return chunk;
        };
        let path = source.directory.join(without_suffix(name).to_string());
        Chunk {
            file: ChunkFile::Closed(source.disk.clone(), path),
            ..chunk
        }
    }
}
