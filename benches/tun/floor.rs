//! The floor: a responder that does as little as TCP's peer will bear. It shows what the TUN and
//! the kernel's end cost by themselves, and so how much of a stack's time is the stack's.
//!
//! A flow is its sequence numbers. There are no timers, no retransmission and no congestion control;
//! no options but the segment size and the window's scale; headers are read at fixed offsets and
//! written from a template. Sent payload is one byte over and over, whose sum is known without a
//! look at it. What is lost stays lost, but for one thing that costs nothing: three duplicate ACKs
//! send the flow back to what they ask for, or one lost frame would end the measurement.

use std::io::{self, Write};

use super::floor_link::{LARGEST, Link, Offload, VNET_HEADER};

/// Bytes of the headers that we write, without options.
const HEADERS: usize = 40;
/// The segment size in our SYN-ACK, and of what we send.
const MSS: u32 = 1_460;
/// The window that we show is always this much, of 16 bits moved by the scale: 4 MiB.
const WINDOW: u16 = u16::MAX;
const SCALE: u8 = 6;
/// What is sent in bulk.
const FILLER: u8 = b'x';
/// Frames read, or sent, at a time.
const BATCH: usize = 64;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// How the responder works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    /// With the virtio-net header.
    pub(crate) vnet: bool,
    /// Segments that are answered by one ACK, while there are more to read.
    pub(crate) ack_every: u32,
    /// Whether what is sent in bulk is copied into a ring first, as a send buffer must.
    pub(crate) copies: bool,
    /// Bytes in flight at most, and of the ring.
    pub(crate) buffer: u32,
}

/// A flow; one for each port of the peer, as there is only one peer.
#[derive(Clone, Copy, Default)]
struct Flow {
    is_open: bool,
    fin_sent: bool,
    /// The headers of what we send, with the parts that change left at zero.
    template: [[u8; 20]; 2],
    /// The sums of the templates, and that of the pseudo-header but for the length.
    ip_sum: u32,
    tcp_sum: u32,
    pseudo_sum: u32,
    /// The next byte that is expected.
    expected: u32,
    /// The next byte to send.
    next: u32,
    /// The oldest byte that is not acknowledged.
    oldest: u32,
    /// Up to where the ring has been filled.
    filled: u32,
    /// The peer's window and its scale.
    window: u32,
    scale: u8,
    duplicates: u8,
    /// Segments that have come since the last ACK.
    unanswered: u32,
}

/// One frame that came in.
struct Incoming {
    peer_port: u16,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    window: u16,
    /// Where the payload is in the buffer.
    start: usize,
    len: usize,
    segments: u32,
}

struct Responder {
    link: Link,
    settings: Settings,
    flows: Box<[Flow]>,
    /// Ports of the peer whose flows send in bulk, and whose flows owe an ACK.
    sending: Vec<u16>,
    owing: Vec<u16>,
    /// A frame of the filler with room for headers, from which bare bulk data is sent.
    outgoing: Box<[u8]>,
    /// The send buffer, if data is copied.
    ring: Box<[u8]>,
    /// Where the application's data comes from, if it is copied.
    source: Box<[u8]>,
}

/// Answers on every address of the interface's net until the process is killed: port 7 is echo, 9
/// discard, 19 chargen.
///
/// # Errors
/// When the interface cannot be opened, or a frame is refused.
pub(crate) fn serve(tun: &str, settings: Settings) -> io::Result<()> {
    // An echo leaves nothing to be done later, so it may sleep in its read.
    let waits = settings.port == 7;
    let ring = if settings.copies { settings.buffer as usize } else { 0 };
    let mut responder = Responder {
        link: Link::open(tun, settings.vnet, waits)?,
        settings,
        flows: vec![Flow::default(); 1 << 16].into(),
        sending: Vec::new(),
        owing: Vec::new(),
        outgoing: vec![FILLER; LARGEST].into(),
        ring: vec![0; ring].into(),
        source: vec![FILLER; 64 << 10].into(),
    };
    println!("ready");
    io::stdout().flush()?;
    responder.run()
}

