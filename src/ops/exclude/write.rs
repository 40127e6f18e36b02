//! Writes the list of what is withdrawn, and names it in the manifest.

use std::path::PathBuf;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use super::{Error, Grounds, Result, Written};
use crate::build::data::LONGEST_LIST;
use crate::build::tree::SourceTree;
use crate::fs::{read_to_string, write_atomically};
use crate::package::manifest::{DataReference, MANIFEST_NAME, Manifest, RecordKind};

const HEAD: &str = "\
# Records withdrawn from training data, each entry with its reason. `mpkg exclude` adds to it.
format = 1
";

/// The path of the list in the tree.
fn path_of(reference: &DataReference) -> String {
    format!("exclusions/{}.toml", reference.name)
}

/// The list of what is withdrawn from `reference`.
pub(super) fn list_of(tree: &SourceTree, reference: &DataReference) -> PathBuf {
    let place = tree.root().join(path_of(reference));
    place.strip_prefix(".").map(std::path::Path::to_owned).unwrap_or(place)
}

/// Adds an entry to the list, and the list to the manifest.
pub(super) fn write(
    tree: &SourceTree,
    reference: &DataReference,
    kind: RecordKind,
    what: &Written,
    grounds: &Grounds,
) -> Result<PathBuf> {
    let path = path_of(reference);
    let place = list_of(tree, reference);
    let fault = |why: String| Error::Edit { file: path.clone(), why };
    let old = match place.exists() {
        true => read_to_string(&place, LONGEST_LIST)?,
        false => HEAD.to_owned(),
    };
    let mut list: DocumentMut = old.parse().map_err(|error| fault(format!("{error}")))?;
    let entries = list.entry("withdrawn").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let entries = entries
        .as_array_of_tables_mut()
        .ok_or_else(|| fault("`withdrawn` is no list of tables".to_owned()))?;
    entries.push(entry(what, grounds));
    let list = list.to_string();
    if list.len() as u64 > LONGEST_LIST {
        return Err(fault(format!("it would be longer than {LONGEST_LIST} bytes")));
    }
    let manifest = manifest(tree, reference, kind, &path)?;
    write_atomically(&place, list.as_bytes())?;
    if manifest != tree.manifest_text() {
        write_atomically(&tree.root().join(MANIFEST_NAME), manifest.as_bytes())?;
    }
    Ok(place)
}

fn entry(what: &Written, grounds: &Grounds) -> Table {
    let mut table = Table::new();
    match what {
        Written::Match(text) => table["match"] = value(text.as_str()),
        Written::Records(digests) => {
            let mut records: Array = digests.iter().map(ToString::to_string).collect();
            for record in records.iter_mut() {
                record.decor_mut().set_prefix("\n    ");
            }
            records.set_trailing("\n");
            records.set_trailing_comma(true);
            table["records"] = value(records);
        }
    }
    table["reason"] = value(grounds.reason.as_str());
    if let Some(reference) = &grounds.reference {
        table["reference"] = value(reference.as_str());
    }
    table["date"] = value(grounds.date.as_str());
    table
}

/// The manifest with the list named in it; everything else stays as it is written.
fn manifest(
    tree: &SourceTree,
    reference: &DataReference,
    kind: RecordKind,
    path: &str,
) -> Result<String> {
    let fault = |why: String| Error::Edit { file: MANIFEST_NAME.to_owned(), why };
    let text = tree.manifest_text();
    let mut document: DocumentMut = text.parse().map_err(|error| fault(format!("{error}")))?;
    let is_it = |table: &dyn TableLike| {
        table.get("name").and_then(Item::as_str) == Some(reference.name.as_str())
    };
    let mut done = false;
    match document.get_mut("data") {
        Some(Item::ArrayOfTables(tables)) => {
            for table in tables.iter_mut().filter(|table| is_it(*table)) {
                done = name_list(table, kind, path);
            }
        }
        Some(Item::Value(Value::Array(tables))) => {
            let tables = tables.iter_mut().filter_map(Value::as_inline_table_mut);
            for table in tables.filter(|table| is_it(*table)) {
                done = name_list(table, kind, path);
            }
        }
        _ => {}
    }
    if !done {
        let name = &reference.name;
        return Err(fault(format!("`exclude` of `{name}` cannot be added to")));
    }
    let text = document.to_string();
    Manifest::parse(&text, MANIFEST_NAME).map_err(|problems| fault(format!("{problems}")))?;
    Ok(text)
}

/// Names the list in one data reference; says whether that was possible.
fn name_list(table: &mut dyn TableLike, kind: RecordKind, path: &str) -> bool {
    if table.get("records").is_none() {
        table.insert("records", value(kind.as_str()));
    }
    match table.get_mut("exclude") {
        None => {
            let list: Array = [path].into_iter().collect();
            table.insert("exclude", value(list));
            true
        }
        Some(Item::Value(Value::Array(list))) => {
            if list.iter().all(|known| known.as_str() != Some(path)) {
                list.push(path);
            }
            true
        }
        Some(_) => false,
    }
}
