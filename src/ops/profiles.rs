//! `mpkg profiles`: which profiles there are, and removing one.

use super::generations::lock;
use crate::package::ProfileName;
use crate::progress::Progress;
use crate::store::{Error, Generation, Home, Profile, Result};

/// A profile and its current generation.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub name: ProfileName,
    /// Its current generation; none where an installation was cut off before the first.
    pub current: Option<Generation>,
}

/// Every profile, in the order of their names.
///
/// # Errors
/// A generation that cannot be read.
pub fn list(home: &Home) -> Result<Vec<Listed>> {
    Profile::all(home)?
        .into_iter()
        .map(|profile| Ok(Listed { name: profile.name().clone(), current: profile.current()? }))
        .collect()
}

/// Removes a profile with all of its generations.
///
/// # Errors
/// [`Error::NoProfile`]; file errors.
pub fn remove(home: &Home, name: &ProfileName, progress: &dyn Progress) -> Result<()> {
    let store = lock(home, progress)?;
    let profile = Profile::existing(home, name)?;
    if !home.profile(name).is_dir() {
        return Err(Error::NoProfile { name: name.clone(), nearest: None });
    }
    store.remove_profile(&profile)
}
