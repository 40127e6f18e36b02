//! The time of a run, and what it makes of metadata that has expired.

use std::path::PathBuf;

use super::shelf::read_file;
use super::{Error, Head, Result};
use crate::fs;

/// By how much a clock may go back before it is noticed.
const TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How much later it must be before that is written down.
const STEP: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// The time of a run: fixed when it begins (specification, section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When the run began.
    pub now: jiff::Timestamp,
    /// Until when metadata that has expired is accepted, where somebody said so.
    pub stale_until: Option<jiff::Timestamp>,
}

impl Clock {
    /// A clock under which metadata that has expired is refused.
    #[must_use]
    pub const fn strict(now: jiff::Timestamp) -> Self {
        Self { now, stale_until: None }
    }

    /// Demands that metadata has not expired, or that this is accepted.
    ///
    /// # Errors
    /// [`Error::Expired`].
    pub fn demand(&self, role: &str, head: &Head) -> Result<()> {
        let accepted = self.stale_until.is_some_and(|until| self.now < until);
        match head.expires <= self.now && !accepted {
            true => Err(Error::Expired { role: role.to_owned(), expired: head.expires }),
            false => Ok(()),
        }
    }
}

/// When a registry was last read, in a file of its own.
#[derive(Debug, Clone)]
pub struct LastSeen {
    path: PathBuf,
}

impl LastSeen {
    /// The time kept in the file `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Demands that `now` is not before the time that is kept.
    ///
    /// # Errors
    /// [`Error::Clock`]; file errors.
    pub fn demand(&self, now: jiff::Timestamp) -> Result<()> {
        match self.read()? {
            Some(last_seen) if now < last_seen - TOLERANCE => {
                Err(Error::Clock { now, last_seen, path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Keeps `now`, where it is later than what is kept.
    ///
    /// # Errors
    /// File errors.
    pub fn keep(&self, now: jiff::Timestamp) -> Result<()> {
        if self.read()?.is_some_and(|last_seen| now < last_seen + STEP) {
            return Ok(());
        }
        Ok(fs::write_atomically(&self.path, format!("{now:.0}\n").as_bytes())?)
    }

    /// What is kept. A file that holds no time holds nothing back.
    fn read(&self) -> Result<Option<jiff::Timestamp>> {
        let bytes = read_file(&self.path, 100)?.unwrap_or_default();
        Ok(str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn case_04_a_clock_before_the_last_seen_time() {
        let folder = tempfile::tempdir().unwrap();
        let last_seen = LastSeen::at(folder.path().join("last-seen"));
        last_seen.demand(time("1970-01-01T00:00:00Z")).unwrap();
        last_seen.keep(time("2030-01-01T12:00:00.9Z")).unwrap();
        last_seen.demand(time("2030-01-01T11:55:00Z")).unwrap();
        let error = last_seen.demand(time("2030-01-01T11:54:59Z")).unwrap_err();
        assert!(matches!(error, Error::Clock { .. }));
        last_seen.keep(time("2029-01-01T00:00:00Z")).unwrap();
        assert_eq!(last_seen.read().unwrap(), Some(time("2030-01-01T12:00:00Z")));
        last_seen.keep(time("2030-01-01T12:01:00Z")).unwrap();
        assert_eq!(last_seen.read().unwrap(), Some(time("2030-01-01T12:01:00Z")));
    }
}
