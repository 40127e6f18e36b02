//! What is said where there is no answer: whole messages with their hints.

#![allow(clippy::needless_raw_string_hashes, reason = "snapbox writes its snapshots with them")]

use snapbox::{assert_data_eq, str};

use super::*;
use crate::explain::Explain as _;

/// The message and the hint for a request that has no answer.
fn said(request: &Request, all: Vec<Candidate>) -> String {
    let universe = Universe::of(request, all);
    let error = resolve(&universe, request).expect_err("there is no answer");
    let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    format!("{error}\n{hint}")
}

fn asking(wishes: &[&str], all: Vec<Candidate>) -> String {
    said(&request(wishes), all)
}

fn yanked(mut candidate: Candidate, reason: &str) -> Candidate {
    candidate.yanked = Some(reason.to_owned());
    candidate
}

fn conflicting(mut candidate: Candidate, name: &str) -> Candidate {
    candidate.conflicts = vec![name.parse().unwrap()];
    candidate
}

fn providing(mut candidate: Candidate, name: &str) -> Candidate {
    candidate.provides = vec![name.parse().unwrap()];
    candidate
}

fn lib(versions: &[&str]) -> Vec<Candidate> {
    versions.iter().map(|version| candidate("lib", version, &[])).collect()
}

#[test]
fn a_version_that_does_not_exist() {
    assert_data_eq!(
        asking(&["lib@^3"], lib(&["1.0.0", "2.0.0", "2.1.0"])),
        str![[r#"
you ask for lib ^3, and there is only 2.1.0, 2.0.0 and 1.0.0
hint: see what there is with: mpkg info lib

"#]]
    );
}

#[test]
fn more_versions_than_a_sentence_takes() {
    let many = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0"];
    assert_data_eq!(
        asking(&["lib@^3"], lib(&many)),
        str![[r#"
you ask for lib ^3, and there is only 1.7.0, 1.6.0, 1.5.0, 1.4.0, 1.3.0, 1.2.0 and 2 more
hint: see what there is with: mpkg info lib

"#]]
    );
}

#[test]
fn a_dependency_that_nobody_has() {
    assert_data_eq!(
        asking(&["app"], vec![candidate("app", "1.0.0", &["gone@^1"])]),
        str![[r#"
no releases fit together:
  - you ask for app
  - app 1.0.0 needs gone ^1, and no package is called gone
hint: look for it with: mpkg search gone

"#]]
    );
}

#[test]
fn only_a_prerelease_would_do() {
    assert_data_eq!(
        asking(&["lib@^2"], lib(&["1.0.0", "2.0.0-rc.1"])),
        str![[r#"
you ask for lib ^2, and only a pre-release fits: 2.0.0-rc.1
hint: pre-releases are taken only when they are asked for: lib@=2.0.0-rc.1

"#]]
    );
}

#[test]
fn a_variant_that_does_not_exist() {
    let all = vec![
        candidate("lm", "1.0.0", &[]),
        variant(candidate("lm", "1.0.0", &[]), "q8_0"),
        candidate("lm", "2.0.0", &[]),
    ];
    assert_data_eq!(
        asking(&["lm@^1:bf16"], all),
        str![[r#"
you ask for lm ^1 in variant bf16, and its variants are f32 and q8_0
hint: ask for it as lm:f32

"#]]
    );
}

#[test]
fn only_a_withdrawn_release_would_do() {
    let all =
        vec![candidate("lib", "1.0.0", &[]), yanked(candidate("lib", "2.0.0", &[]), "leaks\u{7}")];
    assert_data_eq!(
        asking(&["lib@^2"], all),
        str![[r#"
no releases fit together:
  - you ask for lib ^2
  - lib 2.0.0 (f32) may not be chosen: it was yanked: leaks/u{7}
hint: a withdrawn release is taken only where it is installed already or a lock file pins it

"#]]
    );
}

#[test]
fn two_packages_need_versions_that_differ() {
    let mut all = lib(&["1.0.0", "2.0.0"]);
    all.push(candidate("one", "1.0.0", &["lib@^1"]));
    all.push(candidate("two", "1.0.0", &["lib@^2"]));
    assert_data_eq!(
        asking(&["one", "two"], all),
        str![[r#"
no releases fit together:
  - you ask for one
  - you ask for two
  - one 1.0.0 needs lib ^1
  - two 1.0.0 needs lib ^2

"#]]
    );
}

#[test]
fn the_wish_and_a_dependency_differ() {
    let mut all = lib(&["1.0.0", "2.0.0"]);
    all.push(candidate("app", "1.0.0", &["lib@^1"]));
    all.push(candidate("app", "1.1.0", &["lib@^1"]));
    assert_data_eq!(
        asking(&["app", "lib@^2"], all),
        str![[r#"
no releases fit together:
  - you ask for app
  - you ask for lib ^2
  - app 1.0.0 and 1.1.0 need lib ^1

"#]]
    );
}

#[test]
fn two_wishes_for_one_name_differ() {
    assert_data_eq!(
        asking(&["lib@^1", "lib@^2"], lib(&["1.0.0", "2.0.0"])),
        str![[r#"
no releases fit together:
  - you ask for lib ^1
  - you ask for lib ^2

"#]]
    );
}

#[test]
fn a_conflict_by_name() {
    let all =
        vec![conflicting(candidate("new", "1.0.0", &[]), "old"), candidate("old", "0.9.0", &[])];
    assert_data_eq!(
        asking(&["new", "old"], all),
        str![[r#"
no releases fit together:
  - you ask for new
  - you ask for old
  - new 1.0.0 cannot be installed beside old 0.9.0
hint: remove one of them first with: mpkg remove

"#]]
    );
}

#[test]
fn a_conflict_with_what_a_package_provides() {
    let all = vec![
        providing(candidate("one", "1.0.0", &[]), "generator"),
        conflicting(providing(candidate("two", "1.0.0", &[]), "generator"), "generator"),
    ];
    assert_data_eq!(
        asking(&["one", "two"], all),
        str![[r#"
no releases fit together:
  - you ask for one
  - you ask for two
  - two 1.0.0 cannot be installed beside one 1.0.0
hint: remove one of them first with: mpkg remove

"#]]
    );
}

#[test]
fn a_provided_name_has_no_version() {
    let all = vec![
        providing(candidate("one", "1.0.0", &[]), "generator"),
        candidate("app", "1.0.0", &["generator@^1"]),
    ];
    assert_data_eq!(
        asking(&["app"], all),
        str![[r#"
no releases fit together:
  - you ask for app
  - app 1.0.0 needs generator ^1, and that name is only provided, by one, which gives it no version and no variant
hint: ask for the package itself: one

"#]]
    );
}

#[test]
fn two_variants_of_one_release() {
    let all = vec![
        candidate("base", "1.0.0", &[]),
        variant(candidate("base", "1.0.0", &[]), "q8_0"),
        candidate("full", "1.0.0", &["base@*:f32"]),
        candidate("small", "1.0.0", &["base@*:q8_0"]),
    ];
    assert_data_eq!(
        asking(&["full", "small"], all),
        str![[r#"
no releases fit together:
  - you ask for full
  - you ask for small
  - full 1.0.0 needs base in variant f32
  - small 1.0.0 needs base in variant q8_0

"#]]
    );
}

#[test]
fn the_lock_file_pins_another() {
    let mut locked = request(&["lib@^2"]);
    locked.locked.insert("lib".parse().unwrap(), Digest::of(b"lib 1.0.0 f32"));
    assert_data_eq!(
        said(&locked, lib(&["1.0.0", "2.0.0"])),
        str![[r#"
no releases fit together:
  - you ask for lib ^2
  - lib 2.0.0 (f32) may not be chosen: the lock file pins another one (920cd1a9d1b7)
hint: let the lock file be written anew, without --locked

"#]]
    );
}

#[test]
fn the_lock_file_pins_what_is_no_more() {
    let mut locked = request(&["lib"]);
    locked.locked.insert("lib".parse().unwrap(), Digest::of(b"gone"));
    assert_data_eq!(
        said(&locked, lib(&["1.0.0"])),
        str![[r#"
no releases fit together:
  - you ask for lib
  - lib 1.0.0 (f32) may not be chosen: the lock file pins another one (283bb9deef02)
hint: let the lock file be written anew, without --locked

"#]]
    );
}

#[test]
fn a_variant_that_nobody_asks_for() {
    // `lora` could ask for the small variant, but nobody asks for `lora`.
    let all = vec![
        candidate("base", "1.0.0", &["gone"]),
        variant(candidate("base", "1.0.0", &[]), "q8_0"),
        candidate("lora", "1.0.0", &["base@*:q8_0"]),
        candidate("app", "1.0.0", &["base"]),
    ];
    assert_data_eq!(
        asking(&["app"], all),
        str![[r#"
base 1.0.0 (q8_0) may not be chosen: it is not the default variant and nobody asks for it
hint: ask for it by name: base:q8_0

"#]]
    );
}

#[test]
fn a_long_way_down() {
    let mut all = lib(&["1.0.0"]);
    all.push(candidate("a", "1.0.0", &["b@^1"]));
    all.push(candidate("b", "1.0.0", &["c"]));
    all.push(candidate("b", "1.1.0", &["c"]));
    all.push(candidate("c", "1.0.0", &["lib@^2"]));
    assert_data_eq!(
        asking(&["a"], all),
        str![[r#"
no releases fit together:
  - you ask for a
  - a 1.0.0 needs b ^1
  - b 1.0.0 and 1.1.0 need c
  - c 1.0.0 needs lib ^2, and there is only 1.0.0
hint: see what there is with: mpkg info lib

"#]]
    );
}
