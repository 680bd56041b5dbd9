//! The stack, its clock, what has come out of it, and the calls that are blocked.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use nix::errno::Errno;

use super::readiness::{Edges, Epoll};
use super::sockets::{Call, Outcome, Socket};
use super::sysctl::Sysctls;
use crate::time::{Duration, Instant};
use crate::wire::Frame;
use crate::{Config, ConnId, Event, ListenerId, Stack};

/// What `gettimeofday` says when the clock starts.
pub const EPOCH_SECONDS: u64 = 1_000_000_000;

/// How much time each look at the clock takes.
const TICK: Duration = Duration::from_micros(1);

/// The addresses that connections start from, unless the script binds another.
const LOCAL_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 2));
const LOCAL_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 2));

/// How long, in real time, a blocked call waits for another thread to move the clock before it
/// takes that upon itself. Where there is no other thread it does so at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Packets that have come out and were not sniffed; beyond it they are lost.
const MOST_PACKETS: usize = 65_536;

/// What the functions of the interface work on.
pub(super) struct World {
    inner: Mutex<Inner>,
    /// A blocked call has been answered, or somebody has moved the clock.
    moved: Condvar,
}

/// A call that waits for something to happen.
struct Blocked {
    thread: ThreadId,
    call: Call,
    /// When it has waited long enough.
    deadline: Option<Instant>,
    answer: Option<Result<Outcome, Errno>>,
}

/// A packet that has come out, and when.
struct Sniffed {
    at: Instant,
    packet: Vec<u8>,
}

pub(super) struct Inner {
    pub(super) stack: Stack,
    now: Instant,
    pub(super) sysctls: Sysctls,
    pub(super) sockets: BTreeMap<i32, Socket>,
    pub(super) epolls: BTreeMap<i32, Epoll>,
    /// Which socket is which connection or listener.
    pub(super) connections: HashMap<ConnId, i32>,
    pub(super) listeners: HashMap<ListenerId, i32>,
    blocked: Vec<Blocked>,
    /// When a thread's blocked call was answered, until it has looked at the clock.
    answered: HashMap<ThreadId, Instant>,
    sniffed: VecDeque<Sniffed>,
    /// Counts calls, so that a blocked one sees whether anybody else is active.
    calls: u64,
    /// Who has ever called.
    callers: HashSet<ThreadId>,
    /// A leftover packet ends the process with an error.
    strict: bool,
}

