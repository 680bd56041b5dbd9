//! How long single steps take, and how many connections there were when they took longest.

use std::fmt;
use std::time::Duration;

use crate::measure::{at_fraction, processor_time};

/// How many of the longest are named.
const NAMED: usize = 5;

/// What each of many steps has taken.
pub(crate) struct Pauses {
    /// Nanoseconds on a processor, and how many connections there were.
    steps: Vec<(u32, u32)>,
}

impl Pauses {
    /// With room for so many steps, in memory that is resident already.
    pub(crate) fn with_room(steps: usize) -> Self {
        // Not zeroes, of which the system would give pages only as they are written.
        let mut room = vec![(1, 1); steps];
        room.clear();
        Self { steps: room }
    }

    /// Does a step while there are so many connections.
    pub(crate) fn timed<T>(&mut self, connections: usize, step: impl FnOnce() -> T) -> T {
        let start = processor_time();
        let result = step();
        self.note(connections, processor_time() - start);
        result
    }

    pub(crate) fn note(&mut self, connections: usize, took: Duration) {
        assert!(self.steps.len() < self.steps.capacity(), "more steps than there is room for");
        self.steps.push((took.as_nanos() as u32, connections as u32));
    }
}

/// `median | 99.9th percentile | the longest`, in microseconds.
impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.steps.clone();
        sorted.sort_unstable();
        let micros = |nanos: f64| nanos / 1e3;
        let nanos: Vec<f64> = sorted.iter().map(|&(nanos, _)| f64::from(nanos)).collect();
        let at = |fraction| micros(at_fraction(&nanos, fraction));
        write!(f, "{:.1} | {:.1} |", at(0.5), at(0.999))?;
        for (place, &(nanos, connections)) in sorted.iter().rev().take(NAMED).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma} {:.0} at {connections}", micros(nanos.into()))?;
        }
        Ok(())
    }
}
