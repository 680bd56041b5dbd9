//! `getsockopt` and `setsockopt`.

use core::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::sockets::{Kind, Socket};
use super::tcp_info;
use super::world::{Inner, World};
use crate::tcp::congestion::Congestion;
use crate::tcp::{Settings, State};

/// Of `linux/tcp.h` and `asm-generic/socket.h`, where libc has no name for them.
const TCP_CC_INFO: i32 = 26;
const SO_MEMINFO: i32 = 55;

/// Words of SO_MEMINFO.
const MEMINFO_WORDS: usize = 9;

/// The least that SO_SNDBUF and SO_RCVBUF tell, as in Linux.
const LEAST_SEND_BUFFER: u32 = 4_608;
const LEAST_RECV_BUFFER: u32 = 2_304;

impl World {
    /// `getsockopt(2)`: the bytes of the value.
    pub(super) fn get_option(&self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        let mut inner = self.lock();
        let socket = inner.socket(fd)?.clone();
        if let Some(bytes) = inner.structure(&socket, level, name) {
            return Ok(bytes);
        }
        if (level, name) == (libc::SOL_SOCKET, libc::SO_ERROR) {
            let error = inner.take_error(fd)?.map_or(0, |errno| errno as i32);
            return Ok(error.to_ne_bytes().into());
        }
        let number = number(&inner, &socket, level, name)?;
        Ok(number.to_ne_bytes().into())
    }

    /// `setsockopt(2)`.
    pub(super) fn set_option(
        &self,
        fd: i32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let mut inner = self.lock();
        let done = inner.set_option(fd, level, name, value);
        self.settle(&mut inner);
        done
    }

    /// Whether `fd` is a socket of this world.
    pub(super) fn has_socket(&self, fd: i32) -> bool {
        self.lock().sockets.contains_key(&fd)
    }
}

