//! Where steps and tests run: the one seam between the recipe and a machine
//! (spec/build.md, "The executor").

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sandbox::Plan;
pub use super::sandbox::{Access, Mount};
use super::variation::Variation;
use crate::package::manifest::Resources;

/// One command to be run: a step or a test. Its paths are those that it sees inside.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is, for people: `step train`.
    pub title: String,
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments, every placeholder filled.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub variables: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub working_folder: PathBuf,
    /// What it may see beside the system's own programs.
    pub mounts: Vec<Mount>,
    /// A folder that does not exist yet, for temporary files; it is removed afterwards.
    pub scratch: PathBuf,
    /// What it may use.
    pub resources: Resources,
}

/// What a job took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Done {
    /// Wall time, in seconds.
    pub seconds: f64,
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that it held, in bytes; 0 where the system does not say.
    pub peak_memory: u64,
    /// The layers of the sandbox that held.
    pub layers: Vec<String>,
    /// What weakens the record of it.
    pub tainted: Vec<String>,
}

/// A job that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It ended with a failure or met a limit.
    #[error("{reason}")]
    Failed {
        /// How, as in `it ended with exit code 3`.
        reason: String,
        /// What may help.
        hint: Option<String>,
    },
    /// It could not be started or watched.
    #[error(transparent)]
    Trouble(#[from] super::sandbox::Error),
}

/// A place where jobs run.
pub trait Executor {
    /// The sandbox that jobs run in, which says under which paths they see what they are given.
    fn plan(&self) -> &Plan;

    /// Runs `job` to its end; each line that it prints is handed to `on_line` as it comes.
    ///
    /// # Errors
    /// When it fails, exceeds a limit, or cannot be run.
    fn run(&self, job: &Job, on_line: &mut dyn FnMut(&str)) -> Result<Done, JobError>;

    /// Opens a shell for a person in the place of `job`, on this terminal.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn shell(&self, job: &Job) -> Result<(), JobError>;

    /// The same place with one thing changed in it; what runs there is tainted by that.
    fn varied(&self, variation: &Variation) -> Box<dyn Executor>;

    /// The word for the sandbox that jobs run in, such as `full`.
    fn level(&self) -> &'static str;
}
