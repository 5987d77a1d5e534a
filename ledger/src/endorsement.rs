//! Endorsements of previous service identities (ledger format, section 12).
//!
//! ```text
//! endorsement = #6.18([
//!   protected: bstr .cbor { 1: -35, 15: { 6: int }, "ccf.v1": {
//!     "epoch.start.txid": tstr,
//!     ? "epoch.end.txid": tstr,               absent in a self-endorsement
//!     ? "epoch.end.merkle.root": bstr } },    absent in a self-endorsement
//!   unprotected: {},
//!   payload: bstr,                            the endorsed key, SubjectPublicKeyInfo DER
//!   signature: bstr ])
//! ```

use ciborium::Value;
use coset::iana::{self, EnumI64 as _};
use coset::{
    CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _,
};
use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::id::{Seqno, TxId, View};
use crate::json::Base64;
use crate::key::{Curve, KeyError, PublicKey, Signer, SigningFailed};

/// Table of endorsements; one row, JSON, written when the service opens.
pub const ENDORSEMENT_MAP: &str = "public:ccf.internal.previous_service_identity_endorsement";
/// Table with the last signed root of the previous service; one row, a JSON string of hex.
pub const LAST_SIGNED_ROOT_MAP: &str = "public:ccf.internal.previous_service_last_signed_root";

const CCF: &str = "ccf.v1";
const CWT: i64 = 15;
const CWT_IAT: i64 = 6;
const START: &str = "epoch.start.txid";
const END: &str = "epoch.end.txid";
const END_ROOT: &str = "epoch.end.merkle.root";

/// A row that cannot be made, or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndorsementError {
    /// The message is not the COSE_Sign1 it must be.
    #[error("not an identity endorsement: {0}")]
    Form(&'static str),
    /// The algorithm does not fit the endorsing key.
    #[error("algorithm {got} does not fit the endorsing key, want {want}")]
    Algorithm {
        /// What the header says.
        got: String,
        /// COSE algorithm number.
        want: i64,
    },
    /// The service key failed to sign.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// The endorsed key is of no supported kind, or the signature fails.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A header differs from the row's field.
    #[error("header {header} is {got}, the row says {want}")]
    Mismatch {
        /// Name of the header.
        header: &'static str,
        /// Value in the header.
        got: String,
        /// Value in the row.
        want: String,
    },
    /// The row claims another endorsing key than the one trusted.
    #[error("row is signed by another key than the one trusted")]
    EndorsingKey,
    /// The epoch ends before it begins: the row endorses nothing.
    #[error("epoch {begin} to {end} is empty")]
    EmptyEpoch {
        /// Begin of the epoch.
        begin: TxId,
        /// End of the epoch.
        end: TxId,
    },
    /// The older row does not end where the newer one begins.
    #[error("older epoch ends at {got}, want {want}")]
    Gap {
        /// End of the older epoch.
        got: String,
        /// Where it should end.
        want: String,
    },
    /// The new service's first transaction is too early to have had a predecessor.
    #[error("service created at {created} has no previous epoch")]
    NoPreviousEpoch {
        /// Create transaction of the new service.
        created: TxId,
    },
}

/// Row of [`ENDORSEMENT_MAP`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndorsementRow {
    /// The COSE message.
    pub endorsement: Base64,
    /// First transaction for which the endorsed key is to be trusted.
    pub endorsement_epoch_begin: TxId,
    /// Last one; absent in a self-endorsement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement_epoch_end: Option<TxId>,
    /// The key that signed, SubjectPublicKeyInfo DER.
    pub endorsing_key: Base64,
    /// Position of the previous write of this table; absent in a self-endorsement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<Seqno>,
}

impl EndorsementRow {
    /// The row of a first opening: the service endorses its own key from its create transaction on.
    ///
    /// # Errors
    /// [`EndorsementError::Signing`] when the key fails.
    pub fn self_endorsement(
        key: &dyn Signer,
        created: TxId,
        now: i64,
    ) -> Result<Self, EndorsementError> {
        let message = sign(key, now, created, None, key.public_key_der())?;
        Ok(Self {
            endorsement: Base64(message),
            endorsement_epoch_begin: created,
            endorsement_epoch_end: None,
            endorsing_key: Base64(key.public_key_der().to_vec()),
            previous_version: None,
        })
    }

    /// The row written when a recovered service opens: the new key endorses the previous one.
    ///
    /// `previous` is the row before, written at `previous_at`; `created` the new service's create transaction;
    /// `last_root` the root in the previous service's last signature.
    ///
    /// # Errors
    /// [`EndorsementError::NoPreviousEpoch`], [`EndorsementError::Signing`].
    pub fn of_previous(
        key: &dyn Signer,
        previous: &Self,
        previous_at: Seqno,
        created: TxId,
        last_root: &Digest,
        now: i64,
    ) -> Result<Self, EndorsementError> {
        let begin = previous
            .endorsement_epoch_end
            .map_or(previous.endorsement_epoch_begin, next_epoch);
        let end = previous_epoch(created).ok_or(EndorsementError::NoPreviousEpoch { created })?;
        let message = sign(
            key,
            now,
            begin,
            Some((end, last_root)),
            &previous.endorsing_key.0,
        )?;
        Ok(Self {
            endorsement: Base64(message),
            endorsement_epoch_begin: begin,
            endorsement_epoch_end: Some(end),
            endorsing_key: Base64(key.public_key_der().to_vec()),
            previous_version: Some(previous_at),
        })
    }

