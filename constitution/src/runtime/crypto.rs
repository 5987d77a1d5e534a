//! `ccf.crypto` and `snp_attestation` (CCF interface, section 4.5).

use std::rc::Rc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rquickjs::{Ctx, Exception, Object, Value};

use crate::runtime::pem;
use crate::runtime::session::Session;
use crate::runtime::values::{self, exactly, native};

const DATA: &str = "Argument must be an ArrayBuffer";

/// Functions CCF has and this host has not.
const ABSENT: [&str; 15] = [
    "sign",
    "generateAesKey",
    "generateRsaKeyPair",
    "generateEcdsaKeyPair",
    "generateEddsaKeyPair",
    "wrapKey",
    "unwrapKey",
    "isValidX509CertChain",
    "pubPemToJwk",
    "pemToJwk",
    "rsaPemToJwk",
    "pubJwkToPem",
    "jwkToPem",
    "pubRsaJwkToPem",
    "rsaJwkToPem",
];

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    let crypto = Object::new(ctx.clone())?;
    let s = Rc::clone(session);
    crypto.set(
        "digest",
        native(ctx, "digest", 2, move |ctx, args| {
            let [algorithm, data] = exactly(&ctx, args)?;
            let algorithm = values::to_text(&ctx, algorithm)?;
            if algorithm != "SHA-256" {
                return Err(unsupported(&ctx, "digest", &algorithm));
            }
            let data = values::bytes(&ctx, &s, &data, DATA)?;
            values::buffer(&ctx, digest(&SHA256, &data).as_ref())
        })?,
    )?;
    crypto.set(
        "isValidX509CertBundle",
        native(ctx, "isValidX509CertBundle", 1, |ctx, args| {
            let [bundle] = exactly(&ctx, args)?;
            let valid =
                bundle.is_string() && pem::is_certificate_bundle(&values::to_c_text(&ctx, bundle)?);
            Ok(Value::new_bool(ctx, valid))
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
            let key =
                pem::public_key(&key).map_err(|e| Exception::throw_type(&ctx, &e.to_string()))?;
            let algorithms = verification(&ctx, algorithm)?;
            let valid = algorithms.iter().any(|algorithm| {
                UnparsedPublicKey::new(*algorithm, &key)
                    .verify(&data, &signature)
                    .is_ok()
            });
            Ok(Value::new_bool(ctx, valid))
        })?,
    )?;
    crypto.set(
        "pubRsaPemToJwk",
        native(ctx, "pubRsaPemToJwk", 1, |ctx, args| {
            let [key] = exactly(&ctx, args)?;
            let key = values::to_c_text(&ctx, key)?;
            let key = pem::rsa_public_key(&key)
                .map_err(|e| Exception::throw_type(&ctx, &e.to_string()))?;
            let jwk = Object::new(ctx.clone())?;
            jwk.set("kty", "RSA")?;
            jwk.set("n", key.modulus)?;
            jwk.set("e", key.exponent)?;
            Ok(jwk.into_value())
        })?,
    )?;
    for name in ABSENT {
        crypto.set(name, absent(ctx, name)?)?;
    }
    ccf.set("crypto", crypto)?;

    let snp = Object::new(ctx.clone())?;
    let name = "verifySnpAttestation";
    snp.set(name, absent(ctx, name)?)?;
    ctx.globals().set("snp_attestation", snp)
}

/// A function that only says it does not exist here.
fn absent<'js>(ctx: &Ctx<'js>, name: &'static str) -> rquickjs::Result<rquickjs::Function<'js>> {
    native(ctx, name, 0, move |ctx, _| {
        Err(Exception::throw_internal(
            &ctx,
            &format!("{name} is not available on this host"),
        ))
    })
}

/// What an algorithm object names; more than one for curves that share a name.
fn verification<'js>(
    ctx: &Ctx<'js>,
    algorithm: Value<'js>,
) -> rquickjs::Result<Vec<&'static dyn VerificationAlgorithm>> {
    let Some(algorithm) = algorithm.into_object() else {
        return Err(Exception::throw_type(ctx, "algorithm must be an object"));
    };
    let name: Value<'js> = algorithm.get("name")?;
    let name = values::to_text(ctx, name)?;
    if name == "EdDSA" {
        return Ok(vec![&signature::ED25519]);
    }
    let hash: Value<'js> = algorithm.get("hash")?;
    let hash = values::to_text(ctx, hash)?;
    if hash != "SHA-256" {
        return Err(unsupported(ctx, "verifySignature", &hash));
    }
    match name.as_str() {
        "RSA-PSS" => Ok(vec![&signature::RSA_PSS_2048_8192_SHA256]),
        "ECDSA" => Ok(vec![&signature::ECDSA_P256_SHA256_FIXED]),
        _ => Err(unsupported(ctx, "verifySignature", &name)),
    }
}

fn unsupported(ctx: &Ctx<'_>, function: &str, algorithm: &str) -> rquickjs::Error {
    Exception::throw_range(
        ctx,
        &format!("unsupported algorithm for {function}: {algorithm}"),
    )
}
