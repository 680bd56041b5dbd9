//! What a stack holds for each idle connection, TIME-WAIT record and half-open entry, after a
//! million of them have come in, and how long it was busy with each packet meanwhile.
//!
//! ```text
//! cargo bench --bench memory
//! ```
//!
//! The peers are one generator that keeps no state, and the application accepts what comes. What is
//! to be small is what a process takes: its resident set when all are there, less that before the
//! first. Each row has a process of its own, so that none finds what another has left behind.
//!
//! Beside it every byte is counted that the stack has asked the allocator for and not given back,
//! whatever structure it is in, and what `malloc` adds: a header of 8 bytes, rounded up to 16. That
//! is exact, and tells of 100,000 what the resident set would not. Beside it stands what
//! [`Stack::memory`] says, by which a running program can tell.
//!
//! [`Stack::memory`]: tunstack::Stack::memory

#![allow(clippy::expect_used)]

#[path = "memory/allocator.rs"]
mod allocator;
#[path = "memory/generator.rs"]
mod generator;
mod measure;
#[path = "memory/pauses.rs"]
mod pauses;
#[path = "memory/world.rs"]
mod world;

use std::env;
use std::process::Command;
use std::time::Duration;

use allocator::held;
use measure::{is_quick, output_within, resident_in, verdict};
use world::World;

/// The flag by which this program is started for one row.
const ROW: &str = "--row";
/// How long a row may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What comes in, in so many numbers.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    /// Bytes that each may take.
    goal: f64,
    fill: fn(&mut World, usize),
}

const KINDS: [Kind; 4] = [
    Kind { name: "idle connection, just established", goal: 512.0, fill: World::idle },
    Kind {
        name: "idle connection, after an echo of 64 B",
        goal: 512.0,
        fill: World::idle_after_an_echo,
    },
    Kind { name: "TIME-WAIT record", goal: 96.0, fill: World::time_wait },
    Kind { name: "half-open entry", goal: 128.0, fill: World::half_open },
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, kind, count] = arguments.as_slice()
        && flag == ROW
    {
        let number = |text: &str| text.parse::<usize>().expect("a number");
        return row(KINDS[number(kind)], number(count));
    }
    let counts: &[usize] = if is_quick() { &[5_000] } else { &[100_000, 1_000_000] };
    let mut pauses = Vec::new();
    for &count in counts {
        println!("Bytes for each of {count}.\n");
        println!(
            "| | resident set | as malloc takes them | as asked for | `Stack::memory()` | goal | |"
        );
        println!("|---|---|---|---|---|---|---|");
        pauses.clear();
        for kind in 0..KINDS.len() {
            let said = said_of_row(kind, count);
            let mut lines = said.lines();
            println!("{}", lines.next().unwrap_or_default());
            pauses.extend(lines.map(str::to_owned));
        }
        println!();
    }
    println!(
        "What took longest while those came in: microseconds on a processor, of which about {:.2} \
         are the clock's, and how many there were by then. A step is all from a SYN to `accept` \
         (of a half-open entry, to the SYN-ACK), the generator's part included.\n",
        clock_costs()
    );
    println!("| | median | 99.9th percentile | longest |\n|---|---|---|---|");
    for line in pauses {
        println!("{line}");
    }
}

/// Has another process measure a row; what it says.
fn said_of_row(kind: usize, count: usize) -> String {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args([ROW, &kind.to_string(), &count.to_string()]);
    let output = output_within(&mut command, LIMIT).expect("the row is measured");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it says text")
}

/// Measures a row, and says it; what took longest follows in lines of its own.
fn row(Kind { name, goal, fill }: Kind, count: usize) {
    let mut world = World::new(count);
    let resident = || resident_in("/proc/self/status").expect("every process has one");
    let before = (resident(), held(), world.memory());
    fill(&mut world, count);
    let now = resident();
    let each = |now: usize, before: usize| now.saturating_sub(before) as f64 / count as f64;
    let resident = each(now, before.0);
    let (requested, taken) = held();
    let requested = each(requested, before.1.0);
    let taken = each(taken, before.1.1);
    let said = each(world.memory(), before.2);
    println!(
        "| {name} | {resident:.0} | {taken:.0} | {requested:.0} | {said:.0} | {goal:.0} | {} |",
        verdict(resident, goal)
    );
    println!("| {name}: `on_packet` | {} |", world.on_packet);
    println!("| {name}: a step | {} |", world.opening);
}

/// Microseconds that it takes to look at the clock.
fn clock_costs() -> f64 {
    const LOOKS: u32 = 10_000;
    let start = measure::processor_time();
    for _ in 0..LOOKS {
        std::hint::black_box(measure::processor_time());
    }
    (measure::processor_time() - start).as_secs_f64() * 1e6 / f64::from(LOOKS)
}
