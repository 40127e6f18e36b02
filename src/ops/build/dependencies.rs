//! Finds the packages that a build needs, pins them in the lock file, and unpacks them into the
//! cache: never into anybody's profile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{BuildError, BuildOptions, LockUse, Setting};
use crate::archive::Package;
use crate::build::record::DependencyRecord;
use crate::build::surroundings::Material;
use crate::build::tree::{RESULTS_NAME, SourceTree};
use crate::explain::printable;
use crate::fs::read_to_string;
use crate::ops::catalogue::Catalogue;
use crate::ops::install;
use crate::ops::local::LocalPackage;
use crate::ops::shelf::Shelf;
use crate::package::manifest::{MANIFEST_NAME, Manifest};
use crate::package::{
    Dependency, Digest, LOCK_NAME, LONGEST_LOCK, LockFile, LockedPackage, PackageName,
};
use crate::resolve::{Candidate, Request, Wish};

/// What a build needs, pinned.
pub struct Dependencies<'a> {
    /// The lock file that holds the pins.
    pub lock: LockFile,
    /// Whether that differs from the one in the tree.
    pub changed: bool,
    /// The packages that the manifest names itself, in the order of their names.
    pub pinned: Vec<Pinned>,
    /// Where packages come from, where somebody had to be asked.
    catalogue: Option<Catalogue<'a>>,
}

/// One package that a build needs.
#[derive(Debug)]
pub struct Pinned {
    /// What is pinned.
    pub locked: LockedPackage,
    /// Where it is had from.
    pub place: Place,
}

/// Where a package is had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is unpacked in the cache.
    Cache,
    /// A package file on this machine.
    Local(PathBuf),
    /// A registry, which vouches for it.
    Registry {
        /// The registry.
        location: String,
        /// How many bytes must be fetched.
        size: u64,
    },
}

impl Pinned {
    /// How many bytes must be fetched for it.
    #[must_use]
    pub fn to_fetch(&self) -> u64 {
        match &self.place {
            Place::Registry { size, .. } => *size,
            Place::Cache | Place::Local(_) => 0,
        }
    }

    /// Where it is had from, for people.
    #[must_use]
    pub fn from(&self) -> String {
        match &self.place {
            Place::Cache => "the cache".to_owned(),
            Place::Local(path) => path.display().to_string(),
            Place::Registry { location, .. } => location.clone(),
        }
    }
}

/// Everything that `manifest` names, from both lists, each name once.
fn wanted(manifest: &Manifest) -> Vec<Dependency> {
    let all = manifest.dependencies.iter().chain(&manifest.build_dependencies);
    let mut wanted: Vec<Dependency> = all.cloned().collect();
    wanted.sort_by(|one, other| one.name.cmp(&other.name));
    wanted
}

/// Resolves what the tree needs.
///
/// # Errors
/// When something cannot be had, or the lock file would have to change and may not.
pub(super) fn resolve<'a>(
    tree: &SourceTree,
    options: &BuildOptions,
    setting: &Setting<'a>,
) -> Result<Dependencies<'a>, BuildError> {
    let path = tree.root().join(LOCK_NAME);
    let old = read_lock(&path)?;
    let wanted = wanted(tree.manifest());
    let local = local_packages(&options.with)?;
    let dependencies = match from_cache(&wanted, old.as_ref(), &local, setting) {
        Some(found) => found,
        None => search(&wanted, old.as_ref(), local, setting)?,
    };
    if dependencies.changed && options.lock == LockUse::Locked {
        let why = difference(old.as_ref(), &dependencies.lock);
        return Err(BuildError::Locked { path, why });
    }
    Ok(dependencies)
}

fn read_lock(path: &Path) -> Result<Option<LockFile>, BuildError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_to_string(path, LONGEST_LOCK)?;
    LockFile::parse(&text)
        .map(Some)
        .map_err(|source| BuildError::Lock { path: path.to_owned(), source })
}

