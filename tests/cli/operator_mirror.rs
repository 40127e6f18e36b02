//! Copies of a registry: folders and bundles, whole or in part, carried and installed from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mpkg::package::Digest;

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, std::fs::read(entry.path()).unwrap())
        })
        .filter(|(path, _)| {
            let own = [".mpkg-lock", ".mpkg-settings.json", ".mpkg-bins.json"];
            !own.iter().any(|own| path.starts_with(own))
        })
        .collect()
}

fn root_digest(folder: &Path) -> String {
    Digest::of(&std::fs::read(folder.join("metadata/1.root.json")).unwrap()).to_string()
}

/// Another machine: its own home, without a network.
fn elsewhere(world: &World, home: &str, arguments: &[&str]) -> Finished {
    let mut command = world.mpkg();
    command.env("MPKG_HOME", world.path(home)).arg("--offline").args(arguments);
    Finished::of(&mut command)
}

fn mirror(world: &World, arguments: &[&str]) -> Finished {
    world.run([&["registry", "mirror", "registry"], arguments].concat())
}

fn published(world: &World) {
    world.publish(&[
        Recipe::new("lib", "1.0.0"),
        Recipe::new("lib", "1.1.0"),
        Recipe::new("app", "1.0.0").needs("lib", "^1"),
        Recipe::new("other", "1.0.0"),
    ]);
}

#[test]
fn a_whole_copy_is_carried_and_installed_from_with_full_verification() {
    let world = World::new();
    published(&world);
    mirror(&world, &["copy"]).succeeds();
    let (registry, copy) = (files(&world.path("registry")), files(&world.path("copy")));
    for (path, bytes) in &copy {
        assert_eq!(registry.get(path), Some(bytes), "{}", path.display());
    }
    let again = mirror(&world, &["copy"]).succeeds();
    assert!(again.stderr.contains("0 files"), "{}", again.stderr);
    let digest = root_digest(&world.path("registry"));
    std::fs::rename(world.path("registry"), world.path("far-away")).unwrap();
    elsewhere(&world, "b", &["registry", "add", "copy", "--root-sha256", &digest]).succeeds();
    elsewhere(&world, "b", &["install", "app"]).succeeds();
    assert!(elsewhere(&world, "b", &["list"]).succeeds().stdout.contains("lib  1.1.0"));
    assert!(elsewhere(&world, "b", &["search", "other"]).succeeds().stdout.contains("other"));
}

#[test]
fn a_copy_is_brought_up_to_date_and_never_back() {
    let world = World::new();
    published(&world);
    mirror(&world, &["copy"]).succeeds();
    mirror(&world, &["old.tar", "--bundle"]).succeeds();
    world.publish(&[Recipe::new("lib", "1.2.0")]);
    let done = mirror(&world, &["copy"]).succeeds();
    assert!(!done.stderr.contains(" 0 files"), "{}", done.stderr);
    let newest = files(&world.path("copy"));
    world
        .run(["registry", "unbundle", "old.tar", "copy"])
        .fails_with(&["is newer than what would be copied into it"]);
    assert_eq!(
        files(&world.path("copy"))[Path::new("metadata/timestamp.json")],
        newest[Path::new("metadata/timestamp.json")]
    );
    world.run(["registry", "init", "another"]).succeeds();
    mirror(&world, &["another"]).fails_with(&["is another registry than the one that is copied"]);
    world.write("full/file", "x");
    mirror(&world, &["full"]).fails_with(&["is not empty and no registry"]);
}

#[test]
fn a_part_has_what_an_installation_and_a_build_need() {
    let world = World::new();
    published(&world);
    let done = mirror(&world, &["part", "app"]).succeeds();
    assert!(done.stderr.contains("Copied 4 packages"), "{}", done.stderr);
    let digest = root_digest(&world.path("registry"));
    std::fs::rename(world.path("registry"), world.path("far-away")).unwrap();
    elsewhere(&world, "b", &["registry", "add", "part", "--root-sha256", &digest]).succeeds();
    elsewhere(&world, "b", &["install", "app"]).succeeds();
    elsewhere(&world, "b", &["install", "other"]).fails_with(&["other"]);
    let blobs = files(&world.path("part/blobs")).len();
    assert_eq!(blobs, 4, "two packages with their sources");
}

#[test]
fn a_bundle_is_one_plain_file_that_is_the_same_every_time() {
    let world = World::new();
    published(&world);
    mirror(&world, &["one.tar", "--bundle", "app"]).succeeds();
    mirror(&world, &["two.tar", "--bundle", "app"]).succeeds();
    mirror(&world, &["part", "app"]).succeeds();
    let bytes = std::fs::read(world.path("one.tar")).unwrap();
    assert_eq!(bytes, std::fs::read(world.path("two.tar")).unwrap());
    world.run(["registry", "unbundle", "one.tar", "from-bundle"]).succeeds();
    assert_eq!(files(&world.path("from-bundle")), files(&world.path("part")));
    // Stock tar reads it as well.
    std::fs::create_dir(world.path("from-tar")).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xf").arg(world.path("one.tar")).arg("-C").arg(world.path("from-tar"));
    Finished::of(&mut tar).succeeds();
    assert_eq!(files(&world.path("from-tar")), files(&world.path("part")));

    let digest = root_digest(&world.path("registry"));
    let added = ["registry", "add", "from-bundle", "--root-sha256", &digest];
    elsewhere(&world, "b", &added).succeeds();
    elsewhere(&world, "b", &["install", "app"]).succeeds();
}

