//! The factory of HTTP clients, and opening an address at an offset.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};

use super::error::Again;
use super::part::{Meter, Watch, broken};
use super::{Address, Cache, Error, Proxies, Result};

/// How often an answer may send us elsewhere.
const MOST_REDIRECTS: usize = 10;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Whether connections may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// They may.
    Allowed,
    /// Only files on this machine are read.
    Offline,
}

/// How a [`Client`] behaves.
#[derive(Debug, Clone)]
pub struct NetOptions {
    /// The folder of the cache, `HOME/cache`.
    pub cache: PathBuf,
    /// Whether connections may be opened.
    pub network: Network,
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How long nothing, or next to nothing, may come. There is no limit on a whole transfer.
    pub idle: Duration,
    /// How often an address is tried again after a failure that may pass. An attempt that brought
    /// the transfer on does not count.
    pub retries: usize,
    /// The pause before the first of these; it doubles from one to the next.
    pub pause: Duration,
    /// Through whom connections are made.
    pub proxies: Proxies,
}

impl NetOptions {
    /// The usual behaviour, with the cache in `cache`.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>, network: Network) -> Self {
        Self {
            cache: cache.into(),
            network,
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            retries: 4,
            pause: Duration::from_millis(250),
            proxies: Proxies::default(),
        }
    }
}

/// Fetches from HTTP servers and from files alike. One serves a whole run, from many threads; its
/// clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) options: NetOptions,
    cache: Arc<Cache>,
    http: Arc<OnceLock<std::result::Result<reqwest::blocking::Client, String>>>,
}

/// An address opened for reading.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    /// The offset of the first byte that the reader gives.
    pub(super) start: u64,
    /// The size of the whole, where it is stated.
    pub(super) size: Option<u64>,
    /// What tells whether the file there is still the same.
    pub(super) validator: Option<String>,
}

/// From where an address is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin<'a> {
    /// From its first byte.
    Start,
    /// From this offset, if the validator still holds.
    At(u64, Option<&'a str>),
    /// From the first of these offsets to before the second.
    Between(u64, u64),
}

impl Client {
    /// A client; no connection is opened and no certificate is read before they are needed.
    #[must_use]
    pub fn new(options: NetOptions) -> Self {
        let cache = Arc::new(Cache::at(options.cache.clone()));
        Self { options, cache, http: Arc::default() }
    }

    /// The cache that fetched files go to.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// This client's options with another cache.
    #[must_use]
    pub fn options_with_cache(&self, cache: impl Into<PathBuf>) -> NetOptions {
        NetOptions { cache: cache.into(), ..self.options.clone() }
    }

    /// Whether connections may be opened.
    #[must_use]
    pub fn network(&self) -> Network {
        self.options.network
    }

