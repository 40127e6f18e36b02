//! What of a package has a licence, and the texts that are the evidence for it.

use std::collections::BTreeMap;
use std::path::Path;

use super::evidence::Witness;
use super::{Looking, Result};
use crate::build::environment::{
    LockedProject, Network, Request, prepare, projects, wheel_members,
};
use crate::build::tree::SourceTree;
use crate::fs;
use crate::ops::lineage::{Part, Places};
use crate::package::manifest::DataReference;
use crate::package::{Digest, INDEX_PATH, PackagePath};
use crate::study::facts::{FactStore, Read};
use crate::study::licences::{
    self, Evidence, Fault, Finding, How, LONGEST_EVIDENCE, LicenceFact, Sighting, What, judge,
    licences_in,
};

/// The endings of files that are code.
const CODE: &[&str] = &[
    "py", "pyx", "pyi", "sh", "bash", "c", "h", "cc", "cpp", "hpp", "cu", "rs", "go", "jl", "js",
    "mjs", "ts", "java", "scala", "pl", "rb", "r", "R", "lua", "f90", "ipynb", "awk",
];
/// How far into a file a tag is looked for, in bytes.
const HEAD: usize = 4096;
/// The most files of a tree that are looked at for tags.
const MOST_FILES: usize = 5000;
/// Names of files at the root of a tree that say which licence it has, in lower case.
const LICENCE_FILES: &[&str] = &["license", "licence", "copying", "copyright", "unlicense"];

/// A text that is evidence.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The file or address.
    pub(super) place: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Their digest.
    pub(super) sha256: Digest,
    /// The licence of one's own whose text it is by its name.
    pub(super) own: Option<String>,
    /// The name under which its digest is remembered.
    pub(super) key: Option<String>,
}

impl Text {
    pub(super) fn new(place: impl Into<String>, bytes: Vec<u8>) -> Self {
        let sha256 = Digest::of(&bytes);
        Self { place: place.into(), bytes, sha256, own: None, key: None }
    }
}

/// What there is for evidence.
#[derive(Debug, Clone)]
pub(super) enum Brought {
    None,
    Unseen {
        place: String,
        why: String,
    },
    Gone {
        place: String,
        why: String,
    },
    /// It was read before.
    Known {
        place: String,
        read: Read,
    },
    /// It stands in the files themselves.
    Tags {
        place: String,
        sightings: Vec<Sighting>,
    },
    Texts(Vec<Text>),
}

/// Who says which licence it is.
#[derive(Debug, Clone)]
pub(super) enum Claim {
    /// The manifest.
    Declared(String),
    /// The metadata of a wheel, where that is here.
    Metadata(Option<Text>),
}

/// Something that has a licence.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) place: (usize, What),
    pub(super) claim: Claim,
    pub(super) brought: Brought,
}

impl Piece {
    /// Every text that says something about it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        let evidence = match &self.brought {
            Brought::Texts(texts) => &texts[..],
            _ => &[],
        };
        let metadata = match &self.claim {
            Claim::Metadata(text) => text.as_ref(),
            Claim::Declared(_) => None,
        };
        evidence.iter().chain(metadata)
    }
}

/// Gathers the pieces of one package.
pub(super) struct Gatherer<'a> {
    pub(super) number: usize,
    pub(super) part: &'a Part,
    pub(super) looking: Looking<'a>,
    pub(super) places: &'a Places<'a>,
    pub(super) store: &'a FactStore,
}

