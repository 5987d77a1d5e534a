//! TLS of the server side.
//!
//! A client certificate is asked for and never required. Members and users have self-signed
//! certificates: what identifies them is the digest of the certificate, looked up in the
//! tables for each request. So no chain and no dates are checked here, but the handshake
//! signature is: a client that shows a certificate must hold its key.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use x509_parser::asn1_rs::{Any, Sequence};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::identity::IdentityKey;

/// The server's certificate. It can be replaced while the server runs.
pub struct ServerCertificate(ArcSwap<CertifiedKey>);

/// The server's TLS could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not PEM.
    #[error("the node certificate is not PEM")]
    Certificate,
    /// The library refuses key or settings.
    #[error("TLS: {0}")]
    Library(String),
}

impl ServerCertificate {
    /// A certificate in PEM and its key.
    pub fn new(certificate_pem: &str, key: &IdentityKey) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(certified(
            certificate_pem,
            key,
        )?)))
    }

    /// Presents another certificate from the next handshake on.
    pub fn replace(&self, certificate_pem: &str, key: &IdentityKey) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified(certificate_pem, key)?));
        Ok(())
    }
}

fn certified(certificate_pem: &str, key: &IdentityKey) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or(TlsError::Certificate)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8_der().to_vec()));
    CertifiedKey::from_der(chain, der, &provider()).map_err(|e| TlsError::Library(e.to_string()))
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate")
    }
}

/// Settings of the server's TLS: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
pub fn server_config(certificate: Arc<ServerCertificate>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider());
    let library = |e: Error| TlsError::Library(e.to_string());
    let verifier = Arc::new(AnyClientCertificate {
        provider: Arc::clone(&provider),
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(library)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The library's, with CCF's cipher suites (CCF interface, section 0.1): AES in Galois counter mode only. Of CCF's groups the
/// library has no P-521; of its own X25519 and the hybrid with ML-KEM stay.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = [
        TLS13_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ]
    .to_vec();
    provider
}

/// Takes any certificate whose key the client proves to hold.
#[derive(Debug)]
struct AnyClientCertificate {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClientCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known).or_else(|error| {
            signed_by_version_1(message, certificate, signature, known).ok_or(error)
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known).or_else(|error| {
            let key = version_1_key(certificate).ok_or(error)?;
            let key = SubjectPublicKeyInfoDer::from(key);
            verify_tls13_signature_with_raw_key(message, &key, signature, known)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The public key, DER, of a certificate of version 1: the library reads version 3 only, but old tools still make these, and the key
/// in them proves as much.
fn version_1_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) if parsed.version() == X509Version::V1 => {
            Some(parsed.public_key().raw.to_vec())
        }
        _ => None,
    }
}

/// The signature of a TLS 1.2 handshake, by the key of a certificate of version 1.
fn signed_by_version_1(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Option<HandshakeSignatureValid> {
    let key = version_1_key(certificate)?;
    // SubjectPublicKeyInfo is the algorithm and the key's bits (RFC 5280, section 4.1).
    let (_, info) = Sequence::from_der(&key).ok()?;
    let (_, algorithm) = Any::from_der(&info.content).ok()?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&key).ok()?;
    let (_, candidates) = known
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signature.scheme)?;
    candidates
        .iter()
        .filter(|candidate| candidate.public_key_alg_id().as_ref() == algorithm.data)
        .any(|candidate| {
            let bits = &parsed.subject_public_key.data;
            let verified = candidate.verify_signature(bits, message, signature.signature());
            verified.is_ok()
        })
        .then(HandshakeSignatureValid::assertion)
}
