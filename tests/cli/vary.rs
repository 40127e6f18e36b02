//! `mpkg rebuild --vary` on a step that writes down what it sees, and on ones that are not steady,
//! fail, or are only promised to be alike.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::examples::example;
use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "seen"
version = "1.0.0"
kind = "model"
summary = "What a step sees"
license = "MIT"

[[data]]
name = "folder"
path = "data"
license = "MIT"
license-evidence = "LICENSE"
level = "raw"
role = "train"

[environment]
python = ">=3.8"

[[step]]
name = "train"
run = ["python3", "train.py", "{out}", "{data.folder}"]

[[variant]]
name = "f32"
from = "train"
files = ["*.txt"]
"#;

/// Writes a file for each thing that can be varied, and in one more what must never change: the
/// time that goes by, and what a clock that was not set says.
const TRAIN: &str = r#"
import os, pwd, subprocess, sys, time
out, folder = sys.argv[1:]
def write(name, *values):
    open(f"{out}/{name}.txt", "w").write(repr(values))
def year(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
before = time.monotonic()
there = {"cwd": os.getcwd(), "out": out, "folder": folder, "home": os.path.expanduser("~")}
write("path", there)
write("user", os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)
years = [time.gmtime().tm_year, time.gmtime(time.clock_gettime(time.CLOCK_REALTIME)).tm_year]
years += [year("date", "-u", "+%Y"), year("sh", "-c", "echo $(date -u +%Y)")]
write("time", years)
write("locale", os.environ["LANG"], os.environ["LC_ALL"])
write("time-zone", time.strftime("%z", time.localtime(0)))
write("umask", oct(os.umask(0)))
write("file-order", [names for _, _, names in os.walk(folder)])
cores = len(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]
write("cores", *cores)
write("kernels", os.environ.get("OPENBLAS_CORETYPE"), os.environ.get("GLIBC_TUNABLES"))
write("hash-seed", hash("a"))
write("always", 0 <= time.monotonic() - before < 60, os.environ["SOURCE_DATE_EPOCH"])
"#;

/// The names of what a train writes.
const KINDS: [&str; 10] = [
    "path",
    "user",
    "time",
    "locale",
    "time-zone",
    "umask",
    "file-order",
    "cores",
    "kernels",
    "hash-seed",
];

const PACKAGE: &str = "tree/dist/seen-1.0.0.f32.mpkg";

/// A tree whose one step runs `train`, built into `tree/dist`.
fn built(train: &str, more: &str) -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", format!("{MANIFEST}{more}"));
    world.write("tree/train.py", train);
    world.write("tree/LICENSE", "MIT");
    for name in ["one", "two", "three", "four/five", "four/six", "four/seven"] {
        world.write(&format!("tree/data/{name}.txt"), name);
    }
    world.run(["-q", "build", "tree"]).succeeds();
    world
}

fn vary(world: &World, list: &str) -> Finished {
    world.run(["-q", "--json", "rebuild", PACKAGE, list])
}

/// The paths of the files that differ under a change.
fn changed(variation: &Value) -> Vec<&str> {
    let files = variation["files"].as_array().expect("a list of files");
    files.iter().map(|file| file["path"].as_str().expect("a path")).collect()
}

