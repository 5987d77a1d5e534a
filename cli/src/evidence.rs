//! Evidence in a folder. Of a container group: `report.bin`, `endorsements.pem`, `uvm_endorsement.cose`, and if there `endorsed_tcb`. Of a
//! virtual machine: `attestation.json`, as it is sent. With either: `priv_key.pem` or `pub_key.pem`, and in `challenge` the challenge that
//! the evidence answers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use attestation::{ClientKey, CvmEvidence, Evidence};
use governance::clean_room::RoomEvidence;
use zeroize::Zeroizing;

use crate::error::CliError;

const ATTESTATION: &str = "attestation.json";
const REPORT: &str = "report.bin";
const ENDORSEMENTS: &str = "endorsements.pem";
const UVM_ENDORSEMENT: &str = "uvm_endorsement.cose";
const ENDORSED_TCB: &str = "endorsed_tcb";
const PRIVATE_KEY: &str = "priv_key.pem";
const PUBLIC_KEY: &str = "pub_key.pem";
const CHALLENGE: &str = "challenge";

/// Reads the evidence of a folder.
pub(crate) fn load(folder: &Path) -> Result<RoomEvidence, CliError> {
    // A report beside it settles whose evidence it is.
    if folder.join(REPORT).exists() {
        return load_group(folder).map(RoomEvidence::from);
    }
    let machine = folder.join(ATTESTATION);
    match optional(&machine)? {
        None => load_group(folder).map(RoomEvidence::from),
        Some(text) => {
            let name = machine.display().to_string();
            let sent =
                serde_json::from_slice(&text).map_err(|error| CliError::input(name, &error))?;
            Ok(CvmEvidence::from_request(&sent)?.into())
        }
    }
}

fn load_group(folder: &Path) -> Result<Evidence, CliError> {
    let endorsed_tcb = match optional(&folder.join(ENDORSED_TCB))? {
        Some(bytes) => {
            let text =
                String::from_utf8(bytes).map_err(|error| CliError::input(ENDORSED_TCB, &error))?;
            Some(text.trim().to_owned())
        }
        None => None,
    };
    Ok(Evidence {
        report: bytes(&folder.join(REPORT))?,
        endorsements: bytes(&folder.join(ENDORSEMENTS))?,
        uvm_endorsements: optional(&folder.join(UVM_ENDORSEMENT))?,
        endorsed_tcb,
    })
}

/// Reads the private key of a folder.
pub(crate) fn load_key(folder: &Path) -> Result<ClientKey, CliError> {
    let path = folder.join(PRIVATE_KEY);
    let text = Zeroizing::new(bytes(&path)?);
    ClientKey::from_pem(&text).map_err(|error| CliError::input(path.display().to_string(), &error))
}

/// Reads the public key text of a folder, if it is there.
pub(crate) fn load_public_key(folder: &Path) -> Result<Option<Vec<u8>>, CliError> {
    optional(&folder.join(PUBLIC_KEY))
}

/// Reads the challenge that the evidence of a folder answers, if it answers one.
pub(crate) fn load_challenge(folder: &Path) -> Result<Option<String>, CliError> {
    let path = folder.join(CHALLENGE);
    let text = optional(&path)?.map(String::from_utf8).transpose();
    let text = text.map_err(|error| CliError::input(path.display().to_string(), &error))?;
    Ok(text.map(|text| text.trim().to_owned()))
}

/// Writes the challenge that the evidence of a folder answers.
pub(crate) fn save_challenge(folder: &Path, challenge: &str) -> Result<(), CliError> {
    write(folder.join(CHALLENGE), challenge.as_bytes(), 0o644)
}

/// Writes evidence and key into a folder, which is made if needed. Existing files are an error.
pub(crate) fn save(
    folder: &Path,
    evidence: &RoomEvidence,
    key: &ClientKey,
) -> Result<(), CliError> {
    fs::create_dir_all(folder).map_err(CliError::file(folder))?;
    let private = key
        .private_key_pem()
        .map_err(|error| CliError::input(folder.join(PRIVATE_KEY).display().to_string(), &error))?;
    write(folder.join(PRIVATE_KEY), private.as_bytes(), 0o600)?;
    write(
        folder.join(PUBLIC_KEY),
        key.public_key_pem().as_bytes(),
        0o644,
    )?;
    let evidence = match evidence {
        RoomEvidence::Group(evidence) => evidence,
        RoomEvidence::Machine(evidence) => {
            let sent = format!("{:#}\n", evidence.to_request());
            return write(folder.join(ATTESTATION), sent.as_bytes(), 0o644);
        }
    };
    write(folder.join(REPORT), &evidence.report, 0o644)?;
    write(folder.join(ENDORSEMENTS), &evidence.endorsements, 0o644)?;
    if let Some(uvm) = &evidence.uvm_endorsements {
        write(folder.join(UVM_ENDORSEMENT), uvm, 0o644)?;
    }
    if let Some(tcb) = &evidence.endorsed_tcb {
        write(folder.join(ENDORSED_TCB), tcb.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(CliError::file(path))
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    if path.exists() {
        bytes(path).map(Some)
    } else {
        Ok(None)
    }
}

fn write(path: PathBuf, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| CliError::File { path, source })
}
