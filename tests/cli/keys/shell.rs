//! The terminal, completions and the manual.

use std::process::Command;

use crate::support::{Finished, World};

/// Runs `mpkg ARGUMENTS` on a terminal of its own, types `typed` once `Passphrase`-like words
/// show, and prints the exit status, whether the terminal still echoes, and what was shown.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys, termios, time
typed = [part.encode().decode("unicode_escape").encode() for part in sys.argv[1].split(",")]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
try:
    while True:
        part = os.read(terminal, 1024)
        if not part:
            break
        shown += part
        if typed and shown.rstrip().endswith(b":"):
            # The prompt shows a moment before the terminal stops to echo; people type later.
            for _ in range(2000):
                if not termios.tcgetattr(terminal)[3] & termios.ECHO:
                    break
                time.sleep(0.005)
            os.write(terminal, typed.pop(0))
            shown += b"|"
except OSError:
    pass
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(code, shown.decode())
"#;

fn on_a_terminal(world: &World, typed: &str, arguments: &[&str]) -> Finished {
    let program = world.mpkg();
    let mut command = Command::new("python3");
    command.args(["-c", ON_A_TERMINAL, typed]).arg(program.get_program()).args(arguments);
    command.current_dir(world.root()).env("MPKG_HOME", world.path("home"));
    Finished::of(&mut command).succeeds()
}

#[test]
fn a_passphrase_is_asked_for_and_not_shown() {
    let world = World::new();
    let new = ["key", "new", "alice", "--passphrase"];
    let differ = on_a_terminal(&world, r"hunter2\n,hunter3\n", &new);
    assert!(differ.stdout.starts_with("1 "), "{}", differ.stdout);
    assert!(differ.stdout.contains("the two passphrases differ"), "{}", differ.stdout);
    let made = on_a_terminal(&world, r"hunter2\n,hunter2\n", &new);
    assert!(made.stdout.starts_with("0 New passphrase: |"), "{}", made.stdout);
    assert!(!made.stdout.contains("hunter2"), "{}", made.stdout);
    let package = super::source_package(&world, "1.0.0");
    let sign = ["sign", super::text(&package)];
    let signed = on_a_terminal(&world, r"hunter2\n", &sign);
    assert!(signed.stdout.starts_with("0 Passphrase of alice: |"), "{}", signed.stdout);
    let wrong = on_a_terminal(&world, r"hunter3\n", &sign);
    assert!(wrong.stdout.starts_with("1 "), "{}", wrong.stdout);
}

#[test]
fn ctrl_c_at_the_prompt_ends_mpkg_and_leaves_nothing() {
    let world = World::new();
    let stopped = on_a_terminal(&world, r"hun\x03", &["key", "new", "alice", "--passphrase"]);
    // Ended by SIGINT, as a shell expects.
    assert!(stopped.stdout.starts_with("-2 "), "{}", stopped.stdout);
    assert!(!world.path("home/keys/alice.pem").exists());
    assert!(world.run(["key", "list"]).succeeds().stdout.is_empty());
}

#[test]
fn completions_for_every_shell() {
    let world = World::new();
    for (shell, word) in [
        ("bash", "complete -F _mpkg"),
        ("zsh", "#compdef mpkg"),
        ("fish", "complete -c mpkg"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = world.run(["completions", shell]).succeeds().stdout;
        assert!(script.contains(word), "{shell}: {script}");
        assert!(script.contains("passphrase-file"), "{shell}");
        let json = world.run(["completions", shell, "--json"]).succeeds().json();
        assert_eq!(json["script"], script);
    }
    let bash = world.write("mpkg.bash", world.run(["completions", "bash"]).succeeds().stdout);
    Finished::of(Command::new("bash").arg("-n").arg(&bash)).succeeds();
    let completed = Finished::of(Command::new("bash").args([
        "-c",
        "source \"$0\"; COMP_WORDS=(mpkg ver); COMP_CWORD=1; _mpkg mpkg ver mpkg; echo ${COMPREPLY[@]}",
        super::text(&bash),
    ]))
    .succeeds();
    assert_eq!(completed.stdout, "verify\n");
    assert_eq!(world.run(["completions", "tcsh"]).code, 2);
}

#[test]
fn a_manual_page_for_every_command() {
    let world = World::new();
    let page = world.run(["man"]).succeeds().stdout;
    assert!(page.contains(".TH mpkg 1"), "{page}");
    let folder = world.path("man/man1");
    let written = world.run(["man", "--out", super::text(&folder), "--json"]).succeeds().json();
    let pages = written["files"].as_array().unwrap();
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(pages.len(), names.len());
    let help = world.run(["--help"]).succeeds().stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 18, "{commands:?}");
    for command in commands {
        assert!(names.contains(&format!("mpkg-{command}.1")), "{command} of {names:?}");
    }
    let sign = std::fs::read_to_string(folder.join("mpkg-key-new.1")).unwrap();
    assert!(sign.contains("mpkg key new"), "{sign}");
}
