//! The limits of the container (spec/container.md, "Limits").

/// The longest package index, in bytes.
pub const LARGEST_INDEX: u64 = 64 << 20;
/// The most files that a package may hold.
pub const MOST_FILES: usize = 500_000;
/// The most data frames of a package.
pub const MOST_FRAMES: u32 = 1 << 20;
/// The most bytes that a frame may unpack to; the index's own frame is as long as the index.
pub const LARGEST_FRAME: u32 = 8 << 20;
/// The largest window that a frame may ask for, as a power of two: 128 MiB.
pub(super) const LARGEST_WINDOW_LOG: u32 = 27;
/// The most bytes of the whole tar stream; sums below it cannot overflow.
pub(super) const LARGEST_STREAM: u64 = 1 << 62;
