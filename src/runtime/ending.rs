//! The end of a loop: connections are closed in order as far as a second allows.

use std::io;
use std::time::Duration;

use super::Runtime;
use crate::device::Device;
use crate::stack::{ConnId, Event, Stack};
use crate::time::Instant;

/// How long connections get to finish.
const GRACE: Duration = Duration::from_secs(1);

/// Packets sent when all is over, at most: resets of what had not finished.
const LAST_PACKETS: usize = 1 << 20;

/// A loop that is about to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    deadline: Instant,
}

impl Ending {
    /// An end that waits until `deadline`.
    pub(super) fn at(deadline: Instant) -> Self {
        Self { deadline }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl<D: Device> Runtime<D> {
    /// Closes everything, and takes over from the programs.
    pub(super) fn start_to_end(&mut self) {
        // Programs get what has happened so far, and what waits to be accepted is accepted, so
        // that every connection is known.
        self.dispatch();
        for listener in self.apps.listeners() {
            self.stack.unlisten(listener);
        }
        for id in self.apps.connections() {
            finish(&mut self.stack, id);
        }
        self.ending = Some(Ending::at(self.clock.read() + GRACE));
    }

    /// Whether the end has begun, and there is nothing left to wait for or no time.
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_some_and(|ending| {
            let all_finished = self.stack.totals().connections == 0 && !self.outlet.is_blocked();
            all_finished || self.clock.last() >= ending.deadline()
        })
    }

    /// Resets what has not finished.
    pub(super) fn abort_rest(&mut self) -> io::Result<()> {
        for id in self.apps.connections() {
            self.stack.abort(id);
        }
        self.allowance = LAST_PACKETS;
        self.transmit()?;
        self.device.idle();
        Ok(())
    }
}

/// Sends a FIN behind what was written. What arrived and was not read is thrown away first:
/// closing over it would send a reset (RFC 2525 section 2.17).
fn finish(stack: &mut Stack, id: ConnId) {
    discard(stack, id);
    match stack.state(id) {
        Some(state) if state.peer_has_closed() || !state.is_synchronized() => stack.close(id),
        Some(_) => stack.shutdown(id),
        None => {}
    }
}

/// What the loop does with events once its programs are no longer asked.
pub(super) fn on_event(stack: &mut Stack, event: Event) {
    match event {
        Event::Readable(id) => discard(stack, id),
        Event::PeerClosed(id) => finish(stack, id),
        Event::Closed(id, _) => stack.close(id),
        Event::Incoming(_)
        | Event::Established(_)
        | Event::Writable(_)
        | Event::Urgent(_)
        | Event::SoftError(..) => {}
    }
}

fn discard(stack: &mut Stack, id: ConnId) {
    let mut scratch = [0; 4_096];
    while matches!(stack.read(id, &mut scratch), Ok(len) if len > 0) {}
}
