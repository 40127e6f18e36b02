//! Finds a Python that will do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::programs;
use super::requirement::PythonRequirement;

/// What an interpreter is asked. It looks through a virtual environment at the installation
/// below, and says which folders that needs.
const QUESTION: &str = "
import json, os, sys, sysconfig
executable = os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable)
shared = sysconfig.get_config_var('Py_ENABLE_SHARED')
folders = [sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path('stdlib'),
           sysconfig.get_path('platstdlib'), os.path.dirname(executable)]
folders += [sysconfig.get_config_var('LIBDIR')] if shared else []
print(json.dumps({
    'executable': executable,
    'release': list(sys.version_info[:3]),
    'version': '.'.join(map(str, sys.version_info[:3])),
    'implementation': sys.implementation.name,
    'platform': sysconfig.get_platform(),
    'folders': [folder for folder in folders if folder and os.path.isdir(folder)],
}))
";

/// Folders of the system, which every build sees.
const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"];

/// An interpreter on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The program itself, not a link or a wrapper.
    pub executable: PathBuf,
    /// Its version as three numbers.
    pub release: [u64; 3],
    /// Its version as text, as in `3.11.7`.
    pub version: String,
    /// `cpython` or another.
    pub implementation: String,
    /// The machine and system that it is for, as in `linux-x86_64`.
    pub platform: String,
    /// What a build must see beside the system's folders to run it.
    pub folders: Vec<PathBuf>,
}

/// The first interpreter in the folders of the search path for which all of `wanted` holds:
/// `python3` and `python` as they come, then those with a number in their name, newest first.
pub(super) fn find(wanted: &[PythonRequirement], search_path: &[PathBuf]) -> Result<Python> {
    let mut found = Vec::new();
    let mut asked = BTreeSet::new();
    for candidate in candidates(search_path) {
        let real = std::fs::canonicalize(&candidate).unwrap_or_else(|_| candidate.clone());
        if !asked.insert(real) {
            continue;
        }
        let Some(python) = ask(&candidate) else { continue };
        if wanted.iter().all(|requirement| requirement.holds(&python.release)) {
            return Ok(python);
        }
        found.push(format!("{} is {}", candidate.display(), python.version));
    }
    let wanted: Vec<&str> = wanted.iter().map(PythonRequirement::as_str).collect();
    Err(Error::NoPython {
        wanted: wanted.join(", "),
        found: match found.is_empty() {
            true => "there is none in any folder of the search path".to_owned(),
            false => found.join(", "),
        },
    })
}

fn candidates(search_path: &[PathBuf]) -> Vec<PathBuf> {
    let folders = || search_path.iter().filter(|folder| folder.is_absolute());
    let mut list: Vec<PathBuf> = folders()
        .flat_map(|folder| [folder.join("python3"), folder.join("python")])
        .filter(|path| programs::is_program(path))
        .collect();
    for minor in (8..40).rev() {
        let name = format!("python3.{minor}");
        list.extend(folders().map(|f| f.join(&name)).filter(|path| programs::is_program(path)));
    }
    list
}

fn ask(program: &Path) -> Option<Python> {
    let answer = programs::ask(program, &["-I", "-c", QUESTION]).ok()?;
    let line = answer.lines().find(|line| line.starts_with('{'))?;
    let mut python: Python = serde_json::from_str(line).ok()?;
    python.folders = outermost(&python.folders);
    Some(python)
}

/// The folders, as named and as they really are, without those that lie in the system's or in
/// one another.
fn outermost(folders: &[PathBuf]) -> Vec<PathBuf> {
    let real = folders.iter().filter_map(|folder| std::fs::canonicalize(folder).ok());
    let all: BTreeSet<PathBuf> = folders.iter().cloned().chain(real).collect();
    let mut kept: Vec<PathBuf> = Vec::new();
    for folder in all {
        let seen = SYSTEM.iter().any(|system| folder.starts_with(system))
            || kept.iter().any(|other| folder.starts_with(other));
        if !seen {
            kept.push(folder);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_inside_one_another_are_named_once() {
        let folders =
            ["/x/python/lib/python3.11", "/x/python", "/usr/lib/python3", "/x/python2/bin"];
        let folders = folders.map(PathBuf::from);
        assert_eq!(outermost(&folders), ["/x/python", "/x/python2/bin"].map(PathBuf::from));
    }
}
