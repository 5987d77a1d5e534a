//! Issuing recovery shares (ledger format, section 14; CCF interface, annex B).
//!
//! ```text
//! secret  = 10 limbs, each uniform below p = 2^31 - 1
//! share x = u32 x || 10 x u32 f_i(x), little-endian; f_i(0) = limb i, degree threshold - 1
//! key     = HKDF-SHA256(ikm = limbs, no salt, info = limbs, 32 bytes)
//! wrapped = tag[16] || iv[12] = 0 || AES-256-GCM(key, ledger secret)
//! ```

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use constitution::{Kv, KvError};
use ledger::{Base64, RsaPublicKey, SINGLE_KEY, canonical};
use serde_json::json;
use zeroize::Zeroizing;

use super::NodeServices;
use super::tables::{
    MEMBER_ENCRYPTION_KEYS, MEMBER_INFO, MemberInfo, RECOVERY_SHARES, SERVICE_CONFIG, ServiceConfig,
};

const PRIME: u64 = (1 << 31) - 1;
const LIMBS: usize = 10;

/// The shared secret: limbs below [`PRIME`].
struct Wrapping(Zeroizing<[u32; LIMBS]>);

/// Active members with an encryption key.
struct Holders {
    participants: Vec<(String, RsaPublicKey)>,
    owners: Vec<(String, RsaPublicKey)>,
}

/// New shares of the ledger secret in force.
pub(super) fn reissue(kv: &mut dyn Kv, services: &dyn NodeServices) -> Result<(), String> {
    let (_, secret) = services
        .ledger_secret()
        .ok_or("the ledger secret is not available")?;
    issue(kv, &secret)
}

/// New shares of this ledger secret; older ones are void with the row they stood in.
pub(super) fn issue(kv: &mut dyn Kv, secret: &[u8; 32]) -> Result<(), String> {
    let holders = Holders::read(kv)?;
    let threshold = threshold(kv)?;
    let (participants, owners) = (holders.participants.len(), holders.owners.len());
    if participants + owners == 0 {
        return Err(
            "Cannot issue new recovery shares as there are no active recovery members".to_owned(),
        );
    }
    if participants == 0 && threshold > 1 {
        return Err(format!(
            "Cannot issue new recovery shares: there are only recovery owners, and the threshold is {threshold}"
        ));
    }
    if participants > 0 && !(1..=participants).contains(&threshold) {
        return Err(format!(
            "Cannot issue new recovery shares: the recovery threshold is {threshold}, and there are {participants} active recovery participants"
        ));
    }
    let rng = SystemRandom::new();
    let wrapping = Wrapping::generate(&rng)?;
    let mut encrypted = BTreeMap::new();
    let coefficients = wrapping.polynomials(threshold.max(1), &rng)?;
    for (index, (id, key)) in holders.participants.iter().enumerate() {
        let x = u32::try_from(index + 1).map_err(|_| "too many recovery participants")?;
        encrypted.insert(id.clone(), seal(key, &share(x, &coefficients), id)?);
    }
    for (id, key) in &holders.owners {
        encrypted.insert(id.clone(), seal(key, &share(0, &coefficients), id)?);
    }
    let row = json!({
        "encrypted_shares": encrypted,
        "wrapped_latest_ledger_secret": Base64(wrapping.wrap(secret)?),
    });
    let row = canonical(&row).map_err(|e| e.to_string())?;
    kv.put(RECOVERY_SHARES.name(), &SINGLE_KEY, &row)
        .map_err(text)
}

fn threshold(kv: &mut dyn Kv) -> Result<usize, String> {
    let row = kv
        .get(SERVICE_CONFIG.name(), &SINGLE_KEY)
        .map_err(text)?
        .ok_or("the service has no configuration")?;
    let config: ServiceConfig =
        serde_json::from_slice(&row).map_err(|_| "service.config cannot be read")?;
    Ok(config.recovery_threshold)
}

fn seal(key: &RsaPublicKey, share: &[u8], member: &str) -> Result<Base64, String> {
    key.encrypt(share)
        .map(Base64)
        .map_err(|e| format!("encryption key of member {member}: {e}"))
}

/// The share at `x`; at 0 the secret itself.
fn share(x: u32, coefficients: &[Zeroizing<[u32; LIMBS]>]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 + 4 * LIMBS));
    bytes.extend_from_slice(&x.to_le_bytes());
    for limb in 0..LIMBS {
        let value = coefficients.iter().rev().fold(0, |sum: u64, row| {
            let coefficient = row.get(limb).copied().unwrap_or_default();
            (sum * u64::from(x) + u64::from(coefficient)) % PRIME
        });
        bytes.extend_from_slice(&(value as u32).to_le_bytes());
    }
    bytes
}

