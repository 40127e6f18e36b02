//! Withdraws records from data: lists of rules in the tree, and what they leave
//! (spec/data.md, "Exclusions").

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::records::{self, Piece, texts};
use super::{Error, Result, tree, unpack};
use crate::fs;
use crate::package::manifest::{DataReference, RecordKind};
use crate::package::{Digest, PackagePath};

/// The longest list of withdrawn records, in bytes.
pub const LONGEST_LIST: u64 = 16 << 20;
/// The longest expression, in bytes.
const LONGEST_EXPRESSION: usize = 10_000;
/// The most entries of one list.
const MOST_ENTRIES: usize = 10_000;
/// The version of the format of lists.
const FORMAT: u32 = 1;

/// A list of withdrawn records as it stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    #[serde(default)]
    withdrawn: Vec<Entry>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "match")]
    expression: Option<String>,
    records: Option<Vec<Digest>>,
    reason: String,
    reference: Option<String>,
    date: String,
}

/// What says that a record is withdrawn.
#[derive(Debug, Clone)]
pub enum Rule {
    /// It matches.
    Match(Box<Regex>),
    /// It is one of these.
    Records(Vec<Digest>),
}

impl Rule {
    /// The rule of an expression. `^` and `$` stand at lines.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn expression(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST_EXPRESSION {
            return Err(format!("the expression is longer than {LONGEST_EXPRESSION} bytes"));
        }
        if text.is_empty() {
            return Err("the expression is empty".to_owned());
        }
        let regex = RegexBuilder::new(text).multi_line(true).build();
        regex.map(|regex| Self::Match(Box::new(regex))).map_err(|error| error.to_string())
    }
}

/// The rules of a list.
#[derive(Debug, Clone)]
struct RuleList {
    path: PackagePath,
    digest: Digest,
    rules: Vec<Rule>,
}

/// All that is withdrawn from one data reference.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    lists: Vec<RuleList>,
}

impl Exclusions {
    /// Reads the lists that `reference` names in the tree in `root`.
    ///
    /// # Errors
    /// A list that is not there or is malformed.
    pub fn read(root: &Path, reference: &DataReference) -> Result<Self> {
        let lists = reference.exclude.iter().map(|path| {
            let text = fs::read_to_string(&path.below(root), LONGEST_LIST)?;
            let rules =
                rules(&text).map_err(|why| Error::Exclusions { list: path.to_string(), why })?;
            Ok(RuleList { path: path.clone(), digest: Digest::of(text.as_bytes()), rules })
        });
        Ok(Self { lists: lists.collect::<Result<_>>()? })
    }

    /// Whether nothing is withdrawn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The records that are withdrawn by their digests; those that match an expression are not
    /// known without the data.
    pub fn records(&self) -> impl Iterator<Item = Digest> + '_ {
        let digests = self.rules().map(|rule| match rule {
            Rule::Records(digests) => digests.as_slice(),
            Rule::Match(_) => &[],
        });
        digests.flatten().copied()
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.lists.iter().flat_map(|list| &list.rules)
    }

    /// The rules in words, without what is for people: equal words, equal records withdrawn.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        for rule in self.rules() {
            match rule {
                Rule::Match(regex) => {
                    let _ = writeln!(words, "match {:?}", regex.as_str());
                }
                Rule::Records(digests) => {
                    for digest in digests {
                        let _ = writeln!(words, "record {digest}");
                    }
                }
            }
        }
        words
    }

    /// What the stored facts say, list by list.
    pub(super) fn receipt(&self, facts: &Facts) -> Receipt {
        let mut removed = facts.removed.iter();
        let lists: Vec<ListReceipt> = self
            .lists
            .iter()
            .map(|list| ListReceipt {
                path: list.path.clone(),
                sha256: list.digest,
                removed: removed.by_ref().take(list.rules.len()).copied().collect(),
            })
            .collect();
        let removed = lists.iter().flat_map(|list| &list.removed).sum();
        let Facts { before, sha256_before, sha256_after, .. } = *facts;
        let after = before.saturating_sub(removed);
        Receipt { before, removed, after, sha256_before, sha256_after, lists }
    }
}

fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let list: List = toml::from_str(text).map_err(|error| error.to_string().trim().to_owned())?;
    if list.format != FORMAT {
        return Err(format!("its format is {}, and this mpkg reads format {FORMAT}", list.format));
    }
    if list.withdrawn.len() > MOST_ENTRIES {
        return Err(format!("it has more than {MOST_ENTRIES} entries"));
    }
    let rule = |(number, entry): (usize, Entry)| {
        let fault = |why: &str| format!("entry {number} {why}");
        if entry.reason.trim().is_empty() {
            return Err(fault("gives no reason"));
        }
        if entry.date.parse::<jiff::civil::Date>().is_err() {
            return Err(fault("has no date of the form 2026-11-26"));
        }
        match (entry.expression, entry.records) {
            (Some(text), None) => {
                Rule::expression(&text).map_err(|why| fault(&format!("cannot be used: {why}")))
            }
            (None, Some(records)) if !records.is_empty() => Ok(Rule::Records(records)),
            _ => Err(fault("has not exactly one of `match` and `records`")),
        }
    };
    (1..).zip(list.withdrawn).map(rule).collect()
}

/// What was withdrawn from a data reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Receipt {
    /// How many records there were.
    pub before: u64,
    /// How many were withdrawn.
    pub removed: u64,
    /// How many are left.
    pub after: u64,
    /// The digest of the data before, unpacked and selected; of a folder, of its listing.
    pub sha256_before: Digest,
    /// The same of what is left.
    pub sha256_after: Digest,
    /// The lists, in the manifest's order.
    pub lists: Vec<ListReceipt>,
}

/// What one list withdrew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListReceipt {
    /// Its place in the tree.
    pub path: PackagePath,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// How many records each of its entries withdrew, that no entry before it had.
    pub removed: Vec<u64>,
}

/// What is kept in the cache beside what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Facts {
    before: u64,
    /// By rule.
    removed: Vec<u64>,
    sha256_before: Digest,
    sha256_after: Digest,
}

/// Holds records against rules.
pub struct Judge<'a> {
    kind: RecordKind,
    expressions: Vec<(usize, &'a Regex)>,
    digests: HashMap<Digest, usize>,
}

impl<'a> Judge<'a> {
    /// A judge by `rules`, the first of which counts.
    pub fn new(kind: RecordKind, rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut judge = Self { kind, expressions: Vec::new(), digests: HashMap::new() };
        for (number, rule) in rules.into_iter().enumerate() {
            match rule {
                Rule::Match(regex) => judge.expressions.push((number, regex)),
                Rule::Records(digests) => {
                    for digest in digests {
                        judge.digests.entry(*digest).or_insert(number);
                    }
                }
            }
        }
        judge
    }

    /// The number of the first rule that `record` falls under.
    #[must_use]
    pub fn rule(&self, record: &[u8]) -> Option<usize> {
        let by_digest = match self.digests.is_empty() {
            true => None,
            false => self.digests.get(&Digest::of(record)).copied(),
        };
        let texts = match self.expressions.is_empty() {
            true => Vec::new(),
            false => texts(self.kind, record),
        };
        let matches =
            |regex: &Regex| regex.is_match(record) || texts.iter().any(|text| regex.is_match(text));
        let by_match =
            self.expressions.iter().find(|(_, regex)| matches(regex)).map(|(number, _)| *number);
        [by_digest, by_match].into_iter().flatten().min()
    }
}

/// The files of data that lies at `place`, a file called `name` or a folder.
pub(super) fn files(place: &Path, name: &str) -> Result<Vec<(String, PathBuf)>> {
    if place.is_dir() {
        let files = tree::files(place)?;
        return Ok(files.into_iter().map(|(path, at)| (path.to_string(), at)).collect());
    }
    Ok(vec![(name.to_owned(), place.to_owned())])
}

