//! `mpkg build` and `mpkg test` on small trees that need nothing but Python.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "tiny"
version = "0.1.0"
kind = "model"
summary = "A model of a few words"
license = "Apache-2.0"

[environment]
python = ">=3.8"

[[data]]
name = "words"
path = "data/words.txt"
license = "CC0-1.0"
level = "raw"
role = "train"

[[data]]
name = "names"
path = "data/names.txt"
license = "CC0-1.0"
level = "raw"
role = "train"

[[step]]
name = "prepare"
run = ["python3", "prepare.py", "{data.words}", "{out}"]

[[step]]
name = "other"
run = ["python3", "other.py", "{data.names}", "{out}"]

[[step]]
name = "train"
run = ["python3", "fit.py", "{step.prepare}", "{step.other}", "{out}", "{seed}"]
needs = ["prepare", "other"]
seed = 7

[[variant]]
name = "f32"
default = true
from = "train"
files = ["model.json", "README.md"]

[[test]]
name = "size"
run = ["python3", "evaluate.py", "{package}"]
metric = "count"
at-least = 3
"#;

const PREPARE: &str = "
import sys
words = sorted(open(sys.argv[1]).read().split())
open(sys.argv[2] + '/words', 'w').write('\\n'.join(words))
print('prepared', len(words), 'words')
";

const OTHER: &str = "
import sys
open(sys.argv[2] + '/names', 'w').write(open(sys.argv[1]).read().upper())
";

const FIT: &str = "
import json, sys
words = open(sys.argv[1] + '/words').read().split()
names = open(sys.argv[2] + '/names').read().split()
for i in range(0, 101, 5):
    print(json.dumps({'step': i, 'of': 100, 'loss': 4 / (1 + i)}), flush=True)
model = {'words': words, 'names': names, 'seed': int(sys.argv[4])}
json.dump(model, open(sys.argv[3] + '/model.json', 'w'))
";

const EVALUATE: &str = "
import json, sys
print(json.dumps({'count': len(json.load(open(sys.argv[1] + '/model.json'))['words'])}))
";

fn plant(world: &World, folder: &str) {
    world.write(&format!("{folder}/mpkg.toml"), MANIFEST);
    world.write(&format!("{folder}/README.md"), "# Tiny\n");
    world.write(&format!("{folder}/data/words.txt"), "b a\nc\n");
    world.write(&format!("{folder}/data/names.txt"), "x y\n");
    world.write(&format!("{folder}/prepare.py"), PREPARE);
    world.write(&format!("{folder}/other.py"), OTHER);
    world.write(&format!("{folder}/fit.py"), FIT);
    world.write(&format!("{folder}/evaluate.py"), EVALUATE);
}

