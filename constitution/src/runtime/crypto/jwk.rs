//! Keys between PEM and JWK (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeyPairComponents, PublicEncryptingKey, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::{Any, FromDer, Integer, OctetString, Sequence};

use super::CryptoError;
use super::keys::{Curve, PrivateKey, PublicKey, scalar, seed};

/// The kinds of keys that have conversions of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ec,
    Rsa,
    Okp,
}

/// Members this host reads and writes; others are ignored. No `Debug`: it may hold a private key.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Jwk {
    pub(super) kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dq: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qi: Option<String>,
}

impl Jwk {
    /// Of a PEM public key or certificate.
    pub(super) fn of_public(kind: Kind, pem: &str) -> Result<Self, CryptoError> {
        Self::public(kind, &PublicKey::from_pem(pem)?)
    }

    /// Of a PEM private key.
    pub(super) fn of_private(kind: Kind, pem: &str) -> Result<Self, CryptoError> {
        let key = PrivateKey::from_pem(pem)?;
        let mut jwk = Self::public(kind, &key.public()?)?;
        match &key {
            PrivateKey::Ec(_, pair) => jwk.d = Some(encode(scalar(pair)?.as_ref())),
            PrivateKey::Rsa(pair) => jwk.rsa_numbers(pair)?,
            PrivateKey::Ed25519(_) | PrivateKey::X25519(_) => {
                jwk.d = seed(&key)?.map(|seed| encode(seed.as_ref()));
            }
        }
        Ok(jwk)
    }

    /// PEM of the public key.
    pub(super) fn public_pem(&self, kind: Kind) -> Result<String, CryptoError> {
        self.is(kind)?;
        let key = match kind {
            Kind::Ec => {
                let (curve, point) = self.point()?;
                let key = PublicKey::Ec(curve, point);
                // Refuses what is no point of the curve.
                ParsedPublicKey::new(curve.verification(), key.to_spki())
                    .map_err(|_| CryptoError::Jwk)?;
                key
            }
            Kind::Rsa => {
                let components = PublicKeyComponents {
                    n: number(self.n.as_ref())?,
                    e: number(self.e.as_ref())?,
                };
                let key: PublicEncryptingKey =
                    components.try_into().map_err(|_| CryptoError::Jwk)?;
                let der: PublicKeyX509Der<'_> = key.as_der()?;
                PublicKey::Rsa(der.as_ref().to_vec())
            }
            Kind::Okp => {
                let x = bytes(self.x.as_ref())?;
                match self.crv.as_deref() {
                    Some("Ed25519") if x.len() == 32 => PublicKey::Ed25519(x),
                    Some("X25519") if x.len() == 32 => PublicKey::X25519(x),
                    _ => return Err(CryptoError::Jwk),
                }
            }
        };
        Ok(key.to_pem())
    }