impl Responder {
    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST + 1];
        loop {
            let mut drained = false;
            for _ in 0..BATCH {
                let Some(len) = self.link.read(&mut buffer)? else {
                    drained = true;
                    break;
                };
                self.on_frame(&mut buffer, len)?;
            }
            let has_sent = self.send_bulk()?;
            if drained {
                self.answer()?;
                if !has_sent {
                    self.link.wait()?;
                }
            }
        }
    }

    fn on_frame(&mut self, buffer: &mut [u8], len: usize) -> io::Result<()> {
        let Some(incoming) = parse(buffer, len, self.link.before, self.settings.port) else {
            return Ok(());
        };
        let place = usize::from(incoming.peer_port);
        if incoming.flags & SYN != 0 {
            self.forget(incoming.peer_port);
            self.flows[place] = Flow::open(&buffer[self.link.before..], &incoming);
            return self.accept(incoming.peer_port);
        }
        let flow = &mut self.flows[place];
        if !flow.is_open {
            return Ok(());
        }
        if incoming.flags & RST != 0 {
            self.forget(incoming.peer_port);
            return Ok(());
        }
        flow.on_ack(&incoming);
        if flow.fin_sent && flow.oldest == flow.next {
            self.forget(incoming.peer_port);
            return Ok(());
        }
        let has_fin = incoming.flags & FIN != 0;
        if incoming.len == 0 && !has_fin {
            return Ok(());
        }
        if incoming.sequence != flow.expected {
            // A hole before it, or old: what is expected is said at once.
            return self.send_empty(incoming.peer_port, ACK);
        }
        flow.expected = flow.expected.wrapping_add(incoming.len as u32);
        flow.unanswered += incoming.segments;
        if self.settings.port == 7 && incoming.len > 0 {
            self.echo(buffer, &incoming)?;
        }
        if has_fin {
            self.flows[place].expected = self.flows[place].expected.wrapping_add(1);
            return self.close(incoming.peer_port);
        }
        let flow = &self.flows[place];
        if flow.unanswered >= self.settings.ack_every {
            return self.send_empty(incoming.peer_port, ACK);
        }
        if flow.unanswered > 0 && !self.owing.contains(&incoming.peer_port) {
            self.owing.push(incoming.peer_port);
        }
        Ok(())
    }

    fn forget(&mut self, port: u16) {
        self.flows[usize::from(port)].is_open = false;
        self.sending.retain(|&other| other != port);
        self.owing.retain(|&other| other != port);
    }

    fn close(&mut self, port: u16) -> io::Result<()> {
        self.sending.retain(|&other| other != port);
        self.send_empty(port, FIN | ACK)?;
        let flow = &mut self.flows[usize::from(port)];
        flow.fin_sent = true;
        flow.next = flow.next.wrapping_add(1);
        Ok(())
    }

    /// The ACKs that are owed when there is nothing more to read.
    fn answer(&mut self) -> io::Result<()> {
        while let Some(port) = self.owing.pop() {
            if self.flows[usize::from(port)].unanswered > 0 {
                self.send_empty(port, ACK)?;
            }
        }
        Ok(())
    }

    /// The SYN-ACK: with a segment size and a scale, padded in front.
    fn accept(&mut self, port: u16) -> io::Result<()> {
        const OPTIONS: usize = 8;
        let [high, low] = (MSS as u16).to_be_bytes();
        let options = [2, 4, high, low, 1, 3, 3, SCALE];
        let flow = &mut self.flows[usize::from(port)];
        let checksum = (!self.link.has_offload()).then(|| sum(&options));
        let headers = flow.headers(SYN | ACK, OPTIONS, 0, checksum);
        flow.next = flow.next.wrapping_add(1);
        flow.filled = flow.next;
        let mut frame = [0; VNET_HEADER + HEADERS + OPTIONS];
        frame[..VNET_HEADER].copy_from_slice(&Offload::default().emit());
        frame[VNET_HEADER..][..HEADERS].copy_from_slice(&headers);
        frame[VNET_HEADER + HEADERS..].copy_from_slice(&options);
        self.link.write(&frame[VNET_HEADER - self.link.before..])?;
        if self.settings.port == 19 {
            self.sending.push(port);
        }
        Ok(())
    }

    fn send_empty(&mut self, port: u16, flags: u8) -> io::Result<()> {
        let checksum = (!self.link.has_offload()).then_some(0);
        let headers = self.flows[usize::from(port)].headers(flags, 0, 0, checksum);
        let mut frame = [0; VNET_HEADER + HEADERS];
        frame[..VNET_HEADER].copy_from_slice(&Offload::default().emit());
        frame[VNET_HEADER..].copy_from_slice(&headers);
        self.link.write(&frame[VNET_HEADER - self.link.before..])
    }

    /// Sends the payload back from where it is: headers without options are as long as ours.
    fn echo(&mut self, buffer: &mut [u8], incoming: &Incoming) -> io::Result<()> {
        let flow = &mut self.flows[usize::from(incoming.peer_port)];
        let end = incoming.start + incoming.len;
        let before = self.link.before;
        let checksum = (!self.link.has_offload()).then(|| sum(&buffer[incoming.start..end]));
        let headers = flow.headers(ACK, 0, incoming.len, checksum);
        flow.next = flow.next.wrapping_add(incoming.len as u32);
        let start = incoming.start - HEADERS;
        buffer[start..][..HEADERS].copy_from_slice(&headers);
        if before > 0 {
            let segment = if incoming.len > MSS as usize { MSS as u16 } else { 0 };
            let header = Offload { segment }.emit();
            buffer[start - before..start].copy_from_slice(&header);
        }
        self.link.write(&buffer[start - before..end])
    }

    /// Sends what the windows allow, up to a batch. Answers whether that was anything.
    fn send_bulk(&mut self) -> io::Result<bool> {
        let mut has_sent = false;
        for place in 0..self.sending.len() {
            let port = self.sending[place];
            if self.settings.copies {
                self.fill(port);
            }
            for _ in 0..BATCH {
                if !self.send_next(port)? {
                    break;
                }
                has_sent = true;
            }
        }
        Ok(has_sent)
    }

    /// The application's write: as much as the send buffer has room for.
    fn fill(&mut self, port: u16) {
        let flow = &mut self.flows[usize::from(port)];
        let size = self.ring.len();
        // Not more than that either while the SYN is not acknowledged.
        let mut room = size.saturating_sub(flow.filled.wrapping_sub(flow.oldest) as usize);
        while room > 0 {
            let at = flow.filled as usize % size;
            let len = room.min(size - at).min(self.source.len());
            self.ring[at..at + len].copy_from_slice(&self.source[..len]);
            flow.filled = flow.filled.wrapping_add(len as u32);
            room -= len;
        }
    }

    /// Sends one frame, if the windows have room for it. Answers whether it did.
    fn send_next(&mut self, port: u16) -> io::Result<bool> {
        let offload = self.link.has_offload();
        let largest = if offload { (65_535 - HEADERS as u32) / MSS * MSS } else { MSS };
        let flow = &mut self.flows[usize::from(port)];
        let limit = flow.window.min(self.settings.buffer);
        let in_flight = flow.next.wrapping_sub(flow.oldest);
        let room = limit.saturating_sub(in_flight).min(largest);
        // Whole segments only, and no small frames while ACKs are on their way that make room for
        // large ones.
        let len = room / MSS * MSS;
        if len == 0 || (len < largest && in_flight > limit / 2) {
            return Ok(false);
        }
        let checksum = (!offload).then(|| len / 2 * u32::from(u16::from_ne_bytes([FILLER; 2])));
        let headers = flow.headers(ACK, 0, len as usize, checksum);
        let start = flow.next as usize;
        flow.next = flow.next.wrapping_add(len);
        let before = if offload {
            Offload { segment: if len > MSS { MSS as u16 } else { 0 } }.emit()
        } else {
            [0; VNET_HEADER]
        };
        let from = VNET_HEADER - self.link.before;
        let front = VNET_HEADER + HEADERS;
        let header = &mut self.outgoing[..front];
        header[..VNET_HEADER].copy_from_slice(&before);
        header[VNET_HEADER..].copy_from_slice(&headers);
        if self.settings.copies {
            let size = self.ring.len();
            let at = start % size;
            let first = (len as usize).min(size - at);
            let pieces = [&self.ring[at..at + first], &self.ring[..len as usize - first]];
            self.link.gather([&self.outgoing[from..front], pieces[0], pieces[1]])?;
        } else {
            self.link.write(&self.outgoing[from..front + len as usize])?;
        }
        Ok(true)
    }
}

