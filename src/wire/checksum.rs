//! The Internet checksum (RFC 1071).
//!
//! Ones' complement addition may be done in words of any width and in either byte order
//! (RFC 1071 section 2), so the bytes are added as native words into wide lanes that the compiler
//! turns into vector instructions, and carries and byte order are settled once, at the end.

use std::net::IpAddr;

use multiversion::multiversion;

/// Words from which on the main loop pays.
const MANY_WORDS: usize = 8;

/// A running ones' complement sum over bytes that come in pieces.
///
/// The pieces count as if they stood one behind the other, also when one has an odd length.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The sum in native byte order, its carries not yet folded in; far below 2^64, for no packet
    /// has so many words.
    value: u64,
    /// Whether an odd number of bytes has been added.
    odd: bool,
}

impl Sum {
    /// The sum over no bytes.
    pub const ZERO: Self = Self { value: 0, odd: false };

    /// The sum over the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1); `length` is
    /// that of the transport header and its payload.
    ///
    /// Both addresses are of the same family.
    #[inline]
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u32) -> Self {
        // The protocol stands in a big-endian word of its own, in either family's layout.
        let rest = u64::from(length.to_be()) + u64::from(u32::from(protocol).to_be());
        let addresses = address_words(source) + address_words(destination);
        Self { value: addresses + rest, odd: false }
    }

    /// The sum over a few bytes, whose number is known and a multiple of four: it takes no loop.
    #[inline]
    pub fn of_few<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(N.is_multiple_of(4) && N <= 64) };
        let (words, _) = bytes.as_chunks::<4>();
        let value = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
        Self { value, odd: false }
    }

    /// Adds the bytes of the next piece.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let mut piece = sum_of(bytes);
        if self.odd {
            // Behind an odd number of bytes high and low bytes change places, which in ones'
            // complement is a rotation (RFC 1071 section 2 (B)).
            piece = u64::from(fold(piece).swap_bytes());
        }
        Self { value: self.value + piece, odd: self.odd ^ (bytes.len() % 2 == 1) }
    }

    /// Adds four bytes, given as the number that they are in network byte order, behind an even
    /// number of bytes.
    #[inline]
    #[must_use]
    pub fn add_word(self, word: u32) -> Self {
        debug_assert!(!self.odd);
        Self { value: self.value + u64::from(word.to_be()), ..self }
    }

    /// The sum itself, as the field of a packet holds it that a device is to finish.
    #[inline]
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.value))
    }

    /// The checksum: the complement of the sum. Zero over bytes that hold their checksum already
    /// says that it is right.
    #[inline]
    pub fn finish(self) -> u16 {
        !self.partial()
    }
}

/// An address as native words, added up.
#[inline]
fn address_words(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(v6) => {
            let whole = u128::from_ne_bytes(v6.octets());
            halves(whole as u64) + halves((whole >> 64) as u64)
        }
    }
}

/// The two 32-bit words of a 64-bit one, added.
#[inline]
const fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff) + (word >> 32)
}

/// The ones' complement sum in 64 bits: a carry comes in again at the low end.
#[inline]
const fn add_around(sum: u64, word: u64) -> u64 {
    let (sum, carry) = sum.overflowing_add(word);
    sum + carry as u64
}

/// The ones' complement sum in 16 bits. Adding the two halves of a number, each to the other's
/// carry, leaves the sum in the upper half.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The sum over one piece in native words, below 2^36. A last odd byte counts as if a zero
/// followed.
#[inline]
fn sum_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut total = if words.len() >= MANY_WORDS {
        sum_of_words(words)
    } else {
        halves(words.iter().fold(0, |sum, word| add_around(sum, u64::from_ne_bytes(*word))))
    };
    if !rest.is_empty() {
        total += halves(last_word(bytes, rest));
    }
    total
}

/// The bytes behind the last whole word, as a word filled up with zeros.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    let word = match bytes.last_chunk::<8>() {
        // The word that ends with them, less what has been counted: no byte is looked at alone.
        Some(last) => u64::from_le_bytes(*last) >> (8 * (8 - rest.len())),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    word.to_le()
}

