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
use crate::raft::link::frame::codec_of_frames;
use crate::raft::link::hello::bytes::{Hello, Welcome};
use crate::raft::link::message::join::JoinAnswer;
use crate::raft::link::message::raft::{Append, PlainAppend, PlainAppended};
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
        match kind % 9 {
            0 => hello(&frame),
            1 => welcome(&frame),
            2 => {
                round_trip::<Numbered<Request>>(&frame);
                forwarded(&frame);
            }
            3 => round_trip::<Numbered<Response>>(&frame),
            4 => append(&frame),
            5 => round_trip::<PlainAppended>(&frame),
            6 => round_trip::<FromSender>(&frame),
            7 => round_trip::<FromReceiver>(&frame),
            _ => introduction(&frame),
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

/// What is read of a hello is written as it was, whatever a later build put after it.
fn hello(bytes: &[u8]) {
    let Ok(hello) = Hello::decode(bytes) else { return };
    assert!(bytes.starts_with(&hello.encode()));
}

fn welcome(bytes: &[u8]) {
    let Ok(welcome) = Welcome::decode(bytes) else { return };
    assert!(bytes.starts_with(&welcome.encode()));
}

/// The answer to a node that joins is checked, whatever is in it.
fn introduction(bytes: &[u8]) {
    round_trip::<JoinAnswer>(bytes);
    let Ok(JoinAnswer::Introduced(introduction)) = codec::decode(Kind::Message, bytes) else { return };
    drop(introduction.check(introduction.members.first().map_or(0, |member| member.node), u32::MAX));
}

/// A request to append that openraft takes is written as it was read.
fn append(bytes: &[u8]) {
    round_trip::<PlainAppend>(bytes);
    let Ok(plain) = codec::decode::<PlainAppend>(Kind::Message, bytes) else { return };
    let Ok(request) = Append::try_from(plain.clone()) else { return };
    assert_eq!(PlainAppend::from(&request), plain);
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
