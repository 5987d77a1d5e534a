//! Trying a proposal before it is made: what the constitution would say of it, whose votes it needs, and what it would change.
//!
//! Everything runs here, over a copy of the tables: those a ledger directory holds (complete), or those that can be asked of a node
//! ([`ServiceTables`], which says what it could not see). Nothing is sent that changes anything.
//!
//! What CCF itself does beside the constitution (new shares, new keys, certificates) is told by name ([`Rehearsal::effects`]); its
//! writes are not foreseen.

mod effects;
mod overlay;
mod releases;
mod tables;

use std::collections::BTreeMap;
use std::fmt;

use constitution::{
    Case, Engine, EngineError, InProcess, Kv, KvError, Limits, ProposalState, Vote,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use overlay::Change;
pub use releases::ReleaseChange;
pub use tables::ServiceTables;

use crate::client::ClientError;
use crate::ids::{IdentityId, ProposalId};
use crate::member::Actions;
use crate::service::Explanation;
use effects::Foreseen;
use overlay::Overlay;

/// Why a rehearsal could not be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// The service could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The constitution could not be run.
    #[error("the constitution cannot be run: {0}")]
    Engine(#[from] EngineError),
    /// A stored value is not what it must be.
    #[error("table {table}: {reason}")]
    Stored {
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// The tables could not be read.
    #[error("{}", .0.0)]
    Tables(KvError),
}

/// What a proposal would meet and do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsal {
    /// What is wrong with it; nothing else is tried then.
    pub faults: Vec<String>,
    /// Where it would stand once submitted, without any vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_submission: Option<Explanation>,
    /// A smallest set of members whose yes would have it accepted. Absent when no votes would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes_needed: Option<Vec<IdentityId>>,
    /// Why carrying it out would fail, were it accepted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Every row it would change.
    pub changes: Vec<Change>,
    /// What CCF would do beside the rows.
    pub effects: Vec<String>,
    /// Which releases it would newly allow or forbid.
    pub releases: Vec<ReleaseChange>,
    /// Tables that mattered and could not be seen, or only in part, and why: the rehearsal took what it did not see for empty.
    pub unseen: BTreeMap<String, Unseen>,
}

/// Why a table was not seen, or only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unseen {
    /// No endpoint of either host shows it.
    NoEndpoint,
    /// Its rows are shown, but not all that is in them.
    InPart,
    /// A row is shown to who names it, but not which there are.
    NotListed,
    /// The service does not show it to this caller.
    Refused,
    /// Its rows are shown, but not when they were written.
    Age,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEndpoint => "no endpoint shows it",
            Self::InPart => "its endpoint leaves out parts of a row",
            Self::NotListed => "its endpoint shows single rows and no list of them",
            Self::Refused => "the service does not show it to you",
            Self::Age => "its endpoint does not tell when a row was written",
        })
    }
}

/// Tables to rehearse over.
pub trait Tables: Kv {
    /// The tables asked for that could not be seen, or only in part.
    fn unseen(&self) -> BTreeMap<String, Unseen> {
        BTreeMap::new()
    }
}

/// A copy of all tables is complete.
impl Tables for constitution::MemoryKv {}

/// Tries the proposal of `proposer` over these tables.
///
/// # Errors
/// [`RehearsalError`]; what is wrong with the proposal is no error but the result.
pub fn rehearse(
    actions: &Actions,
    proposer: &IdentityId,
    tables: &mut dyn Tables,
) -> Result<Rehearsal, RehearsalError> {
    let text = serde_json::to_string(actions).map_err(|error| ClientError::Request {
        reason: error.to_string(),
    })?;
    let mut stage = Stage::new(&text, proposer.as_str(), NOT_YET, tables)?;
    let mut rehearsal = stage.run()?;
    rehearsal.unseen = tables.unseen();
    Ok(rehearsal)
}

