//! Brings the bytes of every data reference into the cache.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::deb::{DebianPackage, Place};
use super::entries::Source;
use super::pypi::Wheel;
use super::shards::{self, Shard};
use super::watch::Together;
use super::{Error, Exclusions, Result, member, parallel, select, tree};
use crate::fs;
use crate::net::{self, Address, Client, FetchRequest, Network, Served};
use crate::package::manifest::{DataAddress, DataReference, DataSource, Origin, Unpack};
use crate::package::{Digest, PackagePath, PartName};
use crate::progress::{Progress, Unit};

/// How many files are fetched at once.
pub(super) const AT_ONCE: usize = 4;
/// The longest archive that is fetched for a member, where nothing states its size.
const LONGEST_ARCHIVE: u64 = 4 << 30;

/// Fetches the data references of one source tree.
pub struct Fetcher<'a> {
    tree: PathBuf,
    pub(super) client: &'a Client,
    archives: Mutex<HashMap<String, Slot>>,
    /// Where a file may be by its digest; asked before any address of its own.
    by_digest: Option<Arc<ByDigest>>,
    /// What apt said about packages; each question costs it a second.
    places: Mutex<HashMap<String, Option<Place>>>,
}

/// Names the places where a file with a digest may be, such as the registries that mirror it.
pub type ByDigest = dyn Fn(Digest) -> Vec<Address> + Send + Sync;

/// The place of an archive: whoever comes first fetches it while the others wait.
type Slot = Arc<Mutex<Option<Arc<Archive>>>>;

/// A data reference whose bytes are here and are the right ones.
#[derive(Debug, Clone)]
pub struct FetchedData {
    /// The reference.
    pub reference: DataReference,
    /// The digest of its file; of a folder or a sharded set, of its listing.
    pub digest: Digest,
    /// Its size in bytes, before it is unpacked.
    pub size: u64,
    /// How many files it has, before it is unpacked.
    pub files: usize,
    /// Where the bytes came from.
    pub provenance: Provenance,
    /// What is withdrawn from it.
    pub exclusions: Exclusions,
    pub(super) contents: Contents,
}

/// Where the bytes of a data reference came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// They stand in the source tree.
    Tree,
    /// They were in the cache.
    Cache,
    /// This address had them; secrets in it are hidden.
    Address(String),
    /// They are a sharded set.
    Shards {
        /// How many of its files were fetched now.
        fetched: usize,
        /// How many were in the cache.
        cached: usize,
    },
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(super) enum Contents {
    File(PathBuf),
    Folder(PathBuf),
    Shards(Vec<(PackagePath, PathBuf)>),
}

/// An address that our own client can fetch from, with digest and size where they are known.
type Direct = (Address, Option<(Digest, u64)>);

/// What fetching a data reference would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The reference's name.
    pub name: PartName,
    /// Its licence.
    pub license: String,
    /// The first address, with the number of others; or the path in the tree.
    pub from: String,
    /// How many files it has, where that is known without reading it.
    pub files: usize,
    /// Their size; 0 for data in the tree.
    pub size: u64,
    /// How many of these bytes are not in the cache.
    pub to_fetch: u64,
}

/// One file that is to be had.
#[derive(Clone)]
pub(super) struct Piece<'p> {
    reference: &'p PartName,
    label: String,
    pub(super) urls: &'p [DataAddress],
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl<'p> Piece<'p> {
    /// A file of which neither addresses nor size are known.
    pub(super) fn unknown(reference: &'p PartName, digest: Digest) -> Self {
        Self { reference, label: reference.to_string(), urls: &[], digest, size: 0 }
    }

    /// The same file, from one of its addresses alone.
    pub(super) fn only_from(&self, url: &'p DataAddress) -> Self {
        Self { urls: std::slice::from_ref(url), ..self.clone() }
    }
}

/// A file that is here, and where it came from.
type Got = (PathBuf, Provenance);

/// What a reference asks for.
pub(super) enum Survey {
    Tree(tree::InTree, PathBuf),
    One,
    Shards(Vec<Shard>),
}

impl Survey {
    /// The digest of the file that `reference` is about; of a folder or a sharded set, of its
    /// listing.
    pub(super) fn digest(&self, reference: &DataReference) -> Digest {
        match (self, &reference.source) {
            (Self::Tree(found, _), _) => found.digest,
            (Self::One, DataSource::Fetched { sha256, .. }) => *sha256,
            (Self::One, _) => unreachable!("only a fetched reference is one piece"),
            (Self::Shards(shards), _) => {
                let mut listing = tree::Listing::default();
                for shard in shards {
                    listing.add(&shard.path, shard.digest, shard.size);
                }
                listing.finish().0
            }
        }
    }
}

