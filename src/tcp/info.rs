//! What can be told of a connection: STATUS (RFC 9293 section 3.10.6), and whether it is ready.

use super::congestion::Congestion;
use super::recovery::Phase as RecoveryPhase;
use super::{Connection, EcnInfo, Mark, Room, State};
use crate::time::{Duration, Instant};
use crate::wire::{Flow, WindowScale};

/// Where a sender stands in recovering from losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All is well.
    Open,
    /// Something has come out of order, too little to mean a loss.
    Disorder,
    /// The peer echoes congestion (RFC 3168), and less is being sent for each ACK until what is in the
    /// network has come down.
    Reduced,
    /// Fast recovery from a loss (RFC 6582, RFC 8985).
    Recovery,
    /// Everything unacknowledged is being sent again: after a timeout, or because the path carries
    /// less than it did.
    Loss,
}

bitflags::bitflags! {
    /// What an application could do with a connection at this moment, in the terms of poll(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Readiness: u8 {
        /// A read would not wait: there are bytes, the end of the stream, or an error (POLLIN).
        const READABLE = 1;
        /// A write would not wait: a good part of the buffer is free, or there is an error to be
        /// told (POLLOUT).
        const WRITABLE = 2;
        /// Urgent data is to come (POLLPRI).
        const URGENT = 4;
        /// The peer will send no more (POLLRDHUP).
        const PEER_CLOSED = 8;
        /// Neither side will send any more (POLLHUP).
        const HANG_UP = 16;
    }
}

/// What can be told of a connection.
#[derive(Clone, Debug)]
pub struct Info {
    /// The four-tuple.
    pub flow: Flow,
    /// The state.
    pub state: State,
    /// Where the sender stands in recovering from losses.
    pub phase: Phase,
    /// The smoothed round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// Its mean deviation.
    pub rtt_var: Duration,
    /// The least of them lately, once measured (RFC 8985 section 6.2, step 1).
    pub min_rtt: Option<Duration>,
    /// The retransmission timeout in force.
    pub rto: Duration,
    /// How often it has been doubled.
    pub backoff: u8,
    /// Timeouts since the peer last acknowledged something new.
    pub retries: u8,
    /// Unanswered probes of a closed window or of an idle peer.
    pub probes: u8,
    /// The congestion controller.
    pub congestion: Congestion,
    /// The congestion window in bytes.
    pub cwnd: u32,
    /// The slow start threshold in bytes; `u32::MAX` before there is one.
    pub ssthresh: u32,
    /// Bytes per second that text is spread at, if the controller paces.
    pub pacing_rate: Option<u64>,
    /// Bytes of text in a full-sized segment that we send.
    pub mss: u32,
    /// Bytes of text in the largest segment received.
    pub recv_mss: u32,
    /// The MSS that we announce.
    pub announced_mss: u32,
    /// Bytes of the largest IP packet that the path is held to carry.
    pub path_mtu: usize,
    /// Whether both sides send timestamps (RFC 7323 section 3).
    pub timestamps: bool,
    /// Whether both sides understand SACK (RFC 2018).
    pub sack: bool,
    /// What ECN has done, if both sides have agreed to it (RFC 3168, RFC 9768).
    pub ecn: Option<EcnInfo>,
    /// The scales of the windows received and announced, if windows are scaled.
    pub scales: Option<(WindowScale, WindowScale)>,
    /// The window that the peer offers, in bytes.
    pub send_window: u32,
    /// The window that we offer, in bytes.
    pub recv_window: u32,
    /// The most that we would offer now.
    pub recv_limit: u32,
    /// Segments sent and not acknowledged.
    pub segments_out: u32,
    /// Those of them that are held to be lost, and not sent again since.
    pub segments_lost: u32,
    /// Those of them that are in the network for a second time.
    pub segments_resent: u32,
    /// Those of them that the peer has reported as received.
    pub segments_sacked: u32,
    /// The furthest that a segment of what is in flight has been overtaken by others, in segments.
    pub reordering: u32,
    /// Bytes written and not sent yet.
    pub unsent: u32,
    /// Bytes of text received in order.
    pub bytes_received: u64,
    /// Bytes of text that the peer has acknowledged.
    pub bytes_acked: u64,
    /// Bytes of text that have arrived as far as the peer has told: those acknowledged, and what it has
    /// reported beyond them (RFC 2018), where a FIN counts as a byte. Less than before if the peer has
    /// thrown away what it had reported.
    pub bytes_delivered: u64,
    /// Segments sent again, ever.
    pub retransmissions: u64,
    /// Retransmission timeouts, ever.
    pub timeouts: u64,
    /// When the connection was made.
    pub opened_at: Instant,
    /// When text was last sent, for the first time or again.
    pub last_sent: Instant,
    /// When text last arrived, or the connection was established.
    pub last_text: Instant,
    /// When anything that counts last arrived.
    pub last_heard: Instant,
}

