//! Two loops in two threads over a pair of devices in memory: one serves, the other converses.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use slotmap::SecondaryMap;

use super::{App, Runtime, Waker};
use crate::device::MemoryDevice;
use crate::stack::{Config, ConnId, Event, Stack, Totals};
use crate::tcp::{CloseReason, ReadError};

/// After this long a test has hung; the usual time is well under a second.
const HANG: Duration = Duration::from_secs(60);

/// Turns after which two loops have said all that a few bytes give rise to.
const QUIET_AFTER: usize = 20;

pub(crate) const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// What both ends are like.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// Packets that each direction of the link holds.
    pub(crate) capacity: usize,
    /// Bytes that each buffer of a connection may grow to.
    pub(crate) buffer: u32,
}

impl Default for World {
    fn default() -> Self {
        Self { capacity: 256, buffer: 1 << 20 }
    }
}

/// A loop over one end of a pair, which its device wakes.
pub(crate) fn new_loop(
    address: IpAddr,
    device: MemoryDevice,
    world: World,
) -> Runtime<MemoryDevice> {
    let mut config = Config::with_addresses([address]);
    config.tcp.max_recv_buffer = world.buffer;
    config.tcp.max_send_buffer = world.buffer;
    let stack = Stack::new(config, [7; 32]).unwrap();
    let mut runtime = Runtime::new(stack, device).unwrap();
    let waker = runtime.waker();
    runtime.device().on_change(move || waker.wake());
    runtime
}

/// Carries packets between two loops that stand still, until neither has any.
pub(crate) fn exchange(one: &mut Runtime<MemoryDevice>, other: &mut Runtime<MemoryDevice>) {
    for _ in 0..QUIET_AFTER {
        one.is_readable = true;
        other.is_readable = true;
        one.turn().unwrap();
        other.turn().unwrap();
    }
}

/// One connection of the client and what it does.
#[derive(Clone, Default)]
pub(crate) struct Conversation {
    pub(crate) port: u16,
    /// What it says.
    pub(crate) say: Vec<u8>,
    /// Closes its half when all is said.
    pub(crate) half_close: bool,
    /// Closes when it has heard so many bytes; zero: when the peer closes.
    pub(crate) enough: usize,
    /// Reads nothing before so many bytes are written.
    pub(crate) deaf_until: usize,
}

/// What a conversation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Enough,
    PeerClosed,
    Over(CloseReason),
}

/// What remained when the server had ended.
pub(crate) struct Report {
    pub(crate) heard: Vec<Heard>,
    pub(crate) totals: Totals,
}

/// Runs a server that `set_up` prepares, and all conversations at once. When every one has heard
/// something, `when_heard` gets the server's waker. Ends when all conversations have.
pub(crate) fn converse(
    world: World,
    set_up: impl FnOnce(&mut Runtime<MemoryDevice>) + Send + 'static,
    conversations: &[Conversation],
    when_heard: impl FnOnce(&Waker) + 'static,
) -> Report {
    let (here, there) = MemoryDevice::pair(1500, world.capacity);
    let (to_main, from_server) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut runtime = new_loop(SERVER, there, world);
        set_up(&mut runtime);
        to_main.send(runtime.waker()).unwrap();
        runtime.run().unwrap();
        runtime.stack().totals()
    });
    let server_waker = from_server.recv().unwrap();
    let mut runtime = new_loop(CLIENT, here, world);
    let (finished, guard) = mpsc::channel::<()>();
    let wakers = [server_waker.clone(), runtime.waker()];
    let watchdog = thread::spawn(move || {
        let hung = guard.recv_timeout(HANG) == Err(mpsc::RecvTimeoutError::Timeout);
        if hung {
            for waker in wakers {
                waker.shut_down();
                waker.shut_down();
            }
        }
        hung
    });

    let (report, results) = mpsc::channel();
    let waker = server_waker.clone();
    let mut client = Client {
        talks: SecondaryMap::new(),
        running: conversations.len(),
        silent: conversations.len(),
        when_heard: Some(Box::new(move || when_heard(&waker))),
        report,
        waker: runtime.waker(),
    };
    for (index, conversation) in conversations.iter().enumerate() {
        let peer = SocketAddr::new(SERVER, conversation.port);
        let id = runtime.stack().connect(None, peer).unwrap();
        client.talks.insert(
            id,
            Talk {
                index,
                conversation: conversation.clone(),
                written: 0,
                heard: Heard::default(),
                counted: false,
            },
        );
    }
    runtime.add(Box::new(client));
    runtime.run().unwrap();
    server_waker.shut_down();
    let totals = server.join().unwrap();
    drop(finished);
    assert!(!watchdog.join().unwrap(), "the conversations hung");
    drop(runtime);
    let mut heard = vec![Heard::default(); conversations.len()];
    for (index, result) in results {
        heard[index] = result;
    }
    Report { heard, totals }
}

