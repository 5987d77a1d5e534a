//! Signing: the service signs what appraised code asks for, with one key of its own (endpoints E19, E57 and E58).

use attestation::Sha256Digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Auth, Context, Endpoints, Error, ReadContext, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::callers::{NOT_ACTIVE, NOT_REGISTERED, PEOPLE, active_member, registered};
use crate::envelope::Envelope;
use crate::evidence::decode;
use crate::ids::ContractId;
use crate::json::given;
use crate::releases::{self, Asked, Given, Issued, IssuedSignature, Kind};
use crate::service_keys::{GeneratedKey, NO_KEY, SIGNING};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/signing/generateSigningKey", generate)
        .auth([Auth::MemberCert])
        .summary("Make the signing key that governance asks for")
        .reply::<GeneratedKey>()
        .refuses(NOT_ACTIVE)
        .refuses([(405, "SigningNotEnabled")])
        .post("/signing/info", info)
        .auth(PEOPLE)
        .summary("Whether signing is enabled, and the public keys")
        .reply::<Info>()
        .refuses(NOT_REGISTERED)
        .post("/contracts/{contractId}/signing/sign", sign)
        .summary("Sign a payload for an attested clean room")
        .body::<SignRequest>()
        .describe(releases::described)
        .refuses([(400, "PayloadMissing"), (400, "PayloadInvalid"), NO_KEY])
}

fn generate(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    active_member(ctx)?;
    Reply::json(&SIGNING.generate(ctx, None)?)
}

/// The state of signing.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SigningInfo")]
struct Info {
    enabled: bool,
    /// Empty while no key was made.
    public_key_pem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Keys it replaced, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    previous: Vec<PreviousKey>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PreviousKey {
    kid: String,
    public_key_pem: String,
}

fn info(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let key = SIGNING.public(ctx)?;
    let previous = SIGNING.retired(ctx)?.into_iter().map(|key| PreviousKey {
        kid: key.kid,
        public_key_pem: key.pem,
    });
    Reply::json(&Info {
        enabled: SIGNING.is_enabled(ctx)?,
        kid: key.as_ref().map(|key| key.kid.clone()),
        public_key_pem: key.map(|key| key.pem).unwrap_or_default(),
        previous: previous.collect(),
    })
}

#[derive(Deserialize, JsonSchema)]
struct SignRequest {
    #[serde(flatten)]
    envelope: Envelope,
    /// Base64 of the bytes to sign: RSASSA-PSS, SHA-256, salt 32.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    payload: Value,
}

fn sign(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let SignRequest { envelope, payload } = ctx.json()?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let refused = |code, message: &str| Err(Error::bad_request(code, message));
    if !given(&payload) {
        return refused("PayloadMissing", "The request has no payload.");
    }
    let Some(payload) = payload.as_str().and_then(decode) else {
        return refused("PayloadInvalid", "The payload is no base64 text.");
    };
    // A signature over the request covers what is to be signed.
    let envelope = envelope.with_payload(&payload);
    let digest = Sha256Digest::of(&payload).to_string();
    let asked = Asked {
        contract: &contract,
        kind: Kind::Signature,
        subject: &digest,
        delegate: Some(("podpolicies", "admin")),
        made: |_, _, _| Ok(false),
    };
    let check = |ctx: &mut WriteContext<'_>, _: &_| SIGNING.signing(app, ctx);
    releases::release(app, ctx, &envelope, &asked, check, |_, claims, key| {
        let signature = key.sign(claims, &payload)?;
        let issued = Issued {
            signature: Some(IssuedSignature { kid: key.kid }),
            ..Issued::default()
        };
        Ok(Given::new(STANDARD.encode(signature).into_bytes()).issued(issued))
    })
}
