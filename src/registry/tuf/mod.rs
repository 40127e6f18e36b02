//! The Update Framework, version 1.0: the signed metadata of a registry (spec/metadata.md).
//!
//! Bytes are verified first and parsed after; what was verified is kept as it came and is never
//! serialised again. Signatures are counted by the values of keys, never by their ids.

mod clock;
mod delegation;
mod envelope;
mod error;
mod file;
pub mod metadata;
mod origin;
mod pattern;
mod role;
mod shelf;
mod view;

pub use clock::{Clock, LastSeen};
pub use delegation::{Asking, DelegatedRole, Delegations, Paths, SuccinctRoles};
pub use envelope::Envelope;
pub use error::{Error, Result};
pub use file::{Hashes, MetaFile, TargetFile};
pub use metadata::{Head, Metadata, Root, Snapshot, Targets, Timestamp};
pub use origin::{NetOrigin, Origin};
pub use role::{Key, Keys, Role, TopLevel};
pub use shelf::{Reach, Shelf, copy_place};
pub use view::{View, check_root};

/// The version of the specification that is written; every 1.x is read.
pub const SPECIFICATION: &str = "1.0.31";
