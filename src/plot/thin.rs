//! Leaving out what cannot be seen: a picture has so many pixels, however many packets there were.

use std::collections::BTreeSet;
use std::mem;

/// The most strokes of a kind, and the most dots of a series, that a picture holds.
///
/// One element takes some 10 bytes, so a picture with all kinds of strokes and four such series has
/// 1 MB at most. A bulk transfer has a stroke for each column of pixels, 50 KB in all.
pub(super) const MAX_ELEMENTS: usize = 10_000;

/// A vertical stroke, in pixels; `top` is the smaller number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stroke {
    pub(super) x: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
}

/// Strokes of one kind.
#[derive(Debug, Default)]
pub(super) struct Strokes(Vec<Stroke>);

impl Strokes {
    /// Adds a stroke; one that touches the last, as text in a row does, becomes part of it.
    pub(super) fn push(&mut self, stroke: Stroke) {
        match self.0.last_mut() {
            Some(last) if touches(*last, stroke, 1) => join(last, stroke),
            _ => self.0.push(stroke),
        }
    }

    /// The strokes that are left when those that touch are one: and, as long as there are too many,
    /// when those are one whose distance is small.
    pub(super) fn finish(mut self) -> Vec<Stroke> {
        self.0.sort_unstable();
        let mut distance = 1;
        loop {
            for stroke in mem::take(&mut self.0) {
                match self.0.last_mut() {
                    Some(last) if touches(*last, stroke, distance) => join(last, stroke),
                    _ => self.0.push(stroke),
                }
            }
            // At some distance a column has one stroke, and there are fewer columns.
            if self.0.len() <= MAX_ELEMENTS || distance > 1 << 20 {
                return self.0;
            }
            distance *= 2;
        }
    }
}

fn touches(one: Stroke, other: Stroke, distance: i32) -> bool {
    one.x == other.x
        && other.top <= one.bottom.saturating_add(distance)
        && one.top <= other.bottom.saturating_add(distance)
}

fn join(one: &mut Stroke, other: Stroke) {
    one.top = one.top.min(other.top);
    one.bottom = one.bottom.max(other.bottom);
}

/// Dots, of which no two lie in the same square of pixels.
pub(super) fn dots(all: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
    let mut side = 2;
    let mut cells: BTreeSet<_> = all.map(|(x, y)| (x / side, y / side)).collect();
    while cells.len() > MAX_ELEMENTS {
        side *= 2;
        cells = cells.into_iter().map(|(x, y)| (x / 2, y / 2)).collect();
    }
    cells.into_iter().map(|(x, y)| (x * side, y * side)).collect()
}

/// A line that goes up and down where the values change: values in the order of time, each with its
/// column, the last of which holds to the column `end`; none is a gap. A line has the parts that
/// lie between 0 and `height`.
///
/// Of the values in a column the first, the last and the extremes are seen.
pub(super) fn staircase(
    values: impl Iterator<Item = (i32, Option<i32>)>,
    end: i32,
    height: i32,
) -> Vec<Vec<(i32, i32)>> {
    let mut lines = Lines { height, ..Lines::default() };
    let mut column: Option<Column> = None;
    for (x, value) in values {
        let Some(y) = value else {
            if let Some(column) = column.take() {
                column.draw(&mut lines);
                lines.go_to(x, column.last);
            }
            lines.lift();
            continue;
        };
        match &mut column {
            Some(column) if column.x == x => column.add(y),
            _ => {
                if let Some(column) = column {
                    column.draw(&mut lines);
                }
                column = Some(Column { x, first: y, least: y, most: y, last: y });
            }
        }
    }
    if let Some(column) = column {
        column.draw(&mut lines);
        lines.go_to(end.max(column.x), column.last);
    }
    lines.lift();
    lines.done
}

/// The values in one column of pixels.
#[derive(Clone, Copy, Debug)]
struct Column {
    x: i32,
    first: i32,
    least: i32,
    most: i32,
    last: i32,
}

impl Column {
    fn add(&mut self, y: i32) {
        self.least = self.least.min(y);
        self.most = self.most.max(y);
        self.last = y;
    }

    fn draw(&self, lines: &mut Lines) {
        if let Some((_, before)) = lines.pen {
            lines.go_to(self.x, before);
        }
        for y in [self.first, self.least, self.most, self.last] {
            lines.go_to(self.x, y);
        }
    }
}

/// A pen that moves along the axes and leaves a trace in the visible.
#[derive(Debug, Default)]
struct Lines {
    height: i32,
    pen: Option<(i32, i32)>,
    line: Vec<(i32, i32)>,
    done: Vec<Vec<(i32, i32)>>,
}

