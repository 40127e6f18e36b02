//! `mpkg registry serve`, judged by curl.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

/// A server that ends with the test.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(world: &World) -> Self {
        let mut command = world.mpkg();
        command.args(["registry", "serve", "--bind", "127.0.0.1:0"]).arg(world.path("registry"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, address }
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Finished {
        let mut command = Command::new("curl");
        command.args(["--silent", "--path-as-is"]).args(arguments);
        Finished::of(command.arg(format!("{}{path}", self.address))).succeeds()
    }

    fn status(&self, arguments: &[&str], path: &str) -> String {
        let all = [&["--output", "/dev/null", "--write-out", "%{http_code}"], arguments].concat();
        self.curl(&all, path).stdout
    }

    /// Sends bytes as they are, and gives all that comes back until the end.
    fn raw(&self, request: &str) -> String {
        let host = self.address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn some_blob(world: &World) -> (String, Vec<u8>) {
    let blobs = walkdir::WalkDir::new(world.path("registry/blobs"));
    let blob = blobs.into_iter().flatten().find(|one| one.file_type().is_file()).unwrap();
    let path = blob.path().strip_prefix(world.path("registry")).unwrap();
    (path.display().to_string(), std::fs::read(blob.path()).unwrap())
}

#[test]
fn curl_gets_files_heads_and_ranges() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0").file("big.bin", vec![7; 300_000])]);
    let serving = Serving::start(&world);
    let (path, bytes) = some_blob(&world);
    let goal = world.path("got").display().to_string();

    serving.curl(&["--output", &goal], &path);
    assert_eq!(std::fs::read(&goal).unwrap(), bytes);
    let head = serving.curl(&["--head"], &path).stdout;
    let digest = path.rsplit('/').next().unwrap();
    for line in [
        "HTTP/1.1 200 OK".to_owned(),
        format!("Content-Length: {}", bytes.len()),
        format!("ETag: \"{digest}\""),
        "Accept-Ranges: bytes".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} is not in {head}");
    }
    let some = |range: &str, more: &[&str]| {
        let all = [&["--range", range, "--output", &goal, "--write-out", "%{http_code}"], more];
        let status = serving.curl(&all.concat(), &path).stdout;
        (status, std::fs::read(&goal).unwrap())
    };
    assert_eq!(some("10-19", &[]), ("206".to_owned(), bytes[10..20].to_vec()));
    assert_eq!(some("-5", &[]), ("206".to_owned(), bytes[bytes.len() - 5..].to_vec()));
    let same = format!("If-Range: \"{digest}\"");
    assert_eq!(some("10-", &["-H", &same]), ("206".to_owned(), bytes[10..].to_vec()));
    assert_eq!(some("10-", &["-H", "If-Range: \"other\""]), ("200".to_owned(), bytes.clone()));
    assert_eq!(some("0-1,4-5", &[]), ("200".to_owned(), bytes.clone()));
    let beyond = format!("{}-", bytes.len());
    assert_eq!(serving.status(&["--range", &beyond], &path), "416");
    let known = format!("If-None-Match: \"{digest}\"");
    assert_eq!(serving.status(&["-H", &known], &path), "304");

    // Two requests over one connection.
    let verbose =
        serving.curl(&["-v", "--next", "--silent", &serving.address], "mpkg-registry.json");
    let said = format!("{}{}", verbose.stdout, verbose.stderr);
    assert!(said.contains("Re-using existing connection"), "{said}");
}

#[test]
fn nothing_but_files_of_the_registry_is_served() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    world.write("secret.json", "outside");
    world.write("registry/index/.hidden.json", "hidden");
    std::os::unix::fs::symlink(world.path("secret.json"), world.path("registry/index/link.json"))
        .unwrap();
    std::fs::create_dir(world.path("registry/index/folder.json")).unwrap();
    let serving = Serving::start(&world);
    assert_eq!(serving.status(&[], "mpkg-registry.json"), "200");
    for path in [
        "",
        "index",
        "index/",
        "index/.hidden.json",
        "index/link.json",
        "index/folder.json",
        "../secret.json",
        "index/../../secret.json",
        "index/..%2f..%2fsecret.json",
        "index/%2e%2e/%2e%2e/secret.json",
        "index/..%5c..%5csecret.json",
        "index/lm.json%00",
        "/etc/passwd",
        ".mpkg-lock",
        "index/nothing.json",
        "%ff",
    ] {
        assert_eq!(serving.status(&[], path), "404", "{path:?}");
    }
    assert_eq!(serving.status(&["--request", "POST"], "mpkg-registry.json"), "405");
    assert_eq!(serving.status(&["--data", "body"], "mpkg-registry.json"), "413");
    assert!(serving.raw("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(serving.raw("GET / HTTP/1.1\r\na\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(10_000));
    assert!(serving.raw(&long).starts_with("HTTP/1.1 431 "));
    assert_eq!(serving.status(&[], "mpkg-registry.json"), "200", "it still answers");
}

#[test]
fn several_are_served_at_once_and_mpkg_installs_from_it() {
    let world = World::new();
    world.publish(&[Recipe::new("lm", "1.0.0").file("big.bin", vec![7; 300_000])]);
    let serving = Serving::start(&world);
    // Clients that say nothing hold nobody up.
    let host = serving.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(&host).unwrap()).collect();
    world.trust(&serving.address, "served");
    let mut command = world.mpkg();
    command.args(["--registry", "served", "install", "lm"]);
    Finished::of(&mut command).succeeds();
    drop(silent);
    let file = world.path("home/profiles/default/current/packages/lm/big.bin");
    assert_eq!(std::fs::read(file).unwrap(), vec![7; 300_000]);
}

#[test]
fn a_folder_that_is_no_registry_is_not_served() {
    let world = World::new();
    world.write("folder/file", "x");
    world.run(["registry", "serve", "folder"]).fails_with(&["is not a registry"]);
    world.publish(&[Recipe::new("lm", "1.0.0")]);
    let serving = Serving::start(&world);
    let taken = serving.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut command = world.mpkg();
    command.args(["registry", "serve", "--bind", &taken]).arg(world.path("registry"));
    Finished::of(&mut command).fails_with(&["cannot listen on", "another port"]);
}
