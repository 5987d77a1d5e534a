//! Writes ledgers with keys of its own, for tests and benchmarks that need a ledger nobody would write honestly, or a large
//! one.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Digest as RawDigest, SHA384};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
};
use ledger::{
    COSE_SIGNATURES_MAP, ChunkBuilder, ChunkName, Digest, FLAG_CHUNK_AFTER, LedgerSecret,
    MerkleTree, SINGLE_KEY, Seqno, SignatureInputs, Signer, SigningFailed, TxId, WriteSet, encode,
    signature_write_set,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    PublicKeyData as _,
};
use serde_json::json;

/// Service information.
pub const SERVICE_INFO: &str = "public:ccf.gov.service.info";
/// Nodes.
pub const NODES_INFO: &str = "public:ccf.gov.nodes.info";
/// Certificates of nodes, issued by the service.
pub const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";

/// A key that signs ledgers.
pub struct Key {
    certificates: KeyPair,
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl Key {
    /// A fresh one.
    ///
    /// # Panics
    /// When the system cannot make it.
    pub fn generate() -> Self {
        let certificates = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let der = certificates.serialize_der();
        Self {
            asn1: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).unwrap(),
            fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &der).unwrap(),
            spki: certificates.subject_public_key_info(),
            certificates,
        }
    }

    /// Its certificate as a service, PEM.
    ///
    /// # Panics
    /// Never in practice.
    pub fn service_certificate(&self) -> String {
        let certificate = params("CCF Service", true).self_signed(&self.certificates);
        certificate.unwrap().pem()
    }

    /// Its certificate as a node of a service, PEM.
    ///
    /// # Panics
    /// Never in practice.
    pub fn node_certificate(&self, service: &Self) -> String {
        let issuer = Issuer::new(params("CCF Service", true), &service.certificates);
        let certificate = params("CCF Node", false).signed_by(&self.certificates, &issuer);
        certificate.unwrap().pem()
    }

    /// A request for a certificate, PEM.
    ///
    /// # Panics
    /// Never in practice.
    pub fn certificate_request(&self) -> String {
        let request = params("CCF Node", false).serialize_request(&self.certificates);
        request.unwrap().pem().unwrap()
    }
}

fn params(name: &str, authority: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    }
    params
}

impl Signer for Key {
    fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign_root(&self, root: &Digest) -> Result<Vec<u8>, SigningFailed> {
        // The library wants a digest of 48 bytes; leading zeros leave the number as it is.
        let padded = [&[0; 16][..], root.as_ref()].concat();
        let digest = RawDigest::import_less_safe(&padded, &SHA384).map_err(|_| SigningFailed)?;
        let signature = self.asn1.sign_digest(&digest).map_err(|_| SigningFailed)?;
        Ok(signature.as_ref().to_vec())
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.fixed.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| SigningFailed)?.as_ref().to_vec())
    }
}

/// A ledger being written to a directory, one open chunk after the other.
pub struct LedgerWriter {
    /// The service's key.
    pub service: Key,
    /// The node's key.
    pub node: Key,
    /// The node's certificate, PEM.
    pub node_certificate: String,
    /// The service's certificate, PEM.
    pub service_certificate: String,
    /// The tree over everything written.
    pub tree: MerkleTree,
    secret: LedgerSecret,
    view: u64,
    committed: Seqno,
    directory: PathBuf,
    chunk: ChunkBuilder,
    file: BufWriter<File>,
    cose: bool,
}

