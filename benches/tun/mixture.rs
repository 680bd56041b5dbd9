//! A client of several flows at a time: some in bulk, and one ping-pong of which the latencies count.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{self, CHUNK, Work};
use super::measure::at_fraction;

/// How long the flows may take to find their rates before anything counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Runs `flows` in bulk of this work and a ping-pong for so many seconds, and prints a line: the
/// median and the 99th percentile of the latencies in seconds, and the bytes in a second of each
/// flow.
///
/// # Errors
/// When the server does not do its part.
pub(crate) fn run(work: Work, server: Ipv4Addr, flows: usize, seconds: f64) -> io::Result<()> {
    let counts: Vec<_> = (0..flows).map(|_| Arc::new(AtomicU64::new(0))).collect();
    for moved in &counts {
        let stream = client::connect_to(SocketAddrV4::new(server, work.port()))?;
        let moved = Arc::clone(moved);
        // They end with the process.
        thread::spawn(move || match work {
            Work::Send => send(stream, &moved),
            _ => receive(stream, &moved),
        });
    }
    let mut stream = client::connect_to(SocketAddrV4::new(server, Work::PingPong.port()))?;
    stream.set_nodelay(true)?;
    ping_pong(&mut stream, Instant::now() + WARM_UP)?;
    let before: Vec<u64> = counts.iter().map(|moved| moved.load(Relaxed)).collect();
    let start = Instant::now();
    let mut latencies = ping_pong(&mut stream, start + Duration::from_secs_f64(seconds))?;
    let took = start.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    print!("{} {}", at_fraction(&latencies, 0.5), at_fraction(&latencies, 0.99));
    for (moved, before) in counts.iter().zip(before) {
        print!(" {}", (moved.load(Relaxed) - before) as f64 / took);
    }
    println!();
    Ok(())
}

/// Seconds that each byte has taken there and back; at least one byte.
fn ping_pong(stream: &mut TcpStream, end: Instant) -> io::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    let mut byte = [b'x'];
    loop {
        let sent = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        let back = Instant::now();
        latencies.push((back - sent).as_secs_f64());
        if back >= end {
            return Ok(latencies);
        }
    }
}

fn send(mut stream: TcpStream, moved: &AtomicU64) {
    let chunk = vec![b'x'; CHUNK];
    while let Ok(sent) = stream.write(&chunk) {
        moved.fetch_add(sent as u64, Relaxed);
    }
}

fn receive(mut stream: TcpStream, moved: &AtomicU64) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(more @ 1..) = stream.read(&mut chunk) {
        moved.fetch_add(more as u64, Relaxed);
    }
}
