//! What the tests in simulated time share: a [`pair`] of stacks on a faulty wire, a [`peer`] that
//! is driven by hand, and the [`swarm`] of random runs. All time is virtual and all chance comes
//! from a seed.

// Every test file is a program of its own and uses its part of this.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod audit;
pub mod link;
pub mod notation;
pub mod packet;
pub mod pair;
pub mod pattern;
pub mod peer;
pub mod random;
pub mod raw;
pub mod states;
pub mod swarm;
pub mod transcript;

use tunstack::time::Duration;

/// Milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
