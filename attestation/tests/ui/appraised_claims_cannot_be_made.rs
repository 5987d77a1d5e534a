//! `AppraisedClaims` has private fields and no constructor but `VerifiedEvidence::appraise`.

fn main() {
    let _ = attestation::AppraisedClaims {
        key_pem: Vec::new(),
    };
}
