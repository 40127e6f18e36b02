//! Profiles, shared stores, links and clearing away.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

fn published() -> World {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0").file("weights.bin", vec![5; 200_000]),
        Recipe::new("app", "1.0.0").needs("lib", "^1"),
    ]);
    world
}

#[test]
fn profiles_are_apart_and_share_the_store() {
    let world = published();
    world.with_registry(["install", "app"]).succeeds();
    let done = world.with_registry(["install", "--profile", "study", "lib"]).succeeds();
    assert!(!done.stderr.contains("kB,"), "nothing is fetched twice: {}", done.stderr);
    let list = world.run(["profiles"]).succeeds().stdout;
    assert_eq!(
        list,
        "default  generation 1  2 packages  200.0 kB\nstudy    generation 1  1 package   200.0 kB\n"
    );
    let path = world.run(["path", "lib", "--profile", "study"]).succeeds().stdout;
    assert!(path.contains("profiles/study/current/packages/lib"), "{path}");
    world.run(["path", "app", "--profile", "study"]).fails_with(&["app is not installed"]);
    world.run(["list", "--profile", "stduy"]).fails_with(&["no profile stduy", "a profile study"]);
    world.run(["list", "--profile", "../x"]).code.eq(&2).then_some(()).expect("wrong usage");
    let mut command = world.mpkg();
    command.env("MPKG_PROFILE", "study").args(["remove", "lib"]);
    Finished::of(&mut command).succeeds();
    world.run(["rollback", "--profile", "study"]).succeeds();
    let all = world.run(["generations", "--profile", "study"]).succeeds().stdout;
    assert_eq!(all.lines().count(), 2, "{all}");
    world.run(["why", "lib", "--profile", "study"]).succeeds();
    world.run(["verify", "--profile", "study"]).succeeds();

    world.run(["remove", "app"]).succeeds();
    world.run(["gc", "--keep", "1"]).succeeds();
    world.run(["verify", "lib", "--profile", "study"]).succeeds();
    world.run(["profiles", "remove", "study"]).succeeds();
    world.run(["profiles", "remove", "study"]).fails_with(&["no profile study"]);
    world.run(["gc"]).succeeds();
    assert_eq!(std::fs::read_dir(world.path("home/store/packages")).unwrap().count(), 0);
}

#[test]
fn clearing_away_says_first_what_would_go() {
    let world = published();
    world.with_registry(["install", "app"]).succeeds();
    world.run(["remove", "app"]).succeeds();
    let dry = world.run(["gc", "--keep", "1", "--dry-run"]).succeeds();
    assert_eq!(
        dry.stdout,
        "forget  generation 1 of default\n\
         remove  app 1.0.0 (f32)          10 B unpacked\n\
         remove  lib 1.0.0 (f32)          200.0 kB unpacked\n"
    );
    assert!(dry.stderr.contains("free 200.0 kB"), "{}", dry.stderr);
    world.run(["rollback"]).succeeds();
    world.run(["verify"]).succeeds();
    world.run(["rollback", "2"]).succeeds();
    let done = world.run(["gc", "--keep", "1", "--json"]).succeeds().json();
    assert_eq!(done["packages"].as_array().unwrap().len(), 2);
    assert!(done["bytes"].as_u64().unwrap() >= 200_000);
}

