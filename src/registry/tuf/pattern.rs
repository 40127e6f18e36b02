//! Shell patterns over paths: `*`, `?`, `[abc]`, `[!a-c]`; none of them matches a slash.

/// Whether `path` matches `pattern`, part by part (specification, section 4.5).
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut parts = path.split('/');
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// Remembers only the last star, so the time is bounded by the product of the lengths.
fn part_matches(pattern: &str, part: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < part.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if let Some(length) = one_matches(&pattern[p..], part[t]) {
            p += length;
            t += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How many characters of `pattern` stand for `c` at its beginning, if they do.
fn one_matches(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((members, negated, length)) => (is_in(members, c) != negated).then_some(length),
            None => (c == '[').then_some(1),
        },
        other => (*other == c).then_some(1),
    }
}

/// The members of the set that `pattern` begins with, whether it is negated, and its length. A
/// bracket that is never closed is a plain character.
fn set(pattern: &[char]) -> Option<(&[char], bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A closing bracket right at the start is a member.
    let close = pattern.iter().skip(start + 1).position(|c| *c == ']')? + start + 1;
    Some((&pattern[start..close], negated, close + 1))
}

fn is_in(members: &[char], c: char) -> bool {
    let mut rest = members;
    loop {
        rest = match rest {
            [] => return false,
            [low, '-', high, ..] if (*low..=*high).contains(&c) => return true,
            [_, '-', _, rest @ ..] => rest,
            [member, ..] if *member == c => return true,
            [_, rest @ ..] => rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_of_the_specification() {
        for (pattern, path) in [
            ("a/*.tgz", "a/b.tgz"),
            ("*", "anything"),
            ("foo-version-?.tgz", "foo-version-2.tgz"),
            ("*.tgz", ".tgz"),
            ("a*b*c", "aXbYbc"),
            ("[ab]x", "bx"),
            ("[!ab]x", "cx"),
            ("[a-c]", "b"),
            ("[]]", "]"),
            ("[", "["),
            ("é?", "éß"),
            ("a/*/c", "a/b/c"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.tgz", "a/b.tgz"),
            ("a/*", "a/b/c"),
            ("a/*", "a"),
            ("*", "/"),
            ("?", ""),
            ("[!ab]x", "ax"),
            ("[a-c]", "d"),
            ("foo", "Foo"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(2000).replace('a', "ab")));
    }
}
