//! `upgrade.sh`: another build, node by node, under load; and what is left where it cannot be done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::eventually;
use tests::machine::builds::patched_node;
use tests::machine::programs::{programs, root};
use tests::machine::turns::alone;
use tests::operator::charges::Charges;
use tests::operator::scripts::{Ended, ScriptCluster, is_running, run};

/// A folder as `--build` takes it, with that program in it.
fn build_of(cluster: &ScriptCluster, name: &str, program: &Path) -> PathBuf {
    let folder = cluster.dir.parent().expect("a folder around it").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(program, folder.join("etebar-node")).expect("it is copied");
    folder
}

/// A build that does `what` where it is a shell's case, and else what that program does.
fn sabotaged(cluster: &ScriptCluster, name: &str, program: &Path, what: &str) -> PathBuf {
    let folder = cluster.dir.parent().expect("a folder around it").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let script = format!("#!/bin/sh\ncase $1 in {what} esac\nexec {} \"$@\"\n", program.display());
    let path = folder.join("etebar-node");
    fs::write(&path, script).expect("it is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is made a program");
    folder
}

fn upgrade(cluster: &ScriptCluster, build: &Path) -> Ended {
    cluster.run("upgrade.sh", &["--build", build.to_str().expect("a path of our own")])
}

fn status(cluster: &ScriptCluster) -> Value {
    run(&mut cluster.etebar(&["--json", "cluster", "status"])).json()
}

/// The rules of the ledger, and those that each node's build knows; each must also say how its build is called.
fn rules(cluster: &ScriptCluster) -> (u64, Vec<Option<u64>>) {
    let status = status(cluster);
    let members = status["members"].as_array().expect("members");
    assert!(members.iter().all(|node| node["build"].as_str().is_some_and(|build| build.starts_with("0."))), "{status}");
    (status["rules"].as_u64().expect("rules"), members.iter().map(|node| node["rules"].as_u64()).collect())
}

fn pids(cluster: &ScriptCluster) -> Vec<u64> {
    (1..=3).map(|id| cluster.pid(id)).collect()
}

#[test]
fn every_node_gets_the_newer_build_under_load_and_no_charge_fails() {
    let newer = patched_node("toy-rules.patch");
    let _alone = alone();
    let cluster = ScriptCluster::new("upgrade-script");
    cluster.up().success();
    let (newer, older) = (build_of(&cluster, "newer", &newer), build_of(&cluster, "older", &programs().node));
    let charges = Charges::start(&cluster);
    let before = pids(&cluster);
    let leader = cluster.leader();
    let ended = upgrade(&cluster, &newer);
    let order: Vec<&str> = ended.err.lines().filter(|line| line.ends_with("runs the new build")).collect();
    assert_eq!(order.len(), 3, "{ended:?}");
    assert!(order[2].starts_with(&format!("node {leader} ")), "the leader is the last: {order:?}");
    assert!(ended.success().contains("every node runs etebar-node"));
    assert!(pids(&cluster).iter().zip(&before).all(|(now, then)| now != then));
    charges.wait_for_more();
    eventually("the rules to be raised", || rules(&cluster) == (6, vec![Some(6); 3]));
    charges.wait_for_more();

    // Again, and back: neither touches a node.
    let now = pids(&cluster);
    let again = upgrade(&cluster, &newer);
    assert_eq!(again.err.lines().filter(|line| line.contains("already")).count(), 3, "{again:?}");
    again.success();
    let back = upgrade(&cluster, &older);
    assert_eq!(back.code, Some(1), "{back:?}");
    assert!(back.err.contains("goes by rules 6") && back.err.contains("no way back"), "{}", back.err);
    assert_eq!(pids(&cluster), now);
    charges.prove(&cluster);

    // The other scripts start the build that the cluster was upgraded to.
    cluster.run("down.sh", &[]).success();
    cluster.up().success();
    assert_eq!(rules(&cluster), (6, vec![Some(6); 3]));
    assert_eq!(fs::read_dir(cluster.dir.join("builds")).expect("builds").count(), 2, "one build, and its name");
}

#[test]
fn an_upgrade_stops_at_the_first_trouble_and_says_what_runs() {
    let _alone = alone();
    let cluster = ScriptCluster::new("upgrade-trouble");
    cluster.up().success();
    let charges = Charges::start(&cluster);
    let node = &programs().node;
    let leader = cluster.leader();
    let refusing = sabotaged(&cluster, "refusing", node, "check) echo 'history REFUSED' >&2; exit 1;;");
    let dying = sabotaged(&cluster, "dying", node, "run) echo 'etebar-node: no' >&2; exit 1;;");
    for (build, why) in [(refusing, "the new build refuses its data: history REFUSED"), (dying, "did not start")] {
        let ended = upgrade(&cluster, &build);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.err.lines().last().unwrap_or_default();
        assert!(last.contains(why) && last.contains("it runs the earlier build again"), "{}", ended.err);
        assert!(last.contains("new build: nodes none; earlier build: nodes 1 2 3"), "{}", ended.err);
        assert_eq!(cluster.leader(), leader, "the leader was not touched");
        assert!(pids(&cluster).iter().all(|pid| is_running(*pid)));
        charges.wait_for_more();
    }

    // With one node down, no other is stopped, and the one that is down is the first to be upgraded.
    let down = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.run("kill.sh", &[&down.to_string()]).success();
    let same = build_of(&cluster, "same", node);
    fs::write(same.join("etebar-node"), with_a_tail(&same.join("etebar-node"))).expect("it is written");
    let ended = upgrade(&cluster, &same);
    let first = ended.err.lines().find(|line| line.ends_with("runs the new build")).unwrap_or_default().to_owned();
    ended.success();
    assert_eq!(first, format!("node {down} runs the new build"));
    charges.prove(&cluster);

    for (arguments, why) in [
        (&[][..], "which build?"),
        (&["--build", "/nonexistent"], "holds no program etebar-node"),
        (&["--build", root().to_str().expect("a path of our own")], "holds no program etebar-node"),
    ] {
        let wrong = cluster.run("upgrade.sh", arguments);
        assert_eq!((wrong.code, wrong.err.contains(why)), (Some(2), true), "{wrong:?}");
    }
}

/// The same program with other bytes: what follows the end of an executable is not loaded.
fn with_a_tail(program: &Path) -> Vec<u8> {
    let mut bytes = fs::read(program).expect("a program");
    bytes.extend(b"another build");
    bytes
}
