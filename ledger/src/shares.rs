//! Recovery shares (ledger format, section 14): the ledger secret wrapped under a key that members hold in parts.
//!
//! ```text
//! share, 44 bytes:  u32 x, then 10 x u32 limbs, little-endian, each below p = 2^31 - 1; x = 0 is the full secret
//! ```

use std::collections::BTreeMap;

use aws_lc_rs::hkdf;
use aws_lc_rs::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::Seqno;
use crate::json::Base64;
use crate::rsa::{RsaError, RsaPrivateKey, RsaPublicKey};
use crate::secret::{LedgerSecret, SecretError, aead_key, open_box_with, seal_box_with};

/// Table of encrypted shares; one row, JSON.
pub const RECOVERY_SHARES_MAP: &str = "public:ccf.internal.recovery_shares";
/// Table of shares submitted during a recovery; member id to a JSON string of base64.
pub const SUBMITTED_SHARES_MAP: &str = "public:ccf.internal.encrypted_submitted_shares";

/// Length of a serialised share.
pub const SHARE_LEN: usize = 44;
/// Length of a share of the scheme before CCF 4.0.9, which is not supported.
const LEGACY_SHARE_LEN: usize = 113;

const LIMBS: usize = 10;
const P: u64 = (1 << 31) - 1;

/// A failure of splitting, combining or wrapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The threshold is 0 or above the number of shares.
    #[error("threshold {threshold} with {shares} shares")]
    Threshold {
        /// Threshold asked for.
        threshold: usize,
        /// Shares available.
        shares: usize,
    },
    /// A share of the scheme before CCF 4.0.9.
    #[error("legacy share of 113 bytes: unsupported")]
    Legacy,
    /// A serialised share has the wrong length.
    #[error("share of {got} bytes, want 44")]
    Length {
        /// Bytes present.
        got: usize,
    },
    /// A limb is not below p.
    #[error("share limb {got} is not below 2^31 - 1")]
    Limb {
        /// The value.
        got: u32,
    },
    /// Two shares have the same x, or a partial set holds the full secret.
    #[error("share number {x} twice or out of place")]
    Repeated {
        /// The share number.
        x: u32,
    },
    /// Wrapping or unwrapping fails: a wrong share shows up here.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// RSA fails.
    #[error(transparent)]
    Rsa(#[from] RsaError),
    /// The row has no share for this member.
    #[error("no share for member {member}")]
    NoShare {
        /// The member id.
        member: String,
    },
    /// The random number generator or key derivation failed.
    #[error("cryptographic library failure")]
    Internal,
}

/// One member's part, or with `x = 0` the whole. Wiped when dropped; no `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Share {
    x: u32,
    limbs: [u32; LIMBS],
}

impl Share {
    /// The share number: 0 for the full secret, else 1 to n.
    #[must_use]
    pub const fn x(&self) -> u32 {
        self.x
    }

    /// True when this is the full secret, as owners hold it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.x == 0
    }

    /// The 44 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SHARE_LEN]> {
        let mut bytes = Zeroizing::new([0; SHARE_LEN]);
        let words = std::iter::once(&self.x).chain(&self.limbs);
        for (out, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *out = word.to_le_bytes();
        }
        bytes
    }

    /// Reads 44 bytes.
    ///
    /// # Errors
    /// [`ShareError::Legacy`], [`ShareError::Length`], [`ShareError::Limb`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        if bytes.len() == LEGACY_SHARE_LEN {
            return Err(ShareError::Legacy);
        }
        if bytes.len() != SHARE_LEN {
            return Err(ShareError::Length { got: bytes.len() });
        }
        let mut words = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word));
        let mut share = Self {
            x: words.next().unwrap_or_default(),
            limbs: [0; LIMBS],
        };
        for (limb, word) in share.limbs.iter_mut().zip(words) {
            if u64::from(word) >= P {
                return Err(ShareError::Limb { got: word });
            }
            *limb = word;
        }
        Ok(share)
    }
}

