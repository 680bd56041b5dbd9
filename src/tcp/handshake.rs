//! Opening a connection: what two SYNs agree on, the light entry of a passive open, and
//! SYN-SENT (RFC 9293 sections 3.5, 3.10.7.2 and 3.10.7.3).

use std::sync::Arc;

use super::ecn::{self, Accurate, EcnState, Mode};
use super::input::{Acceptance, Arrival, acceptance, is_reset_in_window};
use super::timestamps::TimestampState;
use super::{
    ChallengeLimit, CloseReason, Connection, Events, Link, Mark, Outgoing, Settings, State, Timer,
};
use crate::time::{Duration, Instant, PackedInstant};
use crate::wire::{EcnField, Flags, Flow, Options, Segment, SeqNum, Timestamps, WindowScale};

/// The send MSS of a peer that names none (RFC 9293 section 3.7.1, MUST-15).
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1_220;

/// The least send MSS, whatever the peer says; Linux has the same. A peer that asks for segments
/// of a few bytes would make us spend a hundred times the headers, records and work on its data
/// (CVE-2019-11479), and 48 bytes fit into the smallest packet that every link must carry (68).
const LEAST_SEND_MSS: u16 = 48;

/// The most that the window field of a SYN can say: it is never scaled (RFC 7323 section 2.2).
pub(super) const UNSCALED: u32 = 0xffff;

/// The text of a SYN that is kept until the connection is established; the peer sends again what
/// is not acknowledged.
const MOST_EARLY_TEXT: usize = 1_460;

/// How often the wait for the answer to a SYN-ACK is doubled: up to about a minute.
pub(crate) const MOST_DOUBLINGS: u8 = 6;

/// How long after a reset that ends the peer's old connection our SYN goes out again; as Linux.
const BEHIND_A_RESET: Duration = Duration::from_millis(8);

/// What the options of two SYNs agree on, for active, passive and simultaneous open alike; in
/// SYN-SENT, what our SYN offers. It does not change with the settings: the peer goes by what our SYN
/// has said (RFC 7323 sections 2.2 and 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    /// SendMSS: what the peer can receive, TCP options included (RFC 9293 section 3.7.1). The limit
    /// that is set for it may change, and so is not part of it.
    pub(super) send_mss: u16,
    /// The scale of the windows we receive.
    pub(super) send_scale: WindowScale,
    /// The scale of the windows we announce.
    pub(super) recv_scale: WindowScale,
    /// Whether both sides scale their windows.
    pub(super) scaling: bool,
    /// Whether SACK blocks may be sent, both ways.
    pub(super) sack: bool,
    /// Whether both sides send timestamps.
    pub(super) timestamps: bool,
    /// Which ECN our first SYN has asked for.
    pub(super) asks_ecn: Mode,
}

impl Negotiated {
    /// What our side offers with these `settings`. The MSS is that of a peer that names none.
    pub(super) fn offer(settings: &Settings, flow: &Flow) -> Self {
        let scale = WindowScale::for_window(settings.max_recv_buffer);
        Self {
            send_mss: if flow.is_ipv6() { DEFAULT_MSS_V6 } else { DEFAULT_MSS_V4 },
            send_scale: WindowScale::default(),
            recv_scale: if settings.window_scaling { scale } else { WindowScale::default() },
            scaling: settings.window_scaling,
            sack: settings.sack,
            timestamps: settings.timestamps,
            asks_ecn: settings.ecn.asks(),
        }
    }

    /// What this offer and the options of the peer's SYN agree on.
    fn agree(self, theirs: &Options) -> Self {
        // RFC 7323 section 2.2: windows are scaled only if both sides have offered it.
        let theirs_scale = theirs.window_scale.filter(|_| self.scaling);
        Self {
            send_mss: theirs.mss.unwrap_or(self.send_mss).max(LEAST_SEND_MSS),
            send_scale: theirs_scale.unwrap_or_default(),
            recv_scale: theirs_scale.map(|_| self.recv_scale).unwrap_or_default(),
            scaling: theirs_scale.is_some(),
            sack: self.sack && theirs.sack_permitted,
            timestamps: self.timestamps && theirs.timestamps.is_some(),
            ..self
        }
    }

