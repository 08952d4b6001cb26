//! A data directory that is absent, foreign, damaged or in use is refused with what to do; so is a wrong setting, in one
//! line with exit code 2.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::Folder;
use tests::load::batches::charge_in_batches;
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::Turn;
use tests::operator::scripts::{Ended, run};
use tests::{Cluster, Plan};

/// The program, with paths of certificates that are not there: what is wrong with a data directory is reported first.
fn program() -> Command {
    let mut command = clean_command(&programs().node);
    command.envs(tests::cluster::pki::settings(Path::new("/nonexistent"), 1));
    command
}

/// Runs a node that must refuse; it says so in one line.
#[track_caller]
fn refused(data_dir: &Path, arguments: &[&str]) -> Ended {
    let ended = run(program().arg("run").arg("--data-dir").arg(data_dir).args(arguments));
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    ended
}

/// A cluster with some charges, whose nodes are ended in an orderly way.
fn ended_cluster(name: &str) -> Cluster {
    let cluster = Plan::new(name).start();
    let seller = cluster.seller_with(1_000_000);
    charge_in_batches(&cluster, &seller, 3, 1_000);
    for id in cluster.ids() {
        assert_eq!(cluster.node(id).terminate(std::time::Duration::from_secs(10)).code(), Some(0));
    }
    cluster
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Turns over a byte at every `step` of a file.
fn damage(file: &Path, step: usize) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(file).expect("the file opens");
    let length = file.metadata().expect("its length").len();
    for offset in (step as u64 / 2..length).step_by(step) {
        let mut byte = [0];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut byte)).expect("it is read");
        byte[0] ^= 0xFF;
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&byte)).expect("it is written");
    }
}

#[test]
fn an_absent_directory_is_a_refusal_and_not_an_empty_ledger() {
    let folder = Folder::new("absent");
    let absent = folder.path().join("nowhere");
    let ended = refused(&absent, &[]);
    assert!(ended.err.contains("init"), "it says what to do: {}", ended.err);
    assert!(!absent.exists(), "run never makes one");
    fs::create_dir(&absent).expect("a folder");
    refused(&absent, &[]);
    assert_eq!(fs::read_dir(&absent).expect("a folder").count(), 0, "nor fills an empty one");
}

#[test]
fn init_changes_no_directory_that_is_not_empty() {
    let cluster = Plan::new("init-again").init(Some(Turn::take()));
    let before = fs::read(cluster.node(1).data_dir.join("identity.json")).expect("an identity");
    let mut init = program();
    init.args([
        "init",
        "--id",
        "1",
        "--cluster-id",
        "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10",
        "--admin-key-hash",
        &"00".repeat(32),
    ]);
    init.args(["--member", "1=127.0.0.1:1/127.0.0.1:2", "--data-dir"]).arg(&cluster.node(1).data_dir);
    let ended = run(&mut init);
    assert!(matches!(ended.code, Some(1 | 2)) && ended.err.contains("not empty"), "{ended:?}");
    assert_eq!(fs::read(cluster.node(1).data_dir.join("identity.json")).expect("an identity"), before);
}

