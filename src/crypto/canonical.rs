//! Canonical JSON, and strict reading of JSON that came from elsewhere.
//!
//! The canonical form is the one that TUF signs (OLPC): UTF-8, no white space, the members of an
//! object in byte order of their names, integers alone, and in strings only `"` and `\` escaped.
//! mpkg narrows it: control characters are refused, so canonical text is JSON for every parser.
//! The whole is in `spec/signatures.md`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::explain::{Explain, printable};

/// What foreign JSON may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// How deep arrays and objects may stand in each other; at most 100 are ever allowed.
    pub depth: usize,
    /// How many values there may be in all.
    pub values: usize,
}

impl Limits {
    /// A text of up to `bytes`, 32 levels deep, with a value for every four bytes of it.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> Self {
        Self { bytes, depth: 32, values: bytes / 4 + 1 }
    }

    /// What `text` can need at the most: a value takes at least one byte.
    const fn none_of(text: &[u8]) -> Self {
        Self { bytes: text.len(), depth: DEEPEST, values: text.len() + 1 }
    }
}

/// Why a text is not the JSON that it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A longer text than allowed.
    #[error("the JSON text is {found} bytes long; at most {limit} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// Bad JSON, or good JSON with a duplicate name, a float, or too much nesting.
    #[error("the JSON text is refused")]
    Refused(#[source] serde_json::Error),
    /// JSON that does not have the expected members.
    #[error("the JSON text has another shape than expected")]
    Shape(#[source] serde_json::Error),
    /// JSON that is not in the canonical form.
    #[error("the JSON text is not in canonical form: {0}")]
    NotCanonical(&'static str),
    /// A number with a fraction or an exponent, or one that 64 bits do not hold.
    #[error("{0} cannot stand in canonical JSON: only integers of 64 bits can")]
    Number(String),
    /// A string with a control character.
    #[error("\"{}\" cannot stand in canonical JSON: it has a control character", printable(.0))]
    ControlCharacter(String),
}

/// A result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Explain for Error {
    fn kind(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "json-too-long",
            Self::Refused(_) => "json-refused",
            Self::Shape(_) => "json-shape",
            Self::NotCanonical(_) => "json-not-canonical",
            Self::Number(_) | Self::ControlCharacter(_) => "json-not-expressible",
        }
    }
}

/// Writes `value` in the canonical form.
///
/// # Errors
/// [`Error::Number`] and [`Error::ControlCharacter`].
pub fn to_vec(value: &Value) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    write(&mut text, value, ControlCharacters::Refused)?;
    Ok(text)
}

/// Writes `value` in the form that OLPC describes and TUF signs, control characters as they are.
/// This is what signatures are over; with a control character in it, it is not JSON.
///
/// # Errors
/// [`Error::Number`].
pub fn to_signed_form(value: &Value) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    write(&mut text, value, ControlCharacters::Raw)?;
    Ok(text)
}

/// Writes `value` as [`to_vec`] does, and control characters as JSON escapes them. For documents
/// with keys in PEM.
///
/// # Errors
/// [`Error::Number`].
pub fn to_json(value: &Value) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    write(&mut text, value, ControlCharacters::Escaped)?;
    Ok(text)
}

/// What becomes of control characters in strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ControlCharacters {
    Refused,
    Raw,
    Escaped,
}

fn write(text: &mut Vec<u8>, value: &Value, control: ControlCharacters) -> Result<()> {
    match value {
        Value::Null => text.extend_from_slice(b"null"),
        Value::Bool(true) => text.extend_from_slice(b"true"),
        Value::Bool(false) => text.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => return Err(Error::Number(number.to_string())),
        Value::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
        Value::String(string) => write_string(text, string, control)?,
        Value::Array(items) => {
            text.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(b',');
                }
                write(text, item, control)?;
            }
            text.push(b']');
        }
        Value::Object(members) => {
            // Sorted here because a feature of serde_json may keep another order.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (position, (name, member)) in members.into_iter().enumerate() {
                if position > 0 {
                    text.push(b',');
                }
                write_string(text, name, control)?;
                text.push(b':');
                write(text, member, control)?;
            }
            text.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &mut Vec<u8>, string: &str, control: ControlCharacters) -> Result<()> {
    text.push(b'"');
    for byte in string.bytes() {
        match (byte, control) {
            (b'"' | b'\\', _) => text.extend_from_slice(&[b'\\', byte]),
            (..0x20, ControlCharacters::Refused) => {
                return Err(Error::ControlCharacter(string.chars().take(80).collect()));
            }
            (..0x20, ControlCharacters::Escaped) => {
                text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            }
            _ => text.push(byte),
        }
    }
    text.push(b'"');
    Ok(())
}

