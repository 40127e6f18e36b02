//! `mpkg install`, `remove`, `list`, `path` and `files`, over a folder and over HTTP.

use std::path::Path;

use crate::support::World;
use crate::support::packages::Recipe;

/// `app 1.0.0` needs `lib ^1`; `lib` is there as 1.0.0, 1.1.0 and 2.0.0.
fn world() -> World {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0"),
        Recipe::new("lib", "1.1.0").file("sub/more.bin", vec![7; 300_000]),
        Recipe::new("lib", "2.0.0"),
        Recipe::new("app", "1.0.0").needs("lib", "^1").program("run.sh", "#!/bin/sh\n"),
    ]);
    world
}

fn listed(world: &World) -> Vec<String> {
    let json = world.run(["list", "--json"]).succeeds().json();
    let packages = json["packages"].as_array().expect("packages").clone();
    packages
        .iter()
        .map(|one| {
            format!(
                "{} {}{}",
                one["name"].as_str().unwrap(),
                one["version"].as_str().unwrap(),
                if one["requested"].as_bool().unwrap() { " requested" } else { "" }
            )
        })
        .collect()
}

#[test]
fn the_whole_life_of_a_package() {
    use std::os::unix::fs::MetadataExt as _;
    let world = world();
    assert_eq!(listed(&world), Vec::<String>::new());
    let plan = world.with_registry(["install", "app", "--dry-run"]).succeeds();
    assert!(plan.stdout.contains("install  app 1.0.0 (f32)"), "{}", plan.stdout);
    assert!(plan.stdout.contains("as a dependency"), "{}", plan.stdout);
    assert_eq!(listed(&world), Vec::<String>::new());

    let done = world.with_registry(["install", "app"]).succeeds();
    assert!(done.stderr.contains("Installed 2 packages as generation 1"), "{}", done.stderr);
    assert!(done.stderr.contains("signed by"), "{}", done.stderr);
    assert_eq!(listed(&world), ["app 1.0.0 requested", "lib 1.1.0"]);

    let path = world.run(["path", "lib"]).succeeds().stdout;
    let folder = Path::new(path.trim_end());
    assert_eq!(folder, world.path("home/profiles/default/current/packages/lib"));
    assert_eq!(std::fs::read(folder.join("data.txt")).unwrap(), b"lib 1.1.0\n");
    assert_eq!(std::fs::read(folder.join("sub/more.bin")).unwrap(), vec![7; 300_000]);
    assert_eq!(folder.join("data.txt").metadata().unwrap().mode() & 0o7777, 0o444);
    let program = world.path("home/profiles/default/current/packages/app/run.sh");
    assert_eq!(program.metadata().unwrap().mode() & 0o7777, 0o555);
    let files = world.run(["files", "lib"]).succeeds().stdout;
    assert_eq!(files, "data.txt\nsub/more.bin\n");

    let again = world.with_registry(["install", "app"]).succeeds();
    assert!(again.stderr.contains("Installed already: app 1.0.0 (f32)"), "{}", again.stderr);
    assert!(!world.path("home/profiles/default/generations/2").exists());

    world.run(["remove", "lib"]).fails_with(&["lib is needed by app 1.0.0", "mpkg remove lib app"]);
    let removed = world.run(["remove", "app"]).succeeds();
    assert!(removed.stderr.contains("lib 1.1.0 (f32), which nothing else needs"));
    assert_eq!(listed(&world), Vec::<String>::new());
    world.run(["path", "app"]).fails_with(&["app is not installed"]);
}

#[test]
fn equal_files_are_stored_once() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    let shared = vec![9; 50_000];
    world.publish(&[
        Recipe::new("one", "1.0.0").file("a.bin", shared.clone()).file("b.bin", shared.clone()),
        Recipe::new("two", "1.0.0").file("c.bin", shared),
    ]);
    world.with_registry(["install", "one"]).succeeds();
    world.with_registry(["install", "two"]).succeeds();
    let file = |path: &str| {
        let path = world.path(&format!("home/profiles/default/current/packages/{path}"));
        path.metadata().unwrap()
    };
    let first = file("one/a.bin");
    assert_eq!(first.nlink(), 4, "three in packages, one among the contents");
    assert_eq!(file("one/b.bin").ino(), first.ino());
    assert_eq!(file("two/c.bin").ino(), first.ino());
    world.run(["verify"]).succeeds();
}

