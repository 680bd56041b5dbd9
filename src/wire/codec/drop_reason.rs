//! Why a packet is not looked at any further.

use core::fmt;

/// Declares the reasons with their counters' names, so that no list of them can miss one.
macro_rules! drop_reasons {
    ($($(#[$doc:meta])+ $reason:ident => $name:literal,)+) => {
        /// Why a packet was dropped before any connection saw it. Each has a counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[$doc])+ $reason,)+
        }

        impl DropReason {
            /// Every reason, in the order of [`index`](Self::index).
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The name of its counter: Linux's, where Linux counts the same.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

drop_reasons! {
    /// The packet ends before its headers or its length field say.
    Truncated => "IpExtInTruncatedPkts",
    /// The packet is longer than any IP packet can be.
    Oversized => "IpInOversizedPkts",
    /// The version is neither 4 nor 6, or there is no byte at all.
    NotIp => "IpInUnknownVersions",
    /// A length in the IP header, its options or its extension headers contradicts another.
    MalformedIp => "IpInHdrErrors",
    /// The checksum of the IPv4 header is wrong.
    BadIpChecksum => "IpExtInCsumErrors",
    /// The sender chose the route (RFC 7126 sections 4.3 and 4.4, RFC 5095).
    SourceRoute => "IpInSourceRoutes",
    /// A part of a packet; there is no reassembly.
    Fragment => "IpInFragments",
    /// An extension header or option that this host must understand and does not.
    UnknownExtension => "Ip6InUnknownExtensions",
    /// More IPv6 extension headers than a host has to walk (RFC 8504 section 5.3).
    TooManyExtensions => "Ip6InTooManyExtensions",
    /// An IPv6 packet with nothing in it (RFC 8200 section 4.7).
    NoNextHeader => "Ip6InNoNextHeaders",
    /// The source address is not one that a host can send from (RFC 1122 section 3.2.1.3).
    MartianSource => "IpInMartianSources",
    /// The packet is for a group or for everybody.
    MulticastOrBroadcast => "IpInMulticastOrBroadcast",
    /// Source and destination are the same address and port.
    Land => "IpInLandAttacks",
    /// The TCP header is cut off, or its data offset is impossible.
    MalformedTcp => "TcpInHdrErrors",
    /// The TCP checksum is wrong.
    BadChecksum => "TcpInCsumErrors",
    /// The UDP header is cut off, or its length is impossible.
    MalformedUdp => "UdpInErrors",
    /// The UDP checksum is wrong, or is missing over IPv6.
    BadUdpChecksum => "UdpInCsumErrors",
    /// The ICMP message is cut off, or what it quotes is.
    MalformedIcmp => "IcmpInErrors",
    /// The ICMP checksum is wrong.
    BadIcmpChecksum => "IcmpInCsumErrors",
    /// An ICMP message that nobody here acts on (RFC 1122 section 3.2.2).
    IgnoredIcmp => "IcmpInIgnored",
}

impl DropReason {
    /// The place of its counter in a table of `ALL.len()`.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
