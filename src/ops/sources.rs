//! `mpkg registry add` and `remove`: which registries this machine asks.

use crate::fs;
use crate::progress::Progress;
use crate::registry::{Source, Sources, SourcesError};
use crate::store::Home;

/// Forgets the registry that is configured as `name`. What is installed from it stays.
///
/// # Errors
/// [`SourcesError::Unknown`]; file errors.
pub fn remove(home: &Home, name: &str, progress: &dyn Progress) -> Result<Source, SourcesError> {
    let _lock = lock(home, progress)?;
    Sources::read(home.root())?.remove(name)
}

fn lock(home: &Home, progress: &dyn Progress) -> fs::Result<fs::Lock> {
    fs::Lock::acquire(&home.lock(), || {
        progress.note("Waiting for another mpkg that changes this home folder");
    })
}
