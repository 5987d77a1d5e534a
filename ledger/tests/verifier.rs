//! Each check on ledgers by number: a small ledger that holds, and one forgery per check.
//!
//! The forgeries are consistent otherwise: they are encoded, hashed and signed by the real
//! keys after the change, so that the check named is what finds them.
#![allow(clippy::unwrap_used, missing_docs)]

use aws_lc_rs::digest::{Digest as RawDigest, SHA384};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
};
use ledger::{
    COSE_SIGNATURES_MAP, Check, ChunkBuilder, ChunkName, Digest, ENDORSEMENT_MAP, EndorsementRow,
    FLAG_CHUNK_AFTER, LedgerSecret, LedgerVerifier, MerkleTree, PublicKey, SIGNATURES_MAP,
    SINGLE_KEY, SNAPSHOT_EVIDENCE_MAP, Seqno, SignatureInputs, Signer, SigningFailed, TREE_MAP,
    TxId, WriteSet, encode, signature_write_set,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    PublicKeyData,
};
use serde_json::{Value, json};

const SERVICE_INFO: &str = "public:ccf.gov.service.info";
const NODES_INFO: &str = "public:ccf.gov.nodes.info";
const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";

struct Key {
    certificates: KeyPair,
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let certificates = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let der = certificates.serialize_der();
        Self {
            asn1: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).unwrap(),
            fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &der).unwrap(),
            spki: certificates.subject_public_key_info(),
            certificates,
        }
    }
}

impl Signer for Key {
    fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign_root(&self, root: &Digest) -> Result<Vec<u8>, SigningFailed> {
        let padded = [&[0; 16][..], root.as_ref()].concat();
        let digest = RawDigest::import_less_safe(&padded, &SHA384).map_err(|_| SigningFailed)?;
        Ok(self
            .asn1
            .sign_digest(&digest)
            .map_err(|_| SigningFailed)?
            .as_ref()
            .to_vec())
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.fixed.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| SigningFailed)?.as_ref().to_vec())
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

fn service_certificate(key: &Key) -> String {
    params("CCF Service", true)
        .self_signed(&key.certificates)
        .unwrap()
        .pem()
}

fn node_certificate(node: &Key, service: &Key) -> String {
    let issuer = Issuer::new(params("CCF Service", true), &service.certificates);
    params("CCF Node", false)
        .signed_by(&node.certificates, &issuer)
        .unwrap()
        .pem()
}

/// A ledger being written, honestly or not.
struct Forge {
    service: Key,
    node: Key,
    certificate: String,
    secret: LedgerSecret,
    tree: MerkleTree,
    builder: ChunkBuilder,
    bytes: Vec<u8>,
}