    /// Checks the row under the trusted key that must have signed it, and returns what it endorses.
    ///
    /// # Errors
    /// See [`EndorsementError`].
    pub fn verify(&self, trusted: &PublicKey) -> Result<Endorsed, EndorsementError> {
        if self.endorsing_key.0 != trusted.spki_der() {
            return Err(EndorsementError::EndorsingKey);
        }
        let message = CoseSign1::from_tagged_slice(&self.endorsement.0)
            .map_err(|_| EndorsementError::Form("not a COSE_Sign1"))?;
        let payload = message
            .payload
            .as_deref()
            .ok_or(EndorsementError::Form("no payload"))?;
        let want = match trusted.curve() {
            Curve::P256 => iana::Algorithm::ES256,
            Curve::P384 => iana::Algorithm::ES384,
            Curve::P521 => return Err(KeyError::Curve.into()),
        };
        if message.protected.header.alg != Some(RegisteredLabelWithPrivate::Assigned(want)) {
            let got = format!("{:?}", message.protected.header.alg);
            return Err(EndorsementError::Algorithm {
                got,
                want: want.to_i64(),
            });
        }
        message.verify_signature(&[], |signature, signed| {
            trusted.verify_fixed(signed, signature)
        })?;
        let headers = ccf_headers(&message.protected.header)
            .ok_or(EndorsementError::Form("no ccf.v1 header"))?;
        let field = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key.as_text() == Some(name))
                .map(|(_, value)| value)
        };
        let text = |name| field(name).and_then(Value::as_text);
        let same = |header, got: Option<&str>, want: Option<TxId>| {
            let want = want.map(|txid| txid.to_string());
            if got == want.as_deref() {
                return Ok(());
            }
            let show = |value: Option<&str>| value.unwrap_or("absent").to_owned();
            Err(EndorsementError::Mismatch {
                header,
                got: show(got),
                want: show(want.as_deref()),
            })
        };
        same(START, text(START), Some(self.endorsement_epoch_begin))?;
        same(END, text(END), self.endorsement_epoch_end)?;
        let end_root = match (self.endorsement_epoch_end, field(END_ROOT)) {
            (Some(_), root) => Some(
                root.and_then(Value::as_bytes)
                    .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
                    .map(Digest)
                    .ok_or(EndorsementError::Form("no root at the end of the epoch"))?,
            ),
            (None, _) => None,
        };
        let (begin, end) = (self.endorsement_epoch_begin, self.endorsement_epoch_end);
        if let Some(end) = end.filter(|end| begin.seqno > end.seqno || begin.view > end.view) {
            return Err(EndorsementError::EmptyEpoch { begin, end });
        }
        Ok(Endorsed {
            key: PublicKey::from_spki_der(payload)?,
            begin,
            end,
            end_root,
        })
    }
}

/// A key that a verified endorsement vouches for.
pub struct Endorsed {
    /// The key.
    pub key: PublicKey,
    /// First transaction of its epoch.
    pub begin: TxId,
    /// Last transaction of its epoch; none for the current service.
    pub end: Option<TxId>,
    /// Root in the last signature of the epoch, where the endorsement states it.
    pub end_root: Option<Digest>,
}

impl Endorsed {
    /// True when the key is to be trusted for `txid`.
    #[must_use]
    pub fn covers(&self, txid: TxId) -> bool {
        let after = self.begin.seqno <= txid.seqno && self.begin.view <= txid.view;
        after
            && self
                .end
                .is_none_or(|end| txid.seqno <= end.seqno && txid.view <= end.view)
    }
}

/// Walks a chain of rows, newest first, from the trusted current key. Returns the endorsed keys in the same order.
///
/// Rows whose epoch is empty extend no trust: the walk stops before them without error, as at a row without
/// `previous_version`.
///
/// # Errors
/// A row that does not verify, or does not join the newer one.
pub fn verify_chain(
    current: &PublicKey,
    rows: &[EndorsementRow],
) -> Result<Vec<Endorsed>, EndorsementError> {
    let mut endorsed: Vec<Endorsed> = Vec::new();
    let mut newer: Option<&EndorsementRow> = None;
    for row in rows {
        if let Some(newer) = newer {
            let want = previous_epoch(newer.endorsement_epoch_begin);
            let is_self = row.endorsement_epoch_end.is_none() && row.previous_version.is_none();
            if !is_self && row.endorsement_epoch_end != want {
                let show = |txid: Option<TxId>| {
                    txid.map_or_else(|| "absent".to_owned(), |txid| txid.to_string())
                };
                return Err(EndorsementError::Gap {
                    got: show(row.endorsement_epoch_end),
                    want: show(want),
                });
            }
        }
        let trusted = endorsed.last().map_or(current, |endorsed| &endorsed.key);
        match row.verify(trusted) {
            Ok(next) => endorsed.push(next),
            Err(EndorsementError::EmptyEpoch { .. }) => break,
            Err(error) => return Err(error),
        }
        if row.previous_version.is_none() {
            break;
        }
        newer = Some(row);
    }
    Ok(endorsed)
}