#[test]
fn each_variation_changes_what_it_says_and_nothing_else() {
    let world = built(TRAIN, "");
    let finished = vary(&world, "--vary");
    let found = finished.json();
    assert_eq!(found["control"]["verdict"], "identical", "{found:#}");
    assert_eq!((&found["steady"], &found["repeated"]), (&json!(true), &Value::Null));
    let not: Vec<&str> = found["not-varied"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["varied"].as_str().unwrap())
        .collect();
    let possible: Vec<&str> = KINDS.into_iter().filter(|kind| !not.contains(kind)).collect();
    // Whatever a machine lacks, these need nothing of it.
    for always in ["locale", "time-zone", "umask", "hash-seed"] {
        assert!(possible.contains(&always), "{found:#}");
    }
    if cfg!(target_arch = "x86_64") {
        assert!(possible.contains(&"time") && possible.contains(&"kernels"), "{not:?}");
    }
    let variations = found["variations"].as_array().unwrap();
    for variation in variations {
        let kind = variation["varied"].as_str().unwrap();
        assert_eq!(changed(variation), [format!("{kind}.txt")], "{variation:#}");
        assert_eq!(variation["tainted"], json!([format!("varied: {kind}")]));
        assert_eq!(variation["first-step"], "train");
        assert_ne!(variation["from"], variation["to"]);
    }
    assert_eq!(found["breaks-equality"], json!(possible));
    assert_eq!((&found["harmless"], finished.code), (&json!([]), 1));
    // What is left is the control alone: nothing that was built under a change.
    let record = std::fs::read_to_string(world.path("rebuilt/seen-1.0.0.build.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["tainted"], json!([]));
    let left = std::fs::read_dir(world.path("home/cache/rebuilds")).unwrap();
    let folders = left.filter(|it| it.as_ref().unwrap().path().join("out").exists());
    assert_eq!(folders.count(), 0);
    assert!(world.path("rebuilt/seen-1.0.0.f32.vary.html").is_file());
}

#[test]
fn without_namespaces_what_cannot_be_varied_is_said() {
    let world = built("import sys; open(sys.argv[1] + '/a.txt', 'w').write('a')", "");
    let list = "--vary=path,user,file-order,time-zone";
    let finished = world.run(["rebuild", PACKAGE, list, "--sandbox=landlock"]).succeeds();
    for part in [
        "seen 1.0.0 (f32): rebuilt identical",
        "time-zone  UTC+11:30  identical",
        "Breaks bitwise equality: nothing",
        "Harmless: time-zone",
        "Not varied here: path, since the sandbox here has no namespaces",
        "Not varied here: user, since the sandbox here has no user namespace",
        "Not varied here: file-order, since",
    ] {
        assert!(finished.stdout.contains(part), "{part:?} is not in:\n{}", finished.stdout);
    }
    assert!(finished.stderr.contains("Plan: 2 builds"), "{}", finished.stderr);
    assert!(finished.stderr.contains("path cannot be varied here"), "{}", finished.stderr);
}

#[test]
fn a_difference_is_not_put_down_to_a_change_where_builds_differ_anyway() {
    let world =
        built("import os, sys; open(sys.argv[1] + '/a.txt', 'wb').write(os.urandom(9))", "");
    let finished = vary(&world, "--vary=umask");
    let found = finished.json();
    assert_eq!((&found["steady"], finished.code), (&json!(false), 1), "{found:#}");
    assert_eq!(found["repeated"]["verdict"], "different");
    let said = world.run(["rebuild", PACKAGE, "--vary=umask"]).stdout;
    assert!(said.contains("no difference is due to a change alone"), "{said}");
    assert!(!said.contains("Breaks bitwise equality"), "{said}");
}

#[test]
fn a_build_that_fails_under_a_change_is_a_finding() {
    let train = "import os, sys\n\
                 if os.environ['TZ'] != 'UTC': sys.exit('what time is it?')\n\
                 open(sys.argv[1] + '/a.txt', 'w').write('a')";
    let world = built(train, "");
    let finished = vary(&world, "--vary=time-zone,umask");
    let found = finished.json();
    assert_eq!(finished.code, 1, "{found:#}");
    let [zone, umask] = found["variations"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&zone["verdict"], &umask["verdict"]), (&json!("failed"), &json!("identical")));
    let said = zone["error"]["message"].as_str().unwrap();
    assert!(said.contains("ended with exit code 1: what time is it?"), "{said}");
    assert_eq!(found["breaks-equality"], json!(["time-zone"]));
    assert_eq!(found["harmless"], json!(["umask"]));
}

#[test]
fn a_change_within_the_tolerance_is_graded_and_measured() {
    let train = "import json, os, struct, sys\n\
                 value = 1.0 + (1e-6 if os.environ['PYTHONHASHSEED'] != '0' else 0)\n\
                 data = struct.pack('<4f', 1, 2, 3, value)\n\
                 entry = {'dtype': 'F32', 'shape': [4], 'data_offsets': [0, 16]}\n\
                 text = json.dumps({'w': entry}).encode()\n\
                 text += b' ' * (-len(text) % 8)\n\
                 head = struct.pack('<Q', len(text))\n\
                 open(sys.argv[1] + '/a.safetensors', 'wb').write(head + text + data)\n\
                 open(sys.argv[1] + '/a.txt', 'w').write('a')";
    let more = "[reproducibility]\nlevel = \"tensor\"\n[reproducibility.tensor]\nmax-abs = 1e-5\n";
    let world = World::new();
    let manifest = MANIFEST.replace("\"*.txt\"", "\"*\"");
    world.write("tree/mpkg.toml", format!("{manifest}{more}"));
    world.write("tree/train.py", train);
    world.write("tree/LICENSE", "MIT");
    world.write("tree/data/one.txt", "one");
    world.run(["-q", "build", "tree"]).succeeds();
    let finished = world.run(["-q", "rebuild", PACKAGE, "--vary=hash-seed,time"]).succeeds();
    let line = "hash-seed  4242              within-tolerance  a.safetensors: 1 of 1 tensor changed; relative L2 ";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
    assert!(finished.stdout.contains("largest difference 9.537e-7"), "{}", finished.stdout);
    assert!(finished.stdout.contains("Breaks bitwise equality: hash-seed"), "{}", finished.stdout);
    let page = std::fs::read_to_string(world.path("rebuilt/seen-1.0.0.f32.vary.html")).unwrap();
    assert!(page.contains("Tensors under hash-seed: 4242"), "{page}");
}

#[test]
fn what_is_not_understood_is_misuse() {
    let world = World::new();
    world.run(["rebuild", "x.mpkg", "--vary=kernel"]).misuses("did you mean \"kernels\"?");
    world.run(["rebuild", "x.mpkg", "--vary=colour"]).misuses("there is path, user, time");
    world.run(["rebuild", "x.mpkg", "--vary", "--attest", "me"]).misuses("cannot be used with");
}

/// The example of an ordinary training in float32, made short: forty steps and a low bound.
#[test]
fn the_reason_why_an_example_is_not_portable_is_found() {
    let world = World::new();
    copy(&example("language-id"), &world.path("tree"));
    let manifest = std::fs::read_to_string(world.path("tree/mpkg.toml")).unwrap();
    let short = manifest
        .replace("\"--seed\", \"{seed}\"", "\"--seed\", \"{seed}\", \"--steps\", \"40\"")
        .replace("at-least = 0.88", "at-least = 0.1");
    assert_ne!(manifest, short);
    world.write("tree/mpkg.toml", short);
    world.run(["-q", "build", "tree"]).succeeds();
    let package = "tree/dist/language-id-1.0.0.f32.mpkg";
    let list = "--vary=path,file-order,kernels";
    let found = world.run(["-q", "--json", "rebuild", package, list]).succeeds().json();
    assert_eq!(found["control"]["verdict"], "identical", "{found:#}");
    assert_eq!(found["harmless"], json!(["path", "file-order"]), "{found:#}");
    if !cfg!(target_arch = "x86_64") {
        assert_eq!(found["not-varied"][0]["varied"], "kernels");
        return;
    }
    assert_eq!(found["breaks-equality"], json!(["kernels"]), "{found:#}");
    for variation in found["variations"].as_array().unwrap() {
        let files = changed(variation);
        if variation["verdict"] == "within-tolerance" {
            assert!(files.contains(&"model.safetensors"), "{variation:#}");
            let facts = &variation["files"][files.len() - 1]["weights"];
            let largest = facts["max-abs"].as_f64().expect("a distance");
            assert!(largest > 0.0 && largest <= 1e-4, "{facts:#}");
        } else {
            assert_eq!(variation["verdict"], "identical", "{variation:#}");
        }
    }
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let goal = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &goal),
            false => drop(std::fs::copy(&path, &goal).unwrap()),
        }
    }
}
