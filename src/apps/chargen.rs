//! The character generator protocol (RFC 864): lines of text without end.

use std::fmt;

use slotmap::SparseSecondaryMap;

use super::discard::throw_away;
use crate::runtime::App;
use crate::stack::{ConnId, Event, Stack};

/// The printable characters of ASCII, space to tilde, which the pattern goes through in a ring.
const FIRST: u8 = b' ';
const CHARACTERS: usize = 95;

/// Characters of a line, without its end.
const LINE: usize = 72;

/// After this many bytes the pattern begins again: every character has started a line once.
const PERIOD: usize = CHARACTERS * (LINE + 2);

/// How often the pattern is laid out one behind the other, so that a write can be long wherever
/// in it a connection stands.
const COPIES: usize = 9;

/// Sends the pattern to everybody who connects, as fast as they read, until they close. What they
/// send is thrown away.
pub struct Chargen {
    pattern: Box<[u8]>,
    /// How far into the pattern a connection is.
    positions: SparseSecondaryMap<ConnId, u16>,
}

impl Default for Chargen {
    fn default() -> Self {
        Self {
            pattern: pattern().repeat(COPIES).into_boxed_slice(),
            positions: SparseSecondaryMap::new(),
        }
    }
}

/// One period of the pattern (RFC 864, "One popular pattern is 72 chraracter lines of the ASCII
/// printing characters"): each line starts one character further on than the line before.
fn pattern() -> Vec<u8> {
    let ring = (FIRST..).take(CHARACTERS).cycle();
    let line = |start| ring.clone().skip(start).take(LINE).chain(*b"\r\n");
    (0..CHARACTERS).flat_map(line).collect()
}

impl Chargen {
    /// Writes until the send buffer is full; there is an event when it has room again.
    fn fill(&mut self, stack: &mut Stack, id: ConnId) {
        let Some(position) = self.positions.get_mut(id) else {
            return;
        };
        loop {
            let text = self.pattern.get(usize::from(*position)..).unwrap_or_default();
            let Ok(written) = stack.write(id, text) else {
                return;
            };
            *position = ((usize::from(*position) + written) % PERIOD) as u16;
            if written < text.len() {
                return;
            }
        }
    }

    fn close(&mut self, stack: &mut Stack, id: ConnId) {
        self.positions.remove(id);
        throw_away(stack, id);
        stack.close(id);
    }
}

impl App for Chargen {
    fn on_accept(&mut self, stack: &mut Stack, id: ConnId) {
        self.positions.insert(id, 0);
        self.fill(stack, id);
    }

    fn on_data(&mut self, _: &mut Stack, _: ConnId, data: &[u8]) -> usize {
        data.len()
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Readable(id) => throw_away(stack, id),
            Event::Writable(id) => self.fill(stack, id),
            Event::PeerClosed(id) | Event::Closed(id, _) => self.close(stack, id),
            Event::Incoming(_)
            | Event::Established(_)
            | Event::Urgent(_)
            | Event::SoftError(..) => {}
        }
    }
}

impl fmt::Debug for Chargen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chargen").field("connections", &self.positions.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_lines_are_those_of_the_rfc() {
        let text = String::from_utf8(pattern()).unwrap();
        let mut lines = text.split_inclusive("\r\n");
        assert_eq!(
            lines.next(),
            Some(
                "\u{20}!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
            )
        );
        assert_eq!(
            lines.next(),
            Some("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n")
        );
    }

    #[test]
    fn every_line_rotates_by_one_and_the_ring_closes() {
        let text = pattern();
        assert_eq!(text.len(), PERIOD);
        let lines: Vec<&[u8]> = text.chunks(LINE + 2).collect();
        assert_eq!(lines.len(), CHARACTERS);
        for (line, next) in lines.iter().zip(lines.iter().cycle().skip(1)) {
            assert!(line.ends_with(b"\r\n"));
            assert_eq!(line[1..LINE], next[..LINE - 1]);
            assert!(line[..LINE].iter().all(|&c| c == b' ' || c.is_ascii_graphic()));
        }
    }

    #[test]
    fn a_position_fits_its_type() {
        assert!(u16::try_from(PERIOD).is_ok());
        assert_eq!(Chargen::default().pattern.len(), PERIOD * COPIES);
    }
}
