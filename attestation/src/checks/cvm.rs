//! Confidential VMs.

mod appraisal;
mod misuse;

use std::sync::Arc;

use serde_json::{Value, json};

use super::NOW;
use crate::{
    Check, CvmEvidence, EvidenceError, FirmwareIdentity, PlatformPolicy, QuoteNonce, TrustAnchors,
    UnixTime, VerifiedEvidence, Verifier,
    simulated::{
        CvmGuest,
        certificates::CertificateSpec,
        keys::{Keys, rsa_spki},
        vtpm::{self, QuoteSpec},
    },
};

/// Everything a test may spoil.
struct Vm {
    guest: CvmGuest,
    evidence: CvmEvidence,
    policy: PlatformPolicy,
    anchors: TrustAnchors,
    nonce: QuoteNonce<'static>,
    now: UnixTime,
}

impl Vm {
    fn new() -> Self {
        let guest = CvmGuest::default();
        Self {
            evidence: guest.evidence(),
            guest,
            policy: PlatformPolicy::simulated(),
            anchors: TrustAnchors::simulated(),
            nonce: QuoteNonce::Key,
            now: NOW,
        }
    }

    /// Without caches, with cold ones and with warm ones: one result.
    fn verify(&self) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        let verify = |verifier: &Verifier| {
            verifier.verify_cvm(&self.evidence, &self.policy, self.nonce, self.now)
        };
        let plain = verify(&Verifier::without_caches(self.anchors.clone()));
        let cached = Verifier::new(self.anchors.clone());
        for _ in 0..2 {
            assert_eq!(verify(&cached).err(), plain.as_ref().err().cloned());
        }
        // What was accepted under other circumstances stays refused under these.
        let warm = Verifier::new(TrustAnchors::simulated());
        let _ = warm.verify_cvm(
            &self.evidence,
            &PlatformPolicy::simulated(),
            QuoteNonce::Key,
            NOW,
        );
        if self.anchors.is_simulated() {
            assert_eq!(verify(&warm).err(), plain.as_ref().err().cloned());
        }
        plain
    }

    /// With a quote that says this.
    fn quote(&mut self, change: impl FnOnce(&mut QuoteSpec)) {
        let mut spec = QuoteSpec::new(&self.evidence.nonce, &self.evidence.registers);
        change(&mut spec);
        self.evidence.quote = spec.sign();
    }

    /// With runtime claims that say this, bound in a genuine report.
    fn claims(&mut self, change: impl FnOnce(&mut Value)) {
        let mut claims = self.guest.claims();
        change(&mut claims);
        self.claims_text(&claims.to_string());
    }

    fn claims_text(&mut self, claims: &str) {
        self.evidence.hcl_report = self.guest.hcl_report(claims.as_bytes());
        self.evidence.report = self.evidence.hcl_report[32..1216].to_vec();
    }

    fn certificate(&mut self, change: impl FnOnce(&mut CertificateSpec)) {
        let mut spec = vtpm::ak_certificate();
        change(&mut spec);
        self.evidence.ak_certificate = Some(spec.sign(&Keys::get().vtpm_ca));
    }
}

fn unspoilt(_: &mut Vm) {}

macro_rules! vm_tests {
    ($($number:ident $check:ident accepts [$($good:expr),+]; refuses [$($bad:expr),+];)*) => {$(
        mod $number {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn accepts() {
                let changes: &[fn(&mut Vm)] = &[$($good),+];
                for (i, change) in changes.iter().enumerate() {
                    let mut vm = Vm::new();
                    change(&mut vm);
                    assert_eq!(vm.verify().err(), None, "change {i}");
                }
            }

            #[test]
            fn refuses() {
                let changes: &[fn(&mut Vm)] = &[$($bad),+];
                for (i, change) in changes.iter().enumerate() {
                    let mut vm = Vm::new();
                    change(&mut vm);
                    let refused = vm.verify().map(|_| "accepted").unwrap_err().check();
                    assert_eq!(refused, Check::$check, "change {i}");
                }
            }
        }
    )*};
}

