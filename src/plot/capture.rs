//! A capture as a stream of IP packets: pcap (of either byte order, in microseconds or nanoseconds) and
//! pcapng. Nothing is kept but the reader's buffer of 8 MB.

use std::fmt;
use std::io::{self, Chain, Cursor, Read};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, SECTION_HEADER_BLOCK,
};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::link::Link;
use crate::time::Instant;

/// The first bytes of a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The first bytes of a pcap file, as they stand there.
const PCAP: [[u8; 4]; 4] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

/// The first bytes of what gzip, zstd and xz make of a file.
const COMPRESSED: [&[u8]; 3] =
    [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], &[0xfd, 0x37, 0x7a, 0x58]];

/// The fixed fields of an enhanced packet block.
const ENHANCED_PACKET_HEAD: usize = 20;

/// The most interfaces of a pcapng file, which the reader holds as well, with their options. Nobody has so
/// many: what comes behind the last is left out.
const MAX_INTERFACES: usize = 1 << 12;

/// Why a capture cannot be read.
#[derive(Debug)]
pub enum CaptureError {
    /// There is no byte in it.
    Empty,
    /// It is neither pcap nor pcapng, or is damaged from the start.
    NotACapture,
    /// It is compressed.
    Compressed,
    /// The frames are of a link with this number, whose headers are not understood.
    UnknownLink(u32),
    /// The system does not hand it over.
    Io(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty: give a capture with packets in it"),
            Self::NotACapture => f.write_str(
                "it is no capture: give a pcap or pcapng file, as `tunstack serve --pcap FILE` or `tcpdump -w FILE` writes",
            ),
            Self::Compressed => f.write_str("it is compressed: unpack it first"),
            Self::UnknownLink(number) => write!(
                f,
                "its link type {number} ({:?}) is not understood: give a capture of a TUN interface, Ethernet or `tcpdump -i any`",
                DataLink::from(*number)
            ),
            Self::Io(error) => write!(f, "{error}: give a file that can be read"),
        }
    }
}

impl std::error::Error for CaptureError {}

/// How a capture ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Behind its last record.
    Whole,
    /// In the middle of a record, as one does whose writer was killed.
    CutShort,
    /// Before a record that makes no sense.
    Damaged,
}

/// A capture that is open for reading, once, from start to end.
pub struct Capture<R: Read>(Format<R>);

/// A file, with the bytes put back that told what it is.
type Source<R> = Chain<Cursor<[u8; 4]>, R>;

enum Format<R: Read> {
    Pcap { reader: PcapReader<Source<R>>, link: Link },
    PcapNg(PcapNgReader<Source<R>>),
}

impl<R: Read> Capture<R> {
    /// Reads the head of a capture.
    ///
    /// # Errors
    /// When it is none, or of a link that is not understood.
    pub fn open(mut file: R) -> Result<Self, CaptureError> {
        let mut magic = [0; 4];
        match read_up_to(&mut file, &mut magic).map_err(CaptureError::Io)? {
            0 => return Err(CaptureError::Empty),
            4 => {}
            _ => return Err(CaptureError::NotACapture),
        }
        let source = Cursor::new(magic).chain(file);
        if magic == PCAPNG {
            return match PcapNgReader::new(source) {
                Ok(reader) => Ok(Self(Format::PcapNg(reader))),
                Err(error) => Err(at_the_start(error)),
            };
        }
        if !PCAP.contains(&magic) {
            let compressed = COMPRESSED.iter().any(|start| magic.starts_with(start));
            let error =
                if compressed { CaptureError::Compressed } else { CaptureError::NotACapture };
            return Err(error);
        }
        let reader = PcapReader::new(source).map_err(at_the_start)?;
        // The upper half says whether frames end in a check sequence.
        let number = u32::from(reader.header().datalink) & 0xffff;
        let link = Link::from_number(number).ok_or(CaptureError::UnknownLink(number))?;
        Ok(Self(Format::Pcap { reader, link }))
    }

    /// Hands out every IP packet: when it passed, what is left of it, and how long it was.
    ///
    /// # Errors
    /// When the system fails to read on, or when no interface is of a link that is understood.
    pub fn for_each(
        self,
        packet: impl FnMut(Instant, &[u8], usize),
    ) -> Result<Ending, CaptureError> {
        match self.0 {
            Format::Pcap { reader, link } => read_pcap(reader, link, packet),
            Format::PcapNg(reader) => read_pcapng(reader, packet),
        }
    }
}

impl<R: Read> fmt::Debug for Capture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Format::Pcap { .. } => "Capture(pcap)",
            Format::PcapNg(_) => "Capture(pcapng)",
        })
    }
}

/// Fills the buffer as far as the file goes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

fn at_the_start(error: PcapError) -> CaptureError {
    match error {
        PcapError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            CaptureError::Io(error)
        }
        _ => CaptureError::NotACapture,
    }
}

/// What an error in the midst of a capture means for what came before it.
fn in_the_midst(error: PcapError) -> Result<Ending, CaptureError> {
    match error {
        PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Ending::CutShort)
        }
        PcapError::IoError(error) => Err(CaptureError::Io(error)),
        _ => Ok(Ending::Damaged),
    }
}

