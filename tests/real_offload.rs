//! The device with the virtio-net header: over an interface that remembers who was there before, in
//! both directions, and where the kernel refuses it. And segments of nearly 64 KiB without it, where
//! the interface has the largest MTU there is.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;

use real::files::{MIB, Random, Scratch};
use real::interface::{
    HOST_V4, HOST_V6, STACK_V4, STACK_V6, TUN, configure_tun, ip, make_tun, socket_address,
    stack_v4, stack_v6,
};
use real::process::launch;
use real::server::{Server, binary, tunstack};
use real::socket;
use tunstack::device::{Device, Interface, LARGEST_FRAME, OffloadTun, Pcap, Tun};
use tunstack::wire::codec::{HeaderBuffer, Packet, TcpHeader, emit_tcp, parse};
use tunstack::wire::{Checksum, Flags, Flow, Options, SeqNum, Transmit};

/// Text in a segment over an interface with an MTU of 1500, at most.
const SEGMENT: usize = 1_500 - 40;

/// Sends the bytes to the discard server, and waits until it has read them.
fn upload(server: SocketAddr, bytes: &[u8]) {
    let mut stream = socket::connect(server);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Sends the bytes to the echo server, and insists on getting them back.
fn exchange(server: SocketAddr, bytes: &[u8]) {
    let mut stream = socket::connect(server);
    let mut sender = stream.try_clone().unwrap();
    let echoed = thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(bytes).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).unwrap();
        echoed
    });
    assert!(echoed == bytes, "{} bytes of {} came back", echoed.len(), bytes.len());
}

/// Waits until nobody has the interface open. What this process has closed, a program that it is just
/// starting for another test may still hold for a moment.
fn wait_until_free() {
    real::wait_until("nobody has the interface open", || {
        !ip(&format!("link show dev {TUN}")).contains("LOWER_UP")
    });
}

/// Whether the kernel leaves work on packets into the interface to whoever has it open.
fn is_offloading() -> bool {
    let features = launch(["ethtool", "-k", TUN]).succeed();
    let state = |name: &str| {
        let line = features.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {features}")).starts_with(": on")
    };
    let names = ["tx-checksumming", "tx-tcp-segmentation", "tx-tcp6-segmentation"];
    let states = names.map(state);
    assert!(states == [true; 3] || states == [false; 3], "{states:?}");
    states[0]
}

#[test]
fn streams_are_intact_whoever_had_the_interface_before() {
    real::test(|| {
        make_tun();
        let bytes = Random::bytes(1, 4 * MIB);
        for mode in ["off", "on", "off", "auto", "on"] {
            println!("--offload {mode}");
            let server = Server::start(&["--offload", mode]);
            assert_eq!(is_offloading(), mode != "off");
            let mut counters = server.counters();
            let before = counters.all();
            for address in [STACK_V4, STACK_V6] {
                launch(["ping", "-c", "1", "-W", "60", address]).succeed();
                exchange(socket_address(address, 7), &bytes);
            }
            let echoed = counters.all();
            // Super-segments out, which are cut for the plain device.
            let [packets, segments] =
                ["IpOutRequests", "TcpOutSegs"].map(|name| echoed[name] - before[name]);
            println!("{packets} packets out for {segments} segments");
            assert!(packets < segments / 2, "no super-segments: {packets} for {segments}");
            for address in [stack_v4(9), stack_v6(9)] {
                upload(address, &bytes);
            }
            let all = counters.all();
            let packets = all["IpInReceives"] - echoed["IpInReceives"];
            let segments = (2 * bytes.len() / SEGMENT) as u64;
            assert!(all["TcpInSegs"] - echoed["TcpInSegs"] >= segments);
            println!("{packets} packets in for {segments} segments");
            if mode == "off" {
                assert!(packets >= segments);
            } else {
                assert!(packets < segments / 2, "no super-segments: {packets} for {segments}");
            }
            for name in ["TcpInCsumErrors", "IcmpInCsumErrors", "IpInHdrErrors"] {
                assert_eq!(all[name], 0, "{name}");
            }
            drop(counters);
            server.signal(Signal::SIGTERM);
            server.finish().succeeded();
        }
    });
}