impl Inner {
    /// The options whose value is no number.
    fn structure(&self, socket: &Socket, level: i32, name: i32) -> Option<Vec<u8>> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Some(match (level, name) {
            (libc::SOL_TCP, libc::TCP_INFO) => match socket.kind {
                Kind::Fresh => tcp_info::without_connection(State::Closed),
                Kind::Listener(_) => tcp_info::without_connection(State::Listen),
                Kind::Connection(id) => tcp_info::encode(&self.stack.info(id)?, self.now()),
            },
            // The controllers of this crate have no structure of their own.
            (libc::SOL_TCP, TCP_CC_INFO) => Vec::new(),
            (libc::SOL_TCP, libc::TCP_CONGESTION) => match socket.settings.congestion {
                Congestion::NewReno => b"reno\0".into(),
                Congestion::Bbr => b"bbr\0".into(),
                _ => b"cubic\0".into(),
            },
            (libc::SOL_SOCKET, SO_MEMINFO) => {
                let mut memory = [0; MEMINFO_WORDS];
                (memory[1], memory[3]) = (socket.recv_buffer, socket.send_buffer);
                if let Kind::Connection(id) = socket.kind {
                    memory[0] = self.stack.readable(id) as u32;
                    memory[5] = self.stack.unacknowledged(id) as u32;
                }
                words(&memory)
            }
            (libc::SOL_SOCKET, libc::SO_LINGER) => {
                let linger = socket.settings.linger;
                let seconds = linger.map_or(0, |linger| linger.as_secs() as u32);
                words(&[u32::from(linger.is_some()), seconds])
            }
            _ => return None,
        })
    }

    fn take_error(&mut self, fd: i32) -> Result<Option<Errno>, Errno> {
        let socket = self.sockets.get_mut(&fd).ok_or(Errno::EBADF)?;
        Ok(socket.take_error(&self.stack))
    }

    fn set_option(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.socket(fd)?;
        if (level, name) == (libc::SOL_SOCKET, libc::SO_LINGER) {
            let (on, seconds) = (int(value)?, int(value.get(4..).unwrap_or_default())?);
            let linger = (on != 0).then(|| Duration::from_secs(seconds.max(0) as u64));
            return self.change(fd, |settings| settings.linger = linger);
        }
        if level == libc::SOL_IP {
            return self.set_of_ip(fd, name, value);
        }
        let number = int(value)?;
        match level {
            libc::SOL_SOCKET => self.set_of_socket(fd, name, number),
            libc::SOL_TCP => self.set_of_tcp(fd, name, number),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// A byte is enough for these.
    fn set_of_ip(&mut self, fd: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let byte = *value.first().ok_or(Errno::EINVAL)?;
        match name {
            libc::IP_TOS => self.change(fd, |settings| settings.traffic_class = byte),
            libc::IP_TTL => self.change(fd, |settings| settings.ttl = byte),
            // Paths are always probed: what a script sets here changes nothing.
            libc::IP_MTU_DISCOVER => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn set_of_socket(&mut self, fd: i32, name: i32, number: i32) -> Result<(), Errno> {
        let on = number != 0;
        let socket = self.socket(fd)?;
        match name {
            libc::SO_REUSEADDR => socket.reuse_address = on,
            libc::SO_ZEROCOPY => socket.zero_copy = on,
            libc::SO_KEEPALIVE => {
                let keep_alive = on.then_some(socket.keep_alive);
                return self.change(fd, |settings| settings.keep_alive = keep_alive);
            }
            libc::SO_SNDBUF => {
                // Linux doubles it, because its own bookkeeping counts; about two thirds of that
                // turn out to be bytes of the application.
                socket.send_buffer = doubled(number).max(LEAST_SEND_BUFFER);
                let bytes = socket.send_buffer / 3 * 2;
                return self.change(fd, |settings| settings.max_send_buffer = bytes);
            }
            libc::SO_RCVBUF => {
                socket.recv_buffer = doubled(number).max(LEAST_RECV_BUFFER);
                // Linux's `tcp_adv_win_scale` of 1: half of it is offered.
                let bytes = (socket.recv_buffer / 2).max(2_048);
                return self.change(fd, |settings| settings.max_recv_buffer = bytes);
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn set_of_tcp(&mut self, fd: i32, name: i32, number: i32) -> Result<(), Errno> {
        let on = number != 0;
        let seconds = u64::try_from(number).map(Duration::from_secs).map_err(|_| Errno::EINVAL);
        let byte = u8::try_from(number).map_err(|_| Errno::EINVAL);
        match name {
            libc::TCP_NODELAY => {
                self.change(fd, |settings| settings.no_delay = on)?;
                if let Kind::Connection(id) = self.socket(fd)?.kind {
                    self.stack.set_no_delay(id, on);
                }
                Ok(())
            }
            libc::TCP_CORK => self.change(fd, |settings| settings.cork = on),
            libc::TCP_MAXSEG => {
                let most = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
                self.change(fd, |settings| settings.max_segment = (most > 0).then_some(most))
            }
            libc::TCP_KEEPIDLE | libc::TCP_KEEPINTVL | libc::TCP_KEEPCNT => {
                let socket = self.socket(fd)?;
                match name {
                    libc::TCP_KEEPIDLE => socket.keep_alive.idle = seconds?,
                    libc::TCP_KEEPINTVL => socket.keep_alive.interval = seconds?,
                    _ => socket.keep_alive.count = byte?,
                }
                let keep_alive = socket.keep_alive;
                self.change(fd, |settings| {
                    settings.keep_alive = settings.keep_alive.map(|_| keep_alive);
                })
            }
            libc::TCP_SYNCNT => {
                let retries = byte?;
                self.change(fd, |settings| settings.syn_retries = retries)
            }
            libc::TCP_LINGER2 => {
                let time = seconds?;
                self.change(fd, |settings| settings.fin_wait_2 = time)
            }
            libc::TCP_USER_TIMEOUT => {
                let ms = u64::try_from(number).map_err(|_| Errno::EINVAL)?;
                let timeout = on.then(|| Duration::from_millis(ms));
                self.change(fd, |settings| settings.user_timeout = timeout)
            }
            libc::TCP_NOTSENT_LOWAT => {
                // Zero is the namespace's own.
                let default = self.sysctls.settings.not_sent_low_water;
                let mark = if on { number as u32 } else { default };
                self.change(fd, |settings| settings.not_sent_low_water = mark)
            }
            libc::TCP_INQ => {
                self.socket(fd)?.tells_left = on;
                Ok(())
            }
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// Changes what holds for the socket, and for what has become of it.
    fn change(&mut self, fd: i32, change: impl FnOnce(&mut Settings)) -> Result<(), Errno> {
        let socket = self.socket(fd)?;
        let mut settings = socket.settings.clone();
        change(&mut settings);
        let kind = socket.kind;
        let wanted = settings.clone();
        match kind {
            // Checked when it is used; what cannot be is refused now.
            Kind::Fresh => Ok(()),
            Kind::Listener(id) => self.stack.set_listener_settings(id, settings.clone()),
            Kind::Connection(id) => self.stack.configure(id, |to| *to = wanted),
        }
        .map_err(|_| Errno::EINVAL)?;
        self.socket(fd)?.settings = settings;
        Ok(())
    }
}

/// The options whose value is a number.
fn number(inner: &Inner, socket: &Socket, level: i32, name: i32) -> Result<i32, Errno> {
    let Socket { settings, keep_alive, .. } = socket;
    let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
    let connection = match socket.kind {
        Kind::Connection(id) => inner.stack.info(id),
        _ => None,
    };
    Ok(match (level, name) {
        (libc::SOL_SOCKET, libc::SO_REUSEADDR) => socket.reuse_address.into(),
        (libc::SOL_SOCKET, libc::SO_ZEROCOPY) => socket.zero_copy.into(),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => settings.keep_alive.is_some().into(),
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => socket.send_buffer as i32,
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => socket.recv_buffer as i32,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => socket.family,
        (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => matches!(socket.kind, Kind::Listener(_)).into(),
        (libc::SOL_IP, libc::IP_TOS) => settings.traffic_class.into(),
        (libc::SOL_IP, libc::IP_TTL) => settings.ttl.into(),
        (libc::SOL_TCP, libc::TCP_NODELAY) => settings.no_delay.into(),
        (libc::SOL_TCP, libc::TCP_CORK) => settings.cork.into(),
        // Before there is a connection, what was asked for; RFC 9293 section 3.7.1 has the default.
        (libc::SOL_TCP, libc::TCP_MAXSEG) => match connection {
            Some(info) => info.mss as i32,
            None => settings.max_segment.unwrap_or(536).into(),
        },
        (libc::SOL_TCP, libc::TCP_KEEPIDLE) => seconds(keep_alive.idle),
        (libc::SOL_TCP, libc::TCP_KEEPINTVL) => seconds(keep_alive.interval),
        (libc::SOL_TCP, libc::TCP_KEEPCNT) => keep_alive.count.into(),
        (libc::SOL_TCP, libc::TCP_SYNCNT) => settings.syn_retries.into(),
        (libc::SOL_TCP, libc::TCP_LINGER2) => seconds(settings.fin_wait_2),
        (libc::SOL_TCP, libc::TCP_USER_TIMEOUT) => {
            settings.user_timeout.map_or(0, |time| time.as_millis() as i32)
        }
        (libc::SOL_TCP, libc::TCP_NOTSENT_LOWAT) => settings.not_sent_low_water as i32,
        (libc::SOL_TCP, libc::TCP_INQ) => socket.tells_left.into(),
        _ => return Err(Errno::ENOPROTOOPT),
    })
}

/// The number that a value begins with.
fn int(value: &[u8]) -> Result<i32, Errno> {
    let bytes = value.get(..4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(i32::from_ne_bytes).ok_or(Errno::EINVAL)
}

fn doubled(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0).saturating_mul(2).min(1 << 30)
}
