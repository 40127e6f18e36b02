//! What can be wrong with patches.

use super::{LONGEST_FILE, LONGEST_PATCH, MOST_PATCHES};
use crate::explain::{Explain, printable};
use crate::fs;
use crate::package::PackagePath;

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A patch, or a list of them, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A line of `patches/series`.
    #[error("patches/series:{line}: {why}")]
    Series {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Too many patches.
    #[error("patches/series lists more than {MOST_PATCHES} patches")]
    TooMany,
    /// The series names a patch that is not there.
    #[error("patches/series lists {name}, and patches/{name} is not there")]
    NoPatch {
        /// Its name.
        name: PackagePath,
    },
    /// A line of a patch.
    #[error("patches/{name}:{line}: {why}")]
    Malformed {
        /// The patch.
        name: PackagePath,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file that no patch may touch.
    #[error("patches/{name} touches {path}, which patches may not: {why}")]
    Forbidden {
        /// The patch.
        name: PackagePath,
        /// The file.
        path: PackagePath,
        /// Why not.
        why: &'static str,
    },
    /// A hunk does not fit.
    #[error(transparent)]
    Hunk(Box<Misfit>),
    /// A file that a patch adds is there, or one that it changes is not.
    #[error("patches/{name} does not apply: {path} {why}")]
    Presence {
        /// The patch.
        name: PackagePath,
        /// The file.
        path: PackagePath,
        /// `is there already`.
        why: &'static str,
    },
    /// A file that is too long to be patched.
    #[error("{path} cannot be patched: it is longer than {LONGEST_FILE} bytes")]
    LongFile {
        /// The file.
        path: PackagePath,
    },
    /// A patch that would be too long.
    #[error("the patch would be longer than {LONGEST_PATCH} bytes")]
    LongPatch,
    /// A file that is no text.
    #[error("{path} is no text, and a patch holds text alone")]
    Binary {
        /// The file.
        path: PackagePath,
    },
}

/// A hunk that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "hunk {hunk} of patches/{name} does not apply to {path} at line {line}: {}",
    misfit(expected.as_deref(), found.as_deref())
)]
pub struct Misfit {
    /// The patch.
    pub name: PackagePath,
    /// The file.
    pub path: PackagePath,
    /// The hunk's number in the file's part of the patch, from 1.
    pub hunk: usize,
    /// The line of the file that does not fit, from 1.
    pub line: usize,
    /// What the patch expects there; none is the end of the file.
    pub expected: Option<String>,
    /// What stands there.
    pub found: Option<String>,
    /// Where the hunk would fit, or that it was applied already.
    pub elsewhere: Elsewhere,
}

/// Where else a hunk would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nowhere.
    Nowhere,
    /// From this line on, counted from 1.
    Line(usize),
    /// What it makes stands there already.
    Applied,
}

fn misfit(expected: Option<&str>, found: Option<&str>) -> String {
    let line = |line: Option<&str>| match line {
        None => "the end of the file".to_owned(),
        Some(text) => {
            let end = if text.ends_with('\n') { "" } else { " without a line end" };
            let shown: String = text.trim_end_matches('\n').chars().take(80).collect();
            format!("\"{}\"{end}", printable(&shown))
        }
    };
    format!("it expects {} and finds {}", line(expected), line(found))
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Series { .. } | Self::TooMany | Self::NoPatch { .. } => "series",
            Self::Malformed { .. } => "bad-patch",
            Self::Forbidden { .. } => "forbidden-patch",
            Self::Hunk(_) | Self::Presence { .. } => "patch-does-not-apply",
            Self::LongFile { .. } | Self::LongPatch => "too-long",
            Self::Binary { .. } => "binary",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Hunk(misfit) => match misfit.elsewhere {
                Elsewhere::Nowhere => None,
                Elsewhere::Line(line) => Some(format!(
                    "its lines stand at line {line} instead: correct the numbers in the patch, nothing is guessed"
                )),
                Elsewhere::Applied => Some(
                    "the file has this change already: a tree with patches/series holds the files \
                     before them, unless `mpkg source` unpacked it"
                        .to_owned(),
                ),
            },
            Self::NoPatch { .. } => {
                Some("put it back, or take its line out of patches/series".to_owned())
            }
            Self::Forbidden { .. } => Some("change the file itself".to_owned()),
            Self::Binary { path } => Some(format!(
                "leave {path} out with a line in .mpkgignore, or name it in the manifest as [[data]]"
            )),
            _ => None,
        }
    }
}
