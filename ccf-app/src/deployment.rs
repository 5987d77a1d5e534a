//! What is deployed under a contract, decided by governance (endpoints E16 and E17).
//!
//! Anybody may read it: deployers fetch it before they have an identity.

use ccf_rs::{Context, Endpoints, ReadContext, Reply, Result, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::App;
use crate::ids::ContractId;
use crate::proposals;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/deploymentspec", spec)
        .summary("Read the deployment specification of a contract and what is proposed for it")
        .reply::<Shown>()
        .post("/contracts/{contractId}/deploymentinfo", info)
        .summary("Read the deployment information of a contract and what is proposed for it")
        .reply::<Shown>()
}

static SPECS: Table<String, Deployed> = Table::json("public:ccf.gov.deployment_specs");
static INFOS: Table<String, Deployed> = Table::json("public:ccf.gov.deployment_info");

#[derive(Serialize, Deserialize)]
struct Deployed {
    data: Option<Box<RawValue>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deployment")]
struct Shown {
    /// Open proposals that would change it.
    #[serde(rename = "proposalIds")]
    proposal_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

fn spec(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    show(app, ctx, &SPECS, "set_deployment_spec")
}

fn info(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    show(app, ctx, &INFOS, "set_deployment_info")
}

fn show(
    app: &App,
    ctx: &mut ReadContext<'_>,
    table: &Table<String, Deployed>,
    action: &str,
) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let data = match ctx.read(table).get(&contract.as_str().to_owned())? {
        Some(deployed) => deployed.data,
        None => RawValue::from_string("{}".to_owned()).ok(),
    };
    let proposal_ids = proposals::concerning(app, ctx, &[action], contract.as_str())?;
    Reply::json(&Shown { proposal_ids, data })
}
