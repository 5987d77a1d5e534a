//! Keys and certificates of the service and of the node (ledger format, section 11).

mod certificate;
mod key;

pub use certificate::{
    CertificateError, Subject, Validity, certificate_der, endorse_node, endorse_request,
    endorse_service, parse_valid_from, self_signed_node, self_signed_service, signing_request,
    subject_of, validity_of,
};
pub use key::{IdentityKey, KeyError};

#[cfg(test)]
mod tests;
