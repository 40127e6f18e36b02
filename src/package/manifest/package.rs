//! Reads `[package]`, the dependencies, `[environment]` and `[reproducibility]`.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::{EnvironmentSection, Level, PackageSection, Reproducibility, SystemProgram};
use crate::package::document::{At, Problem, Reader, Section};
use crate::package::{Dependency, Kind, PackageName, PackagePath, PartName, Requirement, licence};

/// The longest line of text in a manifest, in characters.
const LONGEST_LINE: usize = 200;
/// Variables that the sandbox sets for every step.
const FIXED_VARIABLES: &[&str] =
    &["HOME", "LANG", "PATH", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "TMPDIR", "TZ"];

/// Checks a licence expression.
pub(super) fn licence(reader: &Reader<'_>, found: &At<&str>) -> Option<String> {
    let Err(error) = licence::check(found.value) else { return Some(found.value.to_owned()) };
    let whole = reader.narrow(&found.span, found.value);
    let span = match found.value.get(error.span.clone()) {
        Some(term) if !term.is_empty() && whole != found.span => {
            whole.start + error.span.start..whole.start + error.span.end
        }
        _ => found.span.clone(),
    };
    let mut problem = Problem::at(span, error.to_string());
    if let Some(near) = error.near {
        problem = problem.help(format!("did you mean \"{near}\"?"));
    }
    reader.report(problem);
    None
}

/// A line of text: not empty, no control characters.
fn line(reader: &Reader<'_>, key: &str, found: &At<&str>) -> Option<String> {
    let fault = if found.value.trim().is_empty() {
        "is empty"
    } else if found.value.chars().any(char::is_control) {
        "has a line break or another control character"
    } else if found.value.chars().count() > LONGEST_LINE {
        "is longer than 200 characters"
    } else {
        return Some(found.value.to_owned());
    };
    reader.report(Problem::at(found.span.clone(), format!("`{key}` {fault}")));
    None
}

/// An address of a page.
pub(super) fn page(reader: &Reader<'_>, key: &str, found: &At<&str>) -> Option<String> {
    match url::Url::parse(found.value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(found.value.to_owned()),
        _ => {
            let message = format!("`{key}` takes an address that begins with https:// or http://");
            reader.report(Problem::at(found.span.clone(), message));
            None
        }
    }
}

/// Reads `[package]`.
pub(super) fn package(section: Section<'_>) -> Option<PackageSection> {
    let reader = section.reader;
    let name = section
        .required("name", "\"my-model\"")
        .and_then(|found| reader.name::<PackageName>(&found));
    let version = section.required("version", "\"0.1.0\"").and_then(|found| reader.parse(&found));
    let kind = section.word("kind", &Kind::ALL, Kind::as_str);
    if !section.has("kind") {
        section.missing("kind", "\"model\"");
    }
    let summary = section
        .required("summary", "\"What it is, in one line\"")
        .and_then(|found| line(reader, "summary", &found));
    let license =
        section.required("license", "\"Apache-2.0\"").and_then(|found| licence(reader, &found));
    let maintainers = section
        .strings("maintainers")
        .iter()
        .filter_map(|found| line(reader, "maintainers", found))
        .collect();
    let homepage = section.string("homepage").and_then(|found| page(reader, "homepage", &found));
    let tasks =
        section.names::<PartName>("tasks").into_iter().map(|task| task.value.to_string()).collect();
    let provides = section.names::<PackageName>("provides");
    let conflicts = section.names::<PackageName>("conflicts");
    let pickle_reason = pickle_reason(&section);
    if let Some(name) = &name {
        not_itself(reader, "conflicts", name, &conflicts);
        not_itself(reader, "provides", name, &provides);
    }
    section.finish();
    Some(PackageSection {
        name: name?.value,
        version: version?.value,
        kind: kind?,
        summary: summary?,
        license: license?,
        maintainers,
        homepage,
        tasks,
        provides: provides.into_iter().map(|name| name.value).collect(),
        conflicts: conflicts.into_iter().map(|name| name.value).collect(),
        pickle_reason,
    })
}

fn not_itself(reader: &Reader<'_>, key: &str, name: &At<PackageName>, list: &[At<PackageName>]) {
    for found in list.iter().filter(|found| found.value == name.value) {
        reader.report(
            Problem::at(found.span.clone(), format!("`{key}` names the package itself"))
                .related(name.span.clone(), "its name"),
        );
    }
}

