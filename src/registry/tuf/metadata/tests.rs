use super::*;
use crate::crypto::{SigningKey, canonical};

const ONE: NonZeroU32 = NonZeroU32::MIN;
const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn time(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

fn root() -> Root {
    let mut root = Root::new(time("2126-01-01T00:00:00Z"));
    root.set_role(TopLevel::Root, [1, 2, 3].map(|seed| (*key(seed).public()).into()), TWO).unwrap();
    for role in [TopLevel::Timestamp, TopLevel::Snapshot, TopLevel::Targets] {
        root.set_role(role, [(*key(4).public()).into()], ONE).unwrap();
    }
    root
}

fn parse(bytes: &[u8]) -> Result<Envelope> {
    Envelope::parse(bytes, 1 << 20)
}

/// A root as JSON, changed, with whatever signatures it had.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Root> {
    let envelope = Envelope::signed(&root(), [&key(1), &key(2)]);
    let mut document: Value = serde_json::from_slice(&envelope.to_bytes()).unwrap();
    change(&mut document);
    let envelope = parse(document.to_string().as_bytes())?;
    let root: Root = envelope.read()?;
    root.demand(TopLevel::Root, &envelope).map(|()| root)
}

#[test]
fn what_is_written_is_canonical_and_reads_back() {
    let mut targets = Targets::delegating(
        time("2030-01-01T00:00:00.5Z"),
        Delegations::bins("bins", 4, [(*key(4).public()).into()], ONE).unwrap(),
    );
    targets.targets.insert("index/lm.json".to_owned(), TargetFile::of(b"{}"));
    targets.advance(time("2031-01-01T00:00:00Z"));
    let envelope = Envelope::signed(&targets, [&key(4)]);
    let bytes = envelope.to_bytes();
    assert!(canonical::is_canonical(&bytes));
    assert_eq!(parse(&bytes).unwrap(), envelope);
    let read: Targets = envelope.read().unwrap();
    assert_eq!((&read, read.version()), (&targets, 2));
    assert!(root().demand(TopLevel::Targets, &envelope).is_ok());
    assert!(root().demand(TopLevel::Root, &envelope).is_err());
    assert!(!read.is_expired(time("2030-12-31T23:59:59Z")));
    assert!(read.is_expired(time("2031-01-01T00:00:00Z")));
}

#[test]
fn signatures_can_be_gathered_one_by_one() {
    let root = root();
    let mut envelope = Envelope::unsigned(&root);
    assert!(matches!(
        root.demand(TopLevel::Root, &envelope),
        Err(Error::Threshold { needed: 2, found: 0 })
    ));
    for seed in [3, 3, 9, 1] {
        envelope = parse(&envelope.to_bytes()).unwrap();
        envelope.sign(&key(seed));
    }
    root.demand(TopLevel::Root, &envelope).unwrap();
    assert_eq!(envelope.key_ids().count(), 3);
}

#[test]
fn members_that_are_not_known_are_signed_as_well() {
    let mut value = serde_json::to_value(root()).unwrap();
    value["custom-field"] = serde_json::json!({"a": [1, "é\n"]});
    let message = canonical::to_signed_form(&value).unwrap();
    let signatures: Vec<Value> = [1, 2]
        .map(|seed| {
            let key = key(seed);
            serde_json::json!({
                "keyid": key.id().to_string(), "sig": hex::encode(key.sign(&message))
            })
        })
        .into();
    let mut document = serde_json::json!({"signed": value, "signatures": signatures, "more": 1});
    let read = |document: &Value| -> Result<()> {
        let envelope = parse(serde_json::to_string_pretty(document).unwrap().as_bytes())?;
        envelope.read::<Root>()?.demand(TopLevel::Root, &envelope)
    };
    read(&document).unwrap();
    document["signed"]["custom-field"]["a"][0] = 2.into();
    assert!(matches!(read(&document), Err(Error::Threshold { found: 0, .. })));
}

