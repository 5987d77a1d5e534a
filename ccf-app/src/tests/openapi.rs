//! The OpenAPI document, and that answers are what it says: [`check`] looks at every answer in these tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use attestation::TrustAnchors;
use ccf_rs::openapi::{COMMON_REFUSALS, Description};
use ccf_rs::{Caller, Match, Reply, Router, Verb};
use serde_json::Value;

use super::Scene;
use crate::{Settings, application};

struct Described {
    router: Router,
    document: Value,
}

static DESCRIBED: LazyLock<Described> = LazyLock::new(|| {
    let settings = Settings {
        anchors: TrustAnchors::simulated(),
    };
    let application = application(settings);
    Described {
        document: application.document("/app"),
        router: Router::new(application.endpoints),
    }
});

/// Regenerate with `OPENAPI_WRITE=1 cargo test -p ccf-app checked_in`.
#[test]
fn the_document_is_the_one_that_is_checked_in() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = serde_json::to_string_pretty(&DESCRIBED.document).unwrap() + "\n";
    if std::env::var_os("OPENAPI_WRITE").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept == generated, "openapi.json is out of date");
}

#[test]
fn every_operation_says_what_it_answers() {
    let silent: Vec<_> = DESCRIBED
        .router
        .endpoints()
        .iter()
        .filter(|endpoint| {
            let Description {
                summary,
                reply,
                answers,
                ..
            } = &endpoint.description;
            summary.is_empty() || (reply.is_none() && answers.is_empty())
        })
        .map(|endpoint| format!("{} {}", endpoint.verb.as_str(), endpoint.template))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Codes that no request provokes on a host in memory, and the tests that provoke them.
const ELSEWHERE: [(&str, &str); 3] = [
    ("ChallengesNotAvailable", include_str!("../freshness.rs")),
    (
        "TransactionNotKept",
        include_str!("../../../tests/tests/hosted/recovery_history.rs"),
    ),
    (
        "UnsupportedContentType",
        include_str!("../../../tests/tests/hosted/misuse.rs"),
    ),
];

/// The codes of the description; a failure of ours is not to be provoked.
fn described_codes() -> BTreeSet<&'static str> {
    let endpoints = DESCRIBED.router.endpoints().iter();
    let described = endpoints.flat_map(|endpoint| &endpoint.description.refusals);
    let codes: BTreeSet<_> = described
        .chain(&COMMON_REFUSALS)
        .map(|(_, code)| *code)
        .filter(|code| *code != "InternalError")
        .collect();
    assert!(codes.len() > 60, "{codes:?}");
    codes
}

/// Whether each was answered is seen when all scenarios have run: [`every_code_of_the_description_was_answered`].
#[test]
fn every_code_of_the_description_is_named_by_a_scenario() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests");
    let scenarios: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let elsewhere: BTreeMap<_, _> = ELSEWHERE.into();
    let silent: Vec<_> = described_codes()
        .into_iter()
        .filter(|code| {
            let tests = elsewhere.get(code).copied().unwrap_or(&scenarios);
            !tests.contains(&format!("\"{code}\""))
        })
        .collect();
    assert!(silent.is_empty(), "no scenario provokes {silent:?}");
}

/// The file that [`check`] adds each code to which a scenario was answered with.
const ANSWERED: &str = "CLEANROOM_CODES";

fn note_answered(code: &str) {
    let Some(file) = std::env::var_os(ANSWERED) else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.unwrap()
        .write_all(format!("{code}\n").as_bytes())
        .unwrap();
}

#[test]
#[ignore = "asked by .ci/run about the scenarios that ran before"]
fn every_code_of_the_description_was_answered() {
    let file = std::env::var_os(ANSWERED).expect("the file that a whole run wrote");
    let answered = std::fs::read_to_string(file).unwrap();
    let answered: BTreeSet<_> = answered.lines().collect();
    let elsewhere: BTreeMap<_, _> = ELSEWHERE.into();
    let silent: Vec<_> = described_codes()
        .into_iter()
        .filter(|code| !answered.contains(code) && !elsewhere.contains_key(code))
        .collect();
    assert!(silent.is_empty(), "no scenario was answered {silent:?}");
}

#[test]
fn every_reference_leads_somewhere_and_no_two_types_share_a_name() {
    let document = &DESCRIBED.document;
    let mut references = BTreeSet::new();
    collect(document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    // The generator counts when it meets another type of a name it has.
    let counted: Vec<_> = schemas
        .keys()
        .filter(|name| name.ends_with(|last: char| last.is_ascii_digit()))
        .collect();
    assert!(counted.is_empty(), "{counted:?}");
}

#[test]
fn each_schema_is_served_complete_on_its_own() {
    let mut scene = Scene::new();
    let list = scene.member(Verb::Get, "/api/schemas", &Value::Null).1;
    let names: Vec<_> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in ["Contract", "ReleaseRecord", "CleanRoomPolicy"] {
        assert!(names.contains(&name), "{name}");
    }
    for name in names {
        let path = format!("/api/schemas/{name}");
        let (status, schema) = scene.call(Verb::Get, &path, Caller::Unasked, &Value::Null);
        assert_eq!(status, 200);
        let mut references = BTreeSet::new();
        collect(&schema, &mut references);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{name}: {reference}");
        }
    }
    let answer = scene.member(Verb::Get, "/api/schemas/None", &Value::Null);
    super::refuses(answer, 404, "SchemaNotFound");
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.insert(reference.clone());
            }
            members
                .values()
                .for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// Whether an answer, and the request if it was granted, are as the document says.
