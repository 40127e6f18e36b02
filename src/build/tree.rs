//! A source tree on disk: its manifest, and which files belong to the source package
//! (spec/manifest.md, "The tree").

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::explain::{Explain, nearest, printable};
use crate::fs;
use crate::package::manifest::{
    DataSource, Diagnostics, LONGEST_MANIFEST, MANIFEST_NAME, Manifest,
};
use crate::package::{InvalidPath, PackagePath};

use super::ignore::{Ignored, InvalidPattern, Node};
use super::patches::SERIES_NAME;

/// The file in a tree that lists patterns of files that do not belong to the source package.
pub const IGNORE_NAME: &str = ".mpkgignore";
/// The folder in a tree that builds write their packages into.
pub const RESULTS_NAME: &str = "dist";
/// Files from this size on are remarked upon: training data is better named by reference.
pub const LARGE_FILE: u64 = 16 << 20;
/// The most files that a tree may have.
pub const MOST_FILES: usize = 100_000;
/// The ends of names that weights have.
const WEIGHTS: &[&str] =
    &[".safetensors", ".gguf", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".h5", ".onnx", ".npz"];

/// A folder with a manifest that was read and is good.
#[derive(Debug, Clone)]
pub struct SourceTree {
    root: PathBuf,
    manifest: Manifest,
    manifest_text: String,
}

/// The files of a tree that belong to the source package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeFiles {
    /// The files, in byte order of their paths.
    pub paths: Vec<PackagePath>,
    /// What a maintainer should know about some of them.
    pub remarks: Vec<Remark>,
}

/// Something odd about a file, which is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// A large file.
    #[error(
        "{path} is large ({size} bytes): data can stand in the manifest by its address and digest"
    )]
    Large {
        /// The file.
        path: PackagePath,
        /// Its length in bytes.
        size: u64,
    },
    /// Weights.
    #[error("{path} looks like weights: a source package holds what weights are made from")]
    Weights {
        /// The file.
        path: PackagePath,
    },
}

/// What can be wrong with a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A folder without a manifest.
    #[error("there is no {MANIFEST_NAME} in {}", folder.display())]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a manifest, and none above it either.
    #[error("there is no {MANIFEST_NAME} in {}, nor in a folder above it", folder.display())]
    NoTree {
        /// The folder.
        folder: PathBuf,
    },
    /// The manifest has problems.
    #[error(transparent)]
    Manifest(Box<Diagnostics>),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// Something that is neither a file nor a folder.
    #[error("{} is {what}: a source package holds only plain files", path.display())]
    OddFile {
        /// Its place.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// A file whose path no package may hold.
    #[error("{} cannot be packed", path.display())]
    BadPath {
        /// Its place.
        path: PathBuf,
        /// What is wrong with the path.
        #[source]
        source: InvalidPath,
    },
    /// A file whose path is not UTF-8.
    #[error("{} cannot be packed: its name is not UTF-8", path.display())]
    NotText {
        /// Its place.
        path: PathBuf,
    },
    /// Two paths that some file systems cannot tell apart.
    #[error("{first} and {second} are one name where capitals or Unicode forms do not count")]
    Twins {
        /// One.
        first: PackagePath,
        /// The other.
        second: PackagePath,
    },
    /// Too many files.
    #[error("{} has more than {MOST_FILES} files", root.display())]
    TooMany {
        /// The tree.
        root: PathBuf,
    },
    /// A bad line in `.mpkgignore`.
    #[error("{} is no list of patterns", path.display())]
    Ignore {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        #[source]
        source: InvalidPattern,
    },
    /// A path that is a file and a folder.
    #[error("{path} would be a file and a folder")]
    FileAndFolder {
        /// The path.
        path: PackagePath,
    },
    /// A file that the manifest names and that does not belong to the tree.
    #[error("{what} names {path}, which is not in the tree {}", root.display())]
    Missing {
        /// Who names it.
        what: String,
        /// The path.
        path: PackagePath,
        /// The tree.
        root: PathBuf,
        /// What may help.
        hint: Option<String>,
    },
}

/// A result about a tree.
pub type Result<T, E = TreeError> = std::result::Result<T, E>;

