//! A service with something in every table that matters, and everything that can be proposed there.

use serde_json::{Value, json};

use super::OURS;
use crate::consortium::{Consortium, certificate, id, rsa_public_key};

/// What proposals can be about.
pub(super) struct World {
    new: String,
    other: String,
    key: String,
    digest: String,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            new: certificate(),
            other: certificate(),
            key: rsa_public_key(),
            digest: "0a".repeat(32),
        }
    }

    /// Arguments for an action, as many kinds as could matter.
    fn arguments(&self, name: &str) -> Vec<Value> {
        let contract = json!({"contractId": "k"});
        let people = ["a", "b", "j", "o", "p", "s", "x"].map(id);
        let valid_from = "20260101000000Z";
        match name {
            "set_constitution" => vec![json!({"constitution": OURS}), json!({"constitution": "in force"})],
            "approve_constitution" | "withdraw_constitution_approval" => {
                vec![json!({"digest": self.digest})]
            }
            "set_member" => self.members(),
            "remove_member" => {
                let mut list: Vec<Value> = people.iter().map(|id| json!({"member_id": id})).collect();
                list.push(json!({"member_id": id("a"), "cert": self.new}));
                list
            }
            "set_member_data" => people
                .iter()
                .flat_map(|id| [json!({}), json!({"isOperator": true})].map(|data| json!({"member_id": id, "member_data": data})))
                .collect(),
            "set_user" => vec![json!({"cert": self.new, "user_data": {}})],
            "remove_user" => vec![json!({"user_id": id("u")})],
            "set_user_data" => vec![json!({"user_id": id("u"), "user_data": {"x": 1}})],
            "set_recovery_threshold" => vec![json!({"recovery_threshold": 1}), json!({"recovery_threshold": 2})],
            "set_service_configuration" => {
                vec![json!({"recovery_threshold": 1}), json!({"recent_cose_proposals_window_size": 1})]
            }
            "transition_service_to_open" => vec![
                json!({"next_service_identity": self.new}),
                json!({"next_service_identity": self.new, "previous_service_identity": self.other, "recovery_kind": "break_glass", "reason": "r"}),
            ],
            "set_ca_cert_bundle" => vec![json!({"name": "bundle", "cert_bundle": self.new}), json!({"name": "more", "cert_bundle": self.new})],
            "remove_ca_cert_bundle" => vec![json!({"name": "bundle"})],
            "set_jwt_issuer" => vec![
                json!({"issuer": "https://i", "jwks": {"keys": [{"kid": "k", "kty": "RSA", "n": "AQ", "e": "AQAB"}]}}),
                json!({"issuer": "https://known", "auto_refresh": true, "ca_cert_bundle_name": "bundle"}),
            ],
            "set_jwt_public_signing_keys" => {
                vec![json!({"issuer": "https://known", "jwks": {"keys": [{"kid": "k", "kty": "RSA", "n": "AQ", "e": "AQAB"}]}})]
            }
            "remove_jwt_issuer" => vec![json!({"issuer": "https://known"})],
            "add_snp_measurement" | "remove_snp_measurement" => vec![json!({"measurement": "0a".repeat(48)})],
            "add_snp_host_data" => vec![json!({"host_data": "0b".repeat(32), "security_policy": ""})],
            "remove_snp_host_data" => vec![json!({"host_data": "0a".repeat(32)})],
            "add_snp_uvm_endorsement" => vec![json!({"did": "did:x509:evil", "feed": "f", "svn": "1"}), json!({"did": "did", "feed": "f", "svn": "0"})],
            "remove_snp_uvm_endorsement" => vec![json!({"did": "did", "feed": "f"})],
            "set_snp_minimum_tcb_version" => [("00a00f11", 3), ("00a00f11", 5), ("00a10f11", 5)]
                .map(|(cpuid, level)| json!({"cpuid": cpuid, "tcb_version": crate::model::tcb(level)}))
                .to_vec(),
            "set_snp_minimum_tcb_version_hex" => ["0303000000000303", "0606000000000606"]
                .map(|tcb| json!({"cpuid": "00a00f11", "tcb_version": tcb}))
                .to_vec(),
            "remove_snp_minimum_tcb_version" => vec![json!({"cpuid": "00a00f11"})],
            "transition_node_to_trusted" | "set_node_certificate_validity" => ["n", "m", "x"]
                .map(|node| json!({"node_id": id(node), "valid_from": valid_from}))
                .to_vec(),
            "remove_node" => ["n", "m", "x"].map(|node| json!({"node_id": id(node)})).to_vec(),
            "set_node_data" => ["n", "m"].map(|node| json!({"node_id": id(node), "node_data": {"status": "Trusted"}})).to_vec(),
            "set_all_nodes_certificate_validity" | "set_service_certificate_validity" => {
                vec![json!({"valid_from": valid_from})]
            }
            "assert_service_identity" => vec![json!({"service_identity": self.other})],
            "set_contract" => vec![json!({"contractId": "l", "contract": {"data": 1}}), json!({"contractId": "k", "contract": {"data": 1}})],
            "set_deployment_spec" => vec![json!({"contractId": "k", "spec": {"data": 1}})],
            "set_deployment_info" => vec![json!({"contractId": "k", "info": {"data": 1}})],
            "set_cgs_runtime_options" => ["constitution", "cleanroompolicy"]
                .map(|option| json!({"option": format!("autoapprove-{option}-proposal"), "status": "enabled"}))
                .to_vec(),
            "set_member_document" => vec![json!({"documentId": "d", "document": {"data": 1}})],
            "set_clean_room_policy" => ["add", "remove"]
                .map(|kind| json!({"contractId": "k", "type": kind, "claims": {"x-ms-sevsnpvm-hostdata": ["0a".repeat(32)]}}))
                .to_vec(),
            "set_platform_policy" => vec![json!({"policy": {}})],
            "set_contract_options" => vec![json!({"contractId": "k", "options": {"strictReleases": false}})],
            "set_application_options" => vec![json!({"options": {"strictReleases": false}})],
            "set_recovery_policy" => vec![json!({"policy": {"mode": "break_glass_only", "break_glass": [{"member_id": id("s"), "holder": "h"}]}})],
            "acknowledge_recovery" => vec![json!({"recovery_count": 0})],
            "set_oidc_issuer_url" => vec![json!({"issuer_url": "https://i"})],
            "enable_oidc_issuer" | "enable_signing" => vec![json!({"kid": "k"})],
            "set_user_identity" => vec![json!({"id": "u", "accountType": "microsoft", "data": {"tenantId": "t"}})],
            "remove_user_identity" => vec![json!({"id": "u"})],
            "set_user_invitation_by_jwt_claims" => {
                vec![json!({"invitationId": "i", "type": "add", "accountType": "microsoft", "claims": {"tid": "t"}})]
            }
            "remove_user_invitation_by_jwt_claims" => vec![json!({"invitationId": "i"})],
            "trigger_recovery_shares_refresh" | "trigger_ledger_rekey" | "trigger_ledger_chunk" | "trigger_snapshot"
            | "remove_platform_policy" | "remove_recovery_policy" | "oidc_issuer_enable_rotate_signing_key"
            | "signing_enable_rotate_signing_key" => vec![Value::Null],
            "enable_ca" | "ca_enable_rotate_signing_key" => vec![contract],
            _ if name.starts_with("set_contract_runtime_options") => vec![contract],
            // Refused whatever the arguments.
            _ => vec![json!({})],
        }
    }

    fn members(&self) -> Vec<Value> {
        let mut list = Vec::new();
        for cert in [&self.new, &self.other] {
            for data in [
                json!({"isOperator": true}),
                json!({"isOperator": true, "isRecoveryOperator": true}),
                json!({"isOperator": true, "cgsRoles": {"cgsOperator": "true"}}),
                json!({"cgsRoles": {"contractOperator": "true"}}),
                json!({"isOperator": false}),
                json!({}),
            ] {
                list.push(json!({"cert": cert, "member_data": data}));
            }
            list.push(json!({"cert": cert, "member_data": {"isOperator": true}, "encryption_pub_key": self.key}));
            list.push(json!({"cert": cert, "member_data": {"isOperator": true}, "encryption_pub_key": self.key, "recovery_role": "Owner"}));
        }
        list
    }

    /// Proposals of one action: every action with each of its arguments.
    pub(super) fn moves(&self, names: &[String]) -> Vec<Value> {
        names
            .iter()
            .flat_map(|name| {
                let arguments = self.arguments(name).into_iter();
                arguments.map(move |args| json!([{"name": name, "args": args}]))
            })
            .collect()
    }

    /// Two members who vote, one of them with a share; one who is joining; operators of every kind, one with a share; nodes; and
    /// something in every table that matters. The certificate `other` is that of a member who votes.
    pub(super) fn service(&self, status: &str) -> Consortium {
        let mut c = Consortium::of(&["a", "b"]);
        c.member("j", "Accepted", Value::Null);
        c.operator("o");
        c.operator("p");
        c.operator("s");
        c.share("a");
        c.share("s");
        let all = json!({"isRecoveryOperator": true, "cgsRoles": {"cgsOperator": "true", "contractOperator": "true"}});
        c.member("x", "Active", all);
        c.enact("set_member", json!({"cert": self.other}));
        let voter = c.names_of("members.certs").pop().unwrap();
        c.set("members.info", &voter, &json!({"status": "Active"}));
        c.accept_contract("k");
        let host_data = "0a".repeat(32);
        c.set(
            "policies.cleanroom-k",
            "x-ms-sevsnpvm-hostdata",
            &json!([host_data]),
        );
        for (table, key, value) in [
            (
                "nodes.info",
                id("n"),
                json!({"status": "Trusted", "certificate_signing_request": "csr"}),
            ),
            (
                "nodes.info",
                id("m"),
                json!({"status": "Pending", "certificate_signing_request": "csr"}),
            ),
            (
                "nodes.snp.tcb_versions",
                "00a00f11".to_owned(),
                crate::model::tcb(4),
            ),
            ("nodes.snp.host_data", host_data, json!("")),
            (
                "nodes.snp.measurements",
                "0a".repeat(48),
                json!("AllowedToJoin"),
            ),
            (
                "nodes.snp.uvm_endorsements",
                "did".to_owned(),
                json!({"f": {"svn": "1"}}),
            ),
            (
                "jwt.issuers",
                "https://known".to_owned(),
                json!({"issuer": "https://known"}),
            ),
            ("tls.ca_cert_bundles", "bundle".to_owned(), json!("pem")),
            ("recoveries", "0".to_owned(), json!({"kind": "break_glass"})),
            (
                "ca",
                "k".to_owned(),
                json!({"enabled": "true", "requestId": "1"}),
            ),
        ] {
            c.set(table, &key, &value);
        }
        c.set_only("constitution", &json!("in force"));
        let info = json!({"status": status, "cert": self.other, "recovery_count": 0});
        c.set_only("service.info", &info);
        c.open(&json!([{"name": "trigger_ledger_rekey"}]));
        c.effects.names.clear();
        c
    }
}