fn pickle_reason(section: &Section<'_>) -> Option<String> {
    let allowed = section.boolean("allow-pickle");
    let reason = section.string("pickle-reason");
    let allows = allowed.as_ref().is_some_and(|allowed| allowed.value);
    match (&allowed, &reason) {
        (Some(allowed), None) if allowed.value && !section.has("pickle-reason") => {
            let problem = Problem::at(
                section.key_span("allow-pickle"),
                "`allow-pickle` needs a `pickle-reason`",
            );
            section.reader.report(problem.help(
                "pickle files run code when they are loaded: say why no other format will do",
            ));
        }
        (_, Some(reason)) if !allows => {
            section.reader.report(Problem::at(
                reason.span.clone(),
                "`pickle-reason` goes with `allow-pickle = true`",
            ));
        }
        _ => {}
    }
    reason.filter(|_| allows).and_then(|reason| line(section.reader, "pickle-reason", &reason))
}

/// A dependency with the place of its name.
pub(super) type DependencyAt = At<Dependency>;

/// Reads `[dependencies]` or `[build-dependencies]`: the good ones, and every name.
pub(super) fn dependencies(
    section: Option<Section<'_>>,
    own_name: Option<&PackageName>,
) -> Vec<DependencyAt> {
    let Some(section) = section else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in section.entries() {
        let Some(name) = section.reader.name::<PackageName>(&key) else { continue };
        if own_name == Some(&name.value) {
            section.reader.report(Problem::at(key.span, "a package cannot depend on itself"));
            continue;
        }
        let (requirement, variant) = match value.get_ref() {
            DeValue::Table(_) => {
                let Some(table) = section.table_of("a dependency", value) else { continue };
                let requirement =
                    table.required("version", "\"^1\"").and_then(|text| requirement(&table, &text));
                let variant = table.string("variant").and_then(|text| table.reader.name(&text));
                table.finish();
                (requirement, variant.map(|variant| variant.value))
            }
            _ => (dependency_text(&section, &name.value, value), None),
        };
        let requirement = requirement.unwrap_or_else(Requirement::any);
        found.push(At {
            value: Dependency { name: name.value, requirement, variant },
            span: key.span,
        });
    }
    found
}

fn requirement(section: &Section<'_>, text: &At<&str>) -> Option<Requirement> {
    section.reader.parse(text).map(|requirement| requirement.value)
}

fn dependency_text<'a>(
    section: &Section<'a>,
    name: &PackageName,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<Requirement> {
    if matches!(value.get_ref(), DeValue::String(_)) {
        let text = section.text_of(name.as_str(), value)?;
        return requirement(section, &text);
    }
    section.reader.report(
        Problem::at(value.span(), format!("`{name}` takes a version requirement"))
            .help("write \"^1.2\", or { version = \"^1.2\", variant = \"f32\" }"),
    );
    None
}

