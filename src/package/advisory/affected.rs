//! What an advisory says is affected: versions of a package, or data by its digest.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::words::{Fault, Object};
use crate::package::{Digest, PackageName, PackageVersion, Requirement};

/// The word for this ecosystem in OSV records.
pub const ECOSYSTEM: &str = "mpkg";

/// One entry of `affected`; those of other ecosystems are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affected {
    /// The package; none where the entry is about data alone.
    pub package: Option<PackageName>,
    /// Versions, one by one.
    pub versions: Vec<PackageVersion>,
    /// Ranges of versions.
    pub ranges: Vec<Range>,
    /// Data.
    pub data: Vec<AffectedData>,
}

/// Data that is affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedData {
    /// The SHA-256 of its file.
    pub digest: Digest,
    /// The records of it that are to blame; none where it is all of it.
    pub records: Vec<Digest>,
}

impl AffectedData {
    /// All of the data with this digest.
    #[must_use]
    pub const fn whole(digest: Digest) -> Self {
        Self { digest, records: Vec::new() }
    }

    /// Whether what is to blame is gone where `withdrawn` are the records that were taken out.
    #[must_use]
    pub fn is_mended_by(&self, withdrawn: &BTreeSet<Digest>) -> bool {
        !self.records.is_empty() && self.records.iter().all(|record| withdrawn.contains(record))
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "sha256": self.digest });
        if !self.records.is_empty() {
            value["records"] = json!(self.records);
        }
        value
    }
}

/// A range of versions: events that begin and end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Whether packaging revisions count; without, the order is that of Semantic Versioning.
    pub revisions: bool,
    /// The events.
    pub events: Vec<Event>,
}

/// Where a range begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// From this version on; none is from the first.
    Introduced(Option<PackageVersion>),
    /// No more from this version on.
    Fixed(PackageVersion),
    /// No more after this version.
    LastAffected(PackageVersion),
    /// Versions from this one on are not spoken of.
    Limit(PackageVersion),
}