#[test]
fn a_directory_in_use_is_refused() {
    let cluster = Plan::new("in-use").start();
    let ended = refused(&cluster.node(1).data_dir, &["--api-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]);
    assert!(ended.err.contains("another process"), "{}", ended.err);
    assert!(cluster.node(1).runs());
    cluster.admin(1).get("/v1/sellers").expect(200);
}

#[test]
fn another_nodes_or_another_clusters_directory_is_refused() {
    let cluster = Plan::new("foreign").init(Some(Turn::take()));
    let other_id = refused(&cluster.node(1).data_dir, &["--id", "2"]);
    assert!(other_id.err.contains("belongs to"), "{}", other_id.err);
    let other_cluster = refused(&cluster.node(1).data_dir, &["--cluster-id", "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10"]);
    assert!(other_cluster.err.contains("belongs to"), "{}", other_cluster.err);
}

#[test]
fn a_damaged_identity_is_refused() {
    let cluster = Plan::new("identity").init(Some(Turn::take()));
    let identity = cluster.node(1).data_dir.join("identity.json");
    let text = fs::read_to_string(&identity).expect("an identity");
    for other in [text.replacen("\"node\": 1", "\"node\": 2", 1), text[..text.len() / 2].to_owned(), String::new()] {
        assert_ne!(other, text);
        fs::write(&identity, other).expect("it is written");
        let ended = refused(&cluster.node(1).data_dir, &[]);
        assert!(ended.err.contains("damaged"), "{}", ended.err);
    }
}

#[test]
fn a_directory_with_a_part_missing_is_refused() {
    let cluster = ended_cluster("part-missing");
    for part in ["log", "history"] {
        let (here, away) = (cluster.node(1).data_dir.join(part), cluster.folder().join(part));
        fs::rename(&here, &away).expect("it can be moved");
        let ended = refused(&cluster.node(1).data_dir, &[]);
        assert!(ended.err.contains("damaged") || ended.err.contains("missing"), "{}", ended.err);
        assert!(!here.exists(), "nothing is made in its place");
        fs::create_dir(&here).expect("an empty folder");
        refused(&cluster.node(1).data_dir, &[]);
        fs::remove_dir_all(&here).expect("what run may have left there");
        fs::rename(&away, &here).expect("it can be moved back");
    }
    cluster.start_all();
    tests::books::check(&cluster);
}

#[test]
fn damaged_data_is_never_served_as_if_it_were_whole() {
    let cluster = ended_cluster("damaged");
    let node = cluster.node(1);
    let kept = cluster.folder().join("kept");
    copy(&node.data_dir, &kept);
    for part in ["history", "log"] {
        fs::remove_dir_all(&node.data_dir).expect("it can be removed");
        copy(&kept, &node.data_dir);
        let files: Vec<_> =
            files_below(&node.data_dir.join(part)).into_iter().filter(|file| file.ends_with("db")).collect();
        assert!(!files.is_empty(), "{part} has a database");
        for file in &files {
            damage(file, 512);
        }
        let before: Vec<_> = files.iter().map(|file| file.metadata().expect("its length").len()).collect();
        node.launch();
        let status = node.wait_end(std::time::Duration::from_secs(30));
        assert_ne!(status.code(), Some(0), "{part}");
        assert!(
            files.iter().zip(before).all(|(file, length)| file.metadata().is_ok_and(|now| now.len() >= length)),
            "the data is kept"
        );
    }
    fs::remove_dir_all(&node.data_dir).expect("it can be removed");
    copy(&kept, &node.data_dir);
    cluster.start_all();
    tests::books::check(&cluster);
}

#[test]
fn a_node_whose_disk_was_wiped_does_not_rejoin_under_its_old_id() {
    let cluster = ended_cluster("wiped");
    let node = cluster.node(1);
    fs::remove_dir_all(&node.data_dir).expect("the disk is lost");
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(cluster.node(2).data_dir.join("identity.json")).expect("an identity"))
            .expect("JSON");
    let identity = &identity["identity"];
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let mut init = program();
    init.args(["init", "--id", "1", "--cluster-id", &text(&identity["cluster"])]);
    init.args(["--admin-key-hash", &text(&identity["genesis"]["admin_key_hash"])])
        .arg("--data-dir")
        .arg(&node.data_dir);
    for id in 1..=3_u64 {
        let addresses = &identity["members"][id.to_string()];
        init.args(["--member", &format!("{id}={}/{}", text(&addresses["api"]), text(&addresses["peer"]))]);
    }
    run(&mut init).success();
    cluster.node(2).launch();
    cluster.node(3).launch();
    cluster.wait_ready(&[2, 3]);
    node.launch();
    tests::eventually("the wiped node to end or to say that it is refused", || {
        !node.runs() || node.log_tail(50).contains("start node 1 with that one")
    });
    assert!(node.quick("/readyz").is_none_or(|answer| answer.status != 200), "it is not ready");
    let status = cluster.status(2).expect("the others continue");
    assert_eq!(status["members"][0]["applied"].as_u64().unwrap_or(0), 0, "{status}");
    assert_eq!(cluster.admin(2).list("/v1/sellers").len(), 1);
}

#[test]
fn a_wrong_setting_is_one_line_and_exit_2() {
    let cluster = Plan::new("settings").init(Some(Turn::take()));
    let file = cluster.folder().join("settings.toml");
    let data_dir = &cluster.node(1).data_dir;
    let mut wrong: Vec<Command> = [
        &["--log-bytes", "many"][..],
        &["--log-bytes", "1"],
        &["--heartbeat", "50"],
        &["--election-min", "400ms", "--election-max", "200ms"],
        &["--no-such-flag"],
        &["--api-listen", "nowhere"],
        &["--config", "/nonexistent.toml"],
        &["--body-bytes", "-1"],
    ]
    .map(|arguments| {
        let mut command = program();
        command.arg("run").arg("--data-dir").arg(data_dir).args(arguments);
        command
    })
    .into();
    let mut by_environment = program();
    by_environment.arg("run").arg("--data-dir").arg(data_dir).env("ETEBAR_REQUEST_TIMEOUT", "soon");
    wrong.push(by_environment);
    for text in ["log-bytes = \"many\"", "no-such-key = 1", "not toml"] {
        fs::write(&file, text).expect("a file");
        let ended = run(program().arg("run").arg("--data-dir").arg(data_dir).arg("--config").arg(&file));
        assert_wrong(&ended);
    }
    let mut no_verb = program();
    no_verb.arg("walk");
    wrong.push(no_verb);
    for (name, value) in [
        ("ETEBAR_PLACES", "5"),
        ("ETEBAR_CURRENCY", "toman"),
        ("ETEBAR_KEY_WINDOW", "x"),
        ("ETEBAR_KEYS_MAX", "0"),
        ("ETEBAR_ADMIN_KEY_HASH", "xy"),
    ] {
        let mut command = program();
        command.args([
            "init",
            "--id",
            "1",
            "--cluster-id",
            "6f2c1a52-0d8c-4c43-9d2b-0f3f3e0f9a10",
            "--member",
            "1=127.0.0.1:1/127.0.0.1:2",
        ]);
        command
            .arg("--data-dir")
            .arg(cluster.folder().join("never"))
            .env("ETEBAR_ADMIN_KEY_HASH", "00".repeat(32))
            .env(name, value);
        wrong.push(command);
    }
    for mut command in wrong {
        assert_wrong(&run(&mut command));
    }
    assert!(!cluster.folder().join("never").exists());
}

#[track_caller]
fn assert_wrong(ended: &Ended) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.err.trim_end().lines().count(), 1, "{}", ended.err);
}

