//! The packet path in memory: two stacks back to back, no device, MTU 1500, an ACK for every second
//! segment; with checksums computed, beside smoltcp doing the same in the same run, and vouched for,
//! as by a kernel at the other end of a TUN. And one byte to and fro, beside many idle connections.
//!
//! ```text
//! cargo bench --bench packet_path                                  the tables
//! cargo bench --bench packet_path -- acks                          what an ACK costs, alone
//! TUNSTACK_BENCH_SEGMENTS=20000 TUNSTACK_BENCH_PAIR=tunstack ...   one configuration, once, for a
//!                                                                  profiler; PAIRS has their names
//! ```
//!
//! What is measured is said in [`pair`]. Instructions are counted by valgrind's callgrind, if it is
//! installed, as the difference between two runs of different length.

#![allow(clippy::expect_used)]

mod measure;
mod pair;

use std::convert::Infallible;
use std::env;
use std::hint::black_box;
use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use measure::{Quartiles, interleave, is_quick, output_within, processor_time, verdict};
use pair::acks::{AckStream, LAN, Lost};
use pair::smoltcp::SmoltcpPair;
use pair::tunstack::{Checksums, TunstackPair, TunstackPingPong};
use pair::{Counts, MTU, Pair, SEGMENT};
use tunstack::wire::checksum::Sum;

/// At most this much of smoltcp's figures.
const GOAL: f64 = 0.5;
/// At most so many nanoseconds for a segment whose checksum somebody else vouches for.
const GOAL_VOUCHED: f64 = 100.0;
/// At most this much of our own figure without idle connections.
const GOAL_WITH_IDLE: f64 = 1.2;
/// At most this many times the instructions of a ping-pong without idle connections, and at least
/// this much of its rate.
const GOAL_PING_PONG: f64 = 1.1;
const GOAL_PING_PONG_RATE: f64 = 0.95;
/// At most this many times the instructions for an ACK with little in flight.
const GOAL_FLIGHT: f64 = 1.5;
/// The configurations by name. Behind it may stand how many idle connections are beside, as in
/// `tunstack+1000`, or how many segments are in flight, as in `sack+86000`.
const PAIRS: [&str; 7] =
    ["tunstack", "tunstack-vouched", "smoltcp", "ping-pong", "ack", "sack", "holes"];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    repeats: usize,
    segments: u64,
    /// Idle connections beside the busy one.
    idle: usize,
    /// The same for smoltcp, which looks at each of them for every packet.
    idle_smoltcp: usize,
    /// Segments of which the instructions are counted.
    counted: u64,
    /// Segments of a large flight: 10 Gb/s for 100 ms.
    flight: u32,
    /// ACKs of which the instructions are counted.
    acks: u64,
}

const FULL: Plan = Plan {
    repeats: 31,
    segments: 100_000,
    idle: 100_000,
    idle_smoltcp: 1_000,
    counted: 20_000,
    flight: 86_000,
    acks: 20_000,
};
const QUICK: Plan = Plan {
    repeats: 3,
    segments: 10_000,
    idle: 1_000,
    idle_smoltcp: 100,
    counted: 2_000,
    flight: 860,
    acks: 200,
};

fn main() {
    if let Some(segments) = env::var_os("TUNSTACK_BENCH_SEGMENTS") {
        return run_once(&segments.to_string_lossy());
    }
    let plan = if is_quick() { QUICK } else { FULL };
    if env::args().any(|argument| argument == "acks") {
        return acks(plan);
    }
    let Plan { repeats, segments, .. } = plan;
    println!(
        "{MTU} bytes MTU, {SEGMENT} bytes of data in a segment, checksums computed and verified \
         where it is not said that they are vouched for, timestamps on, buffers of at most 1 MiB; ns \
         of a processor per data segment for both ends together (send, receive, ACKs); medians of \
         {repeats} interleaved runs of {segments} segments, with quartiles.\n"
    );
    floor(repeats);
    beside_smoltcp(repeats, segments);
    vouched(repeats, segments);
    with_idle(plan);
    ping_pong(plan);
    instructions(plan);
    acks(plan);
}

