//! The task that audits as long as the node runs. Reading is done where blocking is allowed, adding up in spare time.
//!
//! It slows nothing: it takes a tenth of one core at most, unless somebody waits for it, and falls behind where that is too
//! little. A low priority alone does not do: Linux weighs it within one session of processes, so that nodes of one machine take
//! each other's time. A broken promise is reported, and changes nothing else: the other nodes have the same records, so sales
//! would stop everywhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ledger::{AuditReport, Broken, Promise, TableSeed};
use tokio::time::{Instant, sleep, timeout};

use super::auditor::Auditor;
use super::audits::{Audited, Audits};
use crate::raft::apply::replica::Published;
use crate::runtime::spare_thread::SpareThread;
use crate::runtime::{self, Unfinished};
use crate::storage::{History, StorageError};

/// Pause before what came is audited: then more has come, and a position has its cost, a thousand balances that are compared,
/// for many records. It is also how much later than the state an audit is, where nothing else keeps it. Source: at 20 ms the
/// positions of three nodes took 4 % of their time under single charges.
const COLLECT: Duration = Duration::from_millis(100);
/// The pause where somebody waits.
const COLLECT_AWAITED: Duration = Duration::from_millis(20);
/// How often single accounts are compared further where no record comes.
const IDLE: Duration = Duration::from_secs(1);
/// Pause after a step, in multiples of its time. Source: without it the audits took a quarter of the nodes' time in batches.
const REST: u32 = 9;
/// Longest such pause: somebody may begin to wait meanwhile.
const REST_MAX: Duration = Duration::from_millis(50);
/// Pause after a read that failed, though nothing was damaged.
const AGAIN: Duration = Duration::from_secs(1);

/// See the head of this file.
pub(crate) struct Follower {
    published: Arc<Published>,
    audits: Arc<Audits>,
    spare: SpareThread,
    /// The broken promises that were logged.
    logged: BTreeSet<Promise>,
}

/// How a step ended.
enum Stepped {
    /// There is more before the position that it goes to.
    OnTheWay,
    /// It came to a position.
    Arrived(Arc<Audited>),
}

/// Audits `history` until `is_over`, which it asks between two steps; tables are hashed under `seed`. Without the audit a node
/// serves on, and says that nobody looks after its books.
pub(crate) async fn follow(
    published: Arc<Published>,
    audits: Arc<Audits>,
    history: Arc<History>,
    seed: TableSeed,
    is_over: impl Fn() -> bool,
) {
    let spare = match SpareThread::start("audit") {
        Ok(spare) => spare,
        Err(error) => return audits.end(&format!("there is no thread for it: {error}")),
    };
    let mut follower = Follower { published, audits: audits.clone(), spare, logged: BTreeSet::new() };
    if let Err(Unfinished) = follower.run(history, seed, is_over).await {
        audits.end("it panicked");
    }
}

impl Follower {
    async fn run(
        &mut self,
        history: Arc<History>,
        seed: TableSeed,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Unfinished> {
        let mut auditor = self.spare.run(move || Auditor::resume(seed, history)).await?;
        let (records, entries, _) = auditor.progress();
        self.audits.advance(records, entries);
        let mut applied = self.published.applied();
        while !is_over() {
            applied.borrow_and_update();
            let began = Instant::now();
            let (after, stepped) = self.step(auditor).await?;
            auditor = after;
            let (records, entries, report) = auditor.progress();
            self.audits.advance(records, entries);
            self.report_broken(&report);
            match stepped {
                Ok(Stepped::OnTheWay) => {
                    if !self.audits.is_awaited() {
                        sleep((began.elapsed() * REST).min(REST_MAX)).await;
                    }
                    continue;
                }
                Ok(Stepped::Arrived(audited)) => self.audits.publish(audited),
                Err(error @ StorageError::Damaged { .. }) => {
                    self.published.health.fail(format!("the audit could not read a record: {error}"));
                    return Ok(());
                }
                Err(error) => {
                    tracing::error!(%error, records, "the audit could not read on");
                    sleep(AGAIN).await;
                }
            }
            // Where the node ends there is no more change, and the next look sees it.
            timeout(IDLE, applied.changed()).await.ok();
            self.collect().await;
        }
        Ok(())
    }

    /// Lets more come, less where somebody waits or begins to.
    async fn collect(&self) {
        let began = Instant::now();
        while began.elapsed() < COLLECT {
            sleep(COLLECT_AWAITED).await;
            if self.audits.is_awaited() {
                return;
            }
        }
    }

    /// One step. What is read under locks that applying needs is read at the priority of all threads, the rest is done in spare
    /// time.
    async fn step(&self, mut auditor: Auditor) -> Result<(Auditor, Result<Stepped, StorageError>), Unfinished> {
        let published = self.published.clone();
        let gathering = runtime::blocking(move || {
            let gathered = auditor.gather(&published);
            (auditor, gathered)
        });
        let (mut auditor, gathered) = gathering.await?;
        let step = match gathered {
            Ok(step) => step,
            Err(error) => return Ok((auditor, Err(error))),
        };
        let taking = self.spare.run(move || {
            let taken = auditor.take(&step);
            (
                auditor,
                taken.map(|audited| audited.map_or(Stepped::OnTheWay, |audited| Stepped::Arrived(Arc::new(audited)))),
            )
        });
        taking.await
    }

    /// Says once of each promise that it is broken, for the operator: the books are wrong on this node at least.
    fn report_broken(&mut self, report: &AuditReport) {
        for Broken { promise, faults, record, entry, detail } in &report.broken {
            if self.logged.insert(*promise) {
                tracing::error!(promise = promise.name(), faults, record, entry, %detail, "audit found a broken promise");
                self.audits.mark_broken(format!("its audit found a broken promise, {}: {detail}", promise.name()));
            }
        }
    }
}
