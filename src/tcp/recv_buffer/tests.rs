use super::*;
use proptest::prelude::*;

const WINDOW: u32 = 60_000;

/// The byte that belongs at offset `n` of the stream.
fn byte(n: u32) -> u8 {
    (n ^ (n >> 8)) as u8
}

fn text(start: u32, len: u32) -> Vec<u8> {
    (start..start + len).map(byte).collect()
}

#[test]
fn the_island_that_grew_last_comes_first() {
    let mut buffer = RecvBuffer::new(WINDOW);
    let zero = SeqNum(u32::MAX - 50);
    for start in [100, 300, 500, 700, 900] {
        assert_eq!(buffer.insert(zero, zero + start, &text(start, 50), None), 0);
    }
    buffer.insert(zero, zero + 350, &text(350, 10), None);
    let starts: Vec<u32> =
        buffer.sack_blocks().as_slice().iter().map(|b| zero.len_to(b.start)).collect();
    assert_eq!(starts, [300, 900, 700, 500]);
    assert_eq!(buffer.sack_blocks().as_slice()[0].len(), 60);
}

#[test]
fn one_island_too_many_is_dropped_but_islands_may_still_grow() {
    let mut buffer = RecvBuffer::new(1 << 20);
    let zero = SeqNum(0);
    let most = MAX_ISLANDS as u32;
    for n in 1..=most {
        buffer.insert(zero, zero + n * 10, &text(n * 10, 1), None);
    }
    buffer.insert(zero, zero + (most + 1) * 10, &text(0, 1), None);
    assert_eq!(buffer.held.islands.len(), MAX_ISLANDS);
    buffer.insert(zero, zero + 11, &text(11, 5), None);
    assert_eq!(buffer.held.islands.len(), MAX_ISLANDS);
    assert_eq!(buffer.held.islands[0].range.len(), 6);
}

#[test]
fn the_offer_grows_and_shrinks_only_when_it_is_limited() {
    let mut buffer = RecvBuffer::new(200_000);
    assert_eq!(buffer.limit(), 65_535);
    buffer.offer(100_000);
    buffer.offer(70_000);
    assert_eq!(buffer.limit(), 100_000);
    buffer.limit_to(80_000);
    assert_eq!(buffer.limit(), 80_000);
}

#[test]
fn a_fin_takes_a_number_and_no_room() {
    let zero = SeqNum(u32::MAX - 50);
    let fin = Some(zero + 60_000);
    let mut buffer = RecvBuffer::new(WINDOW);
    assert!(buffer.note_fin(zero + 60_000));
    assert_eq!(buffer.furthest(), Some(zero + 60_001));
    // Beyond a hole, then so much that the ring has to grow over and over, up to the FIN.
    buffer.insert(zero, zero + 100, &text(100, 100), fin);
    assert_eq!(
        buffer.sack_blocks().as_slice(),
        [SeqRange::new(zero + 100, 100), SeqRange::new(zero + 60_000, 1)]
    );
    let mut nxt = 0;
    while nxt < 60_000 {
        let len = 1_000.min(60_000 - nxt);
        nxt += buffer.insert(zero + nxt, zero + nxt, &text(nxt, len), fin);
    }
    assert_eq!((nxt, buffer.readable()), (60_000, 60_000), "the FIN is not text");
    let mut into = vec![0; 60_000];
    buffer.read(&mut into);
    assert_eq!(into, text(0, 60_000));
}

proptest! {
    /// Pieces of a stream in any order, overlapping as they like, with reads in between: what is
    /// read is the stream, RCV.NXT is where a plain set of bytes says, and the islands are its
    /// runs.
    #[test]
    fn agrees_with_a_set_of_bytes(
        zero: u32,
        pieces in proptest::collection::vec((0u32..2_000, 1u32..400, 0usize..500), 1..80),
    ) {
        let zero = SeqNum(zero);
        let mut buffer = RecvBuffer::new(WINDOW);
        let mut have = vec![false; 4_000];
        let mut nxt = 0u32;
        let mut read = Vec::new();
        for (start, len, reading) in pieces {
            // The connection trims what lies before RCV.NXT.
            let end = start + len;
            let start = start.max(nxt);
            if start < end {
                let advanced = buffer.insert(zero + nxt, zero + start, &text(start, end - start), None);
                for n in start..end {
                    have[n as usize] = true;
                }
                let expected = (nxt..4_000).take_while(|&n| have[n as usize]).count() as u32;
                prop_assert_eq!(advanced, expected);
                nxt += advanced;
            }
            let mut runs = Vec::new();
            let mut n = nxt;
            while n < 4_000 {
                if have[n as usize] {
                    let stop = (n..4_000).find(|&m| !have[m as usize]).unwrap_or(4_000);
                    runs.push((n, stop));
                    n = stop;
                }
                n += 1;
            }
            let islands: Vec<_> = buffer
                .held
                .islands
                .iter()
                .map(|i| (zero.len_to(i.range.start), zero.len_to(i.range.end)))
                .collect();
            prop_assert_eq!(islands, runs);
            let mut into = vec![0; reading];
            let n = buffer.read(&mut into);
            read.extend_from_slice(&into[..n]);
        }
        let mut rest = vec![0; buffer.readable()];
        buffer.read(&mut rest);
        read.extend_from_slice(&rest);
        prop_assert_eq!(read, text(0, nxt));
        if !buffer.has_hole() {
            prop_assert!(buffer.held.is_vacant(), "it can be given back");
        }
    }
}
