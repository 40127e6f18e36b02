//! A fixed world for each test: its own folders, no configuration from outside.

pub mod examples;
pub mod hostile;
pub mod npm;
pub mod operator;
pub mod packages;
pub mod python;
pub mod refusal;
pub mod server;
pub mod training;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own with a home for mpkg in it.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// A new, empty world.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in this world.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The root of this world.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, creating the folders that lead to it.
    pub fn write(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// The program, with nothing of the outer environment but PATH and what package clients need.
    pub fn mpkg(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mpkg"));
        command.current_dir(self.root()).env_clear();
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "PATH" || text.starts_with("PIP_") || text.starts_with("SSL_") {
                command.env(&name, value);
            }
        }
        command
            .env("HOME", self.path("user"))
            .env("MPKG_HOME", self.path("home"))
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the program with `arguments`.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        Finished::of(self.mpkg().args(arguments))
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Finished {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts exit code 1 and a message with each of `parts` in it.
    #[track_caller]
    pub fn fails_with(self, parts: &[&str]) -> Self {
        assert_eq!(self.code, 1, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        }
        self
    }

    /// Asserts exit code 2 and `part` in the message.
    #[track_caller]
    pub fn misuses(self, part: &str) -> Self {
        assert_eq!(self.code, 2, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(part), "{part:?} is not in:\n{}", self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
