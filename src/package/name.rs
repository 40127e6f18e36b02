//! The names of packages, variants, registries, data references, steps and tests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that breaks the rule of its kind of name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}: {rule}")]
pub struct InvalidName {
    what: &'static str,
    rule: &'static str,
    found: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let valid: fn(&str) -> bool = $check;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName {
                        what: $what,
                        rule: $rule,
                        found: text.chars().take(80).collect(),
                    })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

impl RegistryName {
    /// The well-formed name that is nearest to `text`.
    #[must_use]
    pub fn near(text: &str) -> Option<Self> {
        slug(text).parse().ok()
    }
}

impl PackageName {
    /// The well-formed name that is nearest to `text`: `My Model_2` gives `my-model-2`.
    #[must_use]
    pub fn near(text: &str) -> Option<Self> {
        slug(text).parse().ok()
    }
}

/// `text` in the letters that every kind of name may have.
pub(super) fn slug(text: &str) -> String {
    let dashed: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").chars().take(64).collect()
}

fn starts_well(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
}

fn made_of(text: &str, extra: &str) -> bool {
    (1..=64).contains(&text.len())
        && starts_well(text)
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c))
}

name!(
    /// The name of a package: `[a-z0-9][a-z0-9-]{0,63}`.
    PackageName,
    "package name",
    "use 1 to 64 of a-z, 0-9 and '-', beginning with a letter or a digit",
    |text| made_of(text, "-")
);

name!(
    /// The name of a variant: `[a-z0-9][a-z0-9._-]{0,63}`, and not `src`.
    VariantName,
    "variant name",
    "use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit; \"src\" is taken",
    |text| made_of(text, "-_.") && text != "src" && !text.ends_with('.')
);

name!(
    /// The name of a data reference, a step or a test: `[a-z0-9][a-z0-9_-]{0,63}`.
    PartName,
    "name",
    "use 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or a digit",
    |text| made_of(text, "-_")
);

name!(
    /// The name of a configured registry: `[a-z0-9][a-z0-9-]{0,63}`.
    RegistryName,
    "registry name",
    "use 1 to 64 of a-z, 0-9 and '-', beginning with a letter or a digit",
    |text| made_of(text, "-")
);

name!(
    /// The name of a profile: `[a-z0-9][a-z0-9_-]{0,63}`.
    ProfileName,
    "profile name",
    "use 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or a digit",
    |text| made_of(text, "-_")
);

impl Default for ProfileName {
    /// The profile that commands use where none is named: `default`.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names() {
        for good in ["a", "0", "docs-lm", &"a".repeat(64)] {
            assert!(good.parse::<PackageName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a.b", "a/b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn variant_names_leave_src_to_source_packages() {
        assert!("q8_0".parse::<VariantName>().is_ok());
        assert!("src".parse::<VariantName>().is_err());
        assert!("..".parse::<VariantName>().is_err());
    }

    #[test]
    fn a_near_name_is_well_formed() {
        let near = |text: &str| PackageName::near(text).map(String::from);
        assert_eq!(near("My Model_2").as_deref(), Some("my-model-2"));
        assert_eq!(near("  ..é"), None);
        assert_eq!(near(&"A".repeat(99)), Some("a".repeat(64)));
    }

    #[test]
    fn the_error_names_the_rule() {
        let error = "My Model".parse::<PackageName>().unwrap_err().to_string();
        assert!(error.contains("\"My Model\"") && error.contains("a-z"), "{error}");
    }
}