    /// Reads a small file whole, such as a registry's index.
    ///
    /// # Errors
    /// [`Error::NotThere`] when there is no such file; [`Error::TooLong`] above `limit` bytes;
    /// else what kept it from being read, after some attempts.
    pub fn get_small(&self, address: &Address, limit: u64) -> Result<Vec<u8>> {
        self.try_again(|| {
            let opened = self.open(address, Begin::Start)?;
            let too_long = || Error::TooLong { address: address.clone(), limit };
            if opened.size.is_some_and(|size| size > limit) {
                return Err(too_long());
            }
            let watch = Watch { window: Some(self.options.idle), ..Watch::nobody(address) };
            let mut meter = Meter::new(0, opened.size.unwrap_or(limit));
            let mut reader = opened.reader.take(limit.saturating_add(1));
            let (mut bytes, mut block) = (Vec::new(), vec![0; 1 << 16]);
            loop {
                match reader.read(&mut block) {
                    Ok(0) => break,
                    Ok(read) => {
                        bytes.extend_from_slice(&block[..read]);
                        meter.count(read as u64, &watch)?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(broken(&error, &meter, &watch)),
                }
            }
            if bytes.len() as u64 > limit { Err(too_long()) } else { Ok(bytes) }
        })
    }

    /// Asks how long the file at `address` is, without reading it; `None` where it is not said.
    ///
    /// # Errors
    /// When the address cannot be asked or has no such file.
    pub fn probe(&self, address: &Address) -> Result<Option<u64>> {
        self.try_again(|| {
            let Address::Http(url) = address else {
                return Ok(self.open(address, Begin::Start)?.size);
            };
            match self.send(Method::HEAD, address, url, &[]) {
                Ok(answer) if content_length(answer.headers()).is_some() => {
                    Ok(content_length(answer.headers()))
                }
                // Some servers do not know HEAD, or do not know the size then.
                _ => Ok(self.open(address, Begin::Start)?.size),
            }
        })
    }

    /// Tries `action` again as long as its failure may pass.
    pub(super) fn try_again<T>(&self, mut action: impl FnMut() -> Result<T>) -> Result<T> {
        let mut pauses = self.pauses();
        loop {
            match action() {
                Err(error) if error.is_passing() => match pauses.next() {
                    Some(pause) => wait(pause, &error),
                    None => return Err(error),
                },
                result => return result,
            }
        }
    }

    /// The pauses between attempts.
    pub(super) fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.options.pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.options.retries)
            .build()
    }

    /// Opens `address` for reading.
    pub(super) fn open(&self, address: &Address, from: Begin<'_>) -> Result<Opened> {
        match address {
            Address::Path(path) => open_file(address, path, from),
            Address::Http(url) => self.open_http(address, url, from),
        }
    }

    fn open_http(&self, address: &Address, url: &url::Url, from: Begin<'_>) -> Result<Opened> {
        let mut headers = Vec::new();
        match from {
            Begin::Start => {}
            Begin::At(offset, validator) => {
                headers.push((header::RANGE, format!("bytes={offset}-")));
                if let Some(validator) = validator {
                    headers.push((header::IF_RANGE, validator.to_owned()));
                }
            }
            Begin::Between(start, end) => {
                headers.push((header::RANGE, format!("bytes={start}-{}", end.saturating_sub(1))));
            }
        }
        let answer = self.send(Method::GET, address, url, &headers)?;
        let validator = validator(answer.headers());
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            let size = content_length(answer.headers());
            return Ok(Opened { reader: Box::new(answer), start: 0, size, validator });
        }
        let nonsense = |what: &str| Error::Nonsense {
            address: address.clone(),
            what: format!("a part of the file, {what}"),
        };
        let range = answer.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let (start, size) =
            range.and_then(content_range).ok_or_else(|| nonsense("and not which"))?;
        match from {
            Begin::At(offset, _) | Begin::Between(offset, _) if offset == start => {}
            Begin::At(..) | Begin::Between(..) => {
                return Err(nonsense("and not the one that was asked for"));
            }
            Begin::Start => return Err(nonsense("when the whole was asked for")),
        }
        Ok(Opened { reader: Box::new(answer), start, size, validator })
    }

    /// Sends a request, and gives the answer if it is a good one.
    fn send(
        &self,
        method: Method,
        address: &Address,
        url: &url::Url,
        headers: &[(header::HeaderName, String)],
    ) -> Result<reqwest::blocking::Response> {
        if self.options.network == Network::Offline {
            let what = address.file_name();
            let what = if what.is_empty() { "it".to_owned() } else { what };
            return Err(Error::Offline { what, address: address.clone() });
        }
        let mut request = self.http()?.request(method, url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        tracing::debug!(%address, ?headers, "asking");
        let answer = request.send().map_err(|error| Error::Unreachable {
            address: address.clone(),
            again: if error.is_redirect() || error.is_builder() { Again::No } else { Again::Yes },
            cause: if error.is_timeout() {
                format!("no answer within {} s", self.options.idle.as_secs())
            } else {
                innermost(&error)
            },
        })?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(Error::NotThere { address: address.clone() })
            }
            status => Err(Error::Status {
                address: address.clone(),
                status,
                retry_after: retry_after(answer.headers()),
            }),
        }
    }

    fn http(&self) -> Result<&reqwest::blocking::Client> {
        self.http
            .get_or_init(|| make_http_client(&self.options))
            .as_ref()
            .map_err(|cause| Error::NoClient(cause.clone()))
    }
}

/// Makes the one kind of HTTP client. Roots of trust come from the system.
fn make_http_client(
    options: &NetOptions,
) -> std::result::Result<reqwest::blocking::Client, String> {
    // Another part of this process may have installed it before; it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The proxies of the options are all that there are: none are looked for in the environment.
    let mut builder = reqwest::blocking::Client::builder().no_proxy();
    for proxy in options.proxies.list()? {
        builder = builder.proxy(proxy);
    }
    let builder = builder
        .user_agent(concat!("mpkg/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            match fault_of_redirect(attempt.previous(), attempt.url()) {
                Some(fault) => attempt.error(fault),
                None => attempt.follow(),
            }
        }))
        .connect_timeout(options.connect)
        // In the blocking client this bounds each wait, not the whole transfer.
        .timeout(options.idle);
    builder.build().map_err(|error| innermost(&error))
}

