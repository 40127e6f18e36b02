//! Lint: what in a source tree, or in a package, should be otherwise (spec/lint.md).
//!
//! Everything here looks at [`Facts`] alone, which somebody else has read.

mod data;
mod files;
mod overrides;
mod package;
mod recipe;
pub mod tags;

pub use overrides::{Judged, LONGEST_OVERRIDES, OVERRIDES_NAME, Override, Overrides};
pub use tags::{Severity, TAGS, Tag};

use crate::package::Digest;
use crate::package::manifest::{Diagnostics, Manifest};

/// The most bytes of a file that are looked at.
pub const LOOKED_AT: u64 = 1 << 20;

/// What was read of a tree or a package.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The manifest; without one only files are looked at.
    pub manifest: Option<&'a Manifest>,
    /// Its text.
    pub manifest_text: &'a str,
    /// The files.
    pub files: &'a [FileFacts],
    /// The licences of everything that goes in, by its name: data and packages.
    pub licences: &'a [(String, String)],
    /// Whether it is a source: a binary package has weights, and no code that makes them.
    pub is_source: bool,
}

/// What was read of a file.
#[derive(Debug, Clone)]
pub struct FileFacts {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Its digest.
    pub digest: Digest,
    /// Its first [`LOOKED_AT`] bytes.
    pub start: Vec<u8>,
}

impl FileFacts {
    /// What was read of it, as text; none where it is no UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match std::str::from_utf8(&self.start) {
            Ok(text) => Some(text),
            // The last character may have been cut off.
            Err(error) if error.error_len().is_none() && self.size > self.start.len() as u64 => {
                std::str::from_utf8(&self.start[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }

    /// Whether its name ends so.
    #[must_use]
    pub fn ends_in(&self, end: &str) -> bool {
        self.path.to_lowercase().ends_with(end)
    }
}

/// Something that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What kind of thing.
    pub tag: &'static Tag,
    /// What it is about: a file, or a name in the manifest. Overrides name it.
    pub about: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong here.
    pub what: String,
}

/// Remarks as they are made.
#[derive(Debug, Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, tag: &str, about: impl Into<String>, what: impl Into<String>) {
        self.add_at(tag, about, None, what);
    }

    fn add_at(
        &mut self,
        tag: &str,
        about: impl Into<String>,
        line: Option<usize>,
        what: impl Into<String>,
    ) {
        let tag = tags::find(tag).expect("every tag that is given is in the list");
        self.0.push(Remark { tag, about: about.into(), line, what: what.into() });
    }
}

/// Everything that should be otherwise, the worst first.
#[must_use]
pub fn check(facts: &Facts<'_>) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    files::check(facts, &mut remarks);
    if let Some(manifest) = facts.manifest.filter(|_| facts.is_source) {
        package::check(facts, manifest, &mut remarks);
        data::check(facts, manifest, &mut remarks);
        recipe::check(facts, manifest, &mut remarks);
    }
    in_order(remarks.0)
}

/// The problems of a manifest that cannot be read.
#[must_use]
pub fn of_manifest(problems: &Diagnostics) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    for problem in problems.problems() {
        let tag = if problem.message == "[[data]] has no `sha256`" {
            "data-without-digest"
        } else if problem.message.contains("takes 64 hexadecimal digits") {
            "truncated-digest"
        } else {
            "bad-manifest"
        };
        let label = problem.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let what = format!("{}{label}", problem.message);
        remarks.add_at(tag, "mpkg.toml", Some(problem.line), what);
    }
    remarks.0
}

/// The worst first, then by what they are about.
#[must_use]
pub fn in_order(mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.sort_by(|one, other| {
        let key = |remark: &Remark| (std::cmp::Reverse(remark.tag.severity), remark.tag.name);
        key(one).cmp(&key(other)).then_with(|| {
            (&one.about, one.line, &one.what).cmp(&(&other.about, other.line, &other.what))
        })
    });
    remarks.dedup();
    remarks
}
