//! An appraisal that binds no key releases nothing.

fn release(claims: &attestation::UnboundClaims) {
    let _ = claims.wrap(b"secret");
}

fn main() {}
