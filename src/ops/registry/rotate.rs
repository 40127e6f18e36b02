//! `mpkg registry rotate`: other keys for a role.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::draft::InPlace;
use super::{KeysOf, PassphraseSource};
use crate::crypto::KeyId;
use crate::net::{Address, Client};
use crate::ops::key;
use crate::progress::Progress;
use crate::registry::operator::{
    Lifetimes, Missing, Repository, Result, RotatedRole, Rotation, Signing, apply,
};
use crate::store::Home;

/// What is to change.
#[derive(Debug, Clone)]
pub struct Options {
    /// The registry's folder.
    pub folder: PathBuf,
    /// The role.
    pub role: RotatedRole,
    /// Keys that come in: names, or files with public keys.
    pub add: Vec<String>,
    /// Keys that go: names, files or ids.
    pub remove: Vec<String>,
    /// How many must sign from now on, where that changes.
    pub threshold: Option<NonZeroU32>,
    /// The draft's file; without it the change is put in place.
    pub out: Option<PathBuf>,
    /// When.
    pub now: jiff::Timestamp,
}

/// What became of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafted {
    /// It is in place.
    InPlace(InPlace),
    /// It is to be signed.
    File {
        /// The draft.
        file: PathBuf,
        /// Whose signatures are missing.
        missing: Vec<Missing>,
    },
}

/// Drafts other keys for a role, signed by the keys of this machine, and puts the change in place
/// where it is not to be a file.
///
/// # Errors
/// [`crate::registry::operator::Error::Undrafted`] where other keys must sign, and whatever is
/// wrong with keys or the registry.
pub fn rotate(
    home: &Home,
    options: &Options,
    passphrases: &PassphraseSource<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Drafted> {
    let remove = options.remove.iter().map(|text| match text.parse::<KeyId>() {
        Ok(id) => Ok(id),
        Err(_) => key::public(home, text).map(|key| key.id()),
    });
    let rotation = Rotation {
        role: options.role,
        add: options
            .add
            .iter()
            .map(|text| key::public(home, text))
            .collect::<crate::crypto::Result<_>>()?,
        remove: remove.collect::<crate::crypto::Result<_>>()?,
        threshold: options.threshold,
    };
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    let signing = Signing { keys: &source, now: options.now };
    let repository = Repository::open(&Address::Path(options.folder.clone()), client)?;
    let lifetimes = Lifetimes::of(&options.folder)?;
    let draft = repository.draft_rotation(&rotation, lifetimes, &signing)?;
    if let Some(file) = &options.out {
        draft.write(file)?;
        return Ok(Drafted::File { file: file.clone(), missing: draft.missing()? });
    }
    draft.demand_signed_here()?;
    let change = apply(&options.folder, &draft, &signing, client, progress)?;
    Ok(Drafted::InPlace(InPlace { change, made: None }))
}
