//! What one node of three costs the others when it is down, paused, or has a disk that stalls or is slow.
//!
//! `cargo run --release -p tests --example one_of_three` sends charges to the two others, for some seconds without a fault
//! and for some with the third one failed, and prints how throughput and the 99th percentile of the answers' times compare,
//! and the longest time without any answer. Each pair is taken in one go, since machines differ from minute to minute.

use std::time::{Duration, Instant};

use tests::faults::failing_disk::DiskFault;
use tests::load::{Load, Settled};
use tests::wait::let_pass;
use tests::{Cluster, Plan, Seller, books};

const WORKERS: usize = 16;
/// How long each half of a pair lasts.
const SPAN: Duration = Duration::from_secs(8);
/// The time that the others take to notice, which is not counted into the second half.
const NOTICED: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
enum Failure {
    Dead,
    Paused,
    Stalled,
    Slow,
}

fn main() {
    let cluster: Cluster = Plan::new("one-of-three").disk_faults().start();
    println!("{:<34} {:>11} {:>6} {:>17} {:>6} {:>15}", "", "charges/s", "", "p99", "", "longest pause");
    for (failure, leads) in [
        (Failure::Dead, false),
        (Failure::Paused, false),
        (Failure::Stalled, false),
        (Failure::Slow, false),
        (Failure::Dead, true),
        (Failure::Paused, true),
        (Failure::Stalled, true),
        (Failure::Slow, true),
    ] {
        let id = if leads { cluster.leader() } else { cluster.followers()[0] };
        let others: Vec<u64> = cluster.ids().into_iter().filter(|other| *other != id).collect();
        let sellers: Vec<Seller> = (0..8).map(|_| cluster.seller_with(100_000_000)).collect();
        let load = Load::start_at(&cluster, &others, &sellers, WORKERS, 1);
        load.wait_for_more(2_000);
        let begun = Instant::now();
        let_pass(SPAN);
        let fallen = Instant::now();
        let node = cluster.node(id);
        match failure {
            Failure::Dead => node.kill(),
            Failure::Paused => node.pause(),
            Failure::Stalled => node.set_disk_fault(DiskFault::Stall),
            Failure::Slow => node.set_disk_fault(DiskFault::Slow(50)),
        }
        let_pass(NOTICED + SPAN);
        let ended = Instant::now();
        match failure {
            Failure::Dead => node.start(),
            Failure::Paused => node.resume(),
            Failure::Stalled | Failure::Slow => node.set_disk_fault(DiskFault::None),
        }
        let result = load.finish();
        cluster.wait_ready(&[id]);
        let name = format!("{} {failure:?}", if leads { "the leader" } else { "a follower" }).to_lowercase();
        print(&name, &result.settled, [begun, fallen, fallen + NOTICED, ended]);
        books::prove(&cluster, &result);
    }
}

/// One line: the times are when the first half began and ended, and the second.
fn print(name: &str, settled: &[Settled], [begun, fallen, noticed, ended]: [Instant; 4]) {
    let rate = |from: Instant, until: Instant| {
        let count = settled.iter().filter(|one| from <= one.at && one.at < until).count();
        count as f64 / (until - from).as_secs_f64()
    };
    let p99_ms = |from: Instant, until: Instant| {
        let mut took: Vec<Duration> =
            settled.iter().filter(|one| from <= one.at && one.at < until).map(|one| one.took).collect();
        took.sort();
        took.get(took.len() * 99 / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
    };
    let mut at: Vec<Instant> = settled.iter().map(|one| one.at).filter(|at| fallen <= *at && *at < ended).collect();
    at.sort();
    let pause = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let (healthy, failed) = (rate(begun, fallen), rate(noticed, ended));
    let (fast, slow) = (p99_ms(begun, fallen), p99_ms(noticed, ended));
    println!(
        "{name:<34} {healthy:>5.0} {failed:>5.0} {:>5.0}% {fast:>7.1} {slow:>6.1} ms {:>5.2}x {:>12} ms",
        failed / healthy * 100.0,
        slow / fast,
        pause.as_millis()
    );
}
