//! Verifying a ledger directory on all cores, in bounded memory.
//!
//! One thread reads files piece by piece and follows the walk in order; the others parse and hash pieces and verify
//! signatures, whatever comes first. At most [`BUFFERED`] bytes of the ledger are in memory at a time, unless one entry
//! alone is larger.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use ledger::{
    Checkpoint, ChunkName, EndorsementRow, LocatedFault, PendingSignature, Piece, Pieces,
    PublicKey, Report, Seqno, Snapshot, Stretch, Trust, Walk, layout_fault, verify_chain,
};

use crate::directory::{ChunkFile, Files, OpenFile, chunk_files};
use crate::error::AuditError;

/// Bytes of the ledger in memory at a time.
const BUFFERED: usize = 16 << 20;
/// Bytes that one thread looks at together, at most.
const LARGEST_PIECE: usize = 1 << 20;
const MOST_WORKERS: usize = 32;
/// Signatures that may wait to be verified.
const MOST_UNVERIFIED: usize = 512;

/// What to verify against, and which files count.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The service certificate that the auditor trusts, PEM. Without it a ledger only vouches for itself.
    pub service_certificate: Option<String>,
    /// Endorsements, newest first, that lead from the trusted identity back to the one that signed this ledger: for a copy
    /// from before a recovery ([`Recoveries::endorsements`](crate::Recoveries::endorsements) of a later ledger has them).
    pub endorsements: Vec<EndorsementRow>,
    /// A checkpoint that the auditor kept. The ledger must hold it.
    pub checkpoint: Option<Checkpoint>,
    /// Leave out the chunks that are not committed yet.
    pub committed_only: bool,
    /// Include chunks written while a recovery was in progress.
    pub recovery: bool,
}

impl VerifyOptions {
    /// Which files count.
    #[must_use]
    pub const fn files(&self) -> Files {
        Files {
            committed_only: self.committed_only,
            recovery: self.recovery,
        }
    }

    /// What the auditor knows from outside the ledger.
    ///
    /// # Errors
    /// [`AuditError::Certificate`], [`AuditError::Checkpoint`] for a checkpoint that its service did not sign.
    pub fn trust(&self) -> Result<Trust, AuditError> {
        let service = self
            .service_certificate
            .as_deref()
            .map(PublicKey::of_certificate)
            .transpose()?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.verify(None)?;
        }
        Ok(Trust {
            service,
            endorsements: self.endorsements.clone(),
            checkpoint: self.checkpoint.clone(),
        })
    }
}

/// Verifies the ledger in a directory from its first transaction.
///
/// # Errors
/// [`AuditError`]; the first thing that is wrong ends the walk.
pub fn verify_directory(path: &Path, options: &VerifyOptions) -> Result<Report, AuditError> {
    let chunks = chunk_files(path, options.files())?;
    verify_chunks(&chunks, Walk::new(options.trust()?), &mut |_| {})
}

/// Verifies the part of a ledger that begins behind a snapshot, and that the snapshot was signed by the trusted service or
/// by one that its endorsements lead to. What stands before is not looked at: the files may be gone.
///
/// # Errors
/// [`AuditError`]; [`AuditError::Snapshot`] for a snapshot that nobody trusted vouches for.
pub fn verify_from_snapshot(
    directory: &Path,
    snapshot: &[u8],
    options: &VerifyOptions,
) -> Result<Report, AuditError> {
    let trust = options.trust()?;
    let start = trusted_snapshot(snapshot, &trust)?.start();
    let walk = Walk::from_snapshot(trust, &start)?;
    let mut chunks = chunk_files(directory, options.files())?;
    chunks.retain(|chunk| chunk.name.first >= walk.next_seqno());
    verify_chunks(&chunks, walk, &mut |_| {})
}

fn trusted_snapshot<'s>(file: &'s [u8], trust: &Trust) -> Result<Snapshot<'s>, AuditError> {
    let Some(pinned) = &trust.service else {
        return Err(AuditError::SnapshotUntrusted);
    };
    let refused = match Snapshot::verify(file, pinned) {
        Ok(snapshot) => return Ok(snapshot),
        Err(error) => error,
    };
    let earlier = verify_chain(pinned, &trust.endorsements).unwrap_or_default();
    let mut earlier = earlier.iter();
    earlier
        .find_map(|endorsed| Snapshot::verify(file, &endorsed.key).ok())
        .ok_or(AuditError::Snapshot(refused))
}

