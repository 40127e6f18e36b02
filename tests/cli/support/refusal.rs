//! A hostile package must be refused by name, quickly, and leave everything else alone.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use mpkg::archive::Package;
use mpkg::package::Digest;
use mpkg::progress::Silent;

use super::{Finished, World};

/// What every refusal must stay below.
const LONGEST: Duration = Duration::from_secs(5);

/// Asserts that the program and the library refuse `package`, and that the message has `parts`.
#[track_caller]
pub fn refused(package: &[u8], parts: &[&str]) -> Finished {
    let world = World::new();
    let path = world.write("bad.mpkg", package);
    world.write("outside/file", "untouched");
    let before = snapshot(world.root());

    let start = Instant::now();
    let finished = world.run(["verify", "--contents-only", "bad.mpkg"]).fails_with(parts);
    assert!(start.elapsed() < LONGEST, "it took {:?}", start.elapsed());
    let message = finished.stderr.trim_end_matches('\n').replace('\n', " ");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(!finished.stdout.contains("ok "), "{}", finished.stdout);
    let json = world.run(["--json", "verify", "--contents-only", "bad.mpkg"]).json();
    let kind = &json["files"][0]["checks"][0]["error"]["kind"];
    let kind = if kind.is_null() {
        &json["files"][0]["checks"][0]["error"]["error"]["kind"]
    } else {
        kind
    };
    assert!(kind.is_string(), "{json}");

    let staging = world.path("staging");
    std::fs::create_dir(&staging).expect("a folder");
    let extracted = Package::open(&path)
        .and_then(|package| package.extract(&staging, NonZeroUsize::MIN, &Silent));
    assert!(extracted.is_err(), "the library extracts it");
    std::fs::remove_dir_all(&staging).expect("the folder goes");
    assert_eq!(snapshot(world.root()), before, "something outside staging changed");
    finished
}

/// Every name below `folder` with what stands there.
pub fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    walk(folder).into_iter().collect()
}

fn walk(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = std::fs::symlink_metadata(&path).expect("an entry").file_type();
        let name = path.display().to_string();
        if kind.is_dir() {
            found.extend(walk(&path));
            found.push((name, "folder".to_owned()));
        } else if kind.is_file() {
            found.push((name, Digest::of(&std::fs::read(&path).expect("a file")).to_string()));
        } else {
            found.push((name, format!("{kind:?}")));
        }
    }
    found
}
