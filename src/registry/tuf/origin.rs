//! Where metadata and targets are fetched from.

use super::Result;
use crate::net::{self, Address};

/// Where metadata and targets are fetched from.
pub trait Origin: Send + Sync {
    /// The bytes of the metadata file `name`, which is one part of a path and percent-encoded; nothing where it is
    /// not there. A longer file than `limit` is an error before it is held in memory.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched.
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;

    /// The same for the target file at `place`, a path of parts.
    ///
    /// # Errors
    /// Whatever keeps it from being fetched.
    fn target(&self, place: &str, limit: u64) -> Result<Option<Vec<u8>>>;
}

impl<T: Origin + ?Sized> Origin for &T {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        (**self).metadata(name, limit)
    }

    fn target(&self, place: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        (**self).target(place, limit)
    }
}

/// Addresses that are asked through the one client.
#[derive(Debug, Clone)]
pub struct NetOrigin<'a> {
    client: &'a net::Client,
    metadata: Address,
    targets: Address,
}

impl<'a> NetOrigin<'a> {
    /// Metadata below one address, targets below another.
    #[must_use]
    pub const fn new(client: &'a net::Client, metadata: Address, targets: Address) -> Self {
        Self { client, metadata, targets }
    }

    fn get(&self, address: &Address, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.client.get_small(address, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(net::Error::NotThere { .. }) => Ok(None),
            // Some stores of files say so where others say that there is none.
            Err(net::Error::Status { status, .. }) if status.as_u16() == 403 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Origin for NetOrigin<'_> {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.get(&self.metadata.join_encoded(name), limit)
    }

    fn target(&self, place: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.get(&self.targets.join(place), limit)
    }
}
