//! A profile: the set of packages that a person sees, as a chain of generations.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::generation::{GENERATION_FORMAT, Generation, InstalledPackage};
use super::{Error, Home, Result, Store, limits};
use crate::crypto::canonical;
use crate::explain::nearest;
use crate::fs;
use crate::package::{PackageName, ProfileName};

const LIST: &str = "generation.json";

/// What the name of a profile that is being removed begins with; no profile can be called so.
const REMOVED: &str = ".removed-";

/// A profile, for reading. No lock is needed: a generation never changes.
#[derive(Debug, Clone)]
pub struct Profile {
    name: ProfileName,
    folder: PathBuf,
}

impl Profile {
    /// The profile called `name` below `home`; it need not exist yet.
    #[must_use]
    pub fn of(home: &Home, name: &ProfileName) -> Self {
        Self { name: name.clone(), folder: home.profile(name) }
    }

    /// The profile called `name` below `home`, which must exist unless it is the default one.
    ///
    /// # Errors
    /// [`Error::NoProfile`] with the nearest name; file errors.
    pub fn existing(home: &Home, name: &ProfileName) -> Result<Self> {
        let profile = Self::of(home, name);
        if *name == ProfileName::default() || profile.folder.is_dir() {
            return Ok(profile);
        }
        let known = Self::all(home)?;
        let near = nearest(name.as_str(), known.iter().map(|one| one.name.as_str()));
        let nearest = near.and_then(|near| near.parse().ok());
        Err(Error::NoProfile { name: name.clone(), nearest })
    }

    /// Every profile below `home`, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all(home: &Home) -> Result<Vec<Self>> {
        let names = entry_names(&home.profiles())?;
        let mut names: Vec<ProfileName> =
            names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names.iter().map(|name| Self::of(home, name)).collect())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ProfileName {
        &self.name
    }

    /// The folder for what is not whole yet, on the file system that the profile is on.
    fn staging(&self) -> PathBuf {
        self.folder.join(".staging")
    }

    /// The link to the current generation.
    #[must_use]
    pub fn current_link(&self) -> PathBuf {
        self.folder.join("current")
    }

    fn generations_folder(&self) -> PathBuf {
        self.folder.join("generations")
    }

    /// The installed folder of `name`. It is the same path whatever the version.
    #[must_use]
    pub fn path_of(&self, name: &PackageName) -> PathBuf {
        self.current_link().join("packages").join(name.as_str())
    }

    /// The current generation; none before the first install.
    ///
    /// # Errors
    /// [`Error::DamagedGeneration`]; file errors.
    pub fn current(&self) -> Result<Option<Generation>> {
        match std::fs::symlink_metadata(self.current_link()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => read(&self.current_link().join(LIST)).map(Some),
        }
    }

    /// The number of the current generation; none before the first install.
    ///
    /// # Errors
    /// Those of [`Profile::current`].
    pub fn current_number(&self) -> Result<Option<u64>> {
        let link = self.current_link();
        match std::fs::read_link(&link) {
            Ok(goal) => {
                let number = goal.file_name().and_then(|name| name.to_str()?.parse().ok());
                Ok(number)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fs::Error::at("read the link", &link)(error).into()),
        }
    }

    /// The installed package called `name`.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] with the nearest name that is installed.
    pub fn installed(&self, name: &PackageName) -> Result<InstalledPackage> {
        let packages = self.current()?.map(|current| current.packages).unwrap_or_default();
        let near = nearest(name.as_str(), packages.iter().map(|package| package.name.as_str()))
            .and_then(|near| near.parse().ok());
        packages
            .into_iter()
            .find(|package| package.name == *name)
            .ok_or_else(|| Error::NotInstalled { name: name.clone(), nearest: near })
    }

    /// The numbers of all generations, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn numbers(&self) -> Result<Vec<u64>> {
        let names = entry_names(&self.generations_folder())?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The generation with this number.
    ///
    /// # Errors
    /// [`Error::NoGeneration`], [`Error::DamagedGeneration`]; file errors.
    pub fn generation(&self, number: u64) -> Result<Generation> {
        let existing = self.numbers()?;
        if !existing.contains(&number) {
            return Err(Error::NoGeneration { number, existing });
        }
        read(&self.generations_folder().join(number.to_string()).join(LIST))
    }

    fn switch_to(&self, number: u64) -> Result<()> {
        let link = self.current_link();
        fs::create_folder(&self.staging())?;
        let staged = self.staging().join("current");
        match std::fs::remove_file(&staged) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fs::Error::at("remove", &staged)(error).into());
            }
            _ => {}
        }
        symlink(Path::new("generations").join(number.to_string()), &staged)
            .map_err(fs::Error::at("create the link", &staged))?;
        std::fs::rename(&staged, &link).map_err(fs::Error::at("replace", &link))?;
        Ok(fs::sync_folder(&self.folder)?)
    }
}

