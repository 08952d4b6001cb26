//! One key, one effect: in all its cases, over all nodes and restarts, byte for byte.

use std::thread;

use serde_json::{Value, json};
use tests::api::caller::{self, id_of, phone, unique};
use tests::{Cluster, Plan, Request, Response, Seller};

fn cluster() -> &'static Cluster {
    Plan::new("idempotency").shared()
}

fn assert_replay(again: &Response, first: &Response) {
    assert!(again.replayed(), "{}", again.text());
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    assert_eq!(again.header("Content-Type"), first.header("Content-Type"));
}

/// A request of each kind that takes a key, with one of its own, by its caller's key.
fn one_of_each_kind(cluster: &Cluster, seller: &Seller) -> Vec<(String, Request)> {
    let caller = cluster.seller(1, seller);
    let mine = |request: Request| (seller.key.clone(), request.key(&unique("kind")));
    let admins = |request: Request| (cluster.admin_key.clone(), request.key(&unique("kind")));
    let sold = || id_of(&caller.charge(&unique("sale"), &phone(1), 5).expect(201));
    let key = json!({"role": "auditor", "name": unique("auditor")});
    vec![
        mine(caller::charge("unused", &phone(2), 7)).into_charge(7),
        mine(caller::charge("unused", &phone(2), 1_000_000)).into_charge(1_000_000),
        mine(Request::post("/v1/credit-requests").json(&json!({"amount": 9, "note": "سلام \"quoted\" ✓"}))),
        admins(
            Request::post(format!("/v1/sellers/{}/adjustments", seller.id))
                .json(&json!({"amount": -3, "reason": "fee"})),
        ),
        admins(
            Request::post(format!("/v1/sellers/{}/adjustments", seller.id))
                .json(&json!({"amount": -900_000, "reason": "fee"})),
        ),
        admins(Request::post(format!("/v1/charges/{}/reversal", sold())).json(&json!({"reason": "error"}))),
        admins(Request::post("/v1/sellers").json(&json!({"name": unique("named")}))),
        admins(Request::post("/v1/keys").json(&key)),
    ]
}

/// A charge with one key alone: [`caller::charge`] puts one in already.
trait IntoCharge {
    fn into_charge(self, amount: i64) -> Self;
}

impl IntoCharge for (String, Request) {
    fn into_charge(self, amount: i64) -> Self {
        (self.0, caller::charge(&unique("kind"), &phone(2), amount))
    }
}

#[test]
fn a_retry_on_any_node_gets_the_first_answer_byte_for_byte_and_moves_nothing() {
    let seller = cluster().seller_with(10_000);
    for (key, request) in one_of_each_kind(cluster(), &seller) {
        let first = cluster().caller(1, &key).settle(&request);
        assert!(matches!(first.status, 201 | 409), "{}", first.text());
        assert!(!first.replayed());
        let balance = cluster().admin(1).balance(&seller.id);
        for id in [2, 3, 1] {
            let again = cluster().caller(id, &key).settle(&request);
            if request.path == "/v1/keys" {
                assert!(again.replayed());
                assert_key_is_hidden(&again.json(), &first.json());
            } else {
                assert_replay(&again, &first);
            }
        }
        assert_eq!(cluster().admin(1).balance(&seller.id), balance, "{}", request.path);
    }
}

/// The secret of a key is shown once; all else is replayed.
fn assert_key_is_hidden(again: &Value, first: &Value) {
    assert!(first["key"].is_string());
    let mut expected = first.clone();
    expected["key"] = Value::Null;
    assert_eq!(again, &expected);
}

#[test]
fn answers_are_replayed_byte_for_byte_after_all_nodes_were_killed() {
    let cluster = Plan::new("idempotency-restart").start();
    let seller = cluster.seller_with(10_000);
    let answered: Vec<_> = one_of_each_kind(&cluster, &seller)
        .into_iter()
        .filter(|(_, request)| request.path != "/v1/keys")
        .map(|(key, request)| {
            let answer = cluster.caller(2, &key).settle(&request);
            (key, request, answer)
        })
        .collect();
    let balance = cluster.admin(1).balance(&seller.id);
    for round in 0..2 {
        cluster.kill_all();
        cluster.start_all();
        for (index, (key, request, first)) in answered.iter().enumerate() {
            let node = 1 + (index as u64 + round) % 3;
            assert_replay(&cluster.caller(node, key).settle(request), first);
        }
    }
    assert_eq!(cluster.admin(3).balance(&seller.id), balance);
}

