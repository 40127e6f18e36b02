//! Reading a registry, from a folder or over HTTP alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::de::DeserializeOwned;

use super::entry::{Attachment, NameIndex, ReleaseEntry, SearchEntry, SearchList};
use super::layout::SearchShard;
use super::tuf::{Clock, View};
use super::{AdvisoryList, Anchor, Error, INDEX_FORMAT, Result, Source, TargetsRole, layout};
use crate::crypto::canonical::{self, Limits};
use crate::fs;
use crate::net::{Address, Client, FetchRequest, Network};
use crate::package::{Digest, PackageName};
use crate::progress::Progress;

/// A registry that is read. Every document that is parsed was vouched for by its signed metadata.
#[derive(Clone)]
pub struct Registry<'a> {
    address: Address,
    location: String,
    client: &'a Client,
    view: Arc<View<'a>>,
    /// Copies of the small files of registries that are not on this machine.
    copies: PathBuf,
}

impl<'a> Registry<'a> {
    /// Opens the registry `source`, which must be trusted below the folder `trust`: its trusted
    /// metadata is brought up to date.
    ///
    /// # Errors
    /// [`Error::Untrusted`], [`Error::Metadata`], and whatever keeps it from being read.
    pub fn open(source: &Source, trust: &Path, clock: Clock, client: &'a Client) -> Result<Self> {
        let address: Address = source.location.parse()?;
        let location = address.to_string();
        let untrusted =
            || Error::Untrusted { location: location.clone(), name: source.name.clone() };
        let anchor = source.name.as_ref().map(|name| Anchor::of(trust, name));
        let anchor = anchor.filter(Anchor::is_set).ok_or_else(untrusted)?;
        let view = anchor.view(&address, client, clock);
        let title = source.title();
        let refused = |error| Error::metadata(&address, error).called(&title);
        let view = Arc::new(view.map_err(refused)?);
        warn_of_stale(&view, &title);
        let key = Digest::of(address.to_string().as_bytes()).to_string();
        let copies = client.cache().root().join("registries").join(key);
        Ok(Self { address, location, client, view, copies })
    }

    /// The folder or address, without secrets.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Everything that the registry says about `name`; nothing where it does not know it.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Contradiction`], and whatever keeps it from being read.
    pub fn name(&self, name: &PackageName) -> Result<Option<NameIndex>> {
        let file = layout::index(name);
        let index: Option<NameIndex> = self.read(&file, layout::LARGEST_INDEX)?;
        match index.as_ref().and_then(|index| index.fault(name)) {
            Some(why) => Err(Error::Contradiction { location: self.location.clone(), file, why }),
            None => Ok(index),
        }
    }

    /// The releases of `name`, source and binary; none where the registry does not know it.
    ///
    /// # Errors
    /// Those of [`Registry::name`].
    pub fn releases(&self, name: &PackageName) -> Result<Vec<ReleaseEntry>> {
        Ok(self.name(name)?.map(|index| index.releases).unwrap_or_default())
    }

