//! `mpkg publish`, `search` and `info`, and what a registry that lies gets.

use std::path::{Path, PathBuf};

use mpkg::package::PackageType;

use crate::support::packages::{Pair, Recipe, pack};
use crate::support::{Finished, World};

fn publish(world: &World, arguments: &[&str], files: &[&Path]) -> Finished {
    let mut command = world.mpkg();
    command.arg("publish").args(arguments).arg("--to").arg(world.path("registry")).args(files);
    Finished::of(&mut command)
}

fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(tree(&entry.path()));
        } else {
            files.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    files.retain(|(path, _)| !path.ends_with(".mpkg-lock"));
    files.sort();
    files
}

/// Changes one text of a document, and signs that.
fn lie(world: &World, file: &str, from: &str, to: &str) {
    let text = String::from_utf8(world.said(file)).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    world.say(file, text.replace(from, to).as_bytes());
}

#[test]
fn publishing_into_a_folder() {
    let world = World::new();
    let key = world.key("me");
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &key);
    world.write("dist/lm-1.0.0.build.json", "{\"loss\": 1.5}");
    let both = [pair.source.as_path(), pair.binary.as_path()];
    publish(&world, &[], &both).fails_with(&["is not a registry", "--create"]);
    publish(&world, &["--create", "--dry-run"], &both).succeeds();
    assert!(tree(&world.path("registry")).is_empty());
    let done = publish(&world, &["--create"], &both).succeeds();
    assert!(done.stderr.contains("Published lm 1.0.0 (f32)"), "{}", done.stderr);

    let index = world.said("index/lm.json");
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["releases"].as_array().unwrap().len(), 2);
    let binary = &index["releases"][1];
    let roles: Vec<&str> = binary["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["publisher", "build-record"]);
    let digest = binary["representations"][0]["sha256"].as_str().unwrap();
    let blob = world.path(&format!("registry/blobs/sha256/{}/{digest}", &digest[..2]));
    assert_eq!(std::fs::read(blob).unwrap(), std::fs::read(&pair.binary).unwrap());

    let before = tree(&world.path("registry"));
    let again = publish(&world, &["--create"], &both).succeeds();
    assert!(again.stderr.contains("Published already: lm 1.0.0"), "{}", again.stderr);
    assert_eq!(tree(&world.path("registry")), before);
}

#[test]
fn what_may_not_be_published() {
    let world = World::new();
    let key = world.key("me");
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let before = tree(&world.path("registry"));

    let next = Recipe::new("lm", "1.1.0").make(&world, "next", &key);
    publish(&world, &[], &[&next.binary])
        .fails_with(&["names the source package", "neither in the registry nor among the files"]);

    let other = Recipe::new("lm", "1.0.0").file("data.txt", "other").make(&world, "other", &key);
    publish(&world, &[], &[&other.source, &other.binary])
        .fails_with(&["lm 1.0.0 (f32) is published already with package digest", "new version"]);

    let (foreign, public) = world.foreign_key("them");
    let theirs = Recipe::new("lm", "1.2.0").make(&world, "theirs", &foreign);
    publish(&world, &[], &[&theirs.source, &theirs.binary]).fails_with(&[
        "lm is published by",
        &key.public().id().to_string(),
        &public.id().to_string(),
    ]);
    let new = Recipe::new("new", "1.0.0").make(&world, "theirs", &foreign);
    publish(&world, &[], &[&new.source, &new.binary])
        .fails_with(&["no key on this machine made the signature", "mpkg key import"]);

    let bare = Recipe::new("bare", "1.0.0").make(&world, "bare", &key);
    std::fs::remove_file(format!("{}.dsse.json", bare.source.display())).unwrap();
    publish(&world, &[], &[&bare.source, &bare.binary]).fails_with(&["is not signed", "mpkg sign"]);

    let swapped = Recipe::new("swapped", "1.0.0").make(&world, "swapped", &key);
    std::fs::copy(
        format!("{}.dsse.json", next.binary.display()),
        format!("{}.dsse.json", swapped.binary.display()),
    )
    .unwrap();
    assert_eq!(publish(&world, &[], &[&swapped.source, &swapped.binary]).code, 1);

    let mut bytes = std::fs::read(&next.binary).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&next.binary, bytes).unwrap();
    publish(&world, &[], &[&next.source, &next.binary]).fails_with(&["lm-1.1.0.f32.mpkg"]);

    world.write("full/something", "else");
    let mut command = world.mpkg();
    command.args(["publish", "--create", "--to"]).arg(world.path("full")).arg(&other.source);
    Finished::of(&mut command).fails_with(&["is not empty and no registry"]);
    assert_eq!(tree(&world.path("registry")), before, "nothing of all that was written");
}

