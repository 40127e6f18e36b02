//! `mpkg publish`: adds packages with their signatures to a registry.

use std::path::PathBuf;

use super::catalogue::Result;
use super::key;
use crate::crypto::KeyName;
use crate::net::{Address, Client};
use crate::progress::Progress;
use crate::registry::{self, NewRegistry, PublishOptions, Published, Writing};
use crate::store::Home;

/// How to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// The package files.
    pub files: Vec<PathBuf>,
    /// The registry's folder.
    pub registry: String,
    /// The key that becomes the publisher of a new name; without it whichever of this machine's
    /// keys signed the package.
    pub key: Option<KeyName>,
    /// Whether a registry may be begun.
    pub new: NewRegistry,
    /// Whether anything is written.
    pub writing: Writing,
    /// When.
    pub now: jiff::Timestamp,
}

/// Publishes.
///
/// # Errors
/// [`registry::Error::NotAFolder`], and whatever is wrong with a package or the registry; then
/// nothing of any package is listed.
pub fn publish(
    home: &Home,
    options: &Options,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Published>> {
    let folder = match options.registry.parse().map_err(registry::Error::from)? {
        Address::Path(path) => path,
        Address::Http(_) => {
            let location = options.registry.clone();
            return Err(registry::Error::NotAFolder { location }.into());
        }
    };
    let keys = match &options.key {
        Some(name) => vec![key::find(home, name)?],
        None => key::list(home)?,
    };
    let known_keys: Vec<_> = keys.into_iter().map(|key| key.public).collect();
    let how = PublishOptions {
        known_keys: &known_keys,
        new: options.new,
        writing: options.writing,
        now: options.now,
    };
    Ok(registry::publish(&folder, &options.files, &how, client, progress)?)
}
