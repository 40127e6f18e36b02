//! Unit tests of policies.

use super::*;

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

fn facts<'a>(release: &'a Release, publishers: &'a Publishers, class: Option<Class>) -> Facts<'a> {
    Facts {
        release,
        package: Digest::of(b"package"),
        source: Some(Digest::of(b"source")),
        pickle_reason: None,
        class,
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

#[test]
fn an_unknown_class_meets_only_non_free() {
    let (lm, nobody) = (release("lm"), nobody());
    for (word, least) in [("non-free", None), ("toxic-candy", Some(Class::ToxicCandy))] {
        let policy = policies(&[&format!("[default]\nmin-class = \"{word}\"")]);
        assert_eq!(policy.check(&facts(&lm, &nobody, None)).is_ok(), least.is_none());
        assert!(policy.check(&facts(&lm, &nobody, least.or(Some(Class::Main)))).is_ok());
    }
}

#[test]
fn one_policy_does_not_loosen_another() {
    let strict = "[default]\nmin-class = \"main\"";
    let loose = "[default]\nmin-class = \"non-free\"\n[package.lm]\nmin-class = \"non-free\"";
    for order in [[strict, loose], [loose, strict]] {
        let (lm, nobody) = (release("lm"), nobody());
        let refused = policies(&order).check(&facts(&lm, &nobody, None)).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("line 2: its class must be main or better, and is not known")
        );
    }
    // Within one file the package's own section counts.
    let one = policies(&[&format!("{strict}\n[package.lm]\nmin-class = \"non-free\"")]);
    assert!(one.check(&facts(&release("lm"), &nobody(), None)).is_ok());
    assert!(one.check(&facts(&release("xy"), &nobody(), None)).is_err());
}

#[test]
fn no_keys_at_all_accept_nobody() {
    let (lm, nobody) = (release("lm"), nobody());
    let refused = policies(&["[default]\nkeys = []"]).check(&facts(&lm, &nobody, None));
    assert!(refused.unwrap_err().why.starts_with("it is signed by nobody"));
}
