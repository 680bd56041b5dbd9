//! Many connections: packets in, packets out, events and deadlines.
//!
//! [`Stack`] does no input or output and owns no clock. Its methods come in four kinds:
//!
//! - *facts in*: [`on_packet`](Stack::on_packet), [`on_timeout`](Stack::on_timeout);
//! - *verbs* for the application: [`listen`](Stack::listen), [`accept`](Stack::accept),
//!   [`connect`](Stack::connect), [`read`](Stack::read), [`write`](Stack::write),
//!   [`shutdown`](Stack::shutdown), [`close`](Stack::close), [`abort`](Stack::abort);
//! - *answers out*: [`poll_transmit`](Stack::poll_transmit), [`poll_event`](Stack::poll_event),
//!   [`poll_timeout`](Stack::poll_timeout);
//! - *getters*.
//!
//! Verbs happen at the time that the stack was told last: after a wait,
//! [`on_timeout`](Stack::on_timeout) comes first.
//!
//! The order of calls: after every fact and every verb, poll events and act upon them, then poll
//! packets until there are none, then wait until a packet comes or
//! [`poll_timeout`](Stack::poll_timeout) has passed. When
//! [`Received::owed_now`] is set, packets are polled before the next one is brought in.

mod age;
mod config;
mod control;
mod counters;
mod deadlines;
mod event;
mod keys;
mod listener;
mod memory;
mod ports;
mod replies;
mod segments;
mod sockets;
mod syn_acks;
mod table;
mod templates;
mod time_wait;
mod transmit;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use slotmap::SlotMap;

pub use config::{Config, ConfigError};
pub use counters::{Counters, Drops};
pub use event::{ConnId, Event, ListenerId, Received};
pub use sockets::{ConnectError, ListenError};

use crate::ip::path_mtu::PathMtus;
use crate::tcp::{CloseReason, Connection, Events, Link, Settings, SoftError, Spares, State};
pub use crate::tcp::{Info, Readiness};
use crate::time::Instant;
use crate::wire::codec::HeaderBuffer;
use crate::wire::{Flow, Frame, Offload};
use age::{Ages, Neighbours};
use deadlines::{Armed, Deadlines};
use keys::Keys;
use listener::{HalfOpenSlot, Listener};
use memory::BufferMemory;
use ports::Ports;
use replies::{RateLimit, Replies};
use syn_acks::SynAcks;
use table::{Entry, Slabs, Table};
use templates::Templates;
use time_wait::{ExpiryQueue, TimeWaitRecord};

slotmap::new_key_type! {
    /// Names a half-open entry.
    struct HalfOpenId;
}

/// Segments that a connection may send before the next one has its turn.
const QUANTUM: u8 = 16;

/// The earlier of two deadlines, of which either may not be.
#[inline]
fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// A connection and its place in the stack.
struct Slot {
    connection: Connection,
    /// The listener that it came from.
    listener: Option<ListenerId>,
    /// What the connection is armed for.
    armed: Armed,
    /// Its place in the order of age.
    age: Neighbours,
    /// It waits in the queue of those that may have something to send.
    ready: bool,
    /// The table knows it: not so in TIME-WAIT, and when it is over.
    attached: bool,
    /// The application has it. Until then it is told nothing.
    accepted: bool,
    /// Events that wait to be polled, or (not yet accepted) to be announced.
    events: Events,
    /// What the account has down for its buffers.
    charged: u32,
}

/// A TCP/IP stack: hand it packets and time, and poll it for packets, events and deadlines.
pub struct Stack {
    config: Config,
    settings: Arc<Settings>,
    keys: Keys,
    now: Instant,

    slabs: Slabs,
    table: Table,
    listeners: SlotMap<ListenerId, Listener>,
    bound: BTreeMap<(u16, IpAddr), ListenerId>,
    deadlines: Deadlines<ConnId>,
    syn_acks: SynAcks,
    /// Text that came with a SYN, for those half-open entries that have some.
    early_texts: BTreeMap<HalfOpenId, Box<[u8]>>,
    expiry: ExpiryQueue,
    paths: PathMtus,
    ports: Ports,
    ages: Ages,
    templates: Templates,
    spares: Spares,

