//! `mpkg class`: says how open a package is, on which facts, and what would better it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::diff::operand;
use super::licenses::{section, title};
use super::rebuild::signing_key;
use super::trace::subject;
use super::{Context, Failure, Outcome, ProfileArguments};
use crate::cli::failure::Plain;
use crate::cli::outcome::Answer;
use crate::cli::passphrase::PassphraseArguments;
use crate::cli::workshop::Workshop;
use crate::crypto::statement::CLASS_V1;
use crate::crypto::{KeyName, SigningKey};
use crate::explain::printable;
use crate::ops::attest::{About, attest};
use crate::ops::class::{Classes, Classified, class};
use crate::ops::licenses::Looking;
use crate::ops::lineage::Places;
use crate::package::Class;
use crate::study::class::{Component, Fact, Framework, FrameworkClass, next_better};

/// Flags of `mpkg class`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, a source tree or a package file
    #[arg(value_name = "NAME[@REQ]|TREE|FILE")]
    subject: String,
    /// Ask whether it is at least in this class: main, contrib, toxic-candy; exit code 1 says no
    #[arg(long, value_name = "CLASS", value_parser = word)]
    at_least: Option<Class>,
    /// Fetch what the answer depends on: data, wheels, and the evidence for licences
    #[arg(long)]
    check: bool,
    /// Sign the class with this key, as a statement to publish beside the package
    #[arg(long, value_name = "KEY")]
    attest: Option<KeyName>,
    /// The folder that the statement is written to
    #[arg(long, value_name = "DIR", default_value = ".", requires = "attest")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

/// Reads the word for a class.
fn word(text: &str) -> Result<Class, String> {
    Class::of_word(text).ok_or_else(|| {
        let words: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        format!("there are {}", words.join(", "))
    })
}

pub(in crate::cli) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    // A key that cannot be used is known before anything is fetched.
    let key = arguments.attest.as_ref();
    let key = key.map(|name| signing_key(name, &arguments.passphrase, context)).transpose()?;
    let client = context.client();
    let places = Places {
        home: &context.home,
        profile: &arguments.profile.profile,
        client: &client,
        registries: &context.registries()?,
        with: &arguments.with,
        progress: context.progress(),
    };
    let search_path = Context::search_path();
    let looking = match arguments.check {
        true => Looking::Everywhere { search_path: &search_path },
        false => Looking::Here,
    };
    let found = class(&subject(&arguments.subject)?, looking, &places, context.now)?;
    let signed = match &key {
        Some(key) => Some(sign(arguments, &found, key, context)?),
        None => None,
    };
    let is_enough = arguments.at_least.is_none_or(|least| found.first().class >= least);
    let answer = if is_enough { Answer::Yes } else { Answer::No };
    let (mut text, mut document) = (words(&found), document(&found));
    if let Some(path) = signed {
        let _ = writeln!(text, "Signed: {}", path.display());
        document["attestation"] = path.display().to_string().into();
    }
    Ok(Outcome::done(text, document).answering(answer))
}

/// Signs the class that was computed of the very package that is named.
fn sign(
    arguments: &Arguments,
    found: &Classes,
    key: &SigningKey,
    context: &Context,
) -> Result<PathBuf, Failure> {
    let refused = |message: String, hint: &str| Plain {
        kind: "no-class-to-sign",
        message,
        hint: Some(hint.to_owned()),
    };
    let part = &found.licences.parts[0];
    let Some(predicate) = found.predicate(context.now) else {
        let message = format!("{} is no binary package that names its source", title(part));
        return Err(refused(message, "build it, and name what was built").into());
    };
    let workshop = Workshop::of(context)?;
    let about = About::of(&operand(&arguments.subject)?, &workshop.setting())?;
    if about.package != part.package.package {
        let message = format!(
            "the class is that of {}, and {} is what registries have",
            title(part),
            about.release
        );
        return Err(refused(message, "name the version and variant, or a file").into());
    }
    let Arguments { out, .. } = arguments;
    Ok(attest(&about, (CLASS_V1, predicate), key, out, "class")?)
}

