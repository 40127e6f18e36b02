//! Fetches wheels through the user's own pip, with its configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{Error, Result};
use super::interpreter::Python;
use super::lock::LockFile;
use super::{Network, Request, programs};
use crate::fs;
use crate::progress::{Progress, Unit};

/// How many of a program's last lines an error shows.
const LAST_LINES: usize = 12;

/// Has pip choose and fetch the wheels for this interpreter into the folder `into`; without the
/// network it chooses among those in the folder `cached`.
pub(super) fn download(
    request: &Request<'_>,
    python: &Python,
    lock: &LockFile,
    (network, cached): (Network, &Path),
    into: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let list = into.with_extension("txt");
    fs::write_atomically(&list, lock.as_requirements().as_bytes())?;
    let mut command = find_pip(request, python)?;
    command
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--dest"])
        .arg(into)
        .arg("--requirement")
        .arg(&list);
    if network == Network::Offline {
        command.arg("--no-index").arg("--find-links").arg(cached);
    }
    let task = progress.start("Fetching wheels", None, Unit::Items);
    let output =
        command.stdin(Stdio::null()).output().map_err(fs::Error::at("run", &python.executable))?;
    drop(task);
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Pip { file: lock.name.clone(), output: last_lines(&output.stderr) })
}

/// The last lines of what a program said.
pub(super) fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// The command that runs pip: the interpreter's own, else one in a virtual environment of ours,
/// else one that uv runs.
fn find_pip(request: &Request<'_>, python: &Python) -> Result<Command> {
    if has_pip(&python.executable) {
        return Ok(module(&python.executable));
    }
    let folder = request.cache.join("environments").join(format!("pip-{}", python.version));
    let own = folder.join("bin/python");
    if !has_pip(&own) {
        fs::remove_folder(&folder)?;
        let made = Command::new(&python.executable)
            .args(["-m", "venv"])
            .arg(&folder)
            .stdin(Stdio::null())
            .output();
        made.map_err(fs::Error::at("run", &python.executable))?;
    }
    if has_pip(&own) {
        return Ok(module(&own));
    }
    let Some(uv) = programs::search("uv", request.search_path) else {
        return Err(Error::NoPip { python: python.executable.clone() });
    };
    let mut command = Command::new(uv);
    command.args(["tool", "run", "--python"]).arg(&python.executable).arg("pip");
    Ok(command)
}

fn has_pip(python: &Path) -> bool {
    programs::ask(python, &["-m", "pip", "--version"])
        .is_ok_and(|answer| answer.starts_with("pip "))
}

fn module(python: &PathBuf) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip"]);
    command
}
