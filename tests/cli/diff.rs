//! `mpkg diff` on weights written here byte by byte, with distances worked out by hand.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::packages::Recipe;

/// A tensor: name, type, shape, bytes.
type Tensor<'a> = (&'a str, &'a str, Vec<u64>, Vec<u8>);

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A safetensors file with the tensors in this order.
fn safetensors(tensors: &[Tensor<'_>], metadata: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let mut entries = vec![format!("\"__metadata__\":{{\"format\":\"{metadata}\"}}")];
    for (name, dtype, shape, bytes) in tensors {
        let place = (data.len(), data.len() + bytes.len());
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": place});
        entries.push(format!("{}:{entry}", json!(name)));
        data.extend(bytes);
    }
    let text = format!("{{{}}}", entries.join(","));
    [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &data].concat()
}

fn gguf_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A GGUF file with texts as metadata and one `Q8_0` tensor of 32 elements.
fn gguf(metadata: &[(&str, &str)], block: &[u8; 34]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        gguf_text(&mut bytes, key);
        bytes.extend(8_u32.to_le_bytes());
        gguf_text(&mut bytes, value);
    }
    gguf_text(&mut bytes, "blk.0");
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(32_u64.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend(block);
    bytes
}

/// What `mpkg diff --json` says, and its exit code.
fn diff(world: &World, first: &PathBuf, second: &PathBuf) -> (Value, i32) {
    let mut command = world.mpkg();
    command.args(["--json", "diff"]).args([first, second]);
    let finished = crate::support::Finished::of(&mut command);
    (finished.json(), finished.code)
}

#[test]
fn the_order_of_tensors_is_wrapping() {
    let world = World::new();
    let one = ("one", "F32", vec![2], f32s(&[1.0, 2.0]));
    let two = ("two", "U8", vec![3], vec![1, 2, 3]);
    let first = world.write("a.safetensors", safetensors(&[one.clone(), two.clone()], "pt"));
    let second = world.write("b.safetensors", safetensors(&[two.clone(), one.clone()], "np"));
    let copy = world.write("c.safetensors", safetensors(&[one, two], "pt"));
    let (found, code) = diff(&world, &first, &second);
    assert_eq!((&found["verdict"], code), (&json!("equal-tensors"), 1));
    assert_eq!(found["weights"]["metadata-changed"], json!(["format"]));
    let (found, code) = diff(&world, &first, &copy);
    assert_eq!((&found["verdict"], code), (&json!("identical"), 0));
}

#[test]
fn distances_of_changed_tensors() {
    let world = World::new();
    let same = ("same", "F32", vec![2], f32s(&[5.0, 5.0]));
    let half = |last: u16| -> Tensor<'_> {
        let values = [0x3c00_u16, last];
        ("half", "F16", vec![2], values.iter().flat_map(|it| it.to_le_bytes()).collect())
    };
    let wide = |last: f32| ("wide", "F32", vec![3], f32s(&[3.0, 4.0, last]));
    let odd = |value: f32| ("odd", "F32", vec![2], f32s(&[1.0, value]));
    let first = safetensors(&[same.clone(), half(0x3c00), wide(0.0), odd(f32::NAN)], "pt");
    let second = safetensors(&[same, half(0xbc00), wide(0.5), odd(0.0)], "pt");
    let (first, second) =
        (world.write("a.safetensors", first), world.write("b.safetensors", second));
    let (found, code) = diff(&world, &first, &second);
    let facts = &found["weights"];
    assert_eq!((&found["verdict"], code), (&json!("different"), 1));
    assert_eq!((&facts["tensors"], &facts["tensors-changed"]), (&json!(4), &json!(3)));
    // 1 and 1 against 1 and -1; 3, 4, 0 against 3, 4, 0.5; the NaN is left out.
    assert_eq!((&facts["max-abs"], &facts["max-abs-tensor"]), (&json!(2.0), &json!("half")));
    assert_eq!((&facts["min-cosine"], &facts["min-cosine-tensor"]), (&json!(0.0), &json!("half")));
    let expected = ((4.0 + 0.25) / (2.0 + 25.0 + 1.0_f64)).sqrt();
    assert!((facts["relative-l2"].as_f64().unwrap() - expected).abs() < 1e-12, "{facts}");
    assert_eq!((&facts["odd"], &facts["odd-changed"]), (&json!(1), &json!(1)));
    let text = world.run(["diff", "a.safetensors", "b.safetensors"]);
    assert!(text.stdout.contains("largest difference 2 in half"), "{}", text.stdout);
    assert!(text.stdout.contains("1 NaN or infinite in either, 1 of them"), "{}", text.stdout);
}

