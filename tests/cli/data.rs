//! Tests of data references: fetching from servers that fail in every way they can.

mod archives;
mod tools;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::support::World;
use super::support::server::{Answer, Request, Server};

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    mpkg::package::Digest::of(bytes).to_string()
}

/// Bytes that do not repeat.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// `[[data]]` named `plays` at `urls`, with the digest and size of `bytes`, and more keys.
pub fn reference(urls: &[&str], bytes: &[u8], more: &str) -> String {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    format!(
        "[[data]]\nname = \"plays\"\nurls = [{}]\nsha256 = \"{}\"\nsize = {}\n\
         license = \"CC0-1.0\"\n{more}\n",
        urls.join(", "),
        sha256(bytes),
        bytes.len(),
    )
}

/// A world with a source tree in `tree` that has this data.
pub fn tree(data: &str) -> World {
    let world = World::new();
    let mut manifest = String::from(
        "[package]\nname = \"plays\"\nversion = \"1.0.0\"\nkind = \"dataset\"\n\
         summary = \"Plays\"\nlicense = \"CC0-1.0\"\nmaintainers = [\"A <a@example.org>\"]\n\n",
    );
    let _ = write!(manifest, "{data}\n[[step]]\nname = \"copy\"\nrun = [\"true\"]\n\n");
    manifest.push_str(
        "[[variant]]\nname = \"all\"\ndefault = true\nfrom = \"copy\"\nfiles = [\"*\"]\n",
    );
    world.write("tree/mpkg.toml", manifest);
    world
}

const FETCH: [&str; 4] = ["fetch", "tree", "--json", "--retries=1"];

