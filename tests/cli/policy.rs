//! `policy.toml`: what may be installed, whatever the signatures say.

use std::process::Command;

use snapbox::{assert_data_eq, str};

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

/// `lm`, and `old` with pickle-based files, published by the key `me`.
fn world() -> World {
    let world = World::new();
    let pickle = b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.".to_vec();
    world.publish(&[
        Recipe::new("lm", "1.0.0"),
        Recipe::new("old", "1.0.0").file("w.pt", pickle).pickle("no converter yet"),
        Recipe::new("app", "1.0.0").needs("lm", "^1"),
    ]);
    world
}

#[test]
fn pickle_that_is_denied_cannot_be_allowed_by_the_command() {
    let world = world();
    world.write("home/policy.toml", "[default]\npublisher = \"required\"\npickle = \"deny\"\n");
    world.with_registry(["install", "old", "--allow-pickle"]).fails_with(&[
        "old 1.0.0 (f32) is forbidden by",
        "policy.toml, line 3: pickle-based files, which can run code, stand in it (no converter yet)",
    ]);
    world.with_registry(["install", "lm"]).succeeds();
    let exempt = "[default]\npickle = \"deny\"\n[package.old]\npickle = \"ask\"\n";
    world.write("home/policy.toml", exempt);
    world.with_registry(["install", "old"]).fails_with(&["--allow-pickle"]);
    world.with_registry(["install", "old", "--allow-pickle"]).succeeds();
}

