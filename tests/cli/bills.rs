//! `mpkg licenses --sbom`: bills of materials that the formats' own libraries accept.

use std::process::Command;

use serde_json::Value;

use crate::support::World;
use crate::support::examples::trust;
use crate::support::python::venv;

const SPDX: &[&str] = &["spdx-python-model==0.0.6"];
const CYCLONEDX: &[&str] = &["cyclonedx-python-lib[json-validation]==11.12.0"];

/// Reads a document with the classes that were made from SPDX's own model, which check the type,
/// the form and the number of every property; checks that the profiles for AI and datasets hold; and prints
/// how many elements of each kind there are.
const READ_SPDX: &str = r#"
import json, sys
from collections import Counter
from spdx_python_model import v3_0_1 as spdx
objects = spdx.SHACLObjectSet()
with open(sys.argv[1], "rb") as file:
    spdx.JSONLDDeserializer().read(file, objects)
missing = objects.link()
known = {"https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense"}
assert set(map(str, missing)) <= known, missing
with open(sys.argv[1] + ".again", "wb") as file:
    spdx.JSONLDSerializer().write(objects, file)
licences = Counter()
for relationship in objects.foreach_type("Relationship"):
    kind = relationship.relationshipType.rsplit("/", 1)[1]
    if kind in ("hasDeclaredLicense", "hasConcludedLicense"):
        assert len(relationship.to) == 1
        licences[relationship.from_._id, kind] += 1
for kind in ("ai_AIPackage", "dataset_DatasetPackage"):
    for package in objects.foreach_type(kind):
        for licence in ("hasDeclaredLicense", "hasConcludedLicense"):
            assert licences[package._id, licence] == 1, (package._id, licence)
kinds = ("SpdxDocument", "ai_AIPackage", "dataset_DatasetPackage")
print(json.dumps({kind: len(list(objects.foreach_type(kind))) for kind in kinds}))
"#;

const READ_CYCLONEDX: &str = r#"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
with open(sys.argv[1]) as file:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
if error is not None:
    sys.exit(str(error)[:3000])
"#;

/// Runs a judge on a document, and gives what it prints; its complaint where it has one.
fn judged(
    name: &str,
    packages: &[&str],
    program: &str,
    document: &std::path::Path,
) -> Result<String, String> {
    let output = Command::new(venv(name, packages))
        .args(["-c", program])
        .arg(document)
        .output()
        .expect("Python starts");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn bill(world: &World, format: &str) -> Value {
    let mut command = world.mpkg();
    command.env("SOURCE_DATE_EPOCH", "1795651200");
    command.args(["-q", "licenses", "docs-lm", "--check", "--sbom", format]);
    let made = crate::support::Finished::of(&mut command).succeeds();
    // The same again is the same, byte for byte.
    assert_eq!(crate::support::Finished::of(&mut command).succeeds().stdout, made.stdout);
    world.write(format, &made.stdout);
    made.json()
}

#[test]
fn spdx_documents_are_read_by_its_own_library() {
    let world = World::new();
    trust(&world);
    let document = bill(&world, "spdx3");
    let counts =
        judged("spdx", SPDX, READ_SPDX, &world.path("spdx3")).unwrap_or_else(|it| panic!("{it}"));
    let counts: Value = serde_json::from_str(&counts).expect("counts");
    assert_eq!(counts["ai_AIPackage"], 1);
    // The corpus and its three pieces.
    assert_eq!(counts["dataset_DatasetPackage"], 4);
    assert_eq!(counts["SpdxDocument"], 1);
    let graph = document["@graph"].as_array().expect("a graph");
    let docutils = graph.iter().find(|one| one["name"] == "docutils").expect("a data set");
    assert_eq!(docutils["software_downloadLocation"], "pypi:docutils==0.23");
    assert!(docutils["comment"].as_str().expect("a text").contains("finding: the evidence names"));
    assert_eq!(graph[0]["created"], "2026-11-26T00:00:00Z");
    // The judge does judge.
    let mut broken = document.clone();
    broken["@graph"][0]["created"] = "yesterday".into();
    world.write("broken", broken.to_string());
    assert!(judged("spdx", SPDX, READ_SPDX, &world.path("broken")).is_err());
}

#[test]
fn cyclonedx_documents_hold_against_its_schema() {
    let world = World::new();
    trust(&world);
    let document = bill(&world, "cyclonedx");
    let path = world.path("cyclonedx");
    judged("cyclonedx", CYCLONEDX, READ_CYCLONEDX, &path).unwrap_or_else(|it| panic!("{it}"));
    let model = &document["metadata"]["component"];
    assert_eq!(model["licenses"][0]["expression"], "GPL-3.0-or-later");
    assert_eq!(
        model["modelCard"]["modelParameters"]["datasets"][0]["ref"],
        "docs-corpus:1.0.0:text"
    );
    let numpy =
        document["components"].as_array().expect("a list").iter().find(|it| it["name"] == "numpy");
    let numpy = numpy.expect("a library");
    assert!(numpy["purl"].as_str().expect("an address").starts_with("pkg:pypi/numpy@"));
    assert!(
        numpy["licenses"][0]["expression"].as_str().expect("a licence").contains("BSD-3-Clause")
    );
    let mut broken = document.clone();
    broken["components"][0]["type"] = "weights".into();
    world.write("broken", broken.to_string());
    assert!(judged("cyclonedx", CYCLONEDX, READ_CYCLONEDX, &world.path("broken")).is_err());
}

#[test]
fn an_unknown_format_is_refused() {
    World::new()
        .run(["licenses", "x", "--sbom", "spdx2"])
        .misuses("possible values: spdx3, cyclonedx");
}
