//! From the output of a step to a binary package.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::error::Error;
use super::probes::Predictions;
use super::record::OutputRecord;
use crate::archive::{self, WriteOptions};
use crate::fs::{create_folder, write_atomically};
use crate::package::manifest::{MANIFEST_NAME, Manifest, Variant};
use crate::package::{
    Digest, FileMode, INDEX_FORMAT, INPUTS_PATH, IndexedFile, PackageIndex, PackagePath,
    PackageType,
};
use crate::progress::Progress;

/// How many names a message about a pattern lists.
const NAMES_SHOWN: usize = 20;

/// A folder and the files in it that may be packed.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Its files, in byte order of the paths.
    pub files: &'a [IndexedFile],
}

/// What all binary packages of one build share.
pub struct Packing<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Its text, which every binary package holds.
    pub manifest_text: &'a [u8],
    /// The source package's digest.
    pub source: Digest,
    /// The bytes of `.mpkg/inputs.json`.
    pub inputs: &'a [u8],
    /// The source tree.
    pub tree: Shelf<'a>,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

impl Packing<'_> {
    /// Packs `variant` from `output` into the folder `goal`.
    ///
    /// # Errors
    /// When a pattern finds nothing, a file may not be packed, or the package cannot be written.
    pub fn pack(
        &self,
        variant: &Variant,
        output: Shelf<'_>,
        predictions: &[Predictions],
        goal: &Path,
    ) -> Result<OutputRecord, Error> {
        let chosen = self.choose(variant, output)?;
        let mut files: Vec<IndexedFile> = chosen.iter().map(|(file, _)| file.clone()).collect();
        let written = self.written(predictions);
        files.extend(written.iter().map(|(path, bytes)| own(path, bytes)));
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let index = self.index(variant, files);
        let places: BTreeMap<&PackagePath, &PathBuf> =
            chosen.iter().map(|(file, place)| (&file.path, place)).collect();
        let contents = |file: &IndexedFile| -> crate::fs::Result<Box<dyn Read + Send>> {
            if let Some(place) = places.get(&file.path) {
                let open = File::open(place).map_err(crate::fs::Error::at("open", place));
                return Ok(Box::new(open?));
            }
            let bytes = written.iter().find(|(path, _)| path == file.path.as_str());
            Ok(Box::new(std::io::Cursor::new(bytes.map_or_else(Vec::new, |it| it.1.to_vec()))))
        };
        let file = index.release().file_name();
        let options = WriteOptions { threads: self.threads, level: None };
        let packed =
            archive::write_package(&index, &contents, &goal.join(&file), &options, self.progress)?;
        Ok(OutputRecord {
            variant: variant.name.clone(),
            file,
            package_digest: packed.package_digest,
            sha256: packed.file_digest,
            size: packed.file_size,
            unpacked_size: packed.unpacked_size,
            files: index.files,
        })
    }

    /// Lays the files of `variant` out in an empty folder as they will be unpacked, without
    /// predictions: for those who make them.
    ///
    /// # Errors
    /// As [`Packing::pack`].
    pub fn lay_out(
        &self,
        variant: &Variant,
        output: Shelf<'_>,
        folder: &Path,
    ) -> Result<(), Error> {
        for (file, place) in self.choose(variant, output)? {
            let goal = file.path.below(folder);
            create_folder(goal.parent().unwrap_or(folder))?;
            reflink_copy::reflink_or_copy(&place, &goal)
                .map_err(crate::fs::Error::at("copy", &place))?;
        }
        for (path, bytes) in self.written(&[]) {
            write_atomically(&folder.join(path), bytes)?;
        }
        Ok(())
    }

    /// What mpkg itself puts into a package.
    fn written<'b>(&'b self, predictions: &'b [Predictions]) -> Vec<(String, &'b [u8])> {
        let mut written = vec![
            (MANIFEST_NAME.to_owned(), self.manifest_text),
            (INPUTS_PATH.to_owned(), self.inputs),
        ];
        written.extend(predictions.iter().map(|it| (it.path(), it.text.as_slice())));
        written
    }

    fn index(&self, variant: &Variant, files: Vec<IndexedFile>) -> PackageIndex {
        let package = &self.manifest.package;
        PackageIndex {
            format: INDEX_FORMAT,
            package_type: PackageType::Binary,
            kind: package.kind,
            name: package.name.clone(),
            version: package.version.clone(),
            variant: Some(variant.name.clone()),
            default_variant: variant.default,
            summary: package.summary.clone(),
            license: package.license.clone(),
            tasks: package.tasks.clone(),
            dependencies: self.manifest.dependencies.clone(),
            build_dependencies: Vec::new(),
            provides: package.provides.clone(),
            conflicts: package.conflicts.clone(),
            source: Some(self.source),
            pickle_reason: package.pickle_reason.clone(),
            files,
        }
    }

    /// The files that the patterns of `variant` find, with where each lies.
    fn choose(
        &self,
        variant: &Variant,
        output: Shelf<'_>,
    ) -> Result<Vec<(IndexedFile, PathBuf)>, Error> {
        let mut chosen: BTreeMap<PackagePath, (IndexedFile, PathBuf)> = BTreeMap::new();
        for pattern in &variant.files {
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .map_err(|error| Error::BadPattern {
                    variant: variant.name.clone(),
                    why: error.to_string(),
                })?
                .compile_matcher();
            let find = |shelf: Shelf<'_>| -> Vec<(IndexedFile, PathBuf)> {
                let found = shelf.files.iter().filter(|file| glob.is_match(file.path.as_str()));
                found.map(|file| (file.clone(), file.path.below(shelf.folder))).collect()
            };
            let mut found = find(output);
            if found.is_empty() {
                found = find(self.tree);
            }
            if found.is_empty() {
                return Err(Error::NothingFound {
                    variant: variant.name.clone(),
                    pattern: pattern.clone(),
                    step: variant.from.clone(),
                    found: names(output.files),
                });
            }
            for (file, place) in found {
                // The manifest is put in as it is, whether a pattern names it or not.
                if file.path.as_str() == MANIFEST_NAME && place.starts_with(self.tree.folder) {
                    continue;
                }
                if file.path.as_str() == MANIFEST_NAME || file.path.as_str().starts_with(".mpkg/") {
                    return Err(Error::Reserved {
                        variant: variant.name.clone(),
                        path: file.path.to_string(),
                    });
                }
                chosen.entry(file.path.clone()).or_insert((file, place));
            }
        }
        Ok(chosen.into_values().collect())
    }
}

fn own(path: &str, bytes: &[u8]) -> IndexedFile {
    IndexedFile {
        path: path.parse().expect("mpkg's own paths are sound"),
        size: bytes.len() as u64,
        mode: FileMode::Plain,
        sha256: Digest::of(bytes),
    }
}

fn names(files: &[IndexedFile]) -> Vec<String> {
    let mut names: Vec<String> =
        files.iter().take(NAMES_SHOWN).map(|file| file.path.to_string()).collect();
    if files.len() > NAMES_SHOWN {
        names.push(format!("and {} more", files.len() - NAMES_SHOWN));
    }
    names
}
