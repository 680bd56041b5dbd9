//! What a sender knows and no segment tells, out of a file of samples: congestion window, slow start
//! threshold, round-trip time, pacing rate, the queue on the way, and what is lost there.

use std::fmt;
use std::io::{self, BufRead, Read as _};

use super::trace::{IN_FLIGHT, Look, Mark, MarkKind, ROUND_TRIPS, Side, Trace, Unit};
use crate::time::Instant;

/// The most samples that are taken in; those that come after are only counted. Each holds some 100 bytes
/// at most, so 400 MB then, and a tenth of that where values change as rarely as they do.
pub const MAX_SAMPLES: u64 = 4 << 20;

/// The most bytes of a line: seven numbers of 64 bits and their names.
const MAX_LINE: u64 = 256;

/// Title of the panel with the windows: bytes in flight stand beside them there.
const WINDOW: &str = "window";

/// What a file of samples says.
///
/// A line is a sample, and its fields are separated by single spaces. The first is the time in nanoseconds,
/// of the same clock as the capture's; lines are in the order of time. Of these the picture needs
///
/// ```text
/// TIME state CWND SSTHRESH SRTT QUEUE [PACING]
/// TIME lost START END
/// ```
///
/// where the sender stands (bytes, bytes, nanoseconds, bytes that wait in the queue, bytes per second; `-` is
/// none yet), and which bytes of its text, from 0, the network has dropped. Lines with `sent`, `resent`,
/// `acked`, `sacked` and `marked` are allowed: the capture knows all that better.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    cwnd: Points,
    ssthresh: Points,
    srtt: Points,
    queue: Points,
    pacing: Points,
    lost: Vec<Mark>,
    span: Option<(Instant, Instant)>,
    count: u64,
}

/// Why a file is no file of samples.
#[derive(Debug)]
pub enum SamplesError {
    /// It cannot be read.
    Io(io::Error),
    /// The line with this number, from 1, is no sample.
    Line(u64),
    /// The line with this number lies before the one above it.
    Order(u64),
    /// There is no sample in it.
    Empty,
}

impl fmt::Display for SamplesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Line(number) => write!(
                f,
                "line {number} is no sample, such as `TIME state CWND SSTHRESH SRTT QUEUE`"
            ),
            Self::Order(number) => write!(f, "line {number} lies before the one above it in time"),
            Self::Empty => f.write_str("there is no sample in it"),
        }
    }
}

impl std::error::Error for SamplesError {}

/// Values that hold until the next.
#[derive(Clone, Debug, Default)]
struct Points(Vec<(Instant, f64)>);

impl Points {
    /// Only what is new is kept. None is a gap.
    fn push(&mut self, at: Instant, value: Option<u64>) {
        let value = value.map_or(f64::NAN, |value| value as f64);
        let is_same = match self.0.last() {
            None => value.is_nan(),
            Some((_, last)) => last.to_bits() == value.to_bits(),
        };
        if !is_same {
            self.0.push((at, value));
        }
    }
}

/// What of a line matters here.
enum Line {
    State { cwnd: u64, ssthresh: Option<u64>, srtt: Option<u64>, queue: u64, pacing: Option<u64> },
    Lost { start: u64 },
    Other,
}

impl Samples {
    /// Reads a file of samples.
    ///
    /// # Errors
    /// What [`SamplesError`] says.
    pub fn read(mut from: impl BufRead) -> Result<Self, SamplesError> {
        let (mut samples, mut text) = (Self::default(), String::new());
        for number in 1.. {
            text.clear();
            let len = match from.by_ref().take(MAX_LINE).read_line(&mut text) {
                Ok(len) => len as u64,
                // What is not UTF-8 is no sample either.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(SamplesError::Line(number));
                }
                Err(error) => return Err(SamplesError::Io(error)),
            };
            if len == 0 {
                break;
            }
            let Some((at, line)) = parse(text.trim_end()).filter(|_| len < MAX_LINE) else {
                return Err(SamplesError::Line(number));
            };
            let (first, last) = samples.span.unwrap_or((at, at));
            if at < last {
                return Err(SamplesError::Order(number));
            }
            samples.span = Some((first, at));
            samples.add(at, line);
        }
        if samples.count == 0 { Err(SamplesError::Empty) } else { Ok(samples) }
    }

    fn add(&mut self, at: Instant, line: Line) {
        if let Line::Other = line {
            return;
        }
        self.count += 1;
        if self.count > MAX_SAMPLES {
            return;
        }
        match line {
            Line::Other => {}
            Line::Lost { start } => {
                // Checked when it was read.
                let (seq, kind) = (start.cast_signed(), MarkKind::Lost);
                self.lost.push(Mark { at, seq, side: Side::Sender, kind });
            }
            Line::State { cwnd, ssthresh, srtt, queue, pacing } => {
                self.cwnd.push(at, Some(cwnd));
                self.ssthresh.push(at, ssthresh);
                self.srtt.push(at, srtt);
                self.queue.push(at, Some(queue));
                self.pacing.push(at, pacing);
            }
        }
    }

    /// How many samples there were beyond [`MAX_SAMPLES`].
    pub fn left_out(&self) -> u64 {
        self.count.saturating_sub(MAX_SAMPLES)
    }

    /// The times of the first line and of the last.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        self.span
    }

    /// Adds to a picture what the samples say: panels, and marks for what was lost.
    pub fn add_to(self, trace: &mut Trace) {
        if let Some(panel) = trace.panels.iter_mut().find(|panel| panel.title == IN_FLIGHT) {
            panel.title = WINDOW.into();
        }
        let steps = Look::Steps;
        for (panel, unit, name, Points(points)) in [
            (WINDOW, Unit::Bytes, "cwnd", self.cwnd),
            (WINDOW, Unit::Bytes, "ssthresh", self.ssthresh),
            (ROUND_TRIPS, Unit::Seconds, "smoothed", self.srtt),
            ("pacing rate", Unit::BytesPerSecond, "pacing rate", self.pacing),
            ("queue", Unit::Bytes, "queue", self.queue),
        ] {
            if points.is_empty() {
                continue;
            }
            // Nanoseconds.
            let scale = if unit == Unit::Seconds { 1e-9 } else { 1.0 };
            let scaled = points.into_iter().map(|(at, value)| (at, value * scale));
            trace.series(panel, unit, name, steps).extend(scaled);
        }
        trace.marks.extend(self.lost);
        trace.marks.sort_by_key(|mark| mark.at);
    }
}

