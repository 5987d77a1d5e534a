//! The tables a constitution reads, asked of a node over its public endpoints.
//!
//! Governance's own tables come from `/gov/service` and `/gov/members` of either host. What the application shows is asked for
//! when it is needed: acceptance of a contract or document, clean room policies, deployments, options. Other tables have no endpoint:
//! they are taken for empty, and [`Tables::unseen`] says so.

use std::collections::{BTreeMap, BTreeSet};

use constitution::{Kv, KvError, MemoryKv};
use serde_json::{Value, json};

use super::{SINGLETON, Tables, Unseen};
use crate::client::{Client, ClientError, Request, contract_path, segment};
use crate::service::gov;

const GOV: &str = "public:ccf.gov.";

/// Where a table's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Read in full at the start.
    Complete,
    /// Read at the start, without what endpoints leave out.
    InPart,
    /// One row asked for at a time.
    RowByRow,
    /// The rows of one contract, all of them at once.
    Policy,
    /// Not needed: what is missing there is found by reading complete tables.
    Dispensable,
    /// No endpoint shows it.
    Nowhere,
}

/// The tables of a service, through the eyes of a client.
pub struct ServiceTables<'c> {
    client: &'c Client,
    known: MemoryKv,
    /// What was asked for already: table and key, or the whole table.
    asked: BTreeSet<(String, Option<Vec<u8>>)>,
    unseen: BTreeMap<String, Unseen>,
}

