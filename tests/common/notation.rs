//! Segments as a line of text, in the notation that tcpdump and packetdrill share:
//!
//! ```text
//! [ECN] FLAGS SEQ:END(LENGTH) [ack N] [win N] [urg N] [<OPTIONS>]
//! S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
//! P. 1:101(100) ack 1 <nop,nop,sack 201:301 401:501>
//! EA. 1:1(0) ack 101 <ECN e0b 101 ceb 0>
//! [ce] . 1:101(100) ack 1
//! ```
//!
//! In front may stand the ECN field of the IP header: `[noecn] [ect0] [ect1] [ce]`. The flags
//! are `S F R P . U E W A`, or `-` for none; a dot is ACK, and A is accurate ECN's. Sequence numbers count from
//! the initial sequence number of whoever sends them, acknowledgments and SACK blocks from the
//! other side's, so a SYN is `0` and the first byte of text is `1`.

use tunstack::wire::{EcnCounters, EcnField, EcnOrder, Flags, WindowScale};

/// A parsed line.
#[derive(Clone, Debug)]
pub struct Noted {
    /// `None` when the line says nothing of it: then an expectation does not look at it.
    pub ecn: Option<EcnField>,
    pub flags: Flags,
    pub seq: u32,
    /// Bytes of text; SYN and FIN are not counted, as in tcpdump.
    pub len: u32,
    pub ack: Option<u32>,
    pub window: Option<u16>,
    pub urgent: Option<u16>,
    /// `None` when the line has no `<...>`: then an expectation does not look at them.
    pub options: Option<NotedOptions>,
}

/// The options of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotedOptions {
    pub mss: Option<u16>,
    pub window_scale: Option<WindowScale>,
    pub sack_permitted: bool,
    /// `Some(None)`: the option is there, whatever its values.
    pub timestamps: Option<Option<(u32, u32)>>,
    /// Left and right edges, relative.
    pub sack: Vec<(u32, u32)>,
    pub ecn: Option<EcnCounters>,
}

impl Noted {
    /// Reads a line; a test that is written wrongly fails here.
    #[track_caller]
    pub fn parse(line: &str) -> Self {
        Self::try_parse(line).unwrap_or_else(|| panic!("no such notation: {line:?}"))
    }

    /// Reads a line, or answers `None` when it is not one.
    pub fn try_parse(line: &str) -> Option<Self> {
        let (ecn, line) = match line.split_once("] ") {
            Some((field, rest)) => (Some(ecn_field(field)?), rest),
            None => (None, line),
        };
        let (fields, options) = match line.split_once('<') {
            Some((fields, rest)) => {
                let list = rest.trim_end().strip_suffix('>')?;
                (fields, Some(NotedOptions::try_parse(list)?))
            }
            None => (line, None),
        };
        let mut words = fields.split_whitespace();
        let flags = flags(words.next()?)?;
        let (seq, len) = range_with_length(words.next()?)?;
        let mut noted =
            Self { ecn, flags, seq, len, ack: None, window: None, urgent: None, options };
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word {
                "ack" => noted.ack = Some(value.parse().ok()?),
                "win" => noted.window = Some(value.parse().ok()?),
                "urg" => noted.urgent = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(noted)
    }
}

impl NotedOptions {
    fn try_parse(list: &str) -> Option<Self> {
        let mut options = Self::default();
        for option in list.split(',').map(str::trim) {
            let mut words = option.split_whitespace();
            match words.next() {
                // Padding, or an empty list: "there are no options".
                None | Some("nop") => {}
                Some("mss") => options.mss = Some(words.next()?.parse().ok()?),
                Some("sackOK") => options.sack_permitted = true,
                Some("wscale") => {
                    options.window_scale = Some(WindowScale::new(words.next()?.parse().ok()?));
                }
                Some("TS") => options.timestamps = Some(timestamps(&mut words)?),
                Some("sack") => {
                    options.sack = words.by_ref().map(edges).collect::<Option<_>>()?;
                }
                Some("ECN") => options.ecn = Some(counters(&mut words)?),
                Some(_) => return None,
            }
            if words.next().is_some() {
                return None;
            }
        }
        Some(options)
    }
}

/// `[ce` and the like.
fn ecn_field(word: &str) -> Option<EcnField> {
    Some(match word {
        "[noecn" => EcnField::NotEct,
        "[ect0" => EcnField::Ect0,
        "[ect1" => EcnField::Ect1,
        "[ce" => EcnField::Ce,
        _ => return None,
    })
}

/// `S.` and the like.
fn flags(letters: &str) -> Option<Flags> {
    let mut flags = Flags::empty();
    for letter in letters.chars() {
        flags |= match letter {
            '-' => Flags::empty(),
            'S' => Flags::SYN,
            'F' => Flags::FIN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            'A' => Flags::AE,
            _ => return None,
        };
    }
    Some(flags)
}

/// `1:101(100)`, in which the three numbers must agree.
fn range_with_length(word: &str) -> Option<(u32, u32)> {
    let (range, len) = word.strip_suffix(')')?.split_once('(')?;
    let (start, end) = edges(range)?;
    let len = len.parse().ok()?;
    (start.wrapping_add(len) == end).then_some((start, len))
}

/// `201:301`.
fn edges(word: &str) -> Option<(u32, u32)> {
    let (start, end) = word.split_once(':')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

/// `val 1 ecr 2`, or nothing.
fn timestamps<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Option<(u32, u32)>> {
    match words.next() {
        None => Some(None),
        Some("val") => {
            let value = words.next()?.parse().ok()?;
            let echo = match (words.next()?, words.next()?) {
                ("ecr", echo) => echo.parse().ok()?,
                _ => return None,
            };
            Some(Some((value, echo)))
        }
        Some(_) => None,
    }
}

/// `e0b 1 ceb 0 e1b 1`, in either order, and as many of them as there are; without any the option is
/// of order 0.
fn counters<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<EcnCounters> {
    let mut fields = Vec::new();
    while let Some(name) = words.next() {
        fields.push((name, words.next()?.parse().ok()?));
    }
    let order = match fields.first() {
        Some(("e1b", _)) => EcnOrder::Ect1First,
        _ => EcnOrder::Ect0First,
    };
    let value = |name| fields.iter().find(|(known, _)| *known == name).map_or(0, |field| field.1);
    Some(EcnCounters::new(order, fields.len(), value("e0b"), value("ceb"), value("e1b")))
}
