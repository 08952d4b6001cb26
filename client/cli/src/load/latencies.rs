//! How long things took: quantiles by one definition, for what `bench` prints and what `plot` draws.
//!
//! Unit: the caller's, microseconds or milliseconds. A value counts as at most 1/1024 more than it is, and small ones as they
//! are; memory is 190 KB, whatever is recorded. As JSON: pairs of a value and how often it was recorded.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest time that is recorded: an hour in microseconds. Longer ones count as this.
const HIGHEST: u64 = 3_600_000_000;
/// Digits that a value keeps.
const DIGITS: u8 = 3;

#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies(
            Histogram::new_with_bounds(1, HIGHEST, DIGITS)
                .expect("1 is under half of the highest, and 3 digits are few"),
        )
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, took: u64) {
        self.record_times(took, 1);
    }

    pub(crate) fn record_times(&mut self, took: u64, times: u64) {
        self.0.saturating_record_n(took, times);
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max()
    }

    /// The least value that a share `quantile` (0 to 1) of all values does not exceed; 0 where there is none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The highest value that counts as the same comes out, except that nothing is above the longest.
        let pairs = self.0.iter_recorded().map(|at| (at.value_iterated_to().min(self.max()), at.count_at_value()));
        serializer.collect_seq(pairs)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Latencies, D::Error> {
        let pairs: Vec<(u64, u64)> = Vec::deserialize(deserializer)?;
        let mut latencies = Latencies::default();
        for (took, times) in pairs {
            latencies.record_times(took, times);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let (mut odd, mut even) = (Latencies::default(), Latencies::default());
        for value in 1..=1_000 {
            if value % 2 == 1 { odd.record(value) } else { even.record(value) }
        }
        odd.merge(&even);
        for (quantile, value) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1_000)] {
            assert!((value..=value + value / 1_024 + 1).contains(&odd.quantile(quantile)), "{quantile}");
        }
        assert_eq!(odd.max(), odd.quantile(1.0));
        assert_eq!((Latencies::default().quantile(0.5), Latencies::default().max()), (0, 0));
    }

    #[test]
    fn any_time_is_counted() {
        let mut latencies = Latencies::default();
        for value in [0, 1, HIGHEST, u64::MAX] {
            latencies.record(value);
        }
        assert_eq!(latencies.quantile(0.5), 1);
        assert!(latencies.max() >= HIGHEST);
    }

    #[test]
    fn pairs_give_the_same_quantiles() {
        let mut latencies = Latencies::default();
        for value in [1, 900, 12_345, 12_345, 987_654_321] {
            latencies.record(value);
        }
        let text = serde_json::to_string(&latencies).unwrap();
        let again: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        for quantile in [0.0, 0.5, 0.99, 1.0] {
            assert_eq!(again.quantile(quantile), latencies.quantile(quantile));
        }
        assert_eq!((again.count(), again.max()), (5, latencies.max()));
    }
}
