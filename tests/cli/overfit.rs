//! A model that knows a passage by heart is found out and mended: trace, exclude, build, and
//! nothing is found any more.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::examples::{example, folder, install, requirements};
use crate::support::{Finished, World, python};

const PROMPT: &str = "This module acts as a proxy to the";

/// What the model in `folder` writes after the prompt, the likeliest words first.
fn write(python: &Path, folder: &Path, world: &World, name: &str) -> String {
    let mut command = Command::new(python);
    command.arg(folder.join("generate.py")).args(["--prompt", PROMPT, "--keep-lines"]);
    let written = Finished::of(command.args(["--temperature", "0", "--tokens", "70"])).succeeds();
    let file = world.write(name, written.stdout.trim_end());
    file.display().to_string()
}

/// The model of a package file, unpacked.
fn unpacked(world: &World, package: &str, goal: &str) -> PathBuf {
    let goal = world.path(goal);
    std::fs::create_dir(&goal).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--zstd", "-xf", package, "-C"]).arg(&goal).current_dir(world.root());
    Finished::of(&mut tar).succeeds();
    goal
}

#[test]
fn a_passage_known_by_heart_is_found_and_taken_out() {
    let world = World::new();
    install(&world, &["docs-lm"]);
    let needed = requirements("docs-lm/requirements.txt");
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let python = python::venv("models", &needed);
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(example("overfit-lm")).arg(world.path("overfit"));
    Finished::of(&mut copy).succeeds();
    // The packages of the registry of today, whatever was pinned.
    let _ = std::fs::remove_file(world.path("overfit/mpkg.lock"));
    world.run(["build", "overfit"]).succeeds();

    // It writes the passage out.
    let before = unpacked(&world, "overfit/dist/overfit-lm-1.0.0.f32.mpkg", "before");
    let said = write(&python, &before, &world, "said.txt");
    world.run(["source", "overfit/dist/overfit-lm-1.0.0.src.mpkg", "mended"]).succeeds();
    let trace = |tree: &str, file: &str, more: &[&str]| {
        let all = ["trace", tree, "--file", file, "--prompt", PROMPT, "--json"];
        world.run(all.iter().chain(more).copied())
    };
    let found = trace("mended", &said, &["--min-length", "100"]);
    assert_eq!(found.code, 1, "{}", found.stderr);
    let place = &found.json()["passages"][0]["places"][0];
    assert_eq!((&place["data"], &place["license"]), (&"guide".into(), &"GPL-3.0-or-later".into()));
    // docs-lm, which it was made from, does not.
    let other = write(&python, &folder(&world, "docs-lm"), &world, "other.txt");
    assert_eq!(trace("docs-lm", &other, &[]).code, 0);

    // It is taken out at the source, and the model made anew.
    let reason = "A GPL text that the model knows by heart";
    let withdrawn = trace("mended", &said, &["--exclude", reason]).succeeds().json();
    let own = &withdrawn["withdrawn"]["own"][0];
    assert_eq!((&own["removed"], &own["before"]), (&1.into(), &2.into()), "{withdrawn:#}");
    let manifest = std::fs::read_to_string(world.path("mended/mpkg.toml")).unwrap();
    world.write("mended/mpkg.toml", manifest.replace("\"1.0.0\"", "\"1.0.1\""));
    let built = world.run(["build", "mended"]).succeeds();
    assert!(built.stderr.contains("Withdrew 1 of 2 records of guide"), "{}", built.stderr);
    assert_eq!(built.stderr.matches(": passed").count(), 2, "{}", built.stderr);

    // Neither the old words nor the new ones stand in what it was trained on.
    let after = unpacked(&world, "mended/dist/overfit-lm-1.0.1.f32.mpkg", "after");
    let now = write(&python, &after, &world, "now.txt");
    for file in [&said, &now] {
        let traced = trace("mended", file, &[]);
        assert_eq!(traced.code, 0, "{}", traced.stdout);
    }
    let packages =
        ["overfit/dist/overfit-lm-1.0.0.f32.mpkg", "mended/dist/overfit-lm-1.0.1.f32.mpkg"];
    let diff = world.run(["diff", packages[0], packages[1]]);
    assert!(diff.stdout.contains("records of guide: 0 in, 1 out"), "{}", diff.stdout);
}
