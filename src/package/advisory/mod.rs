//! Advisories in the form of OSV, and statements that a package is not affected (OpenVEX)
//! (spec/advisories.md).

mod affected;
mod vex;
mod words;

pub use affected::{Affected, AffectedData, ECOSYSTEM, Event, InvalidRange, Range};
pub use vex::{Justification, Product, Status, Vex, VexStatement};
pub use words::Fault;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::words::Object;
use super::{Digest, PackageName, PackageVersion};

/// The longest advisory or statement that is read, in bytes.
pub const LONGEST_ADVISORY: u64 = 1 << 20;
/// The version of OSV's schema that is written.
pub const OSV_VERSION: &str = "1.6.0";
/// What the ids of mpkg's own advisories begin with.
pub const PREFIX: &str = "MSA-";
/// The longest summary, in characters.
const LONGEST_SUMMARY: usize = 200;

/// The kinds of reference that OSV knows.
const REFERENCE_TYPES: &[&str] = &[
    "ADVISORY",
    "ARTICLE",
    "DETECTION",
    "DISCUSSION",
    "REPORT",
    "FIX",
    "INTRODUCED",
    "GIT",
    "PACKAGE",
    "EVIDENCE",
    "WEB",
];

/// The id of an advisory, such as `MSA-2026-0001`; those of other databases are ids as well.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvisoryId(String);

/// A text that is no id of an advisory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of an advisory: letters, digits, '-', '.' and '_', such as MSA-2026-0001")]
pub struct InvalidId(String);

impl AdvisoryId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of mpkg's own: the year and the number.
    #[must_use]
    pub fn numbered(year: i16, number: u32) -> Self {
        Self(format!("{PREFIX}{year:04}-{number:04}"))
    }

    /// The number of one of mpkg's own, in that year.
    #[must_use]
    pub fn number_in(&self, year: i16) -> Option<u32> {
        self.0.strip_prefix(&format!("{PREFIX}{year:04}-"))?.parse().ok()
    }
}

impl FromStr for AdvisoryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_sound = (1..=64).contains(&text.len())
            && text.chars().all(plain)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let own = text.strip_prefix(PREFIX).map(|rest| rest.split_once('-'));
        let digits = |text: &str, least: usize| {
            text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_own_and_odd = own.is_some_and(|parts| {
            !parts.is_some_and(|(year, number)| {
                year.len() == 4 && digits(year, 4) && digits(number, 4)
            })
        });
        match is_sound && !is_own_and_odd {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidId(text.chars().take(80).collect())),
        }
    }
}

impl TryFrom<String> for AdvisoryId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AdvisoryId> for String {
    fn from(id: AdvisoryId) -> Self {
        id.0
    }
}

impl fmt::Display for AdvisoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AdvisoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// An advisory, as far as mpkg reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its id.
    pub id: AdvisoryId,
    /// When it was last changed.
    pub modified: jiff::Timestamp,
    /// When it was first published.
    pub published: Option<jiff::Timestamp>,
    /// Since when it counts for nothing.
    pub withdrawn: Option<jiff::Timestamp>,
    /// One line that says what is wrong.
    pub summary: String,
    /// All that there is to say.
    pub details: String,
    /// How bad it is: a word, or a CVSS vector.
    pub severity: Option<String>,
    /// Ids of the same in other databases.
    pub aliases: Vec<String>,
    /// What is affected.
    pub affected: Vec<Affected>,
    /// Where more is said.
    pub references: Vec<String>,
}

impl Advisory {
    /// Reads an OSV record.
    ///
    /// # Errors
    /// Everything that is not as it should be.
    pub fn read(value: &Value) -> Result<Self, Vec<Fault>> {
        Object::read(value, Self::of)
    }

