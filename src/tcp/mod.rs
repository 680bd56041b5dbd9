//! One connection: the TCB (RFC 9293 section 3.3.1) and all that happens to it.
//!
//! `Connection` has four kinds of methods. *Getters* look. *`on_*`* bring facts: a segment, a
//! timeout, news from ICMP. *Verbs* are what an application asks for: `read`, `write`, `shutdown`,
//! `close`. *`poll_*`* give answers: `poll_transmit` builds the segments that are owed, one a call,
//! until it gives `None`; `poll_timeout` says when `on_timeout` is due (calling it early is
//! harmless); `take_events` tells what the application may want to know.
//!
//! Nothing but `poll_transmit` builds a segment: the rest records what is owed. So every segment
//! carries the right ACK, window, timestamps and SACK blocks.
//!
//! Each mechanism owns its state in a file of its own, takes values and returns values; the
//! connection mediates between them.

mod ack;
mod acknowledge;
mod burst;
mod challenge;
pub mod congestion;
pub mod delivery;
mod ecn;
mod error;
mod expiry;
mod flight;
mod handshake;
mod info;
mod input;
mod lent;
mod metering;
mod outgoing;
mod output;
pub mod pacing;
mod prediction;
mod probe;
mod prr;
mod rack;
mod recovery;
mod recv_buffer;
mod repair;
mod right_sizing;
mod ring;
mod room;
mod rto;
mod runs;
mod segment_options;
mod send_buffer;
mod sequence;
mod settings;
mod soft_error;
mod state;
#[cfg(test)]
mod steps;
mod tail_loss;
mod timers;
pub(crate) mod timestamps;
mod undo;
mod urgent;
mod window_use;

use std::sync::Arc;

pub(crate) use challenge::ChallengeLimit;
pub use ecn::{Ecn, EcnInfo};
pub use error::{CloseReason, ReadError, Unreachable, WriteError};
pub(crate) use handshake::{HalfOpen, HalfOpenVerdict, MOST_DOUBLINGS, early_text};
pub use info::{Info, Phase, Readiness};
pub(crate) use lent::Spares;
pub(crate) use outgoing::Outgoing;
pub(crate) use output::MOST_TEXT;
pub(crate) use room::Room;
pub use settings::{KeepAlive, Settings};
pub use soft_error::SoftError;
pub use state::State;

use crate::time::{Duration, Instant};
use crate::wire::{Flow, SeqNum};
use ack::AckDebt;
use burst::Burst;
use congestion::Active;
use ecn::EcnState;
use flight::Flight;
use handshake::Negotiated;
use lent::Lent;
use probe::Probe;
use recovery::Recovery;
use recv_buffer::RecvBuffer;
use right_sizing::RightSizing;
use rto::Rto;
use send_buffer::SendBuffer;
use sequence::{ReceiveSequence, SendSequence};
use tail_loss::TailLoss;
use timers::{Timer, TimerTable};
use timestamps::TimestampState;
use urgent::UrgentMarks;
use window_use::WindowUse;

bitflags::bitflags! {
    /// What has happened since the application was last told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct Events: u8 {
        const ESTABLISHED = 1;
        const READABLE = 2;
        const WRITABLE = 4;
        const PEER_CLOSED = 8;
        const URGENT = 16;
        const CLOSED = 32;
        const ICMP_ERROR = 64;
        const RETRANSMITTING = 128;
    }
}

bitflags::bitflags! {
    /// What is so or not so of a connection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    struct Mark: u16 {
        /// A SYN, or in SYN-RECEIVED a SYN-ACK, must be sent (again).
        const SYN_OWED = 1;
        /// The application has closed its side: a FIN follows the last text.
        const SHUT = 2;
        /// The application has given the connection back.
        const ORPHAN = 4;
        /// The last write did not fit: tell when there is room.
        const WANTS_ROOM = 8;
        /// The application has said that more is to follow: what does not fill a segment waits for it.
        const HOLDS_BACK = 16;
        /// The last byte in the send buffer is not the last of what the application has to say.
        const MORE_FOLLOWS = 32;
        /// The silly-window override timer ran out: send what fits.
        const OVERRIDE_SMALL_WINDOW = 64;
        /// The application wants what waits to be sent: nothing of it is held back as too small.
        const FLUSHES = 128;
        /// A reset must be sent: the last thing that is.
        const RESET_OWED = 256;
        /// The congestion controller wants rate samples, or paces.
        const METERED = 512;
        /// Accurate ECN was agreed on: its counters go by every segment that comes and goes.
        const ACCURATE_ECN = 1024;
        /// An ACK must be sent that tells how the SYN-ACK has arrived, ahead of any text.
        const HANDSHAKE_ACK = 2048;
    }
}

