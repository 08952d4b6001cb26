//! Positions for linearizable reads: one quorum read for all reads that wait.
//!
//! Invariant: a position is requested after its read came, and confirmed by a quorum after that. A read that comes while
//! a question is under way waits for the next one. No clock is trusted.
//!
//! Three gates ask, each one question at a time: the leader asks a quorum, any other node asks the leader, and callers
//! whose API key is not known share a gate of their own, so that they are never more than one reader at the others.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

/// Reads that wait at one gate, at most; the next ones fail as if there were no leader.
const WAITING: usize = 65_536;
/// Pause between two questions for callers with unknown keys. Source: at most a hundred a second, a small part of what a
/// leader answers.
pub(crate) const UNKNOWN_KEYS_PAUSE: Duration = Duration::from_millis(10);

/// Reads in a round from which on the next one waits for more.
const LINGER_READS: usize = 12;
/// How long it waits: the callers who were just answered ask again meanwhile, and share one question instead of several. A tick
/// of the timer; a second one may be added to it.
const LINGER: Duration = Duration::from_millis(1);
/// How long after such a round the next one still waits; a read that comes later is a lone one.
const LINGER_WITHIN: Duration = Duration::from_millis(20);

/// A read that waits for its position; `None` where none could be confirmed.
pub(crate) type Asker = oneshot::Sender<Option<u64>>;

/// Gives positions to reads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReadGate(mpsc::Sender<Asker>);

impl ReadGate {
    fn new() -> (Self, mpsc::Receiver<Asker>) {
        let (sender, waiting) = mpsc::channel(WAITING);
        (Self(sender), waiting)
    }

    /// A position that includes everything acknowledged before this call; `None` where none was confirmed.
    pub(crate) async fn position(&self, deadline: Instant) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        timeout_at(deadline, answered).await.ok()?.ok()?
    }
}

/// Which kind of caller needs a position.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadCaller {
    /// A caller whose API key is known.
    Known,
    /// One whose key is not, or not yet.
    UnknownKey,
}

/// The gates of one node.
#[derive(Debug, Clone)]
pub(crate) struct ReadGates {
    /// Where this node leads: asks a quorum.
    pub quorum: ReadGate,
    /// Where another leads: asks that one.
    pub leader: ReadGate,
    /// For callers whose key is not known.
    pub unknown_keys: ReadGate,
}

/// The other ends of [`ReadGates`].
#[derive(Debug)]
pub(crate) struct WaitingReads {
    pub quorum: mpsc::Receiver<Asker>,
    pub leader: mpsc::Receiver<Asker>,
    pub unknown_keys: mpsc::Receiver<Asker>,
}

impl ReadGates {
    /// Gates, and what waits at them.
    pub(crate) fn new() -> (Self, WaitingReads) {
        let ((quorum, at_quorum), (leader, at_leader)) = (ReadGate::new(), ReadGate::new());
        let (unknown_keys, at_unknown_keys) = ReadGate::new();
        let waiting = WaitingReads { quorum: at_quorum, leader: at_leader, unknown_keys: at_unknown_keys };
        (Self { quorum, leader, unknown_keys }, waiting)
    }
}

/// Asks for all that wait, then for all that came meanwhile, with `pause` between two questions.
pub(crate) async fn run<A>(mut waiting: mpsc::Receiver<Asker>, pause: Duration, ask: impl Fn() -> A)
where
    A: Future<Output = Option<u64>>,
{
    let mut round = Vec::new();
    // When the last round was answered, where many reads shared it.
    let mut shared: Option<Instant> = None;
    while waiting.recv_many(&mut round, WAITING).await > 0 {
        if shared.is_some_and(|answered| answered.elapsed() <= LINGER_WITHIN) {
            sleep(LINGER).await;
            while let Ok(asker) = waiting.try_recv() {
                round.push(asker);
            }
        }
        let is_shared = round.len() >= LINGER_READS;
        let position = ask().await;
        for asker in round.drain(..) {
            // A reader that stopped waiting needs no position.
            asker.send(position).ok();
        }
        shared = is_shared.then(Instant::now);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::sync::Notify;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    /// Runs `test` and its tasks on one thread.
    fn block_on(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_read_shares_no_question_that_was_asked_before_it_came() {
        block_on(async {
            let (gate, waiting) = ReadGate::new();
            let (asked, proceed) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
            let ask = {
                let (asked, proceed) = (asked.clone(), proceed.clone());
                move || {
                    asked.set(asked.get() + 1);
                    let (position, proceed) = (asked.get(), proceed.clone());
                    async move {
                        proceed.notified().await;
                        Some(position)
                    }
                }
            };
            spawn_local(run(waiting, Duration::ZERO, ask));
            let read = || {
                let gate = gate.clone();
                spawn_local(async move { gate.position(later()).await })
            };
            let first = read();
            while asked.get() == 0 {
                yield_now().await;
            }
            let late: Vec<_> = (0..100).map(|_| read()).collect();
            for _ in 0..1_000 {
                yield_now().await;
            }
            assert_eq!(asked.get(), 1, "one question at a time");
            proceed.notify_one();
            assert_eq!(first.await.unwrap(), Some(1));
            proceed.notify_one();
            for read in late {
                assert_eq!(read.await.unwrap(), Some(2), "all that came meanwhile share the next one");
            }
            assert_eq!(asked.get(), 2);
        });
    }

    #[test]
    fn unknown_keys_are_asked_for_a_hundred_times_a_second_at_most() {
        block_on(async {
            let (gate, waiting) = ReadGate::new();
            let asked = Rc::new(Cell::new(0_u32));
            let count = asked.clone();
            spawn_local(run(waiting, UNKNOWN_KEYS_PAUSE, move || {
                count.set(count.get() + 1);
                async { Some(1) }
            }));
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(200) {
                let all = (0..50).map(|_| gate.position(later()));
                assert!(futures::future::join_all(all).await.iter().all(|position| *position == Some(1)));
            }
            let most = begun.elapsed().as_millis() / UNKNOWN_KEYS_PAUSE.as_millis() + 1;
            assert!((2..=most).contains(&u128::from(asked.get())), "{} questions, at most {most}", asked.get());
        });
    }
}
