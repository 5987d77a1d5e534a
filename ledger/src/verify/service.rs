//! What a ledger says of the service and its nodes, as far as signatures depend on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use super::check::{Check, Fault};
use crate::endorsement::{ENDORSEMENT_MAP, EndorsementError, EndorsementRow};
use crate::entry::Entry;
use crate::hash::Digest;
use crate::id::TxId;
use crate::key::PublicKey;
use crate::signature::SignatureRow;
use crate::write_set::SINGLE_KEY;

pub(super) const NODES_INFO: &str = "public:ccf.gov.nodes.info";
pub(super) const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";
pub(super) const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// Tables that a walk from a snapshot has to know from it.
pub(crate) const FOLLOWED_BY_SNAPSHOTS: [&str; 3] = [NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO];

/// Tables that the rules on signatures read.
#[derive(Clone, Default)]
pub(super) struct Tables {
    nodes: HashMap<String, Node>,
    service: Option<Service>,
    epochs: Vec<Epoch>,
    /// Endorsements whose epoch ends before it begins: they vouch for nothing.
    pub(super) empty_endorsements: u64,
}

#[derive(Clone, Default)]
struct Node {
    status: String,
    certificate: Option<String>,
    /// The node's key, once its certificate was found issued by the current service.
    verified: Option<Arc<PublicKey>>,
}

#[derive(Clone)]
struct Service {
    status: String,
    certificate: String,
    key: Arc<PublicKey>,
}

/// A service identity and what it signed.
#[derive(Clone, Debug)]
pub(super) struct Epoch {
    /// The service's key.
    pub(super) key: Arc<PublicKey>,
    /// Its last signature, and the root that one signs.
    pub(super) last_signed: Option<(TxId, Digest)>,
}

#[derive(Deserialize)]
struct ServiceRow {
    cert: String,
    status: String,
}

#[derive(Deserialize)]
struct NodeRow {
    status: String,
    #[serde(default)]
    cert: Option<serde_json::Value>,
}

impl Tables {
    pub(super) fn apply(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        if let Some(row) = single(entry, SERVICE_INFO) {
            self.service_row(row)?;
        }
        if let Some(section) = entry.section(NODES_INFO) {
            for (id, row) in &section.writes {
                self.node_row(id, row)?;
            }
            for id in &section.removes {
                self.nodes.remove(&text(id));
            }
        }
        if let Some(section) = entry.section(NODES_CERTIFICATES) {
            for (id, pem) in &section.writes {
                self.node_certificate(id, pem);
            }
        }
        match single(entry, ENDORSEMENT_MAP) {
            Some(row) => self.endorsement(row),
            None => Ok(()),
        }
    }

