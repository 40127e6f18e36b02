//! Several registries and package files as one: looks names up, solves, vouches and fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use rayon::prelude::*;

use super::local::LocalPackage;
use crate::archive::{self, Package};
use crate::crypto::{self, KeyId, PublicKey, Subject, verify_package};
use crate::explain::{Explain, nearest};
use crate::net::Client;
use crate::package::{Digest, InvalidLock, PackageName, PackageType, PackageVersion, RegistryName};
use crate::progress::Progress;
use crate::registry::{
    self, NameIndex, Publishers, Registry, ReleaseEntry, Remembered, Selection, Source,
};
use crate::resolve::{self, Candidate, Chosen, Listing, Request, Universe};
use crate::store::InstalledPackage;
use crate::{fs, store};

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can fail between a wish and a package file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A registry failed.
    #[error(transparent)]
    Registry(Box<registry::Error>),
    /// There is no answer.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A key file cannot be read.
    #[error(transparent)]
    Key(#[from] crypto::Error),
    /// A package file is not what it should be.
    #[error("{} is refused", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: archive::Error,
    },
    /// No registry is known.
    #[error("no registry is named")]
    NoRegistry,
    /// Nothing is called so.
    #[error("no package is called {name} in {}", listed(registries))]
    NoSuchPackage {
        /// What was asked for.
        name: PackageName,
        /// Where it was looked for.
        registries: Vec<String>,
        /// The nearest name there.
        nearest: Option<String>,
    },
    /// A name is pinned to a registry that is not asked.
    #[error("{name} is pinned to the registry {registry}, which is not asked")]
    PinnedElsewhere {
        /// The name.
        name: PackageName,
        /// The registry.
        registry: RegistryName,
    },
    /// A registry says something else about a package than the package itself.
    #[error("the registry {registry} says of {release} another {what} than the package itself")]
    Contradiction {
        /// The registry.
        registry: String,
        /// The package.
        release: String,
        /// What differs.
        what: &'static str,
    },
    /// A source package where a binary one is wanted.
    #[error("{} is a source package, which cannot be installed", path.display())]
    SourcePackage {
        /// The file.
        path: PathBuf,
    },
    /// What is installed is nowhere to be had.
    #[error("no registry that is named has {release} with package digest {package}")]
    Gone {
        /// The package.
        release: String,
        /// Its package digest.
        package: Digest,
    },
    /// A policy of this machine forbids it.
    #[error(transparent)]
    Forbidden(#[from] registry::Forbidden),
    /// A lock file cannot be read.
    #[error("{} is no lock file", path.display())]
    BadLock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidLock,
    },
    /// Something would come in that a lock file does not pin.
    #[error("{release} would be installed, and {} does not pin it", path.display())]
    NotPinned {
        /// The package.
        release: String,
        /// The lock file.
        path: PathBuf,
    },
    /// Others need what is to go.
    #[error("{name} is needed by {}", listed(by))]
    Needed {
        /// What is to go.
        name: PackageName,
        /// Who needs it.
        by: Vec<String>,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

fn listed(words: &[String]) -> String {
    words.join(", ")
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Resolve(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Forbidden(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Key(error) => error.kind(),
            Self::Package { source, .. } => source.kind(),
            Self::NoRegistry => "no-registry",
            Self::NoSuchPackage { .. } => "no-such-package",
            Self::PinnedElsewhere { .. } => "pinned-elsewhere",
            Self::Contradiction { .. } => "registry-contradicts-package",
            Self::SourcePackage { .. } => "source-package",
            Self::Gone { .. } => "gone",
            Self::Needed { .. } => "needed",
            Self::BadLock { .. } => "lock",
            Self::NotPinned { .. } => "locked",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Resolve(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Forbidden(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Package { source, .. } => source.hint(),
            Self::NoRegistry => Some(
                "name one with --registry URL|DIR or $MPKG_REGISTRY, or configure one".to_owned(),
            ),
            Self::NoSuchPackage { nearest: Some(name), .. } => {
                Some(format!("there is a package called {name}"))
            }
            Self::NoSuchPackage { .. } => Some("look for it with: mpkg search WORD".to_owned()),
            Self::PinnedElsewhere { registry, .. } => {
                Some(format!("ask it as well, with: --registry {registry}"))
            }
            Self::Contradiction { .. } => {
                Some("do not install it; tell the registry's operator".to_owned())
            }
            Self::SourcePackage { .. } => Some("build it with: mpkg build FILE".to_owned()),
            Self::Gone { .. } => {
                Some("name the registry with --registry, or its file with --with FILE".to_owned())
            }
            Self::BadLock { .. } => {
                Some("one of what is installed is written by: mpkg list --lock".to_owned())
            }
            Self::NotPinned { .. } => {
                Some("install it without --locked, and write the lock file anew".to_owned())
            }
            Self::Needed { name, by } => {
                let names: Vec<&str> =
                    by.iter().filter_map(|release| release.split(' ').next()).collect();
                Some(format!("remove them together with: mpkg remove {name} {}", names.join(" ")))
            }
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Forbidden(error) => error.details(),
            _ => None,
        }
    }
}

/// Where packages come from.
pub struct Catalogue<'a> {
    selection: Selection,
    client: &'a Client,
    /// The registries that were asked so far, each at its place in the selection: one that is not
    /// reached need not be there.
    opened: Vec<OnceLock<Registry<'a>>>,
    opening: Mutex<()>,
    files: Vec<LocalPackage>,
    offers: BTreeMap<Digest, Offer>,
    pub(super) trust: Trust,
    /// Envelopes that somebody handed over.
    pub(super) heard: Vec<Vec<u8>>,
}

/// A release and where it is to be had.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) name: PackageName,
    pub(super) entry: ReleaseEntry,
    publishers: Publishers,
    changes: Vec<crypto::Envelope>,
    registry: usize,
}

/// Who stands for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The publisher keys that signed it.
    pub signed_by: Vec<KeyId>,
    /// All keys that may publish the name.
    pub publishers: Publishers,
    /// The registry or file that it is from.
    pub origin: String,
    /// How many bytes are to be fetched; none where the file is on this machine.
    pub fetch_size: u64,
    /// The bytes of its files.
    pub unpacked_size: u64,
}

