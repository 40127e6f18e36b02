//! Where things stand in a registry. Every place is made here and nowhere else.

use crate::package::{Digest, PackageName};

/// The file that makes a folder a registry.
pub const MARKER: &str = "mpkg-registry.json";
/// The file whose lock a publisher holds.
pub const LOCK: &str = ".mpkg-lock";

/// The folder of the signed metadata.
pub const METADATA: &str = "metadata";
/// The one file of metadata that changes under the same name.
pub const TIMESTAMP: &str = "metadata/timestamp.json";
/// The list of advisories.
pub const ADVISORIES: &str = "advisories/index.json";
/// What the names of bins begin with.
pub const BINS: &str = "bins";

/// The longest marker that is read, in bytes.
pub const LARGEST_MARKER: u64 = 64 << 10;
/// The longest index of a name that is read.
pub const LARGEST_INDEX: u64 = 16 << 20;
/// The longest search list that is read.
pub const LARGEST_SEARCH: u64 = 128 << 20;
/// The longest list of advisories that is read.
pub const LARGEST_ADVISORIES: u64 = 16 << 20;
/// The longest list of wheels that is read.
pub const LARGEST_WHEELS: u64 = 1 << 20;
/// The longest attachment that is read.
pub const LARGEST_ATTACHMENT: u64 = 16 << 20;

/// The index of a name.
#[must_use]
pub fn index(name: &PackageName) -> String {
    format!("index/{name}.json")
}

/// The search list of one part of all names.
#[must_use]
pub fn search(shard: SearchShard) -> String {
    let width = usize::from(shard.bits).div_ceil(4).max(1);
    format!("search/{:0width$x}.json", shard.number)
}

/// Which part of all names a search list is about: those for which the SHA-256 of the path of
/// their index begins with these bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchShard {
    bits: u8,
    number: u32,
}

impl SearchShard {
    /// How many bits number the lists of a registry whose names are divided among `2^bin_bits`
    /// bins: one list for sixteen bins, and at most 256 lists.
    #[must_use]
    pub const fn bits(bin_bits: u8) -> u8 {
        let bits = bin_bits.saturating_sub(4);
        if bits > 8 { 8 } else { bits }
    }

    /// All lists of a registry with `2^bin_bits` bins.
    pub fn all(bin_bits: u8) -> impl Iterator<Item = Self> {
        let bits = Self::bits(bin_bits);
        (0..1_u32 << bits).map(move |number| Self { bits, number })
    }

    /// The list that `name` stands in.
    #[must_use]
    pub fn of(name: &PackageName, bin_bits: u8) -> Self {
        let bits = Self::bits(bin_bits);
        let [first, ..] = *Digest::of(index(name).as_bytes()).as_bytes();
        Self { bits, number: (u32::from(first) << bits) >> 8 }
    }
}

/// The file of a target in a registry with consistent snapshots: its digest before its name.
#[must_use]
pub fn consistent(target: &str, digest: Digest) -> String {
    match target.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{digest}.{name}"),
        None => format!("{digest}.{target}"),
    }
}

/// A version of a role's metadata.
#[must_use]
pub fn metadata(role: &str, version: u64) -> String {
    format!("{METADATA}/{version}.{role}.json")
}

/// A file by its digest.
#[must_use]
pub fn blob(digest: Digest) -> String {
    let text = digest.to_string();
    format!("blobs/sha256/{}/{text}", &text[..2])
}

/// The list of the wheels that are kept among the blobs for a lock file, by that file's digest.
#[must_use]
pub fn wheels(lock: Digest) -> String {
    format!("wheels/of-{lock}.json")
}

/// Something said about a package, by the package's digest and its own.
#[must_use]
pub fn attachment(package: Digest, digest: Digest, suffix: &str) -> String {
    format!("attestations/{package}/{digest}.{suffix}.json")
}

/// An advisory by its id and its digest, or a document of statements about some.
#[must_use]
pub fn notice(stem: &str, digest: Digest) -> String {
    format!("advisories/{digest}.{stem}.json")
}

/// Whether the file at `path`, relative to the registry's folder, is one that a reader may ask
/// for. What an operator keeps beside them begins with a dot and is none.
#[must_use]
pub fn is_public(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_digest = |text: &str| text.parse::<Digest>().is_ok();
    match parts[..] {
        [MARKER] => true,
        [METADATA | "index" | "search" | "wheels" | "advisories", file] => is_plain_json(file),
        ["blobs", "sha256", start, digest] => is_digest(digest) && digest[..2] == *start,
        ["attestations", package, file] => is_digest(package) && is_plain_json(file),
        _ => false,
    }
}

/// A name as every file of ours has it: ASCII letters, digits and a few signs.
fn is_plain_json(file: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.%+".contains(&byte);
    file.ends_with(".json") && !file.starts_with('.') && file.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_divided_among_search_lists() {
        let name: PackageName = "docs-lm".parse().unwrap();
        assert_eq!(search(SearchShard::of(&name, 4)), "search/0.json");
        assert_eq!(SearchShard::all(4).count(), 1);
        assert_eq!(SearchShard::all(12).count(), 256);
        assert_eq!(SearchShard::all(20).count(), 256);
        let digest = Digest::of(b"index/docs-lm.json").to_string();
        assert_eq!(search(SearchShard::of(&name, 12)), format!("search/{}.json", &digest[..2]));
        assert_eq!(search(SearchShard::of(&name, 8)), format!("search/{}.json", &digest[..1]));
        for bits in [1, 4, 5, 7, 9, 12] {
            assert!(SearchShard::all(bits).any(|one| one == SearchShard::of(&name, bits)));
        }
    }

    #[test]
    fn a_digest_stands_before_the_name() {
        let digest = Digest::of(b"");
        assert_eq!(consistent("index/lm.json", digest), format!("index/{digest}.lm.json"));
        assert_eq!(metadata("bins-0f", 3), "metadata/3.bins-0f.json");
    }

    #[test]
    fn only_files_of_a_registry_are_public() {
        let digest = Digest::of(b"");
        for path in [
            MARKER.to_owned(),
            "metadata/timestamp.json".to_owned(),
            "metadata/1.bins-0f.json".to_owned(),
            format!("index/{digest}.docs-lm.json"),
            blob(digest),
            attachment(digest, digest, "dsse"),
        ] {
            assert!(is_public(&path), "{path}");
        }
        for path in [
            "",
            "/",
            ".mpkg-lock",
            ".mpkg-staging/file",
            "index/../mpkg-registry.json",
            "index/.hidden.json",
            "index/a/b.json",
            "index//a.json",
            "index/a.json/",
            "index/a.txt",
            "index/a\0.json",
            "./mpkg-registry.json",
            "metadata",
            "blobs/sha256/e3/short",
        ] {
            assert!(!is_public(path), "{path:?}");
        }
        assert!(!is_public(&format!("blobs/sha256/00/{digest}")));
    }
}
