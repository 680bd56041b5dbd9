//! Running the program: how it ends, what it refuses, and what becomes of its interface.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use real::files::Scratch;
use real::interface::{
    HOST_V4, STACK_V4, STACK_V6, TUN, configure_tun, ip, make_tun, stack_v4, stack_v6,
};
use real::process::launch;
use real::server::{Server, binary, tunstack};
use real::socket;

#[test]
fn sigterm_closes_a_hundred_connections_with_a_fin() {
    ends_cleanly_by(Signal::SIGTERM);
}

#[test]
fn sigint_closes_a_hundred_connections_with_a_fin() {
    ends_cleanly_by(Signal::SIGINT);
}

fn ends_cleanly_by(signal: Signal) {
    real::test(|| {
        make_tun();
        let server = Server::start(&[]);
        let mut streams: Vec<TcpStream> = (0..100)
            .map(|number| socket::connect(if number % 2 == 0 { stack_v4(7) } else { stack_v6(7) }))
            .collect();
        for stream in &mut streams {
            socket::exchange(stream, b"hello");
        }
        let start = Instant::now();
        server.signal(signal);
        for stream in &mut streams {
            // The end of the stream is a FIN; a reset would be an error.
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        // Nobody closes the other direction: the program does not wait for that.
        let end = server.finish();
        let took = start.elapsed();
        assert_eq!(end.status.code(), Some(0), "{}", end.story());
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    real::test(|| {
        make_tun();
        let mut server = Server::start(&[]);
        // A connection whose peer does not close keeps the program waiting for a second.
        let mut stream = socket::connect(stack_v4(7));
        socket::exchange(&mut stream, b"hello");
        let start = Instant::now();
        server.signal(Signal::SIGTERM);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        server.signal(Signal::SIGTERM);
        real::wait_until("the program has ended", || server.has_ended());
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

/// Runs `serve` with these arguments, which it must refuse in one line that has each of the words
/// in it.
fn refuses(arguments: &[&str], words: &[&str]) {
    let all: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
    let line = tunstack(&all).finish().refused();
    assert_mentions(&line, words);
}

fn assert_mentions(line: &str, words: &[&str]) {
    println!("{line}");
    let lower = line.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "no {word} in: {line}");
    }
}

#[test]
fn an_interface_that_cannot_be_used_is_refused() {
    real::test(|| {
        refuses(&[], &[TUN, "setup.sh up"]);
        refuses(&["--tun", "tun9"], &["tun9", "setup.sh up"]);

        ip(&format!("tuntap add dev {TUN} mode tun"));
        refuses(&[], &[TUN, "down", "up"]);

        configure_tun();
        let _server = Server::start(&[]);
        refuses(&[], &[TUN, "busy"]);

        ip("link add veth0 type veth peer name veth1");
        ip("link set dev veth0 up");
        refuses(&["--tun", "veth0"], &["veth0", "TUN"]);
        refuses(&["--tun", "lo"], &["lo", "TUN"]);

        ip("tuntap add dev tap0 mode tap");
        ip("link set dev tap0 up");
        refuses(&["--tun", "tap0"], &["tap0", "TUN"]);
    });
}

#[test]
fn an_interface_without_an_address_beside_ours_is_refused() {
    real::test(|| {
        make_tun();
        refuses(&["--address", "192.0.2.1"], &["192.0.2.1", TUN]);
        refuses(&["--address", HOST_V4], &[HOST_V4]);
        ip(&format!("address flush dev {TUN}"));
        refuses(&[], &[TUN, "address"]);
    });
}

#[test]
fn an_interface_of_another_users_is_refused() {
    real::test(|| {
        // In a user namespace there is nobody else whom it could belong to.
        if !geteuid().is_root() || !another_user_exists() {
            println!("no other user here");
            return;
        }
        ip(&format!("tuntap add dev {TUN} mode tun user nobody"));
        configure_tun();
        // Root without its privileges, which is not nobody.
        let line = launch(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"])
            .and([binary().to_str().unwrap(), "serve"])
            .finish()
            .refused();
        assert_mentions(&line, &[TUN, "permi", "setup.sh"]);
    });
}

/// Whether ids other than root's mean something in this user namespace.
fn another_user_exists() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let first = map.split_whitespace().nth(2).unwrap();
    first != "1" && User::from_name("nobody").unwrap().is_some()
}

#[test]
fn a_device_that_may_not_be_opened_is_refused() {
    real::test(|| {
        make_tun();
        // A file that nobody may open, mounted over the device for this one program.
        let scratch = Scratch::new();
        scratch.create("closed");
        let closed = scratch.path("closed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let script = "mount --bind \"$1\" /dev/net/tun && \
                      exec setpriv --bounding-set=-all --inh-caps=-all -- \"$2\" serve";
        let line = launch(["unshare", "--mount", "--", "sh", "-c", script, "sh"])
            .and([closed.to_str().unwrap(), binary().to_str().unwrap()])
            .finish()
            .refused();
        assert_mentions(&line, &["/dev/net/tun", "permi"]);
    });
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    real::test(|| {
        make_tun();
        refuses(&["--address", "10.203.0.999"], &["10.203.0.999"]);
        refuses(&["--address", "somewhere"], &["somewhere"]);
        refuses(&["--address", "224.0.0.1"], &["224.0.0.1"]);
        refuses(&["--mtu", "100"], &["100"]);
        refuses(&["--mtu", "65536"], &["65536"]);
        refuses(&["--mtu", "big"], &["big"]);
        refuses(&["--http", "80", "--echo", "80"], &["80"]);
        refuses(&["--echo", "0"], &["0"]);
        refuses(&["--http", "65536"], &["65536"]);
        refuses(&["--http", "80,/no/such/folder"], &["/no/such/folder"]);
        refuses(&["--pcap", "/no/such/folder/file"], &["/no/such/folder/file"]);
        refuses(&["--no-such-option"], &["--no-such-option"]);
        refuses(&["--tun", "a-name-that-is-much-too-long"], &["a-name-that-is-much-too-long"]);
    });
}

#[test]
fn other_addresses_and_ports_are_served() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&["--address", "10.203.0.77", "--echo", "7000"]);
        let other = real::interface::socket_address("10.203.0.77", 7000);
        socket::exchange(&mut socket::connect(other), b"hello");
        // They replace the default addresses.
        let pinged = launch(["ping", "-c", "1", "-W", "1", STACK_V4]).finish();
        assert_eq!(pinged.status.code(), Some(1), "{}", pinged.story());
    });
}

/// Checks a stream of RFC 864's pattern: lines of 72 printable characters, each line beginning one
/// character later than the one before.
struct Pattern {
    position: usize,
}

impl Pattern {
    fn check(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let (line, column) = (self.position / 74, self.position % 74);
            let expected = match column {
                72 => b'\r',
                73 => b'\n',
                _ => b' ' + ((line + column) % 95) as u8,
            };
            assert_eq!(byte, expected, "at {}", self.position);
            self.position += 1;
        }
    }
}

