//! `mpkg trace`: finds the passages of a text that stand verbatim in a model's training data.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure, Outcome, ProfileArguments, exclude};
use crate::build::tree::SourceTree;
use crate::cli::failure::Plain;
use crate::cli::outcome::Answer;
use crate::cli::words::{count, size};
use crate::explain::printable;
use crate::fs;
use crate::ops::exclude::{Elsewhere, Mode, Withdrawn, withdraw_traced};
use crate::ops::lineage::{Places, Subject};
use crate::ops::trace::{Completeness, Found, Passage, Searched, TraceOptions, Traced, trace};
use crate::study::trace::{LONGEST_TEXT, SHORTEST_PASSAGE, Whitespace};

/// How many bytes of a passage are printed from its start, and how many from its end.
const SHOWN: usize = 160;

/// Flags of `mpkg trace`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A package, a source tree or a package file
    #[arg(value_name = "NAME[@REQ]|TREE|FILE")]
    subject: String,
    /// The text to look for
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    text: Option<String>,
    /// Take the text from this file; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the model was asked with: a text that begins with it is looked for without it, and
    /// what stands in it is no copy
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The shortest passage that counts, in bytes
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(i64::try_from(SHORTEST_PASSAGE).unwrap_or(8)..)
    )]
    min_length: u32,
    /// Take every run of blanks, tabs and line ends for one blank
    #[arg(long)]
    fold_whitespace: bool,
    /// Withdraw the records that hold what was found from the data of the source tree that is
    /// traced, for this reason
    #[arg(long, value_name = "REASON")]
    exclude: Option<String>,
    /// Search what is there, where some of the training data cannot be had
    #[arg(long)]
    partial: bool,
    /// Show at most so many passages, the longest first
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    limit: usize,
    /// Take packages from this package file, folder or source tree; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    profile: ProfileArguments,
}

/// What a word on the command line names.
pub(in crate::cli) fn subject(word: &str) -> Result<Subject, Failure> {
    let path = Path::new(word);
    let ends_in = |end: &str| path.extension().is_some_and(|it| it == end);
    if path.is_dir() || ends_in("toml") {
        return Ok(Subject::Tree(path.to_owned()));
    }
    if path.is_file() || ends_in("mpkg") {
        return Ok(Subject::File(path.to_owned()));
    }
    match word.parse() {
        Ok(wish) if !word.contains('/') => Ok(Subject::Release(wish)),
        _ => Err(Plain {
            kind: "no-subject",
            message: format!("there is no folder and no file {word}, and it is no package name"),
            hint: None,
        }
        .into()),
    }
}

pub(in crate::cli) fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let text = match (arguments.text, arguments.file) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(file)) => read(&file)?,
        (None, None) => Vec::new(),
    };
    let options = TraceOptions {
        subject: subject(&arguments.subject)?,
        text,
        prompt: arguments.prompt.map(String::into_bytes),
        shortest: arguments.min_length as usize,
        whitespace: match arguments.fold_whitespace {
            true => Whitespace::Folded,
            false => Whitespace::Exact,
        },
        completeness: match arguments.partial {
            true => Completeness::Partial,
            false => Completeness::All,
        },
        most: match arguments.exclude {
            Some(_) => usize::MAX,
            None => arguments.limit,
        },
    };
    if arguments.exclude.is_some() && !matches!(options.subject, Subject::Tree(_)) {
        return Err(no_tree());
    }
    let client = context.client();
    let places = Places {
        home: &context.home,
        profile: &arguments.profile.profile,
        client: &client,
        registries: &context.registries()?,
        with: &arguments.with,
        progress: context.progress(),
    };
    let mut traced = trace(&options, &places)?;
    for gap in &traced.gaps {
        let (what, why) = (printable(&gap.what), printable(&gap.why));
        context.progress().warn(&format!("{what} was not searched: {why}"));
    }
    let withdrawn = match &arguments.exclude {
        Some(reason) => Some(withdraw(&traced, &options, reason, context, &places)?),
        None => None,
    };
    traced.passages.truncate(arguments.limit);
    let mut text = words(&traced, &options);
    let mut document = document(&traced, &options);
    let is_clean = withdrawn.as_ref().map_or(traced.count == 0, |it| it.elsewhere.is_empty());
    if let Some(withdrawn) = &withdrawn {
        for excluded in &withdrawn.own {
            exclude::warn(&excluded.closure, context);
            text.push_str(&exclude::words(excluded, Mode::Write));
        }
        for Elsewhere { package, data } in &withdrawn.elsewhere {
            let data = data.as_ref().map(|data| format!(", data {data}")).unwrap_or_default();
            let source = package.replacen(' ', "@=", 1);
            let _ = writeln!(
                text,
                "still in {package}{data}: unpack it with `mpkg source {source}`, and trace and exclude there"
            );
        }
        document["withdrawn"] = of_withdrawn(withdrawn);
    }
    let answer = if is_clean { Answer::Yes } else { Answer::No };
    Ok(Outcome::done(text, document).answering(answer))
}

fn no_tree() -> Failure {
    Plain {
        kind: "no-tree",
        message: "--exclude changes a source tree, and that is none".to_owned(),
        hint: Some("unpack one with `mpkg source NAME`, and trace its folder".to_owned()),
    }
    .into()
}

