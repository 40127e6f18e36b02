//! Statements of others: stored beside packages, served, and shown with who made them.

use mpkg::crypto::statement::{Digests, Statement, StatementSubject};
use mpkg::crypto::{Envelope, SigningKey};
use mpkg::package::Digest;

use crate::support::World;
use crate::support::packages::Recipe;

/// Writes what somebody says about a package.
fn statement(world: &World, file: &str, package: Digest, key: &SigningKey) -> String {
    let subject =
        |name: &str, sha256| StatementSubject { name: name.to_owned(), digest: Digests { sha256 } };
    let subjects = vec![
        subject("tiny-lm-1.0.0.f32.mpkg", Digest::of(b"the file")),
        subject(".mpkg/index.json", package),
    ];
    let predicate = serde_json::json!({ "verdict": "identical" });
    let statement = Statement::new(subjects, "urn:example:verdict", predicate);
    let envelope = Envelope::sign(statement.to_payload().unwrap(), &[key]);
    world.write(file, envelope.to_bytes()).display().to_string()
}

#[test]
fn who_said_what() {
    let world = World::new();
    let pair = world.publish(&[Recipe::new("tiny-lm", "1.0.0")]).remove(0);
    world.with_registry(["install", "tiny-lm"]).succeeds();
    let rebuilder = world.key("rebuilder");
    let (stranger, public) = world.foreign_key("stranger");
    let known = statement(&world, "known.dsse.json", pair.digest, &rebuilder);
    let unknown = statement(&world, "unknown.dsse.json", pair.digest, &stranger);
    let publish = |files: &[&str]| {
        world.run([&["publish", "--to", "registry", "--attestation"], files].concat())
    };
    let dry = world.run(["publish", "--to", "registry", "--dry-run", "--attestation", &known]);
    assert!(dry.succeeds().stderr.contains("Would store a statement about tiny-lm 1.0.0 (f32)"));
    let done = publish(&[&known, &unknown]).succeeds();
    assert!(done.stderr.contains("Stored a statement about tiny-lm 1.0.0"), "{}", done.stderr);
    let again = publish(&[&known]).succeeds();
    assert!(again.stderr.contains("Stored already beside tiny-lm 1.0.0"), "{}", again.stderr);

    let said = world.with_registry(["verify", "tiny-lm", "--attestations"]).succeeds().stdout;
    let me = world.key("me").id().short();
    for line in [
        "good    tiny-lm 1.0.0 (f32)".to_owned(),
        format!("said    https://in-toto.io/attestation/release/v0.1: by me ({me})"),
        format!("said    urn:example:verdict: by rebuilder ({})", rebuilder.id().short()),
        format!("said    urn:example:verdict: by an unknown key, {}", public.id()),
    ] {
        assert!(said.contains(&line), "{line} is not in {said}");
    }
    let file = pair.binary.display().to_string();
    let json = world.with_registry(["verify", &file, "--attestations", "--json"]).succeeds().json();
    let statements = json["files"][0]["attestations"].as_array().unwrap();
    assert_eq!(statements.len(), 3);
    assert_eq!(statements[1]["role"], "attestation");
    assert_eq!(statements[1]["signers"][0]["name"], "rebuilder");
    assert_eq!(statements[2]["unknown-keys"][0], public.id().to_string());

    // It is about this package alone, and the publisher's signatures are still what counts.
    world.with_registry(["install", "tiny-lm"]).succeeds();
    let other = statement(&world, "other.dsse.json", Digest::of(b"other"), &rebuilder);
    publish(&[&other]).fails_with(&["the registry has no package that", "other.dsse.json"]);
    let none = world.write("none.dsse.json", "{}").display().to_string();
    assert_eq!(publish(&[&none]).code, 1);
}

#[test]
fn a_forged_name_under_a_statement_is_told_apart() {
    let world = World::new();
    let pair = world.publish(&[Recipe::new("tiny-lm", "1.0.0")]).remove(0);
    let (stranger, _) = world.foreign_key("stranger");
    let file = statement(&world, "forged.dsse.json", pair.digest, &stranger);
    let mut document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    document["signatures"][0]["keyid"] = world.key("me").id().to_string().into();
    world.write("forged.dsse.json", document.to_string());
    world.run(["publish", "--to", "registry", "--attestation", &file]).succeeds();
    let binary = pair.binary.display().to_string();
    let said = world.with_registry(["verify", &binary, "--attestations"]).succeeds().stdout;
    let me = format!(
        "urn:example:verdict: by a bad signature for me ({})",
        world.key("me").id().short()
    );
    assert!(said.contains(&me), "{said}");
}
