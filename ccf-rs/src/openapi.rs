//! OpenAPI 3.1 documents, made from the list of endpoints.
//!
//! An endpoint names the types of its query, body and answer ([`Endpoints::query`](crate::Endpoints::query),
//! [`body`](crate::Endpoints::body), [`reply`](crate::Endpoints::reply)). Their schemas come from the same derived types that
//! handlers read and write with serde, so renamed and optional members are what they are on the wire. OpenAPI 3.1 takes JSON Schema as
//! it is (draft 2020-12), so each entry of `components.schemas` is a JSON Schema.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as JsonValue, json};

use crate::caller::Auth;
use crate::endpoint::Endpoint;

/// The schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an endpoint takes and answers, for the document.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// One line.
    pub summary: &'static str,
    /// A type whose members are the query parameters.
    pub query: Option<SchemaOf>,
    /// The type of the JSON body; without it no body is read.
    pub body: Option<SchemaOf>,
    /// Whether some callers need no body.
    pub body_is_optional: bool,
    /// The type of the JSON body of a 200.
    pub reply: Option<SchemaOf>,
    /// Answers without a JSON body, and what they mean.
    pub answers: Vec<(u16, &'static str)>,
    /// Refusals of the handler: status and code.
    pub refusals: Vec<(u16, &'static str)>,
}

/// Codes that every handler may answer with, beside its own.
pub const COMMON_REFUSALS: [(u16, &str); 4] = [
    (400, "InvalidInput"),
    (415, "UnsupportedContentType"),
    (500, "InternalError"),
    (503, "ViewNotKnown"),
];

/// The document of a frontend: `prefix` is its first path segment with the slash.
pub fn document(prefix: &str, title: &str, version: &str, endpoints: &[Endpoint]) -> JsonValue {
    let mut schemas = Schemas::new();
    let mut schemes = Map::new();
    let mut operations: Vec<_> = endpoints
        .iter()
        .map(|endpoint| (endpoint, operation(endpoint, &mut schemas, &mut schemes)))
        .collect();
    let (components, renamed) = schemas.finish();
    let mut paths: BTreeMap<&str, Map<String, JsonValue>> = BTreeMap::new();
    for (endpoint, operation) in &mut operations {
        for part in ["parameters", "requestBody"] {
            rename(&mut operation[part], &renamed);
        }
        paths.entry(endpoint.template).or_default().insert(
            endpoint.verb.as_str().to_ascii_lowercase(),
            without_nulls(operation.take()),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "servers": [{ "url": prefix }],
        "paths": paths,
        "components": {
            "responses": {
                "refused": {
                    "description": "The request is refused, or failed.",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
                },
            },
            "schemas": components,
            "securitySchemes": schemes,
        },
    })
}

/// A schema of a document's components as a JSON Schema that is complete on its own; `None` when there is none of this name.
pub fn json_schema(document: &JsonValue, name: &str) -> Option<JsonValue> {
    let schemas = document["components"]["schemas"].as_object()?;
    let mut definitions: BTreeMap<String, JsonValue> = BTreeMap::new();
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut schema = schemas.get(&name)?.clone();
        each_reference(&mut schema, &mut |reference| {
            if let Some(name) = reference.strip_prefix(COMPONENTS).map(str::to_owned) {
                *reference = format!("#/$defs/{name}");
                wanted.push(name);
            }
        });
        definitions.insert(name, schema);
    }
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/$defs/{name}"),
        "$defs": definitions,
    }))
}

/// The body of a refusal.
#[derive(JsonSchema)]
#[schemars(rename = "Error")]
#[allow(
    dead_code,
    reason = "its schema is used; the body is written by crate::Error"
)]
struct ErrorBody {
    error: ErrorValue,
}

#[derive(JsonSchema)]
#[schemars(rename = "ErrorValue")]
#[allow(dead_code, reason = "its schema is used")]
struct ErrorValue {
    /// Stable.
    code: String,
    /// For a person; not part of the interface.
    message: String,
    /// More about it, such as what was expected and what was presented.
    #[serde(default)]
    details: Vec<JsonValue>,
}

fn operation(
    endpoint: &Endpoint,
    schemas: &mut Schemas,
    schemes: &mut Map<String, JsonValue>,
) -> JsonValue {
    let verb = endpoint.verb.as_str().to_ascii_lowercase();
    let Description {
        summary,
        query,
        body,
        ..
    } = &endpoint.description;
    let mut parameters: Vec<JsonValue> = components(endpoint.template)
        .map(|name| json!({ "in": "path", "name": name, "required": true, "schema": { "type": "string" } }))
        .collect();
    if let Some(query) = query {
        parameters.extend(query_parameters(query(&mut schemas.requests).as_value()));
    }
    let security: Vec<JsonValue> = endpoint
        .auth
        .iter()
        .map(|policy| match scheme(policy) {
            Some((name, description)) => {
                schemes.insert(name.to_owned(), description);
                json!({ (name): [] })
            }
            None => json!({}),
        })
        .collect();
    json!({
        "operationId": format!("{verb}{}", endpoint.template),
        "summary": (!summary.is_empty()).then_some(summary),
        "parameters": (!parameters.is_empty()).then_some(parameters),
        "requestBody": body.map(|body| json!({
            "required": !endpoint.description.body_is_optional,
            "content": json_content(&body(&mut schemas.requests)),
        })),
        "responses": responses(endpoint, schemas),
        "security": (!security.is_empty()).then_some(security),
    })
}