/// An archive that members are taken from; it goes when nobody needs it any more.
pub(super) struct Archive {
    path: PathBuf,
    _keeps: Keeps,
}

impl Archive {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[expect(dead_code, reason = "these are held so that they are dropped at the right time")]
enum Keeps {
    Cached,
    Downloaded(net::Downloaded),
    Folder(Staging),
}

impl<'a> Fetcher<'a> {
    /// A fetcher for the source tree in `tree`.
    #[must_use]
    pub fn new(tree: impl Into<PathBuf>, client: &'a Client) -> Self {
        let tree = tree.into();
        // Without a current folder every path below a relative one fails by itself.
        let tree = std::path::absolute(&tree).unwrap_or(tree);
        let (archives, places) = (Mutex::default(), Mutex::default());
        Self { tree, client, archives, by_digest: None, places }
    }

    /// The same, asking these places for a digest before any address of a reference. What they
    /// have is checked like everything else, so nobody has to be trusted for it.
    #[must_use]
    pub fn asking_first(self, by_digest: Arc<ByDigest>) -> Self {
        Self { by_digest: Some(by_digest), ..self }
    }

    /// The digests and sizes of all files that `data` stands for, those in the tree left out.
    ///
    /// # Errors
    /// When a list of shards cannot be read.
    pub fn files(&self, data: &[DataReference]) -> Result<Vec<(Digest, u64)>> {
        let mut files = Vec::new();
        for reference in data.iter().filter(|one| !matches!(one.source, DataSource::InTree { .. }))
        {
            let survey = self.survey(reference).map_err(Error::of(&reference.name))?;
            let pieces = pieces_of(reference, &survey);
            files.extend(pieces.iter().map(|piece| (piece.digest, piece.size)));
        }
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Says what [`Fetcher::fetch`] would fetch. Nothing is hashed and nobody is asked.
    ///
    /// # Errors
    /// When a list of shards cannot be read.
    pub fn plan(&self, data: &[DataReference]) -> Result<Vec<Planned>> {
        data.iter().map(|reference| self.planned(reference)).collect()
    }

    fn planned(&self, reference: &DataReference) -> Result<Planned> {
        let lacks = |digest: Digest, size: u64| {
            if self.client.cache().seems_to_have(digest, size) { 0 } else { size }
        };
        let (from, files, size, to_fetch) = match &reference.source {
            DataSource::InTree { path, .. } => (path.to_string(), 1, 0, 0),
            DataSource::Fetched { urls, sha256, size } => {
                let others = match urls.len() {
                    0 | 1 => String::new(),
                    several => format!(" and {} others", several - 1),
                };
                let first = urls.first().map(shown).unwrap_or_default();
                (format!("{first}{others}"), 1, *size, lacks(*sha256, *size))
            }
            DataSource::Shards { list } => {
                let shards = self.shards(reference, list)?;
                let sum = |size: &dyn Fn(&Shard) -> u64| {
                    shards.iter().map(size).fold(0, u64::saturating_add)
                };
                let lacking = sum(&|shard| lacks(shard.digest, shard.size));
                (list.to_string(), shards.len(), sum(&|shard| shard.size), lacking)
            }
        };
        Ok(Planned {
            name: reference.name.clone(),
            license: reference.license.clone(),
            from,
            files,
            size,
            to_fetch,
        })
    }

    /// Fetches every reference that is not in the cache, several files at once, and checks those
    /// that are in the cache or in the tree.
    ///
    /// # Errors
    /// The first failure; other fetches are then given up, and go on from there another time.
    pub fn fetch(
        &self,
        data: &[DataReference],
        progress: &dyn Progress,
    ) -> Result<Vec<FetchedData>> {
        let surveys: Vec<Survey> = data
            .iter()
            .map(|reference| self.survey(reference).map_err(Error::of(&reference.name)))
            .collect::<Result<_>>()?;
        let exclusions: Vec<Exclusions> = data
            .iter()
            .map(|one| Exclusions::read(&self.tree, one).map_err(Error::of(&one.name)))
            .collect::<Result<_>>()?;
        let mut pieces = Vec::new();
        for (reference, survey) in data.iter().zip(&surveys) {
            pieces.extend(pieces_of(reference, survey));
        }
        let mut got = self.fetch_pieces(&pieces, progress)?.into_iter();
        Ok(data
            .iter()
            .zip(surveys)
            .zip(exclusions)
            .map(|((reference, survey), exclusions)| FetchedData {
                exclusions,
                ..assemble(reference, survey, &mut got)
            })
            .collect())
    }

    pub(super) fn survey(&self, reference: &DataReference) -> Result<Survey> {
        match &reference.source {
            DataSource::InTree { path, sha256 } => {
                let found = tree::look(&self.tree, path)?;
                if found.is_folder && reference.unpack != Unpack::None {
                    return Err(Error::Together { key: "unpack", beside: "a folder" });
                }
                match sha256 {
                    Some(expected) if *expected != found.digest => Err(Error::WrongDigest {
                        path: path.to_string(),
                        expected: *expected,
                        found: found.digest,
                    }),
                    _ => Ok(Survey::Tree(found, path.below(&self.tree))),
                }
            }
            DataSource::Fetched { .. } => Ok(Survey::One),
            DataSource::Shards { list } => {
                if reference.unpack != Unpack::None {
                    return Err(Error::Together { key: "unpack", beside: "`shards`" });
                }
                self.shards(reference, list).map(Survey::Shards)
            }
        }
    }

    /// The shards that `select` chooses, in the order of their paths.
    fn shards(&self, reference: &DataReference, list: &PackagePath) -> Result<Vec<Shard>> {
        let mut selection = select::Selection::of(&reference.select)?;
        let mut shards = shards::read(&self.tree, list)?;
        shards.retain(|shard| selection.takes(shard.path.as_str()));
        selection.finish()?;
        shards.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(shards)
    }

    /// Fetches all pieces, and gives them in the same order.
    fn fetch_pieces(&self, pieces: &[Piece<'_>], progress: &dyn Progress) -> Result<Vec<Got>> {
        let total = pieces.iter().map(|piece| piece.size).fold(0, u64::saturating_add);
        let watch = Together::new(progress, pieces.len(), total);
        let give_up = AtomicBool::new(false);
        let results = parallel::each(pieces, AT_ONCE, |piece| {
            if give_up.load(Ordering::Relaxed) {
                return Err(net::Error::GivenUp.into());
            }
            let result = self.piece(piece, &give_up, &watch).map_err(Error::of(piece.reference));
            if result.is_err() {
                give_up.store(true, Ordering::Relaxed);
            }
            result
        });
        let mut got = Vec::with_capacity(pieces.len());
        let mut failures = Vec::new();
        for result in results {
            match result {
                Ok(file) => got.push(file),
                Err(error) => failures.push(error),
            }
        }
        failures.sort_by_key(Error::is_given_up);
        match failures.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(got),
        }
    }

    /// Finds one file in the cache, or fetches it from the first address that has it.
    fn piece(&self, piece: &Piece<'_>, give_up: &AtomicBool, watch: &Together<'_>) -> Result<Got> {
        if let Some(path) = self.client.cache().get(piece.digest, piece.size)? {
            watch.skip(piece.size);
            return Ok((path, Provenance::Cache));
        }
        if let Some(got) = self.piece_by_digest(piece, give_up, watch)? {
            return Ok(got);
        }
        let mut failures = Vec::new();
        for url in piece.urls {
            match self.get_from(url, piece, give_up, watch) {
                Ok(got) => return Ok(got),
                Err(error) if error.is_local() => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        match failures.len() {
            1 => Err(failures.remove(0)),
            _ => Err(Error::Nowhere { failures }),
        }
    }

    /// Fetches one file from a place that has it by its digest, if there is one.
    fn piece_by_digest(
        &self,
        piece: &Piece<'_>,
        give_up: &AtomicBool,
        watch: &Together<'_>,
    ) -> Result<Option<Got>> {
        let places = self.by_digest.as_ref().map(|places| places(piece.digest));
        for address in places.into_iter().flatten() {
            let shown = address.to_string();
            let request = FetchRequest {
                label: &piece.label,
                addresses: &[address],
                digest: piece.digest,
                size: piece.size,
                give_up: Some(give_up),
            };
            match self.client.fetch(&request, watch) {
                Ok(fetched) => return Ok(Some((fetched.path, Provenance::Address(shown)))),
                Err(error) if error.is_local() => return Err(error.into()),
                // The file's own addresses are left.
                Err(error) => tracing::debug!("{shown}: {error}"),
            }
        }
        Ok(None)
    }

    pub(super) fn get_from(
        &self,
        url: &DataAddress,
        piece: &Piece<'_>,
        give_up: &AtomicBool,
        watch: &Together<'_>,
    ) -> Result<Got> {
        if url.member.is_none()
            && let Some((address, ..)) = self.direct(&url.origin)?
        {
            let request = FetchRequest {
                label: &piece.label,
                addresses: &[address],
                digest: piece.digest,
                size: piece.size,
                give_up: Some(give_up),
            };
            let fetched = self.client.fetch(&request, watch)?;
            return Ok((fetched.path, provenance(&fetched.served, url)));
        }
        let archive = self.archive(&url.origin, piece, give_up, watch)?;
        let name = shown(url);
        let address = Address::Path(name.clone().into());
        let cache = self.client.cache();
        let (path, cached) = match &url.member {
            None => {
                let mut file =
                    File::open(&archive.path).map_err(fs::Error::at("open", &archive.path))?;
                cache.admit(piece.digest, piece.size, &address, &mut file)?
            }
            Some(wanted) => {
                let shown_archive = shown_origin(&url.origin);
                let source = Source { path: &archive.path, shown: &shown_archive };
                member::take(&source, wanted, |contents| {
                    Ok(cache.admit(piece.digest, piece.size, &address, contents)?)
                })?
            }
        };
        watch.skip(piece.size);
        Ok(match cached {
            net::Cached::Yes => (path, Provenance::Cache),
            net::Cached::No => (path, Provenance::Address(name)),
        })
    }

    /// The address that our own client can fetch from, with size and digest where apt knows them.
    fn direct(&self, origin: &Origin) -> Result<Option<Direct>> {
        Ok(match origin {
            Origin::Http(url) => Some((Address::Http(Box::new(url.clone())), None)),
            Origin::File(path) => Some((Address::Path(path.clone()), None)),
            Origin::Pypi { .. } => None,
            Origin::Deb { name, version } => self
                .locate(&DebianPackage { name, version }, origin)?
                .map(|place| (place.address, Some((place.digest, place.size)))),
        })
    }

    /// Asks apt where a package is, once.
    pub(super) fn locate(
        &self,
        package: &DebianPackage<'_>,
        origin: &Origin,
    ) -> Result<Option<Place>> {
        self.needs_network(origin)?;
        let mut places = self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(place) = places.get(&origin.to_string()) {
            return Ok(place.clone());
        }
        let place = package.locate()?;
        places.insert(origin.to_string(), place.clone());
        Ok(place)
    }

    pub(super) fn needs_network(&self, origin: &Origin) -> Result<()> {
        match self.client.network() {
            Network::Allowed => Ok(()),
            Network::Offline => Err(Error::Offline { address: origin.to_string() }),
        }
    }

    /// The archive at `origin`, fetched once however many members are taken from it.
    pub(super) fn archive(
        &self,
        origin: &Origin,
        piece: &Piece<'_>,
        give_up: &AtomicBool,
        watch: &Together<'_>,
    ) -> Result<Arc<Archive>> {
        let slot = {
            let mut archives = self.archives.lock().unwrap_or_else(|poisoned| {
                // A map of slots is whole whatever a panicking thread was about to add.
                poisoned.into_inner()
            });
            Arc::clone(archives.entry(origin.to_string()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(archive) = &*slot {
            return Ok(Arc::clone(archive));
        }
        let archive = Arc::new(self.fetch_archive(origin, piece, give_up, watch)?);
        *slot = Some(Arc::clone(&archive));
        Ok(archive)
    }

    fn fetch_archive(
        &self,
        origin: &Origin,
        piece: &Piece<'_>,
        give_up: &AtomicBool,
        watch: &Together<'_>,
    ) -> Result<Archive> {
        if let Origin::File(path) = origin {
            return Ok(Archive { path: path.clone(), _keeps: Keeps::Cached });
        }
        let label = format!("archive of {}", piece.label);
        match self.direct(origin)? {
            Some((address, None)) => {
                let downloaded = self.client.download(
                    &label,
                    &address,
                    LONGEST_ARCHIVE,
                    give_up,
                    watch.outer(),
                )?;
                let path = downloaded.path().to_owned();
                return Ok(Archive { path, _keeps: Keeps::Downloaded(downloaded) });
            }
            Some((address, Some((digest, size)))) => {
                let addresses = [address];
                let give_up = Some(give_up);
                let request =
                    FetchRequest { label: &label, addresses: &addresses, digest, size, give_up };
                match self.client.fetch(&request, watch.outer()) {
                    Ok(fetched) => {
                        return Ok(Archive { path: fetched.path, _keeps: Keeps::Cached });
                    }
                    Err(error) if error.is_local() => return Err(error.into()),
                    // apt may know a proxy or a password that we do not.
                    Err(error) => tracing::info!("{error}; leaving it to apt-get"),
                }
            }
            None => {}
        }
        self.needs_network(origin)?;
        let staging = Staging::of(self.client.cache().root(), origin, &|| {
            watch.note(&format!("Waiting for another mpkg that fetches {origin}"));
        })?;
        let _task = watch.outer().start(&label, None, Unit::Bytes);
        let path = match origin {
            Origin::Pypi { name, version } => {
                let whole =
                    piece.urls.iter().any(|url| &url.origin == origin && url.member.is_none());
                let digest = whole.then_some(piece.digest);
                Wheel { name, version, digest }.download(&staging.path)?
            }
            Origin::Deb { name, version } => {
                DebianPackage { name, version }.download(&staging.path)?
            }
            Origin::Http(_) | Origin::File(_) => staging.path.clone(),
        };
        Ok(Archive { path, _keeps: Keeps::Folder(staging) })
    }
}

/// An own folder for one archive, locked, and removed when it is dropped. What a killed process
/// left there is removed by the next that wants the same.
struct Staging {
    path: PathBuf,
    _lock: fs::Lock,
}

impl Staging {
    fn of(cache: &Path, origin: &Origin, waiting: &dyn Fn()) -> Result<Self> {
        let key = Digest::of(origin.to_string().as_bytes()).short();
        let folder = cache.join("staging");
        let lock = fs::Lock::acquire(&folder.join(format!("{key}.lock")), waiting)?;
        let path = folder.join(key);
        fs::remove_folder(&path)?;
        fs::create_folder(&path)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next that wants the same.
        let _ = fs::remove_folder(&self.path);
    }
}

/// How an address is shown: without its secrets.
#[must_use]
pub fn shown(url: &DataAddress) -> String {
    let origin = shown_origin(&url.origin);
    url.member.as_ref().map_or(origin.clone(), |member| format!("{origin}#{member}"))
}

fn shown_origin(origin: &Origin) -> String {
    match origin {
        Origin::Http(url) => Address::Http(Box::new(url.clone())).to_string(),
        other => other.to_string(),
    }
}

fn provenance(served: &Served, url: &DataAddress) -> Provenance {
    match served {
        Served::Cache => Provenance::Cache,
        Served::By(_) => Provenance::Address(shown(url)),
    }
}

pub(super) fn pieces_of<'p>(reference: &'p DataReference, survey: &'p Survey) -> Vec<Piece<'p>> {
    match (survey, &reference.source) {
        (Survey::One, DataSource::Fetched { urls, sha256, size }) => vec![Piece {
            reference: &reference.name,
            label: reference.name.to_string(),
            urls,
            digest: *sha256,
            size: *size,
        }],
        (Survey::Shards(shards), _) => shards
            .iter()
            .map(|shard| Piece {
                reference: &reference.name,
                label: shard.path.file_name().to_owned(),
                urls: &shard.urls,
                digest: shard.digest,
                size: shard.size,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Puts a reference together again from its files.
fn assemble(
    reference: &DataReference,
    survey: Survey,
    got: &mut impl Iterator<Item = Got>,
) -> FetchedData {
    let whole = |digest, size, files, provenance, contents| FetchedData {
        reference: reference.clone(),
        digest,
        size,
        files,
        provenance,
        exclusions: Exclusions::default(),
        contents,
    };
    match survey {
        Survey::Tree(found, path) => {
            let contents =
                if found.is_folder { Contents::Folder(path) } else { Contents::File(path) };
            whole(found.digest, found.size, found.files, Provenance::Tree, contents)
        }
        Survey::One => {
            let (path, provenance) = got.next().expect("each piece was got");
            let (digest, size) = match &reference.source {
                DataSource::Fetched { sha256, size, .. } => (*sha256, *size),
                _ => unreachable!("only a fetched reference is one piece"),
            };
            whole(digest, size, 1, provenance, Contents::File(path))
        }
        Survey::Shards(shards) => {
            let mut listing = tree::Listing::default();
            let mut files = Vec::with_capacity(shards.len());
            let mut fetched = 0;
            for shard in shards {
                let (path, provenance) = got.next().expect("each piece was got");
                fetched += usize::from(provenance != Provenance::Cache);
                listing.add(&shard.path, shard.digest, shard.size);
                files.push((shard.path, path));
            }
            let (digest, size) = listing.finish();
            let cached = files.len() - fetched;
            let provenance = Provenance::Shards { fetched, cached };
            whole(digest, size, files.len(), provenance, Contents::Shards(files))
        }
    }
}
