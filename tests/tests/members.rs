//! Members that come and go, with real processes and the scripts and verbs of an operator, under load.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tests::machine::turns::alone;
use tests::operator::charges::Charges;
use tests::operator::scripts::{Ended, ScriptCluster, is_running, run};
use tests::{Caller, Request, eventually};

fn up(name: &str) -> ScriptCluster {
    let cluster = ScriptCluster::new(name);
    cluster.up().success();
    cluster
}

/// The members that a node shows, each with its role.
fn members(cluster: &ScriptCluster) -> Vec<(u64, String)> {
    let listed = run(&mut cluster.etebar(&["--json", "members", "list"])).json();
    let of =
        |node: &Value| (node["id"].as_u64().expect("an id"), node["status"].as_str().expect("a status").to_owned());
    listed.as_array().expect("a list").iter().map(of).collect()
}

/// Voters alone, with these numbers.
fn voters(numbers: &[u64]) -> Vec<(u64, String)> {
    numbers.iter().map(|number| (*number, "voting".to_owned())).collect()
}

#[test]
fn a_cluster_grows_to_five_and_shrinks_again_under_load() {
    let _alone = alone();
    let cluster = up("members-grow");
    let charges = Charges::start(&cluster);
    for expected in [4, 5] {
        assert_eq!(cluster.run("add.sh", &[]).success().trim(), expected.to_string());
    }
    assert_eq!(members(&cluster), voters(&[1, 2, 3, 4, 5]));
    charges.wait_for_more();
    // The leader hands over before it goes, and ends by itself.
    let leader = cluster.leader();
    let pid = cluster.pid(leader);
    let log = cluster.dir.join(format!("node-{leader}.log"));
    assert_eq!(cluster.run("remove.sh", &[&leader.to_string()]).success().trim(), leader.to_string());
    assert!(!is_running(pid));
    let log = std::fs::read_to_string(log).expect("its log");
    assert!(log.lines().last().is_some_and(|line| line.contains("was removed from the cluster")), "{log}");
    // A dead one.
    let rest: Vec<u64> = (1..=5).filter(|id| *id != leader).collect();
    let dead = rest[0];
    cluster.run("kill.sh", &[&dead.to_string()]).success();
    assert_eq!(cluster.run("remove.sh", &[&dead.to_string()]).success().trim(), dead.to_string());
    assert_eq!(members(&cluster), voters(&rest[1..]));
    charges.wait_for_more();
    // Its number is not given again.
    assert_eq!(cluster.run("add.sh", &[]).success().trim(), "6");
    charges.prove(&cluster);
}

#[test]
fn a_cluster_of_one_grows_to_three_under_load_and_then_stands_the_death_of_the_first() {
    let _alone = alone();
    let cluster = ScriptCluster::new("members-one");
    cluster.run("up.sh", &["--nodes", "1", "--port", &cluster.ports.base.to_string()]).success();
    let charges = Charges::start(&cluster);
    for id in [2, 3] {
        assert_eq!(cluster.run("add.sh", &[]).success(), format!("{id}\n"));
        charges.wait_for_more();
    }
    assert_eq!(members(&cluster), voters(&[1, 2, 3]));
    charges.prove(&cluster);

    let charges = Charges::start(&cluster);
    cluster.run("kill.sh", &["1"]).success();
    charges.wait_for_more();
    cluster.run("start.sh", &["1"]).success();
    charges.wait_for_more();
    charges.prove(&cluster);
}

