//! The sealing key of AMD SEV-SNP: derived by the firmware for this code on this machine (SNP ABI, MSG_KEY_REQ).
//!
//! ```text
//! request   root key VCEK; guest fields: policy, measurement, TCB version; VMPL 0
//! key       HKDF-SHA256(the firmware's 32 bytes, info = "cleanroom ledger secret sealing v1")     of AES-256-GCM
//! ```
//!
//! What the fields do, and which root key, is in decision 0026.

use std::io;

use attestation::snp::{Report, TcbVersion};
use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use sev::firmware::guest::{DerivedKey, Firmware, GuestFieldSelect};
use zeroize::Zeroizing;

use super::sealing::{SealingError, SealingKey};

/// Where a guest reaches the firmware.
pub const SNP_DEVICE: &str = "/dev/sev-guest";

/// What the firmware's key is expanded for.
const PURPOSE: &[u8] = b"cleanroom ledger secret sealing v1";

/// The keys of this machine and code.
pub struct SnpKey<G = SevGuest> {
    guest: G,
}

/// A guest's side of the firmware.
pub trait SnpGuest: Send + Sync {
    /// An attestation report over nothing, for what it says of the platform.
    ///
    /// # Errors
    /// What the firmware says.
    fn report(&self) -> Result<Vec<u8>, String>;

    /// The key that the firmware derives for this request.
    ///
    /// # Errors
    /// What the firmware says; that the platform is older than the TCB version asked for, above all.
    fn derived_key(&self, request: DerivedKey) -> Result<Zeroizing<[u8; 32]>, String>;
}

/// The firmware behind [`SNP_DEVICE`].
pub struct SevGuest(());

impl SnpKey {
    /// That of this machine.
    ///
    /// # Errors
    /// [`SealingError::Platform`], naming the device, where there is none or it cannot be opened.
    pub fn of_this_machine() -> Result<Self, SealingError> {
        open()?;
        Ok(Self {
            guest: SevGuest(()),
        })
    }
}

fn open() -> Result<Firmware, SealingError> {
    Firmware::open().map_err(|error| {
        let want = if error.kind() == io::ErrorKind::NotFound {
            "this is no SEV-SNP guest, or the device is not passed to it"
        } else {
            "it cannot be opened"
        };
        SealingError::Platform {
            what: SNP_DEVICE,
            reason: format!("{want}: {error}"),
        }
    })
}

impl<G: SnpGuest> SealingKey for SnpKey<G> {
    /// The highest version that this platform cannot be taken back behind.
    fn tcb_version(&self) -> Result<String, SealingError> {
        let report = self.guest.report().map_err(platform)?;
        let report = Report::parse(&report).map_err(|error| platform(error.to_string()))?;
        Ok(report.committed_tcb.to_string())
    }

    fn derive(&self, tcb_version: &str) -> Result<Zeroizing<[u8; 32]>, SealingError> {
        let tcb: TcbVersion = tcb_version.parse().map_err(|_| {
            platform(format!(
                "sealed for {tcb_version}, which is no TCB version of a platform"
            ))
        })?;
        let raw = self.guest.derived_key(request(tcb)).map_err(platform)?;
        expand(&raw)
    }
}

impl SnpGuest for SevGuest {
    fn report(&self) -> Result<Vec<u8>, String> {
        let mut firmware = open().map_err(|error| error.to_string())?;
        firmware
            .get_report(None, Some([0; 64]), Some(VMPL))
            .map_err(|error| error.to_string())
    }

    fn derived_key(&self, request: DerivedKey) -> Result<Zeroizing<[u8; 32]>, String> {
        let mut firmware = open().map_err(|error| error.to_string())?;
        firmware
            .get_derived_key(Some(MESSAGE_VERSION), request)
            .map(Zeroizing::new)
            .map_err(|error| error.to_string())
    }
}

/// The most privileged level, which all keys are asked for at.
const VMPL: u32 = 0;

/// The version of the message that every firmware knows; the next one adds a field that is not selected here.
const MESSAGE_VERSION: u32 = 1;

fn request(tcb: TcbVersion) -> DerivedKey {
    let mut fields = GuestFieldSelect::default();
    fields.set_guest_policy(true);
    fields.set_measurement(true);
    fields.set_tcb_version(true);
    let vcek = false;
    let tcb = u64::from_le_bytes(tcb.to_memory());
    DerivedKey::new(vcek, fields, VMPL, 0, tcb, None)
}

/// The key of the cipher, from the firmware's.
fn expand(raw: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, SealingError> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, &[])
        .extract(raw)
        .expand(&[PURPOSE], &AES_256_GCM)
        .and_then(|okm| okm.fill(key.as_mut()))
        .map_err(|_| SealingError::Library)?;
    Ok(key)
}

