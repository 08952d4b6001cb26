//! A file of charges is imported while its program and the leader are killed: every line is charged once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::api::caller::phone;
use tests::machine::turns::alone;
use tests::operator::scripts::{Ended, etebar, run};
use tests::{Cluster, Plan, Seller, books, eventually};

/// Sixty batches, one after the other: the program is far from its end when its first answers are seen.
const LINES: u64 = 30_000;

/// Line `index` charges a phone of its own; amounts are 1 to 7.
fn amount(index: u64) -> u64 {
    1 + index % 7
}

fn input(cluster: &Cluster, lines: u64) -> PathBuf {
    let lines = (0..lines).map(|index| format!("{},{},order {index}\n", phone(index), amount(index)));
    let path = cluster.folder().join("orders.csv");
    fs::write(&path, format!("phone,amount,note\n{}", lines.collect::<String>())).expect("the input can be written");
    path
}

fn import(cluster: &Cluster, seller: &Seller, file: &Path) -> Command {
    let mut command = etebar(cluster);
    command.env("ETEBAR_KEY", &seller.key).args(["charges", "import", "--json"]).arg(file);
    command
}

#[track_caller]
fn summary(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{} {}", ended.out, ended.err))
}

/// How many answers the resume file holds.
fn answers(file: &Path) -> usize {
    let mut resume = file.as_os_str().to_owned();
    resume.push(".resume");
    fs::read_to_string(resume).map_or(0, |text| text.matches("{\"charged\":").count())
}

/// Waits until the program has noted down more answers, or has ended.
fn wait_for_answers(child: &mut Child, file: &Path, more_than: usize) {
    eventually("answers in the resume file", || {
        answers(file) > more_than || child.try_wait().expect("a child can be asked").is_some()
    });
}

#[test]
fn an_import_that_is_killed_beside_a_killed_leader_charges_each_line_once() {
    let _alone = alone();
    let cluster = Plan::new("csv-import").start();
    let seller = cluster.seller_with(1_000_000);
    let file = input(&cluster, LINES);
    let start = || {
        let mut command = import(&cluster, &seller, &file);
        command.args(["--parallel", "1"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the client's program starts")
    };
    let mut child = start();
    wait_for_answers(&mut child, &file, 0);
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    let after_first = answers(&file);
    assert!(after_first > 0);
    eprintln!("killed after {after_first} of {LINES} answers");

    let mut child = start();
    wait_for_answers(&mut child, &file, after_first);
    let leader = cluster.leader();
    cluster.node(leader).kill();
    wait_for_answers(&mut child, &file, answers(&file));
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");

    eprintln!("killed again after {}, beside the leader", answers(&file));

    let ended = run(&mut import(&cluster, &seller, &file));
    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    let summed = summary(&ended);
    assert_eq!(
        (&summed["charged"], &summed["unknown"], &summed["not_sent"]),
        (&LINES.into(), &0.into(), &0.into()),
        "{summed}"
    );
    cluster.start_ready(leader);
    assert_each_line_once(&cluster, &seller, LINES);

    // Where no node is: a third run has nothing to send.
    let again = run(import(&cluster, &seller, &file).env("ETEBAR_SERVER", "http://127.0.0.1:1"));
    assert_eq!(again.code, Some(0), "{} {}", again.out, again.err);
    assert_eq!((&summary(&again)["answered_now"], &summary(&again)["charged"]), (&0.into(), &LINES.into()));
}

#[test]
fn an_import_waits_where_the_nodes_limit_the_rate_and_charges_each_line_once() {
    let _alone = alone();
    let cluster = Plan::new("csv-import-rate").setting("ETEBAR_RATE_PER_KEY", "400").start();
    let seller = cluster.seller_with(1_000_000);
    let file = input(&cluster, 3_000);
    // A batch takes 1.25 s of a node's rate; a call is given less.
    let mut command = etebar(&cluster);
    command.env("ETEBAR_KEY", &seller.key).args(["charges", "import", "--timeout", "1s"]).arg(&file);
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    assert!(ended.err.contains("the nodes limit the rate of this API key"), "{}", ended.err);
    assert_each_line_once(&cluster, &seller, 3_000);
}

/// The books are right, and hold each line of the input once and nothing else.
#[track_caller]
fn assert_each_line_once(cluster: &Cluster, seller: &Seller, lines: u64) {
    let entries = books::check(cluster);
    let mut charged: HashMap<String, Vec<i64>> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == "charge") {
        charged.entry(entry.phone.clone().expect("a charge has a phone")).or_default().push(-entry.amount);
    }
    let expected = (0..lines).map(|index| (phone(index), vec![i64::try_from(amount(index)).expect("a small amount")]));
    assert_eq!(charged, expected.collect());
    let sum: u64 = (0..lines).map(amount).sum();
    assert_eq!(cluster.admin(1).balance(&seller.id), 1_000_000 - i64::try_from(sum).expect("a small sum"));
    let result = fs::read_to_string(cluster.folder().join("orders.result.csv")).expect("there is a result");
    let entries: HashSet<&str> = result.lines().skip(1).filter_map(|line| line.split(',').nth(7)).collect();
    assert_eq!(entries.len() as u64, lines, "each line names an entry of its own");
}
