//! From an HTTP request to its answer: frontend, endpoint, authentication, transaction,
//! commit (CCF interface, sections 0.2 to 0.4).

mod accepted;
mod dispatch;
mod openness;

pub use accepted::{AcceptedEndpoints, PatternError};
pub use dispatch::{
    Authenticate, Credentials, Dispatcher, Frontend, Incoming, Parts, Unauthenticated,
};
pub use openness::{app_is_open, gov_is_open, node_is_open, says_open};

#[cfg(test)]
mod tests;
