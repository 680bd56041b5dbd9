//! The same seed gives the same run, packet by packet and nanosecond by nanosecond: in one process
//! and in another, whose address layout and hash keys differ.

mod common;

use std::env;
use std::process::Command;

use common::swarm::{self, Outcome};

/// Set for the second process: which seed it is to run.
const CHILD: &str = "TUNSTACK_DETERMINISM_SEED";

/// What a run is known by.
fn line(outcome: &Outcome) -> String {
    format!("run: {outcome:?}")
}

/// Runs `seed` in a process of its own.
fn in_another_process(seed: u64) -> String {
    let this = env::current_exe().expect("this program has a path");
    let output = Command::new(this)
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, seed.to_string())
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text.lines().find_map(|line| {
        let at = line.find("run: ")?;
        Some(line[at..].to_owned())
    });
    found.unwrap_or_else(|| panic!("the other process said nothing: {text}"))
}

/// What the second process does; does nothing by itself.
#[test]
fn child() {
    if let Ok(seed) = env::var(CHILD) {
        let seed = seed.parse().expect("the parent gives a number");
        println!("{}", line(&swarm::run(seed)));
    }
}

#[test]
fn a_seed_gives_the_same_packets_in_one_process_and_in_another() {
    for seed in [1, 2, 77, 1_234] {
        let first = line(&swarm::run(seed));
        assert_eq!(first, line(&swarm::run(seed)), "in the same process");
        assert_eq!(first, in_another_process(seed), "in another process");
    }
}

#[test]
fn different_seeds_give_different_packets() {
    assert_ne!(swarm::run(1).digest, swarm::run(2).digest);
}