fn uniform(rng: &SystemRandom) -> Result<Zeroizing<[u32; LIMBS]>, String> {
    let mut limbs = Zeroizing::new([0; LIMBS]);
    for limb in limbs.iter_mut() {
        *limb = loop {
            let mut bytes = Zeroizing::new([0; 4]);
            rng.fill(bytes.as_mut()).map_err(|_| "no randomness")?;
            let candidate = u32::from_le_bytes(*bytes) >> 1;
            if u64::from(candidate) < PRIME {
                break candidate;
            }
        };
    }
    Ok(limbs)
}

impl Wrapping {
    fn generate(rng: &SystemRandom) -> Result<Self, String> {
        uniform(rng).map(Self)
    }

    /// Rows of coefficients by degree; the first is the secret.
    fn polynomials(
        &self,
        threshold: usize,
        rng: &SystemRandom,
    ) -> Result<Vec<Zeroizing<[u32; LIMBS]>>, String> {
        let mut rows = vec![self.0.clone()];
        for _ in 1..threshold {
            rows.push(uniform(rng)?);
        }
        Ok(rows)
    }

    fn wrap(&self, secret: &[u8; 32]) -> Result<Vec<u8>, String> {
        struct Length;
        impl KeyType for Length {
            fn len(&self) -> usize {
                32
            }
        }
        let failed = |_| "cryptographic library failure".to_owned();
        let ikm: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.0.iter().flat_map(|limb| limb.to_le_bytes()).collect());
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &[])
            .extract(&ikm)
            .expand(&[&ikm], Length)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(failed)?;
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(failed)?);
        let mut sealed = Zeroizing::new(*secret);
        // The nonce may be zero because this key seals nothing else, ever.
        let tag = aead
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::empty(),
                sealed.as_mut(),
            )
            .map_err(failed)?;
        Ok([tag.as_ref(), &[0; 12], sealed.as_ref()].concat())
    }
}

impl Holders {
    /// In order of member id, which is the order of `x`.
    fn read(kv: &mut dyn Kv) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        kv.for_each(MEMBER_ENCRYPTION_KEYS.name(), &mut |id, pem| {
            keys.insert(id.to_vec(), pem.to_vec());
        })
        .map_err(text)?;
        let (mut participants, mut owners) = (Vec::new(), Vec::new());
        for (id, pem) in keys {
            let Some(row) = kv.get(MEMBER_INFO.name(), &id).map_err(text)? else {
                continue;
            };
            let id = String::from_utf8(id).map_err(|_| "a member id is not text")?;
            let info: MemberInfo = serde_json::from_slice(&row)
                .map_err(|_| format!("the record of member {id} cannot be read"))?;
            if info.status != "Active" {
                continue;
            }
            let list = match info.recovery_role.as_deref() {
                Some("Owner") => &mut owners,
                None | Some("Participant") => &mut participants,
                _ => continue,
            };
            let key = String::from_utf8(pem)
                .ok()
                .and_then(|pem| RsaPublicKey::from_pem(&pem).ok())
                .ok_or_else(|| format!("the encryption key of member {id} cannot be used"))?;
            list.push((id, key));
        }
        Ok(Self {
            participants,
            owners,
        })
    }
}

fn text(error: KvError) -> String {
    error.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inverse(value: u64) -> u64 {
        let (mut result, mut base, mut exponent) = (1, value % PRIME, PRIME - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * base % PRIME;
            }
            base = base * base % PRIME;
            exponent >>= 1;
        }
        result
    }

    /// Lagrange interpolation at 0.
    fn combine(shares: &[Zeroizing<Vec<u8>>]) -> Vec<u32> {
        let word = |share: &[u8], at: usize| {
            u64::from(u32::from_le_bytes(
                share[4 * at..4 * at + 4].try_into().unwrap(),
            ))
        };
        (1..=LIMBS)
            .map(|limb| {
                let mut sum = 0;
                for (i, one) in shares.iter().enumerate() {
                    let mut weight = 1;
                    for (j, other) in shares.iter().enumerate() {
                        if i != j {
                            let (xi, xj) = (word(one, 0), word(other, 0));
                            weight =
                                weight * xj % PRIME * inverse((xj + PRIME - xi) % PRIME) % PRIME;
                        }
                    }
                    sum = (sum + word(one, limb) * weight) % PRIME;
                }
                u32::try_from(sum).unwrap()
            })
            .collect()
    }

    #[test]
    fn any_threshold_of_shares_gives_the_secret_and_fewer_do_not() {
        let rng = SystemRandom::new();
        let wrapping = Wrapping::generate(&rng).unwrap();
        let rows = wrapping.polynomials(3, &rng).unwrap();
        let shares: Vec<_> = (1..=5).map(|x| share(x, &rows)).collect();
        assert!(shares.iter().all(|s| s.len() == 44));
        assert_eq!(combine(&shares[..3]), wrapping.0.to_vec());
        assert_eq!(combine(&shares[2..]), wrapping.0.to_vec());
        assert_ne!(combine(&shares[..2]), wrapping.0.to_vec());
        let full = share(0, &rows);
        assert_eq!(&full[..4], &[0; 4]);
        assert_eq!(full[4..8], wrapping.0[0].to_le_bytes());
    }
}
