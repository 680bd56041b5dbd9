//! The same raw segments to Linux's TCP and to this stack: what comes back, in which order and
//! when, is the same, or the difference stands in a table with its reason.
//!
//! `TUNSTACK_DIFFERENTIAL=50000 cargo test --release --test differential -- --nocapture` runs as
//! many sequences as it says, and reports. `TUNSTACK_DIFFERENTIAL_SEED=n` runs the one sequence of
//! that seed and shows both transcripts.

#![allow(clippy::unwrap_used)]

mod common;
mod real;

#[path = "differential/acknowledging.rs"]
mod acknowledging;
#[path = "differential/campaign.rs"]
mod campaign;
#[path = "differential/case.rs"]
mod case;
#[path = "differential/deliberate.rs"]
mod deliberate;
#[path = "differential/duplicates.rs"]
mod duplicates;
#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/kernel.rs"]
mod kernel;
#[path = "differential/ours.rs"]
mod ours;
#[path = "differential/peer.rs"]
mod peer;
#[path = "differential/segment.rs"]
mod segment;
#[path = "differential/settings.rs"]
mod settings;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/transcript.rs"]
mod transcript;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use campaign::{Failure, Report};
use case::Case;
use deliberate::DELIBERATE;
use kernel::Kernel;

/// Sequences of a normal run.
const SEQUENCES: u64 = 2_000;

/// The states of RFC 9293 section 3.3.2.
const STATES: usize = 11;

/// How many of the sequences that differ are made smaller and shown.
const SHOWN: usize = 8;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn the_kernel_and_this_stack_give_the_same_answers() {
    real::test(|| {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let started = Instant::now();
        let mut kernel = Kernel::new();
        let count = number("TUNSTACK_DIFFERENTIAL").unwrap_or(SEQUENCES);
        let first = number("TUNSTACK_DIFFERENTIAL_FIRST").unwrap_or(0);
        let seeds = match number("TUNSTACK_DIFFERENTIAL_SEED") {
            Some(seed) => seed..seed + 1,
            None => first..first + count,
        };
        let report = campaign::run(&mut kernel, seeds.map(grammar::case).collect());
        show(&report, started);
        if report.only.is_some() {
            let where_it_differs =
                report.failures.first().and_then(|failure| failure.difference.story.lines().next());
            assert_eq!(where_it_differs, None, "the answers differ");
        } else if !report.failures.is_empty() {
            let cases = one_of_each_kind(report.failures);
            for failure in campaign::shrink(&mut kernel, cases) {
                println!("\n=== {}\n{}", failure.case, failure.difference.story);
                println!(
                    "to repeat: TUNSTACK_DIFFERENTIAL_SEED={} cargo test --test differential \
                     -- --nocapture",
                    failure.case.seed
                );
            }
            panic!("there are differences that no entry of the table explains");
        }
        if count >= SEQUENCES && report.only.is_none() {
            assert_eq!(report.states.len(), STATES, "the grammar knows the way to every state");
        }
    });
}

/// A few sequences that differ in different ways.
fn one_of_each_kind(failures: Vec<Failure>) -> Vec<Case> {
    let mut kinds: BTreeMap<String, Vec<Failure>> = BTreeMap::new();
    for failure in failures {
        kinds.entry(failure.difference.kind.clone()).or_default().push(failure);
    }
    for (kind, failures) in &kinds {
        let seeds: Vec<u64> = failures.iter().take(5).map(|failure| failure.case.seed).collect();
        println!("{:6}  {kind}  (seeds {seeds:?})", failures.len());
    }
    kinds.into_values().flat_map(|mut each| each.pop()).take(SHOWN).map(|one| one.case).collect()
}

fn show(report: &Report, started: Instant) {
    println!(
        "{} sequences, {} segments compared, in {:.0} s; {} tried again, {} times for being late; {} differ",
        report.sequences,
        report.segments,
        started.elapsed().as_secs_f64(),
        report.tried_again,
        report.late,
        report.failures.len(),
    );
    println!("states reached: {}", report.states.iter().copied().collect::<Vec<_>>().join(" "));
    if let Some(both) = &report.only {
        println!("{both}");
    }
    for entry in DELIBERATE {
        let seeds = report.explained.get(entry.name);
        let few: Vec<u64> = seeds.into_iter().flatten().take(5).copied().collect();
        println!("{:6}  {} (seeds {few:?})", seeds.map_or(0, BTreeSet::len), entry.name);
        println!("        {}", entry.reason);
    }
}