/// One epoch on: (view + 2, seqno + 1).
const fn next_epoch(end: TxId) -> TxId {
    TxId {
        view: View(end.view.0.saturating_add(2)),
        seqno: end.seqno.next(),
    }
}

/// The last signed transaction before a service created at `created`: (view - 2, seqno - 1).
fn previous_epoch(created: TxId) -> Option<TxId> {
    Some(TxId {
        view: View(created.view.0.checked_sub(2)?),
        seqno: Seqno(created.seqno.0.checked_sub(1)?),
    })
}

fn sign(
    key: &dyn Signer,
    now: i64,
    begin: TxId,
    end: Option<(TxId, &Digest)>,
    endorsed: &[u8],
) -> Result<Vec<u8>, EndorsementError> {
    let mut epoch = vec![(Value::from(START), Value::from(begin.to_string()))];
    if let Some((end, root)) = end {
        epoch.push((Value::from(END), Value::from(end.to_string())));
        epoch.push((Value::from(END_ROOT), Value::Bytes(root.0.to_vec())));
    }
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES384)
        .value(CWT, Value::Map(vec![(CWT_IAT.into(), now.into())]))
        .text_value(CCF.to_owned(), Value::Map(epoch))
        .build();
    CoseSign1Builder::new()
        .protected(protected)
        .payload(endorsed.to_vec())
        .try_create_signature(&[], |signed| key.sign_fixed(signed))?
        .build()
        .to_tagged_vec()
        .map_err(|_| EndorsementError::Form("cannot be encoded"))
}

fn ccf_headers(header: &Header) -> Option<&Vec<(Value, Value)>> {
    let (_, value) = header
        .rest
        .iter()
        .find(|(label, _)| *label == Label::Text(CCF.to_owned()))?;
    value.as_map()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestKey as SigningKeyP384;

    fn public(key: &SigningKeyP384) -> PublicKey {
        PublicKey::from_spki_der(key.public_key_der()).unwrap()
    }

    #[test]
    fn chain_over_two_recoveries() {
        let keys: Vec<_> = (0..3)
            .map(|_| SigningKeyP384::generate().unwrap())
            .collect();
        let root = Digest::of(b"last");
        let first = EndorsementRow::self_endorsement(&keys[0], TxId::new(2, 1), 1).unwrap();
        let second =
            EndorsementRow::of_previous(&keys[1], &first, Seqno(9), TxId::new(4, 39), &root, 2)
                .unwrap();
        assert_eq!(second.endorsement_epoch_begin, TxId::new(2, 1));
        assert_eq!(second.endorsement_epoch_end, Some(TxId::new(2, 38)));
        let third =
            EndorsementRow::of_previous(&keys[2], &second, Seqno(45), TxId::new(6, 61), &root, 3)
                .unwrap();
        assert_eq!(third.endorsement_epoch_begin, TxId::new(4, 39));
        assert_eq!(third.endorsement_epoch_end, Some(TxId::new(4, 60)));

        let rows = [third.clone(), second.clone(), first.clone()];
        let chain = verify_chain(&public(&keys[2]), &rows).unwrap();
        assert_eq!(chain.len(), 3);
        assert!(chain[0].covers(TxId::new(4, 50)) && !chain[0].covers(TxId::new(2, 38)));
        assert!(chain[1].covers(TxId::new(2, 38)));
        assert_eq!(chain[1].key.id(), keys[0].key_id());
        assert_eq!(chain[0].end_root, Some(root));

        assert!(matches!(
            verify_chain(&public(&keys[1]), &rows),
            Err(EndorsementError::EndorsingKey)
        ));
        assert!(matches!(
            verify_chain(&public(&keys[2]), &[third.clone(), third.clone()]),
            Err(EndorsementError::Gap { .. })
        ));
        let mut altered = third;
        altered.endorsement_epoch_begin = TxId::new(4, 40);
        assert!(matches!(
            altered.verify(&public(&keys[2])),
            Err(EndorsementError::Mismatch { .. })
        ));
    }

    #[test]
    fn an_epoch_that_ends_before_it_begins_extends_no_trust() {
        let keys: Vec<_> = (0..2)
            .map(|_| SigningKeyP384::generate().unwrap())
            .collect();
        let mut first = EndorsementRow::self_endorsement(&keys[0], TxId::new(2, 1), 1).unwrap();
        first.endorsement_epoch_begin = TxId::new(4, 484);
        let row = EndorsementRow::of_previous(
            &keys[1],
            &first,
            Seqno(9),
            TxId::new(4, 484),
            &Digest::ZERO,
            2,
        )
        .unwrap();
        assert!(matches!(
            row.verify(&public(&keys[1])),
            Err(EndorsementError::EmptyEpoch { .. })
        ));
        assert!(verify_chain(&public(&keys[1]), &[row]).unwrap().is_empty());
    }
}
