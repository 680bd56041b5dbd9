//! The functions that packetdrill is given, called as it calls them: handshakes, data both ways,
//! calls that block on a thread of their own, the rules of the clock, and every slot of the table.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod common;

use core::ffi::{c_int, c_void};
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::packet::Packet;
use nix::errno::Errno;
use nix::libc;
use tunstack::packetdrill::{EPOCH_SECONDS, Interface, get_option, init};
use tunstack::wire::{Flags, Options, SeqNum};

const LOCAL: ([u8; 4], u16) = ([192, 168, 0, 1], 8_080);
const REMOTE: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
/// The peer's initial sequence number.
const IRS: SeqNum = SeqNum(1_000);

/// The table, with calls that take and give values.
struct Driver(Interface);

// SAFETY: the functions of the table may be called from any thread; a mutex is behind them.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: nothing is called after this.
        unsafe { (self.0.free)(self.0.userdata) };
    }
}

/// A call of the table: the value, or what `errno` says.
macro_rules! call {
    ($driver:expr, $name:ident($($argument:expr),*)) => {{
        let table = &$driver.0;
        // SAFETY: the arguments live as long as the call.
        let value = unsafe { (table.$name)(table.userdata, $($argument),*) };
        if value < 0 { Err(Errno::last()) } else { Ok(value as usize) }
    }};
}

impl Driver {
    fn new() -> Self {
        // SAFETY: no flags.
        Self(unsafe { init(ptr::null()) }.unwrap())
    }

    fn socket(&self) -> c_int {
        call!(self, socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP)).unwrap() as c_int
    }

    fn address(to: ([u8; 4], u16)) -> libc::sockaddr_in {
        libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: to.1.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.0) },
            sin_zero: [0; 8],
        }
    }

    fn bind(&self, fd: c_int, to: ([u8; 4], u16)) -> Result<usize, Errno> {
        let address = Self::address(to);
        call!(self, bind(fd, ptr::from_ref(&address).cast(), 16))
    }

    fn connect(&self, fd: c_int) -> Result<usize, Errno> {
        let address = Self::address(REMOTE);
        call!(self, connect(fd, ptr::from_ref(&address).cast(), 16))
    }

    fn listening(&self) -> c_int {
        let fd = self.socket();
        self.bind(fd, LOCAL).unwrap();
        call!(self, listen(fd, 1)).unwrap();
        fd
    }

    fn accept(&self, fd: c_int) -> Result<c_int, Errno> {
        call!(self, accept(fd, ptr::null_mut(), ptr::null_mut())).map(|fd| fd as c_int)
    }

    fn nonblocking(&self, fd: c_int) {
        call!(self, fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK.into())).unwrap();
    }

    fn read(&self, fd: c_int, len: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; len];
        let n = call!(self, read(fd, buffer.as_mut_ptr().cast(), len))?;
        buffer.truncate(n);
        Ok(buffer)
    }

    fn write(&self, fd: c_int, data: &[u8]) -> Result<usize, Errno> {
        call!(self, write(fd, data.as_ptr().cast(), data.len()))
    }

    fn send(&self, fd: c_int, data: &[u8], flags: c_int) -> Result<usize, Errno> {
        call!(self, send(fd, data.as_ptr().cast(), data.len(), flags))
    }

    fn get(&self, fd: c_int, level: c_int, name: c_int) -> Result<Vec<u8>, Errno> {
        let (mut value, mut len) = ([0u8; 400], 400);
        call!(self, getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len))?;
        Ok(value[..len as usize].to_vec())
    }

    fn number(&self, fd: c_int, level: c_int, name: c_int) -> Result<i32, Errno> {
        self.get(fd, level, name).map(|value| i32::from_ne_bytes(value[..4].try_into().unwrap()))
    }

    fn set(&self, fd: c_int, level: c_int, name: c_int, value: i32) -> Result<usize, Errno> {
        call!(self, setsockopt(fd, level, name, ptr::from_ref(&value).cast(), 4))
    }

    fn queue(&self, fd: c_int, request: u64) -> Result<i32, Errno> {
        let mut length = -1;
        call!(self, ioctl(fd, request, &raw mut length)).map(|_| length)
    }

    /// Microseconds since the clock started.
    fn time(&self) -> u64 {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        call!(self, gettimeofday(&raw mut time, ptr::null_mut())).unwrap();
        (time.tv_sec as u64 - EPOCH_SECONDS) * 1_000_000 + time.tv_usec as u64
    }

    fn sleep(&self, micros: u32) {
        call!(self, usleep(micros)).unwrap();
    }

    /// The next packet that comes out, and when; `None` when none would ever come.
    fn sniff(&self) -> Option<(u64, Packet)> {
        let mut buffer = [0u8; 2_000];
        let (mut len, mut at) = (buffer.len(), 0);
        let received =
            call!(self, netdev_receive(buffer.as_mut_ptr().cast(), &raw mut len, &raw mut at));
        assert_eq!(received, Ok(0), "to fail would be asked again for ever");
        (len > 0).then(|| {
            let since = at as u64 - EPOCH_SECONDS * 1_000_000;
            (since, Packet::decode(&buffer[..len]).unwrap())
        })
    }

    fn inject(&self, packet: &Packet) {
        let bytes = packet.encode();
        call!(self, netdev_send(bytes.as_ptr().cast(), bytes.len())).unwrap();
    }

    /// A peer connects to the listener: both sides' next sequence numbers.
    fn handshake(&self) -> Peer {
        let syn = Packet {
            options: Options { mss: Some(1_000), ..Options::default() },
            ..segment(IRS, SeqNum(0), Flags::SYN, &[])
        };
        self.inject(&syn);
        let (_, syn_ack) = self.sniff().unwrap();
        assert!(syn_ack.has(Flags::SYN | Flags::ACK));
        let peer = Peer { seq: IRS + 1, ack: syn_ack.seq + 1 };
        self.inject(&peer.segment(Flags::ACK, &[]));
        peer
    }

    /// A connection that has been accepted.
    fn established(&self) -> (c_int, Peer) {
        let listener = self.listening();
        let peer = self.handshake();
        (self.accept(listener).unwrap(), peer)
    }
}