/// Where every pin still answers and lies unpacked in the cache, nobody need be asked.
fn from_cache<'a>(
    wanted: &[Dependency],
    old: Option<&LockFile>,
    local: &[LocalPackage],
    setting: &Setting<'_>,
) -> Option<Dependencies<'a>> {
    let found = |lock, changed, pinned| Dependencies { lock, changed, pinned, catalogue: None };
    if wanted.is_empty() {
        return Some(found(LockFile::default(), old.is_some(), Vec::new()));
    }
    let lock = old?;
    let shelf = Shelf::of(setting.home);
    // Every pin must be reached from a wish, over pins alone.
    let mut reached: BTreeSet<&PackageName> = BTreeSet::new();
    let mut open: Vec<Dependency> = wanted.to_vec();
    while let Some(wish) = open.pop() {
        let locked = lock.get(&wish.name).filter(|locked| locked.answers(&wish))?;
        if reached.insert(&locked.name) {
            let is_local = local.iter().any(|file| file.package.index().name == locked.name);
            let index = shelf.index(locked.digest).filter(|_| !is_local)?;
            open.extend(index.dependencies);
        }
    }
    if reached.len() != lock.packages().len() {
        return None;
    }
    let named = |locked: &&LockedPackage| wanted.iter().any(|wish| wish.name == locked.name);
    let pinned = lock
        .packages()
        .iter()
        .filter(named)
        .map(|locked| Pinned { locked: locked.clone(), place: Place::Cache });
    Some(found(lock.clone(), false, pinned.collect()))
}

fn search<'a>(
    wanted: &[Dependency],
    old: Option<&LockFile>,
    local: Vec<LocalPackage>,
    setting: &Setting<'a>,
) -> Result<Dependencies<'a>, BuildError> {
    let mut request =
        Request { wishes: wanted.iter().map(Wish::from).collect(), ..Request::default() };
    for locked in old.into_iter().flat_map(LockFile::packages) {
        let wish = wanted.iter().find(|wish| wish.name == locked.name);
        if wish.is_none_or(|wish| locked.answers(wish)) {
            request.preferred.insert(locked.name.clone(), locked.digest);
        }
    }
    for name in local.iter().map(|file| &file.package.index().name) {
        let wish = wanted.iter().find(|wish| wish.name == *name);
        if let Some(best) = best_of(&local, name, wish) {
            request.preferred.insert(name.clone(), best);
        }
    }
    let paths: BTreeMap<Digest, PathBuf> = local
        .iter()
        .map(|file| (file.package.package_digest(), file.package.path().to_owned()))
        .collect();
    let trust = install::trust(setting.home)?;
    let mut catalogue = Catalogue::open(setting.registries, local, trust, setting.client)?;
    let chosen = catalogue.solve(&request, &[])?;
    let shelf = Shelf::of(setting.home);
    let mut packages = Vec::new();
    let mut pinned = Vec::new();
    for choice in chosen {
        let Candidate { release, digest, yanked, .. } = choice.candidate;
        if let Some(reason) = yanked {
            let reason = printable(&reason);
            let line = format!("{release} was yanked: {reason}; it is used as {LOCK_NAME} pins it");
            setting.progress.warn(&line);
        }
        let Some(variant) = release.variant else { continue };
        let locked =
            LockedPackage { name: release.name, version: release.version, variant, digest };
        packages.push(locked.clone());
        if !wanted.iter().any(|wish| wish.name == locked.name) {
            continue;
        }
        let place = match paths.get(&digest) {
            Some(path) => Place::Local(path.clone()),
            None if shelf.index(digest).is_some() => Place::Cache,
            None => {
                let vouched = catalogue.vouch(digest)?;
                let allowed = catalogue.demand_allowed(digest, &vouched, setting.policies)?;
                allowed.warnings.iter().for_each(|warning| setting.progress.warn(warning));
                Place::Registry { location: vouched.origin, size: vouched.fetch_size }
            }
        };
        pinned.push(Pinned { locked, place });
    }
    let lock = LockFile::of(packages);
    Ok(Dependencies { changed: old != Some(&lock), lock, pinned, catalogue: Some(catalogue) })
}

/// The package of `name` among `local` that `wish` is best answered with: what a person names
/// with `--with` comes before what registries and the lock file say.
fn best_of(
    local: &[LocalPackage],
    name: &PackageName,
    wish: Option<&Dependency>,
) -> Option<Digest> {
    let fits = |candidate: &Candidate| {
        candidate.release.name == *name
            && wish.is_none_or(|wish| wish.requirement.matches(&candidate.release.version))
            && match wish.and_then(|wish| wish.variant.as_ref()) {
                Some(variant) => candidate.release.variant.as_ref() == Some(variant),
                None => candidate.default_variant,
            }
    };
    local
        .iter()
        .map(LocalPackage::candidate)
        .filter(fits)
        .max_by(|one, other| one.release.version.cmp(&other.release.version))
        .map(|candidate| candidate.digest)
}