/// Verifies chunks in order. `progress` is told how many bytes were walked.
///
/// # Errors
/// [`AuditError`].
pub fn verify_chunks(
    chunks: &[ChunkFile],
    walk: Walk,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, AuditError> {
    Ok(walk_chunks(chunks, walk, progress)?.finish()?)
}

/// Takes a walk through chunks, with every signature in them verified. The walk can go on behind them.
///
/// # Errors
/// [`AuditError`].
pub(crate) fn walk_chunks(
    chunks: &[ChunkFile],
    walk: Walk,
    progress: &mut dyn FnMut(u64),
) -> Result<Walk, AuditError> {
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_WORKERS);
    thread::scope(|scope| {
        let mut crew = Crew::start(scope, workers, walk, progress);
        let walked = crew.chunks(chunks);
        // A signature that fails stands before whatever ended the walk, if anything did.
        crew.finish_signatures()?;
        walked?;
        Ok(crew.walk)
    })
}

enum Job {
    Scan(u64, Piece, Option<Seqno>),
    Verify(PendingSignature),
}

enum Done {
    Scanned(u64, Piece, Stretch),
    Verified(Result<(), Box<LocatedFault>>),
    /// A worker panicked: our bug, which the scope passes on.
    Panicked,
}

/// What the walk does next, in the order of the ledger.
enum Step {
    Begin(ChunkName),
    Piece(u64),
    End {
        offset: u64,
        finished: bool,
        torn: u64,
    },
    /// The chunk cannot be read further.
    Broken(AuditError),
}

/// The walk and those who work for it.
struct Crew<'p> {
    walk: Walk,
    /// The chunk that is walked.
    chunk: ChunkName,
    jobs: Sender<Job>,
    done: Receiver<Done>,
    /// Buffers not in use, how many more may be made, and their size.
    spare: Vec<Piece>,
    unmade: usize,
    size: usize,
    /// What has been read but not walked.
    steps: VecDeque<Step>,
    /// Pieces scanned and not walked.
    scanned: BTreeMap<u64, (Piece, Stretch)>,
    next: u64,
    /// Signatures handed out and not back yet.
    unverified: usize,
    /// The first signature that does not hold.
    fault: Option<Box<LocatedFault>>,
    progress: &'p mut dyn FnMut(u64),
}

