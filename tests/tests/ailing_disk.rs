//! Disks that stall, fail and tear under real processes: the others go on, nothing is lost, and the member says what is wrong.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::disk_faults::DiskFault;
use tests::shop::{charge, phone, unique};
use tests::turns::alone;
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
    cluster.member(id).quick("/readyz").is_some_and(|answer| answer.status == 200)
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
    cluster.member(leader).ail(DiskFault::Stall);
    let next = cluster.leader_after(leader);
    eprintln!("member {next} leads {:?} after the disk of member {leader} stalled", stalled.elapsed());
    load.wait_for_more(200);

    let sale = charge(&unique("stalled"), &phone(1), 5);
    let answered = cluster.seller(leader, &seller).settle(&sale).expect(201).json();
    let again = cluster.seller(next, &seller).settle(&sale).expect(201).json();
    assert!(answered["id"].is_string());
    assert_eq!(answered["id"], again["id"], "one charge, whoever is asked");
    eventually("the stalled member to say so", || {
        cluster.member(leader).quick("/readyz").is_some_and(|answer| {
            answer.status == 503 && answer.text().contains("failed disk: the disk does not answer")
        })
    });
    assert!(cluster.member(leader).quick("/livez").is_some_and(|answer| answer.status == 200), "it lives");

    cluster.member(leader).ail(DiskFault::None);
    eventually("the member to be ready again", || is_ready(&cluster, leader));
    load.wait_for_more(200);
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_member_that_is_still_starting_holds_no_caller_up() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("slow-start");
    let follower = cluster.followers()[0];
    let member = cluster.member(follower);
    member.kill();
    member.ail(DiskFault::Stall);
    member.launch();
    // It opens its disks next, and gets no further.
    eventually("the member to start", || member.log_tail(1).contains("node starts"));
    let refused = TcpStream::connect(cluster.address(follower)).expect_err("there is nobody to answer yet");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    let load = Load::start(&cluster, &sellers, WORKERS, 7);
    load.wait_for_more(200);
    assert!(member.quick("/livez").is_none(), "it starts still");

    member.ail(DiskFault::None);
    eventually("the member to be ready", || is_ready(&cluster, follower));
    load.wait_for_more(200);
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_follower_whose_disk_stalls_for_good_holds_nobody_up() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("stalled-follower");
    let load = Load::start(&cluster, &sellers, WORKERS, 2);
    load.wait_for_more(200);
    let (leader, follower) = (cluster.leader(), cluster.followers()[0]);
    cluster.member(follower).ail(DiskFault::Stall);
    load.wait_for_more(2_000);
    assert_eq!(cluster.leader(), leader, "there is no reason for another leader");
    cluster.member(follower).ail(DiskFault::None);
    eventually("the member to be ready again", || is_ready(&cluster, follower));
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_member_whose_sync_fails_stops_at_once_and_says_why() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("failed-sync");
    let load = Load::start(&cluster, &sellers, WORKERS, 3);
    for turn in 0..3 {
        load.wait_for_more(200);
        // The leader first, then whoever follows.
        let id = if turn == 0 { cluster.leader() } else { cluster.followers()[0] };
        let member = cluster.member(id);
        member.ail(DiskFault::FailSync);
        let status = member.wait_end(STOPS_WITHIN);
        assert_eq!(status.code(), Some(1), "member {id} ends as one that failed");
        let said = member.log_tail(30);
        let says_why = |line: &str| line.contains("node stopped") && line.contains("Input/output error");
        assert!(said.lines().any(says_why), "{said}");
        load.wait_for_more(200);
        member.ail(DiskFault::None);
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
        let member = cluster.member(id);
        member.ail(DiskFault::Tear);
        member.wait_end(STOPS_WITHIN);
        member.ail(DiskFault::None);
        load.wait_for_more(200);
        cluster.start_ready(id);
    }
    books::prove(&cluster, &load.finish());
}
