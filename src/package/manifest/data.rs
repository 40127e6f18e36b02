//! Reads `[[data]]`.

use super::package::licence;
use super::{
    DataAddress, DataLevel, DataReference, DataRole, DataSource, Origin, RecordKind, Unpack,
};
use crate::package::document::{At, Problem, Section};
use crate::package::{Digest, PackagePath, PartName};

/// Reads one `[[data]]`; its name is known even where the rest is not good.
pub(super) fn data(section: Section<'_>) -> (Option<At<PartName>>, Option<DataReference>) {
    let reader = section.reader;
    let name =
        section.required("name", "\"corpus\"").and_then(|found| reader.name::<PartName>(&found));
    let source = source(&section);
    let license =
        section.required("license", "\"CC0-1.0\"").and_then(|found| licence(reader, &found));
    let license_evidence =
        section.string("license-evidence").and_then(|found| evidence(&section, &found));
    let level = section.word("level", DataLevel::ALL, DataLevel::as_str);
    let role = section.word("role", DataRole::ALL, DataRole::as_str);
    let records = section.word("records", RecordKind::ALL, RecordKind::as_str);
    let unpack = section.word("unpack", Unpack::ALL, Unpack::as_str).unwrap_or(Unpack::None);
    let select: Vec<String> =
        section.strings("select").into_iter().filter_map(|found| glob(&section, &found)).collect();
    let exclude: Vec<PackagePath> = section
        .strings("exclude")
        .iter()
        .filter_map(|found| reader.parse(found).map(|path| path.value))
        .collect();
    together(&section, unpack);
    section.finish();
    let reference = |name: &At<PartName>| {
        Some(DataReference {
            name: name.value.clone(),
            source: source?,
            license: license?,
            license_evidence,
            level: level.unwrap_or(DataLevel::Raw),
            role: role.unwrap_or(DataRole::Train),
            records,
            unpack,
            select,
            exclude,
        })
    };
    let read = name.as_ref().and_then(reference);
    (name, read)
}

/// Keys that make no sense without another.
fn together(section: &Section<'_>, unpack: Unpack) {
    let one_file = matches!(unpack, Unpack::None | Unpack::Gz)
        && !section.has("path")
        && !section.has("shards");
    if section.has("select") && one_file {
        let span = section.key_span("select");
        let problem =
            Problem::at(span, "`select` has nothing to choose from: the data is one file");
        section.reader.report(problem.help("say how it is unpacked, as in `unpack = \"tar.gz\"`"));
    }
    if section.has("exclude") && !section.has("records") {
        let span = section.key_span("exclude");
        let problem = Problem::at(span, "`exclude` needs `records`");
        section.reader.report(problem.help("say what one record is, as in `records = \"lines\"`"));
    }
}

fn evidence(section: &Section<'_>, found: &At<&str>) -> Option<String> {
    let is_address = ["://", "pypi:", "deb:"].iter().any(|sign| found.value.contains(sign));
    if is_address {
        return address(section, found).map(|address| address.to_string());
    }
    section.reader.parse::<PackagePath>(found).map(|path| path.value.to_string())
}

/// A glob over relative paths.
pub(super) fn glob(section: &Section<'_>, found: &At<&str>) -> Option<String> {
    let text = found.value;
    let escapes = text.is_empty()
        || text.starts_with('/')
        || text.contains(['\\', '\0'])
        || text.split('/').any(|part| matches!(part, "" | "." | ".."));
    if escapes {
        section.reader.report(
            Problem::at(found.span.clone(), format!("{text:?} is not a pattern of paths"))
                .help("write it relative, with / between its parts and no . or .."),
        );
        return None;
    }
    match globset::GlobBuilder::new(text).literal_separator(true).build() {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            let message = format!("{text:?} is not a pattern of paths: {}", error.kind());
            section.reader.report(Problem::at(found.span.clone(), message));
            None
        }
    }
}

