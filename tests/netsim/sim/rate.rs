//! Rates without rounding errors: what a division leaves over counts in the next one.

/// Nanoseconds in a second, for eight bits in a byte.
const BIT_NANOS: u64 = 8_000_000_000;

/// How long bytes take at a rate.
#[derive(Clone, Copy, Debug)]
pub struct Serializer {
    /// Bits per second.
    rate: u64,
    /// What has been sent and not yet been counted, in bits times a second.
    rest: u64,
}

impl Serializer {
    /// Sends `rate` bits per second.
    pub fn new(rate: u64) -> Self {
        Self { rate, rest: 0 }
    }

    /// Nanoseconds for `bytes` that follow the last ones at once.
    pub fn nanos(&mut self, bytes: u64) -> u64 {
        let work = bytes * BIT_NANOS + self.rest;
        self.rest = work % self.rate;
        work / self.rate
    }

    /// There was a pause.
    pub fn rest(&mut self) {
        self.rest = 0;
    }
}

/// A token bucket (RFC 2697 section 3 in its simplest form: one rate, one burst, no colours).
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Bits per second.
    rate: u64,
    /// Tokens, in bits times a second in nanoseconds.
    tokens: u64,
    full: u64,
    /// When they were last counted.
    counted_at: u64,
}

impl Bucket {
    /// A full bucket for `burst` bytes, filled at `rate` bits per second.
    pub fn new(rate: u64, burst: u64) -> Self {
        let full = burst * BIT_NANOS;
        Self { rate, tokens: full, full, counted_at: 0 }
    }

    /// Whether `bytes` may pass; then they have taken their tokens.
    pub fn admits(&mut self, now: u64, bytes: u64) -> bool {
        let gained = u128::from(now - self.counted_at) * u128::from(self.rate);
        let missing = self.full - self.tokens;
        self.tokens += u64::try_from(gained).unwrap_or(u64::MAX).min(missing);
        self.counted_at = now;
        let cost = bytes * BIT_NANOS;
        let admits = cost <= self.tokens;
        if admits {
            self.tokens -= cost;
        }
        admits
    }
}
