//! A day in the back office with the program `etebar`: requests are reviewed, statements taken, nodes watched.

use std::process::Output;

use serde_json::Value;
use tests::api::caller::{number, phone, unique};
use tests::machine::needs::{Need, lacks};
use tests::machine::programs::{clean_command, programs};
use tests::operator::tmux::Tmux;
use tests::{Cluster, Plan};

fn cluster() -> &'static Cluster {
    Plan::new("daily-work").shared()
}

fn etebar(cluster: &Cluster, key: &str, arguments: &[&str]) -> Output {
    let mut command = clean_command(&programs().client);
    command.args(arguments).env("ETEBAR_SERVER", cluster.servers()).env("ETEBAR_KEY", key);
    command.output().expect("etebar starts")
}

/// The admin at a terminal, with the program under `$etebar`.
fn back_office(cluster: &Cluster) -> Tmux {
    let (servers, program) = (cluster.servers(), programs().client.display().to_string());
    let settings = [("ETEBAR_SERVER", servers.as_str()), ("ETEBAR_KEY", &cluster.admin_key), ("etebar", &program)];
    Tmux::start((110, 45), &settings)
}

#[test]
fn a_review_decides_what_was_decided_and_nothing_else() {
    if lacks(Need::Tmux, "a verb on a terminal") {
        return;
    }
    let seller = cluster().seller_with(500_000);
    let own = cluster().seller(1, &seller);
    let (first, second) = (own.request_credit(1_000_000), own.request_credit(2_000_000));
    let terminal = back_office(cluster());
    terminal.command("$etebar credit-requests review; echo \"exit=$?\"");
    terminal.wait_until("the first request", |screen| screen.contains(&first) && screen.trim_end().ends_with("help >"));
    terminal.keys(&["a"]);
    terminal.wait_for("credit 1,000,000 to");
    terminal.keys(&["Enter"]);
    let screen = terminal
        .wait_until("the second request", |screen| screen.contains(&second) && screen.trim_end().ends_with("help >"));
    assert!(screen.contains("approved: 1,000,000 credited, balance 1,500,000"), "{screen}");
    assert!(screen.contains("3,500,000"), "what a second approval would lead to: {screen}");
    let third = own.request_credit(7);
    terminal.keys(&["r"]);
    terminal.wait_for("reason, which");
    terminal.text("over the limit");
    terminal.keys(&["Enter"]);
    terminal.wait_until("what came meanwhile", |screen| screen.contains(&third) && screen.contains("1 more came"));
    terminal.keys(&["s"]);
    terminal.wait_for("approved 1 (1,000,000), rejected 1, skipped 1");
    terminal.wait_for("exit=0");

    let request = |id: &str| cluster().admin(2).get(&format!("/v1/credit-requests/{id}")).expect(200).json();
    assert_eq!(request(&first)["status"], "approved");
    let rejected = request(&second);
    assert_eq!((&rejected["status"], &rejected["reason"]), (&"rejected".into(), &"over the limit".into()));
    assert_eq!(request(&third)["status"], "pending");
    assert_eq!(cluster().admin(3).balance(&seller.id), 1_500_000);
    let entries = cluster().admin(3).list(&format!("/v1/sellers/{}/entries", seller.id));
    let amounts: Vec<i64> = entries.iter().map(|entry| number(&entry["amount"])).collect();
    assert_eq!(amounts, [500_000, 1_000_000], "the first credit, and the one that was approved");
}

#[test]
fn a_statement_as_csv_adds_up_to_the_balance() {
    let seller = cluster().seller_with(1_000_000);
    let own = cluster().seller(2, &seller);
    for count in 0..120 {
        own.charge(&unique("sale"), &phone(count), 1_000).expect(201);
    }
    let output = etebar(cluster(), &seller.key, &["statement", "--all", "--format", "csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("CSV is UTF-8");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let column = |name: &str| head.iter().position(|column| *column == name).expect("its column");
    let (amount, balance) = (column("amount"), column("balance"));
    let mut sum = 0;
    for line in lines {
        sum += line[amount].parse::<i64>().expect("a plain amount");
        assert_eq!(line[balance].parse::<i64>().ok(), Some(sum), "the running balance is the sum so far: {line:?}");
    }
    assert_eq!(text.lines().count(), 122, "a head, the credit, and every charge");
    assert_eq!((sum, cluster().admin(1).balance(&seller.id)), (880_000, 880_000));
}

/// What the table of `watch` shows of a node: its role and its state.
fn shown(screen: &str, node: u64) -> Option<(String, String)> {
    let mut rows = screen.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.len() >= 8 && row[0] == node.to_string() && row[1].starts_with("127."))?;
    Some((row[2].to_owned(), row[3].to_owned()))
}

#[test]
fn a_watch_shows_a_killed_node_as_down_and_its_return() {
    if lacks(Need::Tmux, "a verb on a terminal") {
        return;
    }
    let cluster = Plan::new("watch").start();
    let terminal = back_office(&cluster);
    terminal.command("$etebar watch; echo \"exit=$?\"");
    let all_healthy = |screen: &str| {
        screen.contains("3 digests agree")
            && (1..=3).all(|node| shown(screen, node).is_some_and(|(_, state)| state == "healthy"))
    };
    terminal.wait_until("three healthy nodes", all_healthy);
    let old = cluster.leader();
    cluster.node(old).kill();
    let leads = |screen: &str, node| shown(screen, node).is_some_and(|(role, _)| role == "leader");
    terminal.wait_until("a killed leader, and another", |screen| {
        shown(screen, old).is_some_and(|(_, state)| state == "down")
            && (1..=3).any(|node| node != old && leads(screen, node))
            && screen.contains("2 digests agree")
    });
    cluster.start_ready(old);
    terminal.wait_until("its return", all_healthy);
    terminal.keys(&["q"]);
    terminal.wait_for("exit=0");
    let look = etebar(&cluster, &cluster.admin_key, &["watch", "--json", "--count", "1", "--interval", "10s"]);
    let sight: Value = serde_json::from_slice(&look.stdout).expect("a look is an object");
    assert_eq!((&sight["agree"], sight["members"].as_array().map(Vec::len)), (&true.into(), Some(3)), "{sight}");
}
