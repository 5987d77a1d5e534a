//! What the engine needs from its caller: a key-value store, and the effects only `apply` may have.

/// The store failed, as opposed to having nothing under a key. Ends the call whatever the script does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key-value store: {0}")]
pub struct KvError(
    /// What the store said.
    pub String,
);

/// One transaction of a key-value store of named byte maps.
///
/// The engine checks namespace restrictions (CCF interface, section 4.6) before it calls, so an implementation need not.
/// Methods take `&mut self` because a transaction records what it read.
pub trait Kv {
    /// The value under `key`.
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Whether `key` has a value.
    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, KvError> {
        Ok(self.get(table, key)?.is_some())
    }

    /// Sets the value under `key`.
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError>;

    /// Removes `key`; nothing happens when it is absent.
    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError>;

    /// Removes all keys of `table`.
    fn clear(&mut self, table: &str) -> Result<(), KvError>;

    /// Calls `visit` with each key and value, in any order, as they are now.
    fn for_each(&mut self, table: &str, visit: &mut dyn FnMut(&[u8], &[u8]))
    -> Result<(), KvError>;

    /// Number of keys in `table`.
    fn size(&mut self, table: &str) -> Result<u64, KvError> {
        let mut size = 0;
        self.for_each(table, &mut |_, _| size += 1)?;
        Ok(size)
    }

    /// Sequence number at which `key` was last written before this transaction; `None` when it never was, or is absent.
    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError>;
}

/// What only `apply` may do (CCF interface, section 4.5). An `Err` becomes a JavaScript exception with that text, and
/// then usually the failure of the proposal. Each effect gets the store of the same transaction.
pub trait Effects {
    /// `ccf.node.triggerLedgerRekey()`: a new ledger secret from the next transaction on, and new shares.
    fn trigger_ledger_rekey(&mut self, kv: &mut dyn Kv) -> Result<(), String>;

    /// `ccf.node.transitionServiceToOpen(prev, next)` (CCF interface, section 7.3); the bytes are PEM certificates.
    fn transition_service_to_open(
        &mut self,
        kv: &mut dyn Kv,
        previous: Option<&[u8]>,
        next: &[u8],
    ) -> Result<(), String>;

    /// `ccf.node.triggerRecoverySharesRefresh()`: re-issue shares of the current ledger secret.
    fn trigger_recovery_shares_refresh(&mut self, kv: &mut dyn Kv) -> Result<(), String>;

    /// `ccf.node.triggerLedgerChunk()`: end the ledger file at the next signature.
    fn trigger_ledger_chunk(&mut self, kv: &mut dyn Kv) -> Result<(), String>;

    /// `ccf.node.triggerSnapshot()`: a snapshot at the next signature.
    fn trigger_snapshot(&mut self, kv: &mut dyn Kv) -> Result<(), String>;

    /// `ccf.network.getLatestLedgerSecretSeqno()`.
    fn latest_ledger_secret_seqno(&mut self, kv: &mut dyn Kv) -> Result<u64, String>;

    /// `ccf.network.generateEndorsedCertificate(csr, from, days)`: a node certificate signed by the service key, PEM.
    fn generate_endorsed_certificate(
        &mut self,
        kv: &mut dyn Kv,
        csr: &str,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String>;

    /// `ccf.network.generateNetworkCertificate(from, days)`: the service certificate renewed with the same key, PEM.
    fn generate_network_certificate(
        &mut self,
        kv: &mut dyn Kv,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String>;

    /// `ccf.setJwtPublicSigningKeys(issuer, metadata, jwks)` (CCF interface, section 3.2); the last two are JSON.
    fn set_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
        metadata: &str,
        jwks: &str,
    ) -> Result<(), String>;

    /// `ccf.removeJwtPublicSigningKeys(issuer)`.
    fn remove_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String>;
}