/// The names in a folder; none where it is not there.
fn entry_names(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fs::Error::at("read the folder", folder)(error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fs::Error::at("read the folder", folder))?;
        names.extend(entry.file_name().to_str().map(str::to_owned));
    }
    Ok(names)
}

fn read(path: &Path) -> Result<Generation> {
    let text = fs::read_to_string(path, limits().bytes as u64)?;
    canonical::read_canonical(text.as_bytes(), limits())
        .map_err(|source| Error::DamagedGeneration { path: path.to_owned(), source })
}

impl Store {
    /// Makes `packages` the profile's next generation and switches to it by one rename.
    ///
    /// # Errors
    /// File errors; then the current generation is as it was.
    pub fn commit(
        &self,
        profile: &Profile,
        mut packages: Vec<InstalledPackage>,
        command: &str,
        made: jiff::Timestamp,
    ) -> Result<Generation> {
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let number = profile.numbers()?.last().map_or(1, |last| last.saturating_add(1));
        let command = crate::explain::printable(command);
        let generation = Generation { format: GENERATION_FORMAT, number, made, command, packages };
        fs::remove_folder(&profile.staging())?;
        let staged = profile.staging().join(number.to_string());
        Self::write_generation(&staged, &generation)?;
        let folder = profile.generations_folder();
        fs::create_folder(&folder)?;
        let goal = folder.join(number.to_string());
        std::fs::rename(&staged, &goal).map_err(fs::Error::at("rename a folder to", &goal))?;
        fs::sync_folder(&folder)?;
        profile.switch_to(number)?;
        if number == 1 {
            fs::sync_folder(&self.home.profiles())?;
            fs::sync_folder(self.home.root())?;
        }
        Ok(generation)
    }

    fn write_generation(folder: &Path, generation: &Generation) -> Result<()> {
        let links = folder.join("packages");
        fs::create_folder(&links)?;
        for package in &generation.packages {
            let link = links.join(package.name.as_str());
            let goal = format!("../../../../../store/packages/{}", package.package);
            symlink(goal, &link).map_err(fs::Error::at("create the link", &link))?;
        }
        fs::sync_folder(&links)?;
        let path = folder.join(LIST);
        let value = serde_json::to_value(generation).expect("a generation is JSON");
        let text = canonical::to_vec(&value)
            .map_err(|source| Error::DamagedGeneration { path: path.clone(), source })?;
        Ok(fs::write_atomically(&path, &text)?)
    }

    /// Makes an existing generation the current one.
    ///
    /// # Errors
    /// [`Error::NoGeneration`]; file errors.
    pub fn switch(&self, profile: &Profile, number: u64) -> Result<Generation> {
        let generation = profile.generation(number)?;
        profile.switch_to(number)?;
        Ok(generation)
    }

    /// Forgets a generation that is not the current one; its packages stay until they are swept.
    ///
    /// # Errors
    /// File errors.
    pub fn forget(&self, profile: &Profile, number: u64) -> Result<()> {
        let folder = profile.generations_folder().join(number.to_string());
        fs::create_folder(&profile.staging())?;
        let away = profile.staging().join(format!("forgotten-{number}"));
        fs::remove_folder(&away)?;
        std::fs::rename(&folder, &away).map_err(fs::Error::at("move", &folder))?;
        fs::sync_folder(&profile.generations_folder())?;
        Ok(fs::remove_folder(&away)?)
    }

    /// Removes a profile with all of its generations by one rename; its packages stay until they
    /// are swept.
    ///
    /// # Errors
    /// File errors; then the profile is as it was, or gone.
    pub fn remove_profile(&self, profile: &Profile) -> Result<()> {
        self.clear_removed_profiles()?;
        let away = self.home.profiles().join(format!("{REMOVED}{}", profile.name));
        std::fs::rename(&profile.folder, &away).map_err(fs::Error::at("move", &profile.folder))?;
        fs::sync_folder(&self.home.profiles())?;
        Ok(fs::remove_folder(&away)?)
    }

    /// Clears what an interrupted removal of a profile left.
    pub(super) fn clear_removed_profiles(&self) -> Result<()> {
        let profiles = self.home.profiles();
        let names = entry_names(&profiles)?;
        let removed = names.iter().filter(|name| name.starts_with(REMOVED));
        Ok(removed.map(|name| profiles.join(name)).try_for_each(|path| fs::remove_folder(&path))?)
    }
}
