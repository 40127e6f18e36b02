//! What the operator of a registry does, one file a use case.

pub mod data;
pub mod draft;
pub mod init;
pub mod mirror;
pub mod publishers;
pub mod refresh;
pub mod rotate;
pub mod serve;
pub mod wheels;
pub mod yank;

use std::path::PathBuf;

use crate::crypto::{self, KeyId, Keyring, Passphrase, SigningKey, StoredKey};
use crate::net::Address;
use crate::registry;
use crate::registry::operator::Result;
use crate::store::Home;

/// Asks for the passphrase of the key with this name; nothing where nobody can be asked.
pub type PassphraseSource<'a> = dyn Fn(&str) -> crypto::Result<Option<Passphrase>> + 'a;

/// This machine's keys, opened when they are needed.
pub struct KeysOf<'a> {
    ring: Keyring,
    stored: Vec<StoredKey>,
    passphrases: &'a PassphraseSource<'a>,
}

impl<'a> KeysOf<'a> {
    /// Looks at the keys of `home`.
    ///
    /// # Errors
    /// What is wrong with a key file.
    pub fn new(home: &Home, passphrases: &'a PassphraseSource<'a>) -> crypto::Result<Self> {
        let ring = super::key::own(home);
        let stored = ring.list()?;
        Ok(Self { ring, stored, passphrases })
    }

    /// Finds and opens keys by their ids.
    pub fn source(&self) -> impl Fn(KeyId) -> crypto::Result<Option<SigningKey>> + '_ {
        |id| {
            let Some(stored) = self.stored.iter().find(|key| key.public.id() == id) else {
                return Ok(None);
            };
            let passphrase = match stored.encrypted {
                true => (self.passphrases)(&stored.name.to_string())?,
                false => None,
            };
            self.ring.open(stored, passphrase.as_ref()).map(Some)
        }
    }
}

/// The folder that a registry is to be written in.
///
/// # Errors
/// [`registry::Error::NotAFolder`].
pub fn folder_of(location: &str) -> Result<PathBuf> {
    match location.parse().map_err(registry::Error::from)? {
        Address::Path(path) => Ok(path),
        Address::Http(_) => {
            let location = location.to_owned();
            Err(registry::Error::NotAFolder { location }.into())
        }
    }
}
