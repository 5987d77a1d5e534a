//! Evidence in, verified claims out: SEV-SNP reports, endorsement chains, UVM endorsements, key wrapping.

#![forbid(unsafe_code)]
