//! Bytes of every frame after the hello, in the first version of the link that has it. What was released stays: a change is a
//! new version.

use ledger::{Command, Digest, Refusal, RegisterNode, Rejection, SYSTEM_ACTOR};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::raft::catch_up::snapshot::transfer::{FromReceiver, FromSender};
use crate::raft::ledger_time::LedgerTime;
use crate::raft::peers::link::message::raft::{
    PlainAppend, PlainAppended, PlainTransfer, PlainTransferred, PlainVoteRequest, PlainVoteResponse,
};
use crate::raft::peers::link::message::{MemberList, NotHandedOver, Numbered, StatusMessage, Unavailable};
use crate::runtime::log::trace_context::TraceContext;
use crate::storage::format::{Kind, codec};
use crate::storage::model::{entry, log_id};
use crate::storage::types::plain::{PlainLogId, PlainVote};
use crate::storage::{Checkpoint, Decided, Decisions};

const VERSION: u8 = 4;
/// The version with which a leader is asked to hand over.
const HAND_OVER: u8 = 5;
/// The version with which forwarded commands have their caller's trace.
const TRACE: u8 = 6;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Its bytes; what they decode to has the same.
fn bytes_of<T: Serialize + DeserializeOwned>(value: &T) -> String {
    bytes_in(VERSION, value)
}

fn bytes_in<T: Serialize + DeserializeOwned>(version: u8, value: &T) -> String {
    let bytes = codec::encode_in(Kind::Message, version, value).unwrap();
    let again: T = codec::decode_in(Kind::Message, version, &bytes).unwrap();
    assert_eq!(codec::encode_in(Kind::Message, version, &again).unwrap(), bytes);
    hex(&bytes)
}

/// Compares the bytes of frames, by name, with those in the golden file beside this one, in its order.
fn check(section: &str, frames: &[(&str, String)]) {
    let written: Vec<String> = frames.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
    let golden = include_str!("golden.txt").split("\n\n").find_map(|part| part.strip_prefix(section));
    let golden: Vec<&str> = golden.unwrap_or_default().trim().lines().collect();
    assert_eq!(written, golden, "{section}\n{}\n", written.join("\n"));
}

fn vote() -> PlainVote {
    PlainVote { term: 3, node: 2, committed: true }
}

fn at(index: u64) -> PlainLogId {
    log_id(3, index).into()
}

#[test]
fn appends_and_their_answers() {
    let request = Append {
        vote: vote().into(),
        prev_log_id: Some(log_id(3, 4)),
        entries: vec![entry(3, 5, 2)],
        leader_commit: None,
    };
    let plain = PlainAppend::from(&request);
    let mut frames = vec![("append", bytes_of(&plain))];
    assert_eq!(Append::try_from(plain.clone()).map(|request| PlainAppend::from(&request)), Ok(plain));
    for (name, answer) in [
        ("matched nothing", PlainAppended::Matched(None)),
        ("matched", PlainAppended::Matched(Some(at(5)))),
        ("conflict", PlainAppended::Conflict(at(5))),
        ("higher vote", PlainAppended::HigherVote(vote())),
    ] {
        frames.push((name, bytes_of(&answer)));
        assert_eq!(PlainAppended::from(&Appended::from(answer)), answer);
    }
    check("Append sessions", &frames);
}

fn asked(body: Request) -> String {
    bytes_of(&Numbered { id: 7, body })
}

fn answered(body: Response) -> String {
    bytes_of(&Numbered { id: 7, body })
}

fn registration() -> Command {
    let action = ledger::Action::RegisterNode(RegisterNode { node: 3, incarnation: Uuid::from_u128(3) });
    Command { actor: SYSTEM_ACTOR, idempotency_key: None, origin: None, action }
}

fn trace() -> TraceContext {
    let header: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    TraceContext::parse([header].into_iter()).unwrap()
}

#[test]
fn calls() {
    let vote_request = PlainVoteRequest { vote: vote(), last: Some(at(5)), takes_over: true };
    let transfer = PlainTransfer { from: vote(), to: 3, last: Some(at(5)) };
    let commands = vec![registration()].into();
    check(
        "Calls",
        &[
            ("ping", asked(Request::Ping)),
            ("vote", asked(Request::Vote(vote_request))),
            ("pre-vote", asked(Request::PreVote(vote_request))),
            ("transfer leader", asked(Request::TransferLeader(transfer))),
            ("read position", asked(Request::ReadPosition { wait_ms: 300 })),
            ("status", asked(Request::Status(status()))),
            ("forward", asked(Request::Forward { commands, wait_ms: 300 })),
        ],
    );
}

