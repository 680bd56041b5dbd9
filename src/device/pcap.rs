//! A tap: records every packet that passes a device, in the file format of tcpdump and Wireshark.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use log::warn;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::{Device, Losses};
use crate::wire::{Frame, Transmit};

/// Bytes of a packet that are kept, at most: all of them (the limit that tcpdump uses).
const SNAP_LEN: u32 = 262_144;

/// A device whose packets are recorded in both directions: what arrived, and what the device took.
///
/// A super-segment is recorded as one packet, and a checksum that a device is to finish as it stands,
/// which tools take for a wrong one.
///
/// The stack's clock counts from an epoch of its own, so the times in the file come from the
/// wall clock, read when a packet passes. A test gives its own clock to [`Pcap::with_clock`].
pub struct Pcap<D> {
    device: D,
    /// `None` after a failed write: recording stops, traffic does not.
    recorder: Option<Recorder>,
}

impl<D: Device> Pcap<D> {
    /// Records the packets of `device` into a new file at `path`; one that exists is overwritten.
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub fn create(device: D, path: &Path) -> io::Result<Self> {
        let wall_clock =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::with_clock(device, File::create(path)?, wall_clock)
    }

    /// Records into `file`, with the times (since 1970) that `clock` tells.
    ///
    /// # Errors
    /// When the file's header cannot be written.
    pub fn with_clock(
        device: D,
        file: impl Write + Send + 'static,
        clock: impl FnMut() -> Duration + Send + 'static,
    ) -> io::Result<Self> {
        let recorder = Recorder::new(Box::new(file), Box::new(clock)).map_err(into_io)?;
        Ok(Self { device, recorder: Some(recorder) })
    }

    fn record(&mut self, what: impl FnOnce(&mut Recorder) -> Result<(), PcapError>) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = what(recorder)
        {
            let error = into_io(error);
            warn!("cannot write the capture file, it ends here: {error}");
            self.recorder = None;
        }
    }
}

impl<D: Device> Device for Pcap<D> {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        let frame = self.device.receive(buffer)?;
        self.record(|recorder| recorder.packet(frame.bytes));
        Ok(frame)
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        self.device.send(packet)?;
        self.record(|recorder| recorder.transmit(packet));
        Ok(())
    }

    fn mtu(&self) -> usize {
        self.device.mtu()
    }

    fn offload(&self) -> bool {
        self.device.offload()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.device.fd()
    }

    fn failure(&self) -> io::Error {
        self.device.failure()
    }

    fn idle(&mut self) {
        self.record(Recorder::flush);
        self.device.idle();
    }

    fn losses(&self) -> Losses {
        self.device.losses()
    }
}

/// The open file. Dropping it writes out what is buffered.
struct Recorder {
    writer: PcapWriter<Output>,
    output: Output,
    clock: Box<dyn FnMut() -> Duration + Send>,
    /// Where a packet is put together from its pieces.
    gathered: Vec<u8>,
    /// Something was written since the last flush.
    is_dirty: bool,
}

impl Recorder {
    fn new(
        file: Box<dyn Write + Send>,
        clock: Box<dyn FnMut() -> Duration + Send>,
    ) -> Result<Self, PcapError> {
        let output = Output(Arc::new(Mutex::new(BufWriter::new(file))));
        let header = PcapHeader {
            datalink: DataLink::RAW,
            snaplen: SNAP_LEN,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::Big,
            ..PcapHeader::default()
        };
        let mut recorder = Self {
            writer: PcapWriter::with_header(output.clone(), header)?,
            output,
            clock,
            gathered: Vec::new(),
            is_dirty: true,
        };
        recorder.flush()?;
        Ok(recorder)
    }

    fn packet(&mut self, bytes: &[u8]) -> Result<(), PcapError> {
        self.is_dirty = true;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let packet = PcapPacket::new((self.clock)(), len, bytes);
        self.writer.write_packet(&packet).map(drop)
    }

    fn transmit(&mut self, packet: &Transmit<'_>) -> Result<(), PcapError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        packet.append_to(&mut gathered);
        let result = self.packet(&gathered);
        self.gathered = gathered;
        result
    }

