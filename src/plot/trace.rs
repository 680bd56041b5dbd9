//! What a picture shows, as plain data.

use crate::time::Instant;

/// The end of the connection that a segment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end whose text the picture follows.
    Sender,
    /// The other one, whose acknowledgements it shows.
    Receiver,
}

/// One connection's course in one direction, and whatever else goes with it on the same axis of time.
///
/// Sequence numbers are positions of 64 bits, counted from the sender's first byte of text, so that they
/// never wrap; the SYN stands before it, at -1. Each list is in the order of time. The time of
/// the picture begins with the earliest entry of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The headline: whose connection it is.
    pub title: String,
    /// A second, smaller line.
    pub subtitle: String,
    /// Text that the sender sent: a stroke each.
    pub sent: Vec<Sent>,
    /// Where the acknowledgement and the window stand from some time on: two staircases.
    pub acks: Vec<Acked>,
    /// Selective acknowledgements at the time of their arrival: a stroke each.
    pub sacks: Vec<Sacked>,
    /// Single points of note.
    pub marks: Vec<Mark>,
    /// What is drawn below, from top to bottom.
    pub panels: Vec<Panel>,
    /// Where the axis of time has its zero; with none it is the earliest entry.
    pub zero: Option<Instant>,
}

/// Title of the panel with the bytes in flight that a [`Follower`](super::Follower) fills.
pub const IN_FLIGHT: &str = "in flight";

/// Title of the panel with the round-trip times that a [`Follower`](super::Follower) fills.
pub const ROUND_TRIPS: &str = "round-trip time";

impl Trace {
    /// The points of the series `name` in the panel `panel`, to be added to; both are made if they are
    /// not there. Points are to come in the order of time; what is not finite leaves a gap.
    pub fn series(
        &mut self,
        panel: &str,
        unit: Unit,
        name: &str,
        look: Look,
    ) -> &mut Vec<(Instant, f64)> {
        let at = position(
            &mut self.panels,
            |known| known.title == panel,
            || Panel { title: panel.into(), unit, series: Vec::new() },
        );
        let series = &mut self.panels[at].series;
        let at = position(
            series,
            |known| known.name == name,
            || Series { name: name.into(), look, points: Vec::new() },
        );
        &mut series[at].points
    }

    /// Leaves what is from `from` to `to`. What stands until something else comes stands from `from` on.
    pub fn cut(&mut self, from: Instant, to: Instant) {
        let is_in = |at: Instant| (from..=to).contains(&at);
        self.sent.retain(|sent| is_in(sent.at));
        self.sacks.retain(|sacked| is_in(sacked.at));
        self.marks.retain(|mark| is_in(mark.at));
        let before = self.acks.iter().rfind(|acked| acked.at < from).copied();
        self.acks.retain(|acked| is_in(acked.at));
        if let Some(before) = before {
            self.acks.insert(0, Acked { at: from, ..before });
        }
        for series in self.panels.iter_mut().flat_map(|panel| &mut panel.series) {
            let before = series.points.iter().rfind(|point| point.0 < from).copied();
            series.points.retain(|point| is_in(point.0));
            if let Some((_, value)) = before
                && series.look == Look::Steps
            {
                series.points.insert(0, (from, value));
            }
        }
    }

    /// The earliest and the latest time of any entry.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        let points = self.panels.iter().flat_map(|panel| &panel.series);
        let mut times = (self.sent.iter().map(|sent| sent.at))
            .chain(self.acks.iter().map(|acked| acked.at))
            .chain(self.sacks.iter().map(|sacked| sacked.at))
            .chain(self.marks.iter().map(|mark| mark.at))
            .chain(points.flat_map(|series| series.points.iter().map(|point| point.0)));
        let first = times.next()?;
        Some(times.fold((first, first), |(least, most), at| (least.min(at), most.max(at))))
    }
}

/// Where the item that fits stands; a new one is put at the end if there is none.
fn position<T>(items: &mut Vec<T>, fits: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    items.iter().position(fits).unwrap_or_else(|| {
        items.push(new());
        items.len() - 1
    })
}

/// Text that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it passed.
    pub at: Instant,
    /// Its first byte.
    pub start: i64,
    /// How many bytes.
    pub len: u32,
    /// Whether it was there before.
    pub kind: SentKind,
}