impl<'c> ServiceTables<'c> {
    /// Reads governance's tables. What the application shows is read as `client`'s identity may see it: a member's certificate is needed
    /// for contracts, policies and options.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn read(client: &'c Client) -> Result<Self, ClientError> {
        let mut tables = Self {
            client,
            known: MemoryKv::default(),
            asked: BTreeSet::new(),
            unseen: BTreeMap::new(),
        };
        tables.read_service()?;
        tables.read_people()?;
        tables.read_nodes()?;
        tables.read_tokens()?;
        tables.read_proposals()?;
        Ok(tables)
    }

    fn read_service(&mut self) -> Result<(), ClientError> {
        self.only("constitution", &json!(self.client.constitution()?));
        let info = self.json("/gov/service/info")?;
        let mut service = json!({
            "cert": info["certificate"],
            "status": info["status"],
            "recovery_count": info["recoveryCount"],
            "current_service_create_txid": info["creationTransactionId"],
        });
        if !info["serviceData"].is_null() {
            service["service_data"] = info["serviceData"].clone();
        }
        self.only("service.info", &service);
        let shown = &info["configuration"];
        let mut config = json!({"recovery_threshold": shown["recoveryThreshold"]});
        // A setting that is not stored is shown with its default.
        for (stored, name, default) in [
            (
                "maximum_node_certificate_validity_days",
                "maximumNodeCertificateValidityDays",
                365,
            ),
            (
                "maximum_service_certificate_validity_days",
                "maximumServiceCertificateValidityDays",
                365,
            ),
            (
                "recent_cose_proposals_window_size",
                "recentCoseProposalsWindowSize",
                100,
            ),
        ] {
            if shown[name] != default {
                config[stored] = shown[name].clone();
            }
        }
        self.only("service.config", &config);
        Ok(())
    }

    fn read_people(&mut self) -> Result<(), ClientError> {
        for member in self.client.members()? {
            let id = member.member_id.as_str();
            let mut info = json!({"status": member.status});
            if !member.member_data.is_null() {
                info["member_data"] = member.member_data.clone();
            }
            // The endpoint shows the role a member without one has by default.
            let default = match member.public_encryption_key {
                Some(_) => "Participant",
                None => "NonParticipant",
            };
            if let Some(role) = member.recovery_role.filter(|role| role != default) {
                info["recovery_role"] = json!(role);
            }
            self.row("members.info", id, &info);
            self.text("members.certs", id, &member.certificate);
            if let Some(key) = &member.public_encryption_key {
                self.text("members.encryption_public_keys", id, key);
            }
        }
        for user in self.list("/gov/service/users")? {
            let id = text_of(&user["userId"]);
            self.text("users.certs", id, text_of(&user["certificate"]));
            if !user["userData"].is_null() {
                self.row("users.info", id, &user["userData"]);
            }
        }
        Ok(())
    }

    fn read_nodes(&mut self) -> Result<(), ClientError> {
        for node in self.list("/gov/service/nodes")? {
            let id = text_of(&node["nodeId"]);
            let mut info =
                json!({"status": node["status"], "retired_committed": node["retiredCommitted"]});
            if !node["nodeData"].is_null() {
                info["node_data"] = node["nodeData"].clone();
            }
            self.row("nodes.info", id, &info);
            if let Some(certificate) = node["certificate"].as_str() {
                self.text("nodes.endorsed_certificates", id, certificate);
            }
        }
        let policy = self.json("/gov/service/join-policy")?;
        let snp = &policy["snp"];
        for measurement in snp["measurements"].as_array().into_iter().flatten() {
            self.row(
                "nodes.snp.measurements",
                text_of(measurement),
                &json!("AllowedToJoin"),
            );
        }
        for (table, member) in [
            ("nodes.snp.host_data", "hostData"),
            ("nodes.snp.uvm_endorsements", "uvmEndorsements"),
            ("nodes.snp.tcb_versions", "tcbVersions"),
        ] {
            for (key, value) in snp[member].as_object().into_iter().flatten() {
                self.row(table, key, value);
            }
        }
        Ok(())
    }

    fn read_tokens(&mut self) -> Result<(), ClientError> {
        let trusted = self.json("/gov/service/jwk")?;
        for (issuer, shown) in trusted["issuers"].as_object().into_iter().flatten() {
            let mut stored = json!({"issuer": issuer, "auto_refresh": shown["autoRefresh"]});
            if let Some(bundle) = shown["caCertBundleName"].as_str() {
                stored["ca_cert_bundle_name"] = json!(bundle);
            }
            self.row("jwt.issuers", issuer, &stored);
        }
        for (name, bundle) in trusted["caCertBundles"].as_object().into_iter().flatten() {
            self.row("tls.ca_cert_bundles", name, bundle);
        }
        Ok(())
    }

    fn read_proposals(&mut self) -> Result<(), ClientError> {
        for proposal in self.client.proposals()? {
            let id = proposal.proposal_id.as_str();
            let info = json!({
                "proposer_id": proposal.proposer_id,
                "state": format!("{:?}", proposal.proposal_state),
                "ballots": {},
            });
            let actions = self.client.proposal_actions(&proposal.proposal_id);
            match actions {
                Ok(actions) => self.row("proposals", id, &actions),
                // Decided and dropped since the list was made.
                Err(ClientError::Service(error)) if error.status == http::StatusCode::NOT_FOUND => {
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.row("proposals_info", id, &info);
        }
        Ok(())
    }

    fn json(&self, path: &str) -> Result<Value, ClientError> {
        self.client.send(gov(path))?.json()
    }

    fn list(&self, path: &str) -> Result<Vec<Value>, ClientError> {
        match self.json(path)? {
            Value::Object(mut list) => match list.remove("value") {
                Some(Value::Array(items)) => Ok(items),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let rows = self
            .known
            .tables
            .entry(format!("{GOV}{table}"))
            .or_default();
        rows.insert(key.to_vec(), value.to_vec());
    }

    fn only(&mut self, table: &str, value: &Value) {
        self.put(table, &SINGLETON, value.to_string().as_bytes());
    }

    fn row(&mut self, table: &str, key: &str, value: &Value) {
        self.put(table, key.as_bytes(), value.to_string().as_bytes());
    }

    fn text(&mut self, table: &str, key: &str, value: &str) {
        self.put(table, key.as_bytes(), value.as_bytes());
    }

    /// What is not shown counts as empty; the first reason is told.
    fn overlooked(&mut self, table: &str, why: Unseen) -> Result<(), KvError> {
        self.unseen.entry(table.to_owned()).or_insert(why);
        Ok(())
    }

    /// Makes sure that a row, or without a key the whole table, is known as far as it can be.
    fn ask(&mut self, table: &str, key: Option<&[u8]>) -> Result<(), KvError> {
        let source = source_of(table);
        match (source, key) {
            (Source::Complete | Source::Dispensable, _) => return Ok(()),
            (Source::Nowhere, _) => return self.overlooked(table, Unseen::NoEndpoint),
            (Source::InPart, _) => return self.overlooked(table, Unseen::InPart),
            (Source::RowByRow, None) => return self.overlooked(table, Unseen::NotListed),
            (Source::RowByRow | Source::Policy, _) => {}
        }
        let what = match source {
            Source::Policy => (table.to_owned(), None),
            _ => (table.to_owned(), key.map(<[u8]>::to_vec)),
        };
        if !self.asked.insert(what) {
            return Ok(());
        }
        let name = table.strip_prefix(GOV).unwrap_or(table).to_owned();
        let fetched = match name.strip_prefix(POLICY) {
            Some(contract) => self.fetch_policy(&name, contract),
            None => self.fetch_row(&name, key.unwrap_or_default()),
        };
        match fetched {
            Ok(()) => Ok(()),
            // Not for this caller, or not on this service.
            Err(ClientError::Service(_) | ClientError::PathSegment { .. }) => {
                self.overlooked(table, Unseen::Refused)
            }
            Err(error) => Err(KvError(error.to_string())),
        }
    }

    fn fetch_policy(&mut self, table: &str, contract: &str) -> Result<(), ClientError> {
        let policy = self.client.clean_room_policy(contract)?;
        for (claim, values) in policy.policy {
            self.row(table, &claim, &Value::Array(values));
        }
        Ok(())
    }

    fn fetch_row(&mut self, table: &str, key: &[u8]) -> Result<(), ClientError> {
        let Ok(id) = std::str::from_utf8(key) else {
            return Ok(());
        };
        let row = match table {
            "accepted_contracts" => self.accepted(&contract_path(id, &[])?)?,
            "deployment_specs" => self.deployed(id, "deploymentspec")?,
            "deployment_info" => self.deployed(id, "deploymentinfo")?,
            "contracts_logging_status" => {
                self.option(&contract_path(id, &["runtimeoptions", "logging"])?)?
            }
            "contracts_telemetry_status" => {
                self.option(&contract_path(id, &["runtimeoptions", "telemetry"])?)?
            }
            "cgs_runtime_options" => {
                self.option(&format!("/app/runtimeoptions/{}", segment(id)?))?
            }
            _ => None,
        };
        if let Some(row) = row {
            self.row(table, id, &row);
        }
        Ok(())
    }

    /// A contract's row, if it is accepted.
    fn accepted(&self, path: &str) -> Result<Option<Value>, ClientError> {
        let response = self.client.exchange(Request::post(path))?;
        let shown: Value = match response.success() {
            Ok(response) => response.json()?,
            // Neither drafted nor accepted; any other refusal says that contracts are not shown.
            Err(ClientError::Service(error)) if error.code == "ContractNotFound" => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if shown["state"] != "Accepted" {
            return Ok(None);
        }
        let votes: BTreeMap<&str, &Value> = shown["finalVotes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|vote| (text_of(&vote["memberId"]), &vote["vote"]))
            .collect();
        Ok(Some(json!({
            "data": shown["data"],
            "proposalId": shown["proposalId"],
            "finalVotes": votes,
        })))
    }

    fn deployed(&self, contract: &str, what: &str) -> Result<Option<Value>, ClientError> {
        let path = contract_path(contract, &[what])?;
        let shown: Value = self.client.send(Request::post(path))?.json()?;
        // Nothing deployed looks like an empty deployment.
        let is_empty = shown["data"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty);
        Ok((!is_empty).then(|| json!({"data": shown["data"]})))
    }

    /// An option that was never set looks like one that is disabled, and counts as it.
    fn option(&self, path: &str) -> Result<Option<Value>, ClientError> {
        let shown: Value = self
            .client
            .send(Request::post(format!("{path}/status")))?
            .json()?;
        Ok((shown["status"] == "enabled").then(|| json!({"status": "enabled"})))
    }
}

const POLICY: &str = "policies.cleanroom-";

fn source_of(table: &str) -> Source {
    let Some(name) = table.strip_prefix(GOV) else {
        return Source::Nowhere;
    };
    match name {
        "constitution"
        | "service.info"
        | "members.info"
        | "members.certs"
        | "members.encryption_public_keys"
        | "users.certs"
        | "users.info"
        | "jwt.issuers"
        | "tls.ca_cert_bundles"
        | "nodes.snp.measurements"
        | "nodes.snp.host_data"
        | "nodes.snp.uvm_endorsements"
        | "nodes.snp.tcb_versions"
        | "nodes.endorsed_certificates"
        | "proposals"
        | "proposals_info"
        | "service.config" => Source::Complete,
        // Without certificate signing requests.
        "nodes.info" => Source::InPart,
        "accepted_contracts"
        | "deployment_specs"
        | "deployment_info"
        | "contracts_logging_status"
        | "contracts_telemetry_status"
        | "cgs_runtime_options" => Source::RowByRow,
        // Without the index of claims the constitution reads all proposals; the limits of scripts are the default ones.
        "open_claims" | "open_claims_index" | "cose_recent_proposals" | "js_runtime_options" => {
            Source::Dispensable
        }
        _ if name.starts_with(POLICY) => Source::Policy,
        _ => Source::Nowhere,
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Kv for ServiceTables<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.ask(table, Some(key))?;
        self.known.get(table, key)
    }

    fn put(&mut self, table: &str, _: &[u8], _: &[u8]) -> Result<(), KvError> {
        Err(read_only(table))
    }

    fn remove(&mut self, table: &str, _: &[u8]) -> Result<(), KvError> {
        Err(read_only(table))
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        Err(read_only(table))
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        self.ask(table, None)?;
        self.known.for_each(table, visit)
    }

    /// Endpoints do not tell.
    fn version_of_previous_write(&mut self, table: &str, _: &[u8]) -> Result<Option<u64>, KvError> {
        self.overlooked(table, Unseen::Age)?;
        Ok(None)
    }
}

impl Tables for ServiceTables<'_> {
    fn unseen(&self) -> BTreeMap<String, Unseen> {
        self.unseen.clone()
    }
}

fn read_only(table: &str) -> KvError {
    KvError(format!("table {table} of a service is only read here"))
}
