//! Members that come and go while the ledger continues.

mod kit;

use std::time::Duration;

use etebar_node::raft::link::error::LinkError;
use etebar_node::raft::link::message::Purpose;
use etebar_node::raft::link::message::{MemberList, Numbered, Request, Response, StatusMessage};
use etebar_node::raft::{ChangeError, ClusterError, MembershipChange, PeerIdentity, VotingRole};
use etebar_node::runtime::Clock;
use ledger::{Action, AddNode, Address, Digest, NodeAddresses, PromoteNode, Rejection, RemoveNode, RevokeKey};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use self::kit::{PATIENCE, Trio, admin, charge, is_new_charge, of_ledger, submit_within};

/// So small that a new node needs a snapshot.
const LOG_BYTES: u64 = 16 << 20;

async fn charges(trio: &Trio, node: u64, key: u64, name: &str, count: u64) {
    let charges = (0..count).map(|n| charge(key, &format!("{name}{n}"))).collect();
    assert!(trio.submit(node, charges).await.outcomes.iter().all(is_new_charge));
}

async fn refusal(trio: &Trio, change: MembershipChange) -> ChangeError {
    match trio.try_change(change.clone()).await {
        Err(error) => error,
        Ok(node) => panic!("{change:?}: done with node {node}"),
    }
}

