//! The stamps that ledger time is made of: where it starts, and which clock it follows.
//!
//! Ledger time starts, once for each time that all nodes were down, where most of a quorum carried it to over the stop (see
//! [`super::carried`]); from then on it goes on with the monotonic clock, from leader to leader, and a wall clock only bends it
//! (see [`super::line`]). So one clock that is wrong forgets no idempotency key early: of three it is outvoted, of two that
//! differ the slower one counts at a start and none later, and a single one moves ledger time by no more than the bend until
//! the operator confirms it.
//!
//! A leader goes on exactly where the last one told it to be, without making up for the way of that word: ledger time is late
//! by that for a moment and never early, however short the key window is and however often the leader changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ledger::Time;
use tokio::time::Instant;

use super::carried::{self, Carried};
use super::line::{LedgerTime, Line, NOBODY};
use super::verdict::{CLOCK_OFF_MS, ClockVerdict, ClocksReceived};
use crate::raft::answers::ClockHealth;
use crate::runtime::Clock;
use crate::storage::TimeMark;

/// The part of the key window by which a single clock may jump and still be followed.
const WINDOW_PART: u64 = 10;

/// Gives stamps.
#[derive(Debug)]
pub struct ClockGuard {
    clock: Clock,
    /// A single clock further than this from the line is not followed, in milliseconds.
    jump_ms: u64,
    carried: Carried,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where ledger time is; none before this node led or heard of it.
    line: Option<Line>,
    /// The last term in which this node stamped.
    led_in: Option<u64>,
    clocks: ClocksReceived,
    /// What was last found of this node's clock.
    judged: ClockState,
    start: Start,
    /// How far a start left ledger time behind this node's clock, in milliseconds: time may have passed meanwhile, so a clock
    /// that is alone is followed over that distance, by the bend.
    owed_ms: u64,
    word: Word,
}

/// Where ledger time is to start, where this node has to say so.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// Where the members heard carried it to, once any was heard. Goes on with the monotonic clock: what the clocks showed
    /// counts as of the moment in which they were compared, whatever is set after that.
    agreed: Option<Line>,
    /// Whether so many are heard that no more are worth waiting for.
    is_enough: bool,
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
    pub clocks: ClocksReceived,
    /// Whether ledger time follows a clock; else it goes on with the monotonic clock alone.
    pub is_followed: bool,
    /// How far this node's clock is ahead of ledger time, in milliseconds (behind, where negative); 0 before it starts.
    pub ahead_ms: i64,
}

impl ClockState {
    /// Whether the others found this node's clock right, and it was not set since.
    fn vouches_for(self, wall_ms: u64, ledger_ms: u64) -> bool {
        let ahead = i128::from(wall_ms) - i128::from(ledger_ms);
        let was_set = (ahead - i128::from(self.ahead_ms)).unsigned_abs() > u128::from(CLOCK_OFF_MS.unsigned_abs());
        match self.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => !was_set,
            ClockVerdict::Off(_) | ClockVerdict::Apart | ClockVerdict::Alone => false,
        }
    }

    /// The same for those who ask how this node is.
    pub fn health(self) -> ClockHealth {
        match self.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => ClockHealth::Agrees,
            ClockVerdict::Apart => ClockHealth::Differs,
            ClockVerdict::Off(ahead_ms) => ClockHealth::Off { ahead_ms },
            ClockVerdict::Alone if self.is_followed => ClockHealth::Alone,
            ClockVerdict::Alone => ClockHealth::NotFollowed { ahead_ms: self.ahead_ms },
        }
    }
}

