//! What holds of every segment that a stack sends, in any state: the auditor sees each packet as
//! it leaves and fails the test on the first that breaks a rule. The rules are about one side's
//! own promises, so faults of the wire cannot excuse a breach.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tunstack::wire::{EcnField, Flags, Options, SeqNum, WindowScale};

use super::packet::Packet;

/// The send MSS that a stack may insist on when its peer announces less.
const MSS_FLOOR: usize = 48;

/// One direction of a connection, as seen in the segments of its sender.
#[derive(Clone, Copy, Debug)]
struct Half {
    iss: SeqNum,
    /// The options of the SYN.
    offered: Options,
    /// The number after the last one ever sent.
    sent_end: SeqNum,
    /// The same of the connection before this one between the same ports; its peer may still be
    /// where that one ended.
    older_end: Option<SeqNum>,
    /// And the right edge of its receive window, which that peer may still go by.
    older_edge: Option<SeqNum>,
    /// The number after the FIN.
    fin_end: Option<SeqNum>,
    acked: Option<SeqNum>,
    /// The right edge of the receive window, the furthest ever announced.
    right_edge: Option<SeqNum>,
    /// Whether a SYN or SYN-ACK of this side was one that sets up ECN, and whether all were.
    any_setup: bool,
    all_setup: bool,
    /// The same of accurate ECN, and whether this side has asked for it, not only answered.
    any_accurate: bool,
    all_accurate: bool,
    asks: bool,
}

/// The auditor of all connections between two hosts.
#[derive(Default)]
pub struct Audit {
    halves: BTreeMap<(SocketAddr, SocketAddr), Half>,
    /// Whether a host may run out of memory for what it has promised, and take its window back.
    may_take_back: bool,
}

impl Audit {
    /// An auditor of hosts that may run out of memory, or may not.
    pub fn new(may_take_back: bool) -> Self {
        Self { may_take_back, ..Self::default() }
    }

    /// Looks at a packet as it leaves its stack.
    #[track_caller]
    pub fn on_sent(&mut self, packet: &Packet, bytes: &[u8]) {
        // A reset speaks of the peer's numbers, not of the sender's.
        if packet.has(Flags::RST) {
            return;
        }
        if packet.has(Flags::SYN) {
            self.on_syn(packet);
        }
        let other = self.halves.get(&(packet.to, packet.from)).copied();
        let Some(half) = self.halves.get_mut(&(packet.from, packet.to)) else {
            panic!("a segment of a connection whose sender never sent a SYN: {packet}");
        };
        half.check_ecn(packet, other.as_ref());
        half.check_sequence(packet, other.as_ref());
        if packet.has(Flags::SYN) {
            half.check_syn_window(packet);
            return;
        }
        // RFC 9293 3.10.7.4, fifth step: without ACK a segment of a connection is void.
        assert!(packet.has(Flags::ACK), "no ACK: {packet}");
        let Some(other) = other else {
            panic!("an acknowledgment of a SYN that was never sent: {packet}");
        };
        half.check_acknowledgment(packet, &other);
        half.check_window(packet, &other, self.may_take_back);
        half.check_options(packet, &other);
        check_segment_size(packet, &other, bytes);
    }

