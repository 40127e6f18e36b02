//! `mpkg registry init`: makes a registry, for one person or for many.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::{KeysOf, PassphraseSource};
use crate::crypto::{KeyName, PublicKey};
use crate::fs;
use crate::net::{Address, Client};
use crate::ops::{key, sources};
use crate::package::{Digest, RegistryName};
use crate::progress::Progress;
use crate::registry::layout;
use crate::registry::operator::{
    Created, Error, Lifetimes, Missing, NewRegistry, Repository, Result, RoleKeys, Signing, create,
};
use crate::registry::tuf::Clock;
use crate::store::Home;

/// How many bits number the bins of a registry that nobody chose otherwise for: 16 bins.
pub const BIN_BITS: u8 = 4;

/// How to make a registry.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder, empty or missing.
    pub folder: PathBuf,
    /// Keys of the root role; this machine's key NAME-root where there are none.
    pub root: Wanted,
    /// Keys of the targets role; those of the root role where there are none.
    pub targets: Wanted,
    /// Keys of bins and snapshots; this machine's key NAME-online where there are none.
    pub online: Wanted,
    /// Keys of timestamps; those of snapshots where there are none.
    pub timestamp: Wanted,
    /// How many bits number the bins.
    pub bin_bits: u8,
    /// For how long each document is good.
    pub lifetimes: Lifetimes,
    /// Where the draft goes if signatures of other machines are needed.
    pub out: Option<PathBuf>,
    /// When.
    pub now: jiff::Timestamp,
    /// The time at which this machine begins to trust the registry.
    pub clock: jiff::Timestamp,
}

/// Keys that were named for a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of keys, or files with public keys.
    pub keys: Vec<String>,
    /// How many of them must sign; one where it is not said.
    pub threshold: Option<NonZeroU32>,
}

/// A registry that was made, or its draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Made(Made),
    /// Others must sign the draft first.
    Drafted {
        /// The draft.
        file: PathBuf,
        /// Whose signatures are missing.
        missing: Vec<Missing>,
    },
}

/// A registry that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is called in this machine's configuration.
    pub name: RegistryName,
    /// The digest by which others add it.
    pub root_sha256: Digest,
    /// The keys that were made for it on this machine.
    pub new_keys: Vec<String>,
}

/// Makes a registry with the usual settings.
///
/// # Errors
/// Those of [`init`].
pub fn with_defaults(
    home: &Home,
    folder: &Path,
    passphrases: &PassphraseSource<'_>,
    times: (jiff::Timestamp, jiff::Timestamp),
    client: &Client,
    progress: &dyn Progress,
) -> Result<Made> {
    let (now, clock) = times;
    let options = Options {
        folder: folder.to_owned(),
        root: Wanted::default(),
        targets: Wanted::default(),
        online: Wanted::default(),
        timestamp: Wanted::default(),
        bin_bits: BIN_BITS,
        lifetimes: Lifetimes::default(),
        out: None,
        now,
        clock,
    };
    match init(home, &options, passphrases, client, progress)? {
        Outcome::Made(made) => Ok(made),
        Outcome::Drafted { .. } => unreachable!("one key signs for everything"),
    }
}

