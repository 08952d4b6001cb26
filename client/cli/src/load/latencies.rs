//! How long things took: quantiles by one definition, for what `bench` prints and what `plot` draws.
//!
//! Unit: the caller's, microseconds or milliseconds. A value counts as at most 1/128 more than it is, and small ones as they
//! are; memory is 25 KB, whatever is recorded.

use hdrhistogram::Histogram;

/// Longest time that is recorded: an hour in microseconds. Longer ones count as this.
const HIGHEST: u64 = 3_600_000_000;
/// Digits that a value keeps. With three a histogram takes 190 KB, and `bench` has one for each connection.
const DIGITS: u8 = 2;

#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies(
            Histogram::new_with_bounds(1, HIGHEST, DIGITS)
                .expect("1 is under half of the highest, and 2 digits are few"),
        )
    }

    pub(crate) fn record(&mut self, took: u64) {
        self.0.saturating_record(took);
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max()
    }

    /// The least value that a share `quantile` (0 to 1) of all values does not exceed; 0 where there is none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let (mut odd, mut even) = (Latencies::new(), Latencies::new());
        for value in 1..=1_000 {
            if value % 2 == 1 { odd.record(value) } else { even.record(value) }
        }
        odd.merge(&even);
        for (quantile, value) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1_000)] {
            assert!((value..=value + value / 128 + 1).contains(&odd.quantile(quantile)), "{quantile}");
        }
        assert_eq!(odd.max(), odd.quantile(1.0));
        assert_eq!((Latencies::new().quantile(0.5), Latencies::new().max()), (0, 0));
    }

    #[test]
    fn any_time_is_counted() {
        let mut latencies = Latencies::new();
        for value in [0, 1, HIGHEST, u64::MAX] {
            latencies.record(value);
        }
        assert_eq!(latencies.quantile(0.5), 1);
        assert!(latencies.max() >= HIGHEST);
    }
}
