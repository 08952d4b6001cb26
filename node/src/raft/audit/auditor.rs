//! One step of the audit: a bounded number of records, and at its end, perhaps, the comparison with the state.
//!
//! How both come to be at the same record: the claims of the state are taken first, in an instant, as the goal; then the
//! records are audited up to it, however many steps that takes, while the state goes on. So nothing of an old state is kept but
//! a few sums. Of the single balances a few are taken with each goal, all in turn.
//!
//! Memory: a step's records, besides what [`Audit`] keeps.

use std::sync::Arc;

use ledger::{Audit, AuditReport, Claims, PAGE_RECORDS, Past, Record, RecordNumber, TableSeed};

use super::audits::Audited;
use super::image::AuditImages;
use super::patrol::Patrol;
use crate::raft::apply::replica::Published;
use crate::storage::history::Scanned;
use crate::storage::{History, StorageError};

/// Records of a step, at most. Source: about 2 ms of work, and 200 kB.
const STEP_RECORDS: u64 = 16 * PAGE_RECORDS;
/// Balances of sellers that are taken with a goal, and as many of phones. Source: the state is locked against applying
/// meanwhile, for about 80 microseconds.
const ACCOUNTS: usize = 512;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Auditor {
    audit: Audit,
    history: Arc<History>,
    goal: Option<Goal>,
    images: AuditImages,
    patrol: Patrol,
    /// Records that were durable when the step began.
    durable: u64,
}

/// What a state claimed, and the log position that it reflected.
#[derive(Debug)]
struct Goal {
    applied: u64,
    claims: Claims,
}

impl Auditor {
    /// At the beginning of the history, with tables that are hashed under `seed`.
    pub(super) fn new(seed: TableSeed, history: Arc<History>) -> Self {
        Self::after(Audit::new(seed), history, (0, 0))
    }

    /// Where the image of the audit ends, or else at the beginning. Blocks.
    pub(super) fn resume(seed: TableSeed, history: Arc<History>) -> Self {
        let Some(image) = history.read_audit_image() else { return Self::new(seed, history) };
        tracing::debug!(records = image.records, bytes = image.bytes, "the audit begins with its image");
        #[cfg(feature = "simulation")]
        assert_like_an_audit(&image.of, &history);
        Self::after(image.of, history, (image.records, image.bytes))
    }

    fn after(audit: Audit, history: Arc<History>, image: (u64, u64)) -> Self {
        Self { audit, history, goal: None, images: AuditImages::after(image), patrol: Patrol::default(), durable: 0 }
    }

    /// How many records and entries were audited, and what was found.
    pub(super) fn progress(&self) -> (u64, u64, AuditReport) {
        (self.audit.records(), self.audit.entries(), self.audit.report())
    }

    /// Reads what the next step takes, and where that goes to another position a few old pages. Holds locks that applying needs,
    /// for microseconds, so it belongs on a thread that is not kept from running. Blocks on the disk.
    pub(super) fn gather(&mut self, published: &Published) -> Result<Scanned, StorageError> {
        self.durable = self.history.durable_records();
        let goal = if let Some(goal) = self.goal.take() {
            goal
        } else {
            self.patrol.round(&self.history, self.audit.records())?;
            let accounts = self.audit.accounts_to_ask(ACCOUNTS, ACCOUNTS);
            let replica = published.replica();
            Goal { applied: replica.applied, claims: Claims::with(&replica.state, &accounts) }
        };
        let first = self.audit.records().saturating_add(1);
        let last = goal.claims.records.min(self.audit.records().saturating_add(STEP_RECORDS));
        self.goal = Some(goal);
        self.history.scan(first..=last)
    }

