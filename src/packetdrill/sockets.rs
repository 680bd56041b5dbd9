//! The socket calls of POSIX as verbs of the stack.

use core::time::Duration;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::IntoRawFd;

use nix::errno::Errno;
use nix::libc;

use super::readiness;
use super::sysctl::Sysctls;
use super::world::{Inner, World};
use crate::stack::{ConnectError, ListenError, Readiness};
use crate::tcp::{CloseReason, KeepAlive, ReadError, Settings, State, WriteError};
use crate::{ConnId, ListenerId, Stack};

/// What a socket is at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Neither connected nor listening.
    Fresh,
    /// Connections wait here for `accept`.
    Listener(ListenerId),
    /// One end of a connection.
    Connection(ConnId),
}

/// A socket, with what was set of it.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) family: i32,
    pub(super) kind: Kind,
    pub(super) nonblocking: bool,
    pub(super) bound: Option<SocketAddr>,
    /// What its connections have, or will have.
    pub(super) settings: Settings,
    /// How an idle peer is probed while SO_KEEPALIVE is set.
    pub(super) keep_alive: KeepAlive,
    pub(super) reuse_address: bool,
    /// SO_SNDBUF and SO_RCVBUF as they are told.
    pub(super) send_buffer: u32,
    pub(super) recv_buffer: u32,
    /// `recvmsg` tells how much is left (TCP_INQ).
    pub(super) tells_left: bool,
    /// SO_ZEROCOPY is set. It is allowed and changes nothing: bytes are copied.
    pub(super) zero_copy: bool,
    /// A `connect` has not been answered yet.
    connecting: bool,
    /// Reads give the end of the stream when nothing has arrived (SHUT_RD).
    shut_read: bool,
    /// The error that ended the connection has been told.
    error_told: bool,
}

/// A call that may have to wait.
pub(super) enum Call {
    Accept { fd: i32 },
    Connect { fd: i32 },
    Receive { fd: i32, len: usize, peek: bool, all: bool, bytes: Vec<u8> },
    Send { fd: i32, data: Vec<u8>, sent: usize, more: bool },
    Poll { fds: Vec<(i32, i16)> },
    EpollWait { fd: i32, most: usize },
}

/// What came of a call.
pub(super) enum Outcome {
    Done(usize),
    Accepted(i32, SocketAddr),
    /// Bytes, and whether the reader wants to know how many are left.
    Received {
        bytes: Vec<u8>,
        left: Option<usize>,
    },
    /// What each descriptor is ready for.
    Polled(Vec<i16>),
    /// What is ready, with the number that epoll was given for it.
    Events(Vec<(u32, u64)>),
}

impl Call {
    /// Carries out what can be carried out now; `None` when it has to wait for more.
    pub(super) fn attempt(&mut self, inner: &mut Inner) -> Option<Result<Outcome, Errno>> {
        match self {
            Self::Accept { fd } => inner.try_accept(*fd),
            Self::Connect { fd } => inner.try_connect(*fd),
            Self::Receive { fd, len, peek, all, bytes } => {
                inner.try_receive(*fd, *len, *peek, *all, bytes)
            }
            Self::Send { fd, data, sent, more } => inner.try_send(*fd, data, sent, *more),
            Self::Poll { fds } => readiness::poll(inner, fds).map(Ok),
            Self::EpollWait { fd, most } => readiness::epoll_wait(inner, *fd, *most).transpose(),
        }
    }

    /// What it comes to if it waits no longer.
    pub(super) fn give_up(&mut self) -> Result<Outcome, Errno> {
        match self {
            Self::Accept { .. } => Err(Errno::EAGAIN),
            Self::Connect { .. } => Err(Errno::EINPROGRESS),
            Self::Receive { bytes, .. } if !bytes.is_empty() => {
                Ok(Outcome::Received { bytes: core::mem::take(bytes), left: None })
            }
            Self::Receive { .. } => Err(Errno::EAGAIN),
            Self::Send { sent: 0, .. } => Err(Errno::EAGAIN),
            Self::Send { sent, .. } => Ok(Outcome::Done(*sent)),
            Self::Poll { fds } => Ok(Outcome::Polled(vec![0; fds.len()])),
            Self::EpollWait { .. } => Ok(Outcome::Events(Vec::new())),
        }
    }
}

