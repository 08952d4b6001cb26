//! A run as a drawing: answers a second over time above, latency by percentile below, and a saved run beside it.

use std::time::Duration;

use plotters::prelude::*;

use super::super::drive::timeline::{Step, Timeline};
use super::super::plan::{Plan, Requests};
use super::saved::Saved;
use crate::load::latencies::Latencies;
use crate::load::panels::{Area, Axes, FONT, INK, LEFT, MARGINS, RATE, SLOWEST, builder, failed};
use crate::output::{count, rounded};

const SIZE: (u32, u32) = (1_000, 660);
/// Pixels of the heading, and of the upper panel under it.
const HEAD: i32 = 64;
const UPPER: i32 = 280;
/// Most steps of the rate over time.
const STEPS_MAX: usize = 200;
/// Distance of two points of the percentiles' line, in nines.
const NINES_STEP: f64 = 0.05;
/// How many nines are drawn at most: 99.9999 %.
const NINES_MAX: f64 = 6.0;
const SAVED: RGBColor = RGBColor(0x8a, 0x8a, 0x8a);

/// A line of the drawing: what it is called, its colour, and what was measured.
struct Curve<'a> {
    name: String,
    colour: RGBColor,
    latency: &'a Latencies,
    timeline: &'a Timeline,
}

impl<'a> Curve<'a> {
    fn of(name: String, colour: RGBColor, run: &'a Saved) -> Curve<'a> {
        Curve { name, colour, latency: &run.latency_us, timeline: &run.timeline }
    }
}

/// The whole drawing as SVG, with the `other` run in grey. Fails where the library cannot draw it, and says why.
pub(crate) fn draw(run: &Saved, other: Option<&Saved>) -> Result<String, String> {
    let mut lines: Vec<Curve<'_>> =
        other.map(|other| Curve::of(format!("saved: {}", title(&other.plan)), SAVED, other)).into_iter().collect();
    lines.push(Curve::of("this run".to_owned(), RATE, run));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (head, panels) = root.split_vertically(HEAD);
        let (upper, lower) = panels.split_vertically(UPPER);
        heading(&head, run, &lines)?;
        rate(&upper, &lines, run.plan.requests)?;
        percentiles(&lower, &lines)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn heading(area: &Area<'_>, run: &Saved, lines: &[Curve<'_>]) -> Result<(), String> {
    let title = format!("etebar bench: {}", title(&run.plan));
    area.draw(&Text::new(title, (16, 10), (FONT, 20).into_font().color(&INK))).map_err(failed)?;
    let left = i32::try_from(MARGINS.0 + LEFT).unwrap_or(0);
    for (index, line) in lines.iter().rev().enumerate() {
        let at = (left + 90 * i32::try_from(index).unwrap_or(0), 42);
        let name = Text::new(line.name.clone(), at, (FONT, 14).into_font().color(&line.colour));
        area.draw(&name).map_err(failed)?;
    }
    Ok(())
}

/// What was asked, in a few words.
fn title(plan: &Plan) -> String {
    let what = match (plan.requests, plan.reads_percent, plan.batch) {
        (Requests::NoOp, _, _) => "no-ops".to_owned(),
        (Requests::Ledger, 100, _) => "balance reads".to_owned(),
        (Requests::Ledger, 0, 1) => "single charges".to_owned(),
        (Requests::Ledger, 0, batch) => format!("batches of {batch}"),
        (Requests::Ledger, reads, 1) => format!("single charges, {reads} % reads"),
        (Requests::Ledger, reads, batch) => format!("batches of {batch}, {reads} % reads"),
    };
    let rate = plan
        .rate
        .map_or_else(|| "closed loop".to_owned(), |rate| format!("{} requests a second", count(u64::from(rate))));
    format!("{what}, {} connections, {rate}", count(u64::from(plan.connections)))
}

fn rate(area: &Area<'_>, lines: &[Curve<'_>], requests: Requests) -> Result<(), String> {
    // Batches count by their charges, since that is what they are for.
    let done = |step: &Step| step.requests.max(step.charges.saturating_add(step.reads));
    let drawn: Vec<Vec<(f64, f64)>> = lines
        .iter()
        .map(|line| {
            let steps = line.timeline.coarse(STEPS_MAX).into_iter();
            let middle = |at: Duration, length: Duration| (at + length / 2).as_secs_f64();
            steps.map(|(at, length, step)| (middle(at, length), done(&step) as f64 / length.as_secs_f64())).collect()
        })
        .collect();
    let end = drawn.iter().flatten().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = drawn.iter().flatten().map(|(_, rate)| *rate).fold(10.0, f64::max) * 1.08;
    let mut chart = builder(area).build_cartesian_2d(0.0..end, 0.0..top).map_err(failed)?;
    let upwards = match requests {
        Requests::Ledger => "charges or reads a second",
        Requests::NoOp => "requests a second",
    };
    let x = |value: &f64| format!("{value:.1}").trim_end_matches(".0").to_owned();
    let y = |value: &f64| rounded(value.trunc());
    Axes { upwards, right: "seconds", values: 12, x: &x, y: &y }.draw(&mut chart)?;
    for (line, points) in lines.iter().zip(drawn) {
        let area = AreaSeries::new(points, 0.0, line.colour.mix(0.15));
        chart.draw_series(area.border_style(line.colour.stroke_width(2))).map_err(failed)?;
    }
    Ok(())
}

