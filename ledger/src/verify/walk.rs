//! The part of a walk that follows the ledger in order.

use super::check::{Check, Fault, Located, Place};
use super::report::{Anchor, Report};
use super::scan::{Run, Stretch, entry_at, later_view};
use super::service::{Tables, single};
use super::signature::PendingSignature;
use super::tree::Tree;
use crate::checkpoint::Checkpoint;
use crate::chunk::{ChunkError, ChunkName};
use crate::endorsement::{EndorsementRow, verify_chain};
use crate::entry::{Entry, EntryError};
use crate::id::{Seqno, TxId, View};
use crate::key::PublicKey;
use crate::merkle::TREE_MAP;
use crate::signature::{COSE_SIGNATURES_MAP, SIGNATURES_MAP, SignatureRow};
use crate::snapshot::{SNAPSHOT_EVIDENCE_MAP, SnapshotStart};

/// What the caller knows from outside the ledger.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The service key the caller pinned.
    pub service: Option<PublicKey>,
    /// Endorsements, newest first, that lead from the pinned key back to one that signed this ledger: for a ledger that was
    /// copied before a recovery.
    pub endorsements: Vec<EndorsementRow>,
    /// What the caller kept of the ledger earlier.
    pub checkpoint: Option<Checkpoint>,
}

/// The walk. Give it the stretches of every chunk in order, verify the signatures it leaves, then [`Self::finish`]. A clone
/// goes on by itself: who watches a growing ledger keeps a walk to where files are complete.
#[derive(Clone)]
pub struct Walk {
    trust: Trust,
    tree: Tree,
    view: View,
    tables: Tables,
    report: Report,
    last_signature: Option<LastSignature>,
    last_was_signature: bool,
    checkpoint_passed: bool,
}

/// What a checkpoint needs of the last signature.
#[derive(Clone)]
struct LastSignature {
    row: SignatureRow,
    cose: Option<Vec<u8>>,
    service_certificate: String,
}

