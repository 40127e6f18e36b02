//! `mpkg exclude`: records are withdrawn before a step sees the data, with a receipt, and what
//! else was made from them is named.

use serde_json::Value;

use crate::support::{Finished, World};

const MANIFEST: &str = r#"# A comment that stays.
[package]
name = "NAME"
version = "1.0.0"
kind = "dataset"
summary = "Some text"
license = "CC0-1.0"

[[data]]
name = "text"   # the text
path = "data/text.txt"
license = "CC0-1.0"
records = "KIND"

[[step]]
name = "copy"
run = ["cp", "-r", "{data.text}", "{out}/text"]

[[variant]]
name = "text"
from = "copy"
files = ["**"]
"#;

fn manifest(name: &str, kind: &str) -> String {
    MANIFEST.replace("NAME", name).replace("KIND", kind)
}

/// A world with a tree `tree` whose data has records of this kind.
fn world(kind: &str, text: &str) -> World {
    let world = World::new();
    world.write("tree/mpkg.toml", manifest("some-text", kind));
    world.write("tree/data/text.txt", text);
    world
}

fn exclude(world: &World, arguments: &[&str]) -> Finished {
    let all = ["exclude", "--tree", "tree", "text", "--reason", "It is not ours"];
    world.run(all.iter().chain(arguments).copied())
}

fn read(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.path(path)).unwrap()
}

/// What the step saw.
fn built(world: &World, name: &str) -> String {
    let file = format!("tree/dist/{name}-1.0.0.text.mpkg");
    let out = std::process::Command::new("tar")
        .args(["--zstd", "-xOf", &file, "text"])
        .current_dir(world.root())
        .output();
    String::from_utf8(out.unwrap().stdout).unwrap()
}

fn record(world: &World) -> Value {
    serde_json::from_str(&read(world, "tree/dist/some-text-1.0.0.build.json")).unwrap()
}

#[test]
fn what_is_withdrawn_no_step_sees_and_the_record_says_so() {
    let world = world("lines", "one\r\ntwo secret\nthree\n\nfive secret");
    world.run(["build", "tree", "--out", "before"]).succeeds();
    let shown = exclude(&world, &["--match", "secret", "--dry-run"]).succeeds().stdout;
    let expected = "\
2 of 5 records of text (lines) would be withdrawn
  text:2  0bb4f10ba05d  two secret
  text:5  25b2d0ab1ff0  five secret
";
    let digests = ["two secret", "five secret"].map(|it| mpkg::package::Digest::of(it.as_bytes()));
    let expected = expected
        .replace("0bb4f10ba05d", &digests[0].short())
        .replace("25b2d0ab1ff0", &digests[1].short());
    assert_eq!(shown, expected);
    assert!(!world.path("tree/exclusions").exists());

    let said =
        exclude(&world, &["--match", "sec.et$", "--reference", "https://example.org/1"]).succeeds();
    assert!(
        said.stdout.starts_with("2 of 5 records of text (lines) withdrawn\n"),
        "{}",
        said.stdout
    );
    let list = read(&world, "tree/exclusions/text.toml");
    assert!(list.contains("format = 1\n\n[[withdrawn]]\nmatch = \"sec.et$\"\nreason = \"It is not ours\"\nreference = \"https://example.org/1\"\ndate = \"20"), "{list}");
    let expected = manifest("some-text", "lines").replace(
        "records = \"lines\"\n",
        "records = \"lines\"\nexclude = [\"exclusions/text.toml\"]\n",
    );
    assert_eq!(read(&world, "tree/mpkg.toml"), expected);

    let said = world.run(["build", "tree"]).succeeds();
    assert!(said.stderr.contains("Withdrew 2 of 5 records of text"), "{}", said.stderr);
    assert_eq!(built(&world, "some-text"), "one\r\nthree\n\n");
    let receipt = &record(&world)["data"][0]["records"];
    assert_eq!(
        (&receipt["before"], &receipt["removed"], &receipt["after"]),
        (&5.into(), &2.into(), &3.into())
    );
    let digest = |text: &str| Value::from(mpkg::package::Digest::of(text.as_bytes()).to_string());
    assert_eq!(receipt["sha256-before"], digest("one\r\ntwo secret\nthree\n\nfive secret"));
    assert_eq!(receipt["sha256-after"], digest("one\r\nthree\n\n"));
    assert_eq!(receipt["lists"][0]["removed"], serde_json::json!([2]));

    // The source package has the list, and a rebuild does the same.
    let rebuilt =
        world.run(["rebuild", "tree/dist/some-text-1.0.0.text.mpkg", "--out", "again"]).succeeds();
    assert!(rebuilt.stdout.contains(": identical"), "{}", rebuilt.stdout);
    let diff = world.run([
        "diff",
        "before/some-text-1.0.0.text.mpkg",
        "tree/dist/some-text-1.0.0.text.mpkg",
    ]);
    assert!(diff.stdout.contains("records of text: 0 in, 2 out"), "{}", diff.stdout);

    // Another entry goes into the same list; one that withdraws nothing is warned of.
    exclude(&world, &["--record", &mpkg::package::Digest::of(b"three").to_string()]).succeeds();
    let more = list.clone()
        + "\n[[withdrawn]]\nmatch = \"nowhere\"\nreason = \"x\"\ndate = \"2026-01-01\"\n";
    assert!(read(&world, "tree/exclusions/text.toml").starts_with(&list));
    assert_eq!(read(&world, "tree/mpkg.toml"), expected);
    world.write("tree/exclusions/text.toml", more);
    let said = world.run(["build", "tree"]).succeeds();
    assert!(
        said.stderr.contains("entry 2 of exclusions/text.toml withdraws no record of text"),
        "{}",
        said.stderr
    );
    // What is for people changes no data, so no step runs again.
    world.write("tree/exclusions/text.toml", list.replace("not ours", "not ours at all"));
    let said = world.run(["build", "tree"]).succeeds();
    assert!(
        said.stderr.contains("cached") || !said.stderr.contains("Step copy: done in"),
        "{}",
        said.stderr
    );
}

