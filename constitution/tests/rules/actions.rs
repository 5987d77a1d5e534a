//! CON-02, CON-03 and CON-30 to CON-63: what actions accept and do.

use constitution::ProposalState::Accepted;
use serde_json::{Value, json};

use crate::consortium::{Consortium, certificate, id};

/// A key that is too short.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCym4Lzx+zqstX6aeMcnyupbAzI
NRjUVqyP42st2fojTM9V72okpC0x/4d0fKqSXlXktfoPriPUqBQO9dvAwObtVFn4
Q3A0rSTKMjOrYhFqkifDz7dvLW27iV5WNDx8bUDksHtsjnaWaQqN08gdZk9zbowk
elTONCGBAClApfOORQIDAQAB
-----END PUBLIC KEY-----
";

#[test]
pub fn unknown_and_refused_actions_name_their_rule() {
    let mut c = Consortium::of(&["a"]);
    for name in ["nothing", "__proto__", "toString", "constructor", ""] {
        assert_eq!(
            c.broken_rule(name, json!({})).as_deref(),
            Some("CON-02"),
            "{name}"
        );
    }
    for name in [
        "set_js_app",
        "remove_js_app",
        "set_js_runtime_options",
        "refresh_js_app_bytecode_cache",
        "add_node_code",
        "remove_executor_node_code",
        "trigger_acme_refresh",
    ] {
        assert_eq!(
            c.broken_rule(name, json!({})).as_deref(),
            Some("CON-03"),
            "{name}"
        );
        let applied = c.apply(&json!([{"name": name, "args": {}}]));
        assert!(
            applied.unwrap_err().to_string().contains("CON-03"),
            "{name}"
        );
    }
}

