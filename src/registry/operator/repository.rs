//! A registry's signed metadata as its operator finds it: read from the folder, or from elsewhere
//! to be copied, every document verified by the keys that the roots name.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::{Error, Result};
use crate::crypto::canonical::{self, Limits};
use crate::net::{Address, Client};
use crate::package::PackageName;
use crate::registry::tuf::{
    Envelope, Metadata, Root, Snapshot, SuccinctRoles, Targets, Timestamp, TopLevel,
};
use crate::registry::{self, INDEX_FORMAT, Marker, NameIndex, layout, tuf};

/// The longest document of metadata that is read, in bytes.
pub(super) const LARGEST_METADATA: u64 = 64 << 20;

/// A document as it was read: its bytes are what is copied and signed under.
#[derive(Debug, Clone)]
pub(super) struct Stored<T> {
    pub(super) document: T,
    pub(super) bytes: Vec<u8>,
}

/// A registry's metadata, as far as it was read.
pub struct Repository<'a> {
    pub(super) address: Address,
    client: &'a Client,
    /// Files that are not in their places yet.
    over: BTreeMap<String, Vec<u8>>,
    /// Every root, the first one first.
    pub(super) roots: Vec<Stored<Root>>,
    pub(super) timestamp: Stored<Timestamp>,
    pub(super) snapshot: Stored<Snapshot>,
    pub(super) targets: Stored<Targets>,
    pub(super) bins: BTreeMap<String, Stored<Targets>>,
}

impl<'a> Repository<'a> {
    /// Reads the metadata of the registry at `address`.
    ///
    /// A timestamp or snapshot that an earlier root's keys signed is taken as well: a new root
    /// may have been put in place by a run that did not come to the end. Nothing is refused for
    /// having expired; whoever refreshes has to read it.
    ///
    /// # Errors
    /// [`Error::NoMetadata`], [`Error::Metadata`], and what keeps files from being read.
    pub fn open(address: &Address, client: &'a Client) -> Result<Self> {
        Self::open_with(address, client, &BTreeMap::new())
    }

    /// The same, as it would be with the files in `over` in their places.
    pub(super) fn open_with(
        address: &Address,
        client: &'a Client,
        over: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self> {
        let reader = Reader { address, client, over };
        reader.marker()?;
        let roots = reader.roots()?;
        let timestamp: Stored<Timestamp> =
            reader.document("metadata/timestamp.json", &roots, TopLevel::Timestamp)?;
        let version = timestamp.document.snapshot().version;
        let file = layout::metadata("snapshot", version);
        let snapshot: Stored<Snapshot> = reader.document(&file, &roots, TopLevel::Snapshot)?;
        let vouched = timestamp.document.snapshot().demand(&snapshot.bytes);
        vouched.map_err(|source| reader.refused(&file, source))?;
        let version = reader.listed(&snapshot.document, "targets")?;
        let file = layout::metadata("targets", version);
        let targets = reader.document(&file, &roots, TopLevel::Targets)?;
        let (bins, over) = (BTreeMap::new(), over.clone());
        let address = address.clone();
        Ok(Self { address, client, over, roots, timestamp, snapshot, targets, bins })
    }

    fn reader(&self) -> Reader<'_> {
        Reader { address: &self.address, client: self.client, over: &self.over }
    }

