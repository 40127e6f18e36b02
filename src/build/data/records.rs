//! Cuts data into records, one at a time and with bounded memory (spec/data.md, "Records").

use std::io::{BufRead, BufReader, Read};

use serde::de::IgnoredAny;

use super::{Error, Result};
use crate::fs;
use crate::package::manifest::RecordKind;

/// The longest record, in bytes.
pub const LONGEST_RECORD: usize = 64 << 20;

/// A piece of a file: a record, or what stands between records and is never withdrawn.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// Its bytes, with the line ends or empty lines that go with it.
    pub(super) raw: &'a [u8],
    /// The record itself: what is matched and digested. None where it is no record.
    pub(super) content: Option<&'a [u8]>,
    /// The number of its first line, from 1.
    pub(super) line: u64,
    /// Where it begins in the file, in bytes.
    pub(super) offset: u64,
}

/// Takes pieces as they come.
pub(super) type Visit<'v> = dyn FnMut(&Piece<'_>) -> Result<()> + 'v;

/// Hands `input`, the file called `name`, to `visit` piece by piece, in order.
pub(super) fn each(
    kind: RecordKind,
    name: &str,
    input: impl Read,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut reader =
        Reader { input: BufReader::with_capacity(1 << 18, input), name, line: 1, offset: 0 };
    match kind {
        RecordKind::Lines => reader.lines(visit),
        RecordKind::Paragraphs => reader.paragraphs(visit),
        RecordKind::Jsonl => reader.jsonl(visit),
        RecordKind::Csv => reader.csv(visit),
        RecordKind::Files => reader.file(visit),
    }
}

struct Reader<'a, R> {
    input: BufReader<R>,
    name: &'a str,
    /// The number of the line that is read next.
    line: u64,
    /// Where it begins.
    offset: u64,
}

