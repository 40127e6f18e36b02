//! `mpkg licenses`: which licence everything has that a package was made from, on whose word, and
//! what follows.

mod bill;
mod error;
mod evidence;
mod notes;
mod pieces;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

pub use bill::bill;
pub use error::{Error, Result};
pub use notes::PartNote;
pub(super) use pieces::files_of;

use super::lineage::{Gap, Genealogist, Lineage, Part, Places, Subject};
use crate::build::data::Fetcher;
use crate::package::Digest;
use crate::store::CacheUse;
use crate::study::facts::{FactStore, Read};
use crate::study::licences::{self, Evidence, Finding, LicenceFact, Sighting, recognise};
use pieces::{Brought, Claim, Piece, Text};

/// Where evidence is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looking<'a> {
    /// In source trees, installed packages and the cache.
    Here,
    /// Where it is from, too.
    Everywhere {
        /// The folders in which programs are looked for: the interpreter that wheels are for.
        search_path: &'a [PathBuf],
    },
}

/// Licence facts along a lineage.
#[derive(Debug, Clone)]
pub struct Licences {
    /// The packages.
    pub parts: Vec<Part>,
    /// The facts, in the order of the packages.
    pub facts: Vec<LicenceFact>,
    /// What follows, package by package.
    pub notes: Vec<PartNote>,
    /// What of the lineage is not to be had.
    pub gaps: Vec<Gap>,
}

impl Licences {
    /// What is wrong, each with the fact that it is about.
    pub fn findings(&self) -> impl Iterator<Item = (&LicenceFact, &Finding)> {
        self.facts.iter().flat_map(|fact| fact.findings.iter().map(move |finding| (fact, finding)))
    }

    /// The package that a fact is about, as in `docs-corpus 1.0.0`.
    #[must_use]
    pub fn package_of(&self, fact: &LicenceFact) -> String {
        named(&self.parts[fact.part])
    }
}

/// The licence facts of `subject` and of all that it was built from.
///
/// # Errors
/// When the subject is not to be had, or something is damaged or not believed. Evidence that is
/// not to be had is a finding.
pub fn licenses(
    subject: &Subject,
    looking: Looking<'_>,
    places: &Places<'_>,
    now: Timestamp,
) -> Result<Licences> {
    let _use = CacheUse::begin(&places.home.cache(), || {
        places.progress.note("Waiting for an mpkg that clears the cache");
    })?;
    let lineage = Genealogist::new(places)?.follow(subject)?;
    of_lineage(lineage, looking, places, now)
}

/// The licence facts of a lineage that was followed already.
///
/// # Errors
/// When a source tree or a lock file cannot be read.
pub fn of_lineage(
    lineage: Lineage,
    looking: Looking<'_>,
    places: &Places<'_>,
    now: Timestamp,
) -> Result<Licences> {
    let Lineage { parts, gaps } = lineage;
    let mut store = FactStore::open(&places.home.cache());
    let mut gathered = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let gatherer = pieces::Gatherer { number, part, looking, places, store: &store };
        gathered.extend(gatherer.pieces()?);
    }
    read_texts(&gathered, &mut store, now);
    let facts: Vec<LicenceFact> =
        gathered.into_iter().map(|piece| fact(piece, &store, now)).collect();
    store.save()?;
    let notes = notes::of(&parts, &facts);
    Ok(Licences { parts, facts, notes, gaps })
}

/// Finds out what texts say of which that is not known, several at once.
fn read_texts(pieces: &[Piece], store: &mut FactStore, now: Timestamp) {
    let texts = || pieces.iter().flat_map(Piece::texts);
    let mut unknown: BTreeMap<Digest, &[u8]> = BTreeMap::new();
    for text in texts() {
        if store.sightings(text.sha256).is_none() {
            unknown.insert(text.sha256, &text.bytes);
        }
    }
    let unknown: Vec<(Digest, &[u8])> = unknown.into_iter().collect();
    let found: Vec<(Digest, Vec<Sighting>)> = unknown
        .par_iter()
        .map(|(digest, bytes)| (*digest, recognise(&String::from_utf8_lossy(bytes))))
        .collect();
    for (digest, sightings) in found {
        store.add_text(digest, sightings);
    }
    for text in texts() {
        if let Some(key) = &text.key {
            store.add_evidence(key.clone(), Read { sha256: text.sha256, date: now });
        }
    }
}

fn fact(piece: Piece, store: &FactStore, now: Timestamp) -> LicenceFact {
    let Piece { place, claim, brought } = piece;
    let said = |text: &Text| {
        let mut found = store.sightings(text.sha256).unwrap_or_default().to_vec();
        // A licence of one's own is whatever its text says.
        if let Some(own) = &text.own
            && found.iter().all(|one| !one.any_of.contains(own))
        {
            found = vec![Sighting::one(own.clone(), licences::How::Text)];
        }
        found
    };
    let (evidence, sightings) = match brought {
        Brought::None => (Evidence::None, Vec::new()),
        Brought::Unseen { place, why } => (Evidence::Unseen { place, why }, Vec::new()),
        Brought::Gone { place, why } => (Evidence::Gone { place, why }, Vec::new()),
        Brought::Known { place, read } => {
            let sightings = store.sightings(read.sha256).unwrap_or_default().to_vec();
            (Evidence::Seen { place, sha256: read.sha256, date: read.date }, sightings)
        }
        Brought::Tags { place, sightings } => {
            let sha256 = Digest::of(b"");
            (Evidence::Seen { place, sha256, date: now }, sightings)
        }
        Brought::Texts(texts) => {
            let place = listed(&texts);
            let sha256 = texts.first().map_or(Digest::of(b""), |text| text.sha256);
            let mut sightings: Vec<Sighting> = texts.iter().flat_map(said).collect();
            sightings.sort();
            sightings.dedup();
            (Evidence::Seen { place, sha256, date: now }, sightings)
        }
    };
    match claim {
        Claim::Declared(license) => LicenceFact::judged(place, &license, evidence, sightings),
        Claim::Metadata(text) => {
            let declared = text.as_ref().map(said).unwrap_or_default();
            pieces::wheel(place, &declared, evidence, sightings)
        }
    }
}

/// The places of several texts, the first of many.
fn listed(texts: &[Text]) -> String {
    const MOST: usize = 3;
    let places: Vec<&str> = texts.iter().map(|text| text.place.as_str()).collect();
    match &places[..] {
        [first, rest @ ..] if rest.len() >= MOST => format!("{first} and {} more", rest.len()),
        few => few.join(", "),
    }
}

fn named(part: &Part) -> String {
    format!("{} {}", part.package.name, part.package.version)
}

/// A fetcher for the data of a part that asks registries first, if its source is to be had.
pub(super) fn fetcher<'a>(part: &Part, places: &Places<'a>) -> Option<Fetcher<'a>> {
    let tree = part.tree.as_ref()?;
    let by_digest = super::registry::data::by_digest(places.registries);
    Some(Fetcher::new(tree.root(), places.client).asking_first(by_digest))
}
