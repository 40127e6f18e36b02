//! The operator's side of a registry: its folder, its signed metadata, and every change to them.
//!
//! Invariants: every file reaches its place by one rename, through [`write`] alone; what a file
//! vouches for is written before it, `timestamp.json` last; a file whose name has a version or a
//! digest never changes. So whoever reads at any moment, or copies, sees the old or the new.

mod advise;
mod apply;
mod attest;
mod bundle;
mod clean;
mod commit;
mod draft;
mod ends;
mod error;
mod init;
mod mirror;
mod publish;
mod publishers;
mod refresh;
mod repository;
mod rotate;
mod search;
mod settings;
mod write;
mod yank;

pub use advise::{Advised, advise};
pub use apply::{Applied, apply};
pub use attest::{Attested, attest};
pub use bundle::unbundle;
pub use clean::{Age, Cleaned, clean};
pub use commit::{KeySource, Signing};
pub use draft::{Draft, Missing, targets_role};
pub use error::{Error, Result};
pub use init::{Created, NewRegistry, RoleKeys, create};
pub use mirror::{Extent, KeptList, Mirrored, Part, Supply, add_blobs, add_list, bundle, mirror};
pub use publish::{PublishOptions, Published, State, Writing, publish, publish_into_nothing};
pub use publishers::{NewPublishers, PublishersNow};
pub use refresh::{Refreshed, refresh};
pub use repository::Repository;
pub use rotate::{RotatedRole, Rotation};
pub use settings::{Lifetime, Lifetimes};
pub use yank::{Withdrawal, yank};
