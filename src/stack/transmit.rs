//! Packets on their way out: the replies that wait, then the connections in turn.

use core::fmt;

use super::templates::Templates;
use super::{ConnId, Counters, QUANTUM, Slot, Stack};
use crate::tcp::{MOST_TEXT, Outgoing};
use crate::time::Instant;
use crate::wire::codec::{self, HeaderBuffer, TcpHeader, Variable};
use crate::wire::{Checksum, Flags, Flow, Offload, Transmit};

impl Stack {
    /// What whoever sends the packets does for the stack, from the next one on. At first that is
    /// [`Offload::Nothing`].
    pub fn set_offload(&mut self, offload: Offload) {
        self.offload = offload;
    }

    /// The next packet to send. Poll until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.advance(now);
        if self.replies.is_waiting() {
            self.counters.packets_out += 1;
            let header = self.replies.pop()?;
            let (payload, checksum) = ([&[][..]; 2], Checksum::Full);
            return Some(Transmit { header, payload, segment_size: None, checksum });
        }
        let mut outgoing = None;
        let id = self.next_segment(&mut outgoing)?;
        let outgoing = outgoing.as_ref()?;
        let slot = self.slabs.connections.get_mut(id)?;
        let segment_size = outgoing.segment_size;
        let partial = match self.offload {
            Offload::Nothing => false,
            Offload::Segmentation => segment_size.is_some(),
            Offload::Checksums | Offload::SegmentationAndChecksums => true,
        };
        let (payload, checksum) =
            slot.emit(id, outgoing, &mut self.templates, &mut self.header, partial);
        let header = self.header.as_slice();
        Some(Transmit { header, payload, segment_size, checksum })
    }

    /// The next segment of the connections that may have something to send, each in its turn, and
    /// whose it is. It is put where the caller wants it: moving it costs as much as building it.
    #[inline]
    fn next_segment(&mut self, outgoing: &mut Option<Outgoing>) -> Option<ConnId> {
        let most = match self.offload {
            Offload::Nothing | Offload::Checksums => 0,
            Offload::Segmentation | Offload::SegmentationAndChecksums => MOST_TEXT,
        };
        while let Some(&id) = self.ready.front() {
            let Some(slot) = self.slabs.connections.get_mut(id) else {
                self.quantum = QUANTUM;
                self.ready.pop_front();
                continue;
            };
            slot.connection.set_room(self.memory.room());
            *outgoing = slot.connection.poll_transmit(self.now, most);
            // One that is over is still needed for the segment it has just given, and goes when it
            // gives none.
            let may_have_more = slot.connection.may_transmit() || !slot.attached;
            if let Some(outgoing) = outgoing
                && may_have_more
            {
                let segments = u8::try_from(outgoing.segments()).unwrap_or(u8::MAX);
                self.quantum = self.quantum.saturating_sub(segments);
                if self.quantum == 0 {
                    self.quantum = QUANTUM;
                    self.ready.rotate_left(1);
                }
            } else {
                self.quantum = QUANTUM;
                slot.ready = false;
                slot.connection.give_back(&mut self.spares);
                // The records of what it has sent.
                self.memory.charge(slot);
                self.ready.pop_front();
                let events = slot.connection.take_events();
                if !events.is_empty() {
                    self.publish(id, events);
                }
                let slot = self.slabs.connections.get_mut(id)?;
                if !slot.attached {
                    self.wind_up(id);
                } else if let Some(at) = slot.connection.poll_timeout() {
                    self.deadlines.arm(id, &mut slot.armed, at);
                }
            }
            if let Some(outgoing) = outgoing {
                self.counters.on_sent(outgoing);
                return Some(id);
            }
        }
        None
    }

    /// Queues a segment that belongs to no connection.
    pub(super) fn reply(&mut self, flow: Flow, outgoing: &Outgoing) {
        self.reply_with(flow, outgoing, self.settings.diffserv(), self.settings.ttl);
    }

    /// The same where it is known what the IP header should say.
    pub(super) fn reply_with(&mut self, flow: Flow, outgoing: &Outgoing, diffserv: u8, ttl: u8) {
        log::debug!("{}", Line(&flow, outgoing));
        let mut header = HeaderBuffer::new();
        let fields = tcp_header(flow, outgoing, diffserv, ttl);
        codec::emit_tcp(&mut header, &fields, [&[], &[]], false);
        if self.replies.push(header.as_slice()) {
            self.counters.segments_out += 1;
            self.counters.resets_out += u64::from(outgoing.flags.contains(Flags::RST));
        } else {
            self.counters.replies_dropped += 1;
        }
    }
}

impl Slot {
    /// Writes the headers of a segment that the connection has just given, its checksum complete or
    /// `partial`; answers its text.
    #[inline]
    fn emit(
        &self,
        id: ConnId,
        outgoing: &Outgoing,
        templates: &mut Templates,
        header: &mut HeaderBuffer,
        partial: bool,
    ) -> ([&[u8]; 2], Checksum) {
        let payload = self.connection.text(outgoing.text);
        let (flow, settings) = (self.connection.flow(), self.connection.settings());
        log::debug!("{}", Line(flow, outgoing));
        if !outgoing.is_ordinary() {
            let fields = tcp_header(*flow, outgoing, settings.diffserv(), settings.ttl);
            let checksum = codec::emit_tcp(header, &fields, payload, partial);
            return (payload, checksum);
        }
        let Outgoing { seq, ack, flags, window, ref options, ecn, .. } = *outgoing;
        let timestamps = options.timestamps;
        let template = templates.get(id, flow, settings, timestamps.is_some());
        let variable = Variable { seq, ack, flags, window, timestamps, ecn };
        let checksum = template.emit(header, &variable, payload, partial);
        (payload, checksum)
    }
}

impl Counters {
    /// A segment of a connection goes out.
    #[inline]
    fn on_sent(&mut self, outgoing: &Outgoing) {
        self.packets_out += 1;
        let segments = u64::from(outgoing.segments());
        if outgoing.retransmission {
            self.segments_retransmitted += segments;
        } else {
            self.segments_out += segments;
        }
        self.resets_out += u64::from(outgoing.flags.contains(Flags::RST));
    }
}

fn tcp_header(flow: Flow, outgoing: &Outgoing, diffserv: u8, ttl: u8) -> TcpHeader {
    TcpHeader {
        flow,
        seq: outgoing.seq,
        ack: outgoing.ack,
        flags: outgoing.flags,
        window: outgoing.window,
        urgent: outgoing.urgent,
        options: outgoing.options,
        // RFC 9293 section 3.9.1.9 (SHLD-22): the Diffserv field is as it was given.
        traffic_class: diffserv | outgoing.ecn.bits(),
        ttl,
        // RFC 6864 section 4.1: the field means nothing in a packet that cannot be fragmented.
        ident: 0,
        dont_fragment: true,
    }
}

/// A segment on its way out, as one line of a log.
struct Line<'a>(&'a Flow, &'a Outgoing);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(flow, outgoing) = self;
        write!(f, "{} > {}: {outgoing}", flow.local_addr(), flow.remote_addr())
    }
}
