//! Events: audit records that clean rooms write and people read (endpoints E7 and E8).
//!
//! # Storage
//!
//! One row per contract, scope and id; each write replaces it, so the table holds the newest event of each and the ledger the
//! earlier ones, which the host finds by an index ([`EVENTS`] is named in [`ccf_rs::Application::indexed`]). The key is composite:
//! whatever contracts, scopes and ids are called, no two of them share a row (W12).
//!
//! ```cddl
//! event = {
//!   timestamp: tstr,           ; 13 digits, ms since 1970, as the writer says
//!   data: any,                 ; the signed payload as it was sent
//!   receivedAt: uint,          ; host's clock, ms since 1970; the operator controls it
//!   ? timestampSigned: true,   ; a signature over the request covers the timestamp
//!   writer: { hostData: tstr, key: tstr, evidence: tstr, alternative: tstr } / { issuer: tstr, ? oid: tstr, ? sub: tstr }
//! }
//! ```
//!
//! The claims digest of the transaction is the SHA-256 of the row, so that its receipt proves the event.
//!
//! # Time
//!
//! The signature of existing clients covers the payload, not the timestamp (H15). A captured event cannot be sent again under
//! another time while its signature is remembered, and the host's own time stands beside the writer's, so that a reader sees when they
//! differ. Code may sign the request too, which covers the timestamp; where members of a contract ask for it
//! (`requireRequestSignature`) code writes every event so. Whoever writes with a token has no attested key: the token is what admits, and its
//! timestamps are never signed.

mod read;
mod write;

use ccf_rs::{Auth, Context, Endpoints, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE};
use crate::delegates;
use crate::envelope::{self, Envelope};
use crate::ids::{ContractId, composite};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/events", read::read)
        .auth(PEOPLE)
        .summary("Read the newest event of an id, or those of a range of the ledger")
        .query::<ReadQuery>()
        .reply::<read::List<'_>>()
        .answers(202, "Past transactions are being loaded: ask again.")
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidRange"), (404, "TransactionNotKept")])
        .put("/contracts/{contractId}/events", write::write)
        .auth([Auth::Jwt, Auth::Anonymous])
        .summary("Write an event, as an attested clean room or with an agreed token")
        .query::<WriteQuery>()
        .body::<Envelope>()
        .answers(204, "The event is stored.")
        .refuses(envelope::SIGNED_REFUSALS)
        .refuses(delegates::NOT_COUNTING)
        .refuses([
            (400, "SignatureMissing"),
            (400, "TimestampMissing"),
            (400, "TimestampTooLarge"),
            (400, "TimestampInvalid"),
            (400, "VerifyJwtAttestationFailed"),
            (403, "CallerIssuerNotAuthorized"),
        ])
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "its schema is used; empty and absent differ")]
struct WriteQuery {
    /// Empty when absent.
    scope: Option<String>,
    /// The contract's id when absent.
    id: Option<String>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "its schema is used; empty and absent differ")]
struct ReadQuery {
    /// Empty when absent.
    scope: Option<String>,
    /// The contract's id when absent.
    id: Option<String>,
    /// First position of a range; 1 when only the other bound is given.
    from_seqno: Option<String>,
    /// Last position of a range; that of the newest event when only the other bound is given.
    to_seqno: Option<String>,
    /// Positions on a page of a range beyond the first, at most 2000.
    max_seqno_per_page: Option<String>,
}

/// Newest event by contract, scope and id.
pub(crate) const EVENTS: &str = "public:cleanroom.events";

/// An event as stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    timestamp: String,
    data: Box<RawValue>,
    received_at: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    timestamp_signed: bool,
    writer: Writer,
}

/// Who wrote an event.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EventWriter")]
enum Writer {
    /// Attested code.
    #[serde(rename_all = "camelCase")]
    Code {
        host_data: String,
        /// SHA-256 of the PEM text of the attested key, which signed.
        key: String,
        /// SHA-256 of the evidence as presented.
        evidence: String,
        /// Which policy it met.
        alternative: String,
    },
    /// Whoever holds a token that the policy admits.
    Token {
        issuer: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        oid: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sub: Option<String>,
    },
}

/// Which events of a contract a request is about.
struct Place {
    scope: String,
    id: String,
}

impl Place {
    /// Query `scope`, empty by default, and `id`, by default that of the contract.
    ///
    /// # Errors
    /// 400 `InvalidInput` when one is longer than 256 bytes or has control characters.
    fn of<C: Context>(ctx: &C, contract: &ContractId) -> Result<Self> {
        let place = Self {
            scope: ctx.query("scope")?.unwrap_or_default(),
            id: ctx
                .query("id")?
                .unwrap_or_else(|| contract.as_str().to_owned()),
        };
        for (parameter, text) in [("scope", &place.scope), ("id", &place.id)] {
            if text.len() > LONGEST || text.chars().any(char::is_control) {
                return Err(Error::bad_request(
                    "InvalidInput",
                    "Scopes and ids of events are at most 256 bytes without control characters.",
                )
                .with_detail(serde_json::json!({ "parameter": parameter })));
            }
        }
        Ok(place)
    }

    fn key(&self, contract: &ContractId) -> String {
        composite(&[contract.as_str(), &self.scope, &self.id])
    }
}

/// Longest scope and id, in bytes.
const LONGEST: usize = 256;