/// A requirement that no range can stand for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no range of an advisory: {1}")]
pub struct InvalidRange(String, &'static str);

impl Affected {
    /// Whether it names this version of this package.
    #[must_use]
    pub fn names(&self, name: &PackageName, version: &PackageVersion) -> bool {
        self.package.as_ref() == Some(name)
            && (self.versions.contains(version)
                || self.ranges.iter().any(|range| range.has(version)))
    }

    /// The versions that mend it.
    pub fn fixed(&self) -> impl Iterator<Item = &PackageVersion> {
        self.ranges.iter().flat_map(|range| &range.events).filter_map(|event| match event {
            Event::Fixed(version) => Some(version),
            _ => None,
        })
    }

    pub(super) fn read(object: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        let package = match object.object("package", faults) {
            None => None,
            Some(package) => {
                let ecosystem = package.needed("ecosystem", faults)?;
                if ecosystem != ECOSYSTEM {
                    return None;
                }
                package.needed("name", faults)?;
                Some(package.parsed("name", faults)?)
            }
        };
        let specific = object.object("database_specific", faults);
        let data = specific.map(|it| self::data(&it, faults)).unwrap_or_default();
        let versions = object.texts("versions", faults);
        let versions = versions.into_iter().filter_map(|text| match text.parse() {
            Ok(version) => Some(version),
            Err(error) => {
                object.fault("versions", format!("{error}"), faults);
                None
            }
        });
        let versions = versions.collect();
        let ranges = object.objects("ranges", faults);
        let ranges = ranges.iter().filter_map(|range| Range::read(range, faults)).collect();
        let found = Self { package, versions, ranges, data };
        if found.package.is_some() && found.versions.is_empty() && found.ranges.is_empty() {
            object.fault("ranges", "it is not said which versions are affected", faults);
        }
        if found.package.is_none() && found.data.is_empty() {
            object.fault("package", "neither a package nor data is named", faults);
        }
        Some(found)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut value = json!({});
        if let Some(name) = &self.package {
            value["package"] = json!({
                "ecosystem": ECOSYSTEM, "name": name, "purl": format!("pkg:{ECOSYSTEM}/{name}"),
            });
        }
        if !self.ranges.is_empty() {
            value["ranges"] = self.ranges.iter().map(Range::to_json).collect();
        }
        if !self.versions.is_empty() {
            value["versions"] = json!(self.versions);
        }
        if !self.data.is_empty() {
            let data: Vec<Value> = self.data.iter().map(AffectedData::to_json).collect();
            value["database_specific"] = json!({ "data": data });
        }
        value
    }
}

fn data(specific: &Object<'_>, faults: &mut Vec<Fault>) -> Vec<AffectedData> {
    let mut found = Vec::new();
    for data in specific.objects("data", faults) {
        data.needed("sha256", faults);
        let mut records = Vec::new();
        for text in data.texts("records", faults) {
            match text.parse() {
                Ok(digest) => records.push(digest),
                Err(error) => data.fault("records", format!("{error}"), faults),
            }
        }
        let digest = data.parsed("sha256", faults);
        found.extend(digest.map(|digest| AffectedData { digest, records }));
    }
    found
}

impl Range {
    /// Whether a version lies in it, as OSV's rules for ranges say.
    #[must_use]
    pub fn has(&self, version: &PackageVersion) -> bool {
        let limits = self.events.iter().filter_map(|event| match event {
            Event::Limit(limit) => Some(limit),
            _ => None,
        });
        let mut limits = limits.peekable();
        let is_before = |limit: &PackageVersion| self.order(version, limit) == Ordering::Less;
        if limits.peek().is_some() && !limits.any(is_before) {
            return false;
        }
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_by(|one, other| self.order_events(one, other));
        let mut inside = false;
        for event in events {
            match event {
                Event::Introduced(None) => inside = true,
                Event::Introduced(Some(start)) if !is_before(start) => inside = true,
                Event::Fixed(end) if !is_before(end) => inside = false,
                Event::LastAffected(last) if self.order(version, last) == Ordering::Greater => {
                    inside = false;
                }
                _ => {}
            }
        }
        inside
    }

    fn order(&self, one: &PackageVersion, other: &PackageVersion) -> Ordering {
        match self.revisions {
            true => one.cmp(other),
            false => one.semver().cmp_precedence(other.semver()),
        }
    }

    fn order_events(&self, one: &Event, other: &Event) -> Ordering {
        let version = |event: &Event| match event {
            Event::Introduced(version) => version.clone(),
            Event::Fixed(version) | Event::LastAffected(version) | Event::Limit(version) => {
                Some(version.clone())
            }
        };
        match (version(one), version(other)) {
            (Some(one), Some(other)) => self.order(&one, &other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        }
    }

    /// The range of all versions that meet `requirement`; where `fixed` is given it ends there.
    ///
    /// # Errors
    /// [`InvalidRange`] where the requirement has a bound that no event stands for.
    pub fn of(
        requirement: &Requirement,
        fixed: Option<&PackageVersion>,
    ) -> Result<Self, InvalidRange> {
        let text = requirement.to_string();
        let parsed: semver::VersionReq = text.parse().expect("it is a requirement");
        let (mut start, mut end) = (None, None);
        for comparator in &parsed.comparators {
            let (low, high) = bounds(comparator).map_err(|why| InvalidRange(text.clone(), why))?;
            start = start.max(low);
            end = match (end, high) {
                (Some(one), Some(other)) => Some(if lower(&one, &other) { one } else { other }),
                (one, other) => one.or(other),
            };
        }
        let revisions = fixed.is_some_and(|fixed| !fixed.semver().build.is_empty());
        let end = fixed.map(|fixed| Event::Fixed(fixed.clone())).or(end);
        let events = std::iter::once(Event::Introduced(start)).chain(end).collect();
        Ok(Self { revisions, events })
    }

    fn read(object: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        let kind = object.needed("type", faults)?;
        let revisions = match kind {
            "SEMVER" => false,
            "ECOSYSTEM" => true,
            "GIT" => return None,
            _ => {
                object.fault("type", "it is none of SEMVER, ECOSYSTEM and GIT", faults);
                return None;
            }
        };
        let events = object.objects("events", faults);
        let events: Vec<Event> =
            events.iter().filter_map(|event| Event::read(event, faults)).collect();
        if !events.iter().any(|event| matches!(event, Event::Introduced(_))) {
            object.fault("events", "none of them says where the range begins (introduced)", faults);
        }
        let ends = |wanted: fn(&Event) -> bool| events.iter().any(wanted);
        if ends(|event| matches!(event, Event::Fixed(_)))
            && ends(|event| matches!(event, Event::LastAffected(_)))
        {
            object.fault("events", "fixed and last_affected exclude each other", faults);
        }
        Some(Self { revisions, events })
    }

    fn to_json(&self) -> Value {
        let kind = if self.revisions { "ECOSYSTEM" } else { "SEMVER" };
        let events: Vec<Value> = self.events.iter().map(Event::to_json).collect();
        json!({ "type": kind, "events": events })
    }
}

/// Whether the end `one` comes before the end `other`.
fn lower(one: &Event, other: &Event) -> bool {
    let version = |event: &Event| match event {
        Event::Fixed(version) | Event::LastAffected(version) => Some(version.clone()),
        _ => None,
    };
    version(one) < version(other)
}

type Bounds = (Option<PackageVersion>, Option<Event>);

/// Where a comparator begins and ends.
fn bounds(comparator: &semver::Comparator) -> Result<Bounds, &'static str> {
    use semver::Op;
    let (major, minor, patch) = (comparator.major, comparator.minor, comparator.patch);
    let version = |major: u64, minor: u64, patch: u64| -> PackageVersion {
        format!("{major}.{minor}.{patch}").parse().expect("three numbers are a version")
    };
    let low: PackageVersion = match comparator.pre.is_empty() {
        true => version(major, minor.unwrap_or(0), patch.unwrap_or(0)),
        false => {
            format!("{major}.{}.{}-{}", minor.unwrap_or(0), patch.unwrap_or(0), comparator.pre)
                .parse()
                .expect("a comparator's parts are a version")
        }
    };
    let after = match (minor, patch) {
        (None, _) => version(major + 1, 0, 0),
        (Some(minor), None) => version(major, minor + 1, 0),
        (Some(minor), Some(patch)) => version(major, minor, patch + 1),
    };
    let exact = minor.is_some() && patch.is_some();
    let next_major = match (major, minor, patch) {
        (0, Some(0), Some(patch)) => version(0, 0, patch + 1),
        (0, Some(minor), _) => version(0, minor + 1, 0),
        (major, ..) => version(major + 1, 0, 0),
    };
    Ok(match comparator.op {
        Op::Exact | Op::LessEq if exact => {
            let start = (comparator.op == Op::Exact).then(|| low.clone());
            (start, Some(Event::LastAffected(low)))
        }
        Op::Exact | Op::Wildcard => (Some(low), Some(Event::Fixed(after))),
        Op::LessEq => (None, Some(Event::Fixed(after))),
        Op::GreaterEq => (Some(low), None),
        Op::Less => (None, Some(Event::Fixed(low))),
        Op::Tilde => {
            let end =
                minor.map_or_else(|| version(major + 1, 0, 0), |it| version(major, it + 1, 0));
            (Some(low), Some(Event::Fixed(end)))
        }
        Op::Caret => (Some(low), Some(Event::Fixed(next_major))),
        Op::Greater => {
            return Err("it begins after a version; write >= and the first affected one");
        }
        _ => return Err("it has an operator that is not known"),
    })
}

impl Event {
    fn read(object: &Object<'_>, faults: &mut Vec<Fault>) -> Option<Self> {
        let keys = ["introduced", "fixed", "last_affected", "limit"];
        let present: Vec<&str> = keys.into_iter().filter(|key| object.has(key)).collect();
        let [key] = present[..] else {
            let why = "an event has exactly one of introduced, fixed, last_affected and limit";
            object.fault("", why, faults);
            return None;
        };
        if (key, object.text(key, faults)) == ("introduced", Some("0")) {
            return Some(Self::Introduced(None));
        }
        if (key, object.text(key, faults)) == ("limit", Some("*")) {
            return None;
        }
        let version: PackageVersion = object.parsed(key, faults)?;
        Some(match key {
            "introduced" => Self::Introduced(Some(version)),
            "fixed" => Self::Fixed(version),
            "last_affected" => Self::LastAffected(version),
            _ => Self::Limit(version),
        })
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Introduced(None) => json!({ "introduced": "0" }),
            Self::Introduced(Some(version)) => json!({ "introduced": version }),
            Self::Fixed(version) => json!({ "fixed": version }),
            Self::LastAffected(version) => json!({ "last_affected": version }),
            Self::Limit(version) => json!({ "limit": version }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> PackageVersion {
        text.parse().unwrap()
    }

    fn range(requirement: &str, fixed: Option<&str>) -> Range {
        Range::of(&requirement.parse().unwrap(), fixed.map(version).as_ref()).unwrap()
    }

    #[test]
    fn a_range_has_what_its_requirement_has() {
        for requirement in [
            "*",
            "<1.2.3",
            "<=1.2.3",
            ">=0.4, <1.2",
            "^0.3",
            "^1.2.3",
            "~1.2",
            "=1.2.3",
            "1.*",
            "=1",
        ] {
            let wanted: Requirement = requirement.parse().unwrap();
            let range = range(requirement, None);
            for text in [
                "0.0.1", "0.3.0", "0.3.9", "0.4.0", "1.0.0", "1.2.0", "1.2.2", "1.2.3", "1.2.4",
                "1.3.0", "1.9.9", "2.0.0",
            ] {
                let version = version(text);
                assert_eq!(range.has(&version), wanted.matches(&version), "{requirement} {text}");
            }
        }
        let greater = Range::of(&">1.0.0".parse().unwrap(), None).unwrap_err();
        assert!(greater.to_string().contains("write >="), "{greater}");
    }

    #[test]
    fn a_fix_ends_a_range_and_revisions_count_where_it_has_one() {
        let plain = range("*", Some("1.0.1"));
        assert!(plain.has(&version("1.0.0+7")) && !plain.has(&version("1.0.1+1")));
        assert!(plain.has(&version("1.0.1-rc.1")));
        let revised = range(">=1", Some("1.0.0+2"));
        assert!(revised.has(&version("1.0.0+1")) && !revised.has(&version("1.0.0+2")));
        assert!(!revised.has(&version("0.9.0")));
    }

    #[test]
    fn events_may_begin_again_and_stand_in_any_order() {
        let events = vec![
            Event::Fixed(version("2.1.0")),
            Event::Introduced(Some(version("2.0.0"))),
            Event::Fixed(version("1.1.0")),
            Event::Introduced(None),
        ];
        let range = Range { revisions: false, events };
        for (text, inside) in [("1.0.0", true), ("1.1.0", false), ("2.0.0", true), ("2.1.0", false)]
        {
            assert_eq!(range.has(&version(text)), inside, "{text}");
        }
        let limited = Range {
            revisions: false,
            events: vec![Event::Introduced(None), Event::Limit(version("1.0.0"))],
        };
        assert!(limited.has(&version("0.9.0")) && !limited.has(&version("1.0.0")));
    }
}
