//! `pypi:NAME==VERSION`: a wheel, through the user's own pip.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{Ran, run};
use super::{Error, Result};
use crate::fs;
use crate::package::Digest;

/// What has pip, for those who lack it.
const HINT: &str = "install pip: the package is called python3-pip on Debian and Fedora, \
                    python-pip on Arch, py3-pip on Alpine";
/// The ways to call pip, in the order in which they are tried.
const PROGRAMS: [(&str, &[&str]); 3] = [("python3", &["-m", "pip"]), ("pip3", &[]), ("pip", &[])];

/// A project and its exact version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wheel<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// The wheel's digest, where it is known: of several wheels pip then takes that one.
    pub(super) digest: Option<Digest>,
}

impl Wheel<'_> {
    fn address(&self) -> String {
        format!("pypi:{}=={}", self.name, self.version)
    }

    /// Downloads the wheel into the empty folder `into`. Nothing of it is run.
    pub(super) fn download(&self, into: &Path) -> Result<PathBuf> {
        if self.digest.is_some() {
            let ran = self.pip_download(into, self.digest)?;
            if ran.0.succeeded {
                return wheel_in(into, &self.address());
            }
            if !ran.0.stderr.contains("DO NOT MATCH THE HASHES") {
                return Err(self.failure(&ran));
            }
            // The wheel that pip finds is compared, and named, by our own check.
        }
        let ran = self.pip_download(into, None)?;
        if ran.0.succeeded { wheel_in(into, &self.address()) } else { Err(self.failure(&ran)) }
    }

    /// Asks pip whether the index has it, without taking it.
    pub(super) fn exists(&self) -> Result<()> {
        let requirement = self.requirement();
        let ran = self.pip(&["install", "--dry-run", "--ignore-installed", &requirement])?;
        if ran.0.succeeded { Ok(()) } else { Err(self.failure(&ran)) }
    }

    fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    fn pip_download(&self, into: &Path, digest: Option<Digest>) -> Result<(Ran, Command)> {
        let goal = into.to_string_lossy();
        let requirement = self.requirement();
        let Some(digest) = digest else {
            return self.pip(&["download", "--dest", &goal, &requirement]);
        };
        let list = into.join("requirements.txt");
        let line = format!("{requirement} --hash=sha256:{digest}\n");
        fs::write_atomically(&list, line.as_bytes())?;
        let list = list.to_string_lossy();
        self.pip(&["download", "--dest", &goal, "--require-hashes", "--requirement", &list])
    }

    /// Runs the first pip that there is. It takes wheels alone, of which nothing is run.
    fn pip(&self, arguments: &[&str]) -> Result<(Ran, Command)> {
        for (program, first) in PROGRAMS {
            let mut command = Command::new(program);
            command.args(first).args(arguments).args(["--quiet", "--no-input", "--no-deps"]);
            command.args(["--only-binary", ":all:", "--no-cache-dir"]);
            command.arg("--disable-pip-version-check");
            match run(&mut command, &self.address())? {
                Some(ran) if ran.stderr.contains("No module named pip") => {}
                Some(ran) => return Ok((ran, command)),
                None => {}
            }
        }
        Err(Error::NoTool { address: self.address(), program: "pip", hint: HINT })
    }

    fn failure(&self, (ran, command): &(Ran, Command)) -> Error {
        match versions(&ran.stderr) {
            Some(exist) => Error::NoVersion { address: self.address(), exist },
            None => ran.failed(command, &self.address()),
        }
    }
}

/// The versions that pip names when it has not the right one; the last dozen.
fn versions(said: &str) -> Option<Vec<String>> {
    const MOST: usize = 12;
    let (_, rest) = said.split_once("(from versions: ")?;
    let list = rest.split(')').next()?;
    let mut versions: Vec<String> = list
        .split(", ")
        .map(str::trim)
        .filter(|version| !version.is_empty() && *version != "none")
        .map(crate::explain::printable)
        .collect();
    versions.drain(..versions.len().saturating_sub(MOST));
    Some(versions)
}

fn wheel_in(folder: &Path, address: &str) -> Result<PathBuf> {
    let listed = std::fs::read_dir(folder).map_err(fs::Error::at("read", folder))?;
    let mut wheels: Vec<PathBuf> = listed
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .collect();
    match (wheels.pop(), wheels.is_empty()) {
        (Some(wheel), true) => Ok(wheel),
        _ => Err(Error::ToolFailed {
            address: address.to_owned(),
            command: "pip download".to_owned(),
            said: vec!["it did not leave exactly one wheel".to_owned()],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_names_the_versions_that_exist() {
        let said = "ERROR: Could not find a version that satisfies the requirement x==9 \
                    (from versions: 1.0, 1.1)\nERROR: No matching distribution found for x==9\n";
        assert_eq!(versions(said), Some(vec!["1.0".to_owned(), "1.1".to_owned()]));
        assert_eq!(versions("(from versions: none)"), Some(vec![]));
        assert_eq!(versions("ERROR: something else"), None);
    }
}
