//! `GET /v1/backup` over a real socket: a stream that is whole or known as cut, continued, refused, and bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use etebar_node::http::Limits;
use pages::backup::{Head, Reader};
use serde_json::json;

use super::kit::{ADMIN, Node};

/// Charges this many batches of 8,000, which take 1.1 MB each in a backup.
fn charge(node: &Node, key: &str, batches: usize) {
    for batch in 0..batches {
        let charge =
            |at: usize| json!({"phone": "09123456789", "amount": 1, "idempotency_key": format!("k{batch}-{at}")});
        let body = json!({ "charges": (0..8_000).map(charge).collect::<Vec<_>>() });
        assert_eq!(node.post(key, "/v1/charges/batch", "", &body).status, 200);
    }
}

fn open(node: &Node, query: &str) -> TcpStream {
    let mut stream = node.connect();
    let request = format!(
        "GET /v1/backup{query} HTTP/1.1\r\nhost: kit\r\nauthorization: Bearer {ADMIN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The body of an answer in chunks, and whether its last chunk says that it is the last.
fn chunks(stream: &mut TcpStream) -> (String, Vec<u8>, bool) {
    let mut bytes = Vec::new();
    // A reset ends it too.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
    let (mut rest, mut body) = (&bytes[end..], Vec::new());
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        body.extend_from_slice(&chunk[..length.min(chunk.len())]);
        if length == 0 {
            return (head, body, true);
        }
        let Some(next) = chunk.get(length + 2..) else { break };
        rest = next;
    }
    (head, body, false)
}

fn whole(node: &Node, query: &str) -> (Head, u64) {
    let (head, body, is_whole) = chunks(&mut open(node, query));
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-type: application/vnd.etebar.backup\r\n"),
        "{head}"
    );
    assert!(is_whole);
    let (head, reader) = Reader::open(body.as_slice()).unwrap();
    let mut last = 0;
    for page in reader {
        last = head.decode(&page.unwrap()).unwrap().records.last().unwrap().number;
    }
    (head, last)
}

#[test]
fn a_backup_has_all_that_was_acknowledged_before_and_goes_on_where_it_was_cut() {
    let node = Node::start();
    let (_, key) = node.seller_with("shop", "10000");
    for at in 0..200 {
        node.charge(&key, &format!("k{at}"), "1");
    }
    let (all, last) = whole(&node, "");
    assert_eq!((all.entries, last), (201, all.records), "every charge, at once");
    assert!(all.position.is_some() && all.totals.is_some_and(|totals| totals.sum() == 0));
    node.charge(&key, "later", "1");
    // As a download goes on that was cut after two pages.
    let (rest, last) = whole(&node, &format!("?records={}&after=128", all.records));
    assert_eq!(
        (rest.record_digest, rest.entry_digest, rest.entries),
        (all.record_digest, all.entry_digest, all.entries)
    );
    assert_eq!((rest.first_page, last, rest.position, rest.totals), (2, all.records, None, None));
    let (until, _) = whole(&node, "?until=100");
    assert_eq!(until.entries, 100);
    let (nothing, last) = whole(&node, &format!("?records={}&after={}", all.records, all.records));
    assert_eq!((nothing.records, last), (all.records, all.records), "an increment has its page whole");
    for query in ["?until=203", "?until=0", "?records=0", "?records=9999", "?after=9999", "?until=1&records=1"] {
        let refused = node.get(ADMIN, &format!("/v1/backup{query}"));
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"), "{query}");
    }
    assert_eq!(node.get(&key, "/v1/backup").status, 403);
}

#[test]
fn a_caller_that_takes_nothing_is_cut_and_its_place_is_free_again() {
    let node = Node::with(&Limits { stalled: Duration::from_secs(1), ..Limits::default() }, 0);
    let (_, key) = node.seller_with("shop", "1000000");
    charge(&node, &key, 10);
    let mut held = [open(&node, ""), open(&node, "")];
    for stream in &mut held {
        stream.peek(&mut [0; 16]).unwrap();
    }
    let bearer = format!("Bearer {ADMIN}");
    let ask = || node.call("HEAD", "/v1/backup", &[("authorization", &bearer)], "");
    let refused = ask();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "two at a time");
    let is_free = || (ask().status == 200).then_some(());
    tests::until(Duration::from_secs(20), "the place of a caller that takes nothing", is_free);
    for stream in &mut held {
        let (_, body, is_whole) = chunks(stream);
        assert!(!is_whole, "a stream that was cut ends as if it were whole");
        assert!(Reader::open(body.as_slice()).unwrap().1.any(|page| page.is_err()));
    }
}
