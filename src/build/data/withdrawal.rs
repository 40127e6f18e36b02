//! Looks for records that are to be withdrawn, and changes nothing.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use regex::bytes::Regex;

use super::exclusions::files;
use super::{Error, FetchedData, Fetcher, Judge, Result, Rule, records};
use crate::fs;
use crate::package::Digest;
use crate::package::manifest::RecordKind;
use crate::progress::Progress;

/// How much of a file is looked through at once for passages, and by how much the pieces overlap.
const WINDOW: usize = 8 << 20;
const OVERLAP: usize = 1 << 20;
/// How many characters of a record are shown.
const SHOWN: usize = 120;

/// What is looked for.
#[derive(Debug)]
pub enum Selector {
    /// Records that a rule names.
    Rule(Rule),
    /// Records that hold a part of one of these passages.
    Passages(Vec<Regex>),
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its file.
    pub path: String,
    /// The number of its first line, from 1.
    pub line: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its beginning.
    pub text: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// How many records there are.
    pub records: u64,
    /// How many of them were found.
    pub found: u64,
    /// The first of these.
    pub seen: Vec<Seen>,
    /// The digests of all, each once, sorted.
    pub digests: Vec<Digest>,
}

impl Fetcher<'_> {
    /// Looks for records in data that was fetched, after what is withdrawn from it already. At most
    /// `most` of those that are found are described.
    ///
    /// # Errors
    /// When the data cannot be read, or has no records of `kind`.
    pub fn scan(
        &self,
        data: &FetchedData,
        kind: RecordKind,
        selector: &Selector,
        most: usize,
        progress: &dyn Progress,
    ) -> Result<Scan> {
        let place = self.materialise(data, progress)?;
        let name = &data.reference.name;
        let mut scan = Scan::default();
        for (path, at) in files(&place, name.as_str()).map_err(Error::of(name))? {
            look(&mut scan, kind, selector, most, &path, &at).map_err(Error::of(name))?;
        }
        scan.digests.sort_unstable();
        scan.digests.dedup();
        Ok(scan)
    }
}

fn look(
    scan: &mut Scan,
    kind: RecordKind,
    selector: &Selector,
    most: usize,
    path: &str,
    at: &Path,
) -> Result<()> {
    let judge = match selector {
        Selector::Rule(rule) => Some(Judge::new(kind, [rule])),
        Selector::Passages(_) => None,
    };
    let ranges = match selector {
        Selector::Rule(_) => Vec::new(),
        Selector::Passages(passages) => ranges_of(passages, at)?,
    };
    let input = File::open(at).map_err(fs::Error::at("open", at))?;
    records::each(kind, path, input, &mut |piece| {
        let Some(record) = piece.content else { return Ok(()) };
        scan.records += 1;
        let end = piece.offset + record.len() as u64;
        let found = match &judge {
            Some(judge) => judge.rule(record).is_some(),
            None => ranges.iter().any(|it| it.start < end && piece.offset < it.end),
        };
        if !found {
            return Ok(());
        }
        scan.found += 1;
        let digest = Digest::of(record);
        scan.digests.push(digest);
        if scan.seen.len() < most {
            let text = String::from_utf8_lossy(&record[..record.len().min(4 * SHOWN)])
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let text = text.chars().take(SHOWN).collect();
            scan.seen.push(Seen { path: path.to_owned(), line: piece.line, digest, text });
        }
        Ok(())
    })
}

/// Where the passages stand in a file, in bytes.
fn ranges_of(passages: &[Regex], at: &Path) -> Result<Vec<Range<u64>>> {
    let mut input = File::open(at).map_err(fs::Error::at("open", at))?;
    let mut ranges = Vec::new();
    let (mut window, mut start) = (Vec::new(), 0_u64);
    loop {
        let room = (WINDOW - window.len()) as u64;
        let read = (&mut input).take(room).read_to_end(&mut window);
        let read = read.map_err(fs::Error::at("read", at))?;
        for passage in passages {
            let found = passage.find_iter(&window);
            ranges.extend(found.map(|it| start + it.start() as u64..start + it.end() as u64));
        }
        if read < usize::try_from(room).unwrap_or(usize::MAX) {
            ranges.sort_by_key(|range| range.start);
            ranges.dedup();
            return Ok(ranges);
        }
        let gone = window.len() - OVERLAP;
        window.drain(..gone);
        start += gone as u64;
    }
}
