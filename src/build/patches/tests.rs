//! What is made applies, what does not fit is refused with its place, and nothing panics.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::explain::Explain as _;
use crate::package::IndexedFile;

fn path(text: &str) -> PackagePath {
    text.parse().unwrap()
}

type Files = BTreeMap<PackagePath, Contents>;

/// A folder with files, and their list.
fn folder(files: &Files) -> (tempfile::TempDir, Vec<IndexedFile>) {
    let folder = tempfile::tempdir().unwrap();
    for (path, contents) in files {
        apply::put(folder.path(), path, contents).unwrap();
    }
    let listed = files.iter().map(|(path, contents)| contents.indexed(path)).collect();
    (folder, listed)
}

fn plain(text: &str) -> Contents {
    Contents { bytes: text.as_bytes().to_vec(), mode: FileMode::Plain }
}

fn one(text: &str) -> Files {
    [(path("a.txt"), plain(text))].into()
}

fn apply_to(files: &Files, patch: &str) -> Result<Overlay> {
    let patch = Patch::parse(&path("p.patch"), patch)?;
    let (folder, listed) = folder(files);
    Overlay::of(Base { root: folder.path(), files: &listed }, &[patch])
}

/// The patch that turns `before` into `after`.
fn made(before: &Files, after: &Files) -> String {
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let parts = paths.into_iter();
    parts.map(|path| difference(path, before.get(path), after.get(path)).unwrap()).collect()
}

fn files() -> impl Strategy<Value = Files> {
    let name = prop::sample::select(vec!["a.py", "b/c.txt", "b/d e.md", "x/y/\u{e9}.toml"]);
    let line = prop::sample::select(vec![
        "",
        "x",
        "same",
        "y\r",
        "--- a/b",
        "+++ b/c",
        "@@ -1 +1 @@",
        "\u{e9}",
    ]);
    let text = (prop::collection::vec(line, 0..14), any::<bool>()).prop_map(|(lines, ends)| {
        let mut text = lines.join("\n");
        if ends && !text.is_empty() {
            text.push('\n');
        }
        text
    });
    let mode = prop::sample::select(vec![FileMode::Plain, FileMode::Executable]);
    let contents =
        (text, mode).prop_map(|(text, mode)| Contents { bytes: text.into_bytes(), mode });
    prop::collection::btree_map(name.prop_map(path), contents, 0..4)
}

proptest! {
    #[test]
    fn what_is_made_applies_and_makes_the_changed_tree(before in files(), after in files()) {
        let text = made(&before, &after);
        prop_assume!(!text.is_empty());
        let header = Header { description: "A\n\nlong text".to_owned(), ..Header::default() };
        let overlay = apply_to(&before, &format!("{}{text}", header.to_text())).unwrap();
        let mut found = before;
        for (path, contents) in overlay.files {
            match contents {
                Some(contents) => found.insert(path, contents),
                None => found.remove(&path),
            };
        }
        prop_assert_eq!(found, after);
    }

    #[test]
    fn no_text_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "diff --git a/x b/x", "--- a/x", "+++ b/x", "--- /dev/null", "+++ /dev/null", "@@ -1,2 +1 @@", "@@ -0,0 +9 @@",
                "@@ -999999999,999999999 +1 @@", "@@ -a +b @@", " x", "-x", "+x", "\\ No newline", "new file mode 100644",
                "deleted file mode 100755", "new mode 120000", "Kind: code", "Kind: x", "", "-- ", "\"a/\\303\\251\"", "+++ \"b/\\", "é",
            ]),
            0..12,
        ),
    ) {
        let text = words.join("\n");
        let _ = apply_to(&one("x\ny\n"), &text);
        let _ = Series::parse(&text);
    }
}

#[test]
fn a_hunk_that_does_not_fit_is_named_with_its_place() {
    let patch =
        "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+ONE\n@@ -3,2 +3,2 @@\n three\n-four\n+4\n";
    let error = apply_to(&one("one\ntwo\nthree\nfive\n"), patch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hunk 2 of patches/p.patch does not apply to a.txt at line 4: it expects \"four\" and finds \"five\""
    );
    assert_eq!(error.hint(), None);
    // No fuzz, and no offset: where it would fit is said, and that is all.
    let moved = apply_to(&one("one\ntwo\n\nthree\nfour\n"), patch).unwrap_err();
    assert!(moved.hint().unwrap().contains("stand at line 4"), "{moved}");
    let again = apply_to(&one("one\ntwo\nthree\n4\n"), patch).unwrap_err();
    assert!(again.hint().unwrap().contains("has this change already"), "{again}");
    let end = apply_to(&one("one\ntwo\nthree\nfour"), patch).unwrap_err();
    assert!(end.to_string().contains("finds \"four\" without a line end"), "{end}");
}