impl World {
    /// `socket(2)`: a descriptor of its own, so that it can be closed and is nobody else's.
    pub(super) fn socket(&self, family: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
        if family != libc::AF_INET && family != libc::AF_INET6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        if kind & !flags != libc::SOCK_STREAM || ![0, libc::IPPROTO_TCP].contains(&protocol) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let fd = descriptor()?;
        let mut inner = self.lock();
        inner.sysctls = Sysctls::read();
        let Sysctls { send_buffer, recv_buffer, ref settings } = inner.sysctls;
        let socket = Socket {
            family,
            kind: Kind::Fresh,
            nonblocking: kind & libc::SOCK_NONBLOCK != 0,
            bound: None,
            settings: settings.clone(),
            keep_alive: Sysctls::keep_alive(),
            reuse_address: false,
            send_buffer,
            recv_buffer,
            tells_left: false,
            zero_copy: false,
            connecting: false,
            shut_read: false,
            error_told: false,
        };
        inner.sockets.insert(fd, socket);
        Ok(fd)
    }

    pub(super) fn bind(&self, fd: i32, address: SocketAddr) -> Result<(), Errno> {
        let mut inner = self.lock();
        let socket = inner.socket(fd)?;
        if socket.bound.is_some() || !matches!(socket.kind, Kind::Fresh) {
            return Err(Errno::EINVAL);
        }
        let reuse = socket.reuse_address;
        let clashes = |other: &Socket| {
            let same = other.bound.is_some_and(|bound| {
                let any = bound.ip().is_unspecified() || address.ip().is_unspecified();
                bound.port() == address.port() && (any || bound.ip() == address.ip())
            });
            same && (!(reuse && other.reuse_address) || matches!(other.kind, Kind::Listener(_)))
        };
        if address.port() != 0 && inner.sockets.values().any(clashes) {
            return Err(Errno::EADDRINUSE);
        }
        if !address.ip().is_unspecified() {
            inner.stack.add_address(address.ip()).map_err(|_| Errno::EADDRNOTAVAIL)?;
        }
        inner.socket(fd)?.bound = Some(address);
        Ok(())
    }

