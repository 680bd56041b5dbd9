//! Where urgent data ends, both ways (RFC 9293 section 3.8.5): SND.UP and RCV.UP. Hardly anybody sends
//! any (RFC 6093), so the two are kept only while there is one.

use crate::wire::SeqNum;

/// The marks that there are.
#[derive(Clone, Debug, Default)]
pub(super) struct UrgentMarks(Option<Box<Marks>>);

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    sent: Option<SeqNum>,
    received: Option<SeqNum>,
}

impl UrgentMarks {
    /// SND.UP: the end of the urgent data that we send.
    #[inline]
    pub(super) fn sent(&self) -> Option<SeqNum> {
        self.0.as_ref()?.sent
    }

    /// RCV.UP: the end of the urgent data that the peer sends.
    #[inline]
    pub(super) fn received(&self) -> Option<SeqNum> {
        self.0.as_ref()?.received
    }

    pub(super) fn set_sent(&mut self, end: Option<SeqNum>) {
        let received = self.received();
        self.set(Marks { sent: end, received });
    }

    pub(super) fn set_received(&mut self, end: Option<SeqNum>) {
        let sent = self.sent();
        self.set(Marks { sent, received: end });
    }

    fn set(&mut self, marks: Marks) {
        let any = marks.sent.is_some() || marks.received.is_some();
        self.0 = any.then(|| Box::new(marks));
    }

    /// Bytes of memory taken beside the pointer.
    pub(super) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |marks| size_of_val(&**marks))
    }
}
