//! Our side: a stack of its own for each sequence, on a virtual clock that is set to the times at
//! which the kernel's side was taken through the same steps.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use tunstack::tcp::Ecn;
use tunstack::tcp::congestion::Congestion;
use tunstack::tcp::{CloseReason, ReadError, State, WriteError};
use tunstack::time::Instant;
use tunstack::wire::Frame;
use tunstack::{Config, ConnId, Event, ListenerId, Stack};

use super::case::{Action, Call, Case, Open};
use super::peer::{CONNECTING, FROM_PEER, FROM_STACK, LISTENING, Peer, stacks_initial_number};
use super::transcript::{Answer, Transcript};
use crate::common::pattern;

const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);

/// When the virtual clock starts: any time will do, but zero is special to none.
const START: Instant = Instant::from_millis(5_000_000);

/// Takes our stack through the case, step by step at these times, and listens until `end`.
pub(crate) fn run(
    case: &Case,
    times: &[Duration],
    end: Duration,
) -> (Transcript, BTreeSet<&'static str>) {
    let mut config = Config::with_addresses([STACK.into()]);
    // As the sockets that it is compared with.
    config.tcp.congestion = Congestion::NewReno;
    config.fixed_iss = Some(stacks_initial_number(case.seed));
    // As the namespace is set.
    config.tcp.tail_loss_probe = false;
    config.tcp.ecn = Ecn::Off;
    config.tcp.least_burst = 0;
    let mut stack = Stack::new(config, [7; 32]).expect("the settings make sense");
    stack.on_timeout(START);
    let mut side = Ours {
        stack,
        peer: Peer::new(case, STACK, PEER),
        listener: None,
        id: None,
        told: false,
        peer_closed: false,
        read: 0,
        written: 0,
        visited: BTreeSet::new(),
    };
    side.open(case.open);
    for (number, (step, &at)) in case.steps.iter().zip(times).enumerate() {
        side.wait_until(at);
        side.peer.transcript.times.push(at);
        match &step.action {
            Action::Segment(shape) => {
                let packet = side.peer.segment(shape);
                side.stack.on_packet_stored(side.stack.now(), Frame::plain(&packet));
            }
            Action::App(call) => {
                let answer = side.call(*call);
                side.peer.transcript.answers.push((number, answer));
            }
        }
        side.drain();
    }
    side.wait_until(end);
    (side.peer.transcript, side.visited)
}

struct Ours<'c> {
    stack: Stack,
    peer: Peer<'c>,
    listener: Option<ListenerId>,
    id: Option<ConnId>,
    /// The application knows that the connection is over: the kernel says why only once.
    told: bool,
    /// The peer has closed its side.
    peer_closed: bool,
    read: u64,
    written: u64,
    /// The states that were reached.
    visited: BTreeSet<&'static str>,
}

