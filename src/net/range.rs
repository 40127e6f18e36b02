//! Reading a part of a file in order, taken up again where a connection breaks.

use std::io::{ErrorKind, Read};
use std::ops::Range;

use backon::ExponentialBackoff;

use super::client::{Begin, wait};
use super::part::{Meter, Watch, broken};
use super::{Address, Client, Error, Result};

/// An attempt that brought this much was worth another try.
const WORTH: u64 = 1 << 20;

/// A part of a file. Nothing says that its bytes are the right ones: `If-Range` is not asked,
/// since servers of one name give different tags for one file; whoever reads a part holds each
/// piece of it against a digest.
pub struct RangeReader {
    client: Client,
    address: Address,
    left: Range<u64>,
    /// The size of the whole file.
    size: u64,
    open: Option<(Box<dyn Read + Send>, Meter)>,
    pauses: ExponentialBackoff,
    /// How much came since the last failure.
    brought: u64,
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeReader({}, {:?})", self.address, self.left)
    }
}

impl Client {
    /// Prepares to read `part` of the file of `size` bytes at `address`. The first byte that is
    /// read opens the connection.
    #[must_use]
    pub fn range(&self, address: &Address, part: Range<u64>, size: u64) -> RangeReader {
        RangeReader {
            client: self.clone(),
            address: address.clone(),
            left: part,
            size,
            open: None,
            pauses: self.pauses(),
            brought: 0,
        }
    }
}

impl RangeReader {
    /// The offset of the next byte in the file.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.left.start
    }

    /// Fills `buffer` with the next bytes, in as many attempts as it takes.
    ///
    /// # Errors
    /// [`Error::NoRanges`] where the server gives the whole file alone; [`Error::WrongSize`] where
    /// it says that the file has another size; what keeps it from being read, after some attempts.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(read) => filled += read,
                Err(error) => self.give_way(error)?,
            }
        }
        Ok(())
    }

    /// Waits before another attempt, if one may help.
    fn give_way(&mut self, error: Error) -> Result<()> {
        self.open = None;
        if !error.is_passing() {
            return Err(error);
        }
        if self.brought >= WORTH.min(self.size / 16 + 1) {
            self.pauses = self.client.pauses();
        }
        self.brought = 0;
        match self.pauses.next() {
            Some(pause) => wait(pause, &error),
            None => return Err(error),
        }
        Ok(())
    }

    /// Reads what comes, at least one byte.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left.end - self.left.start)
            .unwrap_or(buffer.len())
            .min(buffer.len());
        let (mut reader, mut meter) = match self.open.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        let watch =
            Watch { window: Some(self.client.options.idle), ..Watch::nobody(&self.address) };
        let read = loop {
            match reader.read(&mut buffer[..wanted]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error, &meter, &watch)),
                Ok(read) => break read,
            }
        };
        if read == 0 {
            return Err(Error::BrokenOff {
                address: self.address.clone(),
                expected: self.size,
                found: self.left.start,
                cause: "the answer is shorter".to_owned(),
            });
        }
        meter.count(read as u64, &watch)?;
        self.left.start += read as u64;
        self.brought += read as u64;
        self.open = Some((reader, meter));
        Ok(read)
    }

    /// Opens the part that is left.
    fn connect(&self) -> Result<(Box<dyn Read + Send>, Meter)> {
        let Range { start, end } = self.left;
        let opened = self.client.open(&self.address, Begin::Between(start, end))?;
        if let Some(found) = opened.size.filter(|found| *found != self.size) {
            return Err(Error::WrongSize {
                address: self.address.clone(),
                expected: self.size,
                found: found.to_string(),
            });
        }
        if opened.start != start {
            return Err(Error::NoRanges { address: self.address.clone() });
        }
        Ok((opened.reader, Meter::new(start, self.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{NetOptions, Network};

    #[test]
    fn parts_of_a_file_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        crate::fs::write_atomically(&path, b"abcdefgh").unwrap();
        let client = Client::new(NetOptions::new(folder.path(), Network::Offline));
        let address = Address::Path(path);
        let mut range = client.range(&address, 2..6, 8);
        let mut buffer = [0; 2];
        range.fill(&mut buffer).unwrap();
        assert_eq!((&buffer, range.position()), (b"cd", 4));
        range.fill(&mut buffer).unwrap();
        assert_eq!(&buffer, b"ef");
        let error = client.range(&address, 2..6, 9).fill(&mut buffer).unwrap_err();
        assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    }
}
