//! The frames that a snapshot comes in.

use futures::StreamExt;
use futures::executor::block_on;
use ledger::{Action, Command, Facts, Outcome, SYSTEM_ACTOR, State, Time, decide};
use tokio_util::codec::FramedRead;

use super::ledger_of_a_few::genesis;
use crate::raft::catch_up::snapshot::transfer::FromSender;
use crate::raft::link::frame::codec_of_frames;
use crate::storage::format::{Kind, codec};
use crate::storage::model::ModelDisks;
use crate::storage::{Checkpoint, Disks, History};

/// The frames of a snapshot's transfer, received by a node that has a history: its durable records stay as they are.
pub(crate) fn snapshot_stream(bytes: &[u8]) {
    let disks = ModelDisks::default();
    let before = block_on(history_of_one(&disks));
    let disk = disks.open("history").expect("a disk in memory opens");
    let history = History::open(disk.clone()).expect("it is sound");
    let mut frames = FramedRead::new(bytes, codec_of_frames());
    let mut offered = 0;
    while let Some(Ok(frame)) = block_on(frames.next()) {
        match codec::decode(Kind::Message, &frame) {
            Ok(FromSender::Offer { to, .. }) => {
                offered = to.records;
                drop(Checkpoint::try_from(to));
            }
            // Bytes that are no page of the records on offer are refused; a page counts only under a checkpoint.
            Ok(FromSender::Page { page, bytes, .. }) => {
                drop(block_on(history.install_page(page, &bytes, offered)));
            }
            Ok(FromSender::End | FromSender::Diverged { .. }) | Err(_) => break,
        }
    }
    assert_eq!(history.checkpoint(), before);
    drop(history);
    let again = History::open(disk).expect("pages that were taken in damage nothing");
    assert_eq!(again.checkpoint(), before);
    again.record(1).expect("what was durable is there");
}

/// A history with the first record of a ledger, durable.
pub(crate) async fn history_of_one(disks: &ModelDisks) -> Checkpoint {
    let disk = disks.open("history").expect("a disk in memory opens");
    History::create(&*disk).await.expect("a new history");
    let history = History::open(disk).expect("it is sound");
    let command =
        Command { actor: SYSTEM_ACTOR, idempotency_key: None, origin: None, action: Action::Genesis(genesis()) };
    let mut state = State::new(ledger::TableSeed([1, 2]));
    let Ok(Outcome::New(record)) = decide(&state, &Facts::default(), &command, Time(1)) else {
        panic!("a ledger begins with its genesis");
    };
    state.apply(&record);
    history.push(record, || state.page_mark());
    let to = Checkpoint { records: 1, digest: state.digest(), rules: state.rules(), ..Checkpoint::default() };
    history.write(to.clone()).await.expect("a disk in memory takes a page");
    to
}