    pub(super) fn listen(&self, fd: i32, backlog: i32) -> Result<(), Errno> {
        /// For a socket that was bound to no port.
        const FIRST_PORT: u16 = 32_768;
        let mut inner = self.lock();
        let socket = inner.socket(fd)?;
        match socket.kind {
            Kind::Fresh => {}
            Kind::Listener(_) => return Ok(()),
            Kind::Connection(_) => return Err(Errno::EINVAL),
        }
        let mut on = socket.bound.unwrap_or_else(|| any(socket.family));
        if on.port() == 0 {
            on.set_port(FIRST_PORT | fd as u16);
        }
        // As many as Linux keeps: its queue is full when there is one more than the backlog.
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).saturating_add(1);
        let settings = socket.settings.clone();
        let listener =
            inner.stack.listen_with(on, settings, backlog).map_err(|error| match error {
                ListenError::InUse(_) => Errno::EADDRINUSE,
                ListenError::NoSuchAddress(_) => Errno::EADDRNOTAVAIL,
                ListenError::PortZero | ListenError::Settings(_) => Errno::EINVAL,
            })?;
        let socket = inner.socket(fd)?;
        socket.kind = Kind::Listener(listener);
        socket.bound = Some(on);
        inner.listeners.insert(listener, fd);
        Ok(())
    }

    pub(super) fn accept(&self, fd: i32) -> Result<(i32, SocketAddr), Errno> {
        let waits = self.waits(fd, 0)?;
        match self.call(Call::Accept { fd }, waits, None)? {
            Outcome::Accepted(fd, peer) => Ok((fd, peer)),
            _ => Err(Errno::EIO),
        }
    }

    pub(super) fn connect(&self, fd: i32, remote: SocketAddr) -> Result<(), Errno> {
        let waits = self.waits(fd, 0)?;
        self.lock().start_connect(fd, remote)?;
        self.call(Call::Connect { fd }, waits, None).map(|_| ())
    }

    /// `recv(2)` and its kin: the bytes, and how many are left if the reader wants to know.
    pub(super) fn receive(
        &self,
        fd: i32,
        len: usize,
        flags: i32,
    ) -> Result<(Vec<u8>, Option<usize>), Errno> {
        if flags & libc::MSG_ERRQUEUE != 0 {
            // There is no error queue: nothing is ever in it.
            return Err(Errno::EAGAIN);
        }
        if flags & libc::MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        let waits = self.waits(fd, flags)?;
        let (peek, all) = (flags & libc::MSG_PEEK != 0, flags & libc::MSG_WAITALL != 0);
        let call = Call::Receive { fd, len, peek, all, bytes: Vec::new() };
        match self.call(call, waits, None)? {
            Outcome::Received { bytes, left } => Ok((bytes, left)),
            _ => Err(Errno::EIO),
        }
    }

    /// `send(2)` and its kin.
    pub(super) fn send(&self, fd: i32, data: Vec<u8>, flags: i32) -> Result<usize, Errno> {
        const KNOWN: i32 = libc::MSG_DONTWAIT
            | libc::MSG_MORE
            | libc::MSG_NOSIGNAL
            | libc::MSG_EOR
            | libc::MSG_ZEROCOPY;
        if flags & !KNOWN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let waits = self.waits(fd, flags)?;
        let more = flags & libc::MSG_MORE != 0;
        match self.call(Call::Send { fd, data, sent: 0, more }, waits, None)? {
            Outcome::Done(n) => Ok(n),
            _ => Err(Errno::EIO),
        }
    }

    pub(super) fn shutdown(&self, fd: i32, how: i32) -> Result<(), Errno> {
        if !(libc::SHUT_RD..=libc::SHUT_RDWR).contains(&how) {
            return Err(Errno::EINVAL);
        }
        let mut inner = self.lock();
        let socket = inner.socket(fd)?;
        match socket.kind {
            Kind::Fresh => return Err(Errno::ENOTCONN),
            Kind::Listener(listener) => {
                if how != libc::SHUT_WR {
                    socket.kind = Kind::Fresh;
                    inner.listeners.remove(&listener);
                    inner.stack.unlisten(listener);
                }
            }
            Kind::Connection(id) => {
                socket.shut_read |= how != libc::SHUT_WR;
                if inner.stack.close_reason(id).is_some() {
                    return Err(Errno::ENOTCONN);
                }
                if how != libc::SHUT_RD {
                    inner.stack.shutdown(id);
                }
            }
        }
        self.settle(&mut inner);
        Ok(())
    }

    pub(super) fn close(&self, fd: i32) -> Result<(), Errno> {
        let mut inner = self.lock();
        if inner.epolls.remove(&fd).is_none() {
            let socket = inner.sockets.remove(&fd).ok_or(Errno::EBADF)?;
            for epoll in inner.epolls.values_mut() {
                epoll.forget(fd);
            }
            match socket.kind {
                Kind::Fresh => {}
                Kind::Listener(listener) => {
                    inner.listeners.remove(&listener);
                    inner.stack.unlisten(listener);
                }
                Kind::Connection(id) => {
                    inner.connections.remove(&id);
                    inner.stack.close(id);
                }
            }
        }
        self.settle(&mut inner);
        nix::unistd::close(fd)
    }

    /// `ioctl(2)`: lengths of queues, and FIONBIO.
    pub(super) fn queue_length(&self, fd: i32, request: u64) -> Result<i32, Errno> {
        /// `linux/sockios.h`.
        const SIOCOUTQNSD: u64 = 0x894b;
        let mut inner = self.lock();
        let socket = inner.socket(fd)?;
        let Kind::Connection(id) = socket.kind else {
            return Err(Errno::EINVAL);
        };
        let stack = &inner.stack;
        let fin_out =
            matches!(stack.state(id), Some(State::FinWait1 | State::Closing | State::LastAck));
        let length = match request {
            libc::FIONREAD => stack.readable(id),
            // A FIN that is not acknowledged counts as Linux counts it.
            libc::TIOCOUTQ => stack.unacknowledged(id) + usize::from(fin_out),
            SIOCOUTQNSD => stack.unsent(id),
            _ => return Err(Errno::EINVAL),
        };
        Ok(i32::try_from(length).unwrap_or(i32::MAX))
    }

    pub(super) fn set_nonblocking(&self, fd: i32, on: bool) -> Result<(), Errno> {
        self.lock().socket(fd)?.nonblocking = on;
        Ok(())
    }

    pub(super) fn is_nonblocking(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.lock().socket(fd)?.nonblocking)
    }

    /// Whether a call on the socket waits, given its flags.
    fn waits(&self, fd: i32, flags: i32) -> Result<bool, Errno> {
        Ok(!self.is_nonblocking(fd)? && flags & libc::MSG_DONTWAIT == 0)
    }
}

