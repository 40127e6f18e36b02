//! Wheels that a registry keeps by digest, listed under the digest of the lock file that pins them.

use serde::{Deserialize, Serialize};

use super::Digest;

/// The version of the list that this program writes and reads.
pub const KEPT_WHEELS_FORMAT: u32 = 1;

/// The wheels that are kept for one lock file. Nothing vouches for the list: the lock file pins
/// the digest of every wheel that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptWheels {
    /// [`KEPT_WHEELS_FORMAT`].
    pub format: u32,
    /// The wheels, in ascending order, each once.
    pub wheels: Vec<KeptWheel>,
}

/// One wheel, as some interpreter takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptWheel {
    /// Its file name.
    pub file: String,
    /// The platform of the interpreter that it was chosen for, as in `linux-x86_64`.
    pub platform: String,
    /// The version of that interpreter, as in `3.11`.
    pub python: String,
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}
