//! Keeping advisories, and statements that packages are not affected by them.

use std::path::{Path, PathBuf};

use super::commit::{Change, Signing};
use super::repository::Repository;
use super::settings::Lifetimes;
use super::write::{Writer, to_json};
use super::{Error, Result, State, Writing};
use crate::crypto::{Envelope, PublicKey, envelope_path};
use crate::fs;
use crate::net::{Address, Client};
use crate::package::advisory::{AdvisoryId, LONGEST_ADVISORY};
use crate::package::{Digest, PackageName};
use crate::progress::Progress;
use crate::registry::{self, AdvisoryEntry, AdvisoryList, Notice, NoticeError, VexEntry, layout};

/// An advisory or a document of VEX statements that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    /// What it is called: the advisory's id, or `vex`.
    pub name: String,
    /// The keys that signed it.
    pub signed_by: Vec<PublicKey>,
    /// Whether it was there already.
    pub state: State,
}

/// A file with its signatures, parsed.
struct Paper {
    what: String,
    bytes: Vec<u8>,
    notice: Notice,
    envelope: Envelope,
}

/// Adds advisories and VEX documents, each with its signatures beside it, to the registry in
/// `folder`; a newer one takes the place of an older one of the same id. An advisory is taken from
/// a key that this machine knows (`known`) or from a publisher of a package that it names, a change of it
/// only from who signed it before; a VEX statement from a publisher of each package that it is about, or from
/// who issued the advisories.
///
/// # Errors
/// What is wrong with a file or its signatures, and with the registry; then nothing changes.
pub fn advise(
    folder: &Path,
    files: &[PathBuf],
    known: &[PublicKey],
    writing: Writing,
    signing: &Signing<'_>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Advised>> {
    let address = Address::Path(folder.to_owned());
    Repository::open(&address, client)?;
    let mut papers: Vec<Paper> =
        files.iter().map(|path| Paper::read(path)).collect::<Result<_>>()?;
    // Statements may be about advisories that come with them.
    papers.sort_by_key(|paper| matches!(paper.notice, Notice::Vex(_)));
    let writer = match writing {
        Writing::Really => Some(Writer::lock(folder, progress)?),
        Writing::DryRun => None,
    };
    let mut repository = Repository::open(&address, client)?;
    let mut list = repository.advisories()?.unwrap_or_else(AdvisoryList::new);
    let before = list.clone();
    let mut advised = Vec::new();
    for paper in &papers {
        advised.push(repository.take(paper, known, &mut list)?);
    }
    let (Some(writer), true) = (writer, list != before) else { return Ok(advised) };
    repository.online(signing, &repository.targets.document)?;
    for paper in &papers {
        let place = layout::notice(paper.notice.stem(), Digest::of(&paper.bytes));
        writer.add(&place, &paper.bytes)?;
    }
    let mut change = Change::default();
    let path = layout::ADVISORIES.to_owned();
    change.targets.insert(path.clone(), to_json(&path, &list)?);
    repository.commit(&writer, change, Lifetimes::of(folder)?, signing)?;
    Ok(advised)
}

impl Paper {
    fn read(path: &Path) -> Result<Self> {
        let what = path.display().to_string();
        let bytes = fs::read_to_string(path, LONGEST_ADVISORY)?.into_bytes();
        let notice = Notice::parse(&bytes, &what)?;
        let beside = envelope_path(path);
        let envelope = match fs::read_to_string(&beside, layout::LARGEST_ATTACHMENT) {
            Ok(text) => Envelope::parse(text.as_bytes())?,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::UnsignedNotice { what, envelope: beside });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { what, bytes, notice, envelope })
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn signers(&self, trusted: &[PublicKey]) -> Result<Vec<PublicKey>> {
        Ok(self.notice.signers(&self.bytes, &self.envelope, trusted, &self.what)?)
    }
}

