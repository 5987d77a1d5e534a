//! TLS settings: one root, the service certificate.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::error::ClientError;
use crate::identity::Identity;

/// Settings that trust exactly `service_certificate` (PEM) and show `identity`'s certificate when asked for one.
pub(super) fn client_config(
    service_certificate: &str,
    identity: Option<&Identity>,
) -> Result<ClientConfig, ClientError> {
    let malformed = |reason: String| ClientError::ServiceCertificate { reason };
    let root = CertificateDer::from_pem_slice(service_certificate.as_bytes())
        .map_err(|error| malformed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots
        .add(root)
        .map_err(|error| malformed(error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => {
            let chain = vec![CertificateDer::from(identity.certificate().der().to_vec())];
            builder.with_client_auth_cert(chain, identity.tls_private_key()?)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
