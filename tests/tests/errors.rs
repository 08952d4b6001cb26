//! The table of errors: every status and code of the contract that a caller can bring about, with what comes with it.

use serde_json::{Value, json};
use tests::api::caller::{id_of, phone, unique};
use tests::{Caller, Cluster, Plan, Request, Response, Seller};

fn cluster() -> &'static Cluster {
    Plan::new("errors").shared()
}

/// Asks for a charge as bytes, under a new key.
fn charge_raw(caller: &Caller, body: impl Into<Vec<u8>>) -> Response {
    caller.send(&Request::post("/v1/charges").key(&unique("key")).raw_json(body))
}

#[track_caller]
fn assert_refusal(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.refusal(), (status, code.to_owned()), "{}", answer.text());
    let retryable =
        matches!(code, "no_leader" | "overloaded" | "behind" | "disk_full" | "rate_limited" | "outcome_unknown");
    assert_eq!(answer.json()["retryable"], retryable, "{}", answer.text());
    assert!(answer.header("X-Request-Id").is_some() && answer.header("Etebar-Node").is_some());
}

#[track_caller]
fn assert_pointer(answer: &Response, pointer: &str) {
    assert_refusal(answer, 400, "invalid_request");
    let problem = answer.json();
    let errors = problem["errors"].as_array().expect("what is wrong, one by one");
    assert!(errors.iter().all(|error| error["detail"].is_string()), "{problem}");
    assert!(errors.iter().any(|error| error["pointer"] == pointer), "no {pointer} in {problem}");
}

