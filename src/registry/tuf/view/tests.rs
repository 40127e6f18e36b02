use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Mutex;

use super::*;
use crate::crypto::SigningKey;
use crate::explain::Explain as _;
use crate::registry::tuf::{DelegatedRole, Keys, Paths, Role};

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn now() -> jiff::Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn later() -> jiff::Timestamp {
    "2040-01-01T00:00:00Z".parse().unwrap()
}

fn past() -> jiff::Timestamp {
    "2029-12-31T23:59:59Z".parse().unwrap()
}

/// An operator's state, what is served of it, and a client's trusted folder.
struct Workshop {
    root: Root,
    root_keys: Vec<u8>,
    timestamp: Timestamp,
    snapshot: Snapshot,
    targets: Targets,
    delegated: BTreeMap<String, (Targets, u8)>,
    online: BTreeMap<TopLevel, u8>,
    served: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    folder: tempfile::TempDir,
    now: jiff::Timestamp,
}

impl Origin for Workshop {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let bytes = self.served.lock().unwrap().get(name).cloned();
        assert!(bytes.as_ref().is_none_or(|bytes| bytes.len() as u64 <= limit), "{name}");
        Ok(bytes)
    }

    fn target(&self, place: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.metadata(place, limit)
    }
}

impl Workshop {
    /// Root 1, all roles with version 1, published; the client trusts root 1.
    fn new() -> Self {
        let online = TopLevel::ALL.into_iter().zip([1, 2, 3, 4]).collect();
        let mut one = Self {
            root: Root::new(later()),
            root_keys: vec![1],
            timestamp: Timestamp::new(later(), MetaFile::version(1)),
            snapshot: Snapshot::new(later()),
            targets: Targets::new(later()),
            delegated: BTreeMap::new(),
            online,
            served: Mutex::default(),
            asked: Mutex::default(),
            folder: tempfile::tempdir().unwrap(),
            now: now(),
        };
        for role in TopLevel::ALL {
            one.set_key(role, one.online[&role]);
        }
        one.publish_root();
        let root = one.served.lock().unwrap()["1.root.json"].clone();
        one.shelf().write("root", &root).unwrap();
        one.publish();
        one
    }

    fn shelf(&self) -> Shelf {
        Shelf::at(self.folder.path())
    }

    fn set_key(&mut self, role: TopLevel, seed: u8) {
        self.root.set_role(role, [(*key(seed).public()).into()], ONE).unwrap();
        self.online.insert(role, seed);
    }

    fn serve(&self, name: &str, bytes: Vec<u8>) {
        self.served.lock().unwrap().insert(name.to_owned(), bytes);
    }

    fn publish_root(&self) {
        let keys: Vec<SigningKey> = self.root_keys.iter().map(|seed| key(*seed)).collect();
        let name = format!("{}.root.json", self.root.version());
        self.serve(&name, Envelope::signed(&self.root, &keys).to_bytes());
    }

    fn rotate_root(&mut self) {
        self.root.advance(later());
        self.publish_root();
    }

    fn signed<T: Metadata>(&self, metadata: &T, role: TopLevel) -> Vec<u8> {
        Envelope::signed(metadata, [&key(self.online[&role])]).to_bytes()
    }

    /// Signs and serves everything as it stands.
    fn publish(&mut self) {
        let mut files = vec![("targets".to_owned(), self.signed(&self.targets, TopLevel::Targets))];
        let mut versions = vec![self.targets.version()];
        for (name, (targets, seed)) in &self.delegated {
            files.push((name.clone(), Envelope::signed(targets, [&key(*seed)]).to_bytes()));
            versions.push(targets.version());
        }
        for ((name, bytes), version) in files.into_iter().zip(versions) {
            self.snapshot.set(&name, MetaFile::of(version, &bytes));
            self.serve(&format!("{version}.{}.json", encoded(&name).unwrap()), bytes);
        }
        self.publish_snapshot();
    }

    fn publish_snapshot(&mut self) {
        let bytes = self.signed(&self.snapshot, TopLevel::Snapshot);
        let version = self.snapshot.version();
        self.timestamp.set_snapshot(MetaFile::of(version, &bytes));
        self.serve(&format!("{version}.snapshot.json"), bytes);
        self.publish_timestamp();
    }

