//! Walking a ledger and checking all of it that is public (ledger format, section 10.4).
//!
//! Every signature covers everything before it, so what the last signature covers is
//! verified and nothing behind it is. The walk needs no secrets.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::chunk::{ChunkError, ChunkName, Entries};
use crate::entry::{Entry, EntryType, FLAG_CHUNK_AFTER};
use crate::hash::Digest;
use crate::id::{Seqno, TxId, View};
use crate::key::PublicKey;
use crate::merkle::{MerkleTree, TREE_MAP};
use crate::signature::{COSE_SIGNATURES_MAP, CoseRootSignature, SIGNATURES_MAP, SignatureRow};
use crate::write_set::SINGLE_KEY;

const NODES_INFO: &str = "public:ccf.gov.nodes.info";
const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";
const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// The rules a ledger is held to. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Chunk header, positions table and entry framing.
    ChunkLayout,
    /// The file's name agrees with what it holds, and chunks follow each other without gap.
    ChunkName,
    /// Positions count up by one.
    Seqno,
    /// The IV names the entry's own position and is not a snapshot's.
    Iv,
    /// Views never decrease.
    View,
    /// The entry type is one of a ledger.
    EntryType,
    /// A signature entry writes the signature tables only.
    SignatureMaps,
    /// A signature row parses.
    SignatureRow,
    /// The root in the row is the root of everything before.
    Root,
    /// The row names the entry's own view and position.
    SignatureId,
    /// The signing node is known and was trusted.
    Node,
    /// The node's certificate holds the key the node is named after.
    NodeCertificate,
    /// The node's certificate was issued by the service.
    NodeEndorsement,
    /// The node's signature over the root.
    NodeSignature,
    /// The serialised tree is the tree.
    Tree,
    /// The service's COSE signature over the root.
    CoseSignature,
    /// A service information row parses and its status follows from the one before.
    ServiceStatus,
    /// A node information row parses.
    NodeInfo,
    /// A chunk ends only after a signature.
    ChunkEnd,
    /// The service identity is the pinned one.
    PinnedIdentity,
    /// There is a signature at all.
    Signed,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: got {got}, want {want}", .check.id())]
pub struct Fault {
    /// The rule.
    pub check: Check,
    /// What stands there.
    pub got: String,
    /// What should.
    pub want: String,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Located {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// A place in a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// File name.
    pub file: String,
    /// Offset in the file.
    pub offset: usize,
    /// Position of the entry, where it could be read.
    pub seqno: Option<Seqno>,
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Last transaction covered by a signature; absent without any.
    pub verified_until: Option<TxId>,
    /// Last transaction present.
    pub last: Option<TxId>,
    /// Entries read.
    pub entries: u64,
    /// Entries behind the last signature. They are not verified.
    pub unsigned_tail: u64,
    /// Bytes behind the last whole entry of an open chunk: the beginning of an entry that a
    /// killed writer did not finish.
    pub torn_bytes: u64,
    /// Signature entries.
    pub signatures: u64,
    /// Those that carry a COSE signature too.
    pub cose_signatures: u64,
    /// Chunks read.
    pub chunks: u64,
    /// Id of the service key that signs at the end: hex SHA-256 of its public key.
    pub service_identity: Option<String>,
    /// Whether that is the identity the caller pinned. False: the ledger vouches for itself
    /// only.
    pub pinned: bool,
}

/// The walk. Feed it chunks in order, then [`Self::finish`].
pub struct LedgerVerifier {
    pinned: Option<PublicKey>,
    tree: MerkleTree,
    view: View,
    nodes: HashMap<String, Node>,
    service: Option<Service>,
    report: Report,
    last_was_signature: bool,
}

#[derive(Default)]
struct Node {
    status: String,
    certificate: Option<String>,
    /// The node's key, once its certificate was found issued by the current service.
    verified: Option<PublicKey>,
}

struct Service {
    status: String,
    certificate: String,
    key: PublicKey,
}

impl Check {
    /// Number of the rule, `LED-01` and so on.
    #[must_use]
    pub fn id(self) -> String {
        format!("LED-{:02}", self as u8 + 1)
    }