/// Withdraws what was found from the data of the tree that was traced.
fn withdraw(
    traced: &Traced,
    options: &TraceOptions,
    reason: &str,
    context: &Context,
    places: &Places<'_>,
) -> Result<Withdrawn, Failure> {
    let Subject::Tree(folder) = &options.subject else { return Err(no_tree()) };
    let tree = SourceTree::find(folder)?;
    let grounds = exclude::grounds(reason, None, context);
    let everything = exclude::everything(context, false);
    Ok(withdraw_traced(&tree, traced, options.whitespace, &grounds, everything, places)?)
}

fn of_withdrawn(withdrawn: &Withdrawn) -> Value {
    let own: Vec<Value> =
        withdrawn.own.iter().map(|it| exclude::document(it, Mode::Write)).collect();
    let elsewhere: Vec<Value> = withdrawn
        .elsewhere
        .iter()
        .map(|it| json!({"package": it.package, "data": it.data}))
        .collect();
    json!({"own": own, "elsewhere": elsewhere})
}

/// Reads a text; one byte too many is enough to tell that it is too long.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = LONGEST_TEXT as u64 + 1;
    let mut text = Vec::new();
    if path == Path::new("-") {
        let read = std::io::stdin().lock().take(limit).read_to_end(&mut text);
        read.map_err(fs::Error::at("read", path))?;
        return Ok(text);
    }
    let file = std::fs::File::open(path).map_err(fs::Error::at("open", path))?;
    file.take(limit).read_to_end(&mut text).map_err(fs::Error::at("read", path))?;
    Ok(text)
}

fn words(traced: &Traced, options: &TraceOptions) -> String {
    let mut text = String::new();
    for passage in &traced.passages {
        let _ = writeln!(text, "{} from byte {}:", bytes(passage.length), passage.start);
        let _ = writeln!(text, "  \"{}\"", shortened(&passage.text));
        for found in &passage.places {
            describe(&mut text, found, &traced.searched[found.source]);
        }
        let more = passage.occurrences - (passage.places.len() as u64).min(passage.occurrences);
        if more > 0 {
            let _ = writeln!(text, "  and {}", count_u64(more, "more time", "more times"));
        }
    }
    let hidden = traced.count - traced.passages.len();
    if hidden > 0 {
        let _ = writeln!(text, "and {}", count(hidden, "more passage", "more passages"));
    }
    let longest = traced.passages.first().map_or_else(
        || {
            let shortest = bytes(options.shortest);
            format!("no passage of {shortest} or more stands in the training data")
        },
        |longest| {
            let passages = count(traced.count, "passage", "passages");
            format!("{passages} of the training data, the longest {}", bytes(longest.length))
        },
    );
    let sum: u64 = traced.searched.iter().map(|one| one.bytes).sum();
    let pieces = count(traced.searched.len(), "piece of data", "pieces of data");
    let _ = writeln!(text, "{longest} ({} of text in {pieces} searched)", size(sum));
    text
}

fn bytes(number: usize) -> String {
    count(number, "byte", "bytes")
}

fn count_u64(number: u64, one: &str, several: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), one, several)
}

fn describe(text: &mut String, found: &Found, searched: &Searched) {
    let Searched { package, data, license, .. } = searched;
    let data = data.as_ref().map(|data| format!(", data {data}")).unwrap_or_default();
    let place = &found.place;
    let path = printable(&place.path);
    let _ = writeln!(text, "  in {package}{data} ({license}): {path}, line {}", place.line);
    let before = one_line(&place.before);
    let after = one_line(&place.after);
    let _ = writeln!(text, "     {}[...]{}", before.trim_start(), after.trim_end());
}

/// Each run of whitespace as one blank, and nothing that moves the cursor.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_whitespace() {
            true if line.ends_with(' ') => {}
            true => line.push(' '),
            false => line.push(c),
        }
    }
    printable(&line)
}

/// The passage on one line, without the middle of a long one.
fn shortened(text: &str) -> String {
    let line = one_line(text);
    let shown: Vec<char> = line.chars().collect();
    if shown.len() <= 2 * SHOWN {
        return line;
    }
    let start: String = shown[..SHOWN].iter().collect();
    let end: String = shown[shown.len() - SHOWN..].iter().collect();
    format!("{start} [...] {end}")
}

fn document(traced: &Traced, options: &TraceOptions) -> Value {
    let passages: Vec<Value> =
        traced.passages.iter().map(|passage| of_passage(passage, traced)).collect();
    let searched: Vec<Value> = traced.searched.iter().map(of_searched).collect();
    let gaps: Vec<Value> =
        traced.gaps.iter().map(|gap| json!({"what": gap.what, "why": gap.why})).collect();
    json!({
        "text_length": options.text.len(),
        "min_length": options.shortest,
        "fold_whitespace": options.whitespace == Whitespace::Folded,
        "count": traced.count,
        "passages": passages,
        "searched": searched,
        "not_searched": gaps,
    })
}

fn of_passage(passage: &Passage, traced: &Traced) -> Value {
    let places: Vec<Value> = passage
        .places
        .iter()
        .map(|Found { source, place }| {
            let searched = &traced.searched[*source];
            json!({
                "package": searched.package, "data": searched.data, "from": searched.from,
                "license": searched.license, "path": place.path, "line": place.line,
                "offset": place.offset, "before": place.before, "after": place.after,
            })
        })
        .collect();
    json!({
        "start": passage.start, "length": passage.length, "text": passage.text,
        "occurrences": passage.occurrences, "places": places,
    })
}

fn of_searched(searched: &Searched) -> Value {
    json!({
        "package": searched.package, "data": searched.data, "from": searched.from,
        "license": searched.license, "role": searched.role, "documents": searched.documents,
        "not_text": searched.others, "bytes": searched.bytes,
    })
}
