//! `mpkg install` and `upgrade`: a plan first, then the change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::audit::{Unread, Warning, warnings};
use super::catalogue::{Catalogue, Error, Result, Trust, Vouched};
use super::generations::lock;
use super::key::{self, KnownKey, Owner};
use super::local::LocalPackage;
use super::pins::Pins;
use super::statements::handed_over;
use super::transfer::{Traffic, Transfers};
use crate::net::Client;
use crate::package::{Digest, PackageName, ProfileName, Requirement};
use crate::progress::Progress;
use crate::registry::{Allowed, Policies, Remembered, Selection};
use crate::resolve::{Candidate, Chosen, Request, Wish};
use crate::store::{
    Adopted, Asked, Existing, Generation, Home, InstalledPackage, PicklePolicy, Profile, Store,
};

/// What is to be installed.
#[derive(Debug, Clone)]
pub enum Target {
    /// A package from a registry.
    Wish(Wish),
    /// A package file.
    File(PathBuf),
}

/// What may become of packages that are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// They stay unless they are in the way.
    Keep,
    /// These are taken in their newest version.
    Named(BTreeSet<PackageName>),
    /// All are taken in their newest version.
    All,
}

impl Renewal {
    fn names(&self, name: &PackageName) -> bool {
        match self {
            Self::Keep => false,
            Self::Named(names) => names.contains(name),
            Self::All => true,
        }
    }
}

/// Whether the plan will be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It will, so the home folder is locked.
    Change,
    /// It is only looked at.
    Look,
}

/// How to install.
#[derive(Debug, Clone)]
pub struct Options {
    /// The profile that changes.
    pub profile: ProfileName,
    /// What.
    pub targets: Vec<Target>,
    /// Package files and folders of them that dependencies may come from.
    pub with: Vec<PathBuf>,
    /// The registries that are asked.
    pub registries: Selection,
    /// What becomes of what is installed.
    pub renewal: Renewal,
    /// The lock file that what comes in must not differ from.
    pub locked: Option<Pins>,
    /// What this machine's policies forbid.
    pub policies: Policies,
    /// Files with signed statements about packages, and folders of them, for policies that ask
    /// for some.
    pub attestations: Vec<PathBuf>,
    /// Whether pickle-based files are let in.
    pub pickle: PicklePolicy,
    /// Whether the plan will be carried out.
    pub purpose: Purpose,
    /// The command, for the record.
    pub command: String,
    /// When.
    pub now: jiff::Timestamp,
}

/// What happens to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Install,
    /// It takes the place of another release.
    Replace(Box<InstalledPackage>),
    /// It stays, and is now there because somebody asked for it.
    Mark,
    /// Nothing.
    Keep,
}

/// One package of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The package as it will be listed.
    pub package: InstalledPackage,
    /// What happens to it.
    pub change: Change,
    /// Who stands for it, where it is not there yet.
    pub vouched: Option<Vouched>,
    /// What the policies that let it in found.
    pub allowed: Allowed,
    /// What is to be fetched for it.
    pub traffic: Traffic,
    /// Whether the command names it.
    pub named: bool,
    /// Why the release that it takes the place of was withdrawn, where it was.
    pub withdrawn: Option<String>,
}

/// What a command will do.
pub struct Plan<'a> {
    /// Every package of the next generation.
    pub packages: Vec<Planned>,
    /// What will be gone.
    pub removed: Vec<InstalledPackage>,
    catalogue: Catalogue<'a>,
    transfers: Transfers,
    store: Option<Store>,
    home: Home,
    options: Options,
}

/// The keys that this machine knows, and its memory of publishers.
///
/// # Errors
/// A key file that cannot be read.
pub fn trust(home: &Home) -> Result<Trust> {
    let keys = key::list(home)?;
    let is_own = |key: &&KnownKey| matches!(key.owner, Owner::Own { .. });
    let own_keys = keys.iter().filter(is_own).map(|key| key.public).collect();
    let known_keys = keys.iter().map(|key| key.public).collect();
    Ok(Trust { folder: home.trust(), known_keys, own_keys })
}

