//! Rolling upgrades: builds that know different rules and speak different versions of the peer link serve one cluster side by
//! side, the way back is open until all have gone, and then the rules are raised.
//!
//! The newer build is that of these sources with `tests/upgrade/toy-rules.patch`: one more version of the rules, which refuses an
//! adjustment by 1,313, and one more of the link, whose frames have another layout.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::api::caller::unique;
use tests::machine::builds::patched_node;
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::operator::scripts::run;
use tests::{Cluster, Load, Plan, Seller, books, eventually};

/// From the contract.
const STOP: Duration = Duration::from_secs(5);

/// Restarts a node as that build, under load.
fn become_build(cluster: &Cluster, id: u64, program: &Path, load: &Load) {
    let status = cluster.node(id).terminate(STOP);
    assert_eq!(status.code(), Some(0), "{}", cluster.node(id).log_tail(10));
    load.wait_for_more(50);
    cluster.node(id).become_build(program);
    cluster.start_ready(id);
    load.wait_for_more(50);
}

/// The version of the ledger's rules, and the newest that each node's build knows, as that node sees them.
fn rules(cluster: &Cluster, id: u64) -> Option<(u64, Vec<u64>)> {
    let status = cluster.status(id)?;
    let known: Option<Vec<u64>> = status["members"].as_array()?.iter().map(|node| node["rules"].as_u64()).collect();
    Some((status["rules"].as_u64()?, known?))
}

/// Adjusts by the amount that the newer rules refuse.
fn toy_adjustment(cluster: &Cluster, id: u64, seller: &Seller) -> u16 {
    let path = format!("/v1/sellers/{}/adjustments", seller.id);
    let body = json!({"amount": "1313", "reason": "a toy"});
    let request = tests::Request::post(&path).key(&unique("toy")).json(&body);
    cluster.admin(id).settle(&request).status
}

#[test]
fn a_cluster_is_upgraded_node_by_node_under_load_and_its_rules_after_the_last() {
    let began = Instant::now();
    let newer = patched_node("toy-rules.patch");
    eprintln!("the newer build took {:?}", began.elapsed());
    let _alone = alone();
    let cluster = Plan::new("upgrade").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    let known = |id| rules(&cluster, id);
    eventually("node 1 to know the others", || known(1) == Some((5, vec![5, 5, 5])));
    let load = Load::start(&cluster, &sellers, 8, 41);

    // The way there, and back.
    for (id, program) in [(1, &newer), (2, &newer), (2, &programs().node), (1, &programs().node)] {
        become_build(&cluster, id, program, &load);
    }
    for id in [3, 1] {
        become_build(&cluster, id, &newer, &load);
    }
    for id in cluster.ids() {
        eventually("each node to know what the others know", || known(id) == Some((5, vec![6, 5, 6])));
        assert_eq!(toy_adjustment(&cluster, id, &sellers[0]), 201, "newer rules wait for the last node");
    }

    become_build(&cluster, 2, &newer, &load);
    for id in cluster.ids() {
        eventually("the rules to be raised", || known(id) == Some((6, vec![6, 6, 6])));
        assert_eq!(toy_adjustment(&cluster, id, &sellers[0]), 409, "the newer rules hold");
    }
    load.wait_for_more(100);
    let result = load.finish();
    assert!(result.unexpected.is_empty(), "{:?}", result.unexpected);
    books::prove(&cluster, &result);

    // The older build does not serve the newer ledger, and says why in one line.
    let follower = cluster.followers()[0];
    let node = cluster.node(follower);
    node.terminate(STOP);
    node.become_build(&programs().node);
    node.launch();
    assert_eq!(node.wait_end(tests::wait::PATIENCE).code(), Some(1));
    let last = node.log_tail(1);
    assert!(last.contains("the ledger goes by rules 6, and this build knows rules up to 5: run a build"), "{last}");
    let check = |program: &Path| run(clean_command(program).arg("check").arg("--data-dir").arg(&node.data_dir));
    let (older, same) = (check(&programs().node), check(&newer));
    assert_eq!((older.code, same.code), (Some(1), Some(0)), "{older:?} {same:?}");
    assert!(older.err.contains("the ledger goes by rules 6, and this build knows rules up to 5"), "{older:?}");
    node.become_build(&newer);
    cluster.start_ready(follower);
    books::check(&cluster);
}
