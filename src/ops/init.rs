//! Writes a source tree that builds as it is.

use std::path::{Path, PathBuf};

use crate::explain::{Explain, printable};
use crate::fs;
use crate::package::manifest::MANIFEST_NAME;
use crate::package::{Kind, PackageName};

/// Where a template's file comes to stand, and its text; `@NAME@` stands for the package's name.
type TemplateFile = (&'static str, &'static str);

macro_rules! template {
    ($($path:literal = $file:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("templates/", $file)))),*]
    };
}

const COMMON: &[TemplateFile] = template![
    ".mpkgignore" = "common/mpkgignore",
    "CHANGELOG.md" = "common/CHANGELOG.md",
    "LICENSES/CC0-1.0.txt" = "common/CC0-1.0.txt",
];
const MODEL: &[TemplateFile] = template![
    "README.md" = "model/README.md",
    "characters.py" = "common/characters.py",
    "data/train.txt" = "common/train.txt",
    "data/validation.txt" = "common/validation.txt",
    "evaluate.py" = "model/evaluate.py",
    "generate.py" = "model/generate.py",
    "mpkg.toml" = "model/mpkg.toml",
    "tensors.py" = "common/tensors.py",
    "train.py" = "model/train.py",
];
const ADAPTER: &[TemplateFile] = template![
    "README.md" = "adapter/README.md",
    "adapt.py" = "adapter/adapt.py",
    "base.py" = "adapter/base.py",
    "characters.py" = "common/characters.py",
    "data/base.txt" = "common/train.txt",
    "data/train.txt" = "adapter/train.txt",
    "data/validation.txt" = "adapter/validation.txt",
    "evaluate.py" = "adapter/evaluate.py",
    "lowrank.py" = "adapter/lowrank.py",
    "mpkg.toml" = "adapter/mpkg.toml",
    "tensors.py" = "common/tensors.py",
];
const TOKENIZER: &[TemplateFile] = template![
    "README.md" = "tokenizer/README.md",
    "bpe.py" = "tokenizer/bpe.py",
    "data/train.txt" = "common/train.txt",
    "data/validation.txt" = "common/validation.txt",
    "evaluate.py" = "tokenizer/evaluate.py",
    "mpkg.toml" = "tokenizer/mpkg.toml",
    "train.py" = "tokenizer/train.py",
];
const DATASET: &[TemplateFile] = template![
    "README.md" = "dataset/README.md",
    "clean.py" = "dataset/clean.py",
    "data/raw.txt" = "dataset/raw.txt",
    "evaluate.py" = "dataset/evaluate.py",
    "mpkg.toml" = "dataset/mpkg.toml",
];

/// The tree that is asked for.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The folder that it is written into; it may not be there yet.
    pub folder: PathBuf,
    /// What the package is.
    pub kind: Kind,
    /// The package's name; without it, one made of the folder's.
    pub name: Option<PackageName>,
}

/// A tree that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTree {
    /// Its folder.
    pub folder: PathBuf,
    /// What the package is.
    pub kind: Kind,
    /// The package's name.
    pub name: PackageName,
    /// The files, in byte order.
    pub files: Vec<&'static str>,
}

/// Why no tree was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder's name makes no package name.
    #[error("{} makes no package name", folder.display())]
    NoName {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no template for the kind.
    #[error("there is no template for the kind {kind}")]
    NoTemplate {
        /// The kind.
        kind: Kind,
    },
    /// Something is in the folder.
    #[error("{} is not empty: it holds {}", folder.display(), shown(found))]
    InTheWay {
        /// The folder.
        folder: PathBuf,
        /// What is in it, in byte order.
        found: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
}

/// The first few names of a longer list.
fn shown(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).map(|name| printable(name)).collect::<Vec<_>>();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

impl Explain for InitError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NoName { .. } => "no-name",
            Self::NoTemplate { .. } => "no-template",
            Self::InTheWay { .. } => "not-empty",
            Self::File(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoName { .. } => Some("name the package with --name NAME".to_owned()),
            Self::NoTemplate { .. } => None,
            Self::InTheWay { .. } => Some("name a new folder".to_owned()),
            Self::File(error) => error.hint(),
        }
    }
}

fn template(kind: Kind) -> Option<Vec<TemplateFile>> {
    let own = match kind {
        Kind::Model => MODEL,
        Kind::Adapter => ADAPTER,
        Kind::Tokenizer => TOKENIZER,
        Kind::Dataset => DATASET,
        Kind::Environment => return None,
    };
    let mut files: Vec<TemplateFile> = COMMON.iter().chain(own).copied().collect();
    files.sort_unstable();
    Some(files)
}

