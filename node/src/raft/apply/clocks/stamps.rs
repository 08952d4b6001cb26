//! The stamps that ledger time is made of: where it starts, and which clock it follows.
//!
//! Ledger time starts where the clocks of a quorum say, once for each time that all nodes were down; from then on it goes on
//! with the monotonic clock, from leader to leader, and a wall clock only bends it (see [`super::line`]). So one clock that is
//! wrong forgets no idempotency key early: with three heard it is outvoted, of two that differ the slower one counts at a start
//! and none later, and a single one that jumps is not followed until the operator confirms it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger::Time;
use tokio::time::Instant;

use super::line::{LedgerTime, Line};
use super::verdict::{ClockVerdict, ClocksHeard};
use crate::runtime::Clock;

/// What a new leader may gain at once where the clocks agree. Source: the line comes from its peers, which told it a round of
/// status ago.
const HANDED_ON: Duration = Duration::from_millis(250);
/// The part of the key window by which a single clock may jump and still be followed.
const WINDOW_PART: u64 = 10;

/// Gives stamps.
#[derive(Debug)]
pub struct Stamps {
    clock: Clock,
    /// A single clock further than this from the line is not followed, in milliseconds.
    jump_ms: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where ledger time is; none before this node led or heard of it.
    line: Option<Line>,
    /// The last term in which this node stamped.
    led_in: Option<u64>,
    clocks: ClocksHeard,
    /// Whether so many clocks are heard that no more are worth waiting for.
    is_enough: bool,
    word: Word,
}

/// The operator's word for this node's clock, as it was at the start: it says nothing of a clock that was set since.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// Not given.
    None,
    /// Given: the first stamp takes the clock of the start, carried on by the monotonic clock.
    AtFirst(Line),
    /// Given, and the first stamp was taken.
    Taken,
}

/// How ledger time stands to this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// What the clocks heard say.
    pub clocks: ClocksHeard,
    /// Whether ledger time follows a clock; else it goes on with the monotonic clock alone.
    pub is_followed: bool,
    /// How far this node's clock is ahead of ledger time, in milliseconds (behind, where negative); 0 before it starts.
    pub ahead_ms: i64,
}

