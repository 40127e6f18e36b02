//! Files: atomic writes, locks, safe joins; every error carries its path.

mod atomic;
mod error;
mod lock;
mod writeback;

pub use atomic::{
    Staging, create_folder, put_folder, read, read_to_string, remove_folder, sync_folder, touch,
    write_atomically, write_privately,
};
pub use error::{Error, Result};
pub use lock::Lock;
pub use writeback::begin_writeback;
