//! The scripts: what each prints, how it ends, and what is left running.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::api::caller::phone;
use tests::operator::scripts::{ScriptCluster, is_running, run, script};
use tests::{Caller, Request, eventually};

/// `DIR` must be given to nothing else than this.
const ALL: [&str; 15] = [
    "up.sh",
    "down.sh",
    "kill.sh",
    "pause.sh",
    "resume.sh",
    "start.sh",
    "add.sh",
    "remove.sh",
    "upgrade.sh",
    "status.sh",
    "demo.sh",
    "chaos.sh",
    "simulate.sh",
    "plants.sh",
    "fuzz.sh",
];

fn up(name: &str) -> ScriptCluster {
    let cluster = ScriptCluster::new(name);
    cluster.up().success();
    cluster
}

/// Makes a seller with credit; its caller through node 1.
fn seller(cluster: &ScriptCluster) -> Caller {
    let admin = cluster.admin(1);
    let seller = admin.new_seller("shop");
    let caller = Caller { address: admin.address, key: seller.key };
    let request = caller.request_credit(1_000);
    admin.approve(&request).expect(200);
    caller
}

#[test]
fn every_script_explains_itself_and_refuses_what_it_does_not_know() {
    for name in ALL {
        let help = run(script(name).arg("--help")).success();
        assert!(help.starts_with(name), "{name}: {help}");
        let wrong = run(script(name).arg("--no-such-option"));
        assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""), "{name}: {}", wrong.err);
        assert_eq!(wrong.err.lines().count(), 1, "{name}: {}", wrong.err);
    }
    for (name, arguments) in [
        ("kill.sh", &["x"][..]),
        ("kill.sh", &[]),
        ("start.sh", &["leader"]),
        ("add.sh", &["4"]),
        ("remove.sh", &["leader"]),
        ("remove.sh", &[]),
        ("upgrade.sh", &[]),
        ("up.sh", &["--nodes", "0"]),
        ("up.sh", &["--port"]),
    ] {
        assert_eq!(
            run(script(name).args(arguments).args(["--dir", "/nonexistent"])).code,
            Some(2),
            "{name} {arguments:?}"
        );
    }
    let nowhere = run(script("status.sh").args(["--dir", "/nonexistent"]));
    assert_eq!((nowhere.code, nowhere.out.as_str()), (Some(1), ""));
}

