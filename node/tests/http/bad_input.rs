//! What bad input gets: the problem of the contract, and nothing moved.

use serde_json::{Value, json};

use super::kit::{ADMIN, Node, Reply, text};

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem = reply.json();
    assert_eq!(problem["type"], format!("/problems/{}", code.replace('_', "-")));
    assert_eq!(problem["status"], status);
    for member in ["title", "detail"] {
        assert!(!text(&problem, member).is_empty());
    }
    assert!(problem["retryable"].is_boolean());
    assert_eq!(problem["errors"].is_array(), code == "invalid_request", "{reply:?}");
    assert!(reply.header("x-request-id").is_some() && reply.header("etebar-node") == Some("1"));
}

#[test]
fn a_bad_charge_is_400_and_moves_nothing() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "1000");
    let phone = "09123456789";
    let bodies: &[(Value, &str)] = &[
        (json!({ "phone": phone, "amount": 1.5 }), "/amount"),
        (json!({ "phone": phone, "amount": "1.5" }), "/amount"),
        (json!({ "phone": phone, "amount": "50.000" }), "/amount"),
        (json!({ "phone": phone, "amount": 1e3 }), "/amount"),
        (json!({ "phone": phone, "amount": "1e3" }), "/amount"),
        (json!({ "phone": phone, "amount": "+5" }), "/amount"),
        (json!({ "phone": phone, "amount": " 5" }), "/amount"),
        (json!({ "phone": phone, "amount": "" }), "/amount"),
        (json!({ "phone": phone, "amount": "NaN" }), "/amount"),
        (json!({ "phone": phone, "amount": -5 }), "/amount"),
        (json!({ "phone": phone, "amount": 0 }), "/amount"),
        (json!({ "phone": phone, "amount": "1000000000000001" }), "/amount"),
        (json!({ "phone": phone, "amount": 1_000_000_000_000_001_u64 }), "/amount"),
        (json!({ "phone": phone, "amount": u64::MAX }), "/amount"),
        (json!({ "phone": phone, "amount": null }), "/amount"),
        (json!({ "phone": phone, "amount": [5] }), "/amount"),
        (json!({ "phone": phone }), "/amount"),
        (json!({ "phone": 9_123_456_789_u64, "amount": 5 }), "/phone"),
        (json!({ "phone": "0912-abc-4567", "amount": 5 }), "/phone"),
        (json!({ "phone": "02188776655", "amount": 5 }), "/phone"),
        (json!({ "amount": 5 }), "/phone"),
        (json!({ "phone": phone, "amount": 5, "note": "x" }), "/note"),
        (json!([phone, 5]), ""),
        (json!("x"), ""),
    ];
    for (body, pointer) in bodies {
        let reply = node.post(&key, "/v1/charges", "k", body);
        assert_problem(&reply, 400, "invalid_request");
        assert_eq!(reply.json()["errors"][0]["pointer"], *pointer, "{body}");
    }
    let bearer = format!("Bearer {key}");
    let json_type = ("content-type", "application/json; charset=utf-8");
    for body in ["{", "", "{\"phone\":NaN}", "\u{feff}{}", "{\"phone\":\"1\",\"phone\":\"2\",\"amount\":1}", "{} {}"] {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k"), json_type];
        assert_problem(&node.call("POST", "/v1/charges", &headers, body), 400, "invalid_request");
    }
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "1000");
    assert_eq!(node.charge(&key, "k", "1").status, 201, "the key is still unused");
}

#[test]
fn an_idempotency_key_must_be_one_and_sound() {
    let node = Node::start();
    let (_, key) = node.seller_with("one", "1000");
    let bearer = format!("Bearer {key}");
    let body = json!({ "phone": "09123456789", "amount": 1 }).to_string();
    let too_long = "x".repeat(65);
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_problem(&node.call("POST", "/v1/charges", &headers, &body), 400, "idempotency_key_missing");
    for bad in ["", "\"\"", "a\"b", "a b", "\u{e9}", &too_long] {
        headers.push(("idempotency-key", bad));
        assert_problem(&node.call("POST", "/v1/charges", &headers, &body), 400, "invalid_request");
        headers.pop();
    }
    headers.extend([("idempotency-key", "a"), ("idempotency-key", "a")]);
    assert_problem(&node.call("POST", "/v1/charges", &headers, &body), 400, "invalid_request");
    assert_eq!(node.get(&key, "/v1/sellers/me").json()["balance"], "1000");
}

