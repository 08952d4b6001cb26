//! `etebar-node check`: says offline whether a build can serve a data directory, and changes nothing of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tests::load::batches::charge_in_batches;
use tests::machine::programs::{clean_command, programs};
use tests::operator::scripts::{Ended, run};
use tests::{Cluster, Folder, Plan};

/// What a folder holds: of each file its bytes and when it was written last.
type Content = BTreeMap<PathBuf, (Vec<u8>, SystemTime)>;

fn content(folder: &Path) -> Content {
    let mut files = Content::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            let written = entry.metadata().and_then(|metadata| metadata.modified()).expect("a time");
            files.insert(path.clone(), (fs::read(&path).expect("a file"), written));
        }
    }
    files
}

fn check(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = clean_command(&programs().node);
    command.arg("check").arg("--data-dir").arg(data_dir).args(arguments);
    command
}

/// Runs a check that must end with that code, and checks that the directory is the same afterwards.
#[track_caller]
fn checked(data_dir: &Path, arguments: &[&str], code: i32) -> Ended {
    let before = content(data_dir);
    let ended = run(&mut check(data_dir, arguments));
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(content(data_dir) == before, "the data directory is changed: {ended:?}");
    assert_eq!(ended.err.lines().count(), usize::from(code != 0), "{}", ended.err);
    ended
}

fn cluster_with_charges(name: &str) -> Cluster {
    let cluster = Plan::new(name).start();
    let seller = cluster.seller_with(1_000_000);
    charge_in_batches(&cluster, &seller, 3, 1_000);
    cluster
}

#[test]
fn a_data_directory_is_looked_at_and_stays_as_it_is() {
    let cluster = cluster_with_charges("check");
    let scratch = Folder::new("check-scratch");
    let scratch_path = scratch.path().to_str().expect("a path of our own");
    let node = cluster.node(2);
    let served = checked_while_served(&node.data_dir);
    assert!(served.out.contains("identity  ok") && served.out.contains("rules     -"), "{}", served.out);

    // One that ended in order, one that was killed.
    assert_eq!(node.terminate(Duration::from_secs(10)).code(), Some(0));
    cluster.node(3).kill();
    for id in [2, 3] {
        let data_dir = &cluster.node(id).data_dir;
        let ended = checked(data_dir, &["--scratch", scratch_path, "--id", &id.to_string()], 0);
        let expected = [format!("node {id} of cluster {}", cluster.id()), "no process serves it".to_owned()];
        for text in expected.iter().map(String::as_str).chain(["goes by rules ", "joins the history"]) {
            assert!(ended.out.contains(text), "{text}: {}", ended.out);
        }
        assert_eq!(ended.out.lines().filter(|line| line.contains(" ok ")).count(), 5, "a line a check: {}", ended.out);
        let report = checked(data_dir, &["--json"], 0).json();
        assert!(report["can_serve"] == true && report["rules_known"].as_u64() > Some(0), "{report}");
        assert_eq!(report["checks"].as_array().map(Vec::len), Some(5), "{report}");
    }
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0, "the copies are removed");
    for id in [2, 3] {
        cluster.start_ready(id);
    }
}

/// A node that runs writes meanwhile, so its files are not compared.
fn checked_while_served(data_dir: &Path) -> Ended {
    let ended = run(&mut check(data_dir, &[]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("another process"), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    ended
}

#[test]
fn what_this_build_cannot_serve_is_named_in_one_line() {
    let cluster = cluster_with_charges("check-refused");
    let node = cluster.node(1);
    assert_eq!(node.terminate(Duration::from_secs(10)).code(), Some(0));
    let data_dir = &node.data_dir;
    assert!(checked(data_dir, &["--id", "2"], 2).err.contains("belongs to node 1"));
    let absent = run(&mut check(&cluster.folder().join("nowhere"), &[]));
    assert_eq!((absent.code, absent.err.contains("no data directory")), (Some(2), true), "{absent:?}");
    assert!(checked(data_dir, &["--scratch", "/nonexistent"], 1).err.contains("/nonexistent"));

    // The history is shorter than its high-water mark says; the log has lost its newest generation.
    let db = data_dir.join("history").join("db");
    let whole = fs::read(&db).expect("the history");
    fs::write(&db, vec![0; whole.len()]).expect("it is written");
    let history = checked(data_dir, &["--json"], 1);
    assert!(history.err.contains("history") && !history.err.contains("etebar-check-"), "{}", history.err);
    let report: serde_json::Value = serde_json::from_str(&history.out).expect("JSON");
    assert_eq!(report["can_serve"], false, "{report}");
    fs::write(&db, whole).expect("it is written");

    let log = data_dir.join("log");
    let generations = fs::read_dir(&log).expect("the log").flatten().map(|entry| entry.path());
    let newest = generations.filter(|path| path.is_dir()).max().expect("a generation");
    fs::rename(&newest, cluster.folder().join("kept")).expect("it is moved");
    assert!(checked(data_dir, &[], 1).out.contains("log       REFUSED"));
    fs::rename(cluster.folder().join("kept"), &newest).expect("it is moved back");
    checked(data_dir, &[], 0);

    let identity = data_dir.join("identity.json");
    let text = fs::read_to_string(&identity).expect("an identity");
    fs::write(&identity, text.replace("\"format\": 2", "\"format\": 9")).expect("it is written");
    assert!(checked(data_dir, &[], 1).err.contains("format 9"));
}
