//! Ledgers of a service with a long past, written without living through it: its members recover it and go on.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use governance::Identity;
use ledger::{
    ENDORSEMENT_MAP, EndorsementRow, HISTORICAL_SECRET_MAP, HistoricalSecretRow,
    RECOVERY_SHARES_MAP, RecoveryMembers, RecoverySharesRow, RsaPublicKey, SINGLE_KEY, Signer as _,
    TxId, WriteSet, canonical,
};
use serde_json::json;

use crate::ledger_writer::{LedgerWriter, NODES_INFO, SERVICE_INFO};

/// Transactions between signatures, as a busy CCF node has them.
const BETWEEN_SIGNATURES: u64 = 5_000;
const CHUNK: u64 = 5 << 20;

/// Writes the ledger of a service with these active members, whose recovery takes the share of any one of them, and this
/// past. Gives its certificate, PEM.
///
/// # Panics
/// When a file cannot be written, or a member has no encryption key.
pub fn write(
    directory: &Path,
    members: &[&Identity],
    past: impl IntoIterator<Item = WriteSet>,
) -> String {
    let mut writer = LedgerWriter::new(directory);
    writer.write(&genesis(&writer, members));
    writer.sign();
    writer.write(&opening(&writer, members));
    for (set, n) in past.into_iter().zip(1_u64..) {
        writer.write(&set);
        if n.is_multiple_of(BETWEEN_SIGNATURES) {
            if writer.chunk_size() >= CHUNK {
                writer.sign_and_finish();
            } else {
                writer.sign();
            }
        }
    }
    writer.sign();
    writer.service_certificate.clone()
}

/// So many transactions with a small public and a small private row each.
pub fn small_rows(count: u64) -> impl Iterator<Item = WriteSet> {
    (0..count).map(|n: u64| {
        let mut set = WriteSet::new();
        set.put(
            "public:rows",
            n.to_le_bytes(),
            [n.to_le_bytes(); 8].as_flattened(),
        );
        set.put(
            "records",
            n.to_le_bytes(),
            [n.to_le_bytes(); 4].as_flattened(),
        );
        set
    })
}

/// So many proposals of this member, each accepted when it was made.
///
/// # Panics
/// Never in practice: the rows have a JSON form.
pub fn decided_proposals(count: u64, proposer: &Identity) -> impl Iterator<Item = WriteSet> {
    let proposer = proposer.id().to_string();
    (0..count).map(move |n| {
        let id = format!("{n:064x}");
        let args = json!({ "contractId": format!("past{n}"), "contract": { "data": "terms" } });
        let proposal = json!({ "actions": [{ "name": "set_contract", "args": args }] });
        let info = json!({
            "ballots": {},
            "final_votes": { &proposer: true },
            "proposer_id": &proposer,
            "state": "Accepted",
        });
        let mut set = WriteSet::new();
        set.put(
            "public:ccf.gov.proposals",
            id.as_str(),
            proposal.to_string().into_bytes(),
        );
        set.put(
            "public:ccf.gov.proposals_info",
            id.as_str(),
            canonical(&info).unwrap(),
        );
        set
    })
}

fn service_info(writer: &LedgerWriter, status: &str) -> Vec<u8> {
    let row = json!({
        "cert": writer.service_certificate,
        "current_service_create_txid": "2.1",
        "recovery_count": 0,
        "status": status,
    });
    canonical(&row).unwrap()
}

fn genesis(writer: &LedgerWriter, members: &[&Identity]) -> WriteSet {
    let mut set = writer.founding();
    let node = writer.node.key_id();
    set.put(SERVICE_INFO, SINGLE_KEY, service_info(writer, "Opening"));
    let address = json!({ "bind_address": "127.0.0.1:1", "published_address": "127.0.0.1:1" });
    let encryption = encryption_key(members[0]);
    let info = json!({
        "certificate_signing_request": writer.node.certificate_request(),
        "encryption_pub_key": encryption,
        "node_to_node_interface": address,
        "rpc_interfaces": { "primary_rpc_interface": address },
        "quote_info": { "endorsements": "", "format": "Insecure_Virtual", "quote": "" },
        "status": "Trusted",
    });
    set.put(NODES_INFO, node, canonical(&info).unwrap());
    let constitution = canonical(&constitution::default_module()).unwrap();
    set.put("public:ccf.gov.constitution", SINGLE_KEY, constitution);
    set.put(
        "public:ccf.gov.service.config",
        SINGLE_KEY,
        r#"{"recovery_threshold":1}"#,
    );
    for member in members {
        let id = member.id().to_string();
        let certificate = member.certificate().to_pem();
        let rows = [
            ("public:ccf.gov.members.certs", certificate.as_str()),
            ("public:ccf.gov.members.info", r#"{"status":"Active"}"#),
            ("public:ccf.gov.members.acks", r#"{"state_digest":""}"#),
            (
                "public:ccf.gov.members.encryption_public_keys",
                &encryption_key(member),
            ),
        ];
        for (table, row) in rows {
            set.put(table, id.as_str(), row);
        }
    }
    set
}

fn opening(writer: &LedgerWriter, members: &[&Identity]) -> WriteSet {
    let mut set = WriteSet::new();
    set.put(SERVICE_INFO, SINGLE_KEY, service_info(writer, "Open"));
    let mut holders = RecoveryMembers::default();
    for member in members {
        let key = RsaPublicKey::from_pem(&encryption_key(member)).unwrap();
        holders.participants.insert(member.id().to_string(), key);
    }
    let rng = SystemRandom::new();
    let row = RecoverySharesRow::issue(writer.secret(), &holders, 1, None, &rng).unwrap();
    set.put(RECOVERY_SHARES_MAP, SINGLE_KEY, canonical(&row).unwrap());
    let row = canonical(&HistoricalSecretRow::first()).unwrap();
    set.put(HISTORICAL_SECRET_MAP, SINGLE_KEY, row);
    let row = EndorsementRow::self_endorsement(&writer.service, TxId::new(2, 1), 1).unwrap();
    set.put(ENDORSEMENT_MAP, SINGLE_KEY, canonical(&row).unwrap());
    set
}

fn encryption_key(member: &Identity) -> String {
    let key = member.encryption_key().unwrap();
    key.public_key_pem().unwrap()
}
