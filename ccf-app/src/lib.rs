//! The clean room application: contracts, policies, secrets, releases, consent.

#![forbid(unsafe_code)]
