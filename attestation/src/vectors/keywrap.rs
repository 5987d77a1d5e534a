//! Wrapped secrets and payload signatures.

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded};

use super::*;
use crate::{ClientKey, keys::RsaKey, wrap};

#[test]
fn keywrap_vectors_give_the_listed_results() {
    let Some(folder) = folder("keywrap_vectors_give_the_listed_results") else {
        return;
    };
    let folder = folder.join("keywrap");
    let list = read_json(&folder.join("vectors.json"));
    let entries = list
        .as_array()
        .or_else(|| list["vectors"].as_array())
        .unwrap();
    let private = read(&folder.join("priv_key.pem"));
    let public = read(&folder.join("pub_key.pem"));
    let mut tally = Tally::default();
    for entry in entries {
        let want = text(entry, "expected");
        let what = format!(
            "{} {}",
            text(entry, "kind"),
            entry["note"].as_str().unwrap_or("")
        );
        match text(entry, "kind") {
            "rsa-oaep-aes-kwp" => {
                let result = crate::unwrap(&private, &base64(text(entry, "wrapped_b64")));
                if let (Ok(got), Some(plaintext)) = (&result, entry["plaintext_b64"].as_str()) {
                    assert_eq!(**got, base64(plaintext));
                    // What we wrap has the listed lengths and comes back.
                    let ours = wrap::wrap(&RsaKey::from_pem(&public).unwrap(), got).unwrap();
                    assert_eq!(ours.len(), base64(text(entry, "wrapped_b64")).len());
                    assert_eq!(crate::unwrap(&private, &ours).unwrap(), *got);
                }
                tally.expect(
                    &what,
                    if result.is_ok() { "ok" } else { "UnwrapFailed" },
                    want,
                );
            }
            "rsa-pss" => {
                let key = RsaKey::from_pem(&read(&folder.join(text(entry, "public_key")))).unwrap();
                let holds = key.verifies(
                    &base64(text(entry, "message_b64")),
                    &base64(text(entry, "signature_b64")),
                );
                tally.expect(&what, if holds { "ok" } else { "SignatureInvalid" }, want);
            }
            "aes-kwp" => {
                // The library has no 192-bit key wrap, and the service uses 256 bits only.
                let kek = hex::decode(text(entry, "kek")).unwrap();
                let cipher = match kek.len() {
                    16 => &AES_128,
                    32 => &AES_256,
                    _ => continue,
                };
                let wrapped = hex::decode(text(entry, "wrapped_hex")).unwrap();
                let mut out = vec![0; wrapped.len()];
                let plain = AesKek::new(cipher, &kek)
                    .unwrap()
                    .unwrap_with_padding(&wrapped, &mut out);
                let got = if plain.is_ok_and(|p| hex::encode(p) == text(entry, "plaintext_hex")) {
                    "ok"
                } else {
                    "UnwrapFailed"
                };
                tally.expect(&what, got, want);
            }
            other => panic!("unknown kind {other}"),
        }
    }
    let client = ClientKey::from_pem(&private).unwrap();
    assert_eq!(
        client.public_key_pem().as_bytes(),
        public.trim_ascii_end(),
        "PEM text as existing clients write it"
    );
    tally.finish("keywrap", 15);
}
