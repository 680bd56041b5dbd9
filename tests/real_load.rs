//! Many connections at once, and many one after another.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs;

use real::counters::Counters;
use real::files::{MIB, Scratch};
use real::http::HttpConnection;
use real::interface::{STACK_V4, make_tun, stack_v4};
use real::process::launch;
use real::server::Server;

#[test]
fn wrk_keeps_a_thousand_connections_busy_without_an_error() {
    real::test(|| {
        make_tun();
        let server = Server::start(&[]);
        // With its port: without, wrk looks "http" up in a list of services that not every machine has.
        let url = format!("http://{STACK_V4}:80/");
        // A thousand connections are more files than a program may open by default.
        let mut command = vec!["prlimit", "--nofile=4096", "wrk", "-t2", "-c1000", "-d10s"];
        if cfg!(debug_assertions) {
            // wrk counts what takes more than two seconds as an error, which says nothing of a
            // program that nobody has optimized.
            command.extend(["--timeout", "20s"]);
        }
        command.push(&url);
        let report = launch(command).succeed();
        println!("{report}");
        assert!(!report.contains("Socket errors"), "{report}");
        assert!(!report.contains("Non-2xx"), "{report}");
        let requests = report
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(count, _)| count.parse::<u64>().ok())
            .unwrap();
        assert!(requests >= 1000, "{report}");
        server.counters().wait_until_idle();
    });
}

/// Connections of one round.
const ROUND: usize = 20_000;
/// So few ports that each recurs many times in a round, while the stack, which closes first, has
/// its last connection in TIME-WAIT.
const PORTS: &str = "30000 30999";
/// What the allocator may add to the resident memory without anything being kept: a leak of 32
/// bytes a connection would be more.
const ALLOCATOR_NOISE: u64 = 512 * 1024;

/// Fetches the page over and over, each time over a connection of its own that the server closes.
fn one_after_another() {
    for number in 0..ROUND {
        let reply = HttpConnection::open(stack_v4(80)).get_and_close("/page.bin");
        assert_eq!(reply.status, 200, "connection {number}");
        assert_eq!(reply.body.len(), 1000, "connection {number}");
    }
}

#[test]
fn twenty_thousand_connections_one_after_another_leave_nothing_behind() {
    real::test(|| {
        make_tun();
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", PORTS).unwrap();
        let scratch = Scratch::new();
        scratch.random_file("page.bin", 1, 1000);
        let folder = format!("80,{}", scratch.folder());
        let server = Server::start(&["--http", &folder, "--time-wait", "2"]);
        let mut counters = Counters::open(stack_v4(80));
        let before = server.resident_memory();

        one_after_another();
        assert!(counters.get("time_wait") > 0, "no port is in TIME-WAIT");
        counters.wait_until_empty();
        let after_one = server.resident_memory();

        one_after_another();
        counters.wait_until_empty();
        let after_two = server.resident_memory();

        println!("resident: {before} before, {after_one} after a round, {after_two} after two");
        assert!(after_one <= before + 8 * MIB as u64);
        assert!(after_two <= after_one + ALLOCATOR_NOISE);
        let recurred = counters.get("TcpExtTWRecycled");
        assert!(recurred > 0, "no port recurred in its TIME-WAIT");
    });
}