fn words(found: &Classes) -> String {
    let mut text = String::new();
    let first = found.first();
    let _ = writeln!(text, "{}: {}", title(&found.licences.parts[0]), first.class);
    for fact in &first.facts {
        describe(&mut text, fact);
    }
    if let Some((next, between)) = next_better(first.class, &first.facts) {
        section(&mut text, &format!("Between it and {next}:"), |text| {
            for fact in between {
                let remedy = fact.remedy.as_deref().unwrap_or_default();
                let _ = writeln!(text, "  {}: {}", printable(&fact.statement), printable(remedy));
            }
        });
    }
    section(&mut text, "Built from:", |text| {
        for (part, one) in found.licences.parts.iter().zip(&found.classified).skip(1) {
            let _ = writeln!(text, "  {}: {}", title(part), one.class);
            reasons(text, one);
        }
    });
    if let Some(framework) = &found.framework {
        describe_framework(&mut text, framework);
    }
    text
}

/// What keeps a package that was gone into from a better class.
fn reasons(text: &mut String, classified: &Classified) {
    let Some((_, between)) = next_better(classified.class, &classified.facts) else { return };
    for fact in between {
        let remedy = fact.remedy.as_deref().unwrap_or_default();
        let _ = writeln!(text, "    {}: {}", printable(&fact.statement), printable(remedy));
    }
}

fn describe(text: &mut String, fact: &Fact) {
    let date = fact.date.map(|date| format!(", {}", date.strftime("%Y-%m-%d")));
    let (value, level) = (fact.value.as_str(), fact.level.as_str());
    let (statement, source) = (printable(&fact.statement), printable(&fact.source));
    let date = date.unwrap_or_default();
    let _ = writeln!(text, "  {value:<7} {level:<10} {statement} ({source}{date})");
}

fn describe_framework(text: &mut String, framework: &Framework) {
    let reached = framework.class().map_or("no class", FrameworkClass::as_str);
    let _ = writeln!(text, "Model Openness Framework: {reached}");
    if let Some(next) = framework.next() {
        let missing = framework.missing(next).into_iter().map(Component::name);
        let missing = missing.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  lacks for {}: {missing}", next.as_str());
    }
}

fn document(found: &Classes) -> Value {
    let first = found.first();
    let next = next_better(first.class, &first.facts);
    let next = next.map(|(class, between)| {
        json!({"class": class, "between": between.into_iter().map(of_fact).collect::<Vec<_>>()})
    });
    let parts = found.licences.parts.iter().zip(&found.classified).skip(1);
    let built_from: Vec<Value> = parts
        .map(|(part, one)| {
            json!({
                "package": title(part), "class": one.class,
                "facts": one.facts.iter().map(of_fact).collect::<Vec<_>>(),
            })
        })
        .collect();
    let gaps: Vec<Value> =
        found.gaps().iter().map(|gap| json!({"what": gap.what, "why": gap.why})).collect();
    json!({
        "package": title(&found.licences.parts[0]),
        "class": first.class,
        "facts": first.facts.iter().map(of_fact).collect::<Vec<_>>(),
        "next": next,
        "built_from": built_from,
        "framework": found.framework.as_ref().map(of_framework),
        "gaps": gaps,
    })
}

fn of_fact(fact: &Fact) -> Value {
    json!({
        "key": fact.key, "about": fact.about, "statement": fact.statement, "value": fact.value,
        "level": fact.level, "source": fact.source, "allows": fact.allows, "remedy": fact.remedy,
        "date": fact.date.map(|date| date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    })
}

fn of_framework(framework: &Framework) -> Value {
    let components: Vec<Value> = framework
        .components
        .iter()
        .map(|(component, value, source)| {
            json!({"component": component.name(), "value": value, "source": source})
        })
        .collect();
    let missing = framework
        .next()
        .map(|next| framework.missing(next).into_iter().map(Component::name).collect::<Vec<_>>());
    json!({
        "class": framework.class(), "next": framework.next(), "missing": missing,
        "components": components,
    })
}
