//! `etebar plot`: the records of `load` as a drawing, with what was done to the cluster meanwhile.
//!
//! All times are milliseconds since the Unix epoch by the clock of the machine that drove the load and wrote the marks.

mod drawing;
mod mark;
mod series;

use serde::Serialize;

use super::record;
use crate::arguments::Plot;
use crate::lists::sink::Sink;
use crate::output::error::CliError;
use crate::output::{count, table};
use crate::session::Session;
use mark::{Mark, read_marks};
use series::Series;

/// What `plot --json` prints.
#[derive(Debug, Serialize)]
struct PlotReport {
    output: String,
    charges: u64,
    seconds: f64,
    /// Charges in the best of the drawing's steps, per second.
    best_per_second: u64,
    marks: Vec<Effect>,
}

/// What a mark did to the load.
#[derive(Debug, PartialEq, Serialize)]
struct Effect {
    what: String,
    /// Since the first charge.
    at_seconds: f64,
    /// Longest time without any charge acknowledged, from this mark to the next one.
    stopped_ms: u64,
}

pub(crate) fn run(session: &Session, plot: &Plot) -> Result<(), CliError> {
    let mut series = Series::default();
    for file in &plot.record {
        record::read(file, |line| series.take(&line))?;
    }
    series.finish();
    let Some((first, last)) = series.span() else { return Err(CliError::usage("the records have no charge")) };
    let marks = plot.marks.as_deref().map_or_else(|| Ok(Vec::new()), read_marks)?;
    let steps = series.steps();
    let svg = drawing::draw(&plot.title, &steps, first, &marks).map_err(CliError::local)?;
    let mut sink = Sink::file(&plot.output)?;
    if sink.write(&svg)? {
        sink.finish()?;
    }
    let report = PlotReport {
        output: plot.output.display().to_string(),
        charges: series.charges(),
        seconds: (last - first) as f64 / 1_000.0,
        best_per_second: steps.iter().map(|step| step.per_second).max().unwrap_or(0),
        marks: effects(&series, first, last, &marks),
    };
    session.output.either(&report, || report.shown())
}

fn effects(series: &Series, first: u64, last: u64, marks: &[Mark]) -> Vec<Effect> {
    let ends = marks.iter().skip(1).map(|mark| mark.at_ms).chain([last]);
    let effects = marks.iter().zip(ends).map(|(mark, end)| Effect {
        what: mark.what.clone(),
        at_seconds: mark.at_ms.saturating_sub(first) as f64 / 1_000.0,
        stopped_ms: series.longest_gap(mark.at_ms, end),
    });
    effects.collect()
}

impl PlotReport {
    fn shown(&self) -> String {
        let rows = self.marks.iter().map(|mark| {
            vec![format!("{:.1} s", mark.at_seconds), mark.what.clone(), format!("{} ms", count(mark.stopped_ms))]
        });
        let marks = table(&[">at", "what", ">no charge for"], &rows.collect::<Vec<_>>());
        let head = format!(
            "{} charges in {:.1} s, at best {}/s; drawn in {}",
            count(self.charges),
            self.seconds,
            count(self.best_per_second),
            self.output
        );
        if self.marks.is_empty() { head } else { format!("{head}\n{marks}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at_ms: u64, what: &str) -> Mark {
        Mark { at_ms, until_ms: None, what: what.to_owned() }
    }

    #[test]
    fn a_mark_is_charged_with_the_longest_gap_up_to_the_next_one() {
        let mut series = Series::default();
        for at in [1_000, 1_100, 1_900, 2_000, 2_400] {
            series.charge(at, 1);
        }
        series.finish();
        let effects = effects(&series, 1_000, 2_400, &[mark(1_100, "killed"), mark(1_950, "back")]);
        let found: Vec<_> =
            effects.iter().map(|effect| (effect.what.as_str(), effect.at_seconds, effect.stopped_ms)).collect();
        assert_eq!(found, [("killed", 0.1, 800), ("back", 0.95, 400)]);
    }
}
