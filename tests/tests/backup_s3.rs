//! Backups in S3-compatible storage, by moto's server: whole and as increments, killed at every step, fetched and restored; and
//! what wrong credentials, missing buckets and altered objects get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::api::caller::phone;
use tests::api::certificates::{Authority, ServerFiles};
use tests::load::batches::charge_in_batches;
use tests::machine::needs::{Need, lacks};
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::operator::scripts::{Ended, ScriptCluster, etebar, run};
use tests::operator::storage::Storage;
use tests::{Cluster, Folder, Plan};

/// Where the backups are.
const PLACE: &str = "s3://books/etebar/east";
/// Bytes of a part: the least that the test's storage takes.
const PART_BYTES: &str = "65536";

/// `etebar backup s3://…`, as the cluster's admin.
fn backup(cluster: &Cluster, storage: &Storage, more: &[&str]) -> Command {
    let mut command = etebar(cluster);
    command.args(["--json", "backup", PLACE, "--s3-part-size", PART_BYTES, "--work"]).arg(work(cluster));
    storage.with(command.args(more));
    command
}

fn work(cluster: &Cluster) -> PathBuf {
    cluster.folder().join("work")
}

/// `etebar backup fetch`, which knows no server.
fn fetch(storage: &Storage, place: &str, to: &Path) -> Ended {
    let mut command = clean_command(&programs().client);
    command.args(["--json", "backup", "fetch", place]).arg(to);
    let ended = run(storage.with(&mut command));
    assert!(!format!("{ended:?}").contains(storage.secret()), "{ended:?}");
    ended
}

/// What `latest` names: the number of objects, and the last of them.
fn latest(storage: &Storage) -> (usize, String) {
    let latest: Value = serde_json::from_slice(&storage.object("etebar/east/latest")).expect("JSON");
    let chain = latest["chain"].as_array().expect("a chain");
    (chain.len(), latest["object"].as_str().expect("a name").to_owned())
}

/// Starts a command, waits until the storage holds a request of it, and kills it there.
#[track_caller]
fn kill_at(storage: &Storage, mut command: Command, held: &str) {
    storage.hold(held);
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    storage.wait_held();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    storage.release();
}

#[track_caller]
fn refused(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{said}: {ended:?}");
    let error: Value = serde_json::from_str(&ended.err).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    let detail = error["detail"].as_str().expect("a detail");
    assert!(detail.contains(said) && detail.lines().count() == 1 && error["hint"].is_string(), "{said}: {}", ended.err);
}

fn sent_parts(storage: &Storage) -> usize {
    storage.logged(|line| line.starts_with("PUT ") && line.contains("partNumber=") && line.ends_with(" 200"))
}

#[test]
fn a_backup_in_storage_is_named_once_it_is_whole_wherever_a_run_is_killed() {
    if lacks(Need::Moto, "backups in S3-compatible storage") {
        return;
    }
    let _alone = alone();
    let cluster = Plan::new("backup-s3").start();
    let storage = Storage::start(cluster.folder());
    let seller = cluster.seller_with(10_000_000);
    charge_in_batches(&cluster, &seller, 4, 4_000);

    // In the middle of the upload: what arrived stays, and nothing names it.
    kill_at(&storage, backup(&cluster, &storage, &[]), "partNumber=4");
    assert_eq!((sent_parts(&storage), storage.unfinished(), storage.keys()), (3, 1, vec![]));
    charge_in_batches(&cluster, &seller, 1, 100);
    // Before it is put together, with a moment in which the storage is busy.
    storage.fail(3, "503 SlowDown", "partNumber=5");
    kill_at(&storage, backup(&cluster, &storage, &[]), "^POST .*uploadId=");
    let parts = sent_parts(&storage);
    assert!(parts > 6 && storage.keys().is_empty(), "{parts} parts");
    // While it is read back, before the chain is written, and before the pointer is.
    for held in ["^GET .*\\.backup\\?", "^PUT .*\\.chain", "^PUT .*/latest"] {
        kill_at(&storage, backup(&cluster, &storage, &[]), held);
        assert!(!storage.keys().contains(&"etebar/east/latest".to_owned()), "{held}: {:?}", storage.keys());
    }
    let done = run(&mut backup(&cluster, &storage, &[])).json();
    assert_eq!((&done["verdict"], &done["after"]), (&json!("kept"), &json!(0)), "{done}");
    assert_eq!((&done["parts_sent"], &done["parts_there"]), (&json!(0), &json!(0)), "the object was there: {done}");
    assert_eq!(sent_parts(&storage), parts, "no part was sent twice");
    assert!(done["entries"].as_u64() <= Some(16_001), "it is the backup that the first run began: {done}");
    let (objects, whole) = latest(&storage);
    assert_eq!((objects, storage.unfinished()), (1, 0));
    assert_eq!(
        storage.object(&format!("etebar/east/{whole}")).len() as u64,
        done["object_bytes"].as_u64().expect("bytes")
    );
    let noted = cluster.admin(1).get("/v1/cluster").expect(200).json();
    assert_eq!(noted["last_backup"]["records"], done["records"], "{noted}");
    increments(&cluster, &storage, &done, &whole);
}