#[test]
fn other_names_types_and_shapes_are_named() {
    let world = World::new();
    let first = safetensors(
        &[("a", "F32", vec![2], f32s(&[1.0, 2.0])), ("b", "F32", vec![1], f32s(&[1.0]))],
        "pt",
    );
    let second = safetensors(
        &[("a", "F32", vec![1, 2], f32s(&[1.0, 2.0])), ("c", "F32", vec![1], f32s(&[1.0]))],
        "pt",
    );
    let (first, second) =
        (world.write("a.safetensors", first), world.write("b.safetensors", second));
    let (found, code) = diff(&world, &first, &second);
    let facts = &found["weights"];
    assert_eq!((&found["verdict"], code), (&json!("different"), 1));
    assert_eq!(facts["only-in-first"], json!(["b"]));
    assert_eq!(facts["only-in-second"], json!(["c"]));
    assert_eq!(facts["unlike"], json!([{"name": "a", "first": "F32 [2]", "second": "F32 [1, 2]"}]));
    assert_eq!(facts["max-abs"], Value::Null);
}

#[test]
fn metadata_of_gguf_that_tells_what_weights_do_is_no_wrapping() {
    let world = World::new();
    let mut block = [1_u8; 34];
    block[..2].copy_from_slice(&[0x00, 0x38]); // a scale of 0.5
    let named =
        |name, base| gguf(&[("general.name", name), ("llama.rope.freq_base", base)], &block);
    let first = world.write("a.gguf", named("one", "10000"));
    let renamed = world.write("b.gguf", named("two", "10000"));
    let turned = world.write("c.gguf", named("one", "500000"));
    assert_eq!(diff(&world, &first, &renamed).0["verdict"], "equal-tensors");
    let (found, _) = diff(&world, &first, &turned);
    assert_eq!(found["verdict"], "different");
    assert_eq!(found["weights"]["metadata-changed"], json!(["llama.rope.freq_base"]));
    block[33] = 5;
    let other = world.write(
        "d.gguf",
        gguf(&[("general.name", "one"), ("llama.rope.freq_base", "10000")], &block),
    );
    let (found, _) = diff(&world, &first, &other);
    assert_eq!(found["weights"]["max-abs"], 2.0);
    assert_eq!(found["weights"]["changed"][0]["elements-changed"], 1);
}

