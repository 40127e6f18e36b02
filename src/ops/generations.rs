//! `mpkg generations`, `rollback` and `gc`: the past of a profile, going back to it, and
//! clearing it away.

use crate::progress::Progress;
use crate::store::{DEFAULT_PROFILE, Error, Generation, Home, Profile, Result, Store, Swept};

/// Every generation, the oldest first, and the number of the current one.
///
/// # Errors
/// A generation that cannot be read.
pub fn list(home: &Home) -> Result<(Vec<Generation>, Option<u64>)> {
    let profile = Profile::of(home, DEFAULT_PROFILE);
    let current = profile.current_number()?;
    let all = profile.numbers()?.into_iter().map(|number| profile.generation(number));
    Ok((all.collect::<Result<_>>()?, current))
}

/// Switches to generation `number`, or to the one before the current.
///
/// # Errors
/// [`Error::NoGeneration`]; file errors.
pub fn rollback(home: &Home, number: Option<u64>, progress: &dyn Progress) -> Result<Generation> {
    let store = lock(home, progress)?;
    let profile = Profile::of(home, DEFAULT_PROFILE);
    let current = profile.current_number()?.unwrap_or(0);
    let existing = profile.numbers()?;
    let before = existing.iter().copied().filter(|number| *number < current).max();
    let Some(goal) = number.or(before) else {
        return Err(Error::NoGeneration { number: current.saturating_sub(1), existing });
    };
    store.switch(&profile, goal)
}

/// Forgets all generations but the newest `keep` and the current one, where a number is given;
/// then removes what no generation needs. Gives how many were forgotten.
///
/// # Errors
/// A generation that cannot be read; file errors.
pub fn collect(
    home: &Home,
    keep: Option<usize>,
    progress: &dyn Progress,
) -> Result<(usize, Swept)> {
    let store = lock(home, progress)?;
    let profile = Profile::of(home, DEFAULT_PROFILE);
    let current = profile.current_number()?;
    let mut old = Vec::new();
    if let Some(keep) = keep {
        let numbers = profile.numbers()?;
        old.extend(numbers.iter().rev().skip(keep).copied().filter(|one| Some(*one) != current));
    }
    for number in &old {
        store.forget(&profile, *number)?;
    }
    Ok((old.len(), store.sweep(&[profile])?))
}

fn lock(home: &Home, progress: &dyn Progress) -> Result<Store> {
    Store::lock(home, || progress.note("Waiting for another mpkg that changes this home folder"))
}
