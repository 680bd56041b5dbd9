//! A userspace TCP/IP stack over a Linux TUN interface.
//!
//! One thread runs the whole stack: an event loop reads IP packets from a device, hands them
//! to a [`stack::Stack`] in which each connection runs the full state machine of RFC 9293, and
//! writes out what the stack owes. Ordinary programs on the host reach it through the kernel;
//! programs in Rust link it as a library.
//!
//! # The map
//!
//! Dependencies point one way, and `tests/architecture.rs` enforces it:
//!
//! ```text
//! time, wire  <-  tcp, ip  <-  stack  <-  device, runtime  <-  apps  <-  the program
//! ```
//!
//! - [`time`]: a clock that the caller owns.
//! - [`wire`]: bytes to values and back; no connections.
//! - [`tcp`]: one connection. Each mechanism is a file that owns its state.
//! - [`ip`]: what belongs to IP rather than to one transport.
//! - [`stack`]: many connections: table, listeners, TIME-WAIT, deadlines, replies, memory.
//! - `device`: where packets come from and go to: a TUN, plain or with super-segments and unfinished
//!   checksums; memory; a capture in between.
//! - `runtime`: the event loop, and the apps that live in it.
//! - `apps`: echo, discard, chargen, HTTP.
//! - `plot`, behind a feature of that name: captures and simulations as time-sequence pictures.
//! - `packetdrill`, behind a feature of that name: sockets on a virtual clock, for the conformance
//!   tester.
//! - [`manual`]: attacks and our answers, the reason for every default, what is left out.
//!
//! Below `device` and `runtime` nothing reads a clock, draws randomness from the system, opens a
//! file or knows what a TUN is. The same seed, packets and times give the same run, byte for byte.
//!
//! # Which RFC is where
//!
//! | RFC | what | file |
//! |---|---|---|
//! | 791, 8200 | IPv4, IPv6 | `wire/codec` |
//! | 792, 4443, 1122 | ICMP | `wire/icmp.rs`, `stack/control.rs` |
//! | 1071 | checksum | `wire/checksum.rs` |
//! | 9293 3.3.2 | states and their edges | `tcp/state.rs` |
//! | 9293 3.4 | sequence numbers | `wire/seq.rs` |
//! | 9293 3.5, 3.10.7.2, 3.10.7.3 | opening | `tcp/handshake.rs` |
//! | 9293 3.10.7.4 | SEGMENT ARRIVES | `tcp/input.rs`, `tcp/acknowledge.rs`, `tcp/prediction.rs` |
//! | 5961 | blind attacks | `tcp/input.rs`, `tcp/challenge.rs` |
//! | 9293 3.10.7.1 | resets for strangers | `stack/segments.rs` |
//! | 9293 3.8.6, 3.7.4 | windows, Nagle, silly windows | `tcp/output.rs` |
//! | 9293 3.8.6 | dynamic right-sizing of the offer | `tcp/right_sizing.rs` |
//! | 9293 3.8.4, 3.8.6.1 | keep-alive, zero-window probes | `tcp/expiry.rs`, `tcp/probe.rs` |
//! | 9293 3.8.6.3, 5681 4.2 | delayed ACKs | `tcp/ack.rs` |
//! | 9293 3.10.1 to 3.10.6 | what applications ask for | `stack/sockets.rs`, `tcp/info.rs` |
//! | 1191, 8201 | path MTU | `ip/path_mtu.rs` |
//! | 1337, 6191 | TIME-WAIT | `stack/time_wait.rs` |
//! | 2018, 2883 | SACK blocks and reports of what came twice, sent; understood | `tcp/recv_buffer.rs`; `tcp/repair.rs` |
//! | 6675 | the scoreboard, pipe | `tcp/flight.rs`, `tcp/flight/scoreboard.rs`, `tcp/runs.rs` |
//! | 2474 | Differentiated Services field | `tcp/settings.rs`, `stack/transmit.rs` |
//! | 3168, 9768 | ECN, accurate ECN | `tcp/ecn` |
//! | 3042, 5681, 6582 | limited transmit, fast retransmit, NewReno | `tcp/recovery.rs` |
//! | 5681, 6928, 4015, 8511 | congestion window, NewReno | `tcp/congestion`, `tcp/congestion/newreno.rs` |
//! | 9438 | CUBIC | `tcp/congestion/cubic` |
//! | 9406 | HyStart++ | `tcp/congestion/hystart.rs` |
//! | draft-ietf-ccwg-bbr-05 | BBR | `tcp/congestion/bbr` |
//! | draft-ietf-ccwg-bbr-05 4.1, 5.6.2 | delivery rates, pacing | `tcp/delivery.rs`, `tcp/pacing.rs`; `tcp/flight/meter.rs`, `tcp/metering.rs` |
//! | 5927 | ICMP errors that count | `stack/control.rs`, `tcp/soft_error.rs` |
//! | 9293 3.8.3, 3.9.1.8, 5461 | soft errors, R1 | `tcp/soft_error.rs` |
//! | 6056 | ephemeral ports | `stack/ports.rs` |
//! | 6298 | retransmission timeout | `tcp/rto.rs` |
//! | 6528 | initial sequence numbers | `stack/keys.rs` |
//! | 7661, 2861 | a window that is not used does not grow | `tcp/window_use.rs` |
//! | 7323 | timestamps, PAWS, window scale | `tcp/timestamps.rs`, `wire/segment.rs` |
//! | 8985 | RACK: losses found by time; tail loss probes | `tcp/rack.rs`, `tcp/flight/losses.rs`; `tcp/tail_loss.rs`, `tcp/probe.rs` |
//! | 9937 | proportional rate reduction | `tcp/prr.rs` |
//! | 3522, 4015, 5682 | what was for nothing: Eifel, F-RTO | `tcp/undo.rs` |
//! | 862 to 864 | echo, discard, chargen | `apps` |
//! | 9110, 9112 | HTTP | `apps/http` |
//!
//! # Two stacks on a virtual clock
//!
//! Nothing here waits: time is a number, and the network is a loop.
//!
//! ```
//! use tunstack::time::{Duration, Instant};
//! use tunstack::wire::Frame;
//! use tunstack::{Config, Event, Stack};
//!
//! let config = |ip: [u8; 4]| Config::with_addresses([ip.into()]);
//! let mut client = Stack::new(config([10, 0, 0, 1]), [1; 32])?;
//! let mut server = Stack::new(config([10, 0, 0, 2]), [2; 32])?;
//! let port = server.listen(([10, 0, 0, 2], 7).into())?;
//! let id = client.connect(None, ([10, 0, 0, 2], 7).into())?;
//! client.write(id, b"hello")?;
//!
//! let mut answer = Vec::new();
//! let mut now = Instant::ZERO;
//! while answer != b"HELLO" {
//!     now += Duration::from_millis(10); // a round trip
//!     while let Some(packet) = client.poll_transmit(now) {
//!         server.on_packet_stored(now, Frame::plain(&packet.to_vec()));
//!     }
//!     while let Some(event) = server.poll_event() {
//!         let mut buffer = [0; 100];
//!         if let Event::Incoming(_) = event {
//!             server.accept(port);
//!         } else if let Event::Readable(peer) = event {
//!             let n = server.read(peer, &mut buffer)?;
//!             server.write(peer, &buffer[..n].to_ascii_uppercase())?;
//!         }
//!     }
//!     while let Some(packet) = server.poll_transmit(now) {
//!         client.on_packet_stored(now, Frame::plain(&packet.to_vec()));
//!     }
//!     let mut buffer = [0; 100];
//!     if let Ok(n) = client.read(id, &mut buffer) {
//!         answer.extend_from_slice(&buffer[..n]);
//!     }
//! }
//! assert_eq!(now, Instant::from_millis(20)); // one for the handshake, one for the data
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A server inside a program
//!
//! Over a TUN the device would be `OffloadTun::open(&Interface::look_up("tun0")?, None)?`, or the same
//! of `Tun`.
//!
//! ```
//! use std::error::Error;
//! use std::net::IpAddr;
//!
//! use tunstack::apps::Http;
//! use tunstack::device::Device;
//! use tunstack::runtime::Runtime;
//! use tunstack::{Config, Stack};
//!
//! /// A server of a status page on port 80 of `address`.
//! fn server<D: Device>(device: D, address: IpAddr) -> Result<Runtime<D>, Box<dyn Error>> {
//!     let mut config = Config::with_addresses([address]);
//!     config.mtu = device.mtu();
//!     let seed = [42; 32]; // from the system's random numbers, in a program that meets attackers
//!     let mut runtime = Runtime::new(Stack::new(config, seed)?, device)?;
//!     let listener = runtime.stack().listen((address, 80).into())?;
//!     runtime.serve(listener, Box::new(Http::status_page()));
//!     Ok(runtime)
//! }
//! # // What follows runs it, with another stack in this process for a client.
//! # fn main() -> Result<(), Box<dyn Error>> {
//! #     use tunstack::device::MemoryDevice;
//! #     use tunstack::runtime::Clock;
//! #     let (mut wire, device) = MemoryDevice::pair(1500, 64);
//! #     let address = IpAddr::from([10, 0, 0, 2]);
//! #     std::thread::spawn(move || {
//! #         let mut runtime = server(device, address).expect("the settings are right");
//! #         let waker = runtime.waker();
//! #         runtime.device().on_change(move || waker.wake());
//! #         runtime.run()
//! #     });
//! #     let config = Config::with_addresses([IpAddr::from([10, 0, 0, 1])]);
//! #     let mut client = Stack::new(config, [7; 32])?;
//! #     let id = client.connect(None, (address, 80).into())?;
//! #     client.write(id, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
//! #     let (clock, mut page, mut buffer) = (Clock::start(), Vec::new(), vec![0; 70_000]);
//! #     loop {
//! #         client.on_timeout(clock.now());
//! #         while let Some(packet) = client.poll_transmit(clock.now()) {
//! #             wire.send(&packet)?;
//! #         }
//! #         if let Ok(frame) = wire.receive(&mut buffer) {
//! #             client.on_packet_stored(clock.now(), frame);
//! #         } else {
//! #             std::thread::yield_now();
//! #         }
//! #         let mut part = [0; 4096];
//! #         match client.read(id, &mut part) {
//! #             Ok(0) => break,
//! #             Ok(n) => page.extend_from_slice(&part[..n]),
//! #             Err(tunstack::tcp::ReadError::WouldBlock) => {}
//! #             Err(error) => return Err(error.into()),
//! #         }
//! #     }
//! #     assert!(page.starts_with(b"HTTP/1.1 200 OK\r\n"));
//! #     assert!(String::from_utf8(page)?.contains("ESTABLISHED"));
//! #     Ok(())
//! # }
//! ```

pub mod apps;
pub mod device;
pub mod ip;
pub mod manual;
#[cfg(feature = "packetdrill")]
pub mod packetdrill;
#[cfg(feature = "plot")]
pub mod plot;
pub mod runtime;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod wire;

pub use stack::{Config, ConnId, Event, ListenerId, Received, Stack};

/// The programs in the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
