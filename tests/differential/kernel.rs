//! The kernel's side: many sequences at once, each between addresses of its own, in real time on one
//! thread. Waiting for a timer of one costs the others nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{Linger, OobInline, ReuseAddr, TcpCongestion};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, setsockopt};
use tun_tap::{Iface, Mode};

use super::case::{Action, Call, Case, Open, Pause};
use super::peer::{CONNECTING, FROM_PEER, FROM_STACK, LISTENING, Peer};
use super::segment::destination;
use super::settings::{self, TUN};
use super::transcript::{Answer, BESIDE_A_STEP, Transcript};
use crate::common::pattern;

/// Sequences that run at once.
const AT_ONCE: usize = 1_000;
/// The time between the starts of two, so that they do not all move together.
const STAGGER: Duration = Duration::from_micros(400);
/// How long the loop sleeps when nothing is to do.
const NAP: Duration = Duration::from_micros(300);

/// The kernel behind its TUN.
pub(crate) struct Kernel {
    tun: Iface,
    /// How many sequences there have been: each has addresses of its own.
    used: u32,
}

/// How much later than it happens something may be seen, or done than it is due, for the times of a
/// transcript to be what they say: as far as the comparison lets a segment lie beside a step.
const LATE: Duration = BESIDE_A_STEP;

/// A sequence and when it was over.
pub(crate) struct Ran {
    pub(crate) transcript: Transcript,
    pub(crate) end: Duration,
    /// When this side was late first: it was kept from the processor for longer than [`LATE`]. What
    /// the kernel sent meanwhile is written down too late, and behind steps that came after it; and a
    /// step that was written down before has reached the kernel later, which it takes for RTT.
    pub(crate) late: Option<Duration>,
}

/// A case and by how much its pauses are stretched: another time of the same order, for which a
/// timer that fell together with a step falls beside it.
#[derive(Clone, Copy)]
pub(crate) struct Job<'c> {
    pub(crate) case: &'c Case,
    pub(crate) stretch: u64,
}

impl Kernel {
    /// Makes the interface in the namespace that the calling thread is in, and sets that up.
    pub(crate) fn new() -> Self {
        let tun = Iface::without_packet_info(TUN, Mode::Tun)
            .unwrap_or_else(|error| panic!("{TUN} cannot be made: {error}"));
        tun.set_non_blocking().expect("a TUN can be read without waiting");
        settings::prepare();
        Self { tun, used: 255 }
    }

    /// Runs the cases, many at once; the answers are in their order.
    pub(crate) fn run(&mut self, jobs: &[Job<'_>]) -> Vec<Ran> {
        let mut results: Vec<Option<Ran>> = jobs.iter().map(|_| None).collect();
        let mut running: HashMap<Ipv4Addr, Running> = HashMap::new();
        let mut due = BinaryHeap::new();
        let mut waiting = jobs.iter().enumerate();
        let mut next_start = Instant::now();
        let mut listened = Instant::now();
        loop {
            let mut idle = !self.listen(&mut running);
            let before = std::mem::replace(&mut listened, Instant::now());
            if listened - before > LATE {
                running.values_mut().for_each(|one| one.note_late(before));
            }
            if running.len() < AT_ONCE && Instant::now() >= next_start {
                if let Some((index, job)) = waiting.next() {
                    next_start += STAGGER;
                    let (address, one) = self.start(index, *job);
                    due.push(Reverse((one.due(), address)));
                    running.insert(address, one);
                    idle = false;
                } else if running.is_empty() {
                    break;
                }
            }
            let now = Instant::now();
            if due.peek().is_some_and(|Reverse((at, _))| *at <= now)
                && let Some(Reverse((_, address))) = due.pop()
                && let Some(one) = running.get_mut(&address)
            {
                idle = false;
                if one.is_over() {
                    let one = running.remove(&address).expect("it was there just now");
                    self.finish(one, &mut results);
                } else {
                    if let Some(packet) = one.step() {
                        self.send(&packet);
                    }
                    due.push(Reverse((one.due(), address)));
                }
            }
            if idle {
                thread::sleep(NAP);
            }
        }
        results.into_iter().map(|ran| ran.expect("every sequence has ended")).collect()
    }

    fn start<'c>(&mut self, index: usize, job: Job<'c>) -> (Ipv4Addr, Running<'c>) {
        self.used += 1;
        assert!(self.used < 1 << 23, "the addresses are used up");
        let stack = Ipv4Addr::from(0x0a00_0000 + self.used);
        let peer = Ipv4Addr::from(0x0a80_0000 + self.used);
        (peer, Running::new(index, job, stack, peer))
    }

