//! The public keys of others that this machine trusts: `HOME/trust/keys/NAME.pub.json`.

use std::path::{Path, PathBuf};

use super::{Error, ForeignKey, KeyName, PublicKey, Result};
use crate::fs;

/// A public key and the name that it goes by here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its name.
    pub name: KeyName,
    /// The key.
    pub key: PublicKey,
}

/// A folder of public keys.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    folder: PathBuf,
}

const ENDING: &str = ".pub.json";

impl PublicKeys {
    /// The keys in `folder`, which need not exist yet.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Every key, by name.
    ///
    /// # Errors
    /// [`Error::File`], and what is wrong with a key file.
    pub fn list(&self) -> Result<Vec<NamedKey>> {
        let keys = names(&self.folder, ENDING)?.into_iter().map(|name| {
            let key = read_public_file(&self.place(&name))?;
            Ok(NamedKey { name, key })
        });
        keys.collect()
    }

    /// Takes a public key in. The same key under the same name again is no error.
    ///
    /// # Errors
    /// [`Error::NameTaken`] by another key, and [`Error::File`].
    pub fn add(&self, name: &KeyName, key: &PublicKey) -> Result<()> {
        let place = self.place(name);
        let _lock = fs::Lock::acquire(&self.folder.join(".lock"), || {})?;
        if place.exists() {
            if read_public_file(&place)? == *key {
                return Ok(());
            }
            return Err(Error::NameTaken { name: name.to_string(), path: place });
        }
        fs::write_atomically(&place, &public_file(key))?;
        Ok(())
    }

    /// The key named `name`, if there is one.
    ///
    /// # Errors
    /// [`Error::File`], and what is wrong with a key file.
    pub fn find(&self, name: &KeyName) -> Result<Option<PublicKey>> {
        let place = self.place(name);
        if place.exists() { read_public_file(&place).map(Some) } else { Ok(None) }
    }

    fn place(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }
}

/// Reads a public key from a file in any of the forms that [`ForeignKey`] knows.
pub(super) fn read_public_file(path: &Path) -> Result<PublicKey> {
    ForeignKey::load(path)?.public()?.ok_or_else(|| Error::NotAKey {
        what: path.display().to_string(),
        why: "it is a private key; here a public one is wanted".to_owned(),
    })
}

/// The contents of a `.pub.json` file.
pub(super) fn public_file(key: &PublicKey) -> Vec<u8> {
    format!("{}\n", key.to_json()).into_bytes()
}

/// The names of the files in `folder` that end in `ending`, sorted; none where it is missing.
pub(super) fn names(folder: &Path, ending: &str) -> Result<Vec<KeyName>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fs::Error::at("list", folder)(error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fs::Error::at("list", folder))?;
        let file_name = entry.file_name();
        let name = file_name.to_str().and_then(|name| name.strip_suffix(ending));
        names.extend(name.and_then(|name| name.parse::<KeyName>().ok()));
    }
    names.sort();
    Ok(names)
}
