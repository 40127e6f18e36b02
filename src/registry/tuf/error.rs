//! What can be wrong with signed metadata, and between it and us.

use std::path::PathBuf;

use crate::crypto::canonical;
use crate::explain::{Explain, printable};
use crate::{fs, net};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Metadata that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of this machine.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// Something could not be fetched.
    #[error(transparent)]
    Net(Box<net::Error>),
    /// Text that is no JSON of the kind that is read, or cannot be written.
    #[error("the metadata is not well-formed")]
    Json(#[from] canonical::Error),
    /// JSON that says something that metadata cannot say.
    #[error("the metadata is not well-formed: {}", printable(.0))]
    Form(String),
    /// Metadata of another role than was asked for.
    #[error("the metadata is of type \"{}\", not \"{expected}\"", printable(found))]
    Type {
        /// What was asked for.
        expected: &'static str,
        /// What it says it is.
        found: String,
    },
    /// Metadata of a specification that is not known.
    #[error("the metadata follows specification {}; version 1 is known", printable(.0))]
    Specification(String),
    /// Too few signatures by distinct keys.
    #[error("{found} of {needed} signatures by distinct keys of the role were found")]
    Threshold {
        /// How many keys must sign.
        needed: u32,
        /// How many did.
        found: usize,
    },
    /// Bytes that are not the ones that were vouched for.
    #[error("the {what} is {found}; expected {expected}")]
    Bytes {
        /// `length`, or the name of a hash.
        what: String,
        /// What was vouched for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A document that is not believed, with the reason.
    #[error("{} is not believed", printable(file))]
    Refused {
        /// The file that it was asked for as.
        file: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A version that was seen to be higher.
    #[error(
        "the version of {} goes down: expected at least {trusted}, found {found}",
        printable(what)
    )]
    Rollback {
        /// The role or file.
        what: String,
        /// The version that was believed before.
        trusted: u64,
        /// The version now.
        found: u64,
    },
    /// Another version than the one that was vouched for.
    #[error("the version is {found}; expected {expected}")]
    Version {
        /// What was vouched for.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A snapshot without a file that was in the one before.
    #[error("{} is no longer in it", printable(.0))]
    Dropped(String),
    /// Metadata that is too old.
    #[error("the metadata of the role {} expired on {expired}", printable(role))]
    Expired {
        /// The role.
        role: String,
        /// When it expired.
        expired: jiff::Timestamp,
    },
    /// A clock that goes back.
    #[error("the clock says {now}, and the registry was read at {last_seen} already")]
    Clock {
        /// What the clock says.
        now: jiff::Timestamp,
        /// When the registry was read.
        last_seen: jiff::Timestamp,
        /// Where that is remembered.
        path: PathBuf,
    },
    /// No root is trusted.
    #[error("no root is trusted: {} is not there", .0.display())]
    NoRoot(PathBuf),
    /// The trusted root does not hold what it says itself.
    #[error("the trusted root {} is damaged", path.display())]
    TrustedRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<Error>,
    },
    /// There is no first root, with which every repository begins.
    #[error("1.root.json is not there")]
    NoFirstRoot,
    /// A file that must be there is not.
    #[error("{} is not there, though it is vouched for", printable(.0))]
    Missing(String),
    /// The network may not be used, and there is no copy.
    #[error("{} is needed, and there is no copy of it that may be used offline", printable(.0))]
    NoCopy(String),
    /// More new roots than one run follows.
    #[error("there are more than {0} new roots")]
    TooManyRoots(u64),
    /// No root has the digest that was asked for.
    #[error("no root has the SHA-256 {expected}; that of 1.root.json is {first}")]
    OtherRoot {
        /// What was asked for.
        expected: crate::package::Digest,
        /// That of the first root.
        first: crate::package::Digest,
    },
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        Self::Net(Box::new(error))
    }
}

impl Error {
    /// Makes the closure for `map_err` that says which file is not believed. What failed with a
    /// file or the network says so itself.
    pub(super) fn of(file: &str) -> impl FnOnce(Self) -> Self + use<> {
        let file = file.to_owned();
        move |error| match error {
            Self::File(_) | Self::Net(_) | Self::Refused { .. } | Self::Missing(_) => error,
            other => Self::Refused { file, source: Box::new(other) },
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Json(error) => error.kind(),
            Self::Form(_) => "metadata-form",
            Self::Type { .. } => "metadata-type",
            Self::Specification(_) => "metadata-specification",
            Self::Threshold { .. } => "too-few-signatures",
            Self::Bytes { .. } => "metadata-bytes",
            Self::Refused { source, .. } => source.kind(),
            Self::Rollback { .. } | Self::Dropped(_) => "metadata-rollback",
            Self::Version { .. } => "metadata-version",
            Self::Expired { .. } => "metadata-expired",
            Self::Clock { .. } => "clock-set-back",
            Self::NoRoot(_) => "no-trusted-root",
            Self::TrustedRoot { .. } => "damaged-trust",
            Self::Missing(_) | Self::NoFirstRoot => "metadata-missing",
            Self::NoCopy(_) => "no-copy",
            Self::TooManyRoots(_) => "too-many-roots",
            Self::OtherRoot { .. } => "other-root",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Refused { source, .. } => source.hint(),
            Self::Expired { .. } => Some(
                "its operator has to sign it anew; to use it as it is, for instance a mirror \
                 without a network, say until when with --accept-stale-until DATE"
                    .to_owned(),
            ),
            Self::Clock { path, .. } => Some(format!(
                "set the clock; if it was ahead before and is right now, remove {}",
                path.display()
            )),
            Self::NoCopy(_) => Some("run the command once without --offline".to_owned()),
            Self::TooManyRoots(_) => {
                Some("those that were checked are kept: run the command again".to_owned())
            }
            Self::Rollback { .. } | Self::Dropped(_) => Some(
                "somebody offers an older state of the registry; nothing of it was taken"
                    .to_owned(),
            ),
            Self::OtherRoot { .. } => {
                Some("ask the registry's operator for the digest; do not go on".to_owned())
            }
            _ => None,
        }
    }
}
