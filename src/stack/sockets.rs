//! What an application asks of the stack (RFC 9293 section 3.10.1 to 3.10.6).

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::config::validate;
use super::listener::Origin;
use super::{ConfigError, ConnId, Listener, ListenerId, Stack};
use crate::tcp::{Connection, Events, KeepAlive, ReadError, Settings, WriteError};
use crate::wire::Flow;

/// Why a listener could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// The address is not one of the stack's.
    NoSuchAddress(IpAddr),
    /// Somebody listens there already.
    InUse(SocketAddr),
    /// Port 0 is no port to listen on.
    PortZero,
    /// The settings for its connections make no sense.
    Settings(ConfigError),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchAddress(ip) => write!(f, "{ip} is not an address of this stack"),
            Self::InUse(on) => write!(f, "{on} is listened on already"),
            Self::PortZero => f.write_str("port 0 cannot be listened on: use 1 to 65535"),
            Self::Settings(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ListenError {}

/// Why a connection could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The local address is not one of the stack's.
    NoSuchAddress(IpAddr),
    /// The stack has no address of the family of this one.
    NoAddressFor(IpAddr),
    /// The remote end is not one host's port.
    NotUnicast(SocketAddr),
    /// All ephemeral ports are in use towards that remote end.
    PortsExhausted,
    /// The same two ends are connected already, or were until just now.
    InUse(SocketAddr),
    /// There are as many connections as allowed.
    TooManyConnections,
    /// The settings for the connection make no sense.
    Settings(ConfigError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchAddress(ip) => write!(f, "{ip} is not an address of this stack"),
            Self::NoAddressFor(ip) => {
                let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
                write!(f, "this stack has no {family} address to reach {ip} from")
            }
            Self::NotUnicast(remote) => write!(f, "{remote} is not the port of one host"),
            Self::PortsExhausted => f.write_str("all ephemeral ports are in use"),
            Self::InUse(local) => write!(f, "{local} is in use towards this remote end"),
            Self::TooManyConnections => f.write_str("there are too many connections"),
            Self::Settings(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl Stack {
    /// Passive OPEN (RFC 9293 section 3.10.1). An unspecified address stands for all the stack's
    /// addresses of its family, `[::]` for all of both.
    ///
    /// # Errors
    /// When the address is not the stack's, or is listened on already.
    pub fn listen(&mut self, on: SocketAddr) -> Result<ListenerId, ListenError> {
        self.listen_with(on, self.settings.clone(), self.config.max_accept_queue)
    }

    /// The same with settings for the connections of this listener alone, of which at most
    /// `backlog` wait for [`accept`](Self::accept).
    ///
    /// # Errors
    /// As [`listen`](Self::listen), and when the settings make no sense.
    pub fn listen_with(
        &mut self,
        on: SocketAddr,
        settings: impl Into<Arc<Settings>>,
        backlog: usize,
    ) -> Result<ListenerId, ListenError> {
        let settings = settings.into();
        validate(&settings).map_err(ListenError::Settings)?;
        if on.port() == 0 {
            return Err(ListenError::PortZero);
        }
        if !on.ip().is_unspecified() && !self.config.addresses.contains(&on.ip()) {
            return Err(ListenError::NoSuchAddress(on.ip()));
        }
        let key = (on.port(), on.ip());
        if self.bound.contains_key(&key) {
            return Err(ListenError::InUse(on));
        }
        let id = self
            .listeners
            .insert_with_key(|listener| Listener::new(on, Origin { listener, settings }, backlog));
        self.bound.insert(key, id);
        Ok(id)
    }

    /// Changes what the connections of a listener start with from now on: those whose SYN has not
    /// arrived yet.
    ///
    /// # Errors
    /// When the settings make no sense.
    pub fn set_listener_settings(
        &mut self,
        id: ListenerId,
        settings: impl Into<Arc<Settings>>,
    ) -> Result<(), ConfigError> {
        let settings = settings.into();
        validate(&settings)?;
        if let Some(listener) = self.listeners.get_mut(id) {
            listener.origin = Arc::new(Origin { listener: id, settings });
        }
        Ok(())
    }

    /// Stops listening. Half-open entries are forgotten; what waited for `accept` is reset.
    pub fn unlisten(&mut self, id: ListenerId) {
        let Some(mut listener) = self.listeners.remove(id) else {
            return;
        };
        self.bound.remove(&(listener.on.port(), listener.on.ip()));
        for half_open in listener.drain() {
            self.forget_half_open(half_open);
        }
        for connection in listener.accept_queue {
            self.abort(connection);
        }
    }

    /// The listener that a connection request is for: that of the address, or that of all.
    pub(super) fn listener_for(&self, flow: &Flow) -> Option<ListenerId> {
        const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let port = flow.local_port();
        let any_of_family = if flow.is_ipv6() { ANY } else { ANY_V4 };
        [flow.local(), any_of_family, ANY]
            .into_iter()
            .find_map(|address| self.bound.get(&(port, address)).copied())
    }

    /// Connections that wait for [`accept`](Self::accept) at a listener.
    pub fn waiting(&self, id: ListenerId) -> usize {
        self.listeners.get(id).map_or(0, |listener| listener.accept_queue.len())
    }

    /// The connection that has waited longest at a listener.
    pub fn accept(&mut self, id: ListenerId) -> Option<ConnId> {
        let id = self.listeners.get_mut(id)?.accept_queue.pop_front()?;
        let slot = self.held_mut(id)?;
        slot.accepted = true;
        let kept = core::mem::take(&mut slot.events) - Events::ESTABLISHED;
        self.publish(id, kept);
        Some(id)
    }

    /// The listener that a connection came from; `None` for one that was made by `connect`.
    pub fn listener_of(&self, id: ConnId) -> Option<ListenerId> {
        self.held(id)?.listener
    }

    /// Active OPEN (RFC 9293 section 3.10.1). Without a local end, or with one of an unspecified
    /// address or port 0, the stack chooses. [`Event::Established`](super::Event::Established) or
    /// [`Event::Closed`](super::Event::Closed) tells how it went.
    ///
    /// # Errors
    /// When the connection cannot even be tried.
    pub fn connect(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<ConnId, ConnectError> {
        self.connect_with(local, remote, self.settings.clone())
    }

    /// The same with settings for this connection alone.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when the settings make no sense.
    pub fn connect_with(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        settings: impl Into<Arc<Settings>>,
    ) -> Result<ConnId, ConnectError> {
        let settings = settings.into();
        validate(&settings).map_err(ConnectError::Settings)?;
        let broadcast = matches!(remote.ip(), IpAddr::V4(v4) if v4.is_broadcast());
        let no_host = remote.ip().is_unspecified() || remote.ip().is_multicast() || broadcast;
        if no_host || remote.port() == 0 {
            return Err(ConnectError::NotUnicast(remote));
        }
        if self.slabs.connections.len() >= self.config.max_connections {
            return Err(ConnectError::TooManyConnections);
        }
        let address = self.local_address(local, remote)?;
        let port = match local.map(|local| local.port()) {
            Some(port) if port != 0 => port,
            _ => self.ephemeral_port(address, remote)?,
        };
        let flow = Flow::new(SocketAddr::new(address, port), remote);
        if self.table.get(&self.keys, &self.slabs, &flow).is_some() {
            return Err(ConnectError::InUse(flow.local_addr()));
        }
        let iss = self.initial_sequence_number(&flow);
        let offset = self.keys.timestamp_offset(&flow);
        let link = self.link(&flow);
        let connection = Connection::connect(self.now, flow, iss, offset, settings, link);
        let id = self.insert(connection, None);
        self.counters.active_opens += 1;
        self.settle(id);
        Ok(id)
    }

    fn local_address(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<IpAddr, ConnectError> {
        let wanted = local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
        if let Some(ip) = wanted {
            if !self.config.addresses.contains(&ip) {
                return Err(ConnectError::NoSuchAddress(ip));
            }
            if ip.is_ipv6() != remote.is_ipv6() {
                return Err(ConnectError::NoAddressFor(remote.ip()));
            }
            return Ok(ip);
        }
        let same_family = |ip: &&IpAddr| ip.is_ipv6() == remote.is_ipv6();
        let first = self.config.addresses.iter().find(same_family).copied();
        first.ok_or(ConnectError::NoAddressFor(remote.ip()))
    }

    fn ephemeral_port(&mut self, local: IpAddr, remote: SocketAddr) -> Result<u16, ConnectError> {
        let offset = self.keys.port_offset(local, remote.ip(), remote.port());
        let (table, keys, slabs) = (&self.table, &self.keys, &self.slabs);
        let is_free = |port| {
            let flow = Flow::new(SocketAddr::new(local, port), remote);
            table.get(keys, slabs, &flow).is_none()
        };
        self.ports.choose(offset, is_free).ok_or(ConnectError::PortsExhausted)
    }

    /// RECEIVE (RFC 9293 section 3.10.3): copies what has arrived; `Ok(0)` is the end of the
    /// stream.
    ///
    /// # Errors
    /// When nothing has arrived, or the connection is over and all has been read.
    pub fn read(&mut self, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> {
        let slot = self.held_mut(id).ok_or(ReadError::NoSuchConnection)?;
        let n = slot.connection.read(into)?;
        self.settle(id);
        Ok(n)
    }

    /// The same, and leaves the bytes unread (MSG_PEEK).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn peek(&mut self, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> {
        self.held_mut(id).ok_or(ReadError::NoSuchConnection)?.connection.peek(into)
    }

    /// SEND (RFC 9293 section 3.10.2): copies what fits and answers how much that was. When that
    /// fills the buffer, or as much of it as there is memory for,
    /// [`Event::Writable`](super::Event::Writable) tells when there is room.
    ///
    /// # Errors
    /// When this side has been shut down, or the connection is over.
    pub fn write(&mut self, id: ConnId, data: &[u8]) -> Result<usize, WriteError> {
        let taken = self.writer(id)?.write(data)?;
        Ok(self.wrote(id, data, taken))
    }

    /// SEND of a part of what the application has to say (MSG_MORE): what does not fill a segment
    /// waits for the rest, until the peer is heard from or a retransmission timeout has passed
    /// with nothing in flight.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_more(&mut self, id: ConnId, data: &[u8]) -> Result<usize, WriteError> {
        let taken = self.writer(id)?.write_more(data)?;
        Ok(self.wrote(id, data, taken))
    }

    /// SEND with the urgent flag (RFC 9293 section 3.8.5): the peer's mark lies behind the last
    /// byte that was taken.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_urgent(&mut self, id: ConnId, data: &[u8]) -> Result<usize, WriteError> {
        let taken = self.writer(id)?.write_urgent(data)?;
        Ok(self.wrote(id, data, taken))
    }

    /// Draws the conclusions after a write that has taken so many bytes.
    fn wrote(&mut self, id: ConnId, data: &[u8], taken: usize) -> usize {
        // What was written is to be sent, with what has been lent for it.
        self.settle_holding(id, taken > 0);
        if taken < data.len()
            && let Some(slot) = self.slabs.connections.get(id)
        {
            let refused = slot.connection.lacks_memory_to_write(self.memory.room());
            self.counters.writes_refused += u64::from(refused);
        }
        taken
    }

    /// A connection that an application is about to write to.
    fn writer(&mut self, id: ConnId) -> Result<&mut Connection, WriteError> {
        let slot = self.slabs.connections.get_mut(id);
        let slot = slot.filter(|slot| !slot.connection.is_orphan());
        let slot = slot.ok_or(WriteError::NoSuchConnection)?;
        slot.connection.set_room(self.memory.room());
        if slot.connection.lend_for_sending(&mut self.spares) {
            self.memory.charge(slot);
            slot.connection.set_room(self.memory.room());
        }
        Ok(&mut slot.connection)
    }

    /// Puts into the receive buffer what an application did not take of the text that
    /// [`on_packet`](Self::on_packet) handed out. Call it before the next packet comes in or one goes
    /// out, and only then. What there is no memory for is dropped, and comes again.
    pub fn store(&mut self, id: ConnId, rest: &[u8]) {
        if let Some(slot) = self.slabs.connections.get_mut(id)
            && !rest.is_empty()
        {
            slot.connection.set_room(self.memory.room());
            if slot.connection.lend_for_receiving(&mut self.spares) {
                self.memory.charge(slot);
                slot.connection.set_room(self.memory.room());
            }
            let all = slot.connection.store(rest);
            self.counters.text_refused += u64::from(!all);
            if slot.connection.is_orphan() || !all {
                self.settle(id);
            } else {
                self.memory.charge(slot);
            }
        }
    }

    /// Bytes that a read would give.
    pub fn readable(&self, id: ConnId) -> usize {
        self.held(id).map_or(0, |slot| slot.connection.readable())
    }

    /// Bytes written and not yet acknowledged (SIOCOUTQ).
    pub fn unacknowledged(&self, id: ConnId) -> usize {
        self.held(id).map_or(0, |slot| slot.connection.unacknowledged())
    }

    /// Those of them that have not been sent yet (SIOCOUTQNSD).
    pub fn unsent(&self, id: ConnId) -> usize {
        self.held(id).map_or(0, |slot| slot.connection.unsent() as usize)
    }

    /// Bytes that a write would take.
    pub fn writable(&self, id: ConnId) -> usize {
        self.held(id).map_or(0, |slot| slot.connection.writable(self.memory.room()))
    }

    /// Bytes from the first unread one up to the end of the urgent data, if the peer has marked
    /// some (RFC 9293 section 3.8.5, MUST-33).
    pub fn urgent_mark(&self, id: ConnId) -> Option<u32> {
        self.held(id)?.connection.urgent_mark()
    }

    /// CLOSE of our side (RFC 9293 section 3.10.4): a FIN follows what was written, and reading
    /// goes on.
    pub fn shutdown(&mut self, id: ConnId) {
        if let Some(slot) = self.held_mut(id) {
            slot.connection.shutdown();
            self.settle(id);
        }
    }

    /// Gives the id back. What was written still goes out, and a FIN after it; but if received
    /// text would be thrown away, or linger is zero, the connection is reset.
    pub fn close(&mut self, id: ConnId) {
        let now = self.now;
        let Some(slot) = self.held_mut(id) else { return };
        slot.events = Events::empty();
        if !slot.connection.close(now) {
            self.counters.aborts_on_close += 1;
        }
        self.settle(id);
    }

    /// ABORT (RFC 9293 section 3.10.5): resets the connection and gives the id back.
    pub fn abort(&mut self, id: ConnId) {
        if let Some(slot) = self.held_mut(id) {
            slot.events = Events::empty();
            slot.connection.abort();
            self.settle(id);
        }
    }

    /// The settings of a connection.
    pub fn settings(&self, id: ConnId) -> Option<&Settings> {
        Some(self.held(id)?.connection.settings())
    }

    /// Changes settings of a connection. What only a SYN can say (timestamps, SACK, window scaling,
    /// ECN) stays as ours has said it once it has left.
    ///
    /// # Errors
    /// When the settings make no sense: nothing is changed then.
    pub fn configure(
        &mut self,
        id: ConnId,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), ConfigError> {
        let now = self.now;
        let Some(slot) = self.held_mut(id) else { return Ok(()) };
        let mut settings = slot.connection.settings().clone();
        change(&mut settings);
        validate(&settings)?;
        slot.connection.set_settings(now, settings);
        // What it says of the IP header may have changed.
        self.templates.forget(id);
        self.settle(id);
        Ok(())
    }

    /// Turns Nagle's algorithm off or on (TCP_NODELAY). To turn it off, also once more, sends what
    /// waits, even what a cork holds back; as Linux does.
    pub fn set_no_delay(&mut self, id: ConnId, on: bool) {
        self.change(id, |settings| settings.no_delay = on);
        if on && let Some(slot) = self.held_mut(id) {
            slot.connection.flush();
            self.settle(id);
        }
    }

    /// Holds back segments that are not full-sized, or no longer (TCP_CORK).
    pub fn set_cork(&mut self, id: ConnId, on: bool) {
        self.change(id, |settings| settings.cork = on);
    }

    /// Turns keep-alive on or off (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). Times
    /// below a second count as a second, and at least one probe is sent.
    pub fn set_keep_alive(&mut self, id: ConnId, keep_alive: Option<KeepAlive>) {
        self.change(id, |settings| settings.keep_alive = keep_alive.map(KeepAlive::clamped));
    }

    /// Sets what `close` does with data that is not yet acknowledged (SO_LINGER).
    pub fn set_linger(&mut self, id: ConnId, linger: Option<Duration>) {
        self.change(id, |settings| settings.linger = linger);
    }

    /// Sets the time to live, or hop limit, of what is sent from now on, in hops (IP_TTL,
    /// IPV6_UNICAST_HOPS; RFC 9293 section 3.9.2, MUST-49). 0 counts as 1.
    pub fn set_ttl(&mut self, id: ConnId, ttl: u8) {
        self.change(id, |settings| settings.ttl = ttl.max(1));
    }

    /// Sets the Differentiated Services field of what is sent from now on (IP_TOS, IPV6_TCLASS;
    /// RFC 9293 section 3.9.1.9, MUST-48 and SHLD-21). The two bits of ECN are not taken.
    pub fn set_traffic_class(&mut self, id: ConnId, traffic_class: u8) {
        self.change(id, |settings| settings.traffic_class = traffic_class);
    }

    /// Turns reports of soft errors and of urgent data on or off (RFC 9293 section 3.9.1.8,
    /// SHLD-20). What there is to know can be asked for all the same.
    pub fn set_error_reports(&mut self, id: ConnId, on: bool) {
        self.change(id, |settings| settings.error_reports = on);
    }

    /// Sets how long data may stay unacknowledged (TCP_USER_TIMEOUT). Zero stands for `None`, as it
    /// does in Linux.
    pub fn set_user_timeout(&mut self, id: ConnId, timeout: Option<Duration>) {
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        self.change(id, |settings| settings.user_timeout = timeout);
    }

    /// A change that always makes sense.
    fn change(&mut self, id: ConnId, change: impl FnOnce(&mut Settings)) {
        let changed = self.configure(id, change);
        debug_assert!(changed.is_ok(), "{changed:?}");
    }
}