#[test]
fn records_are_paragraphs_json_csv_and_files_as_well() {
    for (kind, text, left) in [
        ("paragraphs", "a\nbad\n\n\nb\n", "b\n"),
        ("jsonl", "{\"t\": \"ba\\u0064\"}\n{\"t\": \"good\"}\n", "{\"t\": \"good\"}\n"),
        ("csv", "bad,header\n\"x\nbad\",1\ny,2\n", "bad,header\ny,2\n"),
    ] {
        let world = world(kind, text);
        exclude(&world, &["--match", "bad"]).succeeds();
        world.run(["build", "tree"]).succeeds();
        assert_eq!(built(&world, "some-text"), left, "{kind}");
    }
    let world = world("files", "");
    std::fs::remove_file(world.path("tree/data/text.txt")).unwrap();
    world.write("tree/data/text.txt/a", "good\n");
    world.write("tree/data/text.txt/b/c", "very\nbad\n");
    let found = exclude(&world, &["--match", "bad", "--json"]).succeeds().json();
    assert_eq!((&found["removed"], &found["before"]), (&1.into(), &2.into()));
    assert_eq!(found["shown"][0]["path"], "b/c");
    world.run(["build", "tree"]).succeeds();
    let out = std::process::Command::new("tar")
        .args(["--zstd", "-tf", "tree/dist/some-text-1.0.0.text.mpkg"])
        .current_dir(world.root())
        .output()
        .unwrap();
    let names = String::from_utf8(out.stdout).unwrap();
    assert!(names.contains("text/a") && !names.contains("text/b"), "{names}");
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let world = world("lines", "one\ntwo\n");
    let before = read(&world, "tree/mpkg.toml");
    let digest = "ab".repeat(32);
    for (arguments, parts) in [
        (
            &["--match", ".*"][..],
            &["all 2 of 2 records of `text` would be withdrawn", "--yes withdraws all"][..],
        ),
        (&["--match", "three"], &["none of the 2 records of `text` is meant"]),
        (&["--match", "("], &["the expression cannot be used", "unclosed group"]),
        (&["--match", ""], &["the expression is empty"]),
        (&["--record", &digest], &["`text` has no record abab"]),
        (&["--match", "one", "--records", "csv"], &["a record of `text` is one of its lines"]),
    ] {
        exclude(&world, arguments).fails_with(parts);
    }
    world
        .run(["exclude", "--tree", "tree", "txt", "--match", "one", "--reason", "x"])
        .fails_with(&["no data reference `txt`", "did you mean text?"]);
    world.run(["exclude", "--tree", "tree", "text", "--match", "one"]).misuses("--reason");
    world.run(["exclude", "--tree", "tree", "text", "--reason", "x"]).misuses("--match");
    world.write("digests", "# mine\nxyz\n");
    exclude(&world, &["--from", "digests"]).fails_with(&["digests:2: this is no SHA-256"]);
    assert_eq!(read(&world, "tree/mpkg.toml"), before);
    assert!(!world.path("tree/exclusions").exists());
    let with_json = exclude(&world, &["--match", ".*", "--json"]);
    assert_eq!(with_json.json()["error"]["kind"], "everything");

    world.write("digests", format!("{}  # two\n", mpkg::package::Digest::of(b"two")));
    exclude(&world, &["--from", "digests"]).succeeds();
    // What is withdrawn already is not there any more.
    exclude(&world, &["--match", "two"]).fails_with(&["none of the 1 records"]);
    exclude(&world, &["--match", "one", "--yes"]).succeeds();
    world.run(["build", "tree"]).succeeds();
    assert_eq!(built(&world, "some-text"), "");
}

