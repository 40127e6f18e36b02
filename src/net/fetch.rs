//! Fetching a file by digest from the first address that has it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::client::{Begin, wait};
use super::part::{Origin, Part, Watch, pump};
use super::{Address, Client, Error, Result};
use crate::package::Digest;
use crate::progress::{Progress, Task, Unit};

/// An attempt that brought this much, or a sixteenth of the whole, was worth another try.
const WORTH: u64 = 1 << 20;

/// What to fetch.
#[derive(Debug, Clone)]
pub struct FetchRequest<'a> {
    /// What it is called on the screen and in messages.
    pub label: &'a str,
    /// The addresses, tried in turn.
    pub addresses: &'a [Address],
    /// The file's digest.
    pub digest: Digest,
    /// The file's size; no more is read.
    pub size: u64,
    /// Set by whoever wants this fetch to end early.
    pub give_up: Option<&'a AtomicBool>,
}

/// A file that is whole and has the right digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it stands in the cache, read-only.
    pub path: PathBuf,
    /// Where it came from.
    pub served: Served,
}

/// Where a file came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// It was in the cache.
    Cache,
    /// This address had it.
    By(Address),
}

impl Client {
    /// Fetches a file into the cache, or finds it there.
    ///
    /// Its bytes are hashed while they are written. What came before a connection broke is kept
    /// and the rest alone is asked for, by this call and by later ones. Two processes that want
    /// the same digest wait for each other.
    ///
    /// # Errors
    /// What the one address said, or [`Error::Nowhere`] with what each of several said. Nothing
    /// with a wrong digest or size is kept.
    pub fn fetch(&self, request: &FetchRequest<'_>, progress: &dyn Progress) -> Result<Fetched> {
        let from_cache = |path| Fetched { path, served: Served::Cache };
        if let Some(path) = self.cache().get(request.digest, request.size)? {
            return Ok(from_cache(path));
        }
        let mut part = self.cache().part(request.digest, &|| {
            progress.note(&format!("Waiting for another mpkg that fetches {}", request.label));
        })?;
        if let Some(path) = self.cache().get(request.digest, request.size)? {
            part.discard()?;
            return Ok(from_cache(path));
        }
        let task = progress.start(request.label, Some(request.size), Unit::Bytes);
        let mut failures = Vec::new();
        for address in request.addresses {
            match self.fetch_from(address, request, &mut part, &*task) {
                Ok(()) => {
                    let path = self.cache().take(part, request.digest)?;
                    return Ok(Fetched { path, served: Served::By(address.clone()) });
                }
                Err(error) if error.is_local() => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        if part.length() == 0 {
            part.discard()?;
        }
        match failures.len() {
            1 => Err(failures.remove(0)),
            _ => Err(Error::Nowhere { what: request.label.to_owned(), failures }),
        }
    }

    /// Tries one address until it gives the file or a failure that does not pass.
    fn fetch_from(
        &self,
        address: &Address,
        request: &FetchRequest<'_>,
        part: &mut Part,
        task: &dyn Task,
    ) -> Result<()> {
        let mut pauses = self.pauses();
        let mut began_anew = false;
        let worth = WORTH.min(request.size / 16 + 1);
        loop {
            let before = part.length();
            match self.attempt(address, request, part, task) {
                Err(error) if error.is_passing() => {
                    if part.length().saturating_sub(before) >= worth {
                        pauses = self.pauses();
                    }
                    let Some(pause) = pauses.next() else { return Err(error) };
                    wait(pause, &error);
                }
                // The bytes came in several answers: one of them may be of another file.
                Err(Error::WrongDigest { .. }) if part.answers > 1 && !began_anew => {
                    began_anew = true;
                    part.restart()?;
                }
                Err(error @ (Error::WrongDigest { .. } | Error::WrongSize { .. })) => {
                    part.restart()?;
                    return Err(error);
                }
                result => return result,
            }
        }
    }

    /// One request, if one is needed, and the check of what there is then.
    fn attempt(
        &self,
        address: &Address,
        request: &FetchRequest<'_>,
        part: &mut Part,
        task: &dyn Task,
    ) -> Result<()> {
        if part.length() > request.size {
            part.restart()?;
        }
        if part.length() < request.size || request.size == 0 {
            self.transfer(address, request, part, task)?;
        } else {
            // It was left whole by a process that was killed before it could say so. Whatever
            // is wrong with it, this address is not to blame yet.
            part.answers = 2;
        }
        if part.length() < request.size {
            return Err(Error::BrokenOff {
                address: address.clone(),
                expected: request.size,
                found: part.length(),
                cause: "the answer is shorter".to_owned(),
            });
        }
        part.finish(request.digest, request.size, address)
    }

    fn transfer(
        &self,
        address: &Address,
        request: &FetchRequest<'_>,
        part: &mut Part,
        task: &dyn Task,
    ) -> Result<()> {
        let key = address.key();
        let origin = part.origin().filter(|origin| origin.address == key);
        let begin = match part.length() {
            0 => Begin::Start,
            length => Begin::At(length, origin.as_ref().map(|o| o.validator.as_str())),
        };
        let opened = match self.open(address, begin) {
            // A server that cannot go on from there may still give the whole.
            Err(error) if begin != Begin::Start && error.is_about_the_range() => {
                part.restart()?;
                self.open(address, Begin::Start)?
            }
            opened => opened?,
        };
        if let Some(found) = opened.size
            && found != request.size
        {
            return Err(Error::WrongSize {
                address: address.clone(),
                expected: request.size,
                found: found.to_string(),
            });
        }
        if opened.start == 0 {
            let origin = opened.validator.map(|validator| Origin { address: key, validator });
            part.begin(origin.as_ref())?;
        } else {
            part.answers += 1;
        }
        task.set(part.length(), Some(request.size));
        let watch = Watch {
            address,
            task: Some(task),
            give_up: request.give_up,
            window: Some(self.options.idle),
        };
        let mut reader = opened.reader;
        pump(&mut *reader, part, request.size, &watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{NetOptions, Network};
    use crate::progress::Silent;

    fn request<'a>(addresses: &'a [Address], bytes: &[u8]) -> FetchRequest<'a> {
        FetchRequest {
            label: "plays",
            addresses,
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            give_up: None,
        }
    }

    #[test]
    fn files_are_fetched_from_the_first_path_that_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let client = Client::new(NetOptions::new(path("cache"), Network::Offline));
        crate::fs::write_atomically(&path("wrong"), b"abd").unwrap();
        crate::fs::write_atomically(&path("right"), b"abc").unwrap();
        let addresses = ["none", "wrong", "right"].map(|name| Address::Path(path(name)));

        let error = client.fetch(&request(&addresses[..2], b"abc"), &Silent).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("none is not there"), "{text}");
        assert!(text.contains("wrong has the wrong digest"), "{text}");
        assert_eq!(std::fs::read_dir(path("cache/partial")).unwrap().count(), 0);

        let fetched = client.fetch(&request(&addresses, b"abc"), &Silent).unwrap();
        assert_eq!(fetched.served, Served::By(addresses[2].clone()));
        let again = client.fetch(&request(&[], b"abc"), &Silent).unwrap();
        assert_eq!((again.served, again.path), (Served::Cache, fetched.path));
    }

