//! Bringing packages here: whole, or only the chunks that are not on this machine yet.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::catalogue::{Catalogue, Error, Offer, Result, difference, open};
use crate::archive::Package;
use crate::package::Digest;
use crate::progress::Progress;
use crate::registry::{Incoming, Registry};
use crate::store::{ChunksAtHand, Home};

/// How many bytes come over the network, and how many need not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Those that come.
    pub fetched: u64,
    /// Those of the same files that are here already.
    pub saved: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.fetched += other.fetched;
        self.saved += other.saved;
    }
}

/// Packages on their way here.
#[derive(Debug, Default)]
pub struct Transfers {
    incoming: BTreeMap<Digest, Incoming>,
    whole: BTreeMap<Digest, Traffic>,
}

impl Transfers {
    /// Finds out what is missing of `packages`, which were looked up and vouched for: the tables
    /// and the index of each are fetched, and nothing more.
    ///
    /// # Errors
    /// What fails in fetching; a package that is another than its registry says.
    pub fn prepare(catalogue: &Catalogue<'_>, packages: &[Digest], home: &Home) -> Result<Self> {
        let prepared: Vec<(Digest, Option<Incoming>)> = packages
            .par_iter()
            .map(|package| Ok((*package, catalogue.incoming(*package, home)?)))
            .collect::<Result<_>>()?;
        let mut transfers = Self::default();
        for (package, incoming) in prepared {
            match incoming {
                Some(incoming) => {
                    transfers.incoming.insert(package, incoming);
                }
                None => {
                    transfers.whole.insert(package, catalogue.traffic_of_whole(package));
                }
            }
        }
        Ok(transfers)
    }

    /// Whether `package` is among what is to come.
    #[must_use]
    pub fn cover(&self, package: Digest) -> bool {
        self.incoming.contains_key(&package) || self.whole.contains_key(&package)
    }

    /// What is to be fetched for `package`, from now on.
    #[must_use]
    pub fn expected(&self, package: Digest) -> Traffic {
        match self.incoming.get(&package) {
            Some(incoming) => {
                let all = incoming.package.file_size();
                let fetched = incoming.fetched() + incoming.to_fetch;
                Traffic { fetched: fetched.min(all), saved: all.saturating_sub(fetched) }
            }
            None => self.whole.get(&package).copied().unwrap_or_default(),
        }
    }

    /// Fetches those that are taken whole, in parallel, and hands every package to `take`, in
    /// order; the others come in while they are read there.
    ///
    /// # Errors
    /// What fails in fetching; what `take` says.
    pub fn carry_out(
        self,
        catalogue: &Catalogue<'_>,
        progress: &dyn Progress,
        mut take: impl FnMut(&Package) -> Result<()>,
    ) -> Result<Traffic> {
        let mut traffic = Traffic::default();
        let whole: Vec<Package> = self
            .whole
            .par_iter()
            .map(|(package, _)| catalogue.fetch(*package, progress))
            .collect::<Result<_>>()?;
        whole.iter().try_for_each(&mut take)?;
        for one in self.whole.into_values() {
            traffic += one;
        }
        for incoming in self.incoming.into_values() {
            take(&incoming.package)?;
            let fetched = incoming.fetched();
            let saved = incoming.package.file_size().saturating_sub(fetched);
            traffic += Traffic { fetched, saved };
        }
        Ok(traffic)
    }
}

impl Catalogue<'_> {
    /// A package that was looked up as it comes in by parts; nothing where it comes whole.
    fn incoming(&self, package: Digest, home: &Home) -> Result<Option<Incoming>> {
        if self.is_file(package) {
            return Ok(None);
        }
        let (offer, registry) = self.offer_of(package);
        let Some(stock) = offer.entry.stock() else { return Ok(None) };
        let release = offer.entry.release(&offer.name);
        let incoming = registry.incoming(stock, &release.file_name(), |table| {
            let mut at_hand = ChunksAtHand::gather(home, table);
            for cached in self.relatives_in(registry, offer) {
                at_hand.look_into_file(cached, table);
            }
            at_hand
        })?;
        let Some(incoming) = incoming else { return Ok(None) };
        match difference(offer, &incoming.package) {
            Some(what) => Err(Error::Contradiction {
                registry: registry.location().to_owned(),
                release: release.to_string(),
                what,
            }),
            None => Ok(Some(incoming)),
        }
    }

    /// The packages of the same name whose files stand in the cache.
    fn relatives_in(&self, registry: &Registry<'_>, offer: &Offer) -> Vec<Package> {
        let relatives = self.offers_of(&offer.name).filter_map(|other| other.entry.stock());
        relatives
            .filter_map(|stock| registry.cached(stock))
            .filter_map(|path| open(&path).ok())
            .collect()
    }

    /// What a package costs that is taken whole.
    fn traffic_of_whole(&self, package: Digest) -> Traffic {
        if self.is_file(package) {
            return Traffic::default();
        }
        let (offer, registry) = self.offer_of(package);
        let Some(stock) = offer.entry.stock() else { return Traffic::default() };
        match registry.is_here() {
            true => Traffic::default(),
            false if registry.cached(stock).is_some() => Traffic { fetched: 0, saved: stock.size },
            false => Traffic { fetched: stock.size, saved: 0 },
        }
    }
}
