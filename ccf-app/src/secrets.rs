//! Secrets: people and clean rooms store them, attested clean rooms receive them (endpoints E9 to E11).
//!
//! # Storage
//!
//! Each contract has a private table `secrets-CONTRACT`; an id is part of the name as it is, and no other table begins so, which
//! makes the name unambiguous. The key is the secret's id: its owner, an underscore, its name. Member and user ids are
//! hexadecimal digits; a token user whose id has an underscore, or is the word for clean rooms, may store no secret, so the
//! first underscore always ends the owner. A secret belongs to whoever stored it first.
//!
//! # Release
//!
//! A release is a write: the record of it and the answer belong to one transaction. The value reaches a caller only through
//! [`AppraisedClaims::wrap`], and [`AppraisedClaims`] is made by an appraisal and nothing else.

use attestation::{AppraisedClaims, Policies, VerifiedEvidence};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{
    Caller, Context, Endpoints, Error, Raw, ReadContext, Reply, Result, Table, WriteContext,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::App;
use crate::callers::{Kind, PEOPLE, PEOPLE_OR_ANYONE, registered};
use crate::contracts;
use crate::delegates;
use crate::envelope::{self, Envelope};
use crate::ids::{ContractId, SecretId, SecretName};
use crate::json::given;
use crate::options;
use crate::policies::{self, ContractPolicy};
use crate::releases::{self, Attempt, Denial};
use crate::replays::{self, Seen};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/secrets", list)
        .auth(PEOPLE)
        .summary("List the ids of a contract's secrets")
        .put("/contracts/{contractId}/secrets/{secretName}", put)
        .auth(PEOPLE_OR_ANYONE)
        .summary("Store a secret, as a person or as an attested clean room")
        .post("/contracts/{contractId}/secrets/{secretName}", release)
        .summary("Release a secret to an attested clean room")
}

/// Whether a contract has a secret of this id.
pub(crate) fn exists<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    secret: &SecretId,
) -> Result<bool> {
    ctx.read(&table(contract)).has(&secret.as_str().to_owned())
}

/// Longest value, in UTF-16 code units, which is how existing clients count.
const LONGEST: usize = 25_600;

/// Owner of what clean rooms store.
const CLEAN_ROOM: &str = "cleanroom";

fn table(contract: &ContractId) -> Table<String, Vec<u8>, Raw> {
    Table::named(format!("secrets-{contract}"))
}

/// What is stored. Borrowed, so that no other copy of the value is made on the way to the store.
#[derive(Serialize)]
struct Row<'a> {
    value: &'a str,
    owner: &'a Owner,
}

/// What is read back. Earlier software stored no owner.
#[derive(Deserialize)]
struct StoredRow {
    value: Secret,
    owner: Option<Owner>,
}

/// A secret value in memory: without `Debug`, `Display` or `Serialize`, and zeroed when dropped.
struct Secret(Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Who stored a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Owner {
    Person {
        kind: Kind,
        id: String,
    },
    /// Any clean room that met the contract's policy.
    CleanRoom,
}

impl Owner {
    fn prefix(&self) -> &str {
        match self {
            Self::Person { id, .. } => id,
            Self::CleanRoom => CLEAN_ROOM,
        }
    }
}

fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let mut ids = ctx.read(&table(&contract)).keys()?;
    ids.sort();
    let value: Vec<_> = ids.iter().map(|id| json!({ "secretId": id })).collect();
    Reply::json(&json!({ "value": value }))
}

fn put(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let name: SecretName = ctx.path("secretName")?;
    if matches!(ctx.caller(), Caller::Anonymous | Caller::Unasked) {
        return put_as_clean_room(app, ctx, &contract, &name);
    }
    let person = registered(ctx)?;
    if person.kind == Kind::TokenUser && (person.id.contains('_') || person.id == CLEAN_ROOM) {
        return Err(Error::bad_request(
            "InvalidInput",
            "A user with this id cannot store secrets: their owner would be ambiguous.",
        ));
    }
    let owner = Owner::Person {
        kind: person.kind,
        id: person.id,
    };
    let body: Body = ctx.json()?;
    let value = body.value()?;
    store(ctx, &contract, &secret_id(&owner, &name)?, &value, &owner)
}

fn put_as_clean_room(
    app: &App,
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    name: &SecretName,
) -> Result<Reply> {
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, contract)?;
    let claims = envelope.appraise(&verified, &policy)?;
    let payload = envelope.signed_payload(&claims)?;
    let body: Body = payload.json("InvalidInput")?;
    let value = body.value()?;
    let owner = Owner::CleanRoom;
    let id = secret_id(&owner, name)?;
    let target = format!("secret {id}");
    if replays::check(ctx, contract, &target, &payload.signature)? == Seen::Again {
        return Reply::json(&json!({ "secretId": id.as_str() }));
    }
    store(ctx, contract, &id, &value, &owner)
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    value: Value,
}

