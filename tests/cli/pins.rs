//! Installing what a lock file pins, and what is said of releases that were yanked.

use crate::support::packages::Recipe;
use crate::support::{Finished, World};
use crate::transfer::weights;

/// `app` with `lib` 1.0.0, installed and pinned; then `lib` 1.1.0 and `app` 1.1.0, which needs `more`.
fn pinned() -> World {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0"),
        Recipe::new("app", "1.0.0").needs("lib", "^1"),
        Recipe::new("other", "1.0.0"),
    ]);
    world.with_registry(["install", "app"]).succeeds();
    let lock = world.run(["list", "--lock"]).succeeds().stdout;
    world.write("mpkg.lock", lock);
    world.publish(&[
        Recipe::new("lib", "1.1.0"),
        Recipe::new("more", "1.0.0"),
        Recipe::new("app", "1.1.0").needs("lib", "^1").needs("more", "^1"),
    ]);
    world
}

fn elsewhere(world: &World, arguments: &[&str]) -> Finished {
    world.trust_in("other");
    let mut command = world.mpkg();
    command.env("MPKG_HOME", world.path("other"));
    command.env("MPKG_REGISTRY", world.path("registry"));
    Finished::of(command.args(arguments))
}

#[test]
fn another_machine_gets_the_very_packages_that_are_pinned() {
    let world = pinned();
    elsewhere(&world, &["install", "--locked", "mpkg.lock"]).succeeds();
    let here = world.run(["list", "--lock"]).succeeds().stdout;
    assert_eq!(elsewhere(&world, &["list", "--lock"]).succeeds().stdout, here);
    assert!(here.contains("version = \"1.0.0\"") && !here.contains("1.1.0"), "{here}");
    let again = elsewhere(&world, &["install", "--locked", "mpkg.lock"]).succeeds();
    assert!(again.stderr.contains("Installed already"), "{}", again.stderr);
    // A name is met by its pin, and what is newer here makes way for it.
    elsewhere(&world, &["upgrade", "--yes"]).succeeds();
    assert!(elsewhere(&world, &["list"]).succeeds().stdout.contains("1.1.0"));
    elsewhere(&world, &["install", "app", "--locked", "mpkg.lock", "--yes"]).succeeds();
    let list = elsewhere(&world, &["list", "--lock"]).succeeds().stdout;
    assert_eq!(list, here);
}

#[test]
fn what_a_lock_file_does_not_pin_does_not_come_in() {
    let world = pinned();
    elsewhere(&world, &["install", "other", "--locked", "mpkg.lock"])
        .fails_with(&["other 1.0.0 (f32) would be installed, and mpkg.lock does not pin it"]);
    elsewhere(&world, &["install", "app@^1.1", "--locked", "mpkg.lock"])
        .fails_with(&["app 1.1.0 (f32) may not be chosen: the lock file pins another one"]);
    elsewhere(&world, &["install", "app", "--locked", "none.lock"]).fails_with(&["none.lock"]);
    world.write("bad.lock", "format = 9\n");
    elsewhere(&world, &["install", "app", "--locked", "bad.lock"]).fails_with(&[
        "bad.lock is no lock file",
        "it has format 9",
        "mpkg list --lock",
    ]);
    assert!(elsewhere(&world, &["list"]).stdout.is_empty());
    elsewhere(&world, &["install"]).misuses("required");
}

#[test]
fn a_yanked_release_is_taken_where_it_is_pinned_and_said_where_it_makes_way() {
    let world = pinned();
    world.with_registry(["upgrade", "--yes"]).succeeds();
    let lock = world.run(["list", "--lock"]).succeeds().stdout;
    world.write("new.lock", lock);
    let yank = ["registry", "yank", "lib@1.1.0", "--in", "registry", "--reason", "leaks"];
    world.run(yank).succeeds();
    let taken = elsewhere(&world, &["install", "--locked", "new.lock"]).succeeds();
    let said = "lib 1.1.0 (f32) was yanked: leaks; it is used as new.lock pins it";
    assert!(taken.stderr.contains(said), "{}", taken.stderr);
    let plan = world.with_registry(["upgrade", "--dry-run"]).succeeds();
    let said = "lib 1.1.0 (f32), which is installed, was yanked: leaks";
    assert!(plan.stderr.contains(said), "{}", plan.stderr);
    assert!(plan.stdout.contains("instead of 1.1.0"), "{}", plan.stdout);
    let json = world.with_registry(["upgrade", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(json["packages"][1]["withdrawn"], "leaks", "{json}");
}

#[test]
fn chunks_of_a_shared_store_are_not_fetched() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0").file("model.safetensors", weights(0..10))]);
    world.with_registry(["install", "lm"]).succeeds();
    std::fs::rename(world.path("home"), world.path("shared")).unwrap();
    for part in ["keys", "trust", "registries.toml"] {
        let copy = ["-a", &world.path("shared").join(part).display().to_string(), "home"];
        std::fs::create_dir_all(world.path("home")).unwrap();
        Finished::of(std::process::Command::new("cp").args(copy).current_dir(world.root()))
            .succeeds();
    }
    let changed = (0..10).map(|place| if place == 3 { 100 } else { place });
    world.publish(&[Recipe::new("lm", "1.1.0").file("model.safetensors", weights(changed))]);
    let server = world.serve("registry");
    world.trust_as_own(&server.url(""));
    let mut command = world.mpkg();
    command.env("MPKG_SHARED_STORE", world.path("shared"));
    command.args(["--registry", &server.url(""), "install", "lm", "--json"]);
    let done = Finished::of(&mut command).succeeds().json();
    let (fetched, saved) = (&done["fetched-size"], &done["saved-size"]);
    let (fetched, saved) = (fetched.as_u64().unwrap(), saved.as_u64().unwrap());
    assert!(fetched * 100 <= 12 * (fetched + saved), "{fetched} and {saved}");
    world.run(["verify"]).succeeds();
}
