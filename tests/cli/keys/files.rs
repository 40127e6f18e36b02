//! Key files: made, listed, exported, imported, refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Finished, World};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_new_key_is_its_owners_alone() {
    let world = World::new();
    let made = world.run(["key", "new", "alice"]).succeeds();
    let id = made.stdout.trim();
    assert_eq!(mode(&world.path("home/keys")), 0o700);
    assert_eq!(mode(&world.path("home/keys/alice.pem")), 0o600);
    let public = std::fs::read_to_string(world.path("home/keys/alice.pub.json")).unwrap();
    assert!(public.starts_with(r#"{"keytype":"ed25519","keyval":{"public":""#), "{public}");
    let list = world.run(["key", "list"]).succeeds();
    assert_eq!(list.stdout, format!("alice  {id}  own\n"));
    let json = world.run(["key", "list", "--json"]).succeeds().json();
    assert_eq!(json["keys"][0]["id"], id);
    assert_eq!(json["keys"][0]["encrypted"], false);
    let tuf = world.run(["key", "export", "alice", "--format", "tuf"]).succeeds();
    assert_eq!(tuf.stdout, public);
    assert_eq!(mpkg::package::Digest::of(public.trim().as_bytes()).to_string(), id);
}

#[test]
fn a_name_is_never_taken_twice() {
    let world = World::new();
    world.run(["key", "new", "alice"]).succeeds();
    let before = std::fs::read(world.path("home/keys/alice.pem")).unwrap();
    world.run(["key", "new", "alice"]).fails_with(&["a key named alice already", "alice.pem"]);
    assert_eq!(std::fs::read(world.path("home/keys/alice.pem")).unwrap(), before);

    let pem = world.run(["key", "export", "alice"]).succeeds().stdout;
    let bob = World::new();
    let file = bob.write("alice.pem", &pem);
    bob.run(["key", "import", super::text(&file)]).succeeds();
    bob.run(["key", "import", super::text(&file)]).succeeds();
    bob.run(["key", "new", "alice"]).fails_with(&["a key named alice already"]);
    let other = World::new();
    other.run(["key", "new", "x"]).succeeds();
    let pem = other.run(["key", "export", "x"]).succeeds().stdout;
    let file = bob.write("x.pem", pem);
    bob.run(["key", "import", super::text(&file), "--name", "alice"])
        .fails_with(&["a key named alice already"]);
}

#[test]
fn bad_names_and_unknown_names_say_what_is_known() {
    let world = World::new();
    for name in ["", "Alice", "../alice", "-a", "a/b", "a.b", &"a".repeat(65)] {
        let refused = world.run(["key", "new", "--", name]);
        assert_eq!(refused.code, 2, "{name}: {}", refused.stderr);
    }
    world.run(["key", "export", "alice"]).fails_with(&["no key named alice", "mpkg key new alice"]);
    world.run(["key", "new", "alice"]).succeeds();
    world.run(["key", "export", "alic"]).fails_with(&["did you mean alice?"]);
    let json = world.run(["key", "export", "alic", "--json"]);
    assert_eq!(json.json()["error"]["kind"], "no-such-key");
}

#[test]
fn key_files_with_loose_modes_are_refused() {
    let world = World::new();
    world.run(["key", "new", "alice"]).succeeds();
    let file = world.path("home/keys/alice.pem");
    let package = super::source_package(&world, "1.0.0");
    for loose in [0o640, 0o604, 0o644, 0o660, 0o601] {
        set_mode(&file, loose);
        world.run(["sign", super::text(&package)]).fails_with(&[
            "alice.pem",
            &format!("{loose:04o}"),
            "chmod 600",
        ]);
    }
    set_mode(&file, 0o400);
    world.run(["sign", super::text(&package)]).succeeds();

    let copy = world.write("copy.pem", std::fs::read(&file).unwrap());
    set_mode(&copy, 0o644);
    world.run(["key", "import", super::text(&copy)]).fails_with(&["copy.pem", "0644"]);
    assert!(!world.path("home/keys/copy.pem").exists());
}

#[test]
fn private_keys_leave_only_into_files_of_mode_0600() {
    let world = World::new();
    let id = world.run(["key", "new", "alice"]).succeeds().stdout;
    let goal = world.path("backup.pem");
    world.run(["key", "export", "alice", "--private", super::text(&goal)]).succeeds();
    assert_eq!(mode(&goal), 0o600);
    world
        .run(["key", "export", "alice", "--private", super::text(&goal)])
        .fails_with(&["cannot create", "backup.pem"]);
    let elsewhere = World::new();
    let imported = elsewhere.run(["key", "import", super::text(&goal)]).succeeds();
    assert_eq!(imported.stdout, id);
    let keys = elsewhere.run(["key", "list", "--json"]).json();
    assert_eq!(keys["keys"][0]["name"], "backup");
    assert_eq!(keys["keys"][0]["own"], true);
}

fn with_passphrase(world: &World, passphrase: &str, arguments: &[&str]) -> Finished {
    Finished::of(world.mpkg().env("MPKG_PASSPHRASE", passphrase).args(arguments))
}

#[test]
fn passphrases_open_what_they_closed() {
    let world = World::new();
    let package = super::source_package(&world, "1.0.0");
    let sign = ["sign", super::text(&package)];
    world.run(["key", "new", "alice", "--passphrase"]).fails_with(&["no passphrase was given"]);
    with_passphrase(&world, "", &["key", "new", "alice", "--passphrase"])
        .fails_with(&["the passphrase is empty"]);
    with_passphrase(&world, "hunter2", &["key", "new", "alice", "--passphrase"]).succeeds();
    let pem = std::fs::read_to_string(world.path("home/keys/alice.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{pem}");
    let listed = world.run(["key", "list"]).succeeds();
    assert!(listed.stdout.ends_with("  own, encrypted\n"), "{}", listed.stdout);

    world.run(sign).fails_with(&["is encrypted, and no passphrase was given", "--passphrase-file"]);
    with_passphrase(&world, "hunter3", &sign).fails_with(&["does not open the private key"]);
    assert!(!package.with_file_name("tiny-lm-1.0.0.src.mpkg.dsse.json").exists());
    let signed = with_passphrase(&world, "hunter2", &["-vv", sign[0], sign[1]]).succeeds();
    assert!(!signed.stderr.contains("hunter2") && !signed.stdout.contains("hunter2"));
    let file = world.write("passphrase", "hunter2\nand a second line\n");
    world.run(["sign", super::text(&package), "--passphrase-file", super::text(&file)]).succeeds();

    // The passphrase stays on a copy.
    let copy = world.path("copy.pem");
    world.run(["key", "export", "alice", "--private", super::text(&copy)]).succeeds();
    let elsewhere = World::new();
    elsewhere.run(["key", "import", super::text(&copy)]).fails_with(&["no passphrase was given"]);
    with_passphrase(&elsewhere, "hunter2", &["key", "import", super::text(&copy)]).succeeds();
    let keys = elsewhere.run(["key", "list", "--json"]).json();
    assert_eq!(keys["keys"][0]["encrypted"], true);
}

#[test]
fn a_public_half_of_another_key_is_noticed() {
    let world = World::new();
    let package = super::source_package(&world, "1.0.0");
    with_passphrase(&world, "x", &["key", "new", "alice", "--passphrase"]).succeeds();
    world.run(["key", "new", "bob"]).succeeds();
    let keys = world.path("home/keys");
    std::fs::copy(keys.join("bob.pub.json"), keys.join("alice.pub.json")).unwrap();
    with_passphrase(&world, "x", &["sign", super::text(&package), "--key", "alice"])
        .fails_with(&["alice.pub.json is not the public half"]);
}

#[test]
fn what_is_no_key_is_not_imported() {
    let world = World::new();
    for (name, contents) in [
        ("text", "hello\n"),
        ("json", r#"{"keytype":"rsa","keyval":{"public":""},"scheme":"rsassa"}"#),
        ("twice", r#"{"keytype":"ed25519","keytype":"ed25519"}"#),
        (
            "small-order",
            concat!(
                r#"{"keytype":"ed25519","keyval":{"public":""#,
                "0100000000000000000000000000000000000000000000000000000000000000",
                r#""},"scheme":"ed25519"}"#
            ),
        ),
        ("rsa", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
    ] {
        let file = world.write(name, contents);
        set_mode(&file, 0o600);
        let refused = world.run(["key", "import", super::text(&file)]).fails_with(&["error: "]);
        assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
    }
    let long = world.write("long", vec![b'a'; 100_000]);
    world.run(["key", "import", super::text(&long)]).fails_with(&["longer than 65536 bytes"]);
    assert!(world.run(["key", "list"]).succeeds().stdout.is_empty());
}

#[test]
fn a_key_file_that_is_cut_off_is_named() {
    let world = World::new();
    world.run(["key", "new", "alice"]).succeeds();
    let file = world.path("home/keys/alice.pem");
    let pem = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &pem[..60]).unwrap();
    world.run(["key", "list"]).fails_with(&["alice.pem is not a key that mpkg reads"]);
}

#[test]
fn a_crash_between_the_two_halves_leaves_no_key() {
    let world = World::new();
    world.run(["key", "new", "bob"]).succeeds();
    // All that was written before the crash is the public half.
    let keys = world.path("home/keys");
    std::fs::rename(keys.join("bob.pub.json"), keys.join("alice.pub.json")).unwrap();
    assert!(!world.run(["key", "list"]).succeeds().stdout.contains("alice"));
    let id = world.run(["key", "new", "alice"]).succeeds().stdout;
    assert!(world.run(["key", "list"]).succeeds().stdout.contains(id.trim()));
}
