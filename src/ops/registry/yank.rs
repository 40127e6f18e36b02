//! `mpkg registry yank`: withdraws a release, or takes that back.

use std::path::Path;

use super::{KeysOf, PassphraseSource};
use crate::net::Client;
use crate::package::Release;
use crate::progress::Progress;
use crate::registry::operator::{self, Result, Signing, Withdrawal};
use crate::store::Home;

/// Withdraws what `wish` names in the registry in `folder`; gives the releases that changed.
///
/// # Errors
/// Those of [`operator::yank`].
pub fn yank(
    home: &Home,
    folder: &Path,
    wish: &Withdrawal,
    passphrases: &PassphraseSource<'_>,
    now: jiff::Timestamp,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Release>> {
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    operator::yank(folder, wish, &Signing { keys: &source, now }, client, progress)
}