impl ClockGuard {
    /// Trusts no clock yet, unless the operator said so (`trust_clock`). `mark` is what this node kept before it stopped.
    pub fn new(clock: Clock, key_window_ms: u64, trust_clock: bool, mark: Option<TimeMark>) -> Self {
        let now = Instant::now();
        let own = LedgerTime { term: NOBODY, ms: clock.now_ms() };
        let carried = Carried::new(mark, &clock, now);
        let inner = Inner {
            line: None,
            led_in: None,
            clocks: ClocksReceived::of(&[]),
            judged: ClockState { clocks: ClocksReceived::of(&[]), is_followed: true, ahead_ms: 0 },
            start: Start { agreed: None, is_enough: false },
            owed_ms: carried.owed_ms(),
            word: if trust_clock { Word::AtFirst(Line::new(own, now)) } else { Word::None },
        };
        Self { clock, jump_ms: key_window_ms / WINDOW_PART, carried, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in which clocks are heard, where other nodes that know of no leader carried ledger time to, and how many voters
    /// there are. How ledger time stands.
    pub fn judge(&self, clocks: ClocksReceived, starts: Vec<u64>, voters: usize) -> ClockState {
        let judged = self.judge_at(Instant::now(), clocks, starts, voters);
        self.lock().judged = judged;
        judged
    }

    /// What [`Self::judge`] last gave.
    pub fn judged(&self) -> ClockState {
        self.lock().judged
    }

    fn judge_at(&self, now: Instant, clocks: ClocksReceived, starts: Vec<u64>, voters: usize) -> ClockState {
        let own_ms = self.clock.now_ms();
        let mut inner = self.lock();
        inner.clocks = clocks;
        let Some(mut line) = inner.line else {
            inner.start = start_among(self.carried.guess(now, own_ms), starts, voters, now);
            return ClockState { clocks, is_followed: true, ahead_ms: 0 };
        };
        let wanted = self.wanted(&inner, own_ms, line.ms_at(now));
        if inner.led_in == Some(line.term) {
            line.advance(now, wanted);
            inner.line = Some(line);
        }
        let ahead = i128::from(own_ms) - i128::from(line.ms_at(now));
        ClockState { clocks, is_followed: wanted.is_some(), ahead_ms: i64::try_from(ahead).unwrap_or(i64::MAX) }
    }

    /// Takes in where a peer takes ledger time to be; `leads` is whether that peer leads.
    pub fn receive(&self, said: LedgerTime, leads: bool) {
        self.receive_at(Instant::now(), said, leads);
    }

    fn receive_at(&self, now: Instant, said: LedgerTime, leads: bool) {
        let mut inner = self.lock();
        let is_own = inner.led_in.is_some_and(|term| said.term <= term);
        if said.term == NOBODY {
            return;
        }
        let is_newer = inner.line.is_none_or(|line| said.term > line.term || (leads && said.term == line.term));
        if is_newer && !is_own {
            inner.line = Some(Line::new(said, now));
        }
    }

    /// Where this node takes ledger time to be; `None` before it led or heard of it.
    pub fn ledger_time(&self) -> Option<LedgerTime> {
        let line = self.lock().line?;
        Some(LedgerTime { term: line.term, ms: line.ms_at(Instant::now()) })
    }

    /// The same for its peers, or else where it carried ledger time to, in nobody's term.
    pub fn for_peers(&self) -> LedgerTime {
        let own_ms = self.clock.now_ms();
        let guess = || LedgerTime { term: NOBODY, ms: self.carried.guess(Instant::now(), own_ms) };
        self.ledger_time().unwrap_or_else(guess)
    }

    /// What has to be kept so that ledger time is carried over a stop, where `kept` does not do; reads files of the kernel.
    pub fn mark_beyond(&self, kept: Option<&TimeMark>) -> Option<TimeMark> {
        let (line, owed_ms, judged) = {
            let inner = self.lock();
            (inner.line?, inner.owed_ms, inner.judged)
        };
        let ledger_ms = line.ms_at(Instant::now());
        let new = carried::mark(ledger_ms, owed_ms, &self.clock);
        let is_right = new.wall_ms.is_some_and(|wall_ms| judged.vouches_for(wall_ms, ledger_ms));
        let is_news = kept.is_none_or(|kept| !carried::still_holds(kept, &new, is_right));
        is_news.then_some(TimeMark { wall_ms: new.wall_ms.filter(|_| is_right), ..new })
    }

    /// Whether it is known where ledger time starts. Until then whoever leads waits a little for the others' clocks.
    pub fn is_ready(&self) -> bool {
        let inner = self.lock();
        inner.line.is_some() || inner.start.is_enough || matches!(inner.word, Word::AtFirst(_))
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
                line.advance(now, self.wanted(&inner, own_ms, line.ms_at(now)));
                line.of_term(term)
            }
            None => Line::new(LedgerTime { term, ms: self.start(&mut inner, now, own_ms, state) }, now),
        };
        line.reach(state.0);
        (inner.line, inner.led_in) = (Some(line), Some(term));
        Time(line.ms_at(now))
    }

