//! An operator who appends to the ledger what no service signed.

use std::path::Path;
use std::sync::Arc;

use ledger::{Check, LedgerSecret, SINGLE_KEY, WriteSet, encode};

use super::*;
use crate::pipeline::{RealDisk, Rig};
use crate::recovery::PublicLedger;

const MEMBERS: &str = "public:ccf.gov.members.info";

/// The files of an opened service that has stopped, and a chunk made of the last of them with one more entry.
struct Forgery {
    directory: tempfile::TempDir,
    service: PublicKey,
    last: ChunkName,
    /// The chunk: its entries, and what would finish it.
    bytes: Vec<u8>,
    builder: ChunkBuilder,
    /// Where the entry begins that nobody signed.
    unsigned: usize,
}

impl Forgery {
    async fn of(set: &WriteSet) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut rig = Rig::on(Arc::new(RealDisk), directory.path(), 1 << 20).await;
        rig.open_service().await;
        rig.write(&[(MEMBERS, b"m0", b"honest")]).await.unwrap();
        rig.stop();
        let last = names(directory.path()).into_iter().max().unwrap();
        let bytes = std::fs::read(directory.path().join(last.to_string())).unwrap();
        let mut entries = ledger::Entries::new(&bytes).unwrap();
        let mut builder = ChunkBuilder::new(last.first);
        let mut whole = ChunkBuilder::open_header().to_vec();
        let mut id = TxId::default();
        while let Some((_, entry)) = entries.next_entry().unwrap() {
            assert!(builder.push(entry.bytes.len()));
            whole.extend(entry.bytes);
            id = entry.id();
        }
        let unsigned = whole.len();
        let secret = LedgerSecret::generate(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let id = TxId::new(id.view.0, id.seqno.0 + 1);
        let entry = encode(id, 0, Digest::ZERO, set, &secret).unwrap();
        assert!(builder.push(entry.bytes.len()));
        whole.extend(entry.bytes);
        Self {
            service: rig.service().clone(),
            directory,
            last,
            bytes: whole,
            builder,
            unsigned,
        }
    }

    /// Puts the chunk in the place of the last one.
    fn place(&self, name: ChunkName, bytes: &[u8]) {
        let path = |name: ChunkName| self.directory.path().join(name.to_string());
        std::fs::remove_file(path(self.last)).unwrap();
        std::fs::write(path(name), bytes).unwrap();
    }

    fn committed(&self) -> ChunkName {
        ChunkName::committed(self.builder.first(), self.builder.last())
    }

    fn finished(&self) -> Vec<u8> {
        let (table, header) = self.builder.finish();
        let mut bytes = [&self.bytes[..], &table].concat();
        bytes[..header.len()].copy_from_slice(&header);
        bytes
    }

    fn source(&self) -> LedgerSource {
        LedgerSource {
            disk: Arc::new(RealDisk),
            directory: self.directory.path().to_owned(),
            read_only: vec![],
            snapshots: vec![],
            checkpoints: vec![],
        }
    }

    fn read(&self) -> Result<PublicLedger, RecoveryError> {
        PublicLedger::read(&self.source(), &self.service)
    }

    fn damaged(&self) -> Check {
        match self.read().map(|ledger| ledger.last) {
            Err(RecoveryError::Damaged { fault }) => fault.fault.check,
            other => panic!("{other:?}"),
        }
    }
}

fn names(directory: &Path) -> Vec<ChunkName> {
    std::fs::read_dir(directory)
        .unwrap()
        .filter_map(|item| ChunkName::parse(item.unwrap().file_name().to_str().unwrap()))
        .collect()
}

fn other_members() -> WriteSet {
    let mut set = WriteSet::new();
    set.put(MEMBERS, "m0", "forged");
    set
}

/// Rows beside the one row of the table, which is what a signature is.
fn no_signature() -> WriteSet {
    let mut set = other_members();
    set.put(SIGNATURES_MAP, "x", "{}");
    set
}

#[tokio::test]
async fn what_nobody_signed_is_not_recovered_under_a_committed_name() {
    for set in [other_members(), no_signature()] {
        let forgery = Forgery::of(&set).await;
        forgery.place(forgery.committed(), &forgery.bytes);
        let open = forgery.damaged();
        assert!(
            matches!(open, Check::ChunkEnd | Check::SignatureRow),
            "{open:?}"
        );
        let forgery = Forgery::of(&set).await;
        forgery.place(forgery.committed(), &forgery.finished());
        let finished = forgery.damaged();
        assert!(
            matches!(finished, Check::ChunkEnd | Check::SignatureRow),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn what_nobody_signed_is_set_aside_from_an_open_chunk() {
    for set in [other_members(), no_signature()] {
        let forgery = Forgery::of(&set).await;
        let name = ChunkName::open(forgery.builder.first());
        forgery.place(name, &forgery.bytes);
        let ledger = forgery.read().unwrap();
        let tail = ledger.tail.as_ref().unwrap();
        assert_eq!(tail.offset, forgery.unsigned as u64);
        let member = ledger.state.value(MEMBERS, b"m0").unwrap();
        assert_eq!(&member[..], b"honest");
        assert_eq!(ledger.state.value(SIGNATURES_MAP, b"x"), None);
        assert!(ledger.state.value(SIGNATURES_MAP, &SINGLE_KEY).is_some());
    }
}

#[tokio::test]
async fn tables_that_no_signature_covers_are_refused_in_the_end() {
    let forgery = Forgery::of(&other_members()).await;
    let mut reader = Reader::new(&forgery.service, &forgery.source());
    let name = ChunkName::open(forgery.builder.first());
    assert_eq!(name.first, ledger::Seqno(1));
    let found = Found {
        name,
        directory: forgery.directory.path().to_owned(),
    };
    let mut settlement = Settlement::default();
    let tail = reader.uncommitted(&found, &forgery.bytes, None, &mut settlement);
    assert!(matches!(tail, Ok(Some(_))));
    let mut known = ChunkEntries::default();
    let behind = &forgery.bytes[forgery.unsigned..];
    reader.apply(forgery.unsigned as u64, behind, &mut known);
    let read = reader.finish(&forgery.source(), settlement, None);
    let last = forgery.builder.last();
    assert!(matches!(
        read,
        Err(RecoveryError::Unsigned { got, want }) if got == last && want.0 == last.0 - 1
    ));
}
