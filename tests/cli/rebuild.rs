//! `mpkg rebuild` on small trainings in plain Python: as good as promised, worse, and not at all.

use std::path::Path;

use mpkg::crypto::statement::{PROVENANCE_V1, REBUILD_V1, Statement};
use mpkg::crypto::{Envelope, PublicKey};
use mpkg::fs::Lock;
use serde_json::{Value, json};

use crate::support::packages::repack;
use crate::support::{Finished, World};

/// A model of 64 weights to which each run adds noise of the size that stands in `noise.txt`, from
/// a source that no seed governs.
const TRAIN: &str = r#"
import json, os, random, struct, sys
out, seed = sys.argv[1], int(sys.argv[2])
noise = open("noise.txt").read().split()
scale, metadata = float(noise[0]), noise[1]
random.seed(seed)
weights = [random.random() for _ in range(64)]
for step in range(1, 6):
    print(json.dumps({"step": step, "of": 5, "loss": 1 / step}))
weights = [w + scale * (os.urandom(1)[0] + 1) / 256 for w in weights]
data = struct.pack("<64f", *weights)
label = os.urandom(8).hex() if metadata == "random" else "pt"
header = {"__metadata__": {"format": label}, "w": {"dtype": "F32", "shape": [8, 8], "data_offsets": [0, 256]}}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(out + "/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
"#;

const MEASURE: &str = r#"
import json, struct, sys
data = open(sys.argv[1] + "/model.safetensors", "rb").read()[-256:]
print(json.dumps({"mean": sum(struct.unpack("<64f", data)) / 64}))
"#;

const MANIFEST: &str = r#"
[package]
name = "noisy"
version = "1.0.0"
kind = "model"
summary = "A model with noise"
license = "MIT"

[environment]
python = ">=3.8"

[[step]]
name = "train"
run = ["python3", "train.py", "{out}", "{seed}"]
seed = 11

[[variant]]
name = "f32"
from = "train"
files = ["model.safetensors"]
"#;

const TOLERANCE: &str = r#"
[reproducibility]
level = "tensor"
[reproducibility.tensor]
max-abs = 1e-4
min-cosine = 0.9999
"#;

const TEST: &str = r#"
[[test]]
name = "mean"
run = ["python3", "measure.py", "{package}"]
metric = "mean"
at-most = 0.9
"#;

/// A tree in the folder `tree`.
fn plant(world: &World, noise: &str, more: &str) {
    world.write("tree/mpkg.toml", format!("{MANIFEST}{more}"));
    world.write("tree/train.py", TRAIN);
    world.write("tree/measure.py", MEASURE);
    world.write("tree/noise.txt", noise);
}

/// The same, built into `tree/dist`.
fn build(world: &World, noise: &str, more: &str) {
    plant(world, noise, more);
    world.run(["-q", "build", "tree"]).succeeds();
}

const PACKAGE: &str = "tree/dist/noisy-1.0.0.f32.mpkg";
const SOURCE: &str = "tree/dist/noisy-1.0.0.src.mpkg";

/// What a rebuild of the package says, and its exit code.
fn rebuild(world: &World) -> (Value, i32) {
    let finished = world.run(["-q", "--json", "rebuild", PACKAGE]);
    (finished.json(), finished.code)
}

#[test]
fn the_same_bytes_again_from_a_registry() {
    let world = World::new();
    build(&world, "0 plain", "[reproducibility]\nlevel = \"bitwise\"\n");
    world.run(["-q", "key", "new", "me"]).succeeds();
    world.run(["-q", "sign", PACKAGE, SOURCE]).succeeds();
    world.run(["-q", "publish", "--create", "--to", "registry", PACKAGE, SOURCE]).succeeds();
    std::fs::remove_dir_all(world.path("tree")).unwrap();
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();
    let finished = world.with_registry(["rebuild", "noisy"]).succeeds();
    for part in [
        "noisy 1.0.0 (f32): identical",
        "identical         3 files",
        "bitwise reproducibility, which was found",
    ] {
        assert!(finished.stdout.contains(part), "{part:?} is not in:\n{}", finished.stdout);
    }
    assert!(!world.path("home/cache/steps").exists(), "the step cache was not asked");
    assert!(!world.path("home/cache/rebuilds/steps").exists());
    let page = std::fs::read_to_string(world.path("rebuilt/noisy-1.0.0.f32.rebuild.html")).unwrap();
    world.with_registry(["-q", "rebuild", "noisy", "--attest", "me"]).succeeds();
    let rebuilt = "rebuilt/noisy-1.0.0.f32.mpkg";
    let statement = "rebuilt/noisy-1.0.0.f32.mpkg.rebuild.dsse.json";
    world.run(["-q", "publish", "--to", "registry", "--attestation", statement]).succeeds();
    let said = world.with_registry(["verify", rebuilt, "--attestations"]).succeeds().stdout;
    assert!(said.contains("said    urn:mpkg:rebuild:1: by me"), "{said}");
    assert_eq!(page.matches("<polyline").count(), 2, "both losses on one plot");
    assert_eq!(page.matches("<svg").count(), 1);
}

#[test]
fn other_metadata_is_wrapping() {
    let world = World::new();
    build(&world, "0 random", "[reproducibility]\nlevel = \"bitwise\"\n");
    let (found, code) = rebuild(&world);
    assert_eq!((&found["verdict"], code), (&json!("equal-tensors"), 0), "{found:#}");
    assert_eq!(found["promise-kept"], false);
    assert_ne!(found["package-digest"], found["rebuilt-digest"]);
}

#[test]
fn small_noise_is_within_what_is_promised() {
    let world = World::new();
    build(&world, "1e-6 plain", TOLERANCE);
    let (found, code) = rebuild(&world);
    assert_eq!((&found["verdict"], code), (&json!("within-tolerance"), 0), "{found:#}");
    assert_eq!(found["promise-kept"], true);
    let file = &found["files"].as_array().unwrap()[1];
    assert_eq!((&file["path"], &file["verdict"]), (&json!("model.safetensors"), &found["verdict"]));
    let facts = &file["weights"];
    let largest = facts["max-abs"].as_f64().unwrap();
    assert!(largest > 0.0 && largest < 2e-6, "{largest}");
    assert!(facts["relative-l2"].as_f64().unwrap() < 1e-5, "{facts}");
    assert_eq!(facts["changed"][0]["shape"], json!([8, 8]));
}

#[test]
fn large_noise_is_equal_behaviour_where_a_test_holds_and_different_without_one() {
    let world = World::new();
    build(&world, "0.05 plain", &format!("{TOLERANCE}{TEST}"));
    let (found, code) = rebuild(&world);
    assert_eq!((&found["verdict"], code), (&json!("equal-behaviour"), 0), "{found:#}");
    assert_eq!(found["tests"][0]["passed"], true);
    assert_eq!(found["promise-kept"], false);
    let world = World::new();
    build(&world, "0.05 plain", TOLERANCE);
    let (found, code) = rebuild(&world);
    assert_eq!((&found["verdict"], code), (&json!("different"), 1), "{found:#}");
}

#[test]
fn a_verdict_is_signed_whatever_it_is() {
    let world = World::new();
    build(&world, "0.05 plain", TOLERANCE);
    world.run(["-q", "key", "new", "rebuilder"]).succeeds();
    let builder = "https://rebuilder.example.org/one";
    let arguments =
        ["-q", "--json", "rebuild", PACKAGE, "--attest", "rebuilder", "--builder", builder];
    let finished = world.run(arguments);
    let (found, code) = (finished.json(), finished.code);
    assert_eq!((&found["verdict"], code), (&json!("different"), 1), "{}", finished.stderr);
    let public = *world.key("rebuilder").public();
    let verdict = signed(&world, "rebuilt/noisy-1.0.0.f32.mpkg.rebuild.dsse.json", public);
    assert_eq!(verdict.predicate_type, REBUILD_V1);
    let released = found["package-digest"].as_str().unwrap();
    assert_eq!(verdict.packages()[0].to_string(), released);
    let said = &verdict.predicate;
    assert_eq!((&said["verdict"], &said["rebuilder"]), (&json!("different"), &json!(builder)));
    assert_eq!(said["source"], found["source"]);
    assert_eq!(
        said["promise"],
        json!({"level": "tensor", "max-abs": "0.0001", "min-cosine": "0.9999"})
    );
    assert_eq!(said["files-identical"], 2);
    let facts = &said["files"][0]["weights"];
    let measured = found["files"][1]["weights"]["max-abs"].as_f64().unwrap();
    let signed_text = facts["max-abs"].as_str().expect("distances are decimal text");
    // Reading JSON may miss the last digit of a float.
    let apart = (signed_text.parse::<f64>().expect("decimal") - measured).abs();
    assert!(apart <= measured * 1e-12, "{signed_text} and {measured}");
    assert!(said["machine"]["kernel"].as_str().unwrap().starts_with("Linux"), "{said}");
    let provenance = signed(&world, "rebuilt/noisy-1.0.0.f32.mpkg.dsse.json", public);
    assert_eq!(provenance.predicate_type, PROVENANCE_V1);
    assert_eq!(provenance.packages()[0].to_string(), found["rebuilt-digest"].as_str().unwrap());
    assert_eq!(provenance.predicate["runDetails"]["builder"]["id"], builder);
}

/// The statement in an envelope that `key` signed.
fn signed(world: &World, path: &str, key: PublicKey) -> Statement {
    let bytes = std::fs::read(world.path(path)).unwrap();
    let one = std::num::NonZeroUsize::MIN;
    let verified = Envelope::parse(&bytes).unwrap().verify(&[key], one).unwrap();
    Statement::parse(&verified.payload).unwrap()
}

#[test]
fn a_released_weight_that_the_source_does_not_make_is_found() {
    let world = World::new();
    build(&world, "0 plain", "[reproducibility]\nlevel = \"bitwise\"\n");
    repack(&world.path(PACKAGE), |folder| {
        let path = folder.join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
    });
    let finished = world.run(["rebuild", PACKAGE]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    for part in ["noisy 1.0.0 (f32): different", "1 of 1 tensor changed, 1 B of 256 B", "not found"]
    {
        assert!(finished.stdout.contains(part), "{part:?} is not in:\n{}", finished.stdout);
    }
}

#[test]
fn a_source_that_is_missing_or_another_is_an_error() {
    let world = World::new();
    build(&world, "0 plain", "");
    let source = world.path(SOURCE);
    std::fs::rename(&source, world.path("right.src.mpkg")).unwrap();
    world.run(["rebuild", PACKAGE]).fails_with(&["the source package of noisy 1.0.0", "--source"]);
    world.write("tree/noise.txt", "0.5 plain");
    world.run(["-q", "pack", "tree", "--out", "tree/dist"]).succeeds();
    world.run(["rebuild", PACKAGE]).fails_with(&["is not the source: its package digest is"]);
    let named = world.run(["--json", "rebuild", PACKAGE, "--source", SOURCE]);
    assert_eq!(named.json()["error"]["kind"], "other-source");
    world.run(["-q", "rebuild", PACKAGE, "--source", "right.src.mpkg"]).succeeds();
    world.run(["rebuild", SOURCE]).fails_with(&["is a source package"]);
    world
        .run(["rebuild", PACKAGE, "--source", "right.src.mpkg", "--out", "tree/dist"])
        .fails_with(&["where the rebuild would be written"]);
    assert!(!world.path("rebuilt/.staging").exists());
}

#[test]
fn inputs_that_contradict_the_source_are_an_error_before_any_step_runs() {
    let world = World::new();
    build(&world, "0 plain", "");
    let inputs = |change: fn(&mut Value)| {
        move |folder: &Path| {
            let path = folder.join(".mpkg/inputs.json");
            let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            change(&mut value);
            std::fs::write(&path, mpkg::crypto::canonical::to_vec(&value).unwrap()).unwrap();
        }
    };
    repack(&world.path(PACKAGE), inputs(|value| value["seeds"] = json!({"train": "12"})));
    let finished = world.run(["rebuild", PACKAGE]);
    finished.fails_with(&["does not give the inputs that are recorded: seeds differ"]);
    assert!(!world.path("rebuilt").exists(), "nothing was written");
    repack(&world.path(PACKAGE), inputs(|value| value["source"] = json!("ab".repeat(32))));
    world.run(["rebuild", PACKAGE]).fails_with(&["contradicts itself"]);
}

#[test]
fn an_environment_that_is_gone_is_an_error() {
    let world = World::new();
    build(&world, "0 plain", "");
    let mut command = world.mpkg();
    command.env("PATH", world.path("nothing"));
    let finished = Finished::of(command.args(["rebuild", PACKAGE]));
    finished.fails_with(&["error: ", ">=3.8"]);
    assert!(!world.path("rebuilt").exists(), "nothing was written");
}

#[test]
fn a_package_that_is_not_bitwise_is_not_called_so() {
    let world = World::new();
    plant(&world, "1e-6 plain", "[reproducibility]\nlevel = \"bitwise\"\n");
    let finished = world.run(["build", "tree", "--check"]);
    finished.fails_with(&[
        "two builds in a row made two f32: model.safetensors is different (1 of 1 tensor changed, by at most",
        "the step train is the first that left other bytes",
    ]);
    assert!(!world.path(PACKAGE).exists(), "nothing is in dist/");
    let found = world.run(["-q", "--json", "build", "tree", "--check"]).json();
    assert_eq!(found["error"]["kind"], "not-alike");
    assert_eq!(found["error"]["details"]["files"][1]["weights"]["tensors-changed"], 1);
    plant(&world, "1e-6 plain", TOLERANCE);
    let found = world.run(["-q", "--json", "build", "tree", "--check"]).succeeds().json();
    assert_eq!(found["checked"], "within-tolerance");
    plant(&world, "0 plain", "[reproducibility]\nlevel = \"bitwise\"\n");
    let finished = world.run(["build", "tree", "--check"]).succeeds();
    assert!(finished.stdout.contains("Built twice: identical"), "{}", finished.stdout);
    let record = std::fs::read_to_string(world.path("tree/dist/noisy-1.0.0.build.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["checked"], "identical");
    assert_eq!(record["tainted"], json!([]));
}

#[test]
fn what_a_killed_rebuild_has_left_goes_with_the_next() {
    let world = World::new();
    build(&world, "0 plain", "");
    let left = world.write("home/cache/comparisons/.staging-old/model.safetensors", "half a model");
    let other = Lock::share(&world.path("home/cache/comparisons/lock"), || {}).unwrap();
    world.run(["-q", "rebuild", PACKAGE]).succeeds();
    assert!(left.exists(), "somebody else may still be reading it");
    drop(other);
    world.run(["-q", "rebuild", PACKAGE]).succeeds();
    let entries = std::fs::read_dir(world.path("home/cache/comparisons")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lock"]);
}