    fn on_syn(&mut self, packet: &Packet) {
        let fresh = Half {
            iss: packet.seq,
            offered: packet.options,
            sent_end: packet.seq + 1,
            older_end: None,
            older_edge: None,
            fin_end: None,
            acked: None,
            right_edge: None,
            any_setup: false,
            all_setup: true,
            any_accurate: false,
            all_accurate: true,
            asks: false,
        };
        let half = self.halves.entry((packet.from, packet.to)).or_insert(fresh);
        // A SYN that follows anything else starts over, also with a fixed initial number.
        let has_begun = half.sent_end != half.iss + 1 || half.acked.is_some();
        if half.iss != packet.seq || has_begun {
            // It may also be the SYN of a moment ago, sent again: the older one is still the same.
            let again = half.iss == packet.seq;
            let older = |now: Option<SeqNum>, before: Option<SeqNum>| match (now, before) {
                (Some(now), Some(before)) if again => Some(now.later(before)),
                (now, before) => now.or(before.filter(|_| again)),
            };
            let older_end = older(Some(half.sent_end), half.older_end);
            let older_edge = older(half.right_edge, half.older_edge);
            // What both have agreed to stays so, though a SYN-ACK that is sent again no longer says it.
            let any_accurate = again && half.any_accurate;
            *half = Half { older_end, older_edge, any_accurate, ..fresh };
        }
        let setup = if packet.has(Flags::ACK) { Flags::ECE } else { Flags::ECE | Flags::CWR };
        let is_setup = packet.flags & (Flags::ECE | Flags::CWR) == setup;
        half.any_setup |= is_setup;
        half.all_setup &= is_setup;
        let ace = packet.flags & (Flags::AE | Flags::ECE | Flags::CWR);
        let is_accurate = if packet.has(Flags::ACK) {
            // RFC 9768, table 2: neither that of RFC 3168, nor reserved.
            ace.intersects(Flags::AE | Flags::CWR) && !ace.contains(Flags::AE | Flags::ECE)
        } else {
            ace.contains(Flags::AE)
        };
        // RFC 9768 3.1.3: "MUST NOT send a SYN with any combination other than the three listed".
        let all = Flags::AE | Flags::ECE | Flags::CWR;
        assert!(packet.has(Flags::ACK) || !is_accurate || ace == all, "ECN: {packet}");
        half.any_accurate |= is_accurate;
        half.all_accurate &= is_accurate;
        half.asks |= !packet.has(Flags::ACK);
    }
}

impl Half {
    /// RFC 3168 6.1.1 to 6.1.6: ECT and CWR belong on new text alone, and only once both sides have
    /// set ECN up; ECE on what follows that. A side that has also said nothing of it may have no ECT, but
    /// its peer still waits for CWR where it has echoed congestion.
    fn check_ecn(&self, packet: &Packet, other: Option<&Self>) {
        let agreed = self.any_setup && other.is_some_and(|other| other.any_setup);
        let is_new = !packet.text.is_empty() && packet.seq.is_at_or_after(self.sent_end);
        let marks = packet.ecn() != EcnField::NotEct;
        assert!(matches!(packet.ecn(), EcnField::NotEct | EcnField::Ect0), "{packet}");
        if packet.has(Flags::SYN) {
            assert!(!marks, "a SYN with ECT: {packet}");
            return;
        }
        if self.any_accurate && other.is_some_and(|other| other.any_accurate) {
            // RFC 9768 3.1.5: a side that answers must not mark once it has said nothing of it; and
            // what RFC 3168 says of what may be marked still stands.
            let may_mark = self.asks || self.all_accurate;
            assert!(!marks || is_new && may_mark, "ECN: {packet}");
            return;
        }
        assert!(!packet.has(Flags::AE), "a counter without accurate ECN: {packet}");
        let reduced = packet.has(Flags::CWR);
        assert!(!(marks || reduced) || is_new && agreed, "ECN: {packet}");
        assert!(!marks || self.all_setup, "ECN: {packet}");
        assert!(!packet.has(Flags::ECE) || agreed, "ECE without ECN: {packet}");
    }

