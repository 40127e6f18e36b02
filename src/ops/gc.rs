//! `mpkg gc`: removes what no generation needs, and clears the cache.

use super::generations::lock;
use super::install::Purpose;
use crate::progress::Progress;
use crate::store::{CacheLimits, CacheSweep, Home, Result, Sweep};

/// What is to go.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many of the newest generations of each profile stay, where not all do.
    pub keep: Option<usize>,
    /// What of the cache stays, where it is cleared.
    pub cache: Option<CacheLimits>,
    /// Whether anything is removed.
    pub purpose: Purpose,
}

/// What went, or would go.
#[derive(Debug, Clone)]
pub struct Collected {
    /// Of the store.
    pub store: Sweep,
    /// Of the cache, where it was to be cleared.
    pub cache: Option<CacheSweep>,
}

/// Finds what nothing needs and removes it, unless it is only looked at.
///
/// # Errors
/// A generation that cannot be read stops it before it removes anything;
/// [`crate::store::Error::CacheInUse`], after the store was swept; file errors.
pub fn collect(home: &Home, options: &Options, progress: &dyn Progress) -> Result<Collected> {
    if options.purpose == Purpose::Look {
        let cache = options.cache.map(|limits| CacheSweep::plan(home, limits)).transpose()?;
        return Ok(Collected { store: Sweep::plan(home, options.keep)?, cache });
    }
    let store = lock(home, progress)?;
    let sweep = Sweep::plan(home, options.keep)?;
    store.sweep(&sweep)?;
    let cache = options.cache.map(|limits| store.clear_cache(limits)).transpose()?;
    Ok(Collected { store: sweep, cache })
}