/// One configuration once.
fn run_once(segments: &str) {
    let segments = segments.parse().expect("TUNSTACK_BENCH_SEGMENTS is a number");
    let name = env::var("TUNSTACK_BENCH_PAIR").unwrap_or_else(|_| PAIRS[0].to_owned());
    let mut pair = pair_named(&name);
    let counts = pair.counts();
    let took = timed(|| pair.run(segments));
    let per_segment = took / segments as f64;
    println!("{name}: {segments} segments, {per_segment:.1} ns each, {}", since(&*pair, counts));
}

fn pair_named(name: &str) -> Box<dyn Pair> {
    let (kind, idle) = name.split_once('+').unwrap_or((name, "0"));
    let idle = idle.parse().expect("behind the + stands how many are idle");
    match kind {
        "tunstack" => Box::new(TunstackPair::new(Checksums::Computed, idle)),
        "tunstack-vouched" => Box::new(TunstackPair::new(Checksums::Vouched, idle)),
        "smoltcp" => Box::new(SmoltcpPair::new(idle)),
        "ping-pong" => Box::new(TunstackPingPong::new(idle)),
        "ack" => Box::new(AckStream::new(idle as u32, Lost::Nothing)),
        "sack" => Box::new(AckStream::new(idle as u32, Lost::First)),
        "holes" => Box::new(AckStream::new(idle as u32, Lost::Many)),
        _ => panic!("TUNSTACK_BENCH_PAIR={name}: use one of {PAIRS:?}, with +NUMBER or without"),
    }
}

/// Nanoseconds that `work` runs on a processor.
fn timed(work: impl FnOnce()) -> f64 {
    let start = processor_time();
    work();
    (processor_time() - start).as_nanos() as f64
}

/// Nanoseconds per segment.
fn sample(pair: &mut dyn Pair, segments: u64) -> Result<f64, Infallible> {
    Ok(timed(|| pair.run(segments)) / segments as f64)
}

/// What has passed since `before`.
fn since(pair: &dyn Pair, before: Counts) -> String {
    let after = pair.counts();
    let segments = (after.segments - before.segments) as f64;
    let acks = (after.acks - before.acks) as f64 / segments;
    let bytes = (after.bytes - before.bytes) as f64 / segments;
    format!("{acks:.3} ACKs and {bytes:.1} bytes per segment")
}

/// What the bytes alone cost, whoever touches them: the least that any stack of this kind needs.
fn floor(repeats: usize) {
    const SEGMENTS: usize = 20_000;
    const PACKET: usize = MTU - 20;
    let data = pair::chunk();
    let mut buffer = vec![0u8; 128 << 10];
    let mut frame = [0u8; MTU];
    let places = buffer.len() / SEGMENT;
    let mut per_segment = |work: &mut dyn FnMut(&mut [u8], usize)| {
        let samples: Vec<f64> = (0..repeats)
            .map(|_| timed(|| (0..SEGMENTS).for_each(|n| work(&mut buffer, n % places * SEGMENT))))
            .map(|took| took / SEGMENTS as f64)
            .collect();
        Quartiles::of(&samples)
    };
    let written = per_segment(&mut |buffer, at| {
        buffer[at..][..SEGMENT].copy_from_slice(&data[at % (data.len() - SEGMENT)..][..SEGMENT]);
        black_box(buffer);
    });
    let summed = per_segment(&mut |buffer, at| {
        black_box(Sum::ZERO.add_bytes(&black_box(buffer)[at..][..SEGMENT]).finish());
    });
    let framed = per_segment(&mut |buffer, at| {
        frame[MTU - SEGMENT..].copy_from_slice(&buffer[at..][..SEGMENT]);
        black_box(&mut frame);
    });
    let packet = [1u8; PACKET];
    let verified = per_segment(&mut |_, _| {
        black_box(Sum::ZERO.add_bytes(black_box(&packet)).finish());
    });
    let total = written.median + summed.median + framed.median + verified.median;
    println!("| the bytes alone | ns per segment |\n|---|---|");
    println!("| copy of {SEGMENT} B into the send buffer (128 KiB ring) | {written:.0} |");
    println!("| checksum over {SEGMENT} B of it, when sent | {summed:.0} |");
    println!("| copy of {SEGMENT} B into a frame, as a device takes it | {framed:.0} |");
    println!("| checksum over {PACKET} B, when received | {verified:.0} |");
    println!("| together | {total:.0} |\n");
}