    /// Audits these records. Where they reach the goal it is compared, and the audit has come to that position. Blocks where an
    /// image is written.
    pub(super) fn take(&mut self, step: &Scanned) -> Result<Option<Audited>, StorageError> {
        let past = Pages(self.history.clone());
        let mut marks = step.marks.iter().peekable();
        for record in &step.records {
            if let Some(mark) = marks.next_if(|mark| mark.first == record.number) {
                self.audit.compare_mark(mark);
            }
            self.audit.feed(record, &past)?;
        }
        self.images.advance(&self.audit, &self.history, self.durable);
        let Some(goal) = self.goal.take_if(|goal| goal.claims.records <= self.audit.records()) else { return Ok(None) };
        self.audit.compare(&goal.claims);
        Ok(Some(Audited { applied: goal.applied, report: self.audit.report() }))
    }
}

/// What an image saves may never be seen but in the time that an audit takes.
#[cfg(feature = "simulation")]
fn assert_like_an_audit(audit: &Audit, history: &Arc<History>) {
    let mut fed = Audit::new(audit.table_seed());
    let past = Pages(history.clone());
    for number in 1..=audit.records() {
        // A page that was damaged meanwhile is found where somebody reads it.
        let Ok(record) = history.record(number) else { return };
        if fed.feed(&record, &past).is_err() {
            return;
        }
    }
    if let Some(what) = audit.difference(&fed) {
        panic!("the audit that began with an image differs from one of all records: {what}");
    }
}

/// Old records, read again from the history.
struct Pages(Arc<History>);

impl Past for Pages {
    type Error = StorageError;

