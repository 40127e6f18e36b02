//! Unpacks foreign archives through a strict filter (spec/data.md, "Unpacking").

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::entries::{Compression, Flow, Kind, Member, MemberKind, Source};
use super::select::Selection;
use super::{Error, Result};
use crate::fs;
use crate::package::PackagePath;
use crate::package::manifest::Unpack;
use crate::progress::Task;

/// The date of every unpacked file, 1980-01-01, the first that a zip archive can hold: hours since
/// 1970.
const DATE: Duration = Duration::from_hours(87_648);

/// The kind of archive that `unpack` names; `None` for one file.
pub(super) fn kind(unpack: Unpack) -> Option<Kind> {
    Some(match unpack {
        Unpack::None | Unpack::Gz => return None,
        Unpack::Tar => Kind::Tar(Compression::None),
        Unpack::TarGz => Kind::Tar(Compression::Gz),
        Unpack::TarXz => Kind::Tar(Compression::Xz),
        Unpack::TarZst => Kind::Tar(Compression::Zstd),
        Unpack::Zip => Kind::Zip,
    })
}

/// Unpacks what `select` chooses of `archive` into the new folder `into`.
pub(super) fn archive(
    archive: &Source<'_>,
    kind: Kind,
    select: &[String],
    into: &Path,
    task: &dyn Task,
) -> Result<()> {
    let mut selection = Selection::of(select)?;
    let mut folder = Folder::new(into)?;
    archive.visit(kind, &mut |member: Member<'_>| {
        let refused = |member: &str, why: String| Error::Refused {
            archive: archive.shown.to_owned(),
            member: crate::explain::printable(&member.chars().take(255).collect::<String>()),
            why,
        };
        let bare = member.name.trim_end_matches('/');
        let is_root = matches!(member.name.as_str(), "" | ".") && member.kind == MemberKind::Folder;
        let passed_over = if selection.is_everything() {
            is_root
        } else {
            member.kind == MemberKind::Folder || !selection.takes(bare)
        };
        if passed_over {
            return Ok(Flow::Continue);
        }
        let executable = match member.kind {
            MemberKind::File { executable } => executable,
            MemberKind::Folder => {
                let path = safe(bare).map_err(|why| refused(&member.name, why))?;
                folder.claim(&path, Place::Folder).map_err(|why| refused(&member.name, why))?;
                return Ok(Flow::Continue);
            }
            MemberKind::Other(what) => return Err(refused(&member.name, format!("is {what}"))),
        };
        let path = safe(&member.name).map_err(|why| refused(&member.name, why))?;
        folder.claim(&path, Place::File).map_err(|why| refused(&member.name, why))?;
        let written =
            folder.write(&path, executable, &mut *member.contents, &|e| archive.bad(kind, e))?;
        if written != member.size {
            let why = format!("says that it has {} bytes, and has {written}", member.size);
            return Err(refused(&member.name, why));
        }
        task.advance(1);
        Ok(Flow::Continue)
    })?;
    selection.finish()?;
    folder.finish()
}

/// Decompresses one `gz` file to the new file `goal`.
pub(super) fn gz(archive: &Source<'_>, goal: &Path) -> Result<()> {
    let file = File::open(archive.path).map_err(fs::Error::at("open", archive.path))?;
    let length = file.metadata().map_err(fs::Error::at("look at", archive.path))?.len();
    let mut stream = archive.decoded(file, length, Compression::Gz)?;
    write(
        goal,
        0o444,
        &mut *stream,
        &|error| match archive.bad(Kind::Tar(Compression::Gz), error) {
            Error::BadArchive { archive, cause, .. } => {
                Error::BadArchive { archive, kind: "gz", cause }
            }
            other => other,
        },
    )
    .map(|_| ())
}

fn safe(name: &str) -> std::result::Result<PackagePath, String> {
    name.parse().map_err(|error: crate::package::InvalidPath| {
        let text = error.to_string();
        let why = text.rsplit_once("may hold: ").map_or(text.as_str(), |(_, why)| why);
        format!("is refused: {why}")
    })
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Folder,
}

/// A new folder that files are written into, each path once.
pub(super) struct Folder<'a> {
    root: &'a Path,
    /// Every path in use, by its folded form.
    taken: HashMap<String, (String, Place)>,
}

impl<'a> Folder<'a> {
    /// Makes the folder, which must not exist.
    pub(super) fn new(root: &'a Path) -> Result<Self> {
        make(root)?;
        Ok(Self { root, taken: HashMap::new() })
    }

    /// Takes `path` and the folders that lead to it, or says why it cannot be had.
    fn claim(&mut self, path: &PackagePath, place: Place) -> std::result::Result<(), String> {
        let text = path.as_str();
        for end in text.match_indices('/').map(|(at, _)| at).chain([text.len()]) {
            let here = &text[..end];
            // The beginning of a good path is a good path.
            let key = here.parse().map_or_else(|_| here.to_owned(), |p: PackagePath| p.folded());
            let wanted = if end == text.len() { place } else { Place::Folder };
            match self.taken.get(&key) {
                None => {
                    self.taken.insert(key, (here.to_owned(), wanted));
                }
                Some((there, _)) if there != here => {
                    return Err(format!("differs from {there:?} only in case or in Unicode form"));
                }
                Some((_, Place::Folder)) if wanted == Place::Folder => {}
                Some((_, Place::File)) if wanted == Place::File => {
                    return Err("is there twice".to_owned());
                }
                Some(_) => return Err(format!("needs {here:?} to be both a file and a folder")),
            }
        }
        Ok(())
    }

