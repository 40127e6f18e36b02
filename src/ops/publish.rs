//! `mpkg publish`: adds packages with their signatures to a registry.

use std::path::{Path, PathBuf};

use super::registry::{KeysOf, PassphraseSource, folder_of, init};
use super::{checkpoints, key};
use crate::crypto::KeyName;
use crate::net::Client;
use crate::package::Digest;
use crate::progress::Progress;
use crate::registry::layout;
use crate::registry::operator::{
    self, Advised, Attested, PublishOptions, Published, Result, Signing, Writing,
};
use crate::store::Home;

/// Whether a registry may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    /// The folder must be a registry.
    Refuse,
    /// An empty or missing folder becomes one, as `mpkg registry init` makes it.
    Create,
}

/// How to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// The package files.
    pub files: Vec<PathBuf>,
    /// Files with signed statements about packages that are published, or are among the files.
    pub attestations: Vec<PathBuf>,
    /// Files of advisories and statements about them, each with its signatures beside it.
    pub advisories: Vec<PathBuf>,
    /// The registry's folder.
    pub registry: String,
    /// The key that becomes the publisher of a new name; without it whichever of this machine's
    /// keys signed the package.
    pub key: Option<KeyName>,
    /// Whether a registry may be begun.
    pub new: New,
    /// Whether anything is written.
    pub writing: Writing,
    /// When.
    pub now: jiff::Timestamp,
    /// The time at which this machine begins to trust a registry that is begun.
    pub clock: jiff::Timestamp,
}

/// What was published, and where.
#[derive(Debug)]
pub struct Report {
    /// The packages.
    pub packages: Vec<Published>,
    /// How many checkpoints were stored that were not in the registry before.
    pub checkpoints: usize,
    /// The statements about packages.
    pub attested: Vec<Attested>,
    /// The advisories and statements about them.
    pub advised: Vec<Advised>,
    /// The registry, where it was begun by this.
    pub created: Option<init::Made>,
}

/// Publishes.
///
/// # Errors
/// [`crate::registry::Error::NotAFolder`], and whatever is wrong with a package or the registry;
/// then nothing of any package is listed.
pub fn publish(
    home: &Home,
    options: &Options,
    passphrases: &PassphraseSource<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Report> {
    let folder = folder_of(&options.registry)?;
    let keys = match &options.key {
        Some(name) => vec![key::find(home, name)?],
        None => key::list(home)?,
    };
    let known_keys: Vec<_> = keys.into_iter().map(|key| key.public).collect();
    let ring = KeysOf::new(home, passphrases)?;
    let source = ring.source();
    let how = PublishOptions {
        known_keys: &known_keys,
        writing: options.writing,
        signing: Signing { keys: &source, now: options.now },
    };
    // What lies beside the packages is looked at before anything is written.
    let kept = checkpoints::beside(&options.files)?;
    let is_new = options.new == New::Create && !folder.join(layout::MARKER).exists();
    if !is_new {
        let packages = operator::publish(&folder, &options.files, &how, client, progress)?;
        let checkpoints = store(&folder, &kept, options, progress)?;
        let attested = attest(&folder, options, &how.signing, client, progress)?;
        let advised = advise(&folder, options, &how, client, progress)?;
        return Ok(Report { packages, checkpoints, attested, advised, created: None });
    }
    // What cannot be published is no reason to begin a registry.
    let packages = operator::publish_into_nothing(&options.files, &how, progress)?;
    if options.writing == Writing::DryRun {
        let (attested, advised) = Default::default();
        return Ok(Report { packages, checkpoints: 0, attested, advised, created: None });
    }
    let times = (options.now, options.clock);
    let created = init::with_defaults(home, &folder, passphrases, times, client, progress)?;
    // The registry's keys may be new.
    let ring = KeysOf::new(home, passphrases)?;
    let source = ring.source();
    let signing = Signing { keys: &source, now: options.now };
    let how = PublishOptions { signing, ..how };
    let packages = operator::publish(&folder, &options.files, &how, client, progress)?;
    let checkpoints = store(&folder, &kept, options, progress)?;
    let attested = attest(&folder, options, &how.signing, client, progress)?;
    let advised = advise(&folder, options, &how, client, progress)?;
    Ok(Report { packages, checkpoints, attested, advised, created: Some(created) })
}

/// Stores checkpoints by their digests, which the build records of the packages name; says how
/// many were new.
fn store(
    folder: &Path,
    kept: &[(Digest, PathBuf)],
    options: &Options,
    progress: &dyn Progress,
) -> Result<usize> {
    match (kept, options.writing) {
        ([], _) | (_, Writing::DryRun) => Ok(0),
        (kept, Writing::Really) => operator::add_blobs(folder, kept, progress),
    }
}

fn advise(
    folder: &Path,
    options: &Options,
    how: &PublishOptions<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Advised>> {
    let (writing, signing) = (options.writing, &how.signing);
    match options.advisories.as_slice() {
        [] => Ok(Vec::new()),
        files => {
            operator::advise(folder, files, how.known_keys, writing, signing, client, progress)
        }
    }
}

fn attest(
    folder: &Path,
    options: &Options,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Attested>> {
    match options.attestations.as_slice() {
        [] => Ok(Vec::new()),
        files => operator::attest(folder, files, options.writing, signing, client, progress),
    }
}
