//! `docs/configuration.md` is what the command line says: each setting with its flag, its variable, its key in the file.
//!
//! `ETEBAR_WRITE=1 cargo test -p etebar-node --test configuration` writes it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};
use etebar_node::config::{CommandLine, RunArgs};

const HEAD: &str = "\
# Settings of etebar-node

<!-- Made by `ETEBAR_WRITE=1 cargo test -p etebar-node --test configuration`; do not edit. -->

Each setting of `run` is a flag, an environment variable and a key of the TOML file that `--config`
names; where several give it, the flag counts, then the variable, then the file. An unknown key, and
a value that does not fit, is a refusal of one line and exit code 2. Durations are like `50ms`, `5s`
or `24h`, sizes are in bytes. The other commands have no file. Examples of files are in
`deploy/config`.
";

/// Whether the file of `run` may have that key. What it should hold does not matter: an unknown key is reported as such.
fn is_key_of_the_file(key: &str) -> bool {
    let error = toml::from_str::<RunArgs>(&format!("{key} = [[]]")).expect_err("no setting is a list of lists");
    !error.message().contains("unknown field")
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn meaning(arg: &Arg) -> String {
    let mut text = cell(&arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default());
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        write!(text, " [default: {}]", defaults.join(",")).expect("a string takes it");
    }
    if arg.is_required_set() {
        text.push_str(" (required)");
    }
    text
}

/// The settings of one command and of those below it.
fn section(out: &mut String, name: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let settings: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
        .collect();
    if !command.has_subcommands() {
        let about = about.trim_end_matches('.');
        write!(out, "\n## etebar-node {name}\n\n{}\n", wrapped(&format!("{about}."))).expect("a string takes it");
    }
    let has_file = name == "run";
    if !settings.is_empty() {
        let (head, line) = if has_file { ("| key in the file ", "| --- ") } else { ("", "") };
        write!(out, "\n| flag | variable {head}| meaning |\n| --- | --- {line}| --- |\n").expect("a string takes it");
    }
    for arg in settings {
        let flag = format!("`--{}`", arg.get_long().expect("every setting has a long flag"));
        let variable = arg.get_env().map_or_else(|| "-".to_owned(), |name| format!("`{}`", name.to_string_lossy()));
        let key = arg.get_long().unwrap_or_default();
        let key = match (has_file, is_key_of_the_file(key)) {
            (true, true) => format!("| `{key}` "),
            (true, false) => "| - ".to_owned(),
            (false, _) => String::new(),
        };
        writeln!(out, "| {flag} | {variable} {key}| {} |", meaning(arg)).expect("a string takes it");
    }
    for below in command.get_subcommands() {
        section(out, format!("{name} {}", below.get_name()).trim_start(), below);
    }
}

/// Prose at 100 characters a line.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("one line at least");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= 100 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[test]
fn the_reference_of_settings_is_what_the_command_line_says() {
    let mut text = HEAD.to_owned();
    let mut program = CommandLine::command();
    program.build();
    for name in ["run", "init", "join", "check"] {
        section(&mut text, name, program.find_subcommand(name).expect("a command"));
    }
    for command in
        program.get_subcommands().filter(|command| !["run", "init", "join", "check"].contains(&command.get_name()))
    {
        section(&mut text, command.get_name(), command);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("ETEBAR_WRITE").is_some() {
        fs::write(&path, &text).expect("it is written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(there.lines()).find(|(expected, found)| expected != found);
    assert!(
        there == text,
        "docs/configuration.md is not what the command line says, from {differs:?} on: \
         ETEBAR_WRITE=1 cargo test -p etebar-node --test configuration writes it anew"
    );
}
