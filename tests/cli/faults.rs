//! Case 39 by enumeration: a command is killed before each of its writing calls in turn, and each of
//! them fails with a full disk and with a disk error. What is seen then is what was seen before the
//! command or what is seen after it; an error is said in words with exit code 1; and the command works
//! when it is given again. What is seen: of a home folder what `list` and `verify` say; of a registry
//! `info` and `search`; of one that is made or added `registry list` too; of a build the packages that
//! its record names.
//!
//! A sample runs with the other tests; all of it with `MPKG_FAULTS=all cargo test --release --test cli
//! faults`, which prints the counts with `-- --nocapture`.

mod tracer;

use std::process::Command;

use crate::support::packages::{Pair, Recipe};
use crate::support::{Finished, World};
use tracer::{Ended, Fault, run};

/// How many calls of each command have a fault of each kind in a sample.
const SAMPLE: usize = 5;

/// What is looked at before and after.
#[derive(Debug, Clone, Copy)]
enum View {
    /// What these commands say.
    Said(&'static [&'static [&'static str]]),
    /// The packages that the record of a build names.
    Record(&'static str),
}

const HOME: View = View::Said(&[&["list"], &["verify"]]);
const REGISTRY: View = View::Said(&[&["info", "lm", "--json"], &["search"]]);

/// When the command is given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Whatever is found after the fault.
    Always,
    /// Where the state is still the old one; where it is the new one it would be refused.
    WhereOld,
}

struct Scenario {
    world: World,
    /// The world as it was before the command.
    before: tempfile::TempDir,
    view: View,
    again: Again,
    arguments: Vec<String>,
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    Finished::of(Command::new("cp").arg("-a").arg(from.join(".")).arg(to)).succeeds();
}

impl Scenario {
    fn new(world: World, view: View, again: Again, arguments: &[&str]) -> Self {
        let before = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        copy(world.root(), before.path());
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        Self { world, before, view, again, arguments }
    }

    fn command(&self) -> Command {
        let mut command = self.world.mpkg();
        command.env("MPKG_REGISTRY", self.world.path("registry"));
        command.env("RAYON_NUM_THREADS", "1").args(&self.arguments);
        command
    }

    fn reset(&self) {
        for entry in std::fs::read_dir(self.world.root()).expect("the world") {
            let path = entry.expect("an entry").path();
            Finished::of(Command::new("rm").arg("-rf").arg(path)).succeeds();
        }
        copy(self.before.path(), self.world.root());
    }

    /// The state: what a person sees.
    fn look(&self) -> String {
        match self.view {
            View::Said(looks) => {
                let said: Vec<String> = looks.iter().map(|look| self.said(look)).collect();
                said.join("\n--\n")
            }
            View::Record(record) => self.recorded(record),
        }
    }

    fn said(&self, look: &[&str]) -> String {
        let said = self.world.with_registry(look.iter().copied());
        assert!((0..2).contains(&said.code), "{look:?}: {}", said.stderr);
        assert!(!said.stderr.contains("panicked"), "{look:?}: {}", said.stderr);
        // Of an error its kind counts; the words may name folders that are new in each run.
        let is_error = said.code == 1 && look.contains(&"--json");
        let stdout = match is_error {
            true => said.json()["error"]["kind"].to_string(),
            false => said.stdout,
        };
        // When a release was published is another time in each run.
        let lines: Vec<&str> =
            stdout.lines().filter(|line| !line.contains("\"published\"")).collect();
        format!("{}\n{}", said.code, lines.join("\n"))
    }

    /// The packages that a record names, which stand beside it.
    fn recorded(&self, record: &str) -> String {
        let path = self.world.path(record);
        let Ok(text) = std::fs::read_to_string(&path) else { return String::new() };
        let record: serde_json::Value = serde_json::from_str(&text).expect("a whole record");
        let outputs = record["outputs"].as_array().expect("outputs").iter();
        let packages = [&record["source"]].into_iter().chain(outputs).map(|one| {
            let file = one["file"].as_str().expect("a file");
            let bytes = std::fs::read(path.with_file_name(file)).expect("the package");
            assert_eq!(one["sha256"], mpkg::package::Digest::of(&bytes).to_string(), "{file}");
            format!("{file} {}", one["sha256"])
        });
        packages.collect::<Vec<_>>().join("\n")
    }

    /// Gives every call of the command, or some, each kind of fault.
    #[expect(clippy::print_stderr, reason = "the counts are for whoever runs all of it")]
    fn enumerate(&self) {
        let old = self.look();
        let whole = run(&mut self.command(), self.world.root(), usize::MAX, Fault::Kill);
        assert_eq!(whole.code, 0, "{}", whole.stderr);
        let new = self.look();
        let is_whole = std::env::var("MPKG_FAULTS").is_ok_and(|value| value == "all");
        let step = if is_whole { 1 } else { whole.calls.div_ceil(SAMPLE).max(1) };
        let (mut hits, mut ends) = (0, [0; 3]);
        for (number, fault) in [Fault::Kill, Fault::Error(libc::ENOSPC), Fault::Error(libc::EIO)]
            .into_iter()
            .enumerate()
        {
            let mut at = 1 + number * step / 3;
            loop {
                self.reset();
                let ended = run(&mut self.command(), self.world.root(), at, fault);
                if ended.hit.is_none() {
                    break;
                }
                hits += 1;
                ends[self.judge(&ended, at, fault, [&old, &new])] += 1;
                at += step;
            }
        }
        let [olds, news, same] = ends;
        eprintln!(
            "{:?}: {} writing calls, {hits} faults: {olds} old, {news} new, {same} where both are alike",
            self.arguments, whole.calls
        );
        assert!(hits >= 9, "only {hits} faults were made");
    }

    /// Checks one end; gives 0 where the state is the old one, 1 for the new, 2 for both.
    fn judge(&self, ended: &Ended, at: usize, fault: Fault, [old, new]: [&String; 2]) -> usize {
        let case = format!("{:?}, {fault:?} at call {at} ({:?})", self.arguments, ended.hit);
        let found = self.look();
        assert!(found == *old || found == *new, "{case}: {}\n{found}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{case}: {}", ended.stderr);
        match (fault, ended.code) {
            (Fault::Kill, -1) => {}
            (Fault::Error(_), 0) => assert_eq!(found, *new, "{case}: it says that it is done"),
            (Fault::Error(_), 1) => {
                let is_clear =
                    ended.stderr.contains("error: ") && ended.stderr.contains("os error");
                assert!(is_clear, "{case}: {}", ended.stderr);
            }
            (_, code) => panic!("{case}: exit code {code}: {}", ended.stderr),
        }
        if found == *old || self.again == Again::Always {
            Finished::of(&mut self.command()).succeeds();
            assert_eq!(self.look(), *new, "{case}: given again");
        }
        if matches!(self.view, View::Said([["list"], ..])) {
            self.world.run(["gc"]).succeeds();
            self.world.run(["verify"]).succeeds();
        }
        usize::from(found == *new) * (1 + usize::from(old == new))
    }
}

fn world() -> World {
    let world = World::new();
    world.publish(&[
        Recipe::new("lib", "1.0.0").file("weights.bin", vec![5; 200_000]),
        Recipe::new("app", "1.0.0").needs("lib", "^1").program("run.sh", "#!/bin/sh\n"),
    ]);
    world
}

fn installed() -> World {
    let world = world();
    world.with_registry(["install", "app"]).succeeds();
    world
}

#[test]
fn case_39_install() {
    Scenario::new(world(), HOME, Again::WhereOld, &["install", "app"]).enumerate();
}

#[test]
fn case_39_upgrade() {
    let world = installed();
    world.publish(&[Recipe::new("lib", "1.1.0").file("weights.bin", vec![6; 100_000])]);
    Scenario::new(world, HOME, Again::WhereOld, &["upgrade"]).enumerate();
}

#[test]
fn case_39_remove() {
    Scenario::new(installed(), HOME, Again::WhereOld, &["remove", "app"]).enumerate();
}

#[test]
fn case_39_rollback() {
    let world = installed();
    world.run(["remove", "app"]).succeeds();
    Scenario::new(world, HOME, Again::WhereOld, &["rollback", "1"]).enumerate();
}

#[test]
fn case_39_gc() {
    let world = installed();
    world.run(["remove", "app", "--keep-dependencies"]).succeeds();
    world.write("home/cache/steps/ab/abcd/out/w.bin", "x");
    Scenario::new(world, HOME, Again::WhereOld, &["gc", "--keep", "1", "--cache-age", "0"])
        .enumerate();
}

#[test]
fn case_39_reinstall() {
    let world = installed();
    let weights = world.path("home/profiles/default/current/packages/lib/weights.bin");
    std::fs::remove_file(weights).unwrap();
    Scenario::new(world, HOME, Again::WhereOld, &["reinstall", "lib"]).enumerate();
}

/// A registry with `lm` 1.0.0, and the folder as an argument.
fn registry() -> (World, String) {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let registry = world.path("registry").display().to_string();
    (world, registry)
}

#[test]
fn case_39_publish() {
    let (world, registry) = registry();
    let pair: Pair = Recipe::new("lm", "1.1.0").make(&world, "dist", &world.key("me"));
    let [source, binary] = pair.arguments();
    let arguments = ["publish", "--to", &registry, &source, &binary];
    Scenario::new(world, REGISTRY, Again::Always, &arguments).enumerate();
}

#[test]
fn case_39_registry_yank() {
    let (world, registry) = registry();
    let arguments = ["registry", "yank", "lm@1.0.0", "--reason", "wrong", "--in", &registry];
    Scenario::new(world, REGISTRY, Again::Always, &arguments).enumerate();
}

/// An advisory is there with its record and its signatures, or not at all.
#[test]
fn case_39_publish_advisory() {
    const VIEW: View = View::Said(&[&["advisory", "list"], &["audit", "lm", "--partial"]]);
    let (world, registry) = registry();
    let new = ["advisory", "new", "--package", "lm", "--summary", "It is wrong", "--out", "a.json"];
    world.run(new).succeeds();
    world.run(["advisory", "sign", "a.json", "--key", "me"]).succeeds();
    let arguments = ["publish", "--to", &registry, "--advisory", "a.json"];
    Scenario::new(world, VIEW, Again::Always, &arguments).enumerate();
}

/// All that is signed online is near its end or over: whoever reads the registry says so, until it
/// is refreshed.
#[test]
fn case_39_registry_refresh() {
    let world = World::new();
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 300);
    let pair = Recipe::new("lm", "1.0.0").make(&world, "dist", &world.key("me"));
    let registry = world.path("registry").display().to_string();
    let mut publish = world.mpkg();
    publish.env("SOURCE_DATE_EPOCH", past.as_second().to_string());
    publish.args(["publish", "--create", "--to", &registry]).args(pair.arguments());
    Finished::of(&mut publish).succeeds();
    let arguments = ["registry", "refresh", &registry];
    Scenario::new(world, REGISTRY, Again::Always, &arguments).enumerate();
}

#[test]
fn case_39_registry_init() {
    const VIEW: View =
        View::Said(&[&["registry", "list"], &["info", "lm", "--registry", "./mine", "--json"]]);
    let world = World::new();
    Scenario::new(world, VIEW, Again::WhereOld, &["registry", "init", "mine"]).enumerate();
}

#[test]
fn case_39_registry_add() {
    const VIEW: View = View::Said(&[
        &["--home", "other", "registry", "list"],
        &["--home", "other", "info", "lm", "--registry", "r", "--json"],
    ]);
    let (world, registry) = registry();
    let add = ["--home", "other", "registry", "add", &registry, "--name", "r", "--tofu"];
    Scenario::new(world, VIEW, Again::WhereOld, &add).enumerate();
}

/// A tree with one step, in which packages are made of what it copies.
const TREE: &str = "[package]
name = \"child\"
version = \"1.0.0\"
kind = \"dataset\"
summary = \"A child\"
license = \"MIT\"
[environment]
python = \">=3.8\"
[[step]]
name = \"copy\"
run = [\"python\", \"-c\", \"import sys; open(sys.argv[1] + '/a', 'w').write('a' * 99)\", \"{out}\"]
[[variant]]
name = \"text\"
from = \"copy\"
files = [\"a\"]
";

#[test]
fn case_39_pack() {
    const PACKED: &str = "child/dist/child-1.0.0.src.mpkg";
    const VIEW: View = View::Said(&[&["verify", "--contents-only", PACKED, "--json"]]);
    let world = World::new();
    world.write("child/mpkg.toml", TREE);
    Scenario::new(world, VIEW, Again::Always, &["pack", "child"]).enumerate();
}

/// Its step is in the cache: what is enumerated is all that comes before and after the steps.
#[test]
fn case_39_build() {
    let world = World::new();
    world.write("child/mpkg.toml", TREE);
    world.run(["build", "child"]).succeeds();
    std::fs::remove_dir_all(world.path("child/dist")).unwrap();
    let view = View::Record("child/dist/child-1.0.0.build.json");
    Scenario::new(world, view, Again::Always, &["build", "child"]).enumerate();
}