/// What a connection runs over, in bytes of the largest IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// What our own interface carries.
    mtu: u16,
    /// What the path to the peer is known to carry; at most `mtu`.
    path_mtu: u16,
}

impl Link {
    /// Of these sizes, which no IP packet exceeds.
    pub(crate) fn new(mtu: usize, path_mtu: usize) -> Self {
        let size = |mtu| u16::try_from(mtu).unwrap_or(u16::MAX);
        Self { mtu: size(mtu), path_mtu: size(path_mtu) }
    }

    /// The MSS that we announce: what our interface can receive, TCP options included
    /// (RFC 9293 section 3.7.1, MUST-67).
    fn mss(&self, flow: &Flow) -> u16 {
        mss_for(self.mtu, flow)
    }
}

/// What a path MTU leaves for a segment without options.
fn mss_for(mtu: u16, flow: &Flow) -> u16 {
    // 20 or 40 bytes, and 20.
    mtu.saturating_sub(flow.ip_header_len() as u16 + 20)
}

/// A connection, from SYN-SENT or the acknowledged SYN-ACK on. Once the application has what it
/// wanted and the protocol is done the stack drops it; TIME-WAIT lives on as a compact record.
#[derive(Debug)]
pub(crate) struct Connection {
    state: State,
    snd: SendSequence,
    rcv: ReceiveSequence,
    negotiated: Negotiated,
    flight: Lent<Flight>,
    send_buffer: Lent<SendBuffer>,
    recv_buffer: RecvBuffer,
    right_sizing: RightSizing,
    urgent: UrgentMarks,
    /// The memory that its buffers may take in addition.
    room: Room,
    ack: AckDebt,
    timers: TimerTable,
    timestamps: Option<TimestampState>,
    /// `None` where ECN was not agreed on.
    /// Boxed: most connections have none.
    ecn: Option<Box<EcnState>>,
    congestion: Active,
    recovery: Recovery,
    tail_loss: TailLoss,
    window_use: WindowUse,
    burst: Burst,
    rto: Rto,
    events: Events,

    marks: Mark,
    /// A probe must be sent.
    probe_owed: Option<Probe>,
    /// Retransmissions since the peer last acknowledged something new.
    retries: u8,
    /// Probes of a closed window, or keep-alives, since the peer last answered.
    unanswered: u8,
    /// How often the persist timer has been doubled.
    persist_backoff: u8,

    flow: Flow,
    link: Link,
    ts_offset: u32,
    settings: Arc<Settings>,
    close_reason: Option<CloseReason>,
    /// The last ICMP error about this connection, since the peer was last heard of.
    icmp_error: Option<SoftError>,
    opened_at: Instant,
    /// When the last segment of the peer arrived.
    last_heard: Instant,
    /// When we last sent text, for the first time or again.
    last_sent: Instant,
    /// When text last arrived in order.
    last_text: Instant,
    bytes_received: u64,
    bytes_acked: u64,
    retransmissions: u32,
    /// Times that the retransmission timer has run out and something was sent again.
    timeouts: u32,
}

impl Connection {
    fn new(
        now: Instant,
        flow: Flow,
        iss: SeqNum,
        ts_offset: u32,
        negotiated: Negotiated,
        settings: Arc<Settings>,
        link: Link,
    ) -> Self {
        let agreed = settings.limit_mss(negotiated.send_mss);
        let mss = agreed.min(mss_for(link.path_mtu, &flow));
        let options_len = if negotiated.timestamps { 12 } else { 0 };
        let seed = metering::seed(iss, ts_offset);
        let congestion = Active::new(settings.congestion, u32::from(mss) - options_len, seed);
        let marks = if congestion.is_metered() { Mark::METERED } else { Mark::empty() };
        Self {
            state: State::Closed,
            snd: SendSequence::new(iss, mss),
            rcv: ReceiveSequence::new(handshake::first_window(&settings)),
            negotiated,
            flight: Lent::default(),
            send_buffer: Lent::default(),
            recv_buffer: RecvBuffer::new(settings.max_recv_buffer),
            right_sizing: RightSizing::new(now),
            urgent: UrgentMarks::default(),
            room: Room::UNBOUNDED,
            ack: AckDebt::default(),
            timers: TimerTable::default(),
            timestamps: None,
            ecn: None,
            congestion,
            recovery: Recovery::new(iss),
            tail_loss: TailLoss::default(),
            window_use: WindowUse::new(iss),
            burst: Burst::default(),
            rto: Rto::default(),
            events: Events::empty(),
            marks,
            probe_owed: None,
            retries: 0,
            unanswered: 0,
            persist_backoff: 0,
            flow,
            link,
            ts_offset,
            settings,
            close_reason: None,
            icmp_error: None,
            opened_at: now,
            last_heard: now,
            last_sent: now,
            last_text: now,
            bytes_received: 0,
            bytes_acked: 0,
            retransmissions: 0,
            timeouts: 0,
        }
    }

