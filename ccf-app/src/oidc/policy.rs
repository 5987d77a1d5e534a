//! Which tokens may be issued (W8): by what members set for a contract, or for all.
//!
//! One key signs the tokens of all contracts, so a subject is what tells them apart. Members list the subjects of a contract; no other contract
//! gets a token for one of these, nor for the id of another accepted contract. A contract without a list gets tokens for any other subject, with a
//! warning in the record. With an empty list for all, a contract needs one of its own.

use ccf_rs::{Context, Error, Result, Table, Text};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::contracts;
use crate::governed::{self, Options};
use crate::ids::ContractId;

/// Limits for the tokens of a contract.
pub(super) struct TokenPolicy {
    options: Options,
}

/// What a caller asks for.
pub(super) struct Wanted<'a> {
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) iss: &'a str,
    /// Seconds since 1970, like the others.
    pub(super) exp: u64,
    pub(super) iat: u64,
    pub(super) nbf: Option<u64>,
}

/// The algorithm in the issuer's documents. Tokens are PS256 always; clouds took the documents that said RS256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
    /// Not named in the key document; PS256 in the discovery document, which has to name one.
    #[serde(rename = "none")]
    None,
}

/// How a token is refused that members do not allow.
pub(super) const REFUSALS: [(u16, &str); 4] = [
    (400, "TokenLifetimeNotAllowed"),
    (400, "TokenIssuerNotAllowed"),
    (403, "TokenSubjectNotAllowed"),
    (403, "TokenAudienceNotAllowed"),
];

/// The limits of a contract.
pub(super) fn of_contract<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<TokenPolicy> {
    let options = governed::of_contract(ctx, contract)?;
    Ok(TokenPolicy { options })
}

/// The algorithm that the issuer's documents name.
pub(super) fn published_algorithm<C: Context>(ctx: &mut C) -> Result<Algorithm> {
    let options = governed::of_application(ctx)?;
    Ok(options.get("tokenPublishedAlgorithm")?.unwrap_or_default())
}

/// The longest life, in seconds, that a token of any contract may have.
pub(super) fn longest_lifetime<C: Context>(ctx: &mut C) -> Result<u64> {
    let for_all = lifetime(&governed::of_application(ctx)?)?;
    let own: Vec<u64> = governed::of_each_contract(ctx, LIFETIME)?;
    Ok(own.into_iter().fold(for_all, u64::max))
}

/// Whether members listed this subject as the contract's.
pub(super) fn is_listed<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    subject: &str,
) -> Result<bool> {
    Ok(owner(ctx, subject)?.as_deref() == Some(contract.as_str()))
}

impl TokenPolicy {
    /// Whether `exp`, `nbf` and `iat` are text, as they once were, and not numbers.
    pub(super) fn times_are_text(&self) -> Result<bool> {
        Ok(self.options.get("tokenTimesAsText")?.unwrap_or(false))
    }

    /// Issuers that members allow, if they said so.
    pub(super) fn issuers(&self) -> Result<Option<Vec<String>>> {
        self.options.get("tokenIssuers")
    }