#[test]
fn a_node_whose_disk_was_lost_is_replaced_by_one_verb() {
    let _alone = alone();
    let cluster = up("members-replace");
    let charges = Charges::start(&cluster);
    let lost = if cluster.leader() == 2 { 3 } else { 2 };
    cluster.run("kill.sh", &[&lost.to_string()]).success();
    std::fs::remove_dir_all(cluster.dir.join(format!("node-{lost}"))).expect("its disk is lost");
    let (api, peer) = (cluster.ports.api(4), cluster.ports.peer(4));
    let (api, peer) = (format!("127.0.0.1:{api}"), format!("127.0.0.1:{peer}"));
    let mut replace =
        cluster.etebar(&["members", "replace", &lost.to_string(), "--api", &api, "--peer", &peer, "--wait", "60s"]);
    let mut replacing = replace.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // Interrupted where it waits, and run again.
    eventually("the new node to be a member", || members(&cluster).contains(&(4, "waiting".to_owned())));
    replacing.kill().expect("it runs");
    replacing.wait().expect("it ended");
    let replacing = replace.spawn().expect("it starts");
    // The same addresses are the same node: this makes its data directory and starts it.
    std::fs::write(cluster.dir.join(".adding"), format!("{api} {peer}\n")).expect("a file");
    assert_eq!(cluster.run("add.sh", &[]).success().trim(), "4");
    let replaced: Ended = replacing.wait_with_output().expect("it ends").into();
    assert_eq!(replaced.code, Some(0), "{}\n{}", replaced.out, replaced.err);
    assert!(replaced.err.contains("etebar-node join --id 4"), "{}", replaced.err);
    let expected: Vec<u64> = (1..=4).filter(|id| *id != lost).collect();
    assert_eq!(members(&cluster), voters(&expected));
    charges.wait_for_more();
    charges.prove(&cluster);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let cluster = up("members-refused");
    let admin = cluster.admin(1);
    let (auditor, _) = admin.new_key("auditor", None);
    let auditor = Caller { address: admin.address, key: auditor };
    let members_path = "/v1/cluster/members";
    let new = json!({"api": "127.0.0.1:1", "peer": "127.0.0.1:2"});
    for request in [
        Request::post(members_path).json(&new),
        Request::post("/v1/cluster/members/2/promote"),
        Request::new("DELETE", "/v1/cluster/members/2"),
    ] {
        auditor.send(&request).expect(403);
        request.send(admin.address).expect("an answer").expect(401);
    }
    for (body, pointer) in [
        (json!({"api": "127.0.0.1", "peer": "127.0.0.1:2"}), "/api"),
        (json!({"api": "127.0.0.1:1", "peer": "127.0.0.1:0"}), "/peer"),
        (json!({"api": "127.0.0.1:1", "peer": "127.0.0.1:1"}), "/peer"),
        (json!({"api": "127.0.0.1:1"}), "/peer"),
    ] {
        let refused = admin.post(members_path, &body).expect(400).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    for path in ["/v1/cluster/members/9", "/v1/cluster/members/0", "/v1/cluster/members/x"] {
        admin.delete(path).expect(404);
        admin.send(&Request::post(format!("{path}/promote"))).expect(404);
    }
    let description = cluster.description();
    let peer = description["nodes"][1]["peer"].as_str().expect("an address").to_owned();
    let taken = admin.post(members_path, &json!({"api": "127.0.0.1:1", "peer": peer}));
    assert_eq!(taken.refusal(), (409, "address_taken".to_owned()));

    // Asking again changes nothing, at any node.
    let added = admin.post(members_path, &new).expect(201).json();
    assert_eq!((&added["id"], &added["role"], &added["status"]), (&json!(4), &json!("learner"), &json!("waiting")));
    let again = cluster.admin(3).post(members_path, &new).expect(201).json();
    assert_eq!(again["id"], 4);
    let behind = admin.send(&Request::post("/v1/cluster/members/4/promote"));
    assert_eq!(behind.refusal(), (409, "member_behind".to_owned()));
    admin.send(&Request::post("/v1/cluster/members/2/promote")).expect(200);
    for id in 1..=3 {
        cluster.admin(id).delete("/v1/cluster/members/4").expect(204);
    }
    admin.send(&Request::post("/v1/cluster/members/4/promote")).expect(404);
    assert_eq!(admin.post(members_path, &new).expect(201).json()["id"], 5, "a number is given once");
    admin.delete("/v1/cluster/members/5").expect(204);

    // Two of three have to stay.
    let leader = cluster.leader();
    let [dead, alive] = (1..=3).filter(|id| *id != leader).collect::<Vec<u64>>()[..] else { panic!("three nodes") };
    cluster.run("kill.sh", &[&dead.to_string()]).success();
    let is_missed = |id: u64| {
        let status = cluster.admin(id).get("/v1/cluster").expect(200).json();
        status["members"]
            .as_array()
            .is_some_and(|all| all.iter().any(|node| node["id"] == dead && node["healthy"] == false))
    };
    eventually("it is missed", || is_missed(leader) && is_missed(alive));
    let at_risk = cluster.admin(leader).delete(&format!("/v1/cluster/members/{alive}"));
    assert_eq!(at_risk.refusal(), (409, "quorum_at_risk".to_owned()));
    assert_eq!(members(&cluster).len(), 3);
}

#[test]
fn the_address_of_a_member_is_where_it_serves() {
    let cluster = up("members-address");
    assert_eq!(cluster.run("add.sh", &[]).success().trim(), "4");
    let description = cluster.description();
    let node = description["nodes"].as_array().expect("nodes").iter().find(|node| node["id"] == 4).expect("node 4");
    let api = node["api"].as_str().expect("an address").trim_start_matches("http://");
    let address: SocketAddr = api.parse().expect("an address");
    let admin = Caller { address, key: cluster.admin(1).key };
    // A learner that became a voter takes writes like any other.
    let seller = admin.new_seller("at the new node");
    assert_eq!(admin.balance(&seller.id), 0);
    assert_eq!(cluster.admin(1).balance(&seller.id), 0);
}