pub(super) fn check(verb: Verb, target: &str, body: &[u8], reply: &Reply) {
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let Match::Found(endpoint, _) = DESCRIBED.router.find(verb, path) else {
        return;
    };
    let name = format!("{} {}", verb.as_str(), endpoint.template);
    let template = endpoint.template.replace('~', "~0").replace('/', "~1");
    let method = verb.as_str().to_ascii_lowercase();
    let operation = DESCRIBED
        .document
        .pointer(&format!("/paths/{template}/{method}"))
        .unwrap();
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    if reply.status >= 400 {
        let code = read(&reply.body)["error"]["code"].clone();
        let refusals = &endpoint.description.refusals;
        let known = refusals
            .iter()
            .chain(&COMMON_REFUSALS)
            .any(|(status, known)| *status == reply.status && code == *known);
        assert!(known, "{name}: undescribed refusal {} {code}", reply.status);
        note_answered(code.as_str().unwrap());
        return;
    }
    let answer = &operation["responses"][reply.status.to_string()];
    assert!(answer.is_object(), "{name}: undescribed {}", reply.status);
    match schema(answer) {
        None => assert!(reply.body.is_empty(), "{name}: undescribed body"),
        Some(schema) => fits(schema, &read(&reply.body)).unwrap_or_else(|e| panic!("{name}: {e}")),
    }
    let given = !matches!(body, b"" | b"null");
    if let Some(schema) = schema(&operation["requestBody"]).filter(|_| given) {
        fits(schema, &read(body)).unwrap_or_else(|e| panic!("{name}: request: {e}"));
    }
}

fn schema(described: &Value) -> Option<&Value> {
    described.pointer("/content/application~1json/schema")
}

/// JSON Schema, as far as derived schemas use it.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let Value::Object(rules) = schema else {
        return if *schema == Value::Bool(false) {
            Err(format!("{value} is not allowed"))
        } else {
            Ok(())
        };
    };
    for (rule, want) in rules {
        let list = || want.as_array().into_iter().flatten();
        let count = || list().filter(|one| fits(one, value).is_ok()).count();
        let good = match rule.as_str() {
            "$ref" => {
                let pointer = want.as_str().and_then(|r| r.strip_prefix('#')).unwrap();
                fits(DESCRIBED.document.pointer(pointer).unwrap(), value)?;
                true
            }
            "type" => list()
                .chain([want])
                .filter_map(Value::as_str)
                .any(|want| is_type(want, value)),
            "enum" => list().any(|one| one == value),
            "const" => want == value,
            "anyOf" => count() > 0,
            "oneOf" => count() == 1,
            "allOf" => {
                list().try_for_each(|one| fits(one, value))?;
                true
            }
            "required" => list()
                .filter_map(Value::as_str)
                .all(|name| value.as_object().is_none_or(|v| v.contains_key(name))),
            "properties" => {
                for (name, schema) in want.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        fits(schema, member).map_err(|e| format!("{name}: {e}"))?;
                    }
                }
                true
            }
            "additionalProperties" => value.as_object().is_none_or(|members| {
                members
                    .iter()
                    .filter(|(name, _)| {
                        rules
                            .get("properties")
                            .is_none_or(|p| p.get(name).is_none())
                    })
                    .all(|(_, member)| fits(want, member).is_ok())
            }),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(want, item)?;
                }
                true
            }
            "minimum" => value.as_f64().is_none_or(|v| v >= want.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= want.as_f64().unwrap()),
            "minLength" => value
                .as_str()
                .is_none_or(|v| v.len() as u64 >= want.as_u64().unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|v| v.len() as u64 <= want.as_u64().unwrap()),
            "minItems" => value
                .as_array()
                .is_none_or(|v| v.len() as u64 >= want.as_u64().unwrap()),
            "maxItems" => value
                .as_array()
                .is_none_or(|v| v.len() as u64 <= want.as_u64().unwrap()),
            "description" | "title" | "default" | "format" | "pattern" => true,
            other => panic!("teach this test the rule {other}"),
        };
        if !good {
            return Err(format!("{value} breaks {rule}: {want}"));
        }
    }
    Ok(())
}

fn is_type(want: &str, value: &Value) -> bool {
    match want {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("unknown type {other}"),
    }
}
