//! Beginning to write to the disk what will be synced later.

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// Asks the system to begin writing `length` bytes of `file` from `offset` on to the disk, and does
/// not wait for it. So a sync at the end of a long file finds little left to do; it is still the sync
/// alone that says whether the bytes are there, and a refusal here means nothing.
pub fn begin_writeback(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else { return };
    // SAFETY: the call takes numbers alone, and the descriptor is open as long as `file` lives.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE);
    }
}
