//! Reads unified diffs, plain ones and those of git.

use super::{Action, Error, FileChange, Header, Hunk, Result};
use crate::package::{FileMode, PackagePath};

/// Reads a patch: its header, and what it does to each file.
pub(super) fn patch(name: &PackagePath, text: &str) -> Result<(Header, Vec<FileChange>)> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let bare: Vec<&str> = lines.iter().map(|line| line.trim_end_matches('\n')).collect();
    let mut reader = Reader { name, lines, bare, at: 0 };
    let begin = (0..reader.bare.len()).find(|at| reader.begins_a_file(*at));
    let begin = begin.unwrap_or(reader.bare.len());
    let header =
        Header::parse(&reader.bare[..begin]).map_err(|(place, why)| reader.fault_at(place, why))?;
    reader.at = begin;
    let mut changes: Vec<FileChange> = Vec::new();
    while reader.at < reader.bare.len() {
        if reader.begins_a_file(reader.at) {
            let place = reader.at;
            let change = reader.file()?;
            if changes.iter().any(|known| known.path == change.path) {
                return Err(reader.fault_at(place, format!("{} is changed twice", change.path)));
            }
            changes.push(change);
        } else if reader.bare[reader.at] == "-- " {
            // What follows is a mail's signature.
            break;
        } else if is_between_files(reader.bare[reader.at]) {
            reader.at += 1;
        } else {
            return Err(reader.fault("this line is part of no hunk"));
        }
    }
    if changes.is_empty() {
        return Err(reader.fault_at(0, "it changes no file"));
    }
    Ok((header, changes))
}

/// Whether a line may stand between the parts of a patch.
fn is_between_files(line: &str) -> bool {
    line.trim().is_empty()
        || ["Index: ", "====", "diff ", "index "].iter().any(|start| line.starts_with(start))
}

/// What the extended header of git says of a file.
#[derive(Default)]
struct Extended {
    names: Option<String>,
    added: Option<FileMode>,
    removed: bool,
    mode: Option<FileMode>,
}

