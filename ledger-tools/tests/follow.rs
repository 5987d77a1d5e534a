//! Following a ledger that grows: what is read for each look, and what is noticed of changes to what was seen before.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ledger::WriteSet;
use ledger_tools::{AuditError, Follower, Look, Seqno, VerifyOptions};
use tests::ledger_writer::LedgerWriter;

/// A ledger of three committed files with ten entries each, being written on.
struct Growing {
    _scratch: tempfile::TempDir,
    directory: PathBuf,
    writer: LedgerWriter,
}

impl Growing {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("ledger");
        let mut writer = LedgerWriter::new(&directory);
        let founding = writer.founding();
        writer.write(&founding);
        let mut growing = Self {
            _scratch: scratch,
            directory,
            writer,
        };
        growing.add(8);
        growing.writer.sign_and_finish();
        for _ in 0..2 {
            growing.add(9);
            growing.writer.sign_and_finish();
        }
        growing
    }

    fn add(&mut self, count: usize) {
        for _ in 0..count {
            let mut set = WriteSet::new();
            let key = self.writer.next().seqno.0.to_le_bytes();
            set.put("public:records", key, "value");
            self.writer.write(&set);
        }
    }

    fn follower(&self) -> Follower {
        Follower::new(&self.directory, VerifyOptions::default()).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Looks, and holds that each signed transaction is shown once and in order.
fn look(follower: &mut Follower, shown: &mut Seqno) -> Result<Option<Look>, AuditError> {
    let look = follower.look(|transaction| {
        assert!(transaction.signed);
        assert_eq!(transaction.entry.seqno, shown.next());
        *shown = transaction.entry.seqno;
    })?;
    if let Some(look) = &look {
        assert_eq!(look.report.verified_until.map(|id| id.seqno), Some(*shown));
    }
    Ok(look)
}

fn entries_read(follower: &mut Follower, shown: &mut Seqno) -> Option<u64> {
    look(follower, shown).unwrap().map(|look| look.entries_read)
}

fn rule(follower: &mut Follower) -> String {
    let error = follower.look(|_| {}).unwrap_err();
    error.fault().unwrap().check.id()
}

fn turn(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_look_reads_the_files_that_are_not_committed_and_no_others() {
    let mut growing = Growing::new();
    let mut follower = growing.follower();
    let mut shown = Seqno(0);
    assert_eq!(entries_read(&mut follower, &mut shown), Some(30));
    assert_eq!(
        entries_read(&mut follower, &mut shown),
        None,
        "nothing is new"
    );
    // In the open file: what is there, signed or not, and nothing of the thirty.
    growing.add(4);
    growing.writer.sign();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(5));
    assert_eq!(shown, Seqno(35));
    growing.add(2);
    growing.writer.sign();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(8));
    assert_eq!(shown, Seqno(38));
    // Committed: read once more, and then never again.
    growing.writer.sign_and_finish();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(9));
    growing.add(1);
    growing.writer.sign();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(2));
    assert_eq!(shown, Seqno(41));
}

#[test]
fn a_committed_file_that_was_touched_is_read_again_and_one_that_was_altered_ends_the_watch() {
    let mut growing = Growing::new();
    let mut follower = growing.follower();
    let mut shown = Seqno(0);
    look(&mut follower, &mut shown).unwrap();
    let file = growing.file("ledger_11-20.committed");
    let modified = file.metadata().unwrap().modified().unwrap();

    let later = modified + std::time::Duration::from_secs(1);
    File::open(&file).unwrap().set_modified(later).unwrap();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(30));
    growing.add(1);
    growing.writer.sign();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(2));

    // Who turns a bit may turn back the time of the last write, but not that of the last change.
    turn(&file, 200);
    File::open(&file).unwrap().set_modified(later).unwrap();
    assert!(look(&mut follower, &mut shown).is_err());
    turn(&file, 200);
    assert_eq!(entries_read(&mut follower, &mut shown), Some(32));
    fs::remove_file(growing.file("ledger_1-10.committed")).unwrap();
    assert_eq!(rule(&mut follower), "LED-02");
}

#[test]
fn what_is_signed_in_the_open_file_is_looked_at_again_every_time() {
    let mut growing = Growing::new();
    growing.add(4);
    growing.writer.sign();
    let mut follower = growing.follower();
    let mut shown = Seqno(0);
    look(&mut follower, &mut shown).unwrap();
    let open = growing.file("ledger_31");
    turn(&open, 8 + 60);
    assert!(look(&mut follower, &mut shown).is_err());
    turn(&open, 8 + 60);
    assert_eq!(entries_read(&mut follower, &mut shown), Some(5));
}

#[test]
fn what_is_not_signed_may_go_and_what_was_seen_signed_may_not() {
    let mut growing = Growing::new();
    growing.add(4);
    growing.writer.sign();
    let mut follower = growing.follower();
    let mut shown = Seqno(0);
    look(&mut follower, &mut shown).unwrap();
    let open = growing.file("ledger_31");
    let signed = open.metadata().unwrap().len();

    // The beginning of an entry, as a killed writer leaves it.
    let mut file = OpenOptions::new().append(true).open(&open).unwrap();
    file.write_all(&[1; 5]).unwrap();
    let torn = look(&mut follower, &mut shown).unwrap().unwrap();
    assert_eq!(torn.report.torn_bytes, 5);
    file.set_len(signed).unwrap();
    assert_eq!(entries_read(&mut follower, &mut shown), Some(5));

    file.set_len(8).unwrap();
    assert_eq!(rule(&mut follower), "LED-23");
}

#[test]
fn another_history_in_the_place_of_the_one_seen_ends_the_watch() {
    let growing = Growing::new();
    let mut follower = growing.follower();
    let mut shown = Seqno(0);
    look(&mut follower, &mut shown).unwrap();
    let other = Growing::new();
    for item in fs::read_dir(&other.directory).unwrap() {
        let item = item.unwrap();
        fs::copy(item.path(), growing.directory.join(item.file_name())).unwrap();
    }
    assert_eq!(rule(&mut follower), "LED-23");
}