    /// The options of the SYN that offers this, or of the SYN-ACK that agrees to it: only what the
    /// peer has offered (RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2).
    fn syn_options(&self, mss: u16, stamp: Timestamps) -> Options {
        Options {
            mss: Some(mss),
            window_scale: self.scaling.then_some(self.recv_scale),
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(stamp),
            ..Options::default()
        }
    }
}

impl Settings {
    /// What is left of an MSS under the limit that is set.
    pub(super) fn limit_mss(&self, mss: u16) -> u16 {
        mss.min(self.max_segment.unwrap_or(u16::MAX))
    }
}

/// How much is kept of the text that came with a SYN.
pub(crate) fn early_text<'a>(syn: &Segment<'a>, settings: &Settings) -> &'a [u8] {
    let most = MOST_EARLY_TEXT.min(first_window(settings) as usize);
    &syn.payload[..syn.payload.len().min(most)]
}

/// The window that a SYN announces.
pub(super) fn first_window(settings: &Settings) -> u32 {
    settings.max_recv_buffer.min(UNSCALED)
}

/// A connection request that was answered and not yet acknowledged: SYN-RECEIVED after a passive
/// open. It holds no buffers, so that a flood of SYNs costs little.
///
/// Its settings are those that the listener had when the SYN arrived: the SYN-ACK has been made of
/// them, and must not be contradicted by the next one (RFC 7323 section 2.2) or by the window that
/// follows. Many entries have them in common, so whoever holds the entry holds them too.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    flow: Flow,
    iss: SeqNum,
    irs: SeqNum,
    agreed: Negotiated,
    /// The window field of the SYN.
    window: u16,
    /// TS.Recent, if timestamps were agreed on.
    ts_recent: u32,
    /// When the SYN-ACK was last sent.
    sent_at: PackedInstant,
    /// How often it has been sent again because nothing came.
    retries: u8,
    marks: Marks,
    limit: ChallengeLimit,
}

bitflags::bitflags! {
    /// What is so or not so of a half-open entry, in one byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Marks: u8 {
        /// The SYN-ACK has been sent more than once, for whatever reason.
        const RESENT = 1;
        /// It has been sent again because the SYN came again, since it last went unanswered.
        const ASKED_AGAIN = 2;
        /// It agrees to ECN.
        const ECN = 4;
        /// And that is accurate ECN (RFC 9768).
        const ACCURATE = 8;
        /// Text of the connection must not have ECT.
        const NO_ECT = 16;
        /// The ECN field of the latest SYN, two bits.
        const SYN_ECN = 3 << 6;
    }
}

impl Marks {
    /// Those of an entry that has just agreed to this.
    fn agreed(mode: Mode) -> Self {
        match mode {
            Mode::None => Self::empty(),
            Mode::Classic => Self::ECN,
            Mode::Accurate => Self::ECN | Self::ACCURATE,
        }
    }

    /// The mode that was agreed on.
    fn mode(self) -> Mode {
        match (self.contains(Self::ECN), self.contains(Self::ACCURATE)) {
            (true, true) => Mode::Accurate,
            (true, false) => Mode::Classic,
            _ => Mode::None,
        }
    }

    /// The same after a SYN with this ECN field.
    fn with_syn(self, ecn: EcnField) -> Self {
        (self - Self::SYN_ECN) | Self::from_bits_retain(ecn.bits() << 6)
    }

    /// The ECN field of the latest SYN.
    fn syn_ecn(self) -> EcnField {
        EcnField::from_bits(self.bits() >> 6)
    }
}

