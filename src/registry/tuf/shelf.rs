//! The metadata that is trusted, byte for byte as it came, in a folder.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Error, Result};
use crate::fs;
use crate::net::{Address, Client, Network};

/// What is not encoded in the name of a file: letters, digits and these. A slash is encoded, so a
/// name is always one part of a path; as something follows it, it is never `.` or `..`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The longest name of a role or target once it is encoded.
const LONGEST_NAME: usize = 200;

/// `name` with everything percent-encoded that could mean something in a path or an address.
///
/// # Errors
/// [`Error::Form`] where it is too long.
pub(super) fn encoded(name: &str) -> Result<String> {
    let text = utf8_percent_encode(name, PLAIN).to_string();
    match text.len() {
        0 => Err(Error::Form("a name is empty".to_owned())),
        1..=LONGEST_NAME => Ok(text),
        _ => {
            let start: String = text.chars().take(60).collect();
            Err(Error::Form(format!("the name {start}… is too long")))
        }
    }
}

/// Where a copy of the target at `path` is kept in `folder`: under its percent-encoded path.
///
/// # Errors
/// [`Error::Form`] where the path is too long.
pub fn copy_place(folder: &Path, path: &str) -> Result<PathBuf> {
    Ok(folder.join(encoded(path)?))
}

/// A folder of trusted metadata: `ROLE.json`, the role's name percent-encoded.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// The metadata in `folder`, which need not exist yet.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a role.
    ///
    /// # Errors
    /// [`Error::Form`] where the role's name is too long.
    pub fn place(&self, role: &str) -> Result<PathBuf> {
        Ok(self.folder.join(format!("{}.json", encoded(role)?)))
    }

    /// The file of a role, if there is one of at most `limit` bytes.
    ///
    /// # Errors
    /// File errors.
    pub fn read(&self, role: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        read_file(&self.place(role)?, limit)
    }

    /// Keeps the file of a role: after a crash there is the old one or the new.
    ///
    /// # Errors
    /// File errors.
    pub fn write(&self, role: &str, bytes: &[u8]) -> Result<()> {
        Ok(fs::write_atomically(&self.place(role)?, bytes)?)
    }

    /// Drops the file of a role, if there is one.
    ///
    /// # Errors
    /// File errors.
    pub fn remove(&self, role: &str) -> Result<()> {
        let place = self.place(role)?;
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(fs::Error::at("remove", &place)(error).into())
            }
            _ => Ok(()),
        }
    }
}

/// The bytes of a file; nothing where there is none, or one that is longer than `limit`.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fs::Error::at("open", path)(error).into()),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(fs::Error::at("read", path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Whether the origin is asked, or what is kept has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is asked.
    Origin,
    /// Only what is kept is used.
    Kept,
}

impl Reach {
    /// A registry on another machine cannot be asked offline; a folder of this one can.
    #[must_use]
    pub fn of(address: &Address, client: &Client) -> Self {
        match (address, client.network()) {
            (Address::Http(_), Network::Offline) => Self::Kept,
            _ => Self::Origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_13_names_stay_one_part_of_a_path() {
        for (name, file) in [
            ("targets", "targets.json"),
            ("../x", "..%2Fx.json"),
            ("..", "...json"),
            ("a?b#c", "a%3Fb%23c.json"),
            ("%2e%2e", "%252e%252e.json"),
            ("a\0b\nc", "a%00b%0Ac.json"),
            ("/etc/passwd", "%2Fetc%2Fpasswd.json"),
            ("C:\\x", "C%3A%5Cx.json"),
            ("é", "%C3%A9.json"),
        ] {
            let place = Shelf::at("/shelf").place(name).unwrap();
            assert_eq!(place, Path::new("/shelf").join(file));
            assert_eq!(place.parent(), Some(Path::new("/shelf")));
        }
        assert!(Shelf::at("/shelf").place("").is_err());
        assert!(Shelf::at("/shelf").place(&"é".repeat(50)).is_err());
    }
}