/// The main loop. One sum adds up whole words, whose carries are lost, and beside it one their
/// high halves, which leaves room for all carries. What the low halves come to is the difference:
/// exact below 2^32 words, more than any packet has.
///
/// Compiled twice: AVX2 does it in half the instructions, where the processor has it.
#[multiversion(targets("x86_64+avx2"))]
fn sum_of_words(words: &[[u8; 8]]) -> u64 {
    let mut whole = 0u64;
    let mut high = 0u64;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        whole = whole.wrapping_add(word);
        high = high.wrapping_add(word >> 32);
    }
    halves(whole.wrapping_sub(high << 32)) + halves(high)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 4.1, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn checksum(bytes: &[u8]) -> u16 {
        Sum::ZERO.add_bytes(bytes).finish()
    }

    #[test]
    fn the_example_of_rfc_1071() {
        // Section 3: the sum is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::ZERO.add_bytes(&bytes).partial(), 0xddf2);
        assert_eq!(checksum(&bytes), 0x220d);
    }

    #[test]
    fn no_bytes_sum_to_zero() {
        assert_eq!(checksum(&[]), 0xffff);
        assert_eq!(checksum(&[0; 200]), 0xffff);
    }

    #[test]
    fn all_ones_lose_no_carry() {
        for len in [1, 2, 3, 63, 64, 65, 1460, 65_535, 1 << 20] {
            let bytes = vec![0xff; len];
            assert_eq!(checksum(&bytes), naive(&bytes), "{len} bytes");
        }
    }

    #[test]
    fn an_ipv4_header_with_its_checksum_sums_to_zero() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(checksum(&header), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_the_loop_of_the_rfc(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            prop_assert_eq!(checksum(&bytes), naive(&bytes));
        }

        #[test]
        fn a_few_bytes_sum_as_many_do(few: [u8; 20], most: [u8; 32], one: u8) {
            prop_assert_eq!(Sum::of_few(&few).finish(), naive(&few));
            let bytes = [&most[..], &[one]].concat();
            prop_assert_eq!(Sum::of_few(&most).add_bytes(&[one]).finish(), naive(&bytes));
        }

        #[test]
        fn pieces_count_as_one(
            bytes in prop::collection::vec(any::<u8>(), 0..700),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut sum = Sum::ZERO;
            for cut in cuts.windows(2) {
                sum = sum.add_bytes(&bytes[cut[0]..cut[1]]);
            }
            prop_assert_eq!(sum.finish(), naive(&bytes));
        }

        #[test]
        fn the_pseudo_header_is_the_bytes_of_its_picture(
            v4: ([u8; 4], [u8; 4]), v6: ([u8; 16], [u8; 16]), protocol: u8, length: u16, long: u32,
        ) {
            // RFC 9293 figure 2: addresses, zero, PTCL, TCP length.
            let mut bytes = [v4.0, v4.1].concat();
            bytes.extend([0, protocol]);
            bytes.extend(length.to_be_bytes());
            let sum = Sum::pseudo_header(v4.0.into(), v4.1.into(), protocol, length.into());
            prop_assert_eq!(sum.finish(), naive(&bytes));

            // RFC 8200 section 8.1: addresses, length in 32 bits, 24 zero bits, next header.
            let mut bytes = [v6.0, v6.1].concat();
            bytes.extend(long.to_be_bytes());
            bytes.extend([0, 0, 0, protocol]);
            let sum = Sum::pseudo_header(v6.0.into(), v6.1.into(), protocol, long);
            prop_assert_eq!(sum.finish(), naive(&bytes));
        }

        #[test]
        fn bytes_with_their_checksum_sum_to_zero(
            mut bytes in prop::collection::vec(any::<u8>(), 2..300), at: prop::sample::Index,
        ) {
            let at = at.index(bytes.len() / 2) * 2;
            bytes[at..at + 2].fill(0);
            let checksum = checksum(&bytes).to_be_bytes();
            bytes[at..at + 2].copy_from_slice(&checksum);
            prop_assert_eq!(Sum::ZERO.add_bytes(&bytes).finish(), 0);
        }
    }
}
