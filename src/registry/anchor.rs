//! Why a registry is believed on this machine: `HOME/trust/registries/NAME/` (spec/metadata.md).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout;
use super::tuf::{
    self, Clock, Error, LastSeen, NetOrigin, Origin as _, Reach, Result, Shelf, TopLevel, View,
};
use crate::crypto::canonical::{self, Limits};
use crate::fs;
use crate::net::{Address, Client};
use crate::package::{Digest, RegistryName};

/// The longest root that is read, in bytes.
const LARGEST_ROOT: u64 = 512 << 10;
/// How many roots are looked through for one digest.
const MOST_ROOTS: u64 = 256;
/// The file that says until when metadata that has expired is accepted.
const STALE: &str = "stale-until";
/// The file that says when the registry was last read.
const LAST_SEEN: &str = "last-seen";
/// The file whose lock is held while the metadata is brought up to date.
const LOCK: &str = "lock";

/// How the first root of a registry is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstRoot {
    /// By the SHA-256 of its file, which came from somewhere else.
    Sha256(Digest),
    /// It came from somewhere else itself: the bytes of its file.
    Bytes(Vec<u8>),
    /// It is not: whatever the registry says at first use is believed.
    FirstUse,
}

/// What was seen when a registry was trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSight {
    /// The SHA-256 of the first root's file.
    pub first_root: Digest,
    /// The version of the newest root that it led to.
    pub version: u64,
    /// The ids of the newest root's keys.
    pub keys: Vec<String>,
    /// How many of them must sign the next root.
    pub threshold: u32,
}

/// The trusted metadata of one registry.
#[derive(Debug, Clone)]
pub struct Anchor {
    folder: PathBuf,
}

/// That metadata that has expired is accepted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stale {
    /// When that was said.
    accepted: jiff::Timestamp,
    /// Until when it holds.
    until: jiff::Timestamp,
}

