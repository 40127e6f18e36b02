//! What can fail between an address and a whole file.

use std::time::Duration;

use super::Address;
use crate::explain::Explain;
use crate::fs;
use crate::package::Digest;

/// A failed fetch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file on this machine.
    #[error(transparent)]
    Files(#[from] fs::Error),
    /// A text that is no address.
    #[error("{found:?} is not an address: {why}")]
    InvalidAddress {
        /// The text.
        found: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    NoClient(String),
    /// The network is needed and may not be used.
    #[error("{what} is not in the cache, and {address} may not be asked while offline")]
    Offline {
        /// What is missing.
        what: String,
        /// Where it is.
        address: Address,
    },
    /// No connection, or no answer.
    #[error("cannot reach {address}: {cause}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        cause: String,
        /// Whether it may help to try again.
        again: Again,
    },
    /// The server says no.
    #[error("{address} answers {status}")]
    Status {
        /// Where.
        address: Address,
        /// Code and words.
        status: reqwest::StatusCode,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// There is no such file.
    #[error("{address} is not there")]
    NotThere {
        /// Where.
        address: Address,
    },
    /// The answer breaks the rules of HTTP.
    #[error("{address} answers nonsense: {what}")]
    Nonsense {
        /// Where.
        address: Address,
        /// What is wrong with the answer.
        what: String,
    },
    /// The server gives a file whole or not at all.
    #[error("{address} gives no parts of the file")]
    NoRanges {
        /// Where.
        address: Address,
    },
    /// The connection ended too early.
    #[error("{address} broke off after {found} of {expected} bytes: {cause}")]
    BrokenOff {
        /// Where.
        address: Address,
        /// The size of the whole.
        expected: u64,
        /// How many bytes there are.
        found: u64,
        /// What ended it.
        cause: String,
    },
    /// The bytes come too slowly, or not at all.
    #[error("{address} stalled after {found} bytes: fewer than {least} came in {seconds} s")]
    Stalled {
        /// Where.
        address: Address,
        /// How many bytes there are.
        found: u64,
        /// How many should have come, at the least.
        least: u64,
        /// In how many seconds.
        seconds: u64,
    },
    /// The size is not the stated one.
    #[error("{address} has the wrong size: expected {expected} bytes, found {found}")]
    WrongSize {
        /// Where.
        address: Address,
        /// The stated size.
        expected: u64,
        /// The size there, such as `7` or `more`.
        found: String,
    },
    /// The bytes are not the stated ones.
    #[error("{address} has the wrong digest: expected {expected}, found {found}")]
    WrongDigest {
        /// Where.
        address: Address,
        /// The stated digest.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A body is longer than anybody expects.
    #[error("{address} is longer than {limit} bytes, the most that is read there")]
    TooLong {
        /// Where.
        address: Address,
        /// The limit.
        limit: u64,
    },
    /// No address has it.
    #[error("cannot fetch {what} from any of its {} addresses:{}", failures.len(), listed(failures))]
    Nowhere {
        /// What is missing.
        what: String,
        /// What each address said.
        failures: Vec<Error>,
    },
    /// Somebody else's failure ended this fetch.
    #[error("the fetch was given up")]
    GivenUp,
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether it may help to try the same address again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It may.
    Yes,
    /// It cannot.
    No,
}

fn listed(failures: &[Error]) -> String {
    failures.iter().flat_map(|failure| ["\n  ".to_owned(), failure.to_string()]).collect()
}

impl Error {
    /// Whether the same request may do better a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { again, .. } => *again == Again::Yes,
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 416 | 425 | 429)
            }
            Self::BrokenOff { .. } | Self::Stalled { .. } => true,
            _ => false,
        }
    }

    /// Whether the address was asked and has no such file.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        matches!(self, Self::NotThere { .. })
    }

    /// Whether a server refuses a part of a file that it may still give whole.
    pub(super) fn is_about_the_range(&self) -> bool {
        match self {
            Self::Status { status, .. } => status.as_u16() == 416,
            error => matches!(error, Self::Nonsense { .. }),
        }
    }

    /// Whether the fault lies on this machine, so that no other address can help.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Files(_) | Self::NoClient(_) | Self::GivenUp)
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Files(error) => error.kind(),
            Self::InvalidAddress { .. } => "invalid-address",
            Self::NoClient(_) => "http-client",
            Self::Offline { .. } => "offline",
            Self::Unreachable { .. } => "unreachable",
            Self::Status { .. } => "http-status",
            Self::NotThere { .. } => "not-there",
            Self::Nonsense { .. } => "bad-answer",
            Self::NoRanges { .. } => "no-ranges",
            Self::BrokenOff { .. } => "broken-off",
            Self::Stalled { .. } => "stalled",
            Self::WrongSize { .. } => "wrong-size",
            Self::WrongDigest { .. } => "wrong-digest",
            Self::TooLong { .. } => "too-long",
            Self::Nowhere { failures, .. } => match failures.first() {
                Some(first) if failures.iter().all(|other| other.kind() == first.kind()) => {
                    first.kind()
                }
                _ => "nowhere",
            },
            Self::GivenUp => "given-up",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Files(error) => error.hint(),
            Self::Offline { .. } => Some("run `mpkg fetch` once with the network".to_owned()),
            Self::BrokenOff { .. } | Self::NoRanges { .. } => {
                Some("run the same command again: it goes on where this one ended".to_owned())
            }
            Self::Unreachable { .. } => {
                Some("check the address and the connection, then run the command again".to_owned())
            }
            Self::Stalled { .. } => Some("allow more time with --timeout SECONDS".to_owned()),
            Self::WrongDigest { .. } => Some(
                "nothing of it was kept; the file there has changed since its digest was stated"
                    .to_owned(),
            ),
            Self::Nowhere { failures, .. } => failures.iter().find_map(Explain::hint),
            _ => None,
        }
    }
}
