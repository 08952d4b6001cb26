//! The state machine that openraft drives: one committed entry after the other is decided and applied.
//!
//! An entry runs on a blocking thread unless it is short and in memory. What it needs of old records is read before the
//! state is locked against readers; where commands of one entry depend on each other, the rest is read under that lock. What
//! cannot be read or does not fit stops the node: a replica that skipped a decision would never be right again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use ledger::{
    Command, Facts, Missing, NodeNumber, Outcome, Rejection, State, Time, decide, missing, touch_keys, touch_phones,
};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, Membership, OptionalSend, Raft};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::replica::{Published, Replica};
use crate::metrics::instruments::EntryTally;
use crate::raft::catch_up::checkpoint::Checkpointer;
use crate::raft::catch_up::install::{Builder, SnapshotData, install, snapshot_of};
use crate::runtime;
use crate::storage::StorageError;
use crate::storage::format::{Kind, codec};
use crate::storage::history::History;
use crate::storage::types::{Decided, Decisions, NodeAddresses, Payload, TypeConfig};

/// What one log entry holds: commands in order, and the time that the leader gives them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandBatch {
    /// The leader's clock when it proposed; ledger time is the larger of this and the state's.
    pub stamp: Time,
    /// The commands.
    pub commands: Vec<Command>,
}

/// Raft over our state machine.
pub(crate) type EtebarRaft = Raft<TypeConfig, Machine>;

/// Entries handed to the applying thread at a time, at most.
const ENTRIES: usize = 64;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Machine {
    published: Arc<Published>,
    history: Arc<History>,
    checkpoints: Checkpointer,
}

impl Machine {
    /// Over what the pages gave.
    pub(crate) fn new(published: Arc<Published>, history: Arc<History>, checkpoints: Checkpointer) -> Self {
        Self { published, history, checkpoints }
    }

    /// Applies a bounded piece of what is committed.
    async fn apply_some(&self, entries: Vec<EntryResponder<TypeConfig>>) -> Result<(), io::Error> {
        let applied = self.apply_where_it_suits(entries).await;
        applied
            .inspect_err(|error| self.published.health.fail(format!("a committed entry could not be applied: {error}")))
    }

    /// Decodes and applies, on a blocking thread unless both are short.
    async fn apply_where_it_suits(&self, entries: Vec<EntryResponder<TypeConfig>>) -> Result<(), io::Error> {
        let (published, history) = (self.published.clone(), self.history.clone());
        if !is_short(&entries) {
            let work = move || apply(&published, &history, decode(entries), Reading::Needed);
            return runtime::blocking(work).await.map_err(io::Error::other)?;
        }
        let entries = decode(entries);
        let reading = reading(&published, &entries);
        let work = move || apply(&published, &history, entries, reading);
        // A panic means books that do not add up. Openraft would continue without its state machine, so it gets an error.
        if reading == Reading::NotNeeded {
            catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| io::Error::other("it does not fit the state"))?
        } else {
            runtime::blocking(work).await.map_err(io::Error::other)?
        }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        let replica = self.published.replica();
        Ok((replica.log_id, replica.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut some = Vec::new();
        while let Some(entry) = entries.next().await {
            some.push(entry?);
            if some.len() >= ENTRIES {
                self.apply_some(std::mem::take(&mut some)).await?;
            }
        }
        if some.is_empty() { Ok(()) } else { self.apply_some(some).await }
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(self.checkpoints.clone())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData { checkpoint: to, received } = snapshot;
        assert_eq!(to.applied, meta.last_log_id, "a snapshot is named by its checkpoint");
        let received = received.ok_or_else(|| io::Error::other("a snapshot of this node's own is not installed"))?;
        let (published, history) = (self.published.clone(), self.history.clone());
        let installed = runtime::on_disk(async move { install(&published, &history, to, received).await })
            .await
            .map_err(io::Error::other)
            .and_then(|installed| installed.map_err(io::Error::other));
        installed.inspect_err(|error| self.published.health.fail(format!("a snapshot could not be installed: {error}")))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        let last = self.checkpoints.last();
        Ok(last.applied.is_some().then(|| snapshot_of(last, None)))
    }
}

/// Entries of so many bytes and fewer may be applied where they arrive, if they need nothing from the disk: some 450 charges,
/// which take about half a millisecond. So an entry that a few hundred callers share costs no hand-over to another thread.
const SHORT_BYTES: usize = 32 * 1024;

/// A committed entry with its commands decoded, and whoever waits for its outcomes.
pub(crate) struct Committed {
    log_id: LogIdOf<TypeConfig>,
    content: Content,
    responder: Option<ApplyResponder<TypeConfig>>,
}

enum Content {
    Commands(CommandBatch),
    Membership(Membership<NodeNumber, NodeAddresses>),
    Blank,
    /// It is no batch of commands that this build knows: those before it say why, where the rules were raised.
    Unreadable(StorageError),
}

/// Decodes what is committed.
pub(crate) fn decode(entries: Vec<EntryResponder<TypeConfig>>) -> Vec<Committed> {
    let decoded = entries.into_iter().map(|(entry, responder)| {
        let content = match entry.payload {
            EntryPayload::Normal(Payload(bytes)) => codec::decode(Kind::Commands, &bytes)
                .map_or_else(|error| Content::Unreadable(error.into()), Content::Commands),
            EntryPayload::Membership(membership) => Content::Membership(membership),
            EntryPayload::Blank => Content::Blank,
        };
        Committed { log_id: entry.log_id, content, responder }
    });
    decoded.collect()
}

/// Whether the entries are so short that decoding them where they arrive costs less than another thread.
fn is_short(entries: &[EntryResponder<TypeConfig>]) -> bool {
    let bytes = |(entry, _): &EntryResponder<TypeConfig>| match &entry.payload {
        EntryPayload::Normal(Payload(bytes)) => bytes.len(),
        EntryPayload::Membership(_) | EntryPayload::Blank => 0,
    };
    entries.iter().map(bytes).sum::<usize>() <= SHORT_BYTES
}

/// Whether old records are read before entries are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Some may be needed.
    Needed,
    /// No command needs one, but for what an earlier command of these entries concludes.
    NotNeeded,
}

