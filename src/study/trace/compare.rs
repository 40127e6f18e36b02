//! Compares a suffix with a pattern, byte for byte or with runs of whitespace as one space.

use std::cmp::Ordering;

/// How whitespace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whitespace {
    /// Like any other byte.
    Exact,
    /// A run of it is one space, whatever it is made of.
    Folded,
}

impl Whitespace {
    /// The word in names of files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Folded => "folded",
        }
    }
}

/// Whether a byte is whitespace: a blank, a tab, or what ends a line or a page.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The bytes of `text` with each run of whitespace as one space, and where each begins in `text`.
fn folded(text: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (first, start) = (*text.get(at)?, at);
        at += 1;
        if !is_space(first) {
            return Some((first, start));
        }
        while text.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        Some((b' ', start))
    })
}

/// `text` as it is compared, and where each byte of that begins in `text`.
#[must_use]
pub fn fold(text: &[u8], whitespace: Whitespace) -> (Vec<u8>, Vec<usize>) {
    match whitespace {
        Whitespace::Exact => (text.to_vec(), (0..text.len()).collect()),
        Whitespace::Folded => folded(text).unzip(),
    }
}

/// How a suffix stands to a pattern.
pub(super) struct Compared {
    /// [`Ordering::Equal`] where the suffix begins with the pattern.
    pub(super) order: Ordering,
    /// How many bytes of the pattern it begins with.
    pub(super) common: usize,
    /// How many bytes of the suffix these are.
    pub(super) extent: usize,
}

/// Compares `suffix` with `pattern`, which is folded already where `whitespace` says so.
pub(super) fn compare(suffix: &[u8], pattern: &[u8], whitespace: Whitespace) -> Compared {
    match whitespace {
        Whitespace::Exact => {
            let common = suffix.iter().zip(pattern).take_while(|(one, other)| one == other).count();
            let order = match (suffix.get(common), pattern.get(common)) {
                (_, None) => Ordering::Equal,
                (found, wanted) => found.cmp(&wanted),
            };
            Compared { order, common, extent: common }
        }
        Whitespace::Folded => compare_folded(suffix, pattern),
    }
}

fn compare_folded(suffix: &[u8], pattern: &[u8]) -> Compared {
    let mut bytes = folded(suffix);
    for (common, wanted) in pattern.iter().enumerate() {
        match bytes.next() {
            Some((found, _)) if found == *wanted => {}
            Some((found, extent)) => {
                return Compared { order: found.cmp(wanted), common, extent };
            }
            None => return Compared { order: Ordering::Less, common, extent: suffix.len() },
        }
    }
    let extent = bytes.next().map_or(suffix.len(), |(_, start)| start);
    Compared { order: Ordering::Equal, common: pattern.len(), extent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_whitespace_are_one_space() {
        let (text, origins) = fold(b"a \t\nb  c\n", Whitespace::Folded);
        assert_eq!(text, b"a b c ");
        assert_eq!(origins, [0, 1, 4, 5, 7, 8]);
        let found = compare(b"a \n b\tcd", b"a b c", Whitespace::Folded);
        assert_eq!((found.order, found.common, found.extent), (Ordering::Equal, 5, 7));
        let found = compare(b"a \n b", b"a b c", Whitespace::Folded);
        assert_eq!((found.order, found.common, found.extent), (Ordering::Less, 3, 5));
    }

    #[test]
    fn bytes_are_bytes() {
        let found = compare(b"abd", b"abc", Whitespace::Exact);
        assert_eq!((found.order, found.common), (Ordering::Greater, 2));
        let found = compare(b"ab", b"abc", Whitespace::Exact);
        assert_eq!((found.order, found.common), (Ordering::Less, 2));
    }
}
