//! The log stays under its bound at any number of charges, and a node that was away for longer than the log reaches
//! catches up all the same.

use std::fs;
use std::path::Path;

use tests::load::batches::charge_in_batches;
use tests::machine::turns::alone;
use tests::{Load, Plan, books};

const LOG_BYTES: u64 = 32 << 20;

/// Bytes of all files below a folder. Files that come and go meanwhile count as they are found.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_follower_away_for_longer_than_the_log_reaches_catches_up_and_survives_a_restart() {
    let _alone = alone();
    let cluster = Plan::new("catch-up").setting("ETEBAR_LOG_BYTES", LOG_BYTES.to_string()).start();
    let seller = cluster.seller_with(100_000_000);
    charge_in_batches(&cluster, &seller, 5, 1_000);
    let away = cluster.followers()[0];
    cluster.node(away).kill();
    for _ in 0..25 {
        charge_in_batches(&cluster, &seller, 4, 2_000);
        for id in cluster.running() {
            let bytes = bytes_below(&cluster.node(id).data_dir.join("log"));
            assert!(bytes < LOG_BYTES, "the log folder of node {id} has {bytes} bytes");
        }
    }
    let sellers = [cluster.seller_with(1_000_000), cluster.seller_with(1_000_000)];
    let running = Load::start(&cluster, &sellers, 4, 7);
    cluster.start_ready(away);
    running.wait_for_more(200);
    books::prove(&cluster, &running.finish());
    let sent = cluster.ids().iter().any(|id| cluster.node(*id).log_tail(10_000).contains("sending history"));
    assert!(sent, "the log did not reach that far back, so pages were sent");

    // What it was sent must be on its disk, not only in its memory.
    cluster.node(away).kill();
    cluster.start_ready(away);
    books::check(&cluster);
    cluster.kill_all();
    cluster.start_all();
    books::check(&cluster);
}

#[test]
fn a_node_killed_while_it_catches_up_continues_where_it_was() {
    let _alone = alone();
    let cluster = Plan::new("catch-up-killed").setting("ETEBAR_LOG_BYTES", LOG_BYTES.to_string()).start();
    let seller = cluster.seller_with(100_000_000);
    let away = cluster.followers()[0];
    cluster.node(away).kill();
    charge_in_batches(&cluster, &seller, 100, 2_000);
    for pause_ms in [50, 100, 150, 200, 300] {
        cluster.node(away).launch();
        tests::wait::let_pass(std::time::Duration::from_millis(pause_ms));
        cluster.node(away).kill();
    }
    cluster.start_ready(away);
    books::check(&cluster);
}
