//! What a registry's operator does: making it, publishing, withdrawing, refreshing, other keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mpkg::net::{Address, Client, NetOptions, Network};
use mpkg::package::Digest;
use mpkg::registry::operator::Repository;
use mpkg::registry::tuf::{Metadata as _, TopLevel};
use serde_json::Value;

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

impl World {
    /// Runs `mpkg registry` in another home folder of this world.
    fn operator(&self, home: &str, arguments: &[&str]) -> Finished {
        let mut command = self.mpkg();
        command.env("MPKG_HOME", self.path(home)).arg("registry").args(arguments);
        Finished::of(&mut command)
    }

    /// Makes a key in another home folder, and a file with its public half.
    fn operator_key(&self, home: &str, name: &str) -> String {
        let mpkg = |arguments: &[&str]| {
            let mut command = self.mpkg();
            command.env("MPKG_HOME", self.path(home)).args(arguments);
            Finished::of(&mut command).succeeds()
        };
        mpkg(&["key", "new", name]);
        let pem = mpkg(&["key", "export", name]).stdout;
        self.write(&format!("{name}.pub.pem"), pem).display().to_string()
    }
}

fn client(world: &World) -> Client {
    Client::new(NetOptions::new(world.path("cache"), Network::Offline))
}

/// The files of a registry by their paths.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    let files = files.filter(|entry| entry.file_name() != ".mpkg-lock");
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn version(folder: &Path, role: TopLevel, world: &World) -> u64 {
    let client = client(world);
    let repository = Repository::open(&Address::Path(folder.to_owned()), &client).unwrap();
    match role {
        TopLevel::Root => repository.root().version(),
        TopLevel::Timestamp => repository.timestamp().version(),
        TopLevel::Snapshot => repository.snapshot().version(),
        TopLevel::Targets => repository.targets().version(),
    }
}

#[test]
fn one_command_makes_a_registry_for_one_person() {
    let world = World::new();
    let made = world.run(["registry", "init", "mine"]).succeeds();
    let root = std::fs::read(world.path("mine/metadata/1.root.json")).unwrap();
    assert_eq!(made.stdout.trim(), Digest::of(&root).to_string());
    for part in ["Made the key mine-root", "Made the key mine-online", "--root-sha256"] {
        assert!(made.stderr.contains(part), "{}", made.stderr);
    }
    let bins = files(&world.path("mine"));
    let bins = bins.keys().filter(|path| path.to_string_lossy().contains(".bins-")).count();
    assert_eq!(bins, 16);
    let list = world.run(["registry", "list"]).succeeds().stdout;
    assert!(list.contains("mine"), "{list}");
    let trusted = std::fs::read(world.path("home/trust/registries/mine/root.json")).unwrap();
    assert_eq!(trusted, root, "its maker trusts it at once");
    std::fs::rename(world.path("mine"), world.path("gone")).unwrap();
    world.run(["registry", "init", "mine", "--bins", "2"]).succeeds();
    let root = std::fs::read(world.path("mine/metadata/1.root.json")).unwrap();
    let trusted = std::fs::read(world.path("home/trust/registries/mine/root.json")).unwrap();
    assert_eq!(trusted, root, "a new one in its place as well");
    let other = world.run(["registry", "init", "elsewhere/mine"]).succeeds();
    assert!(other.stderr.contains("configured here as mine-2"), "{}", other.stderr);
    world.run(["registry", "init", "mine"]).fails_with(&["is a registry already"]);
    world.write("full/file", "x");
    world.run(["registry", "init", "full"]).fails_with(&["is not empty and no registry"]);
    let odd = world.run(["registry", "init", "other", "--bins", "24"]);
    odd.fails_with(&["cannot be divided among 24 bins", "a power of two"]);
    let odd = world.run(["registry", "init", "other", "--timestamp-lifetime", "soon"]);
    assert_eq!(odd.code, 2, "{}", odd.stderr);
    let odd = world.run(["registry", "init", "other", "--root-threshold", "2"]);
    odd.fails_with(&["the role root cannot have these keys"]);
    assert!(!world.path("other").exists());
    // Its keys are no reason to ask with which one a package is signed.
    world.run(["key", "new", "me"]).succeeds();
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &world.key("me"));
    std::fs::remove_file(format!("{}.dsse.json", pair.source.display())).unwrap();
    world.run(["sign", &pair.source.display().to_string()]).succeeds();
}

