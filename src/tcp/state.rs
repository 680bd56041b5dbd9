//! The eleven states and the legal edges between them (RFC 9293 section 3.3.2, figure 5), as data.

use core::fmt;

/// The state of a connection (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Our SYN is out, the peer's has not come.
    SynSent,
    /// Both SYNs are out, ours is not acknowledged.
    SynReceived,
    /// Open: data flows both ways.
    Established,
    /// We closed; our FIN is not acknowledged.
    FinWait1,
    /// We closed, the peer has acknowledged it but goes on sending.
    FinWait2,
    /// The peer closed; we go on sending.
    CloseWait,
    /// Both closed at once; our FIN is not acknowledged.
    Closing,
    /// The peer closed, then we did; our FIN is not acknowledged.
    LastAck,
    /// All is done; old segments are given time to die out.
    TimeWait,
}

impl State {
    /// Every state, in the order of the RFC.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The edges of figure 5 that leave this state, each with what causes it. Every state but
    /// CLOSED also has an edge to CLOSED: a reset, an abort or a timeout (figure 5, notes 1 to 3).
    pub const fn edges(self) -> &'static [(Self, &'static str)] {
        use State::*;
        match self {
            Closed => &[(Listen, "passive OPEN"), (SynSent, "active OPEN: send SYN")],
            Listen => &[
                (SynReceived, "receive SYN: send SYN, ACK"),
                (SynSent, "SEND: send SYN"),
                (Closed, "CLOSE"),
            ],
            SynSent => &[
                (SynReceived, "receive SYN: send SYN, ACK"),
                (Established, "receive SYN, ACK: send ACK"),
                (Closed, "CLOSE, reset or timeout"),
            ],
            SynReceived => &[
                (Established, "receive ACK of SYN"),
                (FinWait1, "CLOSE: send FIN"),
                (CloseWait, "receive FIN"),
                (Listen, "receive RST, passive OPEN"),
                (Closed, "reset or timeout"),
            ],
            Established => &[
                (FinWait1, "CLOSE: send FIN"),
                (CloseWait, "receive FIN: send ACK"),
                (Closed, "reset, abort or timeout"),
            ],
            FinWait1 => &[
                (FinWait2, "receive ACK of FIN"),
                (Closing, "receive FIN: send ACK"),
                (TimeWait, "receive FIN and ACK of FIN: send ACK"),
                (Closed, "reset, abort or timeout"),
            ],
            FinWait2 => &[(TimeWait, "receive FIN: send ACK"), (Closed, "reset, abort or timeout")],
            CloseWait => &[(LastAck, "CLOSE: send FIN"), (Closed, "reset, abort or timeout")],
            Closing => &[(TimeWait, "receive ACK of FIN"), (Closed, "reset, abort or timeout")],
            LastAck => &[(Closed, "receive ACK of FIN, reset, abort or timeout")],
            TimeWait => &[(Closed, "2MSL timeout")],
        }
    }

    /// Whether figure 5 has an edge from here to `to`.
    pub fn may_become(self, to: Self) -> bool {
        self.edges().iter().any(|&(next, _)| next == to)
    }

    /// Whether both SYNs have been acknowledged: ESTABLISHED and all that follows it, up to
    /// TIME-WAIT.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived)
    }

    /// Whether text of the peer may still arrive (RFC 9293 section 3.10.7.4, seventh step).
    pub const fn receives_text(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether the application may still hand over data to send.
    pub const fn accepts_writes(self) -> bool {
        matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }

    /// Whether our FIN is queued or sent, and nothing can follow it.
    pub const fn has_closed(self) -> bool {
        matches!(
            self,
            Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck | Self::TimeWait
        )
    }

    /// Whether the peer's FIN has been received.
    pub const fn peer_has_closed(self) -> bool {
        matches!(self, Self::CloseWait | Self::Closing | Self::LastAck | Self::TimeWait)
    }
}

/// The RFC's spelling, as `ss` and textbooks have it.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figure 5, written down a second time as a matrix: row "from", column "to", in the order of
    /// [`State::ALL`].
    const FIGURE_5: [&str; 11] = [
        ".xx........", // CLOSED
        "x.xx.......", // LISTEN
        "x..xx......", // SYN-SENT
        "xx..xx.x...", // SYN-RECEIVED
        "x....x.x...", // ESTABLISHED
        "x.....x.x.x", // FIN-WAIT-1
        "x.........x", // FIN-WAIT-2
        "x........x.", // CLOSE-WAIT
        "x.........x", // CLOSING
        "x..........", // LAST-ACK
        "x..........", // TIME-WAIT
    ];

    #[test]
    fn all_121_pairs_agree_with_the_figure() {
        for (from, row) in State::ALL.iter().zip(FIGURE_5) {
            for (to, mark) in State::ALL.iter().zip(row.chars()) {
                assert_eq!(from.may_become(*to), mark == 'x', "{from} -> {to}");
            }
        }
    }
}
