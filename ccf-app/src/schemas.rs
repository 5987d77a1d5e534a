//! JSON Schemas of what the application reads and writes, each complete on its own, for whoever checks documents without the service: records
//! and documents in a ledger, contracts before they are proposed.
//!
//! They are the schemas of the OpenAPI document, with the ones they refer to.

use std::sync::Arc;

use ccf_rs::{
    Application, Context, Endpoints, Error, Forwarding, ReadContext, Reply, Result, openapi,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// `application` with endpoints for its schemas.
pub(crate) fn with_schemas(mut application: Application) -> Application {
    let document = Arc::new(application.document("/app"));
    let endpoints = Endpoints::new(document)
        .get("/api/schemas", list)
        .forwarding(Forwarding::Never)
        .summary("List the JSON Schemas of what is read and written")
        .reply::<List>()
        .get("/api/schemas/{name}", show)
        .forwarding(Forwarding::Never)
        .summary("A JSON Schema, complete on its own")
        .reply::<Value>()
        .refuses([(404, "SchemaNotFound")]);
    application.endpoints.extend(endpoints.build());
    application
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schemas")]
struct List {
    value: Vec<SchemaReference>,
}

#[derive(Serialize, JsonSchema)]
struct SchemaReference {
    name: String,
}

fn list(document: &Value, _: &mut ReadContext<'_>) -> Result<Reply> {
    let names = document["components"]["schemas"].as_object();
    let value = names
        .into_iter()
        .flat_map(|schemas| schemas.keys())
        .map(|name| SchemaReference { name: name.clone() })
        .collect();
    Reply::json(&List { value })
}

fn show(document: &Value, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let name: String = ctx.path("name")?;
    let schema = openapi::json_schema(document, &name)
        .ok_or_else(|| Error::not_found("SchemaNotFound", "There is no such schema."))?;
    let body = serde_json::to_vec(&schema).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Reply::ok().with_body("application/schema+json", body))
}
