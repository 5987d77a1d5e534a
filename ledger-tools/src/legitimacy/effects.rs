//! What only the service can make when a proposal is applied (CCF interface, section 4.5). A replay cannot make it again; it
//! notes what was asked for, and checks that what stands in the ledger is of that kind and for those it is due to.

use std::cell::RefCell;
use std::collections::BTreeSet;

use constitution::{Effects, Kv, KvError};
use ledger::{
    ENCRYPTED_SECRETS_MAP, ENDORSEMENT_MAP, EncryptedSecretsRow, HISTORICAL_SECRET_MAP,
    HistoricalSecretRow, PublicKey, RECOVERY_SHARES_MAP, RecoverySharesRow, SINGLE_KEY,
    SUBMITTED_SHARES_MAP,
};
use serde_json::Value;

use super::actual::{Actual, service_key};
use super::draft::Draft;
use super::names::{
    LAST_RECOVERY_TYPE, MEMBER_INFO, MEMBER_KEYS, MemberInfo, NODE_INFO, NodeInfo,
    PREVIOUS_IDENTITY, SERVICE_INFO, name, row,
};
use super::rule::{Breach, Rule};

/// Something the service made, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A new ledger secret, and shares of it.
    Rekey,
    /// Shares of the ledger secret.
    Shares,
    /// What a service writes when it opens.
    Open,
    /// What a service writes when members agree to recover it.
    AwaitShares,
}

impl Effect {
    pub(super) fn makes(self, table: &str) -> bool {
        let tables: &[&str] = match self {
            Self::Rekey => &[
                RECOVERY_SHARES_MAP,
                HISTORICAL_SECRET_MAP,
                ENCRYPTED_SECRETS_MAP,
            ],
            Self::Shares => &[RECOVERY_SHARES_MAP],
            Self::Open => &[RECOVERY_SHARES_MAP, HISTORICAL_SECRET_MAP, ENDORSEMENT_MAP],
            Self::AwaitShares => &[LAST_RECOVERY_TYPE],
        };
        tables.contains(&table)
    }

    /// What was made is there, and is for those it is due to.
    pub(super) fn check(self, actual: &Actual<'_>, draft: &Draft<'_>) -> Result<(), Breach> {
        match self {
            Self::AwaitShares => return Ok(()),
            Self::Rekey => {
                historical(actual)?;
                node_secrets(actual, draft)?;
            }
            Self::Shares | Self::Open => {}
        }
        shares(actual, draft)
    }
}

/// Shares go to the Active members who hold a key for them, all of them and nobody else.
pub(super) fn shares(actual: &Actual<'_>, draft: &Draft<'_>) -> Result<(), Breach> {
    let value = actual
        .value(RECOVERY_SHARES_MAP, &SINGLE_KEY)
        .ok_or_else(|| Rule::Made.broken("no new recovery shares", "recovery shares"))?;
    let row: RecoverySharesRow = serde_json::from_slice(value)
        .map_err(|e| Rule::Made.broken(e.to_string(), "recovery shares"))?;
    let given: BTreeSet<&str> = row.encrypted_shares.keys().map(String::as_str).collect();
    let due = share_holders(draft)?;
    let due: BTreeSet<&str> = due.iter().map(String::as_str).collect();
    if given != due {
        return Err(Rule::Made.broken(
            format!("shares for {}", list(&given)),
            format!("for {}", list(&due)),
        ));
    }
    Ok(())
}

fn list(ids: &BTreeSet<&str>) -> String {
    ids.iter().copied().collect::<Vec<_>>().join(", ")
}

fn share_holders(draft: &Draft<'_>) -> Result<BTreeSet<String>, Breach> {
    let mut holders = BTreeSet::new();
    for id in draft.rows(MEMBER_KEYS).keys() {
        let info: Option<MemberInfo> = row(draft.value(MEMBER_INFO, id), MEMBER_INFO, Rule::Made)?;
        let holds = info.is_some_and(|info| {
            let role = info.recovery_role.as_deref();
            info.status == "Active" && matches!(role, None | Some("Participant" | "Owner"))
        });
        if holds {
            holders.insert(name(id));
        }
    }
    Ok(holders)
}

fn historical(actual: &Actual<'_>) -> Result<(), Breach> {
    let value = actual
        .value(HISTORICAL_SECRET_MAP, &SINGLE_KEY)
        .ok_or_else(|| Rule::Made.broken("no record of the old secret", "one"))?;
    serde_json::from_slice::<HistoricalSecretRow>(value)
        .map(drop)
        .map_err(|e| Rule::Made.broken(e.to_string(), "the old secret under the new one"))
}

/// A new secret goes to nodes that are trusted, and to nobody else.
pub(super) fn node_secrets(actual: &Actual<'_>, draft: &Draft<'_>) -> Result<(), Breach> {
    let Some(value) = actual.value(ENCRYPTED_SECRETS_MAP, &SINGLE_KEY) else {
        return Err(Rule::Made.broken("no secrets for nodes", "one for each trusted node"));
    };
    let row: EncryptedSecretsRow = serde_json::from_slice(value)
        .map_err(|e| Rule::Made.broken(e.to_string(), "secrets for nodes"))?;
    for id in row.0.keys() {
        let info: Option<NodeInfo> =
            super::names::row(draft.value(NODE_INFO, id.as_bytes()), NODE_INFO, Rule::Made)?;
        if info.is_none_or(|info| info.status != "Trusted") {
            return Err(Rule::Made.broken(format!("a secret for node {id}"), "for trusted nodes"));
        }
    }
    Ok(())
}

