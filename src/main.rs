//! The `mpkg` program: the sandbox's re-entry, then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    mpkg::build::sandbox::reenter().unwrap_or_else(mpkg::cli::run)
}
