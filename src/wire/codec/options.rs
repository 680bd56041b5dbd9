//! TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 9768).

use crate::wire::{
    EcnCounters, EcnOrder, Options, SackBlocks, SeqNum, SeqRange, Timestamps, WindowScale,
};

/// The most bytes of options that a header has room for.
const MAX_LEN: usize = 40;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const ACC_ECN_0: u8 = EcnOrder::Ect0First as u8;
const ACC_ECN_1: u8 = EcnOrder::Ect1First as u8;

/// Kind and length in front of the SACK blocks, aligned by two no-operations.
const SACK_HEAD: usize = 4;
/// One SACK block: two sequence numbers.
const SACK_BLOCK: usize = 8;

/// The timestamps of a header whose options are laid out as RFC 7323 appendix A recommends and
/// nearly every segment has them: timestamps behind two no-operations.
#[inline]
pub(super) fn only_timestamps(bytes: &[u8]) -> Option<Timestamps> {
    let ([head, value, echo], []) = bytes.as_chunks::<4>() else { return None };
    (*head == [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10])
        .then(|| Timestamps { value: u32::from_be_bytes(*value), echo: u32::from_be_bytes(*echo) })
}

/// Reads the options of a header.
///
/// Unknown options are skipped (MUST-6), and so are known ones with a length that is not theirs,
/// as Linux does. At an option with an impossible length (MUST-7) reading ends: where the next one
/// starts is unknown. What stood before it counts, and the segment does, too, as with Linux: a peer
/// whose options some middlebox has spoilt gets its connection.
///
/// `syn` says whether the header has the SYN flag: the options that negotiate mean nothing
/// elsewhere.
#[cold]
pub(super) fn parse(mut bytes: &[u8], syn: bool) -> Options {
    let mut options = Options::default();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            END => break,
            NO_OPERATION => bytes = rest,
            _ => {
                let len = rest.first().map_or(0, |&len| usize::from(len));
                let option = bytes.split_at_checked(len);
                let Some((data, behind)) =
                    option.and_then(|(option, behind)| Some((option.get(2..)?, behind)))
                else {
                    log::debug!("TCP option {kind} is said to be {len} bytes long");
                    break;
                };
                read_option(&mut options, kind, data, syn);
                bytes = behind;
            }
        }
    }
    options
}

/// Takes over one option, if it is one we know; `data` stands behind kind and length.
fn read_option(options: &mut Options, kind: u8, data: &[u8], syn: bool) {
    match (kind, data) {
        // RFC 9293 section 3.7.1: only on SYN. A limit of nothing cannot be meant.
        (MSS, &[high, low]) if syn => {
            options.mss = Some(u16::from_be_bytes([high, low])).filter(|&mss| mss != 0);
        }
        // RFC 7323 section 2.2: only on SYN.
        (WINDOW_SCALE, &[shift]) if syn => options.window_scale = Some(WindowScale::new(shift)),
        // RFC 2018 section 2: only on SYN.
        (SACK_PERMITTED, []) if syn => options.sack_permitted = true,
        (TIMESTAMPS, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
            options.timestamps = Some(Timestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
        }
        (SACK, data) => {
            if let (blocks, []) = data.as_chunks::<SACK_BLOCK>() {
                options.sack = read_sack(blocks);
            }
        }
        (ACC_ECN_0, data) => options.ecn = Some(EcnCounters::read(EcnOrder::Ect0First, data)),
        (ACC_ECN_1, data) => options.ecn = Some(EcnCounters::read(EcnOrder::Ect1First, data)),
        _ => {}
    }
}

/// RFC 2018 section 3: each block is its left edge and its right one.
fn read_sack(blocks: &[[u8; SACK_BLOCK]]) -> SackBlocks {
    let mut sack = SackBlocks::EMPTY;
    for &[s0, s1, s2, s3, e0, e1, e2, e3] in blocks {
        // More blocks than there is room for do not fit into a header either.
        sack.push(SeqRange {
            start: SeqNum(u32::from_be_bytes([s0, s1, s2, s3])),
            end: SeqNum(u32::from_be_bytes([e0, e1, e2, e3])),
        });
    }
    sack
}

/// Bytes of TCP options as `options` will be emitted, padding included (0..=40).
#[inline]
pub fn options_len(options: &Options) -> usize {
    let mut len = 0;
    if options.mss.is_some() {
        len += 4;
    }
    if options.timestamps.is_some() {
        len += 12; // SACK-permitted, if there, takes the place of the padding
    } else if options.sack_permitted {
        len += 4;
    }
    if options.window_scale.is_some() {
        len += 4;
    }
    if let Some(counters) = &options.ecn {
        len += counters.len();
    }
    match sack_blocks_that_fit(options, len) {
        0 => len,
        blocks => len + SACK_HEAD + blocks * SACK_BLOCK,
    }
}

/// How many of the SACK blocks fit behind `len` bytes of other options.
#[inline]
fn sack_blocks_that_fit(options: &Options, len: usize) -> usize {
    let room = (MAX_LEN - SACK_HEAD).saturating_sub(len) / SACK_BLOCK;
    options.sack.as_slice().len().min(room)
}

/// The room for the options of a header, and how much of it is taken.
struct Room<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl Room<'_> {
    /// Appends `option`; what does not fit is left out.
    #[inline]
    fn put<const N: usize>(&mut self, option: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + N) {
            place.copy_from_slice(&option);
            self.len += N;
        }
    }
}

