//! Ledger secrets, commit evidence, and the table rows that chain older secrets to newer ones (ledger format, section 7).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hash::Digest;
use crate::id::{Seqno, TxId, View};
use crate::json::Base64;
use crate::rsa::{RsaPrivateKey, RsaPublicKey};

/// Table of the wrapped previous secrets; one row, rewritten at each rotation and recovery.
pub const HISTORICAL_SECRET_MAP: &str = "public:ccf.internal.historical_encrypted_ledger_secret";
/// Table of ledger secrets encrypted to each node; one row.
pub const ENCRYPTED_SECRETS_MAP: &str = "public:ccf.internal.encrypted_ledger_secrets";

/// The commit secret's label: the start of a longer literal in CCF, cut to the size of a pointer (section 0, trap 2).
const COMMIT_LABEL: &[u8; 8] = b"Commit S";
const TAG_LEN: usize = 16;
const IV_LEN: usize = 12;

/// A failure of secret handling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The GCM tag does not fit: another key, or altered bytes.
    #[error("authenticated decryption failed")]
    Tag,
    /// A sealed box or a secret has the wrong number of bytes.
    #[error("sealed secret of {got} bytes, want {want}")]
    Length {
        /// Bytes present.
        got: usize,
        /// Bytes expected.
        want: usize,
    },
    /// No secret covers this position.
    #[error("no ledger secret covers seqno {seqno}")]
    NotCovered {
        /// The position asked for.
        seqno: Seqno,
    },
    /// A view that an initialisation vector has no room for.
    #[error("view {got}, want less than 2^31")]
    View {
        /// The view.
        got: View,
    },
    /// The random number generator or the cipher failed: our bug or the platform's.
    #[error("cryptographic library failure")]
    Internal,
    /// RSA encryption or decryption of a secret failed.
    #[error(transparent)]
    Rsa(#[from] crate::rsa::RsaError),
    /// A row of the historical secrets table is not valid JSON.
    #[error("row at seqno {seqno} does not parse: {reason}")]
    Row {
        /// Position of the row.
        seqno: Seqno,
        /// The parser's message.
        reason: String,
    },
}

/// 32 random bytes that seal the private domains of all entries from one position on.
///
/// Has no `Debug`, `Display` or `Serialize`, and is wiped when dropped.
pub struct LedgerSecret {
    bytes: Zeroizing<[u8; 32]>,
    aead: LessSafeKey,
    commit: hmac::Key,
}

impl LedgerSecret {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`SecretError::Internal`] when the generator fails.
    pub fn generate(rng: &dyn SecureRandom) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut())
            .map_err(|_| SecretError::Internal)?;
        Self::new(bytes)
    }

    /// A secret from its 32 bytes.
    ///
    /// # Errors
    /// [`SecretError::Internal`] when the cipher refuses a 32-byte key, which would be a bug.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Result<Self, SecretError> {
        let aead = aead_key(&bytes)?;
        let commit_secret = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref()),
            COMMIT_LABEL,
        );
        let commit = hmac::Key::new(hmac::HMAC_SHA256, commit_secret.as_ref());
        Ok(Self {
            bytes,
            aead,
            commit,
        })
    }

    /// A secret from a slice that must be 32 bytes long.
    ///
    /// # Errors
    /// [`SecretError::Length`] for any other length.
    pub fn from_slice(slice: &[u8]) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0; 32]);
        if slice.len() != bytes.len() {
            return Err(SecretError::Length {
                got: slice.len(),
                want: bytes.len(),
            });
        }
        bytes.copy_from_slice(slice);
        Self::new(bytes)
    }

    /// The 32 bytes, for sealing this secret under another key. Never log or store them in the clear.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The text that proves commitment of a transaction: publish it only after commit.
    #[must_use]
    pub fn commit_evidence(&self, txid: TxId) -> CommitEvidence {
        let id = txid.to_string();
        let nonce = hmac::sign(&self.commit, id.as_bytes());
        CommitEvidence(format!("ce:{id}:{}", hex::encode(nonce)))
    }

    pub(crate) fn seal_in_place(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        plain: &mut [u8],
    ) -> Result<[u8; 16], SecretError> {
        seal_with(&self.aead, iv, aad, plain)
    }

    pub(crate) fn open_in_place(
        &self,
        iv: [u8; 12],
        aad: &[u8],
        tag: &[u8; 16],
        cipher: &mut [u8],
    ) -> Result<(), SecretError> {
        self.aead
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(iv),
                Aad::from(aad),
                tag,
                cipher,
            )
            .map(drop)
            .map_err(|_| SecretError::Tag)
    }

    /// Seals `plain` as `tag[16] || iv[12] || ciphertext` with a random IV and no additional data, as in
    /// `encrypted_submitted_shares` (section 16.4) and the historical secret row.
    ///
    /// # Errors
    /// [`SecretError::Internal`] when the library fails.
    pub fn seal_box(&self, plain: &[u8], rng: &dyn SecureRandom) -> Result<Vec<u8>, SecretError> {
        let mut iv = [0; IV_LEN];
        rng.fill(&mut iv).map_err(|_| SecretError::Internal)?;
        seal_box_with(&self.aead, iv, plain)
    }

    /// Opens what [`Self::seal_box`] made.
    ///
    /// # Errors
    /// [`SecretError::Tag`] or [`SecretError::Length`].
    pub fn open_box(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        open_box_with(&self.aead, sealed)
    }
}

