//! Signs what a rebuild found (spec/attestation.md, "Attestations").

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Error, Rebuilt};
use crate::crypto::statement::{BUILD_TYPE, Predicate, Statement, package_url};
use crate::crypto::{Envelope, SigningKey, WHOLE, envelope_path};
use crate::fs::write_atomically;
use crate::ops::sign::{Others, SignOptions, sign};
use crate::progress::Progress;
use crate::reproduce::Verdict;

/// The most names of tensors that a statement lists of a kind.
const MOST_NAMES: usize = 20;

/// How to sign.
#[derive(Debug)]
pub struct AttestOptions<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// Who rebuilt the package, an address.
    pub builder: &'a str,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The verdict on the released package.
    pub verdict: PathBuf,
    /// The provenance of the rebuilt package.
    pub provenance: PathBuf,
}

/// Signs the verdict, whatever it is, and how the rebuilt package came about.
///
/// # Errors
/// When a statement cannot be made or written.
pub fn attest(
    rebuilt: &Rebuilt,
    options: &AttestOptions<'_>,
    progress: &dyn Progress,
) -> Result<Attested, Error> {
    let AttestOptions { key, builder } = *options;
    let sign_options = SignOptions { key, builder, others: Others::Replace };
    let provenance = sign(&rebuilt.rebuilt_file, &sign_options, progress)?.envelope;
    let predicate = Predicate::Rebuild(predicate(rebuilt, builder));
    let name = rebuilt.release.file_name();
    let statement = Statement::about(&name, rebuilt.file, rebuilt.package, &predicate);
    let envelope = Envelope::sign(statement.to_payload()?, &[key]);
    let verdict = envelope_path(&rebuilt.rebuilt_file.with_file_name(format!("{name}.rebuild")));
    write_atomically(&verdict, &envelope.to_bytes())?;
    Ok(Attested { verdict, provenance })
}

/// The facts in canonical words: no fractions, no long lists, and only what differs one by one.
fn predicate(rebuilt: &Rebuilt, builder: &str) -> Value {
    let mut facts = rebuilt.document();
    let identical = |file: &&Value| file["verdict"] == Verdict::Identical.as_str();
    let files = facts["files"].take();
    let files = files.as_array().map(Vec::as_slice).unwrap_or_default();
    let changed: Vec<Value> = files.iter().filter(|file| !identical(file)).map(shortened).collect();
    facts["files-identical"] = (files.len() - changed.len()).into();
    facts["files"] = changed.into();
    facts["extent"] = WHOLE.into();
    facts["build-type"] = BUILD_TYPE.into();
    facts["package"] = package_url(&rebuilt.release).into();
    facts["rebuilder"] = builder.into();
    canonical(facts)
}

/// A file's facts without those of each tensor.
pub(super) fn shortened(file: &Value) -> Value {
    let mut file = file.clone();
    if let Some(weights) = file.get_mut("weights").and_then(Value::as_object_mut) {
        weights.remove("changed");
        for list in weights.values_mut().filter_map(Value::as_array_mut) {
            list.truncate(MOST_NAMES);
        }
    }
    file
}

/// Fractions become decimal text, nothing becomes the absence of its key, and control characters
/// of foreign words are escaped.
pub(super) fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map(|number| number.to_string()).into()
        }
        Value::String(text) => crate::explain::printable(&text).into(),
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            let kept: Map<String, Value> =
                kept.map(|(key, value)| (key, canonical(value))).collect();
            kept.into()
        }
        other => other,
    }
}
