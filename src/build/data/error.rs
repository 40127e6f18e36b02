//! What can fail between a data reference and its files.

use crate::explain::Explain;
use crate::package::{Digest, PartName};
use crate::{fs, net};

/// A data reference that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Which reference it is about.
    #[error("data `{name}`: {}", chain(fault))]
    Of {
        /// The reference's name.
        name: PartName,
        /// What is wrong with it, causes included.
        fault: Box<Error>,
    },
    /// A fetch.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// A file on this machine.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// No address has it.
    #[error("none of its {} addresses has it:{}", failures.len(), listed(failures))]
    Nowhere {
        /// What each address said.
        failures: Vec<Error>,
    },
    /// The network is needed and may not be used.
    #[error("it is not in the cache, and {address} may not be asked while offline")]
    Offline {
        /// Where it is.
        address: String,
    },
    /// A program of the system is not there.
    #[error("{address} needs `{program}`, which is not on this machine")]
    NoTool {
        /// What needs it.
        address: String,
        /// The program.
        program: &'static str,
        /// What has it.
        hint: &'static str,
    },
    /// A program of the system failed.
    #[error("{address}: `{command}` failed:{}", indented(said))]
    ToolFailed {
        /// What needed it.
        address: String,
        /// What was run.
        command: String,
        /// The last lines that it printed.
        said: Vec<String>,
    },
    /// The index of packages has other versions only.
    #[error("{address} is not to be had: {}", versions(exist))]
    NoVersion {
        /// The address.
        address: String,
        /// The versions that exist.
        exist: Vec<String>,
    },
    /// Not a kind of archive that is known, or one that is broken.
    #[error("{archive} cannot be read as {kind}: {cause}")]
    BadArchive {
        /// The archive.
        archive: String,
        /// What it should be.
        kind: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// A member that cannot be unpacked safely.
    #[error("{archive} is refused: its member {member:?} {why}")]
    Refused {
        /// The archive.
        archive: String,
        /// The member.
        member: String,
        /// What is wrong with it.
        why: String,
    },
    /// An archive that is more than it should be.
    #[error("{archive} is refused: it {why}")]
    TooMuch {
        /// The archive.
        archive: String,
        /// What is too much.
        why: String,
    },
    /// The archive has no such member.
    #[error("{archive} has no file {member:?}{}", nearby(near))]
    NoMember {
        /// The archive.
        archive: String,
        /// The member.
        member: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// A glob of `select` chooses nothing.
    #[error("`select` chooses nothing with {glob:?}{}", nearby(near))]
    NoMatch {
        /// The glob.
        glob: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// A list of shards with a fault.
    #[error("{list}:{line}: {why}")]
    Shards {
        /// The list.
        list: String,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// A list of withdrawn records with a fault.
    #[error("{list}: {why}")]
    Exclusions {
        /// The list.
        list: String,
        /// What is wrong with it.
        why: String,
    },
    /// Data that has no such records as are stated.
    #[error("{file}:{line}: {why}, and so the data has no records of the kind \"{kind}\"")]
    Split {
        /// What `records` says.
        kind: &'static str,
        /// The file.
        file: String,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// Data in the tree that is no file or folder.
    #[error("{path} in the tree {why}")]
    Tree {
        /// Its path in the tree.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Data in the tree is not what the manifest states.
    #[error("{path} in the tree has the wrong digest: expected {expected}, found {found}")]
    WrongDigest {
        /// Its path in the tree.
        path: String,
        /// The stated digest.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// Two keys of the manifest that cannot be used together.
    #[error("`{key}` cannot be used with {beside}")]
    Together {
        /// The key.
        key: &'static str,
        /// What it does not go with.
        beside: &'static str,
    },
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn listed(failures: &[Error]) -> String {
    indented(&failures.iter().map(|failure| chain(failure)).collect::<Vec<_>>())
}

fn indented(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  ", line]).collect()
}

fn versions(exist: &[String]) -> String {
    match exist {
        [] => "no version of it is known here".to_owned(),
        [one] => format!("the version that exists here is {one}"),
        several => format!("the versions that exist here are {}", several.join(", ")),
    }
}

fn nearby(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; there is {}", names.join(", ")),
    }
}

/// The error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

impl Error {
    /// Says which reference the error is about.
    pub(super) fn of(name: &PartName) -> impl FnOnce(Self) -> Self + use<> {
        let name = name.clone();
        move |fault| match fault {
            Self::Of { .. } => fault,
            fault => Self::Of { name, fault: Box::new(fault) },
        }
    }

    /// Whether the fault lies on this machine, so that no other address can help.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Net(error) => error.is_local(),
            Self::Files(_) => true,
            _ => false,
        }
    }

    /// Whether data in the tree is not what it should be.
    pub(super) fn is_about_the_tree(&self) -> bool {
        matches!(self, Self::Tree { .. } | Self::WrongDigest { .. })
    }

    /// Whether this is only the end of work that somebody else's failure ended.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Of { fault, .. } => fault.is_given_up(),
            Self::Net(error) => matches!(error, net::Error::GivenUp),
            _ => false,
        }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Of { fault, .. } => fault.kind(),
            Self::Net(error) => error.kind(),
            Self::Files(error) => error.kind(),
            Self::Nowhere { failures } => match failures.first() {
                Some(first) if failures.iter().all(|other| other.kind() == first.kind()) => {
                    first.kind()
                }
                _ => "nowhere",
            },
            Self::Offline { .. } => "offline",
            Self::NoTool { .. } => "missing-tool",
            Self::ToolFailed { .. } => "tool-failed",
            Self::NoVersion { .. } => "no-such-version",
            Self::BadArchive { .. } => "bad-archive",
            Self::Refused { .. } => "refused-member",
            Self::TooMuch { .. } => "refused-archive",
            Self::NoMember { .. } => "no-such-member",
            Self::NoMatch { .. } => "select",
            Self::Shards { .. } => "shards",
            Self::Exclusions { .. } => "exclusions",
            Self::Split { .. } => "records",
            Self::Tree { .. } => "data-in-tree",
            Self::WrongDigest { .. } => "wrong-digest",
            Self::Together { .. } => "manifest",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Of { fault, .. } => fault.hint(),
            Self::Net(error) => error.hint(),
            Self::Files(error) => error.hint(),
            Self::Nowhere { failures } => failures.iter().find_map(Explain::hint),
            Self::Offline { .. } => Some("run `mpkg fetch` once with the network".to_owned()),
            Self::NoTool { hint, .. } => Some((*hint).to_owned()),
            Self::NoVersion { exist, .. } => Some(if exist.is_empty() {
                "check the name, or run `apt-get update`".to_owned()
            } else {
                "name another address as well, or change the version, sha256 and size".to_owned()
            }),
            Self::Refused { .. } => {
                Some("`select` passes over members that the build does not need".to_owned())
            }
            Self::Split { .. } => Some(
                "`records` says what a record is: lines, paragraphs, jsonl, csv or files; `select` passes over other files"
                    .to_owned(),
            ),
            Self::WrongDigest { found, .. } => Some(format!(
                "if the change is meant, write sha256 = \"{found}\" into the manifest"
            )),
            _ => None,
        }
    }
}