    /// Checks a token; what members should know of it when it is allowed.
    ///
    /// # Errors
    /// [`REFUSALS`], with what was asked for, what is allowed, and the proposal that said so.
    pub(super) fn check<C: Context>(
        &self,
        ctx: &mut C,
        contract: &ContractId,
        wanted: &Wanted<'_>,
    ) -> Result<Option<&'static str>> {
        self.check_times(ctx, wanted)?;
        if let Some(issuers) = self.issuers()?
            && !issuers.iter().any(|one| one == wanted.iss)
        {
            let detail = json!({ "claim": "iss", "got": wanted.iss, "want": issuers });
            let error = Error::bad_request("TokenIssuerNotAllowed", NOT_ALLOWED);
            return Err(error.with_detail(self.with_proposal("tokenIssuers", detail)));
        }
        let audiences: Option<Vec<String>> = self.options.get("tokenAudiences")?;
        if let Some(audiences) = audiences
            && !audiences.iter().any(|one| one == wanted.aud)
        {
            let detail = json!({ "claim": "aud", "got": wanted.aud, "want": audiences });
            let error = Error::refused(403, "TokenAudienceNotAllowed", NOT_ALLOWED);
            return Err(error.with_detail(self.with_proposal("tokenAudiences", detail)));
        }
        self.check_subject(ctx, contract, wanted.sub)
    }

    /// A token may not outlive the limit, nor say that it was made or becomes valid later than now. One that says it expired hurts nobody.
    fn check_times<C: Context>(&self, ctx: &mut C, wanted: &Wanted<'_>) -> Result<()> {
        let now = ctx.untrusted_time().as_secs();
        let lifetime = lifetime(&self.options)?;
        let limits = [
            ("exp", Some(wanted.exp), now.saturating_add(lifetime)),
            ("iat", Some(wanted.iat), now.saturating_add(SKEW_SECONDS)),
            ("nbf", wanted.nbf, now.saturating_add(SKEW_SECONDS)),
        ];
        for (claim, got, latest) in limits {
            if let Some(got) = got.filter(|got| *got > latest) {
                let detail = json!({ "claim": claim, "got": got, "want": latest });
                let error = Error::bad_request("TokenLifetimeNotAllowed", NOT_ALLOWED);
                return Err(error.with_detail(self.with_proposal(LIFETIME, detail)));
            }
        }
        Ok(())
    }

    fn check_subject<C: Context>(
        &self,
        ctx: &mut C,
        contract: &ContractId,
        subject: &str,
    ) -> Result<Option<&'static str>> {
        let subjects: Option<Vec<String>> = self.options.get("tokenSubjects")?;
        let prefixes: Option<Vec<String>> = self.options.get("tokenSubjectPrefixes")?;
        let refused = |reason: &str| {
            let detail = json!({
                "claim": "sub", "got": subject, "want": subjects, "wantPrefixes": prefixes, "reason": reason,
            });
            let option = if subjects.is_some() {
                "tokenSubjects"
            } else {
                "tokenSubjectPrefixes"
            };
            Error::refused(403, "TokenSubjectNotAllowed", NOT_ALLOWED)
                .with_detail(self.with_proposal(option, detail))
        };
        let owner = owner(ctx, subject)?;
        if owner.is_some_and(|owner| owner != contract.as_str()) {
            return Err(refused("the subject is listed for another contract"));
        }
        if subjects.is_some() || prefixes.is_some() {
            let exact = subjects.iter().flatten().any(|one| one == subject);
            let begins = |prefix: &String| subject.starts_with(prefix.as_str());
            return if exact || prefixes.iter().flatten().any(begins) {
                Ok(None)
            } else {
                Err(refused("the subject is not listed for the contract"))
            };
        }
        let other = subject.parse().ok().filter(|other| other != contract);
        if let Some(other) = other
            && contracts::is_accepted(ctx, &other)?
        {
            return Err(refused("the subject is the id of another contract"));
        }
        Ok(Some("subjectNotGoverned"))
    }

    fn with_proposal(&self, option: &str, mut detail: Value) -> Value {
        if let Some(proposal) = self.options.proposal(option) {
            detail["proposalId"] = json!(proposal);
        }
        detail
    }
}

const NOT_ALLOWED: &str = "Members do not allow such a token for the contract.";
const LIFETIME: &str = "tokenLifetimeSeconds";
const DEFAULT_LIFETIME_SECONDS: u64 = 60 * 60;
/// By how much clocks may differ.
const SKEW_SECONDS: u64 = 300;

fn lifetime(options: &Options) -> Result<u64> {
    Ok(options.get(LIFETIME)?.unwrap_or(DEFAULT_LIFETIME_SECONDS))
}

/// The contract that members listed a subject (`=` before it) or prefix (`^` before it) for; kept by the constitution (CON-65).
static SUBJECTS: Table<String, String, Text> = Table::text("public:ccf.gov.token_subjects");

/// Longest prefix that governance takes, in bytes.
const LONGEST_PREFIX: usize = 256;

/// The contract that members listed a subject for: exactly, or by its longest listed prefix.
fn owner<C: Context>(ctx: &mut C, subject: &str) -> Result<Option<String>> {
    if let Some(contract) = ctx.read(&SUBJECTS).get(&format!("={subject}"))? {
        return Ok(Some(contract));
    }
    for end in (1..=subject.len().min(LONGEST_PREFIX)).rev() {
        let Some(prefix) = subject.get(..end) else {
            continue;
        };
        if let Some(contract) = ctx.read(&SUBJECTS).get(&format!("^{prefix}"))? {
            return Ok(Some(contract));
        }
    }
    Ok(None)
}
