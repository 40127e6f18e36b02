//! `mpkg lint`: every tag is given for a tree that is changed in one place, and not before.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::World;

/// A tree that `mpkg init` wrote, to be changed.
struct Tree(PathBuf);

impl Tree {
    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).expect("a file")
    }

    fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, contents).expect("a file");
    }

    fn append(&self, path: &str, text: &str) {
        self.write(path, self.read(path) + text);
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.0.join(path)).expect("a file");
    }

    #[track_caller]
    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{from:?} is not in {path}:\n{text}");
        self.write(path, text.replacen(from, to, 1));
    }

    /// Changes the manifest.
    #[track_caller]
    fn manifest(&self, from: &str, to: &str) {
        self.replace("mpkg.toml", from, to);
    }

    /// Adds a data reference with these keys, and uses it in the step.
    fn data(&self, keys: &str) {
        self.append(
            "mpkg.toml",
            &format!("\n[[data]]\nname = \"more\"\nlicense = \"CC0-1.0\"\n{keys}\n"),
        );
        self.manifest("\"{data.train}\",", "\"{data.train}\", \"{data.more}\",");
    }

    /// Adds data that is fetched from these addresses.
    fn fetched(&self, urls: &str) {
        let digest = "ab".repeat(32);
        self.data(&format!("urls = [{urls}]\nsha256 = \"{digest}\"\nsize = 3\nlicense-evidence = \"https://example.org/licence\""));
    }
}

type Edit = fn(&Tree);

