//! The echo protocol (RFC 862): what arrives is sent back.

use std::fmt;

use slotmap::SparseSecondaryMap;

use crate::runtime::App;
use crate::stack::{ConnId, Event, Stack};

/// Bytes read from a receive buffer at a time, and the most that is kept for a connection outside
/// its buffers.
const CHUNK: usize = 16 << 10;

/// Sends back what it receives; when the peer has closed and has got everything, closes too.
///
/// A peer that sends without reading is slowed down: what the send buffer does not take stays in
/// the receive buffer, and that closes the window.
pub struct Echo {
    /// What was read but not written yet, of the connections whose send buffer is full.
    carried: SparseSecondaryMap<ConnId, Carried>,
    /// Where a chunk is read into, for all connections.
    chunk: Box<[u8]>,
}

struct Carried {
    bytes: Box<[u8]>,
    written: usize,
}

impl Default for Echo {
    fn default() -> Self {
        Self { carried: SparseSecondaryMap::new(), chunk: vec![0; CHUNK].into_boxed_slice() }
    }
}

impl Echo {
    /// Moves what can be moved from the receive buffer to the send buffer.
    fn pump(&mut self, stack: &mut Stack, id: ConnId) {
        if !self.write_carried(stack, id) {
            return;
        }
        loop {
            match stack.read(id, &mut self.chunk) {
                Ok(0) => return self.close(stack, id),
                Ok(len) => {
                    let bytes = &self.chunk[..len];
                    // A connection that can take no more is over; its last event closes it.
                    let Ok(written) = stack.write(id, bytes) else {
                        return;
                    };
                    if let Some(rest @ [_, ..]) = bytes.get(written..) {
                        let bytes = rest.into();
                        self.carried.insert(id, Carried { bytes, written: 0 });
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// True when nothing is carried any more.
    fn write_carried(&mut self, stack: &mut Stack, id: ConnId) -> bool {
        let Some(carried) = self.carried.get_mut(id) else {
            return true;
        };
        let rest = carried.bytes.get(carried.written..).unwrap_or_default();
        carried.written += stack.write(id, rest).unwrap_or(rest.len());
        if carried.written < carried.bytes.len() {
            return false;
        }
        self.carried.remove(id);
        true
    }

    fn close(&mut self, stack: &mut Stack, id: ConnId) {
        self.carried.remove(id);
        stack.close(id);
    }
}

impl App for Echo {
    fn on_data(&mut self, stack: &mut Stack, id: ConnId, data: &[u8]) -> usize {
        if self.carried.contains_key(id) {
            return 0;
        }
        stack.write(id, data).unwrap_or(data.len())
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Readable(id) | Event::Writable(id) | Event::PeerClosed(id) => {
                self.pump(stack, id);
            }
            Event::Closed(id, _) => self.close(stack, id),
            Event::Incoming(_)
            | Event::Established(_)
            | Event::Urgent(_)
            | Event::SoftError(..) => {}
        }
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Echo").field("carried", &self.carried.len()).finish()
    }
}
