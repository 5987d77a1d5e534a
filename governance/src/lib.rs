//! The member side as a library: identities, COSE signing, HTTP client, flows.

#![forbid(unsafe_code)]
