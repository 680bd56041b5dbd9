//! The one packet that the device did not take.

use std::num::NonZeroU16;

use crate::wire::{Checksum, Transmit};

/// Keeps a packet that the stack has already counted as sent until the device has room. While
/// there is one, the stack is not asked for more, so one place is enough.
#[derive(Debug)]
pub(super) struct Held {
    /// The packet in one piece; the buffer is kept for the next one.
    bytes: Vec<u8>,
    segment_size: Option<NonZeroU16>,
    checksum: Checksum,
    is_full: bool,
}

impl Held {
    pub(super) fn none() -> Self {
        Self { bytes: Vec::new(), segment_size: None, checksum: Checksum::Full, is_full: false }
    }

    pub(super) fn keep(&mut self, packet: &Transmit<'_>) {
        self.bytes.clear();
        packet.append_to(&mut self.bytes);
        self.segment_size = packet.segment_size;
        self.checksum = packet.checksum;
        self.is_full = true;
    }

    pub(super) fn is_some(&self) -> bool {
        self.is_full
    }

    /// The packet, to be tried again. Header and payload are one piece now, which no device minds:
    /// where the header ends is in its length fields.
    pub(super) fn packet(&self) -> Option<Transmit<'_>> {
        self.is_full.then_some(Transmit {
            header: &self.bytes,
            payload: [&[], &[]],
            segment_size: self.segment_size,
            checksum: self.checksum,
        })
    }

    pub(super) fn clear(&mut self) {
        self.is_full = false;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_kept_packet_is_the_same_packet() {
        let mut held = Held::none();
        assert!(held.packet().is_none());
        let packet = Transmit {
            header: b"head",
            payload: [b"er", b" text"],
            segment_size: NonZeroU16::new(3),
            checksum: Checksum::Partial { start: 1, offset: 2 },
        };
        held.keep(&packet);
        let again = held.packet().unwrap();
        assert_eq!(again.to_vec(), packet.to_vec());
        assert_eq!(again.segment_size, packet.segment_size);
        assert_eq!(again.checksum, packet.checksum);
        held.clear();
        assert!(!held.is_some() && held.packet().is_none());
    }
}