/// Why an answer that came by way of `previous` may not send us to `next`.
fn fault_of_redirect(previous: &[url::Url], next: &url::Url) -> Option<String> {
    if previous.len() > MOST_REDIRECTS {
        return Some(format!("it redirects more than {MOST_REDIRECTS} times"));
    }
    let from_https = previous.iter().any(|url| url.scheme() == "https");
    (from_https && next.scheme() != "https").then(|| "it redirects from https: to http:".to_owned())
}

fn open_file(address: &Address, path: &std::path::Path, from: Begin<'_>) -> Result<Opened> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotThere { address: address.clone() });
        }
        Err(error) => return Err(unreadable(address, &error)),
    };
    let metadata = file.metadata().map_err(|error| unreadable(address, &error))?;
    if !metadata.is_file() {
        return Err(unreadable(address, &std::io::Error::other("it is not a regular file")));
    }
    let start = match from {
        Begin::At(offset, _) | Begin::Between(offset, _) if offset <= metadata.len() => offset,
        _ => 0,
    };
    file.seek(SeekFrom::Start(start)).map_err(|error| unreadable(address, &error))?;
    let size = Some(metadata.len());
    Ok(Opened { reader: Box::new(file), start, size, validator: None })
}

fn unreadable(address: &Address, error: &std::io::Error) -> Error {
    Error::Unreachable { address: address.clone(), cause: error.to_string(), again: Again::No }
}

/// Pauses before another attempt after `error`.
pub(super) fn wait(pause: Duration, error: &Error) {
    let asked = match error {
        Error::Status { retry_after: Some(asked), .. } => (*asked).min(LONGEST_WAIT),
        _ => Duration::ZERO,
    };
    tracing::info!("{error}; trying again in {:?}", pause.max(asked));
    std::thread::sleep(pause.max(asked));
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers.get(header::CONTENT_LENGTH))?.parse().ok()
}

/// Seconds; the other form, a date, needs a clock and is not worth one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text(headers.get(header::RETRY_AFTER))?.parse().ok().map(Duration::from_secs)
}

/// A strong entity tag, or a date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers.get(header::ETAG)).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers.get(header::LAST_MODIFIED))).map(str::to_owned)
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

/// The first byte's offset and the whole size in `bytes 5-9/10`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = if size == "*" { None } else { Some(size.parse().ok()?) };
    (first <= last && size.is_none_or(|size: u64| last < size)).then_some((first, size))
}

/// Whether a read ended because nothing came in time.
pub(super) fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == std::io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}

/// What the innermost cause of `error` says; the outer ones repeat addresses, secrets included.
pub(super) fn innermost(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    crate::explain::printable(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes 5-4/10", "bytes 5-10/10", "bytes */10", "items 5-9/10", "5-9/10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn case_40_no_redirect_leads_from_https_to_http() {
        let url = |text: &str| url::Url::parse(text).unwrap();
        let fault = |by: &[&str], to: &str| {
            let by: Vec<url::Url> = by.iter().map(|text| url(text)).collect();
            fault_of_redirect(&by, &url(to))
        };
        assert_eq!(fault(&["http://a/"], "http://b/"), None);
        assert_eq!(fault(&["http://a/"], "https://b/"), None);
        assert_eq!(fault(&["https://a/"], "https://b/"), None);
        let down = Some("it redirects from https: to http:".to_owned());
        assert_eq!(fault(&["https://a/"], "http://a/"), down);
        assert_eq!(fault(&["http://a/", "https://a/"], "http://a/"), down);
        assert!(fault(&["http://a/"; 11], "http://a/").is_some());
    }

    #[test]
    fn weak_tags_are_no_validators() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("W/\"a\""));
        assert_eq!(validator(&headers), None);
        headers.insert(header::LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        assert_eq!(validator(&headers).as_deref(), Some("yesterday"));
        headers.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        assert_eq!(validator(&headers).as_deref(), Some("\"a\""));
    }

    #[test]
    fn small_files_are_capped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        crate::fs::write_atomically(&path, b"abc").unwrap();
        let client = Client::new(NetOptions::new(folder.path(), Network::Offline));
        let address = Address::Path(path);
        assert_eq!(client.get_small(&address, 3).unwrap(), b"abc");
        assert!(matches!(client.get_small(&address, 2), Err(Error::TooLong { .. })));
        assert_eq!(client.probe(&address).unwrap(), Some(3));
        let gone = client.get_small(&Address::Path(folder.path().join("b")), 3).unwrap_err();
        assert!(gone.is_not_there());
        let folder_address = Address::Path(folder.path().to_owned());
        let error = client.get_small(&folder_address, 3).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
