//! Proportional rate reduction (RFC 9937): how much recovery sends in answer to each ACK, so that
//! what is in the network comes down to ssthresh by the end of it, without a silence and without a
//! burst. As in Linux and FreeBSD the same is done where the window is reduced for a mark and nothing
//! is lost: there ssthresh is the new window.

/// The reduction that is under way. Amounts are bytes of sequence space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prr {
    /// What the congestion controller wants in the end.
    ssthresh: u32,
    /// FlightSize when recovery began.
    recover_fs: u32,
    /// Delivered since.
    delivered: u64,
    /// Sent since.
    out: u64,
    /// What may be in the network now.
    window: u32,
}

/// What an ACK means for a reduction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// DeliveredData: what it acknowledges or reports for the first time.
    pub(super) delivered: u32,
    /// What is in the network after it.
    pub(super) in_network: u32,
    /// SafeACK: SND.UNA moves, and nothing more is found to be lost. Nor is one safe that echoes
    /// congestion: by such an ACK the window is not to grow (RFC 3168 section 6.1.2).
    pub(super) safe: bool,
    /// SMSS.
    pub(super) mss: u32,
}

impl Prr {
    /// Recovery begins, with `recover_fs` bytes that were not delivered before the ACK that shows
    /// the loss (RFC 9937 section 6.1).
    pub(super) fn new(ssthresh: u32, recover_fs: u32) -> Self {
        Self { ssthresh, recover_fs: recover_fs.max(1), delivered: 0, out: 0, window: 0 }
    }

    /// The same, with nothing let out beyond the `in_network` bytes until an ACK delivers something.
    pub(super) fn holding(self, in_network: u32) -> Self {
        Self { window: in_network, ..self }
    }

    /// What may be in the network.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// An ACK that starts recovery or arrives during it (RFC 9937 section 6.2).
    pub(super) fn on_ack(&mut self, progress: Progress) {
        let Progress { delivered, in_network, safe, mss } = progress;
        if delivered == 0 {
            return;
        }
        self.delivered += u64::from(delivered);
        let whole = u64::from(mss.max(1));
        let owed = if in_network > self.ssthresh {
            // "Proportional Rate Reduction", by the whole segments of ssthresh, as Linux counts it: a
            // part of one would make a whole segment of what is due, and with several segments to an
            // ACK it would go out an ACK too early, into a queue that is full.
            let due = self.delivered * (u64::from(self.ssthresh) / whole * whole);
            due.div_ceil(u64::from(self.recover_fs)).saturating_sub(self.out)
        } else {
            // PRR-CRB, or PRR-SSRB when recovery is in good progress.
            let conserved = self.delivered.saturating_sub(self.out).max(u64::from(delivered));
            let owed = conserved + if safe { whole } else { 0 };
            let room = u64::from(self.ssthresh - in_network);
            owed.next_multiple_of(whole).min(room / whole * whole)
        };
        self.allow(in_network, owed, whole);
    }

    /// The reordering timer has found the loss: there is no ACK, and nothing is delivered, but one
    /// segment goes out.
    pub(super) fn on_timer(&mut self, in_network: u32, mss: u32) {
        self.allow(in_network, 0, mss.max(1).into());
    }

    /// `owed` bytes may follow the `in_network`. Bytes make whole segments here, as Linux counts them:
    /// what is due in part may go out; it counts for what is due next.
    fn allow(&mut self, in_network: u32, owed: u64, mss: u64) {
        // "Force a fast retransmit upon entering recovery".
        let least = if self.out == 0 { mss } else { 0 };
        let owed = owed.next_multiple_of(mss).max(least);
        self.window = in_network.saturating_add(u32::try_from(owed).unwrap_or(u32::MAX));
    }