/// Reads JSON that came from elsewhere: no duplicate names, no floats, nothing beyond `limits`.
///
/// # Errors
/// [`Error::TooLong`] and [`Error::Refused`].
pub fn parse_strict(bytes: &[u8], limits: Limits) -> Result<Value> {
    read(bytes, limits)
}

/// Reads JSON that came from elsewhere into a type, as strictly as [`parse_strict`].
///
/// # Errors
/// [`Error::TooLong`], [`Error::Refused`] and [`Error::Shape`].
pub fn read<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T> {
    check(bytes, limits, Form::Any)?;
    serde_json::from_slice(bytes).map_err(Error::Shape)
}

/// Reads JSON that came from elsewhere and must be in canonical form.
///
/// # Errors
/// As [`read`], and [`Error::NotCanonical`].
pub fn read_canonical<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> Result<T> {
    check(bytes, limits, Form::Canonical)?;
    check_spelling(bytes)?;
    serde_json::from_slice(bytes).map_err(Error::Shape)
}

/// Whether `bytes` are what [`to_vec`] writes for the value that they stand for.
#[must_use]
pub fn is_canonical(bytes: &[u8]) -> bool {
    check(bytes, Limits::none_of(bytes), Form::Canonical)
        .and_then(|()| check_spelling(bytes))
        .is_ok()
}

/// Deeper nesting than `serde_json`'s own limit allows is never read.
const DEEPEST: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Any,
    Canonical,
}

/// Walks through `bytes` without building anything.
fn check(bytes: &[u8], limits: Limits, form: Form) -> Result<()> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLong { found: bytes.len(), limit: limits.bytes });
    }
    let mut left = limits.values;
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let walk = Walk { depth: limits.depth.min(DEEPEST), left: &mut left, form };
    walk.deserialize(&mut text).and_then(|()| text.end()).map_err(Error::Refused)
}

/// Checks what a walk over values does not see: white space and needless escapes.
fn check_spelling(bytes: &[u8]) -> Result<()> {
    let mut bytes = bytes.iter();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if !matches!(bytes.next(), Some(b'"' | b'\\')) => {
                return Err(Error::NotCanonical("it has a needless escape"));
            }
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {
                return Err(Error::NotCanonical("it has white space between values"));
            }
            _ => {}
        }
    }
    Ok(())
}

struct Walk<'a> {
    depth: usize,
    left: &'a mut usize,
    form: Form,
}

