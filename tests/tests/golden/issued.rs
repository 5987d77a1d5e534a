//! What the service makes for clean rooms, tokens and signatures, as transcripts show it.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Header and claims of a token, and whether one of the published keys verifies it.
pub fn token(text: &str, keys: &Value) -> Option<Value> {
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let read = |text: &str| serde_json::from_slice::<Value>(&decode(text)?).ok();
    let signature = decode(signature)?;
    let verifies = |key: &Value| {
        let number = |name: &str| decode(key[name].as_str()?);
        let (n, e) = number("n").zip(number("e"))?;
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PSS_2048_8192_SHA256, signed.as_bytes(), &signature)
            .ok()
    };
    let mut published = keys["keys"].as_array().into_iter().flatten();
    Some(json!({
        "header": read(header)?,
        "claims": read(claims)?,
        "signatureValid": published.any(|key| verifies(key).is_some()),
    }))
}

/// Whether the published key verifies a signature over a payload. The recording took the payload for base64 of the usual alphabet.
pub fn signature(text: &str, payload: &Value, info: &Value) -> Option<Value> {
    let signature = STANDARD.decode(text).ok()?;
    let pem: String = info["publicKeyPem"]
        .as_str()?
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let key = STANDARD.decode(pem).ok()?;
    let payload = payload.as_str().and_then(|text| STANDARD.decode(text).ok());
    let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key);
    let valid = payload.is_some_and(|payload| key.verify(&payload, &signature).is_ok());
    Some(json!({ "signatureValid": valid }))
}
