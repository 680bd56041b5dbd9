//! The same picture in fewer bytes: what is drawn alike, one after the other, becomes one path.
//!
//! The backend writes an element of a hundred bytes for each stroke, dot and line, and a capture has
//! thousands of them. In a path, each takes ten.

use std::fmt::Write as _;

/// The SVG with its runs of lines and of full circles as paths. What is not understood stays as it is.
pub(super) fn compact(svg: &str) -> String {
    let mut text = String::with_capacity(svg.len() / 4);
    let mut open: Option<Path> = None;
    for line in svg.split_inclusive('\n') {
        let Some(shape) = shape(line) else {
            close(&mut open, &mut text);
            text.push_str(line);
            continue;
        };
        if open
            .as_ref()
            .is_none_or(|path| path.style != shape.style || path.is_round != shape.is_round)
        {
            close(&mut open, &mut text);
            let is_round = shape.is_round;
            open = Some(Path { style: shape.style, is_round, at: (0, 0), data: String::new() });
        }
        if let Some(path) = &mut open {
            path.add(&shape.points);
        }
    }
    close(&mut open, &mut text);
    text
}

/// What one element draws.
struct Shape {
    /// Its colour and width, as attributes.
    style: String,
    /// It has round ends: a dot.
    is_round: bool,
    points: Vec<(i32, i32)>,
}

/// What elements draw that have the same style.
struct Path {
    style: String,
    is_round: bool,
    /// Where the pen stands.
    at: (i32, i32),
    data: String,
}

impl Path {
    /// Adds a line, as steps from where the pen stands: small numbers are short.
    fn add(&mut self, points: &[(i32, i32)]) {
        for (index, &(x, y)) in points.iter().enumerate() {
            let (dx, dy) = (x - self.at.0, y - self.at.1);
            self.at = (x, y);
            let (data, gap) = (&mut self.data, if dy < 0 { "" } else { " " });
            let written = match (index, dx, dy) {
                (0, ..) => write!(data, "m{dx}{gap}{dy}"),
                (_, 0, _) => write!(data, "v{dy}"),
                (_, _, 0) => write!(data, "h{dx}"),
                _ => write!(data, "l{dx}{gap}{dy}"),
            };
            // A string takes everything.
            let _ = written;
        }
    }
}

fn close(open: &mut Option<Path>, text: &mut String) {
    if let Some(Path { style, is_round, data, .. }) = open.take() {
        let ends = if is_round { " stroke-linecap=\"round\"" } else { "" };
        // A string takes everything.
        let _ = writeln!(text, "<path fill=\"none\" {style}{ends} d=\"{data}\"/>");
    }
}

/// The shape of an element, if it is one that can be part of a path.
fn shape(element: &str) -> Option<Shape> {
    let (name, rest) = element.trim_end().strip_prefix('<')?.strip_suffix("/>")?.split_once(' ')?;
    if attribute(rest, "opacity")? != "1" {
        return None;
    }
    let number = |name| attribute(rest, name)?.parse::<i32>().ok();
    let stroke = |color, width| format!("stroke=\"{color}\" stroke-width=\"{width}\"");
    match name {
        "polyline" => {
            let points = attribute(rest, "points")?.split_whitespace().map(|point| {
                let (x, y) = point.split_once(',')?;
                Some((x.parse().ok()?, y.parse().ok()?))
            });
            let style = stroke(attribute(rest, "stroke")?, number("stroke-width")?);
            Some(Shape { style, is_round: false, points: points.collect::<Option<_>>()? })
        }
        "line" => {
            let points = vec![(number("x1")?, number("y1")?), (number("x2")?, number("y2")?)];
            let style = stroke(attribute(rest, "stroke")?, number("stroke-width")?);
            Some(Shape { style, is_round: false, points })
        }
        // A line of no length with round ends.
        "circle" if attribute(rest, "stroke")? == "none" => {
            let center = (number("cx")?, number("cy")?);
            let style = stroke(attribute(rest, "fill")?, number("r")? * 2);
            Some(Shape { style, is_round: true, points: vec![center, center] })
        }
        _ => None,
    }
}

/// The value of an attribute.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = attributes.get(from..)?.find(name) {
        let at = from + found;
        from = at + name.len();
        // A name may be the end of another: `width` of `stroke-width`.
        let is_whole = at == 0 || attributes.get(..at)?.ends_with(' ');
        if is_whole && let Some(value) = attributes.get(from..)?.strip_prefix("=\"") {
            return value.split_once('"').map(|(value, _)| value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<svg width=\"9\" height=\"9\">\n";
    const RED: &str =
        "<polyline fill=\"none\" opacity=\"1\" stroke=\"#FF0000\" stroke-width=\"3\" points=";

    #[test]
    fn strokes_alike_are_one_path_and_the_order_stays() {
        let svg = format!(
            "{HEAD}{RED}\"5,10 5,20 \"/>\n{RED}\"7,10 9,10 12,14 \"/>\n\
             <text x=\"1\" opacity=\"1\">\n<line>\n</text>\n{RED}\"1,1 1,2 \"/>\n"
        );
        let red = "<path fill=\"none\" stroke=\"#FF0000\" stroke-width=\"3\" d=";
        let expected = format!(
            "{HEAD}{red}\"m5 10v10m2-10h2l3 4\"/>\n\
             <text x=\"1\" opacity=\"1\">\n<line>\n</text>\n{red}\"m1 1v1\"/>\n"
        );
        assert_eq!(compact(&svg), expected);
    }

    #[test]
    fn a_dot_is_a_line_of_no_length_and_lines_of_the_grid_are_one() {
        let dot = |x, fill, stroke| {
            format!(
                "<circle cx=\"{x}\" cy=\"4\" r=\"3\" opacity=\"1\" fill=\"{fill}\" \
                 stroke=\"{stroke}\" stroke-width=\"1\"/>\n"
            )
        };
        let ring = dot(8, "none", "#00FF00");
        let grid = "<line opacity=\"1\" stroke=\"#DDDDDD\" stroke-width=\"1\" x1=\"1\" y1=\"2\" x2=\"1\" y2=\"9\"/>\n";
        let svg =
            format!("{}{}{ring}{grid}{grid}", dot(2, "#00FF00", "none"), dot(5, "#00FF00", "none"));
        let expected = format!(
            "<path fill=\"none\" stroke=\"#00FF00\" stroke-width=\"6\" stroke-linecap=\"round\" \
             d=\"m2 4v0m3 0v0\"/>\n{ring}<path fill=\"none\" stroke=\"#DDDDDD\" stroke-width=\"1\" \
             d=\"m1 2v7m0-7v7\"/>\n"
        );
        assert_eq!(compact(&svg), expected);
    }

    #[test]
    fn what_is_not_understood_stays() {
        for svg in [
            "<polyline fill=\"none\" opacity=\"0.5\" stroke=\"#FF0000\" stroke-width=\"3\" points=\"1,2 \"/>\n",
            "<polyline fill=\"none\" opacity=\"1\" stroke=\"#FF0000\" stroke-width=\"3\" points=\"1,x \"/>\n",
            "<polyline fill=\"none\" opacity=\"1\" stroke=\"#FF0000\"",
            "<rect x=\"0\" opacity=\"1\"/>\n<>\n< />\n",
            "",
        ] {
            assert_eq!(compact(svg), svg);
        }
    }
}
