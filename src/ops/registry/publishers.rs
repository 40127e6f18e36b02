//! `mpkg registry publishers`: who may publish a name.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::{KeysOf, PassphraseSource};
use crate::crypto::KeyId;
use crate::net::{Address, Client};
use crate::ops::key;
use crate::package::PackageName;
use crate::progress::Progress;
use crate::registry::operator::{
    Missing, NewPublishers, PublishersNow, Repository, Result, Signing, apply,
};
use crate::store::Home;

/// What is to change.
#[derive(Debug, Clone)]
pub struct Options {
    /// The registry's folder.
    pub folder: PathBuf,
    /// The name.
    pub name: PackageName,
    /// Keys that come in: names, or files with public keys.
    pub add: Vec<String>,
    /// Keys that go: names, files or ids.
    pub remove: Vec<String>,
    /// How many must sign from now on, where that changes.
    pub threshold: Option<NonZeroUsize>,
    /// Why.
    pub reason: Option<String>,
    /// The draft's file; without it the change is put in place.
    pub out: Option<PathBuf>,
    /// When.
    pub now: jiff::Timestamp,
}

/// What became of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// These are the publishers.
    Now(PublishersNow),
    /// The change is to be signed.
    Drafted {
        /// The draft.
        file: PathBuf,
        /// Whose signatures are missing.
        missing: Vec<Missing>,
    },
}

/// Changes the publishers of a name where something is to change, and says who they are.
///
/// # Errors
/// [`crate::registry::operator::Error::Undrafted`] where others must sign the change, and
/// whatever is wrong with keys or the registry.
pub fn publishers(
    home: &Home,
    options: &Options,
    passphrases: &PassphraseSource<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let address = Address::Path(options.folder.clone());
    let mut repository = Repository::open(&address, client)?;
    let changes =
        !options.add.is_empty() || !options.remove.is_empty() || options.threshold.is_some();
    if changes {
        let keys = KeysOf::new(home, passphrases)?;
        let source = keys.source();
        let signing = Signing { keys: &source, now: options.now };
        let draft = repository.draft_publishers(&wanted(home, options)?, &signing)?;
        if let Some(file) = &options.out {
            draft.write(file)?;
            return Ok(Outcome::Drafted { file: file.clone(), missing: draft.missing()? });
        }
        draft.demand_signed_here()?;
        apply(&options.folder, &draft, &signing, client, progress)?;
        repository = Repository::open(&address, client)?;
    }
    repository.publishers(&options.name).map(Outcome::Now)
}

fn wanted(home: &Home, options: &Options) -> Result<NewPublishers> {
    let add = options.add.iter().map(|text| key::public(home, text));
    let remove = options.remove.iter().map(|text| match text.parse::<KeyId>() {
        Ok(id) => Ok(id),
        Err(_) => key::public(home, text).map(|key| key.id()),
    });
    Ok(NewPublishers {
        name: options.name.clone(),
        add: add.collect::<crate::crypto::Result<_>>()?,
        remove: remove.collect::<crate::crypto::Result<_>>()?,
        threshold: options.threshold,
        reason: options.reason.clone(),
    })
}