impl Walk {
    /// A walk from the first transaction.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self::with_tree(trust, Tree::new())
    }

    /// A walk from a verified snapshot: the ledger begins behind it.
    ///
    /// # Errors
    /// Rows of the snapshot that break a rule.
    pub fn from_snapshot(trust: Trust, start: &SnapshotStart) -> Result<Self, Fault> {
        let mut walk = Self::with_tree(trust, Tree::resumed(start.frontier.clone()));
        start.rows(|table, key, value| walk.tables.seed(table, key, value))?;
        walk.view = start.id.view;
        walk.report.from_snapshot = Some(start.id);
        walk.report.verified_until = Some(start.id);
        walk.report.last = Some(start.id);
        walk.tables.signed(start.id, start.signed_root);
        Ok(walk)
    }

    fn with_tree(trust: Trust, tree: Tree) -> Self {
        Self {
            trust,
            tree,
            view: View(0),
            tables: Tables::default(),
            report: Report::default(),
            last_signature: None,
            last_was_signature: false,
            checkpoint_passed: false,
        }
    }

    /// Position of the next entry.
    #[must_use]
    pub fn next_seqno(&self) -> Seqno {
        self.tree.last().next()
    }

    /// Entries walked so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.report.entries
    }

    /// From here on the ledger has to hold this checkpoint, instead of one that was given before. One that the walk is
    /// past already is not looked at.
    pub fn hold_to(&mut self, checkpoint: Checkpoint) {
        if checkpoint.txid.seqno >= self.next_seqno() {
            self.trust.checkpoint = Some(checkpoint);
            self.checkpoint_passed = false;
        }
    }

    /// Position before which the root is wanted, for [`Stretch::scan`].
    #[must_use]
    pub fn stop(&self) -> Option<Seqno> {
        self.trust
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.txid.seqno)
    }

    /// A chunk begins.
    ///
    /// # Errors
    /// [`Check::ChunkName`], [`Check::ChunkLayout`] behind an unfinished entry.
    pub fn begin_chunk(&mut self, name: &ChunkName) -> Result<(), Box<Located>> {
        let torn = self.report.torn_bytes;
        let next = self.next_seqno();
        let fault = if torn > 0 {
            let got = format!("a chunk behind {torn} bytes of an unfinished entry");
            Check::ChunkLayout.fault(got, "none")
        } else if name.first != next {
            let got = format!("a chunk from {}", name.first);
            Check::ChunkName.fault(got, format!("from {next}"))
        } else {
            return Ok(());
        };
        Err(located(name, 0, None, fault))
    }

    /// The entries of a piece that begins at `offset` of a chunk, as scanned. Signatures are left in `pending`.
    ///
    /// # Errors
    /// The first thing that is wrong, but for signatures. The walk cannot go on behind it.
    pub fn stretch(
        &mut self,
        name: &ChunkName,
        offset: u64,
        piece: &[u8],
        stretch: &Stretch,
        pending: &mut Vec<PendingSignature>,
    ) -> Result<(), Box<Located>> {
        let at = |within: usize| offset + within as u64;
        if stretch.last.is_some() {
            self.begins(stretch)
                .map_err(|fault| located(name, offset, Some(stretch.first), fault))?;
        }
        for run in &stretch.runs {
            let place = Place {
                file: name.to_string(),
                offset: at(run.offset),
                seqno: Some(self.next_seqno()),
            };
            self.run(stretch, run, piece, &place, pending)
                .map_err(|fault| Box::new(Located { place, fault }))?;
        }
        if let Some(last) = stretch.last {
            self.view = last.view;
            self.report.entries += stretch.entries();
            self.report.last = Some(last);
            self.last_was_signature = stretch.ends_with_signature;
        }
        match &stretch.fault {
            Some((within, seqno, fault)) => Err(located(name, at(*within), *seqno, fault.clone())),
            None => Ok(()),
        }
    }

    /// A chunk has come to its end at `offset`. `torn_bytes` are left of an entry that was not written whole.
    ///
    /// # Errors
    /// [`Check::ChunkName`], [`Check::ChunkEnd`].
    pub fn end_chunk(
        &mut self,
        name: &ChunkName,
        offset: u64,
        finished: bool,
        torn_bytes: u64,
    ) -> Result<(), Box<Located>> {
        let last = self.tree.last();
        let fault = match name.last.filter(|want| *want != last) {
            Some(want) => Check::ChunkName.fault(format!("a last entry {last}"), want.to_string()),
            // Only a finished chunk is renamed so. The name is not signed, and must not make an open one count as more.
            None if name.committed && !finished => {
                Check::ChunkEnd.fault("an open chunk named committed", "a finished one")
            }
            None if finished && !self.last_was_signature => Check::ChunkEnd.fault(
                "a finished chunk without signature at its end",
                "a signature",
            ),
            None => {
                self.report.torn_bytes = torn_bytes;
                self.report.chunks += 1;
                return Ok(());
            }
        };
        Err(located(name, offset, None, fault))
    }

    /// The result, once every signature that was left has been verified.
    ///
    /// # Errors
    /// [`Check::Signed`] without any signature, [`Check::PinnedIdentity`] when the pinned service has nothing to do with
    /// this ledger, [`Check::Checkpoint`] when the ledger ends before the checkpoint.
    pub fn finish(mut self) -> Result<Report, Fault> {
        let Some(verified) = self.report.verified_until else {
            return Err(Check::Signed.fault("no signature", "at least one"));
        };
        if let Some(checkpoint) = self
            .trust
            .checkpoint
            .as_ref()
            .filter(|_| !self.checkpoint_passed)
        {
            let got = format!("a ledger until {}", self.tree.last());
            let want = format!("one that holds {}", checkpoint.txid);
            return Err(Check::Checkpoint.fault(got, want));
        }
        let signed = self.tables.signed_epochs();
        self.report.signed_root = signed.last().map(|(_, _, root)| *root);
        self.report.anchor = self.anchor(verified)?;
        self.report.pinned = matches!(
            self.report.anchor,
            Anchor::Service { .. } | Anchor::Successor { .. }
        );
        self.report.identities = signed.iter().map(|(key, ..)| key.id()).collect();
        self.report.service_identity = self.report.identities.last().cloned();
        self.report.empty_endorsements = self.tables.empty_endorsements;
        self.report.unsigned_tail = self.tree.last().0.saturating_sub(verified.seqno.0);
        self.report.root = self.report.unsigned_tail.eq(&0).then(|| self.tree.root());
        self.report.checkpoint = self
            .last_signature
            .take()
            .and_then(LastSignature::checkpoint);
        Ok(self.report)
    }

    /// LED-20: how the pinned identity vouches for the ledger. Anybody can name it behind the last signature, so that only
    /// identities count that have signed.
    fn anchor(&self, verified: TxId) -> Result<Anchor, Fault> {
        let Some(pinned) = &self.trust.service else {
            return Ok(Anchor::None);
        };
        let identity = pinned.id();
        let epochs = self.tables.signed_epochs();
        let last = epochs.last().map(|(key, ..)| *key);
        if last == Some(pinned) {
            return Ok(Anchor::Service { identity });
        }
        if let Some((_, until, _)) = epochs.iter().rfind(|(key, ..)| *key == pinned) {
            let until = *until;
            return Ok(Anchor::Predecessor { identity, until });
        }
        let chain = verify_chain(pinned, &self.trust.endorsements)
            .map_err(|e| Check::PinnedIdentity.fault(e.to_string(), "a chain of endorsements"))?;
        let step = chain
            .iter()
            .position(|endorsed| last == Some(&endorsed.key) && endorsed.covers(verified));
        match step {
            Some(step) => Ok(Anchor::Successor {
                identity,
                endorsements: step as u64 + 1,
            }),
            None => {
                let got = last.map(PublicKey::id).unwrap_or_default();
                Err(Check::PinnedIdentity.fault(got, identity))
            }
        }
    }

    /// The first entry of a stretch follows what came before.
    fn begins(&mut self, stretch: &Stretch) -> Result<(), Fault> {
        let want = self.next_seqno();
        if stretch.first != want {
            return Err(Check::Seqno.fault(stretch.first.to_string(), want.to_string()));
        }
        later_view(stretch.first_view, self.view)
    }

    fn run(
        &mut self,
        stretch: &Stretch,
        run: &Run,
        piece: &[u8],
        place: &Place,
        pending: &mut Vec<PendingSignature>,
    ) -> Result<(), Fault> {
        if self.stop() == Some(self.next_seqno()) {
            self.pass_checkpoint(&entry_at(piece, run.offset)?)?;
        }
        let leaves = stretch.leaves(run);
        if let Some(offset) = run.read {
            let signatures = self.report.signatures;
            self.read(&entry_at(piece, offset)?, place, pending)?;
            if self.report.signatures > signatures {
                self.report.signed_leaf = leaves.first().copied();
            }
        }
        self.tree.append(leaves, &run.fold);
        Ok(())
    }

    /// LED-23: everything before the checkpoint is what it was.
    fn pass_checkpoint(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        let Some(checkpoint) = &self.trust.checkpoint else {
            return Ok(());
        };
        let root = self.tree.root();
        if (entry.id(), root) != (checkpoint.txid, checkpoint.root) {
            return Err(Check::Checkpoint.fault(
                format!("root {root} before {}", entry.id()),
                format!("{} before {}", checkpoint.root, checkpoint.txid),
            ));
        }
        self.checkpoint_passed = true;
        Ok(())
    }

    /// An entry that writes a table the walk follows.
    fn read(
        &mut self,
        entry: &Entry<'_>,
        place: &Place,
        pending: &mut Vec<PendingSignature>,
    ) -> Result<(), Fault> {
        self.tables.apply(entry)?;
        if let Some(row) = single(entry, SNAPSHOT_EVIDENCE_MAP) {
            snapshot_evidence(entry, row)?;
        }
        if let Some(row) = signature_row(entry)? {
            let signature = self.signature(entry, row, place)?;
            pending.push(signature);
            self.report.signatures += 1;
            self.report.verified_until = Some(entry.id());
            self.tree.flush();
        }
        Ok(())
    }

    /// Everything about a signature but the cryptography.
    fn signature(
        &mut self,
        entry: &Entry<'_>,
        row: &[u8],
        place: &Place,
    ) -> Result<PendingSignature, Fault> {
        signature_tables_only(entry)?;
        let row: SignatureRow = serde_json::from_slice(row)
            .map_err(|e| Check::SignatureRow.fault(e.to_string(), "a signature row"))?;
        let root = self.tree.root();
        if row.root != root {
            return Err(Check::Root.fault(row.root.to_hex(), root.to_hex()));
        }
        if (row.view, row.seqno) != (entry.view, entry.seqno) {
            let got = format!("{}.{}", row.view, row.seqno);
            return Err(Check::SignatureId.fault(got, entry.id().to_string()));
        }
        let node = self.tables.signer(&row)?;
        let tree = single(entry, TREE_MAP).ok_or_else(|| Check::Tree.fault("no tree", "a tree"))?;
        self.tree.check_serialised(tree, &root)?;
        let cose = single(entry, COSE_SIGNATURES_MAP).map(<[u8]>::to_vec);
        self.report.cose_signatures += u64::from(cose.is_some());
        self.tables.signed(entry.id(), root);
        let signature = row.sig.0.clone();
        let node_id = row.node.clone();
        self.last_signature = Some(LastSignature {
            row,
            cose: cose.clone(),
            service_certificate: self
                .tables
                .service_certificate()
                .unwrap_or_default()
                .to_owned(),
        });
        Ok(PendingSignature {
            place: place.clone(),
            id: entry.id(),
            root,
            node,
            node_id,
            signature,
            service: self.tables.service_key(),
            cose,
        })
    }
}

