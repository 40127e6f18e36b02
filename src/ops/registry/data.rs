//! `mpkg registry mirror-data`: the data of source packages, stored in the registry by digest.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::wheels;
use crate::archive::Package;
use crate::build::data::{ByDigest, Fetcher};
use crate::build::tree::SourceTree;
use crate::explain::Explain;
use crate::fs;
use crate::net::{Address, Client};
use crate::package::{Digest, PackageName, PackageType};
use crate::progress::Progress;
use crate::registry::operator::{Error, Repository, Result, add_blobs, add_list};
use crate::registry::{self, Selection, layout};

/// The longest lock file of wheels that is read.
const LONGEST_LOCK: u64 = 64 << 20;

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// How many source packages were looked at.
    pub sources: usize,
    /// How many files of data they need.
    pub files: usize,
    /// How many of these were not in the registry before.
    pub added: usize,
    /// The bytes of those.
    pub bytes: u64,
    /// How many wheels their environments have on this machine.
    pub wheels: usize,
}

/// The places where registries keep files by their digests.
#[must_use]
pub fn by_digest(registries: &Selection) -> Arc<ByDigest> {
    let locations = registries.sources.iter().filter_map(|one| one.location.parse().ok());
    let addresses: Vec<Address> = locations.collect();
    Arc::new(move |digest| {
        addresses.iter().map(|address| address.join(&layout::blob(digest))).collect()
    })
}

/// A source package, unpacked for as long as this lives.
pub(super) struct Opened {
    tree: SourceTree,
    _folder: tempfile::TempDir,
}

impl Opened {
    pub(super) fn of(path: &Path, work: &Path, progress: &dyn Progress) -> Result<Self> {
        let label = path.display().to_string();
        let package = Package::open(path).map_err(|error| failed(&label, error))?;
        fs::create_folder(work)?;
        let folder = tempfile::Builder::new()
            .prefix("source-")
            .tempdir_in(work)
            .map_err(fs::Error::at("create a folder in", work))?;
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        package.extract(folder.path(), threads, progress).map_err(|error| failed(&label, error))?;
        let tree = SourceTree::open(folder.path()).map_err(|error| failed(&label, error))?;
        Ok(Self { tree, _folder: folder })
    }

    /// The files of data that it needs.
    pub(super) fn files(&self, client: &Client) -> Result<Vec<(Digest, u64)>> {
        let fetcher = Fetcher::new(self.tree.root(), client);
        fetcher.files(&self.tree.manifest().data).map_err(|error| failed(&self.name(), error))
    }

    fn name(&self) -> String {
        let package = &self.tree.manifest().package;
        format!("{} {}", package.name, package.version)
    }

    /// Stores the wheels of its environment, as this machine has it, and their list.
    fn store_wheels(
        &self,
        folder: &Path,
        search_path: &[PathBuf],
        client: &Client,
        progress: &dyn Progress,
    ) -> Result<usize> {
        let found = wheels::of_tree(&self.tree, search_path, client, progress);
        let Some((lock, found)) = found.map_err(|error| failed(&self.name(), error))? else {
            return Ok(0);
        };
        let known = wheels::kept(&Address::Path(folder.to_owned()), lock, client);
        let list = wheels::list_with(known.map_err(registry::Error::from)?, &found);
        let blobs: Vec<_> = found.iter().map(|(one, path)| (one.sha256, path.clone())).collect();
        add_blobs(folder, &blobs, progress)?;
        add_list(folder, &layout::wheels(lock), &list, progress)?;
        Ok(found.len())
    }

    /// The digest of its environment's lock file, where it has one.
    pub(super) fn wheels_lock(&self) -> Result<Option<Digest>> {
        let Some(lock) = &self.tree.manifest().environment.lock else { return Ok(None) };
        let path = self.tree.root().join(lock.as_str());
        Ok(Some(Digest::of(&fs::read(&path, LONGEST_LOCK)?)))
    }

    /// Brings all of its data into the cache.
    fn fetch(&self, client: &Client, progress: &dyn Progress) -> Result<()> {
        let fetcher = Fetcher::new(self.tree.root(), client);
        let fetched = fetcher.fetch(&self.tree.manifest().data, progress);
        fetched.map(|_| ()).map_err(|error| failed(&self.name(), error))
    }
}

fn failed(package: &str, error: impl Explain) -> Error {
    let kind = error.kind();
    Error::Data { package: package.to_owned(), kind, source: Box::new(error) }
}

/// Stores the data of the source packages called `names`, or of all, in the registry in `folder`,
/// by digest. It is fetched from the addresses that the packages name.
///
/// # Errors
/// Data that cannot be had; what is wrong with the registry.
pub fn mirror_data(
    folder: &Path,
    names: &[PackageName],
    search_path: &[PathBuf],
    client: &Client,
    progress: &dyn Progress,
) -> Result<Stored> {
    let mut repository = Repository::open(&Address::Path(folder.to_owned()), client)?;
    let names: BTreeSet<PackageName> = match names {
        [] => repository.every_name()?,
        names => names.iter().cloned().collect(),
    };
    let work = client.cache().root().join("mirroring");
    let mut stored = Stored::default();
    for name in names {
        let index = repository.name(&name)?;
        let Some(index) = index else {
            return Err(Error::NoSuch { what: format!("package {name}"), known: Vec::new() });
        };
        for entry in &index.releases {
            let (PackageType::Source, Some(stock)) = (entry.package_type, entry.stock()) else {
                continue;
            };
            let path = folder.join(layout::blob(stock.sha256));
            let source = Opened::of(&path, &work, progress)?;
            let files = source.files(client)?;
            stored.sources += 1;
            stored.wheels += source.store_wheels(folder, search_path, client, progress)?;
            stored.files += files.len();
            let lacks = |(digest, _): &(Digest, u64)| !folder.join(layout::blob(*digest)).is_file();
            let missing: Vec<(Digest, u64)> = files.into_iter().filter(lacks).collect();
            if missing.is_empty() {
                continue;
            }
            source.fetch(client, progress)?;
            let mut blobs = Vec::new();
            for (digest, size) in missing {
                if let Some(path) = client.cache().get(digest, size)? {
                    blobs.push((digest, path));
                    stored.bytes += size;
                }
            }
            stored.added += add_blobs(folder, &blobs, progress)?;
        }
    }
    Ok(stored)
}
