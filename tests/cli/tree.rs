//! `mpkg tree` and `why`: what a package was built from, and what was made from a part of it.

use serde_json::Value;

use crate::support::World;
use crate::support::examples::install;

/// The lines of a tree, without digests.
fn lines(text: &str) -> Vec<String> {
    let is_digest = |word: &&str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = |line: &str| {
        let words = line.split(' ').filter(|word| !is_digest(word)).collect::<Vec<_>>();
        words.join(" ").replace("   ", "  ").trim_end().to_owned()
    };
    text.lines().map(words).collect()
}

#[test]
fn the_tree_of_an_adapter_reaches_down_to_data() {
    let world = World::new();
    install(&world, &["docs-lm-lora"]);
    let shown = world.run(["tree", "docs-lm-lora", "--html", "tree.html"]).succeeds();
    assert!(shown.stderr.is_empty(), "{}", shown.stderr);
    let lines = lines(&shown.stdout);
    assert!(lines[0].starts_with("docs-lm-lora 1.0.0 (f32)  adapter"), "{lines:#?}");
    let find = |start: &str| {
        let found: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(start)).collect();
        assert!(!found.is_empty(), "{start} is not in {lines:#?}");
        found
    };
    // The corpus is drawn whole once, and data stands below it.
    let corpus = find("docs-corpus 1.0.0 (text)  dataset");
    assert!(corpus.len() > 1, "{lines:#?}");
    for again in &corpus[1..] {
        assert!(lines[*again].ends_with("(*)"), "{lines:#?}");
    }
    assert_eq!(find("data networkx").len(), 1);
    find("docs-tokenizer 1.0.0 (bpe-1024)  tokenizer");
    let base = find("docs-lm 1.0.0 (f32)  model");
    assert!(lines[base[0]].ends_with("by train"), "{lines:#?}");

    let page = std::fs::read_to_string(world.path("tree.html")).expect("a page");
    for part in ["docs-lm-lora 1.0.0 (f32)", "networkx", "<svg", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("http-equiv=\"refresh"), "{page}");
}

#[test]
fn a_tree_turned_round_says_what_was_made_from_a_part() {
    let world = World::new();
    install(&world, &["docs-lm-lora"]);
    let shown = world.run(["tree", "docs-lm-lora", "--invert", "networkx"]).succeeds();
    let lines = lines(&shown.stdout);
    assert!(lines[0].starts_with("data networkx  train  BSD-3-Clause"), "{lines:#?}");
    assert!(lines[1].starts_with("└── docs-corpus 1.0.0 (text)"), "{lines:#?}");
    assert!(lines[2..].iter().any(|line| line.contains("docs-lm-lora 1.0.0")), "{lines:#?}");
    world
        .run(["tree", "docs-lm-lora", "--invert", "networkz"])
        .fails_with(&["nothing in it is called networkz", "there is networkx"]);

    let json = world.run(["tree", "docs-lm-lora", "--json"]).succeeds().json();
    let nodes = json["nodes"].as_array().expect("a list");
    let find = |name: &str| {
        let is_it = |node: &&Value| node["name"] == name;
        nodes.iter().find(is_it).unwrap_or_else(|| panic!("{name} is not in {json:#}"))
    };
    let digest = find("networkx")["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(find("docs-lm")["steps"], serde_json::json!(["train"]));
    let needs = find("docs-corpus")["needs"].as_array().expect("a list").clone();
    assert!(needs.iter().all(|need| need["role"] == "data"), "{needs:?}");
    let by_digest = world.run(["tree", "docs-lm-lora", "-i", &digest[..12]]).succeeds();
    assert_eq!(by_digest.stdout, shown.stdout);
}

#[test]
fn a_source_tree_without_a_registry_has_its_own_data_and_gaps() {
    let world = World::new();
    world.run(["init", "lm", "--kind", "model"]).succeeds();
    let shown = world.run(["tree", "lm"]).succeeds();
    assert!(
        shown.stdout.starts_with("lm 0.1.0 (source)  model\n├── data train"),
        "{}",
        shown.stdout
    );
    let manifest = std::fs::read_to_string(world.path("lm/mpkg.toml")).expect("a manifest");
    world.write("lm/mpkg.toml", format!("{manifest}\n[build-dependencies]\nnowhere = \"^1\"\n"));
    let shown = world.run(["tree", "lm"]).succeeds();
    assert!(shown.stdout.contains("nowhere  not to be had"), "{}", shown.stdout);
    assert!(shown.stderr.contains("no registry is named"), "{}", shown.stderr);
}

#[test]
fn why_names_what_was_built_with_a_package() {
    let world = World::new();
    install(&world, &["docs-lm"]);
    let said = world.run(["why", "docs-corpus"]).succeeds();
    assert_eq!(
        said.stdout,
        "not installed: docs-lm 1.0.0 (f32) was built with docs-corpus 1.0.0 (text)\n"
    );
    world.run(["why", "nothing-of-it"]).fails_with(&["nothing-of-it"]);
}

#[test]
fn digests_are_shown_in_full_for_advisories() {
    let world = World::new();
    world.run(["init", "lm", "--kind", "model"]).succeeds();
    let data = std::fs::read(world.path("lm/data/train.txt")).expect("the data");
    let digest = mpkg::package::Digest::of(&data).to_string();
    assert!(!world.run(["tree", "lm"]).succeeds().stdout.contains(&digest));
    assert!(world.run(["tree", "lm", "--digests"]).succeeds().stdout.contains(&digest));
}
