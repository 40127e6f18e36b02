//! What can fail with files.

use std::io;
use std::path::{Path, PathBuf};

use crate::explain::Explain;

/// A failed action on a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct Error {
    /// What was tried, as in `read` or `create the folder`.
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// A result whose error carries the path.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes the closure for `map_err`: `File::open(p).map_err(Error::at("open", p))`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::NotFound => "file-not-found",
            io::ErrorKind::PermissionDenied => "permission-denied",
            io::ErrorKind::StorageFull => "disk-full",
            io::ErrorKind::ReadOnlyFilesystem => "read-only",
            _ => "file",
        }
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::StorageFull => {
                Some("make room on that disk, then run the same command again".to_owned())
            }
            _ => None,
        }
    }
}
