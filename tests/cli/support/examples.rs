//! The example trees, and the registry that holds what was built from them.

use std::path::{Path, PathBuf};

use super::World;

/// A path in `registry-example/`.
pub fn example(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("registry-example").join(relative)
}

/// The pinned packages of a `requirements.txt`, without their hashes.
pub fn requirements(relative: &str) -> Vec<String> {
    let text = std::fs::read_to_string(example(relative)).expect("the requirements");
    let is_requirement = |line: &&str| line.contains("==") && !line.starts_with([' ', '#']);
    let lines = text.lines().filter(is_requirement);
    lines.map(|line| line.trim_end_matches('\\').trim().to_owned()).collect()
}

/// Trusts the examples' registry in the home of `world`, by the digest of its root.
pub fn trust(world: &World) {
    let registry = example("registry").display().to_string();
    let root = std::fs::read(example("registry/metadata/1.root.json")).expect("the root");
    let digest = mpkg::package::Digest::of(&root).to_string();
    let add = ["registry", "add", &registry, "--name", "example", "--root-sha256", &digest];
    if !world.path("home/trust/registries/example").exists() {
        world.run(add).succeeds();
    }
}

/// Installs `packages` from the examples' registry into the home of `world`.
pub fn install(world: &World, packages: &[&str]) {
    trust(world);
    let all = ["install", "--yes", "--registry", "example"];
    world.run(all.iter().chain(packages).copied()).succeeds();
}

/// The folder that a package installed in `world` is used from.
pub fn folder(world: &World, name: &str) -> PathBuf {
    PathBuf::from(world.run(["path", name]).succeeds().stdout.trim())
}