/// Whether applying what is short reads old records. One that an earlier command of these entries makes necessary is nearly
/// always still in memory; otherwise it is read while they are decided.
pub(crate) fn reading(published: &Published, entries: &[Committed]) -> Reading {
    let batches = entries.iter().filter_map(|entry| match &entry.content {
        Content::Commands(batch) => Some(batch),
        Content::Membership(_) | Content::Blank | Content::Unreadable(_) => None,
    });
    let replica = published.replica();
    let (state, facts) = (&replica.state, Facts::default());
    let mut each = batches.flat_map(|batch| touched(state, batch).map(|command| (command, batch.stamp)));
    let needs_none = each.all(|(command, stamp)| missing(state, &facts, command, stamp).is_none());
    if needs_none { Reading::NotNeeded } else { Reading::Needed }
}

/// Commands that are touched at a time: what they look up stays in the nearest caches until it is used.
const TOUCHED: usize = 128;

/// The commands of `batch`, what their keys look up read a little before each.
fn touched<'a>(state: &State, batch: &'a CommandBatch) -> impl Iterator<Item = &'a Command> {
    batch.commands.chunks(TOUCHED).flat_map(|some| {
        touch_keys(state, some);
        some
    })
}

/// Applies `entries` in order and answers those that somebody waits for.
pub(crate) fn apply(
    published: &Published,
    history: &History,
    entries: Vec<Committed>,
    reading: Reading,
) -> Result<(), io::Error> {
    for Committed { log_id, content, responder } in entries {
        let outcomes = match content {
            Content::Commands(batch) => {
                let begun = Instant::now();
                let facts = match reading {
                    Reading::Needed => fetch(&published.replica().state, history, &batch).map_err(io::Error::other)?,
                    Reading::NotNeeded => Facts::default(),
                };
                check_rules(published, &batch)?;
                let mut replica = published.replica_mut();
                let mut tally = EntryTally::default();
                let is_awaited = responder.is_some();
                let outcomes = decide_all(published, history, &mut replica, facts, &batch, is_awaited, &mut tally);
                let outcomes = outcomes.map_err(io::Error::other)?;
                advance(&mut replica, log_id);
                drop(replica);
                published.instruments.applied(begun.elapsed(), batch.commands.len(), &tally);
                outcomes
            }
            Content::Membership(membership) => {
                let mut replica = published.replica_mut();
                replica.membership = openraft::StoredMembership::new(Some(log_id), membership);
                advance(&mut replica, log_id);
                Vec::new()
            }
            Content::Blank => {
                advance(&mut published.replica_mut(), log_id);
                Vec::new()
            }
            Content::Unreadable(error) => return Err(io::Error::other(error)),
        };
        let digest = published.replica().whole.1;
        published.publish(log_id.index, digest);
        if let Some(responder) = responder {
            responder.send(Decisions { position: log_id.index, outcomes });
        }
    }
    Ok(())
}