impl Explain for TreeError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NoManifest { .. } | Self::NoTree { .. } => "no-tree",
            Self::Manifest(problems) => problems.kind(),
            Self::File(error) => error.kind(),
            Self::OddFile { .. } => "odd-file",
            Self::BadPath { .. }
            | Self::NotText { .. }
            | Self::Twins { .. }
            | Self::FileAndFolder { .. } => "bad-path",
            Self::TooMany { .. } => "too-many-files",
            Self::Ignore { .. } => "ignore",
            Self::Missing { .. } => "missing-file",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest { .. } | Self::NoTree { .. } => {
                Some("`mpkg init DIR --kind model` writes a tree that builds as it is".to_owned())
            }
            Self::Manifest(problems) => problems.hint(),
            Self::File(error) => error.hint(),
            Self::OddFile { .. } | Self::BadPath { .. } | Self::NotText { .. } => {
                Some(format!("remove it, or leave it out with a line in {IGNORE_NAME}"))
            }
            Self::TooMany { .. } => Some(format!("leave files out with {IGNORE_NAME}")),
            Self::Missing { hint, .. } => hint.clone(),
            Self::Twins { .. } | Self::FileAndFolder { .. } | Self::Ignore { .. } => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Manifest(problems) => problems.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Manifest(problems) => problems.details(),
            _ => None,
        }
    }
}

impl From<Diagnostics> for TreeError {
    fn from(problems: Diagnostics) -> Self {
        Self::Manifest(Box::new(problems))
    }
}

