//! A run beside a saved one: each figure of this run divided by that of the other.
//!
//! Where the saved run sent no-ops, its requests a second are the limit that HTTP sets, and charges are divided by it too.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::plan::{Plan, Requests};
use super::BenchReport;
use super::saved::Saved;
use crate::output::table;

/// The part `comparison` of what `bench --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    file: String,
    /// Settings that the saved run had otherwise.
    different: Vec<String>,
    /// By the name of the figure.
    ratios: Map<String, Value>,
    #[serde(skip)]
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    name: &'static str,
    now: f64,
    saved: f64,
}

impl Comparison {
    pub(crate) fn new(plan: &Plan, report: &BenchReport, saved: &Saved, file: &Path) -> Comparison {
        let (now, then) = (report, &saved.report);
        let mut rows = vec![
            Row { name: "charges_per_second", now: now.charges_per_second, saved: then.charges_per_second },
            Row { name: "requests_per_second", now: now.requests_per_second, saved: then.requests_per_second },
            Row { name: "reads_per_second", now: now.reads_per_second, saved: then.reads_per_second },
        ];
        if saved.plan.requests == Requests::NoOp {
            rows.push(Row { name: "charges_to_no_op", now: now.charges_per_second, saved: then.requests_per_second });
        }
        let latencies = now.latency.named().into_iter().zip(then.latency.named());
        rows.extend(latencies.map(|((name, now), (_, saved))| Row { name, now, saved }));
        // What neither run has, or only one, is no ratio.
        rows.retain(|row| row.now > 0.0 && row.saved > 0.0);
        let ratios = rows.iter().map(|row| (row.name.to_owned(), json!((row.ratio() * 10_000.0).round() / 10_000.0)));
        Comparison {
            file: file.display().to_string(),
            different: plan.differences(&saved.plan),
            ratios: ratios.collect(),
            rows,
        }
    }

    pub(crate) fn shown(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let digits = if row.name.ends_with("_ms") { 3 } else { 1 };
            let name = row.name.replace("_per_second", " /s").replace("_ms", " ms").replace('_', " ");
            let figure = |value: f64| format!("{value:.digits$}");
            vec![name, figure(row.now), figure(row.saved), format!("{:.3}", row.ratio())]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let mut text = format!("compared with {}\n{}", self.file, table(&["", ">now", ">saved", ">ratio"], &rows));
        if !self.different.is_empty() {
            text.push_str("\ndifferent settings: ");
            text.push_str(&self.different.join("; "));
        }
        text
    }
}

impl Row {
    fn ratio(self) -> f64 {
        self.now / self.saved
    }
}
