//! What is packed: the same bytes everywhere, in bounded memory, read by programs that know
//! nothing of mpkg.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use mpkg::archive::{
    Package, WriteOptions, collect, from_folder, pack_folder, parse_index, write_package,
};
use mpkg::package::{Digest, PackagePath};
use mpkg::progress::Silent;

use crate::support::hostile::index;
use crate::support::{Finished, World, python};

/// Bytes that nothing compresses.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

fn noisy_bytes(length: usize) -> Vec<u8> {
    noise(7).take(length / 8 + 1).flat_map(u64::to_le_bytes).take(length).collect()
}

fn safetensors(data: &[u8]) -> Vec<u8> {
    let (half, end) = (data.len() / 2, data.len());
    let tensor = |from: usize, to: usize| {
        format!("{{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[{from},{to}]}}", to - from)
    };
    let header = format!("{{\"a\":{},\"b\":{}}}", tensor(0, half), tensor(half, end));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A folder with files of every sort: their contents by path.
fn files(world: &World, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let text: Vec<u8> = noise(3).take(200_000).flat_map(|n| format!("{n} ").into_bytes()).collect();
    let long = format!("{}/{}/file.txt", "a".repeat(90), "b".repeat(60));
    let files: BTreeMap<String, Vec<u8>> = [
        ("README.md".to_owned(), b"# A model\n".to_vec()),
        ("empty".to_owned(), vec![]),
        ("model.safetensors".to_owned(), safetensors(&noisy_bytes(11_000_001))),
        ("names/\u{e9}t\u{e9} \"quoted\" & spaced.txt".to_owned(), b"x".to_vec()),
        ("text.txt".to_owned(), text),
        ("tool.sh".to_owned(), b"#!/bin/sh\n".to_vec()),
        (long, b"deep".to_vec()),
    ]
    .into();
    for (path, contents) in &files {
        world.write(&format!("{folder}/{path}"), contents);
    }
    let program = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(world.path(folder).join("tool.sh"), program).unwrap();
    files
}

/// Packs `paths` of a folder into a binary package.
fn pack(root: &Path, paths: &[PackagePath], goal: &Path, threads: usize) {
    let mut listed = parse_index(&index(&[])).unwrap();
    listed.files = collect(root, paths).unwrap();
    let options = WriteOptions { threads: NonZeroUsize::new(threads).unwrap(), level: None };
    write_package(&listed, &from_folder(root), goal, &options, &Silent).unwrap();
}

fn package(world: &World) -> (PathBuf, BTreeMap<String, Vec<u8>>) {
    let files = files(world, "tree");
    let paths: Vec<PackagePath> = files.keys().map(|path| path.parse().unwrap()).collect();
    let goal = world.path("good.mpkg");
    pack(&world.path("tree"), &paths, &goal, 2);
    (goal, files)
}

#[test]
fn the_number_of_threads_the_order_of_files_and_their_times_change_nothing() {
    let world = World::new();
    let (first, files) = package(&world);
    let mut paths: Vec<PackagePath> = files.keys().map(|path| path.parse().unwrap()).collect();
    paths.reverse();
    for path in &paths {
        let file = std::fs::File::options().append(true).open(path.below(&world.path("tree")));
        file.unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    }
    let expected = Digest::of(&std::fs::read(first).unwrap());
    for threads in [1, 2, 8] {
        let goal = world.path(&format!("{threads}.mpkg"));
        pack(&world.path("tree"), &paths, &goal, threads);
        assert_eq!(Digest::of(&std::fs::read(goal).unwrap()), expected, "{threads} threads");
    }
}

#[test]
fn a_folder_that_is_read_once_gives_the_same_package() {
    let world = World::new();
    let mut files = files(&world, "tree");
    for large in [false, true] {
        if large {
            let weights = safetensors(&noisy_bytes((16 << 20) + 5));
            world.write("tree/large.safetensors", &weights);
            files.insert("large.safetensors".to_owned(), weights);
        }
        let (root, goal) = (world.path("tree"), world.path("listed.mpkg"));
        let paths: Vec<PackagePath> = files.keys().map(|path| path.parse().unwrap()).collect();
        pack(&root, &paths, &goal, 2);
        let expected = std::fs::read(goal).unwrap();
        let described = parse_index(&index(&[])).unwrap();
        for threads in [1, 3] {
            let goal = world.path("once.mpkg");
            let options =
                WriteOptions { threads: NonZeroUsize::new(threads).unwrap(), level: None };
            let files = (root.as_path(), paths.as_slice());
            let (index, packed) =
                pack_folder(described.clone(), files, &goal, &options, &Silent).unwrap();
            let found = std::fs::read(&goal).unwrap();
            assert!(found == expected, "large: {large}");
            assert_eq!(packed.file_digest, Digest::of(&found));
            assert_eq!(packed.file_size, found.len() as u64);
            assert_eq!(packed.unpacked_size, index.unpacked_size());
            let package = Package::open(&goal).unwrap();
            package.verify(&Silent).unwrap();
            assert_eq!(packed.package_digest, package.package_digest());
            assert_eq!(packed.chunks, package.chunks_place());
            assert_eq!(*package.index(), index);
        }
    }
}

#[test]
fn umask_user_and_environment_change_nothing() {
    let world = World::new();
    world.run(["init", "lm", "--kind", "dataset"]).succeeds();
    std::fs::set_permissions(world.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = world.path("mpkg");
    std::fs::copy(env!("CARGO_BIN_EXE_mpkg"), &program).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let mut digests = Vec::new();
    for (umask, time_zone, user) in
        [("022", "UTC", 0), ("077", "Asia/Tokyo", 0), ("000", "", 65534)]
    {
        let out = world.path(&format!("out-{umask}"));
        std::fs::create_dir(&out).unwrap();
        std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o777)).unwrap();
        let script = format!("umask {umask}; exec \"$0\" --json pack lm --out \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(&program).arg(&out).current_dir(world.root());
        command.env("TZ", time_zone).env("MPKG_HOME", &out).env("LC_ALL", "C");
        if is_root && user != 0 {
            command.uid(user).gid(user);
        }
        let json = Finished::of(&mut command).succeeds().json();
        let package = PathBuf::from(json["package"].as_str().unwrap());
        let mode = std::fs::metadata(world.path("x").with_file_name(&package)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o700, 0o600);
        digests.push((json["package_digest"].clone(), json["file_digest"].clone()));
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

fn assert_extracted(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (path, contents) in files {
        let path = folder.join(path);
        assert!(std::fs::read(&path).unwrap() == *contents, "{}", path.display());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let expected = if path.ends_with("tool.sh") { 0o755 } else { 0o644 };
        assert_eq!(mode, expected, "{}", path.display());
    }
}

#[test]
fn our_reader_and_stock_tar_extract_the_same() {
    let world = World::new();
    let (package, files) = package(&world);
    let opened = Package::open(&package).unwrap();
    for (name, ours) in [("ours", true), ("theirs", false)] {
        let folder = world.path(name);
        std::fs::create_dir(&folder).unwrap();
        if ours {
            opened.extract(&folder, NonZeroUsize::MIN, &Silent).unwrap();
        } else {
            let script = "umask 022; exec tar --zstd -xf \"$0\" -C \"$1\"";
            let mut tar = Command::new("sh");
            Finished::of(tar.args(["-c", script]).arg(&package).arg(&folder)).succeeds();
            let index = std::fs::read(folder.join(".mpkg/index.json")).unwrap();
            assert_eq!(Digest::of(&index), opened.package_digest());
        }
        assert_extracted(&folder, &files);
    }
    Finished::of(Command::new("zstd").args(["-q", "-t"]).arg(&package)).succeeds();
    for (path, contents) in &files {
        let read = opened.read_member(&path.parse().unwrap(), u64::MAX).unwrap();
        assert!(read == *contents, "{path}");
    }
}

#[test]
fn python_reads_the_same() {
    const SCRIPT: &str = "
import hashlib, sys, tarfile, zstandard
with open(sys.argv[1], 'rb') as file:
    stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    with tarfile.open(fileobj=stream, mode='r|') as archive:
        for member in archive:
            assert member.isreg() and member.uid == member.gid == member.mtime == 0
            digest = hashlib.sha256(archive.extractfile(member).read()).hexdigest()
            print(f'{member.mode:04o} {digest} {member.name}')
";
    let world = World::new();
    let (package, _) = package(&world);
    let python = python::venv("zstandard", &["zstandard==0.25.0"]);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(&package).env("PYTHONIOENCODING", "utf-8");
    let finished = Finished::of(&mut command).succeeds();
    let opened = Package::open(&package).unwrap();
    let index = opened.package_digest();
    let expected = opened
        .index()
        .files
        .iter()
        .fold(format!("0644 {index} .mpkg/index.json\n"), |text, file| {
            text + &format!("{:04o} {} {}\n", file.mode.bits(), file.sha256, file.path)
        });
    assert_eq!(finished.stdout, expected);
}

#[test]
fn memory_does_not_grow_with_the_package() {
    const SCRIPT: &str = "
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
";
    const LIMIT: u64 = 128 << 10;
    const DATA: u64 = 1 << 30;
    let world = World::new();
    world.run(["init", "lm", "--kind", "dataset"]).succeeds();
    let header =
        format!("{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{DATA}],\"data_offsets\":[0,{DATA}]}}}}");
    let weights = world.write("lm/w.safetensors", (header.len() as u64).to_le_bytes());
    {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).open(weights).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        let piece = noisy_bytes(8 << 20);
        for number in 0..DATA / (8 << 20) {
            file.write_all(&number.to_le_bytes()).unwrap();
            file.write_all(&piece[8..]).unwrap();
        }
    }
    let peak = |arguments: &[&str]| -> u64 {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_mpkg")]).args(arguments);
        command.current_dir(world.root()).env("MPKG_HOME", world.path("home"));
        let finished = Finished::of(&mut command).succeeds();
        finished.stdout.trim_end().rsplit('\n').next().unwrap().parse().unwrap()
    };
    let packing = peak(&["pack", "lm"]);
    assert!(packing < LIMIT, "packing took {packing} KiB");
    let reading = peak(&["verify", "--contents-only", "lm/dist/lm-0.1.0.src.mpkg"]);
    assert!(reading < LIMIT, "reading took {reading} KiB");
}

#[test]
fn the_test_vector_of_the_specification() {
    let world = World::new();
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat();
    let files: [(&str, &[u8]); 3] =
        [("README.md", b"# Tiny\n"), ("run.sh", b"#!/bin/sh\n"), ("w.safetensors", &weights)];
    for (path, contents) in files {
        world.write(&format!("tree/{path}"), contents);
    }
    let program = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(world.path("tree/run.sh"), program).unwrap();
    let paths = files.map(|(path, _)| path.parse().unwrap());
    let goal = world.path("tiny.mpkg");
    pack(&world.path("tree"), &paths, &goal, 1);
    let vector = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/tiny.mpkg");
    let (found, expected) = (std::fs::read(goal).unwrap(), std::fs::read(&vector).unwrap());
    assert!(found == expected, "{}", hex::encode(found));
    let package = Package::open(&vector).unwrap();
    package.verify(&Silent).unwrap();
    let stated = std::fs::read_to_string(vector.with_file_name("../container.md")).unwrap();
    assert!(stated.contains(&package.package_digest().to_string()), "the package digest");
    assert!(stated.contains(&Digest::of(&expected).to_string()), "the file digest");
    for chunk in &package.chunk_table().chunks {
        assert!(stated.contains(&chunk.sha256.to_string()), "{chunk:?}");
    }
}
