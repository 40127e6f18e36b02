//! `mpkg attest`: test results, statements of other types, and what others make of all of them.

use std::process::Command;

use mpkg::crypto::statement::{Statement, TEST_RESULT_V01};
use mpkg::crypto::{Envelope, PublicKey};
use serde_json::{Value, json};

use crate::support::python::venv;
use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "words"
version = "1.0.0"
kind = "dataset"
summary = "A dataset with tests"
license = "MIT"

[environment]
python = ">=3.8"

[[step]]
name = "make"
run = ["python3", "make.py", "{out}"]

[[variant]]
name = "plain"
from = "make"
files = ["words.txt"]

[[test]]
name = "lines"
run = ["python3", "count.py", "{package}"]
metric = "lines"
at-least = 3

[[test]]
name = "short"
run = ["python3", "count.py", "{package}"]
metric = "longest"
at-most = 4.5
"#;

const MAKE: &str = "import sys; open(sys.argv[1] + '/words.txt', 'w').write('one\\ntwo\\nfour\\n')";
const COUNT: &str = "import json, sys\nlines = open(sys.argv[1] + '/words.txt').read().split()\n\
                     print(json.dumps({'lines': len(lines), 'longest': max(map(len, lines)) + 0.25}))";

const FILE: &str = "tree/dist/words-1.0.0.plain.mpkg";
const SOURCE: &str = "tree/dist/words-1.0.0.src.mpkg";

/// `words`, built and published by `me`; `auditor` is another key.
fn world() -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", MANIFEST);
    world.write("tree/make.py", MAKE);
    world.write("tree/count.py", COUNT);
    world.run(["-q", "build", "tree"]).succeeds();
    world.key("me");
    world.key("auditor");
    world.run(["-q", "sign", "--key", "me", FILE, SOURCE]).succeeds();
    let publish = ["-q", "publish", "--create", "--key", "me", "--to", "registry", FILE, SOURCE];
    world.run(publish).succeeds();
    world
}

/// The statement in an envelope that `key` signed.
fn signed(world: &World, path: &str, key: PublicKey) -> Statement {
    let bytes = std::fs::read(world.path(path)).unwrap();
    let one = std::num::NonZeroUsize::MIN;
    let verified = Envelope::parse(&bytes).unwrap().verify(&[key], one).unwrap();
    Statement::parse(&verified.payload).unwrap()
}

#[test]
fn test_results_are_signed_and_shown() {
    let world = world();
    let arguments = ["attest", "test", "words", "--key", "auditor", "--out", "said"];
    let finished = world.with_registry(arguments).succeeds();
    for part in [
        "Test lines on plain: lines is 3, must be at least 3: passed",
        "Signed: said/words-1.0.0.plain.mpkg.test.dsse.json",
    ] {
        assert!(finished.stdout.contains(part), "{part} is not in {}", finished.stdout);
    }
    let path = "said/words-1.0.0.plain.mpkg.test.dsse.json";
    let statement = signed(&world, path, *world.key("auditor").public());
    assert_eq!(statement.predicate_type, TEST_RESULT_V01);
    let said = &statement.predicate;
    assert_eq!((&said["result"], &said["failedTests"]), (&json!("PASSED"), &json!([])));
    assert_eq!(said["passedTests"], json!(["lines", "short"]));
    assert_eq!(said["mpkgTests"][1]["value"], "4.25");
    let source = mpkg::archive::Package::open(&world.path(SOURCE)).unwrap().package_digest();
    assert_eq!(said["configuration"][0]["digest"]["sha256"], source.to_string());
    assert_eq!(said["configuration"][0]["uri"], "pkg:generic/words@1.0.0");

    world.run(["-q", "publish", "--to", "registry", "--attestation", path]).succeeds();
    let shown = world.with_registry(["attest", "show", "words"]).succeeds().stdout;
    let auditor = world.key("auditor").id().short();
    for line in [
        "words 1.0.0 (plain)\n".to_owned(),
        format!("said    {TEST_RESULT_V01}: by auditor ({auditor}): PASSED, 2 passed and 0 failed"),
        "built by urn:mpkg:builder:local".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line} is not in {shown}");
    }
    let json = world.with_registry(["--json", "attest", "show", "words"]).succeeds().json();
    let all = json["attestations"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((&all[1]["role"], &all[1]["predicate"]), (&json!("attestation"), said));
    // Beside a file as well, and each once.
    std::fs::copy(world.path(path), world.path(&format!("{FILE}.test.dsse.json"))).unwrap();
    let json = world.run(["--json", "attest", "show", FILE]).succeeds().json();
    assert_eq!(json["attestations"].as_array().unwrap().len(), 2);
    world.write(&format!("{FILE}.junk.dsse.json"), "{}");
    world.run(["attest", "show", FILE]).succeeds();
    world
        .with_registry(["attest", "show", "wrods"])
        .fails_with(&["there is a package called words"]);
}

