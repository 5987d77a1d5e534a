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

use governance::member::Actions;
use governance::{Identity, Member};
use serde_json::Value;
use tests::ccf::program;
use tests::past;
use tests::service::{Host, Service, copy_files};

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
        let previous = past::write(&ledger, &[&member], past::small_rows(count));
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
