//! What only `apply` may do (CCF interface, sections 4.5 and 7.3). All of it is writes in the
//! proposal's own transaction; the node acts on them once they are committed.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use constitution::{Effects, Kv, jwt_keys};
use ledger::{
    ENCRYPTED_SECRETS_MAP, EncryptedNodeSecret, EncryptedSecretsRow, HISTORICAL_SECRET_MAP,
    HistoricalSecretRow, LedgerSecret, RsaPublicKey, SINGLE_KEY, Seqno,
};

use super::opening::LAST_RECOVERY_TYPE_MAP;
use super::rows::{read, text, write};
use super::tables::{
    ENCRYPTED_SUBMITTED_SHARES, NODE_INFO, NodeInfo, PREVIOUS_SERVICE_IDENTITY, RECOVERY_POLICY,
    SERVICE_INFO, ServiceInfo,
};
use super::{NodeServices, opening, shares};

/// The effects, for one `apply`.
pub(super) struct ServiceEffects<'s> {
    services: &'s dyn NodeServices,
    now: Duration,
}

impl<'s> ServiceEffects<'s> {
    /// `now` is the time since the Unix epoch.
    pub(super) const fn new(services: &'s dyn NodeServices, now: Duration) -> Self {
        Self { services, now }
    }
}

impl Effects for ServiceEffects<'_> {
    fn trigger_ledger_rekey(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        const REFUSED: &str = "Could not rekey ledger";
        let service: ServiceInfo = read(kv, SERVICE_INFO.name())?.ok_or(REFUSED)?;
        let secret = self.services.ledger_secret();
        let (Some((from, old)), "Open") = (secret, service.status.as_str()) else {
            return Err(REFUSED.to_owned());
        };
        let failed = |e: ledger::SecretError| format!("{REFUSED}: {e}");
        let rng = SystemRandom::new();
        let new = LedgerSecret::generate(&rng).map_err(failed)?;
        shares::issue(kv, &new)?;
        let stored_at = kv
            .version_of_previous_write(HISTORICAL_SECRET_MAP, &SINGLE_KEY)
            .map_err(text)?
            .map(Seqno);
        let previous = (Seqno(from.0), old.as_ref());
        let row = HistoricalSecretRow::replacing(previous, &new, None, stored_at, &rng)
            .map_err(failed)?;
        write(kv, HISTORICAL_SECRET_MAP, &row)?;
        let mut sealed = BTreeMap::new();
        for (id, node) in nodes(kv)? {
            if node.status == "Trusted" {
                let key = RsaPublicKey::from_pem(&node.encryption_pub_key)
                    .map_err(|e| format!("encryption key of node {id}: {e}"))?;
                let secret = EncryptedNodeSecret::seal(&new, None, stored_at, &key);
                sealed.insert(id, vec![secret.map_err(failed)?]);
            }
        }
        write(kv, ENCRYPTED_SECRETS_MAP, &EncryptedSecretsRow(sealed))
    }

    fn transition_service_to_open(
        &mut self,
        kv: &mut dyn Kv,
        previous: Option<&[u8]>,
        next: &[u8],
    ) -> Result<(), String> {
        let mut service: ServiceInfo =
            read(kv, SERVICE_INFO.name())?.ok_or("Service information cannot be found")?;
        match service.status.as_str() {
            "Open" | "WaitingForRecoveryShares" => return Ok(()),
            "Recovering" => {
                let known: Option<String> = read(kv, PREVIOUS_SERVICE_IDENTITY.name())?;
                let previous = previous.ok_or(
                    "Recovery with service certificate requires both, a previous service identity and a next service identity",
                )?;
                if known.is_none_or(|known| known.as_bytes() != previous) {
                    return Err("The previous service identity in the proposal is not that of the recovered ledger".to_owned());
                }
            }
            _ => {}
        }
        if service.cert.as_bytes() != next {
            return Err(
                "Next service identity does not match current service certificate".to_owned(),
            );
        }
        if self.services.state().is_public_only() {
            kv.clear(ENCRYPTED_SUBMITTED_SHARES.name()).map_err(text)?;
            let sealed = match self.services.restoring() {
                Some(restoring) if sealed_restart_allowed(kv)? => restoring.sealed()?,
                _ => None,
            };
            let by = match &sealed {
                Some(_) => "LOCAL_UNSEALING",
                None => "RECOVERY_SHARES",
            };
            write(kv, LAST_RECOVERY_TYPE_MAP, by)?;
            if let Some(secrets) = sealed {
                // Once this is committed the node restores the private tables, as after enough shares.
                write(kv, ENCRYPTED_SECRETS_MAP, &secrets)?;
            }
            "WaitingForRecoveryShares".clone_into(&mut service.status);
            return write(kv, SERVICE_INFO.name(), &service);
        }
        opening::open_new(kv, self.services, service, self.now)
    }

    fn trigger_recovery_shares_refresh(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        shares::reissue(kv, self.services)
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.services.request_chunk();
        Ok(())
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.services.request_snapshot();
        Ok(())
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        self.services
            .ledger_secret()
            .map(|(from, _)| from.0)
            .ok_or_else(|| "the ledger secret is not available".to_owned())
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        csr: &str,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        self.services.endorse_node(csr, valid_from, count(days)?)
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        self.services
            .renew_service_certificate(valid_from, count(days)?)
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
        _: &str,
        jwks: &str,
    ) -> Result<(), String> {
        jwt_keys::replace(kv, issuer, jwks)
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        jwt_keys::remove(kv, issuer)
    }
}

/// Members forbid it in their recovery policy.
fn sealed_restart_allowed(kv: &mut dyn Kv) -> Result<bool, String> {
    let policy: Option<serde_json::Value> = read(kv, RECOVERY_POLICY.name())?;
    Ok(policy.is_none_or(|policy| policy.get("sealed_restart") != Some(&false.into())))
}

fn count(days: u64) -> Result<u32, String> {
    u32::try_from(days).map_err(|_| format!("{days} days are too many"))
}

fn nodes(kv: &mut dyn Kv) -> Result<Vec<(String, NodeInfo)>, String> {
    let mut rows = Vec::new();
    kv.for_each(NODE_INFO.name(), &mut |id, value| {
        rows.push((id.to_vec(), value.to_vec()));
    })
    .map_err(text)?;
    rows.into_iter()
        .map(|(id, value)| {
            let id = String::from_utf8(id).map_err(|_| "a node id is not text")?;
            let node = serde_json::from_slice(&value)
                .map_err(|_| format!("the record of node {id} cannot be read"))?;
            Ok((id, node))
        })
        .collect()
}
