//! The life of credit: it is requested, approved once, spent, given back, and adds up.

use serde_json::json;

use super::kit::{ADMIN, Node, text};

#[test]
fn a_credit_request_is_approved_once_and_spent() {
    let node = Node::start();
    let (seller, key) = node.seller("Tehran Mobile");
    let body = json!({ "amount": "1000000", "note": "for November" });
    let request = node.post(&key, "/v1/credit-requests", "r-1", &body);
    assert_eq!(request.status, 201);
    assert_eq!(request.json()["status"], "pending");
    let id = text(&request.json(), "id");
    assert!(request.body.starts_with(&format!("{{\"id\":\"{id}\",\"seller_id\":\"{seller}\",\"amount\":\"1000000\"")));

    let approve = format!("/v1/credit-requests/{id}/approve");
    let first = node.post(ADMIN, &approve, "", &json!({ "reason": "paid" }));
    assert_eq!((first.status, first.replayed()), (200, false));
    let again = node.call("POST", &approve, &[("authorization", &format!("Bearer {ADMIN}"))], "");
    assert_eq!((again.status, again.replayed(), &again.body), (200, true, &first.body));
    let opposite = node.post(ADMIN, &format!("/v1/credit-requests/{id}/reject"), "", &json!({}));
    assert_eq!((opposite.status, opposite.code().as_str()), (409, "credit_request_decided"));
    assert_eq!(node.get(&key, &format!("/v1/credit-requests/{id}")).body, first.body);

    for number in 0..60 {
        assert_eq!(node.charge(&key, &format!("c-{number}"), "5000").status, 201);
    }
    let me = node.get(&key, "/v1/sellers/me").json();
    assert_eq!((text(&me, "balance").as_str(), text(&me, "id")), ("700000", seller.clone()));

    let books = node.get(&key, &format!("/v1/sellers/{seller}/reconciliation")).json();
    let expected = json!({
        "seller_id": seller, "credits": "1000000", "adjustments": "0", "charges": "-300000", "reversals": "0",
        "sum": "700000", "balance": "700000", "entries": 61, "consistent": true,
    });
    assert_eq!(books, expected);
    let phone = node.get(ADMIN, "/v1/phones/%2B98%20912%20345%206789").json();
    assert_eq!((&phone["balance"], &phone["charges"]), (&json!("300000"), &json!(60)));
}

#[test]
fn a_replay_is_byte_for_byte_the_first_answer() {
    let node = Node::start();
    let (seller, key) = node.seller_with("one", "10000");
    let adjust = format!("/v1/sellers/{seller}/adjustments");
    let less = json!({ "amount": "-20000", "reason": "a mistake" });
    let charge = node.charge(&key, "c", "4000");
    let reverse = format!("/v1/charges/{}/reversal", text(&charge.json(), "id"));
    let undo = json!({ "reason": "wrong number" });
    let firsts = [
        charge,
        node.charge(&key, "dear", "400000"),
        node.post(ADMIN, &adjust, "a", &json!({ "amount": "-500", "reason": "fee" })),
        node.post(ADMIN, &adjust, "b", &less),
        node.post(ADMIN, &reverse, "v", &undo),
        node.post(ADMIN, &reverse, "w", &undo),
        node.post(&key, "/v1/credit-requests", "r", &json!({ "amount": 7 })),
        node.post(ADMIN, "/v1/sellers", "s", &json!({ "name": "two" })),
    ];
    assert_eq!(firsts.each_ref().map(|reply| reply.status), [201, 409, 201, 409, 201, 409, 201, 201]);
    let seconds = [
        node.charge(&key, "\"c\"", "04000"),
        node.charge(&key, "dear", "400000"),
        node.post(ADMIN, &adjust, "a", &json!({ "amount": -500, "reason": "fee" })),
        node.post(ADMIN, &adjust, "b", &less),
        node.post(ADMIN, &reverse, "v", &undo),
        node.post(ADMIN, &reverse, "w", &undo),
        node.post(&key, "/v1/credit-requests", "r", &json!({ "amount": "007" })),
        node.post(ADMIN, "/v1/sellers", "s", &json!({ "name": "two" })),
    ];
    for (first, second) in firsts.iter().zip(&seconds) {
        assert_eq!((first.status, &first.body, false), (second.status, &second.body, first.replayed()));
        assert!(second.replayed(), "{second:?}");
        assert_eq!(first.header("content-type"), second.header("content-type"));
    }
    let other = node.charge(&key, "c", "4001");
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
    let kind = node.post(&key, "/v1/credit-requests", "c", &json!({ "amount": 7 }));
    assert_eq!((kind.status, kind.code().as_str()), (422, "idempotency_key_reused"));
}

