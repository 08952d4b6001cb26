//! kill -9 under load: nothing acknowledged is lost, nothing is done twice, and service continues.

use std::time::{Duration, Instant};

use tests::load::batches::charge_in_batches;
use tests::machine::turns::alone;
use tests::{Cluster, Load, Plan, Seller, books};

const WORKERS: usize = 8;

fn with_sellers(name: &str) -> (Cluster, Vec<Seller>) {
    let cluster = Plan::new(name).start();
    let sellers = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    (cluster, sellers)
}

#[test]
fn a_killed_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("kill-leader");
    let load = Load::start(&cluster, &sellers, WORKERS, 1);
    for _ in 0..3 {
        load.wait_for_more(200);
        let leader = cluster.leader();
        let killed = Instant::now();
        cluster.node(leader).kill();
        load.wait_for_more(1);
        let stopped = killed.elapsed();
        eprintln!("charges again {stopped:?} after the kill of the leader");
        // Ten times what an election takes: the machine may be busy with other work.
        assert!(stopped < Duration::from_secs(10), "{stopped:?} without a charge");
        load.wait_for_more(200);
        cluster.start_ready(leader);
    }
    books::prove(&cluster, &load.finish());
}

#[test]
fn a_killed_follower_does_not_stop_charges_and_catches_up() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("kill-follower");
    let load = Load::start(&cluster, &sellers, WORKERS, 2);
    for follower in cluster.followers() {
        load.wait_for_more(100);
        cluster.node(follower).kill();
        load.wait_for_more(300);
        cluster.start_ready(follower);
    }
    let result = load.finish();
    books::prove(&cluster, &result);
}

#[test]
fn after_a_kill_of_all_three_under_load_every_acknowledged_charge_is_there() {
    let _alone = alone();
    let (cluster, sellers) = with_sellers("kill-all-under-load");
    let load = Load::start(&cluster, &sellers, WORKERS, 3);
    for _ in 0..3 {
        load.wait_for_more(300);
        cluster.kill_all();
        cluster.start_all();
        load.wait_for_more(100);
    }
    books::prove(&cluster, &load.finish());
}

#[test]
fn after_a_kill_of_all_three_each_node_has_the_digest_it_had_and_the_log_behind_it_is_gone() {
    let _alone = alone();
    let cluster = Plan::new("kill-all").setting("ETEBAR_LOG_BYTES", (32 << 20).to_string()).start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    charge_in_batches(&cluster, &cluster.seller_with(1_000_000), 100, 2_000);
    let load = Load::start(&cluster, &sellers, WORKERS, 4);
    load.wait_for_more(500);
    let result = load.finish();
    for id in cluster.ids() {
        // The log lies in numbered folders; the first goes when the pages hold what it had.
        let first = cluster.node(id).data_dir.join("log").join(format!("{:020}", 1));
        tests::eventually("the beginning of the log to be purged", || !first.exists());
    }
    let position = result.last_position();
    let before: Vec<_> = cluster.ids().iter().map(|id| cluster.digest_at(*id, position)).collect();
    assert!(before.iter().all(|digest| *digest == before[0]), "{before:?}");
    cluster.kill_all();
    cluster.start_all();
    let after: Vec<_> = cluster.ids().iter().map(|id| cluster.digest_at(*id, position)).collect();
    assert_eq!(after, before);
    books::prove(&cluster, &result);
}

#[test]
fn a_node_killed_again_and_again_while_it_starts_comes_up_whole() {
    let (cluster, sellers) = with_sellers("kill-starting");
    let load = Load::start(&cluster, &sellers, 4, 5);
    load.wait_for_more(200);
    let victim = cluster.followers()[0];
    for pause_ms in [0, 5, 20, 50, 100, 200] {
        cluster.node(victim).kill();
        cluster.node(victim).launch();
        tests::wait::let_pass(Duration::from_millis(pause_ms));
    }
    cluster.wait_ready(&[victim]);
    books::prove(&cluster, &load.finish());
}
