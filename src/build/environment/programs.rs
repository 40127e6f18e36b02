//! Programs that must be on the machine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use crate::package::PackageVersion;
use crate::package::manifest::SystemProgram;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: u64 = 64 << 10;

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFound {
    /// Its name.
    pub program: String,
    /// Where it is.
    pub path: PathBuf,
    /// The version that it says, as it says it.
    pub version: Option<String>,
    /// The Debian package that it comes from, with its version, as in `gcc-12 12.2.0-14`.
    pub package: Option<String>,
    /// What a build must see beside the system's folders to run it.
    pub folder: Option<PathBuf>,
}

/// Finds each program and checks its version.
pub(super) fn find(wanted: &[SystemProgram], search_path: &[PathBuf]) -> Result<Vec<SystemFound>> {
    wanted.iter().map(|program| find_one(program, search_path)).collect()
}

fn find_one(wanted: &SystemProgram, search_path: &[PathBuf]) -> Result<SystemFound> {
    let program = wanted.program.clone();
    let Some(path) = search(&program, search_path) else {
        return Err(Error::NoProgram { program });
    };
    let folder = folder_of(&path)?;
    let answer = ask(&path, &["--version"]).unwrap_or_default();
    let version = first_version(&answer);
    if let Some(requirement) = &wanted.version {
        let fits = version
            .as_deref()
            .and_then(|version| whole_version(version).parse::<PackageVersion>().ok())
            .is_some_and(|version| requirement.matches(&version));
        if !fits {
            let found = match &version {
                Some(version) => format!("is {version}"),
                None => "does not say its version when run with --version".to_owned(),
            };
            let wanted = requirement.to_string();
            return Err(Error::ProgramVersion { program, wanted, path, found });
        }
    }
    let package = debian_package(&path, search_path);
    Ok(SystemFound { program, path, version, package, folder })
}

/// The Debian package that the program at `path` comes from, where the system has a list of them:
/// a rebuilt package has the same version as the one before, and another revision.
fn debian_package(path: &Path, search_path: &[PathBuf]) -> Option<String> {
    let query = search("dpkg-query", search_path)?;
    let real = std::fs::canonicalize(path).ok()?;
    let real = real.to_str()?;
    // Where /bin is a link to /usr/bin, the list may have the path by the shorter name.
    let places = [Some(real), real.strip_prefix("/usr")];
    let name = places.into_iter().flatten().find_map(|place| {
        let answer = ask(&query, &["--search", place]).ok()?;
        let line = answer.lines().find_map(|line| line.strip_suffix(&format!(": {place}")))?;
        (!line.contains([' ', ','])).then(|| line.to_owned())
    })?;
    let form = "--showformat=${binary:Package} ${Version}\n";
    let answer = ask(&query, &["--show", form, &name]).ok()?;
    let (package, version) = answer.lines().next()?.split_once(' ')?;
    let package = package.split(':').next().unwrap_or(package);
    (!version.is_empty() && !version.contains(' ')).then(|| format!("{package} {version}"))
}

/// The first program of that name in the folders of the search path.
pub(super) fn search(name: &str, search_path: &[PathBuf]) -> Option<PathBuf> {
    search_path
        .iter()
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

pub(super) fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// What must be mounted for a program: nothing below the system's folders, its own folder in
/// `/opt`.
fn folder_of(path: &Path) -> Result<Option<PathBuf>> {
    let real = std::fs::canonicalize(path).map_err(crate::fs::Error::at("find", path))?;
    let mut folder = None;
    for path in [path, &real] {
        if ["/usr", "/bin", "/sbin", "/nix/store", "/gnu/store"].iter().any(|f| path.starts_with(f))
        {
            continue;
        }
        let Ok(rest) = path.strip_prefix("/opt") else {
            return Err(Error::ProgramPlace { path: path.to_owned() });
        };
        folder = rest.components().next().map(|first| Path::new("/opt").join(first));
    }
    Ok(folder)
}

/// Runs a program without input and returns what it prints, on either stream, within limits.
pub(super) fn ask(program: &Path, arguments: &[&str]) -> std::io::Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let readers = [std::thread::spawn(move || read(out)), std::thread::spawn(move || read(err))];
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(readers.into_iter().filter_map(|reader| reader.join().ok()).collect())
}

fn read(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // Half an answer is as good as what was read of it.
        let _ = from.take(LONGEST_ANSWER).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first number with a dot in it, such as `12.2.0` in `gcc (Debian 12.2.0-14) 12.2.0`.
fn first_version(answer: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    answer
        .split(|c| !is_part(c))
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.') && !word.contains(".."))
        .map(ToOwned::to_owned)
}

/// A version of three numbers without leading zeros.
fn whole_version(version: &str) -> String {
    let number = |part: &str| part.parse::<u64>().unwrap_or(0).to_string();
    let mut parts: Vec<String> = version.split('.').take(3).map(number).collect();
    parts.resize(3, "0".to_owned());
    parts.join(".")
}

/// Where a program that is missing can be had.
pub(super) fn where_to_get(program: &str) -> String {
    let package = match program {
        "python" | "python3" => "python3",
        "cc" | "gcc" => "gcc",
        "c++" | "g++" => "g++",
        "gfortran" => "gfortran",
        "R" | "Rscript" => "r-base-core",
        "rustc" => "rustc",
        "go" => "golang-go",
        "node" => "nodejs",
        "java" => "default-jre-headless",
        "nvcc" => "nvidia-cuda-toolkit",
        other => other,
    };
    format!(
        "on Debian, try `apt-get install {package}`; `apt-file find bin/{program}` says which package has it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (answer, version) in [
            ("gcc (Debian 12.2.0-14) 12.2.0", Some("12.2.0")),
            ("GNU Make 4.3\nBuilt for x86", Some("4.3")),
            ("jq-1.6", Some("1.6")),
            ("version 7", None),
            ("...", None),
        ] {
            assert_eq!(first_version(answer).as_deref(), version, "{answer}");
        }
        assert_eq!(whole_version("4.3"), "4.3.0");
        assert_eq!(whole_version("2023.04.01.7"), "2023.4.1");
    }
}
