//! `mpkg source` and `mpkg patch`: a source is unpacked, changed, recorded and built again, and
//! nothing that no patch has is packed.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "verse"
version = "1.0.0"
kind = "dataset"
summary = "A verse"
license = "CC0-1.0"
[[data]]
name = "lines"
path = "data/lines.txt"
license = "CC0-1.0"
[[step]]
name = "make"
run = ["sh", "make.sh", "{data.lines}", "{out}/verse.txt"]
[[variant]]
name = "text"
from = "make"
files = ["verse.txt", "README.md"]
"#;

/// A world with the source package of a small tree, `verse/dist/verse-1.0.0.src.mpkg`.
fn world() -> World {
    let world = World::new();
    world.write("verse/mpkg.toml", MANIFEST);
    world.write("verse/README.md", "A verse.\n");
    world.write("verse/data/lines.txt", "one\ntwo\nthree\n");
    world.write("verse/make.sh", "set -e\nsort \"$1\" > \"$2\"\n");
    world.run(["pack", "verse"]).succeeds();
    world
}

const PACKAGE: &str = "verse/dist/verse-1.0.0.src.mpkg";

fn in_tree(world: &World, arguments: &[&str]) -> Finished {
    Finished::of(world.mpkg().current_dir(world.path("new")).args(arguments))
}

fn read(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.path(path)).unwrap()
}

#[test]
fn a_source_is_changed_recorded_and_built_again() {
    let world = world();
    let said = world.run(["source", PACKAGE, "new"]).succeeds();
    assert_eq!(said.stdout, "new\n");
    assert!(
        said.stderr.contains("Unpacked verse 1.0.0 (source): 4 files. Next:"),
        "{}",
        said.stderr
    );
    world.run(["source", PACKAGE, "new"]).fails_with(&["new is there already"]);

    // Nothing changed: the same package again.
    let packed = in_tree(&world, &["pack", "--json"]).succeeds().json();
    assert_eq!(
        packed["package_digest"],
        world.run(["pack", "verse", "--json"]).json()["package_digest"]
    );

    world.write("new/make.sh", "set -e\nsort -r \"$1\" > \"$2\"\n");
    world.write("new/notes.txt", "new\n");
    for command in ["pack", "build"] {
        in_tree(&world, &[command]).fails_with(&[
            "2 changes are in no patch: make.sh (changed), notes.txt (added)",
            "mpkg patch new NAME",
        ]);
    }
    let new = [
        "patch",
        "new",
        "backwards",
        "--description",
        "Verses go backwards",
        "--author",
        "A <a@example.org>",
    ];
    let said = in_tree(&world, &new).succeeds();
    assert_eq!(said.stderr, "Recorded patches/backwards.patch: make.sh changed, notes.txt added\n");
    let patch = read(&world, "new/patches/backwards.patch");
    let start =
        "Description: Verses go backwards\nKind: code\nAuthor: A <a@example.org>\nLast-Update: 20";
    assert!(patch.starts_with(start), "{patch}");
    assert!(patch.contains("\n-sort \"$1\" > \"$2\"\n+sort -r \"$1\" > \"$2\"\n"), "{patch}");
    assert_eq!(read(&world, "new/patches/series"), "backwards.patch\n");
    in_tree(&world, &new).fails_with(&["nothing is changed that no patch has"]);

    world.write("new/mpkg.toml", MANIFEST.replace("1.0.0", "1.1.0"));
    in_tree(&world, &["build"]).succeeds();
    let record: Value =
        serde_json::from_str(&read(&world, "new/dist/verse-1.1.0.build.json")).unwrap();
    let patches = &record["source"]["patches"];
    assert_eq!(
        (&patches[0]["name"], &patches[0]["kind"]),
        (&"backwards.patch".into(), &"code".into())
    );
    assert_eq!(patches[0]["sha256"].as_str().map(str::len), Some(64));

    // The source package holds what was there before and the patch; a build of it applies it.
    let files = Command::new("tar")
        .args(["--zstd", "-xOf", "new/dist/verse-1.1.0.src.mpkg", "make.sh"])
        .current_dir(world.root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&files.stdout), "set -e\nsort \"$1\" > \"$2\"\n");
    let rebuilt =
        world.run(["rebuild", "new/dist/verse-1.1.0.text.mpkg", "--out", "again"]).succeeds();
    assert!(rebuilt.stdout.starts_with("verse 1.1.0 (text): identical"), "{}", rebuilt.stdout);
    world.run(["build", "new/dist/verse-1.1.0.src.mpkg", "--out", "out"]).succeeds();
    let bytes = |path: &str| std::fs::read(world.path(path)).unwrap();
    assert_eq!(bytes("out/verse-1.1.0.src.mpkg"), bytes("new/dist/verse-1.1.0.src.mpkg"));
    assert_eq!(bytes("out/verse-1.1.0.text.mpkg"), bytes("new/dist/verse-1.1.0.text.mpkg"));

    // And unpacked once more it is the changed tree.
    world.run(["source", "new/dist/verse-1.1.0.src.mpkg", "newer"]).succeeds();
    for file in ["make.sh", "notes.txt", "mpkg.toml", "patches/backwards.patch"] {
        assert_eq!(bytes(&format!("new/{file}")), bytes(&format!("newer/{file}")), "{file}");
    }
    world.run(["pack", "newer", "--out", "packed"]).succeeds();
    assert_eq!(bytes("packed/verse-1.1.0.src.mpkg"), bytes("new/dist/verse-1.1.0.src.mpkg"));

    // diff shows the change itself, not only the patch.
    let diff = world.run(["diff", PACKAGE, "new/dist/verse-1.1.0.src.mpkg"]);
    assert!(diff.stdout.contains("\n-sort \"$1\" > \"$2\"\n+sort -r"), "{}", diff.stdout);
}

