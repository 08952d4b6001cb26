//! Answers that could not be printed: every verb that writes reports that with exit code 3, and names what it did.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::wait::eventually;
use uuid::Uuid;

use crate::fake::{CHARGE, Fake, Reaction};
use crate::program::{code, err};
use crate::shop::{Desk, Shop};

const ID: Uuid = Uuid::from_u128(7);
const AT: &str = "2026-11-01T08:30:00.000Z";

fn entry(kind: &str) -> Value {
    json!({
        "entry": 9, "record": 90, "created_at": AT, "kind": kind, "seller_id": ID, "amount": "-5000", "balance": "1", "debit": "d",
        "credit": "c", "reference": ID, "actor": "a", "digest": "d",
    })
}

fn request(status: &str) -> Value {
    json!({
        "id": ID, "seller_id": ID, "amount": "5000", "note": null, "status": status, "created_at": AT,
        "decided_at": null, "decided_by": null, "reason": null,
    })
}

fn seller(status: &str) -> Value {
    json!({"id": ID, "name": "n", "status": status, "balance": "1", "created_at": AT})
}

/// Each writing verb, what it is answered, and what must be said of it.
fn verbs() -> Vec<(String, u16, Value, Vec<&'static str>)> {
    let key =
        json!({"id": ID, "role": "auditor", "name": "n", "seller_id": null, "key": "etb_secret", "created_at": AT});
    let charge: Value = serde_json::from_str(CHARGE).unwrap();
    let verb = |text: &str| text.replace("ID", &ID.to_string());
    let keyed = |text: &str| verb(&format!("{text} --idempotency-key order-17"));
    vec![
        (keyed("charge 09123456789 5000"), 201, charge, vec!["the charge is done", "order-17"]),
        (keyed("charges reverse ID --reason r"), 201, entry("reversal"), vec!["is reversed", "order-17"]),
        (keyed("adjust ID -5000 --reason r"), 201, entry("adjustment"), vec!["adjustment is done", "order-17"]),
        (
            keyed("keys create --role auditor --name n"),
            201,
            key,
            vec!["the API key exists", "order-17", "keys revoke 00000000-0000-0000-0000-000000000007"],
        ),
        (keyed("sellers create n"), 201, seller("active"), vec!["the seller exists", "order-17"]),
        (verb("sellers suspend ID"), 200, seller("suspended"), vec!["is suspended", "sellers suspend"]),
        (verb("sellers activate ID"), 200, seller("active"), vec!["is active", "sellers activate"]),
        (keyed("credit-requests create 5000"), 201, request("pending"), vec!["is filed", "order-17"]),
        (verb("credit-requests approve ID"), 200, request("approved"), vec!["is approved"]),
        (verb("credit-requests reject ID"), 200, request("rejected"), vec!["is rejected"]),
    ]
}

