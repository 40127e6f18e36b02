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
    let lacking = elsewhere(&world, "b", &["install", "other"]);
    lacking.fails_with(&["vouches for", "and does not carry it", "it may be a copy of a part"]);
    let lacking = elsewhere(&world, "b", &["install", "lib@=1.0.0"]);
    lacking.fails_with(&["vouches for", "and does not carry it"]);
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
        assert!(!world.path(&folder).exists(), "{what}: nothing is left");
    }
    // An empty folder stays, empty, and takes the whole file then.
    let cut = world.write("cut.tar", &good[..good.len() / 2]).display().to_string();
    std::fs::create_dir(world.path("again")).unwrap();
    assert_eq!(world.run(["registry", "unbundle", &cut, "again"]).code, 1);
    assert_eq!(std::fs::read_dir(world.path("again")).unwrap().count(), 0);
    world.run(["registry", "unbundle", "good.tar", "again"]).succeeds();
    assert!(!world.path("etc").exists());
}

/// The files of a bundle with others in their places, and more before the timestamp.
fn bundle_with(good: &[u8], changed: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Archive::new(good);
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        files.push((path, bytes));
    }
    for (place, bytes) in changed {
        match files.iter_mut().find(|(path, _)| path == place) {
            Some((_, old)) => old.clone_from(bytes),
            None => files.insert(files.len() - 1, ((*place).to_owned(), bytes.clone())),
        }
    }
    let mut bundle = Vec::new();
    for (place, bytes) in files {
        let size = bytes.len() as u64;
        // The header of another file, with this name and size.
        let mut header = good[..512].to_vec();
        header[..100].fill(0);
        header[345..500].fill(0);
        let (prefix, name) = match place.len() {
            0..=100 => ("", place.as_str()),
            _ => place.rsplit_once('/').unwrap(),
        };
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        header[154] = 0;
        bundle.extend(header);
        bundle.extend(&bytes);
        bundle.resize(bundle.len().next_multiple_of(512), 0);
    }
    bundle.resize(bundle.len() + 1024, 0);
    bundle
}

#[test]
fn a_forged_bundle_leaves_an_earlier_copy_as_it_was() {
    let world = World::new();
    published(&world);
    mirror(&world, &["copy"]).succeeds();
    let before = files(&world.path("copy"));
    world.publish(&[Recipe::new("lib", "1.2.0")]);
    mirror(&world, &["new.tar", "--bundle"]).succeeds();
    let good = std::fs::read(world.path("new.tar")).unwrap();
    let place = |name: &str| {
        let metadata = std::fs::read_dir(world.path("registry/metadata")).unwrap();
        let names = metadata.map(|one| one.unwrap().file_name().into_string().unwrap());
        let newest = names.filter(|one| one.ends_with(name)).max_by_key(|one| {
            one.split('.').next().and_then(|version| version.parse::<u64>().ok())
        });
        let place = format!("metadata/{}", newest.unwrap());
        let text = std::fs::read_to_string(world.path("registry").join(&place)).unwrap();
        // The signatures do not hold any more.
        (place, text.replace("\"expires\":\"20", "\"expires\":\"30").into_bytes())
    };
    let timestamp = place("timestamp.json");
    let snapshot = place(".snapshot.json");
    let root = (String::from("metadata/2.root.json"), place("1.root.json").1);
    let bin = format!(".bins-{}.json", &Digest::of(b"index/lib.json").to_string()[..1]);
    let stray = (String::from("metadata/9.bins-0.json"), b"{}".to_vec());
    for (place, bytes) in [timestamp, snapshot, root, place(&bin), stray] {
        world.write("bad.tar", bundle_with(&good, &[(&place, bytes)]));
        let refused = world.run(["registry", "unbundle", "bad.tar", "copy"]);
        assert_eq!(refused.code, 1, "{place}: {}", refused.stderr);
        let after = files(&world.path("copy"));
        for (path, bytes) in &after {
            let is_named_by_digest = !path.starts_with("metadata");
            assert!(before.get(path) == Some(bytes) || is_named_by_digest, "{place}: {path:?}");
        }
    }
    world.write("same.tar", bundle_with(&good, &[]));
    assert_eq!(std::fs::read(world.path("same.tar")).unwrap(), good);
    world.run(["registry", "unbundle", "same.tar", "copy"]).succeeds();
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

#[test]
fn wheels_are_found_in_the_registry_before_any_other_address() {
    let world = World::new();
    world.run(["init", "corpus", "--kind", "dataset"]).succeeds();
    let manifest = std::fs::read_to_string(world.path("corpus/mpkg.toml")).unwrap();
    let locked =
        manifest.replace("[environment]\n", "[environment]\nlock = \"requirements.txt\"\n");
    assert_ne!(manifest, locked);
    world.write("corpus/mpkg.toml", locked);
    // The wheel of six 1.17.0, pure Python.
    let digest = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
    world.write("corpus/requirements.txt", format!("six==1.17.0 --hash=sha256:{digest}\n"));
    world.run(["key", "new", "me"]).succeeds();
    world.run(["pack", "corpus", "--out", "dist"]).succeeds();
    let source = files(&world.path("dist")).into_keys().next().unwrap();
    let source = world.path("dist").join(source).display().to_string();
    world.run(["sign", &source]).succeeds();
    world.run(["publish", "--create", "--to", "registry", &source]).succeeds();
    let done = world.run(["registry", "mirror-data", "registry"]).succeeds();
    assert!(done.stderr.contains("1 wheel kept"), "{}", done.stderr);
    world.run(["registry", "mirror-data", "registry"]).succeeds();

    mirror(&world, &["copy"]).succeeds();
    mirror(&world, &["part", "corpus"]).fails_with(&["corpus"]);
    mirror(&world, &["all.tar", "--bundle"]).succeeds();
    world.run(["registry", "unbundle", "all.tar", "from-bundle"]).succeeds();
    let root = root_digest(&world.path("registry"));
    std::fs::rename(world.path("home/cache"), world.path("gone")).unwrap();
    for (home, registry) in [("b", "registry"), ("c", "copy"), ("d", "from-bundle")] {
        let add = ["registry", "add", registry, "--name", "main", "--root-sha256", &root];
        elsewhere(&world, home, &add).succeeds();
        elsewhere(&world, home, &["fetch", "corpus"]).succeeds();
    }
    // With a network as well nobody else is asked.
    let online = |home: &str, registry: &str| {
        let mut command = world.mpkg();
        command.env("MPKG_HOME", world.path(home)).env("PIP_INDEX_URL", "http://127.0.0.1:9/");
        command.env("PIP_RETRIES", "0").args(["--registry", registry, "fetch", "corpus"]);
        Finished::of(&mut command)
    };
    let add = ["registry", "add", "copy", "--name", "main", "--root-sha256", &root];
    elsewhere(&world, "e", &add).succeeds();
    online("e", "main").succeeds();
    // Other bytes are no wheel of the lock file.
    let blob = world.path("copy/blobs/sha256").join(&digest[..2]).join(digest);
    std::fs::write(&blob, "other bytes").unwrap();
    elsewhere(&world, "f", &add).succeeds();
    assert_eq!(online("f", "main").code, 1, "only the right bytes count");
}