/// What a segment does to a half-open entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfOpenVerdict {
    /// Nothing.
    Ignore,
    /// The SYN-ACK goes out again.
    Resend,
    /// A bare ACK is owed: the segment is not acceptable, or is a challenge.
    Acknowledge,
    /// The reset of RFC 9293 section 3.10.7.1 is owed.
    Stray,
    /// Back to LISTEN: the entry goes.
    Forget,
    /// It acknowledges our SYN: a connection can be made, and takes the segment in.
    Establish,
    /// The reset of RFC 9293 section 3.10.7.1 is owed, and the entry goes.
    Refuse,
}

impl HalfOpen {
    /// A SYN arrived at a listener (RFC 9293 section 3.10.7.2, third step).
    pub(crate) fn new(
        now: Instant,
        flow: Flow,
        syn: &Segment<'_>,
        iss: SeqNum,
        settings: &Settings,
    ) -> Self {
        Self {
            flow,
            iss,
            irs: syn.seq,
            agreed: Negotiated::offer(settings, &flow).agree(&syn.options),
            window: syn.window,
            ts_recent: syn.options.timestamps.map_or(0, |ts| ts.value),
            sent_at: now.into(),
            retries: 0,
            marks: Marks::agreed(settings.ecn.agrees_to(syn)).with_syn(syn.ecn),
            limit: ChallengeLimit::default(),
        }
    }

    /// The four-tuple.
    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// How often the SYN-ACK has been sent again because nothing came.
    pub(crate) fn retries(&self) -> u8 {
        self.retries
    }

    /// Whether the SYN has come again since the SYN-ACK last went unanswered: it is due later than
    /// it would be otherwise.
    pub(crate) fn is_put_off(&self) -> bool {
        self.marks.contains(Marks::ASKED_AGAIN)
    }

    /// What the SYN-ACK says of ECN. RFC 9768 section 3.2.3.2.2: after two of them in vain nothing,
    /// because there are middleboxes that drop what they do not know.
    fn ecn_flags(&self) -> Flags {
        match self.marks.mode() {
            Mode::None => Flags::empty(),
            Mode::Classic => Flags::ECE,
            Mode::Accurate if self.retries >= 2 => Flags::empty(),
            Mode::Accurate => ecn::encoded(self.marks.syn_ecn()),
        }
    }

    /// Whether options of accurate ECN may be tried: not with a SYN-ACK that is sent again.
    fn tries_counters(&self) -> bool {
        self.marks.mode() == Mode::Accurate && !self.marks.contains(Marks::RESENT)
    }

    /// The SYN-ACK; our timestamps clock reads `clock`.
    pub(crate) fn syn_ack(&self, settings: &Settings, link: Link, clock: u32) -> Outgoing {
        let stamp = Timestamps { value: clock, echo: self.ts_recent };
        let mss = settings.limit_mss(link.mss(&self.flow));
        Outgoing {
            seq: self.iss,
            ack: self.irs + 1,
            flags: Flags::SYN | Flags::ACK | self.ecn_flags(),
            window: WindowScale::default().compress(first_window(settings)),
            options: Options {
                ecn: self.tries_counters().then(ecn::first_counters),
                ..self.agreed.syn_options(mss, stamp)
            },
            ..Outgoing::default()
        }
    }

    /// A bare ACK; our timestamps clock reads `clock`.
    pub(crate) fn bare_ack(&self, settings: &Settings, clock: u32) -> Outgoing {
        let stamp = Timestamps { value: clock, echo: self.ts_recent };
        let scale = self.agreed.recv_scale;
        let is_accurate = self.marks.mode() == Mode::Accurate;
        Outgoing {
            seq: self.iss + 1,
            ack: self.irs + 1,
            flags: Flags::ACK | if is_accurate { ecn::ace(5) } else { Flags::empty() },
            window: scale.compress(first_window(settings)),
            options: Options {
                timestamps: self.agreed.timestamps.then_some(stamp),
                ..Options::default()
            },
            ..Outgoing::default()
        }
    }

