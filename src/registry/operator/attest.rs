//! Storing what others say about packages that are published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::commit::{Change, Signing};
use super::repository::Repository;
use super::settings::Lifetimes;
use super::write::{Writer, to_json};
use super::{Error, Result, State, Writing};
use crate::crypto::Envelope;
use crate::crypto::statement::Statement;
use crate::fs;
use crate::net::{Address, Client};
use crate::package::{Digest, PackageName, Release};
use crate::progress::Progress;
use crate::registry::{Attachment, AttachmentRole, NameIndex, layout};

/// A statement that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The package that it is about.
    pub release: Release,
    /// That package's digest.
    pub package: Digest,
    /// What kind of statement it says it is.
    pub predicate: String,
    /// The keys that it claims to be signed by. Whoever reads it decides whom to believe.
    pub claimed: Vec<String>,
    /// Whether it was there already.
    pub state: State,
}

/// A file with a statement, parsed.
struct Paper {
    path: PathBuf,
    bytes: Vec<u8>,
    statement: Statement,
    claimed: Vec<String>,
}

/// Stores signed statements beside the packages that they are about. Who signed them is not judged
/// here: a registry passes on what is said, and each reader believes whom it trusts.
///
/// # Errors
/// [`Error::Key`] where a file is no signed statement, [`Error::NoSuch`] where it is about nothing
/// in the registry, and whatever is wrong with the registry. Then nothing is listed.
pub fn attest(
    folder: &Path,
    files: &[PathBuf],
    writing: Writing,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Attested>> {
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let papers: Vec<Paper> = files.iter().map(|path| Paper::read(path)).collect::<Result<_>>()?;
    let writer = match writing {
        Writing::Really => Some(Writer::lock(folder, progress)?),
        Writing::DryRun => None,
    };
    let mut repository = Repository::open(&address, client)?;
    let mut names: BTreeMap<PackageName, NameIndex> = BTreeMap::new();
    let mut changed = BTreeSet::new();
    let mut attested = Vec::new();
    for paper in &papers {
        let found = repository.place(paper, &mut names)?;
        if found.state == State::Added {
            changed.insert(found.release.name.clone());
        }
        attested.push(found);
    }
    let Some(writer) = writer else { return Ok(attested) };
    repository.online(signing, &repository.targets.document)?;
    for (paper, found) in papers.iter().zip(&attested) {
        writer.add(&paper.attachment().place(found.package), &paper.bytes)?;
    }
    let mut change = Change::default();
    for name in &changed {
        let path = layout::index(name);
        let bytes = to_json(&path, &names[name])?;
        change.targets.insert(path, bytes);
    }
    repository.commit(&writer, change, Lifetimes::of(folder)?, signing)?;
    Ok(attested)
}

impl Paper {
    fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read_to_string(path, layout::LARGEST_ATTACHMENT)?.into_bytes();
        let envelope = Envelope::parse(&bytes)?;
        let statement = Statement::parse(envelope.payload())?;
        let claimed = envelope.signatures().iter().map(|one| one.key_id.clone()).collect();
        Ok(Self { path: path.to_owned(), bytes, statement, claimed })
    }

    fn attachment(&self) -> Attachment {
        Attachment {
            role: AttachmentRole::Attestation,
            sha256: Digest::of(&self.bytes),
            size: self.bytes.len() as u64,
        }
    }

    /// The names of packages that its subjects may be files of, as `docs-lm` is of
    /// `docs-lm-1.0.0.f32.mpkg`.
    fn names(&self) -> BTreeSet<PackageName> {
        let subjects = self.statement.subjects.iter().map(|subject| subject.name.as_str());
        let starts = subjects.filter(|name| name.len() <= 512).flat_map(|name| {
            name.match_indices('-').map(|(at, _)| &name[..at]).collect::<Vec<_>>()
        });
        starts.filter_map(|start| start.parse().ok()).collect()
    }
}

impl Repository<'_> {
    /// Finds the package that `paper` is about and puts it beside it.
    fn place(
        &mut self,
        paper: &Paper,
        names: &mut BTreeMap<PackageName, NameIndex>,
    ) -> Result<Attested> {
        let packages = paper.statement.packages();
        for name in paper.names() {
            if !names.contains_key(&name) {
                let Some(index) = self.name(&name)? else { continue };
                names.insert(name.clone(), index);
            }
            let index = names.get_mut(&name).expect("it was put in above");
            let entry = packages.iter().find_map(|package| index.by_digest(*package)).cloned();
            let Some(mut entry) = entry else { continue };
            let attachment = paper.attachment();
            let is_there = entry.attachments.contains(&attachment);
            let attested = Attested {
                release: entry.release(&name),
                package: entry.package,
                predicate: paper.statement.predicate_type.clone(),
                claimed: paper.claimed.clone(),
                state: if is_there { State::AlreadyThere } else { State::Added },
            };
            if !is_there {
                entry.attachments.push(attachment);
                index.put(entry);
            }
            return Ok(attested);
        }
        let what = format!("package that {} is about", paper.path.display());
        Err(Error::NoSuch { what, known: packages.iter().map(Digest::to_string).collect() })
    }
}