#[test]
fn content_is_compared_as_parsed() {
    let seller = cluster().seller_with(10_000);
    let caller = cluster().seller(1, &seller);
    let key = unique("same");
    let first = caller.charge(&key, "09123456789", 5_000).expect(201);
    for body in [
        r#"{"phone":"09123456789","amount":5000}"#,
        r#"{ "amount" : "5000" ,  "phone" : "+989123456789" }"#,
        r#"{"phone":"۰۹۱۲۳۴۵۶۷۸۹","amount":"5000"}"#,
        r#"{"phone":"0912 345-6789","amount":"5000"}"#,
        r#"{"phone":"00989123456789","amount":"\u0035000"}"#,
    ] {
        assert_replay(&caller.send(&Request::post("/v1/charges").key(&key).raw_json(body)), &first);
    }
    assert_eq!(caller.balance("me"), 5_000);
}

#[test]
fn a_key_in_the_drafts_quotes_is_the_bare_one() {
    let seller = cluster().seller_with(10);
    let caller = cluster().seller(2, &seller);
    let key = unique("quoted");
    let first = caller.charge(&key, &phone(1), 1).expect(201);
    assert_replay(&caller.charge(&format!("\"{key}\""), &phone(1), 1), &first);
}

#[test]
fn a_key_used_for_something_else_is_422_and_stays_what_it_was() {
    let seller = cluster().seller_with(100);
    let caller = cluster().seller(1, &seller);
    let key = unique("reused");
    let first = caller.charge(&key, &phone(1), 10).expect(201);
    let reused = (422, "idempotency_key_reused".to_owned());
    for id in 1..=3 {
        let caller = cluster().seller(id, &seller);
        assert_eq!(caller.charge(&key, &phone(1), 11).refusal(), reused);
        assert_eq!(caller.charge(&key, &phone(2), 10).refusal(), reused);
        assert_eq!(caller.post_keyed("/v1/credit-requests", &key, &json!({"amount": 10})).refusal(), reused);
    }
    assert_replay(&caller.charge(&key, &phone(1), 10), &first);
    assert_eq!(caller.balance("me"), 90);
}

#[test]
fn a_refusal_is_remembered_even_when_credit_has_come_since() {
    let seller = cluster().seller_with(10);
    let caller = cluster().seller(1, &seller);
    let key = unique("poor");
    let refused = caller.charge(&key, &phone(1), 11);
    assert_eq!(refused.refusal(), (409, "insufficient_credit".into()));
    let request = caller.request_credit(1_000);
    cluster().admin(1).approve(&request).expect(200);
    for id in 1..=3 {
        assert_replay(&cluster().seller(id, &seller).charge(&key, &phone(1), 11), &refused);
    }
    caller.charge(&unique("rich"), &phone(1), 11).expect(201);
}

#[test]
fn what_was_certainly_not_done_leaves_its_key_unused() {
    let seller = cluster().seller_with(100);
    let caller = cluster().seller(1, &seller);
    let key = unique("fresh");
    caller.charge(&key, "no phone", 1).expect(400);
    let path = format!("/v1/charges/{}/reversal", seller.id);
    cluster().admin(1).post_keyed(&path, &key, &json!({"reason": "no charge"})).expect(404);
    let unknown_field = Request::post("/v1/charges").key(&key).json(&json!({"phone": phone(1), "amount": 1, "tip": 1}));
    caller.send(&unknown_field).expect(400);
    let done = caller.charge(&key, &phone(1), 1).expect(201);
    assert!(!done.replayed());
}

#[test]
fn a_missing_or_unreadable_key_is_400() {
    let seller = cluster().seller_with(100);
    let caller = cluster().seller(3, &seller);
    let body = json!({"phone": phone(1), "amount": "1"});
    let missing = caller.post("/v1/charges", &body);
    assert_eq!(missing.refusal(), (400, "idempotency_key_missing".into()));
    let twice = Request::post("/v1/charges").key("a").key("b").json(&body);
    let mut bad = vec![caller.send(&twice)];
    for key in ["", "\"\"", "in\"side", "\"open", "with space", &"x".repeat(65), "ключ"] {
        bad.push(caller.post_keyed("/v1/charges", key, &body));
    }
    for answer in bad {
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(matches!(answer.code().as_str(), "invalid_request" | "idempotency_key_missing"));
    }
    assert_eq!(caller.balance("me"), 100);
    caller.charge(&"x".repeat(64), &phone(1), 1).expect(201);
}

