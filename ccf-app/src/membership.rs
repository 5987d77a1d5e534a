//! Who takes part in a contract, where its members say so (H14).
//!
//! By themselves, all members and users of a service see and act under every contract. The options `members` and `users` of a contract
//! name those who do; a list that is not given admits everybody of its kind. Votes are not concerned: they are the consortium's.

use ccf_rs::{Context, Error, Result};

use crate::callers::{Kind, Person};
use crate::governed;
use crate::ids::ContractId;

/// How somebody who takes no part is refused.
pub(crate) const NO_PART: (u16, &str) = (403, "NotInContract");

/// Holds a caller to the contract in the path, if there is one.
///
/// # Errors
/// 403 `NotInContract`.
pub(crate) fn check_path<C: Context>(ctx: &mut C, person: &Person) -> Result<()> {
    let named = |(name, _): &(String, String)| name == "contractId";
    if !ctx.request().params.iter().any(named) {
        return Ok(());
    }
    let contract: ContractId = ctx.path("contractId")?;
    check(ctx, person, &contract)
}

/// Holds a caller to a contract.
///
/// # Errors
/// 403 `NotInContract`.
pub(crate) fn check<C: Context>(ctx: &mut C, person: &Person, contract: &ContractId) -> Result<()> {
    if takes_part(ctx, person, contract)? {
        return Ok(());
    }
    let (status, code) = NO_PART;
    Err(Error::refused(
        status,
        code,
        "Members of the contract did not name the caller among those who take part in it.",
    ))
}

/// Whether a caller takes part in a contract.
pub(crate) fn takes_part<C: Context>(
    ctx: &mut C,
    person: &Person,
    contract: &ContractId,
) -> Result<bool> {
    let list = match person.kind {
        Kind::Member => "members",
        Kind::User | Kind::TokenUser => "users",
    };
    let named: Option<Vec<String>> = governed::of_contract(ctx, contract)?.get(list)?;
    Ok(named.is_none_or(|named| named.contains(&person.id)))
}
