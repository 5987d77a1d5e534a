//! PEM texts of certificates and keys.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer, X509Certificate};

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

/// DER of the certificates of a text that is one or more certificates and nothing else.
pub(crate) fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = text;
    let mut all = Vec::new();
    while !rest.trim().is_empty() {
        let (block, after) = next_block(rest).ok()?;
        parse_certificate(&block).ok()?;
        all.push(block.der);
        rest = after;
    }
    (!all.is_empty()).then_some(all)
}

/// A certificate and nothing else.
pub(crate) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
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

fn parse_certificate(block: &Block) -> Result<X509Certificate<'_>, PemError> {
    if block.label != "CERTIFICATE" {
        return Err(PemError::Label {
            got: block.label.clone(),
            want: "CERTIFICATE",
        });
    }
    parse(&block.der).ok_or(PemError::Certificate)
}