    fn publish_timestamp(&self) {
        self.serve("timestamp.json", self.signed(&self.timestamp, TopLevel::Timestamp));
    }

    /// The next version of targets, snapshot and timestamp.
    fn next(&mut self) {
        self.targets.advance(later());
        self.snapshot.advance(later());
        self.timestamp.advance(later());
        self.publish();
    }

    fn view(&self, shelf: &Shelf, reach: Reach) -> Result<()> {
        View::refresh(self, shelf, Clock::strict(self.now), reach).map(|_| ())
    }

    #[track_caller]
    fn refresh(&self) {
        self.view(&self.shelf(), Reach::Origin).unwrap();
    }

    /// The trusted files, by name.
    fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        files.map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap())).collect()
    }

    /// A refresh that is refused with this kind of error, and changes nothing.
    #[track_caller]
    fn refuses(&self, kind: &str) -> String {
        let before = self.kept();
        let error = self.view(&self.shelf(), Reach::Origin).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(self.kept(), before, "the trusted metadata changed");
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }

    #[track_caller]
    fn find(&self, path: &str) -> Result<Option<TargetFile>> {
        let shelf = self.shelf();
        View::refresh(self, &shelf, Clock::strict(self.now), Reach::Origin)?.find(path)
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Delegates `patterns` from `delegator` to a new or known role signed with key `seed`.
    fn delegate(&mut self, delegator: &str, name: &str, seed: u8, patterns: &[&str], ends: bool) {
        let mut keys = Keys::default();
        let role = Role { keyids: keys.add([(*key(seed).public()).into()]), threshold: ONE };
        let from = match delegator {
            "targets" => &mut self.targets,
            other => &mut self.delegated.get_mut(other).unwrap().0,
        };
        let delegations = from.delegations.get_or_insert_with(|| Delegations {
            keys: Keys::default(),
            roles: Some(Vec::new()),
            succinct_roles: None,
        });
        delegations.keys.add([(*key(seed).public()).into()]);
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        delegations.roles.as_mut().unwrap().push(DelegatedRole {
            name: name.to_owned(),
            role,
            terminating: ends,
            paths: Paths::Patterns(patterns),
        });
        self.delegated.entry(name.to_owned()).or_insert((Targets::new(later()), seed));
    }
}

#[test]
fn only_what_changed_is_fetched() {
    let mut one = Workshop::new();
    one.targets.targets.insert("a/b".to_owned(), TargetFile::of(b"contents"));
    one.publish();
    one.refresh();
    assert_eq!(
        one.take_asked(),
        ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    );
    let kept = one.kept();
    let served = one.served.lock().unwrap().clone();
    assert_eq!(kept["timestamp.json"], served["timestamp.json"]);
    assert_eq!(kept["targets.json"], served["1.targets.json"]);
    one.refresh();
    assert_eq!(one.take_asked(), ["2.root.json", "timestamp.json"]);
    one.timestamp.advance(later());
    one.publish_timestamp();
    one.refresh();
    assert_eq!(one.take_asked(), ["2.root.json", "timestamp.json"]);
    one.next();
    one.refresh();
    assert_eq!(one.take_asked().len(), 4);
    one.view(&one.shelf(), Reach::Kept).unwrap();
    assert!(one.take_asked().is_empty());
}

#[test]
fn a_target_is_fetched_once_and_checked() {
    let mut one = Workshop::new();
    let file = TargetFile::of(b"contents");
    one.targets.targets.insert("a/b".to_owned(), file.clone());
    one.publish();
    let place = format!("a/{}.b", file.hashes.sha256().unwrap());
    one.serve(&place, b"contents".to_vec());
    let shelf = one.shelf();
    let view = View::refresh(&one, &shelf, Clock::strict(now()), Reach::Origin).unwrap();
    assert_eq!(view.find("a/c").unwrap(), None);
    let found = view.find("a/b").unwrap().unwrap();
    let copies = tempfile::tempdir().unwrap();
    one.take_asked();
    for _ in 0..2 {
        assert_eq!(view.fetch("a/b", &found, Some(copies.path())).unwrap(), b"contents");
    }
    assert_eq!(one.take_asked(), std::slice::from_ref(&place));
    one.serve(&place, b"contentz".to_vec());
    let error = view.fetch("a/b", &found, None).unwrap_err();
    assert_eq!(error.kind(), "metadata-bytes");
    fs::write_atomically(&copies.path().join("a%2Fb"), b"contentz").unwrap();
    assert!(view.fetch("a/b", &found, Some(copies.path())).is_err());
}

