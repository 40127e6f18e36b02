//! Checkpoints of a step, and the chain that their digests make (spec/checkpoints.md).

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use globset::GlobBuilder;
use serde::{Deserialize, Serialize};

use crate::explain::{Explain, printable};
use crate::formats::safetensors::{self, Header};
use crate::fs::Error as FileError;
use crate::package::{Digest, IndexedFile, PackageName, PackagePath, PackageVersion, PartName};

/// The fewest checkpoints that make a chain.
pub const FEWEST: usize = 2;
/// The most checkpoints of one step.
pub const MOST: usize = 10_000;
/// The key of a checkpoint's `__metadata__` that says how far the training is.
pub const STEP_KEY: &str = "step";
/// What a chain begins with.
const BEGINNING: &str = "mpkg checkpoints 1";

/// The checkpoints of one step, in their order, each bound to all before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Chain {
    /// The step that wrote them.
    pub step: PartName,
    /// The SHA-256 of the package's `.mpkg/inputs.json`, which the chain begins with.
    pub inputs: Digest,
    /// How many steps of training there are in all, where the checkpoints say how far they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_steps: Option<u64>,
    /// The checkpoints, the first that was written first.
    pub links: Vec<Link>,
}

/// One checkpoint of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Its place below the step's output.
    pub path: PackagePath,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// How many steps of training are behind it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_step: Option<u64>,
    /// One digest over this checkpoint and all that the chain has before it.
    pub link: Digest,
}

/// A checkpoint as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checkpoint {
    /// Its place below the step's output.
    pub path: PackagePath,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// How many steps of training are behind it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_step: Option<u64>,
}

/// What is wrong with checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// One cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There are not enough of them, or too many.
    #[error(
        "it wrote {found} of them by the name {pattern:?}, and a chain has from {FEWEST} to {MOST}"
    )]
    Count {
        /// How many there are.
        found: usize,
        /// What the manifest calls them.
        pattern: String,
    },
    /// One is no safetensors file.
    #[error("{path} is not sound")]
    Unsound {
        /// The checkpoint.
        path: PackagePath,
        /// What is wrong with it.
        source: crate::formats::Error,
    },
    /// Their names do not order as they were written.
    #[error("{second} stands before {first} in the order of bytes, and was written after it")]
    Order {
        /// The earlier one.
        first: PackagePath,
        /// The later one.
        second: PackagePath,
    },
    /// Two in a row do not go forward.
    #[error("{second} says step {found}, and {first} before it says step {before}")]
    Backward {
        /// The one before.
        first: PackagePath,
        /// What it says.
        before: u64,
        /// The one after.
        second: PackagePath,
        /// What it says.
        found: u64,
    },
    /// A chain does not hold together.
    #[error("the chain of the step \"{step}\" {what}")]
    Broken {
        /// The step.
        step: PartName,
        /// What is wrong with it.
        what: String,
    },
}

impl Explain for Fault {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(error) => error.kind(),
            Self::Broken { .. } => "broken-chain",
            _ => "odd-checkpoints",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Order { .. } => Some(
                "write numbers in names with as many digits each: step-0090, step-0100".to_owned(),
            ),
            Self::Count { .. } => {
                Some("the step writes them below {out}, as `checkpoints` names them".to_owned())
            }
            _ => None,
        }
    }
}

/// Divides what a step left into its outputs and its checkpoints.
#[must_use]
pub fn divide(files: Vec<IndexedFile>, pattern: &str) -> (Vec<IndexedFile>, Vec<IndexedFile>) {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.expect("patterns of a manifest were read before").compile_matcher();
    files.into_iter().partition(|file| !glob.is_match(file.path.as_str()))
}

/// Reads the headers of the checkpoints `files`, which lie below `folder`, and holds them against
/// the rules of a chain.
///
/// # Errors
/// The first rule that is broken.
pub fn read(
    folder: &Path,
    files: Vec<IndexedFile>,
    pattern: &str,
) -> Result<Vec<Checkpoint>, Fault> {
    if !(FEWEST..=MOST).contains(&files.len()) {
        return Err(Fault::Count { found: files.len(), pattern: pattern.to_owned() });
    }
    let read = |file: IndexedFile| {
        let training_step = training_step(&file.path.below(folder), &file.path)?;
        let IndexedFile { path, size, sha256, .. } = file;
        Ok(Checkpoint { path, size, sha256, training_step })
    };
    let checkpoints: Vec<Checkpoint> = files.into_iter().map(read).collect::<Result<_, Fault>>()?;
    for pair in checkpoints.windows(2) {
        in_order(&pair[0], &pair[1])?;
    }
    Ok(checkpoints)
}