impl Inner {
    pub(super) fn socket(&mut self, fd: i32) -> Result<&mut Socket, Errno> {
        self.sockets.get_mut(&fd).ok_or(Errno::EBADF)
    }

    fn try_accept(&mut self, fd: i32) -> Option<Result<Outcome, Errno>> {
        let socket = match self.socket(fd) {
            Ok(socket) => socket.clone(),
            Err(errno) => return Some(Err(errno)),
        };
        let Kind::Listener(listener) = socket.kind else {
            return Some(Err(Errno::EINVAL));
        };
        let id = self.stack.accept(listener)?;
        let fd = match descriptor() {
            Ok(fd) => fd,
            Err(errno) => return Some(Err(errno)),
        };
        let peer = self.stack.info(id).map_or(any(socket.family), |info| info.flow.remote_addr());
        let kind = Kind::Connection(id);
        self.sockets.insert(fd, Socket { kind, nonblocking: false, ..socket });
        self.connections.insert(id, fd);
        Some(Ok(Outcome::Accepted(fd, peer)))
    }

    fn start_connect(&mut self, fd: i32, remote: SocketAddr) -> Result<(), Errno> {
        let socket = self.socket(fd)?.clone();
        match socket.kind {
            Kind::Listener(_) => return Err(Errno::EISCONN),
            Kind::Connection(id) => {
                let waiting = self.stack.state(id) == Some(State::SynSent) && socket.nonblocking;
                return match socket.connecting {
                    true if waiting => Err(Errno::EALREADY),
                    true => Ok(()),
                    false => Err(Errno::EISCONN),
                };
            }
            Kind::Fresh => {}
        }
        let settings = socket.settings;
        let id = self.stack.connect_with(socket.bound, remote, settings).map_err(refusal)?;
        let socket = self.socket(fd)?;
        socket.kind = Kind::Connection(id);
        socket.connecting = true;
        socket.error_told = false;
        self.connections.insert(id, fd);
        Ok(())
    }

    fn try_connect(&mut self, fd: i32) -> Option<Result<Outcome, Errno>> {
        let Some(socket) = self.sockets.get_mut(&fd) else {
            return Some(Err(Errno::EBADF));
        };
        let Kind::Connection(id) = socket.kind else {
            return Some(Err(Errno::ENOTCONN));
        };
        if let Some(reason) = self.stack.close_reason(id) {
            if socket.connecting {
                // Another attempt may follow.
                socket.kind = Kind::Fresh;
                socket.connecting = false;
                self.connections.remove(&id);
                self.stack.close(id);
                let refused = errno(reason).unwrap_or(Errno::ECONNABORTED);
                return Some(Err(if socket.error_told { Errno::ECONNABORTED } else { refused }));
            }
            return Some(Ok(Outcome::Done(0)));
        }
        let opening = matches!(self.stack.state(id), Some(State::SynSent | State::SynReceived));
        if opening {
            return None;
        }
        socket.connecting = false;
        Some(Ok(Outcome::Done(0)))
    }