/// The names of what lies in the cache's folder `name`, without folders and stamps.
pub fn cached(world: &World, name: &str) -> Vec<String> {
    fn collect(folder: &Path, names: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.map(|entry| entry.expect("an entry")) {
            if entry.path().is_dir() {
                collect(&entry.path(), names);
            } else {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    let mut names = Vec::new();
    collect(&world.path("home/cache").join(name), &mut names);
    names
}

#[track_caller]
fn keeps_nothing(world: &World) {
    assert_eq!(cached(world, "sha256"), Vec::<String>::new());
    assert_eq!(cached(world, "partial"), Vec::<String>::new());
}

#[track_caller]
fn fetched_bytes(world: &World) -> Vec<u8> {
    let found = world.run(FETCH).succeeds().json();
    std::fs::read(found["data"][0]["path"].as_str().expect("a path")).expect("the data")
}

/// The ranges that were asked for.
fn starts(server: &Server) -> Vec<Option<usize>> {
    server.requests().iter().map(Request::range_start).collect()
}

#[test]
fn a_fetched_file_is_kept_and_found_again_offline() {
    let server = Server::of(b"to be");
    let world = tree(&reference(&[&server.url("/plays.txt")], b"to be", ""));
    let plan = world.run(["fetch", "tree", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(plan["to_fetch"], 5);
    assert!(server.requests().is_empty());

    world.run(["fetch", "tree", "--offline"]).fails_with(&[
        "data `plays`",
        "plays.txt",
        "not in the cache",
        "offline",
        "hint:",
    ]);
    let first = world.run(FETCH).succeeds().json();
    assert_eq!(first["data"][0]["provenance"]["address"], server.url("/plays.txt"));
    assert_eq!(first["data"][0]["license"], "CC0-1.0");
    drop(server);
    let again = world.run(["fetch", "tree", "--json", "--offline"]).succeeds().json();
    assert_eq!(again["data"][0]["provenance"]["kind"], "cache");
    let plan = world.run(["fetch", "tree", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(plan["to_fetch"], 0);
}

#[test]
fn what_the_environment_lacks_is_said_while_fetching() {
    let server = Server::of(b"to be");
    let data = reference(&[&server.url("/plays")], b"to be", "");
    let world =
        tree(&format!("[environment]\nsystem = [{{ program = \"no-such-program\" }}]\n\n{data}"));
    world.run(FETCH).fails_with(&["no-such-program"]);
    assert_eq!(cached(&world, "sha256"), [sha256(b"to be")]);
}

#[test]
fn resume_asks_for_the_rest_alone() {
    let bytes = noise(1_500_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let answer = Answer::file(request, &served, "\"1\"");
        if request.before == 0 { answer.cut(800_000) } else { answer }
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    assert!(fetched_bytes(&world) == bytes);
    assert_eq!(starts(&server), [None, Some(800_000)]);
    assert_eq!(server.requests()[1].headers["if-range"], "\"1\"");
}

#[test]
fn a_server_that_always_dies_is_given_up_and_gone_on_with_later() {
    let bytes = noise(900_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let answer = Answer::file(request, &served, "\"1\"");
        match request.before {
            0 => answer.cut(600_000),
            1 | 2 => answer.cut(0),
            _ => answer,
        }
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    world.run(["fetch", "tree", "--retries=2"]).fails_with(&[
        &server.url("/plays"),
        "broke off after 600000 of 900000 bytes",
        "run the same command again",
    ]);
    assert_eq!(cached(&world, "sha256"), Vec::<String>::new());
    assert!(fetched_bytes(&world) == bytes);
    assert_eq!(starts(&server)[3], Some(600_000));
    assert_eq!(cached(&world, "partial"), Vec::<String>::new());
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let bytes = noise(700_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let answer = Answer::whole(&served);
        if request.before == 0 { answer.cut(500_000) } else { answer }
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    assert!(fetched_bytes(&world) == bytes);
    assert_eq!(starts(&server), [None, Some(500_000)]);
}

#[test]
fn a_server_that_refuses_ranges_is_read_from_the_start() {
    let bytes = noise(700_000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.before {
        0 => Answer::whole(&served).cut(500_000),
        1 => Answer::status(416),
        _ => Answer::whole(&served),
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    assert!(fetched_bytes(&world) == bytes);
    assert_eq!(starts(&server), [None, Some(500_000), None]);
}

#[test]
fn a_file_that_changed_under_a_resume_is_read_from_the_start() {
    let (old, new) = (vec![b'o'; 700_000], noise(700_000));
    let served = new.clone();
    let server = Server::start(move |request| match request.before {
        0 => Answer::file(request, &old, "\"old\"").cut(500_000),
        _ => Answer::file(request, &served, "\"new\""),
    });
    let world = tree(&reference(&[&server.url("/plays")], &new, ""));
    assert!(fetched_bytes(&world) == new);
    assert_eq!(server.requests()[1].headers["if-range"], "\"old\"");
}

#[test]
fn parts_of_two_files_without_tags_are_never_taken_for_one() {
    let (old, new) = (vec![b'o'; 700_000], noise(700_000));
    let served = new.clone();
    let server = Server::start(move |request| {
        let bytes = if request.before == 0 { &old } else { &served };
        match request.range_start() {
            Some(start) => Answer::whole(&bytes[start..]).partial(start, bytes.len()),
            None => Answer::whole(bytes).cut(if request.before == 0 { 500_000 } else { 700_000 }),
        }
    });
    let world = tree(&reference(&[&server.url("/plays")], &new, ""));
    assert!(fetched_bytes(&world) == new);
    assert_eq!(starts(&server), [None, Some(500_000), None]);
}

#[test]
fn a_part_that_was_not_asked_for_is_no_answer() {
    let bytes = noise(700_000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.before {
        0 => Answer::whole(&served).cut(500_000),
        1 => Answer::whole(&served[1000..]).partial(1000, served.len()),
        _ => Answer::whole(&served),
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    assert!(fetched_bytes(&world) == bytes);
}

#[test]
fn a_server_that_recovers_is_asked_again() {
    for status in [500, 503, 429] {
        let server = Server::start(move |request| match request.before {
            0 => Answer::status(status).header("Retry-After", "0"),
            _ => Answer::whole(b"to be"),
        });
        let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
        assert_eq!(fetched_bytes(&world), b"to be");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_server_that_stays_broken_is_named() {
    let server = Server::start(|_| Answer::status(500));
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&[&server.url("/plays"), "answers 500"]);
    assert_eq!(server.requests().len(), 2);
    keeps_nothing(&world);
}

#[test]
fn a_missing_file_is_asked_for_once() {
    let server = Server::start(|_| Answer::status(404));
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&[&server.url("/plays"), "is not there"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_body_longer_than_stated_is_refused_before_it_is_read() {
    let server = Server::start(|_| Answer::whole(b"to be or not to be").held(0));
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&[&server.url("/plays"), "expected 5 bytes, found 18"]);
    assert_eq!(server.requests().len(), 1);
    keeps_nothing(&world);
}

#[test]
fn an_endless_body_is_cut_off() {
    let server = Server::start(|_| Answer::endless());
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&[&server.url("/plays"), "expected 5 bytes, found more"]);
    assert_eq!(server.requests().len(), 1);
    keeps_nothing(&world);
}

#[test]
fn a_server_that_lies_about_the_length_is_refused() {
    let more = Server::start(|_| Answer::whole(b"to be or not").length(5).without_length());
    let world = tree(&reference(&[&more.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&["expected 5 bytes, found more"]);
    keeps_nothing(&world);

    let less = Server::start(|_| Answer::whole(b"to").length(5).cut(2));
    let world = tree(&reference(&[&less.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&["broke off after 2 of 5 bytes"]);
    assert_eq!(cached(&world, "sha256"), Vec::<String>::new());

    let shorter = Server::start(|_| Answer::whole(b"to"));
    let world = tree(&reference(&[&shorter.url("/plays")], b"to be", ""));
    world.run(FETCH).fails_with(&["expected 5 bytes, found 2"]);
    keeps_nothing(&world);
}

#[test]
fn silence_is_a_stall() {
    let server = Server::start(|_| Answer::whole(b"to be").held(2));
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    let result = world.run(["fetch", "tree", "--retries=0", "--timeout=1"]);
    result.fails_with(&[&server.url("/plays"), "stalled after 2 bytes", "--timeout"]);
}

#[test]
fn a_few_bytes_a_second_are_a_stall() {
    let server = Server::start(|_| Answer::drip());
    let world = tree(&reference(&[&server.url("/plays")], &[b'.'; 1000], ""));
    let result = world.run(["fetch", "tree", "--retries=0", "--timeout=1"]);
    result.fails_with(&[&server.url("/plays"), "stalled after", "fewer than 64"]);
}

#[test]
fn a_wrong_digest_names_the_address_and_both_digests() {
    let server = Server::of(b"to me");
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    let (expected, found) = (sha256(b"to be"), sha256(b"to me"));
    let result = world.run(FETCH).fails_with(&[
        "data `plays`",
        &server.url("/plays"),
        &format!("expected {expected}"),
        &format!("found {found}"),
    ]);
    assert_eq!(result.json()["error"]["kind"], "wrong-digest");
    assert_eq!(server.requests().len(), 1);
    keeps_nothing(&world);
}

#[test]
fn the_next_address_is_tried_and_all_failures_are_listed() {
    let server = Server::start(|request| match request.path.as_str() {
        "/gone" => Answer::status(410),
        "/wrong" => Answer::whole(b"to me"),
        _ => Answer::whole(b"to be"),
    });
    let urls = ["/gone", "/wrong", "/right"].map(|path| server.url(path));
    let urls = urls.each_ref().map(String::as_str);
    let world = tree(&reference(&urls[..2], b"to be", ""));
    world.run(FETCH).fails_with(&[
        "none of its 2 addresses",
        &format!("\n  {} is not there", urls[0]),
        &format!("\n  {} has the wrong digest", urls[1]),
    ]);
    keeps_nothing(&world);
    let world = tree(&reference(&urls, b"to be", ""));
    let found = world.run(FETCH).succeeds().json();
    assert_eq!(found["data"][0]["provenance"]["address"], urls[2]);
}

#[test]
fn a_mirror_goes_on_where_another_died() {
    let bytes = noise(900_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let answer = Answer::file(request, &served, &format!("{:?}", request.path));
        if request.path == "/first" { answer.cut(600_000) } else { answer }
    });
    let urls = ["/first", "/second"].map(|path| server.url(path));
    let world = tree(&reference(&urls.each_ref().map(String::as_str), &bytes, ""));
    world.run(["fetch", "tree", "--retries=0"]).succeeds();
    let last = server.requests().pop().expect("a request");
    assert_eq!((last.path.as_str(), last.range_start()), ("/second", Some(600_000)));
    assert_eq!(last.headers.get("if-range"), None);
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::start(|request| match request.path.as_str() {
        "/plays" => Answer::status(302).header("Location", "/moved"),
        "/round" => Answer::status(302).header("Location", "/round"),
        _ => Answer::whole(b"to be"),
    });
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    assert_eq!(fetched_bytes(&world), b"to be");
    let world = tree(&reference(&[&server.url("/round")], b"to be", ""));
    world.run(FETCH).fails_with(&[&server.url("/round"), "redirects more than 10 times"]);
}

#[test]
fn nobody_there() {
    let url = Server::of(b"").url("/plays");
    let world = tree(&reference(&[&url], b"to be", ""));
    world.run(FETCH).fails_with(&["cannot reach", &url]);
    keeps_nothing(&world);
}

#[test]
fn the_client_says_who_it_is_and_takes_no_compression() {
    let server = Server::of(b"to be");
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.run(FETCH).succeeds();
    let headers = &server.requests()[0].headers;
    assert!(headers["user-agent"].starts_with("mpkg/"), "{headers:?}");
    assert_eq!(headers.get("accept-encoding"), None);
}

#[test]
fn secrets_in_addresses_are_not_shown() {
    let server = Server::of(b"to me");
    let url = server.url("/plays?token=hush&part=1");
    let world = tree(&reference(&[&url], b"to be", ""));
    let result = world.run(["fetch", "tree", "-vv"]).fails_with(&["token=***&part=1"]);
    assert!(!result.stderr.contains("hush"), "{}", result.stderr);
    assert_eq!(server.requests()[0].path, "/plays?token=hush&part=1");
}

#[test]
fn killed_half_way_then_again() {
    let bytes = noise(1_500_000);
    let served = bytes.clone();
    let (sent, half_way) = channel();
    let sent = Mutex::new(sent);
    let server = Server::start(move |request| {
        let answer = Answer::file(request, &served, "\"1\"");
        if request.before > 0 {
            return answer;
        }
        sent.lock().expect("no panic").send(()).expect("the test waits");
        answer.held(1_000_000)
    });
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    let mut mpkg = world
        .mpkg()
        .args(FETCH)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    half_way.recv().expect("a request");
    let part = world.path("home/cache/partial").join(format!("{}.part", sha256(&bytes)));
    while part.metadata().map_or(0, |found| found.len()) < 500_000 {
        std::thread::yield_now();
    }
    mpkg.kill().expect("it runs");
    mpkg.wait().expect("it ends");
    assert_eq!(cached(&world, "sha256"), Vec::<String>::new());

    assert!(fetched_bytes(&world) == bytes);
    let start = starts(&server)[1].expect("a range");
    assert!((500_000..=1_000_000).contains(&start), "{start}");
    assert_eq!(server.requests()[1].headers["if-range"], "\"1\"");
}

#[test]
fn two_at_once_fetch_one_file_once() {
    let bytes = noise(400_000);
    let server = Server::of(&bytes);
    let world = tree(&reference(&[&server.url("/plays")], &bytes, ""));
    let start = || {
        let mut command = world.mpkg();
        command.args(FETCH).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    };
    for process in [start(), start(), start()] {
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let server = Server::of(b"to be");
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    world.write("home/cache/partial", "a file in the way");
    let place = world.path("home/cache/partial");
    world.run(FETCH).fails_with(&["cannot create the folder", &place.display().to_string()]);
    assert!(server.requests().is_empty());
}

#[test]
fn a_damaged_cached_file_is_fetched_again() {
    let server = Server::of(b"to be");
    let world = tree(&reference(&[&server.url("/plays")], b"to be", ""));
    let path = world.run(FETCH).succeeds().json()["data"][0]["path"].clone();
    let path = Path::new(path.as_str().expect("a path"));
    std::fs::remove_file(path).expect("it is there");
    std::fs::write(path, "to me").expect("written");
    assert_eq!(fetched_bytes(&world), b"to be");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn shards_are_fetched_in_parallel_and_selected_before() {
    let server = Server::start(|request| Answer::whole(request.path.as_bytes()));
    let mut list = String::new();
    for number in 0..40 {
        let path = format!("/part-{number}");
        let _ = writeln!(
            list,
            "{{\"urls\": [\"{}\"], \"sha256\": \"{}\", \"size\": {}, \"path\": \"{}/{number}.txt\"}}",
            server.url(&path),
            sha256(path.as_bytes()),
            path.len(),
            if number < 30 { "train" } else { "test" },
        );
    }
    let data = "[[data]]\nname = \"plays\"\nshards = \"shards.jsonl\"\nlicense = \"CC0-1.0\"\n\
                select = [\"train/*.txt\"]\n";
    let world = tree(data);
    world.write("tree/shards.jsonl", &list);
    let found = world.run(FETCH).succeeds().json();
    let data = &found["data"][0];
    assert_eq!(data["files"], 30);
    assert_eq!(data["provenance"]["fetched"], 30);
    let folder = Path::new(data["path"].as_str().expect("a path"));
    assert_eq!(std::fs::read_to_string(folder.join("train/7.txt")).expect("a shard"), "/part-7");
    assert!(!folder.join("test").exists());
    let again = world.run(FETCH).succeeds().json();
    assert_eq!(again["data"][0]["provenance"]["cached"], 30);
    assert_eq!(again["data"][0]["digest"], data["digest"]);
    assert_eq!(server.requests().len(), 30);

    world.write(
        "tree/shards.jsonl",
        list.replace("\"path\": \"train/7.txt\"", "\"path\": \"../7\""),
    );
    world.run(FETCH).fails_with(&["data `plays`", "shards.jsonl:8", "\"../7\""]);
}

#[test]
fn data_in_the_tree_is_checked_where_a_digest_is_stated() {
    let data = |digest: &str| {
        format!(
            "[[data]]\nname = \"plays\"\npath = \"plays.txt\"\nsha256 = \"{digest}\"\n\
             license = \"CC0-1.0\"\n"
        )
    };
    let world = tree(&data(&sha256(b"to be")));
    world.run(FETCH).fails_with(&["plays.txt in the tree is not there"]);
    world.write("tree/plays.txt", "to be");
    assert_eq!(fetched_bytes(&world), b"to be");
    world.write("tree/plays.txt", "to me");
    world.run(FETCH).fails_with(&["plays.txt", &sha256(b"to be"), &sha256(b"to me"), "hint:"]);
}

#[test]
fn check_asks_every_address_and_keeps_nothing() {
    let server = Server::start(|request| match request.path.as_str() {
        "/short" => Answer::whole(b"to"),
        "/wrong" => Answer::whole(b"to me"),
        "/gone" => Answer::status(404),
        _ => Answer::whole(b"to be"),
    });
    let urls = ["/right", "/short", "/wrong", "/gone"].map(|path| server.url(path));
    let world = tree(&reference(&urls.each_ref().map(String::as_str), b"to be", ""));
    let verdicts = |flags: &[&str]| {
        let found = world.run(["fetch", "tree", "--json", "--check"].iter().chain(flags).copied());
        assert_eq!(found.code, 1);
        let found = found.json();
        let addresses = found["addresses"].as_array().expect("a list").clone();
        addresses.iter().map(|one| one["fault"]["kind"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        verdicts(&[]),
        [serde_json::Value::Null, "wrong-size".into(), serde_json::Value::Null, "not-there".into()]
    );
    assert_eq!(
        verdicts(&["--full"]),
        [serde_json::Value::Null, "wrong-size".into(), "wrong-digest".into(), "not-there".into()]
    );
    keeps_nothing(&world);

    let world = tree(&reference(&[&server.url("/right")], b"to be", ""));
    world.run(["fetch", "tree", "--check", "--full"]).succeeds();
    keeps_nothing(&world);
}
