//! Runs programs of the system, such as pip and apt, with the user's own set-up.

use std::io::Read;
use std::process::{Command, Stdio};

use super::{Error, Result};

/// The most that is kept of what a program prints.
const MOST_OUTPUT: u64 = 1 << 20;
/// How many last lines an error shows.
const LAST_LINES: usize = 6;

/// What a program printed, and whether it succeeded.
pub(super) struct Ran {
    pub(super) succeeded: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs `command` to its end; `None` where the program is not on this machine.
pub(super) fn run(command: &mut Command, address: &str) -> Result<Option<Ran>> {
    let shown = shown(command);
    let failed = |error: &std::io::Error| Error::ToolFailed {
        address: address.to_owned(),
        command: shown.clone(),
        said: vec![error.to_string()],
    };
    tracing::info!("running {shown}");
    let started =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        let errors = scope.spawn(move || collected(stderr));
        (collected(stdout), errors.join().unwrap_or_default())
    });
    let status = child.wait().map_err(|error| failed(&error))?;
    Ok(Some(Ran { succeeded: status.success(), stdout, stderr }))
}

fn collected(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What cannot be read is not shown; the rest is drained so that the program goes on.
        let _ = (&mut pipe).take(MOST_OUTPUT).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ran {
    /// The error that says what the program said.
    pub(super) fn failed(&self, command: &Command, address: &str) -> Error {
        let mut said: Vec<String> = self
            .stderr
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .map(crate::explain::printable)
            .collect();
        said.drain(..said.len().saturating_sub(LAST_LINES));
        Error::ToolFailed { address: address.to_owned(), command: shown(command), said }
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