/// What makes lint give each tag, on a tree of the kind `model`.
const TRIGGERS: &[(&str, Edit)] = &[
    ("absolute-path", |tree| {
        tree.manifest("\"{data.validation}\", \"{out}\"]", "\"/home/me/data.txt\", \"{out}\"]");
    }),
    ("bad-manifest", |tree| tree.manifest("kind = \"model\"", "kind = \"modle\"")),
    ("base-model-not-a-dependency", |tree| {
        tree.append("train.py", "\nMODEL = load.from_pretrained(\"org/base-7b\")\n");
    }),
    ("changelog-missing", |tree| tree.remove("CHANGELOG.md")),
    ("changelog-without-version", |tree| {
        tree.manifest("version = \"0.1.0\"", "version = \"0.1.1\"");
    }),
    ("checkpoint-chain-missing", |tree| {
        tree.manifest("time = \"5m\"", "time = \"8h\"");
        let keys = "checkpoints = \"checkpoints/*.safetensors\"\nresume = [\"--resume\", \"{checkpoint}\"]\nuntil = [\"--until\", \"{until}\"]\n";
        tree.manifest(keys, "");
    }),
    ("code-not-utf8", |tree| tree.write("notes.md", b"caf\xe9\n")),
    ("data-empty", |tree| {
        tree.write("data/more.txt", "");
        tree.data("path = \"data/more.txt\"\nlicense-evidence = \"LICENSES/CC0-1.0.txt\"");
    }),
    ("data-unused", |tree| {
        tree.write("data/more.txt", "A line of text that nothing reads.\n");
        tree.append("mpkg.toml", "\n[[data]]\nname = \"more\"\npath = \"data/more.txt\"\nlicense = \"CC0-1.0\"\nlicense-evidence = \"LICENSES/CC0-1.0.txt\"\n");
    }),
    ("data-without-digest", |tree| tree.data("urls = [\"https://example.org/a\"]\nsize = 3")),
    ("dependency-unused", |tree| {
        tree.append("mpkg.toml", "\n[build-dependencies]\nsome-corpus = \"^1\"\n");
    }),
    ("duplicate-data", |tree| {
        tree.write("data/more.txt", tree.read("data/train.txt"));
        tree.data("path = \"data/more.txt\"\nlicense-evidence = \"LICENSES/CC0-1.0.txt\"");
    }),
    ("environment-unpinned", |tree| tree.append("train.py", "\nimport numpy as np\n")),
    ("executable-not-a-program", |tree| {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(tree.0.join("README.md"), mode).expect("a mode");
    }),
    ("floating-reference", |tree| {
        tree.fetched("\"https://a.example/resolve/main/x.txt\", \"https://b.example/x.txt\"");
    }),
    ("gpu-bitwise", |tree| {
        tree.manifest(
            "cpus = 1, memory = \"512MiB\", time",
            "cpus = 1, gpus = 1, memory = \"512MiB\", time",
        );
    }),
    ("large-file", |tree| tree.write("data/big.raw", vec![1; 16 << 20])),
    ("license-conflict", |tree| {
        tree.data("urls = [\"pypi:a==1\"]\nsha256 = \"abababababababababababababababababababababababababababababababab\"\nsize = 3\nlicense-evidence = \"https://example.org/x\"");
        tree.manifest(
            "name = \"more\"\nlicense = \"CC0-1.0\"",
            "name = \"more\"\nlicense = \"GPL-2.0-only\"",
        );
        tree.manifest(
            "path = \"data/train.txt\"\nlicense = \"CC0-1.0\"",
            "path = \"data/train.txt\"\nlicense = \"Apache-2.0\"",
        );
    }),
    ("license-evidence-missing", |tree| {
        tree.manifest("license-evidence = \"LICENSES/CC0-1.0.txt\"\n", "");
    }),
    ("license-evidence-not-there", |tree| {
        tree.manifest(
            "license-evidence = \"LICENSES/CC0-1.0.txt\"",
            "license-evidence = \"LICENSES/CC0.txt\"",
        );
    }),
    ("license-text-missing", |tree| {
        tree.manifest("workshop\"\nlicense = \"CC0-1.0\"", "workshop\"\nlicense = \"MIT\"");
    }),
    ("license-text-unused", |tree| tree.write("LICENSES/MIT.txt", "Permission is granted.\n")),
    ("license-unknown", |tree| {
        tree.manifest(
            "path = \"data/train.txt\"\nlicense = \"CC0-1.0\"",
            "path = \"data/train.txt\"\nlicense = \"LicenseRef-unknown\"",
        );
    }),
    ("lock-missing", |tree| tree.append("mpkg.toml", "\n[dependencies]\nsome-lm = \"^1\"\n")),
    ("model-card-empty", |tree| tree.write("README.md", "# A model\n\nIt is good.\n")),
    ("model-card-missing", |tree| tree.remove("README.md")),
    ("model-card-not-packed", |tree| tree.manifest(", \"README.md\"]", "]")),
    ("model-card-todo", |tree| tree.append("README.md", "\nTODO: say how it was measured.\n")),
    ("network-in-code", |tree| {
        tree.append("train.py", "\nurllib.request.urlopen(\"https://example.org\")\n");
    }),
    ("network-in-step", |tree| {
        tree.manifest("run = [\"python3\", \"train.py\",", "run = [\"curl\", \"train.py\",");
    }),
    ("override-expired", |tree| {
        tree.append("README.md", "\nTODO: say more.\n");
        tree.write("lint.toml", overrides("model-card-todo", "2020-01-31"));
    }),
    ("override-unused", |tree| tree.write("lint.toml", overrides("pickle", "2999-12-31"))),
    ("personal-data", |tree| {
        let lines: Vec<_> =
            (0..6).map(|n| format!("Write to person{n}@example.org at once.\n")).collect();
        tree.append("data/train.txt", &lines.concat());
    }),
    ("pickle", |tree| {
        tree.write("data/old.raw", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x01x\x94\x85\x94R\x94.");
    }),
    ("plain-http", |tree| tree.fetched("\"http://a.example/x.txt\", \"https://b.example/x.txt\"")),
    ("probe-missing", |tree| tree.manifest("level = \"bitwise\"", "level = \"behaviour\"")),
    ("python-unpinned", |tree| tree.manifest("python = \">=3.8\"", "")),
    ("quantised-without-parent", |tree| tree.manifest("name = \"f32\"", "name = \"q4_0\"")),
    ("reproducibility-missing", |tree| {
        tree.manifest("[reproducibility]\nlevel = \"bitwise\"\n", "");
    }),
    ("secret-in-tree", |tree| {
        tree.write("notes.txt", "token: hf_abcdefghijklmnopqrstuvwxyzABCDEF\n");
    }),
    ("seed-missing", |tree| tree.append("train.py", "\nimport random\n")),
    ("seed-random", |tree| tree.append("tensors.py", "\nNOISE = os.urandom(8)\n")),
    ("shell-in-step", |tree| {
        tree.manifest(
            "run = [\"python3\", \"train.py\",",
            "run = [\"sh\", \"-c\", \"python3 train.py\",",
        );
    }),
    ("single-address", |tree| tree.fetched("\"https://a.example/1.0/x.txt\"")),
    ("step-unused", |tree| {
        tree.append(
            "mpkg.toml",
            "\n[[step]]\nname = \"look\"\nrun = [\"cp\", \"README.md\", \"{out}/x\"]\n",
        );
    }),
    ("summary-style", |tree| tree.manifest("summary = \"Character", "summary = \"a character")),
    ("tasks-missing", |tree| tree.manifest("tasks = [\"text-generation\"]\n", "")),
    ("test-data-in-training-data", |tree| {
        tree.write("data/validation.txt", tree.read("data/train.txt"));
    }),
    ("test-missing", |tree| {
        let text = tree.read("mpkg.toml");
        let (start, _) = text.split_once("[[test]]").expect("a test");
        tree.write("mpkg.toml", start);
        tree.manifest(
            "[\"python3\", \"train.py\", ",
            "[\"python3\", \"train.py\", \"{data.validation}\", ",
        );
    }),
    ("test-uses-training-data", |tree| {
        tree.manifest("\"{package}\", \"{data.validation}\"]", "\"{package}\", \"{data.train}\"]");
    }),
    ("tokenizer-not-built", |tree| tree.write("tokenizer.json", "{}\n")),
    ("truncated-digest", |tree| {
        tree.data("urls = [\"https://example.org/a\"]\nsize = 3\nsha256 = \"abab\"");
    }),
    ("weights-header", |tree| {
        tree.write(
            "data/w.safetensors",
            safetensors("{ \"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}   "),
        );
    }),
    ("weights-in-source", |tree| tree.write("base.gguf", "GGUF")),
];

/// Tags that the tree has as it is, and what takes them away.
const REMEDIES: &[(&str, Edit)] = &[
    ("homepage-missing", |tree| {
        tree.manifest(
            "kind = \"model\"\n",
            "kind = \"model\"\nhomepage = \"https://example.org\"\n",
        );
    }),
    ("maintainer-missing", |tree| {
        tree.manifest(
            "kind = \"model\"\n",
            "kind = \"model\"\nmaintainers = [\"Me <me@example.org>\"]\n",
        );
    }),
];

fn overrides(tag: &str, until: &str) -> String {
    format!("[[override]]\ntag = \"{tag}\"\nreason = \"it is a test\"\nuntil = \"{until}\"\n")
}

fn safetensors(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.push(7);
    bytes
}

fn init(world: &World, name: &str, kind: &str) -> Tree {
    world.run(["init", name, "--kind", kind, "--name", "sample"]).succeeds();
    Tree(world.path(name))
}

fn lint(world: &World, tree: &Path) -> (i32, Value) {
    let ran = world.run(["lint", "--pedantic", "--json", &tree.display().to_string()]);
    (ran.code, ran.json())
}

fn tags(found: &Value) -> BTreeSet<String> {
    let remarks = found["remarks"].as_array().unwrap_or_else(|| panic!("no remarks: {found:#}"));
    remarks.iter().map(|one| one["tag"].as_str().expect("a tag").to_owned()).collect()
}

#[test]
fn each_tag_is_given_for_one_change_and_not_before() {
    let world = World::new();
    let clean = tags(&lint(&world, &init(&world, "clean", "model").0).1);
    let severities = world.run(["lint", "--list", "--json"]).succeeds().json();
    let all: Vec<(&str, &str)> = severities["tags"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tag| (tag["tag"].as_str().unwrap(), tag["severity"].as_str().unwrap()))
        .collect();
    let mut faults = Vec::new();
    for (tag, edit) in TRIGGERS {
        let tree = init(&world, tag, "model");
        edit(&tree);
        let (code, found) = lint(&world, &tree.0);
        let given = tags(&found);
        if clean.contains(*tag) || !given.contains(*tag) {
            faults.push(format!("{tag}: clean {clean:?}, changed {found:#}"));
        }
        let is_error = all.contains(&(tag, "error"));
        if is_error && code != 1 {
            faults.push(format!("{tag} is an error, and the exit code is {code}"));
        }
    }
    for (tag, edit) in REMEDIES {
        let tree = init(&world, tag, "model");
        edit(&tree);
        if !clean.contains(*tag) || tags(&lint(&world, &tree.0).1).contains(*tag) {
            faults.push((*tag).to_owned());
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let tested: BTreeSet<&str> = TRIGGERS.iter().chain(REMEDIES).map(|(tag, _)| *tag).collect();
    let known: BTreeSet<&str> = all.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tested, known);
}

#[test]
fn what_init_writes_and_the_examples_have_no_errors_and_no_warnings() {
    let world = World::new();
    let mut trees: Vec<PathBuf> =
        ["model", "dataset", "tokenizer", "adapter"].map(|kind| init(&world, kind, kind).0).into();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry-example");
    let folders = std::fs::read_dir(examples).expect("examples").flatten();
    trees.extend(folders.map(|entry| entry.path()).filter(|path| path.join("mpkg.toml").exists()));
    assert!(trees.len() >= 9, "{trees:?}");
    for tree in trees {
        let ran = world.run(["lint", "--strict", &tree.display().to_string()]);
        assert_eq!(ran.code, 0, "{}\n{}{}", tree.display(), ran.stdout, ran.stderr);
    }
}

#[test]
fn remarks_are_shown_worst_first_and_overridden_for_a_reason() {
    let world = World::new();
    let tree = init(&world, "lm", "model");
    tree.append("README.md", "\nTODO: say how it was measured.\n");
    tree.write("key.pem", "-----BEGIN PRIVATE KEY-----\n");
    let said = world.run(["lint", "lm"]);
    assert_eq!(said.code, 1);
    let expected = "\
error    secret-in-tree   key.pem:1     it holds what looks like a secret, -----BEG…
warning  model-card-todo  README.md:20  it says TODO
sample 0.1.0: 1 error, 1 warning, 2 pedantic not shown
";
    assert_eq!(said.stdout, expected);
    // In the current folder, as people work.
    tree.remove("key.pem");
    let inside = |arguments: &[&str]| {
        crate::support::Finished::of(world.mpkg().current_dir(&tree.0).arg("lint").args(arguments))
    };
    inside(&[]).succeeds();
    assert_eq!(inside(&["--strict"]).code, 1);
    tree.write("lint.toml", overrides("model-card-todo", "2999-12-31"));
    let said = inside(&["--strict", "--show-overridden"]).succeeds().stdout;
    assert!(
        said.contains("overridden  model-card-todo") && said.contains("(it is a test)"),
        "{said}"
    );
    assert!(said.contains("0 errors, 0 warnings, 2 pedantic not shown, 1 overridden"), "{said}");
    let json = inside(&["--json"]).succeeds().json();
    assert_eq!(json["overridden"][0]["reason"], "it is a test");
    tree.write("lint.toml", overrides("model-card-tood", "2999-12-31"));
    inside(&[])
        .fails_with(&["there is no tag \"model-card-tood\"", "did you mean \"model-card-todo\"?"]);
    tree.write("lint.toml", overrides("pickle", "soon").replace("reason", "raeson"));
    inside(&[]).fails_with(&["has no key `raeson`", "`until` takes a day"]);
}

#[test]
fn packages_are_looked_at_as_well() {
    let world = World::new();
    let tree = init(&world, "lm", "model");
    tree.append("README.md", "\nTODO: say how it was measured.\n");
    world.run(["-q", "build", "lm"]).succeeds();
    let source = world.path("lm/dist/sample-0.1.0.src.mpkg");
    assert!(tags(&lint(&world, &source).1).contains("model-card-todo"));
    let binary = world.path("lm/dist/sample-0.1.0.f32.mpkg");
    let (code, found) = lint(&world, &binary);
    assert_eq!((code, &found["remarks"]), (0, &json!([])));
    crate::support::packages::repack(&binary, |folder| {
        let token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789\n";
        std::fs::write(folder.join("README.md"), token).expect("a file");
    });
    let (code, found) = lint(&world, &binary);
    assert_eq!((code, tags(&found)), (1, BTreeSet::from(["secret-in-tree".to_owned()])));
    world.run(["lint", "nothing"]).fails_with(&["mpkg.toml"]);
    world.run(["lint", "nothing.mpkg"]).fails_with(&["nothing.mpkg"]);
}

#[test]
fn tags_are_explained() {
    let world = World::new();
    let said = world.run(["lint", "--explain", "seed-missing"]).succeeds().stdout;
    assert!(said.starts_with("seed-missing (warning)\nCode of the recipe draws"), "{said}");
    world.run(["lint", "--explain", "seed-mising"]).fails_with(&["there is seed-missing"]);
    world.run(["lint", "--explain", "pickle", "tree"]).misuses("cannot be used with");
    assert!(world.run(["lint", "--list"]).succeeds().stdout.lines().count() >= 50);
}
