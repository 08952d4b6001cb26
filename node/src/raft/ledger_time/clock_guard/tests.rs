//! Ledger time in a world whose clocks a test sets.

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

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap()
}

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
        signed(self.clock_guard.for_peers().ms) - signed(START_MS)
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

    /// Receives these clocks, each less its own, as one of so many nodes.
    fn compares(&self, others: &[i64], voters: usize) -> ClockState {
        let own_ms = self.wall_ms.load(Ordering::SeqCst);
        let starts = others.iter().map(|off_ms| own_ms.saturating_add_signed(*off_ms)).collect();
        self.clock_guard.judge_at(self.now(), ClocksReceived::of(others), starts, voters)
    }

    /// Receives from the others how far off they carried ledger time, as one of three that were all restarted.
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
        signed(stamp.0) - signed(START_MS + self.passed_ms)
    }
}

#[test]
fn a_clock_set_while_two_are_received_moves_ledger_time_no_faster_than_time_passes() {
    for (own, other) in [(TWO_DAYS_MS, -TWO_DAYS_MS), (0, TWO_DAYS_MS), (0, -TWO_DAYS_MS), (-TWO_DAYS_MS, TWO_DAYS_MS)]
    {
        let mut node = Node::new(false);
        node.compares(&[0], 3);
        assert_eq!(node.stamp(1), 0);
        node.set_clock(own);
        let at_once = node.wait(200).stamp(1);
        assert!(at_once.abs() <= 20, "{at_once} ms off, before the first update");
        assert!(!node.compares(&[other], 3).is_followed);
        for _ in 0..3_000 {
            let off = node.wait(60_000).stamp(1);
            assert_eq!(off, at_once, "after {} ms", node.passed_ms);
        }
    }
}

#[test]
fn a_clock_that_runs_fast_while_two_are_received_is_left_when_it_is_off() {
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
    assert!(!node.clock_guard.is_ready(), "no clock was received");
    node.set_clock(TWO_DAYS_MS);
    node.compares(&[-TWO_DAYS_MS], 3);
    assert!(!node.clock_guard.is_ready(), "a third one is waited for");
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
    assert_eq!(node.wait(100_000).stamp(1), 0, "it advances with time");

    let node = Node::with_clock(TWO_DAYS_MS, true, None);
    node.receives(1, 0, false);
    assert!((node.stamp(2) - TWO_DAYS_MS).abs() <= 1_000, "confirmed");
}

#[test]
fn the_operators_confirmation_is_for_the_clock_of_the_start_and_not_for_one_that_was_set_since() {
    let mut node = Node::new(true);
    node.receives(1, 0, true);
    node.wait(1_000_000);
    node.set_clock(TWO_DAYS_MS);
    node.compares(&[-TWO_DAYS_MS], 3);
    let off = node.stamp(2);
    assert!(off.abs() <= 1_000, "{off} ms off at its first stamp");
}

#[test]
fn without_other_clocks_a_start_continues_from_the_last_record() {
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
fn a_new_leader_continues_where_the_last_one_was() {
    let mut node = Node::new(false);
    node.set_clock(TWO_DAYS_MS);
    node.compares(&[-TWO_DAYS_MS], 3);
    node.receives(1, 0, true);
    node.receives(1, 9_000, false);
    assert_eq!(node.wait(5_000).stamp(2), 0, "the leader's report counts, not the others' clocks");
    node.receives(1, 99_000, true);
    assert_eq!(node.stamp(2), 0, "an earlier leader's report counts no more");
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
        assert_eq!(node.clock_guard.is_ready(), !is_apart, "a third one is waited for where two differ");
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
    // The machine was down: they are gained on its clock by a hundredth, and so are two days that did not pass.
    for off_ms in [0, TWO_DAYS_MS] {
        let mut node = Node::restarted(0, 0, off_ms, OTHER_BOOT);
        node.compares(&[], 1);
        let late = -signed(DOWN_MS);
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