/// What stands in the folder that a template's folders and files, `.git` and what an earlier,
/// interrupted run left do not account for.
fn in_the_way(folder: &Path, wanted: &[(&str, String)]) -> fs::Result<Vec<String>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    let mut entries = walkdir::WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|error| fs::Error::at("read", folder)(error.into()))?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = relative.display().to_string();
        let leads_to = format!("{name}/");
        let is_folder = entry.file_type().is_dir();
        let ours = if is_folder {
            wanted.iter().any(|(path, _)| path.starts_with(&leads_to))
        } else {
            let text = wanted.iter().find(|(path, _)| *path == name).map(|(_, text)| text);
            entry.file_name().to_string_lossy().starts_with(".mpkg-staging-")
                || (name != MANIFEST_NAME
                    && text.is_some_and(|text| {
                        entry.metadata().is_ok_and(|found| found.len() == text.len() as u64)
                            && std::fs::read(entry.path()).is_ok_and(|read| read == text.as_bytes())
                    }))
        };
        if !ours && relative != Path::new(".git") {
            found.push(name);
        }
        if is_folder && !ours {
            entries.skip_current_dir();
        }
    }
    Ok(found)
}

/// Writes the tree; its manifest comes last, so that an interrupted run leaves no tree, and the
/// next one goes on.
///
/// # Errors
/// When the folder holds something already, no name can be made, or the system refuses.
pub fn init(options: InitOptions) -> Result<NewTree, InitError> {
    let InitOptions { folder, kind, name } = options;
    let place = std::path::absolute(&folder).map_err(fs::Error::at("find", &folder))?;
    let from_folder = || {
        let name = place.file_name().map(std::ffi::OsStr::to_string_lossy);
        name.and_then(|name| PackageName::near(&name))
    };
    let name =
        name.or_else(from_folder).ok_or_else(|| InitError::NoName { folder: folder.clone() })?;
    let template = template(kind).ok_or(InitError::NoTemplate { kind })?;
    let files: Vec<(&str, String)> = template
        .iter()
        .map(|(path, text)| (*path, text.replace("@NAME@", name.as_str())))
        .collect();
    let found = in_the_way(&folder, &files)?;
    if !found.is_empty() {
        return Err(InitError::InTheWay { folder, found });
    }
    let (last, first): (Vec<_>, Vec<_>) =
        files.iter().partition(|(path, _)| *path == MANIFEST_NAME);
    for (path, text) in first.into_iter().chain(last) {
        fs::write_atomically(&folder.join(path), text.as_bytes())?;
    }
    Ok(NewTree { folder, kind, name, files: template.iter().map(|(path, _)| *path).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tree::SourceTree;
    use crate::package::PackagePath;

    fn options(folder: &Path, kind: Kind) -> InitOptions {
        InitOptions { folder: folder.to_owned(), kind, name: None }
    }

    #[test]
    fn every_template_is_a_tree_without_remarks() {
        let world = tempfile::tempdir().unwrap();
        for kind in [Kind::Model, Kind::Adapter, Kind::Tokenizer, Kind::Dataset] {
            let folder = world.path().join(format!("My {kind}"));
            let written = init(options(&folder, kind)).unwrap();
            assert_eq!(written.name.as_str(), format!("my-{kind}"));
            let tree = SourceTree::open(&folder).unwrap();
            assert_eq!(tree.manifest().package.kind, kind);
            assert!(!tree.manifest().tests.is_empty());
            let scanned = tree.scan().unwrap();
            assert_eq!(scanned.remarks, []);
            let names: Vec<&str> = scanned.paths.iter().map(PackagePath::as_str).collect();
            assert_eq!(names, written.files);
            assert!(std::fs::read_to_string(folder.join("README.md")).unwrap().contains("# my-"));
        }
    }

    #[test]
    fn an_interrupted_run_goes_on() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("new");
        init(options(&folder, Kind::Dataset)).unwrap();
        std::fs::remove_file(folder.join(MANIFEST_NAME)).unwrap();
        std::fs::remove_file(folder.join("clean.py")).unwrap();
        init(options(&folder, Kind::Dataset)).unwrap();
        let error = init(options(&folder, Kind::Dataset)).unwrap_err();
        assert!(matches!(&error, InitError::InTheWay { found, .. } if found == &["mpkg.toml"]));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let world = tempfile::tempdir().unwrap();
        fs::write_atomically(&world.path().join(".git/HEAD"), b"").unwrap();
        fs::write_atomically(&world.path().join("data/mine"), b"").unwrap();
        fs::write_atomically(&world.path().join("train.py"), b"mine").unwrap();
        let error = init(options(world.path(), Kind::Model)).unwrap_err();
        assert!(
            matches!(&error, InitError::InTheWay { found, .. } if found == &["data/mine", "train.py"]),
            "{error}"
        );
        assert!(!world.path().join("mpkg.toml").exists());
    }

    #[test]
    fn a_name_is_needed() {
        let world = tempfile::tempdir().unwrap();
        let error = init(options(&world.path().join("..é"), Kind::Model)).unwrap_err();
        assert!(matches!(error, InitError::NoName { .. }));
        let error = init(options(&world.path().join("x"), Kind::Environment)).unwrap_err();
        assert!(matches!(error, InitError::NoTemplate { .. }));
    }
}
