//! Thousands of random runs of two stacks on a faulty wire (see [`common::swarm`]).
//!
//! `TUNSTACK_SWARM_SEEDS=N` sets how many run; `TUNSTACK_SWARM_SEED=K` runs that one alone, and is
//! what a failing run says to repeat it with.

mod common;

use std::env;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use common::swarm::{self, Outcome};

/// Runs without the optimizer are some ten times slower.
const SEEDS: u64 = if cfg!(debug_assertions) { 300 } else { 10_000 };

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

#[test]
fn whatever_the_wire_does_streams_arrive_whole_and_everything_ends() {
    if let Some(seed) = setting("TUNSTACK_SWARM_SEED") {
        println!("seed {seed}: {:?}", swarm::run(seed));
        return;
    }
    let seeds = setting("TUNSTACK_SWARM_SEEDS").unwrap_or(SEEDS);
    let total = run_all(seeds);
    println!("{seeds} seeds: {total:?}");

    // The runs must have been worth something: a stack that never delivers a byte, or a wire that
    // loses none, would pass all the rest.
    assert!(total.bytes > seeds * 10_000, "too little was carried");
    assert!(total.retransmissions > seeds * 5, "too little was lost");
    assert!(
        total.complete * 100 > total.conversations * 50,
        "too few conversations were complete: {total:?}"
    );
    assert!(
        total.timed_out * 100 < total.conversations * 2,
        "too many conversations timed out: {total:?}"
    );
}

/// Runs the seeds below `seeds` on all processors.
fn run_all(seeds: u64) -> Outcome {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Outcome::default());
    let failed = Mutex::new(None);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match panic::catch_unwind(|| swarm::run(seed)) {
                        Ok(outcome) => lock(&total).add(&outcome),
                        Err(_) => {
                            next.store(seeds, Ordering::Relaxed);
                            lock(&failed).get_or_insert(seed);
                        }
                    }
                }
            });
        }
    });
    if let Some(seed) = *lock(&failed) {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        panic!(
            "seed {seed} failed; repeat it with\n    \
             TUNSTACK_SWARM_SEED={seed} cargo test{release} --test swarm -- --nocapture"
        );
    }
    *lock(&total)
}

/// No panic happens while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
