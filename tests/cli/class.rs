//! `mpkg class`: the class follows from facts, and what is unknown never improves it.

use serde_json::Value;

use crate::support::World;
use crate::support::examples::trust;

/// A model under `license` that is trained on `page.txt`, with `more` in its manifest.
fn model(world: &World, folder: &str, license: &str, more: &str) {
    let manifest = format!(
        "[package]\nname = \"{folder}\"\nversion = \"1.0.0\"\nkind = \"model\"\n\
         summary = \"A model\"\nlicense = \"{license}\"\n{more}\n\
         [[step]]\nname = \"train\"\nrun = [\"cp\", \"NOTICE\", \"{{out}}/NOTICE\"]\n\
         [[variant]]\nname = \"f32\"\nfrom = \"train\"\nfiles = [\"NOTICE\"]\n"
    );
    world.write(&format!("{folder}/mpkg.toml"), manifest);
    world.write(&format!("{folder}/page.txt"), "A page\n");
    world.write(&format!("{folder}/NOTICE"), "License: CC0-1.0\n");
    world.write(&format!("{folder}/train.py"), "# SPDX-License-Identifier: MIT\n");
}

const DATA: &str = "[[data]]\nname = \"page\"\npath = \"page.txt\"\nlicense = \"CC0-1.0\"\nlicense-evidence = \"NOTICE\"\n";

fn class(world: &World, more: &[&str]) -> Value {
    let all = ["-q", "class", "--json"];
    let ran = world.run(all.iter().chain(more).copied()).succeeds();
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    ran.json()
}

/// The keys of the facts between a package and the next better class.
fn between(found: &Value) -> Vec<&str> {
    let facts = found["next"]["between"].as_array().expect("a list").iter();
    facts.map(|fact| fact["key"].as_str().expect("a word")).collect()
}

#[test]
fn a_tree_that_is_free_in_everything_is_main() {
    let world = World::new();
    model(&world, "lm", "MIT", DATA);
    let found = class(&world, &["lm"]);
    assert_eq!((&found["class"], &found["next"]), (&"main".into(), &Value::Null));
    let facts = found["facts"].as_array().expect("a list");
    assert!(facts.iter().all(|fact| fact["value"] == "yes"), "{found:#}");
    let data = facts.iter().find(|fact| fact["key"] == "data-licence").expect("a fact");
    assert_eq!((&data["level"], &data["source"]), (&"checked".into(), &"NOTICE".into()));
    assert!(data["date"].as_str().expect("a date").ends_with('Z'));
    assert_eq!(found["framework"]["class"], Value::Null);
    assert_eq!(
        found["framework"]["missing"],
        serde_json::json!([
            "model card",
            "data card",
            "technical report or research paper",
            "evaluation results"
        ])
    );
    world.run(["class", "lm", "--at-least", "main"]).succeeds();
    world.run(["class", "lm", "--at-least", "free"]).misuses("there are non-free, toxic-candy");
}

#[test]
fn each_fact_holds_the_class_down() {
    let world = World::new();
    let data = |change: &dyn Fn(&str) -> String| change(DATA);
    let nowhere = "[[data]]\nname = \"page\"\nurls = [\"file:///nowhere/x\"]\nsize = 7\nlicense = \"CC0-1.0\"\n\
         license-evidence = \"NOTICE\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
    for (license, more, expected, keys) in [
        ("LicenseRef-llama-3", DATA.to_owned(), "non-free", &["licence"][..]),
        ("LicenseRef-own", DATA.to_owned(), "non-free", &["licence"]),
        (
            "MIT",
            data(&|it| it.replace("CC0-1.0", "CC-BY-NC-4.0")),
            "toxic-candy",
            &["data-licence"],
        ),
        (
            "MIT",
            data(&|it| it.replace("CC0-1.0", "LicenseRef-own")),
            "toxic-candy",
            &["data-licence"],
        ),
        ("MIT", String::new(), "toxic-candy", &["training-data"]),
        ("MIT", DATA.replace("license-evidence = \"NOTICE\"\n", ""), "contrib", &["data-licence"]),
        ("MIT", DATA.replace("NOTICE", "gone"), "contrib", &["data-licence"]),
        ("MIT", nowhere.to_owned(), "contrib", &["data"]),
        (
            "MIT",
            format!("{DATA}[environment]\nsystem = [{{ program = \"cc\" }}]\n"),
            "contrib",
            &["system"],
        ),
        (
            "MIT",
            data(&|it| it.replace("CC0-1.0", "CC-BY-NC-4.0") + "role = \"test\"\n")
                + &DATA.replace("\"page\"", "\"other\""),
            "contrib",
            &["data-licence"],
        ),
    ] {
        model(&world, "lm", license, &more);
        let found = class(&world, &["lm"]);
        assert_eq!(found["class"], expected, "{more}\n{found:#}");
        assert_eq!(between(&found), keys, "{more}\n{found:#}");
        let least = world.run(["class", "lm", "--at-least", "main"]);
        assert_eq!(least.code, 1, "{}", least.stderr);
        assert!(least.stdout.starts_with(&format!("lm 1.0.0 (source): {expected}\n")));
    }
}

