//! Signs what a check of parts found (spec/checkpoints.md, "Statements").

use std::path::PathBuf;

use serde_json::Value;

use super::super::attest::{canonical, shortened};
use super::super::{AttestOptions, Error as RebuildError};
use super::{Checked, Error};
use crate::crypto::statement::{
    BUILD_TYPE, Digests, SEGMENTS_V1, Statement, StatementSubject, package_url,
};
use crate::crypto::{Envelope, envelope_path};
use crate::fs::write_atomically;
use crate::package::INDEX_PATH;
use crate::reproduce::Verdict;

/// Signs the verdict, whatever it is. No provenance is signed: a package that was made from
/// somebody's checkpoints was not built from its source.
///
/// # Errors
/// When the statement cannot be made or written.
pub fn attest(checked: &Checked, options: &AttestOptions<'_>) -> Result<PathBuf, Error> {
    let AttestOptions { key, builder } = *options;
    let name = checked.release.file_name();
    let subject =
        |name: &str, sha256| StatementSubject { name: name.to_owned(), digest: Digests { sha256 } };
    let subjects = vec![subject(&name, checked.file), subject(INDEX_PATH, checked.package)];
    let statement = Statement::new(subjects, SEGMENTS_V1, predicate(checked, builder));
    let envelope = Envelope::sign(statement.to_payload()?, &[key]);
    let folder = checked.report.parent().unwrap_or(std::path::Path::new("."));
    let path = envelope_path(&folder.join(format!("{name}.segments")));
    write_atomically(&path, &envelope.to_bytes()).map_err(RebuildError::from)?;
    Ok(path)
}

/// The facts in canonical words, without those of each tensor and of files that are identical.
fn predicate(checked: &Checked, builder: &str) -> Value {
    let mut facts = checked.document();
    let list = |value: &mut Value| value.take().as_array().cloned().unwrap_or_default();
    let segments: Vec<Value> = list(&mut facts["segments"]).iter().map(shortened).collect();
    let files = list(&mut facts["closing"]["files"]);
    let identical = |file: &&Value| file["verdict"] == Verdict::Identical.as_str();
    let changed: Vec<Value> = files.iter().filter(|file| !identical(file)).map(shortened).collect();
    facts["closing"]["files-identical"] = (files.len() - changed.len()).into();
    facts["closing"]["files"] = changed.into();
    facts["segments"] = segments.into();
    facts["package"] = package_url(&checked.release).into();
    facts["rebuilder"] = builder.into();
    facts["build-type"] = BUILD_TYPE.into();
    facts["extent"] = "segments".into();
    canonical(facts)
}
