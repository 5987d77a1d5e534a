//! AMD SEV-SNP: the report, the certificates that endorse its key, and the rules both must meet.

pub(crate) mod chain;
mod product;
pub(crate) mod report;
mod rules;
mod tcb;
mod vcek;

pub(crate) use chain::Chain;
pub use product::{CpuId, CpuIdError, Product};
pub use report::{FirmwareVersion, GuestPolicy, KeyInfo, REPORT_SIZE, Report, SIGNED_SIZE};
pub(crate) use rules::{check_policy, check_report};
pub use tcb::{TcbComponents, TcbError, TcbVersion};
