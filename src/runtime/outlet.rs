//! The way out to the device: super-segments are cut where the device cannot, and what it has no
//! room for is kept.

use std::io;
use std::num::NonZeroU16;

use crate::device::{Device, Segments};
use crate::wire::{Checksum, Offload, Transmit};

/// Keeps a packet that the stack has already counted as sent until the device has room. While
/// there is one, the stack is not asked for more, so one place is enough.
#[derive(Debug)]
pub(super) struct Outlet {
    kept: Option<Kept>,
    /// The packet that is kept, in one piece; the buffer stays for the next one.
    bytes: Vec<u8>,
    /// Where segments are put together.
    segment: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    segment_size: Option<NonZeroU16>,
    checksum: Checksum,
    /// How many segments of it have gone out.
    sent: usize,
}

impl Outlet {
    pub(super) fn new() -> Self {
        Self { kept: None, bytes: Vec::new(), segment: Vec::new() }
    }

    /// What the stack leaves to be done, by the device or here.
    pub(super) fn offload(device: &impl Device) -> Offload {
        if device.offload() { Offload::SegmentationAndChecksums } else { Offload::Segmentation }
    }

    /// Whether something waits for room.
    pub(super) fn is_blocked(&self) -> bool {
        self.kept.is_some()
    }

    /// Sends a packet, while nothing waits. Answers how many segments the device has taken; the
    /// rest waits.
    pub(super) fn send(
        &mut self,
        device: &mut impl Device,
        packet: &Transmit<'_>,
    ) -> io::Result<usize> {
        let (sent, blocked) = pass_on(device, packet, 0, &mut self.segment)?;
        if blocked {
            self.bytes.clear();
            packet.append_to(&mut self.bytes);
            let Transmit { segment_size, checksum, .. } = *packet;
            self.kept = Some(Kept { segment_size, checksum, sent });
        }
        Ok(sent)
    }

    /// Tries again what waits; whether it has gone.
    pub(super) fn flush(&mut self, device: &mut impl Device) -> io::Result<bool> {
        let Some(kept) = &mut self.kept else { return Ok(true) };
        // Header and payload are one piece now, which no device minds: where the header ends is in
        // its length fields.
        let packet = Transmit {
            header: &self.bytes,
            payload: [&[], &[]],
            segment_size: kept.segment_size,
            checksum: kept.checksum,
        };
        let (sent, blocked) = pass_on(device, &packet, kept.sent, &mut self.segment)?;
        kept.sent += sent;
        if !blocked {
            self.kept = None;
        }
        Ok(!blocked)
    }
}

/// Sends a packet, or its segments from this number on. How many the device has taken, and whether
/// it has no room for the next.
fn pass_on(
    device: &mut impl Device,
    packet: &Transmit<'_>,
    from: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<(usize, bool)> {
    let segments = if device.offload() { None } else { Segments::of(packet) };
    let Some(segments) = segments else {
        let taken = offer(device, packet)?;
        return Ok((usize::from(taken), !taken));
    };
    for number in from..segments.count() {
        if !offer(device, &segments.get(number, buffer))? {
            return Ok((number - from, true));
        }
    }
    Ok((segments.count() - from, false))
}

/// Whether the device has taken the packet.
fn offer(device: &mut impl Device, packet: &Transmit<'_>) -> io::Result<bool> {
    match device.send(packet) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::BorrowedFd;

    use super::*;
    use crate::wire::codec::{self, HeaderBuffer, TcpHeader};
    use crate::wire::{Flags, Flow, Frame, Options, SeqNum};

    /// Has room for so many packets.
    #[derive(Default)]
    struct Narrow {
        room: usize,
        offload: bool,
        sent: Vec<Vec<u8>>,
    }

    impl Device for Narrow {
        fn receive<'b>(&mut self, _: &'b mut [u8]) -> io::Result<Frame<'b>> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
            self.room = self.room.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            self.sent.push(packet.to_vec());
            Ok(())
        }

        fn mtu(&self) -> usize {
            1_500
        }

        fn fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        fn offload(&self) -> bool {
            self.offload
        }
    }

    /// A super-segment of ten bytes in segments of three.
    fn with_super_segment<T>(test: impl FnOnce(&Transmit<'_>) -> T) -> T {
        let header = TcpHeader {
            flow: Flow::new("10.0.0.1:80".parse().unwrap(), "10.0.0.2:4000".parse().unwrap()),
            seq: SeqNum(1),
            ack: SeqNum(1),
            flags: Flags::ACK,
            window: 1_000,
            urgent: 0,
            options: Options::default(),
            traffic_class: 0,
            ttl: 64,
            ident: 0,
            dont_fragment: true,
        };
        let mut headers = HeaderBuffer::new();
        let payload = [&b"01234"[..], b"56789"];
        let checksum = codec::emit_tcp(&mut headers, &header, payload, true);
        let segment_size = NonZeroU16::new(3);
        test(&Transmit { header: headers.as_slice(), payload, segment_size, checksum })
    }

    #[test]
    fn what_there_is_no_room_for_goes_out_later_once() {
        let whole = with_super_segment(|packet| {
            let mut device = Narrow { room: 9, ..Narrow::default() };
            assert_eq!(Outlet::new().send(&mut device, packet).unwrap(), 4);
            device.sent
        });
        let texts: Vec<&[u8]> = whole.iter().map(|packet| &packet[40..]).collect();
        assert_eq!(texts, [&b"012"[..], b"345", b"678", b"9"]);
        for room in 0..4 {
            let mut device = Narrow { room, ..Narrow::default() };
            let mut outlet = Outlet::new();
            let sent = with_super_segment(|packet| outlet.send(&mut device, packet).unwrap());
            assert_eq!(sent, room);
            assert!(outlet.is_blocked());
            assert!(!outlet.flush(&mut device).unwrap());
            for _ in room..3 {
                device.room = 1;
                assert!(!outlet.flush(&mut device).unwrap());
            }
            device.room = 1;
            assert!(outlet.flush(&mut device).unwrap());
            assert!(!outlet.is_blocked());
            assert_eq!(device.sent, whole);
        }
    }

    #[test]
    fn a_device_that_cuts_gets_it_whole() {
        let mut device = Narrow { offload: true, ..Narrow::default() };
        let mut outlet = Outlet::new();
        let expected = with_super_segment(|packet| {
            assert_eq!(outlet.send(&mut device, packet).unwrap(), 0);
            packet.to_vec()
        });
        device.room = 1;
        assert!(outlet.flush(&mut device).unwrap());
        assert_eq!(device.sent, [expected]);
    }
}