    fn flush(&mut self) -> Result<(), PcapError> {
        if std::mem::take(&mut self.is_dirty) {
            self.output.flush().map_err(PcapError::IoError)?;
        }
        Ok(())
    }
}

/// What the writer writes to, shared with it because it gives no access to what it wraps and has
/// no flush of its own.
#[derive(Clone)]
struct Output(Arc<Mutex<BufWriter<Box<dyn Write + Send>>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()
    }
}

fn into_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

impl<D: fmt::Debug> fmt::Debug for Pcap<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcap")
            .field("device", &self.device)
            .field("records", &self.recorder.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use pcap_file::pcap::PcapReader;

    use super::super::MemoryDevice;
    use super::*;
    use crate::wire::Checksum;

    /// A file in memory that stays readable after the device is gone.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn bytes(&self) -> Vec<u8> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn packet(payload: &[u8]) -> Transmit<'_> {
        Transmit {
            header: b"E\0",
            payload: [payload, b"."],
            segment_size: None,
            checksum: Checksum::Full,
        }
    }

    /// Ticks one second and one nanosecond a packet, from 1000 s on.
    fn clock() -> impl FnMut() -> Duration + Send {
        let mut now = Duration::from_secs(1_000);
        move || {
            now += Duration::new(1, 1);
            now
        }
    }

    #[test]
    fn both_directions_are_recorded_with_their_times() {
        let (left, mut right) = MemoryDevice::pair(1500, 1);
        let file = Shared::default();
        let mut tap = Pcap::with_clock(left, file.clone(), clock()).unwrap();

        tap.send(&packet(b"out")).unwrap();
        assert!(tap.send(&packet(b"no room")).is_err());
        right.send(&packet(b"in")).unwrap();
        let mut buffer = [0; 64];
        tap.receive(&mut buffer).unwrap();
        assert!(tap.receive(&mut buffer).is_err());
        drop(tap);

        let bytes = file.bytes();
        // Magic number of nanosecond files, written big-endian; link type 101 (raw IP).
        assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()), 0xa1b2_3c4d);
        assert_eq!(u32::from_be_bytes(bytes[20..24].try_into().unwrap()), 101);
        assert_eq!(bytes.len(), 24 + 2 * 16 + 6 + 5, "nothing else is in the file");
        let mut reader = PcapReader::new(&bytes[..]).unwrap();
        let first = reader.next_packet().unwrap().unwrap().into_owned();
        assert_eq!(&*first.data, b"E\0out.");
        assert_eq!(first.timestamp, Duration::new(1_001, 1));
        assert_eq!(first.orig_len, 6);
        let second = reader.next_packet().unwrap().unwrap().into_owned();
        assert_eq!(&*second.data, b"E\0in.");
        assert_eq!(second.timestamp, Duration::new(1_002, 2));
        assert!(reader.next_packet().is_none());
    }

    #[test]
    fn the_header_is_written_at_once_and_packets_when_idle() {
        let (left, _right) = MemoryDevice::pair(1500, 8);
        let file = Shared::default();
        let mut tap = Pcap::with_clock(left, file.clone(), clock()).unwrap();
        assert_eq!(file.bytes().len(), 24);
        tap.send(&packet(b"x")).unwrap();
        assert_eq!(file.bytes().len(), 24);
        tap.idle();
        assert_eq!(file.bytes().len(), 24 + 16 + 4);
    }

    /// Takes the header and then fails.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_ends_the_recording_but_not_the_traffic() {
        let (left, mut right) = MemoryDevice::pair(1500, 8);
        let mut tap = Pcap::with_clock(left, Full(24), clock()).unwrap();
        tap.send(&packet(b"one")).unwrap();
        tap.idle();
        assert!(tap.recorder.is_none());
        tap.send(&packet(b"two")).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(right.receive(&mut buffer).unwrap().bytes, b"E\0one.");
        assert_eq!(right.receive(&mut buffer).unwrap().bytes, b"E\0two.");
    }

    #[test]
    fn a_file_that_cannot_be_written_at_all_is_an_error() {
        let (left, _right) = MemoryDevice::pair(1500, 8);
        assert!(Pcap::with_clock(left, Full(0), clock()).is_err());
    }
}