#[test]
fn segments_of_nearly_64_kib_pass_where_the_interface_carries_them() {
    real::test(|| {
        make_tun();
        ip(&format!("link set dev {TUN} mtu 65535"));
        let bytes = Random::bytes(7, 8 * MIB);
        for arguments in [&["--offload", "off"][..], &["--offload", "on", "--mtu", "65535"]] {
            println!("{arguments:?}");
            let server = Server::start_logging("info", arguments);
            let mut counters = server.counters();
            for address in [STACK_V4, STACK_V6] {
                let before = counters.all();
                exchange(socket_address(address, 7), &bytes);
                let after = counters.all();
                // With the usual MTU there are 5,800 each way without ACKs. Here the first windows
                // hold one segment, and what is left over of them goes by itself.
                let [come, gone] =
                    ["TcpInSegs", "TcpOutSegs"].map(|name| after[name] - before[name]);
                println!("{come} segments in and {gone} out for {} bytes", bytes.len());
                assert!(come.max(gone) < 1_500);
                upload(socket_address(address, 9), &bytes);
            }
            let all = counters.all();
            for name in ["TcpInCsumErrors", "IpInHdrErrors"] {
                assert_eq!(all[name], 0, "{name}");
            }
            drop(counters);
            server.signal(Signal::SIGTERM);
            let end = server.finish().succeeded();
            let lost = |line: &&str| line.contains(" Device") && !line.ends_with(" 0");
            assert!(end.errors.contains("DeviceOversize 0"), "{}", end.story());
            assert_eq!(end.errors.lines().find(lost), None);
        }
    });
}

/// The calls with which somebody else may have left the interface as it is.
mod request {
    #![allow(unsafe_code)]
    use nix::libc::{
        TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETBE, TUNSETVNETHDRSZ, TUNSETVNETLE, c_int, ifreq,
    };

    nix::ioctl_write_ptr_bad!(attach, TUNSETIFF, ifreq);
    nix::ioctl_write_int_bad!(set_offload, TUNSETOFFLOAD);
    nix::ioctl_write_ptr_bad!(set_header_len, TUNSETVNETHDRSZ, c_int);
    nix::ioctl_write_ptr_bad!(set_little_endian, TUNSETVNETLE, c_int);
    nix::ioctl_write_ptr_bad!(set_big_endian, TUNSETVNETBE, c_int);
}

/// What a virtual machine may leave behind: a longer header, in the other byte order where the
/// kernel has both, and all work to be done by others.
#[allow(unsafe_code)]
fn be_a_virtual_machine_for_a_moment() {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
    let fd = file.as_raw_fd();
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(TUN.bytes()) {
        *to = from as libc::c_char;
    }
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as _;
    let ifreq =
        libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    let mask = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    // SAFETY: the descriptor is open, and each call takes or reads what it is given.
    unsafe {
        request::attach(fd, &ifreq).unwrap();
        request::set_header_len(fd, &12).unwrap();
        request::set_little_endian(fd, &0).unwrap();
        if let Err(error) = request::set_big_endian(fd, &1) {
            println!("one byte order only: {error}");
        }
        request::set_offload(fd, mask as _).unwrap();
    }
    assert!(is_offloading());
    drop(file);
    wait_until_free();
}

#[test]
fn nothing_is_taken_over_from_who_had_the_interface_before() {
    real::test(|| {
        make_tun();
        let bytes = Random::bytes(2, MIB);
        for mode in ["off", "on"] {
            be_a_virtual_machine_for_a_moment();
            let server = Server::start(&["--offload", mode]);
            for address in [stack_v4(7), stack_v6(7)] {
                exchange(address, &bytes);
            }
            server.signal(Signal::SIGTERM);
            server.finish().succeeded();
        }
    });
}

#[test]
fn connect_exchanges_streams_over_either_kind() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let ours = Random::bytes(3, 4 * MIB);
        let file = scratch.path("ours.bin");
        fs::write(&file, &ours).unwrap();
        let theirs = Random::bytes(4, 4 * MIB);
        let listeners = [HOST_V4, HOST_V6]
            .map(|host| (host, TcpListener::bind(socket_address(host, 5000)).unwrap()));
        let kinds = [("on", 1_500), ("off", 1_500), ("on", 1_500), ("off", 65_535)];
        for ((mode, mtu), (host, listener)) in
            kinds.iter().flat_map(|kind| listeners.iter().map(move |to| (kind, to)))
        {
            println!("--offload {mode} to {host}, MTU {mtu}");
            ip(&format!("link set dev {TUN} mtu {mtu}"));
            let program = tunstack(&["connect", "--offload", mode, host, "5000"])
                .input(File::open(&file).unwrap())
                .start();
            let mut stream = socket::accept(listener);
            let mut received = vec![0; ours.len()];
            stream.read_exact(&mut received).unwrap();
            assert!(received == ours);
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            stream.write_all(&theirs).unwrap();
            drop(stream);
            assert!(program.finish().succeeded().output == theirs);
        }
    });
}

