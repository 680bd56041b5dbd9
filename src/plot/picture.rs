//! The picture of a [`Trace`]: sequence numbers above, the panels below, on one axis of time.

use std::collections::BTreeSet;
use std::fmt;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{
    Area, BELOW, BLUE, CYAN, Chart, Fallible, GREY, INK, LEFT, MAGENTA, ORANGE, RED, TEAL, TEXT,
    Times, cross, font,
};
use super::compact::compact;
use super::thin::{Stroke, Strokes};
use super::trace::{Look, Mark, MarkKind, Panel, SentKind, Series, Side, Trace, Unit};
use super::units::Scale;
use crate::time::Instant;

/// Pixels across: twice as many as a page is wide, so that what is half a pixel there can be seen.
const WIDTH: u32 = 1800;
/// Pixels of the headlines, of a line of the legend, of the sequence numbers and of each panel.
const HEAD: u32 = 96;
const LEGEND: u32 = 40;
const MAIN: u32 = 820;
const PANEL: u32 = 270;

/// The most panels that are drawn, so that a picture has a size.
const MAX_PANELS: usize = 12;

/// How much higher than its values a panel is that has a legend: that lies above them.
const LEGEND_ROOM: f64 = 1.25;

/// How much higher than the text a window may reach in the picture: what is above is cut off.
const MOST_WINDOW: f64 = 1.3;

/// Colours of the series of a panel, in their order.
const PALETTE: [RGBColor; 7] = [BLUE, ORANGE, TEAL, MAGENTA, CYAN, RED, GREY];

/// Why there is no picture. In memory nothing fails that drawing needs, so this does not happen.
#[derive(Debug)]
pub struct DrawError(String);

impl fmt::Display for DrawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DrawError {}

/// Makes an SVG of a trace. The same trace gives the same bytes.
///
/// The size of the result is bounded, whatever the trace holds: what falls on the same pixels is drawn
/// once, and there are at most 10,000 elements of each kind, which is some 1 MB. Text is left to the
/// fonts of whoever shows it.
///
/// # Errors
/// None in practice, see [`DrawError`].
pub fn draw(trace: &Trace) -> Result<String, DrawError> {
    let mut svg = String::new();
    draw_into(trace, &mut svg).map_err(|error| DrawError(error.to_string()))?;
    Ok(compact(&svg))
}

fn draw_into(trace: &Trace, svg: &mut String) -> Fallible {
    let panels = trace.panels.get(..MAX_PANELS).unwrap_or(&trace.panels);
    let legend = legend(trace);
    let lines = lay_out(&legend, WIDTH.cast_signed() - 200);
    let head = HEAD + LEGEND * lines.last().map_or(0, |line| line.1 + 1);
    let height = head + MAIN + PANEL * panels.len() as u32 + BELOW;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (top, mut rest) = root.split_vertically(head);
    headlines(&top, trace)?;
    for (entry, &(x, line)) in legend.iter().zip(&lines) {
        let y = (HEAD + LEGEND * line + LEGEND / 2).cast_signed();
        entry.draw(&top, (LEFT.cast_signed() + x, y))?;
    }
    let span = trace.span();
    let times = Times::new(span, trace.zero);
    let end = span.unwrap_or_default().1;
    let main = MAIN + if panels.is_empty() { BELOW } else { 0 };
    let (area, below) = rest.split_vertically(main);
    rest = below;
    let scale = Scale::new(Unit::Bytes, top_of_text(trace));
    let axis = ("sequence number", scale, range_of_sequence(trace));
    let chart = Chart::new(&area, times, axis, panels.is_empty())?;
    sequence_numbers(&chart, trace, end)?;
    for (index, panel) in panels.iter().enumerate() {
        let is_last = index + 1 == panels.len();
        let (area, below) = rest.split_vertically(PANEL + if is_last { BELOW } else { 0 });
        rest = below;
        draw_panel(&area, times, panel, end, is_last)?;
    }
    root.present()
}