/// What differs between two lock files, in words.
fn difference(old: Option<&LockFile>, new: &LockFile) -> String {
    let none = LockFile::default();
    let old = old.unwrap_or(&none);
    let mut parts = Vec::new();
    for package in new.packages() {
        match old.get(&package.name) {
            None => parts.push(format!("it does not pin {} {}", package.name, package.version)),
            Some(known) if known != package => parts.push(format!(
                "it pins {} {} ({}), and {} ({}) is chosen",
                known.name,
                known.version,
                known.digest.short(),
                package.version,
                package.digest.short()
            )),
            Some(_) => {}
        }
    }
    let gone = old.packages().iter().filter(|package| new.get(&package.name).is_none());
    parts.extend(gone.map(|package| format!("{} is needed no more", package.name)));
    parts.join("; ")
}

/// The package files that `--with` names; of a source tree those in its results.
fn local_packages(with: &[PathBuf]) -> Result<Vec<LocalPackage>, BuildError> {
    let paths: Vec<PathBuf> = with
        .iter()
        .map(|path| {
            let is_tree = path.join(MANIFEST_NAME).is_file();
            if is_tree { path.join(RESULTS_NAME) } else { path.clone() }
        })
        .collect();
    let local = LocalPackage::open_all(&paths)?;
    for (place, one) in local.iter().enumerate() {
        let twin = local[..place].iter().find(|other| {
            other.package.index().release() == one.package.index().release()
                && other.package.package_digest() != one.package.package_digest()
        });
        if let Some(other) = twin {
            return Err(BuildError::Ambiguous {
                name: one.package.index().release().to_string(),
                one: other.package.path().to_owned(),
                other: one.package.path().to_owned(),
            });
        }
    }
    Ok(local)
}

impl Dependencies<'_> {
    /// Puts a pinned package unpacked into the cache, every file of it checked, and says where.
    ///
    /// # Errors
    /// When it cannot be fetched, its signatures are not believed, or it is not what is pinned.
    pub(super) fn unpack(
        &self,
        pinned: &Pinned,
        setting: &Setting<'_>,
    ) -> Result<(Material, DependencyRecord), BuildError> {
        let LockedPackage { name, version, variant, digest } = &pinned.locked;
        let shelf = Shelf::of(setting.home);
        let folder = shelf.folder(*digest);
        let index = match shelf.whole(*digest) {
            Some(index) => index,
            None => shelf.put(&self.package(pinned, setting)?, setting.progress)?,
        };
        let record = DependencyRecord {
            name: name.clone(),
            version: version.clone(),
            variant: variant.clone(),
            package_digest: *digest,
            source: index.source,
            license: index.license,
            from: match &pinned.place {
                Place::Registry { location, .. } => location.clone(),
                Place::Local(_) => "local".to_owned(),
                Place::Cache => "cache".to_owned(),
            },
        };
        Ok((Material { path: folder, name: format!("dep/{name}"), digest: *digest }, record))
    }

    /// Opens the package file of a pin; what comes from a registry has its signatures checked.
    fn package(&self, pinned: &Pinned, setting: &Setting<'_>) -> Result<Package, BuildError> {
        let LockedPackage { name, version, digest, .. } = &pinned.locked;
        if let (Some(catalogue), Place::Registry { .. }) = (&self.catalogue, &pinned.place) {
            return Ok(catalogue.fetch(*digest, setting.progress)?);
        }
        if let Place::Local(path) = &pinned.place {
            return Ok(Package::open(path)?);
        }
        // It was in the cache and is damaged there: somebody must be asked after all.
        let trust = install::trust(setting.home)?;
        let mut catalogue = Catalogue::open(setting.registries, Vec::new(), trust, setting.client)?;
        if !catalogue.seek(name, *digest)? {
            return Err(BuildError::Gone { package: format!("{name} {version} ({digest})") });
        }
        let vouched = catalogue.vouch(*digest)?;
        let allowed = catalogue.demand_allowed(*digest, &vouched, setting.policies)?;
        allowed.warnings.iter().for_each(|warning| setting.progress.warn(warning));
        Ok(catalogue.fetch(*digest, setting.progress)?)
    }
}
