//! Frames of a connection between nodes.

use std::any::type_name;
use std::sync::OnceLock;

use futures::StreamExt;
use futures::executor::block_on;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::FramedRead;

use super::ledger_of_a_few::Small;
use crate::raft::catch_up::snapshot::transfer::{FromReceiver, FromSender};
use crate::raft::link::append::{Append, Appended};
use crate::raft::link::frame::codec_of_frames;
use crate::raft::link::hello::{Hello, Welcome};
use crate::raft::link::message::{Numbered, Request, Response};
use crate::storage::format::{Kind, codec};

/// Most commands of one frame that are decided.
const FORWARDED_MAX: usize = 1_000;

/// Frames of a peer connection: the first byte chooses what each is decoded as. What decodes encodes to bytes that decode
/// to the same, and commands that are forwarded become records that apply.
pub(crate) fn peer_frames(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut frames = FramedRead::new(bytes, codec_of_frames());
    while let Some(Ok(frame)) = block_on(frames.next()) {
        match kind % 8 {
            0 => round_trip::<Hello>(&frame),
            1 => round_trip::<Welcome>(&frame),
            2 => {
                round_trip::<Numbered<Request>>(&frame);
                forwarded(&frame);
            }
            3 => round_trip::<Numbered<Response>>(&frame),
            4 => round_trip::<Append>(&frame),
            5 => round_trip::<Appended>(&frame),
            6 => round_trip::<FromSender>(&frame),
            _ => round_trip::<FromReceiver>(&frame),
        }
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = codec::decode::<T>(Kind::Message, bytes) else { return };
    let once = codec::encode(Kind::Message, &value).unwrap_or_else(|error| panic!("{}: {error}", type_name::<T>()));
    let again = codec::decode::<T>(Kind::Message, &once).and_then(|again| codec::encode(Kind::Message, &again));
    let again = again.unwrap_or_else(|error| panic!("{}: {error}", type_name::<T>()));
    assert_eq!(once, again, "{} is another one after a round trip", type_name::<T>());
}

/// Decides the commands that a peer forwards, and applies what is decided: a record that does not apply would stop every
/// replica permanently.
fn forwarded(bytes: &[u8]) {
    static LEDGER: OnceLock<Small> = OnceLock::new();
    let Ok(Numbered { body: Request::Forward { commands, .. }, .. }) = codec::decode(Kind::Message, bytes) else {
        return;
    };
    let mut ledger = LEDGER.get_or_init(Small::new).clone();
    commands.iter().take(FORWARDED_MAX).for_each(|command| drop(ledger.submit(command)));
}
