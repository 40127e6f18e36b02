//! What people read when a manifest is not good, a tree cannot be packed, or it can.

use snapbox::{assert_data_eq, str};

use crate::support::{Finished, World};

const GOOD: &str = r#"[package]
name = "workshop-lm"
version = "1.0.0"
kind = "model"
summary = "A page about a workshop"
license = "CC0-1.0"

[dependencies]
bytes-bpe = "^1"

[[data]]
name = "page"
path = "page.txt"
license = "CC0-1.0"

[[step]]
name = "clean"
run = ["python3", "clean.py", "{data.page}", "{out}"]

[[step]]
name = "train"
run = ["python3", "train.py", "{step.clean}", "{dep.bytes-bpe}", "{seed}", "{out}"]
seed = 1
resources = { memory = "1GiB" }

[[variant]]
name = "f32"
from = "train"
files = ["model.safetensors"]

[[test]]
name = "loss"
run = ["python3", "evaluate.py", "{package}"]
metric = "loss"
at-most = 3.5
"#;

/// A world with a tree in it whose manifest is `GOOD` with one thing changed.
fn changed(old: &str, new: &str) -> World {
    assert!(GOOD.contains(old), "{old:?} is not in the manifest");
    let world = World::new();
    world.write("page.txt", "A page.\n");
    world.write("mpkg.toml", GOOD.replace(old, new));
    world
}

