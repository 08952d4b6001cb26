//! Roles with less than all rights, keys that end and are rotated, four eyes, and the journal of acts.

use std::time::Duration;

use serde_json::{Value, json};
use tests::api::caller::{Caller, id_of, phone, unique};
use tests::operator::scripts::{etebar, run};
use tests::wait::{eventually, let_pass};
use tests::{Cluster, Plan, Request};

fn cluster() -> &'static Cluster {
    Plan::new("roles").shared()
}

/// A key with more than a role, made by the admin at node 1: its secret and its id.
fn new_key(body: &Value) -> (String, String) {
    let made = cluster().admin(1).post("/v1/keys", body).expect(201).json();
    (made["key"].as_str().expect("a secret").into(), made["id"].as_str().expect("an id").into())
}

/// An instant of ledger time so long from now, as RFC 3339.
fn after(span: Duration) -> String {
    let body = json!({"name": unique("clock")});
    let made = cluster().admin(1).post("/v1/sellers", &body).expect(201).json();
    let now = humantime::parse_rfc3339(made["created_at"].as_str().expect("a time")).expect("RFC 3339");
    humantime::format_rfc3339_millis(now + span).to_string()
}

/// Files a request of so much for a seller.
fn ask_for(caller: &Caller, seller: &str, amount: u64) -> tests::Response {
    let body = json!({"amount": amount.to_string(), "seller_id": seller});
    caller.post_keyed("/v1/credit-requests", &unique("for"), &body)
}

fn approve(caller: &Caller, request: &str) -> tests::Response {
    caller.send(&Request::post(format!("/v1/credit-requests/{request}/approve")))
}

#[test]
fn an_approver_reads_all_and_decides_up_to_its_limit() {
    let seller = cluster().seller_with(100);
    let body = json!({"role": "approver", "name": unique("approver"), "limit": "500"});
    let made = cluster().admin(1).post("/v1/keys", &body).expect(201).json();
    assert_eq!((&made["role"], &made["limit"]), (&json!("approver"), &json!("500")));
    let approver = cluster().caller(2, made["key"].as_str().expect("a secret"));
    let own = cluster().seller(3, &seller);
    let (small, large) = (own.request_credit(500), own.request_credit(501));
    approve(&approver, &small).expect(200);
    let refused = approve(&approver, &large);
    assert_eq!(refused.refusal(), (403, "forbidden".into()));
    assert!(refused.text().contains("limit"), "{}", refused.text());
    approve(&cluster().admin(3), &large).expect(200);
    assert_eq!(approver.balance(&seller.id), 1_101);
    approver.get(&format!("/v1/sellers/{}/entries", seller.id)).expect(200);
    approver.get("/v1/audit").expect(200);
    for (path, body) in [
        ("/v1/sellers".to_owned(), json!({"name": unique("shop")})),
        (format!("/v1/sellers/{}/adjustments", seller.id), json!({"amount": "5", "reason": "r"})),
        ("/v1/charges".to_owned(), json!({"phone": phone(1), "amount": "1"})),
        ("/v1/cluster/leader".to_owned(), json!({"id": 1})),
        ("/v1/keys".to_owned(), body),
        ("/v1/policy".to_owned(), json!({"four_eyes": false})),
    ] {
        assert_eq!(approver.post_keyed(&path, &unique("k"), &body).refusal(), (403, "forbidden".into()), "{path}");
    }
    assert_eq!(approver.get("/v1/acts").status, 403);
    assert_eq!(approver.get("/v1/keys").status, 403);
}

#[test]
fn an_operator_sees_the_cluster_and_no_money() {
    let seller = cluster().seller_with(100);
    let (key, _) = new_key(&json!({"role": "operator", "name": unique("ops")}));
    let operator = cluster().caller(2, &key);
    for path in ["/v1/cluster", "/v1/cluster/digest", "/v1/audit"] {
        operator.get(path).expect(200);
    }
    let leader = cluster().leader();
    operator.post("/v1/cluster/leader", &json!({"id": leader})).expect(200);
    let own = |path: &str| path.replace("{id}", &seller.id);
    for path in [
        "/v1/sellers",
        "/v1/sellers/{id}",
        "/v1/sellers/{id}/entries",
        "/v1/sellers/{id}/reconciliation",
        "/v1/credit-requests",
        "/v1/charges",
        "/v1/charges?phone=%2B989120000001",
        "/v1/phones/%2B989120000001",
        "/v1/journal",
        "/v1/keys",
        "/v1/acts",
        "/v1/policy",
    ] {
        assert_eq!(operator.get(&own(path)).status, 403, "{path}");
    }
    assert_eq!(ask_for(&operator, &seller.id, 5).status, 403);
}