fn responses(endpoint: &Endpoint, schemas: &mut Schemas) -> Map<String, JsonValue> {
    let description = &endpoint.description;
    let mut responses = Map::new();
    if let Some(reply) = description.reply {
        let content = json_content(&reply(&mut schemas.replies));
        responses.insert(
            "200".to_owned(),
            json!({ "description": "Done.", "content": content }),
        );
    }
    for (status, meaning) in &description.answers {
        responses.insert(status.to_string(), json!({ "description": meaning }));
    }
    let mut refusals: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    if !endpoint.auth.is_empty() && !endpoint.auth.contains(&Auth::Anonymous) {
        refusals
            .entry(401)
            .or_default()
            .insert("InvalidAuthenticationInfo");
    }
    for (status, code) in &description.refusals {
        refusals.entry(*status).or_default().insert(code);
    }
    for (status, codes) in refusals {
        let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        responses.insert(
            status.to_string(),
            json!({
                "description": codes.join(", "),
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            }),
        );
    }
    let default = json!({ "$ref": "#/components/responses/refused" });
    responses.insert("default".to_owned(), default);
    responses
}

fn json_content(schema: &Schema) -> JsonValue {
    json!({ "application/json": { "schema": schema } })
}

/// Schemas of what is read and of what is written: a type can differ, for what may be left out when it is read is always written.
struct Schemas {
    requests: SchemaGenerator,
    replies: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let mut replies = settings.clone().for_serialize().into_generator();
        replies.subschema_for::<ErrorBody>();
        Self {
            requests: settings.for_deserialize().into_generator(),
            replies,
        }
    }

    /// All named schemas, and the names of those that differ by direction: as read they are named with `Input` behind.
    fn finish(mut self) -> (Map<String, JsonValue>, BTreeSet<String>) {
        let mut all = self.replies.take_definitions(true);
        let read = self.requests.take_definitions(true);
        let renamed: BTreeSet<String> = read
            .iter()
            .filter(|(name, schema)| all.get(*name).is_some_and(|written| written != *schema))
            .map(|(name, _)| name.clone())
            .collect();
        for (name, mut schema) in read {
            rename(&mut schema, &renamed);
            let name = if renamed.contains(&name) {
                format!("{name}Input")
            } else {
                name
            };
            all.entry(name).or_insert(schema);
        }
        all.values_mut().for_each(without_null_defaults);
        (all, renamed)
    }
}

const COMPONENTS: &str = "#/components/schemas/";

/// Makes references to schemas of these names references to their form as read.
fn rename(value: &mut JsonValue, names: &BTreeSet<String>) {
    each_reference(value, &mut |reference| {
        if reference
            .strip_prefix(COMPONENTS)
            .is_some_and(|name| names.contains(name))
        {
            reference.push_str("Input");
        }
    });
}

fn each_reference(value: &mut JsonValue, change: &mut impl FnMut(&mut String)) {
    match value {
        JsonValue::Object(members) => {
            if let Some(JsonValue::String(reference)) = members.get_mut("$ref") {
                change(reference);
            }
            members
                .values_mut()
                .for_each(|member| each_reference(member, change));
        }
        JsonValue::Array(items) => items
            .iter_mut()
            .for_each(|item| each_reference(item, change)),
        _ => {}
    }
}

/// The members of an object's schema, as query parameters.
fn query_parameters(schema: &JsonValue) -> Vec<JsonValue> {
    let required = schema["required"].clone();
    let is_required = |name: &str| {
        required
            .as_array()
            .is_some_and(|list| list.iter().any(|r| r == name))
    };
    let JsonValue::Object(properties) = schema["properties"].clone() else {
        return Vec::new();
    };
    properties
        .into_iter()
        .map(|(name, mut schema)| {
            let description = schema.as_object_mut().and_then(|s| s.remove("description"));
            // What is absent from a query is absent, never null.
            if let Some([kind, JsonValue::String(null)]) =
                schema["type"].as_array().map(Vec::as_slice)
                && null == "null"
            {
                schema["type"] = kind.clone();
            }
            without_nulls(json!({
                "in": "query",
                "required": is_required(&name),
                "name": name,
                "schema": schema,
                "description": description,
            }))
        })
        .collect()
}