    fn record(&self, number: RecordNumber) -> Result<Option<Arc<Record>>, StorageError> {
        self.0.record(number).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use ledger::{
        Action, Adjust, Adjusted, ApiKeyHash, Balance, Command, CreateSeller, Event, Facts, Genesis, Name, Note,
        Outcome, Promise, RULES_VERSION, SYSTEM_ACTOR, SignedAmount, State, Time, decide,
    };
    use uuid::Uuid;

    use super::*;
    use crate::raft::apply::rules::KnownRules;
    use crate::raft::peers::link::trust::known_peers::KnownPeers;
    use crate::storage::Checkpoint;
    use crate::storage::disk::Disks;
    use crate::storage::model::ModelDisks;

    const SEED: TableSeed = TableSeed([1, 2]);

    /// A ledger of one node, without Raft.
    struct Ledger {
        published: Published,
        history: Arc<History>,
        auditor: Auditor,
    }

    impl Ledger {
        fn new() -> Self {
            let disk = ModelDisks::default().open("history").unwrap();
            block_on(History::create(&*disk)).unwrap();
            let history = Arc::new(History::open(disk).unwrap());
            let known = KnownPeers::kept_in(history.clone()).unwrap();
            let published = Published::new(
                State::new(SEED),
                None,
                Checkpoint::default().membership,
                known,
                KnownRules(RULES_VERSION),
                1,
            );
            let mut new = Self { published, auditor: Auditor::new(SEED, history.clone()), history };
            new.submit(SYSTEM_ACTOR, Action::Genesis(genesis()));
            new.submit(1, Action::CreateSeller(CreateSeller { name: Name::new("shop").unwrap() }));
            new
        }

        fn submit(&mut self, actor: u64, action: Action) {
            let mut replica = self.published.replica_mut();
            let command = Command { actor, idempotency_key: None, origin: None, action };
            let decided = decide(&replica.state, &Facts::default(), &command, Time(1));
            let Ok(Outcome::New(record)) = decided else { panic!("{command:?}: {decided:?}") };
            replica.state.apply(&record);
            replica.applied += 1;
            self.history.push(record, || replica.state.page_mark());
        }

        fn adjust(&mut self, times: u64) {
            let amount = SignedAmount::new(5).unwrap();
            (0..times)
                .for_each(|_| self.submit(1, Action::Adjust(Adjust { seller: 2, amount, reason: Note::empty() })));
        }

        fn step(&mut self) -> Option<Audited> {
            let step = self.auditor.gather(&self.published).unwrap();
            assert!(step.records.len() as u64 <= STEP_RECORDS);
            self.auditor.take(&step).unwrap()
        }

        /// Steps until a position is reached: which one it is, how many entries, and how many steps it took.
        fn arrive(&mut self) -> (u64, Audited, usize) {
            for steps in 1..1_000 {
                if let Some(audited) = self.step() {
                    return (audited.applied, audited, steps);
                }
            }
            panic!("no position was reached");
        }
    }

    fn genesis() -> Genesis {
        Genesis {
            ledger: Uuid::from_u128(7),
            epoch: 1,
            currency: Name::new("IRT").unwrap(),
            decimals: 0,
            key_window_ms: 1_000,
            keys_max: 10,
            rules: RULES_VERSION,
            admin_key: ApiKeyHash([1; 32]),
        }
    }

    #[test]
    fn a_position_is_reached_in_bounded_steps_while_the_ledger_goes_on() {
        let mut ledger = Ledger::new();
        ledger.adjust(3 * STEP_RECORDS);
        assert!(ledger.step().is_none(), "that was one of four");
        ledger.adjust(10);
        let (applied, audited, steps) = ledger.arrive();
        assert_eq!((applied, steps), (2 + 3 * STEP_RECORDS, 3), "the position is that of the first step");
        assert_eq!(audited.report.sums.entries, 3 * STEP_RECORDS);
        assert!(audited.report.is_consistent(), "{:?}", audited.report.broken);
        let (applied, audited, steps) = ledger.arrive();
        assert_eq!((applied, steps, audited.report.sums.entries), (12 + 3 * STEP_RECORDS, 1, 10 + 3 * STEP_RECORDS));
        let (again, _, _) = ledger.arrive();
        assert_eq!(again, applied, "where nothing came it is at the same position");
    }

    #[test]
    fn the_audit_reads_pages_that_memory_no_longer_holds() {
        let mut ledger = Ledger::new();
        ledger.adjust(20_000);
        let digest = ledger.published.replica().state.digest();
        let to = Checkpoint { records: ledger.history.records(), digest, ..Checkpoint::default() };
        block_on(ledger.history.write(to)).unwrap();
        let (_, audited, _) = ledger.arrive();
        assert_eq!((audited.report.sums.entries, audited.report.digest), (20_000, digest));
        assert!(audited.report.is_consistent(), "{:?}", audited.report.broken);
    }

    /// A state that lost a movement has other sums than its records.
    #[test]
    fn a_state_that_is_not_what_its_records_add_up_to_is_found() {
        let mut ledger = Ledger::new();
        ledger.adjust(3);
        let (_, honest, _) = ledger.arrive();
        assert!(honest.report.is_consistent());
        let forged = Record {
            number: 6,
            time: Time(1),
            actor: 1,
            idempotency_key: None,
            origin: None,
            event: Event::Adjusted(Adjusted {
                seller: 2,
                amount: SignedAmount::new(6).unwrap(),
                reason: Note::empty(),
                entry: 4,
                balance: Balance::try_from(21).unwrap(),
            }),
        };
        let amount = SignedAmount::new(5).unwrap();
        {
            // The state applies one record, and the history keeps another.
            let mut replica = ledger.published.replica_mut();
            let action = Action::Adjust(Adjust { seller: 2, amount, reason: Note::empty() });
            let command = Command { actor: 1, idempotency_key: None, origin: None, action };
            let Ok(Outcome::New(record)) = decide(&replica.state, &Facts::default(), &command, Time(1)) else {
                panic!("it is decided")
            };
            replica.state.apply(&record);
        }
        ledger.history.push(forged, || unreachable!("it begins no page"));
        let (_, found, _) = ledger.arrive();
        let names: Vec<_> = found.report.broken.iter().map(|broken| broken.promise).collect();
        assert_eq!(
            names,
            [Promise::RecordChain, Promise::DigestChain, Promise::SellerBalances, Promise::SumsEqual],
            "{:?}",
            found.report.broken
        );
    }
}
