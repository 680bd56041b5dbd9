//! The sequence variables of a connection (RFC 9293 section 3.3.1).

use crate::wire::SeqNum;

/// The send sequence variables (RFC 9293 section 3.3.1, figure 3).
///
/// ```text
///            1         2          3          4
///       ----------|----------|----------|----------
///              SND.UNA    SND.NXT    SND.UNA
///                                   +SND.WND
///
///   1 acknowledged   2 in the network   3 may be sent   4 may not
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct SendSequence {
    pub(super) iss: SeqNum,
    /// Our SYN is acknowledged.
    pub(super) syn_acked: bool,
    pub(super) una: SeqNum,
    pub(super) nxt: SeqNum,
    pub(super) wnd: u32,
    /// SEG.SEQ and SEG.ACK of the last window update.
    pub(super) wl1: SeqNum,
    pub(super) wl2: SeqNum,
    /// The largest window the peer has offered (RFC 9293 section 3.8.6.2.1).
    pub(super) max_wnd: u32,
    /// The end of the last segment that was sent though not full-sized (Minshall).
    pub(super) small: SeqNum,
    /// Bytes that a segment may carry, TCP options included: what the peer can receive and the path
    /// can carry.
    pub(super) mss: u16,
    /// Our FIN has been sent: the last thing before SND.NXT.
    pub(super) fin_sent: bool,
}

impl SendSequence {
    /// Nothing is sent yet; `iss` is the initial send sequence number.
    pub(super) fn new(iss: SeqNum, mss: u16) -> Self {
        let zero = SeqNum(0);
        Self {
            iss,
            syn_acked: false,
            una: iss,
            nxt: iss,
            wnd: 0,
            wl1: zero,
            wl2: zero,
            max_wnd: 0,
            small: iss,
            mss,
            fin_sent: false,
        }
    }

    /// The sequence number of our FIN, once sent.
    pub(super) fn fin(&self) -> Option<SeqNum> {
        self.fin_sent.then(|| self.nxt - 1)
    }
}

/// The receive sequence variables (RFC 9293 section 3.3.1, figure 4).
///
/// ```text
///            1          2          3
///       ----------|----------|----------
///              RCV.NXT     edge
///
///   1 received and acknowledged   2 the window: edge = RCV.NXT + RCV.WND   3 not yet offered
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveSequence {
    pub(super) irs: SeqNum,
    pub(super) nxt: SeqNum,
    /// The right edge of the window, as announced. It never moves left (RFC 9293 section 3.8.6,
    /// SHLD-14).
    pub(super) edge: SeqNum,
    /// How much of it, at its right end, the peer has been told is not there for want of memory.
    pub(super) withheld: u32,
    /// The sequence number of the peer's FIN, once seen, also beyond a hole.
    pub(super) fin: Option<SeqNum>,
}

impl ReceiveSequence {
    /// Nothing has arrived yet; our SYN offers `window` bytes, wherever the peer's will have it
    /// start.
    pub(super) fn new(window: u32) -> Self {
        let zero = SeqNum(0);
        Self { irs: zero, nxt: zero, edge: zero + window, withheld: 0, fin: None }
    }
}