#[test]
fn every_setting_of_run_is_in_its_help() {
    let help = run(program().args(["run", "--help"])).success();
    for setting in [
        "DATA_DIR",
        "CONFIG",
        "LOG_BYTES",
        "HEARTBEAT",
        "ELECTION_MIN",
        "ELECTION_MAX",
        "BODY_BYTES",
        "REQUEST_TIMEOUT",
        "HEAD_TIMEOUT",
        "WAITING_MAX",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "PEER_CA",
        "PEER_CERT",
        "PEER_KEY",
        "PEER_CRL",
    ] {
        assert!(help.contains(&format!("ETEBAR_{setting}")), "{setting}");
        assert!(help.contains(&format!("--{}", setting.to_lowercase().replace('_', "-"))), "{setting}");
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(status.success());
}

#[test]
fn the_version_shows_which_builds_are_compatible() {
    let version = run(program().arg("--version")).success();
    assert!(
        version.contains("(data format ") && version.contains(", peer link ") && version.contains(", rules "),
        "{version}"
    );
}

#[test]
fn settings_that_others_wrote_are_printed_on_one_harmless_line() {
    let folder = Folder::new("foreign-settings");
    let foreign = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{200b}c\nforged line\u{7f}";
    let file = folder.path().join(format!("{foreign}.toml"));
    fs::write(&file, format!("{:?} = 1\n", "\u{202e}name")).expect("a file");
    let file = file.to_str().expect("text");
    let wrong: [&[&str]; 7] = [
        &[foreign],
        &["run", foreign],
        &["run", "--data-dir", foreign],
        &["run", "--data-dir", "x", "--config", foreign],
        &["run", "--data-dir", "x", "--config", file],
        &["run", "--data-dir", "x", "--log-level", foreign],
        &["init", "--data-dir", foreign, "--id", foreign],
    ];
    for arguments in wrong {
        let ended = run(program().args(arguments));
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        let hidden = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{7f}'];
        assert!(!ended.err.contains(hidden) && !ended.out.contains(hidden), "{ended:?}");
        assert_eq!(ended.err.trim_end().lines().count(), 1, "{}", ended.err);
        assert!(ended.err.len() < 10_000);
    }
}