    /// PEM of the private key. Public and private half have to belong together.
    pub(super) fn private_pem(&self, kind: Kind) -> Result<String, CryptoError> {
        self.is(kind)?;
        let wrong = |_| CryptoError::Jwk;
        let d = bytes(self.d.as_ref())?;
        let key = match kind {
            Kind::Ec => {
                let (curve, point) = self.point()?;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), &d, &point);
                PrivateKey::Ec(curve, pair.map_err(wrong)?)
            }
            Kind::Rsa => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: number(self.n.as_ref())?,
                        e: number(self.e.as_ref())?,
                    },
                    d,
                    p: number(self.p.as_ref())?,
                    q: number(self.q.as_ref())?,
                    dP: number(self.dp.as_ref())?,
                    dQ: number(self.dq.as_ref())?,
                    qInv: number(self.qi.as_ref())?,
                };
                PrivateKey::Rsa(rsa::KeyPair::from_components(&components).map_err(wrong)?)
            }
            Kind::Okp => {
                let x = bytes(self.x.as_ref())?;
                match self.crv.as_deref() {
                    Some("Ed25519") => PrivateKey::Ed25519(
                        Ed25519KeyPair::from_seed_and_public_key(&d, &x).map_err(wrong)?,
                    ),
                    Some("X25519") => {
                        let key =
                            agreement::PrivateKey::from_private_key(&X25519, &d).map_err(wrong)?;
                        if key.compute_public_key()?.as_ref() != x {
                            return Err(CryptoError::Jwk);
                        }
                        PrivateKey::X25519(key)
                    }
                    _ => return Err(CryptoError::Jwk),
                }
            }
        };
        key.to_pem()
    }

    fn public(kind: Kind, key: &PublicKey) -> Result<Self, CryptoError> {
        let okp = |curve: &str, x: &[u8]| Self {
            kty: Kind::Okp.name().to_owned(),
            crv: Some(curve.to_owned()),
            x: Some(encode(x)),
            ..Self::default()
        };
        match (kind, key) {
            (Kind::Ec, PublicKey::Ec(curve, point)) => {
                let (x, y) = point
                    .get(1..)
                    .and_then(|both| both.split_at_checked(curve.size()))
                    .ok_or(CryptoError::PublicKey)?;
                Ok(Self {
                    kty: kind.name().to_owned(),
                    crv: Some(curve.name().to_owned()),
                    x: Some(encode(x)),
                    y: Some(encode(y)),
                    ..Self::default()
                })
            }
            (Kind::Rsa, PublicKey::Rsa(der)) => {
                let key = rsa::PublicKey::from_der(der).map_err(|_| CryptoError::PublicKey)?;
                // RSAPublicKey (RFC 8017, appendix A.1.1)
                let [n, e] = numbers(key.as_ref())
                    .and_then(|numbers| numbers.try_into().ok())
                    .ok_or(CryptoError::PublicKey)?;
                Ok(Self {
                    kty: kind.name().to_owned(),
                    n: Some(n),
                    e: Some(e),
                    ..Self::default()
                })
            }
            (Kind::Okp, PublicKey::Ed25519(x)) => Ok(okp("Ed25519", x)),
            (Kind::Okp, PublicKey::X25519(x)) => Ok(okp("X25519", x)),
            _ => Err(CryptoError::PublicKey),
        }
    }

    /// The private numbers of PKCS #1 (RFC 8017, appendix A.1.2), which stand inside PKCS #8.
    fn rsa_numbers(&mut self, pair: &rsa::KeyPair) -> Result<(), CryptoError> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let wrong = |_| CryptoError::PrivateKey;
        let (_, outer) = Sequence::from_der(der.as_ref()).map_err(wrong)?;
        let (rest, _version) = Integer::from_der(outer.content.as_ref()).map_err(wrong)?;
        let (rest, _algorithm) = Any::from_der(rest).map_err(wrong)?;
        let (_, inner) = OctetString::from_der(rest).map_err(wrong)?;
        // version, n, e, d, p, q, dp, dq, qi
        let [_, _, _, d, p, q, dp, dq, qi] = numbers(inner.as_cow())
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or(CryptoError::PrivateKey)?;
        (self.d, self.p, self.q) = (Some(d), Some(p), Some(q));
        (self.dp, self.dq, self.qi) = (Some(dp), Some(dq), Some(qi));
        Ok(())
    }

    fn is(&self, kind: Kind) -> Result<(), CryptoError> {
        if self.kty == kind.name() {
            return Ok(());
        }
        Err(CryptoError::Jwk)
    }

    /// The uncompressed point of `x` and `y`.
    fn point(&self) -> Result<(Curve, Vec<u8>), CryptoError> {
        let curve = Curve::ALL
            .into_iter()
            .find(|curve| self.crv.as_deref() == Some(curve.name()))
            .ok_or(CryptoError::Jwk)?;
        let (x, y) = (bytes(self.x.as_ref())?, bytes(self.y.as_ref())?);
        if x.len() != curve.size() || y.len() != curve.size() {
            return Err(CryptoError::Jwk);
        }
        Ok((curve, [&[4], x.as_slice(), &y].concat()))
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Ec => "EC",
            Self::Rsa => "RSA",
            Self::Okp => "OKP",
        }
    }
}

/// The numbers of a DER sequence of nothing else, as a JWK has them.
fn numbers(der: &[u8]) -> Option<Vec<String>> {
    let (_, sequence) = Sequence::from_der(der).ok()?;
    let mut rest = sequence.content.as_ref();
    let mut numbers = Vec::with_capacity(9);
    while !rest.is_empty() {
        let (after, number) = Integer::from_der(rest).ok()?;
        let bytes = number.as_ref();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        numbers.push(encode(bytes.get(zeros..).unwrap_or_default()));
        rest = after;
    }
    Some(numbers)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(member: Option<&String>) -> Result<Vec<u8>, CryptoError> {
    let text = member.ok_or(CryptoError::Jwk)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| CryptoError::Jwk)
}

/// A number without leading zeros.
fn number(member: Option<&String>) -> Result<Vec<u8>, CryptoError> {
    let bytes = bytes(member)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}
