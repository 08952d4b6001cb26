//! Pages of a transfer that is cut: what is kept of them, over restarts, power cuts and checkpoints.

use std::sync::Arc;

use ledger::{Event, page_of};

use super::index::index_of;
use super::{History, checkpoint, created, expected, push, push_one, record, replayed};
use crate::storage::format::keys;
use crate::storage::model::Dice;

/// Records of the sender: some more than a mark is written for.
const ALL: u64 = 20_000;

async fn sender() -> History {
    let (_disks, _disk, from) = created().await;
    push(&from, ALL);
    from.write(checkpoint(ALL)).await.unwrap();
    from
}

/// Gives `to` the pages from that of record `first` to that of record `last`, of `ALL` that are on offer.
async fn give(from: &History, to: &History, first: u64, last: u64) {
    for page in page_of(first)..=page_of(last) {
        to.install_page(page, &from.page(page, ALL).unwrap(), ALL).await.unwrap();
    }
}

#[tokio::test]
async fn a_transfer_continues_after_a_restart_where_it_was_cut() {
    let from = sender().await;
    let (_disks, disk, to) = created().await;
    push(&to, 100);
    to.write(checkpoint(100)).await.unwrap();
    assert_eq!((to.staged(), to.staged_durably()), (0, 0));
    give(&from, &to, 101, 18_000).await;
    assert_eq!(to.staged(), 282 * 64, "the page of record 18,000 is the last");
    assert_eq!(to.staged_durably(), 130 * 64, "the first mark, which the second one's sync made survive");
    drop(to);

    let to = History::open(Arc::clone(&disk)).unwrap();
    let staged = to.staged();
    assert_eq!(staged, 258 * 64, "the second mark");
    assert_eq!((to.records(), to.checkpoint().records), (100, 100), "and none of it counts");
    give(&from, &to, staged, ALL).await;
    to.install(checkpoint(ALL)).await.unwrap();
    assert_eq!((to.staged(), to.records()), (0, ALL));
    push(&to, 70);
    to.write(checkpoint(ALL + 70)).await.unwrap();
    let to = History::open(disk).unwrap();
    assert_eq!(replayed(&to, ALL + 70), expected(ALL + 70));
}

#[tokio::test]
async fn a_power_cut_leaves_every_page_that_the_mark_names() {
    let from = sender().await;
    for seed in 0..30 {
        let mut dice = Dice(seed);
        let (disks, disk, to) = created().await;
        give(&from, &to, 1, 1 + dice.below(ALL - 64)).await;
        let kept = to.staged_durably();
        disks.cut(&mut dice);
        let to = History::open(disk).unwrap();
        let staged = to.staged();
        assert!(staged >= kept, "seed {seed}: {staged} of {kept}");
        give(&from, &to, staged.max(1), ALL).await;
        to.install(checkpoint(ALL)).await.unwrap();
        assert_eq!(replayed(&to, ALL), expected(ALL), "seed {seed}");
    }
}

#[tokio::test]
async fn a_checkpoint_between_two_transfers_leaves_what_was_received() {
    let from = sender().await;
    let (_disks, disk, to) = created().await;
    push(&to, 100);
    to.write(checkpoint(100)).await.unwrap();
    give(&from, &to, 101, 18_000).await;
    push(&to, 200);
    to.write(checkpoint(300)).await.unwrap();
    assert_eq!(to.staged(), 282 * 64);
    assert_eq!(replayed(&to, 300), expected(300), "of the last page no more counts");
    assert_eq!(*to.record(299).unwrap(), record(299));
    drop(to);
    let to = History::open(disk).unwrap();
    assert_eq!(to.records(), 300);
    give(&from, &to, to.staged(), ALL).await;
    to.install(checkpoint(ALL)).await.unwrap();
    assert_eq!(replayed(&to, ALL), expected(ALL));
}

#[tokio::test]
async fn what_was_received_is_compared_and_not_used_where_it_differs() {
    let (_disks, _disk, other) = created().await;
    push(&other, 9);
    let mut forged = record(10);
    let Event::Charged(charged) = &mut forged.event else { unreachable!("a charge") };
    charged.seller = 9;
    push_one(&other, forged);
    push(&other, ALL - 10);
    other.write(checkpoint(ALL)).await.unwrap();

    let (_from_disks, from_disk, from) = created().await;
    push(&from, ALL);
    from.write(checkpoint(ALL)).await.unwrap();
    let (_disks, disk, to) = created().await;
    give(&other, &to, 1, 18_000).await;
    let page = other.page(0, ALL).unwrap();
    to.install_page(0, &page, ALL).await.unwrap();
    let differs = to.install_page(0, &from.page(0, ALL).unwrap(), ALL).await.unwrap_err().to_string();
    assert!(differs.contains("differs from the one received before"), "{differs}");
    assert_eq!(to.staged(), 0);
    assert_eq!(disk.get(&keys::staged()).unwrap(), None, "after a restart neither");
    give(&from, &to, 1, ALL).await;
    to.install(checkpoint(ALL)).await.unwrap();
    assert_eq!(replayed(&to, ALL), expected(ALL));
    assert!(index_of(&*disk) == index_of(&*from_disk), "no list keeps what was not used");

    // Whoever finds what was received to be wrong can have all of it sent again.
    let (_disks, disk, to) = created().await;
    give(&other, &to, 1, 18_000).await;
    to.forget_staged().await.unwrap();
    assert_eq!((to.staged(), disk.get(&keys::staged()).unwrap()), (0, None));
    give(&from, &to, 1, ALL).await;
    to.install(checkpoint(ALL)).await.unwrap();
    assert!(index_of(&*disk) == index_of(&*from_disk), "no list keeps what was forgotten");

    // Where the node decided those records itself meanwhile, its own are written.
    let (_disks, _disk, to) = created().await;
    give(&other, &to, 1, 18_000).await;
    push(&to, 300);
    to.write(checkpoint(300)).await.unwrap();
    assert_eq!((to.staged(), replayed(&to, 300)), (0, expected(300)));
}

#[tokio::test]
async fn a_page_that_was_received_and_is_damaged_since_is_received_again() {
    let from = sender().await;
    let (disks, disk, to) = created().await;
    give(&from, &to, 1, 18_000).await;
    disks.damage("history", &keys::page(200, 0), |value| value.as_mut().unwrap()[20] ^= 1);
    let again = to.install_page(200, &from.page(200, ALL).unwrap(), ALL).await.unwrap_err().to_string();
    assert!(again.contains("received again"), "{again}");
    give(&from, &to, 1, ALL).await;
    to.install(checkpoint(ALL)).await.unwrap();
    drop(to);
    assert_eq!(replayed(&History::open(disk).unwrap(), ALL), expected(ALL));
}
