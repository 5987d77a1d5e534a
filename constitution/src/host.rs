//! The seam between script and host: what a running script may ask, and how the host answers.
//!
//! Both engines speak these messages, over a channel or over a pipe. The side that holds the store ([`Host::answer`])
//! checks every request itself: a worker whose engine was subverted gets no further than the script was allowed to.

use crate::access::Access;
use crate::engine::{Ballot, Case, ConsoleLevel, Validation, Vote};
use crate::error::EngineError;
use crate::store::{Effects, Kv};

/// Which export is called, and how its result is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// `validate`: `{valid, description?}`.
    Validate,
    /// `resolve`: text.
    Resolve,
    /// `resolve`, and then `explain` unless it accepts.
    ResolveExplained,
    /// `explain`: anything, as JSON; may be missing.
    Explain,
    /// `apply`: ignored.
    Apply,
    /// `vote`: truthiness.
    Vote,
    /// No call: the checks of a constitution's exports.
    CheckConstitution,
}

impl Entry {
    /// Name of the export.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Resolve | Self::ResolveExplained => "resolve",
            Self::Explain => "explain",
            Self::Apply => "apply",
            Self::Vote => "vote",
            Self::CheckConstitution => "",
        }
    }
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A string.
    Text(String),
    /// An array of `{member_id, vote}`.
    Votes(Vec<Vote>),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) entry: Entry,
    pub(crate) access: Access,
    pub(crate) module: String,
    pub(crate) module_name: String,
    pub(crate) arguments: Vec<Argument>,
}

impl Request {
    pub(crate) fn constitution<const N: usize>(
        entry: Entry,
        constitution: &str,
        arguments: [&str; N],
    ) -> Self {
        Self {
            entry,
            access: Access::ReadOnly,
            module: constitution.to_owned(),
            module_name: "public:ccf.gov.constitution[0]".to_owned(),
            arguments: arguments.map(|text| Argument::Text(text.to_owned())).into(),
        }
    }

    pub(crate) fn resolve(entry: Entry, constitution: &str, case: &Case<'_>) -> Self {
        let texts = [case.proposal, case.proposer_id];
        let mut request = Self::constitution(entry, constitution, texts);
        request.arguments.extend([
            Argument::Votes(case.votes.to_vec()),
            Argument::Text(case.proposal_id.to_owned()),
        ]);
        request
    }
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// Nothing of interest.
    Nothing,
    /// Text, or the lack of an optional export.
    Text(Option<String>),
    /// The result of `resolve`, and of `explain` if it was called.
    Resolution(String, Option<String>),
    /// The result of `validate`.
    Validation(Validation),
    /// The result of `vote`.
    Ballot(Ballot),
}

impl Returned {
    /// The answer of an engine that answers another question than it was asked.
    pub(crate) fn unexpected(self) -> EngineError {
        EngineError::WorkerProtocol {
            reason: format!("unexpected result {self:?}"),
        }
    }
}

/// What a running script asks of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Get(String, Vec<u8>),
    Has(String, Vec<u8>),
    Put(String, Vec<u8>, Vec<u8>),
    Remove(String, Vec<u8>),
    Clear(String),
    Entries(String),
    Size(String),
    PreviousVersion(String, Vec<u8>),
    Log(ConsoleLevel, String),
    Effect(Effect),
}

/// An effect, with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    TriggerLedgerRekey,
    TransitionServiceToOpen(Option<Vec<u8>>, Vec<u8>),
    TriggerRecoverySharesRefresh,
    TriggerLedgerChunk,
    TriggerSnapshot,
    LatestLedgerSecretSeqno,
    GenerateEndorsedCertificate(String, String, u64),
    GenerateNetworkCertificate(String, u64),
    SetJwtPublicSigningKeys(String, String, String),
    RemoveJwtPublicSigningKeys(String),
}

/// The host's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    Value(Option<Vec<u8>>),
    Flag(bool),
    Entries(Vec<(Vec<u8>, Vec<u8>)>),
    Number(Option<u64>),
    Text(String),
    /// An effect refused; a JavaScript exception with this text.
    Refused(String),
    /// The store failed, or the request is not allowed; ends the call.
    Failed,
}

impl Ask {
    /// Whether the script goes on without waiting. What goes wrong with these is found when the call ends.
    pub(crate) fn is_one_way(&self) -> bool {
        matches!(
            self,
            Self::Put(..) | Self::Remove(..) | Self::Clear(_) | Self::Log(..)
        )
    }
}

/// Where `console.*` goes, if anywhere.
pub(crate) type Console = Option<Box<dyn FnMut(ConsoleLevel, &str) + Send>>;

/// The host of one call.
#[doc(hidden)]
pub struct Host<'a> {
    kv: &'a mut dyn Kv,
    effects: Option<&'a mut dyn Effects>,
    access: Access,
    error: Option<EngineError>,
}

impl<'a> Host<'a> {
    pub(crate) fn read_only(kv: &'a mut dyn Kv) -> Self {
        Self {
            kv,
            effects: None,
            access: Access::ReadOnly,
            error: None,
        }
    }

