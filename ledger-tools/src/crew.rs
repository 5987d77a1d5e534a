//! Walking a ledger on all cores, in bounded memory.
//!
//! Each core takes pieces of the files in turn, reading the piece that it then parses and hashes, and verifies signatures;
//! one of them follows the walk in order besides. At most [`BUFFERED`] bytes of the ledger are in memory at a time, unless one entry
//! alone is larger.

use std::collections::{BTreeMap, VecDeque};
use std::slice;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use ledger::{
    ChunkName, LocatedFault, PendingSignature, Piece, Pieces, Seqno, Stretch, Walk, layout_fault,
};

use crate::directory::{ChunkFile, OpenFile};
use crate::error::AuditError;

/// Bytes of the ledger in memory at a time.
const BUFFERED: usize = 16 << 20;
/// Bytes that one thread looks at together, at most: they stay in the cache of its core.
const LARGEST_PIECE: usize = 1 << 19;
const MOST_WORKERS: usize = 32;

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
    let buffers = 2 * workers + 2;
    let files = Reading {
        chunks: chunks.iter(),
        chunk: None,
        pieces: None,
        size: (BUFFERED / buffers).min(LARGEST_PIECE),
        steps: 0,
    };
    let board = Board::new(buffers, files, walk.stop());
    thread::scope(|scope| {
        let _closing = Closing(&board);
        let (results, done) = channel();
        // This thread is the last one.
        for _ in 1..workers {
            let (results, board) = (results.clone(), &board);
            scope.spawn(move || work(board, &results));
        }
        drop(results);
        let mut crew = Crew {
            walk,
            chunk: ChunkName::open(Seqno(1)),
            board: &board,
            done,
            steps: BTreeMap::new(),
            next: 0,
            all: None,
            unverified: 0,
            fault: None,
            progress,
        };
        let walked = crew.walk();
        // A signature that fails stands before whatever ended the walk, if anything did.
        crew.finish_signatures()?;
        walked?;
        Ok(crew.walk)
    })
}

/// What the walk does next, in the order of the ledger.
enum Step {
    Begin(ChunkName),
    Piece(Box<(Piece, Stretch)>),
    End {
        offset: u64,
        finished: bool,
        torn: u64,
    },
    /// The chunk cannot be read further.
    Broken(AuditError),
}

enum Done {
    /// A step, and its number in the order of the ledger.
    Step(u64, Step),
    /// There are so many steps.
    AllRead(u64),
    Verified(Result<(), Box<LocatedFault>>),
    /// A worker panicked: our bug, which the scope passes on.
    Panicked,
}

/// What there is to do for workers.
struct Board<'c> {
    tasks: Mutex<Tasks>,
    changed: Condvar,
    files: Mutex<Reading<'c>>,
    /// Position before which the walk wants the root.
    stop: Option<Seqno>,
}

struct Tasks {
    signatures: VecDeque<PendingSignature>,
    /// Buffers not in use: as many pieces may be read.
    buffers: Vec<Piece>,
    all_read: bool,
    closed: bool,
}

impl Tasks {
    fn take(&mut self) -> Option<Task> {
        // Signatures first: so those that wait are at most those of as many pieces as there are buffers.
        if let Some(signature) = self.signatures.pop_front() {
            return Some(Task::Verify(signature));
        }
        let piece = self.buffers.pop_if(|_| !self.all_read)?;
        Some(Task::Read(piece))
    }
}

enum Task {
    Verify(PendingSignature),
    Read(Piece),
}

