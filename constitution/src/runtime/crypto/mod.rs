//! `ccf.crypto` (CCF interface, section 4.5).
//!
//! The functions themselves are values to values, one file per subject; here they meet the script. Where the libraries under
//! them can do less than CCF's (odd RSA sizes and exponents, salts whose length a verifier is to find out) they throw a
//! `RangeError` that says so.

mod chain;
mod generation;
mod jwk;
mod keys;
#[cfg(test)]
mod known;
mod signing;
#[cfg(test)]
mod tests;
mod wrapping;

use std::rc::Rc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use rquickjs::convert::Coerced;
use rquickjs::{Ctx, Exception, FromJs, Object, Value};

use self::jwk::{Jwk, Kind};
use self::keys::PrivateKey;
use crate::runtime::pem::{self, PemError};
use crate::runtime::session::Session;
use crate::runtime::values::{self, exactly, native};

const DATA: &str = "Argument must be an ArrayBuffer";

/// Why a function of `ccf.crypto` failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum CryptoError {
    #[error("unsupported algorithm for {function}: {got}")]
    Unsupported { function: &'static str, got: String },
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("not a private key of the kind that is needed")]
    PrivateKey,
    #[error("not a public key of the kind that is needed")]
    PublicKey,
    #[error("not a JWK of the kind that is needed")]
    Jwk,
    #[error("the operation failed")]
    Failed,
}

impl From<Unspecified> for CryptoError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

fn unsupported(function: &'static str, got: &str) -> CryptoError {
    CryptoError::Unsupported {
        function,
        got: got.chars().take(100).collect(),
    }
}

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    let crypto = Object::new(ctx.clone())?;
    signatures(ctx, &crypto, session)?;
    generators(ctx, &crypto)?;
    wrappers(ctx, &crypto, session)?;
    conversions(ctx, &crypto)?;
    certificates(ctx, &crypto)?;
    ccf.set("crypto", crypto)
}

fn signatures<'js>(
    ctx: &Ctx<'js>,
    crypto: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    let s = Rc::clone(session);
    crypto.set(
        "digest",
        native(ctx, "digest", 2, move |ctx, args| {
            let [algorithm, data] = exactly(&ctx, args)?;
            let algorithm = values::to_text(&ctx, algorithm)?;
            if algorithm != "SHA-256" {
                return Err(thrown(&ctx, "digest", &unsupported("digest", &algorithm)));
            }
            let data = values::bytes(&ctx, &s, &data, DATA)?;
            values::buffer(&ctx, digest(&SHA256, &data).as_ref())
        })?,
    )?;
    let s = Rc::clone(session);
    crypto.set(
        "sign",
        native(ctx, "sign", 3, move |ctx, args| {
            let [algorithm, key, data] = exactly(&ctx, args)?;
            let key = values::to_c_text(&ctx, key)?;
            let data = values::bytes(&ctx, &s, &data, DATA)?;
            let algorithm = signature_algorithm(&ctx, algorithm)?;
            let signature = signing::sign(&algorithm, &key, &data)
                .map_err(|error| thrown(&ctx, "Failed to sign", &error))?;
            values::buffer(&ctx, &signature)
        })?,
    )?;
    let s = Rc::clone(session);
    crypto.set(
        "verifySignature",
        native(ctx, "verifySignature", 4, move |ctx, args| {
            let [algorithm, key, signature, data] = exactly(&ctx, args)?;
            let key = values::to_c_text(&ctx, key)?;
            let signature = values::bytes(&ctx, &s, &signature, DATA)?;
            let data = values::bytes(&ctx, &s, &data, DATA)?;
            let algorithm = signature_algorithm(&ctx, algorithm)?;
            let valid = signing::verify(&algorithm, &key, &signature, &data)
                .map_err(|error| thrown(&ctx, "Failed to verify signature", &error))?;
            Ok(Value::new_bool(ctx, valid))
        })?,
    )
}

