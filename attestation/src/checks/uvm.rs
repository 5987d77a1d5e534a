use ciborium::Value;

use super::check_tests;
use crate::{
    TrustAnchors, UvmForm,
    checks::Case,
    simulated::{
        Platform,
        certificates::extension,
        keys::{Keys, rsa_spki},
        uvm::{EndorsementSpec, IssuerSpec, encode},
    },
};

fn unspoilt(_: &mut Case) {}

fn endorsement(case: &mut Case, form: UvmForm, change: fn(&mut EndorsementSpec)) {
    let mut spec = EndorsementSpec::new(form, 103, case.platform.uvm_measurement());
    change(&mut spec);
    case.evidence.uvm_endorsements = Some(spec.sign());
}

fn legacy(case: &mut Case, change: fn(&mut EndorsementSpec)) {
    endorsement(case, UvmForm::Legacy, change);
}

fn set(spec: &mut EndorsementSpec, label: impl Into<Value>, value: impl Into<Value>) {
    let label = label.into();
    spec.protected.retain(|(name, _)| *name != label);
    spec.protected.push((label, value.into()));
}

fn issuer(case: &mut Case, change: fn(&mut IssuerSpec)) {
    let mut issuer = IssuerSpec::new();
    change(&mut issuer);
    let chain: Vec<Value> = issuer
        .certificates()
        .into_iter()
        .map(Value::Bytes)
        .collect();
    let mut spec = EndorsementSpec::new(UvmForm::Legacy, 103, case.platform.uvm_measurement());
    set(&mut spec, 33, Value::Array(chain));
    case.evidence.uvm_endorsements = Some(spec.sign());
}

check_tests! {
    uvm_01 Uvm01
        accepts |c| { c.evidence.uvm_endorsements = None; c.policy.pinned_measurements.insert(c.platform.uvm_measurement()); };
        refuses |c| c.evidence.uvm_endorsements = None;
    uvm_02 Uvm02 accepts unspoilt; refuses |c| legacy(c, |s| s.tag = 98);
    uvm_03 Uvm03 accepts unspoilt; refuses |c| legacy(c, |s| s.payload = Value::Null);
    uvm_04 Uvm04 accepts |c| legacy(c, |s| set(s, "extra", 1));
        refuses |c| legacy(c, |s| s.protected.push((Value::from("feed"), Value::from("x"))));
    uvm_05 Uvm05 accepts unspoilt; refuses |c| legacy(c, |s| set(s, 2, Value::Array(vec![Value::from(3)])));
    uvm_06 Uvm06 accepts |c| legacy(c, |s| s.unprotected.push((Value::from("timestamp"), Value::Bytes(vec![1]))));
        refuses |c| legacy(c, |s| s.unprotected.push((Value::from("iss"), Value::from("x"))));
    uvm_07 Uvm07 accepts unspoilt; refuses |c| legacy(c, |s| set(s, 1, -258));
    uvm_08 Uvm08 accepts unspoilt; refuses |c| legacy(c, |s| set(s, 33, Value::Bytes(vec![1])));
    uvm_09 Uvm09 accepts |c| endorsement(c, UvmForm::Cwt, |_| {}); refuses |c| legacy(c, |s| set(s, 3, "text/plain"));
    uvm_10 Uvm10 accepts |c| issuer(c, |_| {}); refuses |c| issuer(c, |i| i.ca.extensions = vec![extension::usages(&["1.2.3"])]);
    uvm_11 Uvm11 accepts unspoilt; refuses |c| issuer(c, |i| i.ca.spki = rsa_spki(&Keys::get().uvm_root));
    uvm_12 Uvm12 accepts |c| legacy(c, |s| s.protected.retain(|(name, _)| *name != Value::from("signingtime")));
        refuses |c| legacy(c, |s| set(s, "signingtime", Value::Tag(1, Box::new(Value::from(1)))));
    uvm_13 Uvm13 accepts unspoilt; refuses |c| legacy(c, |s| set(s, "iss", "did:x509:0:sha256:AAAA::eku:1.2.3"));
    uvm_14 Uvm14 accepts unspoilt; refuses |c| issuer(c, |i| i.leaf.extensions = vec![extension::usages(&["1.3.6.1.4.1.311.76.59.1.3"])]);
    uvm_15 Uvm15 accepts unspoilt; refuses |c| legacy(c, |s| set(s, 1, -35));
    uvm_16 Uvm16 accepts unspoilt; refuses |c| legacy(c, |s| set(s, 1, -37));
    uvm_17 Uvm17 accepts unspoilt; refuses |c| legacy(c, |s| s.payload = Value::Bytes(b"{}".to_vec()));
    uvm_18 Uvm18 accepts unspoilt; refuses |c| c.policy.uvm[0].did.push('0');
    uvm_19 Uvm19 accepts unspoilt; refuses |c| c.policy.uvm[0].feed.make_ascii_lowercase();
    uvm_20 Uvm20 accepts |c| c.policy.uvm[0].min_svn = 20; refuses |c| c.policy.uvm[0].min_svn = 104;
    uvm_21 Uvm21 accepts unspoilt;
        refuses |c| { c.guest.measurement = Some([1; 48].into()); c.evidence = c.platform.evidence(&c.guest); };
}

/// A present but bad endorsement is never a reason to fall back to the pinned measurements.
#[test]
fn bad_endorsement_is_refused_even_if_the_measurement_is_pinned() {
    let mut case = Case::new();
    case.policy
        .pinned_measurements
        .insert(case.platform.uvm_measurement());
    case.evidence.uvm_endorsements = Some(Vec::new());
    assert_eq!(super::refused_by(&case), crate::Check::Uvm02);
}

/// Governance cannot let the simulated issuer into production.
#[test]
fn production_anchors_refuse_the_simulated_issuer() {
    let platform = Platform::default();
    let policy = crate::PlatformPolicy::simulated();
    let statement = crate::uvm::verify(platform.uvm_endorsements(), &policy).unwrap();
    assert!(crate::uvm::check_governed(&statement, &policy, &TrustAnchors::simulated()).is_ok());
    let error =
        crate::uvm::check_governed(&statement, &policy, &TrustAnchors::production()).unwrap_err();
    assert_eq!(error.check(), crate::Check::Uvm18);
}

/// Hostile sizes end quickly (attestation specification, attack 51).
#[test]
fn hostile_endorsements_end_quickly() {
    let started = std::time::Instant::now();
    let policy = crate::PlatformPolicy::simulated();
    for bytes in [
        vec![0x81; 32 * 1024],
        vec![0xd2; 32 * 1024],
        vec![0; 100 << 20],
        encode(&Value::Array(vec![Value::Null; 30_000])),
    ] {
        assert_eq!(
            crate::uvm::verify(&bytes, &policy).unwrap_err().check(),
            crate::Check::Uvm02
        );
    }
    assert!(started.elapsed().as_millis() < 500);
}
