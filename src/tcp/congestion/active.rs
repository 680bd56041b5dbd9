//! The controller of a connection at work: our own without a detour, foreign ones boxed.

use super::{Congestion, Controller, Cubic, NewReno};
use crate::time::Instant;

#[derive(Debug)]
pub(in crate::tcp) enum Active {
    Cubic(Cubic),
    NewReno(NewReno),
    Custom(Box<dyn Controller>),
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Active>() <= 24);

impl Active {
    /// For segments of `mss` bytes.
    pub(in crate::tcp) fn new(which: Congestion, mss: u32) -> Self {
        match which {
            Congestion::Cubic => Self::Cubic(Cubic::new(mss)),
            Congestion::NewReno => Self::NewReno(NewReno::new(mss)),
            Congestion::Custom(make) => Self::Custom(make(mss)),
        }
    }

    /// Puts another in its place, which goes on with its window.
    pub(in crate::tcp) fn change_to(&mut self, which: Congestion, mss: u32) {
        let (cwnd, ssthresh) = (self.cwnd(), self.ssthresh());
        *self = Self::new(which, mss);
        self.get_mut().take_over(cwnd, ssthresh);
    }

    /// The congestion window, which is asked for all the time.
    #[inline]
    pub(in crate::tcp) fn cwnd(&self) -> u32 {
        match self {
            Self::Cubic(controller) => controller.cwnd(),
            Self::NewReno(controller) => controller.cwnd(),
            Self::Custom(controller) => controller.cwnd(),
        }
    }

    /// The slow start threshold.
    #[inline]
    pub(in crate::tcp) fn ssthresh(&self) -> u32 {
        match self {
            Self::Cubic(controller) => controller.ssthresh(),
            Self::NewReno(controller) => controller.ssthresh(),
            Self::Custom(controller) => controller.ssthresh(),
        }
    }

    /// Whether it rules its window in recovery by itself.
    #[inline]
    pub(in crate::tcp) fn paces_recovery(&self) -> bool {
        match self {
            Self::Cubic(_) | Self::NewReno(_) => false,
            Self::Custom(controller) => controller.paces_recovery(),
        }
    }

    /// Something is sent while nothing is in the network: with each question and answer.
    #[inline]
    pub(in crate::tcp) fn on_restart(&mut self, now: Instant) {
        match self {
            Self::Cubic(controller) => controller.on_restart(now),
            Self::NewReno(_) => {}
            Self::Custom(controller) => controller.on_restart(now),
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

    pub(in crate::tcp) fn get_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::Cubic(controller) => controller,
            Self::NewReno(controller) => controller,
            Self::Custom(controller) => controller.as_mut(),
        }
    }

    /// Bytes of memory taken beside itself.
    pub(in crate::tcp) fn memory(&self) -> usize {
        match self {
            Self::Cubic(controller) => controller.memory(),
            Self::NewReno(_) => 0,
            Self::Custom(controller) => size_of_val(&**controller),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_controller_goes_on_with_the_window_that_there_was() {
        let custom: fn(u32) -> Box<dyn Controller> = |mss| Box::new(NewReno::new(mss));
        let kinds = [Congestion::NewReno, Congestion::Custom(custom), Congestion::Cubic];
        let mut active = Active::new(Congestion::Cubic, 1_000);
        active
            .get_mut()
            .on_timeout(&super::super::Loss { now: Instant::ZERO, flight_size: 9_000 }, true);
        let window = (active.cwnd(), active.ssthresh());
        assert_eq!(window, (1_000, 7_000));
        for kind in kinds {
            active.change_to(kind, 1_000);
            assert_eq!((active.cwnd(), active.ssthresh()), window, "{kind:?}");
        }
    }
}
