//! Finds the passages of a text that stand verbatim in training data (spec/study.md, "Tracing").
//!
//! The text of one data reference or package is laid out in *shards*, and the suffixes of each
//! shard are put in order once. A passage is then found by halving; the files are mapped into
//! memory and only the pages that are looked at are read.

mod compare;
mod documents;
mod index;
mod order;
mod passages;
#[cfg(test)]
mod tests;

pub use compare::{Whitespace, fold};
pub use documents::{Document, documents_of, is_compressed};
pub use index::{Index, Place, Places, Sizes};
pub use passages::outermost;

/// Ends each document in a shard, and matches nothing: no UTF-8 text has this byte.
const END: u8 = 0xff;
/// The longest text that is traced at once, in bytes.
pub const LONGEST_TEXT: usize = 256 << 10;
/// The shortest passage that can be asked for, in bytes.
pub const SHORTEST_PASSAGE: usize = 8;