    /// Hands what the kernel has sent to the sequences that it is for; whether there was anything.
    fn listen(&mut self, running: &mut HashMap<Ipv4Addr, Running>) -> bool {
        let mut buffer = [0; 2_048];
        let mut heard = false;
        loop {
            match self.tun.recv(&mut buffer) {
                Ok(len) => {
                    heard = true;
                    let one = destination(&buffer[..len]).and_then(|peer| running.get_mut(&peer));
                    if let Some(one) = one {
                        one.peer.hear(&buffer[..len], one.started.elapsed());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("{TUN} cannot be read: {error}"),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) {
        self.tun.send(packet).unwrap_or_else(|error| panic!("{TUN} cannot be written: {error}"));
    }

    fn finish(&mut self, mut one: Running<'_>, results: &mut [Option<Ran>]) {
        one.give_up();
        // Nothing is left behind that would send for minutes.
        for lines_back in 0..2 {
            if let Some(reset) = one.peer.last_reset(lines_back) {
                self.send(&reset);
            }
        }
        let end = one.started.elapsed();
        for line in &mut one.peer.transcript.lines {
            // Only our own side is held to it.
            line.said.edge_moved_left = false;
        }
        one.peer.transcript.end = end;
        results[one.index] = Some(Ran { transcript: one.peer.transcript, end, late: one.late });
    }
}

/// A sequence that is under way.
struct Running<'c> {
    index: usize,
    job: Job<'c>,
    peer: Peer<'c>,
    started: Instant,
    /// The next step.
    next: usize,
    listener: Option<TcpListener>,
    socket: Option<TcpStream>,
    read: u64,
    written: u64,
    /// What the next read or write is told.
    owed: Option<Answer>,
    /// When something was late first.
    late: Option<Duration>,
}

impl<'c> Running<'c> {
    fn new(index: usize, job: Job<'c>, stack: Ipv4Addr, peer: Ipv4Addr) -> Self {
        let started = Instant::now();
        let (mut listener, mut socket) = (None, None);
        match job.case.open {
            Open::Passive => {
                let fd = bound(stack, LISTENING);
                socket::listen(&fd, Backlog::new(100).expect("a backlog")).expect("listen");
                listener = Some(TcpListener::from(fd));
            }
            Open::Active => socket = Some(connecting(stack, peer)),
            Open::Nobody => {}
        }
        let peer = Peer::new(job.case, stack, peer);
        Self {
            index,
            job,
            peer,
            started,
            next: 0,
            listener,
            socket,
            read: 0,
            written: 0,
            owed: None,
            late: None,
        }
    }

    /// From `since` on nothing was heard or done for too long.
    fn note_late(&mut self, since: Instant) {
        self.late.get_or_insert(since.saturating_duration_since(self.started));
    }

    /// When there is something to do next.
    fn due(&self) -> Instant {
        let last = self.peer.transcript.times.last().copied().unwrap_or_default();
        let wait = match self.job.case.steps.get(self.next) {
            Some(step) => {
                // What the stack sends of itself is heard before the first step.
                let first = if self.next == 0 { Pause::Short } else { Pause::None };
                let millis = step.pause.millis().max(first.millis());
                // The RTO grows with the pauses that were measured as RTT; long ones grow more.
                let long = u64::from(step.pause == Pause::Long);
                Duration::from_millis(millis + millis * self.job.stretch * (1 + long) / 100)
            }
            None => self.job.case.tail,
        };
        self.started + last + wait
    }

    fn is_over(&self) -> bool {
        self.next == self.job.case.steps.len()
    }

    /// Takes the next step; answers the packet that the peer sends in it.
    fn step(&mut self) -> Option<Vec<u8>> {
        let due = self.due();
        if due.elapsed() > LATE {
            self.note_late(due);
        }
        let number = self.next;
        self.next += 1;
        self.peer.transcript.times.push(self.started.elapsed());
        match &self.job.case.steps[number].action {
            Action::Segment(shape) => Some(self.peer.segment(shape)),
            Action::App(call) => {
                let answer = self.call(*call);
                self.peer.transcript.answers.push((number, answer));
                None
            }
        }
    }

    fn call(&mut self, call: Call) -> Answer {
        if matches!(call, Call::Read(_) | Call::Write(_))
            && let Some(owed) = self.owed.take()
        {
            return owed;
        }
        match (call, &mut self.socket) {
            (Call::Accept, None) => {
                let Some(listener) = &self.listener else { return Answer::Skipped };
                match listener.accept() {
                    Ok((socket, _)) => {
                        socket.set_nonblocking(true).expect("a socket");
                        self.socket = Some(socket);
                        Answer::Done
                    }
                    Err(error) => answer(&error),
                }
            }
            (Call::Unlisten, _) => match self.listener.take() {
                Some(_) => Answer::Done,
                None => Answer::Skipped,
            },
            (_, None) | (Call::Accept, _) => Answer::Skipped,
            (Call::Read(len), Some(socket)) => {
                let mut buffer = vec![0; len];
                match read_all(socket, &mut buffer) {
                    Ok((0, _)) => Answer::End,
                    Ok((n, met)) => {
                        self.owed = met;
                        let right = pattern::bytes(FROM_PEER, self.read, n) == buffer[..n];
                        self.read += n as u64;
                        Answer::Read(n, right)
                    }
                    Err(error) => answer(&error),
                }
            }
            (Call::Write(len), Some(socket)) => {
                match socket.write(&pattern::bytes(FROM_STACK, self.written, len)) {
                    Ok(n) => {
                        self.written += n as u64;
                        Answer::Wrote(n)
                    }
                    Err(error) => answer(&error),
                }
            }
            (Call::Shutdown, Some(socket)) => {
                // Before it is connected a socket would give up instead.
                if !is_opening(socket) {
                    let _ = socket.shutdown(Shutdown::Write);
                }
                Answer::Done
            }
            (Call::Close, socket) => {
                self.owed = None;
                *socket = None;
                Answer::Done
            }
            (Call::Abort, socket) => {
                self.owed = None;
                socket.take().inspect(abort);
                Answer::Done
            }
        }
    }

    /// Drops the sockets in a way that leaves nothing behind.
    fn give_up(&mut self) {
        self.socket.take().inspect(abort);
        while let Some(Ok((socket, _))) = self.listener.as_ref().map(TcpListener::accept) {
            abort(&socket);
        }
        self.listener = None;
    }
}

/// Reads all there is: one call stops at the urgent mark. An error that is met behind the first
/// bytes is for the next call.
fn read_all(socket: &mut TcpStream, into: &mut [u8]) -> std::io::Result<(usize, Option<Answer>)> {
    let mut read = socket.read(into)?;
    while read > 0 && read < into.len() && polled(socket).contains(PollFlags::POLLIN) {
        match socket.read(&mut into[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) => {
                return Ok((read, Some(answer(&error)).filter(|a| *a != Answer::Blocked)));
            }
        }
    }
    Ok((read, None))
}

/// What a poll finds.
fn polled(socket: &TcpStream) -> PollFlags {
    let mut asked = [PollFd::new(socket.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
    let _ = poll(&mut asked, PollTimeout::ZERO);
    asked[0].revents().unwrap_or(PollFlags::empty())
}

/// A linger time of zero: the drop that follows resets the connection.
fn abort(socket: &TcpStream) {
    let _ = setsockopt(socket, Linger, &linger { l_onoff: 1, l_linger: 0 });
}

/// Whether the handshake is not over.
fn is_opening(socket: &TcpStream) -> bool {
    polled(socket).is_empty()
}

/// What the error means to an application.
fn answer(error: &std::io::Error) -> Answer {
    match error.kind() {
        ErrorKind::WouldBlock => Answer::Blocked,
        ErrorKind::ConnectionReset => Answer::Reset,
        ErrorKind::ConnectionRefused => Answer::Refused,
        ErrorKind::TimedOut => Answer::TimedOut,
        ErrorKind::BrokenPipe => Answer::Pipe,
        _ => Answer::Other(error.raw_os_error().unwrap_or(0)),
    }
}

/// A socket without a connection, with Reno for its congestion control.
fn bound(address: Ipv4Addr, port: u16) -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)
        .unwrap_or_else(|error| panic!("no socket: {error}; is the limit of open files too low?"));
    setsockopt(&fd, TcpCongestion, &"reno".into()).expect("every kernel has Reno");
    // As here, urgent data stay in line (RFC 6093).
    setsockopt(&fd, OobInline, &true).expect("a socket");
    setsockopt(&fd, ReuseAddr, &true).expect("a socket");
    let address = std::net::SocketAddrV4::new(address, port);
    socket::bind(fd.as_raw_fd(), &SockaddrIn::from(address)).expect("an address of its own");
    fd
}

fn connecting(stack: Ipv4Addr, peer: Ipv4Addr) -> TcpStream {
    let fd = bound(stack, CONNECTING);
    let peer = SockaddrIn::from(std::net::SocketAddrV4::new(peer, LISTENING));
    match socket::connect(fd.as_raw_fd(), &peer) {
        Err(nix::errno::Errno::EINPROGRESS) => TcpStream::from(fd),
        other => panic!("a connect that does not wait answers {other:?}"),
    }
}
