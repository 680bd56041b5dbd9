//! Congestion control: facts in, a window out.
//!
//! A controller is arithmetic: it sees what the connection tells it and answers with numbers. It
//! has no clock, no dice and no way back into the connection.

mod newreno;

use core::fmt;
use core::time::Duration;

pub use newreno::NewReno;

use crate::time::Instant;

/// What one acknowledgment says to a controller.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Bytes it acknowledges for the first time.
    pub acked: u32,
    /// Bytes that were in the network before it arrived.
    pub in_flight: u32,
    /// The round-trip time it measures, if it does.
    pub rtt: Option<Duration>,
    /// Whether the congestion window, and not the application or the peer, was what held the
    /// sender back (RFC 7661 section 4.4).
    pub cwnd_limited: bool,
}

/// What a loss says to a controller.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// When it was noticed.
    pub now: Instant,
    /// FlightSize: bytes sent and not acknowledged (RFC 5681 section 2).
    pub flight_size: u32,
}

/// Decides how much may be in the network. All sizes are in bytes.
pub trait Controller: Send + fmt::Debug {
    /// The congestion window.
    fn cwnd(&self) -> u32;

    /// The slow start threshold.
    fn ssthresh(&self) -> u32;

    /// Bytes per second to send at, if the controller paces.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// New data was acknowledged, outside of recovery or (after a timeout) during it.
    fn on_ack(&mut self, ack: &AckSample);

    /// A loss was noticed, by duplicate ACKs: fast recovery begins. From here on until
    /// [`on_recovered`](Self::on_recovered) the window is what recovery sends by.
    fn on_loss(&mut self, loss: &Loss);

    /// The peer says that a router has marked packets instead of dropping them (RFC 3168 section
    /// 6.1.2), and the window has not been reduced for this window of data yet. Nothing is lost. The
    /// default does what a loss would do.
    fn on_congestion_echo(&mut self, loss: &Loss) {
        self.on_loss(loss);
        self.on_recovered(loss.flight_size);
    }

    /// Fast recovery is over, with `flight_size` bytes still unacknowledged.
    fn on_recovered(&mut self, flight_size: u32);

    /// The retransmission timer ran out. `first` is false when it has run out before for the same
    /// data.
    fn on_timeout(&mut self, loss: &Loss, first: bool);

    /// Sending starts again after a pause of more than a retransmission timeout (RFC 5681 section
    /// 4.1).
    fn on_idle(&mut self);

    /// The path carries segments of `mss` bytes from now on.
    fn on_mss(&mut self, mss: u32);

    /// What was in the network did not pass, because the path carries less than it did;
    /// [`on_mss`](Self::on_mss) has told how much. That is no congestion. It is sent again in slow
    /// start, which leads back to the window that there was (RFC 1191 section 6.4).
    fn on_shrunk_path(&mut self);
}

/// Makes a controller for a connection whose segments carry `mss` bytes.
pub type Factory = fn(mss: u32) -> Box<dyn Controller>;

/// Which controller a connection starts with.
#[derive(Clone, Copy, Debug, Default)]
pub enum Congestion {
    /// RFC 5681 and RFC 6582.
    #[default]
    NewReno,
    /// One from elsewhere.
    Custom(Factory),
}

/// A controller at work: our own without a detour, foreign ones boxed.
#[derive(Debug)]
pub(super) enum Active {
    NewReno(NewReno),
    Custom(Box<dyn Controller>),
}

impl Active {
    pub(super) fn new(which: Congestion, mss: u32) -> Self {
        match which {
            Congestion::NewReno => Self::NewReno(NewReno::new(mss)),
            Congestion::Custom(make) => Self::Custom(make(mss)),
        }
    }

    /// The congestion window, which is asked for all the time.
    #[inline]
    pub(super) fn cwnd(&self) -> u32 {
        match self {
            Self::NewReno(controller) => controller.cwnd(),
            Self::Custom(controller) => controller.cwnd(),
        }
    }

    /// The slow start threshold.
    #[inline]
    pub(super) fn ssthresh(&self) -> u32 {
        match self {
            Self::NewReno(controller) => controller.ssthresh(),
            Self::Custom(controller) => controller.ssthresh(),
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::NewReno(controller) => controller,
            Self::Custom(controller) => controller.as_mut(),
        }
    }
}

/// The initial window (RFC 6928 section 2): ten segments.
pub fn initial_window(mss: u32) -> u32 {
    // "min (10*MSS, max (2*MSS, 14600))"
    (10 * mss).min((2 * mss).max(14_600))
}
