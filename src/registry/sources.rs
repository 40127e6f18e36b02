//! Which registries are asked, and for what: `HOME/registries.toml` (spec/resolving.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use super::tuf::Clock;
use crate::explain::{Explain, nearest};
use crate::fs;
use crate::net::Address;
use crate::package::document::{At, Diagnostics, Form, Problem, Reader, Section};
use crate::package::{PackageName, RegistryName};

/// The configuration's name in the home folder.
pub const SOURCES_NAME: &str = "registries.toml";
/// Priorities lie between this and its negative.
pub const HIGHEST_PRIORITY: i64 = 1000;

const FORM: Form =
    Form { kind: "registries", noun: "a configuration of registries", longest: 1 << 20 };

/// A registry that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, where it is configured.
    pub name: Option<RegistryName>,
    /// Its folder or address.
    pub location: String,
    /// Registries of higher priority are asked first.
    pub priority: i64,
    /// Names that are taken from it alone.
    pub pins: BTreeSet<PackageName>,
}

impl Source {
    /// A registry that is not configured.
    #[must_use]
    pub fn unnamed(location: &str) -> Self {
        Self { name: None, location: location.to_owned(), priority: 0, pins: BTreeSet::new() }
    }

    /// Its location without secrets.
    #[must_use]
    pub fn shown_location(&self) -> String {
        shown(&self.location)
    }

    /// What messages call it: its name, or else its location without secrets.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            None => shown(&self.location),
        }
    }
}

/// `location` without secrets.
fn shown(location: &str) -> String {
    location.parse().map_or_else(
        |_| crate::explain::printable(location),
        |address: Address| address.to_string(),
    )
}

/// The registries that a command asks, in their order, and the pins that hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The registries.
    pub sources: Vec<Source>,
    /// The registry that a name is taken from alone, also where that one is not asked.
    pub pins: BTreeMap<PackageName, RegistryName>,
    /// The time at which they are asked.
    pub clock: Clock,
}

/// The configured registries.
#[derive(Debug, Clone)]
pub struct Sources {
    path: PathBuf,
    document: DocumentMut,
    list: Vec<Source>,
}

/// What can fail with the configuration of registries.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The file says something that it may not say.
    #[error(transparent)]
    Document(#[from] Diagnostics),
    /// A name is taken.
    #[error("a registry called {name} is configured already: {}", shown(location))]
    NameTaken {
        /// The name.
        name: RegistryName,
        /// Where the one that has it is.
        location: String,
    },
    /// A location is configured under another name.
    #[error("{} is configured already, as {name}", shown(location))]
    LocationTaken {
        /// The location.
        location: String,
        /// Its name.
        name: RegistryName,
    },
    /// A name is pinned to another registry.
    #[error("{package} is pinned to the registry {name} already")]
    PinTaken {
        /// The package name.
        package: PackageName,
        /// The registry.
        name: RegistryName,
    },
    /// There is no such registry.
    #[error("no registry called {name} is configured")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name that is.
        nearest: Option<String>,
    },
    /// A location has nothing in it that a name could be made of.
    #[error("no name can be made of {}", shown(location))]
    Nameless {
        /// The location.
        location: String,
    },
}

impl Explain for SourcesError {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Document(error) => error.kind(),
            Self::NameTaken { .. } | Self::LocationTaken { .. } => "registry-exists",
            Self::PinTaken { .. } => "pinned-elsewhere",
            Self::Unknown { .. } => "no-such-registry",
            Self::Nameless { .. } => "no-registry-name",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NameTaken { .. } | Self::Nameless { .. } => {
                Some("name it with --name NAME".to_owned())
            }
            Self::LocationTaken { name, .. } => {
                Some(format!("to configure it anew, remove it first: mpkg registry remove {name}"))
            }
            Self::Unknown { nearest: Some(name), .. } => {
                Some(format!("there is a registry called {name}"))
            }
            Self::Unknown { .. } => Some("see what there is with: mpkg registry list".to_owned()),
            Self::Document(_) | Self::PinTaken { .. } => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Document(error) => error.rendered(),
            _ => None,
        }
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Document(error) => error.details(),
            _ => None,
        }
    }
}

