//! TOML documents that people write: read strictly, every problem shown with its line and a caret.

mod diagnostics;
mod reader;

pub(crate) use diagnostics::Problem;
pub use diagnostics::{Diagnostic, Diagnostics};
pub(crate) use reader::{At, Reader, Section};

use reader::MOST_PROBLEMS;
use toml::de::DeTable;

/// What a kind of document is called, and how long one may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// The kind of its errors.
    pub(crate) kind: &'static str,
    /// What it is, with its article.
    pub(crate) noun: &'static str,
    /// The most bytes of it that are read.
    pub(crate) longest: u64,
}

impl Form {
    /// Reads a document; `file_name` is how messages name it. What `read` gives counts only where
    /// it reported nothing.
    ///
    /// # Errors
    /// Every problem that the document has: those of its TOML, or else those of its keys.
    pub(crate) fn parse<T>(
        self,
        text: &str,
        file_name: &str,
        read: impl FnOnce(Section<'_>) -> Option<T>,
    ) -> Result<T, Diagnostics> {
        let fail = |problems| Err(Diagnostics::new(self.kind, file_name, text, problems));
        if text.len() as u64 > self.longest {
            let message = format!("{} has at most {} bytes", self.noun, self.longest);
            return fail(vec![Problem::at(0..0, message)]);
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return fail(one_a_line(text, errors.iter().map(syntax).collect()));
        }
        let reader = Reader::new(text);
        let found = read(Section::new(&reader, self.noun, 0..0, root.get_ref()));
        let problems = reader.into_problems();
        match found {
            Some(found) if problems.is_empty() => Ok(found),
            _ => fail(problems),
        }
    }
}

fn syntax(error: &toml::de::Error) -> Problem {
    Problem::at(error.span().unwrap_or_default(), error.message())
}

/// The first problem of each line: the others follow from it.
fn one_a_line(text: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let line = |problem: &Problem| {
        let before = text.as_bytes().get(..problem.start()).unwrap_or(text.as_bytes());
        before.iter().rposition(|byte| *byte == b'\n')
    };
    problems.truncate(MOST_PROBLEMS);
    problems.sort_by_key(Problem::start);
    problems.dedup_by_key(|problem| line(problem));
    problems
}
