//! in-toto statements: what is said about a package when it is signed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::canonical::{self, Limits};
use super::{ENVELOPE_LIMIT, Error, Result};
use crate::package::{Digest, INDEX_PATH, Release};

/// The `_type` of a statement.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// The predicate of a built package.
pub const PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
/// The predicate of a source package.
pub const RELEASE_V01: &str = "https://in-toto.io/attestation/release/v0.1";

/// The predicate of test results.
pub const TEST_RESULT_V01: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// The predicate of a rebuild's verdict.
pub const REBUILD_V1: &str = "urn:mpkg:rebuild:1";
/// The predicate of a verdict on parts of a training, which is no rebuild.
pub const SEGMENTS_V1: &str = "urn:mpkg:segments:1";

/// The predicate of an openness class.
pub const CLASS_V1: &str = "urn:mpkg:class:1";

/// A statement about a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    version: String,
    /// The things that it is about.
    #[serde(rename = "subject")]
    pub subjects: Vec<StatementSubject>,
    /// What kind of thing it says, an address.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says.
    #[serde(default)]
    pub predicate: Value,
}

/// One thing that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSubject {
    /// Its name.
    pub name: String,
    /// Its digests, by algorithm.
    pub digest: Digests,
}

/// The digests of a subject; only SHA-256 is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The SHA-256.
    pub sha256: Digest,
}

/// What a publisher says about a package.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// in-toto Release: this is that version.
    Release(Release),
    /// SLSA Provenance: this was built so.
    Provenance(Provenance),
    /// How a rebuild compares with it (spec/attestation.md).
    Rebuild(Value),
}

/// SLSA Provenance v1, as far as mpkg writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The release that was built.
    pub release: Release,
    /// The package digest of the source.
    pub source: Option<Digest>,
    /// What the person who built it could choose.
    pub external_parameters: Map<String, Value>,
    /// What went in, by digest.
    pub dependencies: Vec<Resource>,
    /// Who built it: an address.
    pub builder: String,
    /// When it began and ended, as in `2026-11-25T12:00:00Z`.
    pub times: Option<(String, String)>,
    /// What came out beside: the build record.
    pub byproducts: Vec<Resource>,
}

/// A thing known by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Where it was, if it has an address.
    pub uri: Option<String>,
}

/// The build type of mpkg's own builds.
pub const BUILD_TYPE: &str = "urn:mpkg:build:1";
/// The builder of a build on somebody's own machine.
pub const LOCAL_BUILDER: &str = "urn:mpkg:builder:local";

impl Statement {
    /// A statement about the package file `file_name`.
    #[must_use]
    pub fn about(file_name: &str, file: Digest, package: Digest, predicate: &Predicate) -> Self {
        let subject = |name: &str, sha256| StatementSubject {
            name: name.to_owned(),
            digest: Digests { sha256 },
        };
        Self {
            version: STATEMENT_V1.to_owned(),
            subjects: vec![subject(file_name, file), subject(INDEX_PATH, package)],
            predicate_type: predicate.address().to_owned(),
            predicate: predicate.to_json(),
        }
    }

    /// A statement of any type.
    #[must_use]
    pub fn new(subjects: Vec<StatementSubject>, predicate_type: &str, predicate: Value) -> Self {
        let version = STATEMENT_V1.to_owned();
        Self { version, subjects, predicate_type: predicate_type.to_owned(), predicate }
    }

    /// Reads a statement from bytes whose signature was verified.
    ///
    /// # Errors
    /// [`Error::Json`] and [`Error::Statement`].
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let statement: Self = canonical::read(payload, Limits::of_bytes(ENVELOPE_LIMIT))
            .map_err(|source| Error::Json { what: "the signed statement", source })?;
        if statement.version != STATEMENT_V1 {
            return Err(Error::Statement(format!("it is not a {STATEMENT_V1}")));
        }
        Ok(statement)
    }

    /// The bytes that are signed: canonical JSON.
    ///
    /// # Errors
    /// [`Error::Json`] where a word in it has a control character.
    pub fn to_payload(&self) -> Result<Vec<u8>> {
        let value = serde_json::to_value(self).expect("strings are JSON");
        canonical::to_vec(&value).map_err(|source| Error::Json { what: "the statement", source })
    }

    /// Whether it says that the file with this digest came out beside the package.
    #[must_use]
    pub fn names_byproduct(&self, sha256: Digest) -> bool {
        let byproducts = self.predicate["runDetails"]["byproducts"].as_array();
        let sha256 = sha256.to_string();
        byproducts.is_some_and(|all| all.iter().any(|one| one["digest"]["sha256"] == *sha256))
    }

    /// The package digests that it names.
    #[must_use]
    pub fn packages(&self) -> Vec<Digest> {
        self.digests(|name| name == INDEX_PATH)
    }

    /// The digests of files that it names.
    #[must_use]
    pub fn files(&self) -> Vec<Digest> {
        self.digests(|name| name != INDEX_PATH)
    }

    fn digests(&self, wanted: impl Fn(&str) -> bool) -> Vec<Digest> {
        let subjects = self.subjects.iter().filter(|subject| wanted(&subject.name));
        subjects.map(|subject| subject.digest.sha256).collect()
    }
}

