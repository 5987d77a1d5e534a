//! `VerifiedEvidence` has private fields and no constructor but `Verifier::verify`.

fn main() {
    let _ = attestation::VerifiedEvidence { simulated: false };
}
