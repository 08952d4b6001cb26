//! The README's first command, from its first line to the commands that it says to try next.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::Folder;
use tests::operator::scripts::{run, script};

/// What a demo left running; ended when it is dropped.
struct Kept {
    dir: PathBuf,
    _folder: Folder,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Best effort: a failing test has said what is wrong already.
        let _ = script("down.sh").arg("--wipe").arg("--dir").arg(&self.dir).output();
    }
}

/// Runs one of the commands that the demo printed, as a user who copies its line.
#[track_caller]
fn try_it(kept: &Kept, lines: &str) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-euc", lines]).current_dir(kept.dir.parent().expect("it has a parent")).env_remove("ETEBAR_KEY");
    run(&mut shell).success()
}

#[test]
fn the_demo_runs_its_steps_proves_them_draws_them_and_keeps_its_cluster_where_asked() {
    let folder = Folder::new("demo");
    let kept = Kept { dir: folder.path().join("data/demo"), _folder: folder };
    let place = kept.dir.parent().and_then(|data| data.parent()).expect("its folder").to_owned();
    let demo = || {
        let mut demo = script("demo.sh");
        demo.arg("--keep").current_dir(&place);
        run(&mut demo)
    };
    let output = demo().success();
    for sentence in [
        "balance after 60 charges: 700,000",
        "balance after the refusal: 700,000",
        "5,000,000 less 500 charges of 1,000: 4,500,000",
        "killed the leader",
        "verdict                       every promise kept",
    ] {
        assert!(output.contains(sentence), "{sentence:?} is missing in:\n{output}");
    }
    assert!(!output.contains('\r') && !output.contains('\u{1b}'), "no progress without a terminal: {output:?}");
    for proof in ["lost", "doubled", "negative"] {
        let line = output.lines().find(|line| line.trim_start().starts_with(proof)).expect("a line a proof");
        assert_eq!(line.split_whitespace().last(), Some("0"), "{line}");
    }
    let printed = |start: &str| {
        let line = output.lines().map(str::trim).find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in:\n{output}")).to_owned()
    };
    let drawing = fs::read_to_string(place.join("data/demo.svg")).expect("the drawing is there");
    assert!(output.contains("data/demo.svg"), "its path is printed: {output}");
    let marks = drawing.lines().filter(|line| line.starts_with("node ") && line.ends_with(" killed"));
    assert_eq!(marks.count(), 2, "both kills are marked");
    let settings = printed("export ETEBAR_SERVER=");
    let verify = output.lines().map(str::trim).find(|line| line.ends_with("/etebar verify")).expect("it says so");
    let report: Value = serde_json::from_str(&try_it(&kept, &format!("{settings}\n{verify} --json"))).expect("JSON");
    assert_eq!(report["verdict"], "kept");
    let again = demo();
    assert_eq!(again.code, Some(1), "one demo is kept at a time: {}", again.out);
    assert!(again.err.contains("down.sh"), "{}", again.err);
}
