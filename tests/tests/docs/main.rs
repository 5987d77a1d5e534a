//! The tables in `docs` that name tests, held to the tests that there are.
#![allow(clippy::unwrap_used, missing_docs)]

mod compatibility;
mod conformance;
mod names;