impl Gatherer<'_> {
    pub(super) fn pieces(&self) -> Result<Vec<Piece>> {
        let license = &self.part.package.license;
        let Some(tree) = &self.part.tree else {
            let folder = self.places.home.package(self.part.package.package);
            let brought = of_package(&folder, license)?;
            return Ok(vec![self.declared(What::Package, license, brought)]);
        };
        let own = of_package(tree.root(), license)?;
        let mut pieces = vec![self.declared(What::Package, license, own.clone())];
        pieces.extend(self.code(tree, own)?);
        let fetcher = super::fetcher(self.part, self.places);
        for reference in &tree.manifest().data {
            let brought = match &fetcher {
                Some(fetcher) => self.evidence(tree, reference, fetcher),
                None => Brought::None,
            };
            pieces.push(self.declared(
                What::Data(reference.name.to_string()),
                &reference.license,
                brought,
            ));
        }
        let projects = projects(&tree.manifest().environment, tree.root())?;
        let why = self.fetch_wheels(tree, &projects);
        pieces.extend(projects.iter().map(|project| self.wheel(project, &why)));
        Ok(pieces)
    }

    /// Brings the wheels that are not here, where that is asked for; says why one may be missing.
    fn fetch_wheels(&self, tree: &SourceTree, projects: &[LockedProject]) -> String {
        let cache = self.places.home.cache();
        let lacks = projects.iter().any(|project| project.cached(&cache).is_none());
        let Looking::Everywhere { search_path } = self.looking else {
            return "the wheel is not in the cache; --check fetches it".to_owned();
        };
        if !lacks {
            return String::new();
        }
        let network = match self.places.client.network() {
            crate::net::Network::Allowed => Network::Allowed,
            crate::net::Network::Offline => Network::Offline,
        };
        let section = &tree.manifest().environment;
        let request = Request {
            section,
            tree: tree.root(),
            cache: &cache,
            search_path,
            network,
            mirrors: None,
        };
        match prepare(&request, self.places.progress) {
            Ok(_) => "no wheel for this machine is locked".to_owned(),
            Err(error) => one_line(&error.to_string()),
        }
    }

    fn declared(&self, what: What, license: &str, brought: Brought) -> Piece {
        Piece { place: (self.number, what), claim: Claim::Declared(license.to_owned()), brought }
    }

    fn evidence(
        &self,
        tree: &SourceTree,
        reference: &DataReference,
        fetcher: &crate::build::data::Fetcher<'_>,
    ) -> Brought {
        let Some(named) = &reference.license_evidence else { return Brought::None };
        let Self { looking, store, places, .. } = *self;
        Witness { tree, reference, fetcher, looking, store, places }.brought(named)
    }

    /// The code of the tree: what its files say themselves, and what the package says of the rest.
    fn code(&self, tree: &SourceTree, own: Brought) -> Result<Option<Piece>> {
        let is_code = |path: &PackagePath| {
            let ending = path.as_str().rsplit_once('.').map(|(_, ending)| ending);
            ending.is_some_and(|ending| CODE.contains(&ending))
        };
        let files: Vec<PackagePath> = files_of(tree)?.into_iter().filter(is_code).collect();
        if files.is_empty() {
            return Ok(None);
        }
        let mut tagged: BTreeMap<String, usize> = BTreeMap::new();
        for path in files.iter().take(MOST_FILES) {
            if let Some(expression) = tag(&path.below(tree.root()))? {
                *tagged.entry(expression).or_default() += 1;
            }
        }
        let license = &self.part.package.license;
        let count: usize = tagged.values().sum();
        if count == 0 {
            return Ok(Some(self.declared(What::Code, license, own)));
        }
        let place = format!("SPDX tags in {count} of {} files", files.len());
        let mut names: Vec<String> = tagged.into_keys().collect();
        if count < files.len() && !names.contains(license) {
            names.push(license.clone());
        }
        let in_brackets = |name: &String| match name.contains(' ') && names.len() > 1 {
            true => format!("({name})"),
            false => name.clone(),
        };
        let whole = names.iter().map(in_brackets).collect::<Vec<_>>().join(" AND ");
        let sightings = names.into_iter().map(|name| Sighting::one(name, How::Tag)).collect();
        Ok(Some(self.declared(What::Code, &whole, Brought::Tags { place, sightings })))
    }

    fn wheel(&self, project: &LockedProject, why: &str) -> Piece {
        let what = What::Wheel { name: project.name.clone(), version: project.version.clone() };
        let place = (self.number, what);
        let Some((digest, path)) = project.cached(&self.places.home.cache()) else {
            let brought = Brought::Unseen {
                place: format!("the metadata of {} {}", project.name, project.version),
                why: why.to_owned(),
            };
            return Piece { place, claim: Claim::Metadata(None), brought };
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let in_info = |name: &str| name.contains(".dist-info/") && name.matches('/').count() < 8;
        let members = match wheel_members(&path, in_info, LONGEST_EVIDENCE) {
            Ok(members) => members,
            Err(error) => {
                let brought = Brought::Gone { place: file, why: error.to_string() };
                return Piece { place, claim: Claim::Metadata(None), brought };
            }
        };
        let (metadata, texts) = texts_of_wheel(&file, &members);
        let brought = match (&metadata, texts.is_empty()) {
            (Some(_), false) => Brought::Texts(texts),
            (Some(_), true) => Brought::None,
            (None, _) => Brought::Gone {
                place: file,
                why: format!("the wheel {} has no metadata", digest.short()),
            },
        };
        Piece { place, claim: Claim::Metadata(metadata), brought }
    }
}

/// The metadata of a wheel, and the texts of its licences.
fn texts_of_wheel(file: &str, members: &BTreeMap<String, Vec<u8>>) -> (Option<Text>, Vec<Text>) {
    let text = |name: &String, bytes: &Vec<u8>| Text::new(format!("{file}#{name}"), bytes.clone());
    let metadata = members
        .iter()
        .find(|(name, _)| name.ends_with(".dist-info/METADATA"))
        .map(|(name, bytes)| text(name, bytes));
    let listed = metadata
        .as_ref()
        .map(|metadata| licences::licence_files(&String::from_utf8_lossy(&metadata.bytes)))
        .unwrap_or_default();
    let is_licence = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or_default().to_lowercase();
        listed.iter().any(|one| name.ends_with(&format!("/{one}")))
            || LICENCE_FILES.iter().any(|start| last.starts_with(start))
    };
    let texts = members.iter().filter(|(name, _)| is_licence(name));
    (metadata, texts.map(|(name, bytes)| text(name, bytes)).collect())
}

