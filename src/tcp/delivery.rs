//! Delivery-rate sampling (draft-ietf-ccwg-bbr-05 section 4.1): how fast the network delivers,
//! measured from what each segment knew when it was sent and what is known when it has arrived.
//!
//! A connection has this only if its congestion controller
//! [wants it](super::congestion::Controller::wants_rate_samples). Of each segment a
//! [`DeliveryStamp`] is kept; a super-segment is one (section 4.1.3.1).

use super::congestion::{LostPacket, RateSample};
use crate::time::{Duration, Instant, nanos};
use crate::wire::SeqNum;

/// What is to be remembered of a segment that is sent, for when it arrives or is lost: the P of
/// section 4.1.2.1.2. A segment that is sent again gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryStamp {
    /// P.delivered: bytes delivered in all at that time.
    delivered: u64,
    /// P.delivered_time: when the last of them were.
    delivered_time: Instant,
    /// P.first_send_time: the sending that the rate of sending is measured from.
    first_send_time: Instant,
    /// The lower half of what had been lost in all: less than that is lost in a round trip.
    lost: u32,
    /// P.tx_in_flight, with [`APP_LIMITED`] in it.
    in_flight: u32,
}

/// P.is_app_limited: the highest bit of a number of bytes in flight, which a window of 2^30 bytes
/// at most (RFC 7323 section 2.3) leaves free.
const APP_LIMITED: u32 = 1 << 31;

impl DeliveryStamp {
    fn tx_in_flight(self) -> u32 {
        self.in_flight & !APP_LIMITED
    }

    fn is_app_limited(self) -> bool {
        self.in_flight & APP_LIMITED != 0
    }
}

/// A segment, or the part of one, that an ACK reports for the first time, cumulatively or
/// selectively.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// Bytes of it.
    pub len: u32,
    /// P.packet_id: the sequence number behind it.
    pub end: SeqNum,
    /// P.send_time: when it was last sent.
    pub sent_at: Instant,
    /// Whether it has been sent more than once: then its round-trip time is ambiguous (Karn).
    pub retransmitted: bool,
    /// What it was stamped with when it was last sent.
    pub stamp: DeliveryStamp,
}

/// The newest segment that an ACK reports.
#[derive(Clone, Copy, Debug)]
struct Newest {
    segment: Delivered,
    send_elapsed: Duration,
    ack_elapsed: Duration,
}

/// The C of section 4.1.2.1.1: what a connection knows of its deliveries.
#[derive(Debug)]
pub struct Delivery {
    /// C.delivered
    delivered: u64,
    /// C.delivered_time
    delivered_time: Instant,
    /// C.first_send_time
    first_send_time: Instant,
    /// C.app_limited: what will have been delivered when the gap in what was sent has passed; 0: the
    /// application leaves none.
    app_limited: u64,
    /// C.lost
    lost: u64,
    /// C.min_rtt in nanoseconds, `u64::MAX` before the first.
    min_rtt: u64,
    /// What the ACK that is being taken in has reported so far.
    newest: Option<Newest>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            delivered: 0,
            delivered_time: Instant::ZERO,
            first_send_time: Instant::ZERO,
            app_limited: 0,
            lost: 0,
            min_rtt: u64::MAX,
            newest: None,
        }
    }
}

impl Delivery {
    /// Nothing has been delivered, over a path whose least round-trip time so far was `min_rtt`
    /// nanoseconds.
    pub fn new(min_rtt: u64) -> Self {
        Self { min_rtt, ..Self::default() }
    }

    /// What is in the network at `now` was sent before anything was measured, the first of it at
    /// `first_sent_at`: what is delivered counts from now on.
    pub fn start_amid(&mut self, now: Instant, first_sent_at: Instant) {
        (self.delivered_time, self.first_send_time) = (now, first_sent_at);
    }

    /// Bytes delivered in all.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes held to be lost in all.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// OnPacketSent (section 4.1.2.2): `len` bytes are sent, for the first time or again, while
    /// `in_flight` are in the network.
    pub fn on_sent(&mut self, now: Instant, in_flight: u32, len: u32) -> DeliveryStamp {
        if in_flight == 0 {
            (self.first_send_time, self.delivered_time) = (now, now);
        }
        let limited = if self.is_app_limited() { APP_LIMITED } else { 0 };
        DeliveryStamp {
            delivered: self.delivered,
            delivered_time: self.delivered_time,
            first_send_time: self.first_send_time,
            lost: self.lost as u32,
            in_flight: in_flight.saturating_add(len).min(APP_LIMITED - 1) | limited,
        }
    }

