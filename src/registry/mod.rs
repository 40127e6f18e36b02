//! What a registry says and why it is believed (spec/registry.md).

mod advisories;
mod anchor;
mod entry;
mod error;
mod incoming;
pub mod layout;
pub mod operator;
mod policy;
mod reader;
mod sources;
mod succession;
mod trust;
pub mod tuf;

pub use advisories::{
    ADVISORY_TYPE, AdvisoryEntry, AdvisoryList, Notice, NoticeError, VEX_TYPE, VexEntry,
};
pub use anchor::{Anchor, FirstRoot, FirstSight};
pub use entry::{
    Attachment, AttachmentRole, ChunksPlace, INDEX_FORMAT, Marker, NameIndex, Publishers,
    ReleaseEntry, Representation, SearchEntry, SearchList,
};
pub use error::{Error, Result};
pub use incoming::Incoming;
pub use policy::{Allowed, Facts, Forbidden, POLICY_NAME, Policies, PolicyError, Rebuild};
pub use reader::Registry;
pub use sources::{HIGHEST_PRIORITY, SOURCES_NAME, Selection, Source, Sources, SourcesError};
pub use succession::{Authority, CHANGE_TYPE, PublisherChange, TargetsRole, leads_to};
pub use trust::Remembered;
