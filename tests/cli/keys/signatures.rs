//! Signing packages and verifying them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mpkg::package::Digest;
use serde_json::Value;

use super::{binary_package, source, source_package, text};
use crate::support::World;

fn envelope_path(package: &Path) -> PathBuf {
    PathBuf::from(format!("{}.dsse.json", package.display()))
}

fn envelope(package: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(envelope_path(package)).unwrap()).unwrap()
}

fn statement(package: &Path) -> Value {
    let payload = envelope(package)["payload"].as_str().unwrap().to_owned();
    serde_json::from_slice(&BASE64_STANDARD.decode(payload).unwrap()).unwrap()
}

/// A world with a key and a signed source package.
fn signed_world() -> (World, PathBuf) {
    let world = World::new();
    let package = source_package(&world, "1.0.0");
    world.run(["key", "new", "alice"]).succeeds();
    world.run(["sign", text(&package)]).succeeds();
    (world, package)
}

/// Gives `to` the public key `name` of `from`.
fn trust(from: &World, name: &str, to: &World) {
    let pem = from.run(["key", "export", name]).succeeds().stdout;
    let file = to.write(&format!("{name}.pem"), pem);
    to.run(["key", "import", text(&file)]).succeeds();
}

#[test]
fn a_source_package_is_signed_and_verified() {
    let (world, package) = signed_world();
    let statement = statement(&package);
    let file = Digest::of(&std::fs::read(&package).unwrap());
    let index = mpkg::archive::Package::open(&package).unwrap().package_digest();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://in-toto.io/attestation/release/v0.1");
    assert_eq!(statement["predicate"]["purl"], "pkg:generic/tiny-lm@1.0.0");
    assert_eq!(statement["subject"][0]["name"], "tiny-lm-1.0.0.src.mpkg");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], file.to_string());
    assert_eq!(statement["subject"][1]["name"], ".mpkg/index.json");
    assert_eq!(statement["subject"][1]["digest"]["sha256"], index.to_string());

    let id = world.run(["key", "list", "--json"]).json()["keys"][0]["id"].clone();
    let verified = world.run(["verify", text(&package)]).succeeds();
    let short = &id.as_str().unwrap()[..12];
    assert_eq!(
        verified.stdout,
        format!(
            "{}: tiny-lm 1.0.0 (source)\n  \
             ok      contents: 2 files, 17 bytes, as the index says\n  \
             ok      signatures: by alice ({short})\n",
            package.display()
        )
    );
    let json = world.run(["verify", "--json", text(&package)]).succeeds().json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["files"][0]["package-digest"], index.to_string());
    assert_eq!(json["files"][0]["checks"][1]["signers"][0]["id"], id);
}

