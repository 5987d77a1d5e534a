//! RSA keys that the service makes for itself: of the token issuer, and for signing (application specification, section 4.2).
//!
//! Governance enables a key and says by a request number when a new one is due; any active member then has it made. The private part is
//! in a private table and does nothing but sign, for code that was appraised. What a rotation replaces is kept, its public part only, so that
//! what was signed before can still be verified (W31).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attestation::{AppraisedClaims, Sha256Digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};
use ccf_rs::{Context, Error, Result, Table, Text, WriteContext};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use crate::App;
use crate::private::{self, PrivateTable, SecretText};

/// One key of the service and those it replaced.
pub(crate) struct ServiceKey {
    governed: Table<String, String, Text>,
    keys: PrivateTable,
    retired: Table<String, RetiredKey>,
    not_enabled: &'static str,
}

/// The key of the token issuer.
pub(crate) static ISSUER: ServiceKey = ServiceKey {
    governed: Table::text("public:ccf.gov.oidc_issuer"),
    keys: Table::raw("oidc_issuer.signing_keys"),
    retired: Table::json("public:cleanroom.oidc_retired_keys"),
    not_enabled: "OidcIssuerNotEnabled",
};

/// The key for signing what clean rooms ask for.
pub(crate) static SIGNING: ServiceKey = ServiceKey {
    governed: Table::text("public:ccf.gov.signing"),
    keys: Table::raw("signing.signing_keys"),
    retired: Table::json("public:cleanroom.signing_retired_keys"),
    not_enabled: "SigningNotEnabled",
};

/// How asking for a signature is refused while there is no key.
pub(crate) const NO_KEY: (u16, &str) = (405, "SigningKeyNotAvailable");

/// The public part of a key.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    pub(crate) kid: String,
    /// SubjectPublicKeyInfo in PEM.
    pub(crate) pem: String,
}

/// A key that signs, only ever for appraised code.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: Arc<RsaKeyPair>,
}

/// The keys that signed last, one by table: reading one from its stored form takes longer than signing with it.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<&'static str, (Sha256Digest, Arc<RsaKeyPair>)>>);

/// A replaced key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetiredKey {
    kid: String,
    req_id: String,
    public_key: String,
    /// The host's clock, ms since 1970.
    retired_at: u64,
    /// Until when it is published, on the same clock; for good when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    published_until: Option<u64>,
}

/// The answer to a member who has a key made: the newest key.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GeneratedKey {
    /// The request number of governance that it answers.
    req_id: String,
    kid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    kid: String,
    req_id: String,
    public_key: String,
    private_key: SecretText,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRow<'a> {
    kid: &'a str,
    req_id: &'a str,
    public_key: &'a str,
    private_key: &'a str,
}

const CURRENT: &str = "signingKey";

impl ServiceKey {
    /// A setting that governance made.
    pub(crate) fn setting<C: Context>(&self, ctx: &mut C, name: &str) -> Result<Option<String>> {
        ctx.read(&self.governed).get(&name.to_owned())
    }

    /// Whether governance enabled the key.
    pub(crate) fn is_enabled<C: Context>(&self, ctx: &mut C) -> Result<bool> {
        Ok(self.setting(ctx, "enabled")?.as_deref() == Some("true"))
    }

    /// Makes the key that governance asks for, unless it is there. The one it replaces stays published for `grace`, or for good.
    ///
    /// # Errors
    /// 405 when governance has not enabled it.
    pub(crate) fn generate(
        &self,
        ctx: &mut WriteContext<'_>,
        grace: Option<Duration>,
    ) -> Result<GeneratedKey> {
        if !self.is_enabled(ctx)? {
            let message = "Members have not enabled it.";
            return Err(Error::refused(405, self.not_enabled, message));
        }
        let req_id = self.required(ctx, "generateSigningKeyRequestId")?;
        let stored = self.stored(ctx)?;
        if let Some(key) = stored.as_ref().filter(|key| key.req_id == req_id) {
            return Ok(GeneratedKey {
                req_id,
                kid: key.kid.clone(),
            });
        }
        let kid = format!("{}-{req_id}", self.required(ctx, "generateSigningKeyKid")?);
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .map_err(|_| Error::Internal("no key could be made".to_owned()))?;
        let private_key = Zeroizing::new(pair.serialize_pem());
        let row = KeyRow {
            kid: &kid,
            req_id: &req_id,
            public_key: &pair.public_key_pem(),
            private_key: &private_key,
        };
        private::write(ctx, &self.keys, CURRENT, &row)?;
        if let Some(old) = stored {
            self.retire(ctx, old, grace)?;
        }
        Ok(GeneratedKey { req_id, kid })
    }