    fn fault(self, got: impl Into<String>, want: impl Into<String>) -> Fault {
        Fault {
            check: self,
            got: got.into(),
            want: want.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)?;
        if let Some(seqno) = self.seqno {
            write!(f, " (seqno {seqno})")?;
        }
        Ok(())
    }
}

impl LedgerVerifier {
    /// A walk from the first transaction. `pinned` is the service key the caller trusts, from
    /// outside the ledger.
    #[must_use]
    pub fn new(pinned: Option<PublicKey>) -> Self {
        Self {
            pinned,
            tree: MerkleTree::new(),
            view: View(0),
            nodes: HashMap::new(),
            service: None,
            report: Report::default(),
            last_was_signature: false,
        }
    }

    /// Checks the next chunk.
    ///
    /// # Errors
    /// The first thing that is wrong with it. The walk cannot go on behind it.
    pub fn chunk(&mut self, name: &ChunkName, bytes: &[u8]) -> Result<(), Located> {
        let mut place = Place {
            file: name.to_string(),
            offset: 0,
            seqno: None,
        };
        let located = |place: &Place, fault| Located {
            place: place.clone(),
            fault,
        };
        let torn = self.report.torn_bytes;
        if torn > 0 {
            let fault = Check::ChunkLayout.fault(
                format!("a chunk behind {torn} bytes of an unfinished entry"),
                "none",
            );
            return Err(located(&place, fault));
        }
        let next = self.next_seqno();
        if name.first != next {
            let fault = Check::ChunkName.fault(
                format!("a chunk from {}", name.first),
                format!("from {next}"),
            );
            return Err(located(&place, fault));
        }
        let layout =
            |error: ChunkError| Check::ChunkLayout.fault(error.to_string(), "a whole chunk");
        let mut entries = Entries::new(bytes).map_err(|e| located(&place, layout(e)))?;
        loop {
            place.offset = entries.offset();
            place.seqno = None;
            let Some((_, entry)) = entries
                .next_entry()
                .map_err(|e| located(&place, layout(e)))?
            else {
                break;
            };
            place.seqno = Some(entry.seqno);
            self.entry(&entry).map_err(|fault| located(&place, fault))?;
            // Only the last entry of a chunk may ask for its end.
            if entry.flags & FLAG_CHUNK_AFTER != 0 && !self.last_was_signature {
                let fault = Check::ChunkEnd.fault("flag 0x01 on another entry", "on a signature");
                return Err(located(&place, fault));
            }
        }
        let last = Seqno(self.next_seqno().0 - 1);
        if let Some(want) = name.last.filter(|want| *want != last) {
            let fault = Check::ChunkName.fault(format!("a last entry {last}"), want.to_string());
            return Err(located(&place, fault));
        }
        if entries.finished() && !self.last_was_signature {
            let fault = Check::ChunkEnd.fault(
                "a finished chunk without signature at its end",
                "a signature",
            );
            return Err(located(&place, fault));
        }
        self.report.torn_bytes = entries.torn_bytes() as u64;
        self.report.chunks += 1;
        Ok(())
    }

    /// The result.
    ///
    /// # Errors
    /// [`Check::Signed`] without any signature, [`Check::PinnedIdentity`] when the service is
    /// not the pinned one.
    pub fn finish(mut self) -> Result<Report, Fault> {
        let Some(verified) = self.report.verified_until else {
            return Err(Check::Signed.fault("no signature", "at least one"));
        };
        let identity = self.service.as_ref().map(|service| service.key.id());
        if let Some(pinned) = &self.pinned {
            if identity != Some(pinned.id()) {
                return Err(Check::PinnedIdentity.fault(identity.unwrap_or_default(), pinned.id()));
            }
            self.report.pinned = true;
        }
        self.report.service_identity = identity;
        self.report.unsigned_tail = self
            .report
            .last
            .map_or(0, |last| last.seqno.0 - verified.seqno.0);
        Ok(self.report)
    }