    /// InitRateSample (section 4.1.2.3): an ACK is about to be taken in. What the one before has
    /// reported, if no sample was taken of it, is no part of this one's.
    pub fn begin_sample(&mut self) {
        self.newest = None;
    }

    /// UpdateRateSample (section 4.1.2.3), for each segment that the ACK reports and that no ACK has
    /// reported before.
    pub fn on_delivered(&mut self, now: Instant, segment: &Delivered) {
        self.delivered += u64::from(segment.len);
        self.delivered_time = now;
        if !segment.retransmitted {
            self.min_rtt = self.min_rtt.min(nanos(now.since(segment.sent_at)));
        }
        // IsNewestPacket
        let is_newest = match &self.newest {
            None => true,
            Some(newest) if segment.sent_at == newest.segment.sent_at => {
                segment.end.is_after(newest.segment.end)
            }
            Some(newest) => segment.sent_at > newest.segment.sent_at,
        };
        if is_newest {
            let stamp = segment.stamp;
            self.newest = Some(Newest {
                segment: *segment,
                send_elapsed: segment.sent_at.since(stamp.first_send_time),
                ack_elapsed: now.since(stamp.delivered_time),
            });
            self.first_send_time = segment.sent_at;
        }
    }

    /// A segment of `len` bytes is held to be lost. `adjacent`: it follows at once, in the sequence,
    /// on the one that was told before.
    pub fn on_lost(
        &mut self,
        now: Instant,
        len: u32,
        stamp: DeliveryStamp,
        adjacent: bool,
    ) -> LostPacket {
        self.lost += u64::from(len);
        LostPacket {
            now,
            len,
            tx_in_flight: stamp.tx_in_flight(),
            lost: self.lost_since(stamp),
            delivered: self.delivered,
            app_limited: stamp.is_app_limited(),
            adjacent,
        }
    }

    /// GenerateRateSample (section 4.1.2.3), when all that the ACK reports has been told.
    pub fn take_sample(&mut self, now: Instant) -> Option<RateSample> {
        // "Clear app-limited field if bubble is ACKed and gone."
        if self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let Newest { segment, send_elapsed, ack_elapsed } = self.newest.take()?;
        let interval = send_elapsed.max(ack_elapsed);
        // Section 4.1.3.4: an ACK of the first copy of a segment, just after it was sent again.
        let reliable = nanos(interval) >= self.min_rtt || self.min_rtt == u64::MAX;
        Some(RateSample {
            delivered: self.delivered - segment.stamp.delivered,
            interval: Some(interval).filter(|_| reliable),
            prior_delivered: segment.stamp.delivered,
            app_limited: segment.stamp.is_app_limited(),
            tx_in_flight: segment.stamp.tx_in_flight(),
            lost: self.lost_since(segment.stamp),
            rtt: Some(now.since(segment.sent_at)).filter(|_| !segment.retransmitted),
        })
    }

    /// MarkConnectionAppLimited (section 4.1.2.4): the application leaves a gap in what is sent, behind
    /// the `in_flight` bytes that are in the network.
    pub fn mark_app_limited(&mut self, in_flight: u32) {
        self.app_limited = (self.delivered + u64::from(in_flight)).max(1);
    }

    /// Whether what is sent now is marked so.
    pub fn is_app_limited(&self) -> bool {
        self.app_limited > 0
    }