pub(crate) fn aead_key(bytes: &[u8; 32]) -> Result<LessSafeKey, SecretError> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| SecretError::Internal)
}

fn seal_with(
    key: &LessSafeKey,
    iv: [u8; 12],
    aad: &[u8],
    plain: &mut [u8],
) -> Result<[u8; 16], SecretError> {
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(aad), plain)
        .map_err(|_| SecretError::Internal)?;
    tag.as_ref().try_into().map_err(|_| SecretError::Internal)
}

pub(crate) fn seal_box_with(
    key: &LessSafeKey,
    iv: [u8; 12],
    plain: &[u8],
) -> Result<Vec<u8>, SecretError> {
    let mut sealed = vec![0; TAG_LEN];
    sealed.extend_from_slice(&iv);
    sealed.extend_from_slice(plain);
    let (head, rest) = sealed.split_at_mut(TAG_LEN);
    let (_, body) = rest.split_at_mut(IV_LEN);
    head.copy_from_slice(&seal_with(key, iv, &[], body)?);
    Ok(sealed)
}

pub(crate) fn open_box_with(
    key: &LessSafeKey,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let short = SecretError::Length {
        got: sealed.len(),
        want: TAG_LEN + IV_LEN,
    };
    let (tag, rest) = sealed
        .split_at_checked(TAG_LEN)
        .ok_or_else(|| short.clone())?;
    let (iv, cipher) = rest.split_first_chunk::<IV_LEN>().ok_or(short)?;
    let mut plain = Zeroizing::new(cipher.to_vec());
    key.open_in_place_separate_tag(
        Nonce::assume_unique_for_key(*iv),
        Aad::empty(),
        tag,
        &mut plain,
    )
    .map_err(|_| SecretError::Tag)?;
    Ok(plain)
}

/// `ce:<view>.<seqno>:<64 hex of nonce>` (section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitEvidence(pub String);

impl CommitEvidence {
    /// The digest that stands in the entry: `H` of the text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All secrets of a ledger by the first position each one covers.
#[derive(Clone, Default)]
pub struct LedgerSecrets {
    by_start: BTreeMap<Seqno, Arc<LedgerSecret>>,
}

impl LedgerSecrets {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the secret that covers from `from` on. One already known for that position is kept.
    pub fn insert(&mut self, from: Seqno, secret: Arc<LedgerSecret>) {
        self.by_start.entry(from).or_insert(secret);
    }

    /// The secret in force at `seqno`: the one with the highest start not above it.
    #[must_use]
    pub fn at(&self, seqno: Seqno) -> Option<&Arc<LedgerSecret>> {
        self.by_start
            .range(..=seqno)
            .next_back()
            .map(|(_, secret)| secret)
    }

    /// Like [`Self::at`], with an error that names the position.
    ///
    /// # Errors
    /// [`SecretError::NotCovered`].
    pub fn covering(&self, seqno: Seqno) -> Result<&Arc<LedgerSecret>, SecretError> {
        self.at(seqno).ok_or(SecretError::NotCovered { seqno })
    }