fn platform(reason: String) -> SealingError {
    SealingError::Platform {
        what: SNP_DEVICE,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use attestation::simulated;
    use aws_lc_rs::hmac;
    use ccf_rs::Seqno;
    use ledger::LedgerSecret;

    use super::super::sealing::SealedSecrets;
    use super::*;

    /// A platform whose firmware derives keys as the real one does, from a root key of its own.
    struct Platform {
        root: [u8; 32],
        measurement: [u8; 48],
        policy: u64,
        committed: AtomicU64,
    }

    impl Platform {
        fn new(root: u8) -> Self {
            Self {
                root: [root; 32],
                measurement: [3; 48],
                policy: 0x3_0000,
                committed: AtomicU64::new(NEW),
            }
        }

        fn sealing(self, directory: &Path) -> SealedSecrets {
            SealedSecrets::new(directory.to_owned(), Arc::new(SnpKey { guest: self }))
        }
    }

    const OLD: u64 = 0xd900_0000_0000_0004;
    const NEW: u64 = 0xdb18_0000_0000_0004;

    impl SnpGuest for Platform {
        fn report(&self) -> Result<Vec<u8>, String> {
            let committed = self.committed.load(Ordering::Relaxed).to_le_bytes();
            let machine = simulated::Platform::default();
            let machine = machine.with_tcb(TcbVersion::from_memory(committed));
            Ok(machine.evidence(&simulated::Guest::default()).report)
        }

        fn derived_key(&self, request: DerivedKey) -> Result<Zeroizing<[u8; 32]>, String> {
            if request.tcb_version > self.committed.load(Ordering::Relaxed) {
                return Err("INVALID_PARAM".to_owned());
            }
            let fields = &request.guest_field_select;
            let mut mixed = vec![request.get_root_key_select() as u8, request.vmpl as u8];
            if fields.get_guest_policy() {
                mixed.extend(self.policy.to_le_bytes());
            }
            if fields.get_measurement() {
                mixed.extend(self.measurement);
            }
            if fields.get_tcb_version() {
                mixed.extend(request.tcb_version.to_le_bytes());
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.root);
            let mut derived = Zeroizing::new([0; 32]);
            derived.copy_from_slice(hmac::sign(&key, &mixed).as_ref());
            Ok(derived)
        }
    }

    fn secret() -> LedgerSecret {
        LedgerSecret::generate(&aws_lc_rs::rand::SystemRandom::new()).unwrap()
    }

    #[test]
    fn the_request_selects_policy_measurement_and_tcb_version_under_the_vcek() {
        let request = request("db18000000000004".parse().unwrap());
        assert_eq!(request.get_root_key_select(), 0);
        assert_eq!((request.vmpl, request.guest_svn), (0, 0));
        assert_eq!(request.tcb_version, NEW);
        let mut bits = GuestFieldSelect::default();
        bits.set_guest_policy(true);
        bits.set_measurement(true);
        bits.set_tcb_version(true);
        assert_eq!(request.guest_field_select, bits);
        let others = [
            request.guest_field_select.get_image_id(),
            request.guest_field_select.get_family_id(),
            request.guest_field_select.get_svn(),
            request.guest_field_select.get_launch_mit_vector(),
        ];
        assert_eq!(others, [false; 4]);
    }

    #[test]
    fn the_key_of_the_cipher_is_expanded_from_the_firmwares() {
        // HKDF (RFC 5869) by hand: extract with a salt of zeros, then one block.
        let raw = [0x5a; 32];
        let zeros = hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]);
        let extracted = hmac::sign(&zeros, &raw);
        let block = [PURPOSE, &[1]].concat();
        let want = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()),
            &block,
        );
        let key = expand(&raw).unwrap();
        assert_eq!(key.as_ref(), want.as_ref());
        assert_ne!(key.as_ref(), &raw);
    }

    #[test]
    fn only_the_same_code_under_the_same_policy_on_the_same_machine_unseals() {
        let scratch = tempfile::tempdir().unwrap();
        let sealed = secret();
        let here = Platform::new(1).sealing(scratch.path());
        here.seal(Seqno(1), &sealed, None).unwrap();
        let opened = |platform: Platform| {
            let found = platform.sealing(scratch.path()).newest(Seqno(9)).unwrap();
            found.map(|(_, secret)| *secret.expose_bytes())
        };
        assert_eq!(opened(Platform::new(1)), Some(*sealed.expose_bytes()));
        assert_eq!(opened(Platform::new(2)), None);
        let mut other_code = Platform::new(1);
        other_code.measurement[0] ^= 1;
        assert_eq!(opened(other_code), None);
        let mut debugged = Platform::new(1);
        debugged.policy |= 1 << 19;
        assert_eq!(opened(debugged), None);
    }

    #[test]
    fn a_newer_platform_unseals_and_one_that_was_taken_back_does_not() {
        let scratch = tempfile::tempdir().unwrap();
        let before = Platform::new(1);
        before.committed.store(OLD, Ordering::Relaxed);
        let sealed = secret();
        let before = before.sealing(scratch.path());
        before.seal(Seqno(1), &sealed, None).unwrap();
        let after = Platform::new(1).sealing(scratch.path());
        let (_, found) = after.newest(Seqno(9)).unwrap().unwrap();
        assert_eq!(found.expose_bytes(), sealed.expose_bytes());
        after.seal(Seqno(5), &secret(), None).unwrap();
        // What was sealed by the newer one is passed over, what was sealed by the older is not.
        let (from, _) = before.newest(Seqno(9)).unwrap().unwrap();
        assert_eq!(from, Seqno(1));
    }

    #[test]
    fn where_there_is_no_device_it_is_named() {
        if Path::new(SNP_DEVICE).exists() {
            println!("skipped: this machine has {SNP_DEVICE}");
            return;
        }
        let error = SnpKey::of_this_machine().err().unwrap().to_string();
        assert!(error.contains("/dev/sev-guest"), "{error}");
    }
}
