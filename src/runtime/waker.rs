//! Reaches into a sleeping loop from other threads, or from a signal handler.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes the loop it belongs to, or asks it to end. Cheap to clone, and every method may be called
/// from a signal handler: each is a few atomic operations and at most one `write`.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event: EventFd,
    /// Somebody called `wake` since the loop last looked.
    woken: AtomicBool,
    /// How often somebody asked for the end; two is as good as more.
    ends_asked: AtomicU8,
}

impl Waker {
    /// A waker of its own descriptor (an eventfd, not inherited by child processes).
    pub(super) fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            shared: Arc::new(Shared {
                event,
                woken: AtomicBool::new(false),
                ends_asked: AtomicU8::new(0),
            }),
        })
    }

    /// Ends the loop's sleep, and has it call every program's `on_wake` once more. What the caller
    /// did before is seen there.
    pub fn wake(&self) {
        if !self.shared.woken.swap(true, Ordering::AcqRel) {
            // The only error that can occur is a counter that is full, and then the loop wakes.
            let _ = self.shared.event.write(1);
        }
    }

    /// Asks the loop to end. The first time it closes its connections in order and takes up to a
    /// second for it; asked a second time it ends at once.
    pub fn shut_down(&self) {
        let asked = &self.shared.ends_asked;
        let _ = asked.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            Some(count.saturating_add(1))
        });
        self.wake();
    }

    /// How often the end was asked for.
    pub(super) fn ends_asked(&self) -> u8 {
        self.shared.ends_asked.load(Ordering::Acquire)
    }

    /// Whether `wake` was called since this was last asked.
    pub(super) fn take_woken(&self) -> bool {
        if !self.shared.woken.load(Ordering::Acquire) {
            return false;
        }
        // The counter is cleared before the flag. The other way round, a `wake` in between would
        // set the flag and lose its mark in the counter: the loop would sleep through it.
        let _ = self.shared.event.read();
        self.shared.woken.swap(false, Ordering::AcqRel)
    }

    /// Readable when the loop must not sleep.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn is_readable(waker: &Waker) -> bool {
        let mut fds = [PollFd::new(waker.fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn any_number_of_wakes_counts_once_and_is_then_forgotten() {
        let waker = Waker::new().unwrap();
        assert!(!waker.take_woken());
        waker.wake();
        waker.clone().wake();
        assert!(is_readable(&waker));
        assert!(waker.take_woken());
        assert!(!is_readable(&waker));
        assert!(!waker.take_woken());
        waker.wake();
        assert!(is_readable(&waker));
    }

    #[test]
    fn asking_for_the_end_wakes_and_is_counted_without_wrapping() {
        let waker = Waker::new().unwrap();
        waker.shut_down();
        assert_eq!(waker.ends_asked(), 1);
        assert!(waker.take_woken());
        for _ in 0..300 {
            waker.shut_down();
        }
        assert_eq!(waker.ends_asked(), u8::MAX);
    }
}
