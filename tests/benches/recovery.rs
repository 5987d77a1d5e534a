//! How long recovery takes: ledgers of 10^4 to 10^6 small transactions and the real ones of the test data, on the embedded
//! node and beside it, on the same files and in the same run, on a real CCF node where one is installed.
//!
//! ```text
//! cargo build --release -p cli && CLEANROOM_PROGRAM=target/release/cleanroom cargo bench -p tests --bench recovery [-- COUNT...]
//! ```
//!
//! *public*: from the start of the process to `PartOfPublicNetwork`. *private*: from the share that is enough to `Open`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use governance::member::Actions;
use governance::{Identity, Member};
use ledger::{
    ENDORSEMENT_MAP, EndorsementRow, HISTORICAL_SECRET_MAP, HistoricalSecretRow,
    RECOVERY_SHARES_MAP, RecoveryMembers, RecoverySharesRow, RsaPublicKey, SINGLE_KEY, Signer as _,
    TxId, WriteSet, canonical,
};
use serde_json::{Value, json};
use tests::ccf::program;
use tests::ledger_writer::{LedgerWriter, NODES_INFO, SERVICE_INFO};
use tests::service::{Host, Service, copy_files};

/// Transactions between signatures, as a busy CCF node has them.
const BETWEEN_SIGNATURES: u64 = 5_000;
const CHUNK: u64 = 5 << 20;

fn main() {
    let counts: Vec<u64> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let counts = if counts.is_empty() {
        vec![10_000, 100_000, 1_000_000]
    } else {
        counts
    };
    let ccf = program("js_generic", "recovery on a CCF node").map(|program| Host::Ccf {
        program,
        simulated: false,
    });
    println!(
        "{:>34} {:>9} {:>9} {:>9} {:>9}",
        "ledger", "host", "MB", "public s", "private s"
    );
    for count in counts {
        let scratch = tempfile::tempdir().unwrap();
        let ledger = scratch.path().join("ledger");
        let member = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
        let member = member.with_encryption_key().unwrap();
        let previous = write(&ledger, count, &member);
        let name = format!("{count} transactions");
        let mut ours = measure(&name, &Host::EMBEDDED, &ledger, None, &previous, &[&member]);
        if let Some(ccf) = &ccf {
            drop(measure(&name, ccf, &ledger, None, &previous, &[&member]));
        }
        // Once more, from the snapshot that was taken when the service opened.
        wait_for_snapshot(&ours.folder().join("snapshots"));
        let previous = ours.certificate().to_owned();
        ours.stop();
        let snapshots = ours.folder().join("snapshots");
        let name = format!("{count} from a snapshot");
        let (ledger, snapshots) = (&ours.ledger(), Some(snapshots.as_path()));
        drop(measure(
            &name,
            &Host::EMBEDDED,
            ledger,
            snapshots,
            &previous,
            &[&member],
        ));
    }
    real_ledgers(ccf.as_ref());
}

fn real_ledgers(ccf: Option<&Host>) {
    let Some(vectors) = tests::vectors("ledgers", "recovery of real ledgers") else {
        return;
    };
    let index = std::fs::read_to_string(vectors.join("index.json")).unwrap();
    let index: serde_json::Map<String, Value> = serde_json::from_str(&index).unwrap();
    for (name, described) in &index {
        let file = |field: &str| vectors.join(described[field].as_str().unwrap());
        let previous = std::fs::read_to_string(file("serviceCertificate")).unwrap();
        let keys = file("memberKeys");
        let members: Vec<Identity> = (0..).map_while(|n| identity(&keys, n)).collect();
        let members: Vec<&Identity> = members.iter().collect();
        for host in std::iter::once(&Host::EMBEDDED).chain(ccf) {
            drop(measure(
                name,
                host,
                &file("ledger"),
                None,
                &previous,
                &members,
            ));
        }
    }
}

fn identity(folder: &Path, n: usize) -> Option<Identity> {
    let read = |name: &str| std::fs::read_to_string(folder.join(format!("member{n}_{name}"))).ok();
    let identity = Identity::from_pem(&read("cert.pem")?, &read("privk.pem")?).unwrap();
    let key = governance::encryption::EncryptionKey::from_pem(&read("enc_privk.pem")?).unwrap();
    Some(identity.with_this_encryption_key(key))
}

