//! Whether what a ledger says was decided was decided by those whose decision it was.
//!
//! Integrity says that a service signed every byte. A service that is run by a liar signs lies. So government is replayed
//! from the first transaction: every proposal, ballot, withdrawal and acknowledgement must be signed by its member, the
//! constitution in force is run over them, and what the ledger says was accepted and applied must be what comes out.
//! Nothing else may write the tables of governance, but for the little that nodes do alone ([`Rule`] has the list).
//!
//! What a ledger does not tell cannot be checked here: the signature on a request to record a state digest and on a submitted
//! share (neither is kept), the attestation of nodes, whether compiled scripts are those of the text that was voted, and
//! acts that were never recorded.

mod actual;
mod draft;
mod effects;
mod join_policy;
mod members;
mod names;
mod nodes;
mod proposals;
mod rule;

use std::collections::VecDeque;
use std::path::Path;

use constitution::{Engine, InProcess, Limits};
use ledger::{
    Digest, Report, SIGNATURES_MAP, SINGLE_KEY, SNAPSHOT_EVIDENCE_MAP, SUBMITTED_SHARES_MAP,
    SignatureRow, TxId,
};
use serde::Serialize;

use self::actual::Actual;
use self::members::AckAct;
use self::names::{
    ACCEPTED, COSE_HISTORY, COSE_RECENT_PROPOSALS, MEMBER_ACKS, NODE_CERTS, NODE_INFO, PROPOSALS,
    PROPOSALS_INFO, SERVICE_INFO, SIGNED_REQUESTS, ServiceInfo, TOKEN_TABLES, is_framework, row,
};
use self::proposals::{ActKind, Bench};
pub use self::rule::{Breach, LocatedBreach, Rule};
use crate::error::AuditError;
use crate::replay::{Replay, Transaction};
use crate::tables::Tables;
use crate::verify::VerifyOptions;

/// How many roots of earlier signatures a member may acknowledge.
const RECENT_ROOTS: usize = 64;

/// What a replay of government came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Legitimacy {
    /// The last transaction that was judged.
    pub judged_until: Option<TxId>,
    /// The first rule that was broken. Nothing behind it was judged.
    pub breach: Option<LocatedBreach>,
    /// Acts that are in a form that is not judged here.
    pub unjudged: Vec<Unjudged>,
    /// Proposals found signed, and decided as their constitution says.
    pub proposals: u64,
    /// Ballots.
    pub ballots: u64,
    /// Withdrawals.
    pub withdrawals: u64,
    /// Acknowledgements by which members became active, or stayed it.
    pub acknowledgements: u64,
    /// Proposals that were applied, each with the writes it must have.
    pub applied: u64,
    /// Recoveries under a new identity.
    pub recoveries: u64,
}

/// An act that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The transaction.
    pub transaction: TxId,
    /// Why.
    pub reason: &'static str,
}

impl Legitimacy {
    /// Whether every act was judged and none broke a rule.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.breach.is_none() && self.unjudged.is_empty()
    }
}

/// Verifies a ledger and replays its government. Scripts run on a thread of this process, within the limits that governance
/// set.
///
/// # Errors
/// [`AuditError`] when the ledger does not verify; a broken rule of government is in the result.
pub fn judge_directory(
    directory: &Path,
    options: &VerifyOptions,
) -> Result<(Report, Legitimacy), AuditError> {
    let mut replay = Replay::open(directory, options)?;
    let mut engine = InProcess::new(Limits::default());
    let mut judge = Judge::new(&mut engine);
    while let Some(transaction) = replay.next_transaction()? {
        if !transaction.signed || !judge.transaction(&transaction) {
            break;
        }
    }
    let legitimacy = judge.finish();
    Ok((replay.report().clone(), legitimacy))
}

/// The replay of government. Show it every transaction from the first on.
pub struct Judge<'e> {
    engine: &'e mut dyn Engine,
    tables: Tables,
    /// Roots of the latest signatures, newest last.
    roots: VecDeque<Digest>,
    found: Legitimacy,
}

impl<'e> Judge<'e> {
    /// A replay that runs scripts with this engine.
    #[must_use]
    pub fn new(engine: &'e mut dyn Engine) -> Self {
        Self {
            engine,
            tables: Tables::new(),
            roots: VecDeque::new(),
            found: Legitimacy::default(),
        }
    }

    /// Judges the next transaction; false once a rule is broken, after which no other is judged.
    pub fn transaction(&mut self, transaction: &Transaction<'_>) -> bool {
        if self.found.breach.is_some() {
            return false;
        }
        if let Err(breach) = self.judge(transaction) {
            self.found.breach = Some(LocatedBreach {
                transaction: transaction.entry.id(),
                file: transaction.file.to_string(),
                offset: transaction.offset,
                breach,
            });
            return false;
        }
        let entry = &transaction.entry;
        self.tables
            .apply_some(entry.id(), &entry.sections, is_framework);
        self.found.judged_until = Some(entry.id());
        true
    }