/// Stops a node that does not know the rules that the ledger is raised to.
fn check_rules(published: &Published, batch: &CommandBatch) -> Result<(), io::Error> {
    published.known_rules.check_raised(&batch.commands).map_err(|unknown| {
        published.health.fail(unknown.to_string());
        io::Error::other(unknown)
    })
}

fn advance(replica: &mut Replica, log_id: LogIdOf<TypeConfig>) {
    assert!(log_id.index == 0 || log_id.index > replica.applied, "entries are applied in order, once");
    replica.reach(Some(log_id));
}

/// Reads, before the state is locked against readers, what the whole entry needs of old records.
fn fetch(state: &State, history: &History, batch: &CommandBatch) -> Result<Facts, StorageError> {
    let mut facts = Facts::default();
    for command in touched(state, batch) {
        while let Some(missing) = missing(state, &facts, command, batch.stamp) {
            supply(&mut facts, history, missing)?;
        }
    }
    Ok(facts)
}

fn decide_all(
    published: &Published,
    history: &History,
    replica: &mut Replica,
    mut facts: Facts,
    batch: &CommandBatch,
    is_awaited: bool,
    tally: &mut EntryTally,
) -> Result<Vec<Decided>, StorageError> {
    let mut outcomes = Vec::with_capacity(if is_awaited { batch.commands.len() } else { 0 });
    for some in batch.commands.chunks(TOUCHED) {
        touch_keys(&replica.state, some);
        touch_phones(&replica.state, some);
        for command in some {
            let decided = match decide_one(history, &replica.state, &mut facts, command, batch.stamp)? {
                Outcome::New(record) => {
                    replica.state.apply(&record);
                    tally.event(&record.event);
                    published.note(&replica.state, &record);
                    facts.learn(&record);
                    let record = history.push(record, || replica.state.page_mark());
                    is_awaited.then_some(Decided::Recorded { record, replayed: false })
                }
                Outcome::Replay(number) if is_awaited => {
                    tally.replay();
                    let Some(record) = facts.get(number) else {
                        unreachable!("the record of a replay is among the facts")
                    };
                    Some(Decided::Recorded { record: Arc::clone(record), replayed: true })
                }
                Outcome::Replay(_) => {
                    tally.replay();
                    None
                }
                Outcome::Rejected(rejection) => {
                    if let Rejection::Conflict(refusal) = rejection {
                        tally.refusal(refusal);
                    }
                    Some(Decided::NotRecorded(rejection))
                }
            };
            if is_awaited {
                outcomes.extend(decided);
            }
        }
    }
    Ok(outcomes)
}

/// Reads what is missing. What a record pushed before concluded is among it, durable or not.
fn supply(facts: &mut Facts, history: &History, missing: Missing) -> Result<(), StorageError> {
    match missing {
        Missing::Record(number) => facts.add(history.record(number)?),
        Missing::Conclusion(subject) => facts.add_conclusion(subject, history.conclusion(subject)?),
    }
    Ok(())
}

