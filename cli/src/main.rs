//! The `cleanroom` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(
        std::env::args_os(),
        &mut std::io::stdout().lock(),
        &mut std::io::stderr(),
    )
}