/// Finds out what is to be done; nothing is changed.
///
/// # Errors
/// Wishes that cannot be met, signatures that do not hold, registries that cannot be read.
pub fn plan<'a>(
    home: &Home,
    options: Options,
    client: &'a Client,
    progress: &dyn Progress,
) -> Result<Plan<'a>> {
    let store = match options.purpose {
        Purpose::Look => None,
        Purpose::Change => Some(lock(home, progress)?),
    };
    let current = Profile::of(home, &options.profile).current()?;
    let installed = current.map(|generation| generation.packages).unwrap_or_default();
    let mut files = LocalPackage::open_all(&options.with)?;
    let mut wishes = Vec::new();
    for target in &options.targets {
        wishes.push(match target {
            Target::Wish(wish) => wish.clone(),
            Target::File(path) => {
                let file = LocalPackage::open(path)?;
                let candidate = file.candidate();
                files.push(file);
                Wish {
                    name: candidate.release.name,
                    requirement: Requirement::from_file(&candidate.release.version),
                    variant: candidate.release.variant,
                    exact: Some(candidate.digest),
                }
            }
        });
    }
    let request = request(wishes, &installed, &options);
    let candidates: Vec<Candidate> = installed.iter().map(candidate_of).collect();
    let mut catalogue = Catalogue::open(&options.registries, files, trust(home)?, client)?;
    catalogue.hear(handed_over(&options.attestations)?);
    let chosen = catalogue.solve(&request, &candidates)?;
    let mut packages = chosen
        .iter()
        .map(|chosen| planned(chosen, &request, &installed, &options, &catalogue))
        .collect::<Result<Vec<_>>>()?;
    if let Some(pins) = &options.locked {
        pins.demand(&packages, &catalogue, progress)?;
    }
    let mut missing = Vec::new();
    for planned in packages.iter().filter(|planned| planned.vouched.is_some()) {
        let package = planned.package.package;
        if !home.package(package).is_dir() && home.shared_package(package)?.is_none() {
            missing.push(package);
        }
    }
    let transfers = Transfers::prepare(&catalogue, &missing, home)?;
    for planned in &mut packages {
        planned.traffic = transfers.expected(planned.package.package);
    }
    let removed = installed
        .into_iter()
        .filter(|old| packages.iter().all(|new| new.package.name != old.name))
        .collect();
    Ok(Plan { packages, removed, catalogue, transfers, store, home: home.clone(), options })
}

/// What the resolver is asked: the new wishes, and those of before that they do not replace.
fn request(wishes: Vec<Wish>, installed: &[InstalledPackage], options: &Options) -> Request {
    let mut kept = Vec::new();
    let mut preferred = BTreeMap::new();
    for package in installed {
        if !options.renewal.names(&package.name) {
            preferred.insert(package.name.clone(), package.package);
        }
        let is_wished = wishes.iter().any(|wish| wish.name == package.name);
        if let (Some(asked), false) = (&package.requested, is_wished) {
            kept.push(Wish {
                name: package.name.clone(),
                requirement: asked.requirement.clone(),
                variant: asked.variant.clone(),
                exact: None,
            });
        }
    }
    let locked = options.locked.as_ref().map(Pins::digests).unwrap_or_default();
    Request { wishes, locked, preferred, kept }
}

fn candidate_of(package: &InstalledPackage) -> Candidate {
    Candidate {
        release: package.release(),
        digest: package.package,
        default_variant: false,
        dependencies: package.dependencies.clone(),
        provides: package.provides.clone(),
        conflicts: package.conflicts.clone(),
        yanked: None,
    }
}

fn planned(
    chosen: &Chosen,
    request: &Request,
    installed: &[InstalledPackage],
    options: &Options,
    catalogue: &Catalogue<'_>,
) -> Result<Planned> {
    let renewal = &options.renewal;
    let candidate = &chosen.candidate;
    let name = &candidate.release.name;
    let asks = |wish: &&Wish| wish.name == *name;
    let wish = request.wishes.iter().find(asks);
    let asked = wish
        .or_else(|| request.kept.iter().find(asks))
        .map(|wish| Asked { requirement: wish.requirement.clone(), variant: wish.variant.clone() });
    // A wish for a virtual name asks for the package that was chosen for it.
    let asked = asked.or_else(|| {
        let any = Asked { requirement: Requirement::any(), variant: None };
        chosen.requested.then_some(any)
    });
    let named = wish.is_some()
        || chosen.requested && request.kept.iter().all(|kept| kept.name != *name)
        || installed.iter().any(|package| package.name == *name && renewal.names(name));
    let before = installed.iter().find(|package| package.name == *name);
    let withdrawn = before.and_then(|old| catalogue.withdrawn(old.package));
    if let Some(same) = before.filter(|package| package.package == candidate.digest) {
        let change = match (&same.requested, &asked) {
            (None, Some(_)) => Change::Mark,
            (Some(old), Some(new)) if old != new && named => Change::Mark,
            _ => Change::Keep,
        };
        let package = InstalledPackage {
            requested: asked.or_else(|| same.requested.clone()),
            ..same.clone()
        };
        let (allowed, traffic) = Default::default();
        let withdrawn = None;
        return Ok(Planned { package, change, vouched: None, allowed, traffic, named, withdrawn });
    }
    let vouched = catalogue.vouch(candidate.digest)?;
    let allowed = catalogue.demand_allowed(candidate.digest, &vouched, &options.policies)?;
    let (change, package) = (
        before.map_or(Change::Install, |old| Change::Replace(Box::new(old.clone()))),
        InstalledPackage {
            requested: asked,
            origin: vouched.origin.clone(),
            signed_by: vouched.signed_by.clone(),
            ..catalogue.describe(candidate.digest)
        },
    );
    let traffic = Traffic::default();
    let vouched = Some(vouched);
    Ok(Planned { package, change, vouched, allowed, traffic, named, withdrawn })
}