/// Decides on what was fetched; where an earlier command of the same entry made a record necessary, reads that too.
///
/// # Panics
/// Where a record that was read contradicts the state: the node stops, since a replica that skipped a decision would
/// never be right again.
fn decide_one(
    history: &History,
    state: &State,
    facts: &mut Facts,
    command: &Command,
    stamp: Time,
) -> Result<Outcome, StorageError> {
    let outcome = loop {
        match decide(state, facts, command, stamp) {
            Ok(outcome) => break outcome,
            // Each time another one: those that its key seems to be decided by, its subject, and what concluded that.
            Err(missing) => supply(facts, history, missing)?,
        }
    };
    assert_ne!(outcome, Outcome::Rejected(Rejection::Inconsistent), "a record that was read fits the state");
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use ledger::{
        Action, Amount, ApiKeyHash, ApiKeyNumber, CreateKey, CreateSeller, DecideCredit, Event, Genesis, Grant, Name,
        Note, PageMark, RULES_VERSION, RaiseRules, Record, RequestCredit, SYSTEM_ACTOR, SellerCreated, TableSeed,
        Verdict,
    };
    use uuid::Uuid;

    use super::*;
    use crate::raft::apply::rules::KnownRules;
    use crate::raft::peers::link::trust::known_peers::KnownPeers;
    use crate::storage::StoredMembership;
    use crate::storage::disk::Disks;
    use crate::storage::model::{ModelDisks, entry};

    const NOW: Time = Time(1);

    fn by(actor: ApiKeyNumber, action: Action) -> Command {
        Command { actor, idempotency_key: None, origin: None, action }
    }

    /// A ledger whose record 4 is a pending credit request, and its records.
    fn with_a_request() -> (State, Vec<Record>) {
        let name = |text| Name::new(text).unwrap();
        let genesis = Genesis {
            ledger: Uuid::from_u128(7),
            epoch: 1,
            currency: name("IRT"),
            decimals: 0,
            key_window_ms: 1_000,
            keys_max: 10,
            rules: RULES_VERSION,
            admin_key: ApiKeyHash([1; 32]),
        };
        let key = CreateKey { name: name("till"), grant: Grant::Seller(2), hash: ApiKeyHash([2; 32]) };
        let request = RequestCredit { amount: Amount::new(5).unwrap(), note: Note::empty(), reference: None };
        let mut state = State::new(TableSeed([1, 2]));
        let mut records = Vec::new();
        for command in [
            by(SYSTEM_ACTOR, Action::Genesis(genesis)),
            by(1, Action::CreateSeller(CreateSeller { name: name("shop") })),
            by(1, Action::CreateKey(key)),
            by(3, Action::RequestCredit(request)),
        ] {
            let decided = decide(&state, &Facts::default(), &command, NOW);
            let Ok(Outcome::New(record)) = decided else { panic!("{command:?}: {decided:?}") };
            state.apply(&record);
            records.push(record);
        }
        (state, records)
    }

    fn history_of(records: Vec<Record>) -> History {
        let disk = ModelDisks::default().open("history").unwrap();
        block_on(History::create(&*disk)).unwrap();
        let history = History::open(disk).unwrap();
        for record in records {
            let mark = PageMark { first: record.number, time: record.time, ..PageMark::default() };
            drop::<Arc<Record>>(history.push(record, || mark));
        }
        history
    }

    fn approve_on(state: &State, history: &History) -> Outcome {
        let approval = DecideCredit { request: 4, verdict: Verdict::Approved, reason: Note::empty() };
        decide_one(history, state, &mut Facts::default(), &by(1, Action::DecideCredit(approval)), NOW).unwrap()
    }

    #[test]
    fn a_record_that_memory_does_not_hold_is_read() {
        let (state, records) = with_a_request();
        let outcome = approve_on(&state, &history_of(records));
        assert!(matches!(&outcome, Outcome::New(Record { event: Event::CreditApproved(_), .. })), "{outcome:?}");
    }

    /// It would record nothing where the other replicas record a decision.
    #[test]
    #[should_panic(expected = "a record that was read fits the state")]
    fn a_record_that_contradicts_the_state_stops_the_replica() {
        let (state, mut records) = with_a_request();
        records[3].event = Event::SellerCreated(SellerCreated { name: Name::new("other").unwrap() });
        approve_on(&state, &history_of(records));
    }

    /// The entry after it is of a kind that only newer rules have: it must not hide why this node cannot go on.
    #[test]
    fn a_replica_whose_rules_are_outgrown_stops_before_what_it_cannot_read() {
        let (state, records) = with_a_request();
        let before = state.digest();
        let published = Published::new(
            state,
            None,
            StoredMembership::default(),
            KnownPeers::default(),
            KnownRules(RULES_VERSION),
            1,
        );
        let raise = by(SYSTEM_ACTOR, Action::RaiseRules(RaiseRules { to: RULES_VERSION + 1 }));
        let batch = codec::encode(Kind::Commands, &CommandBatch { stamp: NOW, commands: vec![raise] }).unwrap();
        let mut raised = entry(1, 1, 0);
        raised.payload = EntryPayload::Normal(Payload(batch.into()));
        let entries = decode(vec![(raised, None), (entry(1, 2, 5), None)]);
        let refused = apply(&published, &history_of(records), entries, Reading::Needed).unwrap_err().to_string();
        assert!(refused.contains("run a build that knows them"), "{refused}");
        assert_eq!(published.health.failure().borrow().as_ref(), Some(&refused));
        assert_eq!((published.replica().applied, published.replica().state.digest()), (0, before));
    }
}