impl Repository<'_> {
    /// The list of advisories; nothing where there is none.
    ///
    /// # Errors
    /// A list that cannot be read, or contradicts itself.
    pub fn advisories(&mut self) -> Result<Option<AdvisoryList>> {
        let list: Option<AdvisoryList> = self.read(layout::ADVISORIES)?;
        match list.as_ref().and_then(AdvisoryList::fault) {
            Some(why) => {
                let (location, file) = (self.location(), layout::ADVISORIES.to_owned());
                Err(registry::Error::Contradiction { location, file, why }.into())
            }
            None => Ok(list),
        }
    }

    fn take(
        &mut self,
        paper: &Paper,
        known: &[PublicKey],
        list: &mut AdvisoryList,
    ) -> Result<Advised> {
        let sha256 = Digest::of(&paper.bytes);
        if list.files().any(|(_, digest, _)| digest == sha256) {
            let signed_by = paper.signers(&list.keys())?;
            let name = paper.notice.stem().to_owned();
            return Ok(Advised { name, signed_by, state: State::AlreadyThere });
        }
        let signed_by = match &paper.notice {
            Notice::Advisory(advisory) => {
                let old = list.advisories.iter().find(|one| one.id == advisory.id);
                let signers = if let Some(old) = old {
                    demand_successor(paper, advisory.modified, old, list)?
                } else {
                    let mut trusted = known.to_vec();
                    for name in advisory.packages() {
                        trusted.extend(self.publisher_keys(&name)?);
                    }
                    paper.signers(&trusted)?
                };
                list.advisories.retain(|one| one.id != advisory.id);
                list.advisories.push(AdvisoryEntry {
                    id: advisory.id.clone(),
                    modified: advisory.modified,
                    withdrawn: advisory.withdrawn,
                    summary: advisory.summary.clone(),
                    packages: advisory.packages(),
                    data: advisory.data(),
                    sha256,
                    size: paper.size(),
                    signatures: paper.envelope.clone(),
                });
                list.advisories.sort_by(|one, other| one.id.cmp(&other.id));
                signers
            }
            Notice::Vex(vex) => {
                let signers =
                    self.demand_spokesman(paper, &vex.advisories(), &vex.packages(), list)?;
                list.statements.push(VexEntry {
                    advisories: vex.advisories(),
                    packages: vex.packages(),
                    sha256,
                    size: paper.size(),
                    signatures: paper.envelope.clone(),
                });
                list.statements.sort_by_key(|one| one.sha256);
                signers
            }
        };
        list.issuers.extend(signed_by.iter().map(|key| (key.id(), *key)));
        Ok(Advised { name: paper.notice.stem().to_owned(), signed_by, state: State::Added })
    }

    fn publisher_keys(&mut self, name: &PackageName) -> Result<Vec<PublicKey>> {
        let index = self.name(name)?;
        let publishers = index.and_then(|index| index.publishers);
        Ok(publishers.map(|publishers| publishers.list()).unwrap_or_default())
    }

    /// Who may say that packages are not affected: a publisher of each, or who issued all of the
    /// advisories.
    fn demand_spokesman(
        &mut self,
        paper: &Paper,
        advisories: &[AdvisoryId],
        packages: &[PackageName],
        list: &AdvisoryList,
    ) -> Result<Vec<PublicKey>> {
        let mut allowed: Option<Vec<PublicKey>> = None;
        for id in advisories {
            let entry = list.advisories.iter().find(|entry| entry.id == *id);
            let Some(entry) = entry else {
                let known = list.advisories.iter().map(|one| one.id.to_string()).collect();
                return Err(Error::NoSuch { what: format!("advisory {id}"), known });
            };
            let issuers =
                entry.signatures.verify(&list.keys(), std::num::NonZeroUsize::MIN)?.signers;
            allowed = Some(match allowed {
                None => issuers,
                Some(before) => before.into_iter().filter(|key| issuers.contains(key)).collect(),
            });
        }
        let issuers = allowed.unwrap_or_default();
        let mut signers = Vec::new();
        for name in packages {
            let mut trusted = self.publisher_keys(name)?;
            trusted.extend(&issuers);
            signers.extend(paper.signers(&trusted)?);
        }
        signers.dedup();
        Ok(signers)
    }
}

/// A change of an advisory is signed by who signed it before, and is younger.
fn demand_successor(
    paper: &Paper,
    modified: jiff::Timestamp,
    old: &AdvisoryEntry,
    list: &AdvisoryList,
) -> Result<Vec<PublicKey>> {
    if modified <= old.modified {
        let (what, found) = (paper.what.clone(), old.modified);
        return Err(Error::OlderNotice { what, found });
    }
    let one = std::num::NonZeroUsize::MIN;
    let before = old.signatures.verify(&list.keys(), one)?.signers;
    paper.signers(&before)
}

impl From<NoticeError> for Error {
    fn from(error: NoticeError) -> Self {
        Self::Notice(Box::new(error))
    }
}