#[test]
fn a_built_package_is_signed_with_its_provenance() {
    let world = World::new();
    let package = binary_package(&world, "1.0.0+2");
    world.run(["key", "new", "alice"]).succeeds();
    world.run(["sign", text(&package)]).succeeds();
    let from_inputs = statement(&package);
    assert_eq!(from_inputs["predicateType"], "https://slsa.dev/provenance/v1");
    let build = &from_inputs["predicate"]["buildDefinition"];
    assert_eq!(build["buildType"], "urn:mpkg:build:1");
    assert_eq!(build["externalParameters"]["source"], source().to_string());
    let purl = "pkg:generic/tiny-lm@1.0.0%2B2?variant=f32";
    assert_eq!(build["externalParameters"]["package"], purl);
    let inputs = &build["resolvedDependencies"];
    assert_eq!(inputs[0]["name"], "data/plays");
    assert_eq!(inputs[0]["digest"]["sha256"], Digest::of(b"plays").to_string());
    assert_eq!(inputs[1]["name"], "bytes-bpe/.mpkg/index.json");
    assert_eq!(inputs[1]["uri"], "pkg:generic/bytes-bpe@1.2.0?variant=default");
    assert!(from_inputs["predicate"]["runDetails"].get("metadata").is_none());
    assert!(world.run(["verify", text(&package)]).succeeds().stdout.contains("by alice"));

    // With the build record beside it: times, addresses, wheels, the record's digest.
    let index = mpkg::archive::Package::open(&package).unwrap().package_digest();
    let record = serde_json::json!({
        "format": 1,
        "started": "2026-11-25T12:00:00.5Z",
        "seconds": {"prepare": 1.5, "steps": 60.0, "pack": 0.25, "test": 0.0},
        "data": [{
            "name": "plays", "sha256": Digest::of(b"plays"),
            "addresses": ["https://example.org/plays", "https://example.net/plays"]
        }],
        "environment": {"wheels": [
            {"name": "numpy", "version": "2.1.0+cpu", "sha256": Digest::of(b"numpy")}
        ]},
        "outputs": [{"package-digest": index}],
    });
    let record = record.to_string();
    let record_path = world.write("dist/tiny-lm-1.0.0+2.build.json", &record);
    world.run(["sign", text(&package), "--builder", "https://example.org/builder"]).succeeds();
    let predicate = statement(&package)["predicate"].clone();
    let run = &predicate["runDetails"];
    assert_eq!(run["builder"]["id"], "https://example.org/builder");
    assert_eq!(run["metadata"]["startedOn"], "2026-11-25T12:00:00Z");
    assert_eq!(run["metadata"]["finishedOn"], "2026-11-25T12:01:02Z");
    assert_eq!(run["byproducts"][0]["name"], "tiny-lm-1.0.0+2.build.json");
    let digest = Digest::of(record.as_bytes()).to_string();
    assert_eq!(run["byproducts"][0]["digest"]["sha256"], digest);
    let inputs = &predicate["buildDefinition"]["resolvedDependencies"];
    assert_eq!(inputs[0]["uri"], "https://example.org/plays");
    assert_eq!(inputs[1]["uri"], "pkg:pypi/numpy@2.1.0%2Bcpu");

    // A record of another build is left out, and one that cannot be read is an error.
    let other = record.replace(&index.to_string(), &Digest::of(b"other").to_string());
    std::fs::write(&record_path, other).unwrap();
    let warned = world.run(["sign", text(&package)]).succeeds();
    assert!(warned.stderr.contains("is of another build"), "{}", warned.stderr);
    assert!(statement(&package)["predicate"]["runDetails"].get("byproducts").is_none());
    std::fs::write(&record_path, "{").unwrap();
    world.run(["sign", text(&package)]).fails_with(&["build.json does not say how"]);
}

#[test]
fn several_keys_sign_one_statement() {
    let (alice, package) = signed_world();
    let bob = World::new();
    bob.run(["key", "new", "bob"]).succeeds();
    bob.run(["sign", text(&package)]).succeeds();
    bob.run(["sign", text(&package)]).succeeds();
    assert_eq!(envelope(&package)["signatures"].as_array().unwrap().len(), 2);

    let carol = World::new();
    trust(&alice, "alice", &carol);
    let verified = carol.run(["verify", text(&package)]).succeeds();
    assert!(verified.stdout.contains("note    a signature by an unknown key"));
    carol
        .run(["verify", text(&package), "--threshold", "2"])
        .fails_with(&["1 of 2 signatures by trusted keys"]);
    trust(&bob, "bob", &carol);
    carol.run(["verify", text(&package), "--threshold", "2"]).succeeds();
    let file = carol.path("alice.pem");
    carol
        .run(["verify", text(&package), "--threshold", "2", "--key", "bob", "--key", "bob"])
        .fails_with(&["1 of 2 signatures"]);
    let both = ["verify", text(&package), "--threshold", "2", "--key", "bob", "--key", text(&file)];
    carol.run(both).succeeds();
    assert_eq!(carol.run(["verify", text(&package), "--threshold", "0"]).code, 2);
}