impl<'c> Board<'c> {
    fn new(buffers: usize, files: Reading<'c>, stop: Option<Seqno>) -> Self {
        Self {
            tasks: Mutex::new(Tasks {
                signatures: VecDeque::new(),
                buffers: vec![Piece::default(); buffers],
                all_read: false,
                closed: false,
            }),
            changed: Condvar::new(),
            files: Mutex::new(files),
            stop,
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task; waits until there is one. `None` when there will be no more.
    fn take(&self) -> Option<Task> {
        let mut tasks = self.tasks();
        loop {
            if tasks.closed {
                return None;
            }
            if let Some(task) = tasks.take() {
                return Some(task);
            }
            let waited = self.changed.wait(tasks);
            tasks = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn perform(&self, task: Task) -> Done {
        let mut piece = match task {
            Task::Verify(signature) => return Done::Verified(signature.verify()),
            Task::Read(piece) => piece,
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, read) = files.next(&mut piece);
        drop(files);
        match read {
            Read::Piece => {
                let stretch = Stretch::scan(piece.bytes(), self.stop);
                Done::Step(number, Step::Piece(Box::new((piece, stretch))))
            }
            Read::Step(step) => {
                self.free(piece);
                Done::Step(number, step)
            }
            Read::Nothing => {
                self.read_no_more();
                Done::AllRead(number)
            }
        }
    }

    fn read_no_more(&self) {
        self.tasks().all_read = true;
    }

    fn verify(&self, signatures: impl IntoIterator<Item = PendingSignature>) {
        for signature in signatures {
            self.tasks().signatures.push_back(signature);
            self.changed.notify_one();
        }
    }

    fn free(&self, piece: Piece) {
        self.tasks().buffers.push(piece);
        self.changed.notify_one();
    }
}

/// Sends the workers home, however the walk has ended.
struct Closing<'a>(&'a Board<'a>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.tasks().closed = true;
        self.0.changed.notify_all();
    }
}

/// How far the files have been read.
struct Reading<'c> {
    chunks: slice::Iter<'c, ChunkFile>,
    /// The chunk that is read, and what is left of it once it was opened.
    chunk: Option<&'c ChunkFile>,
    pieces: Option<Pieces<OpenFile>>,
    size: usize,
    /// Steps so far.
    steps: u64,
}

/// What was read.
enum Read {
    /// A piece, to be scanned.
    Piece,
    Step(Step),
    /// There is nothing more.
    Nothing,
}

impl Reading<'_> {
    /// The next step and its number, or the number of all.
    fn next(&mut self, piece: &mut Piece) -> (u64, Read) {
        let read = match self.chunk {
            None => match self.chunks.next() {
                None => return (self.steps, Read::Nothing),
                Some(chunk) => {
                    self.chunk = Some(chunk);
                    Read::Step(Step::Begin(chunk.name))
                }
            },
            Some(chunk) => self.piece(chunk, piece).unwrap_or_else(|error| {
                (self.chunk, self.pieces, self.chunks) = (None, None, [].iter());
                Read::Step(Step::Broken(error))
            }),
        };
        self.steps += 1;
        (self.steps - 1, read)
    }

    fn piece(&mut self, chunk: &ChunkFile, piece: &mut Piece) -> Result<Read, AuditError> {
        let fault = |offset, error| AuditError::from(layout_fault(&chunk.name, offset, &error));
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            none => {
                let file = OpenFile::open(&chunk.path)?;
                none.insert(Pieces::new(file).map_err(|error| fault(0, error))?)
            }
        };
        let offset = pieces.offset();
        let more = pieces.next_piece(piece, self.size);
        if more.map_err(|error| fault(offset, error))? {
            return Ok(Read::Piece);
        }
        let end = Step::End {
            offset: pieces.offset(),
            finished: pieces.finished(),
            torn: pieces.torn_bytes(),
        };
        (self.chunk, self.pieces) = (None, None);
        Ok(Read::Step(end))
    }
}

fn work(board: &Board<'_>, results: &Sender<Done>) {
    let _alarm = Alarm(results);
    while let Some(task) = board.take() {
        if results.send(board.perform(task)).is_err() {
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

/// The walk, and what the workers hand to it.
struct Crew<'w, 'p> {
    walk: Walk,
    /// The chunk that is walked.
    chunk: ChunkName,
    board: &'w Board<'w>,
    done: Receiver<Done>,
    /// Steps that wait for those before them.
    steps: BTreeMap<u64, Step>,
    next: u64,
    /// Number of all steps, once that is known.
    all: Option<u64>,
    /// Signatures handed out and not back yet.
    unverified: usize,
    /// The first signature that does not hold.
    fault: Option<Box<LocatedFault>>,
    progress: &'p mut dyn FnMut(u64),
}

impl Crew<'_, '_> {
    /// Walks all there is; stops at the first thing that is wrong.
    fn walk(&mut self) -> Result<(), AuditError> {
        while self.fault.is_none() && self.all != Some(self.next) {
            self.work_on()?;
            while let Some(step) = self.steps.remove(&self.next) {
                self.next += 1;
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
            Step::Piece(scanned) => {
                let (piece, stretch) = *scanned;
                self.piece(piece, &stretch)
            }
            Step::End {
                offset,
                finished,
                torn,
            } => Ok(self.walk.end_chunk(&self.chunk, offset, finished, torn)?),
            Step::Broken(error) => Err(error),
        }
    }

    fn piece(&mut self, piece: Piece, stretch: &Stretch) -> Result<(), AuditError> {
        let mut pending = Vec::new();
        let (name, bytes) = (&self.chunk, piece.bytes());
        let walked = self
            .walk
            .stretch(name, piece.offset, bytes, stretch, &mut pending);
        self.unverified += pending.len();
        self.board.verify(pending);
        (self.progress)(bytes.len() as u64);
        self.board.free(piece);
        Ok(walked?)
    }

    /// Takes what a worker has done; does something itself if that is nothing.
    fn work_on(&mut self) -> Result<(), AuditError> {
        let done = self.done.try_recv().ok().or_else(|| {
            let task = self.board.tasks().take();
            task.map(|task| self.board.perform(task))
        });
        match done.map_or_else(|| self.done.recv(), Ok) {
            Ok(Done::Step(number, step)) => {
                self.steps.insert(number, step);
            }
            Ok(Done::AllRead(steps)) => self.all = Some(steps),
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
        self.board.read_no_more();
        while self.unverified > 0 {
            self.work_on()?;
        }
        self.fault.take().map_or(Ok(()), |fault| Err(fault.into()))
    }
}