    // --- Getters (those that tell applications something are in info.rs) ---

    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Whether the handshake was ever completed.
    pub(crate) fn was_established(&self) -> bool {
        self.snd.syn_acked
    }

    /// What the path to the peer is held to carry.
    pub(crate) fn path_mtu(&self) -> usize {
        self.link.path_mtu.into()
    }

    #[inline]
    fn has(&self, mark: Mark) -> bool {
        self.marks.contains(mark)
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.has(Mark::ORPHAN)
    }

    /// What our timestamps clock reads.
    fn ts_clock(&self, now: Instant) -> u32 {
        timestamps::clock(now, self.ts_offset)
    }

    /// Bytes of text in a full-sized segment: Eff.snd.MSS (RFC 9293 section 3.7.1).
    pub(crate) fn effective_mss(&self) -> u32 {
        u32::from(self.snd.mss) - if self.negotiated.timestamps { 12 } else { 0 }
    }

    /// The sequence number of the byte that a read gives next.
    fn first_unread(&self) -> SeqNum {
        // RCV.NXT lies behind the FIN, which is no byte to read.
        let fin = u32::from(self.has_all());
        self.rcv.nxt - fin - self.recv_buffer.readable() as u32
    }

    /// Whether all that the peer had to say has arrived, also once the connection is over.
    fn has_all(&self) -> bool {
        self.rcv.fin.is_some_and(|fin| self.rcv.nxt.is_after(fin))
    }

    /// The congestion window, or what recovery has in its place.
    #[inline]
    pub(crate) fn cwnd(&self) -> u32 {
        self.recovery.window(self.congestion.cwnd())
    }

    /// RCV.NXT, SND.NXT, the window and the timestamps: what TIME-WAIT has to remember.
    pub(crate) fn remains(&self) -> Remains {
        Remains {
            flow: self.flow,
            snd_nxt: self.snd.nxt,
            rcv_nxt: self.rcv.nxt,
            recv_window: self.rcv.nxt.len_to(self.rcv.edge),
            recv_scale: self.negotiated.recv_scale,
            diffserv: self.settings.diffserv(),
            ts_recent: self.timestamps.map(|state| state.recent()),
            ace: self.ace(),
        }
    }

    /// Whether an ACK is owed at this moment: what a TIME-WAIT record takes over.
    pub(crate) fn owes_ack(&self) -> bool {
        self.ack.is_due() || self.ack.is_delayed()
    }

    /// Whether something is owed before the next packet is read.
    pub(crate) fn owes_now(&self) -> bool {
        self.ack.is_due_now()
    }

