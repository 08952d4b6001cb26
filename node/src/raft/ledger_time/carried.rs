//! Ledger time carried over a stop: where it would be now, by what this node kept of it.
//!
//! Unit: milliseconds since the Unix epoch. Within one boot of the machine its uptime says how much time passed, whatever was
//! set meanwhile. Over a reboot its wall clock says so, which may have been set: that needs confirmation by the
//! others' clocks. The clock's difference counts, so ledger time that was late stays late, rather than expire the keys of
//! that time at once. It counts only from a clock that the others found right: one that was late and was set right
//! meanwhile moved further than time did. So a node carries ledger time too far only where its clock is wrong now.

use tokio::time::Instant;

use super::line::{LedgerTime, Line};
use crate::runtime::Clock;
use crate::storage::TimeMark;

/// A mark is kept anew where ledger time went so far, in milliseconds, from where the last one would carry it. Source: no write
/// while clocks agree, and seldom one while ledger time is bent.
const MARK_OFF_MS: u64 = 100;
/// So much less than a mark says is carried, in milliseconds: ledger time may be behind it by [`MARK_OFF_MS`], and by another
/// 100 after a second at nine tenths of the pace, which no mark shows yet; and uptimes come in steps of 10.
const SPARE_MS: u64 = 250;

/// See the head of this file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carried {
    mark: Option<TimeMark>,
    /// Measured by the uptime; none after a reboot.
    measured: Option<Line>,
    /// Where it is at least: the stop itself took no time.
    least: Option<Line>,
}

impl Carried {
    /// Carries `mark` over the stop that ends `now`.
    pub(crate) fn new(mark: Option<TimeMark>, clock: &Clock, now: Instant) -> Self {
        let from = |ms: u64| Line::new(LedgerTime { term: 0, ms }, now);
        let measured = mark.and_then(|mark| {
            let ((boot, then_ms), now) = (mark.uptime?, clock.uptime()?);
            let passed_ms = now.ms.checked_sub(then_ms).filter(|_| now.boot == boot)?;
            Some(from(mark.ledger_ms.saturating_add(passed_ms).saturating_sub(SPARE_MS)))
        });
        Self { mark, measured, least: mark.map(|mark| from(mark.ledger_ms.saturating_sub(SPARE_MS))) }
    }

    /// Where this node takes ledger time to be `now`, when its wall clock shows `own_ms`: for the nodes to compare.
    pub(crate) fn guess(&self, now: Instant, own_ms: u64) -> u64 {
        let Some((mark, least)) = self.mark.zip(self.least) else { return own_ms };
        let by_difference =
            |wall_ms| mark.ledger_ms.saturating_add(own_ms.saturating_sub(wall_ms)).saturating_sub(SPARE_MS);
        let by_clock = mark.wall_ms.map_or(0, by_difference);
        self.measured.map_or_else(|| least.ms_at(now).max(by_clock), |measured| measured.ms_at(now))
    }

    /// The same where no other node is reachable, so that no clock counts; `None` where nothing was kept.
    pub(crate) fn alone(&self, now: Instant) -> Option<u64> {
        self.measured.or(self.least).map(|line| line.ms_at(now))
    }

    /// How far an earlier start left ledger time behind the clock, in milliseconds.
    pub(crate) fn owed_ms(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.owed_ms)
    }
}

/// Reads the clocks beside ledger time, which was read before them: a mark carries too little rather than too much.
pub(crate) fn mark(ledger_ms: u64, owed_ms: u64, clock: &Clock) -> TimeMark {
    let wall_ms = clock.now_ms();
    let uptime = clock.uptime().map(|uptime| (uptime.boot, uptime.ms));
    let owed_ms = owed_ms.min(wall_ms.saturating_sub(ledger_ms));
    TimeMark { ledger_ms, wall_ms: Some(wall_ms), uptime, owed_ms }
}