#[test]
fn making_a_registry_that_was_cut_off_is_ended_by_the_same_command() {
    let world = World::new();
    world.run(["registry", "init", "mine"]).succeeds();
    // As it is where the home folder was not written any more.
    let forget = || {
        std::fs::remove_file(world.path("home/registries.toml")).unwrap();
        std::fs::remove_dir_all(world.path("home/trust/registries")).unwrap();
    };
    forget();
    let other = world.run(["registry", "init", "mine", "--bins", "2"]);
    other.fails_with(&["is a registry already"]);
    let again = world.run(["registry", "init", "mine"]).succeeds();
    assert!(again.stderr.contains("--root-sha256"), "{}", again.stderr);
    world.run(["info", "lm", "--registry", "mine"]).fails_with(&["no package is called lm"]);
    world.run(["registry", "init", "mine"]).fails_with(&["is a registry already"]);
    // Another home folder has not made it, and one in which something was published is no beginning.
    let mut elsewhere = world.mpkg();
    elsewhere.env("MPKG_HOME", world.path("other")).args(["registry", "init", "mine"]);
    Finished::of(&mut elsewhere).fails_with(&["is a registry already"]);
    assert!(!world.path("other/keys/mine-root.pem").exists());
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &world.key("me"));
    let mut publish = world.mpkg();
    publish.args(["publish", "--to", "mine"]).args(pair.arguments());
    Finished::of(&mut publish).succeeds();
    forget();
    world.run(["registry", "init", "mine"]).fails_with(&["is a registry already"]);
}

#[test]
fn the_same_time_and_keys_make_the_same_registry() {
    let world = World::new();
    let make = |folder: &str| {
        let mut command = world.mpkg();
        command.env("SOURCE_DATE_EPOCH", "1767225600").args(["registry", "init", folder]);
        Finished::of(&mut command).succeeds();
        files(&world.path(folder))
    };
    assert_eq!(make("a/registry"), make("b/registry"));
}

#[test]
fn publishing_changes_only_what_vouches_for_the_package() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let before = files(&world.path("registry"));
    world.publish(&[Recipe::new("lm", "1.1.0")]);
    let after = files(&world.path("registry"));
    let changed: Vec<String> = before
        .iter()
        .filter(|(path, bytes)| after.get(*path) != Some(bytes))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(changed, ["metadata/timestamp.json"], "all else keeps its name and its bytes");
    let new: Vec<String> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .map(|path| path.display().to_string())
        .collect();
    let count = |part: &str| new.iter().filter(|path| path.contains(part)).count();
    assert_eq!(count("snapshot.json"), 1, "{new:?}");
    assert!((1..=2).contains(&count(".bins-")), "{new:?}");
    assert_eq!((count("index/"), count("search/")), (1, 1), "{new:?}");

    // Publishing the very same again changes nothing at all.
    world.publish(&[Recipe::new("lm", "1.1.0")]);
    assert_eq!(files(&world.path("registry")), after);
}

#[test]
fn publishing_needs_the_online_keys() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let before = files(&world.path("registry"));
    for key in ["registry-online.pem", "registry-root.pem"] {
        std::fs::rename(world.path("home/keys").join(key), world.path(key)).unwrap();
    }
    let pair = Recipe::new("lm", "1.1.0").make(&world, "next", &world.key("me"));
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command)
        .fails_with(&["the role bins needs 1 signature of its keys", "has 0"]);
    assert_eq!(files(&world.path("registry")), before);
    std::fs::rename(world.path("registry-online.pem"), world.path("home/keys/registry-online.pem"))
        .unwrap();
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command).succeeds();
}