    /// Checks what must always hold.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) {
        let (snd, rcv) = (&self.snd, &self.rcv);
        assert!(snd.una.is_at_or_before(snd.nxt), "SND.UNA =< SND.NXT");
        assert!(rcv.nxt.is_at_or_before(rcv.edge), "RCV.NXT is within the window");
        if self.close_reason.is_none() {
            self.flight.check(snd.una, snd.nxt);
        }
    }

    // --- Verbs ---

    /// SEND (RFC 9293 section 3.10.2): queues what fits, answers how much that was.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        if let Some(reason) = self.close_reason {
            return Err(WriteError::Closed(reason));
        }
        if self.has(Mark::SHUT) || !self.state.accepts_writes() {
            return Err(WriteError::Closing);
        }
        self.check_app_limited();
        let limit = self.send_limit(self.room);
        let taken = self.send_buffer.push(data, limit);
        self.marks -= Mark::HOLDS_BACK;
        if taken > 0 {
            self.marks -= Mark::MORE_FOLLOWS;
        }
        // Also when the application has asked for the room and filled it to the last byte.
        if taken < data.len() || self.send_buffer.len() >= limit {
            self.marks |= Mark::WANTS_ROOM;
        }
        Ok(taken)
    }

    /// SEND of a part: more is to follow (MSG_MORE). What does not fill a segment waits for it, until
    /// the peer is heard from; the last byte is not marked with PSH.
    pub(crate) fn write_more(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        let before = self.has(Mark::MORE_FOLLOWS);
        let taken = self.write(data)?;
        self.marks |= Mark::HOLDS_BACK;
        self.marks.set(Mark::MORE_FOLLOWS, before || taken > 0);
        Ok(taken)
    }

    /// SEND with the urgent flag: the mark lies behind the last byte that was taken (RFC 9293
    /// section 3.8.5, MUST-62).
    pub(crate) fn write_urgent(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        let taken = self.write(data)?;
        if taken > 0 {
            self.urgent.set_sent(Some(self.text_end()));
        }
        Ok(taken)
    }

    /// RECEIVE (RFC 9293 section 3.10.3). `Ok(0)` is the end of the stream.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, ReadError> {
        if self.recv_buffer.readable() == 0 {
            return match self.close_reason {
                Some(CloseReason::Finished) => Ok(0),
                // Whatever ended the connection afterwards.
                Some(_) if self.has_all() => Ok(0),
                Some(reason) => Err(ReadError::Closed(reason)),
                None if self.state.peer_has_closed() => Ok(0),
                None => Err(ReadError::WouldBlock),
            };
        }
        let n = self.recv_buffer.read(into);
        self.right_sizing.on_taken(n as u32);
        self.pass_urgent_mark();
        self.offer_window();
        Ok(n)
    }

    /// RECEIVE that leaves the bytes where they are (MSG_PEEK).
    pub(crate) fn peek(&mut self, into: &mut [u8]) -> Result<usize, ReadError> {
        if self.recv_buffer.readable() == 0 {
            return self.read(into);
        }
        Ok(self.recv_buffer.peek(into))
    }

    /// Received text is thrown away, and the peer is told.
    fn reset_unread(&mut self) {
        if self.close_reason.is_none() {
            self.marks.set(Mark::RESET_OWED, self.state != State::SynSent);
            self.end(CloseReason::Aborted);
        }
    }

    /// CLOSE (RFC 9293 section 3.10.4): no more to send; what was written still goes out, and
    /// receiving goes on.
    pub(crate) fn shutdown(&mut self) {
        if self.has(Mark::SHUT) || self.close_reason.is_some() {
            return;
        }
        self.marks |= Mark::SHUT;
        self.marks -= Mark::MORE_FOLLOWS;
        // In SYN-SENT and SYN-RECEIVED: "queue for processing after entering ESTABLISHED state".
        if self.state.is_synchronized() {
            self.queue_fin();
        }
    }

    /// The application gives the connection back. Answers false when that resets it: received
    /// text is thrown away (RFC 2525 section 2.17, RFC 9293 section 3.6.1), or linger is zero.
    pub(crate) fn close(&mut self, now: Instant) -> bool {
        if self.close_reason.is_some() {
            self.marks |= Mark::ORPHAN;
            return true;
        }
        self.marks |= Mark::ORPHAN;
        // Text beyond a hole does not count: it has not been received yet.
        let unread = self.recv_buffer.readable() > 0;
        if unread || self.settings.linger == Some(Duration::ZERO) {
            self.reset_unread();
            return false;
        }
        if self.state == State::SynSent {
            // "Delete the TCB"
            self.end(CloseReason::Aborted);
            return true;
        }
        self.shutdown();
        self.events = Events::empty();
        self.marks -= Mark::WANTS_ROOM;
        if let Some(linger) = self.settings.linger {
            self.timers.set(Timer::Orphan, now + linger);
        }
        if self.state == State::FinWait2 {
            self.start_fin_wait_2(now);
        }
        true
    }

    /// What waits because it does not fill a segment is sent as soon as the peer's window and the
    /// congestion window let it out, whatever else holds it back.
    pub(crate) fn flush(&mut self) {
        self.marks -= Mark::HOLDS_BACK;
        if self.unsent() > 0 {
            self.marks |= Mark::FLUSHES;
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Something was set.
    pub(crate) fn set_settings(&mut self, now: Instant, settings: Settings) {
        let before = core::mem::replace(&mut self.settings, Arc::new(settings));
        let after = &self.settings;
        let keep_alive = before.keep_alive != after.keep_alive;
        let user_timeout = before.user_timeout != after.user_timeout;
        if before.cork && !after.cork {
            self.marks -= Mark::HOLDS_BACK;
        }
        let mss = before.max_segment != after.max_segment;
        self.recv_buffer.limit_to(after.max_recv_buffer);
        self.renew_offer();
        if keep_alive {
            self.timers.stop(Timer::KeepAlive);
            self.unanswered = 0;
            if self.state.is_synchronized() {
                self.start_keep_alive(now);
            }
        }
        if user_timeout {
            self.restart_user_timer(now);
        }
        if mss && self.close_reason.is_none() {
            self.update_mss();
        }
        if before.congestion != self.settings.congestion {
            self.change_congestion(now);
        }
        self.notice_room();
    }

    /// What the application should know, once.
    pub(crate) fn take_events(&mut self) -> Events {
        core::mem::take(&mut self.events)
    }

    // --- What the mechanisms share ---

    /// Moves along an edge of figure 5.
    fn go_to(&mut self, to: State) {
        debug_assert!(self.state.may_become(to), "{} -> {to} is not in figure 5", self.state);
        log::trace!("{:?}: {} -> {to}", self.flow, self.state);
        self.state = to;
    }

    /// The connection is over.
    fn end(&mut self, reason: CloseReason) {
        if self.close_reason.is_some() {
            return;
        }
        self.go_to(State::Closed);
        self.close_reason = Some(reason);
        self.timers.stop_all();
        self.send_buffer = Lent::default();
        self.flight = Lent::default();
        self.marks -= Mark::SYN_OWED;
        self.probe_owed = None;
        self.events |= Events::CLOSED;
    }

    /// The application has closed, and everything it wrote is queued: the state in which a FIN
    /// goes out.
    fn queue_fin(&mut self) {
        match self.state {
            State::Established => self.go_to(State::FinWait1),
            State::CloseWait => self.go_to(State::LastAck),
            _ => {}
        }
    }

    /// The sequence number of the first byte in the send buffer.
    fn text_start(&self) -> SeqNum {
        if self.snd.syn_acked { self.snd.una } else { self.snd.iss + 1 }
    }

    /// The sequence number after the last byte in the send buffer.
    fn text_end(&self) -> SeqNum {
        // The buffer holds at most `max_send_buffer`, a u32.
        self.text_start() + self.send_buffer.len() as u32
    }

    /// How much the send buffer may hold: once to twice what the congestion window lets out, so
    /// that there is always something to send and what waits stays in cache; and as much for what
    /// is lost, or arrived behind it, which takes room here but none in the network. A power of two,
    /// as the ring's capacity is: the ring goes round through all of that. No more than there is
    /// memory for.
    fn send_limit(&self, room: Room) -> usize {
        /// Before the congestion window says anything of use.
        const LEAST: u32 = 128 << 10;
        let used = self.cwnd().saturating_add(self.flight.out_of_network());
        let wanted = used.saturating_mul(2).max(LEAST);
        let buffer = (1 << wanted.ilog2()).min(self.settings.max_send_buffer);
        let buffer = self.send_buffer.hold(buffer as usize, room);
        let low_water = self.settings.not_sent_low_water;
        if low_water == u32::MAX {
            return buffer;
        }
        let sent = self.send_buffer.len() - self.unsent() as usize;
        buffer.min(sent.saturating_add(low_water as usize))
    }

    /// Whether there is so much room in the send buffer that its owner, who has found none, is told:
    /// a third of it, as Linux does, and not a few bytes with each ACK. Below a low-water mark it
    /// is half of that.
    fn has_ample_room(&self, room: Room) -> bool {
        let enough = (self.send_limit(room) / 3).min(self.settings.not_sent_low_water as usize / 2);
        self.writable(room) > enough
    }

    /// Tells an application that has found no room when there is room again.
    #[inline]
    fn notice_room(&mut self) {
        if self.has(Mark::WANTS_ROOM) && self.has_ample_room(self.room) {
            self.marks -= Mark::WANTS_ROOM;
            self.events |= Events::WRITABLE;
        }
    }

    /// The path or the peer has said what a segment may carry.
    fn update_mss(&mut self) {
        let path_mss = mss_for(self.link.path_mtu, &self.flow);
        let agreed = self.settings.limit_mss(self.negotiated.send_mss);
        self.snd.mss = agreed.min(path_mss);
        let effective = self.effective_mss();
        if self.state.is_synchronized() {
            self.congestion.get_mut().on_mss(effective);
        } else {
            self.congestion = Active::new(self.settings.congestion, effective, self.seed());
        }
    }
}

/// What TIME-WAIT has to remember of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remains {
    pub(crate) flow: Flow,
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    pub(crate) recv_window: u32,
    pub(crate) recv_scale: crate::wire::WindowScale,
    /// The Differentiated Services field of what we sent.
    pub(crate) diffserv: u8,
    /// TS.Recent.
    pub(crate) ts_recent: Option<u32>,
    /// The ACE field of what we send (RFC 9768 section 3.2.2); nothing without accurate ECN.
    pub(crate) ace: crate::wire::Flags,
}
