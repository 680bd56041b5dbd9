//! The discard protocol (RFC 863): what arrives is thrown away.

use crate::runtime::App;
use crate::stack::{ConnId, Event, Stack};

/// Throws away what it receives until the peer closes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl App for Discard {
    fn on_data(&mut self, _: &mut Stack, _: ConnId, data: &[u8]) -> usize {
        data.len()
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Readable(id) => throw_away(stack, id),
            Event::PeerClosed(id) => {
                throw_away(stack, id);
                stack.close(id);
            }
            Event::Closed(id, _) => stack.close(id),
            Event::Incoming(_)
            | Event::Established(_)
            | Event::Writable(_)
            | Event::Urgent(_)
            | Event::SoftError(..) => {}
        }
    }
}

/// Empties the receive buffer.
pub(super) fn throw_away(stack: &mut Stack, id: ConnId) {
    let mut scratch = [0; 4_096];
    while matches!(stack.read(id, &mut scratch), Ok(len) if len > 0) {}
}
