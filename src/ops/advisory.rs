//! `mpkg advisory`: making, signing and looking at advisories and statements about them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::catalogue::{self, Catalogue, open};
use super::install;
use crate::crypto::{self, Envelope, SigningKey, envelope_path};
use crate::explain::Explain;
use crate::fs;
use crate::net::Client;
use crate::package::advisory::{
    Advisory, AdvisoryId, Affected, AffectedData, InvalidRange, Justification, LONGEST_ADVISORY,
    Product, Range, Status, Vex, VexStatement,
};
use crate::package::{Digest, PackageName, PackageVersion, Requirement};
use crate::registry::{self, AdvisoryEntry, Notice, NoticeError, Selection, layout};
use crate::store::Home;

/// What a new advisory says.
#[derive(Debug, Clone)]
pub struct NewAdvisory {
    /// Its id; without one the next free one of this year.
    pub id: Option<AdvisoryId>,
    /// The package that is affected.
    pub package: Option<PackageName>,
    /// Which versions of it.
    pub versions: Requirement,
    /// The version that mends it.
    pub fixed: Option<PackageVersion>,
    /// Data that is affected.
    pub data: Vec<AffectedData>,
    /// One line that says what is wrong.
    pub summary: String,
    /// All that there is to say.
    pub details: String,
    /// How bad it is.
    pub severity: Option<String>,
    /// Where more is said.
    pub references: Vec<String>,
    /// Ids of the same in other databases.
    pub aliases: Vec<String>,
    /// When.
    pub now: jiff::Timestamp,
}

/// How an advisory is changed.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// Another line that says what is wrong.
    pub summary: Option<String>,
    /// Other details.
    pub details: Option<String>,
    /// Another severity.
    pub severity: Option<String>,
    /// The version that mends the package that it names.
    pub fixed: Option<PackageVersion>,
    /// More data.
    pub data: Vec<Digest>,
    /// More places where something is said.
    pub references: Vec<String>,
    /// Whether it counts for nothing from now on.
    pub withdraw: bool,
}

/// A statement about a package and an advisory.
#[derive(Debug, Clone)]
pub struct NewVex {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The packages.
    pub products: Vec<ProductName>,
    /// How they stand to it.
    pub status: Status,
    /// Why.
    pub justification: Option<Justification>,
    /// The same in words.
    pub impact: Option<String>,
    /// Who says so.
    pub author: String,
    /// When.
    pub now: jiff::Timestamp,
}

/// How a package is named in a statement.
#[derive(Debug, Clone)]
pub enum ProductName {
    /// By its file.
    File(PathBuf),
    /// By name, version and variant.
    Release(Product),
}

