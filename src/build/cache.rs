//! Steps that are done, kept by the digest of all that went into them: `cache/steps/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metrics::Curves;
use super::outputs;
use crate::fs::{Error, Result, create_folder, remove_folder, sync_folder, write_atomically};
use crate::package::{Digest, IndexedFile, PartName};

/// The version of what goes into a step's key and of how its result is kept.
pub const STEP_FORMAT: u32 = 1;
const ENTRY_NAME: &str = "step.json";
const OUTPUT_NAME: &str = "out";
const LONGEST_ENTRY: u64 = 512 << 20;

/// A step that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepResult {
    /// [`STEP_FORMAT`].
    pub format: u32,
    /// The step's name.
    pub step: PartName,
    /// The digest of all that went into it.
    pub key: Digest,
    /// When it began.
    pub started: jiff::Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that it held, in bytes; 0 where the system does not say.
    pub peak_memory: u64,
    /// The layers of the sandbox that held.
    pub layers: Vec<String>,
    /// What weakens it.
    pub tainted: Vec<String>,
    /// Its metrics.
    pub metrics: Curves,
    /// What it left, in byte order of the paths.
    pub outputs: Vec<IndexedFile>,
}

impl StepResult {
    /// One digest over all outputs.
    #[must_use]
    pub fn output_digest(&self) -> Digest {
        outputs::digest_of(&self.outputs)
    }
}

/// The results of steps on this machine.
#[derive(Debug)]
pub struct StepCache {
    folder: PathBuf,
}

impl StepCache {
    /// The cache in `folder`, which need not exist.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn entry(&self, key: &Digest) -> PathBuf {
        let name = key.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Where the outputs of the step with `key` lie.
    #[must_use]
    pub fn outputs(&self, key: &Digest) -> PathBuf {
        self.entry(key).join(OUTPUT_NAME)
    }

    /// The result of the step with `key`, hashed again. An entry that is damaged is removed and
    /// counts as none.
    ///
    /// # Errors
    /// When a damaged entry cannot be removed.
    pub fn find(&self, key: &Digest) -> Result<Option<StepResult>> {
        let entry = self.entry(key);
        if !entry.is_dir() {
            return Ok(None);
        }
        if let Some(result) = self.read(key) {
            crate::fs::touch(&entry);
            return Ok(Some(result));
        }
        tracing::info!("the cached step {key} is damaged and is made again");
        remove_folder(&entry).map(|()| None)
    }

    fn read(&self, key: &Digest) -> Option<StepResult> {
        let path = self.entry(key).join(ENTRY_NAME);
        let text = crate::fs::read_to_string(&path, LONGEST_ENTRY).ok()?;
        let result: StepResult = serde_json::from_str(&text).ok()?;
        if result.format != STEP_FORMAT || result.key != *key {
            return None;
        }
        let found = outputs::list(&self.outputs(key)).ok()?;
        (found == result.outputs).then_some(result)
    }

    /// Keeps `result` with the outputs in `folder`, which is moved away. What was kept under the
    /// same key before is replaced.
    ///
    /// # Errors
    /// When something cannot be written; then the outputs may stay where they are.
    pub fn keep(&self, result: &StepResult, folder: &Path) -> Result<()> {
        let goal = self.entry(&result.key);
        let branch = goal.parent().unwrap_or(&self.folder).to_owned();
        create_folder(&branch)?;
        let stage = tempfile::Builder::new()
            .prefix(".staging-")
            .tempdir_in(&branch)
            .map_err(Error::at("create a folder in", &branch))?;
        let inside = stage.path().join("entry");
        create_folder(&inside)?;
        let text = serde_json::to_vec(result)
            .map_err(|error| Error::at("write", &goal)(std::io::Error::other(error.to_string())))?;
        outputs::make_read_only(folder)?;
        outputs::make_movable(folder)?;
        rename(folder, &inside.join(OUTPUT_NAME))?;
        write_atomically(&inside.join(ENTRY_NAME), &text)?;
        sync_files(&inside.join(OUTPUT_NAME), &result.outputs)?;
        remove_folder(&goal)?;
        rename(&inside, &goal)?;
        sync_folder(&branch)
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::at("rename a folder to", to))
}

fn sync_files(folder: &Path, files: &[IndexedFile]) -> Result<()> {
    files.iter().try_for_each(|file| {
        let path = file.path.below(folder);
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(Error::at("sync", &path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(key: Digest, folder: &Path) -> StepResult {
        StepResult {
            format: STEP_FORMAT,
            step: "train".parse().unwrap(),
            key,
            started: jiff::Timestamp::UNIX_EPOCH,
            seconds: 1.5,
            cpu_seconds: 1.0,
            peak_memory: 0,
            layers: vec!["seccomp".to_owned()],
            tainted: Vec::new(),
            metrics: Curves::default(),
            outputs: outputs::list(folder).unwrap(),
        }
    }

    #[test]
    fn keeps_finds_and_drops_what_is_damaged() {
        let world = tempfile::tempdir().unwrap();
        let cache = StepCache::at(world.path().join("steps"));
        let key = Digest::of(b"key");
        assert_eq!(cache.find(&key).unwrap(), None);
        let out = world.path().join("out");
        write_atomically(&out.join("a/w.bin"), b"weights").unwrap();
        let result = result(key, &out);
        cache.keep(&result, &out).unwrap();
        assert!(!out.exists());
        assert_eq!(cache.find(&key).unwrap(), Some(result));
        let kept = cache.outputs(&key).join("a/w.bin");
        outputs::make_movable(kept.parent().unwrap()).unwrap();
        fs::remove_file(&kept).unwrap();
        write_atomically(&kept, b"weighty").unwrap();
        assert_eq!(cache.find(&key).unwrap(), None);
        assert!(!cache.outputs(&key).exists());
    }
}