impl World {
    /// A world with what `flags`, a list separated by commas, asks for: `strict` (a packet that no
    /// script has looked at is an error), `mtu=N`, and `iss=N`, the first sequence number of every
    /// connection.
    pub(super) fn new(flags: &str) -> Result<Self, String> {
        let mut config = Config::with_addresses([LOCAL_V4, LOCAL_V6]);
        let mut strict = false;
        for flag in flags.split(',').map(str::trim).filter(|flag| !flag.is_empty()) {
            match flag.split_once('=') {
                None if flag == "strict" => strict = true,
                Some(("mtu", mtu)) => {
                    config.mtu = mtu.parse().map_err(|_| format!("{mtu} is no MTU"))?;
                }
                Some(("iss", iss)) => {
                    let number = iss.parse().map_err(|_| format!("{iss} is no sequence number"))?;
                    config.fixed_iss = Some(number);
                }
                _ => return Err(format!("unknown flag {flag}: use strict, mtu=N or iss=N")),
            }
        }
        let stack = Stack::new(config, [42; 32]).map_err(|error| error.to_string())?;
        let inner = Inner {
            stack,
            now: Instant::ZERO,
            sysctls: Sysctls::default(),
            sockets: BTreeMap::new(),
            epolls: BTreeMap::new(),
            connections: HashMap::new(),
            listeners: HashMap::new(),
            blocked: Vec::new(),
            answered: HashMap::new(),
            sniffed: VecDeque::new(),
            calls: 0,
            callers: HashSet::new(),
            strict,
        };
        Ok(Self { inner: Mutex::new(inner), moved: Condvar::new() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.calls += 1;
        inner.callers.insert(thread::current().id());
        inner
    }

    /// Carries out a call. If it cannot be answered yet, and `waits`, the thread sleeps until it
    /// can, or until `timeout` has passed on the virtual clock.
    pub(super) fn call(
        &self,
        mut call: Call,
        waits: bool,
        timeout: Option<Duration>,
    ) -> Result<Outcome, Errno> {
        let mut inner = self.lock();
        let answer = call.attempt(&mut inner);
        self.settle(&mut inner);
        if let Some(answer) = answer {
            return answer;
        }
        if !waits || timeout == Some(Duration::ZERO) {
            return call.give_up();
        }
        let thread = thread::current().id();
        let deadline = timeout.map(|timeout| inner.now + timeout);
        inner.blocked.push(Blocked { thread, call, deadline, answer: None });
        let mut calls = inner.calls;
        loop {
            let (guard, waited) =
                self.moved.wait_timeout(inner, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            inner = guard;
            if waited.timed_out() && inner.calls == calls {
                let next = inner.next_deadline();
                match next {
                    Some(next) => inner.advance(next),
                    None => inner.answer_with(thread, Errno::EDEADLK),
                }
            }
            calls = inner.calls;
            if let Some(answer) = inner.take_answer(thread) {
                return answer;
            }
        }
    }

    /// Draws the conclusions after anything has happened, and wakes those who waited for it.
    pub(super) fn settle(&self, inner: &mut Inner) {
        inner.settle();
        self.moved.notify_all();
    }

    /// Reads the clock, which takes a microsecond.
    pub(super) fn look_at_clock(&self) -> Instant {
        let mut inner = self.lock();
        if let Some(at) = inner.answered.remove(&thread::current().id()) {
            return at;
        }
        let now = inner.now + TICK;
        inner.advance(now);
        self.moved.notify_all();
        inner.now
    }

    /// Lets time pass.
    pub(super) fn sleep(&self, duration: Duration) {
        let mut inner = self.lock();
        let until = inner.now + duration;
        inner.advance(until);
        self.moved.notify_all();
    }

    /// A packet arrives.
    pub(super) fn inject(&self, packet: &[u8]) {
        let mut inner = self.lock();
        inner.learn_address(packet);
        let now = inner.now;
        inner.stack.on_packet_stored(now, Frame::plain(packet));
        self.settle(&mut inner);
    }

    /// The next packet that comes out, and when it did; `None` when none would ever come.
    pub(super) fn sniff(&self) -> Option<(Instant, Vec<u8>)> {
        let mut inner = self.lock();
        loop {
            if let Some(Sniffed { at, packet }) = inner.sniffed.pop_front() {
                return Some((at, packet));
            }
            let next = inner.next_deadline()?;
            inner.advance(next);
            self.moved.notify_all();
        }
    }

    /// The end of a script: packets that nobody has looked at are told of. Answers whether that is
    /// an error.
    pub(super) fn end(&self) -> bool {
        let inner = self.lock();
        for Sniffed { at, packet } in &inner.sniffed {
            let micros = at.as_micros();
            eprintln!("left over: a packet of {} bytes at {micros} us", packet.len());
        }
        inner.strict && !inner.sniffed.is_empty()
    }
}

impl Inner {
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass up to `until`; what is due on the way happens at its own time.
    fn advance(&mut self, until: Instant) {
        while let Some(next) = self.next_deadline().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.stack.on_timeout(self.now);
            self.settle();
        }
        self.now = self.now.max(until);
        self.stack.on_timeout(self.now);
        self.settle();
    }

    /// When something is due next.
    fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.blocked.iter().filter(|blocked| blocked.answer.is_none());
        let deadlines = waiting.filter_map(|blocked| blocked.deadline);
        deadlines.chain(self.stack.poll_timeout()).min()
    }

    /// Takes out events and packets, and answers the calls that can be answered now; what they do
    /// may lead to more of all three.
    fn settle(&mut self) {
        loop {
            let mut progress = false;
            while let Some(event) = self.stack.poll_event() {
                self.note(event);
                progress = true;
            }
            while let Some(packet) = self.stack.poll_transmit(self.now) {
                let packet = packet.to_vec();
                if self.sniffed.len() < MOST_PACKETS {
                    self.sniffed.push_back(Sniffed { at: self.now, packet });
                }
                progress = true;
            }
            progress |= self.answer_blocked();
            if !progress {
                return;
            }
        }
    }

    /// Tries each blocked call once more. Answers whether one was answered.
    fn answer_blocked(&mut self) -> bool {
        let mut blocked = core::mem::take(&mut self.blocked);
        let mut progress = false;
        for waiting in blocked.iter_mut().filter(|waiting| waiting.answer.is_none()) {
            let late = waiting.deadline.is_some_and(|deadline| deadline <= self.now);
            let answer =
                waiting.call.attempt(self).or_else(|| late.then(|| waiting.call.give_up()));
            if answer.is_some() {
                waiting.answer = answer;
                self.answered.insert(waiting.thread, self.now);
                progress = true;
            }
        }
        self.blocked = blocked;
        progress
    }

    fn answer_with(&mut self, thread: ThreadId, errno: Errno) {
        for blocked in self.blocked.iter_mut().filter(|blocked| blocked.thread == thread) {
            blocked.answer = Some(Err(errno));
        }
    }

    fn take_answer(&mut self, thread: ThreadId) -> Option<Result<Outcome, Errno>> {
        let done = |blocked: &Blocked| blocked.thread == thread && blocked.answer.is_some();
        let at = self.blocked.iter().position(done)?;
        self.blocked.swap_remove(at).answer
    }

    /// An event of the stack is an edge for epoll.
    fn note(&mut self, event: Event) {
        let (fd, edges) = match event {
            Event::Incoming(id) => (self.listeners.get(&id), Edges::IN),
            Event::Established(id) | Event::Writable(id) => (self.connections.get(&id), Edges::OUT),
            Event::Readable(id) | Event::PeerClosed(id) => (self.connections.get(&id), Edges::IN),
            // Soft errors are no edge: nothing can be read or written that could not before.
            Event::SoftError(..) => (None, Edges::empty()),
            Event::Urgent(id) => (self.connections.get(&id), Edges::PRI),
            Event::Closed(id, _) => (self.connections.get(&id), Edges::IN | Edges::OUT),
        };
        if let Some(&fd) = fd {
            for epoll in self.epolls.values_mut() {
                epoll.note(fd, edges);
            }
        }
    }

    /// A packet is for us, whatever address it names: packetdrill chooses one anew for each run.
    fn learn_address(&mut self, packet: &[u8]) {
        let address = match packet.first().map(|first| first >> 4) {
            Some(4) => {
                packet.get(16..20).and_then(|a| <[u8; 4]>::try_from(a).ok()).map(IpAddr::from)
            }
            Some(6) => {
                packet.get(24..40).and_then(|a| <[u8; 16]>::try_from(a).ok()).map(IpAddr::from)
            }
            _ => None,
        };
        // One that is no address of a host is for the stack to drop.
        let _ = address.map(|address| self.stack.add_address(address));
    }
}
