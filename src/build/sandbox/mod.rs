//! Runs a command without network, with only its output folder writable, within limits
//! (spec/sandbox.md).
//!
//! The work is done by mpkg itself, started again: [`reenter`] is the first thing that `main`
//! calls. The processes of one run are
//!
//! ```text
//! mpkg ── warden (new namespaces) ── init (process 1 of the sandbox, keeps watch) ── the command
//! ```
//!
//! and, where the kernel gives no namespaces, the warden keeps watch itself. Each dies with the
//! one before it.

mod clock;
mod conditions;
mod devices;
mod error;
mod group;
mod landlock;
mod mounts;
mod namespaces;
mod order;
mod output;
mod plan;
mod privileges;
mod reentry;
mod scratch;
mod seccomp;
mod settings;
mod step;
mod supervise;
mod system;
mod watch;

pub use conditions::{Conditions, FolderOrder, User};
pub use error::{Error, Result};
pub use plan::{Access, Mount, Namespaces, Plan, SandboxLevel, plan};
pub use reentry::reenter;
pub use settings::{Ended, Limit, LimitHit, Limits, Status};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use scratch::Scratch;
use settings::{Order, Report, Terminal};

/// A command and what it may do.
#[derive(Debug, Clone)]
pub struct Sandboxed {
    /// The mpkg program, which is started again inside; `/proc/self/exe` in mpkg itself.
    pub mpkg: PathBuf,
    /// The command: a name that is looked up in the `PATH` of `variables`, or a path inside.
    pub program: String,
    /// Its arguments, with paths as they are inside ([`Mount::inside`]).
    pub arguments: Vec<String>,
    /// Its whole environment; `HOME` and `TMPDIR` are set besides.
    pub variables: BTreeMap<String, String>,
    /// Where it starts, as seen from inside.
    pub working_folder: PathBuf,
    /// What it sees beside the system's own programs and libraries.
    pub mounts: Vec<Mount>,
    /// A folder that does not exist yet, on a disk with room for temporary files; it is made for
    /// this run and removed after it.
    pub scratch: PathBuf,
    /// What it may use.
    pub limits: Limits,
    /// The layers that hold it.
    pub plan: Plan,
    /// How many accelerators it gets.
    pub gpus: u32,
}

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs a command to its end and hands each line that it prints to `on_line`. When this returns,
/// no process of the command is left.
///
/// # Errors
/// When the sandbox cannot be made or the command cannot be started. A command that fails or
/// meets a limit is no error here: see [`Ended`].
pub fn run(sandboxed: &Sandboxed, on_line: &mut dyn FnMut(Stream, &str)) -> Result<Ended> {
    start(sandboxed, Terminal::Captured, on_line)
}

/// Runs a command, such as a shell, on the terminal of this process.
///
/// # Errors
/// As [`run`].
pub fn run_on_terminal(sandboxed: &Sandboxed) -> Result<Ended> {
    start(sandboxed, Terminal::Inherited, &mut |_, _| {})
}

fn start(
    sandboxed: &Sandboxed,
    terminal: Terminal,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Ended> {
    let devices = devices::for_gpus(sandboxed.gpus)?;
    let scratch = Scratch::make(&sandboxed.scratch)?;
    let group = group::Group::make(sandboxed.limits.processes);
    let order = Order::new(sandboxed, &scratch, devices, terminal, group.entry());
    scratch.write_settings(&order)?;
    let mut command = Command::new(&sandboxed.mpkg);
    command.arg(reentry::WORD).arg(scratch.settings()).env_clear();
    if terminal == Terminal::Captured {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut warden = command
        .spawn()
        .map_err(|source| Error::Warden { program: sandboxed.mpkg.clone(), source })?;
    output::follow(warden.stdout.take(), warden.stderr.take(), on_line);
    let ended = warden
        .wait()
        .map_err(|source| Error::Warden { program: sandboxed.mpkg.clone(), source })?;
    match scratch.report()? {
        Some(Report::Ended(ended)) => Ok(ended),
        Some(Report::Failed(failure)) => Err(failure.into_error(sandboxed)),
        None => Err(Error::NoReport { how: ended.to_string() }),
    }
}
