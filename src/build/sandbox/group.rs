//! A control group that caps the number of processes, where root may make one.
//!
//! The system spares root from the usual limit (`RLIMIT_NPROC`), so that for root this is what
//! keeps a fork bomb from outrunning the watch.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group of one run; dropping it removes it.
#[derive(Debug)]
pub(super) struct Group {
    folder: Option<PathBuf>,
}

impl Group {
    /// Makes a group for `processes` processes and threads, and a few more, so that the watch
    /// finds them to be too many. Without the rights or the means there is none.
    pub(super) fn make(processes: u32) -> Self {
        let none = Self { folder: None };
        if !rustix::process::geteuid().is_root() {
            return none;
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let Some(parent) = mounts.lines().find_map(counts_processes) else { return none };
        remove_left_behind(&parent);
        let folder = (0..64)
            .map(|number| parent.join(format!("mpkg-{}-{number}", std::process::id())))
            .find(|folder| fs::create_dir(folder).is_ok());
        let Some(folder) = folder else { return none };
        let group = Self { folder: Some(folder.clone()) };
        let most = u64::from(processes) + 32;
        let limit = folder.join("pids.max").to_string_lossy().into_owned();
        match super::namespaces::write(&limit, &most.to_string()) {
            Ok(()) => group,
            Err(_) => none,
        }
    }

    /// The file through which a process joins.
    pub(super) fn entry(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("cgroup.procs"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // An empty group that stays does no harm.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Removes the groups of runs whose mpkg was killed.
fn remove_left_behind(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let owner = name.strip_prefix("mpkg-").and_then(|rest| rest.split('-').next());
        let is_gone = |id: u32| !Path::new(&format!("/proc/{id}")).exists();
        if owner.and_then(|id| id.parse().ok()).is_some_and(is_gone) {
            // One that is still in use is not removed.
            let _ = fs::remove_dir(&folder);
        }
    }
}

/// The mount point in a line of `mountinfo`, where it is of control groups that count processes.
fn counts_processes(line: &str) -> Option<PathBuf> {
    let (place, kind) = line.split_once(" - ")?;
    let mount = Path::new(place.split(' ').nth(4)?).to_owned();
    let mut kind = kind.split(' ');
    let counts = match kind.next()? {
        "cgroup" => kind.nth(1)?.split(',').any(|option| option == "pids"),
        "cgroup2" => fs::read_to_string(mount.join("cgroup.subtree_control"))
            .is_ok_and(|names| names.split_whitespace().any(|name| name == "pids")),
        _ => false,
    };
    counts.then_some(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_group_that_counts() {
        let line = "41 30 0:35 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";
        assert_eq!(counts_processes(line).as_deref(), Some(Path::new("/sys/fs/cgroup/pids")));
        let other = "42 30 0:36 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        assert_eq!(counts_processes(other), None);
    }
}
