//! The vocabulary: names, versions, digests, the manifest and the index. Pure: nothing here opens
//! a file or a connection.

pub mod advisory;
mod class;
mod digest;
pub mod document;
mod index;
mod kind;
pub mod licence;
mod lock;
pub mod manifest;
mod name;
mod path;
mod verdict;
mod version;
mod wheels;

pub use class::Class;
pub use digest::{Digest, Hasher, InvalidDigest};
pub use index::{
    Dependency, FileMode, INDEX_FORMAT, INDEX_PATH, INPUTS_PATH, IndexedFile, PROBES_FOLDER,
    PackageIndex, PackageType, Release,
};
pub use kind::{InvalidKind, Kind};
pub use lock::{InvalidLock, LOCK_FORMAT, LOCK_NAME, LONGEST_LOCK, LockFile, LockedPackage};
pub use name::{InvalidName, PackageName, PartName, ProfileName, RegistryName, VariantName};
pub use path::{DEEPEST_PATH, InvalidPath, LONGEST_PATH, PackagePath};
pub use verdict::Verdict;
pub use version::{InvalidRequirement, InvalidVersion, PackageVersion, Requirement};
pub use wheels::{KEPT_WHEELS_FORMAT, KeptWheel, KeptWheels};
