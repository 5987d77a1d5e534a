//! There are two sets of trust anchors and no way to make a third.

fn main() {
    let _ = attestation::TrustAnchors::vectors(Default::default());
}
