//! Where things stand in a registry. Every place is made here and nowhere else.

use crate::package::{Digest, PackageName};

/// The file that makes a folder a registry.
pub const MARKER: &str = "mpkg-registry.json";
/// The list that searches read.
pub const SEARCH: &str = "search.json";
/// The file whose lock a publisher holds.
pub const LOCK: &str = ".mpkg-lock";

/// The longest marker that is read, in bytes.
pub const LARGEST_MARKER: u64 = 64 << 10;
/// The longest index of a name that is read.
pub const LARGEST_INDEX: u64 = 16 << 20;
/// The longest search list that is read.
pub const LARGEST_SEARCH: u64 = 128 << 20;
/// The longest attachment that is read.
pub const LARGEST_ATTACHMENT: u64 = 16 << 20;

/// The index of a name.
#[must_use]
pub fn index(name: &PackageName) -> String {
    format!("index/{name}.json")
}

/// A file by its digest.
#[must_use]
pub fn blob(digest: Digest) -> String {
    let text = digest.to_string();
    format!("blobs/sha256/{}/{text}", &text[..2])
}

/// Something said about a package, by the package's digest and its own.
#[must_use]
pub fn attachment(package: Digest, digest: Digest, suffix: &str) -> String {
    format!("attestations/{package}/{digest}.{suffix}.json")
}

/// The folder of the signed metadata.
pub const METADATA: &str = "metadata";

/// Whether the file at `path`, relative to the registry's folder, is one that a reader may ask
/// for. What an operator keeps beside them begins with a dot and is none.
#[must_use]
pub fn is_public(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_digest = |text: &str| text.parse::<Digest>().is_ok();
    match parts[..] {
        [MARKER | SEARCH] => true,
        [METADATA | "index" | "search" | "advisories", file] => is_plain_json(file),
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
