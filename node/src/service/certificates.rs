//! The node's certificates, which follow what members decide about their validity.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::identity::{
    CertificateError, IdentityKey, Subject, Validity, self_signed_node, validity_of,
};
use crate::server::ServerCertificate;
use crate::store::Writes;

const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";

/// The certificate that the node signs itself, and what it takes to sign it anew.
#[derive(Clone)]
pub(super) struct NodeCertificates {
    key: Arc<IdentityKey>,
    subject: Subject,
    self_signed: Arc<ArcSwap<String>>,
}

impl NodeCertificates {
    pub(super) fn new(
        key: Arc<IdentityKey>,
        subject: Subject,
        validity: Validity,
    ) -> Result<Self, CertificateError> {
        let pem = self_signed_node(&key, &subject, validity)?;
        Ok(Self {
            key,
            subject,
            self_signed: Arc::new(ArcSwap::from_pointee(pem)),
        })
    }

    /// PEM of the certificate that is signed by its own key.
    pub(super) fn self_signed(&self) -> Arc<String> {
        self.self_signed.load_full()
    }

    /// Once the endorsed certificate in the tables is renewed: TLS presents it, and the self-signed one is renewed for the same
    /// time.
    pub(super) fn follow(
        &self,
        presented: Arc<ServerCertificate>,
    ) -> impl Fn(&Writes) + Send + use<> {
        let own = self.clone();
        let id = own.key.id();
        move |writes| {
            let row = writes
                .get(NODES_CERTIFICATES)
                .and_then(|rows| rows.get(id.as_bytes())?.as_ref());
            let Some(pem) = row.and_then(|row| std::str::from_utf8(row).ok()) else {
                return;
            };
            if let Err(error) = presented.replace(pem, &own.key) {
                tracing::error!(%error, "the renewed node certificate cannot be presented");
            }
            let renewed = validity_of(pem)
                .and_then(|validity| self_signed_node(&own.key, &own.subject, validity));
            match renewed {
                Ok(pem) => own.self_signed.store(Arc::new(pem)),
                Err(error) => tracing::error!(%error, "the node's own certificate is not renewed"),
            }
        }
    }
}
