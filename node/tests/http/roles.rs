//! Who may do what, and what the others see of it.

use serde_json::{Value, json};

use super::kit::{ADMIN, Node, text};

#[test]
fn a_seller_sees_only_its_own() {
    let node = Node::start();
    let (one, key) = node.seller_with("one", "100");
    let (two, other) = node.seller_with("two", "100");
    let charge = text(&node.charge(&other, "c", "1").json(), "id");
    let request = text(&node.post(&other, "/v1/credit-requests", "r", &json!({ "amount": 1 })).json(), "id");
    for path in [
        format!("/v1/sellers/{two}"),
        format!("/v1/sellers/{two}/entries"),
        format!("/v1/sellers/{two}/reconciliation"),
        format!("/v1/charges/{charge}"),
        format!("/v1/credit-requests/{request}"),
        format!("/v1/charges?seller_id={two}"),
        format!("/v1/credit-requests?seller_id={two}"),
    ] {
        let reply = node.get(&key, &path);
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
        assert!(node.get(&other, &path).status == 200 && node.get(ADMIN, &path).status == 200, "{path}");
    }
    assert_eq!(node.get(&key, "/v1/charges").json()["items"], json!([]));
    assert_eq!(node.get(&key, &format!("/v1/charges?seller_id={one}")).status, 200);
    for path in ["/v1/sellers", "/v1/keys", "/v1/journal", "/v1/audit", "/v1/phones/09123456789", "/v1/cluster/digest"]
    {
        assert_eq!(node.get(&key, path).code(), "forbidden", "{path}");
    }
    assert_eq!(node.get(&key, "/v1/cluster").status, 200);
    assert_eq!(node.get(&key, "/v1/cluster").json()["key_window_seconds"], 86_400);
    assert_eq!(node.get(&key, "/v1/cluster").json()["keys"], json!(null), "how busy others are is not for a seller");
}

#[test]
fn an_admins_retry_is_a_replay_under_a_key_that_was_made_again_with_another_spelling_of_its_name() {
    let node = Node::start();
    let (seller, _) = node.seller("one");
    let made = |name: &str| node.post(ADMIN, "/v1/keys", "", &json!({ "role": "admin", "name": name })).json();
    let adjust = |key: &Value| {
        let body = json!({ "amount": 500, "reason": "correction" });
        node.post(key.as_str().unwrap(), &format!("/v1/sellers/{seller}/adjustments"), "k1", &body)
    };
    let first = made("ops");
    let adjusted = adjust(&first["key"]);
    assert_eq!((adjusted.status, adjusted.replayed()), (201, false));
    let bearer = format!("Bearer {ADMIN}");
    let revoked = node.call("DELETE", &format!("/v1/keys/{}", text(&first, "id")), &[("authorization", &bearer)], "");
    assert_eq!(revoked.status, 204);
    let again = adjust(&made("Ops")["key"]);
    assert_eq!((again.status, again.replayed(), &again.body), (201, true, &adjusted.body));
    assert_eq!(node.get(ADMIN, &format!("/v1/sellers/{seller}")).json()["balance"], "500");
    let audit = node.get(ADMIN, "/v1/audit?min_entry=1").json();
    assert_eq!((&audit["consistent"], &audit["adjustments"]), (&json!(true), &json!("500")));
}

#[test]
fn each_role_keeps_to_its_own_doings() {
    let node = Node::start();
    let (seller, key) = node.seller_with("one", "100");
    let body = json!({ "role": "auditor", "name": "eyes" });
    let auditor = text(&node.post(ADMIN, "/v1/keys", "", &body).json(), "key");
    let id = uuid::Uuid::nil();
    let by_admins = [
        ("/v1/sellers".to_owned(), json!({ "name": "x" })),
        (format!("/v1/sellers/{seller}/suspend"), json!({})),
        (format!("/v1/sellers/{seller}/activate"), json!({})),
        ("/v1/keys".to_owned(), json!({ "role": "admin", "name": "x" })),
        (format!("/v1/sellers/{seller}/adjustments"), json!({ "amount": 1, "reason": "x" })),
        (format!("/v1/credit-requests/{id}/approve"), json!({})),
        (format!("/v1/credit-requests/{id}/reject"), json!({})),
        (format!("/v1/charges/{id}/reversal"), json!({ "reason": "x" })),
        ("/v1/cluster/leader".to_owned(), json!({ "id": 1 })),
    ];
    for (path, body) in &by_admins {
        for key in [&key, &auditor] {
            assert_eq!(node.post(key, path, "k", body).code(), "forbidden", "{path}");
        }
    }
    let by_sellers = [
        ("/v1/charges", json!({ "phone": "09123456789", "amount": 1 })),
        ("/v1/credit-requests", json!({ "amount": 1 })),
        ("/v1/charges/batch", json!({ "charges": [] })),
    ];
    for (path, body) in &by_sellers {
        for key in [ADMIN, &auditor] {
            assert_eq!(node.post(key, path, "k", body).code(), "forbidden", "{path}");
        }
    }
    assert_eq!(node.get(&auditor, "/v1/journal").status, 200);
    assert_eq!(node.get(ADMIN, "/v1/sellers/me").code(), "not_found");
}

#[test]
fn without_a_known_key_nothing_is_shown() {
    let node = Node::start();
    for headers in [
        &[][..],
        &[("authorization", "Bearer etb_admin_other")],
        &[("authorization", "Basic etb_admin_kit")],
        &[("authorization", "Bearer etb_admin_kit"), ("authorization", "Bearer etb_admin_kit")],
    ] {
        let reply = node.call("GET", "/v1/sellers", headers, "");
        assert_eq!((reply.status, reply.code().as_str()), (401, "unauthenticated"));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    for path in ["/livez", "/readyz"] {
        let reply = node.call("GET", path, &[], "");
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.body.lines().all(|line| line.starts_with("ok ")), "{}", reply.body);
    }
}

#[test]
fn a_member_that_leads_already_leads_and_one_that_is_not_there_is_not_found() {
    let node = Node::start();
    let lead = |body: &Value| node.post(ADMIN, "/v1/cluster/leader", "", body);
    let leads = lead(&json!({ "id": 1 }));
    assert_eq!((leads.status, &leads.json()["leader"]), (200, &json!(1)), "{leads:?}");
    let unknown = lead(&json!({ "id": 9 }));
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    for body in [json!({}), json!({ "id": "one" }), json!({ "id": -1 }), json!({ "id": 1, "now": true })] {
        assert_eq!(lead(&body).code(), "invalid_request", "{body}");
    }
    assert_eq!(node.get(ADMIN, "/v1/cluster/leader").code(), "method_not_allowed");
}