    fn next_seqno(&self) -> Seqno {
        self.tree.last().next()
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        let want = self.next_seqno();
        if entry.seqno != want {
            return Err(Check::Seqno.fault(entry.seqno.to_string(), want.to_string()));
        }
        if entry.iv_seqno != want || entry.snapshot_iv {
            let got = format!(
                "{}{}",
                entry.iv_seqno,
                if entry.snapshot_iv {
                    " of a snapshot"
                } else {
                    ""
                }
            );
            return Err(Check::Iv.fault(got, want.to_string()));
        }
        if entry.view < self.view {
            return Err(
                Check::View.fault(entry.view.to_string(), format!("at least {}", self.view))
            );
        }
        if entry.entry_type == EntryType::Snapshot {
            return Err(Check::EntryType.fault("a snapshot", "a transaction"));
        }
        self.view = entry.view;
        self.apply_service(entry)?;
        self.apply_nodes(entry)?;
        self.last_was_signature = false;
        if let Some(row) = entry
            .section(SIGNATURES_MAP)
            .and_then(|section| section.value(&SINGLE_KEY))
        {
            self.signature(entry, row)?;
        }
        self.tree.append(entry.leaf());
        self.report.entries += 1;
        self.report.last = Some(entry.id());
        if self.last_was_signature {
            self.report.signatures += 1;
            self.report.verified_until = Some(entry.id());
            self.tree.flush(entry.seqno);
        }
        Ok(())
    }

    fn apply_service(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Row {
            cert: String,
            status: String,
        }
        let Some(bytes) = entry
            .section(SERVICE_INFO)
            .and_then(|section| section.value(&SINGLE_KEY))
        else {
            return Ok(());
        };
        let row: Row = serde_json::from_slice(bytes)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service information row"))?;
        let before = self
            .service
            .as_ref()
            .map_or("", |service| service.status.as_str());
        let follows = matches!(
            (before, row.status.as_str()),
            (_, "Opening")
                | ("Open", "Recovering")
                | ("Opening" | "WaitingForRecoveryShares", "Open")
                | ("Recovering" | "Opening", "WaitingForRecoveryShares")
        ) || before == row.status;
        if !follows || (before.is_empty() && row.status != "Opening") {
            return Err(Check::ServiceStatus.fault(
                format!("{before:?} then {:?}", row.status),
                "a permitted change",
            ));
        }
        let key = PublicKey::of_certificate(&row.cert)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service certificate"))?;
        if self
            .service
            .as_ref()
            .is_none_or(|service| service.key != key)
        {
            // Another identity: every node certificate has to be looked at again.
            self.nodes
                .values_mut()
                .for_each(|node| node.verified = None);
        }
        self.service = Some(Service {
            status: row.status,
            certificate: row.cert,
            key,
        });
        Ok(())
    }