    /// Every file of metadata that its roots and its snapshot name, and the timestamp.
    pub(super) fn metadata_files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::from([layout::TIMESTAMP.to_owned()]);
        let roots = self.roots.iter().map(|root| root.document.version());
        files.extend(roots.map(|version| layout::metadata("root", version)));
        files.insert(layout::metadata("snapshot", self.snapshot.document.version()));
        for (name, file) in self.snapshot.document.files() {
            files.insert(layout::metadata(name.trim_end_matches(".json"), file.version));
        }
        files
    }

    /// The folder or address.
    #[must_use]
    pub fn location(&self) -> String {
        self.address.to_string()
    }

    /// The newest root.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.roots.last().expect("there is a first root").document
    }

    /// The bytes of the newest root.
    #[must_use]
    pub fn root_bytes(&self) -> &[u8] {
        &self.roots.last().expect("there is a first root").bytes
    }

    /// The timestamp.
    #[must_use]
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp.document
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot.document
    }

    /// The document of the offline targets role.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets.document
    }

    /// How names are divided among bins.
    ///
    /// # Errors
    /// [`Error::Metadata`] where they are not.
    pub fn succinct(&self) -> Result<&SuccinctRoles> {
        let delegations = self.targets.document.delegations.as_ref();
        delegations.and_then(|all| all.succinct_roles.as_ref()).ok_or_else(|| {
            let form = "its targets role does not delegate to hashed bins".to_owned();
            self.reader().refused("targets.json", tuf::Error::Form(form))
        })
    }

    /// The highest version of all bins that the snapshot lists.
    pub(super) fn newest_bin(&self) -> u64 {
        let files = self.snapshot.document.files();
        let bins = files.filter(|(file, _)| file.starts_with(layout::BINS));
        bins.map(|(_, file)| file.version).max().unwrap_or(0)
    }

    /// The bin that vouches for `path`, by its name.
    pub(super) fn bin_for(&mut self, path: &str) -> Result<String> {
        let name = self.succinct()?.name_for(path);
        self.load_bin(&name)?;
        Ok(name)
    }

    pub(super) fn load_bin(&mut self, name: &str) -> Result<()> {
        if !self.bins.contains_key(name) {
            let bin = self.read_bin(name)?;
            self.bins.insert(name.to_owned(), bin);
        }
        Ok(())
    }

    /// Reads the document of a bin, and does not keep it.
    pub(super) fn read_bin(&self, name: &str) -> Result<Stored<Targets>> {
        let reader = self.reader();
        let version = reader.listed(&self.snapshot.document, name)?;
        let file = layout::metadata(name, version);
        let bytes = reader.demand(&file, LARGEST_METADATA)?;
        let refused = |source| reader.refused(&file, source);
        let vouched = self.snapshot.document.get(name).map_or(Ok(()), |one| one.demand(&bytes));
        vouched.map_err(refused)?;
        let envelope = reader.envelope(&file, &bytes)?;
        let delegations = self.targets.document.delegations.as_ref();
        let delegations = delegations.expect("there are bins");
        delegations.demand(name, &envelope).map_err(refused)?;
        let document: Targets = envelope.read().map_err(refused)?;
        if document.version() != version {
            let form = format!("it has version {}", document.version());
            return Err(refused(tuf::Error::Form(form)));
        }
        Ok(Stored { document, bytes })
    }

    /// The bytes of the target at `path`; nothing where there is none.
    ///
    /// # Errors
    /// Those of [`Repository::open`]; other bytes than were vouched for.
    pub fn target(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let bin = self.bin_for(path)?;
        let Some(target) = self.bins[&bin].document.targets.get(path) else { return Ok(None) };
        let reader = self.reader();
        let Some(digest) = target.hashes.sha256() else {
            let form = "a target has no SHA-256".to_owned();
            return Err(reader.refused(path, tuf::Error::Form(form)));
        };
        let file = layout::consistent(path, digest);
        let bytes = reader.demand(&file, target.length)?;
        target.demand(&bytes).map_err(|source| reader.refused(&file, source))?;
        Ok(Some(bytes))
    }

    /// The bytes of a file that an index vouches for.
    pub(super) fn bytes_at(&self, place: &str, limit: u64) -> Result<Vec<u8>> {
        self.reader().demand(place, limit)
    }

    /// Reads a target that is one of our own documents.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>> {
        let Some(bytes) = self.target(path)? else { return Ok(None) };
        let limits = Limits { depth: 16, ..Limits::of_bytes(bytes.len()) };
        canonical::read_canonical(&bytes, limits).map(Some).map_err(|source| {
            let (location, file) = (self.location(), path.to_owned());
            registry::Error::Malformed { location, file, source }.into()
        })
    }

    /// What the registry says about `name`.
    ///
    /// # Errors
    /// Those of [`Repository::target`]; an index that contradicts itself.
    pub fn name(&mut self, name: &PackageName) -> Result<Option<NameIndex>> {
        let file = layout::index(name);
        let index: Option<NameIndex> = self.read(&file)?;
        match index.as_ref().and_then(|index| index.fault(name)) {
            Some(why) => {
                let location = self.location();
                Err(registry::Error::Contradiction { location, file, why }.into())
            }
            None => Ok(index),
        }
    }
}