    /// The SYN-ACK has gone unanswered. Answers false when it has been sent often enough.
    pub(crate) fn on_timeout(&mut self, now: Instant, settings: &Settings) -> bool {
        if self.retries >= settings.syn_ack_retries {
            return false;
        }
        self.retries += 1;
        if self.retries >= 2 && self.marks.mode() == Mode::Accurate {
            // The SYN-ACK says nothing of accurate ECN any more (RFC 9768 section 3.1.5).
            self.marks |= Marks::NO_ECT;
        }
        self.marks = (self.marks | Marks::RESENT) - Marks::ASKED_AGAIN;
        self.sent_at = now.into();
        true
    }

    /// The SYN has come again, and the SYN-ACK goes out again.
    pub(crate) fn on_asked_again(&mut self, now: Instant) {
        self.marks |= Marks::RESENT | Marks::ASKED_AGAIN;
        self.sent_at = now.into();
    }

    /// When the SYN-ACK now in the network counts as unanswered (RFC 6298 section 5.5).
    pub(crate) fn due(&self) -> Instant {
        self.sent_at.get() + Duration::from_secs(1 << self.retries.min(MOST_DOUBLINGS))
    }

    /// SEGMENT ARRIVES in SYN-RECEIVED after a passive open (RFC 9293 section 3.10.7.4).
    pub(crate) fn on_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        settings: &Settings,
    ) -> HalfOpenVerdict {
        let verdict = self.judge(segment, settings);
        if verdict == HalfOpenVerdict::Resend && !self.asks_the_same(segment, settings) {
            return HalfOpenVerdict::Refuse;
        }
        // RFC 5961 section 7: as in the synchronized states.
        let limited = match verdict {
            HalfOpenVerdict::Acknowledge => {
                segment.is_empty() || segment.flags.intersects(Flags::SYN | Flags::RST)
            }
            HalfOpenVerdict::Resend => true,
            _ => false,
        };
        if limited && !self.limit.allow(now, settings.challenge_interval) {
            return HalfOpenVerdict::Ignore;
        }
        verdict
    }

    /// The SYN has come again, and may ask for something else in the way of ECN. Answers false where that
    /// must not be.
    fn asks_the_same(&mut self, syn: &Segment<'_>, settings: &Settings) -> bool {
        if !settings.ecn.knows_accurate() {
            if !ecn::is_setup_syn(syn) {
                // RFC 3168 section 6.1.1.1: the peer has given up on ECN, and so do we.
                self.marks -= Marks::ECN;
            }
            return true;
        }
        // RFC 9768 section 3.1.5: "MUST NOT switch into a different feedback mode"; but who has agreed to
        // one MUST reset a connection that asks for the other.
        let (mode, asked) = (self.marks.mode(), ecn::asked_by(syn));
        if mode == Mode::None {
            return true;
        }
        if asked != Mode::None && asked != mode {
            return false;
        }
        if asked == Mode::None {
            self.marks |= Marks::NO_ECT;
        }
        // "MUST feed back the IP-ECN field on the latest valid SYN".
        self.marks = self.marks.with_syn(syn.ecn);
        true
    }

    fn judge(&self, segment: &Segment<'_>, settings: &Settings) -> HalfOpenVerdict {
        let rcv_nxt = self.irs + 1;
        if segment.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN
            && segment.seq == self.irs
        {
            // The peer has not seen our SYN-ACK. The RFC's bare ACK would not help it; Linux
            // repeats the SYN-ACK.
            return HalfOpenVerdict::Resend;
        }
        let window = first_window(settings);
        if segment.has(Flags::RST) {
            return if segment.seq == rcv_nxt {
                HalfOpenVerdict::Forget
            } else if is_reset_in_window(segment.seq, rcv_nxt, window) {
                HalfOpenVerdict::Acknowledge
            } else {
                HalfOpenVerdict::Ignore
            };
        }
        // First: PAWS, then the sequence number.
        let old = self.agreed.timestamps
            && segment
                .options
                .timestamps
                .is_some_and(|ts| super::timestamps::is_before(ts.value, self.ts_recent));
        if old || acceptance(segment.range(), rcv_nxt, window) == Acceptance::Outside {
            return HalfOpenVerdict::Acknowledge;
        }
        if segment.has(Flags::SYN) {
            // "If the connection was initiated with a passive OPEN, then return this connection
            // to the LISTEN state and return."
            return HalfOpenVerdict::Forget;
        }
        if !segment.has(Flags::ACK) {
            return HalfOpenVerdict::Ignore;
        }
        if segment.ack == self.iss + 1 {
            HalfOpenVerdict::Establish
        } else {
            HalfOpenVerdict::Stray
        }
    }
}

