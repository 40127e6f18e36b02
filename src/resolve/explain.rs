//! Why a request has no answer, in sentences: who needs what, and what exists.

use std::collections::BTreeSet;
use std::fmt;

use super::{Universe, Wish, versions};
use crate::explain::printable;
use crate::package::{Digest, PackageName, Release, Requirement};

/// How many versions a sentence lists.
const MOST_LISTED: usize = 6;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// Whoever called.
    User,
    /// A release that depends on something.
    Release(Release),
}

/// Somebody needs something.
#[derive(Debug, Clone)]
pub struct Need {
    /// Who: releases of one name, or the user alone.
    pub askers: BTreeSet<Asker>,
    /// What.
    pub wish: Wish,
    /// The releases that would do by themselves.
    pub offers: BTreeSet<Release>,
    /// What exists of that name, where nothing would do.
    pub existing: Existing,
}

/// What exists of a name of which no release will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Existing {
    /// Not looked at: something would do.
    #[default]
    Unasked,
    /// Nothing is called so; the nearest name, where somebody looked for one.
    Nothing(Option<String>),
    /// It is only provided, by these packages, and so has no version and no variant.
    Provided(Vec<String>),
    /// These versions, highest first, as text.
    Versions(Vec<String>),
    /// The version is there, in these variants only.
    Variants(Vec<String>),
    /// Only pre-releases would do, this one is the highest.
    Prerelease(String),
}

/// Two releases that cannot be installed together.
#[derive(Debug, Clone)]
pub struct Clash {
    /// The one that says so.
    pub asker: Asker,
    /// The other.
    pub with: Release,
}

/// A release that may not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    /// The release.
    pub release: Release,
    /// Why.
    pub why: Why,
}

/// Why a release may not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It was withdrawn, for this reason.
    Yanked(String),
    /// The lock file pins another package of this name, with this digest.
    Locked(Digest),
    /// It is not the default variant, and nobody asks for it.
    Variant,
}

/// Everything that stands in the way of an answer.
#[derive(Debug, Clone, Default)]
pub struct Conflict {
    /// Who needs what.
    pub needs: Vec<Need>,
    /// Who cannot be installed together.
    pub clashes: Vec<Clash>,
    /// What may not be chosen.
    pub excluded: Vec<Excluded>,
}

impl Conflict {
    /// Adds that `asker` needs `wish`, and that `offer` would do.
    pub(super) fn add_need(&mut self, asker: Asker, wish: Wish, offer: Option<Release>) {
        let same = self.needs.iter_mut().find(|need| {
            need.wish == wish && need.askers.iter().all(|other| same_name(other, &asker))
        });
        match same {
            Some(need) => {
                need.askers.insert(asker);
                need.offers.extend(offer);
            }
            None => self.needs.push(Need {
                askers: BTreeSet::from([asker]),
                wish,
                offers: offer.into_iter().collect(),
                existing: Existing::Unasked,
            }),
        }
    }

    /// Looks up what exists where nothing would do, and puts everything into a fixed order.
    pub(super) fn complete(&mut self, universe: &Universe) {
        for need in self.needs.iter_mut().filter(|need| need.offers.is_empty()) {
            need.existing = existing(universe, &need.wish);
        }
        self.needs.sort_by(|a, b| {
            (&a.askers, &a.wish.name, a.wish.to_string()).cmp(&(
                &b.askers,
                &b.wish.name,
                b.wish.to_string(),
            ))
        });
        self.clashes.sort_by(|a, b| (&a.asker, &a.with).cmp(&(&b.asker, &b.with)));
        self.excluded.sort();
        self.excluded.dedup();
    }

    /// Adds the nearest names to needs of names that nothing has.
    pub fn suggest(&mut self, nearest: impl Fn(&PackageName) -> Option<String>) {
        for need in &mut self.needs {
            if let Existing::Nothing(near) = &mut need.existing {
                *near = nearest(&need.wish.name);
            }
        }
    }

    /// The one fact that helps most.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let missing = self.needs.iter().find(|need| need.offers.is_empty());
        if let Some(need) = missing {
            return match &need.existing {
                Existing::Prerelease(version) => Some(format!(
                    "pre-releases are taken only when they are asked for: {}@={version}",
                    need.wish.name
                )),
                Existing::Variants(variants) => {
                    Some(format!("ask for it as {}:{}", need.wish.name, variants.first()?))
                }
                Existing::Versions(_) => {
                    Some(format!("see what there is with: mpkg info {}", need.wish.name))
                }
                Existing::Nothing(Some(nearest)) => {
                    Some(format!("there is a package called {nearest}"))
                }
                Existing::Nothing(None) => {
                    Some(format!("look for it with: mpkg search {}", need.wish.name))
                }
                Existing::Provided(providers) => {
                    Some(format!("ask for the package itself: {}", providers.first()?))
                }
                Existing::Unasked => None,
            };
        }
        if let Some(excluded) = self.excluded.first() {
            return excluded.hint();
        }
        (!self.clashes.is_empty()).then(|| "remove one of them first with: mpkg remove".to_owned())
    }
}

