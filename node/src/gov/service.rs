//! The state of the service, for everyone to read (CCF interface, section 1.9).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{
    Context, Error, MemberId, ReadContext, Reply, Result, Singleton, TxId, UserId, percent_decode,
};
use serde_json::{Map, Value as JsonValue, json};

use super::Governance;
use super::request;
use super::tables::{
    CA_CERT_BUNDLES, CONSTITUTION, ENDPOINTS, JWT_ISSUERS, JWT_KEYS, MEMBER_CERTS,
    MEMBER_ENCRYPTION_KEYS, MEMBER_INFO, MODULES, MemberInfo, NODE_CERTS, NODE_CODE_IDS, NODE_INFO,
    NodeInfo, SERVICE_CONFIG, SERVICE_INFO, SNP_HOST_DATA, SNP_MEASUREMENTS, SNP_TCB_VERSIONS,
    SNP_UVM_ENDORSEMENTS, USER_CERTS, USER_INFO, VIRTUAL_HOST_DATA, VIRTUAL_MEASUREMENTS,
};
use crate::query::parameter;

const DEFAULT_VALIDITY_DAYS: u32 = 365;
const DEFAULT_WINDOW: usize = 100;

/// GET `/service/constitution`
pub(super) fn constitution(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let text = ctx
        .read(&CONSTITUTION)
        .get(&Singleton)?
        .ok_or_else(|| unknown("Constitution not found."))?;
    Ok(Reply::text("text/javascript", text))
}

/// GET `/service/info`
pub(super) fn info(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let service = ctx
        .read(&SERVICE_INFO)
        .get(&Singleton)?
        .ok_or_else(|| unknown("Service not found."))?;
    let config = ctx
        .read(&SERVICE_CONFIG)
        .get(&Singleton)?
        .unwrap_or_default();
    let mut body = json!({
        "status": service.status,
        "certificate": service.cert,
        "recoveryCount": service.recovery_count,
        "creationTransactionId": service.current_service_create_txid,
        "serviceData": service.service_data,
        "configuration": {
            "recoveryThreshold": config.recovery_threshold,
            "maximumNodeCertificateValidityDays":
                config.maximum_node_certificate_validity_days.unwrap_or(DEFAULT_VALIDITY_DAYS),
            "maximumServiceCertificateValidityDays":
                config.maximum_service_certificate_validity_days.unwrap_or(DEFAULT_VALIDITY_DAYS),
            "recentCoseProposalsWindowSize":
                config.recent_cose_proposals_window_size.unwrap_or(DEFAULT_WINDOW),
        },
    });
    if let Some(version) = service.previous_service_identity_version {
        let seqno = ccf_rs::Seqno(version);
        if let Some(view) = ctx.view_of(seqno)? {
            body["previousServiceCreationTransactionId"] = json!(TxId { view, seqno });
        }
    }
    Reply::json(&body)
}

/// GET `/service/javascript-app`
pub(super) fn javascript_app(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::new_version(ctx)?;
    let original = match parameter(ctx, "case")?.as_deref() {
        None => false,
        Some("original") => true,
        Some(other) => {
            return Err(Error::bad_request(
                "InvalidQueryParameterValue",
                format!(
                    "Accepted values for the 'case' query parameter are: original, not '{other}'"
                ),
            ));
        }
    };
    let mut endpoints: BTreeMap<String, Map<String, JsonValue>> = BTreeMap::new();
    for (key, properties) in ctx.read(&ENDPOINTS).entries()? {
        let (verb, path) = key.split_once(' ').unwrap_or((&key, ""));
        let properties = if original {
            properties
        } else {
            camel_case(&properties)
        };
        endpoints
            .entry(path.to_owned())
            .or_default()
            .insert(verb.to_owned(), properties);
    }
    Reply::json(&json!({ "endpoints": endpoints }))
}

fn camel_case(properties: &JsonValue) -> JsonValue {
    let mut out = Map::new();
    for (from, to) in [
        ("js_module", "jsModule"),
        ("js_function", "jsFunction"),
        ("forwarding_required", "forwardingRequired"),
        ("redirection_strategy", "redirectionStrategy"),
        ("authn_policies", "authnPolicies"),
        ("mode", "mode"),
        ("openapi", "openApi"),
    ] {
        if let Some(value) = properties.get(from) {
            out.insert(to.to_owned(), value.clone());
        }
    }
    out.entry("redirectionStrategy").or_insert(json!("none"));
    JsonValue::Object(out)
}

/// GET `/service/javascript-modules`
pub(super) fn modules(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::new_version(ctx)?;
    let names: Vec<JsonValue> = ctx
        .read(&MODULES)
        .keys()?
        .into_iter()
        .map(|name| json!({ "moduleName": name }))
        .collect();
    Reply::json(&json!({ "value": names }))
}

