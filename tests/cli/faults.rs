//! Case 39 by enumeration: a command is killed before each of its writing calls in turn, and each of
//! them fails with a full disk and with a disk error. What `list` and `verify` (of a registry: `info` and
//! `search` together) say then is what they said before the command or what they say after it; an
//! error is said in words with exit code 1; and the command works when it is given again.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Home,
    Registry,
}

struct Scenario {
    world: World,
    /// The world as it was before the command.
    before: tempfile::TempDir,
    view: View,
    arguments: Vec<String>,
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    Finished::of(Command::new("cp").arg("-a").arg(from.join(".")).arg(to)).succeeds();
}

impl Scenario {
    fn new(world: World, view: View, arguments: &[&str]) -> Self {
        let before = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        copy(world.root(), before.path());
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        Self { world, before, view, arguments }
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
        let looks: &[&[&str]] = match self.view {
            View::Home => &[&["list"], &["verify"]],
            View::Registry => &[&["info", "lm", "--json"], &["search"]],
        };
        let said = looks.iter().map(|look| {
            let said = self.world.with_registry(look.iter().copied());
            assert!(said.code >= 0 && said.code < 2, "{}", said.stderr);
            assert!(!said.stdout.is_empty() || said.code == 0, "{look:?}: {}", said.stderr);
            // When a release was published is another time in each run.
            let lines = said.stdout.lines().filter(|line| !line.contains("\"published\""));
            lines.collect::<Vec<_>>().join("\n")
        });
        said.collect::<Vec<_>>().join("\n--\n")
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
        if found == *old || self.view == View::Registry {
            Finished::of(&mut self.command()).succeeds();
            assert_eq!(self.look(), *new, "{case}: given again");
        }
        match self.view {
            View::Home => {
                self.world.run(["gc"]).succeeds();
                self.world.run(["verify"]).succeeds();
            }
            View::Registry => {
                let found = self.world.with_registry(["search"]).succeeds().stdout;
                assert!(found.contains("1.1.0"), "{case}: {found}");
            }
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
    Scenario::new(world(), View::Home, &["install", "app"]).enumerate();
}

#[test]
fn case_39_upgrade() {
    let world = installed();
    world.publish(&[Recipe::new("lib", "1.1.0").file("weights.bin", vec![6; 100_000])]);
    Scenario::new(world, View::Home, &["upgrade"]).enumerate();
}

#[test]
fn case_39_remove() {
    Scenario::new(installed(), View::Home, &["remove", "app"]).enumerate();
}

#[test]
fn case_39_rollback() {
    let world = installed();
    world.run(["remove", "app"]).succeeds();
    Scenario::new(world, View::Home, &["rollback", "1"]).enumerate();
}

#[test]
fn case_39_gc() {
    let world = installed();
    world.run(["remove", "app", "--keep-dependencies"]).succeeds();
    world.write("home/cache/steps/ab/abcd/out/w.bin", "x");
    Scenario::new(world, View::Home, &["gc", "--keep", "1", "--cache-age", "0"]).enumerate();
}

#[test]
fn case_39_reinstall() {
    let world = installed();
    let weights = world.path("home/profiles/default/current/packages/lib/weights.bin");
    std::fs::remove_file(weights).unwrap();
    Scenario::new(world, View::Home, &["reinstall", "lib"]).enumerate();
}

#[test]
fn case_39_publish() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let pair: Pair = Recipe::new("lm", "1.1.0").make(&world, "dist", &world.key("me"));
    let [source, binary] = pair.arguments();
    let registry = world.path("registry").display().to_string();
    let arguments = ["publish", "--to", &registry, &source, &binary];
    Scenario::new(world, View::Registry, &arguments).enumerate();
}