/// Whether `kept` would carry ledger time to where `new` has it. `is_right` is whether the clock that `new` shows counts.
pub(crate) fn still_holds(kept: &TimeMark, new: &TimeMark, is_right: bool) -> bool {
    let is_near = |one_ms: i128, other_ms: i128| (one_ms - other_ms).unsigned_abs() <= u128::from(MARK_OFF_MS);
    let before = |mark: &TimeMark, clock_ms: u64| i128::from(mark.ledger_ms) - i128::from(clock_ms);
    let by_uptime = match (kept.uptime, new.uptime) {
        (None, None) => true,
        (Some((boot, then_ms)), Some((now, now_ms))) => {
            boot == now && is_near(before(kept, then_ms), before(new, now_ms))
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    let by_clock = match (kept.wall_ms, new.wall_ms) {
        (Some(then_ms), Some(now_ms)) => is_near(before(kept, then_ms), before(new, now_ms)),
        (None, Some(_)) => !is_right,
        (Some(_) | None, None) => false,
    };
    by_uptime && by_clock && is_near(kept.owed_ms.into(), new.owed_ms.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime::Uptime;

    const LEDGER_MS: u64 = 1_700_000_000_000;
    const DAY_MS: u64 = 86_400_000;
    const HOUR_MS: u64 = 3_600_000;

    /// A mark of a ledger that is an hour late, on a machine that is up for a minute.
    fn an_hour_late() -> TimeMark {
        mark(LEDGER_MS, 0, &machine(LEDGER_MS + HOUR_MS, 1, 60_000))
    }

    fn machine(wall_ms: u64, boot: u128, uptime_ms: u64) -> Clock {
        Clock::from_fn(move || wall_ms).with_uptime(move || Some(Uptime { boot, ms: uptime_ms }))
    }

    fn guess(mark: Option<TimeMark>, clock: &Clock) -> u64 {
        let now = Instant::now();
        Carried::new(mark, clock, now).guess(now, clock.now_ms())
    }

    #[test]
    fn within_a_boot_the_uptime_counts_and_no_clock_that_was_set() {
        for set_ms in [0, 2 * DAY_MS] {
            let clock = machine(LEDGER_MS + HOUR_MS + 2 * HOUR_MS + set_ms, 1, 60_000 + 2 * HOUR_MS);
            assert_eq!(guess(Some(an_hour_late()), &clock), LEDGER_MS + 2 * HOUR_MS - SPARE_MS);
            let now = Instant::now();
            let carried = Carried::new(Some(an_hour_late()), &clock, now);
            let later = now + Duration::from_secs(5);
            assert_eq!(carried.alone(later), Some(LEDGER_MS + 2 * HOUR_MS - SPARE_MS + 5_000));
        }
    }

    #[test]
    fn over_a_reboot_the_wall_clock_counts_by_its_difference_and_for_one_that_is_alone_not_at_all() {
        let clock = machine(LEDGER_MS + HOUR_MS + 2 * HOUR_MS, 2, 90 * DAY_MS);
        assert_eq!(guess(Some(an_hour_late()), &clock), LEDGER_MS + 2 * HOUR_MS - SPARE_MS, "it stays an hour late");
        let now = Instant::now();
        let carried = Carried::new(Some(an_hour_late()), &clock, now);
        assert_eq!(carried.alone(now + Duration::from_secs(5)), Some(LEDGER_MS - SPARE_MS + 5_000));
        // The same boot, restored to an earlier time.
        let earlier = machine(LEDGER_MS, 1, 59_000);
        assert_eq!(
            guess(Some(an_hour_late()), &earlier),
            LEDGER_MS - SPARE_MS,
            "a clock that was set back takes no time back"
        );
        let late_before = TimeMark { wall_ms: None, ..an_hour_late() };
        assert_eq!(
            guess(Some(late_before), &clock),
            LEDGER_MS - SPARE_MS,
            "a clock that was wrong then counts for nothing"
        );
        assert_eq!(guess(None, &earlier), LEDGER_MS, "without a mark the clock counts");
        assert_eq!(Carried::new(None, &earlier, now).alone(now), None);
    }

    #[test]
    fn a_mark_is_kept_anew_where_it_would_not_carry_ledger_time_as_it_is() {
        let kept = an_hour_late();
        let moved = |ledger_ms: u64, wall_ms: u64, uptime_ms: u64| TimeMark {
            ledger_ms: kept.ledger_ms + ledger_ms,
            wall_ms: kept.wall_ms.map(|kept_ms| kept_ms + wall_ms),
            uptime: Some((1, 60_000 + uptime_ms)),
            owed_ms: 0,
        };
        assert!(still_holds(&kept, &moved(HOUR_MS, HOUR_MS, HOUR_MS), true));
        assert!(still_holds(&kept, &moved(HOUR_MS, HOUR_MS + MARK_OFF_MS, HOUR_MS - MARK_OFF_MS), true));
        assert!(!still_holds(&kept, &moved(HOUR_MS, HOUR_MS + MARK_OFF_MS + 1, HOUR_MS), true), "the clock was set");
        assert!(!still_holds(&kept, &moved(HOUR_MS + 101, HOUR_MS + 101, HOUR_MS), true), "ledger time gained");
        assert!(!still_holds(&kept, &TimeMark { uptime: Some((2, 60_000)), ..kept }, true));
        assert!(!still_holds(&kept, &TimeMark { uptime: None, ..kept }, true));
        assert!(!still_holds(&kept, &TimeMark { owed_ms: 101, ..kept }, true));
        let unproven = TimeMark { wall_ms: None, ..kept };
        assert!(still_holds(&unproven, &kept, false) && !still_holds(&unproven, &kept, true), "the clock is right now");
    }

    #[test]
    fn what_is_owed_is_no_more_than_ledger_time_is_late() {
        let clock = machine(LEDGER_MS + HOUR_MS, 1, 0);
        assert_eq!(mark(LEDGER_MS, 9 * HOUR_MS, &clock).owed_ms, HOUR_MS);
        assert_eq!(mark(LEDGER_MS, HOUR_MS / 2, &clock).owed_ms, HOUR_MS / 2);
        assert_eq!(mark(LEDGER_MS + 2 * HOUR_MS, HOUR_MS, &clock).owed_ms, 0);
    }
}