/// The fact about a wheel: what its metadata says, held against the texts in it. A text beside
/// those that are declared is no fault: wheels hold the licences of libraries that they contain.
pub(super) fn wheel(
    place: (usize, What),
    declared: &[Sighting],
    evidence: Evidence,
    sightings: Vec<Sighting>,
) -> LicenceFact {
    let gone = |message: String| Finding { kind: "evidence-gone", message };
    let finding = match &evidence {
        Evidence::Unseen { .. } => None,
        Evidence::Gone { place, why } => Some(gone(format!("{place}: {why}"))),
        _ => Some(Finding {
            kind: "no-licence",
            message: "the wheel's metadata names no licence".to_owned(),
        }),
    };
    if declared.is_empty() {
        return LicenceFact::unknown(place, evidence, finding);
    }
    let mut names: Vec<String> = declared.iter().map(|one| meant(one, &sightings)).collect();
    names.sort();
    names.dedup();
    let license = match &names[..] {
        [one] => one.clone(),
        several => {
            let bracket = |name: &String| match name.contains(' ') {
                true => format!("({name})"),
                false => name.clone(),
            };
            several.iter().map(bracket).collect::<Vec<_>>().join(" AND ")
        }
    };
    let judged = judge(&license, (!sightings.is_empty()).then_some(&sightings[..]));
    let is_fault = |fault: &&Fault| !matches!(fault, Fault::More { .. } | Fault::Less { .. });
    let findings = judged.faults.iter().filter(is_fault);
    let findings: Vec<Finding> =
        findings.map(|fault| Finding { kind: fault.kind(), message: fault.to_string() }).collect();
    let freedom = licences::freedom(&license);
    let (part, what) = place;
    let (license, level) = (Some(license), judged.level);
    LicenceFact { part, what, license, freedom, level, evidence, sightings, findings }
}

/// Which of several licences that may be meant the texts in the wheel show.
fn meant(declared: &Sighting, texts: &[Sighting]) -> String {
    let is_seen = |name: &&String| texts.iter().any(|text| text.any_of == [(*name).clone()]);
    let seen = declared.any_of.iter().find(is_seen);
    seen.or(declared.any_of.first()).cloned().unwrap_or_default()
}

/// The texts that say which licence the package in `folder` has: those in `LICENSES/` that are
/// named like the licences of its expression, else the licence files at its root.
fn of_package(folder: &Path, license: &str) -> Result<Brought> {
    let mut texts = Vec::new();
    for name in licences_in(license) {
        let bare = name.split(" WITH ").next().unwrap_or(&name).to_owned();
        let place = format!("LICENSES/{bare}.txt");
        if let Some(bytes) = read(&folder.join(&place))? {
            let own = bare.starts_with("LicenseRef-").then_some(bare);
            texts.push(Text { own, ..Text::new(place, bytes) });
        }
    }
    if texts.is_empty() {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|it| it.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let is_licence = |name: &String| {
            let lower = name.to_lowercase();
            LICENCE_FILES.iter().any(|start| lower.starts_with(start)) && lower != "licenses"
        };
        for name in names.into_iter().filter(is_licence) {
            if let Some(bytes) = read(&folder.join(&name))? {
                texts.push(Text::new(name, bytes));
            }
        }
    }
    Ok(if texts.is_empty() { Brought::None } else { Brought::Texts(texts) })
}

/// The files of a source tree, or of an unpacked source package.
pub(in crate::ops) fn files_of(tree: &SourceTree) -> Result<Vec<PackagePath>> {
    if !tree.root().join(INDEX_PATH).is_file() {
        return Ok(tree.files()?);
    }
    let walk = walkdir::WalkDir::new(tree.root()).min_depth(1).sort_by_file_name();
    let files = walk.into_iter().filter_map(std::result::Result::ok);
    let files = files.filter(|entry| entry.file_type().is_file());
    let path = |entry: walkdir::DirEntry| {
        entry.path().strip_prefix(tree.root()).ok()?.to_str()?.parse().ok()
    };
    Ok(files.filter_map(path).collect())
}

/// A file's bytes; none where there is no regular file, or it is too long for evidence.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() && found.len() <= LONGEST_EVIDENCE => {
            Ok(Some(fs::read(path, LONGEST_EVIDENCE)?))
        }
        _ => Ok(None),
    }
}

/// The SPDX tag at the beginning of a file.
fn tag(path: &Path) -> Result<Option<String>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(fs::Error::at("open", path))?;
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head).map_err(fs::Error::at("read", path))?;
    let head = String::from_utf8_lossy(&head);
    Ok(licences::tags(&head).into_iter().next().map(|tag| tag.any_of[0].clone()))
}

/// Why something is not to be had, on one line.
pub(super) fn why(error: &crate::build::data::Error) -> String {
    one_line(&error.to_string())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
