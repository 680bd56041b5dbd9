//! Congestion control: facts in, a window out.
//!
//! A controller is arithmetic: it sees what the connection tells it and answers with numbers. It
//! has no clock, no dice and no way back into the connection.
//!
//! The connection calls [`on_ack`](Controller::on_ack) for every ACK that reports something new,
//! and before it, in this order, whatever the ACK has told of losses:
//! [`on_lost_packet`](Controller::on_lost_packet), [`on_loss`](Controller::on_loss) or
//! [`on_timeout`](Controller::on_timeout), and [`undo`](Controller::undo) or
//! [`on_recovered`](Controller::on_recovered).

mod active;
mod bbr;
mod cubic;
mod hystart;
mod newreno;
#[cfg(test)]
mod testing;

use core::fmt;
use core::time::Duration;

pub(super) use active::Active;
pub use bbr::Bbr;
pub use cubic::Cubic;
pub use newreno::NewReno;

use crate::time::Instant;

/// What one acknowledgment says to a controller.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Bytes that it acknowledges cumulatively for the first time, and that the window may grow by:
    /// without what has let new segments out already.
    pub acked: u32,
    /// Bytes that it reports to have arrived, cumulatively or selectively, and that no ACK before it
    /// has: DeliveredData of RFC 9937.
    pub newly_delivered: u32,
    /// Bytes that are held to be lost because of it.
    pub newly_lost: u32,
    /// Bytes that were in the network before it arrived.
    pub prior_in_flight: u32,
    /// Bytes that are in the network now.
    pub in_flight: u32,
    /// Bytes delivered since the connection began, those of this ACK included.
    pub delivered: u64,
    /// The round-trip time it measures, if it does.
    pub rtt: Option<Duration>,
    /// The smoothed round-trip time (RFC 6298), once there was a sample; this one included.
    pub srtt: Option<Duration>,
    /// Whether the congestion window, and not the application or the peer, was what held the
    /// sender back (RFC 7661 section 4.4). In slow start half of it in use is enough, but not for a
    /// controller that wants rate samples, or paces.
    pub cwnd_limited: bool,
    /// Whether losses are being repaired.
    pub in_recovery: bool,
    /// Whether the peer reports what it holds beyond holes (RFC 2018), so that several losses in a
    /// round trip show.
    pub has_sack: bool,
    /// Whether it echoes congestion (RFC 3168 section 6.1.2).
    pub echoes_congestion: bool,
    /// The rate at which the network has delivered, if the controller
    /// [wants it](Controller::wants_rate_samples) and the ACK tells.
    pub rate: Option<RateSample>,
}

/// The rate at which the network has delivered, measured from the sending of the newest segment
/// that an ACK reports (draft-ietf-ccwg-bbr-05 section 4.1.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSample {
    /// Bytes delivered in the interval.
    pub delivered: u64,
    /// The interval: the longer of the time it took to send them and the time it took their ACKs to
    /// come. `None` where it is no more than noise: shorter than the least round-trip time.
    pub interval: Option<Duration>,
    /// Bytes that had been delivered in all when the segment was sent.
    pub prior_delivered: u64,
    /// Whether the application had, at some time in the interval, nothing more to send.
    pub app_limited: bool,
    /// Bytes in the network when the segment had been sent, itself included.
    pub tx_in_flight: u32,
    /// Bytes held to be lost since it was sent.
    pub lost: u64,
    /// The time from the sending of the segment to the ACK, if no other copy of it can be meant.
    pub rtt: Option<Duration>,
}

impl RateSample {
    /// Bytes per second; zero where the interval says nothing.
    pub fn rate(&self) -> u64 {
        let Some(interval) = self.interval.map(crate::time::nanos).filter(|&nanos| nanos > 0)
        else {
            return 0;
        };
        let rate = u128::from(self.delivered) * 1_000_000_000 / u128::from(interval);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// What a loss says to a controller.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// When it was noticed.
    pub now: Instant,
    /// FlightSize: bytes sent and not acknowledged (RFC 5681 section 2).
    pub flight_size: u32,
}

/// A segment that is held to be lost, for controllers that want
/// [rate samples](Controller::wants_rate_samples).
#[derive(Clone, Copy, Debug)]
pub struct LostPacket {
    /// When it was noticed.
    pub now: Instant,
    /// Bytes that it carried.
    pub len: u32,
    /// Bytes in the network when it had been sent, itself included.
    pub tx_in_flight: u32,
    /// Bytes held to be lost since it was sent, itself included.
    pub lost: u64,
    /// Bytes delivered since the connection began.
    pub delivered: u64,
    /// Whether the application had nothing more to send at about the time that it was sent.
    pub app_limited: bool,
    /// Whether it follows at once, in the sequence, on the one that was told before.
    pub adjacent: bool,
}

impl fmt::Display for Congestion {
    /// What the command line calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
            Self::Bbr => "bbr",
            Self::Custom(_) => "custom",
        })
    }
}

