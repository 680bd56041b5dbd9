//! The kernel's end of the measurements: a program of its own with plain sockets.
//!
//! It prints one line: how much it has moved (bytes, round trips, connections), the seconds that
//! took, and those for which this process ran.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};

/// The congestion control of the client's sockets: that of most hosts.
pub(crate) const CONGESTION: &str = "cubic";
/// Connections at a time where many are opened.
pub(crate) const AT_A_TIME: usize = 64;
/// Bytes that each of them sends and gets back.
const TEXT: usize = 64;
/// Bytes written or read at a time in bulk.
pub(crate) const CHUNK: usize = 256 << 10;

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Sends in bulk to a server that throws it away.
    Send,
    /// Receives in bulk, from servers with send buffers of the same size.
    Receive,
    /// The same, from a server whose send buffer grows as `tunstack serve` has it.
    ReceiveDefault,
    /// Sends a byte, waits until it is back, and so on.
    PingPong,
    /// Connects, sends a few bytes, waits until they are back, closes, and so on, many at a time.
    Transactions,
}

impl Work {
    pub(crate) const ALL: [Self; 5] =
        [Self::Send, Self::Receive, Self::ReceiveDefault, Self::PingPong, Self::Transactions];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::ReceiveDefault => "receive-default",
            Self::PingPong => "ping-pong",
            Self::Transactions => "transactions",
        }
    }

    /// The port of the service that it needs.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Send => 9,
            Self::Receive | Self::ReceiveDefault => 19,
            Self::PingPong | Self::Transactions => 7,
        }
    }
}

/// Does the work for about `seconds`, and prints the line.
///
/// # Errors
/// When the server does not do its part.
pub(crate) fn run(work: Work, server: SocketAddrV4, seconds: f64) -> io::Result<()> {
    let duration = Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let end = start + duration;
    let moved = match work {
        Work::Send => send(server, end)?,
        Work::Receive | Work::ReceiveDefault => receive(server, end)?,
        Work::PingPong => ping_pong(server, end)?,
        Work::Transactions => Transactions::new(server, end)?.run()?,
    };
    let took = start.elapsed().as_secs_f64();
    let schedstat = fs::read_to_string("/proc/self/schedstat")?;
    let ran = schedstat.split(' ').next().and_then(|text| text.parse::<f64>().ok());
    println!("{moved} {took} {}", ran.unwrap_or(0.0) / 1e9);
    Ok(())
}

/// Connects as the measurements do.
///
/// # Errors
/// When the server does not take it.
pub(crate) fn connect_to(server: SocketAddrV4) -> io::Result<TcpStream> {
    open(server, SockFlag::empty())
}

fn open(server: SocketAddrV4, flags: SockFlag) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::TcpCongestion, &OsString::from(CONGESTION))?;
    match connect(socket.as_raw_fd(), &SockaddrIn::from(server)) {
        Err(Errno::EINPROGRESS) | Ok(()) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// The bytes that were sent and acknowledged: it ends when the server has closed, which it does
/// when it has got all of them.
fn send(server: SocketAddrV4, end: Instant) -> io::Result<u64> {
    let mut stream = connect_to(server)?;
    let chunk = vec![b'x'; CHUNK];
    let mut sent = 0;
    while Instant::now() < end {
        sent += stream.write(&chunk)? as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    let more = stream.read(&mut [0])?;
    ensure(more == 0, "the server answers what it should throw away")?;
    Ok(sent)
}

fn receive(server: SocketAddrV4, end: Instant) -> io::Result<u64> {
    let mut stream = connect_to(server)?;
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    while Instant::now() < end {
        let more = stream.read(&mut chunk)? as u64;
        ensure(more > 0, "the server has closed")?;
        received += more;
    }
    Ok(received)
}

fn ping_pong(server: SocketAddrV4, end: Instant) -> io::Result<u64> {
    let mut stream = connect_to(server)?;
    stream.set_nodelay(true)?;
    let mut round_trips = 0u64;
    let mut byte = [0];
    while Instant::now() < end {
        let sent = [round_trips as u8];
        stream.write_all(&sent)?;
        stream.read_exact(&mut byte)?;
        ensure(byte == sent, "another byte came back")?;
        round_trips += 1;
    }
    Ok(round_trips)
}

/// Many short connections at a time.
struct Transactions {
    server: SocketAddrV4,
    end: Instant,
    epoll: Epoll,
    /// The live connection of each place, and how far it is.
    places: Vec<Option<(TcpStream, Stage)>>,
    done: u64,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The handshake is not over.
    Connecting,
    /// So many bytes have come back.
    Waiting(usize),
    /// We have closed, the server has not.
    Closing,
}

impl Transactions {
    fn new(server: SocketAddrV4, end: Instant) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let places = (0..AT_A_TIME).map(|_| None).collect();
        Ok(Self { server, end, epoll, places, done: 0 })
    }

    fn run(mut self) -> io::Result<u64> {
        for place in 0..self.places.len() {
            self.start(place)?;
        }
        let mut events = [EpollEvent::empty(); AT_A_TIME];
        while self.places.iter().any(Option::is_some) {
            let ready = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in &events[..ready] {
                let place = event.data() as usize;
                if self.go_on(place)? {
                    self.places[place] = None;
                    self.done += 1;
                    if Instant::now() < self.end {
                        self.start(place)?;
                    }
                }
            }
        }
        Ok(self.done)
    }

    fn start(&mut self, place: usize) -> io::Result<()> {
        let stream = open(self.server, SockFlag::SOCK_NONBLOCK)?;
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        let event = EpollEvent::new(interest, place as u64);
        self.epoll.add(stream.as_fd(), event)?;
        self.places[place] = Some((stream, Stage::Connecting));
        Ok(())
    }

    /// Does what can be done at once with a connection. Answers whether it is over.
    fn go_on(&mut self, place: usize) -> io::Result<bool> {
        let Some((stream, stage)) = &mut self.places[place] else {
            return Ok(false);
        };
        let mut text = [b'x'; TEXT];
        if let Stage::Connecting = stage {
            match stream.write(&text) {
                Ok(written) => ensure(written == TEXT, "there was no room for so little")?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            *stage = Stage::Waiting(0);
        }
        loop {
            let read = match stream.read(&mut text) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            match stage {
                Stage::Waiting(back) if read > 0 => {
                    *back += read;
                    if *back == TEXT {
                        stream.shutdown(Shutdown::Write)?;
                        *stage = Stage::Closing;
                    }
                }
                Stage::Closing if read == 0 => return Ok(true),
                _ => ensure(false, &format!("{stage:?}, and {read} bytes came"))?,
            }
        }
    }
}

fn ensure(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidData, otherwise)) }
}