impl Forge {
    /// A forge whose first transaction `change` may alter.
    fn altered(change: impl FnOnce(&mut WriteSet, &Self)) -> Self {
        let (service, node) = (Key::new(), Key::new());
        let mut forge = Self {
            certificate: node_certificate(&node, &service),
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

    fn new() -> Self {
        Self::altered(|_, _| {})
    }

    fn service_info(&self, status: &str) -> Vec<u8> {
        let cert = service_certificate(&self.service);
        json!({ "cert": cert, "status": status })
            .to_string()
            .into_bytes()
    }

    fn write(&mut self, id: TxId, flags: u8, set: &WriteSet) {
        let entry = encode(id, flags, Digest::ZERO, set, &self.secret).unwrap();
        self.append(entry.bytes, entry.leaf);
    }

    fn append(&mut self, bytes: Vec<u8>, leaf: Digest) {
        assert!(self.builder.push(bytes.len()));
        self.bytes.extend(bytes);
        self.tree.append(leaf);
    }

    fn put(&mut self, map: &str, value: impl Into<Vec<u8>>) -> &mut Self {
        let mut set = WriteSet::new();
        set.put(map, SINGLE_KEY, value);
        let id = TxId::new(2, self.next());
        self.write(id, 0, &set);
        self
    }

    fn next(&self) -> u64 {
        self.tree.last().0 + 1
    }

    /// The honest signature of what is there, as `change` leaves it.
    fn sign_altered(&mut self, change: impl FnOnce(&mut WriteSet)) -> &mut Self {
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
    fn sign_row(&mut self, change: impl FnOnce(&mut Value)) -> &mut Self {
        self.sign_altered(|set| {
            let row = set.operation(SIGNATURES_MAP, &SINGLE_KEY).unwrap().unwrap();
            let mut row: Value = serde_json::from_slice(row).unwrap();
            change(&mut row);
            set.put(SIGNATURES_MAP, SINGLE_KEY, row.to_string());
        })
    }

    fn sign(&mut self) -> &mut Self {
        self.sign_altered(|_| {})
    }

    /// The chunk, finished.
    fn chunk(&self) -> Vec<u8> {
        let (table, header) = self.builder.finish();
        let mut bytes = [&self.bytes[..], &table].concat();
        bytes[..8].copy_from_slice(&header);
        bytes
    }

    fn verify(&self) -> Result<ledger::Report, Check> {
        let pinned = PublicKey::from_spki_der(self.service.public_key_der()).unwrap();
        let name = ChunkName::committed(Seqno(1), self.tree.last());
        verify(Some(pinned), &[(name, self.chunk())])
    }

    fn refused(&self) -> Check {
        self.verify().unwrap_err()
    }
}

fn verify(
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

#[test]
fn the_honest_ledger_holds() {
    let mut forge = Forge::new();
    let open = forge.service_info("Open");
    forge
        .sign()
        .put(SERVICE_INFO, open)
        .put("public:rows", "v")
        .sign();
    let report = forge.verify().unwrap();
    assert_eq!(report.verified_until, Some(TxId::new(2, 5)));
    assert_eq!(
        (report.entries, report.signatures, report.cose_signatures),
        (5, 2, 2)
    );
    assert!(report.pinned && report.unsigned_tail == 0);
}

#[test]
fn numbers_are_those_of_the_documentation() {
    let ids = [
        Check::ChunkLayout,
        Check::Root,
        Check::CoseSignature,
        Check::Signed,
    ]
    .map(Check::id);
    assert_eq!(ids, ["LED-01", "LED-09", "LED-16", "LED-21"]);
}

#[test]
fn led_01_chunk_layout() {
    let mut forge = Forge::new();
    forge.sign();
    let mut bytes = forge.chunk();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let name = ChunkName::committed(Seqno(1), Seqno(2));
    assert_eq!(verify(None, &[(name, bytes)]), Err(Check::ChunkLayout));
}

#[test]
fn led_02_names_and_contiguity() {
    let mut forge = Forge::new();
    forge.sign();
    for name in [
        ChunkName::committed(Seqno(1), Seqno(3)),
        ChunkName::committed(Seqno(2), Seqno(3)),
    ] {
        assert_eq!(
            verify(None, &[(name, forge.chunk())]),
            Err(Check::ChunkName),
            "{name}"
        );
    }
}

#[test]
fn led_03_positions() {
    let mut forge = Forge::new();
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(2, 3), 0, &set);
    assert_eq!(forge.sign().refused(), Check::Seqno);
}

#[test]
fn led_04_initialisation_vector() {
    for (at, bit) in [(24, 1), (35, 0x80)] {
        let mut forge = Forge::new();
        let mut set: WriteSet = WriteSet::new();
        set.put("public:rows", "k", "v");
        let entry = encode(TxId::new(2, 2), 0, Digest::ZERO, &set, &forge.secret).unwrap();
        let mut bytes = entry.bytes;
        bytes[at] ^= bit;
        let leaf = ledger::Entry::parse(&bytes).unwrap().leaf();
        forge.append(bytes, leaf);
        assert_eq!(forge.sign().refused(), Check::Iv, "byte {at}");
    }
}

#[test]
fn led_05_views() {
    let mut forge = Forge::new();
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(3, 2), 0, &set);
    assert_eq!(forge.sign().refused(), Check::View);
}

#[test]
fn led_06_entry_types() {
    let mut forge = Forge::new();
    let mut set: WriteSet = WriteSet::new();
    set.put("public:rows", "k", "v");
    let mut bytes = encode(TxId::new(2, 2), 0, Digest::ZERO, &set, &forge.secret)
        .unwrap()
        .bytes;
    bytes[44] = 1;
    let leaf = ledger::Entry::parse(&bytes).unwrap().leaf();
    forge.append(bytes, leaf);
    assert_eq!(forge.sign().refused(), Check::EntryType);
}

#[test]
fn led_07_signatures_write_nothing_else() {
    for map in ["public:rows", "private"] {
        let mut forge = Forge::new();
        forge.sign_altered(|set| set.put(map, "k", "v"));
        assert_eq!(forge.refused(), Check::SignatureMaps, "{map}");
    }
}

#[test]
fn led_08_to_10_signature_rows() {
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(SIGNATURES_MAP, SINGLE_KEY, "{}"));
    assert_eq!(forge.refused(), Check::SignatureRow);
    let mut forge = Forge::new();
    forge.sign_row(|row| row["root"] = json!(Digest::of(b"another").to_hex()));
    assert_eq!(forge.refused(), Check::Root);
    for (field, value) in [("seqno", 9), ("view", 9)] {
        let mut forge = Forge::new();
        forge.sign_row(|row| row[field] = json!(value));
        assert_eq!(forge.refused(), Check::SignatureId, "{field}");
    }
}

#[test]
fn led_11_only_nodes_that_were_trusted_sign() {
    for info in [r#"{"status":"Pending"}"#, r#"{"status":""}"#] {
        let mut forge =
            Forge::altered(|genesis, forge| genesis.put(NODES_INFO, forge.node.key_id(), info));
        assert_eq!(forge.sign().refused(), Check::Node, "{info}");
    }
    let mut forge = Forge::new();
    forge.node = Key::new();
    assert_eq!(forge.sign().refused(), Check::Node);
}

#[test]
fn led_12_the_certificate_is_the_nodes() {
    let mut forge = Forge::altered(|genesis, forge| {
        let other = node_certificate(&Key::new(), &forge.service);
        genesis.put(NODES_CERTIFICATES, forge.node.key_id(), other);
    });
    assert_eq!(forge.sign().refused(), Check::NodeCertificate);
    let mut forge = Forge::new();
    let other = node_certificate(&Key::new(), &forge.service);
    forge.sign_row(|row| row["cert"] = json!(other));
    assert_eq!(forge.refused(), Check::NodeCertificate);
    let mut forge =
        Forge::altered(|genesis, forge| genesis.remove(NODES_CERTIFICATES, forge.node.key_id()));
    assert_eq!(forge.sign().refused(), Check::NodeCertificate);
}

#[test]
fn led_13_the_certificate_was_issued_by_the_service() {
    let mut forge = Forge::altered(|genesis, forge| {
        let other = node_certificate(&forge.node, &Key::new());
        genesis.put(NODES_CERTIFICATES, forge.node.key_id(), other);
    });
    assert_eq!(forge.sign().refused(), Check::NodeEndorsement);
}

#[test]
fn led_14_the_node_signed() {
    let mut forge = Forge::new();
    let other = Key::new();
    let root = forge.tree.root();
    let signature = ledger::Base64(other.sign_root(&root).unwrap());
    forge.sign_row(|row| row["sig"] = json!(signature));
    assert_eq!(forge.refused(), Check::NodeSignature);
}

#[test]
fn led_15_the_tree_is_the_tree() {
    let mut other = MerkleTree::new();
    other.append(Digest::of(b"another"));
    let other = other.serialise(Seqno(0)).unwrap();
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(TREE_MAP, SINGLE_KEY, other));
    assert_eq!(forge.refused(), Check::Tree);
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(TREE_MAP, SINGLE_KEY, "short"));
    assert_eq!(forge.refused(), Check::Tree);
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.remove(TREE_MAP, SINGLE_KEY));
    assert_eq!(forge.refused(), Check::Tree);
}