    /// A row of a snapshot.
    pub(super) fn seed(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match table {
            SERVICE_INFO => self.resumed_service(value),
            NODES_INFO => self.node_row(key, value),
            NODES_CERTIFICATES => {
                self.node_certificate(key, value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The service as it is in the middle of its life.
    fn resumed_service(&mut self, row: &[u8]) -> Result<(), Fault> {
        let row: ServiceRow = serde_json::from_slice(row)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service information row"))?;
        let key = PublicKey::of_certificate(&row.cert)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service certificate"))?;
        let key = self.new_identity(key);
        self.service = Some(Service {
            status: row.status,
            certificate: row.cert,
            key,
        });
        Ok(())
    }

    fn service_row(&mut self, row: &[u8]) -> Result<(), Fault> {
        let row: ServiceRow = serde_json::from_slice(row)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service information row"))?;
        let before = self
            .service
            .as_ref()
            .map_or("", |service| service.status.as_str());
        if !follows(before, &row.status) {
            let got = format!("{before:?} then {:?}", row.status);
            return Err(Check::ServiceStatus.fault(got, "a permitted change"));
        }
        if let Some(service) = &mut self.service
            && service.certificate == row.cert
        {
            service.status = row.status;
            return Ok(());
        }
        let key = PublicKey::of_certificate(&row.cert)
            .map_err(|e| Check::ServiceStatus.fault(e.to_string(), "a service certificate"))?;
        let known = self.service.as_ref().map(|service| &service.key);
        let key = match known.filter(|known| ***known == key) {
            Some(known) => Arc::clone(known),
            None => self.new_identity(key),
        };
        self.service = Some(Service {
            status: row.status,
            certificate: row.cert,
            key,
        });
        Ok(())
    }

    /// Another identity: every node certificate has to be looked at again.
    fn new_identity(&mut self, key: PublicKey) -> Arc<PublicKey> {
        for node in self.nodes.values_mut() {
            node.verified = None;
        }
        let key = Arc::new(key);
        self.epochs.push(Epoch {
            key: Arc::clone(&key),
            last_signed: None,
        });
        key
    }

    fn node_row(&mut self, id: &[u8], row: &[u8]) -> Result<(), Fault> {
        let row: NodeRow = serde_json::from_slice(row)
            .map_err(|e| Check::NodeInfo.fault(e.to_string(), "a node information row"))?;
        let node = self.nodes.entry(text(id)).or_default();
        node.status = row.status;
        // 1.x kept the certificate here, as text or as the bytes of the PEM.
        if let Some(certificate) = row.cert.as_ref().and_then(pem_of_json) {
            node.certificate = Some(certificate);
            node.verified = None;
        }
        Ok(())
    }

    fn node_certificate(&mut self, id: &[u8], pem: &[u8]) {
        let node = self.nodes.entry(text(id)).or_default();
        node.certificate = Some(text(pem));
        node.verified = None;
    }

    /// LED-22. An endorsement vouches for the service itself, or for one that signed this ledger before it.
    fn endorsement(&mut self, row: &[u8]) -> Result<(), Fault> {
        let wrong = |got: String| Check::Endorsement.fault(got, "an endorsement by the service");
        let row: EndorsementRow = serde_json::from_slice(row).map_err(|e| wrong(e.to_string()))?;
        let service = self
            .service_key()
            .ok_or_else(|| wrong("no service".to_owned()))?;
        let endorsed = match row.verify(&service) {
            Ok(endorsed) => endorsed,
            Err(EndorsementError::EmptyEpoch { .. }) => {
                self.empty_endorsements += 1;
                return Ok(());
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let Some(end) = endorsed.end else {
            if endorsed.key != *service {
                return Err(wrong(format!("{} without an end", endorsed.key.id())));
            }
            return Ok(());
        };
        let known = self.epochs.iter().any(|epoch| {
            *epoch.key == endorsed.key
                && epoch.last_signed.is_some_and(|(signed, root)| {
                    signed == end && endorsed.end_root.is_none_or(|claimed| claimed == root)
                })
        });
        if !known {
            return Err(wrong(format!("{} until {end}", endorsed.key.id())));
        }
        Ok(())
    }

    /// Notes a signature by the current service.
    pub(super) fn signed(&mut self, id: TxId, root: Digest) {
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.last_signed = Some((id, root));
        }
    }

    /// The identities that have signed, in the order in which they did, each with its last signature and the root that one
    /// signs. One that was only named is none of them.
    pub(super) fn signed_epochs(&self) -> Vec<(&PublicKey, TxId, Digest)> {
        let signed = self.epochs.iter().filter_map(|epoch| {
            let (id, root) = epoch.last_signed?;
            Some((&*epoch.key, id, root))
        });
        signed.collect()
    }

    pub(super) fn service_key(&self) -> Option<Arc<PublicKey>> {
        self.service
            .as_ref()
            .map(|service| Arc::clone(&service.key))
    }

    pub(super) fn service_certificate(&self) -> Option<&str> {
        self.service
            .as_ref()
            .map(|service| service.certificate.as_str())
    }

    /// The key of the signing node, after its certificate was checked.
    pub(super) fn signer(&mut self, row: &SignatureRow) -> Result<Arc<PublicKey>, Fault> {
        let service = self.service.as_ref();
        let node = self
            .nodes
            .get_mut(&row.node)
            .filter(|node| node.status != "Pending" && !node.status.is_empty())
            .ok_or_else(|| Check::Node.fault(row.node.clone(), "a node that was trusted"))?;
        let key = match &node.verified {
            Some(key) => Arc::clone(key),
            None => {
                let key = Arc::new(endorsed_key(node, &row.node, service)?);
                node.verified = Some(Arc::clone(&key));
                key
            }
        };
        // Rows repeat the certificate as it stands in the table, nearly always.
        if let Some(pem) = row
            .cert
            .as_ref()
            .filter(|pem| node.certificate.as_ref() != Some(*pem))
        {
            let claimed = PublicKey::of_certificate(pem)
                .map_err(|e| Check::NodeCertificate.fault(e.to_string(), "a node certificate"))?;
            if claimed != *key {
                return Err(Check::NodeCertificate.fault(claimed.id(), key.id()));
            }
        }
        Ok(key)
    }
}

/// The certificates of nodes, PEM by node id, that this entry records as 1.x did: in the rows of [`NODES_INFO`].
pub(crate) fn recorded_certificates(entry: &Entry<'_>) -> BTreeMap<String, String> {
    let section = entry.section(NODES_INFO);
    let rows = section
        .into_iter()
        .flat_map(|section| section.writes.iter());
    let certificate = |row: &[u8]| {
        let row: NodeRow = serde_json::from_slice(row).ok()?;
        pem_of_json(row.cert.as_ref()?)
    };
    rows.filter_map(|(id, row)| Some((text(id), certificate(row)?)))
        .collect()
}

/// The key in a node's certificate, if it is the one the node is named after and the service issued the certificate.
fn endorsed_key(node: &Node, id: &str, service: Option<&Service>) -> Result<PublicKey, Fault> {
    let missing = || Check::NodeCertificate.fault("no certificate", format!("one of {id}"));
    let pem = node.certificate.as_ref().ok_or_else(missing)?;
    let key = PublicKey::of_certificate(pem)
        .map_err(|e| Check::NodeCertificate.fault(e.to_string(), "a node certificate"))?;
    if !key.names_node(pem, id) {
        return Err(Check::NodeCertificate.fault(key.id(), id));
    }
    let service = service.ok_or_else(|| Check::NodeEndorsement.fault("no service", "one"))?;
    service.key.verify_certificate(pem).map_err(|e| {
        Check::NodeEndorsement.fault(e.to_string(), format!("issued by {}", service.key.id()))
    })?;
    Ok(key)
}

/// LED-17.
fn follows(before: &str, status: &str) -> bool {
    let follows = matches!(
        (before, status),
        (_, "Opening")
            | ("Open", "Recovering")
            | ("Opening" | "WaitingForRecoveryShares", "Open")
            | ("Recovering" | "Opening", "WaitingForRecoveryShares")
    ) || before == status;
    follows && (!before.is_empty() || status == "Opening")
}

pub(super) fn single<'a>(entry: &Entry<'a>, map: &str) -> Option<&'a [u8]> {
    entry
        .section(map)
        .and_then(|section| section.value(&SINGLE_KEY))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
