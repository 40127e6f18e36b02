//! Why parts of a training cannot be checked.

use std::path::PathBuf;

use crate::build::checkpoints::Fault;
use crate::explain::Explain;
use crate::ops::{build, catalogue, rebuild, released};
use crate::package::manifest::Diagnostics;
use crate::package::{Digest, PackagePath, PartName, Release};
use crate::{archive, crypto, fs, net, reproduce};

/// A check of parts that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What keeps any rebuild from being made.
    #[error(transparent)]
    Rebuild(Box<rebuild::Error>),
    /// A file cannot be fetched, for a reason on this machine.
    #[error(transparent)]
    Net(Box<net::Error>),
    /// The chain does not hold together.
    #[error("the checkpoints of {release} cannot be believed")]
    Chain {
        /// The release.
        release: Box<Release>,
        /// What is wrong with them.
        source: Box<Fault>,
    },
    /// The manifest in the package cannot be read.
    #[error("the manifest of {release} cannot be read")]
    Manifest {
        /// The release.
        release: Box<Release>,
        /// What is wrong with it.
        source: Box<Diagnostics>,
    },
    /// The package was made without steps that write checkpoints.
    #[error("no step that makes {release} writes checkpoints")]
    NoCheckpoints {
        /// The release.
        release: Box<Release>,
    },
    /// There is no build record with a chain.
    #[error("there is no chain of checkpoints of the step \"{step}\" for {release}: {why}")]
    NoChain {
        /// The release.
        release: Box<Release>,
        /// The step.
        step: PartName,
        /// What was found instead.
        why: &'static str,
    },
    /// The publisher did not sign the record that the chain stands in.
    #[error(
        "the publisher of {release} did not sign the build record that its chain of checkpoints stands in"
    )]
    Unsigned {
        /// The release.
        release: Box<Release>,
    },
    /// There is no such segment.
    #[error("there is no segment {asked} of {release}")]
    NoSegment {
        /// The release.
        release: Box<Release>,
        /// What was asked for.
        asked: String,
        /// The segments that there are, in words.
        exists: String,
    },
    /// A checkpoint is nowhere.
    #[error("checkpoint {number} of the step \"{step}\" is not to be had: {path}, {sha256}")]
    Missing {
        /// The step.
        step: PartName,
        /// Its number, from 1.
        number: usize,
        /// Its place in the step's output.
        path: PackagePath,
        /// Its digest.
        sha256: Digest,
        /// What the registries said.
        source: Option<Box<net::Error>>,
    },
    /// A checkpoint is another.
    #[error("{} is not checkpoint {number} of the step \"{step}\": its SHA-256 is {found}, and the chain has {expected}", place.display())]
    Altered {
        /// The file.
        place: PathBuf,
        /// The step.
        step: PartName,
        /// Its number, from 1.
        number: usize,
        /// The digest in the chain.
        expected: Digest,
        /// That of the file.
        found: Digest,
    },
    /// A checkpoint and the chain say two things.
    #[error(
        "checkpoint {number} of the step \"{step}\" says that it is at {found}, and the chain says {expected}"
    )]
    OtherStep {
        /// The step.
        step: PartName,
        /// Its number, from 1.
        number: usize,
        /// What the chain says.
        expected: String,
        /// What the checkpoint says.
        found: String,
    },
}

macro_rules! from {
    ($($other:ty),*) => {
        $(impl From<$other> for Error {
            fn from(error: $other) -> Self {
                Self::Rebuild(Box::new(error.into()))
            }
        })*
    };
}

from!(
    released::Error,
    catalogue::Error,
    archive::Error,
    build::BuildError,
    reproduce::Error,
    fs::Error,
    crypto::Error
);

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        Self::Net(Box::new(error))
    }
}

impl From<rebuild::Error> for Error {
    fn from(error: rebuild::Error) -> Self {
        Self::Rebuild(Box::new(error))
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Rebuild(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Chain { source, .. } => source.kind(),
            Self::Manifest { source, .. } => source.kind(),
            Self::NoCheckpoints { .. } => "no-checkpoints",
            Self::NoChain { .. } => "no-chain",
            Self::Unsigned { .. } => "unsigned-chain",
            Self::NoSegment { .. } => "no-such-segment",
            Self::Missing { .. } => "checkpoint-missing",
            Self::Altered { .. } => "checkpoint-altered",
            Self::OtherStep { .. } => "checkpoint-contradicts",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Rebuild(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::NoCheckpoints { .. } => {
                Some("rebuild the whole of it: leave --segment and --segments out".to_owned())
            }
            Self::NoSegment { exists, .. } => Some(exists.clone()),
            Self::Missing { source: Some(source), .. } => {
                Some(format!("the registries said: {source}"))
            }
            Self::Missing { .. } => Some(
                "its publisher keeps it with `mpkg build --keep-checkpoints`, and publishes it with the package"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Rebuild(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Rebuild(error) => error.details(),
            _ => None,
        }
    }
}
