//! Signature transactions (ledger format, section 10).

use ciborium::Value;
use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::id::{Seqno, TxId, View};
use crate::json::{Base64, canonical, decode_base64, encode_base64};
use crate::key::{Curve, KeyError, PublicKey, Signer, SigningFailed};
use crate::merkle::{MerkleTree, TREE_MAP, TreeError};
use crate::write_set::{SINGLE_KEY, WriteSet};

/// Table with the node's signature over the root; one row, JSON.
pub const SIGNATURES_MAP: &str = "public:ccf.internal.signatures";
/// Table with the service's COSE signature over the root; one row, JSON string of base64.
pub const COSE_SIGNATURES_MAP: &str = "public:ccf.internal.cose_signatures";

/// Row of [`SIGNATURES_MAP`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureRow {
    /// PEM of the signing node's certificate; absent in 1.x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// Unused since 2.x: 0.
    #[serde(default)]
    pub commit_seqno: u64,
    /// Unused since 2.x: 0.
    #[serde(default)]
    pub commit_view: u64,
    /// Unused: 64 zeros.
    #[serde(default)]
    pub hashed_nonce: String,
    /// Id of the signing node.
    pub node: String,
    /// Merkle root over everything before this entry.
    pub root: Digest,
    /// Position of this entry.
    pub seqno: Seqno,
    /// ECDSA in DER over the root as digest.
    pub sig: Base64,
    /// View of this entry.
    pub view: View,
}

/// What a signature transaction is made of.
pub struct SignatureInputs<'a> {
    /// Its own transaction id.
    pub id: TxId,
    /// The tree over everything before it.
    pub tree: &'a MerkleTree,
    /// First leaf to serialise: the position of the last committed transaction.
    pub tree_from: Seqno,
    /// Key of the node.
    pub node_key: &'a dyn Signer,
    /// The node's certificate endorsed by the service, PEM.
    pub node_certificate: &'a str,
    /// Key of the service.
    pub service_key: &'a dyn Signer,
    /// `iss` of the COSE signature.
    pub issuer: &'a str,
    /// `sub` of the COSE signature.
    pub subject: &'a str,
    /// Seconds since the epoch.
    pub issued_at: u64,
}

/// A signature transaction could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeSignatureError {
    /// A key failed.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// The tree does not cover what is to be signed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A value has no encoded form: our bug.
    #[error("encoding: {0}")]
    Encoding(String),
}

/// The writes of a signature transaction: exactly the three tables a CCF node admits.
///
/// # Errors
/// See [`MakeSignatureError`].
pub fn signature_write_set(inputs: &SignatureInputs<'_>) -> Result<WriteSet, MakeSignatureError> {
    let root = inputs.tree.root();
    let row = SignatureRow {
        cert: Some(inputs.node_certificate.to_owned()),
        commit_seqno: 0,
        commit_view: 0,
        hashed_nonce: Digest::ZERO.to_hex(),
        node: inputs.node_key.key_id(),
        root,
        seqno: inputs.id.seqno,
        sig: Base64(inputs.node_key.sign_root(&root)?),
        view: inputs.id.view,
    };
    let cose = sign_cose(inputs, &root)?;
    let encoding = |e: serde_json::Error| MakeSignatureError::Encoding(e.to_string());
    let mut set = WriteSet::new();
    set.put(
        SIGNATURES_MAP,
        SINGLE_KEY,
        canonical(&row).map_err(encoding)?,
    );
    set.put(
        COSE_SIGNATURES_MAP,
        SINGLE_KEY,
        canonical(&encode_base64(&cose)).map_err(encoding)?,
    );
    set.put(
        TREE_MAP,
        SINGLE_KEY,
        inputs.tree.serialise(inputs.tree_from)?,
    );
    Ok(set)
}

