//! The `ar` archives that Debian packages are: finds `data.tar.*`.

use std::io::{self, Read, Seek, SeekFrom};

/// What a Debian package begins with.
pub(super) const MAGIC: &[u8] = b"!<arch>\n";
/// The most members that are looked at; a Debian package has three.
const MOST_MEMBERS: usize = 16;

/// Where the `data.tar` of a Debian package is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DataTar {
    /// What follows `data.tar`: empty, `.gz`, `.xz` or `.zst`.
    pub(super) ending: String,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Finds it in a package of `length` bytes.
pub(super) fn data_tar(package: &mut (impl Read + Seek), length: u64) -> io::Result<DataTar> {
    let mut magic = [0; MAGIC.len()];
    package.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(bad("it does not begin with \"!<arch>\""));
    }
    let mut position = magic.len() as u64;
    for index in 0..MOST_MEMBERS {
        let mut header = [0; 60];
        package.read_exact(&mut header)?;
        position += header.len() as u64;
        let (name, size) = member(&header).ok_or_else(|| bad("a member's header is broken"))?;
        let end = position.checked_add(size).filter(|end| *end <= length);
        let end = end.ok_or_else(|| bad("a member is longer than the package"))?;
        if index == 0 && name != "debian-binary" {
            return Err(bad("its first member is not debian-binary"));
        }
        if let Some(ending) = name.strip_prefix("data.tar") {
            return Ok(DataTar { ending: ending.to_owned(), offset: position, size });
        }
        position = end + (end & 1);
        package.seek(SeekFrom::Start(position))?;
    }
    Err(bad("it has too many members before data.tar"))
}

/// The name and size in a member's header.
fn member(header: &[u8; 60]) -> Option<(&str, u64)> {
    let text = |range: std::ops::Range<usize>| std::str::from_utf8(header.get(range)?).ok();
    let name = text(0..16)?.trim_end_matches(' ').trim_end_matches('/');
    let size = text(48..58)?.trim_end_matches(' ');
    let ends = header.ends_with(b"`\n");
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    (ends && digits && !name.is_empty()).then_some(())?;
    Some((name, size.parse().ok()?))
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A package with these members.
    pub(in crate::build::data) fn package(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, contents) in members {
            let size = contents.len();
            let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644);
            bytes.extend(header.as_bytes());
            bytes.extend(*contents);
            bytes.extend(&b"\n"[..size % 2]);
        }
        bytes
    }

    fn find(bytes: &[u8]) -> io::Result<DataTar> {
        data_tar(&mut io::Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn finds_the_data() {
        let bytes = package(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b"odd"),
            ("data.tar.zst/", b"abcd"),
        ]);
        let found = find(&bytes).unwrap();
        assert_eq!((found.ending.as_str(), found.size), (".zst", 4));
        let offset = usize::try_from(found.offset).unwrap();
        assert_eq!(&bytes[offset..offset + 4], b"abcd");
    }

    #[test]
    fn broken_packages() {
        let whole = package(&[("debian-binary", b"2.0\n"), ("data.tar", b"abcd")]);
        for end in 0..whole.len() {
            assert!(find(&whole[..end]).is_err(), "{end}");
        }
        assert!(find(&package(&[("data.tar", b"abcd")])).is_err());
        let mut many = vec![("debian-binary", &b"2.0\n"[..])];
        many.extend(std::iter::repeat_n(("x", &b""[..]), 40));
        many.push(("data.tar", b""));
        assert!(find(&package(&many)).unwrap_err().to_string().contains("too many"));
        let mut negative = whole.clone();
        negative[56..66].copy_from_slice(b"-1        ");
        assert!(find(&negative).is_err());
    }
}
