//! How long a sender waits for a receiver.

use ledger::Digest;
use tokio::time::{Instant, sleep};

use super::receive::{KEEP_ALIVE, at_work};
use super::send::{ALIVE_WITHIN, INSTALL, ReceiverAnswer, take};
use super::transfer::{FromReceiver, TransferError};
use crate::raft::peers::link::error::LinkError;
use crate::raft::peers::link::tests::connected;

#[tokio::test]
async fn a_receiver_at_work_is_waited_for_and_one_that_sends_nothing_is_given_up() {
    let (mut sending, mut receiving) = connected().await;
    let working = async {
        let have = at_work(&mut receiving, async {
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
    assert!(begun.elapsed() < INSTALL / 4, "given up after {:?}", begun.elapsed());
}
