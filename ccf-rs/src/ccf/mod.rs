//! The CCF node as a host: a bridge to CCF's C++ application interface (CCF interface, section 9).
//!
//! The application is linked into CCF's own executable. CCF calls [`bridge::ffi`]'s `install` once, when it builds the node, and
//! `dispatch` for every execution of a handler; [`Transaction`](transaction::Transaction) reaches back through an `Exchange`, the C++
//! object that stands for one execution. `glue.h` and `glue.cpp` are the C++ side. They use CCF's public headers only and are compiled by the
//! CMake project that links the node, with the compiler and options CCF was built with.
//!
//! # Safety
//!
//! All unsafe code of the repository is in this folder. What it relies on:
//!
//! - **Lifetimes.** `Exchange` lives on the C++ stack around `dispatch` and is lent to Rust for that call only; the same holds for every slice and
//!   string that crosses, in both directions. Rust copies what it keeps before it calls again.
//! - **Unwinding.** No panic reaches a C++ frame: `install`, `start`, `dispatch` and [`Visitor`](visitor::Visitor) catch it; a panic inside a visitor goes on in
//!   Rust after C++ has returned. No exception reaches a Rust frame: every C++ function that Rust calls is `noexcept` and turns a
//!   `std::exception` into `Failed`. What is no `std::exception` is CCF's `CompactedVersionConflict`, which CCF must see in order to run the request
//!   again: it is held, reported as `Again` (here [`HostError::Retry`](crate::HostError::Retry)), and thrown on once `dispatch` has returned.
//! - **Allocation.** Each side frees what it allocated: bytes cross as borrowed slices, and the only owned C++ object in Rust, `Past`, is
//!   freed by its C++ destructor.
//! - **Threads.** CCF may run handlers on several worker threads at once. The application is shared and immutable ([`Endpoint`](crate::Endpoint)s are `Send + Sync`);
//!   an `Exchange` stays on its thread.

#![allow(unsafe_code)]

mod bridge;
mod hosted;
mod request;
mod transaction;
mod visitor;

/// What the operator's command line and the machine say about this node.
#[derive(Debug)]
pub struct Startup {
    /// The arguments behind `--`, which CCF does not see.
    pub arguments: Vec<String>,
    /// The node runs on SEV-SNP, so its operator cannot read its memory.
    pub confidential: bool,
}

/// Names the function that makes the application of a CCF node: `fn(Startup) -> Result<Application, String>`. Exactly one crate of the
/// node says this. An error ends the node before it starts, and its text is for the operator.
#[macro_export]
macro_rules! ccf_node {
    ($start:path) => {
        const _: () = {
            // SAFETY: the name is this macro's, and `ccf-rs` declares it with the same type.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "Rust" fn ccf_rs_application(
                startup: $crate::ccf::Startup,
            ) -> ::std::result::Result<$crate::Application, ::std::string::String> {
                $start(startup)
            }
        };
    };
}
