//! Round trips of whole packages.

use std::num::NonZeroUsize;
use std::path::Path;

use super::*;
use crate::package::{Digest, PackageIndex, PackagePath};
use crate::progress::Silent;

pub(super) fn index(files: Vec<crate::package::IndexedFile>) -> PackageIndex {
    PackageIndex {
        format: 1,
        package_type: crate::package::PackageType::Binary,
        kind: crate::package::Kind::Model,
        name: "tiny-lm".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        variant: Some("f32".parse().unwrap()),
        default_variant: true,
        summary: "A \"tiny\" model".to_owned(),
        license: "MIT".to_owned(),
        tasks: vec![],
        dependencies: vec![],
        build_dependencies: vec![],
        provides: vec![],
        conflicts: vec![],
        source: Some(Digest::of(b"source")),
        pickle_reason: None,
        files,
    }
}

pub(super) fn tree(root: &Path) -> Vec<PackagePath> {
    let noise: Vec<u8> =
        (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 11).to_le_bytes()[0]).collect();
    let zeros = vec![0; 70_000];
    let files: [(&str, &[u8]); 5] = [
        ("README.md", b"# Tiny\n"),
        ("a/b/c/empty", b""),
        ("data.txt", &noise),
        ("é/ü", b"x"),
        ("zeros", &zeros),
    ];
    for (path, contents) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own folder")]
        std::fs::write(path, contents).unwrap();
    }
    files.iter().map(|(path, _)| path.parse().unwrap()).collect()
}

fn threads(count: usize) -> WriteOptions {
    WriteOptions { threads: NonZeroUsize::new(count).unwrap(), level: None }
}

#[test]
fn what_is_packed_is_what_is_extracted_whatever_the_threads() {
    let world = tempfile::tempdir().unwrap();
    let (tree_root, out) = (world.path().join("tree"), world.path().join("out"));
    let paths = tree(&tree_root);
    let index = index(collect(&tree_root, &paths).unwrap());
    let mut packages = Vec::new();
    for count in [1, 2, 8] {
        let goal = world.path().join(format!("{count}.mpkg"));
        let contents = from_folder(&tree_root);
        let packed = write_package(&index, &contents, &goal, &threads(count), &Silent).unwrap();
        packages.push((std::fs::read(&goal).unwrap(), packed));
    }
    assert!(packages.windows(2).all(|pair| pair[0] == pair[1]));
    let package = Package::open(&world.path().join("8.mpkg")).unwrap();
    assert_eq!(*package.index(), index);
    let packed = &packages[0].1;
    assert_eq!(package.package_digest(), packed.package_digest);
    assert_eq!(package.package_digest(), package_digest(&index).unwrap());
    assert_eq!(package.file_digest().unwrap(), packed.file_digest);
    assert_eq!(package.chunks_place(), packed.chunks);
    std::fs::create_dir(&out).unwrap();
    package.extract(&out, NonZeroUsize::MIN, &Silent).unwrap();
    package.verify(&Silent).unwrap();
    assert_eq!(collect(&out, &paths).unwrap(), index.files);
    for path in &paths {
        let contents = package.read_member(path, 1 << 30).unwrap();
        assert_eq!(contents, std::fs::read(path.below(&tree_root)).unwrap());
    }
    assert!(package.read_member(&paths[2], 2_999_999).is_err());
    assert!(package.read_member(&"none".parse().unwrap(), 1).is_err());
}

#[test]
fn a_file_that_changes_while_it_is_packed_leaves_no_package() {
    let world = tempfile::tempdir().unwrap();
    let tree_root = world.path().join("tree");
    let paths = tree(&tree_root);
    let mut index = index(collect(&tree_root, &paths).unwrap());
    let goal = world.path().join("goal.mpkg");
    let pack = |index: &PackageIndex| {
        let contents = from_folder(&tree_root);
        write_package(index, &contents, &goal, &threads(2), &Silent).unwrap_err().to_string()
    };
    index.files[2].sha256 = Digest::of(b"other");
    assert!(pack(&index).contains("has the digest"));
    index.files[2].size += 1;
    assert!(pack(&index).contains("is not 3000001 bytes long"));
    assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 1);
}
