//! A ledger that goes on as a new cluster: restored from a backup, or with the last node that is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::api::caller::{Caller, phone};
use tests::cluster::pki::renew_certificate;
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::operator::scripts::{Ended, ScriptCluster, run};
use tests::{Cluster, Plan};

/// The status of a cluster as its admin sees it.
fn status(admin: &Caller) -> Value {
    admin.get("/v1/cluster").expect(200).json()
}

/// A backup of a stopped node's history.
fn back_up(data_dir: &Path, to: &Path) {
    let file = fs::File::create(to).expect("a file");
    let mut command = clean_command(&programs().node);
    let done = command.arg("backup").arg("--data-dir").arg(data_dir).stdout(file).status().expect("it starts");
    assert!(done.success());
}

fn restore(backup: &Path, data_dir: &Path, more: &[&str]) -> Ended {
    let mut command = clean_command(&programs().node);
    command.arg("restore").arg("--from").arg(backup).arg("--data-dir").arg(data_dir);
    run(command.args(["--api", "127.0.0.1:9001", "--peer", "127.0.0.1:9002"]).args(more))
}

#[track_caller]
fn refused(ended: &Ended, code: i32, expected: &str) {
    assert_eq!(ended.code, Some(code), "{expected}: {ended:?}");
    assert!(ended.err.contains(expected) && ended.out.is_empty(), "{expected}: {ended:?}");
    assert_eq!(ended.err.trim_end().lines().count(), 1, "{}", ended.err);
}

fn on_hold(seller: &Caller, key: &str) {
    let refused = seller.charge(key, &phone(7), 100);
    assert_eq!(refused.refusal(), (503, "on_hold".to_owned()));
    assert!(refused.header("retry-after").is_some());
}

/// The client program as the admin of a cluster that up.sh made.
fn etebar(cluster: &ScriptCluster, arguments: &[&str]) -> Command {
    let admin = cluster.admin(1);
    let mut command = clean_command(&programs().client);
    command.args(arguments).env("ETEBAR_SERVER", format!("http://{}", admin.address)).env("ETEBAR_KEY", admin.key);
    command
}

#[test]
fn a_backup_becomes_a_new_cluster_on_hold_of_the_same_ledger() {
    let _alone = alone();
    let old = ScriptCluster::new("restore-old");
    old.up().success();
    let seller = old.admin(1).new_seller("shop");
    let at = |cluster: &ScriptCluster, id| Caller { address: cluster.admin(id).address, key: seller.key.clone() };
    let request = at(&old, 1).request_credit(10_000);
    old.admin(1).approve(&request).expect(200);
    let sold = at(&old, 2).charge("before", &phone(1), 1_000).expect(201).json();
    old.run("down.sh", &[]).success();
    let backup = old.dir.join("ledger.backup");
    back_up(&old.dir.join("node-1"), &backup);
    old.up().success();
    let lost = at(&old, 1).charge("lost", &phone(1), 2_000).expect(201).json();
    old.run("down.sh", &[]).success();

    let new = ScriptCluster::new("restore-new");
    let base = new.ports.base.to_string();
    let said = new.run("up.sh", &["--port", &base, "--from", backup.to_str().expect("a path")]).success();
    assert!(said.contains("on hold"), "{said}");
    let before = status(&new.admin(1));
    assert_eq!((before["epoch"].clone(), before["on_hold"].clone()), (json!(2), json!(true)), "{before}");
    assert_eq!(before["ledger_id"], fs_identity(&old.dir.join("node-1"))["ledger"]);
    let voters = before["members"].as_array().expect("members").iter().filter(|node| node["role"] == "voter");
    assert_eq!(voters.count(), 3, "{before}");

    // Every write is refused, on every node; reads are not.
    for id in 1..=3 {
        on_hold(&at(&new, id), "after");
        assert_eq!(at(&new, id).balance("me"), 9_000);
        let writes = [("/v1/sellers", json!({"name": "other"})), ("/v1/credit-requests", json!({"amount": "5"}))];
        for (caller, (path, body)) in [new.admin(id), at(&new, id)].iter().zip(writes) {
            let answer = caller.post_keyed(path, &format!("hold-{id}"), &body);
            assert_eq!(answer.refusal(), (503, "on_hold".to_owned()), "{path}");
        }
    }
    let charge = |sold: &Value| format!("/v1/charges/{}", sold["id"].as_str().expect("an id"));
    let found = new.admin(2).get(&charge(&sold)).expect(200).json();
    assert_eq!(found["entry"], sold["entry"], "ids stay");

    // The hold outlives all processes, and ends once, in the name of an admin.
    new.run("down.sh", &[]).success();
    new.up().success();
    on_hold(&at(&new, 3), "after");
    at(&new, 1).post("/v1/cluster/open", &json!({})).expect(403);
    for _ in 0..2 {
        run(&mut etebar(&new, &["cluster", "open"])).success();
    }
    assert!(
        at(&new, 2).charge("before", &phone(1), 1_000).expect(201).replayed(),
        "what was backed up is not sold again"
    );
    let again = at(&new, 2).charge("lost", &phone(1), 2_000).expect(201);
    assert!(!again.replayed(), "what was lost is unknown, which is why the ledger was on hold");
    assert_ne!(again.json()["id"], lost["id"]);
    new.admin(3).get(&charge(&lost)).expect(404);
    run(&mut etebar(&new, &["verify"])).success();
    // A backup of a ledger that was restored is one too, and every node knows of it.
    let next = new.dir.join("next.backup");
    run(&mut etebar(&new, &["backup", next.to_str().expect("a path")])).success();
    assert!(status(&new.admin(2))["last_backup"]["records"].as_u64() > Some(0));
    assert_eq!(status(&new.admin(1))["on_hold"], json!(false));
}

