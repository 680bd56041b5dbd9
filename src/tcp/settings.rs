//! What can be set of a connection. The reason for each default is in [`crate::manual`].

use core::time::Duration;

use super::Ecn;
use super::congestion::Congestion;
use crate::wire::EcnField;

/// The settings of a connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Send small segments at once instead of waiting for an ACK (turns off Nagle's algorithm,
    /// RFC 9293 section 3.7.4).
    pub no_delay: bool,
    /// Hold back a segment that is not full-sized until it is, the cork is taken out, or a
    /// retransmission timeout has passed with nothing in flight (TCP_CORK).
    pub cork: bool,
    /// Probe an idle peer (RFC 9293 section 3.8.4); off by default, as MUST-25 asks.
    pub keep_alive: Option<KeepAlive>,
    /// Abort when sent data stays unacknowledged for this long (RFC 9293 section 3.8.3); more than
    /// zero. `None`: when the retransmissions run out.
    pub user_timeout: Option<Duration>,
    /// What `close` does with data not yet acknowledged: `None` goes on sending it, zero throws
    /// it away and resets, any other time goes on for that long and then resets.
    pub linger: Option<Duration>,
    /// The most bytes the receive buffer may grow to: 2 KiB to 1 GiB (RFC 7323 section 2.3).
    pub max_recv_buffer: u32,
    /// The most bytes the send buffer may grow to: 2 KiB to 1 GiB.
    pub max_send_buffer: u32,
    /// Take no more from the application while this many bytes wait to be sent for the first time
    /// (TCP_NOTSENT_LOWAT): what is written later can still be chosen later. At least 1;
    /// `u32::MAX`: no such mark.
    pub not_sent_low_water: u32,
    /// The MSS announced to the peer, and the most sent, where the link would carry more: 88 to
    /// 65495 (TCP_MAXSEG).
    pub max_segment: Option<u16>,
    /// SYNs sent again before a connect times out: R2 of RFC 9293 section 3.8.3 for a SYN, which
    /// should come to at least three minutes (MUST-23).
    pub syn_retries: u8,
    /// SYN-ACKs sent again before a half-open entry is forgotten.
    pub syn_ack_retries: u8,
    /// R1 of RFC 9293 section 3.8.3: retransmissions of the same segment, SYN or data, after which
    /// the application is told that the peer does not answer; 0: never. Linux's `tcp_retries1`.
    pub r1: u8,
    /// R2 of RFC 9293 section 3.8.3: retransmissions of the same data before the connection times
    /// out. Linux's `tcp_retries2`.
    pub retries: u8,
    /// Probe the end of a flight before the retransmission timer runs out (RFC 8985 section 7), and a
    /// peer that is silent while losses are being repaired; with peers that understand SACK.
    pub tail_loss_probe: bool,
    /// Start slowly again when nothing has been sent for a retransmission timeout (RFC 5681
    /// section 4.1).
    pub slow_start_after_idle: bool,
    /// The least number of full-sized segments in a burst, the last of which is marked with PSH; 0:
    /// PSH stands only where nothing that was written is left behind (RFC 9293 section 3.9.1.2,
    /// MUST-61).
    pub least_burst: u8,
    /// Tell the application of soft errors and of urgent data (RFC 9293 section 3.9.1.8).
    pub error_reports: bool,
    /// The longest an ACK may be delayed: less than half a second (RFC 9293 section 3.8.6.3, MUST-40).
    pub delayed_ack: Duration,
    /// The least time between two challenges to a peer, or two ACKs of segments without text that
    /// are not acceptable (RFC 5961 section 7); zero: no limit. Linux's `tcp_invalid_ratelimit`.
    pub challenge_interval: Duration,
    /// How long an orphan waits in FIN-WAIT-2 for the peer's FIN.
    pub fin_wait_2: Duration,
    /// Offer the timestamps option (RFC 7323).
    pub timestamps: bool,
    /// Offer selective acknowledgment (RFC 2018).
    pub sack: bool,
    /// Offer window scaling (RFC 7323).
    pub window_scaling: bool,
    /// Explicit congestion notification (RFC 3168, RFC 9768).
    pub ecn: Ecn,
    /// The Differentiated Services field of what is sent (IPv4 type of service, IPv6 traffic class),
    /// as IP_TOS and IPV6_TCLASS have it: DSCP in the upper six bits (RFC 2474 section 3). The lower
    /// two belong to ECN (RFC 3168 section 5) and are not taken from here.
    pub traffic_class: u8,
    /// The time to live, or hop limit, of what is sent, in hops (RFC 9293 section 3.9.2); at least 1.
    pub ttl: u8,
    /// The congestion controller (TCP_CONGESTION). One that takes the place of another on a live
    /// connection goes on with its window.
    pub congestion: Congestion,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            no_delay: false,
            cork: false,
            keep_alive: None,
            user_timeout: None,
            linger: None,
            max_recv_buffer: 6 << 20,
            max_send_buffer: 4 << 20,
            not_sent_low_water: u32::MAX,
            max_segment: None,
            syn_retries: 7,
            syn_ack_retries: 5,
            r1: 3,
            retries: 15,
            tail_loss_probe: true,
            slow_start_after_idle: true,
            least_burst: 2,
            error_reports: true,
            delayed_ack: Duration::from_millis(40),
            challenge_interval: Duration::from_millis(500),
            fin_wait_2: Duration::from_secs(60),
            timestamps: true,
            sack: true,
            window_scaling: true,
            ecn: Ecn::default(),
            traffic_class: 0,
            ttl: 64,
            congestion: Congestion::default(),
        }
    }
}

impl Settings {
    /// The Differentiated Services field with zeros in the place of ECN.
    pub(crate) fn diffserv(&self) -> u8 {
        self.traffic_class & !EcnField::MASK
    }
}

/// When and how often an idle peer is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// The silence before the first probe; at least two hours by default (MUST-28).
    pub idle: Duration,
    /// The time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection times out.
    pub count: u8,
}

impl KeepAlive {
    /// The same, held to times that make sense.
    pub(crate) fn clamped(self) -> Self {
        let least = Duration::from_secs(1);
        Self {
            idle: self.idle.max(least),
            interval: self.interval.max(least),
            count: self.count.max(1),
        }
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(7_200), interval: Duration::from_secs(75), count: 9 }
    }
}