#[test]
fn the_same_key_at_the_same_time_is_decided_once_and_answered_every_time() {
    let seller = cluster().seller_with(1_000);
    for _ in 0..5 {
        let key = unique("burst");
        let answers: Vec<Response> = thread::scope(|scope| {
            let workers: Vec<_> = (0..12)
                .map(|count| {
                    let (key, seller) = (&key, &seller);
                    scope.spawn(move || cluster().seller(1 + count % 3, seller).charge(key, &phone(5), 10))
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
        });
        assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1);
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    }
    assert_eq!(cluster().seller(1, &seller).balance("me"), 950);
}

#[test]
fn a_key_belongs_to_its_seller_or_to_its_admins_name() {
    let (one, other) = (cluster().seller_with(10), cluster().seller_with(10));
    let key = unique("mine");
    let first = cluster().seller(1, &one).charge(&key, &phone(1), 1).expect(201);
    assert!(!cluster().seller(1, &other).charge(&key, &phone(1), 1).expect(201).replayed());
    let (second_key, _) = cluster().admin(1).new_key("seller", Some(&one.id));
    assert_replay(&cluster().caller(2, &second_key).charge(&key, &phone(1), 1), &first);

    let (admin, _) = cluster().admin(1).new_key("admin", None);
    let path = format!("/v1/sellers/{}/adjustments", one.id);
    let body = json!({"amount": 1, "reason": "gift"});
    assert!(!cluster().admin(1).post_keyed(&path, &key, &body).expect(201).replayed());
    assert!(!cluster().caller(1, &admin).post_keyed(&path, &key, &body).expect(201).replayed());
    assert_eq!(cluster().admin(1).balance(&one.id), 11);
}

#[test]
fn alone_and_in_a_batch_the_same_charge_under_the_same_key_is_one() {
    let seller = cluster().seller_with(1_000);
    let caller = cluster().seller(1, &seller);
    let (alone, batched, refused) = (unique("alone"), unique("batched"), unique("refused"));
    let first = caller.charge(&alone, &phone(1), 10).expect(201).json();
    let item = |key: &str, amount: i64| json!({"phone": phone(1), "amount": amount, "idempotency_key": key});
    let batch = json!({"charges": [item(&alone, 10), item(&batched, 20), item(&alone, 11), item(&refused, 5_000), item(&batched, 20)]});
    let results = caller.post("/v1/charges/batch", &batch).expect(200).json()["results"].clone();
    assert_eq!(results[0], json!({"status": 201, "replayed": true, "charge": first}));
    assert_eq!((&results[1]["status"], &results[1]["replayed"]), (&json!(201), &json!(false)));
    assert_eq!(
        (&results[2]["status"], &results[2]["problem"]["code"]),
        (&json!(422), &json!("idempotency_key_reused"))
    );
    assert_eq!((&results[3]["status"], &results[3]["replayed"]), (&json!(409), &json!(false)));
    assert_eq!((&results[4]["status"], &results[4]["replayed"]), (&json!(201), &json!(true)));
    assert_eq!(results[4]["charge"], results[1]["charge"]);
    assert!(results.as_array().expect("results").iter().all(|result| result["replayed"].is_boolean()));
    let again = cluster().seller(2, &seller).charge(&batched, &phone(1), 20).expect(201);
    assert!(again.replayed());
    assert_eq!(again.json(), results[1]["charge"]);
    let poor = cluster().seller(3, &seller).charge(&refused, &phone(1), 5_000).expect(409);
    assert!(poor.replayed());
    assert_eq!(poor.json(), results[3]["problem"]);
    assert_eq!(caller.balance("me"), 970);
}

#[test]
fn a_charge_is_found_by_its_key() {
    let (seller, other) = (cluster().seller_with(100), cluster().seller_with(100));
    let key = unique("found");
    let charge = cluster().seller(1, &seller).charge(&key, &phone(1), 10).expect(201).json();
    let found = cluster().seller(2, &seller).list(&format!("/v1/charges?idempotency_key={key}"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], charge["id"]);
    let path = format!("/v1/charges?idempotency_key={key}&seller_id={}", seller.id);
    assert_eq!(cluster().admin(3).list(&path)[0]["id"], charge["id"]);
    assert!(cluster().seller(2, &other).list(&format!("/v1/charges?idempotency_key={key}")).is_empty());
}
