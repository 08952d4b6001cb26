//! What bad input gets: the error of the contract, nothing moved, and the node as well as before.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::api::caller::{phone, unique};
use tests::api::http::{ANSWER_WAIT, Connection};
use tests::{Cluster, Plan, Request, Response, Seller};

fn cluster() -> &'static Cluster {
    Plan::new("bad-input").shared()
}

fn send_charge(seller: &Seller, body: impl Into<Vec<u8>>) -> Response {
    cluster().seller(1, seller).send(&Request::post("/v1/charges").key(&unique("bad")).raw_json(body))
}

fn with_amount(amount: &str) -> String {
    format!(r#"{{"phone":"09123456789","amount":{amount}}}"#)
}

fn with_phone(phone: &str) -> String {
    json!({"phone": phone, "amount": "1"}).to_string()
}

/// The seller's credit is untouched, and the nodes serve it as before.
#[track_caller]
fn assert_unharmed(seller: &Seller, balance: i64) {
    for id in cluster().ids() {
        assert_eq!(cluster().admin(id).balance(&seller.id), balance);
        assert_eq!(cluster().node(id).quick("/readyz").expect("an answer").status, 200);
    }
    cluster().seller(2, seller).charge(&unique("good"), &phone(1), 1).expect(201);
}

#[test]
fn malformed_bodies_are_400() {
    let seller = cluster().seller_with(1_000);
    for body in [
        "",
        " ",
        "{",
        "}",
        "null",
        "[]",
        "17",
        "\"charge\"",
        "{}",
        "nonsense",
        "{\"phone\":}",
        r#"{"phone":"09123456789","amount":"1"}}"#,
        r#"{"phone":"09123456789","amount":"1"} trailing"#,
        r#"{"phone":"09123456789","amount":"1",}"#,
        r#"{"phone":"09123456789","amount":"1","amount":"2"}"#,
        r#"{"phone":["09123456789"],"amount":"1"}"#,
        r#"{"phone":null,"amount":"1"}"#,
        r#"{"phone":"09123456789","amount":"1","unknown":null}"#,
        r#"{"Phone":"09123456789","amount":"1"}"#,
    ] {
        let answer = send_charge(&seller, body);
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body}: {}", answer.text());
    }
    assert_eq!(send_charge(&seller, [0xFF, 0xFE, b'{', b'}'].to_vec()).status, 400, "no UTF-8");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send_charge(&seller, deep).status, 400, "nested without end");
    assert_unharmed(&seller, 1_000);
}

/// As they stand in the JSON of a ledger without decimals.
const BAD_AMOUNTS: [&str; 50] = [
    "0",
    "-1",
    "1.5",
    "1.0",
    "1e3",
    "1E3",
    "1e400",
    "NaN",
    "Infinity",
    "-0",
    "01",
    "+1",
    "0x10",
    "true",
    "null",
    "[1]",
    "{}",
    "1000000000000001",
    "99999999999999999999999999",
    "18446744073709551617",
    r#""""#,
    r#"" ""#,
    r#""+1""#,
    r#""-1""#,
    r#""0""#,
    r#""0.0""#,
    r#"" 1""#,
    r#""1 ""#,
    r#""1,000""#,
    r#""1_000""#,
    r#""1e3""#,
    r#""1.5""#,
    r#""0.1""#,
    r#"".5""#,
    r#""5.""#,
    r#""NaN""#,
    r#""Infinity""#,
    r#""0x10""#,
    r#""۱۲""#,
    r#""1000000000000001""#,
    r#""99999999999999999999999999999999999999999999""#,
    r#""1\u0000""#,
    r#""--1""#,
    r#""1.0.0""#,
    r#""50.000""#,
    r#""1.000""#,
    r#""9.00""#,
    r#""5٬000""#,
    r#""5\u2009000""#,
    r#""\u202d5000""#,
];

