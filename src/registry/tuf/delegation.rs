//! To whom a targets role hands on which paths (specification, section 4.5; TAP 15).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::role::{Keys, Role, TopLevel};
use super::{Envelope, Error, Result, pattern};
use crate::crypto::VerifyingKey;
use crate::package::Digest;

/// The roles that a targets role delegates to, with their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegations {
    /// The keys of those roles.
    pub keys: Keys,
    /// The roles one by one, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<DelegatedRole>>,
    /// Roles that share one set of keys and divide all paths by their hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succinct_roles: Option<SuccinctRoles>,
}

/// A role that may vouch for some paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegatedRole {
    /// Its name.
    pub name: String,
    /// Who signs for it.
    #[serde(flatten)]
    pub role: Role,
    /// Whether nobody after it is asked for its paths.
    pub terminating: bool,
    /// Its paths.
    #[serde(flatten)]
    pub paths: Paths,
}

/// Which paths a delegated role may vouch for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Paths {
    /// Those that match one of these shell patterns.
    #[serde(rename = "paths")]
    Patterns(Vec<String>),
    /// Those whose SHA-256 begins with one of these.
    #[serde(rename = "path_hash_prefixes")]
    HashPrefixes(Vec<String>),
}

impl Paths {
    /// Whether `path` is one of them.
    #[must_use]
    pub fn contain(&self, path: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|one| pattern::matches(one, path)),
            Self::HashPrefixes(prefixes) => {
                let hash = Digest::of(path.as_bytes()).to_string();
                prefixes.iter().any(|prefix| hash.starts_with(prefix.as_str()))
            }
        }
    }
}

/// Bins: `2^bit_length` roles with the same keys; the first bits of a path's SHA-256 say which one
/// vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccinctRoles {
    /// Who signs for each of them.
    #[serde(flatten)]
    pub role: Role,
    /// How many bits number the bins: 1 to 32.
    pub bit_length: u8,
    /// What their names begin with.
    pub name_prefix: String,
}

impl SuccinctRoles {
    /// How many bins there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        1 << self.bit_length
    }

    /// The number of the bin that vouches for `path`.
    #[must_use]
    pub fn number_for(&self, path: &str) -> u64 {
        let digest = Digest::of(path.as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        u64::from(u32::from_be_bytes([a, b, c, d])) >> (32 - u32::from(self.bit_length))
    }

    /// The name of bin `number`.
    #[must_use]
    pub fn name(&self, number: u64) -> String {
        let width = usize::from(self.bit_length).div_ceil(4);
        format!("{}-{number:0width$x}", self.name_prefix)
    }

    /// The name of the bin that vouches for `path`.
    #[must_use]
    pub fn name_for(&self, path: &str) -> String {
        self.name(self.number_for(path))
    }

    /// The names of all bins.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.count()).map(|number| self.name(number))
    }

    /// Whether `name` is the name of one of the bins.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let number = name.strip_prefix(&self.name_prefix).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.is_some_and(|number| number < self.count() && self.name(number) == name)
    }
}

impl Delegations {
    /// Delegates all paths to `2^bit_length` bins named `PREFIX-…`, each signed by `threshold` of
    /// `keys`.
    ///
    /// # Errors
    /// [`Error::Form`] for a length that is not 1 to 32.
    pub fn bins(
        name_prefix: &str,
        bit_length: u8,
        keys: impl IntoIterator<Item = VerifyingKey>,
        threshold: NonZeroU32,
    ) -> Result<Self> {
        let mut all = Keys::default();
        let role = Role { keyids: all.add(keys), threshold };
        let bins = SuccinctRoles { role, bit_length, name_prefix: name_prefix.to_owned() };
        let delegations = Self { keys: all, roles: None, succinct_roles: Some(bins) };
        delegations.check()?;
        Ok(delegations)
    }

    /// The roles that may vouch for `path`, in the order in which they are asked, each with
    /// whether nobody is asked after it.
    #[must_use]
    pub fn roles_for(&self, path: &str) -> Vec<(String, Asking)> {
        if let Some(bins) = &self.succinct_roles {
            return vec![(bins.name_for(path), Asking::Ends)];
        }
        let roles = self.roles.iter().flatten().filter(|role| role.paths.contain(path));
        let asking = |role: &DelegatedRole| match role.terminating {
            true => Asking::Ends,
            false => Asking::GoesOn,
        };
        roles.map(|role| (role.name.clone(), asking(role))).collect()
    }

