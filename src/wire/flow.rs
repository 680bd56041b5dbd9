//! The four-tuple that names a connection.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address as 128 bits, so that comparing, hashing and copying take no branches. IPv4 lies in
/// the range that RFC 4291 section 2.5.5.2 keeps for it; no packet of IPv6 may carry such an
/// address.
///
/// In halves, since a processor waits when it reads at once what was just written in pieces. Aligned
/// to words, for there may be many of them.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Address {
    high: u64,
    low: u64,
}

/// What stands above the 32 bits of an IPv4 address.
const MAPPED: u64 = 0xffff;

impl Address {
    #[inline]
    fn new(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self { high: 0, low: MAPPED << 32 | u64::from(v4.to_bits()) },
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                Self { high: (bits >> 64) as u64, low: bits as u64 }
            }
        }
    }

    #[inline]
    fn is_ipv4(self) -> bool {
        self.high == 0 && self.low >> 32 == MAPPED
    }

    #[inline]
    fn ip(self) -> IpAddr {
        if self.is_ipv4() {
            return Ipv4Addr::from_bits(self.low as u32).into();
        }
        Ipv6Addr::from_bits(u128::from(self.high) << 64 | u128::from(self.low)).into()
    }

    /// Zero if both are the same.
    #[inline]
    fn difference(self, other: Self) -> u64 {
        (self.high ^ other.high) | (self.low ^ other.low)
    }
}

/// The pair of endpoints of a connection, seen from our side (RFC 9293 section 3.3.2: "local
/// and remote socket"). Both addresses are of the same family.
#[derive(Clone, Copy)]
pub struct Flow {
    local: Address,
    remote: Address,
    local_port: u16,
    remote_port: u16,
}

impl Flow {
    /// The connection between these two endpoints.
    #[inline]
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::between((local.ip(), local.port()), (remote.ip(), remote.port()))
    }

    /// The connection between our address and port and the peer's.
    #[inline]
    pub fn between(local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        Self {
            local: Address::new(local.0),
            remote: Address::new(remote.0),
            local_port: local.1,
            remote_port: remote.1,
        }
    }

    /// Our address.
    #[inline]
    pub fn local(&self) -> IpAddr {
        self.local.ip()
    }

    /// The peer's address.
    #[inline]
    pub fn remote(&self) -> IpAddr {
        self.remote.ip()
    }

    /// Our port.
    #[inline]
    pub fn local_port(&self) -> u16 {
        self.local_port
    }

    /// The peer's port.
    #[inline]
    pub fn remote_port(&self) -> u16 {
        self.remote_port
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        SocketAddr::new(self.local(), self.local_port)
    }

    /// The peer's end.
    pub fn remote_addr(&self) -> SocketAddr {
        SocketAddr::new(self.remote(), self.remote_port)
    }

    /// The same connection, seen from the peer's side.
    pub fn reversed(&self) -> Self {
        Self {
            local: self.remote,
            remote: self.local,
            local_port: self.remote_port,
            remote_port: self.local_port,
        }
    }

    /// Whether the connection runs over IPv6.
    #[inline]
    pub fn is_ipv6(&self) -> bool {
        !self.local.is_ipv4()
    }

    /// Bytes of the IP header without options or extension headers.
    #[inline]
    pub fn ip_header_len(&self) -> usize {
        if self.is_ipv6() { 40 } else { 20 }
    }

    /// The whole of it, for hashing.
    #[inline]
    pub(crate) fn bytes(&self) -> [u8; 36] {
        let mut bytes = [0; 36];
        let ports = u32::from(self.local_port) << 16 | u32::from(self.remote_port);
        let (local, remote) = (self.local, self.remote);
        let halves = [local.high, local.low, remote.high, remote.low];
        let (places, rest) = bytes.as_chunks_mut();
        for (place, half) in places.iter_mut().zip(halves) {
            *place = half.to_le_bytes();
        }
        rest.copy_from_slice(&ports.to_le_bytes());
        bytes
    }
}

impl PartialEq for Flow {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ports = self.local_port == other.local_port && self.remote_port == other.remote_port;
        let addresses = self.local.difference(other.local) | self.remote.difference(other.remote);
        ports && addresses == 0
    }
}

impl Eq for Flow {}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <-> {}", self.local_addr(), self.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_out_as_they_went_in() {
        for (local, remote) in [
            ("10.0.0.1:80", "255.255.255.254:65535"),
            ("[fd74::2]:7", "[::1:2:3]:1"),
            ("[::]:0", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9"),
        ] {
            let (local, remote): (SocketAddr, SocketAddr) =
                (local.parse().unwrap(), remote.parse().unwrap());
            let flow = Flow::new(local, remote);
            assert_eq!((flow.local_addr(), flow.remote_addr()), (local, remote));
            assert_eq!(flow.is_ipv6(), local.is_ipv6());
            assert_eq!(flow.reversed(), Flow::new(remote, local));
        }
    }
}
