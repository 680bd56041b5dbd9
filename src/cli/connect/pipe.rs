//! The program inside the loop that carries one connection.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::rc::Rc;

use tunstack::runtime::{App, Waker};
use tunstack::tcp::{CloseReason, ReadError};
use tunstack::{ConnId, Event, Stack};

use super::super::Failure;
use super::standard::{Input, Output};

/// Bytes read from the receive buffer at a time.
const CHUNK: usize = 64 << 10;

/// How it ended, once it has.
#[derive(Default)]
pub(super) struct Verdict(Cell<Option<Result<(), Failure>>>);

impl Verdict {
    pub(super) fn take(&self) -> Option<Result<(), Failure>> {
        self.0.take()
    }
}

/// One connection between standard input, standard output and a peer.
///
/// Each direction ends by itself: the end of input closes our half, and the peer's half may go on;
/// when the peer ends first we go on sending until the end of input, as nc does. On a terminal,
/// where nobody ends the input, the peer's end is the end.
pub(super) struct Pipe {
    /// The addresses that were not tried yet.
    peers: VecDeque<SocketAddr>,
    /// The one that is tried or connected.
    peer: Option<SocketAddr>,
    id: Option<ConnId>,
    /// The handshake is complete.
    is_open: bool,
    input: Input,
    /// Nobody will end the input when the peer has ended.
    is_interactive: bool,
    /// What of the input the send buffer has not taken: a chunk, and how much of it is written.
    outgoing: (Vec<u8>, usize),
    /// The input has ended, and our half is closed.
    input_ended: bool,
    output: Output,
    /// What the output's thread has not taken.
    incoming: Option<Vec<u8>>,
    /// What the peer sent is written to the end.
    output_ended: bool,
    /// The connection is over, for this reason.
    closed: Option<CloseReason>,
    waker: Waker,
    verdict: Rc<Verdict>,
}

impl Pipe {
    pub(super) fn new(
        peers: Vec<SocketAddr>,
        input: Input,
        output: Output,
        waker: Waker,
        verdict: Rc<Verdict>,
    ) -> Self {
        Self {
            peers: peers.into(),
            peer: None,
            id: None,
            is_open: false,
            input,
            is_interactive: io::stdin().is_terminal(),
            outgoing: (Vec::new(), 0),
            input_ended: false,
            output,
            incoming: None,
            output_ended: false,
            closed: None,
            waker,
            verdict,
        }
    }

    /// Connects to the next address that allows an attempt. With none left it is over.
    pub(super) fn connect_next(&mut self, stack: &mut Stack, why_not_the_last: &str) {
        let mut why = why_not_the_last.to_owned();
        while let Some(peer) = self.peers.pop_front() {
            self.peer = Some(peer);
            match stack.connect(None, peer) {
                Ok(id) => {
                    self.id = Some(id);
                    return;
                }
                Err(error) => why = error.to_string(),
            }
        }
        self.fail(why);
    }

    fn end(&mut self, result: Result<(), Failure>) {
        self.id = None;
        self.verdict.0.set(Some(result));
        self.waker.shut_down();
    }

    fn fail(&mut self, why: impl fmt::Display) {
        let what = if self.is_open { "the connection to" } else { "cannot connect to" };
        let failure = match self.peer {
            Some(peer) => format!("{what} {} port {}: {why}", peer.ip(), peer.port()),
            None => why.to_string(),
        };
        self.end(Err(Failure::new(failure)));
    }

    /// Moves what can be moved in both directions, and sees whether that was all.
    fn pump(&mut self, stack: &mut Stack) {
        let Some(id) = self.id else {
            return;
        };
        let moved = self
            .pump_out(stack, id)
            .map_err(|error| format!("cannot read standard input: {error}"))
            .and_then(|()| {
                self.pump_in(stack, id)
                    .map_err(|error| format!("cannot write to standard output: {error}"))
            });
        if let Err(what) = moved {
            stack.abort(id);
            self.end(Err(Failure::new(what)));
        } else if let (true, Some(reason)) = (self.output_ended, self.closed) {
            stack.close(id);
            match reason {
                CloseReason::Finished => self.end(Ok(())),
                reason => self.fail(reason),
            }
        }
    }

    /// From standard input into the send buffer.
    fn pump_out(&mut self, stack: &mut Stack, id: ConnId) -> io::Result<()> {
        while self.is_open && !self.input_ended {
            let (chunk, written) = &mut self.outgoing;
            let rest = chunk.get(*written..).unwrap_or_default();
            if !rest.is_empty() {
                // A connection that takes no more is over; its last event tells why.
                let taken = stack.write(id, rest).unwrap_or(rest.len());
                *written += taken;
                if taken < rest.len() {
                    return Ok(());
                }
            }
            match self.input.next() {
                Ok(Some(chunk)) => self.outgoing = (chunk, 0),
                Ok(None) => {
                    self.input_ended = true;
                    stack.shutdown(id);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// From the receive buffer to standard output.
    fn pump_in(&mut self, stack: &mut Stack, id: ConnId) -> io::Result<()> {
        loop {
            if let Some(chunk) = self.incoming.take()
                && let Err(chunk) = self.output.push(chunk)
            {
                self.incoming = Some(chunk);
                break;
            }
            let mut chunk = vec![0; stack.readable(id).clamp(1, CHUNK)];
            match stack.read(id, &mut chunk) {
                Ok(len) if len > 0 => {
                    chunk.truncate(len);
                    self.incoming = Some(chunk);
                }
                Err(ReadError::WouldBlock) => break,
                Ok(_) | Err(ReadError::NoSuchConnection | ReadError::Closed(_)) => {
                    self.output.finish();
                    if self.is_interactive && !self.input_ended {
                        self.input_ended = true;
                        stack.shutdown(id);
                    }
                    break;
                }
            }
        }
        if let Some(result) = self.output.ended() {
            self.output_ended = true;
            return result;
        }
        Ok(())
    }

    fn on_closed(&mut self, stack: &mut Stack, id: ConnId, reason: CloseReason) {
        if self.is_open {
            self.closed = Some(reason);
            self.pump(stack);
        } else {
            stack.close(id);
            self.connect_next(stack, &reason.to_string());
        }
    }
}

impl App for Pipe {
    fn on_data(&mut self, _: &mut Stack, _: ConnId, data: &[u8]) -> usize {
        if self.incoming.is_some() {
            return 0;
        }
        self.incoming = self.output.push(data.to_vec()).err();
        data.len()
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Established(_) => {
                self.is_open = true;
                self.pump(stack);
            }
            Event::Readable(_) | Event::Writable(_) | Event::PeerClosed(_) => self.pump(stack),
            Event::Closed(id, reason) => self.on_closed(stack, id, reason),
            Event::Incoming(_) | Event::Urgent(_) | Event::SoftError(..) => {}
        }
    }

    fn on_wake(&mut self, stack: &mut Stack) {
        self.pump(stack);
    }

    fn claims(&self, id: ConnId) -> bool {
        self.id == Some(id)
    }
}