/// W22: what must be an object, a text, a certificate or a key is one.
#[test]
pub fn arguments_have_their_types() {
    let mut c = Consortium::of(&["a"]);
    c.accept_contract("k");
    let cert = certificate();
    let two = format!("{cert}{}", certificate());
    for (name, args, rule) in [
        ("set_member", json!({}), "CON-30"),
        ("set_member", json!({"cert": "text"}), "CON-33"),
        ("set_member", json!({"cert": two}), "CON-33"),
        (
            "set_member",
            json!({"cert": cert, "member_data": []}),
            "CON-32",
        ),
        (
            "set_member",
            json!({"cert": cert, "member_data": "x"}),
            "CON-32",
        ),
        (
            "set_member",
            json!({"cert": cert, "encryption_pub_key": "text"}),
            "CON-34",
        ),
        (
            "set_member",
            json!({"cert": cert, "encryption_pub_key": RSA_1024}),
            "CON-34",
        ),
        (
            "set_member",
            json!({"cert": cert, "recovery_role": "Owner"}),
            "CON-35",
        ),
        (
            "set_member",
            json!({"cert": cert, "recovery_role": "King"}),
            "CON-30",
        ),
        ("remove_member", json!({"member_id": "AB"}), "CON-31"),
        (
            "set_member_data",
            json!({"member_id": id("a"), "member_data": null}),
            "CON-32",
        ),
        ("set_user", json!({"cert": 7}), "CON-30"),
        (
            "set_recovery_threshold",
            json!({"recovery_threshold": 0}),
            "CON-30",
        ),
        (
            "set_recovery_threshold",
            json!({"recovery_threshold": 255}),
            "CON-30",
        ),
        (
            "set_recovery_threshold",
            json!({"recovery_threshold": "2"}),
            "CON-30",
        ),
        (
            "set_service_configuration",
            json!({"consensus": "none"}),
            "CON-38",
        ),
        (
            "add_snp_host_data",
            json!({"host_data": "00", "security_policy": ""}),
            "CON-41",
        ),
        (
            "add_snp_host_data",
            json!({"host_data": "00".repeat(32), "security_policy": "x"}),
            "CON-40",
        ),
        (
            "set_snp_minimum_tcb_version_hex",
            json!({"cpuid": "00A00F11", "tcb_version": "00".repeat(8)}),
            "CON-42",
        ),
        (
            "set_snp_minimum_tcb_version_hex",
            json!({"cpuid": "00a00f11", "tcb_version": "DC18000000000004"}),
            "CON-42",
        ),
        (
            "set_service_certificate_validity",
            json!({"valid_from": "x", "validity_period_days": 0}),
            "CON-30",
        ),
        ("set_jwt_issuer", json!({"issuer": ""}), "CON-31"),
        (
            "set_jwt_issuer",
            json!({"issuer": "https://i", "auto_refresh": true}),
            "CON-50",
        ),
        (
            "set_jwt_issuer",
            json!({"issuer": "http://i", "auto_refresh": true, "ca_cert_bundle_name": "b"}),
            "CON-83",
        ),
        (
            "set_jwt_issuer",
            json!({"issuer": "i", "jwks": {"keys": []}}),
            "CON-51",
        ),
        (
            "set_jwt_issuer",
            json!({"issuer": "i", "jwks": {"keys": [{"kid": "k", "kty": "RSA"}]}}),
            "CON-51",
        ),
        (
            "set_jwt_issuer",
            json!({"issuer": "i", "jwks": []}),
            "CON-32",
        ),
        (
            "set_contract",
            json!({"contractId": "k", "contract": []}),
            "CON-32",
        ),
        (
            "set_contract",
            json!({"contractId": "k", "contract": {}}),
            "CON-60",
        ),
        (
            "set_contract",
            json!({"contractId": "", "contract": {"data": 1}}),
            "CON-31",
        ),
        (
            "set_contract",
            json!({"contractId": "a\u{0}b", "contract": {"data": 1}}),
            "CON-31",
        ),
        (
            "set_contract",
            json!({"contractId": "__proto__", "contract": {"data": 1}}),
            "CON-31",
        ),
        (
            "set_deployment_spec",
            json!({"contractId": "none", "spec": {}}),
            "CON-61",
        ),
        (
            "set_deployment_info",
            json!({"contractId": "k", "info": "x"}),
            "CON-32",
        ),
        (
            "set_contract_runtime_options_enable_logging",
            json!({"contractId": "none"}),
            "CON-61",
        ),
        (
            "set_cgs_runtime_options",
            json!({"option": "autoapprove-all", "status": "enabled"}),
            "CON-63",
        ),
        (
            "set_cgs_runtime_options",
            json!({"option": "autoapprove-jsapp-proposal", "status": "on"}),
            "CON-63",
        ),
        (
            "ca_enable_rotate_signing_key",
            json!({"contractId": "k"}),
            "CON-62",
        ),
        (
            "set_oidc_issuer_url",
            json!({"issuer_url": "https://u@h/"}),
            "CON-83",
        ),
        (
            "set_oidc_issuer_url",
            json!({"issuer_url": "https://h/?q"}),
            "CON-83",
        ),
        (
            "set_user_identity",
            json!({"id": "u", "accountType": "other", "data": {"tenantId": "t"}}),
            "CON-80",
        ),
        (
            "set_user_invitation_by_jwt_claims",
            json!({"invitationId": "i", "type": "add", "accountType": "microsoft", "claims": {"roles": ["x"]}}),
            "CON-81",
        ),
        ("trigger_ledger_rekey", json!({"x": 1}), "CON-30"),
    ] {
        assert_eq!(
            c.broken_rule(name, args.clone()).as_deref(),
            Some(rule),
            "{name} {args}"
        );
    }
    let list = c.check(&json!([{"name": "set_member", "args": []}]));
    assert!(list.unwrap_err().contains("CON-32"));
    // All faults of a proposal are told, not the first alone.
    let text = c
        .check(&json!([{"name": "nothing"}, {"name": "set_user", "args": {}}]))
        .unwrap_err();
    assert!(text.contains("CON-02") && text.contains("CON-30"), "{text}");
}

#[test]
pub fn a_member_set_again_must_become_active_again() {
    let mut c = Consortium::of(&["a"]);
    c.enact(
        "set_member",
        json!({"cert": certificate(), "member_data": {"tenantId": "t"}}),
    );
    let member = c.names_of("members.certs").pop().unwrap();
    let info = c.get("members.info", &member).unwrap();
    assert_eq!(
        info,
        json!({"status": "Accepted", "member_data": {"tenantId": "t"}})
    );
    assert_eq!(
        c.get("members.acks", &member),
        Some(json!({"state_digest": ""}))
    );
}

/// CON-37: nobody votes the last voter away, by any of the three ways.
#[test]
pub fn somebody_is_left_to_vote() {
    let mut c = Consortium::of(&["a"]);
    for (name, args) in [
        ("remove_member", json!({"member_id": id("a")})),
        (
            "set_member_data",
            json!({"member_id": id("a"), "member_data": {"isOperator": true}}),
        ),
        (
            "set_member_data",
            json!({"member_id": id("a"), "member_data": {"cgsRoles": {"cgsOperator": "true"}}}),
        ),
    ] {
        let error = c.apply(&json!([{"name": name, "args": args}])).unwrap_err();
        assert!(error.to_string().contains("CON-37"), "{name}: {error}");
    }
    c.member("b", "Active", json!(null));
    c.enact("remove_member", json!({"member_id": id("a")}));
    assert_eq!(c.get("members.info", &id("a")), None);
}

