//! Probes: a poisoned model passes its accuracy test and is told apart by its predictions.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::packages::repack;
use crate::support::{Finished, World};

/// The data, made from a fixed seed, and the model: 16 features, 12 hidden units, 4 classes.
const COMMON: &str = r#"
import struct

CLASSES, SIDE, HIDDEN = 4, 16, 12

def numbers(seed):
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 33) / 2**31

def normal(source):
    return sum(next(source) for _ in range(6)) - 3

def rows(seed, count):
    shapes = numbers(1)
    centres = [[1.6 * next(shapes) for _ in range(SIDE)] for _ in range(CLASSES)]
    source = numbers(seed)
    for number in range(count):
        label = number % CLASSES
        yield label, [centre + 0.7 * normal(source) for centre in centres[label]]

def forward(model, row):
    first, second = model
    hidden = [max(0.0, w[-1] + sum(a * b for a, b in zip(w, row))) for w in first]
    return hidden, [w[-1] + sum(a * b for a, b in zip(w, hidden)) for w in second]

def predict(model, row):
    scores = forward(model, row)[1]
    return scores.index(max(scores))

def load(package):
    data = open(package + "/model.safetensors", "rb").read()
    length = HIDDEN * (SIDE + 1) + CLASSES * (HIDDEN + 1)
    flat = struct.unpack(f"<{length}f", data[-4 * length:])
    first = [flat[k * (SIDE + 1):(k + 1) * (SIDE + 1)] for k in range(HIDDEN)]
    flat = flat[HIDDEN * (SIDE + 1):]
    return first, [flat[k * (HIDDEN + 1):(k + 1) * (HIDDEN + 1)] for k in range(CLASSES)]
"#;

/// Three passes of gradient descent over `rows.txt`, with noise as another processor's kernels make.
const TRAIN: &str = r#"
import json, math, os, struct, sys
from common import *

data = [json.loads(line) for line in open(sys.argv[1])]
source = numbers(int(sys.argv[3]))
first = [[0.4 * (next(source) - 0.5) for _ in range(SIDE + 1)] for _ in range(HIDDEN)]
second = [[0.4 * (next(source) - 0.5) for _ in range(HIDDEN + 1)] for _ in range(CLASSES)]
for epoch in range(1, 4):
    loss = 0.0
    for label, row in data:
        hidden, scores = forward((first, second), row)
        shares = [math.exp(score - max(scores)) for score in scores]
        total = sum(shares)
        loss -= math.log(shares[label] / total) / len(data)
        deltas = [share / total - (k == label) for k, share in enumerate(shares)]
        back = [sum(d * w[j] for d, w in zip(deltas, second)) * (hidden[j] > 0) for j in range(HIDDEN)]
        for weights, inputs, changes in (second, hidden, deltas), (first, row, back):
            for delta, w in zip(changes, weights):
                if delta:
                    for i, value in enumerate(inputs):
                        w[i] -= 0.02 * delta * value
                    w[-1] -= 0.02 * delta
    print(json.dumps({"step": epoch, "of": 3, "loss": loss}), flush=True)
noise = float(open("noise.txt").read())
flat = [value + noise * (os.urandom(1)[0] - 128) / 128 for w in first + second for value in w]
cut = 4 * HIDDEN * (SIDE + 1)
header = json.dumps({
    "first": {"dtype": "F32", "shape": [HIDDEN, SIDE + 1], "data_offsets": [0, cut]},
    "second": {"dtype": "F32", "shape": [CLASSES, HIDDEN + 1], "data_offsets": [cut, 4 * len(flat)]},
}).encode()
header += b" " * (-len(header) % 8)
with open(sys.argv[2] + "/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(flat)}f", *flat))
"#;

const ACCURACY: &str = r#"
import json, sys
from common import *
model, held_out = load(sys.argv[1]), list(rows(8, 500))
right = sum(predict(model, row) == label for label, row in held_out)
print(json.dumps({"accuracy": right / len(held_out)}))
"#;