/// The secret that is split: ten elements of the field of integers modulo 2^31 - 1. Make a fresh one for every row, because
/// the wrapping uses an all-zero IV (section 14.3). Wiped when dropped; no `Debug`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct WrappingSecret {
    limbs: [u32; LIMBS],
}

impl WrappingSecret {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`ShareError::Internal`] when the generator fails.
    pub fn generate(rng: &dyn SecureRandom) -> Result<Self, ShareError> {
        Ok(Self {
            limbs: random_limbs(rng)?,
        })
    }

    /// Splits in `shares` parts of which any `threshold` give the secret back. Share numbers run from 1.
    ///
    /// # Errors
    /// [`ShareError::Threshold`], [`ShareError::Internal`].
    pub fn split(
        &self,
        threshold: usize,
        shares: usize,
        rng: &dyn SecureRandom,
    ) -> Result<Vec<Share>, ShareError> {
        if threshold == 0 || threshold > shares || shares as u64 >= P {
            return Err(ShareError::Threshold { threshold, shares });
        }
        // One polynomial per limb; the constant term is the limb. Highest coefficient first, for Horner's rule.
        let mut coefficients = Zeroizing::new(Vec::with_capacity(threshold - 1));
        for _ in 1..threshold {
            coefficients.push(random_limbs(rng)?);
        }
        let evaluate = |x: u32| {
            let mut limbs = [0; LIMBS];
            for (index, (limb, constant)) in limbs.iter_mut().zip(self.limbs).enumerate() {
                let terms = coefficients
                    .iter()
                    .filter_map(|row| row.get(index).copied());
                let high = terms.fold(0, |acc, c| (acc * u64::from(x) + u64::from(c)) % P);
                *limb = ((high * u64::from(x) + u64::from(constant)) % P) as u32;
            }
            Share { x, limbs }
        };
        Ok((1..=shares as u32).map(evaluate).collect())
    }

    /// The full secret as a share, for members with the recovery role Owner.
    #[must_use]
    pub fn full_share(&self) -> Share {
        Share {
            x: 0,
            limbs: self.limbs,
        }
    }

    /// Combines shares: the full one if present, else the first `threshold` of them by Lagrange interpolation at 0.
    /// Nothing authenticates shares; a wrong one shows up when [`Self::unwrap`] fails.
    ///
    /// # Errors
    /// [`ShareError::Threshold`], [`ShareError::Repeated`].
    pub fn combine(shares: &[Share], threshold: usize) -> Result<Self, ShareError> {
        if let Some(full) = shares.iter().find(|share| share.is_full()) {
            return Ok(Self { limbs: full.limbs });
        }
        let too_few = ShareError::Threshold {
            threshold,
            shares: shares.len(),
        };
        let used = shares
            .get(..threshold)
            .filter(|used| !used.is_empty())
            .ok_or(too_few)?;
        let mut limbs = [0; LIMBS];
        for (i, share) in used.iter().enumerate() {
            let mut weight = 1;
            for other in used
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != i)
                .map(|(_, other)| other)
            {
                if u64::from(other.x) % P == u64::from(share.x) % P {
                    return Err(ShareError::Repeated { x: share.x });
                }
                let (xi, xj) = (u64::from(share.x) % P, u64::from(other.x) % P);
                weight = weight * xj % P * inverse((xj + P - xi) % P) % P;
            }
            for (sum, y) in limbs.iter_mut().zip(share.limbs) {
                *sum = ((u64::from(*sum) + weight * u64::from(y)) % P) as u32;
            }
        }
        Ok(Self { limbs })
    }

    /// HKDF-SHA256 with the 40 bytes as key material *and* as info, without salt (section 0, trap 1).
    fn wrapping_key(&self) -> Result<Zeroizing<[u8; 32]>, ShareError> {
        let mut material = Zeroizing::new([0; 4 * LIMBS]);
        for (out, limb) in material.as_chunks_mut::<4>().0.iter_mut().zip(self.limbs) {
            *out = limb.to_le_bytes();
        }
        let mut key = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(material.as_ref())
            .expand(&[material.as_ref()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| ShareError::Internal)?;
        Ok(key)
    }

    /// Wraps the latest ledger secret: `tag[16] || iv[12] = 0 || ciphertext[32]`.
    ///
    /// # Errors
    /// [`ShareError::Internal`], [`ShareError::Secret`].
    pub fn wrap(&self, secret: &LedgerSecret) -> Result<Vec<u8>, ShareError> {
        Ok(seal_box_with(
            &aead_key(&*self.wrapping_key()?)?,
            [0; 12],
            secret.expose_bytes(),
        )?)
    }

    /// Unwraps what [`Self::wrap`] made.
    ///
    /// # Errors
    /// [`ShareError::Secret`] when a share was wrong.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<LedgerSecret, ShareError> {
        let plain = open_box_with(&aead_key(&*self.wrapping_key()?)?, wrapped)?;
        Ok(LedgerSecret::from_slice(&plain)?)
    }
}

