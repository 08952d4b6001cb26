//! Families that are written at a scrape, each with its help text.

use std::fmt::Result;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Where families are written to, one after the other.
pub(super) struct Sheet<'a>(DescriptorEncoder<'a>);

impl<'a> Sheet<'a> {
    /// Over a scrape.
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A family with one value.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?)
    }

    /// A family with one value that is 1 where `is` holds, and 0 where it does not.
    pub(super) fn flag(&mut self, name: &str, help: &str, is: bool) -> Result {
        self.gauge(name, help, f64::from(is))
    }

    /// The same where it is known; without a value the family is left out.
    pub(super) fn gauge_if_known(&mut self, name: &str, help: &str, value: Option<f64>) -> Result {
        value.map_or(Ok(()), |value| self.gauge(name, help, value))
    }

    /// A family with a value for each set of labels.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> Result {
        let mut encoder = self.0.encode_descriptor(name, &sentence(help), None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A family with one value that only grows while the process lives; `_total` is added to its name.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, &sentence(help), None, MetricType::Counter)?)
    }

    /// The same for a number that is not whole.
    pub(super) fn fraction_counter(&mut self, name: &str, help: &str, value: f64) -> Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, &sentence(help), None, MetricType::Counter)?)
    }
}

/// As the registry writes the help of what is registered.
fn sentence(help: &str) -> String {
    format!("{help}.")
}
