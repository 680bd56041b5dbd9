//! SIGINT and SIGTERM end the program: the first in order, the second at once.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tunstack::runtime::Waker;

/// From now on passes both signals on to the loop.
///
/// # Errors
/// When the handlers or the thread that waits for them cannot be set up.
pub(super) fn end_with(waker: Waker) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            waker.shut_down();
        }
    })?;
    Ok(())
}