/// COSE_Sign1 over a root, with detached payload:
///
/// ```text
/// 18([ bstr{ 1: alg, 4: kid, 395: 2, 15: { 6: iat, 1: iss, 2: sub }, "ccf.v1": { "txid": tstr } },
///      {}, null, bstr(r || s) ])
/// ```
///
/// The order of the header's keys is CCF's own and is kept.
fn sign_cose(inputs: &SignatureInputs<'_>, root: &Digest) -> Result<Vec<u8>, MakeSignatureError> {
    let label = |n: i64| Value::Integer(n.into());
    let protected = Value::Map(vec![
        (label(1), label(ALG_ES384)),
        (
            label(4),
            Value::Bytes(inputs.service_key.key_id().into_bytes()),
        ),
        (label(HEADER_VDS), label(VDS_CCF)),
        (
            label(HEADER_CWT),
            Value::Map(vec![
                (label(6), Value::Integer(inputs.issued_at.into())),
                (label(1), Value::Text(inputs.issuer.to_owned())),
                (label(2), Value::Text(inputs.subject.to_owned())),
            ]),
        ),
        (
            Value::Text(HEADER_CCF.to_owned()),
            Value::Map(vec![(
                Value::Text("txid".to_owned()),
                Value::Text(inputs.id.to_string()),
            )]),
        ),
    ]);
    let protected = cbor(&protected)?;
    let signature = inputs
        .service_key
        .sign_fixed(&to_be_signed(&protected, root.as_ref())?)?;
    cbor(&Value::Tag(
        TAG_SIGN1,
        Box::new(Value::Array(vec![
            Value::Bytes(protected),
            Value::Map(Vec::new()),
            Value::Null,
            Value::Bytes(signature),
        ])),
    ))
}

const ALG_ES256: i64 = -7;
const ALG_ES384: i64 = -35;
const HEADER_CWT: i64 = 15;
const HEADER_VDS: i64 = 395;
const VDS_CCF: i64 = 2;
const HEADER_CCF: &str = "ccf.v1";
pub(crate) const TAG_SIGN1: u64 = 18;

/// `["Signature1", protected, h'', payload]` (RFC 9052, section 4.4).
fn to_be_signed(protected: &[u8], payload: &[u8]) -> Result<Vec<u8>, MakeSignatureError> {
    cbor(&Value::Array(vec![
        Value::Text("Signature1".to_owned()),
        Value::Bytes(protected.to_vec()),
        Value::Bytes(Vec::new()),
        Value::Bytes(payload.to_vec()),
    ]))
}

pub(crate) fn cbor(value: &Value) -> Result<Vec<u8>, MakeSignatureError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|e| MakeSignatureError::Encoding(e.to_string()))?;
    Ok(bytes)
}

/// A COSE signature over a root, as read from its row.
#[derive(Clone, Debug, PartialEq)]
pub struct CoseRootSignature {
    /// `kid`: text of the hex digest of the service key.
    pub kid: String,
    /// `iss`; CCF needs it to recover.
    pub issuer: Option<String>,
    /// `sub`; CCF needs it to recover.
    pub subject: Option<String>,
    /// `iat`: seconds since 1970 by the signing node's clock.
    pub issued_at: Option<u64>,
    /// The transaction id it names.
    pub id: TxId,
    algorithm: i64,
    protected: Vec<u8>,
    signature: Vec<u8>,
}

