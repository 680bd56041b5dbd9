//! What the tools of a network's administrator see of the stack: ss, ping, nmap.

#![allow(clippy::unwrap_used)]

mod real;

use real::interface::{STACK_V4, STACK_V6, make_tun, stack_v4, stack_v6};
use real::process::launch;
use real::server::Server;
use real::socket;

/// What `ss` says of the one established connection to this address, with what was negotiated (-o).
fn socket_statistics(address: &str) -> String {
    let bracketed = format!("[{address}]");
    launch(["ss", "-Htino", "state", "established", "dst", &bracketed]).succeed()
}

#[test]
fn the_kernel_has_negotiated_timestamps_sack_and_window_scaling() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&[]);
        // An MTU of 1500 less 20 or 40 bytes of IP, 20 of TCP and 12 of timestamps.
        for (server, address, mss) in [(stack_v4(7), STACK_V4, 1448), (stack_v6(7), STACK_V6, 1428)]
        {
            let mut stream = socket::connect(server);
            socket::exchange(&mut stream, b"hello");
            let seen = socket_statistics(address);
            assert!(seen.contains(" ts sack"), "{seen}");
            assert!(seen.contains(&format!(" mss:{mss} ")), "{seen}");
            assert!(seen.contains(&format!(" advmss:{mss} ")), "{seen}");
            let (_, after) = seen.split_once(" wscale:").unwrap();
            let (theirs, ours) = after.split_whitespace().next().unwrap().split_once(',').unwrap();
            for scale in [theirs, ours] {
                let scale: u8 = scale.parse().unwrap();
                assert!((1..=14).contains(&scale), "{seen}");
            }
        }
    });
}

#[test]
fn ping_is_answered() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&[]);
        for (family, address) in [("-4", STACK_V4), ("-6", STACK_V6)] {
            // 56 bytes, and as much as a packet holds.
            for size in ["56", "1400"] {
                // With a deadline it waits for the answers, and meanwhile asks again: without one it
                // gives up after two of the round-trip times that it has seen.
                let pinged = launch([
                    "ping", family, "-c", "5", "-i", "0.01", "-w", "60", "-s", size, address,
                ])
                .finish()
                .succeeded();
                assert!(pinged.text().contains(" 5 received"), "{}", pinged.story());
            }
        }
    });
}

#[test]
fn a_port_scan_sees_the_open_ports_and_leaves_nothing_half_open() {
    real::test(|| {
        make_tun();
        let server = Server::start(&[]);
        let scan = launch(["nmap", "-sS", "-p-", "-n", "-Pn", "-oG", "-", STACK_V4])
            .finish()
            .succeeded()
            .text();
        let open: Vec<&str> = scan
            .split_whitespace()
            .filter_map(|word| word.split_once("/open/"))
            .map(|(port, _)| port)
            .collect();
        assert_eq!(open, ["7", "9", "19", "80"], "{scan}");
        assert!(scan.contains("Ignored State: closed (65531)"), "{scan}");
        // The kernel, which knows nothing of the scan, has reset each connection; its resets have
        // come before this question does.
        assert_eq!(server.counters().get("half_open"), 0);
        server.counters().wait_until_idle();
    });
}
