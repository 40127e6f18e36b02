//! The wheels of environments, kept in registries by digest and found there before any other
//! address is asked.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::build::environment::{self, Mirrors, Network, Request};
use crate::build::tree::SourceTree;
use crate::crypto::canonical::{self, Limits};
use crate::net::{self, Address, Client, FetchRequest};
use crate::package::{Digest, KEPT_WHEELS_FORMAT, KeptWheel, KeptWheels};
use crate::progress::Progress;
use crate::registry::{Selection, layout};

/// A wheel and where it lies on this machine.
type Found = (KeptWheel, PathBuf);

/// The registries that a build asks for wheels.
pub struct RegistryWheels<'a> {
    addresses: Vec<Address>,
    client: &'a Client,
    progress: &'a dyn Progress,
}

impl fmt::Debug for RegistryWheels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryWheels").field("addresses", &self.addresses).finish()
    }
}

impl<'a> RegistryWheels<'a> {
    /// Those of the registries that are asked.
    #[must_use]
    pub fn of(registries: &Selection, client: &'a Client, progress: &'a dyn Progress) -> Self {
        let locations = registries.sources.iter().filter_map(|one| one.location.parse().ok());
        Self { addresses: locations.collect(), client, progress }
    }
}

impl Mirrors for RegistryWheels<'_> {
    fn wheels(&self, lock: Digest) -> Vec<KeptWheel> {
        let list = |address: &Address| match kept(address, lock, self.client) {
            Ok(kept) => kept.map(|kept| kept.wheels).unwrap_or_default(),
            // The wheels' own addresses are left.
            Err(error) => {
                tracing::debug!("{address}: {error}");
                Vec::new()
            }
        };
        let all: BTreeSet<KeptWheel> = self.addresses.iter().flat_map(list).collect();
        all.into_iter().collect()
    }

    fn fetch(&self, wheel: &KeptWheel) -> Option<PathBuf> {
        let KeptWheel { file, sha256, size, .. } = wheel;
        let place = layout::blob(*sha256);
        let addresses: Vec<Address> = self.addresses.iter().map(|one| one.join(&place)).collect();
        let request = FetchRequest {
            label: file,
            addresses: &addresses,
            digest: *sha256,
            size: *size,
            give_up: None,
        };
        let fetched = self.client.fetch(&request, self.progress);
        fetched.map(|fetched| fetched.path).map_err(|error| tracing::debug!("{error}")).ok()
    }
}

/// The wheels that the registry at `address` keeps for a lock file; nothing where it keeps none, or
/// where its list is not of our form.
///
/// # Errors
/// What keeps it from being asked.
pub(super) fn kept(
    address: &Address,
    lock: Digest,
    client: &Client,
) -> net::Result<Option<KeptWheels>> {
    let bytes = match client.get_small(&address.join(&layout::wheels(lock)), layout::LARGEST_WHEELS)
    {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_there() => return Ok(None),
        Err(error) => return Err(error),
    };
    let limits = Limits { depth: 8, ..Limits::of_bytes(bytes.len()) };
    let kept = canonical::read_canonical::<KeptWheels>(&bytes, limits);
    Ok(kept.ok().filter(|kept| kept.format == KEPT_WHEELS_FORMAT))
}

/// The wheels of a source tree's environment on this machine, and the digest of its lock file; they
/// are fetched where they are not in the cache. Nothing where the environment has no lock file.
///
/// # Errors
/// An environment that cannot be made here.
pub(super) fn of_tree(
    tree: &SourceTree,
    search_path: &[PathBuf],
    client: &Client,
    progress: &dyn Progress,
) -> environment::Result<Option<(Digest, Vec<Found>)>> {
    let section = &tree.manifest().environment;
    if section.lock.is_none() {
        return Ok(None);
    }
    let cache: &Path = client.cache().root();
    let network = match client.network() {
        net::Network::Allowed => Network::Allowed,
        net::Network::Offline => Network::Offline,
    };
    let request =
        Request { section, tree: tree.root(), cache, search_path, network, mirrors: None };
    let made = environment::prepare(&request, progress)?;
    let Some(lock) = made.lock_digest else { return Ok(None) };
    Ok(Some((lock, made.kept_wheels(cache)?)))
}

/// The list with more wheels in it, as bytes.
#[must_use]
pub(super) fn list_with(known: Option<KeptWheels>, more: &[Found]) -> Vec<u8> {
    let mut wheels: BTreeSet<KeptWheel> = known.into_iter().flat_map(|one| one.wheels).collect();
    wheels.extend(more.iter().map(|(wheel, _)| wheel.clone()));
    let list = KeptWheels { format: KEPT_WHEELS_FORMAT, wheels: wheels.into_iter().collect() };
    let value = serde_json::to_value(&list).expect("a list of wheels is JSON");
    canonical::to_vec(&value).expect("file names of wheels have no control characters")
}