#[test]
fn a_bundle_that_was_tampered_with_is_refused() {
    let world = World::new();
    published(&world);
    mirror(&world, &["good.tar", "--bundle"]).succeeds();
    let good = std::fs::read(world.path("good.tar")).unwrap();
    let at = |needle: &[u8]| good.windows(needle.len()).position(|part| part == needle).unwrap();
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let mut foreign = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    foreign.append_data(&mut header, "metadata/1.root.json", &b"x"[..]).unwrap();
    let foreign = foreign.into_inner().unwrap();
    let lasts = [
        ("a name", flipped(0)),
        ("a mode", flipped(100)),
        ("a blob", flipped(at(b"ustar\x0000") + good.len() / 2)),
        ("a root", flipped(600)),
        ("its end", good[..good.len() - 1024].to_vec()),
        ("its middle", good[..good.len() / 2].to_vec()),
        ("something behind", [&good[..], b"x"].concat()),
        ("nothing", Vec::new()),
        ("no bundle", b"not a tar at all".repeat(100)),
        ("another tar", foreign),
    ];
    for (number, (what, bytes)) in lasts.into_iter().enumerate() {
        let bundle = world.write(&format!("bad-{number}.tar"), bytes).display().to_string();
        let folder = format!("from-{number}");
        let refused = world.run(["registry", "unbundle", &bundle, &folder]);
        assert_eq!(refused.code, 1, "{what}: {}", refused.stderr);
        assert!(
            !world.path(&folder).join("metadata/timestamp.json").exists() || what == "a root",
            "{what}"
        );
    }
    // What was cut off is made good by the whole file.
    let cut = world.write("cut.tar", &good[..good.len() / 2]).display().to_string();
    assert_eq!(world.run(["registry", "unbundle", &cut, "resumed"]).code, 1);
    world.run(["registry", "unbundle", "good.tar", "resumed"]).succeeds();
    assert!(!world.path("etc").exists());
}

#[test]
fn data_is_found_in_the_registry_when_its_addresses_are_gone() {
    let world = World::new();
    world.write("web/plays.txt", "To be, or not to be\n");
    let server = world.serve("web");
    world.run(["init", "corpus", "--kind", "dataset"]).succeeds();
    let manifest = std::fs::read_to_string(world.path("corpus/mpkg.toml")).unwrap();
    let bytes = std::fs::read(world.path("web/plays.txt")).unwrap();
    let reference = format!(
        "\n[[data]]\nname = \"plays\"\nurls = [\"{}\"]\nsha256 = \"{}\"\nsize = {}\n\
         license = \"CC0-1.0\"\n",
        server.url("/plays.txt"),
        Digest::of(&bytes),
        bytes.len()
    );
    world.write("corpus/mpkg.toml", format!("{manifest}{reference}"));
    world.run(["key", "new", "me"]).succeeds();
    world.run(["pack", "corpus", "--out", "dist"]).succeeds();
    let source = files(&world.path("dist")).into_keys().next().unwrap();
    let source = world.path("dist").join(source).display().to_string();
    world.run(["sign", &source]).succeeds();
    world.run(["publish", "--create", "--to", "registry", &source]).succeeds();
    let done = world.run(["registry", "mirror-data", "registry"]).succeeds();
    assert!(done.stderr.contains("1 of 1 file of data added"), "{}", done.stderr);
    let again = world.run(["registry", "mirror-data", "registry", "corpus"]).succeeds();
    assert!(again.stderr.contains("0 of 1 file of data added"), "{}", again.stderr);
    world
        .run(["registry", "mirror-data", "registry", "nothing"])
        .fails_with(&["no package nothing"]);

    // The address is gone; another machine still gets the data, and from a copy as well.
    let asked = server.requests().len();
    drop(server);
    std::fs::remove_file(world.path("web/plays.txt")).unwrap();
    mirror(&world, &["copy"]).succeeds();
    let digest = root_digest(&world.path("registry"));
    for (home, registry) in [("b", "registry"), ("c", "copy")] {
        let add = ["registry", "add", registry, "--name", "main", "--root-sha256", &digest];
        elsewhere(&world, home, &add).succeeds();
        elsewhere(&world, home, &["fetch", "corpus"]).succeeds();
        let cached = files(&world.path(home).join("cache"));
        assert!(cached.values().any(|found| *found == bytes), "{home}");
    }
    assert!(asked > 0);
    std::fs::write(
        world
            .path("copy/blobs/sha256")
            .join(&Digest::of(&bytes).to_string()[..2])
            .join(Digest::of(&bytes).to_string()),
        "other bytes",
    )
    .unwrap();
    elsewhere(&world, "d", &["registry", "add", "copy", "--root-sha256", &digest]).succeeds();
    assert_eq!(elsewhere(&world, "d", &["fetch", "corpus"]).code, 1, "only the right bytes count");
}
