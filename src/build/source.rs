//! What a source package holds, and what a build makes of it: the tree's files as they are
//! packed, and with its patches applied (spec/patches.md).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::patches::{self, Base, Overlay, Patch};
use super::pristine::{Pristine, Unrecorded, has_series, is_packaging, patches_of};
use super::steps::fill_view;
use super::tree::{SourceTree, TreeError, TreeFiles};
use crate::archive;
use crate::explain::{Explain, count};
use crate::fs;
use crate::package::{INDEX_FORMAT, IndexedFile, PackageIndex, PackagePath, PackageType};

/// How many files a message names.
const NAMED: usize = 5;

/// Why a tree cannot be made into a source package.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The tree is at fault.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file cannot be packed.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A patch is at fault.
    #[error(transparent)]
    Patch(#[from] patches::Error),
    /// Files of an unpacked source are changed, and no patch says so.
    #[error("{} in no patch: {}", changes(*number), files.join(", "))]
    Unrecorded {
        /// How many there are.
        number: usize,
        /// Some of them, with what became of each.
        files: Vec<String>,
    },
    /// What an unpacked source remembers is not what it was.
    #[error("{} is not what was unpacked", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

fn changes(number: usize) -> String {
    match number {
        1 => "1 change is".to_owned(),
        several => format!("{} are", count(several, "change", "changes")),
    }
}

impl From<fs::Error> for SourceError {
    fn from(error: fs::Error) -> Self {
        Self::Archive(error.into())
    }
}

impl Explain for SourceError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Tree(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Patch(error) => error.kind(),
            Self::Unrecorded { .. } => "unrecorded-changes",
            Self::Damaged { .. } => "damaged-source",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.hint(),
            Self::Archive(error) => error.hint(),
            Self::Patch(error) => error.hint(),
            Self::Unrecorded { .. } => Some(
                "record them with: mpkg patch new NAME --description \"what they do and why\""
                    .to_owned(),
            ),
            Self::Damaged { .. } => Some(
                "unpack the source again with `mpkg source`, and take the changed files and patches/ over"
                    .to_owned(),
            ),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.rendered(),
            Self::Archive(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Tree(error) => error.details(),
            Self::Archive(error) => error.details(),
            _ => None,
        }
    }
}

impl SourceError {
    /// Says that `changes` are in no patch.
    #[must_use]
    pub fn unrecorded(changes: &[Unrecorded]) -> Self {
        let named = changes.iter().take(NAMED);
        let mut files: Vec<String> =
            named.map(|it| format!("{} ({})", it.path, it.in_a_word())).collect();
        if changes.len() > NAMED {
            files.push(format!("and {} more", changes.len() - NAMED));
        }
        Self::Unrecorded { number: changes.len(), files }
    }
}

/// The source package of a tree: its index, and where its files are.
#[derive(Debug)]
pub struct Source {
    /// The index.
    pub index: PackageIndex,
    /// The patches, in the order in which they are applied.
    pub patches: Vec<Patch>,
    root: PathBuf,
    form: Form,
}

/// Which files lie in the tree.
#[derive(Debug)]
enum Form {
    /// The files of the source package.
    Packed,
    /// Those that the patches, applied, make.
    Applied(Pristine),
}

impl Source {
    /// The source package of `tree`; every file is hashed. The patches are read and held against
    /// the files.
    ///
    /// # Errors
    /// When the tree holds what no package can hold, a file cannot be read, a patch does not
    /// apply, or there are changes that no patch has.
    pub fn of(tree: &SourceTree) -> Result<Self, SourceError> {
        let TreeFiles { paths, .. } = tree.scan()?;
        if let Some(pristine) = Pristine::of(tree)? {
            let root = tree.root().to_owned();
            let (_, patches) = patches_of(tree)?;
            pristine.verify()?;
            let overlay = Overlay::of(pristine.base(), &patches)?;
            let unrecorded = pristine.unrecorded(tree, &overlay)?;
            if !unrecorded.is_empty() {
                return Err(SourceError::unrecorded(&unrecorded));
            }
            tree.check(&paths)?;
            let mut packaging = paths;
            packaging.retain(|path| is_packaging(tree.manifest(), path));
            let mut files = archive::collect(tree.root(), &packaging)?;
            files.extend(pristine.base().files.iter().cloned());
            files.sort_by(|one, other| one.path.cmp(&other.path));
            let index = PackageIndex { files, ..index_without_files(tree) };
            return Ok(Self { index, patches, root, form: Form::Applied(pristine) });
        }
        let files = archive::collect(tree.root(), &paths)?;
        Self::packed(tree, PackageIndex { files, ..index_without_files(tree) })
    }