/// What a data directory says of itself.
fn fs_identity(data_dir: &Path) -> Value {
    let text = fs::read(data_dir.join("identity.json")).expect("it was made");
    serde_json::from_slice::<Value>(&text).expect("JSON")["identity"].take()
}

#[test]
fn what_is_not_to_be_restored_is_refused_in_one_line_and_nothing_is_made() {
    let cluster = Plan::new("restore-refused").nodes(1).start();
    let seller = cluster.seller_with(1_000);
    cluster.seller(1, &seller).charge("a", &phone(1), 100).expect(201);
    cluster.node(1).terminate(tests::wait::PATIENCE);
    let folder = cluster.folder().to_owned();
    let (backup, place) = (folder.join("ledger.backup"), folder.join("restored"));
    back_up(&cluster.node(1).data_dir, &backup);
    let free = || assert!(!place.join("identity.json").exists());

    refused(&restore(&backup, &cluster.node(1).data_dir, &[]), 2, "is not empty");
    refused(&restore(&folder.join("absent"), &place, &[]), 2, "absent");
    refused(&restore(&backup, &place, &["--cluster-id", &cluster.id()]), 2, "draw another id");
    refused(&restore(&backup, &place, &["--until", "3"]), 2, "ends with entry 2");
    free();
    let whole = fs::read(&backup).expect("the backup");
    let cut = folder.join("cut.backup");
    fs::write(&cut, &whole[..whole.len() - 1]).expect("a file");
    refused(&restore(&cut, &place, &[]), 1, "cut short");
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&cut, altered).expect("a file");
    refused(&restore(&cut, &place, &[]), 1, "altered");
    free();

    // Where that failed the place is as good as empty, and a restore may end before the end.
    let said = restore(&backup, &place, &["--until", "1"]).success();
    assert!(said.contains("up to entry 1, of ledger") && said.contains("etebar cluster open"), "{said}");
    refused(&restore(&backup, &place, &[]), 2, "is not empty");
}

