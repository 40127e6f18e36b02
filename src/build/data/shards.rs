//! Lists of shards: one JSON object a line (spec/data.md, "Shards").

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;

use super::{Error, Result};
use crate::fs;
use crate::package::manifest::DataAddress;
use crate::package::{Digest, PackagePath};

/// The most shards that one list may hold.
const MOST_SHARDS: usize = 1_000_000;
/// The longest line, in bytes.
const LONGEST_LINE: u64 = 1 << 16;

/// One file of a sharded set.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Where it is to be had.
    pub(super) urls: Vec<DataAddress>,
    /// Its digest.
    pub(super) digest: Digest,
    /// Its size.
    pub(super) size: u64,
    /// Its place in the folder that the set makes.
    pub(super) path: PackagePath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    urls: Vec<String>,
    sha256: Digest,
    size: u64,
    path: PackagePath,
}

/// Reads the list at `path` in `tree`.
pub(super) fn read(tree: &Path, list: &PackagePath) -> Result<Vec<Shard>> {
    let path = list.below(tree);
    let file = std::fs::File::open(&path).map_err(fs::Error::at("open", &path))?;
    let mut reader = BufReader::new(file);
    let mut shards = Vec::new();
    let mut taken = HashMap::new();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = (&mut reader)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut text)
            .map_err(fs::Error::at("read", &path))?;
        let at = |why: String| Error::Shards { list: list.to_string(), line: number, why };
        if read == 0 {
            break;
        }
        if read as u64 > LONGEST_LINE {
            return Err(at(format!("the line is longer than {LONGEST_LINE} bytes")));
        }
        if shards.len() == MOST_SHARDS {
            return Err(at(format!("there are more than {MOST_SHARDS} shards")));
        }
        let shard = shard(text.strip_suffix(b"\n").unwrap_or(&text)).map_err(at)?;
        if let Some(first) = taken.insert(shard.path.folded(), number) {
            let why = format!("the path {} is on line {first} already", shard.path);
            return Err(Error::Shards { list: list.to_string(), line: number, why });
        }
        shards.push(shard);
    }
    if shards.is_empty() {
        Err(Error::Shards { list: list.to_string(), line: 1, why: "the list is empty".to_owned() })
    } else {
        Ok(shards)
    }
}

fn shard(text: &[u8]) -> std::result::Result<Shard, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| {
        // The line's number inside the one line says nothing.
        error.to_string().replace(" at line 1 column", " at column")
    })?;
    let urls: Vec<DataAddress> = line
        .urls
        .iter()
        .map(|url| url.parse())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error: crate::package::manifest::InvalidAddress| error.to_string())?;
    if urls.is_empty() {
        Err("`urls` has no address in it".to_owned())
    } else {
        Ok(Shard { urls, digest: line.sha256, size: line.size, path: line.path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Shard>> {
        let tree = tempfile::tempdir().unwrap();
        crate::fs::write_atomically(&tree.path().join("s"), text.as_bytes()).unwrap();
        read(tree.path(), &"s".parse().unwrap())
    }

    fn line(path: &str) -> String {
        let digest = Digest::of(b"");
        format!(r#"{{"urls":["https://h/a"],"sha256":"{digest}","size":1,"path":"{path}"}}"#)
    }

    #[test]
    fn lists() {
        let shards = list(&format!("{}\n{}\n", line("a/1"), line("a/2"))).unwrap();
        assert_eq!(shards.len(), 2);
        assert_eq!(shards[1].path.as_str(), "a/2");
    }

    #[test]
    fn faults_name_their_line() {
        for (text, part) in [
            (String::new(), "s:1: the list is empty"),
            (format!("{}\n\n", line("a")), "s:2: EOF"),
            (format!("{}\n{}", line("a"), line("A")), "s:2: the path A is on line 1 already"),
            (line("../a"), "s:1: \"../a\" is not a path"),
            (line("a").replace("\"size\"", "\"sizes\""), "s:1: unknown field `sizes`"),
            (line("a").replace("https://h/a", "nowhere"), "s:1: \"nowhere\" is not an address"),
            (line("a").replace("\"https://h/a\"", ""), "s:1: `urls` has no address"),
            ("x".repeat(70_000), "s:1: the line is longer"),
        ] {
            let error = list(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
