//! Hostile packages (cases 16 to 29 of the forty): each is refused by name.

use mpkg::archive::Package;
use mpkg::package::Digest;
use mpkg::progress::Silent;

use crate::support::World;
use crate::support::hostile::{
    BLOCK, Frame, Header, Parts, entry, index, record, seal, seal_header, skippable,
};
use crate::support::refusal::refused;

fn sha(contents: &[u8]) -> String {
    Digest::of(contents).to_string()
}

fn plain(path: &str, contents: &[u8]) -> String {
    entry(path, contents.len() as u64, "0644", &sha(contents))
}

fn sound() -> Parts {
    Parts::of(&[("README.md", b"# Good\n"), ("data/a.txt", &[b'a'; 3000]), ("empty", b"")])
}

#[test]
fn the_test_writer_writes_sound_packages() {
    let world = World::new();
    world.write("good.mpkg", sound().seal());
    let finished = world.run(["files", "good.mpkg"]).succeeds();
    assert_eq!(finished.stdout, "README.md\ndata/a.txt\nempty\n");
    world.run(["verify", "--contents-only", "good.mpkg"]).succeeds();
    let json = world.run(["--json", "files", "good.mpkg"]).succeeds().json();
    assert_eq!(json["files"][1]["path"], "data/a.txt");
    assert_eq!(json["files"][1]["sha256"], sha(&[b'a'; 3000]));
}

#[test]
fn case_16_path_escapes() {
    let nasty =
        ["../x", "/x", "C:\\x", "C:x", "a//b", "./x", "a/../b", "..", ".", "", "a/", "a\\b"];
    for path in nasty {
        let members = record(&Header::file(path, 1), b"x");
        let package = Parts::listing(&[plain(path, b"x")], members);
        refused(&package.seal(), &["the package index cannot be read", "not a path"]);
        // The same name in the tar alone.
        let members = record(&Header::file(path, 1), b"x");
        let package = Parts::listing(&[plain("x", b"x")], members);
        refused(&package.seal(), &["the tar header of \"x\" is not in canonical form"]);
    }
    let escape = plain("a\u{1b}[31m", b"x").replace('\u{1b}', "\\u001b");
    let package = Parts::listing(&[escape], record(&Header::file("a", 1), b"x"));
    refused(&package.seal(), &["\\u{1b}"]);
}

#[test]
fn case_17_a_link_and_a_file_through_it() {
    let link = Header { kind: b'2', link: "../outside".into(), ..Header::file("link", 0) };
    let through = record(&Header::file("link/file", 1), b"x");
    let members = [record(&link, b""), through.clone()].concat();
    for listed in [vec![plain("link/file", b"x")], vec![plain("link", b"")]] {
        refused(&Parts::listing(&listed, members.clone()).seal(), &["its contents are"]);
    }
    let both = [plain("link", b""), plain("link/file", b"x")];
    refused(&Parts::listing(&both, members).seal(), &["one is a file and the other a folder"]);
    let package = Parts::listing(&[plain("link", b"")], record(&link, b""));
    refused(&package.seal(), &["its type differs"]);
}

#[test]
fn case_18_a_hard_link_outside() {
    let link = Header { kind: b'1', link: "/etc/passwd".into(), ..Header::file("file", 0) };
    let package = Parts::listing(&[plain("file", b"")], record(&link, b""));
    refused(&package.seal(), &["its type differs"]);
    let named = Header { kind: b'0', ..link };
    let package = Parts::listing(&[plain("file", b"")], record(&named, b""));
    refused(&package.seal(), &["its link name differs"]);
}

fn pax(kind: u8, lines: &str) -> Vec<u8> {
    let header = Header { kind, ..Header::file("PaxHeaders/file", lines.len() as u64) };
    record(&header, lines.as_bytes())
}

#[test]
fn case_19_a_pax_size_against_the_header() {
    for (stated, real) in [(1, 1000), (1000, 1)] {
        let contents = vec![b'x'; real];
        let member = record(&Header::file("file", stated), &contents);
        let members = [pax(b'x', &format!("13 size={real:04}\n")), member].concat();
        let package = Parts::listing(&[plain("file", &contents)], members.clone());
        refused(&package.seal(), &["its contents are"]);
        // The index accounts for the pax header as a file of its own.
        let listed = [plain("PaxHeaders/file", b"13 size=1000\n"), plain("file", &contents)];
        refused(&Parts::listing(&listed, members).seal(), &["error: "]);
    }
}