    #[test]
    fn an_empty_file_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        crate::fs::write_atomically(&path, b"").unwrap();
        let client = Client::new(NetOptions::new(folder.path().join("c"), Network::Offline));
        let fetched = client.fetch(&request(&[Address::Path(path)], b""), &Silent).unwrap();
        assert_eq!(fetched.path.metadata().unwrap().len(), 0);
    }

    #[test]
    fn wrong_leftovers_of_a_killed_process_are_fetched_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("right");
        crate::fs::write_atomically(&path, b"abcdef").unwrap();
        let client = Client::new(NetOptions::new(folder.path().join("c"), Network::Offline));
        let addresses = [Address::Path(path)];
        for leftover in ["abc", "abX", "abcdeX", "abcdef", "abcdefg"] {
            let request = request(&addresses, b"abcdef");
            let partial = folder.path().join(format!("c/partial/{}.part", request.digest));
            std::fs::create_dir_all(partial.parent().unwrap()).unwrap();
            crate::fs::write_atomically(&partial, leftover.as_bytes()).unwrap();
            let fetched = client.fetch(&request, &Silent).unwrap();
            assert_eq!(std::fs::read(&fetched.path).unwrap(), b"abcdef", "{leftover}");
            assert!(!partial.exists());
            std::fs::remove_file(&fetched.path).unwrap();
        }
    }
}
