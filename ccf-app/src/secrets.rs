//! Secrets: people and clean rooms store them, attested clean rooms receive them (endpoints E9 to E11).
//!
//! # Storage
//!
//! Each contract has a private table `secrets-CONTRACT`; an id is part of the name as it is, and no other table begins so, which
//! makes the name unambiguous. The key is the secret's id: its owner, an underscore, its name. Member and user ids are
//! hexadecimal digits; a token user whose id has an underscore, or is the word for clean rooms, may store no secret, so the
//! first underscore always ends the owner. A secret belongs to whoever stored it first.
//!
//! Whoever stores a secret may name documents of the contract: it is then released only while each of them is accepted and consented to
//! (H9). Storing it again names them anew.
//!
//! # Release
//!
//! See [`crate::releases`]: the record of a release and the answer belong to one transaction, and a value reaches a caller only wrapped to
//! the attested key.

use ccf_rs::{Caller, Context, Endpoints, Error, ReadContext, Reply, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::App;
use crate::callers::{Kind, NOT_REGISTERED, PEOPLE, PEOPLE_OR_ANYONE, registered};
use crate::contracts;
use crate::documents::ties;
use crate::envelope::{self, Envelope};
use crate::governed;
use crate::ids::{ContractId, SecretId, SecretName};
use crate::json::given;
use crate::paging::Paging;
use crate::policies;
use crate::private::{self, PrivateTable, SecretText};
use crate::releases::{self, Asked, Given};
use crate::replays::{self, Seen, Signer};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/secrets", list)
        .auth(PEOPLE)
        .summary("List the ids of a contract's secrets")
        .query::<Paging>()
        .reply::<List>()
        .refuses(NOT_REGISTERED)
        .put("/contracts/{contractId}/secrets/{secretName}", put)
        .auth(PEOPLE_OR_ANYONE)
        .summary("Store a secret, as a person or as an attested clean room")
        .body::<Put>()
        .reply::<SecretReference>()
        .refuses(NOT_REGISTERED)
        .refuses(envelope::SIGNED_REFUSALS)
        .refuses([
            (400, "ValueMissing"),
            (400, "ValueTooLarge"),
            (404, "ContractNotFound"),
            (409, "SecretOwnedByAnother"),
        ])
        .post("/contracts/{contractId}/secrets/{secretName}", release)
        .summary("Release a secret to an attested clean room")
        .body::<Envelope>()
        .describe(releases::described)
        .refuses([(404, "SecretNotFound")])
}

/// Longest value, in UTF-16 code units, which is how existing clients count.
const LONGEST: usize = 25_600;

/// Owner of what clean rooms store.
const CLEAN_ROOM: &str = "cleanroom";

fn table(contract: &ContractId) -> PrivateTable {
    Table::named(format!("secrets-{contract}"))
}

/// What is stored. Borrowed, so that no other copy of the value is made on the way to the store.
#[derive(Serialize)]
struct Row<'a> {
    value: &'a str,
    owner: &'a Owner,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    documents: &'a [String],
}