#[test]
fn a_key_is_refused_from_its_end_on_at_every_node() {
    let seller = cluster().seller_with(1_000);
    let name = unique("guest");
    let end = Duration::from_secs(3);
    let body = json!({"role": "seller", "name": name, "seller_id": seller.id, "expires_at": after(end)});
    let (key, _) = new_key(&body);
    for node in 1..=3 {
        cluster().caller(node, &key).charge(&unique("sale"), &phone(1), 1).expect(201);
    }
    let_pass(end);
    for node in 1..=3 {
        let caller = cluster().caller(node, &key);
        eventually("the key to end", || caller.get("/v1/sellers/me").status == 401);
        let charged = caller.charge(&unique("sale"), &phone(1), 1);
        assert_eq!(charged.refusal(), (401, "unauthenticated".into()));
        assert!(charged.text().contains("expired"), "{}", charged.text());
    }
    assert!(cluster().admin(1).list("/v1/keys").iter().all(|key| key["name"] != json!(name)));
    // Its name is free.
    new_key(&json!({"role": "auditor", "name": name}));
    let late = json!({"role": "auditor", "name": unique("late"), "expires_at": "2020-01-01T00:00:00Z"});
    assert_eq!(cluster().admin(1).post("/v1/keys", &late).refusal(), (400, "invalid_request".into()));
}

#[test]
fn a_rotated_key_has_two_secrets_for_its_overlap() {
    let seller = cluster().seller_with(1_000);
    let (old, id) = cluster().admin(1).new_key("seller", Some(&seller.id));
    let path = format!("/v1/keys/{id}/rotate");
    let key = unique("rotation");
    let rotated = cluster().admin(2).post_keyed(&path, &key, &json!({"overlap_seconds": 3})).expect(201);
    let new = rotated.json()["key"].as_str().expect("a secret").to_owned();
    assert_eq!(rotated.json()["replaces"], json!(id));
    let again = cluster().admin(3).post_keyed(&path, &key, &json!({"overlap_seconds": 3})).expect(201);
    assert_eq!((&again.json()["key"], again.header("Idempotency-Replayed")), (&Value::Null, Some("true")));
    assert_eq!(again.json()["id"], rotated.json()["id"]);
    let used = unique("sale");
    cluster().caller(1, &old).charge(&used, &phone(1), 1).expect(201);
    let replay = cluster().caller(2, &new).charge(&used, &phone(1), 1).expect(201);
    assert_eq!(replay.header("Idempotency-Replayed"), Some("true"), "both are the same seller's");
    for node in 1..=3 {
        eventually("the old secret to end", || cluster().caller(node, &old).get("/v1/sellers/me").status == 401);
        cluster().caller(node, &new).get("/v1/sellers/me").expect(200);
    }
    assert_eq!(cluster().admin(1).post(&path, &json!({})).refusal(), (404, "not_found".into()));
}

