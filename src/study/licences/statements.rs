//! Sentences and tags that name a licence: `SPDX-License-Identifier`, "version 2 or any later
//! version", addresses of Creative Commons, "in the public domain".

use std::sync::LazyLock;

use regex::Regex;

use super::names::{self, PUBLIC_DOMAIN};
use super::{How, Sighting, terms};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that a test compiles")
}

static TAG: LazyLock<Regex> =
    LazyLock::new(|| regex(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() \-]{1,200})"));
static GNU: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)\b(?:(?:gnu )?(lesser |library |affero )?general public licen[sc]e|([al])?gpl)",
        r"(?:[^.]{0,160}?\bversion |,? ?(?:version|v\.?)? ?-?)(\d(?:\.\d)?)\b",
        r"( of the licen[sc]e)?(,? ?\(?(?:or|and) ?\(?(?:at your option\)?)?,? ?(?:any )?(?:later|newer)|\+| only|,? or,? at your option,? any later)?"
    ))
});
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?im)^[ \t]*:?licen[sc]e:[ \t]*(\S[^\n]{0,150})$"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)creativecommons\.org/(?:licenses/([a-z\-]+)/(\d\.\d)|publicdomain/(zero|mark)/1\.0)",
    )
});
static CREATIVE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:creative commons|cc)[ \-](?:by|attribution)[a-z \-]{0,60}?(?:v\.? ?)?\d\.\d")
});
static ZERO: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\bCC0(?:[ \-]1\.0)?\b"));
static DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(not )?(?:placed |released |is |are |was |now )?(?:in|into|to) the public domain\b|(?i)\bdedicated to the public domain\b",
    )
});
static OTHERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?i)\bapache licen[sc]e,? (?:version|v\.?) ?2(?:\.0)?\b", "Apache-2.0"),
        (r"(?i)\bmozilla public licen[sc]e,? (?:version|v\.?) ?2\.0\b", "MPL-2.0"),
        (r"(?i)\b(?:the|an?) (?:mit|expat) licen[sc]e\b", "MIT"),
        (
            r"(?i)\b3-clause bsd\b|\bbsd 3-clause\b|\b(?:new|modified) bsd licen[sc]e\b",
            "BSD-3-Clause",
        ),
        (r"(?i)\b2-clause bsd\b|\bbsd 2-clause\b|\bsimplified bsd licen[sc]e\b", "BSD-2-Clause"),
        (r"(?i)\bopen data(?:base| commons open database) licen[sc]e\b|\bODbL\b", "ODbL-1.0"),
        (r"(?i)\bpython software foundation licen[sc]e\b", "PSF-2.0"),
    ]
    .map(|(pattern, name)| (regex(pattern), name))
    .into()
});

/// The tags of the form `SPDX-License-Identifier: EXPRESSION`.
pub(super) fn tags(text: &str) -> Vec<Sighting> {
    let found = TAG.captures_iter(text).filter_map(|found| {
        let words = found[1].trim().trim_end_matches("-->").trim_end_matches("*/").trim();
        terms::parse(words).map(|_| words.to_owned())
    });
    found.map(|name| Sighting::one(name, How::Tag)).collect()
}

/// The sentences of a text that is no licence itself.
pub(super) fn sentences(text: &str) -> Vec<Sighting> {
    let mut found = Vec::new();
    for field in FIELD.captures_iter(text) {
        let value = field[1].trim().trim_end_matches('.');
        let any_of = names::loosely(value);
        found.extend(any_of.map(|any_of| Sighting { any_of, how: How::Field, files: Vec::new() }));
    }
    let flat = flat(text);
    found.extend(GNU.captures_iter(&flat).filter_map(|one| gnu(&one)));
    found.extend(ADDRESS.captures_iter(&flat).filter_map(|one| address(&one)));
    for one in CREATIVE.find_iter(&flat) {
        let name = names::creative(&names::plain(one.as_str()));
        found.extend(name.map(|name| Sighting::one(name, How::Sentence)));
    }
    if ZERO.is_match(&flat) {
        found.push(Sighting::one("CC0-1.0".to_owned(), How::Sentence));
    }
    if DOMAIN.captures_iter(&flat).any(|one| one.get(1).is_none()) {
        found.push(Sighting::one(PUBLIC_DOMAIN.to_owned(), How::Sentence));
    }
    for (pattern, name) in OTHERS.iter() {
        if pattern.is_match(&flat) {
            found.push(Sighting::one((*name).to_owned(), How::Sentence));
        }
    }
    found
}