#[test]
fn led_16_the_service_signed_this_entry() {
    // The signature of another ledger's same position: another key, another root.
    let mut other = Forge::new();
    let mut foreign = Vec::new();
    other.sign_altered(|set| {
        foreign = set
            .operation(COSE_SIGNATURES_MAP, &SINGLE_KEY)
            .unwrap()
            .unwrap()
            .to_vec();
    });
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(COSE_SIGNATURES_MAP, SINGLE_KEY, foreign));
    assert_eq!(forge.refused(), Check::CoseSignature);
    // An earlier one of the same service.
    let mut forge = Forge::new();
    let mut earlier = Vec::new();
    forge.sign_altered(|set| {
        earlier = set
            .operation(COSE_SIGNATURES_MAP, &SINGLE_KEY)
            .unwrap()
            .unwrap()
            .to_vec();
    });
    forge.sign_altered(|set| set.put(COSE_SIGNATURES_MAP, SINGLE_KEY, earlier));
    assert_eq!(forge.refused(), Check::CoseSignature);
}

#[test]
fn led_17_statuses_follow_each_other() {
    let walk = |statuses: &[&str]| {
        let mut forge = Forge::new();
        for status in statuses {
            forge.put(SERVICE_INFO, forge.service_info(status));
        }
        forge.sign().verify().map(|_| ())
    };
    for good in [
        &["Opening"][..],
        &["Open", "Open"],
        &["Open", "Recovering", "WaitingForRecoveryShares", "Open"],
        &["WaitingForRecoveryShares", "Open", "Opening"],
    ] {
        assert_eq!(walk(good), Ok(()), "{good:?}");
    }
    for bad in [
        &["Recovering"][..],
        &["Open", "WaitingForRecoveryShares"],
        &["Open", "Recovering", "Open"],
        &["Closed"],
    ] {
        assert_eq!(walk(bad), Err(Check::ServiceStatus), "{bad:?}");
    }
    let first = Forge::altered(|genesis, forge| {
        genesis.put(SERVICE_INFO, SINGLE_KEY, forge.service_info("Open"));
    });
    assert_eq!(first.refused(), Check::ServiceStatus);
}

#[test]
fn led_18_node_rows() {
    let forge = Forge::altered(|genesis, forge| genesis.put(NODES_INFO, forge.node.key_id(), "[]"));
    assert_eq!(forge.refused(), Check::NodeInfo);
}

