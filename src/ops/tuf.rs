//! The client of The Update Framework alone, on any repository: what `mpkg tuf` does.

use std::path::{Path, PathBuf};

use crate::explain::Explain;
use crate::fs;
use crate::net::{self, Address};
use crate::registry::tuf::{self, Clock, NetOrigin, Reach, Result, Shelf, View};

/// Where a repository is, and what is known of it here.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The folder of trusted metadata.
    pub metadata: PathBuf,
    /// The address of the repository's metadata.
    pub address: Address,
    /// When this run began.
    pub now: jiff::Timestamp,
}

/// Targets to be fetched.
#[derive(Debug, Clone)]
pub struct Download {
    /// The address of the repository's targets.
    pub address: Address,
    /// The paths of the targets.
    pub names: Vec<String>,
    /// The folder to which they go.
    pub folder: PathBuf,
}

/// What can fail beside the metadata.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The metadata is not believed, or cannot be had.
    #[error(transparent)]
    Metadata(#[from] tuf::Error),
    /// No role vouches for a target.
    #[error("no role vouches for the target {}", crate::explain::printable(.0))]
    NoTarget(String),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Metadata(error) => error.kind(),
            Self::NoTarget(_) => "no-such-target",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Metadata(error) => error.hint(),
            Self::NoTarget(_) => None,
        }
    }
}

/// The longest root file that is read.
const LARGEST_ROOT: u64 = 512 << 10;

/// Begins to trust the root in the file `root`.
///
/// # Errors
/// A file that is no root, or is not signed as it says itself.
pub fn init(root: &Path, metadata: &Path) -> Result<()> {
    let bytes = fs::read_to_string(root, LARGEST_ROOT)?;
    tuf::check_root(bytes.as_bytes())?;
    Shelf::at(metadata).write("root", bytes.as_bytes())
}

/// Brings the trusted metadata up to date.
///
/// # Errors
/// The reason why something is not believed, and what cannot be fetched.
pub fn refresh(repository: &Repository, client: &net::Client) -> Result<()> {
    let address = &repository.address;
    let origin = NetOrigin::new(client, address.clone(), address.clone());
    with_view(repository, origin, client, |_| Ok(()))
}

/// Brings the trusted metadata up to date, and fetches targets. One that is there with the right
/// hashes is left. Gives the files, in the order of the names.
///
/// # Errors
/// As [`refresh`], and a target that no role vouches for.
pub fn download(
    repository: &Repository,
    download: &Download,
    client: &net::Client,
) -> Result<Vec<PathBuf>, Error> {
    let origin = NetOrigin::new(client, repository.address.clone(), download.address.clone());
    with_view(repository, origin, client, |view| {
        let fetched = download.names.iter().map(|name| {
            let file = view.find(name)?.ok_or_else(|| Error::NoTarget(name.clone()))?;
            view.fetch(name, &file, Some(&download.folder))?;
            Ok(tuf::copy_place(&download.folder, name)?)
        });
        fetched.collect()
    })
}

fn with_view<T, E: From<tuf::Error>>(
    repository: &Repository,
    origin: NetOrigin<'_>,
    client: &net::Client,
    then: impl FnOnce(&View<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let shelf = Shelf::at(&repository.metadata);
    let reach = Reach::of(&repository.address, client);
    then(&View::refresh(origin, &shelf, Clock::strict(repository.now), reach)?)
}
