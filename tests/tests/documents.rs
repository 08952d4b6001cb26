//! The documents: every program of docs/examples shows what it claims, and what the chapter quotes is what it prints.
//!
//! The programs assert their own claims and end with an error otherwise; here they are run, so that they cannot rot. Links and
//! paths are for `.ci/documents`.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tests::machine::needs::{Need, lacks};
use tests::machine::programs::{self, programs};
use tests::{Cluster, Plan, until};

/// Longest time for one program. Source: the slowest takes four seconds on an idle machine.
const LIMIT: Duration = Duration::from_mins(2);
/// Programs that ask a cluster.
const ASKING: [&str; 4] =
    ["07_storm_against_etebar.py", "08_forked_connection.py", "10_shop_wrong.py", "11_shop_right.py"];
/// Programs that print measured figures, which are in the chapter's tables instead.
const MEASURING: [&str; 2] = ["02_lost_update_by_itself.py", "09_what_the_gil_costs.py"];

fn docs() -> PathBuf {
    programs::root().join("docs")
}

fn chapter() -> String {
    fs::read_to_string(docs().join("processes-and-threads.md")).expect("the chapter is there")
}

/// The numbered programs, in order.
fn numbered() -> Vec<String> {
    let files = fs::read_dir(docs().join("examples")).expect("the examples are there").flatten();
    let mut names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    let is_python = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "py");
    names.retain(|name| name.starts_with(|first: char| first.is_ascii_digit()) && is_python(name));
    names.sort();
    names
}

/// A program and all that it started, killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // The group is the child's own, and named after a child not yet waited for. Where it is empty, all have ended.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        // It was killed; its exit code says nothing.
        let _ = self.0.wait();
    }
}

/// `python3` with that program of the examples, in an environment without settings.
fn python(program: &str) -> Command {
    let is_fit = "import sys; sys.exit(sys.version_info < (3, 9))";
    let asked = Command::new("python3").args(["-c", is_fit]).status();
    assert!(
        asked.is_ok_and(|status| status.success()),
        "the documents' programs need python3, 3.9 or newer (Debian: apt-get install python3)"
    );
    let mut command = programs::clean_command("python3");
    command
        .arg(docs().join("examples").join(program))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("JOBS", "4")
        .env_remove("FIGURES");
    command
}

/// Makes a command's cluster this one.
fn at<'a>(cluster: &Cluster, command: &'a mut Command) -> &'a mut Command {
    command.env("ETEBAR_SERVER", cluster.servers()).env("ETEBAR_KEY", &cluster.admin_key)
}

/// What it prints; it must succeed within [`LIMIT`].
#[track_caller]
fn run(command: &mut Command) -> String {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut running = Running(command.spawn().expect("python3 starts"));
    // Less is printed than a pipe holds, so it can be read at the end.
    let status = until(LIMIT, &format!("{command:?}"), || running.0.try_wait().expect("a child can be asked"));
    let (mut out, mut err) = (String::new(), String::new());
    running.0.stdout.take().expect("it is piped").read_to_string(&mut out).expect("text");
    running.0.stderr.take().expect("it is piped").read_to_string(&mut err).expect("text");
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out
}

/// What the chapter says that a program prints.
fn quoted(chapter: &str, program: &str) -> Option<String> {
    let (_, rest) = chapter.split_once(&format!("<!-- output of {program} -->\n```\n"))?;
    let (output, _) = rest.split_once("```\n").expect("a block has an end");
    Some(output.to_owned())
}

#[track_caller]
fn assert_as_quoted(program: &str, printed: &str) {
    match quoted(&chapter(), program) {
        Some(quoted) => assert_eq!(printed, quoted, "{program} prints something else than the chapter says"),
        None => assert!(MEASURING.contains(&program), "the chapter does not say what {program} prints"),
    }
}

#[test]
fn what_needs_no_cluster_shows_what_the_chapter_says() {
    if lacks(Need::Python, "what a document shows") {
        return;
    }
    for program in numbered().iter().filter(|program| !ASKING.contains(&program.as_str())) {
        assert_as_quoted(program, &run(&mut python(program)));
    }
}

#[test]
fn what_asks_a_cluster_shows_what_the_chapter_says() {
    if lacks(Need::Python, "what a document shows") {
        return;
    }
    let cluster = Plan::new("documents").start();
    for program in ASKING {
        assert_as_quoted(program, &run(at(&cluster, &mut python(program))));
    }
    let drive = run(at(&cluster, python("drive.py").args(["--seconds", "0.2", "--workers", "1,3"])));
    assert_eq!(drive.matches("charges/s").count(), 8, "four kinds with one worker and with three: {drive}");
    let mut bench = python("bench.py");
    bench.args(["--nodes", "3", "--seconds", "1"]).env("PROGRAM", &programs().client);
    let said = run(at(&cluster, &mut bench));
    assert!(said.contains("3 nodes: "), "{said}");
}

#[test]
fn the_chapter_names_every_program_and_quotes_none_that_is_not_there() {
    let chapter = chapter();
    let programs = numbered();
    for program in &programs {
        assert!(chapter.contains(&format!("(examples/{program})")), "the chapter has no link to {program}");
    }
    for line in chapter.lines().filter_map(|line| line.strip_prefix("<!-- output of ")) {
        let name = line.trim_end_matches(" -->");
        assert!(programs.iter().any(|program| program == name), "the chapter quotes {name}, which is not there");
    }
}

#[test]
fn tables_and_curves_are_what_the_figures_say() {
    if lacks(Need::Python, "what a document shows") {
        return;
    }
    run(python("tables.py").arg("--check"));
    run(python("plot.py").arg("--check"));
}