/// GET `/service/javascript-modules/{moduleName}`
pub(super) fn module(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::new_version(ctx)?;
    let raw: String = ctx.path("moduleName")?;
    let name = percent_decode(&raw)
        .ok_or_else(|| Error::bad_request("InvalidResourceName", "The module name is not text."))?;
    let text = ctx
        .read(&MODULES)
        .get(&name)?
        .ok_or_else(|| unknown(format!("Module {name} does not exist.")))?;
    Ok(Reply::text("text/javascript", text))
}

/// GET `/service/join-policy`
pub(super) fn join_policy(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let sgx = ctx.read(&NODE_CODE_IDS).keys()?;
    let measurements = ctx.read(&VIRTUAL_MEASUREMENTS).keys()?;
    let host_data: Vec<String> = ctx
        .read(&VIRTUAL_HOST_DATA)
        .keys()?
        .into_iter()
        .map(|key| match String::from_utf8(key) {
            Ok(text) if text.len() != 32 => text,
            Ok(text) => hex::encode(text),
            Err(bytes) => hex::encode(bytes.as_bytes()),
        })
        .collect();
    let snp_measurements = ctx.read(&SNP_MEASUREMENTS).keys()?;
    let snp_host_data: BTreeMap<_, _> = ctx.read(&SNP_HOST_DATA).entries()?.into_iter().collect();
    let endorsements: BTreeMap<_, _> = ctx
        .read(&SNP_UVM_ENDORSEMENTS)
        .entries()?
        .into_iter()
        .collect();
    let versions: BTreeMap<_, _> = ctx.read(&SNP_TCB_VERSIONS).entries()?.into_iter().collect();
    Reply::json(&json!({
        "sgx": { "measurements": sgx },
        "virtual": { "measurements": measurements, "hostData": host_data },
        "snp": {
            "measurements": snp_measurements,
            "hostData": snp_host_data,
            "uvmEndorsements": endorsements,
            "tcbVersions": versions,
        },
    }))
}

