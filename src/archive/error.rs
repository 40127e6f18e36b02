//! What can be wrong with a package.

use std::path::PathBuf;

use crate::explain::{Explain, printable};
use crate::formats::{self, PickleForm};
use crate::fs;
use crate::package::{Digest, PackagePath};

/// A package that could not be written or may not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A package file breaks a rule of the container.
    #[error("{} is not a sound package: {fault}", path.display())]
    Unsound {
        /// The package file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Box<Fault>,
    },
    /// The bytes of a package that is elsewhere do not come.
    #[error("{0}")]
    Supply(Box<dyn Explain>),
    /// An index that may not be written, or a file that may not be packed.
    #[error(transparent)]
    Refused(#[from] Box<Fault>),
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One broken rule.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file does not end as a package ends.
    #[error("it does not end in the tables of a package")]
    NotAPackage,
    /// A table at the end contradicts itself, the other table or the file.
    #[error("its {table} is wrong: {why}")]
    Table {
        /// Which one.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A frame is not of the form that packages have.
    #[error("frame {number} is wrong: {why}")]
    Frame {
        /// Its place among the data frames, from 0.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// A frame's contents are not what the chunk table says.
    #[error("frame {number} has the digest {found} where the chunk table says {expected}")]
    Chunk {
        /// Its place among the data frames, from 0.
        number: usize,
        /// What the chunk table says.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
    /// A tar header is not the one that the index asks for.
    #[error(
        "the tar header of \"{path}\" is not in canonical form: its {field} differs at byte {at}"
    )]
    Header {
        /// The member that the index lists here.
        path: String,
        /// The first byte that differs.
        at: usize,
        /// The header's field that it belongs to.
        field: &'static str,
    },
    /// Bytes between or after members are not zero.
    #[error("the bytes after \"{path}\" are not zero")]
    Padding {
        /// The member before.
        path: String,
    },
    /// The tar stream and the index have different lengths.
    #[error("its contents are {found} bytes where the index asks for {expected}")]
    Length {
        /// The length of a tar with the index's members.
        expected: u64,
        /// What the frames unpack to.
        found: u64,
    },
    /// The index is longer than an index may be, lists too much, or sums to too much.
    #[error("{what} is {found}, more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The index is not JSON of the right shape.
    #[error("the package index cannot be read: {0}")]
    IndexShape(String),
    /// The index is well-formed and breaks a rule.
    #[error("the package index breaks a rule: {0}")]
    IndexRule(String),
    /// Two names that some file systems take for one.
    #[error("\"{first}\" and \"{second}\" cannot stand in one folder everywhere: {why}")]
    Twins {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// How they collide.
        why: &'static str,
    },
    /// A file's contents are not what the index says.
    #[error("\"{path}\" has the digest {found} where the index says {expected}")]
    Digest {
        /// The file.
        path: PackagePath,
        /// What the index says.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
    /// A file is shorter or longer than the index says.
    #[error("\"{path}\" is not {expected} bytes long as the index says")]
    Size {
        /// The file.
        path: PackagePath,
        /// What the index says.
        expected: u64,
    },
    /// Weights whose header breaks a rule of their format.
    #[error("\"{path}\" cannot be taken for weights: {error}")]
    Weights {
        /// The file.
        path: PackagePath,
        /// Which rule.
        error: formats::Error,
    },
    /// A pickle in a binary package that gives no reason for one.
    #[error("\"{path}\" is {form}: loading it can run any program")]
    Pickle {
        /// The file.
        path: PackagePath,
        /// How it was found.
        form: PickleForm,
    },
    /// A member that the index does not list.
    #[error("there is no file \"{path}\" in it")]
    NoSuchFile {
        /// What was asked for.
        path: PackagePath,
    },
    /// Something that a package cannot hold stands in a folder that is packed.
    #[error("\"{path}\" cannot be packed: it is {what}")]
    NotAFile {
        /// What was to be packed.
        path: PackagePath,
        /// What it is instead of a regular file.
        what: &'static str,
    },
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Refused(Box::new(fault))
    }
}

impl Error {
    /// The same error, said of the package file `path`.
    pub(super) fn of_package(self, path: &std::path::Path) -> Self {
        match self {
            Self::Refused(fault) => Self::Unsound { path: path.to_owned(), fault },
            other => other,
        }
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "results of this module hold faults in boxes")]
impl Fault {
    /// A wrong frame.
    pub(super) fn frame(number: usize, why: impl Into<String>) -> Box<Self> {
        Box::new(Self::Frame { number, why: why.into() })
    }

    /// A wrong table.
    pub(super) fn table(table: &'static str, why: impl Into<String>) -> Box<Self> {
        Box::new(Self::Table { table, why: why.into() })
    }

    /// An index that breaks a rule.
    pub(super) fn rule(why: impl AsRef<str>) -> Box<Self> {
        Box::new(Self::IndexRule(printable(why.as_ref())))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::NotAPackage => "not-a-package",
            Self::Table { .. } => "wrong-table",
            Self::Frame { .. } => "wrong-frame",
            Self::Chunk { .. } => "wrong-chunk",
            Self::Header { .. } | Self::Padding { .. } | Self::Length { .. } => "wrong-tar",
            Self::TooLarge { .. } => "too-large",
            Self::IndexShape(_) | Self::IndexRule(_) => "wrong-index",
            Self::Twins { .. } => "twin-names",
            Self::Digest { .. } => "wrong-digest",
            Self::Size { .. } => "wrong-size",
            Self::Weights { .. } => "wrong-weights",
            Self::Pickle { .. } => "pickle",
            Self::NoSuchFile { .. } => "no-such-file",
            Self::NotAFile { .. } => "not-a-file",
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Supply(error) => error.kind(),
            Self::Unsound { fault, .. } | Self::Refused(fault) => fault.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Supply(error) => error.hint(),
            Self::Unsound { fault, .. } => match **fault {
                Fault::NoSuchFile { .. } => Some("`mpkg files` lists what is in it".to_owned()),
                _ => Some("do not use it; get it again from where it came".to_owned()),
            },
            Self::Refused(fault) => match **fault {
                Fault::Pickle { .. } => Some(
                    "save the weights as safetensors, or say why not in mpkg.toml: \
                     allow-pickle = true, pickle-reason = \"…\""
                        .to_owned(),
                ),
                _ => None,
            },
        }
    }
}