    fn of(root: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        root.needed("id", faults);
        root.needed("modified", faults);
        let id = root.parsed("id", faults);
        let modified = root.time("modified", faults);
        let published = root.time("published", faults);
        let withdrawn = root.time("withdrawn", faults);
        if let (Some(modified), Some(published)) = (modified, published)
            && modified < published
        {
            root.fault("modified", "it is before `published`", faults);
        }
        let summary = root.text("summary", faults).unwrap_or_default().to_owned();
        if summary.chars().any(char::is_control) || summary.chars().count() > LONGEST_SUMMARY {
            root.fault("summary", "it is longer than one line of 200 characters", faults);
        }
        let details = root.text("details", faults).unwrap_or_default().to_owned();
        let severity = severity(root, faults);
        let aliases = root.texts("aliases", faults).into_iter().map(str::to_owned).collect();
        let references = references(root, faults);
        let affected = root.objects("affected", faults);
        let affected: Vec<Affected> =
            affected.iter().filter_map(|one| Affected::read(one, faults)).collect();
        if affected.is_empty() && faults.is_empty() {
            root.fault("affected", "nothing in it is of the ecosystem mpkg", faults);
        }
        Some(Self {
            id: id?,
            modified: modified?,
            published,
            withdrawn,
            summary,
            details,
            severity,
            aliases,
            affected,
            references,
        })
    }