fn parse(text: &str) -> Option<(Instant, Line)> {
    let fields: Vec<&str> = text.split(' ').collect();
    let (at, kind) = (fields.first()?.parse().ok()?, *fields.get(1)?);
    let number = |text: &&str| text.parse::<u64>().ok();
    let maybe = |text: &&str| if *text == "-" { Some(None) } else { number(text).map(Some) };
    let line = match (kind, fields.get(2..)?) {
        ("state", [cwnd, ssthresh, srtt, queue, pacing @ ..]) => Line::State {
            cwnd: number(cwnd)?,
            ssthresh: maybe(ssthresh)?,
            srtt: maybe(srtt)?,
            queue: number(queue)?,
            pacing: match pacing {
                [] => None,
                [pacing] => maybe(pacing)?,
                _ => return None,
            },
        },
        ("lost", [start, end]) => {
            let start = number(start).filter(|start| i64::try_from(*start).is_ok())?;
            number(end).filter(|end| *end > start)?;
            Line::Lost { start }
        }
        ("sent" | "resent" | "acked" | "sacked", [one, other]) => {
            number(one).and(number(other))?;
            Line::Other
        }
        ("marked", []) => Line::Other,
        _ => return None,
    };
    Some((Instant::from_nanos(at), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0 sent 0 1448\n5 state 14480 - - 1500\n5 state 14480 - - 1500\n7 lost 1448 2896\n\
                        9 sacked 2896 4344\n9 marked\n10 state 10136 10136 40000000 0 2500000\n";

    fn points(trace: &Trace, panel: &str, name: &str) -> Vec<(u64, f64)> {
        let panel = trace.panels.iter().find(|known| known.title == panel).unwrap();
        let series = panel.series.iter().find(|series| series.name == name).unwrap();
        series.points.iter().map(|&(at, value)| (at.as_nanos(), value)).collect()
    }

    #[test]
    fn samples_become_panels_and_marks_beside_what_the_capture_shows() {
        let mut trace = Trace::default();
        let at = Instant::from_nanos(6);
        trace.series(IN_FLIGHT, Unit::Bytes, "in flight", Look::Steps).push((at, 1.0));
        let samples = Samples::read(GOOD.as_bytes()).unwrap();
        assert_eq!(samples.span().unwrap().1, Instant::from_nanos(10));
        samples.add_to(&mut trace);
        assert_eq!(points(&trace, WINDOW, "in flight"), [(6, 1.0)]);
        assert_eq!(points(&trace, WINDOW, "cwnd"), [(5, 14_480.0), (10, 10_136.0)]);
        assert_eq!(points(&trace, WINDOW, "ssthresh"), [(10, 10_136.0)]);
        assert_eq!(points(&trace, ROUND_TRIPS, "smoothed"), [(10, 0.04)]);
        assert_eq!(points(&trace, "queue", "queue"), [(5, 1_500.0), (10, 0.0)]);
        assert_eq!(points(&trace, "pacing rate", "pacing rate"), [(10, 2_500_000.0)]);
        let [mark] = trace.marks[..] else { panic!("{:?}", trace.marks) };
        assert_eq!((mark.kind, mark.seq, mark.at.as_nanos()), (MarkKind::Lost, 1_448, 7));
    }

    #[test]
    fn without_pacing_there_is_no_panel_for_it() {
        let mut trace = Trace::default();
        Samples::read("5 state 1 - - 0\n6 state 1 - - 0 -\n".as_bytes())
            .unwrap()
            .add_to(&mut trace);
        let titles: Vec<_> = trace.panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, [WINDOW, "queue"]);
    }

    #[test]
    fn what_is_no_file_of_samples_is_refused_with_the_line_that_is_wrong() {
        let long = "1 ".repeat(1 << 20);
        let huge = format!("1 lost 0 {}", u128::MAX);
        for (text, said) in [
            ("", "no sample in it"),
            ("1 sent 0 1\n", "no sample in it"),
            ("\n", "line 1 is no sample"),
            ("1 state 1 - - 0\n2 state 1 - -\n", "line 2 is no sample"),
            ("1 state - - - 0\n", "line 1 is no sample"),
            ("1 state 1 - - 0 7 8\n", "line 1 is no sample"),
            ("1 lost 5 5\n", "line 1 is no sample"),
            ("1 lost 9223372036854775808 9223372036854775809\n", "line 1 is no sample"),
            ("x state 1 - - 0\n", "line 1 is no sample"),
            ("1 drawn 1 2\n", "line 1 is no sample"),
            ("5 state 1 - - 0\n4 state 1 - - 0\n", "line 2 lies before"),
            (&long, "line 1 is no sample"),
            (&huge, "line 1 is no sample"),
        ] {
            let error = Samples::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text:.40}: {error}");
        }
        let bytes = [b"1 state 1 - - 0\n", &[0xff; 20][..]].concat();
        assert!(matches!(Samples::read(&bytes[..]), Err(SamplesError::Line(2))));
    }
}