/// Whether `text` is a list of Python version specifiers, such as `>=3.11,<3.14`.
fn python_specifier(text: &str) -> bool {
    text.split(',').all(|part| {
        let part = part.trim();
        let version = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"]
            .iter()
            .find_map(|operator| part.strip_prefix(operator));
        version.map(str::trim).is_some_and(|version| {
            let version = version.strip_suffix(".*").unwrap_or(version);
            version.split('.').all(|number| {
                (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
    })
}

/// Reads `[environment]`.
pub(super) fn environment(
    section: Option<Section<'_>>,
    build_dependencies: &[DependencyAt],
) -> EnvironmentSection {
    let Some(section) = section else { return EnvironmentSection::default() };
    let reader = section.reader;
    let python = section.string("python").filter(|found| {
        let good = python_specifier(found.value);
        if !good {
            reader.report(
                Problem::at(found.span.clone(), "`python` takes the versions that will do")
                    .help("write \">=3.11\" or \">=3.11,<3.14\""),
            );
        }
        good
    });
    let lock = section.parsed::<PackagePath>("lock").filter(|lock| {
        let name = lock.value.file_name();
        let good = match name.rsplit_once('.') {
            Some((stem, "toml")) => stem == "pylock" || stem.starts_with("pylock."),
            Some((_, end)) => end == "txt",
            None => false,
        };
        if !good {
            reader.report(
                Problem::at(lock.span.clone(), "this is no lock file that mpkg reads")
                    .help("name a pylock.toml, or a requirements.txt with hashes"),
            );
        }
        good
    });
    let package = section.string("package").and_then(|found| reader.name::<PackageName>(&found));
    if let Some(package) = &package {
        if !build_dependencies.iter().any(|known| known.value.name == package.value) {
            let known = build_dependencies.iter().map(|known| known.value.name.as_str());
            let message = format!("`{}` is not in [build-dependencies]", package.value);
            let problem = Problem::at(package.span.clone(), message);
            reader.report(problem.suggest(package.value.as_str(), known));
        }
        if let Some(lock) = &lock {
            reader.report(
                Problem::at(package.span.clone(), "`package` and `lock` exclude each other")
                    .related(lock.span.clone(), "the lock"),
            );
        }
    }
    let variables = section.section("variables", "[environment.variables]");
    let variables = variables.as_ref().map(read_variables).unwrap_or_default();
    let system = section.sections("system", "[[environment.system]]");
    let system = system.into_iter().filter_map(program).collect();
    section.finish();
    EnvironmentSection {
        python: python.map(|found| found.value.to_owned()),
        lock: lock.map(|found| found.value),
        variables,
        system,
        package: package.map(|found| found.value),
    }
}

fn read_variables(section: &Section<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (key, value) in section.entries() {
        let good = key.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            let message = format!("{:?} is not the name of a variable", key.value);
            section.reader.report(Problem::at(key.span, message));
            continue;
        }
        if FIXED_VARIABLES.contains(&key.value) {
            let message = format!("`{}` is the same in every build and cannot be set", key.value);
            section.reader.report(Problem::at(key.span, message));
            continue;
        }
        let Some(text) = section.text_of(key.value, value) else { continue };
        if text.value.contains('\0') {
            section.reader.report(Problem::at(text.span, "a variable cannot hold a NUL character"));
            continue;
        }
        variables.insert(key.value.to_owned(), text.value.to_owned());
    }
    variables
}

fn program(section: Section<'_>) -> Option<SystemProgram> {
    let program = section.required("program", "\"python3\"").filter(|found| {
        let good = found.value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && found.value.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
        if !good {
            section.reader.report(
                Problem::at(found.span.clone(), "`program` takes the name of a program")
                    .help("it is looked for on the search path: write no folder"),
            );
        }
        good
    });
    let version = section.parsed::<Requirement>("version");
    section.finish();
    Some(SystemProgram {
        program: program?.value.to_owned(),
        version: version.map(|version| version.value),
    })
}

/// Reads `[reproducibility]`.
pub(super) fn reproducibility(section: Option<Section<'_>>) -> Reproducibility {
    let unstated = Reproducibility {
        level: Level::Behaviour,
        max_abs: None,
        min_cosine: None,
        min_agreement: None,
    };
    let Some(section) = section else { return unstated };
    let level = section.word("level", Level::ALL, Level::as_str);
    if !section.has("level") {
        section.missing("level", "\"bitwise\"");
    }
    let tensor = section.section("tensor", "[reproducibility.tensor]");
    let stated = tensor.is_some();
    let (max_abs, min_cosine) = tensor.map(distances).unwrap_or_default();
    if level == Some(Level::Tensor) && !stated {
        let problem = Problem::at(
            section.key_span("level"),
            "`level = \"tensor\"` needs [reproducibility.tensor]",
        );
        section.reader.report(problem.help("state `max-abs`, `min-cosine` or both there"));
    }
    let min_agreement = within(&section, "min-agreement", 0.0, 1.0, "from 0 to 1");
    section.finish();
    let level = level.unwrap_or(Level::Behaviour);
    Reproducibility { level, max_abs, min_cosine, min_agreement }
}

fn distances(section: Section<'_>) -> (Option<f64>, Option<f64>) {
    let max_abs = within(&section, "max-abs", 0.0, f64::MAX, "that is not negative");
    let min_cosine = within(&section, "min-cosine", -1.0, 1.0, "from -1 to 1");
    if !section.has("max-abs") && !section.has("min-cosine") {
        let problem = section.problem("[reproducibility.tensor] states no distance");
        section.reader.report(problem.help("add `max-abs = 1e-4` or `min-cosine = 0.9999`"));
    }
    section.finish();
    (max_abs, min_cosine)
}

/// A number from `low` to `high`.
fn within(
    section: &Section<'_>,
    key: &'static str,
    low: f64,
    high: f64,
    range: &str,
) -> Option<f64> {
    let found = section.number(key)?;
    if (low..=high).contains(&found.value) {
        return Some(found.value);
    }
    let message = format!("`{key}` takes a number {range}");
    section.reader.report(Problem::at(found.span, message));
    None
}