#[test]
fn case_01_a_timestamp_version_that_goes_down() {
    let mut one = Workshop::new();
    let first = one.served.lock().unwrap()["timestamp.json"].clone();
    one.timestamp.advance(later());
    one.publish_timestamp();
    one.refresh();
    one.serve("timestamp.json", first);
    let message = one.refuses("metadata-rollback");
    assert!(message.contains("expected at least 2, found 1"), "{message}");
}

#[test]
fn case_02_a_snapshot_that_drops_or_lowers_a_role() {
    let mut one = Workshop::new();
    one.delegate("targets", "bins", 9, &["*"], true);
    one.next();
    one.refresh();
    // The snapshot's own version goes down, under a newer timestamp.
    let (snapshot, timestamp) = (one.snapshot.clone(), one.timestamp.clone());
    one.snapshot = Snapshot::new(later());
    one.timestamp.advance(later());
    one.publish();
    one.refuses("metadata-rollback");
    // A role is no longer in it.
    one.snapshot = Snapshot::new(later());
    one.snapshot.set("targets", MetaFile::version(2));
    (0..2).for_each(|_| one.snapshot.advance(later()));
    one.publish_snapshot();
    let before = one.kept();
    let error = one.view(&one.shelf(), Reach::Origin).unwrap_err();
    assert_eq!(error.kind(), "metadata-rollback", "{error:?}");
    assert_eq!(one.kept()["snapshot.json"], before["snapshot.json"]);
    // A role's version goes down.
    one.snapshot = snapshot;
    one.timestamp = timestamp;
    (0..2).for_each(|_| one.timestamp.advance(later()));
    one.snapshot.advance(later());
    one.snapshot.set("targets", MetaFile::version(1));
    one.publish_snapshot();
    assert_eq!(one.view(&one.shelf(), Reach::Origin).unwrap_err().kind(), "metadata-rollback");
}

#[test]
fn case_03_metadata_that_has_expired() {
    for role in TopLevel::ALL {
        let mut one = Workshop::new();
        one.refresh();
        match role {
            TopLevel::Root => {
                one.root.advance(past());
                one.publish_root();
            }
            TopLevel::Timestamp => {
                one.timestamp.advance(past());
                one.publish_timestamp();
            }
            TopLevel::Snapshot => {
                one.snapshot.advance(past());
                one.timestamp.advance(later());
                one.publish();
            }
            TopLevel::Targets => {
                one.targets.advance(past());
                one.snapshot.advance(later());
                one.timestamp.advance(later());
                one.publish();
            }
        }
        let shelf = one.shelf();
        let error = one.view(&shelf, Reach::Origin).unwrap_err();
        assert_eq!(error.kind(), "metadata-expired", "{role}: {error:?}");
        assert!(error.hint().unwrap().contains("--accept-stale-until"));
        let kept = shelf.read(role.as_str(), 1 << 20).unwrap().unwrap();
        let version = if role == TopLevel::Root { 2 } else { 1 };
        let text = String::from_utf8(kept).unwrap();
        assert!(text.contains(&format!("\"version\":{version}}}")), "{role}: {text}");
        // It is accepted where somebody says so, and until then alone.
        let until = |time: &str| Clock { now: now(), stale_until: Some(time.parse().unwrap()) };
        let at = |clock| View::refresh(&one, &shelf, clock, Reach::Origin);
        assert!(at(until("2030-01-01T00:00:00Z")).is_err());
        let view = at(until("2030-01-01T00:00:01Z")).unwrap();
        assert_eq!(view.stale(), [(role, past())]);
    }
}

#[test]
fn what_is_kept_works_offline_until_it_expires() {
    let mut one = Workshop::new();
    let none = one.view(&one.shelf(), Reach::Kept).unwrap_err();
    assert_eq!(none.kind(), "no-copy");
    one.refresh();
    one.take_asked();
    one.view(&one.shelf(), Reach::Kept).unwrap();
    one.now = later();
    assert_eq!(one.view(&one.shelf(), Reach::Kept).unwrap_err().kind(), "metadata-expired");
    assert!(one.take_asked().is_empty());
}

