//! `mpkg completions`: prints completions for a shell.

use serde_json::json;

use super::{Context, Failure, Outcome};

/// Flags of `mpkg completions`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub(in crate::cli) fn run(arguments: Arguments, _context: &Context) -> Result<Outcome, Failure> {
    let Arguments { shell } = arguments;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "mpkg", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": shell.to_string(), "script": script });
    Ok(Outcome::done(script, json))
}