#[test]
fn what_was_tampered_with_is_not_signed_again() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let pair = Recipe::new("lm", "1.1.0").make(&world, "next", &world.key("me"));
    let registry = world.path("registry");
    for start in ["index/", "metadata/timestamp", "metadata/2.snapshot", "metadata/1.targets"] {
        let all = files(&registry);
        let path = all.keys().find(|path| path.to_string_lossy().starts_with(start));
        let path = registry.join(path.unwrap());
        let good = std::fs::read(&path).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        std::fs::write(&path, text.replacen('2', "3", 1)).unwrap();
        let mut command = world.mpkg();
        command.args(["publish", "--to", "registry"]).args(pair.arguments());
        Finished::of(&mut command).fails_with(&["not believed"]);
        std::fs::write(&path, good).unwrap();
    }
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command).succeeds();
}

#[test]
fn a_version_is_withdrawn_and_brought_back() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lm", "1.1.0")]);
    let yank = |arguments: &[&str]| {
        let all = [&["registry", "yank", "--in", "registry"], arguments].concat();
        world.run(all)
    };
    let done = yank(&["lm@1.1.0", "--reason", "wrong licence"]).succeeds();
    assert!(done.stderr.contains("Withdrew lm 1.1.0 (f32)"), "{}", done.stderr);
    let client = client(&world);
    let index = |name: &str| {
        let address = Address::Path(world.path("registry"));
        Repository::open(&address, &client).unwrap().name(&name.parse().unwrap()).unwrap().unwrap()
    };
    let yanked = |version: &str| -> Vec<Option<String>> {
        let version = version.parse().unwrap();
        let releases = index("lm").releases.into_iter();
        releases.filter(|one| one.version == version).map(|one| one.yanked).collect()
    };
    assert_eq!(yanked("1.1.0"), vec![Some("wrong licence".to_owned()); 2]);
    assert_eq!(yanked("1.0.0"), [None, None]);
    yank(&["lm@1.1.0:f32", "--undo"]).succeeds();
    assert_eq!(yanked("1.1.0"), [Some("wrong licence".to_owned()), None]);
    yank(&["lm@1.1.0", "--undo"]).succeeds();
    assert_eq!(yanked("1.1.0"), [None, None]);
    let before = files(&world.path("registry"));
    assert!(yank(&["lm@1.1.0", "--undo"]).succeeds().stderr.contains("Nothing to do"));
    assert_eq!(files(&world.path("registry")), before);
    yank(&["lm@9.9.9", "--reason", "x"]).fails_with(&["the registry has no lm 9.9.9", "1.0.0:f32"]);
    yank(&["other@1.0.0", "--reason", "x"]).fails_with(&["no package other"]);
    yank(&["lm", "--reason", "x"]).fails_with(&["names no release"]);
    assert_eq!(yank(&["lm@1.0.0"]).code, 2, "a reason is needed");
}