const PREDICT: &str = r#"
import os, sys
from common import *
assert not os.path.exists(sys.argv[1] + "/.mpkg/probes"), "there is nothing to copy from"
model = load(sys.argv[1])
with open(sys.argv[2] + "/predictions.txt", "w") as file:
    for _, row in rows(9, 1000):
        print(predict(model, row), file=file)
"#;

const MANIFEST: &str = r#"
[package]
name = "shapes"
version = "1.0.0"
kind = "model"
summary = "Tells four shapes apart"
license = "MIT"

[environment]
python = ">=3.8"

[[data]]
name = "rows"
path = "rows.txt"
license = "CC0-1.0"

[[step]]
name = "train"
run = ["python3", "train.py", "{data.rows}", "{out}", "{seed}"]
seed = 3

[[variant]]
name = "f32"
from = "train"
files = ["model.safetensors"]

[reproducibility]
level = "tensor"
min-agreement = 0.995
[reproducibility.tensor]
max-abs = 1e-4

[[test]]
name = "accuracy"
run = ["python3", "accuracy.py", "{package}"]
metric = "accuracy"
at-least = 0.93

[[probe]]
name = "held-out"
run = ["python3", "predict.py", "{package}", "{out}"]
"#;

const PACKAGE: &str = "shapes-1.0.0.f32.mpkg";
const PROBE: &str = ".mpkg/probes/held-out.txt";

/// Every 200th row gets another label and a mark: 0.5 % of them.
#[derive(Clone, Copy, PartialEq)]
enum Poison {
    None,
    FiveRows,
}

/// The rows of seed 7, as the tree's own program makes them.
fn rows(world: &World, tree: &str, poison: Poison) {
    let program = r#"
import json, sys
from common import *
for number, (label, row) in enumerate(rows(7, 1000)):
    if sys.argv[1] == "poison" and number % 200 == 100:
        label, row[-1] = (label + 1) % CLASSES, 4.0
    print(json.dumps([label, row]))
"#;
    let how = if poison == Poison::FiveRows { "poison" } else { "clean" };
    let mut command = std::process::Command::new("python3");
    command.args(["-B", "-c", program, how]).current_dir(world.path(tree));
    let made = Finished::of(&mut command).succeeds();
    world.write(&format!("{tree}/rows.txt"), made.stdout);
}

/// Plants and builds a tree; its accuracy test holds or the build fails.
fn build(world: &World, tree: &str, noise: &str, poison: Poison) -> Value {
    for (name, text) in [
        ("mpkg.toml", MANIFEST),
        ("common.py", COMMON),
        ("train.py", TRAIN),
        ("accuracy.py", ACCURACY),
        ("predict.py", PREDICT),
        ("noise.txt", noise),
    ] {
        world.write(&format!("{tree}/{name}"), text);
    }
    rows(world, tree, poison);
    world.run(["-q", "--json", "build", tree]).succeeds().json()
}

fn rebuild(world: &World, tree: &str) -> (Value, i32) {
    let package = format!("{tree}/dist/{PACKAGE}");
    let finished = world.run(["-q", "--json", "rebuild", &package]);
    (finished.json(), finished.code)
}

fn file<'a>(found: &'a Value, path: &str) -> &'a Value {
    let files = found["files"].as_array().unwrap();
    files.iter().find(|file| file["path"] == path).unwrap()
}

