//! Adding packages to a registry that is a folder: everything is checked before anything is
//! written, files by digest come first, the indexes and the metadata that vouches for them last.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::Result;
use super::commit::{Change, Signing};
use super::repository::Repository;
use super::settings::Lifetimes;
use super::write::{Writer, to_json};
use crate::archive::Package;
use crate::crypto::{self, Envelope, KeyId, PublicKey, Subject, envelope_path, verify_package};
use crate::fs;
use crate::net::{Address, Client};
use crate::package::{Digest, PackageName, PackageType, Release};
use crate::progress::Progress;
use crate::registry::{
    Attachment, AttachmentRole, ChunksPlace, Error, NameIndex, Publishers, ReleaseEntry,
    Representation, layout,
};

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It is.
    Really,
    /// Everything is checked, and nothing written.
    DryRun,
}

/// How to publish.
#[derive(Clone, Copy)]
pub struct PublishOptions<'a> {
    /// The keys of which those that signed a new name's packages become its publishers.
    pub known_keys: &'a [PublicKey],
    /// Whether anything is written.
    pub writing: Writing,
    /// What the registry's own metadata is signed with; the time is when packages are published.
    pub signing: Signing<'a>,
}

/// What became of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its name, version and variant.
    pub release: Release,
    /// Its package digest.
    pub package: Digest,
    /// The digest of its file.
    pub file: Digest,
    /// The file's length in bytes.
    pub size: u64,
    /// The publisher keys that signed it.
    pub signed_by: Vec<KeyId>,
    /// Whether it was in the registry already.
    pub state: State,
}

/// Whether a package was in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was added.
    Added,
    /// It was there, the very same.
    AlreadyThere,
    /// It was there, and has other signatures now.
    SignedAnew,
}

/// A package file that was opened and wholly checked.
struct Submission {
    package: Package,
    file: Digest,
    envelope: Vec<u8>,
    claimed: Vec<String>,
    record: Option<Vec<u8>>,
}

