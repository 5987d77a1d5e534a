//! Wrapping to a key is reachable only through `AppraisedClaims::wrap`.

fn main() {
    let _ = attestation::wrap::wrap(&(), b"secret");
}
