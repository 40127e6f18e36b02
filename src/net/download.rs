//! Downloading a file whose digest nobody knows: an archive that a member is taken from.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::client::{Begin, wait};
use super::part::{Origin, Part, Watch, pump};
use super::{Address, Client, Error, Result};
use crate::package::Digest;
use crate::progress::{Progress, Task, Unit};

/// A downloaded file; it is removed when this is dropped.
#[derive(Debug)]
pub struct Downloaded {
    /// `None` once it is removed.
    part: Option<Part>,
}

impl Downloaded {
    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.part.as_ref().map_or(Path::new(""), Part::path)
    }
}

impl Drop for Downloaded {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            // A file that stays is taken up by the next download from that address.
            let _ = part.discard();
        }
    }
}

impl Client {
    /// Downloads at most `limit` bytes from `address`. Nothing says whether they are the right
    /// ones; what is made of them has to be checked.
    ///
    /// A download that broke off is gone on with only while the server says that the file is
    /// still the same.
    ///
    /// # Errors
    /// What kept the file from being read, after some attempts.
    pub fn download(
        &self,
        label: &str,
        address: &Address,
        limit: u64,
        give_up: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Downloaded> {
        let key = Digest::of(format!("download {}", address.key()).as_bytes());
        let mut part = self.cache().part(key, &|| {
            progress.note(&format!("Waiting for another mpkg that fetches {label}"));
        })?;
        let task = progress.start(label, None, Unit::Bytes);
        let mut pauses = self.pauses();
        loop {
            let before = part.length();
            match self.go_on(address, &mut part, limit, give_up, &*task) {
                Ok(()) => return Ok(Downloaded { part: Some(part) }),
                Err(error) if error.is_passing() => {
                    if part.length() > before {
                        pauses = self.pauses();
                    }
                    let Some(pause) = pauses.next() else { return Err(error) };
                    wait(pause, &error);
                }
                Err(error) => {
                    if !matches!(error, Error::GivenUp) {
                        part.discard()?;
                    }
                    return Err(error);
                }
            }
        }
    }

    fn go_on(
        &self,
        address: &Address,
        part: &mut Part,
        limit: u64,
        give_up: &AtomicBool,
        task: &dyn Task,
    ) -> Result<()> {
        let key = address.key();
        let origin = part.origin().filter(|origin| origin.address == key);
        let begin = match (&origin, part.length()) {
            (Some(origin), length) if length > 0 => Begin::At(length, Some(&origin.validator)),
            _ => Begin::Start,
        };
        let opened = match self.open(address, begin) {
            Err(error) if begin != Begin::Start && error.is_about_the_range() => {
                part.restart()?;
                self.open(address, Begin::Start)?
            }
            opened => opened?,
        };
        if opened.size.is_some_and(|size| size > limit) {
            return Err(Error::TooLong { address: address.clone(), limit });
        }
        if opened.start == 0 {
            let origin = opened.validator.map(|validator| Origin { address: key, validator });
            part.begin(origin.as_ref())?;
        }
        task.set(part.length(), opened.size);
        let size = opened.size.unwrap_or(limit);
        let watch = Watch {
            address,
            task: Some(task),
            give_up: Some(give_up),
            window: Some(self.options.idle),
        };
        let mut reader = opened.reader;
        pump(&mut *reader, part, size, &watch)?;
        match opened.size {
            Some(expected) if part.length() < expected => Err(Error::BrokenOff {
                address: address.clone(),
                expected,
                found: part.length(),
                cause: "the answer is shorter".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