/// An increment onto `latest`, killed before the pointer; and one in another work folder, which fetches what it stands on.
fn increments(cluster: &Cluster, storage: &Storage, whole: &Value, name: &str) {
    kill_at(storage, backup(cluster, storage, &["--onto", "latest"]), "^PUT .*/latest");
    assert_eq!(latest(storage), (1, name.to_owned()), "the pointer is where it was");
    let next = run(&mut backup(cluster, storage, &["--onto", "latest"])).json();
    assert_eq!((&next["after"], next["chain"].as_array().map(Vec::len)), (&whole["records"], Some(2)), "{next}");
    assert!(next["object_bytes"].as_u64() < whole["object_bytes"].as_u64(), "an increment has new pages alone");
    assert_eq!(latest(storage).0, 2);
    let kept = fs::read_dir(work(cluster)).expect("the folder").flatten();
    let mut kept: Vec<_> = kept.map(|entry| entry.file_name().into_string().expect("text")).collect();
    kept.sort();
    assert_eq!(kept.len(), 3, "the two files that latest names, and the lock: {kept:?}");

    fs::remove_dir_all(work(cluster)).expect("the folder");
    let third = run(&mut backup(cluster, storage, &["--onto", "latest"])).json();
    assert_eq!((&third["after"], latest(storage).0), (&next["records"], 3), "{third}");

    // All of the chain, and the first of it by its name.
    let to = cluster.folder().join("fetched");
    let fetched = fetch(storage, PLACE, &to).json();
    assert_eq!((&fetched["verdict"], &fetched["records"]), (&json!("kept"), &third["records"]), "{fetched}");
    assert_eq!(fetched["files"].as_array().map(Vec::len), Some(3), "{fetched}");
    let first = fetch(storage, &format!("{PLACE}/{name}"), &cluster.folder().join("first")).json();
    assert_eq!(first["records"], whole["records"], "{first}");
    altered(cluster, storage, &to, name);
}

/// An object that is not what was uploaded is refused, and nothing of it is left; one that was cut too.
fn altered(cluster: &Cluster, storage: &Storage, fetched: &Path, name: &str) {
    let key = format!("etebar/east/{name}");
    let right = storage.object(&key);
    let mut wrong = right.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    let to = cluster.folder().join("altered");
    for bytes in [wrong.as_slice(), &right[..right.len() - 1], &[right.as_slice(), b"x"].concat()] {
        storage.put(&key, bytes);
        refused(&fetch(storage, PLACE, &to), 4, "is altered");
        assert_eq!(fs::read_dir(&to).expect("the folder").count(), 0, "nothing is left of it");
    }
    // Half of it came earlier; the rest is asked for, and the whole is compared.
    storage.put(&key, &right);
    fs::write(to.join(format!("{name}.part")), &right[..middle]).expect("written");
    fetch(storage, PLACE, &to).success();
    assert_eq!(fs::read(to.join(name)).expect("it is there"), fs::read(fetched.join(name)).expect("it is there"));
    let latest = storage.object("etebar/east/latest");
    storage.put("etebar/east/latest", &latest[..latest.len() / 2]);
    refused(&fetch(storage, PLACE, &to), 4, "names no backup");
}