#[test]
fn the_journal_chains_and_adds_up() {
    let node = Node::start();
    let (seller, key) = node.seller_with("one", "10000");
    let charge = node.charge(&key, "c", "4000").json();
    node.post(ADMIN, &format!("/v1/charges/{}/reversal", text(&charge, "id")), "v", &json!({ "reason": "wrong" }));
    let journal = node.get(ADMIN, "/v1/journal").json();
    let entries: Vec<etebar_api::Entry> = serde_json::from_value(journal["items"].clone()).unwrap();
    let kinds: Vec<_> = journal["items"].as_array().unwrap().iter().map(|entry| text(entry, "kind")).collect();
    assert_eq!(kinds, ["adjustment", "charge", "reversal"]);
    assert_eq!(
        (entries[1].debit.clone(), entries[1].credit.as_str()),
        (format!("seller:{seller}"), "phone:+989123456789")
    );
    assert_eq!((entries[1].actor.as_str(), entries[2].actor.as_str()), ("one", "admin"));
    assert_eq!(entries[2].reference.to_string(), text(&charge, "id"));

    let own = node.get(&key, &format!("/v1/sellers/{seller}/entries")).json();
    assert_eq!(own["items"], journal["items"]);
    let shown = node.get(&key, &format!("/v1/charges/{}", text(&charge, "id"))).json();
    assert_eq!(shown["reversed_by"], 3);

    let audit = node.get(ADMIN, "/v1/audit?min_entry=3").json();
    assert_eq!(audit["consistent"], true);
    assert_eq!(
        (&audit["entries"], &audit["treasury"], &audit["seller_balances"]),
        (&json!(3), &json!("-10000"), &json!("10000"))
    );
    let digest = node.get(ADMIN, &format!("/v1/cluster/digest?applied={}", audit["applied"])).json();
    assert_eq!(digest["digest"], audit["digest"]);
}

#[test]
fn a_key_is_shown_once_and_its_end_is_final() {
    let node = Node::start();
    let body = json!({ "role": "auditor", "name": "eyes" });
    let first = node.post(ADMIN, "/v1/keys", "k", &body);
    let again = node.post(ADMIN, "/v1/keys", "k", &body);
    let key = text(&first.json(), "key");
    assert_eq!((first.status, again.status, again.replayed()), (201, 201, true));
    assert!(key.starts_with("etb_auditor_") && key.len() == 12 + 43, "{key}");
    assert_eq!(again.json()["key"], json!(null));
    assert_eq!(node.get(&key, "/v1/audit").status, 200);
    let taken = node.post(ADMIN, "/v1/keys", "", &body);
    assert_eq!((taken.status, taken.code().as_str()), (409, "name_taken"));

    let path = format!("/v1/keys/{}", text(&first.json(), "id"));
    let bearer = format!("Bearer {ADMIN}");
    let auth = [("authorization", bearer.as_str())];
    for _ in 0..2 {
        let gone = node.call("DELETE", &path, &auth, "");
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    }
    let revoked = node.get(&key, "/v1/audit");
    assert_eq!((revoked.status, revoked.header("www-authenticate")), (401, Some("Bearer")));
    let keys = node.get(ADMIN, "/v1/keys").json();
    let last = node.call("DELETE", &format!("/v1/keys/{}", text(&keys["items"][0], "id")), &auth, "");
    assert_eq!((last.status, last.code().as_str()), (409, "last_admin_key"));
}

#[test]
fn a_suspended_seller_cannot_charge_until_it_is_activated() {
    let node = Node::start();
    let (seller, key) = node.seller_with("one", "10000");
    let suspended = node.post(ADMIN, &format!("/v1/sellers/{seller}/suspend"), "", &json!({}));
    assert_eq!((suspended.status, &suspended.json()["status"]), (200, &json!("suspended")));
    let refused = node.charge(&key, "c-1", "1");
    assert_eq!((refused.status, refused.code().as_str()), (409, "seller_suspended"));
    let request = node.post(&key, "/v1/credit-requests", "r", &json!({ "amount": 1 }));
    assert_eq!((request.status, request.code().as_str()), (409, "seller_suspended"));
    let more = json!({ "amount": 5, "reason": "still allowed" });
    assert_eq!(node.post(ADMIN, &format!("/v1/sellers/{seller}/adjustments"), "a", &more).status, 201);
    assert_eq!(node.post(ADMIN, &format!("/v1/sellers/{seller}/activate"), "", &json!({})).status, 200);
    assert!(node.charge(&key, "c-1", "1").replayed(), "a refusal stands under its key");
    assert_eq!(node.charge(&key, "c-2", "1").status, 201);
}

#[test]
fn amounts_have_the_currencys_places() {
    let node = Node::with(&etebar_node::http::Limits::default(), 2);
    let (_, key) = node.seller_with("one", "100");
    let charge = node.charge(&key, "c", "0.5").json();
    assert_eq!((&charge["amount"], &charge["balance"]), (&json!("0.50"), &json!("99.50")));
    assert!(node.charge(&key, "c", "00.50").replayed());
    assert_eq!(node.charge(&key, "c", "0.500").status, 400, "three digits after the point are thousands elsewhere");
    assert_eq!(node.charge(&key, "d", "0.505").status, 400);
    let dear = node.charge(&key, "e", "1000").json();
    assert_eq!((&dear["code"], &dear["balance"]), (&json!("insufficient_credit"), &json!("99.50")));
}