#[test]
fn data_that_cannot_be_cut_as_stated_is_named_with_its_line() {
    let world = world("jsonl", "{}\nno json\n");
    let before = read(&world, "tree/mpkg.toml");
    exclude(&world, &["--match", "x"]).fails_with(&[
        "text:2: the line is no JSON",
        "records of the kind \"jsonl\"",
        "`records` says what a record is",
    ]);
    // Nor does a build guess.
    world.write(
        "tree/exclusions/text.toml",
        "format = 1\n[[withdrawn]]\nmatch = \"x\"\nreason = \"x\"\ndate = \"2026-01-01\"\n",
    );
    world.write(
        "tree/mpkg.toml",
        before.replace("records =", "exclude = [\"exclusions/text.toml\"]\nrecords ="),
    );
    world.run(["build", "tree"]).fails_with(&["data `text`: text:2: the line is no JSON"]);
    for (from, to, part) in [
        ("match = \"x\"", "match = \"[\"", "exclusions/text.toml: entry 1 cannot be used"),
        ("reason", "reson", "unknown field"),
        ("format = 1", "format = 7", "its format is 7"),
    ] {
        let list =
            "format = 1\n[[withdrawn]]\nmatch = \"x\"\nreason = \"x\"\ndate = \"2026-01-01\"\n";
        world.write("tree/exclusions/text.toml", list.replace(from, to));
        world.run(["build", "tree"]).fails_with(&[part]);
    }
    std::fs::remove_file(world.path("tree/exclusions/text.toml")).unwrap();
    world
        .run(["pack", "tree"])
        .fails_with(&["`exclude` of `text` names exclusions/text.toml, which is not in the tree"]);

    // Without `records` somebody has to say it.
    let world = self::world("lines", "one\ntwo\n");
    world.write(
        "tree/mpkg.toml",
        manifest("some-text", "lines").replace("records = \"lines\"\n", ""),
    );
    exclude(&world, &["--match", "one"])
        .fails_with(&["does not say what a record of `text` is", "--records lines"]);
    exclude(&world, &["--match", "one", "--records", "lines"]).succeeds();
    assert!(
        read(&world, "tree/mpkg.toml")
            .contains("records = \"lines\"\nexclude = [\"exclusions/text.toml\"]\n")
    );
}

const TEXT: &str = "A first sentence, long enough to be found.\n\nA sentence that somebody else wrote and wants back.\nIt has two lines.\n\nThe end of it all is here.\n";

