//! What came back, put so that two stacks can be compared: numbers count from where a connection
//! starts, and what each stack may choose for itself is left out.

use std::fmt;
use std::time::Duration;

use tunstack::wire::Flags;

use super::case::letters;
use super::segment::Field;

/// All that one side did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) lines: Vec<Line>,
    /// What the application was told, in order.
    pub(crate) answers: Vec<(usize, Answer)>,
    /// When each step was taken, from the start of the sequence on.
    pub(crate) times: Vec<Duration>,
    /// How long was listened.
    pub(crate) end: Duration,
    /// The first step in which the peer sends what lies beyond its own FIN, or a FIN before what it
    /// has sent.
    pub(crate) contradiction: Option<usize>,
    /// The steps in which the peer acknowledges what lies before the stack's first byte.
    pub(crate) before_first_byte: Vec<usize>,
    /// What the peer has sent of its sequence space, in order.
    pub(crate) arrivals: Vec<Arrival>,
    /// What acknowledges the peer's FIN.
    pub(crate) behind_fin: Option<i64>,
}

/// What a segment of the peer takes of its sequence space: from the first number to before the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) step: usize,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// A segment.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    /// The last step before it.
    pub(crate) step: usize,
    /// How long after that step it came.
    pub(crate) after: Duration,
    /// How often what it carries was heard before.
    pub(crate) repeats: u32,
    /// How long after it was heard first.
    pub(crate) since_first: Duration,
    pub(crate) said: Said,
}

/// What a segment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) flags: Flags,
    pub(crate) seq: Number,
    pub(crate) len: usize,
    /// The text is that of the stream at this place.
    pub(crate) text_is_right: bool,
    pub(crate) ack: Number,
    pub(crate) window: Window,
    /// The right edge of the window has moved left by a unit of the scale or more.
    pub(crate) edge_moved_left: bool,
    pub(crate) urgent: u16,
    pub(crate) options: Vec<Named>,
    pub(crate) ip: Ip,
}

/// A sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// The field is zero, and means nothing.
    Zero,
    /// Counted from the initial sequence number.
    From(i64),
    /// Counted from the last number that the peer sent by the right edge of the window, which each
    /// stack chooses for itself.
    Edge(i64),
}

/// What counts of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// That of a reset means nothing.
    Ignored,
    /// That of a SYN is as large as can be said: 65,535, or rounded down to whole segments.
    Full,
    /// That of a SYN is smaller than that.
    Small(u16),
    Open,
    Closed,
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Plain(Field),
    /// Timestamps: whether TSval has not gone back, and TSecr counted from the peer's first.
    Timestamps {
        grows: bool,
        echo: Option<i64>,
    },
    Sack(Vec<(Number, Number)>),
}

/// What counts of the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) dont_fragment: bool,
}

/// What an application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There was nothing to ask.
    Skipped,
    Done,
    /// Not now.
    Blocked,
    /// So many bytes, and whether they are those of the stream.
    Read(usize, bool),
    End,
    Wrote(usize),
    Reset,
    Refused,
    TimedOut,
    /// This side has been closed, or the connection is over.
    Pipe,
    Other(i32),
}

/// How much later or earlier than the other side's a segment may come: timers of the kernel have a
/// grain of an eighth of their length, and this process may be kept waiting.
fn time_allowance(after: Duration) -> Duration {
    Duration::from_millis(35) + after / 6
}

/// What is told at once comes within this time.
const AT_ONCE: Duration = Duration::from_millis(25);

/// How far apart two segments may be that are the same, with a step between them.
pub(crate) const BESIDE_A_STEP: Duration = Duration::from_millis(10);

impl Line {
    /// The time by class.
    fn when(&self) -> String {
        if self.repeats > 0 && self.after > AT_ONCE {
            format!("retransmission {}", self.repeats)
        } else if self.after <= AT_ONCE {
            "at once".to_owned()
        } else {
            "delayed".to_owned()
        }
    }

    /// What a timer had to wait for: a retransmission is the last of several waits.
    fn timer(&self) -> Duration {
        self.after.max(self.since_first)
    }

    pub(crate) fn same_time(&self, other: &Self) -> bool {
        let apart = self.at.abs_diff(other.at);
        let allowance = if self.step == other.step {
            time_allowance(self.timer().max(other.timer()))
        } else {
            // One comes just before a step, the other just behind it.
            let by_a_timer = self.repeats > 0 && other.repeats > 0;
            if by_a_timer { time_allowance(Duration::ZERO) } else { BESIDE_A_STEP }
        };
        apart <= allowance
    }
}

/// The first place where two transcripts part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Segments: the kernel's and ours, by place in the transcript; either may be missing.
    Line(usize, usize),
    /// The same segments, at different times.
    Time(usize, usize),
    /// What the application was told, by place.
    Answer(usize),
}

/// Up to where two transcripts have been compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) kernel: usize,
    pub(crate) ours: usize,
    pub(crate) answers: usize,
}