/// Where the peer stands.
#[derive(Clone, Copy)]
struct Peer {
    seq: SeqNum,
    ack: SeqNum,
}

impl Peer {
    fn segment(&self, flags: Flags, text: &[u8]) -> Packet {
        segment(self.seq, self.ack, flags, text)
    }
}

fn segment(seq: SeqNum, ack: SeqNum, flags: Flags, text: &[u8]) -> Packet {
    Packet {
        from: SocketAddr::from(REMOTE),
        to: SocketAddr::from(LOCAL),
        seq,
        ack,
        flags,
        window: 20_000,
        urgent: 0,
        options: Options::default(),
        text: text.to_vec(),
        traffic_class: 0,
        ttl: 64,
    }
}

/// Waits, in real time, until a thread sleeps in the kernel, as packetdrill does.
fn until_asleep(thread_id: i32) {
    let path = format!("/proc/{}/task/{thread_id}/stat", std::process::id());
    for _ in 0..20_000 {
        let stat = std::fs::read_to_string(&path).unwrap();
        let state = stat.rsplit_once(')').unwrap().1.split_whitespace().next().unwrap();
        if state == "S" {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("the call does not block");
}

/// Starts a call that blocks on a thread of its own; returns once it sleeps.
fn blocked<T: Send + 'static>(
    driver: &Arc<Driver>,
    call: impl FnOnce(&Driver) -> T + Send + 'static,
) -> thread::JoinHandle<(T, u64)> {
    let (tell, told) = std::sync::mpsc::channel();
    let driver = driver.clone();
    let handle = thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        let result = call(&driver);
        (result, driver.time())
    });
    until_asleep(told.recv().unwrap());
    handle
}

