//! Pickles in zip and tar archives, found in the stream.

use super::walk::Walk;

/// Names that say that a member is a pickle.
fn is_pickle_name(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    [&b".pkl"[..], b".pickle", b".joblib"].iter().any(|end| name.ends_with(end))
}

/// Looks through a zip archive's local and central headers for names of pickles.
#[derive(Default)]
pub(super) struct ZipScan {
    /// The last bytes seen, among which a header may have begun.
    kept: Vec<u8>,
    state: ZipState,
}

#[derive(Default, PartialEq, Eq)]
enum ZipState {
    #[default]
    Start,
    On,
    Off,
}

/// A central header and the longest name that is looked at.
const ZIP_KEPT: usize = 46 + 1024;

impl ZipScan {
    /// Takes the next bytes; whether a pickle's name was found in them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        if self.state == ZipState::Off {
            return false;
        }
        self.kept.extend_from_slice(bytes);
        if self.state == ZipState::Start {
            let start = &b"PK\x03\x04"[..self.kept.len().min(4)];
            if !self.kept.starts_with(start) {
                self.state = ZipState::Off;
                self.kept = Vec::new();
                return false;
            }
            if start.len() < 4 {
                return false;
            }
            self.state = ZipState::On;
        }
        let found = (0..self.kept.len())
            .filter(|at| self.kept[*at] == b'P')
            .any(|at| name_at(&self.kept[at..]).is_some_and(is_pickle_name));
        let surplus = self.kept.len().saturating_sub(ZIP_KEPT);
        self.kept.drain(..surplus);
        found
    }
}

/// The name in the header that `bytes` begin with, if they hold it whole.
fn name_at(bytes: &[u8]) -> Option<&[u8]> {
    let (length, name) = match bytes.get(..4)? {
        b"PK\x03\x04" => (26, 30),
        b"PK\x01\x02" => (28, 46),
        _ => return None,
    };
    let length = usize::from(u16::from_le_bytes([*bytes.get(length)?, *bytes.get(length + 1)?]));
    bytes.get(name..name + length)
}

/// Looks through a tar archive's members.
#[derive(Default)]
pub(super) struct TarScan {
    state: TarState,
}

#[derive(Default)]
enum TarState {
    /// A header is collected.
    #[default]
    Start,
    Header(Vec<u8>),
    /// So many bytes of contents and of padding are left.
    Contents {
        left: u64,
        padding: u64,
        walk: Box<Walk>,
    },
    Off,
}

const BLOCK: usize = 512;

impl TarScan {
    /// Takes the next bytes; whether a pickle was found in them.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                TarState::Off => return false,
                TarState::Start => {
                    self.state = TarState::Header(Vec::new());
                    0
                }
                TarState::Header(header) => {
                    let taken = (BLOCK - header.len()).min(bytes.len());
                    header.extend_from_slice(&bytes[..taken]);
                    if header.len() == BLOCK {
                        let (state, is_named) = after_header(header);
                        self.state = state;
                        if is_named {
                            return true;
                        }
                    }
                    taken
                }
                TarState::Contents { left, padding, walk } => {
                    let inside = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    if walk.feed(&bytes[..inside]) {
                        return true;
                    }
                    *left -= inside as u64;
                    let rest = bytes.len() - inside;
                    let behind = usize::try_from(*padding).unwrap_or(BLOCK).min(rest);
                    *padding -= behind as u64;
                    if *left == 0 && *padding == 0 {
                        self.state = TarState::Header(Vec::new());
                    }
                    inside + behind
                }
            };
            bytes = &bytes[taken..];
        }
        false
    }
}

/// What follows a header, and whether it names a pickle.
fn after_header(header: &[u8]) -> (TarState, bool) {
    if header.get(257..262) != Some(b"ustar") {
        return (TarState::Off, false);
    }
    let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let digits = header[124..136].iter().filter(|byte| byte.is_ascii_digit());
    let size = digits.fold(0_u64, |size, digit| size.saturating_mul(8) + u64::from(digit & 7));
    let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    let state = match size {
        0 => TarState::Header(Vec::new()),
        _ => TarState::Contents { left: size, padding, walk: Box::new(Walk::new(size)) },
    };
    (state, last == b"pickle" || is_pickle_name(last))
}