impl Excluded {
    fn hint(&self) -> Option<String> {
        let Release { name, variant, .. } = &self.release;
        Some(match self.why {
            Why::Yanked(_) => "a withdrawn release is taken only where it is installed already \
                               or a lock file pins it"
                .to_owned(),
            Why::Locked(_) => "let the lock file be written anew, without --locked".to_owned(),
            Why::Variant => format!("ask for it by name: {name}:{}", variant.as_ref()?),
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yanked(reason) if reason.is_empty() => f.write_str("it was yanked"),
            Self::Yanked(reason) => write!(f, "it was yanked: {}", printable(reason)),
            Self::Locked(kept) => write!(f, "the lock file pins another one ({})", kept.short()),
            Self::Variant => f.write_str("it is not the default variant and nobody asks for it"),
        }
    }
}

fn same_name(a: &Asker, b: &Asker) -> bool {
    match (a, b) {
        (Asker::User, Asker::User) => true,
        (Asker::Release(a), Asker::Release(b)) => a.name == b.name,
        _ => false,
    }
}

fn existing(universe: &Universe, wish: &Wish) -> Existing {
    let releases = universe.releases(&wish.name);
    if releases.is_empty() {
        let providers: Vec<String> =
            universe.providers(&wish.name).map(ToString::to_string).collect();
        return match providers.is_empty() {
            true => Existing::Nothing(None),
            false => Existing::Provided(providers),
        };
    }
    let right_version = || releases.iter().filter(|c| wish.requirement.matches(&c.release.version));
    if wish.variant.is_some() && right_version().next().is_some() {
        let variants: BTreeSet<String> = right_version()
            .filter_map(|candidate| candidate.release.variant.as_ref().map(ToString::to_string))
            .collect();
        return Existing::Variants(variants.into_iter().collect());
    }
    let prerelease = releases.iter().find(|candidate| {
        let version = candidate.release.version.semver();
        let without_suffix = semver::Version::new(version.major, version.minor, version.patch);
        candidate.release.version.is_prerelease()
            && without_suffix.to_string().parse().is_ok_and(|v| wish.requirement.matches(&v))
    });
    match prerelease {
        Some(candidate) => Existing::Prerelease(candidate.release.version.to_string()),
        None => Existing::Versions(versions(releases).iter().map(ToString::to_string).collect()),
    }
}

/// `a`, `a and b`, `a, b and c`; long lists are cut.
fn listed(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        _ if words.len() > MOST_LISTED => {
            format!("{} and {} more", words[..MOST_LISTED].join(", "), words.len() - MOST_LISTED)
        }
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn described(wish: &Wish) -> String {
    let mut text = wish.name.to_string();
    if wish.requirement != Requirement::any() {
        text = format!("{text} {}", wish.requirement);
    }
    match &wish.variant {
        Some(variant) => format!("{text} in variant {variant}"),
        None => text,
    }
}

fn askers(askers: &BTreeSet<Asker>) -> (String, &'static str) {
    let releases: Vec<&Release> = askers
        .iter()
        .filter_map(|asker| match asker {
            Asker::Release(release) => Some(release),
            Asker::User => None,
        })
        .collect();
    let Some(first) = releases.first() else { return ("you".to_owned(), "ask for") };
    let versions: BTreeSet<_> = releases.iter().map(|release| &release.version).collect();
    let words: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let verb = if words.len() == 1 { "needs" } else { "need" };
    (format!("{} {}", first.name, listed(&words)), verb)
}

fn short(release: &Release) -> String {
    format!("{} {}", release.name, release.version)
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, verb) = askers(&self.askers);
        write!(f, "{who} {verb} {}", described(&self.wish))?;
        let others: BTreeSet<&PackageName> = self
            .offers
            .iter()
            .map(|release| &release.name)
            .filter(|name| **name != self.wish.name)
            .collect();
        if !others.is_empty() {
            let words: Vec<String> = others.iter().map(ToString::to_string).collect();
            write!(f, ", which {} can stand for", listed(&words))?;
        }
        match &self.existing {
            Existing::Unasked => Ok(()),
            Existing::Nothing(_) => write!(f, ", and no package is called {}", self.wish.name),
            Existing::Provided(by) => write!(
                f,
                ", and that name is only provided, by {}, which gives it no version and no variant",
                listed(by)
            ),
            Existing::Versions(versions) => write!(f, ", and there is only {}", listed(versions)),
            Existing::Variants(variants) => {
                write!(f, ", and its variants are {}", listed(variants))
            }
            Existing::Prerelease(version) => {
                write!(f, ", and only a pre-release fits: {version}")
            }
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.needs.iter().map(ToString::to_string).collect();
        for clash in &self.clashes {
            let who = match &clash.asker {
                Asker::Release(release) => short(release),
                Asker::User => "you".to_owned(),
            };
            lines.push(format!("{who} cannot be installed beside {}", short(&clash.with)));
        }
        for excluded in &self.excluded {
            lines.push(format!("{} may not be chosen: {}", excluded.release, excluded.why));
        }
        let mut seen = BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        if let [only] = lines.as_slice() {
            return f.write_str(only);
        }
        f.write_str("no releases fit together:")?;
        lines.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}
