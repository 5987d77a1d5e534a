//! The numbered rules of legitimate government, and what is said when one is broken.

use std::fmt;

use ledger::TxId;
use serde::{Serialize, Serializer};

/// The rules. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The first transaction founds a service: not open, with a constitution, members who have not acted, nothing decided.
    Genesis,
    /// Governance tables are written by a member's signed act, or by what a node may do alone; by nothing else.
    Unexplained,
    /// The act is a message of its kind, signed by the member under whom it is recorded, with the certificate in force.
    Envelope,
    /// Who proposes, votes or withdraws is an Active member.
    Active,
    /// What is recorded is what was signed.
    Payload,
    /// The id of a proposal is made of the root before it and of its signature.
    ProposalId,
    /// The constitution in force accepts the form of the proposal.
    Validate,
    /// The proposal is neither a replay nor older than the window of recent ones allows.
    Replay,
    /// A ballot is for an open proposal, the member's only one, and leaves other ballots as they are.
    Ballot,
    /// The votes recorded are those that the ballots give.
    Votes,
    /// The state recorded is the one that the constitution in force resolves.
    State,
    /// What is written is what applying the proposal writes: all of it, and nothing else.
    Apply,
    /// What only the service can make (shares, certificates, secrets) is made when it is called for, for those it is due to.
    Made,
    /// A withdrawal is the proposer's, of an open proposal.
    Withdrawal,
    /// Records of proposals are removed only once they are decided, by the next decision.
    Pruning,
    /// A member becomes Active by a signed acknowledgement of the digest recorded for them.
    Ack,
    /// The digest recorded for a member is the root of a signature of this ledger.
    StateDigest,
    /// What a node may write alone: its own joining, and that a retirement is complete.
    Node,
    /// A recovery begins with a new identity, which takes over members, constitution and rules unchanged.
    RecoveryStart,
    /// A recovery ends after the members agreed to it and enough of them gave their shares.
    RecoveryEnd,
    /// Shares are submitted by Active members who hold one, while the service waits for them.
    ShareSubmission,
    /// Token keys are refreshed without a vote only for issuers for which members have allowed it.
    TokenKeys,
    /// The constitution and the ballots can be run.
    Scripts,
}

impl Rule {
    /// Number of the rule, `LEG-01` and so on.
    #[must_use]
    pub fn id(self) -> String {
        format!("LEG-{:02}", self as u8 + 1)
    }

    pub(crate) fn broken(self, got: impl Into<String>, want: impl Into<String>) -> Breach {
        Breach {
            rule: self,
            got: got.into(),
            want: want.into(),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.id())
    }
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: got {got}, want {want}", .rule.id())]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// What stands there.
    pub got: String,
    /// What should.
    pub want: String,
}

/// A rule that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocatedBreach {
    /// The transaction.
    pub transaction: TxId,
    /// The file it stands in.
    pub file: String,
    /// Where it begins in the file.
    pub offset: u64,
    /// What is wrong.
    #[serde(flatten)]
    pub breach: Breach,
}

impl fmt::Display for LocatedBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at byte {} (transaction {}): {}",
            self.file, self.offset, self.transaction, self.breach
        )
    }
}