impl<'p> Crew<'p> {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        workers: usize,
        walk: Walk,
        progress: &'p mut dyn FnMut(u64),
    ) -> Self {
        let (jobs, queue) = channel();
        let (results, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..workers {
            let (queue, results) = (Arc::clone(&queue), results.clone());
            scope.spawn(move || work(&queue, &results));
        }
        let buffers = 2 * workers + 2;
        Self {
            walk,
            chunk: ChunkName::open(Seqno(1)),
            jobs,
            done,
            spare: Vec::new(),
            unmade: buffers,
            size: (BUFFERED / buffers).min(LARGEST_PIECE),
            steps: VecDeque::new(),
            scanned: BTreeMap::new(),
            next: 0,
            unverified: 0,
            fault: None,
            progress,
        }
    }

    /// Reads and walks all chunks; stops at the first thing that is wrong.
    fn chunks(&mut self, chunks: &[ChunkFile]) -> Result<(), AuditError> {
        for chunk in chunks {
            self.steps.push_back(Step::Begin(chunk.name));
            self.read(chunk)?;
        }
        while self.fault.is_none() && !self.steps.is_empty() {
            self.go_on()?;
        }
        Ok(())
    }

    fn read(&mut self, chunk: &ChunkFile) -> Result<(), AuditError> {
        let file = match OpenFile::open(&chunk.path) {
            Ok(file) => file,
            Err(error) => return self.broken(error),
        };
        let mut pieces = match Pieces::new(&file) {
            Ok(pieces) => pieces,
            Err(error) => return self.broken(layout_fault(&chunk.name, 0, &error).into()),
        };
        while let Some(mut piece) = self.buffer()? {
            let offset = pieces.offset();
            match pieces.next_piece(&mut piece, self.size) {
                Ok(true) => self.scan(piece),
                Ok(false) => {
                    self.spare.push(piece);
                    self.steps.push_back(Step::End {
                        offset: pieces.offset(),
                        finished: pieces.finished(),
                        torn: pieces.torn_bytes(),
                    });
                    break;
                }
                Err(error) => {
                    self.spare.push(piece);
                    return self.broken(layout_fault(&chunk.name, offset, &error).into());
                }
            }
        }
        Ok(())
    }

    /// Walks everything in front of what cannot be read.
    fn broken(&mut self, error: AuditError) -> Result<(), AuditError> {
        self.steps.push_back(Step::Broken(error));
        while self.fault.is_none() && !self.steps.is_empty() {
            self.go_on()?;
        }
        Ok(())
    }

    /// A free buffer; waits until there is one. `None` once a signature was found wrong.
    fn buffer(&mut self) -> Result<Option<Piece>, AuditError> {
        while self.fault.is_none() {
            if self.unverified < MOST_UNVERIFIED {
                if let Some(piece) = self.spare.pop() {
                    return Ok(Some(piece));
                }
                if self.unmade > 0 {
                    self.unmade -= 1;
                    return Ok(Some(Piece::default()));
                }
            }
            self.go_on()?;
        }
        Ok(None)
    }

    fn scan(&mut self, piece: Piece) {
        self.steps.push_back(Step::Piece(self.next));
        // The workers are there as long as the crew is.
        let _ = self
            .jobs
            .send(Job::Scan(self.next, piece, self.walk.stop()));
        self.next += 1;
    }

    /// Walks what can be walked; if that is nothing, waits for a result first.
    fn go_on(&mut self) -> Result<(), AuditError> {
        let ready = match self.steps.front() {
            Some(Step::Piece(number)) => self.scanned.contains_key(number),
            Some(_) => true,
            None => false,
        };
        if !ready {
            self.receive()?;
        }
        while let Some(step) = self.steps.pop_front() {
            if let Step::Piece(number) = step {
                let Some((piece, stretch)) = self.scanned.remove(&number) else {
                    self.steps.push_front(step);
                    break;
                };
                self.piece(piece, &stretch)?;
            } else {
                self.step(step)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), AuditError> {
        match step {
            Step::Begin(name) => {
                self.chunk = name;
                Ok(self.walk.begin_chunk(&name)?)
            }
            Step::End {
                offset,
                finished,
                torn,
            } => Ok(self.walk.end_chunk(&self.chunk, offset, finished, torn)?),
            Step::Broken(error) => Err(error),
            Step::Piece(_) => Ok(()),
        }
    }

    fn piece(&mut self, piece: Piece, stretch: &Stretch) -> Result<(), AuditError> {
        let mut pending = Vec::new();
        let (name, bytes) = (&self.chunk, piece.bytes());
        let walked = self
            .walk
            .stretch(name, piece.offset, bytes, stretch, &mut pending);
        for signature in pending {
            self.unverified += 1;
            let _ = self.jobs.send(Job::Verify(signature));
        }
        (self.progress)(bytes.len() as u64);
        self.spare.push(piece);
        Ok(walked?)
    }

    fn receive(&mut self) -> Result<(), AuditError> {
        match self.done.recv() {
            Ok(Done::Scanned(number, piece, stretch)) => {
                self.scanned.insert(number, (piece, stretch));
            }
            Ok(Done::Verified(outcome)) => {
                self.unverified -= 1;
                let known = self.fault.as_ref().map(|known| known.place.seqno);
                if let Err(fault) = outcome
                    && known.is_none_or(|known| fault.place.seqno < known)
                {
                    self.fault = Some(fault);
                }
            }
            Ok(Done::Panicked) | Err(_) => {
                self.unverified = 0;
                return Err(AuditError::Worker);
            }
        }
        Ok(())
    }

    /// Waits for every signature that was handed out.
    fn finish_signatures(&mut self) -> Result<(), AuditError> {
        while self.unverified > 0 {
            self.receive()?;
        }
        self.fault.take().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

fn work(queue: &Mutex<Receiver<Job>>, results: &Sender<Done>) {
    let _alarm = Alarm(results);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let done = match job {
            Ok(Job::Scan(number, piece, stop)) => {
                let stretch = Stretch::scan(piece.bytes(), stop);
                Done::Scanned(number, piece, stretch)
            }
            Ok(Job::Verify(signature)) => Done::Verified(signature.verify()),
            Err(_) => return,
        };
        if results.send(done).is_err() {
            return;
        }
    }
}

/// Tells of a panic, so that nobody waits for a result that will not come.
struct Alarm<'a>(&'a Sender<Done>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Done::Panicked);
        }
    }
}
