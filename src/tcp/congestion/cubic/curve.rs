//! The cubic function and its inverse (RFC 9438 section 4.2), in integers.
//!
//! Integers, because the cube root of a floating-point library need not be the same on two machines,
//! and a run must repeat byte for byte. Time is counted in 2^-20 s, so that the cube of a time is
//! brought to seconds by a shift; windows are in bytes.

use core::time::Duration;

use crate::time::nanos;

/// The ticks of a second, as a power of two.
const TICKS: u32 = 20;

/// The longest time that counts: 2^12 s, after which the curve is beyond any window.
const LONGEST: u64 = (1 << 32) - 1;

/// C = 2/5 segments per second cubed (RFC 9438 section 5).
const C: (u128, u128) = (2, 5);

/// A time, or K, in ticks; at most [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks(u32);

impl Ticks {
    pub(super) const ZERO: Self = Self(0);

    pub(super) fn of(time: Duration) -> Self {
        // 2^12 s are 2^42 ns and less: with the shift it fits into 64 bits.
        let nanos = nanos(time).min((1 << 12) * 1_000_000_000 - 1);
        Self(((nanos << TICKS) / 1_000_000_000).min(LONGEST) as u32)
    }

    #[cfg(test)]
    pub(super) fn as_secs(self) -> f64 {
        f64::from(self.0) / f64::from(1 << TICKS)
    }
}

/// K: how long the curve takes to rise by `rise` bytes to where it is flat, with segments of `mss`
/// bytes. "K = cubic_root((W_max - cwnd_epoch) / C)".
pub(super) fn time_to_rise(rise: u32, mss: u32) -> Ticks {
    let (over, under) = C;
    let cube = ((u128::from(rise) * under) << (3 * TICKS)) / (over * u128::from(mss.max(1)));
    Ticks(cube_root(cube).min(LONGEST) as u32)
}

/// W_cubic(t): a curve that is flat at `origin` bytes after `k`, at `t`.
/// "W_cubic(t) = C * (t - K)^3 + W_max".
pub(super) fn window_at(t: Ticks, k: Ticks, origin: u32, mss: u32) -> u32 {
    let (over, under) = C;
    let distance = u128::from(t.0.abs_diff(k.0));
    // 96 bits, 32 and 2.
    let cube = distance * distance * distance * u128::from(mss) * over;
    // 70 bits at most are left: what is beyond 64 is beyond any window.
    let bytes = u64::try_from(cube >> (3 * TICKS)).unwrap_or(u64::MAX) / under as u64;
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    if t.0 < k.0 { origin.saturating_sub(bytes) } else { origin.saturating_add(bytes) }
}

/// The largest number whose cube is no more than `n`, by Newton's method.
fn cube_root(n: u128) -> u64 {
    if n == 0 {
        return 0;
    }
    // A power of two above the root: from there it falls until it is reached.
    let mut root = 1u128 << (u128::BITS - n.leading_zeros()).div_ceil(3);
    loop {
        let next = (2 * root + n / (root * root)) / 3;
        if next >= root {
            // Below 2^43.
            return root as u64;
        }
        root = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_a_second() {
        assert_eq!(Ticks::of(Duration::from_secs(1)).as_secs(), 1.0);
        assert_eq!(Ticks::of(Duration::from_millis(250)).as_secs(), 0.25);
        assert_eq!(Ticks::of(Duration::MAX), Ticks::of(Duration::from_secs(4_096)));
    }

    proptest! {
        #[test]
        fn the_cube_root_is_exact(n: u128) {
            for n in [n, n >> 40, n >> 80, n >> 120] {
                let root = u128::from(cube_root(n));
                prop_assert!(root.pow(3) <= n);
                prop_assert!((root + 1).checked_pow(3).is_none_or(|above| above > n));
            }
        }

        #[test]
        fn the_curve_is_that_of_the_rfc(
            t in 0.0..3_000.0f64,
            rise in 0u32..1 << 31,
            origin in 1u32 << 31..,
            mss in 88u32..65_496,
        ) {
            let k = time_to_rise(rise, mss);
            let exact = (f64::from(rise) / f64::from(mss) / 0.4).cbrt();
            prop_assert!((k.as_secs() - exact).abs() < 2e-6, "K {} for {exact}", k.as_secs());
            let t = Ticks::of(Duration::from_secs_f64(t));
            let window = window_at(t, k, origin, mss);
            let exact = 0.4 * f64::from(mss) * (t.as_secs() - k.as_secs()).powi(3) + f64::from(origin);
            let exact = exact.clamp(0.0, f64::from(u32::MAX));
            prop_assert!((f64::from(window) - exact).abs() <= 1.0 + exact * 1e-9, "{window}, {exact}");
        }
    }
}