fn beside_smoltcp(repeats: usize, segments: u64) {
    let mut ours = TunstackPair::new(Checksums::Computed, 0);
    let mut theirs = SmoltcpPair::new(0);
    let before = (ours.counts(), theirs.counts());
    let Ok((a, b)) =
        interleave(repeats, || sample(&mut ours, segments), || sample(&mut theirs, segments));
    let (ours_ns, theirs_ns) = (Quartiles::of(&a), Quartiles::of(&b));
    println!("| stack | ns per segment | |\n|---|---|---|");
    println!("| tunstack | {ours_ns:.0} | {} |", since(&ours, before.0));
    println!("| smoltcp | {theirs_ns:.0} | {} |", since(&theirs, before.1));
    let ratio = ours_ns.median / theirs_ns.median;
    println!(
        "| ratio | {ratio:.2}, of the pairs {} | goal {GOAL}: {} |\n",
        Quartiles::of_ratios(&a, &b),
        verdict(ratio, GOAL)
    );
}

fn vouched(repeats: usize, segments: u64) {
    let mut vouched = TunstackPair::new(Checksums::Vouched, 0);
    let mut computed = TunstackPair::new(Checksums::Computed, 0);
    let before = vouched.counts();
    let Ok((a, b)) =
        interleave(repeats, || sample(&mut vouched, segments), || sample(&mut computed, segments));
    let ns = Quartiles::of(&a);
    println!(
        "| checksums vouched for | ns per segment | of those computed | | |\n|---|---|---|---|---|"
    );
    println!(
        "| tunstack | {ns:.0} | {} | {} | goal {GOAL_VOUCHED} ns: {} |\n",
        Quartiles::of_ratios(&a, &b),
        since(&vouched, before),
        verdict(ns.median, GOAL_VOUCHED)
    );
}

fn with_idle(Plan { repeats, segments, idle, idle_smoltcp, .. }: Plan) {
    println!(
        "| idle connections beside | ns per segment | without them | ratio |\n|---|---|---|---|"
    );
    for (what, checksums) in
        [("tunstack", Checksums::Computed), ("tunstack, vouched for", Checksums::Vouched)]
    {
        let mut crowded = TunstackPair::new(checksums, idle);
        let mut alone = TunstackPair::new(checksums, 0);
        let (crowded, alone, ratio) = compare(repeats, segments, &mut crowded, &mut alone);
        let met = verdict(ratio, GOAL_WITH_IDLE);
        println!(
            "| {what}, {idle} | {crowded:.0} | {alone:.0} | {ratio:.2}, goal {GOAL_WITH_IDLE}: {met} |"
        );
    }
    let mut crowded = SmoltcpPair::new(idle_smoltcp);
    let mut alone = SmoltcpPair::new(0);
    // It takes a dozen times as long.
    let (repeats, segments) = (repeats.div_ceil(3), segments / 10);
    let (crowded, alone, ratio) = compare(repeats, segments, &mut crowded, &mut alone);
    println!("| smoltcp, {idle_smoltcp} | {crowded:.0} | {alone:.0} | {ratio:.2} |\n");
}

/// A byte there and back, on one of many connections.
fn ping_pong(Plan { repeats, segments: round_trips, idle, .. }: Plan) {
    let mut crowded = TunstackPingPong::new(idle);
    let mut alone = TunstackPingPong::new(0);
    let (crowded, alone, ratio) = compare(repeats, round_trips, &mut crowded, &mut alone);
    let rate = ratio.recip();
    // As a time, which is to be small.
    let met = verdict(ratio, GOAL_PING_PONG_RATE.recip());
    println!("| idle connections beside | ns per round trip | without them | ratio of rates |");
    println!("|---|---|---|---|");
    println!(
        "| ping-pong, {idle} | {crowded:.0} | {alone:.0} | {rate:.3}, goal {GOAL_PING_PONG_RATE}: {met} |\n"
    );
}

/// Nanoseconds of the one and the other, and the ratio of the medians.
fn compare(
    repeats: usize,
    segments: u64,
    one: &mut dyn Pair,
    other: &mut dyn Pair,
) -> (Quartiles, Quartiles, f64) {
    let Ok((a, b)) = interleave(repeats, || sample(one, segments), || sample(other, segments));
    let (a, b) = (Quartiles::of(&a), Quartiles::of(&b));
    (a, b, a.median / b.median)
}

