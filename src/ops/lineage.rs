//! What a package was built from: its source, the packages that went into it, their sources, and
//! so on, each found by the digest that the one before names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalogue::{self, Catalogue};
use super::install;
use super::list::list;
use super::shelf::Shelf;
use crate::archive::{self, Package};
use crate::build::source::SourceError;
use crate::build::tree::{RESULTS_NAME, SourceTree, TreeError};
use crate::crypto::PublicKey;
use crate::explain::Explain;
use crate::fs;
use crate::net::Client;
use crate::package::manifest::MANIFEST_NAME;
use crate::package::{
    Dependency, Digest, INDEX_PATH, InvalidLock, LOCK_NAME, LONGEST_LOCK, LockFile, PackageName,
    PackageType, ProfileName, Release,
};
use crate::progress::Progress;
use crate::registry::{Publishers, Selection};
use crate::resolve::{Request, Wish};
use crate::store::{Home, InstalledPackage};

/// The most packages of one lineage.
const MOST_PARTS: usize = 10_000;

/// What is studied.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The source tree that this folder belongs to.
    Tree(PathBuf),
    /// A package file.
    File(PathBuf),
    /// A package: the installed one if it will do, else a published one.
    Release(Wish),
}

/// Where packages are looked for.
pub struct Places<'a> {
    /// The home folder.
    pub home: &'a Home,
    /// The profile whose packages are installed.
    pub profile: &'a ProfileName,
    /// Fetches.
    pub client: &'a Client,
    /// Registries, in the order in which they are asked.
    pub registries: &'a Selection,
    /// Package files, folders of them, and source trees with results.
    pub with: &'a [PathBuf],
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// A package and all that it was built from; the first part is the package itself.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The packages.
    pub parts: Vec<Part>,
    /// What could not be had.
    pub gaps: Vec<Gap>,
}

/// One package of a lineage.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is; a tree that nobody built is a source.
    pub package: InstalledPackage,
    /// Whether there is a binary package with that digest.
    pub is_binary: bool,
    /// Its source, where that is to be had.
    pub tree: Option<SourceTree>,
    /// What it needs, as places in [`Lineage::parts`].
    pub needs: Vec<Need>,
}

/// A package that another needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is needed for.
    pub relation: Relation,
    /// Its name.
    pub name: PackageName,
    /// Its place in [`Lineage::parts`]; none where it is a gap.
    pub part: Option<usize>,
}

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// To use the other, and to build it.
    Use,
    /// To build the other.
    Build,
}

/// Something that a lineage lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What it is, as in `the source of docs-lm 1.0.0 (f32)`.
    pub what: String,
    /// Why it is not there.
    pub why: String,
}