/// The program that converses.
struct Client {
    talks: SecondaryMap<ConnId, Talk>,
    /// Conversations without a result.
    running: usize,
    /// Conversations that have heard nothing yet.
    silent: usize,
    when_heard: Option<Box<dyn FnOnce()>>,
    report: mpsc::Sender<(usize, Heard)>,
    waker: Waker,
}

struct Talk {
    index: usize,
    conversation: Conversation,
    written: usize,
    heard: Heard,
    /// It is known to have heard something.
    counted: bool,
}

impl Talk {
    fn say(&mut self, stack: &mut Stack, id: ConnId) {
        while self.written < self.conversation.say.len() {
            match stack.write(id, &self.conversation.say[self.written..]) {
                Ok(0) | Err(_) => return,
                Ok(written) => self.written += written,
            }
        }
        if self.conversation.half_close {
            stack.shutdown(id);
        }
    }

    fn listens(&self) -> bool {
        self.written >= self.conversation.deaf_until
    }

    fn hear(&mut self, data: &[u8]) {
        self.heard.bytes.extend_from_slice(data);
        let enough = self.conversation.enough;
        if enough > 0 && self.heard.bytes.len() >= enough {
            self.heard.end = Some(End::Enough);
        }
    }

    fn read(&mut self, stack: &mut Stack, id: ConnId) {
        let mut buffer = [0; 5_000];
        while self.listens() && self.heard.end.is_none() {
            match stack.read(id, &mut buffer) {
                Ok(0) => self.heard.end = Some(End::PeerClosed),
                Ok(len) => self.hear(&buffer[..len]),
                Err(ReadError::Closed(reason)) => self.heard.end = Some(End::Over(reason)),
                Err(_) => return,
            }
        }
    }
}

impl Client {
    fn go_on(&mut self, stack: &mut Stack, id: ConnId) {
        let Some(talk) = self.talks.get_mut(id) else {
            return;
        };
        talk.say(stack, id);
        talk.read(stack, id);
        self.conclude(stack, id);
    }

    fn conclude(&mut self, stack: &mut Stack, id: ConnId) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        if !talk.counted && !talk.heard.bytes.is_empty() {
            talk.counted = true;
            self.silent -= 1;
            if self.silent == 0
                && let Some(when_heard) = self.when_heard.take()
            {
                when_heard();
            }
        }
        if talk.heard.end.is_none() {
            return;
        }
        let talk = self.talks.remove(id).unwrap();
        if talk.heard.end == Some(End::Enough) {
            stack.abort(id);
        } else {
            stack.close(id);
        }
        self.report.send((talk.index, talk.heard)).unwrap();
        self.running -= 1;
        if self.running == 0 {
            self.waker.shut_down();
        }
    }
}

impl App for Client {
    fn on_data(&mut self, stack: &mut Stack, id: ConnId, data: &[u8]) -> usize {
        let Some(talk) = self.talks.get_mut(id) else {
            return data.len();
        };
        if !talk.listens() {
            return 0;
        }
        talk.hear(data);
        self.conclude(stack, id);
        data.len()
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Established(id)
            | Event::Readable(id)
            | Event::Writable(id)
            | Event::PeerClosed(id) => {
                self.go_on(stack, id);
            }
            Event::Closed(id, reason) => {
                self.go_on(stack, id);
                if let Some(talk) = self.talks.get_mut(id) {
                    talk.heard.end = Some(End::Over(reason));
                    self.conclude(stack, id);
                }
            }
            Event::Incoming(_) | Event::Urgent(_) | Event::SoftError(..) => {}
        }
    }

    fn claims(&self, id: ConnId) -> bool {
        self.talks.contains_key(id)
    }
}
