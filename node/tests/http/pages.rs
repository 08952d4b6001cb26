//! Lists come in pages, oldest first, each item once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kit::{ADMIN, Node, text};

/// All items of a list, read in pages of `limit`.
fn all(node: &Node, key: &str, path: &str, limit: usize) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let page = node.get(key, &format!("{path}{joint}limit={limit}{after}"));
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        assert!(page["items"].as_array().unwrap().len() <= limit);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return items,
        }
    }
}

#[test]
fn pages_of_any_size_show_the_same_list() {
    let node = Node::start();
    let (one, key) = node.seller_with("one", "10000");
    let (two, other) = node.seller_with("two", "10000");
    for at in 0..100 {
        let phone = format!("0912000000{}", at % 3);
        let key = if at % 2 == 0 { &key } else { &other };
        let body = json!({ "phone": phone, "amount": 1 });
        assert_eq!(node.post(key, "/v1/charges", &format!("c-{at}"), &body).status, 201);
        node.post(key, "/v1/credit-requests", &format!("r-{at}"), &json!({ "amount": 1 }));
    }
    let lists = [
        ("/v1/charges".to_owned(), 100),
        (format!("/v1/charges?seller_id={one}"), 50),
        ("/v1/charges?phone=09120000001".to_owned(), 33),
        (format!("/v1/charges?phone=%2B989120000001&seller_id={two}"), 17),
        (format!("/v1/charges?seller_id={one}&idempotency_key=c-4"), 1),
        (format!("/v1/charges?seller_id={one}&idempotency_key=c-5"), 0),
        ("/v1/charges?to=2000-01-01T00:00:00Z".to_owned(), 0),
        ("/v1/charges?from=2000-01-01T00:00:00Z".to_owned(), 100),
        ("/v1/charges?from=0001-01-01T00:00:00Z".to_owned(), 100),
        ("/v1/charges?to=1969-12-31T23:59:59.999Z".to_owned(), 0),
        (format!("/v1/charges?from=1970-01-01T00:00:00+03:30&to=9999-12-31T23:59:59Z&seller_id={one}"), 50),
        ("/v1/journal?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59-03:30".to_owned(), 102),
        ("/v1/journal?to=1970-01-01T00:00:00%2B03:30".to_owned(), 0),
        (format!("/v1/sellers/{one}/entries?from=1969-12-31T00:00:00Z"), 51),
        ("/v1/journal".to_owned(), 102),
        (format!("/v1/sellers/{one}/entries"), 51),
        (format!("/v1/sellers/{one}/entries?from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"), 51),
        ("/v1/credit-requests".to_owned(), 100),
        (format!("/v1/credit-requests?status=pending&seller_id={two}"), 50),
        ("/v1/credit-requests?status=approved".to_owned(), 0),
        ("/v1/sellers".to_owned(), 2),
        ("/v1/keys".to_owned(), 3),
    ];
    for (path, count) in &lists {
        let whole = all(&node, ADMIN, path, 1000);
        assert_eq!(whole.len(), *count, "{path}");
        let distinct: BTreeSet<_> = whole.iter().map(text_or_number).collect();
        assert_eq!(distinct.len(), *count, "{path}");
        for limit in [1, 7, *count.max(&1)] {
            assert_eq!(all(&node, ADMIN, path, limit), whole, "{path} by {limit}");
        }
    }
    assert_eq!(all(&node, &key, "/v1/charges", 9).len(), 50, "a seller sees its own");
}

/// More charges of a phone than its chain is walked through at once, by a seller with few charges and one with many.
#[test]
fn a_phone_with_many_charges_is_listed_from_any_of_them() {
    let node = Node::start();
    let (few, few_key) = node.seller_with("few", "10000");
    let (many, many_key) = node.seller_with("many", "10000");
    for batch in 0..5 {
        let charge = |at: usize| {
            let phone = if at.is_multiple_of(5) { "09120000002" } else { "09120000001" };
            json!({ "phone": phone, "amount": 1, "idempotency_key": format!("b-{batch}-{at}") })
        };
        let charges = |count: usize| json!({ "charges": (0..count).map(charge).collect::<Vec<_>>() });
        for (key, count) in [(&many_key, 90), (&few_key, 10)] {
            assert_eq!(node.post(key, "/v1/charges/batch", "", &charges(count)).status, 200);
        }
    }
    let journal = all(&node, ADMIN, "/v1/journal", 1000);
    let expected = |seller: Option<&str>, phone: &str| {
        let is = |entry: &&Value| entry["phone"] == phone && seller.is_none_or(|seller| entry["seller_id"] == seller);
        journal.iter().filter(is).map(|entry| entry["entry"].clone()).collect::<Vec<_>>()
    };
    let phone = "+989120000001";
    for (path, entries) in [
        (format!("/v1/charges?phone={phone}"), expected(None, phone)),
        (format!("/v1/charges?phone={phone}&seller_id={few}"), expected(Some(&few), phone)),
        (format!("/v1/charges?phone={phone}&seller_id={many}"), expected(Some(&many), phone)),
    ] {
        assert!(entries.len() >= 40, "{path}: {}", entries.len());
        for limit in [1, 63, 64, 65, 100, 1000] {
            let shown: Vec<_> = all(&node, ADMIN, &path, limit).iter().map(|item| item["entry"].clone()).collect();
            assert_eq!(shown, entries, "{path} by {limit}");
        }
    }
    let account = node.get(ADMIN, &format!("/v1/phones/{phone}")).json();
    assert_eq!(account["charges"], 400);
    let charges = all(&node, ADMIN, &format!("/v1/charges?phone={phone}"), 1000);
    assert_eq!(account["last_charge_at"], charges[399]["created_at"]);
}

