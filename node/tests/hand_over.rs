//! Leadership that moves on purpose: to the member that is asked for, and to none that cannot lead.

mod kit;

use std::time::Duration;

use etebar_node::raft::{ClockHealth, LeadError};
use etebar_node::runtime::Clock;
use tokio::time::{Instant, sleep};

use self::kit::{PATIENCE, Trio, charge, is_new_charge};

const LOG_BYTES: u64 = 64 << 20;

async fn lead(trio: &Trio, asked: u64, to: u64) -> Result<(), LeadError> {
    trio.node(asked).lead(to, Instant::now() + PATIENCE).await
}

/// How long it takes until a new charge is accepted at a node.
async fn charged(trio: &Trio, node: u64, key: u64, name: &str) -> Duration {
    let begun = Instant::now();
    let decisions = trio.submit(node, vec![charge(key, name)]).await;
    assert!(decisions.outcomes.iter().all(is_new_charge), "{name}: {decisions:?}");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_has_any_voter_lead() {
    let trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let mut longest = Duration::ZERO;
    for round in 0..9_u64 {
        let (asked, to) = (1 + round % 3, 1 + (trio.leader().await + round / 3) % 3);
        lead(&trio, asked, to).await.unwrap();
        assert_eq!(trio.node(asked).leader(), Some(to), "the asked node knows it");
        longest = longest.max(charged(&trio, 1 + (asked % 3), key, &format!("round{round}")).await);
        assert_eq!(lead(&trio, asked, to).await, Ok(()), "safe to repeat");
        assert_eq!(trio.leader().await, to);
    }
    eprintln!("the longest wait for a charge after a hand-over was {longest:?}");
    assert_eq!(trio.balance(2, seller).await, 991);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_cannot_lead_is_refused_and_nothing_stops() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (_seller, key) = trio.seller(1, "shop", 1_000).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    let leader = trio.leader().await;
    let followers: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    for asked in [leader, followers[0]] {
        assert_eq!(lead(&trio, asked, 9).await, Err(LeadError::UnknownMember(9)));
        let learner = lead(&trio, asked, 4).await.unwrap_err();
        assert!(learner.to_string().contains("node 4 is a learner"), "{learner}");
    }
    trio.stop(followers[1]).await;
    let ahead = Clock::from_fn(|| Clock::system().now_ms() + 60_000);
    trio.run_with(followers[1], ahead).await;
    trio.wait_until("its clock is found wrong", |trio| {
        matches!(trio.node(followers[1]).status().clock, ClockHealth::Off { .. })
    })
    .await;
    let clock = lead(&trio, followers[0], followers[1]).await.unwrap_err();
    assert!(matches!(&clock, LeadError::CannotLead(why) if why.contains("clock")), "{clock}");
    trio.kill(followers[1]);
    let dead = lead(&trio, followers[0], followers[1]).await.unwrap_err();
    assert!(matches!(&dead, LeadError::CannotLead(why) if why.contains("does not answer")), "{dead}");
    assert_eq!(trio.leader().await, leader, "no refusal cost the leader its place");
    let took = charged(&trio, followers[0], key, "after").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_promised() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let leader = trio.leader().await;
    let followers: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    for node in &followers {
        trio.kill(*node);
    }
    let refused = trio.node(leader).lead(followers[0], Instant::now() + Duration::from_secs(3)).await;
    assert!(matches!(refused, Err(LeadError::CannotLead(_) | LeadError::NoLeader)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_where_the_member_that_is_to_lead_dies_at_any_moment() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (_seller, key) = trio.seller(1, "shop", 1_000).await;
    for (round, after_us) in [0, 300, 1_000, 2_000, 4_000, 8_000].into_iter().enumerate() {
        let leader = trio.leader().await;
        let to = leader % 3 + 1;
        let node = trio.node(leader).clone();
        let moving = tokio::spawn(async move { node.lead(to, Instant::now() + PATIENCE).await });
        sleep(Duration::from_micros(after_us)).await;
        trio.kill(to);
        let took = charged(&trio, leader, key, &format!("round{round}")).await;
        eprintln!("killed {after_us} us after the request: a charge after {took:?}, {:?}", moving.await.unwrap());
        assert!(took < Duration::from_secs(10), "{took:?} without a charge");
        trio.run(to).await;
        trio.wait_until("it is back", |trio| trio.node(to).readiness().recovered).await;
    }
    trio.agree().await;
}
