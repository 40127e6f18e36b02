//! What a source package holds: the tree's files, listed in an index.

use super::tree::{SourceTree, TreeError, TreeFiles};
use crate::archive;
use crate::explain::Explain;
use crate::package::{INDEX_FORMAT, PackageIndex, PackageType};

/// Why a tree cannot be made into a source package.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The tree is at fault.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file cannot be packed.
    #[error(transparent)]
    Archive(#[from] archive::Error),
}

impl Explain for SourceError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Tree(error) => error.kind(),
            Self::Archive(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.hint(),
            Self::Archive(error) => error.hint(),
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.rendered(),
            Self::Archive(error) => error.rendered(),
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Tree(error) => error.details(),
            Self::Archive(error) => error.details(),
        }
    }
}

/// The index of the tree's source package; every file is hashed.
///
/// # Errors
/// When the tree holds what no package can hold, or a file cannot be read.
pub fn source_index(tree: &SourceTree) -> Result<PackageIndex, SourceError> {
    let TreeFiles { paths, .. } = tree.scan()?;
    let files = archive::collect(tree.root(), &paths)?;
    Ok(PackageIndex { files, ..index_without_files(tree) })
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
