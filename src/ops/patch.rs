//! `mpkg patch`: records the changes to an unpacked source as patches.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::build::patches::{
    self, Contents, FileChange, Header, LONGEST_PATCH, Overlay, PATCHES_FOLDER, Patch, SERIES_NAME,
    Series, difference, put, remove,
};
use crate::build::pristine::{Pristine, Unrecorded, patches_of, working};
use crate::build::source::SourceError;
use crate::build::tree::SourceTree;
use crate::explain::{Explain, nearest};
use crate::fs::{self, write_atomically};
use crate::package::{Digest, PackagePath};

/// Why patches cannot be recorded, listed or taken out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree or its patches are at fault.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// A tree that does not know what it was.
    #[error("{tree} does not remember what it was, so nothing in it counts as changed")]
    NoPristine {
        /// The tree.
        tree: String,
    },
    /// There is nothing to record.
    #[error("nothing is changed that no patch has")]
    NothingChanged,
    /// A file that was named is not changed.
    #[error("{path} is not changed")]
    NotChanged {
        /// The file.
        path: PathBuf,
        /// The changed file whose name is nearest.
        near: Option<String>,
    },
    /// The name of a new patch is taken, or can be none.
    #[error("a patch cannot be called {name}: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// There is no such patch.
    #[error("there is no patch {name}")]
    NoSuch {
        /// What was named.
        name: String,
        /// The nearest that there is.
        near: Option<String>,
    },
    /// A later patch changes the same file.
    #[error("{path} is changed by the later patch {later} as well")]
    Later {
        /// The file.
        path: PackagePath,
        /// The patch.
        later: PackagePath,
    },
}

impl From<patches::Error> for Error {
    fn from(error: patches::Error) -> Self {
        Self::Source(error.into())
    }
}

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::Source(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::NoPristine { .. } => "no-pristine",
            Self::NothingChanged | Self::NotChanged { .. } => "nothing-changed",
            Self::Name { .. } => "bad-name",
            Self::NoSuch { .. } => "no-such-patch",
            Self::Later { .. } => "later-patch",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::NoPristine { .. } => Some(
                "`mpkg source` unpacks a source that does; a tree of your own is changed as it is"
                    .to_owned(),
            ),
            Self::NotChanged { near, .. } | Self::NoSuch { near, .. } => {
                near.as_ref().map(|near| format!("did you mean {near}?"))
            }
            Self::Later { later, .. } => {
                Some(format!("refresh that one: mpkg patch refresh {later}"))
            }
            Self::NothingChanged | Self::Name { .. } => None,
        }
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.rendered(),
            _ => None,
        }
    }
}

/// A result with this module's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A patch, for people.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub name: PackagePath,
    /// What it says of itself.
    pub header: Header,
    /// The SHA-256 of its file.
    pub digest: Digest,
    /// What it does to which files.
    pub files: Vec<(PackagePath, &'static str)>,
}

impl Listed {
    fn of(patch: &Patch) -> Self {
        let file = |change: &FileChange| (change.path.clone(), change.action.as_str());
        Self {
            name: patch.name.clone(),
            header: patch.header.clone(),
            digest: patch.digest,
            files: patch.changes.iter().map(file).collect(),
        }
    }
}

/// The patches of a tree.
#[derive(Debug, Clone)]
pub struct Listing {
    /// In the order in which they are applied.
    pub patches: Vec<Listed>,
    /// Files that are changed and in no patch; none where the tree does not remember what it was.
    pub unrecorded: Option<Vec<Unrecorded>>,
}

/// A tree that `mpkg source` unpacked, its patches read.
struct Unpacked<'a> {
    tree: &'a SourceTree,
    pristine: Pristine,
    series: Series,
    patches: Vec<Patch>,
}

impl<'a> Unpacked<'a> {
    fn of(tree: &'a SourceTree) -> Result<Self> {
        let (series, patches) = patches_of(tree)?;
        let pristine =
            Pristine::of(tree)?.ok_or_else(|| Error::NoPristine { tree: tree.to_string() })?;
        pristine.verify()?;
        Ok(Self { tree, pristine, series, patches })
    }

    /// What the first `number` patches make.
    fn after(&self, number: usize) -> Result<Overlay> {
        Ok(Overlay::of(self.pristine.base(), &self.patches[..number])?)
    }

    fn unrecorded(&self) -> Result<Vec<Unrecorded>> {
        Ok(self.pristine.unrecorded(self.tree, &self.after(self.patches.len())?)?)
    }

