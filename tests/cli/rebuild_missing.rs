//! Rebuilds that cannot be made, because something they need is gone or has become another: an
//! error each, never a verdict, and nothing that is signed.

use serde_json::Value;

use crate::data::sha256;
use crate::support::server::{Answer, Server};
use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "copies"
version = "1.0.0"
kind = "dataset"
summary = "A copy of something"
license = "MIT"

[[step]]
name = "copy"
run = ["python3", "copy.py", "{out}"]

[[variant]]
name = "text"
from = "copy"
files = ["copy.txt"]
"#;

const PYTHON: &str = "[environment]\npython = \">=3.8\"\n";
const COPY: &str = "import sys\nopen(sys.argv[1] + '/copy.txt', 'w').write('a copy\\n')\n";
const PACKAGE: &str = "tree/dist/copies-1.0.0.text.mpkg";
const SOURCE: &str = "tree/dist/copies-1.0.0.src.mpkg";

/// A tree whose manifest says `more`, built; the cache is empty again.
fn world(more: &str, prepare: impl FnOnce(&World)) -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", format!("{MANIFEST}{more}"));
    world.write("tree/copy.py", COPY);
    prepare(&world);
    world.key("me");
    world.run(["-q", "build", "tree"]).succeeds();
    forget(&world);
    world
}

fn forget(world: &World) {
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();
}

/// Asserts that the rebuild is no rebuild: an error with `parts`, no verdict, nothing written.
#[track_caller]
fn is_no_rebuild(world: &World, variables: &[(&str, &str)], parts: &[&str]) -> Value {
    let mut command = world.mpkg();
    command.envs(variables.iter().copied());
    command.args(["--json", "rebuild", PACKAGE, "--attest", "me"]);
    let finished = Finished::of(&mut command).fails_with(parts);
    let json = finished.json();
    assert!(json["error"]["kind"].is_string() && json["verdict"].is_null(), "{json}");
    assert!(!world.path("rebuilt").exists(), "something was written");
    json
}

#[test]
fn a_source_package_that_is_damaged() {
    let world = world(PYTHON, |_| {});
    let path = world.path(SOURCE);
    let good = std::fs::read(&path).unwrap();
    // The first frame holds the index, by which the source is found; the files come after it.
    for at in [good.len() / 2, good.len() - 100] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        is_no_rebuild(&world, &[], &["copies-1.0.0.src.mpkg"]);
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    is_no_rebuild(&world, &[], &["copies-1.0.0.src.mpkg"]);
    std::fs::write(&path, good).unwrap();
    world.run(["-q", "rebuild", PACKAGE]).succeeds();
}

#[test]
fn a_source_package_of_another_release_under_the_right_name() {
    let world = world(PYTHON, |_| {});
    // The very same files but for one word: another digest, so another source.
    world.write("other/mpkg.toml", format!("{MANIFEST}{PYTHON}").replace("A copy", "Another copy"));
    world.write("other/copy.py", COPY);
    world.run(["-q", "pack", "other", "--out", "other"]).succeeds();
    std::fs::rename(world.path("other/copies-1.0.0.src.mpkg"), world.path(SOURCE)).unwrap();
    let json = is_no_rebuild(&world, &[], &["is not the source: its package digest is"]);
    assert_eq!(json["error"]["kind"], "other-source");
    // A registry that has only the other one does not have the source either.
    world.run(["-q", "sign", "--key", "me", SOURCE]).succeeds();
    world.run(["-q", "publish", "--create", "--to", "registry", "--key", "me", SOURCE]).succeeds();
    std::fs::remove_file(world.path(SOURCE)).unwrap();
    let registry = world.path("registry").display().to_string();
    let asked = [("MPKG_REGISTRY", registry.as_str())];
    let json = is_no_rebuild(&world, &asked, &["the source package of copies 1.0.0"]);
    assert_eq!(json["error"]["kind"], "no-source");
}