#[test]
fn a_server_accepts_reads_and_writes() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    driver.inject(&peer.segment(Flags::ACK | Flags::PSH, b"hello"));
    assert_eq!(driver.queue(fd, libc::FIONREAD), Ok(5));
    assert_eq!(driver.read(fd, 100).unwrap(), b"hello");
    assert_eq!(driver.write(fd, b"world!"), Ok(6));
    let (_, ack) = driver.sniff().unwrap();
    assert_eq!(ack.ack, peer.seq + 5);
    let (_, answer) = driver.sniff().unwrap();
    assert_eq!(answer.text, b"world!");
    assert_eq!(driver.queue(fd, libc::TIOCOUTQ), Ok(6));
    driver.inject(&Peer { seq: peer.seq + 5, ack: peer.ack + 6 }.segment(Flags::ACK, &[]));
    assert_eq!(driver.queue(fd, libc::TIOCOUTQ), Ok(0));
}

#[test]
fn a_client_connects_without_blocking() {
    let driver = Driver::new();
    let fd = driver.socket();
    driver.nonblocking(fd);
    assert_eq!(
        call!(driver, fcntl(fd, libc::F_GETFL, 0)).unwrap() as c_int & libc::O_NONBLOCK,
        libc::O_NONBLOCK
    );
    assert_eq!(driver.connect(fd), Err(Errno::EINPROGRESS));
    assert_eq!(driver.connect(fd), Err(Errno::EALREADY));
    let (_, syn) = driver.sniff().unwrap();
    let reply = |seq, flags| Packet { to: syn.from, ..segment(seq, syn.seq + 1, flags, &[]) };
    driver.inject(&reply(IRS, Flags::SYN | Flags::ACK));
    assert_eq!(driver.connect(fd), Ok(0));
    assert_eq!(driver.connect(fd), Err(Errno::EISCONN));
    assert_eq!(driver.sniff().unwrap().1.ack, IRS + 1);
    driver.inject(&reply(IRS + 1, Flags::RST | Flags::ACK));
    assert_eq!(driver.number(fd, libc::SOL_SOCKET, libc::SO_ERROR), Ok(libc::ECONNRESET));
    assert_eq!(driver.number(fd, libc::SOL_SOCKET, libc::SO_ERROR), Ok(0), "it is told once");
    assert_eq!(driver.read(fd, 10).unwrap(), b"");
    assert_eq!(driver.write(fd, b"x"), Err(Errno::EPIPE));
}

#[test]
fn a_refused_connect_may_be_tried_again() {
    let driver = Driver::new();
    let fd = driver.socket();
    driver.nonblocking(fd);
    for _ in 0..2 {
        assert_eq!(driver.connect(fd), Err(Errno::EINPROGRESS));
        let (_, syn) = driver.sniff().unwrap();
        let flags = Flags::RST | Flags::ACK;
        driver.inject(&Packet { to: syn.from, ..segment(SeqNum(0), syn.seq + 1, flags, &[]) });
        assert_eq!(driver.connect(fd), Err(Errno::ECONNREFUSED));
    }
}

#[test]
fn a_blocked_call_sees_the_moment_of_its_answer() {
    let driver = Arc::new(Driver::new());
    let listener = driver.listening();
    let accepting = blocked(&driver, move |driver| driver.accept(listener));
    driver.sleep(5_000);
    let peer = driver.handshake();
    let answered = driver.time();
    // The main thread goes far ahead before the other one has looked at the clock.
    driver.sleep(1_000_000);
    let (accepted, seen) = accepting.join().unwrap();
    let fd = accepted.unwrap();
    assert!((5_000..=answered).contains(&seen), "{seen} of {answered}");

    let reading = blocked(&driver, move |driver| driver.read(fd, 10));
    driver.sleep(10_000);
    let at = driver.time();
    driver.inject(&peer.segment(Flags::ACK, b"abc"));
    driver.sleep(1_000_000);
    let (read, seen) = reading.join().unwrap();
    assert_eq!(read.unwrap(), b"abc");
    assert!((at..at + 100).contains(&seen), "{seen}, not {at}");
}

