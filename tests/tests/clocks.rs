//! Clocks that are set by two days while the nodes run, while one is down, and before they start: nothing is sold twice, nothing stops.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::api::caller::{self, phone, unique};
use tests::faults::clocks;
use tests::machine::turns::alone;
use tests::{Cluster, Plan, Request, Seller, books, eventually};

const TWO_DAYS: i64 = 172_800;

fn skipped(what: &str) -> bool {
    let is_missing = clocks::library().is_none();
    if is_missing {
        eprintln!("NOT TESTED, because Debian's libfaketime is not installed: {what}");
    }
    is_missing
}

/// Seconds from the time of an answer's record to now.
#[expect(clippy::disallowed_methods, reason = "the right time, to compare the cluster's with")]
fn age(answer: &Value) -> i64 {
    let text = answer["created_at"].as_str().expect("a charge has a time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("a time") - seconds_of(text)
}

/// Seconds since the Unix epoch of a time like `2026-11-28T17:46:56.123Z`.
fn seconds_of(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().expect("digits");
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    // Days of the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    ((days * 24 + part(11, 13)) * 60 + part(14, 16)) * 60 + part(17, 19)
}

fn says(cluster: &Cluster, id: u64, what: &str) {
    eventually(&format!("node {id} to say: {what}"), || cluster.node(id).log_tail(usize::MAX).contains(what));
}

/// These nodes show the state of their clocks, and are ready and healthy all the same.
fn show_clocks(cluster: &Cluster, nodes: &[u64], word: &str, line: &str) {
    let shows = |id: u64| {
        let status = cluster.admin(id).try_get("/v1/cluster?consistency=local").ok()?.json();
        let own = status["members"].as_array()?.iter().find(|node| node["id"] == id)?["healthy"].clone();
        let ready = cluster.node(id).quick("/readyz")?;
        Some(status["clock"] == word && own == true && ready.status == 200 && ready.text().contains(line))
    };
    for id in nodes {
        eventually(&format!("node {id} to show its clock: {word}"), || shows(*id) == Some(true));
    }
}

/// A key of before is a replay at each of these nodes, and a new charge goes at once and has the right time.
fn sells_once(cluster: &Cluster, nodes: &[u64], seller: &Seller, key: &str, before: &Request) {
    for id in nodes {
        let caller = cluster.seller(*id, seller);
        assert!(caller.settle(before).expect(201).replayed(), "node {id} sold it twice");
        let sold = caller.settle(&caller::charge(&unique("now"), &phone(2), 1)).expect(201);
        let found = caller.send(&Request::get(format!("/v1/charges?idempotency_key={key}"))).expect(200).json();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "node {id} does not find it by its key");
        let age = age(&sold.json());
        assert!((-5..60).contains(&age), "made {age} s ago, says node {id}");
        assert!(caller.settle(before).expect(201).replayed(), "node {id} sold it twice");
    }
}

#[test]
fn with_two_of_three_up_a_clock_two_days_ahead_forgets_no_key_and_stops_nothing() {
    if skipped("clocks that are set while one of three nodes is down") {
        return;
    }
    let _alone = alone();
    let cluster = Plan::new("two-clocks").clocks().start();
    let seller = cluster.seller_with(1_000);
    let key = unique("before");
    let sale = caller::charge(&key, &phone(1), 10);
    let leader = cluster.leader();
    cluster.seller(leader, &seller).settle(&sale).expect(201);
    let followers = cluster.followers();
    let (down, up) = (followers[0], followers[1]);
    cluster.node(down).kill();

    // While they run.
    cluster.node(leader).set_clock(TWO_DAYS);
    says(&cluster, leader, "no third to show which is wrong");
    says(&cluster, up, "no third to show which is wrong");
    show_clocks(&cluster, &[leader, up], "differs", "ok clock: it and the only other clock received differ");
    sells_once(&cluster, &[leader, up], &seller, &key, &sale);

    // At a start of both, whichever leads.
    cluster.node(leader).kill();
    cluster.node(up).kill();
    cluster.node(leader).start();
    cluster.node(up).start();
    cluster.wait_ready(&[leader, up]);
    sells_once(&cluster, &[leader, up], &seller, &key, &sale);

    // The third is back: two outvote one, which does not lead.
    cluster.node(down).start();
    says(&cluster, leader, "clock is off");
    eventually("another node to lead", || cluster.leader() != leader);
    sells_once(&cluster, &cluster.ids(), &seller, &key, &sale);
    show_clocks(&cluster, &[leader], "off", "of most of the others: this node does not lead");

    // The clock is set right, and all start again.
    cluster.node(leader).set_clock(0);
    cluster.kill_all();
    cluster.start_all();
    sells_once(&cluster, &cluster.ids(), &seller, &key, &sale);
    books::check(&cluster);
}

#[test]
fn a_clock_two_days_behind_lets_two_of_three_continue_at_the_right_time() {
    if skipped("a clock that is set back while one of three nodes is down") {
        return;
    }
    let _alone = alone();
    let cluster = Plan::new("slow-clock").clocks().start();
    let seller = cluster.seller_with(1_000);
    let key = unique("before");
    let sale = caller::charge(&key, &phone(1), 10);
    let leader = cluster.leader();
    cluster.seller(leader, &seller).settle(&sale).expect(201);
    cluster.node(cluster.followers()[0]).kill();
    cluster.node(leader).set_clock(-TWO_DAYS);
    says(&cluster, leader, "no third to show which is wrong");
    sells_once(&cluster, &cluster.running(), &seller, &key, &sale);
}

#[test]
fn a_node_alone_follows_its_clock_only_as_far_as_time_passed() {
    if skipped("the clock of a cluster of one") {
        return;
    }
    let _alone = alone();
    let cluster = Plan::new("one-clock").nodes(1).clocks().start();
    let seller = cluster.seller_with(1_000);
    let key = unique("before");
    let sale = caller::charge(&key, &phone(1), 10);
    cluster.seller(1, &seller).settle(&sale).expect(201);
    cluster.node(1).set_clock(TWO_DAYS);
    says(&cluster, 1, "restart this node with --trust-clock");
    show_clocks(&cluster, &[1], "not_followed", "ledger time, which does not follow it");
    sells_once(&cluster, &[1], &seller, &key, &sale);

    // Nor after a start: the machine's uptime says how long it was down.
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_ready(&[1]);
    sells_once(&cluster, &[1], &seller, &key, &sale);
    cluster.kill_all();
    cluster.node(1).set_clock(-TWO_DAYS);
    cluster.start_all();
    sells_once(&cluster, &[1], &seller, &key, &sale);
}