/// Where an open proposal stands, with the ballots cast so far.
///
/// # Errors
/// [`RehearsalError`].
pub fn explain(
    text: &str,
    proposer: &IdentityId,
    ballots: &BTreeMap<IdentityId, String>,
    id: &ProposalId,
    tables: &mut dyn Tables,
) -> Result<Explanation, RehearsalError> {
    let mut stage = Stage::new(text, proposer.as_str(), id.as_str(), tables)?;
    let votes = stage.count(ballots)?;
    stage.explain(&votes)
}

/// The id of a proposal that has none.
const NOT_YET: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const SINGLETON: [u8; 8] = [0; 8];

/// A proposal among the tables, and the constitution that judges it.
struct Stage<'a> {
    constitution: String,
    engine: InProcess,
    overlay: Overlay<'a>,
    text: &'a str,
    proposer: &'a str,
    id: &'a str,
}

impl<'a> Stage<'a> {
    fn new(
        text: &'a str,
        proposer: &'a str,
        id: &'a str,
        tables: &'a mut dyn Tables,
    ) -> Result<Self, RehearsalError> {
        let mut overlay = Overlay::new(tables);
        let table = "public:ccf.gov.constitution";
        let stored = overlay
            .get(table, &SINGLETON)
            .map_err(RehearsalError::Tables)?
            .unwrap_or_default();
        let constitution =
            serde_json::from_slice(&stored).map_err(|error| RehearsalError::Stored {
                table: table.to_owned(),
                reason: error.to_string(),
            })?;
        let options = overlay
            .get("public:ccf.gov.js_runtime_options", &SINGLETON)
            .map_err(RehearsalError::Tables)?;
        Ok(Self {
            constitution,
            engine: InProcess::new(Limits::governance(options.as_deref())),
            overlay,
            text,
            proposer,
            id,
        })
    }

    fn run(&mut self) -> Result<Rehearsal, RehearsalError> {
        let mut rehearsal = Rehearsal {
            faults: self.validate()?,
            on_submission: None,
            votes_needed: None,
            failure: None,
            changes: Vec::new(),
            effects: Vec::new(),
            releases: Vec::new(),
            unseen: BTreeMap::new(),
        };
        if !rehearsal.faults.is_empty() {
            return Ok(rehearsal);
        }
        self.overlay
            .put_aside("public:ccf.gov.proposals", self.id, self.text.as_bytes());
        self.set_info("Open", &[]);
        rehearsal.on_submission = Some(self.explain(&[])?);
        let Some(needed) = self.votes_needed()? else {
            return Ok(rehearsal);
        };
        self.set_info("Accepted", &needed);
        let mut effects = Foreseen::default();
        let applied = self.engine.apply(
            &self.constitution,
            self.text,
            self.id,
            &mut self.overlay,
            &mut effects,
        );
        match applied {
            Ok(()) => {
                rehearsal.changes = self.overlay.changes().map_err(RehearsalError::Tables)?;
                rehearsal.effects = effects.names;
                rehearsal.releases = releases::differences(&mut self.overlay)?;
            }
            Err(EngineError::Threw(failure)) => rehearsal.failure = Some(failure.reason),
            Err(error) => return Err(error.into()),
        }
        rehearsal.votes_needed = Some(needed);
        Ok(rehearsal)
    }

    fn validate(&mut self) -> Result<Vec<String>, RehearsalError> {
        let verdict = self
            .engine
            .validate(&self.constitution, self.text, &mut self.overlay)?;
        if verdict.valid {
            return Ok(Vec::new());
        }
        let description = verdict.description.unwrap_or_default();
        if description.is_empty() {
            return Ok(vec!["the constitution does not say why".to_owned()]);
        }
        Ok(description.lines().map(str::to_owned).collect())
    }