#[test]
fn a_model_in_shards_is_the_model_in_one_file() {
    let world = World::new();
    let one = ("one", "F32", vec![2], f32s(&[1.0, 2.0]));
    let two = ("two", "BF16", vec![2], vec![0x80, 0x3f, 0, 0x40]);
    let list =
        json!({"metadata": {}, "weight_map": {"one": "m-1.safetensors", "two": "m-2.safetensors"}});
    let whole = Recipe::new("lm", "1.0.0")
        .file("model.safetensors", safetensors(&[one.clone(), two.clone()], "pt"));
    let shards = Recipe::new("lm", "1.1.0")
        .file("model.safetensors.index.json", list.to_string())
        .file("m-1.safetensors", safetensors(&[one], "pt"))
        .file("m-2.safetensors", safetensors(&[two], "pt"));
    let key = world.key("me");
    let whole = whole.make(&world, "whole", &key).binary;
    let shards = shards.make(&world, "shards", &key).binary;
    let (found, _) = diff(&world, &whole, &shards);
    let model = found["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["path"] == "model.safetensors.index.json")
        .unwrap();
    assert_eq!(model["verdict"], "equal-tensors", "{found:#}");
    assert!(model["first"]["size"].as_u64().unwrap() > 100, "{model:#}");
    assert_ne!(model["first"]["sha256"], mpkg::package::Digest::of(b"").to_string());
    assert_eq!(found["files"].as_array().unwrap().len(), 2, "the shards are not listed again");
    assert_eq!(found["index-changed"], json!(["source", "version"]));
    assert_eq!(found["verdict"], "different", "another version is another package");
}

#[test]
fn a_list_that_lies_about_its_shards_is_refused() {
    let world = World::new();
    let list = |map: Value| json!({ "weight_map": map }).to_string();
    let one = ("one", "F32", vec![1], f32s(&[1.0]));
    world.write("m/m-1.safetensors", safetensors(std::slice::from_ref(&one), "pt"));
    let whole = world.write("whole.safetensors", safetensors(&[one], "pt"));
    for (map, why) in [
        (json!({"one": "../m-1.safetensors"}), "is no file of weights beside it"),
        (json!({"one": "m-2.safetensors"}), "there is no m-2.safetensors"),
        (json!({"two": "m-1.safetensors"}), "is not where it says"),
        (json!({"one": "m-1.safetensors", "two": "m-1.safetensors"}), "1 of its tensors"),
    ] {
        let path = world.write("m/model.safetensors.index.json", list(map));
        let path = path.to_str().unwrap();
        world.run(["diff", path, whole.to_str().unwrap()]).fails_with(&["shards", why]);
    }
}

#[test]
fn packages_are_compared_file_by_file_and_by_name() {
    let world = World::new();
    let model = |last| safetensors(&[("w", "F32", vec![2], f32s(&[1.0, last]))], "pt");
    world.publish(&[
        Recipe::new("lm", "1.0.0").file("model.safetensors", model(2.0)).file("notes.txt", "one\n"),
        Recipe::new("lm", "1.1.0").file("model.safetensors", model(2.5)).file("notes.txt", "out\n"),
    ]);
    let finished = world.with_registry(["diff", "lm@=1.0.0", "lm"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    for part in [
        "lm 1.0.0 (f32) and lm 1.1.0 (f32): different",
        "1 of 1 tensor changed",
        "largest difference 0.5 in w",
        "differing from byte 1 on",
    ] {
        assert!(finished.stdout.contains(part), "{part:?} is not in:\n{}", finished.stdout);
    }
    world
        .with_registry(["diff", "lm@2", "lm"])
        .fails_with(&["there is no binary package of lm@", "there is 1.0.0:f32, 1.1.0:f32"]);
    let finished = world.with_registry(["diff", "lm", "lm"]);
    assert_eq!(finished.code, 0, "{}", finished.stdout);
}

const TREE: &str = r#"
[package]
name = "words"
version = "1.0.0"
kind = "model"
summary = "How many words there are"
license = "MIT"

[environment]
python = ">=3.8"

[[data]]
name = "words"
path = "words.txt"
license = "CC0-1.0"
records = "lines"

[[step]]
name = "count"
run = ["python3", "count.py", "{data.words}", "{out}"]
seed = 1

[[variant]]
name = "plain"
from = "count"
files = ["model.json"]

[[test]]
name = "size"
run = ["python3", "size.py", "{package}"]
metric = "count"
at-least = 1
"#;

const COUNT: &str = r#"import json, sys
words = open(sys.argv[1]).read().split()
json.dump({"count": len(words)}, open(sys.argv[2] + "/model.json", "w"))
"#;

const SIZE: &str = r#"
print(open(__import__("sys").argv[1] + "/model.json").read())
"#;

#[test]
fn every_layer_of_two_packages() {
    let world = World::new();
    for (tree, manifest, count, words) in [
        ("one", TREE.to_owned(), COUNT.to_owned(), "a\nb\nb\nc\n"),
        (
            "two",
            TREE.replace("seed = 1", "seed = 2").replace("CC0-1.0", "CC-BY-4.0"),
            COUNT.replace("len(words)", "len(set(words))"),
            "a\nb\nd\ne\nf\n",
        ),
    ] {
        world.write(&format!("{tree}/mpkg.toml"), manifest);
        world.write(&format!("{tree}/count.py"), count);
        world.write(&format!("{tree}/size.py"), SIZE);
        world.write(&format!("{tree}/words.txt"), words);
        world.run(["-q", "build", tree]).succeeds();
    }
    let (one, two) = ("one/dist/words-1.0.0.plain.mpkg", "two/dist/words-1.0.0.plain.mpkg");
    let finished = world.run(["-q", "--json", "diff", one, two, "--html", "page.html"]);
    let found = finished.json();
    assert_eq!(
        found["manifest"],
        json!([{"what": "step.count.seed", "first": "1", "second": "2"}])
    );
    let data = &found["data"];
    assert_eq!(data["changes"][0]["what"], "words");
    assert_eq!(
        (&data["records-in"]["words"], &data["records-out"]["words"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(data["licences-in"], json!(["CC-BY-4.0"]));
    assert_eq!(data["licences-out"], json!(["CC0-1.0"]));
    let code = found["code"].as_array().unwrap();
    assert_eq!((code.len(), &code[0]["path"]), (1, &json!("count.py")));
    let diff = code[0]["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- a/count.py\n+++ b/count.py\n@@ -1,3 +1,3 @@\n"), "{diff}");
    assert!(diff.contains("\n-json.dump({\"count\": len(words)}"), "{diff}");
    assert_eq!(
        found["tests"],
        json!([{"what": "size on plain: count", "first": "4", "second": "5"}])
    );
    let text = world.run(["-q", "diff", one, two]).stdout;
    for part in [
        "words 1.0.0 (plain) and words 1.0.0 (plain): different",
        "different         model.json",
        "Manifest\n  step.count.seed\n    - 1\n    + 2",
        "records of words: 3 in, 2 out",
        "licences in: CC-BY-4.0",
        "Tests\n  size on plain: count\n    - 4\n    + 5",
        "+json.dump({\"count\": len(set(words))}",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let page = std::fs::read_to_string(world.path("page.html")).unwrap();
    assert!(page.contains("<span class=\"good\">+json.dump({&quot;count&quot;"), "{page}");
    assert!(!page.contains("<script"));
    std::fs::remove_file(world.path("one/dist/words-1.0.0.src.mpkg")).unwrap();
    let finished = world.run(["--json", "diff", one, two]);
    assert_eq!(finished.json()["code"], Value::Null);
    assert!(finished.stderr.contains("The code is not compared"), "{}", finished.stderr);
}

#[test]
fn source_packages_have_the_layers_of_their_sources() {
    let world = World::new();
    let lock = |version: &str| format!("numpy=={version} --hash=sha256:{}\n", "ab".repeat(32));
    let manifest =
        TREE.replace("python = \">=3.8\"", "python = \">=3.8\"\nlock = \"requirements.txt\"");
    for (tree, version) in [("one", "2.1.0"), ("two", "2.2.0")] {
        world.write(&format!("{tree}/mpkg.toml"), &manifest);
        world.write(&format!("{tree}/words.txt"), "a\n");
        world.write(&format!("{tree}/requirements.txt"), lock(version));
        world.write(&format!("{tree}/{tree}.py"), "print(1)\n");
        world.run(["-q", "pack", tree]).succeeds();
    }
    let (one, two) = ("one/dist/words-1.0.0.src.mpkg", "two/dist/words-1.0.0.src.mpkg");
    let found = world.run(["--json", "diff", one, two]).json();
    assert_eq!(
        found["environment"],
        json!([{"what": "wheel numpy", "first": "2.1.0", "second": "2.2.0"}])
    );
    assert_eq!((&found["manifest"], &found["data"]["changes"]), (&json!([]), &json!([])));
    let code = &found["code"];
    assert_eq!(code[0]["diff"], "--- a/one.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-print(1)\n");
    assert_eq!(code[1]["second-size"], 9);
    let binary = Recipe::new("words", "1.0.0").make(&world, "built", &world.key("me")).binary;
    world.run(["diff", one, binary.to_str().unwrap()]).fails_with(&["are packages of two kinds"]);
}