#[test]
fn an_expired_timestamp_still_says_what_is_older() {
    let mut one = Workshop::new();
    one.timestamp.advance("2030-01-02T00:00:00Z".parse().unwrap());
    one.publish_timestamp();
    one.refresh();
    one.now = "2031-01-01T00:00:00Z".parse().unwrap();
    one.timestamp = Timestamp::new(later(), one.timestamp.snapshot().clone());
    one.publish_timestamp();
    one.refuses("metadata-rollback");
    one.timestamp.advance(later());
    one.timestamp.advance(later());
    one.publish_timestamp();
    one.refresh();
}

#[test]
fn case_05_a_bin_of_another_snapshot() {
    let mut one = Workshop::new();
    let bins = Delegations::bins("bins", 1, [(*key(9).public()).into()], ONE).unwrap();
    one.targets.delegations = Some(bins);
    for name in ["bins-0", "bins-1"] {
        one.delegated.insert(name.to_owned(), (Targets::new(later()), 9));
    }
    one.next();
    let old = one.served.lock().unwrap()["1.bins-0.json"].clone();
    for (targets, _) in one.delegated.values_mut() {
        targets.targets.insert("x".to_owned(), TargetFile::of(b"x"));
        targets.advance(later());
    }
    one.next();
    let paths = ["a", "b", "c", "d", "e", "f"];
    let bins = one.targets.delegations.as_ref().unwrap().succinct_roles.clone().unwrap();
    let path = *paths.iter().find(|path| bins.name_for(path) == "bins-0").unwrap();
    one.serve("2.bins-0.json", old);
    assert_eq!(one.find(path).unwrap_err().kind(), "metadata-bytes");
    assert!(!one.kept().contains_key("bins-0.json"));
    // Without hashes in the snapshot its version tells.
    one.snapshot.set("bins-0", MetaFile::version(2));
    one.snapshot.advance(later());
    one.timestamp.advance(later());
    one.publish_snapshot();
    assert_eq!(one.find(path).unwrap_err().kind(), "metadata-version");
    assert!(!one.kept().contains_key("bins-0.json"));
}

#[test]
fn case_10_roots_signed_by_the_old_or_the_new_keys_alone() {
    for signers in [vec![1], vec![7], vec![]] {
        let mut one = Workshop::new();
        one.refresh();
        one.set_key(TopLevel::Root, 7);
        one.root_keys = signers;
        one.rotate_root();
        one.refuses("too-few-signatures");
        one.root_keys = vec![1, 7];
        one.publish_root();
        one.refresh();
        assert_eq!(one.kept()["root.json"], one.served.lock().unwrap()["2.root.json"]);
    }
}

#[test]
fn case_10_a_root_version_that_is_skipped() {
    let mut one = Workshop::new();
    one.refresh();
    one.root.advance(later());
    one.root.advance(later());
    let keys = [key(1)];
    one.serve("2.root.json", Envelope::signed(&one.root, &keys).to_bytes());
    let message = one.refuses("metadata-version");
    assert!(message.contains("the version is 3; expected 2"), "{message}");
    // The same root again under the next name.
    let first = one.served.lock().unwrap()["1.root.json"].clone();
    one.serve("2.root.json", first);
    one.refuses("metadata-version");
}

#[test]
fn roots_are_followed_one_by_one_and_kept() {
    let mut one = Workshop::new();
    for seed in 11..15 {
        one.root_keys.push(seed);
        one.set_key(TopLevel::Root, seed);
        one.rotate_root();
        one.root_keys.remove(0);
    }
    // The last one has too few signatures: those before it are kept.
    one.set_key(TopLevel::Root, 20);
    one.rotate_root();
    let error = one.view(&one.shelf(), Reach::Origin).unwrap_err();
    assert_eq!(error.kind(), "too-few-signatures");
    assert_eq!(one.kept()["root.json"], one.served.lock().unwrap()["5.root.json"]);
}