#[test]
fn case_20_malformed_and_global_pax_and_long_names() {
    for (kind, lines) in [(b'x', "999999999 path=x\n"), (b'g', "12 path=../x\n"), (b'x', "\0\0")] {
        let members = [pax(kind, lines), record(&Header::file("file", 1), b"x")].concat();
        let listed = [plain("PaxHeaders/file", lines.as_bytes()), plain("file", b"x")];
        refused(&Parts::listing(&listed, members.clone()).seal(), &["its type differs"]);
        refused(&Parts::listing(&listed[1..], members).seal(), &["its contents are"]);
    }
    let name = vec![b'n'; 64 << 20];
    let header = Header { kind: b'L', ..Header::file("././@LongLink", 64 << 20) };
    let members = [record(&header, &name), record(&Header::file("file", 1), b"x")].concat();
    refused(&Parts::listing(&[plain("file", b"x")], members).seal(), &["its contents are"]);
}

#[test]
fn case_21_duplicates_and_twins() {
    for (first, second, why) in [
        ("a", "a", "does not come after"),
        ("b", "a", "does not come after"),
        ("p", "p/q", "one is a file and the other a folder"),
        ("A", "a", "differ only in case or Unicode form"),
        ("A/x", "a/y", "differ only in case or Unicode form"),
        ("\u{c9}", "\u{e9}", "differ only in case or Unicode form"),
        ("a", "\u{ff41}", "differ only in case or Unicode form"),
        ("a", "e\u{301}", "Unicode normal form C"),
        (".MPKG/x", "a", "differ only in case or Unicode form"),
        (".mpkg/index.json", "a", "they are the same"),
        (".mpkg/index.json/a", "b", "one is a file and the other a folder"),
    ] {
        let members = [first, second].map(|path| record(&Header::file(path, 1), b"x")).concat();
        let package = Parts::listing(&[plain(first, b"x"), plain(second, b"x")], members);
        refused(&package.seal(), &[why]);
    }
}

#[test]
fn case_22_devices_pipes_unknown_types_and_sparse_files() {
    for kind in [b'3', b'4', b'5', b'6', b'7', b'S', b'V', b'M', b'D', b'K', b'A', b'Z', 0, 0xff] {
        let header = Header { kind, ..Header::file("file", 0) };
        let package = Parts::listing(&[plain("file", b"")], record(&header, b""));
        refused(&package.seal(), &["its type differs"]);
    }
    for kind in [b'0', b'S'] {
        let header = Header { kind, ..Header::file("file", 8 << 40) };
        let listed = [entry("file", 8 << 40, "0644", &sha(b""))];
        refused(&Parts::listing(&listed, record(&header, b"")).seal(), &["its contents are"]);
    }
}

#[test]
fn case_23_other_modes() {
    for mode in [0o4755, 0o2755, 0o1777, 0o777, 0o666, 0o600, 0o755, 0] {
        let header = Header { mode, ..Header::file("file", 1) };
        let package = Parts::listing(&[plain("file", b"x")], record(&header, b"x"));
        refused(&package.seal(), &["its mode differs"]);
    }
    for mode in ["4755", "0777", "755", "", "0600"] {
        let listed = [entry("file", 1, mode, &sha(b"x"))];
        let members = record(&Header::file("file", 1), b"x");
        refused(&Parts::listing(&listed, members).seal(), &["the package index cannot be read"]);
    }
}