fn generators<'js>(ctx: &Ctx<'js>, crypto: &Object<'js>) -> rquickjs::Result<()> {
    const FAILED: &str = "Failed to generate key";
    crypto.set(
        "generateAesKey",
        native(ctx, "generateAesKey", 1, |ctx, args| {
            let [bits] = exactly(&ctx, args)?;
            let key = generation::aes(integer(&ctx, bits)?)
                .map_err(|error| thrown(&ctx, FAILED, &error))?;
            values::buffer(&ctx, &key)
        })?,
    )?;
    crypto.set(
        "generateRsaKeyPair",
        native(ctx, "generateRsaKeyPair", 1, |ctx, args| {
            let (bits, exponent) = one_or_two(&ctx, args)?;
            let exponent = exponent.map(|e| integer(&ctx, e)).transpose()?;
            let key = generation::rsa(integer(&ctx, bits)?, exponent);
            pair(&ctx, key)
        })?,
    )?;
    for (name, generate) in [
        (
            "generateEcdsaKeyPair",
            generation::ecdsa as fn(&str) -> Result<PrivateKey, CryptoError>,
        ),
        ("generateEddsaKeyPair", generation::eddsa),
    ] {
        crypto.set(
            name,
            native(ctx, name, 1, move |ctx, args| {
                let [curve] = exactly(&ctx, args)?;
                let key = generate(&values::to_text(&ctx, curve)?);
                pair(&ctx, key)
            })?,
        )?;
    }
    Ok(())
}

/// `{privateKey, publicKey}` in PEM.
fn pair<'js>(ctx: &Ctx<'js>, key: Result<PrivateKey, CryptoError>) -> rquickjs::Result<Value<'js>> {
    let texts = key.and_then(|key| Ok((key.to_pem()?, key.public()?.to_pem())));
    let (private, public) =
        texts.map_err(|error| thrown(ctx, "Failed to generate key pair", &error))?;
    let object = Object::new(ctx.clone())?;
    object.set("privateKey", private)?;
    object.set("publicKey", public)?;
    Ok(object.into_value())
}

fn wrappers<'js>(
    ctx: &Ctx<'js>,
    crypto: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    type Operation = fn(&[u8], &[u8], &wrapping::Algorithm) -> Result<Vec<u8>, CryptoError>;
    for (name, failed, operation) in [
        ("wrapKey", "Failed to wrap key", wrapping::wrap as Operation),
        ("unwrapKey", "Failed to unwrap key", wrapping::unwrap),
    ] {
        let s = Rc::clone(session);
        crypto.set(
            name,
            native(ctx, name, 3, move |ctx, args| {
                let [key, by, algorithm] = exactly(&ctx, args)?;
                let key = values::bytes(&ctx, &s, &key, DATA)?;
                let by = values::bytes(&ctx, &s, &by, DATA)?;
                let algorithm = wrapping_algorithm(&ctx, &s, algorithm)?;
                let result = operation(&key, &by, &algorithm)
                    .map_err(|error| thrown(&ctx, failed, &error))?;
                values::buffer(&ctx, &result)
            })?,
        )?;
    }
    Ok(())
}

fn conversions<'js>(ctx: &Ctx<'js>, crypto: &Object<'js>) -> rquickjs::Result<()> {
    type Read = fn(Kind, &str) -> Result<Jwk, CryptoError>;
    type Write = fn(&Jwk, Kind) -> Result<String, CryptoError>;
    let (public, private): (Read, Read) = (Jwk::of_public, Jwk::of_private);
    for (name, kind, read) in [
        ("pubPemToJwk", Kind::Ec, public),
        ("pemToJwk", Kind::Ec, private),
        ("pubRsaPemToJwk", Kind::Rsa, public),
        ("rsaPemToJwk", Kind::Rsa, private),
        ("pubEddsaPemToJwk", Kind::Okp, public),
        ("eddsaPemToJwk", Kind::Okp, private),
    ] {
        crypto.set(
            name,
            native(ctx, name, 1, move |ctx, args| {
                let (key, kid) = one_or_two(&ctx, args)?;
                let key = values::to_c_text(&ctx, key)?;
                let mut jwk = read(kind, &key)
                    .map_err(|error| thrown(&ctx, "Failed to convert pem to jwk", &error))?;
                jwk.kid = kid.map(|kid| values::to_text(&ctx, kid)).transpose()?;
                let json = serde_json::to_vec(&jwk)
                    .map_err(|e| Exception::throw_internal(&ctx, &e.to_string()))?;
                ctx.json_parse(json)
            })?,
        )?;
    }
    let (public, private): (Write, Write) = (Jwk::public_pem, Jwk::private_pem);
    for (name, kind, write) in [
        ("pubJwkToPem", Kind::Ec, public),
        ("jwkToPem", Kind::Ec, private),
        ("pubRsaJwkToPem", Kind::Rsa, public),
        ("rsaJwkToPem", Kind::Rsa, private),
        ("pubEddsaJwkToPem", Kind::Okp, public),
        ("eddsaJwkToPem", Kind::Okp, private),
    ] {
        crypto.set(
            name,
            native(ctx, name, 1, move |ctx, args| {
                const FAILED: &str = "Failed to convert jwk to pem";
                let [jwk] = exactly(&ctx, args)?;
                let json = values::to_json(&ctx, jwk)?.unwrap_or_default();
                let jwk: Jwk = serde_json::from_str(&json)
                    .map_err(|_| thrown(&ctx, FAILED, &CryptoError::Jwk))?;
                let pem = write(&jwk, kind).map_err(|error| thrown(&ctx, FAILED, &error))?;
                values::text(&ctx, &pem)
            })?,
        )?;
    }
    Ok(())
}

