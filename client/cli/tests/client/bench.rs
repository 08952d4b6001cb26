//! `etebar bench`: what it says of a run whose books are exact, wrong, or cannot be checked, and what it keeps of it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Asked, CHARGE, Fake, Reaction, problem};
use crate::program::{code, err, etebar, out};

const AT: &str = "2026-11-01T08:30:00.000Z";

/// How the fake's audit ends.
#[derive(Clone, Copy)]
enum Audit {
    Consistent,
    Inconsistent,
    /// It does not cover the last entry at first.
    Behind,
    /// It takes longer than a node gives it.
    TooLong,
}

/// A node with one seller.
struct Books {
    charged: Mutex<HashSet<String>>,
    audits: Mutex<u64>,
    audit: Audit,
    /// Charges that the books lack.
    lost: i64,
}

impl Books {
    fn node(audit: Audit, lost: i64) -> Fake {
        let books = Books { charged: Mutex::default(), audits: Mutex::default(), audit, lost };
        let url = Arc::new(OnceLock::new());
        let own = Arc::clone(&url);
        let fake = Fake::start(move |asked, _| books.answer(asked, own.get().map_or("", String::as_str)));
        url.get_or_init(|| fake.url.clone());
        fake
    }

    fn answer(&self, asked: &Asked, own: &str) -> Reaction {
        let id = Uuid::from_u128(2);
        let sent: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let (status, body) = match asked.line.as_str() {
            "GET /v1/cluster" => (
                200,
                json!({"leader": 1, "term": 1, "applied": 9, "version": "0", "key_window_seconds": 86400, "members": [
                    {"id": 1, "api": own, "peer": "p", "role": "voter", "healthy": true, "applied": 9, "lag": 0},
                ]}),
            ),
            "POST /v1/sellers" => (201, seller(&sent["name"])),
            "GET /v1/sellers/me" => (200, seller(&json!("n"))),
            "POST /v1/keys" => (
                201,
                json!({"id": id, "role": "seller", "name": sent["name"], "seller_id": id, "key": "etb_seller_x", "created_at": AT}),
            ),
            "POST /v1/charges" => {
                self.charged.lock().unwrap().insert(asked.key.clone().unwrap_or_default());
                return Reaction::Answer(201, vec![], CHARGE.to_owned());
            }
            "GET /livez" => return Reaction::Answer(200, vec![], "ok".to_owned()),
            line if line.starts_with("GET /v1/audit?min_entry=") => return self.audit(),
            line if line.ends_with("/reconciliation") => (200, self.reconciliation()),
            // A credit request, and its approval.
            _ => (
                if asked.line.ends_with("/approve") { 200 } else { 201 },
                json!({"id": id, "seller_id": id, "amount": "1000000000000", "note": null, "status": "approved", "created_at": AT,
                    "decided_at": null, "decided_by": null, "reason": null}),
            ),
        };
        Reaction::Answer(status, vec![], body.to_string())
    }

    fn reconciliation(&self) -> Value {
        let charges = i64::try_from(self.charged.lock().unwrap().len()).unwrap() - self.lost;
        json!({
            "seller_id": Uuid::from_u128(2), "credits": "1000000000000", "adjustments": "0",
            "charges": (-charges).to_string(), "reversals": "0", "sum": (1_000_000_000_000 - charges).to_string(),
            "balance": (1_000_000_000_000 - charges).to_string(), "entries": charges + 1, "consistent": true,
        })
    }

    fn audit(&self) -> Reaction {
        let mut audits = self.audits.lock().unwrap();
        *audits += 1;
        let (consistent, entries) = match self.audit {
            Audit::Consistent => (true, 7),
            Audit::Inconsistent => (false, 7),
            Audit::Behind if *audits >= 3 => (true, 7),
            Audit::Behind | Audit::TooLong => return Reaction::Answer(503, vec![], problem("behind", 503)),
        };
        let body = json!({
            "entries": entries, "head": entries, "sellers": 1, "credits": "0", "adjustments": "0", "charges": "0", "reversals": "0",
            "seller_balances": "0", "phone_balances": "0", "treasury": "0", "consistent": consistent, "broken": [],
            "applied": 9, "digest": "d",
        });
        Reaction::Answer(200, vec![], body.to_string())
    }
}

fn seller(name: &Value) -> Value {
    json!({"id": Uuid::from_u128(2), "name": name, "status": "active", "balance": "0", "created_at": AT})
}

/// A short bench of one seller.
fn bench(node: &Fake, more: &[&str]) -> Output {
    let mut arguments = vec!["--timeout", "1s", "bench", "--seconds", "1", "--connections", "4", "--color", "never"];
    arguments.extend(more);
    etebar(&node.url, &arguments)
}

