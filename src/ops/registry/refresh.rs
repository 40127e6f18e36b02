//! `mpkg registry refresh`: signs anew what would expire.

use std::path::Path;

use super::{KeysOf, PassphraseSource};
use crate::net::Client;
use crate::progress::Progress;
use crate::registry::operator::{self, Refreshed, Result, Signing};
use crate::store::Home;

/// Signs a new timestamp for the registry in `folder`, and what else is near its end.
///
/// # Errors
/// Those of [`operator::refresh`].
pub fn refresh(
    home: &Home,
    folder: &Path,
    passphrases: &PassphraseSource<'_>,
    now: jiff::Timestamp,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Refreshed> {
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    operator::refresh(folder, &Signing { keys: &source, now }, client, progress)
}
