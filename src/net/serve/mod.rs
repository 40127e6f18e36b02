//! A small HTTP server of static files, for trying a registry out and for machines that have no
//! other: GET and HEAD, single ranges, connections kept alive, several at once.
//!
//! It follows RFC 9110 and RFC 9112 as far as a client of static files can tell. Files are opened
//! beneath the folder's handle without following links, and only where the caller's rule allows
//! the path, so that no request leads elsewhere.

mod answer;
mod request;

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::explain::Explain;
use crate::fs;

use request::{Refused, Request};

/// The most connections that are served at once; further ones are told to come back.
const MOST_CONNECTIONS: usize = 128;
/// How long a client may say nothing, or take nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be opened.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Listen { .. } => "cannot-listen",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Listen { .. } => {
                Some("choose another port with --bind, or 0 for any that is free".to_owned())
            }
        }
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
    running: Arc<AtomicUsize>,
}

/// What is served.
#[derive(Debug)]
struct Site {
    folder: PathBuf,
    handle: OwnedFd,
    /// Whether the file at a path below the folder, `/` between its parts, may be asked for.
    allows: fn(&str) -> bool,
}

impl Server {
    /// Listens on `address` for requests of the files below `folder` that `allows` names.
    ///
    /// # Errors
    /// When the folder cannot be opened or the address not be listened on.
    pub fn bind(
        folder: &Path,
        address: SocketAddr,
        allows: fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(folder, flags, Mode::empty())
            .map_err(|errno| fs::Error::at("open the folder", folder)(errno.into()))?;
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let site = Arc::new(Site { folder: folder.to_owned(), handle, allows });
        Ok(Self { listener, address, site, running: Arc::default() })
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends.
    pub fn run(&self) {
        for stream in self.listener.incoming() {
            // A connection that failed before it began is its client's loss alone.
            let Ok(stream) = stream else { continue };
            let running = Arc::clone(&self.running);
            if running.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
                running.fetch_sub(1, Ordering::SeqCst);
                turn_away(stream);
                continue;
            }
            let site = Arc::clone(&self.site);
            let thread = std::thread::Builder::new().spawn(move || {
                // A client that goes away ends its own connection, and nothing else.
                let _ = serve(&stream, &site);
                running.fetch_sub(1, Ordering::SeqCst);
            });
            if thread.is_err() {
                self.running.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

fn turn_away(mut stream: TcpStream) {
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.write_all(
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
          Connection: close\r\n\r\n",
    );
}

/// Answers the requests of one connection, one after the other.
fn serve(stream: &TcpStream, site: &Site) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let (answer, request) = match Request::read(&mut reader) {
            Ok(Some(request)) => (site.answer(&request), Some(request)),
            Ok(None) => return Ok(()),
            Err(Refused::Broken(error)) => return Err(error),
            Err(Refused::Status(status)) => (answer::Answer::status(status), None),
        };
        let stays = request.as_ref().is_some_and(|request| request.stays);
        answer.send(stream, request.as_ref(), stays)?;
        if !stays {
            return Ok(());
        }
    }
}
