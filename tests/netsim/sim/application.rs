//! What the applications at both ends do, and the text that they exchange.

use tunstack::time::Duration;

use crate::common::random::Random;

/// What the sender's application does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// It always has more to send.
    Bulk,
    /// It sends so many bytes and closes.
    Bytes(u64),
    /// It has so many bytes to send at once, and as many again each time this long has passed.
    Bursts(u64, Duration),
}

/// Bytes after which the text repeats: a prime, so that neither segments nor buffers fall in step
/// with it.
const PERIOD: usize = 65_521;

/// The text of all flows: bytes without a pattern, over and over; every flow starts elsewhere in
/// it. Whatever is lost, doubled, moved or mixed up shows.
#[derive(Debug)]
pub struct Text(Box<[u8]>);

impl Text {
    /// The text.
    pub fn new() -> Self {
        let mut random = Random::new(PERIOD as u64);
        let once: Vec<u8> = (0..PERIOD).map(|_| random.next() as u8).collect();
        Self([&once[..], &once].concat().into())
    }

    /// What a flow sends from this byte of its stream on: `most` bytes of it, or a few less.
    pub fn from(&self, flow: usize, offset: u64, most: usize) -> &[u8] {
        let start = (offset + flow as u64 * 7_919) % PERIOD as u64;
        &self.0[start as usize..][..most.min(PERIOD)]
    }

    /// Asserts that what has arrived is what was sent from there on.
    #[track_caller]
    pub fn check(&self, flow: usize, mut offset: u64, mut arrived: &[u8]) {
        while !arrived.is_empty() {
            let expected = self.from(flow, offset, arrived.len());
            let (now, later) = arrived.split_at(expected.len());
            assert!(now == expected, "flow {flow} is not what was sent at byte {offset}");
            offset += now.len() as u64;
            arrived = later;
        }
    }
}
