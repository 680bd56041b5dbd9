//! The controller of a connection at work: those that are small and of our own without a detour, BBR
//! and foreign ones boxed.

use super::{Bbr, Congestion, Controller, Cubic, NewReno};
use crate::time::Instant;

#[derive(Debug)]
pub(in crate::tcp) enum Active {
    Cubic(Cubic),
    NewReno(NewReno),
    Boxed(Box<dyn Controller>),
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Active>() <= 24);

impl Active {
    /// For segments of `mss` bytes; what chance has a say in follows from `seed`.
    pub(in crate::tcp) fn new(which: Congestion, mss: u32, seed: u64) -> Self {
        match which {
            Congestion::Cubic => Self::Cubic(Cubic::new(mss)),
            Congestion::NewReno => Self::NewReno(NewReno::new(mss)),
            Congestion::Bbr => Self::Boxed(Box::new(Bbr::new(mss, seed))),
            Congestion::Custom(make) => Self::Boxed(make(mss)),
        }
    }

    /// Puts another in its place, which goes on with its window.
    pub(in crate::tcp) fn change_to(&mut self, which: Congestion, mss: u32, seed: u64) {
        let (cwnd, ssthresh) = (self.cwnd(), self.ssthresh());
        *self = Self::new(which, mss, seed);
        self.get_mut().take_over(cwnd, ssthresh);
    }

    /// The congestion window, which is asked for all the time.
    #[inline]
    pub(in crate::tcp) fn cwnd(&self) -> u32 {
        match self {
            Self::Cubic(controller) => controller.cwnd(),
            Self::NewReno(controller) => controller.cwnd(),
            Self::Boxed(controller) => controller.cwnd(),
        }
    }

    /// The slow start threshold.
    #[inline]
    pub(in crate::tcp) fn ssthresh(&self) -> u32 {
        match self {
            Self::Cubic(controller) => controller.ssthresh(),
            Self::NewReno(controller) => controller.ssthresh(),
            Self::Boxed(controller) => controller.ssthresh(),
        }
    }

    /// Whether it rules its window in recovery by itself.
    #[inline]
    pub(in crate::tcp) fn paces_recovery(&self) -> bool {
        match self {
            Self::Cubic(_) | Self::NewReno(_) => false,
            Self::Boxed(controller) => controller.paces_recovery(),
        }
    }

    /// Whether it wants rate samples, or paces.
    #[inline]
    pub(in crate::tcp) fn is_metered(&self) -> bool {
        self.boxed().is_some_and(|it| it.wants_rate_samples() || it.pacing_rate().is_some())
    }

    /// Whether what is sent now is to be marked as limited by the application.
    pub(in crate::tcp) fn marks_app_limited(&self) -> bool {
        self.boxed().is_some_and(Controller::marks_app_limited)
    }

    /// Bytes per second to send at, if it paces. A rate of nothing would never send: as in Linux it is
    /// none.
    pub(in crate::tcp) fn pacing_rate(&self) -> Option<u64> {
        self.boxed().and_then(Controller::pacing_rate).filter(|&rate| rate > 0)
    }

    /// The most bytes to be handed to the device at a time, if it paces.
    pub(in crate::tcp) fn send_quantum(&self) -> Option<u32> {
        self.boxed().and_then(Controller::send_quantum)
    }

    /// Something is sent while nothing is in the network: with each question and answer.
    #[inline]
    pub(in crate::tcp) fn on_restart(&mut self, now: Instant) {
        match self {
            Self::Cubic(controller) => controller.on_restart(now),
            Self::NewReno(_) => {}
            Self::Boxed(controller) => controller.on_restart(now),
        }
    }

    /// An ACK has come while the window is not what limits the sender. Answers whether that is all
    /// there is to say of it: those of our own that go by losses let the window be.
    #[inline]
    pub(in crate::tcp) fn on_ack_within_window(&mut self, now: Instant) -> bool {
        match self {
            Self::Cubic(controller) => {
                controller.on_restart(now);
                true
            }
            Self::NewReno(_) => true,
            Self::Boxed(_) => false,
        }
    }

    /// Whether it has memory to give back when nothing has been sent for a while.
    #[inline]
    pub(in crate::tcp) fn can_rest(&self) -> bool {
        matches!(self, Self::Cubic(controller) if controller.memory() > 0)
    }

    /// Nothing has been sent for a retransmission timeout.
    pub(in crate::tcp) fn rest(&mut self) {
        if let Self::Cubic(controller) = self {
            controller.rest();
        }
    }

    fn boxed(&self) -> Option<&dyn Controller> {
        match self {
            Self::Cubic(_) | Self::NewReno(_) => None,
            Self::Boxed(controller) => Some(controller.as_ref()),
        }
    }

    pub(in crate::tcp) fn get_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::Cubic(controller) => controller,
            Self::NewReno(controller) => controller,
            Self::Boxed(controller) => controller.as_mut(),
        }
    }

    /// Bytes of memory taken beside itself.
    pub(in crate::tcp) fn memory(&self) -> usize {
        match self {
            Self::Cubic(controller) => controller.memory(),
            Self::NewReno(_) => 0,
            Self::Boxed(controller) => size_of_val(&**controller),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AckSample, testing};
    use super::*;

    /// What is said in short is what the sample would have said.
    #[test]
    fn an_ack_that_the_window_need_not_grow_by_changes_the_same_with_a_sample_and_without() {
        let at = |seconds: u64| Instant::from_millis(1_000 * seconds);
        for kind in [Congestion::NewReno, Congestion::Cubic] {
            let after = |short: bool| {
                let mut active = Active::new(kind, 1_000, 1);
                active.get_mut().on_timeout(&testing::loss(at(1), 9_000), true);
                // Into congestion avoidance, where time counts.
                active.get_mut().on_ack(&testing::ack(at(2), 90_000));
                if short {
                    assert!(active.on_ack_within_window(at(5)));
                } else {
                    let ack = AckSample { cwnd_limited: false, ..testing::ack(at(5), 1_000) };
                    active.get_mut().on_ack(&ack);
                }
                active.get_mut().on_ack(&testing::ack(at(6), 1_000));
                format!("{active:?}")
            };
            assert_eq!(after(true), after(false), "{kind:?}");
        }
    }

    #[test]
    fn another_controller_goes_on_with_the_window_that_there_was() {
        let custom: fn(u32) -> Box<dyn Controller> = |mss| Box::new(NewReno::new(mss));
        let kinds = [Congestion::NewReno, Congestion::Custom(custom), Congestion::Cubic];
        let mut active = Active::new(Congestion::Cubic, 1_000, 1);
        active
            .get_mut()
            .on_timeout(&super::super::Loss { now: Instant::ZERO, flight_size: 9_000 }, true);
        let window = (active.cwnd(), active.ssthresh());
        assert_eq!(window, (1_000, 7_000));
        for kind in kinds {
            active.change_to(kind, 1_000, 1);
            assert_eq!((active.cwnd(), active.ssthresh()), window, "{kind:?}");
        }
    }
}