fn percentiles(area: &Area<'_>, lines: &[Curve<'_>]) -> Result<(), String> {
    let drawn: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| curve(line.latency)).collect();
    let nines = drawn.iter().flatten().map(|(nines, _)| *nines).fold(2.0, f64::max);
    let latencies = || drawn.iter().flatten().map(|(_, latency)| *latency);
    let (low, high) = (latencies().fold(f64::MAX, f64::min) * 0.8, latencies().fold(0.0, f64::max) * 1.3);
    let mut chart = builder(area).build_cartesian_2d(0.0..nines, (low..high).log_scale()).map_err(failed)?;
    let x = |nines: &f64| percentile(*nines);
    let y = |value: &f64| if *value < 10.0 { format!("{value}") } else { rounded(*value) };
    Axes { upwards: "milliseconds", right: "percentile", values: 7, x: &x, y: &y }.draw(&mut chart)?;
    for (line, points) in lines.iter().zip(drawn) {
        chart.draw_series(LineSeries::new(points, line.colour.stroke_width(2))).map_err(failed)?;
    }
    let longest = lines.last().map_or(0, |line| line.latency.max());
    let label = format!("{:.1} ms", longest as f64 / 1_000.0);
    let at = (nines * 1.005, (longest as f64 / 1_000.0).clamp(low, high));
    chart.draw_series([Text::new(label, at, (FONT, 13).into_font().color(&SLOWEST))]).map_err(failed)?;
    Ok(())
}

/// Latencies in milliseconds, by the nines of their percentile: 1 is 90 %, 2 is 99 %. As far as there are values for.
fn curve(latency: &Latencies) -> Vec<(f64, f64)> {
    let known = (latency.count().max(1) as f64).log10().min(NINES_MAX);
    let mut points = Vec::new();
    // Not from the least one: one quick answer would take half of the drawing's height.
    let mut nines = NINES_STEP;
    while nines <= known.max(NINES_STEP) {
        let quantile = 1.0 - 10.0_f64.powf(-nines);
        // The log scale has no zero.
        points.push((nines, (latency.quantile(quantile).max(1)) as f64 / 1_000.0));
        nines += NINES_STEP;
    }
    points
}

/// The name of a percentile, where its nines are whole.
fn percentile(nines: f64) -> String {
    let whole = nines.round();
    if (nines - whole).abs() > 0.01 || whole < 0.0 {
        return String::new();
    }
    let names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let index = names.iter().zip(0_u8..).find(|(_, index)| (f64::from(*index) - whole).abs() < 0.5);
    index.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_as_far_as_its_values_do() {
        let mut latency = Latencies::default();
        (1..=1_000).for_each(|value| latency.record(value * 1_000));
        let points = curve(&latency);
        let first = points.first().unwrap().1;
        assert!((109.0..111.0).contains(&first), "{first}");
        let (nines, last) = *points.last().unwrap();
        assert!((2.9..=3.0).contains(&nines) && (990.0..=1_001.0).contains(&last), "{nines} {last}");
        assert_eq!(curve(&Latencies::default()), [(NINES_STEP, 0.001)], "never nothing");
    }

    #[test]
    fn whole_nines_have_names() {
        assert_eq!([0.0, 1.0, 2.999_999, 0.5, 9.0].map(percentile), ["0 %", "90 %", "99.9 %", "", ""]);
    }
}
