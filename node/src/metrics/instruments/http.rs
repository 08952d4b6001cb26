//! Requests to the API, and connections that were turned away.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::labelled::LabelledCounters;

/// The first digits of statuses; the last is for what is none of them.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "other"];

/// See the head of this file.
#[derive(Debug)]
pub struct HttpInstruments {
    answered: LabelledCounters<{ CLASSES.len() }>,
    seconds: Histogram,
    in_flight: Gauge<u64, AtomicU64>,
    turned_away: Counter,
}

impl Default for HttpInstruments {
    fn default() -> Self {
        Self {
            answered: LabelledCounters::new("class", CLASSES),
            // 0.5 ms to 16 s, longer than a request may take unless set otherwise.
            seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            in_flight: Gauge::default(),
            turned_away: Counter::default(),
        }
    }
}

impl HttpInstruments {
    /// The head of a request was read.
    pub fn begin(&self) -> RequestInFlight<'_> {
        self.in_flight.inc();
        RequestInFlight { instruments: self, begun: Instant::now() }
    }

    /// A connection was turned away, for there was no slot for it.
    pub fn turned_away(&self) {
        self.turned_away.inc();
    }

    fn answered(&self, status: u16, took: Duration) {
        let class = match status / 100 {
            2 => 0,
            3 => 1,
            4 => 2,
            5 => 3,
            _ => 4,
        };
        self.answered.add(class, 1);
        self.seconds.observe(took.as_secs_f64());
    }

    pub(in crate::metrics) fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests to the API that were answered, by class of status",
            self.answered.clone(),
        );
        let seconds = "How long a request to the API took from the end of its head to the beginning of its answer";
        registry.register("http_request_duration_seconds", seconds, self.seconds.clone());
        registry.register(
            "http_requests_in_flight",
            "Requests to the API that are being answered",
            self.in_flight.clone(),
        );
        let turned_away = "Connections to the API that were turned away, for there was no slot for them";
        registry.register("http_connections_turned_away", turned_away, self.turned_away.clone());
    }
}

/// A request that is being answered; it ends when this is dropped, also where its caller left.
#[derive(Debug)]
pub struct RequestInFlight<'a> {
    instruments: &'a HttpInstruments,
    begun: Instant,
}

impl RequestInFlight<'_> {
    /// Its answer is known.
    pub fn answered(self, status: u16) {
        self.instruments.answered(status, self.begun.elapsed());
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        self.instruments.in_flight.dec();
    }
}
