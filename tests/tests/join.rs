//! `etebar-node join`: a member that was added gets its data directory from the others, and whoever is none gets nothing.
//!
//! The node that joins is a founding member whose data directory was never made: as one that was added, it is in the membership,
//! and its number is known with no directory.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::cluster::pki::{make_authority, make_certificate, settings};
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::Turn;
use tests::operator::scripts::{Ended, run};
use tests::{Cluster, Plan, books};

/// The node that joins.
const NEW: u64 = 4;

/// A cluster of four of which three run, and the last has no data directory.
fn cluster_of_three(name: &str) -> Cluster {
    let cluster = Plan::new(name).nodes(4).init(Some(Turn::take()));
    fs::remove_dir_all(&cluster.node(NEW).data_dir).expect("it was made");
    for id in 1..NEW {
        cluster.node(id).launch();
    }
    cluster.wait_ready(&[1, 2, 3]);
    cluster
}

fn peer(cluster: &Cluster, id: u64) -> String {
    SocketAddr::from((cluster.address(id).ip(), cluster.peer_port(id))).to_string()
}

/// `join` of node `id` with the files of that folder; its data directory and its seeds follow.
fn join_with(cluster: &Cluster, files: &Path, id: u64, data_dir: &Path) -> Command {
    let mut command = clean_command(&programs().node);
    command.arg("join").arg("--data-dir").arg(data_dir).args(["--id", &id.to_string(), "--cluster-id", &cluster.id()]);
    command.envs(settings(files, id));
    command
}

/// The same as an operator runs it: with the certificate of the cluster's authority, and the others as seeds.
fn join(cluster: &Cluster, id: u64, data_dir: &Path) -> Command {
    let mut command = join_with(cluster, &cluster.pki(), id, data_dir);
    command.arg("--seed").args([1, 2, 3].map(|seed| peer(cluster, seed)));
    command
}

fn identity(data_dir: &Path) -> Value {
    let text = fs::read(data_dir.join("identity.json")).expect("it was finished");
    serde_json::from_slice::<Value>(&text).expect("JSON")["identity"].take()
}

#[track_caller]
fn refused(command: &mut Command, code: i32, expected: &str) -> Ended {
    let ended = run(command);
    assert_eq!(ended.code, Some(code), "{expected}: {ended:?}");
    assert!(ended.err.contains(expected) && ended.out.is_empty(), "{expected}: {ended:?}");
    assert_eq!(ended.err.trim_end().lines().count(), 1, "{}", ended.err);
    ended
}

#[test]
fn a_member_that_was_added_joins_and_serves_and_its_number_is_not_used_again() {
    let cluster = cluster_of_three("join");
    let seller = cluster.seller_with(1_000);
    let data_dir = cluster.node(NEW).data_dir.clone();
    let said = run(&mut join(&cluster, NEW, &data_dir)).success();
    assert!(said.contains("made") && said.contains("for node 4 of cluster"), "{said}");

    let (made, founder) = (identity(&data_dir), identity(&cluster.node(1).data_dir));
    for field in ["cluster", "ledger", "epoch", "genesis"] {
        assert_eq!(made[field], founder[field], "{field}");
    }
    let mut others = founder["members"].clone();
    assert_eq!(made["joined"]["address"], others.as_object_mut().expect("members").remove("4").expect("its own"));
    assert_eq!(made["members"], others, "the others, and not itself");

    // As before each start of an init container.
    let again = || run(&mut join(&cluster, NEW, &data_dir)).success();
    assert!(again().contains("there already for node 4"));
    cluster.node(NEW).launch();
    cluster.wait_ready(&[NEW]);
    assert!(again().contains("there already for node 4"), "while it runs, too");
    assert_eq!(cluster.seller(NEW, &seller).balance("me"), 1_000);
    books::check(&cluster);
    make_certificate(&cluster.pki(), &cluster.id(), 5);
    refused(&mut join(&cluster, 5, &data_dir), 2, "belongs to node 4");

    cluster.node(NEW).kill();
    fs::remove_dir_all(&data_dir).expect("its disk is lost");
    refused(&mut join(&cluster, NEW, &data_dir), 1, "number 4 was used");
    assert!(!data_dir.exists(), "nothing is left behind");
}