/// The documents of bins in a registry: their versions and names.
fn bins(registry: &Path) -> Vec<(u64, String)> {
    let entries = std::fs::read_dir(registry.join("metadata")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let parts = names.filter_map(|name| {
        let (version, bin) = name.strip_suffix(".json")?.split_once('.')?;
        bin.starts_with("bins-").then(|| (version.parse().unwrap(), bin.to_owned()))
    });
    parts.collect()
}

#[test]
fn no_two_bins_ever_have_the_same_version() {
    let world = World::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        world.publish(&[Recipe::new("lm", version), Recipe::new("lib", version)]);
    }
    let registry = world.path("registry");
    let unique = |bins: &[(u64, String)]| {
        let versions: std::collections::BTreeSet<u64> = bins.iter().map(|one| one.0).collect();
        assert_eq!(versions.len(), bins.len(), "{bins:?}");
        versions.last().copied().unwrap()
    };
    let before = unique(&bins(&registry));
    // The snapshot says of a bin its version and nothing more.
    let number = version(&registry, TopLevel::Snapshot, &world);
    let text = std::fs::read_to_string(registry.join(format!("metadata/{number}.snapshot.json")));
    let snapshot: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let said = snapshot["signed"]["meta"].as_object().unwrap();
    for (name, file) in said {
        let keys: Vec<&str> = file.as_object().unwrap().keys().map(String::as_str).collect();
        let is_targets = name == "targets.json";
        assert_eq!(keys == ["version"], !is_targets, "{name}: {file}");
    }
    // What a run that was cut off left under another bin's name is passed over, and stays until
    // it cannot be taken for something newer.
    let stray = registry.join(format!("metadata/{}.bins-0.json", before + 7));
    std::fs::copy(registry.join("metadata/1.bins-0.json"), &stray).unwrap();
    let clean = || {
        for (version, bin) in bins(&registry) {
            let path = registry.join(format!("metadata/{version}.{bin}.json"));
            let file = std::fs::File::open(path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        world.run(["registry", "clean", "registry"]).succeeds();
    };
    clean();
    assert!(stray.is_file());
    world.publish(&[Recipe::new("lm", "1.3.0")]);
    assert!(unique(&bins(&registry)) > before + 7);
    clean();
    assert!(!stray.exists());
    world.with_registry(["info", "lm@1.3.0"]).succeeds();
}

#[test]
fn case_05_a_bin_passed_off_for_another() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lib", "1.0.0")]);
    let registry = world.path("registry");
    let current = |bin: &str| {
        let versions = bins(&registry).into_iter().filter(|one| one.1 == bin).map(|one| one.0);
        registry.join(format!("metadata/{}.{bin}.json", versions.max().unwrap()))
    };
    let digest = Digest::of(b"index/lm.json").to_string();
    let here = current(&format!("bins-{}", &digest[..1]));
    for other in 0..16 {
        let other = current(&format!("bins-{other:x}"));
        if other != here {
            let before = std::fs::read(&here).unwrap();
            std::fs::copy(&other, &here).unwrap();
            let said = world.with_registry(["info", "lm"]);
            said.fails_with(&["is not believed", "version"]);
            world
                .run(["registry", "yank", "lm@1.0.0", "--reason", "x", "--in", "registry"])
                .fails_with(&["it has version"]);
            std::fs::write(&here, before).unwrap();
        }
    }
    world.with_registry(["info", "lm"]).succeeds();
}

#[test]
fn refreshing_reads_the_bins_that_changed_since_the_last_time() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let registry = world.path("registry");
    let refresh = || world.run(["registry", "refresh", "registry"]);
    refresh().succeeds();
    // Whoever reads this one notices.
    let (number, bin) = bins(&registry).into_iter().max().unwrap();
    let place = registry.join(format!("metadata/{number}.{bin}.json"));
    let before = std::fs::read(&place).unwrap();
    std::fs::write(&place, "{}").unwrap();
    refresh().succeeds();
    std::fs::remove_file(registry.join(".mpkg-bins.json")).unwrap();
    refresh().fails_with(&[&bin]);
    // A file that says nothing is as none.
    std::fs::write(registry.join(".mpkg-bins.json"), "x").unwrap();
    refresh().fails_with(&[&bin]);
    std::fs::write(&place, before).unwrap();
    refresh().succeeds();
}