#[test]
fn two_publishers_at_once_lose_nothing() {
    let world = World::new();
    let key = world.key("me");
    world.publish(&[Recipe::new("first", "1.0.0")]);
    let pairs: Vec<Pair> = (0..4)
        .map(|number| Recipe::new(&format!("p{number}"), "1.0.0").make(&world, "dist", &key))
        .collect();
    let running: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let mut command = world.mpkg();
            command.args(["publish", "--to"]).arg(world.path("registry")).args(pair.arguments());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let found = world.with_registry(["search"]).succeeds().stdout;
    assert_eq!(found.lines().count(), 5, "{found}");
}

#[test]
fn searching_and_looking_closer() {
    let world = World::new();
    world.publish(&[
        Recipe::new("docs-lm", "1.0.0").provides("generator"),
        Recipe::new("docs-lm", "1.1.0-rc.1"),
        Recipe::new("docs-corpus", "1.0.0"),
    ]);
    let found = world.with_registry(["search", "docs"]).succeeds().stdout;
    assert_eq!(
        found,
        "docs-corpus  1.0.0  dataset  The docs-corpus for tests\n\
         docs-lm      1.0.0  dataset  The docs-lm for tests\n"
    );
    let found = world.with_registry(["search", "GENERATOR"]).succeeds().stdout;
    assert!(found.starts_with("docs-lm "), "{found}");
    assert_eq!(world.with_registry(["search", "nothing-like-it"]).code, 1);
    assert_eq!(world.with_registry(["search", "--kind", "model"]).code, 1);

    let info = world.with_registry(["info", "docs-lm@^1"]).succeeds().stdout;
    for part in ["summary       The docs-lm for tests", "1.0.0", "f32 (default)", "source"] {
        assert!(info.contains(part), "{part:?} is not in {info}");
    }
    let json = world.with_registry(["info", "docs-lm", "--json"]).succeeds().json();
    assert_eq!(json["releases"].as_array().unwrap().len(), 4);
    world
        .with_registry(["info", "docs-ml"])
        .fails_with(&["no package is called docs-ml", "there is a package called docs-lm"]);
}

#[test]
fn over_http_and_then_offline() {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0").file("big.bin", vec![3; 400_000]),
        Recipe::new("app", "1.0.0").needs("lib", "^1"),
    ]);
    let server = world.serve("registry");
    world.trust(&server.url("/"), "served");
    let run = |arguments: &[&str]| {
        let mut command = world.mpkg();
        command.args(["--registry", "served"]).args(arguments);
        Finished::of(&mut command)
    };
    let before = server.requests().len();
    run(&["install", "app", "--offline"]).fails_with(&["no copy of it that may be used offline"]);
    assert_eq!(server.requests().len(), before, "offline asks nobody");
    run(&["search", "app"]).succeeds();
    run(&["install", "app"]).succeeds();
    world.run(["list"]).succeeds();
    let asked = server.requests();
    let blobs = asked.iter().filter(|request| request.path.starts_with("/blobs")).count();
    assert_eq!(blobs, 2, "{asked:?}");
    world.run(["remove", "app"]).succeeds();
    std::fs::remove_dir_all(world.path("home/store")).unwrap();
    std::fs::remove_dir_all(world.path("home/profiles")).unwrap();
    let before = server.requests().len();
    run(&["install", "app", "--offline"]).succeeds();
    assert_eq!(server.requests().len(), before, "all of it came from the cache");
    let folder = world.path("home/profiles/default/current/packages/lib/big.bin");
    assert_eq!(std::fs::read(folder).unwrap(), vec![3; 400_000]);
}