/// GET `/service/jwk`. CCF fails when an elliptic curve key is stored; this gives its PEM.
pub(super) fn jwk(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let mut issuers = BTreeMap::new();
    for (name, row) in ctx.read(&JWT_ISSUERS).entries()? {
        let mut shown = json!({ "autoRefresh": row.get("auto_refresh").unwrap_or(&json!(false)) });
        if let Some(bundle) = row.get("ca_cert_bundle_name").filter(|b| !b.is_null()) {
            shown["caCertBundleName"] = bundle.clone();
        }
        issuers.insert(name, shown);
    }
    let bundles: BTreeMap<_, _> = ctx.read(&CA_CERT_BUNDLES).entries()?.into_iter().collect();
    let mut keys = BTreeMap::new();
    for (kid, row) in ctx.read(&JWT_KEYS).entries()? {
        let list = row
            .into_iter()
            .map(|key| {
                let der = STANDARD
                    .decode(&key.public_key)
                    .map_err(|_| Error::Stored {
                        table: JWT_KEYS.name().to_owned(),
                        reason: "public_key is not base64".into(),
                    })?;
                Ok(json!({
                    "publicKey": public_key_pem(&der),
                    "issuer": key.issuer,
                    "constraint": key.constraint,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        keys.insert(kid, list);
    }
    Reply::json(&json!({ "issuers": issuers, "caCertBundles": bundles, "keys": keys }))
}

fn public_key_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

/// GET `/service/members`
pub(super) fn members(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let mut all = Vec::new();
    for (id, info) in ctx.read(&MEMBER_INFO).entries()? {
        all.push(shown_member(ctx, &id, &info)?);
    }
    Reply::json(&json!({ "value": all }))
}

/// GET `/service/members/{memberId}`
pub(super) fn member(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = MemberId(request::id(ctx, "memberId", "member")?);
    let info = ctx
        .read(&MEMBER_INFO)
        .get(&id)?
        .ok_or_else(|| unknown(format!("Member {id} is not known.")))?;
    Reply::json(&shown_member(ctx, &id, &info)?)
}

fn shown_member(ctx: &mut ReadContext<'_>, id: &MemberId, info: &MemberInfo) -> Result<JsonValue> {
    let certificate = ctx.read(&MEMBER_CERTS).get(id)?;
    let key = ctx.read(&MEMBER_ENCRYPTION_KEYS).get(id)?;
    let role = info.recovery_role.as_deref().unwrap_or(match key {
        Some(_) => "Participant",
        None => "NonParticipant",
    });
    let mut body = json!({
        "memberId": id,
        "status": info.status,
        "memberData": info.member_data,
        "certificate": certificate.unwrap_or_default(),
        "recoveryRole": role,
    });
    if let Some(key) = key {
        body["publicEncryptionKey"] = json!(key);
    }
    Ok(body)
}

/// GET `/service/users`
pub(super) fn users(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let mut all = Vec::new();
    for (id, certificate) in ctx.read(&USER_CERTS).entries()? {
        all.push(shown_user(ctx, &id, &certificate)?);
    }
    Reply::json(&json!({ "value": all }))
}

/// GET `/service/users/{userId}`
pub(super) fn user(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = UserId(request::id(ctx, "userId", "user")?);
    let certificate = ctx
        .read(&USER_CERTS)
        .get(&id)?
        .ok_or_else(|| unknown(format!("User {id} is not known.")))?;
    Reply::json(&shown_user(ctx, &id, &certificate)?)
}

/// `userData` is the whole record, as CCF answers.
fn shown_user(ctx: &mut ReadContext<'_>, id: &UserId, certificate: &str) -> Result<JsonValue> {
    let record = ctx.read(&USER_INFO).get(id)?;
    Ok(json!({ "userId": id, "certificate": certificate, "userData": record }))
}

/// GET `/service/nodes`
pub(super) fn nodes(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let mut all = Vec::new();
    for (id, info) in ctx.read(&NODE_INFO).entries()? {
        all.push(shown_node(ctx, &id, &info)?);
    }
    Reply::json(&json!({ "value": all }))
}

/// GET `/service/nodes/{nodeId}`
pub(super) fn node(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = request::id(ctx, "nodeId", "node")?;
    let info = ctx
        .read(&NODE_INFO)
        .get(&id)?
        .ok_or_else(|| unknown(format!("Node {id} is not known.")))?;
    Reply::json(&shown_node(ctx, &id, &info)?)
}

fn shown_node(ctx: &mut ReadContext<'_>, id: &str, info: &NodeInfo) -> Result<JsonValue> {
    let interfaces: BTreeMap<&String, JsonValue> = info
        .rpc_interfaces
        .iter()
        .map(|(name, interface)| {
            let mut shown = json!({ "publishedAddress": interface.get("published_address") });
            if let Some(protocol) = interface.get("app_protocol").filter(|p| !p.is_null()) {
                shown["protocol"] = protocol.clone();
            }
            (name, shown)
        })
        .collect();
    let mut body = json!({
        "nodeId": id,
        "status": info.status,
        "nodeData": info.node_data,
        "retiredCommitted": info.retired_committed,
        "quoteInfo": quote_info(&info.quote_info),
        "rpcInterfaces": interfaces,
    });
    if let Some(certificate) = ctx.read(&NODE_CERTS).get(&id.to_owned())? {
        body["certificate"] = json!(certificate);
    }
    Ok(body)
}

fn quote_info(stored: &JsonValue) -> JsonValue {
    let field = |name: &str| stored.get(name).cloned().unwrap_or_default();
    let format = field("format");
    let mut shown = json!({ "format": format });
    match format.as_str() {
        Some("Insecure_Virtual") => {
            let quote = field("quote");
            let details: Option<JsonValue> = quote
                .as_str()
                .and_then(|quote| STANDARD.decode(quote).ok())
                .and_then(|json| serde_json::from_slice(&json).ok());
            shown["rawQuote"] = quote;
            if let Some(details) = details {
                shown["details"] = json!({
                    "measurement": details.get("measurement"),
                    "reportData": details.get("report_data"),
                    "hostData": details.get("host_data"),
                });
            }
        }
        Some("AMD_SEV_SNP_v1") => {
            for (from, to) in [
                ("uvm_endorsements", "uvmEndorsements"),
                ("endorsed_tcb", "endorsedTcb"),
            ] {
                if let Some(value) = stored.get(from).filter(|v| !v.is_null()) {
                    shown[to] = value.clone();
                }
            }
        }
        Some("OE_SGX_v1") => {
            shown["quote"] = field("quote");
            shown["endorsements"] = field("endorsements");
        }
        _ => {}
    }
    shown
}

/// GET `/service/transactions/{transactionId}`
pub(super) fn transaction(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let text: String = ctx.path("transactionId")?;
    let id: TxId = text.parse().map_err(|e: ccf_rs::ParseTxIdError| {
        Error::bad_request("InvalidQueryParameterValue", e.to_string())
    })?;
    let status = ctx.status_of(id)?;
    Reply::json(&json!({ "status": status.as_str(), "transactionId": id }))
}

/// GET `/service/transactions/commit`
pub(super) fn commit(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let id = ctx.last_committed()?;
    Reply::json(&json!({ "status": "Committed", "transactionId": id }))
}

fn unknown(message: impl Into<String>) -> Error {
    Error::not_found("ResourceNotFound", message)
}