    /// The newest secret and its start.
    #[must_use]
    pub fn latest(&self) -> Option<(Seqno, &Arc<LedgerSecret>)> {
        self.by_start
            .last_key_value()
            .map(|(from, secret)| (*from, secret))
    }

    /// The starts, oldest first.
    pub fn starts(&self) -> impl Iterator<Item = Seqno> {
        self.by_start.keys().copied()
    }

    /// Starts and secrets, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Seqno, &Arc<LedgerSecret>)> {
        self.by_start.iter().map(|(from, secret)| (*from, secret))
    }

    /// Recovers every secret reachable from the newest one, `latest`, which is described by the last of `rows`
    /// (section 14.4). `rows` are the writes of [`HISTORICAL_SECRET_MAP`] with their positions, oldest first.
    ///
    /// # Errors
    /// A row that does not parse, or a box that does not open.
    pub fn walk_back(
        latest: Arc<LedgerSecret>,
        rows: &[(Seqno, &[u8])],
    ) -> Result<Self, SecretError> {
        let mut secrets = Self::new();
        let mut current = latest;
        for (position, (seqno, bytes)) in rows.iter().enumerate().rev() {
            let row = HistoricalSecretRow::from_json(*seqno, bytes)?;
            if position + 1 == rows.len() {
                secrets.insert(row.covers_from(*seqno), current.clone());
            }
            let Some(previous) = row.previous_ledger_secret else {
                break;
            };
            if secrets.by_start.contains_key(&previous.version) {
                // Two rows in a row may describe the same secret: it is known already.
                continue;
            }
            let plain = current.open_box(&previous.encrypted_data.0)?;
            current = Arc::new(LedgerSecret::from_slice(&plain)?);
            secrets.insert(previous.version, current.clone());
        }
        Ok(secrets)
    }
}

/// Row of [`HISTORICAL_SECRET_MAP`], JSON. It describes the secret current at its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoricalSecretRow {
    /// First position the current secret covers; absent after a rekey, where it is the row's position plus one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_version: Option<Seqno>,
    /// The secret before, sealed with the current one; absent in the very first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_ledger_secret: Option<PreviousLedgerSecret>,
}

/// The secret before the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousLedgerSecret {
    /// `tag[16] || iv[12] || ciphertext[32]`, AES-256-GCM under the current secret, no additional data.
    pub encrypted_data: Base64,
    /// Position of the previous write of this table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_stored_version: Option<Seqno>,
    /// First position that previous secret covers.
    pub version: Seqno,
}

impl HistoricalSecretRow {
    /// The row written at first opening.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            next_version: Some(Seqno(1)),
            previous_ledger_secret: None,
        }
    }

    /// The row written by a rekey (`next_version` absent) or at the end of a recovery (`next_version` present).
    ///
    /// `previous` is the secret being replaced with the first position it covers; `stored_at` is the position of the
    /// previous write of the table.
    ///
    /// # Errors
    /// [`SecretError::Internal`] when sealing fails.
    pub fn replacing(
        previous: (Seqno, &LedgerSecret),
        current: &LedgerSecret,
        next_version: Option<Seqno>,
        stored_at: Option<Seqno>,
        rng: &dyn SecureRandom,
    ) -> Result<Self, SecretError> {
        let (version, previous) = previous;
        Ok(Self {
            next_version,
            previous_ledger_secret: Some(PreviousLedgerSecret {
                encrypted_data: Base64(current.seal_box(previous.expose_bytes(), rng)?),
                previous_secret_stored_version: stored_at,
                version,
            }),
        })
    }

    /// First position covered by the secret this row describes, when the row was written at `seqno`.
    #[must_use]
    pub fn covers_from(&self, seqno: Seqno) -> Seqno {
        self.next_version.unwrap_or_else(|| seqno.next())
    }

    /// Reads a row written at `seqno`.
    ///
    /// # Errors
    /// [`SecretError::Row`].
    pub fn from_json(seqno: Seqno, bytes: &[u8]) -> Result<Self, SecretError> {
        serde_json::from_slice(bytes).map_err(|e| SecretError::Row {
            seqno,
            reason: e.to_string(),
        })
    }
}

/// Row of [`ENCRYPTED_SECRETS_MAP`], JSON: node id to the secrets encrypted to that node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncryptedSecretsRow(pub BTreeMap<String, Vec<EncryptedNodeSecret>>);

