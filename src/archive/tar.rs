//! The canonical tar header: one form for each (path, size, mode), written and compared byte for
//! byte (spec/container.md, "The tar stream").

use crate::package::FileMode;

/// The length of a header and the unit of padding.
pub(crate) const BLOCK: usize = 512;
/// The two zero blocks that end the stream.
pub(super) const TRAILER: u64 = 1024;
/// From this size on a size is written in base 256.
const LARGE: u64 = 1 << 33;

/// The one header that a member may have; none where the path cannot be split to fit.
pub(crate) fn header(path: &str, size: u64, mode: FileMode) -> Option<[u8; BLOCK]> {
    let mut block = [0_u8; BLOCK];
    let (prefix, name) = split(path)?;
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    octal(&mut block[100..108], u64::from(mode.bits()));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    if size < LARGE {
        octal(&mut block[124..136], size);
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    octal(&mut block[136..148], 0);
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block[155] = b' ';
    Some(block)
}

/// Zero bytes that follow contents of `size` bytes.
pub(crate) const fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// The bytes of a member: header, contents and padding.
pub(super) const fn record_length(size: u64) -> u64 {
    BLOCK as u64 + size + padding(size)
}

/// The name field holds paths of up to 100 bytes; of a longer path it holds as much as fits from
/// the earliest `/` on that leaves at most 100 bytes, and the prefix field what stands before it.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let earliest = path.len() - 101;
    let at = earliest + path.as_bytes()[earliest..].iter().position(|byte| *byte == b'/')?;
    let (prefix, name) = (&path[..at], &path[at + 1..]);
    (prefix.len() <= 155 && !name.is_empty()).then_some((prefix, name))
}

/// The field that byte `at` of a header belongs to, for people.
pub(super) const fn field(at: usize) -> &'static str {
    match at {
        ..100 => "name",
        100..108 => "mode",
        108..124 => "owner",
        124..136 => "size",
        136..148 => "time",
        148..156 => "checksum",
        156 => "type",
        157..257 => "link name",
        257..265 => "magic",
        345..500 => "path prefix",
        _ => "unused part",
    }
}

fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    for (place, byte) in field[..digits].iter_mut().rev().enumerate() {
        // Each digit is below eight.
        *byte = b'0' + ((value >> (3 * place)) & 7) as u8;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn read_back(path: &str, size: u64, mode: FileMode) -> (String, u64, u32) {
        let block = header(path, size, mode).unwrap();
        let mut archive = ::tar::Archive::new(block.as_slice().chain(std::io::repeat(0)));
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 0);
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        (path, header.size().unwrap(), header.mode().unwrap())
    }

    #[test]
    fn the_tar_crate_reads_it() {
        let long = format!("{}/{}", "d".repeat(150), "f".repeat(100));
        for (path, size, mode) in [
            ("a", 0, FileMode::Plain),
            (".mpkg/index.json", 511, FileMode::Executable),
            (long.as_str(), (1 << 33) - 1, FileMode::Plain),
            ("big", 1 << 33, FileMode::Plain),
            ("bigger", u64::MAX >> 2, FileMode::Plain),
        ] {
            assert_eq!(read_back(path, size, mode), (path.to_owned(), size, mode.bits()));
        }
    }

    #[test]
    fn a_path_that_cannot_be_split_has_no_header() {
        assert!(header(&"n".repeat(101), 0, FileMode::Plain).is_none());
        assert!(header(&format!("a/{}", "n".repeat(101)), 0, FileMode::Plain).is_none());
        assert!(header(&format!("{}/b", "n".repeat(156)), 0, FileMode::Plain).is_none());
        assert!(header(&"n".repeat(100), 0, FileMode::Plain).is_some());
    }

    #[test]
    fn padding_fills_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
        assert_eq!(record_length(513), 1536);
    }
}