impl LedgerWriter {
    /// An empty ledger with fresh keys.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        let (service, node) = (Key::generate(), Key::generate());
        let chunk = ChunkBuilder::new(Seqno(1));
        Self {
            node_certificate: node.node_certificate(&service),
            service_certificate: service.service_certificate(),
            tree: MerkleTree::new(),
            secret: LedgerSecret::generate(&SystemRandom::new()).unwrap(),
            view: 2,
            committed: Seqno(0),
            file: open(directory, &chunk),
            directory: directory.to_owned(),
            chunk,
            service,
            node,
            cose: true,
        }
    }

    /// Signatures are by the node alone, as before CCF 5.
    pub const fn without_cose(&mut self) {
        self.cose = false;
    }

    /// What the first transaction must write so that signatures can be checked.
    ///
    /// # Panics
    /// Never in practice.
    pub fn founding(&self) -> WriteSet {
        let id = self.node.key_id();
        let mut set = WriteSet::new();
        set.put(SERVICE_INFO, SINGLE_KEY, self.service_info("Opening", 0));
        set.put(NODES_INFO, id.as_str(), r#"{"status":"Trusted"}"#);
        set.put(NODES_CERTIFICATES, id, self.node_certificate.as_str());
        set
    }

    /// A row of service information.
    pub fn service_info(&self, status: &str, recoveries: u64) -> Vec<u8> {
        let row = json!({
            "cert": self.service_certificate,
            "recovery_count": recoveries,
            "status": status,
        });
        row.to_string().into_bytes()
    }

    /// The service goes on under another identity, with another node, in a later view.
    pub fn recover(&mut self) {
        self.service = Key::generate();
        self.node = Key::generate();
        self.node_certificate = self.node.node_certificate(&self.service);
        self.service_certificate = self.service.service_certificate();
        self.view += 2;
    }

    /// What private tables are encrypted with.
    pub const fn secret(&self) -> &LedgerSecret {
        &self.secret
    }

    /// Id of the next transaction.
    pub fn next(&self) -> TxId {
        TxId::new(self.view, self.tree.last().0 + 1)
    }

    /// Bytes of the open chunk.
    pub fn chunk_size(&self) -> u64 {
        self.chunk.size()
    }

    /// Writes a transaction.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&mut self, set: &WriteSet) -> TxId {
        self.entry(0, set)
    }

    fn entry(&mut self, flags: u8, set: &WriteSet) -> TxId {
        let id = self.next();
        let entry = encode(id, flags, Digest::ZERO, set, &self.secret).unwrap();
        assert!(self.chunk.push(entry.bytes.len()));
        self.file.write_all(&entry.bytes).unwrap();
        self.tree.append(entry.leaf);
        id
    }

    /// Signs what is there, and goes on in the same chunk.
    pub fn sign(&mut self) {
        self.sign_with(0);
    }

    /// Signs what is there and finishes the chunk.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn sign_and_finish(&mut self) {
        self.sign_with(FLAG_CHUNK_AFTER);
        let (table, header) = self.chunk.finish();
        self.file.write_all(&table).unwrap();
        self.file.seek(SeekFrom::Start(0)).unwrap();
        self.file.write_all(&header).unwrap();
        self.file.flush().unwrap();
        let name = |name: ChunkName| self.directory.join(name.to_string());
        let (first, last) = (self.chunk.first(), self.chunk.last());
        let committed = name(ChunkName::committed(first, last));
        fs::rename(name(ChunkName::open(first)), committed).unwrap();
        self.chunk = ChunkBuilder::new(last.next());
        self.file = open(&self.directory, &self.chunk);
    }

    fn sign_with(&mut self, flags: u8) {
        let mut set = signature_write_set(&SignatureInputs {
            id: self.next(),
            tree: &self.tree,
            tree_from: self.committed,
            node_key: &self.node,
            node_certificate: &self.node_certificate,
            service_key: &self.service,
            issuer: "issuer",
            subject: "subject",
            issued_at: 1,
        })
        .unwrap();
        if !self.cose {
            let mut kept = WriteSet::new();
            for (name, rows) in set.maps().filter(|(name, _)| *name != COSE_SIGNATURES_MAP) {
                kept.extend_map(name, rows.clone());
            }
            set = kept;
        }
        let id = self.entry(flags, &set);
        self.committed = id.seqno;
        // The last few thousand leaves stay, for ids of proposals.
        let until = id.seqno.0.saturating_sub(1 << 13).min(self.committed.0);
        self.tree.flush(Seqno(until));
        self.file.flush().unwrap();
    }
}

fn open(directory: &Path, chunk: &ChunkBuilder) -> BufWriter<File> {
    let name = ChunkName::open(chunk.first()).to_string();
    let mut file = BufWriter::with_capacity(1 << 18, File::create(directory.join(name)).unwrap());
    file.write_all(&ChunkBuilder::open_header()).unwrap();
    file.flush().unwrap();
    file
}
