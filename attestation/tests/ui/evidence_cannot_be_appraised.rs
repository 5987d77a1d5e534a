//! Evidence has to be verified first.

fn release(evidence: &attestation::Evidence, policies: &attestation::Policies<'_>) {
    let _ = evidence.appraise(policies, b"key");
}

fn main() {}
