//! From wishes and what registries offer to exact releases. Pure: it reads what it is handed.

mod answer;
mod error;
mod explain;
mod solver;
mod universe;

use std::collections::{BTreeMap, BTreeSet};

use crate::package::{
    Dependency, Digest, PackageName, PackageVersion, Release, Requirement, VariantName,
};

pub use error::{Error, InvalidWish};
pub use explain::{Clash, Conflict, Excluded, Need, Why};
pub use universe::{Listing, LookUp, Universe};

/// The stack that solving gets, in bytes; only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// A release that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub digest: Digest,
    /// Whether its source names this variant as the default one.
    pub default_variant: bool,
    /// What it needs beside.
    pub dependencies: Vec<Dependency>,
    /// Virtual names that it stands for.
    pub provides: Vec<PackageName>,
    /// Names that cannot be installed beside it.
    pub conflicts: Vec<PackageName>,
    /// Why it was withdrawn, where it was; then it is chosen only where it is locked or preferred.
    pub yanked: Option<String>,
}

/// Something that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wish {
    /// The package or virtual name.
    pub name: PackageName,
    /// The versions that will do.
    pub requirement: Requirement,
    /// The variant that is asked for; without it the default one.
    pub variant: Option<VariantName>,
    /// The one package that will do, by its digest.
    pub exact: Option<Digest>,
}

impl Wish {
    /// Any release of `name` in its default variant.
    #[must_use]
    pub fn any(name: PackageName) -> Self {
        Self { name, requirement: Requirement::any(), variant: None, exact: None }
    }
}

impl From<&Dependency> for Wish {
    fn from(dependency: &Dependency) -> Self {
        Self {
            name: dependency.name.clone(),
            requirement: dependency.requirement.clone(),
            variant: dependency.variant.clone(),
            exact: None,
        }
    }
}

impl std::str::FromStr for Wish {
    type Err = InvalidWish;

    /// Reads `NAME[@REQUIREMENT][:VARIANT]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, variant) = match text.rsplit_once(':') {
            Some((rest, variant)) => (rest, Some(variant.parse()?)),
            None => (text, None),
        };
        let (name, requirement) = match rest.split_once('@') {
            Some((name, requirement)) => (name, requirement.parse()?),
            None => (rest, Requirement::any()),
        };
        Ok(Self { name: name.parse()?, requirement, variant, exact: None })
    }
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        if self.requirement != Requirement::any() {
            write!(f, "@{}", self.requirement)?;
        }
        match &self.variant {
            Some(variant) => write!(f, ":{variant}"),
            None => Ok(()),
        }
    }
}

/// What is to be solved.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What must be in the answer.
    pub wishes: Vec<Wish>,
    /// The only package of a name that will do, from a lock file. A yanked one is allowed here.
    pub locked: BTreeMap<PackageName, Digest>,
    /// The package of a name that is taken where it will do, because it is installed already.
    pub preferred: BTreeMap<PackageName, Digest>,
    /// Packages that stay as they are if nothing forces them away; they need not be needed.
    pub kept: Vec<Wish>,
}

impl Request {
    /// What must be in the answer, in the order in which it is looked at: wishes first, each list
    /// in the order of the names.
    fn in_order(&self) -> Vec<Wish> {
        let sorted = |list: &[Wish]| {
            let mut list = list.to_vec();
            list.sort_by_cached_key(|wish| (wish.name.clone(), wish.to_string(), wish.exact));
            list
        };
        [sorted(&self.wishes), sorted(&self.kept)].concat()
    }

    /// Whether `candidate` is the very release that is locked or preferred.
    fn holds(&self, candidate: &Candidate) -> bool {
        let held = |map: &BTreeMap<PackageName, Digest>| {
            map.get(&candidate.release.name) == Some(&candidate.digest)
        };
        held(&self.locked) || held(&self.preferred)
    }
}

/// One release of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The release.
    pub candidate: Candidate,
    /// Whether a wish names it, as against being only a dependency.
    pub requested: bool,
}

/// Solves `request` over `universe`. The answer holds each name at most once, in the order of the
/// names, and nothing that is not needed. It is the first in this sense: what is asked for is
/// looked at in the order of the names, then what that needs in the same way, and so on; each gets
/// the release that comes first among those that some answer has which agrees with all that was
/// taken before. Neither the order of the input nor the way of searching makes a difference.
///
/// # Errors
/// [`Error::Unsolvable`] says in sentences who needs what and what exists; [`Error::TooHard`].
pub fn resolve(universe: &Universe, request: &Request) -> Result<Vec<Chosen>, Error> {
    // Explaining why there is no answer follows long chains of reasons.
    let solve = || answer::first(universe, request);
    let chosen = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, solve);
        let thread = thread.map_err(|error| Error::NoThread(error.to_string()))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let wishes = || request.wishes.iter().chain(&request.kept);
    let mut chosen: Vec<Chosen> = chosen
        .into_iter()
        .map(|candidate| Chosen {
            candidate: candidate.clone(),
            requested: wishes().any(|wish| solver::meets(candidate, wish)),
        })
        .collect();
    chosen.sort_by(|one, other| one.candidate.release.name.cmp(&other.candidate.release.name));
    Ok(chosen)
}

/// The versions of `candidates`, highest first, each once.
pub(crate) fn versions<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
) -> Vec<PackageVersion> {
    let set: BTreeSet<_> =
        candidates.into_iter().map(|candidate| candidate.release.version.clone()).collect();
    set.into_iter().rev().collect()
}

#[cfg(test)]
mod tests;
