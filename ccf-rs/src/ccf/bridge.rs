//! What crosses between Rust and C++.

pub(super) use super::hosted::{add_argument, dispatch, install, needs_root, start};
pub(super) use super::visitor::{Visitor, visit};

#[cxx::bridge(namespace = "ccf_rs")]
#[allow(unreachable_pub, unused_qualifications, reason = "the macro writes so")]
pub(super) mod ffi {
    /// How a call into the framework ended.
    enum Ended {
        /// It did what was asked.
        Done,
        /// There is no such value.
        Absent,
        /// The transaction has to be run again; the exception that says so is held.
        Again,
        /// It failed; `Exchange::failure` says why.
        Failed,
    }

    /// A number, if the call gave one.
    struct Number {
        ended: Ended,
        value: u64,
    }

    /// A transaction id, if the call gave one.
    struct Id {
        ended: Ended,
        view: u64,
        seqno: u64,
    }

    /// Authentication policies.
    enum Policy {
        Anonymous,
        MemberCert,
        UserCert,
        AnyCert,
        Jwt,
        MemberCose,
        ActiveMemberCose,
        UserCose,
    }

    /// Who was authenticated.
    enum Identity {
        Unasked,
        Anonymous,
        Member,
        User,
        Certificate,
        Jwt,
        MemberCose,
        UserCose,
        /// None this interface knows.
        Other,
    }

    /// Where a request may be executed.
    enum Place {
        Primary,
        AnyNode,
        ThisNode,
    }

    /// Status of a transaction.
    enum Status {
        Unknown,
        Pending,
        Committed,
        Invalid,
    }

    extern "Rust" {
        /// Takes pairs of byte strings, one at a time.
        type Visitor<'a>;
        /// Shows a pair; false when no more are wanted.
        #[rust_name = "visit"]
        unsafe fn show<'a>(visitor: &mut Visitor<'a>, name: &[u8], value: &[u8]) -> bool;

        /// Remembers an argument of the application.
        fn add_argument(argument: &str);
        /// Makes the application. When it cannot, says so on stderr and gives false.
        fn start(confidential: bool) -> bool;
        /// Adds every endpoint of the application.
        fn install(registry: Pin<&mut Registry>) -> Result<()>;
        /// Whether the endpoint at this verb and path reads the Merkle root.
        fn needs_root(verb: &str, path: &str) -> bool;
        /// Runs the handler of an endpoint once and answers, unless the request has to be run again.
        fn dispatch(endpoint: usize, exchange: Pin<&mut Exchange>);
    }

    unsafe extern "C++" {
        include!("ccf-rs/src/ccf/glue.h");

        /// CCF's endpoint registry.
        type Registry;
        /// The OpenAPI document of the application, JSON.
        fn describe(self: Pin<&mut Registry>, document: &str) -> Result<()>;
        /// Adds a policy to the endpoint installed next. `message_type` is that of COSE messages, empty: any.
        fn admit(self: Pin<&mut Registry>, policy: Policy, message_type: &str);
        /// Installs an endpoint.
        fn serve(
            self: Pin<&mut Registry>,
            endpoint: usize,
            verb: &str,
            path: &str,
            writes: bool,
            place: Place,
        ) -> Result<()>;

        /// One execution of a handler: the request, its transaction, its answer.
        type Exchange;
        /// Path and query as on the wire.
        fn url(self: &Exchange) -> &[u8];
        fn body(self: &Exchange) -> &[u8];
        fn headers<'a>(self: &Exchange, visitor: &mut Visitor<'a>);
        fn path_components<'a>(self: &Exchange, visitor: &mut Visitor<'a>);
        /// Shows what identifies the caller, by name.
        fn identity<'a>(self: &Exchange, visitor: &mut Visitor<'a>) -> Identity;

        /// Shows the value.
        fn get<'a>(
            self: Pin<&mut Exchange>,
            table: &str,
            key: &[u8],
            visitor: &mut Visitor<'a>,
        ) -> Ended;
        /// Shows the value at the last global commit.
        fn committed<'a>(
            self: Pin<&mut Exchange>,
            table: &str,
            key: &[u8],
            visitor: &mut Visitor<'a>,
        ) -> Ended;
        fn has(self: Pin<&mut Exchange>, table: &str, key: &[u8]) -> Ended;
        fn each<'a>(self: Pin<&mut Exchange>, table: &str, visitor: &mut Visitor<'a>) -> Ended;
        /// Shows the entries from `from` (if `bounded_below`) up to before `to` (if `bounded_above`), ascending.
        fn range<'a>(
            self: Pin<&mut Exchange>,
            table: &str,
            bounded_below: bool,
            from: &[u8],
            bounded_above: bool,
            to: &[u8],
            visitor: &mut Visitor<'a>,
        ) -> Ended;
        fn size(self: Pin<&mut Exchange>, table: &str) -> Number;
        fn previous_write(self: Pin<&mut Exchange>, table: &str, key: &[u8]) -> Number;
        fn put(self: Pin<&mut Exchange>, table: &str, key: &[u8], value: &[u8]) -> Ended;
        fn remove(self: Pin<&mut Exchange>, table: &str, key: &[u8]) -> Ended;
        fn clear(self: Pin<&mut Exchange>, table: &str) -> Ended;
        fn set_claims_digest(self: Pin<&mut Exchange>, digest: &[u8; 32]) -> Ended;

        fn view_of(self: Pin<&mut Exchange>, seqno: u64) -> Number;
        /// A [`Status`] as a number.
        fn status_of(self: Pin<&mut Exchange>, view: u64, seqno: u64) -> Number;
        fn last_committed(self: Pin<&mut Exchange>) -> Id;
        /// Shows 32 bytes.
        fn root<'a>(self: Pin<&mut Exchange>, visitor: &mut Visitor<'a>) -> Ended;
        /// Fetches past transactions; `Absent` while they are not at hand. `take_past` then gives them one by one.
        fn fetch_past(self: Pin<&mut Exchange>, first: u64, last: u64) -> Ended;
        fn take_past(self: Pin<&mut Exchange>) -> UniquePtr<Past>;

        /// Why the last call failed.
        fn failure(self: &Exchange) -> &[u8];
        fn add_header(self: Pin<&mut Exchange>, name: &str, value: &str) -> Ended;
        fn answer(self: Pin<&mut Exchange>, status: u16, body: &[u8], keep_writes: bool) -> Ended;

        /// A past transaction.
        type Past;
        fn view(self: &Past) -> u64;
        fn seqno(self: &Past) -> u64;
        /// Shows the value this transaction wrote, or why it cannot be read.
        fn get<'a>(self: &Past, table: &str, key: &[u8], visitor: &mut Visitor<'a>) -> Ended;
        /// Shows the receipt, JSON, or why there is none.
        fn receipt<'a>(self: &Past, visitor: &mut Visitor<'a>) -> Ended;

        /// Writes a line to the node's log.
        fn log_failure(text: &str);
    }
}
