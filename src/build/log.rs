//! `build.log`: every line that the steps of a build print.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::fs::{Error, Result, create_folder};

/// How many lines of a failed step are shown.
pub const LAST_LINES: usize = 20;
const LONGEST_SHOWN: usize = 400;

/// The log of one build, open for writing.
#[derive(Debug)]
pub struct BuildLog {
    file: BufWriter<File>,
    path: PathBuf,
    last: VecDeque<String>,
}

impl BuildLog {
    /// Begins the log at `path` anew.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: PathBuf) -> Result<Self> {
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let file = File::create(&path).map_err(Error::at("create", &path))?;
        Ok(Self { file: BufWriter::new(file), path, last: VecDeque::new() })
    }

    /// Where the log lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the part of one step or test: `title` is written, and the last lines are those of
    /// this part from now on.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn begin(&mut self, title: &str) -> Result<()> {
        self.last.clear();
        writeln!(self.file, "=== {title}")
            .and_then(|()| self.file.flush())
            .map_err(Error::at("write", &self.path))
    }

    /// Adds one line as it was printed.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn line(&mut self, line: &str) -> Result<()> {
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(shown(line));
        writeln!(self.file, "{line}")
            .and_then(|()| self.file.flush())
            .map_err(Error::at("write", &self.path))
    }

    /// The last lines of the part that runs, safe for a terminal.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

/// A line of a step as a terminal may show it: what follows the last carriage return, no control
/// characters, not endless.
#[must_use]
pub fn shown(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line).replace('\t', "    ");
    let short: String = line.chars().take(LONGEST_SHOWN).collect();
    let dots = if short.len() < line.len() { "…" } else { "" };
    format!("{}{dots}", crate::explain::printable(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_line_and_remembers_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b/build.log");
        let mut log = BuildLog::create(path.clone()).unwrap();
        log.begin("step one").unwrap();
        log.line("lost").unwrap();
        log.begin("step two").unwrap();
        for number in 0..30 {
            log.line(&number.to_string()).unwrap();
        }
        assert_eq!(log.last_lines().len(), LAST_LINES);
        assert_eq!(log.last_lines()[0], "10");
        let text = crate::fs::read_to_string(&path, 1 << 20).unwrap();
        assert!(text.starts_with("=== step one\nlost\n=== step two\n0\n"));
    }

    #[test]
    fn shown_lines_are_tame() {
        assert_eq!(shown("10%\r20%\u{1b}[2J"), "20%\\u{1b}[2J");
        assert_eq!(shown("a\tb\r"), "a    b");
        assert!(shown(&"x".repeat(9000)).chars().count() < 500);
    }
}