/// What a [`Catalogue`] believes.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The folder of remembered publishers, `HOME/trust`.
    pub folder: PathBuf,
    /// The keys of this machine and those imported into it.
    pub known_keys: Vec<PublicKey>,
    /// Those of them whose private halves are this machine's.
    pub own_keys: Vec<PublicKey>,
}

impl<'a> Catalogue<'a> {
    /// Opens registries, in the order in which they are asked, and package files that come before
    /// all of them.
    ///
    /// # Errors
    /// A registry or file that cannot be read.
    pub fn open(
        selection: &Selection,
        files: Vec<LocalPackage>,
        trust: Trust,
        client: &'a Client,
    ) -> Result<Self> {
        let selection = selection.clone();
        let opened = selection.sources.iter().map(|_| OnceLock::new()).collect();
        let (offers, opening, heard) = Default::default();
        Ok(Self { selection, client, opened, opening, files, offers, trust, heard })
    }

    /// Where registries are, in the order in which they are asked.
    #[must_use]
    pub fn selected(&self) -> &[Source] {
        &self.selection.sources
    }

    /// The registry at a place among [`Catalogue::selected`], opened when it is first asked.
    ///
    /// # Errors
    /// A registry that is not trusted, or cannot be read.
    pub fn registry(&self, place: usize) -> Result<&Registry<'a>> {
        let cell = &self.opened[place];
        if cell.get().is_none() {
            let _one = self.opening.lock().expect("nobody panics while opening");
            if cell.get().is_none() {
                let (source, clock) = (&self.selection.sources[place], self.selection.clock);
                let opened = Registry::open(source, &self.trust.folder, clock, self.client)?;
                let _ = cell.set(opened);
            }
        }
        Ok(self.asked(place))
    }

    /// The registries that were asked so far.
    pub fn opened(&self) -> impl Iterator<Item = &Registry<'a>> {
        self.opened.iter().filter_map(OnceLock::get)
    }

    fn asked(&self, place: usize) -> &Registry<'a> {
        self.opened[place].get().expect("what it says was read, so it was opened")
    }

    /// What the first registry that has releases of `name` says about it.
    ///
    /// # Errors
    /// A registry that cannot be read.
    pub fn name(&self, name: &PackageName) -> Result<Option<(NameIndex, &Registry<'a>)>> {
        Ok(self.find(name)?.map(|(index, place)| (index, self.asked(place))))
    }

    fn find(&self, name: &PackageName) -> Result<Option<(NameIndex, usize)>> {
        let mut provided: Option<(NameIndex, usize)> = None;
        for place in self.places(name)? {
            let Some(index) = self.registry(place)?.name(name)? else { continue };
            if !index.releases.is_empty() {
                return Ok(Some((index, place)));
            }
            if provided.is_none() && !index.providers.is_empty() {
                provided = Some((index, place));
            }
        }
        Ok(provided)
    }

    /// Where `name` is looked for, in this order: a pinned name in its registry alone.
    fn places(&self, name: &PackageName) -> Result<Vec<usize>> {
        let Some(pin) = self.selection.pins.get(name) else {
            return Ok((0..self.opened.len()).collect());
        };
        let is_it = |source: &Source| source.name.as_ref() == Some(pin);
        match self.selection.sources.iter().position(is_it) {
            Some(place) => Ok(vec![place]),
            None => Err(Error::PinnedElsewhere { name: name.clone(), registry: pin.clone() }),
        }
    }

    /// Says that `name` is nowhere, with the nearest name that is somewhere.
    ///
    /// # Errors
    /// Always.
    pub fn no_such_package<T>(&self, name: &PackageName) -> Result<T> {
        if self.opened.is_empty() {
            return Err(Error::NoRegistry);
        }
        Err(Error::NoSuchPackage {
            name: name.clone(),
            registries: self.selected().iter().map(Source::shown_location).collect(),
            nearest: self.nearest(name),
        })
    }

    /// The nearest name of a package in the registries whose search lists are short; for a hint,
    /// so a registry that cannot be read has none.
    fn nearest(&self, name: &PackageName) -> Option<String> {
        let places = (0..self.opened.len()).filter_map(|place| self.registry(place).ok());
        let lists: Vec<_> = places.filter_map(|one| one.short_search_list().ok()?).collect();
        let names = lists.iter().flat_map(|list| &list.packages).map(|entry| entry.name.as_str());
        nearest(name.as_str(), names).map(str::to_owned)
    }

    /// Solves `request`; `installed` may be chosen even where no registry has it any more.
    ///
    /// # Errors
    /// [`Error::NoSuchPackage`] for a wish, [`Error::Resolve`], and what fails in registries.
    pub fn solve(&mut self, request: &Request, installed: &[Candidate]) -> Result<Vec<Chosen>> {
        let mut known: Vec<Candidate> = installed.to_vec();
        known.extend(self.files.iter().map(LocalPackage::candidate));
        let universe =
            Universe::gather(request, &known, &mut |names: &[PackageName]| self.look_up(names))?;
        for wish in &request.wishes {
            if universe.releases(&wish.name).is_empty() && !universe.is_provided(&wish.name) {
                return self.no_such_package(&wish.name);
            }
        }
        resolve::resolve(&universe, request).map_err(|mut error| {
            if let resolve::Error::Unsolvable(conflict) = &mut error {
                conflict.suggest(|name| self.nearest(name));
            }
            error.into()
        })
    }

    fn look_up(&mut self, names: &[PackageName]) -> Result<Vec<Listing>> {
        let found: Vec<Option<(NameIndex, usize)>> =
            names.par_iter().map(|name| self.find(name)).collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().map(|(index, place)| self.listing(index, place)).collect())
    }

    fn listing(&mut self, index: NameIndex, registry: usize) -> Listing {
        let NameIndex { name, publishers, publisher_changes, releases, providers, .. } = index;
        let mut candidates = Vec::new();
        for entry in releases {
            let Some(publishers) = publishers.clone() else { break };
            if entry.package_type == PackageType::Binary {
                candidates.push(candidate(&name, &entry));
            }
            let (name, changes) = (name.clone(), publisher_changes.clone());
            let offer = Offer { name, entry, publishers, changes, registry };
            self.offers.insert(offer.entry.package, offer);
        }
        Listing { candidates, providers }
    }

    /// Looks up one release by its digest, so that it can be vouched for and fetched.
    ///
    /// # Errors
    /// A registry that cannot be read.
    pub fn seek(&mut self, name: &PackageName, package: Digest) -> Result<bool> {
        for place in 0..self.opened.len() {
            let index = self.registry(place)?.name(name)?;
            if let Some(index) = index.filter(|index| index.by_digest(package).is_some()) {
                self.listing(index, place);
                return Ok(true);
            }
        }
        Ok(self.file(package).is_some())
    }

    /// Looks up the source packages of a name, the newest first; withdrawn ones are left out.
    ///
    /// # Errors
    /// [`Error::NoSuchPackage`]; a registry that cannot be read.
    pub fn sources(&mut self, name: &PackageName) -> Result<Vec<(PackageVersion, Digest)>> {
        let Some((index, registry)) = self.find(name)? else {
            return self.no_such_package(name);
        };
        self.listing(index, registry);
        let is_source = |offer: &&Offer| {
            let entry = &offer.entry;
            offer.name == *name
                && entry.package_type == PackageType::Source
                && entry.yanked.is_none()
        };
        let offers = self.offers.values().filter(is_source);
        let mut sources: Vec<(PackageVersion, Digest)> =
            offers.map(|offer| (offer.entry.version.clone(), offer.entry.package)).collect();
        sources.sort_by(|one, other| other.cmp(one));
        Ok(sources)
    }

    /// The publishers that a registry names, where they are those that this machine remembers or
    /// follow them.
    fn publishers_now(&self, name: &PackageName) -> Result<Option<Publishers>> {
        let Some((index, place)) = self.find(name)? else { return Ok(None) };
        let Some(publishers) = index.publishers else { return Ok(None) };
        let (changes, registry) = (&index.publisher_changes, self.asked(place));
        match Remembered::demand(&self.trust.folder, name, &publishers, changes, registry) {
            Ok(()) => Ok(Some(publishers)),
            // What this machine remembers counts.
            Err(registry::Error::PublisherChanged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn file(&self, package: Digest) -> Option<&LocalPackage> {
        self.files.iter().find(|file| file.package.package_digest() == package)
    }

    /// Checks the signatures of a package that was looked up, before anything of it is fetched.
    ///
    /// # Errors
    /// [`registry::Error::Signature`], [`registry::Error::PublisherChanged`] and their kin.
    pub fn vouch(&self, package: Digest) -> Result<Vouched> {
        if let Some(file) = self.file(package) {
            let publishers = self.publishers_now(&file.package.index().name)?;
            return Ok(file.vouch(&self.trust.folder, publishers, &self.trust.known_keys)?);
        }
        let offer = self.offer(package);
        let registry = self.asked(offer.registry);
        let release = offer.entry.release(&offer.name).to_string();
        let (Some(attachment), Some(stock)) = (offer.entry.signatures(), offer.entry.stock())
        else {
            let location = registry.location().to_owned();
            return Err(registry::Error::UnsignedRelease { release, location }.into());
        };
        let (publishers, changes) = (&offer.publishers, &offer.changes);
        Remembered::demand(&self.trust.folder, &offer.name, publishers, changes, registry)?;
        let envelope = registry.attachment(package, attachment)?;
        let verified = verify_package(
            &envelope,
            Subject { package, file: Some(stock.sha256) },
            &offer.publishers.list(),
            offer.publishers.threshold,
        );
        let expected = offer.publishers.ids();
        let verified = verified.map_err(|source| {
            let source = Box::new(source);
            registry::Error::Signature { release, expected, source }
        })?;
        Ok(Vouched {
            signed_by: verified.signers,
            publishers: offer.publishers.clone(),
            origin: registry.location().to_owned(),
            fetch_size: stock.size,
            unpacked_size: offer.entry.unpacked_size,
        })
    }

    fn offer(&self, package: Digest) -> &Offer {
        self.offers.get(&package).expect("only what was looked up is vouched for or fetched")
    }

    /// A release that was looked up in a registry, and that registry.
    pub(super) fn offer_of(&self, package: Digest) -> (&Offer, &Registry<'a>) {
        let offer = self.offer(package);
        (offer, self.asked(offer.registry))
    }

    /// The releases of `name` that were looked up.
    pub(super) fn offers_of(&self, name: &PackageName) -> impl Iterator<Item = &Offer> {
        self.offers.values().filter(move |offer| offer.name == *name)
    }

    /// Whether a package is one of the package files.
    pub(super) fn is_file(&self, package: Digest) -> bool {
        self.file(package).is_some()
    }

    /// Where a package lies that is one of the package files.
    pub(super) fn path_of(&self, package: Digest) -> Option<&Path> {
        self.file(package).map(|file| file.package.path())
    }

    /// Why pickle-based files stand in a package that was looked up, where some do.
    #[must_use]
    pub fn pickle_reason(&self, package: Digest) -> Option<&str> {
        match self.file(package) {
            Some(file) => file.package.index().pickle_reason.as_deref(),
            None => self.offer(package).entry.pickle_reason.as_deref(),
        }
    }

    /// Why a package was withdrawn, where a registry that was looked into says so.
    #[must_use]
    pub fn withdrawn(&self, package: Digest) -> Option<String> {
        self.offers.get(&package)?.entry.yanked.clone()
    }

    /// What will be listed of a package that was looked up, once it is installed.
    #[must_use]
    pub fn describe(&self, package: Digest) -> InstalledPackage {
        if let Some(file) = self.file(package) {
            return InstalledPackage::from_index(file.package.index(), package, "");
        }
        let Offer { name, entry, .. } = self.offer(package);
        InstalledPackage {
            name: name.clone(),
            version: entry.version.clone(),
            variant: entry.variant.clone(),
            kind: entry.kind,
            summary: entry.summary.clone(),
            license: entry.license.clone(),
            package,
            source: entry.source,
            unpacked_size: entry.unpacked_size,
            dependencies: entry.dependencies.clone(),
            provides: entry.provides.clone(),
            conflicts: entry.conflicts.clone(),
            requested: None,
            origin: String::new(),
            signed_by: Vec::new(),
        }
    }

    /// Fetches a package that was looked up, and opens it.
    ///
    /// # Errors
    /// What fails in fetching; a package that is another than its registry says.
    pub fn fetch(&self, package: Digest, progress: &dyn Progress) -> Result<Package> {
        if let Some(file) = self.file(package) {
            return open(file.package.path());
        }
        let offer = self.offer(package);
        let registry = self.asked(offer.registry);
        let release = offer.entry.release(&offer.name);
        let Some(stock) = offer.entry.stock() else {
            return self.no_such_package(&offer.name);
        };
        let path = registry.blob(stock.sha256, stock.size, &release.file_name(), progress)?;
        let opened = open(&path)?;
        // Unpacking into the store leaves the digests of chunks to this one.
        let chunks = stock.chunks.is_none_or(|place| place == opened.chunks_place().into());
        if let Some(what) = difference(offer, &opened).or((!chunks).then_some("chunk table")) {
            return Err(Error::Contradiction {
                registry: registry.location().to_owned(),
                release: release.to_string(),
                what,
            });
        }
        Ok(opened)
    }
}

/// Opens a package file.
///
/// # Errors
/// [`Error::Package`].
pub fn open(path: &Path) -> Result<Package> {
    Package::open(path).map_err(|source| Error::Package { path: path.to_owned(), source })
}

fn candidate(name: &PackageName, entry: &ReleaseEntry) -> Candidate {
    Candidate {
        release: entry.release(name),
        digest: entry.package,
        default_variant: entry.default_variant,
        dependencies: entry.dependencies.clone(),
        provides: entry.provides.clone(),
        conflicts: entry.conflicts.clone(),
        yanked: entry.yanked.clone(),
    }
}

/// What a registry says otherwise about a package than the package's own index, if something.
pub(super) fn difference(offer: &Offer, package: &Package) -> Option<&'static str> {
    if package.package_digest() != offer.entry.package {
        return Some("package digest");
    }
    let truth =
        ReleaseEntry::from_index(package.index(), offer.entry.package, offer.entry.published);
    let said = ReleaseEntry {
        representations: Vec::new(),
        attachments: Vec::new(),
        yanked: None,
        ..offer.entry.clone()
    };
    if package.index().name != offer.name {
        Some("name")
    } else if (&said.version, &said.variant) != (&truth.version, &truth.variant) {
        Some("version or variant")
    } else if said.dependencies != truth.dependencies {
        Some("list of dependencies")
    } else if said != truth {
        Some("description")
    } else {
        None
    }
}
