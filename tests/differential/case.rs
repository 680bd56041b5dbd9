//! A sequence: how the connection is opened, and then step by step what the peer sends and what the
//! application asks for.
//!
//! Nothing in it is an absolute number: sequence numbers count from what the peer would send next,
//! acknowledgments from what it has heard, so that the same case means the same to any stack, and
//! leaving out a step leaves a case that still makes sense.

use std::fmt;
use std::time::Duration;

use tunstack::wire::Flags;

/// A sequence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// What the case was made from; the initial sequence numbers follow from it.
    pub(crate) seed: u64,
    pub(crate) open: Open,
    pub(crate) offer: Offer,
    pub(crate) steps: Vec<Step>,
    /// How long is listened after the last step.
    pub(crate) tail: Duration,
}

/// Who opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// The stack listens.
    Passive,
    /// The stack connects, before the first step.
    Active,
    /// Nobody is there.
    Nobody,
}

/// What the peer's SYN offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

impl Offer {
    pub(crate) const PLAIN: Self =
        Self { mss: Some(1460), window_scale: None, sack: false, timestamps: false };
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// How long is waited before it.
    pub(crate) pause: Pause,
    pub(crate) action: Action,
}

/// The waits. What is answered at once comes within the shortest but [`Pause::None`]; delayed ACKs
/// come within [`Pause::Quiet`], first retransmissions within [`Pause::Long`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    None,
    Short,
    Quiet,
    Long,
}

impl Pause {
    pub(crate) const fn millis(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Short => 15,
            Self::Quiet => 100,
            Self::Long => 900,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Segment(Shape),
    App(Call),
}

/// What an application can ask for. Each is skipped while it has nothing to ask it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Accept,
    Read(usize),
    Write(usize),
    Shutdown,
    Close,
    Abort,
    /// The listener goes.
    Unlisten,
}

/// A segment of the peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) flags: Flags,
    pub(crate) seq: Place,
    pub(crate) len: usize,
    pub(crate) ack: Place,
    /// The window field; `None`: wide open.
    pub(crate) window: Option<u16>,
    pub(crate) urgent: u16,
    pub(crate) options: Choice,
    pub(crate) fault: Fault,
}

impl Shape {
    /// An ACK of everything, without text.
    pub(crate) fn ack() -> Self {
        Self {
            flags: Flags::ACK,
            seq: Place { base: Base::Next, offset: 0 },
            len: 0,
            ack: Place { base: Base::Next, offset: 0 },
            window: None,
            urgent: 0,
            options: Choice::Usual,
            fault: Fault::None,
        }
    }
}

/// A number counted from where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) base: Base,
    pub(crate) offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Of a sequence number: what the peer has not sent yet. Of an acknowledgment: all that was
    /// heard.
    Next,
    /// The initial sequence number.
    Start,
    /// Of a sequence number: the right edge of the window that was announced. Of an acknowledgment:
    /// what was acknowledged last.
    Edge,
}

/// The options of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those of the offer on a SYN, timestamps behind it where both sides have them.
    Usual,
    /// None at all.
    None,
    /// As usual, and the timestamp is this many ticks old.
    Old(u16),
    /// As usual, and the timestamp echoes zero.
    EchoNothing,
    /// An unknown kind that is well-formed, and then the usual ones.
    Unknown,
    /// One whose length runs out of the header.
    Overrun,
    /// One whose length is 0.
    ZeroLength,
    /// The end of the list, and then rubbish.
    AfterEnd,
    /// SACK blocks of what was never sent.
    StraySack,
}

/// What is wrong with a segment as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Checksum,
    /// A data offset of less than five words.
    ShortOffset,
    /// A data offset beyond the packet.
    LongOffset,
}

/// The notation that tcpdump and packetdrill share, with places instead of numbers: a segment that
/// comes in is `<`, a call of the application is written as one.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offer { mss, window_scale, sack, timestamps } = self.offer;
        writeln!(
            f,
            "{:?} open; the peer offers mss {mss:?} wscale {window_scale:?} sack {sack} TS {timestamps}",
            self.open
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{number:3}  {step}")?;
        }
        write!(f, "     +{} ms to listen", self.tail.as_millis())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:3} ms  ", self.pause.millis())?;
        match &self.action {
            Action::Segment(shape) => write!(f, "< {shape}"),
            Action::App(call) => write!(f, "{call:?}"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seq {} ({})", letters(self.flags), self.seq, self.len)?;
        if self.flags.contains(Flags::ACK) {
            write!(f, " ack {}", self.ack)?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if self.urgent != 0 {
            write!(f, " urg {}", self.urgent)?;
        }
        if self.options != Choice::Usual {
            write!(f, " <{:?}>", self.options)?;
        }
        if self.fault != Fault::None {
            write!(f, " !{:?}", self.fault)?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.base {
            Base::Next => "next",
            Base::Start => "start",
            Base::Edge => "edge",
        };
        match self.offset {
            0 => f.write_str(name),
            offset => write!(f, "{name}{offset:+}"),
        }
    }
}

/// `S.` and the like.
pub(crate) fn letters(flags: Flags) -> String {
    const LETTERS: [(Flags, char); 8] = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
    ];
    let set: String = LETTERS
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|&(_, letter)| letter)
        .collect();
    if set.is_empty() { "-".to_owned() } else { set }
}