/// What can fail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The advisory or statement is not as it should be.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// A registry or a package.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    /// Signing.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A range that cannot be said.
    #[error(transparent)]
    Range(#[from] InvalidRange),
    /// It is said of nothing what is affected.
    #[error("it is not said what is affected")]
    Nothing,
    /// A file is in the way.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A statement where an advisory is wanted.
    #[error("{} is no advisory: it is a document of VEX statements", path.display())]
    NotAnAdvisory {
        /// The file.
        path: PathBuf,
    },
    /// A fix for an advisory that names no package.
    #[error("{} names no package, so no version can mend it", path.display())]
    NoPackage {
        /// The file.
        path: PathBuf,
    },
    /// Registries have no such advisory.
    #[error("no registry that is named has an advisory {id}")]
    NoSuchAdvisory {
        /// What was looked for.
        id: AdvisoryId,
        /// Those that there are.
        known: Vec<AdvisoryId>,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        catalogue::Error::from(error).into()
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Notice(error) => error.kind(),
            Self::Catalogue(error) => error.kind(),
            Self::Crypto(error) => error.kind(),
            Self::Range(_) => "bad-range",
            Self::Nothing | Self::NoPackage { .. } => "nothing-affected",
            Self::Exists { .. } => "exists",
            Self::NotAnAdvisory { .. } => "bad-advisory",
            Self::NoSuchAdvisory { .. } => "no-such-advisory",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Notice(error) => error.hint(),
            Self::Catalogue(error) => error.hint(),
            Self::Crypto(error) => error.hint(),
            Self::Nothing => Some("name it with --package NAME or --data DIGEST".to_owned()),
            Self::Exists { .. } => Some("name another file with --out FILE".to_owned()),
            Self::NoSuchAdvisory { known, .. } if !known.is_empty() => {
                let known: Vec<&str> = known.iter().map(AdvisoryId::as_str).collect();
                Some(format!("there is {}", known.join(", ")))
            }
            _ => None,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Notice(error) => error.details(),
            _ => None,
        }
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Writes a new advisory to `out`, or to `ID.json`; gives it and its place.
///
/// # Errors
/// See [`Error`]; then nothing is written.
pub fn new(
    wanted: &NewAdvisory,
    known: &[AdvisoryId],
    out: Option<&Path>,
) -> Result<(Advisory, PathBuf)> {
    let mut affected = Vec::new();
    if let Some(package) = &wanted.package {
        let ranges = vec![Range::of(&wanted.versions, wanted.fixed.as_ref())?];
        affected.push(Affected { package: Some(package.clone()), ranges, ..Affected::default() });
    }
    if !wanted.data.is_empty() {
        affected.push(Affected { data: wanted.data.clone(), ..Affected::default() });
    }
    if affected.is_empty() {
        return Err(Error::Nothing);
    }
    let id = wanted.id.clone().unwrap_or_else(|| next_id(wanted.now, known));
    let advisory = Advisory {
        id: id.clone(),
        modified: wanted.now,
        published: Some(wanted.now),
        withdrawn: None,
        summary: wanted.summary.clone(),
        details: wanted.details.clone(),
        severity: wanted.severity.clone(),
        aliases: wanted.aliases.clone(),
        affected,
        references: wanted.references.clone(),
    };
    let path = out.map_or_else(|| PathBuf::from(format!("{id}.json")), Path::to_owned);
    if path.exists() {
        return Err(Error::Exists { path });
    }
    let bytes = text(&advisory.to_json());
    // What is written can be read again.
    Notice::parse(&bytes, &path.display().to_string())?;
    fs::write_atomically(&path, &bytes)?;
    Ok((advisory, path))
}

fn next_id(now: jiff::Timestamp, known: &[AdvisoryId]) -> AdvisoryId {
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    let last = known.iter().filter_map(|id| id.number_in(year)).max().unwrap_or(0);
    AdvisoryId::numbered(year, last.saturating_add(1))
}

fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Reads and checks an OSV record or an OpenVEX document.
///
/// # Errors
/// [`Error::File`] and [`Error::Notice`].
pub fn read(path: &Path) -> Result<(Notice, Vec<u8>)> {
    let bytes = fs::read_to_string(path, LONGEST_ADVISORY)?.into_bytes();
    let notice = Notice::parse(&bytes, &path.display().to_string())?;
    Ok((notice, bytes))
}

/// Changes an advisory in its file; whatever else stands in it stays. Its signatures no longer
/// hold.
///
/// # Errors
/// See [`Error`]; then the file is as it was.
pub fn revise(path: &Path, revision: &Revision, now: jiff::Timestamp) -> Result<Advisory> {
    let (notice, bytes) = read(path)?;
    let Notice::Advisory(advisory) = notice else {
        return Err(Error::NotAnAdvisory { path: path.to_owned() });
    };
    let mut value: Value = serde_json::from_slice(&bytes).expect("it was read as JSON");
    // Seconds are what is written, and each change is later than the one before.
    let after = advisory.modified + jiff::SignedDuration::from_secs(1);
    value["modified"] = json!(seconds(now.max(after)));
    if revision.withdraw {
        value["withdrawn"] = json!(seconds(now));
    }
    for (key, words) in [("summary", &revision.summary), ("details", &revision.details)] {
        if let Some(words) = words {
            value[key] = json!(words);
        }
    }
    if let Some(severity) = &revision.severity {
        let with = Advisory { severity: Some(severity.clone()), ..(*advisory).clone() }.to_json();
        for key in ["severity", "database_specific"] {
            if let Some(found) = with.get(key) {
                value[key] = found.clone();
            }
        }
    }
    if let Some(fixed) = &revision.fixed {
        add_fix(&mut value, fixed).ok_or_else(|| Error::NoPackage { path: path.to_owned() })?;
    }
    let list = |value: &mut Value, key: &str, more: Vec<Value>| {
        if !more.is_empty() {
            let mut all = value[key].as_array().cloned().unwrap_or_default();
            all.extend(more);
            value[key] = json!(all);
        }
    };
    let data = revision.data.iter().map(|digest| json!({ "sha256": digest })).collect::<Vec<_>>();
    let data = match data.is_empty() {
        true => Vec::new(),
        false => vec![json!({ "database_specific": { "data": data } })],
    };
    list(&mut value, "affected", data);
    let one = |url: &String| json!({ "type": "WEB", "url": url });
    list(&mut value, "references", revision.references.iter().map(one).collect());
    let bytes = text(&value);
    let Notice::Advisory(advisory) = Notice::parse(&bytes, &path.display().to_string())? else {
        return Err(Error::NotAnAdvisory { path: path.to_owned() });
    };
    fs::write_atomically(path, &bytes)?;
    Ok(*advisory)
}

/// Ends each range of the packages that are named at `fixed`.
fn add_fix(value: &mut Value, fixed: &PackageVersion) -> Option<()> {
    let mut found = None;
    for entry in value["affected"].as_array_mut()? {
        for range in entry["ranges"].as_array_mut().into_iter().flatten() {
            if !fixed.semver().build.is_empty() {
                range["type"] = json!("ECOSYSTEM");
            }
            let events = range["events"].as_array_mut()?;
            events.retain(|event| event.get("introduced").is_some());
            events.push(json!({ "fixed": fixed }));
            found = Some(());
        }
    }
    found
}

fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Signs an advisory or a document of VEX statements: the signatures of FILE stand in
/// `FILE.dsse.json`. Those over other bytes go.
///
/// # Errors
/// See [`Error`].
pub fn sign(path: &Path, key: &SigningKey) -> Result<(Notice, PathBuf)> {
    let (notice, bytes) = read(path)?;
    let beside = envelope_path(path);
    let before = match beside.exists() {
        true => {
            let text = fs::read_to_string(&beside, layout::LARGEST_ATTACHMENT)?;
            Envelope::parse(text.as_bytes()).ok()
        }
        false => None,
    };
    let payload = notice.payload(&bytes)?;
    let envelope = match before.filter(|envelope| envelope.has_payload(&payload)) {
        Some(mut envelope) => {
            envelope.add(key);
            envelope
        }
        None => Envelope::sign(payload, &[key]),
    };
    fs::write_atomically(&beside, &envelope.to_bytes())?;
    Ok((notice, beside))
}

/// Writes a statement about packages and an advisory.
///
/// # Errors
/// See [`Error`]; then nothing is written.
pub fn vex(wanted: &NewVex, out: Option<&Path>) -> Result<(Vex, PathBuf)> {
    let mut products = Vec::new();
    for product in &wanted.products {
        products.push(match product {
            ProductName::Release(product) => product.clone(),
            ProductName::File(path) => {
                let package = open(path)?;
                let release = package.index().release();
                Product {
                    name: release.name,
                    version: Some(release.version),
                    variant: release.variant,
                    digest: Some(package.package_digest()),
                }
            }
        });
    }
    let statement = VexStatement {
        advisory: wanted.advisory.clone(),
        products,
        status: wanted.status,
        justification: wanted.justification,
        impact: wanted.impact.clone(),
    };
    let name =
        statement.products.first().map(|product| product.name.to_string()).unwrap_or_default();
    let vex = Vex {
        id: format!("urn:mpkg:vex:{}:{name}:{}", wanted.advisory, seconds(wanted.now)),
        author: wanted.author.clone(),
        time: wanted.now,
        statements: vec![statement],
    };
    let default = || PathBuf::from(format!("{}.{name}.vex.json", wanted.advisory));
    let path = out.map_or_else(default, Path::to_owned);
    if path.exists() {
        return Err(Error::Exists { path });
    }
    let bytes = text(&vex.to_json());
    Notice::parse(&bytes, &path.display().to_string())?;
    fs::write_atomically(&path, &bytes)?;
    Ok((vex, path))
}

/// An advisory that a registry lists.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What the list says.
    pub entry: AdvisoryEntry,
    /// The registry.
    pub registry: String,
}

