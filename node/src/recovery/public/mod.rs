//! The public part of a ledger, checked and replayed.

mod reader;
mod views;

use std::path::PathBuf;
use std::sync::Arc;

use ccf_rs::Seqno;
use ledger::{Digest, Frontier, MerkleTree, PublicKey, SINGLE_KEY, TxId};
use serde::de::DeserializeOwned;

use self::reader::{Interrupted, Reader};
use super::checkpoint::Rollback;
use super::crew;
use super::directory::{Chunks, Found, LedgerSource, io};
use super::secrets::complete_rows;
use super::settle::{self, Settlement, Tail};
use super::snapshot;
use super::{PrivateBase, PrivateRecovery, RecoveryError};
use crate::pipeline::{Chunk, ChunkFile, History, read_file};
use crate::store::State;

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
    pub secret_rows: Vec<(ledger::Seqno, Vec<u8>)>,
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
    fn private(&self, source: &LedgerSource) -> PrivateBase {
        PrivateBase {
            file: ChunkFile::Closed(Arc::clone(&source.disk), self.path.clone()),
            digest: self.digest,
            edge: self.edge.clone(),
        }
    }
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

    /// Hands the chunks over to a history, for looking back, and adds the rows of secrets that it finds before a snapshot. What is returned
    /// reads the private tables once their secrets are known. The chunks have their last names once [`Self::settle`] has run.
    pub fn hand_over(&mut self, history: &History) -> PrivateRecovery {
        let chunks = std::mem::take(&mut self.chunks);
        let read = chunks.iter().filter(|chunk| chunk.entries.is_some());
        let files = read
            .map(|chunk| (chunk.first, chunk.file.clone()))
            .collect();
        for chunk in chunks {
            history.add_chunk(chunk);
        }
        complete_rows(history, &mut self.secret_rows);
        let base = self.snapshot.as_ref();
        PrivateRecovery {
            base: base.map(|base| base.private(&self.source)),
            chunks: files,
            last: self.last,
            root: self.tree.root(),
        }
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