/// Reads a digest, counting the digits of one that is cut off.
fn digest(section: &Section<'_>, found: &At<&str>) -> Option<Digest> {
    if let Ok(digest) = found.value.parse() {
        return Some(digest);
    }
    let text = found.value.strip_prefix("sha256:").unwrap_or(found.value);
    let problem = Problem::at(found.span.clone(), "`sha256` takes 64 hexadecimal digits");
    let stranger = text.chars().find(|c| !c.is_ascii_hexdigit());
    section.reader.report(match (text.to_lowercase().parse::<Digest>().is_ok(), stranger) {
        (true, _) => problem.help(format!("write \"{}\"", text.to_lowercase())),
        (false, Some(c)) => problem.label(format!("{c:?} is no hexadecimal digit")),
        (false, None) => problem.label(format!("this has {}", text.len())),
    });
    None
}

fn source(section: &Section<'_>) -> Option<DataSource> {
    let urls = section.strings("urls");
    let path = section.string("path");
    let shards = section.string("shards");
    let sha256 = section.string("sha256").map(|found| digest(section, &found));
    let size = section.integer("size");
    let stated: Vec<&str> =
        ["urls", "path", "shards"].into_iter().filter(|key| section.has(key)).collect();
    match stated[..] {
        [] => {
            let problem = section.problem("[[data]] does not say where the data is");
            section.reader.report(problem.help("add `urls`, or `path` for data in the tree"));
            None
        }
        ["urls"] => {
            let urls = addresses(section, &urls);
            for (key, example) in [("sha256", "\"…\""), ("size", "1115394")] {
                if !section.has(key) {
                    section.missing(key, example);
                }
            }
            Some(DataSource::Fetched { urls: urls?, sha256: sha256??, size: size?.value })
        }
        ["path"] => {
            alone(section, "size", "path");
            let path = section.reader.parse(&path?)?.value;
            Some(DataSource::InTree { path, sha256: sha256.flatten() })
        }
        [_] => {
            alone(section, "size", "shards");
            alone(section, "sha256", "shards");
            Some(DataSource::Shards { list: section.reader.parse(&shards?)?.value })
        }
        [first, .., second] => {
            let mut places =
                [(section.key_span(first).start, first), (section.key_span(second).start, second)];
            places.sort_unstable();
            let [(_, first), (_, second)] = places;
            let message = format!("`{first}` and `{second}` exclude each other");
            section.reader.report(
                Problem::at(section.key_span(second), message)
                    .related(section.key_span(first), "the data is here already"),
            );
            None
        }
    }
}

fn alone(section: &Section<'_>, key: &'static str, beside: &str) {
    if section.has(key) {
        let span = section.key_span(key);
        let message = format!("`{key}` goes with `urls`, not with `{beside}`");
        section.reader.report(Problem::at(span, message));
    }
}

fn addresses(section: &Section<'_>, found: &[At<&str>]) -> Option<Vec<DataAddress>> {
    let addresses: Vec<DataAddress> =
        found.iter().filter_map(|text| address(section, text)).collect();
    if section.is_empty_array("urls") {
        let span = section.key_span("urls");
        section.reader.report(Problem::at(span, "`urls` has no address in it"));
    }
    (addresses.len() == found.len() && !found.is_empty()).then_some(addresses)
}

fn address(section: &Section<'_>, found: &At<&str>) -> Option<DataAddress> {
    let address = section.reader.parse::<DataAddress>(found)?;
    let fault = match (&address.value.origin, &address.value.member) {
        (Origin::Http(url), _) if !url.username().is_empty() || url.password().is_some() => {
            Some("an address in a manifest is read by everybody: it cannot hold a password")
        }
        (_, Some(member)) if member.parse::<PackagePath>().is_err() => {
            Some("what follows the '#' is not the path of a member")
        }
        _ => None,
    };
    match fault {
        None => Some(address.value),
        Some(message) => {
            section.reader.report(Problem::at(address.span, message));
            None
        }
    }
}