/// Recovers a copy of the ledger to Open and prints how long it took.
fn measure(
    name: &str,
    host: &Host,
    ledger: &Path,
    snapshots: Option<&Path>,
    previous: &str,
    members: &[&Identity],
) -> Service {
    let service = Service::recover_with(host, ledger, previous, |folder, _| {
        if let Some(snapshots) = snapshots {
            copy_files(snapshots, &folder.join("snapshots"));
        }
    });
    let client = service.client();
    wait(|| {
        client
            .node_state()
            .is_ok_and(|state| state.state == "PartOfPublicNetwork")
    });
    let public = service.launched().elapsed();
    let members: Vec<Member> = members
        .iter()
        .map(|member| service.member(member))
        .collect();
    let old = client.previous_identity().unwrap();
    let new = client.service_info().unwrap().certificate;
    service.accept(&members, &Actions::new().open_recovered_service(&old, &new));
    let mut enough = Instant::now();
    for member in &members {
        let share = member.recovery_share().unwrap();
        enough = Instant::now();
        let progress = member.submit_share(&share).unwrap();
        if progress.message.contains("End of recovery") {
            break;
        }
    }
    wait(|| {
        client
            .network()
            .is_ok_and(|network| network.service_status == "Open")
    });
    let private = enough.elapsed();
    let bytes: u64 = std::fs::read_dir(ledger)
        .unwrap()
        .map(|item| item.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "{name:>34} {:>9} {:>9.1} {:>9.3} {:>9.3}",
        if matches!(host, Host::Ccf { .. }) {
            "CCF"
        } else {
            "embedded"
        },
        bytes as f64 / 1e6,
        public.as_secs_f64(),
        private.as_secs_f64()
    );
    service
}

fn wait(mut done: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(600);
    while !done() {
        assert!(Instant::now() < patience, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for_snapshot(folder: &Path) {
    wait(|| {
        std::fs::read_dir(folder).is_ok_and(|mut items| {
            items.any(|item| {
                item.unwrap()
                    .file_name()
                    .to_string_lossy()
                    .ends_with(".committed")
            })
        })
    });
}

/// A service with one recovery member and so many small transactions. Gives its certificate.
fn write(directory: &Path, count: u64, member: &Identity) -> String {
    let mut writer = LedgerWriter::new(directory);
    writer.write(&genesis(&writer, member));
    writer.sign();
    writer.write(&opening(&writer, member));
    for n in 0..count {
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
        writer.write(&set);
        if n % BETWEEN_SIGNATURES == BETWEEN_SIGNATURES - 1 {
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

fn service_info(writer: &LedgerWriter, status: &str) -> Vec<u8> {
    let row = json!({
        "cert": writer.service_certificate,
        "current_service_create_txid": "2.1",
        "recovery_count": 0,
        "status": status,
    });
    canonical(&row).unwrap()
}

fn genesis(writer: &LedgerWriter, member: &Identity) -> WriteSet {
    let mut set = writer.founding();
    let id = member.id().to_string();
    let node = writer.node.key_id();
    set.put(SERVICE_INFO, SINGLE_KEY, service_info(writer, "Opening"));
    let address = json!({ "bind_address": "127.0.0.1:1", "published_address": "127.0.0.1:1" });
    let encryption = member.encryption_key().unwrap().public_key_pem().unwrap();
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
    let certificate = member.certificate().to_pem();
    set.put(
        "public:ccf.gov.members.certs",
        id.as_str(),
        certificate.as_str(),
    );
    set.put(
        "public:ccf.gov.members.info",
        id.as_str(),
        r#"{"status":"Active"}"#,
    );
    set.put(
        "public:ccf.gov.members.acks",
        id.as_str(),
        r#"{"state_digest":""}"#,
    );
    set.put(
        "public:ccf.gov.members.encryption_public_keys",
        id,
        encryption,
    );
    set
}

fn opening(writer: &LedgerWriter, member: &Identity) -> WriteSet {
    let mut set = WriteSet::new();
    set.put(SERVICE_INFO, SINGLE_KEY, service_info(writer, "Open"));
    let mut members = RecoveryMembers::default();
    let key = member.encryption_key().unwrap().public_key_pem().unwrap();
    let key = RsaPublicKey::from_pem(&key).unwrap();
    members.participants.insert(member.id().to_string(), key);
    let rng = SystemRandom::new();
    let row = RecoverySharesRow::issue(writer.secret(), &members, 1, None, &rng).unwrap();
    set.put(RECOVERY_SHARES_MAP, SINGLE_KEY, canonical(&row).unwrap());
    let row = canonical(&HistoricalSecretRow::first()).unwrap();
    set.put(HISTORICAL_SECRET_MAP, SINGLE_KEY, row);
    let row = EndorsementRow::self_endorsement(&writer.service, TxId::new(2, 1), 1).unwrap();
    set.put(ENDORSEMENT_MAP, SINGLE_KEY, canonical(&row).unwrap());
    set
}