/// Reads files of one registry.
struct Reader<'r> {
    address: &'r Address,
    client: &'r Client,
    over: &'r BTreeMap<String, Vec<u8>>,
}

impl Reader<'_> {
    fn read(&self, file: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.over.get(file) {
            return Ok(Some(bytes.clone()));
        }
        match self.client.get_small(&self.address.join(file), limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_there() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn demand(&self, file: &str, limit: u64) -> Result<Vec<u8>> {
        let location = self.address.to_string();
        self.read(file, limit)?.ok_or(Error::NoMetadata { location, file: file.to_owned() })
    }

    fn refused(&self, file: &str, source: tuf::Error) -> Error {
        Error::Metadata { location: self.address.to_string(), file: file.to_owned(), source }
    }

    fn envelope(&self, file: &str, bytes: &[u8]) -> Result<Envelope> {
        Envelope::parse(bytes, bytes.len()).map_err(|source| self.refused(file, source))
    }

    fn marker(&self) -> Result<()> {
        let location = || self.address.to_string();
        let Some(bytes) = self.read(layout::MARKER, layout::LARGEST_MARKER)? else {
            return Err(registry::Error::NotARegistry { location: location() }.into());
        };
        let marker: Marker =
            canonical::read(&bytes, Limits::of_bytes(bytes.len())).map_err(|source| {
                registry::Error::Malformed {
                    location: location(),
                    file: layout::MARKER.to_owned(),
                    source,
                }
            })?;
        match marker.format {
            INDEX_FORMAT => Ok(()),
            found => Err(registry::Error::Format { location: location(), found }.into()),
        }
    }

    /// All roots, each signed as the one before and it itself demand.
    fn roots(&self) -> Result<Vec<Stored<Root>>> {
        let mut roots: Vec<Stored<Root>> = Vec::new();
        loop {
            let version = roots.len() as u64 + 1;
            let file = layout::metadata("root", version);
            let bytes = match (self.read(&file, LARGEST_METADATA)?, roots.is_empty()) {
                (Some(bytes), _) => bytes,
                (None, false) => return Ok(roots),
                (None, true) => {
                    let location = self.address.to_string();
                    return Err(Error::NoMetadata { location, file });
                }
            };
            let refused = |source| self.refused(&file, source);
            let envelope = self.envelope(&file, &bytes)?;
            let before = roots.last().map(|root| &root.document);
            let root = next_root(before, &envelope).map_err(refused)?;
            if root.version() != version {
                let form = format!("it has version {}", root.version());
                return Err(refused(tuf::Error::Form(form)));
            }
            roots.push(Stored { document: root, bytes });
        }
    }

    /// A document of a top-level role, signed as the newest root demands, or one before it.
    fn document<T: Metadata>(
        &self,
        file: &str,
        roots: &[Stored<Root>],
        role: TopLevel,
    ) -> Result<Stored<T>> {
        let bytes = self.demand(file, LARGEST_METADATA)?;
        let refused = |source| self.refused(file, source);
        let envelope = self.envelope(file, &bytes)?;
        let mut roots = roots.iter().rev();
        let newest = roots.next().expect("there is a first root");
        if let Err(error) = newest.document.demand(role, &envelope) {
            let earlier = roots.any(|root| root.document.demand(role, &envelope).is_ok());
            if !earlier {
                return Err(refused(error));
            }
        }
        Ok(Stored { document: envelope.read().map_err(refused)?, bytes })
    }

    fn listed(&self, snapshot: &Snapshot, role: &str) -> Result<u64> {
        snapshot.get(role).map(|file| file.version).ok_or_else(|| {
            let form = format!("it does not list {role}.json");
            self.refused("snapshot.json", tuf::Error::Form(form))
        })
    }
}

/// Reads the root that follows `before`, signed by the thresholds of both.
pub(super) fn next_root(before: Option<&Root>, envelope: &Envelope) -> tuf::Result<Root> {
    if let Some(before) = before {
        before.demand(TopLevel::Root, envelope)?;
    }
    let root: Root = envelope.read()?;
    root.demand(TopLevel::Root, envelope)?;
    Ok(root)
}