#[test]
fn case_24_impossible_sizes_truncation_and_bad_checksums() {
    let member = record(&Header::file("file", 1), b"x");
    let spoilt = |change: &dyn Fn(&mut [u8])| {
        let mut member = member.clone();
        change(&mut member[..BLOCK]);
        Parts::listing(&[plain("file", b"x")], member).seal()
    };
    let negative = spoilt(&|header| {
        header[124..136].fill(0xff);
        seal_header(header);
    });
    refused(&negative, &["its size differs"]);
    let base_256_below_8_gib = spoilt(&|header| {
        header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        seal_header(header);
    });
    refused(&base_256_below_8_gib, &["its size differs"]);
    refused(&spoilt(&|header| header[148] ^= 1), &["its checksum differs"]);
    for size in [u64::MAX, 8 << 60, 1 << 62] {
        let listed = [entry("file", size, "0644", &sha(b"x"))];
        let package = Parts::listing(&listed, member.clone()).seal();
        refused(&package, &["the sum of all sizes is"]);
    }
    let twice = [1_u64 << 61; 2].map(|size| entry("file", size, "0644", &sha(b"x")));
    refused(&Parts::listing(&twice, member.clone()).seal(), &["error: "]);
    let package = sound().seal();
    for length in (0..package.len()).step_by(97) {
        refused(&package[..length], &["is not a sound package"]);
    }
}

#[test]
fn case_25_bytes_after_the_end_no_end_and_padding() {
    let mut more = sound();
    more.trailer.extend([0; BLOCK]);
    refused(&more.seal(), &["its contents are"]);
    let mut none = sound();
    none.trailer.clear();
    refused(&none.seal(), &["its contents are"]);
    let mut full = sound();
    full.trailer[1023] = 1;
    refused(&full.seal(), &["the bytes after \"empty\" are not zero"]);
    let mut padded = sound();
    padded.members[BLOCK + 100] = b'x';
    refused(&padded.seal(), &["the bytes after \"README.md\" are not zero"]);
    let mut file = sound().seal();
    file.push(0);
    refused(&file, &["does not end in the tables of a package"]);
    let mut file = sound().seal();
    file.splice(0..0, skippable(0x184D_2A50, b"before"));
    refused(&file, &["its chunk table is wrong"]);
}

/// A frame of `size` zeros whose header declares `declared`: 0xA4 is a single segment with
/// a checksum and a four-byte content size.
fn lying(size: u32, declared: u32) -> Frame {
    let mut frame = Frame::of(&vec![0; size as usize]);
    assert_eq!(frame.bytes[4] & 0xC4, 0x84, "a four-byte content size");
    let at = if frame.bytes[4] & 0x20 == 0 { 6 } else { 5 };
    frame.bytes[at..at + 4].copy_from_slice(&declared.to_le_bytes());
    frame.size = declared;
    frame
}

#[test]
fn case_26_bombs() {
    let with = |bomb: Frame| {
        let mut frames = sound().frames();
        frames[1] = bomb;
        seal(&frames)
    };
    let real = u32::try_from(sound().members.len()).unwrap();
    refused(&with(lying(64 << 20, real)), &["frame 1 is wrong"]);
    refused(&with(lying(1 << 20, 8 << 20)), &["its contents are"]);
    refused(&with(lying(1 << 20, u32::MAX)), &["what a frame unpacks to is 4294967295"]);
    let mut hidden = lying(64 << 20, 64 << 20);
    hidden.size = real;
    refused(&with(hidden), &["declares another content size"]);
    let mut undeclared = Frame::of(&sound().members);
    undeclared.bytes = [&b"\x28\xB5\x2F\xFD\x04\x50"[..], &undeclared.bytes[7..]].concat();
    refused(&with(undeclared), &["does not declare its content size"]);
    let mut window = lying(1 << 20, real);
    window.bytes =
        [&b"\x28\xB5\x2F\xFD\x84\xA8"[..], &real.to_le_bytes(), &window.bytes[10..]].concat();
    refused(&with(window), &["its window is larger than 128 MiB"]);
    let long = vec![b' '; 65 << 20];
    let bomb = Parts { index: long, ..sound() };
    refused(&bomb.seal(), &["what a frame unpacks to"]);
}