    /// Where ledger time should go: to a clock that is known to be right, or nowhere but on.
    ///
    /// The clock is read now, and what the others say of it may be a round of status old. A clock that was set in between is
    /// followed for that long, by the bend: 2 ms in 200 ms, which is the hundredth that is promised of any window.
    fn wanted(&self, inner: &Inner, own_ms: u64, line_ms: u64) -> Option<u64> {
        let is_confirmed = matches!(inner.word, Word::Taken);
        match inner.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => Some(own_ms),
            ClockVerdict::Off(ahead_ms) => Some(less(own_ms, ahead_ms)),
            ClockVerdict::Apart => is_confirmed.then_some(own_ms),
            ClockVerdict::Alone => {
                let far_ms = self.jump_ms.saturating_add(inner.owed_ms);
                (is_confirmed || own_ms.abs_diff(line_ms) <= far_ms).then_some(own_ms)
            }
        }
    }

    /// Where ledger time starts on a leader that nobody told, in milliseconds; [`Line::reach`] takes care of the state's time.
    fn start(&self, inner: &mut Inner, now: Instant, own_ms: u64, state: Time) -> u64 {
        if let Word::AtFirst(confirmed) = inner.word {
            inner.word = Word::Taken;
            let clock_ms = confirmed.ms_at(now);
            tracing::warn!(clock_ms, "ledger time starts at this node's clock, as the operator said: --trust-clock");
            return clock_ms;
        }
        if let Some(agreed) = inner.start.agreed {
            return agreed.ms_at(now);
        }
        // There is no key yet that could be forgotten.
        if state == Time(0) {
            return own_ms;
        }
        let start_ms = self.carried.alone(now).unwrap_or(0).max(state.0);
        inner.owed_ms = own_ms.saturating_sub(start_ms);
        tracing::info!(
            start_ms,
            behind_clock_ms = inner.owed_ms,
            "no other clock is heard: ledger time goes on from where it was"
        );
        start_ms
    }
}

/// The lower median of where this node and others carried ledger time to: with one wrong clock among three it lies between two
/// right ones, and of two it is the slower one.
fn start_among(own: u64, others: Vec<u64>, voters: usize, now: Instant) -> Start {
    let mut all = others;
    if all.is_empty() {
        return Start { agreed: None, is_enough: voters <= 1 };
    }
    all.push(own);
    all.sort_unstable();
    let at = |place: usize| all.get(place).copied().unwrap_or(own);
    let last = all.len() - 1;
    // Where two differ a third one is worth a moment, where there is one.
    let is_apart = last == 1 && at(last).abs_diff(at(0)) > CLOCK_OFF_MS.unsigned_abs();
    let enough = if is_apart { voters } else { voters / 2 + 1 };
    let agreed = Line::new(LedgerTime { term: NOBODY, ms: at(last / 2) }, now);
    Start { agreed: Some(agreed), is_enough: all.len() >= enough }
}

