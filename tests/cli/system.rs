//! Packages that are built by a program of the distribution: here a C compiler, and the trainer that
//! it makes.

use serde_json::{Value, json};

use crate::support::{Finished, World};

const MANIFEST: &str = r#"
[package]
name = "letters"
version = "1.0.0"
kind = "model"
summary = "How often each letter follows another"
license = "MIT"

[[data]]
name = "text"
path = "text.txt"
license = "CC0-1.0"
license-evidence = "LICENSE"
level = "raw"
role = "train"

[environment]
system = [{ program = "cc", version = ">=4" }]

[[step]]
name = "compile"
run = ["cc", "-O2", "-o", "{out}/train", "train.c"]

[[step]]
name = "train"
needs = ["compile"]
run = ["{step.compile}/train", "{data.text}", "{out}/model.safetensors"]

[[variant]]
name = "u32"
from = "train"
files = ["model.safetensors"]
"#;

/// Counts pairs of letters and writes them as one tensor.
const TRAIN: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t pairs[26][26];

int main(int count, char **names)
{
    const char *header = "{\"pairs\":{\"dtype\":\"U32\",\"shape\":[26,26],\"data_offsets\":[0,2704]}}";
    uint64_t length = strlen(header);
    FILE *text = fopen(names[1], "r"), *out = fopen(names[2], "w");
    int before = -1, letter;
    if (!text || !out)
        return 1;
    while ((letter = fgetc(text)) != EOF) {
        int now = letter >= 'a' && letter <= 'z' ? letter - 'a' : -1;
        if (before >= 0 && now >= 0)
            pairs[before][now]++;
        before = now;
    }
    while (length % 8)
        length++;
    fwrite(&length, 8, 1, out);
    fprintf(out, "%-*s", (int)length, header);
    fwrite(pairs, sizeof pairs, 1, out);
    return fclose(out) != 0 || count != 3;
}
"#;

const PACKAGE: &str = "tree/dist/letters-1.0.0.u32.mpkg";
const RECORD: &str = "tree/dist/letters-1.0.0.build.json";

fn built() -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", MANIFEST);
    world.write("tree/train.c", TRAIN);
    world.write("tree/text.txt", "all the letters that follow other letters\n".repeat(100));
    world.write("tree/LICENSE", "CC0");
    world.run(["-q", "build", "tree"]).succeeds();
    world
}

fn record(world: &World) -> Value {
    serde_json::from_str(&std::fs::read_to_string(world.path(RECORD)).unwrap()).unwrap()
}

/// What a program of this machine prints.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_version_of_the_compiler_is_recorded() {
    let world = built();
    let record = record(&world);
    let program = &record["environment"]["system"][0];
    assert_eq!(program["program"], "cc");
    let said = printed("cc", &["--version"]).expect("a compiler");
    let version = program["version"].as_str().unwrap();
    assert!(said.contains(version) && version.contains('.'), "{version}: {said}");
    // On Debian the package that it comes from stands there as well, by the system's own word.
    if printed("dpkg-query", &["--version"]).is_some() {
        let real = std::fs::canonicalize(program["path"].as_str().unwrap()).unwrap();
        let owner = printed("dpkg-query", &["-S", &real.display().to_string()]).unwrap();
        let owner = owner.split(':').next().unwrap();
        let wanted = printed("dpkg-query", &["-W", "-f=${Package} ${Version}", owner]).unwrap();
        assert_eq!(program["package"], wanted);
    }
    // Nothing is unpinned: the manifest names the compiler, and the tree makes the trainer.
    assert_eq!(record["tainted"], json!([]));
}

#[test]
fn another_version_is_said_where_it_is_built_again() {
    let world = built();
    let finished = world.run(["rebuild", PACKAGE]).succeeds();
    assert!(finished.stdout.starts_with("letters 1.0.0 (u32): identical"), "{}", finished.stdout);
    assert!(!finished.stdout.contains("Other software"), "{}", finished.stdout);
    let mut changed = record(&world);
    let here = changed["environment"]["system"][0].clone();
    changed["environment"]["system"][0]["version"] = json!("4.2.1");
    changed["environment"]["system"][0].as_object_mut().unwrap().remove("package");
    world.write(RECORD, changed.to_string());
    let finished = world.run(["rebuild", PACKAGE]).succeeds();
    let version = here["version"].as_str().unwrap();
    let line = format!("Other software: cc was 4.2.1, and is {version}");
    assert!(finished.stdout.contains(&line), "{line:?} is not in:\n{}", finished.stdout);
    let found = world.run(["-q", "--json", "rebuild", PACKAGE]).json();
    assert_eq!(found["verdict"], "identical");
    let [change] = found["software-changed"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&change["what"], &change["first"]), (&json!("cc"), &json!("4.2.1")));
    let page = std::fs::read_to_string(world.path("rebuilt/letters-1.0.0.u32.rebuild.html"));
    assert!(page.unwrap().contains("<td>cc</td><td>4.2.1</td>"));
    std::fs::remove_file(world.path(RECORD)).unwrap();
    let finished = world.run(["rebuild", PACKAGE]).succeeds();
    let line = "whether its programs were the same is not either";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
}

#[test]
fn a_compiler_that_does_not_answer_the_manifest_is_an_error_when_it_is_built_again() {
    let world = built();
    let mut command = world.mpkg();
    command.env("PATH", world.path("nothing"));
    let finished = Finished::of(command.args(["rebuild", PACKAGE]));
    finished.fails_with(&["cc"]);
    assert!(!world.path("rebuilt").exists(), "nothing was written");
    world.write("tree/mpkg.toml", MANIFEST.replace(">=4", ">=4000"));
    let said = world.run(["build", "tree"]).fails_with(&["cc", "4000"]);
    assert!(said.stderr.contains(" is "), "{}", said.stderr);
}