/// What text is in relation to that which came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentKind {
    /// Beyond all text so far.
    New,
    /// Sent once more: it was here before, or fills a gap too late to have been overtaken.
    Again,
    /// It fills a gap, and had only been overtaken.
    OutOfOrder,
}

/// Where the receiver's acknowledgement and window stand from `at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// When.
    pub at: Instant,
    /// The first byte that is not acknowledged.
    pub ack: i64,
    /// The window behind it, in bytes. None if the scale is not known.
    pub window: Option<u32>,
}

/// A stretch that the receiver has said to have, beyond its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sacked {
    /// When.
    pub at: Instant,
    /// Its first byte.
    pub start: i64,
    /// How many bytes.
    pub len: u32,
    /// It reports what had arrived twice (RFC 2883).
    pub duplicate: bool,
}

/// A point of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Instant,
    /// Where it is shown.
    pub seq: i64,
    /// Whose it is.
    pub side: Side,
    /// What it is.
    pub kind: MarkKind,
}

/// What is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A SYN.
    Syn,
    /// A FIN.
    Fin,
    /// A reset.
    Reset,
    /// A window of nothing was announced.
    ZeroWindow,
    /// The network has dropped a segment that begins here: somebody knows who is no observer.
    Lost,
}

/// A diagram below the sequence numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What its values are.
    pub unit: Unit,
    /// The values.
    pub series: Vec<Series>,
}

/// Values over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub look: Look,
    /// Time and value, in the order of time. What is not finite leaves a gap.
    pub points: Vec<(Instant, f64)>,
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Each value holds until the next.
    Steps,
    /// Each value is a dot of its own.
    Dots,
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Things that are counted: packets, segments.
    Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_made_once() {
        let mut trace = Trace::default();
        assert_eq!(trace.span(), None);
        for value in 0..3 {
            let at = Instant::from_millis(value);
            trace.series("window", Unit::Bytes, "cwnd", Look::Steps).push((at, value as f64));
            trace.series("window", Unit::Bytes, "ssthresh", Look::Steps).push((at, f64::INFINITY));
            trace.series("queue", Unit::Count, "packets", Look::Dots).push((at, 1.0));
        }
        let [window, queue] = &trace.panels[..] else { panic!("{:?}", trace.panels) };
        assert_eq!((window.series.len(), queue.series.len()), (2, 1));
        assert!(window.series.iter().all(|series| series.points.len() == 3));
        assert_eq!(trace.span(), Some((Instant::ZERO, Instant::from_millis(2))));
    }

    #[test]
    fn a_cut_leaves_what_stands_at_its_beginning() {
        let mut trace = Trace::default();
        for n in 0..10 {
            let (at, seq) = (Instant::from_millis(n), n as i64);
            trace.sent.push(Sent { at, start: seq, len: 1, kind: SentKind::New });
            trace.sacks.push(Sacked { at, start: seq, len: 1, duplicate: false });
            trace.marks.push(Mark { at, seq, side: Side::Sender, kind: MarkKind::Lost });
            if n % 5 == 0 {
                trace.acks.push(Acked { at, ack: seq, window: None });
                trace.series("a", Unit::Count, "steps", Look::Steps).push((at, n as f64));
                trace.series("a", Unit::Count, "dots", Look::Dots).push((at, n as f64));
            }
        }
        let (from, to) = (Instant::from_nanos(3_500_000), Instant::from_millis(7));
        trace.cut(from, to);
        let starts: Vec<_> = trace.sent.iter().map(|sent| sent.start).collect();
        assert_eq!(starts, [4, 5, 6, 7]);
        assert_eq!((trace.sacks.len(), trace.marks.len()), (4, 4));
        let acks: Vec<_> = trace.acks.iter().map(|acked| (acked.at, acked.ack)).collect();
        let five = Instant::from_millis(5);
        assert_eq!(acks, [(from, 0), (five, 5)]);
        let [steps, dots] = &trace.panels[0].series[..] else { panic!("{:?}", trace.panels) };
        assert_eq!(steps.points, [(from, 0.0), (five, 5.0)]);
        assert_eq!(dots.points, [(five, 5.0)]);
    }
}
