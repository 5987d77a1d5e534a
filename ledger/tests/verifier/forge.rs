//! The writer of forgeries: what it writes is consistent, encoded, hashed and signed by the real keys after the change.

use aws_lc_rs::rand::SystemRandom;
use ledger::{
    Check, ChunkBuilder, ChunkName, Digest, FLAG_CHUNK_AFTER, LedgerSecret, LedgerVerifier,
    MerkleTree, PublicKey, SIGNATURES_MAP, SINGLE_KEY, Seqno, SignatureInputs, Signer as _, TxId,
    WriteSet, encode, signature_write_set,
};
use serde_json::{Value, json};
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO};

/// A ledger being written, honestly or not.
pub(crate) struct Forge {
    pub(crate) service: Key,
    pub(crate) node: Key,
    certificate: String,
    pub(crate) secret: LedgerSecret,
    pub(crate) tree: MerkleTree,
    builder: ChunkBuilder,
    pub(crate) bytes: Vec<u8>,
}

impl Forge {
    /// A forge whose first transaction `change` may alter.
    pub(crate) fn altered(change: impl FnOnce(&mut WriteSet, &Self)) -> Self {
        let (service, node) = (Key::generate(), Key::generate());
        let mut forge = Self {
            certificate: node.node_certificate(&service),
            service,
            node,
            secret: LedgerSecret::generate(&SystemRandom::new()).unwrap(),
            tree: MerkleTree::new(),
            builder: ChunkBuilder::new(Seqno(1)),
            bytes: ChunkBuilder::open_header().to_vec(),
        };
        let mut genesis = WriteSet::new();
        genesis.put(SERVICE_INFO, SINGLE_KEY, forge.service_info("Opening"));
        genesis.put(NODES_INFO, forge.node.key_id(), r#"{"status":"Trusted"}"#);
        genesis.put(
            NODES_CERTIFICATES,
            forge.node.key_id(),
            forge.certificate.clone(),
        );
        change(&mut genesis, &forge);
        forge.write(TxId::new(2, 1), 0, &genesis);
        forge
    }

    pub(crate) fn new() -> Self {
        Self::altered(|_, _| {})
    }

    pub(crate) fn service_info(&self, status: &str) -> Vec<u8> {
        let cert = self.service.service_certificate();
        json!({ "cert": cert, "status": status })
            .to_string()
            .into_bytes()
    }

    pub(crate) fn write(&mut self, id: TxId, flags: u8, set: &WriteSet) {
        let entry = encode(id, flags, Digest::ZERO, set, &self.secret).unwrap();
        self.append(entry.bytes, entry.leaf);
    }

    pub(crate) fn append(&mut self, bytes: Vec<u8>, leaf: Digest) {
        assert!(self.builder.push(bytes.len()));
        self.bytes.extend(bytes);
        self.tree.append(leaf);
    }

    pub(crate) fn put(&mut self, map: &str, value: impl Into<Vec<u8>>) -> &mut Self {
        let mut set = WriteSet::new();
        set.put(map, SINGLE_KEY, value);
        let id = TxId::new(2, self.next());
        self.write(id, 0, &set);
        self
    }

    pub(crate) fn next(&self) -> u64 {
        self.tree.last().0 + 1
    }

    /// The honest signature of what is there, as `change` leaves it.
    pub(crate) fn sign_altered(&mut self, change: impl FnOnce(&mut WriteSet)) -> &mut Self {
        let id = TxId::new(2, self.next());
        let mut set = signature_write_set(&SignatureInputs {
            id,
            tree: &self.tree,
            tree_from: Seqno(0),
            node_key: &self.node,
            node_certificate: &self.certificate,
            service_key: &self.service,
            issuer: "i",
            subject: "s",
            issued_at: 1,
        })
        .unwrap();
        change(&mut set);
        self.write(id, FLAG_CHUNK_AFTER, &set);
        self
    }

    /// A signature whose JSON row `change` alters.
    pub(crate) fn sign_row(&mut self, change: impl FnOnce(&mut Value)) -> &mut Self {
        self.sign_altered(|set| {
            let row = set.operation(SIGNATURES_MAP, &SINGLE_KEY).unwrap().unwrap();
            let mut row: Value = serde_json::from_slice(row).unwrap();
            change(&mut row);
            set.put(SIGNATURES_MAP, SINGLE_KEY, row.to_string());
        })
    }

    pub(crate) fn sign(&mut self) -> &mut Self {
        self.sign_altered(|_| {})
    }

    /// The chunk, finished.
    pub(crate) fn chunk(&self) -> Vec<u8> {
        let (table, header) = self.builder.finish();
        let mut bytes = [&self.bytes[..], &table].concat();
        bytes[..8].copy_from_slice(&header);
        bytes
    }

    pub(crate) fn verify(&self) -> Result<ledger::Report, Check> {
        let pinned = PublicKey::from_spki_der(self.service.public_key_der()).unwrap();
        let name = ChunkName::committed(Seqno(1), self.tree.last());
        verify(Some(pinned), &[(name, self.chunk())])
    }

    pub(crate) fn refused(&self) -> Check {
        self.verify().unwrap_err()
    }
}

pub(crate) fn verify(
    pinned: Option<PublicKey>,
    chunks: &[(ChunkName, Vec<u8>)],
) -> Result<ledger::Report, Check> {
    let mut verifier = LedgerVerifier::new(pinned);
    for (name, bytes) in chunks {
        verifier
            .chunk(name, bytes)
            .map_err(|located| located.fault.check)?;
    }
    verifier.finish().map_err(|fault| fault.check)
}
