//! What CCF would do while a proposal is applied: noted, not done.

use constitution::{Effects, Kv};

/// Names of the effects, with what they are about. Every one is taken to succeed.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    pub(super) names: Vec<String>,
}

impl Foreseen {
    fn note(&mut self, text: impl Into<String>) -> Result<(), String> {
        self.names.push(text.into());
        Ok(())
    }
}

/// Stands where a certificate will stand.
const LATER: &str = "a certificate that the service will make";

impl Effects for Foreseen {
    fn trigger_ledger_rekey(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.note("a new ledger secret, and new recovery shares")
    }

    fn transition_service_to_open(
        &mut self,
        _: &mut dyn Kv,
        _: Option<&[u8]>,
        _: &[u8],
    ) -> Result<(), String> {
        self.note("the service opens, or asks for recovery shares")
    }

    fn trigger_recovery_shares_refresh(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.note("new recovery shares")
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.note("the ledger file ends")
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.note("a snapshot")
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        Ok(0)
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        self.note(format!(
            "a node certificate for {days} days from {valid_from}"
        ))?;
        Ok(LATER.to_owned())
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        self.note(format!(
            "the service certificate renewed for {days} days from {valid_from}"
        ))?;
        Ok(LATER.to_owned())
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        _: &mut dyn Kv,
        issuer: &str,
        _: &str,
        _: &str,
    ) -> Result<(), String> {
        self.note(format!("the keys of token issuer {issuer} are replaced"))
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        _: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        self.note(format!("the keys of token issuer {issuer} are removed"))
    }
}
