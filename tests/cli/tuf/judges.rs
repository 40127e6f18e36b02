//! python-tuf reads what mpkg writes, and mpkg reads what python-tuf writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use mpkg::package::Digest;

use crate::support::packages::Recipe;
use crate::support::{Finished, World, python};

/// python-tuf, and what it signs with.
fn judge() -> PathBuf {
    python::venv("tuf", &["tuf==7.0.1", "securesystemslib==1.6.0", "cryptography==50.0.2"])
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tuf").join(name)
}

#[test]
fn python_tuf_reads_a_registry_whose_root_two_keys_sign() {
    let world = World::new();
    for key in ["one", "two", "three", "online", "new", "me"] {
        world.key(key);
    }
    let folder = world.path("registry").display().to_string();
    let init = ["registry", "init", &folder, "--root-key", "one", "two", "three"];
    let more = ["--root-threshold", "2", "--online-key", "online", "--bins", "256"];
    world.run(init.into_iter().chain(more)).succeeds();
    let key = world.key("me");
    for recipe in [Recipe::new("lm", "1.0.0"), Recipe::new("corpus", "2.0.0")] {
        let pair = recipe.make(&world, "dist", &key);
        let mut command = world.mpkg();
        command.args(["publish", "--to", &folder]).args(pair.arguments());
        Finished::of(&mut command).succeeds();
    }
    let rotate = ["registry", "rotate", &folder, "--role", "timestamp", "--add", "new"];
    world.run(rotate.into_iter().chain(["--remove", "online"])).succeeds();
    let server = world.serve("registry");
    let read = Finished::of(
        Command::new(judge())
            .arg(script("read_registry.py"))
            .arg(world.path("registry/metadata/1.root.json"))
            .args([server.url("/metadata/"), server.url("/")])
            .arg(world.path("judge"))
            .args(["index/lm.json", "index/corpus.json", "index/missing.json"]),
    )
    .succeeds();
    let digest = |target: &str| Digest::of(&world.said(target));
    let expected = format!(
        "index/lm.json {}\nindex/corpus.json {}\nindex/missing.json none\nroot 2 2\nsuccinct 8\n",
        digest("index/lm.json"),
        digest("index/corpus.json")
    );
    assert_eq!(read.stdout, expected);
}

/// Runs `mpkg tuf` on the repository that is served at `base`.
fn tuf(world: &World, base: &str, targets: &[&str], verb: &str) -> Finished {
    let mut command = world.mpkg();
    command.args(["tuf", "--metadata-dir", "trusted", "--metadata-url"]);
    command.arg(format!("{base}metadata"));
    for target in targets {
        command.args(["--target-name", target]);
    }
    command.args(["--target-dir", "got", "--target-base-url"]).arg(format!("{base}targets"));
    Finished::of(command.arg(verb))
}

#[test]
fn mpkg_reads_repositories_that_python_tuf_wrote() {
    for (kind, shape) in
        [("ed25519", "bins"), ("p256", "bins"), ("p256", "paths"), ("p256", "flat")]
    {
        let world = World::new();
        let mut write = Command::new(judge());
        write.arg(script("write_repository.py")).arg(world.path("theirs")).args([kind, shape]);
        Finished::of(&mut write).succeeds();
        let root = world.path("theirs/metadata/1.root.json");
        let init = ["tuf", "--metadata-dir", "trusted", "init", &root.display().to_string()];
        world.run(init).succeeds();
        let trusted = std::fs::read(world.path("trusted/root.json")).unwrap();
        assert_eq!(trusted, std::fs::read(&root).unwrap(), "byte for byte");

        let server = world.serve_decoded("theirs");
        let base = server.url("/");
        tuf(&world, &base, &[], "refresh").succeeds();
        for (name, version) in [("root", 2), ("snapshot", 2), ("targets", 2)] {
            let theirs = world.path(&format!("theirs/metadata/{version}.{name}.json"));
            let ours = std::fs::read(world.path(&format!("trusted/{name}.json"))).unwrap();
            assert_eq!(ours, std::fs::read(theirs).unwrap(), "{kind} {shape} {name}");
        }
        let both = ["models/one.txt", "data/a b/two.txt"];
        tuf(&world, &base, &both, "download").succeeds();
        let got = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
        assert_eq!(got("got/models%2Fone.txt"), "one\n");
        assert_eq!(got("got/data%2Fa%20b%2Ftwo.txt"), "two\n");
        // What is there is not fetched again.
        let before = server.requests().len();
        tuf(&world, &base, &both, "download").succeeds();
        let asked: Vec<String> =
            server.requests().split_off(before).into_iter().map(|one| one.path).collect();
        assert_eq!(asked, ["/metadata/3.root.json", "/metadata/timestamp.json"], "{kind} {shape}");
        tuf(&world, &base, &["models/none.txt"], "download").fails_with(&["no role vouches"]);
        // Another byte in any document is noticed.
        let place = world.path("theirs/metadata/timestamp.json");
        let text = std::fs::read_to_string(&place).unwrap();
        std::fs::write(&place, text.replace("2126-01-01", "2127-01-01")).unwrap();
        tuf(&world, &base, &[], "refresh").fails_with(&["timestamp.json is not believed"]);
    }
}