/// The numbers of the voters, as a node sees them.
fn voters(trio: &Trio, node: u64) -> Vec<u64> {
    let members = trio.node(node).status().members;
    members.iter().filter(|member| member.role == VotingRole::Voter).map(|member| member.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_member_takes_the_place_of_an_old_one() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    charges(&trio, 2, key, "before", 100).await;

    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.add(4, &addresses).await;
    trio.join(4).await;
    charges(&trio, 1, key, "with-a-learner", 100).await;
    trio.wait_until("the learner follows", |trio| trio.node(4).readiness().recovered).await;
    assert_eq!(trio.balance(4, seller).await, 800);
    assert_eq!(voters(&trio, 4), [1, 2, 3]);

    trio.change(MembershipChange::Promote { node: 4 }).await;
    let leaves = trio.follower().await;
    let leaves = if leaves == 4 {
        trio.nodes().into_iter().find(|node| Some(*node) != trio.node(4).leader()).unwrap()
    } else {
        leaves
    };
    trio.change(MembershipChange::Remove { node: leaves }).await;
    trio.kill(leaves);
    // Of the three that are left two must suffice, the new one among them.
    let killed = trio.nodes().into_iter().find(|node| *node != 4).unwrap();
    trio.kill(killed);
    charges(&trio, 4, key, "with-the-new-one", 100).await;
    trio.run(killed).await;
    let expected: Vec<u64> = (1..=4).filter(|node| *node != leaves).collect();
    trio.wait_until("all know who votes", |trio| trio.nodes().iter().all(|node| voters(trio, *node) == expected)).await;
    assert_eq!(trio.balance(killed, seller).await, 700);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_to_be_removed_hands_over_first() {
    let trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let leader = trio.leader().await;
    trio.change(MembershipChange::Remove { node: leader }).await;
    let rest: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    charges(&trio, rest[0], key, "without-it", 100).await;
    assert_eq!(trio.balance(rest[1], seller).await, 900);
    assert_eq!(voters(&trio, rest[0]), rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_is_replaced_under_a_new_number() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let wiped = trio.follower().await;
    trio.kill(wiped);
    charges(&trio, trio.nodes()[0], key, "meanwhile", 100).await;
    trio.wipe(wiped).await;
    trio.change(MembershipChange::Remove { node: wiped }).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    trio.change(MembershipChange::Promote { node: 4 }).await;
    assert_eq!(trio.balance(4, seller).await, 900);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_given_once_whatever_became_of_its_node() {
    let mut trio = Trio::start(LOG_BYTES).await;
    trio.seller(1, "shop", 1_000).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    trio.change(MembershipChange::Remove { node: 4 }).await;
    trio.change(MembershipChange::Remove { node: 4 }).await;
    // At the same addresses, as where a disk was replaced.
    trio.add(5, &addresses).await;
    assert_eq!(refusal(&trio, MembershipChange::Promote { node: 4 }).await, ChangeError::UnknownNode(4));
    let taken = MembershipChange::Add {
        addresses: NodeAddresses { peer: Address::new("elsewhere:1").unwrap(), ..of_ledger(&addresses) },
    };
    assert_eq!(refusal(&trio, taken).await, ChangeError::AddressTaken);
    let behind = refusal(&trio, MembershipChange::Promote { node: 5 }).await;
    assert!(matches!(behind, ChangeError::MemberBehind(_)), "nobody runs as node 5: {behind:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_a_nodes_until_its_removal_is_carried_out_and_a_revoked_key_learns_nothing() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (_seller, key) = trio.seller(1, "shop", 1_000).await;
    let [leader, dead] = [trio.leader().await, trio.follower().await];
    let alive = (1..=3).find(|node| ![leader, dead].contains(node)).unwrap();
    trio.kill(dead);
    trio.wait_until("it is missed", |trio| {
        trio.nodes().iter().all(|node| trio.node(*node).status().members.iter().any(|it| it.id == dead && !it.healthy))
    })
    .await;
    // The ledger alone does not know that the rest would be no majority; so this waits for as long as that is so.
    trio.submit(leader, vec![admin(Action::RemoveNode(RemoveNode { node: alive }))]).await;
    let addresses = trio.place(alive);
    let again = MembershipChange::Add { addresses: of_ledger(&addresses) };
    assert_eq!(refusal(&trio, again).await, ChangeError::AddressTaken);
    assert!(voters(&trio, leader).contains(&alive), "it votes until the others can do without it");

    trio.submit(leader, vec![admin(Action::RevokeKey(RevokeKey { key }))]).await;
    let promote = MembershipChange::Promote { node: leader };
    let refused = trio.node(leader).change_members((key, None), promote, Instant::now() + PATIENCE).await;
    assert_eq!(refused, Err(ChangeError::Rejected(Rejection::KeyRevoked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_carried_out_once_it_can_be_by_whoever_leads() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.introduce(4).await;
    // It is promoted while it is down, and the leader that would do it is gone by then.
    trio.submit(1, vec![admin(Action::PromoteNode(PromoteNode { node: 4 }))]).await;
    let leader = trio.leader().await;
    trio.kill(leader);
    charges(&trio, trio.nodes()[0], key, "meanwhile", 10).await;
    trio.run(4).await;
    trio.wait_until("it votes", |trio| trio.nodes().iter().all(|node| voters(trio, *node).contains(&4))).await;
    trio.run(leader).await;
    // A leader is to go: it hands leadership over by itself.
    let leader = trio.leader().await;
    let asked = trio.nodes().into_iter().find(|node| *node != leader).unwrap();
    trio.submit(asked, vec![admin(Action::RemoveNode(RemoveNode { node: leader }))]).await;
    let rest: Vec<u64> = (1..=4).filter(|node| *node != leader).collect();
    trio.wait_until("it is removed", |trio| voters(trio, asked) == rest).await;
    assert_eq!(trio.balance(asked, seller).await, 990);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_stops_and_does_not_start_again() {
    let mut trio = Trio::start(LOG_BYTES).await;
    trio.seller(1, "shop", 1_000).await;
    let leader = trio.leader().await;
    let [away, removed] = (1..=3).filter(|node| *node != leader).collect::<Vec<_>>()[..] else { panic!() };
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    trio.change(MembershipChange::Promote { node: 4 }).await;

    // One that runs learns of it by the log.
    trio.change(MembershipChange::Remove { node: removed }).await;
    let told = timeout(PATIENCE, trio.node(removed).failed()).await.expect("it stops");
    assert!(told.contains("was removed from the cluster"), "{told}");
    trio.stop(removed).await;
    // Its own list of members may still have it: then it hears of it from the others again.
    match trio.try_run(removed, Clock::system()).await {
        Err(error) => assert!(matches!(error, ClusterError::Removed(node) if node == removed), "{error}"),
        Ok(node) => {
            let told = timeout(PATIENCE, node.failed()).await.expect("it stops again");
            assert!(told.contains("was removed from the cluster"), "{told}");
        }
    }

    // One that is down learns of it by the others, which refuse it.
    trio.kill(away);
    trio.wait_until("it is missed", |trio| {
        trio.nodes().iter().all(|node| trio.node(*node).status().members.iter().any(|it| it.id == away && !it.healthy))
    })
    .await;
    trio.change(MembershipChange::Remove { node: away }).await;
    trio.run(away).await;
    let told = timeout(PATIENCE, trio.node(away).failed()).await.expect("it stops");
    assert!(told.contains("say that it is no member"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_would_cost_the_majority_is_refused() {
    let mut trio = Trio::start(LOG_BYTES).await;
    trio.seller(1, "shop", 1_000).await;
    let leader = trio.leader().await;
    let [dead, alive] = trio.nodes().into_iter().filter(|node| *node != leader).collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!(refusal(&trio, MembershipChange::Promote { node: 4 }).await, ChangeError::UnknownNode(4));
    assert_eq!(refusal(&trio, MembershipChange::Remove { node: 4 }).await, ChangeError::UnknownNode(4));
    trio.kill(dead);
    trio.wait_until("it is missed", |trio| {
        let misses = |node| trio.node(node).status().members.iter().any(|member| member.id == dead && !member.healthy);
        misses(leader) && misses(alive)
    })
    .await;
    let refused = refusal(&trio, MembershipChange::Remove { node: alive }).await;
    assert!(matches!(&refused, ChangeError::QuorumAtRisk(why) if why.contains("no majority")), "{refused:?}");
    trio.change(MembershipChange::Remove { node: dead }).await;
    assert_eq!(voters(&trio, leader).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_refused_and_loses_its_connections() {
    let trio = Trio::start(LOG_BYTES).await;
    let (_seller, key) = trio.seller(1, "shop", 1_000).await;
    let removed = trio.follower().await;
    trio.wait_until("it receives the status of the others", |trio| all_healthy(trio, removed, true)).await;
    trio.change(MembershipChange::Remove { node: removed }).await;
    // It may never learn that it was removed, and its connections were valid until then.
    trio.wait_until("no node answers it", |trio| all_healthy(trio, removed, false)).await;
    let refused = submit_within(trio.node(removed), charge(key, "from-outside"), Duration::from_millis(500)).await;
    assert!(refused.is_err(), "{refused:?}");
    let others = trio.nodes().into_iter().find(|node| *node != removed).unwrap();
    charges(&trio, others, key, "without-it", 10).await;
}

/// Whether a node received the status of all others lately, or of none of them.
fn all_healthy(trio: &Trio, node: u64, healthy: bool) -> bool {
    let members = trio.node(node).status().members;
    members.iter().filter(|member| member.id != node).all(|member| member.healthy == healthy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_not_a_members_is_not_stored() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    // It has a certificate, and was not added.
    trio.intrude(4).await;
    let before = submit_within(trio.node(4), charge(key, "early"), Duration::from_secs(1)).await;
    assert!(before.is_err(), "{before:?}");
    trio.kill(4);
    for node in 1..=3 {
        trio.stop(node).await;
        trio.run(node).await;
    }
    trio.leader().await;
    // The real node has another data directory, and is known by it from now on.
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    trio.change(MembershipChange::Promote { node: 4 }).await;
    assert_eq!(trio.balance(4, seller).await, 1_000);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_follows_a_leader_that_was_added_meanwhile() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    let away = trio.follower().await;
    trio.kill(away);
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.join(4).await;
    trio.change(MembershipChange::Promote { node: 4 }).await;
    let [stays, leaves] = (1..=3).filter(|node| *node != away).collect::<Vec<_>>()[..] else { panic!() };
    // It could be left alone with the new one, which it does not know.
    let refused = refusal(&trio, MembershipChange::Remove { node: leaves }).await;
    assert!(matches!(&refused, ChangeError::QuorumAtRisk(why) if why.contains("would refuse them")), "{refused:?}");
    charges(&trio, stays, key, "meanwhile", 10).await;
    while trio.leader().await != 4 {
        // Where it is a little behind it is asked again.
        drop(trio.node(stays).lead(4, Instant::now() + PATIENCE).await);
    }
    trio.run(away).await;
    trio.wait_until("it follows", |trio| trio.node(away).readiness().recovered).await;
    assert_eq!(trio.balance(away, seller).await, 990);
    trio.change(MembershipChange::Remove { node: leaves }).await;
    trio.kill(leaves);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_a_removed_node_is_closed_while_it_is_idle() {
    let trio = Trio::start(LOG_BYTES).await;
    trio.seller(1, "shop", 1_000).await;
    let removed = trio.follower().await;
    let others: Vec<_> = trio.nodes().into_iter().filter(|node| *node != removed).collect();
    let mut idle = Vec::new();
    for to in &others {
        idle.push(trio.peer(removed, *to).dial(Purpose::Snapshot, Instant::now() + PATIENCE).await.unwrap());
        idle.push(trio.peer(removed, *to).dial(Purpose::Control, Instant::now() + PATIENCE).await.unwrap());
    }
    let kept = trio.peer(others[0], others[1]);
    let mut kept = kept.dial(Purpose::Control, Instant::now() + PATIENCE).await.unwrap();
    trio.change(MembershipChange::Remove { node: removed }).await;
    for link in &mut idle {
        // Sooner than an idle transfer times out.
        let closed = timeout(Duration::from_secs(5), link.receiver.receive::<Numbered<Response>>()).await;
        assert!(matches!(closed, Ok(Err(LinkError::Closed | LinkError::Io(_)))), "{closed:?}");
    }
    kept.sender.send(&Numbered { id: 1, body: Request::Ping }).await.unwrap();
    let answer = timeout(PATIENCE, kept.receiver.receive()).await.expect("an answer");
    assert!(matches!(answer, Ok(Numbered { id: 1, body: Response::Pong })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addition_that_is_not_committed_is_not_passed_on() {
    // The leader may commit it before the others are killed; that it does so five times in a row is next to impossible.
    for _ in 0..5 {
        let mut trio = Trio::start(LOG_BYTES).await;
        trio.seller(1, "shop", 1_000).await;
        let leader = trio.leader().await;
        let addresses = of_ledger(&trio.place(4));
        let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
        // The leader carries out what was decided a moment later; the others are killed in between.
        trio.submit(leader, vec![admin(Action::AddNode(AddNode { above: 3, addresses }))]).await;
        for node in &others {
            trio.kill(*node);
        }
        let shows = |trio: &Trio| trio.node(leader).status().members.iter().any(|member| member.id == 4);
        trio.wait_until("it is in the log", shows).await;

        let peer = trio.peer(others[0], leader);
        let mut link = peer.dial(Purpose::Control, Instant::now() + PATIENCE).await.unwrap();
        link.sender.send(&Numbered { id: 1, body: Request::Status(heartbeat(&peer.trust.me)) }).await.unwrap();
        let answer = timeout(PATIENCE, link.receiver.receive()).await.expect("an answer");
        let Ok(Numbered { body: Response::Status(said), .. }) = answer else { panic!("{answer:?}") };
        if said.members.members == [1, 2, 3] {
            return;
        }
    }
    panic!("the addition is passed on each time");
}

/// Whether node `to` takes a connection of node `from`, which has a certificate of the cluster.
async fn is_taken(trio: &Trio, from: u64, to: u64) -> bool {
    match trio.peer(from, to).dial(Purpose::Control, Instant::now() + PATIENCE).await {
        Ok(_connection) => true,
        Err(LinkError::Refused(refused)) => {
            assert_eq!(refused.kind, "no member", "{refused}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_node_takes_members_alone_before_it_has_a_log() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let removed = trio.follower().await;
    trio.change(MembershipChange::Remove { node: removed }).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.introduce(4).await;
    let members: Vec<_> = (1..=3).filter(|node| *node != removed).collect();
    for node in &members {
        trio.kill(*node);
    }
    trio.run(4).await;
    assert!(is_taken(&trio, members[0], 4).await && is_taken(&trio, members[1], 4).await);
    assert!(!is_taken(&trio, removed, 4).await, "it was removed before the node joined");
    trio.place(9);
    trio.wipe(9).await;
    assert!(!is_taken(&trio, 9, 4).await, "it never was a member");
    assert!(trio.node(4).status().leader.is_none(), "it begins no cluster of its own");
    for node in members {
        trio.run(node).await;
    }
    trio.wait_until("it follows", |trio| trio.node(4).readiness().recovered).await;
    assert!(!is_taken(&trio, removed, 4).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_node_refuses_a_member_that_was_removed_since_it_asked() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let addresses = trio.place(4);
    trio.add(4, &addresses).await;
    trio.introduce(4).await;
    let removed = trio.follower().await;
    trio.change(MembershipChange::Remove { node: removed }).await;
    trio.kill(removed);
    let addresses = trio.place(5);
    trio.add(5, &addresses).await;
    trio.join(5).await;
    trio.change(MembershipChange::Promote { node: 5 }).await;
    while trio.leader().await != 5 {
        let leader = trio.leader().await;
        trio.stop(leader).await;
        trio.run(leader).await;
    }
    // The leader is unknown to it, and so vouched for by those that it knows.
    trio.run(4).await;
    trio.wait_until("it follows", |trio| trio.node(4).readiness().recovered).await;
    assert!(!is_taken(&trio, removed, 4).await);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_a_cluster_of_which_no_founder_is_left() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let (seller, key) = trio.seller(1, "shop", 1_000).await;
    for (new, old) in [(4, 1), (5, 2), (6, 3)] {
        let addresses = trio.place(new);
        trio.add(new, &addresses).await;
        trio.join(new).await;
        trio.change(MembershipChange::Promote { node: new }).await;
        trio.change(MembershipChange::Remove { node: old }).await;
        trio.kill(old);
    }
    charges(&trio, 4, key, "without-founders", 100).await;
    // The log that it is sent begins with the founders' list.
    let addresses = trio.place(7);
    trio.add(7, &addresses).await;
    trio.join(7).await;
    trio.change(MembershipChange::Promote { node: 7 }).await;
    assert_eq!(trio.balance(7, seller).await, 900);
    assert_eq!(voters(&trio, 7), [4, 5, 6, 7]);
    trio.agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_member_that_has_no_data_directory_yet_is_introduced() {
    let mut trio = Trio::start(LOG_BYTES).await;
    let [first, second, third] = [1, 2, 3].map(|n| Uuid::from_u128(0xa000 + n));
    let addresses = trio.place(4);
    let refused = trio.ask(4, first).await.unwrap_err().to_string();
    assert!(refused.contains("no member of cluster") && refused.contains("`etebar members add`"), "{refused}");

    trio.add(4, &addresses).await;
    let told = trio.ask(4, first).await.unwrap();
    let members: Vec<_> = told.members.iter().map(|member| (member.node, member.peer.clone())).collect();
    let expected: Vec<_> = (1..=4).map(|node| (node, trio.peer_address(node).to_owned())).collect();
    assert_eq!((members, told.ledger, told.epoch), (expected, trio.cluster, 1));
    assert_eq!((told.currency.as_str(), told.places, told.key_window_ms), ("IRT", 0, 86_400_000));
    assert_eq!(trio.ask(4, second).await.unwrap(), told, "the first attempt was interrupted, and is not remembered");

    trio.join(4).await;
    trio.wait_until("the log knows its directory", |trio| trio.node(4).readiness().recovered).await;
    let refused = trio.ask(4, third).await.unwrap_err().to_string();
    assert!(refused.contains("number 4 was used") && !refused.contains('\n'), "{refused}");
    trio.change(MembershipChange::Remove { node: 4 }).await;
    trio.kill(4);
    let refused = trio.ask(4, third).await.unwrap_err().to_string();
    assert!(refused.contains("no member of cluster"), "{refused}");
}

/// The status of a node that knows nothing yet.
fn heartbeat(me: &PeerIdentity) -> StatusMessage {
    StatusMessage {
        node: me.node,
        incarnation: me.incarnation,
        rules: me.build.rules,
        clock_ms: Clock::system().now_ms(),
        leader: None,
        applied: 0,
        digest: Digest::ZERO,
        failure: None,
        ledger_time: None,
        members: MemberList::default(),
    }
}
