//! Lock files: `pylock.toml` (PEP 751) and `requirements.txt` with hashes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::error::{Error, Result};
use crate::package::Digest;

/// A lock file in which every wheel is pinned by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockFile {
    /// Its place in the tree.
    pub(super) name: String,
    /// The digest of its text.
    pub(super) digest: Digest,
    /// The Python that it is for.
    pub(super) python: Option<String>,
    /// What it locks.
    pub(super) packages: Vec<Locked>,
}

/// A locked project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Locked {
    /// Its name, in its normal form.
    pub(super) name: String,
    /// Its exact version.
    pub(super) version: String,
    /// Under which condition it is needed.
    pub(super) marker: Option<String>,
    /// The digests of the files that will do.
    pub(super) digests: BTreeSet<Digest>,
}

impl LockFile {
    /// Reads a lock file of either kind; the name tells which.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self> {
        let last = name.rsplit('/').next().unwrap_or(name);
        let is_pylock = last.starts_with("pylock.") && last.ends_with(".toml");
        let (python, packages) = match is_pylock {
            true => parse_pylock(text, name)?,
            false => (None, parse_requirements(text, name)?),
        };
        let mut names = BTreeSet::new();
        for package in packages.iter().filter(|package| package.marker.is_none()) {
            if !names.insert(&package.name) {
                return Err(bad(name, None, format!("{} stands in it twice", package.name)));
            }
        }
        let digest = Digest::of(text.as_bytes());
        Ok(Self { name: name.to_owned(), digest, python, packages })
    }

    /// The same, in the form that pip reads.
    pub(super) fn as_requirements(&self) -> String {
        let mut text = String::new();
        for package in &self.packages {
            let _ = write!(text, "{}=={}", package.name, package.version);
            if let Some(marker) = &package.marker {
                let _ = write!(text, " ; {marker}");
            }
            for digest in &package.digests {
                let _ = write!(text, " --hash=sha256:{digest}");
            }
            text.push('\n');
        }
        text
    }
}

fn bad(file: &str, line: Option<usize>, reason: impl Into<String>) -> Error {
    Error::Lock { file: file.to_owned(), line, reason: reason.into() }
}

/// The normal form of a project's name.
pub(super) fn normal_name(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty()
        && text.chars().all(inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_version(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '!' | '+' | '-' | '_');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

/// A marker in which nothing but a condition can stand.
fn is_marker(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || " \t_.'\"<>=!~()+-*,/".contains(c);
    !text.trim().is_empty() && text.chars().all(inner) && !text.contains("--")
}

fn parse_requirements(text: &str, file: &str) -> Result<Vec<Locked>> {
    let mut packages = Vec::new();
    let mut pending = String::new();
    let mut first = 0;
    for (index, line) in text.lines().enumerate() {
        if pending.is_empty() {
            first = index + 1;
        }
        // A comment begins a line or follows a space, as pip has it.
        let line = match line.trim_start().starts_with('#') {
            true => "",
            false => line.split(" #").next().unwrap_or(""),
        };
        if let Some(line) = line.trim_end().strip_suffix('\\') {
            pending.push_str(line);
            pending.push(' ');
            continue;
        }
        pending.push_str(line);
        let whole = std::mem::take(&mut pending);
        if !whole.trim().is_empty() {
            packages.push(parse_requirement(whole.trim(), file, first)?);
        }
    }
    match pending.trim().is_empty() {
        true => Ok(packages),
        false => Err(bad(file, Some(first), "its last line goes on nowhere")),
    }
}

fn parse_requirement(line: &str, file: &str, number: usize) -> Result<Locked> {
    let refuse = |reason: String| Err(bad(file, Some(number), reason));
    if line.starts_with('-') {
        let option = line.split_whitespace().next().unwrap_or(line);
        return refuse(format!("the option {option} is not taken; every line pins one project"));
    }
    if line.contains("://") || line.contains(" @ ") {
        return refuse("an address is not taken; a project is pinned by name and hash".to_owned());
    }
    let (requirement, hashes) = match line.find("--") {
        Some(place) => line.split_at(place),
        None => (line, ""),
    };
    let (pinned, marker) = match requirement.split_once(';') {
        Some((pinned, marker)) => (pinned.trim(), Some(marker.trim().to_owned())),
        None => (requirement.trim(), None),
    };
    let Some((name, version)) = pinned.split_once("==") else {
        return refuse(format!("{pinned:?} is not pinned with =="));
    };
    let (name, version) = (name.trim(), version.trim());
    let name = name.split_once('[').map_or(name, |(name, _)| name.trim());
    if !is_name(name) || !is_version(version) {
        return refuse(format!("{pinned:?} is not a name and an exact version"));
    }
    if marker.as_deref().is_some_and(|marker| !is_marker(marker)) {
        return refuse(format!("the condition of {name} cannot be read"));
    }
    let mut digests = BTreeSet::new();
    for word in hashes.split_whitespace() {
        let Some(digest) = word.strip_prefix("--hash=sha256:") else {
            return refuse(format!("{word:?} is not a --hash=sha256:…"));
        };
        match digest.parse() {
            Ok(digest) => digests.insert(digest),
            Err(error) => return refuse(format!("{error}")),
        };
    }
    match digests.is_empty() {
        true => refuse(format!("{name} has no --hash=sha256:…")),
        false => {
            Ok(Locked { name: normal_name(name), version: version.to_owned(), marker, digests })
        }
    }
}

fn parse_pylock(text: &str, file: &str) -> Result<(Option<String>, Vec<Locked>)> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        bad(file, line, error.message())
    })?;
    let version = table.get("lock-version").and_then(toml::Value::as_str);
    if version != Some("1.0") {
        let found = version.unwrap_or("missing");
        return Err(bad(file, None, format!("lock-version is {found}, and 1.0 is what is read")));
    }
    let python = table.get("requires-python").and_then(toml::Value::as_str).map(ToOwned::to_owned);
    let packages = table.get("packages").and_then(toml::Value::as_array);
    let packages = packages.map_or(&[][..], Vec::as_slice);
    let locked = packages.iter().map(|package| parse_package(package, file));
    Ok((python, locked.collect::<Result<_>>()?))
}