fn read_pcap<R: Read>(
    mut reader: PcapReader<R>,
    link: Link,
    mut packet: impl FnMut(Instant, &[u8], usize),
) -> Result<Ending, CaptureError> {
    let nanos = match reader.header().ts_resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    // Raw, since the reader's own check refuses a packet that was longer than what was to be kept.
    while let Some(record) = reader.next_raw_packet() {
        let record = match record {
            Ok(record) => record,
            Err(error) => return in_the_midst(error),
        };
        let seconds = u64::from(record.ts_sec).saturating_mul(1_000_000_000);
        let at = Instant::from_nanos(seconds.saturating_add(u64::from(record.ts_frac) * nanos));
        let wire_len = record.orig_len.max(record.incl_len);
        hand_out(link, at, &record.data, wire_len as usize, &mut packet);
    }
    Ok(Ending::Whole)
}

/// An interface of a pcapng file.
#[derive(Clone, Copy)]
struct Interface {
    link: Option<Link>,
    /// How many units of its clock make a second.
    units: u64,
    /// Seconds to be added.
    offset: i64,
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let link = Link::from_number(u32::from(block.linktype));
        let mut interface = Self { link, units: 1_000_000, offset: 0 };
        for option in &block.options {
            match option {
                InterfaceDescriptionOption::IfTsResol(exponent) => {
                    let base = if exponent & 0x80 == 0 { 10u64 } else { 2 };
                    let units = base.checked_pow(u32::from(exponent & 0x7f));
                    interface.units = units.unwrap_or(u64::MAX);
                }
                InterfaceDescriptionOption::IfTsOffset(seconds) => {
                    interface.offset = seconds.cast_signed();
                }
                _ => {}
            }
        }
        interface
    }

    fn time(self, units: u64) -> Instant {
        let nanos = i128::from(units) * 1_000_000_000 / i128::from(self.units)
            + i128::from(self.offset) * 1_000_000_000;
        Instant::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

fn read_pcapng<R: Read>(
    mut reader: PcapNgReader<R>,
    mut packet: impl FnMut(Instant, &[u8], usize),
) -> Result<Ending, CaptureError> {
    let mut interfaces: Vec<Interface> = Vec::new();
    let (mut understood, mut unknown) = (false, None);
    let mut endianness = reader.section().endianness;
    let ending = loop {
        let block = match reader.next_raw_block() {
            None => break Ending::Whole,
            Some(Ok(block)) => block,
            Some(Err(error)) => break in_the_midst(error)?,
        };
        match block.type_ {
            SECTION_HEADER_BLOCK => {
                interfaces.clear();
                endianness = reader.section().endianness;
            }
            INTERFACE_DESCRIPTION_BLOCK => {
                if interfaces.len() == MAX_INTERFACES {
                    break Ending::Damaged;
                }
                if let Some(block) = reader.interfaces().last() {
                    let interface = Interface::new(block);
                    understood |= interface.link.is_some();
                    unknown = unknown.or(Some(u32::from(block.linktype)));
                    interfaces.push(interface);
                }
            }
            ENHANCED_PACKET_BLOCK => {
                let enhanced = enhanced_packet(&block.body, endianness);
                let Some((number, units, data, wire_len)) = enhanced else { continue };
                if let Some(interface) = interfaces.get(number)
                    && let Some(link) = interface.link
                {
                    hand_out(link, interface.time(units), data, wire_len, &mut packet);
                }
            }
            // A packet of another kind of block has no time, or is of a format that nobody writes.
            _ => {}
        }
    };
    match unknown {
        Some(number) if !understood => Err(CaptureError::UnknownLink(number)),
        _ => Ok(ending),
    }
}

/// Interface, time in units of its clock, data and length on the wire of an enhanced packet block.
///
/// Read here, since the reader takes the time for nanoseconds, and refuses a packet for an option of
/// no consequence.
fn enhanced_packet(body: &[u8], endianness: Endianness) -> Option<(usize, u64, &[u8], usize)> {
    let (head, data) = body.split_at_checked(ENHANCED_PACKET_HEAD)?;
    let (words, _) = head.as_chunks::<4>();
    let word = |at: usize| {
        let bytes = *words.get(at)?;
        Some(match endianness {
            Endianness::Big => u32::from_be_bytes(bytes),
            Endianness::Little => u32::from_le_bytes(bytes),
        })
    };
    let units = u64::from(word(1)?) << 32 | u64::from(word(2)?);
    let kept = word(3)?;
    let data = data.get(..kept as usize)?;
    Some((word(0)? as usize, units, data, word(4)?.max(kept) as usize))
}

fn hand_out(
    link: Link,
    at: Instant,
    frame: &[u8],
    wire_len: usize,
    packet: &mut impl FnMut(Instant, &[u8], usize),
) {
    if let Some(start) = link.ip_at(frame)
        && let Some(bytes) = frame.get(start..)
    {
        packet(at, bytes, wire_len - start);
    }
}

#[cfg(test)]
mod tests;
