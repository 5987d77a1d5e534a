//! The messages as bytes, in both directions.

use std::time::Duration;

use crate::access::Access;
use crate::engine::{Ballot, ConsoleLevel, Irregularity, Validation, Vote};
use crate::error::{EngineError, Failure};
use crate::host::{Answer, Argument, Ask, Effect, Entry, Request, Returned};
use crate::limits::Limits;
use crate::worker::codec::{DecodeError, Decoder, Encoder};

/// What the worker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromWorker {
    Ask(Ask),
    Done(Result<Returned, EngineError>),
}

pub(crate) fn encode_call(limits: Limits, request: &Request) -> Vec<u8> {
    let mut e = Encoder::default();
    e.u64(limits.heap_bytes as u64);
    e.u64(limits.stack_bytes as u64);
    e.u64(u64::try_from(limits.time.as_nanos()).unwrap_or(u64::MAX));
    e.u8(match request.entry {
        Entry::Validate => 0,
        Entry::Resolve => 1,
        Entry::Explain => 2,
        Entry::Apply => 3,
        Entry::Vote => 4,
        Entry::CheckConstitution => 5,
        Entry::ResolveExplained => 6,
    });
    e.u8(u8::from(request.access == Access::Apply));
    e.text(&request.module);
    e.text(&request.module_name);
    e.u64(request.arguments.len() as u64);
    for argument in &request.arguments {
        match argument {
            Argument::Text(text) => {
                e.u8(0);
                e.text(text);
            }
            Argument::Votes(votes) => {
                e.u8(1);
                e.u64(votes.len() as u64);
                for vote in votes {
                    e.text(&vote.member_id);
                    e.u8(u8::from(vote.vote));
                }
            }
        }
    }
    e.bytes
}

pub(crate) fn decode_call(bytes: &[u8]) -> Result<(Limits, Request), DecodeError> {
    let mut d = Decoder::new(bytes);
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let limits = Limits {
        heap_bytes: size(d.u64()?),
        stack_bytes: size(d.u64()?),
        time: Duration::from_nanos(d.u64()?),
    };
    let request = Request {
        entry: match d.u8()? {
            0 => Entry::Validate,
            1 => Entry::Resolve,
            2 => Entry::Explain,
            3 => Entry::Apply,
            4 => Entry::Vote,
            5 => Entry::CheckConstitution,
            6 => Entry::ResolveExplained,
            other => return Err(DecodeError::Variant(other)),
        },
        access: if d.flag()? {
            Access::Apply
        } else {
            Access::ReadOnly
        },
        module: d.text()?,
        module_name: d.text()?,
        arguments: d.list(|d| match d.u8()? {
            0 => Ok(Argument::Text(d.text()?)),
            1 => Ok(Argument::Votes(d.list(|d| {
                Ok(Vote {
                    member_id: d.text()?,
                    vote: d.flag()?,
                })
            })?)),
            other => Err(DecodeError::Variant(other)),
        })?,
    };
    d.end()?;
    Ok((limits, request))
}

pub(crate) fn encode_from_worker(message: &FromWorker) -> Vec<u8> {
    let mut e = Encoder::default();
    match message {
        FromWorker::Ask(ask) => encode_ask(&mut e, ask),
        FromWorker::Done(Ok(returned)) => {
            e.u8(100);
            encode_returned(&mut e, returned);
        }
        FromWorker::Done(Err(error)) => {
            e.u8(101);
            encode_error(&mut e, error);
        }
    }
    e.bytes
}

pub(crate) fn decode_from_worker(bytes: &[u8]) -> Result<FromWorker, DecodeError> {
    let mut d = Decoder::new(bytes);
    let message = match d.u8()? {
        100 => FromWorker::Done(Ok(decode_returned(&mut d)?)),
        101 => FromWorker::Done(Err(decode_error(&mut d)?)),
        variant => FromWorker::Ask(decode_ask(&mut d, variant)?),
    };
    d.end()?;
    Ok(message)
}

fn encode_ask(e: &mut Encoder, ask: &Ask) {
    match ask {
        Ask::Get(table, key) => place(e, 0, table, key),
        Ask::Has(table, key) => place(e, 1, table, key),
        Ask::Put(table, key, value) => {
            place(e, 2, table, key);
            e.blob(value);
        }
        Ask::Remove(table, key) => place(e, 3, table, key),
        Ask::Clear(table) => {
            e.u8(4);
            e.text(table);
        }
        Ask::Entries(table) => {
            e.u8(5);
            e.text(table);
        }
        Ask::Size(table) => {
            e.u8(6);
            e.text(table);
        }
        Ask::PreviousVersion(table, key) => place(e, 7, table, key),
        Ask::Log(level, text) => {
            e.u8(8);
            e.u8(match level {
                ConsoleLevel::Info => 0,
                ConsoleLevel::Warn => 1,
                ConsoleLevel::Error => 2,
            });
            e.text(text);
        }
        Ask::Effect(effect) => {
            e.u8(9);
            encode_effect(e, effect);
        }
    }
}

