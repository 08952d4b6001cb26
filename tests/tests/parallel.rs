//! Heavy load from several processes with many tasks each, over all nodes, while nodes die: the programs `etebar
//! load`, `prove`, `verify` and `bench`, as an operator would use them.

use std::path::PathBuf;

use serde_json::Value;
use tests::machine::turns::alone;
use tests::operator::scripts::{Ended, etebar, run};
use tests::{Cluster, Plan, books, eventually};

fn json(ended: Ended) -> Value {
    let text = ended.success();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Several processes of `etebar load`, each with its record.
fn loads(cluster: &Cluster, processes: usize, seconds: u64) -> Vec<(std::process::Child, PathBuf)> {
    let sellers = cluster.folder().join("sellers");
    run(etebar(cluster).args(["load", "--prepare", "8", "--sellers-file"]).arg(&sellers)).success();
    (0..processes)
        .map(|process| {
            let record = cluster.folder().join(format!("record-{process}"));
            let mut command = etebar(cluster);
            command.args(["--json", "load", "--connections", "24", "--seconds", &seconds.to_string()]);
            command
                .arg("--processes-tag")
                .arg(process.to_string())
                .arg("--sellers-file")
                .arg(&sellers)
                .arg("--record")
                .arg(&record);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            (command.spawn().expect("etebar starts"), record)
        })
        .collect()
}

/// How many answers all loads have written down so far: a line each.
fn answers(loads: &[(std::process::Child, PathBuf)]) -> usize {
    // A record is there from its first answer on.
    let records = loads.iter().filter_map(|(_, record)| std::fs::read(record).ok());
    records.map(|record| record.split(|byte| *byte == b'\n').count() - 1).sum()
}

#[test]
fn heavy_load_from_several_processes_while_leaders_are_killed_leaves_exact_books() {
    let _alone = alone();
    let cluster = Plan::new("parallel").start();
    let running = loads(&cluster, 4, 12);
    for _ in 0..2 {
        let before = answers(&running);
        eventually("charges to go through", || answers(&running) > before + 1_000);
        let leader = cluster.leader();
        cluster.node(leader).kill();
        cluster.leader_after(leader);
        cluster.start_ready(leader);
    }
    let mut records = Vec::new();
    for (child, record) in running {
        let report = json(child.wait_with_output().expect("it ends").into());
        assert!(report["acknowledged"].as_u64().is_some_and(|count| count > 500), "enough happened: {report}");
        assert_eq!(report["unanswered"], 0, "{report}");
        records.push(record);
    }
    let proof = json(run(etebar(&cluster).args(["--json", "--timeout", "60s", "prove", "--record"]).args(&records)));
    for nothing in ["lost", "doubled", "negative", "unanswered", "refused"] {
        assert_eq!(proof[nothing], 0, "{proof}");
    }
    for all in ["sums_equal", "digests_equal"] {
        assert_eq!(proof[all], true, "{proof}");
    }
    assert!(proof["acknowledged"].as_u64().is_some_and(|count| count > 2_000), "{proof}");
    assert!(proof["replayed"].as_u64().is_some_and(|count| count > 0), "{proof}");
    assert_eq!(proof["nodes"], 3);
    let verified = json(run(etebar(&cluster).args(["--json", "verify"])));
    assert_eq!(verified["verdict"], "kept", "{verified}");
    books::check(&cluster);
}

#[test]
fn prove_finds_a_charge_that_was_recorded_and_is_not_there() {
    let _alone = alone();
    let cluster = Plan::new("prove-red").start();
    let (child, record) = loads(&cluster, 1, 1).remove(0);
    json(child.wait_with_output().expect("it ends").into());
    let text = std::fs::read_to_string(&record).expect("a record");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let sold = lines.iter().position(|line| line["status"] == 201 && line["replayed"] == false).expect("a charge");
    lines[sold]["charge"] = Value::from("00000000-0000-8000-8000-000000000000");
    lines[sold]["key"] = Value::from("invented");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&record, lines.join("\n") + "\n").expect("it is written");
    let ended = run(etebar(&cluster).args(["--json", "prove", "--record"]).arg(&record));
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    let proof: Value = serde_json::from_str(&ended.out).expect("JSON all the same");
    assert_eq!(proof["lost"], 1, "{proof}");
}

#[test]
fn bench_reports_all_that_the_contract_names_and_leaves_exact_books() {
    let _alone = alone();
    let cluster = Plan::new("bench").start();
    for (batch, target) in [("1", "leader"), ("1", "follower"), ("100", "any")] {
        let arguments = [
            "--json",
            "bench",
            "--seconds",
            "2",
            "--connections",
            "16",
            "--sellers",
            "10",
            "--batch",
            batch,
            "--target",
            target,
        ];
        let report = json(run(etebar(&cluster).args(arguments)));
        for name in [
            "charges_per_second",
            "requests_per_second",
            "p50_ms",
            "p99_ms",
            "p999_ms",
            "max_ms",
            "accepted",
            "refused",
            "errors",
            "retried",
        ] {
            assert!(report[name].is_number(), "{name} in {report}");
        }
        assert_eq!(report["books_exact"], true, "{report}");
        assert_eq!(report["errors"], 0, "{report}");
        assert!(report["accepted"].as_u64().is_some_and(|count| count > 100), "{report}");
    }
    let open = ["--json", "bench", "--seconds", "2", "--connections", "16", "--sellers", "10", "--warm-up", "1"];
    let open = open.into_iter().chain(["--rate", "200", "--reads", "50", "--processes", "2", "--target", "any"]);
    let report = json(run(etebar(&cluster).args(open)));
    let counted = |name: &str| report[name].as_u64().expect("a count");
    assert_eq!(counted("accepted") + counted("reads") + counted("unsent"), 400, "{report}");
    assert!(counted("reads") > 0 && report["books_exact"] == true, "{report}");
    let reads = ["--json", "bench", "--seconds", "1", "--connections", "8", "--sellers", "2", "--reads", "100"];
    let report = json(run(etebar(&cluster).args(reads)));
    assert!(report["reads_per_second"].as_f64().is_some_and(|rate| rate > 100.0), "{report}");
    assert_eq!((&report["accepted"], &report["books_exact"]), (&Value::from(0), &Value::from(true)), "{report}");
    books::check(&cluster);
}

#[test]
fn the_client_exits_as_the_contract_says() {
    let cluster = Plan::new("exit-codes").start();
    let codes = |arguments: &[&str]| run(etebar(&cluster).args(arguments)).code;
    assert_eq!(codes(&["sellers", "list"]), Some(0));
    assert_eq!(codes(&["sellers", "show", "00000000-0000-8000-8000-000000000000"]), Some(1));
    assert_eq!(codes(&["sellers", "dance"]), Some(2));
    let unreachable =
        run(etebar(&cluster).env("ETEBAR_SERVER", "http://127.0.0.1:9").args(["--timeout", "1s", "sellers", "list"]));
    assert_eq!(unreachable.code, Some(3), "{}", unreachable.err);
    cluster.node(1).kill();
    assert_eq!(codes(&["sellers", "create", "Kiosk"]), Some(0), "another server is asked");
}
