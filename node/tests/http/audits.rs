//! `GET /v1/audit` before a node whose audit goes on in the background: at once, or once it covers an entry.

use std::time::{Duration, Instant};

use etebar_node::http::Limits;
use serde_json::{Value, json};

use super::kit::{ADMIN, Node};

/// What the audit says once it covers entry `entry`.
#[track_caller]
fn covering(node: &Node, entry: u64) -> Value {
    let reply = node.get(ADMIN, &format!("/v1/audit?min_entry={entry}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {value}"))
}

#[test]
fn an_audit_that_is_asked_to_cover_an_entry_does_so_while_charges_go_on() {
    let node = Node::start();
    let (_, key) = node.seller_with("shop", "10000");
    for at in 1..=40_u64 {
        let charged = node.charge(&key, &format!("k{at}"), "1").json();
        let entry = number(&charged, "entry");
        let audit = covering(&node, entry);
        assert_eq!(audit["consistent"], true, "{audit}");
        assert!(entry <= number(&audit, "entries") && number(&audit, "entries") <= number(&audit, "head"), "{audit}");
        assert_eq!(
            (&audit["charges"], &audit["phone_balances"], &audit["treasury"]),
            (&json!(format!("-{at}")), &json!(at.to_string()), &json!("-10000")),
            "{audit}"
        );
        let digest = node.get(ADMIN, &format!("/v1/cluster/digest?applied={}", audit["applied"])).json();
        assert_eq!(digest["digest"], audit["digest"], "{audit}");
    }
}

#[test]
fn an_audit_answers_at_once_and_says_what_is_the_newest_entry() {
    let node = Node::start();
    let (_, key) = node.seller_with("shop", "10000");
    node.charge(&key, "k", "1");
    let audit = node.get(ADMIN, "/v1/audit").json();
    assert_eq!(number(&audit, "head"), 2, "{audit}");
    assert!(number(&audit, "entries") <= 2, "{audit}");
    covering(&node, 2);
    let progress = node.get(ADMIN, "/v1/cluster").json();
    assert_eq!(progress["audited"], json!({ "entries": 2, "head": 2, "consistent": true }));
}

#[test]
fn the_cluster_shows_how_many_idempotency_keys_are_held() {
    let node = Node::start();
    let held = |held: u64, fullest: u64| json!({ "held": held, "max": 40_000_000, "fullest_share": fullest });
    let (_, one) = node.seller_with("one", "10000");
    let (_, other) = node.seller_with("other", "10000");
    let before = number(&node.get(ADMIN, "/v1/cluster").json()["keys"], "held");
    assert_eq!(node.get(ADMIN, "/v1/cluster").json()["keys"], held(before, 0), "admins' keys are no seller's");
    for at in 0..5 {
        assert_eq!(node.charge(&one, &format!("k{at}"), "1").status, 201);
    }
    assert_eq!(node.charge(&other, "k0", "1").status, 201);
    assert_eq!(node.charge(&other, "k0", "1").status, 201, "a replay takes no other key");
    assert_eq!(node.get(ADMIN, "/v1/cluster").json()["keys"], held(before + 6, 5));
}

#[test]
fn an_entry_that_is_not_audited_in_time_is_answered_with_behind() {
    let node = Node::with(&Limits { request: Duration::from_millis(300), ..Limits::default() }, 0);
    node.seller_with("shop", "10000");
    covering(&node, 1);
    let begun = Instant::now();
    let reply = node.get(ADMIN, "/v1/audit?min_entry=2");
    assert!(begun.elapsed() >= Duration::from_millis(250), "it waits for the entry");
    assert_eq!((reply.status, reply.code().as_str()), (503, "behind"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(reply.json()["detail"].as_str().unwrap().contains("has come to entry 1, and 2 is asked for"), "{reply:?}");
    assert_eq!(node.get(ADMIN, "/v1/audit?min_entry=-1").status, 400);
}

#[test]
fn the_journal_is_read_from_the_entry_that_is_asked_for() {
    let node = Node::start();
    let (_, key) = node.seller_with("shop", "10000");
    let item = |at: u64| json!({ "phone": "09123456789", "amount": 1, "idempotency_key": format!("k{at}") });
    let charges: Vec<_> = (2..=200).map(item).collect();
    assert_eq!(node.post(&key, "/v1/charges/batch", "", &json!({ "charges": charges })).status, 200);
    for from in [0, 1, 2, 63, 64, 65, 129, 199, 200, 201] {
        let (mut after, mut found) = (String::new(), Vec::new());
        loop {
            let page = node.get(ADMIN, &format!("/v1/journal?limit=70&from_entry={from}{after}")).json();
            found.extend(page["items"].as_array().unwrap().iter().map(|entry| number(entry, "entry")));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found, (from.max(1)..=200).collect::<Vec<_>>(), "from {from}");
    }
    let page = node.get(ADMIN, "/v1/journal?limit=70&from_entry=5").json();
    let of_another = node.get(ADMIN, &format!("/v1/journal?from_entry=6&after={}", page["next"].as_str().unwrap()));
    assert_eq!(of_another.status, 400, "a cursor carries its filter");
}