fn parse_package(package: &toml::Value, file: &str) -> Result<Locked> {
    let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
    let name = text("name").unwrap_or_default();
    if !is_name(name) {
        return Err(bad(file, None, format!("a package has the name {name:?}")));
    }
    let refuse = |reason: String| Err(bad(file, None, format!("{name}: {reason}")));
    let Some(version) = text("version").filter(|version| is_version(version)) else {
        return refuse("it has no exact version".to_owned());
    };
    for other in ["vcs", "directory", "archive"] {
        if package.get(other).is_some() {
            return refuse(format!("it comes as {other}; only wheels are taken"));
        }
    }
    let marker = text("marker").map(ToOwned::to_owned);
    if let Some(marker) = &marker
        && (!is_marker(marker) || marker.contains("dependency_groups") || marker.contains("extras"))
    {
        return refuse(format!("its marker {marker:?} depends on more than the machine"));
    }
    let wheels = package.get("wheels").and_then(toml::Value::as_array);
    let wheels = wheels.map_or(&[][..], Vec::as_slice);
    let mut digests = BTreeSet::new();
    for wheel in wheels {
        let sha256 = wheel.get("hashes").and_then(|hashes| hashes.get("sha256"));
        let Some(sha256) = sha256.and_then(toml::Value::as_str) else {
            return refuse("a wheel has no sha256".to_owned());
        };
        match sha256.parse() {
            Ok(digest) => digests.insert(digest),
            Err(error) => return refuse(format!("{error}")),
        };
    }
    match digests.is_empty() {
        true => refuse("it has no wheels, and nothing is built from source here".to_owned()),
        false => {
            Ok(Locked { name: normal_name(name), version: version.to_owned(), marker, digests })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn requirements_with_hashes() {
        let text = format!(
            "# made by a tool\nTyping_Extensions==4.12.2 ; python_version < '3.13' \\\n    \
             --hash=sha256:{ONE} \\\n    # via numpy\nnumpy[x]==2.0 --hash=sha256:{ONE}  # why\n"
        );
        let error = LockFile::parse(&text, "requirements.txt");
        let lock = error.unwrap();
        assert_eq!(
            lock.as_requirements(),
            format!(
                "typing-extensions==4.12.2 ; python_version < '3.13' --hash=sha256:{ONE}\n\
                 numpy==2.0 --hash=sha256:{ONE}\n"
            )
        );
    }

    #[test]
    fn what_is_not_pinned_is_refused_with_its_line() {
        for (line, reason) in [
            ("numpy", "not pinned"),
            ("numpy>=2", "not pinned"),
            ("numpy==2.*", "exact version"),
            ("numpy==2.0", "no --hash"),
            ("numpy==2.0 --hash=md5:0", "is not a --hash=sha256"),
            ("-e .", "the option -e"),
            ("--index-url https://example.invalid/", "the option --index-url"),
            ("numpy @ https://example.invalid/numpy.whl", "an address"),
            ("numpy==2.0 ; a == 'b'; import --hash=sha256:0", "cannot be read"),
        ] {
            let text = format!("\n{line}\n");
            let error = LockFile::parse(&text, "r.txt").unwrap_err().to_string();
            assert!(error.starts_with("r.txt:2: ") && error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn pylock_gives_names_versions_and_wheels() {
        let text = format!(
            "lock-version = '1.0'\nrequires-python = '>=3.9'\n[[packages]]\nname = 'Six'\n\
             version = '1.17.0'\n[[packages.wheels]]\nname = 'six-1.17.0-py2.py3-none-any.whl'\n\
             hashes = {{ sha256 = '{ONE}' }}\n"
        );
        let lock = LockFile::parse(&text, "env/pylock.toml").unwrap();
        assert_eq!(lock.python.as_deref(), Some(">=3.9"));
        assert_eq!(lock.as_requirements(), format!("six==1.17.0 --hash=sha256:{ONE}\n"));

        let without = text.split("[[packages.wheels]]").next().unwrap();
        let error = LockFile::parse(without, "pylock.toml").unwrap_err().to_string();
        assert_eq!(
            error,
            "pylock.toml: six: it has no wheels, and nothing is built from source here"
                .replace("six", "Six")
        );
    }
}