    fn try_receive(
        &mut self,
        fd: i32,
        len: usize,
        peek: bool,
        all: bool,
        bytes: &mut Vec<u8>,
    ) -> Option<Result<Outcome, Errno>> {
        let Some(socket) = self.sockets.get_mut(&fd) else {
            return Some(Err(Errno::EBADF));
        };
        let Kind::Connection(id) = socket.kind else {
            return Some(Err(Errno::ENOTCONN));
        };
        let had = bytes.len();
        bytes.resize(len, 0);
        let into = &mut bytes[had..];
        let given = if peek { self.stack.peek(id, into) } else { self.stack.read(id, into) };
        bytes.truncate(had + given.unwrap_or(0));
        let complete = match given {
            Ok(n) => n == 0 || !all || peek || bytes.len() == len,
            Err(ReadError::WouldBlock) if len == 0 => true,
            Err(ReadError::WouldBlock) => socket.shut_read,
            Err(ReadError::NoSuchConnection | ReadError::Closed(_)) => {
                match socket.take_error(&self.stack) {
                    Some(errno) if bytes.is_empty() => return Some(Err(errno)),
                    _ => true,
                }
            }
        };
        complete.then(|| {
            // The end of the stream counts as a byte, as in Linux.
            let end = self.stack.readiness(id).contains(Readiness::PEER_CLOSED);
            let left = self.stack.readable(id).max(usize::from(end));
            let left = socket.tells_left.then_some(left);
            Ok(Outcome::Received { bytes: core::mem::take(bytes), left })
        })
    }

    fn try_send(
        &mut self,
        fd: i32,
        data: &[u8],
        sent: &mut usize,
        more: bool,
    ) -> Option<Result<Outcome, Errno>> {
        let Some(socket) = self.sockets.get_mut(&fd) else {
            return Some(Err(Errno::EBADF));
        };
        let Kind::Connection(id) = socket.kind else {
            return Some(Err(Errno::EPIPE));
        };
        if self.stack.state(id) == Some(State::SynSent) {
            return None;
        }
        let rest = &data[*sent..];
        let taken = if more { self.stack.write_more(id, rest) } else { self.stack.write(id, rest) };
        match taken {
            Ok(n) => {
                *sent += n;
                (*sent == data.len()).then_some(Ok(Outcome::Done(*sent)))
            }
            Err(_) if *sent > 0 => Some(Ok(Outcome::Done(*sent))),
            Err(WriteError::Closing) => Some(Err(Errno::EPIPE)),
            Err(WriteError::NoSuchConnection | WriteError::Closed(_)) => {
                Some(Err(socket.take_error(&self.stack).unwrap_or(Errno::EPIPE)))
            }
        }
    }
}

impl Socket {
    /// The error that ended the connection, which is told once (SO_ERROR).
    pub(super) fn take_error(&mut self, stack: &Stack) -> Option<Errno> {
        let error = self.error(stack);
        self.error_told |= error.is_some();
        error
    }

    /// The same, and it is not counted as told.
    pub(super) fn error(&self, stack: &Stack) -> Option<Errno> {
        let Kind::Connection(id) = self.kind else {
            return None;
        };
        stack.close_reason(id).and_then(errno).filter(|_| !self.error_told)
    }

    /// Whether reads give the end of the stream whatever has arrived.
    pub(super) fn is_shut_for_reading(&self) -> bool {
        self.shut_read
    }
}

/// What an application of Linux would be told; nothing after an orderly end.
fn errno(reason: CloseReason) -> Option<Errno> {
    match reason {
        CloseReason::Finished => None,
        CloseReason::Reset => Some(Errno::ECONNRESET),
        CloseReason::Refused => Some(Errno::ECONNREFUSED),
        CloseReason::TimedOut => Some(Errno::ETIMEDOUT),
        CloseReason::Unreachable(_) => Some(Errno::EHOSTUNREACH),
        CloseReason::Aborted => Some(Errno::ECONNABORTED),
    }
}

fn refusal(error: ConnectError) -> Errno {
    match error {
        ConnectError::NoSuchAddress(_) | ConnectError::NoAddressFor(_) => Errno::EADDRNOTAVAIL,
        ConnectError::NotUnicast(_) => Errno::ENETUNREACH,
        ConnectError::PortsExhausted | ConnectError::InUse(_) => Errno::EADDRNOTAVAIL,
        ConnectError::TooManyConnections => Errno::ENOBUFS,
        ConnectError::Settings(_) => Errno::EINVAL,
    }
}

fn any(family: i32) -> SocketAddr {
    let ip = if family == libc::AF_INET6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(ip, 0)
}

/// A descriptor that is nobody else's.
pub(super) fn descriptor() -> Result<i32, Errno> {
    let file = File::options().read(true).write(true).open("/dev/null");
    file.map(IntoRawFd::into_raw_fd)
        .map_err(|error| error.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw))
}

/// A time in a `timeval` or in milliseconds.
pub(super) fn millis(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}
