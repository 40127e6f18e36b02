//! Data through the user's own pip and apt.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FETCH, cached, reference, sha256, tree};
use crate::support::{Finished, World};

/// A small wheel that everybody has.
const WHEEL: &str = "pypi:six==1.16.0";

/// Runs a program that the test needs, in `folder`.
fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    Finished::of(&mut command).succeeds();
}

/// The file in `folder` that ends so.
fn file_in(folder: &Path, ending: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.extension().is_some_and(|found| found == ending)).expect("a file")
}

/// Puts a program into the world's `bin`.
fn program(world: &World, name: &str, text: &str) {
    let path = world.write(&format!("bin/{name}"), format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("mine");
}

/// `mpkg fetch` with nothing but the world's `bin` on the search path.
fn fetch_with_own_programs(world: &World) -> Finished {
    std::fs::create_dir_all(world.path("bin")).expect("a folder");
    Finished::of(world.mpkg().args(FETCH).env("PATH", world.path("bin")))
}

#[test]
fn wheels_and_their_members_come_through_pip() {
    let oracle = World::new();
    let arguments = ["-m", "pip", "download", "-q", "--no-deps", "--dest", ".", "six==1.16.0"];
    run(oracle.root(), "python3", &arguments);
    let wheel = std::fs::read(file_in(oracle.root(), "whl")).expect("a wheel");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&wheel)).expect("a zip");
    let mut member = Vec::new();
    std::io::copy(&mut archive.by_name("six.py").expect("it"), &mut member).expect("read");

    let one = reference(&[WHEEL], &wheel, "unpack = \"zip\"\nselect = [\"*.py\"]");
    let other = reference(&[&format!("{WHEEL}#six.py")], &member, "");
    let world = tree(&format!("{}{other}", one.replace("\"plays\"", "\"whole\"")));
    let found = world.run(FETCH).succeeds().json();
    let path =
        |index: usize| Path::new(found["data"][index]["path"].as_str().expect("it")).to_owned();
    assert!(std::fs::read(path(0).join("six.py")).expect("a file") == member);
    assert!(std::fs::read(path(1)).expect("a file") == member);
    assert_eq!(found["data"][1]["provenance"]["address"], format!("{WHEEL}#six.py"));
    assert!(cached(&world, "staging").iter().all(|name| name.ends_with(".lock")));
    world.run(["fetch", "tree", "--offline"]).succeeds();

    let another = vec![0; wheel.len()];
    let world = tree(&reference(&[WHEEL], &another, ""));
    world.run(FETCH).fails_with(&[WHEEL, &sha256(&another), &sha256(&wheel)]);
    let world = tree(&reference(&["pypi:six==0.0.7"], b"x", ""));
    world.run(FETCH).fails_with(&["pypi:six==0.0.7 is not to be had", "1.16.0"]);
    world.run(["fetch", "tree", "--offline"]).fails_with(&["pypi:six==0.0.7", "offline"]);
}

#[test]
fn debian_packages_and_their_members_come_through_apt() {
    if !Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    let oracle = World::new();
    run(oracle.root(), "apt-get", &["download", "-q", "hello"]);
    let package = file_in(oracle.root(), "deb");
    run(oracle.root(), "dpkg-deb", &["-x", &package.display().to_string(), "files"]);
    let member = std::fs::read(oracle.path("files/usr/share/doc/hello/copyright")).expect("it");
    let version = Command::new("dpkg-deb").args(["-f"]).arg(&package).arg("Version").output();
    let version = String::from_utf8(version.expect("it runs").stdout).expect("text");
    let url = format!("deb:hello={}", version.trim());

    let bytes = std::fs::read(&package).expect("a package");
    let one = reference(&[&url], &bytes, "").replace("\"plays\"", "\"whole\"");
    let member_url = format!("{url}#usr/share/doc/hello/copyright");
    let world = tree(&format!("{one}{}", reference(&[&member_url], &member, "")));
    let found = world.run(FETCH).succeeds().json();
    let path = Path::new(found["data"][1]["path"].as_str().expect("a path"));
    assert!(std::fs::read(path).expect("a file") == member);
    world.run(["fetch", "tree", "--check"]).succeeds();

    let world = tree(&reference(&["deb:hello=0.0-0"], b"x", ""));
    world.run(FETCH).fails_with(&["deb:hello=0.0-0 is not to be had", version.trim()]);
}

#[test]
fn a_missing_pip_names_the_package_that_has_it() {
    let world = tree(&reference(&[WHEEL], b"x", ""));
    let said = [WHEEL, "needs `pip`", "not on this machine", "hint: ", "python3-pip"];
    fetch_with_own_programs(&world).fails_with(&said);
    program(&world, "python3", "echo 'No module named pip' >&2; exit 1");
    fetch_with_own_programs(&world).fails_with(&said);
}

#[test]
fn a_machine_without_apt_is_told_so() {
    let world = tree(&reference(&["deb:hello=1"], b"x", ""));
    fetch_with_own_programs(&world).fails_with(&["deb:hello=1 needs `apt-get`", "Debian"]);
}

#[test]
fn a_version_that_vanished_is_named_with_those_that_exist() {
    let world = tree(&reference(&["deb:hello=1"], b"x", ""));
    program(&world, "apt-get", "echo \"E: Version '1' for 'hello' was not found\" >&2; exit 100");
    program(&world, "apt-cache", "echo 'hello | 2.10-3 | somewhere'; echo 'hello | 3 | there'");
    fetch_with_own_programs(&world).fails_with(&[
        "deb:hello=1 is not to be had",
        "the versions that exist here are 2.10-3, 3",
    ]);
    program(&world, "apt-cache", "exit 0");
    fetch_with_own_programs(&world).fails_with(&["no version of it is known", "apt-get update"]);
}

#[test]
fn a_failing_tool_shows_its_last_lines() {
    let world = tree(&reference(&[WHEEL], b"x", ""));
    program(&world, "python3", "echo 'ERROR: the index burns' >&2; exit 1");
    fetch_with_own_programs(&world).fails_with(&[
        "`python3 -m pip download",
        "failed:",
        "ERROR: the index burns",
    ]);
}

#[test]
fn what_apt_cannot_say_apt_fetches() {
    let world = tree(&reference(&["deb:hello=1"], b"to be", ""));
    program(
        &world,
        "apt-get",
        "case \"$*\" in *print-uris*) echo \"'mirror+http://h/x' hello_1.deb 5 SHA256:0\" ;; \
         *) printf 'to be' > hello_1_all.deb ;; esac",
    );
    let found = fetch_with_own_programs(&world).succeeds().json();
    assert_eq!(found["data"][0]["provenance"]["address"], "deb:hello=1");
}
