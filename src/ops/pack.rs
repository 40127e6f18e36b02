//! Packs a source tree into a source package.

use std::path::{Path, PathBuf};

use crate::archive::{self, Packed, WriteOptions};
use crate::build::pristine::{PRISTINE_FOLDER, has_series};
use crate::build::source::{Source, SourceError, index_without_files};
use crate::build::tree::{SourceTree, TreeFiles};
use crate::package::PackageIndex;
use crate::progress::Progress;

pub use crate::build::source::source_index;

/// How a tree is packed.
#[derive(Debug, Clone, Default)]
pub struct PackOptions {
    /// The folder that the package is written into; without it, `dist` in the tree.
    pub out: Option<PathBuf>,
    /// How it is written.
    pub write: WriteOptions,
}

/// A source package that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePackage {
    /// The file.
    pub path: PathBuf,
    /// Its index.
    pub index: PackageIndex,
    /// Its digests and sizes.
    pub packed: Packed,
}

/// Packs the tree's files into `NAME-VERSION.src.mpkg`. The same files give the same package,
/// wherever and whenever this runs.
///
/// # Errors
/// When the tree holds what no package can hold, or the system refuses; then no package stands
/// there that did not before.
pub fn pack(
    tree: &SourceTree,
    options: &PackOptions,
    progress: &dyn Progress,
) -> Result<SourcePackage, SourceError> {
    let TreeFiles { paths, remarks } = tree.scan()?;
    for remark in remarks {
        progress.warn(&crate::explain::printable(&remark.to_string()));
    }
    let index = index_without_files(tree);
    let folder: &Path = &options.out.clone().unwrap_or_else(|| tree.results());
    let path = folder.join(index.release().file_name());
    if has_series(tree.root()) || tree.root().join(PRISTINE_FOLDER).is_dir() {
        let source = Source::of(tree)?;
        let contents = source.contents();
        let packed =
            archive::write_package(&source.index, &contents, &path, &options.write, progress)?;
        return Ok(SourcePackage { path, index: source.index, packed });
    }
    let files = (tree.root(), paths.as_slice());
    let (index, packed) = archive::pack_folder(index, files, &path, &options.write, progress)?;
    Ok(SourcePackage { path, index, packed })
}
