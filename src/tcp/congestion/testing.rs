//! What the tests of the controllers share.

use super::{AckSample, Loss};
use crate::time::Instant;

/// An ACK of so many bytes, of a sender that its window holds back; nothing else is known.
pub(super) fn ack(now: Instant, acked: u32) -> AckSample {
    AckSample {
        now,
        acked,
        newly_delivered: acked,
        newly_lost: 0,
        prior_in_flight: acked,
        in_flight: 0,
        delivered: u64::from(acked),
        rtt: None,
        srtt: None,
        cwnd_limited: true,
        in_recovery: false,
        has_sack: true,
        echoes_congestion: false,
        rate: None,
    }
}

/// A loss with so many bytes in flight.
pub(super) fn loss(now: Instant, flight_size: u32) -> Loss {
    Loss { now, flight_size }
}
