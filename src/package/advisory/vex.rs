//! Statements that a package is not affected by an advisory, in the form of OpenVEX 0.2.0.

use std::str::FromStr;

use serde_json::{Value, json};

use super::words::{Fault, Object};
use super::{AdvisoryId, ECOSYSTEM, seconds};
use crate::package::{Digest, PackageName, PackageVersion, Release, VariantName};

/// The context of OpenVEX documents.
const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

/// A document of statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vex {
    /// Its own address.
    pub id: String,
    /// Who says so, for people; whose key signed it is what counts.
    pub author: String,
    /// When.
    pub time: jiff::Timestamp,
    /// What is said.
    pub statements: Vec<VexStatement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VexStatement {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The packages that it is about; those that are none of mpkg's are left out.
    pub products: Vec<Product>,
    /// How they stand to it.
    pub status: Status,
    /// Why they are not affected.
    pub justification: Option<Justification>,
    /// The same in words.
    pub impact: Option<String>,
}

/// A package that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: PackageName,
    /// Its version; none means every version.
    pub version: Option<PackageVersion>,
    /// Its variant; none means every variant.
    pub variant: Option<VariantName>,
    /// Its package digest, which it must have where it is given.
    pub digest: Option<Digest>,
}

/// How a package stands to an advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is not affected.
    NotAffected,
    /// It is affected.
    Affected,
    /// It was mended.
    Fixed,
    /// That is not known yet.
    UnderInvestigation,
}

/// Why a package is not affected, in OpenVEX's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Justification {
    /// What is affected is not in it.
    ComponentNotPresent,
    /// The part of it that matters is not in it.
    VulnerableCodeNotPresent,
    /// That part is never used.
    VulnerableCodeNotInExecutePath,
    /// Nobody can make use of it.
    VulnerableCodeCannotBeControlled,
    /// Something else guards against it.
    InlineMitigationsAlreadyExist,
}

const STATUSES: &[(&str, Status)] = &[
    ("not_affected", Status::NotAffected),
    ("affected", Status::Affected),
    ("fixed", Status::Fixed),
    ("under_investigation", Status::UnderInvestigation),
];

const JUSTIFICATIONS: &[(&str, Justification)] = &[
    ("component_not_present", Justification::ComponentNotPresent),
    ("vulnerable_code_not_present", Justification::VulnerableCodeNotPresent),
    ("vulnerable_code_not_in_execute_path", Justification::VulnerableCodeNotInExecutePath),
    (
        "vulnerable_code_cannot_be_controlled_by_adversary",
        Justification::VulnerableCodeCannotBeControlled,
    ),
    ("inline_mitigations_already_exist", Justification::InlineMitigationsAlreadyExist),
];

/// A word that OpenVEX does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {}", .0.join(", "))]
pub struct InvalidWord(Vec<&'static str>);

fn find<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, InvalidWord> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| InvalidWord(words.iter().map(|(word, _)| *word).collect()))
}

impl FromStr for Status {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        find(text, STATUSES)
    }
}

impl FromStr for Justification {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        find(text, JUSTIFICATIONS)
    }
}

impl Status {
    /// OpenVEX's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STATUSES.iter().find(|(_, it)| *it == self).map_or("", |(word, _)| word)
    }

    /// Whether a package that stands so need not be warned of.
    #[must_use]
    pub const fn clears(self) -> bool {
        matches!(self, Self::NotAffected | Self::Fixed)
    }
}

impl Justification {
    /// OpenVEX's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        JUSTIFICATIONS.iter().find(|(_, it)| *it == self).map_or("", |(word, _)| word)
    }
}

impl Product {
    /// Whether it means this package. One whose digest is not known is not meant by a digest.
    #[must_use]
    pub fn is(&self, release: &Release, digest: Option<Digest>) -> bool {
        self.name == release.name
            && self.version.as_ref().is_none_or(|version| *version == release.version)
            && (self.variant.is_none() || self.variant == release.variant)
            && (self.digest.is_none() || self.digest == digest)
    }

    /// The package address.
    #[must_use]
    pub fn purl(&self) -> String {
        let mut purl = format!("pkg:{ECOSYSTEM}/{}", self.name);
        if let Some(version) = &self.version {
            purl.push('@');
            purl.push_str(&version.to_string().replace('+', "%2B"));
        }
        if let Some(variant) = &self.variant {
            purl.push_str("?variant=");
            purl.push_str(variant.as_str());
        }
        purl
    }

    fn of_purl(purl: &str, digest: Option<Digest>) -> Option<Self> {
        let rest = purl.strip_prefix("pkg:")?.strip_prefix(ECOSYSTEM)?.strip_prefix('/')?;
        let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (name, version) = match rest.split_once('@') {
            Some((name, version)) => {
                (name, Some(version.replace("%2B", "+").replace("%2b", "+").parse().ok()?))
            }
            None => (rest, None),
        };
        let mut qualifiers = qualifiers.split('&');
        let variant = qualifiers.find_map(|one| one.strip_prefix("variant="));
        let variant = match variant {
            Some(variant) => Some(variant.parse().ok()?),
            None => None,
        };
        Some(Self { name: name.parse().ok()?, version, variant, digest })
    }

    fn read(object: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        let hashes = object.object("hashes", faults);
        let digest = hashes.and_then(|it| it.parsed("sha-256", faults));
        let identifiers = object.object("identifiers", faults);
        let purl = identifiers.and_then(|it| it.text("purl", faults));
        let purl = purl.or_else(|| object.text("@id", faults))?;
        if !purl.starts_with(&format!("pkg:{ECOSYSTEM}/")) {
            return None;
        }
        let product = Self::of_purl(purl, digest);
        if product.is_none() {
            object.fault("@id", "it is no address such as pkg:mpkg/docs-lm@1.0.0", faults);
        }
        product
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "@id": self.purl() });
        if let Some(digest) = &self.digest {
            value["hashes"] = json!({ "sha-256": digest });
        }
        value
    }
}

