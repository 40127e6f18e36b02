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