#[test]
fn what_else_was_built_from_the_data_is_named_with_the_commands() {
    let world = world("paragraphs", TEXT);
    // A tokenizer from the same text, a data package, and a model from both.
    for (folder, name) in [("tokenizer", "some-tokenizer"), ("corpus", "some-corpus")] {
        world.write(
            &format!("{folder}/mpkg.toml"),
            manifest(name, "paragraphs")
                .replace("name = \"text\"   # the text", "name = \"corpus\"")
                .replace("{data.text}", "{data.corpus}"),
        );
        world.write(&format!("{folder}/data/text.txt"), TEXT);
        world.run(["build", folder]).succeeds();
    }
    world.write(
        "middle/mpkg.toml",
        manifest("middle", "paragraphs")
            .replace("[[data]]", "[build-dependencies]\nsome-corpus = \"^1\"\n\n[[data]]"),
    );
    world.write("middle/data/text.txt", "Something else.\n");
    world.run(["build", "middle", "--with", "corpus"]).succeeds();
    let text = manifest("some-text", "paragraphs").replace(
        "[[data]]",
        "[build-dependencies]\nsome-tokenizer = \"^1\"\nmiddle = \"^1\"\n\n[[data]]",
    );
    world.write("tree/mpkg.toml", text);
    let with = ["--with", "tokenizer", "--with", "corpus", "--with", "middle"];
    world.run(["build", "tree"].iter().chain(&with).copied()).succeeds();
    let said = exclude(&world, &[&["--match", "else wrote"][..], &with].concat()).succeeds().stdout;
    let expected = "\
1 of 3 records of text (paragraphs) withdrawn
  text:3  DIGEST  A sentence that somebody else wrote and wants back. It has two lines.
tree/exclusions/text.toml says so, and mpkg.toml names it
some-corpus 1.0.0 was built from the same data, its corpus:
  mpkg source some-corpus@=1.0.0
  mpkg exclude --tree some-corpus-1.0.0 corpus --match 'else wrote' --reason 'It is not ours'
  mpkg build some-corpus-1.0.0
middle 1.0.0 was built from some-corpus:
  mpkg source middle@=1.0.0
  mpkg build middle-1.0.0 --with some-corpus-1.0.0
some-tokenizer 1.0.0 was built from the same data, its corpus:
  mpkg source some-tokenizer@=1.0.0
  mpkg exclude --tree some-tokenizer-1.0.0 corpus --match 'else wrote' --reason 'It is not ours'
  mpkg build some-tokenizer-1.0.0
and then:
  mpkg build tree --with some-corpus-1.0.0 --with middle-1.0.0 --with some-tokenizer-1.0.0
";
    let digest = mpkg::package::Digest::of(
        b"A sentence that somebody else wrote and wants back.\nIt has two lines.",
    );
    assert_eq!(said, expected.replace("DIGEST", &digest.short()));
}

#[test]
fn what_a_trace_finds_is_withdrawn() {
    let world = world("paragraphs", TEXT);
    let said = "He said: sentence that somebody else wrote and wants back. It has two lines.";
    let trace = |more: &[&str]| {
        let all = ["trace", "tree", said, "--min-length", "20"];
        world.run(all.iter().chain(more).copied())
    };
    assert_eq!(trace(&["--fold-whitespace"]).code, 1);
    let found = trace(&["--fold-whitespace", "--exclude", "It was asked for", "--json"]);
    assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
    let withdrawn = &found.json()["withdrawn"];
    assert_eq!(
        (&withdrawn["own"][0]["removed"], &withdrawn["elsewhere"]),
        (&1.into(), &serde_json::json!([]))
    );
    let list = read(&world, "tree/exclusions/text.toml");
    let digest = mpkg::package::Digest::of(
        b"A sentence that somebody else wrote and wants back.\nIt has two lines.",
    );
    assert!(
        list.contains(&format!(
            "records = [\n    \"{digest}\",\n]\nreason = \"It was asked for\"\n"
        )),
        "{list}"
    );
    trace(&["--fold-whitespace"]).succeeds();
    world.run(["build", "tree"]).succeeds();
    assert_eq!(
        built(&world, "some-text"),
        "A first sentence, long enough to be found.\n\nThe end of it all is here.\n"
    );
    // A package is not changed; its source is.
    world
        .run(["trace", "tree/dist/some-text-1.0.0.text.mpkg", said, "--exclude", "x"])
        .fails_with(&["--exclude changes a source tree", "mpkg source NAME"]);
}
