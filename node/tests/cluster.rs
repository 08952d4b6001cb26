//! What three members promise together: one ledger, also where one of them fails.

mod kit;

use std::time::Duration;

use etebar_node::raft::{Consistency, ReadError, SubmitError};
use etebar_node::storage::Decided;
use tokio::time::Instant;

use self::kit::{PATIENCE, Trio, charge, is_new_charge, number, submit_within};

const LOG_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_decided_through_any_node() {
    let trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    for node in 1..=3 {
        let decided = trio.submit(node, vec![charge(key, &format!("k{node}"))]).await;
        assert!(is_new_charge(&decided.outcomes[0]));
    }
    for node in 1..=3 {
        assert_eq!(trio.balance(node, seller).await, 997);
    }
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_decided_once_whichever_node_receives_it() {
    let trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(2, "shop", 1_000).await;
    let first = number(&trio.submit(1, vec![charge(key, "once")]).await.outcomes[0]);
    for node in 1..=3 {
        let again = trio.submit(node, vec![charge(key, "once")]).await;
        assert!(matches!(&again.outcomes[0], Decided::Recorded { record, replayed: true } if record.number == first));
    }
    assert_eq!(trio.balance(3, seller).await, 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_catches_up() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let killed = trio.leader().await;
    trio.kill(killed);
    let left = trio.nodes();
    let begun = Instant::now();
    trio.submit(left[0], vec![charge(key, "after-the-kill")]).await;
    println!("charges again after {:?}", begun.elapsed());
    trio.submit(left[1], vec![charge(key, "another")]).await;
    trio.run(killed).await;
    assert_eq!(trio.balance(killed, seller).await, 998);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_may_be_killed_and_nothing_acknowledged_is_lost() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let charges = (0..500).map(|n| charge(key, &format!("k{n}"))).collect();
    let position = trio.submit(2, charges).await.position;
    let before = trio.node(trio.leader().await).digest_at(position).unwrap();
    for node in 1..=3 {
        trio.kill(node);
    }
    for node in 1..=3 {
        trio.run(node).await;
    }
    assert_eq!(trio.balance(1, seller).await, 500);
    trio.agree().await;
    let replayed = trio.submit(3, vec![charge(key, "k7")]).await;
    assert!(matches!(replayed.outcomes[0], Decided::Recorded { replayed: true, .. }));
    println!("digest at {position} was {before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_majority_acknowledges_nothing_and_fails_fast() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let leader = trio.leader().await;
    let followers: Vec<_> = trio.nodes().into_iter().filter(|node| *node != leader).collect();
    for node in &followers {
        trio.kill(*node);
    }
    let begun = Instant::now();
    let lonely = submit_within(trio.node(leader), charge(key, "lonely"), PATIENCE).await;
    assert!(matches!(lonely, Err(SubmitError::OutcomeUnknown { .. } | SubmitError::NoLeader)), "{lonely:?}");
    trio.run(followers[0]).await;
    trio.leader().await;
    trio.kill(leader);
    let lonely = submit_within(trio.node(followers[0]), charge(key, "lonely"), PATIENCE).await;
    assert!(matches!(lonely, Err(SubmitError::OutcomeUnknown { .. } | SubmitError::NoLeader)), "{lonely:?}");
    let waited = trio.node(followers[0]).read(Consistency::Linearizable, None, Instant::now() + PATIENCE).await;
    assert!(matches!(waited, Err(ReadError::NoLeader)), "{waited:?}");
    assert!(begun.elapsed() < PATIENCE, "they are refused at once, not left waiting");
    for node in [leader, followers[1]] {
        trio.run(node).await;
    }
    let decided = trio.submit(followers[0], vec![charge(key, "lonely")]).await;
    assert!(matches!(decided.outcomes[0], Decided::Recorded { .. }));
    assert_eq!(trio.balance(followers[1], seller).await, 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_hands_leadership_over() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (_, key) = trio.seller(1, "shop", 1_000).await;
    let leader = trio.leader().await;
    let begun = Instant::now();
    trio.stop(leader).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let left = trio.nodes();
    let decided = submit_within(trio.node(left[0]), charge(key, "next"), Duration::from_secs(1)).await.unwrap();
    assert!(is_new_charge(&decided.outcomes[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_room_on_its_disk_proposes_nothing_until_there_is() {
    let trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let (leader, follower) = (trio.leader().await, trio.follower().await);
    trio.node(leader).set_disk_full(true);
    for node in [leader, follower] {
        let refused = submit_within(trio.node(node), charge(key, "k"), Duration::from_secs(10)).await;
        assert!(matches!(refused, Err(SubmitError::DiskFull)), "through node {node}: {refused:?}");
    }
    trio.node(leader).set_disk_full(false);
    assert!(is_new_charge(&trio.submit(follower, vec![charge(key, "k")]).await.outcomes[0]), "the key was unused");
    assert_eq!(trio.balance(leader, seller).await, 999);
}
