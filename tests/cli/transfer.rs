//! How packages come here: only what is missing, in parts, through proxies, and taken up again.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::packages::Recipe;
use crate::support::server::{Answer, Request, Server};
use crate::support::{Finished, World};

/// The bytes of a tensor.
const TENSOR: usize = 1 << 20;

/// Weights in safetensors: a tensor of noise for each seed.
pub fn weights(seeds: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (place, seed) in seeds.into_iter().enumerate() {
        let (from, to) = (place * TENSOR, (place + 1) * TENSOR);
        header.push(format!(
            "\"t{place:02}\":{{\"dtype\":\"U8\",\"shape\":[{TENSOR}],\"data_offsets\":[{from},{to}]}}"
        ));
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        data.extend(
            std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .take(TENSOR / 8)
            .flatten(),
        );
    }
    let header = format!("{{{}}}", header.join(","));
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}

/// A package of these weights and a small file.
pub fn lm(version: &str, seeds: impl IntoIterator<Item = u64>) -> Recipe {
    Recipe::new("lm", version).file("model.safetensors", weights(seeds))
}

/// The program, asking the registry at `address`.
pub fn client(world: &World, address: &str) -> Command {
    world.trust_as_own(address);
    let mut command = world.mpkg();
    command.arg("--registry").arg(address);
    command
}

/// Installs with short patience.
pub fn install(world: &World, address: &str, what: &str) -> Finished {
    let arguments = ["install", what, "--timeout", "1", "--retries", "1"];
    Finished::of(client(world, address).args(arguments))
}

/// A file of the folder `root`.
pub fn file_of(root: &Path, request: &Request) -> Answer {
    match std::fs::read(root.join(request.path.trim_start_matches('/'))) {
        Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
        Err(_) => Answer::status(404),
    }
}

#[test]
fn a_release_with_a_tenth_changed_fetches_a_tenth() {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..20)]);
    let server = world.serve("registry");
    install(&world, &server.url(""), "lm").succeeds();
    let all = server.sent();
    assert!((20 << 20..21 << 20).contains(&all), "{all}");

    let changed = (0..20).map(|place| if place % 10 == 3 { 100 + place } else { place });
    world.publish(&[lm("1.1.0", changed.clone())]);
    let command = ["upgrade", "--dry-run", "--json"];
    let plan = Finished::of(client(&world, &server.url("")).args(command)).succeeds().json();
    let (fetch, saved) = (&plan["packages"][0]["fetch-size"], &plan["packages"][0]["saved-size"]);
    let (fetch, saved) = (fetch.as_u64().unwrap(), saved.as_u64().unwrap());
    assert!(fetch * 100 <= 11 * (fetch + saved), "{fetch} and {saved}");

    let before = server.sent();
    let done = Finished::of(client(&world, &server.url("")).arg("upgrade")).succeeds();
    let sent = server.sent() - before;
    assert!(sent * 100 <= 11 * all, "{sent} of {all}");
    assert!(done.stderr.contains(" MB to fetch, 18.8 MB here already"), "{}", done.stderr);
    assert!(done.stderr.contains(" MB, saved 18.8 MB"), "{}", done.stderr);
    world.run(["verify"]).succeeds();
    let installed = world.path("home/profiles/default/current/packages/lm/model.safetensors");
    assert!(std::fs::read(installed).unwrap() == weights(changed));
}

#[test]
fn chunks_of_packages_in_the_cache_are_not_fetched() {
    let world = World::new();
    let pairs = world.publish(&[lm("1.0.0", 0..10)]);
    let package = std::fs::read(&pairs[0].binary).unwrap();
    let digest = mpkg::package::Digest::of(&package).to_string();
    world.write(&format!("home/cache/sha256/{}/{digest}", &digest[..2]), &package);
    world.publish(&[lm("1.1.0", [0, 1, 2, 3, 44, 5, 6, 7, 8, 9])]);
    let server = world.serve("registry");
    install(&world, &server.url(""), "lm").succeeds();
    assert!(server.sent() < 2 << 20, "{}", server.sent());
    world.run(["verify"]).succeeds();
}

