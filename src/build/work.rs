//! The folder in which one build works: `cache/builds/ID/`, one for each source tree.

use std::path::{Path, PathBuf};

use crate::fs::{Lock, Result, create_folder, read_to_string, remove_folder, write_atomically};
use crate::package::{Digest, PartName, VariantName};
use crate::store::CacheUse;

/// A build's folder, locked for as long as this lives.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    _lock: Lock,
    _cache: CacheUse,
}

impl Work {
    /// Opens the folder `id` in `builds`; where another build of the same tree works there,
    /// `waiting` is called and its end waited for, as where the cache is being cleared. What an earlier build left stays until
    /// [`Work::clear`].
    ///
    /// # Errors
    /// When the folder or its lock cannot be made.
    pub fn open(builds: &Path, id: &str, waiting: impl Fn()) -> Result<Self> {
        let cache = CacheUse::begin(builds.parent().unwrap_or(builds), &waiting)?;
        let lock = Lock::acquire(&builds.join(format!("{id}.lock")), waiting)?;
        let folder = builds.join(id);
        create_folder(&folder)?;
        crate::fs::touch(&folder);
        Ok(Self { folder, _lock: lock, _cache: cache })
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the log lies.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("build.log")
    }

    /// Where `step` sees the tree.
    #[must_use]
    pub fn view(&self, step: &PartName) -> PathBuf {
        self.folder.join("tree").join(step.as_str())
    }

    /// Where `step` writes.
    #[must_use]
    pub fn output(&self, step: &PartName) -> PathBuf {
        self.folder.join("out").join(step.as_str())
    }

    /// Where the checkpoints of `step` lie once it is done.
    #[must_use]
    pub fn checkpoints(&self, step: &PartName) -> PathBuf {
        self.folder.join("checkpoints").join(step.as_str())
    }

    /// Where a source package is unpacked.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Where a tree stands with its patches applied.
    #[must_use]
    pub fn patched(&self) -> PathBuf {
        self.folder.join("patched")
    }

    /// Where data is unpacked.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where the packed `variant` is unpacked for its tests.
    #[must_use]
    pub fn package(&self, variant: &VariantName) -> PathBuf {
        self.folder.join("packages").join(variant.as_str())
    }

    /// Where tests see the tree.
    #[must_use]
    pub fn test_tree(&self) -> PathBuf {
        self.folder.join("test-tree")
    }

    /// Where a test may write.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// Where the temporary files of a step or a test lie.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.folder.join("temporary")
    }

    fn marker(&self, step: &PartName) -> PathBuf {
        self.folder.join("running").join(step.as_str())
    }

    /// Notes that `step` with `key` is being run.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn mark(&self, step: &PartName, key: Digest) -> Result<()> {
        write_atomically(&self.marker(step), key.to_string().as_bytes())
    }

    /// Notes that `step` is done.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn unmark(&self, step: &PartName) -> Result<()> {
        let marker = self.marker(step);
        std::fs::remove_file(&marker).map_err(crate::fs::Error::at("remove", &marker))
    }

    /// The key of `step` when an earlier build broke off in it and its output is still there.
    #[must_use]
    pub fn left_by(&self, step: &PartName) -> Option<Digest> {
        let key = read_to_string(&self.marker(step), 64).ok()?.parse().ok()?;
        self.output(step).is_dir().then_some(key)
    }

    /// Removes what an earlier build left, but the output of a step that it broke off in.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear_all_but_outputs(&self) -> Result<()> {
        let others = ["tree", "source", "data", "packages", "test-tree", "scratch", "temporary"];
        for name in others.into_iter().chain(["checkpoints", "patched"]) {
            remove_folder(&self.folder.join(name))?;
        }
        Ok(())
    }

    /// Removes everything but the log.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<()> {
        self.clear_all_but_outputs()?;
        remove_folder(&self.folder.join("out"))?;
        remove_folder(&self.folder.join("running"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_step_that_it_broke_off_in() {
        let builds = tempfile::tempdir().unwrap();
        let step: PartName = "train".parse().unwrap();
        let key = Digest::of(b"key");
        let work = Work::open(builds.path(), "x-1.0.0", || panic!("nobody else is here")).unwrap();
        assert_eq!(work.left_by(&step), None);
        create_folder(&work.output(&step)).unwrap();
        work.mark(&step, key).unwrap();
        work.clear_all_but_outputs().unwrap();
        assert_eq!(work.left_by(&step), Some(key));
        work.unmark(&step).unwrap();
        assert_eq!(work.left_by(&step), None);
        work.clear().unwrap();
        assert!(!work.output(&step).exists());
    }
}