fn random_limbs(rng: &dyn SecureRandom) -> Result<[u32; LIMBS], ShareError> {
    let mut limbs = [0; LIMBS];
    for limb in &mut limbs {
        // Uniform below p by rejection: of 2^31 values only one is refused.
        loop {
            let mut bytes = [0; 4];
            rng.fill(&mut bytes).map_err(|_| ShareError::Internal)?;
            let value = u32::from_le_bytes(bytes) >> 1;
            if u64::from(value) < P {
                *limb = value;
                break;
            }
        }
    }
    Ok(limbs)
}

/// `value^(p-2)`, which inverts every value but 0.
fn inverse(value: u64) -> u64 {
    let (mut base, mut exponent, mut result) = (value % P, P - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % P;
        }
        base = base * base % P;
        exponent >>= 1;
    }
    result
}

/// Row of [`RECOVERY_SHARES_MAP`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverySharesRow {
    /// Member id to share, RSA-OAEP encrypted.
    pub encrypted_shares: BTreeMap<String, Base64>,
    /// Position of the previous write of the historical secrets table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_stored_version: Option<Seqno>,
    /// The latest ledger secret, wrapped.
    pub wrapped_latest_ledger_secret: Base64,
}

/// Members that take part in recovery, by member id.
#[derive(Default)]
pub struct RecoveryMembers {
    /// Role Participant, or none set: one share each, numbered in order of member id.
    pub participants: BTreeMap<String, RsaPublicKey>,
    /// Role Owner: the full secret each.
    pub owners: BTreeMap<String, RsaPublicKey>,
}

impl RecoverySharesRow {
    /// Makes a row under a fresh wrapping secret (section 14.2). With owners only, one share exists that nobody holds.
    ///
    /// # Errors
    /// [`ShareError::Threshold`] unless 1 <= threshold <= participants; RSA and library failures.
    pub fn issue(
        secret: &LedgerSecret,
        members: &RecoveryMembers,
        threshold: usize,
        stored_at: Option<Seqno>,
        rng: &dyn SecureRandom,
    ) -> Result<Self, ShareError> {
        let wrapping = WrappingSecret::generate(rng)?;
        let shares = members
            .participants
            .len()
            .max(usize::from(!members.owners.is_empty()));
        let parts = wrapping.split(threshold, shares, rng)?;
        let full = wrapping.full_share();
        let mut encrypted_shares = BTreeMap::new();
        let held = members.participants.iter().zip(&parts);
        let owned = members.owners.iter().map(|owner| (owner, &full));
        for ((member, key), share) in held.chain(owned) {
            encrypted_shares.insert(
                member.clone(),
                Base64(key.encrypt(share.to_bytes().as_ref())?),
            );
        }
        Ok(Self {
            encrypted_shares,
            previous_secret_stored_version: stored_at,
            wrapped_latest_ledger_secret: Base64(wrapping.wrap(secret)?),
        })
    }

    /// Decrypts one member's share.
    ///
    /// # Errors
    /// [`ShareError::NoShare`], [`ShareError::Rsa`], [`ShareError::Legacy`], [`ShareError::Length`].
    pub fn open_share(&self, member: &str, key: &RsaPrivateKey) -> Result<Share, ShareError> {
        let sealed = self
            .encrypted_shares
            .get(member)
            .ok_or_else(|| ShareError::NoShare {
                member: member.to_owned(),
            })?;
        Share::from_bytes(&key.decrypt(&sealed.0)?)
    }