impl<R: Read> Reader<'_, R> {
    fn fault(&self, kind: &'static str, why: impl Into<String>) -> Error {
        Error::Split { kind, file: self.name.to_owned(), line: self.line, why: why.into() }
    }

    fn too_long(&self, kind: &'static str) -> Error {
        self.fault(kind, format!("a record is longer than {LONGEST_RECORD} bytes"))
    }

    /// Adds the next line to `buffer`, its end included; no line is left where it is empty.
    fn read_line(&mut self, kind: &'static str, buffer: &mut Vec<u8>) -> Result<usize> {
        let left = (LONGEST_RECORD + 1).saturating_sub(buffer.len());
        let mut limited = (&mut self.input).take(left as u64);
        let read = limited
            .read_until(b'\n', buffer)
            .map_err(fs::Error::at("read", std::path::Path::new(self.name)))?;
        if buffer.len() > LONGEST_RECORD {
            return Err(self.too_long(kind));
        }
        if buffer[buffer.len() - read..].contains(&0) {
            return Err(self.fault(kind, "it has a NUL, so it is no text"));
        }
        Ok(read)
    }

    fn give(&mut self, raw: &[u8], content: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        visit(&Piece { raw, content, line: self.line, offset: self.offset })?;
        self.offset += raw.len() as u64;
        self.line += raw.split(|byte| *byte == b'\n').count() as u64 - 1;
        Ok(())
    }

    fn lines(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let mut line = Vec::new();
        while self.read_line("lines", &mut line)? > 0 {
            self.give(&line, Some(without_end(&line)), visit)?;
            line.clear();
        }
        Ok(())
    }

    /// The empty lines behind a paragraph go with it; those before the first are no record.
    fn paragraphs(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let (mut raw, mut line) = (Vec::new(), Vec::new());
        // How long the paragraph is, without the empty lines behind it.
        let mut length = 0;
        loop {
            line.clear();
            self.read_line("paragraphs", &mut line)?;
            let is_empty = line.trim_ascii().is_empty();
            let begins = !is_empty && length < raw.len();
            if line.is_empty() || begins {
                let content = (length > 0).then(|| without_end(&raw[..length]));
                if !raw.is_empty() {
                    self.give(&raw, content, visit)?;
                }
                raw.clear();
                length = 0;
            }
            if line.is_empty() {
                return Ok(());
            }
            if raw.len() + line.len() > LONGEST_RECORD {
                return Err(self.too_long("paragraphs"));
            }
            raw.extend_from_slice(&line);
            if !is_empty {
                length = raw.len();
            }
        }
    }

    fn jsonl(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let mut line = Vec::new();
        while self.read_line("jsonl", &mut line)? > 0 {
            let content = without_end(&line);
            if content.trim_ascii().is_empty() {
                self.give(&line, None, visit)?;
            } else {
                serde_json::from_slice::<IgnoredAny>(content).map_err(|error| {
                    let column = error.column();
                    self.fault("jsonl", format!("the line is no JSON, from column {column} on"))
                })?;
                self.give(&line, Some(content), visit)?;
            }
            line.clear();
        }
        Ok(())
    }

    /// Records of RFC 4180; the first is the header, and stays.
    fn csv(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let mut raw = Vec::new();
        let mut state = Csv::FieldStart;
        let mut is_header = true;
        loop {
            let before = raw.len();
            let read = self.read_line("csv", &mut raw)?;
            if read == 0 {
                if state == Csv::Quoted {
                    return Err(self.fault("csv", "a field that begins with a quote never ends"));
                }
                return Ok(());
            }
            for byte in without_end(&raw[before..]) {
                state = state.after(*byte).map_err(|why| self.fault("csv", why))?;
            }
            if state == Csv::Quoted {
                continue;
            }
            let content = without_end(&raw);
            self.give(&raw, (!is_header && !content.is_empty()).then_some(content), visit)?;
            (is_header, state) = (false, Csv::FieldStart);
            raw.clear();
        }
    }

    fn file(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let mut raw = Vec::new();
        let limit = LONGEST_RECORD as u64 + 1;
        (&mut self.input)
            .take(limit)
            .read_to_end(&mut raw)
            .map_err(fs::Error::at("read", std::path::Path::new(self.name)))?;
        if raw.len() > LONGEST_RECORD {
            return Err(self.too_long("files"));
        }
        self.give(&raw, Some(&raw), visit)
    }
}

/// A line without its end.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where a reader of CSV stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Csv {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

impl Csv {
    fn after(self, byte: u8) -> Result<Self, &'static str> {
        Ok(match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteInQuoted,
            (Self::Quoted, _) | (Self::FieldStart | Self::QuoteInQuoted, b'"') => Self::Quoted,
            (_, b',') => Self::FieldStart,
            (Self::QuoteInQuoted, _) => return Err("a quoted field goes on behind its quote"),
            (Self::Plain, b'"') => {
                return Err("a quote stands within a field that has none around it");
            }
            (Self::FieldStart | Self::Plain, _) => Self::Plain,
        })
    }
}

/// The texts in a record that an expression is held against: the record as it stands, and what
/// the strings of JSON and the quoted fields of CSV say.
pub(super) fn texts(kind: RecordKind, content: &[u8]) -> Vec<Vec<u8>> {
    match kind {
        RecordKind::Jsonl => {
            let value: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
            let mut texts = Vec::new();
            strings(value, &mut texts);
            texts
        }
        RecordKind::Csv if content.contains(&b'"') => {
            let mut fields = vec![Vec::new()];
            let mut state = Csv::FieldStart;
            for byte in content {
                let next = state.after(*byte).unwrap_or(Csv::Plain);
                let is_text = !matches!(
                    (state, next),
                    (_, Csv::QuoteInQuoted) | (Csv::FieldStart, Csv::Quoted)
                );
                match next {
                    Csv::FieldStart => fields.push(Vec::new()),
                    _ if is_text => {
                        if let Some(field) = fields.last_mut() {
                            field.push(*byte);
                        }
                    }
                    _ => {}
                }
                state = next;
            }
            fields
        }
        _ => Vec::new(),
    }
}

