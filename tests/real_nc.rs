//! nc against the stack's echo server, and `tunstack connect` against nc.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;

use real::files::{MIB, Random, Scratch, sha256, size};
use real::interface::{HOST_V4, HOST_V6, STACK_V4, STACK_V6, ip, make_tun, wait_for_listener};
use real::process::launch;
use real::server::{Server, tunstack};
use real::socket;

#[test]
fn what_nc_sends_comes_back_after_it_half_closes() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let file = scratch.random_file("sent.bin", 1, 200 * MIB);
        let server = Server::start(&[]);
        // -N: shut the sending side at the end of the input, and go on receiving.
        launch(["nc", "-N", STACK_V4, "7"])
            .input(File::open(&file).unwrap())
            .output(scratch.create("echoed.bin"))
            .finish()
            .succeeded();
        assert_eq!(sha256(&scratch.path("echoed.bin")), sha256(&file));
        server.counters().wait_until_idle();
    });
}

#[test]
fn a_chat_by_lines() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&[]);
        for address in [STACK_V4, STACK_V6] {
            let mut chat = launch(["nc", "-N", address, "7"]).interactive().start();
            let mut said = String::new();
            for line in ["hello\n", "how are you?\n", "\n", "goodbye\n"] {
                chat.say(line);
                said.push_str(line);
                // Each line comes back before the next one is said.
                chat.wait_for_output("the line it was told", |echoed| echoed == said);
            }
            let end = chat.finish().succeeded();
            assert_eq!(end.text(), said);
        }
    });
}

#[test]
fn connect_exchanges_files_with_a_kernel_nc() {
    real::test(|| {
        make_tun();
        let scratch = Scratch::new();
        let ours = Random::bytes(1, 16 * MIB);
        let theirs = scratch.random_file("theirs.bin", 2, 24 * MIB);
        for (host, port) in [(HOST_V4, 9001), (HOST_V6, 9002)] {
            let nc = launch(["nc", "-N", "-l", host, &port.to_string()])
                .input(File::open(&theirs).unwrap())
                .output(scratch.create("nc-got.bin"))
                .start();
            wait_for_listener(port);
            let mut connect = tunstack(&["connect", host, &port.to_string()])
                .interactive()
                .output(scratch.create("connect-got.bin"))
                .start();
            connect.say(&ours);
            // A listening nc ends when its peer has no more to say, sent or not what it has itself.
            real::wait_until("all of nc's file has come", || {
                size(&scratch.path("connect-got.bin")) == 24 * MIB
            });
            connect.finish().succeeded();
            nc.finish().succeeded();
            let nc_got = fs::read(scratch.path("nc-got.bin")).unwrap();
            assert!(nc_got == ours, "{host}");
            assert_eq!(sha256(&scratch.path("connect-got.bin")), sha256(&theirs), "{host}");
        }
    });
}

#[test]
fn connect_chats_with_a_kernel_nc() {
    real::test(|| {
        make_tun();
        let mut nc = launch(["nc", "-l", HOST_V4, "9000"]).interactive().start();
        wait_for_listener(9000);
        let mut connect = tunstack(&["connect", HOST_V4, "9000"]).interactive().start();
        connect.say("who is there?\n");
        nc.wait_for_output("the question", |text| text == "who is there?\n");
        nc.say("a kernel\n");
        connect.wait_for_output("the answer", |text| text == "a kernel\n");
        // The end of our input closes one direction; nc then ends, which closes the other.
        connect.end_input();
        nc.finish().succeeded();
        connect.finish().succeeded();
    });
}

#[test]
fn connect_says_in_one_line_that_it_was_refused() {
    real::test(|| {
        make_tun();
        for host in [HOST_V4, HOST_V6] {
            let line = tunstack(&["connect", host, "9"]).finish().refused();
            assert!(line.contains("refused"), "{line}");
        }
    });
}

#[test]
fn connect_says_in_one_line_that_it_was_reset() {
    real::test(|| {
        make_tun();
        let listener = TcpListener::bind((HOST_V4, 9000)).unwrap();
        let mut connect = tunstack(&["connect", HOST_V4, "9000"]).interactive().start();
        connect.say("hello");
        let peer = socket::accept(&listener);
        // A kernel that closes a connection with unread data in it resets it.
        assert_eq!(peer.peek(&mut [0; 1]).unwrap(), 1);
        drop(peer);
        let line = connect.finish().refused();
        assert!(line.contains("reset"), "{line}");
    });
}

#[test]
fn connect_says_in_one_line_that_the_host_is_unreachable() {
    real::test(|| {
        make_tun();
        // The kernel as a router that knows no way.
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        ip("route add unreachable 10.99.0.0/24");
        ip("-6 route add unreachable fd74:756e:7399::/64");
        for host in ["10.99.0.1", "fd74:756e:7399::1"] {
            let line = tunstack(&["connect", host, "80"]).finish().refused();
            assert!(line.contains("unreachable"), "{line}");
        }
    });
}

#[test]
fn connect_goes_on_receiving_after_its_input_has_ended() {
    real::test(|| {
        make_tun();
        let listener = TcpListener::bind((HOST_V4, 9000)).unwrap();
        let connect = tunstack(&["connect", HOST_V4, "9000"]).start();
        let mut peer = socket::accept(&listener);
        // Its input is empty: the FIN comes first of all.
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        std::io::Write::write_all(&mut peer, b"still here\n").unwrap();
        drop(peer);
        assert_eq!(connect.finish().succeeded().text(), "still here\n");
    });
}
