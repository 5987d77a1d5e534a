//! The pipeline on a real directory, judged by the verifier.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ccf_rs::{Historical, Positions, Seqno, TxId, TxStatus, WriteHost};
use ledger::{
    ChunkName, EncryptedNodeSecret, EncryptedSecretsRow, LedgerSecret, LedgerVerifier, PublicKey,
    Report,
};

use super::testing::Row;
use super::*;
use crate::store::{Access, Chain, CommitError, Transaction};

/// The table whose past writes the rig finds by key.
const INDEXED: &str = "public:indexed";

fn verify_rig(rig: &Rig) -> Report {
    verify(&rig.directory, rig.service.clone())
}

fn verify(directory: &Path, service: PublicKey) -> Report {
    let mut chunks: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .map(|name| ChunkName::parse(&name).unwrap())
        .collect();
    chunks.sort();
    let mut verifier = LedgerVerifier::new(Some(service));
    for name in chunks {
        let bytes = std::fs::read(directory.join(name.to_string())).unwrap();
        verifier
            .chunk(&name, &bytes)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    verifier.finish().unwrap()
}

#[tokio::test]
async fn an_acknowledged_write_is_signed_and_on_disk() {
    let rig = Rig::new(1 << 20).await;
    for n in 0..5_u8 {
        let seqno = rig.write(&[("records", b"k", &[n])]).await.unwrap();
        let report = verify_rig(&rig);
        assert!(
            report.verified_until.unwrap().seqno.0 > seqno.0,
            "the signature stands behind the write"
        );
        assert_eq!(report.unsigned_tail, 0);
        assert!(report.pinned);
        assert_eq!(report.signatures, report.cose_signatures);
    }
}

#[tokio::test]
async fn concurrent_writes_share_signatures_and_none_is_lost() {
    let rig = Rig::new(1 << 20).await;
    let keys: Vec<String> = (0..200).map(|n| format!("key{n}")).collect();
    let writes = keys.iter().map(|key| async {
        rig.write(&[("public:rows", key.as_bytes(), b"value")])
            .await
            .unwrap();
    });
    let mut tasks = Vec::new();
    for write in writes {
        tasks.push(Box::pin(write));
    }
    // All are appended before the first is awaited to its end.
    futures_join(tasks).await;
    let report = verify_rig(&rig);
    assert!(
        report.signatures < 200,
        "{} signatures for 200 writes",
        report.signatures
    );
    assert_eq!(report.entries, 201 + report.signatures);
    let durable = rig.store.durable();
    assert!(
        keys.iter()
            .all(|key| durable.state.value("public:rows", key.as_bytes()).is_some())
    );
}

/// Polls all to the end, in turn.
async fn futures_join<F: Future<Output = ()> + Unpin>(mut tasks: Vec<F>) {
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| std::pin::Pin::new(task).poll(context).is_pending());
        if tasks.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[tokio::test]
async fn chunks_end_by_size_and_on_request() {
    let rig = Rig::new(4_000).await;
    for _ in 0..6 {
        rig.write(&[("public:rows", b"k", &[7; 1_500])])
            .await
            .unwrap();
    }
    let by_size = verify_rig(&rig).chunks;
    assert!(by_size >= 2, "{by_size} chunks");
    rig.chunk_requested.store(true, Ordering::Release);
    rig.write(&[("public:rows", b"k", b"v")]).await.unwrap();
    rig.write(&[("public:rows", b"k", b"v")]).await.unwrap();
    assert!(verify_rig(&rig).chunks > by_size);
}

#[tokio::test]
async fn receipts_and_history_of_every_transaction() {
    let rig = Rig::new(1 << 20).await;
    let written = rig
        .write(&[
            ("records", b"k", b"hidden"),
            ("public:rows", b"k", b"shown"),
        ])
        .await
        .unwrap();
    let Historical::Ready(states) = rig.ledger.historical(written..=written).unwrap() else {
        panic!("not ready")
    };
    assert_eq!(states[0].id(), TxId::new(2, written.0));
    assert_eq!(
        states[0].get("records", b"k").unwrap().as_deref(),
        Some(b"hidden".as_slice())
    );
    assert_eq!(states[0].get("public:rows", b"other").unwrap(), None);
    let receipt = states[0].receipt().unwrap();
    assert_eq!(receipt["leaf_components"]["claims_digest"], "05".repeat(32));
    for seqno in 1..=rig.store.durable().state.seqno().0 {
        assert!(
            rig.ledger.history().receipt(Seqno(seqno)).is_ok(),
            "{seqno}"
        );
    }
    assert!(rig.ledger.historical(Seqno(1)..=Seqno(99)).is_err());
    assert!(rig.ledger.historical(Seqno(0)..=Seqno(1)).is_err());
}

#[tokio::test]
async fn past_writes_of_a_key_are_found_whether_they_were_made_before_or_after_indexing_began() {
    let rig = Rig::new(2_000).await;
    let mut of_a = Vec::new();
    for n in 0..20_u8 {
        if n == 10 {
            // What was written before is found in the ledger, what follows as it is committed.
            let history = rig.ledger.history();
            history.index_keys(&[INDEXED], &rig.store).unwrap();
        }
        let key: &[u8] = if n % 3 == 0 { b"a" } else { b"b" };
        let rows: [Row<'_>; 2] = [(INDEXED, key, &[n]), ("public:other", key, &[n])];
        let seqno = rig.write(&rows).await.unwrap();
        if n % 3 == 0 {
            of_a.push(seqno);
        }
    }
    let chain = Arc::clone(&rig.ledger) as Arc<dyn Chain>;
    let mut removal = Transaction::new(
        rig.store.newest(),
        None,
        chain,
        Access::Framework,
        Duration::ZERO,
    );
    removal.remove(INDEXED, b"a").unwrap();
    let removal = rig.store.append(removal).unwrap();
    of_a.push(removal.seqno);
    removal.durable.await.unwrap().unwrap();
    rig.write(&[("public:other", b"a", b"x")]).await.unwrap();

    let last = rig.store.durable().state.seqno();
    let asked = |range, limit| rig.ledger.positions(INDEXED, b"a", range, limit).unwrap();
    assert_eq!(asked(Seqno(1)..=last, 99), Positions::At(of_a.clone()));
    assert_eq!(
        asked(of_a[1]..=of_a[5], 2),
        Positions::At(of_a[1..3].to_vec())
    );
    let other = rig
        .ledger
        .positions("public:other", b"a", Seqno(1)..=last, 9);
    assert_eq!(other.unwrap(), Positions::NotIndexed);
}

#[tokio::test]
async fn status_of_transactions() {
    let rig = Rig::new(1 << 20).await;
    for (id, status) in [
        (TxId::new(2, 1), TxStatus::Committed),
        (TxId::new(1, 1), TxStatus::Invalid),
        (TxId::new(3, 1), TxStatus::Invalid),
        (TxId::new(1, 500), TxStatus::Invalid),
        (TxId::new(2, 500), TxStatus::Unknown),
        (TxId::new(3, 500), TxStatus::Unknown),
    ] {
        assert_eq!(rig.ledger.status_of(id), status, "{id}");
    }
}

#[tokio::test]
async fn a_rekey_takes_effect_behind_its_own_entry() {
    let rig = Rig::new(1 << 20).await;
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let secret = LedgerSecret::generate(&rng).unwrap();
    let sealed =
        EncryptedNodeSecret::seal(&secret, None, None, &rig.encryption_key.public_key()).unwrap();
    let row = EncryptedSecretsRow([(rig.node.clone(), vec![sealed])].into());
    let row = ledger::canonical(&row).unwrap();
    let rekey = rig
        .write(&[(ledger::ENCRYPTED_SECRETS_MAP, &[0; 8], &row)])
        .await
        .unwrap();
    let behind = rig.write(&[("records", b"k", b"v")]).await.unwrap();
    let history = rig.ledger.history();
    assert_ne!(
        history.secret_at(rekey).unwrap().expose_bytes(),
        secret.expose_bytes()
    );
    assert_eq!(
        history.secret_at(behind).unwrap().expose_bytes(),
        secret.expose_bytes()
    );
    assert_eq!(history.latest_secret().unwrap().0, Seqno(rekey.0 + 1));
    let Historical::Ready(states) = rig.ledger.historical(rekey..=behind).unwrap() else {
        panic!("not ready")
    };
    assert!(states.iter().all(|state| state.receipt().is_ok()));
}

#[tokio::test]
async fn a_directory_that_is_not_empty_is_refused_and_a_stopped_pipeline_takes_nothing() {
    let mut rig = Rig::new(1 << 20).await;
    assert!(matches!(
        Files::create(Arc::new(RealDisk), &rig.directory, 1),
        Err(FilesError::NotEmpty { .. })
    ));
    rig.pipeline.stop();
    assert_eq!(
        rig.write(&[("public:rows", b"k", b"v")]).await,
        Err(CommitError::Stopping)
    );
}

const CRASH_DIRECTORY: &str = "CLEANROOM_TEST_CRASH_DIRECTORY";

/// Writes for ever, saying which writes were acknowledged. Does nothing unless the test below
/// started it in a process of its own.
#[tokio::test]
async fn writer_to_be_killed() {
    let Some(directory) = std::env::var_os(CRASH_DIRECTORY) else {
        return;
    };
    let rig = Rig::at(Path::new(&directory), 20_000).await;
    std::fs::write(
        Path::new(&directory).with_extension("service"),
        hex::encode(rig.service.spki_der()),
    )
    .unwrap();
    for n in 0_u64.. {
        let key = n.to_le_bytes();
        let (first, second) = ([&key[..], b"a"].concat(), [&key[..], b"b"].concat());
        let long: [Row<'_>; 1] = [("public:rows", &first, &[7; 300])];
        let short: [Row<'_>; 1] = [("public:rows", &second, b"v")];
        let (long, short) = tokio::join!(rig.write(&long), rig.write(&short));
        long.unwrap();
        short.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_process_killed_while_writing_loses_no_acknowledged_write() {
    for acknowledged in [1, 7, 40, 150] {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("ledger");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "pipeline::tests::writer_to_be_killed",
                "--nocapture",
            ])
            .env(CRASH_DIRECTORY, &directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: String| {
            line.strip_prefix("acknowledged ")
                .and_then(|n| n.parse::<u64>().ok())
        };
        let mut last = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(number)
            .find(|n| *n >= acknowledged)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        last = lines
            .map_while(Result::ok)
            .filter_map(number)
            .last()
            .unwrap_or(last);

        let service = std::fs::read_to_string(directory.with_extension("service")).unwrap();
        let service = PublicKey::from_spki_der(&hex::decode(service).unwrap()).unwrap();
        let report = verify(&directory, service);
        let verified = report.verified_until.unwrap().seqno;
        let rows = signed_rows(&directory, verified);
        for n in 0..=last {
            for half in [b"a", b"b"] {
                let key = [&n.to_le_bytes()[..], half].concat();
                assert!(
                    rows.contains(&key),
                    "write {n} of {last} was acknowledged and is not signed on disk"
                );
            }
        }
    }
}

/// Keys of `public:rows` written up to a position.
fn signed_rows(directory: &Path, until: ledger::Seqno) -> std::collections::BTreeSet<Vec<u8>> {
    let mut keys = std::collections::BTreeSet::new();
    for item in std::fs::read_dir(directory).unwrap() {
        let bytes = std::fs::read(item.unwrap().path()).unwrap();
        let mut entries = ledger::Entries::new(&bytes).unwrap();
        while let Some((_, entry)) = entries.next_entry().unwrap() {
            let rows = entry
                .section("public:rows")
                .filter(|_| entry.seqno <= until);
            keys.extend(
                rows.into_iter()
                    .flat_map(|rows| rows.writes.iter().map(|(key, _)| key.to_vec())),
            );
        }
    }
    keys
}