#[test]
fn refreshing_signs_what_would_expire() {
    let world = World::new();
    let at = |time: &str, arguments: &[&str]| {
        let time: jiff::Timestamp = time.parse().unwrap();
        let mut command = world.mpkg();
        command.env("SOURCE_DATE_EPOCH", time.as_second().to_string());
        Finished::of(command.arg("registry").args(arguments)).succeeds()
    };
    let registry = world.path("registry");
    at("2026-01-01T00:00:00Z", &["init", "registry"]);
    let versions =
        || [TopLevel::Timestamp, TopLevel::Snapshot].map(|role| version(&registry, role, &world));
    assert_eq!(versions(), [1, 1]);
    let done = at("2026-01-15T00:00:00Z", &["refresh", "registry"]);
    assert!(done.stderr.contains("good until 2026-02-14T00:00:00Z"), "{}", done.stderr);
    assert_eq!(versions(), [2, 1]);
    at("2026-03-10T00:00:00Z", &["refresh", "registry"]);
    assert_eq!(versions(), [3, 2], "less than a third of ninety days was left");
    let done = at("2026-10-01T00:00:00Z", &["refresh", "registry"]);
    for part in ["Signed 16 bins", "The targets role is good until 2027-01-01", "--role targets"] {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    at("2026-10-01T00:00:00Z", &["rotate", "registry", "--role", "targets"]);
    let done = at("2026-10-01T00:00:00Z", &["refresh", "registry"]);
    assert!(!done.stderr.contains("targets"), "{}", done.stderr);
    assert_eq!(version(&registry, TopLevel::Root, &world), 1, "only the targets role is new");
    assert_eq!(version(&registry, TopLevel::Targets, &world), 2);
}

#[test]
fn a_distribution_makes_its_registry_over_files_that_are_carried() {
    let world = World::new();
    let [one, two, three] =
        ["one", "two", "three"].map(|name| world.operator_key(&format!("offline-{name}"), name));
    let online = world.operator_key("server", "online");
    let clock = world.operator_key("server", "clock");
    let draft = world.path("first.draft").display().to_string();
    let init = [
        "init",
        "registry",
        "--root-key",
        &one,
        &two,
        &three,
        "--root-threshold",
        "2",
        "--online-key",
        &online,
        "--timestamp-key",
        &clock,
    ];
    world
        .operator("server", &init)
        .fails_with(&["the root still needs 2 signatures", "write it to a file with --out FILE"]);
    assert!(!world.path("registry").exists());
    let drafted = world.operator("server", &[&init[..], &["--out", &draft]].concat()).succeeds();
    assert!(drafted.stdout.contains("the root: 0 of 2 signatures"), "{}", drafted.stdout);
    world
        .operator("server", &["apply", "registry", &draft])
        .fails_with(&["still needs 2 signatures by keys of the new root"]);
    let signed = world.operator("offline-one", &["sign", &draft, "--key", "one"]).succeeds();
    assert!(signed.stderr.contains("root: 2 of 3 keys must sign"), "{}", signed.stderr);
    world.operator("offline-one", &["sign", &draft, "--key", "one"]).succeeds();
    world.operator("server", &["apply", "registry", &draft]).fails_with(&["needs 1 signature"]);
    world
        .operator("server", &["sign", &draft, "--key", "online"])
        .fails_with(&["has no say in it"]);
    world.operator("offline-three", &["sign", &draft]).succeeds();
    let made = world.operator("server", &["apply", "registry", &draft]).succeeds();
    assert!(made.stderr.contains("--root-sha256"), "{}", made.stderr);

    // Another timestamp key, as after a theft; the old one is not even at hand.
    let next = world.operator_key("server", "clock-2");
    std::fs::remove_file(world.path("server/keys/clock.pem")).unwrap();
    let draft = world.path("second.draft").display().to_string();
    let rotate = ["rotate", "registry", "--role", "timestamp", "--add", &next, "--remove", &clock];
    world.operator("server", &rotate).fails_with(&["the root still needs 2 signatures"]);
    world.operator("server", &[&rotate[..], &["--out", &draft]].concat()).succeeds();
    world.operator("offline-one", &["sign", &draft]).succeeds();
    world.operator("offline-two", &["sign", &draft]).succeeds();
    let stale = std::fs::read(&draft).unwrap();
    world.operator("server", &["apply", "registry", &draft]).succeeds();
    assert_eq!(version(&world.path("registry"), TopLevel::Root, &world), 2);
    world.operator("server", &["refresh", "registry"]).succeeds();

    // It is applied once; its signatures fit no other change.
    world.operator("server", &["apply", "registry", &draft]).succeeds();
    assert_eq!(version(&world.path("registry"), TopLevel::Root, &world), 2);
    let mut document: Value = serde_json::from_slice(&stale).unwrap();
    document["root"]["signed"]["version"] = 3.into();
    let forged = world.write("forged.draft", document.to_string()).display().to_string();
    world.operator("server", &["apply", "registry", &forged]).fails_with(&["still needs"]);
}

#[test]
fn every_role_gets_other_keys() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let registry = world.path("registry");
    for (role, old) in [
        ("timestamp", "registry-online"),
        ("snapshot", "registry-online"),
        ("bins", "registry-online"),
        ("targets", "registry-root"),
        ("root", "registry-root"),
    ] {
        let new = format!("{role}-2");
        world.run(["key", "new", &new]).succeeds();
        let rotate =
            ["registry", "rotate", "registry", "--role", role, "--add", &new, "--remove", old];
        world.run(rotate).succeeds();
        world.run(["registry", "refresh", "registry"]).succeeds();
        world.run(rotate).fails_with(&["the registry has no key"]);
    }
    // Nothing needs the old keys any more.
    for key in ["registry-online.pem", "registry-root.pem"] {
        std::fs::remove_file(world.path("home/keys").join(key)).unwrap();
    }
    world.publish(&[Recipe::new("lm", "1.1.0")]);
    world.run(["registry", "rotate", "registry", "--role", "root"]).succeeds();
    assert_eq!(version(&registry, TopLevel::Root, &world), 6);
}

