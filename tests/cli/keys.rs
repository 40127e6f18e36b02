//! Tests of keys: `mpkg key`, `sign`, `verify FILE`, `completions`, `man`.

mod files;
mod peers;
mod shell;
mod signatures;

use std::path::PathBuf;

use mpkg::archive::{self, WriteOptions};
use mpkg::package::{Digest, INDEX_FORMAT, Kind, PackageIndex, PackageType};
use mpkg::progress::Silent;

use crate::support::World;

/// The source that the packages of these tests name.
fn source() -> Digest {
    Digest::of(b"the source package")
}

/// A small binary package, `dist/tiny-lm-VERSION.f32.mpkg`, with the inputs of its build in it.
fn binary_package(world: &World, version: &str) -> PathBuf {
    let inputs = format!(
        r#"{{"data":[{{"name":"plays","sha256":"{}","size":5}}],"dependencies":[{{"name":"bytes-bpe","package-digest":"{}","variant":"default","version":"1.2.0"}}],"format":1,"source":"{}"}}"#,
        Digest::of(b"plays"),
        Digest::of(b"bytes-bpe"),
        source(),
    );
    let files = [("README.md", "# Tiny\n"), (".mpkg/inputs.json", inputs.as_str())];
    package(world, version, Some("f32"), &files)
}

/// A small source package, `dist/tiny-lm-VERSION.src.mpkg`.
fn source_package(world: &World, version: &str) -> PathBuf {
    package(world, version, None, &[("mpkg.toml", "[package]\n"), ("README.md", "# Tiny\n")])
}

fn package(world: &World, version: &str, variant: Option<&str>, files: &[(&str, &str)]) -> PathBuf {
    let root = world.path(&format!("tree-{version}-{}", variant.unwrap_or("src")));
    let mut paths = Vec::new();
    for (path, contents) in files {
        let place = root.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, contents).unwrap();
        paths.push(path.parse().unwrap());
    }
    let index = PackageIndex {
        format: INDEX_FORMAT,
        package_type: if variant.is_some() { PackageType::Binary } else { PackageType::Source },
        kind: Kind::Model,
        name: "tiny-lm".parse().unwrap(),
        version: version.parse().unwrap(),
        variant: variant.map(|variant| variant.parse().unwrap()),
        default_variant: variant.is_some(),
        summary: "A tiny model".to_owned(),
        license: "MIT".to_owned(),
        tasks: Vec::new(),
        dependencies: Vec::new(),
        build_dependencies: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        source: variant.map(|_| source()),
        pickle_reason: None,
        files: archive::collect(&root, &paths).unwrap(),
    };
    let goal = world.path("dist").join(index.release().file_name());
    std::fs::create_dir_all(goal.parent().unwrap()).unwrap();
    let options = WriteOptions { threads: std::num::NonZeroUsize::MIN, level: None };
    archive::write_package(&index, &archive::from_folder(&root), &goal, &options, &Silent).unwrap();
    goal
}

/// The path as an argument.
fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}
