//! `etebar load`: what its record says of a charge is what is certain of it.

use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Fake, Reaction, problem};
use crate::program::{code, err, etebar, out};

/// A load for a second of a seller whose charges break off at first, and are then refused with this.
fn refused_after_a_break(refusal: &'static str, status: u16) -> (Value, Vec<Value>, i32) {
    let broken = Mutex::new(HashSet::new());
    let fake = Fake::node(move |asked, _| {
        let is_first = broken.lock().unwrap().insert(asked.key.clone());
        if is_first { Reaction::Break } else { Reaction::Answer(status, vec![], problem(refusal, status)) }
    });
    let folder = tempfile::tempdir().unwrap();
    let (sellers, record) = (folder.path().join("sellers"), folder.path().join("record"));
    fs::write(&sellers, json!({"seller_id": Uuid::from_u128(2), "key": "etb_seller_x"}).to_string()).unwrap();
    let (sellers, record) = (sellers.to_str().unwrap(), record.to_str().unwrap());
    let verb =
        ["load", "--json", "--sellers-file", sellers, "--record", record, "--seconds", "1", "--connections", "1"];
    let output = etebar(&fake.url, &verb);
    let report = serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
    let lines = fs::read_to_string(record).unwrap();
    (report, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), code(&output))
}

#[test]
fn a_refusal_of_one_attempt_is_no_refusal_of_a_charge_that_may_be_done() {
    for (refusal, status) in [("unauthenticated", 401), ("forbidden", 403)] {
        let (report, lines, code) = refused_after_a_break(refusal, status);
        assert_eq!((&report["refused"], &report["unanswered"], code), (&json!(0), &json!(lines.len()), 3), "{report}");
        assert!(!lines.is_empty() && lines.iter().all(|line| line["status"] == 0), "{lines:?}");
    }
    let (report, lines, code) = refused_after_a_break("insufficient_credit", 409);
    assert_eq!((&report["refused"], &report["unanswered"], code), (&json!(lines.len()), &json!(0), 0), "{report}");
}
