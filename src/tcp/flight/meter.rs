//! What a flight has in addition where the congestion controller wants rate samples or paces: a stamp
//! beside each record, for what it will tell when it has arrived or is lost, and what is known of
//! deliveries (draft-ietf-ccwg-bbr-05 section 4.1). The flights of all other connections have none of
//! it.

use std::collections::VecDeque;

use super::Flight;
use crate::tcp::congestion::{LostPacket, RateSample};
use crate::tcp::delivery::{Delivered, Delivery, DeliveryStamp};
use crate::tcp::pacing::Pacer;
use crate::time::Instant;
use crate::wire::{SeqNum, SeqRange};

/// Records and stamps that an idle connection has room for.
const FEW: usize = 64;

/// What measures a flight, and the pacer by which more enters it.
#[derive(Debug, Default)]
pub(in crate::tcp) struct Meter {
    delivery: Delivery,
    pub(in crate::tcp) pacer: Pacer,
    /// One for each record.
    stamps: VecDeque<DeliveryStamp>,
    /// What is held to be lost and has not been told yet.
    lost: Vec<(SeqRange, DeliveryStamp)>,
    /// Where that ends which was told last.
    told: Option<SeqNum>,
}

impl Meter {
    /// Bytes of memory taken.
    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.stamps.capacity() * size_of::<DeliveryStamp>()
            + self.lost.capacity() * size_of::<(SeqRange, DeliveryStamp)>()
    }
}

impl Flight {
    /// Whether it is measured.
    #[inline]
    pub(in crate::tcp) fn has_meter(&self) -> bool {
        self.meter.is_some()
    }

    /// Bytes of memory that measuring it takes.
    #[cold]
    pub(in crate::tcp) fn meter_memory(&self) -> usize {
        self.meter.as_ref().map_or(0, |meter| meter.memory())
    }

    /// What measures it.
    pub(in crate::tcp) fn meter(&mut self) -> Option<&mut Meter> {
        self.meter.as_deref_mut()
    }

    /// It is measured from now on. `min_rtt` is the least round-trip time so far, in nanoseconds.
    pub(in crate::tcp) fn start_meter(&mut self, now: Instant, min_rtt: u64) {
        let in_network = self.in_network();
        let mut meter = Box::new(Meter { delivery: Delivery::new(min_rtt), ..Meter::default() });
        // Nothing has been sent by what is known now, so the first round trip says little.
        meter.delivery.mark_app_limited(in_network);
        if let Some(first) = self.first_sent_at() {
            // What is out already is delivered from now on.
            meter.delivery.start_amid(now, first);
            let stamp = meter.delivery.on_sent(now, in_network.max(1), 0);
            meter.stamps.extend(self.records.iter().map(|_| stamp));
        }
        self.meter = Some(meter);
    }

    /// It is measured no longer.
    pub(in crate::tcp) fn stop_meter(&mut self) {
        self.meter = None;
    }

    /// Nothing waits to be sent: gives back what memory a large flight has left, since one that is
    /// measured is not given back as a whole.
    #[cold]
    pub(in crate::tcp) fn shrink(&mut self) {
        if let Some(meter) = &mut self.meter
            && self.records.is_empty()
            && self.records.capacity() > FEW
        {
            self.records = VecDeque::new();
            self.again = VecDeque::new();
            (meter.stamps, meter.lost) = (VecDeque::new(), Vec::new());
        }
    }

    /// A new segment of `len` sequence numbers is about to be recorded.
    #[cold]
    pub(super) fn stamp_new(&mut self, len: u32, now: Instant) {
        let in_network = self.in_network();
        if let Some(meter) = &mut self.meter {
            meter.stamps.push_back(meter.delivery.on_sent(now, in_network, len));
        }
    }

    /// `len` sequence numbers of the record with this index are sent again, while `in_network` are in
    /// the network beside them; what is left of the record is one of its own now, behind it.
    #[cold]
    pub(super) fn stamp_again(
        &mut self,
        at: usize,
        len: u32,
        in_network: u32,
        now: Instant,
        splits: bool,
    ) {
        let Some(meter) = &mut self.meter else { return };
        let stamp = meter.delivery.on_sent(now, in_network, len);
        let Some(before) = meter.stamps.get_mut(at) else { return };
        let rest = core::mem::replace(before, stamp);
        if splits {
            meter.stamps.insert(at + 1, rest);
        }
    }