#[test]
fn answers_to_calls() {
    let vote_answer = PlainVoteResponse { vote: vote(), granted: true, last: None };
    let changed = PlainTransferred::VoteChanged { expected: vote(), actual: vote() };
    let behind = PlainTransferred::NotFlushed { expected: Some(at(5)), actual: None };
    let refused = Rejection::Conflict(Refusal::SellerSuspended);
    let decisions = Decisions { position: 9, outcomes: vec![Decided::NotRecorded(refused)] };
    let not_leader = Unavailable::NotLeader(Some(2));
    check(
        "Answers",
        &[
            ("pong", answered(Response::Pong)),
            ("vote", answered(Response::Vote(vote_answer))),
            ("pre-vote", answered(Response::PreVote(vote_answer))),
            ("transfer taken", answered(Response::TransferLeader(PlainTransferred::Taken))),
            ("transfer: vote changed", answered(Response::TransferLeader(changed))),
            ("transfer: not flushed", answered(Response::TransferLeader(behind))),
            ("read position", answered(Response::ReadPosition(Some(9)))),
            ("status", answered(Response::Status(status()))),
            ("decisions", answered(Response::Forward(Ok(decisions)))),
            ("not the leader", answered(Response::Forward(Err(not_leader)))),
            ("overloaded", answered(Response::Forward(Err(Unavailable::Overloaded("full".into()))))),
            ("unknown", answered(Response::Forward(Err(Unavailable::Unknown)))),
            ("disk full", answered(Response::Forward(Err(Unavailable::DiskFull)))),
            ("declined", answered(Response::Declined("why".into()))),
        ],
    );
}

fn status() -> StatusMessage {
    StatusMessage {
        node: 1,
        incarnation: Uuid::from_u128(1),
        clock_ms: 300,
        leader: Some(2),
        applied: 9,
        digest: Digest([7; 32]),
        failure: None,
        ledger_time: Some(LedgerTime { term: 3, ms: 301 }),
        members: MemberList { index: Some(4), members: vec![1, 2, 3] },
        rules: 2,
    }
}

#[test]
fn a_snapshots_transfer() {
    let to = Checkpoint { applied: Some(log_id(3, 5)), records: 65, rules: 2, ..Checkpoint::default() };
    check(
        "Snapshots",
        &[
            ("offer", bytes_of(&FromSender::Offer { vote: vote(), to: (&to).into() })),
            ("page", bytes_of(&FromSender::Page { page: 1, bytes: vec![1, 2].into(), checksum: [9; 32] })),
            ("end", bytes_of(&FromSender::End)),
            ("diverged", bytes_of(&FromSender::Diverged { records: 64 })),
            ("have", bytes_of(&FromReceiver::Have { records: 65, digest: Digest([7; 32]), staged: 128 })),
            ("done", bytes_of(&FromReceiver::Done { vote: vote() })),
            ("refused", bytes_of(&FromReceiver::Refused { reason: "why".into() })),
            ("at work", bytes_of(&FromReceiver::AtWork)),
        ],
    );
}

#[test]
fn a_hand_over_that_is_asked_for() {
    let asked = |body: Request| {
        assert_eq!(body.since(), HAND_OVER);
        bytes_in(HAND_OVER, &Numbered { id: 7, body })
    };
    let refused = |why| bytes_in(HAND_OVER, &Numbered { id: 7, body: Response::HandOver(Err(why)) });
    check(
        "Hand-over, since version 5",
        &[
            ("hand over", asked(Request::HandOver { to: 3, wait_ms: 300 })),
            ("handed over", bytes_in(HAND_OVER, &Numbered { id: 7, body: Response::HandOver(Ok(())) })),
            ("not the leader", refused(NotHandedOver::NotLeader(Some(2)))),
            ("not a member", refused(NotHandedOver::NotMember)),
            ("learner", refused(NotHandedOver::Learner)),
            ("unreachable", refused(NotHandedOver::Unreachable)),
            ("unhealthy", refused(NotHandedOver::Unhealthy("why".into()))),
            ("clock off", refused(NotHandedOver::ClockOff(-9_000))),
            ("behind", refused(NotHandedOver::Behind(300))),
            ("busy", refused(NotHandedOver::Busy)),
            ("not taken", refused(NotHandedOver::NotTaken)),
        ],
    );
}

#[test]
fn commands_in_a_trace() {
    let commands = || vec![registration()].into();
    let traced = Request::forward(commands(), 300, Some(trace()));
    assert_eq!(traced.since(), TRACE);
    check(
        "Traces, since version 6",
        &[(
            "forward traced",
            bytes_in(TRACE, &Numbered { id: 7, body: Request::forward(commands(), 300, Some(trace())) }),
        )],
    );
    let untraced = asked(Request::forward(commands(), 300, None));
    assert_eq!(asked(traced.in_version(HAND_OVER).unwrap()), untraced, "an older build gets the commands alone");
}

#[test]
fn what_a_node_that_joins_is_told() {
    check(
        "Introductions",
        &[
            ("introduced", bytes_of(&JoinAnswer::Introduced(introduction()))),
            ("no member", bytes_of(&JoinAnswer::NoMember)),
            ("number used", bytes_of(&JoinAnswer::NumberUsed)),
            ("not now", bytes_of(&JoinAnswer::NotNow("why".to_owned()))),
        ],
    );
}

#[test]
fn a_frame_of_another_version_is_refused() {
    let bytes = codec::encode_in(Kind::Message, VERSION, &Request::Ping).unwrap();
    assert!(codec::decode_in::<Request>(Kind::Message, VERSION + 1, &bytes).is_err());
}
