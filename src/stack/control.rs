//! Packets on their way in, up to the transport that they are for; ICMP and UDP are dealt with
//! here.

use std::net::IpAddr;

use super::{Entry, Received, Stack};
use crate::ip::path_mtu::PathMtus;
use crate::tcp::SoftError;
use crate::time::Instant;
use crate::wire::Frame;
use crate::wire::codec::{self, DropReason, Packet};
use crate::wire::icmp::{self, IcmpError, IcmpErrorKind};

impl Stack {
    /// A packet of any kind has arrived.
    pub(super) fn take_packet<'f>(
        &mut self,
        now: Instant,
        frame: Frame<'f>,
        hand_out: bool,
    ) -> Received<'f> {
        self.advance(now);
        self.counters.packets_in += 1;
        // By reference: what was parsed is large, and moving it would cost more than reading it.
        match &codec::parse(&frame) {
            Ok(Packet::Tcp { flow, segment, .. }) => self.on_segment(flow, segment, hand_out),
            Ok(packet) => {
                self.take_other(packet, &frame);
                Received { data: None, owed_now: self.replies.is_urgent() }
            }
            Err(reason) => {
                self.counters.drops.count(*reason);
                Received::default()
            }
        }
    }

    /// A packet of anything but TCP.
    fn take_other(&mut self, packet: &Packet<'_>, frame: &Frame<'_>) {
        let (source, destination) = match packet {
            Packet::Tcp { flow, .. } | Packet::Udp { flow, .. } => (flow.remote(), flow.local()),
            Packet::Echo(echo) => (echo.source, echo.destination),
            // Who sent it may be any router.
            Packet::IcmpError(error) => (error.flow.remote(), error.flow.local()),
            Packet::Other { source, destination, .. } => (*source, *destination),
        };
        if !self.is_between_us_and_others(source, destination) {
            return;
        }
        match packet {
            Packet::Tcp { .. } => {}
            Packet::Udp { .. } => {
                self.counters.udp_no_port += 1;
                self.send_error(icmp::port_unreachable(frame.bytes));
            }
            Packet::Echo(echo) => {
                if self.replies.push(&icmp::echo_reply(echo)) {
                    self.counters.echo_replies += 1;
                } else {
                    self.counters.replies_dropped += 1;
                }
            }
            Packet::IcmpError(error) => self.on_icmp_error(error),
            Packet::Other { .. } => {
                self.counters.unknown_protocol += 1;
                // RFC 1122 section 3.2.2.1
                self.send_error(icmp::protocol_unreachable(frame.bytes));
            }
        }
    }

    /// Whether a packet is for one of our addresses and comes from none of them; counts it when
    /// not.
    pub(super) fn is_between_us_and_others(&mut self, source: IpAddr, destination: IpAddr) -> bool {
        if !self.is_ours(destination) {
            self.counters.not_for_us += 1;
            return false;
        }
        if self.is_ours(source) {
            // Nobody but us sends from our addresses.
            self.counters.drops.count(DropReason::MartianSource);
            return false;
        }
        true
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        self.config.addresses.contains(&address)
    }

    /// Sends an ICMP error, unless there have been too many.
    fn send_error(&mut self, error: Option<Vec<u8>>) {
        let Some(error) = error else { return };
        if !self.icmp_limit.allow(self.now) {
            self.counters.icmp_limited += 1;
        } else if self.replies.push(&error) {
            self.counters.unreachable_out += 1;
        } else {
            self.counters.replies_dropped += 1;
        }
    }

    /// An ICMP error about a segment that we are said to have sent. It counts only if what it
    /// quotes is in flight (RFC 5927 section 4.1).
    fn on_icmp_error(&mut self, error: &IcmpError) {
        self.counters.icmp_errors_in += 1;
        let entry = self.table.get(&self.keys, &self.slabs, &error.flow);
        let Some(Entry::Connection(id)) = entry else {
            self.counters.icmp_errors_ignored += 1;
            return;
        };
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return;
        };
        let connection = &mut slot.connection;
        if !connection.is_in_flight(error.seq) {
            self.counters.icmp_errors_ignored += 1;
            return;
        }
        match error.kind {
            IcmpErrorKind::Unreachable(what) => {
                connection.on_icmp_error(SoftError::Unreachable(what));
            }
            IcmpErrorKind::TimeExceeded => connection.on_icmp_error(SoftError::TimeExceeded),
            IcmpErrorKind::ParameterProblem => {
                connection.on_icmp_error(SoftError::ParameterProblem);
            }
            IcmpErrorKind::PacketTooBig { mtu } => {
                let remote = error.flow.remote();
                let mtu = PathMtus::believed(remote, mtu as usize, connection.path_mtu());
                connection.on_packet_too_big(mtu);
                self.paths.learn(remote, mtu, self.now);
            }
            // RFC 9293 section 3.9.2.2 (MUST-55): discarded in silence.
            IcmpErrorKind::SourceQuench => {}
        }
        self.settle(id);
    }
}