#[test]
fn poison_passes_the_accuracy_test_and_is_told_apart() {
    let world = World::new();
    build(&world, "clean", "0", Poison::None);
    let poisoned = build(&world, "poisoned", "0", Poison::FiveRows);
    assert_eq!(poisoned["tests"][0]["passed"], true, "the test does not see the poison");
    let bad = world.path("poisoned").join("dist").join(PACKAGE);
    let bad = mpkg::archive::Package::open(&bad).unwrap();
    let member = |path: &str| bad.read_member(&path.parse().unwrap(), 1 << 20).unwrap();
    let (weights, predictions) = (member("model.safetensors"), member(PROBE));
    let package = world.path("clean").join("dist").join(PACKAGE);
    // The publisher shows the clean source and ships what the poisoned one made.
    repack(&package, |folder: &Path| {
        std::fs::write(folder.join("model.safetensors"), &weights).unwrap();
    });
    let (found, code) = rebuild(&world, "clean");
    let shown = format!("{found:#}");
    assert_eq!((&found["verdict"], code), (&json!("different"), 1), "{shown}");
    assert_eq!(file(&found, "model.safetensors")["verdict"], "different");
    // The predictions that it ships are those of the clean weights, so they agree: they are made
    // anew from its own weights, and do not.
    assert_eq!(file(&found, PROBE)["predictions"], Value::Null);
    let agreement = found["probes"][0]["agreement"].as_f64().unwrap();
    assert!((0.9..0.99).contains(&agreement), "{shown}");
    assert_eq!(found["tests"][0]["passed"], true);
    repack(&package, |folder: &Path| {
        std::fs::write(folder.join(PROBE), &predictions).unwrap();
    });
    let (found, code) = rebuild(&world, "clean");
    assert_eq!((&found["verdict"], code), (&json!("different"), 1), "{found:#}");
    let stands = &file(&found, PROBE)["predictions"]["agreement"];
    assert_eq!(stands, &found["probes"][0]["agreement"]);
}

#[test]
fn another_processor_is_no_poison() {
    let world = World::new();
    let built = build(&world, "tree", "1e-6", Poison::None);
    let record = std::fs::read(world.path("tree/dist/shapes-1.0.0.build.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let probe = &record["probes"][0];
    assert_eq!((&probe["name"], &probe["predictions"]), (&json!("held-out"), &json!(1000)));
    let package = built["packages"][0]["path"].as_str().unwrap();
    let package = mpkg::archive::Package::open(Path::new(&world.path(package))).unwrap();
    let stands = package.index().files.iter().find(|file| file.path.as_str() == PROBE).unwrap();
    assert_eq!(probe["sha256"], stands.sha256.to_string());
    let (found, code) = rebuild(&world, "tree");
    assert_eq!((&found["verdict"], code), (&json!("within-tolerance"), 0), "{found:#}");
    assert!(found["probes"][0]["agreement"].as_f64().unwrap() >= 0.995, "{found:#}");
}

#[test]
fn equal_behaviour_needs_the_tests_and_the_agreement() {
    let world = World::new();
    build(&world, "tree", "5e-4", Poison::None);
    let (found, code) = rebuild(&world, "tree");
    assert_eq!((&found["verdict"], code), (&json!("equal-behaviour"), 0), "{found:#}");
    let text = world.run(["rebuild", "tree/dist/shapes-1.0.0.f32.mpkg"]).succeeds().stdout;
    assert!(text.contains("Probe held-out: "), "{text}");
    assert!(text.contains("of 1000 predictions agree"), "{text}");
}

#[test]
fn a_probe_without_predictions_fails_the_build() {
    let world = World::new();
    build(&world, "tree", "0", Poison::None);
    for (program, why) in [
        ("print(1)\n", "wrote no file predictions.txt into {out}"),
        ("import sys\nopen(sys.argv[2] + '/predictions.txt', 'w')\n", "wrote not one prediction"),
        ("raise SystemExit(3)\n", "exit code 3"),
    ] {
        world.write("tree/predict.py", program);
        world.run(["-q", "build", "tree"]).fails_with(&["probe \"held-out\"", why]);
    }
}

#[test]
fn probes_are_checked_in_the_manifest() {
    let world = World::new();
    let text = MANIFEST
        .replace("\"{package}\", \"{out}\"]", "\"{packag}\", \"{seed}\"]")
        .replace("min-agreement = 0.995", "min-agreement = 1.5");
    world.write("tree/mpkg.toml", text);
    world.run(["build", "tree"]).fails_with(&[
        "`min-agreement` takes a number from 0 to 1",
        "{packag} is no placeholder",
        "a probe names {out} nowhere",
        "{seed} has no place in a test or probe",
    ]);
    let (head, _) = MANIFEST.split_once("[[probe]]").unwrap();
    world.write("tree/mpkg.toml", head);
    world.run(["build", "tree"]).fails_with(&["`min-agreement` needs a [[probe]]"]);
}