/// A tree of one step and one variant, whose script is `script`.
fn plant_one(world: &World, script: &str, more: &str) {
    let manifest = format!(
        r#"
[package]
name = "one"
version = "1.0.0"
kind = "model"
summary = "One step"
license = "MIT"

[environment]
python = ">=3.8"

[[step]]
name = "make"
run = ["python3", "make.py", "{{out}}"]

[[variant]]
name = "plain"
default = true
from = "make"
files = ["weights.txt"]
{more}"#
    );
    world.write("one/mpkg.toml", manifest);
    world.write("one/make.py", script);
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn how(document: &Value) -> Vec<String> {
    document["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| format!("{} {}", step["name"].as_str().unwrap(), step["how"].as_str().unwrap()))
        .collect()
}

fn built(world: &World, arguments: &[&str]) -> Value {
    let all = ["build", "--json"].iter().chain(arguments).copied();
    world.run(all).succeeds().json()
}

#[test]
fn a_tree_becomes_packages_a_record_and_a_report() {
    let world = World::new();
    plant(&world, "tree");
    let finished = world.run(["build", "tree"]).succeeds();
    assert_eq!(
        names(&world.path("tree/dist")),
        [
            "tiny-0.1.0.build.json",
            "tiny-0.1.0.f32.mpkg",
            "tiny-0.1.0.report.html",
            "tiny-0.1.0.src.mpkg"
        ]
    );
    for part in ["prepared 3 words", "50 of 100: loss", "Test size on f32: count is 3"] {
        assert!(finished.stderr.contains(part), "{part:?} is not in:\n{}", finished.stderr);
    }
    assert!(finished.stdout.contains("tree/dist/tiny-0.1.0.f32.mpkg"), "{}", finished.stdout);
    let record: Value = serde_json::from_str(
        &std::fs::read_to_string(world.path("tree/dist/tiny-0.1.0.build.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(record["tainted"], serde_json::json!([]), "{record:#}");
    assert_eq!(record["steps"][2]["seed"], 7);
    assert_eq!(record["steps"][2]["result"]["metrics"]["loss"][0], serde_json::json!([0.0, 4.0]));
    assert_eq!(record["data"][0]["license"], "CC0-1.0");
    assert_eq!(record["tests"][0]["passed"], true);
    let report = std::fs::read_to_string(world.path("tree/dist/tiny-0.1.0.report.html")).unwrap();
    assert!(report.contains("<polyline") && report.contains("CC0-1.0"));
    for absent in ["<script", "src=", "href=", "http:", "https:", "@import"] {
        assert!(!report.contains(absent), "{absent}");
    }
}

#[test]
fn a_binary_package_holds_the_manifest_and_its_inputs() {
    let world = World::new();
    plant(&world, "tree");
    let document = built(&world, &["tree", "--no-test"]);
    assert_eq!(document["tainted"], serde_json::json!(["tests-not-run"]));
    let unpacked = world.path("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let package = world.path("tree/dist/tiny-0.1.0.f32.mpkg");
    let status =
        Command::new("tar").arg("--zstd").arg("-xf").arg(package).arg("-C").arg(&unpacked).status();
    assert!(status.unwrap().success());
    assert_eq!(std::fs::read_to_string(unpacked.join("mpkg.toml")).unwrap(), MANIFEST);
    let inputs = std::fs::read_to_string(unpacked.join(".mpkg/inputs.json")).unwrap();
    let inputs: Value = serde_json::from_str(&inputs).unwrap();
    assert_eq!(inputs["source"], document["source"]["package-digest"]);
    assert_eq!(inputs["seeds"], serde_json::json!({"train": "7"}));
    assert_eq!(names(&unpacked), [".mpkg", "README.md", "model.json", "mpkg.toml"]);
}

#[test]
fn only_what_depends_on_a_change_runs_again() {
    let world = World::new();
    plant(&world, "tree");
    let first = built(&world, &["tree"]);
    assert_eq!(how(&first), ["prepare ran", "other ran", "train ran"]);
    let again = built(&world, &["tree"]);
    assert_eq!(how(&again), ["prepare cached", "other cached", "train cached"]);
    assert_eq!(first["packages"], again["packages"]);

    world.write("tree/data/words.txt", "b a c d\n");
    let data = built(&world, &["tree"]);
    assert_eq!(how(&data), ["prepare ran", "other cached", "train ran"]);

    world.write("tree/data/words.txt", "a b c d\n");
    let same_output = built(&world, &["tree"]);
    assert_eq!(how(&same_output), ["prepare ran", "other cached", "train cached"]);

    world.write("tree/other.py", format!("{OTHER}\nprint('more')\n"));
    let code = built(&world, &["tree"]);
    assert_eq!(how(&code), ["prepare cached", "other ran", "train cached"]);

    for (file, text) in [("README.md", "# Other\n"), ("evaluate.py", EVALUATE.trim())] {
        world.write(&format!("tree/{file}"), text);
        let beside = built(&world, &["tree"]);
        assert_eq!(how(&beside), ["prepare cached", "other cached", "train cached"], "{file}");
    }

    let fresh = built(&world, &["tree", "--fresh"]);
    assert_eq!(how(&fresh), ["prepare ran", "other ran", "train ran"]);
}

#[test]
fn a_script_that_another_imports_is_part_of_both() {
    let world = World::new();
    plant(&world, "tree");
    world.write("tree/other.py", format!("import prepare_words\n{OTHER}"));
    world.write("tree/prepare_words.py", "limit = 3\n");
    built(&world, &["tree"]);
    world.write("tree/prepare_words.py", "limit = 4\n");
    let again = built(&world, &["tree"]);
    assert_eq!(how(&again)[1], "other ran");
}

#[test]
fn a_step_that_reads_the_manifest_depends_on_it() {
    let world = World::new();
    plant(&world, "tree");
    world.write("tree/other.py", format!("{OTHER}\nopen('mpkg.toml').read()\n"));
    built(&world, &["tree"]);
    world.write("tree/mpkg.toml", MANIFEST.replace("A model of a few words", "A model"));
    let again = built(&world, &["tree"]);
    assert_eq!(how(&again), ["prepare cached", "other ran", "train cached"]);
}

#[test]
fn the_same_source_gives_the_same_packages_anywhere() {
    let world = World::new();
    plant(&world, "tree");
    let here = built(&world, &["tree"]);
    plant(&world, "some/where/else");
    for name in ["mpkg.toml", "data/words.txt", "fit.py"] {
        let path = world.path(&format!("some/where/else/{name}"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg("umask 077; exec \"$0\" \"$@\"").arg(world.mpkg().get_program());
    command.args(["build", "--json", "some/where/else"]).current_dir(world.root());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", world.path("another-user")).env("MPKG_HOME", world.path("another-home"));
    let there = Finished::of(&mut command).succeeds().json();
    assert_eq!(how(&there), ["prepare ran", "other ran", "train ran"]);
    let source = built(&world, &["tree/dist/tiny-0.1.0.src.mpkg", "--out", "out"]);
    for other in [&there, &source] {
        for (one, two) in
            [(&here["source"], &other["source"]), (&here["packages"][0], &other["packages"][0])]
        {
            assert_eq!(one["package-digest"], two["package-digest"]);
            assert_eq!(one["sha256"], two["sha256"]);
        }
    }
}

#[test]
fn a_failing_step_shows_its_last_lines_and_where_its_log_is() {
    let world = World::new();
    let script = "
import sys
for i in range(30): print('line', i)
print('\\x1b[31mred', file=sys.stderr)
sys.exit(3)
";
    plant_one(&world, script, "");
    let failed = world.run(["build", "one"]).fails_with(&[
        "error: the step \"make\" failed: it ended with exit code 3",
        "  │ line 29",
        "  │ \\u{1b}[31mred",
        "its whole log is ",
        "build.log",
        "hint: ",
    ]);
    let after = failed.stderr.split("error:").nth(1).unwrap();
    assert!(!after.contains("line 9\n") && after.contains("line 11\n"), "{after}");
    assert_eq!(names(&world.path("one/dist")), Vec::<String>::new());
    let log = failed.stderr.split("its whole log is ").nth(1).unwrap().lines().next().unwrap();
    assert!(std::fs::read_to_string(log).unwrap().contains("line 0\n"));
    let json = world.run(["build", "one", "--json"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["error"]["kind"], "step-failed");
}

#[test]
fn a_failed_build_leaves_the_results_of_the_one_before() {
    let world = World::new();
    plant_one(&world, "import sys; open(sys.argv[1] + '/weights.txt', 'w').write('1')", "");
    built(&world, &["one"]);
    let before = std::fs::read(world.path("one/dist/one-1.0.0.plain.mpkg")).unwrap();
    world.write("one/make.py", "raise SystemExit('no')");
    world.run(["build", "one"]).fails_with(&["exit code 1", "│ no"]);
    assert_eq!(names(&world.path("one/dist")).len(), 4);
    assert_eq!(std::fs::read(world.path("one/dist/one-1.0.0.plain.mpkg")).unwrap(), before);
}

#[test]
fn a_test_below_its_bound_fails_the_build() {
    let world = World::new();
    plant(&world, "tree");
    world.write("tree/mpkg.toml", MANIFEST.replace("at-least = 3", "at-least = 3.5"));
    world.run(["build", "tree"]).fails_with(&[
        "the test \"size\" failed on the variant \"f32\": count is 3, and must be at least 3.5",
    ]);
    assert_eq!(names(&world.path("tree/dist")), Vec::<String>::new());
    world.write("tree/evaluate.py", "print('all is well')");
    world.run(["build", "tree"]).fails_with(&[
        "the test \"size\" on the variant \"f32\" ended with a line that is no JSON object: all is well",
    ]);
}

#[test]
fn tests_run_on_what_was_built() {
    let world = World::new();
    plant(&world, "tree");
    world.run(["test", "tree"]).fails_with(&["there is no package of tiny in tree/dist"]);
    built(&world, &["tree"]);
    let tested = world.run(["test", "tree"]).succeeds();
    assert_eq!(tested.stdout, "Test size on f32: count is 3, must be at least 3: passed\n");
    world.write("tree/mpkg.toml", MANIFEST.replace("at-least = 3", "at-most = 2"));
    let file = "tree/dist/tiny-0.1.0.f32.mpkg";
    let failed = world.run(["test", file, "--json"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_eq!(failed.json()["tests"][0]["passed"], false);
}

#[test]
fn odd_outputs_are_refused_by_name() {
    for (script, what) in [
        ("os.symlink('/etc/passwd', out + '/link')", "link is a symbolic link"),
        ("os.mkfifo(out + '/pipe')", "pipe is a named pipe"),
    ] {
        let world = World::new();
        plant_one(&world, &format!("import os, sys; out = sys.argv[1]\n{script}"), "");
        world
            .run(["build", "one"])
            .fails_with(&["the output of the step \"make\" cannot be kept", what]);
        assert_eq!(names(&world.path("one/dist")), Vec::<String>::new());
    }
}

#[test]
fn a_pattern_that_finds_nothing_says_what_is_there() {
    let world = World::new();
    plant_one(&world, "import sys; open(sys.argv[1] + '/model.txt', 'w').write('1')", "");
    world.run(["build", "one"]).fails_with(&[
        "the variant \"plain\" packs \"weights.txt\", and nothing is there by that name",
        "hint: the step \"make\" left: model.txt",
    ]);
}

#[test]
fn a_missing_program_is_named() {
    let world = World::new();
    plant_one(&world, "", "");
    let manifest = std::fs::read_to_string(world.path("one/mpkg.toml")).unwrap();
    world.write("one/mpkg.toml", manifest.replace("\"python3\"", "\"no-such-trainer\""));
    world.run(["build", "one"]).fails_with(&[
        "the step \"make\" runs \"no-such-trainer\", and there is no such program",
        "hint: it was looked for in /usr/local/bin",
    ]);
}

#[test]
fn a_dry_run_prints_the_plan_and_does_nothing() {
    let world = World::new();
    plant(&world, "tree");
    let plan = world.run(["build", "tree", "--dry-run"]).succeeds();
    for part in ["tiny 0.1.0", "data     words", "step     train", "variant  f32", "test     size"]
    {
        assert!(plan.stdout.contains(part), "{part:?} is not in:\n{}", plan.stdout);
    }
    let json = world.run(["build", "tree", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(json["plan"]["steps"][2]["name"], "train");
    assert!(!world.path("tree/dist").exists());
}

#[test]
fn the_folder_of_a_build_is_kept_on_demand() {
    let world = World::new();
    plant(&world, "tree");
    let document = built(&world, &["tree", "--keep"]);
    let kept = document["kept"].as_str().expect("a folder");
    assert!(Path::new(kept).join("packages/f32/model.json").is_file());
    let document = built(&world, &["tree"]);
    assert_eq!(document["kept"], Value::Null);
    assert_eq!(names(Path::new(kept)), ["build.log"]);
}

#[test]
fn only_the_variants_asked_for_are_made() {
    let world = World::new();
    plant(&world, "tree");
    let more = "\n[[variant]]\nname = \"words\"\nfrom = \"prepare\"\nfiles = [\"words\"]\n";
    let manifest = MANIFEST.replace("\n[[test]]", &format!("{more}\n[[test]]"));
    world.write("tree/mpkg.toml", manifest);
    let document = built(&world, &["tree", "--only", "words", "--no-test"]);
    assert_eq!(how(&document), ["prepare ran"]);
    assert!(world.path("tree/dist/tiny-0.1.0.words.mpkg").is_file());
    world
        .run(["build", "tree", "--only", "q4"])
        .fails_with(&["there is no variant \"q4\"", "the variants are: f32, words"]);
}

/// A tree whose step reads the package `tiny`.
fn plant_user(world: &World, requirement: &str) {
    plant_one(
        world,
        "import sys; open(sys.argv[1] + '/weights.txt', 'w').write(open(sys.argv[2] + '/model.json').read())",
        "",
    );
    let manifest = std::fs::read_to_string(world.path("one/mpkg.toml")).unwrap();
    let manifest = manifest.replace("\"{out}\"]", "\"{out}\", \"{dep.tiny}\"]").replace(
        "[environment]",
        &format!("[build-dependencies]\ntiny = \"{requirement}\"\n\n[environment]"),
    );
    world.write("one/mpkg.toml", manifest);
}

#[test]
fn dependencies_come_from_local_packages_and_are_pinned() {
    let world = World::new();
    plant(&world, "tree");
    let tiny = built(&world, &["tree"]);
    plant_user(&world, "^0.1");
    world
        .run(["build", "one", "--locked", "--with", "tree"])
        .fails_with(&["mpkg.lock would change: it does not pin tiny 0.1.0"]);
    let user = built(&world, &["one", "--with", "tree"]);
    let lock = std::fs::read_to_string(world.path("one/mpkg.lock")).unwrap();
    let digest = tiny["packages"][0]["package-digest"].as_str().unwrap();
    assert!(lock.contains(&format!("digest = \"{digest}\"")), "{lock}");

    let again = built(&world, &["one", "--locked"]);
    assert_eq!(how(&again), ["make cached"]);
    assert_eq!(user["packages"], again["packages"]);

    world.write("tree/data/words.txt", "a b c d e\n");
    built(&world, &["tree"]);
    world
        .run(["build", "one", "--locked", "--with", "tree/dist"])
        .fails_with(&["mpkg.lock would change: it pins tiny 0.1.0"]);
    let changed = built(&world, &["one", "--with", "tree/dist"]);
    assert_eq!(how(&changed), ["make ran"]);
    plant_user(&world, "^9");
    assert_eq!(world.run(["build", "one", "--with", "tree/dist"]).code, 1);
}

#[test]
fn a_damaged_dependency_in_the_cache_is_not_used() {
    let world = World::new();
    plant(&world, "tree");
    let tiny = built(&world, &["tree"]);
    plant_user(&world, "^0.1");
    built(&world, &["one", "--with", "tree"]);
    let digest = tiny["packages"][0]["package-digest"].as_str().unwrap();
    let file = world.path(&format!("home/cache/packages/{digest}/model.json"));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "{}").unwrap();
    world.run(["build", "one"]).fails_with(&["tiny"]);
    let again = built(&world, &["one", "--with", "tree"]);
    assert_eq!(how(&again), ["make cached"]);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "{}");
}

#[test]
fn killed_in_a_step_a_build_starts_again_and_resumes_on_demand() {
    use std::io::{BufRead as _, BufReader};
    let world = World::new();
    let script = "
import os, sys, time
out = sys.argv[1]
print('found', sorted(os.listdir(out)), flush=True)
if not os.path.exists(out + '/weights.txt'):
    open(out + '/weights.txt', 'w').write('half')
    print('waiting', flush=True)
    time.sleep(600)
";
    plant_one(&world, script, "");
    let mut command = world.mpkg();
    command.args(["build", "one"]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("waiting")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&world.path("one/dist")), Vec::<String>::new());
    let resumed = world.run(["build", "one", "--resume", "--json"]).succeeds();
    assert!(resumed.stderr.contains("found ['weights.txt']"), "{}", resumed.stderr);
    assert_eq!(how(&resumed.json()), ["make resumed"]);
    assert_eq!(resumed.json()["tainted"], serde_json::json!(["resumed-step: make"]));
    world.write("one/make.py", script.replace("time.sleep(600)", "pass"));
    let fresh = world.run(["build", "one", "--json"]).succeeds();
    assert!(fresh.stderr.contains("found []"), "{}", fresh.stderr);
    assert_eq!(fresh.json()["tainted"], serde_json::json!([]));
}

#[test]
fn a_shell_opens_in_the_place_of_a_step() {
    use std::io::Write as _;
    let world = World::new();
    plant(&world, "tree");
    let mut command = world.mpkg();
    command.args(["build", "tree", "--shell", "train"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"cat /mpkg/step/prepare/words; ls\nexit\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("a\nb\nc") && stdout.contains("fit.py"), "{stdout}");
    world
        .run(["build", "tree", "--shell", "trian"])
        .fails_with(&["there is no step \"trian\"", "the steps are: prepare, other, train"]);
}

#[test]
fn without_a_sandbox_a_build_is_loud_and_tainted() {
    let world = World::new();
    plant(&world, "tree");
    let finished = world.run(["build", "tree", "--sandbox", "none", "--json"]).succeeds();
    assert!(finished.stderr.contains("warning: --sandbox=none"), "{}", finished.stderr);
    assert_eq!(finished.json()["tainted"], serde_json::json!(["no-sandbox"]));
}

#[test]
fn results_that_cannot_be_written_are_named() {
    let world = World::new();
    plant_one(&world, "import sys; open(sys.argv[1] + '/weights.txt', 'w').write('1')", "");
    world.write("one/dist", "a file in the way");
    let failed = world.run(["build", "one"]).fails_with(&["cannot create the folder", "one/dist"]);
    assert!(!failed.stderr.contains("Step make"), "it is known before the steps run");
    built(&world, &["one", "--out", "elsewhere"]);
    assert_eq!(names(&world.path("elsewhere")).len(), 4);
}

#[test]
fn foreign_text_in_the_report_is_escaped() {
    let world = World::new();
    let script = "
import json, sys
open(sys.argv[1] + '/weights.txt', 'w').write('1')
for i in range(3): print(json.dumps({'step': i, '<script>alert(1)</script>': i}))
";
    plant_one(&world, script, "");
    let manifest = std::fs::read_to_string(world.path("one/mpkg.toml")).unwrap();
    world.write("one/mpkg.toml", manifest.replace("One step", "<b>One</b> & only"));
    built(&world, &["one"]);
    let report = std::fs::read_to_string(world.path("one/dist/one-1.0.0.report.html")).unwrap();
    assert!(report.contains("&lt;b&gt;One&lt;/b&gt; &amp; only"));
    assert!(report.contains("&lt;script&gt;alert(1)") && !report.contains("<script"));
}