impl LastSignature {
    fn checkpoint(self) -> Option<Checkpoint> {
        Checkpoint::of_signature(&self.row, self.cose.as_deref(), &self.service_certificate)
    }
}

/// LED-08: what writes the table of signatures is a signature, and no other row passes for one.
fn signature_row<'a>(entry: &Entry<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let Some(section) = entry.section(SIGNATURES_MAP) else {
        return Ok(None);
    };
    let rows = section.writes.len() + section.removes.len();
    match single(entry, SIGNATURES_MAP).filter(|_| rows == 1) {
        Some(row) => Ok(Some(row)),
        None => {
            let got = format!("{rows} changes to {SIGNATURES_MAP}");
            Err(Check::SignatureRow.fault(got, "its one row"))
        }
    }
}

/// LED-07.
fn signature_tables_only(entry: &Entry<'_>) -> Result<(), Fault> {
    let allowed = [SIGNATURES_MAP, COSE_SIGNATURES_MAP, TREE_MAP];
    let other = entry
        .sections
        .iter()
        .find(|section| !allowed.contains(&section.name));
    if let Some(section) = other {
        return Err(Check::SignatureMaps.fault(section.name, "signature tables only"));
    }
    if entry.has_private_domain() {
        return Err(Check::SignatureMaps.fault("private tables", "signature tables only"));
    }
    Ok(())
}

