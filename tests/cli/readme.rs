//! The console blocks of README.md and `spec/` run as tests.
//!
//! A file is one session in a folder of its own, with a copy of `registry-example/` in it. Each
//! `$ command` (further lines begin with `> `) runs in bash with `mpkg` first on the search path,
//! in the folder that the command before ended in. What it prints and says must be what stands
//! below it: a line `...` stands for any lines, `[..]` for anything within a line, and `? 1`
//! directly below a command says that it ends with exit code 1. Exported MPKG_ variables are kept, and
//! nothing else.
//!
//! A block tagged `console,norun` is a picture; an HTML comment on the line before says why.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Finished, World};

/// One command of a file, with what it should print.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Example {
    line: usize,
    command: String,
    code: i32,
    expected: Vec<String>,
}

/// The commands of `text`, in order.
fn examples(text: &str) -> Result<Vec<Example>, String> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut fence, mut before) = (None, "");
    for (line, number) in text.lines().zip(1..) {
        match fence {
            None => {
                let info = line.trim_start().strip_prefix("```");
                if info == Some("console,norun") && !before.trim_end().ends_with("-->") {
                    return Err(format!("line {number}: no comment says why this does not run"));
                }
                fence = info;
                if !line.trim().is_empty() {
                    before = line;
                }
            }
            Some(_) if line.trim() == "```" => fence = None,
            Some("console") => add_line(&mut examples, line, number)?,
            Some(_) => {}
        }
    }
    Ok(examples)
}

fn add_line(examples: &mut Vec<Example>, line: &str, number: usize) -> Result<(), String> {
    if let Some(command) = line.strip_prefix("$ ") {
        let command = command.to_owned();
        examples.push(Example { line: number, command, ..Example::default() });
        return Ok(());
    }
    let example =
        examples.last_mut().ok_or_else(|| format!("line {number}: no command stands before"))?;
    let is_fresh = example.expected.is_empty();
    match (line.strip_prefix("> "), line.strip_prefix("? ")) {
        (Some(more), _) if is_fresh => example.command = format!("{}\n{more}", example.command),
        (_, Some(code)) if is_fresh => {
            example.code = code.parse().map_err(|_| format!("line {number}: no exit code"))?;
        }
        _ => example.expected.push(line.trim_end().to_owned()),
    }
    Ok(())
}

/// Whether `found` is what `expected` says.
fn fits(expected: &[String], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((line, rest)) if line == "..." => {
            (0..=found.len()).any(|skipped| fits(rest, &found[skipped..]))
        }
        Some((line, rest)) => found
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && fits(rest, others)),
    }
}

fn line_fits(expected: &str, found: &str) -> bool {
    let Some((start, rest)) = expected.split_once("[..]") else { return expected == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    (0..=found.len())
        .filter(|at| found.is_char_boundary(*at))
        .any(|at| line_fits(rest, &found[at..]))
}

/// Runs every example of `file`, and says which does not hold.
fn run(file: &Path) -> Result<usize, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let examples = examples(&text)?;
    if examples.is_empty() {
        return Ok(0);
    }
    let world = World::new();
    copy(&clone().join("registry-example"), &world.path("session/registry-example"));
    std::fs::create_dir_all(world.path("session")).expect("a folder");
    let mut folder = world.path("session");
    for example in &examples {
        let ended = world.path("ended-in");
        let output = Finished::of(&mut command(&world, &example.command, &folder, &ended));
        let found: Vec<&str> = output.stdout.lines().map(str::trim_end).collect();
        if output.code != example.code || !fits(&example.expected, &found) {
            return Err(format!(
                "line {}: $ {}\nexpected ({}):\n{}\nfound ({}):\n{}",
                example.line,
                example.command,
                example.code,
                example.expected.join("\n"),
                output.code,
                found.join("\n"),
            ));
        }
        let text = std::fs::read_to_string(&ended).expect("the shell wrote where it ended");
        folder = PathBuf::from(text.trim_end());
    }
    Ok(examples.len())
}

