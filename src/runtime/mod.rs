//! The event loop: one thread that carries packets between a device and a stack, runs the timers,
//! and calls the programs.
//!
//! ```text
//!          packets in                text, events
//!  Device ------------>  Stack  -------------------->  App
//!         <------------         <--------------------
//!          packets out               write, close
//! ```
//!
//! Every turn of the loop does a bounded amount of each kind of work, so that no flood of packets
//! keeps timers or other connections waiting: a batch of packets, the timers that are due, events,
//! packets to send; then it sleeps until a packet arrives, a timer is due, or somebody wakes it. It
//! may look out for these for a moment before it sleeps ([`Runtime::set_spin`]).

mod app;
mod clock;
mod ending;
mod outlet;
mod poller;
mod processors;
mod signals;
mod spin;
mod waker;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::Duration;

use self::clock::CachedClock;
pub use app::{App, AppId};
pub use clock::Clock;
pub use spin::MAX_SPIN;
pub use waker::Waker;

use self::app::Apps;
use self::ending::Ending;
use self::outlet::Outlet;
use self::poller::{Poller, Woken};
use self::processors::Processors;
use self::signals::EndSignals;
use self::spin::Spin;
use crate::device::{Device, LARGEST_FRAME};
use crate::stack::{ConnId, Event, ListenerId, Stack};
use crate::time::Instant;

/// Packets read in one turn, at most.
const RECEIVE_PACKETS: usize = 64;

/// Bytes read in one turn, at most, plus one packet.
const RECEIVE_BYTES: usize = 256 << 10;

/// Segments sent in one turn, at most, but for the rest of a super-segment: no more than packets are
/// read, since each may be acknowledged, and acknowledgments that come faster than they are read
/// overflow the interface's queue.
const SEND_SEGMENTS: usize = RECEIVE_PACKETS;

/// Events handed to programs in one go, at most.
const EVENTS: usize = 1_024;

/// A stack, its device and its programs.
///
/// Order of use: [`new`](Self::new); `listen` or `connect` on [`stack`](Self::stack), and
/// [`serve`](Self::serve) or [`attach`](Self::attach) a program to what that gave;
/// [`run`](Self::run), which returns when [`Waker::shut_down`] was called.
pub struct Runtime<D: Device> {
    stack: Stack,
    device: D,
    apps: Apps,
    clock: CachedClock,
    poller: Poller,
    /// Whether it pays off to look out before a sleep.
    spin: Spin,
    processors: Processors,
    waker: Waker,
    /// Signals that end the loop.
    signals: Option<EndSignals>,
    /// Where packets are read into.
    buffer: Box<[u8]>,
    /// The way to the device, with what that had no room for.
    outlet: Outlet,
    /// The device may have a packet.
    is_readable: bool,
    /// When the stack's timers are due, as it said at the end of the last turn.
    due: Option<Instant>,
    /// Segments that may still be sent in this turn.
    allowance: usize,
    /// Set once the end was asked for.
    ending: Option<Ending>,
}

impl<D: Device> Runtime<D> {
    /// A loop that has not started.
    ///
    /// # Errors
    /// When the process has no descriptors left for what it sleeps and wakes by.
    pub fn new(mut stack: Stack, device: D) -> io::Result<Self> {
        stack.set_offload(Outlet::offload(&device));
        let (poller, waker) = (Poller::new()?, Waker::new()?);
        poller.wake_by(waker.fd())?;
        Ok(Self {
            stack,
            device,
            apps: Apps::default(),
            clock: CachedClock::new(Clock::start()),
            poller,
            spin: Spin::new(Duration::ZERO),
            processors: Processors::default(),
            waker,
            signals: None,
            buffer: vec![0; LARGEST_FRAME].into_boxed_slice(),
            outlet: Outlet::new(),
            is_readable: true,
            due: None,
            allowance: SEND_SEGMENTS,
            ending: None,
        })
    }

