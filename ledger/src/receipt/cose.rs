//! Receipts in COSE form (ledger format, section 15.2).
//!
//! ```text
//! 18([ bstr protected of the root signature,
//!      { 396: { -1: [ bstr proof, ... ] } },
//!      null, bstr(r || s) ])
//! proof = { 1: [ bstr write set digest, tstr commit evidence, bstr claims digest ],
//!           2: [ [bool left, bstr sibling], ... ] }        true: the sibling is on the left
//! ```

use ciborium::Value;

use crate::hash::Digest;
use crate::key::PublicKey;
use crate::merkle::{ProofStep, fold_proof};
use crate::secret::CommitEvidence;
use crate::signature::{CoseError, CoseRootSignature, TAG_SIGN1, cbor, entry, whole_item};

const HEADER_PROOFS: i64 = 396;
const INCLUSION: i64 = -1;
const PROOF_LEAF: i64 = 1;
const PROOF_PATH: i64 = 2;

/// A COSE receipt as received: nothing in it is true yet.
#[derive(Clone, Debug, PartialEq)]
pub struct CoseReceipt {
    signature: CoseRootSignature,
    proofs: Vec<InclusionProof>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct InclusionProof {
    write_set_digest: Digest,
    commit_evidence: String,
    claims_digest: Digest,
    path: Vec<ProofStep>,
}

/// Why a COSE receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseReceiptError {
    /// It is about other claims.
    #[error("REC-06: claims digest {got}, want {want}")]
    Claims {
        /// In the receipt.
        got: Digest,
        /// Expected.
        want: Digest,
    },
    /// It is about another entry.
    #[error("REC-08: leaf {got}, want {want}")]
    Leaf {
        /// In the receipt.
        got: Digest,
        /// Expected.
        want: Digest,
    },
    /// It does not have the form, or the signature does not hold.
    #[error("REC-07: {0}")]
    Cose(#[from] CoseError),
}

impl CoseReceipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// [`CoseReceiptError::Cose`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CoseReceiptError> {
        let signature = CoseRootSignature::from_bytes(bytes)?;
        let Value::Tag(TAG_SIGN1, message) = whole_item(bytes)? else {
            return Err(form("not tagged 18"));
        };
        let unprotected = message.as_array().and_then(|parts| parts.get(1)?.as_map());
        let proofs = unprotected
            .and_then(|header| entry(header, &label(HEADER_PROOFS))?.as_map())
            .and_then(|proofs| entry(proofs, &label(INCLUSION))?.as_array())
            .filter(|proofs| !proofs.is_empty())
            .ok_or_else(|| form("no inclusion proof"))?;
        let proofs = proofs
            .iter()
            .map(|proof| inclusion_proof(proof).ok_or_else(|| form("an unreadable proof")))
            .collect::<Result<_, _>>()?;
        Ok(Self { signature, proofs })
    }

    /// Checks the receipt under the key of the service that is trusted, for what the application claims. Every proof in it has to be
    /// about these claims and lead to the signed root. Returns the commit evidence of the first, which names the transaction.
    ///
    /// # Errors
    /// [`CoseReceiptError`].
    pub fn verify(&self, service: &PublicKey, claims: &Digest) -> Result<&str, CoseReceiptError> {
        self.check(service, claims, None)
    }

    /// As [`Self::verify`], for the leaf of a ledger entry that is at hand.
    ///
    /// # Errors
    /// [`CoseReceiptError`].
    pub fn verify_leaf(
        &self,
        service: &PublicKey,
        claims: &Digest,
        leaf: &Digest,
    ) -> Result<&str, CoseReceiptError> {
        self.check(service, claims, Some(leaf))
    }

    fn check(
        &self,
        service: &PublicKey,
        claims: &Digest,
        want: Option<&Digest>,
    ) -> Result<&str, CoseReceiptError> {
        for proof in &self.proofs {
            if proof.claims_digest != *claims {
                return Err(CoseReceiptError::Claims {
                    got: proof.claims_digest,
                    want: *claims,
                });
            }
            let evidence = Digest::of(proof.commit_evidence.as_bytes());
            let leaf = Digest::of_three(&proof.write_set_digest, &evidence, &proof.claims_digest);
            if let Some(want) = want.filter(|want| **want != leaf) {
                return Err(CoseReceiptError::Leaf {
                    got: leaf,
                    want: *want,
                });
            }
            self.signature
                .verify(&fold_proof(leaf, &proof.path), service)?;
        }
        let first = self.proofs.first().ok_or_else(|| form("no proof"))?;
        Ok(&first.commit_evidence)
    }
}

