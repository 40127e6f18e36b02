//! Other programs: what they sign we verify, what we sign they verify, whose keys we read.

use std::path::PathBuf;
use std::process::Command;

use super::{binary_package, text};
use crate::support::{Finished, World, python};

/// A Python with securesystemslib, cryptography and bcrypt.
fn peer() -> PathBuf {
    let packages = ["securesystemslib==1.6.0", "cryptography==50.0.2", "bcrypt==5.0.0"];
    python::venv("securesystemslib", &packages)
}

fn run_python(world: &World, script: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(peer());
    command.current_dir(world.root()).args(["-c", script]).args(arguments);
    Finished::of(&mut command).succeeds()
}

#[test]
fn securesystemslib_verifies_what_mpkg_signed() {
    let world = World::new();
    let package = binary_package(&world, "1.0.0");
    for name in ["alice", "bob"] {
        world.run(["key", "new", name]).succeeds();
        world.run(["sign", text(&package), "--key", name]).succeeds();
        let key = world.run(["key", "export", name, "--format", "tuf"]).succeeds().stdout;
        world.write(&format!("{name}.json"), key);
    }
    let script = r#"
import hashlib, json, sys
from securesystemslib import dsse, exceptions, formats
from securesystemslib.signer import Key

envelope = dsse.Envelope.from_dict(json.load(open(sys.argv[1])))
keys = []
for path in sys.argv[2:]:
    key = json.load(open(path))
    keyid = hashlib.sha256(formats.encode_canonical(key).encode()).hexdigest()
    keys.append(Key.from_dict(keyid, key))
accepted = envelope.verify(keys, 2)
assert sorted(accepted) == sorted(key.keyid for key in keys), accepted
statement = json.loads(envelope.payload)
assert formats.encode_canonical(statement).encode() == envelope.payload
assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
envelope.payload += b" "
try:
    envelope.verify(keys, 1)
except exceptions.VerificationError:
    print("both verified")
"#;
    let envelope = format!("{}.dsse.json", package.display());
    let run = run_python(&world, script, &[&envelope, "alice.json", "bob.json"]);
    assert_eq!(run.stdout, "both verified\n");
}

#[test]
fn mpkg_verifies_what_securesystemslib_signed() {
    let world = World::new();
    let package = binary_package(&world, "1.0.0");
    world.run(["key", "new", "scratch"]).succeeds();
    world.run(["sign", text(&package)]).succeeds();
    // The statement, signed by a key of theirs under their key id, and again under another.
    let script = r#"
import json, sys
from securesystemslib import dsse
from securesystemslib.signer import CryptoSigner

envelope = dsse.Envelope.from_dict(json.load(open(sys.argv[1])))
envelope.signatures = {}
signer = CryptoSigner.generate_ed25519()
envelope.sign(signer)
if len(sys.argv) > 2:
    envelope.signatures[signer.public_key.keyid].keyid = sys.argv[2]
json.dump(envelope.to_dict(), open(sys.argv[1], "w"), indent=1)
json.dump(signer.public_key.to_dict(), open("theirs.pub.json", "w"), indent=1)
print(signer.public_key.keyid)
"#;
    let envelope = format!("{}.dsse.json", package.display());
    let theirs = run_python(&world, script, &[&envelope]).stdout;
    let carol = World::new();
    let key = world.path("theirs.pub.json");
    let id = carol.run(["key", "import", text(&key)]).succeeds().stdout;
    assert_eq!(id, theirs, "both compute the same key id");
    let verified = carol.run(["verify", text(&package)]).succeeds();
    assert!(verified.stdout.contains("by theirs ("), "{}", verified.stdout);
    world.run(["verify", text(&package)]).fails_with(&["0 of 1 signatures"]);

    run_python(&world, script, &[&envelope, "their own way of naming keys"]);
    world.run(["verify", text(&package), "--key", text(&key)]).succeeds();
}

#[test]
fn keys_of_other_programs_are_read() {
    let world = World::new();
    let script = r#"
import os
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import *

def write(name, data):
    with open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(data)

key = ed25519.Ed25519PrivateKey.generate()
secret = BestAvailableEncryption(b"hunter2")
write("pkcs8", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
write("pkcs8-secret", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
write("openssh", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
write("openssh-secret", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, secret))
public = key.public_key()
write("public", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
write("openssh-public", public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" a b\n")
other = ec.generate_private_key(ec.SECP256R1())
write("p256", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
write("p256-public", other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
write("p256-openssh", other.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
"#;
    run_python(&world, script, &[]);
    let import = |name: &str, passphrase: &str| {
        let mut command = world.mpkg();
        command.args(["key", "import", name]).env("MPKG_PASSPHRASE", passphrase);
        Finished::of(&mut command)
    };
    let id = import("pkcs8", "").succeeds().stdout;
    for name in ["pkcs8-secret", "openssh", "openssh-secret", "public", "openssh-public"] {
        assert_eq!(import(name, "hunter2").succeeds().stdout, id, "{name}");
    }
    for name in ["pkcs8-secret", "openssh-secret"] {
        std::fs::remove_file(world.path(&format!("home/keys/{name}.pem"))).unwrap();
        import(name, "hunter3").fails_with(&["does not open the private key", name]);
    }
    for name in ["p256", "p256-public", "p256-openssh"] {
        import(name, "").fails_with(&[&format!("{name} is not a key that mpkg reads")]);
    }
}

#[test]
fn other_programs_read_our_keys() {
    let world = World::new();
    world.run(["key", "new", "plain"]).succeeds();
    let secret = world.write("passphrase", "hunter2\n");
    world.run(["key", "new", "secret", "--passphrase-file", text(&secret)]).succeeds();
    let mut publics = String::new();
    for name in ["plain", "secret"] {
        publics += &world.run(["key", "export", name]).succeeds().stdout;
    }
    let script = r#"
from cryptography.hazmat.primitives.serialization import *
for name, passphrase in [("plain", None), ("secret", b"hunter2")]:
    text = open(f"home/keys/{name}.pem", "rb").read()
    key = load_pem_private_key(text, passphrase).public_key()
    print(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), end="")
"#;
    assert_eq!(run_python(&world, script, &[]).stdout, publics);
}
