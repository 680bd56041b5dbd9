//! How long the loop sleeps, and what ends its sleep.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::time::Instant;

/// What ends a sleep, as the numbers that epoll gives back.
const DEVICE: u64 = 0;
const TIMER: u64 = 1;
const OTHER: u64 = 2;

/// What ended the sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    /// The device has a packet, or may have: a device without a descriptor cannot tell.
    pub(super) readable: bool,
    /// Polling the device reports an error.
    pub(super) failed: bool,
    /// Something else than the device and the timer.
    pub(super) by_another: bool,
    /// Not just the timer or nothing at all: the device's descriptor or something else.
    pub(super) by_event: bool,
}

/// Waits for the loop.
///
/// What ends a sleep is known to the kernel once and for all (epoll), so that a sleep takes one
/// system call whatever there is to wait for. The device is watched for the edge: it has to be
/// read until it is empty before the loop sleeps. The timer is set only if it would run out too
/// late: deadlines move back with nearly every packet, and one that runs out too early does no
/// harm.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set for.
    armed_for: Option<Instant>,
    /// Whether the device has a descriptor, once that has been asked.
    has_descriptor: Option<bool>,
    /// Room to send is waited for too, not only packets.
    for_room: bool,
}

impl Poller {
    /// One for a loop that has nothing to wait for yet.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // For the edge, so that nobody has to read how often it has run out.
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(timer.as_fd(), EpollEvent::new(interest, TIMER))?;
        Ok(Self { epoll, timer, armed_for: None, has_descriptor: None, for_room: false })
    }

    /// From now on `fd` ends a sleep for as long as it is readable.
    pub(super) fn wake_by(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, OTHER))?)
    }

    /// Says what device is waited for, the same one every time, and whether for room to send too.
    pub(super) fn wait_for(
        &mut self,
        device: Option<BorrowedFd<'_>>,
        for_room: bool,
    ) -> io::Result<()> {
        if self.has_descriptor.is_some() && self.for_room == for_room {
            return Ok(());
        }
        if let Some(device) = device {
            let mut interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
            interest.set(EpollFlags::EPOLLOUT, for_room);
            let mut event = EpollEvent::new(interest, DEVICE);
            match self.has_descriptor {
                None => self.epoll.add(device, event)?,
                Some(_) => self.epoll.modify(device, &mut event)?,
            }
        }
        self.has_descriptor = Some(device.is_some());
        self.for_room = for_room;
        Ok(())
    }

    /// Sleeps until something happens, or until the deadline, if there is one; it is `now`.
    pub(super) fn sleep(&mut self, now: Instant, deadline: Option<Instant>) -> io::Result<Woken> {
        if let Some(deadline) = deadline {
            if deadline <= now {
                return self.look();
            }
            if self.armed_for.is_none_or(|at| deadline < at) {
                // To the nanosecond, so that it never runs out just before the deadline.
                let after = TimeSpec::from_duration(deadline.since(now));
                self.timer.set(Expiration::OneShot(after), TimerSetTimeFlags::empty())?;
                self.armed_for = Some(deadline);
            }
        }
        self.wait(EpollTimeout::NONE)
    }

    /// Looks whether anything has happened, without sleeping.
    pub(super) fn look(&mut self) -> io::Result<Woken> {
        self.wait(EpollTimeout::ZERO)
    }

    fn wait(&mut self, timeout: EpollTimeout) -> io::Result<Woken> {
        let mut events = [EpollEvent::empty(); 4];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            // A signal ends the sleep early, which is no error.
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let readable = self.has_descriptor == Some(false);
        let mut woken = Woken { readable, ..Woken::default() };
        for event in events.iter().take(count) {
            match event.data() {
                DEVICE => {
                    woken.by_event = true;
                    let flags = event.events();
                    woken.readable |= flags.contains(EpollFlags::EPOLLIN);
                    woken.failed |= flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
                }
                TIMER => self.armed_for = None,
                _ => {
                    woken.by_event = true;
                    woken.by_another = true;
                }
            }
        }
        Ok(woken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::super::clock::Clock;
    use super::super::waker::Waker;
    use super::*;

    const NOTHING: Woken =
        Woken { readable: false, failed: false, by_another: false, by_event: false };

    #[test]
    fn a_sleep_is_never_shorter_than_it_should_be() {
        let clock = Clock::start();
        let mut poller = Poller::new().unwrap();
        for nanos in [1, 1_500_000, 3] {
            let now = clock.now();
            let deadline = now + Duration::from_nanos(nanos);
            poller.sleep(now, Some(deadline)).unwrap();
            assert!(clock.now() >= deadline);
        }
    }

    #[test]
    fn a_deadline_that_has_passed_is_no_sleep() {
        let mut poller = Poller::new().unwrap();
        let now = Instant::from_millis(5);
        assert_eq!(poller.sleep(now, Some(now)).unwrap(), NOTHING);
        assert_eq!(poller.sleep(now, Some(Instant::ZERO)).unwrap(), NOTHING);
    }

    #[test]
    fn the_timer_is_moved_to_an_earlier_deadline_and_left_alone_for_a_later_one() {
        let clock = Clock::start();
        let mut poller = Poller::new().unwrap();
        let (_reader, writer) = nix::unistd::pipe().unwrap();
        poller.wait_for(Some(writer.as_fd()), true).unwrap();
        let now = clock.now();
        let at = |millis| Some(now + Duration::from_millis(millis));
        // Ends at once: there is room in the pipe.
        poller.sleep(now, at(3_600_000)).unwrap();
        assert_eq!(poller.armed_for, at(3_600_000));
        poller.sleep(now, at(2)).unwrap();
        assert_eq!(poller.armed_for, None, "it has run out");
        poller.sleep(clock.now(), at(5)).unwrap();
        assert_eq!(poller.armed_for, None);
        assert!(clock.now() >= at(5).unwrap());
    }

    #[test]
    fn readiness_of_the_device_is_told_apart() {
        let waker = Waker::new().unwrap();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut poller = Poller::new().unwrap();
        poller.wake_by(waker.fd()).unwrap();
        poller.wait_for(Some(reader.as_fd()), false).unwrap();
        assert_eq!(poller.look().unwrap(), NOTHING);
        waker.wake();
        let by_another = Woken { by_another: true, by_event: true, ..NOTHING };
        assert_eq!(poller.sleep(Instant::ZERO, None).unwrap(), by_another);
        nix::unistd::write(&writer, b"x").unwrap();
        assert!(poller.look().unwrap().readable);
        drop(writer);
        assert!(poller.look().unwrap().failed);
    }

    #[test]
    fn room_to_send_ends_a_sleep_only_if_it_is_awaited() {
        let (_reader, writer) = nix::unistd::pipe().unwrap();
        let mut poller = Poller::new().unwrap();
        poller.wait_for(Some(writer.as_fd()), true).unwrap();
        // Returns at all: there is no deadline.
        let room = Woken { by_event: true, ..NOTHING };
        assert_eq!(poller.sleep(Instant::ZERO, None).unwrap(), room);
        poller.wait_for(Some(writer.as_fd()), false).unwrap();
        let clock = Clock::start();
        let deadline = Instant::from_nanos(1_500_000);
        poller.sleep(Instant::ZERO, Some(deadline)).unwrap();
        assert!(clock.now() >= deadline);
    }

    #[test]
    fn a_device_without_a_descriptor_may_always_have_something() {
        let mut poller = Poller::new().unwrap();
        poller.wait_for(None, false).unwrap();
        assert!(poller.look().unwrap().readable);
    }
}
