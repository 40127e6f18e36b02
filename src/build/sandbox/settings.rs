//! What is handed to the program that is started again, and what it reports.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Sandboxed;
use super::error::Error;
use super::plan::{Access, Mount, Plan};
use super::scratch::Scratch;

/// What a command may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, of all its processes together.
    pub memory: u64,
    /// How long it may run.
    pub time: Duration,
    /// How many processes and threads it may have at once.
    pub processes: u32,
    /// Bytes that its writable folders may grow to together.
    pub disk: u64,
    /// Processors that it is put on.
    pub cpus: u32,
}

impl From<&crate::package::manifest::Resources> for Limits {
    fn from(resources: &crate::package::manifest::Resources) -> Self {
        Self {
            memory: resources.memory,
            time: resources.time,
            processes: resources.processes,
            disk: resources.disk,
            cpus: resources.cpus,
        }
    }
}

/// Where the command's input and output go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Terminal {
    /// No input; the output is read line by line.
    Captured,
    /// Those of this process.
    Inherited,
}

/// A command, ready to be carried out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) working_folder: PathBuf,
    pub(super) mounts: Vec<Mount>,
    pub(super) scratch: PathBuf,
    pub(super) limits: Limits,
    pub(super) plan: Plan,
    pub(super) devices: Vec<PathBuf>,
    pub(super) terminal: Terminal,
    /// The file through which the sandbox joins its control group.
    pub(super) group: Option<PathBuf>,
    /// The process that waits for the end.
    pub(super) parent: u32,
}

impl Order {
    pub(super) fn new(
        sandboxed: &Sandboxed,
        scratch: &Scratch,
        devices: Vec<PathBuf>,
        terminal: Terminal,
        group: Option<PathBuf>,
    ) -> Self {
        let (home, temporary) = match sandboxed.plan.namespaces {
            Some(_) => (sandboxed.plan.conditions.place("home"), PathBuf::from("/tmp")),
            None => (scratch.home(), scratch.temporary()),
        };
        let mut mounts = sandboxed.mounts.clone();
        let mut variables = sandboxed.variables.clone();
        for (name, outside, inside) in
            [("HOME", scratch.home(), home), ("TMPDIR", scratch.temporary(), temporary)]
        {
            variables.insert(name.to_owned(), inside.to_string_lossy().into_owned());
            mounts.push(Mount { outside, inside, access: Access::Writable });
        }
        Self {
            program: sandboxed.program.clone(),
            arguments: sandboxed.arguments.clone(),
            variables,
            working_folder: sandboxed.working_folder.clone(),
            mounts,
            scratch: scratch.root().to_owned(),
            limits: sandboxed.limits,
            plan: sandboxed.plan.clone(),
            devices,
            terminal,
            group,
            parent: std::process::id(),
        }
    }

    /// The folders that the command may change, as seen from inside.
    pub(super) fn writable(&self) -> impl Iterator<Item = &PathBuf> {
        self.mounts
            .iter()
            .filter(|mount| mount.access == Access::Writable)
            .map(|mount| &mount.inside)
    }
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes of memory.
    Memory,
    /// Milliseconds.
    Time,
    /// Processes and threads.
    Processes,
    /// Bytes on disk.
    Disk,
}

/// A limit that a command met; it was ended for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// Which.
    pub limit: Limit,
    /// How much was allowed.
    pub allowed: u64,
    /// How much was found.
    pub found: u64,
}

impl LimitHit {
    /// What to change so that it is not met.
    #[must_use]
    pub fn hint(&self) -> String {
        let key = match self.limit {
            Limit::Memory => "memory",
            Limit::Time => "time",
            Limit::Processes => "processes",
            Limit::Disk => "disk",
        };
        format!("`resources = {{ {key} = … }}` in the manifest sets this limit")
    }
}

impl fmt::Display for LimitHit {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        match self.limit {
            Limit::Memory => write!(
                f,
                "it used {} of memory, and {} is its limit",
                mebibytes(self.found),
                mebibytes(self.allowed)
            ),
            Limit::Time => write!(
                f,
                "it ran for {:.1} seconds, and {:.1} is its limit",
                self.found as f64 / 1e3,
                self.allowed as f64 / 1e3
            ),
            Limit::Processes => write!(
                f,
                "it had {} processes and threads at once, and {} is its limit",
                self.found, self.allowed
            ),
            Limit::Disk => write!(
                f,
                "it wrote {} to its folders, and {} is its limit",
                mebibytes(self.found),
                mebibytes(self.allowed)
            ),
        }
    }
}

/// How a run ended and what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How the command ended.
    pub status: Status,
    /// The layers that held it, for the build record.
    pub layers: Vec<String>,
    /// From start to end.
    pub wall: Duration,
    /// Processor time of all its processes.
    pub cpu_user: Duration,
    /// Time that the system worked for them.
    pub cpu_system: Duration,
    /// The most bytes of memory that were seen in use at once.
    pub peak_memory: u64,
    /// The limit for which it was ended.
    pub limit_hit: Option<LimitHit>,
}

impl Ended {
    /// Whether the command did its work: exit code 0 and no limit met.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Status::Code(0) && self.limit_hit.is_none()
    }
}

/// A part of the sandbox that could not be made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) action: String,
    /// The system's error number.
    pub(super) number: i32,
    /// Whether it was the command itself that could not be started.
    pub(super) stage: Stage,
}

/// Where a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    Setup,
    Program,
}

/// The result of a part of the sandbox.
pub(super) type Made<T> = Result<T, Failure>;

impl Failure {
    /// Makes the closure for `map_err`.
    pub(super) fn when<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |error| Self {
            action,
            number: error.into().raw_os_error().unwrap_or(libc::EIO),
            stage: Stage::Setup,
        }
    }

    pub(super) fn into_error(self, sandboxed: &Sandboxed) -> Error {
        let source = io::Error::from_raw_os_error(self.number);
        match self.stage {
            Stage::Setup => Error::Setup { action: self.action, source },
            Stage::Program => Error::Program {
                program: sandboxed.program.clone(),
                search_path: sandboxed.variables.get("PATH").cloned().unwrap_or_default(),
                source,
            },
        }
    }
}

/// What the program that was started again writes at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Ended(Ended),
    Failed(Failure),
}