#[test]
fn git_and_patch_apply_what_is_recorded() {
    let world = world();
    world.run(["source", PACKAGE, "new"]).succeeds();
    world.write("new/data/lines.txt", "one\ntwo\nthree\nfour");
    world.write("new/deep/er/\u{e9} x.txt", "a\n\nb");
    world.write("new/empty.txt", "");
    std::fs::remove_file(world.path("new/README.md")).unwrap();
    let program = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(world.path("new/make.sh"), program).unwrap();
    in_tree(&world, &["patch", "new", "all", "--description", "All of it", "--kind", "data"])
        .succeeds();
    for (goal, tool) in [
        ("by-git", &["git", "apply", "../new/patches/all.patch"][..]),
        ("by-patch", &["patch", "-s", "-p1", "-i", "../new/patches/all.patch"][..]),
    ] {
        std::fs::create_dir(world.path(goal)).unwrap();
        let copied = Command::new("tar")
            .args(["--zstd", "-xf", &format!("../{PACKAGE}")])
            .current_dir(world.path(goal))
            .output()
            .unwrap();
        assert!(copied.status.success());
        let mut command = Command::new(tool[0]);
        let applied = Finished::of(
            command
                .args(&tool[1..])
                .current_dir(world.path(goal))
                .env("GIT_CEILING_DIRECTORIES", world.root()),
        );
        assert_eq!(applied.code, 0, "{tool:?}: {}{}", applied.stdout, applied.stderr);
        for file in ["data/lines.txt", "deep/er/\u{e9} x.txt", "empty.txt"] {
            assert_eq!(
                read(&world, &format!("{goal}/{file}")),
                read(&world, &format!("new/{file}")),
                "{tool:?} {file}"
            );
        }
        assert!(!world.path(goal).join("README.md").exists());
        let mode =
            std::fs::metadata(world.path(goal).join("make.sh")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{tool:?}");
    }
}

#[test]
fn patches_are_listed_refreshed_and_dropped() {
    let world = world();
    world.run(["source", PACKAGE, "new"]).succeeds();
    let list = || in_tree(&world, &["patch", "list"]).succeeds().stdout;
    assert_eq!(list(), "");
    world.write("new/make.sh", "set -e\nsort -r \"$1\" > \"$2\"\n");
    world.write("new/data/lines.txt", "one\ntwo\n");
    assert_eq!(list(), "in no patch: data/lines.txt changed\nin no patch: make.sh changed\n");
    in_tree(&world, &["patch", "new", "x", "mak.sh", "--description", "X"])
        .fails_with(&["mak.sh is not changed", "did you mean make.sh?"]);
    in_tree(&world, &["patch", "new", "first", "make.sh", "--description", "First"]).succeeds();
    in_tree(&world, &["patch", "new", "second", "--description", "Second", "--kind", "data"])
        .succeeds();
    assert_eq!(
        list(),
        "first.patch  code  First\n  make.sh changed\nsecond.patch  data  Second\n  data/lines.txt changed\n"
    );
    in_tree(&world, &["patch", "new", "x", "--description", "X", "--kind", "dat"])
        .misuses("did you mean data?");

    // A change goes into the patch that it belongs to.
    world.write("new/make.sh", "set -eu\nsort -r \"$1\" > \"$2\"\n");
    in_tree(&world, &["patch", "new", "first", "--description", "X"])
        .fails_with(&["there is one of that name"]);
    in_tree(&world, &["patch", "new", "../x", "--description", "X"])
        .fails_with(&["a patch cannot be called ../x"]);
    in_tree(&world, &["patch", "refresh", "fist"])
        .fails_with(&["there is no patch fist", "did you mean first"]);
    in_tree(&world, &["patch", "refresh", "first", "--forwarded", "not-needed"]).succeeds();
    let first = read(&world, "new/patches/first.patch");
    assert!(first.contains("Forwarded: not-needed") && first.contains("+set -eu"), "{first}");
    in_tree(&world, &["pack"]).succeeds();
    world.write("new/data/lines.txt", "one\n");
    in_tree(&world, &["patch", "refresh", "first"])
        .fails_with(&["changed by the later patch second.patch as well"]);
    in_tree(&world, &["patch", "drop", "second"]).fails_with(&["data/lines.txt (changed)"]);
    in_tree(&world, &["patch", "refresh"]).succeeds();

    in_tree(&world, &["patch", "drop", "first"]).succeeds();
    assert_eq!(read(&world, "new/make.sh"), "set -e\nsort \"$1\" > \"$2\"\n");
    assert_eq!(read(&world, "new/data/lines.txt"), "one\n");
    assert_eq!(list(), "second.patch  data  Second\n  data/lines.txt changed\n");
    in_tree(&world, &["patch", "drop", "second"]).succeeds();
    assert!(!world.path("new/patches").exists());
    let same = |tree: &str| {
        world.run(["pack", tree, "--json"]).succeeds().json()["package_digest"].clone()
    };
    assert_eq!(same("new"), same("verse"));
}

#[test]
fn a_maintainers_own_series_is_applied_to_a_copy() {
    let world = world();
    world.write("verse/patches/series", "# mine\nupper.patch\nextra.patch -p1\n");
    let upper = "Subject: Capitals\n\n--- a/data/lines.txt\n+++ b/data/lines.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";
    world.write("verse/patches/upper.patch", upper);
    // A patch can bring a file that the manifest names.
    let extra = "diff --git a/make.sh b/make.sh\n--- a/make.sh\n+++ b/make.sh\n@@ -1,2 +1,3 @@\n set -e\n sort \"$1\" > \"$2\"\n+cat more.txt >> \"$2\"\n--- /dev/null\n+++ b/more.txt\n@@ -0,0 +1 @@\n+more\n";
    world.write("verse/patches/extra.patch", extra);
    world.run(["build", "verse", "--out", "out"]).succeeds();
    assert_eq!(read(&world, "verse/data/lines.txt"), "one\ntwo\nthree\n");
    let made = Command::new("tar")
        .args(["--zstd", "-xOf", "out/verse-1.0.0.text.mpkg", "verse.txt"])
        .current_dir(world.root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&made.stdout), "TWO\none\nthree\nmore\n");
    let list = world.run(["patch", "list", "--tree", "verse", "--json"]).succeeds().json();
    assert_eq!(
        (&list["patches"][0]["description"], &list["unrecorded"]),
        (&"Capitals".into(), &Value::Null)
    );
    world
        .run(["patch", "new", "x", "--description", "X", "--tree", "verse"])
        .fails_with(&["does not remember what it was", "mpkg source"]);

    // What does not apply is named, and nothing is built.
    world.write("verse/data/lines.txt", "one\nzwei\nthree\n");
    for command in ["pack", "build"] {
        world.run([command, "verse", "--out", "none"]).fails_with(&[
            "hunk 1 of patches/upper.patch does not apply to data/lines.txt at line 2: it expects \"two\" and finds \"zwei\"",
        ]);
    }
    assert!(
        !world.path("none").exists() || std::fs::read_dir(world.path("none")).unwrap().count() == 0
    );
    world.write("verse/data/lines.txt", "one\nTWO\nthree\n");
    world.run(["build", "verse"]).fails_with(&["the file has this change already"]);
    world.write("verse/patches/series", "gone.patch\n");
    world
        .run(["pack", "verse"])
        .fails_with(&["patches/gone.patch is not there", "take its line out"]);
    world.write("verse/patches/series", "own.patch\n");
    world.write(
        "verse/patches/own.patch",
        "--- a/mpkg.toml\n+++ b/mpkg.toml\n@@ -1 +1 @@\n-x\n+y\n",
    );
    world
        .run(["pack", "verse"])
        .fails_with(&["patches/own.patch touches mpkg.toml, which patches may not"]);
}

#[test]
fn what_was_unpacked_is_held_against_its_digests() {
    let world = world();
    world.run(["source", PACKAGE, "new"]).succeeds();
    world.write("new/.mpkg-source/files/make.sh", "rm -rf /\n");
    for arguments in [&["pack"][..], &["patch", "list"]] {
        in_tree(&world, arguments)
            .fails_with(&["files/make.sh is not what was unpacked", "unpack the source again"]);
    }
    world.run(["source", "verse", "other"]).fails_with(&["no registry is named"]);
    world.run(["source", "verse/", "other"]).fails_with(&["is a folder, and no package"]);
    world.write("new2/x", "");
    world.run(["source", PACKAGE, "new2"]).fails_with(&["new2 is there already"]);
    assert!(!world.path("other").exists());
    // A binary file is in no patch.
    world.run(["source", PACKAGE, "third"]).succeeds();
    world.write("third/picture", b"a\0b");
    world
        .run(["patch", "new", "x", "--description", "X", "--tree", "third"])
        .fails_with(&["picture is no text, and a patch holds text alone", ".mpkgignore"]);
    assert!(!world.path("third/patches").exists());
}