fn place(e: &mut Encoder, variant: u8, table: &str, key: &[u8]) {
    e.u8(variant);
    e.text(table);
    e.blob(key);
}

fn decode_ask(d: &mut Decoder<'_>, variant: u8) -> Result<Ask, DecodeError> {
    Ok(match variant {
        0 => Ask::Get(d.text()?, d.blob()?),
        1 => Ask::Has(d.text()?, d.blob()?),
        2 => Ask::Put(d.text()?, d.blob()?, d.blob()?),
        3 => Ask::Remove(d.text()?, d.blob()?),
        4 => Ask::Clear(d.text()?),
        5 => Ask::Entries(d.text()?),
        6 => Ask::Size(d.text()?),
        7 => Ask::PreviousVersion(d.text()?, d.blob()?),
        8 => Ask::Log(
            match d.u8()? {
                0 => ConsoleLevel::Info,
                1 => ConsoleLevel::Warn,
                2 => ConsoleLevel::Error,
                other => return Err(DecodeError::Variant(other)),
            },
            d.text()?,
        ),
        9 => Ask::Effect(decode_effect(d)?),
        other => return Err(DecodeError::Variant(other)),
    })
}

fn encode_effect(e: &mut Encoder, effect: &Effect) {
    match effect {
        Effect::TriggerLedgerRekey => e.u8(0),
        Effect::TransitionServiceToOpen(previous, next) => {
            e.u8(1);
            e.optional(previous.as_deref(), Encoder::blob);
            e.blob(next);
        }
        Effect::TriggerRecoverySharesRefresh => e.u8(2),
        Effect::TriggerLedgerChunk => e.u8(3),
        Effect::TriggerSnapshot => e.u8(4),
        Effect::LatestLedgerSecretSeqno => e.u8(5),
        Effect::GenerateEndorsedCertificate(csr, from, days) => {
            e.u8(6);
            e.text(csr);
            e.text(from);
            e.u64(*days);
        }
        Effect::GenerateNetworkCertificate(from, days) => {
            e.u8(7);
            e.text(from);
            e.u64(*days);
        }
        Effect::SetJwtPublicSigningKeys(issuer, metadata, jwks) => {
            e.u8(8);
            e.text(issuer);
            e.text(metadata);
            e.text(jwks);
        }
        Effect::RemoveJwtPublicSigningKeys(issuer) => {
            e.u8(9);
            e.text(issuer);
        }
    }
}

fn decode_effect(d: &mut Decoder<'_>) -> Result<Effect, DecodeError> {
    Ok(match d.u8()? {
        0 => Effect::TriggerLedgerRekey,
        1 => Effect::TransitionServiceToOpen(d.optional(Decoder::blob)?, d.blob()?),
        2 => Effect::TriggerRecoverySharesRefresh,
        3 => Effect::TriggerLedgerChunk,
        4 => Effect::TriggerSnapshot,
        5 => Effect::LatestLedgerSecretSeqno,
        6 => Effect::GenerateEndorsedCertificate(d.text()?, d.text()?, d.u64()?),
        7 => Effect::GenerateNetworkCertificate(d.text()?, d.u64()?),
        8 => Effect::SetJwtPublicSigningKeys(d.text()?, d.text()?, d.text()?),
        9 => Effect::RemoveJwtPublicSigningKeys(d.text()?),
        other => return Err(DecodeError::Variant(other)),
    })
}

pub(crate) fn encode_answer(answer: &Answer) -> Vec<u8> {
    let mut e = Encoder::default();
    match answer {
        Answer::Nothing => e.u8(0),
        Answer::Value(value) => {
            e.u8(1);
            e.optional(value.as_deref(), Encoder::blob);
        }
        Answer::Flag(flag) => {
            e.u8(2);
            e.u8(u8::from(*flag));
        }
        Answer::Entries(entries) => {
            e.u8(3);
            e.u64(entries.len() as u64);
            for (key, value) in entries {
                e.blob(key);
                e.blob(value);
            }
        }
        Answer::Number(number) => {
            e.u8(4);
            e.optional(*number, Encoder::u64);
        }
        Answer::Text(text) => {
            e.u8(5);
            e.text(text);
        }
        Answer::Refused(reason) => {
            e.u8(6);
            e.text(reason);
        }
        Answer::Failed => e.u8(7),
    }
    e.bytes
}

