//! Receipts of earlier identities of the service lead to the current one (ledger format, section 15.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger::PublicKey;

use crate::identity::{IdentityKey, Validity, endorse_service, subject_of};
use crate::pipeline::Endorser;

/// Endorses node certificates that one of these identities (certificates in PEM, oldest first) has issued: by a certificate
/// over the identity's key, issued by the current one.
pub(super) fn endorser(
    identities: Vec<String>,
    current: Arc<IdentityKey>,
    validity: Validity,
) -> Endorser {
    let made: Mutex<HashMap<String, String>> = Mutex::default();
    Box::new(move |node_certificate| {
        let own = PublicKey::from_spki_der(current.public_key_der()).map_err(|e| e.to_string())?;
        if own.verify_certificate(node_certificate).is_ok() {
            return Ok(Vec::new());
        }
        let issuer = identities.iter().rev().find_map(|pem| {
            let key = PublicKey::of_certificate(pem).ok()?;
            let issued = key.verify_certificate(node_certificate).is_ok();
            issued.then_some((pem, key))
        });
        let (pem, key) =
            issuer.ok_or("the node certificate was issued by no known identity of the service")?;
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(pem) {
            return Ok(vec![known.clone()]);
        }
        let subject = subject_of(pem).map_err(|e| e.to_string())?;
        let endorsement = endorse_service(key.spki_der(), &subject, validity, &current)
            .map_err(|e| e.to_string())?;
        made.insert(pem.clone(), endorsement.clone());
        Ok(vec![endorsement])
    })
}