impl Anchor {
    /// What is trusted of the registry `name`, below the folder `trust` (`HOME/trust`).
    #[must_use]
    pub fn of(trust: &Path, name: &RegistryName) -> Self {
        Self { folder: trust.join("registries").join(name.as_str()) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a root is trusted.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.folder.join("root.json").is_file()
    }

    /// Begins to trust the registry at `address`, in place of what was trusted before under this
    /// name: its first root as `first` says, then everything that leads from there to now.
    ///
    /// # Errors
    /// [`Error::OtherRoot`]; the reason why something is not believed; what keeps something from
    /// being fetched. Then everything is as it was.
    pub fn set(
        &self,
        address: &Address,
        first: &FirstRoot,
        client: &Client,
        clock: Clock,
    ) -> Result<FirstSight> {
        let origin = origin(address, client);
        let bytes = first_root(&origin, first)?;
        tuf::check_root(&bytes)?;
        let parent = self.folder.parent().unwrap_or(&self.folder);
        fs::create_folder(parent)?;
        let staging = tempfile::Builder::new()
            .prefix(".mpkg-staging-")
            .tempdir_in(parent)
            .map_err(fs::Error::at("create a folder in", parent))?;
        let shelf = Shelf::at(staging.path());
        shelf.write(TopLevel::Root.as_str(), &bytes)?;
        let view = View::refresh(origin, &shelf, clock, Reach::of(address, client))?;
        LastSeen::at(staging.path().join(LAST_SEEN)).keep(clock.now)?;
        if let Some(until) = clock.stale_until {
            Self { folder: staging.path().to_owned() }.accept_stale(until, clock.now)?;
        }
        let sight = FirstSight::of(&bytes, &view);
        // What was trusted before goes with the staging folder.
        fs::put_folder(staging.path(), &self.folder)?;
        fs::sync_folder(parent)?;
        Ok(sight)
    }

    /// Trusts the registry no more.
    ///
    /// # Errors
    /// File errors.
    pub fn remove(&self) -> fs::Result<()> {
        fs::remove_folder(&self.folder)
    }

    /// Until when metadata that has expired is accepted, where somebody said so.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub fn stale_until(&self) -> Result<Option<jiff::Timestamp>> {
        let path = self.folder.join(STALE);
        match fs::read_to_string(&path, 1 << 10) {
            Ok(text) => {
                let limits = Limits::of_bytes(1 << 10);
                let stale: Stale = canonical::read_canonical(text.as_bytes(), limits)?;
                Ok(Some(stale.until))
            }
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Accepts metadata that has expired, until then; the time is kept beside the trust.
    ///
    /// # Errors
    /// File errors.
    pub fn accept_stale(&self, until: jiff::Timestamp, now: jiff::Timestamp) -> Result<()> {
        let stale = serde_json::to_value(Stale { accepted: now, until });
        let bytes = canonical::to_vec(&stale.expect("times are JSON"))?;
        Ok(fs::write_atomically(&self.folder.join(STALE), &bytes)?)
    }

    /// Brings the trusted metadata of the registry at `address` up to date, and shows what it
    /// says. Where `clock` accepts metadata that has expired, that is kept; else what was kept
    /// holds.
    ///
    /// # Errors
    /// [`Error::NoRoot`], [`Error::Clock`]; the reason why something is not believed; what keeps
    /// something from being fetched.
    pub fn view<'a>(
        &self,
        address: &Address,
        client: &'a Client,
        clock: Clock,
    ) -> Result<View<'a>> {
        if !self.is_set() {
            return Err(Error::NoRoot(self.folder.join("root.json")));
        }
        let _lock = fs::Lock::acquire(&self.folder.join(LOCK), || {})?;
        let last_seen = LastSeen::at(self.folder.join(LAST_SEEN));
        last_seen.demand(clock.now)?;
        let kept = self.stale_until()?;
        if let Some(until) = clock.stale_until.filter(|until| kept != Some(*until)) {
            self.accept_stale(until, clock.now)?;
        }
        let clock = Clock { stale_until: clock.stale_until.or(kept), ..clock };
        let reach = Reach::of(address, client);
        let view = View::refresh(origin(address, client), &Shelf::at(&self.folder), clock, reach)?;
        last_seen.keep(clock.now)?;
        Ok(view)
    }
}

impl FirstSight {
    fn of(first: &[u8], view: &View<'_>) -> Self {
        use tuf::Metadata as _;
        let role = view.root().role(TopLevel::Root);
        Self {
            first_root: Digest::of(first),
            version: view.root().version(),
            keys: role.map(|role| role.keyids.clone()).unwrap_or_default(),
            threshold: role.map_or(0, |role| role.threshold.get()),
        }
    }
}

/// The metadata and targets of the registry at `address`.
fn origin<'a>(address: &Address, client: &'a Client) -> NetOrigin<'a> {
    NetOrigin::new(client, address.join(layout::METADATA), address.clone())
}

/// The root that trust begins with.
fn first_root(origin: &NetOrigin<'_>, first: &FirstRoot) -> Result<Vec<u8>> {
    let root = |version: u64| -> Result<Option<Vec<u8>>> {
        origin.metadata(&format!("{version}.root.json"), LARGEST_ROOT)
    };
    let one = || root(1)?.ok_or(Error::NoFirstRoot);
    let expected = match first {
        FirstRoot::Bytes(bytes) => return Ok(bytes.clone()),
        FirstRoot::FirstUse => return one(),
        FirstRoot::Sha256(expected) => *expected,
    };
    let mut bytes = one()?;
    let first = Digest::of(&bytes);
    for version in 2..=MOST_ROOTS {
        if Digest::of(&bytes) == expected {
            return Ok(bytes);
        }
        match root(version)? {
            Some(next) => bytes = next,
            None => break,
        }
    }
    Err(Error::OtherRoot { expected, first })
}
