//! The last signature, kept outside the ledger: evidence against whoever puts older files in its place.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ledger::{COSE_SIGNATURES_MAP, Checkpoint, SIGNATURES_MAP, SINGLE_KEY, SignatureRow};

use crate::store::{State, Writes};

/// The file is not written more often.
const EVERY: Duration = Duration::from_secs(1);

const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// Keeps the file.
pub(super) struct Checkpoints {
    file: Option<PathBuf>,
    written: Option<Instant>,
    /// The newest that is not in the file.
    newest: Option<Newest>,
}

struct Newest {
    row: SignatureRow,
    cose: Option<Vec<u8>>,
    certificate: String,
}

impl Checkpoints {
    pub(super) const fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            written: None,
            newest: None,
        }
    }

    /// A signature is on disk; `state` is that before it.
    pub(super) fn signed(&mut self, signature: &Writes, state: &State) {
        if self.file.is_none() {
            return;
        }
        self.newest = newest(signature, state);
        if self
            .written
            .is_none_or(|written| written.elapsed() >= EVERY)
        {
            self.write();
        }
    }

    /// Writes what is not written yet.
    pub(super) fn write(&mut self) {
        let (Some(file), Some(newest)) = (&self.file, self.newest.take()) else {
            return;
        };
        let cose = newest.cose.as_deref();
        let Some(checkpoint) = Checkpoint::of_signature(&newest.row, cose, &newest.certificate)
        else {
            return;
        };
        let unfinished = file.with_extension("unfinished");
        let written = serde_json::to_vec(&checkpoint)
            .map_err(std::io::Error::other)
            .and_then(|bytes| fs::write(&unfinished, bytes))
            .and_then(|()| fs::rename(&unfinished, file));
        if let Err(error) = written {
            // The ledger is what counts; this is evidence beside it.
            tracing::warn!(file = %file.display(), %error, "the checkpoint cannot be written");
        }
        self.written = Some(Instant::now());
    }
}

fn newest(signature: &Writes, state: &State) -> Option<Newest> {
    let value = |table: &str| {
        let rows = signature.get(table)?;
        rows.get(SINGLE_KEY.as_slice())?.as_ref()
    };
    let info = state.value(SERVICE_INFO, &SINGLE_KEY)?;
    let info: serde_json::Value = serde_json::from_slice(info).ok()?;
    Some(Newest {
        row: serde_json::from_slice(value(SIGNATURES_MAP)?).ok()?,
        cose: value(COSE_SIGNATURES_MAP).map(|row| row.to_vec()),
        certificate: info.get("cert")?.as_str()?.to_owned(),
    })
}