    /// The tables of the framework as the transactions so far left them.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What was found so far.
    #[must_use]
    pub const fn found(&self) -> &Legitimacy {
        &self.found
    }

    /// The result.
    #[must_use]
    pub fn finish(self) -> Legitimacy {
        self.found
    }

    fn judge(&mut self, transaction: &Transaction<'_>) -> Result<(), Breach> {
        let actual = Actual::of(&transaction.entry);
        let id = transaction.entry.id();
        if id.seqno.0 == 1 {
            return members::genesis(&actual);
        }
        if let Some(row) = actual.value(SIGNATURES_MAP, &SINGLE_KEY) {
            return self.signature(row);
        }
        let touched = |tables: &[&str]| tables.iter().any(|table| actual.touches(table));
        if !actual.tables().iter().any(|table| is_framework(table)) {
            Ok(())
        } else if touched(&[SIGNED_REQUESTS]) && !touched(&[COSE_HISTORY]) {
            self.unjudged(id, "signed in the way of CCF 1.x and 2.x");
            Ok(())
        } else if touched(&[
            COSE_HISTORY,
            PROPOSALS,
            PROPOSALS_INFO,
            COSE_RECENT_PROPOSALS,
        ]) {
            self.proposal(&actual, transaction)
        } else if touched(&[MEMBER_ACKS]) {
            self.acknowledgement(&actual, id)
        } else if touched(&[SERVICE_INFO]) {
            self.service(&actual, id)
        } else if touched(&[SUBMITTED_SHARES_MAP]) {
            nodes::share_submission(&self.tables, &actual)
        } else if touched(&[NODE_INFO, NODE_CERTS]) {
            nodes::node(&self.tables, &actual)
        } else if touched(TOKEN_TABLES) {
            nodes::token_keys(&self.tables, &actual)
        } else {
            actual.only(&[SNAPSHOT_EVIDENCE_MAP], Rule::Unexplained)
        }
    }

    fn signature(&mut self, row: &[u8]) -> Result<(), Breach> {
        let row: SignatureRow = serde_json::from_slice(row)
            .map_err(|e| Rule::StateDigest.broken(e.to_string(), "a signature"))?;
        if self.roots.len() == RECENT_ROOTS {
            self.roots.pop_front();
        }
        self.roots.push_back(row.root);
        Ok(())
    }

    fn proposal(
        &mut self,
        actual: &Actual<'_>,
        transaction: &Transaction<'_>,
    ) -> Result<(), Breach> {
        let mut bench = Bench {
            tables: &self.tables,
            engine: self.engine,
            tree: transaction.tree,
        };
        let act = proposals::judge(&mut bench, actual)?;
        match act.kind {
            ActKind::Proposal => self.found.proposals += 1,
            ActKind::Ballot => self.found.ballots += 1,
            ActKind::Withdrawal => self.found.withdrawals += 1,
        }
        self.found.applied += u64::from(act.state == ACCEPTED);
        if act.uncompared {
            let id = transaction.entry.id();
            self.unjudged(
                id,
                "compiled scripts or token keys are in a form that is not compared",
            );
        }
        Ok(())
    }

    fn acknowledgement(&mut self, actual: &Actual<'_>, id: TxId) -> Result<(), Breach> {
        match members::ack(&self.tables, actual, self.roots.iter())? {
            AckAct::Update => {}
            AckAct::Ack => self.found.acknowledgements += 1,
            AckAct::OldAck => self.unjudged(id, "signed in the way of CCF 1.x and 2.x"),
        }
        Ok(())
    }

    /// Outside proposals the service changes only when it is recovered.
    fn service(&mut self, actual: &Actual<'_>, id: TxId) -> Result<(), Breach> {
        let value = actual.value(SERVICE_INFO, &SINGLE_KEY);
        let after: Option<ServiceInfo> = row(value, SERVICE_INFO, Rule::Unexplained)?;
        let after = after.map(|service| service.status).unwrap_or_default();
        let before = members::service(&self.tables)?.map(|service| service.status);
        match (before.as_deref().unwrap_or_default(), after.as_str()) {
            (_, "Recovering") => {
                nodes::recovery_start(&self.tables, actual, id, self.roots.back())?;
                self.found.recoveries += 1;
                Ok(())
            }
            ("WaitingForRecoveryShares", "Open") => nodes::recovery_end(&self.tables, actual),
            (before, after) => {
                Err(Rule::Unexplained.broken(format!("{before}, then {after}"), "a proposal"))
            }
        }
    }

    fn unjudged(&mut self, transaction: TxId, reason: &'static str) {
        self.found.unjudged.push(Unjudged {
            transaction,
            reason,
        });
    }
}
