//! What happened to a proposal of the consortium (endpoint E43).
//!
//! Governance takes a decided proposal out of its tables when the next one is decided, so its states are read from the ledger.

use ccf_rs::{Context, Endpoints, Error, Forwarding, ReadContext, Reply, Result, Seqno};
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, registered};
use crate::history::{self, Range};
use crate::ids::ProposalId;
use crate::proposals::{INFOS_NAME, Info};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/proposals/{proposalId}/historical", historical)
        .auth(PEOPLE)
        .forwarding(Forwarding::Always)
        .summary("The states a proposal of the consortium went through")
        .query::<Query>()
        .reply::<List>()
        .answers(202, "Past transactions are being loaded: ask again.")
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidRange"), (404, "TransactionNotKept")])
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "its schema is used")]
struct Query {
    /// First position of the range; 1 when absent.
    from_seqno: Option<String>,
    /// Last position of the range; that of the newest state when absent.
    to_seqno: Option<String>,
    /// Positions on a page beyond the first, at most 2000.
    max_seqno_per_page: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProposalStates")]
struct List {
    value: Vec<Step>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PastProposalState")]
struct Step {
    #[schemars(with = "u64")]
    seqno: Seqno,
    proposal_id: String,
    proposal_state: String,
}

fn historical(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let id: ProposalId = ctx.path("proposalId")?;
    let range = Range::of(ctx)?;
    let Some(page) = range.read(ctx, INFOS_NAME, id.as_str().as_bytes())? else {
        return Ok(history::ask_again());
    };
    let mut value = Vec::new();
    for (seqno, info) in page.writes {
        let info: Info = serde_json::from_slice(&info).map_err(|e| Error::Stored {
            table: INFOS_NAME.to_owned(),
            reason: e.to_string(),
        })?;
        value.push(Step {
            seqno,
            proposal_id: id.to_string(),
            proposal_state: info.state,
        });
    }
    let next_link = page.next.map(|next| {
        let query = range.query(next) + &range.page_query();
        format!("/app/proposals/{id}/historical?{query}")
    });
    Reply::json(&List { value, next_link })
}
