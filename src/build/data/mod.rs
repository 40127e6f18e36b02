//! Data references: from the manifest's words to files that a build can read (spec/data.md).
//!
//! [`Fetcher::fetch`] brings the bytes of every reference into the cache, checked;
//! [`Fetcher::materialise`] makes of them the file or folder that `{data.NAME}` stands for,
//! without the network.

mod ar;
mod check;
mod deb;
mod entries;
mod error;
mod exclusions;
mod fetch;
mod materialise;
mod member;
mod parallel;
mod pypi;
mod read;
mod records;
mod select;
mod shards;
mod tool;
mod tree;
mod unpack;
mod watch;
mod withdrawal;

pub use check::{Checked, Depth};
pub use error::{Error, Result};
pub use exclusions::{Exclusions, Judge, LONGEST_LIST, ListReceipt, Receipt, Rule};
pub use fetch::{ByDigest, FetchedData, Fetcher, Planned, Provenance, shown};
pub use records::LONGEST_RECORD;
pub use withdrawal::{Scan, Seen, Selector};
