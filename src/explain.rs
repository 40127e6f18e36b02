//! What an error says beside its message: a stable kind for programs, and one hint for people.

/// An error that a command can end with.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    /// A stable word in kebab-case for `--json`, such as `wrong-digest`.
    fn kind(&self) -> &'static str;

    /// One next command or fact that helps.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The whole message already laid out over several lines, as a manifest's diagnostics are;
    /// it is shown in place of the one-line message.
    fn rendered(&self) -> Option<String> {
        None
    }

    /// More facts for `--json`, which stand under `details` in the error.
    fn details(&self) -> Option<serde_json::Value> {
        None
    }
}

/// The name among `known` that is nearest to `found`, if one is near enough to be meant.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is at least the difference of the lengths.
    let bound = |name: &str| 1 + name.len().max(found.len()) / 4;
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(found.len()) <= bound(name))
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= bound(name))
        .min()
        .map(|(_, name)| name)
}

/// How many there are of a thing: `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// `text` with its control characters escaped, for foreign names in messages.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape: Box<dyn Iterator<Item = char>> = if c.is_control() {
                Box::new(c.escape_default())
            } else {
                Box::new(std::iter::once(c))
            };
            escape
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        assert_eq!(nearest("licence", ["license", "level"]), Some("license"));
        assert_eq!(nearest("xyz", ["license", "level"]), None);
    }

    #[test]
    fn one_thing_is_not_several() {
        assert_eq!(count(1, "copy", "copies"), "1 copy");
        assert_eq!(count(0, "copy", "copies"), "0 copies");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mé"), "a\\u{1b}[31mé");
    }
}