fn headlines(area: &Area<'_>, trace: &Trace) -> Fallible {
    let mut title = font(TEXT + 6, INK, HPos::Left, VPos::Top);
    title.font = title.font.style(FontStyle::Bold);
    area.draw(&Text::new(trace.title.clone(), (LEFT.cast_signed(), 16), title))?;
    let subtitle = font(TEXT, GREY, HPos::Left, VPos::Top);
    area.draw(&Text::new(trace.subtitle.clone(), (LEFT.cast_signed(), 58), subtitle))
}

/// The end of all text, also of that which is only acknowledged.
fn top_of_text(trace: &Trace) -> f64 {
    let sent = trace.sent.iter().map(|sent| sent.start + i64::from(sent.len));
    let acked = trace.acks.iter().map(|acked| acked.ack);
    let marks = trace.marks.iter().map(|mark| mark.seq);
    sent.chain(acked).chain(marks).max().unwrap_or(0).max(1) as f64
}

/// The edges of the window, as far as they are known.
fn edges(trace: &Trace) -> impl Iterator<Item = f64> + '_ {
    trace.acks.iter().filter_map(|acked| Some((acked.ack + i64::from(acked.window?)) as f64))
}

fn range_of_sequence(trace: &Trace) -> std::ops::Range<f64> {
    let top = top_of_text(trace);
    let sent = trace.sent.iter().map(|sent| sent.start);
    // The first byte, unless the picture begins later.
    let bottom = sent.chain(trace.acks.iter().map(|acked| acked.ack)).min().unwrap_or(0);
    let bottom = bottom as f64;
    // A window that would not be seen anyhow takes no room.
    let most = bottom + (top - bottom) * MOST_WINDOW;
    let seen = edges(trace).fold(f64::INFINITY, f64::min) < most;
    let window = if seen { edges(trace).fold(0.0, f64::max).min(most) } else { 0.0 };
    // With room for what is written below the first byte and above the last.
    let height = top.max(window) - bottom;
    bottom - height * 0.05..bottom + height * 1.05
}