impl Flow {
    /// From a SYN, which `packet` starts with.
    fn open(packet: &[u8], incoming: &Incoming) -> Self {
        let mut ip = [0; 20];
        ip[0] = 0x45;
        ip[6] = 0x40; // not to be fragmented
        ip[8] = 64;
        ip[9] = 6;
        ip[12..16].copy_from_slice(&packet[16..20]);
        ip[16..20].copy_from_slice(&packet[12..16]);
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&packet[22..24]);
        tcp[2..4].copy_from_slice(&packet[20..22]);
        tcp[14..16].copy_from_slice(&WINDOW.to_be_bytes());
        // Linux has its scale at the end of the 20 bytes of options in its SYN.
        let scale = if packet[57] == 3 { packet[59] } else { 0 };
        // Any number will do for a first one.
        let next = !incoming.sequence;
        Self {
            is_open: true,
            template: [ip, tcp],
            ip_sum: sum(&ip),
            tcp_sum: sum(&tcp),
            pseudo_sum: sum(&ip[12..20]) + word(6),
            expected: incoming.sequence.wrapping_add(1),
            next,
            oldest: next,
            filled: next,
            window: u32::from(incoming.window),
            scale,
            ..Self::default()
        }
    }

    fn on_ack(&mut self, incoming: &Incoming) {
        let acknowledged = incoming.acknowledged;
        let window = u32::from(incoming.window) << self.scale;
        let more = acknowledged.wrapping_sub(self.oldest);
        // Beyond `next` as well, after the flow was sent back.
        if more != 0 && more < 1 << 31 {
            self.oldest = acknowledged;
            self.duplicates = 0;
            if self.next.wrapping_sub(acknowledged) > 1 << 31 {
                self.next = acknowledged;
            }
        } else if more == 0
            && incoming.len == 0
            && window == self.window
            && self.next != self.oldest
        {
            self.duplicates += 1;
            if self.duplicates == 3 && !self.fin_sent {
                // A measurement with many of these is none of the floor.
                eprintln!("the floor lost a frame, and sends from there again");
                self.next = self.oldest;
            }
        }
        self.window = window;
    }

    /// The headers of the next segment, which acknowledges all that has come; room for `options` is
    /// behind them. `sum` is that of options and payload, or `None` if the kernel is to complete the
    /// checksum.
    fn headers(
        &mut self,
        flags: u8,
        options: usize,
        len: usize,
        sum_of_rest: Option<u32>,
    ) -> [u8; HEADERS] {
        self.unanswered = 0;
        let [mut ip, mut tcp] = self.template;
        let total = (HEADERS + options + len) as u16;
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        let checksum = !fold(self.ip_sum + word(total));
        ip[10..12].copy_from_slice(&checksum.to_ne_bytes());
        tcp[4..8].copy_from_slice(&self.next.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.expected.to_be_bytes());
        tcp[12] = ((20 + options) as u8 / 4) << 4;
        tcp[13] = flags;
        let pseudo_header = self.pseudo_sum + word(total - 20);
        let checksum = match sum_of_rest {
            Some(rest) => !fold(pseudo_header + self.tcp_sum + sum(&tcp[4..14]) + rest),
            None => fold(pseudo_header),
        };
        tcp[16..18].copy_from_slice(&checksum.to_ne_bytes());
        let mut headers = [0; HEADERS];
        headers[..20].copy_from_slice(&ip);
        headers[20..].copy_from_slice(&tcp);
        headers
    }
}

