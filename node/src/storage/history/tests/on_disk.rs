//! The history on sled.

use std::fs;

use super::{History, checkpoint, expected, push, replayed};
use crate::storage::disk::open_sled;
use crate::storage::model::Dice;

const CACHE: u64 = 8 * 1024 * 1024;

#[tokio::test]
async fn what_was_checkpointed_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_sled(folder.path(), CACHE).unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    for _ in 0..10 {
        push(&history, 1_234);
        history.write(checkpoint(history.records())).await.unwrap();
    }
    push(&history, 100);
    drop(history);

    let history = History::open(open_sled(folder.path(), CACHE).unwrap()).unwrap();
    assert_eq!((history.records(), history.checkpoint()), (12_340, checkpoint(12_340)));
    assert_eq!(replayed(&history, 12_340), expected(12_340));
    assert_eq!(fs::read_dir(folder.path().join("blobs")).unwrap().count(), 0, "no value goes to a blob");
}

#[tokio::test]
async fn damage_anywhere_is_refused_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_sled(folder.path(), CACHE).unwrap();
    History::create(&*disk).await.unwrap();
    let history = History::open(disk).unwrap();
    for _ in 0..20 {
        push(&history, 500);
        history.write(checkpoint(history.records())).await.unwrap();
    }
    drop(history);
    drop(open_sled(folder.path(), CACHE).unwrap());
    let files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|found| found.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    let mut refused = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        for found in
            fs::read_dir(folder.path()).unwrap().map(|found| found.unwrap().path()).filter(|path| path.is_file())
        {
            fs::remove_file(found).unwrap();
        }
        for (bytes, path) in &files {
            let mut bytes = bytes.clone();
            if path.ends_with("db") {
                let start = dice.index(bytes.len());
                let length = [1, 1, 4096][dice.index(3)].min(bytes.len() - start);
                bytes[start..start + length].iter_mut().for_each(|byte| *byte ^= 0x55);
            }
            fs::write(path, bytes).unwrap();
        }
        match read_all(folder.path()) {
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty(), "seed {seed}");
            }
            Ok((found, records)) => {
                assert_eq!(found, checkpoint(10_000), "seed {seed}");
                assert_eq!(records, expected(10_000), "seed {seed}");
            }
        }
    }
    assert!(refused > 10, "only {refused} were refused: the damage missed");
}

type All = (super::Checkpoint, Vec<ledger::Record>);

fn read_all(folder: &std::path::Path) -> Result<All, crate::storage::StorageError> {
    let history = History::open(open_sled(folder, CACHE)?)?;
    let mut records = Vec::new();
    history.replay(1..=history.checkpoint().records, |page| {
        records.extend_from_slice(&page.records);
        Ok(())
    })?;
    Ok((history.checkpoint(), records))
}
