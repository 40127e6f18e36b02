//! Requirements of a Python version, such as `>=3.11, <3.14` (the release part of PEP 440).

use super::error::{Error, Result};

/// A list of conditions that all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PythonRequirement {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    release: Vec<u64>,
    /// Whether only as many numbers are compared as there are, as in `==3.11.*`.
    prefix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Above,
    Below,
    Compatible,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("~=", Operator::Compatible),
    (">", Operator::Above),
    ("<", Operator::Below),
];

impl PythonRequirement {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let conditions: Option<Vec<Condition>> = text.split(',').map(Condition::parse).collect();
        match conditions {
            Some(conditions) => Ok(Self { text: text.trim().to_owned(), conditions }),
            None => Err(Error::Requirement { text: text.to_owned() }),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn holds(&self, release: &[u64]) -> bool {
        self.conditions.iter().all(|condition| condition.holds(release))
    }
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign))?;
        let version = text[sign.len()..].trim();
        let (version, prefix) = match version.strip_suffix(".*") {
            Some(version) => (version, true),
            None => (version, false),
        };
        let release: Vec<u64> =
            version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let may_have_prefix = matches!(operator, Operator::Equal | Operator::NotEqual);
        let long_enough = *operator != Operator::Compatible || release.len() > 1;
        ((may_have_prefix || !prefix) && long_enough).then_some(Self {
            operator: *operator,
            release,
            prefix,
        })
    }

    fn holds(&self, found: &[u64]) -> bool {
        let length = match self.prefix {
            true => self.release.len(),
            false => self.release.len().max(found.len()),
        };
        let part = |release: &[u64], index| release.get(index).copied().unwrap_or(0);
        let order = (0..length)
            .map(|index| part(found, index).cmp(&part(&self.release, index)))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal);
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost => order.is_le(),
            Operator::Above => order.is_gt(),
            Operator::Below => order.is_lt(),
            Operator::Compatible => {
                let fixed = self.release.len() - 1;
                order.is_ge() && (0..fixed).all(|i| part(found, i) == self.release[i])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_in_pep_440() {
        for (text, release, expected) in [
            (">=3.11", [3, 11, 0], true),
            (">=3.11", [3, 9, 18], false),
            (">=3.9,<3.12", [3, 12, 0], false),
            (">=3.9, <3.12", [3, 11, 7], true),
            ("==3.11.*", [3, 11, 7], true),
            ("==3.11", [3, 11, 7], false),
            ("!=3.11.*", [3, 11, 7], false),
            ("~=3.11", [3, 14, 0], true),
            ("~=3.11.2", [3, 12, 0], false),
            (">3.11.6", [3, 11, 7], true),
            ("<=3.11.7", [3, 11, 7], true),
        ] {
            let requirement = PythonRequirement::parse(text).unwrap();
            assert_eq!(requirement.holds(&release), expected, "{text} {release:?}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["3.11", "^3.11", ">=3.x", "", ">=3.11,", ">=3.*", "~=3"] {
            assert!(PythonRequirement::parse(text).is_err(), "{text}");
        }
    }
}
