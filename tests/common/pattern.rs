//! The text that streams in these tests carry. Every byte depends on its place in the stream, so a
//! byte that is lost, doubled or moved shows at once.

/// The byte at `offset` of the stream called `name`.
pub fn byte_at(name: u8, offset: u64) -> u8 {
    let mixed = (offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 ^ name
}

/// `len` bytes of the stream `name` from `offset` on.
pub fn bytes(name: u8, offset: u64, len: usize) -> Vec<u8> {
    (offset..offset + len as u64).map(|at| byte_at(name, at)).collect()
}

/// Asserts that `text` is what the stream `name` holds from `offset` on.
#[track_caller]
pub fn check(name: u8, offset: u64, text: &[u8]) {
    for (at, &byte) in (offset..).zip(text) {
        assert_eq!(byte, byte_at(name, at), "byte {at} of the stream is not the one that was sent");
    }
}