#[test]
fn a_blocked_write_goes_on_as_room_comes() {
    let driver = Arc::new(Driver::new());
    let (fd, peer) = driver.established();
    driver.set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 3_000).unwrap();
    assert_eq!(driver.number(fd, libc::SOL_SOCKET, libc::SO_SNDBUF), Ok(6_000));
    let writing = blocked(&driver, move |driver| driver.write(fd, &[7; 6_000]));
    let mut acked = 0;
    while acked < 6_000 {
        let (_, packet) = driver.sniff().unwrap();
        acked += packet.text.len() as u32;
        driver.inject(&Peer { ack: peer.ack + acked, ..peer }.segment(Flags::ACK, &[]));
    }
    assert_eq!(writing.join().unwrap().0, Ok(6_000));
}

#[test]
fn a_call_that_waits_alone_moves_the_clock_itself_and_never_hangs() {
    let driver = Driver::new();
    let (fd, _) = driver.established();
    let before = driver.time();
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    assert_eq!(call!(driver, poll(&raw mut polled, 1, 300)), Ok(0));
    assert!(driver.time() - before >= 300_000);
    // Nothing could ever end this one.
    assert_eq!(driver.read(fd, 10), Err(Errno::EDEADLK));
}

#[test]
fn the_clock_moves_by_a_microsecond_a_look_and_by_what_is_waited_for() {
    let driver = Driver::new();
    assert_eq!((driver.time(), driver.time()), (1, 2));
    driver.sleep(500);
    assert_eq!(driver.time(), 503);
    assert!(driver.sniff().is_none(), "no timer runs and no packet is there");
    let fd = driver.socket();
    driver.nonblocking(fd);
    assert_eq!(driver.connect(fd), Err(Errno::EINPROGRESS));
    let (first, syn) = driver.sniff().unwrap();
    let (second, again) = driver.sniff().unwrap();
    assert_eq!((first, second), (503, 1_000_503), "to wait for a packet lets time pass");
    assert_eq!(syn.seq, again.seq);
    assert_eq!(driver.time(), 1_000_504);
    driver.sleep(10_000_000);
    let (third, _) = driver.sniff().unwrap();
    assert_eq!(third, 3_000_503, "what was due on the way happened at its own time");
}