/// All advisories of the registries.
///
/// # Errors
/// A registry that cannot be read.
pub fn list(home: &Home, registries: &Selection, client: &Client) -> Result<Vec<Listed>> {
    let catalogue = Catalogue::open(registries, Vec::new(), install::trust(home)?, client)?;
    let mut all = Vec::new();
    for place in 0..catalogue.selected().len() {
        let registry = catalogue.registry(place)?;
        let list = registry.advisories()?.unwrap_or_default();
        let location = registry.location().to_owned();
        let of = |entry| Listed { entry, registry: location.clone() };
        all.extend(list.advisories.into_iter().map(of));
    }
    Ok(all)
}

/// The OSV record of an advisory, byte for byte as it was issued, its signatures checked.
///
/// # Errors
/// [`Error::NoSuchAdvisory`]; a registry or a record that is not believed.
pub fn show(
    home: &Home,
    registries: &Selection,
    client: &Client,
    id: &AdvisoryId,
) -> Result<(Advisory, Vec<u8>)> {
    let catalogue = Catalogue::open(registries, Vec::new(), install::trust(home)?, client)?;
    if catalogue.selected().is_empty() {
        return Err(catalogue::Error::NoRegistry.into());
    }
    let mut known = Vec::new();
    for place in 0..catalogue.selected().len() {
        let registry = catalogue.registry(place)?;
        let list = registry.advisories()?.unwrap_or_default();
        if let Some(entry) = list.advisories.iter().find(|entry| entry.id == *id) {
            let bytes = registry.listed(&entry.place(), entry.sha256, entry.size)?;
            let notice = Notice::parse(&bytes, id.as_str())?;
            notice.signers(&bytes, &entry.signatures, &list.keys(), id.as_str())?;
            if let Notice::Advisory(advisory) = notice {
                return Ok((*advisory, bytes));
            }
        }
        known.extend(list.advisories.into_iter().map(|entry| entry.id));
    }
    Err(Error::NoSuchAdvisory { id: id.clone(), known })
}
