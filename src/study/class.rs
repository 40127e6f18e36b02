//! The openness class of a package, out of facts: each holds the class down while its value is not
//! yes, and what is unknown counts as the worst that it may be (spec/facts.md, "Classes").

mod framework;

use jiff::Timestamp;
use serde::Serialize;

pub use framework::{Component, Framework, FrameworkClass};

use super::licences::Level;
pub use crate::package::Class;

/// The value of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// Nobody knows.
    Unknown,
}

impl Value {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }

    /// Yes or no.
    #[must_use]
    pub const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// A fact about the openness of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// A stable word for what is asked, in kebab-case.
    pub key: &'static str,
    /// What it is about, where the package has several of the kind: a data reference, a wheel.
    pub about: Option<String>,
    /// What is said.
    pub statement: String,
    /// Whether it is so.
    pub value: Value,
    /// How well that is known.
    pub level: Level,
    /// Where it is known from.
    pub source: String,
    /// When that was last looked at.
    pub date: Option<Timestamp>,
    /// The best class that the package can have as it is.
    pub allows: Class,
    /// What would change it; none where nothing needs to.
    pub remedy: Option<String>,
}

impl Fact {
    /// A fact that holds nothing down.
    #[must_use]
    pub fn good(
        key: &'static str,
        statement: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        Self {
            key,
            about: None,
            statement: statement.into(),
            value: Value::Yes,
            level: Level::Declared,
            source: source.into(),
            date: None,
            allows: Class::Main,
            remedy: None,
        }
    }

    /// The same about one of several things.
    #[must_use]
    pub fn about(self, name: impl Into<String>) -> Self {
        Self { about: Some(name.into()), ..self }
    }

    /// The same, known as well as `level` says.
    #[must_use]
    pub fn at(self, level: Level, date: Option<Timestamp>) -> Self {
        Self { level, date, ..self }
    }

    /// The same with another value, which allows at most `allows`; `remedy` says what would help.
    #[must_use]
    pub fn but(self, value: Value, allows: Class, remedy: impl Into<String>) -> Self {
        Self { value, allows, remedy: Some(remedy.into()), ..self }
    }
}

/// The class that `facts` allow: the worst of what each allows.
#[must_use]
pub fn class_of(facts: &[Fact]) -> Class {
    facts.iter().map(|fact| fact.allows).min().unwrap_or(Class::NonFree)
}

/// The class after `class`, and the facts that stand between: those that do not allow it. None for
/// the best.
#[must_use]
pub fn next_better(class: Class, facts: &[Fact]) -> Option<(Class, Vec<&Fact>)> {
    let next = Class::ALL.iter().copied().find(|better| *better > class)?;
    Some((next, facts.iter().filter(|fact| fact.allows < next).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fact_decides_and_unknown_never_improves() {
        let good = Fact::good("a", "a", "b");
        assert_eq!(class_of(std::slice::from_ref(&good)), Class::Main);
        assert_eq!(class_of(&[]), Class::NonFree);
        let lost = good.clone().but(Value::No, Class::Contrib, "fetch it");
        let unknown = good.clone().but(Value::Unknown, Class::ToxicCandy, "say it");
        let facts = [good, lost, unknown];
        assert_eq!(class_of(&facts), Class::ToxicCandy);
        let (next, between) = next_better(Class::ToxicCandy, &facts).unwrap();
        assert_eq!((next, between.len()), (Class::Contrib, 1));
        assert_eq!(next_better(Class::Main, &facts), None);
        // Taking facts away never makes the class better than the worst that is left.
        assert_eq!(class_of(&facts[..2]), Class::Contrib);
    }
}
