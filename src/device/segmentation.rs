//! Super-segments cut into packets, for a device that takes only those: what Linux calls generic
//! segmentation offload.

use crate::wire::codec::SuperHeaders;
use crate::wire::{Checksum, Transmit};

/// A super-segment on its way out, as the packets that the link carries.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    headers: SuperHeaders<'a>,
    payload: [&'a [u8]; 2],
    size: usize,
}

impl<'a> Segments<'a> {
    /// `None` for a packet that needs no cutting.
    pub fn of(packet: &Transmit<'a>) -> Option<Self> {
        let size = usize::from(packet.segment_size?.get());
        let (headers, rest) = SuperHeaders::read(packet.header)?;
        // A packet that was kept for a while is in one piece.
        let payload = if rest.is_empty() { packet.payload } else { [rest, packet.payload[0]] };
        Some(Self { headers, payload, size })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.len().div_ceil(self.size)
    }

    /// Puts the one with this number together in `buffer`; they count from 0.
    pub fn get<'b>(&self, number: usize, buffer: &'b mut Vec<u8>) -> Transmit<'b> {
        let start = (number * self.size).min(self.len());
        let end = (start + self.size).min(self.len());
        let packet = self.headers.emit(buffer, start, self.text(start, end), end == self.len());
        let (payload, checksum) = ([&[][..]; 2], Checksum::Full);
        Transmit { header: packet, payload, segment_size: None, checksum }
    }

    fn len(&self) -> usize {
        self.payload[0].len() + self.payload[1].len()
    }

    /// The payload from `start` to `end`, counted over both pieces.
    fn text(&self, start: usize, end: usize) -> [&'a [u8]; 2] {
        let first = self.payload[0].len();
        let ranges = [
            (start.min(first), end.min(first)),
            (start.saturating_sub(first), end.saturating_sub(first)),
        ];
        [0, 1].map(|piece| {
            let (start, end) = ranges[piece];
            self.payload[piece].get(start..end).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::codec::{self, HeaderBuffer, Packet, TcpHeader};
    use crate::wire::{Flags, Frame, Options, SeqNum, Timestamps};

    fn header(v6: bool, seq: u32, flags: Flags) -> TcpHeader {
        let (local, remote) =
            if v6 { ("[fd00::1]:80", "[fd00::2]:4000") } else { ("10.0.0.1:80", "10.9.8.7:4000") };
        let timestamps = Some(Timestamps { value: 7, echo: 9 });
        TcpHeader {
            flow: crate::wire::Flow::new(local.parse().unwrap(), remote.parse().unwrap()),
            seq: SeqNum(seq),
            ack: SeqNum(77),
            flags,
            window: 500,
            urgent: 0,
            options: Options { timestamps, ..Options::default() },
            traffic_class: 2,
            ttl: 64,
            ident: 0,
            dont_fragment: true,
        }
    }

    proptest! {
        /// The reference: each segment written by itself.
        #[test]
        fn each_segment_is_as_if_it_had_been_written_alone(
            v6: bool,
            seq: u32,
            flags in 0u16..=Flags::all().bits(),
            size in 1u16..1_500,
            first in prop::collection::vec(any::<u8>(), 0..4_000),
            second in prop::collection::vec(any::<u8>(), 0..4_000),
            in_one_piece: bool,
        ) {
            prop_assume!(first.len() + second.len() > 0);
            let flags = Flags::from_bits_retain(flags);
            let mut headers = HeaderBuffer::new();
            let whole = header(v6, seq, flags);
            let checksum = codec::emit_tcp(&mut headers, &whole, [&first, &second], true);
            let all = [&first[..], &second].concat();
            let piece = [headers.as_slice(), &all].concat();
            let (header_bytes, payload) = if in_one_piece {
                (&piece[..], [&[][..], &[]])
            } else {
                (headers.as_slice(), [&first[..], &second])
            };
            let segment_size = NonZeroU16::new(size);
            let packet = Transmit { header: header_bytes, payload, segment_size, checksum };
            let segments = Segments::of(&packet).unwrap();
            let parts: Vec<&[u8]> = all.chunks(usize::from(size)).collect();
            prop_assert_eq!(segments.count(), parts.len());
            let mut buffer = Vec::new();
            for (number, part) in parts.iter().enumerate() {
                let mut flags = flags;
                if number + 1 < parts.len() {
                    flags -= Flags::FIN | Flags::PSH;
                }
                if number > 0 {
                    flags -= Flags::CWR;
                }
                let start = (number * usize::from(size)) as u32;
                let alone = header(v6, seq.wrapping_add(start), flags);
                let mut expected = HeaderBuffer::new();
                codec::emit_tcp(&mut expected, &alone, [part, &[]], false);
                let segment = segments.get(number, &mut buffer);
                prop_assert_eq!(segment.to_vec(), [expected.as_slice(), part].concat());
                prop_assert_eq!(segment.segment_size, None);
                let bytes = segment.to_vec();
                let parsed = codec::parse(&Frame::plain(&bytes));
                prop_assert!(matches!(parsed, Ok(Packet::Tcp { .. })), "{parsed:?}");
            }
        }

        #[test]
        fn what_no_stack_emits_makes_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let segment_size = NonZeroU16::new(10);
            let payload = [&[1; 20][..], &[]];
            let packet =
                Transmit { header: &bytes, payload, segment_size, checksum: Checksum::Full };
            if let Some(segments) = Segments::of(&packet) {
                segments.get(1, &mut Vec::new());
            }
        }
    }

    #[test]
    fn a_segment_alone_is_left_as_it_is() {
        let payload = [&[1; 20][..], &[]];
        let checksum = Checksum::Full;
        let packet = Transmit { header: &[0x45; 40], payload, segment_size: None, checksum };
        assert!(Segments::of(&packet).is_none());
    }
}