#[test]
fn case_27_extra_missing_reordered_and_corrupted_frames() {
    let frames = sound().frames();
    let mut extra = frames.clone();
    extra.insert(1, Frame::of(&[0; 512]));
    refused(&seal(&extra), &["its contents are"]);
    refused(&seal(&[&frames[..1], &frames[2..]].concat()), &["its contents are"]);
    let mut reordered = frames.clone();
    reordered.swap(1, 2);
    refused(&seal(&reordered), &["the tar header of \"README.md\""]);
    let mut first = frames.clone();
    first.swap(0, 1);
    refused(&seal(&first), &["the tar header of \".mpkg/index.json\""]);
    let mut two_in_one = frames.clone();
    two_in_one[1].bytes.extend(Frame::of(&[]).bytes);
    refused(&seal(&two_in_one), &["error: "]);
    let mut skipped = frames.clone();
    let mut bytes = skippable(0x184D_2A50, b"");
    bytes.extend(&skipped[1].bytes);
    skipped[1].bytes = bytes;
    refused(&seal(&skipped), &["it is not a zstd frame"]);
    let mut digest = frames.clone();
    digest[1].sha256[0] ^= 1;
    refused(&seal(&digest), &["frame 1 has the digest", "the chunk table says"]);
    let mut checksum = frames.clone();
    let last = checksum[1].bytes.len() - 1;
    checksum[1].bytes[last] ^= 1;
    refused(&seal(&checksum), &["frame 1 is wrong"]);
    let mut unchecked = frames;
    unchecked[1].bytes[4] &= !4;
    refused(&seal(&unchecked), &["it has no checksum"]);
}

#[test]
fn case_27_every_flipped_bit_is_found() {
    let world = World::new();
    let package = sound().seal();
    for at in 0..package.len() {
        let mut flipped = package.clone();
        flipped[at] ^= 1 << (at % 8);
        let path = world.write("flipped.mpkg", &flipped);
        let read = Package::open(&path).and_then(|package| package.verify(&Silent));
        assert!(read.is_err(), "bit {} of byte {at}", at % 8);
    }
}

#[test]
fn case_28_members_and_the_index_differ() {
    let members = |paths: &[&str]| -> Vec<u8> {
        paths.iter().flat_map(|path| record(&Header::file(path, 1), b"x")).collect()
    };
    let listed = |paths: &[&str]| paths.iter().map(|path| plain(path, b"x")).collect::<Vec<_>>();
    let package = Parts::listing(&listed(&["a"]), members(&["a", "b"]));
    refused(&package.seal(), &["its contents are"]);
    let package = Parts::listing(&listed(&["a", "b"]), members(&["a"]));
    refused(&package.seal(), &["its contents are"]);
    let package = Parts::listing(&listed(&["a", "b"]), members(&["b", "a"]));
    refused(&package.seal(), &["the tar header of \"a\"", "its name differs"]);
    let package = Parts::listing(&[plain("a", b"y")], members(&["a"]));
    refused(&package.seal(), &["\"a\" has the digest", "where the index says"]);
    let mut loose = sound();
    loose.index.insert(1, b' ');
    refused(&loose.seal(), &["not in canonical form"]);
    let mut unknown = sound();
    unknown.index.splice(1..1, *b"\"extra\":1,");
    refused(&unknown.seal(), &["the package index cannot be read", "extra"]);
    let mut version = sound();
    version.index = String::from_utf8(version.index)
        .unwrap()
        .replace("\"format\":1", "\"format\":2")
        .into_bytes();
    refused(&version.seal(), &["its format is 2"]);
}

#[test]
fn case_29_very_many_very_long_and_very_deep() {
    let empty = sha(b"");
    let many: Vec<String> =
        (0..1_000_000).map(|number| entry(&format!("{number:07}"), 0, "0644", &empty)).collect();
    let bomb = Parts { index: index(&many), ..sound() };
    refused(&bomb.seal(), &["more than the limit of"]);
    let long = "n".repeat(4096);
    let deep = vec!["d"; 200].join("/");
    for path in [long.as_str(), deep.as_str()] {
        let members = record(&Header::file(path, 1), b"x");
        refused(&Parts::listing(&[plain(path, b"x")], members).seal(), &["not a path"]);
    }
    let unsplit = format!("{}/{}", "a".repeat(100), "b".repeat(101));
    let members = record(&Header::file(&unsplit, 1), b"x");
    refused(&Parts::listing(&[plain(&unsplit, b"x")], members).seal(), &["cannot be split"]);
}