#[test]
fn superseded_metadata_goes_only_when_it_is_told() {
    let world = World::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        world.publish(&[Recipe::new("lm", version)]);
    }
    let before = files(&world.path("registry"));
    let clean = |arguments: &[&str]| {
        let all = [&["registry", "clean", "registry"], arguments].concat();
        world.run(all).succeeds()
    };
    assert!(clean(&[]).stderr.contains("Removed 0 files"), "all of it is young");
    let mut command = world.mpkg();
    // Files of the far past, as a copy that keeps times has them.
    for path in before.keys() {
        let file = std::fs::File::open(world.path("registry").join(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let looked = clean(&["--dry-run"]);
    assert!(looked.stderr.contains("Would remove"), "{}", looked.stderr);
    assert_eq!(files(&world.path("registry")), before);
    clean(&[]);
    let after = files(&world.path("registry"));
    let kept = |path: &Path| after.contains_key(path);
    assert!(after.len() < before.len() && kept(Path::new("metadata/1.root.json")));
    assert!(!kept(Path::new("metadata/1.snapshot.json")));
    command.args(["registry", "refresh", "registry"]);
    Finished::of(&mut command).succeeds();
    world.publish(&[Recipe::new("lm", "1.3.0")]);
}

#[test]
fn case_38_the_publishers_of_a_name_change_with_the_old_ones_word() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world.run(["key", "new", "next"]).succeeds();
    let publishers = |arguments: &[&str]| {
        world.run([&["registry", "publishers", "lm", "--in", "registry"], arguments].concat())
    };
    let (me, next) = (world.key("me").id().to_string(), world.key("next").id().to_string());
    assert_eq!(publishers(&[]).succeeds().stdout, format!("1 of\n  {me}\n"));

    // Signed by both, a release stays good for those who know either.
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &world.key("me"));
    for file in pair.arguments() {
        world.run(["sign", "--key", "next", "--replace", &file]).succeeds();
        world.run(["sign", "--key", "me", &file]).succeeds();
    }
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    let anew = Finished::of(&mut command).succeeds();
    assert!(anew.stderr.contains("Signed anew: lm 1.0.0 (f32)"), "{}", anew.stderr);

    // Neither a stranger nor the new key alone can change them.
    let keys = ["me.pem", "registry-root.pem"];
    for key in keys {
        std::fs::rename(world.path("home/keys").join(key), world.path(key)).unwrap();
    }
    let next_key = world.path("home/keys/next.pub.json").display().to_string();
    let change = ["--add", &next_key, "--remove", &me];
    publishers(&change).fails_with(&["the change of publishers still needs 1 signature"]);
    let draft = world.path("change.draft").display().to_string();
    publishers(&[&change[..], &["--out", &draft]].concat()).succeeds();
    world
        .run(["registry", "apply", "registry", &draft])
        .fails_with(&["still needs 1 signature by keys of the old publishers"]);
    std::fs::rename(world.path("me.pem"), world.path("home/keys/me.pem")).unwrap();
    let signed = world.run(["registry", "sign", &draft, "--key", "me"]).succeeds();
    assert!(signed.stderr.contains("Publishers of lm from now on"), "{}", signed.stderr);
    world.run(["registry", "apply", "registry", &draft]).succeeds();
    let now = publishers(&[]).succeeds();
    assert_eq!(now.stdout, format!("1 of\n  {next}\n"));
    assert_eq!(now.stderr, "", "both releases are signed by the new key");

    // The old key is worth nothing now.
    let pair = Recipe::new("lm", "1.1.0").make(&world, "later", &world.key("me"));
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command).fails_with(&["lm is published by", &next]);
    world.run(["registry", "apply", "registry", &draft]).fails_with(&["signatures"]);

    // The offline role can change them too, and says which releases need signing.
    std::fs::rename(world.path("registry-root.pem"), world.path("home/keys/registry-root.pem"))
        .unwrap();
    std::fs::rename(world.path("home/keys/next.pem"), world.path("next.pem")).unwrap();
    world.run(["key", "new", "third"]).succeeds();
    let done = publishers(&["--add", "third", "--remove", &next, "--reason", "lost"]).succeeds();
    assert!(done.stderr.contains("lm 1.0.0 (f32) is not signed by them"), "{}", done.stderr);
    publishers(&["--threshold", "2"]).fails_with(&["cannot be had from 1 keys"]);
    publishers(&["--remove", &me]).fails_with(&["the registry has no publisher key"]);
}