/// The text on one line: no marks of comments at the beginnings of lines, single blanks.
fn flat(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_matches(|c: char| " \t#*/;%\"'|>".contains(c)));
    let words = lines.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

fn gnu(found: &regex::Captures<'_>) -> Option<Sighting> {
    let word = |place: usize| found.get(place).map_or("", |one| one.as_str()).to_lowercase();
    let family = match (word(1).trim(), word(2).as_str()) {
        ("affero", _) | (_, "a") => "AGPL",
        ("lesser" | "library", _) | (_, "l") => "LGPL",
        _ => "GPL",
    };
    let number = &found[3];
    let number = if number.contains('.') { number.to_owned() } else { format!("{number}.0") };
    let end = word(5);
    let ends: &[&str] = if end.contains("only") {
        &["only"]
    } else if end.contains("later") || end.contains("newer") || end.contains('+') {
        &["or-later"]
    } else {
        &["only", "or-later"]
    };
    let names = ends.iter().map(|end| format!("{family}-{number}-{end}"));
    let any_of: Vec<String> = names.filter(|name| spdx::license_id(name).is_some()).collect();
    let is_one = !any_of.is_empty();
    is_one.then_some(Sighting { any_of, how: How::Sentence, files: Vec::new() })
}

fn address(found: &regex::Captures<'_>) -> Option<Sighting> {
    let name = match (found.get(1), found.get(2), found.get(3)) {
        (Some(kind), Some(version), _) => {
            let name = format!("CC-{}-{}", kind.as_str().to_uppercase(), version.as_str());
            spdx::license_id(&name)?.name.to_owned()
        }
        (_, _, Some(kind)) if kind.as_str().eq_ignore_ascii_case("zero") => "CC0-1.0".to_owned(),
        _ => "CC-PDM-1.0".to_owned(),
    };
    Some(Sighting::one(name, How::Address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut names: Vec<String> =
            sentences(text).into_iter().map(|one| one.any_of.join("|")).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn sentences_that_people_write() {
        let header = "# This program is free software; you can redistribute it and/or modify it\n\
            # under the terms of the GNU General Public License as published by the Free Software\n\
            # Foundation; either version 2 of the License, or (at your option) any later version.";
        for (text, meant) in [
            (header, "GPL-2.0-or-later"),
            ("under the GNU Lesser General Public License version 2.1 only", "LGPL-2.1-only"),
            ("It is GPL-2 or later.", "GPL-2.0-or-later"),
            ("licensed under the GPLv3+", "GPL-3.0-or-later"),
            ("GPL version 3", "GPL-3.0-only|GPL-3.0-or-later"),
            ("License: GPL-2 or later", "GPL-2.0-or-later"),
            ("This module has been placed in the public domain.", PUBLIC_DOMAIN),
            ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
            ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
            ("under the Creative Commons Attribution-ShareAlike 3.0 licence", "CC-BY-SA-3.0"),
            ("Dedicated to all under CC0.", "CC0-1.0"),
            ("distributed with the 3-clause BSD license", "BSD-3-Clause"),
            (":License: MIT", "MIT"),
        ] {
            assert!(names(text).contains(&meant.to_owned()), "{text}: {:?}", names(text));
        }
        assert_eq!(names("It is not in the public domain. Write to us."), Vec::<String>::new());
        assert_eq!(
            names("The general public licenses its cars at 2 o'clock"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn tags_are_expressions() {
        let found = tags(
            "# SPDX-License-Identifier: MIT OR Apache-2.0\n/* SPDX-License-Identifier: nothing */",
        );
        assert_eq!(found, [Sighting::one("MIT OR Apache-2.0".to_owned(), How::Tag)]);
    }
}
