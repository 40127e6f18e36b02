//! Data archives from the wild, the good and the bad: unpacking, selecting, members.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::{FETCH, cached, reference, sha256, tree};
use crate::support::server::Server;
use crate::support::{Finished, World};

/// A tar archive with these members.
fn tar_of(members: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, name, contents) in members {
        let mut header = Header::new_gnu();
        // The setter of the library refuses what is tried here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").expect("a short name");
        }
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn files(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members: Vec<_> =
        members.iter().map(|(name, bytes)| (EntryType::Regular, *name, *bytes)).collect();
    tar_of(&members)
}

fn zip_of(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mode, contents) in members {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        writer.start_file(*name, options).expect("a member");
        writer.write_all(contents).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("compressed")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("compressed")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("compressed")
}

/// A world whose data is this archive in the tree, with more keys.
fn world_of(archive: &[u8], more: &str) -> World {
    let world = tree(&format!(
        "[[data]]\nname = \"plays\"\npath = \"archive\"\nlicense = \"CC0-1.0\"\n{more}\n"
    ));
    world.write("tree/archive", archive);
    world
}

fn fetched(world: &World) -> PathBuf {
    let found = world.run(FETCH).succeeds().json();
    PathBuf::from(found["data"][0]["path"].as_str().expect("a path"))
}

/// The relative paths below `folder`.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).expect("below").display().to_string())
        .collect();
    names.sort();
    names
}

/// Unpacking fails with these words, and leaves nothing.
#[track_caller]
fn is_refused(archive: &[u8], unpack: &str, parts: &[&str]) -> Finished {
    let world = world_of(archive, &format!("unpack = {unpack:?}"));
    let result = world.run(FETCH).fails_with(parts);
    let left: Vec<String> = cached(&world, "unpacked");
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
    assert!(!world.path("escaped").exists());
    result
}

#[test]
fn every_kind_of_archive() {
    let tar = files(&[("./a.txt", b"A"), ("d/b.txt", b"B")]);
    let zip = zip_of(&[("a.txt", 0o644, b"A"), ("d/b.txt", 0o644, b"B")]);
    for (unpack, archive) in [
        ("tar", tar.clone()),
        ("tar.gz", gz(&tar)),
        ("tar.xz", xz(&tar)),
        ("tar.zst", zstd(&tar)),
        ("zip", zip),
    ] {
        let world = world_of(&archive, &format!("unpack = {unpack:?}"));
        let folder = fetched(&world);
        assert_eq!(names(&folder), ["a.txt", "d/b.txt"], "{unpack}");
        assert_eq!(std::fs::read(folder.join("d/b.txt")).expect("a file"), b"B");
        let mode = |path: &str| folder.join(path).metadata().expect("it").permissions().mode();
        assert_eq!((mode("a.txt") & 0o777, mode("d") & 0o777), (0o444, 0o555));
    }
    let world = world_of(&gz(b"one file"), "unpack = \"gz\"");
    assert_eq!(std::fs::read(fetched(&world)).expect("a file"), b"one file");
}

#[test]
fn unpacking_is_done_once_and_again_when_its_files_changed() {
    let archive = files(&[("a.txt", b"A")]);
    let world = world_of(&archive, "unpack = \"tar\"");
    let file = fetched(&world).join("a.txt");
    let date = |file: &Path| file.metadata().expect("a file").modified().expect("a date");
    let first = date(&file);
    assert_eq!(date(&fetched(&world).join("a.txt")), first);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("mine");
    std::fs::write(&file, "B").expect("written");
    assert_eq!(std::fs::read(fetched(&world).join("a.txt")).expect("a file"), b"A");
}