    /// An ACK of up to `una` is about to be taken in: notes what it delivers.
    #[cold]
    pub(super) fn meter_acked(&mut self, una: SeqNum, now: Instant) {
        let Self { records, meter, .. } = self;
        let Some(Meter { delivery, stamps, .. }) = meter.as_deref_mut() else { return };
        let mut gone = 0;
        for (record, &stamp) in records.iter().zip(&*stamps) {
            let whole = record.range.end.is_at_or_before(una);
            let end = record.range.end.earlier(una);
            if end.is_at_or_before(record.range.start) {
                break;
            }
            if !record.sacked {
                let len = record.range.start.len_to(end);
                let (sent_at, retransmitted) = (record.sent_at, record.retransmitted);
                delivery.on_delivered(now, &Delivered { len, end, sent_at, retransmitted, stamp });
            }
            gone += usize::from(whole);
        }
        stamps.drain(..gone);
    }

    /// The record with this index is reported for the first time.
    #[cold]
    pub(super) fn meter_sacked(&mut self, at: usize, now: Instant) {
        if let Some(meter) = &mut self.meter
            && let (Some(record), Some(&stamp)) = (self.records.get(at), meter.stamps.get(at))
        {
            let (len, end) = (record.range.len(), record.range.end);
            let (sent_at, retransmitted) = (record.sent_at, record.retransmitted);
            let delivered = Delivered { len, end, sent_at, retransmitted, stamp };
            meter.delivery.on_delivered(now, &delivered);
        }
    }

    /// The record with this index is held to be lost.
    #[cold]
    pub(super) fn meter_lost(&mut self, at: usize) {
        if let Some(meter) = &mut self.meter
            && let (Some(record), Some(&stamp)) = (self.records.get(at), meter.stamps.get(at))
        {
            meter.lost.push((record.range, stamp));
        }
    }

    /// What ended with `end` when it was sent again as a probe had been lost, and the probe has repaired
    /// it (RFC 8985 section 7.4.2).
    pub(in crate::tcp) fn note_repaired_by_probe(&mut self, end: SeqNum) {
        let at = self.records.partition_point(|record| record.range.end.is_before(end));
        if self.records.get(at).is_some_and(|record| record.range.end == end && !record.lost) {
            self.meter_lost(at);
        }
    }

    /// Tells what is held to be lost since this was last asked, in sequence order.
    pub(in crate::tcp) fn tell_lost(&mut self, now: Instant, mut tell: impl FnMut(&LostPacket)) {
        let Some(first) = self.records.front().map(|record| record.range.start) else { return };
        let Some(Meter { delivery, lost, told, .. }) = self.meter.as_deref_mut() else { return };
        lost.sort_unstable_by_key(|(range, _)| first.distance_to(range.start));
        for (range, stamp) in lost.drain(..) {
            let adjacent = *told == Some(range.start);
            *told = Some(range.end);
            tell(&delivery.on_lost(now, range.len(), stamp, adjacent));
        }
    }

    /// What is held to be lost is not told: no congestion has dropped it.
    pub(in crate::tcp) fn keep_lost_quiet(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.lost.clear();
        }
    }

    /// InitRateSample and CheckIfApplicationLimited (section 4.1.2), at the beginning of an ACK.
    pub(in crate::tcp) fn begin_sample(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.delivery.begin_sample();
        }
    }

    /// The rate sample of the ACK that has been taken in.
    pub(in crate::tcp) fn take_sample(&mut self, now: Instant) -> Option<RateSample> {
        self.meter.as_mut().and_then(|meter| meter.delivery.take_sample(now))
    }

    /// C.delivered, if it is measured.
    pub(in crate::tcp) fn delivered(&self) -> Option<u64> {
        self.meter.as_ref().map(|meter| meter.delivery.delivered())
    }

    /// Whether the application has left a gap in what is sent that has not passed yet.
    pub(in crate::tcp) fn is_app_limited(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.delivery.is_app_limited())
    }

    /// MarkConnectionAppLimited (section 4.1.2.4)
    pub(in crate::tcp) fn mark_app_limited(&mut self) {
        let in_network = self.in_network();
        if let Some(meter) = &mut self.meter {
            meter.delivery.mark_app_limited(in_network);
        }
    }

    /// Checks what must always hold.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check_meter(&self) {
        if let Some(meter) = &self.meter {
            assert_eq!(meter.stamps.len(), self.records.len(), "each record has its stamp");
            assert!(meter.lost.is_empty(), "losses are told at once");
        }
    }
}
