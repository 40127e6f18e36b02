//! Whether data is still to be had, and whether it is weights in truth.

use jiff::Timestamp;

use super::gather::newest;
use crate::build::data::{Fetcher, shown};
use crate::build::tree::SourceTree;
use crate::net::Network;
use crate::ops::licenses::{self, Result};
use crate::ops::lineage::{Lineage, Places};
use crate::package::Digest;
use crate::package::manifest::{DataAddress, DataReference, DataSource, Unpack};
use crate::study::class::{Class, Fact, Value};
use crate::study::facts::{Answer, FactStore};
use crate::study::licences::Level;

/// The ends of names that weights have, and hardly anything else.
const WEIGHTS: &[&str] = &[
    ".safetensors",
    ".gguf",
    ".ggml",
    ".pt",
    ".pth",
    ".ckpt",
    ".onnx",
    ".tflite",
    ".keras",
    ".mlmodel",
    "model.bin",
    ".caffemodel",
    ".pdparams",
];

fn looks_like_weights(name: &str) -> bool {
    let name = name.to_lowercase();
    WEIGHTS.iter().any(|end| name.ends_with(end))
}

/// Fetches the data of every source of the lineage. What cannot be had is remembered as such.
pub(super) fn fetch_all(lineage: &Lineage, places: &Places<'_>, now: Timestamp) -> Result<()> {
    let mut store = FactStore::open(&places.home.cache());
    for part in &lineage.parts {
        let Some(fetcher) = licenses::fetcher(part, places) else { continue };
        let data = part.tree.as_ref().map_or(&[][..], |tree| &tree.manifest().data[..]);
        for reference in data {
            let fetched = fetcher.fetch(std::slice::from_ref(reference), places.progress);
            let (Err(error), DataSource::Fetched { urls, sha256, .. }) =
                (fetched, &reference.source)
            else {
                continue;
            };
            if places.client.network() == Network::Offline {
                continue;
            }
            let fault = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
            for url in urls {
                let answer = Answer { date: now, fault: Some(fault.clone()), whole: false };
                store.add_address(&shown(url), *sha256, answer);
            }
        }
    }
    Ok(store.save()?)
}

/// Whether a data reference holds weights.
pub(super) enum Weights {
    /// Not as far as anybody can tell.
    None,
    /// At this path or address.
    In(String),
    /// Nobody knows: the names in it are not known.
    Unknown,
}

/// Looks for the data of one source tree.
pub(super) struct Presence<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) places: &'a Places<'a>,
    pub(super) store: &'a FactStore,
}

