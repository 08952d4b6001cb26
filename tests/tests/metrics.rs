//! What operators see: the metrics of live nodes, and the files of `deploy/` that read them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tests::api::caller::{phone, unique};
use tests::api::http::{ANSWER_WAIT, Connection, Request};
use tests::cluster::Cluster;
use tests::cluster::plan::Plan;
use tests::load::Load;
use tests::machine::needs::{Need, lacks};
use tests::machine::programs;
use tests::operator::prometheus::{Prometheus, promtool};
use tests::wait::{self, eventually, until};

/// The value of a sample, `name` with its labels as they are written, in what that node shows; `None` where it is absent.
fn metric(cluster: &Cluster, node: u64, name: &str) -> Option<f64> {
    let answer = Request::get("/metrics").send(cluster.ops(node)).expect("an operator is answered").expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn of_repository(path: &str) -> PathBuf {
    programs::root().join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(of_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_node_counts_what_was_sold_and_refused() {
    let cluster = Plan::new("metrics-count").start();
    let seller = cluster.seller_with(50_000);
    let asked = cluster.followers()[0];
    let caller = cluster.seller(asked, &seller);
    for count in 0..10 {
        caller.charge(&unique("sold"), &phone(count), 1_000).expect(201);
    }
    let too_much = unique("too-much");
    caller.charge(&too_much, &phone(1), 1_000_000).expect(409);
    let replay = caller.charge(&too_much, &phone(1), 1_000_000).expect(409);
    assert!(replay.replayed());
    for id in cluster.ids() {
        let is = |name: &str, value: f64| metric(&cluster, id, name) == Some(value);
        // The audit comes after the state.
        eventually(&format!("node {id} to apply and audit all"), || {
            let applied = metric(&cluster, id, "etebar_applied_position").unwrap_or(0.0);
            applied >= replay.applied() as f64 && is("etebar_audit_lag_records", 0.0)
        });
        for (name, value) in [
            ("etebar_charges_accepted_total", 10.0),
            ("etebar_credit_requests_approved_total", 1.0),
            ("etebar_refusals_total{code=\"insufficient_credit\"}", 1.0),
            ("etebar_refusals_total{code=\"seller_suspended\"}", 0.0),
            ("etebar_replays_total", 1.0),
            ("etebar_journal_entries", 11.0),
            ("etebar_has_leader", 1.0),
            ("etebar_digests_equal", 1.0),
            ("etebar_audit_consistent", 1.0),
            ("etebar_members{role=\"voter\"}", 3.0),
            ("etebar_commands_waiting", 0.0),
        ] {
            assert_eq!(metric(&cluster, id, name), Some(value), "{name} of node {id}");
        }
        eventually(&format!("node {id} to know all voters"), || is("etebar_spare_voters", 1.0));
        let peer = cluster.ids().into_iter().find(|other| *other != id).expect("a peer");
        let round_trips = format!("etebar_peer_round_trip_seconds_count{{peer=\"{peer}\"}}");
        assert!(metric(&cluster, id, &round_trips).is_some_and(|count| count > 0.0), "node {id}");
        for counted in ["etebar_log_sync_duration_seconds_count", "etebar_apply_duration_seconds_count"] {
            assert!(metric(&cluster, id, counted).is_some_and(|count| count >= 10.0), "{counted} of node {id}");
        }
        let leads = metric(&cluster, id, "etebar_is_leader") == Some(1.0);
        assert_eq!(leads, cluster.leader() == id, "node {id}");
    }
    let answered = metric(&cluster, asked, "etebar_http_requests_total{class=\"2xx\"}");
    assert!(answered.is_some_and(|count| count >= 10.0), "{answered:?}");
    assert!(metric(&cluster, asked, "etebar_http_requests_total{class=\"4xx\"}").is_some_and(|count| count >= 2.0));
}

#[test]
fn a_dead_majority_is_seen_by_who_is_left() {
    let cluster = Plan::new("metrics-majority").start();
    let left = cluster.followers()[0];
    let seen = metric(&cluster, left, "etebar_leader_changes_seen_total").expect("it is shown");
    assert!(seen >= 1.0, "{seen}");
    let seller = cluster.seller_with(10_000);
    cluster.ids().into_iter().filter(|id| *id != left).for_each(|id| cluster.node(id).kill());
    eventually("the leader to be gone", || {
        metric(&cluster, left, "etebar_has_leader") == Some(0.0)
            && metric(&cluster, left, "etebar_spare_voters") == Some(-1.0)
    });
    cluster.seller(left, &seller).charge(&unique("nobody"), &phone(1), 1_000).expect(503);
    let failed = metric(&cluster, left, "etebar_proposals_failed_total{reason=\"no_leader\"}");
    assert!(failed.is_some_and(|count| count >= 1.0), "{failed:?}");
    assert_eq!(Request::get("/livez").send(cluster.ops(left)).expect("an answer").status, 200, "alive");
    assert_eq!(Request::get("/readyz").send(cluster.ops(left)).expect("an answer").status, 503, "not ready");
}

#[test]
fn a_node_whose_api_is_full_is_observed_all_the_same() {
    let full = [("ETEBAR_CONNECTIONS_MAX", "2"), ("ETEBAR_CONNECTIONS_PER_ADDRESS", "2")];
    let plan =
        full.into_iter().fold(Plan::new("metrics-full").nodes(1), |plan, (name, value)| plan.setting(name, value));
    let cluster = plan.start();
    let hold = || {
        let mut connection = Connection::open(cluster.address(1), ANSWER_WAIT).ok()?;
        connection.send(&Request::get("/livez")).ok().filter(|answer| answer.status == 200)?;
        Some(connection)
    };
    // Those that the kit waited with may be closing still.
    let held: Vec<Connection> = (0..2).map(|_| until(wait::PATIENCE, "a slot", hold)).collect();
    assert_eq!(Request::get("/livez").send(cluster.address(1)).expect("it is turned away").status, 503);
    for path in ["/livez", "/readyz"] {
        let answer = Request::get(path).send(cluster.ops(1)).expect("an operator is answered").expect(200);
        assert_eq!(answer.header("Etebar-Node"), Some("1"), "{path}");
    }
    assert_eq!(metric(&cluster, 1, "etebar_http_connections"), Some(2.0));
    assert_eq!(metric(&cluster, 1, "etebar_http_connections_max"), Some(2.0));
    assert!(metric(&cluster, 1, "etebar_http_connections_turned_away_total").is_some_and(|count| count >= 1.0));
    assert_eq!(Request::get("/v1/cluster").send(cluster.ops(1)).expect("an answer").status, 404, "no API is there");
    assert_eq!(Request::post("/metrics").send(cluster.ops(1)).expect("an answer").status, 405);
    drop(held);
}

/// The expressions of the alerts, by their names.
fn alerts() -> Vec<(String, String)> {
    let rules = text("deploy/prometheus/alerts.yml");
    let after = |prefix: &str| -> Vec<String> {
        rules.lines().filter_map(|line| line.trim_start().strip_prefix(prefix)).map(str::to_owned).collect()
    };
    let (names, expressions) = (after("- alert: "), after("expr: "));
    assert!(names.len() > 20 && names.len() == expressions.len(), "{names:?}");
    names.into_iter().zip(expressions).collect()
}

/// The expressions of the dashboard's panels, by their titles, as they are asked for that job.
fn panels(job: &str) -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/etebar.json")).expect("the dashboard is JSON");
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().expect("an expression");
            let asked = expression.replace("$__rate_interval", "1m").replace("$job", job);
            found.push((panel["title"].as_str().expect("a title").to_owned(), asked));
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

/// The same comparison with a result whether it holds or not.
fn as_bool(expression: &str) -> String {
    let words = expression.split(' ').map(|word| match word {
        "==" | "!=" | "<" | ">" | "<=" | ">=" => format!("{word} bool"),
        other => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_expression_of_dashboard_and_alerts_gives_a_sample_on_a_live_cluster() {
    if lacks(Need::Prometheus, "dashboard and alerts against a live cluster") {
        return;
    }
    let cluster = Plan::new("metrics-prometheus").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(10_000_000)).collect();
    let targets: Vec<_> = cluster.ids().into_iter().map(|id| cluster.ops(id)).collect();
    let rules = of_repository("deploy/prometheus/alerts.yml");
    let server = Prometheus::start(cluster.folder(), cluster.spare_port(), &targets, &rules);
    let load = Load::start(&cluster, &sellers, 4, 16);
    until(wait::PATIENCE, "all nodes to be scraped", || (server.healthy_targets() == targets.len()).then_some(()));
    load.wait_for_more(500);
    let panels = panels("etebar").into_iter();
    let comparisons = alerts().into_iter().map(|(name, expression)| (name, as_bool(&expression)));
    for (what, expression) in panels.chain(comparisons) {
        // A rate needs two scrapes.
        until(wait::PATIENCE, &format!("a sample of {what}: {expression}"), || {
            (!server.samples(&expression).is_empty()).then_some(())
        });
    }
    // The machine's own disk may be nearly full, so warnings are not compared.
    let firing = server.samples("ALERTS{severity=\"critical\"}");
    assert!(firing.is_empty(), "on a healthy cluster: {firing:?}");
    load.finish();
}

#[test]
fn the_alerts_fire_on_what_they_are_for_and_the_runbook_has_each() {
    let runbook = text("docs/runbook.md");
    let tested = text("deploy/prometheus/alerts.test.yml");
    for (alert, _) in alerts() {
        assert!(runbook.contains(&format!("## {alert}\n")), "{alert} has no section in docs/runbook.md");
        assert!(tested.contains(&format!("alertname: {alert}\n")), "{alert} is not tested");
    }
    if lacks(Need::Prometheus, "the alerts by promtool") {
        return;
    }
    let file = |path: &str| of_repository(path).display().to_string();
    promtool(&["check", "config", &file("deploy/prometheus/prometheus.yml")]);
    promtool(&["test", "rules", &file("deploy/prometheus/alerts.test.yml")]);
}

/// Measured on two cores with charges under way: a scrape took 1 to 3 ms in the median.
#[test]
fn a_scrape_takes_little_time_under_load() {
    let cluster = Plan::new("metrics-scrape").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(10_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 4, 7);
    load.wait_for_more(200);
    let mut connection = Connection::open(cluster.ops(cluster.leader()), ANSWER_WAIT).expect("operators are served");
    let mut took: Vec<Duration> = (0..21)
        .map(|_| {
            let begun = std::time::Instant::now();
            connection.send(&Request::get("/metrics")).expect("an answer").expect(200);
            begun.elapsed()
        })
        .collect();
    load.finish();
    took.sort_unstable();
    eprintln!("a scrape took {:?} in the median, {:?} at most", took[10], took[20]);
    assert!(took[10] < Duration::from_millis(20), "{took:?}");
}
