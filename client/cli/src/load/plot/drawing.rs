//! The drawing: charges per second above, what they took below, marks across both.

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use super::mark::Mark;
use super::series::PlotStep;
use crate::load::panels::{Area, Axes, FONT, INK, LEFT, MARGINS, MEDIAN, Panel, RATE, SLOWEST, builder, failed};
use crate::output::rounded;

const SIZE: (u32, u32) = (1_000, 620);
/// Pixels of the heading with the marks' names, and of the upper panel under it.
const HEAD: i32 = 64;
const UPPER: i32 = 300;
const MARKED: RGBColor = RGBColor(0xb0, 0x2a, 0x37);

/// The whole drawing as SVG. `first_ms` is where time begins. Fails where the library cannot draw it, and says why.
pub(crate) fn draw(title: &str, steps: &[PlotStep], first_ms: u64, marks: &[Mark]) -> Result<String, String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (head, panels) = root.split_vertically(HEAD);
        let (upper, lower) = panels.split_vertically(UPPER);
        head.draw(&Text::new(title.to_owned(), (16, 10), (FONT, 20).into_font().color(&INK))).map_err(failed)?;
        let seconds = |at_ms: u64| at_ms.saturating_sub(first_ms) as f64 / 1_000.0;
        let end = steps.last().map_or(1.0, |step| seconds(step.at_ms)).max(1.0);
        let marks: Vec<_> = marks.iter().filter(|mark| seconds(mark.at_ms) <= end).collect();
        let spans: Vec<_> = marks
            .iter()
            .map(|mark| (seconds(mark.at_ms), mark.until_ms.map(|until| seconds(until).min(end))))
            .collect();
        rate(&upper, steps, end, &seconds, &spans)?;
        latency(&lower, steps, end, &seconds, &spans)?;
        let across = f64::from(SIZE.0 - MARGINS.0 - LEFT - MARGINS.1);
        for (index, mark) in marks.iter().enumerate() {
            let x = f64::from(MARGINS.0 + LEFT) + across * seconds(mark.at_ms) / end;
            // Adjacent names are drawn on two lines, so that they do not overlap.
            let y = 36 + 14 * i32::try_from(index % 2).unwrap_or(0);
            #[expect(clippy::cast_possible_truncation, reason = "a pixel of the drawing, which is 1,000 wide")]
            let x = x as i32 + 3;
            let name = Text::new(mark.what.clone(), (x, y), (FONT, 13).into_font().color(&MARKED));
            head.draw(&name).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn rate(
    area: &Area<'_>,
    steps: &[PlotStep],
    end: f64,
    seconds: &impl Fn(u64) -> f64,
    spans: &[(f64, Option<f64>)],
) -> Result<(), String> {
    let top = steps.iter().map(|step| step.per_second).max().unwrap_or(0).max(10) as f64 * 1.08;
    let mut chart = builder(area).build_cartesian_2d(0.0..end, 0.0..top).map_err(failed)?;
    axes(&mut chart, "charges a second", "")?;
    crosses(&mut chart, spans, 0.0, top)?;
    let line = steps.iter().map(|step| (seconds(step.at_ms), step.per_second as f64));
    chart.draw_series(AreaSeries::new(line, 0.0, RATE.mix(0.2)).border_style(RATE.stroke_width(2))).map_err(failed)?;
    Ok(())
}

fn latency(
    area: &Area<'_>,
    steps: &[PlotStep],
    end: f64,
    seconds: &impl Fn(u64) -> f64,
    spans: &[(f64, Option<f64>)],
) -> Result<(), String> {
    let top = steps.iter().filter_map(|step| step.took_ms).map(|(_, slowest)| slowest).max().unwrap_or(1).max(10);
    let top = top as f64 * 1.3;
    let mut chart = builder(area).build_cartesian_2d(0.0..end, (1.0..top).log_scale()).map_err(failed)?;
    axes(&mut chart, "milliseconds a charge", "seconds")?;
    crosses(&mut chart, spans, 1.0, top)?;
    for (name, colour, of) in
        [("99 %", SLOWEST, (|(_, slowest)| slowest) as fn((u64, u64)) -> u64), ("median", MEDIAN, |(median, _)| median)]
    {
        // A step without a charge interrupts the line.
        for part in steps.split(|step| step.took_ms.is_none()) {
            let points = part.iter().filter_map(|step| Some((seconds(step.at_ms), of(step.took_ms?).max(1) as f64)));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(failed)?;
        }
        let last = steps.iter().rev().find_map(|step| step.took_ms).map_or(1.0, |took| of(took).max(1) as f64);
        let label = Text::new(name, (end * 1.005, last), (FONT, 13).into_font().color(&colour));
        chart.draw_series([label]).map_err(failed)?;
    }
    Ok(())
}

fn axes<Y>(chart: &mut Panel<'_, '_, Y>, upwards: &str, right: &str) -> Result<(), String>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let (x, y) = (|value: &f64| format!("{value:.0}"), |value: &f64| rounded(value.trunc()));
    Axes { upwards, right, values: 12, x: &x, y: &y }.draw(chart)
}

/// A line where a mark begins, and a shade until it ends.
fn crosses<Y>(chart: &mut Panel<'_, '_, Y>, spans: &[(f64, Option<f64>)], low: f64, high: f64) -> Result<(), String>
where
    Y: Ranged<ValueType = f64>,
{
    for (from, until) in spans {
        if let Some(until) = until {
            let shade = Rectangle::new([(*from, low), (*until, high)], MARKED.mix(0.08).filled());
            chart.draw_series([shade]).map_err(failed)?;
        }
        chart.draw_series([PathElement::new([(*from, low), (*from, high)], MARKED.stroke_width(1))]).map_err(failed)?;
    }
    Ok(())
}
