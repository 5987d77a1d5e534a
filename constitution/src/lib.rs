//! The constitution members vote on, and the engine that runs any constitution over any key-value store.

#![forbid(unsafe_code)]