impl Connection {
    /// Active OPEN (RFC 9293 section 3.10.1): SYN-SENT, with the SYN owed.
    pub(crate) fn connect(
        now: Instant,
        flow: Flow,
        iss: SeqNum,
        ts_offset: u32,
        settings: Arc<Settings>,
        link: Link,
    ) -> Self {
        let offer = Negotiated::offer(&settings, &flow);
        let mut connection = Self::new(now, flow, iss, ts_offset, offer, settings, link);
        connection.state = State::SynSent;
        connection.marks |= Mark::SYN_OWED;
        connection
    }

    /// SYN-RECEIVED with buffers: the ACK of our SYN is here and is about to be taken in.
    pub(crate) fn accept(
        now: Instant,
        half_open: &HalfOpen,
        ts_offset: u32,
        settings: Arc<Settings>,
        link: Link,
    ) -> Self {
        let HalfOpen { flow, iss, irs, agreed, window, ts_recent, retries, marks, .. } = *half_open;
        let mut connection = Self::new(now, flow, iss, ts_offset, agreed, settings, link);
        connection.state = State::SynReceived;
        connection.retries = retries;
        connection.on_sent_syn(half_open.sent_at.get());
        if marks.contains(Marks::RESENT) {
            connection.flight.mark_first_retransmitted();
        }
        connection.on_peer_syn(now, irs, u32::from(window), ts_recent);
        let ect = !marks.contains(Marks::NO_ECT);
        match marks.mode() {
            Mode::None => {}
            Mode::Classic => connection.ecn = Some(Box::new(EcnState::new(ect))),
            Mode::Accurate => {
                // RFC 9768 section 3.2.3.2.2: after a SYN-ACK without an option none is tried any more.
                let tries = !marks.contains(Marks::RESENT);
                let accurate = Accurate::answering(iss + 1, irs + 1, marks.syn_ecn(), tries);
                connection.enter_accurate(ect, accurate);
            }
        }
        connection
    }

    /// Takes in the text that came with the SYN, once established.
    pub(crate) fn accept_early_text(&mut self, now: Instant, text: &[u8]) {
        self.take_text(now, self.rcv.irs + 1, text, text.len() as u32);
        self.take_fin();
    }

    /// Something was set: a SYN that has not left yet says it.
    pub(super) fn renew_offer(&mut self) {
        if self.state == State::SynSent && self.snd.nxt == self.snd.iss {
            self.negotiated = Negotiated::offer(&self.settings, &self.flow);
            self.rcv.edge = self.rcv.nxt + first_window(&self.settings);
        }
    }

    /// Our SYN has left.
    pub(super) fn on_sent_syn(&mut self, now: Instant) {
        self.snd.nxt = self.snd.iss + 1;
        self.flight.on_sent(crate::wire::SeqRange::new(self.snd.iss, 1), now);
    }