#[test]
fn tcp_info_is_laid_out_as_linux_has_it() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    driver.write(fd, &[0; 2_500]).unwrap();
    let info = driver.get(fd, libc::SOL_TCP, libc::TCP_INFO).unwrap();
    assert_eq!(info.len(), 280);
    let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().unwrap());
    assert_eq!((info[0], info[1]), (1, 0), "established, all well");
    assert_eq!((word(16), word(24), word(80)), (1_000, 3, 10), "mss, unacked, cwnd");
    assert_eq!(word(76), 0x7fff_ffff, "no slow start threshold yet");
    // What packetdrill's own assertions ask for, by libc's function.
    for (level, name) in
        [(libc::SOL_TCP, libc::TCP_INFO), (libc::SOL_TCP, 26), (libc::SOL_SOCKET, 55)]
    {
        let (mut value, mut len) = ([0u8; 400], 400);
        // SAFETY: the buffer holds as much as `len` says.
        let found = unsafe { get_option(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) };
        assert_eq!(found, Some(0));
    }
    // SAFETY: nothing is written for a descriptor that is none of ours.
    let other = unsafe { get_option(1, 0, 0, ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(other, None);
    let _ = peer;
}

#[test]
fn options_are_what_was_set() {
    let driver = Driver::new();
    let fd = driver.socket();
    let (tcp, socket, ip) = (libc::SOL_TCP, libc::SOL_SOCKET, libc::SOL_IP);
    for (level, name, value) in [
        (socket, libc::SO_REUSEADDR, 1),
        (socket, libc::SO_KEEPALIVE, 1),
        (tcp, libc::TCP_NODELAY, 1),
        (tcp, libc::TCP_CORK, 1),
        (tcp, libc::TCP_MAXSEG, 1_100),
        (tcp, libc::TCP_KEEPIDLE, 60),
        (tcp, libc::TCP_KEEPINTVL, 5),
        (tcp, libc::TCP_KEEPCNT, 3),
        (tcp, libc::TCP_SYNCNT, 4),
        (tcp, libc::TCP_LINGER2, 20),
        (tcp, libc::TCP_USER_TIMEOUT, 3_000),
        (tcp, libc::TCP_NOTSENT_LOWAT, 8_192),
        (tcp, libc::TCP_INQ, 1),
        (ip, libc::IP_TOS, 0x10),
        (ip, libc::IP_TTL, 33),
    ] {
        assert_eq!(driver.set(fd, level, name, value), Ok(0), "{level} {name}");
        assert_eq!(driver.number(fd, level, name), Ok(value), "{level} {name}");
    }
    assert_eq!(driver.set(fd, tcp, 9_999, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(driver.number(fd, tcp, 9_999), Err(Errno::ENOPROTOOPT));
    let short = call!(driver, setsockopt(fd, tcp, libc::TCP_CORK, [0u8].as_ptr().cast(), 1));
    assert_eq!(short, Err(Errno::EINVAL));
    assert_eq!(driver.set(99, tcp, libc::TCP_CORK, 1), Err(Errno::EBADF));
    let linger = [1i32, 7];
    let set = call!(driver, setsockopt(fd, socket, libc::SO_LINGER, linger.as_ptr().cast(), 8));
    assert_eq!(set, Ok(0));
    let told = driver.get(fd, socket, libc::SO_LINGER).unwrap();
    assert_eq!(told, [1i32.to_ne_bytes(), 7i32.to_ne_bytes()].concat());
}

#[test]
fn flags_of_send_and_receive_mean_what_they_say() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    assert_eq!(driver.send(fd, b"part", libc::MSG_MORE), Ok(4));
    assert_eq!(driver.send(fd, b"rest", 0), Ok(4));
    assert_eq!(driver.sniff().unwrap().1.text, b"partrest");
    driver.inject(&peer.segment(Flags::ACK, b"peeked"));
    let mut buffer = [0u8; 10];
    let receive = |buffer: &mut [u8], flags| {
        call!(driver, recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags))
    };
    assert_eq!(receive(&mut buffer, libc::MSG_PEEK), Ok(6));
    assert_eq!(receive(&mut buffer, 0), Ok(6));
    assert_eq!(&buffer[..6], b"peeked");
    assert_eq!(receive(&mut buffer, libc::MSG_DONTWAIT), Err(Errno::EAGAIN));
    assert_eq!(receive(&mut buffer, libc::MSG_ERRQUEUE), Err(Errno::EAGAIN));
}

#[test]
fn messages_come_in_parts_and_tell_what_is_left() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    driver.set(fd, libc::SOL_TCP, libc::TCP_INQ, 1).unwrap();
    driver.inject(&peer.segment(Flags::ACK, b"0123456789"));
    let (mut a, mut b, mut control) = ([0u8; 3], [0u8; 4], [0u64; 8]);
    let part = |bytes: &mut [u8]| libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut parts = [part(&mut a), part(&mut b)];
    // SAFETY: all zeros is a message without anything.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = 2;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    assert_eq!(call!(driver, recvmsg(fd, &raw mut message, 0)), Ok(7));
    assert_eq!((&a, &b), (b"012", b"3456"));
    // SAFETY: the message has just been filled.
    let left = unsafe {
        let control = libc::CMSG_FIRSTHDR(&raw const message);
        assert_eq!(((*control).cmsg_level, (*control).cmsg_type), (libc::SOL_TCP, libc::TCP_INQ));
        libc::CMSG_DATA(control).cast::<c_int>().read_unaligned()
    };
    assert_eq!(left, 3);
    let mut rest = [part(&mut a)];
    assert_eq!(call!(driver, readv(fd, rest.as_mut_ptr(), 1)), Ok(3));
    assert_eq!(&a, b"789");
    let words = [*b"one", *b"two"];
    let mut out =
        words.map(|word| libc::iovec { iov_base: word.as_ptr().cast_mut().cast(), iov_len: 0 });
    for (part, word) in out.iter_mut().zip(&words) {
        *part = libc::iovec { iov_base: word.as_ptr().cast_mut().cast(), iov_len: 3 };
    }
    assert_eq!(call!(driver, writev(fd, out.as_ptr(), 2)), Ok(6));
    message.msg_iov = out.as_mut_ptr();
    assert_eq!(call!(driver, sendmsg(fd, &raw const message, libc::MSG_MORE)), Ok(6));
}