#[test]
fn bad_amounts_are_400() {
    let seller = cluster().seller_with(1_000);
    for amount in BAD_AMOUNTS {
        let answer = send_charge(&seller, with_amount(amount));
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{amount}: {}", answer.text());
    }
    assert_unharmed(&seller, 1_000);
    send_charge(&seller, with_amount(r#""009""#)).expect(201);
    let detail = send_charge(&seller, with_amount(r#""50.000""#)).json()["errors"][0]["detail"].to_string();
    assert!(detail.contains("thousands separator"), "{detail}");
    let detail = send_charge(&seller, with_amount(r#""50\u200b""#)).json()["detail"].to_string();
    assert!(detail.contains("U+200B"), "{detail}");
    assert_eq!(cluster().admin(1).balance(&seller.id), 990);
}

#[test]
fn bad_phones_are_400() {
    let seller = cluster().seller_with(1_000);
    for number in [
        "",
        " ",
        "0",
        "abc",
        "0912-abc-4567",
        "0912345678",
        "091234567890",
        "02112345678",
        "+982112345678",
        "98912345678",
        "+98912345678",
        "+9891234567890",
        "++989123456789",
        "+",
        "+123456",
        "+1234567890123456",
        "09123456789;",
        "0912\n3456789",
        "tel:09123456789",
        "09123456789x",
        "٠٩١٢abc",
        "9123456789a",
        "+0912345678",
        "0912345678９x",
        "1234567",
    ] {
        let answer = send_charge(&seller, with_phone(number));
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{number:?}: {}", answer.text());
    }
    assert_unharmed(&seller, 1_000);
}

#[test]
fn phones_as_people_write_them_are_one_number() {
    let seller = cluster().seller_with(1_000);
    let spellings = [
        "09121112233",
        "9121112233",
        "+989121112233",
        "00989121112233",
        "989121112233",
        "0912 111 2233",
        "0912-111-22-33",
        "۰۹۱۲۱۱۱۲۲۳۳",
        "٠٩١٢١١١٢٢٣٣",
        "+98 912 111 2233",
    ];
    for spelling in spellings {
        assert_eq!(
            send_charge(&seller, with_phone(spelling)).expect(201).json()["phone"],
            "+989121112233",
            "{spelling}"
        );
    }
    let phone = cluster().admin(2).get("/v1/phones/+989121112233").expect(200).json();
    assert_eq!((&phone["charges"], &phone["balance"]), (&json!(spellings.len()), &json!(spellings.len().to_string())));
    assert!(phone["last_charge_at"].is_string());
    for foreign in ["+4915112345678", "+1 202 555 0123"] {
        let sold = send_charge(&seller, with_phone(foreign)).expect(201).json();
        assert_eq!(sold["phone"], foreign.replace(' ', ""));
    }
}

#[test]
fn a_cluster_with_decimal_places_takes_so_many_and_no_more() {
    let cluster = Plan::new("places").setting("ETEBAR_PLACES", "2").setting("ETEBAR_CURRENCY", "USD").start();
    let admin = cluster.admin(1);
    let seller = admin.new_seller("shop");
    let path = format!("/v1/sellers/{}/adjustments", seller.id);
    let adjust = |amount: Value| admin.post_keyed(&path, &unique("k"), &json!({"amount": amount, "reason": "x"}));
    let entry = adjust(json!("10.50")).expect(201).json();
    assert_eq!((&entry["amount"], &entry["balance"]), (&json!("10.50"), &json!("10.50")));
    assert_eq!(adjust(json!("-0.5")).expect(201).json()["balance"], "10.00");
    assert_eq!(adjust(json!(3)).expect(201).json()["balance"], "13.00");
    for bad in [
        json!("0.001"),
        json!("1.999"),
        json!("1.500"),
        json!("-0.5000"),
        json!(1.5),
        json!("0.00"),
        json!(0),
        json!("10000000000000.01"),
    ] {
        assert_eq!(adjust(bad.clone()).refusal(), (400, "invalid_request".into()), "{bad}");
    }
    assert_eq!(admin.get(&format!("/v1/sellers/{}", seller.id)).expect(200).json()["balance"], "13.00");
}

#[test]
fn an_adjustment_of_zero_or_without_reason_is_400() {
    let seller = cluster().seller_with(1_000);
    let path = format!("/v1/sellers/{}/adjustments", seller.id);
    for body in [
        json!({"amount": 0, "reason": "x"}),
        json!({"amount": 1}),
        json!({"amount": 1, "reason": 5}),
        json!({"reason": "x"}),
    ] {
        let answer = cluster().admin(1).post_keyed(&path, &unique("k"), &body);
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body}");
    }
    assert_unharmed(&seller, 1_000);
}

#[test]
fn an_oversized_body_is_413_and_its_caller_sees_the_answer() {
    let seller = cluster().seller_with(1_000);
    for mebibytes in [3, 6] {
        let mut connection = Connection::open(cluster().address(1), ANSWER_WAIT).expect("it listens");
        let request =
            Request::post("/v1/charges").key(&unique("big")).bearer(&seller.key).raw_json(vec![b' '; mebibytes << 20]);
        let answer = connection.send(&request).expect("the answer is seen");
        assert_eq!(answer.refusal(), (413, "too_large".into()), "{mebibytes} MiB");
        assert!(answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")));
        assert!(connection.is_closed());
    }
    // One that says at once that it is too long, and one that never says how long it is.
    let head = |length: &str| {
        let key = unique("big");
        format!(
            "POST /v1/charges HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\nContent-Type: application/json\r\n{length}\r\n\r\n",
            seller.key
        )
    };
    let mut connection = Connection::open(cluster().address(2), ANSWER_WAIT).expect("it listens");
    connection.write(head("Content-Length: 99999999999").as_bytes()).expect("it takes a head");
    assert_eq!(connection.read("POST").expect("an answer").refusal(), (413, "too_large".into()));
    let mut connection = Connection::open(cluster().address(3), ANSWER_WAIT).expect("it listens");
    connection.write(head("Transfer-Encoding: chunked").as_bytes()).expect("it takes a head");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    (0..40).try_for_each(|_| connection.write(chunk.as_bytes())).ok();
    assert_eq!(connection.read("POST").expect("an answer").refusal(), (413, "too_large".into()));
    assert_unharmed(&seller, 1_000);
}

#[test]
fn a_batch_over_8000_is_413_and_one_of_8000_is_done() {
    let seller = cluster().seller_with(100_000);
    let batch = |count: usize| {
        let items: Vec<_> =
            (0..count).map(|_| json!({"phone": phone(9), "amount": 1, "idempotency_key": unique("b")})).collect();
        json!({ "charges": items })
    };
    let caller = cluster().seller(1, &seller);
    assert_eq!(caller.post("/v1/charges/batch", &batch(8_001)).refusal(), (413, "too_large".into()));
    assert_eq!(caller.balance("me"), 100_000);
    let done = caller.post("/v1/charges/batch", &batch(8_000)).expect(200).json();
    assert!(done["results"].as_array().expect("results").iter().all(|result| result["status"] == 201));
    assert_eq!(caller.balance("me"), 92_000);
}

#[test]
fn equal_keys_inside_a_batch_replay_or_are_422() {
    let seller = cluster().seller_with(1_000);
    let key = unique("twin");
    let item = |amount: u64| json!({"phone": phone(1), "amount": amount, "idempotency_key": key});
    let answer =
        cluster().seller(3, &seller).post("/v1/charges/batch", &json!({"charges": [item(5), item(5), item(6)]}));
    let results = answer.expect(200).json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[0]["replayed"]), (&json!(201), &json!(false)));
    assert_eq!((&results[1]["status"], &results[1]["replayed"]), (&json!(201), &json!(true)));
    assert_eq!(results[1]["charge"], results[0]["charge"]);
    assert_eq!(
        (&results[2]["status"], &results[2]["problem"]["code"]),
        (&json!(422), &json!("idempotency_key_reused"))
    );
    assert_eq!(cluster().admin(1).balance(&seller.id), 995);
}

#[test]
fn heads_that_cannot_be_read_get_a_bare_answer_and_a_closed_connection() {
    let seller = cluster().seller_with(1_000);
    let huge = format!("GET /livez HTTP/1.1\r\nHost: test\r\nX-Filler: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /livez HTTP/1.1\r\nHost: test\r\n{}\r\n", "X-One: 1\r\n".repeat(10_000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "x".repeat(1 << 20));
    for (bytes, statuses) in [
        ("nonsense\r\n\r\n".to_owned(), vec![400]),
        ("GET /livez\r\n\r\n".to_owned(), vec![400]),
        ("GET /livez HTTP/1.1\r\nBad Header: x\r\n\r\n".to_owned(), vec![400]),
        ("GET /livez HTTP/9.9\r\nHost: test\r\n\r\n".to_owned(), vec![400, 505]),
        ("POST /v1/charges HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n".to_owned(), vec![400]),
        (huge, vec![431]),
        (many, vec![431]),
        (long, vec![414, 431]),
    ] {
        let mut connection = Connection::open(cluster().address(1), ANSWER_WAIT).expect("it listens");
        connection.write(bytes.as_bytes()).ok();
        let shown = bytes.lines().next().unwrap_or_default().chars().take(40).collect::<String>();
        let answer = connection.read("GET").unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(statuses.contains(&answer.status), "{shown}: {}", answer.status);
        assert!(answer.body.is_empty(), "{shown}: {}", answer.text());
        assert!(connection.is_closed(), "{shown}");
    }
    assert_unharmed(&seller, 1_000);
}

#[test]
fn a_slow_head_is_408_after_its_five_seconds() {
    let mut connection = Connection::open(cluster().address(1), ANSWER_WAIT).expect("it listens");
    let began = Instant::now();
    connection.write(b"GET /livez HTTP/1.1\r\nHost: ").expect("it takes bytes");
    let answer = connection.read("GET").expect("an answer");
    assert_eq!(answer.status, 408);
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(connection.is_closed());
}

#[test]
fn a_body_that_never_ends_does_not_outlive_the_limit_of_a_request() {
    let seller = cluster().seller_with(1_000);
    let mut connection = Connection::open(cluster().address(1), Duration::from_secs(20)).expect("it listens");
    let head = format!(
        "POST /v1/charges HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        seller.key,
        unique("slow")
    );
    connection.write(head.as_bytes()).expect("it takes bytes");
    let began = Instant::now();
    let answer = connection.read("POST");
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
    assert!(answer.is_ok_and(|answer| (400..=599).contains(&answer.status)), "the caller gets an answer");
    assert_unharmed(&seller, 1_000);
}

#[test]
fn many_idle_connections_do_not_block_others() {
    let seller = cluster().seller_with(1_000);
    let idle: Vec<_> =
        (0..500).map(|_| Connection::open(cluster().address(1), ANSWER_WAIT).expect("it listens")).collect();
    cluster().seller(1, &seller).charge(&unique("sale"), &phone(1), 1).expect(201);
    drop(idle);
    assert_unharmed(&seller, 999);
}

#[test]
fn bytes_that_mean_nothing_leave_the_peers_port_and_the_node_unharmed() {
    let seller = cluster().seller_with(1_000);
    for id in cluster().ids() {
        let mut peer = cluster().address(id);
        peer.set_port(peer.port() + 20);
        for bytes in
            [vec![0xFF; 4096], vec![0; 64], b"GET / HTTP/1.1\r\n\r\n".to_vec(), u32::MAX.to_be_bytes().to_vec()]
        {
            let mut connection = Connection::open(peer, Duration::from_secs(2)).expect("it listens");
            connection.write(&bytes).ok();
        }
    }
    assert_unharmed(&seller, 1_000);
}
