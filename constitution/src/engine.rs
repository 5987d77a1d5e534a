//! The calls CCF makes into a constitution and a ballot (CCF interface, sections 4.1 to 4.3 and 4.7).

use crate::access::Access;
use crate::error::EngineError;
use crate::host::{Argument, Entry, Host, Request, Returned};
use crate::limits::Limits;
use crate::store::{Effects, Kv};

/// What `validate` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Whether the proposal may be stored.
    pub valid: bool,
    /// Why not, if the constitution said so in text.
    pub description: Option<String>,
}

/// What `resolve` may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalState {
    /// Not decided yet.
    Open,
    /// To be applied now.
    Accepted,
    /// Decided against.
    Rejected,
}

impl ProposalState {
    /// The word CCF stores and scripts return.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Accepted => "Accepted",
            Self::Rejected => "Rejected",
        }
    }

    /// What `resolve` returned, as text.
    fn returned(state: &str) -> Result<Self, EngineError> {
        match state {
            "Open" => Ok(Self::Open),
            "Accepted" => Ok(Self::Accepted),
            "Rejected" => Ok(Self::Rejected),
            _ => Err(EngineError::BadReturn {
                reason: format!("resolve() returned invalid status value: \"{state}\""),
            }),
        }
    }
}

/// A state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What `resolve` answered.
    pub state: ProposalState,
    /// The JSON of what `explain` says, if the constitution has one and the proposal is not accepted.
    pub explanation: Option<String>,
}

/// A member's vote as `resolve` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Hexadecimal member id.
    pub member_id: String,
    /// In favour.
    pub vote: bool,
}

/// A proposal and the votes on it, as a constitution is asked what they come to.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The text of the proposal.
    pub proposal: &'a str,
    /// Hexadecimal id of the member who made it.
    pub proposer_id: &'a str,
    /// The votes.
    pub votes: &'a [Vote],
    /// The id of the proposal.
    pub proposal_id: &'a str,
}

/// What a ballot answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ballot {
    /// In favour, by JavaScript truthiness as in CCF.
    pub vote: bool,
    /// What makes this ballot doubtful. CCF counts it all the same; a host may refuse it at submission.
    pub irregularity: Option<Irregularity>,
}

/// Why a ballot's value should not be trusted to mean what its author meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Irregularity {
    /// The module's top level threw; CCF ignores that.
    TopLevelThrew,
    /// `vote` is async: its promise is always a vote in favour.
    Promise,
    /// Neither `true` nor `false` was returned.
    NotBoolean,
}

/// Severity of a line a script wrote with `console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleLevel {
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// Runs scripts. Every call gets a fresh runtime and realm: nothing survives from one call to the next.
///
/// Implemented by [`InProcess`](crate::InProcess) and [`worker::Client`](crate::worker::Client).
pub trait Engine {
    /// Sets the limits of the calls that follow.
    fn set_limits(&mut self, limits: Limits);

