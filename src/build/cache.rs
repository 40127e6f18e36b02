//! Steps that are done, kept by the digest of all that went into them: `cache/steps/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoints::Checkpoint;
use super::metrics::Curves;
use super::outputs;
use crate::fs::{Error, Result, create_folder, remove_folder, sync_folder, write_atomically};
use crate::package::{Digest, IndexedFile, PackagePath, PartName};

/// The version of what goes into a step's key and of how its result is kept.
pub const STEP_FORMAT: u32 = 1;
const ENTRY_NAME: &str = "step.json";
const OUTPUT_NAME: &str = "out";
const CHECKPOINTS_NAME: &str = "checkpoints";
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
    /// The checkpoints that it wrote, which are no outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<Checkpoint>,
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

    /// Where its checkpoints lie.
    #[must_use]
    pub fn checkpoints(&self, key: &Digest) -> PathBuf {
        self.entry(key).join(CHECKPOINTS_NAME)
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
        if found != result.outputs {
            return None;
        }
        let is_whole = |checkpoint: &Checkpoint| {
            let place = checkpoint.path.below(&self.checkpoints(key));
            let found = outputs::hash_file(&place).ok();
            found == Some((checkpoint.sha256, checkpoint.size))
        };
        result.checkpoints.iter().all(is_whole).then_some(result)
    }

    /// Keeps `result` with the outputs in `folder` and the checkpoints in `checkpoints`, which are
    /// moved away. What was kept under the same key before is replaced.
    ///
    /// # Errors
    /// When something cannot be written; then the outputs may stay where they are.
    pub fn keep(&self, result: &StepResult, folder: &Path, checkpoints: &Path) -> Result<()> {
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
        move_in(folder, &inside.join(OUTPUT_NAME))?;
        let paths = result.outputs.iter().map(|file| &file.path);
        sync_files(&inside.join(OUTPUT_NAME), paths)?;
        if !result.checkpoints.is_empty() {
            move_in(checkpoints, &inside.join(CHECKPOINTS_NAME))?;
            let paths = result.checkpoints.iter().map(|file| &file.path);
            sync_files(&inside.join(CHECKPOINTS_NAME), paths)?;
        }
        write_atomically(&inside.join(ENTRY_NAME), &text)?;
        remove_folder(&goal)?;
        rename(&inside, &goal)?;
        sync_folder(&branch)
    }
}

/// Moves a folder, read-only from now on.
fn move_in(from: &Path, to: &Path) -> Result<()> {
    outputs::make_read_only(from)?;
    outputs::make_movable(from)?;
    rename(from, to)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::at("rename a folder to", to))
}

fn sync_files<'p>(folder: &Path, mut paths: impl Iterator<Item = &'p PackagePath>) -> Result<()> {
    paths.try_for_each(|path| {
        let path = path.below(folder);
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
            checkpoints: Vec::new(),
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
        let mut result = result(key, &out);
        let checkpoints = world.path().join("checkpoints");
        write_atomically(&checkpoints.join("c/1.safetensors"), b"half").unwrap();
        let (path, sha256) = ("c/1.safetensors".parse().unwrap(), Digest::of(b"half"));
        result.checkpoints.push(Checkpoint { path, size: 4, sha256, training_step: None });
        cache.keep(&result, &out, &checkpoints).unwrap();
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