#[test]
fn a_class_that_nobody_has_shown_meets_only_non_free() {
    let world = world();
    world.write("home/policy.toml", "[default]\nmin-class = \"main\"\n");
    let refused = world.with_registry(["install", "app", "--dry-run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("its class must be main or better, and is not known"));
    assert!(!world.path("home/profiles/default/current").exists());
    world.write("home/policy.toml", "[default]\nmin-class = \"non-free\"\n");
    world.with_registry(["install", "app"]).succeeds();
}

#[test]
fn only_keys_that_are_accepted_may_have_signed() {
    let world = world();
    let other = world.key("other").public().id();
    world.write("home/policy.toml", format!("[package.lm]\nkeys = [\"{other}\"]\n"));
    // It holds for what comes along as a dependency as well.
    let json = world.with_registry(["install", "app", "--json"]).fails_with(&[
        "lm 1.0.0 (f32) is forbidden by",
        "line 2: it is signed by",
        "by none of the keys that are accepted",
    ]);
    assert_eq!(json.json()["error"]["kind"], "forbidden-by-policy");
    let own = world.key("me").public().id();
    world.write("home/policy.toml", format!("[package.lm]\nkeys = [\"{other}\", \"{own}\"]\n"));
    world.with_registry(["install", "app"]).succeeds();
}

#[test]
fn a_policy_holds_for_what_builds_and_reinstalling_bring_in() {
    let world = world();
    world.with_registry(["install", "app"]).succeeds();
    let tree = "[package]\nname = \"child\"\nversion = \"1.0.0\"\nkind = \"dataset\"\n\
        summary = \"s\"\nlicense = \"MIT\"\n[build-dependencies]\nlm = \"^1\"\n\
        [environment]\npython = \">=3.8\"\n[[step]]\nname = \"copy\"\n\
        run = [\"python\", \"-c\", \"import sys; open(sys.argv[1] + '/a', 'w').close()\", \"{out}\"]\n\
        [[variant]]\nname = \"f\"\nfrom = \"copy\"\nfiles = [\"a\"]\n";
    world.write("child/mpkg.toml", tree);
    let other = world.key("other").public().id();
    world.write("home/policy.toml", format!("[package.lm]\nkeys = [\"{other}\"]\n"));
    let refused = &["lm 1.0.0 (f32) is forbidden by", "by none of the keys that are accepted"];
    world.with_registry(["build", "child"]).fails_with(refused);
    world.with_registry(["fetch", "child"]).fails_with(refused);
    world.with_registry(["reinstall", "lm"]).fails_with(refused);
    world.with_registry(["reinstall", "app"]).succeeds();
    std::fs::remove_file(world.path("home/policy.toml")).unwrap();
    world.with_registry(["build", "child"]).succeeds();
    world.with_registry(["reinstall", "lm"]).succeeds();
}

/// The program where `/etc/mpkg/policy.toml` says `policy`: in a mount namespace of its own.
fn with_system_policy(world: &World, policy: &str, arguments: &[&str]) -> Finished {
    let file = world.write("system-policy.toml", policy);
    let mut inner = world.mpkg();
    inner.args(arguments);
    let script = "mount -t tmpfs none /etc && mkdir /etc/mpkg && cp \"$1\" /etc/mpkg/policy.toml \
                  && shift && exec \"$@\"";
    let mut outer = Command::new("unshare");
    outer.args(["--map-root-user", "--mount", "sh", "-ec", script, "sh"]).arg(file);
    outer.arg(inner.get_program()).args(inner.get_args()).current_dir(world.root()).env_clear();
    for (name, value) in inner.get_envs() {
        outer.env(name, value.expect("a value"));
    }
    outer.env("MPKG_REGISTRY", world.path("registry"));
    Finished::of(&mut outer)
}

#[test]
fn the_administrators_policy_holds_beside_a_persons_own() {
    let world = world();
    let strict = "[default]\npickle = \"deny\"\n";
    let install = ["install", "old", "--allow-pickle"];
    // A person cannot be looser than the administrator, and can be stricter.
    world.write("home/policy.toml", "[default]\npickle = \"ask\"\n");
    with_system_policy(&world, strict, &install)
        .fails_with(&["forbidden by /etc/mpkg/policy.toml, line 2"]);
    world.write("home/policy.toml", "# stricter\n[default]\npickle = \"deny\"\n");
    with_system_policy(&world, "[default]\npickle = \"ask\"\n", &install)
        .fails_with(&["home/policy.toml, line 3"]);
    with_system_policy(&world, "[default]\npickel = 1\n", &["install", "lm"])
        .fails_with(&["/etc/mpkg/policy.toml:2:1"]);
    std::fs::remove_file(world.path("home/policy.toml")).unwrap();
    with_system_policy(&world, "[default]\npickle = \"ask\"\n", &install).succeeds();
}

#[test]
fn a_policy_is_read_strictly_and_fails_closed() {
    let world = world();
    let text = "[default]\npublisher = \"optional\"\npickel = \"deny\"\n\
                [default.rebuild]\ncount = 2\n[package.\"tiny-llm\"]\nrebuild = \"exempt\"\n";
    world.write("home/policy.toml", text);
    let refused = world.with_registry(["install", "lm"]);
    assert_eq!(refused.code, 1);
    let shown = refused.stderr.replace(&world.root().display().to_string(), "[ROOT]");
    assert_data_eq!(
        shown,
        str![[r#"
error: `publisher` is one of "required"
 --> [ROOT]/home/policy.toml:2:13
  |
2 | publisher = "optional"
  |             ^^^^^^^^^^

error: [default] has no key `pickel`
 --> [ROOT]/home/policy.toml:3:1
  |
3 | pickel = "deny"
  | ^^^^^^ unknown key
  |
  = help: did you mean `pickle`?

error: [default.rebuild] or [package.NAME.rebuild] has no `of`
 --> [ROOT]/home/policy.toml:4:1
  |
4 | [default.rebuild]
  | ^^^^^^^^^^^^^^^^^
  |
  = help: add `of = ["NAME", "self"]`

error: [ROOT]/home/policy.toml has 3 problems

"#]]
    );
    let json = world.with_registry(["install", "lm", "--json"]).json();
    assert_eq!(json["error"]["kind"], "policy");
    world.run(["list"]).succeeds();
}