    /// Where the patch called `name` stands in the series.
    fn place(&self, name: &str) -> Result<usize> {
        let is_it = |known: &PackagePath| {
            known.as_str() == name || known.as_str().strip_suffix(".patch") == Some(name)
        };
        self.series.names.iter().position(is_it).ok_or_else(|| {
            let short = |name: &'_ str| name.strip_suffix(".patch").unwrap_or(name).to_owned();
            let names: Vec<String> =
                self.series.names.iter().map(|it| short(it.as_str())).collect();
            let near = nearest(&short(name), names.iter().map(String::as_str));
            Error::NoSuch { name: name.to_owned(), near: near.map(str::to_owned) }
        })
    }

    fn write_patch(&self, name: &PackagePath, text: &str) -> Result<Listed> {
        if text.len() as u64 > LONGEST_PATCH {
            return Err(patches::Error::LongPatch.into());
        }
        let patch = Patch::parse(name, text)?;
        let place = self.tree.root().join(PATCHES_FOLDER).join(name.as_str());
        write_atomically(&place, text.as_bytes())?;
        Ok(Listed::of(&patch))
    }

    fn write_series(&self, series: &Series) -> Result<()> {
        let place = self.tree.root().join(SERIES_NAME);
        if !series.names.is_empty() {
            return Ok(write_atomically(&place, series.to_text().as_bytes())?);
        }
        Ok(remove(self.tree.root(), &SERIES_NAME.parse().expect("it is a path"))?)
    }
}

/// What a new patch is called and says.
#[derive(Debug, Clone)]
pub struct NewPatch {
    /// Its name; `.patch` is added where it has no ending.
    pub name: String,
    /// What it says of itself.
    pub header: Header,
    /// The files whose changes it takes, below the tree; none are all.
    pub files: Vec<PathBuf>,
}

/// Lists the patches of `tree`, and what is in none.
///
/// # Errors
/// When a patch is malformed, or does not apply in an unpacked source.
pub fn list(tree: &SourceTree) -> Result<Listing> {
    let (_, patches) = patches_of(tree)?;
    let unrecorded = match Pristine::of(tree)? {
        None => None,
        Some(_) => Some(Unpacked::of(tree)?.unrecorded()?),
    };
    Ok(Listing { patches: patches.iter().map(Listed::of).collect(), unrecorded })
}

/// Records what is changed in `tree` as a new patch at the end of the series.
///
/// # Errors
/// When nothing is changed, or something that no patch can hold; then nothing is written.
pub fn new(tree: &SourceTree, new: &NewPatch) -> Result<Listed> {
    let unpacked = Unpacked::of(tree)?;
    let mut changes = unpacked.unrecorded()?;
    if changes.is_empty() {
        return Err(Error::NothingChanged);
    }
    let name = name_of(&new.name, &unpacked.series)?;
    if !new.files.is_empty() {
        changes = chosen(tree, changes, &new.files)?;
    }
    let before = unpacked.after(unpacked.patches.len())?;
    let mut text = new.header.to_text();
    for change in &changes {
        let old = before.read(unpacked.pristine.base(), &change.path)?;
        text.push_str(&part(tree, change, old.as_ref())?);
    }
    let listed = unpacked.write_patch(&name, &text)?;
    let mut series = unpacked.series.clone();
    series.names.push(name);
    unpacked.write_series(&series)?;
    Ok(listed)
}

/// The part of a patch that makes of `old` what the tree has now.
fn part(tree: &SourceTree, change: &Unrecorded, old: Option<&Contents>) -> Result<String> {
    if change.after.as_ref().is_some_and(|file| file.size > patches::LONGEST_FILE) {
        return Err(patches::Error::LongFile { path: change.path.clone() }.into());
    }
    let now = working(tree, change.after.as_ref())?;
    Ok(difference(&change.path, old, now.as_ref())?)
}

fn name_of(name: &str, series: &Series) -> Result<PackagePath> {
    let fault = |why: &str| Error::Name { name: name.to_owned(), why: why.to_owned() };
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(is_good) {
        return Err(fault("letters, digits and `-_.+` make a name, and it begins with none of -."));
    }
    let ends = [".patch", ".diff"].iter().any(|end| name.ends_with(end));
    let whole = if ends { name.to_owned() } else { format!("{name}.patch") };
    let path: PackagePath = whole.parse().map_err(|error| fault(&format!("{error}")))?;
    if series.names.iter().any(|known| known.folded() == path.folded()) {
        return Err(fault("there is one of that name"));
    }
    Ok(path)
}

