//! The index against a search that looks everywhere.

use proptest::prelude::*;

use super::*;
use crate::progress::Silent;

/// An index of `documents` in a folder of its own, in order.
fn index(
    documents: &[Vec<u8>],
    sizes: Sizes,
    whitespace: Whitespace,
) -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let path = format!("{number}.txt");
            let file = folder.path().join(&path);
            crate::fs::write_atomically(&file, text).unwrap();
            Document { path, file }
        })
        .collect();
    let place = folder.path().join("index");
    let index = Index::build(&place, &documents, sizes, &Silent).unwrap();
    assert!(!index.is_ordered(whitespace) || index.bytes() == 0);
    index.put_in_order(whitespace, &Silent).unwrap();
    assert_eq!(Index::open(&place).unwrap(), Some(index.clone()));
    (folder, index)
}

fn contains(text: &[u8], passage: &[u8]) -> bool {
    text.windows(passage.len()).any(|window| window == passage)
}

/// What [`Index::passages`] should find.
fn naive(documents: &[Vec<u8>], text: &[u8], shortest: usize) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for start in 0..text.len() {
        let stands = |end: &usize| {
            let passage = &text[start..*end];
            !passage.contains(&END) && documents.iter().any(|text| contains(text, passage))
        };
        let longest = (start + 1..=text.len()).take_while(stands).last().unwrap_or(start);
        if longest - start >= shortest {
            found.push(start..longest);
        }
    }
    outermost(found)
}

/// Text of few letters, so that passages come back; with bytes that are special here.
fn text(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![
        6 => Just(b'a'), 6 => Just(b'b'), 2 => Just(b' '), 1 => Just(b'\n'), 1 => Just(b'\t'),
        1 => Just(0xc3_u8), 1 => Just(0xff_u8), 1 => Just(1_u8)
    ];
    prop::collection::vec(letter, 0..longest)
}

/// Shards so short that documents are cut.
const SHORT: Sizes = Sizes { shard: 200, overlap: 60 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_is_there(
        documents in prop::collection::vec(text(700), 0..4),
        wanted in text(60),
        shortest in 8_usize..20,
    ) {
        let (_folder, index) = index(&documents, SHORT, Whitespace::Exact);
        let found = index.passages(&wanted, shortest, Whitespace::Exact).unwrap();
        prop_assert_eq!(found, naive(&documents, &wanted, shortest));
    }

    #[test]
    fn folded_text_is_found_folded(
        documents in prop::collection::vec(text(400), 0..4),
        wanted in text(60),
    ) {
        // Cuts are left out: where one falls into a run of whitespace, its pieces differ.
        let (_folder, index) = index(&documents, Sizes::default(), Whitespace::Folded);
        let fold = |text: &Vec<u8>| fold(text, Whitespace::Folded).0;
        let documents: Vec<Vec<u8>> = documents.iter().map(fold).collect();
        let wanted = fold(&wanted);
        let found = index.passages(&wanted, 8, Whitespace::Folded).unwrap();
        prop_assert_eq!(found, naive(&documents, &wanted, 8));
    }

    #[test]
    fn places_are_where_they_say(
        documents in prop::collection::vec(text(500), 1..4),
        start in 0_usize..400,
    ) {
        let (_folder, index) = index(&documents, SHORT, Whitespace::Exact);
        let Some(passage) = documents[0].get(start..start + 8) else { return Ok(()) };
        prop_assume!(!passage.contains(&END));
        let places = index.places(passage, Whitespace::Exact, 10).unwrap();
        prop_assert!(places.occurrences >= 1);
        for place in &places.places {
            let number: usize = place.path.trim_end_matches(".txt").parse().unwrap();
            let offset = usize::try_from(place.offset).unwrap();
            prop_assert_eq!(&documents[number][offset..offset + 8], passage);
            let lines = documents[number][..offset].split(|byte| *byte == b'\n').count();
            prop_assert_eq!(place.line, lines as u64);
        }
    }
}

#[test]
fn a_passage_is_found_across_the_cut_of_a_document() {
    let text: Vec<u8> =
        (0..40_u32).flat_map(|number| format!("{number:09}\n").into_bytes()).collect();
    let (_folder, index) = index(std::slice::from_ref(&text), SHORT, Whitespace::Exact);
    for start in 0..text.len() - 60 {
        let passage = &text[start..start + 60];
        let found = index.passages(passage, 60, Whitespace::Exact).unwrap();
        assert_eq!(found.len(), 1, "{start}");
        let places = index.places(passage, Whitespace::Exact, 1).unwrap();
        assert_eq!(places.places[0].offset, start as u64);
        assert_eq!(places.places[0].line, start as u64 / 10 + 1);
    }
}

#[test]
fn words_around_are_whole() {
    let text = b"one two three four five six seven eight nine ten eleven twelve thirteen fourteen \
        the very passage that is looked for one two three"
        .to_vec();
    let (_folder, index) = index(&[text], Sizes::default(), Whitespace::Folded);
    let places = index.places(b"passage that is", Whitespace::Folded, 3).unwrap();
    let place = &places.places[0];
    assert!(place.before.starts_with("five six"), "{place:?}");
    assert_eq!(place.after, " looked for one two three");
    assert_eq!(place.line, 1);
}

#[test]
fn compressed_text_is_read_and_other_things_are_passed_over() {
    use std::io::Write as _;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"compressed words").unwrap();
    let zstd = zstd::encode_all(&b"more such words"[..], 1).unwrap();
    let documents = [gz.finish().unwrap(), zstd, b"\x7fELF\0\0\0".to_vec(), b"plain".to_vec()];
    let (_folder, index) = index(&documents, Sizes::default(), Whitespace::Exact);
    assert_eq!((index.documents(), index.others()), (3, 1));
    let found = index.passages(b"of compressed words", 8, Whitespace::Exact).unwrap();
    assert_eq!(found.first(), Some(&(3..19)));
    let found = index.places(b"more such words", Whitespace::Exact, 3).unwrap();
    assert_eq!(found.places[0].path, "1.txt");
}

#[test]
fn a_damaged_index_says_so() {
    let (folder, index) =
        index(&[b"some text that is here".to_vec()], Sizes::default(), Whitespace::Exact);
    let place = folder.path().join("index");
    crate::fs::write_atomically(&place.join("0000.exact.keys"), b"short").unwrap();
    let error = index.passages(b"text that is here", 8, Whitespace::Exact).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    crate::fs::write_atomically(&place.join("0000.exact.keys"), &[0xff; 8]).unwrap();
    crate::fs::write_atomically(&place.join("0000.exact.order"), &[0xff; 23 * 4]).unwrap();
    // Nonsense of the right size is found nowhere, and ends nothing.
    assert!(index.passages(b"text that is here", 8, Whitespace::Exact).unwrap().is_empty());
    crate::fs::write_atomically(&place.join("0000.text"), b"cut").unwrap();
    assert!(Index::open(&place).unwrap_err().to_string().contains("has 3 bytes and not 23"));
}
