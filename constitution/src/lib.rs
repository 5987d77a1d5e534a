//! The engine that runs any constitution over any key-value store.
//!
//! [`Engine`] runs *any* CCF constitution or ballot in QuickJS with CCF's semantics (CCF interface, section 4), over
//! the caller's [`Kv`] and [`Effects`]. [`InProcess`] runs it on a thread of this process; [`worker::Client`] talks to
//! a [`worker::serve`] loop in a child process, which is what a server should use (see [`worker`] for why).
//!
//! ```
//! use constitution::{Case, Engine, InProcess, Limits, MemoryKv, ProposalState};
//!
//! let module = "export function validate(input) { return {valid: true}; }
//!               export function resolve(proposal, proposerId, votes) { return 'Open'; }
//!               export function apply(proposal, proposalId) {}";
//! let mut engine = InProcess::new(Limits::default());
//! let mut kv = MemoryKv::default();
//! assert!(engine.validate(module, r#"{"actions":[]}"#, &mut kv)?.valid);
//! let case = Case { proposal: r#"{"actions":[]}"#, proposer_id: "proposer", votes: &[], proposal_id: "id" };
//! let state = engine.resolve(module, &case, &mut kv)?;
//! assert_eq!(state, ProposalState::Open);
//! # Ok::<(), constitution::EngineError>(())
//! ```
//!
//! # Where this host differs from CCF
//!
//! * The limits cover compilation, the module's top level and the call; CCF's cover the call only.
//! * The engine is a younger QuickJS than CCF's of 2024-01-13: a script may use what CCF would refuse, never the other way
//!   round.
//! * Lone surrogates become U+FFFD when text becomes bytes; CCF writes them as three bytes that are not UTF-8.
//! * `snp_attestation.verifySnpAttestation` throws `… is not available on this host` where the host gives no [`VerifySnp`].
//! * `ccf.crypto` throws a `RangeError` for RSA keys of other sizes than 2048, 3072, 4096 and 8192 bits or with another exponent
//!   than 65537, and where a verifier is to find out the length of an RSA-PSS salt (`saltLength` -2 or below -3).
//! * Console output is bounded per call.

#![forbid(unsafe_code)]

mod access;
mod engine;
mod error;
mod host;
mod in_process;
pub mod jwt_keys;
mod limits;
mod memory;
mod runtime;
mod snp;
mod store;
mod text;
pub mod worker;

pub use access::{Access, Permission, ReservedTable};
pub use engine::{
    Ballot, Case, ConsoleLevel, Engine, Irregularity, ProposalState, Resolution, Validation, Vote,
};
pub use error::{EngineError, Failure, Phase, TIMED_OUT};
pub use in_process::InProcess;
pub use limits::Limits;
pub use memory::{MemoryKv, NoEffects};
pub use snp::{SnpEvidence, SnpField, SnpObject, VerifySnp};
pub use store::{Effects, Kv, KvError};
pub use text::{Part, default_module, parts};
