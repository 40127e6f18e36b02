//! `mpkg registry serve`: a registry's files over HTTP.

use std::net::SocketAddr;
use std::path::Path;

use crate::net::serve::{Error, Server};
use crate::registry::{self, layout};

/// Listens on `address` for requests of the registry in `folder`; [`Server::run`] serves them.
///
/// # Errors
/// [`registry::Error::NotARegistry`], and whatever keeps it from listening.
pub fn open(folder: &Path, address: SocketAddr) -> registry::Result<Server> {
    if !folder.join(layout::MARKER).is_file() {
        return Err(registry::Error::NotARegistry { location: folder.display().to_string() });
    }
    Server::bind(folder, address, layout::is_public).map_err(|error: Error| error.into())
}
