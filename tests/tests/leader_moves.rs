//! Leadership that an operator moves: no charge fails for it, and charges stop for a moment only.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::machine::programs::{clean_command, programs};
use tests::machine::turns::alone;
use tests::{Cluster, Load, Plan, books};

fn etebar(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = clean_command(&programs().client);
    command.args(arguments).env("ETEBAR_SERVER", cluster.servers()).env("ETEBAR_KEY", &cluster.admin_key);
    command.output().expect("etebar starts")
}

#[test]
fn leadership_moves_round_all_nodes_under_load_and_no_charge_fails() {
    let _alone = alone();
    let cluster = Plan::new("move-leader").start();
    let sellers: Vec<_> = (0..4).map(|_| cluster.seller_with(1_000_000)).collect();
    let load = Load::start(&cluster, &sellers, 8, 21);
    load.wait_for_more(200);
    let began = Instant::now();
    for round in 0..6 {
        let to = cluster.leader() % 3 + 1;
        let asked = cluster.admin(1 + round % 3);
        let answer = asked.post("/v1/cluster/leader", &json!({ "id": to })).expect(200).json();
        assert_eq!(answer["leader"], to, "{answer}");
        assert_eq!(cluster.leader(), to);
        load.wait_for_more(200);
    }
    let ended = Instant::now();
    let result = load.finish();
    let mut accepted: Vec<Instant> = result.acknowledged().map(|settled| settled.at).collect();
    accepted.retain(|at| (began..ended).contains(at));
    accepted.sort_unstable();
    let gap = accepted.windows(2).map(|pair| pair[1] - pair[0]).max().expect("charges were accepted");
    let slowest = result.acknowledged().map(|settled| settled.took).max().unwrap_or_default();
    let retried = result.settled.iter().filter(|settled| settled.attempts > 1).count();
    eprintln!(
        "6 hand-overs, {} charges meanwhile: longest gap {gap:?}, slowest charge {slowest:?}, {retried} sent again",
        accepted.len()
    );
    assert!(gap < Duration::from_secs(3), "{gap:?} without a charge");
    assert!(result.settled.iter().all(|settled| settled.answer.status == 201), "the sellers have the credit");
    books::prove(&cluster, &result);
}

#[test]
fn the_program_has_a_member_lead_and_says_why_one_cannot() {
    let cluster = Plan::new("leader-verb").start();
    let leader = cluster.leader();
    let (to, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    for _again in 0..2 {
        let moved = etebar(&cluster, &["leader", &to.to_string()]);
        let said = String::from_utf8_lossy(&moved.stdout);
        assert_eq!(moved.status.code(), Some(0), "{}", String::from_utf8_lossy(&moved.stderr));
        assert!(said.starts_with(&format!("leader {to}, term")), "{said}");
        assert_eq!(cluster.leader(), to);
    }
    cluster.node(other).kill();
    let refused = etebar(&cluster, &["--timeout", "20s", "leader", &other.to_string()]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.starts_with("etebar: cannot_lead: ") && said.contains("start it"), "{said}");
    let unknown = etebar(&cluster, &["leader", "9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(cluster.leader(), to, "refusals change nothing");
}
