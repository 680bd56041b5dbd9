//! Paths and programs that fail for a while: loss, an outage, a reader that stops.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use real::counters::Counters;
use real::files::{MIB, Random, Scratch, sha256, size};
use real::interface::{STACK_V4, kernel_tcp_counter, make_tun, stack_v4, stack_v6};
use real::process::launch;
use real::router::Router;
use real::server::Server;
use real::socket;

/// Recovery from loss waits for timers again and again, so it takes longer than anything else.
const GUARD_UNDER_LOSS: Duration = Duration::from_secs(1200);

/// Linux's default. Where they are larger, all that a test has under way might lie in the client's.
fn keep_default_receive_buffers() {
    fs::write("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456").unwrap();
}

#[test]
fn twenty_mebibytes_each_way_survive_five_percent_of_loss() {
    real::test(|| {
        let router = Router::new();
        let scratch = Scratch::new();
        let file = scratch.random_file("sent.bin", 1, 20 * MIB);
        let server = router.inside(|| Server::start(&[]));
        router.lose(5);
        launch(["nc", "-N", STACK_V4, "7"])
            .input(File::open(&file).unwrap())
            .output(scratch.create("echoed.bin"))
            .within(GUARD_UNDER_LOSS)
            .finish()
            .succeeded();
        let dropped = router.heal();
        assert_eq!(sha256(&scratch.path("echoed.bin")), sha256(&file));

        let kernel = kernel_tcp_counter("RetransSegs");
        let stack = router.inside(|| server.counters().get("TcpRetransSegs"));
        println!("{dropped:?}, sent again: {kernel} by the kernel, {stack} by the stack");
        assert!(dropped.toward_stack > 0 && dropped.toward_client > 0);
        assert!(kernel > 0 && stack > 0);
    });
}

#[test]
fn what_bbr_sends_arrives_whole_over_a_good_path_and_over_one_that_loses_five_percent() {
    real::test(|| {
        let router = Router::new();
        let scratch = Scratch::new();
        let file = scratch.random_file("file.bin", 1, 20 * MIB);
        let folder = format!("80,{}", scratch.folder());
        let server = router.inside(|| Server::start(&["--http", &folder, "--congestion", "bbr"]));
        let url = format!("http://{STACK_V4}/file.bin");
        let download = |name: &str| {
            launch(["curl", "-sSf", &url])
                .output(scratch.create(name))
                .within(GUARD_UNDER_LOSS)
                .finish()
                .succeeded();
            assert_eq!(sha256(&scratch.path(name)), sha256(&file));
            router.inside(|| server.counters().get("TcpRetransSegs"))
        };
        let without = download("good.bin");
        router.lose(5);
        let with = download("bad.bin") - without;
        let dropped = router.heal();
        println!("{dropped:?}, sent again: {without} before, {with} then");
        assert!(dropped.toward_client > 0 && with > 0);
    });
}

#[test]
fn transfers_outlive_an_outage_of_fifteen_seconds() {
    real::test(|| {
        const BYTES: usize = 24 * MIB;
        let router = Router::new();
        keep_default_receive_buffers();
        let scratch = Scratch::new();
        let file = scratch.random_file("file.bin", 1, BYTES);
        let _server = router.inside(|| {
            let folder = format!("80,{}", scratch.folder());
            Server::start(&["--http", &folder])
        });

        let arrived = scratch.path("arrived.bin");
        let url = format!("http://{STACK_V4}/file.bin");
        // To the stack and back over IPv6: half of it before the outage, half of it in the outage.
        let sent = Random::bytes(2, BYTES);
        let mut writer = socket::connect(stack_v6(7));
        let mut reader = writer.try_clone().unwrap();
        let echoed = AtomicUsize::new(0);
        let download = thread::scope(|scope| {
            let (echoed, sent) = (&echoed, &sent);
            scope.spawn(move || {
                let mut got = vec![0; BYTES];
                for piece in got.chunks_mut(64 * 1024) {
                    reader.read_exact(piece).unwrap();
                    echoed.fetch_add(piece.len(), Ordering::Relaxed);
                }
                assert!(got == *sent, "the echo differs");
                assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            });
            writer.write_all(&sent[..BYTES / 2]).unwrap();
            real::wait_until("half has come back", || echoed.load(Ordering::Relaxed) == BYTES / 2);
            // From the stack over IPv4: so slowly that the outage falls in the middle.
            let download = launch(["curl", "-sSf", "--limit-rate", "2M", &url])
                .output(scratch.create("arrived.bin"))
                .start();
            real::wait_until("some is downloaded", || size(&arrived) > MIB);

            router.cut();
            scope.spawn(move || {
                writer.write_all(&sent[BYTES / 2..]).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            // Not a wait for something to happen: this is the outage.
            thread::sleep(Duration::from_secs(15));
            let (downloaded, echoed) = (size(&arrived), echoed.load(Ordering::Relaxed));
            // Before anything is asserted: a failed assertion waits for the threads.
            let dropped = router.heal();
            println!("{dropped:?}");
            assert!(downloaded < BYTES, "the outage came too late");
            assert_eq!(echoed, BYTES / 2);
            assert!(dropped.toward_stack > 0 && dropped.toward_client > 0);
            download
        });
        download.finish().succeeded();
        assert_eq!(sha256(&arrived), sha256(&file));
    });
}

#[test]
fn a_reader_that_stops_for_thirty_seconds_misses_nothing() {
    real::test(|| {
        const BYTES: usize = 64 * MIB;
        const PAUSE: Duration = Duration::from_secs(30);
        make_tun();
        keep_default_receive_buffers();
        let scratch = Scratch::new();
        let file = scratch.random_file("file.bin", 1, BYTES);
        let folder = format!("80,{}", scratch.folder());
        let _server = Server::start(&["--http", &folder]);
        let mut counters = Counters::open(stack_v4(80));

        // A program that is stopped in the middle of a download.
        let arrived = scratch.path("arrived.bin");
        let url = format!("http://{STACK_V4}/file.bin");
        let download = launch(["curl", "-sSf", "--limit-rate", "16M", &url])
            .output(scratch.create("arrived.bin"))
            .start();
        // And one that goes on writing to the echo server without reading, which closes the
        // windows of both directions.
        let sent = Random::bytes(2, BYTES);
        let mut writer = socket::connect(stack_v4(7));
        let mut reader = writer.try_clone().unwrap();
        let written = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (written, sent) = (&written, &sent);
            scope.spawn(move || {
                for piece in sent.chunks(64 * 1024) {
                    writer.write_all(piece).unwrap();
                    written.fetch_add(piece.len(), Ordering::Relaxed);
                }
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut got = vec![0; BYTES];
            let (first, rest) = got.split_at_mut(MIB);
            reader.read_exact(first).unwrap();

            real::wait_until("the download is under way", || size(&arrived) > 4 * MIB);
            download.signal(Signal::SIGSTOP);
            // Not a wait for something to happen: this is the pause.
            thread::sleep(PAUSE);
            let stopped_at = (size(&arrived), written.load(Ordering::Relaxed));
            println!("downloaded and written in the pause: {stopped_at:?}");
            assert!(stopped_at.0 < BYTES && stopped_at.1 < BYTES);
            download.signal(Signal::SIGCONT);

            reader.read_exact(rest).unwrap();
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            assert!(got == *sent, "the echo differs");
        });
        download.finish().succeeded();
        assert_eq!(sha256(&arrived), sha256(&file));
        counters.wait_until_idle();
    });
}