    /// The peer's SYN is known.
    fn on_peer_syn(&mut self, now: Instant, irs: SeqNum, window: u32, ts_recent: u32) {
        let offered = self.rcv.nxt.len_to(self.rcv.edge);
        self.rcv.irs = irs;
        self.rcv.nxt = irs + 1;
        self.right_sizing.on_peer_syn(self.rcv.nxt);
        self.rcv.edge = self.rcv.nxt + offered;
        self.set_window(irs, self.snd.una, window);
        if self.negotiated.timestamps {
            let state = TimestampState::new(ts_recent, self.rcv.nxt, now);
            self.timestamps = Some(state);
        }
    }

    /// The MSS that our SYN announces.
    pub(super) fn announced_mss(&self) -> u16 {
        self.settings.limit_mss(self.link.mss(&self.flow))
    }

    /// The options of our SYN or SYN-ACK.
    pub(super) fn syn_options(&self, now: Instant) -> Options {
        let value = self.ts_clock(now);
        let echo = self.timestamps.map_or(0, |state| state.recent());
        self.negotiated.syn_options(self.announced_mss(), Timestamps { value, echo })
    }

    /// SEGMENT ARRIVES in SYN-SENT (RFC 9293 section 3.10.7.3).
    pub(super) fn on_segment_in_syn_sent<'f>(
        &mut self,
        now: Instant,
        segment: &Segment<'f>,
    ) -> Arrival<'f> {
        // First: the ACK.
        let acked = segment.has(Flags::ACK);
        if acked && segment.ack != self.snd.iss + 1 {
            // "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set ...)"
            if segment.has(Flags::RST) {
                return Arrival::NOTHING;
            }
            if self.retries == 0 && self.timers.is_set(Timer::Retransmit) {
                // The peer still has an old connection with this four-tuple (RFC 9293 figure 9):
                // the reset ends that, and our SYN need not wait a second to be heard.
                let soon = now + BEHIND_A_RESET;
                self.timers.set_before(Timer::Retransmit, soon, Timer::Retransmit);
            }
            return Arrival::STRAY;
        }
        if acked && self.snd.nxt == self.snd.iss {
            // Our SYN has not even left.
            return Arrival::STRAY;
        }
        // Second: the reset. RFC 5961 section 3.2: the ACK field must acknowledge our SYN.
        if segment.has(Flags::RST) {
            if acked {
                self.end(CloseReason::Refused);
            }
            return Arrival::NOTHING;
        }
        // Third, security, is obsolete. Fourth: the SYN.
        if !segment.has(Flags::SYN) {
            return Arrival::NOTHING;
        }
        self.negotiated = self.negotiated.agree(&segment.options);
        let ts_recent = segment.options.timestamps.map_or(0, |ts| ts.value);
        self.on_peer_syn(now, segment.seq, u32::from(segment.window), ts_recent);
        self.update_mss();
        self.agree_to_ecn(segment);
        if acked {
            self.acknowledge(now, segment);
            self.become_established(now);
            self.events |= Events::ESTABLISHED;
            self.answer_marked_syn(now);
            self.ack.at_once();
        } else {
            // Simultaneous open: "enter SYN-RECEIVED, form a SYN,ACK segment". It repeats our SYN.
            self.go_to(State::SynReceived);
            self.marks |= Mark::SYN_OWED;
        }
        // "Continue processing at the sixth step": the text and FIN behind the SYN.
        let rest = segment.behind_syn();
        self.check_urgent(&rest);
        // Not handed out: the application is told first that the connection is established.
        self.take_text_and_fin(now, &rest, false)
    }

    /// Our SYN is acknowledged: ESTABLISHED.
    pub(super) fn become_established(&mut self, now: Instant) {
        self.go_to(State::Established);
        self.last_text = now;
        if self.recv_buffer.readable() > 0 {
            self.events |= Events::READABLE;
        }
        self.start_keep_alive(now);
        if self.has(Mark::SHUT) {
            self.queue_fin();
        }
    }
}