    /// `len` bytes are sent, for the first time or again.
    pub(super) fn on_sent(&mut self, len: u32) {
        self.out += u64::from(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    /// A sender in recovery whose network loses nothing more: what it sends for each ACK, in
    /// segments, and what is in the network then.
    struct Sender {
        prr: Prr,
        in_network: u32,
    }

    impl Sender {
        /// `flight` segments were out, of which `lost` are lost; the ACK that shows it reports one,
        /// and two were reported before.
        fn new(flight: u32, lost: u32, ssthresh: u32) -> Self {
            let prr = Prr::new(ssthresh * MSS, (flight - 2) * MSS);
            Self { prr, in_network: (flight - 2 - lost) * MSS }
        }

        /// An ACK delivers `segments`, in the network or not.
        fn hears(&mut self, segments: u32, safe: bool) -> u32 {
            self.in_network -= segments.min(self.in_network / MSS) * MSS;
            let delivered = segments * MSS;
            let in_network = self.in_network;
            self.prr.on_ack(Progress { delivered, in_network, safe, mss: MSS });
            let may = self.prr.window().saturating_sub(self.in_network) / MSS;
            self.prr.on_sent(may * MSS);
            self.in_network += may * MSS;
            may
        }
    }

    #[test]
    fn a_single_loss_is_repaired_while_the_flight_shrinks_to_the_threshold() {
        // One of 20 segments is lost, ssthresh is half of them. The retransmission goes out at once,
        // then about one segment for two ACKs: "CEIL(prr_delivered * ssthresh / RecoverFS)".
        let mut sender = Sender::new(20, 1, 10);
        assert_eq!(sender.hears(1, false), 1, "fast retransmit");
        let sent: Vec<u32> = (0..16).map(|_| sender.hears(1, false)).collect();
        assert_eq!(1 + sent.iter().sum::<u32>(), (17 * 10_u32).div_ceil(18), "{sent:?}");
        assert!(sent.windows(3).all(|three| three.iter().sum::<u32>() <= 2), "{sent:?}");
        assert_eq!(sender.in_network, 10 * MSS);
    }

    #[test]
    fn a_part_of_a_segment_of_the_threshold_lets_no_whole_one_out() {
        // In bytes ssthresh is a little more than half of RecoverFS, in whole segments it is less. The
        // ACK that begins recovery reports two segments: for them the retransmission goes out, alone.
        let (mss, in_network) = (1_448, 132 * 1_448);
        let mut prr = Prr::new(67 * mss + 1_086, 135 * mss);
        let ack = Progress { delivered: 2 * mss, in_network, safe: false, mss };
        prr.on_ack(ack);
        assert_eq!(prr.window(), in_network + mss);
        prr.on_sent(mss);
        // What is lost by rounding is less than a segment in a whole recovery, as in Linux.
        for _ in 0..66 {
            prr.on_ack(ack);
            prr.on_sent(prr.window() - in_network);
        }
        assert_eq!(prr.out, u64::from((134 * 67u32).div_ceil(135) * mss));
    }

    #[test]
    fn after_heavy_losses_what_is_delivered_is_what_is_sent() {
        // RFC 9937 section 6.2, PRR-CRB: "packet conservation" below ssthresh.
        let mut sender = Sender::new(20, 15, 10);
        for _ in 0..2 {
            assert_eq!(sender.hears(1, false), 1);
        }
        let before = sender.in_network;
        assert_eq!(sender.hears(1, false), 1);
        assert_eq!(sender.in_network, before);
    }

    #[test]
    fn in_good_progress_it_grows_as_in_slow_start_up_to_the_threshold() {
        // RFC 9937 section 6.2, PRR-SSRB with SafeACK.
        let mut sender = Sender::new(20, 15, 10);
        sender.hears(1, false);
        let mut grown = vec![sender.in_network / MSS];
        for _ in 0..12 {
            assert!(sender.hears(1, true) <= 2);
            grown.push(sender.in_network / MSS);
        }
        assert!(grown.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{grown:?}");
        assert_eq!(grown.last(), Some(&10), "{grown:?}");
    }

    #[test]
    fn an_ack_that_delivers_nothing_lets_nothing_out() {
        let mut sender = Sender::new(20, 5, 10);
        sender.hears(1, false);
        let before = sender.prr;
        let silent = Progress { delivered: 0, in_network: 9 * MSS, safe: true, mss: MSS };
        sender.prr.on_ack(silent);
        assert_eq!(sender.prr, before);
    }

    #[test]
    fn where_a_timer_has_found_the_loss_one_segment_goes_out() {
        let mut prr = Prr::new(5 * MSS, 4 * MSS);
        prr.on_timer(0, MSS);
        assert_eq!(prr.window(), MSS);
        prr.on_sent(MSS);
        prr.on_timer(3 * MSS, MSS);
        assert_eq!(prr.window(), 3 * MSS, "only upon entering recovery");
    }

    #[test]
    fn what_is_sent_never_exceeds_what_is_delivered_by_more_than_slow_start_would() {
        // However the ACKs are cut.
        let mut prr = Prr::new(7 * MSS, 10 * MSS);
        let (mut in_network, mut sent) = (6 * MSS, 0);
        for n in 0..400u32 {
            let delivered = 1 + n * 37 % 300;
            in_network = in_network.saturating_sub(delivered);
            prr.on_ack(Progress { delivered, in_network, safe: false, mss: MSS });
            while in_network + MSS <= prr.window() {
                prr.on_sent(MSS);
                in_network += MSS;
                sent += u64::from(MSS);
            }
            assert!(sent <= prr.delivered.max(u64::from(delivered)) + 2 * u64::from(MSS));
            assert!(in_network <= 7 * MSS + MSS, "{in_network}");
        }
    }
}