    /// The source package with this index, whose files lie in `tree` as they are packed.
    ///
    /// # Errors
    /// When a patch cannot be read or does not apply.
    pub fn packed(tree: &SourceTree, index: PackageIndex) -> Result<Self, SourceError> {
        let (_, patches) = patches_of(tree)?;
        let source = Self { index, patches, root: tree.root().to_owned(), form: Form::Packed };
        if has_series(tree.root()) {
            let patched = source.overlay()?.index(source.base());
            let paths: Vec<PackagePath> = patched.into_iter().map(|file| file.path).collect();
            tree.check(&paths)?;
        }
        Ok(source)
    }

    fn base(&self) -> Base<'_> {
        Base { root: &self.root, files: &self.index.files }
    }

    fn overlay(&self) -> patches::Result<Overlay> {
        Overlay::of(self.base(), &self.patches)
    }

    /// The tree that a build runs in, with the patches applied: the tree itself where they are, or
    /// where there are none; else a copy in `folder`.
    ///
    /// # Errors
    /// When a patch does not apply, or nothing can be written.
    pub fn built(
        &self,
        tree: &SourceTree,
        folder: &Path,
    ) -> Result<(SourceTree, Vec<IndexedFile>), SourceError> {
        match &self.form {
            Form::Applied(pristine) => {
                let overlay = Overlay::of(pristine.base(), &self.patches)?;
                let mut files = overlay.index(pristine.base());
                let packaging = self.index.files.iter();
                files.extend(
                    packaging.filter(|it| is_packaging(tree.manifest(), &it.path)).cloned(),
                );
                files.sort_by(|one, other| one.path.cmp(&other.path));
                Ok((tree.clone(), files))
            }
            Form::Packed if self.patches.is_empty() => Ok((tree.clone(), self.index.files.clone())),
            Form::Packed => {
                let overlay = self.overlay()?;
                let files = overlay.index(self.base());
                fill_view(&self.root, &self.index.files, folder)?;
                overlay.write(folder)?;
                Ok((SourceTree::open(folder)?, files))
            }
        }
    }

    /// The contents of the package's files, for [`archive::write_package`].
    pub fn contents(
        &self,
    ) -> impl Fn(&IndexedFile) -> fs::Result<Box<dyn Read + Send>> + Sync + use<> {
        let own = archive::from_folder(&self.root);
        let pristine = match &self.form {
            Form::Packed => None,
            Form::Applied(pristine) => {
                let base = pristine.base();
                let paths: Vec<PackagePath> =
                    base.files.iter().map(|file| file.path.clone()).collect();
                Some((paths, archive::from_folder(base.root)))
            }
        };
        move |file| match &pristine {
            Some((paths, before)) if paths.binary_search(&file.path).is_ok() => before(file),
            _ => own(file),
        }
    }
}

/// The index of the tree's source package; every file is hashed.
///
/// # Errors
/// Those of [`Source::of`].
pub fn source_index(tree: &SourceTree) -> Result<PackageIndex, SourceError> {
    Source::of(tree).map(|source| source.index)
}

/// The index of a source package of `tree`, without its files.
pub(crate) fn index_without_files(tree: &SourceTree) -> PackageIndex {
    let manifest = tree.manifest();
    let package = &manifest.package;
    PackageIndex {
        format: INDEX_FORMAT,
        package_type: PackageType::Source,
        kind: package.kind,
        name: package.name.clone(),
        version: package.version.clone(),
        variant: None,
        default_variant: false,
        summary: package.summary.clone(),
        license: package.license.clone(),
        tasks: package.tasks.clone(),
        dependencies: manifest.dependencies.clone(),
        build_dependencies: manifest.build_dependencies.clone(),
        provides: package.provides.clone(),
        conflicts: package.conflicts.clone(),
        source: None,
        pickle_reason: package.pickle_reason.clone(),
        files: Vec::new(),
    }
}