struct Reader<'a> {
    name: &'a PackagePath,
    lines: Vec<&'a str>,
    bare: Vec<&'a str>,
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, why: impl Into<String>) -> Error {
        self.fault_at(self.at, why)
    }

    fn fault_at(&self, at: usize, why: impl Into<String>) -> Error {
        Error::Malformed { name: self.name.clone(), line: at + 1, why: why.into() }
    }

    fn line(&self, at: usize) -> &str {
        self.bare.get(at).copied().unwrap_or_default()
    }

    fn begins_a_file(&self, at: usize) -> bool {
        self.line(at).starts_with("diff --git ")
            || (self.line(at).starts_with("--- ") && self.line(at + 1).starts_with("+++ "))
    }

    fn file(&mut self) -> Result<FileChange> {
        let begin = self.at;
        let extended = self.extended()?;
        let (mut old, mut new) = (None, None);
        if self.line(self.at).starts_with("--- ") {
            old = self.side("--- ")?;
            new = self.side("+++ ")?;
            if old.is_none() && new.is_none() {
                return Err(self.fault_at(begin, "both sides are /dev/null"));
            }
        }
        let by_git = extended.names.as_deref().map(|names| self.git_name(names, begin)).transpose();
        let path = match (&old, &new) {
            (Some(old), Some(new)) if old != new => {
                return Err(self.fault_at(begin, renames(old, new)));
            }
            (Some(path), _) | (None, Some(path)) => path.clone(),
            (None, None) => by_git?
                .ok_or_else(|| self.fault_at(begin, "it does not say which file it changes"))?,
        };
        let added = extended.added.is_some() || (old.is_none() && new.is_some());
        let removed = extended.removed || (new.is_none() && old.is_some());
        let action = match (added, removed) {
            (true, true) => return Err(self.fault_at(begin, "the file is added and removed")),
            (true, false) => Action::Add,
            (false, true) => Action::Remove,
            (false, false) => Action::Change,
        };
        let mut hunks = Vec::new();
        while self.line(self.at).starts_with("@@ ") {
            let place = self.at;
            let hunk = self.hunk()?;
            let end = hunks.last().map_or(0, |last: &Hunk| last.start + last.before.len());
            if hunk.start < end {
                return Err(self.fault_at(place, "it begins before the hunk above it ends"));
            }
            hunks.push(hunk);
        }
        let mode = extended.added.or(extended.mode);
        if hunks.is_empty() && action == Action::Change && mode.is_none() {
            return Err(self.fault_at(begin, format!("it does nothing to {path}")));
        }
        Ok(FileChange { path, action, mode, hunks })
    }

    /// The lines of git's own between `diff --git` and the sides.
    fn extended(&mut self) -> Result<Extended> {
        let mut extended = Extended::default();
        let Some(names) = self.line(self.at).strip_prefix("diff --git ") else {
            return Ok(extended);
        };
        extended.names = Some(names.to_owned());
        self.at += 1;
        while self.at < self.bare.len() {
            let line = self.line(self.at);
            if let Some(mode) = line.strip_prefix("new file mode ") {
                extended.added = Some(self.mode(mode)?);
            } else if let Some(mode) = line.strip_prefix("new mode ") {
                extended.mode = Some(self.mode(mode)?);
            } else if line.starts_with("deleted file mode ") {
                extended.removed = true;
            } else if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
                return Err(self.fault("it changes a binary file, and a patch holds text alone"));
            } else if ["rename ", "copy ", "similarity ", "dissimilarity "]
                .iter()
                .any(|start| line.starts_with(start))
            {
                return Err(self
                    .fault("it renames or copies a file: write it with `git diff --no-renames`"));
            } else if !(line.starts_with("old mode ") || line.starts_with("index ")) {
                break;
            }
            self.at += 1;
        }
        Ok(extended)
    }

    fn mode(&self, text: &str) -> Result<FileMode> {
        match text.trim() {
            "100644" => Ok(FileMode::Plain),
            "100755" => Ok(FileMode::Executable),
            other => Err(self.fault(format!(
                "the mode {other} is none that a file of a package has: 100644 or 100755"
            ))),
        }
    }

    /// The file of a line `--- a/PATH` or `+++ b/PATH`; none for `/dev/null`.
    fn side(&mut self, start: &str) -> Result<Option<PackagePath>> {
        let line = self.line(self.at);
        let Some(text) = line.strip_prefix(start) else {
            return Err(self.fault(format!("`{}` is missing", start.trim())));
        };
        let text = if text.starts_with('"') { text } else { text.split('\t').next().unwrap_or("") };
        let path = self.path(text.trim_end())?;
        self.at += 1;
        Ok(path)
    }

    fn path(&self, text: &str) -> Result<Option<PackagePath>> {
        let text = if text.starts_with('"') {
            unquoted(text).ok_or_else(|| self.fault(format!("{text} is no quoted name")))?
        } else {
            text.to_owned()
        };
        if text == "/dev/null" {
            return Ok(None);
        }
        let Some((_, path)) = text.split_once('/').filter(|(first, _)| !first.is_empty()) else {
            return Err(self.fault(format!(
                "{text:?} is not below a folder: names in patches begin with a/ and b/"
            )));
        };
        path.parse().map(Some).map_err(|error| self.fault(format!("{error}")))
    }

    /// The file that `a/PATH b/PATH` names, both the same.
    fn git_name(&self, names: &str, line: usize) -> Result<PackagePath> {
        let fault = || self.fault_at(line, format!("{names:?} does not name one file"));
        let (first, second) = if names.starts_with('"') {
            let end = names.match_indices("\" \"").map(|(at, _)| at).next().ok_or_else(fault)?;
            (&names[..=end], &names[end + 2..])
        } else {
            // Both sides are equally long, so the blank between them is in the middle.
            let middle = names.len() / 2;
            let is_blank = names.as_bytes().get(middle) == Some(&b' ');
            if !is_blank {
                return Err(fault());
            }
            (&names[..middle], &names[middle + 1..])
        };
        match (self.path(first)?, self.path(second)?) {
            (Some(first), Some(second)) if first == second => Ok(first),
            _ => Err(fault()),
        }
    }

    fn hunk(&mut self) -> Result<Hunk> {
        let heading = self.at;
        let Some(numbers) = numbers(self.line(self.at)) else {
            return Err(self.fault("this is no heading of a hunk, as in `@@ -1,3 +1,4 @@`"));
        };
        let Numbers { start, mut old, mut new } = numbers;
        if old > self.lines.len() || new > self.lines.len() {
            return Err(self.fault("the hunk says more lines than the patch has"));
        }
        let start = if old == 0 { start } else { start.saturating_sub(1) };
        let mut hunk = Hunk { start, before: Vec::new(), after: Vec::new() };
        self.at += 1;
        while old > 0 || new > 0 {
            let Some(line) = self.lines.get(self.at).copied() else {
                return Err(self.fault_at(heading, "the patch ends within this hunk"));
            };
            // Some editors take away the blank of an empty line.
            let (sign, text) = match line.chars().next() {
                Some(sign @ (' ' | '+' | '-')) => (sign, &line[1..]),
                Some('\n') => (' ', line),
                _ => return Err(self.fault("the hunk has fewer lines than its heading says")),
            };
            let text = self.with_its_end(text);
            let too_many = || {
                let why = "the hunk has more lines than its heading says";
                Error::Malformed { name: self.name.clone(), line: heading + 1, why: why.to_owned() }
            };
            if sign != '+' {
                old = old.checked_sub(1).ok_or_else(too_many)?;
                hunk.before.push(text.clone());
            }
            if sign != '-' {
                new = new.checked_sub(1).ok_or_else(too_many)?;
                hunk.after.push(text);
            }
            self.at += 1;
            if self.line(self.at).starts_with("\\ ") {
                self.at += 1;
            }
        }
        Ok(hunk)
    }

    /// A line of a hunk with its line end, or without where the next line says that it has none.
    fn with_its_end(&self, text: &str) -> String {
        let bare = text.strip_suffix('\n').unwrap_or(text);
        match self.line(self.at + 1).starts_with("\\ ") {
            true => bare.to_owned(),
            false => format!("{bare}\n"),
        }
    }
}

fn renames(old: &PackagePath, new: &PackagePath) -> String {
    format!("it renames {old} to {new}: write it as one file removed and one added")
}

struct Numbers {
    start: usize,
    old: usize,
    new: usize,
}

/// The numbers of `@@ -START,OLD +START,NEW @@`.
fn numbers(line: &str) -> Option<Numbers> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        let (start, length) = text.split_once(',').unwrap_or((text, "1"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let read = |text: &str| text.parse().ok().filter(|_| digits(text) && text.len() <= 9);
        Some((read(start)?, read(length)?))
    };
    let ((start, old), (_, new)) = (range(old)?, range(new)?);
    Some(Numbers { start, old, new })
}

/// A name as git quotes it: in double quotes, with the escapes of C.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            escaped @ (b'"' | b'\\') => escaped,
            first @ b'0'..=b'3' => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let digit = rest.next().filter(|digit| (b'0'..=b'7').contains(digit))?;
                    value = value * 8 + (digit - b'0');
                }
                value
            }
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}
