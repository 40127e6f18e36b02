//! The store: what a second look finds, going back, and being cut off at any moment.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

fn installed() -> World {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0").file("weights.bin", vec![5; 200_000]),
        Recipe::new("app", "1.0.0").needs("lib", "^1").program("run.sh", "#!/bin/sh\n"),
    ]);
    world.with_registry(["install", "app"]).succeeds();
    world
}

fn file(world: &World, path: &str) -> PathBuf {
    let link = world.path("home/profiles/default/current/packages").join(path);
    std::fs::canonicalize(link).unwrap()
}

fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o444)).unwrap();
}

#[test]
fn case_37_what_was_changed_after_installing() {
    let world = installed();
    let good = world.run(["verify"]).succeeds();
    assert_eq!(good.stdout, "good    app 1.0.0 (f32)\ngood    lib 1.0.0 (f32)\n");
    overwrite(&file(&world, "lib/weights.bin"), |bytes| bytes[1000] ^= 1);
    std::fs::write(file(&world, "lib").join("extra.txt"), "more").unwrap();
    let program = file(&world, "app/run.sh");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::remove_file(file(&world, "app/data.txt")).unwrap();
    let found = world.run(["verify"]);
    assert_eq!(found.code, 1);
    assert_eq!(
        found.stdout,
        "damaged app 1.0.0 (f32)\n\
         \u{20}       data.txt: it is missing\n\
         \u{20}       run.sh: its permissions were changed\n\
         damaged lib 1.0.0 (f32)\n\
         \u{20}       extra.txt: it does not belong to the package\n\
         \u{20}       weights.bin: its contents were changed\n"
    );
    assert!(found.stderr.contains("mpkg reinstall app lib"), "{}", found.stderr);
    let json = world.run(["verify", "lib", "--json"]).json();
    assert_eq!(json["packages"][0]["damaged"][1]["damage"], "changed");

    world.with_registry(["reinstall", "app", "lib"]).succeeds();
    world.run(["verify"]).succeeds();
    assert_eq!(std::fs::read(file(&world, "lib/weights.bin")).unwrap(), vec![5; 200_000]);
}

#[test]
fn a_damaged_content_is_not_installed_again() {
    let world = installed();
    overwrite(&file(&world, "lib/weights.bin"), |bytes| bytes[7] ^= 1);
    world.publish(&[Recipe::new("other", "1.0.0").file("same.bin", vec![5; 200_000])]);
    world.with_registry(["install", "other"]).succeeds();
    world.run(["verify", "other"]).succeeds();
    assert_eq!(std::fs::read(file(&world, "other/same.bin")).unwrap(), vec![5; 200_000]);
}

#[test]
fn going_back_and_clearing_away() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0"), Recipe::new("lm", "1.1.0")]);
    world.with_registry(["install", "lm@=1.0.0"]).succeeds();
    let unchanged = world.with_registry(["upgrade"]).succeeds();
    assert!(unchanged.stderr.contains("already"), "it stays within =1.0.0: {}", unchanged.stderr);
    world.with_registry(["install", "lm@^1.1"]).succeeds();
    assert_eq!(std::fs::read(file(&world, "lm/data.txt")).unwrap(), b"lm 1.1.0\n");
    world.run(["rollback"]).succeeds();
    assert_eq!(std::fs::read(file(&world, "lm/data.txt")).unwrap(), b"lm 1.0.0\n");
    world.run(["rollback"]).fails_with(&["there is no generation 0", "there are: 1, 2"]);
    world.run(["rollback", "2"]).succeeds();
    let list = world.run(["generations"]).succeeds().stdout;
    assert!(list.contains("2*") && list.contains("install lm@=1.0.0"), "{list}");

    world.run(["gc"]).succeeds();
    assert_eq!(std::fs::read_dir(world.path("home/store/packages")).unwrap().count(), 2);
    world.run(["gc", "--keep", "1"]).succeeds();
    assert_eq!(std::fs::read_dir(world.path("home/store/packages")).unwrap().count(), 1);
    world.run(["rollback", "1"]).fails_with(&["there is no generation 1"]);
    world.run(["verify"]).succeeds();
}