impl Walk<'_> {
    fn inner<E: serde::de::Error>(&mut self) -> Result<Walk<'_>, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("arrays and objects are nested too deeply"))?;
        Ok(Walk { depth, left: self.left, form: self.form })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| serde::de::Error::custom("there are too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without floats")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("a number is not an integer of 64 bits"))
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        loop {
            let inner = self.inner()?;
            if items.next_element_seed(inner)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        use serde::de::Error as _;
        let mut names = Names { form: self.form, last: None, seen: HashSet::new() };
        while let Some(name) = members.next_key::<String>()? {
            names.add(name).map_err(A::Error::custom)?;
            let inner = self.inner()?;
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// The names of an object's members so far.
struct Names {
    form: Form,
    last: Option<String>,
    seen: HashSet<String>,
}

impl Names {
    fn add(&mut self, name: String) -> Result<(), String> {
        let duplicate = |name: &str| {
            let start: String = name.chars().take(80).collect();
            Err(format!("the name \"{}\" stands twice in one object", printable(&start)))
        };
        match self.form {
            Form::Any if self.seen.contains(&name) => duplicate(&name),
            Form::Any => {
                self.seen.insert(name);
                Ok(())
            }
            Form::Canonical => match self.last.replace(name).zip(self.last.as_ref()) {
                Some((before, name)) if before == *name => duplicate(name),
                Some((before, name)) if before > *name => {
                    Err("the members of an object are not in byte order".to_owned())
                }
                _ => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        match parse_strict(text.as_bytes(), Limits::of_bytes(1000)).unwrap_err() {
            Error::Refused(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    #[test]
    fn many_short_values_are_canonical_too() {
        for text in ["[[],[]]", "[1,2,3,4]", "[[[[]]]]", "[]", "0"] {
            assert!(is_canonical(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_form_that_tuf_signs() {
        let value = serde_json::json!({
            "b": [1, -2, true, null], "a": "é\"\\/", "B": {}, "aa": u64::MAX
        });
        let text = to_vec(&value).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"B\":{},\"a\":\"é\\\"\\\\/\",\"aa\":18446744073709551615,\"b\":[1,-2,true,null]}"
        );
    }

    #[test]
    fn the_signed_form_has_control_characters_as_they_are() {
        let value = serde_json::json!({"b": 1, "a": "x\n\"\u{1}"});
        assert_eq!(to_signed_form(&value).unwrap(), b"{\"a\":\"x\n\\\"\x01\",\"b\":1}");
        let text = to_json(&value).unwrap();
        assert_eq!(text, br#"{"a":"x\u000a\"\u0001","b":1}"#);
        assert_eq!(parse_strict(&text, Limits::of_bytes(99)).unwrap(), value);
        assert!(to_signed_form(&serde_json::json!([1.5])).is_err());
        assert!(to_json(&serde_json::json!([1.5])).is_err());
    }

    #[test]
    fn what_canonical_json_cannot_say() {
        assert!(matches!(to_vec(&serde_json::json!([1.5])), Err(Error::Number(_))));
        assert!(matches!(to_vec(&serde_json::json!(1e3)), Err(Error::Number(_))));
        assert!(matches!(to_vec(&serde_json::json!("a\nb")), Err(Error::ControlCharacter(_))));
        assert!(matches!(to_vec(&serde_json::json!({"a\0": 1})), Err(Error::ControlCharacter(_))));
    }

    #[test]
    fn case_12_json_of_the_wrong_shape() {
        assert!(refusal(r#"{"a":1,"a":2}"#).contains("\"a\" stands twice"));
        assert!(refusal(r#"{"a":1,"\u0061":2}"#).contains("\"a\" stands twice"));
        assert!(refusal("[{\"\u{7f}\\u001b\":1,\"\u{7f}\\u001b\":2}]").contains("\\u{1b}"));
        assert!(refusal("[1.0]").contains("not an integer"));
        assert!(refusal("[1e2]").contains("not an integer"));
        assert!(refusal("[-0]").contains("not an integer"));
        assert!(refusal("[18446744073709551616]").contains("not an integer"));
        assert!(refusal(&"[".repeat(500)).contains("nested too deeply"));
        assert!(refusal("[1] 2").contains("trailing"));
        assert!(refusal("\u{feff}[]").contains("expected value"));
        assert!(refusal(r#"["\ud800"]"#).contains("hex escape"));
        assert!(refusal("[\"\n\"]").contains("control character"));
        assert!(refusal("").contains("EOF"));
        assert!(parse_strict(b"[\"\xff\"]", Limits::of_bytes(99)).is_err());
        let short = Limits { bytes: 100, depth: 1, values: 3 };
        assert!(parse_strict(b"[1,2]", short).is_ok());
        assert!(parse_strict(b"[1,2,3]", short).unwrap_err().source_text().contains("too many"));
        assert!(parse_strict(b"[[]]", short).unwrap_err().source_text().contains("deeply"));
        assert!(matches!(parse_strict(&[b' '; 101], short), Err(Error::TooLong { .. })));
    }

    impl Error {
        fn source_text(&self) -> String {
            std::error::Error::source(self).map(ToString::to_string).unwrap_or_default()
        }
    }

    #[test]
    fn other_spellings_are_not_canonical() {
        for good in ["{}", "[]", r#"{"a":"\"\\ /","b":[1,2]}"#, "\"é b\"", "null", "-1"] {
            assert!(is_canonical(good.as_bytes()), "{good}");
            assert!(read_canonical::<Value>(good.as_bytes(), Limits::of_bytes(99)).is_ok());
        }
        for bad in [
            "{ }",
            "[1, 2]",
            "[1]\n",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#""\/""#,
            r#""\u0061""#,
            "-0",
            "1.0",
            "1e1",
            "01",
            "",
            "[",
            "\"a\nb\"",
        ] {
            assert!(!is_canonical(bad.as_bytes()), "{bad}");
            assert!(read_canonical::<Value>(bad.as_bytes(), Limits::of_bytes(99)).is_err());
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[^\u{0}-\u{1f}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[^\u{0}-\u{1f}]{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_canonical_and_reads_back(value in values()) {
            let text = to_vec(&value).unwrap();
            prop_assert!(is_canonical(&text));
            prop_assert_eq!(parse_strict(&text, Limits::none_of(&text)).unwrap(), value);
        }

        #[test]
        fn canonical_text_is_written_back_the_same(text in "[\\[\\]{},:\"ab\\\\ 01.e-]{0,12}") {
            if is_canonical(text.as_bytes()) {
                let value = parse_strict(text.as_bytes(), Limits::of_bytes(99)).unwrap();
                prop_assert_eq!(to_vec(&value).unwrap(), text.into_bytes());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse_strict(&bytes, Limits::of_bytes(64));
            let _ = is_canonical(&bytes);
        }
    }
}
