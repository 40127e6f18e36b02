//! What can fail in making an environment ready.

use std::path::PathBuf;

use crate::explain::Explain;
use crate::package::Digest;

/// An environment that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
    /// A requirement of Python that cannot be read.
    #[error("{text:?} is not a requirement of a Python version such as \">=3.11\"")]
    Requirement {
        /// The text.
        text: String,
    },
    /// No interpreter will do.
    #[error("Python {wanted} is needed, and {found}")]
    NoPython {
        /// What is wanted, such as `>=3.11`.
        wanted: String,
        /// What was found.
        found: String,
    },
    /// A program is missing.
    #[error("the program {program} is needed, and it is not in any folder of the search path")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// A program has the wrong version, or says none.
    #[error("{program} {wanted} is needed, and {} {found}", path.display())]
    ProgramVersion {
        /// Its name.
        program: String,
        /// What is wanted.
        wanted: String,
        /// Where it is.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A program lies where the sandbox does not show it.
    #[error(
        "{} lies outside the system's folders (/usr, /bin, /opt), which alone a build sees",
        path.display()
    )]
    ProgramPlace {
        /// Where it is.
        path: PathBuf,
    },
    /// A variable that the manifest may not set.
    #[error("the variable {name} cannot be set by a manifest: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A lock file that does not pin every wheel.
    #[error("{file}{}: {reason}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Lock {
        /// The lock file.
        file: String,
        /// The line, where one is at fault.
        line: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither pip nor what it can be made from is there.
    #[error("{} has no pip, which fetches the wheels of the lock file", python.display())]
    NoPip {
        /// The interpreter.
        python: PathBuf,
    },
    /// pip did not fetch the wheels.
    #[error("pip could not fetch the wheels of {file}:\n{output}")]
    Pip {
        /// The lock file.
        file: String,
        /// The last lines that it said.
        output: String,
    },
    /// uv did not install the wheels.
    #[error("uv could not install the wheels of {file}:\n{output}")]
    Uv {
        /// The lock file.
        file: String,
        /// The last lines that it said.
        output: String,
    },
    /// A wheel that was fetched is not the one in the lock file.
    #[error("{name} has the digest {found}, which {file} does not list for {project}")]
    WrongDigest {
        /// The wheel's file name.
        name: String,
        /// The lock file.
        file: String,
        /// The project.
        project: String,
        /// Its digest.
        found: Digest,
    },
    /// Wheels are missing in the cache and may not be fetched.
    #[error(
        "without the network the environment cannot be made: the cache has no wheel of {missing}"
    )]
    Offline {
        /// The projects.
        missing: String,
    },
    /// A wheel that cannot be unpacked.
    #[error("the wheel {name} cannot be unpacked: {reason}")]
    BadWheel {
        /// Its file name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// The result of work in this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Requirement { .. } => "bad-requirement",
            Self::NoPython { .. } => "no-python",
            Self::NoProgram { .. } => "program-not-found",
            Self::ProgramVersion { .. } => "program-version",
            Self::ProgramPlace { .. } => "program-place",
            Self::Variable { .. } => "reserved-variable",
            Self::Lock { .. } => "bad-lock",
            Self::NoPip { .. } => "no-pip",
            Self::Pip { .. } => "pip",
            Self::Uv { .. } => "uv",
            Self::WrongDigest { .. } => "wrong-digest",
            Self::Offline { .. } => "offline",
            Self::BadWheel { .. } => "bad-wheel",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Requirement { .. } => {
                Some("use ==, !=, >=, <=, >, < or ~=, several with commas between them".to_owned())
            }
            Self::NoPython { .. } => Some(
                "on Debian, `apt-get install python3 python3-venv` installs one; a newer one is \
                 found when its folder is in $PATH"
                    .to_owned(),
            ),
            Self::NoProgram { program } => Some(super::programs::where_to_get(program)),
            Self::NoPip { .. } => {
                Some("on Debian, `apt-get install python3-venv python3-pip` installs it".to_owned())
            }
            Self::Offline { .. } => {
                Some("`mpkg fetch` fetches them while there is a network".to_owned())
            }
            Self::Lock { .. } => Some(
                "a lock file pins each package as `name==version --hash=sha256:…`, or is a \
                 pylock.toml with a sha256 for each wheel"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
