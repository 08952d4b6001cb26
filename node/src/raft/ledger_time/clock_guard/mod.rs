//! The stamps that ledger time is made of: where it starts, and which clock it follows.
//!
//! Ledger time starts, once for each time that all nodes were down, where most of a quorum carried it to over the stop
//! (see [`super::carried`]); from then on it advances with the monotonic clock, from leader to leader, and a wall clock
//! only bends it (see [`super::line`]). So one clock that is wrong forgets no idempotency key early: of three it is
//! outvoted, of two that differ the slower one counts at a start and none later, and a single one moves ledger time by
//! no more than the bend until the operator confirms it.
//!
//! A leader continues exactly where the last one reported it, without compensating for the delay of that report: ledger
//! time is late by that delay and never early, however short the key window is and however often the leader changes.

#[cfg(test)]
mod tests;

use ledger::Time;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::carried::{self, Carried};
use super::line::{LedgerTime, Line, NO_TERM};
use super::start::Start;
use super::verdict::{ClockState, ClockVerdict, ClocksReceived};
use crate::runtime::Clock;
use crate::storage::TimeMark;

/// The part of the key window by which a single clock may jump and still be followed.
const WINDOW_PART: u64 = 10;

/// Gives stamps.
#[derive(Debug)]
pub(crate) struct ClockGuard {
    clock: Clock,
    /// A single clock further than this from the line is not followed, in milliseconds.
    jump_ms: u64,
    carried: Carried,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where ledger time is; none before this node led or received it.
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
    confirmed: Confirmed,
}

/// The operator's confirmation of this node's clock as it was at the start; it does not cover a clock that was set since.
#[derive(Debug, Clone, Copy)]
enum Confirmed {
    /// Not given.
    None,
    /// Given: the first stamp takes the clock of the start, carried on by the monotonic clock.
    AtFirst(Line),
    /// Given, and the first stamp was taken.
    Taken,
}

impl ClockGuard {
    /// Trusts no clock yet, unless the operator said so (`trust_clock`). `mark` is what this node kept before it stopped.
    pub(crate) fn new(clock: Clock, key_window_ms: u64, trust_clock: bool, mark: Option<TimeMark>) -> Self {
        let now = Instant::now();
        let own = LedgerTime { term: NO_TERM, ms: clock.now_ms() };
        let carried = Carried::new(mark, &clock, now);
        let inner = Inner {
            line: None,
            led_in: None,
            clocks: ClocksReceived::of(&[]),
            judged: ClockState { clocks: ClocksReceived::of(&[]), is_followed: true, ahead_ms: 0 },
            start: Start::UNKNOWN,
            owed_ms: carried.owed_ms(),
            confirmed: if trust_clock { Confirmed::AtFirst(Line::new(own, now)) } else { Confirmed::None },
        };
        Self { clock, jump_ms: key_window_ms / WINDOW_PART, carried, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Stores which clocks are received, where other voters that know of no leader carried ledger time to, and how many voters
    /// there are. How ledger time stands.
    pub(crate) fn judge(&self, clocks: ClocksReceived, starts: Vec<u64>, voters: usize) -> ClockState {
        let judged = self.judge_at(Instant::now(), clocks, starts, voters);
        self.lock().judged = judged;
        judged
    }

    /// What [`Self::judge`] last gave.
    pub(crate) fn judged(&self) -> ClockState {
        self.lock().judged
    }

    fn judge_at(&self, now: Instant, clocks: ClocksReceived, starts: Vec<u64>, voters: usize) -> ClockState {
        let own_ms = self.clock.now_ms();
        let mut inner = self.lock();
        inner.clocks = clocks;
        let Some(mut line) = inner.line else {
            inner.start = Start::among(self.carried.guess(now, own_ms), starts, voters, now);
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

    /// Stores where a peer takes ledger time to be; `leads` is whether that peer leads.
    pub(crate) fn receive(&self, said: LedgerTime, leads: bool) {
        self.receive_at(Instant::now(), said, leads);
    }

    fn receive_at(&self, now: Instant, said: LedgerTime, leads: bool) {
        let mut inner = self.lock();
        let is_own = inner.led_in.is_some_and(|term| said.term <= term);
        if said.term == NO_TERM {
            return;
        }
        let is_newer = inner.line.is_none_or(|line| said.term > line.term || (leads && said.term == line.term));
        if is_newer && !is_own {
            inner.line = Some(Line::new(said, now));
        }
    }

    /// Where this node takes ledger time to be; `None` before it led or received it.
    pub(crate) fn ledger_time(&self) -> Option<LedgerTime> {
        let line = self.lock().line?;
        Some(LedgerTime { term: line.term, ms: line.ms_at(Instant::now()) })
    }

    /// The same for its peers, or else where it carried ledger time to, in [`NO_TERM`].
    pub(crate) fn for_peers(&self) -> LedgerTime {
        let own_ms = self.clock.now_ms();
        let guess = || LedgerTime { term: NO_TERM, ms: self.carried.guess(Instant::now(), own_ms) };
        self.ledger_time().unwrap_or_else(guess)
    }

    /// What has to be kept so that ledger time is carried over a stop, where `kept` does not do; reads files of the kernel.
    pub(crate) fn mark_beyond(&self, kept: Option<&TimeMark>) -> Option<TimeMark> {
        let (line, owed_ms, judged) = {
            let inner = self.lock();
            (inner.line?, inner.owed_ms, inner.judged)
        };
        let ledger_ms = line.ms_at(Instant::now());
        let new = carried::mark(ledger_ms, owed_ms, &self.clock);
        let is_right = new.wall_ms.is_some_and(|wall_ms| judged.confirms(wall_ms, ledger_ms));
        let is_news = kept.is_none_or(|kept| !carried::still_holds(kept, &new, is_right));
        is_news.then_some(TimeMark { wall_ms: new.wall_ms.filter(|_| is_right), ..new })
    }

    /// Whether it is known where ledger time starts. Until then a leader waits a little for the others' clocks.
    pub(crate) fn is_ready(&self) -> bool {
        let inner = self.lock();
        inner.line.is_some() || inner.start.is_enough || matches!(inner.confirmed, Confirmed::AtFirst(_))
    }

    /// The stamp of an entry that this node proposes as the leader of `term`; never before `state`, the time of the state.
    pub(crate) fn stamp(&self, term: u64, state: Time) -> Time {
        self.stamp_at(Instant::now(), term, state)
    }

    fn stamp_at(&self, now: Instant, term: u64, state: Time) -> Time {
        let own_ms = self.clock.now_ms();
        let mut inner = self.lock();
        let mut line = match inner.line.filter(|_| !matches!(inner.confirmed, Confirmed::AtFirst(_))) {
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
        let is_confirmed = matches!(inner.confirmed, Confirmed::Taken);
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

    /// Where ledger time starts on a leader that has not received it, in milliseconds; [`Line::reach`] takes care of the
    /// state's time.
    fn start(&self, inner: &mut Inner, now: Instant, own_ms: u64, state: Time) -> u64 {
        if let Confirmed::AtFirst(confirmed) = inner.confirmed {
            inner.confirmed = Confirmed::Taken;
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
            "no other clock is received: ledger time continues from where it was"
        );
        start_ms
    }
}

fn less(own_ms: u64, ahead_ms: i64) -> u64 {
    u64::try_from(i128::from(own_ms) - i128::from(ahead_ms)).unwrap_or(0)
}