#[test]
fn an_interface_with_several_queues_is_refused_in_one_line() {
    real::test(|| {
        ip(&format!("tuntap add dev {TUN} mode tun multi_queue"));
        configure_tun();
        for mode in ["on", "auto", "off"] {
            let serve = tunstack(&["serve", "--offload", mode]).finish().refused();
            let connect = tunstack(&["connect", "--offload", mode, HOST_V4, "5000"]);
            for line in [serve, connect.finish().refused()] {
                assert!(line.contains("one queue") && line.contains("setup.sh up"), "{line}");
            }
        }
        ip("tuntap add dev tap0 mode tap");
        ip("link set dev tap0 up");
        let line = tunstack(&["serve", "--offload", "on", "--tun", "tap0"]).finish().refused();
        assert!(line.contains("not a TUN"), "{line}");
    });
}

/// Stands between the program and a kernel that does not know one of the calls.
const REFUSING: &str = r#"
#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (REFUSED) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_ioctl, fd, request, argument);
}
"#;

#[test]
fn a_kernel_that_cannot_is_gone_without_or_told_of() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let source = scratch.path("refusing.c");
        fs::write(&source, REFUSING).unwrap();
        for (name, refused) in [
            ("tasks", "request == TUNSETOFFLOAD && argument"),
            (
                "header",
                "request == TUNSETIFF && (((struct ifreq *)argument)->ifr_flags & IFF_VNET_HDR)",
            ),
        ] {
            let library = scratch.path(&format!("{name}.so"));
            launch(["cc", "-shared", "-fPIC", "-o", library.to_str().unwrap()])
                .and([&format!("-DREFUSED={refused}"), source.to_str().unwrap()])
                .succeed();
            let serve = |mode: &str| {
                launch(["env", &format!("LD_PRELOAD={}", library.display())]).and([
                    binary().to_str().unwrap(),
                    "serve",
                    "--offload",
                    mode,
                ])
            };
            let line = serve("on").finish().refused();
            println!("{line}");
            assert!(line.contains(TUN), "{line}");
            if name == "tasks" {
                assert!(line.contains("--offload off"), "{line}");
            }

            let mut server = serve("auto").start();
            server.wait_for_output("that it is ready", |output| output.starts_with("ready"));
            assert!(!is_offloading());
            exchange(stack_v4(7), &Random::bytes(5, MIB));
            server.signal(Signal::SIGTERM);
            let end = server.finish().succeeded();
            assert_eq!(end.errors.lines().count(), 1, "{}", end.story());
            assert!(end.errors.contains("offload") && end.errors.contains(TUN), "{}", end.errors);
        }
    });
}

#[test]
fn a_capture_shows_super_segments() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let file = scratch.path("capture.pcap");
        let server = Server::start(&["--offload", "on", "--pcap", file.to_str().unwrap()]);
        exchange(stack_v4(7), &Random::bytes(6, MIB));
        server.signal(Signal::SIGTERM);
        server.finish().succeeded();
        let bytes = fs::read(&file).unwrap();
        let (mut rest, mut longest) = (&bytes[24..], 0);
        while let Some((head, behind)) = rest.split_first_chunk::<16>() {
            let len = u32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
            longest = longest.max(len);
            rest = &behind[len..];
        }
        assert!(longest > 4 * SEGMENT, "{longest}");
    });
}

/// One end of a connection, played by hand over the device.
struct Hand {
    device: OffloadTun,
    flow: Flow,
    seq: SeqNum,
    ack: SeqNum,
    buffer: Vec<u8>,
}

impl Hand {
    /// Sends a segment with these flags and this text, to be cut at `segment_size`; its checksum is
    /// left to the device.
    fn send(&mut self, flags: Flags, text: &[u8], segment_size: Option<u16>) {
        let mut into = HeaderBuffer::new();
        let header = TcpHeader {
            flow: self.flow,
            seq: self.seq,
            ack: self.ack,
            flags,
            window: 65_535,
            urgent: 0,
            options: Options::default(),
            traffic_class: 0,
            ttl: 64,
            ident: 0,
            dont_fragment: true,
        };
        let (first, second) = text.split_at(text.len() / 3);
        let checksum = emit_tcp(&mut into, &header, [first, second], true);
        assert!(matches!(checksum, Checksum::Partial { .. }));
        let packet = Transmit {
            header: into.as_slice(),
            payload: [first, second],
            segment_size: segment_size.and_then(NonZeroU16::new),
            checksum,
        };
        self.device.send(&packet).unwrap();
        self.seq = self.seq + text.len() as u32 + u32::from(flags.contains(Flags::SYN));
    }

