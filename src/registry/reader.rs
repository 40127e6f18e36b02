//! Reading a registry, from a folder or over HTTP alike.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::entry::{Attachment, Marker, NameIndex, ReleaseEntry, SearchList};
use super::{Error, INDEX_FORMAT, Result, layout};
use crate::crypto::canonical::{self, Limits};
use crate::fs;
use crate::net::{Address, Client, FetchRequest, Network};
use crate::package::{Digest, PackageName};
use crate::progress::Progress;

/// A registry that is read. What it says about a name is checked for form here; that it is the
/// registry's own word is what its signed metadata will show, behind `Registry::read`.
#[derive(Debug, Clone)]
pub struct Registry<'a> {
    address: Address,
    location: String,
    client: &'a Client,
    /// Copies of the small files of registries that are not on this machine.
    copies: PathBuf,
}

impl<'a> Registry<'a> {
    /// Opens the registry at `location`, a folder or an address.
    ///
    /// # Errors
    /// [`Error::NotARegistry`], [`Error::Format`], and whatever keeps it from being read.
    pub fn open(location: &str, client: &'a Client) -> Result<Self> {
        let address: Address = location.parse()?;
        let copies = client
            .cache()
            .root()
            .join("registries")
            .join(Digest::of(address.to_string().as_bytes()).to_string());
        let registry = Self { location: address.to_string(), address, client, copies };
        let marker: Marker = registry
            .read(layout::MARKER, layout::LARGEST_MARKER)?
            .ok_or_else(|| Error::NotARegistry { location: registry.location.clone() })?;
        if marker.format != INDEX_FORMAT {
            return Err(Error::Format { location: registry.location, found: marker.format });
        }
        Ok(registry)
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

    /// One line about every package of the registry.
    ///
    /// # Errors
    /// [`Error::Malformed`], and whatever keeps it from being read.
    pub fn search_list(&self) -> Result<SearchList> {
        let empty = SearchList { format: INDEX_FORMAT, packages: Vec::new() };
        Ok(self.read(layout::SEARCH, layout::LARGEST_SEARCH)?.unwrap_or(empty))
    }

    /// The bytes of an attachment, checked against its digest.
    ///
    /// # Errors
    /// [`Error::WrongDigest`], and whatever keeps it from being read.
    pub fn attachment(&self, package: Digest, attachment: &Attachment) -> Result<Vec<u8>> {
        let file = attachment.place(package);
        let limit = attachment.size.min(layout::LARGEST_ATTACHMENT);
        let bytes = self.read_bytes(&file, limit)?.ok_or_else(|| {
            Error::from(crate::net::Error::NotThere { address: self.address.join(&file) })
        })?;
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
            return Err(crate::net::Error::NotThere { address }.into());
        }
        let addresses = [address];
        let request = FetchRequest { label, addresses: &addresses, digest, size, give_up: None };
        Ok(self.client.fetch(&request, progress)?.path)
    }

    /// Where a file of the registry stands, and who fetches it.
    pub(super) fn place_of(&self, file: &str) -> (&'a Client, Address) {
        (self.client, self.address.join(file))
    }

    /// Whether the registry is a folder of this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(self.address, Address::Path(_))
    }

    /// Reads a small file; nothing where it is not there. This is the place where the registry's
    /// signed metadata will vouch for a file before it is parsed.
    fn read<T: DeserializeOwned>(&self, file: &str, limit: u64) -> Result<Option<T>> {
        let Some(bytes) = self.read_bytes(file, limit)? else { return Ok(None) };
        let limits = Limits { depth: 16, ..Limits::of_bytes(bytes.len()) };
        canonical::read_canonical(&bytes, limits).map(Some).map_err(|source| Error::Malformed {
            location: self.location.clone(),
            file: file.to_owned(),
            source,
        })
    }

    /// Reads a small file from the registry, or offline from the copy that was made before.
    fn read_bytes(&self, file: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let is_here = self.is_here();
        let copy = self.copies.join(file);
        if !is_here && self.client.network() == Network::Offline {
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
                if !is_here {
                    fs::write_atomically(&copy, &bytes)?;
                }
                Ok(Some(bytes))
            }
            Err(crate::net::Error::NotThere { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