fn strings(value: serde_json::Value, texts: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.into_bytes()),
        serde_json::Value::Array(items) => items.into_iter().for_each(|it| strings(it, texts)),
        serde_json::Value::Object(map) => map.into_iter().for_each(|(key, it)| {
            texts.push(key.into_bytes());
            strings(it, texts);
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The records of a text, and all pieces together.
    fn cut(kind: RecordKind, text: &[u8]) -> Result<(Vec<String>, Vec<u8>)> {
        let (mut records, mut all) = (Vec::new(), Vec::new());
        each(kind, "x", text, &mut |piece| {
            assert_eq!(piece.offset, all.len() as u64);
            all.extend_from_slice(piece.raw);
            records.extend(piece.content.map(|it| String::from_utf8_lossy(it).into_owned()));
            Ok(())
        })?;
        Ok((records, all))
    }

    fn records(kind: RecordKind, text: &str) -> Vec<String> {
        let (records, all) = cut(kind, text.as_bytes()).unwrap();
        assert_eq!(all, text.as_bytes());
        records
    }

    #[test]
    fn each_kind_has_its_records() {
        assert_eq!(records(RecordKind::Lines, "a\r\n\nb"), ["a", "", "b"]);
        assert_eq!(records(RecordKind::Paragraphs, "\n\na\nb\n\n \nc\n\nd"), ["a\nb", "c", "d"]);
        assert_eq!(records(RecordKind::Paragraphs, "a\n\n"), ["a"]);
        assert_eq!(records(RecordKind::Jsonl, "{\"a\": 1}\n\n2\n"), ["{\"a\": 1}", "2"]);
        assert_eq!(
            records(RecordKind::Csv, "h,i\n\"a\nb\",\"c\"\"d\"\ne,\n"),
            ["\"a\nb\",\"c\"\"d\"", "e,"]
        );
        assert_eq!(records(RecordKind::Files, "a\n\0"), ["a\n\0"]);
        for kind in RecordKind::ALL {
            let expected: &[&str] = if *kind == RecordKind::Files { &[""] } else { &[] };
            assert_eq!(records(*kind, ""), expected, "{kind:?}");
        }
    }

    #[test]
    fn what_cannot_be_cut_is_named_with_its_line() {
        for (kind, text, expected) in [
            (RecordKind::Jsonl, "{}\n{\"a\"\n", "x:2: the line is no JSON"),
            (RecordKind::Csv, "a\nb\"c\n", "x:2: a quote stands within a field"),
            (RecordKind::Csv, "a\n\"b\"c\n", "x:2: a quoted field goes on"),
            (RecordKind::Csv, "a\n\"b\n\n", "never ends"),
            (RecordKind::Lines, "a\nb\0\n", "x:2: it has a NUL"),
        ] {
            let error = cut(kind, text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn texts_are_read_out_of_their_quotes() {
        let found = texts(RecordKind::Csv, b"a,\"b \"\"c\"\"\nd\",e");
        assert_eq!(found, [b"a".to_vec(), b"b \"c\"\nd".to_vec(), b"e".to_vec()]);
        let found = texts(RecordKind::Jsonl, b"{\"k\": [\"a\\nb\", 1]}");
        assert_eq!(found, [b"k".to_vec(), b"a\nb".to_vec()]);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_file(
            parts in prop::collection::vec(prop::sample::select(vec!["a", "\n", "\r\n", " ", "\"", ",", "{}", "\0"]), 0..40),
        ) {
            let text = parts.concat();
            for kind in RecordKind::ALL {
                if let Ok((_, all)) = cut(*kind, text.as_bytes()) {
                    prop_assert_eq!(&all, text.as_bytes());
                }
            }
        }
    }
}