impl VexStatement {
    fn read(object: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        let vulnerability = object.object("vulnerability", faults);
        if !object.has("vulnerability") {
            object.fault("vulnerability", "it is missing", faults);
        }
        let advisory = vulnerability.and_then(|it| {
            it.needed("name", faults);
            it.parsed("name", faults)
        });
        object.needed("status", faults);
        let status: Option<Status> = object.parsed("status", faults);
        let justification = object.parsed("justification", faults);
        let impact = object.text("impact_statement", faults).map(str::to_owned);
        if status == Some(Status::NotAffected) && justification.is_none() && impact.is_none() {
            let why = "not_affected needs a justification or an impact_statement";
            object.fault("justification", why, faults);
        }
        let products = object.objects("products", faults);
        let products: Vec<Product> =
            products.iter().filter_map(|one| Product::read(one, faults)).collect();
        Some(Self { advisory: advisory?, products, status: status?, justification, impact })
    }

    fn to_json(&self) -> Value {
        let products: Vec<Value> = self.products.iter().map(Product::to_json).collect();
        let mut value = json!({
            "vulnerability": { "name": self.advisory },
            "products": products,
            "status": self.status.as_str(),
        });
        if let Some(justification) = self.justification {
            value["justification"] = json!(justification.as_str());
        }
        if let Some(impact) = &self.impact {
            value["impact_statement"] = json!(impact);
        }
        value
    }
}

impl Vex {
    /// Whether `value` claims to be such a document.
    #[must_use]
    pub fn is_meant(value: &Value) -> bool {
        let context = value.get("@context").and_then(Value::as_str);
        context.is_some_and(|context| context.starts_with("https://openvex.dev/ns"))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is not as it should be.
    pub fn read(value: &Value) -> Result<Self, Vec<Fault>> {
        Object::read(value, Self::of)
    }

    fn of(root: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        for key in ["@context", "@id", "author", "timestamp"] {
            root.needed(key, faults);
        }
        let time = root.time("timestamp", faults);
        let statements = root.objects("statements", faults);
        let statements: Vec<VexStatement> =
            statements.iter().filter_map(|one| VexStatement::read(one, faults)).collect();
        if statements.iter().all(|one| one.products.is_empty()) && faults.is_empty() {
            root.fault("statements", "none of them is about a package of mpkg", faults);
        }
        Some(Self {
            id: root.text("@id", faults)?.to_owned(),
            author: root.text("author", faults)?.to_owned(),
            time: time?,
            statements,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let statements: Vec<Value> = self.statements.iter().map(VexStatement::to_json).collect();
        json!({
            "@context": CONTEXT,
            "@id": self.id,
            "author": self.author,
            "timestamp": seconds(self.time),
            "version": 1,
            "statements": statements,
        })
    }

    /// The advisories that it speaks of, each once.
    #[must_use]
    pub fn advisories(&self) -> Vec<AdvisoryId> {
        let mut ids: Vec<AdvisoryId> =
            self.statements.iter().map(|one| one.advisory.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// The packages that it speaks of, each once.
    #[must_use]
    pub fn packages(&self) -> Vec<PackageName> {
        let products = self.statements.iter().flat_map(|one| &one.products);
        let mut names: Vec<PackageName> = products.map(|product| product.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vex() -> Vex {
        let product = Product {
            name: "docs-lm".parse().unwrap(),
            version: Some("1.0.0+2".parse().unwrap()),
            variant: Some("f32".parse().unwrap()),
            digest: Some(Digest::of(b"package")),
        };
        let statement = VexStatement {
            advisory: AdvisoryId::numbered(2026, 1),
            products: vec![product],
            status: Status::NotAffected,
            justification: Some(Justification::VulnerableCodeNotPresent),
            impact: Some("The passage was excluded.".to_owned()),
        };
        Vex {
            id: "urn:mpkg:vex:1".to_owned(),
            author: "me".to_owned(),
            time: "2026-11-26T15:00:00Z".parse().unwrap(),
            statements: vec![statement],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = Vex::read(&vex().to_json()).unwrap();
        assert_eq!(read, vex());
        let product = &read.statements[0].products[0];
        let release = |version: &str, variant: &str| Release {
            name: "docs-lm".parse().unwrap(),
            version: version.parse().unwrap(),
            variant: Some(variant.parse().unwrap()),
        };
        let digest = Some(Digest::of(b"package"));
        assert!(product.is(&release("1.0.0+2", "f32"), digest));
        assert!(!product.is(&release("1.0.0+2", "f32"), None));
        assert!(!product.is(&release("1.0.0+2", "q8_0"), digest));
        assert!(!product.is(&release("1.0.1", "f32"), digest));
    }

    #[test]
    fn a_claim_without_a_reason_is_refused() {
        let mut value = vex().to_json();
        let statement = &mut value["statements"][0];
        statement["justification"] = Value::Null;
        statement["impact_statement"] = Value::Null;
        let faults = Vex::read(&value).unwrap_err();
        assert!(faults[0].to_string().contains("needs a justification"), "{faults:?}");
        value["statements"][0]["justification"] = json!("because");
        let faults = Vex::read(&value).unwrap_err();
        assert!(faults[0].to_string().contains("component_not_present"), "{faults:?}");
    }
}