impl Plan<'_> {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.packages.iter().all(|planned| planned.change == Change::Keep)
    }

    /// Whether more changes than what the command names.
    #[must_use]
    pub fn exceeds_what_was_named(&self) -> bool {
        !self.removed.is_empty()
            || self.packages.iter().any(|planned| {
                matches!(planned.change, Change::Install | Change::Replace(_)) && !planned.named
            })
    }

    /// What advisories say of the packages of the next generation, by what is known on this
    /// machine so far.
    #[must_use]
    pub fn advisories(&self) -> (Vec<Warning>, Vec<Unread>) {
        let packages: Vec<&InstalledPackage> = self.packages.iter().map(|it| &it.package).collect();
        warnings(&self.catalogue, &self.home, &packages)
    }

    /// What is to be fetched in all.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic::default();
        for planned in &self.packages {
            traffic += planned.traffic;
        }
        traffic
    }

    /// Carries the plan out: fetches and unpacks, and switches to the new generation by one rename.
    /// Nothing is seen of it before that.
    ///
    /// # Errors
    /// What fails in fetching and unpacking; then the current generation is as it was.
    pub fn carry_out(&mut self, progress: &dyn Progress) -> Result<Option<(Generation, Traffic)>> {
        let transfers = std::mem::take(&mut self.transfers);
        let Some(store) = &self.store else { return Ok(None) };
        if self.is_empty() {
            return Ok(None);
        }
        let late = self.adopt(store, &transfers, progress)?;
        let late = Transfers::prepare(&self.catalogue, &late, &self.home)?;
        let mut traffic = Traffic::default();
        for transfers in [transfers, late] {
            traffic += transfers.carry_out(&self.catalogue, progress, |package| {
                store.add(package, Existing::Keep, self.options.pickle, progress)?;
                Ok(())
            })?;
        }
        for planned in self.packages.iter().filter(|planned| planned.vouched.is_some()) {
            self.remember(planned)?;
        }
        let packages = self.packages.iter().map(|planned| planned.package.clone()).collect();
        let profile = Profile::of(&self.home, &self.options.profile);
        let generation =
            store.commit(&profile, packages, &self.options.command, self.options.now)?;
        Ok(Some((generation, traffic)))
    }

    /// Uses what shared stores have. Gives what is still to be fetched although nobody planned to:
    /// packages that are damaged there, or gone from there by now.
    fn adopt(
        &self,
        store: &Store,
        transfers: &Transfers,
        progress: &dyn Progress,
    ) -> Result<Vec<Digest>> {
        let mut late = Vec::new();
        for planned in self.packages.iter().filter(|planned| planned.vouched.is_some()) {
            let package = planned.package.package;
            if store.holds(package) || transfers.cover(package) {
                continue;
            }
            match store.adopt(package, progress)? {
                Adopted::InPlace(folder) => {
                    progress.note(&format!("Used in place: {}", folder.display()));
                    continue;
                }
                Adopted::Damaged(folder) => {
                    progress.warn(&format!("{} is damaged and is not used", folder.display()));
                }
                Adopted::Nowhere => {}
            }
            late.push(package);
        }
        Ok(late)
    }

    /// Holds on to the publishers of a name that is installed for the first time, or follows them.
    fn remember(&self, planned: &Planned) -> Result<()> {
        let Some(vouched) = &planned.vouched else { return Ok(()) };
        let trust = self.home.trust();
        let name = &planned.package.name;
        let (publishers, origin) = (&vouched.publishers, &vouched.origin);
        Ok(Remembered::hold_on(&trust, name, publishers, origin, self.options.now)?)
    }
}

impl From<Wish> for Target {
    fn from(wish: Wish) -> Self {
        Self::Wish(wish)
    }
}

/// The names that nothing needs any more once `gone` are gone, `gone` included; only packages
/// that nobody asked for go along.
pub(super) fn unneeded(
    packages: &[InstalledPackage],
    gone: &BTreeSet<PackageName>,
) -> BTreeSet<PackageName> {
    let mut needed: BTreeSet<&PackageName> = BTreeSet::new();
    let mut open: Vec<&InstalledPackage> = packages
        .iter()
        .filter(|package| package.requested.is_some() && !gone.contains(&package.name))
        .collect();
    while let Some(package) = open.pop() {
        if needed.insert(&package.name) {
            open.extend(packages.iter().filter(|other| {
                !gone.contains(&other.name)
                    && package.dependencies.iter().any(|need| other.meets(need))
            }));
        }
    }
    packages
        .iter()
        .map(|package| &package.name)
        .filter(|name| !needed.contains(name))
        .cloned()
        .collect()
}

/// The error for a package that others need.
pub(super) fn needed(name: &PackageName, by: Vec<String>) -> Error {
    Error::Needed { name: name.clone(), by }
}
