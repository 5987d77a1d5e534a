//! Scripts in a process of their own.
//!
//! Why: under memory pressure the engine may abort the process it runs in, and some built-in functions do not look at
//! the clock. A server therefore runs [`serve`] in a child process over the child's standard input and output, talks to it
//! through a [`Client`], and kills it when a call takes longer than its limits allow. Starting and killing processes is the
//! server's business; this module only needs a reader and a writer.
//!
//! ```text
//! host                                   worker
//!   Call(limits, request)  ───────────▶
//!                          ◀───────────  Ask(get, table, key)
//!   Answer(value)          ───────────▶
//!                          ◀───────────  Ask(put, table, key, value)      (not answered)
//!                          ◀───────────  Done(result)
//! ```
//!
//! Every message is a frame: its length in bytes as a little-endian `u32`, at most [`MAX_FRAME_BYTES`], then the bytes
//! described in the source of the codec. The worker is not trusted: the host checks each request against what the call
//! may do, and reads frames totally.

mod client;
mod codec;
mod frame;
mod messages;
mod serve;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use frame::MAX_FRAME_BYTES;
pub use serve::serve;