impl Connection {
    /// What can be told.
    pub(crate) fn info(&self) -> Info {
        let (out, lost, resent, sacked) = self.flight.count();
        // Until the peer's SYN is known, and if it never came, there is only what we offer.
        let agreed = self.snd.syn_acked || self.state == State::SynReceived;
        let negotiated = &self.negotiated;
        Info {
            flow: self.flow,
            state: self.state,
            phase: self.phase(),
            rtt: self.rto.srtt(),
            rtt_var: self.rto.rttvar(),
            min_rtt: self.rto.srtt().map(|_| Duration::from_nanos(self.rto.min_rtt())),
            rto: self.rto.current(),
            backoff: self.rto.backoff(),
            retries: self.retries,
            probes: self.unanswered,
            congestion: self.settings.congestion,
            cwnd: self.cwnd(),
            ssthresh: self.congestion.ssthresh(),
            pacing_rate: self.congestion.pacing_rate(),
            mss: self.effective_mss(),
            recv_mss: self.ack.full_size(),
            announced_mss: u32::from(self.announced_mss()),
            path_mtu: self.path_mtu(),
            timestamps: agreed && negotiated.timestamps,
            sack: agreed && negotiated.sack,
            ecn: self.ecn.as_ref().map(|ecn| ecn.info()),
            scales: (agreed && negotiated.scaling)
                .then_some((negotiated.send_scale, negotiated.recv_scale)),
            send_window: self.snd.wnd,
            recv_window: self.rcv.nxt.len_to(self.told_edge()),
            recv_limit: self.recv_buffer.limit(),
            segments_out: out,
            segments_lost: lost,
            segments_resent: resent,
            segments_sacked: sacked,
            reordering: self.flight.extent().div_ceil(self.effective_mss().max(1)),
            unsent: self.unsent(),
            bytes_received: self.bytes_received,
            bytes_acked: self.bytes_acked,
            bytes_delivered: self.bytes_acked + u64::from(self.flight.sacked()),
            retransmissions: self.retransmissions.into(),
            timeouts: self.timeouts(),
            opened_at: self.opened_at,
            last_sent: self.last_sent,
            last_text: self.last_text,
            last_heard: self.last_heard,
        }
    }

    /// Times that the retransmission timer has run out, ever; the one that ends a connection is not
    /// counted.
    pub(crate) fn timeouts(&self) -> u64 {
        self.timeouts.into()
    }

    fn phase(&self) -> Phase {
        match self.recovery.phase() {
            RecoveryPhase::Reduced => Phase::Reduced,
            RecoveryPhase::Open if self.recovery.has_duplicates() => Phase::Disorder,
            RecoveryPhase::Open if self.flight.has_sacked() => Phase::Disorder,
            RecoveryPhase::Open => Phase::Open,
            RecoveryPhase::Fast => Phase::Recovery,
            RecoveryPhase::Timeout | RecoveryPhase::Shrunk => Phase::Loss,
        }
    }

    /// What would not have to wait, with the memory that is left.
    pub(crate) fn readiness(&self, room: Room) -> Readiness {
        let over = self.close_reason.is_some();
        let peer_closed = over || self.state.peer_has_closed();
        let mut readiness = Readiness::empty();
        readiness.set(Readiness::READABLE, self.readable() > 0 || peer_closed);
        readiness
            .set(Readiness::WRITABLE, self.has(Mark::SHUT) || over || self.has_ample_room(room));
        readiness.set(Readiness::URGENT, self.urgent_mark().is_some());
        readiness.set(Readiness::PEER_CLOSED, peer_closed);
        readiness.set(Readiness::HANG_UP, over || (peer_closed && self.has(Mark::SHUT)));
        readiness
    }

    /// Bytes that a read would give.
    pub(crate) fn readable(&self) -> usize {
        self.recv_buffer.readable()
    }

    /// Bytes that a write would take, with the memory that is left.
    pub(crate) fn writable(&self, room: Room) -> usize {
        if self.has(Mark::SHUT) || self.close_reason.is_some() || !self.state.accepts_writes() {
            return 0;
        }
        self.send_limit(room).saturating_sub(self.send_buffer.len())
    }

    /// Bytes written and not yet sent for the first time.
    pub(crate) fn unsent(&self) -> u32 {
        if self.snd.fin_sent {
            return 0;
        }
        // The SYN, while it is not out, is no byte.
        self.snd.nxt.later(self.text_start()).len_to(self.text_end())
    }

    /// Bytes written and not yet acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.send_buffer.len()
    }

    /// Bytes between the urgent mark and the first unread byte (RFC 9293 section 3.8.5, MUST-33):
    /// `None` when nothing urgent is to come.
    pub(crate) fn urgent_mark(&self) -> Option<u32> {
        let first_unread = self.first_unread();
        self.urgent
            .received()
            .filter(|up| up.is_after(first_unread))
            .map(|up| first_unread.len_to(up))
    }
}