/// How many steps of training are behind the checkpoint at `place`, where its header says so.
///
/// # Errors
/// When it is no sound safetensors file.
pub fn training_step(place: &Path, path: &PackagePath) -> Result<Option<u64>, Fault> {
    let unsound = |source| Fault::Unsound { path: path.clone(), source };
    let file = File::open(place).map_err(FileError::at("open", place))?;
    let size = file.metadata().map_err(FileError::at("read", place))?.len();
    let take = |length: usize| {
        let mut start = vec![0; length.min(usize::try_from(size).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut start, 0).map_err(FileError::at("read", place))?;
        Ok::<_, Fault>(start)
    };
    let length = safetensors::text_length(&take(safetensors::PREFIX)?, size).map_err(unsound)?;
    let header = Header::parse(&take(safetensors::PREFIX + length)?, size).map_err(unsound)?;
    let metadata = header.metadata.unwrap_or_default();
    Ok(metadata.get(STEP_KEY).and_then(|step| step.parse().ok()))
}

/// Demands that `second`, which comes after `first` by the bytes of its name, was written after it
/// as people count, and says so.
fn in_order(first: &Checkpoint, second: &Checkpoint) -> Result<(), Fault> {
    let (one, other) = (&first.path, &second.path);
    if by_numbers(one.as_str(), other.as_str()) == Ordering::Greater {
        return Err(Fault::Order { first: other.clone(), second: one.clone() });
    }
    match (first.training_step, second.training_step) {
        (Some(before), Some(found)) if found <= before => {
            let (first, second) = (one.clone(), other.clone());
            Err(Fault::Backward { first, before, second, found })
        }
        _ => Ok(()),
    }
}

/// The order of two names in which runs of digits count as numbers.
fn by_numbers(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (left, right) = (digits(one), digits(other));
        if !left.is_empty() && !right.is_empty() {
            let number = |text: &str| text.trim_start_matches('0').to_owned();
            let (a, b) = (number(left), number(right));
            let order = a.len().cmp(&b.len()).then_with(|| a.cmp(&b));
            if order != Ordering::Equal {
                return order;
            }
            (one, other) = (&one[left.len()..], &other[right.len()..]);
            continue;
        }
        let (mut left, mut right) = (one.chars(), other.chars());
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => (one, other) = (left.as_str(), right.as_str()),
            (a, b) => return a.cmp(&b),
        }
    }
}

fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

impl Chain {
    /// The chain of `checkpoints`, which `step` wrote in a build whose `.mpkg/inputs.json` has the
    /// digest `inputs`; `last_step` is how far the training came, where it said so.
    #[must_use]
    pub fn of(
        step: PartName,
        inputs: Digest,
        checkpoints: &[Checkpoint],
        last_step: Option<u64>,
    ) -> Self {
        let mut link = beginning(inputs, &step);
        let mut links = Vec::new();
        for Checkpoint { path, size, sha256, training_step } in checkpoints {
            let (path, size, sha256) = (path.clone(), *size, *sha256);
            link = next(link, sha256, size, &path);
            links.push(Link { path, size, sha256, training_step: *training_step, link });
        }
        let all_say = links.iter().all(|link| link.training_step.is_some());
        let last = links.last().and_then(|link| link.training_step).filter(|_| all_say);
        let training_steps = last.map(|last| last.max(last_step.unwrap_or(last)));
        Self { step, inputs, training_steps, links }
    }

