//! Backups of a cluster of real processes: under load, over cut connections and a killed leader, verified without a cluster,
//! with an increment; and what bad use gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::faults::cutting_proxy::CuttingProxy;
use tests::load::batches::charge_in_batches;
use tests::load::dice::Dice;
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::operator::scripts::{Ended, etebar, run};
use tests::{Cluster, Load, Plan, books, eventually};

/// Bytes of answers after which the proxies cut: a few cuts for the history of these tests.
const CUT_AFTER: u64 = 1 << 20;

fn json_of(ended: Ended) -> Value {
    let out = ended.success();
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// `etebar backup …`, as the cluster's admin.
fn backup(cluster: &Cluster) -> Command {
    let mut command = etebar(cluster);
    command.args(["--json", "backup"]);
    command
}

/// `etebar backup verify`, which knows no server.
fn verify(files: &[&Path]) -> Ended {
    run(clean_command(&programs().client).args(["--json", "backup", "verify"]).args(files))
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[track_caller]
fn ended(child: Child) -> Ended {
    child.wait_with_output().expect("the program ends").into()
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |there| there.len())
}

#[test]
fn a_backup_is_whole_over_cut_connections_and_a_killed_leader_while_charges_go_on() {
    let _alone = alone();
    let cluster = Plan::new("backup-load").start();
    let seller = cluster.seller_with(10_000_000);
    charge_in_batches(&cluster, &seller, 15, 4_000);
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 1);
    load.wait_for_more(100);

    // The leader is asked last, so that the download is under way on followers when it dies.
    let leader = cluster.leader();
    let proxies: Vec<_> =
        cluster.followers().into_iter().map(|id| CuttingProxy::before(cluster.address(id), CUT_AFTER)).collect();
    let servers: Vec<_> = proxies.iter().map(CuttingProxy::url).collect();
    let file = cluster.folder().join("whole.backup");
    let mut command = backup(&cluster);
    command.arg(&file).args(["--server", &servers.join(",")]);
    let mut download = start(command);
    eventually("a part of the backup", || {
        length(&part_of(&file)) > CUT_AFTER / 2 || download.try_wait().expect("a child can be asked").is_some()
    });
    cluster.node(leader).kill();
    let done = json_of(ended(download));
    let cuts: usize = proxies.iter().map(CuttingProxy::cuts).sum();
    assert!(cuts >= 2 && done["streams"].as_u64() >= Some(2), "{cuts} cuts, {done}");
    assert_eq!(done["verified"]["verdict"], "kept", "{done}");
    assert!(done["entries"].as_u64() >= Some(60_000), "{done}");
    assert!(!part_of(&file).exists());

    cluster.start_ready(leader);
    load.wait_for_more(500);
    let next = cluster.folder().join("next.backup");
    let increment = json_of(run(backup(&cluster).arg(&next).arg("--onto").arg(&file)));
    assert_eq!(increment["after"], done["records"], "{increment}");
    assert!(length(&next) < length(&file) / 4, "an increment has new pages alone");
    books::prove(&cluster, &load.finish());

    let both = json_of(verify(&[&file, &next]));
    assert_eq!((&both["verdict"], &both["records"]), (&json!("kept"), &increment["records"]));
    let digest = cluster.admin(1).list("/v1/journal").into_iter().find(|entry| entry["entry"] == both["entries"]);
    assert_eq!(digest.map(|entry| entry["digest"].clone()), Some(both["entry_digest"].clone()), "the journal agrees");
    let alone = verify(&[&next]);
    assert_eq!(alone.code, Some(1), "{}", alone.err);
    assert!(alone.err.contains("it is an increment after"), "{}", alone.err);
    assert_eq!(verify(&[&next, &file]).code, Some(1), "in the wrong order");

    spoil(&file, cluster.folder());
}

/// A backup that was cut or altered at any byte is no backup.
fn spoil(file: &Path, folder: &Path) {
    let whole = fs::read(file).expect("the backup");
    let spoiled = folder.join("spoiled.backup");
    let seed = 7;
    eprintln!("spoiled with seed {seed}");
    let mut dice = Dice(seed);
    for _ in 0..10 {
        let place = dice.index(whole.len());
        let mut altered = whole.clone();
        altered[place] ^= 1 << dice.below(8);
        fs::write(&spoiled, &altered).expect("written");
        let found = verify(&[&spoiled]);
        // The first bytes say what a file is.
        let expected = if place < 12 { [1, 4].as_slice() } else { &[4] };
        assert!(found.code.is_some_and(|code| expected.contains(&code)), "byte {place}: {found:?}");
        fs::write(&spoiled, &whole[..place]).expect("written");
        let cut = verify(&[&spoiled]);
        assert_eq!(cut.code, Some(4), "cut at {place}: {cut:?}");
        assert!(cut.err.contains("it is cut short"), "{}", cut.err);
    }
}