/// The object without members that are null.
fn without_nulls(mut value: JsonValue) -> JsonValue {
    if let JsonValue::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// Takes away defaults that are null. They say nothing, and a host that merges documents by RFC 7396 takes them for deletions.
fn without_null_defaults(value: &mut JsonValue) {
    match value {
        JsonValue::Object(members) => {
            members.retain(|name, member| name != "default" || !member.is_null());
            members.values_mut().for_each(without_null_defaults);
        }
        JsonValue::Array(items) => items.iter_mut().for_each(without_null_defaults),
        _ => {}
    }
}

/// Names of the components of a path template.
fn components(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
}

fn scheme(policy: &Auth) -> Option<(&'static str, JsonValue)> {
    let tls = |what: &str| json!({ "type": "mutualTLS", "description": what });
    let cose = |what: &str| json!({ "type": "http", "scheme": "cose_sign1", "description": what });
    Some((
        policy.name(),
        match policy {
            Auth::Anonymous => return None,
            Auth::MemberCert => tls("Certificate of a member"),
            Auth::UserCert => tls("Certificate of a user"),
            Auth::AnyCert => tls("Any certificate"),
            Auth::Jwt => json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }),
            Auth::MemberCose { .. } => cose("Body signed by a member"),
            Auth::UserCose { .. } => cose("Body signed by a user"),
        },
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Endpoints, ReadContext, Reply, Result};

    /// A note.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Note {
        note_text: String,
        #[serde(default)]
        stars: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<String>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "its schema is used")]
    struct Wanted {
        /// How many.
        limit: Option<String>,
    }

    fn nothing(_: &(), _: &mut ReadContext<'_>) -> Result<Reply> {
        Ok(Reply::ok())
    }

    fn sample() -> JsonValue {
        let list = Endpoints::new(Arc::new(()))
            .get("/a/{id}:b", nothing)
            .auth([Auth::MemberCert, Auth::Anonymous])
            .summary("A")
            .query::<Wanted>()
            .reply::<Note>()
            .put("/a/{id}:b", nothing)
            .auth([Auth::MemberCert])
            .body::<Note>()
            .answers(204, "Stored.")
            .refuses([(409, "Taken"), (409, "Busy")])
            .build();
        document("/app", "T", "1", &list)
    }

    #[test]
    fn documents_list_paths_parameters_and_policies() {
        let document = sample();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], "/app");
        let operation = &document["paths"]["/a/{id}:b"]["get"];
        let parameters = &operation["parameters"];
        assert_eq!(parameters[0]["name"], "id");
        let limit = json!({
            "in": "query", "name": "limit", "required": false, "description": "How many.",
            "schema": { "type": "string" },
        });
        assert_eq!(parameters[1], limit);
        assert_eq!(operation["security"], json!([{ "member_cert": [] }, {}]));
        assert_eq!(operation["summary"], "A");
        assert!(document["components"]["securitySchemes"]["member_cert"].is_object());
    }

    #[test]
    fn a_type_is_described_as_it_is_read_and_as_it_is_written() {
        let document = sample();
        let path = &document["paths"]["/a/{id}:b"];
        let schema = "/content/application~1json/schema/$ref";
        let written = path["get"]["responses"]["200"].pointer(schema).unwrap();
        assert_eq!(written, "#/components/schemas/Note");
        let read = path["put"]["requestBody"].pointer(schema).unwrap();
        assert_eq!(read, "#/components/schemas/NoteInput");
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Note"]["required"], json!(["noteText", "stars"]));
        assert_eq!(schemas["NoteInput"]["required"], json!(["noteText"]));
        assert_eq!(schemas["Note"]["description"], "A note.");
        let optional = json!({ "type": ["string", "null"] });
        assert_eq!(schemas["NoteInput"]["properties"]["link"], optional);
    }

    #[test]
    fn a_schema_stands_on_its_own() {
        let document = json!({ "components": { "schemas": {
            "A": { "properties": { "b": { "$ref": "#/components/schemas/B" } } },
            "B": { "items": { "$ref": "#/components/schemas/B" } },
            "C": true,
        } } });
        let want = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": "#/$defs/A",
            "$defs": {
                "A": { "properties": { "b": { "$ref": "#/$defs/B" } } },
                "B": { "items": { "$ref": "#/$defs/B" } },
            },
        });
        assert_eq!(json_schema(&document, "A"), Some(want));
        assert_eq!(json_schema(&document, "D"), None);
    }

    #[test]
    fn refusals_are_listed_by_status() {
        let document = sample();
        let responses = &document["paths"]["/a/{id}:b"]["put"]["responses"];
        assert_eq!(responses["409"]["description"], "`Busy`, `Taken`");
        assert_eq!(
            responses["401"]["description"],
            "`InvalidAuthenticationInfo`"
        );
        assert_eq!(responses["204"], json!({ "description": "Stored." }));
        assert!(
            document["paths"]["/a/{id}:b"]["get"]["responses"]
                .get("401")
                .is_none()
        );
    }
}
