//! Which layers hold a command, and under which paths it sees what it is given.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;
use super::error::{Error, Result};
use super::reentry;

/// How much sandbox is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxLevel {
    /// All that the system gives.
    #[default]
    Full,
    /// Landlock and seccomp, even where there are namespaces.
    Landlock,
    /// seccomp alone.
    Seccomp,
    /// Nothing.
    None,
}

impl SandboxLevel {
    /// Every level, the strongest first.
    pub const ALL: &[Self] = &[Self::Full, Self::Landlock, Self::Seccomp, Self::None];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::None => "none",
        }
    }

    /// The level that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.as_str() == word)
    }
}

/// How the namespaces are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespaces {
    /// Below a user namespace, as anybody may.
    User,
    /// Without one, as only root may.
    Root,
}

/// The layers that hold a command. [`plan`] makes one that fits this system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its own mounts, processes, network, host name and IPC.
    pub namespaces: Option<Namespaces>,
    /// Landlock, by the version of its interface.
    pub landlock: Option<u32>,
    /// The filter of system calls.
    pub seccomp: bool,
    /// Whether programs can be given another clock here.
    pub clock: bool,
    /// What the command finds around it.
    pub conditions: Conditions,
}

/// What a command may do with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read it and run it.
    ReadOnly,
    /// Change it as well.
    Writable,
}

/// A file or folder that a command sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it lies.
    pub outside: PathBuf,
    /// Where the command sees it.
    pub inside: PathBuf,
    /// What the command may do with it.
    pub access: Access,
}

/// Finds out what this system gives and makes the plan for `level`; `mpkg` is the program that
/// is started again.
///
/// # Errors
/// [`Error::NoNetworkControl`] when nothing can keep a build off the network, unless `level` is
/// [`SandboxLevel::None`].
pub fn plan(level: SandboxLevel, mpkg: &Path) -> Result<Plan> {
    let nothing = Plan::none();
    if level == SandboxLevel::None {
        return Ok(nothing);
    }
    let available = probe(mpkg)?;
    let plan = match level {
        SandboxLevel::Full => available,
        SandboxLevel::Landlock => Plan { namespaces: None, ..available },
        SandboxLevel::Seccomp => Plan { namespaces: None, landlock: None, ..available },
        SandboxLevel::None => nothing,
    };
    match plan.namespaces.is_some() || plan.seccomp {
        true => Ok(plan),
        false => Err(Error::NoNetworkControl),
    }
}

/// The layers that this system gives.
fn probe(mpkg: &Path) -> Result<Plan> {
    let failed = |source| Error::Warden { program: mpkg.to_owned(), source };
    let output = Command::new(mpkg)
        .arg(reentry::PROBE_WORD)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    serde_json::from_slice(&output.stdout)
        .map_err(|_| Error::NoReport { how: output.status.to_string() })
}

impl Plan {
    /// No layer at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            namespaces: None,
            landlock: None,
            seccomp: false,
            clock: super::clock::can_be_moved(),
            conditions: Conditions::default(),
        }
    }

    /// Where a command sees `outside` when it is given as `name`, such as `source` or
    /// `data/plays`: at `/mpkg/NAME` where it has mounts of its own, so that nothing in it
    /// depends on where the build was made; else where it lies.
    #[must_use]
    pub fn mount(&self, outside: &Path, name: &str, access: Access) -> Mount {
        let inside = match self.namespaces {
            Some(_) => self.conditions.place(name),
            None => outside.to_owned(),
        };
        Mount { outside: outside.to_owned(), inside, access }
    }

    /// The mount of a file or folder that must be seen where it lies, such as an interpreter.
    #[must_use]
    pub fn mount_in_place(&self, path: &Path, access: Access) -> Mount {
        Mount { outside: path.to_owned(), inside: path.to_owned(), access }
    }

    /// The names of the layers, for the build record.
    #[must_use]
    pub fn layers(&self) -> Vec<String> {
        let mut layers = Vec::new();
        if self.namespaces == Some(Namespaces::User) {
            layers.push("user-namespace".to_owned());
        }
        if self.namespaces.is_some() {
            layers.push("namespaces".to_owned());
        }
        layers.extend(self.landlock.map(|version| format!("landlock-{version}")));
        if self.seccomp {
            layers.push("seccomp".to_owned());
        }
        layers
    }

    /// What of this weakens a build record, in the words of its `tainted` list.
    #[must_use]
    pub fn taint(&self) -> Option<&'static str> {
        match (self.namespaces, self.landlock, self.seccomp) {
            (None, None, false) => Some("no-sandbox"),
            (None, None, true) => Some("sandbox-without-landlock"),
            _ => None,
        }
    }
}
