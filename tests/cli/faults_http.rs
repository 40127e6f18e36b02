//! Case 40: servers that fail and lie. The old state stays, and only verified bytes are used.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::server::{Answer, Request, Server};
use crate::support::{Finished, World};
use crate::transfer::{client, file_of, install, lm, weights};

/// The bytes of the package that these tests install, roughly.
const ALL: usize = 8 << 20;

/// A world with a registry that has `lm` 1.0.0.
fn world() -> World {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..8)]);
    world
}

/// Whether this is a request for chunks of the package: it, its tables and its index are all of
/// one file, and chunks come last.
fn asks_for_chunks(request: &Request) -> bool {
    request.path.contains("/blobs/")
        && request.range().is_some_and(|(start, _)| start > 0)
        && request.before > 1
}

/// Serves the registry of `world`, with `change` in the way of requests for chunks, which it is
/// told how many came before.
fn serve(
    world: &World,
    change: impl Fn(&Request, usize, Answer) -> Answer + Send + Sync + 'static,
) -> Server {
    let (root, number) = (world.path("registry"), AtomicUsize::new(0));
    Server::start(move |request| {
        let answer = file_of(&root, request);
        if asks_for_chunks(request) {
            change(request, number.fetch_add(1, Ordering::SeqCst), answer)
        } else {
            answer
        }
    })
}

/// The answer of a server that has only the first `limit` bytes of a file.
fn up_to(limit: usize, request: &Request, answer: Answer) -> Answer {
    match request.range() {
        Some((start, _)) if start < limit => answer.cut(limit - start),
        _ => Answer::status(503),
    }
}

/// Asserts that nothing is installed and nothing is left but what can be used.
#[track_caller]
fn is_as_before(world: &World) {
    assert_eq!(world.run(["list"]).succeeds().stdout, "");
    let packages = std::fs::read_dir(world.path("home/store/packages")).unwrap().count();
    assert_eq!(packages, 0);
}