fn instructions(Plan { counted: segments, idle, .. }: Plan) {
    let count = |name: &str| {
        Some(
            (instructions_of(name, 2 * segments, None)? - instructions_of(name, segments, None)?)
                / segments as f64,
        )
    };
    let Some(ours) = count("tunstack") else {
        return println!("SKIPPED: instructions per segment, for valgrind is not installed.");
    };
    let counted = |name: &str| count(name).expect("valgrind has just worked");
    let counted_beside = |name| counted(&format!("{name}+{idle}"));
    let ratio = |of: f64, to: f64, goal: f64| {
        let ratio = of / to;
        format!("{ratio:.2}, goal {goal}: {}", verdict(ratio, goal))
    };
    let (theirs, vouched) = (counted("smoltcp"), counted("tunstack-vouched"));
    let crowded = counted_beside("tunstack");
    let vouched_crowded = counted_beside("tunstack-vouched");
    let (alone, beside) = (counted("ping-pong"), counted_beside("ping-pong"));
    println!("| stack | instructions per segment | ratio |\n|---|---|---|");
    println!("| smoltcp | {theirs:.0} | |");
    println!("| tunstack | {ours:.0} | to smoltcp {} |", ratio(ours, theirs, GOAL));
    println!(
        "| tunstack, {idle} idle connections | {crowded:.0} | to none {} |",
        ratio(crowded, ours, GOAL_WITH_IDLE)
    );
    println!("| tunstack, vouched for | {vouched:.0} | |");
    println!(
        "| tunstack, vouched for, {idle} idle connections | {vouched_crowded:.0} | to none {} |",
        ratio(vouched_crowded, vouched, GOAL_WITH_IDLE)
    );
    println!("| ping-pong, of a round trip | {alone:.0} | |");
    println!(
        "| ping-pong, {idle} idle connections | {beside:.0} | to none {} |",
        ratio(beside, alone, GOAL_PING_PONG)
    );
}

/// What an ACK costs with little in flight and with much.
fn acks(Plan { acks: counted, flight, .. }: Plan) {
    let per_ack = |name: &str, function: &str| {
        let function = format!("*pair::acks::{function}");
        Some(instructions_of(name, counted, Some(&function))? / counted as f64)
    };
    let Some(least) = per_ack(&format!("ack+{LAN}"), "take_in") else {
        return println!("SKIPPED: instructions per ACK, for valgrind is not installed.");
    };
    assert!(least > 100.0, "the function has gone that the instructions are of");
    println!(
        "\n| an ACK, {LAN} and {flight} segments in flight | instructions to take it in | | | to send a \
         segment | |\n|---|---|---|---|---|---|"
    );
    for (kind, what) in [
        ("ack", "two segments acknowledged"),
        ("sack", "two reported, the oldest lost"),
        ("holes", "two reported, every 31st lost"),
    ] {
        let [(few, few_sent), (many, many_sent)] = [LAN, flight].map(|flight| {
            let name = format!("{kind}+{flight}");
            let mut stream = pair_named(&name);
            stream.run(counted);
            let let_out = stream.counts().bytes as f64 / SEGMENT as f64 / counted as f64;
            let counted = |function| per_ack(&name, function).expect("valgrind has just worked");
            (counted("take_in"), counted("send") / let_out)
        });
        let ratio = many / few;
        println!(
            "| {what} | {few:.0} | {many:.0} | {ratio:.2}, goal {GOAL_FLIGHT}: {} | {few_sent:.0} | \
             {many_sent:.0} |",
            verdict(ratio, GOAL_FLIGHT)
        );
    }
}

/// The instructions of a whole run, or of one function and what it calls; `None` without valgrind.
fn instructions_of(name: &str, segments: u64, function: Option<&str>) -> Option<f64> {
    let this = env::current_exe().expect("this program has a path");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(function.map(|_| "--collect-atstart=no"))
        .args(function.map(|function| format!("--toggle-collect={function}")))
        .arg(this)
        // A string instruction (`rep movsb`) would count once for each byte that it copies.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824")
        .env("TUNSTACK_BENCH_SEGMENTS", segments.to_string())
        .env("TUNSTACK_BENCH_PAIR", name);
    let output = match output_within(&mut command, Duration::from_secs(300)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("valgrind runs"),
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind: {messages}");
    // ==123== Collected : 456
    let count = messages.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = count.unwrap_or_else(|| panic!("valgrind said no count: {messages}"));
    Some(count.trim().parse().expect("a number"))
}
