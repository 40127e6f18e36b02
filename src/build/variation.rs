//! What can be changed around a build to see whether its result depends on it
//! (spec/attestation.md, "`mpkg rebuild --vary`").

mod kernels;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::machine::Machine;
use super::sandbox::{Conditions, FolderOrder, Namespaces, Plan, User};
use crate::package::manifest::Manifest;

/// How many seconds the clock is behind: 400 days, three hours and some.
const BEHIND: i64 = 400 * 86_400 + 3 * 3600 + 1234;

/// The variables from which numeric libraries learn how many threads to make.
const THREADS: [&str; 5] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// The beginnings of locales in the order in which one is chosen: those that write numbers, or
/// turn letters into capitals, in other ways than the usual one.
const TELLING_LOCALES: [&str; 4] = ["tr_", "de_", "fr_", "ru_"];

/// A kind of thing that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The folder in which everything lies.
    Path,
    /// The user's name and number.
    User,
    /// What the clock says.
    Time,
    /// The language and its customs.
    Locale,
    /// The time zone.
    TimeZone,
    /// The permissions that new files do not get.
    Umask,
    /// The order of entries in folders.
    FileOrder,
    /// The number of processors.
    Cores,
    /// The code that numeric libraries choose by the processor.
    Kernels,
    /// What Python's hashes begin with.
    HashSeed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Path,
        Self::User,
        Self::Time,
        Self::Locale,
        Self::TimeZone,
        Self::Umask,
        Self::FileOrder,
        Self::Cores,
        Self::Kernels,
        Self::HashSeed,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::User => "user",
            Self::Time => "time",
            Self::Locale => "locale",
            Self::TimeZone => "time-zone",
            Self::Umask => "umask",
            Self::FileOrder => "file-order",
            Self::Cores => "cores",
            Self::Kernels => "kernels",
            Self::HashSeed => "hash-seed",
        }
    }

    /// The kind that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// What is changed.
    pub kind: Kind,
    /// What it is otherwise.
    pub from: String,
    /// What it is changed to.
    pub to: String,
    conditions: Conditions,
    /// Variables that are set, and those that are taken away.
    variables: Vec<(&'static str, Option<String>)>,
}

/// A kind of thing that cannot be changed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotVaried {
    /// What.
    #[serde(rename = "varied")]
    pub kind: Kind,
    /// Why not.
    pub reason: String,
}

/// What there is to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The manifest, with the steps that run alone.
    pub manifest: &'a Manifest,
    /// The sandbox.
    pub plan: &'a Plan,
    /// The machine.
    pub machine: &'a Machine,
    /// The locales that it has.
    pub locales: &'a [String],
}

/// How many processors a step gets in place of `usual`.
fn other_cores(usual: u32) -> u32 {
    if usual > 1 { 1 } else { 2 }
}

impl Variation {
    fn new(kind: Kind, from: impl Into<String>, to: impl Into<String>) -> Self {
        let (from, to) = (from.into(), to.into());
        Self { kind, from, to, conditions: Conditions::default(), variables: Vec::new() }
    }

    fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, Some(value.into())));
        self
    }

    fn under(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
    }

    /// What a command finds around it.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// How many processors a job is put on that asks for `usual`.
    #[must_use]
    pub fn cpus(&self, usual: u32) -> u32 {
        if self.kind == Kind::Cores { other_cores(usual) } else { usual }
    }

    /// Changes the variables of a job that asks for so many processors.
    pub fn change(&self, variables: &mut BTreeMap<String, String>, cpus: u32) {
        for (name, value) in &self.variables {
            match value {
                Some(value) => variables.insert((*name).to_owned(), value.clone()),
                None => variables.remove(*name),
            };
        }
        if self.kind == Kind::Cores {
            let threads = THREADS.map(|name| (name.to_owned(), self.cpus(cpus).to_string()));
            variables.extend(threads);
        }
    }

    /// The word that a record made under this change is tainted with.
    #[must_use]
    pub fn taint(&self) -> String {
        format!("varied: {}", self.kind)
    }
}

/// The changes of `kinds` that can be made here, and why the others cannot.
#[must_use]
pub fn variations(kinds: &[Kind], ground: Ground<'_>) -> (Vec<Variation>, Vec<NotVaried>) {
    let (mut possible, mut not) = (Vec::new(), Vec::new());
    for kind in kinds {
        match of(*kind, ground) {
            Ok(variations) => possible.extend(variations),
            Err(reason) => not.push(NotVaried { kind: *kind, reason }),
        }
    }
    (possible, not)
}