    /// Runs one request. Callers use the methods below.
    #[doc(hidden)]
    fn run(&mut self, request: Request, host: Host<'_>) -> Result<Returned, EngineError>;

    /// Calls `validate(proposal)` of a constitution.
    ///
    /// # Errors
    /// [`EngineError`]; [`BadReturn`](EngineError::BadReturn) when the result is no object.
    fn validate(
        &mut self,
        constitution: &str,
        proposal: &str,
        kv: &mut dyn Kv,
    ) -> Result<Validation, EngineError> {
        let request = Request::constitution(Entry::Validate, constitution, [proposal]);
        match self.run(request, Host::read_only(kv))? {
            Returned::Validation(v) => Ok(v),
            other => Err(other.unexpected()),
        }
    }

    /// Calls `resolve(proposal, proposerId, votes, proposalId)` of a constitution.
    ///
    /// # Errors
    /// [`EngineError`]; [`BadReturn`](EngineError::BadReturn) when the result is none of the three states.
    fn resolve(
        &mut self,
        constitution: &str,
        case: &Case<'_>,
        kv: &mut dyn Kv,
    ) -> Result<ProposalState, EngineError> {
        let request = Request::resolve(Entry::Resolve, constitution, case);
        match self.run(request, Host::read_only(kv))? {
            Returned::Text(Some(state)) => ProposalState::returned(&state),
            other => Err(other.unexpected()),
        }
    }

    /// As [`resolve`](Self::resolve), and then in the same realm [`explain`](Self::explain) unless the proposal is accepted. The
    /// explanation decides nothing, and no failure of it matters.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve).
    fn resolve_explained(
        &mut self,
        constitution: &str,
        case: &Case<'_>,
        kv: &mut dyn Kv,
    ) -> Result<Resolution, EngineError> {
        let request = Request::resolve(Entry::ResolveExplained, constitution, case);
        match self.run(request, Host::read_only(kv))? {
            Returned::Resolution(state, explanation) => Ok(Resolution {
                state: ProposalState::returned(&state)?,
                explanation,
            }),
            other => Err(other.unexpected()),
        }
    }

    /// Calls `explain(proposal, proposerId, votes, proposalId)`, which our constitution exports beside `resolve`: the JSON of
    /// `{state, rule, reason, missing}`. `None` when the constitution has no such export.
    ///
    /// # Errors
    /// [`EngineError`].
    fn explain(
        &mut self,
        constitution: &str,
        case: &Case<'_>,
        kv: &mut dyn Kv,
    ) -> Result<Option<String>, EngineError> {
        let request = Request::resolve(Entry::Explain, constitution, case);
        match self.run(request, Host::read_only(kv))? {
            Returned::Text(text) => Ok(text),
            other => Err(other.unexpected()),
        }
    }

    /// Calls `apply(proposal, proposalId)` of a constitution. On an error the caller must discard the transaction.
    ///
    /// # Errors
    /// [`EngineError`].
    fn apply(
        &mut self,
        constitution: &str,
        proposal: &str,
        proposal_id: &str,
        kv: &mut dyn Kv,
        effects: &mut dyn Effects,
    ) -> Result<(), EngineError> {
        let mut request =
            Request::constitution(Entry::Apply, constitution, [proposal, proposal_id]);
        request.access = Access::Apply;
        match self.run(request, Host::apply(kv, effects))? {
            Returned::Nothing => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    /// Calls `vote(proposal, proposerId)` of the ballot `member_id` gave on `proposal_id`.
    ///
    /// # Errors
    /// [`EngineError`].
    fn vote(
        &mut self,
        ballot: &str,
        proposal: &str,
        proposer_id: &str,
        proposal_id: &str,
        member_id: &str,
        kv: &mut dyn Kv,
    ) -> Result<Ballot, EngineError> {
        let request = Request {
            entry: Entry::Vote,
            access: Access::ReadOnly,
            module: ballot.to_owned(),
            module_name: format!(
                "public:ccf.gov.proposals_info[{proposal_id}].ballots[m[{member_id}]]"
            ),
            arguments: [proposal, proposer_id]
                .map(|text| Argument::Text(text.to_owned()))
                .into(),
        };
        match self.run(request, Host::read_only(kv))? {
            Returned::Ballot(ballot) => Ok(ballot),
            other => Err(other.unexpected()),
        }
    }

    /// Whether `text` can serve as a constitution (CCF interface, section 4.7).
    ///
    /// # Errors
    /// [`EngineError::Threw`] with CCF's `TypeError` if it cannot.
    fn validate_constitution(&mut self, text: &str) -> Result<(), EngineError> {
        let request = Request {
            entry: Entry::CheckConstitution,
            access: Access::ReadOnly,
            module: text.to_owned(),
            module_name: String::new(),
            arguments: Vec::new(),
        };
        let mut kv = crate::memory::MemoryKv::default();
        match self.run(request, Host::read_only(&mut kv))? {
            Returned::Nothing => Ok(()),
            other => Err(other.unexpected()),
        }
    }
}
