//! The `.mpkg` container: a canonical tar in many zstd frames, with tables that let a reader reach
//! each frame (spec/container.md). Writer, strict reader and the checks of foreign bytes.

mod buffers;
mod collect;
mod cut;
mod error;
mod extract;
mod folder;
mod frame;
mod index;
mod limits;
mod package;
mod source;
mod stream;
mod supply;
mod table;
pub(crate) mod tar;
mod unpacked;
mod write;

pub use collect::{collect, from_folder};
pub use error::{Error, Fault, Result};
pub use folder::FolderSink;
pub use index::{index_bytes, package_digest, parse_index};
pub use limits::{LARGEST_FRAME, LARGEST_INDEX, MOST_FILES, MOST_FRAMES};
pub use package::{Package, Sink};
pub use supply::{Form, Reach, Run, Supply};
pub use table::{Chunk, ChunkTable};
pub use unpacked::Unpacked;
pub use write::{ChunksPlace, Contents, Packed, WriteOptions, pack_folder, write_package};

#[cfg(test)]
mod tests;
