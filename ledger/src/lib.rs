//! The CCF ledger, snapshot and receipt formats: read, write, verify.
//!
//! No network and no file access: bytes in, values out. A transaction becomes an entry
//! ([`encode`]), its leaf goes into the [`MerkleTree`], a signature transaction
//! ([`signature_write_set`]) covers everything before it, and entries stand in chunks
//! ([`ChunkBuilder`]). [`LedgerVerifier`] walks chunks and checks all of it.

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod checkpoint;
mod chunk;
mod cursor;
mod endorsement;
mod entry;
mod envelope;
mod frontier;
mod hash;
mod hash_all;
mod id;
mod json;
mod key;
mod merkle;
mod message;
pub mod pem;
mod pieces;
pub mod receipt;
mod rsa;
mod secret;
mod shares;
mod signature;
mod snapshot;
mod snapshot_read;
#[cfg(test)]
mod testing;
mod verify;
mod write_set;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use chunk::{ChunkBuilder, ChunkError, ChunkName, Entries, FIRST_ENTRY, Located};
pub use cursor::ReadError;
pub use endorsement::{
    ENDORSEMENT_MAP, Endorsed, EndorsementError, EndorsementRow, LAST_SIGNED_ROOT_MAP, verify_chain,
};
pub use entry::{
    Encoded, Entry, EntryError, EntryHead, EntryType, FLAG_CHUNK_AFTER, FLAG_CHUNK_BEFORE, encode,
    encode_again,
};
pub use envelope::{Envelope, EnvelopeError, HeaderNames, UnsignedError};
pub use frontier::{Fold, Frontier, Subtree};
pub use hash::{Digest, ParseDigestError};
pub use hash_all::hash_all;
pub use id::{ParseTxIdError, Seqno, TxId, View};
pub use json::{Base64, canonical, integer_key, is_canonical};
pub use key::{Curve, KeyError, PublicKey, Signer, SigningFailed};
pub use merkle::{MerkleTree, Proof, ProofStep, TREE_MAP, TreeError, fold_proof};
pub use message::{GovernanceMessage, MessageError};
pub use pieces::{Piece, Pieces, Source};
pub use rsa::{RsaError, RsaPrivateKey, RsaPublicKey};
pub use secret::{
    CommitEvidence, ENCRYPTED_SECRETS_MAP, EncryptedNodeSecret, EncryptedSecretsRow,
    HISTORICAL_SECRET_MAP, HistoricalSecretRow, LedgerSecret, LedgerSecrets, PreviousLedgerSecret,
    SecretError,
};
pub use shares::{
    RECOVERY_SHARES_MAP, RecoveryMembers, RecoverySharesRow, SHARE_LEN, SUBMITTED_SHARES_MAP,
    Share, ShareError, WrappingSecret,
};
pub use signature::{
    COSE_SIGNATURES_MAP, CoseError, CoseRootSignature, MakeSignatureError, SIGNATURES_MAP,
    SignatureInputs, SignatureRow, signature_write_set,
};
pub use snapshot::{
    SNAPSHOT_EVIDENCE_MAP, SnapshotEvidence, SnapshotMap, SnapshotPoint, SnapshotRow,
    SnapshotStart, encode_snapshot, snapshot_key_order,
};
pub use snapshot_read::{Snapshot, SnapshotError, open_snapshot, snapshot_maps};
pub use verify::{
    Anchor, Check, Fault, LedgerVerifier, Located as LocatedFault, PendingSignature, Place, Report,
    Stretch, Trust, Verdict, Walk, entry_fault, layout_fault,
};
pub use write_set::{
    MapSection, MapWrites, PUBLIC_PREFIX, SINGLE_KEY, SectionError, WriteSet, is_public,
    parse_sections,
};
