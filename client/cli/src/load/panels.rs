//! What all drawings of a load share: colours, panels with their axes, and their errors.

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Pixels of the axes' labels, the same in all panels so that they stand under each other.
pub(crate) const LEFT: u32 = 76;
/// Pixels beside the panels: for the axes' names, and for those of the lines.
pub(crate) const MARGINS: (u32, u32) = (12, 64);
pub(crate) const FONT: &str = "sans-serif";

pub(crate) const RATE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
pub(crate) const MEDIAN: RGBColor = RGBColor(0x2a, 0x8f, 0x5a);
pub(crate) const SLOWEST: RGBColor = RGBColor(0xd0, 0x7a, 0x1b);
pub(crate) const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A panel: some measure upwards.
pub(crate) type Panel<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;

/// What stands at the axes.
pub(crate) struct Axes<'a> {
    pub(crate) upwards: &'a str,
    pub(crate) right: &'a str,
    /// How many values of the lower axis are named, about.
    pub(crate) values: usize,
    pub(crate) x: &'a dyn Fn(&f64) -> String,
    pub(crate) y: &'a dyn Fn(&f64) -> String,
}

impl Axes<'_> {
    pub(crate) fn draw<Y>(&self, chart: &mut Panel<'_, '_, Y>) -> Result<(), String>
    where
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.12))
            .axis_style(INK.mix(0.5))
            .label_style((FONT, 13).into_font().color(&INK))
            .y_label_formatter(&self.y)
            .x_label_formatter(&self.x)
            .x_labels(self.values)
            .y_labels(6)
            .y_desc(self.upwards)
            .x_desc(self.right)
            .draw()
            .map_err(failed)
    }
}

pub(crate) fn builder<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin_left(MARGINS.0).margin_right(MARGINS.1).margin_top(6).x_label_area_size(34).y_label_area_size(LEFT);
    builder
}

pub(crate) fn failed(error: impl std::fmt::Display) -> String {
    format!("the drawing failed: {error}")
}