vm_tests! {
    cvm_02 Cvm02 accepts [unspoilt,
            |vm| vm.evidence.hcl_report[4] = 2,
            |vm| vm.evidence.hcl_report.resize(4096, 0),
            |vm| vm.evidence.hcl_report[16] = 9];
        refuses [
            |vm| vm.evidence.hcl_report.clear(),
            |vm| vm.evidence.hcl_report.truncate(1240),
            |vm| vm.evidence.hcl_report.resize(4097, 0),
            |vm| vm.evidence.hcl_report[0] = b'h',
            |vm| vm.evidence.hcl_report[4] = 3,
            |vm| vm.evidence.hcl_report[8] ^= 1,
            |vm| vm.evidence.hcl_report[12] = 1,
            |vm| vm.evidence.hcl_report[1216] ^= 1,
            |vm| vm.evidence.hcl_report[1220] = 2,
            |vm| vm.evidence.hcl_report[1224] = 4,
            |vm| vm.evidence.hcl_report[1228] = 2,
            |vm| vm.evidence.hcl_report[1232..1236].fill(0xff),
            |vm| *vm.evidence.hcl_report.last_mut().unwrap() = 1
        ];
    cvm_03 Cvm03 accepts [unspoilt];
        refuses [
            |vm| vm.evidence.report[0x50] ^= 1,
            |vm| vm.evidence.report.truncate(1000),
            |vm| vm.evidence.report.push(0),
            |vm| vm.evidence.report.clear()
        ];
    cvm_04 Cvm04 accepts [unspoilt];
        refuses [
            // Claims of the same length in a genuine report.
            |vm| { let at = vm.evidence.hcl_report.iter().rposition(|b| *b == b'"').unwrap() - 1; vm.evidence.hcl_report[at] ^= 1; }
        ];
    cvm_05 Cvm05 accepts [unspoilt,
            |vm| vm.claims(|c| c["keys"][0]["key_ops"] = json!(["encrypt"])),
            |vm| vm.claims(|c| c["keys"].as_array_mut().unwrap().insert(0, json!({"kid": "HCLEkPub"})))];
        refuses [
            |vm| vm.claims(|c| c["keys"] = json!([])),
            |vm| vm.claims(|c| c["keys"] = json!("none")),
            |vm| vm.claims(|c| drop(c.as_object_mut().unwrap().remove("keys"))),
            |vm| vm.claims(|c| { let key = c["keys"][0].clone(); c["keys"].as_array_mut().unwrap().push(key); }),
            |vm| vm.claims(|c| c["keys"][0]["kid"] = json!("hclakpub")),
            |vm| vm.claims(|c| c["keys"][0]["kty"] = json!("EC")),
            |vm| vm.claims(|c| c["keys"][0]["e"] = json!("Aw")),
            |vm| vm.claims(|c| c["keys"][0]["n"] = json!("AQAB")),
            |vm| vm.claims(|c| c["keys"][0]["n"] = json!("=")),
            |vm| vm.claims_text("no JSON"),
            |vm| { let text = vm.guest.claims().to_string(); vm.claims_text(&text.replacen('{', "{\"keys\":[],", 1)); }
        ];
    cvm_06 Cvm06 accepts [unspoilt];
        refuses [|vm| vm.evidence.ak_certificate = None];
    cvm_07 Cvm07 accepts [|vm| vm.evidence.ak_certificate.as_mut().unwrap().resize(4096, 0)];
        refuses [
            |vm| vm.evidence.ak_certificate.as_mut().unwrap().resize(4097, 0),
            |vm| vm.evidence.ak_certificate.as_mut().unwrap().push(1),
            |vm| vm.evidence.ak_certificate.as_mut().unwrap().truncate(100),
            |vm| vm.evidence.ak_certificate = Some(vec![]),
            |vm| vm.evidence.ak_certificate = Some(vec![0x30, 0x80, 0, 0]),
            |vm| vm.evidence.ak_certificate = Some(vec![0; 100])
        ];
    cvm_08 Cvm08 accepts [unspoilt];
        refuses [
            |vm| vm.policy.cvm.authorities.clear(),
            |vm| vm.policy.cvm = crate::CvmPolicy::production(),
            |vm| *vm.evidence.ak_certificate.as_mut().unwrap().last_mut().unwrap() ^= 1,
            // Signed by a key of the same house that is no authority of virtual TPMs.
            |vm| vm.evidence.ak_certificate = Some(vtpm::ak_certificate().sign(&Keys::get().uvm_ca)),
            // By the root itself, under its own name: no governed authority.
            |vm| { let mut spec = vtpm::ak_certificate(); spec.issuer = crate::simulated::certificates::uvm_name("Simulated Virtual TPM Root");
                   vm.evidence.ak_certificate = Some(spec.sign(&Keys::get().vtpm_root)); },
            // A governed authority that the root did not sign.
            |vm| { let mut spec = vtpm::ak_certificate(); spec.issuer = spec.subject.clone();
                   spec.extensions = crate::simulated::certificates::extension::authority();
                   spec.spki = rsa_spki(&Keys::get().uvm_ca);
                   let der = spec.sign(&Keys::get().uvm_ca);
                   vm.policy.cvm.authorities = vec![crate::VtpmAuthority::from_der(&der)];
                   vm.certificate(|leaf| leaf.issuer = leaf.subject.clone());
                   let leaf = { let mut leaf = vtpm::ak_certificate(); leaf.issuer = leaf.subject.clone(); leaf };
                   vm.evidence.ak_certificate = Some(leaf.sign(&Keys::get().uvm_ca)); }
        ];
    cvm_09 Cvm09 accepts [|vm| vm.certificate(|c| c.not_after = NOW)];
        refuses [|vm| vm.certificate(|c| c.not_after = UnixTime::from_secs(NOW.as_secs() - 1))];
    cvm_10 Cvm10 accepts [|vm| vm.certificate(|c| c.not_before = NOW)];
        refuses [|vm| vm.certificate(|c| c.not_before = UnixTime::from_secs(NOW.as_secs() + 1))];
    cvm_11 Cvm11 accepts [unspoilt];
        refuses [
            |vm| vm.certificate(|c| c.extensions.clear()),
            |vm| vm.certificate(|c| c.extensions = vec![crate::simulated::certificates::extension::usages(&["2.23.133.8.1"])]),
            |vm| vm.certificate(|c| c.subject = crate::simulated::certificates::uvm_name("x.TrustedVM.Azure.windows.net")),
            |vm| vm.certificate(|c| c.subject = crate::simulated::certificates::uvm_name("x.ConfidentialVM.Azure.windows.net.example.com"))
        ];
    cvm_12 Cvm12 accepts [unspoilt];
        refuses [|vm| vm.certificate(|c| c.spki = rsa_spki(&Keys::get().vtpm_ca))];
    cvm_13 Cvm13 accepts [
            |vm| { vm.evidence.ak_certificate = None; vm.policy.cvm.id_keys = vec![paravisor(2)]; }];
        refuses [
            |vm| { vm.evidence.ak_certificate = None; vm.policy.cvm.id_keys = vec![paravisor(3)]; },
            |vm| { vm.evidence.ak_certificate = None;
                   vm.policy.cvm.id_keys = vec![FirmwareIdentity { digest: [0; 48].into(), min_guest_svn: 0 }]; }
        ];
    cvm_14 Cvm14 accepts [unspoilt];
        refuses [
            |vm| vm.evidence.quote.clear(),
            |vm| vm.evidence.quote.push(0),
            |vm| vm.evidence.quote.truncate(300),
            |vm| vm.evidence.quote[0] = 0xff,
            |vm| vm.quote(|q| q.magic ^= 1),
            |vm| vm.quote(|q| q.digest.truncate(20)),
            |vm| vm.quote(|q| q.banks = vec![(0x0b, vec![0; 3]); 17]),
            |vm| { let at = vm.evidence.quote.len() - 260; vm.evidence.quote[at] = 0x16; },
            |vm| { let at = vm.evidence.quote.len() - 261; vm.evidence.quote[at] = 0x15; }
        ];
    cvm_15 Cvm15 accepts [unspoilt];
        refuses [
            |vm| *vm.evidence.quote.last_mut().unwrap() ^= 1,
            |vm| vm.evidence.quote[20] ^= 1
        ];
    cvm_16 Cvm16 accepts [unspoilt];
        refuses [
            |vm| vm.evidence.nonce.clear(),
            |vm| vm.quote(|q| q.nonce[0] ^= 1)
        ];
    cvm_17 Cvm17 accepts [unspoilt,
            |vm| { vm.nonce = QuoteNonce::Constant; vm.evidence = vm.guest.evidence_for(QuoteNonce::Constant); },
            |vm| { vm.nonce = QuoteNonce::Challenge(b"c"); vm.evidence = vm.guest.evidence_for(QuoteNonce::Challenge(b"c")); }];
        refuses [
            |vm| vm.evidence = vm.guest.evidence_for(QuoteNonce::Constant),
            |vm| vm.nonce = QuoteNonce::Constant,
            |vm| vm.nonce = QuoteNonce::Challenge(b"c"),
            |vm| { vm.nonce = QuoteNonce::Challenge(b"d"); vm.evidence = vm.guest.evidence_for(QuoteNonce::Challenge(b"c")); },
            // A quote of a good boot, a new report that names another key.
            |vm| { vm.guest.key_pem = b"another key".to_vec(); let other = vm.guest.evidence();
                   vm.evidence.hcl_report = other.hcl_report; vm.evidence.report = other.report; },
            |vm| vm.claims(|c| c["user-data"] = json!("00")),
            |vm| vm.claims(|c| drop(c.as_object_mut().unwrap().remove("user-data")))
        ];
    cvm_18 Cvm18 accepts [
            |vm| { vm.evidence.registers[3] = None; vm.quote(|_| {}); }];
        refuses [
            |vm| vm.evidence.registers[3] = None,
            |vm| { vm.evidence.registers[3] = None; let all = vm.guest.registers; vm.quote(|q| *q = QuoteSpec::new(&q.nonce, &all)); },
            // Registers that anybody can set, shown as those of the boot.
            |vm| { let mut shown = [None; 24]; (shown[16], shown[23]) = (Some([1; 32]), Some([2; 32])); vm.evidence.registers = shown;
                   vm.quote(|_| {}); let mut other = [None; 24]; (other[4], other[7]) = (Some([1; 32]), Some([2; 32])); vm.evidence.registers = other; },
            |vm| vm.quote(|q| q.banks[0].0 = 0x0004),
            |vm| vm.quote(|q| q.banks.push((0x0004, vec![0; 3]))),
            |vm| vm.quote(|q| q.banks.clear()),
            |vm| vm.quote(|q| q.banks[0].1.push(0)),
            |vm| vm.quote(|q| q.banks[0].1.truncate(2))
        ];
    cvm_19 Cvm19 accepts [unspoilt];
        refuses [
            |vm| vm.evidence.registers[4].as_mut().unwrap()[0] ^= 1,
            // The same bytes, one register further.
            |vm| vm.evidence.registers.swap(4, 5)
        ];
}