/// What can fail in following a lineage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no tree, or it is not sound.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A registry, its packages or its signatures.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// A source package whose patches are at fault.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A package file.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A lock file that cannot be read.
    #[error("{} cannot be used", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: InvalidLock,
    },
    /// More packages than a lineage may have.
    #[error("more than {MOST_PARTS} packages went into it")]
    TooMany,
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Tree(error) => error.kind(),
            Self::Catalogue(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Lock { .. } => "lock",
            Self::TooMany => "too-many-packages",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.hint(),
            Self::Catalogue(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Archive(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Lock { .. } => Some("`mpkg fetch` writes it anew once it is removed".to_owned()),
            Self::TooMany => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Tree(error) => error.details(),
            _ => None,
        }
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Follows lineages, and keeps open what that takes.
pub struct Genealogist<'a> {
    places: &'a Places<'a>,
    shelf: Shelf,
    catalogue: Catalogue<'a>,
    files: BTreeMap<Digest, Package>,
    parts: Vec<Part>,
    known: BTreeMap<Digest, usize>,
    gaps: Vec<Gap>,
}

impl<'a> Genealogist<'a> {
    /// Opens the places where packages are looked for.
    ///
    /// # Errors
    /// A registry or a file that cannot be opened.
    pub fn new(places: &'a Places<'a>) -> Result<Self> {
        let trust = install::trust(places.home)?;
        let catalogue = Catalogue::open(places.registries, Vec::new(), trust, places.client)?;
        let mut files = BTreeMap::new();
        for path in places.with.iter().map(|path| results_of(path)) {
            for file in package_files(&path)? {
                let package = catalogue::open(&file)?;
                files.insert(package.package_digest(), package);
            }
        }
        Ok(Self {
            places,
            shelf: Shelf::of(places.home),
            catalogue,
            files,
            parts: Vec::new(),
            known: BTreeMap::new(),
            gaps: Vec::new(),
        })
    }

    /// Follows the lineage of `subject`.
    ///
    /// # Errors
    /// When the subject itself is not to be had, or something is damaged or not believed. What
    /// else is not to be had is a [`Gap`].
    pub fn follow(&mut self, subject: &Subject) -> Result<Lineage> {
        Ok(self.follow_all(std::slice::from_ref(subject))?.0)
    }

    /// Follows the lineages of several subjects as one, and says which of its parts they are.
    ///
    /// # Errors
    /// Those of [`Genealogist::follow`].
    pub fn follow_all(&mut self, subjects: &[Subject]) -> Result<(Lineage, Vec<usize>)> {
        self.known.clear();
        let roots = subjects.iter().map(|subject| self.add_subject(subject)).collect::<Result<_>>();
        let (parts, gaps) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.gaps));
        Ok((Lineage { parts, gaps }, roots?))
    }

    /// The registries that it asks.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue<'a> {
        &self.catalogue
    }

    fn add_subject(&mut self, subject: &Subject) -> Result<usize> {
        match subject {
            Subject::Tree(folder) => {
                let tree = self.shelf.patched(SourceTree::find(folder)?)?;
                self.add_tree(tree, Digest::of(b""))
            }
            Subject::File(path) => {
                let package = catalogue::open(path)?;
                let (digest, index) = (package.package_digest(), package.index().clone());
                self.files.insert(digest, package);
                match index.package_type {
                    PackageType::Binary => {
                        self.add_binary(InstalledPackage::from_index(&index, digest, ""))
                    }
                    PackageType::Source => {
                        let folder = self.folder(&index.name, digest)?;
                        let tree = SourceTree::open(&folder.expect("it is in a file"))?;
                        let tree = self.shelf.patched(tree)?;
                        self.add_tree(tree, digest)
                    }
                }
            }
            Subject::Release(wish) => {
                let package = self.release(wish)?;
                self.add_binary(package)
            }
        }
    }

    /// The package that a wish means: the installed one if it will do, else the best published.
    fn release(&mut self, wish: &Wish) -> Result<InstalledPackage> {
        let fits = |package: &InstalledPackage| {
            package.name == wish.name
                && wish.requirement.matches(&package.version)
                && (wish.variant.is_none() || package.variant == wish.variant)
                && wish.exact.is_none_or(|digest| digest == package.package)
        };
        if let Some(installed) = list(self.places.home, self.places.profile)?.into_iter().find(fits)
        {
            return Ok(installed);
        }
        let in_files = self.files.iter().filter_map(|(digest, package)| {
            let index = package.index();
            let is_binary = index.package_type == PackageType::Binary;
            let package = InstalledPackage::from_index(index, *digest, "");
            (is_binary && fits(&package) && (wish.variant.is_some() || index.default_variant))
                .then_some(package)
        });
        match in_files.max_by(|one, other| one.version.cmp(&other.version)) {
            Some(package) => Ok(package),
            None => self.published(wish),
        }
    }

    fn published(&mut self, wish: &Wish) -> Result<InstalledPackage> {
        if self.places.registries.sources.is_empty() {
            return Ok(self.catalogue.no_such_package(&wish.name)?);
        }
        let request = Request { wishes: vec![wish.clone()], ..Request::default() };
        let chosen = self.catalogue.solve(&request, &[])?;
        let requested = chosen.into_iter().find(|choice| choice.requested);
        let candidate = requested.expect("the answer holds what was wished for").candidate;
        Ok(self.catalogue.describe(candidate.digest))
    }

    /// Adds a source tree that no binary package stands for.
    fn add_tree(&mut self, tree: SourceTree, digest: Digest) -> Result<usize> {
        let manifest = &tree.manifest().package;
        let package = InstalledPackage {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            variant: None,
            kind: manifest.kind,
            summary: manifest.summary.clone(),
            license: manifest.license.clone(),
            package: digest,
            source: None,
            unpacked_size: 0,
            dependencies: Vec::new(),
            provides: Vec::new(),
            conflicts: Vec::new(),
            requested: None,
            origin: String::new(),
            signed_by: Vec::new(),
        };
        let part = Part { package, is_binary: false, tree: Some(tree), needs: Vec::new() };
        self.add(digest, part)
    }

    fn add_binary(&mut self, package: InstalledPackage) -> Result<usize> {
        if let Some(place) = self.known.get(&package.package) {
            return Ok(*place);
        }
        let tree = self.source(&package)?;
        let digest = package.package;
        self.add(digest, Part { package, is_binary: true, tree, needs: Vec::new() })
    }

    fn add(&mut self, digest: Digest, part: Part) -> Result<usize> {
        if self.parts.len() >= MOST_PARTS {
            return Err(Error::TooMany);
        }
        let place = self.parts.len();
        self.known.insert(digest, place);
        let tree = part.tree.clone();
        self.parts.push(part);
        if let Some(tree) = tree {
            let needs = self.needs_of(&tree)?;
            self.parts[place].needs = needs;
        }
        Ok(place)
    }

    /// The source tree of a binary package; without one there is a gap.
    fn source(&mut self, package: &InstalledPackage) -> Result<Option<SourceTree>> {
        let what = format!("the source of {}", package.release());
        let Some(source) = package.source else {
            self.gaps.push(Gap { what, why: "the package names none".to_owned() });
            return Ok(None);
        };
        if let Some(folder) = self.folder(&package.name, source)? {
            return Ok(Some(self.shelf.patched(SourceTree::open(&folder)?)?));
        }
        let why = format!("{} has package digest {source}", self.nowhere());
        self.gaps.push(Gap { what, why });
        Ok(None)
    }

    fn nowhere(&self) -> &'static str {
        match self.places.registries.sources[..] {
            [] => "no registry is named, and no file that is at hand",
            _ => "nothing in the registries that are named",
        }
    }

    /// What the tree needs: the packages that its lock file pins, or else the best published.
    fn needs_of(&mut self, tree: &SourceTree) -> Result<Vec<Need>> {
        let lock = read_lock(&tree.root().join(LOCK_NAME))?;
        let manifest = tree.manifest();
        let to_use = manifest.dependencies.iter().map(|dependency| (Relation::Use, dependency));
        let to_build =
            manifest.build_dependencies.iter().map(|dependency| (Relation::Build, dependency));
        let wanted: Vec<(Relation, Dependency)> =
            to_use.chain(to_build).map(|(relation, wanted)| (relation, wanted.clone())).collect();
        let mut needs = Vec::with_capacity(wanted.len());
        for (relation, wanted) in wanted {
            let part = self.needed(&wanted, &lock)?;
            needs.push(Need { relation, name: wanted.name, part });
        }
        Ok(needs)
    }

    fn needed(&mut self, wanted: &Dependency, lock: &LockFile) -> Result<Option<usize>> {
        if let Some(pin) = lock.get(&wanted.name).filter(|pin| pin.answers(wanted)) {
            if let Some(package) = self.described(&pin.name, pin.digest)? {
                return self.add_binary(package).map(Some);
            }
            let variant = Some(pin.variant.clone());
            let (name, version) = (pin.name.clone(), pin.version.clone());
            let what = Release { name, version, variant }.to_string();
            let why = format!("{} has package digest {}", self.nowhere(), pin.digest);
            self.gaps.push(Gap { what, why });
            return Ok(None);
        }
        match self.release(&Wish::from(wanted)) {
            Ok(package) => self.add_binary(package).map(Some),
            Err(Error::Catalogue(error)) => {
                let what = Wish::from(wanted).to_string();
                self.gaps.push(Gap { what, why: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What is known of a binary package with this digest, if it is anywhere.
    fn described(
        &mut self,
        name: &PackageName,
        digest: Digest,
    ) -> Result<Option<InstalledPackage>> {
        if let Some(index) = self.shelf.index(digest) {
            return Ok(Some(InstalledPackage::from_index(&index, digest, "")));
        }
        if let Some(package) = self.files.get(&digest) {
            return Ok(Some(InstalledPackage::from_index(package.index(), digest, "")));
        }
        if self.is_in_store(digest) {
            let index = self.places.home.package_index(digest)?;
            return Ok(Some(InstalledPackage::from_index(&index, digest, "")));
        }
        Ok(self.catalogue.seek(name, digest)?.then(|| self.catalogue.describe(digest)))
    }

    fn is_in_store(&self, digest: Digest) -> bool {
        self.places.home.package(digest).join(INDEX_PATH).is_file()
    }

    /// The unpacked files of a package, fetched if that is needed; none where it is nowhere.
    ///
    /// # Errors
    /// When it is damaged, its signatures do not hold, or it cannot be written to the cache.
    pub fn folder(&mut self, name: &PackageName, digest: Digest) -> Result<Option<PathBuf>> {
        if self.shelf.whole(digest).is_some() {
            return Ok(Some(self.shelf.folder(digest)));
        }
        if let Some(package) = self.files.get(&digest) {
            self.shelf.put(package, self.places.progress)?;
            return Ok(Some(self.shelf.folder(digest)));
        }
        if self.is_in_store(digest) {
            return Ok(Some(self.places.home.package(digest)));
        }
        if !self.catalogue.seek(name, digest)? {
            return Ok(None);
        }
        self.catalogue.vouch(digest)?;
        let package = self.catalogue.fetch(digest, self.places.progress)?;
        self.shelf.put(&package, self.places.progress)?;
        Ok(Some(self.shelf.folder(digest)))
    }
}

/// What others said about a package, none of it believed yet.
pub(super) struct Said {
    /// The envelopes of their statements.
    pub(super) envelopes: Vec<Vec<u8>>,
    /// The keys that this machine knows, but for those that publish the package.
    pub(super) listened_to: Vec<PublicKey>,
}

impl Genealogist<'_> {
    /// What registries store of others about a package; none where none has it.
    ///
    /// # Errors
    /// A statement that a registry lists and that cannot be had.
    pub(super) fn said(&mut self, name: &PackageName, digest: Digest) -> Result<Option<Said>> {
        if !self.catalogue.seek(name, digest)? {
            return Ok(None);
        }
        let index = self.catalogue.name(name)?.map(|(index, _)| index);
        let publishers = index
            .and_then(|index| index.publishers.as_ref().map(Publishers::ids))
            .unwrap_or_default();
        let known = self.catalogue.trust.known_keys.iter();
        let listened_to = known.filter(|key| !publishers.contains(&key.id())).copied().collect();
        Ok(Some(Said { envelopes: self.catalogue.statements(name, digest)?, listened_to }))
    }
}

/// A source tree's results; any other path as it is.
fn results_of(path: &Path) -> PathBuf {
    if path.join(MANIFEST_NAME).is_file() { path.join(RESULTS_NAME) } else { path.to_owned() }
}

/// The package files that `path` is or holds, sorted.
fn package_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || fs::Error::at("read the folder", path);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable())? {
        let file = entry.map_err(unreadable())?.path();
        if file.extension().is_some_and(|end| end == "mpkg") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_lock(path: &Path) -> Result<LockFile> {
    if !path.exists() {
        return Ok(LockFile::default());
    }
    let text = fs::read_to_string(path, LONGEST_LOCK)?;
    LockFile::parse(&text).map_err(|source| Error::Lock { path: path.to_owned(), source })
}