    /// The OSV record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let affected: Vec<Value> = self.affected.iter().map(Affected::to_json).collect();
        let mut value = json!({
            "schema_version": OSV_VERSION,
            "id": self.id,
            "modified": seconds(self.modified),
            "summary": self.summary,
            "affected": affected,
        });
        if !self.details.is_empty() {
            value["details"] = json!(self.details);
        }
        for (key, time) in [("published", self.published), ("withdrawn", self.withdrawn)] {
            if let Some(time) = time {
                value[key] = json!(seconds(time));
            }
        }
        if !self.aliases.is_empty() {
            value["aliases"] = json!(self.aliases);
        }
        if !self.references.is_empty() {
            let one = |url: &String| json!({ "type": "WEB", "url": url });
            value["references"] = self.references.iter().map(one).collect();
        }
        match &self.severity {
            Some(vector) if vector.starts_with("CVSS:4") => {
                value["severity"] = json!([{ "type": "CVSS_V4", "score": vector }]);
            }
            Some(vector) if vector.starts_with("CVSS:3") => {
                value["severity"] = json!([{ "type": "CVSS_V3", "score": vector }]);
            }
            Some(word) => value["database_specific"] = json!({ "severity": word }),
            None => {}
        }
        value
    }

    /// The entry that names this version of this package.
    #[must_use]
    pub fn of_package(&self, name: &PackageName, version: &PackageVersion) -> Option<&Affected> {
        self.affected.iter().find(|one| one.names(name, version))
    }

    /// What it says of the data with this digest.
    pub fn of_data(&self, digest: Digest) -> impl Iterator<Item = &AffectedData> {
        let data = self.affected.iter().flat_map(|one| &one.data);
        data.filter(move |one| one.digest == digest)
    }

    /// The packages that it names, each once.
    #[must_use]
    pub fn packages(&self) -> Vec<PackageName> {
        let mut names: Vec<PackageName> =
            self.affected.iter().filter_map(|one| one.package.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The data that it names, each once.
    #[must_use]
    pub fn data(&self) -> Vec<Digest> {
        let mut data: Vec<Digest> =
            self.affected.iter().flat_map(|one| &one.data).map(|one| one.digest).collect();
        data.sort_unstable();
        data.dedup();
        data
    }
}

/// A moment without fractions of a second.
pub(super) fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn severity(root: &Object<'_>, faults: &mut Vec<Fault>) -> Option<String> {
    let mut found = None;
    for one in root.objects("severity", faults) {
        let kind = one.needed("type", faults);
        if kind.is_some_and(|kind| !kind.starts_with("CVSS_V") && kind != "Ubuntu") {
            one.fault("type", "it is none of CVSS_V2, CVSS_V3, CVSS_V4 and Ubuntu", faults);
        }
        found = one.needed("score", faults).or(found);
    }
    let specific = root.object("database_specific", faults);
    let word = specific.and_then(|it| it.text("severity", faults));
    found.or(word).map(str::to_owned)
}

fn references(root: &Object<'_>, faults: &mut Vec<Fault>) -> Vec<String> {
    let mut urls = Vec::new();
    for one in root.objects("references", faults) {
        let kind = one.needed("type", faults);
        if kind.is_some_and(|kind| !REFERENCE_TYPES.contains(&kind)) {
            one.fault("type", format!("it is none of {}", REFERENCE_TYPES.join(", ")), faults);
        }
        let Some(text) = one.needed("url", faults) else { continue };
        if url::Url::parse(text).is_err() {
            one.fault("url", "it is no address", faults);
        }
        urls.push(text.to_owned());
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({
            "schema_version": "1.6.0", "id": "MSA-2026-0001", "modified": "2026-11-26T15:00:00Z",
            "summary": "A licence was withdrawn", "details": "First.\nSecond.",
            "affected": [
                {"package": {"ecosystem": "mpkg", "name": "docs-corpus"},
                 "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}]},
                {"database_specific": {"data": [{"sha256": Digest::of(b"x")}]}},
                {"package": {"ecosystem": "PyPI", "name": "Other_Name"}, "versions": ["2026b"]},
            ],
            "references": [{"type": "WEB", "url": "https://example.org/1"}],
            "database_specific": {"severity": "high", "other": 1},
        })
    }

    #[test]
    fn a_record_says_what_is_affected() {
        let advisory = Advisory::read(&record()).unwrap();
        let name: PackageName = "docs-corpus".parse().unwrap();
        let entry = advisory.of_package(&name, &"1.0.0".parse().unwrap()).unwrap();
        assert_eq!(entry.fixed().map(ToString::to_string).collect::<Vec<_>>(), ["1.0.1"]);
        assert!(advisory.of_package(&name, &"1.0.1".parse().unwrap()).is_none());
        let named = |text: &[u8]| advisory.of_data(Digest::of(text)).count();
        assert_eq!((named(b"x"), named(b"y")), (1, 0));
        assert_eq!(advisory.severity.as_deref(), Some("high"));
        let again = Advisory::read(&advisory.to_json()).unwrap();
        assert_eq!(again, advisory);
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let mut value = record();
        value["id"] = json!("MSA-26-1");
        value["modified"] = json!("yesterday");
        value["affected"][0]["package"]["name"] = json!("Not A Name");
        value["affected"][1]["database_specific"]["data"][0]["sha256"] = json!("ab12");
        value["references"][0]["type"] = json!("RUMOUR");
        let faults = Advisory::read(&value).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        for place in [
            "id",
            "modified",
            "affected[0].package.name",
            "affected[1].database_specific.data[0].sha256",
            "references[0].type",
        ] {
            assert!(places.contains(&place), "{place} is not in {faults:?}");
        }
        for odd in [json!([]), json!({}), json!({"id": 1, "modified": 2, "affected": "x"})] {
            assert!(!Advisory::read(&odd).unwrap_err().is_empty(), "{odd}");
        }
    }

    #[test]
    fn ranges_that_say_nothing_are_refused() {
        for (events, why) in [
            (json!([{"fixed": "1.0.0"}]), "introduced"),
            (json!([{"introduced": "0", "fixed": "1.0.0"}]), "exactly one"),
            (
                json!([{"introduced": "0"}, {"fixed": "1.0.0"}, {"last_affected": "0.9.0"}]),
                "exclude",
            ),
            (json!([{"introduced": "one"}]), "not a version"),
        ] {
            let mut value = record();
            value["affected"][0]["ranges"][0]["events"] = events;
            let faults = Advisory::read(&value).unwrap_err();
            assert!(faults.iter().any(|fault| fault.why.contains(why)), "{why}: {faults:?}");
        }
    }

    #[test]
    fn ids_are_plain_words() {
        for good in ["MSA-2026-0001", "MSA-2026-12345", "CVE-2026-1", "x.y_z-1"] {
            assert!(good.parse::<AdvisoryId>().is_ok(), "{good}");
        }
        for bad in ["", "MSA-2026-1", "MSA-1", "../x", "a/b", "-a", ".a", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<AdvisoryId>().is_err(), "{bad}");
        }
        assert_eq!(AdvisoryId::numbered(2026, 7).to_string(), "MSA-2026-0007");
        assert_eq!(AdvisoryId::numbered(2026, 7).number_in(2026), Some(7));
    }
}
