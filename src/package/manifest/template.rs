//! Arguments of steps and tests, with placeholders.

use std::fmt;
use std::str::FromStr;

use crate::package::{PackageName, PartName};

/// What stands between braces in an argument of `run`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{out}`: the step's writable output folder.
    Out,
    /// `{seed}`: the step's seed.
    Seed,
    /// `{checkpoint}`: the checkpoint that a step goes on from; in `resume` only.
    Checkpoint,
    /// `{until}`: the checkpoint that a step ends with, below its output; in `until` only.
    Until,
    /// `{package}`: the folder of the packed variant; tests only.
    Package,
    /// `{data.NAME}`: a data reference's file or folder.
    Data(PartName),
    /// `{step.NAME}`: another step's output folder.
    Step(PartName),
    /// `{dep.NAME}`: the folder of a dependency.
    Dependency(PackageName),
}

/// A piece of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text(String),
    /// Text that the build puts in.
    Placeholder(Placeholder),
}

/// One argument of `run`: text with placeholders. `{{` and `}}` stand for single braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The pieces, in order.
    pub parts: Vec<Part>,
}

/// An argument whose braces make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A `{` without its `}`, or the reverse.
    #[error("a brace stands alone (write {{{{ or }}}} for a brace itself)")]
    Unbalanced,
    /// Braces around something that is no placeholder.
    #[error(
        "{{{0}}} is no placeholder: there are {{out}}, {{seed}}, {{package}}, {{data.NAME}}, {{step.NAME}} and {{dep.NAME}}"
    )]
    Unknown(String),
}

impl Template {
    /// The placeholders in it, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Placeholder(placeholder) => Some(placeholder),
        })
    }

    /// The argument with each placeholder replaced by what `value` says.
    ///
    /// # Errors
    /// The first error of `value`.
    pub fn fill<E>(
        &self,
        mut value: impl FnMut(&Placeholder) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Placeholder(placeholder) => filled.push_str(&value(placeholder)?),
            }
        }
        Ok(filled)
    }
}

impl FromStr for Placeholder {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || InvalidTemplate::Unknown(text.chars().take(80).collect());
        let placeholder = match text.split_once('.') {
            None if text == "out" => Self::Out,
            None if text == "seed" => Self::Seed,
            None if text == "package" => Self::Package,
            None if text == "checkpoint" => Self::Checkpoint,
            None if text == "until" => Self::Until,
            Some(("data", name)) => Self::Data(name.parse().map_err(|_| unknown())?),
            Some(("step", name)) => Self::Step(name.parse().map_err(|_| unknown())?),
            Some(("dep", name)) => Self::Dependency(name.parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        };
        Ok(placeholder)
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after_pair) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after_pair;
                continue;
            }
            let end =
                after.find('}').filter(|_| brace == "{").ok_or(InvalidTemplate::Unbalanced)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Placeholder(after[..end].parse()?));
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out => f.write_str("{out}"),
            Self::Seed => f.write_str("{seed}"),
            Self::Package => f.write_str("{package}"),
            Self::Checkpoint => f.write_str("{checkpoint}"),
            Self::Until => f.write_str("{until}"),
            Self::Data(name) => write!(f, "{{data.{name}}}"),
            Self::Step(name) => write!(f, "{{step.{name}}}"),
            Self::Dependency(name) => write!(f, "{{dep.{name}}}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Placeholder(placeholder) => placeholder.fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let template: Template = text.parse().unwrap();
        assert_eq!(template.to_string(), text);
        template.fill(|placeholder| Ok::<_, ()>(format!("<{placeholder}>"))).unwrap()
    }

    #[test]
    fn placeholders_are_filled() {
        assert_eq!(filled("--out={out}/x"), "--out=<{out}>/x");
        assert_eq!(filled("{data.plays}{dep.base-lm}"), "<{data.plays}><{dep.base-lm}>");
        assert_eq!(filled("{{literal}}"), "{literal}");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!("{out".parse::<Template>(), Err(InvalidTemplate::Unbalanced));
        assert_eq!("out}".parse::<Template>(), Err(InvalidTemplate::Unbalanced));
        for text in ["{outt}", "{data}", "{data.A}", "{}"] {
            assert!(matches!(text.parse::<Template>(), Err(InvalidTemplate::Unknown(_))), "{text}");
        }
    }
}
