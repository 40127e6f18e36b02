//! Reads keys out of TOML tables, noting every problem with its place instead of stopping at it.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Problem, listed};
use crate::package::name::slug;

/// The most tables of one name, names in one list and keys in one table.
pub(crate) const MOST_ITEMS: usize = 2000;
/// After so many problems no more are noted.
pub(crate) const MOST_PROBLEMS: usize = 200;

/// A value with its place in the document.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<T> At<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span }
    }
}

/// The document's text, and what was found wrong with it so far.
pub(crate) struct Reader<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::new(Vec::new()) }
    }

    pub(crate) fn report(&self, problem: Problem) {
        if !self.is_full() {
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Whether so many problems are known that more would not be noted.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= MOST_PROBLEMS
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// The place of `part` inside the value at `span`, where it stands there as it is.
    pub(crate) fn narrow(&self, span: &Range<usize>, part: &str) -> Range<usize> {
        match self.text.get(span.clone()).and_then(|raw| raw.find(part)) {
            Some(at) if !part.is_empty() => span.start + at..span.start + at + part.len(),
            _ => span.clone(),
        }
    }

    /// Parses a text, reporting why it cannot be.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, found: &At<&str>) -> Option<At<T>> {
        match found.value.parse() {
            Ok(value) => Some(At { value, span: found.span.clone() }),
            Err(error) => {
                self.report(Problem::at(found.span.clone(), error.to_string()));
                None
            }
        }
    }

    /// Parses a name, offering a well-formed one that is near.
    pub(crate) fn name<T: FromStr<Err: Display>>(&self, found: &At<&str>) -> Option<At<T>> {
        found.value.parse().map_or_else(
            |error: T::Err| {
                let mut problem = Problem::at(found.span.clone(), error.to_string());
                let better = slug(found.value);
                if better.parse::<T>().is_ok() {
                    problem = problem.help(format!("did you mean `{better}`?"));
                }
                self.report(problem);
                None
            },
            |value| Some(At { value, span: found.span.clone() }),
        )
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// One table of the document. The keys that are asked for are the keys that it may have.
pub(crate) struct Section<'a> {
    pub(crate) reader: &'a Reader<'a>,
    title: &'static str,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(
        reader: &'a Reader<'a>,
        title: &'static str,
        span: Range<usize>,
        table: &'a DeTable<'a>,
    ) -> Self {
        Self { reader, title, span, table, asked: RefCell::new(Vec::new()) }
    }

    /// The place of the table's header.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Reports a problem at the table's header.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::at(self.span(), message)
    }

    /// The place of a key that stands in the table.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span(), |(key, _)| key.span())
    }

    /// Whether the key stands in the table, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the key stands in the table with an array that holds nothing.
    pub(crate) fn is_empty_array(&self, key: &str) -> bool {
        let array = self.table.get(key).and_then(|value| value.get_ref().as_array());
        array.is_some_and(|array| array.is_empty())
    }

    /// Whether the key stands in the table with a string.
    pub(crate) fn is_string(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_str())
    }

    /// Every key and value, for tables whose keys are names.
    pub(crate) fn entries(
        &self,
    ) -> impl Iterator<Item = (At<&'a str>, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.counted(self.title, self.table.len(), self.span());
        self.table
            .iter()
            .take(MOST_ITEMS)
            .map(|(key, value)| (At { value: key.get_ref().as_ref(), span: key.span() }, value))
    }

    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    fn wrong_type(&self, name: &str, expected: &str, found: &Spanned<DeValue<'_>>) {
        self.reader.report(
            Problem::at(found.span(), format!("`{name}` takes {expected}"))
                .label(format!("this is {}", with_article(found.get_ref().type_str()))),
        );
    }

    /// Reports that the table lacks `key`.
    pub(crate) fn missing(&self, key: &str, example: &str) {
        self.reader.report(
            self.problem(format!("{} has no `{key}`", self.title))
                .help(format!("add `{key} = {example}`")),
        );
    }

    pub(crate) fn text_of(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<At<&'a str>> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(At { value: text.as_ref(), span: value.span() });
        }
        self.wrong_type(key, "a string", value);
        None
    }

    /// A string.
    pub(crate) fn string(&self, key: &'static str) -> Option<At<&'a str>> {
        self.value(key).and_then(|value| self.text_of(key, value))
    }

    /// A string that must be there.
    pub(crate) fn required(&self, key: &'static str, example: &str) -> Option<At<&'a str>> {
        let found = self.string(key);
        if !self.has(key) {
            self.missing(key, example);
        }
        found
    }

    /// A string that is parsed.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<At<T>> {
        self.string(key).and_then(|found| self.reader.parse(&found))
    }

    /// An array of strings.
    pub(crate) fn strings(&self, key: &'static str) -> Vec<At<&'a str>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, "an array of strings", value);
            return Vec::new();
        };
        self.counted(key, array.len(), value.span());
        array.iter().take(MOST_ITEMS).filter_map(|item| self.text_of(key, item)).collect()
    }

    fn counted(&self, what: &str, count: usize, span: Range<usize>) {
        if count > MOST_ITEMS {
            let message = format!("`{what}` holds {count} things; at most {MOST_ITEMS} are taken");
            self.reader.report(Problem::at(span, message));
        }
    }

    /// An array of names, each once.
    pub(crate) fn names<T: FromStr<Err: Display> + PartialEq + Display>(
        &self,
        key: &'static str,
    ) -> Vec<At<T>> {
        let mut names: Vec<At<T>> = Vec::new();
        for found in self.strings(key) {
            let Some(name) = self.reader.name::<T>(&found) else { continue };
            match names.iter().find(|earlier| earlier.value == name.value) {
                Some(earlier) => self.reader.report(
                    Problem::at(name.span, format!("`{key}` names `{}` twice", name.value))
                        .related(earlier.span.clone(), "first here"),
                ),
                None => names.push(name),
            }
        }
        names
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.value(key)?;
        if let DeValue::Boolean(found) = value.get_ref() {
            return Some(At { value: *found, span: value.span() });
        }
        self.wrong_type(key, "true or false", value);
        None
    }

    /// An integer that is not negative.
    pub(crate) fn integer(&self, key: &'static str) -> Option<At<u64>> {
        let value = self.value(key)?;
        let DeValue::Integer(found) = value.get_ref() else {
            self.wrong_type(key, "an integer", value);
            return None;
        };
        let number = i64::from_str_radix(found.as_str(), found.radix());
        if let Ok(Ok(number)) = number.map(u64::try_from) {
            return Some(At { value: number, span: value.span() });
        }
        let message = format!("`{key}` takes an integer from 0 to {}", i64::MAX);
        self.reader.report(Problem::at(value.span(), message));
        None
    }

    /// An integer, which may be negative.
    pub(crate) fn signed(&self, key: &'static str) -> Option<At<i64>> {
        let value = self.value(key)?;
        let DeValue::Integer(found) = value.get_ref() else {
            self.wrong_type(key, "an integer", value);
            return None;
        };
        let number = i64::from_str_radix(found.as_str(), found.radix()).ok();
        if number.is_none() {
            let message = format!("`{key}` takes an integer from {} to {}", i64::MIN, i64::MAX);
            self.reader.report(Problem::at(value.span(), message));
        }
        number.map(|number| At { value: number, span: value.span() })
    }

    /// A finite number, with or without a fraction.
    pub(crate) fn number(&self, key: &'static str) -> Option<At<f64>> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Float(found) => found.as_str().parse::<f64>().ok(),
            DeValue::Integer(found) => found.to_string().parse::<f64>().ok(),
            _ => {
                self.wrong_type(key, "a number", value);
                return None;
            }
        };
        if let Some(number) = number.filter(|number| number.is_finite()) {
            return Some(At { value: number, span: value.span() });
        }
        let message = format!("`{key}` takes a finite decimal number");
        self.reader.report(Problem::at(value.span(), message));
        None
    }

    /// One word of a closed list.
    pub(crate) fn word<T: Copy>(
        &self,
        key: &'static str,
        all: &[T],
        as_str: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let found = self.string(key)?;
        let value = all.iter().copied().find(|value| as_str(*value) == found.value);
        if value.is_none() {
            let words: Vec<&str> = all.iter().map(|value| as_str(*value)).collect();
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let message = format!("`{key}` is one of {}", listed(&quoted));
            let mut problem = Problem::at(found.span, message);
            if let Some(near) = crate::explain::nearest(found.value, words) {
                problem = problem.help(format!("did you mean \"{near}\"?"));
            }
            self.reader.report(problem);
        }
        value
    }

    /// A table below this one.
    pub(crate) fn section(&self, key: &'static str, title: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(self.reader, title, value.span(), table)),
            DeValue::Array(_) => {
                let message = format!("`{key}` is one table");
                self.reader.report(
                    Problem::at(self.key_span(key), message)
                        .help(format!("write {title} with single brackets")),
                );
                None
            }
            _ => {
                self.wrong_type(key, &format!("a table, {title}"), value);
                None
            }
        }
    }

    /// A table that stands as a value.
    pub(crate) fn table_of(
        &self,
        title: &'static str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Section<'a>> {
        value
            .get_ref()
            .as_table()
            .map(|table| Section::new(self.reader, title, value.span(), table))
    }

    /// An array of tables.
    pub(crate) fn sections(&self, key: &'static str, title: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.reader.report(
                Problem::at(self.key_span(key), format!("`{key}` is a list of tables"))
                    .help(format!("write {title}, once for each")),
            );
            return Vec::new();
        };
        self.counted(key, array.len(), self.key_span(key));
        array
            .iter()
            .take(MOST_ITEMS)
            .filter_map(|item| {
                let section = self.table_of(title, item);
                if section.is_none() {
                    self.wrong_type(key, "tables", item);
                }
                section
            })
            .collect()
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        let known = self.asked.into_inner();
        for (key, _) in self.table {
            let found: &str = key.get_ref();
            if !known.contains(&found) && !self.reader.is_full() {
                self.reader.report(
                    Problem::at(key.span(), format!("{} has no key `{found}`", self.title))
                        .label("unknown key")
                        .suggest(found, known.iter().copied()),
                );
            }
        }
    }
}