    /// The stack, for `listen` and `connect` before the loop starts, and for its counters.
    pub fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// What wakes and ends this loop from elsewhere.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Has signals of these numbers end the loop, each as a call of [`Waker::shut_down`] does.
    ///
    /// As long as the loop lives they are blocked in this thread, and nobody else should handle
    /// them. In a program with other threads they have to be blocked there too: call this before
    /// the others start.
    ///
    /// # Errors
    /// When a number is that of no signal, or the process has no descriptor left.
    pub fn end_on_signals(&mut self, signals: &[i32]) -> io::Result<()> {
        // Those of a call before are let go first, or they would take these with them.
        self.signals = None;
        let signals = EndSignals::block(signals)?;
        self.poller.wake_by(signals.fd())?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Lets the loop look out for packets before it sleeps, for at most `limit` each time; zero, the
    /// default, turns it off, and more than [`MAX_SPIN`] counts as that.
    ///
    /// It does so only while that pays off, and never while the thread may run on one processor only
    /// (`sched_getaffinity`, which is looked at again every second). That spares the time it takes to
    /// be woken, and costs that of a processor. Timers, signals and the [`Waker`] are minded
    /// meanwhile.
    pub fn set_spin(&mut self, limit: Duration) {
        self.spin = Spin::new(limit);
    }

    /// Takes in a program that serves nothing yet.
    pub fn add(&mut self, app: Box<dyn App>) -> AppId {
        self.apps.add(app)
    }

    /// Takes in a program and gives it all connections that come in at `listener`.
    pub fn serve(&mut self, listener: ListenerId, app: Box<dyn App>) -> AppId {
        let app = self.apps.add(app);
        self.apps.serve(listener, app);
        app
    }

    /// Gives all connections that come in at `listener` to a program that was taken in before.
    pub fn serve_also(&mut self, listener: ListenerId, app: AppId) {
        self.apps.serve(listener, app);
    }

    /// Gives a connection that was made with [`Stack::connect`] to a program.
    pub fn attach(&mut self, id: ConnId, app: AppId) {
        self.apps.attach(id, app);
    }

    /// Runs until the end is asked for with [`Waker::shut_down`]. Then it stops listening, closes
    /// every connection with a FIN, goes on for at most one second until all have finished, and
    /// resets the rest; asked a second time it returns at once.
    ///
    /// # Errors
    /// When the device is of no more use, for example because the interface was removed.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            let mut has_more = self.turn()?;
            match self.ends_asked() {
                0 => {}
                1 if self.ending.is_none() => {
                    self.start_to_end();
                    has_more = true;
                }
                1 if self.is_over() => return self.abort_rest(),
                1 => {}
                _ => return Ok(()),
            }
            self.rest(has_more)?;
        }
    }

    /// How often the end was asked for.
    fn ends_asked(&self) -> u8 {
        let by_signals = self.signals.as_ref().map_or(0, EndSignals::count);
        self.waker.ends_asked().saturating_add(by_signals)
    }

    /// One turn of the loop. True when there is more to do at once.
    fn turn(&mut self) -> io::Result<bool> {
        self.allowance = SEND_SEGMENTS;
        if self.waker.take_woken() {
            self.wake_apps();
        }
        let mut has_more = self.receive()?;
        let now = self.clock.read();
        if self.due.is_some_and(|due| due <= now) {
            self.stack.on_timeout(now);
        }
        has_more |= self.dispatch();
        has_more |= !self.transmit()?;
        self.due = self.stack.poll_timeout();
        Ok(has_more)
    }

    /// Waits until there is something to do; if there is already, only looks whether packets or
    /// signals have come meanwhile.
    fn rest(&mut self, has_more: bool) -> io::Result<()> {
        self.poller.wait_for(self.device.fd(), self.outlet.is_blocked())?;
        let woken = if has_more {
            self.poller.look()?
        } else {
            // What has passed since makes the sleep longer, by no more than that.
            let now = self.clock.last();
            let budget = self.spin.budget();
            if !budget.is_zero() && self.processors.are_several(now) {
                self.look_out(now, budget)?
            } else {
                self.sleep(now)?
            }
        };
        if woken.failed {
            return Err(self.device.failure());
        }
        self.is_readable |= woken.readable;
        if let Some(signals) = self.signals.as_mut().filter(|_| woken.by_another) {
            signals.take();
        }
        Ok(())
    }

    /// Looks until something happens, a timer is due or the time is up, and then sleeps.
    fn look_out(&mut self, start: Instant, limit: Duration) -> io::Result<Woken> {
        let (end, deadline) = (start + limit, self.deadline());
        let mut has_waited = false;
        loop {
            let woken = self.poller.look()?;
            if woken.by_event {
                if has_waited {
                    self.spin.found(self.processors.were_needed());
                }
                return Ok(woken);
            }
            has_waited = true;
            let now = self.clock.read();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(woken);
            }
            if end <= now {
                self.spin.missed();
                return self.sleep(now);
            }
        }
    }

    /// Sleeps until something happens or a timer is due; it is `now`.
    fn sleep(&mut self, now: Instant) -> io::Result<Woken> {
        self.device.idle();
        let woken = self.poller.sleep(now, self.deadline())?;
        if woken.by_event {
            self.spin.slept(self.clock.read().since(now));
        }
        Ok(woken)
    }

    fn wake_apps(&mut self) {
        if self.ending.is_some() {
            return;
        }
        // The stack learns how late it is before the programs ask anything of it.
        self.stack.on_timeout(self.clock.read());
        for app in self.apps.iter_mut() {
            app.on_wake(&mut self.stack);
        }
    }

    /// Reads a batch of packets. True when it stopped because the batch was full.
    fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = 0;
        self.clock.read();
        for _ in 0..RECEIVE_PACKETS {
            if bytes >= RECEIVE_BYTES {
                return Ok(true);
            }
            if !self.is_readable {
                return Ok(false);
            }
            let frame = match self.device.receive(&mut self.buffer) {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(error),
            };
            bytes += frame.bytes.len();
            let received = self.stack.on_packet(self.clock.for_packet(), frame);
            if let Some((id, data)) = received.data {
                let taken = match (&self.ending, self.apps.owner(&self.stack, id)) {
                    (Some(_), _) => data.len(),
                    (None, Some(app)) => match self.apps.get_mut(app) {
                        Some(app) => app.on_data(&mut self.stack, id, data),
                        None => 0,
                    },
                    (None, None) => 0,
                };
                if let Some(rest @ [_, ..]) = data.get(taken..) {
                    self.stack.store(id, rest);
                }
            }
            let owed_now = received.owed_now;
            self.dispatch();
            // RFC 5681 section 4.2: every out-of-order segment is answered by an ACK of its own,
            // so what is owed now leaves before the next packet can change it.
            if owed_now {
                self.transmit()?;
            }
        }
        Ok(true)
    }

    /// Hands events to the programs. True when there are more.
    fn dispatch(&mut self) -> bool {
        for _ in 0..EVENTS {
            let Some(event) = self.stack.poll_event() else {
                return false;
            };
            if self.ending.is_some() {
                ending::on_event(&mut self.stack, event);
                continue;
            }
            match event {
                Event::Incoming(listener) => self.accept(listener),
                Event::Established(id)
                | Event::Readable(id)
                | Event::Writable(id)
                | Event::PeerClosed(id)
                | Event::Urgent(id)
                | Event::SoftError(id, _)
                | Event::Closed(id, _) => self.hand_over(id, event),
            }
        }
        true
    }

    fn accept(&mut self, listener: ListenerId) {
        let Some(app) = self.apps.of_listener(listener) else {
            return;
        };
        while let Some(id) = self.stack.accept(listener) {
            self.apps.attach(id, app);
            let Some(app) = self.apps.get_mut(app) else {
                return;
            };
            app.on_accept(&mut self.stack, id);
        }
    }

    fn hand_over(&mut self, id: ConnId, event: Event) {
        let owner = self.apps.owner(&self.stack, id);
        if let Some(app) = owner.and_then(|app| self.apps.get_mut(app)) {
            app.on_event(&mut self.stack, event);
        } else if matches!(event, Event::Closed(..)) {
            self.stack.close(id);
        }
    }

    /// Sends what the stack has to send, as far as this turn's allowance goes but at least one
    /// packet, since what is owed at once comes first. False when there may be more. A device
    /// without room is no reason to answer false: the loop polls for it.
    fn transmit(&mut self) -> io::Result<bool> {
        if !self.outlet.flush(&mut self.device)? {
            return Ok(true);
        }
        loop {
            let Some(packet) = self.stack.poll_transmit(self.clock.for_packet()) else {
                return Ok(true);
            };
            let sent = self.outlet.send(&mut self.device, &packet)?;
            if self.outlet.is_blocked() {
                return Ok(true);
            }
            self.allowance = self.allowance.saturating_sub(sent);
            if self.allowance == 0 {
                return Ok(false);
            }
        }
    }

    /// When the loop must be awake, if nothing happens before.
    fn deadline(&self) -> Option<Instant> {
        let ending = self.ending.as_ref().map(Ending::deadline);
        self.due.into_iter().chain(ending).min()
    }
}

impl<D: Device + fmt::Debug> fmt::Debug for Runtime<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("device", &self.device)
            .field("blocked", &self.outlet.is_blocked())
            .field("ending", &self.ending.is_some())
            .finish_non_exhaustive()
    }
}