impl SourceTree {
    /// Reads the tree at `path`: a folder with a manifest, or the manifest itself.
    ///
    /// # Errors
    /// When there is no manifest, it cannot be read or it has problems.
    pub fn open(path: &Path) -> Result<Self> {
        let named_itself = path.file_name().is_some_and(|name| name == MANIFEST_NAME);
        let root = match path.parent() {
            Some(folder) if named_itself && folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) if named_itself => folder,
            _ => path,
        };
        let place = root.join(MANIFEST_NAME);
        if root.is_dir() && !place.exists() {
            return Err(TreeError::NoManifest { folder: root.to_owned() });
        }
        let manifest_text = fs::read_to_string(&place, LONGEST_MANIFEST)?;
        let shown = place.strip_prefix(".").unwrap_or(&place);
        let manifest = Manifest::parse(&manifest_text, &shown.display().to_string())?;
        Ok(Self { root: root.to_owned(), manifest, manifest_text })
    }

    /// Reads the tree that the folder `inside` belongs to: its own, or that of the nearest folder
    /// above with a manifest.
    ///
    /// # Errors
    /// When no folder above has a manifest, and those of [`SourceTree::open`].
    pub fn find(inside: &Path) -> Result<Self> {
        let start = std::path::absolute(inside).map_err(fs::Error::at("find", inside))?;
        if start.join(MANIFEST_NAME).exists() {
            return Self::open(inside);
        }
        let above = start.ancestors().find(|folder| folder.join(MANIFEST_NAME).exists());
        Self::open(above.ok_or_else(|| TreeError::NoTree { folder: start.clone() })?)
    }

    /// The tree's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's text, as it stands in every binary package.
    #[must_use]
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// The folder that packages are written into.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join(RESULTS_NAME)
    }

    /// The files that belong to the source package, in byte order of their paths.
    ///
    /// # Errors
    /// Those of [`SourceTree::scan`].
    pub fn files(&self) -> Result<Vec<PackagePath>> {
        Ok(self.scan()?.paths)
    }

    /// The files that belong to the source package, with remarks upon odd ones.
    ///
    /// # Errors
    /// When the tree cannot be read, holds what no package can hold, or lacks a file that its
    /// manifest names.
    pub fn scan(&self) -> Result<TreeFiles> {
        let files = self.walk()?;
        // What patches are yet to change is looked at once they are applied.
        if files.paths.iter().all(|path| path.as_str() != SERIES_NAME) {
            self.named_files_are_there(&files.paths)?;
        }
        Ok(files)
    }

    fn walk(&self) -> Result<TreeFiles> {
        let ignored = self.ignored()?;
        let mut files = TreeFiles::default();
        let walk = walkdir::WalkDir::new(&self.root).min_depth(1).sort_by_file_name();
        let mut entries = walk.into_iter();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&self.root).to_owned();
                fs::Error::at("read", &path)(error.into())
            })?;
            let kind = entry.file_type();
            let relative = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
            let text = relative.to_str();
            let node = if kind.is_dir() { Node::Folder } else { Node::File };
            if text.is_some_and(|text| ignored.matches(text, node)) {
                if node == Node::Folder {
                    entries.skip_current_dir();
                }
                continue;
            }
            let Some(text) = text else {
                return Err(TreeError::NotText { path: entry.path().to_owned() });
            };
            if let Some(what) = odd(kind).or_else(|| reserved(text)) {
                return Err(TreeError::OddFile { path: entry.path().to_owned(), what });
            }
            if kind.is_dir() {
                continue;
            }
            let path: PackagePath = text
                .parse()
                .map_err(|source| TreeError::BadPath { path: entry.path().to_owned(), source })?;
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            files.remarks.extend(remark(&path, size));
            files.paths.push(path);
            if files.paths.len() > MOST_FILES {
                return Err(TreeError::TooMany { root: self.root.clone() });
            }
        }
        files.paths.sort();
        twins(&files.paths)?;
        Ok(files)
    }

    /// Checks a list of files that patches have made: names that cannot stand side by side, and
    /// files that the manifest names.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn check(&self, files: &[PackagePath]) -> Result<()> {
        let is_folder = |file: &&PackagePath| {
            let below = format!("{file}/");
            let from = files.partition_point(|other| other.as_str() < below.as_str());
            files.get(from).is_some_and(|other| other.as_str().starts_with(&below))
        };
        if let Some(path) = files.iter().find(is_folder) {
            return Err(TreeError::FileAndFolder { path: path.clone() });
        }
        twins(files)?;
        self.named_files_are_there(files)
    }

    fn ignored(&self) -> Result<Ignored> {
        let path = self.root.join(IGNORE_NAME);
        let text = if path.exists() {
            fs::read_to_string(&path, LONGEST_MANIFEST)?
        } else {
            String::new()
        };
        Ignored::parse(&text).map_err(|source| TreeError::Ignore { path, source })
    }

    /// Checks that what the manifest names in the tree belongs to it.
    fn named_files_are_there(&self, files: &[PackagePath]) -> Result<()> {
        let mut named: Vec<(String, &PackagePath)> = Vec::new();
        for data in &self.manifest.data {
            match &data.source {
                DataSource::InTree { path, .. } | DataSource::Shards { list: path } => {
                    named.push((format!("the data reference `{}`", data.name), path));
                }
                DataSource::Fetched { .. } => {}
            }
            let lists = data.exclude.iter();
            named.extend(lists.map(|list| (format!("`exclude` of `{}`", data.name), list)));
        }
        let lock = self.manifest.environment.lock.iter();
        named.extend(lock.map(|lock| ("`lock` of [environment]".to_owned(), lock)));
        for (what, path) in named {
            if !belongs(files, path) {
                return Err(self.missing(what, path, files));
            }
        }
        Ok(())
    }

    fn missing(&self, what: String, path: &PackagePath, files: &[PackagePath]) -> TreeError {
        let hint = if path.below(&self.root).exists() {
            Some(format!("it is there, and left out: look into {IGNORE_NAME}"))
        } else {
            let near = nearest(path.as_str(), files.iter().map(PackagePath::as_str));
            near.map(|near| format!("did you mean {near}?"))
        };
        TreeError::Missing { what, path: path.clone(), root: self.root.clone(), hint }
    }
}

/// Whether `path` is one of the sorted `files`, or a folder that holds one.
fn belongs(files: &[PackagePath], path: &PackagePath) -> bool {
    let below = format!("{path}/");
    let from = files.partition_point(|file| file.as_str() < below.as_str());
    files.binary_search(path).is_ok()
        || files.get(from).is_some_and(|file| file.as_str().starts_with(&below))
}

