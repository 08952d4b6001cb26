//! Pages from another node.

use std::sync::Arc;

use ledger::page_of;

use super::{History, Page, checkpoint, created, expected, push, push_one, record, replayed};
use crate::storage::model::Dice;

/// Streams what `to` lacks of `from` up to record `last`.
async fn stream(from: &History, to: &History, last: u64) {
    for page in page_of(to.records() + 1)..=page_of(last) {
        let bytes = from.page(page, last).unwrap();
        to.install_page(page, &bytes, last).await.unwrap();
    }
}

#[tokio::test]
async fn the_missing_pages_make_both_equal() {
    for (own, durable) in [(0, 0), (10, 10), (64, 64), (100, 70), (300, 300)] {
        let (_from_disks, _from_disk, from) = created().await;
        push(&from, 333);
        from.write(checkpoint(300)).await.unwrap();
        let (_disks, disk, to) = created().await;
        push(&to, own);
        to.write(checkpoint(durable)).await.unwrap();

        stream(&from, &to, 300).await;
        let mut lacked = Vec::new();
        let take = |page: &Page| {
            lacked.extend(page.records.iter().map(|record| record.number));
            Ok(())
        };
        to.replay(own + 1..=300, take).unwrap();
        assert_eq!(lacked, (own + 1..=300).collect::<Vec<_>>());
        to.install(checkpoint(300)).await.unwrap();

        assert_eq!((to.records(), to.checkpoint()), (300, checkpoint(300)));
        push(&to, 50);
        to.write(checkpoint(350)).await.unwrap();
        let to = History::open(disk).unwrap();
        assert_eq!(replayed(&to, 350), expected(350));
    }
}

#[tokio::test]
async fn pages_taken_in_count_only_once_installed() {
    let (_from_disks, _from_disk, from) = created().await;
    push(&from, 300);
    from.write(checkpoint(300)).await.unwrap();
    let (_disks, disk, to) = created().await;
    push(&to, 70);
    to.write(checkpoint(70)).await.unwrap();
    stream(&from, &to, 300).await;
    let again = History::open(Arc::clone(&disk)).unwrap();
    assert_eq!((again.records(), again.checkpoint().records), (70, 70));
    assert!(again.record(71).is_err());
}

#[tokio::test]
async fn another_history_is_never_overwritten() {
    let (_from_disks, _from_disk, from) = created().await;
    push(&from, 9);
    let mut other = record(10);
    other.actor = 4;
    push_one(&from, other);
    push(&from, 70);
    from.write(checkpoint(80)).await.unwrap();
    let (_disks, _disk, to) = created().await;
    push(&to, 20);
    to.write(checkpoint(20)).await.unwrap();
    let error = to.install_page(0, &from.page(0, 80).unwrap(), 80).await.unwrap_err().to_string();
    assert!(error.starts_with("refused to overwrite durable history: page 0"), "{error}");
    assert_eq!(replayed(&to, 20), expected(20));
}

#[tokio::test]
async fn bytes_that_are_no_page_are_refused() {
    let (_from_disks, _from_disk, from) = created().await;
    push(&from, 80);
    from.write(checkpoint(80)).await.unwrap();
    let (_disks, _disk, to) = created().await;
    let whole = from.page(0, 64).unwrap();
    assert!(to.install_page(0, &whole[..whole.len() - 1], 64).await.is_err(), "cut short");
    assert!(to.install_page(1, &whole, 128).await.is_err(), "another page");
    assert!(to.install_page(0, &[whole.as_slice(), b"x"].concat(), 64).await.is_err(), "left over");
    assert!(to.install_page(0, &whole, 63).await.is_err(), "more records than offered");
}

#[tokio::test]
async fn a_checkpoint_behind_what_is_known_is_not_installed() {
    let (_disks, _disk, to) = created().await;
    push(&to, 20);
    assert!(to.install(checkpoint(19)).await.is_err());
    assert!(to.install(checkpoint(21)).await.is_err(), "its last record is not there");
}

#[tokio::test]
async fn an_install_is_marked_in_the_same_instant() {
    for seed in 0..20 {
        let (_from_disks, _from_disk, from) = created().await;
        push(&from, 300);
        from.write(checkpoint(300)).await.unwrap();
        let (disks, disk, to) = created().await;
        // Also where the node has all records already, and only the position is new.
        push(&to, if seed % 2 == 0 { 70 } else { 300 });
        to.write(checkpoint(70)).await.unwrap();
        assert_eq!(to.installed().unwrap(), None);
        stream(&from, &to, 300).await;
        to.install(checkpoint(300)).await.unwrap();
        disks.cut(&mut Dice(seed));
        let to = History::open(disk).unwrap();
        assert_eq!((to.checkpoint(), to.installed().unwrap()), (checkpoint(300), checkpoint(300).applied));
        assert_eq!(replayed(&to, 300), expected(300));
    }
}