#[test]
fn another_statement_does_not_drop_the_words_of_others() {
    let alice = World::new();
    let package = binary_package(&alice, "1.0.0");
    alice.run(["key", "new", "alice"]).succeeds();
    alice.run(["sign", text(&package)]).succeeds();
    let before = std::fs::read(envelope_path(&package)).unwrap();
    let bob = World::new();
    bob.run(["key", "new", "bob"]).succeeds();
    let sign = ["sign", text(&package), "--builder", "https://example.org/bob"];
    bob.run(sign).fails_with(&["another statement about this package", "--replace"]);
    assert_eq!(std::fs::read(envelope_path(&package)).unwrap(), before);
    bob.run(sign.into_iter().chain(["--replace"])).succeeds();
    assert_eq!(envelope(&package)["signatures"].as_array().unwrap().len(), 1);

    // Signatures of a package that is there no more are not kept.
    let newer = binary_package(&alice, "1.0.1");
    std::fs::copy(envelope_path(&package), envelope_path(&newer)).unwrap();
    alice.run(["verify", text(&newer)]).fails_with(&["error: "]);
    alice.run(["sign", text(&newer)]).succeeds();
    alice.run(["verify", text(&newer)]).succeeds();
}

#[test]
fn an_unknown_signer_is_not_believed() {
    let (alice, package) = signed_world();
    let id = alice.run(["key", "list", "--json"]).json()["keys"][0]["id"].clone();
    let stranger = World::new();
    let refused = stranger.run(["verify", text(&package)]).fails_with(&[
        "0 of 1 signatures",
        id.as_str().unwrap(),
        "mpkg key import FILE",
    ]);
    assert!(refused.stdout.contains("ok      contents"), "{}", refused.stdout);
    assert!(refused.stdout.contains("failed  signatures"), "{}", refused.stdout);
    let json = stranger.run(["verify", "--json", text(&package)]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["ok"], false);
    let error = &json.json()["files"][0]["checks"][1]["error"];
    assert_eq!(error["kind"], "too-few-signatures");
    stranger.run(["verify", "--contents-only", text(&package)]).succeeds();
    trust(&alice, "alice", &stranger);
    stranger.run(["verify", text(&package)]).succeeds();
}

#[test]
fn an_unsigned_package_is_not_believed() {
    let world = World::new();
    let package = source_package(&world, "1.0.0");
    world.run(["verify", text(&package)]).fails_with(&["is not signed", "--contents-only"]);
    world.run(["verify", "--contents-only", text(&package)]).succeeds();
}

#[test]
fn which_key_signs_has_to_be_clear() {
    let world = World::new();
    let package = source_package(&world, "1.0.0");
    world.run(["sign", text(&package)]).fails_with(&["0 keys", "mpkg key new NAME"]);
    world.run(["key", "new", "alice"]).succeeds();
    world.run(["key", "new", "bob"]).succeeds();
    world.run(["sign", text(&package)]).fails_with(&["2 keys", "--key: alice, bob"]);
    world.run(["sign", text(&package), "--key", "bob"]).succeeds();
    assert!(world.run(["verify", text(&package)]).succeeds().stdout.contains("by bob"));
}

/// Writes the signatures of `package` with one thing changed.
fn change(package: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = envelope(package);
    change(&mut document);
    std::fs::write(envelope_path(package), document.to_string()).unwrap();
}