    /// Runs the ballots as the service does; one that throws is no vote.
    fn count(
        &mut self,
        ballots: &BTreeMap<IdentityId, String>,
    ) -> Result<Vec<Vote>, RehearsalError> {
        let mut votes = Vec::new();
        for (member, ballot) in ballots {
            let result = self.engine.vote(
                ballot,
                self.text,
                self.proposer,
                self.id,
                member.as_str(),
                &mut self.overlay,
            );
            match result {
                Ok(ballot) => votes.push(yes_or_no(member.as_str(), ballot.vote)),
                Err(EngineError::Threw(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(votes)
    }

    /// The members among the Active ones whose yes is needed: of all of them, who can be left out is left out.
    fn votes_needed(&mut self) -> Result<Option<Vec<IdentityId>>, RehearsalError> {
        let members = self.active_members()?;
        let mut votes: Vec<Vote> = members.iter().map(|id| yes_or_no(id, true)).collect();
        if !self.accepts(&votes)? {
            return Ok(None);
        }
        if self.accepts(&[])? {
            return Ok(Some(Vec::new()));
        }
        let mut position = 0;
        while position < votes.len() {
            let left_out = votes.remove(position);
            if !self.accepts(&votes)? {
                votes.insert(position, left_out);
                position += 1;
            }
        }
        let ids = votes.into_iter().map(|vote| identity(vote.member_id));
        ids.collect::<Result<_, _>>().map(Some)
    }

    fn accepts(&mut self, votes: &[Vote]) -> Result<bool, RehearsalError> {
        Ok(self.resolve(votes)? == ProposalState::Accepted)
    }

    fn active_members(&mut self) -> Result<Vec<String>, RehearsalError> {
        #[derive(Deserialize)]
        struct Info {
            status: String,
        }
        let mut active = Vec::new();
        self.overlay
            .for_each("public:ccf.gov.members.info", &mut |id, info| {
                let is_active =
                    serde_json::from_slice::<Info>(info).is_ok_and(|info| info.status == "Active");
                if let (true, Ok(id)) = (is_active, std::str::from_utf8(id)) {
                    active.push(id.to_owned());
                }
            })
            .map_err(RehearsalError::Tables)?;
        Ok(active)
    }

    /// The proposal with these votes.
    fn case<'v>(&self, votes: &'v [Vote]) -> Case<'v>
    where
        'a: 'v,
    {
        Case {
            proposal: self.text,
            proposer_id: self.proposer,
            votes,
            proposal_id: self.id,
        }
    }

    fn resolve(&mut self, votes: &[Vote]) -> Result<ProposalState, RehearsalError> {
        let case = self.case(votes);
        let (constitution, kv) = (&self.constitution, &mut self.overlay);
        Ok(self.engine.resolve(constitution, &case, kv)?)
    }

    fn explain(&mut self, votes: &[Vote]) -> Result<Explanation, RehearsalError> {
        let case = self.case(votes);
        let (constitution, kv) = (&self.constitution, &mut self.overlay);
        let told = self.engine.explain(constitution, &case, kv)?;
        if let Some(explanation) = told.and_then(|json| serde_json::from_str(&json).ok()) {
            return Ok(explanation);
        }
        Ok(Explanation {
            state: self.resolve(votes)?.as_str().to_owned(),
            rule: None,
            reason: None,
            missing: Vec::new(),
            against: Vec::new(),
            joining: Vec::new(),
        })
    }

    /// The framework's record of the proposal (CCF interface, section 4.3).
    fn set_info(&mut self, state: &str, yes: &[IdentityId]) {
        let votes: BTreeMap<&str, bool> = yes.iter().map(|id| (id.as_str(), true)).collect();
        let info = json!({
            "proposer_id": self.proposer,
            "state": state,
            "ballots": {},
            "final_votes": (state != "Open").then_some(votes),
        });
        let info = info.to_string();
        self.overlay
            .put_aside("public:ccf.gov.proposals_info", self.id, info.as_bytes());
    }
}

fn yes_or_no(member: &str, vote: bool) -> Vote {
    Vote {
        member_id: member.to_owned(),
        vote,
    }
}

fn identity(id: String) -> Result<IdentityId, RehearsalError> {
    IdentityId::try_from(id).map_err(|error| RehearsalError::Stored {
        table: "public:ccf.gov.members.info".to_owned(),
        reason: error.to_string(),
    })
}

/// A stored value as JSON, or as text, or in hexadecimal.
fn readable(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .ok()
        .or_else(|| std::str::from_utf8(bytes).ok().map(Value::from))
        .unwrap_or_else(|| Value::from(hex::encode(bytes)))
}