#[test]
fn what_was_fetched_is_restored_with_the_same_books() {
    if lacks(Need::Moto, "a restore from S3-compatible storage") {
        return;
    }
    let _alone = alone();
    let cluster = Plan::new("backup-s3-restore").start();
    let storage = Storage::start(cluster.folder());
    let seller = cluster.seller_with(10_000);
    cluster.seller(1, &seller).charge("one", &phone(1), 700).expect(201);
    run(&mut backup(&cluster, &storage, &[])).success();
    cluster.seller(2, &seller).charge("two", &phone(2), 1_300).expect(201);
    run(&mut backup(&cluster, &storage, &["--onto", "latest"])).success();
    let before = cluster.admin(1).list("/v1/journal");

    let to = cluster.folder().join("fetched");
    let fetched = fetch(&storage, PLACE, &to).json();
    let files: Vec<_> = fetched["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    assert_eq!(files.len(), 2, "{fetched}");
    let new = ScriptCluster::new("backup-s3-restored");
    let base = new.ports.base.to_string();
    let mut arguments = vec!["--port", &base];
    arguments.extend(files.iter().flat_map(|file| ["--from", file]));
    new.run("up.sh", &arguments).success();
    let admin = new.admin(1);
    assert_eq!(admin.list("/v1/journal"), before, "the same books");
    assert_eq!(admin.balance(&seller.id), 8_000);
}

#[test]
fn bad_use_of_storage_is_refused_in_a_line_and_shows_no_secret() {
    if lacks(Need::Moto, "refusals of S3-compatible storage") {
        return;
    }
    let cluster = Plan::new("backup-s3-bad").nodes(1).start();
    let storage = Storage::start(cluster.folder());
    let ours = || backup(&cluster, &storage, &[]);
    let to = |place: &str| {
        let mut command = etebar(&cluster);
        command.args(["--json", "backup", place, "--work"]).arg(work(&cluster));
        run(storage.with(&mut command))
    };
    let wrong = run(ours().env("AWS_SECRET_ACCESS_KEY", "another"));
    refused(&wrong, 1, "refuses the credentials: 403 SignatureDoesNotMatch");
    refused(&run(ours().env("AWS_ACCESS_KEY_ID", "another")), 1, "refuses the credentials: 403 InvalidAccessKeyId");
    refused(&run(ours().env_remove("AWS_ACCESS_KEY_ID")), 2, "set AWS_ACCESS_KEY_ID");
    refused(&to("s3://no-such-bucket/etebar"), 1, "there is no bucket no-such-bucket at http://127.0.0.1:");
    refused(&to("s3://books/../other"), 2, "is no s3://BUCKET/PREFIX");
    refused(&run(&mut backup(&cluster, &storage, &["--onto", "latest"])), 1, "there is no verified backup at");
    refused(&run(&mut backup(&cluster, &storage, &["--onto", "monday.backup"])), 2, "--onto latest");
    refused(&run(&mut backup(&cluster, &storage, &["--no-verify"])), 2, "--no-verify is of a file alone");
    refused(&fetch(&storage, PLACE, &cluster.folder().join("fetched")), 1, "there is no verified backup at");
    refused(&run(ours().args(["--s3-endpoint", "ftp://127.0.0.1"])), 2, "is no URL of a storage");
    refused(&run(ours().args(["--s3-endpoint", "http://127.0.0.1:1"])), 3, "does not answer");

    // An upload that is refused is aborted, and an object that was not kept as it was sent is no backup.
    storage.fail(1, "400 InvalidArgument", "partNumber=1");
    refused(&run(&mut ours()), 1, "refuses to take part 1 of");
    assert_eq!(storage.unfinished(), 0);
    kill_at(&storage, ours(), "^GET .*\\.backup\\?");
    let keys = storage.keys();
    let mut object = storage.object(&keys[0]);
    object[100] ^= 1;
    storage.put(&keys[0], &object);
    refused(&run(&mut ours()), 4, "did not keep");
    assert!(keys.len() == 1 && storage.keys().is_empty(), "{keys:?}");

    // Another ledger's backups are not taken for an older state of this one.
    run(&mut ours()).success();
    let latest = String::from_utf8(storage.object("etebar/east/latest")).expect("text");
    let id = cluster.id();
    let (first, rest) = id.split_at(1);
    let other = format!("{}{rest}", if first == "0" { "1" } else { "0" });
    storage.put("etebar/east/latest", latest.replace(&format!("\"{id}\""), &format!("\"{other}\"")).as_bytes());
    refused(&run(&mut ours()), 1, "has backups of ledger");
    assert_eq!(storage.unfinished(), 0);
}

#[test]
fn storage_is_trusted_by_its_own_authority() {
    if lacks(Need::Moto, "TLS to S3-compatible storage") {
        return;
    }
    let place = Folder::new("backup-s3-tls");
    let authority = Authority::new(place.path(), "ca");
    let files = ServerFiles::below(place.path(), "storage-tls");
    files.replace(&authority.server(&["127.0.0.1"]));
    let storage = Storage::start_tls(place.path(), &files.certificate, &files.key);
    let ask = |more: &[&str]| {
        let mut command = clean_command(&programs().client);
        command.args(["--json", "backup", "fetch", "s3://books/etebar"]).arg(place.path().join("fetched"));
        let url = format!("https://127.0.0.1:{}", storage.port());
        run(storage.with(&mut command).args(["--s3-endpoint", &url]).args(more))
    };
    refused(&ask(&[]), 3, "is not trusted");
    let ca = authority.file.display().to_string();
    refused(&ask(&["--s3-ca", &ca]), 1, "there is no bucket books at https://127.0.0.1:");
}
