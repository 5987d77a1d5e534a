//! End-to-end scenarios, run against either host, and interoperability with CCF's own tools.

#![forbid(unsafe_code)]
