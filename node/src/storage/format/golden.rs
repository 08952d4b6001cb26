//! Bytes of each kind: they stay readable, and this build still writes them.

use std::collections::BTreeMap;

use ledger::{Amount, Balance, Charged, Event, IdempotencyKey, Phone, Record, Time};
use openraft::entry::RaftEntry;
use openraft::{EntryPayload, Membership};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Kind;
use super::codec::{decode, encode, seal};
use crate::storage::history::{Checkpoint, PlainCheckpoint, TimeMark};
use crate::storage::model::{entry, log_id};
use crate::storage::types::plain::{PlainEntry, PlainLogId, PlainVote};
use crate::storage::types::{LogEntry, NodeAddresses, StoredMembership, Vote};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|start| u8::from_str_radix(&hex[start..start + 2], 16).unwrap()).collect()
}

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(kind: Kind, value: &T, golden: &str) {
    assert_eq!(hex(&encode(kind, value).unwrap()), golden, "{value:?}");
    assert_eq!(decode::<T>(kind, &bytes_of(golden)).unwrap(), *value);
}

fn address(id: u64) -> NodeAddresses {
    NodeAddresses { api: format!("a:{id}"), peer: format!("p:{id}") }
}

fn membership() -> Membership<u64, NodeAddresses> {
    let nodes = (1..=3).map(|id| (id, address(id)));
    Membership::new(vec![[1, 2, 3].into()], nodes.collect::<BTreeMap<_, _>>()).unwrap()
}

#[test]
fn a_log_entry() {
    check_entry(&entry(2, 300, 5), "020201fb2c0101055656565656");
    check_entry(
        &LogEntry::new(log_id(1, 0), EntryPayload::Membership(membership())),
        "02010100020103010203030103613a3103703a310203613a3203703a320303613a3303703a33",
    );
    let nodes = [1, 2, 9].map(|id| (id, address(id)));
    let joint = Membership::new(vec![[1, 2].into(), [2].into()], BTreeMap::from(nodes));
    check_entry(
        &LogEntry::new(log_id(1, 8), EntryPayload::Membership(joint.unwrap())),
        "0201010802020201020102030103613a3103703a310203613a3203703a320903613a3903703a39",
    );
    check_entry(&LogEntry::new_blank(log_id(4, 7)), "0204010700");
}

fn check_entry(entry: &LogEntry, golden: &str) {
    let plain = PlainEntry::from(entry);
    check(Kind::LogEntry, &plain, golden);
    assert_eq!(LogEntry::try_from(plain).unwrap(), *entry);
}

#[test]
fn a_vote() {
    for (vote, golden) in [(Vote::new(3, 2), "02030200"), (Vote::new_committed(300, 2), "02fb2c010201")] {
        let plain = PlainVote::from(vote);
        check(Kind::Vote, &plain, golden);
        assert_eq!(Vote::from(plain), vote);
    }
}

#[test]
fn a_checkpoint() {
    let checkpoint = Checkpoint {
        applied: Some(log_id(2, 300)),
        membership: StoredMembership::new(Some(log_id(1, 0)), membership()),
        records: 1_000,
        digest: ledger::Digest([7; 32]),
        rules: 2,
    };
    let empty = Checkpoint::default();
    for checkpoint in [&checkpoint, &empty] {
        assert_eq!(Checkpoint::try_from(PlainCheckpoint::from(checkpoint)).unwrap(), *checkpoint);
    }
    check(Kind::Checkpoint, &PlainCheckpoint::from(&empty), &format!("02{}", "00".repeat(38)));
    check(
        Kind::Checkpoint,
        &PlainCheckpoint::from(&checkpoint),
        "0202010201fb2c01010101000103010203030103613a3103703a310203613a3203703a320303613a3303703a33fbe8030707070707070707070707070707070707070707070707070707070707070707",
    );
}

#[test]
fn a_mark_of_an_install() {
    check(Kind::LogPosition, &Some(PlainLogId::from(log_id(2, 300))), "02010201fb2c01");
}

#[test]
fn a_mark_of_pages_that_were_received() {
    check(Kind::Staged, &19_200_u64, "02fb004b");
}

#[test]
fn a_mark_of_time() {
    let (ledger_ms, wall_ms) = (1_700_000_000_000, 1_700_000_000_001);
    let mark = TimeMark { ledger_ms, wall_ms: Some(wall_ms), uptime: Some((7, 300)), owed_ms: 5 };
    check(Kind::TimeMark, &mark, "02fd0068e5cf8b01000001fd0168e5cf8b0100000107fb2c0105");
    check(Kind::TimeMark, &TimeMark { uptime: None, ..mark }, "02fd0068e5cf8b01000001fd0168e5cf8b0100000005");
    check(Kind::TimeMark, &TimeMark { wall_ms: None, ..mark }, "02fd0068e5cf8b010000000107fb2c0105");
}

#[test]
fn a_record() {
    let record = Record {
        number: 65,
        time: Time(1_700_000_000_000),
        actor: 3,
        idempotency_key: IdempotencyKey::new("k1").ok(),
        origin: None,
        event: Event::Charged(Charged {
            seller: 2,
            phone: Phone::new(989_123_456_789).unwrap(),
            amount: Amount::new(5_000).unwrap(),
            entry: 60,
            balance: Balance::default(),
            reference: None,
            phone_charge: 3,
            previous: 64,
        }),
    };
    check(Kind::Record, &record, "0241fd0068e5cf8b0100000301026b310902fd152f5a4ce6000000fb88133c00000340");
}

#[test]
fn a_seal() {
    assert_eq!(hex(&seal(Kind::Page, b"key", b"body")), "0216c2eda6c0309cb7626f6479");
}
