//! What can happen to a service, as its ledger tells it.

use std::fmt;

use ledger::{Seqno, TxId};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Something that happened, and the transaction that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The transaction.
    pub transaction: TxId,
    /// Seconds since 1970 by the clock of the node that made the next COSE signature: the transaction is not younger. The operator
    /// controls that clock. Absent where no such signature follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[allow(missing_docs, reason = "the sentence that Display makes says it")]
pub enum What {
    ServiceCreated {
        identity: String,
        recovery: u64,
    },
    ServiceStatus {
        status: String,
    },
    RecoveryType {
        by: String,
    },
    NodeStatus {
        node: String,
        status: String,
        platform: Option<String>,
        code: Option<String>,
    },
    NodeRemoved {
        node: String,
    },
    MemberAdded {
        member: String,
        name: Option<String>,
        counted: bool,
        recovery_role: Option<String>,
    },
    MemberChanged {
        member: String,
        counted: bool,
    },
    MemberActive {
        member: String,
    },
    MemberRemoved {
        member: String,
    },
    UserAdded {
        user: String,
    },
    UserRemoved {
        user: String,
    },
    ConstitutionSet {
        digest: String,
    },
    ProposalMade {
        proposal: String,
        proposer: String,
        actions: Vec<String>,
        created_at: Option<u64>,
    },
    BallotCast {
        proposal: String,
        member: String,
    },
    ProposalDecided {
        proposal: String,
        state: String,
        votes: Vec<String>,
        against: Vec<String>,
        failure: Option<String>,
    },
    CodeAllowed {
        kind: &'static str,
        value: String,
    },
    CodeForbidden {
        kind: &'static str,
        value: String,
    },
    ContractAccepted {
        contract: String,
        proposal: Option<String>,
    },
    PolicyClaimSet {
        contract: String,
        claim: String,
        values: String,
    },
    PolicyClaimRemoved {
        contract: String,
        claim: String,
    },
    ExecutionSwitched {
        contract: String,
        disabled_by: Vec<String>,
    },
    DelegateSet {
        contract: String,
        kind: String,
        id: String,
    },
    DelegateRemoved {
        key: String,
    },
    SecretsRekeyed,
    SharesIssued {
        holders: Vec<String>,
    },
    ShareSubmitted {
        member: String,
    },
    IdentityEndorsed {
        previous: bool,
    },
    SnapshotTaken {
        seqno: Seqno,
        digest: String,
    },
    /// A governance table that none of the above is about.
    Governed {
        table: String,
        key: String,
        removed: bool,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceCreated {
                identity,
                recovery: 0,
            } => {
                write!(f, "a service begins, identity {}", short(identity))
            }
            Self::ServiceCreated { identity, recovery } => {
                write!(
                    f,
                    "recovery {recovery} begins, new identity {}",
                    short(identity)
                )
            }
            Self::ServiceStatus { status } => write!(f, "the service is {status}"),
            Self::RecoveryType { by } => write!(f, "private state was recovered by {by}"),
            Self::NodeStatus {
                node,
                status,
                platform,
                code,
            } => {
                write!(f, "node {} is {status}", short(node))?;
                if let (Some(platform), Some(code)) = (platform, code) {
                    write!(f, " ({platform}, measurement {})", short(code))?;
                }
                Ok(())
            }
            Self::NodeRemoved { node } => write!(f, "node {} is gone", short(node)),
            Self::MemberAdded {
                member,
                name,
                counted,
                recovery_role,
            } => {
                write!(f, "member {}", short(member))?;
                if let Some(name) = name {
                    write!(f, " ({name:?})")?;
                }
                write!(f, " joins, {}", voice(*counted))?;
                if let Some(role) = recovery_role {
                    write!(f, ", recovery role {role}")?;
                }
                Ok(())
            }
            Self::MemberChanged { member, counted } => {
                write!(
                    f,
                    "member {} is changed, {}",
                    short(member),
                    voice(*counted)
                )
            }
            Self::MemberActive { member } => write!(f, "member {} is active", short(member)),
            Self::MemberRemoved { member } => write!(f, "member {} is removed", short(member)),
            Self::UserAdded { user } => write!(f, "user {} is added", short(user)),
            Self::UserRemoved { user } => write!(f, "user {} is removed", short(user)),
            Self::ConstitutionSet { digest } => {
                write!(f, "the constitution is now {}", short(digest))
            }
            Self::ProposalMade {
                proposal,
                proposer,
                actions,
                ..
            } => {
                let actions = actions.join(", ");
                write!(
                    f,
                    "proposal {} by {}: {actions}",
                    short(proposal),
                    short(proposer)
                )
            }
            Self::BallotCast { proposal, member } => {
                write!(
                    f,
                    "ballot of {} on proposal {}",
                    short(member),
                    short(proposal)
                )
            }
            Self::ProposalDecided {
                proposal,
                state,
                votes,
                against,
                failure,
            } => {
                write!(f, "proposal {} is {state}", short(proposal))?;
                if !votes.is_empty() || !against.is_empty() {
                    write!(f, ": {} for, {} against", names(votes), names(against))?;
                }
                if let Some(failure) = failure {
                    write!(f, ": {failure}")?;
                }
                Ok(())
            }
            Self::CodeAllowed { kind, value } => {
                write!(f, "nodes may join with {kind} {}", short(value))
            }
            Self::CodeForbidden { kind, value } => {
                write!(f, "nodes may no longer join with {kind} {}", short(value))
            }
            Self::ContractAccepted { contract, proposal } => {
                write!(f, "contract {contract} is accepted")?;
                by_proposal(f, proposal.as_deref())
            }
            Self::PolicyClaimSet {
                contract,
                claim,
                values,
            } => {
                write!(
                    f,
                    "policy of contract {contract}: {claim} is one of {values}"
                )
            }
            Self::PolicyClaimRemoved { contract, claim } => {
                write!(
                    f,
                    "policy of contract {contract}: {claim} is no longer asked for"
                )
            }
            Self::ExecutionSwitched {
                contract,
                disabled_by,
            } if disabled_by.is_empty() => {
                write!(f, "execution of contract {contract} is on")
            }
            Self::ExecutionSwitched {
                contract,
                disabled_by,
            } => {
                write!(
                    f,
                    "execution of contract {contract} is off, by {}",
                    names(disabled_by)
                )
            }
            Self::DelegateSet { contract, kind, id } => {
                write!(
                    f,
                    "delegate policy {kind} {id} of contract {contract} is set"
                )
            }
            Self::DelegateRemoved { key } => write!(f, "delegate policy {key} is removed"),
            Self::SecretsRekeyed => f.write_str("the ledger secret is replaced"),
            Self::SharesIssued { holders } => {
                write!(f, "recovery shares are issued to {}", names(holders))
            }
            Self::ShareSubmitted { member } => {
                write!(f, "member {} submits a recovery share", short(member))
            }
            Self::IdentityEndorsed { previous: false } => {
                f.write_str("the service identity endorses itself")
            }
            Self::IdentityEndorsed { previous: true } => {
                f.write_str("the service identity endorses the one before it")
            }
            Self::SnapshotTaken { seqno, digest } => {
                write!(f, "a snapshot at {seqno} has digest {}", short(digest))
            }
            Self::Governed {
                table,
                key,
                removed,
            } => {
                let verb = if *removed {
                    "removed from"
                } else {
                    "written in"
                };
                write!(f, "{} is {verb} {table}", short(key))
            }
        }
    }
}

fn voice(counted: bool) -> &'static str {
    if counted {
        "with a vote"
    } else {
        "without a vote"
    }
}

fn by_proposal(f: &mut fmt::Formatter<'_>, proposal: Option<&str>) -> fmt::Result {
    proposal.map_or(Ok(()), |id| write!(f, " by proposal {}", short(id)))
}

fn names(ids: &[String]) -> String {
    if ids.is_empty() {
        return "nobody".to_owned();
    }
    ids.iter()
        .map(|id| short(id))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The first digits of an id that is a digest, which are enough for people; everything else whole.
#[must_use]
pub fn short(id: &str) -> &str {
    let digest = id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if digest {
        id.get(..12).unwrap_or(id)
    } else {
        id
    }
}

/// Seconds since 1970 as a date (RFC 3339, UTC).
#[must_use]
pub fn date(seconds: u64) -> String {
    let seconds_in_range = i64::try_from(seconds).ok();
    let time = seconds_in_range.and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s"))
}
