//! `deb:NAME=VERSION`: a Debian package, through the user's own apt.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{Ran, run};
use super::{Error, Result};
use crate::fs;
use crate::net::Address;
use crate::package::Digest;

/// What has apt, for those who lack it.
const HINT: &str = "apt is part of Debian and Ubuntu; elsewhere give the data another address";

/// Where apt would fetch a package from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// A package and its exact version.
#[derive(Debug, Clone, Copy)]
pub(super) struct DebianPackage<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
}

impl DebianPackage<'_> {
    fn address(&self) -> String {
        format!("deb:{}={}", self.name, self.version)
    }

    fn requirement(&self) -> String {
        format!("{}={}", self.name, self.version)
    }

    /// Asks apt for the address, size and digest; `None` where apt knows them in no form that
    /// can be used without it.
    pub(super) fn locate(&self) -> Result<Option<Place>> {
        let mut command = Command::new("apt-get");
        command.args(["download", "--quiet", "--print-uris"]).arg(self.requirement());
        let ran = self.run(&mut command)?;
        if ran.succeeded {
            Ok(ran.stdout.lines().find_map(place))
        } else {
            Err(self.failure(&ran, &command)?)
        }
    }

    /// Has apt download the package into the empty folder `into`.
    pub(super) fn download(&self, into: &Path) -> Result<PathBuf> {
        let mut command = Command::new("apt-get");
        command.args(["download", "--quiet"]).arg(self.requirement()).current_dir(into);
        let ran = self.run(&mut command)?;
        if !ran.succeeded {
            return Err(self.failure(&ran, &command)?);
        }
        let listed = std::fs::read_dir(into).map_err(fs::Error::at("read", into))?;
        let mut found = listed
            .filter_map(std::result::Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "deb"));
        found.next().ok_or_else(|| ran.failed(&command, &self.address()))
    }

    fn run(&self, command: &mut Command) -> Result<Ran> {
        run(command.env("LC_ALL", "C"), &self.address())?.ok_or_else(|| Error::NoTool {
            address: self.address(),
            program: "apt-get",
            hint: HINT,
        })
    }

    /// Says which versions there are, if that is what is wrong.
    fn failure(&self, ran: &Ran, command: &Command) -> Result<Error> {
        let unknown = ["was not found", "Unable to locate package", "No packages found"];
        if !unknown.iter().any(|words| ran.stderr.contains(words)) {
            return Ok(ran.failed(command, &self.address()));
        }
        let listed = self.run(Command::new("apt-cache").args(["madison", self.name]))?;
        let mut exist: Vec<String> = listed.stdout.lines().filter_map(version).collect();
        exist.dedup();
        Ok(Error::NoVersion { address: self.address(), exist })
    }
}

/// Reads `'ADDRESS' FILE SIZE SHA256:DIGEST`.
fn place(line: &str) -> Option<Place> {
    let (address, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let mut words = rest.split(' ').skip(1);
    let size = words.next()?.parse().ok()?;
    let digest = words.next()?.strip_prefix("SHA256:")?.parse().ok()?;
    // apt writes `file:/path`.
    let address = match address.strip_prefix("file:/") {
        Some(path) if !path.starts_with('/') => Address::Path(format!("/{path}").into()),
        _ => address.parse().ok()?,
    };
    Some(Place { address, size, digest })
}

/// Reads `NAME | VERSION | SOURCE`.
fn version(line: &str) -> Option<String> {
    let version = line.split('|').nth(1)?.trim();
    (!version.is_empty()).then(|| crate::explain::printable(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_says_where_a_package_is() {
        let digest = Digest::of(b"");
        let line = |address: &str| format!("'{address}' a_1_all.deb 53080 SHA256:{digest}");
        let found = place(&line("http://deb.example.org/pool/a_1_all.deb")).unwrap();
        assert_eq!((found.size, found.digest), (53080, digest));
        assert_eq!(found.address.to_string(), "http://deb.example.org/pool/a_1_all.deb");
        for path in ["file:/srv/a.deb", "file:///srv/a.deb"] {
            let found = place(&line(path)).unwrap();
            assert_eq!(found.address, Address::Path("/srv/a.deb".into()));
        }
        assert_eq!(place(&line("mirror+http://h/a.deb")), None);
        assert_eq!(place(&line("http://h/a").replace("SHA256", "MD5Sum")), None);
        assert_eq!(place("Reading package lists..."), None);
    }

    #[test]
    fn apt_says_which_versions_there_are() {
        let line = "     hello |     2.10-3 | http://deb.example.org bookworm/main amd64 Packages";
        assert_eq!(version(line).as_deref(), Some("2.10-3"));
        assert_eq!(version("N: nothing"), None);
    }
}
