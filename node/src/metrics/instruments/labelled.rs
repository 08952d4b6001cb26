//! Counters of one family that differ in one label, whose values are known beforehand.

use std::fmt::Error;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;

/// One counter for each value of a label, shown in the order of the values. Clones share the counters.
#[derive(Debug, Clone)]
pub(super) struct LabelledCounters<const N: usize> {
    label: &'static str,
    values: [&'static str; N],
    counters: [Counter; N],
}

impl<const N: usize> LabelledCounters<N> {
    /// All zero.
    pub(super) fn new(label: &'static str, values: [&'static str; N]) -> Self {
        Self { label, values, counters: std::array::from_fn(|_| Counter::default()) }
    }

    /// Adds to the counter of the value at `index`; beyond the last one it does nothing.
    pub(super) fn add(&self, index: usize, count: u64) {
        if let Some(counter) = self.counters.get(index) {
            counter.inc_by(count);
        }
    }
}

impl<const N: usize> EncodeMetric for LabelledCounters<N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), Error> {
        for (value, counter) in self.values.iter().zip(&self.counters) {
            counter.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