#[test]
fn weights_that_were_made_elsewhere_are_toxic_candy() {
    let world = World::new();
    let weights = DATA.replace("page.txt", "given").replace("\"page\"", "\"given\"");
    model(&world, "lm", "MIT", &format!("{DATA}{weights}role = \"reference\"\n"));
    world.write("lm/given/encoder.safetensors", "weights");
    let found = class(&world, &["lm"]);
    assert_eq!((&found["class"], between(&found)), (&"toxic-candy".into(), vec!["weights-given"]));
    // In an archive that nobody has looked into there may be some.
    let archive = "[[data]]\nname = \"all\"\nurls = [\"file:///nowhere/x\"]\nsize = 7\nlicense = \"CC0-1.0\"\n\
         license-evidence = \"NOTICE\"\nunpack = \"zip\"\n\
         sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
    std::fs::remove_dir_all(world.path("lm/given")).expect("they go");
    model(&world, "lm", "MIT", archive);
    let found = class(&world, &["lm"]);
    assert_eq!((&found["class"], between(&found)), (&"toxic-candy".into(), vec!["weights-given"]));
    model(&world, "lm", "MIT", &format!("{archive}select = [\"texts/*.txt\"]\n"));
    assert_eq!(class(&world, &["lm"])["class"], "contrib");
    world.write("lm/given/encoder.safetensors", "weights");
    // In the tree without being data they are no better.
    model(&world, "lm", "MIT", DATA);
    assert_eq!(class(&world, &["lm"])["class"], "toxic-candy");
    std::fs::remove_dir_all(world.path("lm/given")).expect("they go");
    assert_eq!(class(&world, &["lm"])["class"], "main");
}

#[test]
fn what_addresses_said_is_remembered_with_its_date() {
    let world = World::new();
    let page = world.write("page.txt", "A page\n");
    let digest = mpkg::package::Digest::of(b"A page\n");
    let data = format!(
        "[[data]]\nname = \"page\"\nurls = [\"file://{}\"]\nsha256 = \"{digest}\"\nsize = 7\n\
         license = \"CC0-1.0\"\nlicense-evidence = \"NOTICE\"\n",
        page.display()
    );
    model(&world, "lm", "MIT", &data);
    let data_fact = |found: &Value| {
        let facts = found["facts"].as_array().expect("a list");
        facts.iter().find(|fact| fact["key"] == "data").expect("a fact").clone()
    };
    let found = class(&world, &["lm"]);
    assert_eq!((&found["class"], &data_fact(&found)["date"]), (&"contrib".into(), &Value::Null));
    // An address that answers is not yet one with the right bytes.
    world.run(["fetch", "lm", "--check"]).succeeds();
    let found = class(&world, &["lm"]);
    assert_eq!(
        (&found["class"], &data_fact(&found)["value"]),
        (&"contrib".into(), &"unknown".into())
    );
    assert!(data_fact(&found)["date"].is_string());
    world.run(["fetch", "lm", "--check", "--full"]).succeeds();
    assert_eq!(class(&world, &["lm"])["class"], "main");
    // Then it is gone.
    std::fs::remove_file(&page).expect("it goes");
    assert_eq!(world.run(["fetch", "lm", "--check"]).code, 1);
    let found = class(&world, &["lm"]);
    assert_eq!((&found["class"], &data_fact(&found)["value"]), (&"contrib".into(), &"no".into()));
    // And back.
    std::fs::write(&page, "A page\n").expect("it is back");
    assert_eq!(class(&world, &["lm", "--check"])["class"], "main");
    std::fs::remove_file(&page).expect("it goes");
    let found = class(&world, &["lm"]);
    assert_eq!(
        (&found["class"], &data_fact(&found)["source"]),
        (&"main".into(), &"the cache".into())
    );
}

#[test]
fn a_package_is_no_better_than_what_it_is_built_from() {
    let world = World::new();
    model(&world, "base", "CC-BY-NC-4.0", DATA);
    world.run(["build", "base"]).succeeds();
    model(&world, "tuned", "MIT", &format!("{DATA}[dependencies]\nbase = \"^1\"\n"));
    let found = class(&world, &["tuned", "--with", "base"]);
    assert_eq!((&found["class"], between(&found)), (&"non-free".into(), vec!["needs"]));
    assert_eq!(found["built_from"][0]["class"], "non-free");
    // What is not to be had is as bad as it may be.
    let found = class(&world, &["tuned"]);
    assert_eq!(
        (&found["class"], found["gaps"].as_array().map(Vec::len)),
        (&"non-free".into(), Some(1))
    );
    // A package whose source is nowhere.
    std::fs::remove_file(world.path("base/dist/base-1.0.0.src.mpkg")).expect("it goes");
    std::fs::remove_dir_all(world.path("home/cache/packages")).expect("they go");
    let found = class(&world, &["base/dist/base-1.0.0.f32.mpkg"]);
    assert_eq!(found["class"], "non-free");
    let source = found["facts"].as_array().expect("a list").iter().find(|it| it["key"] == "source");
    assert_eq!(source.expect("a fact")["value"], "no");
}