    /// The newest key's public part, if one was made.
    pub(crate) fn public<C: Context>(&self, ctx: &mut C) -> Result<Option<PublicKey>> {
        Ok(self.stored(ctx)?.map(|key| PublicKey {
            kid: key.kid,
            pem: key.public_key,
        }))
    }

    /// Replaced keys that are still published, newest first.
    pub(crate) fn retired<C: Context>(&self, ctx: &mut C) -> Result<Vec<PublicKey>> {
        let now = milliseconds(ctx.untrusted_time());
        let mut keys: Vec<_> = ctx
            .read(&self.retired)
            .entries()?
            .into_iter()
            .map(|(_, key)| key)
            .filter(|key| key.published_until.is_none_or(|until| now < until))
            .collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.retired_at));
        Ok(keys
            .into_iter()
            .map(|key| PublicKey {
                kid: key.kid,
                pem: key.public_key,
            })
            .collect())
    }

    /// The newest key.
    ///
    /// # Errors
    /// 405 `SigningKeyNotAvailable`.
    pub(crate) fn signing<C: Context>(&'static self, app: &App, ctx: &mut C) -> Result<SigningKey> {
        let stored = self.stored(ctx)?.ok_or_else(no_key)?;
        let pem = stored.private_key.as_str().as_bytes();
        let digest = Sha256Digest::of(pem);
        let mut cached = app.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = match cached.get(self.keys.name()) {
            Some((known, pair)) if *known == digest => Arc::clone(pair),
            _ => {
                let pair = Arc::new(read_private(pem).ok_or_else(|| Error::Stored {
                    table: self.keys.name().to_owned(),
                    reason: "not an RSA key in PKCS #8".to_owned(),
                })?);
                cached.insert(self.keys.name(), (digest, Arc::clone(&pair)));
                pair
            }
        };
        Ok(SigningKey {
            kid: stored.kid,
            pair,
        })
    }

    fn stored<C: Context>(&self, ctx: &mut C) -> Result<Option<StoredKey>> {
        private::read(ctx, &self.keys, CURRENT)
    }

    fn required<C: Context>(&self, ctx: &mut C, name: &str) -> Result<String> {
        self.setting(ctx, name)?.ok_or_else(|| Error::Stored {
            table: self.governed.name().to_owned(),
            reason: format!("{name} is missing"),
        })
    }

    /// Keeps a replaced key and forgets those whose time is over.
    fn retire(
        &self,
        ctx: &mut WriteContext<'_>,
        old: StoredKey,
        grace: Option<Duration>,
    ) -> Result<()> {
        let now = milliseconds(ctx.untrusted_time());
        for (kid, key) in ctx.read(&self.retired).entries()? {
            if key.published_until.is_some_and(|until| until <= now) {
                ctx.table(&self.retired).remove(&kid)?;
            }
        }
        let key = RetiredKey {
            kid: old.kid.clone(),
            req_id: old.req_id,
            public_key: old.public_key,
            retired_at: now,
            published_until: grace.map(|grace| now.saturating_add(milliseconds(grace))),
        };
        ctx.table(&self.retired).put(&old.kid, &key)
    }
}

impl SigningKey {
    /// Signs what appraised code asks for: RSASSA-PSS, SHA-256, salt 32.
    ///
    /// # Errors
    /// When the library fails.
    pub(crate) fn sign(&self, _: &AppraisedClaims, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::Internal("the library could not sign".to_owned()))?;
        Ok(signature)
    }
}

fn read_private(pem: &[u8]) -> Option<RsaKeyPair> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    RsaKeyPair::from_pkcs8(&Zeroizing::new(pem.contents)).ok()
}

/// The refusal while there is no key.
pub(crate) fn no_key() -> Error {
    let (status, code) = NO_KEY;
    Error::refused(status, code, "No signing key has been made yet.")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
