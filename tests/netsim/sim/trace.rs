//! What there is to draw of one flow: everything that its sender sends and hears, what the network
//! loses of it, and where the sender stands.
//!
//! [`Trace`] hands it out as a `Vec` of [`Sample`]s in the order of time. [`Trace::write`] makes
//! lines of them, one for each sample, fields separated by single spaces, the first of them the time
//! in nanoseconds since the start of the simulation:
//!
//! ```text
//! TIME sent START END           text leaves the sender for the first time: bytes START to END - 1
//! TIME resent START END         the same, but some of it has been sent before
//! TIME lost START END           the network has dropped a segment with this text
//! TIME acked END WINDOW         an acknowledgment of all before END arrives at the sender, which
//!                               may now send up to byte WINDOW
//! TIME sacked START END         one of the SACK blocks that arrives with it
//! TIME marked                   the acknowledgment says that a packet was marked: ECE, or with accurate
//!                               ECN another count than before
//! TIME state CWND SSTHRESH SRTT QUEUE PACING
//!                               after the sender has acted on it: bytes, bytes (`-` for none yet),
//!                               nanoseconds (`-` for none yet), bytes that wait in the queue that
//!                               the flow's text passes, bytes per second (`-` if it does not pace)
//! ```
//!
//! Bytes count from 0 at the first byte of the stream, so nothing wraps. `tunstack plot --samples` reads it.
//!
//! [`Capture`] writes what the sender's side sees as a capture file.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tunstack::device::{Device, MemoryDevice, Pcap};
use tunstack::wire::codec::{self, Packet as Parsed};
use tunstack::wire::{Checksum, Flags, Frame, Transmit, WindowScale};

use super::packets::Packet;

/// One thing that happened, and when: nanoseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What can happen to a flow. The module says what the fields mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Sent { start: u64, end: u64 },
    Resent { start: u64, end: u64 },
    Lost { start: u64, end: u64 },
    Acked { end: u64, window: u64 },
    Sacked { start: u64, end: u64 },
    Marked,
    State { cwnd: u32, ssthresh: u32, srtt: Option<Duration>, queue: u64, pacing: Option<u64> },
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.what {
            What::Sent { start, end } => write!(f, "{at} sent {start} {end}"),
            What::Resent { start, end } => write!(f, "{at} resent {start} {end}"),
            What::Lost { start, end } => write!(f, "{at} lost {start} {end}"),
            What::Acked { end, window } => write!(f, "{at} acked {end} {window}"),
            What::Sacked { start, end } => write!(f, "{at} sacked {start} {end}"),
            What::Marked => write!(f, "{at} marked"),
            What::State { cwnd, ssthresh, srtt, queue, pacing } => {
                write!(f, "{at} state {cwnd} ")?;
                match ssthresh {
                    u32::MAX => write!(f, "- ")?,
                    _ => write!(f, "{ssthresh} ")?,
                }
                match srtt {
                    None => write!(f, "- ")?,
                    Some(srtt) => write!(f, "{} ", srtt.as_nanos())?,
                }
                write!(f, "{queue} ")?;
                match pacing {
                    None => write!(f, "-"),
                    Some(pacing) => write!(f, "{pacing}"),
                }
            }
        }
    }
}

/// What has happened to a flow so far.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// That of the receiver's windows.
    scale: WindowScale,
    /// With accurate ECN, the flags that have told last how many packets were marked.
    count: Option<Flags>,
}

/// The flags that count with accurate ECN (RFC 9768 section 3.2.2).
const ACE: Flags = Flags::AE.union(Flags::CWR).union(Flags::ECE);

impl Trace {
    /// One line for each sample.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, into: &mut impl Write) -> io::Result<()> {
        self.samples.iter().try_for_each(|sample| writeln!(into, "{sample}"))
    }

    /// One more.
    pub fn add(&mut self, at: u64, what: What) {
        self.samples.push(Sample { at, what });
    }

    /// An acknowledgment has arrived. `unwrapped` tells the byte of the stream that a sequence
    /// number of the sender stands for.
    pub fn on_ack(&mut self, at: u64, packet: &Packet, unwrapped: impl Fn(u32) -> u64) {
        let frame = Frame { checksum: Checksum::Vouched, ..Frame::plain(&packet.bytes) };
        let Ok(Parsed::Tcp { segment, .. }) = codec::parse(&frame) else {
            panic!("a stack has sent what cannot be read");
        };
        if segment.has(Flags::SYN) {
            self.scale = segment.options.window_scale.unwrap_or_default();
            let is_accurate = segment.flags.intersects(Flags::AE | Flags::CWR);
            self.count = is_accurate.then_some(Flags::AE | Flags::ECE);
            return;
        }
        let end = unwrapped(segment.ack.0);
        let window = end + u64::from(self.scale.expand(segment.window));
        self.add(at, What::Acked { end, window });
        for block in segment.options.sack.as_slice() {
            let (start, end) = (unwrapped(block.start.0), unwrapped(block.end.0));
            self.add(at, What::Sacked { start, end });
        }
        let told = segment.flags & ACE;
        let is_news = match &mut self.count {
            Some(count) => core::mem::replace(count, told) != told,
            None => told.contains(Flags::ECE),
        };
        if is_news {
            self.add(at, What::Marked);
        }
    }
}

/// A capture file of what one host sends and receives, in simulated time since 1970.
pub struct Capture {
    tap: Pcap<MemoryDevice>,
    /// Where the tap's device leads to.
    far_end: MemoryDevice,
    clock: Arc<AtomicU64>,
    buffer: Vec<u8>,
}

impl Capture {
    /// Writes into `file`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(file: impl Write + Send + 'static) -> io::Result<Self> {
        let (near_end, far_end) = MemoryDevice::pair(1_500, 1);
        let clock = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&clock);
        let now = move || Duration::from_nanos(read.load(Ordering::Relaxed));
        let tap = Pcap::with_clock(near_end, file, now)?;
        Ok(Self { tap, far_end, clock, buffer: vec![0; 1_500] })
    }

    /// The host has sent a packet.
    pub fn on_sent(&mut self, at: u64, transmit: &Transmit<'_>) {
        self.clock.store(at, Ordering::Relaxed);
        self.tap.send(transmit).expect("there is room for one");
        self.far_end.receive(&mut self.buffer).expect("it has just been sent");
    }

    /// A packet has arrived at the host.
    pub fn on_arrived(&mut self, at: u64, bytes: &[u8]) {
        self.clock.store(at, Ordering::Relaxed);
        let (payload, checksum) = ([&[][..]; 2], Checksum::Full);
        let transmit = Transmit { header: bytes, payload, segment_size: None, checksum };
        self.far_end.send(&transmit).expect("there is room for one");
        self.tap.receive(&mut self.buffer).expect("it has just been sent");
    }
}
