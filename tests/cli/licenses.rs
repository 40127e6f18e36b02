//! `mpkg licenses`: every licence with its evidence, and evidence that says otherwise is found.

use std::io::Write as _;

use serde_json::Value;

use crate::support::World;
use crate::support::examples::{install, trust};

const STEP: &str = "
[[step]]
name = \"copy\"
run = [\"cp\", \"page.txt\", \"{out}/page.txt\"]
[[variant]]
name = \"text\"
from = \"copy\"
files = [\"page.txt\"]
";

const DEP5: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2020 A
License: GPL-2+

Files: german/*
Copyright: 2021 B
License: CC-BY-SA-4.0

Files: debian/*
Copyright: 2022 C
License: MIT
";

/// A source tree under CC0-1.0 with `data` in its manifest.
fn tree(world: &World, data: &str) {
    let manifest = format!(
        "[package]\nname = \"pages\"\nversion = \"1.0.0\"\nkind = \"dataset\"\n\
         summary = \"Pages\"\nlicense = \"CC0-1.0\"\n{data}{STEP}"
    );
    world.write("tree/mpkg.toml", manifest);
    world.write("tree/page.txt", "A page\n");
    world.write("tree/LICENSES/CC0-1.0.txt", "SPDX-License-Identifier: CC0-1.0\n");
}

fn in_tree(name: &str, license: &str, evidence: &str) -> String {
    let evidence = match evidence {
        "" => String::new(),
        evidence => format!("license-evidence = \"{evidence}\"\n"),
    };
    format!("[[data]]\nname = \"{name}\"\npath = \"page.txt\"\nlicense = \"{license}\"\n{evidence}")
}

fn licenses(world: &World, more: &[&str]) -> (i32, Value) {
    let all = ["licenses", "tree", "--json"];
    let ran = world.run(all.iter().chain(more).copied());
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    (ran.code, ran.json())
}

/// The kinds of the findings about the data called `name`.
fn kinds(found: &Value, name: &str) -> Vec<String> {
    let findings = found["findings"].as_array().expect("a list").iter();
    let about = findings.filter(|one| one["name"].as_str().is_some_and(|it| it.starts_with(name)));
    about.map(|one| one["kind"].as_str().expect("a word").to_owned()).collect()
}

fn fact<'a>(found: &'a Value, what: &str, name: Option<&str>) -> &'a Value {
    let mut facts = found["facts"].as_array().expect("a list").iter();
    let is_it = |one: &&Value| one["what"] == what && one["name"].as_str() == name;
    facts.find(is_it).unwrap_or_else(|| panic!("{found:#}"))
}

#[test]
fn a_clean_tree_is_said_to_be_so() {
    let world = World::new();
    tree(&world, &in_tree("page", "MIT", "NOTICE"));
    world.write("tree/NOTICE", "Page\nLicense: MIT\n");
    world.write("tree/copy.py", "# SPDX-License-Identifier: Apache-2.0\n");
    let ran = world.run(["licenses", "tree"]).succeeds();
    let expected = "\
pages 1.0.0 (source)
  checked   package: CC0-1.0 (LICENSES/CC0-1.0.txt)
  checked   code: Apache-2.0 (SPDX tags in 1 of 1 files)
  checked   data page: MIT (NOTICE)
What follows:
  pages 1.0.0 (source): authors of what went in are to be named (MIT): data page of pages 1.0.0
3 licence facts in 1 package: 3 checked, 0 declared, 0 unknown; 0 findings
";
    assert_eq!(ran.stdout, expected);
    // The same again is the same.
    assert_eq!(world.run(["licenses", "tree"]).succeeds().stdout, expected);
    let (code, found) = licenses(&world, &[]);
    let evidence = &fact(&found, "data", Some("page"))["evidence"];
    assert_eq!((code, &evidence["state"]), (0, &"seen".into()));
    let digest = mpkg::package::Digest::of(b"Page\nLicense: MIT\n").to_string();
    assert_eq!(evidence["sha256"], digest.as_str());
}

#[test]
fn licences_that_lie_are_found() {
    let world = World::new();
    let data = [
        in_tree("later", "GPL-2.0-only", "later.txt"),
        in_tree("other", "CC0-1.0", "other.txt"),
        in_tree("more", "BSD-3-Clause", "more.txt"),
        in_tree("fewer", "MIT AND Zlib", "fewer.txt"),
        in_tree("mute", "MIT", "mute.txt"),
        in_tree("own", "LicenseRef-Own-Terms", "mute.txt"),
        in_tree("none", "MIT", ""),
        in_tree("gone", "MIT", "nowhere/LICENSE"),
    ];
    tree(&world, &data.concat());
    let later = "This is free software under the GNU General Public License, either version 2 of\n\
                 the License, or (at your option) any later version.\n";
    world.write("tree/later.txt", later);
    world.write("tree/other.txt", "See https://creativecommons.org/licenses/by-nc/4.0/ for it.\n");
    world.write(
        "tree/more.txt",
        "SPDX-License-Identifier: BSD-3-Clause\nSPDX-License-Identifier: GPL-3.0-or-later\n",
    );
    world.write("tree/fewer.txt", "License: MIT\n");
    world.write("tree/mute.txt", "We love openness.\n");
    let (code, found) = licenses(&world, &[]);
    assert_eq!(code, 1);
    for (name, expected) in [
        ("later", &["later-versions"][..]),
        ("other", &["differs"]),
        ("more", &["more-licences"]),
        ("fewer", &["fewer-licences"]),
        ("mute", &["unrecognised"]),
        ("own", &["unknown-licence", "unrecognised"]),
        ("none", &["no-evidence"]),
        ("gone", &["evidence-gone"]),
    ] {
        assert_eq!(kinds(&found, name), expected, "{name}: {found:#}");
    }
    assert_eq!(fact(&found, "data", Some("other"))["freedom"], "non-free");
    assert_eq!(fact(&found, "data", Some("later"))["freedom"], "free");
    let ran = world.run(["licenses", "tree"]);
    for part in [
        "pages 1.0.0, data later: declared GPL-2.0-only, the evidence says or later\n",
        "pages 1.0.0, data other: the evidence says CC-BY-NC-4.0\n",
        "pages 1.0.0, data none: no evidence for the licence is named\n",
        "pages 1.0.0 (source): copyleft works went into one under CC0-1.0 (GPL-2.0-only): ",
        "; 9 findings\n",
    ] {
        assert!(ran.stdout.contains(part), "{part} is not in {}", ran.stdout);
    }
}

/// A tar.gz with one member.
fn archive(world: &World, member: &str, text: &str) -> (String, mpkg::package::Digest, u64) {
    let mut bytes = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(&mut bytes);
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, member, text.as_bytes()).expect("a member");
    tar.finish().expect("an archive");
    drop(tar);
    let bytes = bytes.finish().expect("an archive");
    let place = world.write("corpus.tar.gz", &bytes);
    let digest = mpkg::package::Digest::of(&bytes);
    (format!("file://{}", place.display()), digest, bytes.len() as u64)
}

#[test]
fn evidence_within_data_is_read_once_and_by_its_digest() {
    let world = World::new();
    let (address, digest, size) = archive(&world, "doc/copyright", DEP5);
    let data = format!(
        "[[data]]\nname = \"corpus\"\nurls = [\"{address}\"]\nsha256 = \"{digest}\"\nsize = {size}\n\
         license = \"GPL-2.0-only\"\nlicense-evidence = \"doc/copyright\"\nunpack = \"tar.gz\"\n"
    );
    tree(&world, &data);
    // Nothing is fetched unless that is asked for, and that is no fault.
    let (code, found) = licenses(&world, &[]);
    let corpus = fact(&found, "data", Some("corpus"));
    assert_eq!((code, &corpus["evidence"]["state"]), (0, &"unseen".into()));
    assert_eq!(corpus["level"], "declared");

    let (code, found) = licenses(&world, &["--check"]);
    let corpus = fact(&found, "data", Some("corpus"));
    assert_eq!((code, &corpus["evidence"]["state"]), (1, &"seen".into()));
    assert_eq!(kinds(&found, "corpus"), ["later-versions"]);
    assert_eq!(corpus["found"][0]["files"][0], "german/*");
    let text = world.run(["licenses", "tree"]).stdout;
    assert!(text.contains("            CC-BY-SA-4.0: german/*\n"), "{text}");

    // It is remembered with the data's digest, wherever the data has gone.
    std::fs::remove_file(world.path("corpus.tar.gz")).expect("it goes");
    std::fs::remove_dir_all(world.path("home/cache/sha256")).expect("it goes");
    assert_eq!(licenses(&world, &[]).1["facts"], found["facts"]);
    // A damaged memory is none.
    world.write("home/cache/facts.json", "{\"format\":");
    let (_, found) = licenses(&world, &[]);
    assert_eq!(fact(&found, "data", Some("corpus"))["evidence"]["state"], "unseen");
    let (_, found) = licenses(&world, &["--check"]);
    assert_eq!(kinds(&found, "corpus"), ["evidence-gone"]);
}

#[test]
fn evidence_that_vanished_is_named_with_its_date() {
    let world = World::new();
    let notice = world.write("notice.txt", "License: CC-BY-4.0\n");
    let address = format!("file://{}", notice.display());
    tree(&world, &in_tree("page", "CC-BY-4.0", &address));
    assert_eq!(licenses(&world, &[]).0, 0);
    std::fs::remove_file(notice).expect("it goes");
    let (code, found) = licenses(&world, &["--check"]);
    assert_eq!((code, kinds(&found, "page")), (1, vec!["evidence-gone".to_owned()]));
    let message = found["findings"][0]["message"].as_str().expect("a text");
    assert!(
        message.contains("is not to be had") && message.contains("it was there on"),
        "{message}"
    );
    // Evidence that is no text, or too long.
    let notice = world.write("notice.txt", vec![0xff; 100]);
    assert_eq!(kinds(&licenses(&world, &[]).1, "page"), ["unrecognised"]);
    std::fs::write(notice, vec![b' '; (1 << 20) + 1]).expect("it is written");
    assert_eq!(kinds(&licenses(&world, &[]).1, "page"), ["evidence-gone"]);
}

/// Puts a wheel with these members where wheels lie in the cache, and locks it.
fn wheel(world: &World, members: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
        zip.write_all(text.as_bytes()).expect("a member");
    }
    let bytes = zip.finish().expect("a wheel").into_inner();
    let digest = mpkg::package::Digest::of(&bytes);
    let place = format!("home/cache/wheels/{digest}/w-1.0-py3-none-any.whl");
    world.write(&place, &bytes);
    world.write("tree/requirements.txt", format!("w==1.0 --hash=sha256:{digest}\n"));
}

#[test]
fn wheels_say_which_licence_they_have_or_do_not() {
    let world = World::new();
    tree(&world, "[environment]\nlock = \"requirements.txt\"\n");
    let of = |members: &[(&str, &str)]| {
        wheel(&world, members);
        let (code, found) = licenses(&world, &[]);
        let wheel = fact(&found, "wheel", Some("w 1.0")).clone();
        (code, wheel["license"].clone(), wheel["level"].clone(), kinds(&found, "w"))
    };
    let info = "w-1.0.dist-info/METADATA";
    let metadata =
        "Metadata-Version: 2.4\nName: w\nLicense-Expression: MIT\nLicense-File: LICENSE\n";
    let said = of(&[(info, metadata)]);
    assert_eq!(said, (0, "MIT".into(), "declared".into(), Vec::new()));
    let said = of(&[(info, metadata), ("w-1.0.dist-info/licenses/LICENSE", "License: MIT\n")]);
    assert_eq!(said, (0, "MIT".into(), "checked".into(), Vec::new()));
    let said = of(&[(info, metadata), ("w-1.0.dist-info/licenses/LICENSE", "License: GPL-3\n")]);
    assert_eq!(said, (1, "MIT".into(), "declared".into(), vec!["differs".to_owned()]));
    let said = of(&[(info, "Metadata-Version: 2.1\nName: w\nLicense: UNKNOWN\n")]);
    assert_eq!(said, (1, Value::Null, "unknown".into(), vec!["no-licence".to_owned()]));
    let said = of(&[("w/__init__.py", "")]);
    assert_eq!(said, (1, Value::Null, "unknown".into(), vec!["evidence-gone".to_owned()]));
    // One that is not in the cache is not known, which is no fault of it.
    std::fs::remove_dir_all(world.path("home/cache/wheels")).expect("they go");
    let (code, found) = licenses(&world, &[]);
    let wheel = fact(&found, "wheel", Some("w 1.0"));
    assert_eq!((code, &wheel["freedom"]), (0, &"unknown".into()));
    // One that is broken is named.
    let line = std::fs::read_to_string(world.path("tree/requirements.txt")).expect("a lock file");
    let digest = line.trim().rsplit(':').next().expect("a digest");
    world.write(&format!("home/cache/wheels/{digest}/w-1.0-py3-none-any.whl"), "no zip");
    assert_eq!(kinds(&licenses(&world, &[]).1, "w"), ["evidence-gone"]);
}

#[test]
fn the_whole_lineage_is_looked_at() {
    let world = World::new();
    trust(&world);
    let (code, found) = {
        let ran = world.run(["licenses", "docs-lm", "--json", "--check"]);
        (ran.code, ran.json())
    };
    // Most of docutils is in the public domain, and its own notice names what is not.
    assert_eq!((code, kinds(&found, "docutils")), (1, vec!["more-licences".to_owned()]));
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1));
    for data in ["networkx", "docutils", "mailman"] {
        assert_eq!(fact(&found, "data", Some(data))["level"], "checked");
        assert_eq!(fact(&found, "data", Some(data))["package"], "docs-corpus 1.0.0");
    }
    let packages: Vec<&Value> = found["facts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["what"] == "package")
        .map(|one| &one["level"])
        .collect();
    assert_eq!(packages, ["checked"; 3]);
    // From now on nobody need be asked.
    let again = world.run(["licenses", "docs-lm", "--json", "--offline"]).json();
    assert_eq!(again["findings"], found["findings"]);
    // Without the registry the source is nowhere, and what it was made of is not known.
    install(&world, &["docs-lm"]);
    world.write("home/registries.toml", "");
    std::fs::remove_dir_all(world.path("home/cache/packages")).expect("they go");
    let ran = world.run(["licenses", "docs-lm"]);
    assert_eq!(ran.code, 1);
    let gap = "the source of docs-lm 1.0.0 (f32) is not to be had: no registry is named";
    assert!(ran.stdout.contains(gap), "{}", ran.stdout);
    world.run(["licenses", "nothing/here"]).fails_with(&["it is no package name"]);
    world.run(["licenses"]).misuses("required");
}
