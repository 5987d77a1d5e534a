//! Sealing ledger secrets to the machine as they come into use, unless members forbid it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ccf_rs::Seqno;
use ledger::SINGLE_KEY;

use super::settings::Settings;
use crate::frontend::app_is_open;
use crate::pipeline::History;
use crate::recovery::{DevelopmentKey, SealedSecrets, SealingError, SealingKey, SnpKey};
use crate::store::{State, Store, Writes};

const RECOVERY_POLICY: &str = "public:ccf.gov.recovery_policy";
const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// Sealed secrets in a directory, under the key of this machine or the development stand-in for one.
pub(super) fn sealed_secrets(
    directory: PathBuf,
    development: bool,
) -> Result<SealedSecrets, SealingError> {
    let key: Arc<dyn SealingKey> = if development {
        tracing::warn!(
            directory = %directory.display(),
            "ledger secrets are sealed with a key in a file: whoever has the directory has the secrets"
        );
        Arc::new(DevelopmentKey::in_directory(&directory))
    } else {
        Arc::new(SnpKey::of_this_machine()?)
    };
    Ok(SealedSecrets::new(directory, key))
}

impl Settings {
    /// Where ledger secrets are sealed to this machine, if that is wanted.
    pub(super) fn sealing(&self) -> Result<Option<SealedSecrets>, SealingError> {
        let directory = self.sealing_directory.clone();
        directory
            .map(|directory| sealed_secrets(directory, self.development_sealing))
            .transpose()
    }
}

/// Watches what is committed: when the service opens, when it has a new ledger secret, when members change their mind.
pub(super) fn sealer(
    sealed: SealedSecrets,
    history: Arc<History>,
    store: &Arc<Store>,
) -> impl Fn(&Writes) + Send + use<> {
    let store: Weak<Store> = Arc::downgrade(store);
    let last: Mutex<Option<Seqno>> = Mutex::default();
    move |writes| {
        let concerns = [SERVICE_INFO, RECOVERY_POLICY, ledger::ENCRYPTED_SECRETS_MAP];
        if !concerns.iter().any(|table| writes.contains_key(*table)) {
            return;
        }
        let Some(store) = store.upgrade() else { return };
        let state = &store.durable().state;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if forbidden(state) {
            *last = None;
            sealed.forget()
        } else {
            match history.latest_secret().filter(|_| app_is_open(state)) {
                Some((from, secret)) if *last != Some(from) => {
                    *last = Some(from);
                    sealed.seal(from, &secret, None)
                }
                _ => Ok(()),
            }
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "a ledger secret is not sealed: a restart will need shares");
        }
    }
}

/// Whether the recovery policy forbids it.
fn forbidden(state: &State) -> bool {
    state
        .value(RECOVERY_POLICY, &SINGLE_KEY)
        .and_then(|row| serde_json::from_slice::<serde_json::Value>(row).ok())
        .is_some_and(|policy| policy.get("sealed_restart") == Some(&false.into()))
}