/// Decides how much may be in the network. All sizes are in bytes of text, all rates in bytes per
/// second.
///
/// The methods that have a default are for controllers that need them: one that goes by losses alone
/// can leave them as they are.
///
/// Whatever a controller answers, the connection keeps going: a segment goes out where nothing is in
/// the network, however small the window; what the peer's window does not take stays here, however
/// large it is; and a rate of zero is none.
///
/// A window that grows by a segment in each round trip and is halved by each loss, for one connection
/// of a stack whose others have CUBIC:
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr, SocketAddr};
/// use tunstack::tcp::congestion::{AckSample, Congestion, Controller, Loss};
/// use tunstack::time::{Duration, Instant};
/// use tunstack::wire::Frame;
/// use tunstack::{Config, Event, Stack};
///
/// #[derive(Debug)]
/// struct Aimd {
///     cwnd: u32,
///     /// Bytes acknowledged since the window last grew.
///     acked: u32,
///     mss: u32,
/// }
///
/// impl Controller for Aimd {
///     fn cwnd(&self) -> u32 {
///         self.cwnd
///     }
///     fn ssthresh(&self) -> u32 {
///         self.cwnd
///     }
///     fn on_ack(&mut self, ack: &AckSample) {
///         if ack.cwnd_limited {
///             self.acked += ack.acked;
///         }
///         if self.acked >= self.cwnd {
///             self.acked -= self.cwnd;
///             self.cwnd += self.mss;
///         }
///     }
///     fn on_loss(&mut self, loss: &Loss) {
///         self.cwnd = (loss.flight_size / 2).max(2 * self.mss);
///     }
///     fn on_recovered(&mut self, _flight_size: u32) {}
///     fn on_timeout(&mut self, _loss: &Loss, _first: bool) {
///         self.cwnd = self.mss;
///     }
///     fn on_idle(&mut self) {}
///     fn on_mss(&mut self, mss: u32) {
///         self.mss = mss;
///     }
///     fn on_shrunk_path(&mut self) {}
/// }
///
/// let [here, there] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
/// let mut sender = Stack::new(Config::with_addresses([here]), [1; 32])?;
/// let mut receiver = Stack::new(Config::with_addresses([there]), [2; 32])?;
/// receiver.listen(SocketAddr::new(there, 9))?;
/// let id = sender.connect(None, SocketAddr::new(there, 9))?;
/// sender.configure(id, |settings| {
///     settings.congestion = Congestion::Custom(|mss| {
///         Box::new(Aimd { cwnd: 4 * mss, acked: 0, mss })
///     });
/// })?;
///
/// let (mut written, mut arrived, mut now) = (0, 0, Instant::from_millis(1_000));
/// let mut buffer = [0; 65_536];
/// while arrived < 1_000_000 {
///     written += sender.write(id, &buffer[..(1_000_000 - written).min(65_536)]).unwrap_or(0);
///     for _ in 0..2 {
///         let mut packet = Vec::new();
///         while let Some(transmit) = sender.poll_transmit(now) {
///             packet.clear();
///             transmit.append_to(&mut packet);
///             receiver.on_packet_stored(now, Frame::plain(&packet));
///         }
///         core::mem::swap(&mut sender, &mut receiver);
///     }
///     while let Some(event) = receiver.poll_event() {
///         match event {
///             Event::Incoming(listener) => while receiver.accept(listener).is_some() {},
///             Event::Readable(id) => {
///                 while let Ok(len @ 1..) = receiver.read(id, &mut buffer) {
///                     arrived += len;
///                 }
///             }
///             _ => {}
///         }
///     }
///     now += Duration::from_millis(10);
///     sender.on_timeout(now);
///     receiver.on_timeout(now);
/// }
/// let info = sender.info(id).expect("it is open");
/// assert_eq!((info.congestion.to_string(), info.retransmissions), ("custom".to_string(), 0));
/// assert!(info.cwnd > 10 * info.mss, "it has grown: {}", info.cwnd);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Controller: Send + fmt::Debug {
    /// The congestion window in bytes: asked for with each segment and each ACK. Less than a segment lets
    /// out one at a time.
    fn cwnd(&self) -> u32;

    /// The slow start threshold in bytes, `u32::MAX` before there is one. From
    /// [`on_loss`](Self::on_loss) on what is in the network is brought down to it (RFC 9937).
    fn ssthresh(&self) -> u32;

    /// Bytes per second to send at, if the controller paces. One that does answers with a rate from the
    /// start; its rate is asked for with each segment, and may change with each event. Zero is no rate, and
    /// what is sent meanwhile is not paced.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// The most bytes to be handed to the device at a time, if the controller paces; a full-sized
    /// segment in any case. Asked for with each segment.
    fn send_quantum(&self) -> Option<u32> {
        None
    }

    /// Whether [`AckSample::rate`] and [`on_lost_packet`](Self::on_lost_packet) are of use to it:
    /// what has to be kept for them costs memory.
    fn wants_rate_samples(&self) -> bool {
        false
    }

    /// Whether it lets out less at the moment than the path may carry, so that the rate samples of
    /// what is sent now are to be marked as limited by the application.
    fn marks_app_limited(&self) -> bool {
        false
    }

    /// Whether it rules its window in recovery by itself: [`on_ack`](Self::on_ack) is then called in
    /// recovery as well, for every ACK, and nothing else limits what is sent in it (RFC 9937).
    fn paces_recovery(&self) -> bool {
        false
    }

    /// Something new was acknowledged; outside of fast recovery, unless it
    /// [wants to know](Self::paces_recovery).
    fn on_ack(&mut self, ack: &AckSample);

    /// A loss was noticed by what the peer acknowledges: fast recovery begins. From here on until
    /// [`on_recovered`](Self::on_recovered) the window is what recovery sends by. It is not called where
    /// a mark has been [told of](Self::on_congestion_echo) in the same window of data:
    /// [`on_recovered`](Self::on_recovered) follows then without it.
    fn on_loss(&mut self, loss: &Loss);

    /// A segment is held to be lost; told for each of them.
    fn on_lost_packet(&mut self, _packet: &LostPacket) {}

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
    /// data, or the window has been reduced for a mark in it: then the threshold stays.
    fn on_timeout(&mut self, loss: &Loss, first: bool);

    /// The last reduction was for nothing: what was held to be lost had arrived (RFC 4015). It is never
    /// asked to take back what was done for a mark, if nothing has been done since. It ends
    /// recovery, if that is under way still; [`on_recovered`](Self::on_recovered) is not called then.
    /// The default leaves the window as it is.
    fn undo(&mut self) {}

    /// Something is sent, nothing is in the network, and nothing there was that could have been sent
    /// before.
    fn on_restart(&mut self, _now: Instant) {}

    /// The same after a pause of more than a retransmission timeout (RFC 5681 section 4.1).
    fn on_idle(&mut self);

    /// The path carries segments of `mss` bytes from now on.
    fn on_mss(&mut self, mss: u32);

    /// What was in the network did not pass, because the path carries less than it did;
    /// [`on_mss`](Self::on_mss) has told how much. That is no congestion. It is sent again in slow
    /// start, which leads back to the window that there was (RFC 1191 section 6.4).
    fn on_shrunk_path(&mut self);

    /// It takes the place of another that was at work on this connection, with this window and
    /// threshold. The default starts afresh.
    fn take_over(&mut self, _cwnd: u32, _ssthresh: u32) {}
}

