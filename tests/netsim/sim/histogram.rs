//! Waiting times, counted in classes.

/// Nanoseconds in a class: ten microseconds.
const CLASS: u64 = 10_000;

/// How often each time was seen, to ten microseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    classes: Vec<u32>,
    total: u64,
}

impl Histogram {
    /// One more, in nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        let class = (nanos / CLASS) as usize;
        if self.classes.len() <= class {
            self.classes.resize(class + 1, 0);
        }
        self.classes[class] += 1;
        self.total += 1;
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.classes.fill(0);
        self.total = 0;
    }

    /// The least time, in microseconds and rounded down to ten of them, that is not exceeded by
    /// `per_cent` of what was seen.
    pub fn percentile(&self, per_cent: u64) -> u64 {
        let wanted = (self.total * per_cent).div_ceil(100);
        let mut seen = 0;
        for (class, &count) in self.classes.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return class as u64 * CLASS / 1_000;
            }
        }
        0
    }
}
