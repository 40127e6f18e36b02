//! `mpkg generations` and `rollback`: the past of a profile, and going back to it.

use crate::package::ProfileName;
use crate::progress::Progress;
use crate::store::{Error, Generation, Home, Profile, Result, Store};

/// Every generation, the oldest first, and the number of the current one.
///
/// # Errors
/// [`Error::NoProfile`]; a generation that cannot be read.
pub fn list(home: &Home, profile: &ProfileName) -> Result<(Vec<Generation>, Option<u64>)> {
    let profile = Profile::existing(home, profile)?;
    let current = profile.current_number()?;
    let all = profile.numbers()?.into_iter().map(|number| profile.generation(number));
    Ok((all.collect::<Result<_>>()?, current))
}

/// Switches to generation `number`, or to the one before the current.
///
/// # Errors
/// [`Error::NoGeneration`]; [`Error::NoProfile`]; file errors.
pub fn rollback(
    home: &Home,
    profile: &ProfileName,
    number: Option<u64>,
    progress: &dyn Progress,
) -> Result<Generation> {
    let profile = Profile::existing(home, profile)?;
    let store = lock(home, progress)?;
    let current = profile.current_number()?.unwrap_or(0);
    let existing = profile.numbers()?;
    let before = existing.iter().copied().filter(|number| *number < current).max();
    let Some(goal) = number.or(before) else {
        return Err(Error::NoGeneration { number: current.saturating_sub(1), existing });
    };
    store.switch(&profile, goal)
}

/// Takes the lock of the home folder, and says so where it waits.
pub(super) fn lock(home: &Home, progress: &dyn Progress) -> Result<Store> {
    Store::lock(home, || progress.note("Waiting for another mpkg that changes this home folder"))
}
