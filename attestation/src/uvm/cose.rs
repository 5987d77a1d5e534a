//! COSE_Sign1 (RFC 9052), read more strictly than the RFC asks.
//!
//! ```cddl
//! endorsement = #6.18([protected: bstr .cbor header, unprotected: header, payload: bstr, signature: bstr])
//! header = { * (int / tstr) => any }
//! ```
//!
//! The CBOR itself is decoded by `ciborium`. COSE's own crate is not used for reading: it maps unknown algorithms and content
//! types to one decoding error, and the rules here tell them apart.

use ciborium::Value;

use crate::{
    certificate::{Certificate, Key},
    crypto::{self, Curve, Hash},
    error::{Check, EvidenceError},
};

/// Largest endorsement; real ones have 11 KB.
const ENDORSEMENT_LIMIT: usize = 32 * 1024;

/// Deepest nesting of arrays, maps and tags.
const DEPTH_LIMIT: usize = 8;

/// Header labels (RFC 9052, RFC 9360, RFC 9597).
pub(super) mod label {
    pub(crate) const ALGORITHM: i64 = 1;
    pub(crate) const CRITICAL: i64 = 2;
    pub(crate) const CONTENT_TYPE: i64 = 3;
    pub(crate) const CWT_CLAIMS: i64 = 15;
    pub(crate) const X5CHAIN: i64 = 33;
    pub(crate) const PAYLOAD_HASH: i64 = 258;
    pub(crate) const PREIMAGE_TYPE: i64 = 259;
    pub(crate) const ISSUER: &str = "iss";
    pub(crate) const FEED: &str = "feed";
    pub(crate) const SIGNING_TIME: &str = "signingtime";
}

/// A map of the header, without repeated labels.
pub(super) type Map = Vec<(Value, Value)>;

/// The parts of an endorsement. Nothing has been verified.
pub(super) struct Envelope {
    /// Exactly as received: this is what is signed.
    protected_bytes: Vec<u8>,
    pub(super) protected: Map,
    pub(super) payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Envelope {
    /// UVM-02 to UVM-06.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let shape = |got: &str| {
            EvidenceError::new(Check::Uvm02, got, "a tagged COSE_Sign1 of at most 32 KiB")
        };
        if bytes.len() > ENDORSEMENT_LIMIT {
            return Err(shape("more than 32 KiB"));
        }
        let Value::Tag(18, content) = decode(bytes).ok_or_else(|| shape("not one CBOR item"))?
        else {
            return Err(shape("another tag, or none"));
        };
        let Value::Array(parts) = *content else {
            return Err(shape("not an array"));
        };
        let [protected_bytes, unprotected, payload, signature]: [Value; 4] =
            parts.try_into().map_err(|_| shape("not four parts"))?;
        let (Value::Bytes(protected_bytes), Value::Map(unprotected), Value::Bytes(signature)) =
            (protected_bytes, unprotected, signature)
        else {
            return Err(shape("parts of other types"));
        };
        let Value::Bytes(payload) = payload else {
            return Err(EvidenceError::new(Check::Uvm03, "detached", "attached"));
        };
        let header =
            |got: &str| EvidenceError::new(Check::Uvm04, got, "a map without repeated labels");
        let Some(Value::Map(protected)) = decode(&protected_bytes) else {
            return Err(header("not a map"));
        };
        if !labels_are_unique(&protected) {
            return Err(header("repeated labels, or labels of other types"));
        }
        if get(&protected, label::CRITICAL).is_some() {
            return Err(EvidenceError::new(
                Check::Uvm05,
                "crit",
                "no critical headers",
            ));
        }
        check_unprotected(&unprotected)?;
        Ok(Self {
            protected_bytes,
            protected,
            payload,
            signature,
        })
    }

    /// UVM-07.
    pub(super) fn algorithm(&self) -> Result<Algorithm, EvidenceError> {
        let got = get(&self.protected, label::ALGORITHM).and_then(integer);
        got.and_then(Algorithm::from_number).ok_or_else(|| {
            let got = got.map_or_else(|| "none".to_owned(), |n| n.to_string());
            EvidenceError::new(Check::Uvm07, got, "-37, -38, -39, -7, -35 or -36")
        })
    }

    /// UVM-08.
    pub(super) fn certificates(&self) -> Result<Vec<Certificate>, EvidenceError> {
        let error =
            |got: &str| EvidenceError::new(Check::Uvm08, got, "an array of 2 to 6 certificates");
        let Some(Value::Array(items)) = get(&self.protected, label::X5CHAIN) else {
            return Err(error("not an array"));
        };
        if !(2..=6).contains(&items.len()) {
            return Err(error("another number of certificates"));
        }
        items
            .iter()
            .map(|item| {
                Certificate::parse(item.as_bytes().ok_or_else(|| error("not a byte string"))?)
                    .map_err(error)
            })
            .collect()
    }

    /// Sig_structure (RFC 9052, section 4.4): `["Signature1", protected, h'', payload]`.
    fn signed_bytes(&self) -> Vec<u8> {
        let structure = Value::Array(vec![
            Value::Text("Signature1".to_owned()),
            Value::Bytes(self.protected_bytes.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ]);
        let mut out = Vec::new();
        // Writing to memory fails only for values that cannot be represented, and there are none here; an empty text would
        // only make the signature fail.
        if ciborium::into_writer(&structure, &mut out).is_err() {
            out.clear();
        }
        out
    }
}

/// Algorithms of endorsements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Pss(Hash),
    Ecdsa(Curve),
}

