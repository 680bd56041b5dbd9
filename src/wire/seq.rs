//! Sequence numbers and ranges of them (RFC 9293 section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number: a point on a circle of 2^32.
///
/// There is deliberately no `Ord`: on a circle "less than" is a question about two points that
/// lie within 2^31 of each other, and the named methods say which question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// How far `other` lies ahead of `self`; negative when it lies behind.
    ///
    /// Meaningful while the two are less than 2^31 apart (RFC 9293 section 3.4).
    #[inline]
    pub const fn distance_to(self, other: Self) -> i32 {
        other.0.wrapping_sub(self.0) as i32
    }

    /// `self < other` in the arithmetic of section 3.4.
    #[inline]
    pub const fn is_before(self, other: Self) -> bool {
        self.distance_to(other) > 0
    }

    /// `self =< other`.
    #[inline]
    pub const fn is_at_or_before(self, other: Self) -> bool {
        self.distance_to(other) >= 0
    }

    /// `self > other`.
    #[inline]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// `self >= other`.
    #[inline]
    pub const fn is_at_or_after(self, other: Self) -> bool {
        other.is_at_or_before(self)
    }

    /// Whichever of the two lies further along.
    #[inline]
    pub const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// Whichever of the two lies less far along.
    #[inline]
    pub const fn earlier(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }

    /// The number of sequence numbers from `self` up to `end`, zero when `end` is not ahead.
    #[inline]
    pub const fn len_to(self, end: Self) -> u32 {
        let distance = self.distance_to(end);
        if distance > 0 { distance as u32 } else { 0 }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The sequence numbers from `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqRange {
    /// The first number of the range.
    pub start: SeqNum,
    /// The number after its last.
    pub end: SeqNum,
}

impl SeqRange {
    /// The `len` numbers from `start` on.
    #[inline]
    pub fn new(start: SeqNum, len: u32) -> Self {
        Self { start, end: start + len }
    }

    /// How many numbers the range holds.
    #[inline]
    pub const fn len(self) -> u32 {
        self.start.len_to(self.end)
    }

    /// Whether the range holds no number.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `seq` lies inside.
    #[inline]
    pub const fn contains(self, seq: SeqNum) -> bool {
        self.start.is_at_or_before(seq) && seq.is_before(self.end)
    }
}

impl fmt::Debug for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Points around the places where arithmetic on a circle goes wrong.
    fn points() -> impl Strategy<Value = u32> {
        prop_oneof![
            any::<u32>(),
            (0u32..8).prop_map(|n| n.wrapping_sub(4)),
            (0u32..8).prop_map(|n| (1u32 << 31).wrapping_add(n).wrapping_sub(4)),
        ]
    }

    proptest! {
        #[test]
        fn adding_moves_ahead(start in points(), n in 1u32..=i32::MAX as u32) {
            let a = SeqNum(start);
            let b = a + n;
            prop_assert_eq!(a.distance_to(b), n as i32);
            prop_assert!(a.is_before(b) && !b.is_before(a));
            prop_assert!(b.is_after(a) && b.is_at_or_after(a) && a.is_at_or_before(b));
            prop_assert_eq!(a.later(b), b);
            prop_assert_eq!(a.earlier(b), a);
            prop_assert_eq!(b - n, a);
            prop_assert_eq!(a.len_to(b), n);
            prop_assert_eq!(b.len_to(a), 0);
        }

        #[test]
        fn order_does_not_depend_on_where_zero_lies(a in points(), n in 0u32..1 << 30, shift: u32) {
            let (x, y) = (SeqNum(a), SeqNum(a) + n);
            let (xs, ys) = (x + shift, y + shift);
            prop_assert_eq!(x.is_before(y), xs.is_before(ys));
            prop_assert_eq!(x.distance_to(y), xs.distance_to(ys));
        }

        #[test]
        fn a_range_contains_exactly_its_numbers(start in points(), len in 0u32..1 << 30, at: u32) {
            let range = SeqRange::new(SeqNum(start), len);
            prop_assert_eq!(range.len(), len);
            prop_assert_eq!(range.is_empty(), len == 0);
            let offset = at % (1 << 30);
            prop_assert_eq!(range.contains(SeqNum(start) + offset), offset < len);
            prop_assert!(!range.contains(SeqNum(start) - 1));
        }
    }
}