#[test]
fn data_that_is_gone_or_another() {
    let text = b"some data\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.txt");
    std::fs::write(&file, text).unwrap();
    let served = file.clone();
    let server = Server::start(move |request| match std::fs::read(&served) {
        Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
        Err(_) => Answer::status(404),
    });
    let data = format!(
        "{PYTHON}[[data]]\nname = \"data\"\nurls = [\"{}\"]\nsha256 = \"{}\"\nsize = {}\n\
         license = \"MIT\"\n",
        server.url("/data.txt"),
        sha256(text),
        text.len()
    );
    let used = |world: &World| {
        let path = world.path("tree/mpkg.toml");
        let manifest = std::fs::read_to_string(&path).unwrap();
        let with = manifest.replace("\"{out}\"]", "\"{out}\", \"{data.data}\"]");
        std::fs::write(path, with).unwrap();
    };
    let world = world(&data, used);
    std::fs::write(&file, b"some lies\n").unwrap();
    is_no_rebuild(&world, &[], &["data.txt", &sha256(text)]);
    std::fs::remove_file(&file).unwrap();
    is_no_rebuild(&world, &[], &["data.txt"]);
    std::fs::write(&file, text).unwrap();
    world.run(["-q", "rebuild", PACKAGE]).succeeds();
}

/// The wheel of `six` 1.17.0, pure Python.
const SIX: &str = "six==1.17.0 \
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n";

#[test]
fn an_environment_that_no_longer_installs() {
    let locked = format!("{PYTHON}lock = \"requirements.txt\"\n");
    let world = world(&locked, |world| {
        world.write("tree/requirements.txt", SIX);
    });
    // An index that has the project no more, and then another file under the same name.
    let gone = Server::start(|_| Answer::status(404));
    let index = gone.url("/simple/");
    let variables = |index: &str| {
        let fixed = [("PIP_RETRIES", "0"), ("PIP_CONFIG_FILE", "/dev/null"), ("PIP_NO_INDEX", "0")];
        let mut all: Vec<(String, String)> =
            fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.push(("PIP_INDEX_URL".to_owned(), index.to_owned()));
        all.push(("PIP_EXTRA_INDEX_URL".to_owned(), String::new()));
        all
    };
    let refused = |index: &str, parts: &[&str]| {
        let variables = variables(index);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        is_no_rebuild(&world, &variables, parts);
    };
    refused(&index, &["six"]);
    let other = Server::start(|request| {
        let name = "six-1.17.0-py2.py3-none-any.whl";
        match request.path.ends_with(".whl") {
            true => Answer::whole(b"PK not the wheel"),
            false => Answer::whole(format!("<a href=\"/{name}\">{name}</a>").as_bytes())
                .header("Content-Type", "text/html"),
        }
    });
    refused(&other.url("/simple/"), &["DO NOT MATCH THE HASHES"]);
    world.run(["-q", "rebuild", PACKAGE]).succeeds();
}

#[test]
fn a_build_dependency_that_is_gone() {
    use crate::support::packages::Recipe;
    let needs = format!("{PYTHON}[build-dependencies]\nlm = \"^1\"\n");
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world.write("tree/mpkg.toml", format!("{MANIFEST}{needs}"));
    world.write("tree/copy.py", COPY);
    world.with_registry(["-q", "build", "tree"]).succeeds();
    forget(&world);
    // Another lm of the same version does not do: the digest counts.
    let other = World::new();
    other.publish(&[Recipe::new("lm", "1.0.0").file("data.txt", "something else")]);
    let root = std::fs::read(other.path("registry/metadata/1.root.json")).unwrap();
    let address = other.path("registry").display().to_string();
    let add =
        ["-q", "registry", "add", &address, "--name", "other", "--root-sha256", &sha256(&root)];
    world.run(add).succeeds();
    is_no_rebuild(&world, &[("MPKG_REGISTRY", "other")], &["lm 1.0.0"]);
    let registry = world.path("registry").display().to_string();
    std::fs::remove_dir_all(world.path("registry/blobs")).unwrap();
    is_no_rebuild(
        &world,
        &[("MPKG_REGISTRY", &registry)],
        &["vouches for lm-1.0.0.f32.mpkg and does not carry it"],
    );
}
