//! X.509 certificates as far as the two path checks need them. Reading only: nothing here decides trust.

use x509_parser::{
    asn1_rs::{Any, FromDer},
    certificate::X509Certificate,
    extensions::ParsedExtension,
    public_key::PublicKey,
};

use crate::{
    bytes::Sha256Digest,
    crypto::{self, Curve, Hash},
    time::UnixTime,
};

/// A certificate, with the byte strings that signatures and comparisons need kept exactly as received.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// The whole certificate.
    pub(crate) der: Vec<u8>,
    /// The signed part.
    pub(crate) tbs: Vec<u8>,
    /// AlgorithmIdentifier inside the signed part.
    pub(crate) inner_algorithm: Vec<u8>,
    /// AlgorithmIdentifier outside.
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    /// The only common name of the subject, if there is exactly one.
    pub(crate) common_name: Option<String>,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// SubjectPublicKeyInfo in DER.
    pub(crate) spki: Vec<u8>,
    pub(crate) key: Key,
    /// In the order of the certificate; no OID occurs twice.
    pub(crate) extensions: Vec<Extension>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_cert_sign: bool,
    /// Extended key usages as dotted OIDs.
    pub(crate) usages: Vec<String>,
}

/// The subject's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Rsa { bits: usize, exponent: u64 },
    Ec { curve: Curve, point: Vec<u8> },
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_len: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Dotted OID.
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

impl Certificate {
    /// Reads one certificate. Nothing may follow it.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, &'static str> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| "not a certificate")?;
        if !rest.is_empty() {
            return Err("bytes after the certificate");
        }
        let (tbs, inner_algorithm, outer_algorithm) = slices(der).ok_or("not a certificate")?;
        if parsed.signature_value.unused_bits != 0 {
            return Err("a signature that is not whole bytes");
        }
        let mut extensions: Vec<Extension> = Vec::with_capacity(parsed.extensions().len());
        let mut basic_constraints = None;
        let mut key_cert_sign = false;
        let mut usages = Vec::new();
        for extension in parsed.extensions() {
            let oid = extension.oid.to_id_string();
            if extensions.iter().any(|e| e.oid == oid) {
                return Err("an extension that occurs twice");
            }
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(b) => {
                    basic_constraints = Some(BasicConstraints {
                        ca: b.ca,
                        path_len: b.path_len_constraint,
                    });
                }
                ParsedExtension::KeyUsage(u) => key_cert_sign = u.key_cert_sign(),
                ParsedExtension::ExtendedKeyUsage(_) => {
                    usages = object_identifiers(extension.value)
                        .ok_or("unreadable extended key usages")?;
                }
                ParsedExtension::ParseError { .. } => return Err("an unreadable extension"),
                _ => {}
            }
            extensions.push(Extension {
                oid,
                critical: extension.critical,
                value: extension.value.to_vec(),
            });
        }
        let mut names = parsed.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().map(str::to_owned),
            _ => None,
        };
        Ok(Self {
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            inner_algorithm: inner_algorithm.to_vec(),
            outer_algorithm: outer_algorithm.to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            common_name,
            not_before: UnixTime::from_secs(parsed.validity().not_before.timestamp()),
            not_after: UnixTime::from_secs(parsed.validity().not_after.timestamp()),
            spki: parsed.public_key().raw.to_vec(),
            key: key(&parsed),
            extensions,
            basic_constraints,
            key_cert_sign,
            usages,
        })
    }

    /// The value of an extension, by dotted OID.
    pub(crate) fn extension(&self, oid: &str) -> Option<&[u8]> {
        self.extensions
            .iter()
            .find(|e| e.oid == oid)
            .map(|e| e.value.as_slice())
    }

    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|b| b.ca)
    }

    pub(crate) fn spki_digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.spki)
    }

    /// Whether the issuer's key signed this certificate: RSA PKCS #1 v1.5 or ECDSA; the algorithm inside and outside must be the
    /// same bytes.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        if self.inner_algorithm != self.outer_algorithm {
            return false;
        }
        let (tbs, signature) = (&self.tbs, &self.signature);
        match (&issuer.key, self.inner_algorithm.as_slice()) {
            (Key::Rsa { .. }, algorithm) => {
                hash_of(algorithm, PKCS1_HEAD, &[5, 0], [0x0b, 0x0c, 0x0d])
                    .is_some_and(|hash| crypto::rsa_pkcs1(hash, &issuer.spki, tbs, signature))
            }
            (Key::Ec { curve, point }, algorithm) => {
                hash_of(algorithm, ECDSA_HEAD, &[], [0x02, 0x03, 0x04])
                    .is_some_and(|hash| crypto::ecdsa_der(*curve, hash, point, tbs, signature))
            }
            (Key::Other, _) => false,
        }
    }
}

