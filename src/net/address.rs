//! Where bytes are asked for: an HTTP address or a path.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Error;
use crate::package::Digest;

/// An address that bytes are read from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `http://…` or `https://…`.
    Http(Box<url::Url>),
    /// A file on this machine.
    Path(PathBuf),
}

/// What hides a secret.
const HIDDEN: &str = "***";

impl Address {
    /// The address of `relative` below this one, which is taken for a folder. `relative` is a
    /// path with `/` between its parts; each part is percent-encoded.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        match self {
            Self::Http(url) => {
                let mut url = url.clone();
                if let Ok(mut parts) = url.path_segments_mut() {
                    parts.pop_if_empty().extend(relative.split('/'));
                }
                Self::Http(url)
            }
            Self::Path(path) => Self::Path(path.join(relative)),
        }
    }

    /// The address of `part` below this one, which is taken for a folder. `part` is one part of a
    /// path, percent-encoded already; a file on this machine is called just so.
    #[must_use]
    pub fn join_encoded(&self, part: &str) -> Self {
        match self {
            Self::Http(url) => {
                let mut url = url.clone();
                let path = format!("{}/{part}", url.path().trim_end_matches('/'));
                url.set_path(&path);
                Self::Http(url)
            }
            Self::Path(path) => Self::Path(path.join(part)),
        }
    }

    /// A digest of the whole address; the address itself may hold a secret.
    pub(super) fn key(&self) -> Digest {
        Digest::of(match self {
            Self::Http(url) => url.as_str().as_bytes(),
            Self::Path(path) => path.as_os_str().as_encoded_bytes(),
        })
    }

    /// The last part of the path, as a file's name; empty where there is none.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Http(url) => {
                let last = url.path_segments().and_then(|mut parts| parts.next_back());
                percent_encoding::percent_decode_str(last.unwrap_or_default())
                    .decode_utf8_lossy()
                    .into_owned()
            }
            Self::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Whether the value of the query key `name` may be a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "key", "secret", "sig", "pass", "auth", "credential", "session"]
        .iter()
        .any(|word| name.contains(word))
}

/// `url` without password, user and the values of secret query keys.
fn shown(url: &url::Url) -> String {
    let mut url = url.clone();
    if !url.username().is_empty() || url.password().is_some() {
        // Addresses with a host take both.
        let _ = url.set_username(HIDDEN);
        let _ = url.set_password(None);
    }
    if url.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
                _ => pair.to_owned(),
            })
            .collect();
        url.set_query(Some(&pairs.join("&")));
    }
    url.to_string()
}

impl fmt::Display for Address {
    /// Writes the address without its secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(&shown(url)),
            Self::Path(path) => f.write_str(&crate::explain::printable(&path.to_string_lossy())),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = Error;

    /// Reads `http:`, `https:` and `file:` addresses; any other text without `://` is a path.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |why| Error::InvalidAddress { found: text.chars().take(200).collect(), why };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if !text.contains("://") {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        let url = url::Url::parse(text).map_err(|_| invalid("it is not well-formed"))?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Http(Box::new(url))),
            "file" => url
                .to_file_path()
                .map(Self::Path)
                .map_err(|()| invalid("it names no path on this machine")),
            _ => Err(invalid("its scheme is none of https:, http: and file:")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let shown = |text: &str| text.parse::<Address>().unwrap().to_string();
        assert_eq!(shown("https://me:pw@example.org/a"), "https://***@example.org/a");
        assert_eq!(
            shown("https://example.org/a?part=2&X-Amz-Signature=abc"),
            "https://example.org/a?part=2&X-Amz-Signature=***"
        );
        assert_eq!(shown("https://example.org/a?part=2"), "https://example.org/a?part=2");
        assert_eq!(format!("{:?}", "http://u:p@h/".parse::<Address>().unwrap()).find(":p@"), None);
    }

    #[test]
    fn paths_and_addresses_join_alike() {
        let joined = |base: &str, relative: &str| base.parse::<Address>().unwrap().join(relative);
        assert_eq!(joined("/srv/r", "index/a.json"), Address::Path("/srv/r/index/a.json".into()));
        assert_eq!(joined("file:///srv/r/", "a"), Address::Path("/srv/r/a".into()));
        for base in ["https://h/r", "https://h/r/"] {
            assert_eq!(joined(base, "blobs/a b?").to_string(), "https://h/r/blobs/a%20b%3F");
        }
        let odd = "https://h/r".parse::<Address>().unwrap().join_encoded("a%2Fb%3F%25.json");
        assert_eq!(odd.to_string(), "https://h/r/a%2Fb%3F%25.json");
        assert!("ftp://h/x".parse::<Address>().is_err());
    }
}
