//! chaos.sh breaks a cluster on purpose and finds every promise kept; a run that broke little proves nothing and says so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tests::Folder;
use tests::machine::builds::node_of_the_commit_before;
use tests::operator::scripts::{run, script};
use tests::wait;

#[test]
fn a_short_chaos_ends_with_a_report_and_its_verdict() {
    let folder = Folder::new("chaos");
    let drawing = folder.path().join("chaos.svg");
    let mut chaos = script("chaos.sh");
    chaos.args(["--seconds", "25", "--seed", "4", "--svg"]).arg(&drawing).env("TMPDIR", folder.path());
    let ended = run(&mut chaos);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    for sentence in ["every promise kept", "charges stopped for", "every promise held; seed 4"] {
        assert!(ended.out.contains(sentence), "{sentence:?} is missing in:\n{}", ended.out);
    }
    assert!(fs::read_to_string(drawing).expect("the drawing is there").contains("under chaos, seed 4"));
    let left: Vec<_> = fs::read_dir(folder.path()).expect("its folder").flatten().map(|it| it.file_name()).collect();
    assert_eq!(left, ["chaos.svg"], "nothing else is left");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("what is mounted");
    assert!(!mounts.contains("etebar-chaos"), "no disk is left mounted: {mounts}");
}

#[test]
fn all_nodes_go_to_the_build_of_the_commit_before_and_back_under_load() {
    let Some(previous) = node_of_the_commit_before() else {
        eprintln!("SKIPPED: git has no commit before the last one here");
        return;
    };
    let folder = Folder::new("chaos-upgrade");
    // Its processes are found by their name.
    let program = folder.path().join("etebar-node");
    fs::copy(&previous, &program).expect("it is copied");
    let mut chaos = script("chaos.sh");
    chaos.args(["--seconds", "12", "--seed", "4", "--faults", "upgrade_all", "--previous"]).arg(&program);
    chaos.arg("--svg").arg(folder.path().join("chaos.svg")).env("TMPDIR", folder.path());
    let ended = run(&mut chaos);
    if ended.err.contains("NO UPGRADE: ") {
        assert!(ended.err.contains("there is no way back"), "{}", ended.err);
        eprintln!("SKIPPED: the last commit raises the rules, from where there is no way back");
        return;
    }
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    for sentence in ["back to the build of before, and up again", "every promise held; seed 4"] {
        assert!(ended.out.contains(sentence), "{sentence:?} is missing in:\n{}", ended.out);
    }
}

#[test]
fn a_chaos_that_is_ended_early_takes_all_its_processes_with_it() {
    let folder = Folder::new("chaos-ended");
    let mut chaos = script("chaos.sh");
    chaos.args(["--seconds", "120", "--seed", "4", "--faults", "pause_one", "--svg"]);
    chaos.arg(folder.path().join("chaos.svg")).env("TMPDIR", folder.path());
    let mut chaos = chaos.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chaos.sh starts");
    let mut said = BufReader::new(chaos.stdout.take().expect("its output")).lines().map_while(Result::ok);
    said.find(|line| line.ends_with("paused")).expect("the first fault");
    assert!(processes_in(folder.path()).len() >= 5, "three nodes and two loads: {:?}", processes_in(folder.path()));
    kill_process(Pid::from_child(&chaos), Signal::TERM).expect("a child takes a signal");
    assert_eq!(chaos.wait().expect("it ends").code(), Some(130));
    wait::eventually("all that it started has ended", || processes_in(folder.path()).is_empty());
}

#[test]
fn all_faults_are_listed_and_what_is_none_is_wrong_usage() {
    let listed = run(script("chaos.sh").arg("--list")).success();
    assert_eq!(listed.lines().count(), 23, "{listed}");
    for (arguments, said) in [
        (["--faults", "kill_one,nothing"], "there is no fault nothing (--list prints them)"),
        (["--nodes", "4"], "--nodes is 3 or 5, not 4"),
        (["--previous-commit", "no-such-commit"], "there is no commit no-such-commit"),
    ] {
        let ended = run(script("chaos.sh").args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{arguments:?}: {}", ended.err);
    }
}

/// The command lines of all processes that name this folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("a plain path");
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    // What ended meanwhile has no command line.
    let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(folder)).map(|line| line.replace('\0', " ")).collect()
}
