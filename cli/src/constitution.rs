//! `cleanroom constitution`.

use crate::error::CliError;
use crate::output::Output;

/// Prints the constitution of this version.
pub(crate) fn print(output: &mut Output<'_>) -> Result<(), CliError> {
    output.show(&::constitution::default_module(), String::clone)
}
