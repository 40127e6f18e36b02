//! `mpkg key`: making, listing, exporting and importing keys.

use std::path::Path;

use crate::crypto::{
    Error, ForeignKey, KeyName, Keyring, NamedKey, Passphrase, PublicKey, PublicKeys, Result,
    StoredKey,
};
use crate::fs;
use crate::store::Home;

/// A key that this machine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its name here.
    pub name: String,
    /// Its public half.
    pub public: PublicKey,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This machine's; the private half lies here, behind a passphrase or not.
    Own {
        /// Whether a passphrase is needed to use it.
        encrypted: bool,
    },
    /// Somebody else's, trusted since it was imported.
    Other,
}

impl From<StoredKey> for KnownKey {
    fn from(key: StoredKey) -> Self {
        let owner = Owner::Own { encrypted: key.encrypted };
        Self { name: key.name.to_string(), public: key.public, owner }
    }
}

impl From<NamedKey> for KnownKey {
    fn from(key: NamedKey) -> Self {
        Self { name: key.name.to_string(), public: key.key, owner: Owner::Other }
    }
}

/// This machine's own keys.
#[must_use]
pub fn own(home: &Home) -> Keyring {
    Keyring::at(home.keys())
}

/// The public keys of others.
#[must_use]
pub fn others(home: &Home) -> PublicKeys {
    PublicKeys::at(home.trust().join("keys"))
}

/// Makes a new key.
///
/// # Errors
/// [`Error::NameTaken`], and what fails with files.
pub fn new(home: &Home, name: &KeyName, passphrase: Option<&Passphrase>) -> Result<KnownKey> {
    refuse_name_of(home, name, None)?;
    own(home).create(name, passphrase).map(KnownKey::from)
}

/// Every key that this machine knows and so trusts: its own, then those of others.
///
/// # Errors
/// What is wrong with a key file.
pub fn list(home: &Home) -> Result<Vec<KnownKey>> {
    let own = own(home).list()?.into_iter().map(KnownKey::from);
    let others = others(home).list()?.into_iter().map(KnownKey::from);
    Ok(own.chain(others).collect())
}

/// The key named `name`.
///
/// # Errors
/// [`Error::NoSuchKey`], and what is wrong with its file.
pub fn find(home: &Home, name: &KeyName) -> Result<KnownKey> {
    if let Some(key) = others(home).find(name)? {
        return Ok(KnownKey { name: name.to_string(), public: key, owner: Owner::Other });
    }
    own(home).find(name).map(KnownKey::from)
}

/// The public key that `text` names: a key of this machine or one that it trusts, or else a file.
///
/// # Errors
/// [`Error::NoSuchKey`], and what is wrong with a file.
pub fn public(home: &Home, text: &str) -> Result<PublicKey> {
    let file = Path::new(text);
    match text.parse::<KeyName>() {
        Ok(name) if !file.is_file() => Ok(find(home, &name)?.public),
        _ => ForeignKey::load(file)?.public()?.ok_or_else(|| Error::NotAKey {
            what: file.display().to_string(),
            why: "it is a private key; here a public one is wanted".to_owned(),
        }),
    }
}

/// Copies the private half of a key into a new file of mode 0600. A passphrase stays on it.
///
/// # Errors
/// [`Error::NoSuchKey`], and what fails with files; a file in the way is kept.
pub fn export_private(home: &Home, name: &KeyName, goal: &Path) -> Result<StoredKey> {
    let key = own(home).find(name)?;
    if goal.symlink_metadata().is_ok() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(fs::Error::at("create", goal)(exists).into());
    }
    fs::write_privately(goal, own(home).text(&key)?.as_bytes())?;
    Ok(key)
}

/// Takes in a key file: a private key among this machine's own, an encrypted one under the same
/// passphrase; a public key among those of others.
///
/// # Errors
/// [`Error::NameTaken`], [`Error::WrongPassphrase`], and what fails with files.
pub fn import(
    home: &Home,
    name: &KeyName,
    key: &ForeignKey,
    passphrase: Option<&Passphrase>,
) -> Result<KnownKey> {
    if let Some(public) = key.public()? {
        refuse_name_of(home, name, Some(&public))?;
        others(home).add(name, &public)?;
        return Ok(KnownKey { name: name.to_string(), public, owner: Owner::Other });
    }
    let private = key.open(passphrase)?;
    refuse_name_of(home, name, None)?;
    own(home).store(name, &private, passphrase).map(KnownKey::from)
}

/// A name means one key: refuses one that another folder has for a key other than `same`.
fn refuse_name_of(home: &Home, name: &KeyName, same: Option<&PublicKey>) -> Result<()> {
    let taken = |folder: std::path::PathBuf, ending: &str| Error::NameTaken {
        name: name.to_string(),
        path: folder.join(format!("{name}{ending}")),
    };
    match same {
        Some(same) => match own(home).find(name) {
            Ok(key) if key.public != *same => Err(taken(home.keys(), ".pem")),
            Ok(_) | Err(Error::NoSuchKey { .. }) => Ok(()),
            Err(error) => Err(error),
        },
        None => match others(home).find(name)? {
            Some(_) => Err(taken(home.trust().join("keys"), ".pub.json")),
            None => Ok(()),
        },
    }
}
