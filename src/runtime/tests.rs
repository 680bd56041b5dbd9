//! Stories of the loop over devices in memory.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use super::testing::{
    CLIENT, Conversation, End, Heard, SERVER, World, converse, exchange, new_loop,
};
use super::*;
use crate::device::MemoryDevice;
use crate::wire::{Frame, Transmit};

const DISCARD: u16 = 9;

fn listen(runtime: &mut Runtime<MemoryDevice>, port: u16, app: Box<dyn App>) {
    let on = SocketAddr::new(SERVER, port);
    let listener = runtime.stack().listen(on).unwrap();
    runtime.serve(listener, app);
}

fn serve_discard(runtime: &mut Runtime<MemoryDevice>) {
    listen(runtime, DISCARD, Box::new(Discard));
}

/// Takes everything and says nothing.
struct Discard;

impl App for Discard {
    fn on_data(&mut self, _: &mut Stack, _: ConnId, data: &[u8]) -> usize {
        data.len()
    }
}

/// Says one word and reads nothing.
struct Greeter;

impl App for Greeter {
    fn on_accept(&mut self, stack: &mut Stack, id: ConnId) {
        stack.write(id, b"hello").unwrap();
    }
}

#[test]
fn asked_to_end_it_sends_a_fin_to_every_peer() {
    let conversation =
        Conversation { port: 1, say: b"nobody reads this".to_vec(), ..Conversation::default() };
    let greet = |runtime: &mut Runtime<_>| listen(runtime, 1, Box::new(Greeter));
    let report = converse(World::default(), greet, &vec![conversation; 30], Waker::shut_down);
    let fin = Heard { bytes: b"hello".to_vec(), end: Some(End::PeerClosed) };
    assert!(report.heard.iter().all(|heard| *heard == fin), "{:?}", report.heard);
    assert_eq!((report.totals.connections, report.totals.listeners), (0, 0));
}

#[test]
fn a_port_that_nobody_serves_refuses() {
    let conversation = Conversation { port: 1, ..Conversation::default() };
    let client = [conversation];
    let report = converse(World::default(), serve_discard, &client, |_| {});
    let refused = End::Over(crate::tcp::CloseReason::Refused);
    assert_eq!(report.heard[0].end, Some(refused));
}

/// Never gives an id back.
struct Patient;

impl App for Patient {
    fn on_event(&mut self, _: &mut Stack, _: Event) {}
}

/// A client loop with one connection to a program in a server loop, which is open.
fn connected(app: impl App + 'static) -> (Runtime<MemoryDevice>, Runtime<MemoryDevice>, ConnId) {
    let (here, there) = MemoryDevice::pair(1500, 64);
    let mut client = new_loop(CLIENT, here, World::default());
    let mut server = new_loop(SERVER, there, World::default());
    listen(&mut server, DISCARD, Box::new(app));
    let peer = SocketAddr::new(SERVER, DISCARD);
    let id = client.stack().connect(None, peer).unwrap();
    let patient = client.add(Box::new(Patient));
    client.attach(id, patient);
    exchange(&mut client, &mut server);
    let state = client.stack().state(id);
    assert_eq!(state, Some(crate::tcp::State::Established));
    (client, server, id)
}

#[test]
fn what_has_not_finished_when_the_time_is_over_is_reset() {
    let (mut client, mut server, id) = connected(Discard);
    server.start_to_end();
    exchange(&mut client, &mut server);
    let state = client.stack().state(id);
    assert_eq!(state, Some(crate::tcp::State::CloseWait), "it got the FIN and does not close");
    assert!(!server.is_over());
    server.ending = Some(Ending::at(server.clock.read()));
    assert!(server.is_over());
    server.abort_rest().unwrap();
    exchange(&mut client, &mut server);
    assert_eq!(client.stack().close_reason(id), Some(crate::tcp::CloseReason::Reset));
}

#[test]
fn text_that_comes_while_it_ends_is_no_reason_for_a_reset() {
    let (mut client, mut server, id) = connected(Discard);
    server.start_to_end();
    client.stack().write(id, b"late").unwrap();
    exchange(&mut client, &mut server);
    assert_eq!(client.stack().state(id), Some(crate::tcp::State::CloseWait));
    client.stack().write(id, b"later").unwrap();
    client.stack().shutdown(id);
    exchange(&mut client, &mut server);
    assert_eq!(client.stack().close_reason(id), Some(crate::tcp::CloseReason::Finished));
    assert!(server.is_over());
}