fn paravisor(min_guest_svn: u32) -> FirmwareIdentity {
    FirmwareIdentity {
        digest: CvmGuest::default().id_key,
        min_guest_svn,
    }
}

/// Reads the request of unspoilt evidence after a change.
fn read(change: impl FnOnce(&mut Value)) -> Result<CvmEvidence, Check> {
    let mut request = Vm::new().evidence.to_request();
    change(&mut request);
    CvmEvidence::from_request(&request).map_err(|error| error.check())
}

mod cvm_01 {
    use super::*;

    #[test]
    fn accepts() {
        let evidence = Vm::new().evidence;
        assert!(CvmEvidence::from_request(&evidence.to_request()) == Ok(evidence));
        let none = read(|r| r["evidence"]["pcrs"] = json!({})).unwrap();
        assert_eq!(none.registers, [None; 24]);
        let padded = read(|r| r["evidence"]["aikCert"] = json!("")).unwrap();
        assert_eq!(padded.ak_certificate, None);
    }

    #[test]
    fn refuses() {
        let value = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        for name in [
            "04",
            "+4",
            "-1",
            "24",
            "",
            "4 ",
            "0x4",
            "99999999999999999999",
        ] {
            let refused = read(|r| r["evidence"]["pcrs"][name] = value.clone());
            assert_eq!(refused, Err(Check::Cvm01), "{name}");
        }
        for value in [json!(null), json!(4), json!(""), json!("AAAA")] {
            let refused = read(|r| r["evidence"]["pcrs"]["4"] = value.clone());
            assert_eq!(refused, Err(Check::Cvm01), "{value}");
        }
        assert_eq!(
            read(|r| r["evidence"]["pcrs"] = json!([])),
            Err(Check::Cvm01)
        );
    }
}

#[test]
fn requests_of_virtual_machines_are_read_strictly() {
    let object = |r: &mut Value, name: &str| drop(r.as_object_mut().unwrap().remove(name));
    assert_eq!(read(|r| object(r, "evidence")), Err(Check::Req01));
    assert_eq!(read(|r| object(r, "nonce")), Err(Check::Req01));
    assert_eq!(
        read(|r| object(r, "platformCertificates")),
        Err(Check::Req01)
    );
    for name in ["tpmQuote", "hclReport", "snpReport"] {
        assert_eq!(
            read(|r| object(&mut r["evidence"], name)),
            Err(Check::Req01)
        );
        assert_eq!(
            read(|r| r["evidence"][name] = json!(null)),
            Err(Check::Req01)
        );
        assert_eq!(
            read(|r| r["evidence"][name] = json!("AA")),
            Err(Check::Req02)
        );
        let long = "A".repeat(100 << 20);
        assert_eq!(
            read(|r| r["evidence"][name] = json!(long)),
            Err(Check::Req03)
        );
    }
    let long = "\n".repeat(30_000);
    assert_eq!(
        read(|r| r["platformCertificates"] = json!(long)),
        Err(Check::Req03)
    );
}
