//! Charges as they were acknowledged, and the same in steps of time.
//!
//! A replayed answer is no charge: it was counted when it was done. Times in milliseconds.

use crate::load::latencies::Latencies;
use crate::load::record::RecordLine;

/// Shortest step: shorter ones have too few charges for a percentile.
const STEP_MIN_MS: u64 = 100;
/// Most steps of one drawing.
const STEPS_MAX: u64 = 400;

/// When charges were acknowledged, and how long each took. In order of time once it is finished.
#[derive(Debug, Default)]
pub(crate) struct Series {
    charges: Vec<(u64, u64)>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlotStep {
    pub(crate) at_ms: u64,
    pub(crate) per_second: u64,
    /// The median and the 99th percentile of what charges took; `None` where there was none.
    pub(crate) took_ms: Option<(u64, u64)>,
}

impl Series {
    pub(crate) fn take(&mut self, line: &RecordLine) {
        if line.status == 201 && !line.replayed {
            self.charge(line.ended_ms, line.ended_ms.saturating_sub(line.started_ms));
        }
    }

    pub(crate) fn charge(&mut self, at_ms: u64, took_ms: u64) {
        self.charges.push((at_ms, took_ms));
    }

    /// Puts them in order.
    pub(crate) fn finish(&mut self) {
        self.charges.sort_unstable();
    }

    pub(crate) fn charges(&self) -> u64 {
        self.charges.len() as u64
    }

    /// The first and the last acknowledgement.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        Some((self.charges.first()?.0, self.charges.last()?.0))
    }

    /// Longest time without an acknowledgement that began or ended between the two times.
    pub(crate) fn longest_gap(&self, from_ms: u64, to_ms: u64) -> u64 {
        let begin = self.charges.partition_point(|(at, _)| *at < from_ms).saturating_sub(1);
        let pairs = self.charges[begin..].windows(2).take_while(|pair| pair[0].0 < to_ms);
        pairs.map(|pair| pair[1].0 - pair[0].0).max().unwrap_or(0)
    }

    /// The whole in steps of equal length, none left out.
    pub(crate) fn steps(&self) -> Vec<PlotStep> {
        let Some((first, last)) = self.span() else { return Vec::new() };
        let length = STEP_MIN_MS.max((last - first).div_ceil(STEPS_MAX));
        let mut rest = self.charges.as_slice();
        let mut steps = Vec::new();
        for at_ms in (first..=last).step_by(usize::try_from(length).unwrap_or(usize::MAX)) {
            let (inside, after) = rest.split_at(rest.partition_point(|(at, _)| *at < at_ms + length));
            rest = after;
            steps.push(PlotStep {
                at_ms,
                per_second: inside.len() as u64 * 1_000 / length,
                took_ms: percentiles(inside),
            });
        }
        steps
    }
}

/// The median and the 99th percentile.
fn percentiles(charges: &[(u64, u64)]) -> Option<(u64, u64)> {
    if charges.is_empty() {
        return None;
    }
    let mut latencies = Latencies::default();
    for (_, took) in charges {
        latencies.record(*took);
    }
    Some((latencies.quantile(0.5), latencies.quantile(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_every_charge_and_show_where_there_was_none() {
        let mut series = Series::default();
        for (at, took) in [(1_250, 9), (1_000, 1), (1_001, 3), (1_099, 2)] {
            series.charge(at, took);
        }
        series.finish();
        let steps = series.steps();
        let step = |at_ms, per_second, took_ms| PlotStep { at_ms, per_second, took_ms };
        assert_eq!(steps, [step(1_000, 30, Some((2, 3))), step(1_100, 0, None), step(1_200, 10, Some((9, 9)))]);
    }

    #[test]
    fn a_long_run_has_a_bounded_number_of_steps() {
        let mut series = Series::default();
        (0..10_000).for_each(|number| series.charge(number * 360, 1));
        series.finish();
        let steps = series.steps();
        assert!((390..=400).contains(&steps.len()), "{}", steps.len());
    }

    #[test]
    fn a_gap_is_found_where_it_began_before_the_time() {
        let mut series = Series::default();
        for at in [0, 10, 500, 510] {
            series.charge(at, 1);
        }
        series.finish();
        assert_eq!(series.longest_gap(100, 400), 490);
        assert_eq!(series.longest_gap(500, 1_000), 490, "the first pair begins before");
        assert_eq!(series.longest_gap(505, 1_000), 10);
        assert_eq!(series.longest_gap(600, 1_000), 0);
    }
}