#[test]
fn upgrading_to_what_is_newer() {
    let world = World::new();
    world.publish(&[Recipe::new("lib", "1.0.0"), Recipe::new("app", "1.0.0").needs("lib", "^1")]);
    world.with_registry(["install", "app"]).succeeds();
    world.publish(&[Recipe::new("lib", "1.5.0"), Recipe::new("app", "1.2.0").needs("lib", "^1")]);
    world.with_registry(["upgrade", "lib"]).succeeds();
    assert_eq!(std::fs::read(file(&world, "lib/data.txt")).unwrap(), b"lib 1.5.0\n");
    assert_eq!(std::fs::read(file(&world, "app/data.txt")).unwrap(), b"app 1.0.0\n");
    let done = world.with_registry(["upgrade"]).succeeds();
    assert!(done.stderr.contains("replace  app 1.2.0 (f32)  instead of 1.0.0"), "{}", done.stderr);
    let why = world.run(["why", "lib"]).succeeds().stdout;
    assert_eq!(why, "you asked for app 1.2.0, which needs lib@^1, met by lib 1.5.0\n");
    world.with_registry(["upgrade", "nothing"]).fails_with(&["nothing is not installed"]);
}

#[test]
fn two_at_once_wait_and_say_so() {
    let world = World::new();
    world.publish(&[Recipe::new("one", "1.0.0"), Recipe::new("two", "1.0.0")]);
    std::fs::create_dir_all(world.path("home")).unwrap();
    let held = std::fs::File::create(world.path("home/lock")).unwrap();
    held.lock().unwrap();
    let mut waiting: Vec<_> = ["one", "two"]
        .iter()
        .map(|name| {
            let mut command = world.mpkg();
            command.env("MPKG_REGISTRY", world.path("registry")).args(["install", name]);
            let child = command.stderr(Stdio::piped()).spawn().unwrap();
            (child, String::new())
        })
        .collect();
    for (child, said) in &mut waiting {
        use std::io::{BufRead as _, BufReader};
        let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
        lines.read_line(said).unwrap();
        assert!(said.starts_with("Waiting for another mpkg"), "{said}");
    }
    assert!(!world.path("home/profiles/default/current").exists());
    held.unlock().unwrap();
    for (mut child, _) in waiting {
        let rest = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
    }
    let list = world.run(["list"]).succeeds().stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    world.run(["verify"]).succeeds();
}

