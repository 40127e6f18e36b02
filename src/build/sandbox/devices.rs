//! The device files of accelerators.

use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// What is looked for, in the words of the error message.
const LOOKED_FOR: &str = "/dev/nvidia0 and on; /dev/kfd with /dev/dri/renderD128 and on";

/// The device files for `wanted` accelerators: those of the driver as a whole and of the first
/// `wanted` devices.
pub(super) fn for_gpus(wanted: u32) -> Result<Vec<PathBuf>> {
    among(wanted, Path::new("/dev"))
}

fn among(wanted: u32, folder: &Path) -> Result<Vec<PathBuf>> {
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let count = wanted as usize;
    let nvidia = numbered(folder, "nvidia", 0);
    let render = numbered(&folder.join("dri"), "renderD", 128);
    let kfd = folder.join("kfd");
    if nvidia.len() >= count {
        let shared = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"];
        let shared = shared.iter().map(|name| folder.join(name)).filter(|path| path.exists());
        return Ok(nvidia.into_iter().take(count).chain(shared).collect());
    }
    if kfd.exists() && render.len() >= count {
        return Ok(render.into_iter().take(count).chain([kfd]).collect());
    }
    let found = nvidia.len().max(if kfd.exists() { render.len() } else { 0 });
    Err(Error::NoGpus { wanted, found, looked_for: LOOKED_FOR })
}

/// `PREFIX` with each number from `first` on, as far as there is a file of that name within a
/// span of 64.
fn numbered(folder: &Path, prefix: &str, first: u32) -> Vec<PathBuf> {
    (first..first + 64)
        .map(|number| folder.join(format!("{prefix}{number}")))
        .filter(|path| path.exists())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_devices_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["nvidia0", "nvidia1", "nvidiactl"] {
            std::fs::File::create(folder.path().join(name)).unwrap();
        }
        let names = |devices: Vec<PathBuf>| -> Vec<String> {
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            devices.iter().map(name).collect()
        };
        assert_eq!(names(among(1, folder.path()).unwrap()), ["nvidia0", "nvidiactl"]);
        let error = among(3, folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("3 accelerators are needed, and this machine has 2"), "{error}");
        assert!(among(0, folder.path()).unwrap().is_empty());
    }
}
