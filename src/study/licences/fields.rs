//! Texts that name licences in fields: Debian's machine-readable `copyright` files (DEP-5) and the
//! metadata of wheels.

use super::{How, Sighting, names};

/// The most paragraphs of a `copyright` file that are looked at.
const MOST_PARAGRAPHS: usize = 10_000;

/// A paragraph of `Field: value` lines, in which further lines begin with a blank.
struct Paragraph<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Paragraph<'a> {
    fn of(text: &'a str) -> Self {
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, lines)) = fields.last_mut() {
                    lines.push(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim(), vec![value.trim()]));
            }
        }
        Self(fields)
    }

    fn lines(&self, name: &str) -> Option<&[&'a str]> {
        let found = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, lines)| &lines[..])
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        self.lines(name).map(|lines| lines[0])
    }

    fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'a str> + 'p {
        let named = self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, lines)| lines[0])
    }
}

/// What a `copyright` file in the format DEP-5 says, file by file; none where it is not one. The
/// packaging's own files (`debian/`) are left out.
pub(super) fn debian(text: &str) -> Option<Vec<Sighting>> {
    let mut paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'))
        .filter(|paragraph| !paragraph.is_empty())
        .take(MOST_PARAGRAPHS)
        .map(Paragraph::of);
    let header = paragraphs.next()?;
    let format = header.first("Format").or_else(|| header.first("Format-Specification"))?;
    if !format.contains("copyright-format") && !format.to_lowercase().contains("dep5") {
        return None;
    }
    let mut sightings = Vec::new();
    for paragraph in paragraphs {
        let Some(files) = paragraph.lines("Files") else { continue };
        let globs: Vec<String> =
            files.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
        let is_packaging = globs.iter().all(|glob| glob.starts_with("debian/"));
        let Some(license) = paragraph.first("License").filter(|_| !is_packaging) else { continue };
        let files = if globs == ["*"] { Vec::new() } else { globs };
        sightings.push(Sighting { any_of: vec![or_own(license)], how: How::Field, files });
    }
    Some(sightings)
}

/// The expression that a short name means; a name of one's own where it is none that is known.
fn or_own(name: &str) -> String {
    names::expression(name).unwrap_or_else(|| {
        let clean = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let own: String = name.trim().chars().take(60).map(clean).collect();
        let own = own.trim_matches('-');
        format!("LicenseRef-{}", if own.is_empty() { "unnamed" } else { own })
    })
}

/// What the metadata of a wheel says; none where it is not such a file. `License-Expression`
/// counts alone; else `License` and the classifiers do.
pub(super) fn metadata(text: &str) -> Option<Vec<Sighting>> {
    if !text.starts_with("Metadata-Version:") {
        return None;
    }
    let end = text.find("\n\n").map_or(text.len(), |end| end + 1);
    let header = Paragraph::of(&text[..end]);
    let one = |expression: String| {
        vec![Sighting { any_of: vec![expression], how: How::Field, files: Vec::new() }]
    };
    if let Some(expression) = header.first("License-Expression") {
        return Some(one(or_own(expression)));
    }
    let license = header.lines("License").unwrap_or_default();
    let mut found = classifiers(&header);
    match license {
        [name] => found.extend(names::loosely(name).map(|any_of| Sighting {
            any_of,
            how: How::Field,
            files: Vec::new(),
        })),
        lines => found.extend(super::of_prose(&lines.join("\n"))),
    }
    Some(super::without_doubles(found))
}

/// The licences that Python's classifiers name: several are one or the other, nobody says which.
fn classifiers(header: &Paragraph<'_>) -> Vec<Sighting> {
    let named: Vec<&str> = header
        .all("Classifier")
        .filter_map(|value| value.strip_prefix("License ::"))
        .filter_map(|value| value.rsplit("::").next())
        .collect();
    let mut sightings: Vec<Sighting> = named
        .into_iter()
        .filter_map(|name| {
            let any_of = match name.trim() {
                "BSD License" => vec!["BSD-3-Clause".to_owned(), "BSD-2-Clause".to_owned()],
                other => names::loosely(other)?,
            };
            Some(Sighting { any_of, how: How::Field, files: Vec::new() })
        })
        .collect();
    sightings.sort();
    sightings
}

/// The names of the licence files that the metadata of a wheel lists.
pub(super) fn licence_files(text: &str) -> Vec<String> {
    let end = text.find("\n\n").map_or(text.len(), |end| end + 1);
    Paragraph::of(&text[..end]).all("License-File").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP5: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: snowball-data

Files: *
Copyright: 2001 A
License: BSD-3-clause

Files: german/* dutch/diffs.txt
Copyright: B
License: GPL-3+

Files: debian/*
Copyright: C
License: GPL-2

Files: odd
License: Some own terms!

License: BSD-3-clause
 Redistribution and use ...
";

    #[test]
    fn debian_says_it_file_by_file() {
        let found = debian(DEP5).unwrap();
        let short: Vec<(&str, usize)> =
            found.iter().map(|one| (one.any_of[0].as_str(), one.files.len())).collect();
        assert_eq!(
            short,
            [("BSD-3-Clause", 0), ("GPL-3.0-or-later", 2), ("LicenseRef-Some-own-terms", 1)]
        );
        assert_eq!(debian("Format: something else\n\nFiles: *\nLicense: MIT\n"), None);
        assert_eq!(debian("words"), None);
    }

    #[test]
    fn wheels_say_it_in_three_ways() {
        let of = |fields: &str| {
            let text =
                format!("Metadata-Version: 2.4\nName: x\n{fields}\nDescription\nLicense: MIT");
            let found = metadata(&text).unwrap();
            found.into_iter().map(|one| one.any_of.join("|")).collect::<Vec<_>>()
        };
        assert_eq!(of("License-Expression: MIT AND Zlib\nLicense: GPL\n"), ["MIT AND Zlib"]);
        assert_eq!(of("License: GPL-3.0-or-later\n"), ["GPL-3.0-or-later"]);
        let later = "Classifier: License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)\n";
        assert_eq!(of("License: GPLv3\n"), ["GPL-3.0-only|GPL-3.0-or-later"]);
        assert_eq!(of(&format!("License: GPLv3\n{later}")), ["GPL-3.0-or-later"]);
        assert_eq!(
            of("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n"),
            ["MIT"]
        );
        assert_eq!(
            of("Classifier: License :: OSI Approved :: BSD License\n"),
            ["BSD-3-Clause|BSD-2-Clause"]
        );
        assert_eq!(of("Classifier: License :: OSI Approved\n"), Vec::<String>::new());
        assert_eq!(of(""), Vec::<String>::new());
        assert_eq!(metadata("License: MIT\n"), None);
        let files = licence_files("Metadata-Version: 2.4\nLicense-File: A\nLicense-File: B/C\n\nx");
        assert_eq!(files, ["A", "B/C"]);
    }
}
