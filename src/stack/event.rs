//! What the stack tells an application.

use crate::tcp::{CloseReason, SoftError};

slotmap::new_key_type! {
    /// Names a connection. It stays valid until the application calls `close` or `abort`, also
    /// after the connection itself is over; from then on it names nothing, for ever.
    pub struct ConnId;

    /// Names a listener, until `unlisten`.
    pub struct ListenerId;
}

/// Something an application may want to act on. An event that is still waiting to be polled is
/// not queued a second time, so the queue is bounded by the number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Connections wait for `accept`: call it until there is none.
    Incoming(ListenerId),
    /// A `connect` has succeeded.
    Established(ConnId),
    /// There is something to read in the receive buffer: read until it would block, or come back
    /// for the rest without being told again.
    Readable(ConnId),
    /// There is room to write again, a third of the buffer or more, after a write that filled it.
    Writable(ConnId),
    /// The peer will send no more: after what has arrived, reads give the end of the stream.
    PeerClosed(ConnId),
    /// The peer has marked data as urgent (RFC 9293 section 3.8.5).
    Urgent(ConnId),
    /// Something goes wrong that may pass (RFC 9293 section 3.9.1.8, MUST-47). Of the errors that
    /// ICMP brings, one waits to be polled at a time, and beside it one
    /// [`SoftError::Retransmitting`]; [`Stack::soft_error`](super::Stack::soft_error) tells the
    /// last.
    SoftError(ConnId, SoftError),
    /// The connection is over. What had arrived can still be read; `close` gives the id back.
    Closed(ConnId, CloseReason),
}

/// What a packet brought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received<'f> {
    /// In-order text with nothing unread before it: the connection it is for and the bytes, as a
    /// slice of the frame. What the application does not take is put back with `Stack::store`
    /// before the next packet.
    pub data: Option<(ConnId, &'f [u8])>,
    /// Something is owed at once (a duplicate ACK, a challenge), or much has gathered that nobody
    /// polls: `poll_transmit` comes before the next packet. All else may wait until those packets
    /// have been brought in that are there already.
    pub owed_now: bool,
}
