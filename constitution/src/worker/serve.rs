//! The worker's side.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};
use std::rc::Rc;
use std::thread;

use crate::host::{Answer, Ask, Bridge};
use crate::limits::Limits;
use crate::runtime;
use crate::snp::VerifySnp;
use crate::worker::frame;
use crate::worker::messages::{self, FromWorker};

/// Runs calls from `reader` until it ends, writing to `writer`. Scripts run on a thread of its own with room for the
/// largest stack the limits allow, and verify evidence with `verify_snp`, if there is one.
///
/// # Errors
/// Of the reader and writer; `InvalidData` when the host sends what is no call.
pub fn serve<R, W>(reader: R, writer: W, verify_snp: Option<VerifySnp>) -> io::Result<()>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let largest = Limits {
        stack_bytes: Limits::MAX_STACK_BYTES,
        ..Limits::default()
    };
    let worker = thread::Builder::new()
        .name("constitution-worker".to_owned())
        .stack_size(largest.thread_stack_bytes())
        .spawn(move || serve_here(reader, writer, verify_snp))?;
    worker
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the engine panicked")))
}

fn serve_here<R, W>(reader: R, writer: W, verify_snp: Option<VerifySnp>) -> io::Result<()>
where
    R: Read + 'static,
    W: Write + 'static,
{
    let pipe = Rc::new(RefCell::new(Pipe {
        reader: BufReader::new(reader),
        writer,
    }));
    loop {
        let Some(call) = frame::read(&mut pipe.borrow_mut().reader)? else {
            return Ok(());
        };
        let (limits, request) = messages::decode_call(&call)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let mut sent = Ok(());
        let bridge = PipeBridge(Rc::clone(&pipe));
        runtime::run(&request, limits, verify_snp, Box::new(bridge), |result| {
            let message = messages::encode_from_worker(&FromWorker::Done(result));
            sent = frame::write(&mut pipe.borrow_mut().writer, &message);
        });
        sent?;
    }
}

struct Pipe<R, W> {
    reader: BufReader<R>,
    writer: W,
}

struct PipeBridge<R, W>(Rc<RefCell<Pipe<R, W>>>);

impl<R: Read, W: Write> Bridge for PipeBridge<R, W> {
    fn ask(&mut self, ask: Ask) -> Option<Answer> {
        let one_way = ask.is_one_way();
        let message = messages::encode_from_worker(&FromWorker::Ask(ask));
        let mut pipe = self.0.borrow_mut();
        frame::write(&mut pipe.writer, &message).ok()?;
        if one_way {
            return Some(Answer::Nothing);
        }
        let answer = frame::read(&mut pipe.reader).ok()??;
        messages::decode_answer(&answer).ok()
    }
}