#[test]
fn case_11_recovery_from_a_timestamp_key_that_ran_ahead() {
    let mut one = Workshop::new();
    // The thief signs a timestamp and, with the snapshot key, a snapshot far ahead.
    let (timestamp, snapshot) = (one.timestamp.clone(), one.snapshot.clone());
    for _ in 0..1000 {
        one.timestamp.advance(later());
        one.snapshot.advance(later());
    }
    one.publish();
    one.refresh();
    // The operator takes the keys away and goes on from where things were.
    one.timestamp = timestamp;
    one.snapshot = snapshot;
    one.set_key(TopLevel::Timestamp, 22);
    one.set_key(TopLevel::Snapshot, 23);
    one.rotate_root();
    one.next();
    one.refresh();
    let kept: serde_json::Value = serde_json::from_slice(&one.kept()["timestamp.json"]).unwrap();
    assert_eq!(kept["signed"]["version"], 2);
    // What the thief signed is worth nothing now.
    one.set_key(TopLevel::Timestamp, 2);
    (0..9).for_each(|_| one.timestamp.advance(later()));
    one.publish_timestamp();
    one.refuses("too-few-signatures");
}

#[test]
fn a_new_key_beside_the_old_ones_lets_no_version_go_down() {
    let mut one = Workshop::new();
    one.next();
    one.refresh();
    let keys = [2, 22].map(|seed| (*key(seed).public()).into());
    one.root.set_role(TopLevel::Timestamp, keys, ONE).unwrap();
    one.rotate_root();
    one.timestamp = Timestamp::new(later(), one.timestamp.snapshot().clone());
    one.publish_timestamp();
    let error = one.view(&one.shelf(), Reach::Origin).unwrap_err();
    assert_eq!(error.kind(), "metadata-rollback");
}

#[test]
fn case_12_documents_that_are_no_metadata() {
    for bad in [
        b"".to_vec(),
        b"{}".to_vec(),
        b"<html>".to_vec(),
        b"\xff\xfe".to_vec(),
        "[".repeat(10_000).into_bytes(),
        br#"{"signatures":[],"signed":{"version":1.5}}"#.to_vec(),
        br#"{"signatures":[],"signatures":[],"signed":{}}"#.to_vec(),
    ] {
        let one = Workshop::new();
        one.refresh();
        for name in ["timestamp.json", "2.root.json"] {
            let before = one.served.lock().unwrap().get(name).cloned();
            one.serve(name, bad.clone());
            let before_kept = one.kept();
            assert!(one.view(&one.shelf(), Reach::Origin).is_err());
            assert_eq!(one.kept(), before_kept);
            match before {
                Some(bytes) => one.serve(name, bytes),
                None => drop(one.served.lock().unwrap().remove(name)),
            }
        }
        // A kept document that was damaged is fetched again.
        one.shelf().write("timestamp", &bad).unwrap();
        one.shelf().write("snapshot", &bad).unwrap();
        one.refresh();
        one.shelf().write("root", &bad).unwrap();
        let message = one.refuses(one.view(&one.shelf(), Reach::Origin).unwrap_err().kind());
        assert!(message.contains("the trusted root"), "{message}");
    }
}

#[test]
fn case_13_roles_with_odd_names() {
    for name in ["../../x", "/etc/x", "a?b", "a#b", "%2e%2e", "a\0b", "a b", "\u{1b}[31m"] {
        let mut one = Workshop::new();
        one.delegate("targets", name, 9, &["*"], true);
        one.next();
        assert_eq!(one.find("missing").unwrap(), None, "{name:?}");
        let asked = one.take_asked().pop().unwrap();
        assert_eq!(asked, format!("1.{}.json", encoded(name).unwrap()));
        assert!(!asked.contains(['/', '?', '#', '\0', ' ']), "{asked}");
        assert_eq!(one.kept().len(), 5, "{name:?}");
    }
    for name in ["", "root", "timestamp", "snapshot", "targets"] {
        let mut one = Workshop::new();
        one.delegate("targets", name, 9, &["*"], true);
        one.delegated.clear();
        one.next();
        assert_eq!(one.find("missing").unwrap_err().kind(), "metadata-form", "{name:?}");
    }
}