    /// One line about every package of the registry, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Malformed`], and whatever keeps it from being read.
    pub fn search_list(&self) -> Result<SearchList> {
        let delegations = self.view.targets().delegations.as_ref();
        let bins = delegations.and_then(|all| all.succinct_roles.as_ref());
        let lists: Vec<Option<SearchList>> = bins
            .into_iter()
            .flat_map(|bins| SearchShard::all(bins.bit_length))
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|shard| self.read(&layout::search(shard), layout::LARGEST_SEARCH))
            .collect::<Result<_>>()?;
        let mut packages: Vec<SearchEntry> =
            lists.into_iter().flatten().flat_map(|list| list.packages).collect();
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(SearchList { format: INDEX_FORMAT, packages })
    }

    /// The same of a registry with few lists; nothing of one whose lists are too long to be read
    /// for a hint.
    ///
    /// # Errors
    /// Those of [`Registry::search_list`].
    pub fn short_search_list(&self) -> Result<Option<SearchList>> {
        let delegations = self.view.targets().delegations.as_ref();
        let bins = delegations.and_then(|all| all.succinct_roles.as_ref());
        let is_short = bins.is_none_or(|bins| SearchShard::all(bins.bit_length).count() <= 16);
        if is_short { self.search_list().map(Some) } else { Ok(None) }
    }

    /// The list of the registry's advisories; nothing where it has none.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Contradiction`], and whatever keeps it from being read.
    pub fn advisories(&self) -> Result<Option<AdvisoryList>> {
        let file = layout::ADVISORIES;
        let list: Option<AdvisoryList> = self.read(file, layout::LARGEST_ADVISORIES)?;
        match list.as_ref().and_then(AdvisoryList::fault) {
            Some(why) => {
                let (location, file) = (self.location.clone(), file.to_owned());
                Err(Error::Contradiction { location, file, why })
            }
            None => Ok(list),
        }
    }

    /// The bytes of a small file that a list vouches for by its digest.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], and whatever keeps it from being read.
    pub fn listed(&self, place: &str, digest: Digest, size: u64) -> Result<Vec<u8>> {
        let copy = Address::Path(self.copies.join(place));
        if !self.is_here()
            && let Ok(bytes) = self.client.get_small(&copy, size)
            && Digest::of(&bytes) == digest
        {
            return Ok(bytes);
        }
        let bytes = self.read_bytes(place, size)?.ok_or_else(|| {
            Error::from(crate::net::Error::NotThere { address: self.address.join(place) })
        })?;
        match Digest::of(&bytes) {
            found if found == digest => Ok(bytes),
            found => {
                let (location, file) = (self.location.clone(), place.to_owned());
                Err(Error::WrongDigest { location, file, expected: digest, found })
            }
        }
    }

    /// The bytes of an attachment, checked against its digest.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], and whatever keeps it from being read.
    pub fn attachment(&self, package: Digest, attachment: &Attachment) -> Result<Vec<u8>> {
        let file = attachment.place(package);
        let limit = attachment.size.min(layout::LARGEST_ATTACHMENT);
        let bytes = self.read_bytes(&file, limit)?.ok_or_else(|| self.not_carried(&file))?;
        let found = Digest::of(&bytes);
        if found != attachment.sha256 {
            let location = self.location.clone();
            return Err(Error::WrongDigest { location, file, expected: attachment.sha256, found });
        }
        Ok(bytes)
    }

    /// A file of the registry by its digest: fetched into the cache, or in place where the
    /// registry is a folder of this machine. In place its bytes are not hashed here: a package's
    /// contents are checked against the package digest when it is read.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched.
    pub fn blob(
        &self,
        digest: Digest,
        size: u64,
        label: &str,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let address = self.address.join(&layout::blob(digest));
        if let Address::Path(path) = &address {
            if path.is_file() {
                return Ok(path.clone());
            }
            return Err(self.not_carried(label));
        }
        let addresses = [address];
        let request = FetchRequest { label, addresses: &addresses, digest, size, give_up: None };
        match self.client.fetch(&request, progress) {
            Ok(fetched) => Ok(fetched.path),
            Err(error) if error.is_not_there() => Err(self.not_carried(label)),
            Err(error) => Err(error.into()),
        }
    }

    /// That a file is vouched for and not there.
    pub(super) fn not_carried(&self, what: &str) -> Error {
        Error::NotCarried { location: self.location.clone(), file: what.to_owned() }
    }

    /// Where a file of the registry stands, and who fetches it.
    pub(super) fn place_of(&self, file: &str) -> (&'a Client, Address) {
        (self.client, self.address.join(file))
    }

    /// The registry's offline targets role, which may vouch for changes of publishers.
    #[must_use]
    pub fn targets_role(&self) -> TargetsRole {
        super::operator::targets_role(self.view.root())
    }

    /// Whether the registry is a folder of this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(self.address, Address::Path(_))
    }

    /// Reads a document that the registry's signed metadata vouches for; nothing where it vouches
    /// for none.
    fn read<T: DeserializeOwned>(&self, file: &str, limit: u64) -> Result<Option<T>> {
        let Some(bytes) = self.vouched(file, limit)? else { return Ok(None) };
        let limits = Limits { depth: 16, ..Limits::of_bytes(bytes.len()) };
        canonical::read_canonical(&bytes, limits).map(Some).map_err(|source| Error::Malformed {
            location: self.location.clone(),
            file: file.to_owned(),
            source,
        })
    }

    /// The bytes of a target. Copies are kept of what comes from another machine.
    fn vouched(&self, file: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let refused = |error| Error::metadata(&self.address, error);
        let Some(target) = self.view.find(file).map_err(refused)? else { return Ok(None) };
        if target.length > limit {
            let address = self.address.join(file);
            return Err(crate::net::Error::TooLong { address, limit }.into());
        }
        let copies = (!self.is_here()).then_some(self.copies.as_path());
        self.view.fetch(file, &target, copies).map(Some).map_err(refused)
    }

    /// Reads a small file that something else vouches for, or offline the copy that was made
    /// before.
    fn read_bytes(&self, file: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let copy = self.copies.join(file);
        if !self.is_here() && self.client.network() == Network::Offline {
            return match self.client.get_small(&Address::Path(copy), limit) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(crate::net::Error::NotThere { .. }) => {
                    Err(Error::NoCopy { location: self.location.clone(), file: file.to_owned() })
                }
                Err(error) => Err(error.into()),
            };
        }
        match self.client.get_small(&self.address.join(file), limit) {
            Ok(bytes) => {
                if !self.is_here() {
                    fs::write_atomically(&copy, &bytes)?;
                }
                Ok(Some(bytes))
            }
            Err(crate::net::Error::NotThere { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Says in one line which metadata has expired and is accepted.
fn warn_of_stale(view: &View<'_>, title: &str) {
    let stale = view.stale();
    let Some(first) = stale.iter().map(|(_, expired)| *expired).min() else { return };
    let roles: Vec<&str> = stale.iter().map(|(role, _)| role.as_str()).collect();
    tracing::warn!(
        "the signed metadata of {title} has expired ({}; the first on {first}); it is accepted",
        roles.join(", ")
    );
}