    fn apply_nodes(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Row {
            status: String,
            #[serde(default)]
            cert: Option<serde_json::Value>,
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(section) = entry.section(NODES_INFO) {
            for (id, bytes) in &section.writes {
                let row: Row = serde_json::from_slice(bytes)
                    .map_err(|e| Check::NodeInfo.fault(e.to_string(), "a node information row"))?;
                let node = self.nodes.entry(text(id)).or_default();
                node.status = row.status;
                // 1.x kept the certificate here, as text or as base64-free bytes of the PEM.
                if let Some(certificate) = row.cert.as_ref().and_then(pem_of_json) {
                    node.certificate = Some(certificate);
                    node.verified = None;
                }
            }
            for id in &section.removes {
                self.nodes.remove(&text(id));
            }
        }
        if let Some(section) = entry.section(NODES_CERTIFICATES) {
            for (id, pem) in &section.writes {
                let node = self.nodes.entry(text(id)).or_default();
                node.certificate = Some(text(pem));
                node.verified = None;
            }
        }
        Ok(())
    }

    fn signature(&mut self, entry: &Entry<'_>, row: &[u8]) -> Result<(), Fault> {
        let allowed = [SIGNATURES_MAP, COSE_SIGNATURES_MAP, TREE_MAP];
        if let Some(section) = entry
            .sections
            .iter()
            .find(|section| !allowed.contains(&section.name))
        {
            return Err(Check::SignatureMaps.fault(section.name, "signature tables only"));
        }
        if entry.has_private_domain() {
            return Err(Check::SignatureMaps.fault("private tables", "signature tables only"));
        }
        let row: SignatureRow = serde_json::from_slice(row)
            .map_err(|e| Check::SignatureRow.fault(e.to_string(), "a signature row"))?;
        let root = self.tree.root();
        if row.root != root {
            return Err(Check::Root.fault(row.root.to_hex(), root.to_hex()));
        }
        if (row.view, row.seqno) != (entry.view, entry.seqno) {
            return Err(Check::SignatureId.fault(
                format!("{}.{}", row.view, row.seqno),
                entry.id().to_string(),
            ));
        }
        let key = self.node_key(&row)?;
        key.verify_root(&root, &row.sig.0).map_err(|e| {
            Check::NodeSignature.fault(e.to_string(), format!("a signature by {}", row.node))
        })?;
        let tree = entry
            .section(TREE_MAP)
            .and_then(|section| section.value(&SINGLE_KEY));
        let tree = tree.ok_or_else(|| Check::Tree.fault("no tree", "a tree"))?;
        let tree = MerkleTree::deserialise(tree)
            .map_err(|e| Check::Tree.fault(e.to_string(), "a tree"))?;
        if (tree.last(), tree.root()) != (self.tree.last(), root) {
            return Err(Check::Tree.fault(tree.root().to_hex(), root.to_hex()));
        }
        self.cose_signature(entry, &root)?;
        self.last_was_signature = true;
        Ok(())
    }

    /// The key of the signing node, after its certificate was checked.
    fn node_key(&mut self, row: &SignatureRow) -> Result<PublicKey, Fault> {
        let node = self
            .nodes
            .get_mut(&row.node)
            .filter(|node| node.status != "Pending" && !node.status.is_empty())
            .ok_or_else(|| Check::Node.fault(row.node.clone(), "a node that was trusted"))?;
        let key = match node.verified.clone() {
            Some(key) => key,
            None => {
                let missing = || {
                    Check::NodeCertificate.fault("no certificate", format!("one of {}", row.node))
                };
                let pem = node.certificate.as_ref().ok_or_else(missing)?;
                let key = PublicKey::of_certificate(pem).map_err(|e| {
                    Check::NodeCertificate.fault(e.to_string(), "a node certificate")
                })?;
                // 1.x named nodes after their certificate.
                if key.id() != row.node && certificate_id(pem).as_ref() != Some(&row.node) {
                    return Err(Check::NodeCertificate.fault(key.id(), row.node.clone()));
                }
                let service = self
                    .service
                    .as_ref()
                    .ok_or_else(|| Check::NodeEndorsement.fault("no service", "one"))?;
                service.key.verify_certificate(pem).map_err(|e| {
                    Check::NodeEndorsement
                        .fault(e.to_string(), format!("issued by {}", service.key.id()))
                })?;
                node.verified = Some(key.clone());
                key
            }
        };
        if let Some(pem) = &row.cert {
            let claimed = PublicKey::of_certificate(pem)
                .map_err(|e| Check::NodeCertificate.fault(e.to_string(), "a node certificate"))?;
            if claimed != key {
                return Err(Check::NodeCertificate.fault(claimed.id(), key.id()));
            }
        }
        Ok(key)
    }

    fn cose_signature(&mut self, entry: &Entry<'_>, root: &Digest) -> Result<(), Fault> {
        let Some(row) = entry
            .section(COSE_SIGNATURES_MAP)
            .and_then(|section| section.value(&SINGLE_KEY))
        else {
            return Ok(());
        };
        let wrong = |e: &dyn fmt::Display| {
            Check::CoseSignature.fault(e.to_string(), "a signature by the service")
        };
        let signature = CoseRootSignature::from_row(row).map_err(|e| wrong(&e))?;
        if signature.id != entry.id() {
            return Err(
                Check::CoseSignature.fault(signature.id.to_string(), entry.id().to_string())
            );
        }
        let service = self.service.as_ref().ok_or_else(|| wrong(&"no service"))?;
        signature
            .verify(root, &service.key)
            .map_err(|e| wrong(&e))?;
        self.report.cose_signatures += 1;
        Ok(())
    }

    /// The certificate of the service at the end, PEM.
    #[must_use]
    pub fn service_certificate(&self) -> Option<&str> {
        self.service
            .as_ref()
            .map(|service| service.certificate.as_str())
    }
}

/// A certificate in a 1.x row: PEM text, or an array of its bytes.
fn pem_of_json(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(bytes) => {
            let bytes = bytes
                .iter()
                .map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok()))
                .collect::<Option<_>>()?;
            String::from_utf8(bytes).ok()
        }
        _ => None,
    }
}

fn certificate_id(pem: &str) -> Option<String> {
    crate::pem::decode(pem, &["CERTIFICATE"])
        .ok()
        .map(|(_, der)| Digest::of(&der).to_hex())
}