pub(crate) fn decode_answer(bytes: &[u8]) -> Result<Answer, DecodeError> {
    let mut d = Decoder::new(bytes);
    let answer = match d.u8()? {
        0 => Answer::Nothing,
        1 => Answer::Value(d.optional(Decoder::blob)?),
        2 => Answer::Flag(d.flag()?),
        3 => Answer::Entries(d.list(|d| Ok((d.blob()?, d.blob()?)))?),
        4 => Answer::Number(d.optional(Decoder::u64)?),
        5 => Answer::Text(d.text()?),
        6 => Answer::Refused(d.text()?),
        7 => Answer::Failed,
        other => return Err(DecodeError::Variant(other)),
    };
    d.end()?;
    Ok(answer)
}

fn encode_returned(e: &mut Encoder, returned: &Returned) {
    match returned {
        Returned::Nothing => e.u8(0),
        Returned::Text(text) => {
            e.u8(1);
            e.optional(text.as_deref(), Encoder::text);
        }
        Returned::Resolution(state, explanation) => {
            e.u8(4);
            e.text(state);
            e.optional(explanation.as_deref(), Encoder::text);
        }
        Returned::Validation(validation) => {
            e.u8(2);
            e.u8(u8::from(validation.valid));
            e.optional(validation.description.as_deref(), Encoder::text);
        }
        Returned::Ballot(ballot) => {
            e.u8(3);
            e.u8(u8::from(ballot.vote));
            e.u8(match ballot.irregularity {
                None => 0,
                Some(Irregularity::TopLevelThrew) => 1,
                Some(Irregularity::Promise) => 2,
                Some(Irregularity::NotBoolean) => 3,
            });
        }
    }
}

fn decode_returned(d: &mut Decoder<'_>) -> Result<Returned, DecodeError> {
    Ok(match d.u8()? {
        0 => Returned::Nothing,
        1 => Returned::Text(d.optional(Decoder::text)?),
        2 => Returned::Validation(Validation {
            valid: d.flag()?,
            description: d.optional(Decoder::text)?,
        }),
        3 => Returned::Ballot(Ballot {
            vote: d.flag()?,
            irregularity: match d.u8()? {
                0 => None,
                1 => Some(Irregularity::TopLevelThrew),
                2 => Some(Irregularity::Promise),
                3 => Some(Irregularity::NotBoolean),
                other => return Err(DecodeError::Variant(other)),
            },
        }),
        4 => Returned::Resolution(d.text()?, d.optional(Decoder::text)?),
        other => return Err(DecodeError::Variant(other)),
    })
}

/// Errors of scripts and of the engine; what the host finds out itself never travels.
fn encode_error(e: &mut Encoder, error: &EngineError) {
    let mut failure = |variant, failure: &Failure| {
        e.u8(variant);
        e.text(&failure.reason);
        e.optional(failure.trace.as_deref(), Encoder::text);
    };
    match error {
        EngineError::BadModule(f) => failure(0, f),
        EngineError::Threw(f) => failure(1, f),
        EngineError::OutOfMemory(f) => failure(2, f),
        EngineError::TimedOut { trace } => {
            e.u8(3);
            e.optional(trace.as_deref(), Encoder::text);
        }
        EngineError::BadReturn { reason } => {
            e.u8(4);
            e.text(reason);
        }
        other => {
            e.u8(5);
            e.text(&other.to_string());
        }
    }
}

fn decode_error(d: &mut Decoder<'_>) -> Result<EngineError, DecodeError> {
    fn failure(d: &mut Decoder<'_>) -> Result<Failure, DecodeError> {
        Ok(Failure {
            reason: d.text()?,
            trace: d.optional(Decoder::text)?,
        })
    }
    Ok(match d.u8()? {
        0 => EngineError::BadModule(failure(d)?),
        1 => EngineError::Threw(failure(d)?),
        2 => EngineError::OutOfMemory(failure(d)?),
        3 => EngineError::TimedOut {
            trace: d.optional(Decoder::text)?,
        },
        4 => EngineError::BadReturn { reason: d.text()? },
        5 => EngineError::Start { reason: d.text()? },
        other => return Err(DecodeError::Variant(other)),
    })
}
