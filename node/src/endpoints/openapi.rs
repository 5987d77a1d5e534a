//! OpenAPI 3.0 documents made from the list of endpoints.

use ccf_rs::{Auth, Endpoint};
use serde_json::{Map, Value as JsonValue, json};

/// The document of a frontend: paths, verbs, path parameters, policies and summaries. Bodies are
/// not described.
pub fn document(prefix: &str, title: &str, version: &str, endpoints: &[Endpoint]) -> JsonValue {
    let mut paths: Map<String, JsonValue> = Map::new();
    let mut schemes: Map<String, JsonValue> = Map::new();
    for endpoint in endpoints {
        let verb = endpoint.verb.as_str().to_ascii_lowercase();
        let mut operation = json!({
            "operationId": format!("{verb}{}", endpoint.template),
            "responses": { "default": { "$ref": "#/components/responses/default" } },
        });
        if !endpoint.summary.is_empty() {
            operation["summary"] = json!(endpoint.summary);
        }
        let parameters: Vec<JsonValue> = components(endpoint.template)
            .map(|name| {
                json!({
                    "in": "path", "name": name, "required": true, "schema": { "type": "string" },
                })
            })
            .collect();
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
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
        if !security.is_empty() {
            operation["security"] = json!(security);
        }
        paths
            .entry(endpoint.template)
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .map(|path| path.insert(verb, operation));
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": title, "version": version },
        "servers": [{ "url": format!("/{prefix}") }],
        "paths": paths,
        "components": {
            "responses": { "default": { "description": "The answer, or an error." } },
            "securitySchemes": schemes,
        },
    })
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
