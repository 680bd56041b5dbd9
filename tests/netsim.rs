//! What the congestion controllers do on links and in queues of all kinds, in simulated time.
//!
//! | command | what it does |
//! |---|---|
//! | `cargo test --test netsim` | compares `tests/netsim/table.txt` with what happens now |
//! | `TUNSTACK_NETSIM_WRITE=1 cargo test --test netsim` | writes that table anew |
//! | `TUNSTACK_NETSIM=full cargo test --release --test netsim -- --nocapture` | prints all scenarios at full length |
//! | `TUNSTACK_NETSIM=goals cargo test --release --test netsim -- --nocapture` | prints what is to be reached and what is, and fails if that is less than it was |
//! | `TUNSTACK_NETSIM=speed cargo test --release --test netsim -- --nocapture` | prints how fast the simulator is |
//! | `TUNSTACK_NETSIM=pictures cargo test --release --test netsim` | makes the pictures of the README anew |
//! | `TUNSTACK_NETSIM=SCENARIO TUNSTACK_NETSIM_OUT=DIRECTORY cargo test --release --test netsim` | writes a trace and a capture of its first flow, for each controller |
//!
//! The simulator is in [`sim`], its own laws in `laws`.

#![allow(clippy::unwrap_used)]

mod common;

#[path = "netsim/goals.rs"]
mod goals;
#[path = "netsim/laws.rs"]
mod laws;
#[path = "netsim/models.rs"]
mod models;
#[cfg(feature = "cli")]
#[path = "netsim/pictures.rs"]
mod pictures;
#[path = "netsim/runs.rs"]
mod runs;
#[path = "netsim/scenarios.rs"]
mod scenarios;
#[path = "netsim/sim/mod.rs"]
#[allow(unreachable_pub, missing_docs)]
mod sim;
#[path = "netsim/table.rs"]
mod table;

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::ClockId;
use scenarios::{CONTROLLERS, Length, Named, Scenario};
use sim::Simulation;
use sim::trace::{Capture, Trace};

/// The table, from the root of the crate.
const TABLE: &str = "tests/netsim/table.txt";

#[test]
fn the_table_shows_what_the_controllers_do() {
    let is = table::text(&table::all_rows(Length::Quick));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("TUNSTACK_NETSIM_WRITE").is_some() {
        fs::write(path, is).unwrap();
        return;
    }
    let was = fs::read_to_string(path).unwrap_or_default();
    assert!(
        was == is,
        "{TABLE} says something else:\n{}\nIf that is what was meant to change: \
         TUNSTACK_NETSIM_WRITE=1 cargo test --test netsim",
        table::difference(&was, &is)
    );
}

/// What `TUNSTACK_NETSIM` asks for is printed.
#[test]
fn what_is_asked_for_is_printed() {
    let Ok(wish) = std::env::var("TUNSTACK_NETSIM") else { return };
    match wish.as_str() {
        "full" => {
            let rows = table::all_rows(Length::Full);
            println!("{}\n{}", table::text(&rows), table::details(&rows));
        }
        "goals" => {
            let (text, complaints) = goals::check(Length::Full);
            println!("{text}");
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
        "speed" => speed(),
        #[cfg(feature = "cli")]
        "pictures" => pictures::draw(),
        name => record_all(name),
    }
}

/// Runs the scenario of this name with each controller and writes what there is to draw of its first
/// flow.
fn record_all(name: &str) {
    let all = scenarios::scenarios(Length::Quick);
    let Some(scenario) = all.iter().find(|scenario| scenario.name == name) else {
        let names: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
        panic!(
            "TUNSTACK_NETSIM={name}: full, goals, speed, pictures, or one of {}",
            names.join(" ")
        );
    };
    let directory = std::env::var_os("TUNSTACK_NETSIM_OUT").unwrap_or_else(|| ".".into());
    for &named in CONTROLLERS {
        let files = record(scenario, named, Path::new(&directory));
        let [trace, capture] = files.each_ref().map(|file| file.display());
        println!("{trace} and {capture}: tunstack plot {capture} --samples {trace}");
    }
}

/// Runs a scenario and writes a trace and a capture of its first flow.
fn record(scenario: &Scenario, (name, which): Named, directory: &Path) -> [PathBuf; 2] {
    let mut plan = scenario.plan(1, [which; 2]);
    plan.common.checksums = true;
    let mut simulation = Simulation::new(plan);
    let files =
        ["trace", "pcap"].map(|kind| directory.join(format!("{}-{name}.{kind}", scenario.name)));
    let capture = BufWriter::new(fs::File::create(&files[1]).unwrap());
    simulation.flows[0].capture = Some(Capture::new(capture).unwrap());
    simulation.flows[0].account.trace = Some(Trace::default());
    simulation.run_to(scenario.times.1);
    let mut file = BufWriter::new(fs::File::create(&files[0]).unwrap());
    let trace = simulation.flows[0].account.trace.as_ref();
    trace.expect("it was put there").write(&mut file).unwrap();
    file.flush().unwrap();
    files
}

/// How many segments with text, each with what it takes to acknowledge it, are simulated in a second
/// of one processor's time.
fn speed() {
    let mut all = scenarios::scenarios(Length::Quick);
    if !cfg!(debug_assertions) {
        // A window of 125 MB that nothing but the receiver bounds.
        all.push(scenarios::long_fat().with(|plan| plan.common.buffer = 160_000_000));
    }
    for scenario in all {
        let began = processor_time();
        let simulation = table::run(&scenario, 1, [CONTROLLERS[0]; 2]);
        let took = processor_time() - began;
        let segments: u64 = simulation.flows.iter().map(|flow| flow.account.segments).sum();
        let rate = segments as f64 / took.as_secs_f64();
        println!(
            "{:<18} {segments:>8} segments, {took:>9.1?}, {rate:>9.0} a second",
            scenario.name
        );
    }
}

/// What this thread has taken so far: on a machine that others use, too, it tells more than a clock.
fn processor_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap().into()
}