    fn check_sequence(&mut self, packet: &Packet, other: Option<&Self>) {
        // RFC 9293 3.10.4: nothing follows a FIN.
        if let Some(fin_end) = self.fin_end {
            assert!(packet.end().is_at_or_before(fin_end), "text after the FIN: {packet}");
        }
        if packet.has(Flags::FIN) {
            self.fin_end = Some(packet.end());
        }
        self.sent_end = self.sent_end.later(packet.end());
        // RFC 9293 3.8.6.1: beyond the window go only a probe of one byte, and a FIN.
        if let Some(edge) = other.and_then(|other| other.right_edge) {
            let text_end = packet.seq + packet.text.len() as u32;
            let older = other.and_then(|other| other.older_edge);
            let fits = |edge: SeqNum| text_end.is_at_or_before(edge + 1);
            assert!(
                packet.text.is_empty() || fits(edge) || older.is_some_and(fits),
                "text beyond the peer's window, which ends at {edge}: {packet}"
            );
        }
    }

    fn check_acknowledgment(&mut self, packet: &Packet, other: &Self) {
        let ends = [Some(other.sent_end), other.older_end];
        assert!(
            ends.into_iter().flatten().any(|end| packet.ack.is_at_or_before(end)),
            "an acknowledgment of what was never sent: {packet}"
        );
        if let Some(acked) = self.acked {
            assert!(packet.ack.is_at_or_after(acked), "RCV.NXT goes back from {acked}: {packet}");
        }
        self.acked = Some(packet.ack);
    }

    /// RFC 7323 2.2: the window of a SYN is never scaled.
    fn check_syn_window(&mut self, packet: &Packet) {
        if packet.has(Flags::ACK) {
            let edge = packet.ack + u32::from(packet.window);
            self.right_edge.get_or_insert(edge);
        }
    }

    /// RFC 9293 3.8.6: a receiver should not shrink the window (SHLD-14). A scaled window can be
    /// said only in steps, so it may appear to shrink by less than one step (RFC 7323 2.4).
    fn check_window(&mut self, packet: &Packet, other: &Self, may_take_back: bool) {
        let scale = match (self.offered.window_scale, other.offered.window_scale) {
            (Some(own), Some(_)) => own,
            _ => WindowScale::default(),
        };
        let edge = packet.ack + scale.expand(packet.window);
        let step = 1 << scale.shift();
        let furthest = self.right_edge.unwrap_or(edge);
        assert!(
            may_take_back || furthest.is_before(edge + step),
            "the right edge of the window moves left from {furthest} to {edge}: {packet}"
        );
        self.right_edge = Some(furthest.later(edge));
    }

    fn check_options(&self, packet: &Packet, other: &Self) {
        let options = &packet.options;
        assert!(
            options.mss.is_none() && options.window_scale.is_none() && !options.sack_permitted,
            "an option that only a SYN may have: {packet}"
        );
        // RFC 7323 3.2: once agreed on, the option is in every segment; else in none.
        let agreed = self.offered.timestamps.is_some() && other.offered.timestamps.is_some();
        assert_eq!(options.timestamps.is_some(), agreed, "timestamps: {packet}");
        // RFC 2018 2 and 4.
        let permitted = self.offered.sack_permitted && other.offered.sack_permitted;
        assert!(permitted || options.sack.is_empty(), "SACK blocks: {packet}");
        let counts = self.any_accurate && other.any_accurate;
        assert!(counts || options.ecn.is_none(), "counters without accurate ECN: {packet}");
        for block in options.sack.as_slice() {
            assert!(
                !block.is_empty() && block.end.is_at_or_before(other.sent_end),
                "a SACK block of what was never sent: {packet}"
            );
        }
    }
}

/// RFC 9293 3.7.1 (MUST-16): what is sent fits the MSS the peer announced, options included.
fn check_segment_size(packet: &Packet, other: &Half, bytes: &[u8]) {
    let default = if packet.to.is_ipv6() { 1220 } else { 536 };
    let announced = usize::from(other.offered.mss.unwrap_or(default)).max(MSS_FLOOR);
    let ip_header = if packet.to.is_ipv6() { 40 } else { 20 };
    let size = bytes.len() - ip_header - 20;
    assert!(
        packet.text.is_empty() || size <= announced,
        "{size} bytes of options and text exceed the MSS of {announced}: {packet}"
    );
}
