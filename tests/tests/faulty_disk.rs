//! Disks that stall, fail and tear under real processes: the others continue, nothing is lost, and the node says what
//! is wrong.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::api::caller::{charge, phone, unique};
use tests::faults::failing_disk::DiskFault;
use tests::machine::turns::alone;
use tests::{Cluster, Load, Plan, Seller, books, eventually};

const WORKERS: usize = 8;
/// Longest time from a fault to the end of a process that has to stop, on a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

fn with_sellers(name: &str) -> (Cluster, Vec<Seller>) {
    let cluster = Plan::new(name).disk_faults().start();
    let sellers = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    (cluster, sellers)
}

fn is_ready(cluster: &Cluster, id: u64) -> bool {
    cluster.node(id).quick("/readyz").is_some_and(|answer| answer.status == 200)
}

#[test]
fn a_leader_whose_disk_stalls_gives_leadership_up_and_still_serves_its_callers() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("stalled-leader");
    let seller = cluster.seller_with(100);
    let load = Load::start(&cluster, &sellers, WORKERS, 1);
    load.wait_for_more(200);
    let leader = cluster.leader();
    let stalled = Instant::now();
    cluster.node(leader).set_disk_fault(DiskFault::Stall);
    let next = cluster.leader_after(leader);
    eprintln!("node {next} leads {:?} after the disk of node {leader} stalled", stalled.elapsed());
    load.wait_for_more(200);

    let sale = charge(&unique("stalled"), &phone(1), 5);
    let answered = cluster.seller(leader, &seller).settle(&sale).expect(201).json();
    let again = cluster.seller(next, &seller).settle(&sale).expect(201).json();
    assert!(answered["id"].is_string());
    assert_eq!(answered["id"], again["id"], "one charge, whichever node is asked");
    eventually("the stalled node to say so", || {
        cluster.node(leader).quick("/readyz").is_some_and(|answer| {
            answer.status == 503 && answer.text().contains("failed disk: the disk does not answer")
        })
    });
    assert!(cluster.node(leader).quick("/livez").is_some_and(|answer| answer.status == 200), "it stays live");

    cluster.node(leader).set_disk_fault(DiskFault::None);
    eventually("the node to be ready again", || is_ready(&cluster, leader));
    load.wait_for_more(200);
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_node_that_is_still_starting_delays_no_caller() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("slow-start");
    let follower = cluster.followers()[0];
    let node = cluster.node(follower);
    node.kill();
    node.set_disk_fault(DiskFault::Stall);
    node.launch();
    // It opens its disks next, and gets no further.
    eventually("the node to start", || node.log_tail(1).contains("node starts"));
    let refused = TcpStream::connect(cluster.address(follower)).expect_err("it does not listen yet");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    let load = Load::start(&cluster, &sellers, WORKERS, 7);
    load.wait_for_more(200);
    assert!(node.quick("/livez").is_none(), "it starts still");

    node.set_disk_fault(DiskFault::None);
    eventually("the node to be ready", || is_ready(&cluster, follower));
    load.wait_for_more(200);
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_follower_whose_disk_stalls_permanently_delays_no_caller() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("stalled-follower");
    let load = Load::start(&cluster, &sellers, WORKERS, 2);
    load.wait_for_more(200);
    let (leader, follower) = (cluster.leader(), cluster.followers()[0]);
    cluster.node(follower).set_disk_fault(DiskFault::Stall);
    load.wait_for_more(2_000);
    assert_eq!(cluster.leader(), leader, "there is no reason for another leader");
    cluster.node(follower).set_disk_fault(DiskFault::None);
    eventually("the node to be ready again", || is_ready(&cluster, follower));
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_node_whose_sync_fails_stops_at_once_and_says_why() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("failed-sync");
    let load = Load::start(&cluster, &sellers, WORKERS, 3);
    for turn in 0..3 {
        load.wait_for_more(200);
        // The leader first, then its successor.
        let id = if turn == 0 { cluster.leader() } else { cluster.followers()[0] };
        let node = cluster.node(id);
        node.set_disk_fault(DiskFault::FailSync);
        let status = node.wait_end(STOPS_WITHIN);
        assert_eq!(status.code(), Some(1), "node {id} ends as one that failed");
        let said = node.log_tail(30);
        let says_why = |line: &str| line.contains("node stopped") && line.contains("Input/output error");
        assert!(said.lines().any(says_why), "{said}");
        load.wait_for_more(200);
        node.set_disk_fault(DiskFault::None);
        cluster.start_ready(id);
    }
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_torn_write_ends_a_process_and_nothing_acknowledged_is_lost() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("torn-write");
    let load = Load::start(&cluster, &sellers, WORKERS, 4);
    for turn in 0..4 {
        load.wait_for_more(200);
        let id = if turn % 2 == 0 { cluster.leader() } else { cluster.followers()[0] };
        let node = cluster.node(id);
        node.set_disk_fault(DiskFault::Tear);
        node.wait_end(STOPS_WITHIN);
        node.set_disk_fault(DiskFault::None);
        load.wait_for_more(200);
        cluster.start_ready(id);
    }
    books::prove(&cluster, &load.finish());
}