#[test]
fn a_policy_takes_the_word_of_those_it_listens_to_for_a_class() {
    let world = World::new();
    model(&world, "lm", "MIT", DATA);
    world.run(["build", "lm"]).succeeds();
    world.run(["key", "new", "me"]).succeeds();
    let files = ["lm/dist/lm-1.0.0.src.mpkg", "lm/dist/lm-1.0.0.f32.mpkg"];
    world.run(["sign", "--key", "me", files[0], files[1]]).succeeds();
    world.run(["publish", "--create", "--to", "registry", files[0], files[1]]).succeeds();
    world.write("home/policy.toml", "[default]\nmin-class = \"main\"\n");
    let install = ["install", "--yes", "lm"];
    world.run(install).fails_with(&["its class must be main or better, and is not known"]);

    let ran = world.run(["class", "lm@1.0.0", "--attest", "me", "--out", "said"]).succeeds();
    let statement = "said/lm-1.0.0.f32.mpkg.class.dsse.json";
    assert!(ran.stdout.ends_with(&format!("Signed: {statement}\n")), "{}", ran.stdout);
    // It is no statement that somebody can write by hand.
    world.write("said.json", "{\"class\":\"main\"}");
    let by_hand = [
        "attest",
        "sign",
        "lm",
        "--key",
        "me",
        "--predicate",
        "said.json",
        "--type",
        "urn:mpkg:class:1",
    ];
    world.run(by_hand).fails_with(&["it cannot be written by hand"]);
    // Handed over it counts, and published it counts without being handed over.
    world.run(["install", "--yes", "--dry-run", "lm", "--attestation", statement]).succeeds();
    world.run(install).fails_with(&["is not known"]);
    world.run(["publish", "--to", "registry", "--attestation", statement]).succeeds();
    // Nobody else has said it.
    world.run(["key", "new", "other"]).succeeds();
    let keys = world.run(["key", "list", "--json"]).json();
    let keys = keys["keys"].as_array().expect("a list").iter();
    let other = keys.clone().find(|key| key["name"] == "other").expect("a key")["id"].clone();
    let by = format!("[default]\nmin-class = \"main\"\nclass-by = [{other}]\n");
    world.write("home/policy.toml", by);
    world.run(install).fails_with(&["line 2: its class must be main or better, and is not known"]);
    world.write("home/policy.toml", "[default]\nmin-class = \"main\"\nclass-by = [\"self\"]\n");
    world.run(install).succeeds();
    // A tree has no digest to sign.
    world.run(["class", "lm/mpkg.toml", "--attest", "me"]).fails_with(&["is no binary package"]);
    world.write("home/policy.toml", "[default]\nclass-by = [\"nobody\"]\n");
    world.run(["install", "lm"]).fails_with(&["nobody"]);
}

#[test]
fn a_rebuild_by_somebody_else_makes_the_recipe_reproduced() {
    let world = World::new();
    model(&world, "lm", "MIT", DATA);
    world.run(["build", "lm"]).succeeds();
    world.run(["key", "new", "me"]).succeeds();
    let files = ["lm/dist/lm-1.0.0.src.mpkg", "lm/dist/lm-1.0.0.f32.mpkg"];
    world.run(["sign", "--key", "me", files[0], files[1]]).succeeds();
    world.run(["publish", "--create", "--to", "registry", files[0], files[1]]).succeeds();
    world.run(["key", "new", "other"]).succeeds();
    let level = || {
        let found = class(&world, &["lm@1.0.0"]);
        let facts = found["facts"].as_array().expect("a list").clone();
        let recipe = facts.into_iter().find(|fact| fact["key"] == "recipe").expect("a fact");
        recipe["level"].as_str().expect("a word").to_owned()
    };
    assert_eq!(level(), "checked");
    let statement = "rebuilt/lm-1.0.0.f32.mpkg.rebuild.dsse.json";
    // The publisher's own word adds nothing.
    for (key, expected) in [("me", "checked"), ("other", "reproduced")] {
        world.run(["rebuild", "lm@1.0.0", "--attest", key]).succeeds();
        world.run(["publish", "--to", "registry", "--attestation", statement]).succeeds();
        assert_eq!(level(), expected, "{key}");
    }
}

#[test]
fn the_example_model_is_main_once_everything_was_looked_at() {
    let world = World::new();
    trust(&world);
    let found = class(&world, &["docs-lm"]);
    assert_eq!(found["class"], "contrib", "{found:#}");
    let found = class(&world, &["docs-lm", "--check"]);
    assert_eq!(found["class"], "main", "{found:#}");
    let built_from: Vec<&Value> =
        found["built_from"].as_array().expect("a list").iter().map(|one| &one["class"]).collect();
    assert_eq!(built_from, ["main", "main"]);
    assert_eq!(class(&world, &["docs-lm", "--offline"])["class"], "main");
}