#[test]
fn bad_arguments_are_answered_with_an_error() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    assert_eq!(call!(driver, write(fd, ptr::null(), 10)), Err(Errno::EFAULT));
    driver.inject(&peer.segment(Flags::ACK, b"x"));
    assert_eq!(call!(driver, read(fd, ptr::null_mut(), 10)), Err(Errno::EFAULT));
    assert_eq!(call!(driver, recvmsg(fd, ptr::null_mut(), 0)), Err(Errno::EFAULT));
    assert_eq!(call!(driver, sendmsg(fd, ptr::null(), 0)), Err(Errno::EFAULT));
    assert_eq!(driver.read(77, 1), Err(Errno::EBADF));
    assert_eq!(driver.queue(fd, 0xdead), Err(Errno::EINVAL));
    assert_eq!(call!(driver, fcntl(fd, 999, 0)), Err(Errno::EINVAL));
    assert_eq!(
        call!(driver, socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
        Err(Errno::EAFNOSUPPORT)
    );
    assert_eq!(
        call!(driver, socket(libc::AF_INET, libc::SOCK_DGRAM, 0)),
        Err(Errno::EPROTONOSUPPORT)
    );
    assert_eq!(call!(driver, bind(fd, ptr::null(), 16)), Err(Errno::EFAULT));
    let other = driver.socket();
    assert_eq!(driver.bind(other, LOCAL), Err(Errno::EADDRINUSE));
    assert_eq!(driver.read(other, 1), Err(Errno::ENOTCONN));
    assert_eq!(call!(driver, shutdown(other, libc::SHUT_RD)), Err(Errno::ENOTCONN));
    // A packet that is none is dropped.
    call!(driver, netdev_send([0x45u8; 7].as_ptr().cast(), 7)).unwrap();
}

#[test]
fn closing_and_shutting_down_send_what_they_should() {
    let driver = Driver::new();
    let (fd, peer) = driver.established();
    call!(driver, shutdown(fd, libc::SHUT_RD)).unwrap();
    assert_eq!(driver.read(fd, 10).unwrap(), b"", "nothing has arrived");
    driver.inject(&peer.segment(Flags::ACK, b"late"));
    assert_eq!(driver.read(fd, 10).unwrap(), b"late", "SHUT_RD goes on receiving");
    driver.sniff().unwrap();
    call!(driver, shutdown(fd, libc::SHUT_WR)).unwrap();
    assert!(driver.sniff().unwrap().1.has(Flags::FIN));
    assert_eq!(driver.write(fd, b"x"), Err(Errno::EPIPE));
    call!(driver, close(fd)).unwrap();
    assert_eq!(call!(driver, close(fd)), Err(Errno::EBADF));
}

