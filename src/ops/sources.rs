//! `mpkg registry add` and `remove`: which registries this machine asks, and why it believes them.

use std::path::Path;

use crate::explain::Explain;
use crate::fs;
use crate::net::{self, Address, Client};
use crate::package::RegistryName;
use crate::progress::Progress;
use crate::registry::tuf::Clock;
use crate::registry::{self, Anchor, FirstRoot, FirstSight, Source, Sources, SourcesError};
use crate::store::Home;

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can fail when a registry is added or forgotten.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not take it.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The registry is not believed, or cannot be read.
    #[error(transparent)]
    Registry(Box<registry::Error>),
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::Sources(error.into())
    }
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        registry::Error::from(error).into()
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sources(error) => error.kind(),
            Self::Registry(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Sources(error) => error.hint(),
            Self::Registry(error) => error.hint(),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Sources(error) => error.rendered(),
            Self::Registry(_) => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Sources(error) => error.details(),
            Self::Registry(_) => None,
        }
    }
}

/// A registry that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// As it is configured.
    pub source: Source,
    /// What its trust begins with.
    pub sight: FirstSight,
}

/// Begins to trust a registry, and configures it. One that is configured already and not trusted
/// stays configured as it is.
///
/// # Errors
/// A name, location or pin that is taken; a registry that is not believed. Then nothing changes.
pub fn add(
    home: &Home,
    source: Source,
    first: &FirstRoot,
    clock: Clock,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Added> {
    let _lock = lock(home, progress)?;
    let source = Source { location: absolute(&source.location)?, ..source };
    let address: Address = source.location.parse()?;
    let mut sources = Sources::read(home.root())?;
    let known = sources.find(&source.location).filter(|known| is_same(known, &source)).cloned();
    let anchor = |name: &RegistryName| Anchor::of(&home.trust(), name);
    let known = known.filter(|one| one.name.as_ref().is_some_and(|name| !anchor(name).is_set()));
    let name = match known.as_ref().and_then(|known| known.name.clone()) {
        Some(name) => name,
        None => sources.check(&source)?,
    };
    let sight = anchor(&name)
        .set(&address, first, client, clock)
        .map_err(|error| registry::Error::metadata(&address, error))?;
    if let Some(source) = known {
        return Ok(Added { source, sight });
    }
    let source = Source { name: Some(name), ..source };
    sources.add(source.clone())?;
    Ok(Added { source, sight })
}

/// Trusts and configures a registry that was made on this machine just now, whose first root has
/// these bytes. One that was configured for the same folder is taken for the new one.
///
/// # Errors
/// A registry that is not believed, and file errors.
pub fn trust_own(
    home: &Home,
    folder: &Path,
    root: Vec<u8>,
    clock: Clock,
    client: &Client,
    progress: &dyn Progress,
) -> Result<RegistryName> {
    let _lock = lock(home, progress)?;
    let mut source = Source::unnamed(&absolute(&folder.to_string_lossy())?);
    let address: Address = source.location.parse()?;
    let mut sources = Sources::read(home.root())?;
    let known = sources.find(&source.location).and_then(|known| known.name.clone());
    let name = match &known {
        Some(name) => name.clone(),
        None => free_name(&sources, &source)?,
    };
    Anchor::of(&home.trust(), &name)
        .set(&address, &FirstRoot::Bytes(root), client, clock)
        .map_err(|error| registry::Error::metadata(&address, error))?;
    if known.is_none() {
        source.name = Some(name.clone());
        sources.add(source)?;
    }
    Ok(name)
}

/// Whether the registry in `folder` is configured, and some root of it is trusted.
///
/// # Errors
/// A configuration that cannot be read.
pub fn trusts_folder(home: &Home, folder: &Path) -> Result<bool> {
    let folder = folder.canonicalize().map_err(fs::Error::at("find", folder))?;
    let sources = Sources::read(home.root())?;
    let known = sources.find(&folder.to_string_lossy()).and_then(|known| known.name.as_ref());
    Ok(known.is_some_and(|name| Anchor::of(&home.trust(), name).is_set()))
}

/// The name that is made of a source's location, with a number where that is taken.
fn free_name(sources: &Sources, source: &Source) -> Result<RegistryName> {
    let taken = match sources.check(source) {
        Err(SourcesError::NameTaken { name, .. }) => name,
        Err(SourcesError::Nameless { .. }) => "registry".parse().expect("it is a name"),
        other => return Ok(other?),
    };
    let start: String = taken.as_str().chars().take(50).collect();
    let mut names = (2_u32..).map_while(|number| format!("{start}-{number}").parse().ok());
    let free = names.find(|name: &RegistryName| sources.find(name.as_str()).is_none());
    Ok(free.unwrap_or(taken))
}

/// Whether `new` asks for nothing else than what is configured as `known`.
fn is_same(known: &Source, new: &Source) -> bool {
    (new.name.is_none() || new.name == known.name)
        && (new.priority == 0 || new.priority == known.priority)
        && new.pins.is_subset(&known.pins)
}

/// A folder by its absolute path; an address as it is.
fn absolute(location: &str) -> Result<String> {
    match location.parse()? {
        Address::Path(path) => {
            let path = std::path::absolute(&path).map_err(fs::Error::at("find", &path))?;
            Ok(path.to_string_lossy().into_owned())
        }
        Address::Http(_) => Ok(location.to_owned()),
    }
}

/// Forgets the registry that is configured as `name`, and trusts it no more. What is installed
/// from it stays.
///
/// # Errors
/// [`SourcesError::Unknown`]; file errors.
pub fn remove(home: &Home, name: &str, progress: &dyn Progress) -> Result<Source> {
    let _lock = lock(home, progress)?;
    let gone = Sources::read(home.root())?.remove(name)?;
    if let Some(name) = &gone.name {
        Anchor::of(&home.trust(), name).remove()?;
    }
    Ok(gone)
}

fn lock(home: &Home, progress: &dyn Progress) -> fs::Result<fs::Lock> {
    fs::Lock::acquire(&home.lock(), || {
        progress.note("Waiting for another mpkg that changes this home folder");
    })
}