/// One ledger secret encrypted to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedNodeSecret {
    /// RSA-OAEP (SHA-256, MGF1 SHA-256, no label) of the 32 bytes.
    pub encrypted_secret: Base64,
    /// Position of the previous write of the historical table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_stored_version: Option<Seqno>,
    /// First position covered; null on rekey.
    pub version: Option<Seqno>,
}

impl EncryptedNodeSecret {
    /// Encrypts one secret to a node's encryption key.
    ///
    /// # Errors
    /// [`SecretError::Rsa`].
    pub fn seal(
        secret: &LedgerSecret,
        version: Option<Seqno>,
        stored_at: Option<Seqno>,
        node: &RsaPublicKey,
    ) -> Result<Self, SecretError> {
        let encrypted = node.encrypt(secret.expose_bytes())?;
        Ok(Self {
            encrypted_secret: Base64(encrypted),
            previous_secret_stored_version: stored_at,
            version,
        })
    }

    /// Decrypts it with the node's encryption key.
    ///
    /// # Errors
    /// [`SecretError::Rsa`] or [`SecretError::Length`].
    pub fn open(&self, node: &RsaPrivateKey) -> Result<LedgerSecret, SecretError> {
        LedgerSecret::from_slice(&node.decrypt(&self.encrypted_secret.0)?)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    fn fresh() -> Arc<LedgerSecret> {
        Arc::new(LedgerSecret::generate(&SystemRandom::new()).unwrap())
    }

    #[test]
    fn the_rekey_entry_still_uses_the_old_secret() {
        let (old, new) = (fresh(), fresh());
        let mut secrets = LedgerSecrets::new();
        secrets.insert(Seqno(1), old.clone());
        secrets.insert(Seqno(29), new.clone());
        assert!(Arc::ptr_eq(secrets.at(Seqno(28)).unwrap(), &old));
        assert!(Arc::ptr_eq(secrets.at(Seqno(29)).unwrap(), &new));
        assert!(secrets.at(Seqno(0)).is_none());
    }

    #[test]
    fn chain_walks_from_the_newest_to_the_first_and_skips_repeats() {
        let rng = SystemRandom::new();
        let (a, b, c) = (fresh(), fresh(), fresh());
        let rows = [
            (Seqno(10), HistoricalSecretRow::first()),
            (
                Seqno(20),
                HistoricalSecretRow::replacing((Seqno(1), &a), &b, None, Some(Seqno(10)), &rng)
                    .unwrap(),
            ),
            (
                Seqno(30),
                HistoricalSecretRow::replacing(
                    (Seqno(21), &b),
                    &c,
                    Some(Seqno(28)),
                    Some(Seqno(20)),
                    &rng,
                )
                .unwrap(),
            ),
            (
                Seqno(31),
                HistoricalSecretRow::replacing(
                    (Seqno(21), &b),
                    &c,
                    Some(Seqno(28)),
                    Some(Seqno(30)),
                    &rng,
                )
                .unwrap(),
            ),
        ];
        let bytes: Vec<_> = rows
            .iter()
            .map(|(s, row)| (*s, crate::json::canonical(row).unwrap()))
            .collect();
        let rows: Vec<_> = bytes.iter().map(|(s, row)| (*s, row.as_slice())).collect();
        let secrets = LedgerSecrets::walk_back(c.clone(), &rows).unwrap();
        assert_eq!(
            secrets.starts().collect::<Vec<_>>(),
            [Seqno(1), Seqno(21), Seqno(28)]
        );
        assert_eq!(
            secrets.at(Seqno(1)).unwrap().expose_bytes(),
            a.expose_bytes()
        );
        assert!(matches!(
            LedgerSecrets::walk_back(a, &rows),
            Err(SecretError::Tag)
        ));
    }

    #[test]
    fn boxes_detect_every_altered_byte() {
        let secret = fresh();
        let sealed = secret
            .seal_box(b"forty-four bytes of share", &SystemRandom::new())
            .unwrap();
        assert_eq!(
            &secret.open_box(&sealed).unwrap()[..],
            b"forty-four bytes of share"
        );
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(secret.open_box(&altered).is_err(), "byte {at}");
            assert!(secret.open_box(&sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
