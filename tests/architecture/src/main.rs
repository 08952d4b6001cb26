//! `architecture [--arrows | --json] [ROOT]`: checks the rules about files and libraries (see the library's front page).
//!
//! Without a flag: prints circles, breaches and crowded folders. `--arrows` prints each arrow in a line, `from -> to`, and
//! `--json` all that was found, for drawing. Exit codes: 0 the rules hold, 1 they do not, 2 something could not be read.
#![deny(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::ExitCode;

use architecture::check::{Findings, check, described};
use architecture::rules::RULES;
use architecture::source::load::load;
use architecture::source::tree::{FileId, Tree};
use serde_json::json;

const HELP: &str = "usage: architecture [--arrows | --json] [ROOT]";

enum Show {
    Findings,
    Arrows,
    Json,
}

fn main() -> ExitCode {
    let (mut show, mut root) = (Show::Findings, PathBuf::from("."));
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--arrows" => show = Show::Arrows,
            "--json" => show = Show::Json,
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            flag if flag.starts_with('-') => return failed(HELP),
            path => root = PathBuf::from(path),
        }
    }
    let tree = match load(&root) {
        Ok(tree) => tree,
        Err(error) => return failed(&error.to_string()),
    };
    let findings = check(&tree, &RULES);
    match show {
        Show::Findings => return verdict(&tree, &findings),
        Show::Arrows => {
            for (from, to) in findings.arrows.keys() {
                println!("{} -> {}", tree.path_of(*from), tree.path_of(*to));
            }
        }
        Show::Json => println!("{:#}", as_json(&tree, &findings)),
    }
    ExitCode::SUCCESS
}

fn failed(what: &str) -> ExitCode {
    eprintln!("architecture: {what}");
    ExitCode::from(2)
}

fn verdict(tree: &Tree, findings: &Findings) -> ExitCode {
    for (folder, count) in &findings.crowded {
        println!("warning: {folder} has {count} children, more than {}", RULES.children_max);
    }
    for circle in &findings.circles {
        println!("circle of {} files:", circle.files.len());
        circle.files.iter().for_each(|file| println!("  {}", tree.path_of(*file)));
        println!("  a shortest way around:");
        let next = circle.shortest.iter().cycle().skip(1);
        for (from, to) in circle.shortest.iter().zip(next) {
            let reasons = findings.arrows.get(&(*from, *to)).map_or(&[][..], Vec::as_slice);
            println!("  {}", described(tree, *from, *to, reasons).replace('\n', "\n  "));
        }
    }
    findings.breaches.iter().for_each(|breach| println!("{breach}"));
    let (count, most) = (findings.files_in_circles(), RULES.files_in_circles_max);
    if count > most {
        eprintln!("{count} files stand in circles, {most} at most may");
    } else if count < most {
        println!(
            "{count} files stand in circles: lower files_in_circles_max from {most} (tests/architecture/src/rules.rs)"
        );
    }
    if !findings.breaches.is_empty() {
        eprintln!("{} breaches of the architecture", findings.breaches.len());
    }
    if count > most || !findings.breaches.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("the architecture holds");
    ExitCode::SUCCESS
}

fn as_json(tree: &Tree, findings: &Findings) -> serde_json::Value {
    let names = |files: &mut dyn Iterator<Item = &FileId>| files.map(|file| tree.path_of(*file)).collect::<Vec<_>>();
    let arrows = findings.arrows.iter().map(|((from, to), reasons)| {
        let lines: Vec<_> = reasons.iter().map(|reason| json!({"line": reason.line, "path": reason.path})).collect();
        json!({"from": tree.path_of(*from), "to": tree.path_of(*to), "lines": lines})
    });
    let circles = findings.circles.iter().map(
        |circle| json!({"files": names(&mut circle.files.iter()), "shortest": names(&mut circle.shortest.iter())}),
    );
    let crowded = findings.crowded.iter().map(|(folder, children)| json!({"folder": folder, "children": children}));
    json!({
        "arrows": arrows.collect::<Vec<_>>(),
        "circles": circles.collect::<Vec<_>>(),
        "breaches": findings.breaches,
        "crowded": crowded.collect::<Vec<_>>(),
    })
}