#[test]
fn select_chooses_members_and_passes_over_the_rest() {
    let archive = tar_of(&[
        (EntryType::Regular, "plays/hamlet.txt", b"H"),
        (EntryType::Regular, "plays/notes.md", b"N"),
        (EntryType::Symlink, "plays/link", b""),
        (EntryType::Regular, "../escaped", b"E"),
    ]);
    let world = world_of(&archive, "unpack = \"tar\"\nselect = [\"plays/*.txt\"]");
    assert_eq!(names(&fetched(&world)), ["plays/hamlet.txt"]);
    let world = world_of(&archive, "unpack = \"tar\"\nselect = [\"plays/l*\"]");
    world.run(FETCH).fails_with(&["\"plays/link\" is a symbolic link"]);
    let world = world_of(&archive, "unpack = \"tar\"\nselect = [\"**/*.txt\", \"plays/*.text\"]");
    world.run(FETCH).fails_with(&["chooses nothing with \"plays/*.text\"", "plays/notes.md"]);
}

#[test]
fn select_chooses_files_of_a_folder_in_the_tree() {
    let data = "[[data]]\nname = \"plays\"\npath = \"plays\"\nlicense = \"CC0-1.0\"\n\
                select = [\"*.txt\"]\n";
    let world = tree(data);
    world.write("tree/plays/hamlet.txt", "H");
    world.write("tree/plays/notes.md", "N");
    assert_eq!(names(&fetched(&world)), ["hamlet.txt"]);
}

#[test]
fn paths_that_escape_are_refused() {
    for (name, why) in [
        ("../escaped", "part \".\" or \"..\""),
        ("a/../../escaped", "part \".\" or \"..\""),
        ("/escaped", "it is absolute"),
        ("a//b", "empty part"),
        ("C:\\escaped", "backslash"),
        ("a\nb", "control character"),
    ] {
        is_refused(&files(&[(name, b"E")]), "tar", &["data `plays`", why]);
        is_refused(&zip_of(&[(name, 0o644, b"E")]), "zip", &["data `plays`", why]);
    }
    let folders = tar_of(&[(EntryType::Directory, "../escaped/", b"")]);
    is_refused(&folders, "tar", &["part \".\" or \"..\""]);
}

#[test]
fn links_and_devices_are_refused() {
    for (kind, why) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a named pipe"),
        (EntryType::new(b'Z'), "of an unknown type"),
    ] {
        is_refused(&tar_of(&[(kind, "odd", b"")]), "tar", &[why]);
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_symlink("odd", "/etc/passwd", options).expect("a member");
    let zip = writer.finish().expect("an archive").into_inner();
    is_refused(&zip, "zip", &["\"odd\" is a symbolic link"]);
    let through = tar_of(&[(EntryType::Symlink, "d", b""), (EntryType::Regular, "d/x", b"E")]);
    is_refused(&through, "tar", &["\"d\" is a symbolic link"]);
}

#[test]
fn names_that_are_there_twice_are_refused() {
    is_refused(&files(&[("a", b"1"), ("a", b"2")]), "tar", &["\"a\" is there twice"]);
    is_refused(&files(&[("a", b"1"), ("./a", b"2")]), "tar", &["\"a\" is there twice"]);
    is_refused(&files(&[("Read/me", b""), ("read/you", b"")]), "tar", &["only in case"]);
    is_refused(&files(&[("É", b""), ("é", b"")]), "tar", &["only in case"]);
    is_refused(&files(&[("a", b""), ("a/b", b"")]), "tar", &["both a file and a folder"]);
    is_refused(&files(&[("a/b", b""), ("a", b"")]), "tar", &["both a file and a folder"]);
    is_refused(&zip_of(&[("a", 0o644, b""), ("A", 0o644, b"")]), "zip", &["only in case"]);
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 128 << 20];
    let tar = files(&[("zeros", &zeros)]);
    for (unpack, archive) in [
        ("tar.gz", gz(&tar)),
        ("tar.xz", xz(&tar)),
        ("tar.zst", zstd(&tar)),
        ("zip", zip_of(&[("zeros", 0o644, &zeros)])),
        ("gz", gz(&zeros)),
    ] {
        is_refused(&archive, unpack, &["expands to more than 250 times its size"]);
    }
}

