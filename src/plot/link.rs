//! What stands before the IP packet in a record of a capture, by the capture's link type.

use std::fmt;

/// The kinds of links whose frames are understood, by their numbers in capture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// 101, and 12 and 14 of some BSDs, 228 and 229: IP packets with nothing before them.
    Raw,
    /// 1: Ethernet, with VLAN tags or without.
    Ethernet,
    /// 0 and 108: the loopback interface of BSDs, four bytes.
    Loopback,
    /// 113: what `tcpdump -i any` writes, 16 bytes.
    Cooked,
    /// 276: the same, second version, 20 bytes.
    Cooked2,
}

/// The EtherTypes that lead on.
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const VLAN: [u8; 2] = [0x81, 0x00];
const PROVIDER_VLAN: [u8; 2] = [0x88, 0xa8];

/// The most VLAN tags that are walked.
const MAX_TAGS: usize = 4;

impl Link {
    /// The kind with this number, if it is one that is understood.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            1 => Some(Self::Ethernet),
            0 | 108 => Some(Self::Loopback),
            113 => Some(Self::Cooked),
            276 => Some(Self::Cooked2),
            _ => None,
        }
    }

    /// Where the IP packet begins in a frame; none if the frame holds something else.
    pub(super) fn ip_at(self, frame: &[u8]) -> Option<usize> {
        match self {
            Self::Raw => Some(0),
            // The family before it has other numbers on each system; the packet knows its version.
            Self::Loopback => Some(4),
            Self::Ethernet => behind_ether_type(frame, 12),
            Self::Cooked => behind_ether_type(frame, 14),
            Self::Cooked2 => behind_ether_type(frame, 0).map(|_| 20),
        }
    }
}

/// Where the IP packet begins behind the EtherType at `at` and the VLAN tags that follow it.
fn behind_ether_type(frame: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..=MAX_TAGS {
        match *frame.get(at..)?.first_chunk()? {
            IPV4 | IPV6 => return Some(at + 2),
            VLAN | PROVIDER_VLAN => at += 4,
            _ => return None,
        }
    }
    None
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw IP",
            Self::Ethernet => "Ethernet",
            Self::Loopback => "BSD loopback",
            Self::Cooked => "Linux cooked",
            Self::Cooked2 => "Linux cooked, version 2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_found_behind_every_kind_of_header() {
        let ethernet = |types: &[u8]| [&[0; 12], types, &[0x45]].concat();
        for (number, frame, expected) in [
            (101, vec![0x45], Some(0)),
            (0, vec![2, 0, 0, 0, 0x45], Some(4)),
            (1, ethernet(&[0x08, 0x00]), Some(14)),
            (1, ethernet(&[0x81, 0x00, 0, 7, 0x86, 0xdd]), Some(18)),
            (1, ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 8, 0x08, 0x00]), Some(22)),
            (1, ethernet(&[0x08, 0x06]), None),
            (1, ethernet(&[0x81, 0x00].repeat(20)), None),
            (1, vec![0; 5], None),
            (113, [&[0; 14][..], &[0x08, 0x00]].concat(), Some(16)),
            (276, [&[0x86, 0xdd][..], &[0; 18]].concat(), Some(20)),
            (276, vec![8, 6], None),
        ] {
            let link = Link::from_number(number).unwrap();
            assert_eq!(link.ip_at(&frame), expected, "{number}: {frame:?}");
        }
        assert_eq!(Link::from_number(127), None);
    }
}