#[test]
fn the_first_registry_that_has_a_name_answers_for_it() {
    let world = World::new();
    world.publish(&[Recipe::new("lib", "1.0.0")]);
    std::fs::rename(world.path("registry"), world.path("first")).unwrap();
    world.publish(&[Recipe::new("lib", "2.0.0"), Recipe::new("app", "1.0.0").needs("lib", "*")]);
    world.trust(&world.path("first").display().to_string(), "first");
    let mut command = world.mpkg();
    command.arg("--registry").arg(world.path("first"));
    command.arg("--registry").arg(world.path("registry")).args(["install", "app"]);
    Finished::of(&mut command).succeeds();
    let list = world.run(["list"]).succeeds().stdout;
    assert!(list.contains("lib  1.0.0"), "{list}");
}

/// Makes a registry that holds the pair lie.
type Lie = dyn Fn(&World, &Pair);

#[test]
fn a_registry_that_lies_is_not_believed() {
    let lies: [(&str, &Lie, &str); 7] = [
        (
            "a tampered blob",
            &|world, pair| {
                let digest = mpkg::package::Digest::of(&std::fs::read(&pair.binary).unwrap());
                let digest = digest.to_string();
                let blob = format!("registry/blobs/sha256/{}/{digest}", &digest[..2]);
                let mut bytes = std::fs::read(world.path(&blob)).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(world.path(&blob), bytes).unwrap();
            },
            "is refused",
        ),
        (
            "another package digest",
            &|world, pair| {
                let digest = pair.digest.to_string();
                let other = mpkg::package::Digest::of(b"other").to_string();
                lie(world, "index/lm.json", &digest, &other);
            },
            "",
        ),
        (
            "other dependencies",
            &|world, _| {
                lie(
                    world,
                    "index/lm.json",
                    "\"dependencies\":[{\"name\":\"lib\",\"requirement\":\"^1\"}],",
                    "",
                );
            },
            "another list of dependencies than the package itself",
        ),
        (
            "white space",
            &|world, _| lie(world, "index/lm.json", "{\"format\"", "{ \"format\""),
            "cannot be believed",
        ),
        (
            "another name",
            &|world, _| lie(world, "index/lm.json", "\"name\":\"lm\"", "\"name\":\"ln\""),
            "it is the index of another name",
        ),
        (
            "an unsigned change",
            &|world, _| {
                for (path, bytes) in tree(&world.path("registry/index")) {
                    let text = String::from_utf8(bytes).unwrap();
                    std::fs::write(path, text.replace("1.0.0", "1.0.1")).unwrap();
                }
            },
            "is not believed: the sha256 is",
        ),
        (
            "a signature taken away",
            &|world, _| {
                let folder = world.path("registry/attestations");
                for (path, _) in tree(&folder) {
                    std::fs::write(path, "{}").unwrap();
                }
            },
            "has the wrong digest",
        ),
    ];
    for (what, lie, message) in lies {
        let world = World::new();
        let pairs = world
            .publish(&[Recipe::new("lm", "1.0.0").needs("lib", "^1"), Recipe::new("lib", "1.0.0")]);
        lie(&world, &pairs[0]);
        let refused = world.with_registry(["install", "lm"]);
        assert_eq!(refused.code, 1, "{what}: {}", refused.stderr);
        assert!(refused.stderr.contains(message), "{what}: {}", refused.stderr);
        assert!(!world.path("home/profiles/default/current").exists(), "{what}");
        let packages = std::fs::read_dir(world.path("home/store/packages")).unwrap();
        for package in packages.flatten() {
            let index = package.path().join("data.txt");
            assert!(!std::fs::read_to_string(index).unwrap().starts_with("lm"), "{what}");
        }
    }
}

#[test]
fn case_38_a_publisher_key_that_changed() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world.with_registry(["install", "lm"]).succeeds();
    std::fs::remove_dir_all(world.path("registry")).unwrap();
    let (foreign, public) = world.foreign_key("thief");
    let pair = Recipe::new("lm", "1.0.1").make(&world, "dist", &foreign);
    std::fs::create_dir_all(world.path("thief")).unwrap();
    let mut command = world.mpkg();
    command.env("MPKG_HOME", world.path("elsewhere"));
    command.args(["publish", "--create", "--to"]).arg(world.path("registry"));
    Finished::of(command.args(pair.arguments())).succeeds();
    // This machine knows another root; and when it is told to trust the new one, another publisher.
    world.with_registry(["install", "lm@^1.0.1"]).fails_with(&["timestamp.json is not believed"]);
    world.run(["registry", "remove", "registry"]).succeeds();
    world.trust(&world.path("registry").display().to_string(), "registry");
    world.with_registry(["install", "lm@^1.0.1"]).fails_with(&[
        "the publisher of lm has changed",
        &world.key("me").public().id().to_string(),
        &public.id().to_string(),
        "trust/packages/lm.json",
    ]);
    let list = world.run(["list"]).succeeds().stdout;
    assert!(list.contains("1.0.0"), "{list}");
}

