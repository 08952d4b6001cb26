//! Latencies in constant memory: buckets whose width grows with the value, as in an HDR histogram.
//!
//! Unit: microseconds. A quantile is at most 1/64 above the true one; the maximum is exact.

/// Buckets of equal width in each power of two, as a power of two.
const SUB_BITS: u32 = 6;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) << SUB_BITS;

/// Counts of values by bucket.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }

    pub(crate) fn record(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    pub(crate) fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that a share `quantile` (0 to 1) of all values does not exceed; 0 where there is none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    let shift = (63 - (value | 1).leading_zeros()).saturating_sub(SUB_BITS);
    ((shift as usize) << SUB_BITS) + (value >> shift) as usize
}

/// The largest value that falls into a bucket.
fn highest(index: usize) -> u64 {
    let shift = (index >> SUB_BITS).saturating_sub(1);
    let sub = (index - (shift << SUB_BITS)) as u64;
    ((u128::from(sub + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_holds_it() {
        for power in 0..64 {
            for value in [(1_u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3, u64::MAX] {
                let index = bucket(value);
                assert!(index < BUCKETS && highest(index) >= value, "{value}");
                assert!(index == 0 || highest(index - 1) < value, "{value}");
                assert!(highest(index) as f64 <= value as f64 * (1.0 + 1.0 / 64.0), "{value}");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        (1..=1_000).for_each(|value| histogram.record(value));
        let near = |quantile, value: u64| (value..=value + value / 64 + 1).contains(&histogram.quantile(quantile));
        assert!(near(0.5, 500) && near(0.99, 990));
        assert_eq!((histogram.quantile(1.0), histogram.max(), histogram.total), (1_000, 1_000, 1_000));
        assert_eq!(Histogram::new().quantile(0.5), 0);
    }
}
