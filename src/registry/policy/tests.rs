//! Unit tests of policies.

use serde_json::json;

use super::*;
use crate::crypto::statement::{CLASS_V1, Digests, Statement, StatementSubject, package_url};
use crate::crypto::{Envelope, SigningKey};
use crate::package::INDEX_PATH;

fn release(name: &str) -> Release {
    Release {
        name: name.parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        variant: Some("f32".parse().unwrap()),
    }
}

fn nobody() -> Publishers {
    Publishers::any_of([])
}

fn facts<'a>(release: &'a Release, publishers: &'a Publishers) -> Facts<'a> {
    Facts {
        release,
        package: Digest::of(b"package"),
        source: Some(Digest::of(b"source")),
        pickle_reason: None,
        signed_by: &[],
        publishers,
        own_keys: &[],
        known_keys: &[],
        statements: &[],
    }
}

fn policies(texts: &[&str]) -> Policies {
    let parse = |(place, text): (usize, &&str)| {
        Policy::parse(text, &format!("p{place}")).unwrap_or_else(|e| panic!("{e}"))
    };
    Policies(texts.iter().enumerate().map(parse).collect())
}

/// The envelope of `key` over a class of `lm`, as if computed on that day of a month.
fn classed(release: &Release, key: &SigningKey, class: &str, day: u8, change: &str) -> Vec<u8> {
    let package = Digest::of(b"package");
    let mut predicate = json!({
        "package": package_url(release), "package-digest": package,
        "source": Digest::of(b"source"), "class": class,
        "computed": format!("2026-11-{day:02}T12:00:00Z"),
    });
    if !change.is_empty() {
        predicate[change] = json!(Digest::of(b"other"));
    }
    let subject =
        StatementSubject { name: INDEX_PATH.to_owned(), digest: Digests { sha256: package } };
    let statement = Statement::new(vec![subject], CLASS_V1, predicate);
    Envelope::sign(statement.to_payload().unwrap(), &[key]).to_bytes()
}

#[test]
fn an_unknown_class_meets_only_non_free() {
    let (lm, nobody) = (release("lm"), nobody());
    for (word, is_met) in [("non-free", true), ("toxic-candy", false)] {
        let policy = policies(&[&format!("[default]\nmin-class = \"{word}\"")]);
        assert_eq!(policy.check(&facts(&lm, &nobody)).is_ok(), is_met);
        assert_eq!(policy.ask_others(&lm.name), !is_met);
    }
}

#[test]
fn a_class_counts_by_those_who_are_listened_to() {
    let (lm, nobody) = (release("lm"), nobody());
    let [own, known, stranger] = [1, 2, 3].map(|seed| SigningKey::from_seed(&[seed; 32]));
    let (own_keys, known_keys) = ([*own.public()], [*own.public(), *known.public()]);
    let contrib = "[default]\nmin-class = \"contrib\"\n";
    let by = |key: &SigningKey| format!("{contrib}class-by = [\"{}\"]\n", key.public().id());
    let said = |key: &SigningKey, class: &str, day: u8| classed(&lm, key, class, day, "");
    for (policy, statements, is_met) in [
        (contrib.to_owned(), vec![said(&own, "main", 1)], true),
        (contrib.to_owned(), vec![said(&own, "toxic-candy", 1)], false),
        (contrib.to_owned(), vec![said(&known, "main", 1)], false),
        (by(&known), vec![said(&known, "main", 1)], true),
        (by(&known), vec![said(&own, "main", 1)], false),
        (by(&stranger), vec![said(&stranger, "main", 1)], false),
        // The last word of each counts, and of all the worst.
        (contrib.to_owned(), vec![said(&own, "main", 1), said(&own, "non-free", 2)], false),
        (contrib.to_owned(), vec![said(&own, "main", 2), said(&own, "non-free", 1)], true),
        (contrib.to_owned(), vec![said(&own, "main", 1), said(&own, "non-free", 1)], false),
        (
            by(&known).replace("= [\"", "= [\"self\", \""),
            vec![said(&own, "main", 1), said(&known, "toxic-candy", 1)],
            false,
        ),
        // What is about something else, or no word, is passed over.
        (contrib.to_owned(), vec![classed(&lm, &own, "main", 1, "package-digest")], false),
        (contrib.to_owned(), vec![classed(&lm, &own, "main", 1, "source")], false),
        (contrib.to_owned(), vec![classed(&lm, &own, "main", 1, "package")], false),
        (contrib.to_owned(), vec![said(&own, "best", 1), b"{}".to_vec()], false),
    ] {
        let facts = Facts {
            own_keys: &own_keys,
            known_keys: &known_keys,
            statements: &statements,
            ..facts(&lm, &nobody)
        };
        assert_eq!(policies(&[&policy]).check(&facts).is_ok(), is_met, "{policy}");
    }
}

#[test]
fn one_policy_does_not_loosen_another() {
    let strict = "[default]\nmin-class = \"main\"";
    let loose = "[default]\nmin-class = \"non-free\"\n[package.lm]\nmin-class = \"non-free\"";
    for order in [[strict, loose], [loose, strict]] {
        let (lm, nobody) = (release("lm"), nobody());
        let refused = policies(&order).check(&facts(&lm, &nobody)).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("line 2: its class must be main or better, and is not known")
        );
    }
    // Within one file the package's own section counts.
    let one = policies(&[&format!("{strict}\n[package.lm]\nmin-class = \"non-free\"")]);
    assert!(one.check(&facts(&release("lm"), &nobody())).is_ok());
    assert!(one.check(&facts(&release("xy"), &nobody())).is_err());
}

#[test]
fn no_keys_at_all_accept_nobody() {
    let (lm, nobody) = (release("lm"), nobody());
    let refused = policies(&["[default]\nkeys = []"]).check(&facts(&lm, &nobody));
    assert!(refused.unwrap_err().why.starts_with("it is signed by nobody"));
}
