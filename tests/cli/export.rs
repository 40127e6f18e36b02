//! `mpkg export oms`, with the PyPI package `model-signing` as the judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::packages::Recipe;
use crate::support::{Finished, World, python};

/// The program `model_signing`; it needs pyopenssl beside it and does not say so.
fn judge() -> PathBuf {
    let packages = ["model-signing==1.1.1", "pyopenssl==26.4.0"];
    python::venv("model-signing", &packages).with_file_name("model_signing")
}

fn verify(world: &World, model: &Path, signature: &str) -> Finished {
    let mut command = Command::new(judge());
    command.current_dir(world.root()).args(["verify", "key"]).arg(model);
    command.args(["--signature", signature, "--public_key", "home/keys/alice.p256.pub.pem"]);
    Finished::of(&mut command)
}

#[track_caller]
fn refused(finished: &Finished, because: &str) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(finished.code != 0 && said.contains(because), "{}: {said}", finished.code);
}

fn flip_a_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn model_signing_accepts_a_folder_and_refuses_one_flipped_byte() {
    let world = World::new();
    world.run(["key", "new", "alice"]).succeeds();
    for (path, contents) in [
        ("model/w.safetensors", "weights"),
        ("model/a/b.txt", "deep"),
        ("model/a.txt", "beside it in byte order"),
        ("model/.git/config", "not signed"),
        ("model/sub/.gitignore", "signed"),
    ] {
        world.write(path, contents);
    }
    let done = world.run(["export", "oms", "./model", "--json"]).succeeds();
    let json = done.json();
    assert_eq!((&json["files"], &json["signature"]), (&4.into(), &"./model/model.sig".into()));
    assert!(done.stderr.contains("model_signing verify key ./model"), "{}", done.stderr);
    let model = world.path("model");
    verify(&world, &model, "model/model.sig").succeeds();
    flip_a_byte(&model.join("w.safetensors"));
    refused(&verify(&world, &model, "model/model.sig"), "Hash mismatch for 'w.safetensors'");
    flip_a_byte(&model.join("w.safetensors"));
    world.write("model/extra", "x");
    refused(&verify(&world, &model, "model/model.sig"), "Extra files found");

    // The signature is made anew, by the same key, and may lie elsewhere.
    world.run(["export", "oms", "./model", "--out", "elsewhere.sig"]).succeeds();
    std::fs::remove_file(model.join("model.sig")).unwrap_or_default();
    refused(&verify(&world, &model, "elsewhere.sig"), "Missing files");
    world.run(["export", "oms", "./model", "--out", "elsewhere.sig"]).succeeds();
    verify(&world, &model, "elsewhere.sig").succeeds();
}

#[test]
fn an_installed_package_and_its_file_are_signed_as_they_lie_unpacked() {
    let world = World::new();
    let recipe = Recipe::new("lib", "1.0.0")
        .file(".gitignore", "signed by mpkg alone\n")
        .file("sub/weights.bin", vec![7; 300_000]);
    let pair = world.publish(&[recipe]).remove(0);
    world.with_registry(["install", "lib"]).succeeds();
    let secret = world.write("passphrase", "hunter2\n");
    let secret = ["--passphrase-file", secret.to_str().unwrap()];
    world.run(["key", "new", "alice"].into_iter().chain(secret)).succeeds();
    let alice = ["--key", "alice"].into_iter().chain(secret);

    let signed = ["export", "oms", "lib", "--json"].into_iter().chain(alice.clone());
    let signed = world.run(signed).succeeds().json();
    let folder = PathBuf::from(signed["folder"].as_str().unwrap());
    verify(&world, &folder, "lib-1.0.0.f32.model.sig").succeeds();
    let key = std::fs::read_to_string(world.path("home/keys/alice.p256.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    world
        .run(["export", "oms", "lib", "--key", "alice"])
        .fails_with(&["is encrypted, and no passphrase was given"]);

    let file = pair.binary.to_str().unwrap();
    world.run(["export", "oms", file].into_iter().chain(alice.clone())).succeeds();
    let unpacked = world.path("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    Finished::of(tar.args(["--zstd", "-xf", file, "-C"]).arg(&unpacked)).succeeds();
    verify(&world, &unpacked, &format!("{file}.model.sig")).succeeds();
    flip_a_byte(&unpacked.join("sub/weights.bin"));
    refused(&verify(&world, &unpacked, &format!("{file}.model.sig")), "Hash mismatch");

    // Nothing is put into the folder of an installed package.
    let inside = folder.join("model.sig");
    let out = ["--out", inside.to_str().unwrap()];
    world
        .run(["export", "oms", "lib"].into_iter().chain(alice.clone()).chain(out))
        .fails_with(&["lies in the folder of an installed package", "--out FILE"]);
    assert!(!inside.exists());
    let installed = folder.join("sub/weights.bin");
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&installed, writable).unwrap();
    flip_a_byte(&installed);
    world
        .run(["export", "oms", "lib"].into_iter().chain(alice))
        .fails_with(&["lib is not as it was installed: its contents were changed", "reinstall"]);
}