#[test]
fn case_14_a_role_cached_under_the_keys_of_another_delegator() {
    let mut one = Workshop::new();
    // The role `c` is reached through `a`, which names key 9 for it, and through `b`, which names
    // another: what was believed for one path is not for the other.
    one.delegate("targets", "a", 5, &["x/*"], false);
    one.delegate("targets", "b", 6, &["y/*"], false);
    one.delegate("a", "c", 9, &["*/*"], false);
    one.delegate("b", "c", 8, &["*/*"], false);
    let targets = &mut one.delegated.get_mut("c").unwrap().0.targets;
    targets.insert("x/1".to_owned(), TargetFile::of(b"x"));
    targets.insert("y/1".to_owned(), TargetFile::of(b"y"));
    one.next();
    assert!(one.find("x/1").unwrap().is_some());
    assert!(one.kept().contains_key("c.json"));
    assert_eq!(one.find("y/1").unwrap_err().kind(), "too-few-signatures");
    let view_shelf = one.shelf();
    let view = View::refresh(&one, &view_shelf, Clock::strict(now()), Reach::Origin).unwrap();
    assert!(view.find("x/1").unwrap().is_some());
    assert!(view.find("y/1").is_err());
    // The same in a run that may not fetch.
    let view = View::refresh(&one, &view_shelf, Clock::strict(now()), Reach::Kept).unwrap();
    assert!(view.find("x/1").unwrap().is_some());
    assert!(view.find("y/1").is_err());
}

#[test]
fn roles_are_asked_depth_first_and_each_once() {
    let mut one = Workshop::new();
    one.delegate("targets", "A", 5, &["*"], false);
    one.delegate("targets", "B", 5, &["*"], false);
    one.delegate("A", "C", 5, &["*"], false);
    one.delegate("A", "D", 5, &["*.py"], false);
    one.delegate("C", "A", 5, &["*"], false);
    one.delegate("B", "E", 5, &["*"], true);
    one.delegate("B", "F", 5, &["*"], false);
    one.next();
    assert_eq!(one.find("missing").unwrap(), None);
    let asked: Vec<String> = one.take_asked().into_iter().skip(4).collect();
    assert_eq!(asked, ["1.A.json", "1.C.json", "1.B.json", "1.E.json"]);
}

#[test]
fn no_chain_of_roles_is_endless() {
    let mut one = Workshop::new();
    one.delegate("targets", "r0", 5, &["*"], false);
    for number in 0..50 {
        one.delegate(&format!("r{number}"), &format!("r{}", number + 1), 5, &["*"], false);
    }
    one.next();
    assert_eq!(one.find("missing").unwrap(), None);
    assert_eq!(one.take_asked().len(), 4 + MOST_ROLES);
}

#[test]
fn a_file_that_is_vouched_for_must_be_there() {
    for name in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let one = Workshop::new();
        one.served.lock().unwrap().remove(name);
        let error = one.view(&one.shelf(), Reach::Origin).unwrap_err();
        assert_eq!(error.kind(), "metadata-missing");
        assert!(error.to_string().contains(name), "{error}");
    }
    let one = Workshop::new();
    std::fs::remove_file(one.folder.path().join("root.json")).unwrap();
    assert_eq!(one.view(&one.shelf(), Reach::Origin).unwrap_err().kind(), "no-trusted-root");
}

#[test]
fn the_same_timestamp_version_with_other_contents_is_nothing_new() {
    let mut one = Workshop::new();
    one.refresh();
    let before = one.kept();
    one.timestamp.set_snapshot(MetaFile::version(100));
    one.publish_timestamp();
    one.refresh();
    assert_eq!(one.kept(), before);
}

#[test]
fn registries_without_consistent_snapshots_are_read() {
    let mut one = Workshop::new();
    one.root.consistent_snapshot = false;
    one.rotate_root();
    one.targets.targets.insert("a/b".to_owned(), TargetFile::of(b"c"));
    one.publish();
    for name in ["snapshot", "targets"] {
        let bytes = one.served.lock().unwrap().remove(&format!("1.{name}.json")).unwrap();
        one.serve(&format!("{name}.json"), bytes);
    }
    one.serve("a/b", b"c".to_vec());
    let shelf = one.shelf();
    let view = View::refresh(&one, &shelf, Clock::strict(now()), Reach::Origin).unwrap();
    let file = view.find("a/b").unwrap().unwrap();
    assert_eq!(view.fetch("a/b", &file, None).unwrap(), b"c");
}