impl Presence<'_> {
    /// Whether the data was fetched and held against its digest.
    pub(super) fn fact(&self, reference: &DataReference) -> Fact {
        let name = &reference.name;
        let statement = format!("the data `{name}` was fetched and checked");
        let fact =
            |source: &str| Fact::good("data", statement.clone(), source).about(name.as_str());
        match &reference.source {
            DataSource::InTree { .. } => fact("the tree").at(Level::Checked, None),
            DataSource::Fetched { urls, sha256, size } => {
                let cache = self.places.client.cache();
                if cache.seems_to_have(*sha256, *size) {
                    return fact("the cache").at(Level::Checked, cache.verified(*sha256));
                }
                self.by_addresses(fact("its addresses"), urls, *sha256)
            }
            DataSource::Shards { .. } => self.shards(fact("the cache"), reference),
        }
    }

    fn shards(&self, fact: Fact, reference: &DataReference) -> Fact {
        let fetcher = Fetcher::new(self.tree.root(), self.places.client);
        let remedy = "it is not in the cache: --check fetches it";
        let Ok(files) = fetcher.files(std::slice::from_ref(reference)) else {
            return fact.but(Value::Unknown, Class::Contrib, "its list of shards cannot be read");
        };
        let cache = self.places.client.cache();
        match files.iter().all(|(digest, size)| cache.seems_to_have(*digest, *size)) {
            true => {
                let dates = files.iter().filter_map(|(digest, _)| cache.verified(*digest));
                let date = newest(dates);
                fact.at(Level::Checked, date)
            }
            false => fact.but(Value::Unknown, Class::Contrib, remedy),
        }
    }

    /// What is known of data that is not in the cache: what its addresses said when they were last
    /// asked.
    fn by_addresses(&self, fact: Fact, urls: &[DataAddress], digest: Digest) -> Fact {
        let answers: Vec<&Answer> =
            urls.iter().filter_map(|url| self.store.address(&shown(url), digest)).collect();
        let date: Option<Timestamp> = newest(answers.iter().map(|answer| answer.date));
        if answers.iter().any(|answer| answer.fault.is_none() && answer.whole) {
            return fact.at(Level::Checked, date);
        }
        if !answers.is_empty()
            && answers.len() == urls.len()
            && answers.iter().all(|answer| answer.fault.is_some())
        {
            let why = answers[0].fault.clone().unwrap_or_default();
            let remedy = format!("no address has it any more ({why}): name one that does");
            return fact.at(Level::Checked, date).but(Value::No, Class::Contrib, remedy);
        }
        let remedy = match answers.iter().any(|answer| answer.fault.is_none()) {
            true => "an address answered with its size; --check fetches and checks its bytes",
            false => "it is not in the cache: --check fetches it",
        };
        fact.at(Level::Declared, date).but(Value::Unknown, Class::Contrib, remedy)
    }

    /// Whether the reference's addresses, or the files in it, are named like weights.
    pub(super) fn weights(&self, reference: &DataReference) -> Weights {
        let mut names: Vec<String> = match &reference.source {
            DataSource::Fetched { urls, .. } => urls.iter().map(shown).collect(),
            DataSource::InTree { path, .. } => vec![path.to_string()],
            DataSource::Shards { .. } => Vec::new(),
        };
        let inside = self.names_in(reference);
        let is_known = inside.is_some();
        names.extend(inside.unwrap_or_default());
        match names.into_iter().find(|name| looks_like_weights(name)) {
            Some(found) => Weights::In(found),
            None if is_known => Weights::None,
            None => Weights::Unknown,
        }
    }

    /// The names of the files in data; of an archive that is not here, what `select` says of them.
    fn names_in(&self, reference: &DataReference) -> Option<Vec<String>> {
        let is_archive = !matches!(reference.unpack, Unpack::None | Unpack::Gz);
        let is_here = match &reference.source {
            DataSource::Fetched { sha256, size, .. } => {
                self.places.client.cache().seems_to_have(*sha256, *size)
            }
            DataSource::InTree { .. } | DataSource::Shards { .. } => true,
        };
        if is_archive && !is_here {
            let says_its_end = |glob: &String| {
                let last = glob.rsplit('/').next().unwrap_or_default();
                !last.ends_with('*') && last.contains('.')
            };
            let is_said = !reference.select.is_empty() && reference.select.iter().all(says_its_end);
            return is_said.then(|| reference.select.clone());
        }
        Fetcher::new(self.tree.root(), self.places.client).names(reference).ok()
    }

    /// A file of the tree that is named like weights, and is no data.
    pub(super) fn weights_in_tree(&self) -> Result<Option<String>> {
        let data = &self.tree.manifest().data;
        let is_data = |path: &str| {
            data.iter().any(|one| match &one.source {
                DataSource::InTree { path: place, .. } => {
                    path == place.as_str() || path.starts_with(&format!("{place}/"))
                }
                DataSource::Fetched { .. } | DataSource::Shards { .. } => false,
            })
        };
        let files = crate::ops::licenses::files_of(self.tree)?;
        let mut paths = files.into_iter().map(|path| path.to_string());
        Ok(paths.find(|path| looks_like_weights(path) && !is_data(path)))
    }
}