    pub(crate) fn apply(kv: &'a mut dyn Kv, effects: &'a mut dyn Effects) -> Self {
        Self {
            effects: Some(effects),
            access: Access::Apply,
            ..Self::read_only(kv)
        }
    }

    /// Answers a request, or remembers why the call must fail. Once failed, always failed.
    pub(crate) fn answer(&mut self, ask: Ask, console: &mut Console) -> Answer {
        if self.error.is_some() {
            return Answer::Failed;
        }
        self.try_answer(ask, console).unwrap_or_else(|error| {
            self.error = Some(error);
            Answer::Failed
        })
    }

    /// Combines what the script returned with what went wrong on this side.
    pub(crate) fn finish(
        self,
        result: Result<Returned, EngineError>,
    ) -> Result<Returned, EngineError> {
        match self.error {
            Some(error) => Err(error),
            None => result,
        }
    }

    fn try_answer(&mut self, ask: Ask, console: &mut Console) -> Result<Answer, EngineError> {
        Ok(match ask {
            Ask::Get(table, key) => Answer::Value(self.readable(&table)?.get(&table, &key)?),
            Ask::Has(table, key) => Answer::Flag(self.readable(&table)?.has(&table, &key)?),
            Ask::Put(table, key, value) => {
                self.writable(&table)?.put(&table, &key, &value)?;
                Answer::Nothing
            }
            Ask::Remove(table, key) => {
                self.writable(&table)?.remove(&table, &key)?;
                Answer::Nothing
            }
            Ask::Clear(table) => {
                self.writable(&table)?.clear(&table)?;
                Answer::Nothing
            }
            Ask::Entries(table) => {
                let mut entries = Vec::new();
                self.readable(&table)?
                    .for_each(&table, &mut |k, v| entries.push((k.to_vec(), v.to_vec())))?;
                Answer::Entries(entries)
            }
            Ask::Size(table) => Answer::Number(Some(self.readable(&table)?.size(&table)?)),
            Ask::PreviousVersion(table, key) => Answer::Number(
                self.readable(&table)?
                    .version_of_previous_write(&table, &key)?,
            ),
            Ask::Log(level, text) => {
                if let Some(console) = console {
                    console(level, &text);
                }
                Answer::Nothing
            }
            Ask::Effect(effect) => {
                let Some(effects) = self.effects.as_mut() else {
                    return Err(not_allowed("an effect outside apply"));
                };
                perform(effect, *effects, self.kv).unwrap_or_else(Answer::Refused)
            }
        })
    }

    fn readable(&mut self, table: &str) -> Result<&mut dyn Kv, EngineError> {
        match self.access.permission(table) {
            Ok(permission) if permission.read => Ok(self.kv),
            _ => Err(not_allowed(&format!("reading table {table}"))),
        }
    }

    fn writable(&mut self, table: &str) -> Result<&mut dyn Kv, EngineError> {
        match self.access.permission(table) {
            Ok(permission) if permission.write => Ok(self.kv),
            _ => Err(not_allowed(&format!("writing table {table}"))),
        }
    }
}

fn not_allowed(what: &str) -> EngineError {
    EngineError::WorkerProtocol {
        reason: format!("{what} is not allowed"),
    }
}

fn perform(effect: Effect, effects: &mut dyn Effects, kv: &mut dyn Kv) -> Result<Answer, String> {
    let nothing = |()| Answer::Nothing;
    match effect {
        Effect::TriggerLedgerRekey => effects.trigger_ledger_rekey(kv).map(nothing),
        Effect::TransitionServiceToOpen(previous, next) => effects
            .transition_service_to_open(kv, previous.as_deref(), &next)
            .map(nothing),
        Effect::TriggerRecoverySharesRefresh => {
            effects.trigger_recovery_shares_refresh(kv).map(nothing)
        }
        Effect::TriggerLedgerChunk => effects.trigger_ledger_chunk(kv).map(nothing),
        Effect::TriggerSnapshot => effects.trigger_snapshot(kv).map(nothing),
        Effect::LatestLedgerSecretSeqno => effects
            .latest_ledger_secret_seqno(kv)
            .map(|seqno| Answer::Number(Some(seqno))),
        Effect::GenerateEndorsedCertificate(csr, from, days) => effects
            .generate_endorsed_certificate(kv, &csr, &from, days)
            .map(Answer::Text),
        Effect::GenerateNetworkCertificate(from, days) => effects
            .generate_network_certificate(kv, &from, days)
            .map(Answer::Text),
        Effect::SetJwtPublicSigningKeys(issuer, metadata, jwks) => effects
            .set_jwt_public_signing_keys(kv, &issuer, &metadata, &jwks)
            .map(nothing),
        Effect::RemoveJwtPublicSigningKeys(issuer) => effects
            .remove_jwt_public_signing_keys(kv, &issuer)
            .map(nothing),
    }
}

/// The script's side of the seam.
pub(crate) trait Bridge {
    /// Asks; `None` when there is no host any more. One-way requests are answered with [`Answer::Nothing`] at once.
    fn ask(&mut self, ask: Ask) -> Option<Answer>;
}
