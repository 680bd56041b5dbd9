//! Packets that are not TCP, and TCP packets bent out of shape, byte by byte.

use std::net::{IpAddr, SocketAddr};

use super::packet::{address, internet_checksum};

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP_V6: u8 = 58;

/// An IP packet without options.
pub fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (20 + payload.len() as u16).to_be_bytes();
            packet.extend([0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            fix_ipv4_checksum(&mut packet);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let len = (payload.len() as u16).to_be_bytes();
            packet.extend([0x60, 0, 0, 0, len[0], len[1], protocol, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        _ => panic!("the families differ"),
    }
    packet.extend_from_slice(payload);
    packet
}

/// Makes the checksum of the IPv4 header right again after a change.
pub fn fix_ipv4_checksum(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    let sum = internet_checksum(&[&packet[..header_len]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// What a congested router does with a packet whose transport understands ECN (RFC 3168 section 5):
/// sets CE. Answers whether it is such a packet.
pub fn mark(packet: &mut [u8]) -> bool {
    let is_ipv4 = packet[0] >> 4 == 4;
    let shift = if is_ipv4 { 0 } else { 4 };
    let is_capable = matches!(packet[1] >> shift & 3, 1 | 2);
    if is_capable {
        packet[1] |= 3 << shift;
        if is_ipv4 {
            fix_ipv4_checksum(packet);
        }
    }
    is_capable
}

/// Makes the checksum of a TCP segment in an IPv4 packet right again after a change.
pub fn fix_tcp_checksum(packet: &mut [u8]) {
    let start = usize::from(packet[0] & 0xf) * 4;
    packet[start + 16..start + 18].fill(0);
    let len = (packet.len() - start) as u16;
    let pseudo = [0, TCP, len.to_be_bytes()[0], len.to_be_bytes()[1]];
    let sum = internet_checksum(&[&packet[12..20], &pseudo, &packet[start..]]);
    packet[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
}

/// An ICMP or ICMPv6 message.
pub fn icmp(from: IpAddr, to: IpAddr, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    message.extend_from_slice(data);
    let sum = if from.is_ipv6() {
        let len = (message.len() as u32).to_be_bytes();
        let pseudo = [&addresses(from, to)[..], &len, &[0, 0, 0, ICMP_V6]].concat();
        internet_checksum(&[&pseudo, &message])
    } else {
        internet_checksum(&[&message])
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let protocol = if from.is_ipv6() { ICMP_V6 } else { ICMP };
    ip(from, to, protocol, &message)
}

/// What a router says of `packet`, which is longer than the `mtu` of the next link. The router is
/// host number 254 of the network.
pub fn too_big(packet: &[u8], mtu: usize) -> Vec<u8> {
    let ipv6 = packet[0] >> 4 == 6;
    let router = address(254, ipv6);
    let mtu = (mtu as u32).to_be_bytes();
    if ipv6 {
        let sender: [u8; 16] = packet[8..24].try_into().expect("an IPv6 header");
        let quote = &packet[..packet.len().min(1_232)];
        icmp(router, IpAddr::from(sender), 2, 0, mtu, quote)
    } else {
        let sender: [u8; 4] = packet[12..16].try_into().expect("an IPv4 header");
        let quote = &packet[..packet.len().min(28)];
        icmp(router, IpAddr::from(sender), 3, 4, mtu, quote)
    }
}

/// A UDP datagram.
pub fn udp(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let len = 8 + data.len() as u16;
    let mut datagram = Vec::new();
    for field in [from.port(), to.port(), len, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend_from_slice(data);
    let pseudo_len = u32::from(len).to_be_bytes();
    let pseudo = [&addresses(from.ip(), to.ip())[..], &pseudo_len, &[0, 0, 0, UDP]].concat();
    let sum = match internet_checksum(&[&pseudo, &datagram]) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), UDP, &datagram)
}

/// Both addresses in a row.
fn addresses(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [octets(from), octets(to)].concat()
}
