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
}