/// Writes the options in the order in which Linux does, each aligned to 32 bits. SACK blocks that
/// do not fit are left out, from the last one on. `into` has the [`options_len`] bytes that this
/// takes.
#[inline]
pub(super) fn emit(options: &Options, into: &mut [u8]) {
    let mut out = Room { bytes: into, len: 0 };
    if let Some(mss) = options.mss {
        let [high, low] = mss.to_be_bytes();
        out.put([MSS, 4, high, low]);
    }
    let aligned = match (options.sack_permitted, options.timestamps) {
        (true, Some(_)) => Some([SACK_PERMITTED, 2, TIMESTAMPS, 10]),
        (true, None) => Some([NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2]),
        (false, Some(_)) => Some([NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10]),
        (false, None) => None,
    };
    if let Some(head) = aligned {
        out.put(head);
    }
    if let Some(timestamps) = options.timestamps {
        out.put(timestamps.value.to_be_bytes());
        out.put(timestamps.echo.to_be_bytes());
    }
    if let Some(scale) = options.window_scale {
        out.put([NO_OPERATION, WINDOW_SCALE, 3, scale.shift()]);
    }
    if let Some(counters) = &options.ecn {
        put_ecn(&mut out, counters);
    }
    if !options.sack.is_empty() {
        put_sack(&mut out, options);
    }
}

fn put_ecn(out: &mut Room<'_>, counters: &EcnCounters) {
    let fields = counters.fields();
    // Three fields at most: the length fits into a byte.
    let len = 2 + fields.as_flattened().len();
    for _ in len..counters.len() {
        out.put([NO_OPERATION]);
    }
    out.put([counters.order() as u8, len as u8]);
    for field in fields {
        out.put(*field);
    }
}

