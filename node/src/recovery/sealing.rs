//! Ledger secrets sealed to the machine, for a restart without shares (ledger format, section 16.5).
//!
//! ```text
//! <version>.sealed.json = { "aad_text": text, "ciphertext": base64(tag[16] || iv[12] || ciphertext) }
//! aad_text              = { "tcb_version": text, "version": seqno }       additional data of the AES-256-GCM box
//! plain text            = { "previous_secret_stored_version"?: seqno, "raw_key": base64 }
//! ```
//!
//! The key comes from the platform: on AMD SEV-SNP the firmware derives one from the measurement of the code and the
//! version of the platform, so that only the same code on the same machine gets it again.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use ccf_rs::Seqno;
use ledger::{Base64, LedgerSecret};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

/// Where sealing keys come from.
pub trait SealingKey: Send + Sync {
    /// The platform's version now, which what is sealed now is bound to, beside the code; it stands beside every secret.
    ///
    /// # Errors
    /// What the platform says.
    fn tcb_version(&self) -> Result<String, SealingError>;

    /// The key for a version of the platform that is not newer than it is: the same each time for the same code on the same
    /// machine.
    ///
    /// # Errors
    /// What the platform says.
    fn derive(&self, tcb_version: &str) -> Result<Zeroizing<[u8; 32]>, SealingError>;
}

/// The stand-in for development: a key in a file beside what it seals. It protects nothing.
#[derive(Clone, Debug)]
pub struct DevelopmentKey {
    file: PathBuf,
}

/// Sealed secrets in a directory.
#[derive(Clone)]
pub struct SealedSecrets {
    directory: PathBuf,
    key: Arc<dyn SealingKey>,
}

/// A secret cannot be sealed or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// A file.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not a sealed secret, or sealed by other code or on another machine.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The platform gives no key.
    #[error("{what}: {reason}")]
    Platform {
        /// Its device.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

const SUFFIX: &str = ".sealed.json";
const TAG: usize = 16;
const IV: usize = 12;

#[derive(Serialize, Deserialize)]
struct SealedFile {
    aad_text: String,
    ciphertext: Base64,
}

#[derive(Serialize, Deserialize)]
struct Additional {
    tcb_version: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_secret_stored_version: Option<u64>,
    raw_key: String,
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.raw_key.zeroize();
    }
}

impl DevelopmentKey {
    /// The key in this directory, made when it is first asked for.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            file: directory.join("development_sealing_key"),
        }
    }
}

impl SealingKey for DevelopmentKey {
    fn tcb_version(&self) -> Result<String, SealingError> {
        Ok("development: a key in a file, sealed by no hardware".to_owned())
    }