#[test]
fn an_invalid_body_is_400_with_pointers() {
    let seller = cluster().seller_with(100);
    for id in cluster().ids() {
        let caller = cluster().seller(id, &seller);
        for (body, pointer) in [
            (r#"{"phone":"09123456789"}"#, "/amount"),
            (r#"{"amount":"1"}"#, "/phone"),
            (r#"{"phone":"09123456789","amount":"1","tip":1}"#, "/tip"),
            (r#"{"phone":17,"amount":"1"}"#, "/phone"),
            (r#"{"phone":"09123456789","amount":"0"}"#, "/amount"),
            (r#"{"phone":"09123456789","amount":true}"#, "/amount"),
            (r#"{"phone":"0912-abc-4567","amount":"1"}"#, "/phone"),
        ] {
            assert_pointer(&charge_raw(&caller, body), pointer);
        }
    }
    assert_eq!(cluster().admin(1).balance(&seller.id), 100);
}

#[test]
fn a_malformed_batch_item_refuses_the_whole_with_its_pointer() {
    let seller = cluster().seller_with(100);
    let caller = cluster().seller(2, &seller);
    let good = || json!({"phone": phone(1), "amount": 1, "idempotency_key": unique("item")});
    let mut items: Vec<Value> = (0..20).map(|_| good()).collect();
    items[17]["phone"] = json!("nonsense");
    assert_pointer(&caller.post("/v1/charges/batch", &json!({ "charges": items })), "/charges/17/phone");
    items[17] = json!({"phone": phone(1), "amount": "1"});
    assert_pointer(&caller.post("/v1/charges/batch", &json!({ "charges": items })), "/charges/17/idempotency_key");
    items[17] = good();
    items[3]["amount"] = json!(1.5);
    assert_pointer(&caller.post("/v1/charges/batch", &json!({ "charges": items })), "/charges/3/amount");
    assert_pointer(&caller.post("/v1/charges/batch", &json!({"charges": []})), "/charges");
    assert_eq!(caller.balance("me"), 100, "nothing was done in part");
}

#[test]
fn who_may_not_is_403_and_foreign_things_are_404() {
    let (mine, other) = (cluster().seller_with(100), cluster().seller_with(100));
    let auditor = cluster().admin(1).new_key("auditor", None).0;
    let other_request = cluster().seller(1, &other).request_credit(5);
    let other_charge = id_of(&cluster().seller(1, &other).charge(&unique("sale"), &phone(1), 1).expect(201));
    for id in cluster().ids() {
        let seller = cluster().seller(id, &mine);
        for path in [
            format!("/v1/sellers/{}", other.id),
            format!("/v1/sellers/{}/entries", other.id),
            format!("/v1/sellers/{}/reconciliation", other.id),
            format!("/v1/credit-requests/{other_request}"),
            format!("/v1/charges/{other_charge}"),
            "/v1/charges/no-uuid".to_owned(),
            "/v1/nothing".to_owned(),
            "/".to_owned(),
        ] {
            assert_refusal(&seller.get(&path), 404, "not_found");
        }
        for path in
            ["/v1/sellers", "/v1/keys", "/v1/journal", "/v1/audit", "/v1/phones/09123456789", "/v1/cluster/digest"]
        {
            assert_refusal(&seller.get(path), 403, "forbidden");
        }
        let auditor = cluster().caller(id, &auditor);
        let body = json!({"name": "x", "reason": "y", "amount": 1, "phone": phone(1)});
        for path in
            [format!("/v1/credit-requests/{other_request}/approve"), format!("/v1/sellers/{}/suspend", other.id)]
        {
            assert_refusal(&auditor.send(&Request::post(&path)), 403, "forbidden");
            assert_refusal(&seller.send(&Request::post(&path)), 403, "forbidden");
        }
        assert_refusal(&auditor.post("/v1/sellers", &json!({"name": "x"})), 403, "forbidden");
        assert_refusal(&seller.post("/v1/sellers", &json!({"name": "x"})), 403, "forbidden");
        let sale = json!({"phone": body["phone"], "amount": 1});
        assert_refusal(&auditor.post_keyed("/v1/charges", &unique("k"), &sale), 403, "forbidden");
        assert_refusal(&cluster().admin(id).post_keyed("/v1/charges", &unique("k"), &sale), 403, "forbidden");
        auditor.get("/v1/audit").expect(200);
        auditor.get(&format!("/v1/sellers/{}", other.id)).expect(200);
    }
    assert_eq!((cluster().admin(1).balance(&mine.id), cluster().admin(1).balance(&other.id)), (100, 99));
}

#[test]
fn unknown_things_are_404_for_those_who_may_see_all() {
    let none = "00000000-0000-8000-8000-000000000000";
    let admin = cluster().admin(1);
    for path in [
        format!("/v1/sellers/{none}"),
        format!("/v1/sellers/{none}/entries"),
        format!("/v1/sellers/{none}/reconciliation"),
        format!("/v1/credit-requests/{none}"),
        format!("/v1/charges/{none}"),
        "/v1/phones/+989129999999".to_owned(),
        "/v1/sellers/me".to_owned(),
    ] {
        assert_refusal(&admin.get(&path), 404, "not_found");
    }
    let reason = json!({"reason": "x"});
    assert_refusal(&admin.post(&format!("/v1/credit-requests/{none}/approve"), &json!({})), 404, "not_found");
    assert_refusal(&admin.post(&format!("/v1/sellers/{none}/suspend"), &json!({})), 404, "not_found");
    assert_refusal(&admin.post_keyed(&format!("/v1/charges/{none}/reversal"), &unique("k"), &reason), 404, "not_found");
    let adjustment = json!({"amount": 1, "reason": "x"});
    let answer = admin.post_keyed(&format!("/v1/sellers/{none}/adjustments"), &unique("k"), &adjustment);
    assert_refusal(&answer, 404, "not_found");
    let key = json!({"role": "seller", "name": unique("k"), "seller_id": none});
    assert!(matches!(admin.post("/v1/keys", &key).refusal(), (404 | 400, _)));
}

#[test]
fn a_wrong_method_is_405_with_what_is_allowed() {
    let admin = cluster().admin(2);
    for (method, path, allowed) in [
        ("DELETE", "/v1/charges", vec!["GET", "POST"]),
        ("PUT", "/v1/sellers", vec!["GET", "POST"]),
        ("GET", "/v1/charges/batch", vec![]),
        ("POST", "/v1/journal", vec!["GET"]),
        ("PATCH", "/v1/cluster", vec!["GET"]),
        ("POST", "/livez", vec!["GET"]),
    ] {
        let answer = admin.send(&Request::new(method, path));
        if allowed.is_empty() {
            // Either a charge with the id `batch`, or a method that the path of batches does not take.
            assert!(matches!(answer.status, 404 | 405));
            continue;
        }
        assert_refusal(&answer, 405, "method_not_allowed");
        let allow = answer.header("Allow").expect("405 carries Allow").to_owned();
        for method in allowed {
            assert!(allow.split(',').any(|one| one.trim() == method), "{path}: {allow}");
        }
    }
}

#[test]
fn another_media_type_is_415() {
    let seller = cluster().seller_with(10);
    let caller = cluster().seller(1, &seller);
    let body = format!(r#"{{"phone":"{}","amount":"1"}}"#, phone(1));
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let request = Request::post("/v1/charges").key(&unique("k")).header("Content-Type", media).body(body.clone());
        assert_refusal(&caller.send(&request), 415, "unsupported_media_type");
    }
    let accepted =
        Request::post("/v1/charges").key(&unique("k")).header("Content-Type", "application/json; charset=utf-8");
    caller.send(&accepted.body(body)).expect(201);
}

#[test]
fn a_balance_over_the_limit_is_409_and_an_amount_over_it_400() {
    let limit = 1_000_000_000_000_000_i64;
    let seller = cluster().seller_with(limit);
    let caller = cluster().seller(1, &seller);
    let request = caller.request_credit(1);
    assert_refusal(&cluster().admin(2).approve(&request), 409, "limit_exceeded");
    let path = format!("/v1/sellers/{}/adjustments", seller.id);
    let more = cluster().admin(3).post_keyed(&path, &unique("k"), &json!({"amount": "1", "reason": "x"}));
    assert_refusal(&more, 409, "limit_exceeded");
    let over = json!({"amount": (limit + 1).to_string()});
    assert_pointer(&caller.post_keyed("/v1/credit-requests", &unique("k"), &over), "/amount");
    assert_eq!(caller.balance("me"), limit);
    caller.charge(&unique("sale"), &phone(4_444_444), limit).expect(201);
}

#[test]
fn a_page_is_bounded_and_its_next_belongs_to_its_filter() {
    let seller: Seller = cluster().seller_with(100);
    let caller = cluster().seller(1, &seller);
    (0..7).for_each(|count| drop(caller.charge(&unique("sale"), &phone(count), 1).expect(201)));
    for limit in ["0", "1001", "-1", "x", ""] {
        assert_eq!(
            caller.get(&format!("/v1/charges?limit={limit}")).refusal(),
            (400, "invalid_request".into()),
            "{limit}"
        );
    }
    let page = caller.get("/v1/charges?limit=3").expect(200).json();
    assert_eq!(page["items"].as_array().expect("items").len(), 3);
    let next = page["next"].as_str().expect("there is more");
    let rest = cluster().seller(2, &seller).get(&format!("/v1/charges?limit=4&after={next}")).expect(200).json();
    assert_eq!((rest["items"].as_array().expect("items").len(), &rest["next"]), (4, &Value::Null));
    assert_refusal(&caller.get(&format!("/v1/charges?phone=09123456789&after={next}")), 400, "invalid_request");
    assert_refusal(&caller.get("/v1/charges?after=nonsense"), 400, "invalid_request");
    assert_refusal(&caller.get("/v1/charges?colour=red"), 400, "invalid_request");
    let entries = format!("/v1/sellers/{}/entries?after={next}", seller.id);
    assert_refusal(&caller.get(&entries), 400, "invalid_request");
}

#[test]
fn from_is_inclusive_and_to_exclusive() {
    let seller = cluster().seller_with(100);
    let caller = cluster().seller(1, &seller);
    let times: Vec<String> = (0..4)
        .map(|count| {
            tests::wait::let_pass(std::time::Duration::from_millis(3));
            let charge = caller.charge(&unique("sale"), &phone(count), 1).expect(201).json();
            charge["created_at"].as_str().expect("a time").to_owned()
        })
        .collect();
    let list = format!("/v1/charges?from={}&to={}", times[1], times[3]);
    let found: Vec<_> = caller.list(&list).into_iter().map(|charge| charge["created_at"].clone()).collect();
    assert_eq!(found, times[1..3]);
    let entries = caller.list(&format!("/v1/sellers/{}/entries?from={}", seller.id, times[2]));
    assert_eq!(entries.len(), 2);
    assert_refusal(&caller.get("/v1/charges?from=yesterday"), 400, "invalid_request");
}

#[test]
fn a_position_that_is_too_old_for_a_digest_is_404_and_one_ahead_waits() {
    let cluster = Plan::new("digest").setting("ETEBAR_REQUEST_TIMEOUT", "1s").start();
    let admin = cluster.admin(1);
    let now = admin.get("/v1/cluster/digest").expect(200).json();
    assert_eq!(now["node"], 1);
    let ahead =
        admin.get(&format!("/v1/cluster/digest?applied={}", now["applied"].as_u64().expect("a position") + 1_000));
    assert_eq!(ahead.refusal(), (503, "behind".into()));
    let seller = cluster.seller_with(1_000_000);
    let caller = cluster.seller(1, &seller);
    let mut connection =
        tests::api::http::Connection::open(cluster.address(1), tests::api::http::ANSWER_WAIT).expect("it listens");
    for count in 0..4_500 {
        let request = tests::api::caller::charge(&unique("sale"), &phone(count), 1).bearer(&caller.key);
        connection.send(&request).expect("an answer").expect(201);
    }
    assert_eq!(admin.get("/v1/cluster/digest?applied=1").refusal(), (404, "not_found".into()));
}
