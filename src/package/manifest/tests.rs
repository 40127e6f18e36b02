//! Tests of reading manifests.

use std::fmt::Write as _;

use super::*;

const GOOD: &str = include_str!("testdata/good.toml");

#[test]
fn a_good_manifest_is_read_whole() {
    let manifest = match Manifest::parse(GOOD, "mpkg.toml") {
        Ok(manifest) => manifest,
        Err(problems) => panic!("{problems:#?}"),
    };
    assert_eq!(manifest.package.name.as_str(), "shakespeare-lm");
    assert_eq!(manifest.package.version.to_string(), "0.3.0");
    assert_eq!(manifest.dependencies.len(), 2);
    assert_eq!(manifest.dependencies[0].name.as_str(), "base-lm");
    assert_eq!(manifest.dependencies[0].variant.as_ref().map(VariantName::as_str), Some("f32"));
    assert_eq!(manifest.build_dependencies.len(), 1);
    assert_eq!(manifest.data.len(), 3);
    assert_eq!(manifest.data[0].unpack, Unpack::TarGz);
    let names: Vec<&str> = manifest.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["prepare", "train"]);
    assert_eq!(manifest.steps[1].resources.memory, 4 << 30);
    assert_eq!(manifest.steps[1].resources.time, Duration::from_hours(1));
    assert!(manifest.variants[0].default);
    assert_eq!(manifest.reproducibility.level, Level::Tensor);
    assert_eq!(manifest.tests[0].bound, Bound::AtMost(1.75));
}

/// The messages about the good manifest with one thing changed.
fn messages(old: &str, new: &str) -> Vec<String> {
    assert!(GOOD.contains(old), "{old:?} is not in the manifest");
    match Manifest::parse(&GOOD.replacen(old, new, 1), "mpkg.toml") {
        Ok(_) => Vec::new(),
        Err(found) => found.problems().iter().map(|problem| problem.message.clone()).collect(),
    }
}

