//! Which files of a tree are left out of its source package: what nobody means to pack, and the
//! patterns of `.mpkgignore`.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::package::manifest::MANIFEST_NAME;

/// Left out of every tree.
const ALWAYS: &str = "\
/dist/
/.mpkg-source/
.git
.hg
.svn
.venv/
__pycache__/
.pytest_cache/
.ipynb_checkpoints/
*.pyc
*.pyo
*~
.*.swp
.*.swo
.#*
.DS_Store
Thumbs.db
.mpkg-staging-*
";
/// Never left out.
const KEPT: &[&str] = &[MANIFEST_NAME, "mpkg.lock", ".mpkgignore"];

/// The patterns, ready to match.
#[derive(Debug)]
pub(super) struct Ignored {
    any: GlobSet,
    folders: GlobSet,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

/// A line of `.mpkgignore` that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {pattern:?}: {why}")]
pub struct InvalidPattern {
    line: usize,
    pattern: String,
    why: String,
}

impl Ignored {
    /// Reads the text of `.mpkgignore`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let mut any = GlobSetBuilder::new();
        let mut folders = GlobSetBuilder::new();
        for (line, pattern) in ALWAYS.lines().map(|line| (0, line)).chain((1..).zip(text.lines())) {
            let pattern = pattern.trim_end();
            if pattern.is_empty() || pattern.starts_with('#') {
                continue;
            }
            let invalid = |why: String| InvalidPattern { line, pattern: pattern.to_owned(), why };
            if pattern.starts_with('!') {
                return Err(invalid("patterns cannot take files back in".to_owned()));
            }
            let only_folders = pattern.ends_with('/');
            let bare = pattern.trim_end_matches('/');
            let anchored = bare.contains('/');
            let bare = bare.trim_start_matches('/');
            let glob = if anchored { bare.to_owned() } else { format!("**/{bare}") };
            let glob = GlobBuilder::new(&glob)
                .literal_separator(true)
                .build()
                .map_err(|error| invalid(error.kind().to_string()))?;
            if only_folders { &mut folders } else { &mut any }.add(glob);
        }
        let build = |set: GlobSetBuilder| {
            set.build().map_err(|error| InvalidPattern {
                line: 0,
                pattern: String::new(),
                why: error.to_string(),
            })
        };
        Ok(Self { any: build(any)?, folders: build(folders)? })
    }

    /// Whether the file or folder at `path` is left out, with all that is in it.
    pub(super) fn matches(&self, path: &str, node: Node) -> bool {
        !KEPT.contains(&path)
            && (self.any.is_match(path) || (node == Node::Folder && self.folders.is_match(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let ignored = Ignored::parse("*.log\n/top\ndocs/*.txt\ncache/\n\n# note\n").unwrap();
        for (path, node) in [
            ("a.log", Node::File),
            ("x/y/a.log", Node::File),
            ("top", Node::Folder),
            ("top", Node::File),
            ("docs/a.txt", Node::File),
            ("x/cache", Node::Folder),
            ("dist", Node::Folder),
            ("x/__pycache__", Node::Folder),
        ] {
            assert!(ignored.matches(path, node), "{path}");
        }
        for (path, node) in [
            ("x/top", Node::File),
            ("docs/x/a.txt", Node::File),
            ("cache", Node::File),
            ("mpkg.toml", Node::File),
            ("x/dist", Node::Folder),
        ] {
            assert!(!ignored.matches(path, node), "{path}");
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let error = Ignored::parse("a\n!b\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2, \"!b\""), "{error}");
        assert!(Ignored::parse("[").is_err());
        assert!(Ignored::parse("*\n").unwrap().matches("x", Node::File));
    }
}