#[test]
fn a_dependency_becomes_requested_and_stays() {
    let world = world();
    world.with_registry(["install", "app"]).succeeds();
    let marked = world.with_registry(["install", "lib"]).succeeds();
    assert!(marked.stderr.contains("now on its own account"), "{}", marked.stderr);
    world.run(["remove", "app"]).succeeds();
    assert_eq!(listed(&world), ["lib 1.1.0 requested"]);
}

#[test]
fn a_requirement_replaces_what_is_installed() {
    let world = world();
    world.with_registry(["install", "lib@=1.0.0"]).succeeds();
    world.with_registry(["install", "lib"]).succeeds();
    assert_eq!(listed(&world), ["lib 1.0.0 requested"]);
    let path = world.run(["path", "lib"]).succeeds().stdout;
    world.with_registry(["install", "lib@^2"]).succeeds();
    assert_eq!(listed(&world), ["lib 2.0.0 requested"]);
    let data = Path::new(path.trim_end()).join("data.txt");
    assert_eq!(std::fs::read(data).unwrap(), b"lib 2.0.0\n", "the path stays valid");
    world
        .with_registry(["install", "app"])
        .fails_with(&["app 1.0.0 needs lib ^1", "you ask for lib ^2"]);
    assert_eq!(listed(&world), ["lib 2.0.0 requested"]);
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let world = world();
    world
        .with_registry(["install", "lip"])
        .fails_with(&["no package is called lip", "there is a package called lib"]);
    world
        .with_registry(["install", "lib@^3"])
        .fails_with(&["you ask for lib ^3, and there is only 2.0.0, 1.1.0 and 1.0.0"]);
    world
        .with_registry(["install", "lib:q8_0"])
        .fails_with(&["you ask for lib in variant q8_0, and its variants are f32"]);
    let bare = World::new().run(["install", "lib"]);
    bare.fails_with(&["no registry is named", "--registry"]);
    let json = world.with_registry(["install", "lip", "--json"]);
    assert_eq!(json.json()["error"]["kind"], "no-such-package");
    assert_eq!(world.with_registry(["install", "Lib"]).code, 1);
    assert_eq!(world.with_registry(["install"]).code, 2);
}

#[test]
fn conflicts_and_provided_names() {
    let world = World::new();
    world.publish(&[
        Recipe::new("one", "1.0.0").provides("generator"),
        Recipe::new("two", "1.0.0").provides("generator").conflicts("generator"),
        Recipe::new("app", "1.0.0").needs("generator", "*"),
    ]);
    world.with_registry(["install", "app"]).succeeds();
    assert_eq!(listed(&world), ["app 1.0.0 requested", "one 1.0.0"]);
    world.with_registry(["install", "one"]).succeeds();
    world
        .with_registry(["install", "two"])
        .fails_with(&["two 1.0.0 cannot be installed beside one 1.0.0"]);
    world.run(["remove", "one"]).fails_with(&["one is needed by app 1.0.0"]);
}

#[test]
fn variants_are_chosen_by_name() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lm", "1.0.0").variant("q8_0")]);
    world.with_registry(["install", "lm"]).succeeds();
    let list = world.run(["list"]).succeeds().stdout;
    assert!(list.contains("f32"), "{list}");
    world.with_registry(["install", "lm:q8_0"]).succeeds();
    let list = world.run(["list"]).succeeds().stdout;
    assert!(list.contains("q8_0"), "{list}");
}

#[test]
fn a_package_file_is_installed_with_its_dependencies_from_elsewhere() {
    let world = World::new();
    let key = world.key("me");
    let lib = Recipe::new("lib", "1.0.0").make(&world, "dist", &key);
    let app = Recipe::new("app", "1.0.0").needs("lib", "^1").make(&world, "dist", &key);
    let file = app.binary.display().to_string();
    world.run(["install", &file]).fails_with(&["app 1.0.0 needs lib ^1", "no package is called"]);
    let with = lib.binary.display().to_string();
    world.run(["install", &file, "--with", &with]).succeeds();
    assert_eq!(listed(&world), ["app 1.0.0 requested", "lib 1.0.0"]);
    let source = app.source.display().to_string();
    world.run(["install", &source]).fails_with(&["is a source package"]);
}

#[test]
fn pickle_is_refused_until_it_is_allowed() {
    let world = World::new();
    let pickle = b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.".to_vec();
    world.publish(&[Recipe::new("old", "1.0.0").file("w.pt", pickle).pickle("no converter yet")]);
    world.with_registry(["install", "old"]).fails_with(&[
        "pickle-based",
        "no converter yet",
        "--allow-pickle",
    ]);
    assert_eq!(listed(&world), Vec::<String>::new());
    world.with_registry(["install", "old", "--allow-pickle"]).succeeds();
}