fn put_sack(out: &mut Room<'_>, options: &Options) {
    let count = sack_blocks_that_fit(options, out.len);
    if count == 0 {
        return;
    }
    // Four blocks at most: the length fits into a byte.
    let len = (2 + count * SACK_BLOCK) as u8;
    out.put([NO_OPERATION, NO_OPERATION, SACK, len]);
    for block in options.sack.as_slice().iter().take(count) {
        out.put(block.start.0.to_be_bytes());
        out.put(block.end.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const TS: Timestamps = Timestamps { value: 0x0102_0304, echo: 0x0506_0708 };
    /// [`TS`] as it stands in a header.
    const TS_BYTES: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

    fn emitted(options: &Options) -> Vec<u8> {
        let mut bytes = [0xee; MAX_LEN];
        let len = options_len(options);
        emit(options, &mut bytes[..len]);
        bytes[..len].to_vec()
    }

    fn sack(blocks: u32) -> SackBlocks {
        let mut sack = SackBlocks::EMPTY;
        for n in 0..blocks {
            sack.push(SeqRange::new(SeqNum(n << 8), 0x10));
        }
        sack
    }

    #[test]
    fn a_syn_is_laid_out_as_linux_does_it() {
        let all = Options {
            mss: Some(0x05b4),
            window_scale: Some(WindowScale::new(7)),
            sack_permitted: true,
            timestamps: Some(TS),
            sack: SackBlocks::EMPTY,
            ecn: None,
        };
        let no_timestamps = Options { timestamps: None, ..all };
        let no_sack = Options { sack_permitted: false, ..all };
        let neither = Options { timestamps: None, ..no_sack };
        let mss = [2, 4, 5, 0xb4];
        let scale = [1, 3, 3, 7];
        let ts = &TS_BYTES[..];
        for (options, layout) in [
            (all, [&mss, &[4, 2][..], ts, &scale].concat()),
            (no_timestamps, [mss, [1, 1, 4, 2], scale].concat()),
            (no_sack, [&mss, &[1, 1][..], ts, &scale].concat()),
            (neither, [mss, scale].concat()),
        ] {
            assert_eq!(emitted(&options), layout);
            assert_eq!(parse(&layout, true), options);
        }
    }

    #[test]
    fn sack_blocks_take_the_room_there_is() {
        for (timestamps, blocks, kept) in
            [(None, 1, 1), (None, 4, 4), (Some(TS), 2, 2), (Some(TS), 4, 3)]
        {
            let options = Options { timestamps, sack: sack(blocks), ..Options::default() };
            let bytes = emitted(&options);
            let parsed = Options { sack: sack(kept), ..options };
            assert_eq!(parse(&bytes, false), parsed);
            let ts = if timestamps.is_some() { 12 } else { 0 };
            assert_eq!(bytes.len(), ts + 4 + 8 * kept as usize);
        }
    }

    #[test]
    fn what_negotiates_means_nothing_without_syn() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7];
        assert_eq!(parse(&bytes, false), Options::default());
        assert_ne!(parse(&bytes, true), Options::default());
    }

    #[test]
    fn values_that_cannot_be_meant() {
        assert_eq!(parse(&[2, 4, 0, 0], true), Options::default());
        // RFC 7323 section 2.3: a larger shift counts as 14.
        let options = parse(&[3, 3, 15], true);
        assert_eq!(options.window_scale, Some(WindowScale::MAX));
    }

    #[test]
    fn behind_the_end_nothing_counts() {
        let mut bytes = vec![1, 0, 2, 4, 5, 0xb4, 9];
        assert_eq!(parse(&bytes, true), Options::default());
        bytes[1] = 1;
        assert_eq!(parse(&bytes, true).mss, Some(0x5b4));
    }

    #[test]
    fn at_an_impossible_length_reading_ends() {
        for bytes in [
            &[2, 0, 1, 1][..],
            &[2, 1, 1, 1],
            &[2],
            &[1, 1, 1, 254],
            &[2, 5, 1, 1],
            &[254, 5, 1, 1],
            &[1, 1, 8, 11, 1, 2, 3, 4, 5, 6, 7, 8],
        ] {
            assert_eq!(parse(bytes, true), Options::default(), "{bytes:?}");
            let before = parse(&[&TS_BYTES, bytes].concat(), true);
            assert_eq!(before.timestamps, Some(TS), "{bytes:?}");
        }
        for too_short in [[2, 0, 1, 1], [2, 1, 1, 1]] {
            let behind = parse(&[&too_short[..], &TS_BYTES].concat(), true);
            assert_eq!(behind, Options::default(), "{too_short:?}");
        }
    }

    #[test]
    fn a_known_option_of_another_length_is_skipped() {
        for bytes in [
            &[2, 3, 1][..],
            &[2, 6, 1, 1, 1, 1],
            &[3, 2],
            &[3, 4, 1, 1],
            &[4, 3, 1],
            &[8, 9, 1, 1, 1, 1, 1, 1, 1],
            &[5, 2],
            &[5, 9, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(parse(bytes, true), Options::default(), "{bytes:?}");
            let followed = [bytes, &TS_BYTES].concat();
            assert_eq!(parse(&followed, true).timestamps, Some(TS));
        }
    }

    #[test]
    fn counters_of_marks_are_aligned_and_leave_less_room_for_blocks() {
        let ecn = |count| Some(EcnCounters::new(EcnOrder::Ect1First, count, 1, 2, 3));
        let laid_out = |ecn| emitted(&Options { ecn, ..Options::default() });
        assert_eq!(laid_out(ecn(0)), [1, 1, 174, 2]);
        assert_eq!(laid_out(ecn(1)), [1, 1, 1, 174, 5, 0, 0, 3]);
        assert_eq!(laid_out(ecn(2)), [174, 8, 0, 0, 3, 0, 0, 2]);
        assert_eq!(laid_out(ecn(3)), [1, 174, 11, 0, 0, 3, 0, 0, 2, 0, 0, 1]);
        for (count, kept) in [(0, 2), (1, 2), (2, 2), (3, 1)] {
            let sack = sack(3);
            let options =
                Options { timestamps: Some(TS), sack, ecn: ecn(count), ..Options::default() };
            let parsed = parse(&emitted(&options), false);
            assert_eq!((parsed.ecn, parsed.sack.as_slice().len()), (options.ecn, kept));
        }
    }

    #[test]
    fn options_may_start_at_any_byte() {
        // RFC 9293 section 3.2 (MUST-64).
        for pad in 0..4 {
            let bytes = [&vec![1; pad][..], &TS_BYTES].concat();
            assert_eq!(parse(&bytes, false).timestamps, Some(TS));
        }
    }

    proptest! {
        #[test]
        fn unknown_options_and_padding_change_nothing(
            extra in vec((any::<bool>(), 9u8..172, vec(any::<u8>(), 0..6)), 0..4), at in 0usize..4,
        ) {
            let known: [&[u8]; 3] = [&[2, 4, 5, 0xb4], &TS_BYTES, &[3, 3, 7]];
            let extra: Vec<u8> = extra.into_iter().flat_map(|(pad, kind, data)| {
                let option = [&[kind, data.len() as u8 + 2], &data[..]].concat();
                if pad { vec![NO_OPERATION] } else { option }
            }).collect();
            let mut pieces = known.to_vec();
            pieces.insert(at, &extra);
            prop_assert_eq!(parse(&pieces.concat(), true), parse(&known.concat(), true));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..=40), syn: bool) {
            let _ = parse(&bytes, syn);
        }

        #[test]
        fn bytes_full_of_known_kinds_make_no_panic(
            bytes in vec(prop_oneof![0u8..=11, 172u8..=174, any::<u8>()], 0..=40), syn: bool,
        ) {
            let _ = parse(&bytes, syn);
        }

        #[test]
        fn any_options_fit_into_a_header(
            mss: Option<u16>, scale: Option<u8>, sack_permitted: bool, ts: bool, blocks in 0u32..=4,
            ecn: Option<bool>, fields in 0usize..=3, counters: [u32; 3],
        ) {
            let [e0b, ceb, e1b] = counters;
            let ecn = ecn.map(|first| {
                let order = if first { EcnOrder::Ect0First } else { EcnOrder::Ect1First };
                EcnCounters::new(order, fields, e0b, ceb, e1b)
            });
            let options = Options {
                mss,
                window_scale: scale.map(WindowScale::new),
                sack_permitted,
                timestamps: ts.then_some(TS),
                sack: sack(blocks),
                ecn,
            };
            let bytes = emitted(&options);
            prop_assert!(bytes.len() <= MAX_LEN && bytes.len().is_multiple_of(4));
            let mut parsed = parse(&bytes, true);
            prop_assert!(options.sack.as_slice().starts_with(parsed.sack.as_slice()));
            parsed.sack = options.sack;
            parsed.mss = parsed.mss.or(options.mss); // zero is not believed
            prop_assert_eq!(parsed, options);
        }
    }
}