impl Predicate {
    /// Its type, an address.
    #[must_use]
    pub const fn address(&self) -> &'static str {
        match self {
            Self::Release(_) => RELEASE_V01,
            Self::Provenance(_) => PROVENANCE_V1,
            Self::Rebuild(_) => REBUILD_V1,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Release(release) => json!({ "purl": package_url(release) }),
            Self::Provenance(provenance) => provenance.to_json(),
            Self::Rebuild(facts) => facts.clone(),
        }
    }
}

impl Provenance {
    fn to_json(&self) -> Value {
        let mut parameters = self.external_parameters.clone();
        parameters.insert("package".to_owned(), package_url(&self.release).into());
        if let Some(source) = self.source {
            parameters.insert("source".to_owned(), source.to_string().into());
        }
        let mut run = json!({ "builder": { "id": self.builder } });
        if let Some((started, finished)) = &self.times {
            run["metadata"] = json!({ "startedOn": started, "finishedOn": finished });
        }
        if !self.byproducts.is_empty() {
            run["byproducts"] = resources(&self.byproducts);
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "resolvedDependencies": resources(&self.dependencies),
            },
            "runDetails": run,
        })
    }
}

fn resources(resources: &[Resource]) -> Value {
    let all = resources.iter().map(|resource| {
        let mut json = json!({ "name": resource.name, "digest": { "sha256": resource.sha256 } });
        if let Some(uri) = &resource.uri {
            json["uri"] = uri.as_str().into();
        }
        json
    });
    all.collect()
}

/// The release as a package URL: `pkg:generic/NAME@VERSION`, with the variant as a qualifier.
#[must_use]
pub fn package_url(release: &Release) -> String {
    let version = release.version.to_string().replace('+', "%2B");
    let part = match &release.variant {
        Some(variant) => format!("?variant={variant}"),
        None => String::new(),
    };
    format!("pkg:generic/{}@{version}{part}", release.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(variant: Option<&str>) -> Release {
        Release {
            name: "tiny-lm".parse().unwrap(),
            version: "1.0.0+2".parse().unwrap(),
            variant: variant.map(|variant| variant.parse().unwrap()),
        }
    }

    #[test]
    fn a_source_package_is_released() {
        let predicate = Predicate::Release(release(None));
        let (file, package) = (Digest::of(b"file"), Digest::of(b"index"));
        let statement = Statement::about("tiny-lm-1.0.0+2.src.mpkg", file, package, &predicate);
        let payload = String::from_utf8(statement.to_payload().unwrap()).unwrap();
        assert_eq!(
            payload,
            format!(
                "{{\"_type\":\"https://in-toto.io/Statement/v1\",\
                 \"predicate\":{{\"purl\":\"pkg:generic/tiny-lm@1.0.0%2B2\"}},\
                 \"predicateType\":\"https://in-toto.io/attestation/release/v0.1\",\
                 \"subject\":[{{\"digest\":{{\"sha256\":\"{file}\"}},\
                 \"name\":\"tiny-lm-1.0.0+2.src.mpkg\"}},\
                 {{\"digest\":{{\"sha256\":\"{package}\"}},\"name\":\".mpkg/index.json\"}}]}}"
            )
        );
        let read = Statement::parse(payload.as_bytes()).unwrap();
        assert_eq!((read.packages(), read.files()), (vec![package], vec![file]));
        assert_eq!(read, statement);
    }

    #[test]
    fn a_built_package_has_provenance() {
        let provenance = Provenance {
            release: release(Some("f32")),
            source: Some(Digest::of(b"source")),
            external_parameters: Map::new(),
            dependencies: vec![Resource {
                name: "plays".to_owned(),
                sha256: Digest::of(b"plays"),
                uri: Some("https://example.org/plays".to_owned()),
            }],
            builder: LOCAL_BUILDER.to_owned(),
            times: Some(("2026-11-25T12:00:00Z".to_owned(), "2026-11-25T12:01:00Z".to_owned())),
            byproducts: Vec::new(),
        };
        let json = Predicate::Provenance(provenance).to_json();
        let definition = &json["buildDefinition"];
        assert_eq!(definition["buildType"], BUILD_TYPE);
        let package = &definition["externalParameters"]["package"];
        assert_eq!(package, "pkg:generic/tiny-lm@1.0.0%2B2?variant=f32");
        let plays = &definition["resolvedDependencies"][0];
        assert_eq!(plays["digest"]["sha256"], Digest::of(b"plays").to_string());
        assert_eq!(json["runDetails"]["builder"]["id"], LOCAL_BUILDER);
        assert_eq!(json["runDetails"]["metadata"]["startedOn"], "2026-11-25T12:00:00Z");
    }

    #[test]
    fn other_statements_are_refused() {
        let old =
            br#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[],"predicateType":""}"#;
        assert!(matches!(Statement::parse(old), Err(Error::Statement(_))));
        assert!(matches!(Statement::parse(b"{}"), Err(Error::Json { .. })));
    }
}
