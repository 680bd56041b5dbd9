//! One diagram: axes with their units, and a transformation from values to pixels.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::thin::{self, Stroke};
use super::units::{Scale, number};
use crate::time::Instant;

/// A part of the picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What drawing may fail with; in memory it does not.
pub(super) type Fallible<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// The colours of strokes and lines: the "vibrant" scheme of Paul Tol, which people tell apart who do
/// not see red or green, and a grey.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x77, 0xbb);
pub(super) const RED: RGBColor = RGBColor(0xcc, 0x33, 0x11);
pub(super) const ORANGE: RGBColor = RGBColor(0xee, 0x77, 0x33);
pub(super) const TEAL: RGBColor = RGBColor(0x00, 0x99, 0x88);
pub(super) const MAGENTA: RGBColor = RGBColor(0xee, 0x33, 0x77);
pub(super) const CYAN: RGBColor = RGBColor(0x33, 0xbb, 0xee);
pub(super) const GREY: RGBColor = RGBColor(0x77, 0x77, 0x77);

/// Text, axes and grid.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
const FRAME: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// Pixels of the smallest text.
pub(super) const TEXT: u32 = 26;

/// The backend makes a font smaller by this.
const FONT_RATIO: f64 = 1.24;

/// Room left of the axes, right of them, and below for the axis of time.
pub(super) const LEFT: u32 = 150;
const RIGHT: u32 = 36;
pub(super) const BELOW: u32 = 88;
/// Where the titles of the axes of values stand.
const TITLE_AT: i32 = 14;
/// Room between the labels of such an axis, at least.
const LABEL_STEP: u32 = 56;
/// Room between one diagram and the next.
const GAP: u32 = 18;

/// A font without serifs, as whoever shows the picture has it, in pixels.
pub(super) fn font(
    size: u32,
    color: RGBColor,
    horizontal: HPos,
    vertical: VPos,
) -> TextStyle<'static> {
    let font =
        FontDesc::new(FontFamily::SansSerif, f64::from(size) * FONT_RATIO, FontStyle::Normal);
    font.color(&color).pos(Pos::new(horizontal, vertical))
}

/// The two strokes of a cross.
pub(super) fn cross((x, y): (i32, i32)) -> [[(i32, i32); 2]; 2] {
    [[(x - 6, y - 6), (x + 6, y + 6)], [(x - 6, y + 6), (x + 6, y - 6)]]
}

/// The axis of time, which all diagrams of a picture share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    start: Instant,
    /// Seconds from the zero of the axis to its start.
    ahead: f64,
    /// Seconds that are shown.
    length: f64,
    scale: Scale,
}

impl Times {
    /// From the first entry to a little behind the last.
    pub(super) fn new(span: Option<(Instant, Instant)>, zero: Option<Instant>) -> Self {
        let (start, end) = span.unwrap_or_default();
        let length = end.since(start).as_secs_f64().max(1e-6) * 1.02;
        let zero = zero.unwrap_or(start);
        // One of them is none: there is no time before another.
        let ahead = start.since(zero).as_secs_f64() - zero.since(start).as_secs_f64();
        Self { start, ahead, length, scale: Scale::new(super::Unit::Seconds, length) }
    }

    /// The numbers beside the axis, from its start to its end.
    fn numbers(&self) -> Range<f64> {
        let divisor = self.scale.divisor;
        self.ahead / divisor..(self.ahead + self.length) / divisor
    }

    /// The share of the axis that has passed at `at`.
    fn share(&self, at: Instant) -> f64 {
        at.since(self.start).as_secs_f64() / self.length
    }
}

/// Axes on which values are drawn.
pub(super) struct Chart<'a> {
    /// Inside the axes.
    area: Area<'a>,
    times: Times,
    values: Range<f64>,
    width: i32,
    height: i32,
}