impl Ours<'_> {
    fn open(&mut self, open: Open) {
        match open {
            Open::Passive => {
                self.listener = self.stack.listen((STACK, LISTENING).into()).ok();
            }
            Open::Active => {
                let local = (STACK, CONNECTING).into();
                self.id = self.stack.connect(Some(local), (PEER, LISTENING).into()).ok();
            }
            Open::Nobody => {}
        }
        self.drain();
    }

    /// Lets time pass, with everything that falls due in it.
    fn wait_until(&mut self, at: Duration) {
        let until = START + at;
        while let Some(due) = self.stack.poll_timeout().filter(|&due| due <= until) {
            self.stack.on_timeout(due);
            self.drain();
        }
        self.stack.on_timeout(until);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            self.peer_closed |= matches!(event, Event::PeerClosed(_));
        }
        let now = self.stack.now();
        while let Some(packet) = self.stack.poll_transmit(now) {
            self.peer.hear(&packet.to_vec(), now.since(START));
        }
        self.note_states();
    }

    fn note_states(&mut self) {
        let totals = self.stack.totals();
        let light = [
            (totals.listeners > 0, "LISTEN"),
            (totals.half_open > 0, "SYN-RECEIVED"),
            (totals.time_wait > 0, "TIME-WAIT"),
            (totals.connections == 0 && totals.listeners == 0, "CLOSED"),
        ];
        self.visited.extend(light.into_iter().filter(|(is, _)| *is).map(|(_, name)| name));
        let states = self.stack.connections().map(|info| name(info.state));
        self.visited.extend(states);
    }

    fn call(&mut self, call: Call) -> Answer {
        match (call, self.id) {
            (Call::Accept, None) => {
                let Some(listener) = self.listener else { return Answer::Skipped };
                self.id = self.stack.accept(listener);
                if self.id.is_some() { Answer::Done } else { Answer::Blocked }
            }
            (Call::Unlisten, _) => {
                let Some(listener) = self.listener.take() else { return Answer::Skipped };
                self.stack.unlisten(listener);
                Answer::Done
            }
            (_, None) | (Call::Accept, _) => Answer::Skipped,
            (Call::Read(len), Some(id)) => self.read(id, len),
            (Call::Write(len), Some(id)) => self.write(id, len),
            (Call::Shutdown, Some(id)) => {
                if !self.is_opening(id) {
                    self.stack.shutdown(id);
                }
                Answer::Done
            }
            (Call::Close, Some(id)) => {
                self.stack.close(id);
                self.id = None;
                Answer::Done
            }
            (Call::Abort, Some(id)) => {
                self.stack.abort(id);
                self.id = None;
                Answer::Done
            }
        }
    }

    /// A socket takes nothing before it is connected, where ours puts it in line.
    fn is_opening(&self, id: ConnId) -> bool {
        matches!(self.stack.state(id), Some(State::SynSent | State::SynReceived))
    }

    fn read(&mut self, id: ConnId, len: usize) -> Answer {
        let mut buffer = vec![0; len];
        match self.stack.read(id, &mut buffer) {
            Ok(0) => Answer::End,
            Ok(n) => {
                let right = pattern::bytes(FROM_PEER, self.read, n) == buffer[..n];
                self.read += n as u64;
                Answer::Read(n, right)
            }
            Err(ReadError::WouldBlock) => Answer::Blocked,
            Err(ReadError::Closed(reason)) => self.tell(reason).unwrap_or(Answer::End),
            Err(ReadError::NoSuchConnection) => Answer::Other(0),
        }
    }

    fn write(&mut self, id: ConnId, len: usize) -> Answer {
        if self.is_opening(id) {
            return Answer::Blocked;
        }
        let data = pattern::bytes(FROM_STACK, self.written, len);
        match self.stack.write(id, &data) {
            Ok(0) => Answer::Blocked,
            Ok(n) => {
                self.written += n as u64;
                Answer::Wrote(n)
            }
            Err(WriteError::Closing) => Answer::Pipe,
            Err(WriteError::Closed(reason)) => self.tell(reason).unwrap_or(Answer::Pipe),
            Err(WriteError::NoSuchConnection) => Answer::Other(0),
        }
    }

    /// What a socket says of the end of its connection, once.
    fn tell(&mut self, reason: CloseReason) -> Option<Answer> {
        if core::mem::replace(&mut self.told, true) {
            return None;
        }
        match reason {
            // The names that errno has for it: one that had closed is a broken pipe, and in
            // SYN-RECEIVED it is too late to refuse.
            CloseReason::Reset if self.peer_closed => Some(Answer::Pipe),
            CloseReason::Refused if self.visited.contains("SYN-RECEIVED") => Some(Answer::Reset),
            CloseReason::Reset => Some(Answer::Reset),
            CloseReason::Refused => Some(Answer::Refused),
            CloseReason::TimedOut => Some(Answer::TimedOut),
            CloseReason::Finished | CloseReason::Aborted => None,
            CloseReason::Unreachable(_) => Some(Answer::Other(0)),
        }
    }
}

fn name(state: State) -> &'static str {
    const NAMES: [&str; 11] = [
        "CLOSED",
        "LISTEN",
        "SYN-SENT",
        "SYN-RECEIVED",
        "ESTABLISHED",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "CLOSE-WAIT",
        "CLOSING",
        "LAST-ACK",
        "TIME-WAIT",
    ];
    let place = State::ALL.iter().position(|&each| each == state);
    place.map_or("?", |place| NAMES[place])
}
