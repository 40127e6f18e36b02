//! `mpkg registry mirror`: copies a registry, or what is needed of it, with its chain of trust.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::data::Opened;
use super::wheels;
use crate::explain::Explain;
use crate::net::{Address, Client};
use crate::ops::{catalogue, checkpoints, install};
use crate::package::{Digest, PackageName};
use crate::progress::Progress;
use crate::registry::operator::{
    self, Extent, KeptList, Mirrored, Part, Repository, Supply, bundle, mirror as copy,
};
use crate::registry::{self, Anchor, NameIndex, Selection, layout, tuf};
use crate::resolve::{Request, Wish};
use crate::store::Home;

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can fail in copying a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry is not believed, or what is asked for is not in it.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// Something cannot be read or written.
    #[error(transparent)]
    Operator(#[from] operator::Error),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Catalogue(error) => error.kind(),
            Self::Operator(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalogue(error) => error.hint(),
            Self::Operator(error) => error.hint(),
        }
    }
}

/// What a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder.
    Folder,
    /// One file.
    Bundle,
}

/// What is copied where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The registry, which must be the only one of this selection.
    pub from: Selection,
    /// The folder or file.
    pub to: PathBuf,
    /// What is wished for; without wishes the whole registry is copied.
    pub wishes: Vec<Wish>,
    /// What the copy is.
    pub form: Form,
}

/// Copies a registry, its metadata byte for byte, so that the copy is believed for the same
/// reasons. With wishes the copy has what `mpkg install` would take for each of them, the source
/// packages of that, and what these need to be built.
///
/// # Errors
/// Registries that are not believed, wishes that cannot be met, and files that cannot be written.
pub fn mirror(
    home: &Home,
    options: &Options,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Mirrored> {
    // The registry is believed by this machine's own trust before anything is copied.
    let trust = install::trust(home)?;
    let catalogue = catalogue::Catalogue::open(&options.from, Vec::new(), trust, client)?;
    let [source] = options.from.sources.as_slice() else {
        return Err(catalogue::Error::NoRegistry.into());
    };
    let address: Address = source.location.parse().map_err(operator::Error::from)?;
    let mut repository = Repository::open(&address, client)?;
    if let Some(name) = &source.name {
        demand_trusted(&Anchor::of(&home.trust(), name), &repository)?;
    }
    let extent = match options.wishes.as_slice() {
        [] => Extent::Whole,
        wishes => Extent::Part(part(catalogue, &mut repository, wishes)?),
    };
    let supply = Files { address: &address, client, progress };
    Ok(match options.form {
        Form::Folder => copy(&mut repository, &extent, &options.to, &supply, client, progress)?,
        Form::Bundle => bundle(&mut repository, &extent, &options.to, &supply, progress)?,
    })
}

/// Demands that the roots lead to the one that this machine trusts.
fn demand_trusted(anchor: &Anchor, repository: &Repository<'_>) -> Result<()> {
    let path = anchor.folder().join("root.json");
    let trusted = std::fs::read(&path).ok();
    if !anchor.is_set() || trusted.as_deref() == Some(repository.root_bytes()) {
        return Ok(());
    }
    let form = "its newest root is not the one that this machine trusts".to_owned();
    Err(operator::Error::Metadata {
        location: repository.location(),
        file: "root.json".to_owned(),
        source: tuf::Error::Form(form),
    }
    .into())
}

/// What the wishes need.
fn part(
    mut catalogue: catalogue::Catalogue<'_>,
    repository: &mut Repository<'_>,
    wishes: &[Wish],
) -> Result<Part> {
    let mut part = Part::default();
    let mut open: Vec<Wish> = wishes.to_vec();
    let mut names: BTreeSet<PackageName> = BTreeSet::new();
    while let Some(wish) = open.pop() {
        names.insert(wish.name.clone());
        let request = Request { wishes: vec![wish], ..Request::default() };
        for chosen in catalogue.solve(&request, &[])? {
            let name = chosen.candidate.release.name;
            let package = chosen.candidate.digest;
            names.insert(name.clone());
            let Some(index) = repository.name(&name)? else { continue };
            if part.packages.insert(package) {
                open.extend(needs_of_source(&index, package, &mut part.packages));
            }
        }
    }
    part.names = looked_up(repository, names)?;
    Ok(part)
}

/// Takes the source of a package along, and says what its build needs.
fn needs_of_source(
    index: &NameIndex,
    package: Digest,
    packages: &mut BTreeSet<Digest>,
) -> Vec<Wish> {
    let source = index.by_digest(package).and_then(|entry| index.by_digest(entry.source?));
    match source {
        Some(source) if packages.insert(source.package) => {
            source.dependencies.iter().chain(&source.build_dependencies).map(Wish::from).collect()
        }
        _ => Vec::new(),
    }
}

/// Every name that a resolver may look up on its way: those that any release of the names so far
/// speaks of, also where the registry has none of them.
fn looked_up(
    repository: &mut Repository<'_>,
    names: BTreeSet<PackageName>,
) -> Result<BTreeSet<PackageName>> {
    let mut open: Vec<PackageName> = names.iter().cloned().collect();
    let mut seen = names;
    while let Some(name) = open.pop() {
        let Some(index) = repository.name(&name)? else { continue };
        let mut spoken: Vec<PackageName> = index.providers.clone();
        for entry in &index.releases {
            let needs = entry.dependencies.iter().chain(&entry.build_dependencies);
            spoken.extend(needs.map(|need| need.name.clone()));
            spoken.extend(entry.provides.iter().chain(&entry.conflicts).cloned());
        }
        for name in spoken {
            if seen.insert(name.clone()) {
                open.push(name);
            }
        }
    }
    Ok(seen)
}

/// The files of the registry that is copied.
struct Files<'a> {
    address: &'a Address,
    client: &'a Client,
    progress: &'a dyn Progress,
}