impl Stamps {
    /// Trusts no clock yet, unless the operator said so (`trust_clock`).
    pub fn new(clock: Clock, key_window_ms: u64, trust_clock: bool) -> Self {
        let own = LedgerTime { term: 0, ms: clock.now_ms() };
        let inner = Inner {
            line: None,
            led_in: None,
            clocks: ClocksHeard::of(&[]),
            is_enough: false,
            word: if trust_clock { Word::AtFirst(Line::new(own, Instant::now())) } else { Word::None },
        };
        Self { clock, jump_ms: key_window_ms / WINDOW_PART, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in which clocks are heard, of how many voters. How ledger time stands.
    pub fn judge(&self, clocks: ClocksHeard, voters: usize) -> ClockState {
        self.judge_at(Instant::now(), clocks, voters)
    }

    fn judge_at(&self, now: Instant, clocks: ClocksHeard, voters: usize) -> ClockState {
        let own_ms = self.clock.now_ms();
        let mut inner = self.lock();
        (inner.clocks, inner.is_enough) = (clocks, is_enough(clocks, voters));
        let Some(mut line) = inner.line else { return ClockState { clocks, is_followed: true, ahead_ms: 0 } };
        let wanted = self.wanted(&inner, own_ms, line.ms_at(now));
        if inner.led_in == Some(line.term) {
            line.advance(now, wanted, Duration::ZERO);
            inner.line = Some(line);
        }
        let ahead = i128::from(own_ms) - i128::from(line.ms_at(now));
        ClockState { clocks, is_followed: wanted.is_some(), ahead_ms: i64::try_from(ahead).unwrap_or(i64::MAX) }
    }

    /// Takes in where a peer takes ledger time to be; `leads` is whether that peer leads.
    pub fn hear(&self, said: LedgerTime, leads: bool) {
        self.hear_at(Instant::now(), said, leads);
    }

    fn hear_at(&self, now: Instant, said: LedgerTime, leads: bool) {
        let mut inner = self.lock();
        let is_own = inner.led_in.is_some_and(|term| said.term <= term);
        let is_newer = inner.line.is_none_or(|line| said.term > line.term || (leads && said.term == line.term));
        if is_newer && !is_own {
            inner.line = Some(Line::new(said, now));
        }
    }

    /// Where this node takes ledger time to be, for its peers.
    pub fn told(&self) -> Option<LedgerTime> {
        let line = self.lock().line?;
        Some(LedgerTime { term: line.term, ms: line.ms_at(Instant::now()) })
    }

    /// Whether it is known where ledger time starts. Until then whoever leads waits a little for the others' clocks.
    pub fn is_ready(&self) -> bool {
        let inner = self.lock();
        inner.line.is_some() || inner.is_enough || matches!(inner.word, Word::AtFirst(_))
    }

    /// The stamp of an entry that this node proposes as the leader of `term`; never before `state`, the time of the state.
    pub fn stamp(&self, term: u64, state: Time) -> Time {
        self.stamp_at(Instant::now(), term, state)
    }

    fn stamp_at(&self, now: Instant, term: u64, state: Time) -> Time {
        let own_ms = self.clock.now_ms();
        let mut inner = self.lock();
        let mut line = match inner.line.filter(|_| !matches!(inner.word, Word::AtFirst(_))) {
            Some(mut line) => {
                let extra = if inner.led_in == Some(term) { Duration::ZERO } else { handed_on(inner.clocks.verdict) };
                line.advance(now, self.wanted(&inner, own_ms, line.ms_at(now)), extra);
                line.of_term(term)
            }
            None => Line::new(LedgerTime { term, ms: start_of(&mut inner, now, own_ms, state) }, now),
        };
        line.reach(state.0);
        (inner.line, inner.led_in) = (Some(line), Some(term));
        Time(line.ms_at(now))
    }

    /// Where ledger time should go: to a clock that is known to be right, or nowhere but on.
    fn wanted(&self, inner: &Inner, own_ms: u64, line_ms: u64) -> Option<u64> {
        let is_confirmed = matches!(inner.word, Word::Taken);
        match inner.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => Some(own_ms),
            ClockVerdict::Off(ahead_ms) => Some(less(own_ms, ahead_ms)),
            ClockVerdict::Apart { .. } => is_confirmed.then_some(own_ms),
            ClockVerdict::Alone => (is_confirmed || own_ms.abs_diff(line_ms) <= self.jump_ms).then_some(own_ms),
        }
    }
}

/// As many as a quorum has; where they differ, all.
fn is_enough(clocks: ClocksHeard, voters: usize) -> bool {
    let least = match clocks.verdict {
        ClockVerdict::Apart { .. } => voters,
        ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Good | ClockVerdict::Off(_) => voters / 2 + 1,
    };
    clocks.count >= least
}

fn handed_on(verdict: ClockVerdict) -> Duration {
    match verdict {
        ClockVerdict::Good | ClockVerdict::Near => HANDED_ON,
        ClockVerdict::Alone | ClockVerdict::Apart { .. } | ClockVerdict::Off(_) => Duration::ZERO,
    }
}

fn less(own_ms: u64, ahead_ms: i64) -> u64 {
    u64::try_from(i128::from(own_ms) - i128::from(ahead_ms)).unwrap_or(0)
}

/// Where ledger time starts on a leader that nobody told, in milliseconds; [`Line::reach`] takes care of the state's time.
fn start_of(inner: &mut Inner, now: Instant, own_ms: u64, state: Time) -> u64 {
    if let Word::AtFirst(confirmed) = inner.word {
        inner.word = Word::Taken;
        let clock_ms = confirmed.ms_at(now);
        tracing::warn!(clock_ms, "ledger time starts at this node's clock, as the operator said: --trust-clock");
        return clock_ms;
    }
    match inner.clocks.verdict {
        ClockVerdict::Good | ClockVerdict::Near => own_ms,
        ClockVerdict::Off(ahead_ms) => less(own_ms, ahead_ms),
        ClockVerdict::Apart { slowest_ms } => own_ms.saturating_add_signed(slowest_ms),
        // There is no key yet that could be forgotten.
        ClockVerdict::Alone if inner.is_enough || state == Time(0) => own_ms,
        ClockVerdict::Alone => {
            tracing::warn!(
                "no other clock is heard: ledger time goes on from the last record, not from this node's clock"
            );
            state.0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const START_MS: u64 = 1_700_000_000_000;
    const DAY_MS: u64 = 86_400_000;
    const TWO_DAYS_MS: i64 = 172_800_000;

    /// A node in a world whose time a test moves: its wall clock may be off, its monotonic clock is not.
    struct Node {
        stamps: Stamps,
        start: Instant,
        passed_ms: u64,
        wall_ms: Arc<AtomicU64>,
        off_ms: i64,
    }

    impl Node {
        fn new(trust_clock: bool) -> Self {
            Self::with_clock(0, trust_clock)
        }

        /// One whose clock is so far ahead of the right time when it starts.
        fn with_clock(off_ms: i64, trust_clock: bool) -> Self {
            let wall_ms = Arc::new(AtomicU64::new(START_MS.saturating_add_signed(off_ms)));
            let read = wall_ms.clone();
            let stamps = Stamps::new(Clock::from_fn(move || read.load(Ordering::SeqCst)), DAY_MS, trust_clock);
            Self { stamps, start: Instant::now(), passed_ms: 0, wall_ms, off_ms }
        }

        fn wait(&mut self, ms: u64) -> &mut Self {
            self.passed_ms += ms;
            self.set_clock(self.off_ms);
            self
        }

        /// Sets its clock so far ahead of the right time.
        fn set_clock(&mut self, off_ms: i64) {
            self.off_ms = off_ms;
            self.wall_ms.store((START_MS + self.passed_ms).saturating_add_signed(off_ms), Ordering::SeqCst);
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_millis(self.passed_ms)
        }

        /// Hears these clocks, each less its own, as one of so many.
        fn hears(&self, others: &[i64], voters: usize) -> ClockState {
            self.stamps.judge_at(self.now(), ClocksHeard::of(others), voters)
        }

        fn is_told(&self, term: u64, off_ms: i64, by_leader: bool) {
            let ms = (START_MS + self.passed_ms).saturating_add_signed(off_ms);
            self.stamps.hear_at(self.now(), LedgerTime { term, ms }, by_leader);
        }

        /// Its stamp in a term, less the right time.
        fn stamp(&self, term: u64) -> i64 {
            let stamp = self.stamps.stamp_at(self.now(), term, Time(0));
            stamp.0 as i64 - (START_MS + self.passed_ms) as i64
        }
    }

    #[test]
    fn a_clock_set_while_two_are_heard_moves_ledger_time_no_faster_than_time_passes() {
        for (own, other) in
            [(TWO_DAYS_MS, -TWO_DAYS_MS), (0, TWO_DAYS_MS), (0, -TWO_DAYS_MS), (-TWO_DAYS_MS, TWO_DAYS_MS)]
        {
            let mut node = Node::new(false);
            node.hears(&[0], 3);
            assert_eq!(node.stamp(1), 0);
            node.set_clock(own);
            let at_once = node.wait(200).stamp(1);
            assert!(at_once.abs() <= 20, "{at_once} ms off, before anybody looked");
            assert!(!node.hears(&[other], 3).is_followed);
            for _ in 0..3_000 {
                let off = node.wait(60_000).stamp(1);
                assert_eq!(off, at_once, "after {} ms", node.passed_ms);
            }
        }
    }

    #[test]
    fn a_clock_that_runs_fast_while_two_are_heard_is_left_when_it_is_off() {
        let mut node = Node::new(false);
        for step in 1..=10_000 {
            node.wait(200);
            node.set_clock(step * 50);
            node.hears(&[step * -50], 3);
            let off = node.stamp(1);
            assert!((0..=5_000).contains(&off), "{off} ms off after {step} steps");
        }
    }

    #[test]
    fn at_a_start_two_clocks_that_differ_give_the_slower_one_and_no_jump_later() {
        let mut node = Node::new(false);
        assert!(!node.stamps.is_ready(), "no clock was heard");
        node.set_clock(TWO_DAYS_MS);
        node.hears(&[-TWO_DAYS_MS], 3);
        assert!(!node.stamps.is_ready(), "a third one is worth a moment");
        assert_eq!(node.stamp(1), 0, "the slower one");
        assert!(node.stamps.is_ready());

        // The slower one was wrong: ledger time is late, and catches up by a hundredth of the time.
        let mut node = Node::new(false);
        node.hears(&[-TWO_DAYS_MS], 3);
        assert_eq!(node.stamp(1), -TWO_DAYS_MS);
        node.hears(&[0, 1], 3);
        assert!(node.stamps.is_ready());
        assert_eq!(node.wait(100_000).stamp(1), -TWO_DAYS_MS + 1_000);
    }

    #[test]
    fn at_a_start_three_clocks_outvote_one() {
        let mut node = Node::new(false);
        node.set_clock(TWO_DAYS_MS);
        node.hears(&[-TWO_DAYS_MS, -TWO_DAYS_MS + 3], 3);
        assert!(node.stamps.is_ready());
        assert!((0..=3).contains(&node.stamp(1)));
    }

    #[test]
    fn a_single_clock_that_jumps_is_not_followed_until_the_operator_confirms_it() {
        let mut node = Node::new(false);
        node.hears(&[], 1);
        assert_eq!(node.stamp(1), 0);
        node.set_clock(TWO_DAYS_MS);
        let state = node.hears(&[], 1);
        assert!(!state.is_followed && state.ahead_ms == TWO_DAYS_MS);
        assert_eq!(node.wait(100_000).stamp(1), 0, "it goes on with time");

        let node = Node::with_clock(TWO_DAYS_MS, true);
        node.is_told(1, 0, false);
        assert!((node.stamp(2) - TWO_DAYS_MS).abs() <= 1_000, "confirmed");
    }

    #[test]
    fn the_operators_word_is_for_the_clock_of_the_start_and_not_for_one_that_was_set_since() {
        let mut node = Node::new(true);
        node.is_told(1, 0, true);
        node.wait(1_000_000);
        node.set_clock(TWO_DAYS_MS);
        node.hears(&[-TWO_DAYS_MS], 3);
        let off = node.stamp(2);
        assert!(off.abs() <= 1_000, "{off} ms off at its first stamp");
    }

    #[test]
    fn without_other_clocks_a_start_goes_on_from_the_last_record() {
        let node = Node::new(false);
        node.hears(&[], 3);
        assert!(!node.stamps.is_ready());
        let last = Time(START_MS - 1_000);
        assert_eq!(node.stamps.stamp_at(node.now(), 1, last), last);
        // Where there is no record there is no key to forget.
        let node = Node::new(false);
        assert_eq!(node.stamp(1), 0);
    }

    #[test]
    fn a_new_leader_goes_on_where_the_last_one_was() {
        let mut node = Node::new(false);
        node.set_clock(TWO_DAYS_MS);
        node.hears(&[-TWO_DAYS_MS], 3);
        node.is_told(1, 0, true);
        node.is_told(1, 9_000, false);
        assert_eq!(node.wait(5_000).stamp(2), 0, "what the leader said counts, not what others make of it");
        node.is_told(1, 99_000, true);
        assert_eq!(node.stamp(2), 0, "what an earlier leader says counts no more");
        node.is_told(3, -2_000, false);
        assert_eq!(node.stamp(4), -2_000);
        let later = Time(START_MS + 50_000);
        assert_eq!(node.stamps.stamp_at(node.now(), 4, later), later, "never before the state");
    }

    #[test]
    fn a_new_leader_makes_up_at_once_for_the_way_that_the_word_took() {
        let mut node = Node::new(false);
        node.hears(&[0, 0], 3);
        node.is_told(1, -100, true);
        assert_eq!(node.stamp(2), 0);
        node.is_told(3, -60_000, true);
        assert_eq!(node.wait(0).stamp(4), -59_750, "and for no more");
    }
}
