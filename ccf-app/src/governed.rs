//! Options that members set by vote: of one contract, over those of the application, over what the application does by itself.
//!
//! The constitution knows each option's name and form (CON-64) and notes which proposal set it. A stored value of another form closes what asks for
//! it.

use ccf_rs::{Context, Error, Result, Singleton, Table};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::ContractId;

/// The options in force for one contract, or for none in particular.
pub(crate) struct Options {
    /// Those that go first are first.
    places: Vec<Stored>,
}

/// The options in force for a contract.
pub(crate) fn of_contract<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Options> {
    let own = ctx.read(&OF_CONTRACTS).get(&contract.to_string())?;
    let mut options = of_application(ctx)?;
    options.places.splice(0..0, own);
    Ok(options)
}

/// The options that are in force whatever the contract.
pub(crate) fn of_application<C: Context>(ctx: &mut C) -> Result<Options> {
    let application = ctx.read(&OF_APPLICATION).get(&Singleton)?;
    Ok(Options {
        places: application.into_iter().collect(),
    })
}

/// The values of one option over all contracts that have it.
pub(crate) fn of_each_contract<C: Context, T: DeserializeOwned>(
    ctx: &mut C,
    name: &str,
) -> Result<Vec<T>> {
    let mut values = Vec::new();
    for (_, stored) in ctx.read(&OF_CONTRACTS).entries()? {
        let places = vec![stored];
        values.extend(Options { places }.get(name)?);
    }
    Ok(values)
}

/// Whether an option of a contract is on; it is off unless somebody set it.
///
/// # Errors
/// As [`Options::get`].
pub(crate) fn is_on<C: Context>(ctx: &mut C, contract: &ContractId, name: &str) -> Result<bool> {
    Ok(of_contract(ctx, contract)?.get(name)?.unwrap_or(false))
}

impl Options {
    /// The value of an option, if members set it.
    ///
    /// # Errors
    /// [`Error::Stored`] when it has another form.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.places.iter().find_map(|place| place.options.get(name)) else {
            return Ok(None);
        };
        T::deserialize(value).map(Some).map_err(|e| Error::Stored {
            table: OF_CONTRACTS.name().to_owned(),
            reason: format!("option {name}: {e}"),
        })
    }

    /// The proposal that set an option.
    pub(crate) fn proposal(&self, name: &str) -> Option<&str> {
        let place = self
            .places
            .iter()
            .find(|place| place.options.contains_key(name))?;
        place.origins.get(name)?.as_str()
    }
}

static OF_CONTRACTS: Table<String, Stored> = Table::json("public:ccf.gov.contract_options");
static OF_APPLICATION: Table<Singleton, Stored> = Table::json("public:ccf.gov.application_options");

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    options: Map<String, Value>,
    /// By option: the id of the proposal.
    origins: Map<String, Value>,
}