/// How strokes of a kind look: their name, their colour, and how wide and how long they are at least. A
/// segment may be a tenth of a pixel high: what is rare has to be seen all the same.
type Pen = (&'static str, RGBColor, u32, i32);

/// The kinds of strokes, from the lowest layer to the highest.
const KINDS: [(SentKind, Pen); 3] = [
    (SentKind::New, ("sent", BLUE, 3, 3)),
    (SentKind::OutOfOrder, ("out of order", ORANGE, 4, 14)),
    (SentKind::Again, ("sent again", RED, 4, 14)),
];

const SACKS: [(bool, Pen); 2] =
    [(false, ("sacked", MAGENTA, 3, 6)), (true, ("arrived twice (D-SACK)", CYAN, 4, 14))];

fn sequence_numbers(chart: &Chart<'_>, trace: &Trace, end: Instant) -> Fallible {
    let known = trace.acks.iter().map(|acked| {
        let edge = acked.window.map(|window| (acked.ack + i64::from(window)) as f64);
        (acked.at, edge)
    });
    chart.staircase(known, end, GREY.stroke_width(3))?;
    let acks = trace.acks.iter().map(|acked| (acked.at, Some(acked.ack as f64)));
    chart.staircase(acks, end, TEAL.stroke_width(3))?;
    let stroke = |at: Instant, start: i64, len: u32| {
        let end = start + i64::from(len);
        Stroke { x: chart.x(at), top: chart.y(end as f64), bottom: chart.y(start as f64) }
    };
    for (duplicate, pen) in SACKS {
        let sacks = trace.sacks.iter().filter(|sack| sack.duplicate == duplicate);
        strokes(chart, sacks.map(|sack| stroke(sack.at, sack.start, sack.len)), pen)?;
    }
    for (kind, pen) in KINDS {
        let sent = trace.sent.iter().filter(|sent| sent.kind == kind);
        strokes(chart, sent.map(|sent| stroke(sent.at, sent.start, sent.len)), pen)?;
    }
    marks(chart, &trace.marks)
}

fn strokes(chart: &Chart<'_>, all: impl Iterator<Item = Stroke>, pen: Pen) -> Fallible {
    let (_, color, width, least) = pen;
    let mut strokes = Strokes::default();
    all.for_each(|stroke| strokes.push(stroke));
    chart.strokes(strokes.finish(), least, color.stroke_width(width))
}

/// How large the cells are of which each has one mark; and those of which one with a label has none
/// beside it.
const MARK_CELL: i32 = 12;
const LABEL_CELL: i32 = 48;

fn marks(chart: &Chart<'_>, marks: &[Mark]) -> Fallible {
    let (mut drawn, mut labelled) = (BTreeSet::new(), BTreeSet::new());
    for mark in marks {
        let (x, y) = (chart.x(mark.at), chart.y(mark.seq as f64));
        if !drawn.insert((x / MARK_CELL, y / MARK_CELL, mark.kind as u8)) {
            continue;
        }
        let color = match mark.side {
            Side::Sender => BLUE,
            Side::Receiver => TEAL,
        };
        let label = match mark.kind {
            MarkKind::ZeroWindow => {
                chart.point((x, y), 8, INK.stroke_width(3))?;
                continue;
            }
            MarkKind::Lost => {
                chart.cross((x, y), INK.stroke_width(3))?;
                continue;
            }
            MarkKind::Syn => "SYN",
            MarkKind::Fin => "FIN",
            MarkKind::Reset => "RST",
        };
        let color = if mark.kind == MarkKind::Reset { RED } else { color };
        chart.point((x, y), 6, color.filled())?;
        let cell = (x / LABEL_CELL, y / LABEL_CELL);
        let mut around = (-1..=1).flat_map(|x| (-1..=1).map(move |y| (cell.0 + x, cell.1 + y)));
        if !around.any(|cell| labelled.contains(&cell)) {
            labelled.insert(cell);
            let is_low = y > chart.bottom() / 2;
            let vertical = if is_low { VPos::Top } else { VPos::Bottom };
            chart.label(label, (x, y), vertical, color)?;
        }
    }
    Ok(())
}

fn draw_panel(
    area: &Area<'_>,
    times: Times,
    panel: &Panel,
    end: Instant,
    is_last: bool,
) -> Fallible {
    let values = panel.series.iter().flat_map(|series| &series.points).map(|point| point.1);
    let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let scale = Scale::new(panel.unit, most);
    // One that has the panel's name needs no other.
    let has_legend = panel.series.iter().any(|series| series.name != panel.title);
    let top = most * if has_legend { LEGEND_ROOM } else { 1.08 };
    let chart = Chart::new(area, times, (&panel.title, scale, 0.0..top), is_last)?;
    for (series, color) in panel.series.iter().zip(PALETTE.into_iter().cycle()) {
        let points = series.points.iter().copied();
        let seen = |value: f64| Some(value).filter(|value| value.is_finite());
        match series.look {
            Look::Steps => {
                let values = points.map(|(at, value)| (at, seen(value)));
                chart.staircase(values, end, color.stroke_width(3))?;
            }
            Look::Dots => {
                chart.dots(points.filter(|point| seen(point.1).is_some()), color)?;
            }
        }
    }
    if has_legend {
        panel_legend(&chart, &panel.series)?;
    }
    Ok(())
}

/// Names the series in the upper right corner.
fn panel_legend(chart: &Chart<'_>, series: &[Series]) -> Fallible {
    let entries: Vec<Entry> = series
        .iter()
        .zip(PALETTE.into_iter().cycle())
        .map(|(series, color)| Entry {
            text: series.name.clone(),
            color,
            symbol: if series.look == Look::Dots { Symbol::Dot } else { Symbol::Line(3) },
        })
        .collect();
    let width: i32 = entries.iter().map(Entry::width).sum();
    let mut x = (chart.width() - width).max(0);
    let area = chart.area();
    for entry in &entries {
        entry.draw(area, (x, LEGEND.cast_signed() / 2 + 2))?;
        x += entry.width();
    }
    Ok(())
}

/// How an entry of the legend looks.
#[derive(Clone, Copy, Debug)]
enum Symbol {
    Stroke(u32),
    Line(u32),
    Dot,
    Ring,
    Cross,
    /// Text alone.
    Nothing,
}

/// What a colour means.
#[derive(Clone, Debug)]
struct Entry {
    text: String,
    color: RGBColor,
    symbol: Symbol,
}

impl Entry {
    /// Pixels that it takes, with the distance to the next: fonts differ, so some are to spare.
    fn width(&self) -> i32 {
        70 + self.text.chars().count() as i32 * (TEXT.cast_signed() * 11 / 20)
    }

    fn draw(&self, area: &Area<'_>, (x, y): (i32, i32)) -> Fallible {
        let color = self.color;
        match self.symbol {
            Symbol::Stroke(width) => {
                let stroke = [(x + 14, y - 12), (x + 14, y + 12)];
                area.draw(&PathElement::new(stroke, color.stroke_width(width + 1)))?;
            }
            Symbol::Line(width) => {
                area.draw(&PathElement::new([(x, y), (x + 28, y)], color.stroke_width(width)))?;
            }
            Symbol::Dot => area.draw(&Circle::new((x + 14, y), 5, color.filled()))?,
            Symbol::Ring => area.draw(&Circle::new((x + 14, y), 8, color.stroke_width(3)))?,
            Symbol::Cross => {
                for stroke in cross((x + 14, y)) {
                    area.draw(&PathElement::new(stroke, color.stroke_width(3)))?;
                }
            }
            Symbol::Nothing => {}
        }
        let style = font(TEXT, INK, HPos::Left, VPos::Center);
        area.draw(&Text::new(self.text.clone(), (x + 38, y), style))
    }
}

/// What there is to explain, and nothing else.
fn legend(trace: &Trace) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |present: bool, text: &str, color, symbol| {
        if present {
            entries.push(Entry { text: text.to_owned(), color, symbol });
        }
    };
    for (kind, (text, color, width, _)) in KINDS {
        let present = trace.sent.iter().any(|sent| sent.kind == kind);
        add(present, text, color, Symbol::Stroke(width));
    }
    add(!trace.acks.is_empty(), "acknowledged", TEAL, Symbol::Line(3));
    let known = edges(trace).next().is_some();
    let top = range_of_sequence(trace).end;
    add(edges(trace).any(|edge| edge < top), "window edge", GREY, Symbol::Line(3));
    let unknown = !trace.acks.is_empty() && !known;
    add(unknown, "(window: scale unknown, no SYN)", GREY, Symbol::Nothing);
    for (duplicate, (text, color, width, _)) in SACKS {
        let present = trace.sacks.iter().any(|sack| sack.duplicate == duplicate);
        add(present, text, color, Symbol::Stroke(width));
    }
    let zero = trace.marks.iter().any(|mark| mark.kind == MarkKind::ZeroWindow);
    add(zero, "zero window", INK, Symbol::Ring);
    let lost = trace.marks.iter().any(|mark| mark.kind == MarkKind::Lost);
    add(lost, "lost on the way", INK, Symbol::Cross);
    entries
}

/// Where each entry begins, and in which line.
fn lay_out(entries: &[Entry], width: i32) -> Vec<(i32, u32)> {
    let (mut x, mut line) = (0, 0);
    entries
        .iter()
        .map(|entry| {
            if x > 0 && x + entry.width() > width {
                (x, line) = (0, line + 1);
            }
            let place = (x, line);
            x += entry.width();
            place
        })
        .collect()
}

#[cfg(test)]
mod tests;