/// Two of three disks are lost for good.
#[test]
fn a_survivor_goes_on_alone_on_hold_and_grows_again() {
    let cluster = Plan::new("recover").nodes(3).start();
    let seller = cluster.seller_with(1_000);
    let sold = cluster.seller(2, &seller).charge("a", &phone(1), 100).expect(201).json();
    cluster.kill_all();
    for id in [2, 3] {
        fs::remove_dir_all(&cluster.node(id).data_dir).expect("its disk is lost");
    }
    let data_dir = cluster.node(1).data_dir.clone();
    let recover = |more: &[&str]| {
        let mut command = clean_command(&programs().node);
        run(command.arg("recover").arg("--data-dir").arg(&data_dir).args(more))
    };
    assert_eq!(recover(&[]).code, Some(2), "it has to be said aloud");
    let loudly = "--i-understand-that-the-others-are-gone";
    let kept = cluster.folder().join("kept");
    copy(&data_dir, &kept);
    refused(&recover(&[loudly, "--cluster-id", &cluster.id()]), 2, "draw another id");
    let done = recover(&[loudly]);
    assert!(done.err.contains("goes on alone"), "{done:?}");
    let said = done.success();
    let identity = fs_identity(&data_dir);
    let id = identity["cluster"].as_str().expect("an id").to_owned();
    assert!(said.contains(&id) && id != cluster.id() && identity["epoch"] == 2, "{said} {identity}");
    refused(&recover(&[loudly]), 2, "needs no others");

    // As after an interruption between its two steps: the identity is changed, and the log is not.
    for part in ["log", "history"] {
        fs::remove_dir_all(data_dir.join(part)).expect("it is there");
        copy(&kept.join(part), &data_dir.join(part));
    }
    assert!(recover(&[loudly, "--cluster-id", &id]).success().contains(&id), "the same command goes on");
    assert_eq!(fs_identity(&data_dir), identity);
    refused(&recover(&[loudly]), 2, "needs no others");

    renew_certificate(&cluster.pki(), &id, 1);
    cluster.node(1).launch();
    cluster.wait_ready(&[1]);
    let me = cluster.seller(1, &seller);
    on_hold(&me, "b");
    assert_eq!(me.balance("me"), 900);
    let shown = status(&cluster.admin(1));
    assert_eq!((shown["epoch"].clone(), shown["on_hold"].clone()), (json!(2), json!(true)), "{shown}");
    assert_eq!(shown["members"].as_array().expect("members").len(), 1, "{shown}");
    cluster.admin(1).post("/v1/cluster/open", &json!({})).expect(200);
    assert!(me.charge("a", &phone(1), 100).expect(201).replayed());
    assert_eq!(
        me.get(&format!("/v1/charges/{}", sold["id"].as_str().expect("an id"))).expect(200).json()["id"],
        sold["id"]
    );
    me.charge("b", &phone(1), 100).expect(201);
    grows(&cluster, &id);
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts").success());
}

/// Another node joins the cluster of one.
fn grows(cluster: &Cluster, id: &str) {
    let addresses = (cluster.address(2), cluster.peer_port(2));
    let body = json!({"api": addresses.0.to_string(), "peer": format!("127.0.0.1:{}", addresses.1)});
    let added = cluster.admin(1).post("/v1/cluster/members", &body).expect(201).json();
    assert_eq!(added["id"], 2, "the new cluster numbers its nodes itself: {added}");
    let place: PathBuf = cluster.node(2).data_dir.clone();
    renew_certificate(&cluster.pki(), id, 2);
    let mut join = clean_command(&programs().node);
    join.arg("join").arg("--data-dir").arg(place).args(["--id", "2", "--cluster-id", id]);
    join.args(["--seed", &format!("127.0.0.1:{}", cluster.peer_port(1))]);
    join.envs(tests::cluster::pki::settings(&cluster.pki(), 2));
    run(&mut join).success();
    cluster.node(2).launch();
    tests::eventually("the new node to be promoted", || {
        cluster.admin(1).post("/v1/cluster/members/2/promote", &json!({})).status == 200
    });
    cluster.wait_ready(&[1, 2]);
    let entries: Vec<_> = [1, 2].iter().map(|node| cluster.admin(*node).list("/v1/journal")).collect();
    assert_eq!(entries[0], entries[1]);
}
