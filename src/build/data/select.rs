//! `select`: globs over paths, each of which must choose something.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Error, Result};

/// How many names that nothing chose are remembered for messages.
const REMEMBERED: usize = 10_000;

/// The globs of one data reference, and what they chose so far.
pub(super) struct Selection {
    globs: Vec<String>,
    set: GlobSet,
    chose: Vec<bool>,
    passed_over: Vec<String>,
}

impl Selection {
    /// Takes the manifest's globs; none choose everything.
    pub(super) fn of(globs: &[String]) -> Result<Self> {
        let mut builder = GlobSetBuilder::new();
        for glob in globs {
            // The manifest's reader has checked them; here they are only built again.
            let built = GlobBuilder::new(glob).literal_separator(true).build();
            builder.add(built.map_err(|_| no_match(glob))?);
        }
        let set = builder.build().map_err(|_| no_match("*"))?;
        let chose = vec![false; globs.len()];
        Ok(Self { globs: globs.to_vec(), set, chose, passed_over: Vec::new() })
    }

    /// Whether everything is chosen.
    pub(super) fn is_everything(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether `path` is chosen.
    pub(super) fn takes(&mut self, path: &str) -> bool {
        if self.is_everything() {
            return true;
        }
        let matches = self.set.matches(path);
        for index in &matches {
            self.chose[*index] = true;
        }
        if matches.is_empty() && self.passed_over.len() < REMEMBERED {
            self.passed_over.push(path.chars().take(255).collect());
        }
        !matches.is_empty()
    }

    /// Checks at the end that every glob chose something.
    pub(super) fn finish(&self) -> Result<()> {
        match self.chose.iter().position(|chose| !chose) {
            None => Ok(()),
            Some(index) => {
                let glob = &self.globs[index];
                let near = near(glob, self.passed_over.iter().map(String::as_str));
                Err(Error::NoMatch { glob: glob.clone(), near })
            }
        }
    }
}

fn no_match(glob: &str) -> Error {
    Error::NoMatch { glob: glob.to_owned(), near: Vec::new() }
}

/// Up to three of `names` that are most like `wanted`.
pub(super) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut scored: Vec<(usize, &str)> = names
        .map(|name| {
            let whole = strsim::levenshtein(wanted, name);
            let ends = strsim::levenshtein(&last(wanted), &last(name));
            (whole.min(2 * ends), name)
        })
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.iter().take(3).map(|(_, name)| crate::explain::printable(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_glob_chooses_something() {
        let globs = ["plays/*.txt".to_owned(), "notes/**".to_owned()];
        let mut selection = Selection::of(&globs).unwrap();
        assert!(selection.takes("plays/hamlet.txt"));
        assert!(!selection.takes("plays/acts/hamlet.txt"));
        assert!(!selection.takes("note/a"));
        let error = selection.finish().unwrap_err().to_string();
        assert!(error.contains("\"notes/**\"") && error.contains("there is note/a"), "{error}");
        assert!(selection.takes("notes/a/b"));
        selection.finish().unwrap();
    }

    #[test]
    fn no_globs_choose_everything() {
        let mut selection = Selection::of(&[]).unwrap();
        assert!(selection.takes("a") && selection.is_everything());
        selection.finish().unwrap();
    }
}