    /// Writes a file at a claimed path.
    fn write(
        &self,
        path: &PackagePath,
        executable: bool,
        contents: &mut dyn Read,
        bad: &dyn Fn(&io::Error) -> Error,
    ) -> Result<u64> {
        let mode = if executable { 0o555 } else { 0o444 };
        write(&self.make_parents(path)?, mode, contents, bad)
    }

    /// Makes the folders that lead to `path`, and gives its place.
    fn make_parents(&self, path: &PackagePath) -> Result<std::path::PathBuf> {
        let place = path.below(self.root);
        if let Some(parent) = place.parent()
            && !parent.is_dir()
        {
            let text = path.as_str();
            for (end, _) in text.match_indices('/') {
                let folder = self.root.join(&text[..end]);
                if !folder.is_dir() {
                    make(&folder)?;
                }
            }
        }
        Ok(place)
    }

    /// Puts the file `from` at `path` as a second name of the same bytes, or as a copy.
    pub(super) fn link(&mut self, path: &PackagePath, from: &Path) -> Result<()> {
        let fault = |why: String| Error::Tree {
            path: path.to_string(),
            why: format!("cannot be put: it {why}"),
        };
        self.claim(path, Place::File).map_err(fault)?;
        let place = self.make_parents(path)?;
        if std::fs::hard_link(from, &place).is_ok() {
            return Ok(());
        }
        Self::copy_to(&place, from)
    }

    /// The place of a new file at `path`, with the folders that lead to it.
    pub(super) fn place(&mut self, path: &PackagePath) -> Result<std::path::PathBuf> {
        let fault = |why: String| Error::Tree {
            path: path.to_string(),
            why: format!("cannot be put: it {why}"),
        };
        self.claim(path, Place::File).map_err(fault)?;
        self.make_parents(path)
    }

    /// Puts a copy of the file `from` at `path`.
    pub(super) fn copy(&mut self, path: &PackagePath, from: &Path) -> Result<()> {
        let fault = |why: String| Error::Tree {
            path: path.to_string(),
            why: format!("cannot be put: it {why}"),
        };
        self.claim(path, Place::File).map_err(fault)?;
        Self::copy_to(&self.make_parents(path)?, from)
    }

    fn copy_to(place: &Path, from: &Path) -> Result<()> {
        let mut file = File::open(from).map_err(fs::Error::at("open", from))?;
        let mode = file.metadata().map_err(fs::Error::at("look at", from))?.permissions().mode();
        let mode = if mode & 0o100 != 0 { 0o555 } else { 0o444 };
        let unreadable = |error: &io::Error| {
            let error = io::Error::new(error.kind(), error.to_string());
            Error::Files(fs::Error::at("read", from)(error))
        };
        write(place, mode, &mut file, &unreadable).map(|_| ())
    }

    /// Makes every folder read-only, and itself last.
    pub(super) fn finish(self) -> Result<()> {
        let mut folders: Vec<&String> = self
            .taken
            .values()
            .filter(|(_, place)| *place == Place::Folder)
            .map(|(path, _)| path)
            .collect();
        folders.sort();
        let places = folders.iter().rev().map(|path| self.root.join(path));
        for place in places.chain([self.root.to_owned()]) {
            if place.is_dir() {
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o555))
                    .map_err(fs::Error::at("protect", &place))?;
            }
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<()> {
    Ok(DirBuilder::new()
        .mode(0o755)
        .create(folder)
        .map_err(fs::Error::at("create the folder", folder))?)
}

/// Writes a new file; what is wrong with `contents` is told by `bad`.
fn write(
    goal: &Path,
    mode: u32,
    contents: &mut dyn Read,
    bad: &dyn Fn(&io::Error) -> Error,
) -> Result<u64> {
    let mut file = create(goal)?;
    let mut written = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match contents.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(bad(&error)),
        };
        io::Write::write_all(&mut file, &buffer[..read]).map_err(fs::Error::at("write", goal))?;
        written += read as u64;
    }
    seal(&file, mode, goal)?;
    Ok(written)
}

/// Makes a new file that nobody else reads yet.
pub(super) fn create(goal: &Path) -> Result<File> {
    Ok(File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(goal)
        .map_err(fs::Error::at("create", goal))?)
}

/// Gives a file that is whole its date and its mode.
pub(super) fn seal(file: &File, mode: u32, goal: &Path) -> Result<()> {
    Ok(file
        .set_modified(SystemTime::UNIX_EPOCH + DATE)
        .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
        .map_err(fs::Error::at("write", goal))?)
}
