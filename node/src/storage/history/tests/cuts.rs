//! Cuts, damage, and reading while writing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{History, checkpoint, created, expected, model, push, push_one, record, replayed};
use crate::storage::format::{Kind, codec, keys};
use crate::storage::history::{TimeMark, page};
use crate::storage::model::Dice;

#[tokio::test]
async fn a_checkpoint_survives_any_cut_and_nothing_half_counts() {
    for seed in 0..80 {
        let mut dice = Dice(seed);
        let (disks, disk, mut history) = created().await;
        let mut durable = 0;
        for _boot in 0..5 {
            for _ in 0..dice.below(4) {
                push(&history, dice.below(150));
                let to = durable + dice.below(history.records() - durable + 1);
                history.write(checkpoint(to)).await.unwrap();
                durable = to;
            }
            push(&history, 1 + dice.below(150));
            half_a_checkpoint(&history, &mut dice);
            disks.cut(&mut dice);
            history = History::open(Arc::clone(&disk)).unwrap();
            assert_eq!(history.checkpoint(), if durable == 0 { history.checkpoint() } else { checkpoint(durable) });
            assert_eq!(history.records(), durable, "seed {seed}");
            assert_eq!(replayed(&history, durable), expected(durable), "seed {seed}");
        }
    }
}

/// Writes pages as a checkpoint does and stops before it is done.
fn half_a_checkpoint(history: &History, dice: &mut Dice) {
    let before = history.checkpoint().records;
    let pushed = history.records();
    for page in ledger::page_of(before + 1)..=ledger::page_of(pushed) {
        let (mark, records) = history.tail_lock().page(page, pushed);
        page::write(&*history.disk, page, &page::encode(&mark, &records).unwrap()).unwrap();
        if dice.below(3) == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn every_record_is_found_by_its_number() {
    let (_disks, _disk, history) = created().await;
    for _ in 0..60 {
        push(&history, 1_000);
        history.write(checkpoint(history.records())).await.unwrap();
    }
    push(&history, 10);
    assert!(history.tail_lock().get(1).is_none(), "old records left the memory");
    for number in [1, 63, 64, 65, 128, 129, 30_000, 59_999, 60_000, 60_001, 60_010] {
        assert_eq!(*history.record(number).unwrap(), record(number));
        assert_eq!(*history.record(number).unwrap(), record(number), "again, from the cache");
    }
    for absent in [0, 60_011] {
        assert!(history.record(absent).unwrap_err().to_string().contains("there is no record"));
    }
}

#[tokio::test]
async fn a_checkpoint_goes_neither_back_nor_beyond_what_was_pushed() {
    let (_disks, _disk, history) = created().await;
    push(&history, 100);
    history.write(checkpoint(70)).await.unwrap();
    assert!(history.write(checkpoint(69)).await.is_err());
    assert!(history.write(checkpoint(101)).await.is_err());
    history.write(checkpoint(70)).await.unwrap();
    assert_eq!(history.checkpoint().records, 70);
}

#[tokio::test]
async fn a_failed_sync_leaves_the_checkpoint_where_it_was() {
    let (disks, _disk, history) = created().await;
    push(&history, 100);
    history.write(checkpoint(70)).await.unwrap();
    disks.fail_syncs();
    assert!(history.write(checkpoint(100)).await.is_err());
    assert_eq!(history.checkpoint(), checkpoint(70));
}

#[tokio::test]
async fn what_is_new_since_the_checkpoint_is_measured_in_bytes() {
    let (_disks, _disk, history) = created().await;
    push(&history, 1_000);
    let encoded: usize = (1..=1_000).map(|number| codec::encode(Kind::Record, &record(number)).unwrap().len()).sum();
    let about = history.unwritten_bytes();
    assert!(about > encoded as u64 && about < 4 * encoded as u64, "{about} for {encoded}");
    history.write(checkpoint(900)).await.unwrap();
    assert_eq!(history.unwritten_bytes(), about / 10);
}

#[tokio::test]
async fn a_disk_that_hangs_is_noticed_while_it_does() {
    let (disks, _disk, history) = created().await;
    push(&history, 100);
    assert_eq!(history.at_work_for(), Duration::ZERO);
    disks.set_health(|health| health.stalled = true);
    let mut write = pin!(history.write(checkpoint(100)));
    while history.at_work_for() < Duration::from_millis(50) {
        assert!(timeout(Duration::from_millis(10), &mut write).await.is_err(), "it hangs");
    }
    disks.set_health(|health| health.stalled = false);
    write.await.unwrap();
    assert_eq!(history.at_work_for(), Duration::ZERO);
}

#[tokio::test]
async fn a_mark_of_time_survives_any_cut_and_a_damaged_one_is_refused() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (disks, disk, history) = created().await;
        assert_eq!(history.time_mark().unwrap(), None);
        let mut mark = TimeMark { ledger_ms: 9, wall_ms: Some(8), uptime: Some((7, 6)), owed_ms: 5 };
        for _ in 0..3 {
            mark.ledger_ms += 1;
            history.keep_time_mark(&mark).await.unwrap();
            disks.cut(&mut dice);
            assert_eq!(History::open(disk.clone()).unwrap().time_mark().unwrap(), Some(mark), "seed {seed}");
        }
        disks.damage("history", &keys::time_mark(), |value| value.as_mut().unwrap()[9] ^= 1);
        let error = history.time_mark().unwrap_err().to_string();
        assert!(error.starts_with("the mark of ledger time is damaged"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_page_is_refused_with_its_place() {
    let (disks, _disk, history) = created().await;
    push(&history, 200);
    history.write(checkpoint(200)).await.unwrap();
    disks.damage("history", &keys::page(1, 0), |value| value.as_mut().unwrap()[100] ^= 1);
    let error = history.replay(1..=200, |_| Ok(())).unwrap_err().to_string();
    assert!(error.starts_with("page 1 of the history (records 65 to 128), part 0, is damaged"), "{error}");
    disks.damage("history", &keys::page(1, 0), |value| *value = None);
    let error = history.replay(1..=200, |_| Ok(())).unwrap_err().to_string();
    assert!(error.starts_with("page 1 of the history (records 65 to 128) is damaged"), "{error}");
    assert_eq!(*history.record(1).unwrap(), record(1), "other pages are read");
}

#[tokio::test]
async fn a_lost_history_is_a_refusal_not_an_empty_history() {
    let (disks, disk) = model();
    assert!(History::open(Arc::clone(&disk)).unwrap_err().to_string().contains("the history holds no checkpoint"));
    History::create(&*disk).await.unwrap();
    assert!(History::create(&*disk).await.is_err(), "a history is made once");
    disks.damage("history", &keys::checkpoint(), |value| value.as_mut().unwrap()[3] ^= 1);
    let error = History::open(disk).unwrap_err().to_string();
    assert!(error.starts_with("the checkpoint of the history is damaged"), "{error}");
}

#[tokio::test]
async fn an_older_checkpoint_than_the_one_noted_is_refused() {
    let (disks, disk, history) = created().await;
    push(&history, 100);
    history.write(checkpoint(70)).await.unwrap();
    let mut older = None;
    disks.damage("history", &keys::checkpoint(), |value| older = value.clone());
    history.write(checkpoint(100)).await.unwrap();
    disks.damage("history", &keys::checkpoint(), |value| *value = older);
    let error = History::open(disk).unwrap_err().to_string();
    assert!(error.contains("it holds 70 records, but 100 were durable"), "{error}");
}

#[tokio::test]
async fn pushing_and_reading_continue_during_a_checkpoint() {
    let (_disks, _disk, history) = created().await;
    push(&history, 20_000);
    let history = Arc::new(history);
    let to = checkpoint(20_000);
    let writer = std::thread::spawn({
        let history = Arc::clone(&history);
        move || futures::executor::block_on(history.write(to))
    });
    for number in 20_001..=22_000 {
        push_one(&history, record(number));
        assert_eq!(*history.record(number - 20_000).unwrap(), record(number - 20_000));
    }
    writer.join().unwrap().unwrap();
    assert_eq!((history.checkpoint().records, history.records()), (20_000, 22_000));
    assert_eq!(replayed(&history, 20_000), expected(20_000));
}
