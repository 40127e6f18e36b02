//! Installs wheels that were checked with the user's own uv, without the network and without its
//! configuration.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{Error, Result};
use super::interpreter::Python;
use super::lock::LockFile;
use super::pip::last_lines;
use super::programs;
use super::wheel::Destination;
use crate::fs;

/// What uv would otherwise take from its surroundings, beyond what flags forbid.
const VARIABLES: [&str; 6] = [
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_NO_BINARY",
    "UV_OVERRIDE",
    "UV_PYTHON_DOWNLOADS",
    "VIRTUAL_ENV",
];

/// A note of uv's own, with the times of the wheel's file on this machine.
const CACHE_NOTE: &str = "uv_cache.json";

/// The lock of a virtual environment that uv installs into.
const LOCK: &str = ".lock";

/// uv, as it was found on this machine.
#[derive(Debug, Clone)]
pub(super) struct Uv {
    program: PathBuf,
    /// Its name and version, as in `uv 0.9.0`.
    pub(super) version: String,
}

/// Looks for a uv that says its version.
pub(super) fn find(search_path: &[PathBuf]) -> Option<Uv> {
    let program = programs::search("uv", search_path)?;
    let answer = programs::ask(&program, &["--version"]).ok()?;
    let words: Vec<&str> = answer.split_whitespace().take(2).collect();
    (words.first() == Some(&"uv") && words.len() == 2)
        .then(|| Uv { program, version: words.join(" ") })
}

impl Uv {
    /// Makes a virtual environment at `into` and installs `wheels`, the files that `lock` lists,
    /// each checked by uv against its hash there.
    pub(super) fn install(
        &self,
        python: &Python,
        lock: &LockFile,
        wheels: &[PathBuf],
        into: &Destination,
    ) -> Result<()> {
        let mut make = self.command(&["venv", "--relocatable"]);
        make.arg("--python").arg(&python.executable).arg(&into.root);
        run(&mut make, lock)?;
        let own = names(&into.root)?;

        let links = into.root.with_extension("wheels");
        fs::create_folder(&links)?;
        for wheel in wheels {
            let link = links.join(wheel.file_name().unwrap_or_default());
            symlink(wheel, &link).map_err(fs::Error::at("link", &link))?;
        }
        let list = into.root.with_extension("txt");
        fs::write_atomically(&list, lock.as_requirements().as_bytes())?;
        let mut sync = self.command(&["pip", "sync", "--require-hashes", "--no-index"]);
        sync.args(["--no-build", "--no-compile-bytecode", "--link-mode", "copy"]);
        sync.arg("--find-links").arg(&links).arg("--python").arg(into.scripts().join("python"));
        sync.arg(&list);
        // Where a lock file has nothing for this machine there is nothing to install.
        if !wheels.is_empty() {
            run(&mut sync, lock)?;
        }
        for name in own.into_iter().chain([PathBuf::from(LOCK)]) {
            let path = into.root.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(fs::Error::at("remove", &path))?,
            }
        }
        forget_machine(&into.packages())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).args(["--offline", "--no-config", "--no-cache", "--quiet"]);
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }
}

fn run(command: &mut Command, lock: &LockFile) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(fs::Error::at("run", &program))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Uv { file: lock.name.clone(), output: last_lines(&output.stderr) }),
    }
}

/// Everything below `root` that is no folder.
fn names(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut names = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.map_err(|error| fs::Error::at("read", root)(error.into()))?;
        if !entry.file_type().is_dir() {
            names.insert(entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned());
        }
    }
    Ok(names)
}

/// Drops what uv notes of this machine beside a package, and its line in the list of files.
fn forget_machine(packages: &Path) -> Result<()> {
    let entries = std::fs::read_dir(packages).map_err(fs::Error::at("read", packages))?;
    for entry in entries {
        let folder = entry.map_err(fs::Error::at("read", packages))?.path();
        let (note, record) = (folder.join(CACHE_NOTE), folder.join("RECORD"));
        if folder.extension().is_none_or(|end| end != "dist-info") || !note.exists() {
            continue;
        }
        std::fs::remove_file(&note).map_err(fs::Error::at("remove", &note))?;
        let list = fs::read_to_string(&record, super::LONGEST_LOCK)?;
        let is_note =
            |line: &str| line.split(',').next().is_some_and(|path| path.ends_with(CACHE_NOTE));
        let kept: String = list.split_inclusive('\n').filter(|line| !is_note(line)).collect();
        fs::write_atomically(&record, kept.as_bytes())?;
    }
    Ok(())
}
