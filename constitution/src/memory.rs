//! A store in memory, for rehearsals, replay and tests, and effects that refuse everything.

use std::collections::BTreeMap;

use crate::store::{Effects, Kv, KvError};

/// A [`Kv`] of ordered maps in memory. Every key counts as written at version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryKv {
    /// Table name to its keys and values.
    pub tables: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Kv for MemoryKv {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.tables.get(table).and_then(|t| t.get(key)).cloned())
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        let entries = self.tables.entry(table.to_owned()).or_default();
        entries.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        if let Some(entries) = self.tables.get_mut(table) {
            entries.remove(key);
        }
        Ok(())
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        self.tables.remove(table);
        Ok(())
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        for (key, value) in self.tables.get(table).into_iter().flatten() {
            visit(key, value);
        }
        Ok(())
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        Ok(self.has(table, key)?.then_some(1))
    }
}

/// [`Effects`] of a host that is no node: each one fails, naming itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEffects;

fn refuse<T>(effect: &str) -> Result<T, String> {
    Err(format!("{effect} is not available on this host"))
}

impl Effects for NoEffects {
    fn trigger_ledger_rekey(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        refuse("triggerLedgerRekey")
    }

    fn transition_service_to_open(
        &mut self,
        _: &mut dyn Kv,
        _: Option<&[u8]>,
        _: &[u8],
    ) -> Result<(), String> {
        refuse("transitionServiceToOpen")
    }

    fn trigger_recovery_shares_refresh(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        refuse("triggerRecoverySharesRefresh")
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        refuse("triggerLedgerChunk")
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        refuse("triggerSnapshot")
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        refuse("getLatestLedgerSecretSeqno")
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        refuse("generateEndorsedCertificate")
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        refuse("generateNetworkCertificate")
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: &str,
        _: &str,
    ) -> Result<(), String> {
        refuse("setJwtPublicSigningKeys")
    }

    fn remove_jwt_public_signing_keys(&mut self, _: &mut dyn Kv, _: &str) -> Result<(), String> {
        refuse("removeJwtPublicSigningKeys")
    }
}