/// A COSE signature over a root that is not one, or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// The row is not a JSON string of base64.
    #[error("row is not a JSON string of base64")]
    Row,
    /// The message is not of the expected form.
    #[error("not a COSE root signature: {0}")]
    Form(&'static str),
    /// The algorithm does not fit the key.
    #[error("algorithm {got} does not fit the service key")]
    Algorithm {
        /// COSE algorithm number.
        got: i64,
    },
    /// Signed by another key.
    #[error("kid {got}, want {want}")]
    Kid {
        /// The header.
        got: String,
        /// Id of the service key.
        want: String,
    },
    /// The signature.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl CoseRootSignature {
    /// Reads a row of [`COSE_SIGNATURES_MAP`].
    ///
    /// # Errors
    /// [`CoseError::Row`], [`CoseError::Form`].
    pub fn from_row(row: &[u8]) -> Result<Self, CoseError> {
        Self::from_bytes(&cose_of_row(row)?)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`CoseError::Form`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CoseError> {
        let Value::Tag(TAG_SIGN1, inner) = whole_item(bytes)? else {
            return Err(CoseError::Form("not tagged 18"));
        };
        let Value::Array(parts) = *inner else {
            return Err(CoseError::Form("not an array"));
        };
        let [
            Value::Bytes(protected),
            Value::Map(_),
            Value::Null,
            Value::Bytes(signature),
        ] = parts.as_slice()
        else {
            return Err(CoseError::Form("not four parts with a detached payload"));
        };
        let Value::Map(header) = whole_item(protected)? else {
            return Err(CoseError::Form("protected header is not a map"));
        };
        let at = |label: i64| entry(&header, &Value::Integer(label.into()));
        let integer = |label| {
            at(label)
                .and_then(Value::as_integer)
                .and_then(|n| i64::try_from(n).ok())
        };
        if integer(HEADER_VDS) != Some(VDS_CCF) {
            return Err(CoseError::Form("verifiable data structure is not CCF's"));
        }
        let kid = at(4)
            .and_then(Value::as_bytes)
            .and_then(|kid| String::from_utf8(kid.clone()).ok());
        let claims = at(HEADER_CWT).and_then(Value::as_map);
        let claim = |n: i64| claims.and_then(|c| entry(c, &Value::Integer(n.into())));
        let text = |n| claim(n).and_then(Value::as_text).map(str::to_owned);
        let id = entry(&header, &Value::Text(HEADER_CCF.to_owned()))
            .and_then(Value::as_map)
            .and_then(|ccf| entry(ccf, &Value::Text("txid".to_owned())))
            .and_then(Value::as_text)
            .and_then(|text| text.parse().ok());
        Ok(Self {
            kid: kid.ok_or(CoseError::Form("no kid"))?,
            issuer: text(1),
            subject: text(2),
            issued_at: claim(6)
                .and_then(Value::as_integer)
                .and_then(|n| u64::try_from(n).ok()),
            id: id.ok_or(CoseError::Form("no transaction id"))?,
            algorithm: integer(1).ok_or(CoseError::Form("no algorithm"))?,
            protected: protected.clone(),
            signature: signature.clone(),
        })
    }

    /// Checks kid, algorithm and signature over `root`.
    ///
    /// # Errors
    /// [`CoseError`].
    pub fn verify(&self, root: &Digest, service: &PublicKey) -> Result<(), CoseError> {
        let want = match service.curve() {
            Curve::P256 => ALG_ES256,
            Curve::P384 => ALG_ES384,
            Curve::P521 => {
                return Err(CoseError::Algorithm {
                    got: self.algorithm,
                });
            }
        };
        if self.algorithm != want {
            return Err(CoseError::Algorithm {
                got: self.algorithm,
            });
        }
        if self.kid != service.id() {
            return Err(CoseError::Kid {
                got: self.kid.clone(),
                want: service.id(),
            });
        }
        let message = to_be_signed(&self.protected, root.as_ref())
            .map_err(|_| CoseError::Form("cannot be encoded again"))?;
        Ok(service.verify_fixed(&message, &self.signature)?)
    }
}

/// The message in a row of [`COSE_SIGNATURES_MAP`].
pub(crate) fn cose_of_row(row: &[u8]) -> Result<Vec<u8>, CoseError> {
    let text: String = serde_json::from_slice(row).map_err(|_| CoseError::Row)?;
    decode_base64(&text).map_err(|_| CoseError::Row)
}

/// One CBOR item and nothing behind it.
pub(crate) fn whole_item(bytes: &[u8]) -> Result<Value, CoseError> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 16)
        .map_err(|_| CoseError::Form("not CBOR"))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CoseError::Form("bytes behind the message"))
    }
}

pub(crate) fn entry<'v>(map: &'v [(Value, Value)], key: &Value) -> Option<&'v Value> {
    map.iter().find(|(k, _)| k == key).map(|(_, value)| value)
}
