//! Makes the part of a patch that is about one file.

use std::fmt::Write as _;

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::{Contents, Error, LONGEST_FILE, Result};
use crate::package::{FileMode, PackagePath};

/// How many lines that stay as they are stand around those that change.
const AROUND: usize = 3;
/// With more lines than this between what both have in common at the ends, the difference is one
/// block: looking for a smaller one could take hours.
const MOST_LINES: usize = 40_000;

/// What turns `before` into `after`, as git writes it; empty where they are the same.
///
/// # Errors
/// When one is no text or too long.
pub fn difference(
    path: &PackagePath,
    before: Option<&Contents>,
    after: Option<&Contents>,
) -> Result<String> {
    if before == after {
        return Ok(String::new());
    }
    let (old, new) = (text(path, before)?, text(path, after)?);
    let mut patch = format!("diff --git a/{path} b/{path}\n");
    match (before.map(|it| it.mode), after.map(|it| it.mode)) {
        (None, Some(mode)) => {
            let _ = writeln!(patch, "new file mode {}", octal(mode));
        }
        (Some(mode), None) => {
            let _ = writeln!(patch, "deleted file mode {}", octal(mode));
        }
        (Some(old), Some(new)) if old != new => {
            let _ = writeln!(patch, "old mode {}\nnew mode {}", octal(old), octal(new));
        }
        _ => {}
    }
    if old == new {
        return Ok(patch);
    }
    let side = |prefix, there: bool| match there {
        // As git does, a tab ends a name with blanks in it.
        true if path.as_str().contains(' ') => format!("{prefix}/{path}\t"),
        true => format!("{prefix}/{path}"),
        false => "/dev/null".to_owned(),
    };
    let (from, to) = (side("a", before.is_some()), side("b", after.is_some()));
    let _ = write!(patch, "--- {from}\n+++ {to}\n");
    hunks(&mut patch, old, new);
    Ok(patch)
}

fn octal(mode: FileMode) -> &'static str {
    match mode {
        FileMode::Plain => "100644",
        FileMode::Executable => "100755",
    }
}

fn text<'a>(path: &PackagePath, contents: Option<&'a Contents>) -> Result<&'a str> {
    let Some(contents) = contents else { return Ok("") };
    if contents.bytes.len() as u64 > LONGEST_FILE {
        return Err(Error::LongFile { path: path.clone() });
    }
    match std::str::from_utf8(&contents.bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Error::Binary { path: path.clone() }),
    }
}

fn hunks(patch: &mut String, old: &str, new: &str) {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    for group in group_diff_ops(operations(&old, &new), AROUND) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (before, after) = (
            first.old_range().start..last.old_range().end,
            first.new_range().start..last.new_range().end,
        );
        let _ = writeln!(patch, "@@ -{} +{} @@", range(&before), range(&after));
        for operation in &group {
            let (before, after) = (&old[operation.old_range()], &new[operation.new_range()]);
            if let DiffOp::Equal { .. } = operation {
                lines(patch, ' ', before);
            } else {
                lines(patch, '-', before);
                lines(patch, '+', after);
            }
        }
    }
}

fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let start = old.iter().zip(new).take_while(same).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    let (old_middle, new_middle) = (old.len() - start - end, new.len() - start - end);
    if old_middle + new_middle <= MOST_LINES {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let block = DiffOp::Replace {
        old_index: start,
        old_len: old_middle,
        new_index: start,
        new_len: new_middle,
    };
    let equal = |old_index, new_index, len| DiffOp::Equal { old_index, new_index, len };
    let all = [equal(0, 0, start), block, equal(old.len() - end, new.len() - end, end)];
    all.into_iter().filter(|it| !(it.old_range().is_empty() && it.new_range().is_empty())).collect()
}

/// The place of a hunk in one of the files, as its heading writes it.
fn range(lines: &std::ops::Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        length => format!("{},{length}", lines.start + 1),
    }
}

fn lines(patch: &mut String, sign: char, lines: &[&str]) {
    for text in lines {
        patch.push(sign);
        patch.push_str(text);
        if !text.ends_with('\n') {
            patch.push_str("\n\\ No newline at end of file\n");
        }
    }
}
