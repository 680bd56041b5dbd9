//! IP packets to values and back; the only place that names etherparse.
//!
//! [`parse()`] accepts what RFC 9293 section 3.1, RFC 1122 section 3.2 and RFC 8200 call a packet
//! for a host and answers everything else with a [`DropReason`]; it copies nothing and allocates
//! nothing. [`emit_tcp`] writes the headers of a segment into a buffer of the caller's, and
//! [`SuperHeaders`] those of the segments of a super-segment. [`observe()`] reads what a host would not:
//! the packets of others, out of a capture.
//!
//! What the flags of a segment mean together is left to the state machine, since RFC 9293
//! section 3.10.7 gives an answer to every combination.

mod drop_reason;
mod emit;
mod ip;
mod observe;
mod options;
mod parse;
mod split;
mod template;

pub use drop_reason::DropReason;
pub use emit::{HeaderBuffer, TcpHeader, emit_tcp};
pub use observe::{Observed, observe};
pub use options::options_len;
pub use parse::parse;
pub use split::SuperHeaders;
pub use template::{Template, Variable};

pub(super) use emit::{IpFields, emit_ip};
pub(super) use ip::{IpPacket, quoted_tcp, read as read_ip};

use std::net::IpAddr;

use super::icmp::{Echo, IcmpError};
use super::{Flow, Segment};

/// Where the length stands in a TCP header, and behind it the flags (RFC 9293 section 3.1).
const TCP_OFFSET_AT: usize = 12;

/// What a packet carries. Lengths and, unless somebody vouched for them, checksums are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'f> {
    /// A TCP segment.
    Tcp {
        /// The connection, seen from us: its local end is the packet's destination.
        flow: Flow,
        /// The segment.
        segment: Segment<'f>,
    },
    /// A UDP datagram.
    Udp {
        /// Both ends, seen from us.
        flow: Flow,
        /// The data.
        payload: &'f [u8],
    },
    /// An ICMP echo request.
    Echo(Echo<'f>),
    /// An ICMP error that quotes a TCP segment of ours.
    IcmpError(IcmpError),
    /// A packet of a protocol that nobody here serves.
    Other {
        /// Who sent it.
        source: IpAddr,
        /// Whom it is for.
        destination: IpAddr,
        /// The protocol number, behind any extension headers.
        protocol: u8,
    },
}

#[cfg(test)]
mod tests;