impl Sources {
    /// Reads the configuration of the home folder `home`; where there is none, no registry is
    /// configured.
    ///
    /// # Errors
    /// [`SourcesError::Document`] and file errors.
    pub fn read(home: &Path) -> Result<Self, SourcesError> {
        let path = home.join(SOURCES_NAME);
        let text = match fs::read_to_string(&path, FORM.longest) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let list = FORM.parse(&text, &path.to_string_lossy(), |root| Some(list(root)))?;
        let document = text.parse().expect("the strict reader has read it already");
        Ok(Self { path, document, list })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configured registries: those of higher priority first, then in the order of the file.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Source> {
        let mut list: Vec<&Source> = self.list.iter().collect();
        list.sort_by_key(|source| std::cmp::Reverse(source.priority));
        list
    }

    /// The registry that `text` names, by its name or by its location.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Source> {
        let by_name = |source: &&Source| source.name.as_ref().is_some_and(|n| n.as_str() == text);
        let same_place = |source: &&Source| normal(&source.location) == normal(text);
        self.list.iter().find(by_name).or_else(|| self.list.iter().find(same_place))
    }

    /// Demands that whatever is named is configured, or can be the location of a registry: a word
    /// that could be a name, and that no folder is called, is a name that is not known.
    ///
    /// # Errors
    /// [`SourcesError::Unknown`] with the nearest name.
    pub fn demand_known(&self, named: &[String]) -> Result<(), SourcesError> {
        let is_unknown = |text: &&String| {
            self.find(text).is_none()
                && text.parse::<RegistryName>().is_ok()
                && !Path::new(text.as_str()).exists()
        };
        named.iter().find(is_unknown).map_or(Ok(()), |text| Err(self.unknown(text)))
    }

    fn unknown(&self, name: &str) -> SourcesError {
        let known = self.list.iter().filter_map(|source| Some(source.name.as_ref()?.as_str()));
        let nearest = nearest(name, known).map(str::to_owned);
        SourcesError::Unknown { name: crate::explain::printable(name), nearest }
    }

