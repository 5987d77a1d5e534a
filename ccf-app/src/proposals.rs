//! Open proposals of the consortium, as far as they concern the application.
//!
//! Governance keeps only proposals that are open, and the one decided last, in its tables. What they say is parsed once: the
//! text behind a proposal's id never changes, so an index by action and subject (W40) stands until another set of proposals is open.
//! Where the host tells the version of the table, a read does not even look at the list.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ccf_rs::{Context, Raw, Result, Seqno, Table};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::App;

/// The open proposals.
#[derive(Default)]
pub(crate) struct Open {
    ids: Vec<String>,
    /// By action, then by the contract or document it is about: id of the proposal, and the action.
    about: BTreeMap<String, HashMap<String, Vec<(String, Action)>>>,
}

/// One action of a proposal.
#[derive(Deserialize)]
pub(crate) struct Action {
    name: String,
    /// As the proposer wrote it.
    args: Option<Box<RawValue>>,
}

/// The index of the last set of open proposals that was read.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(Option<Seqno>, Arc<Open>)>>);

impl Open {
    /// Actions of this name for this contract or document, with the id of their proposal, by id.
    pub(crate) fn about(&self, action: &str, subject: &str) -> &[(String, Action)] {
        self.about
            .get(action)
            .and_then(|subjects| subjects.get(subject))
            .map_or(&[], Vec::as_slice)
    }
}

impl Action {
    /// The arguments read as `T`; `None` when they do not have that form.
    pub(crate) fn args<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.args.as_ref()?.get()).ok()
    }

    /// The document or contract the action is about.
    fn subject(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            document_id: Option<String>,
            contract_id: Option<String>,
        }
        let about: About = self.args()?;
        about.document_id.or(about.contract_id)
    }
}

/// The open proposals. Those that cannot be read concern nobody (W22).
pub(crate) fn open<C: Context>(app: &App, ctx: &mut C) -> Result<Arc<Open>> {
    let version = ctx.table_version(INFOS.name())?;
    if let Some(known) = app.proposals.at(version) {
        return Ok(known);
    }
    let ids = open_ids(ctx)?;
    let open = match app.proposals.of(&ids) {
        Some(known) => known,
        None => Arc::new(read(ctx, ids)?),
    };
    app.proposals.keep(version, &open);
    Ok(open)
}

/// Ids of open proposals with one of these actions for this contract or document.
pub(crate) fn concerning<C: Context>(
    app: &App,
    ctx: &mut C,
    actions: &[&str],
    subject: &str,
) -> Result<Vec<String>> {
    let open = open(app, ctx)?;
    let mut ids: Vec<String> = actions
        .iter()
        .flat_map(|action| open.about(action, subject))
        .map(|(id, _)| id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Information about proposals, by id.
pub(crate) static INFOS: Table<String, Vec<u8>, Raw> = Table::raw(INFOS_NAME);
/// Name of [`INFOS`].
pub(crate) const INFOS_NAME: &str = "public:ccf.gov.proposals_info";
static PROPOSALS: Table<String, Vec<u8>, Raw> = Table::raw("public:ccf.gov.proposals");

/// What the application reads of a proposal's information.
#[derive(Serialize, Deserialize)]
pub(crate) struct Info {
    pub(crate) state: String,
}

#[derive(Deserialize)]
struct Proposal {
    actions: Vec<Action>,
}

fn open_ids<C: Context>(ctx: &mut C) -> Result<Vec<String>> {
    let is_open =
        |info: &[u8]| serde_json::from_slice::<Info>(info).is_ok_and(|info| info.state == "Open");
    let mut ids: Vec<String> = ctx
        .read(&INFOS)
        .entries()?
        .into_iter()
        .filter(|(_, info)| is_open(info))
        .map(|(id, _)| id)
        .collect();
    ids.sort();
    Ok(ids)
}

fn read<C: Context>(ctx: &mut C, ids: Vec<String>) -> Result<Open> {
    let mut about: BTreeMap<String, HashMap<String, Vec<(String, Action)>>> = BTreeMap::new();
    for id in &ids {
        let text = ctx.read(&PROPOSALS).get(id)?.unwrap_or_default();
        let Ok(proposal) = serde_json::from_slice::<Proposal>(&text) else {
            continue;
        };
        for action in proposal.actions {
            if let Some(subject) = action.subject() {
                let subjects = about.entry(action.name.clone()).or_default();
                let found = subjects.entry(subject).or_default();
                found.push((id.clone(), action));
            }
        }
    }
    Ok(Open { ids, about })
}

impl Cache {
    fn at(&self, version: Option<Seqno>) -> Option<Arc<Open>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, open) = kept.as_ref()?;
        (version.is_some() && *known == version).then(|| Arc::clone(open))
    }

    fn of(&self, ids: &[String]) -> Option<Arc<Open>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, open) = kept.as_ref()?;
        (open.ids == ids).then(|| Arc::clone(open))
    }

    fn keep(&self, version: Option<Seqno>, open: &Arc<Open>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((version, Arc::clone(open)));
    }
}
