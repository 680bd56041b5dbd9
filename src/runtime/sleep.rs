//! How long the loop sleeps, and what ends its sleep.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::time::Instant;

/// What the loop waits for beside the waker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait<'a> {
    /// The device, if it has a descriptor.
    pub(super) device: Option<BorrowedFd<'a>>,
    /// Room to send is awaited too, not only packets.
    pub(super) for_room: bool,
    /// The waker's descriptor.
    pub(super) waker: BorrowedFd<'a>,
}

/// What ended the sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    /// The device has a packet, or may have: a device without a descriptor cannot tell.
    pub(super) readable: bool,
    /// Polling the device reports an error.
    pub(super) failed: bool,
}

impl Wait<'_> {
    /// Sleeps until something happens, at most for `timeout` (`None`: for ever).
    pub(super) fn sleep(self, timeout: Option<TimeSpec>) -> io::Result<Woken> {
        let waker = PollFd::new(self.waker, PollFlags::POLLIN);
        let Some(device) = self.device else {
            ignore_signals(ppoll(&mut [waker], timeout, None))?;
            return Ok(Woken { readable: true, failed: false });
        };
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, self.for_room);
        let mut fds = [PollFd::new(device, interest), waker];
        ignore_signals(ppoll(&mut fds, timeout, None))?;
        let happened = fds[0].revents().unwrap_or(PollFlags::empty());
        Ok(Woken {
            readable: happened.contains(PollFlags::POLLIN),
            failed: happened
                .intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL),
        })
    }
}

/// A signal ends the sleep early, which is no error.
fn ignore_signals(result: nix::Result<i32>) -> io::Result<()> {
    match result {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The time from `now` to `deadline`, to the nanosecond, so that a sleep never ends before the
/// deadline only to find that nothing is due yet. A deadline that has passed gives zero, none
/// gives `None`.
pub(super) fn timeout(deadline: Option<Instant>, now: Instant) -> Option<TimeSpec> {
    deadline.map(|deadline| TimeSpec::from_duration(deadline.since(now)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::super::waker::Waker;
    use super::*;

    fn spec(nanos: u64) -> TimeSpec {
        TimeSpec::from_duration(Duration::from_nanos(nanos))
    }

    #[test]
    fn timeouts_are_exact_and_never_negative() {
        let now = Instant::from_nanos(5_000_000_001);
        let at = |nanos| Some(Instant::from_nanos(nanos));
        assert_eq!(timeout(None, now), None);
        assert_eq!(timeout(at(5_000_000_001), now), Some(spec(0)));
        assert_eq!(timeout(at(4), now), Some(spec(0)));
        assert_eq!(timeout(at(5_000_000_002), now), Some(spec(1)));
        assert_eq!(timeout(at(7_000_000_000), now), Some(spec(1_999_999_999)));
        let never = timeout(at(u64::MAX), now).unwrap();
        assert!(never.tv_sec() > 0 && (0..1_000_000_000).contains(&never.tv_nsec()));
    }

    #[test]
    fn a_sleep_is_never_shorter_than_its_timeout() {
        let waker = Waker::new().unwrap();
        let wait = Wait { device: None, for_room: false, waker: waker.fd() };
        let start = std::time::Instant::now();
        wait.sleep(Some(spec(1_500_000))).unwrap();
        assert!(start.elapsed() >= Duration::from_nanos(1_500_000));
    }

    #[test]
    fn readiness_of_the_device_is_told_apart() {
        let waker = Waker::new().unwrap();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let wait = Wait { device: Some(reader.as_fd()), for_room: false, waker: waker.fd() };
        assert_eq!(wait.sleep(Some(spec(0))).unwrap(), Woken::default());
        waker.wake();
        assert_eq!(wait.sleep(None).unwrap(), Woken::default());
        nix::unistd::write(&writer, b"x").unwrap();
        assert!(wait.sleep(None).unwrap().readable);
        drop(writer);
        assert!(wait.sleep(None).unwrap().failed);
    }
    #[test]
    fn room_to_send_ends_a_sleep_only_if_it_is_awaited() {
        let waker = Waker::new().unwrap();
        let (_reader, writer) = nix::unistd::pipe().unwrap();
        let wait = |for_room| Wait { device: Some(writer.as_fd()), for_room, waker: waker.fd() };
        // Returns at all: there is no time limit.
        assert_eq!(wait(true).sleep(None).unwrap(), Woken::default());
        let start = std::time::Instant::now();
        wait(false).sleep(Some(spec(1_500_000))).unwrap();
        assert!(start.elapsed() >= Duration::from_nanos(1_500_000));
    }
}