#[test]
fn an_interrupted_join_is_run_again() {
    let cluster = cluster_of_three("join-again");
    let data_dir = cluster.node(NEW).data_dir.clone();
    // A seed that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let mut command = join_with(&cluster, &cluster.pki(), NEW, &data_dir);
    command.args(["--seed", &address]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    drop(silent.accept().map(|(connection, _)| {
        child.kill().expect("a child can be killed");
        connection
    }));
    child.wait().expect("a killed child ends");
    assert!(!data_dir.exists());

    // Killed while it made the directory.
    fs::create_dir_all(data_dir.join("log").join("generation")).expect("a folder");
    for name in ["unfinished", "lock", "identity.json.new"] {
        fs::write(data_dir.join(name), "").expect("a file");
    }
    run(&mut join(&cluster, NEW, &data_dir)).success();
    assert!(!data_dir.join("unfinished").exists() && !data_dir.join("log").join("generation").exists());
    cluster.node(NEW).launch();
    cluster.wait_ready(&[NEW]);
    books::check(&cluster);
}

#[test]
fn who_may_not_join_is_told_why_in_one_line_and_nothing_is_made() {
    let cluster = cluster_of_three("join-refused");
    let (pki, id, data_dir) = (cluster.pki(), cluster.id(), cluster.node(NEW).data_dir.clone());
    let seed = peer(&cluster, 1);

    make_certificate(&pki, &id, 9);
    let begun = Instant::now();
    let no_member = refused(&mut join(&cluster, 9, &data_dir), 1, "node 9 is no member of cluster");
    assert!(no_member.err.contains("add it first with `etebar members add`"), "{}", no_member.err);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    let foreign = cluster.folder().join("foreign");
    make_authority(&foreign);
    make_certificate(&foreign, &id, NEW);
    refused(join_with(&cluster, &foreign, NEW, &data_dir).args(["--seed", &seed]), 1, "of another authority");
    // It trusts the members, and they do not trust it.
    let both = [&pki, &foreign].map(|folder| fs::read_to_string(folder.join("ca.pem")).expect("an authority"));
    fs::write(foreign.join("ca.pem"), both.concat()).expect("it is written");
    refused(
        join_with(&cluster, &foreign, NEW, &data_dir).args(["--seed", &seed]),
        1,
        "refused this node's certificate",
    );

    let swapped = cluster.folder().join("swapped");
    fs::create_dir(&swapped).expect("a folder");
    for (from, to) in [("ca.pem", "ca.pem"), ("node-1.pem", "node-4.pem"), ("node-1.key", "node-4.key")] {
        fs::copy(pki.join(from), swapped.join(to)).expect("it is copied");
    }
    refused(join_with(&cluster, &swapped, NEW, &data_dir).args(["--seed", &seed]), 2, "of node 1, not of node 4");
    let mut elsewhere = clean_command(&programs().node);
    elsewhere
        .arg("join")
        .arg("--data-dir")
        .arg(&data_dir)
        .args(["--id", "4", "--seed", &seed])
        .envs(settings(&pki, NEW));
    elsewhere.args(["--cluster-id", "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10"]);
    refused(&mut elsewhere, 2, "names no node of this cluster");

    let nobody = ["127.0.0.1:1", "127.0.0.1:2"];
    let unreachable = refused(join_with(&cluster, &pki, NEW, &data_dir).arg("--seed").args(nobody), 1, nobody[0]);
    assert!(unreachable.err.contains(nobody[1]), "each with its reason: {}", unreachable.err);
    let api = cluster.address(1).to_string();
    refused(join_with(&cluster, &pki, NEW, &data_dir).args(["--seed", &api]), 1, &api);
    refused(&mut join_with(&cluster, &pki, NEW, &data_dir), 2, "--seed");
    refused(join_with(&cluster, &pki, NEW, &data_dir).args(["--seed", "n1"]), 2, "must be a peer address");
    assert!(!data_dir.exists(), "nothing is left behind");

    let letter = data_dir.join("letter.txt");
    fs::create_dir_all(&data_dir).expect("a folder");
    fs::write(&letter, "mine").expect("a file");
    refused(&mut join(&cluster, NEW, &data_dir), 2, "is not empty");
    assert_eq!(fs::read_dir(&data_dir).expect("a folder").count(), 1);
}