/// Writes what is left of the data at `from` to the new path `goal`.
pub(super) fn filter(
    exclusions: &Exclusions,
    reference: &DataReference,
    from: &Path,
    goal: &Path,
) -> Result<Facts> {
    let kind = reference.records.unwrap_or(RecordKind::Lines);
    let judge = Judge::new(kind, exclusions.rules());
    let mut tally = Tally { judge, before: 0, removed: vec![0; exclusions.rules().count()] };
    if from.is_dir() {
        let mut folder = unpack::Folder::new(goal)?;
        for (path, at) in tree::files(from)? {
            match kind {
                RecordKind::Files if tally.falls(&path, &at)? => {}
                RecordKind::Files => folder.copy(&path, &at)?,
                _ => tally.rest(kind, path.as_str(), &at, &folder.place(&path)?)?,
            }
        }
        folder.finish()?;
    } else {
        tally.rest(kind, reference.name.as_str(), from, goal)?;
    }
    let Tally { before, removed, .. } = tally;
    let (sha256_before, sha256_after) = (tree::digest(from)?, tree::digest(goal)?);
    Ok(Facts { before, removed, sha256_before, sha256_after })
}

/// Counts while it judges.
struct Tally<'a> {
    judge: Judge<'a>,
    before: u64,
    removed: Vec<u64>,
}

impl Tally<'_> {
    /// Counts one piece, and says whether it stays.
    fn stays(&mut self, piece: &Piece<'_>) -> bool {
        let Some(record) = piece.content else { return true };
        self.before += 1;
        match self.judge.rule(record) {
            None => true,
            Some(rule) => {
                self.removed[rule] += 1;
                false
            }
        }
    }

    /// Whether a whole file is withdrawn.
    fn falls(&mut self, path: &PackagePath, at: &Path) -> Result<bool> {
        let input = File::open(at).map_err(fs::Error::at("open", at))?;
        let mut stays = true;
        records::each(RecordKind::Files, path.as_str(), input, &mut |piece| {
            stays = self.stays(piece);
            Ok(())
        })?;
        Ok(!stays)
    }

    /// Writes the records of one file that stay.
    fn rest(&mut self, kind: RecordKind, name: &str, from: &Path, goal: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let input = File::open(from).map_err(fs::Error::at("open", from))?;
        let mode = input.metadata().map_err(fs::Error::at("look at", from))?.permissions().mode();
        let mut output = BufWriter::with_capacity(1 << 18, unpack::create(goal)?);
        records::each(kind, name, input, &mut |piece| {
            if self.stays(piece) {
                output.write_all(piece.raw).map_err(fs::Error::at("write", goal))?;
            }
            Ok(())
        })?;
        let file = output
            .into_inner()
            .map_err(|error| fs::Error::at("write", goal)(error.into_error()))?;
        unpack::seal(&file, if mode & 0o100 != 0 { 0o555 } else { 0o444 }, goal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_checked() {
        let good =
            "format = 1\n[[withdrawn]]\nmatch = \"a\"\nreason = \"x\"\ndate = \"2026-11-26\"\n";
        assert_eq!(rules(good).unwrap().len(), 1);
        for (from, to, expected) in [
            ("format = 1", "format = 2", "its format is 2"),
            ("match = \"a\"", "match = \"(\"", "entry 1 cannot be used"),
            ("match = \"a\"", "records = []", "exactly one of"),
            ("match = \"a\"", "records = [\"ab\"]", "digest"),
            ("\"x\"", "\" \"", "entry 1 gives no reason"),
            ("2026-11-26", "26.11.2026", "no date"),
            ("reason", "reson", "unknown field"),
        ] {
            let error = rules(&good.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn the_first_rule_counts() {
        let rules = [
            Rule::expression("^b$").unwrap(),
            Rule::Records(vec![Digest::of(b"a"), Digest::of(b"a\nb")]),
        ];
        let judge = Judge::new(RecordKind::Paragraphs, &rules);
        assert_eq!(judge.rule(b"a"), Some(1));
        assert_eq!(judge.rule(b"a\nb"), Some(0));
        assert_eq!(judge.rule(b"ab"), None);
        let judge = Judge::new(RecordKind::Jsonl, &rules);
        assert_eq!(judge.rule(br#"{"t": "x\nb\ny"}"#), Some(0));
    }
}
