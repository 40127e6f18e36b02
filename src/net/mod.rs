//! The only place that makes an HTTP client: addresses, resume, retries, limits, and the cache
//! of whole files by digest (spec/data.md).
//!
//! Invariants: a file stands in the cache under its digest only after all of its bytes were
//! hashed to it; no body is read past the size that is expected of it; nobody's password reaches
//! a message.

mod address;
mod cache;
mod client;
mod download;
mod error;
mod fetch;
mod part;
mod proxies;
mod range;
pub mod serve;

pub use address::Address;
pub use cache::{Cache, Cached};
pub use client::{Client, NetOptions, Network};
pub use download::Downloaded;
pub use error::{Error, Result};
pub use fetch::{FetchRequest, Fetched, Served};
pub use proxies::Proxies;
pub use range::RangeReader;