#[test]
fn what_is_not_there_is_404_and_what_is_no_method_is_405() {
    let node = Node::start();
    let id = uuid::Uuid::nil();
    for path in [
        "/v1/nothing".to_owned(),
        "/".to_owned(),
        "/v1/sellers/".to_owned(),
        "/v1/sellers/x".to_owned(),
        format!("/v1/sellers/{id}"),
        format!("/v1/sellers/{id}/entries"),
        format!("/v1/charges/{id}"),
        "/v1/charges/%ff".to_owned(),
        format!("/v1/credit-requests/{id}"),
        "/v1/phones/09120000000".to_owned(),
    ] {
        assert_problem(&node.get(ADMIN, &path), 404, "not_found");
    }
    let absent = node.post(ADMIN, &format!("/v1/charges/{id}/reversal"), "v", &json!({ "reason": "x" }));
    assert_problem(&absent, 404, "not_found");
    let reply = node.call("PUT", "/v1/charges", &[], "");
    assert_problem(&reply, 405, "method_not_allowed");
    let allow = reply.header("allow").unwrap_or_default();
    assert!(allow.contains("POST") && allow.contains("GET"), "{allow}");
    assert_problem(&node.call("DELETE", "/v1/journal", &[], ""), 405, "method_not_allowed");
}

#[test]
fn a_body_is_json_or_415() {
    let node = Node::start();
    let bearer = format!("Bearer {ADMIN}");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        assert_problem(&node.call("POST", "/v1/sellers", &headers, "{\"name\":\"x\"}"), 415, "unsupported_media_type");
    }
    let headers = [("authorization", bearer.as_str())];
    assert_problem(&node.call("POST", "/v1/sellers", &headers, "{\"name\":\"x\"}"), 415, "unsupported_media_type");
}

#[test]
fn bad_queries_and_headers_are_400() {
    let node = Node::start();
    let paths = [
        "/v1/sellers?limit=0",
        "/v1/sellers?limit=1001",
        "/v1/sellers?after=x",
        "/v1/sellers?colour=red",
        "/v1/sellers?consistency=none",
        "/v1/charges?from=yesterday",
        "/v1/charges?phone=abc",
        "/v1/phones/0912-abc-4567",
        "/v1/charges?seller_id=x",
        "/v1/charges?idempotency_key=k",
        "/v1/credit-requests?status=open",
        "/v1/cluster/digest?applied=-1",
    ];
    for path in paths {
        assert_problem(&node.get(ADMIN, path), 400, "invalid_request");
    }
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str()), ("etebar-min-applied", "soon")];
    assert_problem(&node.call("GET", "/v1/sellers", &headers, ""), 400, "invalid_request");
}

#[test]
fn a_position_that_is_not_reached_in_time_is_behind() {
    let limits = etebar_node::http::Limits {
        request: std::time::Duration::from_millis(300),
        ..etebar_node::http::Limits::default()
    };
    let node = Node::with(&limits, 0);
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str()), ("etebar-min-applied", "1000000")];
    let reply = node.call("GET", "/v1/sellers", &headers, "");
    assert_problem(&reply, 503, "behind");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_problem(&node.get(ADMIN, "/v1/cluster/digest?applied=1000000"), 503, "behind");
}

#[test]
fn a_name_has_no_invisible_character_and_the_refusal_names_it() {
    let node = Node::start();
    let hidden =
        ['\u{1b}', '\u{202e}', '\u{2067}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{3164}', '\u{e000}', '\u{378}'];
    for character in hidden {
        let name = format!("till{character}1");
        for (path, body) in
            [("/v1/sellers", json!({ "name": name })), ("/v1/keys", json!({ "role": "auditor", "name": name }))]
        {
            let reply = node.post(ADMIN, path, "", &body);
            assert_problem(&reply, 400, "invalid_request");
            let error = &reply.json()["errors"][0];
            assert_eq!(error["pointer"], "/name");
            let code_point = format!("U+{:04X}", u32::from(character));
            assert!(text(error, "detail").contains(&code_point), "{error}");
        }
    }
    let refused = node.post(ADMIN, "/v1/sellers", "", &json!({ "name": "\u{200c}a" }));
    assert_problem(&refused, 400, "invalid_request");
    let joined = json!({ "name": "نمایندگی\u{200c}ها" });
    assert_eq!(text(&node.post(ADMIN, "/v1/sellers", "", &joined).json(), "name"), "نمایندگی\u{200c}ها");
}

#[test]
fn active_keys_have_names_that_people_can_distinguish() {
    let node = Node::start();
    let key = |name: &str| node.post(ADMIN, "/v1/keys", "", &json!({ "role": "auditor", "name": name }));
    let first = key("کیوسک Straße 1");
    assert_eq!((first.status, text(&first.json(), "name")), (201, "کیوسک Straße 1".to_owned()), "{first:?}");
    for alike in ["کیوسک straße 1", "كيوسك STRASSE  1", "کیوسک\u{a0}Stra\u{1e9e}e 1"] {
        assert_problem(&key(alike), 409, "name_taken");
    }
    assert_eq!(key("کیوسک Strase 1").status, 201);
    let id = text(&first.json(), "id");
    let bearer = format!("Bearer {ADMIN}");
    assert_eq!(node.call("DELETE", &format!("/v1/keys/{id}"), &[("authorization", &bearer)], "").status, 204);
    assert_eq!(key("كيوسك STRASSE  1").status, 201);
    // Sellers may share a name.
    for _ in 0..2 {
        assert_eq!(node.post(ADMIN, "/v1/sellers", "", &json!({ "name": "one" })).status, 201);
    }
}
