//! A small HTTP server on this machine that answers as badly as a test wants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How many requests for this path came before.
    pub before: usize,
}

impl Request {
    /// The first byte of the range that it asks for.
    pub fn range_start(&self) -> Option<usize> {
        self.range().map(|(start, _)| start)
    }

    /// The first byte of the range that it asks for and the one after its last, if that is said.
    pub fn range(&self) -> Option<(usize, Option<usize>)> {
        let (start, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let last: Option<usize> = last.parse().ok();
        Some((start.parse().ok()?, last.map(|last| last + 1)))
    }
}

/// What the server says.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    length: Option<usize>,
    body: Body,
}

enum Body {
    /// These bytes.
    Whole(Vec<u8>),
    /// These bytes, then the end of the connection.
    Cut(Vec<u8>),
    /// These bytes, then silence as long as the client stays.
    Held(Vec<u8>),
    /// The same byte, slowly, as long as the client stays.
    Drip,
    /// The same block without end.
    Endless,
}

impl Answer {
    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), length: None, body }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::new(status, Body::Whole(Vec::new())).length(0)
    }

    /// The whole of `bytes`, whatever range was asked for.
    pub fn whole(bytes: &[u8]) -> Self {
        Self::new(200, Body::Whole(bytes.to_vec())).length(bytes.len())
    }

    /// `bytes` as a good server gives them: ranges, and the whole where `tag` has changed.
    pub fn file(request: &Request, bytes: &[u8], tag: &str) -> Self {
        let same = request.headers.get("if-range").is_none_or(|known| known == tag);
        let answer = match request.range() {
            Some((start, end)) if same && start < bytes.len() => {
                let end = end.map_or(bytes.len(), |end| end.min(bytes.len()));
                Self::whole(&bytes[start..end]).partial(start, bytes.len())
            }
            Some(_) if same => Self::status(416),
            _ => Self::whole(bytes),
        };
        answer.header("ETag", tag)
    }

    /// The same, of which only the first `sent` bytes come before the connection ends.
    pub fn cut(mut self, sent: usize) -> Self {
        if let Body::Whole(mut bytes) = self.body {
            bytes.truncate(sent);
            self.body = Body::Cut(bytes);
        }
        self
    }

    /// The same, of which only the first `sent` bytes come before nothing more does.
    pub fn held(mut self, sent: usize) -> Self {
        if let Body::Whole(mut bytes) = self.body {
            bytes.truncate(sent);
            self.body = Body::Held(bytes);
        }
        self
    }

    /// A few bytes a second.
    pub fn drip() -> Self {
        Self::new(200, Body::Drip)
    }

    /// A body without end and without a stated length.
    pub fn endless() -> Self {
        Self::new(200, Body::Endless)
    }

    /// States this length.
    pub fn length(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// States no length: the end of the connection ends the body.
    pub fn without_length(mut self) -> Self {
        self.length = None;
        self
    }

    /// The same as the part from `start` of a file of `all` bytes.
    pub fn partial(mut self, start: usize, all: usize) -> Self {
        self.status = 206;
        let last = start + self.length.unwrap_or(all - start) - 1;
        self.header("Content-Range", &format!("bytes {start}-{last}/{all}"))
    }

    /// The same with `more` bytes of nothing behind it, whatever its length says.
    pub fn longer(mut self, more: usize) -> Self {
        if let Body::Whole(bytes) = &mut self.body {
            bytes.resize(bytes.len() + more, 0);
        }
        self
    }

    /// What a header of it says.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn send(self, stream: &mut TcpStream, method: &str, sent: &AtomicUsize) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", self.status);
        if let Some(length) = self.length {
            write!(head, "Content-Length: {length}\r\n").unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        if let Body::Whole(bytes) | Body::Cut(bytes) | Body::Held(bytes) = &self.body {
            sent.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        match self.body {
            Body::Whole(bytes) | Body::Cut(bytes) => stream.write_all(&bytes),
            Body::Held(bytes) => {
                stream.write_all(&bytes)?;
                // The client sends nothing more; this ends when it goes.
                stream.read(&mut [0]).map(|_| ())
            }
            Body::Drip => {
                stream.set_read_timeout(Some(Duration::from_millis(100)))?;
                loop {
                    stream.write_all(b".")?;
                    if matches!(stream.read(&mut [0]), Ok(0)) {
                        return Ok(());
                    }
                }
            }
            Body::Endless => loop {
                stream.write_all(&[0; 1 << 14])?;
            },
        }
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running server; it ends when it is dropped.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server that answers with `handler`.
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let (seen, ending) = (Arc::clone(&requests), Arc::clone(&ends));
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let handler: Arc<Handler> = Arc::new(handler);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), seen, handler) = (stream, Arc::clone(&seen), Arc::clone(&handler))
                else {
                    continue;
                };
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(stream, &seen, &*handler, &counted));
            }
        });
        Self { address, requests, sent, ends }
    }

    /// Starts a server that gives `bytes` at every path, as a good server does.
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::start(move |request| Answer::file(request, &bytes, "\"1\""))
    }

    /// The address of `path`, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many bytes of bodies it has sent so far.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the loop; that nobody listens any more is as well.
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &Handler, sent: &AtomicUsize) {
    let Some(request) = read(&stream, seen) else { return };
    // A client that goes away is what some tests are about.
    let _ = handler(&request).send(&mut stream, &request.method, sent);
}

fn read(stream: &TcpStream, seen: &Mutex<Vec<Request>>) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut seen = seen.lock().expect("no panic");
    let before = seen.iter().filter(|other| other.path == path).count();
    let request = Request { method, path, headers, before };
    seen.push(request.clone());
    Some(request)
}