impl Lines {
    fn go_to(&mut self, x: i32, y: i32) {
        let Some((from_x, from_y)) = self.pen.replace((x, y)) else { return };
        if (from_x, from_y) == (x, y) {
            return;
        }
        let visible = 0..=self.height;
        let clamp = |y: i32| y.clamp(0, self.height);
        let outside = if from_x == x {
            from_y.max(y) < 0 || from_y.min(y) > self.height
        } else {
            !visible.contains(&y)
        };
        if outside {
            return self.end_line();
        }
        let (from, to) = ((from_x, clamp(from_y)), (x, clamp(y)));
        if self.line.last() != Some(&from) {
            self.end_line();
            self.line.push(from);
        }
        // What goes on in the same direction needs no corner.
        if let [.., before, corner] = self.line[..]
            && ((before.0 == corner.0
                && corner.0 == to.0
                && (corner.1 - before.1 < 0) == (to.1 - corner.1 < 0))
                || (before.1 == corner.1 && corner.1 == to.1))
        {
            self.line.pop();
        }
        self.line.push(to);
    }

    fn end_line(&mut self) {
        let line = mem::take(&mut self.line);
        if line.len() > 1 {
            self.done.push(line);
        }
    }

    fn lift(&mut self) {
        self.end_line();
        self.pen = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stroke(x: i32, top: i32, bottom: i32) -> Stroke {
        Stroke { x, top, bottom }
    }

    #[test]
    fn strokes_that_touch_are_one() {
        let mut strokes = Strokes::default();
        for (x, top, bottom) in [(5, 10, 20), (5, 21, 30), (5, 33, 40), (6, 10, 20), (5, 12, 14)] {
            strokes.push(stroke(x, top, bottom));
        }
        assert_eq!(strokes.finish(), [stroke(5, 10, 30), stroke(5, 33, 40), stroke(6, 10, 20)]);
    }

    #[test]
    fn there_are_never_too_many() {
        let mut strokes = Strokes::default();
        for x in 0..1_800 {
            for n in 0..200 {
                strokes.push(stroke(x, n * 5, n * 5 + 1));
            }
        }
        let left = strokes.finish();
        assert!((1_800..=MAX_ELEMENTS).contains(&left.len()), "{}", left.len());
        assert!(left.iter().any(|stroke| stroke.top == 0));
        let many = dots((0..1_800).flat_map(|x| (0..800).map(move |y| (x, y))));
        assert!((MAX_ELEMENTS / 8..=MAX_ELEMENTS).contains(&many.len()), "{}", many.len());
    }

    #[test]
    fn a_staircase_holds_each_value_until_the_next() {
        let values = [(0, Some(50)), (10, Some(30)), (20, Some(40))];
        let lines = staircase(values.into_iter(), 25, 100);
        assert_eq!(lines, [[(0, 50), (10, 50), (10, 30), (20, 30), (20, 40), (25, 40)]]);
    }

    #[test]
    fn a_column_shows_its_extremes_and_a_gap_is_one() {
        let values = [(0, Some(50)), (3, Some(40)), (3, Some(10)), (3, Some(90)), (3, Some(60))];
        let gap = [(8, None), (9, Some(5))];
        let lines = staircase(values.into_iter().chain(gap), 12, 100);
        let first = [(0, 50), (3, 50), (3, 10), (3, 90), (3, 60), (8, 60)];
        assert_eq!(lines, [&first[..], &[(9, 5), (12, 5)]]);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let values = [(0, Some(50)), (10, Some(-30)), (20, Some(40)), (30, Some(400))];
        let lines = staircase(values.into_iter(), 40, 100);
        let expected =
            [&[(0, 50), (10, 50), (10, 0)][..], &[(20, 0), (20, 40), (30, 40), (30, 100)]];
        assert_eq!(lines, expected);
    }

    proptest! {
        #[test]
        fn lines_stay_inside_and_along_the_axes(
            values in proptest::collection::vec((0i32..20, proptest::option::of(-20i32..60)), 0..60),
        ) {
            let mut values = values;
            values.sort_by_key(|value| value.0);
            for line in staircase(values.into_iter(), 25, 40) {
                prop_assert!(line.len() > 1);
                for pair in line.windows(2) {
                    prop_assert!(pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1, "{:?}", line);
                }
                prop_assert!(line.iter().all(|&(x, y)| (0..=25).contains(&x) && (0..=40).contains(&y)));
            }
        }
    }
}