#[test]
fn up_starts_a_cluster_and_describes_it() {
    let cluster = ScriptCluster::new("up");
    let said = cluster.up().success();
    let description = cluster.description();
    let nodes = description["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3);
    for (node, id) in nodes.iter().zip(1..) {
        assert_eq!(node["id"], id);
        assert_eq!(node["api"], format!("http://127.0.0.1:{}", cluster.ports.api(id)));
        assert_eq!(node["peer"], format!("127.0.0.1:{}", cluster.ports.peer(id)));
        let ops = SocketAddr::from(([127, 0, 0, 1], cluster.ports.ops(id)));
        assert_eq!(node["ops"], format!("http://{ops}"));
        Request::get("/livez").send(ops).expect("an operator is answered").expect(200);
        assert!(said.contains(node["api"].as_str().expect("an address")), "{said}");
        assert!(is_running(node["pid"].as_u64().expect("a number")));
        for path in ["data_dir", "log"] {
            assert!(fs::exists(node[path].as_str().expect("a path")).expect("it can be seen"));
        }
    }
    let mode = fs::metadata(cluster.dir.join("cluster.json")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!said.contains(description["admin_key"].as_str().expect("a key")), "the key is not on the terminal");
    (1..=3).for_each(|id| drop(cluster.admin(id).get("/v1/sellers").expect(200)));
    let refused = cluster.run("up.sh", &["--nodes", "5"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
}

#[test]
fn certificates_are_made_where_they_are_missing_and_a_restart_needs_no_authority() {
    let cluster = up("certificates");
    let pki = cluster.dir.join("pki");
    for key in ["ca.key", "node-1.key", "node-2.key", "node-3.key"] {
        let mode = fs::metadata(pki.join(key)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    cluster.run("down.sh", &[]).success();
    fs::rename(pki.join("ca.key"), cluster.dir.join("kept-elsewhere")).expect("it can be moved");
    cluster.up().success();
    let before = fs::read(pki.join("node-1.pem")).expect("a certificate");

    // As an earlier version left it.
    cluster.run("down.sh", &[]).success();
    fs::remove_dir_all(&pki).expect("it can be removed");
    let file = cluster.dir.join("cluster.json");
    let mut text = fs::read_to_string(&file).expect("it is there");
    for id in 1..=3 {
        text = text.replace(&format!(r#" "peer": "127.0.0.1:{}","#, cluster.ports.peer(id)), "");
        text = text.replace(&format!(r#" "ops": "http://127.0.0.1:{}","#, cluster.ports.ops(id)), "");
    }
    assert!(!text.contains("peer") && !text.contains("ops"), "{text}");
    fs::write(&file, text).expect("it is written");
    cluster.run("start.sh", &["1"]).success();
    assert_ne!(fs::read(pki.join("node-1.pem")).expect("a certificate"), before);
    cluster.up().success();
    let described = &cluster.description()["nodes"][2];
    assert_eq!(described["peer"], format!("127.0.0.1:{}", cluster.ports.peer(3)));
    assert_eq!(described["ops"], format!("http://127.0.0.1:{}", cluster.ports.ops(3)));
}

#[test]
fn killed_and_started_again_a_node_comes_back_with_everything() {
    let cluster = up("kill-start");
    let caller = seller(&cluster);
    let leader = cluster.leader();
    assert_eq!(cluster.run("kill.sh", &["leader"]).success(), format!("{leader}\n"));
    assert!(!cluster.runs(leader));
    assert_eq!(cluster.run("kill.sh", &[&leader.to_string()]).success(), format!("{leader}\n"), "again is a success");
    let next: u64 = cluster.run("pause.sh", &["leader"]).success().trim().parse().expect("the id alone");
    assert_ne!(next, leader);
    cluster.run("resume.sh", &[&next.to_string()]).success();
    let before = cluster.pid(leader);
    assert_eq!(cluster.run("start.sh", &[&leader.to_string()]).success(), format!("{leader}\n"));
    let after = cluster.pid(leader);
    assert!(after != before && is_running(after));
    assert_eq!(cluster.run("start.sh", &[&leader.to_string()]).success(), format!("{leader}\n"), "again is a success");
    assert_eq!(cluster.pid(leader), after);
    let through = Caller { address: cluster.admin(leader).address, ..caller };
    let charge = tests::api::caller::charge("sale", &phone(1), 10);
    through.settle(&charge).expect(201);
    assert_eq!(cluster.run("kill.sh", &["9"]).code, Some(1), "there is no node 9");
}

#[test]
fn start_does_not_wait_for_a_quorum() {
    let cluster = up("start-alone");
    for id in ["1", "2", "3"] {
        cluster.run("kill.sh", &[id]).success();
    }
    let began = Instant::now();
    let none = cluster.run("kill.sh", &["leader"]);
    assert_eq!(none.code, Some(1), "without a leader");
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(cluster.run("start.sh", &["2"]).success(), "2\n");
    let status = cluster.run("status.sh", &[]).success();
    assert_eq!(status.lines().filter(|line| line.contains(" down ")).count(), 2, "{status}");
    assert!(cluster.runs(2));
}

#[test]
fn status_has_a_line_a_node_with_equal_digests() {
    let cluster = up("status");
    seller(&cluster);
    let table = || {
        let text = cluster.run("status.sh", &[]).success();
        let rows: Vec<Vec<String>> =
            text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(rows.len(), 3, "{text}");
        rows
    };
    let rows = table();
    assert_eq!(rows.iter().filter(|row| row[1] == "leader").count(), 1, "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row[1] == "follower").count(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row[5].len() == 64 && row[5] == rows[0][5]), "{rows:?}");
    cluster.run("kill.sh", &["1"]).success();
    let paused = if cluster.leader() == 2 { "3" } else { "2" };
    cluster.run("pause.sh", &[paused]).success();
    let rows = table();
    assert_eq!(rows[0][1], "down");
    assert_eq!(rows[paused.parse::<usize>().expect("a number") - 1][1], "paused");
}

#[test]
fn up_starts_an_existing_cluster_again_whatever_was_left_of_it() {
    let cluster = up("again");
    let caller = seller(&cluster);
    let description = cluster.description();
    let same = |cluster: &ScriptCluster| {
        let now = cluster.description();
        let without_pids = |mut value: Value| {
            value["nodes"].as_array_mut().expect("nodes").iter_mut().for_each(|node| node["pid"] = Value::Null);
            value
        };
        assert_eq!(without_pids(now), without_pids(description.clone()));
    };
    // All run; one is dead and one hangs; all are dead; all were ended in an orderly way.
    cluster.up().success();
    cluster.run("kill.sh", &["1"]).success();
    cluster.run("pause.sh", &["2"]).success();
    cluster.up().success();
    same(&cluster);
    for id in ["1", "2", "3"] {
        cluster.run("kill.sh", &[id]).success();
    }
    cluster.up().success();
    cluster.run("down.sh", &[]).success();
    assert!((1..=3).all(|id| !cluster.runs(id)));
    cluster.run("down.sh", &[]).success();
    cluster.run("up.sh", &[]).success();
    same(&cluster);
    assert_eq!(caller.balance("me"), 1_000);
    // One was started whose record was lost.
    let text = fs::read_to_string(cluster.dir.join("cluster.json")).expect("it is there");
    let pid = cluster.pid(3);
    fs::write(cluster.dir.join("cluster.json"), text.replace(&format!("\"pid\": {pid}"), "\"pid\": 1"))
        .expect("it is written");
    cluster.up().success();
    assert_eq!(cluster.pid(3), pid, "it is found, and not started twice");
}

#[test]
fn a_folder_that_is_no_cluster_is_left_alone() {
    let cluster = ScriptCluster::new("no-cluster");
    fs::create_dir_all(&cluster.dir).expect("a folder");
    fs::write(cluster.dir.join("letter.txt"), "mine").expect("a file");
    let ended = cluster.up();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_eq!(fs::read_to_string(cluster.dir.join("letter.txt")).expect("it is there"), "mine");
    assert_eq!(cluster.run("down.sh", &["--wipe"]).code, Some(1), "nor does down.sh delete it");
    assert!(cluster.dir.join("letter.txt").exists());
}

#[test]
fn down_ends_all_and_wipe_deletes_it() {
    let cluster = up("wipe");
    let pids: Vec<_> = (1..=3).map(|id| cluster.pid(id)).collect();
    cluster.run("pause.sh", &["2"]).success();
    cluster.run("down.sh", &[]).success();
    assert!(pids.iter().all(|pid| !is_running(*pid)), "the paused one too");
    assert!(cluster.dir.join("node-1").exists());
    cluster.up().success();
    let pids: Vec<_> = (1..=3).map(|id| cluster.pid(id)).collect();
    cluster.run("down.sh", &["--wipe"]).success();
    assert!(pids.iter().all(|pid| !is_running(*pid)));
    assert!(!cluster.dir.exists());
}

#[test]
fn settings_in_the_environment_reach_the_nodes() {
    let cluster = ScriptCluster::new("settings");
    let port = cluster.ports.base.to_string();
    let ended = run(script("up.sh")
        .args(["--port", &port, "--nodes", "1"])
        .arg("--dir")
        .arg(&cluster.dir)
        .env("ETEBAR_PLACES", "2"));
    ended.success();
    let admin = cluster.admin(1);
    let seller = admin.new_seller("shop");
    assert_eq!(admin.get(&format!("/v1/sellers/{}", seller.id)).expect(200).json()["balance"], "0.00");
    cluster.run("down.sh", &[]).success();
    let wrong = run(script("start.sh").arg("1").arg("--dir").arg(&cluster.dir).env("ETEBAR_REQUEST_TIMEOUT", "soon"));
    assert_eq!(wrong.code, Some(1), "{}", wrong.err);
    assert!(wrong.err.contains("request-timeout"), "it says why: {}", wrong.err);
}

#[test]
fn scripts_that_run_at_the_same_time_do_not_spoil_each_other() {
    let cluster = up("same-time");
    for _ in 0..3 {
        for id in ["1", "2"] {
            cluster.run("kill.sh", &[id]).success();
        }
        thread::scope(|scope| {
            for id in ["1", "2", "1", "3"] {
                let cluster = &cluster;
                scope.spawn(move || cluster.run("start.sh", &[id]).success());
            }
        });
        assert!((1..=3).all(|id| cluster.runs(id)));
    }
    eventually("all to be ready", || {
        (1..=3).all(|id| cluster.admin(id).try_get("/readyz").is_ok_and(|answer| answer.status == 200))
    });
}