fn odd(kind: std::fs::FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        kind if kind.is_file() || kind.is_dir() => None,
        kind if kind.is_symlink() => Some("a symbolic link"),
        kind if kind.is_fifo() => Some("a named pipe"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

fn reserved(path: &str) -> Option<&'static str> {
    (path == ".mpkg").then_some("a name that mpkg keeps for itself")
}

fn remark(path: &PackagePath, size: u64) -> Option<Remark> {
    let name = path.file_name().to_lowercase();
    if WEIGHTS.iter().any(|end| name.ends_with(end)) {
        Some(Remark::Weights { path: path.clone() })
    } else {
        (size >= LARGE_FILE).then(|| Remark::Large { path: path.clone(), size })
    }
}

fn twins(paths: &[PackagePath]) -> Result<()> {
    let mut seen: BTreeMap<String, &PackagePath> = BTreeMap::new();
    for path in paths {
        if let Some(first) = seen.insert(path.folded(), path) {
            return Err(TreeError::Twins { first: first.clone(), second: path.clone() });
        }
    }
    Ok(())
}

impl std::fmt::Display for SourceTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&printable(&self.root.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "a"
version = "1.0.0"
kind = "dataset"
summary = "A"
license = "CC0-1.0"
[[data]]
name = "text"
path = "data"
license = "CC0-1.0"
[[step]]
name = "copy"
run = ["cp", "-r", "{data.text}", "{out}"]
[[variant]]
name = "text"
from = "copy"
files = ["**"]
"#;

    fn tree(files: &[&str]) -> (tempfile::TempDir, SourceTree) {
        let folder = tempfile::tempdir().unwrap();
        fs::write_atomically(&folder.path().join(MANIFEST_NAME), MANIFEST.as_bytes()).unwrap();
        for file in files {
            fs::write_atomically(&folder.path().join(file), b"x").unwrap();
        }
        let tree = SourceTree::open(folder.path()).unwrap();
        (folder, tree)
    }

    fn names(tree: &SourceTree) -> Vec<String> {
        tree.files().unwrap().into_iter().map(String::from).collect()
    }

    #[test]
    fn droppings_are_left_out() {
        let (folder, tree) = tree(&[
            "data/b.txt",
            "data/a.txt",
            "dist/a-1.0.0.src.mpkg",
            "sub/dist/kept",
            ".git/HEAD",
            "__pycache__/x.cpython-311.pyc",
            "train.py",
            "train.py~",
            ".train.py.swp",
            "mpkg.lock",
            "private/notes",
            "deep/private/notes",
        ]);
        fs::write_atomically(&folder.path().join(IGNORE_NAME), b"# mine\n/private/\n").unwrap();
        let expected = [
            ".mpkgignore",
            "data/a.txt",
            "data/b.txt",
            "deep/private/notes",
            "mpkg.lock",
            "mpkg.toml",
            "sub/dist/kept",
            "train.py",
        ];
        assert_eq!(names(&tree), expected);
    }

    #[test]
    fn links_are_refused_by_name() {
        let (folder, tree) = tree(&["data/a"]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let error = tree.files().unwrap_err();
        assert!(matches!(&error, TreeError::OddFile { what: "a symbolic link", .. }), "{error}");
    }

    #[test]
    fn twins_are_refused() {
        let (_folder, tree) = tree(&["data/a", "README.md", "Readme.md"]);
        assert!(matches!(tree.files(), Err(TreeError::Twins { .. })));
    }

    #[test]
    fn data_in_the_tree_must_be_there() {
        let (folder, tree) = tree(&["date/a"]);
        assert!(matches!(tree.files(), Err(TreeError::Missing { .. })));
        fs::write_atomically(&folder.path().join("data/a"), b"x").unwrap();
        assert!(tree.files().is_ok());
        fs::write_atomically(&folder.path().join(IGNORE_NAME), b"data/\n").unwrap();
        let hint = tree.files().unwrap_err().hint().unwrap();
        assert!(hint.contains(IGNORE_NAME), "{hint}");
    }

    #[test]
    fn weights_and_large_files_are_remarked_upon() {
        let (folder, tree) = tree(&["data/a", "old.safetensors"]);
        let large = std::fs::File::create(folder.path().join("large.txt")).unwrap();
        large.set_len(LARGE_FILE).unwrap();
        let remarks = tree.scan().unwrap().remarks;
        assert_eq!(remarks.len(), 2, "{remarks:?}");
    }

    #[test]
    fn the_tree_is_found_from_below() {
        let (folder, _) = tree(&["data/deep/a"]);
        assert!(SourceTree::open(&folder.path().join("data/deep")).is_err());
        let found = SourceTree::find(&folder.path().join("data/deep")).unwrap();
        assert_eq!(found.root(), folder.path());
        assert!(SourceTree::open(&folder.path().join(MANIFEST_NAME)).is_ok());
    }
}