/// A certificate the service makes.
pub(super) struct Certificate {
    /// The key it is for.
    key: Option<PublicKey>,
    /// The service's key, which issues it.
    service: Option<PublicKey>,
    found: RefCell<bool>,
}

impl Certificate {
    /// Notes and judges the text that stands where the certificate should.
    pub(super) fn found(&self, text: &str) -> bool {
        let good = PublicKey::of_certificate(text)
            .ok()
            .zip(self.service.as_ref())
            .is_some_and(|(key, service)| {
                Some(&key) == self.key.as_ref() && service.verify_certificate(text).is_ok()
            });
        *self.found.borrow_mut() |= good;
        good
    }

    /// It stands somewhere.
    pub(super) fn check(&self, _: &Actual<'_>, _: &Draft<'_>) -> Result<(), Breach> {
        if *self.found.borrow() {
            return Ok(());
        }
        Err(Rule::Made.broken("no certificate", "the one the service was asked for"))
    }
}

/// What stands for a certificate while scripts run.
pub(super) fn certificate_token(number: usize) -> String {
    format!("certificate {number} of the service")
}

/// The effects, noting what was asked for.
pub(super) struct Noted<'t> {
    tables: &'t crate::tables::Tables,
    pub(super) effects: Vec<Effect>,
    pub(super) certificates: Vec<Certificate>,
    /// Token keys were set or removed.
    pub(super) token_keys: bool,
}

impl<'t> Noted<'t> {
    pub(super) const fn new(tables: &'t crate::tables::Tables) -> Self {
        Self {
            tables,
            effects: Vec::new(),
            certificates: Vec::new(),
            token_keys: false,
        }
    }

    fn certificate(&mut self, key: Option<PublicKey>) -> String {
        self.certificates.push(Certificate {
            key,
            service: service_key(self.tables),
            found: RefCell::new(false),
        });
        certificate_token(self.certificates.len() - 1)
    }
}

impl Effects for Noted<'_> {
    fn trigger_ledger_rekey(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        if service(kv)?.get("status").and_then(Value::as_str) != Some("Open") {
            return Err("Could not rekey ledger".to_owned());
        }
        self.effects.push(Effect::Rekey);
        Ok(())
    }

    fn transition_service_to_open(
        &mut self,
        kv: &mut dyn Kv,
        previous: Option<&[u8]>,
        next: &[u8],
    ) -> Result<(), String> {
        let mut service = service(kv)?;
        let status = service
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if matches!(status.as_str(), "Open" | "WaitingForRecoveryShares") {
            return Ok(());
        }
        let recovering = status == "Recovering";
        if recovering {
            let known = kv.get(PREVIOUS_IDENTITY, &SINGLE_KEY).map_err(text)?;
            let known: Option<String> = known.and_then(|row| serde_json::from_slice(&row).ok());
            if known.is_none() || known.as_deref().map(str::as_bytes) != previous {
                return Err("another previous service identity".to_owned());
            }
        }
        if service
            .get("cert")
            .and_then(Value::as_str)
            .map(str::as_bytes)
            != Some(next)
        {
            return Err("another next service identity".to_owned());
        }
        let next_status = if recovering {
            kv.clear(SUBMITTED_SHARES_MAP).map_err(text)?;
            self.effects.push(Effect::AwaitShares);
            "WaitingForRecoveryShares"
        } else {
            self.effects.push(Effect::Open);
            OPEN_STATUS
        };
        service.insert("status".to_owned(), next_status.into());
        let row = serde_json::to_vec(&service).map_err(|e| e.to_string())?;
        kv.put(SERVICE_INFO, &SINGLE_KEY, &row).map_err(text)
    }

    fn trigger_recovery_shares_refresh(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.effects.push(Effect::Shares);
        Ok(())
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        let Some(row) = self.tables.row(HISTORICAL_SECRET_MAP, &SINGLE_KEY) else {
            return Ok(1);
        };
        let stored: HistoricalSecretRow =
            serde_json::from_slice(&row.value).map_err(|e| e.to_string())?;
        Ok(stored
            .next_version
            .map_or(row.written.seqno.next().0, |from| from.0))
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        csr: &str,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        let key = PublicKey::of_certificate_request(csr).map_err(|e| e.to_string())?;
        Ok(self.certificate(Some(key)))
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        let key = service_key(self.tables);
        Ok(self.certificate(key))
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
        _: &str,
        jwks: &str,
    ) -> Result<(), String> {
        self.token_keys = true;
        constitution::jwt_keys::replace(kv, issuer, jwks)
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        self.token_keys = true;
        constitution::jwt_keys::remove(kv, issuer)
    }
}

const OPEN_STATUS: &str = "Open";

fn service(kv: &mut dyn Kv) -> Result<serde_json::Map<String, Value>, String> {
    let row = kv
        .get(SERVICE_INFO, &SINGLE_KEY)
        .map_err(text)?
        .ok_or("there is no service")?;
    serde_json::from_slice(&row).map_err(|e| e.to_string())
}

fn text(error: KvError) -> String {
    error.0
}
