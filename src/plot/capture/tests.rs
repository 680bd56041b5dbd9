//! Captures of every format, whole and otherwise.

use proptest::prelude::*;

use super::*;

type Packets = Vec<(u64, Vec<u8>, usize)>;

fn read(file: &[u8]) -> Result<(Packets, Ending), CaptureError> {
    let mut packets = Vec::new();
    let ending = Capture::open(file)?.for_each(|at, bytes, wire_len| {
        packets.push((at.as_nanos(), bytes.to_vec(), wire_len));
    })?;
    Ok((packets, ending))
}

/// Numbers in the byte order of a file.
#[derive(Clone, Copy)]
struct Order {
    is_big: bool,
}

impl Order {
    fn u32(self, value: u32) -> [u8; 4] {
        if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u16(self, value: u16) -> [u8; 2] {
        if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn pcap_head(self, magic: u32, snap_len: u32, link: u32) -> Vec<u8> {
        let words = [magic, 0, 0, 0, snap_len, link].map(|word| self.u32(word));
        words.concat()
    }

    fn pcap_record(self, seconds: u32, fraction: u32, kept: &[u8], len: u32) -> Vec<u8> {
        let head = [seconds, fraction, kept.len() as u32, len].map(|word| self.u32(word));
        [&head.concat()[..], kept].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let len = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &len, body, &len].concat()
    }

    fn section(self) -> Vec<u8> {
        let body = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface of a link type and, if it is given, a resolution.
    fn interface(self, link: u16, resolution: Option<u8>) -> Vec<u8> {
        let mut body = [&self.u16(link)[..], &[0; 2], &self.u32(65_535)].concat();
        if let Some(resolution) = resolution {
            body.extend([self.u16(9), self.u16(1)].concat());
            body.extend([resolution, 0, 0, 0, 0, 0, 0, 0]);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, units: u64, kept: &[u8], len: u32) -> Vec<u8> {
        let head = [interface, (units >> 32) as u32, units as u32, kept.len() as u32, len];
        let mut body = [&head.map(|word| self.u32(word)).concat(), kept].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(6, &body)
    }
}

const BOTH: [Order; 2] = [Order { is_big: true }, Order { is_big: false }];

#[test]
fn pcap_of_both_byte_orders_and_both_resolutions() {
    for order in BOTH {
        for (magic, nanos) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7)] {
            let head = order.pcap_head(magic, 4, 101);
            let record = order.pcap_record(3, 7, &[0x45, 1, 2, 3], 1_000);
            let (packets, ending) = read(&[head, record].concat()).unwrap();
            assert_eq!(packets, [(3_000_000_000 + nanos, vec![0x45, 1, 2, 3], 1_000)]);
            assert_eq!(ending, Ending::Whole);
        }
    }
}

#[test]
fn pcapng_of_both_byte_orders_with_interfaces_of_several_links_and_clocks() {
    for order in BOTH {
        let ethernet = [&[0; 12][..], &[0x08, 0x00, 0x45]].concat();
        let file = [
            order.section(),
            order.interface(101, None),
            order.interface(1, Some(9)),
            order.interface(127, None),
            order.interface(101, Some(0x80 | 10)),
            order.enhanced(0, 5, &[0x45], 1),
            order.enhanced(1, 6, &ethernet, 1_514),
            order.enhanced(2, 7, &[0; 30], 30),
            order.enhanced(3, 512, &[0x60], 1),
            order.enhanced(9, 7, &[0; 30], 30),
            // A new section counts its interfaces anew.
            order.section(),
            order.interface(101, Some(3)),
            order.enhanced(0, 2, &[0x46], 1),
        ];
        let (packets, ending) = read(&file.concat()).unwrap();
        let expected = [
            (5_000, vec![0x45], 1),
            (6, vec![0x45], 1_500),
            (500_000_000, vec![0x60], 1),
            (2_000_000, vec![0x46], 1),
        ];
        assert_eq!((&packets[..], ending), (&expected[..], Ending::Whole));
    }
}

#[test]
fn what_came_before_a_cut_is_read() {
    let order = BOTH[0];
    let record = order.pcap_record(1, 1, &[0x45; 40], 40);
    let pcap = [order.pcap_head(0xa1b2_c3d4, 65_535, 101), record.clone(), record].concat();
    let block = order.enhanced(0, 1, &[0x45; 40], 40);
    let pcapng = [order.section(), order.interface(101, None), block.clone(), block].concat();
    for file in [pcap, pcapng] {
        let (packets, ending) = read(&file[..file.len() - 1]).unwrap();
        assert_eq!((packets.len(), ending), (1, Ending::CutShort));
        let (packets, _) = read(&file[..file.len() - 50]).unwrap();
        assert_eq!(packets.len(), 1);
    }
}

#[test]
fn what_is_no_capture_is_refused_for_its_reason() {
    let order = BOTH[1];
    for (file, words) in [
        (vec![], "empty"),
        (vec![0xd4], "no capture"),
        (b"GET / HTTP/1.1".to_vec(), "no capture"),
        (vec![0xd4, 0xc3, 0xb2, 0xa1, 0], "no capture"),
        (PCAPNG.to_vec(), "no capture"),
        (vec![0x1f, 0x8b, 8, 0, 0], "compressed"),
        (order.pcap_head(0xa1b2_c3d4, 1, 127), "link type 127 (IEEE802_11_RADIOTAP)"),
        ([order.section(), order.interface(105, None)].concat(), "link type 105"),
    ] {
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains('\n') && error.contains(": "), "{error}");
    }
    // There is a capture, and nothing in it.
    assert!(read(&order.pcap_head(0xa1b2_c3d4, 1, 101)).unwrap().0.is_empty());
    assert!(read(&order.section()).unwrap().0.is_empty());
}

#[test]
fn a_file_with_more_interfaces_than_a_machine_has_ends_behind_the_last_that_is_taken() {
    let order = BOTH[0];
    let file = |count: usize| {
        let interfaces = order.interface(101, None).repeat(count);
        [order.section(), interfaces, order.enhanced(0, 5, &[0x45], 1)].concat()
    };
    assert_eq!(read(&file(MAX_INTERFACES)).unwrap().0.len(), 1);
    let (packets, ending) = read(&file(MAX_INTERFACES + 1)).unwrap();
    assert_eq!((packets.len(), ending), (0, Ending::Damaged));
}

/// Bytes that begin as a capture does, so that they lead somewhere.
fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    let mut beginnings = vec![vec![]];
    for order in BOTH {
        let link = if order.is_big { 1 } else { 101 };
        beginnings.push(order.pcap_head(0xa1b2_c3d4, 65_535, link));
        beginnings.push(order.section());
        beginnings.push([order.section(), order.interface(101, Some(6))].concat());
        beginnings.push([order.section(), order.section()[..8].to_vec()].concat());
        for kind in [1, 2, 3, 4, 5, 6, 9] {
            let mut block = order.block(kind, &[0x11; 60]);
            block.truncate(8);
            beginnings.push([order.section(), order.interface(1, None), block].concat());
        }
    }
    proptest::sample::select(beginnings)
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_go_on_for_ever(
        mut file in beginnings(),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        damage in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
    ) {
        file.extend(rest);
        for (at, value) in damage.iter().filter(|_| !file.is_empty()).collect::<Vec<_>>() {
            let at = at.index(file.len());
            file[at] = *value;
        }
        let _ = read(&file);
    }
}
