//! PEM texts of certificates and keys.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What is wrong with a PEM text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemError {
    #[error("no PEM block")]
    Missing,
    #[error("text before the PEM block")]
    Before,
    #[error("PEM block of {got} instead of {want}")]
    Label { got: String, want: &'static str },
    #[error("PEM block does not end")]
    Unfinished,
    #[error("PEM block is not base64")]
    Base64,
    #[error("not an X.509 certificate")]
    Certificate,
    #[error("not an RSA public key")]
    RsaKey,
}

/// One block: its label and contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Vec<u8>,
}

/// The first block of `text`, and the text after it.
fn next_block(text: &str) -> Result<(Block, &str), PemError> {
    let text = text.trim_start();
    let after = text.strip_prefix("-----BEGIN ").ok_or_else(|| {
        if text.contains("-----BEGIN ") {
            PemError::Before
        } else {
            PemError::Missing
        }
    })?;
    let (label, after) = after.split_once("-----").ok_or(PemError::Unfinished)?;
    let end = format!("-----END {label}-----");
    let (body, rest) = after.split_once(&end).ok_or(PemError::Unfinished)?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| PemError::Base64)?;
    let block = Block {
        label: label.to_owned(),
        der,
    };
    Ok((block, rest))
}

/// The first block of `text`; what follows it is ignored, as CCF does.
pub(crate) fn block(text: &str) -> Result<Block, PemError> {
    next_block(text).map(|(block, _)| block)
}

/// Lowercase hexadecimal SHA-256 of the DER of the first certificate.
pub(crate) fn certificate_id(text: &str) -> Result<String, PemError> {
    let block = block(text)?;
    parse_certificate(&block)?;
    Ok(hex::encode(digest(&SHA256, &block.der)))
}

/// Whether `text` is one or more certificates and nothing else.
pub(crate) fn is_certificate_bundle(text: &str) -> bool {
    let mut rest = text;
    let mut count = 0;
    while !rest.trim().is_empty() {
        match next_block(rest) {
            Ok((block, after)) if parse_certificate(&block).is_ok() => {
                rest = after;
                count += 1;
            }
            _ => return false,
        }
    }
    count > 0
}

/// Subject public key info (DER) of a PEM public key or certificate.
pub(crate) fn public_key(text: &str) -> Result<Vec<u8>, PemError> {
    let block = block(text)?;
    match block.label.as_str() {
        "PUBLIC KEY" => Ok(block.der),
        "CERTIFICATE" => Ok(parse_certificate(&block)?.public_key().raw.to_vec()),
        _ => Err(PemError::Label {
            got: block.label,
            want: "PUBLIC KEY or CERTIFICATE",
        }),
    }
}

/// An RSA public key: unsigned big-endian numbers as JWK has them, base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RsaPublicKey {
    pub(crate) modulus: String,
    pub(crate) exponent: String,
}

/// The numbers of a PEM RSA public key.
pub(crate) fn rsa_public_key(text: &str) -> Result<RsaPublicKey, PemError> {
    let der = public_key(text)?;
    let Ok(([], info)) = SubjectPublicKeyInfo::from_der(&der) else {
        return Err(PemError::RsaKey);
    };
    let Ok(PublicKey::RSA(key)) = info.parsed() else {
        return Err(PemError::RsaKey);
    };
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        URL_SAFE_NO_PAD.encode(bytes.get(zeros..).unwrap_or_default())
    };
    Ok(RsaPublicKey {
        modulus: number(key.modulus),
        exponent: number(key.exponent),
    })
}

fn parse_certificate(block: &Block) -> Result<X509Certificate<'_>, PemError> {
    if block.label != "CERTIFICATE" {
        return Err(PemError::Label {
            got: block.label.clone(),
            want: "CERTIFICATE",
        });
    }
    match X509Certificate::from_der(&block.der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(PemError::Certificate),
    }
}
