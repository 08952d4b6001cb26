//! What was answered over time, in steps of 100 ms since the warm-up.
//!
//! Invariant: a step without an answer is there too, so that the index of a step says when it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;

const STEP: Duration = Duration::from_millis(100);

/// What was answered, in steps of 100 ms since the warm-up.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timeline {
    steps: Vec<Step>,
}

/// A step: what ended in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) requests: u64,
    pub(crate) charges: u64,
    pub(crate) reads: u64,
    pub(crate) slowest_us: u64,
}

impl Timeline {
    /// Counts an answer that came `at` this time.
    pub(crate) fn count(&mut self, at: Duration, kind: Kind, charges: u64, took_us: u64) {
        let index = steps_in(at);
        if index >= self.steps.len() {
            // What is repeated after the end is at most some seconds late, so this stays small.
            self.steps.resize(index + 1, Step::default());
        }
        let step = &mut self.steps[index];
        step.requests += 1;
        step.charges += charges;
        step.reads += u64::from(kind == Kind::Read);
        step.slowest_us = step.slowest_us.max(took_us);
    }

    pub(crate) fn merge(&mut self, other: &Timeline) {
        if other.steps.len() > self.steps.len() {
            self.steps.resize(other.steps.len(), Step::default());
        }
        for (mine, theirs) in self.steps.iter_mut().zip(&other.steps) {
            mine.add(theirs);
        }
    }

    /// All of it in one step.
    pub(crate) fn sum(&self) -> Step {
        Step::sum(&self.steps)
    }

    /// Steps of equal length, `most` of them at most: when each begins, how long it is, and what ended in it.
    pub(crate) fn coarse(&self, most: usize) -> Vec<(Duration, Duration, Step)> {
        let each = self.steps.len().div_ceil(most.max(1)).max(1);
        let length = STEP * u32::try_from(each).unwrap_or(u32::MAX);
        let merged = self
            .steps
            .chunks(each)
            .enumerate()
            .map(|(index, steps)| (length * u32::try_from(index).unwrap_or(u32::MAX), length, Step::sum(steps)));
        merged.collect()
    }

    /// Without what ended later than this; whole steps.
    pub(crate) fn until(&self, end: Duration) -> Timeline {
        Timeline { steps: self.steps.iter().take(steps_in(end)).copied().collect() }
    }
}

impl Step {
    fn sum(steps: &[Step]) -> Step {
        steps.iter().fold(Step::default(), |mut sum, step| {
            sum.add(step);
            sum
        })
    }

    fn add(&mut self, other: &Step) {
        self.requests = self.requests.saturating_add(other.requests);
        self.charges = self.charges.saturating_add(other.charges);
        self.reads = self.reads.saturating_add(other.reads);
        self.slowest_us = self.slowest_us.max(other.slowest_us);
    }
}

/// Whole steps until then.
fn steps_in(time: Duration) -> usize {
    usize::try_from(time.as_micros() / STEP.as_micros()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_gets_few_steps_and_loses_nothing() {
        let mut timeline = Timeline::default();
        for (at_ms, took_us) in [(0, 7), (99, 9), (100, 1), (450, 2)] {
            timeline.count(Duration::from_millis(at_ms), Kind::Charge, 10, took_us);
        }
        let coarse = |most| timeline.coarse(most).iter().map(|(_, _, step)| step.charges).collect::<Vec<_>>();
        assert_eq!((coarse(9), coarse(2)), (vec![20, 10, 0, 0, 10], vec![30, 10]));
        let (at, length, step) = timeline.coarse(2)[1];
        assert_eq!((at.as_millis(), length.as_millis(), step.requests, step.slowest_us), (300, 300, 1, 2));
        assert_eq!(timeline.until(Duration::from_millis(200)).sum().charges, 30);
    }
}