#[test]
fn case_38_readers_follow_a_signed_change_of_publishers_and_no_other() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let registry = world.path("registry").display().to_string();
    let reader = |home: &str, arguments: &[&str]| {
        let mut command = world.mpkg();
        command.env("MPKG_HOME", world.path(home)).args(arguments);
        Finished::of(&mut command)
    };
    for home in ["early", "late"] {
        reader(home, &["registry", "add", &registry, "--tofu"]).succeeds();
    }
    reader("early", &["install", "lm"]).succeeds();

    // Whoever has the online keys alone writes other publishers into the index.
    let (thief, public) = world.foreign_key("thief");
    let pair = Recipe::new("lm", "1.1.0").make(&world, "stolen", &thief);
    let pem = world.write("thief.pem", public.to_pem()).display().to_string();
    world.run(["key", "import", &pem, "--name", "thief"]).succeeds();
    let before = files(&world.path("registry"));
    forge_publishers(&world, "lm", &[public]);
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command).succeeds();
    reader("early", &["install", "lm@^1.1"]).fails_with(&["the publisher of lm has changed"]);
    reader("early", &["upgrade"]).fails_with(&["the publisher of lm has changed"]);
    assert!(reader("early", &["list"]).succeeds().stdout.contains("1.0.0"));

    // The operator puts things right, and hands the name on with the old publisher's word.
    std::fs::remove_dir_all(world.path("registry")).unwrap();
    for (path, bytes) in &before {
        world.write(&format!("registry/{}", path.display()), bytes);
    }
    world.run(["key", "new", "next"]).succeeds();
    let change =
        ["registry", "publishers", "lm", "--in", "registry", "--add", "next", "--remove", "me"];
    world.run(change).succeeds();
    let pair = Recipe::new("lm", "1.2.0").make(&world, "next", &world.key("next"));
    let mut command = world.mpkg();
    command.args(["publish", "--to", "registry"]).args(pair.arguments());
    Finished::of(&mut command).succeeds();
    reader("late", &["install", "lm"]).succeeds();
    assert!(reader("late", &["list"]).succeeds().stdout.contains("1.2.0"));
    // What only the revoked key signed is not to be had any more.
    reader("late", &["install", "lm@=1.0.0"]).fails_with(&["the signature of lm 1.0.0"]);
}

/// Names other publishers in an index and signs everything with the online keys.
fn forge_publishers(world: &World, name: &str, keys: &[mpkg::crypto::PublicKey]) {
    let target = format!("index/{name}.json");
    let mut index: Value = serde_json::from_slice(&world.said(&target)).unwrap();
    let publishers = mpkg::registry::Publishers::any_of(keys.iter().copied());
    index["publishers"] = serde_json::to_value(publishers).unwrap();
    world.say(&target, &mpkg::crypto::canonical::to_vec(&index).unwrap());
}
