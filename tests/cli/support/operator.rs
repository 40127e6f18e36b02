//! An operator who signs whatever a test wants.

use std::path::Path;

use mpkg::registry::tuf::{Envelope, MetaFile, Metadata, Snapshot, TargetFile, Targets, Timestamp};

use super::{Finished, World};

fn read<T: Metadata>(path: &Path) -> T {
    let bytes = std::fs::read(path).expect("a document");
    Envelope::parse(&bytes, bytes.len()).and_then(|envelope| envelope.read()).expect("metadata")
}

impl World {
    /// Trusts the registry at `location`, whatever it says, and configures it as `name`.
    #[track_caller]
    pub fn trust(&self, location: &str, name: &str) {
        self.run(["registry", "add", location, "--name", name, "--tofu"]).succeeds();
    }

    /// Trusts the folder `registry` in the home folder `home`, if it does not yet.
    #[track_caller]
    pub fn trust_in(&self, home: &str) {
        if !self.path(home).join("trust/registries/registry").exists() {
            let (home, registry) = (self.path(home), self.path("registry"));
            let mut command = self.mpkg();
            command.args(["registry", "add", "--tofu", "--home"]).arg(home).arg(registry);
            Finished::of(&mut command).succeeds();
        }
    }

    /// Believes what is served at `address` as it does the folder `registry`, which it made.
    pub fn trust_as_own(&self, address: &str) {
        let config = self.path("home/registries.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let line = format!("location = \"{address}\"");
        if text.contains(&line) {
            return;
        }
        let name = format!("served-{}", text.matches("[[registry]]").count());
        let own = std::fs::read_dir(self.path("home/trust/registries/registry")).expect("trust");
        for file in own.flatten() {
            let bytes = std::fs::read(file.path()).expect("a file");
            let file = file.file_name().into_string().expect("a name");
            self.write(&format!("home/trust/registries/{name}/{file}"), bytes);
        }
        let more = format!("{text}\n[[registry]]\nname = \"{name}\"\n{line}\n");
        std::fs::write(config, more).expect("the configuration");
    }

    /// What the folder `registry` says at `target`.
    pub fn said(&self, target: &str) -> Vec<u8> {
        let (folder, name) = target.rsplit_once('/').expect("a folder");
        let ending = format!(".{name}");
        let files = std::fs::read_dir(self.path("registry").join(folder)).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        let mut found: Vec<_> =
            paths.filter(|path| path.to_string_lossy().ends_with(&ending)).collect();
        found.sort_by_key(|path| {
            path.metadata().and_then(|found| found.modified()).expect("a time")
        });
        std::fs::read(found.last().expect("a target")).expect("its bytes")
    }

    /// Makes the folder `registry` say `bytes` at `target`, properly signed with its online key.
    pub fn say(&self, target: &str, bytes: &[u8]) {
        let folder = self.path("registry/metadata");
        let key = self.key("registry-online");
        let timestamp: Timestamp = read(&folder.join("timestamp.json"));
        let expires = timestamp.head().expires;
        let version = timestamp.snapshot().version;
        let snapshot: Snapshot = read(&folder.join(format!("{version}.snapshot.json")));
        let listed = |role: &str| snapshot.get(role).expect("a listed role").version;
        let top: Targets = read(&folder.join(format!("{}.targets.json", listed("targets"))));
        let bin = top.delegations.unwrap().succinct_roles.unwrap().name_for(target);
        let mut targets: Targets = read(&folder.join(format!("{}.{bin}.json", listed(&bin))));
        let file = TargetFile::of(bytes);
        let (start, name) = target.rsplit_once('/').expect("a folder");
        let place = format!("registry/{start}/{}.{name}", file.hashes.sha256().unwrap());
        self.write(&place, bytes);
        targets.targets.insert(target.to_owned(), file);
        targets.advance(expires);
        let signed = Envelope::signed(&targets, [&key]).to_bytes();
        std::fs::write(folder.join(format!("{}.{bin}.json", targets.version())), &signed).unwrap();
        let mut snapshot = snapshot;
        snapshot.set(&bin, MetaFile::of(targets.version(), &signed));
        snapshot.advance(expires);
        let signed = Envelope::signed(&snapshot, [&key]).to_bytes();
        let version = snapshot.version();
        std::fs::write(folder.join(format!("{version}.snapshot.json")), &signed).unwrap();
        self.sign_timestamp(expires, MetaFile::of(version, &signed));
    }

    /// Signs a new timestamp of the folder `registry`, which vouches for this snapshot.
    pub fn sign_timestamp(&self, expires: jiff::Timestamp, snapshot: MetaFile) {
        let path = self.path("registry/metadata/timestamp.json");
        let mut timestamp: Timestamp = read(&path);
        timestamp.set_snapshot(snapshot);
        timestamp.advance(expires);
        let key = self.key("registry-online");
        std::fs::write(path, Envelope::signed(&timestamp, [&key]).to_bytes()).unwrap();
    }

    /// Signs a timestamp of the folder `registry` that expires at `expires`.
    pub fn expire(&self, expires: &str) {
        let timestamp: Timestamp = read(&self.path("registry/metadata/timestamp.json"));
        self.sign_timestamp(expires.parse().expect("a time"), timestamp.snapshot().clone());
    }

    /// Runs the program in another home folder of this world.
    pub fn elsewhere<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        Finished::of(self.mpkg().env("MPKG_HOME", self.path("other")).args(arguments))
    }
}