fn of(kind: Kind, ground: Ground<'_>) -> Result<Vec<Variation>, String> {
    let usual = Conditions::default();
    let namespaces = ground.plan.namespaces;
    let mounts = || namespaces.map(|_| ()).ok_or("the sandbox here has no namespaces".to_owned());
    let one = |from: &str, to: &str| Variation::new(kind, from, to);
    Ok(vec![match kind {
        Kind::Path => {
            mounts()?;
            let root = PathBuf::from("/build/of-somebody-else/on-another-disk");
            one(&usual.root.display().to_string(), &root.display().to_string())
                .under(Conditions { root, ..usual })
        }
        Kind::User => {
            if namespaces != Some(Namespaces::User) {
                return Err("the sandbox here has no user namespace".to_owned());
            }
            let user = User { id: 61_234, name: "somebody".to_owned() };
            let words = |user: &User| format!("{} ({})", user.name, user.id);
            one(&words(&usual.user), &words(&user)).under(Conditions { user, ..usual })
        }
        Kind::Time => {
            if !ground.plan.clock {
                return Err("no other clock is known for this kind of system".to_owned());
            }
            one("the true time", "400 days earlier").under(Conditions { clock: -BEHIND, ..usual })
        }
        Kind::Locale => {
            let locale = other_locale(ground.locales);
            one("C.UTF-8", locale).setting("LANG", locale).setting("LC_ALL", locale)
        }
        Kind::TimeZone => one("UTC", "UTC+11:30").setting("TZ", "<+1130>-11:30"),
        Kind::Umask => one("022", "077").under(Conditions { umask: 0o077, ..usual }),
        Kind::FileOrder => {
            mounts()?;
            one("as stored", "the other way round")
                .under(Conditions { folders: FolderOrder::Reversed, ..usual })
        }
        Kind::Cores => cores(ground)?,
        Kind::Kernels => return kernels::of(ground),
        Kind::HashSeed => {
            let seed = pinned(ground.manifest, "PYTHONHASHSEED").unwrap_or("0");
            let other = if seed == "4242" { "0" } else { "4242" };
            one(seed, other).setting("PYTHONHASHSEED", other)
        }
    }])
}

fn cores(ground: Ground<'_>) -> Result<Variation, String> {
    if ground.machine.cpus < 2 {
        return Err("this machine has one processor".to_owned());
    }
    let mut usual: Vec<u32> = ground.manifest.steps.iter().map(|it| it.resources.cpus).collect();
    usual.sort_unstable();
    usual.dedup();
    let words = |count: fn(u32) -> u32| {
        usual.iter().map(|it| count(*it).to_string()).collect::<Vec<_>>().join(" and ")
    };
    Ok(Variation::new(Kind::Cores, words(|usual| usual), words(other_cores)))
}

/// The locale that is most unlike the usual one.
fn other_locale(locales: &[String]) -> &str {
    let others: Vec<&String> = locales
        .iter()
        .filter(|name| !["C", "POSIX"].contains(&name.split('.').next().unwrap_or_default()))
        .collect();
    let telling = TELLING_LOCALES
        .iter()
        .find_map(|beginning| others.iter().find(|name| name.starts_with(beginning)));
    telling.or(others.first()).map_or("POSIX", |name| name.as_str())
}

/// The value that the manifest gives a variable.
fn pinned<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a str> {
    manifest.environment.variables.get(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "m"
version = "1.0.0"
kind = "model"
summary = "s"
license = "MIT"
[environment]
python = ">=3.8"
variables = { OPENBLAS_CORETYPE = "Haswell" }
[[step]]
name = "train"
run = ["python3", "train.py", "{out}"]
resources = { cpus = 2 }
[[variant]]
name = "f32"
from = "train"
files = ["x"]
"#;

    fn machine(cpus: usize, features: &[&str]) -> Machine {
        let features = features.iter().map(|&feature| feature.to_owned()).collect();
        let architecture = "x86_64".to_owned();
        Machine { architecture, cpus, features, ..Machine::here() }
    }

    fn found(kinds: &[Kind], machine: &Machine) -> (Vec<Variation>, Vec<NotVaried>) {
        let manifest = Manifest::parse(MANIFEST, "mpkg.toml").unwrap();
        let mut plan = Plan::none();
        plan.clock = false;
        let locales = ["C.utf8".to_owned(), "en_GB.utf8".to_owned(), "de_DE.utf8".to_owned()];
        variations(kinds, Ground { manifest: &manifest, plan: &plan, machine, locales: &locales })
    }

    #[test]
    fn what_cannot_be_varied_is_said() {
        let (possible, not) = found(&Kind::ALL, &machine(1, &[]));
        let not: Vec<Kind> = not.iter().map(|it| it.kind).collect();
        assert_eq!(not, [Kind::Path, Kind::User, Kind::Time, Kind::FileOrder, Kind::Cores]);
        assert!(possible.iter().all(|it| !not.contains(&it.kind) && it.from != it.to));
    }

    #[test]
    fn only_kernels_that_the_processor_has() {
        let names = |features: &[&str]| -> Vec<String> {
            let (possible, _) = found(&[Kind::Kernels], &machine(2, features));
            possible.into_iter().map(|it| it.to).collect()
        };
        assert_eq!(names(&[])[..1], ["Prescott"]);
        assert_eq!(names(&["sse4_2"])[..2], ["Prescott", "Nehalem"]);
        let all = ["sse4_2", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"];
        // The manifest's own is no change.
        assert_eq!(names(&all), ["Prescott", "Nehalem", "SkylakeX", "the processor's own"]);
    }

    #[test]
    fn a_change_reaches_the_variables() {
        let (possible, _) = found(&[Kind::Cores, Kind::Locale], &machine(2, &[]));
        let mut variables = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]);
        possible[0].change(&mut variables, 2);
        assert_eq!((variables["OMP_NUM_THREADS"].as_str(), possible[0].cpus(2)), ("1", 1));
        possible[1].change(&mut variables, 2);
        assert_eq!((variables["LANG"].as_str(), possible[1].cpus(2)), ("de_DE.utf8", 2));
        assert_eq!(possible[1].taint(), "varied: locale");
    }
}
