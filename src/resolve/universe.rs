//! Everything that a request could possibly reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Error, Request, Wish};
use crate::package::{Digest, PackageName, VariantName};

/// The most names that are looked up for one request.
pub(super) const MOST_NAMES: usize = 50_000;
/// The most releases that are looked at for one request.
pub(super) const MOST_RELEASES: usize = 500_000;

fn within(found: usize, most: usize, what: &'static str) -> Result<(), Error> {
    if found > most { Err(Error::TooLarge { what, most }) } else { Ok(()) }
}

/// What is known about one name.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The releases of that very name.
    pub candidates: Vec<Candidate>,
    /// The names of packages that provide it.
    pub providers: Vec<PackageName>,
}

/// Looks up the names of one level of dependencies; names that nothing is known of are left out.
pub type LookUp<'a, E> = dyn FnMut(&[PackageName]) -> Result<Vec<Listing>, E> + 'a;

/// All releases of every name that wishes and dependencies lead to.
#[derive(Debug, Clone, Default)]
pub struct Universe {
    packages: BTreeMap<PackageName, Vec<Candidate>>,
    providers: BTreeMap<PackageName, BTreeSet<PackageName>>,
    asked_variants: BTreeSet<(PackageName, VariantName)>,
    asked_packages: BTreeSet<Digest>,
}

impl Universe {
    /// Gathers the universe of `request`, asking `look_up` for the names of one level of
    /// dependencies at a time, so that it can look them up in parallel. `installed` are
    /// candidates even where no registry offers them any more.
    ///
    /// # Errors
    /// The first error of `look_up`; [`Error::TooLarge`].
    pub fn gather<E: From<Error>>(
        request: &Request,
        installed: &[Candidate],
        look_up: &mut LookUp<'_, E>,
    ) -> Result<Self, E> {
        let mut universe = Self::default();
        let mut seen: BTreeSet<PackageName> = BTreeSet::new();
        let mut open: BTreeSet<PackageName> = BTreeSet::new();
        let mut releases = 0;
        for wish in request.wishes.iter().chain(&request.kept) {
            universe.ask_variant(wish);
            open.insert(wish.name.clone());
        }
        for candidate in installed {
            open.insert(candidate.release.name.clone());
            open.extend(candidate.dependencies.iter().map(|need| need.name.clone()));
            universe.add(candidate.clone());
        }
        while !open.is_empty() {
            let level: Vec<PackageName> = std::mem::take(&mut open).into_iter().collect();
            seen.extend(level.iter().cloned());
            within(seen.len(), MOST_NAMES, "names")?;
            for listing in look_up(&level)? {
                releases += listing.candidates.len();
                within(releases, MOST_RELEASES, "releases")?;
                let found = listing
                    .candidates
                    .iter()
                    .flat_map(|candidate| candidate.dependencies.iter().map(|need| &need.name))
                    .chain(&listing.providers)
                    .filter(|name| !seen.contains(*name));
                open.extend(found.cloned());
                for candidate in listing.candidates {
                    universe.add(candidate);
                }
            }
        }
        universe.sort();
        Ok(universe)
    }

    /// A universe of exactly these candidates.
    #[must_use]
    pub fn of(request: &Request, candidates: Vec<Candidate>) -> Self {
        let mut universe = Self::default();
        for wish in request.wishes.iter().chain(&request.kept) {
            universe.ask_variant(wish);
        }
        for candidate in candidates {
            universe.add(candidate);
        }
        universe.sort();
        universe
    }

    fn ask_variant(&mut self, wish: &Wish) {
        if let Some(variant) = &wish.variant {
            self.asked_variants.insert((wish.name.clone(), variant.clone()));
        }
        self.asked_packages.extend(wish.exact);
    }

    fn add(&mut self, candidate: Candidate) {
        for dependency in &candidate.dependencies {
            self.ask_variant(&dependency.into());
        }
        for provided in &candidate.provides {
            self.providers
                .entry(provided.clone())
                .or_default()
                .insert(candidate.release.name.clone());
        }
        let same_name = self.packages.entry(candidate.release.name.clone()).or_default();
        match same_name.iter_mut().find(|known| known.digest == candidate.digest) {
            // What a registry says now, a withdrawal above all, counts for what is installed too.
            Some(known) => *known = candidate,
            None => same_name.push(candidate),
        }
    }

    fn sort(&mut self) {
        for candidates in self.packages.values_mut() {
            candidates.sort_by(|a, b| {
                b.release
                    .version
                    .cmp(&a.release.version)
                    .then(b.default_variant.cmp(&a.default_variant))
                    .then(a.release.variant.cmp(&b.release.variant))
                    .then(a.digest.cmp(&b.digest))
            });
        }
    }

    /// The releases of `name`, the one to try first at the front.
    #[must_use]
    pub fn releases(&self, name: &PackageName) -> &[Candidate] {
        self.packages.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every name with its releases, in the order of the names.
    pub(super) fn packages(&self) -> impl Iterator<Item = (&PackageName, &Vec<Candidate>)> {
        self.packages.iter()
    }

    /// Whether some package provides `name`.
    #[must_use]
    pub fn is_provided(&self, name: &PackageName) -> bool {
        self.providers.contains_key(name)
    }

    /// The names of packages with a release that provides `name`.
    pub(super) fn providers(&self, name: &PackageName) -> impl Iterator<Item = &PackageName> {
        self.providers.get(name).into_iter().flatten()
    }

    /// The release with this digest.
    #[must_use]
    pub fn find(&self, name: &PackageName, digest: Digest) -> Option<&Candidate> {
        self.releases(name).iter().find(|candidate| candidate.digest == digest)
    }

    /// Whether `candidate` may be chosen only where somebody asks for its variant: it is neither
    /// the default one nor the only one of its version.
    pub(super) fn must_be_asked_for(&self, candidate: &Candidate) -> bool {
        let release = &candidate.release;
        release.variant.is_some()
            && !candidate.default_variant
            && self.releases(&release.name).iter().any(|other| {
                other.release.version == release.version && other.release.variant != release.variant
            })
    }

    /// Whether `candidate` is of a variant that could be chosen: one that need not be asked for,
    /// or one that a wish or the dependency of some release names.
    pub(super) fn variant_is_eligible(&self, candidate: &Candidate) -> bool {
        let Candidate { release, .. } = candidate;
        let is_asked = |variant: &VariantName| {
            self.asked_variants.contains(&(release.name.clone(), variant.clone()))
        };
        !self.must_be_asked_for(candidate)
            || self.asked_packages.contains(&candidate.digest)
            || release.variant.as_ref().is_some_and(is_asked)
    }
}