fn command(fake: &Fake, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
    command.args(arguments.split(' ')).env("ETEBAR_SERVER", &fake.url).env("ETEBAR_KEY", "etb_admin_x");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs it where nothing can be printed: on a full device, and into a closed pipe.
fn unprinted(mut command: Command) -> [Output; 2] {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let on_full = command.stdout(full).spawn().unwrap().wait_with_output().unwrap();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    [on_full, command.stdout(writer).spawn().unwrap().wait_with_output().unwrap()]
}

#[test]
fn every_write_that_cannot_be_printed_exits_with_3_and_names_what_was_done() {
    for (arguments, status, body, said) in verbs() {
        let id = body["id"].as_str().unwrap_or("00000000-0000-0000-0000-000000000007").to_owned();
        let fake = Fake::start(move |_, _| Reaction::Answer(status, vec![], body.to_string()));
        for output in unprinted(command(&fake, &arguments)) {
            let people = err(&output);
            assert_eq!(code(&output), 3, "{arguments}: {people}");
            assert!(people.contains(&id) && people.contains("\nhint: "), "{arguments}: {people}");
            assert!(said.iter().all(|said| people.contains(said)), "{arguments}: {people}");
            assert!(!people.contains("etb_secret") && !people.contains("etb_admin_x"), "{people}");
        }
        for output in unprinted(command(&fake, &format!("--json {arguments}"))) {
            let stated: Value = serde_json::from_str(&err(&output)).unwrap();
            assert_eq!((code(&output), &stated["code"]), (3, &json!("done_not_printed")), "{arguments}: {stated}");
            assert_eq!(stated["id"], id, "{arguments}: {stated}");
            assert_eq!(stated["idempotency_key"] == "order-17", arguments.contains("order-17"), "{stated}");
        }
    }
}

#[test]
fn a_random_key_is_named_too_and_so_is_a_revocation() {
    let fake = Fake::start(|asked, _| {
        if asked.line.starts_with("DELETE ") {
            Reaction::Answer(204, vec![], String::new())
        } else {
            Reaction::Answer(201, vec![], CHARGE.to_owned())
        }
    });
    for (at, output) in unprinted(command(&fake, "charge 09123456789 5000")).iter().enumerate() {
        let key = fake.asked()[at].key.clone().unwrap();
        assert!(err(output).contains(&format!("--idempotency-key {key}")), "{}", err(output));
    }
    for output in unprinted(command(&fake, &format!("keys revoke {ID}"))) {
        assert_eq!(code(&output), 3);
        assert!(err(&output).contains("is revoked") && err(&output).contains(&ID.to_string()), "{}", err(&output));
    }
}

#[test]
fn a_batch_and_an_import_that_cannot_be_printed_say_how_much_was_charged() {
    let (shop, desk) = (Shop::honest(), Desk::lines(3));
    std::fs::write(
        desk.path("charges.jsonl"),
        "{\"phone\":\"+989123456789\",\"amount\":\"5\",\"idempotency_key\":\"k\"}\n",
    )
    .unwrap();
    let batch = format!("charges batch {}", desk.path("charges.jsonl").display());
    for output in unprinted(command(&shop.fake, &batch)) {
        assert_eq!(code(&output), 3, "{}", err(&output));
        assert!(err(&output).contains("1 of 1 charges are done"), "{}", err(&output));
    }
    let import = format!("charges import {}", desk.input().display());
    for output in unprinted(command(&shop.fake, &import)) {
        assert_eq!(code(&output), 3, "{}", err(&output));
        assert!(err(&output).contains("3 lines are charged") && err(&output).contains(".resume"), "{}", err(&output));
    }
    // A result that cannot be written is no refusal either.
    std::fs::remove_file(desk.path("orders.result.csv")).unwrap();
    std::fs::create_dir(desk.path("orders.result.csv")).unwrap();
    let output = command(&shop.fake, &import).stdout(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(err(&output).contains("3 lines are charged"), "{}", err(&output));
    assert_eq!(shop.charged(), 4);
}

#[test]
fn a_read_that_cannot_be_printed_exits_with_3_and_a_reader_that_has_enough_is_no_error() {
    let fake = Fake::start(|_, _| Reaction::Answer(200, vec![], seller("active").to_string()));
    for arguments in ["sellers show me", "--json sellers show me"] {
        let [full, closed] = unprinted(command(&fake, arguments));
        assert_eq!((code(&full), code(&closed)), (3, 0), "{}", err(&full));
        assert!(err(&full).contains("could not be printed"), "{}", err(&full));
    }
    let [help, _] = unprinted(command(&fake, "--help"));
    assert_eq!(code(&help), 3, "{}", err(&help));
    assert!(err(&help).contains("could not be printed"));
}

#[test]
fn a_broken_promise_weighs_more_than_that_it_could_not_be_printed() {
    let books = json!({
        "seller_id": ID, "credits": "1", "adjustments": "0", "charges": "0", "reversals": "0", "sum": "1",
        "balance": "2", "entries": 1, "consistent": false,
    });
    let fake = Fake::start(move |_, _| Reaction::Answer(200, vec![], books.to_string()));
    let [full, _] = unprinted(command(&fake, &format!("reconcile {ID}")));
    assert_eq!(code(&full), 4, "{}", err(&full));
}

#[test]
fn an_interrupted_write_is_unknown_and_names_its_key() {
    for signal in [Signal::INT, Signal::TERM] {
        let fake = Fake::start(|_, _| Reaction::NoAnswer);
        let child = command(&fake, "--json charge 09123456789 5000").stdout(Stdio::piped()).spawn().unwrap();
        eventually("the charge to be sent", || !fake.asked().is_empty());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let stated: Value = serde_json::from_str(&err(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
        assert_eq!((code(&output), &stated["code"]), (3, &json!("outcome_unknown")), "{stated}");
        assert_eq!(stated["idempotency_key"].as_str(), fake.asked()[0].key.as_deref());
        assert!(stated["hint"].as_str().unwrap().contains("--idempotency-key "), "{stated}");
    }
}
