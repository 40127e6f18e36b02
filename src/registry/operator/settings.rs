//! How long signed metadata is good for; kept beside the registry for its operator alone.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::write::Writer;
use super::{Error, Result};
use crate::crypto::canonical::{self, Limits};
use crate::fs;

/// The file; no reader asks for it.
pub(super) const FILE: &str = ".mpkg-settings.json";
const FORMAT: u32 = 1;
const LARGEST: u64 = 64 << 10;

/// For how long a document is good, in whole hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(u32);

impl Lifetime {
    /// A number of days.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(days * 24)
    }

    /// When something signed at `now` ends.
    ///
    /// # Errors
    /// [`Error::TooLate`].
    pub fn after(self, now: jiff::Timestamp) -> Result<jiff::Timestamp> {
        let span = jiff::SignedDuration::from_hours(i64::from(self.0));
        let end = now.checked_add(span).map_err(|_| Error::TooLate)?;
        // Metadata has whole seconds.
        jiff::Timestamp::from_second(end.as_second()).map_err(|_| Error::TooLate)
    }

    /// The moment that lies so long before `now`.
    ///
    /// # Errors
    /// [`Error::TooLate`].
    pub fn before(self, now: jiff::Timestamp) -> Result<jiff::Timestamp> {
        let span = jiff::SignedDuration::from_hours(i64::from(self.0));
        now.checked_sub(span).map_err(|_| Error::TooLate)
    }

    /// Whether less than a third of it is left at `now` of what ends at `expires`.
    pub(super) fn is_nearly_over(self, expires: jiff::Timestamp, now: jiff::Timestamp) -> bool {
        let third = jiff::SignedDuration::from_hours(i64::from(self.0)) / 3;
        expires.duration_since(now) < third
    }
}

impl FromStr for Lifetime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::Lifetime(text.chars().take(80).collect());
        let unit = text.chars().next_back().ok_or_else(refused)?;
        let hours = match unit {
            'h' => 1,
            'd' => 24,
            'w' => 7 * 24,
            'y' => 365 * 24,
            _ => return Err(refused()),
        };
        let number = &text[..text.len() - 1];
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u32>().ok().filter(|number| digits && *number > 0);
        number.and_then(|number| number.checked_mul(hours)).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            hours if hours.is_multiple_of(24) => write!(f, "{}d", hours / 24),
            hours => write!(f, "{hours}h"),
        }
    }
}

/// The lifetimes of all roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// Of roots: two years.
    pub root: Lifetime,
    /// Of the offline targets role: a year.
    pub targets: Lifetime,
    /// Of bins: a year.
    pub bins: Lifetime,
    /// Of snapshots: ninety days.
    pub snapshot: Lifetime,
    /// Of timestamps: thirty days.
    pub timestamp: Lifetime,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            root: Lifetime::days(730),
            targets: Lifetime::days(365),
            bins: Lifetime::days(365),
            snapshot: Lifetime::days(90),
            timestamp: Lifetime::days(30),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    format: u32,
    lifetimes: Lifetimes,
}

impl Lifetimes {
    /// Those kept beside the registry in `folder`; the usual ones where nothing is kept.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn of(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error.into()),
        };
        canonical::read::<Settings>(text.as_bytes(), Limits::of_bytes(text.len()))
            .map(|settings| settings.lifetimes)
            .map_err(|source| Error::Settings { path, source })
    }

    pub(super) fn keep(self, writer: &Writer<'_>) -> Result<()> {
        writer.write_json(FILE, &Settings { format: FORMAT, lifetimes: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_and_written() {
        for (text, hours) in [("1h", 1), ("30d", 720), ("2w", 336), ("100y", 876_000)] {
            assert_eq!(text.parse::<Lifetime>().unwrap(), Lifetime(hours));
        }
        for text in ["", "d", "0d", "-1d", "1", "1m", "1.5d", "99999999y", "é", "1\u{1b}"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
        assert_eq!(Lifetime::days(3).to_string(), "3d");
        assert_eq!(Lifetime(5).to_string(), "5h");
    }

    #[test]
    fn the_last_third_is_near_the_end() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let life = Lifetime::days(30);
        let expires = life.after(now).unwrap();
        assert_eq!(expires.to_string(), "2026-01-31T00:00:00Z");
        let later = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
        assert!(!life.is_nearly_over(expires, later(19)));
        assert!(life.is_nearly_over(expires, later(21)) && life.is_nearly_over(expires, later(40)));
        assert!(matches!(Lifetime(u32::MAX).after(now), Err(Error::TooLate)));
    }
}
