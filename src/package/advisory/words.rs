//! Reads the values of a JSON document, and notes everything that is not as it should be with its
//! place.

use serde_json::{Map, Value};

/// Something in a document that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as in `affected[0].package.name`.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// An object of a document, at its place.
pub(super) struct Object<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// What `reader` makes of the whole document.
    ///
    /// # Errors
    /// Everything that is not as it should be.
    pub(super) fn read<T>(
        value: &'a Value,
        reader: impl FnOnce(&Self, &mut Vec<Fault>) -> Option<T>,
    ) -> Result<T, Vec<Fault>> {
        let mut faults = Vec::new();
        let found =
            Self::at(value, String::new(), &mut faults).and_then(|root| reader(&root, &mut faults));
        match found {
            Some(found) if faults.is_empty() => Ok(found),
            _ => {
                faults.dedup();
                Err(faults)
            }
        }
    }

    fn at(value: &'a Value, place: String, faults: &mut Vec<Fault>) -> Option<Self> {
        if let Value::Object(map) = value {
            return Some(Self { place, map });
        }
        let place = if place.is_empty() { "the document".to_owned() } else { place };
        faults.push(Fault { place, why: "it is no object".to_owned() });
        None
    }

    /// Where the member `key` stands.
    pub(super) fn place(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Notes a fault of the member `key`.
    pub(super) fn fault(&self, key: &str, why: impl Into<String>, faults: &mut Vec<Fault>) {
        faults.push(Fault { place: self.place(key), why: why.into() });
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The text of a member that may be absent.
    pub(super) fn text(&self, key: &str, faults: &mut Vec<Fault>) -> Option<&'a str> {
        let value = self.get(key)?;
        if value.as_str().is_none() {
            self.fault(key, "it is no text", faults);
        }
        value.as_str()
    }

    /// The text of a member that must be there.
    pub(super) fn needed(&self, key: &str, faults: &mut Vec<Fault>) -> Option<&'a str> {
        if !self.has(key) {
            self.fault(key, "it is missing", faults);
        }
        self.text(key, faults)
    }

    /// A text that stands for something.
    pub(super) fn parsed<T>(&self, key: &str, faults: &mut Vec<Fault>) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(key, faults)?;
        match text.parse() {
            Ok(found) => Some(found),
            Err(error) => {
                self.fault(key, error.to_string(), faults);
                None
            }
        }
    }

    /// A moment: RFC 3339 in UTC.
    pub(super) fn time(&self, key: &str, faults: &mut Vec<Fault>) -> Option<jiff::Timestamp> {
        let text = self.text(key, faults)?;
        let time = text.ends_with('Z').then(|| text.parse().ok()).flatten();
        if time.is_none() {
            self.fault(key, "it is no time such as 2026-11-26T15:00:00Z", faults);
        }
        time
    }

    pub(super) fn object(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Object<'a>> {
        Self::at(self.get(key)?, self.place(key), faults)
    }

    fn list(&self, key: &str, faults: &mut Vec<Fault>) -> &'a [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.fault(key, "it is no list", faults);
                &[]
            }
        }
    }

    /// The objects of a list, those that are none left out.
    pub(super) fn objects(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<Object<'a>> {
        let list = self.list(key, faults).iter().enumerate();
        let place = self.place(key);
        list.filter_map(|(at, value)| Self::at(value, format!("{place}[{at}]"), faults)).collect()
    }

    /// The texts of a list.
    pub(super) fn texts(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<&'a str> {
        let list = self.list(key, faults);
        if list.iter().any(|value| !value.is_string()) {
            self.fault(key, "not all of it is text", faults);
        }
        list.iter().filter_map(Value::as_str).collect()
    }
}