#[test]
fn case_38_a_yanked_version() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lm", "1.1.0")]);
    world.with_registry(["install", "lm"]).succeeds();
    let mut index: serde_json::Value =
        serde_json::from_slice(&world.said("index/lm.json")).unwrap();
    for release in index["releases"].as_array_mut().unwrap() {
        if release["version"] == "1.1.0" {
            release["yanked"] = "wrong licence".into();
        }
    }
    world.say("index/lm.json", &mpkg::crypto::canonical::to_vec(&index).unwrap());
    let kept = world.with_registry(["install", "lm"]).succeeds();
    assert!(kept.stderr.contains("Installed already: lm 1.1.0"), "{}", kept.stderr);
    let other = World::new();
    other.trust(&world.path("registry").display().to_string(), "other");
    let mut command = other.mpkg();
    command.env("MPKG_REGISTRY", world.path("registry")).args(["install", "lm@=1.1.0"]);
    Finished::of(&mut command).fails_with(&["it was yanked: wrong licence"]);
    let mut command = other.mpkg();
    command.env("MPKG_REGISTRY", world.path("registry")).args(["install", "lm"]);
    Finished::of(&mut command).succeeds();
    assert!(other.run(["list"]).succeeds().stdout.contains("1.0.0"));
}

#[test]
fn case_38_a_yanked_version_in_a_lock_file() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lm", "1.1.0")]);
    world.run(["init", "tree", "--kind", "model"]).succeeds();
    let manifest = std::fs::read_to_string(world.path("tree/mpkg.toml")).unwrap();
    let needs = format!("{manifest}\n[build-dependencies]\nlm = \"^1\"\n");
    world.write("tree/mpkg.toml", needs);
    world.with_registry(["build", "tree"]).succeeds();
    let lock = world.path("tree/mpkg.lock");
    let pinned = std::fs::read_to_string(&lock).unwrap();
    assert!(pinned.contains("version = \"1.1.0\""), "{pinned}");
    let yank = ["registry", "yank", "lm@1.1.0", "--in", "registry", "--reason", "wrong licence"];
    world.run(yank).succeeds();

    // What a lock file pins is used, and it is said what it is; nothing new takes it.
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();
    let built = world.with_registry(["build", "tree", "--locked"]).succeeds();
    let warning = "lm 1.1.0 (f32) was yanked: wrong licence; it is used as mpkg.lock pins it";
    assert!(built.stderr.contains(warning), "{}", built.stderr);
    std::fs::remove_file(&lock).unwrap();
    world.with_registry(["build", "tree"]).succeeds();
    let pinned = std::fs::read_to_string(&lock).unwrap();
    assert!(pinned.contains("version = \"1.0.0\""), "{pinned}");
}

#[test]
fn a_package_file_by_somebody_unknown_is_refused() {
    let world = World::new();
    let (foreign, public) = world.foreign_key("them");
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &foreign);
    let file = pair.binary.display().to_string();
    let id = public.id().to_string();
    world.run(["install", &file]).fails_with(&["no key on this machine made the signature", &id]);
    std::fs::remove_file(format!("{file}.dsse.json")).unwrap();
    world.run(["install", &file]).fails_with(&["is not signed"]);
    let (unsigned, _) = pack(
        &world.path("dist"),
        mpkg::package::PackageIndex {
            name: "bare".parse().unwrap(),
            files: Vec::new(),
            ..mpkg::archive::Package::open(&pair.binary).unwrap().index().clone()
        },
        &[("a".to_owned(), b"a".to_vec())],
        &[],
        None,
    );
    let opened = mpkg::archive::Package::open(&unsigned).unwrap();
    assert_eq!(opened.index().package_type, PackageType::Binary);
    world.run(["install", &unsigned.display().to_string()]).fails_with(&["is not signed"]);
}
