//! The folder of one run: settings, report, mount point, `HOME` and `TMPDIR`.

use std::path::{Path, PathBuf};

use super::error::Result;
use super::settings::{Order, Report};
use crate::fs;

/// The longest report that is read.
const LONGEST_REPORT: u64 = 1 << 20;

/// The folder; dropping it removes it.
#[derive(Debug)]
pub(super) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// Makes the folder, which must not be there yet.
    pub(super) fn make(root: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let root = std::path::absolute(root).map_err(fs::Error::at("find", root))?;
        if let Some(parent) = root.parent() {
            fs::create_folder(parent)?;
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        builder.create(&root).map_err(fs::Error::at("create the folder", &root))?;
        let scratch = Self { root };
        for folder in [scratch.home(), scratch.temporary(), mount_point(&scratch.root)] {
            builder.create(&folder).map_err(fs::Error::at("create the folder", &folder))?;
        }
        Ok(scratch)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.root.join("settings.json")
    }

    pub(super) fn write_settings(&self, order: &Order) -> Result<()> {
        let path = self.settings();
        let text = serde_json::to_vec(order)
            .map_err(|error| fs::Error::at("write", &path)(error.into()))?;
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &text))
            .map_err(fs::Error::at("write", &path))?;
        Ok(())
    }

    /// What was reported, if it is whole.
    pub(super) fn report(&self) -> Result<Option<Report>> {
        let path = report(&self.root);
        match path.exists() {
            true => Ok(serde_json::from_str(&fs::read_to_string(&path, LONGEST_REPORT)?).ok()),
            false => Ok(None),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is removed with the build's work folder.
        let _ = fs::remove_folder(&self.root);
    }
}

/// Where the sandbox's root is put together.
pub(super) fn mount_point(scratch: &Path) -> PathBuf {
    scratch.join("root")
}

/// Where the report is written.
pub(super) fn report(scratch: &Path) -> PathBuf {
    scratch.join("report.json")
}
