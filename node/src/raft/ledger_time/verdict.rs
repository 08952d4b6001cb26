//! How this node's wall clock compares with those received: near the others, off, or undecided.
//!
//! Unit: milliseconds. Three clocks have a median, and with at most one wrong clock the median is right. Two that agree are
//! both right for the same reason; of two that differ either may be the wrong one.

use crate::raft::answers::ClockHealth;

/// A clock further from another than this does not agree with it, in milliseconds.
pub(crate) const CLOCK_OFF_MS: i64 = 5_000;
/// Fewer clocks than this have no meaningful median.
const CLOCKS: usize = 3;

/// How this node's clock compares with those received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockVerdict {
    /// No other clock is received.
    Alone,
    /// One other is received, and agrees.
    Near,
    /// One other is received, and differs.
    Apart,
    /// Three or more are received, and this one is near their median.
    Good,
    /// Three or more are received, and this one is so many milliseconds ahead of their median (behind, where negative).
    Off(i64),
}

impl ClockVerdict {
    /// Judges by the other clocks, each less this node's.
    pub(crate) fn of(others: &[i64]) -> Self {
        match others {
            [] => Self::Alone,
            [other] if other.saturating_abs() <= CLOCK_OFF_MS => Self::Near,
            [_] => Self::Apart,
            [_, _, ..] => Self::by_median(others),
        }
    }

    fn by_median(others: &[i64]) -> Self {
        let mut all = Vec::with_capacity(others.len().max(CLOCKS));
        all.push(0);
        all.extend_from_slice(others);
        all.sort_unstable();
        let median = all.get(all.len() / 2).copied().unwrap_or(0);
        if median.saturating_abs() > CLOCK_OFF_MS { Self::Off(median.saturating_neg()) } else { Self::Good }
    }
}

/// The clocks that a node receives now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClocksReceived {
    /// How many, this node's included.
    pub count: usize,
    /// How they compare.
    pub verdict: ClockVerdict,
}

impl ClocksReceived {
    /// Judges by the other clocks, each less this node's.
    pub(crate) fn of(others: &[i64]) -> Self {
        Self { count: others.len() + 1, verdict: ClockVerdict::of(others) }
    }
}

/// How ledger time relates to this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockState {
    /// How the clocks received compare.
    pub clocks: ClocksReceived,
    /// Whether ledger time follows a clock; else it advances with the monotonic clock alone.
    pub is_followed: bool,
    /// How far this node's clock is ahead of ledger time, in milliseconds (behind, where negative); 0 before it starts.
    pub ahead_ms: i64,
}

impl ClockState {
    /// Whether the others found this node's clock right, and it was not set since.
    pub(crate) fn confirms(self, wall_ms: u64, ledger_ms: u64) -> bool {
        let ahead = i128::from(wall_ms) - i128::from(ledger_ms);
        let was_set = (ahead - i128::from(self.ahead_ms)).unsigned_abs() > u128::from(CLOCK_OFF_MS.unsigned_abs());
        match self.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => !was_set,
            ClockVerdict::Off(_) | ClockVerdict::Apart | ClockVerdict::Alone => false,
        }
    }

    /// The same as part of this node's status.
    pub(crate) fn health(self) -> ClockHealth {
        match self.clocks.verdict {
            ClockVerdict::Good | ClockVerdict::Near => ClockHealth::Agrees,
            ClockVerdict::Apart => ClockHealth::Differs,
            ClockVerdict::Off(ahead_ms) => ClockHealth::Off { ahead_ms },
            ClockVerdict::Alone if self.is_followed => ClockHealth::Alone,
            ClockVerdict::Alone => ClockHealth::NotFollowed { ahead_ms: self.ahead_ms },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_of_three_that_is_ahead_is_off() {
        assert_eq!(ClockVerdict::of(&[-9_000, -9_001]), ClockVerdict::Off(9_000));
    }

    #[test]
    fn a_clock_near_the_median_is_good_whatever_another_says() {
        assert_eq!(ClockVerdict::of(&[172_800_000, 12]), ClockVerdict::Good);
        assert_eq!(ClockVerdict::of(&[172_800_000, 12, 3, i64::MIN]), ClockVerdict::Good);
    }

    #[test]
    fn two_clocks_agree_or_are_apart() {
        assert_eq!(ClockVerdict::of(&[]), ClockVerdict::Alone);
        assert_eq!(ClockVerdict::of(&[-4_000]), ClockVerdict::Near);
        assert_eq!(ClockVerdict::of(&[90_000]), ClockVerdict::Apart);
        assert_eq!(ClockVerdict::of(&[-90_000]), ClockVerdict::Apart);
    }
}
