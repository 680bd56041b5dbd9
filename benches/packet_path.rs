//! The packet path in memory: two stacks back to back, no device, MTU 1500, checksums on, an ACK for
//! every second segment; beside smoltcp doing the same in the same run.
//!
//! ```text
//! cargo bench --bench packet_path                                  the table
//! TUNSTACK_BENCH_SEGMENTS=20000 TUNSTACK_BENCH_PAIR=tunstack ...   one configuration, once, for a
//!                                                                  profiler; also `smoltcp`,
//!                                                                  `tunstack+10000`, `smoltcp+1000`
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
use pair::smoltcp::SmoltcpPair;
use pair::tunstack::TunstackPair;
use pair::{Counts, MTU, Pair, SEGMENT};
use tunstack::wire::checksum::Sum;

/// At most this much of smoltcp's figures.
const GOAL: f64 = 0.7;
/// At most this much of our own figure without idle connections.
const GOAL_WITH_IDLE: f64 = 1.3;
/// Idle connections beside the busy one.
const IDLE: usize = 10_000;
/// The same for smoltcp, which looks at each of them for every packet.
const IDLE_SMOLTCP: usize = 1_000;

/// The configurations by name.
const PAIRS: [&str; 4] = ["tunstack", "smoltcp", "tunstack+10000", "smoltcp+1000"];

fn main() {
    if let Some(segments) = env::var_os("TUNSTACK_BENCH_SEGMENTS") {
        return run_once(&segments.to_string_lossy());
    }
    let quick = is_quick();
    let (repeats, segments) = if quick { (3, 10_000) } else { (31, 100_000) };
    println!(
        "{MTU} bytes MTU, {SEGMENT} bytes of data in a segment, checksums computed and verified, \
         timestamps on, buffers of at most 1 MiB; ns of a processor per data segment for both ends \
         together (send, receive, ACKs); medians of {repeats} interleaved runs of {segments} segments, with \
         quartiles.\n"
    );
    floor(repeats);
    beside_smoltcp(repeats, segments);
    with_idle(repeats, segments);
    instructions(if quick { 2_000 } else { 20_000 });
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
    match name {
        "tunstack" => Box::new(TunstackPair::new(0)),
        "smoltcp" => Box::new(SmoltcpPair::new(0)),
        "tunstack+10000" => Box::new(TunstackPair::new(IDLE)),
        "smoltcp+1000" => Box::new(SmoltcpPair::new(IDLE_SMOLTCP)),
        other => panic!("TUNSTACK_BENCH_PAIR={other}: use one of {PAIRS:?}"),
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
    let (mut ours, mut theirs) = (TunstackPair::new(0), SmoltcpPair::new(0));
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

fn with_idle(repeats: usize, segments: u64) {
    let (mut crowded, mut alone) = (TunstackPair::new(IDLE), TunstackPair::new(0));
    let Ok((a, b)) =
        interleave(repeats, || sample(&mut crowded, segments), || sample(&mut alone, segments));
    let ratio = Quartiles::of(&a).median / Quartiles::of(&b).median;
    println!(
        "| idle connections beside | ns per segment | without them | ratio |\n|---|---|---|---|"
    );
    println!(
        "| tunstack, {IDLE} | {:.0} | {:.0} | {ratio:.2}, goal {GOAL_WITH_IDLE}: {} |",
        Quartiles::of(&a),
        Quartiles::of(&b),
        verdict(ratio, GOAL_WITH_IDLE)
    );
    let (mut crowded, mut alone) = (SmoltcpPair::new(IDLE_SMOLTCP), SmoltcpPair::new(0));
    // It takes a dozen times as long.
    let segments = segments / 10;
    let Ok((a, b)) = interleave(
        repeats.div_ceil(3),
        || sample(&mut crowded, segments),
        || sample(&mut alone, segments),
    );
    let ratio = Quartiles::of(&a).median / Quartiles::of(&b).median;
    println!(
        "| smoltcp, {IDLE_SMOLTCP} | {:.0} | {:.0} | {ratio:.2} |\n",
        Quartiles::of(&a),
        Quartiles::of(&b)
    );
}

fn instructions(segments: u64) {
    let count = |name| {
        Some(
            (instructions_of(name, 2 * segments)? - instructions_of(name, segments)?)
                / segments as f64,
        )
    };
    let Some(ours) = count("tunstack") else {
        return println!("SKIPPED: instructions per segment, for valgrind is not installed.");
    };
    let theirs = count("smoltcp").expect("valgrind has just worked");
    let crowded = count("tunstack+10000").expect("valgrind has just worked");
    let ratio = ours / theirs;
    println!("| stack | instructions per segment | |\n|---|---|---|");
    println!("| tunstack | {ours:.0} | |");
    println!("| tunstack, {IDLE} idle connections | {crowded:.0} | |");
    println!("| smoltcp | {theirs:.0} | |");
    println!("| ratio | {ratio:.2} | goal {GOAL}: {} |", verdict(ratio, GOAL));
}

/// The instructions of a whole run; `None` without valgrind.
fn instructions_of(name: &str, segments: u64) -> Option<f64> {
    let this = env::current_exe().expect("this program has a path");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
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