impl<'a> Chart<'a> {
    /// Draws the axes. The last chart of a picture has the numbers of the axis of time.
    pub(super) fn new(
        area: &Area<'a>,
        times: Times,
        (title, scale, values): (&str, Scale, Range<f64>),
        is_last: bool,
    ) -> Fallible<Self> {
        let scaled = values.start / scale.divisor..values.end / scale.divisor;
        let mut chart = ChartBuilder::on(area)
            .margin_right(RIGHT)
            .margin_top(GAP)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, if is_last { BELOW } else { 1 })
            .build_cartesian_2d(times.numbers(), scaled)?;
        let text = font(TEXT, INK, HPos::Left, VPos::Top);
        let (_, height) = chart.plotting_area().dim_in_pixel();
        let mut mesh = chart.configure_mesh();
        mesh.axis_style(FRAME)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .max_light_lines(1)
            .set_all_tick_mark_size(8)
            .label_style(text.clone())
            .axis_desc_style(text)
            .x_labels(12)
            .y_labels((height / LABEL_STEP).max(2) as usize)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value));
        if is_last {
            mesh.x_desc(times.scale.title("time")).draw()?;
        } else {
            mesh.disable_x_axis().draw()?;
        }
        let upwards = font(TEXT, INK, HPos::Center, VPos::Top).transform(FontTransform::Rotate270);
        let middle = (TITLE_AT, (GAP + height / 2).cast_signed());
        area.draw(&Text::new(scale.title(title), middle, upwards))?;
        let area = chart.plotting_area().strip_coord_spec();
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (width.cast_signed(), height.cast_signed());
        area.draw(&Rectangle::new([(0, 0), (width, height)], FRAME))?;
        Ok(Self { area, times, values, width, height })
    }

    /// The width inside the axes, in pixels.
    pub(super) fn width(&self) -> i32 {
        self.width
    }

    /// The row of the lower end of the axis.
    pub(super) fn bottom(&self) -> i32 {
        self.height
    }

    /// The column of a time.
    pub(super) fn x(&self, at: Instant) -> i32 {
        // Rounds into the picture: there is nothing before its first time and behind its last.
        (self.times.share(at) * f64::from(self.width)).round() as i32
    }

    /// The row of a value; beyond the picture it is held where it cannot be seen.
    pub(super) fn y(&self, value: f64) -> i32 {
        let share = (value - self.values.start) / (self.values.end - self.values.start);
        let y = (f64::from(self.height) * (1.0 - share)).round();
        y.clamp(-10.0, f64::from(self.height) + 10.0) as i32
    }

    /// Draws the strokes, the short ones in the middle of this many pixels so that they can be seen.
    pub(super) fn strokes(&self, strokes: Vec<Stroke>, least: i32, style: ShapeStyle) -> Fallible {
        for Stroke { x, top, bottom } in strokes {
            let more = (least - (bottom - top)).max(0);
            let (top, bottom) = (top - more / 2, bottom + more - more / 2);
            self.area.draw(&PathElement::new([(x, top), (x, bottom)], style))?;
        }
        Ok(())
    }

    /// Draws values that hold until the next, the last one to the end.
    pub(super) fn staircase(
        &self,
        values: impl Iterator<Item = (Instant, Option<f64>)>,
        end: Instant,
        style: ShapeStyle,
    ) -> Fallible {
        let pixels = values.map(|(at, value)| (self.x(at), value.map(|value| self.y(value))));
        for line in thin::staircase(pixels, self.x(end), self.height) {
            self.area.draw(&PathElement::new(line, style))?;
        }
        Ok(())
    }

    /// Draws a dot for each value.
    pub(super) fn dots(
        &self,
        values: impl Iterator<Item = (Instant, f64)>,
        color: RGBColor,
    ) -> Fallible {
        for at in thin::dots(values.map(|(at, value)| (self.x(at), self.y(value)))) {
            self.area.draw(&Circle::new(at, 3, color.filled()))?;
        }
        Ok(())
    }

    /// Draws a point, full or hollow.
    pub(super) fn point(&self, at: (i32, i32), size: u32, style: ShapeStyle) -> Fallible {
        self.area.draw(&Circle::new(at, size, style))
    }

    /// Draws a cross.
    pub(super) fn cross(&self, at: (i32, i32), style: ShapeStyle) -> Fallible {
        for stroke in cross(at) {
            self.area.draw(&PathElement::new(stroke, style))?;
        }
        Ok(())
    }

    /// Writes text above or below a point, inside the axes.
    pub(super) fn label(
        &self,
        text: &str,
        (x, y): (i32, i32),
        vertical: VPos,
        color: RGBColor,
    ) -> Fallible {
        let (horizontal, shift) = match x {
            _ if x < 40 => (HPos::Left, 4),
            _ if x > self.width - 40 => (HPos::Right, -4),
            _ => (HPos::Center, 0),
        };
        let y = if matches!(vertical, VPos::Top) { y + 9 } else { y - 9 };
        let style = font(TEXT - 6, color, horizontal, vertical);
        self.area.draw(&Text::new(text.to_owned(), (x + shift, y), style))
    }

    /// Inside the axes.
    pub(super) fn area(&self) -> &Area<'a> {
        &self.area
    }
}