#[test]
fn case_36_dsse_with_a_changed_payload() {
    let (world, package) = signed_world();
    change(&package, |document| {
        let payload = BASE64_STANDARD.decode(document["payload"].as_str().unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replace("1.0.0", "6.6.6");
        document["payload"] = BASE64_STANDARD.encode(payload).into();
    });
    world
        .run(["verify", text(&package)])
        .fails_with(&["are not believed", "does not fit what it signs"]);
}

#[test]
fn case_36_dsse_with_a_changed_type() {
    let (world, package) = signed_world();
    change(&package, |document| document["payloadType"] = "\u{1b}]0;application/json".into());
    let refused = world
        .run(["verify", text(&package)])
        .fails_with(&["\\u{1b}]0;application/json", "not a statement"]);
    assert!(!refused.stderr.contains('\u{1b}'));
}

#[test]
fn case_36_dsse_with_a_changed_encoding() {
    let (world, package) = signed_world();
    let good = envelope(&package);
    for spoil in [|text: &str| format!("{text}\n"), |text: &str| text.replace('=', "")] {
        for member in ["payload", "sig"] {
            std::fs::write(envelope_path(&package), good.to_string()).unwrap();
            change(&package, |document| {
                let place = match member {
                    "payload" => &mut document["payload"],
                    _ => &mut document["signatures"][0]["sig"],
                };
                // A payload whose length is a multiple of three has no padding to lose.
                let text = place.as_str().unwrap();
                let spoilt = spoil(text);
                *place = if spoilt == text { format!("{text}=").into() } else { spoilt.into() };
            });
            world.run(["verify", text(&package)]).fails_with(&["is not padded base64"]);
        }
    }
    // White space and the order of members in the envelope itself mean nothing.
    std::fs::write(envelope_path(&package), format!("{good:#}")).unwrap();
    world.run(["verify", text(&package)]).succeeds();
}

#[test]
fn case_36_an_envelope_of_another_shape() {
    let (world, package) = signed_world();
    let good = envelope(&package).to_string();
    let endless = good.replacen('{', &format!("{{{}", " ".repeat(17 << 20)), 1);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    for bad in ["", "[]", "{}", "\u{feff}{}", "null", deep.as_str(), endless.as_str()] {
        std::fs::write(envelope_path(&package), bad).unwrap();
        let refused = world.run(["verify", text(&package)]).fails_with(&["error: "]);
        assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
    }
    std::fs::write(envelope_path(&package), b"{\"payload\":\"\xff\"}").unwrap();
    world.run(["verify", text(&package)]).fails_with(&["error: "]);
    let twice = good.replacen('{', r#"{"payload":"","#, 1);
    std::fs::write(envelope_path(&package), twice).unwrap();
    world.run(["verify", text(&package)]).fails_with(&["\"payload\" stands twice"]);
}

#[test]
fn case_35_a_signature_of_another_package() {
    let (world, package) = signed_world();
    let newer = source_package(&world, "2.0.0");
    std::fs::copy(envelope_path(&package), envelope_path(&newer)).unwrap();
    // The contents are the same but for the version, so the package digests differ.
    world.run(["verify", text(&newer)]).fails_with(&["is about another package"]);
}

#[test]
fn a_flipped_bit_anywhere_in_a_package_is_found() {
    let (world, package) = signed_world();
    let good = std::fs::read(&package).unwrap();
    let step = (good.len() / 25).max(1);
    for at in (0..good.len()).step_by(step) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&package, bad).unwrap();
        world.run(["verify", text(&package)]).fails_with(&["error: "]);
    }
    std::fs::write(&package, good).unwrap();
    world.run(["verify", text(&package)]).succeeds();
}

#[test]
fn files_and_installed_packages_are_told_apart() {
    let (world, package) = signed_world();
    world.run(["verify", text(&package), "tiny-lm"]).fails_with(&["tiny-lm an installed package"]);
    world.run(["verify", "Tiny"]).fails_with(&["Tiny", "package files end in .mpkg"]);
    world.run(["verify"]).succeeds();
}

#[test]
fn several_files_are_each_reported() {
    let (world, package) = signed_world();
    let unsigned = source_package(&world, "2.0.0");
    let missing = world.path("dist/missing.mpkg");
    let json = world.run(["verify", "--json", text(&package), text(&unsigned), text(&missing)]);
    assert_eq!(json.code, 1);
    let json = json.json();
    let good: Vec<&Value> = json["files"].as_array().unwrap().iter().map(|f| &f["ok"]).collect();
    assert_eq!(good, [true, false, false]);
    assert_eq!(json["files"][1]["checks"][1]["error"]["kind"], "not-signed");
    assert_eq!(json["files"][2]["checks"][0]["error"]["kind"], "file-not-found");
}
