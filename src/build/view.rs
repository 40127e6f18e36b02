//! What a step sees of the source tree, so that a change reruns what depends on it and no more
//! (spec/build.md, "What a step sees").

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::fs::{Error, Result};
use crate::package::manifest::{DataSource, MANIFEST_NAME, Manifest, Part, Template};
use crate::package::{IndexedFile, LOCK_NAME, PackagePath, PartName};

/// A file longer than this is taken to mention every name.
const LONGEST_SCRIPT: u64 = 4 << 20;

/// The files of the source tree that each step sees.
#[derive(Debug)]
pub struct Views {
    steps: BTreeMap<PartName, Vec<IndexedFile>>,
}

impl Views {
    /// Works out what each step of `manifest` sees of `files`, which lie below `root`.
    ///
    /// # Errors
    /// When a script cannot be read.
    pub fn of(manifest: &Manifest, files: &[IndexedFile], root: &Path) -> Result<Self> {
        let seen: Vec<&IndexedFile> =
            files.iter().filter(|file| !is_data(manifest, &file.path)).collect();
        let mut named = named_scripts(manifest, &seen);
        named.extend(seen.iter().map(|file| &file.path).filter(|path| is_beside(path)));
        let mut mentions = Mentions { root, known: BTreeMap::new() };
        let mut steps = BTreeMap::new();
        for step in &manifest.steps {
            let own = scripts_in(&step.run, &seen);
            let hidden: BTreeSet<&PackagePath> = named.difference(&own).copied().collect();
            let view = mentions.closure(&seen, hidden)?;
            steps.insert(step.name.clone(), view);
        }
        Ok(Self { steps })
    }

    /// What `step` sees, in the byte order of the paths.
    #[must_use]
    pub fn step(&self, step: &PartName) -> &[IndexedFile] {
        self.steps.get(step).map_or(&[], Vec::as_slice)
    }
}

/// Whether a step sees `path` only where a script names it: the manifest, the lock file, and
/// texts for people.
fn is_beside(path: &PackagePath) -> bool {
    let text = path.as_str();
    let for_people = ["README", "CHANGELOG", "LICENSE", "LICENCE", "COPYING", "NOTICE"];
    text == MANIFEST_NAME
        || text == LOCK_NAME
        || text.starts_with("LICENSES/")
        || text.starts_with("patches/")
        || (!text.contains('/') && for_people.iter().any(|start| text.starts_with(start)))
}

/// Whether `path` is data, which steps see through `{data.NAME}` alone, or the lock of the
/// environment.
fn is_data(manifest: &Manifest, path: &PackagePath) -> bool {
    let text = path.as_str();
    let lies_in = |folder: &PackagePath| {
        text == folder.as_str()
            || text.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    manifest.environment.lock.as_ref().is_some_and(lies_in)
        || manifest.data.iter().any(|data| {
            data.exclude.iter().any(lies_in)
                || match &data.source {
                    DataSource::Fetched { .. } => false,
                    DataSource::InTree { path, .. } => lies_in(path),
                    DataSource::Shards { list } => lies_in(list),
                }
        })
}

/// The files among `seen` that are arguments of some step or test.
fn named_scripts<'a>(manifest: &Manifest, seen: &[&'a IndexedFile]) -> BTreeSet<&'a PackagePath> {
    let runs = manifest.steps.iter().map(|step| &step.run);
    let runs = runs.chain(manifest.tests.iter().map(|test| &test.run));
    runs.flat_map(|run| scripts_in(run, seen)).collect()
}

fn scripts_in<'a>(run: &[Template], seen: &[&'a IndexedFile]) -> BTreeSet<&'a PackagePath> {
    let literal = |template: &Template| match template.parts.as_slice() {
        [Part::Text(text)] => Some(text.strip_prefix("./").unwrap_or(text).to_owned()),
        _ => None,
    };
    let arguments: BTreeSet<String> = run.iter().filter_map(literal).collect();
    seen.iter().map(|file| &file.path).filter(|path| arguments.contains(path.as_str())).collect()
}

/// Which scripts the files mention, each file read once.
struct Mentions<'a> {
    root: &'a Path,
    known: BTreeMap<(PackagePath, String), bool>,
}

impl Mentions<'_> {
    /// `seen` without those of `hidden` that no visible file mentions, directly or through
    /// another.
    fn closure(
        &mut self,
        seen: &[&IndexedFile],
        mut hidden: BTreeSet<&PackagePath>,
    ) -> Result<Vec<IndexedFile>> {
        let is_hidden =
            |hidden: &BTreeSet<&PackagePath>, file: &IndexedFile| hidden.contains(&file.path);
        let mut to_read: Vec<&IndexedFile> =
            seen.iter().copied().filter(|file| !is_hidden(&hidden, file)).collect();
        while let Some(file) = to_read.pop() {
            let mut found = Vec::new();
            for script in &hidden {
                if self.mentions(file, script)? {
                    found.push(*script);
                }
            }
            for script in found {
                hidden.remove(script);
                to_read.extend(seen.iter().copied().filter(|file| file.path == *script));
            }
        }
        Ok(seen.iter().filter(|file| !is_hidden(&hidden, file)).map(|&file| file.clone()).collect())
    }

    fn mentions(&mut self, file: &IndexedFile, script: &PackagePath) -> Result<bool> {
        let name = script.file_name();
        // A script can be imported without the end of its name; a text is opened by all of it.
        let stem = match name.rsplit_once('.') {
            Some((stem, _)) if !is_beside(script) => stem.to_owned(),
            _ => name.to_owned(),
        };
        if file.size > LONGEST_SCRIPT {
            return Ok(true);
        }
        if let Some(known) = self.known.get(&(file.path.clone(), stem.clone())) {
            return Ok(*known);
        }
        let path = file.path.below(self.root);
        let bytes = std::fs::read(&path).map_err(Error::at("read", &path))?;
        let answer = has_word(&bytes, stem.as_bytes());
        self.known.insert((file.path.clone(), stem), answer);
        Ok(answer)
    }
}

/// Whether `word` stands in `bytes` with no letter, digit or underscore on either side.
fn has_word(bytes: &[u8], word: &[u8]) -> bool {
    let in_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    !word.is_empty()
        && bytes.windows(word.len()).enumerate().any(|(at, window)| {
            window == word
                && !in_word(at.checked_sub(1).and_then(|before| bytes.get(before)))
                && !in_word(bytes.get(at + word.len()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_seen_where_a_script_names_them() {
        let path = |text: &str| text.parse::<PackagePath>().unwrap();
        for beside in ["mpkg.toml", "mpkg.lock", "README.md", "LICENSES/MIT.txt", "LICENSE"] {
            assert!(is_beside(&path(beside)), "{beside}");
        }
        for seen in ["train.py", "docs/README.md", "mpkg.toml.in"] {
            assert!(!is_beside(&path(seen)), "{seen}");
        }
        assert!(has_word(b"open('mpkg.toml', 'rb')", b"mpkg.toml"));
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word(b"import train", b"train"));
        assert!(has_word(b"from .train import x", b"train"));
        assert!(!has_word(b"constrain training train_x", b"train"));
        assert!(!has_word(b"", b"train"));
    }
}
