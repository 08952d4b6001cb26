//! Where a sender begins, and how long it waits for a receiver.

use ledger::Digest;
use tokio::time::{Instant, sleep};

use super::receive::{KEEP_ALIVE, at_work};
use super::send::{ALIVE_WITHIN, ReceiverAnswer, first_page, take};
use super::transfer::{FromReceiver, TransferError};
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::tests::connected;

#[tokio::test]
async fn a_receiver_at_work_is_waited_for_and_one_that_sends_nothing_is_given_up() {
    let (mut sending, mut receiving) = connected().await;
    let working = async {
        let have = at_work(&mut receiving.sender, async {
            // The time is what is tested: the work has to outlast `ALIVE_WITHIN`.
            sleep(ALIVE_WITHIN + KEEP_ALIVE * 2).await;
            FromReceiver::Have { records: 7, digest: Digest::ZERO, staged: 0 }
        });
        let have = have.await;
        receiving.sender.send(&have).await.unwrap();
    };
    let (taken, ()) = tokio::join!(take(&mut sending), working);
    assert!(matches!(taken, Ok(ReceiverAnswer::Have { records: 7, .. })));

    let begun = Instant::now();
    let taken = take(&mut sending).await;
    assert!(matches!(taken, Err(TransferError::Link(LinkError::TimedOut))));
    assert!(begun.elapsed() < ALIVE_WITHIN * 2, "given up after {:?}", begun.elapsed());
}

#[test]
fn a_transfer_begins_with_the_last_page_that_the_receiver_has() {
    assert_eq!(first_page(0, 0), 0);
    assert_eq!(first_page(63, 0), 0);
    assert_eq!(first_page(64, 0), 1);
    assert_eq!(first_page(64, 64), 1, "all of it is durable");
    assert_eq!(first_page(70, 640), 9, "the last of ten, which the receiver compares");
    assert_eq!(first_page(700, 640), 10);
}