#[test]
fn a_damaged_package_is_mended_with_what_is_damaged_alone() {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..10)]);
    let server = world.serve("registry");
    install(&world, &server.url(""), "lm").succeeds();
    let link = world.path("home/profiles/default/current/packages/lm/model.safetensors");
    let path = std::fs::canonicalize(link).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5 * TENSOR] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    world.run(["verify"]).fails_with(&["mpkg reinstall lm"]);
    let before = server.sent();
    Finished::of(client(&world, &server.url("")).args(["reinstall", "lm"])).succeeds();
    let sent = server.sent() - before;
    assert!(sent < 2 << 20, "{sent}");
    world.run(["verify"]).succeeds();
}

#[test]
fn two_at_once_fetch_a_package_once() {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..6)]);
    let server = world.serve("registry");
    let children: Vec<_> = (0..2)
        .map(|_| {
            let mut command = client(&world, &server.url(""));
            command.args(["install", "lm"]).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert!(server.sent() < 7 << 20, "{}", server.sent());
    world.run(["verify"]).succeeds();
}

/// A server that takes whole addresses, as proxies do.
fn proxy(world: &World) -> Server {
    let root = world.path("registry");
    Server::start(move |request| {
        let path = request.path.strip_prefix("http://registry.invalid");
        match path {
            Some(path) => file_of(&root, &Request { path: path.to_owned(), ..request.clone() }),
            None => Answer::status(400),
        }
    })
}

#[test]
fn proxies_come_from_the_environment() {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..1)]);
    let proxy = proxy(&world);
    let address = proxy.url("").replace("http://", "http://me:hidden@");
    let mut command = client(&world, "http://registry.invalid");
    command.env("http_proxy", &address).args(["install", "lm", "-vv"]);
    let done = Finished::of(&mut command).succeeds();
    assert!(!done.stderr.contains("hidden"), "{}", done.stderr);
    let asked = proxy.requests();
    assert!(asked.iter().all(|request| request.headers.contains_key("proxy-authorization")));
    world.run(["verify"]).succeeds();

    let before = proxy.requests().len();
    let direct = world.serve("registry");
    for names in [["HTTP_PROXY", "NO_PROXY"], ["all_proxy", "no_proxy"]] {
        let mut command = client(&world, &direct.url(""));
        command.env(names[0], &address).env(names[1], "127.0.0.1").args(["info", "lm"]);
        Finished::of(&mut command).succeeds();
    }
    assert_eq!(proxy.requests().len(), before);
    let mut command = client(&world, "http://registry.invalid");
    command.env("ALL_PROXY", "not an address: hidden").args(["info", "lm"]);
    let failed = Finished::of(&mut command).fails_with(&["$all_proxy is not a proxy's address"]);
    assert!(!failed.stderr.contains("hidden"), "{}", failed.stderr);
}

#[test]
fn passwords_in_addresses_are_sent_and_never_shown() {
    let world = World::new();
    world.publish(&[lm("1.0.0", 0..1)]);
    let server = world.serve("registry");
    let address = server.url("").replace("http://", "http://me:hidden@");
    let done = Finished::of(client(&world, &address).args(["install", "lm", "-vv", "--json"]));
    let done = done.succeeds();
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains("hidden"), "{text}");
    }
    let asked = server.requests();
    assert!(asked.iter().all(|request| request.headers.contains_key("authorization")));
    for entry in walkdir::WalkDir::new(world.path("home")) {
        let path = entry.unwrap().into_path();
        // The configuration of registries is for its owner alone.
        if path.is_file() && !path.ends_with("registries.toml") {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(6).any(|part| part == b"hidden");
            assert!(!found, "{}", path.display());
        }
    }
}