    /// Waits for a segment of the connection that satisfies the condition.
    fn wait_for(&mut self, what: &str, condition: impl Fn(Flags, SeqNum) -> bool) -> SeqNum {
        let mut found = None;
        let (device, buffer, flow) = (&mut self.device, &mut self.buffer, &self.flow);
        real::wait_until(what, || {
            found = match device.receive(buffer) {
                Ok(frame) => match parse(&frame) {
                    Ok(Packet::Tcp { flow: of, segment })
                        if of == *flow && condition(segment.flags, segment.ack) =>
                    {
                        Some(segment.seq)
                    }
                    _ => None,
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                Err(error) => panic!("{error}"),
            };
            found.is_some()
        });
        found.unwrap()
    }
}

#[test]
fn the_kernel_takes_super_segments_with_unfinished_checksums() {
    real::test(|| {
        make_tun();
        let (host_v4, host_v6) = (socket_address(HOST_V4, 5001), socket_address(HOST_V6, 5001));
        for (host, stack) in [(host_v4, STACK_V4), (host_v6, STACK_V6)] {
            let listener = TcpListener::bind(host).unwrap();
            wait_until_free();
            let device = OffloadTun::open(&Interface::look_up(TUN).unwrap(), None).unwrap();
            assert!(device.offload());
            let from: IpAddr = stack.parse().unwrap();
            let mut hand = Hand {
                device,
                flow: Flow::new(SocketAddr::new(from, 4_000), host),
                seq: SeqNum(u32::MAX - 10_000),
                ack: SeqNum(0),
                buffer: vec![0; LARGEST_FRAME],
            };
            hand.send(Flags::SYN, &[], None);
            let answer = hand.wait_for("the SYN is answered", |flags, _| {
                flags.contains(Flags::SYN | Flags::ACK)
            });
            hand.ack = answer + 1;
            hand.send(Flags::ACK, &[], None);
            let mut stream: TcpStream = socket::accept(&listener);
            let mut received = 0;
            // One that is copied together, one that is gathered from its pieces, one nearly as long
            // as can be, one that says CWR, and one that is no super-segment.
            for (len, segment_size, flags) in [
                (3_000, 1_000, Flags::ACK),
                (20_000, 1_000, Flags::ACK),
                (60_000, 1_200, Flags::ACK | Flags::PSH),
                (9_999, 1_000, Flags::ACK | Flags::CWR),
                (500, 1_000, Flags::ACK),
            ] {
                let text = Random::bytes(len as u64, len);
                hand.send(flags, &text, Some(segment_size));
                let mut read = vec![0; len];
                stream.read_exact(&mut read).unwrap();
                assert!(read == text, "{len}");
                received += len;
                let end = hand.seq;
                hand.wait_for("the text is acknowledged", |_, ack| ack == end);
            }
            // The kernel knows how long the segments are: the largest that it has seen is one of
            // these, and none of the 1,460 bytes for which it would take a packet.
            let known = launch(["ss", "-Htin", "sport", "=", ":5001"]).succeed();
            let value = |name: &str| {
                let word = known.split_whitespace().find_map(|word| word.strip_prefix(name));
                word.unwrap_or_else(|| panic!("no {name} in {known}")).to_owned()
            };
            assert_eq!(value("bytes_received:"), received.to_string());
            assert_eq!(value("rcvmss:"), "1200", "{known}");
            assert_eq!(hand.device.losses().iter().map(|(_, count)| count).sum::<u64>(), 0);
        }
    });
}

#[test]
fn only_the_device_with_the_header_says_that_it_offloads() {
    real::test(|| {
        make_tun();
        let interface = Interface::look_up(TUN).unwrap();
        let device = OffloadTun::open(&interface, None).unwrap();
        // Those in between say what the device itself says.
        let device = Pcap::with_clock(device, std::io::sink(), Duration::default).unwrap();
        let device = Box::new(device);
        assert_eq!((device.offload(), is_offloading(), device.mtu()), (true, true, 1_500));
        drop(device);
        wait_until_free();
        let device = Box::new(Tun::open(&interface, Some(1_280)).unwrap());
        assert_eq!((device.offload(), is_offloading(), device.mtu()), (false, false, 1_280));
    });
}
