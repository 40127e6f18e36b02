//! The variables that a step finds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Environment;
use super::error::{Error, Result};
use crate::build::sandbox::{Access, Plan};

/// Variables whose value is part of what a sandbox is.
const RESERVED: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "SOURCE_DATE_EPOCH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONUSERBASE",
    "PYTHONSTARTUP",
    "BASH_ENV",
    "ENV",
    "IFS",
];

/// Beginnings of such names.
const RESERVED_BEGINNINGS: &[&str] = &["LD_", "LC_", "MPKG_", "GLIBC_TUNABLES"];

/// What else decides about a step's variables.
#[derive(Debug, Clone)]
pub struct StepVariables<'a> {
    /// How the step will be held.
    pub plan: &'a Plan,
    /// Processors that it is put on.
    pub cpus: u32,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub source_date_epoch: i64,
    /// Folders with programs, such as those of an environment package, as seen from inside.
    pub programs: &'a [PathBuf],
}

/// Refuses variables that a manifest may not set.
pub(super) fn check(variables: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in variables {
        let refuse = |reason| Err(Error::Variable { name: name.clone(), reason });
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(is_word)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return refuse("a name consists of letters, digits and underscores");
        }
        let reserved = RESERVED.contains(&name.as_str())
            || RESERVED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
        if reserved {
            return refuse("its value is set by mpkg itself");
        }
        if value.contains('\0') {
            return refuse("its value has a zero byte in it");
        }
    }
    Ok(())
}

impl Environment {
    /// Every variable that a step finds, but `HOME` and `TMPDIR`, which the sandbox sets.
    #[must_use]
    pub fn variables(&self, step: &StepVariables<'_>) -> BTreeMap<String, String> {
        let mut path: Vec<String> = Vec::new();
        if let Some(root) = &self.root {
            let inside = step.plan.mount(root, "env", Access::ReadOnly).inside;
            path.push(inside.join("bin").display().to_string());
        }
        path.extend(step.programs.iter().map(|folder| folder.display().to_string()));
        let own = self.system.iter().filter(|found| found.folder.is_some());
        path.extend(own.filter_map(|found| Some(found.path.parent()?.display().to_string())));
        let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
        path.extend(usual.map(ToOwned::to_owned));

        let threads = step.cpus.max(1).to_string();
        let epoch = step.source_date_epoch.to_string();
        let mut variables: BTreeMap<String, String> = [
            ("PATH", path.join(":").as_str()),
            ("TZ", "UTC"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("SOURCE_DATE_EPOCH", &epoch),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONUNBUFFERED", "1"),
            ("OMP_NUM_THREADS", &threads),
            ("OPENBLAS_NUM_THREADS", &threads),
            ("MKL_NUM_THREADS", &threads),
            ("NUMEXPR_NUM_THREADS", &threads),
            ("RAYON_NUM_THREADS", &threads),
            ("HF_HUB_OFFLINE", "1"),
            ("TOKENIZERS_PARALLELISM", "false"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.extend(self.variables.clone());
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sandbox_stands_on_cannot_be_set() {
        let check_one = |name: &str| check(&BTreeMap::from([(name.to_owned(), String::new())]));
        for name in ["LD_PRELOAD", "PATH", "PYTHONPATH", "LC_ALL", "1A", "", "A=B"] {
            assert!(check_one(name).is_err(), "{name}");
        }
        for name in ["OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "PYTHONHASHSEED"] {
            assert!(check_one(name).is_ok(), "{name}");
        }
    }
}