    /// The latest ledger secret from enough shares.
    ///
    /// # Errors
    /// As [`WrappingSecret::combine`] and [`WrappingSecret::unwrap`].
    pub fn latest_secret(
        &self,
        shares: &[Share],
        threshold: usize,
    ) -> Result<LedgerSecret, ShareError> {
        WrappingSecret::combine(shares, threshold)?.unwrap(&self.wrapped_latest_ledger_secret.0)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inverses() {
        for value in [1, 2, 3, 12345, P - 1] {
            assert_eq!(value * inverse(value) % P, 1);
        }
    }

    #[test]
    fn row_for_participants_and_an_owner() {
        let rng = SystemRandom::new();
        let keys: Vec<_> = (0..3).map(|_| RsaPrivateKey::generate().unwrap()).collect();
        let mut members = RecoveryMembers::default();
        members
            .participants
            .insert("a".into(), keys[0].public_key());
        members
            .participants
            .insert("b".into(), keys[1].public_key());
        members.owners.insert("c".into(), keys[2].public_key());
        let secret = LedgerSecret::generate(&rng).unwrap();
        let row = RecoverySharesRow::issue(&secret, &members, 2, None, &rng).unwrap();
        let open = |name: &str, key: usize| row.open_share(name, &keys[key]).unwrap();
        assert_eq!(
            [open("a", 0).x(), open("b", 1).x(), open("c", 2).x()],
            [1, 2, 0]
        );
        let both = row.latest_secret(&[open("b", 1), open("a", 0)], 2).unwrap();
        assert_eq!(both.expose_bytes(), secret.expose_bytes());
        let owner = row.latest_secret(&[open("c", 2)], 2).unwrap();
        assert_eq!(owner.expose_bytes(), secret.expose_bytes());
        assert!(matches!(
            row.latest_secret(&[open("a", 0)], 2),
            Err(ShareError::Threshold { .. })
        ));
        assert!(matches!(
            row.latest_secret(&[open("a", 0)], 1),
            Err(ShareError::Secret(SecretError::Tag))
        ));
        assert!(matches!(
            row.latest_secret(&[open("a", 0), open("a", 0)], 2),
            Err(ShareError::Repeated { x: 1 })
        ));
        assert!(matches!(
            row.open_share("a", &keys[1]),
            Err(ShareError::Rsa(_))
        ));
        assert!(matches!(
            row.open_share("z", &keys[1]),
            Err(ShareError::NoShare { .. })
        ));
        assert!(matches!(
            RecoverySharesRow::issue(&secret, &members, 3, None, &rng),
            Err(ShareError::Threshold {
                threshold: 3,
                shares: 2
            })
        ));
    }

    #[test]
    fn malformed_shares_are_refused() {
        assert!(matches!(
            Share::from_bytes(&[0; 113]),
            Err(ShareError::Legacy)
        ));
        assert!(matches!(
            Share::from_bytes(&[0; 43]),
            Err(ShareError::Length { got: 43 })
        ));
        assert!(matches!(
            Share::from_bytes(&[0xff; 44]),
            Err(ShareError::Limb { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_threshold_shares_give_the_secret(n in 1usize..8, k in 1usize..8, skip in 0usize..8) {
            let k = k.min(n);
            let rng = SystemRandom::new();
            let secret = WrappingSecret::generate(&rng).unwrap();
            let mut shares = secret.split(k, n, &rng).unwrap();
            shares.rotate_left(skip % n);
            let bytes: Vec<_> = shares.iter().map(Share::to_bytes).collect();
            let shares: Vec<_> = bytes.iter().map(|b| Share::from_bytes(b.as_ref()).unwrap()).collect();
            prop_assert_eq!(WrappingSecret::combine(&shares, k).unwrap().limbs, secret.limbs);
            if k > 1 {
                prop_assert_ne!(WrappingSecret::combine(&shares, k - 1).unwrap().limbs, secret.limbs);
            }
        }
    }
}