#[test]
fn case_08_one_key_under_two_ids() {
    let twice = changed(|document| {
        let [first, ..] = document["signatures"].as_array().unwrap().as_slice() else { panic!() };
        document["signatures"] = serde_json::json!([first, first]);
    });
    assert!(matches!(&twice, Err(Error::Form(why)) if why.contains("two signatures")), "{twice:?}");
    // Nor is it let pass beside enough signatures of others.
    let thrice = changed(|document| {
        let signatures = document["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    });
    assert!(matches!(thrice, Err(Error::Form(_))), "{thrice:?}");
    // Ids are names that the metadata gives: the same key under another one counts once.
    let mut value = serde_json::to_value(root()).unwrap();
    let id = key(1).id().to_string();
    value["keys"]["another"] = value["keys"][&id].clone();
    value["roles"]["root"]["keyids"] = serde_json::json!([id, "another"]);
    let sig = hex::encode(key(1).sign(&canonical::to_signed_form(&value).unwrap()));
    let document = serde_json::json!({"signed": value, "signatures": [
        {"keyid": id, "sig": sig}, {"keyid": "another", "sig": sig}
    ]});
    let envelope = parse(document.to_string().as_bytes()).unwrap();
    let root: Root = envelope.read().unwrap();
    let error = root.demand(TopLevel::Root, &envelope).unwrap_err();
    assert!(matches!(error, Error::Threshold { needed: 2, found: 1 }));
}

#[test]
fn case_09_thresholds_that_cannot_be() {
    for threshold in [serde_json::json!(0), serde_json::json!(-1), serde_json::json!("1")] {
        let read = changed(|document| {
            document["signed"]["roles"]["timestamp"]["threshold"] = threshold.clone();
        });
        assert!(matches!(read, Err(Error::Form(_))), "{threshold}: {read:?}");
    }
    let huge = u32::MAX;
    let above = changed(|document| document["signed"]["roles"]["root"]["threshold"] = huge.into());
    assert!(matches!(above, Err(Error::Threshold { .. })), "{above:?}");
    let four = NonZeroU32::new(4).unwrap();
    let keys = [1, 2, 3].map(|seed| (*key(seed).public()).into());
    assert!(matches!(root().set_role(TopLevel::Root, keys, four), Err(Error::Form(_))));
    let same = [1, 1].map(|seed| (*key(seed).public()).into());
    assert!(root().set_role(TopLevel::Root, same, TWO).is_err());
}

#[test]
fn case_12_metadata_of_the_wrong_shape() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("no version", |root| drop(root.as_object_mut().unwrap().remove("version"))),
        ("version 0", |root| root["version"] = 0.into()),
        ("negative version", |root| root["version"] = (-1).into()),
        ("text as version", |root| root["version"] = "1".into()),
        ("no roles", |root| root["roles"] = serde_json::json!({})),
        ("roles as a list", |root| root["roles"] = serde_json::json!([])),
        ("no snapshot role", |root| {
            root["roles"].as_object_mut().unwrap().remove("snapshot");
        }),
        ("another type", |root| root["_type"] = "targets".into()),
        ("no type", |root| root["_type"] = Value::Null),
        ("another specification", |root| root["spec_version"] = "2.0.0".into()),
        ("no time", |root| root["expires"] = "2030-02-31T00:00:00Z".into()),
        ("a lenient time", |root| root["expires"] = "2030-01-01 00:00:00+00:00".into()),
    ];
    for (what, change) in changes {
        let read = changed(|document| change(&mut document["signed"]));
        assert!(read.is_err() && !matches!(read, Err(Error::Threshold { .. })), "{what}: {read:?}");
    }
    for bad in [
        r#"{"signed":{},"signed":{},"signatures":[]}"#,
        r#"{"signed":{"a":1.5},"signatures":[]}"#,
        r#"{"signed":{},"signatures":{}}"#,
        r#"{"signed":{}}"#,
        "[]",
        "",
    ] {
        assert!(matches!(parse(bad.as_bytes()), Err(Error::Json(_))), "{bad}");
    }
    let deep = format!(r#"{{"signed":{}{},"signatures":[]}}"#, "[".repeat(60), "]".repeat(60));
    assert!(parse(deep.as_bytes()).is_err());
    assert!(parse(b"{\"signed\":{\"a\":\"\xff\"},\"signatures\":[]}").is_err());
    assert!(Envelope::parse(&[b' '; 9], 8).is_err());
}

#[test]
fn case_15_weak_keys_never_count() {
    // The point of order 1, under which one signature fits every message.
    let weak = format!("01{}", "0".repeat(62));
    let mut value = serde_json::to_value(root()).unwrap();
    value["keys"]["weak"] = serde_json::json!({
        "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": weak}
    });
    value["roles"]["root"] = serde_json::json!({"keyids": ["weak"], "threshold": 1});
    let sig = format!("{weak}{}", "0".repeat(64));
    let document = serde_json::json!({
        "signed": value, "signatures": [{"keyid": "weak", "sig": sig}]
    });
    let envelope = parse(document.to_string().as_bytes()).unwrap();
    let root: Root = envelope.read().unwrap();
    let error = root.demand(TopLevel::Root, &envelope).unwrap_err();
    assert!(matches!(error, Error::Threshold { found: 0, .. }));
}

#[test]
fn keys_that_no_role_names_go() {
    let mut root = root();
    assert_eq!(root.keys().len(), 4);
    root.set_role(TopLevel::Timestamp, [(*key(5).public()).into()], ONE).unwrap();
    assert_eq!(root.keys().len(), 5);
    root.set_role(TopLevel::Timestamp, [(*key(6).public()).into()], ONE).unwrap();
    assert_eq!(root.keys().len(), 5);
    assert_eq!(root.keys_of(TopLevel::Timestamp), [(*key(6).public()).into()]);
}
