//! Reading a request, within limits.

use std::io::{BufRead, Read as _};

/// The longest line of a request, in bytes.
const LONGEST_LINE: u64 = 8 << 10;
/// The most header lines.
const MOST_HEADERS: usize = 100;

/// A request that is understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Request {
    /// Whether only the head of the answer is wanted.
    pub(super) head_only: bool,
    /// The path below the folder, decoded; empty where it was no text.
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
    pub(super) if_none_match: Option<String>,
    /// Whether the connection goes on after the answer.
    pub(super) stays: bool,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum Refused {
    /// The connection failed.
    Broken(std::io::Error),
    /// The client is answered with this status and nothing more is read from it.
    Status(u16),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Request {
    /// Reads the next request; nothing where the client has closed.
    pub(super) fn read(reader: &mut impl BufRead) -> Result<Option<Self>, Refused> {
        let Some(first) = line(reader)? else { return Ok(None) };
        let words: Vec<&str> = first.split(' ').collect();
        let [method, target, version] = words[..] else { return Err(Refused::Status(400)) };
        let mut request = Self {
            path: path(target).unwrap_or_default(),
            stays: match version {
                "HTTP/1.1" => true,
                "HTTP/1.0" => false,
                _ => return Err(Refused::Status(505)),
            },
            ..Self::default()
        };
        if !target.starts_with('/') {
            return Err(Refused::Status(400));
        }
        request.read_headers(reader)?;
        match method {
            "GET" => {}
            "HEAD" => request.head_only = true,
            _ => return Err(Refused::Status(405)),
        }
        Ok(Some(request))
    }

    fn read_headers(&mut self, reader: &mut impl BufRead) -> Result<(), Refused> {
        for _ in 0..MOST_HEADERS {
            let header = line(reader)?.ok_or(Refused::Status(400))?;
            if header.is_empty() {
                return Ok(());
            }
            let (name, value) = header.split_once(':').ok_or(Refused::Status(400))?;
            let value = value.trim_matches([' ', '\t']);
            match name.to_ascii_lowercase().as_str() {
                "range" => self.range = Some(value.to_owned()),
                "if-range" => self.if_range = Some(value.to_owned()),
                "if-none-match" => self.if_none_match = Some(value.to_owned()),
                "connection" => {
                    let closes = |word: &str| word.trim().eq_ignore_ascii_case("close");
                    self.stays &= !value.split(',').any(closes);
                }
                // A body has no place in these requests, and what follows it could be smuggled.
                "content-length" if value != "0" => return Err(Refused::Status(413)),
                "transfer-encoding" => return Err(Refused::Status(413)),
                _ => {}
            }
        }
        Err(Refused::Status(431))
    }
}

/// One line without its end; nothing at the end of the input.
fn line(reader: &mut impl BufRead) -> Result<Option<String>, Refused> {
    let mut bytes = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(Refused::Status(if bytes.len() as u64 + 1 >= LONGEST_LINE {
            431
        } else {
            400
        }));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| Refused::Status(400))
}

/// The path that a request's target names: no query, percent-decoded once.
fn path(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Request>, Refused> {
        Request::read(&mut text.as_bytes())
    }

    fn status(text: &str) -> u16 {
        match read(text) {
            Err(Refused::Status(status)) => status,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn requests_are_read() {
        let request = read(
            "GET /a%20b/c.json?x=1 HTTP/1.1\r\nHost: x\r\nRANGE:  bytes=0-1\t\r\n\
             If-Range: \"e\"\r\n\r\n",
        );
        let request = request.unwrap().unwrap();
        assert_eq!(request.path, "a b/c.json");
        assert_eq!(request.range.as_deref(), Some("bytes=0-1"));
        assert_eq!(request.if_range.as_deref(), Some("\"e\""));
        assert!(request.stays && !request.head_only);
        let last = read("HEAD / HTTP/1.1\nConnection: x, Close\n\n").unwrap().unwrap();
        assert!(last.head_only && !last.stays && last.path.is_empty());
        assert!(read("").unwrap().is_none());
        assert!(!read("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().stays);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(status("GET\r\n\r\n"), 400);
        assert_eq!(status("GET http://elsewhere/ HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/2\r\n\r\n"), 505);
        assert_eq!(status("POST / HTTP/1.1\r\n\r\n"), 405);
        assert_eq!(status("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /"), 413);
        assert_eq!(status("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 413);
        assert_eq!(status("GET / HTTP/1.1\r\nno header\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\n"), 400);
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000))), 431);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101))), 431);
    }
}