/// `SEQUENCE { OID 1.2.840.113549.1.1.x, NULL }` without its last OID byte and the NULL.
const PKCS1_HEAD: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01";
/// `SEQUENCE { OID 1.2.840.10045.4.3.x }` without its last byte.
const ECDSA_HEAD: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03";

/// The hash of an AlgorithmIdentifier that is `head ‖ arc ‖ tail`; `arcs` are those of SHA-256, SHA-384 and SHA-512.
fn hash_of(algorithm: &[u8], head: &[u8], tail: &[u8], arcs: [u8; 3]) -> Option<Hash> {
    let rest = algorithm.strip_prefix(head)?.strip_suffix(tail)?;
    let [arc] = rest else {
        return None;
    };
    arcs.iter()
        .zip([Hash::Sha256, Hash::Sha384, Hash::Sha512])
        .find(|(a, _)| *a == arc)
        .map(|(_, hash)| hash)
}

/// The signed part and both AlgorithmIdentifiers, header included.
///
/// Stricter than the parser: the whole certificate must be DER elements that fill each other exactly, since the parser skips
/// what it does not recognise at the end of the signed part.
fn slices(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if !well_formed(der, 16) {
        return None;
    }
    let (_, content, _) = element(der)?;
    let (tbs, tbs_content, after_tbs) = element(content)?;
    let (outer, _, after_outer) = element(after_tbs)?;
    let (_, _, after_signature) = element(after_outer)?;
    let (version, _, after_version) = element(tbs_content)?;
    let (_, _, after_serial) = element(after_version)?;
    let (inner, _, mut rest) = element(after_serial)?;
    // Issuer, validity, subject and key; of the optional rest only extensions.
    for _ in 0..4 {
        rest = element(rest)?.2;
    }
    let (extensions, _, after_extensions) = element(rest)?;
    let shape = version.first() == Some(&0xa0) && extensions.first() == Some(&0xa3);
    (shape && after_extensions.is_empty() && after_signature.is_empty())
        .then_some((tbs, inner, outer))
}

/// True if the bytes are whole DER elements, with lengths in their shortest form, at every level.
fn well_formed(mut input: &[u8], depth: usize) -> bool {
    while !input.is_empty() {
        let Some((whole, content, rest)) = element(input) else {
            return false;
        };
        let header = match content.len() {
            0..=0x7f => 2,
            0x80..=0xff => 3,
            0x100..=0xffff => 4,
            _ => 5,
        };
        let tag = whole.first().copied().unwrap_or_default();
        let constructed = tag & 0x20 != 0;
        if whole.len() != header + content.len()
            || constructed && (depth == 0 || !well_formed(content, depth - 1))
        {
            return false;
        }
        input = rest;
    }
    true
}

/// The first DER element as (whole, content, rest).
fn element(input: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (rest, any) = Any::from_der(input).ok()?;
    let whole = input.get(..input.len() - rest.len())?;
    let content = whole.get(whole.len().checked_sub(any.data.len())?..)?;
    Some((whole, content, rest))
}

/// A SEQUENCE OF OBJECT IDENTIFIER, dotted.
fn object_identifiers(value: &[u8]) -> Option<Vec<String>> {
    let (_, mut content, rest) = element(value)?;
    if !rest.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    while !content.is_empty() {
        let (rest, oid) = x509_parser::asn1_rs::Oid::from_der(content).ok()?;
        out.push(oid.to_id_string());
        content = rest;
    }
    Some(out)
}

fn key(parsed: &X509Certificate<'_>) -> Key {
    let info = parsed.public_key();
    if info.subject_public_key.unused_bits != 0 {
        return Key::Other;
    }
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let Ok(exponent) = rsa.try_exponent() else {
                return Key::Other;
            };
            Key::Rsa {
                bits: modulus_bits(rsa.modulus),
                exponent,
            }
        }
        Ok(PublicKey::EC(_)) => {
            let curve = info
                .algorithm
                .parameters
                .as_ref()
                .and_then(|p| p.as_oid().ok())
                .and_then(|oid| Curve::from_oid(&oid.to_id_string()));
            match curve {
                Some(curve) => Key::Ec {
                    curve,
                    point: info.subject_public_key.data.to_vec(),
                },
                None => Key::Other,
            }
        }
        _ => Key::Other,
    }
}

/// Significant bits of a big-endian number.
pub(crate) fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().skip_while(|b| **b == 0).count();
    let first = modulus.iter().find(|b| **b != 0).copied().unwrap_or(0);
    (significant * 8).saturating_sub(first.leading_zeros() as usize)
}
