//! Signals that end the loop, as something to read from: a thread that waited for them would make
//! every system call of the loop dearer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals, blocked for as long as this lives.
#[derive(Debug)]
pub(super) struct EndSignals {
    arrived: SignalFd,
    /// What was blocked before.
    before: SigSet,
    /// How many have arrived; two are as good as more.
    count: u8,
}

impl EndSignals {
    /// Blocks `signals` in this thread.
    pub(super) fn block(signals: &[i32]) -> io::Result<Self> {
        let signals: SigSet =
            signals.iter().map(|&number| Signal::try_from(number)).collect::<Result<_, Errno>>()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let arrived = SignalFd::with_flags(&signals, flags)?;
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { arrived, before, count: 0 })
    }

    /// Readable when one has arrived.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }

    /// Takes in those that have arrived.
    pub(super) fn take(&mut self) {
        while let Ok(Some(_)) = self.arrived.read_signal() {
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many have been taken in.
    pub(super) fn count(&self) -> u8 {
        self.count
    }
}

impl Drop for EndSignals {
    fn drop(&mut self) {
        // A mask that was in force can be again.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn signals_are_counted_one_by_one() {
        // In a thread of its own, whose mask ends with it.
        std::thread::spawn(|| {
            let before = SigSet::thread_get_mask().unwrap();
            let mut signals = EndSignals::block(&[Signal::SIGUSR1 as i32]).unwrap();
            signals.take();
            assert_eq!(signals.count(), 0);
            for n in 1..=2 {
                raise(Signal::SIGUSR1).unwrap();
                signals.take();
                signals.take();
                assert_eq!(signals.count(), n);
            }
            drop(signals);
            assert_eq!(SigSet::thread_get_mask().unwrap(), before);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_number_of_no_signal_is_refused() {
        assert!(EndSignals::block(&[0]).is_err());
    }
}