/// Makes a registry. Keys that nobody named are made in the home folder. One that a run which was
/// cut off made, and that this machine does not trust yet, is trusted now. Where the keys of this
/// machine are not enough to sign for the offline roles, a draft for the others is written.
///
/// # Errors
/// [`Error::Exists`], [`Error::Role`], and keys and files that cannot be used.
pub fn init(
    home: &Home,
    options: &Options,
    passphrases: &PassphraseSource<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Outcome> {
    if options.folder.join(layout::MARKER).exists() {
        return finish(home, options, client, progress).map(Outcome::Made);
    }
    let mut new_keys = Vec::new();
    let new = wanted(home, options, &mut |name| {
        let key = key::new(home, name, None)?;
        new_keys.push(key.name);
        Ok(key.public)
    })?;
    let keys = KeysOf::new(home, passphrases)?;
    let source = keys.source();
    let signing = Signing { keys: &source, now: options.now };
    let draft = new.draft(&signing)?;
    let missing = draft.missing()?;
    if let Some(file) = &options.out.clone().filter(|_| !missing.is_empty()) {
        draft.write(file)?;
        return Ok(Outcome::Drafted { file: file.clone(), missing });
    }
    draft.demand_signed_here()?;
    let created = create(&options.folder, &draft, &signing, progress)?;
    let clock = options.now.min(options.clock);
    made(home, &options.folder, created, clock, client, progress)
        .map(|made| Outcome::Made(Made { new_keys, ..made }))
}

/// Who is to sign for what. A key that is missing is asked of `make` by its name.
fn wanted(
    home: &Home,
    options: &Options,
    make: &mut dyn FnMut(&KeyName) -> Result<PublicKey>,
) -> Result<NewRegistry> {
    let mut role = |wanted: &Wanted, usual: Usual<'_>| -> Result<RoleKeys> {
        let keys = match usual {
            Usual::Own(suffix) if wanted.keys.is_empty() => {
                vec![own_key(home, &options.folder, suffix, make)?]
            }
            Usual::As(role) if wanted.keys.is_empty() => {
                let threshold = wanted.threshold.unwrap_or(role.threshold);
                return Ok(RoleKeys { keys: role.keys.clone(), threshold });
            }
            _ => wanted
                .keys
                .iter()
                .map(|text| key::public(home, text))
                .collect::<crate::crypto::Result<_>>()?,
        };
        Ok(RoleKeys { keys, threshold: wanted.threshold.unwrap_or(NonZeroU32::MIN) })
    };
    let root = role(&options.root, Usual::Own("root"))?;
    let targets = role(&options.targets, Usual::As(&root))?;
    let online = role(&options.online, Usual::Own("online"))?;
    let timestamp = role(&options.timestamp, Usual::As(&online))?;
    Ok(NewRegistry {
        root,
        targets,
        bins: online.clone(),
        snapshot: online,
        timestamp,
        bin_bits: options.bin_bits,
        lifetimes: options.lifetimes,
    })
}

/// Ends what a run that was cut off began: the registry that it made is there, and this machine
/// does not trust it yet.
fn finish(
    home: &Home,
    options: &Options,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Made> {
    let exists = || Error::Exists { path: options.folder.clone() };
    if sources::trusts_folder(home, &options.folder).map_err(not_trusted)? {
        return Err(exists());
    }
    let new = wanted(home, options, &mut |_| Err(exists()))?;
    let repository = Repository::open(&Address::Path(options.folder.clone()), client)?;
    if !new.is_the_beginning_of(&repository)? {
        return Err(exists());
    }
    let root = repository.root_bytes().to_vec();
    let created = Created { root_sha256: Digest::of(&root), root };
    let clock = options.now.min(options.clock);
    made(home, &options.folder, created, clock, client, progress)
}

fn not_trusted(error: sources::Error) -> Error {
    match error {
        sources::Error::Sources(error) => Error::from(error),
        sources::Error::Registry(error) => Error::Registry(error),
    }
}

/// What was made, trusted by this machine from now on.
pub(super) fn made(
    home: &Home,
    folder: &Path,
    created: Created,
    clock: jiff::Timestamp,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Made> {
    let clock = Clock::strict(clock);
    let folder = folder.canonicalize().map_err(fs::Error::at("find", folder))?;
    let name = sources::trust_own(home, &folder, created.root, clock, client, progress);
    let name = name.map_err(not_trusted)?;
    Ok(Made { folder, name, root_sha256: created.root_sha256, new_keys: Vec::new() })
}

/// The keys of a role that nobody named any for.
enum Usual<'a> {
    /// One of this machine, named after the registry.
    Own(&'static str),
    /// Those of another role.
    As(&'a RoleKeys),
}

/// This machine's key for a registry, made where it is not there yet.
fn own_key(
    home: &Home,
    folder: &Path,
    suffix: &str,
    make: &mut dyn FnMut(&KeyName) -> Result<PublicKey>,
) -> Result<PublicKey> {
    let name = key_name(folder, suffix)?;
    match key::own(home).find(&name) {
        Ok(key) => Ok(key.public),
        Err(crate::crypto::Error::NoSuchKey { .. }) => make(&name),
        Err(error) => Err(error.into()),
    }
}

/// The registry's folder as the beginning of a key's name.
fn key_name(folder: &Path, suffix: &str) -> Result<KeyName> {
    let path = std::path::absolute(folder).map_err(fs::Error::at("find", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut start: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(50)
        .collect();
    start = start.trim_matches(['-', '_']).to_owned();
    if start.is_empty() {
        "registry".clone_into(&mut start);
    }
    Ok(format!("{start}-{suffix}").parse()?)
}