/// What the shell does around an example: it takes over what the one before exported for mpkg, and
/// notes where it ends and what it exports.
const KEPT: &str = r#"exec 2>&1
if [ -e "$ENDED_IN.exports" ]; then . "$ENDED_IN.exports"; fi
trap 'pwd > "$ENDED_IN"; export -p | grep " MPKG_" > "$ENDED_IN.exports"' EXIT"#;

fn command(world: &World, example: &str, folder: &Path, ended: &Path) -> Command {
    let program = world.mpkg();
    let binaries = Path::new(program.get_program()).parent().expect("a folder").to_owned();
    let mut path = binaries.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", path).env("LANG", "C.UTF-8").env("ENDED_IN", ended);
    let script = format!("{KEPT}\n{example}");
    command.current_dir(folder).args(["-c", &script]).stdin(std::process::Stdio::null());
    command
}

fn clone() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies the examples; what was built in them stays behind.
fn copy(from: &Path, to: &Path) {
    let entries = walkdir::WalkDir::new(from).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| entry.file_name() != "dist").flatten() {
        let goal = to.join(entry.path().strip_prefix(from).expect("it is below"));
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(goal).expect("a folder");
        } else {
            std::fs::create_dir_all(goal.parent().expect("a folder")).expect("a folder");
            std::fs::copy(entry.path(), goal).expect("a copy");
        }
    }
}

#[test]
fn the_readme_is_true() {
    match run(&clone().join("README.md")) {
        Ok(count) => assert!(count >= 15, "only {count} examples ran"),
        Err(error) => panic!("README.md: {error}"),
    }
}

#[test]
fn the_five_changes_are_true() {
    match run(&clone().join("registry-example/MODIFY.md")) {
        Ok(count) => assert!(count >= 40, "only {count} examples ran"),
        Err(error) => panic!("registry-example/MODIFY.md: {error}"),
    }
}

#[test]
fn the_specification_is_true() {
    let mut failures = Vec::new();
    let mut count = 0;
    let entries = std::fs::read_dir(clone().join("spec")).expect("spec/");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_some_and(|ending| ending == "md") {
            match run(&path) {
                Ok(ran) => count += ran,
                Err(error) => failures.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count >= 5, "only {count} examples ran");
}

#[test]
fn an_example_that_does_not_hold_is_noticed() {
    let world = World::new();
    let block = |text: &str| {
        let file = world.write("example.md", format!("Words.\n\n```console\n{text}\n```\n"));
        run(&file)
    };
    assert_eq!(block("$ echo one; echo two >&2\none\ntwo"), Ok(1));
    assert_eq!(block("$ mkdir a; cd a\n$ basename \"$PWD\"\na\n$ exit 3\n? 3"), Ok(3));
    assert_eq!(block("$ mpkg --version\nmpkg [..].[..]"), Ok(1));
    assert_eq!(block("$ cat <<END\n> one\n> END\none"), Ok(1));
    assert!(block("$ echo one\ntwo").unwrap_err().contains("found (0):\none"));
    assert!(block("$ echo one").is_err());
    assert!(block("$ exit 3").unwrap_err().contains("found (3)"));
    assert!(block("$ true\n? 1").is_err());
    assert!(block("words first").is_err());
    let picture = "```console,norun\n$ exit 1\n```\n";
    assert_eq!(examples(&format!("<!-- long -->\n{picture}")), Ok(Vec::new()));
    assert!(examples(picture).is_err());
}

#[test]
fn lines_and_holes_in_them_match() {
    let fits = |expected: &str, found: &str| {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        super::readme::fits(&expected, &found.lines().collect::<Vec<_>>())
    };
    assert!(fits("a\n...\nd", "a\nb\nc\nd") && fits("a\n...\nd", "a\nd") && fits("...", ""));
    assert!(!fits("a\n...\nd", "a\nb\nc") && !fits("a", "a\nb") && !fits("a\nb", "a"));
    assert!(fits("a [..] c", "a b é c") && !fits("a [..] c", "a b d"));
}
