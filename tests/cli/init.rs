//! Trees that `mpkg init` writes: they build as they are, offline, and again to the same bytes.

use crate::support::World;

/// Writes a tree of `kind`, builds it twice and says which files its binary package has.
fn built(kind: &str, variant: &str) -> Vec<String> {
    let world = World::new();
    let tree = format!("my {kind}");
    let name = format!("my-{kind}");
    let written = world.run(["init", &tree, "--kind", kind, "--json"]).succeeds().json();
    assert_eq!(written["name"], name.as_str());
    assert_eq!(written["next"][0], format!("cd 'my {kind}'"));
    world.run(["build", &tree, "--offline", "-q"]).succeeds();
    let package = world.path(&format!("{tree}/dist/{name}-0.1.0.{variant}.mpkg"));
    let first = std::fs::read(&package).expect("the binary package");
    assert!(world.path(&format!("{tree}/dist/{name}-0.1.0.src.mpkg")).is_file());

    std::fs::remove_dir_all(world.path(&format!("{tree}/dist"))).expect("dist");
    world.run(["build", &tree, "--offline", "-q", "--fresh"]).succeeds();
    assert_eq!(std::fs::read(&package).expect("the binary package"), first, "not bitwise");

    let package = mpkg::archive::Package::open(&package).expect("a sound package");
    package.index().files.iter().map(|file| file.path.to_string()).collect()
}

#[track_caller]
fn assert_has(files: &[String], wanted: &[&str]) {
    for name in wanted {
        assert!(files.iter().any(|file| file == name), "{name} is not among {files:?}");
    }
}

#[test]
fn a_model_builds_as_it_is() {
    let files = built("model", "f32");
    assert_has(&files, &["model.safetensors", "config.json", "generate.py", "README.md"]);
}

#[test]
fn a_dataset_builds_as_it_is() {
    let files = built("dataset", "text");
    assert_has(&files, &["train.txt", "validation.txt", "statistics.json", "README.md"]);
}

#[test]
fn a_tokenizer_builds_as_it_is() {
    let files = built("tokenizer", "bpe");
    assert_has(&files, &["tokenizer.json", "tokenizer_config.json", "README.md"]);
}

#[test]
fn an_adapter_builds_as_it_is() {
    let files = built("adapter", "f32");
    assert_has(&files, &["adapter.safetensors", "adapter_config.json", "README.md"]);
}

#[test]
fn the_next_commands_are_said() {
    let world = World::new();
    let finished = world.run(["init", "tree", "--kind", "dataset", "--name", "texts"]).succeeds();
    assert_eq!(finished.stdout, "");
    assert_eq!(
        finished.stderr,
        "Wrote 8 files of the dataset texts into tree. Next:\n  cd tree\n  mpkg build\n"
    );
}

#[test]
fn what_is_in_the_way_is_named_and_kept() {
    let world = World::new();
    world.write("tree/train.py", "mine");
    let json = world.run(["init", "tree", "--kind", "model", "--json"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["error"]["kind"], "not-empty");
    world
        .run(["init", "tree", "--kind", "model"])
        .fails_with(&["tree is not empty: it holds train.py", "hint: name a new folder"]);
    let kept = std::fs::read_to_string(world.path("tree/train.py")).expect("the file");
    assert_eq!(kept, "mine");
    assert!(!world.path("tree/mpkg.toml").exists());
}

#[test]
fn an_unknown_kind_is_wrong_usage() {
    let finished = World::new().run(["init", "tree", "--kind", "modell"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("'model'"), "{}", finished.stderr);
}