#[test]
fn traffic_goes_on_when_the_interface_was_down() {
    real::test(|| {
        make_tun();
        let mut server = Server::start(&[]);
        let mut talk = socket::connect(stack_v4(7));
        socket::exchange(&mut talk, b"before");
        let mut stream = socket::connect(stack_v4(19));
        let mut pattern = Pattern { position: 0 };
        let mut buffer = vec![0; 64 * 1024];
        let count = stream.read(&mut buffer).unwrap();
        pattern.check(&buffer[..count]);

        ip(&format!("link set dev {TUN} down"));
        // What had arrived is read; then comes nothing any more.
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        real::wait_until("the stream runs dry", || match stream.read(&mut buffer) {
            Ok(count) => {
                assert!(count > 0, "the stream ended");
                pattern.check(&buffer[..count]);
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) => panic!("{error}"),
        });
        server.assert_alive();

        // A link that was down has lost its IPv6 addresses.
        configure_tun();
        stream.set_read_timeout(Some(real::GUARD)).unwrap();
        let dry = pattern.position;
        while pattern.position < dry + 16 * 1024 * 1024 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream ended");
            pattern.check(&buffer[..count]);
        }
        socket::exchange(&mut talk, b"after");
        for server in [stack_v4(7), stack_v6(7)] {
            socket::exchange(&mut socket::connect(server), b"anew");
        }
    });
}

#[test]
fn an_interface_that_is_removed_ends_the_program() {
    real::test(|| {
        make_tun();
        let server = Server::start(&[]);
        let mut stream = socket::connect(stack_v4(7));
        socket::exchange(&mut stream, b"hello");
        ip(&format!("link delete dev {TUN}"));
        assert_mentions(&server.finish().refused(), &[TUN]);
    });
}

#[test]
fn a_capture_is_written_that_tools_can_read() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let file = scratch.path("capture.pcap");
        let server = Server::start(&["--pcap", file.to_str().unwrap()]);
        for address in [STACK_V4, STACK_V6] {
            launch(["ping", "-c", "1", "-W", "60", address]).succeed();
        }
        server.signal(Signal::SIGTERM);
        server.finish().succeeded();
        let bytes = fs::read(&file).unwrap();
        // The magic number of a pcap file, in microseconds or nanoseconds, of either byte order.
        let magic = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert!(
            [0xa1b2_c3d4, 0xa1b2_3c4d].contains(&magic)
                || [0xa1b2_c3d4, 0xa1b2_3c4d].contains(&magic.swap_bytes())
        );
        // Two requests and two replies at least, each with its payload.
        assert!(bytes.len() > 24 + 4 * (16 + 84), "{} bytes", bytes.len());
    });
}

#[test]
fn a_capture_of_a_download_becomes_a_picture() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        scratch.random_file("big", 1, 4 << 20);
        let capture = scratch.path("capture.pcap");
        let http = format!("80,{}", scratch.folder());
        let server = Server::start(&["--pcap", capture.to_str().unwrap(), "--http", &http]);
        let copy = scratch.path("copy");
        let address = format!("http://{STACK_V4}/big");
        launch(["curl", "-sSf", "-o", copy.to_str().unwrap(), &address]).succeed();
        server.signal(Signal::SIGTERM);
        server.finish().succeeded();
        let said = tunstack(&["plot", capture.to_str().unwrap()]).succeed();
        assert!(said.contains(&format!("{STACK_V4}:80 to {HOST_V4}:")), "{said}");
        let svg = fs::read_to_string(scratch.path("capture.svg")).unwrap();
        // The unit is that of what was sent, and the whole of it was acknowledged.
        for text in ["sequence number (MiB)", "acknowledged", "window edge", "SYN", "FIN"] {
            assert!(svg.contains(text), "{text}");
        }
    });
}
