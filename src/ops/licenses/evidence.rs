//! Brings the text that a data reference names as the evidence for its licence.

use super::Looking;
use super::pieces::{Brought, Text, why};
use crate::build::data::{self, Fetcher, shown};
use crate::build::tree::SourceTree;
use crate::fs;
use crate::net::Network;
use crate::ops::lineage::Places;
use crate::package::PackagePath;
use crate::package::manifest::{DataAddress, DataReference, DataSource, Origin};
use crate::study::facts::FactStore;
use crate::study::licences::LONGEST_EVIDENCE;

/// Looks for the evidence of one data reference.
pub(super) struct Witness<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) reference: &'a DataReference,
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) looking: Looking<'a>,
    pub(super) store: &'a FactStore,
    pub(super) places: &'a Places<'a>,
}

impl Witness<'_> {
    /// What there is of the evidence `named`: a path, or an address.
    pub(super) fn brought(&self, named: &str) -> Brought {
        if let Ok(path) = named.parse::<PackagePath>() {
            return self.at_path(&path);
        }
        match named.parse::<DataAddress>() {
            Ok(address) => self.at_address(&address),
            // The manifest was checked, so this is a form that it took and we do not.
            Err(error) => Brought::Gone { place: named.to_owned(), why: error.to_string() },
        }
    }

    /// A file of the tree, or of the data.
    fn at_path(&self, path: &PackagePath) -> Brought {
        let place = path.below(self.tree.root());
        let in_data = matches!(self.reference.source, DataSource::InTree { .. });
        if place.symlink_metadata().is_ok_and(|found| found.is_file()) {
            return match fs::read(&place, LONGEST_EVIDENCE) {
                Ok(bytes) => Brought::Texts(vec![Text::new(path.as_str(), bytes)]),
                Err(error) => Brought::Gone { place: path.to_string(), why: error.to_string() },
            };
        }
        let shown = format!("{path} in data `{}`", self.reference.name);
        let key = self.key(path);
        if let Some(read) = key.as_ref().and_then(|key| self.store.evidence(key))
            && self.store.sightings(read.sha256).is_some()
        {
            return Brought::Known { place: shown, read };
        }
        if self.looks_everywhere()
            && !in_data
            && let Err(error) =
                self.fetcher.fetch(std::slice::from_ref(self.reference), self.places.progress)
        {
            return Brought::Gone { place: shown, why: why(&error) };
        }
        match self.fetcher.read_within(self.reference, path, LONGEST_EVIDENCE) {
            Ok(Some(bytes)) => Brought::Texts(vec![Text { key, ..Text::new(shown, bytes) }]),
            Ok(None) => Brought::Unseen {
                place: shown,
                why: "the data is not in the cache; --check fetches it".to_owned(),
            },
            Err(error) => Brought::Gone { place: shown, why: why(&error) },
        }
    }

    /// The name under which evidence within fetched data is remembered: its bytes never change.
    fn key(&self, path: &PackagePath) -> Option<String> {
        match &self.reference.source {
            DataSource::Fetched { sha256, .. } => Some(format!("data {sha256} {path}")),
            DataSource::InTree { .. } | DataSource::Shards { .. } => None,
        }
    }

    fn at_address(&self, address: &DataAddress) -> Brought {
        let place = shown(address);
        let key = format!("address {place}");
        let known = self.store.evidence(&key);
        let text = |bytes| Text { key: Some(key.clone()), ..Text::new(place.clone(), bytes) };
        let is_here = matches!(address.origin, Origin::File(_));
        if !self.looks_everywhere() && !is_here {
            if let Some(read) = known
                && self.store.sightings(read.sha256).is_some()
            {
                return Brought::Known { place, read };
            }
            return match self.in_own_archive(address) {
                Some(bytes) => Brought::Texts(vec![text(bytes)]),
                None => Brought::Unseen {
                    place,
                    why: "nobody has read it here yet; --check does".to_owned(),
                },
            };
        }
        let read =
            self.fetcher.read(self.reference, address, LONGEST_EVIDENCE, self.places.progress);
        match read {
            Ok(bytes) => Brought::Texts(vec![text(bytes)]),
            Err(error) => {
                let before = known.map_or_else(String::new, |read| {
                    format!(" (it was there on {})", read.date.strftime("%Y-%m-%d"))
                });
                Brought::Gone { place, why: format!("{}{before}", why(&error)) }
            }
        }
    }

    /// A member of the very archive that the data is, where that is in the cache.
    fn in_own_archive(&self, address: &DataAddress) -> Option<Vec<u8>> {
        let DataSource::Fetched { urls, .. } = &self.reference.source else { return None };
        let is_same = |url: &DataAddress| url.origin == address.origin && url.member.is_none();
        let path = address.member.as_ref()?.parse().ok().filter(|_| urls.iter().any(is_same))?;
        let read = self.fetcher.read_within(self.reference, &path, LONGEST_EVIDENCE);
        read.unwrap_or_else(|error: data::Error| {
            tracing::debug!("{error}");
            None
        })
    }

    fn looks_everywhere(&self) -> bool {
        self.looking != Looking::Here && self.places.client.network() == Network::Allowed
    }
}
