//! The `cleanroom` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A node runs scripts in children of this program. They are no command of a person's, and
    // they need standard input and output for themselves.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "script-worker")
    {
        return match node::script::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    cli::run(
        std::env::args_os(),
        &mut std::io::stdout().lock(),
        &mut std::io::stderr(),
    )
}