#[test]
fn led_19_chunks_end_with_a_signature() {
    let mut forge = Forge::new();
    assert_eq!(
        forge.sign().put("public:rows", "v").refused(),
        Check::ChunkEnd
    );
    let mut forge = Forge::new();
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(2, 2), FLAG_CHUNK_AFTER, &set);
    assert_eq!(forge.sign().refused(), Check::ChunkEnd);
}

#[test]
fn led_20_pinned_identity() {
    let mut forge = Forge::new();
    forge.sign();
    let other = PublicKey::from_spki_der(Key::new().public_key_der()).unwrap();
    let name = ChunkName::committed(Seqno(1), Seqno(2));
    assert_eq!(
        verify(Some(other), &[(name, forge.chunk())]),
        Err(Check::PinnedIdentity)
    );
}

#[test]
fn led_21_something_is_signed_and_the_tail_is_reported() {
    let forge = Forge::new();
    let open = ChunkName::open(Seqno(1));
    assert_eq!(
        verify(None, &[(open, forge.bytes.clone())]),
        Err(Check::Signed)
    );
    assert_eq!(verify(None, &[]), Err(Check::Signed));
    let mut forge = Forge::new();
    forge.sign().put("public:rows", "v").put("public:rows", "w");
    let report = verify(None, &[(open, forge.bytes.clone())]).unwrap();
    assert_eq!(
        (report.verified_until, report.unsigned_tail),
        (Some(TxId::new(2, 2)), 2)
    );
}

#[test]
fn what_a_killed_writer_left_behind_is_reported_and_verifies_to_the_last_whole_signature() {
    let mut forge = Forge::new();
    let mut ends = vec![(0, None), (forge.bytes.len(), None)];
    forge.sign();
    ends.push((forge.bytes.len(), Some(TxId::new(2, 2))));
    forge.put("public:rows", "v");
    ends.push((forge.bytes.len(), Some(TxId::new(2, 2))));
    forge.sign();
    ends.push((forge.bytes.len(), Some(TxId::new(2, 4))));
    let open = ChunkName::open(Seqno(1));
    for length in 8..=forge.bytes.len() {
        let (whole, want) = *ends.iter().rev().find(|(end, _)| *end <= length).unwrap();
        let outcome = verify(None, &[(open, forge.bytes[..length].to_vec())]);
        match want {
            None => assert_eq!(outcome, Err(Check::Signed), "cut to {length}"),
            Some(_) => {
                let report = outcome.unwrap();
                assert_eq!(report.verified_until, want, "cut to {length}");
                assert_eq!(
                    report.torn_bytes,
                    (length - whole) as u64,
                    "cut to {length}"
                );
            }
        }
    }
    // Nothing follows a torn entry, and a finished chunk has none.
    let torn = forge.bytes[..forge.bytes.len() - 1].to_vec();
    let next = (ChunkName::open(Seqno(4)), forge.bytes[..8].to_vec());
    assert_eq!(verify(None, &[(open, torn), next]), Err(Check::ChunkLayout));
}

#[test]
fn led_22_endorsements_are_the_services() {
    let with = |key: &Key, endorsed: &Key| {
        let mut row = EndorsementRow::self_endorsement(key, TxId::new(2, 1), 1).unwrap();
        row.endorsing_key = ledger::Base64(endorsed.public_key_der().to_vec());
        serde_json::to_vec(&row).unwrap()
    };
    let mut forge = Forge::new();
    let honest = with(&forge.service, &forge.service);
    forge.put(ENDORSEMENT_MAP, honest).sign();
    assert_eq!(forge.verify().map(|_| ()), Ok(()));
    let mut forge = Forge::new();
    let other = Key::new();
    let foreign = with(&other, &other);
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, foreign).sign().refused(),
        Check::Endorsement
    );
    let mut forge = Forge::new();
    let lie = with(&other, &forge.service);
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, lie).sign().refused(),
        Check::Endorsement
    );
    // Of an earlier service that never signed here.
    let mut forge = Forge::new();
    let first = EndorsementRow::self_endorsement(&other, TxId::new(2, 1), 1).unwrap();
    let created = TxId::new(4, 9);
    let row = EndorsementRow::of_previous(
        &forge.service,
        &first,
        Seqno(3),
        created,
        &Digest::of(b"x"),
        1,
    );
    let row = serde_json::to_vec(&row.unwrap()).unwrap();
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, row).sign().refused(),
        Check::Endorsement
    );
}

#[test]
fn led_24_evidence_of_a_snapshot_is_claimed() {
    let mut forge = Forge::new();
    let row = json!({ "hash": Digest::of(b"snapshot"), "version": 1 }).to_string();
    forge.put(SNAPSHOT_EVIDENCE_MAP, row);
    assert_eq!(forge.sign().refused(), Check::SnapshotEvidence);
}