/// What `mpkg pack` says about that manifest.
#[track_caller]
fn complaint(old: &str, new: &str) -> String {
    let finished = changed(old, new).run(["pack"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{}", finished.stderr);
    finished.stderr
}

#[test]
fn an_unknown_key_and_the_nearest_known_one() {
    assert_data_eq!(
        complaint("license = \"CC0-1.0\"\n\n[dep", "licence = \"CC0-1.0\"\n\n[dep"),
        str![[r#"
error: [package] has no `license`
 --> mpkg.toml:1:1
  |
1 | [package]
  | ^^^^^^^^^
  |
  = help: add `license = "Apache-2.0"`

error: [package] has no key `licence`
 --> mpkg.toml:6:1
  |
6 | licence = "CC0-1.0"
  | ^^^^^^^ unknown key
  |
  = help: did you mean `license`?

error: mpkg.toml has 2 problems

"#]]
    );
}

#[test]
fn an_unknown_table() {
    assert_data_eq!(
        complaint("[[variant]]", "[[variants]]"),
        str![[r#"
error: there is no [[variant]]
 --> mpkg.toml:1:1
  |
1 | [package]
  | ^
  |
  = help: add a [[variant]] that says which files make the binary package

error: a manifest has no key `variants`
  --> mpkg.toml:26:3
   |
26 | [[variants]]
   |   ^^^^^^^^ unknown key
   |
   = help: did you mean `variant`?

error: mpkg.toml has 2 problems

"#]]
    );
}

#[test]
fn text_that_is_not_toml() {
    assert_data_eq!(
        complaint("seed = 1", "seed = = 1"),
        str![[r#"
error: extra `=`, expected nothing
  --> mpkg.toml:23:8
   |
23 | seed = = 1
   |        ^

"#]]
    );
}

#[test]
fn a_value_of_the_wrong_type() {
    assert_data_eq!(
        complaint("version = \"1.0.0\"", "version = 1.0"),
        str![[r#"
error: `version` takes a string
 --> mpkg.toml:3:11
  |
3 | version = 1.0
  |           ^^^ this is a float

"#]]
    );
}

#[test]
fn a_bad_name() {
    assert_data_eq!(
        complaint("\"workshop-lm\"", "\"Workshop LM\""),
        str![[r#"
error: "Workshop LM" is not a package name: use 1 to 64 of a-z, 0-9 and '-', beginning with a letter or a digit
 --> mpkg.toml:2:8
  |
2 | name = "Workshop LM"
  |        ^^^^^^^^^^^^^
  |
  = help: did you mean `workshop-lm`?

"#]]
    );
}

#[test]
fn a_bad_requirement() {
    assert_data_eq!(
        complaint("\"^1\"", "\"newest\""),
        str![[r#"
error: "newest" is not a version requirement: unexpected character 'n' while parsing major version number (as in "^1.2", "=0.3.0" or "*")
 --> mpkg.toml:9:13
  |
9 | bytes-bpe = "newest"
  |             ^^^^^^^^

"#]]
    );
}

#[test]
fn a_bad_licence() {
    assert_data_eq!(
        complaint(
            "path = \"page.txt\"\nlicense = \"CC0-1.0\"",
            "path = \"page.txt\"\nlicense = \"MIT AND CC-BY-4.1\""
        ),
        str![[r#"
error: "MIT AND CC-BY-4.1" is not an SPDX licence expression: "CC-BY-4.1" is not on the SPDX list (one of your own is LicenseRef-NAME)
  --> mpkg.toml:14:20
   |
14 | license = "MIT AND CC-BY-4.1"
   |                    ^^^^^^^^^
   |
   = help: did you mean "MIT AND CC-BY-4.0"?

"#]]
    );
}

#[test]
fn a_circle_of_steps() {
    assert_data_eq!(
        complaint("{data.page}", "{data.page} {step.train}"),
        str![[r#"
error: the steps need each other in a circle: clean → train → clean
  --> mpkg.toml:17:8
   |
17 | name = "clean"
   |        ^^^^^^^
   |
   = help: a step needs what stands in `needs` and in its {step.NAME} placeholders

"#]]
    );
}

#[test]
fn a_step_that_needs_itself() {
    assert_data_eq!(
        complaint("seed = 1\n", "seed = 1\nneeds = [\"train\"]\n"),
        str![[r#"
error: the steps need each other in a circle: train → train
  --> mpkg.toml:21:8
   |
21 | name = "train"
   |        ^^^^^^^
   |
   = help: a step needs what stands in `needs` and in its {step.NAME} placeholders

"#]]
    );
}

#[test]
fn placeholders_that_name_nothing() {
    assert_data_eq!(
        complaint(
            "\"{data.page}\", \"{out}\"",
            "\"{data.pages}\", \"{dep.bpe}\", \"{step.trian}\", \"{oot}\""
        ),
        str![[r#"
error: there is no data reference `pages`
  --> mpkg.toml:18:32
   |
18 | run = ["python3", "clean.py", "{data.pages}", "{dep.bpe}", "{step.trian}", "{oot}"]
   |                                ^^^^^^^^^^^^
   |
   = help: did you mean `page`?

error: there is no dependency `bpe`
  --> mpkg.toml:18:48
   |
18 | run = ["python3", "clean.py", "{data.pages}", "{dep.bpe}", "{step.trian}", "{oot}"]
   |                                                ^^^^^^^^^
   |
   = help: there is `bytes-bpe`

error: there is no step `trian`
  --> mpkg.toml:18:61
   |
18 | run = ["python3", "clean.py", "{data.pages}", "{dep.bpe}", "{step.trian}", "{oot}"]
   |                                                             ^^^^^^^^^^^^
   |
   = help: did you mean `train`?

error: {oot} is no placeholder
  --> mpkg.toml:18:77
   |
18 | run = ["python3", "clean.py", "{data.pages}", "{dep.bpe}", "{step.trian}", "{oot}"]
   |                                                                             ^^^^^
   |
   = help: did you mean {out}?

error: mpkg.toml has 4 problems

"#]]
    );
}

#[test]
fn placeholders_out_of_place() {
    assert_data_eq!(
        complaint("{step.clean}", "{package}"),
        str![[r#"
error: {package} has a place in tests only
  --> mpkg.toml:22:32
   |
22 | run = ["python3", "train.py", "{package}", "{dep.bytes-bpe}", "{seed}", "{out}"]
   |                                ^^^^^^^^^
   |
   = help: a step runs before anything is packed: use {step.NAME} for another step's output

"#]]
    );
    assert_data_eq!(
        complaint("{package}", "{step.train}"),
        str![[r#"
error: {step.NAME} has no place in a test or probe
  --> mpkg.toml:33:35
   |
33 | run = ["python3", "evaluate.py", "{step.train}"]
   |                                   ^^^^^^^^^^^^
   |
   = help: it sees what a user has: the packed variant, {package}

"#]]
    );
    assert_data_eq!(
        complaint("seed = 1\n", ""),
        str![[r#"
error: {seed} stands in a step without `seed`
  --> mpkg.toml:22:67
   |
22 | run = ["python3", "train.py", "{step.clean}", "{dep.bytes-bpe}", "{seed}", "{out}"]
   |                                                                   ^^^^^^
   |
   = help: add `seed = 1337` to the step

"#]]
    );
}

#[test]
fn two_of_one_name() {
    assert_data_eq!(
        complaint("name = \"train\"", "name = \"clean\""),
        str![[r#"
error: two steps are named `clean`
  --> mpkg.toml:21:8
   |
17 | name = "clean"
   |        ------- the first
...
21 | name = "clean"
   |        ^^^^^^^

error: there is no step `train`
  --> mpkg.toml:28:8
   |
28 | from = "train"
   |        ^^^^^^^
   |
   = help: there is `clean`

error: mpkg.toml has 2 problems

"#]]
    );
}

#[test]
fn data_in_two_places_at_once() {
    assert_data_eq!(
        complaint(
            "path = \"page.txt\"",
            "path = \"page.txt\"\nurls = [\"https://example.org/page.txt\"]"
        ),
        str![[r#"
error: `path` and `urls` exclude each other
  --> mpkg.toml:14:1
   |
13 | path = "page.txt"
   | ---- the data is here already
14 | urls = ["https://example.org/page.txt"]
   | ^^^^

"#]]
    );
}

#[test]
fn a_digest_that_is_cut_off() {
    assert_data_eq!(
        complaint(
            "path = \"page.txt\"",
            "urls = [\"ftp://example.org/page.txt\"]\nsha256 = \"ba7816bf8f01cfea414140de5dae2223\""
        ),
        str![[r#"
error: [[data]] has no `size`
  --> mpkg.toml:11:1
   |
11 | [[data]]
   | ^^^^^^^^
   |
   = help: add `size = 1115394`

error: "ftp://example.org/page.txt" is not an address of data: its scheme is none of https:, http:, file:, pypi: and deb:
  --> mpkg.toml:13:9
   |
13 | urls = ["ftp://example.org/page.txt"]
   |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `sha256` takes 64 hexadecimal digits
  --> mpkg.toml:14:10
   |
14 | sha256 = "ba7816bf8f01cfea414140de5dae2223"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this has 32

error: mpkg.toml has 3 problems

"#]]
    );
}

#[test]
fn amounts_without_units() {
    assert_data_eq!(
        complaint("\"1GiB\"", "\"1G\", time = \"90\""),
        str![[r#"
error: `memory` takes a whole number with a unit
  --> mpkg.toml:24:24
   |
24 | resources = { memory = "1G", time = "90" }
   |                        ^^^^
   |
   = help: write "4GiB" or "512MB"; the units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB

error: `time` takes whole numbers with units
  --> mpkg.toml:24:37
   |
24 | resources = { memory = "1G", time = "90" }
   |                                     ^^^^
   |
   = help: write "90s", "15m", "1h30m" or "2d"

error: mpkg.toml has 2 problems

"#]]
    );
}

#[test]
fn a_path_that_escapes() {
    assert_data_eq!(
        complaint("\"page.txt\"", "\"../page.txt\""),
        str![[r#"
error: "../page.txt" is not a path that a package may hold: it has a part "." or ".."
  --> mpkg.toml:13:8
   |
13 | path = "../page.txt"
   |        ^^^^^^^^^^^^^

"#]]
    );
}

#[test]
fn no_default_among_variants() {
    assert_data_eq!(
        complaint(
            "[[test]]",
            "[[variant]]\nname = \"q8\"\nfrom = \"trian\"\nfiles = [\"m.gguf\"]\n\n[[test]]"
        ),
        str![[r#"
error: none of the variants is the default
  --> mpkg.toml:26:1
   |
26 | [[variant]]
   | ^^^^^^^^^^^
   |
   = help: add `default = true` to the one that most people want

error: there is no step `trian`
  --> mpkg.toml:33:8
   |
33 | from = "trian"
   |        ^^^^^^^
   |
   = help: did you mean `train`?

error: mpkg.toml has 2 problems

"#]]
    );
}

#[test]
fn bounds() {
    assert_data_eq!(
        complaint("at-most = 3.5\n", ""),
        str![[r#"
error: [[test]] states no bound: it could not fail
  --> mpkg.toml:31:1
   |
31 | [[test]]
   | ^^^^^^^^
   |
   = help: add `at-most`, `at-least` or `equals`

"#]]
    );
    assert_data_eq!(
        complaint("at-most = 3.5\n", "at-most = 3.5\nat-least = 1\n"),
        str![[r#"
error: a test has one bound: `at-most` or `at-least`
  --> mpkg.toml:36:1
   |
35 | at-most = 3.5
   | ------- the first bound
36 | at-least = 1
   | ^^^^^^^^
   |
   = help: write two tests

"#]]
    );
}

#[test]
fn pickle_without_a_reason() {
    assert_data_eq!(
        complaint("\n[dependencies]", "allow-pickle = true\n\n[dependencies]"),
        str![[r#"
error: `allow-pickle` needs a `pickle-reason`
 --> mpkg.toml:7:1
  |
7 | allow-pickle = true
  | ^^^^^^^^^^^^
  |
  = help: pickle files run code when they are loaded: say why no other format will do

"#]]
    );
}

#[test]
fn an_empty_manifest() {
    assert_data_eq!(
        complaint(GOOD, ""),
        str![[r#"
error: there is no [package] table
 --> mpkg.toml:1:1
  |
1 |
  | ^
  |
  = help: a manifest begins with [package]: name, version, kind, summary and license

error: there is no [[step]]
 --> mpkg.toml:1:1
  |
1 |
  | ^
  |
  = help: add a [[step]] that makes the package's files; one may also copy them

error: there is no [[variant]]
 --> mpkg.toml:1:1
  |
1 |
  | ^
  |
  = help: add a [[variant]] that says which files make the binary package

error: mpkg.toml has 3 problems

"#]]
    );
}

#[test]
fn problems_as_json() {
    let finished = changed("name = \"train\"", "nam = \"train\"").run(["pack", "--json"]);
    let error = &finished.json()["error"];
    assert_eq!(error["kind"], "manifest");
    let problems = error["details"]["diagnostics"].as_array().expect("a list");
    let found: Vec<(u64, u64, &str)> = problems
        .iter()
        .map(|problem| {
            assert_eq!(problem["file"], "mpkg.toml");
            let number = |key: &str| problem[key].as_u64().expect("a number");
            (number("line"), number("column"), problem["message"].as_str().expect("text"))
        })
        .collect();
    assert_eq!(
        found,
        [
            (20, 1, "[[step]] has no `name`"),
            (21, 1, "[[step]] has no key `nam`"),
            (28, 8, "there is no step `train`"),
        ]
    );
    assert_eq!(problems[1]["help"], "did you mean `name`?");
}

#[test]
fn the_same_tree_makes_the_same_package_anywhere() {
    let pack = |mask: &str| {
        let world = changed("", "");
        world.write("run.sh", "#!/bin/sh\n");
        let script = format!("chmod 755 run.sh && umask {mask} && exec \"$0\" pack --json");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_mpkg")]).current_dir(world.root());
        let json = Finished::of(&mut shell).succeeds().json();
        let file = world.path("dist/workshop-lm-1.0.0.src.mpkg");
        (json, std::fs::read(file).expect("the package"))
    };
    let (one, other) = (pack("022"), pack("077"));
    assert_eq!(one.0["package_digest"], other.0["package_digest"]);
    assert_eq!(one.0["files"], 3);
    assert_eq!(one.1, other.1);
}

#[test]
fn pack_names_its_file_on_stdout_and_finds_the_tree_from_below() {
    let world = changed("", "");
    world.write("deep/down/notes.txt", "notes");
    let mut command = world.mpkg();
    command.current_dir(world.path("deep/down")).args(["pack", "--out"]).arg(world.path("out"));
    let finished = Finished::of(&mut command).succeeds();
    let path = world.path("out/workshop-lm-1.0.0.src.mpkg");
    assert_eq!(finished.stdout.trim(), path.display().to_string());
    assert!(!world.path("dist").exists());
    world.run(["pack", "deep"]).fails_with(&["there is no mpkg.toml in deep", "mpkg init"]);
    World::new().run(["pack"]).fails_with(&["nor in a folder above it"]);
}

#[test]
fn odd_files_are_refused_by_name() {
    let world = changed("", "");
    std::os::unix::fs::symlink("/etc/passwd", world.path("link")).expect("a link");
    world.run(["pack"]).fails_with(&["./link is a symbolic link", ".mpkgignore"]);
    world.write(".mpkgignore", "/link\n");
    world.run(["pack"]).succeeds();
    world.write(".mpkgignore", "/link\n!page.txt\n");
    world.run(["pack"]).fails_with(&[".mpkgignore", "line 2"]);
}

#[test]
fn data_that_is_not_in_the_tree_is_named() {
    let world = changed("path = \"page.txt\"", "path = \"pages.txt\"");
    let stderr = world.run(["pack"]).fails_with(&["`page` names pages.txt"]).stderr;
    assert!(stderr.contains("did you mean page.txt?"), "{stderr}");
    assert!(!world.path("dist").exists());
}

#[test]
fn a_tree_that_cannot_be_written_keeps_its_packages() {
    let world = changed("", "");
    world.run(["pack"]).succeeds();
    let package = world.path("dist/workshop-lm-1.0.0.src.mpkg");
    let before = std::fs::read(&package).expect("the package");
    world.write("mpkg.toml", "[package]\n");
    world.run(["pack"]).fails_with(&["[package] has no `name`"]);
    world.write("mpkg.toml", GOOD);
    world.write("out", "a file is in the way");
    world.run(["pack", "--out", "out"]).fails_with(&["out"]);
    assert_eq!(std::fs::read(&package).expect("the package"), before);
    assert_eq!(std::fs::read_dir(world.path("dist")).expect("dist").count(), 1);
}

/// The blocks of `text` that begin with a line of three back-quotes and `language`.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_examples_of_the_specification_are_good() {
    use mpkg::package::manifest::Manifest;
    let spec = include_str!("../../spec/manifest.md");
    let blocks = blocks(spec, "toml");
    assert!(blocks.len() >= 8, "{}", blocks.len());
    let smallest = blocks[0];
    for block in &blocks {
        // A fragment stands after the smallest manifest, and its one variant beside the one there.
        let whole = match block.contains("[package]") {
            true => (*block).to_owned(),
            false => format!("{smallest}\n{block}"),
        };
        if let Err(problems) = Manifest::parse(&whole, "spec/manifest.md") {
            panic!("{problems:#?}\n{whole}");
        }
    }
}

#[test]
fn the_keys_of_the_specification_are_those_of_the_program() {
    let spec = include_str!("../../spec/manifest.md");
    for (title, text) in [
        ("## 2.", "[package]\nxx = 1\n"),
        ("## 4.", "[[data]]\nxx = 1\n"),
        ("## 5.", "[environment]\nxx = 1\n"),
        ("## 6.", "[[step]]\nxx = 1\n"),
        ("## 7.", "[[variant]]\nxx = 1\n"),
        ("## 8.", "[reproducibility]\nxx = 1\n"),
        ("## 9.", "[[test]]\nxx = 1\n"),
        ("## 10.", "[[probe]]\nxx = 1\n"),
    ] {
        let section = spec.split(title).nth(1).and_then(|rest| rest.split("\n## ").next());
        let section = section.expect("the section");
        let problems =
            mpkg::package::manifest::Manifest::parse(text, "mpkg.toml").expect_err("xx is no key");
        let unknown = problems
            .problems()
            .iter()
            .find(|problem| problem.message.contains("`xx`"))
            .expect("the unknown key");
        let help = unknown.help.as_deref().expect("the known keys");
        for key in help.split('`').skip(1).step_by(2) {
            assert!(section.contains(&format!("`{key}`")), "{key} is not in section {title}");
        }
    }
}
