//! What a command finds around it that no sandbox can leave open: paths, a user, a clock, the order
//! of folders. Every build finds the same; `mpkg rebuild --vary` changes one at a time.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a command finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The folder below which it sees what it is given, where it has mounts of its own.
    pub root: PathBuf,
    /// The user that it is, below a user namespace.
    pub user: User,
    /// The permissions that new files do not get.
    pub umask: u32,
    /// Seconds that its clock is ahead.
    pub clock: i64,
    /// The order in which it finds the entries of the folders that it is given.
    pub folders: FolderOrder,
}

/// A user as a command sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The number of the user and of the group.
    pub id: u32,
    /// The name of both.
    pub name: String,
}

/// The order of entries in folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FolderOrder {
    /// As the file system gives them.
    Stored,
    /// The other way round.
    Reversed,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/mpkg"),
            user: User { id: 1000, name: "build".to_owned() },
            umask: 0o022,
            clock: 0,
            folders: FolderOrder::Stored,
        }
    }
}

impl Conditions {
    /// Where a command finds what it is given as `name`.
    #[must_use]
    pub fn place(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }
}