/// The program under strace, killed at the `number`th of its calls of `calls`.
fn killed_at(world: &World, calls: &str, number: usize, arguments: &[&str]) -> bool {
    let mpkg = world.mpkg();
    let mut command = Command::new("strace");
    command.current_dir(world.root()).env_clear();
    command.envs(mpkg.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .env("MPKG_REGISTRY", world.path("registry"))
        .args(["-f", "-qq", "-o"])
        .arg(world.path("trace"))
        .arg(format!("--trace={calls}"))
        .arg(format!("--inject={calls}:signal=KILL:when={number}"))
        .arg(mpkg.get_program())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status().unwrap_or_else(|error| {
        panic!("strace does not start ({error}): install it, as with `apt install strace`")
    });
    status.signal() == Some(9) || status.code() == Some(137)
}

/// The calls by which files come to be what they are.
const WRITING: [&str; 9] = [
    "renameat,renameat2,rename",
    "linkat,link",
    "symlinkat,symlink",
    "mkdirat,mkdir",
    "fsync,fdatasync,syncfs",
    "unlinkat,unlink,rmdir",
    "fchmod,fchmodat",
    "utimensat",
    "write",
];

#[test]
fn case_39_killed_at_every_writing_call_of_an_install() {
    let world = installed();
    world.publish(&[Recipe::new("lib", "1.1.0").file("weights.bin", vec![6; 100_000])]);
    let old = world.run(["list"]).succeeds().stdout;
    let mut kills = 0;
    for calls in WRITING {
        // strace counts the calls of each thread and name; beyond the thirtieth come only writes.
        for number in 1..=30 {
            let was_killed = killed_at(&world, calls, number, &["upgrade", "lib"]);
            let now = world.run(["list"]).succeeds().stdout;
            assert!(now == old || now.contains("1.1.0"), "{calls} {number}: {now}");
            world.run(["verify"]).succeeds();
            if now != old {
                world.run(["rollback", "1"]).succeeds();
            }
            world.run(["gc", "--keep", "1"]).succeeds();
            if !was_killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 20, "only {kills} runs were killed");
    world.with_registry(["upgrade", "lib"]).succeeds();
    world.run(["verify"]).succeeds();
    let left = std::fs::read_dir(world.path("home/store/staging")).unwrap().count();
    assert_eq!(left, 0, "the next run clears what was left");
}

#[test]
fn case_39_killed_while_publishing() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let key = world.key("me");
    let registry = world.path("registry").display().to_string();
    let mut kills = 0;
    let places = WRITING.iter().flat_map(|calls| [1, 2, 4, 7].map(|number| (number, *calls)));
    for (number, calls) in places {
        let version = format!("1.1.{kills}");
        let pair = Recipe::new("lm", &version).provides("generator").make(&world, "dist", &key);
        let [source, binary] = pair.arguments();
        let arguments = ["publish", "--to", &registry, &source, &binary];
        if killed_at(&world, calls, number, &arguments) {
            kills += 1;
        }
        world.with_registry(["info", "lm"]).succeeds();
        world.with_registry(["search"]).succeeds();
        world.run(arguments).succeeds();
        let info = world.with_registry(["info", "lm@^1.1", "--json"]).succeeds().json();
        assert_eq!(info["releases"][0]["version"], version.as_str());
        let found = world.with_registry(["search", "generator"]).succeeds().stdout;
        assert!(found.contains(&version), "{found}");
    }
    assert!(kills > 6, "only {kills} runs were killed");
    assert!(!world.path("registry/.mpkg-staging").exists());
}

#[test]
fn case_40_a_full_disk_leaves_the_old_state() {
    let world = installed();
    let old = world.run(["list"]).succeeds().stdout;
    world.publish(&[Recipe::new("large", "1.0.0").file("a.bin", vec![1; 3_000_000])]);
    let mut command = Command::new("sh");
    let mpkg = world.mpkg();
    command.current_dir(world.root()).env_clear();
    command.envs(mpkg.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Files may grow to 1 MB: the same failure in the same places as a disk that is full.
    command.env("MPKG_REGISTRY", world.path("registry")).args(["-c"]).arg(format!(
        "trap '' XFSZ; ulimit -f 2000; exec {} install large",
        mpkg.get_program().display()
    ));
    Finished::of(&mut command).fails_with(&["cannot write", "a.bin"]);
    assert_eq!(world.run(["list"]).succeeds().stdout, old);
    world.run(["verify"]).succeeds();
    world.with_registry(["install", "large"]).succeeds();
    world.run(["verify"]).succeeds();
}

#[test]
fn case_40_failing_syncs_leave_the_old_state() {
    let world = installed();
    let old = world.run(["list"]).succeeds().stdout;
    world.publish(&[Recipe::new("more", "1.0.0")]);
    for number in [1, 2, 4, 8] {
        let mpkg = world.mpkg();
        let mut command = Command::new("strace");
        command.current_dir(world.root()).env_clear();
        command.envs(mpkg.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
            .env("MPKG_REGISTRY", world.path("registry"))
            .args(["-f", "-qq", "-o", "/dev/null", "--trace=fsync"])
            .arg(format!("--inject=fsync:error=EIO:when={number}"))
            .arg(mpkg.get_program())
            .args(["install", "more"]);
        Finished::of(&mut command).fails_with(&["cannot sync", "Input/output error"]);
        assert_eq!(world.run(["list"]).succeeds().stdout, old);
    }
    world.with_registry(["install", "more"]).succeeds();
    world.run(["verify"]).succeeds();
}

#[test]
fn case_40_a_home_that_cannot_be_written() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world.write("file", "in the way");
    let registry = world.path("registry").display().to_string();
    let add = |home: &str| world.run(["--home", home, "registry", "add", &registry, "--tofu"]);
    add("file/below").fails_with(&["file/below"]);
    add("/proc/mpkg").fails_with(&["cannot create the folder /proc/mpkg"]);
    for home in ["file/below", "/proc/mpkg"] {
        let mut command = world.mpkg();
        command.env("MPKG_REGISTRY", &registry).args(["--home", home, "install", "lm"]);
        assert_eq!(Finished::of(&mut command).code, 1);
    }
}