/// LED-24.
fn snapshot_evidence(entry: &Entry<'_>, row: &[u8]) -> Result<(), Fault> {
    let evidence: crate::snapshot::SnapshotEvidence = serde_json::from_slice(row)
        .map_err(|e| Check::SnapshotEvidence.fault(e.to_string(), "evidence of a snapshot"))?;
    match entry.claims_digest {
        // Entries without claims are older than receipts of snapshots.
        Some(claims) if claims != evidence.hash => {
            Err(Check::SnapshotEvidence.fault(claims.to_hex(), evidence.hash.to_hex()))
        }
        _ => Ok(()),
    }
}

/// What a chunk's layout is told as.
#[must_use]
pub fn layout_fault(name: &ChunkName, offset: u64, error: &ChunkError) -> Box<Located> {
    let fault = Check::ChunkLayout.fault(error.to_string(), "a whole chunk");
    located(name, offset, None, fault)
}

/// What an entry that does not parse is told as.
#[must_use]
pub fn entry_fault(name: &ChunkName, offset: u64, error: &EntryError) -> Box<Located> {
    let fault = Check::ChunkLayout.fault(error.to_string(), "an entry");
    located(name, offset, None, fault)
}

fn located(name: &ChunkName, offset: u64, seqno: Option<Seqno>, fault: Fault) -> Box<Located> {
    Box::new(Located {
        place: Place {
            file: name.to_string(),
            offset,
            seqno,
        },
        fault,
    })
}