#[test]
fn bad_patches_are_refused_with_the_line() {
    for (text, expected) in [
        ("Description: x\n", "p.patch:1: it changes no file"),
        ("Kind: cod\n", "p.patch:1: there is no kind \"cod\"; did you mean code?"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-x\n", "p.patch:3: the patch ends within this hunk"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n-y\n+z\n", "more lines than its heading says"),
        (
            "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-x\n@@ -1 +1 @@\n",
            "p.patch:5: the hunk has fewer lines",
        ),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n+z\n", "p.patch:6: this line is part of no hunk"),
        ("--- a/x\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n", "it renames x to y"),
        ("--- x\n+++ x\n@@ -1 +1 @@\n-x\n+y\n", "is not below a folder"),
        ("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-x\n+y\n", "it has a part \".\" or \"..\""),
        ("--- a//etc/x\n+++ b//etc/x\n@@ -1 +1 @@\n-x\n+y\n", "it is absolute"),
        (
            "diff --git a/x b/x\nGIT binary patch\nliteral 0\n",
            "p.patch:2: it changes a binary file",
        ),
        ("diff --git a/x b/x\nnew file mode 120000\n", "the mode 120000"),
        ("diff --git a/x b/y\nsimilarity index 90%\nrename from x\n", "git diff --no-renames"),
        (
            "diff --git a/x b/x\nold mode 100644\nnew mode 100755\ndiff --git a/x b/x\nnew mode 100755\n",
            "x is changed twice",
        ),
        (
            "--- a/x\n+++ b/x\n@@ -3 +3 @@\n-x\n+y\n@@ -1 +1 @@\n-x\n+y\n",
            "begins before the hunk above it ends",
        ),
    ] {
        let error = Patch::parse(&path("p.patch"), text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    for (text, expected) in [
        ("a.patch\na.patch\n", "series:2: a.patch is listed twice"),
        ("../a.patch\n", "series:1:"),
        ("a.patch -R\n", "no option but -p1"),
        ("series\n", "the list is no patch"),
    ] {
        let error = Series::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert_eq!(Series::parse("# x\na.patch -p1\n\nb # y\n").unwrap().to_text(), "a.patch\nb\n");
}

#[test]
fn files_come_and_go_only_where_they_should() {
    let add = "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+x\n";
    let error = apply_to(&one("x\n"), add).unwrap_err().to_string();
    assert!(error.ends_with("a.txt is there already"), "{error}");
    let gone = "--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
    assert_eq!(apply_to(&one("x\n"), gone).unwrap().files[&path("a.txt")], None);
    let error = apply_to(&one("x\ny\n"), gone).unwrap_err().to_string();
    assert!(error.contains("more lines than the patch names"), "{error}");
    let error = apply_to(&Files::new(), gone).unwrap_err().to_string();
    assert!(error.ends_with("a.txt is not there"), "{error}");
}

#[test]
fn headers_are_those_of_dep_3() {
    let header = Header {
        description: "Learned positions\nin place of rotary ones.\n\nThey were used before."
            .to_owned(),
        kind: Some(PatchKind::Architecture),
        author: Some("A <a@example.org>".to_owned()),
        date: Some("2026-11-26".to_owned()),
        forwarded: Forwarded::NotNeeded,
    };
    let text = header.to_text();
    assert_eq!(
        text,
        "Description: Learned positions\n in place of rotary ones.\n .\n They were used before.\nKind: \
         architecture\nAuthor: A <a@example.org>\nLast-Update: 2026-11-26\nForwarded: not-needed\n---\n"
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(Header::parse(&lines).unwrap(), header);
    let mail = ["From: B <b@example.org>", "Subject: A fix", "Bug: x", "", "words"];
    let mail = Header::parse(&mail).unwrap();
    assert_eq!((mail.summary(), mail.author.as_deref()), ("A fix", Some("B <b@example.org>")));
}

#[test]
fn binary_files_are_refused() {
    let binary = Contents { bytes: b"a\0b".to_vec(), mode: FileMode::Plain };
    let error = difference(&path("x"), None, Some(&binary)).unwrap_err();
    assert_eq!(error.to_string(), "x is no text, and a patch holds text alone");
}