impl Body {
    /// The value, if it is text of acceptable length.
    fn value(self) -> Result<Zeroizing<String>> {
        if !given(&self.value) {
            return Err(Error::bad_request(
                "ValueMissing",
                "The secret has no value.",
            ));
        }
        let Value::String(text) = self.value else {
            return Err(Error::bad_request(
                "InvalidInput",
                "The value of a secret is text.",
            ));
        };
        let text = Zeroizing::new(text);
        let length = text.encode_utf16().count();
        if length > LONGEST {
            return Err(Error::bad_request(
                "ValueTooLarge",
                "The value of the secret is too long.",
            )
            .with_detail(json!({ "got": length, "want": LONGEST })));
        }
        Ok(text)
    }
}

fn secret_id(owner: &Owner, name: &SecretName) -> Result<SecretId> {
    format!("{}_{name}", owner.prefix()).parse().map_err(|_| {
        Error::bad_request(
            "InvalidInput",
            "The id of the caller cannot be part of a secret's id.",
        )
    })
}

fn store(
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    id: &SecretId,
    value: &Zeroizing<String>,
    owner: &Owner,
) -> Result<Reply> {
    let table = table(contract);
    let key = id.as_str().to_owned();
    if let Some(stored) = read(ctx, &table, &key)?
        && stored.owner.is_some_and(|first| first != *owner)
    {
        return Err(Error::refused(
            409,
            "SecretOwnedByAnother",
            "A secret of this id belongs to somebody else.",
        ));
    }
    let row = serde_json::to_vec(&Row { value, owner })
        .map_err(|_| Error::Internal("a secret could not be encoded".to_owned()))?;
    let row = Zeroizing::new(row);
    ctx.writer().put(table.name(), key.as_bytes(), &row)?;
    Reply::json(&json!({ "secretId": key }))
}

fn read<C: Context>(
    ctx: &mut C,
    table: &Table<String, Vec<u8>, Raw>,
    key: &String,
) -> Result<Option<StoredRow>> {
    let Some(bytes) = ctx.read(table).get(key)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::Stored {
            table: table.name().to_owned(),
            // The reader's own words could quote the value.
            reason: format!("{:?} error at column {}", e.classify(), e.column()),
        })
}

fn release(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let secret: SecretId = ctx.path("secretName")?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, &contract)?;
    let key = envelope.key();
    let attempt = Attempt {
        contract: &contract,
        secret: &secret,
        verified: &verified,
        key: &key,
        policy: &policy.source,
    };
    match decide(ctx, &attempt, &policy)? {
        Ok((claims, wrapped)) => {
            releases::record_grant(ctx, &attempt, &claims, &wrapped)?;
            Reply::json(&json!({ "value": STANDARD.encode(&wrapped) }))
        }
        Err(denial) => releases::record_denial(app, ctx, &attempt, &denial),
    }
}

/// The decision over verified evidence. What the evidence is denied for is the inner error; it leaves a record.
fn decide(
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    policy: &ContractPolicy,
) -> Result<Result<(AppraisedClaims, Vec<u8>), Denial>> {
    let delegate = delegates::policy(ctx, attempt.contract, "secrets", attempt.secret.as_str())?;
    let policies = Policies {
        contract: &policy.claims,
        delegate: delegate.as_ref(),
    };
    let verified: &VerifiedEvidence = attempt.verified;
    let claims = match verified.appraise(&policies, attempt.key) {
        Ok(claims) => claims,
        Err(error) => {
            return Ok(Err(Denial::new(
                error.class().as_str(),
                envelope::refusal(&error, policy),
            )));
        }
    };
    if contracts::is_accepted(ctx, attempt.contract)? {
        let members = options::disabled_by(ctx, attempt.contract)?;
        if !members.is_empty() {
            let error = Error::refused(
                403,
                "ContractDisabled",
                "A member disabled the execution of the contract.",
            )
            .with_detail(json!({ "disabledBy": members }));
            return Ok(Err(Denial::new("ContractDisabled", error)));
        }
    }
    let key = attempt.secret.as_str().to_owned();
    let Some(stored) = read(ctx, &table(attempt.contract), &key)? else {
        let error = Error::not_found("SecretNotFound", "There is no such secret.");
        return Ok(Err(Denial::new("SecretNotFound", error)));
    };
    let wrapped = claims
        .wrap(stored.value.0.as_bytes())
        .map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Ok((claims, wrapped)))
}