#[test]
fn poll_and_epoll_tell_what_has_come_true() {
    let driver = Driver::new();
    let listener = driver.listening();
    let polled = |fd, events| {
        let mut polled = libc::pollfd { fd, events, revents: 0 };
        call!(driver, poll(&raw mut polled, 1, 0)).unwrap();
        polled.revents
    };
    assert_eq!(polled(listener, libc::POLLIN), 0);
    let peer = driver.handshake();
    assert_eq!(polled(listener, libc::POLLIN), libc::POLLIN);
    let fd = driver.accept(listener).unwrap();
    assert_eq!(polled(fd, libc::POLLIN | libc::POLLOUT), libc::POLLOUT);
    assert_eq!(polled(-1, libc::POLLIN), 0);
    assert_eq!(polled(500, libc::POLLIN), libc::POLLNVAL);

    let epoll = call!(driver, epoll_create(1)).unwrap() as c_int;
    let edge = (libc::EPOLLIN | libc::EPOLLET) as u32;
    let mut event = libc::epoll_event { events: edge, u64: 42 };
    call!(driver, epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event)).unwrap();
    let again = call!(driver, epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event));
    assert_eq!(again, Err(Errno::EEXIST));
    let wait = || {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
        let n = call!(driver, epoll_wait(epoll, events.as_mut_ptr(), 4, 0)).unwrap();
        events[..n].iter().map(|event| (event.events, event.u64)).collect::<Vec<_>>()
    };
    assert_eq!(wait(), []);
    driver.inject(&peer.segment(Flags::ACK, b"a"));
    let readable = (libc::EPOLLIN as u32, 42);
    assert_eq!(wait(), [readable]);
    assert_eq!(wait(), [], "an edge is told once");
    driver.inject(&Peer { seq: peer.seq + 1, ..peer }.segment(Flags::ACK, b"b"));
    assert_eq!(wait(), [readable], "each arrival is an edge");
    event.events = (libc::EPOLLIN | libc::EPOLLONESHOT) as u32;
    call!(driver, epoll_ctl(epoll, libc::EPOLL_CTL_MOD, fd, &raw mut event)).unwrap();
    assert_eq!((wait(), wait()), (vec![readable], vec![]), "a shot is fired once");
    call!(driver, epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, ptr::null_mut())).unwrap();
    call!(driver, close(epoll)).unwrap();
}

#[test]
fn what_does_not_exist_here_says_so() {
    let driver = Driver::new();
    let mut fds = [0; 2];
    assert_eq!(call!(driver, pipe(fds.as_mut_ptr())), Err(Errno::ENOSYS));
    let null = ptr::null_mut::<i64>();
    assert_eq!(call!(driver, splice(0, null, 1, null, 10, 0)), Err(Errno::ENOSYS));
    let (fd, _) = driver.established();
    let fast_open = driver.send(fd, b"x", libc::MSG_FASTOPEN);
    assert_eq!(fast_open, Err(Errno::EOPNOTSUPP));
    let mut from_len: libc::socklen_t = 16;
    driver.nonblocking(fd);
    let mut buffer = [0u8; 4];
    let into: *mut c_void = buffer.as_mut_ptr().cast();
    let received = call!(driver, recvfrom(fd, into, 4, 0, ptr::null_mut(), &raw mut from_len));
    assert_eq!((received, from_len), (Err(Errno::EAGAIN), 0));
    let to = Driver::address(REMOTE);
    let sent = call!(driver, sendto(fd, b"y".as_ptr().cast(), 1, 0, ptr::from_ref(&to).cast(), 16));
    assert_eq!(sent, Ok(1));
}

#[test]
fn flags_of_the_object_are_checked() {
    // SAFETY: the strings end with a zero byte.
    unsafe {
        assert!(init(c"strict, mtu=1400".as_ptr()).is_ok_and(|table| {
            (table.free)(table.userdata);
            true
        }));
        let unknown = init(c"fast".as_ptr()).unwrap_err();
        assert!(unknown.contains("fast") && unknown.contains("strict"), "{unknown}");
        assert!(init(c"mtu=12".as_ptr()).unwrap_err().contains("12"));
    }
}
