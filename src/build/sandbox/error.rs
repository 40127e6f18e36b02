//! What can fail in making a sandbox.

use std::io;
use std::path::PathBuf;

use super::settings::LimitHit;
use crate::explain::Explain;

/// A sandbox that could not be made, or a limit that was met in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file of the sandbox's own.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
    /// The program could not be started again.
    #[error("cannot start the sandbox's program {}", program.display())]
    Warden {
        /// The program that was to be started.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A part of the sandbox could not be made.
    #[error("cannot make the sandbox: cannot {action}")]
    Setup {
        /// What was tried, as in `mount /proc`.
        action: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The command could not be started.
    #[error("cannot start {program} in the sandbox")]
    Program {
        /// The command.
        program: String,
        /// The folders in which it was looked for.
        search_path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The sandbox's own processes were ended from outside.
    #[error("the sandbox was ended from outside ({how})")]
    NoReport {
        /// How the outermost one ended.
        how: String,
    },
    /// Nothing on this machine can take the network away from a build.
    #[error(
        "this system can give a build neither a network of its own (namespaces) nor a filter of \
         system calls (seccomp), so nothing would keep it off the network"
    )]
    NoNetworkControl,
    /// Accelerators are not there.
    #[error("{wanted} accelerators are needed, and this machine has {found} ({looked_for})")]
    NoGpus {
        /// How many are asked for.
        wanted: u32,
        /// How many there are.
        found: usize,
        /// The device files that were looked for.
        looked_for: &'static str,
    },
    /// A limit was met.
    #[error("{0}")]
    Limit(LimitHit),
}

/// The result of work in this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Warden { .. } | Self::Setup { .. } => "sandbox",
            Self::Program { .. } => "program-not-found",
            Self::NoReport { .. } => "sandbox-ended",
            Self::NoNetworkControl => "no-sandbox",
            Self::NoGpus { .. } => "no-gpus",
            Self::Limit(_) => "limit",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Setup { .. } => Some(
                "--sandbox=landlock does without namespaces; --sandbox=none runs the build \
                 without any sandbox, and says so in the build record"
                    .to_owned(),
            ),
            Self::Program { source, search_path, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Some(format!("it was looked for in {search_path}, as seen from inside"))
            }
            Self::NoNetworkControl => Some(
                "--sandbox=none builds all the same, and says so in the build record".to_owned(),
            ),
            Self::NoGpus { .. } => {
                Some("the driver's device files must be there before the build starts".to_owned())
            }
            Self::Limit(hit) => Some(hit.hint()),
            _ => None,
        }
    }
}
