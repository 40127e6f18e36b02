//! A registry served by nginx, as a distribution would: a plain static server, and nothing else.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mpkg::package::Digest;

use crate::support::packages::Recipe;
use crate::support::{Finished, World};

/// An nginx of our own, in the foreground, that ends with the test.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Serves the folder `registry` of `world`.
    fn start(world: &World) -> Self {
        // Who is free a moment later is found out by trying.
        for _ in 0..20 {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            if let Some(nginx) = Self::on(world, port) {
                return nginx;
            }
        }
        panic!("nginx found no free port: {}", log(world));
    }

    fn on(world: &World, port: u16) -> Option<Self> {
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let folder = world.root().display();
        let configuration = format!(
            "daemon off; {user} worker_processes 1; pid {folder}/nginx.pid;\n\
             error_log {folder}/nginx.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n  access_log off; client_body_temp_path {folder}/t1;\n\
               proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
               uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
               server {{ listen 127.0.0.1:{port}; root {folder}/registry; }}\n}}\n"
        );
        let file = world.write("nginx.conf", configuration);
        let mut command = Command::new("nginx");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("-c").arg(file);
        command.arg("-p").arg(world.root()).arg("-e").arg(world.path("nginx.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("nginx is there (package nginx-light)");
        let mut nginx = Self { child, port };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(nginx);
            }
            if nginx.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::yield_now();
        }
        None
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master process takes its worker along when it is asked to end.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn log(world: &World) -> String {
    std::fs::read_to_string(world.path("nginx.log")).unwrap_or_default()
}

#[test]
fn a_registry_with_offline_keys_served_by_nginx() {
    let world = World::new();
    let at = |home: &str, arguments: &[&str]| {
        let mut command = world.mpkg();
        command.env("MPKG_HOME", world.path(home)).args(arguments);
        Finished::of(&mut command)
    };
    for one in ["alice", "bob"] {
        at(one, &["key", "new", one]).succeeds();
        let pem = at(one, &["key", "export", one]).succeeds().stdout;
        world.write(&format!("{one}.pem"), pem);
    }
    // The server has the online keys and those of the packages' publisher.
    world.key("me");
    for key in ["online", "clock"] {
        world.run(["key", "new", key]).succeeds();
    }
    let init = [
        "registry",
        "init",
        "registry",
        "--root-key",
        "alice.pem",
        "bob.pem",
        "--root-threshold",
        "2",
        "--online-key",
        "online",
        "--timestamp-key",
        "clock",
        "--out",
        "first.draft",
    ];
    world.run(init).succeeds();
    at("alice", &["registry", "sign", "first.draft"]).succeeds();
    at("bob", &["registry", "sign", "first.draft"]).succeeds();
    world.run(["registry", "apply", "registry", "first.draft"]).succeeds();
    world.publish(&[
        Recipe::new("lib", "1.0.0").file("big.bin", vec![7; 300_000]),
        Recipe::new("app", "1.0.0").needs("lib", "^1"),
    ]);

    let nginx = Nginx::start(&world);
    let root = std::fs::read(world.path("registry/metadata/1.root.json")).unwrap();
    let digest = Digest::of(&root).to_string();
    let add = ["registry", "add", &nginx.address(), "--name", "main", "--root-sha256", &digest];
    at("user", &add).succeeds();
    at("user", &["search", "app"]).succeeds();
    at("user", &["install", "app"]).succeeds();

    world.publish(&[Recipe::new("lib", "1.1.0")]);
    at("user", &["upgrade"]).succeeds();
    assert!(at("user", &["list"]).succeeds().stdout.contains("lib  1.1.0"));
    at("user", &["rollback"]).succeeds();
    assert!(at("user", &["list"]).succeeds().stdout.contains("lib  1.0.0"));
    at("user", &["verify"]).succeeds();

    // A copy over HTTP is carried to a machine without a network.
    at("user", &["registry", "mirror", "main", "stick.tar", "app", "--bundle"]).succeeds();

    // A new timestamp key, the old one stolen: readers go along, and what the thief signs from
    // now on is refused.
    let stolen = std::fs::read(world.path("registry/metadata/timestamp.json")).unwrap();
    world.run(["key", "new", "clock-2"]).succeeds();
    let rotate = [
        "registry",
        "rotate",
        "registry",
        "--role",
        "timestamp",
        "--add",
        "clock-2",
        "--remove",
        "clock",
        "--out",
        "second.draft",
    ];
    world.run(rotate).succeeds();
    at("alice", &["registry", "sign", "second.draft"]).succeeds();
    at("bob", &["registry", "sign", "second.draft"]).succeeds();
    world.run(["registry", "apply", "registry", "second.draft"]).succeeds();
    world.publish(&[Recipe::new("lib", "1.2.0")]);
    at("user", &["install", "lib@=1.2.0"]).succeeds();
    std::fs::write(world.path("registry/metadata/timestamp.json"), stolen).unwrap();
    let refused = at("user", &["search", "app"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("timestamp"), "{}", refused.stderr);
    drop(nginx);

    at("island", &["--offline", "registry", "unbundle", "stick.tar", "copy"]).succeeds();
    let add = ["--offline", "registry", "add", "copy", "--root-sha256", &digest];
    at("island", &add).succeeds();
    at("island", &["--offline", "install", "app"]).succeeds();
    let list = at("island", &["list"]).succeeds().stdout;
    assert!(list.contains("lib  1.1.0"), "{list}");
}