#[test]
fn text_that_nobody_read_is_no_reason_for_a_reset() {
    let (mut client, mut server, id) = connected(Greeter);
    client.stack().write(id, b"hello?").unwrap();
    client.stack().shutdown(id);
    exchange(&mut client, &mut server);
    server.start_to_end();
    exchange(&mut client, &mut server);
    assert_eq!(client.stack().close_reason(id), Some(crate::tcp::CloseReason::Finished));
}

#[test]
fn asked_twice_it_ends_without_a_word() {
    let (_client, mut server, _) = connected(Discard);
    server.waker().shut_down();
    server.waker().shut_down();
    server.run().unwrap();
    assert!(server.ending.is_none());
    assert_eq!(server.stack().totals().connections, 1);
}

/// A device that misbehaves: whatever is asked of it, `answer` says what comes.
struct Odd<F: FnMut(u32) -> io::Result<&'static [u8]>> {
    asked: u32,
    answer: F,
}

impl<F: FnMut(u32) -> io::Result<&'static [u8]>> Device for Odd<F> {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        self.asked += 1;
        let bytes = (self.answer)(self.asked)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(Frame::plain(&buffer[..bytes.len()]))
    }

    fn send(&mut self, _: &Transmit<'_>) -> io::Result<()> {
        Ok(())
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn odd_loop<F>(answer: F) -> Runtime<Odd<F>>
where
    F: FnMut(u32) -> io::Result<&'static [u8]>,
{
    let config = crate::stack::Config::with_addresses([SERVER]);
    let stack = Stack::new(config, [7; 32]).unwrap();
    Runtime::new(stack, Odd { asked: 0, answer }).unwrap()
}

#[test]
fn a_flood_is_read_in_batches() {
    let mut small = odd_loop(|_| Ok(&[0; 40]));
    assert!(small.turn().unwrap(), "there is more");
    assert_eq!(small.device().asked as usize, RECEIVE_PACKETS);
    let mut large = odd_loop(|_| Ok(&[0; 65_535]));
    assert!(large.turn().unwrap());
    assert_eq!(large.device().asked, 5);
}

#[test]
fn a_flood_does_not_keep_the_end_away() {
    let mut runtime = odd_loop(|_| Ok(&[0; 40]));
    runtime.waker().shut_down();
    runtime.run().unwrap();
}

#[test]
fn an_unusable_packet_is_passed_over() {
    let mut runtime = odd_loop(|asked| {
        Err(match asked {
            1..=3 => io::ErrorKind::InvalidData.into(),
            _ => io::ErrorKind::WouldBlock.into(),
        })
    });
    assert!(!runtime.turn().unwrap());
    assert_eq!(runtime.device().asked, 4);
}

#[test]
fn a_device_that_is_gone_ends_the_loop() {
    let mut runtime = odd_loop(|asked| match asked {
        1 => Ok(&[0; 40]),
        _ => Err(io::Error::other("unplugged")),
    });
    assert_eq!(runtime.run().unwrap_err().to_string(), "unplugged");
}

/// Opens a connection when woken, and remembers what it was told.
struct Caller {
    id: Option<ConnId>,
    wakes: Rc<Cell<u32>>,
    is_established: Rc<Cell<bool>>,
}

impl App for Caller {
    fn on_wake(&mut self, stack: &mut Stack) {
        self.wakes.set(self.wakes.get() + 1);
        if self.id.is_none() {
            let peer = SocketAddr::new(SERVER, DISCARD);
            self.id = stack.connect(None, peer).ok();
        }
    }

    fn on_event(&mut self, _: &mut Stack, event: Event) {
        if let Event::Established(id) = event {
            assert_eq!(Some(id), self.id);
            self.is_established.set(true);
        }
    }

    fn claims(&self, id: ConnId) -> bool {
        self.id == Some(id)
    }
}

#[test]
fn a_program_is_woken_and_owns_what_it_opens() {
    let (here, there) = MemoryDevice::pair(1500, 64);
    let mut client = new_loop(CLIENT, here, World::default());
    let mut server = new_loop(SERVER, there, World::default());
    serve_discard(&mut server);
    let (wakes, is_established) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    client.add(Box::new(Caller {
        id: None,
        wakes: Rc::clone(&wakes),
        is_established: Rc::clone(&is_established),
    }));
    client.turn().unwrap();
    assert_eq!(wakes.get(), 0);
    let waker = client.waker();
    std::thread::spawn(move || waker.wake()).join().unwrap();
    client.turn().unwrap();
    assert_eq!(wakes.get(), 1);
    exchange(&mut client, &mut server);
    assert!(is_established.get());
}

/// Keeps a journal: which packets were read, in which turn which was taken.
#[derive(Default)]
struct Journal {
    arriving: VecDeque<Vec<u8>>,
    /// Sends that are refused before the next one is taken.
    refusals: u32,
    refused: u32,
    lines: Vec<String>,
    sent: Vec<Vec<u8>>,
}

impl Device for Journal {
    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Frame<'b>> {
        let bytes = self.arriving.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        self.lines.push("in".to_owned());
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(Frame::plain(&buffer[..bytes.len()]))
    }

    fn send(&mut self, packet: &Transmit<'_>) -> io::Result<()> {
        if self.refused < self.refusals {
            self.refused += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.refused = 0;
        let bytes = packet.to_vec();
        let port = u16::from_be_bytes([bytes[22], bytes[23]]);
        self.lines.push(format!("out to {port}"));
        self.sent.push(bytes);
        Ok(())
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn journal_loop(device: Journal) -> Runtime<Journal> {
    let config = crate::stack::Config::with_addresses([SERVER]);
    Runtime::new(Stack::new(config, [7; 32]).unwrap(), device).unwrap()
}

#[test]
fn a_packet_the_device_refuses_is_kept_and_sent_once() {
    let mut runtime = journal_loop(Journal { refusals: 2, ..Journal::default() });
    for port in 1..=4 {
        runtime.stack().connect(None, SocketAddr::new(CLIENT, port)).unwrap();
    }
    // The first is refused in turns 1 and 2, and taken in turn 3, where the second is refused.
    for turn in 1_usize..=10 {
        assert!(!runtime.turn().unwrap(), "a full device is polled for, not asked again at once");
        assert_eq!(runtime.device().lines.len(), ((turn - 1) / 2).min(4), "turn {turn}");
    }
    let sent = ["out to 1", "out to 2", "out to 3", "out to 4"];
    assert_eq!(runtime.device().lines, sent);
}

/// A loop that serves discard, and what a peer who is connected to it sends next: four segments.
fn four_segments_under_way() -> (Runtime<Journal>, Vec<Vec<u8>>) {
    let config = crate::stack::Config::with_addresses([CLIENT]);
    let mut peer = Stack::new(config, [8; 32]).unwrap();
    let mut runtime = journal_loop(Journal::default());
    let on = SocketAddr::new(SERVER, DISCARD);
    let listener = runtime.stack().listen(on).unwrap();
    runtime.serve(listener, Box::new(Discard));
    let local = Some(SocketAddr::new(CLIENT, 1_001));
    let id = peer.connect(local, on).unwrap();
    let syn = peer.poll_transmit(Instant::ZERO).unwrap().to_vec();
    runtime.device().arriving.push_back(syn);
    runtime.turn().unwrap();
    let syn_ack = runtime.device().sent.pop().unwrap();
    peer.on_packet_stored(Instant::ZERO, Frame::plain(&syn_ack));
    peer.write(id, &[7; 4 * 1_448]).unwrap();
    let segments: Vec<_> =
        core::iter::from_fn(|| Some(peer.poll_transmit(Instant::ZERO)?.to_vec())).collect();
    assert_eq!(segments.len(), 4, "the ACK of the handshake goes with the first");
    runtime.device().lines.clear();
    runtime.device().sent.clear();
    runtime.is_readable = true;
    (runtime, segments)
}

#[test]
fn what_is_owed_at_once_leaves_before_the_next_packet_is_read() {
    let (mut runtime, segments) = four_segments_under_way();
    // The handshake is finished by the first; then the second is missing.
    for n in [0, 2, 3] {
        runtime.device().arriving.push_back(segments[n].clone());
    }
    runtime.turn().unwrap();
    let duplicates = ["in", "in", "out to 1001", "in", "out to 1001"];
    assert_eq!(runtime.device().lines, duplicates, "an ACK for each segment beyond the hole");
}

#[test]
fn what_is_not_owed_at_once_waits_for_the_end_of_the_batch() {
    let (mut runtime, segments) = four_segments_under_way();
    runtime.device().arriving.extend(segments);
    runtime.turn().unwrap();
    assert_eq!(runtime.device().lines, ["in", "in", "in", "in", "out to 1001"]);
}

#[test]
fn resets_to_strangers_go_first_and_others_have_their_share() {
    let config = crate::stack::Config::with_addresses([CLIENT]);
    let mut stranger = Stack::new(config, [8; 32]).unwrap();
    let mut device = Journal::default();
    for local in 1..=RECEIVE_PACKETS as u16 {
        let local = Some(SocketAddr::new(CLIENT, 1_000 + local));
        stranger.connect(local, SocketAddr::new(SERVER, DISCARD)).unwrap();
    }
    while let Some(packet) = stranger.poll_transmit(Instant::ZERO) {
        device.arriving.push_back(packet.to_vec());
    }
    let mut runtime = journal_loop(device);
    for port in 1..=500 {
        runtime.stack().connect(None, SocketAddr::new(CLIENT, port)).unwrap();
    }
    assert!(runtime.turn().unwrap(), "there is more");
    let lines = &runtime.device().lines;
    let ports = lines.iter().filter_map(|line| line.strip_prefix("out to ")?.parse().ok());
    let ports: Vec<u16> = ports.collect();
    assert_eq!(ports.iter().filter(|&&port| port > 1_000).count(), RECEIVE_PACKETS);
    assert!(ports.len() <= SEND_SEGMENTS + RECEIVE_PACKETS, "{}", ports.len());
}

/// Never has a packet, and counts how often the loop went to sleep.
#[derive(Default)]
struct Silent {
    sleeps: u32,
}

impl Device for Silent {
    fn receive<'b>(&mut self, _: &'b mut [u8]) -> io::Result<Frame<'b>> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &Transmit<'_>) -> io::Result<()> {
        Ok(())
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn idle(&mut self) {
        self.sleeps += 1;
    }
}

/// A loop that may spin and has learnt that this pays off.
fn silent_loop() -> Runtime<Silent> {
    let config = crate::stack::Config::with_addresses([SERVER]);
    let stack = Stack::new(config, [7; 32]).unwrap();
    let mut runtime = Runtime::new(stack, Silent::default()).unwrap();
    runtime.set_spin(MAX_SPIN);
    runtime.spin.slept(Duration::ZERO);
    assert_eq!(runtime.spin.budget(), MAX_SPIN);
    let no_descriptor = None;
    runtime.poller.wait_for(no_descriptor, false).unwrap();
    runtime
}

/// So long that whoever looks out for it has hung.
const FOR_EVER: Duration = Duration::from_secs(60);

#[test]
fn who_looks_out_sees_the_waker() {
    let mut runtime = silent_loop();
    let waker = runtime.waker();
    let now = runtime.clock.read();
    let another = std::thread::spawn(move || waker.wake());
    assert!(runtime.look_out(now, FOR_EVER).unwrap().by_another);
    another.join().unwrap();
    assert_eq!(runtime.device().sleeps, 0);
}

#[test]
fn who_looks_out_sees_signals() {
    // In a thread of its own, whose mask ends with it.
    let in_thread = || {
        let mut runtime = silent_loop();
        runtime.end_on_signals(&[nix::libc::SIGUSR2]).unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR2).unwrap();
        let now = runtime.clock.read();
        let woken = runtime.look_out(now, FOR_EVER).unwrap();
        // One that nobody takes in would end the process with the loop.
        runtime.signals.as_mut().unwrap().take();
        assert!(woken.by_another);
        assert_eq!(runtime.device().sleeps, 0);
    };
    std::thread::spawn(in_thread).join().unwrap();
}

#[test]
fn who_looks_out_minds_the_timers_and_learns_nothing_from_them() {
    let mut runtime = silent_loop();
    let now = runtime.clock.read();
    let due = now + Duration::from_millis(2);
    runtime.due = Some(due);
    assert!(!runtime.look_out(now, FOR_EVER).unwrap().by_event);
    assert!(runtime.clock.last() >= due);
    assert_eq!(runtime.device().sleeps, 0);
    assert_eq!(runtime.spin.budget(), MAX_SPIN);
}

#[test]
fn who_has_looked_out_in_vain_sleeps() {
    let mut runtime = silent_loop();
    let now = runtime.clock.read();
    let due = now + Duration::from_millis(2);
    runtime.due = Some(due);
    runtime.look_out(now, Duration::from_micros(1)).unwrap();
    assert!(runtime.clock.read() >= due);
    assert_eq!(runtime.device().sleeps, 1);
    assert_eq!(runtime.spin.budget(), Duration::ZERO);
}

/// Whether the loop goes to sleep in this thread, though spins have paid off.
fn sleeps_at_once() -> bool {
    let mut runtime = silent_loop();
    runtime.waker().wake();
    runtime.rest(false).unwrap();
    runtime.device().sleeps > 0
}

#[test]
fn nobody_looks_out_with_one_processor() {
    let now = Instant::ZERO;
    assert_eq!(sleeps_at_once(), !Processors::default().are_several(now));
    processors::tests::on_one_processor(|_| assert!(sleeps_at_once()));
}