#[test]
fn every_problem_has_its_message() {
    for (old, new, expected) in [
        ("[package]", "package = 1\n[other]", "`package` takes a table, [package]"),
        ("[[data]]\nname = \"plays\"", "[data]\nname = \"plays\"", "duplicate key"),
        (
            "summary = \"",
            "summary = \"\\n",
            "`summary` has a line break or another control character",
        ),
        ("summary = \"", "summary = \"  \" #", "`summary` is empty"),
        ("kind = \"model\"", "kind = 3", "`kind` takes a string"),
        ("maintainers = [", "maintainers = [1, ", "`maintainers` takes a string"),
        ("tasks = [\"", "tasks = [\"a b\", \"", "\"a b\" is not a name"),
        (
            "provides = [\"demo-text-generator\"]",
            "provides = [\"x\", \"x\"]",
            "`provides` names `x` twice",
        ),
        ("old-shakespeare-lm", "shakespeare-lm", "`conflicts` names the package itself"),
        ("https://example.org/shakespeare-lm", "example.org", "`homepage` takes an address"),
        ("tasks =", "pickle-reason = \"x\"\ntasks =", "goes with `allow-pickle = true`"),
        ("bytes-bpe = \"^1\"", "shakespeare-lm = \"^1\"", "a package cannot depend on itself"),
        ("plays-corpus = \"^2026.1\"", "bytes-bpe = \"^1\"", "`bytes-bpe` is a dependency already"),
        ("version = \"^0.3\", ", "", "a dependency has no `version`"),
        ("variant = \"f32\" }", "variant = \"src\" }", "\"src\" is not a variant name"),
        ("size = 1115394\n", "", "[[data]] has no `size`"),
        ("size = 1115394", "size = -1", "`size` takes an integer from 0"),
        ("size = 1115394", "size = 99999999999999999999", "`size` takes an integer from 0"),
        ("size = 1115394", "size = 1.5", "`size` takes an integer"),
        ("\"ba78", "\"BA78", "`sha256` takes 64 hexadecimal digits"),
        (
            "\"https://example.org/plays.tar.gz\", ",
            "\"https://me:word@example.org/x\", ",
            "it cannot hold a password",
        ),
        ("#usr/share/plays/plays.tar.gz", "#../x", "is not the path of a member"),
        ("urls = [", "urls = [] #", "`urls` has no address in it"),
        ("path = \"data/notes.txt\"", "", "does not say where the data is"),
        ("path = \"data/notes.txt\"", "path = \"/etc/passwd\"", "it is absolute"),
        (
            "path = \"data/notes.txt\"",
            "path = \"data/notes.txt\"\nsize = 3",
            "`size` goes with `urls`, not with `path`",
        ),
        ("unpack = \"tar.gz\"\n", "", "`select` has nothing to choose from"),
        ("records = \"lines\"\n", "", "`exclude` needs `records`"),
        ("\"plays/*.txt\"", "\"plays/[\"", "is not a pattern of paths"),
        ("usr/share/doc/plays/copyright", "/usr/share", "it is absolute"),
        (">=3.11", "three", "`python` takes the versions that will do"),
        ("\"pylock.toml\"", "\"poetry.lock\"", "this is no lock file that mpkg reads"),
        ("lock = \"pylock.toml\"", "package = \"cuda\"", "`cuda` is not in [build-dependencies]"),
        ("OPENBLAS_CORETYPE", "HOME", "`HOME` is the same in every build"),
        ("OPENBLAS_CORETYPE =", "\"A B\" =", "\"A B\" is not the name of a variable"),
        ("program = \"cc\"", "program = \"/usr/bin/cc\"", "`program` takes the name of a program"),
        (
            "[[step]]\nname = \"prepare\"",
            "[[step]]\nname = \"prepare\"\nneeds = [\"trane\"]",
            "there is no step `trane`",
        ),
        (
            "run = [\"python\", \"prepare.py\"",
            "run = [\"\", \"prepare.py\"",
            "`run` names no program",
        ),
        ("\"--seed={seed}\"", "\"--seed={seed\"", "a brace stands alone"),
        (
            "seed = 1337",
            "seed = 1337\nresume = [\"{checkpoint}\"]",
            "`resume` goes with `checkpoints`",
        ),
        (
            "seed = 1337",
            "seed = 1337\ncheckpoints = \"c/*.pt\"",
            "`checkpoints` ends in `.safetensors`",
        ),
        ("seed = 1337", "seed = 1337\ncheckpoints = \"c/*.safetensors\"", "has no `until`"),
        (
            "seed = 1337",
            "seed = 1337\nuntil = [\"{checkpoint}\"]",
            "{checkpoint} has no place in `until`",
        ),
        ("seed = 1337", "seed = 1337\nuntil = [\"--stop\"]", "`until` names {until} nowhere"),
        ("\"--seed={seed}\"", "\"{until}\"", "have no place in `run`"),
        ("cpus = 2", "cpus = 0", "`cpus` takes a number from 1"),
        ("cpus = 2", "cpus = 2, gpu = 1", "[step.resources] has no key `gpu`"),
        ("default = true", "default = \"yes\"", "`default` takes true or false"),
        ("name = \"q8_0\"", "name = \"q8_0\"\ndefault = true", "two variants are the default"),
        ("name = \"q8_0\"", "name = \"f32\"", "two variants are named `f32`"),
        ("files = [\"model.gguf\"]", "files = []", "`files` names no file"),
        ("level = \"tensor\"", "level = \"bits\"", "`level` is one of"),
        (
            "[reproducibility.tensor]\nmax-abs = 1e-4\nmin-cosine = 0.9999",
            "",
            "needs [reproducibility.tensor]",
        ),
        ("max-abs = 1e-4\nmin-cosine = 0.9999", "", "states no distance"),
        ("max-abs = 1e-4", "max-abs = -1e-4", "`max-abs` takes a number that is not negative"),
        ("min-cosine = 0.9999", "min-cosine = nan", "`min-cosine` takes a finite decimal number"),
        ("at-most = 1.75", "at-most = \"low\"", "`at-most` takes a number"),
        ("variants = [\"f32\"]", "variants = [\"f23\"]", "there is no variant `f23`"),
        ("metric = \"validation_loss\"", "metric = \"\"", "`metric` takes the name of a field"),
        ("\"{package}\"", "\"{seed}\"", "{seed} has no place in a test"),
    ] {
        let found = messages(old, new);
        let hit = found.iter().any(|message| message.contains(expected));
        assert!(hit, "{old:?} -> {new:?}: {expected:?} is not in {found:#?}");
    }
}