#[test]
fn requests_are_listed_by_what_became_of_them() {
    let node = Node::start();
    let (seller, key) = node.seller("one");
    let (_, other) = node.seller("two");
    for at in 0..30 {
        let key = if at % 3 == 0 { &other } else { &key };
        let reply = node.post(key, "/v1/credit-requests", &format!("r-{at}"), &json!({ "amount": 1 }));
        let id = text(&reply.json(), "id");
        match at % 5 {
            0 => assert_eq!(node.post(ADMIN, &format!("/v1/credit-requests/{id}/reject"), "", &json!({})).status, 200),
            1 | 2 => {
                assert_eq!(node.post(ADMIN, &format!("/v1/credit-requests/{id}/approve"), "", &json!({})).status, 200);
            }
            _ => {}
        }
    }
    for of in [String::new(), format!("seller_id={seller}&")] {
        let whole = all(&node, ADMIN, &format!("/v1/credit-requests?{of}consistency=local"), 1000);
        for status in ["pending", "approved", "rejected"] {
            let expected: Vec<_> = whole.iter().filter(|request| request["status"] == status).cloned().collect();
            assert!(expected.len() >= 4, "{status}{of}: {}", expected.len());
            for limit in [1, 3, 1000] {
                let path = format!("/v1/credit-requests?{of}status={status}");
                assert_eq!(all(&node, ADMIN, &path, limit), expected, "{path} by {limit}");
            }
        }
    }
}

fn text_or_number(item: &Value) -> String {
    item.get("id").or(item.get("entry")).map(Value::to_string).unwrap_or_default()
}

#[test]
fn from_is_inclusive_and_to_exclusive() {
    let node = Node::start();
    let (seller, key) = node.seller_with("one", "100");
    for at in 0..5 {
        node.charge(&key, &format!("c-{at}"), "1");
    }
    let charges = all(&node, &key, "/v1/charges", 10);
    let times: Vec<_> = charges.iter().map(|charge| text(charge, "created_at")).collect();
    let count = |from: &str, to: &str| times.iter().filter(|time| time.as_str() >= from && time.as_str() < to).count();
    let (from, to) = (&times[1], &times[3]);
    assert_eq!(all(&node, &key, &format!("/v1/charges?from={from}&to={to}"), 10).len(), count(from, to));
    let entries = all(&node, &key, &format!("/v1/sellers/{seller}/entries?from={from}&to={to}"), 10);
    assert_eq!(entries.len(), count(from, to));
    assert_eq!(all(&node, ADMIN, &format!("/v1/journal?from={from}&to={to}"), 1), entries);
    let before: Vec<_> =
        all(&node, ADMIN, "/v1/journal", 10).into_iter().filter(|entry| &text(entry, "created_at") < from).collect();
    assert_eq!(all(&node, ADMIN, &format!("/v1/journal?to={from}"), 1), before);
}

#[test]
fn a_cursor_is_valid_for_its_own_filter_only() {
    let node = Node::start();
    let (one, key) = node.seller_with("one", "100");
    for at in 0..3 {
        node.charge(&key, &format!("c-{at}"), "1");
    }
    let page = node.get(ADMIN, &format!("/v1/charges?seller_id={one}&limit=1")).json();
    let next = text(&page, "next");
    assert_eq!(node.get(ADMIN, &format!("/v1/charges?seller_id={one}&limit=2&after={next}")).status, 200);
    for path in ["/v1/charges?limit=1", "/v1/journal?limit=1", "/v1/charges?phone=09123456789"] {
        let reply = node.get(ADMIN, &format!("{path}&after={next}"));
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{path}");
    }
}
