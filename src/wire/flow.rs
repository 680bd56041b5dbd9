//! The four-tuple that names a connection.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address in four words, so that comparing, hashing and copying take no branches. IPv4 lies
/// in the range that RFC 4291 section 2.5.5.2 keeps for it; no packet of IPv6 may carry such an
/// address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Address([u32; 4]);

/// The third word of an IPv4 address.
const MAPPED: u32 = 0xffff;

impl Address {
    #[inline]
    fn new(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self([0, 0, MAPPED, v4.to_bits()]),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                Self([96, 64, 32, 0].map(|shift| (bits >> shift) as u32))
            }
        }
    }

    #[inline]
    fn is_ipv4(self) -> bool {
        matches!(self.0, [0, 0, MAPPED, _])
    }

    #[inline]
    fn ip(self) -> IpAddr {
        let [a, b, c, d] = self.0;
        if self.is_ipv4() {
            return Ipv4Addr::from_bits(d).into();
        }
        let bits = [a, b, c, d].iter().fold(0, |bits, &word| bits << 32 | u128::from(word));
        IpAddr::V6(bits.into())
    }
}

/// The pair of endpoints of a connection, seen from our side (RFC 9293 section 3.3.2: "local
/// and remote socket"). Both addresses are of the same family.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
        let words = self.local.0.iter().chain(&self.remote.0).chain([&ports]);
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
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
