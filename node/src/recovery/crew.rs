//! Chunks read, parsed and hashed by several threads, in front of the one that follows them in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ledger::{ChunkError, LocatedFault, PendingSignature, Piece, Pieces, Stretch};

use super::RecoveryError;
use super::directory::{Found, LedgerSource, io};
use crate::pipeline::read_file;

/// Bytes that are parsed together.
const PIECE: usize = 1 << 20;

/// A chunk in memory, parsed and hashed.
pub(super) struct ScannedChunk {
    /// Its pieces, in order.
    pub(super) pieces: Vec<(Piece, Stretch)>,
    /// How it ends, or where it stops being a chunk.
    pub(super) end: Result<End, (u64, ChunkError)>,
}

/// How a chunk ends.
pub(super) struct End {
    pub(super) offset: u64,
    pub(super) finished: bool,
    pub(super) torn: u64,
}

/// Calls `follow` with each chunk in order, and verifies the signatures that it leaves. Fails with the first thing that is
/// wrong anywhere; what was followed by then is of no use.
pub(super) fn walk(
    source: &LedgerSource,
    chunks: &[Found],
    mut follow: impl FnMut(
        &Found,
        &ScannedChunk,
        &mut Vec<PendingSignature>,
    ) -> Result<(), RecoveryError>,
) -> Result<(), RecoveryError> {
    thread::scope(|scope| {
        let (signatures, queue) = channel::<PendingSignature>();
        let queue = Arc::new(Mutex::new(queue));
        let (verified, verdicts) = channel();
        for _ in 0..workers() {
            let (queue, verified) = (Arc::clone(&queue), verified.clone());
            scope.spawn(move || {
                while let Some(signature) = take(&queue) {
                    if verified.send(signature.verify()).is_err() {
                        break;
                    }
                }
            });
        }
        drop(verified);
        let outcome = in_order(
            chunks,
            |found| scan(source, found),
            |found, chunk| {
                let mut pending = Vec::new();
                follow(found, &chunk?, &mut pending)?;
                for signature in pending {
                    // The workers are there as long as this channel is.
                    let _ = signatures.send(signature);
                }
                verdicts.try_iter().try_for_each(damaged)
            },
        );
        drop(signatures);
        outcome?;
        verdicts.iter().try_for_each(damaged)
    })
}

/// Does `ahead` for each item, several at a time, and calls `follow` with what came of it, in the order of the items, until
/// that fails.
pub(super) fn in_order<I: Sync, T: Send, E>(
    items: &[I],
    ahead: impl Fn(&I) -> T + Sync,
    mut follow: impl FnMut(&I, T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        // A full channel keeps the workers from running far ahead.
        let (done, results) = sync_channel(1);
        for _ in 0..workers().min(items.len()) {
            let (done, next, ahead) = (done.clone(), &next, &ahead);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    // The receiver is gone when something was wrong.
                    if done.send((at, ahead(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            let result = loop {
                if let Some(result) = early.remove(&at) {
                    break result;
                }
                // Every result is sent once, unless a worker panicked, which the scope passes on.
                let Ok((number, result)) = results.recv() else {
                    return Ok(());
                };
                early.insert(number, result);
            };
            follow(item, result)?;
        }
        Ok(())
    })
}

fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn take(queue: &Mutex<Receiver<PendingSignature>>) -> Option<PendingSignature> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}

fn damaged(verdict: Result<(), Box<LocatedFault>>) -> Result<(), RecoveryError> {
    verdict.map_err(|fault| RecoveryError::Damaged { fault })
}

fn scan(source: &LedgerSource, found: &Found) -> Result<ScannedChunk, RecoveryError> {
    let path = found.path();
    let bytes = read_file(source.disk.as_ref(), &path).map_err(io(&path))?;
    let mut pieces = match Pieces::new(bytes.as_slice()) {
        Ok(pieces) => pieces,
        Err(error) => {
            return Ok(ScannedChunk {
                pieces: Vec::new(),
                end: Err((0, error)),
            });
        }
    };
    let mut scanned = Vec::new();
    loop {
        let offset = pieces.offset();
        let mut piece = Piece::default();
        match pieces.next_piece(&mut piece, PIECE) {
            Ok(true) => {
                let stretch = Stretch::scan(piece.bytes(), None);
                scanned.push((piece, stretch));
            }
            Ok(false) => {
                let end = Ok(End {
                    offset: pieces.offset(),
                    finished: pieces.finished(),
                    torn: pieces.torn_bytes(),
                });
                return Ok(ScannedChunk {
                    pieces: scanned,
                    end,
                });
            }
            Err(error) => {
                return Ok(ScannedChunk {
                    pieces: scanned,
                    end: Err((offset, error)),
                });
            }
        }
    }
}
