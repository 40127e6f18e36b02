//! Holds what `src/lib.rs` says about the house: who may use whom, and what stands in one place
//! alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The layers from the lowest to the highest. A module uses those of lower layers; where a layer's
/// modules may use each other, [`BESIDE`] says so.
const LAYERS: &[&[&str]] = &[
    &["progress", "explain"],
    &["package"],
    &["formats", "crypto", "fs"],
    &["archive", "net"],
    &["store"],
    &["resolve", "registry", "build", "reproduce", "study"],
    &["ops"],
    &["cli"],
];

/// Arrows within a layer: from, to.
const BESIDE: &[(&str, &str)] = &[("crypto", "fs"), ("formats", "fs")];

/// Words that stand below one folder or file of `src` alone, with what they are.
const IN_ONE_PLACE: &[(&str, &str, &str)] = &[
    ("reqwest", "net", "makes HTTP clients"),
    ("ed25519_dalek", "crypto", "signs"),
    ("resolvo", "resolve", "solves"),
    ("clap", "cli", "reads the command line"),
    ("std::env::var", "cli", "reads the environment"),
    ("std::env::args", "cli", "reads the command line"),
];

/// The one file that may name such a word elsewhere: the program starts itself again inside the
/// sandbox, before there is a command line.
const REENTRY: (&str, &str) = ("build/sandbox/reentry.rs", "std::env::args");

/// The most lines of a file that is no test.
const LONGEST_FILE: usize = 700;

/// A source file: its path below `src`, and its code without comments and tests.
struct Source {
    path: PathBuf,
    text: String,
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.path.components().next().expect("a path");
        let name = first.as_os_str().to_str().expect("UTF-8");
        name.strip_suffix(".rs").unwrap_or(name)
    }

    fn is_test(&self) -> bool {
        self.path.components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            part == "tests.rs" || part == "tests"
        })
    }
}

/// The lines of `text` that are code: no comments, and nothing from the tests' module on.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].trim_end().ends_with('{')
    });
    let kept = &lines[..tests.unwrap_or(lines.len())];
    let code = kept.iter().filter(|line| !line.trim_start().starts_with("//"));
    code.copied().collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources: Vec<Source> = walkdir::WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("src can be read").into_path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let path = path.strip_prefix(&root).expect("below src").to_owned();
            Source { code: code(&text), text, path }
        })
        .collect();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    sources.retain(|source| !source.is_test());
    sources
}

/// The word at the beginning of `text`.
fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The entries of a list in braces that begins after its first brace; lists in it stay whole.
fn entries(list: &str) -> Vec<&str> {
    let (mut entries, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                entries.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                entries.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    entries
}

/// The modules of the crate that `code` names in `crate::…` paths, lists in braces included.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => used.extend(entries(list).into_iter().map(first_word).map(String::from)),
            None => {
                used.insert(first_word(rest).to_owned());
            }
        }
    }
    used.remove("");
    used
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn paths_are_found() {
    let code = "use crate::{fs, package::{Digest, Kind},\n    net};\ncrate::store::Home; crate::x";
    let found: Vec<String> = used(code).into_iter().collect();
    assert_eq!(found, ["fs", "net", "package", "store", "x"]);
    assert_eq!(super::architecture::code("a\n// crate::cli\n#[cfg(test)]\nmod tests {\nb"), "a");
}

#[test]
fn modules_use_only_what_stands_below_them() {
    let mut faults = Vec::new();
    for source in sources() {
        let from = source.module().to_owned();
        if matches!(from.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = layer(&from) else {
            faults.push(format!("{} belongs to no layer", source.path.display()));
            continue;
        };
        for to in used(&source.code) {
            let allowed = match layer(&to) {
                // A macro or something else at the root of the crate.
                None => false,
                Some(other) => {
                    to == from
                        || other < own
                        || (other == own && BESIDE.contains(&(from.as_str(), to.as_str())))
                }
            };
            if !allowed {
                faults.push(format!("{} uses crate::{to}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_layers_are_those_of_the_crate_documentation() {
    let lib = include_str!("../../src/lib.rs");
    for module in LAYERS.iter().flat_map(|layer| layer.iter()) {
        assert!(lib.contains(module), "src/lib.rs does not name {module}");
    }
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod "));
    for module in declared.map(|line| line.trim_end_matches(';')) {
        assert!(layer(module).is_some(), "{module} belongs to no layer");
    }
}

#[test]
fn each_crate_is_named_in_one_place() {
    let mut faults = Vec::new();
    let mut files_that_name_resolvo = BTreeSet::new();
    for source in sources() {
        for (word, module, what) in IN_ONE_PLACE {
            let named = source.code.match_indices(word).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                let after = source.code[at + word.len()..].chars().next();
                let joins =
                    |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                !joins(before) && (!joins(after) || word.starts_with("std::"))
            });
            let reenters = (source.path.to_str(), *word) == (Some(REENTRY.0), REENTRY.1);
            if named && !reenters && source.module() != *module {
                faults.push(format!("{}: only {module} {what} ({word})", source.path.display()));
            }
            if named && *word == "resolvo" {
                files_that_name_resolvo.insert(source.path.clone());
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(files_that_name_resolvo.len(), 1, "{files_that_name_resolvo:?}");
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            faults.push(format!("{} has {lines} lines", source.path.display()));
        }
        if !source.text.starts_with("//! ") {
            faults.push(format!("{} does not begin with //!", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_unfinished_stands_in_the_code() {
    let mut faults = Vec::new();
    for source in sources() {
        for word in ["todo!(", "unimplemented!(", "\"not-built\"", "#[ignore", "dbg!("] {
            if source.code.contains(word) {
                faults.push(format!("{} has {word}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_of_this_machine_or_of_a_registry_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for folder in [
        "src",
        "tests",
        "spec",
        "benches",
        "registry-example",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
    ] {
        for entry in walkdir::WalkDir::new(root.join(folder)) {
            let path = entry.expect("the project can be read").into_path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            // Written in two pieces, so that this file does not name them.
            for word in [
                ["/ro", "ot/"],
                ["/work", "/"],
                ["pypi", ".org"],
                ["pythonhosted", ".org"],
                ["deb.debian", ".org"],
                ["crates", ".io"],
            ] {
                if text.contains(&word.concat()) {
                    faults.push(format!("{} names {}", path.display(), word.concat()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
