//! The programs over a pair of loops.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use super::{Chargen, Discard, Echo};
use crate::runtime::testing::{Conversation, End, Heard, Report, SERVER, World, converse};
use crate::runtime::{App, AppId};

const PORT: u16 = 1_000;

/// Runs conversations with one program.
fn talk<A: App + 'static>(
    world: World,
    app: impl FnOnce() -> A + Send + 'static,
    conversations: &[Conversation],
) -> Vec<Heard> {
    let set_up = move |runtime: &mut crate::runtime::Runtime<_>| {
        let on = SocketAddr::new(SERVER, PORT);
        let listener = runtime.stack().listen(on).unwrap();
        let _: AppId = runtime.serve(listener, Box::new(app()));
    };
    let Report { heard, totals } = converse(world, set_up, conversations, |_| {});
    assert_eq!(totals.connections, 0, "a connection was left over");
    heard
}

fn says(say: &[u8]) -> Conversation {
    Conversation { port: PORT, say: say.to_vec(), half_close: true, ..Conversation::default() }
}

const SMALL: World = World { capacity: 16, buffer: 32 << 10 };

#[test]
fn echo_gives_everything_back_and_then_closes() {
    let text: Vec<u8> = (0..3 << 20).map(|n: u32| (n * 31 + n / 253) as u8).collect();
    let slow_reader = Conversation { deaf_until: 80_000, ..says(&text) };
    let heard = talk(SMALL, Echo::default, &[slow_reader, says(b""), says(b"x")]);
    assert!(heard[0].bytes == text);
    assert_eq!(heard[1].bytes, b"");
    assert_eq!(heard[2].bytes, b"x");
    assert!(heard.iter().all(|heard| heard.end == Some(End::PeerClosed)));
}

#[test]
fn discard_says_nothing_and_closes_when_the_peer_does() {
    let heard = talk(SMALL, || Discard, &[says(&[1; 300_000]), says(b"")]);
    for heard in heard {
        assert_eq!((heard.bytes.len(), heard.end), (0, Some(End::PeerClosed)));
    }
}

#[test]
fn chargen_goes_on_without_a_break_and_hears_nothing() {
    let listener = Conversation {
        port: PORT,
        say: vec![b'?'; 100_000],
        enough: 1_000_000,
        ..Conversation::default()
    };
    let heard = talk(SMALL, Chargen::default, &[listener.clone(), listener]);
    for heard in heard {
        assert_eq!(heard.end, Some(End::Enough));
        let text = heard.bytes;
        for (number, line) in text.chunks_exact(74).enumerate() {
            let expected = (0..72).map(|column| b' ' + ((number + column) % 95) as u8);
            assert!(line[..72].iter().copied().eq(expected), "line {number}");
            assert_eq!(&line[72..], b"\r\n");
        }
    }
}

#[test]
fn a_link_that_is_full_all_the_time_loses_and_reorders_nothing() {
    let say: Vec<u8> = (0..1 << 20).map(|n: u32| (n * 7 + n / 251) as u8).collect();
    let narrow = World { capacity: 1, buffer: 64 << 10 };
    let slow_reader = Conversation { deaf_until: 100_000, ..says(&say) };
    let heard = talk(narrow, Echo::default, &[slow_reader]);
    assert_eq!(heard[0].end, Some(End::PeerClosed));
    assert!(heard[0].bytes == say);
}

#[test]
fn a_hundred_conversations_at_once_are_kept_apart() {
    let conversations: Vec<_> =
        (0..100_u8).map(|n| says(&vec![n; 10_000 + usize::from(n)])).collect();
    let heard = talk(World::default(), Echo::default, &conversations);
    for (heard, conversation) in heard.iter().zip(&conversations) {
        assert_eq!(heard.end, Some(End::PeerClosed));
        assert!(heard.bytes == conversation.say);
    }
}
