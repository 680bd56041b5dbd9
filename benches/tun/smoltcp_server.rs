//! A server on smoltcp with the same services as `tunstack serve`, over the same kind of device,
//! written to be as quick as smoltcp lets it: no allocation for a packet, up to 64 packets read
//! before anything is answered (as tunstack does), and only the sockets that a measurement needs,
//! since smoltcp looks at each of them for every packet.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tun_tap::{Iface, Mode};

/// Bytes of the largest IP packet.
const MTU: usize = 1_500;
/// Packets read before anything is answered.
const BATCH: usize = 64;

/// What the server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Echo,
    Discard,
    Chargen,
}

/// The device: one packet in, one packet out, each in a buffer of its own.
struct Tun {
    file: File,
    incoming: [u8; MTU],
    outgoing: [u8; MTU],
}

struct Incoming<'a>(&'a [u8]);
struct Outgoing<'a> {
    file: &'a File,
    buffer: &'a mut [u8; MTU],
}

impl Tun {
    #[allow(unsafe_code)]
    fn open(name: &str) -> io::Result<Self> {
        let iface = Iface::without_packet_info(name, Mode::Tun)?;
        iface.set_non_blocking()?;
        // SAFETY: `into_raw_fd` gives the only owner of an open descriptor away.
        let file = unsafe { File::from_raw_fd(iface.into_raw_fd()) };
        Ok(Self { file, incoming: [0; MTU], outgoing: [0; MTU] })
    }
}

impl phy::Device for Tun {
    type RxToken<'a> = Incoming<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        // Nothing there, or the interface is down: either way there is no packet.
        let len = self.file.read(&mut self.incoming).ok()?;
        let incoming = Incoming(self.incoming.get(..len)?);
        let outgoing = Outgoing { file: &self.file, buffer: &mut self.outgoing };
        Some((incoming, outgoing))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing { file: &self.file, buffer: &mut self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl phy::RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, write: F) -> R {
        let packet = &mut self.buffer[..len];
        let result = write(packet);
        // What the kernel does not take is lost on the link.
        let _ = self.file.write(packet);
        result
    }
}

struct Server {
    interface: Interface,
    tun: Tun,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    port: u16,
    service: Service,
    pattern: Vec<u8>,
    /// How far into the pattern each socket is, in the order of the handles.
    positions: Vec<usize>,
}

/// Serves the port on `address` until the process is killed: 7 is echo, 9 discard, 19 chargen.
///
/// # Errors
/// When the interface cannot be opened or the port has no service.
pub(crate) fn serve(
    tun: &str,
    address: Ipv4Addr,
    port: u16,
    sockets: usize,
    buffer: usize,
) -> io::Result<()> {
    let service = match port {
        7 => Service::Echo,
        9 => Service::Discard,
        19 => Service::Chargen,
        _ => return Err(io::Error::other(format!("nothing to serve on port {port}"))),
    };
    let mut tun = Tun::open(tun)?;
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = 7;
    let mut interface = Interface::new(config, &mut tun, Instant::now());
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(address.into(), 24)).expect("there is room for one");
    });
    // The host, behind which the client may be.
    let [a, b, c, _] = address.octets();
    let host = Ipv4Addr::new(a, b, c, 1);
    interface.routes_mut().add_default_ipv4_route(host).expect("there is room for one");
    let mut server = Server {
        interface,
        tun,
        sockets: SocketSet::new(Vec::new()),
        handles: Vec::new(),
        port,
        service,
        pattern: pattern(),
        positions: vec![0; sockets],
    };
    for _ in 0..sockets {
        server.add(buffer);
    }
    // They listen before anybody is told, or the first client would be refused.
    server.serve_all();
    println!("ready");
    io::stdout().flush()?;
    server.run()
}

/// RFC 864's pattern, laid out nine times behind itself, as tunstack's chargen has it.
fn pattern() -> Vec<u8> {
    let ring = (b' '..=b'~').cycle();
    let line = |start| ring.clone().skip(start).take(72).chain(*b"\r\n");
    let period: Vec<u8> = (0..95).flat_map(line).collect();
    period.repeat(9)
}

/// tunstack's timestamps are of a millisecond as well.
fn milliseconds() -> u32 {
    Instant::now().total_millis() as u32
}

impl Server {
    fn add(&mut self, buffer: usize) {
        let buffer = || SocketBuffer::new(vec![0; buffer]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_tsval_generator(Some(milliseconds));
        self.handles.push(self.sockets.add(socket));
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let now = Instant::now();
            let mut full = true;
            for _ in 0..BATCH {
                let taken =
                    self.interface.poll_ingress_single(now, &mut self.tun, &mut self.sockets);
                if taken == PollIngressSingleResult::None {
                    full = false;
                    break;
                }
            }
            self.serve_all();
            while self.interface.poll_egress(now, &mut self.tun, &mut self.sockets)
                != PollResult::None
            {}
            if !full {
                self.sleep(now)?;
            }
        }
    }

    /// Until there is a packet, or a timer is due.
    fn sleep(&mut self, now: Instant) -> io::Result<()> {
        let delay = self.interface.poll_delay(now, &self.sockets);
        let timeout = delay.map(|delay| TimeSpec::from_duration(delay.into()));
        let mut readable = [PollFd::new(self.tun.file.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut readable, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn serve_all(&mut self) {
        for (handle, position) in self.handles.iter().zip(&mut self.positions) {
            let socket = self.sockets.get_mut::<Socket<'_>>(*handle);
            if socket.state() == State::Closed {
                *position = 0;
                socket.listen(self.port).expect("a closed socket can listen");
            }
            match self.service {
                Service::Echo => echo(socket),
                Service::Discard => throw_away(socket),
                Service::Chargen => {
                    throw_away(socket);
                    generate(socket, &self.pattern, position);
                }
            }
            if socket.state() == State::CloseWait && socket.send_queue() == 0 {
                socket.close();
            }
        }
    }
}

fn echo(socket: &mut Socket<'_>) {
    while socket.can_recv() && socket.can_send() {
        let mut room = socket.send_capacity() - socket.send_queue();
        let mut text = [0; 2_048];
        room = room.min(text.len());
        let read = socket.recv_slice(&mut text[..room]).unwrap_or(0);
        let written = socket.send_slice(&text[..read]).unwrap_or(0);
        assert_eq!(written, read, "there was room");
    }
}

fn throw_away(socket: &mut Socket<'_>) {
    while socket.can_recv() {
        let thrown = socket.recv(|data| (data.len(), ()));
        thrown.expect("there is something");
    }
}

fn generate(socket: &mut Socket<'_>, pattern: &[u8], position: &mut usize) {
    let period = pattern.len() / 9;
    while socket.can_send() {
        let written = socket.send_slice(&pattern[*position..]).unwrap_or(0);
        *position = (*position + written) % period;
    }
}