/// The changes to `files` alone.
fn chosen(
    tree: &SourceTree,
    changes: Vec<Unrecorded>,
    files: &[PathBuf],
) -> Result<Vec<Unrecorded>> {
    let root = std::path::absolute(tree.root()).map_err(fs::Error::at("find", tree.root()))?;
    let mut wanted = BTreeSet::new();
    for file in files {
        let absolute = std::path::absolute(file).map_err(fs::Error::at("find", file))?;
        let inside = absolute.strip_prefix(&root).ok().and_then(std::path::Path::to_str);
        let found = changes.iter().find(|change| Some(change.path.as_str()) == inside);
        let Some(found) = found else {
            let shown = file.display().to_string();
            let names = changes.iter().map(|change| change.path.as_str());
            let near = nearest(inside.unwrap_or(&shown), names).map(str::to_owned);
            return Err(Error::NotChanged { path: file.clone(), near });
        };
        wanted.insert(found.path.clone());
    }
    Ok(changes.into_iter().filter(|change| wanted.contains(&change.path)).collect())
}

/// Takes the patch called `name` out of the series, and its changes out of the tree.
///
/// # Errors
/// When there is none, a later one does not apply without it, or files that it changes have
/// changes that no patch has; then nothing is written.
pub fn drop(tree: &SourceTree, name: &str) -> Result<Listed> {
    let unpacked = Unpacked::of(tree)?;
    let place = unpacked.place(name)?;
    let gone = &unpacked.patches[place];
    let unrecorded = unpacked.unrecorded()?;
    let touched: BTreeSet<&PackagePath> = gone.changes.iter().map(|it| &it.path).collect();
    let in_the_way: Vec<Unrecorded> =
        unrecorded.into_iter().filter(|change| touched.contains(&change.path)).collect();
    if !in_the_way.is_empty() {
        return Err(SourceError::unrecorded(&in_the_way).into());
    }
    let mut rest = unpacked.patches.clone();
    rest.remove(place);
    let base = unpacked.pristine.base();
    let without = Overlay::of(base, &rest)?;
    let after: Vec<(&PackagePath, Option<Contents>)> = touched
        .into_iter()
        .map(|path| Ok((path, without.read(base, path)?)))
        .collect::<Result<_>>()?;
    for (path, contents) in after {
        match contents {
            Some(contents) => put(tree.root(), path, &contents)?,
            None => remove(tree.root(), path)?,
        }
    }
    let mut series = unpacked.series.clone();
    series.names.remove(place);
    unpacked.write_series(&series)?;
    let file = format!("{PATCHES_FOLDER}{}", gone.name).parse();
    remove(tree.root(), &file.expect("the tree has such a file"))?;
    Ok(Listed::of(gone))
}

/// Takes what is changed in `tree` into the patch called `name`, or without one into the last.
/// What it says of itself is replaced where `header` says so.
///
/// # Errors
/// When there is none, nothing is changed, or a later patch changes the same file; then nothing is
/// written.
pub fn refresh(
    tree: &SourceTree,
    name: Option<&str>,
    header: impl FnOnce(&mut Header),
) -> Result<Listed> {
    let unpacked = Unpacked::of(tree)?;
    let place = match (name, unpacked.patches.len()) {
        (Some(name), _) => unpacked.place(name)?,
        (None, 0) => return Err(Error::NoSuch { name: "to refresh".to_owned(), near: None }),
        (None, number) => number - 1,
    };
    let patch = &unpacked.patches[place];
    let changes = unpacked.unrecorded()?;
    if changes.is_empty() {
        return Err(Error::NothingChanged);
    }
    for later in &unpacked.patches[place + 1..] {
        let both = later.changes.iter().find(|it| changes.iter().any(|one| one.path == it.path));
        if let Some(both) = both {
            let (path, later) = (both.path.clone(), later.name.clone());
            return Err(Error::Later { path, later });
        }
    }
    let base = unpacked.pristine.base();
    let (before, with) = (unpacked.after(place)?, unpacked.after(place + 1)?);
    let mut said = patch.header.clone();
    header(&mut said);
    let mut text = said.to_text();
    let own = patch.changes.iter().map(|it| &it.path);
    let paths: BTreeSet<&PackagePath> = own.chain(changes.iter().map(|it| &it.path)).collect();
    for path in paths {
        let old = before.read(base, path)?;
        let change = changes.iter().find(|change| change.path == *path);
        let part = match change {
            Some(change) => part(tree, change, old.as_ref())?,
            None => difference(path, old.as_ref(), with.read(base, path)?.as_ref())?,
        };
        text.push_str(&part);
    }
    unpacked.write_patch(&patch.name, &text)
}
