//! Recoveries.

use std::collections::BTreeMap;

use ledger::{SINGLE_KEY, Signer as _, WriteSet};
use serde_json::json;
use tests::ledger_writer::{NODES_INFO, SERVICE_INFO};

use super::node::{Pending, shares};
use super::{History, action, gov};

impl History {
    /// The first transaction of a recovered service.
    pub(crate) fn start_recovery(&mut self) {
        let old_node = self.writer.node.key_id();
        let old_certificate = self.writer.service_certificate.clone();
        self.sign();
        self.writer.recover();
        let mut set = self.writer.founding();
        let count = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap()["recovery_count"]
            .as_u64()
            .unwrap();
        set.put(
            SERVICE_INFO,
            SINGLE_KEY,
            self.writer.service_info("Recovering", count + 1),
        );
        set.put(NODES_INFO, old_node, r#"{"status":"Retired"}"#);
        set.put(
            &gov("service.previous_service_identity"),
            SINGLE_KEY,
            json!(old_certificate).to_string(),
        );
        let root = json!(self.signed).to_string();
        set.put(ledger::LAST_SIGNED_ROOT_MAP, SINGLE_KEY, root);
        self.write(set);
        self.sign();
    }

    /// Members agree to a recovery.
    pub(crate) fn agree_to_recovery(&mut self) {
        let previous = self.row(&gov("service.previous_service_identity"), &SINGLE_KEY);
        let args = json!({
            "previous_service_identity": previous,
            "next_service_identity": self.writer.service_certificate,
        });
        self.accept(&action("transition_service_to_open", &args));
    }

    pub(crate) fn submit_share(&mut self, member: &str) {
        self.put(ledger::SUBMITTED_SHARES_MAP, member, r#""c2hhcmU=""#);
    }

    pub(crate) fn end_recovery(&mut self) {
        let mut set = WriteSet::new();
        let mut row = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap();
        row["status"] = json!("Open");
        set.put(SERVICE_INFO, SINGLE_KEY, row.to_string());
        let submitted = self.state.get(ledger::SUBMITTED_SHARES_MAP);
        for key in submitted.into_iter().flat_map(BTreeMap::keys) {
            set.remove(ledger::SUBMITTED_SHARES_MAP, key.as_slice());
        }
        let mut pending = Pending::new(&self.state, set);
        shares(&mut pending);
        self.write(pending.set);
    }
}
