//! `mpkg trace`: copies of training data are found where they stand, and only those.

use serde_json::Value;

use crate::support::World;
use crate::support::examples::install;

const MANIFEST: &str = r#"
[package]
name = "rhymes"
version = "1.0.0"
kind = "dataset"
summary = "Rhymes"
license = "CC0-1.0"
[[data]]
name = "old"
path = "old"
license = "CC0-1.0"
[[data]]
name = "held-out"
path = "held-out.txt"
license = "MIT"
role = "test"
[[step]]
name = "copy"
run = ["cp", "-r", "{data.old}", "{out}"]
[[variant]]
name = "text"
from = "copy"
files = ["**"]
"#;

const RHYME: &str = "The quick brown fox jumps over\nthe lazy dog and runs away,\n  for foxes never dig for moles.\n";

/// A world with a source tree whose data is in it.
fn world() -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", MANIFEST);
    world.write("tree/old/fox.txt", format!("A title\n\n{RHYME}The end.\n"));
    world.write("tree/old/picture.raw", b"RAW\0\0lazy dog and runs away");
    world.write("tree/held-out.txt", "Nobody was ever trained on this sentence of the test.\n");
    world
}

fn trace(world: &World, arguments: &[&str]) -> (i32, Value) {
    let all = ["trace", "tree", "--json"];
    let ran = world.run(all.iter().chain(arguments).copied());
    (ran.code, ran.json())
}

#[test]
fn a_copy_is_found_with_its_source() {
    let world = world();
    let said = "He said: the lazy dog and runs away, he said.";
    let ran = world.run(["trace", "tree", said, "--min-length", "20"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let expected = "\
27 bytes from byte 9:
  \"the lazy dog and runs away,\"
  in rhymes 1.0.0, data old (CC0-1.0): fox.txt, line 4
     A title The quick brown fox jumps over [...] for foxes never dig for moles. The end.
1 passage of the training data, the longest 27 bytes (110 B of text in 1 piece of data searched)
";
    assert_eq!(ran.stdout, expected);

    let (code, found) = trace(&world, &[said, "--min-length", "28"]);
    assert_eq!((code, &found["count"]), (0, &0.into()));
    assert_eq!(found["searched"][0]["not_text"], 1);
    let quiet = world.run(["trace", "tree", said]).succeeds();
    assert!(quiet.stdout.starts_with("no passage of 50 bytes or more"), "{}", quiet.stdout);
}

#[test]
fn whitespace_folds_where_that_is_asked_for() {
    let world = world();
    let flat = RHYME.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(trace(&world, &[&flat]).0, 0);
    let (code, found) = trace(&world, &[&flat, "--fold-whitespace"]);
    assert_eq!((code, &found["count"]), (1, &1.into()));
    assert_eq!(found["passages"][0]["text"], flat.as_str());
    assert_eq!(found["passages"][0]["places"][0]["line"], 3);
}

#[test]
fn the_prompt_is_no_copy() {
    let world = world();
    let (prompt, answer) = RHYME.split_at(32);
    let file = world.write("answer.txt", format!("{prompt}{}", &answer[..20]));
    let file = file.display().to_string();
    assert_eq!(trace(&world, &["--file", &file]).0, 1);
    assert_eq!(trace(&world, &["--file", &file, "--prompt", prompt]).0, 0);
    let (code, found) = trace(&world, &["--file", &file, "--prompt", prompt, "--min-length", "15"]);
    assert_eq!(code, 1);
    let passage = &found["passages"][0];
    assert_eq!((&passage["start"], &passage["length"]), (&32.into(), &20.into()));
    // Nor is the prompt said again.
    let again = format!("You said: {RHYME}");
    assert_eq!(trace(&world, &[&again, "--prompt", RHYME]).0, 0);
}

#[test]
fn test_data_is_not_training_data_and_an_index_is_made_once() {
    let world = world();
    let sentence = "Nobody was ever trained on this sentence of the test.";
    assert_eq!(trace(&world, &[sentence, "--min-length", "10"]).0, 0);
    let indexes = || {
        let found = std::fs::read_dir(world.path("home/cache/trace")).expect("indexes");
        let mut found: Vec<_> = found
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir())
            .map(|path| {
                (
                    path.clone(),
                    path.join("index.json").metadata().expect("it").modified().expect("a time"),
                )
            })
            .collect();
        found.sort();
        found
    };
    let before = indexes();
    assert_eq!(before.len(), 1);
    trace(&world, &["something else", "--offline"]);
    assert_eq!(indexes(), before);
    // Other data, another index.
    world.write("tree/old/more.txt", format!("{sentence}\n"));
    assert_eq!(trace(&world, &[sentence]).0, 1);
    assert_eq!(indexes().len(), 2);
}

#[test]
fn wrong_usage_and_long_texts_are_refused() {
    let world = world();
    assert_eq!(world.run(["trace", "tree"]).code, 2);
    assert_eq!(world.run(["trace", "tree", "a", "--min-length", "7"]).code, 2);
    assert_eq!(world.run(["trace", "tree", "a", "--file", "b"]).code, 2);
    let long = world.write("long.txt", vec![b'a'; (256 << 10) + 1]).display().to_string();
    world
        .run(["trace", "tree", "--file", &long])
        .fails_with(&["at most 262144 can be traced at once", "trace it in pieces"]);
    world.run(["trace", "nothing/here", "a"]).fails_with(&["it is no package name"]);
}

#[test]
fn the_data_of_everything_below_a_model_is_searched() {
    let world = World::new();
    install(&world, &["docs-lm"]);
    let copied = "This service uses the Mailman REST API to";
    // Without the registry the sources are nowhere, and that is no answer.
    let (configured, aside) = (world.path("home/registries.toml"), world.path("aside.toml"));
    std::fs::rename(&configured, &aside).expect("a registry is configured");
    world.run(["trace", "docs-lm", copied]).fails_with(&[
        "not all of the training data can be searched",
        "the source of docs-lm 1.0.0",
        "--partial",
    ]);
    let partial = world.run(["trace", "docs-lm", copied, "--partial", "--json"]).succeeds();
    assert_eq!(partial.json()["not_searched"].as_array().map(Vec::len), Some(1));
    assert!(partial.stderr.contains("was not searched"), "{}", partial.stderr);

    std::fs::rename(&aside, &configured).expect("it is configured again");
    let sentence = "A graph is connected if there is a path between every pair of nodes";
    let trace = |text: &str, offline: &[&str]| {
        let all = ["trace", "docs-lm", text, "--min-length", "20", "--json"];
        let ran = world.run(all.iter().chain(offline).copied());
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
        (ran.code, ran.json())
    };
    let (code, found) = trace(sentence, &[]);
    assert_eq!(code, 1, "{found:#}");
    let searched: Vec<(&str, &str)> = found["searched"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["package"].as_str().unwrap(), one["data"].as_str().unwrap_or("its files")))
        .collect();
    let corpus = "docs-corpus 1.0.0";
    assert_eq!(
        searched,
        [(corpus, "networkx"), (corpus, "docutils"), (corpus, "mailman"), (corpus, "its files")]
    );
    let place = &found["passages"][0]["places"][0];
    assert_eq!(place["license"], "BSD-3-Clause");
    assert_eq!(place["from"], "pypi:networkx==3.6.1");
    // From now on nobody need be asked, and what nobody wrote is found nowhere.
    assert_eq!(trace("Seventeen purple zeppelins yodel.", &["--offline"]).0, 0);
}
