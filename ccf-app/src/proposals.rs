//! Open proposals of the consortium, as far as they concern the application.
//!
//! Governance keeps only proposals that are open, and the one decided last, in its tables; so reading all of them costs what is
//! open, not what was ever proposed.

use ccf_rs::{Context, Raw, Result, Table};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An open proposal.
pub(crate) struct OpenProposal {
    pub(crate) id: String,
    pub(crate) actions: Vec<Action>,
}

/// One action of a proposal.
#[derive(Deserialize)]
pub(crate) struct Action {
    pub(crate) name: String,
    /// As the proposer wrote it.
    args: Option<Box<RawValue>>,
}

impl Action {
    /// The arguments read as `T`; `None` when they do not have that form.
    pub(crate) fn args<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.args.as_ref()?.get()).ok()
    }

    /// The contract the action is about.
    pub(crate) fn contract(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct About {
            #[serde(rename = "contractId")]
            contract_id: String,
        }
        self.args::<About>().map(|about| about.contract_id)
    }
}

/// All open proposals by id. Those that cannot be read concern nobody (W22).
pub(crate) fn open<C: Context>(ctx: &mut C) -> Result<Vec<OpenProposal>> {
    let mut found = Vec::new();
    for (id, info) in ctx.read(&INFOS).entries()? {
        let is_open = serde_json::from_slice::<Info>(&info).is_ok_and(|info| info.state == "Open");
        if !is_open {
            continue;
        }
        let Some(text) = ctx.read(&PROPOSALS).get(&id)? else {
            continue;
        };
        if let Ok(proposal) = serde_json::from_slice::<Proposal>(&text) {
            found.push(OpenProposal {
                id,
                actions: proposal.actions,
            });
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Ids of open proposals with one of these actions for this contract.
pub(crate) fn concerning<C: Context>(
    ctx: &mut C,
    actions: &[&str],
    contract: &str,
) -> Result<Vec<String>> {
    let concerns = |action: &Action| {
        actions.contains(&action.name.as_str()) && action.contract().as_deref() == Some(contract)
    };
    Ok(open(ctx)?
        .into_iter()
        .filter(|proposal| proposal.actions.iter().any(concerns))
        .map(|proposal| proposal.id)
        .collect())
}

static PROPOSALS: Table<String, Vec<u8>, Raw> = Table::raw("public:ccf.gov.proposals");
static INFOS: Table<String, Vec<u8>, Raw> = Table::raw("public:ccf.gov.proposals_info");

#[derive(Serialize, Deserialize)]
struct Info {
    state: String,
}

#[derive(Deserialize)]
struct Proposal {
    actions: Vec<Action>,
}
