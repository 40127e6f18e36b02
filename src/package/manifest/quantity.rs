//! Amounts with units: memory as `4GiB`, time as `1h30m`.

use std::time::Duration;

/// The units of memory; a bare number is not taken.
const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// The units of time, from the longest.
const SECONDS: &[(&str, u64)] = &[("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Splits `4GiB` into 4, `GiB` and the rest.
fn number_and_unit(text: &str) -> Option<(u64, &str, &str)> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = &text[unit_at..];
    let rest_at = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
    Some((text[..unit_at].parse().ok()?, &unit[..rest_at], &unit[rest_at..]))
}

/// Reads an amount of bytes, such as `4GiB`; it is at least one byte.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit, rest) = number_and_unit(text)?;
    let (_, factor) = BYTES.iter().find(|(name, _)| *name == unit)?;
    let amount = number.checked_mul(*factor)?;
    (rest.is_empty() && amount > 0).then_some(amount)
}

/// Reads a time; its units fall, as in `1h30m`. It is at least one second.
#[must_use]
pub fn time(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = SECONDS.iter();
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest)?;
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*factor)?)?;
        rest = after;
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        assert_eq!(bytes("4GiB"), Some(4 << 30));
        assert_eq!(bytes("512MB"), Some(512_000_000));
        assert_eq!(bytes("1B"), Some(1));
        for bad in
            ["", "4", "GiB", "4 GiB", "4gib", "0GiB", "4GiB5", "-1B", "1.5GiB", "99999999999TiB"]
        {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("90s"), Some(Duration::from_secs(90)));
        assert_eq!(time("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(time("2d"), Some(Duration::from_hours(48)));
        for bad in ["", "90", "s", "1m1h", "1h 30m", "0s", "1w", "99999999999999999999s"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