/// Adds package files, each with its signatures beside it, to the registry in `folder`.
///
/// # Errors
/// Whatever is wrong with a package, its signatures or the registry; then nothing of any package
/// is listed.
pub fn publish(
    folder: &Path,
    files: &[PathBuf],
    options: &PublishOptions<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Published>> {
    let address = Address::Path(folder.to_owned());
    // Nothing is locked in a folder that is no registry, and no package is read for it.
    Repository::open(&address, client)?;
    let submissions: Vec<Submission> =
        files.iter().map(|path| open(path, progress)).collect::<Result<_>>()?;
    let writer = match options.writing {
        Writing::DryRun => None,
        Writing::Really => Some(Writer::lock(folder, progress)?),
    };
    let mut changes = Changes::of(Repository::open(&address, client)?);
    let published = changes.add_all(&submissions, options)?;
    if let Some(writer) = writer {
        changes.write(&writer, &submissions, options, progress)?;
    }
    Ok(published)
}

/// Says what publishing into a registry that is still to be made would do.
///
/// # Errors
/// Those of [`publish`] that concern packages.
pub fn publish_into_nothing(
    files: &[PathBuf],
    options: &PublishOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Published>> {
    let submissions: Vec<Submission> =
        files.iter().map(|path| open(path, progress)).collect::<Result<_>>()?;
    Changes::default().add_all(&submissions, options)
}

fn open(path: &Path, progress: &dyn Progress) -> Result<Submission> {
    let refused = |source| Error::Package { path: path.to_owned(), source };
    let package = Package::open(path).map_err(refused)?;
    package.verify(progress).map_err(refused)?;
    let file = package.file_digest().map_err(refused)?;
    let envelope_path = envelope_path(path);
    let envelope = match fs::read_to_string(&envelope_path, layout::LARGEST_ATTACHMENT) {
        Ok(text) => text.into_bytes(),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
            let path = path.to_owned();
            return Err(Error::Unsigned { path, envelope: envelope_path }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let release = package.index().release().to_string();
    let parsed = Envelope::parse(&envelope).map_err(|source| Error::Signature {
        release,
        expected: Vec::new(),
        source: Box::new(source),
    })?;
    let claimed = parsed.signatures().iter().map(|one| one.key_id.clone()).collect();
    let record = build_record(path, &package)?;
    Ok(Submission { package, file, envelope, claimed, record })
}

/// The build record beside a binary package, if there is one.
fn build_record(path: &Path, package: &Package) -> Result<Option<Vec<u8>>> {
    let index = package.index();
    if index.package_type == PackageType::Source {
        return Ok(None);
    }
    let record = path.with_file_name(format!("{}-{}.build.json", index.name, index.version));
    match fs::read_to_string(&record, layout::LARGEST_ATTACHMENT) {
        Ok(text) => Ok(Some(text.into_bytes())),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Submission {
    fn subject(&self) -> Subject {
        Subject { package: self.package.package_digest(), file: Some(self.file) }
    }

    /// The keys among `known` that really signed this.
    fn signers_among(&self, known: &[PublicKey]) -> Vec<PublicKey> {
        known
            .iter()
            .copied()
            .filter(|key| {
                verify_package(&self.envelope, self.subject(), &[*key], NonZeroUsize::MIN).is_ok()
            })
            .collect()
    }

    fn attachments(&self) -> Vec<(Attachment, &[u8])> {
        let one = |role, bytes: &[u8]| Attachment {
            role,
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let signatures = (one(AttachmentRole::Publisher, &self.envelope), &self.envelope[..]);
        let record = self
            .record
            .as_ref()
            .map(|record| (one(AttachmentRole::BuildRecord, record), &record[..]));
        [signatures].into_iter().chain(record).collect()
    }

    /// Whether these are other signatures of the very file that `entry` offers.
    fn signs_anew(&self, entry: &ReleaseEntry) -> bool {
        let same_file = entry.stock().is_some_and(|stock| stock.sha256 == self.file);
        let digest = Digest::of(&self.envelope);
        same_file && entry.signatures().is_none_or(|signatures| signatures.sha256 != digest)
    }

    fn entry(&self, now: jiff::Timestamp) -> ReleaseEntry {
        let chunks = self.package.chunks_place();
        let stock = Representation {
            encoding: "mpkg".to_owned(),
            sha256: self.file,
            size: self.package.file_size(),
            chunks: Some(ChunksPlace {
                offset: chunks.offset,
                size: chunks.size,
                sha256: chunks.sha256,
            }),
            base: None,
        };
        let digest = self.package.package_digest();
        ReleaseEntry {
            representations: vec![stock],
            attachments: self.attachments().into_iter().map(|(one, _)| one).collect(),
            ..ReleaseEntry::from_index(self.package.index(), digest, now)
        }
    }
}

/// What the registry will say.
#[derive(Default)]
struct Changes<'a> {
    repository: Option<Repository<'a>>,
    names: BTreeMap<PackageName, NameIndex>,
    changed: BTreeSet<PackageName>,
    added: BTreeSet<Digest>,
}

impl<'a> Changes<'a> {
    fn of(repository: Repository<'a>) -> Self {
        Self { repository: Some(repository), ..Self::default() }
    }

    fn add_all(
        &mut self,
        submissions: &[Submission],
        options: &PublishOptions<'_>,
    ) -> Result<Vec<Published>> {
        let mut order: Vec<&Submission> = submissions.iter().collect();
        order.sort_by_key(|one| (one.package.index().package_type, one.package.index().release()));
        order.into_iter().map(|submission| self.add(submission, options)).collect()
    }

    fn name(&mut self, name: &PackageName) -> Result<&mut NameIndex> {
        if !self.names.contains_key(name) {
            let known = match &mut self.repository {
                Some(repository) => repository.name(name)?,
                None => None,
            };
            let index = known.unwrap_or_else(|| NameIndex::new(name.clone()));
            self.names.insert(name.clone(), index);
        }
        Ok(self.names.get_mut(name).expect("it was put in above"))
    }

    fn add(&mut self, one: &Submission, options: &PublishOptions<'_>) -> Result<Published> {
        let index = one.package.index();
        let digest = one.package.package_digest();
        let publishers = self.publishers(one, options.known_keys)?;
        let signed =
            verify_package(&one.envelope, one.subject(), &publishers.list(), publishers.threshold);
        let signed_by = signed.map_err(|source| Self::refused(one, &publishers, source))?.signers;
        let known = self.name(&index.name)?;
        known.publishers = Some(publishers);
        let state = match known.release(&index.version, index.variant.as_ref()) {
            Some(entry) if entry.package != digest => {
                return Err(Error::Immutable {
                    release: index.release().to_string(),
                    path: one.package.path().to_owned(),
                    published: entry.package,
                    found: digest,
                }
                .into());
            }
            Some(entry) if one.signs_anew(entry) => State::SignedAnew,
            Some(_) => State::AlreadyThere,
            None => State::Added,
        };
        match state {
            State::AlreadyThere => {}
            State::SignedAnew => self.sign_anew(one)?,
            State::Added => {
                self.demand_source(one)?;
                self.name(&index.name)?.put(one.entry(options.signing.now));
            }
        }
        if state != State::AlreadyThere {
            self.added.insert(digest);
            self.changed.insert(index.name.clone());
        }
        self.add_providers(one)?;
        Ok(Published {
            release: index.release(),
            package: digest,
            file: one.file,
            size: one.package.file_size(),
            signed_by,
            state,
        })
    }

    /// The publishers of the name; for a new one, whoever among `known` signed this.
    fn publishers(&mut self, one: &Submission, known: &[PublicKey]) -> Result<Publishers> {
        if let Some(publishers) = &self.name(&one.package.index().name)?.publishers {
            return Ok(publishers.clone());
        }
        let signers = one.signers_among(known);
        if signers.is_empty() {
            let (path, found) = (one.package.path().to_owned(), one.claimed.clone());
            return Err(Error::UnknownSigner { path, found }.into());
        }
        Ok(Publishers::any_of(signers))
    }

    fn refused(one: &Submission, by: &Publishers, source: crypto::Error) -> Error {
        let index = one.package.index();
        let expected = by.ids();
        let claims_one = expected.iter().any(|id| one.claimed.contains(&id.to_string()));
        if claims_one {
            let (release, source) = (index.release().to_string(), Box::new(source));
            return Error::Signature { release, expected, source };
        }
        Error::OtherPublisher { name: index.name.clone(), expected, found: one.claimed.clone() }
    }

    /// Puts the signatures of `one` behind those that its release has; the last ones count. The
    /// build record that they name comes with them.
    fn sign_anew(&mut self, one: &Submission) -> Result<()> {
        let index = one.package.index();
        let known = self.name(&index.name)?;
        let entry = known.release(&index.version, index.variant.as_ref()).cloned();
        if let Some(mut entry) = entry {
            for (attachment, _) in one.attachments() {
                if !entry.attachments.contains(&attachment) {
                    entry.attachments.push(attachment);
                }
            }
            known.put(entry);
        }
        Ok(())
    }

    /// Source beside binary, always.
    fn demand_source(&mut self, one: &Submission) -> Result<()> {
        let index = one.package.index();
        let Some(source) = index.source else { return Ok(()) };
        let release = index.release().to_string();
        match self.name(&index.name)?.by_digest(source) {
            Some(entry)
                if entry.package_type == PackageType::Source && entry.version == index.version =>
            {
                Ok(())
            }
            Some(entry) => {
                let found = entry.release(&index.name).to_string();
                Err(Error::OtherSource { release, found }.into())
            }
            None => Err(Error::SourceMissing { release, source_digest: source }.into()),
        }
    }

    fn add_providers(&mut self, one: &Submission) -> Result<()> {
        let index = one.package.index();
        for provided in index.provides.iter().filter(|name| **name != index.name) {
            let listing = self.name(provided)?;
            if let Err(place) = listing.providers.binary_search(&index.name) {
                listing.providers.insert(place, index.name.clone());
                self.changed.insert(provided.clone());
            }
        }
        Ok(())
    }

    /// Writes the files of what was added, and then the indexes that name them.
    fn write(
        mut self,
        writer: &Writer<'_>,
        submissions: &[Submission],
        options: &PublishOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let Some(mut repository) = self.repository.take() else { return Ok(()) };
        // The keys come before the files: where they are missing nothing is written at all.
        repository.online(&options.signing, &repository.targets.document)?;
        for one in submissions {
            let digest = one.package.package_digest();
            if self.added.contains(&digest) {
                writer.copy(one.package.path(), &layout::blob(one.file), one.file, progress)?;
                for (attachment, bytes) in one.attachments() {
                    writer.add(&attachment.place(digest), bytes)?;
                }
            }
        }
        let changed = || self.changed.iter().map(|name| &self.names[name]);
        let mut change =
            Change { targets: repository.search_lists(changed())?, ..Change::default() };
        for index in changed() {
            let path = layout::index(&index.name);
            let bytes = to_json(&path, index)?;
            change.targets.insert(path, bytes);
        }
        let lifetimes = Lifetimes::of(writer.folder())?;
        repository.commit(writer, change, lifetimes, &options.signing)
    }
}
