//! What goes wrong without ending a connection, and how its application learns of it: ICMP errors
//! about what is in flight, and excessive retransmissions (RFC 9293 sections 3.8.3, 3.9.1.8 and
//! 3.9.2.2).

use core::fmt;

use super::{CloseReason, Connection, Events, Unreachable};

/// Something that goes wrong and may pass: the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SoftError {
    /// The network says that the peer cannot be reached.
    Unreachable(Unreachable),
    /// A packet has gone in circles, or the peer has not got all fragments of one (ICMP time
    /// exceeded).
    TimeExceeded,
    /// A router or the peer did not understand an IP header of ours (ICMP parameter problem).
    ParameterProblem,
    /// The same segment has been sent again as often as R1 says, and the peer has not answered
    /// (RFC 9293 section 3.8.3).
    Retransmitting,
}

impl fmt::Display for SoftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(what) => what.fmt(f),
            Self::TimeExceeded => f.write_str("time to live exceeded"),
            Self::ParameterProblem => f.write_str("IP header not understood"),
            Self::Retransmitting => f.write_str("the peer does not answer"),
        }
    }
}

impl Connection {
    /// An ICMP error about a segment in flight. RFC 9293 section 3.9.2.2 (MUST-56): soft errors
    /// must not abort a connection; Linux and this stack let any unreachable end one that is not
    /// established yet (RFC 5461 section 4), and none that is (RFC 5927 section 5.2).
    pub(crate) fn on_icmp_error(&mut self, error: SoftError) {
        if let SoftError::Unreachable(what) = error
            && !self.state.is_synchronized()
        {
            return self.end(CloseReason::Unreachable(what));
        }
        // SHLD-25: made known, and kept in case nothing is heard of the peer any more.
        log::debug!("{:?}: {error}", self.flow);
        self.icmp_error = Some(error);
        self.events |= Events::ICMP_ERROR;
    }

    /// The oldest segment is about to be sent again: tells when that is the R1st time (RFC 9293
    /// section 3.8.3, MUST-20 and SHLD-9).
    pub(super) fn check_r1(&mut self) {
        if self.retries == self.settings.r1 {
            log::debug!("{:?}: {}", self.flow, SoftError::Retransmitting);
            self.events |= Events::RETRANSMITTING;
        }
    }

    /// What has gone wrong since the peer was last heard of. An ICMP error says more than silence
    /// does.
    pub(crate) fn soft_error(&self) -> Option<SoftError> {
        let excessive = self.settings.r1 > 0 && self.retries >= self.settings.r1;
        self.icmp_error.or(excessive.then_some(SoftError::Retransmitting))
    }

    /// What of these events the application wants to be told. Without error reports it is told of
    /// none of the three conditions that RFC 9293 section 3.9.1.8 has them for (SHLD-20).
    pub(crate) fn wanted(&self, events: Events) -> Events {
        const REPORTS: Events =
            Events::ICMP_ERROR.union(Events::RETRANSMITTING).union(Events::URGENT);
        if self.settings.error_reports { events } else { events - REPORTS }
    }

    /// Why a connection ends whose peer does not answer: as the network has explained it, if it
    /// has; the same as in Linux, which reports its `sk_err_soft` then.
    pub(super) fn silence(&self) -> CloseReason {
        match self.icmp_error {
            Some(SoftError::Unreachable(what)) => CloseReason::Unreachable(what),
            Some(SoftError::TimeExceeded) => CloseReason::Unreachable(Unreachable::Host),
            _ => CloseReason::TimedOut,
        }
    }
}
