//! The seeds: each passes its door in every test run, and those that are made of this build's own encodings can be made anew.

use std::fs;
use std::path::Path;

use futures::executor::block_on;
use ledger::{Action, Command, Grant, IdempotencyKey, Name, SYSTEM_ACTOR};
use serde::Serialize;
use uuid::Uuid;

use super::DOORS;
use super::ledger_of_a_few::{admin_key, genesis};
use super::snapshot::history_of_one;
use crate::raft::catch_up::snapshot::transfer::FromSender;
use crate::raft::link::append::{Append, Appended};
use crate::raft::link::message::{Numbered, Request, Response};
use crate::storage::format::codec;
use crate::storage::model::{ModelDisks, entry, log_id};
use crate::storage::{Checkpoint, Disks, History, Vote};

/// Writes a seed.
fn seed(door: &str, name: &str, bytes: &[u8]) {
    fs::write(seeds().join(door).join(name), bytes).expect("a seed can be written");
}

fn seeds() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds")
}

/// What a peer would send, behind the byte that chooses what it is taken for.
fn frame(value: &impl Serialize) -> Vec<u8> {
    let bytes = codec::encode(value).expect("it is small");
    [&u32::try_from(bytes.len()).expect("it is small").to_be_bytes()[..], &bytes].concat()
}

fn framed(kind: u8, value: &impl Serialize) -> Vec<u8> {
    [vec![kind], frame(value)].concat()
}

/// A value on the disk as [`super::disk`] reads it.
fn stored(kind: u8, number: u8, part: u8, seals: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).expect("it is short");
    [&[kind, number, part, seals, length], body].concat()
}

#[test]
#[ignore = "writes the seeds that are made of this build's own encodings, after these have changed"]
fn seeds_are_written() {
    let charge = r#"{"phone":"09123456789","amount":"5"}"#;
    let command =
        Command { actor: 1, idempotency_key: IdempotencyKey::new("k-1").ok(), action: Action::RevokeKey { key: 3 } };
    let forward = |command| Request::Forward { commands: vec![command].into(), wait_ms: 9 };
    seed("peer-frames", "request", &framed(2, &Numbered { id: 7, body: forward(command) }));
    let key = IdempotencyKey::new("k-1").ok();
    let hash = genesis().admin_key;
    let action = Action::CreateKey { name: Name::new("till 2").expect("short"), grant: Grant::Auditor, hash };
    let taken = Command { actor: 1, idempotency_key: None, action };
    seed("peer-frames", "secret-taken", &framed(2, &Numbered { id: 8, body: forward(taken) }));
    let action = Action::RegisterNode { node: 4, incarnation: Uuid::from_u128(4) };
    let keyed = Command { actor: SYSTEM_ACTOR, idempotency_key: key, action };
    seed("peer-frames", "system-with-a-key", &framed(2, &Numbered { id: 9, body: forward(keyed) }));
    seed("peer-frames", "ping", &framed(2, &Numbered { id: 1, body: Request::Ping }));
    seed("peer-frames", "response", &framed(3, &Numbered { id: 1, body: Response::ReadPosition(Some(9)) }));
    let vote = Vote::new(3, 2);
    let entries = vec![entry(3, 4, 5)];
    let append = Append { vote, prev_log_id: None, entries, leader_commit: None };
    seed("peer-frames", "append", &framed(4, &append));
    let appended: Appended = Ok(Some(log_id(3, 4)));
    seed("peer-frames", "appended", &framed(5, &appended));
    let disks = ModelDisks::default();
    let to = block_on(history_of_one(&disks));
    let history = History::open(disks.open("history").expect("a disk")).expect("a history");
    let bytes = history.page(0, 1).expect("a page");
    let checksum = *blake3::hash(&bytes).as_bytes();
    let give = [
        frame(&FromSender::Offer { vote, to: to.clone() }),
        frame(&FromSender::Page { page: 0, bytes: bytes.clone(), checksum }),
        frame(&FromSender::End),
    ];
    seed("snapshot-stream", "whole", &give.concat());
    seed("snapshot-stream", "offer", &give[0]);
    let far = Checkpoint { records: 100, ..to.clone() };
    seed(
        "snapshot-stream",
        "short-page",
        &[frame(&FromSender::Offer { vote, to: far }), give[1].clone(), give[2].clone()].concat(),
    );
    seed(
        "stored-values",
        "history",
        &[stored(5, 0, 0, 1, &codec::encode(&to).expect("small")), stored(6, 0, 0, 1, &bytes)].concat(),
    );
    let vote = codec::encode(&vote).expect("small");
    let heading = codec::encode(&0_u64).expect("small");
    seed("stored-values", "vote", &[stored(0, 0, 0, 1, &heading), stored(1, 0, 0, 1, &vote)].concat());
    seed("stored-values", "unsealed", &stored(4, 1, 0, 0, &vote));
    let ask = |line: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "{line} HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n{body}",
            admin_key()
        )
    };
    let key = "Idempotency-Key: \"k-1\"\r\n";
    seed("http", "seller", ask("POST /v1/sellers", "", r#"{"name":"Shop"}"#).as_bytes());
    seed("http", "charge", ask("POST /v1/charges", key, charge).as_bytes());
    seed(
        "http",
        "batch",
        ask(
            "POST /v1/charges/batch",
            "",
            r#"{"charges":[{"phone":"+989123456789","amount":"1.5","idempotency_key":"a"}]}"#,
        )
        .as_bytes(),
    );
    seed("http", "credit-request", ask("POST /v1/credit-requests", key, r#"{"amount":"100","note":"n"}"#).as_bytes());
    seed(
        "http",
        "journal",
        ask("GET /v1/journal?limit=2&after=1&from=2026-01-01T00:00:00Z", "Etebar-Min-Applied: 1\r\n", "").as_bytes(),
    );
    seed("http", "cluster", ask("GET /v1/cluster?consistency=local", "", "").as_bytes());
    seed("http", "audit", ask("GET /v1/audit", "", "").as_bytes());
    seed("http", "chunked", b"POST /v1/charges HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\n{\"p\r\n0\r\n\r\n");
    seed("http", "two", b"GET /livez HTTP/1.1\r\nHost: n\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n");
    for (name, text) in [
        ("iranian", "0912 345-6789"),
        ("persian", "\u{6f0}\u{6f9}\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}\u{6f7}\u{6f8}\u{6f9}"),
        ("abroad", "+44 7911 123456"),
        ("letters", "0912-abc-4567"),
        ("amount", "-12.3400"),
        ("largest", "1000000000000000"),
        ("time", "2026-11-26T08:13:00.25+03:30"),
    ] {
        seed("texts", name, text.as_bytes());
    }
}

#[test]
fn every_seed_passes_its_door() {
    for (name, door) in DOORS {
        let files: Vec<_> = fs::read_dir(seeds().join(name)).expect("each door has seeds").flatten().collect();
        assert!(files.len() >= 3, "{name} has {} seeds", files.len());
        for file in files {
            println!("{}", file.path().display());
            door(&fs::read(file.path()).expect("a seed is readable"));
        }
    }
}