/// Asserts that `lm` is installed whole.
#[track_caller]
fn is_installed(world: &World) {
    world.run(["verify"]).succeeds();
    let path = world.path("home/profiles/default/current/packages/lm/model.safetensors");
    assert!(std::fs::read(path).unwrap() == weights(0..8));
    let left = std::fs::read_dir(world.path("home/store/unfinished"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

#[test]
fn case_40_a_server_that_dies_half_way_and_recovers() {
    let world = world();
    let server = serve(&world, |_, number, answer| match number {
        0 => answer.cut(1_500_000),
        1 => Answer::status(500).header("Retry-After", "0"),
        _ => answer,
    });
    install(&world, &server.url(""), "lm").succeeds();
    is_installed(&world);
    assert!(server.sent() < ALL + (2 << 20), "{}", server.sent());
}

#[test]
fn case_40_a_server_that_dies_for_good_and_a_run_that_takes_up_what_came() {
    let world = world();
    let dying = serve(&world, |_, _, answer| answer.cut(3_000_000));
    let failed = install(&world, &dying.url(""), "lm");
    // Each attempt brought the transfer on; so this one ends only when all of it is here.
    failed.succeeds();
    is_installed(&world);

    let world = self::world();
    let dead = serve(&world, |request, _, answer| up_to(5_500_000, request, answer));
    install(&world, &dead.url(""), "lm").fails_with(&["answers 503"]);
    is_as_before(&world);
    let good = world.serve("registry");
    install(&world, &good.url(""), "lm").succeeds();
    assert!(good.sent() < ALL - (4 << 20), "{}", good.sent());
    is_installed(&world);
}

#[test]
fn case_40_what_was_left_is_used_only_as_far_as_it_is_right() {
    let world = world();
    let dead = serve(&world, |request, _, answer| up_to(5_500_000, request, answer));
    install(&world, &dead.url(""), "lm").fails_with(&["answers 503"]);
    let staging = world.path("home/store/staging");
    let left = walkdir::WalkDir::new(staging).into_iter().filter_map(Result::ok);
    let left =
        left.map(walkdir::DirEntry::into_path).find(|path| path.ends_with("model.safetensors"));
    let left = left.expect("something is left");
    let mut bytes = std::fs::read(&left).unwrap();
    assert!(bytes.len() > 4 << 20, "{}", bytes.len());
    bytes[1_500_000] ^= 1;
    std::fs::write(&left, bytes).unwrap();
    let good = world.serve("registry");
    install(&world, &good.url(""), "lm").succeeds();
    assert!(good.sent() < ALL - (3 << 20), "{}", good.sent());
    is_installed(&world);
}

#[test]
fn case_40_a_server_that_stalls() {
    let world = world();
    let server = serve(&world, |_, _, answer| answer.held(1000));
    let arguments = ["install", "lm", "--timeout", "1", "--retries", "0"];
    let failed = Finished::of(client(&world, &server.url("")).args(arguments));
    failed.fails_with(&["stalled after", "--timeout SECONDS"]);
    is_as_before(&world);
    install(&world, &world.serve("registry").url(""), "lm").succeeds();
    is_installed(&world);
}

#[test]
fn case_40_a_server_that_ignores_ranges() {
    let world = world();
    let root = world.path("registry");
    let server = Server::start(move |request| {
        let mut whole = request.clone();
        whole.headers.remove("range");
        file_of(&root, &whole)
    });
    let done = install(&world, &server.url(""), "lm").succeeds();
    assert!(done.stderr.contains("; fetched 8"), "{}", done.stderr);
    is_installed(&world);
}

#[test]
fn case_40_a_server_that_begins_to_ignore_ranges() {
    let world = world();
    let root = world.path("registry");
    let server = serve(&world, move |request, _, _| {
        let mut whole = request.clone();
        whole.headers.remove("range");
        file_of(&root, &whole)
    });
    install(&world, &server.url(""), "lm").fails_with(&["gives no parts of the file"]);
    is_as_before(&world);
}

#[test]
fn case_40_a_server_that_lies_about_the_length() {
    for (change, message) in [(1_i64, "has the wrong size"), (-1, "has the wrong size")] {
        let world = world();
        let server = serve(&world, move |request, _, answer| {
            let (start, end) = request.range().unwrap();
            let all = file_size(&answer).saturating_add_signed(change.try_into().unwrap());
            let end = end.unwrap().min(all);
            Answer::whole(&vec![0; end - start]).partial(start, all)
        });
        install(&world, &server.url(""), "lm").fails_with(&[message]);
        is_as_before(&world);
    }
    // More than was asked for is not read.
    let world = world();
    let server = serve(&world, |_, _, answer| answer.longer(5000));
    install(&world, &server.url(""), "lm").succeeds();
    is_installed(&world);
}

/// The size of the whole file in an answer with a part of it.
fn file_size(answer: &Answer) -> usize {
    answer.header_value("Content-Range").unwrap().rsplit_once('/').unwrap().1.parse().unwrap()
}

#[test]
fn case_40_endless_bodies() {
    let world = world();
    // Where a part was asked for, and where the whole has to do.
    let in_parts = serve(&world, |request, _, answer| {
        let (start, end) = request.range().unwrap();
        Answer::endless().length(end.unwrap() - start).partial(start, file_size(&answer))
    });
    install(&world, &in_parts.url(""), "lm")
        .fails_with(&["frame 1 is wrong: its bytes are damaged"]);
    is_as_before(&world);
    let root = world.path("registry");
    let whole = Server::start(move |request| match request.path.contains("/blobs/") {
        true => Answer::endless(),
        false => file_of(&root, request),
    });
    install(&world, &whole.url(""), "lm").fails_with(&["has the wrong size", "found more"]);
    is_as_before(&world);
}

#[test]
fn case_40_a_file_that_changes_between_two_ranges() {
    let world = world();
    let root = Arc::new(world.path("registry"));
    let other = Arc::clone(&root);
    let server = serve(&world, move |request, number, answer| {
        if number == 0 {
            return answer.cut(1_000_000);
        }
        let path = other.join(request.path.trim_start_matches('/'));
        let mut bytes = std::fs::read(path).unwrap();
        bytes.iter_mut().skip(4 << 20).for_each(|byte| *byte ^= 1);
        Answer::file(request, &bytes, "\"other\"")
    });
    install(&world, &server.url(""), "lm").fails_with(&["its bytes are damaged"]);
    is_as_before(&world);
    install(&world, &world.serve("registry").url(""), "lm").succeeds();
    is_installed(&world);
}

#[test]
fn case_40_tables_that_are_not_those_of_the_index() {
    let world = world();
    let root = world.path("registry");
    let server = Server::start(move |request| {
        let path = root.join(request.path.trim_start_matches('/'));
        let Ok(mut bytes) = std::fs::read(path) else { return Answer::status(404) };
        if request.path.contains("/blobs/") {
            let place = bytes.len() - 300;
            bytes[place] ^= 1;
        }
        Answer::file(request, &bytes, "\"tag\"")
    });
    install(&world, &server.url(""), "lm").fails_with(&["has the wrong digest"]);
    is_as_before(&world);
}

/// The program below `shell`, asking the registry at `address`.
fn below(world: &World, mut command: Command, address: &str) -> Command {
    let mpkg = world.mpkg();
    command.current_dir(world.root()).env_clear();
    command.envs(mpkg.get_envs().filter_map(|(name, value)| Some((name, value?))));
    world.trust_as_own(address);
    command.env("MPKG_REGISTRY", address);
    command
}

#[test]
fn case_40_a_disk_that_fills_while_a_package_comes_in() {
    let world = world();
    let server = world.serve("registry");
    let mpkg = world.mpkg();
    let mut command = below(&world, Command::new("sh"), &server.url(""));
    // Files may grow to 4 MB: the same failure in the same places as a disk that is full.
    command.args(["-c"]).arg(format!(
        "trap '' XFSZ; ulimit -f 8000; exec {} install lm",
        mpkg.get_program().display()
    ));
    Finished::of(&mut command).fails_with(&["cannot write", "model.safetensors"]);
    is_as_before(&world);
    let left = std::fs::read_dir(world.path("home/store/staging")).unwrap().count();
    assert_eq!(left, 0, "what is left would keep the disk full");
    install(&world, &server.url(""), "lm").succeeds();
    is_installed(&world);
}

#[test]
fn case_40_syncs_that_fail_while_a_package_comes_in() {
    let world = world();
    let server = world.serve("registry");
    for number in [1, 3, 5] {
        let mpkg = world.mpkg();
        let mut command = below(&world, Command::new("strace"), &server.url(""));
        command
            .args(["-f", "-qq", "-o", "/dev/null", "--trace=fsync,fdatasync"])
            .arg(format!("--inject=fsync,fdatasync:error=EIO:when={number}"))
            .arg(mpkg.get_program())
            .args(["install", "lm"]);
        Finished::of(&mut command).fails_with(&["cannot sync", "Input/output error"]);
        is_as_before(&world);
    }
    install(&world, &server.url(""), "lm").succeeds();
    is_installed(&world);
}

#[test]
fn case_39_killed_while_a_package_comes_in() {
    let world = world();
    let server = world.serve("registry");
    for number in [1, 20, 60, 120] {
        let mpkg = world.mpkg();
        let mut command = below(&world, Command::new("strace"), &server.url(""));
        command
            .args(["-f", "-qq", "-o", "/dev/null", "--trace=write,pwrite64"])
            .arg(format!("--inject=write,pwrite64:signal=KILL:when={number}"))
            .arg(mpkg.get_program())
            .args(["install", "lm"]);
        let status = command.status().expect("strace starts");
        if status.success() {
            break;
        }
        is_as_before(&world);
    }
    install(&world, &server.url(""), "lm").succeeds();
    is_installed(&world);
}
