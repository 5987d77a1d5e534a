//! What is shown of the service.

use super::*;

#[test]
fn d09_the_api_version_is_required() {
    let mut c = Consortium::new("Active");
    let call = |c: &mut Consortium, target: &str| {
        parsed(&c.host.call(Verb::Get, target, Caller::Unasked, "").0)
    };
    let answer = call(&mut c, "/service/info");
    assert_eq!(code(&answer), (400, "MissingApiVersionParameter"));
    let answer = call(&mut c, "/service/info?api-version=x");
    assert_eq!(code(&answer), (400, "UnsupportedApiVersionValue"));
    let preview = "api-version=2023-06-01-preview";
    let answer = call(&mut c, &format!("/service/info?{preview}"));
    assert_eq!(answer.0, 200);
    let answer = call(&mut c, &format!("/service/javascript-app?{preview}"));
    assert_eq!(code(&answer), (400, "UnsupportedApiVersionValue"));
}

#[test]
fn d18_d19_the_state_of_the_service_is_shown() {
    let mut c = Consortium::new("Active");
    let info = c.get("/service/info").1;
    assert_eq!(info["configuration"]["recoveryThreshold"], 2);
    assert_eq!(info["configuration"]["recentCoseProposalsWindowSize"], 100);
    assert_eq!(info["creationTransactionId"], "2.1");
    assert_eq!(c.get("/service/constitution").1, CONSTITUTION);
    c.host
        .store("public:ccf.gov.modules", b"/m.js", b"export {}");
    assert_eq!(c.get("/service/javascript-modules/%2Fm.js").1, "export {}");
    assert_eq!(
        c.get("/service/members").1["value"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        c.get("/service/join-policy").1["snp"]["hostData"],
        json!({})
    );
    assert_eq!(c.get("/service/transactions/2.1").1["status"], "Committed");
    let answer = c.get("/service/transactions/x");
    assert_eq!(code(&answer), (400, "InvalidQueryParameterValue"));
    for path in ["/service/users", "/service/nodes", "/service/jwk"] {
        assert_eq!(c.get(path).0, 200);
    }
}

/// The query is decoded as a whole and then split; the first of several counts (CCF interface, section 0.2).
#[test]
fn d05_queries_are_decoded_before_they_are_split() {
    let mut c = Consortium::new("Active");
    for (query, status) in [
        ("api-version=2024-07-01&api-version=x", 200),
        ("api-version=x&api-version=2024-07-01", 400),
        ("a=%26api-version%3D2024-07-01", 200),
        ("api%2Dversion=2024%2D07-01", 200),
        ("api-version=2024-07-01%26b", 200),
        ("api-version", 400),
        ("%ff", 400),
    ] {
        let target = format!("/service/info?{query}");
        let (reply, _) = c.host.call(Verb::Get, &target, Caller::Unasked, "");
        assert_eq!(reply.status, status, "{query}");
    }
}

#[test]
fn d18_the_service_in_full() {
    let mut c = Consortium::new("Active");
    let pem = c.services.key.pem.clone();
    let configuration = json!({
        "recoveryThreshold": 2, "maximumNodeCertificateValidityDays": 365,
        "maximumServiceCertificateValidityDays": 365, "recentCoseProposalsWindowSize": 100,
    });
    let mut want = json!({
        "status": "Opening", "certificate": pem, "recoveryCount": 0, "creationTransactionId": "2.1",
        "serviceData": null, "configuration": configuration,
    });
    assert_eq!(c.get("/service/info").1, want);
    let service = json!({
        "cert": pem, "current_service_create_txid": "4.9", "recovery_count": 1, "status": "Open",
        "previous_service_identity_version": 3, "service_data": {"a": 1},
    });
    let config = json!({
        "recovery_threshold": 1, "maximum_node_certificate_validity_days": 2,
        "maximum_service_certificate_validity_days": 3, "recent_cose_proposals_window_size": 4,
    });
    for (table, row) in [("info", service), ("config", config)] {
        let table = format!("public:ccf.gov.service.{table}");
        c.host.store(&table, &ONE, row.to_string().as_bytes());
    }
    want["status"] = json!("Open");
    want["recoveryCount"] = json!(1);
    want["creationTransactionId"] = json!("4.9");
    want["previousServiceCreationTransactionId"] = json!("2.3");
    want["serviceData"] = json!({ "a": 1 });
    want["configuration"] = json!({
        "recoveryThreshold": 1, "maximumNodeCertificateValidityDays": 2,
        "maximumServiceCertificateValidityDays": 3, "recentCoseProposalsWindowSize": 4,
    });
    assert_eq!(c.get("/service/info").1, want);
}

#[test]
fn d18_the_javascript_application_in_both_cases() {
    let mut c = Consortium::new("Active");
    let stored = json!({
        "js_module": "/m.js", "js_function": "f", "forwarding_required": "sometimes",
        "authn_policies": ["user_cert", { "all_of": ["jwt", "user_cert"] }], "mode": "readonly",
    });
    let table = "public:ccf.gov.endpoints";
    c.host
        .store(table, b"GET /app/path", stored.to_string().as_bytes());
    let shown = json!({
        "jsModule": "/m.js", "jsFunction": "f", "forwardingRequired": "sometimes", "redirectionStrategy": "none",
        "authnPolicies": ["user_cert", { "all_of": ["jwt", "user_cert"] }], "mode": "readonly",
    });
    let in_case = |c: &mut Consortium, case: &str| {
        let target = format!("/service/javascript-app?{V}{case}");
        parsed(&c.host.call(Verb::Get, &target, Caller::Unasked, "").0)
    };
    let want =
        |properties: &JsonValue| json!({ "endpoints": { "/app/path": { "GET": properties } } });
    assert_eq!(in_case(&mut c, "").1, want(&shown));
    assert_eq!(in_case(&mut c, "&case=original").1, want(&stored));
    let answer = in_case(&mut c, "&case=camel");
    assert_eq!(code(&answer), (400, "InvalidQueryParameterValue"));
    c.host
        .store("public:ccf.gov.modules", b"/m.js", b"export {}");
    assert_eq!(
        c.get("/service/javascript-modules").1,
        json!({ "value": [{ "moduleName": "/m.js" }] })
    );
    let answer = c.get("/service/javascript-modules/m.js");
    assert_eq!(code(&answer), (404, "ResourceNotFound"));
}

#[test]
fn d19_the_join_policy_in_full() {
    let mut c = Consortium::new("Active");
    let tcb = r#"{"boot_loader":1,"hexstring":"00"}"#;
    for (table, key, value) in [
        ("code_ids", "aa", "\"AllowedToJoin\""),
        ("virtual.measurements", "virtual", "\"AllowedToJoin\""),
        ("virtual.host_data", "bb", "\0\0\0\0\0\0\0\0"),
        ("snp.measurements", "cc", "\"AllowedToJoin\""),
        ("snp.host_data", "dd", "\"policy\""),
        ("snp.uvm_endorsements", "did:x", r#"{"feed":{"svn":"1"}}"#),
        ("snp.tcb_versions", "00a00f11", tcb),
    ] {
        let table = format!("public:ccf.gov.nodes.{table}");
        c.host.store(&table, key.as_bytes(), value.as_bytes());
    }
    assert_eq!(
        c.get("/service/join-policy").1,
        json!({
            "sgx": { "measurements": ["aa"] },
            "virtual": { "measurements": ["virtual"], "hostData": ["bb"] },
            "snp": {
                "measurements": ["cc"], "hostData": { "dd": "policy" },
                "uvmEndorsements": { "did:x": { "feed": { "svn": "1" } } },
                "tcbVersions": { "00a00f11": { "boot_loader": 1, "hexstring": "00" } },
            },
        })
    );
}

#[test]
fn d19_members_and_users_in_full() {
    let mut c = Consortium::new("Active");
    let (id, pem) = (c.members[0].id.clone(), c.members[0].pem.clone());
    let key = c.encryption[0].public_key_pem().unwrap();
    let want = json!({
        "memberId": id, "status": "Active", "memberData": null, "certificate": pem,
        "publicEncryptionKey": key, "recoveryRole": "Participant",
    });
    let path = format!("/service/members/{id}");
    assert_eq!(c.get(&path).1, want);
    let list = c.get("/service/members").1;
    assert!(list["value"].as_array().unwrap().contains(&want));
    // Without an encryption key there is no share, and a role of its own is shown as it is.
    let keys = "public:ccf.gov.members.encryption_public_keys";
    c.host.erase(keys, id.as_bytes());
    assert_eq!(c.get(&path).1["recoveryRole"], "NonParticipant");
    assert!(c.get(&path).1.get("publicEncryptionKey").is_none());
    let info = r#"{"status":"Accepted","member_data":{"a":1},"recovery_role":"Owner"}"#;
    c.host.store(
        "public:ccf.gov.members.info",
        id.as_bytes(),
        info.as_bytes(),
    );
    let shown = c.get(&path).1;
    assert_eq!(
        (&shown["recoveryRole"], &shown["memberData"]),
        (&json!("Owner"), &json!({ "a": 1 }))
    );
    let user = "ab".repeat(32);
    c.host
        .store("public:ccf.gov.users.certs", user.as_bytes(), b"PEM");
    let path = format!("/service/users/{user}");
    let mut want = json!({ "userId": user, "certificate": "PEM", "userData": null });
    assert_eq!(c.get(&path).1, want);
    // CCF shows the whole record.
    let record = br#"{"user_data":{"a":1}}"#;
    c.host
        .store("public:ccf.gov.users.info", user.as_bytes(), record);
    want["userData"] = json!({ "user_data": { "a": 1 } });
    assert_eq!(c.get(&path).1, want);
    assert_eq!(c.get("/service/users").1, json!({ "value": [want] }));
    for path in ["members", "users", "nodes"] {
        let unknown = c.get(&format!("/service/{path}/{}", "0".repeat(64)));
        assert_eq!(code(&unknown), (404, "ResourceNotFound"), "{path}");
        let answer = c.get(&format!("/service/{path}/{}", "0".repeat(63)));
        assert_eq!(code(&answer), (400, "InvalidResourceName"), "{path}");
    }
}

#[test]
fn d19_nodes_in_full() {
    let mut c = Consortium::new("Active");
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    let quote = base64(r#"{"measurement":"m","report_data":"r","host_data":"h"}"#);
    let interfaces = json!({
        "a": { "bind_address": "0.0.0.0:1", "published_address": "host:1" },
        "b": { "bind_address": "0.0.0.0:2", "published_address": "host:2", "app_protocol": "HTTP2" },
    });
    let mut nodes = Vec::new();
    for (digit, status, info, quote_info) in [
        (
            "1",
            "Trusted",
            json!({ "format": "Insecure_Virtual", "quote": quote, "endorsements": "" }),
            json!({ "format": "Insecure_Virtual", "rawQuote": quote,
                    "details": { "measurement": "m", "reportData": "r", "hostData": "h" } }),
        ),
        (
            "2",
            "Pending",
            json!({ "format": "AMD_SEV_SNP_v1", "quote": "cQ==", "endorsements": "ZQ==", "uvm_endorsements": "dQ==",
                    "endorsed_tcb": "dA==" }),
            json!({ "format": "AMD_SEV_SNP_v1", "uvmEndorsements": "dQ==", "endorsedTcb": "dA==" }),
        ),
        (
            "3",
            "Retired",
            json!({ "format": "OE_SGX_v1", "quote": "cQ==", "endorsements": "ZQ==" }),
            json!({ "format": "OE_SGX_v1", "quote": "cQ==", "endorsements": "ZQ==" }),
        ),
    ] {
        let id = digit.repeat(64);
        let row = json!({ "status": status, "quote_info": info, "rpc_interfaces": interfaces })
            .to_string();
        c.host
            .store("public:ccf.gov.nodes.info", id.as_bytes(), row.as_bytes());
        let shown = json!({
            "nodeId": id, "status": status, "nodeData": null, "retiredCommitted": false, "quoteInfo": quote_info,
            "rpcInterfaces": { "a": { "publishedAddress": "host:1" },
                               "b": { "publishedAddress": "host:2", "protocol": "HTTP2" } },
        });
        assert_eq!(c.get(&format!("/service/nodes/{id}")).1, shown);
        nodes.push(shown);
    }
    assert_eq!(c.get("/service/nodes").1, json!({ "value": nodes }));
    let certificates = "public:ccf.gov.nodes.endorsed_certificates";
    c.host
        .store(certificates, "1".repeat(64).as_bytes(), b"PEM");
    let shown = c.get(&format!("/service/nodes/{}", "1".repeat(64))).1;
    assert_eq!(shown["certificate"], "PEM");
}

#[test]
fn d19_transactions() {
    let mut c = Consortium::new("Active");
    let last = c.host.seqno();
    assert_eq!(
        c.get("/service/transactions/commit").1,
        json!({ "status": "Committed", "transactionId": format!("2.{last}") })
    );
    for (id, status) in [
        ("2.1", "Committed"),
        ("1.1", "Invalid"),
        ("2.5000", "Unknown"),
    ] {
        assert_eq!(
            c.get(&format!("/service/transactions/{id}")).1,
            json!({ "status": status, "transactionId": id })
        );
    }
    for id in ["2", "0.1", "2.0", "2.1.1", "-2.1"] {
        let answer = c.get(&format!("/service/transactions/{id}"));
        assert_eq!(code(&answer), (400, "InvalidQueryParameterValue"), "{id}");
    }
}

#[test]
fn d19_token_issuers_and_keys() {
    let mut c = Consortium::new("Active");
    let jwk = json!({ "kid": "k", "kty": "EC", "crv": "P-256", "issuer": "https://issuer/a",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" });
    let set = json!({ "need": 0, "issuer": "https://issuer", "jwks": { "keys": [jwk] } });
    assert_eq!(c.propose(&set).0, 200);
    let issuer = br#"{"issuer":"https://issuer","auto_refresh":true,"ca_cert_bundle_name":"b"}"#;
    c.host
        .store("public:ccf.gov.jwt.issuers", b"https://issuer", issuer);
    c.host
        .store("public:ccf.gov.tls.ca_cert_bundles", b"b", b"\"PEM\"");
    let shown = c.get("/service/jwk").1;
    assert_eq!(
        shown["issuers"],
        json!({ "https://issuer": { "autoRefresh": true, "caCertBundleName": "b" } })
    );
    assert_eq!(shown["caCertBundles"], json!({ "b": "PEM" }));
    let key = &shown["keys"]["k"][0];
    assert_eq!(
        (&key["issuer"], &key["constraint"]),
        (&json!("https://issuer"), &json!("https://issuer/a"))
    );
}