fn less(own_ms: u64, ahead_ms: i64) -> u64 {
    u64::try_from(i128::from(own_ms) - i128::from(ahead_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::runtime::Uptime;

    const START_MS: u64 = 1_700_000_000_000;
    const DAY_MS: u64 = 86_400_000;
    const TWO_DAYS_MS: i64 = 172_800_000;
    const BOOT: u128 = 7;
    const OTHER_BOOT: u128 = 6;
    /// How long all nodes were down before a restart of all.
    const DOWN_MS: u64 = 7_200_000;

    /// A node in a world whose time a test moves: its wall clock may be off, its monotonic clock is not.
    struct Node {
        clock_guard: ClockGuard,
        start: Instant,
        passed_ms: u64,
        wall_ms: Arc<AtomicU64>,
        off_ms: i64,
    }

    impl Node {
        fn new(trust_clock: bool) -> Self {
            Self::with_clock(0, trust_clock, None)
        }

        /// One whose clock is so far ahead of the right time when it starts.
        fn with_clock(off_ms: i64, trust_clock: bool, mark: Option<TimeMark>) -> Self {
            let wall_ms = Arc::new(AtomicU64::new(START_MS.saturating_add_signed(off_ms)));
            let read = wall_ms.clone();
            let uptime = || Some(Uptime { boot: BOOT, ms: DAY_MS });
            let clock = Clock::from_fn(move || read.load(Ordering::SeqCst)).with_uptime(uptime);
            let clock_guard = ClockGuard::new(clock, DAY_MS, trust_clock, mark);
            Self { clock_guard, start: Instant::now(), passed_ms: 0, wall_ms, off_ms }
        }

        /// One that starts after two hours in which all were down. Ledger time and its clock were so far off before, its clock
        /// is so far off now, and it was booted meanwhile or not.
        fn restarted(ledger_off_ms: i64, before_ms: i64, off_ms: i64, boot: u128) -> Self {
            let then_ms = START_MS - DOWN_MS;
            let mark = TimeMark {
                ledger_ms: then_ms.saturating_add_signed(ledger_off_ms),
                wall_ms: Some(then_ms.saturating_add_signed(before_ms)),
                uptime: Some((boot, DAY_MS - DOWN_MS)),
                owed_ms: 0,
            };
            Self::with_clock(off_ms, false, Some(mark))
        }

        /// How far off it takes ledger time to be after its start.
        fn carried(&self) -> i64 {
            self.clock_guard.for_peers().ms as i64 - START_MS as i64
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
        fn compares(&self, others: &[i64], voters: usize) -> ClockState {
            let own_ms = self.wall_ms.load(Ordering::SeqCst);
            let starts = others.iter().map(|off_ms| own_ms.saturating_add_signed(*off_ms)).collect();
            self.clock_guard.judge_at(self.now(), ClocksReceived::of(others), starts, voters)
        }

        /// Hears of others how far off they carried ledger time, as one of three that were all restarted.
        fn compares_starts(&self, offs: &[i64]) {
            let starts = offs.iter().map(|off_ms| (START_MS + self.passed_ms).saturating_add_signed(*off_ms)).collect();
            self.clock_guard.judge_at(self.now(), ClocksReceived::of(&vec![0; offs.len()]), starts, 3);
        }

        fn receives(&self, term: u64, off_ms: i64, by_leader: bool) {
            let ms = (START_MS + self.passed_ms).saturating_add_signed(off_ms);
            self.clock_guard.receive_at(self.now(), LedgerTime { term, ms }, by_leader);
        }

        /// Its stamp in a term, less the right time.
        fn stamp(&self, term: u64) -> i64 {
            self.stamp_after(term, Time(0))
        }

        /// The same where the last record was made at that time.
        fn stamp_after(&self, term: u64, state: Time) -> i64 {
            let stamp = self.clock_guard.stamp_at(self.now(), term, state);
            stamp.0 as i64 - (START_MS + self.passed_ms) as i64
        }
    }

    #[test]
    fn a_clock_set_while_two_are_heard_moves_ledger_time_no_faster_than_time_passes() {
        for (own, other) in
            [(TWO_DAYS_MS, -TWO_DAYS_MS), (0, TWO_DAYS_MS), (0, -TWO_DAYS_MS), (-TWO_DAYS_MS, TWO_DAYS_MS)]
        {
            let mut node = Node::new(false);
            node.compares(&[0], 3);
            assert_eq!(node.stamp(1), 0);
            node.set_clock(own);
            let at_once = node.wait(200).stamp(1);
            assert!(at_once.abs() <= 20, "{at_once} ms off, before anybody looked");
            assert!(!node.compares(&[other], 3).is_followed);
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
            node.compares(&[step * -50], 3);
            let off = node.stamp(1);
            assert!((0..=5_000).contains(&off), "{off} ms off after {step} steps");
        }
    }

    #[test]
    fn at_a_start_two_clocks_that_differ_give_the_slower_one_and_no_jump_later() {
        let mut node = Node::new(false);
        assert!(!node.clock_guard.is_ready(), "no clock was heard");
        node.set_clock(TWO_DAYS_MS);
        node.compares(&[-TWO_DAYS_MS], 3);
        assert!(!node.clock_guard.is_ready(), "a third one is worth a moment");
        assert_eq!(node.stamp(1), 0, "the slower one");
        assert!(node.clock_guard.is_ready());

        // The slower one was wrong: ledger time is late, and catches up by a hundredth of the time.
        let mut node = Node::new(false);
        node.compares(&[-TWO_DAYS_MS], 3);
        assert_eq!(node.stamp(1), -TWO_DAYS_MS);
        node.compares(&[0, 1], 3);
        assert!(node.clock_guard.is_ready());
        assert_eq!(node.wait(100_000).stamp(1), -TWO_DAYS_MS + 1_000);
    }

    #[test]
    fn at_a_start_three_clocks_outvote_one() {
        let mut node = Node::new(false);
        node.set_clock(TWO_DAYS_MS);
        node.compares(&[-TWO_DAYS_MS, -TWO_DAYS_MS + 3], 3);
        assert!(node.clock_guard.is_ready());
        assert!((0..=3).contains(&node.stamp(1)));
    }

    #[test]
    fn a_single_clock_that_jumps_is_not_followed_until_the_operator_confirms_it() {
        let mut node = Node::new(false);
        node.compares(&[], 1);
        assert_eq!(node.stamp(1), 0);
        node.set_clock(TWO_DAYS_MS);
        let state = node.compares(&[], 1);
        assert!(!state.is_followed && state.ahead_ms == TWO_DAYS_MS);
        assert_eq!(node.wait(100_000).stamp(1), 0, "it goes on with time");

        let node = Node::with_clock(TWO_DAYS_MS, true, None);
        node.receives(1, 0, false);
        assert!((node.stamp(2) - TWO_DAYS_MS).abs() <= 1_000, "confirmed");
    }

    #[test]
    fn the_operators_word_is_for_the_clock_of_the_start_and_not_for_one_that_was_set_since() {
        let mut node = Node::new(true);
        node.receives(1, 0, true);
        node.wait(1_000_000);
        node.set_clock(TWO_DAYS_MS);
        node.compares(&[-TWO_DAYS_MS], 3);
        let off = node.stamp(2);
        assert!(off.abs() <= 1_000, "{off} ms off at its first stamp");
    }

    #[test]
    fn without_other_clocks_a_start_goes_on_from_the_last_record() {
        let node = Node::new(false);
        node.compares(&[], 3);
        assert!(!node.clock_guard.is_ready());
        let last = Time(START_MS - 1_000);
        assert_eq!(node.clock_guard.stamp_at(node.now(), 1, last), last);
        // Where there is no record there is no key to forget.
        let node = Node::new(false);
        assert_eq!(node.stamp(1), 0);
    }

    #[test]
    fn a_new_leader_goes_on_where_the_last_one_was() {
        let mut node = Node::new(false);
        node.set_clock(TWO_DAYS_MS);
        node.compares(&[-TWO_DAYS_MS], 3);
        node.receives(1, 0, true);
        node.receives(1, 9_000, false);
        assert_eq!(node.wait(5_000).stamp(2), 0, "what the leader said counts, not what others make of it");
        node.receives(1, 99_000, true);
        assert_eq!(node.stamp(2), 0, "what an earlier leader says counts no more");
        node.receives(3, -2_000, false);
        assert_eq!(node.stamp(4), -2_000);
        let later = Time(START_MS + 50_000);
        assert_eq!(node.clock_guard.stamp_at(node.now(), 4, later), later, "never before the state");
    }

    #[test]
    fn leaders_that_change_gain_no_more_than_the_bend_on_a_clock_that_is_ahead() {
        let mut node = Node::new(false);
        node.set_clock(4_000);
        node.compares(&[-4_000], 3);
        node.receives(1, -100, true);
        for term in 2..=100 {
            node.wait(50);
            let off = node.stamp(2 * term);
            let most = -100 + i64::try_from(node.passed_ms / 100).unwrap();
            assert!((-100..=most + 1).contains(&off), "{off} ms off in term {}", 2 * term);
            node.receives(2 * term + 1, off, true);
        }
    }

    #[test]
    fn a_restart_of_all_while_ledger_time_is_late_makes_nothing_up_at_once() {
        for boot in [BOOT, OTHER_BOOT] {
            let mut node = Node::restarted(-TWO_DAYS_MS, 0, 0, boot);
            assert!((node.carried() + TWO_DAYS_MS).abs() <= 300, "{} ms off", node.carried());
            node.compares_starts(&[-TWO_DAYS_MS, -TWO_DAYS_MS]);
            assert!(node.clock_guard.is_ready());
            let off = node.stamp(9) + TWO_DAYS_MS;
            assert!((-300..=0).contains(&off), "{off} ms more than it was");
            node.compares(&[0, 0], 3);
            let off = node.wait(100_000).stamp(9) + TWO_DAYS_MS;
            assert!((700..=1_000).contains(&off), "{off} ms gained in 100 s");
        }
    }

    #[test]
    fn a_clock_that_was_set_while_all_were_down_is_outvoted_or_waited_for_and_time_that_passed_is_not_lost() {
        // Its own clock was set ahead, or always was ahead, or another's was set.
        for (before, now, others) in [
            (0, TWO_DAYS_MS, [0, 0]),
            (TWO_DAYS_MS, TWO_DAYS_MS, [0, 0]),
            (0, 0, [TWO_DAYS_MS, 0]),
            (0, 0, [-TWO_DAYS_MS, 0]),
        ] {
            let node = Node::restarted(0, before, now, OTHER_BOOT);
            node.compares_starts(&others);
            assert!((-300..=1).contains(&node.stamp(9)), "{before} then {now} with {others:?}");
            // With one of them down: never ahead.
            let node = Node::restarted(0, before, now, OTHER_BOOT);
            node.compares_starts(&others[..1]);
            let is_apart = node.carried().abs_diff(others[0]) > 5_000;
            assert_eq!(node.clock_guard.is_ready(), !is_apart, "a third one is worth a moment where two differ");
            assert!(node.stamp(9) <= 1, "{before} then {now} with {:?}", others[0]);
        }
    }

    #[test]
    fn a_node_alone_goes_by_its_uptime_and_over_a_reboot_from_where_it_was() {
        let last = Time(START_MS - DOWN_MS);
        // The process alone was down: the two hours are known, whatever its clock says.
        for off_ms in [0, TWO_DAYS_MS, -TWO_DAYS_MS] {
            let node = Node::restarted(0, 0, off_ms, BOOT);
            node.compares(&[], 1);
            assert!(node.clock_guard.is_ready());
            assert!((-300..=0).contains(&node.stamp_after(9, last)), "with a clock that is {off_ms} ms off");
        }
        // The machine was down: they are gained on its clock by a hundredth, and so are two days that nobody waited.
        for off_ms in [0, TWO_DAYS_MS] {
            let mut node = Node::restarted(0, 0, off_ms, OTHER_BOOT);
            node.compares(&[], 1);
            let late = -(DOWN_MS as i64);
            assert!((late..=late + 1).contains(&node.stamp_after(9, last)));
            assert!(node.compares(&[], 1).is_followed);
            let gained = node.wait(100_000).stamp(9) - late;
            assert!((1_000..=1_001).contains(&gained), "{gained} ms");
            // The next start knows what is owed.
            let mark = node.clock_guard.mark_beyond(None).expect("it leads");
            assert!(mark.owed_ms.abs_diff(DOWN_MS.saturating_add_signed(off_ms)) < 2_000);
        }
    }

    #[test]
    fn a_clock_that_is_set_after_it_was_compared_moves_no_start() {
        let mut node = Node::new(false);
        node.compares(&[0], 3);
        node.set_clock(TWO_DAYS_MS);
        assert_eq!(node.wait(199).stamp(1), 0);
    }
}
