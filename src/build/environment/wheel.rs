//! Unpacks a wheel, the way the wheel format says (PEP 427), with nothing of the machine or the
//! time in the result.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::lock::normal_name;
use crate::fs;

/// The most files in a wheel, and the most bytes that they may have together.
const MOST_FILES: usize = 1_000_000;
const MOST_BYTES: u64 = 64 << 30;

/// The first lines of a script of Python: the shell that they start runs the interpreter beside
/// the script, wherever both lie, and Python reads them as a string.
const SCRIPT_HEAD: &str =
    "#!/bin/sh\n'''exec' \"$(dirname -- \"$0\")/python\" \"$0\" \"$@\"\n' '''\n";

/// The parts of a wheel's file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WheelName {
    /// The project, in its normal form.
    pub(super) project: String,
    /// Its version.
    pub(super) version: String,
}

impl WheelName {
    /// Reads `NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl`.
    pub(super) fn parse(file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
        ((5..=6).contains(&parts.len()) && parts.iter().all(|part| !part.is_empty()))
            .then(|| Self { project: normal_name(parts[0]), version: parts[1].to_owned() })
    }
}

/// Where the parts of wheels go.
#[derive(Debug)]
pub(super) struct Destination {
    /// The environment's folder.
    pub(super) root: PathBuf,
    /// `X.Y` of its Python.
    pub(super) python: String,
}

impl Destination {
    pub(super) fn packages(&self) -> PathBuf {
        self.root.join("lib").join(format!("python{}", self.python)).join("site-packages")
    }

    pub(super) fn scripts(&self) -> PathBuf {
        self.root.join("bin")
    }
}

/// Unpacks the wheel at `path` into `into`.
pub(super) fn unpack(path: &Path, into: &Destination) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wheel = Unpacking { name, into };
    let file = File::open(path).map_err(fs::Error::at("open", path))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| wheel.bad(error.to_string()))?;
    if archive.len() > MOST_FILES {
        return Err(wheel.bad(format!("it has {} files", archive.len())));
    }
    let mut left = MOST_BYTES;
    let mut scripts = String::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| wheel.bad(error.to_string()))?;
        if entry.is_dir() {
            continue;
        }
        let member = entry.name().map_err(|error| wheel.bad(error.to_string()))?.into_owned();
        let place = wheel.place(&member)?;
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let is_list = member.ends_with(".dist-info/entry_points.txt");
        let written = match (place, is_list) {
            (Place::Script(path), _) => wheel.write_script(entry, &path, left)?,
            (Place::File(path), true) => {
                let written = wheel.write(entry, &path, Mode::Plain, left)?;
                scripts = fs::read_to_string(&path, 1 << 20)?;
                written
            }
            (Place::File(path), false) => {
                let mode = if executable { Mode::Executable } else { Mode::Plain };
                wheel.write(entry, &path, mode, left)?
            }
        };
        left -= written;
    }
    wheel.write_entry_points(&scripts)
}

/// Reads the members of the wheel at `path` that `wanted` chooses, at most `limit` bytes of each; a
/// longer one is left out.
pub(super) fn members(
    path: &Path,
    wanted: impl Fn(&str) -> bool,
    limit: u64,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bad = |reason: String| Error::BadWheel {
        name: name.clone(),
        reason: crate::explain::printable(&reason),
    };
    let file = File::open(path).map_err(fs::Error::at("open", path))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
    let mut found = BTreeMap::new();
    for index in 0..archive.len().min(MOST_FILES) {
        let entry = archive.by_index(index).map_err(|error| bad(error.to_string()))?;
        let member = entry.name().map_err(|error| bad(error.to_string()))?.into_owned();
        if entry.is_dir() || !wanted(&member) {
            continue;
        }
        let mut text = Vec::new();
        let read = entry.take(limit.saturating_add(1)).read_to_end(&mut text);
        read.map_err(|error| bad(error.to_string()))?;
        if text.len() as u64 <= limit {
            found.insert(member, text);
        }
    }
    Ok(found)
}

struct Unpacking<'a> {
    name: String,
    into: &'a Destination,
}

/// Where a member goes.
enum Place {
    File(PathBuf),
    Script(PathBuf),
}

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Executable,
}