/// Compares from there on.
pub(crate) fn compare(
    kernel: &Transcript,
    ours: &Transcript,
    mut from: Cursor,
) -> Option<Difference> {
    let line = loop {
        let (theirs, own) = (from.kernel, from.ours);
        match (kernel.lines.get(theirs), ours.lines.get(own)) {
            (None, None) => break None,
            // The other side's may come when nobody listens any more.
            (Some(last), None) | (None, Some(last))
                if last.at + time_allowance(last.timer()) >= kernel.end =>
            {
                break None;
            }
            (Some(a), Some(b)) if a.said == b.said => {
                if !a.same_time(b) {
                    break Some(Difference::Time(theirs, own));
                }
            }
            _ => break Some(Difference::Line(theirs, own)),
        }
        from = Cursor { kernel: theirs + 1, ours: own + 1, ..from };
    };
    // What the application is told follows from what was sent and heard: it counts first only when
    // it came first.
    let mut answers = kernel.answers.iter().zip(&ours.answers).skip(from.answers);
    let answer = answers.position(|(a, b)| a != b).map(|place| place + from.answers);
    let answer_first = answer.is_some_and(|place| {
        let step = kernel.answers[place].0;
        line.as_ref().is_none_or(|line| step_of(line, kernel, ours) > step)
    });
    if answer_first { answer.map(Difference::Answer) } else { line }
}

/// When the later side is where a difference shows.
pub(crate) fn time_of(difference: &Difference, kernel: &Transcript, ours: &Transcript) -> Duration {
    match *difference {
        Difference::Line(theirs, own) | Difference::Time(theirs, own) => {
            let lines = [kernel.lines.get(theirs), ours.lines.get(own)];
            lines.into_iter().flatten().map(|line| line.at).max().unwrap_or(kernel.end)
        }
        Difference::Answer(place) => kernel.times[kernel.answers[place].0],
    }
}

/// The step after which a difference shows.
pub(crate) fn step_of(difference: &Difference, kernel: &Transcript, ours: &Transcript) -> usize {
    match *difference {
        Difference::Line(theirs, own) | Difference::Time(theirs, own) => {
            let steps = [kernel.lines.get(theirs), ours.lines.get(own)];
            steps.into_iter().flatten().map(|line| line.step).min().unwrap_or(0)
        }
        Difference::Answer(place) => kernel.answers[place].0,
    }
}

/// What kind of difference it is: what both sides said there, without the numbers.
pub(crate) fn kind_of(difference: &Difference, kernel: &Transcript, ours: &Transcript) -> String {
    let line = |line: Option<&Line>| match line {
        Some(line) => {
            let mut said = line.said.to_string();
            said.retain(|c| !c.is_ascii_digit());
            format!("{said} [{}]", line.when())
        }
        None => "nothing".to_owned(),
    };
    let (theirs, own) = match *difference {
        Difference::Line(theirs, own) | Difference::Time(theirs, own) => {
            (line(kernel.lines.get(theirs)), line(ours.lines.get(own)))
        }
        Difference::Answer(place) => {
            let answer = |side: &Transcript| format!("{:?}", side.answers[place].1);
            (answer(kernel), answer(ours))
        }
    };
    let what = if matches!(difference, Difference::Time(..)) { "other times for " } else { "" };
    format!("{what}{theirs} | {own}")
}

/// Both transcripts, side by side.
pub(crate) fn side_by_side(kernel: &Transcript, ours: &Transcript) -> String {
    let mut text = format!("     {:<72} | {}\n", "kernel", "tunstack");
    let (mut left, mut right) = (kernel.lines.iter().peekable(), ours.lines.iter().peekable());
    let steps = kernel.times.len();
    for step in 0..steps {
        let at = kernel.times[step].as_millis();
        text += &format!("{step:3}  at {at} ms\n");
        let answer = |side: &Transcript| {
            let of_step = side.answers.iter().find(|(at, _)| *at == step);
            of_step.map_or(String::new(), |(_, answer)| format!("{answer:?}"))
        };
        if !answer(kernel).is_empty() || !answer(ours).is_empty() {
            text += &format!("     {:<72} | {}\n", answer(kernel), answer(ours));
        }
        loop {
            let a = left.next_if(|line| line.step <= step).map(ToString::to_string);
            let b = right.next_if(|line| line.step <= step).map(ToString::to_string);
            if a.is_none() && b.is_none() {
                break;
            }
            text += &format!("     {:<72} | {}\n", a.unwrap_or_default(), b.unwrap_or_default());
        }
    }
    text
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{} +{}]", self.said, self.when(), self.after.as_millis())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}({}) ack {}", letters(self.flags), self.seq, self.len, self.ack)?;
        match self.window {
            Window::Ignored | Window::Open | Window::Full => {}
            window => write!(f, " win {window:?}")?,
        }
        if self.urgent != 0 {
            write!(f, " urg {}", self.urgent)?;
        }
        for option in &self.options {
            match option {
                Named::Plain(Field::Nop) => f.write_str(" n")?,
                Named::Plain(field) => write!(f, " {field:?}")?,
                Named::Timestamps { grows, echo } => {
                    let back = if *grows { "" } else { " back" };
                    match echo {
                        Some(echo) => write!(f, " TS{back} ecr {echo}")?,
                        None => write!(f, " TS{back} ecr none")?,
                    }
                }
                Named::Sack(blocks) => {
                    f.write_str(" sack")?;
                    blocks.iter().try_for_each(|(start, end)| write!(f, " {start}:{end}"))?;
                }
            }
        }
        if !self.text_is_right {
            f.write_str(" WRONG TEXT")?;
        }
        if self.edge_moved_left {
            f.write_str(" EDGE MOVED LEFT")?;
        }
        let Ip { ttl, tos, dont_fragment } = self.ip;
        if (ttl, tos, dont_fragment) != (64, 0, true) {
            write!(f, " ttl {ttl} tos {tos} df {dont_fragment}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("0*"),
            Self::From(number) => write!(f, "{number}"),
            Self::Edge(0) => f.write_str("edge"),
            Self::Edge(offset) => write!(f, "edge{offset:+}"),
        }
    }
}
