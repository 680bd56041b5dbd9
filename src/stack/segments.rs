//! TCP segments on their way in: to the connection, the half-open entry, the TIME-WAIT record or
//! the listener that they are for (RFC 9293 section 3.10.7).

use super::time_wait::{self, TimeWaitId, TimeWaitRecord, TimeWaitVerdict};
use super::{ConnId, Entry, Event, HalfOpenId, HalfOpenSlot, ListenerId, Received, Stack};
use crate::tcp::{
    Connection, HalfOpen, HalfOpenVerdict, Outgoing, Remains, early_text, timestamps,
};
use crate::wire::{Flags, Flow, Segment, SeqNum};

impl Stack {
    /// A segment has arrived that is right in itself.
    pub(super) fn on_segment<'f>(
        &mut self,
        flow: &Flow,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Received<'f> {
        self.counters.segments_in += u64::from(segment.segments());
        log::debug!("{} > {}: {segment}", flow.remote_addr(), flow.local_addr());
        let mut received = match self.table.find(&self.keys, &self.slabs, flow) {
            Some(Entry::Connection(id)) => self.for_connection(id, segment, hand_out),
            Some(Entry::HalfOpen(id)) => self.for_half_open(id, segment),
            Some(Entry::TimeWait(id)) => self.for_time_wait(id, segment),
            // What the table knows is between us and others.
            None if self.is_between_us_and_others(flow.remote(), flow.local()) => {
                self.for_listener(flow, segment, None)
            }
            None => Received::default(),
        };
        received.owed_now |= self.replies.is_urgent();
        received
    }

    fn for_connection<'f>(
        &mut self,
        id: ConnId,
        segment: &Segment<'f>,
        hand_out: bool,
    ) -> Received<'f> {
        let Some(slot) = self.slabs.connections.get_mut(id) else {
            return Received::default();
        };
        let hand_out = hand_out && slot.accepted;
        slot.connection.set_room(self.memory.room());
        if !hand_out && !segment.is_empty() && slot.connection.lend_for_receiving(&mut self.spares)
        {
            self.memory.charge(slot);
            slot.connection.set_room(self.memory.room());
        }
        let arrival = slot.connection.on_segment(self.now, segment, hand_out);
        let owed_now = slot.connection.owes_now();
        if arrival.plain {
            // No buffer has changed, and there is nothing to tell: most of `settle` can be left out.
            Self::schedule(id, slot, &mut self.deadlines, &mut self.ready);
            return Received { data: arrival.text.map(|text| (id, text)), owed_now };
        }
        self.counters.text_refused += u64::from(arrival.refused);
        if arrival.stray {
            let flow = *slot.connection.flow();
            if slot.connection.is_orphan() {
                self.counters.aborts_on_data += 1;
            }
            self.reset_stranger(&flow, segment);
        }
        self.settle_holding(id, arrival.text.is_some());
        Received { data: arrival.text.map(|text| (id, text)), owed_now }
    }

    fn for_half_open<'f>(&mut self, id: HalfOpenId, segment: &Segment<'_>) -> Received<'f> {
        let Some(slot) = self.slabs.half_open.get_mut(id) else {
            return Received::default();
        };
        let flow = *slot.half_open.flow();
        let settings = &slot.origin.settings;
        match slot.half_open.on_segment(self.now, segment, settings) {
            HalfOpenVerdict::Ignore => {}
            HalfOpenVerdict::Resend => {
                self.counters.syn_acks_retransmitted += 1;
                self.resend_syn_ack(id);
            }
            HalfOpenVerdict::Acknowledge => {
                let clock = timestamps::clock(self.now, self.keys.timestamp_offset(&flow));
                let ack = slot.half_open.bare_ack(settings, clock);
                let (diffserv, ttl) = (settings.diffserv(), settings.ttl);
                self.reply_with(flow, &ack, diffserv, ttl);
            }
            HalfOpenVerdict::Stray => self.reset_stranger(&flow, segment),
            HalfOpenVerdict::Forget => {
                self.counters.attempt_fails += 1;
                self.forget_half_open(id);
            }
            HalfOpenVerdict::Establish => self.establish(id, segment),
            HalfOpenVerdict::Refuse => {
                self.counters.attempt_fails += 1;
                self.forget_half_open(id);
                self.reset_stranger(&flow, segment);
            }
        }
        Received::default()
    }

    /// The handshake of a passive open is over.
    fn establish(&mut self, id: HalfOpenId, segment: &Segment<'_>) {
        let Some(listener_id) = self.slabs.half_open.get(id).map(|slot| slot.origin.listener)
        else {
            return;
        };
        if !self.has_room(listener_id) {
            // Dropped without a word: the SYN-ACK is repeated, the peer's ACK with it, and by then
            // there may be room. A reset would make the peer fail.
            return;
        }
        let early_text = self.early_texts.remove(&id);
        let Some(HalfOpenSlot { half_open, origin }) = self.forget_half_open(id) else {
            return;
        };
        let (link, settings) = (self.link(half_open.flow()), origin.settings.clone());
        let offset = self.keys.timestamp_offset(half_open.flow());
        let mut connection = Connection::accept(self.now, &half_open, offset, settings, link);
        connection.set_room(self.memory.room());
        let arrival = connection.on_segment(self.now, segment, false);
        self.counters.text_refused += u64::from(arrival.refused);
        if let Some(text) = early_text {
            connection.accept_early_text(self.now, &text);
        }
        let id = self.insert(connection, Some(listener_id));
        self.counters.passive_opens += 1;
        if let Some(listener) = self.listeners.get_mut(listener_id) {
            listener.accept_queue.push_back(id);
            if !listener.announced {
                listener.announced = true;
                self.events.push_back(Event::Incoming(listener_id));
            }
        }
        self.settle(id);
    }

    /// Whether a listener can take one more connection; counts it when it cannot.
    fn has_room(&mut self, id: ListenerId) -> bool {
        if self.slabs.connections.len() >= self.config.max_connections {
            self.counters.too_many_connections += 1;
            return false;
        }
        let room = self.listeners.get(id).is_some_and(|l| l.accept_queue.len() < l.backlog);
        self.counters.listen_overflows += u64::from(!room);
        room
    }

    fn for_time_wait<'f>(&mut self, id: TimeWaitId, segment: &Segment<'f>) -> Received<'f> {
        let Some(record) = self.slabs.time_wait.get_mut(id) else {
            return Received::default();
        };
        let flow = *record.flow();
        match record.on_segment(self.now, segment, self.settings.challenge_interval) {
            TimeWaitVerdict::Ignore => {}
            TimeWaitVerdict::Acknowledge => self.acknowledge_time_wait(id),
            TimeWaitVerdict::Restart => {
                let expires = self.now + self.config.time_wait.min(time_wait::LONGEST);
                if record.restart(expires) {
                    self.expiry.push(id, &self.slabs.time_wait);
                }
                self.acknowledge_time_wait(id);
            }
            TimeWaitVerdict::Reopen(_) if !self.can_reopen(&flow) => self.acknowledge_time_wait(id),
            TimeWaitVerdict::Reopen(least) => {
                self.counters.time_wait_reused += 1;
                self.forget_time_wait(id);
                return self.for_listener(&flow, segment, Some(least));
            }
        }
        Received::default()
    }

    /// Whether a SYN that could take over from TIME-WAIT finds somebody to take it: otherwise it
    /// must not end TIME-WAIT, or RFC 1337 would be got round.
    fn can_reopen(&mut self, flow: &Flow) -> bool {
        self.listener_for(flow).is_some_and(|listener| self.has_room(listener))
    }

    /// No connection: LISTEN or CLOSED (RFC 9293 sections 3.10.7.1 and 3.10.7.2). `least` is where
    /// the sequence numbers start of a connection that takes over from TIME-WAIT.
    fn for_listener<'f>(
        &mut self,
        flow: &Flow,
        segment: &Segment<'_>,
        least: Option<SeqNum>,
    ) -> Received<'f> {
        let listener = self.listener_for(flow);
        match listener {
            // First: a reset is ignored. Second: an ACK is answered with a reset.
            _ if segment.has(Flags::RST) => {}
            Some(listener) if !segment.has(Flags::ACK) => {
                // Third: a SYN. Fourth: anything else is dropped.
                if segment.has(Flags::SYN) {
                    self.on_syn(listener, flow, segment, least);
                }
            }
            _ => self.reset_stranger(flow, segment),
        }
        Received::default()
    }

    /// A connection request.
    fn on_syn(
        &mut self,
        id: ListenerId,
        flow: &Flow,
        segment: &Segment<'_>,
        least: Option<SeqNum>,
    ) {
        if !self.has_room(id) {
            return;
        }
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        let origin = listener.origin.clone();
        if listener.half_open() >= self.config.max_half_open {
            let live = &self.slabs.half_open;
            if let Some(oldest) = listener.oldest(|id| live.contains_key(id)) {
                self.counters.half_open_evicted += 1;
                self.forget_half_open(oldest);
            }
        }
        let iss = least.unwrap_or_else(|| self.initial_sequence_number(flow));
        let half_open = HalfOpen::new(self.now, *flow, segment, iss, &origin.settings);
        let early_text = early_text(segment, &origin.settings);
        let half_open = self.slabs.half_open.insert(HalfOpenSlot { half_open, origin });
        if !early_text.is_empty() {
            self.early_texts.insert(half_open, early_text.into());
        }
        self.table.insert(&self.keys, &self.slabs, flow, Entry::HalfOpen(half_open));
        if let Some(listener) = self.listeners.get_mut(id) {
            listener.push(half_open, |id| self.slabs.half_open.contains_key(id));
        }
        self.send_syn_ack(half_open);
        self.syn_acks.push(half_open, &self.slabs.half_open);
    }

    fn send_syn_ack(&mut self, id: HalfOpenId) {
        let Some(slot) = self.slabs.half_open.get(id) else {
            return;
        };
        let flow = *slot.half_open.flow();
        let settings = &slot.origin.settings;
        let clock = timestamps::clock(self.now, self.keys.timestamp_offset(&flow));
        let syn_ack = slot.half_open.syn_ack(settings, self.link(&flow), clock);
        let (diffserv, ttl) = (settings.diffserv(), settings.ttl);
        self.reply_with(flow, &syn_ack, diffserv, ttl);
    }

    /// The peer has repeated its SYN.
    fn resend_syn_ack(&mut self, id: HalfOpenId) {
        if let Some(slot) = self.slabs.half_open.get_mut(id) {
            let before = slot.half_open.is_put_off().then(|| slot.half_open.due());
            slot.half_open.on_asked_again(self.now);
            self.syn_acks.put_off(id, before, slot.half_open.due());
            self.send_syn_ack(id);
        }
    }

    /// A SYN-ACK has gone unanswered.
    pub(super) fn on_syn_ack_timeout(&mut self, id: HalfOpenId) {
        let Some(slot) = self.slabs.half_open.get_mut(id) else {
            return;
        };
        if slot.half_open.on_timeout(self.now, &slot.origin.settings) {
            self.counters.syn_acks_retransmitted += 1;
            self.send_syn_ack(id);
            self.syn_acks.push(id, &self.slabs.half_open);
        } else {
            self.counters.attempt_fails += 1;
            self.forget_half_open(id);
        }
    }

    /// Removes a half-open entry.
    pub(super) fn forget_half_open(&mut self, id: HalfOpenId) -> Option<HalfOpenSlot> {
        let slot = self.slabs.half_open.remove(id)?;
        self.syn_acks.forget(id, &slot, &self.slabs.half_open);
        self.early_texts.remove(&id);
        self.table.remove(&self.keys, slot.half_open.flow(), Entry::HalfOpen(id));
        if let Some(listener) = self.listeners.get_mut(slot.origin.listener) {
            listener.forget();
        }
        Some(slot)
    }

    /// A connection has reached TIME-WAIT; its four-tuple is out of the table.
    pub(super) fn enter_time_wait(&mut self, remains: &Remains, acknowledge: bool) {
        self.counters.time_wait_entered += 1;
        let expires = self.now + self.config.time_wait.min(time_wait::LONGEST);
        let record = TimeWaitRecord::new(remains, expires);
        let live = &self.slabs.time_wait;
        if live.len() >= self.config.max_time_wait
            && let Some(oldest) = self.expiry.pop_oldest(|id| live.contains_key(id))
        {
            self.counters.time_wait_evicted += 1;
            self.forget_time_wait(oldest);
        }
        let id = self.slabs.time_wait.insert(record);
        self.table.insert(&self.keys, &self.slabs, &remains.flow, Entry::TimeWait(id));
        self.expiry.push(id, &self.slabs.time_wait);
        if acknowledge {
            self.acknowledge_time_wait(id);
        }
    }

    fn acknowledge_time_wait(&mut self, id: TimeWaitId) {
        let Some(record) = self.slabs.time_wait.get(id) else {
            return;
        };
        let flow = *record.flow();
        let clock = timestamps::clock(self.now, self.keys.timestamp_offset(&flow));
        let (ack, diffserv) = (record.ack(clock), record.diffserv());
        self.reply_with(flow, &ack, diffserv, self.settings.ttl);
    }

    pub(super) fn forget_time_wait(&mut self, id: TimeWaitId) {
        if let Some(record) = self.slabs.time_wait.get(id) {
            self.table.remove(&self.keys, record.flow(), Entry::TimeWait(id));
            self.slabs.time_wait.remove(id);
        }
    }

    /// The reset of RFC 9293 section 3.10.7.1.
    fn reset_stranger(&mut self, flow: &Flow, segment: &Segment<'_>) {
        if segment.has(Flags::RST) {
            return;
        }
        let reset = if segment.has(Flags::ACK) {
            // "<SEQ=SEG.ACK><CTL=RST>"
            Outgoing { seq: segment.ack, flags: Flags::RST, ..Outgoing::default() }
        } else {
            // "<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"
            Outgoing {
                seq: SeqNum(0),
                ack: segment.range().end,
                flags: Flags::RST | Flags::ACK,
                ..Outgoing::default()
            }
        };
        self.reply(*flow, &reset);
    }
}