fn certificates<'js>(ctx: &Ctx<'js>, crypto: &Object<'js>) -> rquickjs::Result<()> {
    crypto.set(
        "isValidX509CertBundle",
        native(ctx, "isValidX509CertBundle", 1, |ctx, args| {
            let [bundle] = exactly(&ctx, args)?;
            let valid = bundle.is_string()
                && pem::certificates(&values::to_c_text(&ctx, bundle)?).is_some();
            Ok(Value::new_bool(ctx, valid))
        })?,
    )?;
    crypto.set(
        "isValidX509CertChain",
        native(ctx, "isValidX509CertChain", 2, |ctx, args| {
            let [chain, trusted] = exactly(&ctx, args)?;
            let chain = values::to_c_text(&ctx, chain)?;
            let trusted = values::to_c_text(&ctx, trusted)?;
            Ok(Value::new_bool(ctx, chain::is_valid(&chain, &trusted)))
        })?,
    )
}

/// `{name, hash?, saltLength?}`.
fn signature_algorithm<'js>(
    ctx: &Ctx<'js>,
    algorithm: Value<'js>,
) -> rquickjs::Result<signing::Algorithm> {
    let object = object(ctx, algorithm)?;
    let text = |name: &str| values::to_text(ctx, object.get(name)?);
    let salt: Value<'js> = object.get("saltLength")?;
    Ok(signing::Algorithm {
        name: text("name")?,
        hash: text("hash")?,
        salt_length: integer(ctx, salt)?,
    })
}

/// `{name, label?, aesKeySize?}`.
fn wrapping_algorithm<'js>(
    ctx: &Ctx<'js>,
    session: &Session,
    algorithm: Value<'js>,
) -> rquickjs::Result<wrapping::Algorithm> {
    let object = object(ctx, algorithm)?;
    let label: Value<'js> = object.get("label")?;
    let label = if label.is_undefined() {
        None
    } else {
        Some(values::bytes(ctx, session, &label, DATA)?)
    };
    let size: Value<'js> = object.get("aesKeySize")?;
    Ok(wrapping::Algorithm {
        name: values::to_text(ctx, object.get("name")?)?,
        label: label.filter(|label| !label.is_empty()),
        aes_key_size: integer(ctx, size)?,
    })
}

fn object<'js>(ctx: &Ctx<'js>, algorithm: Value<'js>) -> rquickjs::Result<Object<'js>> {
    algorithm
        .into_object()
        .ok_or_else(|| Exception::throw_type(ctx, "algorithm must be an object"))
}

/// As JavaScript makes one of any value; 0 of `undefined`.
fn integer<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<i64> {
    let number = Coerced::<f64>::from_js(ctx, value)?.0;
    // Saturates, and makes 0 of what is no number.
    Ok(number as i64)
}

fn one_or_two<'js>(
    ctx: &Ctx<'js>,
    args: Vec<Value<'js>>,
) -> rquickjs::Result<(Value<'js>, Option<Value<'js>>)> {
    let count = args.len();
    let mut args = args.into_iter();
    match (args.next(), args.next(), args.next()) {
        (Some(first), second, None) => Ok((first, second)),
        _ => Err(Exception::throw_type(
            ctx,
            &format!("Passed {count} arguments, but expected 1 or 2"),
        )),
    }
}

/// `RangeError` for what is not supported, else CCF's `InternalError` with what failed.
fn thrown(ctx: &Ctx<'_>, failed: &str, error: &CryptoError) -> rquickjs::Error {
    match error {
        CryptoError::Unsupported { .. } => Exception::throw_range(ctx, &error.to_string()),
        _ => Exception::throw_internal(ctx, &format!("{failed}: {error}")),
    }
}