fn report(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap_or_else(|_| panic!("{}", err(output)))
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_run_whose_check_cannot_be_made_is_reported_and_kept_and_exits_with_3() {
    let (node, folder) = (Books::node(Audit::TooLong, 0), tempfile::tempdir().unwrap());
    let file = path(folder.path(), "run.json");
    let people = bench(&node, &["--sellers", "1", "--save", &file]);
    assert_eq!(code(&people), 3, "{}", err(&people));
    assert!(out(&people).contains("books exact  not checked: the audit of the ledger: "), "{}", out(&people));
    assert!(err(&people).contains("etebar: the books were not checked: "), "{}", err(&people));
    let kept: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(kept["report"]["accepted"].as_u64().unwrap() > 0 && kept["report"]["books_exact"].is_null(), "{kept}");
    let programs = report(&bench(&Books::node(Audit::TooLong, 0), &["--sellers", "1", "--json"]));
    assert!(programs["not_checked"].as_str().unwrap().starts_with("the audit of the ledger: "), "{programs}");
}

#[test]
fn a_difference_is_a_broken_promise() {
    for (audit, lost, said) in [
        (Audit::Consistent, 1, "charges were accepted and 0 open, the books show"),
        (Audit::TooLong, 1, "charges were accepted and 0 open, the books show"),
        (Audit::Inconsistent, 0, "the audit finds the ledger inconsistent"),
    ] {
        let output = bench(&Books::node(audit, lost), &["--sellers", "1", "--json"]);
        assert_eq!((code(&output), &report(&output)["books_exact"]), (4, &json!(false)));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn an_audit_that_is_behind_is_awaited() {
    let output = bench(&Books::node(Audit::Behind, 0), &["--sellers", "1", "--json"]);
    assert_eq!((code(&output), &report(&output)["books_exact"]), (0, &json!(true)), "{}", err(&output));
}

#[test]
fn an_open_loop_of_two_processes_sends_what_the_schedule_says() {
    let node = Books::node(Audit::Consistent, 0);
    let output = bench(&node, &["--json", "--sellers", "1", "--rate", "200", "--reads", "30", "--processes", "2"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let report = report(&output);
    let counted = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(counted("accepted") + counted("reads") + counted("unsent"), 200, "{report}");
    assert_eq!(report["books_exact"], true, "the charges of both processes are in the books");
    let asked = node.asked();
    let keys: HashSet<_> =
        asked.iter().filter(|asked| asked.line == "POST /v1/charges").map(|asked| &asked.key).collect();
    assert_eq!(keys.len() as u64, counted("accepted"), "no key is used by both");
    assert!((20..=100).contains(&counted("reads")), "{report}");
    assert_eq!(report["kinds"]["read"]["requests"], report["reads"]);
}

#[test]
fn a_limit_of_charges_ends_a_run() {
    let node = Books::node(Audit::Consistent, 0);
    let output = bench(&node, &["--json", "--sellers", "1", "--charges", "25", "--processes", "2"]);
    assert_eq!((code(&output), &report(&output)["accepted"]), (0, &json!(25)), "{}", err(&output));
    assert!(report(&output)["seconds"].as_f64().unwrap() < 1.0);
}

#[test]
fn charges_are_compared_with_no_ops_that_were_kept() {
    let (node, folder) = (Books::node(Audit::Consistent, 0), tempfile::tempdir().unwrap());
    let (file, drawing) = (path(folder.path(), "no-op.json"), path(folder.path(), "run.svg"));
    let limit = bench(&node, &["--json", "--no-op", "--save", &file]);
    assert_eq!((code(&limit), &report(&limit)["books_exact"]), (0, &Value::Null), "{}", err(&limit));
    assert!(node.asked().iter().all(|asked| !asked.line.starts_with("POST")), "no sellers are made");
    let output = bench(&node, &["--json", "--sellers", "1", "--compare", &file, "--svg", &drawing]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let (limit, report) = (report(&limit), report(&output));
    let ratio = report["charges_per_second"].as_f64().unwrap() / limit["requests_per_second"].as_f64().unwrap();
    let stated = report["comparison"]["ratios"]["charges_to_no_op"].as_f64().unwrap();
    assert!((stated - ratio).abs() < 0.001, "{report}");
    assert_eq!(
        report["comparison"]["different"],
        json!(["phones: 100000, saved 0", "requests: ledger, saved no_op", "sellers: 1, saved 0"])
    );
    let svg = fs::read_to_string(drawing).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("single charges, 4 connections, closed loop"));
    assert!(svg.contains("this run") && svg.contains("saved") && svg.contains("99 %"));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let (node, folder) = (Books::node(Audit::Consistent, 0), tempfile::tempdir().unwrap());
    let (none, other) = (path(folder.path(), "none"), path(folder.path(), "other"));
    fs::write(&other, r#"{"format":"etebar-bench","version":9}"#).unwrap();
    let cases: [(&[&str], &str); 10] = [
        (&["--processes", "5"], "each process needs a connection"),
        (&["--reads", "101"], "101 is not in 0..=100"),
        (&["--rate", "0"], "0 is not in 1..=1000000"),
        (&["--charges", "9", "--batch", "10"], "not even one request"),
        (&["--reads", "100", "--charges", "9"], "has nothing to limit"),
        (&["--no-op", "--batch", "2"], "cannot be used with"),
        (&["--compare", &none], "No such file"),
        (&["--compare", &other], "version 9 of the format"),
        (&["--save", &none, "--svg", &none], "name the same file"),
        (&["--part"], "processes that bench starts by itself"),
    ];
    for (arguments, said) in cases {
        let output = bench(&node, arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
    assert_eq!(code(&bench(&node, &["--save", folder.path().to_str().unwrap()])), 2, "a folder");
    assert!(node.asked().is_empty());
}
