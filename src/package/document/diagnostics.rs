//! What is wrong with a document: every problem with its place, shown with the line and a caret.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::explain::{Explain, printable};

/// The most problems that are shown in full.
const MOST_SHOWN: usize = 50;

/// One problem of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The bytes of the document that it is about.
    pub span: Range<usize>,
    /// The line on which these begin, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What stands at that place, beside the caret.
    pub label: Option<String>,
    /// Another place that has to do with it, and what stands there.
    pub related: Option<(Range<usize>, String)>,
    /// What would be right.
    pub help: Option<String>,
}

/// All problems of one document, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    kind: &'static str,
    file: String,
    text: String,
    problems: Vec<Diagnostic>,
}

/// A problem before its line and column are known.
#[derive(Debug)]
pub(crate) struct Problem {
    span: Range<usize>,
    message: String,
    label: Option<String>,
    related: Option<(Range<usize>, String)>,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, related: None, help: None }
    }

    /// The byte at which it begins.
    pub(crate) fn start(&self) -> usize {
        self.span.start
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Offers the nearest of `known` to `found`, or else all of them where they are few.
    pub(crate) fn suggest<'k>(
        self,
        found: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) -> Self {
        if let Some(near) = crate::explain::nearest(found, known.clone()) {
            return self.help(format!("did you mean `{near}`?"));
        }
        let mut names: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
        names.dedup();
        match names.len() {
            1..=16 if self.help.is_none() => self.help(format!("there is {}", listed(&names))),
            _ => self,
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

impl Diagnostics {
    pub(crate) fn new(kind: &'static str, file: &str, text: &str, problems: Vec<Problem>) -> Self {
        let mut problems: Vec<Diagnostic> =
            problems.into_iter().map(|problem| placed(text, problem)).collect();
        problems.sort_by_key(|problem| problem.span.start);
        problems.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        Self { kind, file: printable(file), text: text.to_owned(), problems }
    }

    /// The document's file as messages name it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems; there is at least one.
    #[must_use]
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    fn render(&self, problem: &Diagnostic) -> String {
        let mut here = AnnotationKind::Primary.span(problem.span.clone());
        if let Some(label) = &problem.label {
            here = here.label(printable(label));
        }
        let mut snippet =
            Snippet::source(self.text.as_str()).path(self.file.as_str()).annotation(here);
        if let Some((span, label)) = &problem.related {
            let there = AnnotationKind::Context.span(span.clone()).label(printable(label));
            snippet = snippet.annotation(there);
        }
        let mut group = Level::ERROR.primary_title(printable(&problem.message)).element(snippet);
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        Renderer::styled().render(&[group])
    }
}

/// The first line of `span`, moved to character boundaries inside `text`.
fn clipped(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let lines = &text[start..end];
    start..lines.find(['\n', '\r']).map_or(end, |at| (start + at).max(start))
}

fn placed(text: &str, problem: Problem) -> Diagnostic {
    let span = clipped(text, problem.span);
    let before = &text[..span.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Diagnostic {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: problem.message,
        label: problem.label,
        related: problem.related.map(|(span, label)| (clipped(text, span), label)),
        help: problem.help,
        span,
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(
                f,
                "{}:{}:{}: {}",
                self.file,
                only.line,
                only.column,
                printable(&only.message)
            ),
            several => write!(f, "{} has {} problems", self.file, several.len()),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl Explain for Diagnostics {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn rendered(&self) -> Option<String> {
        let mut text = String::new();
        for problem in self.problems.iter().take(MOST_SHOWN) {
            text.push_str(&self.render(problem));
            text.push_str("\n\n");
        }
        if self.problems.len() > 1 {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            let _ = writeln!(text, "{style}error:{style:#} {self}");
            if self.problems.len() > MOST_SHOWN {
                let _ = writeln!(text, "The first {MOST_SHOWN} are shown.");
            }
        } else {
            text.pop();
        }
        Some(text)
    }

    fn details(&self) -> Option<serde_json::Value> {
        let problems: Vec<serde_json::Value> = self
            .problems
            .iter()
            .map(|problem| {
                serde_json::json!({
                    "file": self.file,
                    "line": problem.line,
                    "column": problem.column,
                    "message": problem.message,
                    "label": problem.label,
                    "help": problem.help,
                })
            })
            .collect();
        Some(serde_json::json!({ "diagnostics": problems }))
    }
}
