//! `mpkg registry sign` and `apply`: drafts that are carried between machines.

use std::path::Path;

use super::init::{self, Made};
use super::{KeysOf, PassphraseSource};
use crate::crypto::KeyName;
use crate::net::Client;
use crate::ops::key;
use crate::progress::Progress;
use crate::registry::operator::{self, Applied, Draft, Missing, Result, Signing};
use crate::store::Home;

/// With which keys a draft is signed.
#[derive(Debug, Clone, Copy)]
pub enum With<'a> {
    /// None: it is only looked at.
    Nothing,
    /// This one.
    Key(&'a KeyName),
    /// Every key of this machine that may.
    All,
}

/// What a draft says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it changes, a line each.
    pub changes: Vec<String>,
    /// Whose signatures are missing.
    pub missing: Vec<Missing>,
}

/// A draft that was put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlace {
    /// What changed.
    pub change: Applied,
    /// The registry, where it was made by this.
    pub made: Option<Made>,
}

/// Adds signatures to the draft in `file`.
///
/// # Errors
/// [`operator::Error::Draft`], and keys that cannot be used.
pub fn sign(
    home: &Home,
    file: &Path,
    with: With<'_>,
    passphrases: &PassphraseSource<'_>,
) -> Result<Report> {
    let mut draft = Draft::read(file)?;
    let changes = draft.changes()?;
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    match with {
        With::Nothing => {}
        With::Key(name) => {
            let stored = key::own(home).find(name)?;
            if let Some(key) = source(stored.public.id())? {
                draft.sign(&key)?;
            }
        }
        With::All => draft.sign_with_all(&source)?,
    }
    if !matches!(with, With::Nothing) {
        draft.write(file)?;
    }
    Ok(Report { changes, missing: draft.missing()? })
}

/// Puts the draft in `file` in place in the registry in `folder`, or makes it there. The times are
/// that of the signatures and that of this machine.
///
/// # Errors
/// Those of [`operator::apply`].
pub fn apply(
    home: &Home,
    folder: &Path,
    file: &Path,
    passphrases: &PassphraseSource<'_>,
    times: (jiff::Timestamp, jiff::Timestamp),
    client: &Client,
    progress: &dyn Progress,
) -> Result<InPlace> {
    let draft = Draft::read(file)?;
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    let signing = Signing { keys: &source, now: times.0 };
    let change = operator::apply(folder, &draft, &signing, client, progress)?;
    let made = match &change {
        Applied::Created(created) => {
            let clock = times.0.min(times.1);
            Some(init::made(home, folder, created.clone(), clock, client, progress)?)
        }
        Applied::Changed { .. } => None,
    };
    Ok(InPlace { change, made })
}