#[test]
fn under_four_eyes_credit_takes_two() {
    let cluster = Plan::new("four-eyes").start();
    let admin = cluster.admin(1);
    let approver = cluster.caller(2, &admin.new_key("approver", None).0);
    let seller = cluster.seller_with(100);
    admin.post("/v1/policy", &json!({"four_eyes": true})).expect(200);
    assert_eq!(cluster.admin(3).get("/v1/policy").expect(200).json(), json!({"four_eyes": true}));
    let request = id_of(&ask_for(&admin, &seller.id, 50).expect(201));
    let refused = approve(&cluster.admin(2), &request);
    assert_eq!(refused.refusal(), (403, "forbidden".into()));
    assert!(refused.text().contains("four eyes"), "{}", refused.text());
    approve(&approver, &request).expect(200);
    let adjust = |amount: &str| {
        let body = json!({"amount": amount, "reason": "why"});
        admin.post_keyed(&format!("/v1/sellers/{}/adjustments", seller.id), &unique("adjust"), &body)
    };
    assert_eq!(adjust("5").refusal(), (403, "forbidden".into()));
    adjust("-5").expect(201);
    assert_eq!(admin.balance(&seller.id), 145);
    // Every node lists the same acts: who, from where, and what was refused under a key.
    let taken = json!({"role": "auditor", "name": "admin"});
    admin.post_keyed("/v1/keys", &unique("taken"), &taken).expect(409);
    let of_node = |node: u64| cluster.admin(node).list("/v1/acts");
    let acts = of_node(1);
    let kinds: Vec<&str> = acts.iter().filter_map(|act| act["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "ledger_created",
            "key_created",
            "seller_created",
            "key_created",
            "credit_approved",
            "policy_set",
            "credit_requested",
            "credit_approved",
            "adjusted",
            "key_created",
        ]
    );
    for node in [2, 3] {
        eventually("the same acts", || of_node(node) == acts);
    }
    let last = acts.last().expect("an act");
    assert_eq!(last["refused"], json!("name_taken"));
    let filed = &acts[6];
    assert_eq!((&filed["actor"], &filed["node"], &filed["address"]), (&json!("admin"), &json!(1), &json!("127.0.0.1")));
    assert_eq!((&filed["amount"], &filed["seller_id"]), (&json!("50"), &json!(seller.id)));
    assert_eq!(acts[7]["node"], json!(2));
    let by_actor = cluster.admin(1).list(&format!("/v1/acts?actor={}", acts[7]["actor"].as_str().expect("a name")));
    assert_eq!(by_actor, [acts[7].clone()]);
    // They survive a restart of all.
    cluster.kill_all();
    cluster.start_all();
    eventually("the acts after a restart", || {
        cluster.admin(2).try_get("/v1/acts").is_ok_and(|answer| answer.status == 200)
    });
    assert_eq!(of_node(2), acts);
    shown_by_the_program(&cluster);
}

/// The same by the verbs of the program.
fn shown_by_the_program(cluster: &Cluster) {
    let verb = |arguments: &[&str]| run(etebar(cluster).args(arguments)).success();
    let listed = verb(&["acts", "--actor", "admin"]);
    assert!(listed.contains("four eyes on") && listed.contains("127.0.0.1"), "{listed}");
    assert!(verb(&["policy"]).contains("on"));
    assert!(verb(&["policy", "--four-eyes", "off"]).contains("off"));
    let made =
        verb(&["keys", "create", "--role", "approver", "--name", "bo", "--limit", "5000", "--expires", "2100-01-01"]);
    assert!(made.contains("5,000") && made.contains("2100-01-01"), "{made}");
    let id = made.split_whitespace().nth(1).expect("an id").to_owned();
    let rotated = verb(&["keys", "rotate", &id, "--overlap", "2h"]);
    assert!(rotated.contains("the old key"), "{rotated}");
}

#[test]
fn what_is_asked_for_a_seller_is_told_from_what_it_asks_itself() {
    let seller = cluster().seller_with(100);
    let admin = cluster().admin(1);
    let invalid = |answer: tests::Response| {
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{}", answer.text());
    };
    let for_nobody = admin.post_keyed("/v1/credit-requests", &unique("k"), &json!({"amount": "5"}));
    assert_eq!(for_nobody.refusal(), (403, "forbidden".into()));
    invalid(ask_for(&cluster().seller(1, &seller), &seller.id, 5));
    let unknown = ask_for(&admin, "00000000-0000-8000-8000-000000000001", 5);
    assert_eq!(unknown.refusal(), (404, "not_found".into()));
    let request = id_of(&ask_for(&admin, &seller.id, 5).expect(201));
    let shown = cluster().seller(2, &seller).get(&format!("/v1/credit-requests/{request}")).expect(200).json();
    assert_eq!((&shown["status"], &shown["seller_id"]), (&json!("pending"), &json!(seller.id)));
    for body in [
        json!({"role": "admin", "name": unique("x"), "limit": "5"}),
        json!({"role": "operator", "name": unique("x"), "seller_id": seller.id}),
        json!({"role": "approver", "name": unique("x"), "limit": "0"}),
        json!({"role": "approver", "name": unique("x"), "limit": "-5"}),
    ] {
        invalid(admin.post("/v1/keys", &body));
    }
    invalid(admin.post("/v1/policy", &json!({"four_eyes": "yes"})));
    invalid(admin.post("/v1/policy", &json!({})));
}