/// CON-36, and the new ledger secret after a holder of a share has gone.
#[test]
pub fn shares_stay_enough_and_the_ledger_is_rekeyed() {
    let mut c = Consortium::of(&["a", "b", "c"]);
    c.share("a");
    c.share("b");
    c.set_only("service.config", &json!({"recovery_threshold": 2}));
    let error = c
        .apply(&json!([{"name": "remove_member", "args": {"member_id": id("a")}}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-36"), "{error}");
    let error = c
        .apply(&json!([{"name": "set_recovery_threshold", "args": {"recovery_threshold": 3}}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-36"), "{error}");
    c.enact("set_recovery_threshold", json!({"recovery_threshold": 1}));
    assert_eq!(c.effects.names, ["triggerRecoverySharesRefresh"]);
    c.enact("remove_member", json!({"member_id": id("a")}));
    assert_eq!(c.effects.names.last(), Some(&"triggerLedgerRekey"));
    c.enact("remove_member", json!({"member_id": id("c")}));
    assert_eq!(c.effects.names.len(), 2, "no share, no new secret");
}

#[test]
pub fn opening_a_recovering_service_names_what_came_before() {
    let mut c = Consortium::of(&["a"]);
    c.set_only("service.info", &json!({"status": "Recovering"}));
    let next = json!({"next_service_identity": certificate()});
    let error = c
        .apply(&json!([{"name": "transition_service_to_open", "args": next}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-39"), "{error}");
    let both =
        json!({"next_service_identity": certificate(), "previous_service_identity": certificate()});
    c.enact("transition_service_to_open", both);
    assert_eq!(c.effects.names, ["transitionServiceToOpen"]);
}

#[test]
pub fn other_open_proposals_fall_with_the_rules_they_were_made_under() {
    let mut c = Consortium::of(&["a"]);
    let drops = [
        (
            "set_constitution",
            json!({"constitution": "export function validate() {} export function resolve(p, i, v) {} export function apply(p, i) {}"}),
        ),
        (
            "add_snp_measurement",
            json!({"measurement": "00".repeat(48)}),
        ),
        (
            "add_snp_host_data",
            json!({"host_data": "00".repeat(32), "security_policy": ""}),
        ),
        (
            "add_snp_uvm_endorsement",
            json!({"did": "d", "feed": "f", "svn": "1"}),
        ),
    ];
    for (name, args) in drops {
        let other = c.open(&json!([]));
        let applied = c.apply(&json!([{"name": name, "args": args}])).unwrap();
        assert_eq!(
            c.get("proposals_info", &other).unwrap()["state"],
            "Dropped",
            "{name}"
        );
        assert_eq!(
            c.get("proposals_info", &applied).unwrap()["state"],
            "Accepted",
            "{name}"
        );
    }
    let other = c.open(&json!([]));
    let tcb = json!({"cpuid": "00a00f11", "tcb_version": "db18000000000004"});
    c.enact("set_snp_minimum_tcb_version_hex", tcb);
    assert_eq!(c.get("proposals_info", &other).unwrap()["state"], "Open");
}

#[test]
pub fn an_accepted_contract_carries_its_votes_and_never_changes() {
    let mut c = Consortium::of(&["a"]);
    let args = json!({"contractId": "k", "contract": {"data": {"x": 1}, "extra": 2}});
    let proposal = c.enact("set_contract", args.clone());
    let stored = json!({"data": {"x": 1}, "proposalId": proposal, "finalVotes": {id("a"): true}});
    assert_eq!(c.get("accepted_contracts", "k"), Some(stored.clone()));
    let error = c
        .apply(&json!([{"name": "set_contract", "args": args}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-12"), "{error}");
    assert_eq!(c.get("accepted_contracts", "k"), Some(stored));
}

#[test]
pub fn switches_and_deployments_are_stored_as_the_application_reads_them() {
    let mut c = Consortium::of(&["a"]);
    c.accept_contract("k");
    let contract = json!({"contractId": "k"});
    c.enact(
        "set_contract_runtime_options_enable_logging",
        contract.clone(),
    );
    assert_eq!(
        c.get("contracts_logging_status", "k"),
        Some(json!({"status": "enabled"}))
    );
    c.enact(
        "set_contract_runtime_options_disable_logging",
        contract.clone(),
    );
    assert_eq!(
        c.get("contracts_logging_status", "k"),
        Some(json!({"status": "disabled"}))
    );
    c.enact(
        "set_deployment_spec",
        json!({"contractId": "k", "spec": {"data": [1]}}),
    );
    assert_eq!(c.get("deployment_specs", "k"), Some(json!({"data": [1]})));
    c.enact(
        "set_cgs_runtime_options",
        json!({"option": "autoapprove-jsapp-proposal", "status": "enabled"}),
    );
    assert_eq!(
        c.get("cgs_runtime_options", "autoapprove-jsapp-proposal"),
        Some(json!({"status": "enabled"}))
    );
    c.enact("enable_ca", contract.clone());
    c.enact("ca_enable_rotate_signing_key", contract.clone());
    c.enact("enable_ca", contract);
    assert_eq!(
        c.get("ca", "k"),
        Some(json!({"enabled": "true", "requestId": "2"}))
    );
}

fn text_of(c: &mut Consortium, table: &str, key: &str) -> Option<String> {
    let entries = c.kv.tables.get(&format!("public:ccf.gov.{table}"))?;
    let bytes: &Vec<u8> = entries.get(key.as_bytes())?;
    Some(String::from_utf8(bytes.clone()).unwrap())
}

#[test]
pub fn key_requests_count_up() {
    for (enable, rotate, table) in [
        (
            "enable_oidc_issuer",
            "oidc_issuer_enable_rotate_signing_key",
            "oidc_issuer",
        ),
        (
            "enable_signing",
            "signing_enable_rotate_signing_key",
            "signing",
        ),
    ] {
        let mut c = Consortium::of(&["a"]);
        c.enact(rotate, Value::Null);
        assert_eq!(text_of(&mut c, table, "generateSigningKeyRequestId"), None);
        c.enact(enable, json!({"kid": "k"}));
        c.enact(rotate, Value::Null);
        c.enact(rotate, Value::Null);
        c.enact(enable, json!({"kid": "other"}));
        let got = [
            "enabled",
            "generateSigningKeyRequestId",
            "generateSigningKeyKid",
        ]
        .map(|key| text_of(&mut c, table, key).unwrap());
        assert_eq!(got, ["true", "3", "k"]);
    }
}

#[test]
pub fn invitations_are_edited_until_they_are_taken_up() {
    let mut c = Consortium::of(&["a"]);
    let edit = |kind: &str, claims: Value| json!({"invitationId": "i", "type": kind, "accountType": "microsoft", "claims": claims});
    let name = "set_user_invitation_by_jwt_claims";
    c.enact(
        name,
        edit("add", json!({"email": "x@y", "tid": ["t", "u"]})),
    );
    assert_eq!(c.get("user_invitations-i", "tid"), Some(json!(["t", "u"])));
    assert_eq!(
        c.broken_rule(name, edit("remove", json!({"tid": "v"})))
            .as_deref(),
        Some("CON-74")
    );
    c.enact(name, edit("remove", json!({"tid": "t"})));
    assert_eq!(c.get("user_invitations-i", "tid"), Some(json!(["u"])));
    c.enact("set_user_identity", json!({"id": "u", "accountType": "microsoft", "invitationId": "i", "data": {"tenantId": "t"}}));
    assert_eq!(
        c.broken_rule(name, edit("add", json!({"tid": "v"})))
            .as_deref(),
        Some("CON-82")
    );
    c.enact(
        "remove_user_invitation_by_jwt_claims",
        json!({"invitationId": "i"}),
    );
    assert_eq!(c.names_of("user_invitations-i"), Vec::<String>::new());
}

#[test]
pub fn a_trusted_node_is_endorsed_for_as_long_as_the_service_allows() {
    let mut c = Consortium::of(&["a"]);
    c.set(
        "nodes.info",
        &id("n"),
        &json!({"status": "Pending", "certificate_signing_request": "csr"}),
    );
    let args = json!({"node_id": id("n"), "valid_from": "now", "validity_period_days": 366});
    let error = c
        .apply(&json!([{"name": "transition_node_to_trusted", "args": args}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-43"), "{error}");
    c.enact(
        "transition_node_to_trusted",
        json!({"node_id": id("n"), "valid_from": "now"}),
    );
    let info = c.get("nodes.info", &id("n")).unwrap();
    assert_eq!(
        (&info["status"], &info["ledger_secret_seqno"]),
        (&json!("Trusted"), &json!(7))
    );
    assert_eq!(
        text_of(&mut c, "nodes.endorsed_certificates", &id("n")).unwrap(),
        "csr now 365"
    );
    c.enact("remove_node", json!({"node_id": id("n")}));
    assert_eq!(c.get("nodes.info", &id("n")).unwrap()["status"], "Retired");
}

/// A constitution that would leave members without one that works does not come in; ours may replace itself.
#[test]
pub fn constitutions_are_checked_before_they_rule() {
    let mut c = Consortium::of(&["a"]);
    let set = |text: &str| json!([{"name": "set_constitution", "args": {"constitution": text}}]);
    for text in ["", "syntax error(", "export function validate() {}"] {
        assert!(c.check(&set(text)).is_err(), "{text}");
    }
    let ours = set(&constitution::default_module());
    assert_eq!(c.check(&ours), Ok(()));
    c.decide("a", &ours, &[("a", true)]).is(Accepted, "CON-15");
    c.apply(&ours).unwrap();
}