    ready: VecDeque<ConnId>,
    /// Segments that the first of them may still send before the next has its turn.
    quantum: u8,
    events: VecDeque<Event>,
    replies: Replies,
    icmp_limit: RateLimit,
    header: HeaderBuffer,
    /// What the device does for its packets.
    offload: Offload,
    counters: Counters,
    memory: BufferMemory,
}

/// What there is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that are not over, whether accepted yet or not; TIME-WAIT is not counted here.
    pub connections: usize,
    /// SYNs that were answered and not yet acknowledged.
    pub half_open: usize,
    /// TIME-WAIT records.
    pub time_wait: usize,
    /// Listeners.
    pub listeners: usize,
}

impl Stack {
    /// A stack. All that is random in it comes from `seed`: the same seed, packets and times give
    /// the same run.
    ///
    /// # Errors
    /// When the settings make no sense.
    pub fn new(config: Config, seed: [u8; 32]) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            settings: Arc::new(config.tcp.clone()),
            memory: BufferMemory::new(config.max_buffer_memory),
            config,
            keys: Keys::new(&seed),
            now: Instant::ZERO,
            slabs: Slabs::default(),
            table: Table::default(),
            listeners: SlotMap::with_key(),
            bound: BTreeMap::new(),
            deadlines: Deadlines::default(),
            syn_acks: SynAcks::default(),
            early_texts: BTreeMap::new(),
            expiry: ExpiryQueue::default(),
            paths: PathMtus::default(),
            ports: Ports::default(),
            ages: Ages::default(),
            templates: Templates::default(),
            spares: Spares::default(),
            ready: VecDeque::new(),
            quantum: QUANTUM,
            events: VecDeque::new(),
            replies: Replies::default(),
            icmp_limit: RateLimit::new(),
            header: HeaderBuffer::new(),
            offload: Offload::Nothing,
            counters: Counters::default(),
        })
    }

    // --- Facts in ---

    /// A packet has arrived at `now`.
    ///
    /// In-order text with nothing unread before it comes back, borrowed from the frame. Whoever
    /// calls this gives it to the application and [`store`](Self::store)s what is not taken, before
    /// the next packet.
    pub fn on_packet<'f>(&mut self, now: Instant, frame: Frame<'f>) -> Received<'f> {
        self.take_packet(now, frame, true)
    }

    /// A packet has arrived at `now`; all its text goes into the receive buffer. Answers whether
    /// something is owed at once.
    pub fn on_packet_stored(&mut self, now: Instant, frame: Frame<'_>) -> bool {
        self.take_packet(now, frame, false).owed_now
    }

    /// It is `now`: acts upon every deadline that has passed. Calling it early is harmless.
    pub fn on_timeout(&mut self, now: Instant) {
        self.advance(now);
        while let Some(id) = self.deadlines.pop_due(self.now) {
            if let Some(slot) = self.slabs.connections.get_mut(id) {
                slot.armed = Armed::default();
                let before = slot.connection.timeouts();
                slot.connection.on_timeout(self.now);
                let timeouts = slot.connection.timeouts() - before;
                self.counters.retransmission_timeouts += timeouts;
                self.settle(id);
            }
        }
        while let Some(id) = self.syn_acks.pop_due(self.now, &self.slabs.half_open) {
            self.on_syn_ack_timeout(id);
        }
        while let Some(id) = self.expiry.pop_expired(self.now, &mut self.slabs.time_wait) {
            self.forget_time_wait(id);
        }
    }

    // --- Answers out (poll_transmit is in transmit.rs) ---

    /// The next thing that an application may want to act on.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(event) = self.events.pop_front() {
            let (id, flag) = match event {
                Event::Incoming(listener) => {
                    let Some(listener) = self.listeners.get_mut(listener) else {
                        continue;
                    };
                    listener.announced = false;
                    return Some(event);
                }
                Event::Established(id) => (id, Events::ESTABLISHED),
                Event::Readable(id) => (id, Events::READABLE),
                Event::Writable(id) => (id, Events::WRITABLE),
                Event::PeerClosed(id) => (id, Events::PEER_CLOSED),
                Event::Urgent(id) => (id, Events::URGENT),
                Event::SoftError(id, SoftError::Retransmitting) => (id, Events::RETRANSMITTING),
                Event::SoftError(id, _) => (id, Events::ICMP_ERROR),
                Event::Closed(id, _) => (id, Events::CLOSED),
            };
            if let Some(slot) = self.slabs.connections.get_mut(id)
                && slot.events.contains(flag)
            {
                slot.events -= flag;
                return Some(event);
            }
        }
        None
    }

    /// When [`on_timeout`](Self::on_timeout) is due next; it may turn out that nothing was.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.deadlines.earliest();
        let syn_acks = self.syn_acks.earliest(&self.slabs.half_open);
        let expiry = self.expiry.earliest(self.now, &self.slabs.time_wait);
        sooner(connections, sooner(syn_acks, expiry))
    }

    // --- Getters ---

    /// The latest time that the stack was told. Verbs happen then.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Answers to one more address from now on.
    ///
    /// # Errors
    /// When the address is none a host can have, or the MTU too small for its family.
    pub fn add_address(&mut self, address: IpAddr) -> Result<(), ConfigError> {
        if self.config.addresses.contains(&address) {
            return Ok(());
        }
        self.config.addresses.push(address);
        let valid = self.config.validate();
        if valid.is_err() {
            self.config.addresses.pop();
        }
        valid
    }

    /// The settings that the stack was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What there is at the moment.
    pub fn totals(&self) -> Totals {
        Totals {
            connections: self.ages.len(),
            half_open: self.slabs.half_open.len(),
            time_wait: self.slabs.time_wait.len(),
            listeners: self.listeners.len(),
        }
    }

    /// What has happened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The state of a connection.
    pub fn state(&self, id: ConnId) -> Option<State> {
        Some(self.held(id)?.connection.state())
    }

    /// Why a connection is over, once it is.
    pub fn close_reason(&self, id: ConnId) -> Option<CloseReason> {
        self.held(id)?.connection.close_reason()
    }

    /// What has gone wrong with a connection since its peer was last heard of, whether or not it
    /// has been reported. Once the connection is over it stays.
    pub fn soft_error(&self, id: ConnId) -> Option<SoftError> {
        self.held(id)?.connection.soft_error()
    }

    /// What can be told of a connection (STATUS, RFC 9293 section 3.10.6).
    pub fn info(&self, id: ConnId) -> Option<Info> {
        self.held(id).map(|slot| slot.connection.info())
    }

    /// What an application could do with a connection without waiting.
    pub fn readiness(&self, id: ConnId) -> Readiness {
        self.held(id)
            .map_or(Readiness::empty(), |slot| slot.connection.readiness(self.memory.room()))
    }

    /// The connections that are not over, newest first.
    pub fn connections(&self) -> impl Iterator<Item = Info> + '_ {
        let connections = &self.slabs.connections;
        let slots = self.ages.newest_first(connections).filter_map(|id| connections.get(id));
        slots.map(|slot| slot.connection.info())
    }

    /// Bytes of memory kept for the connections that are at work next: what drained buffers and empty
    /// flights have given back, and the headers of segments. Some 6 MiB at most, however many
    /// connections there are.
    pub fn spare_memory(&self) -> usize {
        self.spares.memory() + self.templates.memory()
    }

    /// Bytes of memory taken by all connections, records and tables, but for what is
    /// [spare](Self::spare_memory); it walks all of them, and is meant for tests and benches.
    pub fn memory(&self) -> usize {
        let connections: usize = self
            .slabs
            .connections
            .values()
            .map(|slot| size_of::<Slot>() - size_of::<Connection>() + slot.connection.memory())
            .sum();
        #[cfg(debug_assertions)]
        self.check_account();
        connections
            + self.slabs.connections.capacity() * 16
            + self.slabs.half_open.capacity() * (size_of::<HalfOpenSlot>() + 4)
            + self.slabs.time_wait.capacity() * (size_of::<TimeWaitRecord>() + 4)
            + self.table.memory()
            + self.expiry.memory()
            + self.deadlines.len() * 2 * size_of::<(Instant, ConnId)>()
            + self.syn_acks.memory()
    }

    /// Bytes of memory taken by the buffers of all connections, and by the records of what they have
    /// in flight: what [`Config::max_buffer_memory`] bounds.
    pub fn buffer_memory(&self) -> usize {
        self.memory.taken()
    }

    // --- What the parts share ---

    /// A connection that an application has, or will have once it is accepted.
    fn held(&self, id: ConnId) -> Option<&Slot> {
        self.slabs.connections.get(id).map(Box::as_ref).filter(|slot| !slot.connection.is_orphan())
    }

    /// The same, with what memory there is for it.
    fn held_mut(&mut self, id: ConnId) -> Option<&mut Slot> {
        let slot = self.slabs.connections.get_mut(id).map(Box::as_mut);
        let slot = slot.filter(|slot| !slot.connection.is_orphan())?;
        slot.connection.set_room(self.memory.room());
        Some(slot)
    }

    /// Time never goes back.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The link, and what the path to `remote` is known to carry.
    fn link(&self, flow: &Flow) -> Link {
        let mtu = self.config.mtu;
        let path_mtu = self.paths.get(flow.remote(), self.now).unwrap_or(mtu).min(mtu);
        Link::new(mtu, path_mtu)
    }

    /// The initial sequence number of a connection that starts now.
    fn initial_sequence_number(&self, flow: &Flow) -> crate::wire::SeqNum {
        match self.config.fixed_iss {
            Some(iss) => crate::wire::SeqNum(iss),
            None => self.keys.initial_sequence_number(self.now, flow),
        }
    }

    /// Takes a new connection into the table.
    fn insert(&mut self, connection: Connection, listener: Option<ListenerId>) -> ConnId {
        let flow = *connection.flow();
        let id = self.slabs.connections.insert(Box::new(Slot {
            connection,
            listener,
            armed: Armed::default(),
            age: Neighbours::default(),
            ready: false,
            attached: true,
            accepted: listener.is_none(),
            events: Events::empty(),
            charged: 0,
        }));
        self.ages.push(id, &mut self.slabs.connections);
        self.table.insert(&self.keys, &self.slabs, &flow, Entry::Connection(id));
        id
    }

    /// Draws the conclusions after anything has happened to a connection: events, the way into
    /// TIME-WAIT and out of the table, its deadline, and its turn to send.
    #[inline]
    fn settle(&mut self, id: ConnId) {
        self.settle_holding(id, false);
    }

    /// The same, where a connection may hold what it has been lent, though it is empty: it has just
    /// handed text to the application, which is likely to answer. It owes an ACK for that, and gives
    /// back what it does not need when that has gone out.
    fn settle_holding(&mut self, id: ConnId, holds: bool) {
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return;
        };
        #[cfg(debug_assertions)]
        slot.connection.check();
        if !holds || slot.connection.close_reason().is_some() {
            slot.connection.give_back(&mut self.spares);
        }
        self.memory.charge(slot);
        let events = slot.connection.take_events();
        if events.is_empty() && slot.connection.close_reason().is_none() {
            // Nearly always.
            return Self::schedule(id, slot, &mut self.deadlines, &mut self.ready);
        }
        if events.contains(Events::RETRANSMITTING) {
            // RFC 9293 section 3.8.3 (b), RFC 1122 section 3.3.1.4: negative advice to the IP layer.
            // It knows no gateways, but what it has learnt about the path may be wrong.
            self.paths.forget(slot.connection.flow().remote());
        }
        self.publish(id, events);
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return;
        };
        if slot.connection.close_reason().is_some() {
            self.on_over(id);
        } else {
            Self::schedule(id, slot, &mut self.deadlines, &mut self.ready);
        }
    }

    /// Sees to it that a connection comes up by its deadline, and has its turn to send if it may
    /// have something.
    #[inline]
    fn schedule(
        id: ConnId,
        slot: &mut Slot,
        deadlines: &mut Deadlines<ConnId>,
        ready: &mut VecDeque<ConnId>,
    ) {
        if let Some(at) = slot.connection.poll_timeout() {
            deadlines.arm(id, &mut slot.armed, at);
        }
        if !slot.ready && slot.connection.may_transmit() {
            slot.ready = true;
            ready.push_back(id);
        }
    }

    /// The connection is over, or lives on in TIME-WAIT only.
    fn on_over(&mut self, id: ConnId) {
        let Some(slot) = self.slabs.connections.get_mut(id) else { return };
        let connection = &mut slot.connection;
        let acknowledge = connection.owes_ack();
        let remains = (connection.state() == State::TimeWait).then(|| connection.remains());
        if slot.attached {
            self.detach(id);
            if let Some(remains) = remains {
                self.enter_time_wait(&remains, acknowledge);
            }
        }
        self.wind_up(id);
    }

    /// Lets a connection that is over send what it still has; when it has nothing, and nobody
    /// needs it any more, it goes.
    fn wind_up(&mut self, id: ConnId) {
        let Some(slot) = self.slabs.connections.get_mut(id) else { return };
        if slot.connection.may_transmit() {
            if !slot.ready {
                slot.ready = true;
                self.ready.push_back(id);
            }
        } else if slot.connection.is_orphan() && slot.connection.close_reason().is_some() {
            self.memory.forget(slot);
            self.slabs.connections.remove(id);
        }
    }

    /// Takes a connection out of the table. It stays in its slab as long as the application has it.
    fn detach(&mut self, id: ConnId) {
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return;
        };
        slot.attached = false;
        self.deadlines.disarm(id, &mut slot.armed);
        self.ages.remove(id, &mut self.slabs.connections);
        self.count_end(id);
        let Some(slot) = self.slabs.connections.get(id) else {
            return;
        };
        self.table.remove(&self.keys, slot.connection.flow(), Entry::Connection(id));
    }

    fn count_end(&mut self, id: ConnId) {
        let Some(slot) = self.slabs.connections.get(id) else {
            return;
        };
        match slot.connection.close_reason() {
            Some(CloseReason::Finished) | None => {}
            Some(reason) => {
                let established = slot.connection.was_established();
                // No ICMP error ends an established connection: it has only explained the silence.
                let unreachable = matches!(reason, CloseReason::Unreachable(_));
                if reason == CloseReason::TimedOut || (unreachable && established) {
                    self.counters.timeouts += 1;
                }
                if established {
                    self.counters.established_resets += 1;
                } else {
                    self.counters.attempt_fails += 1;
                }
            }
        }
    }

    /// Tells the application what has happened to a connection, or keeps it until it has it.
    fn publish(&mut self, id: ConnId, events: Events) {
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return;
        };
        if slot.connection.is_orphan() {
            return;
        }
        let events = slot.connection.wanted(events);
        let fresh = events - slot.events;
        slot.events |= events;
        if !slot.accepted {
            return;
        }
        let reason = slot.connection.close_reason();
        let soft_error = slot.connection.soft_error().unwrap_or(SoftError::Retransmitting);
        let announce = [
            (Events::ESTABLISHED, Event::Established(id)),
            (Events::READABLE, Event::Readable(id)),
            (Events::URGENT, Event::Urgent(id)),
            (Events::WRITABLE, Event::Writable(id)),
            (Events::ICMP_ERROR, Event::SoftError(id, soft_error)),
            (Events::RETRANSMITTING, Event::SoftError(id, SoftError::Retransmitting)),
            (Events::PEER_CLOSED, Event::PeerClosed(id)),
            (Events::CLOSED, Event::Closed(id, reason.unwrap_or(CloseReason::Finished))),
        ];
        let fresh = announce.into_iter().filter(|(flag, _)| fresh.contains(*flag));
        self.events.extend(fresh.map(|(_, event)| event));
    }
}