    /// The digest over the whole chain, by which people who check parts of it name it.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.links.last().map_or_else(|| beginning(self.inputs, &self.step), |last| last.link)
    }

    /// Demands that every link follows from those before it, and that the chain begins with
    /// `inputs`.
    ///
    /// # Errors
    /// [`Fault::Broken`], [`Fault::Count`].
    pub fn verify(&self, inputs: Digest) -> Result<(), Fault> {
        let broken = |what: String| Err(Fault::Broken { step: self.step.clone(), what });
        if !(FEWEST..=MOST).contains(&self.links.len()) {
            let found = self.links.len();
            return broken(format!(
                "has {found} checkpoints, and from {FEWEST} to {MOST} are taken"
            ));
        }
        if self.inputs != inputs {
            return broken(format!(
                "belongs to other inputs: it begins with {}, and the package's are {inputs}",
                self.inputs
            ));
        }
        let mut expected = beginning(self.inputs, &self.step);
        let mut before = None;
        for (number, link) in self.links.iter().enumerate() {
            expected = next(expected, link.sha256, link.size, &link.path);
            let (number, path) = (number + 1, printable(link.path.as_str()));
            if link.link != expected {
                return broken(format!("is broken at checkpoint {number}, {path}"));
            }
            if link.training_step.is_some_and(|step| before.is_some_and(|before| step <= before)) {
                return broken(format!("goes backward at checkpoint {number}, {path}"));
            }
            before = link.training_step.or(before);
        }
        Ok(())
    }

    /// The steps of training from the checkpoint `segment` (0 is the beginning) to the next, or
    /// from the last one to the end; none where the checkpoints do not say how far they are.
    #[must_use]
    pub fn steps_of(&self, segment: usize) -> Option<u64> {
        let total = self.training_steps?;
        let at = |number: usize| match number {
            0 => Some(0),
            number => self.links.get(number - 1).map_or(Some(total), |link| link.training_step),
        };
        at(segment + 1)?.checked_sub(at(segment)?)
    }
}

fn beginning(inputs: Digest, step: &PartName) -> Digest {
    Digest::of(format!("{BEGINNING}\n{inputs} {step}\n").as_bytes())
}

fn next(before: Digest, sha256: Digest, size: u64, path: &PackagePath) -> Digest {
    Digest::of(format!("{before}\n{sha256} {size} {path}\n").as_bytes())
}

/// The name that a checkpoint has beside the packages of its build; `number` counts from 1.
#[must_use]
pub fn file_name(
    package: &PackageName,
    version: &PackageVersion,
    step: &PartName,
    number: usize,
) -> String {
    format!("{package}-{version}.{step}.checkpoint-{number}.safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(path: &str, step: Option<u64>) -> Checkpoint {
        let (sha256, path) = (Digest::of(path.as_bytes()), path.parse().unwrap());
        Checkpoint { path, size: 8, sha256, training_step: step }
    }

    fn chain() -> Chain {
        let checkpoints =
            [checkpoint("c/1.safetensors", Some(10)), checkpoint("c/2.safetensors", Some(30))];
        Chain::of("train".parse().unwrap(), Digest::of(b"inputs"), &checkpoints, Some(35))
    }

    #[test]
    fn a_chain_holds_together() {
        let chain = chain();
        chain.verify(Digest::of(b"inputs")).unwrap();
        let steps: Vec<_> = (0..3).map(|segment| chain.steps_of(segment)).collect();
        assert_eq!(steps, [Some(10), Some(20), Some(5)]);
        let text = format!("mpkg checkpoints 1\n{} train\n", Digest::of(b"inputs"));
        let first = Digest::of(text.as_bytes());
        let text = format!("{first}\n{} 8 c/1.safetensors\n", Digest::of(b"c/1.safetensors"));
        assert_eq!(chain.links[0].link, Digest::of(text.as_bytes()));
    }

    #[test]
    fn a_change_anywhere_breaks_it() {
        let inputs = Digest::of(b"inputs");
        let mut swapped = chain();
        swapped.links.swap(0, 1);
        let mut other = chain();
        other.links[0].sha256 = inputs;
        let mut shorter = chain();
        shorter.links.truncate(1);
        for chain in [swapped, other, shorter] {
            assert!(matches!(chain.verify(inputs), Err(Fault::Broken { .. })));
        }
        let message = chain().verify(Digest::of(b"others")).unwrap_err().to_string();
        assert!(message.contains("belongs to other inputs"), "{message}");
    }

    #[test]
    fn names_order_as_people_count() {
        assert_eq!(by_numbers("a-9", "a-10"), Ordering::Less);
        assert_eq!(by_numbers("a-09", "a-10"), Ordering::Less);
        assert_eq!(by_numbers("a-1/x", "a-1/y"), Ordering::Less);
        assert_eq!(by_numbers("a", "a"), Ordering::Equal);
        assert!(in_order(&checkpoint("a-10", None), &checkpoint("a-9", None)).is_err());
        assert!(in_order(&checkpoint("a-1", Some(5)), &checkpoint("a-2", Some(5))).is_err());
        in_order(&checkpoint("a-1", Some(5)), &checkpoint("a-2", Some(6))).unwrap();
    }
}
