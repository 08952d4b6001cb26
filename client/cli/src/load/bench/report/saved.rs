//! A run in a file: one JSON object, whose shape docs/bench.md fixes. A change that old readers would misread raises
//! [`VERSION`].

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::drive::timeline::Timeline;
use super::super::plan::Plan;
use super::{BenchReport, Measured};
use crate::load::latencies::Latencies;
use crate::output::error::CliError;

const FORMAT: &str = "etebar-bench";
const VERSION: u32 = 1;
/// Largest file that is read. Source: several times an hour's run.
const BYTES_MAX: u64 = 32 << 20;

/// A saved run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Saved {
    format: String,
    version: u32,
    /// Version of the program that wrote it.
    program: String,
    /// When the run ended, by the clock of the machine that drove it, since the Unix epoch.
    ended_ms: u64,
    pub(crate) plan: Plan,
    pub(crate) report: BenchReport,
    /// Of all requests, in microseconds: each value and how often it was measured.
    pub(crate) latency_us: Latencies,
    /// Steps of 100 ms.
    pub(crate) timeline: Timeline,
}

/// What a file says of itself.
#[derive(Debug, Deserialize)]
struct SavedHead {
    format: String,
    version: u32,
}

impl Saved {
    pub(crate) fn new(plan: &Plan, measured: &Measured, ended_ms: u64) -> Saved {
        Saved {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            ended_ms,
            plan: plan.clone(),
            report: measured.report.clone(),
            latency_us: measured.latency.clone(),
            timeline: measured.timeline.clone(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Saved, CliError> {
        let named = |why: String| CliError::usage(format!("--compare {}: {why}", path.display()));
        let mut text = String::new();
        let file = File::open(path).map_err(|error| named(error.to_string()))?;
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
        read.map_err(|error| named(error.to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(named("larger than any saved run".to_owned()));
        }
        let foreign = || named("`etebar bench --save` did not write it".to_owned());
        let head: SavedHead = serde_json::from_str(&text).map_err(|_| foreign())?;
        match head {
            SavedHead { format, version: _ } if format != FORMAT => Err(foreign()),
            SavedHead { format: _, version: VERSION } => {
                serde_json::from_str(&text).map_err(|error| named(format!("damaged: {error}")))
            }
            SavedHead { format: _, version } => {
                Err(named(format!("it has version {version} of the format, and this program reads {VERSION}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::books::Books;
    use super::super::super::drive::kind::Kind;
    use super::super::super::drive::tally::{Ended, Tally, Times};
    use super::super::super::plan::tests::plan;
    use super::*;

    fn saved() -> Saved {
        let mut tally = Tally::default();
        for took_us in [800, 900, 40_000] {
            let took = Duration::from_micros(took_us);
            let times = Times { intended: Some(Duration::ZERO), ended: Some(took), took };
            tally.count(Kind::Charge, 0, times, &Ended { is_answered: true, accepted: 1, ..Ended::default() });
        }
        let measured = Measured::of(&plan(), &tally, &Books::Exact);
        assert_eq!(tally.measured(Duration::from_secs(10)).1, measured.timeline);
        Saved::new(&plan(), &measured, 1_767_225_600_000)
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let mut value = serde_json::to_value(saved()).unwrap();
        value["program"] = "0".into();
        let expected = r#"{
            "format": "etebar-bench", "version": 1, "program": "0", "ended_ms": 1767225600000,
            "plan": {
                "requests": "ledger", "connections": 10, "processes": 1, "seconds": 10, "warm_up_seconds": 0, "batch": 1,
                "reads_percent": 0, "rate": null, "charges_max": null, "phones": 100000, "sellers": 4, "target": "leader"
            },
            "report": {
                "charges_per_second": 0.3, "requests_per_second": 0.3, "reads_per_second": 0.0,
                "p50_ms": 0.9, "p90_ms": 40.031, "p99_ms": 40.031, "p999_ms": 40.031, "max_ms": 40.031,
                "accepted": 3, "refused": 0, "errors": 0, "retried": 0, "reads": 0, "unsent": 0, "seconds": 10.0,
                "kinds": {"charge": {
                    "requests": 3, "p50_ms": 0.9, "p90_ms": 40.031, "p99_ms": 40.031, "p999_ms": 40.031, "max_ms": 40.031
                }},
                "start_lag_p99_ms": null, "generator_cpu": null, "books_exact": true, "not_checked": null
            },
            "latency_us": [[800, 1], [900, 1], [40031, 1]],
            "timeline": [{"requests": 3, "charges": 3, "reads": 0, "slowest_us": 40000}]
        }"#;
        assert_eq!(value, serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let text = serde_json::to_string(&saved()).unwrap();
        std::fs::write(&path, &text).unwrap();
        let read = Saved::read(&path).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        for (text, why) in [
            ("{}", "did not write it"),
            (r#"{"format":"other","version":1}"#, "did not write it"),
            (r#"{"format":"etebar-bench","version":2}"#, "version 2 of the format"),
            (r#"{"format":"etebar-bench","version":1}"#, "damaged: missing field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Saved::read(&path).unwrap_err();
            assert!(error.to_string().contains(why) && error.exit_code() == 2, "{error}");
        }
        assert!(Saved::read(&folder.path().join("none")).unwrap_err().to_string().contains("No such file"));
    }
}
