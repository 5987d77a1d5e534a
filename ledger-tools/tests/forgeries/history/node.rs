//! What the node does of itself: the transaction that it makes of an act, and what it makes when a proposal is applied.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use constitution::{Effects, Kv, KvError};
use ledger::{
    ENCRYPTED_SECRETS_MAP, EncryptedNodeSecret, EncryptedSecretsRow, HISTORICAL_SECRET_MAP,
    HistoricalSecretRow, LedgerSecret, RECOVERY_SHARES_MAP, RecoveryMembers, RecoverySharesRow,
    RsaPrivateKey, RsaPublicKey, SINGLE_KEY, Seqno, Signer as _, WriteSet,
};
use serde_json::{Value, json};
use tests::ledger_writer::{LedgerWriter, SERVICE_INFO};

use super::{State, gov};

/// A transaction in the making.
pub(super) struct Pending<'s> {
    state: &'s State,
    pub(super) set: WriteSet,
}

impl<'s> Pending<'s> {
    pub(super) fn new(state: &'s State, set: WriteSet) -> Self {
        Self { state, set }
    }

    fn value(&self, table: &str, key: &[u8]) -> Option<Vec<u8>> {
        match self.set.operation(table, key) {
            Some(written) => written.map(<[u8]>::to_vec),
            None => self
                .state
                .get(table)?
                .get(key)
                .map(|(value, _)| value.clone()),
        }
    }

    pub(super) fn text(&self, table: &str, key: &[u8]) -> String {
        String::from_utf8(self.value(&gov(table), key).unwrap()).unwrap()
    }

    fn rows(&self, table: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let known = self.state.get(table).into_iter().flat_map(BTreeMap::keys);
        let written = self.set.maps().find(|(name, _)| *name == table);
        let keys = known.chain(written.into_iter().flat_map(|(_, rows)| rows.keys()));
        keys.filter_map(|key| Some((key.clone(), self.value(table, key)?)))
            .collect()
    }
}

impl Kv for Pending<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.value(table, key))
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.set.put(table, key, value);
        Ok(())
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        self.set.remove(table, key);
        Ok(())
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        for key in self.rows(table).into_keys() {
            self.set.remove(table, key);
        }
        Ok(())
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        for (key, value) in self.rows(table) {
            visit(&key, &value);
        }
        Ok(())
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        let row = self.state.get(table).and_then(|rows| rows.get(key));
        Ok(row.map(|(_, seqno)| *seqno))
    }
}

/// Shares for the active members.
pub(super) fn shares(kv: &mut dyn Kv) {
    let mut keys = BTreeMap::new();
    kv.for_each(&gov("members.encryption_public_keys"), &mut |id, pem| {
        keys.insert(
            String::from_utf8(id.to_vec()).unwrap(),
            String::from_utf8(pem.to_vec()).unwrap(),
        );
    })
    .unwrap();
    let mut members = RecoveryMembers::default();
    for (id, pem) in keys {
        let info = kv
            .get(&gov("members.info"), id.as_bytes())
            .unwrap()
            .unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        if info["status"] == "Active" {
            let key = RsaPublicKey::from_pem(&pem).unwrap();
            members.participants.insert(id, key);
        }
    }
    let rng = SystemRandom::new();
    let secret = LedgerSecret::generate(&rng).unwrap();
    let row = RecoverySharesRow::issue(&secret, &members, 2, None, &rng).unwrap();
    let row = serde_json::to_vec(&row).unwrap();
    kv.put(RECOVERY_SHARES_MAP, &SINGLE_KEY, &row).unwrap();
}

/// What the node makes when a proposal is applied.
pub(super) struct Made<'w> {
    pub(super) writer: &'w LedgerWriter,
}

impl Made<'_> {
    fn put(kv: &mut dyn Kv, table: &str, row: &impl serde::Serialize) {
        let row = serde_json::to_vec(row).unwrap();
        kv.put(table, &SINGLE_KEY, &row).unwrap();
    }
}

impl Effects for Made<'_> {
    fn trigger_ledger_rekey(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        shares(kv);
        let rng = SystemRandom::new();
        let (old, new) = (
            LedgerSecret::generate(&rng).unwrap(),
            LedgerSecret::generate(&rng).unwrap(),
        );
        let row = HistoricalSecretRow::replacing((Seqno(1), &old), &new, None, None, &rng).unwrap();
        Self::put(kv, HISTORICAL_SECRET_MAP, &row);
        let sealed = EncryptedNodeSecret::seal(&new, None, None, node_encryption_key()).unwrap();
        let nodes = BTreeMap::from([(self.writer.node.key_id(), vec![sealed])]);
        Self::put(kv, ENCRYPTED_SECRETS_MAP, &EncryptedSecretsRow(nodes));
        Ok(())
    }

    fn transition_service_to_open(
        &mut self,
        kv: &mut dyn Kv,
        _: Option<&[u8]>,
        _: &[u8],
    ) -> Result<(), String> {
        let row = kv.get(SERVICE_INFO, &SINGLE_KEY).unwrap().unwrap();
        let mut row: Value = serde_json::from_slice(&row).unwrap();
        if row["status"] == "Recovering" {
            row["status"] = json!("WaitingForRecoveryShares");
        } else {
            row["status"] = json!("Open");
            shares(kv);
            Self::put(kv, HISTORICAL_SECRET_MAP, &HistoricalSecretRow::first());
        }
        Self::put(kv, SERVICE_INFO, &row);
        Ok(())
    }

    fn trigger_recovery_shares_refresh(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        shares(kv);
        Ok(())
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        Ok(1)
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        Ok(self.writer.node.node_certificate(&self.writer.service))
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        Ok(self.writer.service.service_certificate())
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
        _: &str,
        jwks: &str,
    ) -> Result<(), String> {
        constitution::jwt_keys::replace(kv, issuer, jwks)
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        constitution::jwt_keys::remove(kv, issuer)
    }
}

fn node_encryption_key() -> &'static RsaPublicKey {
    static KEY: OnceLock<RsaPublicKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::generate().unwrap().public_key())
}