#[test]
fn one_mistake_is_one_problem() {
    for (old, new) in [
        ("urls = [\"https", "urls = \"x\" # [\"https"),
        ("version = \"0.3.0\"", "version = \"0.3\""),
        ("sha256 = \"ba", "sha256 = \""),
        ("memory = \"4GiB\"", "memory = 4"),
        ("name = \"plays\"", "name = \"plays\"\nnotes = 1"),
        ("at-most = 1.75", "at-most = inf"),
        ("files = [\"model.gguf\"]", "files = [\"/model.gguf\"]"),
        ("license = \"Apache-2.0\"", "license = \"Apache\""),
    ] {
        let found = messages(old, new);
        assert_eq!(found.len(), 1, "{old:?} -> {new:?}: {found:#?}");
    }
}

#[test]
fn a_default_is_needed_only_among_several() {
    let alone = "[[variant]]\nname = \"q8_0\"\nfrom = \"train\"\nfiles = [\"model.gguf\"]\n";
    assert!(GOOD.contains(alone));
    assert_eq!(messages(alone, ""), [""; 0]);
    assert_eq!(messages("size = 1115394", "size = 1_115_394"), [""; 0]);
    let text = GOOD.replace(alone, "").replace("default = true\n", "");
    assert!(Manifest::parse(&text, "mpkg.toml").unwrap().variants[0].default);
    assert_eq!(messages("default = true\n", ""), ["none of the variants is the default"]);
}

#[test]
fn steps_are_sorted_and_otherwise_stay() {
    let steps = |needs: &[(&str, &[&str])]| {
        let mut text = String::from(
            "[package]\nname='a'\nversion='1.0.0'\nkind='model'\nsummary='a'\nlicense='MIT'\n\
             [[variant]]\nname='v'\nfrom='a'\nfiles=['x']\n",
        );
        for (name, needs) in needs {
            let _ = write!(text, "[[step]]\nname='{name}'\nrun=['x']\nneeds={needs:?}\n");
        }
        Manifest::parse(&text, "mpkg.toml")
            .map(|manifest| {
                let names = manifest.steps.iter().map(|step| step.name.to_string());
                names.collect::<Vec<_>>().join(" ")
            })
            .map_err(|problems| problems.problems()[0].message.clone())
    };
    assert_eq!(steps(&[("c", &[]), ("b", &[]), ("a", &[])]).as_deref(), Ok("c b a"));
    assert_eq!(
        steps(&[("a", &["b"]), ("d", &[]), ("b", &["c"]), ("c", &[])]).as_deref(),
        Ok("d c b a")
    );
    let circle = "the steps need each other in a circle: b → d → c → b";
    let found = steps(&[("a", &["b"]), ("b", &["d"]), ("c", &["b"]), ("d", &["c"]), ("e", &[])]);
    assert_eq!(found, Err(circle.to_owned()));
}

#[test]
fn many_problems_stay_few_and_quick() {
    let mut text = String::from("[package]\n");
    for number in 0..60_000 {
        let _ = writeln!(text, "key-{number} = 1");
    }
    let problems = Manifest::parse(&text, "mpkg.toml").unwrap_err();
    assert!(problems.problems().len() <= 200);
    let long = format!("{} = 1\n", "a".repeat(900_000));
    let problems = Manifest::parse(&long, "mpkg.toml").unwrap_err();
    assert!(crate::explain::Explain::rendered(&problems).is_some());
    assert!(Manifest::parse(&"#".repeat(2 << 20), "mpkg.toml").is_err());
    assert!(Manifest::parse(&format!("a = {}", "[".repeat(500_000)), "mpkg.toml").is_err());
}

proptest::proptest! {
    #[test]
    fn no_manifest_makes_it_panic(text in ".{0,200}") {
        if let Err(problems) = Manifest::parse(&text, "mpkg.toml") {
            proptest::prop_assert!(crate::explain::Explain::rendered(&problems).is_some());
        }
    }

    #[test]
    fn no_change_to_a_good_manifest_makes_it_panic(
        at in 0..GOOD.len(),
        length in 0..40_usize,
        new in "[-a-z0-9\\[\\]{}=\"'\\n#.,é\u{1b} ]{0,12}",
    ) {
        let end = (at + length).min(GOOD.len());
        let text = format!("{}{new}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(problems) = Manifest::parse(&text, "mpkg.toml") {
            proptest::prop_assert!(!problems.problems().is_empty());
            for problem in problems.problems() {
                proptest::prop_assert!(text.get(problem.span.clone()).is_some());
            }
            let rendered = crate::explain::Explain::rendered(&problems).unwrap();
            let plain = anstream::adapter::strip_str(&rendered).to_string();
            let escaped = plain.contains('\u{1b}');
            proptest::prop_assert!(!escaped);
        }
    }
}