/// Makes a controller for a connection whose segments carry `mss` bytes.
pub type Factory = fn(mss: u32) -> Box<dyn Controller>;

/// Which controller a connection has.
#[derive(Clone, Copy, Debug, Default)]
pub enum Congestion {
    /// RFC 9438, with the slow start of RFC 9406.
    #[default]
    Cubic,
    /// RFC 5681 and RFC 6582.
    NewReno,
    /// draft-ietf-ccwg-bbr-05, with pacing.
    Bbr,
    /// One from elsewhere.
    Custom(Factory),
}

/// Custom ones are the same if they have the same factory.
impl PartialEq for Congestion {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cubic, Self::Cubic)
            | (Self::NewReno, Self::NewReno)
            | (Self::Bbr, Self::Bbr) => true,
            (Self::Custom(one), Self::Custom(other)) => core::ptr::fn_addr_eq(*one, *other),
            _ => false,
        }
    }
}

impl Eq for Congestion {}

/// The initial window (RFC 6928 section 2): ten segments.
pub fn initial_window(mss: u32) -> u32 {
    // "min (10*MSS, max (2*MSS, 14600))"
    (10 * mss).min((2 * mss).max(14_600))
}

/// The window with which fast recovery is left: RFC 6582 section 3.2, step 3, full acknowledgments,
/// option 1, so that there is no burst.
fn window_after_recovery(ssthresh: u32, flight_size: u32, mss: u32) -> u32 {
    ssthresh.min(flight_size.max(mss).saturating_add(mss))
}

/// Window and threshold after a pause: RFC 5681 section 4.1 has the restart window "min(IW, cwnd)".
/// Linux keeps what the window has shown by raising ssthresh, so that slow start finds it again.
fn window_after_pause(cwnd: u32, ssthresh: u32, mss: u32) -> (u32, u32) {
    (cwnd.min(initial_window(mss)), ssthresh.max(cwnd / 4 * 3))
}
