//! How long charges stop when the leader is killed: ten kills under load, in a cluster of three real processes.
//!
//! `cargo run --release -p tests --example failover` prints the longest pause between two acknowledged charges after
//! each kill, in milliseconds, then the median and the worst, and proves the books.

use std::time::{Duration, Instant};

use tests::{Cluster, Load, Plan, Seller, books};

const KILLS: usize = 10;
const WORKERS: usize = 32;

fn main() {
    let cluster: Cluster = Plan::new("failover").start();
    let sellers: Vec<Seller> = (0..8).map(|_| cluster.seller_with(100_000_000)).collect();
    let load = Load::start(&cluster, &sellers, WORKERS, 1);
    let mut kills = Vec::new();
    for _ in 0..KILLS {
        load.wait_for_more(2_000);
        let leader = cluster.leader();
        kills.push(Instant::now());
        cluster.node(leader).kill();
        load.wait_for_more(2_000);
        cluster.start_ready(leader);
    }
    let result = load.finish();
    let mut answered: Vec<Instant> = result.settled.iter().map(|settled| settled.at).collect();
    answered.sort();
    let mut pauses: Vec<Duration> = kills.iter().map(|kill| longest_pause(&answered, *kill)).collect();
    pauses.sort();
    books::prove(&cluster, &result);
    let ms: Vec<u128> = pauses.iter().map(Duration::as_millis).collect();
    println!("{} charges, books exact; pauses in ms: {ms:?}", result.settled.len());
    println!("median {} ms, worst {} ms", u128::midpoint(ms[KILLS / 2 - 1], ms[KILLS / 2]), ms[KILLS - 1]);
}

/// The longest pause between two answers that begins within two seconds of the kill.
fn longest_pause(answered: &[Instant], kill: Instant) -> Duration {
    let from = answered.partition_point(|at| *at < kill).saturating_sub(1);
    let near = answered[from..].windows(2).take_while(|pair| pair[0] < kill + Duration::from_secs(2));
    near.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
