//! How many predictions of two runs of a probe are the same.

use serde::Serialize;

/// What was found in two files with one prediction a line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// How many predictions the first has.
    pub first: u64,
    /// How many the second has.
    pub second: u64,
    /// How many are the same at the same place.
    pub agreeing: u64,
    /// The share of these in the longer file.
    pub agreement: f64,
}

/// Compares two files line by line.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "files have far less than 2^53 lines")]
pub fn agreement(first: &[u8], second: &[u8]) -> Agreement {
    let lines = |bytes: &'_ [u8]| bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let line = |bytes: &[u8]| bytes.strip_suffix(b"\n").unwrap_or(bytes).to_vec();
    let pairs = first
        .split_inclusive(|byte| *byte == b'\n')
        .zip(second.split_inclusive(|byte| *byte == b'\n'));
    let agreeing = pairs.filter(|(one, other)| line(one) == line(other)).count() as u64;
    let (first, second) = (lines(first), lines(second));
    let share = agreeing as f64 / first.max(second).max(1) as f64;
    Agreement { first, second, agreeing, agreement: share }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_at_their_places() {
        let found = agreement(b"a\nb\nc\nd\n", b"a\nx\nc\nd");
        assert_eq!((found.first, found.second, found.agreeing), (4, 4, 3));
        assert!((found.agreement - 0.75).abs() < 1e-15);
        let shorter = agreement(b"a\nb\nc\nd\n", b"a\nb\n");
        assert!((shorter.agreement - 0.5).abs() < 1e-15, "what is not there does not agree");
        assert!(agreement(b"", b"").agreement.abs() < 1e-15);
    }
}
