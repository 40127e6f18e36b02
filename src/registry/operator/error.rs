//! What can keep an operator from changing a registry.

use std::path::PathBuf;

use crate::crypto;
use crate::explain::{Explain, count};
use crate::fs;
use crate::package::Digest;
use crate::registry::{self, tuf};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed change to a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What fails for readers as well, and with packages.
    #[error(transparent)]
    Registry(Box<registry::Error>),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] crypto::Error),
    /// The new registry cannot be configured on this machine.
    #[error(transparent)]
    Sources(#[from] registry::SourcesError),
    /// A folder for a new registry is one already.
    #[error("{} is a registry already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A registry from before metadata was signed, or a part of one.
    #[error("the registry {location} has no {file}")]
    NoMetadata {
        /// The registry.
        location: String,
        /// What is not there.
        file: String,
    },
    /// Metadata in the folder that is not believed.
    #[error("{file} of the registry {location} is not believed")]
    Metadata {
        /// The registry.
        location: String,
        /// The file in it.
        file: String,
        /// Why.
        #[source]
        source: tuf::Error,
    },
    /// Too few of a role's keys are on this machine.
    #[error(
        "the role {role} needs {} of its keys, and this machine has {held} (the keys of the role: {})",
        count(*needed as usize, "signature", "signatures"),
        ids.join(", ")
    )]
    KeyMissing {
        /// The role.
        role: String,
        /// How many must sign.
        needed: u32,
        /// How many are here.
        held: usize,
        /// The ids of all keys of the role.
        ids: Vec<String>,
    },
    /// A role cannot be as it is asked for.
    #[error("the role {role} cannot have these keys")]
    Role {
        /// The role.
        role: &'static str,
        /// Why.
        #[source]
        source: tuf::Error,
    },
    /// A time that is no time.
    #[error("\"{}\" is no lifetime: write a number and h, d, w or y, as in 30d", crate::explain::printable(.0))]
    Lifetime(String),
    /// A time beyond what calendars hold.
    #[error("metadata cannot expire that late")]
    TooLate,
    /// The settings beside the registry cannot be read.
    #[error("{} cannot be read", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: crypto::canonical::Error,
    },
    /// An advisory, or a statement about one, is not as it should be.
    #[error(transparent)]
    Notice(Box<registry::NoticeError>),
    /// An advisory without signatures.
    #[error("{what} is not signed: {} is not there", envelope.display())]
    UnsignedNotice {
        /// The file.
        what: String,
        /// Where its signatures should be.
        envelope: PathBuf,
    },
    /// A change of an advisory that is not younger than what is there.
    #[error("{what} is not newer than what the registry has, which was modified {found}")]
    OlderNotice {
        /// The file.
        what: String,
        /// When the other was changed.
        found: jiff::Timestamp,
    },
    /// Nothing like it is in the registry.
    #[error("the registry has no {what}")]
    NoSuch {
        /// What was asked for.
        what: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A copy would be put over another registry.
    #[error("{} is another registry than the one that is copied", path.display())]
    OtherRegistry {
        /// The folder.
        path: PathBuf,
    },
    /// A copy would be put over a newer one.
    #[error(
        "{} is newer than what would be copied into it: its timestamp has version {found}, the other {offered}",
        path.display()
    )]
    Older {
        /// The folder.
        path: PathBuf,
        /// The version there.
        found: u64,
        /// The version that is offered.
        offered: u64,
    },
    /// A file is no bundle.
    #[error("{} is no bundle that can be unpacked: {why}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A source package cannot be looked into for the data that it needs.
    #[error("the data of {package} cannot be had")]
    Data {
        /// The package.
        package: String,
        /// The kind of what went wrong.
        kind: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What lies beside a package as a checkpoint of its training is another file.
    #[error("{} is no checkpoint of this build: its SHA-256 is {found}, and the build record names {expected}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The digest in the build record.
        expected: Digest,
        /// That of the file.
        found: Digest,
    },
    /// A draft cannot be used.
    #[error("{} is refused: {why}", path.display())]
    Draft {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A draft lacks signatures.
    #[error("{what} still needs {} by keys of {role}", count(*missing as usize, "signature", "signatures"))]
    Unfinished {
        /// What is to be signed.
        what: &'static str,
        /// Who must sign.
        role: String,
        /// How many are missing.
        missing: u32,
    },
    /// The same of a change that is in no file yet, in which it could be signed elsewhere.
    #[error("{what} still needs {} by keys of {role}", count(*missing as usize, "signature", "signatures"))]
    Undrafted {
        /// What is to be signed.
        what: &'static str,
        /// Who must sign.
        role: String,
        /// How many are missing.
        missing: u32,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<crate::net::Error> for Error {
    fn from(error: crate::net::Error) -> Self {
        registry::Error::from(error).into()
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Key(error) => error.kind(),
            Self::Sources(error) => error.kind(),
            Self::Exists { .. } => "registry-exists",
            Self::NoMetadata { .. } => "registry-unsigned",
            Self::Metadata { .. } => "bad-metadata",
            Self::KeyMissing { .. } => "key-missing",
            Self::Role { .. } => "bad-role",
            Self::Lifetime(_) | Self::TooLate => "bad-lifetime",
            Self::Settings { .. } => "bad-settings",
            Self::Notice(error) => error.kind(),
            Self::UnsignedNotice { .. } => "unsigned",
            Self::OlderNotice { .. } => "older-advisory",
            Self::NoSuch { .. } => "no-such-release",
            Self::OtherRegistry { .. } => "other-registry",
            Self::Older { .. } => "older-copy",
            Self::Bundle { .. } => "bad-bundle",
            Self::Data { kind, .. } => kind,
            Self::Checkpoint { .. } => "checkpoint-altered",
            Self::Draft { .. } => "bad-draft",
            Self::Unfinished { .. } | Self::Undrafted { .. } => "unfinished-draft",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Sources(error) => error.hint(),
            Self::Exists { .. } => {
                Some("change its keys with: mpkg registry rotate DIR --role ROLE".to_owned())
            }
            Self::NoMetadata { .. } => Some(
                "make a new registry with `mpkg registry init`, and publish the packages into it"
                    .to_owned(),
            ),
            Self::Metadata { .. } => {
                Some("the copy may be broken; restore the folder from another copy".to_owned())
            }
            Self::KeyMissing { .. } => Some(
                "run this where the keys are, or take them in here with: mpkg key import FILE"
                    .to_owned(),
            ),
            Self::Notice(error) => error.hint(),
            Self::UnsignedNotice { what, .. } => {
                Some(format!("sign it with: mpkg advisory sign {what}"))
            }
            Self::OlderNotice { .. } => {
                Some("make a change of it with: mpkg advisory update FILE".to_owned())
            }
            Self::NoSuch { known, .. } if !known.is_empty() => {
                Some(format!("it has {}", known.join(", ")))
            }
            Self::Unfinished { .. } => Some(
                "sign it where such a key is with: mpkg registry sign FILE --key NAME".to_owned(),
            ),
            Self::Undrafted { .. } => Some(
                "write it to a file with --out FILE, and sign that where such a key is, with: \
                 mpkg registry sign FILE --key NAME"
                    .to_owned(),
            ),
            Self::Checkpoint { .. } => {
                Some("build again with --keep-checkpoints, or take the file away".to_owned())
            }
            Self::Bundle { .. } => Some("copy the file again from where it was made".to_owned()),
            Self::OtherRegistry { .. } => {
                Some("name an empty folder, or one that is to be made".to_owned())
            }
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Notice(error) => error.details(),
            _ => None,
        }
    }
}
