//! The member side of a clean room governance service.
//!
//! Everything a party does, as a library: the command line, the demonstration and the end-to-end tests use nothing else.
//!
//! - [`identity`]: member and user identities (a P-256, P-384 or P-521 key with its self-signed certificate) and the RSA key
//!   pairs of recovery members, with their files.
//! - [`cose`]: the COSE_Sign1 envelopes in which members sign proposals, ballots, acknowledgements and recovery shares.
//! - [`client`]: an HTTPS client that trusts exactly one service certificate.
//! - [`service`], [`member`], [`contracts`], [`policies`], [`secrets`], [`documents`], [`events`], [`users`], [`options`]: what can be asked
//!   of a service, by whom.
//! - [`issuer`], [`signing`], [`authority`]: what clean rooms get tokens, signatures and certificates from.
//! - [`recovery`]: opening a recovered service and giving back recovery shares.
//! - [`rehearsal`]: trying a proposal before it is made, and why an open one is open.
//! - [`receipt`]: checking that a transaction is in the ledger of a service.
//! - [`clean_room`]: the other side of a release: evidence goes in, what is wrapped to the attested key comes out.
//!
//! The clock, the random generator, files and sockets are touched in [`identity`] (`load`, `save`, `generate`), [`client`] and
//! [`member`] only.

#![forbid(unsafe_code)]

pub mod authority;
pub mod clean_room;
pub mod client;
pub mod contracts;
pub mod cose;
pub mod delegates;
pub mod documents;
pub mod encryption;
pub mod events;
pub mod explain;
pub mod identity;
pub mod ids;
pub mod issuer;
pub mod member;
pub mod options;
mod pem;
pub mod policies;
pub mod recovery;
pub mod rehearsal;
pub mod releases;
pub mod secrets;
pub mod service;
pub mod signing;
pub mod user_proposals;
pub mod users;

pub use ::ledger::receipt;
pub use client::{Client, ClientError};
pub use identity::Identity;
pub use ids::{IdentityId, ProposalId, TxId};
pub use member::Member;