impl Algorithm {
    fn from_number(number: i128) -> Option<Self> {
        Some(match number {
            -37 => Self::Pss(Hash::Sha256),
            -38 => Self::Pss(Hash::Sha384),
            -39 => Self::Pss(Hash::Sha512),
            -7 => Self::Ecdsa(Curve::P256),
            -35 => Self::Ecdsa(Curve::P384),
            -36 => Self::Ecdsa(Curve::P521),
            _ => return None,
        })
    }

    /// UVM-15 and UVM-16: the algorithm fits the leaf key, and the leaf key signed.
    pub(super) fn check(
        self,
        certificates: &[Certificate],
        envelope: &Envelope,
    ) -> Result<(), EvidenceError> {
        let leaf = certificates.first();
        let holds = match (self, leaf.map(|leaf| (leaf, &leaf.key))) {
            (Self::Pss(hash), Some((leaf, Key::Rsa { .. }))) => crypto::rsa_pss(
                hash,
                &leaf.spki,
                &envelope.signed_bytes(),
                &envelope.signature,
            ),
            (Self::Ecdsa(want), Some((_, Key::Ec { curve, point }))) if want == *curve => {
                crypto::ecdsa_fixed(want, point, &envelope.signed_bytes(), &envelope.signature)
            }
            _ => {
                return Err(EvidenceError::new(
                    Check::Uvm15,
                    format_args!("{self:?} with another key"),
                    "a fitting key",
                ));
            }
        };
        if !holds {
            return Err(EvidenceError::new(
                Check::Uvm16,
                "a signature that does not verify",
                "a signature by the leaf key",
            ));
        }
        Ok(())
    }
}

/// The value under a label.
pub(super) fn get(map: &Map, label: impl Into<Value>) -> Option<&Value> {
    let label = label.into();
    map.iter()
        .find(|(name, _)| *name == label)
        .map(|(_, value)| value)
}

pub(super) fn integer(value: &Value) -> Option<i128> {
    value.as_integer().map(i128::from)
}

/// UVM-06: what is not signed must not be mistaken for something that is.
fn check_unprotected(unprotected: &Map) -> Result<(), EvidenceError> {
    let reserved: [Value; 6] = [
        label::ALGORITHM.into(),
        label::CRITICAL.into(),
        label::CWT_CLAIMS.into(),
        label::X5CHAIN.into(),
        label::ISSUER.into(),
        label::FEED.into(),
    ];
    if labels_are_unique(unprotected)
        && !unprotected.iter().any(|(name, _)| reserved.contains(name))
    {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Uvm06,
        "a reserved or repeated label",
        "none of 1, 2, 15, 33, iss, feed",
    ))
}

/// True if all maps in it, at any depth, have distinct labels, and its own labels are integers or texts.
fn labels_are_unique(map: &Map) -> bool {
    map.iter().enumerate().all(|(i, (name, value))| {
        (name.is_integer() || name.is_text())
            && !map.iter().skip(i + 1).any(|(other, _)| other == name)
            && inner_labels_are_unique(value)
    })
}

fn inner_labels_are_unique(value: &Value) -> bool {
    match value {
        Value::Map(map) => labels_are_unique(map),
        Value::Array(items) => items.iter().all(inner_labels_are_unique),
        Value::Tag(_, inner) => inner_labels_are_unique(inner),
        _ => true,
    }
}

/// Decodes exactly one CBOR item of bounded depth.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    if !skip(bytes, DEPTH_LIMIT)?.is_empty() {
        return None;
    }
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// Walks over one CBOR item and returns what follows. Makes sure, before anything is decoded, that lengths are within the input
/// and nesting is bounded.
fn skip(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 31);
    let (argument, mut rest) = match info {
        0..=23 => (Some(u64::from(info)), rest),
        24..=27 => {
            let (head, rest) = rest.split_at_checked(1 << (info - 24))?;
            (
                Some(head.iter().fold(0, |n, b| n << 8 | u64::from(*b))),
                rest,
            )
        }
        // Indefinite length; of single items only "break" has it, and that is not an item.
        31 if matches!(major, 2..=5) => (None, rest),
        _ => return None,
    };
    let inner = depth.checked_sub(1);
    match (major, argument) {
        (0 | 1 | 7, _) => Some(rest),
        (2 | 3, Some(length)) => rest.get(usize::try_from(length).ok()?..),
        (4 | 5, Some(count)) => {
            // Each item takes at least one byte, so a large count runs out of input.
            for _ in 0..count.checked_mul(if major == 5 { 2 } else { 1 })? {
                rest = skip(rest, inner?)?;
            }
            Some(rest)
        }
        (6, Some(_)) => skip(rest, inner?),
        (_, _) => {
            let mut count = 0_u64;
            loop {
                if let Some((0xff, after)) = rest.split_first() {
                    return (major != 5 || count.is_multiple_of(2)).then_some(after);
                }
                rest = skip(rest, inner?)?;
                count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded() {
        let nested = |n: usize| [vec![0x81; n], vec![0]].concat();
        assert!(decode(&nested(DEPTH_LIMIT)).is_some());
        assert!(decode(&nested(DEPTH_LIMIT + 1)).is_none());
        assert!(decode(&nested(30_000)).is_none());
    }

    #[test]
    fn lengths_beyond_the_input_are_refused() {
        for bytes in [
            &b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x41",
            b"\xff",
            b"",
            b"\0\0",
        ] {
            assert!(decode(bytes).is_none(), "{bytes:?}");
        }
    }
}