#[test]
fn a_download_that_was_killed_goes_on_from_another_node_and_ends_at_the_same_record() {
    let _alone = alone();
    let cluster = Plan::new("backup-killed").start();
    let seller = cluster.seller_with(10_000_000);
    charge_in_batches(&cluster, &seller, 10, 4_000);
    let file = cluster.folder().join("ledger.backup");
    let followers = cluster.followers();
    let proxy = CuttingProxy::before(cluster.address(followers[0]), CUT_AFTER);
    let mut command = backup(&cluster);
    command.arg(&file).args(["--server", &proxy.url()]);
    let mut download = start(command);
    eventually("a cut", || proxy.cuts() > 0 || download.try_wait().expect("a child can be asked").is_some());
    download.kill().expect("it runs");
    drop(ended(download));
    assert!(!file.exists() && length(&part_of(&file)) > 0);
    let records = fs::read(part_of(&file)).expect("the part").len();
    // A torn frame at its end.
    let torn = fs::OpenOptions::new().write(true).open(part_of(&file)).expect("the part");
    torn.set_len(records as u64 - 7).expect("cut");
    drop(torn);
    let before = cluster.admin(1).get("/v1/audit?min_entry=40001").expect(200).json();
    charge_in_batches(&cluster, &seller, 1, 1_000);

    let other = format!("http://{}", cluster.address(followers[1]));
    let done = json_of(run(backup(&cluster).arg(&file).args(["--server", &other])));
    assert_eq!(done["verified"]["verdict"], "kept");
    assert!(done["entries"].as_u64() <= before["head"].as_u64(), "it ends where it was begun: {done}");

    let until = cluster.folder().join("until.backup");
    let done = json_of(run(backup(&cluster).arg(&until).args(["--until", "1000"])));
    assert_eq!((&done["entries"], &done["applied"]), (&json!(1_000), &Value::Null));
    lost(&cluster, &seller.id);
}

/// What was sold after entry 41,000 is known to a journal that somebody kept.
fn lost(cluster: &Cluster, seller: &str) {
    let journal = cluster.folder().join("journal.csv");
    let export = |format: &str, to: &Path| {
        let mut command = etebar(cluster);
        command.args(["journal", "--all", "--format", format, "--output"]).arg(to);
        run(&mut command).success();
    };
    export("csv", &journal);
    let lines = cluster.folder().join("journal.jsonl");
    export("jsonl", &lines);
    for file in [&journal, &lines] {
        let mut command = clean_command(&programs().client);
        command.args(["--json", "backup", "lost", "--since", "41000"]).arg(file);
        let out = run(&mut command).success();
        let sums: Value = serde_json::from_str(out.lines().last().expect("sums")).expect("JSON");
        assert_eq!(out.lines().count(), 2, "{out}");
        assert_eq!(sums["sellers"], json!([{"seller_id": seller, "entries": 1, "amount": "-1"}]), "{sums}");
    }
}

#[test]
fn bad_use_of_a_backup_is_refused_in_a_line_and_changes_nothing() {
    let cluster = Plan::new("backup-bad").nodes(1).start();
    let seller = cluster.seller_with(1_000);
    let file = cluster.folder().join("a.backup");
    fs::write(&file, "mine").expect("written");
    let refused = |command: &mut Command, code: i32, said: &str| {
        let ended = run(command);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    };
    refused(backup(&cluster).arg(&file), 2, "is there already");
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    let other = cluster.folder().join("b.backup");
    refused(backup(&cluster).arg(&other).env("ETEBAR_KEY", &seller.key), 1, "forbidden");
    refused(backup(&cluster).arg(&other).args(["--until", "99"]), 1, "there is no entry 99; the last one is 1");
    refused(backup(&cluster).arg(&other).arg("--onto").arg(&file), 1, "it is no backup of a ledger");
    refused(&mut backup(&cluster), 2, "required");
    refused(clean_command(&programs().client).args(["backup", "verify"]).arg(&file), 1, "no backup");
    for query in ["until=0", "records=0", "records=99999", "after=99999", "until=1&records=1", "onto=1"] {
        let answer = cluster.admin(1).get(&format!("/v1/backup?{query}"));
        assert_eq!(answer.expect(400).json()["code"], "invalid_request", "{query}");
    }
    assert!(!other.exists() && !part_of(&other).exists());
}