    /// Who signs for the role `name`.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        match &self.succinct_roles {
            Some(bins) => bins.has(name).then_some(&bins.role),
            None => self.roles.iter().flatten().find(|role| role.name == name).map(|r| &r.role),
        }
    }

    /// Demands that `envelope` is signed for the role `name`.
    ///
    /// # Errors
    /// [`Error::Threshold`], and [`Error::Form`] where no such role is delegated to.
    pub fn demand(&self, name: &str, envelope: &Envelope) -> Result<()> {
        let role = self.role(name).ok_or_else(|| {
            Error::Form(format!("the role \"{name}\" is not one that is delegated to"))
        })?;
        envelope.demand(&self.keys, role)
    }

    /// What the types do not say.
    pub(super) fn check(&self) -> Result<()> {
        let fault = match (&self.roles, &self.succinct_roles) {
            (Some(_), None) if self.roles.iter().flatten().any(|role| is_taken(&role.name)) => {
                "a delegated role has no name, or that of a top-level role"
            }
            (None, Some(bins)) if !(1..=32).contains(&bins.bit_length) => {
                "the number of bits of succinct roles is not 1 to 32"
            }
            (None, Some(bins)) if bins.name_prefix.is_empty() => "succinct roles have no name",
            (Some(_), None) | (None, Some(_)) => return Ok(()),
            _ => "delegations have either roles or succinct roles",
        };
        Err(Error::Form(fault.to_owned()))
    }
}

/// Whether others are asked after a role that does not know a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// The next one is.
    GoesOn,
    /// Nobody is.
    Ends,
}

fn is_taken(name: &str) -> bool {
    name.is_empty() || TopLevel::named(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    fn bins(bits: u8) -> Delegations {
        let key = *SigningKey::from_seed(&[1; 32]).public();
        Delegations::bins("bins", bits, [key.into()], NonZeroU32::MIN).unwrap()
    }

    #[test]
    fn bins_divide_all_paths() {
        for (bits, first, last) in
            [(1, "bins-0", "bins-1"), (4, "bins-0", "bins-f"), (5, "bins-00", "bins-1f")]
        {
            let all = bins(bits).succinct_roles.unwrap();
            let names: Vec<String> = all.names().collect();
            assert_eq!(names.len() as u64, all.count());
            assert_eq!((names[0].as_str(), names[names.len() - 1].as_str()), (first, last));
            assert!(names.iter().all(|name| all.has(name)));
        }
        let bins = bins(12).succinct_roles.unwrap();
        // SHA-256 of "index/lm.json" begins with these digits.
        let digest = Digest::of(b"index/lm.json").to_string();
        assert_eq!(bins.name_for("index/lm.json"), format!("bins-{}", &digest[..3]));
        for other in ["bins-1000", "bins-0", "bins-FFF", "bin-000", "bins-+00", "bins", "bins-"] {
            assert!(!bins.has(other), "{other}");
        }
        assert!(Delegations::bins("bins", 0, [], NonZeroU32::MIN).is_err());
        assert!(Delegations::bins("bins", 33, [], NonZeroU32::MIN).is_err());
    }

    #[test]
    fn paths_by_pattern_and_by_hash() {
        let role = |text: &str| serde_json::from_str::<DelegatedRole>(text).unwrap();
        let patterns = role(
            r#"{"name":"a","keyids":[],"threshold":1,"terminating":false,"paths":["x/*"],"more":1}"#,
        );
        assert!(patterns.paths.contain("x/y") && !patterns.paths.contain("x/y/z"));
        let prefix = &Digest::of(b"x").to_string()[..2];
        let hashes = role(&format!(
            r#"{{"name":"a","keyids":[],"threshold":1,"terminating":true,"path_hash_prefixes":["{prefix}"]}}"#
        ));
        assert!(hashes.paths.contain("x") && !hashes.paths.contain("y"));
        let neither = r#"{"name":"a","keyids":[],"threshold":1,"terminating":false}"#;
        assert!(serde_json::from_str::<DelegatedRole>(neither).is_err());
    }
}
