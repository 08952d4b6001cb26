//! How a node that was away comes back: by the log, by a snapshot that carries only what it lacks, or not at all.

mod kit;

use std::time::Duration;

use etebar_node::raft::Received;
use etebar_node::storage::Decided;
use tokio::time::Instant;

use self::kit::{PATIENCE, Trio, charge, is_new_charge, submit_within};

/// So small that the log is purged within the test.
const LOG_BYTES: u64 = 8 << 20;

/// Charges in groups of 1,000 at a node, until `holds`; the number of charges made.
async fn charge_until(trio: &Trio, node: u64, key: u64, tag: &str, holds: impl Fn() -> bool) -> i64 {
    let begun = Instant::now();
    let mut charges = 0;
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "the log is purged in time");
        let group = (0..1_000).map(|n| charge(key, &format!("{tag}-{charges}-{n}"))).collect();
        let decided = trio.submit(node, group).await;
        assert!(decided.outcomes.iter().all(is_new_charge));
        charges += 1_000;
    }
    charges
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_away_longer_than_the_log_reaches_gets_the_pages_it_lacks() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 100_000_000).await;
    let follower = trio.follower().await;
    let mut spent = charge_until(&trio, follower, key, "before", || trio.node(follower).replica().applied > 20).await;
    let last_seen = trio.agree().await;
    trio.kill(follower);
    let leader = trio.leader().await;
    spent += charge_until(&trio, leader, key, "away", || trio.node(leader).log_begins_after() > last_seen).await;
    trio.run(follower).await;
    let begun = Instant::now();
    assert_eq!(trio.balance(follower, seller).await, 100_000_000 - spent);
    println!("caught up on {spent} charges after {:?}", begun.elapsed());
    trio.agree().await;

    // It is as good as the others: it leads, and comes back from its own disk.
    trio.kill(leader);
    let rest = trio.nodes();
    let replayed = trio.submit(rest[0], vec![charge(key, "away-0-0")]).await;
    assert!(matches!(replayed.outcomes[0], Decided::Recorded { replayed: true, .. }));
    trio.run(leader).await;
    trio.stop(follower).await;
    trio.run(follower).await;
    assert_eq!(trio.balance(follower, seller).await, 100_000_000 - spent);
    trio.agree().await;
}

/// The last record of the pages that a node keeps of a transfer that is not over.
fn kept(trio: &Trio, node: u64) -> u64 {
    trio.node(node).history(|history| Ok(history.staged_durably())).unwrap()
}

/// Waits until a transfer to a node has begun, and checks that it begins with the last page that is kept.
async fn continues(trio: &Trio, node: u64, before: Received, kept: u64) {
    trio.wait_until("the transfer goes on", |trio| trio.node(node).received().transfers > before.transfers).await;
    let begun = trio.node(node).received();
    assert!(
        begun.first_page + 1 >= kept / 64,
        "{kept} records were kept, and it begins with page {}",
        begun.first_page
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_continues_where_it_was_cut_whichever_side_ended() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 100_000_000).await;
    let away = trio.follower().await;
    let last_seen = trio.agree().await;
    trio.kill(away);
    let leader = trio.leader().await;
    let is_much =
        || trio.node(leader).log_begins_after() > last_seen && trio.node(leader).replica().state.records() > 300_000;
    let spent = charge_until(&trio, leader, key, "away", is_much).await;
    let records = trio.node(leader).replica().state.records();

    trio.run(away).await;
    trio.wait_until("a part is received", |trio| kept(trio, away) > 0).await;
    let had = kept(&trio, away);
    trio.kill(away);
    assert!(had < records / 2, "{had} of {records} records: the receiver ended in the middle");
    trio.run(away).await;
    continues(&trio, away, Received::default(), had).await;

    trio.wait_until("more is received", |trio| kept(trio, away) > had).await;
    let (before, had) = (trio.node(away).received(), kept(&trio, away));
    trio.kill(leader);
    assert!(had < records * 3 / 4, "{had} of {records} records: the sender ended in the middle");
    continues(&trio, away, before, had).await;
    assert_eq!(trio.balance(away, seller).await, 100_000_000 - spent);
    let received = trio.node(away).received();
    let all = records / 64;
    assert!(received.pages < all, "{} of {all} pages since the first cut", received.pages);
    trio.run(leader).await;
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_folder_stays_under_its_bound() {
    let trio = Trio::start(2 * LOG_BYTES).await;
    let (_, key) = trio.seller(1, "shop", 100_000_000).await;
    let leader = trio.leader().await;
    charge_until(&trio, leader, key, "many", || {
        for node in 1..=3 {
            let bytes = trio.node(node).log_bytes_on_disk();
            assert!(bytes < 2 * LOG_BYTES, "the log of node {node} takes {bytes} bytes");
        }
        trio.node(leader).log_begins_after() > 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_of_old_keys_cost_no_leadership() {
    let trio = Trio::start(64 << 20).await;
    let (_, key) = trio.seller(1, "shop", 100_000_000).await;
    let leader = trio.leader().await;
    let term = trio.node(leader).status().term;
    for group in 0..20 {
        let charges = (0..8_000).map(|n| charge(key, &format!("g{group}-{n}"))).collect();
        trio.submit(leader, charges).await;
    }
    // One of each page, backwards: no cache helps.
    for _ in 0..3 {
        let old = (0..8_000).map(|n| charge(key, &format!("g{}-{}", 19 - n % 20, 7_999 - n))).collect();
        let begun = Instant::now();
        let replayed = trio.submit(leader, old).await;
        println!("8,000 replays took {:?}", begun.elapsed());
        assert!(replayed.outcomes.iter().all(|one| matches!(one, Decided::Recorded { replayed: true, .. })));
    }
    assert_eq!(trio.node(leader).status().term, term, "no election was held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_does_not_come_back_under_its_number() {
    let mut trio = Trio::start(64 << 20).await;
    let (_, key) = trio.seller(1, "shop", 1_000).await;
    let wiped = trio.follower().await;
    trio.wait_until("all are registered", |trio| {
        trio.nodes().iter().all(|node| trio.node(*node).replica().state.nodes().count() == 3)
    })
    .await;
    trio.kill(wiped);
    trio.wipe(wiped).await;
    trio.run(wiped).await;
    let rest: Vec<_> = trio.nodes().into_iter().filter(|node| *node != wiped).collect();
    let decided = submit_within(trio.node(rest[0]), charge(key, "k"), Duration::from_secs(5)).await.unwrap();
    assert!(is_new_charge(&decided.outcomes[0]));
    let refused = submit_within(trio.node(wiped), charge(key, "k2"), Duration::from_secs(2)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(trio.node(wiped).replica().state.records(), 0);
}