#[test]
fn long_headers_are_refused() {
    let name = vec![b'a'; 2 << 20];
    let archive =
        tar_of(&[(EntryType::GNULongName, "././@LongLink", &name), (EntryType::Regular, "a", b"")]);
    is_refused(&archive, "tar", &["headers longer than 1 MiB"]);
}

#[test]
fn broken_archives_are_named() {
    let tar = files(&[("a.txt", b"A")]);
    is_refused(b"not an archive", "tar.gz", &["cannot be read as tar.gz"]);
    is_refused(b"not an archive", "tar.xz", &["cannot be read as tar.xz"]);
    is_refused(b"not an archive", "tar.zst", &["cannot be read as tar.zst"]);
    is_refused(b"not an archive", "zip", &["cannot be read as zip"]);
    is_refused(b"not an archive", "gz", &["cannot be read as gz"]);
    is_refused(&tar[..512], "tar", &["says that it has 1 bytes, and has 0"]);
    is_refused(&tar[..515], "tar", &["cannot be read as tar"]);
    let twice = [tar.clone(), tar.clone()].concat();
    is_refused(&twice, "tar", &["more after its end"]);
    let compressed = gz(&tar);
    is_refused(&compressed[..compressed.len() - 6], "tar.gz", &["cannot be read as tar.gz"]);
}

#[test]
fn members_are_taken_out_of_archives_and_checked() {
    let tar = files(&[("./plays/hamlet.txt", b"to be"), ("plays/other.txt", b"x")]);
    let deb = debian_package(&[("debian-binary", b"2.0\n"), ("data.tar.xz", &xz(&tar))]);
    for archive in
        [tar.clone(), gz(&tar), zstd(&tar), deb, zip_of(&[("plays/hamlet.txt", 0o644, b"to be")])]
    {
        let server = Server::of(&archive);
        let url = server.url("/archive#plays/hamlet.txt");
        let world = tree(&reference(&[&url], b"to be", ""));
        assert_eq!(std::fs::read(fetched(&world)).expect("a file"), b"to be");
        assert_eq!(cached(&world, "sha256"), [sha256(b"to be")]);
        assert_eq!(cached(&world, "partial"), Vec::<String>::new());

        let world = tree(&reference(&[&url], b"to me", ""));
        world.run(FETCH).fails_with(&[&url, &sha256(b"to me"), &sha256(b"to be")]);
        let world = tree(&reference(&[&url], b"to", ""));
        world.run(FETCH).fails_with(&[&url, "expected 2 bytes, found more"]);
        assert_eq!(cached(&world, "sha256"), Vec::<String>::new());
        let world = tree(&reference(&[&server.url("/archive#plays/hamlet.text")], b"x", ""));
        world.run(FETCH).fails_with(&["has no file \"plays/hamlet.text\"", "plays/hamlet.txt"]);
    }
}

#[test]
fn one_archive_is_fetched_once_for_all_its_members() {
    let server = Server::of(&files(&[("a", b"1"), ("b", b"22")]));
    let data = |name: &str, bytes: &[u8]| {
        reference(&[&server.url(&format!("/archive#{name}"))], bytes, "")
            .replace("\"plays\"", &format!("{name:?}"))
    };
    let world = tree(&format!("{}{}", data("a", b"1"), data("b", b"22")));
    world.run(FETCH).succeeds();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_member_that_is_a_link_is_refused() {
    let server = Server::of(&tar_of(&[(EntryType::Symlink, "a", b"")]));
    let world = tree(&reference(&[&server.url("/archive#a")], b"1", ""));
    world.run(FETCH).fails_with(&["\"a\" is a symbolic link, not a file"]);
}

#[test]
fn a_member_can_be_unpacked() {
    let server = Server::of(&files(&[("a.gz", &gz(b"to be"))]));
    let url = server.url("/archive#a.gz");
    let world = tree(&reference(&[&url], &gz(b"to be"), "unpack = \"gz\""));
    assert_eq!(std::fs::read(fetched(&world)).expect("a file"), b"to be");
}

/// A Debian package with these members.
fn debian_package(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, contents) in members {
        let size = contents.len();
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}
