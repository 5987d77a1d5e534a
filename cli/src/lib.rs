//! The command line of the clean room governance service.

#![forbid(unsafe_code)]
