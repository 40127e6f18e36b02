//! `mpkg registry add`: by digest, by file, at first use; and what it refuses.

use mpkg::package::Digest;

use crate::support::World;
use crate::support::packages::Recipe;

fn files(world: &World, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.path(folder)) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_registry_is_trusted_by_digest_by_file_or_at_first_use() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let location = world.path("registry").display().to_string();
    let root = world.path("registry/metadata/1.root.json");
    let digest = Digest::of(&std::fs::read(&root).unwrap()).to_string();
    let root = root.display().to_string();
    let ways = [vec!["--root-sha256", &digest], vec!["--root", &root], vec!["--tofu"]];
    for (number, way) in ways.iter().enumerate() {
        let name = format!("r{number}");
        let arguments = ["registry", "add", &location, "--name", &name, "--json"];
        let added = world.elsewhere(arguments.into_iter().chain(way.iter().copied())).succeeds();
        let json = added.json();
        assert_eq!(json["first-root-sha256"], digest);
        assert_eq!(json["added"]["name"], name);
        assert!(added.stderr.contains(&digest), "{}", added.stderr);
        let kept = files(&world, &format!("other/trust/registries/{name}"));
        assert_eq!(
            kept,
            ["last-seen", "root.json", "snapshot.json", "targets.json", "timestamp.json"]
        );
        world
            .elsewhere(["registry", "add", &location, "--tofu"])
            .fails_with(&["is configured already", &name]);
        world.elsewhere(["registry", "remove", &name]).succeeds();
        assert!(files(&world, "other/trust/registries").is_empty());
    }
    world.elsewhere(["registry", "add", &location]).misuses("--root-sha256");
    world.elsewhere(["registry", "add", &location, "--tofu", "--root", &root]).misuses("--tofu");
}

#[test]
fn another_root_is_refused_and_leaves_nothing() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let location = world.path("registry").display().to_string();
    let other = Digest::of(b"another").to_string();
    let digest = Digest::of(&std::fs::read(world.path("registry/metadata/1.root.json")).unwrap());
    world.elsewhere(["registry", "add", &location, "--root-sha256", &other]).fails_with(&[
        "no root has the SHA-256",
        &other,
        &digest.to_string(),
    ]);
    let not_a_root = world.write("root.json", "{}").display().to_string();
    world
        .elsewhere(["registry", "add", &location, "--root", &not_a_root])
        .fails_with(&["is not believed", "has another shape"]);
    let timestamp = world.path("registry/metadata/timestamp.json");
    world
        .elsewhere(["registry", "add", &location, "--root", &timestamp.display().to_string()])
        .fails_with(&["the metadata is of type \"timestamp\", not \"root\""]);
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    world
        .elsewhere(["registry", "add", &empty.display().to_string(), "--tofu"])
        .fails_with(&["is not a registry"]);
    // The root of another registry leads nowhere here.
    let stranger = World::new();
    stranger.publish(&[Recipe::new("lm", "1.0.0")]);
    let root = stranger.path("registry/metadata/1.root.json").display().to_string();
    world
        .elsewhere(["registry", "add", &location, "--root", &root])
        .fails_with(&["timestamp.json is not believed", "0 of 1 signatures"]);
    assert!(files(&world, "other/trust/registries").is_empty());
    assert!(!world.path("other/registries.toml").exists());
}