impl Supply for Files<'_> {
    fn blob(&self, digest: Digest, size: u64, label: &str) -> operator::Result<PathBuf> {
        let address = self.address.join(&layout::blob(digest));
        if let Address::Path(path) = &address {
            // Its bytes are hashed as they are copied.
            return match path.is_file() {
                true => Ok(path.clone()),
                false => Err(crate::net::Error::NotThere { address }.into()),
            };
        }
        let addresses = [address];
        let request =
            crate::net::FetchRequest { label, addresses: &addresses, digest, size, give_up: None };
        Ok(self.client.fetch(&request, self.progress)?.path)
    }

    fn data(&self, path: &Path) -> operator::Result<Vec<(Digest, u64)>> {
        let work = self.client.cache().root().join("mirroring");
        let opened = Opened::of(path, &work, self.progress);
        let files = match opened.and_then(|source| source.files(self.client)) {
            Ok(files) => files,
            // The package itself is whole, and may be one that a later mpkg made.
            Err(error) => {
                self.progress.warn(&format!("Its data is not copied: {error}"));
                return Ok(Vec::new());
            }
        };
        self.had(files)
    }

    fn wheels(&self, path: &Path) -> operator::Result<Option<KeptList>> {
        let work = self.client.cache().root().join("mirroring");
        // What keeps it from being read was said of its data.
        let Ok(opened) = Opened::of(path, &work, self.progress) else { return Ok(None) };
        let Some(lock) = opened.wheels_lock()? else { return Ok(None) };
        let kept = wheels::kept(self.address, lock, self.client).map_err(registry::Error::from)?;
        let Some(kept) = kept else { return Ok(None) };
        let files = self.had(kept.wheels.iter().map(|one| (one.sha256, one.size)).collect())?;
        let bytes = wheels::list_with(Some(kept), &[]);
        Ok(Some(KeptList { place: layout::wheels(lock), bytes, files }))
    }

    fn checkpoints(&self, record: &[u8]) -> operator::Result<Vec<(Digest, u64)>> {
        self.had(checkpoints::named(record))
    }
}

impl Files<'_> {
    /// Those of `files` that the registry has.
    fn had(&self, mut files: Vec<(Digest, u64)>) -> operator::Result<Vec<(Digest, u64)>> {
        let mut failure = None;
        files.retain(|(digest, _)| {
            match self.client.probe(&self.address.join(&layout::blob(*digest))) {
                Ok(_) => true,
                Err(error) if error.is_not_there() => false,
                Err(error) => {
                    failure.get_or_insert(error);
                    false
                }
            }
        });
        match failure {
            Some(error) => Err(registry::Error::from(error).into()),
            None => Ok(files),
        }
    }
}