impl Unpacking<'_> {
    fn bad(&self, reason: impl Into<String>) -> Error {
        let reason = crate::explain::printable(&reason.into());
        Error::BadWheel { name: self.name.clone(), reason }
    }

    fn place(&self, member: &str) -> Result<Place> {
        let parts: Vec<&str> = member.split('/').collect();
        let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0']);
        if parts.iter().any(|part| odd(part)) {
            return Err(self.bad(format!("it has a member {member:?}")));
        }
        if !parts[0].ends_with(".data") {
            return Ok(Place::File(self.into.packages().join(member)));
        }
        let rest = parts.get(2..).unwrap_or_default().join("/");
        match parts.get(1).copied() {
            _ if rest.is_empty() => Err(self.bad(format!("it has a member {member:?}"))),
            Some("purelib" | "platlib") => Ok(Place::File(self.into.packages().join(rest))),
            Some("data") => Ok(Place::File(self.into.root.join(rest))),
            Some("headers") => {
                let project = WheelName::parse(&self.name).map(|name| name.project);
                let folder = format!("include/{}", project.unwrap_or_default());
                Ok(Place::File(self.into.root.join(folder).join(rest)))
            }
            Some("scripts") => Ok(Place::Script(self.into.scripts().join(rest))),
            _ => Err(self.bad(format!("it has a member {member:?}"))),
        }
    }

    fn create(path: &Path, mode: Mode) -> Result<File> {
        if let Some(folder) = path.parent() {
            fs::create_folder(folder)?;
        }
        let bits = match mode {
            Mode::Plain => 0o644,
            Mode::Executable => 0o755,
        };
        // Where two wheels have the same file, the second in the order of names has its way.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fs::Error::at("replace", path)(error).into());
            }
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(bits).open(path);
        Ok(file.map_err(fs::Error::at("create", path))?)
    }

    /// Writes a member and returns its length.
    fn write(&self, member: impl Read, path: &Path, mode: Mode, left: u64) -> Result<u64> {
        let mut file = Self::create(path, mode)?;
        let copied = std::io::copy(&mut member.take(left.saturating_add(1)), &mut file);
        let written = copied.map_err(fs::Error::at("unpack", path))?;
        match written > left {
            true => Err(self.bad("it is too large")),
            false => Ok(written),
        }
    }

    fn write_script(&self, mut member: impl Read, path: &Path, left: u64) -> Result<u64> {
        let mut start = [0; 8];
        let mut length = 0;
        while length < start.len() {
            let read = member.read(&mut start[length..]).map_err(fs::Error::at("unpack", path))?;
            if read == 0 {
                break;
            }
            length += read;
        }
        let start = &start[..length];
        if start != b"#!python" {
            return self.write(start.chain(member), path, Mode::Executable, left);
        }
        // The rest of the first line is `w` or options, which mean nothing here.
        let mut rest = Vec::new();
        let read = member.take(left.min(16 << 20)).read_to_end(&mut rest);
        read.map_err(fs::Error::at("unpack", path))?;
        let body = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let mut file = Self::create(path, Mode::Executable)?;
        file.write_all(SCRIPT_HEAD.as_bytes())
            .and_then(|()| file.write_all(&rest[body..]))
            .map_err(fs::Error::at("write", path))?;
        Ok(rest.len() as u64)
    }

    /// Writes the scripts that `entry_points.txt` names.
    fn write_entry_points(&self, text: &str) -> Result<()> {
        for (name, target) in entry_points(text) {
            let words = |text: &str| {
                let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
                !text.is_empty() && text.chars().all(word)
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let Some((module, object)) = target.split_once(':') else {
                return Err(self.bad(format!("its script {name:?} names no function")));
            };
            if !words(module) || !words(object) || name.starts_with('.') || !name.chars().all(plain)
            {
                return Err(self.bad(format!("its script {name:?} has an odd name")));
            }
            let first = object.split('.').next().unwrap_or(object);
            let path = self.into.scripts().join(&name);
            let mut file = Self::create(&path, Mode::Executable)?;
            write!(
                file,
                "{SCRIPT_HEAD}import sys\nfrom {module} import {first}\n\nsys.exit({object}())\n"
            )
            .map_err(fs::Error::at("write", &path))?;
        }
        Ok(())
    }
}

/// Name and target of each script in an `entry_points.txt`.
fn entry_points(text: &str) -> BTreeMap<String, String> {
    let mut scripts = BTreeMap::new();
    let mut counts = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            counts = matches!(section.trim(), "console_scripts" | "gui_scripts");
        } else if let Some((name, target)) = line.split_once('=')
            && counts
            && !line.starts_with(['#', ';'])
        {
            let target = target.split('[').next().unwrap_or(target).trim();
            scripts.insert(name.trim().to_owned(), target.replace(' ', ""));
        }
    }
    scripts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(folder: &Path, members: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("demo-1.0-py3-none-any.whl");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, contents) in members {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(contents.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn members_reach_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let into = Destination { root: folder.path().join("env"), python: "3.11".to_owned() };
        let path = wheel(
            folder.path(),
            &[
                ("demo/__init__.py", "x = 1"),
                ("demo-1.0.data/scripts/tool", "#!python\nprint('tool')\n"),
                ("demo-1.0.data/data/share/demo.txt", "data"),
                ("demo-1.0.dist-info/entry_points.txt", "[console_scripts]\ndemo = demo:main.go\n"),
            ],
        );
        unpack(&path, &into).unwrap();
        let text = |name: &str| std::fs::read_to_string(into.root.join(name)).unwrap();
        assert_eq!(text("lib/python3.11/site-packages/demo/__init__.py"), "x = 1");
        assert_eq!(text("bin/tool"), format!("{SCRIPT_HEAD}print('tool')\n"));
        assert_eq!(text("share/demo.txt"), "data");
        assert!(text("bin/demo").ends_with("from demo import main\n\nsys.exit(main.go())\n"));
    }

    #[test]
    fn members_outside_are_refused() {
        for name in ["../a", "/a", "a//b", "demo-1.0.data/other/x", "demo-1.0.data/scripts", "a\\b"]
        {
            let folder = tempfile::tempdir().unwrap();
            let into = Destination { root: folder.path().join("env"), python: "3.11".to_owned() };
            let path = wheel(folder.path(), &[(name, "x")]);
            let error = unpack(&path, &into).unwrap_err().to_string();
            assert!(error.contains("cannot be unpacked: it has a member"), "{name}: {error}");
        }
    }

    #[test]
    fn names_are_read() {
        let name = WheelName::parse("Foo_Bar-1.0-1-py3-none-any.whl").unwrap();
        assert_eq!((name.project.as_str(), name.version.as_str()), ("foo-bar", "1.0"));
        assert_eq!(WheelName::parse("foo-1.0.tar.gz"), None);
    }
}
