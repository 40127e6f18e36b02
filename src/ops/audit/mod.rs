//! `mpkg audit`: which packages advisories concern, through what they were built from.

mod local;
mod records;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::advisory;
use super::catalogue;
use super::lineage::{self, Gap, Genealogist, Lineage, Places, Subject};
use super::list::list;
use super::materials::materials;
use crate::explain::Explain;
use crate::package::advisory::Advisory;
use crate::package::{Digest, PackageType, Release, Requirement};
use crate::resolve::Wish;
use crate::store::CacheUse;
use crate::study::advisories::{
    Cleared, Finding, Graph, Judged, Piece, PieceData, Withdrawn, judge,
};

pub use local::{Warning, path_words, warnings};
pub use records::{Origin, Records, Unread};

/// What is audited.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// A package, a tree or a file; without one, all installed packages.
    pub subject: Option<Subject>,
    /// Files of advisories and statements that count beside those of the registries.
    pub advisories: Vec<PathBuf>,
}

/// What an audit found.
#[derive(Debug)]
pub struct Audited {
    /// The packages and what they were built from.
    pub graph: Graph,
    /// Which of them were audited.
    pub roots: Vec<usize>,
    /// The advisories that may concern them.
    pub advisories: Vec<Advisory>,
    /// Where each is from.
    pub origins: Vec<Origin>,
    /// Affected packages.
    pub findings: Vec<Finding>,
    /// For each finding a published release that is newer and not affected.
    pub upgrades: Vec<Option<Release>>,
    /// Packages that are not affected because somebody said so.
    pub cleared: Vec<Cleared>,
    /// How many advisories the registries list.
    pub listed: usize,
    /// What of the lineage could not be had.
    pub gaps: Vec<Gap>,
    /// What of the advisories could not be read.
    pub unread: Vec<Unread>,
}

impl Audited {
    /// Whether everything could be looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.unread.is_empty()
    }
}

/// What can fail in an audit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lineage.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// A registry.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// A file of advisories.
    #[error(transparent)]
    Advisory(#[from] advisory::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] crate::fs::Error),
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lineage(error) => error.kind(),
            Self::Catalogue(error) => error.kind(),
            Self::Advisory(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::File(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.hint(),
            Self::Catalogue(error) => error.hint(),
            Self::Advisory(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::File(error) => error.hint(),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Lineage(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Lineage(error) => error.details(),
            Self::Advisory(error) => error.details(),
            _ => None,
        }
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Audits what is installed, or one subject.
///
/// # Errors
/// When the subject is not to be had, a file of advisories is not as it should be, or there is
/// nobody to ask.
pub fn audit(options: &AuditOptions, places: &Places<'_>) -> Result<Audited> {
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    if places.registries.sources.is_empty() && options.advisories.is_empty() {
        return Err(catalogue::Error::NoRegistry.into());
    }
    let mut genealogist = Genealogist::new(places)?;
    let subjects = match &options.subject {
        Some(subject) => vec![subject.clone()],
        None => list(places.home, places.profile)?
            .into_iter()
            .map(|package| {
                let requirement = Requirement::exactly(&package.version);
                let (name, variant) = (package.name, package.variant);
                Subject::Release(Wish { name, requirement, variant, exact: Some(package.package) })
            })
            .collect(),
    };
    let (lineage, roots) = genealogist.follow_all(&subjects)?;
    let (graph, mut gaps) = graph(&lineage, places);
    gaps.extend(lineage.gaps);
    let mut records = Records::default();
    for path in &options.advisories {
        records.add_own(advisory::read(path)?.0);
    }
    let catalogue = genealogist.catalogue();
    for place in 0..catalogue.selected().len() {
        match catalogue.registry(place) {
            Ok(registry) => records.add(registry, &graph),
            Err(error) => {
                let location = catalogue.selected()[place].shown_location();
                records.note(format!("the advisories of {location}"), &error);
            }
        }
    }
    let Judged { findings, cleared } = judge(&graph, &roots, &records.advisories, &records.said);
    let upgrades = upgrades(&findings, &graph, &records, &mut genealogist, places);
    let Records { advisories, origins, listed, unread, .. } = records;
    Ok(Audited {
        graph,
        roots,
        advisories,
        origins,
        findings,
        upgrades,
        cleared,
        listed,
        gaps,
        unread,
    })
}

/// The lineage as a graph. Where data in a source cannot be read there is a gap.
fn graph(lineage: &Lineage, places: &Places<'_>) -> (Graph, Vec<Gap>) {
    let mut gaps = Vec::new();
    let mut graph = Graph::default();
    for part in &lineage.parts {
        let data = materials(part, places.client).unwrap_or_else(|error| {
            let what = format!("the data of {}", part.package.release());
            gaps.push(Gap { what, why: error.to_string() });
            Vec::new()
        });
        let data = data.into_iter().map(|material| PieceData {
            name: material.name,
            digests: std::iter::once(material.digest).chain(material.shards).collect(),
            withdrawn: Withdrawn::Records(material.withdrawn),
        });
        graph.pieces.push(Piece {
            release: part.package.release(),
            digest: Some(part.package.package).filter(|digest| *digest != Digest::of(b"")),
            data: data.collect(),
            needs: part.needs.iter().filter_map(|need| need.part).collect(),
        });
    }
    for (place, part) in lineage.parts.iter().enumerate() {
        if part.tree.is_none() {
            // Which records were withdrawn is not known, and nothing is taken on trust.
            let none = Withdrawn::Records(BTreeSet::new());
            local::add_inputs(&mut graph, place, &part.package, places.home, &none);
        }
    }
    (graph, gaps)
}

/// For each finding the newest published release of the package that is not affected, if that is
/// newer than the one that is. That none is found is no failure.
fn upgrades(
    findings: &[Finding],
    graph: &Graph,
    records: &Records,
    genealogist: &mut Genealogist<'_>,
    places: &Places<'_>,
) -> Vec<Option<Release>> {
    findings
        .iter()
        .map(|finding| {
            let affected = &graph.pieces[finding.path[0]].release;
            let newest = newest(affected, genealogist)?;
            let (lineage, roots) = genealogist.follow_all(&[Subject::Release(newest.1)]).ok()?;
            let (graph, gaps) = self::graph(&lineage, places);
            let advisories = std::slice::from_ref(&records.advisories[finding.advisory]);
            let judged = judge(&graph, &roots, advisories, &records.said);
            let is_known = gaps.is_empty() && lineage.gaps.is_empty();
            (is_known && judged.findings.is_empty()).then_some(newest.0)
        })
        .collect()
}

/// The newest release of the same name and variant, if it is newer.
fn newest(affected: &Release, genealogist: &Genealogist<'_>) -> Option<(Release, Wish)> {
    let (index, _) = genealogist.catalogue().name(&affected.name).ok()??;
    let offered = index.releases.iter().filter(|entry| {
        entry.package_type == PackageType::Binary
            && entry.yanked.is_none()
            && entry.variant == affected.variant
            && entry.version > affected.version
            && (!entry.version.is_prerelease() || affected.version.is_prerelease())
    });
    let newest = offered.max_by(|one, other| one.version.cmp(&other.version))?;
    let release = newest.release(&affected.name);
    let wish = Wish {
        name: affected.name.clone(),
        requirement: Requirement::exactly(&newest.version),
        variant: newest.variant.clone(),
        exact: Some(newest.package),
    };
    Some((release, wish))
}
