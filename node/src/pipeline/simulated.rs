//! A disk in memory that forgets, for tests: a power cut leaves what was synced and any part of what was not, operations
//! fail on request, and a failed sync may have lost what it was for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile};

/// Bytes that a disk writes all or nothing of.
const SECTOR: usize = 512;

/// Random numbers that a seed determines (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done.
    Refused,
    /// A write is done in part; a sync loses some of what it was for, and the next one will not know.
    Partial,
}

/// The disk.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Contents as a running process sees them.
    files: Vec<Vec<u8>>,
    names: BTreeMap<PathBuf, usize>,
    log: Vec<Op>,
    /// Operations that fail, by their number.
    faults: BTreeMap<usize, Fault>,
    operations: usize,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Op {
    /// A file of this name, empty.
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Write(usize, u64, Arc<[u8]>),
    SetLength(usize, u64),
    Sync(usize),
    /// Some of what was written since the last sync is lost, and no later sync covers it.
    LostSync(usize),
    SyncDirectory,
    /// Something the test wants to remember the time of.
    Mark(u64),
}

struct SimulatedFile {
    disk: SimulatedDisk,
    number: usize,
}

impl SimulatedDisk {
    /// A disk on which operations fail as said, counted from 0.
    pub(crate) fn failing(faults: BTreeMap<usize, Fault>, seed: u64) -> Self {
        let disk = Self::default();
        disk.lock().faults = faults;
        disk.lock().seed = seed;
        disk
    }

    /// Remembers that something has happened by now.
    pub(crate) fn mark(&self, what: u64) {
        self.lock().log.push(Op::Mark(what));
    }

    /// How many times there are at which power may fail.
    pub(crate) fn times(&self) -> usize {
        self.lock().log.len() + 1
    }

    /// The disk as it is found after power failed at `time`, and what was marked before.
    pub(crate) fn after_power_cut(&self, time: usize, seed: u64) -> (Self, BTreeSet<u64>) {
        let inner = self.lock();
        let log = &inner.log[..time];
        let marks = log
            .iter()
            .filter_map(|op| match op {
                Op::Mark(what) => Some(*what),
                _ => None,
            })
            .collect();
        let mut random = Random::new(seed);
        let disk = Self::default();
        {
            let mut after = disk.lock();
            after.files = (0..inner.files.len())
                .map(|file| contents(log, file, &mut random))
                .collect();
            after.names = names(log, &mut random);
        }
        disk.forget();
        (disk, marks)
    }

    /// Takes what is there as on disk.
    pub(crate) fn forget(&self) {
        let mut inner = self.lock();
        let mut log = Vec::new();
        for (path, file) in &inner.names {
            log.push(Op::Create(path.clone(), *file));
            log.push(Op::Write(*file, 0, inner.files[*file].as_slice().into()));
            log.push(Op::Sync(*file));
        }
        log.push(Op::SyncDirectory);
        inner.log = log;
    }

    /// Contents of all files by name.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.lock();
        inner
            .names
            .iter()
            .map(|(path, file)| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, inner.files[*file].clone())
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Inner {
    fn step(&mut self) -> Result<(), Fault> {
        let number = self.operations;
        self.operations += 1;
        self.faults.get(&number).map_or(Ok(()), |fault| Err(*fault))
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn failed() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl Disk for SimulatedDisk {
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inner = self.lock();
        let here = inner
            .names
            .keys()
            .filter(|path| path.parent() == Some(directory));
        Ok(here
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn make_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.lock();
        inner.step().map_err(|_| failed())?;
        let number = inner.files.len();
        inner.files.push(Vec::new());
        inner.names.insert(path.to_owned(), number);
        inner.log.push(Op::Create(path.to_owned(), number));
        drop(inner);
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            number,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let number = self.lock().file(path)?;
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            number,
        }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step().map_err(|_| failed())?;
        let file = inner.file(from)?;
        inner.names.remove(from);
        inner.names.insert(to.to_owned(), file);
        inner.log.push(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step().map_err(|_| failed())?;
        inner.log.push(Op::SyncDirectory);
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.number].len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.lock();
        let from = usize::try_from(offset).unwrap();
        let found = inner.files[self.number].get(from..from + bytes.len());
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let fault = inner.step();
        let written = match fault {
            Ok(()) => bytes,
            Err(Fault::Refused) => return Err(failed()),
            Err(Fault::Partial) => &bytes[..bytes.len() / 2],
        };
        write(&mut inner.files[self.number], offset, written);
        inner
            .log
            .push(Op::Write(self.number, offset, written.into()));
        fault.map_err(|_| failed())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        inner.step().map_err(|_| failed())?;
        let length_in_memory = usize::try_from(length).unwrap();
        inner.files[self.number].resize(length_in_memory, 0);
        inner.log.push(Op::SetLength(self.number, length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        match inner.step() {
            Ok(()) => {
                inner.log.push(Op::Sync(self.number));
                Ok(())
            }
            Err(Fault::Refused) => Err(failed()),
            Err(Fault::Partial) => {
                inner.log.push(Op::LostSync(self.number));
                Err(failed())
            }
        }
    }
}

fn write(contents: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = usize::try_from(offset).unwrap();
    let end = from + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[from..end].copy_from_slice(bytes);
}

/// What is left of a file.
fn contents(log: &[Op], file: usize, random: &mut Random) -> Vec<u8> {
    let mut contents = Vec::new();
    let mut pending: Vec<&Op> = Vec::new();
    for op in log {
        match op {
            Op::Write(of, ..) | Op::SetLength(of, _) if *of == file => pending.push(op),
            Op::Sync(of) if *of == file => {
                pending.drain(..).for_each(|op| apply(&mut contents, op));
            }
            Op::LostSync(of) if *of == file => survive(&mut contents, &mut pending, random),
            _ => {}
        }
    }
    survive(&mut contents, &mut pending, random);
    contents
}

/// Any part of what was not synced is on disk.
fn survive(contents: &mut Vec<u8>, pending: &mut Vec<&Op>, random: &mut Random) {
    for op in pending.drain(..) {
        match op {
            _ if random.one_in(3) => {}
            Op::Write(_, offset, bytes) if random.one_in(2) => {
                for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                    if random.one_in(2) {
                        write(contents, offset + (number * SECTOR) as u64, sector);
                    }
                }
            }
            op => apply(contents, op),
        }
    }
}

fn apply(contents: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(_, offset, bytes) => write(contents, *offset, bytes),
        Op::SetLength(_, length) => contents.resize(usize::try_from(*length).unwrap(), 0),
        _ => {}
    }
}

/// What is left of the directory.
fn names(log: &[Op], random: &mut Random) -> BTreeMap<PathBuf, usize> {
    let mut names = BTreeMap::new();
    let mut pending: Vec<&Op> = Vec::new();
    let change = |names: &mut BTreeMap<PathBuf, usize>, op: &Op| match op {
        Op::Create(path, file) => {
            names.insert(path.clone(), *file);
        }
        Op::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        _ => {}
    };
    for op in log {
        match op {
            Op::Create(..) | Op::Rename(..) => pending.push(op),
            Op::SyncDirectory => pending.drain(..).for_each(|op| change(&mut names, op)),
            _ => {}
        }
    }
    for op in pending {
        if random.one_in(2) {
            change(&mut names, op);
        }
    }
    names
}
