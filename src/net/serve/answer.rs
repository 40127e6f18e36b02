//! Answering a request: which file, which part of it, and the headers that say so.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::Site;
use super::request::Request;
use crate::package::Digest;

/// What is sent back.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    /// The bytes from `start` on, `length` of them.
    body: Option<(File, u64)>,
    length: u64,
}

/// A file and what names its contents.
struct Found {
    file: File,
    size: u64,
    tag: String,
    never_changes: bool,
}

/// What a request's range comes to.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    From { start: u64, length: u64 },
    Nothing,
}

impl Site {
    pub(super) fn answer(&self, request: &Request) -> Answer {
        if !(self.allows)(&request.path) {
            return Answer::status(404);
        }
        match self.find(&request.path) {
            Ok(Some(found)) => Answer::of(found, request),
            Ok(None) => Answer::status(404),
            Err(error) => {
                tracing::warn!("{}/{}: {error}", self.folder.display(), request.path);
                Answer::status(500)
            }
        }
    }

    /// Opens a regular file beneath the folder, following no link.
    fn find(&self, path: &str) -> std::io::Result<Option<Found>> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // A FIFO must not hold us up.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat2(&self.handle, path, flags, Mode::empty(), resolve);
        let file = match opened {
            Ok(handle) => File::from(handle),
            Err(
                rustix::io::Errno::NOENT
                | rustix::io::Errno::NOTDIR
                | rustix::io::Errno::LOOP
                | rustix::io::Errno::XDEV
                | rustix::io::Errno::NAMETOOLONG
                | rustix::io::Errno::INVAL,
            ) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let data = file.metadata()?;
        if !data.is_file() {
            return Ok(None);
        }
        let digest = digest_in(path);
        let tag = match digest {
            Some(digest) => format!("\"{digest}\""),
            None => format!("\"{:x}-{:x}-{:x}\"", data.size(), data.mtime(), data.mtime_nsec()),
        };
        Ok(Some(Found { file, size: data.size(), tag, never_changes: digest.is_some() }))
    }
}

/// The digest that a file's name states, as `ab12…` and `ab12….NAME.json` do: then the name stands
/// for these bytes alone.
fn digest_in(path: &str) -> Option<Digest> {
    path.rsplit('/').next()?.split('.').next()?.parse().ok()
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        let headers = match status {
            405 => vec![("Allow", "GET, HEAD".to_owned())],
            _ => Vec::new(),
        };
        Self { status, headers, body: None, length: 0 }
    }

    fn of(found: Found, request: &Request) -> Self {
        let caching = match found.never_changes {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        let mut answer = Self::status(200);
        answer.headers = vec![
            ("ETag", found.tag.clone()),
            ("Cache-Control", caching.to_owned()),
            ("Accept-Ranges", "bytes".to_owned()),
        ];
        if request.if_none_match.as_deref().is_some_and(|tags| names(tags, &found.tag)) {
            answer.status = 304;
            return answer;
        }
        let applies = request.if_range.as_deref().is_none_or(|tag| tag == found.tag);
        let range = request.range.as_deref().filter(|_| applies);
        let (start, length) = match range.map_or(Part::Whole, |range| part(range, found.size)) {
            Part::Whole => (0, found.size),
            Part::From { start, length } => {
                let end = start + length - 1;
                answer.status = 206;
                let place = format!("bytes {start}-{end}/{}", found.size);
                answer.headers.push(("Content-Range", place));
                (start, length)
            }
            Part::Nothing => {
                answer.status = 416;
                answer.headers.push(("Content-Range", format!("bytes */{}", found.size)));
                return answer;
            }
        };
        answer.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        answer.body = Some((found.file, start));
        answer.length = length;
        answer
    }

    /// Sends it; `request` is missing where it was not understood.
    pub(super) fn send(
        self,
        mut stream: &TcpStream,
        request: Option<&Request>,
        stays: bool,
    ) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if self.status != 304 {
            let _ = write!(head, "Content-Length: {}\r\n", self.length);
        }
        let connection = if stays { "keep-alive" } else { "close" };
        let _ = write!(head, "Connection: {connection}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let wants_body = request.is_some_and(|request| !request.head_only);
        let Some((mut file, start)) = self.body.filter(|_| wants_body) else { return Ok(()) };
        file.seek(SeekFrom::Start(start))?;
        match std::io::copy(&mut file.take(self.length), &mut stream)? {
            sent if sent == self.length => Ok(()),
            // The length was promised; only the end of the connection can tell.
            _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Whether an `If-None-Match` names `tag`.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// The part of a file of `size` bytes that a `Range` asks for. What is no single range of bytes
/// is passed over, as RFC 9110 section 14.2 allows.
fn part(range: &str, size: u64) -> Part {
    let Some(range) = range.strip_prefix("bytes=").map(str::trim) else { return Part::Whole };
    let Some((first, last)) = range.split_once('-') else { return Part::Whole };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(start), _) if start >= size && (last.is_empty() || number(last).is_some()) => {
            Part::Nothing
        }
        (Some(start), None) if last.is_empty() => Part::From { start, length: size - start },
        (Some(start), Some(end)) if end >= start => {
            Part::From { start, length: end.min(size - 1) - start + 1 }
        }
        (None, Some(0)) if first.is_empty() => Part::Nothing,
        (None, Some(_)) if first.is_empty() && size == 0 => Part::Nothing,
        (None, Some(length)) if first.is_empty() => {
            Part::From { start: size.saturating_sub(length), length: length.min(size) }
        }
        _ => Part::Whole,
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let from = |start, length| Part::From { start, length };
        for (range, expected) in [
            ("bytes=0-0", from(0, 1)),
            ("bytes=2-4", from(2, 3)),
            ("bytes=2-", from(2, 8)),
            ("bytes=2-99999999999999999999", from(2, 8)),
            ("bytes=-3", from(7, 3)),
            ("bytes=-30", from(0, 10)),
            ("bytes=9-", from(9, 1)),
            ("bytes=10-", Part::Nothing),
            ("bytes=10-12", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=-", Part::Whole),
            ("items=0-1", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Nothing);
        assert_eq!(part("bytes=-1", 0), Part::Nothing);
    }

    #[test]
    fn digests_in_names() {
        let digest = Digest::of(b"");
        assert_eq!(digest_in(&format!("blobs/sha256/e3/{digest}")), Some(digest));
        assert_eq!(digest_in(&format!("index/{digest}.lm.json")), Some(digest));
        assert_eq!(digest_in("metadata/timestamp.json"), None);
        assert_eq!(digest_in(""), None);
    }

    #[test]
    fn tags_are_compared_weakly() {
        assert!(names("\"a\", W/\"b\"", "\"b\"") && names("*", "\"b\""));
        assert!(!names("\"a\"", "\"b\""));
    }
}
