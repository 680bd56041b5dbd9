//! What is in a picture, by the colours of its elements.

use super::super::{Acked, Sent};
use super::*;

/// Lines and strokes of a colour, without those of the legend.
fn strokes(svg: &str, color: RGBColor) -> usize {
    let RGBColor(r, g, b) = color;
    let stroke = format!("stroke=\"#{r:02X}{g:02X}{b:02X}\"");
    // Dots have round ends.
    let is_stroke = |line: &&str| {
        line.starts_with("<path") && line.contains(&stroke) && !line.contains("linecap")
    };
    let paths = svg.lines().filter(is_stroke).filter_map(|line| line.split_once(" d=\""));
    let all: usize = paths.map(|(_, data)| data.matches('m').count()).sum();
    all.saturating_sub(1)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Ten segments in 90 ms, of which one is sent again, and acknowledgements 20 ms behind.
fn trace() -> Trace {
    let mut trace = Trace { title: "a < b & \"c\"".into(), ..Trace::default() };
    for n in 0..10u32 {
        let start = i64::from(n) * 1_000;
        let at = at(u64::from(n) * 10);
        trace.sent.push(Sent { at, start, len: 1_000, kind: SentKind::New });
        let at = at + std::time::Duration::from_millis(20);
        trace.acks.push(Acked { at, ack: start + 1_000, window: Some(5_000) });
    }
    trace.sent.push(Sent { at: at(100), start: 4_000, len: 1_000, kind: SentKind::Again });
    trace
}

#[test]
fn a_stroke_for_each_segment_and_a_line_for_acknowledgements_and_window() {
    let svg = draw(&trace()).unwrap();
    assert!(svg.starts_with("<svg width=\"1800\"") && svg.ends_with("</svg>\n"));
    assert_eq!(strokes(&svg, BLUE), 10);
    assert_eq!(strokes(&svg, RED), 1);
    assert_eq!(strokes(&svg, TEAL), 1);
    assert_eq!(strokes(&svg, GREY), 1);
    assert_eq!(strokes(&svg, MAGENTA), 0);
    assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"), "the title is escaped");
    for text in ["sequence number (KiB)", "time (ms)", "sent again", "window edge"] {
        assert!(
            svg.contains(&format!("\n{text}\n")) || svg.contains(&format!(">{text}\n")),
            "{text}"
        );
    }
    assert!(!svg.contains("sacked"), "the legend has what the picture has");
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    assert_eq!(draw(&trace()).unwrap(), draw(&trace()).unwrap());
}

#[test]
fn an_empty_trace_is_a_picture_of_nothing() {
    let svg = draw(&Trace::default()).unwrap();
    assert!(svg.ends_with("</svg>\n") && svg.contains("sequence number (B)"), "{svg}");
}

#[test]
fn the_axis_ends_behind_the_last_value_of_a_series() {
    let mut trace = trace();
    let window = trace.series("window", Unit::Bytes, "cwnd", Look::Steps);
    window.extend([(at(0), 10_000.0), (at(300), f64::NAN), (at(9_000), 20_000.0)]);
    trace.series("window", Unit::Bytes, "ssthresh", Look::Dots).push((at(50), f64::INFINITY));
    trace.series("rate", Unit::BytesPerSecond, "rate", Look::Dots).push((at(50), 5e6));
    let svg = draw(&trace).unwrap();
    for text in ["time (s)", "window (KiB)", "cwnd", "ssthresh", "rate (MiB/s)"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("\nrate\n"), "one series with the panel's name has no legend");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    // The strokes of one column, since a pixel has more time now.
    assert_eq!(strokes(&svg, RED), 1);
}

#[test]
fn segments_without_number_make_a_picture_that_can_be_shown() {
    let mut trace = Trace::default();
    for n in 0..200_000u32 {
        let at = Instant::from_nanos(u64::from(n) * 50_000);
        let kind = if n % 10 == 3 { SentKind::Again } else { SentKind::New };
        // Text all over the place, so that strokes do not touch.
        let start = i64::from(n.wrapping_mul(2_654_435_761) >> 2);
        trace.sent.push(Sent { at, start, len: 1_448, kind });
        trace.acks.push(Acked { at, ack: i64::from(n) * 5_000, window: Some(n % 7 * 100_000_000) });
        let value = f64::from(n.wrapping_mul(40_503) % 1_000);
        trace.series("a", Unit::Count, "a", Look::Dots).push((at, value));
        trace.series("b", Unit::Count, "b", Look::Steps).push((at, value));
    }
    let svg = draw(&trace).unwrap();
    assert!(svg.len() < 1 << 20, "{} bytes", svg.len());
    assert!(strokes(&svg, RED) > 1_000);
}

#[test]
fn a_cut_keeps_its_place_on_both_axes() {
    let mut trace = trace();
    trace.zero = Some(at(0));
    trace.cut(at(50), at(100));
    let svg = draw(&trace).unwrap();
    // Of the ten segments five, and the one that was sent again.
    assert_eq!((strokes(&svg, BLUE), strokes(&svg, RED)), (5, 1));
    for text in ["50", "100", "4", "8"] {
        assert!(svg.contains(&format!(">\n{text}\n</text>")), "{text}: {svg}");
    }
    assert!(!svg.contains(">\n0\n</text>"), "neither axis begins at nothing: {svg}");
}

#[test]
fn a_window_far_above_the_text_takes_no_room() {
    let mut trace = trace();
    for acked in &mut trace.acks {
        acked.window = Some(1_000_000);
    }
    let svg = draw(&trace).unwrap();
    assert!(svg.contains("sequence number (KiB)") && svg.contains(">\n10\n</text>"), "{svg}");
    assert!(!svg.contains(">\n12\n</text>") && !svg.contains("window edge"), "{svg}");
}

#[test]
fn what_the_network_has_lost_is_crossed_out() {
    let mut trace = trace();
    assert!(!draw(&trace).unwrap().contains("lost on the way"));
    trace.marks.push(Mark { at: at(40), seq: 4_000, side: Side::Sender, kind: MarkKind::Lost });
    let svg = draw(&trace).unwrap();
    assert!(svg.contains("lost on the way"));
    // A cross is two strokes; those of the legend are not counted.
    assert_eq!(strokes(&svg, INK), 3);
}