    fn derive(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, SealingError> {
        let io = |source| SealingError::Io {
            path: self.file.clone(),
            source,
        };
        let mut key = Zeroizing::new([0; 32]);
        match fs::read(&self.file).map(Zeroizing::new) {
            Ok(bytes) if bytes.len() == key.len() => key.copy_from_slice(&bytes),
            Ok(bytes) => {
                return Err(SealingError::Unusable {
                    path: self.file.clone(),
                    reason: format!("{} bytes, want 32", bytes.len()),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                SystemRandom::new()
                    .fill(key.as_mut())
                    .map_err(|_| SealingError::Library)?;
                write_private(&self.file, key.as_ref()).map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        Ok(key)
    }
}

impl SealedSecrets {
    /// Those in a directory, which need not be there yet.
    pub fn new(directory: PathBuf, key: Arc<dyn SealingKey>) -> Self {
        Self { directory, key }
    }

    /// Seals the secret that covers from `from` on. `described_at` is the position of the row that describes it, if known.
    ///
    /// # Errors
    /// [`SealingError`].
    pub fn seal(
        &self,
        from: Seqno,
        secret: &LedgerSecret,
        described_at: Option<Seqno>,
    ) -> Result<(), SealingError> {
        let path = self.directory.join(format!("{from}{SUFFIX}"));
        let io = |source| SealingError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.directory).map_err(io)?;
        let additional = Additional {
            tcb_version: self.key.tcb_version()?,
            version: from.0,
        };
        let aad_text = serde_json::to_string(&additional).map_err(|_| SealingError::Library)?;
        let plain = Plain {
            previous_secret_stored_version: described_at.map(|at| at.0),
            raw_key: encode(secret.expose_bytes()),
        };
        let plain = serde_json::to_vec(&plain).map(Zeroizing::new);
        let mut body = plain.map_err(|_| SealingError::Library)?;
        let mut iv = [0; IV];
        SystemRandom::new()
            .fill(&mut iv)
            .map_err(|_| SealingError::Library)?;
        let tag = self
            .cipher(&additional.tcb_version)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(iv),
                Aad::from(aad_text.as_bytes()),
                &mut body,
            )
            .map_err(|_| SealingError::Library)?;
        let ciphertext = Base64([tag.as_ref(), iv.as_slice(), body.as_slice()].concat());
        let file = serde_json::to_vec(&SealedFile {
            aad_text,
            ciphertext,
        });
        write_private(&path, &file.map_err(|_| SealingError::Library)?).map_err(io)
    }

    /// The newest secret that covers `at` or what is before it, and unseals here. Files that do not are passed over.
    ///
    /// # Errors
    /// [`SealingError::Io`] when the directory cannot be read.
    pub fn newest(&self, at: Seqno) -> Result<Option<(Seqno, LedgerSecret)>, SealingError> {
        let mut versions = self.versions()?;
        versions.retain(|version| *version <= at);
        for version in versions.into_iter().rev() {
            match self.unseal(version) {
                Ok(secret) => return Ok(Some((version, secret))),
                Err(error) => tracing::warn!(%error, "a sealed secret is not used"),
            }
        }
        Ok(None)
    }

    /// Removes every sealed secret.
    ///
    /// # Errors
    /// [`SealingError::Io`].
    pub fn forget(&self) -> Result<(), SealingError> {
        for version in self.versions()? {
            let path = self.directory.join(format!("{version}{SUFFIX}"));
            fs::remove_file(&path).map_err(|source| SealingError::Io { path, source })?;
        }
        Ok(())
    }

    /// Versions of the sealed secrets, oldest first.
    fn versions(&self) -> Result<Vec<Seqno>, SealingError> {
        let items = match fs::read_dir(&self.directory) {
            Ok(items) => items,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                let path = self.directory.clone();
                return Err(SealingError::Io { path, source });
            }
        };
        let names = items.filter_map(|item| item.ok()?.file_name().into_string().ok());
        let mut versions: Vec<Seqno> = names
            .filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok().map(Seqno))
            .collect();
        versions.sort();
        Ok(versions)
    }

    fn unseal(&self, version: Seqno) -> Result<LedgerSecret, SealingError> {
        let path = self.directory.join(format!("{version}{SUFFIX}"));
        let unusable = |reason: &str| SealingError::Unusable {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let bytes = fs::read(&path).map_err(|source| SealingError::Io {
            path: path.clone(),
            source,
        })?;
        let file: SealedFile =
            serde_json::from_slice(&bytes).map_err(|_| unusable("not a sealed secret"))?;
        let additional: Additional =
            serde_json::from_str(&file.aad_text).map_err(|_| unusable("not a sealed secret"))?;
        if additional.version != version.0 {
            return Err(unusable("it is of another version than its name says"));
        }
        let (tag, rest) = file
            .ciphertext
            .0
            .split_at_checked(TAG)
            .ok_or_else(|| unusable("cut short"))?;
        let (iv, body) = rest
            .split_first_chunk::<IV>()
            .ok_or_else(|| unusable("cut short"))?;
        let mut plain = Zeroizing::new(body.to_vec());
        self.cipher(&additional.tcb_version)?
            .open_in_place_separate_tag(
                Nonce::assume_unique_for_key(*iv),
                Aad::from(file.aad_text.as_bytes()),
                tag,
                &mut plain,
            )
            .map_err(|_| unusable("sealed by other code, on another machine, or altered"))?;
        let plain: Plain =
            serde_json::from_slice(&plain).map_err(|_| unusable("no secret inside"))?;
        decode(&plain.raw_key)
            .and_then(|key| LedgerSecret::from_slice(&key).ok())
            .ok_or_else(|| unusable("no secret inside"))
    }

    fn cipher(&self, tcb_version: &str) -> Result<LessSafeKey, SealingError> {
        UnboundKey::new(&AES_256_GCM, self.key.derive(tcb_version)?.as_ref())
            .map(LessSafeKey::new)
            .map_err(|_| SealingError::Library)
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.ok().map(Zeroizing::new)
}

/// A file for this user only. It is there whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> LedgerSecret {
        LedgerSecret::generate(&SystemRandom::new()).unwrap()
    }

    fn sealed(directory: &Path) -> SealedSecrets {
        let key = Arc::new(DevelopmentKey::in_directory(directory));
        SealedSecrets::new(directory.to_owned(), key)
    }

    #[test]
    fn the_newest_that_covers_and_unseals_comes_back() {
        let scratch = tempfile::tempdir().unwrap();
        let secrets = sealed(scratch.path());
        assert!(secrets.newest(Seqno(9)).unwrap().is_none());
        let (first, second) = (secret(), secret());
        secrets.seal(Seqno(1), &first, None).unwrap();
        secrets.seal(Seqno(12), &second, Some(Seqno(11))).unwrap();
        let found = |at| {
            let (from, secret) = sealed(scratch.path()).newest(Seqno(at)).unwrap().unwrap();
            (from, *secret.expose_bytes())
        };
        assert_eq!(found(11), (Seqno(1), *first.expose_bytes()));
        assert_eq!(found(12), (Seqno(12), *second.expose_bytes()));
        // An altered file, one under another name, and one that is not: passed over.
        let newest = scratch.path().join("12.sealed.json");
        let good = fs::read(&newest).unwrap();
        for at in [14, good.len() / 2, good.len() - 4] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&newest, bytes).unwrap();
            assert_eq!(found(99), (Seqno(1), *first.expose_bytes()), "{at}");
        }
        fs::write(scratch.path().join("50.sealed.json"), &good).unwrap();
        assert_eq!(found(99), (Seqno(1), *first.expose_bytes()));
        secrets.forget().unwrap();
        assert!(secrets.newest(Seqno(99)).unwrap().is_none());
    }

    #[test]
    fn on_another_machine_nothing_unseals() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        sealed(here.path()).seal(Seqno(1), &secret(), None).unwrap();
        fs::copy(
            here.path().join("1.sealed.json"),
            there.path().join("1.sealed.json"),
        )
        .unwrap();
        assert!(sealed(there.path()).newest(Seqno(5)).unwrap().is_none());
    }
}
