//! What a node finds on its disk.

use std::sync::Arc;

use crate::storage::format::{Kind, codec, keys};
use crate::storage::model::ModelDisks;
use crate::storage::{Disks, History, LogSettings, LogStore};

/// The content of a disk: keys and values out of the bytes, some sealed rightly. Opening says what is damaged and
/// serves the rest; nothing panics.
pub(crate) fn stored_values(bytes: &[u8]) {
    let disks = ModelDisks::default();
    let (log, history) = (disks.open("00000000000000000001"), disks.open("history"));
    let (log, history) = (log.expect("a disk in memory opens"), history.expect("a disk in memory opens"));
    let mut rest = bytes;
    while let Some(([kind, number, part, seals, length], after)) = rest.split_first_chunk::<5>() {
        let (body, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let (number, part) = (u64::from(*number), u16::from(*part));
        let (disk, what, key) = match kind % 8 {
            0 => (&log, Kind::Generation, keys::generation()),
            1 => (&log, Kind::Vote, keys::vote()),
            2 => (&log, Kind::LogPosition, keys::committed()),
            3 => (&log, Kind::LogPosition, keys::purged()),
            4 => (&log, Kind::LogEntry, keys::entry(number, part)),
            5 => (&history, Kind::Checkpoint, keys::checkpoint()),
            6 => (&history, Kind::Page, keys::page(number, part)),
            _ => (&history, Kind::KnownPeer, keys::known_peer(number)),
        };
        let sealed = codec::seal(what, &key, body);
        let unsealed = codec::unseal(what, &key, &sealed, String::new).expect("what was sealed is sound");
        assert_eq!(unsealed, body);
        let value = if seals % 8 == 0 { body.to_vec() } else { sealed };
        disk.insert(&key, value).expect("a disk in memory takes a value");
    }
    drop(log);
    let settings = LogSettings::for_log_bytes(1 << 20);
    drop(LogStore::open(Arc::new(disks.only("00000000000000000001")), settings));
    if let Ok(history) = History::open(history) {
        drop(history.known_peers());
        for number in 1..=history.checkpoint().records.min(200) {
            drop(history.record(number));
        }
    }
}