#[test]
fn failed_tests_are_signed_as_such_and_without_tests_nothing_is() {
    let world = World::new();
    world.write("tree/mpkg.toml", MANIFEST.replace("at-most = 4.5", "at-most = 4.0"));
    world.write("tree/make.py", MAKE);
    world.write("tree/count.py", COUNT);
    world.run(["-q", "build", "tree", "--no-test"]).succeeds();
    let public = *world.key("auditor").public();
    let finished = world.run(["attest", "test", FILE, "--key", "auditor"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stdout.contains("longest is 4.25, must be at most 4"), "{}", finished.stdout);
    let said = signed(&world, "words-1.0.0.plain.mpkg.test.dsse.json", public).predicate;
    assert_eq!((&said["result"], &said["failedTests"]), (&json!("FAILED"), &json!(["short"])));
    assert_eq!(said["passedTests"], json!(["lines"]));
    let strict = World::new();
    strict.write("tree/mpkg.toml", MANIFEST.split("[[test]]").next().unwrap());
    strict.write("tree/make.py", MAKE);
    strict.run(["-q", "build", "tree"]).succeeds();
    strict.key("auditor");
    let arguments = ["attest", "test", FILE, "--key", "auditor"];
    strict.run(arguments).fails_with(&["has no [[test]] for this variant"]);
    assert!(!strict.path("words-1.0.0.plain.mpkg.test.dsse.json").exists());
    std::fs::remove_file(strict.path(SOURCE)).unwrap();
    strict.run(arguments).fails_with(&["the source package of words 1.0.0", "--source"]);
    strict.run(["attest", "test", FILE, "--key", "nobody"]).fails_with(&["nobody"]);
    strict.run(["attest", "test", FILE]).misuses("--key");
}

#[test]
fn a_statement_of_any_other_type_can_be_signed() {
    let world = world();
    let auditor = *world.key("auditor").public();
    world.write("review.json", r#"{"reviewer": "A. Uditor", "findings": [], "score": 9}"#);
    let kind = "https://example.org/review/v1";
    let sign = |more: &[&str]| {
        let start = ["attest", "sign", "words", "--key", "auditor"];
        world.with_registry([&start, more].concat())
    };
    let done = sign(&["--type", kind, "--predicate", "review.json"]).succeeds();
    assert_eq!(done.stdout, "./words-1.0.0.plain.mpkg.auditor.dsse.json\n");
    let path = done.stdout.trim_end();
    let statement = signed(&world, path, auditor);
    assert_eq!(
        (statement.predicate_type.as_str(), &statement.predicate["score"]),
        (kind, &json!(9))
    );
    let file = mpkg::archive::Package::open(&world.path(FILE)).unwrap();
    assert_eq!(statement.packages(), [file.package_digest()]);
    assert_eq!(statement.files(), [file.file_digest().unwrap()]);

    for (text, why) in [
        (r#"{"score": 0.5}"#, "is no JSON object that can be signed"),
        (r#"[1]"#, "is no JSON object that can be signed"),
        (r#"{"a": 1, "a": 2}"#, "is no JSON object that can be signed"),
    ] {
        world.write("bad.json", text);
        sign(&["--type", kind, "--predicate", "bad.json"]).fails_with(&[why]);
    }
    let measured = ["--type", "urn:mpkg:rebuild:1", "--predicate", "review.json"];
    sign(&measured).fails_with(&["is what mpkg itself finds out", "mpkg rebuild"]);
    sign(&["--type", "review", "--predicate", "review.json"]).misuses("relative URL");
    sign(&["--predicate", "review.json"]).misuses("--type");
    sign(&[]).misuses("--predicate");
}

#[test]
fn a_rebuild_made_where_no_trusted_key_is_can_be_signed_elsewhere() {
    let world = world();
    let (offline, public) = world.foreign_key("offline");
    drop(offline);
    world.key("machine");
    let rebuild = ["-q", "rebuild", "words", "--attest", "machine"];
    world.with_registry(rebuild).succeeds();
    world.write("offline.pem", public.to_pem());
    let policy = format!(
        "[default.rebuild]\nof = [\"office\"]\n[rebuilder.office]\nkeys = [\"\"\"{}\"\"\"]\n",
        public.to_pem()
    );
    world.write("home/policy.toml", policy);
    let verdict = "rebuilt/words-1.0.0.plain.mpkg.rebuild.dsse.json";
    let install = |file: &str| world.with_registry(["install", "words", "--attestation", file]);
    install(verdict).fails_with(&["nothing by office counts"]);
    let sign_again = || {
        let mut office = world.mpkg();
        office.env("MPKG_HOME", world.path("elsewhere"));
        office.args(["attest", "sign", FILE, "--key", "offline"]);
        Finished::of(office.args(["--again", verdict, "--out", "said"])).succeeds()
    };
    sign_again();
    let again = "said/words-1.0.0.plain.mpkg.offline.dsse.json";
    let machine = *world.key("machine").public();
    let (one, other) = (signed(&world, verdict, machine), signed(&world, again, public));
    assert_eq!(one, other);
    let done = install(again).succeeds();
    assert!(done.stderr.contains("rebuilt by office (identical)"), "{}", done.stderr);
    world.run(["-q", "remove", "words"]).succeeds();
    // Without a sandbox a step could copy what it should make: then it counts for nothing.
    world.with_registry([&rebuild[..], &["--sandbox", "none"]].concat()).succeeds();
    sign_again();
    install(again).fails_with(&["does not count: it was not made in a whole sandbox"]);
    // A statement about another package is not signed in its place.
    let provenance = format!("{SOURCE}.dsse.json");
    let arguments = ["attest", "sign", FILE, "--key", "auditor", "--again", &provenance];
    world.run(arguments).fails_with(&["is not about words 1.0.0 (plain)"]);
}

/// Reads envelopes as other programs do, and says what it found.
const JUDGE: &str = r#"
import json, sys
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey

def read(path, key):
    envelope = Envelope.from_dict(json.load(open(path)))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    accepted = envelope.verify([key], 1)
    statement = Statement.copy_from_pb(json_format.Parse(envelope.payload, statement_pb2.Statement()))
    statement.validate()
    return envelope, list(accepted), statement

def strictly(message, value):
    """Parses a predicate by its own schema: an unknown field is an error."""
    return json_format.ParseDict(json_format.MessageToDict(value), message)

def provenance(statement):
    found = strictly(provenance_pb2.Provenance(), statement.pb.predicate)
    definition, run = found.build_definition, found.run_details
    for resource in list(definition.resolved_dependencies) + list(run.byproducts):
        ResourceDescriptor.copy_from_pb(resource).validate()
    return {
        "build-type": definition.build_type,
        "source": definition.external_parameters["source"],
        "builder": run.builder.id,
        "started": run.metadata.started_on.ToJsonString(),
        "dependencies": len(definition.resolved_dependencies),
        "byproducts": [resource.name for resource in run.byproducts],
    }

def results(statement):
    value = json_format.MessageToDict(statement.pb.predicate)
    own = {name: value[name] for name in value if not name.startswith("mpkg")}
    found = json_format.ParseDict(own, test_result_pb2.TestResult())
    for resource in found.configuration:
        ResourceDescriptor.copy_from_pb(resource).validate()
    return {
        "result": test_result_pb2.TestResult.Result.Name(found.result)
        if hasattr(test_result_pb2.TestResult, "Result") else found.result,
        "passed": list(found.passed_tests), "failed": list(found.failed_tests),
    }

found = []
for path, id, public in json.load(sys.stdin):
    value = {"keytype": public["keytype"], "scheme": public["scheme"], "keyval": public["keyval"]}
    key = SSlibKey.from_dict(id, value)
    envelope, accepted, statement = read(path, key)
    changed = Envelope(envelope.payload.replace(b"1", b"2"), envelope.payload_type, envelope.signatures)
    try:
        changed.verify([key], 1)
        raise SystemExit("a changed payload was accepted")
    except Exception as error:
        assert "signature" in str(error).lower() or "Accepted" in str(error), repr(error)
    kind = statement.pb.predicate_type
    facts = {"type": kind, "accepted": accepted,
             "subjects": {one.name: one.digest["sha256"] for one in statement.pb.subject}}
    if kind.startswith("https://slsa.dev/provenance"):
        facts.update(provenance(statement))
    if "test-result" in kind:
        facts.update(results(statement))
    found.append(facts)
print(json.dumps(found))
"#;

#[test]
fn other_programs_verify_and_read_what_is_signed() {
    let world = world();
    world.with_registry(["-q", "attest", "test", "words", "--key", "auditor"]).succeeds();
    let builder = "https://rebuilder.example.org/one";
    let rebuild = ["-q", "rebuild", "words", "--attest", "auditor", "--builder", builder];
    world.with_registry(rebuild).succeeds();
    let cases = [
        (format!("{FILE}.dsse.json"), "me"),
        (format!("{SOURCE}.dsse.json"), "me"),
        ("words-1.0.0.plain.mpkg.test.dsse.json".to_owned(), "auditor"),
        ("rebuilt/words-1.0.0.plain.mpkg.rebuild.dsse.json".to_owned(), "auditor"),
        ("rebuilt/words-1.0.0.plain.mpkg.dsse.json".to_owned(), "auditor"),
    ];
    let asked: Vec<Value> = cases
        .iter()
        .map(|(path, key)| {
            let public = *world.key(key).public();
            json!([world.path(path), public.id(), public.to_json()])
        })
        .collect();
    let packages = [
        "in-toto-attestation==0.9.3",
        "protobuf==7.36.2",
        "securesystemslib==1.6.0",
        "cryptography==50.0.2",
    ];
    let mut judge = Command::new(venv("attestations", &packages));
    judge.arg(world.write("judge.py", JUDGE)).env_clear();
    judge.stdin(std::fs::File::open(world.write("asked.json", json!(asked).to_string())).unwrap());
    let found = Finished::of(&mut judge).succeeds().json();
    let package = mpkg::archive::Package::open(&world.path(FILE)).unwrap();
    let digest = package.package_digest().to_string();
    for (one, (path, key)) in found.as_array().unwrap().iter().zip(&cases) {
        assert_eq!(one["accepted"], json!([world.key(key).id()]), "{path}");
        if !path.starts_with(SOURCE) {
            assert_eq!(one["subjects"][".mpkg/index.json"], digest, "{path}");
        }
    }
    let source = package.index().source.unwrap().to_string();
    for (place, by) in [(0, "urn:mpkg:builder:local"), (4, builder)] {
        let one = &found[place];
        assert_eq!((&one["source"], &one["builder"]), (&json!(source), &json!(by)), "{one}");
        assert_eq!(one["build-type"], "urn:mpkg:build:1");
        assert!(one["started"].as_str().unwrap().ends_with('Z'), "{one}");
        assert_eq!(one["byproducts"], json!(["words-1.0.0.build.json"]));
    }
    assert_eq!(found[1]["type"], "https://in-toto.io/attestation/release/v0.1");
    assert_eq!(found[2]["passed"], json!(["lines", "short"]));
    assert_eq!(found[3]["type"], "urn:mpkg:rebuild:1");
}
