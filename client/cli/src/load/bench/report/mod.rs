//! What a bench found, for people and programs. Source of the names: the contract and docs/bench.md.
//!
//! Latencies are those of all requests from their intended start, in milliseconds; rates are of what ended while it measured.

pub(crate) mod comparison;
pub(crate) mod drawing;
pub(crate) mod saved;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::books::Books;
use super::drive::kind::Kind;
use super::drive::tally::Tally;
use super::drive::timeline::Timeline;
use super::plan::Plan;
use crate::load::latencies::Latencies;
use crate::output::{count, rounded, sheet, table};

/// A generator that takes this share of a core may be what limits the result.
const BUSY: f64 = 0.9;
/// A generator whose own delay is more than this share of what it measures distorts an open loop.
const LATE: f64 = 0.25;

/// What `bench --json` prints, and what a saved run holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BenchReport {
    pub(crate) charges_per_second: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) reads_per_second: f64,
    #[serde(flatten)]
    pub(crate) latency: Percentiles,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) retried: u64,
    pub(crate) reads: u64,
    /// Requests of the schedule that were never sent, since all connections were busy until the end.
    pub(crate) unsent: u64,
    /// How long it measured.
    pub(crate) seconds: f64,
    /// Each kind of request by itself.
    pub(crate) kinds: BTreeMap<Kind, OfKind>,
    /// How late the generator itself started requests; `None` in a closed loop.
    pub(crate) start_lag_p99_ms: Option<f64>,
    /// Share of a core that the busiest generator took.
    pub(crate) generator_cpu: Option<f64>,
    /// `None` where it was not checked, or nothing was charged.
    pub(crate) books_exact: Option<bool>,
    /// Why the books were not checked.
    pub(crate) not_checked: Option<String>,
}

/// Latencies, in milliseconds.
#[expect(clippy::struct_field_names, reason = "their names in JSON")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct OfKind {
    pub(crate) requests: u64,
    #[serde(flatten)]
    pub(crate) latency: Percentiles,
}

/// A report with what it came from: for a file and a drawing.
pub(crate) struct Measured {
    pub(crate) report: BenchReport,
    pub(crate) latency: Latencies,
    pub(crate) timeline: Timeline,
}

impl Measured {
    pub(crate) fn of(plan: &Plan, tally: &Tally, checked: &Books) -> Measured {
        let (window, timeline) = tally.measured(Duration::from_secs(u64::from(plan.seconds)));
        let sum = timeline.sum();
        let per_second = |events: u64| tenths(events as f64 / window.as_secs_f64());
        let latency = tally.all_latencies();
        let kinds = tally.latency.iter().map(|(kind, latencies)| {
            (*kind, OfKind { requests: latencies.count(), latency: Percentiles::of(latencies) })
        });
        let (books_exact, not_checked) = match checked {
            Books::Exact => (Some(true), None),
            Books::Wrong(_) => (Some(false), None),
            Books::Nothing => (None, None),
            Books::NotChecked(why) => (None, Some(why.clone())),
        };
        let report = BenchReport {
            charges_per_second: per_second(sum.charges),
            requests_per_second: per_second(sum.requests),
            reads_per_second: per_second(sum.reads),
            latency: Percentiles::of(&latency),
            accepted: tally.accepted,
            refused: tally.refused,
            errors: tally.errors,
            retried: tally.retried,
            reads: tally.reads,
            unsent: tally.unsent(),
            seconds: (window.as_secs_f64() * 1_000.0).round() / 1_000.0,
            kinds: kinds.collect(),
            start_lag_p99_ms: plan.rate.map(|_| ms(tally.start_lag.quantile(0.99))),
            generator_cpu: tally.generator_cpu.map(|share| (share * 1_000.0).round() / 1_000.0),
            books_exact,
            not_checked,
        };
        Measured { report, latency, timeline }
    }
}

impl Percentiles {
    fn of(latencies: &Latencies) -> Percentiles {
        let at = |quantile: f64| ms(latencies.quantile(quantile));
        Percentiles {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(latencies.max()),
        }
    }

    /// Each with its name in JSON.
    pub(crate) fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("p50_ms", self.p50_ms),
            ("p90_ms", self.p90_ms),
            ("p99_ms", self.p99_ms),
            ("p999_ms", self.p999_ms),
            ("max_ms", self.max_ms),
        ]
    }
}

impl BenchReport {
    pub(crate) fn shown(&self) -> String {
        let rate = |value: f64| format!("{} /s", rounded(value));
        let latency = &self.latency;
        let mut pairs = vec![("charges", rate(self.charges_per_second)), ("requests", rate(self.requests_per_second))];
        if self.reads > 0 {
            pairs.push(("reads", rate(self.reads_per_second)));
        }
        pairs.extend([
            ("p50", shown_ms(latency.p50_ms)),
            ("p90", shown_ms(latency.p90_ms)),
            ("p99", shown_ms(latency.p99_ms)),
            ("p99.9", shown_ms(latency.p999_ms)),
            ("longest", shown_ms(latency.max_ms)),
            ("accepted", count(self.accepted)),
            ("refused", count(self.refused)),
            ("errors", count(self.errors)),
            ("retried", count(self.retried)),
        ]);
        if let Some(lag) = self.start_lag_p99_ms {
            pairs.push(("never sent", count(self.unsent)));
            pairs.push(("start lag p99", shown_ms(lag)));
        }
        if let Some(share) = self.generator_cpu {
            pairs.push(("generator", format!("{:.0} % of a core", share * 100.0)));
        }
        if let Some(books) = self.books() {
            pairs.push(("books exact", books));
        }
        let mut text = sheet(&pairs);
        if self.kinds.len() > 1 {
            text = format!("{text}\n\n{}", self.shown_kinds());
        }
        text
    }

    fn books(&self) -> Option<String> {
        match (self.books_exact, &self.not_checked) {
            (Some(true), _) => Some("yes".to_owned()),
            (Some(false), _) => Some("NO".to_owned()),
            (None, Some(why)) => Some(format!("not checked: {why}")),
            (None, None) => None,
        }
    }

    fn shown_kinds(&self) -> String {
        let rows = self.kinds.iter().map(|(kind, of)| {
            let name = match kind {
                Kind::Charge => "charge",
                Kind::Read => "read",
                Kind::NoOp => "no-op",
            };
            let latencies = of.latency.named().map(|(_, value)| shown_ms(value));
            [name.to_owned(), count(of.requests)].into_iter().chain(latencies).collect()
        });
        table(&["request", ">count", ">p50", ">p90", ">p99", ">p99.9", ">longest"], &rows.collect::<Vec<Vec<String>>>())
    }

    /// What makes the figures doubtful, each in a sentence.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.unsent > 0 {
            doubts.push(format!(
                "{} requests of the schedule were never sent: the rate is more than the cluster takes over these \
                 connections, and they count with what they had waited at the end",
                count(self.unsent)
            ));
        }
        if self.start_lag_p99_ms.is_some_and(|lag| lag > self.latency.p99_ms * LATE) {
            doubts.push("the generator started requests late, so its own delay is much of the latency: fewer requests, or --processes".to_owned());
        }
        if self.generator_cpu.is_some_and(|share| share > BUSY) {
            doubts.push("the generator used a whole core and may be the limit: --processes".to_owned());
        }
        doubts
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn shown_ms(value: f64) -> String {
    format!("{value:.3} ms")
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