#[test]
fn the_cache_is_cleared_by_age_and_by_size() {
    let world = World::new();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    for (place, bytes, time) in [
        ("cache/sha256/ab/abcd", 1000, old),
        ("cache/steps/ab/abcd/out/w.bin", 3000, old),
        ("cache/steps/cd/cdef/out/w.bin", 500, std::time::SystemTime::now()),
        ("cache/environments/key/wheels.json", 20, std::time::SystemTime::now()),
        ("cache/packages/0123/data.txt", 70, old),
    ] {
        let path = world.write(&format!("home/{place}"), vec![1; bytes]);
        let part = place.split('/').take(4 - usize::from(place.contains("environments")));
        let part = part.take(if place.contains("packages") { 3 } else { 4 });
        let part = world.path("home").join(part.collect::<std::path::PathBuf>());
        std::fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o555)).unwrap();
        std::fs::File::open(part).unwrap().set_modified(time).unwrap();
    }
    world.write("home/cache/environments/key.lock", "");
    let dry = world.run(["gc", "--cache", "--dry-run", "--json"]).succeeds().json();
    let names = |json: &serde_json::Value| -> Vec<String> {
        let parts = json["cache"]["parts"].as_array().unwrap().iter();
        parts.map(|part| part["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&dry), ["unpacked package", "fetched file", "step"]);
    assert_eq!(dry["cache"]["bytes"], 4070);
    world.run(["gc", "--cache", "--cache-size", "nothing"]).code.eq(&2).then_some(()).unwrap();
    let small = world.run(["gc", "--cache-size", "3600B", "--json"]).succeeds().json();
    assert_eq!(small["cache"]["kept-bytes"], 3520);
    let lock = std::fs::File::open(world.path("home/cache/lock")).unwrap();
    lock.lock_shared().unwrap();
    world.run(["gc", "--cache"]).fails_with(&["in use by another mpkg"]);
    lock.unlock().unwrap();
    world.run(["gc", "--cache-age", "7d"]).succeeds();
    assert!(world.path("home/cache/steps/cd/cdef/out/w.bin").exists());
    world.run(["gc", "--cache-age", "0"]).succeeds();
    assert!(!world.path("home/cache/steps/cd/cdef").exists());
    assert!(!world.path("home/cache/environments/key").exists());
    assert!(world.path("home/cache/environments/key.lock").exists());
}

/// The program in the home folder `home`, using the store of the home folder `home` of the world.
fn sharing(world: &World, home: &str, arguments: &[&str]) -> Finished {
    world.trust_in(home);
    let mut command = world.mpkg();
    command.env("MPKG_REGISTRY", world.path("registry"));
    command.env("MPKG_SHARED_STORE", world.path("shared"));
    command.arg("--home").arg(world.path(home)).args(arguments);
    Finished::of(&mut command)
}

#[test]
fn a_shared_store_is_used_in_place() {
    let world = published();
    world.with_registry(["install", "app"]).succeeds();
    Finished::of(Command::new("cp").args(["-a"]).arg(world.path("home")).arg(world.path("shared")))
        .succeeds();
    world.run(["remove", "app"]).succeeds();
    world.run(["gc", "--keep", "1"]).succeeds();
    let before = tree(&world, "shared");

    let done = sharing(&world, "home", &["install", "app"]).succeeds();
    assert!(done.stderr.contains("Used in place: "), "{}", done.stderr);
    let contents = walkdir::WalkDir::new(world.path("home/store/contents")).into_iter();
    let files = contents.filter(|entry| entry.as_ref().unwrap().file_type().is_file()).count();
    assert_eq!(files, 0, "nothing was written here");
    sharing(&world, "home", &["verify"]).succeeds();
    let path = world.run(["path", "lib"]).succeeds().stdout;
    let weights = std::path::Path::new(path.trim()).join("weights.bin");
    assert!(std::fs::canonicalize(&weights).unwrap().starts_with(world.path("shared")));
    sharing(&world, "home", &["gc"]).succeeds();
    assert_eq!(tree(&world, "shared"), before, "the shared store is as it was");

    let lost = std::fs::canonicalize(path.trim()).unwrap();
    std::fs::remove_dir_all(&lost).unwrap();
    world.run(["path", "lib"]).fails_with(&["is gone", "shared/store", "mpkg reinstall lib"]);
    let found = world.run(["verify"]);
    assert_eq!(found.code, 1);
    assert!(found.stdout.contains("the folder of the whole package is gone"), "{}", found.stdout);
    world.run(["gc"]).succeeds();
    world.with_registry(["reinstall", "lib"]).succeeds();
    world.run(["verify"]).succeeds();
    assert_eq!(world.run(["path", "lib"]).succeeds().stdout, path);
    assert!(!lost.exists(), "nothing is written into the shared store");
}

/// Every path below a folder of the world, with its size, mode and time of change.
fn tree(world: &World, folder: &str) -> String {
    let entries = walkdir::WalkDir::new(world.path(folder)).min_depth(1).sort_by_file_name();
    let lines = entries.into_iter().map(|entry| {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        let size = if entry.file_type().is_dir() { 0 } else { found.size() };
        let path = entry.path().display();
        format!("{path} {size} {:o} {} {}\n", found.mode(), found.mtime(), found.ctime())
    });
    lines.collect()
}

#[test]
fn a_damaged_shared_package_is_fetched_instead() {
    let world = published();
    world.with_registry(["install", "lib"]).succeeds();
    std::fs::rename(world.path("home"), world.path("shared")).unwrap();
    std::fs::create_dir(world.path("home")).unwrap();
    Finished::of(
        Command::new("cp").args(["-a"]).args([world.path("shared/keys"), world.path("home")]),
    )
    .succeeds();
    Finished::of(
        Command::new("cp").args(["-a"]).args([world.path("shared/trust"), world.path("home")]),
    )
    .succeeds();
    std::fs::copy(world.path("shared/registries.toml"), world.path("home/registries.toml"))
        .unwrap();
    let shared = world.path("shared/profiles/default/current/packages/lib/weights.bin");
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&shared, vec![6; 200_000]).unwrap();
    world.write("home/store.toml", format!("shared = [{:?}]\n", world.path("shared")));
    let done = world.with_registry(["install", "lib"]).succeeds();
    assert!(done.stderr.contains("is damaged and is not used"), "{}", done.stderr);
    world.run(["verify"]).succeeds();
    world.write("home/store.toml", "shared = [\"/nowhere/at/all\"]\n");
    world.with_registry(["install", "app"]).fails_with(&["/nowhere/at/all is no home folder"]);
    world.write("home/store.toml", "share = []\n");
    world.run(["list"]).fails_with(&["store.toml is wrong", "unknown field `share`"]);
}

#[test]
fn folders_count_for_verify() {
    let world = published();
    world.with_registry(["install", "lib"]).succeeds();
    let folder = world.path("home/profiles/default/current/packages/lib");
    std::fs::create_dir(folder.join("more")).unwrap();
    std::fs::set_permissions(folder.join(".mpkg"), PermissionsExt::from_mode(0o777)).unwrap();
    let found = world.run(["verify"]);
    assert_eq!(
        found.stdout,
        "damaged lib 1.0.0 (f32)\n\
         \u{20}       .mpkg: its permissions were changed\n\
         \u{20}       more: it does not belong to the package\n"
    );
    world.with_registry(["reinstall", "lib"]).succeeds();
    world.run(["verify"]).succeeds();
}

#[test]
fn a_store_on_another_file_system() {
    let world = published();
    let other = tempfile::tempdir_in("/dev/shm").expect("a folder on another file system");
    assert_ne!(
        std::fs::metadata(other.path()).unwrap().dev(),
        std::fs::metadata(world.root()).unwrap().dev(),
        "set TMPDIR to a folder that is not on the file system of /dev/shm"
    );
    std::os::unix::fs::symlink(other.path(), world.path("home/store")).unwrap();
    world.with_registry(["install", "app"]).succeeds();
    world.run(["verify"]).succeeds();
    world.run(["remove", "app"]).succeeds();
    world.run(["gc", "--keep", "1"]).succeeds();
    world.with_registry(["install", "lib"]).succeeds();
    world.with_registry(["reinstall", "lib"]).succeeds();
    let path = world.run(["path", "lib"]).succeeds().stdout;
    assert_eq!(std::fs::read(format!("{}/weights.bin", path.trim())).unwrap(), vec![5; 200_000]);
}

#[test]
fn a_home_that_is_read_only_is_read() {
    let world = published();
    world.with_registry(["install", "app"]).succeeds();
    let folders = walkdir::WalkDir::new(world.path("home")).into_iter().map(|one| one.unwrap());
    let folders: Vec<_> = folders.filter(|one| one.file_type().is_dir()).collect();
    // In the store's packages it is as it should be, and the file system says no all the same.
    let store = world.path("home/store/packages");
    for folder in folders.iter().filter(|one| !one.path().starts_with(&store)) {
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    }
    std::fs::set_permissions(world.root(), PermissionsExt::from_mode(0o755)).unwrap();
    for arguments in [
        &["list"][..],
        &["path", "lib"],
        &["files", "lib"],
        &["why", "lib"],
        &["generations"],
        &["profiles"],
        &["verify"],
        &["gc", "--dry-run"],
    ] {
        let mut command = world.mpkg();
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        Finished::of(command.args(arguments)).succeeds();
    }
}