    fn lost_since(&self, stamp: DeliveryStamp) -> u64 {
        (self.lost as u32).wrapping_sub(stamp.lost).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    const LEN: u32 = 1_000;

    /// A connection whose segments are numbered, and what was sent.
    #[derive(Default)]
    struct Flow {
        delivery: Delivery,
        sent: Vec<Delivered>,
        in_flight: u32,
    }

    impl Flow {
        fn sends(&mut self, ms: u64) {
            let stamp = self.delivery.on_sent(at(ms), self.in_flight, LEN);
            let end = SeqNum(u32::MAX) + LEN * (self.sent.len() as u32 + 1);
            let sent_at = at(ms);
            self.sent.push(Delivered { len: LEN, end, sent_at, retransmitted: false, stamp });
            self.in_flight += LEN;
        }

        fn sends_again(&mut self, ms: u64, n: usize) {
            let stamp = self.delivery.on_sent(at(ms), self.in_flight, LEN);
            let before = self.sent[n];
            self.sent[n] = Delivered { sent_at: at(ms), retransmitted: true, stamp, ..before };
        }

        fn hears_of(&mut self, ms: u64, which: &[usize]) -> RateSample {
            for &n in which {
                self.delivery.on_delivered(at(ms), &self.sent[n]);
                self.in_flight -= LEN;
            }
            self.delivery.take_sample(at(ms)).expect("something was delivered")
        }
    }

    #[test]
    fn a_stamp_takes_half_a_cache_line() {
        assert_eq!(size_of::<DeliveryStamp>(), 32);
    }

    #[test]
    fn the_rate_is_what_was_delivered_between_a_segment_and_its_ack() {
        // Ten segments in 10 ms, then one for each that arrives: 1,000 bytes in a millisecond.
        let mut flow = Flow::default();
        for ms in 0..10 {
            flow.sends(ms);
        }
        for ms in 100..110 {
            flow.hears_of(ms, &[ms as usize - 100]);
            flow.sends(ms);
        }
        // The eleventh was sent when one had arrived, at 100 ms; until 200 ms ten more have.
        let sample = flow.hears_of(200, &[10]);
        assert_eq!((sample.prior_delivered, sample.delivered), (1_000, 10_000));
        assert_eq!(sample.interval, Some(Duration::from_millis(100)));
        assert_eq!((sample.rate(), sample.rtt), (100_000, Some(Duration::from_millis(100))));
        assert_eq!((sample.tx_in_flight, sample.lost, sample.app_limited), (10_000, 0, false));
    }

    #[test]
    fn acks_that_come_at_once_give_no_rate_above_that_of_sending() {
        // Sent over 90 ms; all their ACKs come together, 100 ms after the first.
        let mut flow = Flow::default();
        flow.sends(0);
        flow.hears_of(100, &[0]);
        for n in 0..10 {
            flow.sends(100 + 10 * n);
        }
        let all: Vec<usize> = (1..=10).collect();
        let sample = flow.hears_of(291, &all);
        assert_eq!((sample.delivered, sample.interval), (10_000, Some(Duration::from_millis(191))));
        // The first ACK is late, and those behind it catch up with it: the sending counts.
        let mut flow = Flow::default();
        for n in 0..15 {
            flow.sends(10 * n);
        }
        flow.hears_of(150, &[0]);
        flow.sends(150);
        flow.hears_of(250, &all);
        let sample = flow.hears_of(251, &[11, 12, 13, 14, 15]);
        assert_eq!((sample.delivered, sample.interval), (15_000, Some(Duration::from_millis(150))));
        assert_eq!(sample.rate(), 100_000, "and not 15,000 bytes in 101 ms");
    }

    #[test]
    fn a_silence_of_the_application_marks_a_round_trip() {
        let mut flow = Flow::default();
        flow.sends(0);
        flow.sends(1);
        flow.delivery.mark_app_limited(flow.in_flight);
        flow.sends(2);
        assert!(!flow.hears_of(100, &[0, 1]).app_limited, "it was sent before");
        flow.sends(100);
        // What was in flight at the mark has arrived, and one segment more.
        assert!(flow.hears_of(102, &[2]).app_limited);
        flow.sends(103);
        assert!(flow.hears_of(200, &[3]).app_limited);
        assert!(!flow.hears_of(203, &[4]).app_limited);
    }

    #[test]
    fn the_ack_of_a_first_copy_is_no_sample_of_the_second() {
        let mut flow = Flow::default();
        flow.sends(0);
        flow.hears_of(100, &[0]);
        flow.sends(100);
        flow.sends(100);
        let lost = flow.delivery.on_lost(at(300), LEN, flow.sent[1].stamp, false);
        assert_eq!((lost.lost, lost.tx_in_flight, lost.delivered), (1_000, 1_000, 1_000));
        flow.in_flight = 0;
        flow.sends_again(300, 1);
        flow.in_flight = 2_000;
        let sample = flow.hears_of(301, &[1]);
        assert_eq!((sample.interval, sample.rtt, sample.rate()), (None, None, 0));
        // The segment behind was sent before the loss, and counts it.
        let sample = flow.hears_of(302, &[2]);
        assert_eq!((sample.lost, flow.delivery.lost()), (1_000, 1_000));
        assert_eq!(flow.delivery.delivered(), 3_000);
    }

    #[test]
    fn of_segments_sent_together_the_last_is_the_newest_whatever_the_order_of_the_reports() {
        let mut flow = Flow::default();
        for _ in 0..3 {
            flow.sends(0);
        }
        let sample = flow.hears_of(50, &[2, 0, 1]);
        assert_eq!((sample.tx_in_flight, sample.delivered), (3_000, 3_000));
    }
}