/// What is read back. Earlier software stored no owner.
#[derive(Deserialize)]
struct StoredRow {
    value: SecretText,
    owner: Option<Owner>,
    #[serde(default)]
    documents: Vec<String>,
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
    let person = registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let paging = Paging::of(ctx)?;
    let limited =
        person.kind != Kind::Member && governed::is_on(ctx, &contract, "listOwnSecretsOnly")?;
    // Whoever sees only their own walks over those only: pages do not tell how many others there are.
    let own = |end: char| limited.then(|| format!("{}{end}", person.id).into_bytes());
    // The character behind the underscore.
    let (first, end) = (own('_'), own('`'));
    let start = paging.start().max(first);
    let mut ids =
        ctx.read(&table(&contract))
            .keys_in(start.as_deref(), end.as_deref(), paging.wanted())?;
    let next = paging.cut(&mut ids, |id| id);
    let value = ids
        .into_iter()
        .map(|secret_id| SecretReference { secret_id })
        .collect();
    Reply::json(&List {
        value,
        next_link: next.map(|next| format!("/app/contracts/{contract}/secrets?{next}")),
    })
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Secrets")]
struct List {
    value: Vec<SecretReference>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// A secret, by its full id.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SecretReference {
    secret_id: String,
}

impl SecretReference {
    fn reply(id: &SecretId) -> Result<Reply> {
        let secret_id = id.to_string();
        Reply::json(&Self { secret_id })
    }
}

/// What the body of a request to store is: of a person, or of a clean room, whose payload is a person's body.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "PutSecret")]
#[allow(
    dead_code,
    reason = "its schema is used; who calls decides which it is"
)]
enum Put {
    Person(Body),
    CleanRoom(Box<Envelope>),
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
    let content = body.content()?;
    store(ctx, &contract, &secret_id(&owner, &name)?, &content, &owner)
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
    let claims = envelope.appraise(ctx, &verified, &policy, None)?;
    let payload = envelope.signed_payload(&claims)?;
    let body: Body = payload.json("InvalidInput")?;
    let content = body.content()?;
    let owner = Owner::CleanRoom;
    let id = secret_id(&owner, name)?;
    let target = format!("secret {id}");
    if replays::check(ctx, contract, Signer::Contract, &target, &payload.signature)? == Seen::Again
    {
        return SecretReference::reply(&id);
    }
    store(ctx, contract, &id, &content, &owner)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SecretValue")]
struct Body {
    /// Text of up to 25600 UTF-16 code units.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    value: Value,
    /// Up to 32 documents of the contract that must be accepted and consented to when the secret is released: `member/ID`, `user/ID`, or an
    /// id, which means both kinds.
    #[serde(default)]
    documents: Vec<String>,
}

/// What is to be stored.
struct Content {
    value: Zeroizing<String>,
    documents: Vec<String>,
}

impl Body {
    /// The value, if it is text of acceptable length, and what it hangs on.
    fn content(self) -> Result<Content> {
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
        Ok(Content {
            value: text,
            documents: ties::named(self.documents, "InvalidInput")?,
        })
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
    content: &Content,
    owner: &Owner,
) -> Result<Reply> {
    if governed::is_on(ctx, contract, "secretsNeedContract")? && !contracts::exists(ctx, contract)?
    {
        return Err(Error::not_found(
            "ContractNotFound",
            "There is no such contract.",
        ));
    }
    let table = table(contract);
    let stored: Option<StoredRow> = private::read(ctx, &table, id.as_str())?;
    if let Some(stored) = stored
        && stored.owner.is_some_and(|first| first != *owner)
    {
        return Err(Error::refused(
            409,
            "SecretOwnedByAnother",
            "A secret of this id belongs to somebody else.",
        ));
    }
    let row = Row {
        value: &content.value,
        owner,
        documents: &content.documents,
    };
    private::write(ctx, &table, id.as_str(), &row)?;
    SecretReference::reply(id)
}

fn release(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let secret: SecretId = ctx.path("secretName")?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let id = secret.as_str();
    let asked = Asked {
        contract: &contract,
        kind: releases::Kind::Secret,
        subject: id,
        delegate: Some(("secrets", id)),
        made: exists,
    };
    let check = |ctx: &mut WriteContext<'_>, _: &_| {
        let stored: StoredRow = private::read(ctx, &table(&contract), id)?
            .ok_or_else(|| Error::not_found("SecretNotFound", "There is no such secret."))?;
        ties::check(app, ctx, &contract, &stored.documents)?;
        Ok(stored.value)
    };
    releases::release(app, ctx, &envelope, &asked, check, |_, _, value| {
        Ok(Given::new(value.into_bytes()))
    })
}

/// Whether a contract has a secret of this id.
fn exists(ctx: &mut WriteContext<'_>, contract: &ContractId, id: &str) -> Result<bool> {
    ctx.read(&table(contract)).has(&id.to_owned())
}