/// Looks at a frame of `len` bytes, `before` of which are before the packet.
fn parse(buffer: &[u8], len: usize, before: usize, port: u16) -> Option<Incoming> {
    let packet = buffer.get(before..len)?;
    // The kernel sends IPv6 as well, to look for routers.
    if packet.len() < HEADERS || packet[0] != 0x45 || packet[9] != 6 {
        return None;
    }
    let short = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
    if short(22) != port {
        return None;
    }
    let headers = 20 + usize::from(packet[32] >> 4) * 4;
    let len = usize::from(short(2)).checked_sub(headers)?;
    let segment = if before > 0 { Offload::parse(buffer).segment } else { 0 };
    let segments = if segment == 0 { 1 } else { (len as u32).div_ceil(segment.into()) };
    Some(Incoming {
        peer_port: short(20),
        sequence: long(24),
        acknowledged: long(28),
        flags: packet[33],
        window: short(34),
        start: before + headers,
        len,
        segments: if len == 0 { 0 } else { segments },
    })
}

/// The sum of RFC 1071, in the machine's byte order, which comes to the same. Of at most a frame, so
/// that it does not overflow.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |&last| u16::from_ne_bytes([last, 0]).into());
    words.map(|word| u32::from(u16::from_ne_bytes([word[0], word[1]]))).sum::<u32>() + odd
}

/// A number as a word of that sum.
fn word(number: u16) -> u32 {
    u16::from_ne_bytes(number.to_be_bytes()).into()
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xFFFF) + (sum >> 16);
    ((once & 0xFFFF) + (once >> 16)) as u16
}