    /// The registries that a command asks: those that are named, in that order, or else all that
    /// are configured. What is named and not configured is taken for a location.
    #[must_use]
    pub fn select(&self, named: &[String], clock: Clock) -> Selection {
        let mut sources: Vec<Source> = Vec::new();
        for text in named {
            let source = self.find(text).cloned().unwrap_or_else(|| Source::unnamed(text));
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        if named.is_empty() {
            sources = self.in_order().into_iter().cloned().collect();
        }
        let pins = self.list.iter().filter_map(|source| Some((source.name.clone()?, source)));
        let pins = pins.flat_map(|(name, source)| {
            source.pins.iter().map(move |package| (package.clone(), name.clone()))
        });
        Selection { sources, pins: pins.collect(), clock }
    }

    /// Adds a registry and writes the file, keeping what else stands in it. A source without a
    /// name gets one that is made of its location.
    ///
    /// # Errors
    /// Names, locations and pins that are taken; file errors.
    pub fn add(&mut self, source: Source) -> Result<RegistryName, SourcesError> {
        let name = self.check(&source)?;
        let mut table = Table::new();
        table["name"] = toml_edit::value(name.as_str());
        table["location"] = toml_edit::value(&source.location);
        if source.priority != 0 {
            table["priority"] = toml_edit::value(source.priority);
        }
        if !source.pins.is_empty() {
            let pins: toml_edit::Array = source.pins.iter().map(PackageName::as_str).collect();
            table["pin"] = toml_edit::value(pins);
        }
        let tables = || Item::ArrayOfTables(ArrayOfTables::new());
        let list = self.document.entry("registry").or_insert_with(tables);
        // The strict reader lets an empty array pass, which holds no tables.
        if !list.is_array_of_tables() {
            *list = tables();
        }
        list.as_array_of_tables_mut().expect("it was made one above").push(table);
        self.list.push(Source { name: Some(name.clone()), ..source });
        self.write()?;
        Ok(name)
    }

    /// The name under which `source` can be added.
    ///
    /// # Errors
    /// Names, locations and pins that are taken.
    pub fn check(&self, source: &Source) -> Result<RegistryName, SourcesError> {
        let nameless = || SourcesError::Nameless { location: source.location.clone() };
        let name = match &source.name {
            Some(name) => name.clone(),
            None => suggested_name(&source.location).ok_or_else(nameless)?,
        };
        for other in &self.list {
            let Some(taken) = &other.name else { continue };
            if *taken == name {
                return Err(SourcesError::NameTaken { name, location: other.location.clone() });
            }
            if normal(&other.location) == normal(&source.location) {
                let location = source.location.clone();
                return Err(SourcesError::LocationTaken { location, name: taken.clone() });
            }
            if let Some(package) = other.pins.intersection(&source.pins).next() {
                let (package, name) = (package.clone(), taken.clone());
                return Err(SourcesError::PinTaken { package, name });
            }
        }
        Ok(name)
    }

    /// Removes a registry and writes the file.
    ///
    /// # Errors
    /// [`SourcesError::Unknown`]; file errors.
    pub fn remove(&mut self, name: &str) -> Result<Source, SourcesError> {
        let is_it = |source: &Source| source.name.as_ref().is_some_and(|n| n.as_str() == name);
        let Some(place) = self.list.iter().position(is_it) else {
            return Err(self.unknown(name));
        };
        let item = &mut self.document["registry"];
        if let Some(tables) = item.as_array_of_tables_mut() {
            tables.remove(place);
        } else if let Some(tables) = item.as_array_mut() {
            // They may stand inline as well.
            tables.remove(place);
        }
        let gone = self.list.remove(place);
        self.write()?;
        Ok(gone)
    }

    fn write(&self) -> Result<(), SourcesError> {
        // Locations may hold secrets.
        Ok(fs::write_privately(&self.path, self.document.to_string().as_bytes())?)
    }
}

/// A location as it is compared: `https://h/r` and `https://h/r/` are the same.
fn normal(location: &str) -> String {
    let text = match location.parse() {
        Ok(Address::Http(url)) => url.to_string(),
        Ok(Address::Path(path)) => {
            std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
        }
        Err(_) => location.to_owned(),
    };
    text.trim_end_matches('/').to_owned()
}

/// A name made of a location: the last part of its path, or else its host.
fn suggested_name(location: &str) -> Option<RegistryName> {
    let (host, path) = match location.parse().ok()? {
        Address::Http(url) => (url.host_str().map(str::to_owned), url.path().to_owned()),
        Address::Path(path) => (None, path.to_string_lossy().into_owned()),
    };
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    [Some(last), host].into_iter().flatten().find_map(|text| RegistryName::near(&text))
}

fn list(root: Section<'_>) -> Vec<Source> {
    let mut names: Vec<At<RegistryName>> = Vec::new();
    let mut pinned: Vec<At<PackageName>> = Vec::new();
    let mut list = Vec::new();
    for section in root.sections("registry", "[[registry]]") {
        list.extend(source(section, &mut names, &mut pinned));
    }
    root.finish();
    list
}

fn source(
    section: Section<'_>,
    names: &mut Vec<At<RegistryName>>,
    pinned: &mut Vec<At<PackageName>>,
) -> Option<Source> {
    let reader = section.reader;
    let name = section.required("name", "\"main\"").and_then(|found| reader.name(&found));
    let location = section.required("location", "\"https://…\"");
    if let Some(found) = &location
        && let Err(error) = found.value.parse::<Address>()
    {
        reader.report(Problem::at(found.span.clone(), error.to_string()));
    }
    let priority = priority(&section);
    let pins = section.names("pin");
    section.finish();
    if let Some(name) = &name {
        once(reader, name, names, "two registries are called");
    }
    for pin in &pins {
        once(reader, pin, pinned, "two registries pin");
    }
    Some(Source {
        name: Some(name?.value),
        location: location?.value.to_owned(),
        priority,
        pins: pins.into_iter().map(|pin| pin.value).collect(),
    })
}

fn priority(section: &Section<'_>) -> i64 {
    let Some(found) = section.signed("priority") else { return 0 };
    if found.value.abs() > HIGHEST_PRIORITY {
        section.reader.report(Problem::at(
            found.span,
            format!("`priority` takes an integer from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}"),
        ));
        return 0;
    }
    found.value
}

/// Notes `found`, and reports it where it was noted before.
fn once<T: Clone + PartialEq + std::fmt::Display>(
    reader: &Reader<'_>,
    found: &At<T>,
    earlier: &mut Vec<At<T>>,
    what: &str,
) {
    if let Some(first) = earlier.iter().find(|other| other.value == found.value) {
        let problem = Problem::at(found.span.clone(), format!("{what} `{}`", found.value));
        reader.report(problem.related(first.span.clone(), "first here"));
    } else {
        earlier.push(found.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> (tempfile::TempDir, Result<Sources, SourcesError>) {
        let home = tempfile::tempdir().unwrap();
        fs::write_atomically(&home.path().join(SOURCES_NAME), text.as_bytes()).unwrap();
        let sources = Sources::read(home.path());
        (home, sources)
    }

    fn names(selection: &Selection) -> Vec<String> {
        selection.sources.iter().map(Source::title).collect()
    }

    fn clock() -> Clock {
        Clock::strict(jiff::Timestamp::UNIX_EPOCH)
    }

    const TWO: &str = r#"# mine
[[registry]]
name = "main"   # the distribution
location = "https://example.org/r/"

[[registry]]
name = "own"
location = "/srv/own"
priority = 10
pin = ["docs-lm"]
"#;

    #[test]
    fn priorities_order_and_names_override() {
        let (_home, sources) = sources(TWO);
        let sources = sources.unwrap();
        assert_eq!(names(&sources.select(&[], clock())), ["own", "main"]);
        let named = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            names(&sources.select(&words, clock()))
        };
        assert_eq!(named(&["main", "own", "main"]), ["main", "own"]);
        assert_eq!(named(&["https://example.org/r", "elsewhere"]), ["main", "elsewhere"]);
        let pins = sources.select(&["main".to_owned()], clock()).pins;
        assert_eq!(pins.get("docs-lm").map(RegistryName::as_str), Some("own"));
    }

    #[test]
    fn changes_keep_what_else_stands_there() {
        let (home, sources) = sources(TWO);
        let mut sources = sources.unwrap();
        let new = Source { priority: -3, ..Source::unnamed("https://models.example/") };
        assert_eq!(sources.add(new).unwrap().as_str(), "models-example");
        let text = fs::read_to_string(sources.path(), 1 << 20).unwrap();
        assert!(text.starts_with(TWO), "{text}");
        assert!(text.ends_with("priority = -3\n"), "{text}");
        assert_eq!(Sources::read(home.path()).unwrap().in_order().len(), 3);
        sources.remove("main").unwrap();
        sources.remove("own").unwrap();
        sources.remove("models-example").unwrap();
        assert_eq!(Sources::read(home.path()).unwrap().in_order().len(), 0);
        let near = sources.remove("own").unwrap_err();
        assert_eq!(near.to_string(), "no registry called own is configured");
    }

    #[test]
    fn what_is_taken_is_refused() {
        let (_home, sources) = sources(TWO);
        let sources = sources.unwrap();
        let refused = |source: Source| sources.check(&source).unwrap_err().to_string();
        let named = |name: &str| Source {
            name: Some(name.parse().unwrap()),
            ..Source::unnamed("https://elsewhere.example/x")
        };
        assert!(refused(named("own")).contains("a registry called own"));
        let again = refused(Source::unnamed("https://example.org/r"));
        assert!(again.contains("already, as main"), "{again}");
        let pins = BTreeSet::from(["docs-lm".parse().unwrap()]);
        assert!(refused(Source { pins, ..named("new") }).contains("pinned to the registry own"));
        assert!(refused(Source::unnamed("/")).contains("no name can be made"));
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_its_places() {
        for (text, message) in [
            ("[[registry]]\nname = \"a\"", "[[registry]] has no `location`"),
            ("[[registry]]\nname = \"A b\"\nlocation = \"x\"", "is not a registry name"),
            ("[[registry]]\nname = \"a\"\nlocation = \"ftp://x\"", "scheme"),
            ("[[registry]]\nname = \"a\"\nlocation = \"x\"\nprio = 1", "no key `prio`"),
            (
                "[[registry]]\nname = \"a\"\nlocation = \"x\"\npriority = 1001",
                "an integer from -1000 to 1000",
            ),
            (
                "[[registry]]\nname = \"a\"\nlocation = \"x\"\n[[registry]]\nname = \"a\"\nlocation = \"y\"",
                "two registries are called `a`",
            ),
            ("[registry]\nname = \"a\"", "`registry` is a list of tables"),
            ("registries = 1", "a configuration of registries has no key `registries`"),
        ] {
            let error = sources(text).1.unwrap_err();
            assert_eq!(error.kind(), "registries");
            let all = error.rendered().unwrap();
            assert!(all.contains(message), "{text}: {all}");
        }
    }
}