/// A root signature with a proof in its unprotected header. The protected header and the signature stay byte for byte.
pub(super) fn with_proof(
    signature: &[u8],
    (write_set_digest, evidence, claims_digest): (Digest, &CommitEvidence, Digest),
    path: &[ProofStep],
) -> Result<Vec<u8>, CoseError> {
    let digest = |digest: &Digest| Value::Bytes(digest.as_ref().to_vec());
    let steps = path.iter().map(|step| {
        let (left, sibling) = match step {
            ProofStep::Left(sibling) => (true, sibling),
            ProofStep::Right(sibling) => (false, sibling),
        };
        Value::Array(vec![Value::Bool(left), digest(sibling)])
    });
    let leaf = vec![
        digest(&write_set_digest),
        Value::Text(evidence.as_str().to_owned()),
        digest(&claims_digest),
    ];
    let proof = Value::Map(vec![
        (label(PROOF_LEAF), Value::Array(leaf)),
        (label(PROOF_PATH), Value::Array(steps.collect())),
    ]);
    let encode = |value: &Value| cbor(value).map_err(|_| CoseError::Form("cannot be encoded"));
    let proofs = Value::Array(vec![Value::Bytes(encode(&proof)?)]);
    let inclusion = Value::Map(vec![(label(INCLUSION), proofs)]);
    let Value::Tag(TAG_SIGN1, mut message) = whole_item(signature)? else {
        return Err(CoseError::Form("not tagged 18"));
    };
    let header = message
        .as_array_mut()
        .and_then(|parts| parts.get_mut(1))
        .ok_or(CoseError::Form("no unprotected header"))?;
    *header = Value::Map(vec![(label(HEADER_PROOFS), inclusion)]);
    encode(&Value::Tag(TAG_SIGN1, message))
}

fn inclusion_proof(bytes: &Value) -> Option<InclusionProof> {
    let Value::Map(proof) = whole_item(bytes.as_bytes()?).ok()? else {
        return None;
    };
    let [
        Value::Bytes(write_set),
        Value::Text(evidence),
        Value::Bytes(claims),
    ] = entry(&proof, &label(PROOF_LEAF))?.as_array()?.as_slice()
    else {
        return None;
    };
    let path = entry(&proof, &label(PROOF_PATH))?.as_array()?;
    let step = |step: &Value| match step.as_array()?.as_slice() {
        [Value::Bool(true), Value::Bytes(sibling)] => Some(ProofStep::Left(digest(sibling)?)),
        [Value::Bool(false), Value::Bytes(sibling)] => Some(ProofStep::Right(digest(sibling)?)),
        _ => None,
    };
    Some(InclusionProof {
        write_set_digest: digest(write_set)?,
        commit_evidence: evidence.clone(),
        claims_digest: digest(claims)?,
        path: path.iter().map(step).collect::<Option<_>>()?,
    })
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    <[u8; 32]>::try_from(bytes).ok().map(Digest)
}

fn label(number: i64) -> Value {
    Value::Integer(number.into())
}

fn form(what: &'static str) -> CoseReceiptError {
    CoseReceiptError::Cose(CoseError::Form(what))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The recorded receipts (`generated/*/receipts/*.cose`) with their claims and the key of their service.
    fn recorded(test: &str) -> Vec<(Vec<u8>, Digest, PublicKey)> {
        let Some(folder) = ::tests::vectors("ledgers", test) else {
            return Vec::new();
        };
        let Ok(services) = fs::read_dir(folder.join("generated")) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for service in services.map(|item| item.unwrap().path()) {
            let Ok(receipts) = fs::read_dir(service.join("receipts")) else {
                continue;
            };
            let certificate = fs::read_to_string(service.join("common/service_cert.pem")).unwrap();
            let key = PublicKey::of_certificate(&certificate).unwrap();
            for path in receipts.map(|item| item.unwrap().path()) {
                if path.extension().is_some_and(|e| e == "cose") {
                    let claims = fs::read(path.with_extension("claims")).unwrap();
                    let claims = digest(&claims)
                        .or_else(|| std::str::from_utf8(&claims).ok()?.trim().parse().ok())
                        .unwrap();
                    found.push((fs::read(&path).unwrap(), claims, key.clone()));
                }
            }
        }
        found
    }

    #[test]
    fn rec_06_and_07_hold_for_recorded_receipts_and_for_no_altered_one() {
        for (bytes, claims, key) in
            recorded("rec_06_and_07_hold_for_recorded_receipts_and_for_no_altered_one")
        {
            let receipt = CoseReceipt::from_bytes(&bytes).unwrap();
            assert!(receipt.verify(&key, &claims).unwrap().starts_with("ce:"));
            assert!(matches!(
                receipt.verify(&key, &Digest::of(b"other claims")),
                Err(CoseReceiptError::Claims { .. })
            ));
            for position in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[position] ^= 1;
                // Two encodings of nothing (null, undefined) read the same; every other bit counts.
                let Ok(bad) = CoseReceipt::from_bytes(&bad) else {
                    continue;
                };
                assert!(
                    bad == receipt || bad.verify(&key, &claims).is_err(),
                    "bit of byte {position}"
                );
            }
            for length in 0..bytes.len() {
                assert!(CoseReceipt::from_bytes(&bytes[..length]).is_err());
            }
        }
    }
}
