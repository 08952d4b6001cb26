//! What the fuzzers call: a function for each door of a member, which takes arbitrary bytes and panics where a promise
//! about what comes in breaks.
//!
//! `tests/fuzz` hands them to libFuzzer; the tests here give them every file below `tests/fuzz/seeds` again, among them
//! whatever once broke something. Absent from every other build.

use std::any::type_name;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use etebar_api::{AmountIn, AmountOut, Role, Timestamp, check_name, is_visible, read_phone, shown};
use futures::StreamExt;
use futures::executor::block_on;
use ledger::{
    Action, Amount, Command, Facts, Genesis, Grant, IdempotencyKey, KeyHash, Name, Note, Outcome, Phone, RULES_VERSION,
    Record, RecordNumber, SYSTEM_ACTOR, State, Time, Verdict, decide, needs,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use uuid::Uuid;

use crate::http::secret;
use crate::http::{Gate, Limits};
use crate::pki::{Authority, Lifetime, Subject, in_memory};
use crate::raft::catch_up::snapshot::{Give, Take};
use crate::raft::link::append::{Append, Appended};
use crate::raft::link::frame::codec_of_frames;
use crate::raft::link::hello::{Hello, Welcome};
use crate::raft::link::message::{Numbered, Request, Response};
use crate::raft::{Cluster, ClusterSettings, Identity, PeerSecurity};
use crate::runtime::{Chance, Clock};
use crate::storage::model::ModelDisks;
use crate::storage::{Checkpoint, Disks, History, LogSettings, LogStore, Member, MemberDisks, codec, keys};

/// A door, and what is done with the bytes that come to it.
pub type Door = (&'static str, fn(&[u8]));

/// All doors, by the names of their seeds' folders.
pub const DOORS: [Door; 5] = [
    ("peer-frames", peer_frames),
    ("snapshot-stream", snapshot_stream),
    ("stored-values", stored_values),
    ("http", http),
    ("texts", texts),
];

/// Longest time for the answer to a connection on which all was sent.
const ANSWER: Duration = Duration::from_secs(20);
/// Most commands of one frame that are decided.
const HANDED_ON: usize = 1_000;
/// Most bytes of answers that are read.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// Frames of a peer connection: the first byte chooses what each is taken for. What decodes encodes to bytes that decode
/// to the same, and commands that are handed on become records that apply.
pub fn peer_frames(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut frames = FramedRead::new(bytes, codec_of_frames());
    while let Some(Ok(frame)) = block_on(frames.next()) {
        match kind % 8 {
            0 => same_again::<Hello>(&frame),
            1 => same_again::<Welcome>(&frame),
            2 => {
                same_again::<Numbered<Request>>(&frame);
                handed_on(&frame);
            }
            3 => same_again::<Numbered<Response>>(&frame),
            4 => same_again::<Append>(&frame),
            5 => same_again::<Appended>(&frame),
            6 => same_again::<Give>(&frame),
            _ => same_again::<Take>(&frame),
        }
    }
}

fn same_again<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = codec::decode::<T>(bytes) else { return };
    let once = codec::encode(&value).unwrap_or_else(|error| panic!("{}: {error}", type_name::<T>()));
    let again = codec::decode::<T>(&once).and_then(|again| codec::encode(&again));
    let again = again.unwrap_or_else(|error| panic!("{}: {error}", type_name::<T>()));
    assert_eq!(once, again, "{} is another one after a round", type_name::<T>());
}

/// Decides the commands that a peer hands on, and applies what is decided: a record that does not apply would stop every
/// replica, for good.
fn handed_on(bytes: &[u8]) {
    let Ok(Numbered { body: Request::Forward { commands, .. }, .. }) = codec::decode(bytes) else { return };
    static LEDGER: OnceLock<Small> = OnceLock::new();
    let mut ledger = LEDGER.get_or_init(Small::new).clone();
    commands.iter().take(HANDED_ON).for_each(|command| drop(ledger.submit(command)));
}

/// A ledger of a few records, for commands to act on: a seller with a key, credit, a charge, and a request to be decided.
#[derive(Clone)]
struct Small {
    state: State,
    history: Vec<Record>,
}

impl Small {
    fn new() -> Self {
        let mut ledger = Self { state: State::new(), history: Vec::new() };
        let (amount, note) = (Amount::new(100).expect("it is small"), Note::empty());
        let name = |text| Name::new(text).expect("a short name");
        let request = || Action::RequestCredit { amount, note: note.clone() };
        let (phone, hash) = (Phone::new(989_123_456_789).expect("a mobile number"), KeyHash([9; 32]));
        let verdict = Action::DecideCredit { request: 4, verdict: Verdict::Approved, reason: note.clone() };
        for (actor, action) in [
            (SYSTEM_ACTOR, Action::Genesis(genesis())),
            (1, Action::CreateSeller { name: name("shop") }),
            (1, Action::CreateKey { name: name("till"), grant: Grant::Seller(2), hash }),
            (3, request()),
            (1, verdict),
            (3, Action::Charge { phone, amount }),
            (3, request()),
        ] {
            let outcome = ledger.submit(&Command { actor, idempotency_key: None, action });
            assert!(matches!(outcome, Outcome::New(_)), "the rules allow it: {outcome:?}");
        }
        ledger
    }

    fn submit(&mut self, command: &Command) -> Outcome {
        let needs = needs(&self.state, command, Time(1));
        let find = |number: Option<RecordNumber>| self.history.get(usize::try_from(number?.checked_sub(1)?).ok()?);
        let facts = Facts { replay: find(needs.replay), subject: find(needs.subject) };
        let outcome = decide(&self.state, &facts, command, Time(1));
        if let Outcome::New(record) = &outcome {
            self.state.apply(record);
            self.history.push(record.clone());
        }
        outcome
    }
}

/// The frames of a snapshot's transfer, taken in by a member that has a history: what it has durably stays as it is.
pub fn snapshot_stream(bytes: &[u8]) {
    let disks = ModelDisks::default();
    let before = block_on(history_of_one(&disks));
    let disk = disks.open("history").expect("a disk in memory opens");
    let history = History::open(disk.clone()).expect("it is sound");
    let mut frames = FramedRead::new(bytes, codec_of_frames());
    let mut offered = Checkpoint::default();
    while let Some(Ok(frame)) = block_on(frames.next()) {
        match codec::decode(&frame) {
            Ok(Give::Offer { to, .. }) => offered = to,
            // What is no page of the records on offer is refused; what is one counts only under a checkpoint.
            Ok(Give::Page { page, bytes, .. }) => drop(block_on(history.install_page(page, &bytes, offered.records))),
            Ok(Give::End | Give::Diverged { .. }) | Err(_) => break,
        }
    }
    assert_eq!(history.checkpoint(), before);
    drop(history);
    let again = History::open(disk).expect("pages that were taken in damage nothing");
    assert_eq!(again.checkpoint(), before);
    again.record(1).expect("what was durable is there");
}

/// A history with the first record of a ledger, durable.
async fn history_of_one(disks: &ModelDisks) -> Checkpoint {
    let disk = disks.open("history").expect("a disk in memory opens");
    History::create(&*disk).await.expect("a new history");
    let history = History::open(disk).expect("it is sound");
    let command = Command { actor: ledger::SYSTEM_ACTOR, idempotency_key: None, action: Action::Genesis(genesis()) };
    let mut state = State::new();
    let Outcome::New(record) = decide(&state, &Facts::default(), &command, Time(1)) else {
        panic!("a ledger begins with its genesis");
    };
    state.apply(&record);
    history.push(record);
    let to = Checkpoint { records: 1, digest: state.digest(), ..Checkpoint::default() };
    history.write(to.clone()).await.expect("a disk in memory takes a page");
    to
}

/// What lies on a disk: keys and values out of the bytes, some sealed rightly. Opening says what is damaged and serves the
/// rest; nothing panics.
pub fn stored_values(bytes: &[u8]) {
    let disks = ModelDisks::default();
    let (log, history) = (disks.open("00000000000000000001"), disks.open("history"));
    let (log, history) = (log.expect("a disk in memory opens"), history.expect("a disk in memory opens"));
    let mut rest = bytes;
    while let Some(([kind, number, part, seals, length], after)) = rest.split_first_chunk::<5>() {
        let (body, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let (number, part) = (u64::from(*number), u16::from(*part));
        let (disk, key) = match kind % 8 {
            0 => (&log, keys::generation()),
            1 => (&log, keys::vote()),
            2 => (&log, keys::committed()),
            3 => (&log, keys::purged()),
            4 => (&log, keys::entry(number, part)),
            5 => (&history, keys::checkpoint()),
            6 => (&history, keys::page(number, part)),
            _ => (&history, keys::acquaintance(number)),
        };
        let sealed = codec::seal(&key, body);
        let unsealed = codec::unseal(&key, &sealed, String::new).expect("what was sealed is sound");
        assert_eq!(unsealed, body);
        let value = if seals % 8 == 0 { body.to_vec() } else { sealed };
        disk.insert(&key, value).expect("a disk in memory takes a value");
    }
    drop(log);
    let settings = LogSettings::for_log_bytes(1 << 20);
    drop(LogStore::open(Arc::new(disks.only("00000000000000000001")), settings));
    if let Ok(history) = History::open(history) {
        drop(history.met());
        for number in 1..=history.checkpoint().records.min(200) {
            drop(history.record(number));
        }
    }
}

/// The bytes of one connection to the API of a cluster of one. Whatever they are, the connection ends, no answer tells of a
/// defect, and each says which node gave it. The key of its admin is [`admin_key`].
pub fn http(bytes: &[u8]) {
    let server = server();
    let bytes = bytes.to_vec();
    let answers = server.runtime.block_on(async {
        let (client, stream) = duplex(64 * 1024);
        let serving = tokio::spawn(server.gate.clone().serve(stream));
        let (reader, mut writer) = tokio::io::split(client);
        let writing = tokio::spawn(async move {
            // The member may have hung up by now, as it does on what it cannot read.
            if writer.write_all(&bytes).await.is_ok() {
                writer.shutdown().await.ok();
            }
        });
        let mut answers = Vec::new();
        let read = timeout(ANSWER, reader.take(ANSWER_BYTES).read_to_end(&mut answers)).await;
        read.expect("a connection on which all was sent ends").expect("reading from memory does not fail");
        writing.await.expect("writing does not panic");
        serving.await.expect("serving does not panic");
        answers
    });
    if answers.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(&answers);
    // In the version that was asked in.
    let status = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "));
    assert!(status.is_some_and(|status| !status.starts_with("500")), "{text}");
    // A leave to go on is no answer yet.
    let answer = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    assert!(answer.is_empty() || head.contains("\r\netebar-node: 1"), "{text}");
}

/// Runs `test` where the member that [`http`] asks lives.
#[cfg(test)]
pub(crate) fn at_the_member<T, F: Future<Output = T>>(test: impl FnOnce(Gate) -> F) -> T {
    let server = server();
    server.runtime.block_on(test(server.gate.clone()))
}

struct Server {
    runtime: tokio::runtime::Runtime,
    gate: Gate,
}

/// The admin's key of the member that [`http`] asks, in the form of the `Authorization` header.
pub fn admin_key() -> String {
    secret::text(Role::Admin, &[7; 32])
}

fn genesis() -> Genesis {
    Genesis {
        cluster: Uuid::from_u128(7),
        currency: Name::new("IRT").expect("a short name"),
        places: 0,
        key_window_ms: 86_400_000,
        keys_max: 1_000_000,
        rules: RULES_VERSION,
        admin_key: secret::hash(&admin_key()),
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let gate = runtime.block_on(async {
            let disks = ModelDisks::default();
            let history = disks.open("history").expect("a disk in memory opens");
            let disks = MemberDisks { log: Arc::new(ModelDisks::default()), history };
            disks.create().await.expect("a new member");
            let cluster = Cluster::start(settings(), disks, Clock::system()).await.expect("a member starts");
            while cluster.replica().state.genesis().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Gate::new(cluster, Limits::default(), Chance::system()).expect("there is chance")
        });
        Server { runtime, gate }
    })
}

fn settings() -> ClusterSettings {
    let member = Member { api: "127.0.0.1:1".to_owned(), peer: "127.0.0.1:2".to_owned() };
    ClusterSettings {
        identity: Identity { cluster: Uuid::from_u128(7), node: 1, incarnation: Uuid::from_u128(8) },
        members: [(1, member)].into(),
        genesis: genesis(),
        peer_listen: "127.0.0.1:0".to_owned(),
        peer_security: security(),
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        log_bytes: 64 << 20,
        waiting_max: 16_384,
        trust_clock: false,
    }
}

/// A certificate for the one member.
fn security() -> PeerSecurity {
    let (cluster, lifetime) = (Uuid::from_u128(7), Lifetime::for_days(1, Clock::system().now_ms()));
    let (authority, _key) = Authority::generate(lifetime).expect("there is randomness");
    let issued = authority.issue(&Subject::Node { cluster, node: 1, hosts: Vec::new() }, lifetime);
    let read = in_memory(&issued.expect("there is randomness"), &[&authority]);
    PeerSecurity::fixed(&read, cluster, 1).expect("its own certificate fits")
}

/// What people write: phone numbers, amounts, times, names, keys. What is taken is shown in one form, which is taken for
/// the same; no letter becomes a digit, and no digit is lost.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let told = shown(text, 50);
    assert!(told.chars().count() <= 50 && told.chars().all(|char| is_visible(char) || char == '\u{200c}'), "{text:?}");
    if check_name(text).is_ok() {
        assert_eq!(shown(text, usize::MAX), text, "people see all of a name");
    }
    if let Ok(phone) = read_phone(text) {
        let shown = phone.to_string();
        assert!(!text.chars().any(char::is_alphabetic), "{text:?} has a letter and became {shown}");
        let digits = shown.strip_prefix('+').expect("E.164 begins with a plus");
        assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{shown}");
        assert_eq!(read_phone(&shown), Ok(phone), "{text:?} is shown as {shown}");
    }
    if let Ok(amount) = AmountIn::parse(text) {
        assert_eq!(AmountIn::parse(&amount.to_string()), Ok(amount), "{text:?}");
        for places in 0..=4 {
            let Ok(minor) = amount.minor(places) else { continue };
            assert_eq!(AmountIn::from_minor(minor, places), amount, "{text:?} with {places} places is {minor}");
            let shown = AmountOut::new(minor, places).to_string();
            assert_eq!(AmountIn::parse(&shown), Ok(amount), "{text:?} is shown as {shown}");
        }
    }
    if let Ok(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()).ok(), Some(time), "{text:?}");
    }
    let kept = [
        Name::new(text).map(|name| name.as_str().to_owned()).ok(),
        Note::new(text).map(|note| note.as_str().to_owned()).ok(),
        IdempotencyKey::new(text).map(|key| key.as_str().to_owned()).ok(),
    ];
    for kept in kept.into_iter().flatten() {
        assert_eq!(kept, text, "a text is taken as it is or refused");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

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
        [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
    }

    fn framed(kind: u8, value: &impl Serialize) -> Vec<u8> {
        [vec![kind], frame(value)].concat()
    }

    /// A value on the disk as [`stored_values`] reads it.
    fn stored(kind: u8, number: u8, part: u8, seals: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).expect("it is short");
        [&[kind, number, part, seals, length], body].concat()
    }

    #[test]
    #[ignore = "writes the seeds that are made of this build's own encodings, after these have changed"]
    fn seeds_are_written() {
        let charge = r#"{"phone":"09123456789","amount":"5"}"#;
        let command = Command {
            actor: 1,
            idempotency_key: IdempotencyKey::new("k-1").ok(),
            action: Action::RevokeKey { key: 3 },
        };
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
        let vote = crate::storage::Vote::new(3, 2);
        let entries = vec![crate::storage::model::entry(3, 4, 5)];
        let append = Append { vote, prev_log_id: None, entries, leader_commit: None };
        seed("peer-frames", "append", &framed(4, &append));
        let appended: Appended = Ok(Some(crate::storage::model::log_id(3, 4)));
        seed("peer-frames", "appended", &framed(5, &appended));
        let disks = ModelDisks::default();
        let to = block_on(history_of_one(&disks));
        let history = History::open(disks.open("history").expect("a disk")).expect("a history");
        let bytes = history.page(0, 1).expect("a page");
        let checksum = *blake3::hash(&bytes).as_bytes();
        let give = [
            frame(&Give::Offer { vote, to: to.clone() }),
            frame(&Give::Page { page: 0, bytes: bytes.clone(), checksum }),
            frame(&Give::End),
        ];
        seed("snapshot-stream", "whole", &give.concat());
        seed("snapshot-stream", "offer", &give[0]);
        let far = Checkpoint { records: 100, ..to.clone() };
        seed(
            "snapshot-stream",
            "short-page",
            &[frame(&Give::Offer { vote, to: far }), give[1].clone(), give[2].clone()].concat(),
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
        seed(
            "http",
            "credit-request",
            ask("POST /v1/credit-requests", key, r#"{"amount":"100","note":"n"}"#).as_bytes(),
        );
        seed(
            "http",
            "journal",
            ask("GET /v1/journal?limit=2&after=1&from=2026-01-01T00:00:00Z", "Etebar-Min-Applied: 1\r\n", "")
                .as_bytes(),
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
}
