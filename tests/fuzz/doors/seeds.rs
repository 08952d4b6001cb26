//! The seeds: each passes its door in every test run. Those that are made of this build's own encodings are made here;
//! the program `seeds` of `tests/fuzz` writes them, after an encoding has changed.

use std::io;
use std::path::Path;

use futures::executor::block_on;
use ledger::{Action, Command, CreateKey, Grant, IdempotencyKey, Name, RegisterNode, RevokeKey, SYSTEM_ACTOR};
use pages::backup::{Head, Writer};
use serde::Serialize;
use uuid::Uuid;

use super::ledger_of_a_few::{admin_key, genesis};
use super::snapshot::history_of_one;
use crate::raft::catch_up::snapshot::transfer::FromSender;
use crate::raft::link::hello::PeerIdentity;
use crate::raft::link::hello::bytes::Welcome;
use crate::raft::link::message::raft::{PlainAppend, PlainAppended};
use crate::raft::link::message::{Numbered, Purpose, Request, Response};
use crate::storage::format::{Kind, codec};
use crate::storage::model::{ModelDisks, entry, log_id};
use crate::storage::types::plain::PlainVote;
use crate::storage::{Checkpoint, Disks, History, PlainCheckpoint, Vote};

/// A seed by its name, which is that of its file.
type Seed = (&'static str, Vec<u8>);

/// Writes the seeds of all doors below `folder`, which has a folder for each door.
///
/// # Errors
/// Where a file cannot be written.
pub fn write_seeds(folder: &Path) -> io::Result<()> {
    let (snapshots, history) = snapshots();
    for (door, seeds) in [
        ("peer-frames", peer_frames()),
        ("snapshot-stream", snapshots),
        ("stored-values", stored_values(&history)),
        ("backup-file", backups()),
        ("http", requests()),
        ("texts", texts()),
    ] {
        for (name, bytes) in seeds {
            std::fs::write(folder.join(door).join(name), bytes)?;
        }
    }
    Ok(())
}

/// What a peer would send, behind the byte that chooses what it is decoded as.
fn frame(value: &impl Serialize) -> Vec<u8> {
    frame_of(&codec::encode(Kind::Message, value).expect("it is small"))
}

fn frame_of(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("it is small");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn framed(kind: u8, value: &impl Serialize) -> Vec<u8> {
    [vec![kind], frame(value)].concat()
}

fn peer_frames() -> Vec<Seed> {
    let key = || IdempotencyKey::new("k-1").ok();
    let numbered = |id, command: Command| {
        framed(2, &Numbered { id, body: Request::Forward { commands: vec![command].into(), wait_ms: 9 } })
    };
    let revoke =
        Command { actor: 1, idempotency_key: key(), origin: None, action: Action::RevokeKey(RevokeKey { key: 3 }) };
    let name = Name::new("till 2").expect("short");
    let action = Action::CreateKey(CreateKey { name, grant: Grant::Auditor, hash: genesis().admin_key });
    let taken = Command { actor: 1, idempotency_key: None, origin: None, action };
    let action = Action::RegisterNode(RegisterNode { node: 4, incarnation: Uuid::from_u128(4) });
    let keyed = Command { actor: SYSTEM_ACTOR, idempotency_key: key(), origin: None, action };
    let entries = vec![(&entry(3, 4, 5)).into()];
    let append = PlainAppend { vote: vote().into(), previous: None, entries, committed: None };
    let appended = PlainAppended::Matched(Some(log_id(3, 4).into()));
    let me = PeerIdentity::new(Uuid::from_u128(7), 1, Uuid::from_u128(8));
    let (incarnation, name) = (Uuid::from_u128(9), me.build.name);
    let welcome = Welcome::Welcome { version: 4, rules: 2, node: 2, incarnation, name };
    vec![
        ("request", numbered(7, revoke)),
        ("secret-taken", numbered(8, taken)),
        ("system-with-a-key", numbered(9, keyed)),
        ("ping", framed(2, &Numbered { id: 1, body: Request::Ping })),
        ("response", framed(3, &Numbered { id: 1, body: Response::ReadPosition(Some(9)) })),
        ("hello", [vec![0], frame_of(&me.hello(2, Purpose::Control).encode())].concat()),
        ("welcome", [vec![1], frame_of(&welcome.encode())].concat()),
        ("append", framed(4, &append)),
        ("appended", framed(5, &appended)),
    ]
}

fn vote() -> Vote {
    Vote::new(3, 2)
}

/// A history: its end and its one page.
type Page = (Checkpoint, Vec<u8>);

fn snapshots() -> (Vec<Seed>, Page) {
    let disks = ModelDisks::default();
    let to = block_on(history_of_one(&disks));
    let history = History::open(disks.open("history").expect("a disk")).expect("a history");
    let bytes = history.page(0, 1).expect("a page");
    let checksum = *blake3::hash(&bytes).as_bytes();
    let offer = |to: &Checkpoint| frame(&FromSender::Offer { vote: vote().into(), to: to.into() });
    let page = frame(&FromSender::Page { page: 0, bytes: bytes.clone().into(), checksum });
    let end = frame(&FromSender::End);
    let far = Checkpoint { records: 100, ..to.clone() };
    let seeds = vec![
        ("whole", [offer(&to), page.clone(), end.clone()].concat()),
        ("offer", offer(&to)),
        ("short-page", [offer(&far), page, end].concat()),
    ];
    (seeds, (to, bytes))
}

/// A value on the disk as [`super::disk`] reads it.
fn stored(kind: u8, number: u8, part: u8, seals: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).expect("it is short");
    [&[kind, number, part, seals, length], body].concat()
}

fn stored_values((to, page): &Page) -> Vec<Seed> {
    let to = codec::encode(Kind::Checkpoint, &PlainCheckpoint::from(to)).expect("small");
    let vote = codec::encode(Kind::Vote, &PlainVote::from(vote())).expect("small");
    let heading = codec::encode(Kind::Generation, &0_u64).expect("small");
    vec![
        ("history", [stored(5, 0, 0, 1, &to), stored(6, 0, 0, 1, page)].concat()),
        ("vote", [stored(0, 0, 0, 1, &heading), stored(1, 0, 0, 1, &vote)].concat()),
        ("unsealed", stored(4, 1, 0, 0, &vote)),
    ]
}

/// A backup of no record, as a file and as the bodies of its frames.
fn backups() -> Vec<Seed> {
    let head = Head {
        ledger: Uuid::from_u128(7),
        cluster: Uuid::from_u128(8),
        epoch: 1,
        rules: 2,
        position: None,
        first_page: 0,
        records: 0,
        entries: 0,
        record_digest: ledger::Digest::ZERO,
        entry_digest: ledger::Digest::ZERO,
        totals: None,
        continues: None,
        made_ms: 1,
    };
    let value = codec::encode(Kind::Backup, &head).expect("small");
    let mut writer = Writer::begin(vec![0], head).expect("a head");
    writer.finish().expect("it has no page");
    let body = |kind: u8, value: &[u8]| {
        let length = u16::try_from(value.len() + 1).expect("small").to_be_bytes();
        [length.as_slice(), &[kind], value].concat()
    };
    let frames = [vec![1], body(0, &value[1..]), body(2, &[0; 48])].concat();
    vec![("empty", writer.into_out()), ("frames", frames)]
}

fn requests() -> Vec<Seed> {
    let ask = |line: &str, more: &str, body: &str| {
        let (key, length) = (admin_key(), body.len());
        format!(
            "{line} HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    let key = "Idempotency-Key: \"k-1\"\r\n";
    let charge = r#"{"phone":"09123456789","amount":"5"}"#;
    let batch = r#"{"charges":[{"phone":"+989123456789","amount":"1.5","idempotency_key":"a"}]}"#;
    let journal = "GET /v1/journal?limit=2&after=1&from=2026-01-01T00:00:00Z";
    let chunked = b"POST /v1/charges HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\n{\"p\r\n0\r\n\r\n";
    vec![
        ("seller", ask("POST /v1/sellers", "", r#"{"name":"Shop"}"#)),
        ("charge", ask("POST /v1/charges", key, charge)),
        ("batch", ask("POST /v1/charges/batch", "", batch)),
        ("credit-request", ask("POST /v1/credit-requests", key, r#"{"amount":"100","note":"n"}"#)),
        ("journal", ask(journal, "Etebar-Min-Applied: 1\r\n", "")),
        ("cluster", ask("GET /v1/cluster?consistency=local", "", "")),
        ("audit", ask("GET /v1/audit", "", "")),
        ("chunked", chunked.to_vec()),
        ("two", b"GET /livez HTTP/1.1\r\nHost: n\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n".to_vec()),
    ]
}

fn texts() -> Vec<Seed> {
    [
        ("iranian", "0912 345-6789"),
        ("persian", "\u{6f0}\u{6f9}\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}\u{6f7}\u{6f8}\u{6f9}"),
        ("abroad", "+44 7911 123456"),
        ("letters", "0912-abc-4567"),
        ("amount", "-12.3400"),
        ("largest", "1000000000000000"),
        ("time", "2026-11-26T08:13:00.25+03:30"),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::DOORS;
    use super::*;

    #[test]
    fn every_seed_passes_its_door() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds");
        for (name, door) in DOORS {
            let files: Vec<_> = std::fs::read_dir(seeds.join(name)).expect("each door has seeds").flatten().collect();
            assert!(files.len() >= 3, "{name} has {} seeds", files.len());
            for file in files {
                println!("{}", file.path().display());
                door(&std::fs::read(file.path()).expect("a seed is readable"));
            }
        }
    }
}
